"""Trainings that are killed, and Ctrl-C pressed once and twice: real signals to processes of their own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from netdsl import Import

pytestmark = [pytest.mark.slow, pytest.mark.skipif(os.name != "posix", reason="needs signals")]

TRAINING = """
import hashlib, json, os, random, signal, sys, time
import numpy as np
from netdsl import *
from netdsl.formats.netdsl_file import checkpoint_of, checkpoint_parts

signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell may have it ignored in the background
inputs = np.linspace(-1, 1, 120).reshape(40, 3)

def train(where, rounds, width=100, copies=1, **options):
    data = np.tile(inputs, (copies, 1)), np.tile(inputs.sum(1), copies)
    net = NetChain([width, BatchNormalizationLayer(), Ramp, DropoutLayer(0.5), width, Ramp, 1])
    options = {"BatchSize": 8, "ValidationSet": Scaled(0.2), "TrainingProgressReporting": None, **options}
    return NetTrain(net, data, All, MaxTrainingRounds=rounds, TrainingProgressCheckpointing=where, **options)

def bits(results):
    total = hashlib.sha256()
    for value in results("TrainedNet").array_table().values():
        total.update(np.asarray(value).tobytes())
    for name in ("BatchLossList", "ValidationLossList", "RoundPositions"):
        total.update(results(name).tobytes())
    return [total.hexdigest(), results("BestValidationRound"), results("TotalBatches")]
"""

KILLED = """
folder, moments, rounds = sys.argv[1], json.loads(sys.argv[2]), int(sys.argv[3])

def in_a_process(work):
    child = os.fork()  # before JAX has started any thread
    if not child:
        try:
            work()
        finally:
            os._exit(0)
    return child

def last(kind, path):
    # the last checkpoint, and what changes with each
    if kind == "File":
        return path, os.stat(path).st_mtime_ns if os.path.exists(path) else 0
    name = max((name for name in os.listdir(path) if name.endswith(".netdsl")), default="") if os.path.exists(path) else ""
    return os.path.join(path, name), name

def second(where):
    # of two processes with one place the second ends with an error
    try:
        train(where, 2)
    except TrainingError as error:
        open(folder + "/said", "w").write(str(error))

for kind, path in (("File", folder + "/p.netdsl"), ("Directory", folder + "/d")):
    where, positions = [kind, path, {"Interval": Quantity(1, "Batches"), "Resume": True}], []
    for moment in moments:
        before = last(kind, path)
        child = in_a_process(lambda: train(where, Infinity))
        while last(kind, path) == before:
            time.sleep(0.001)
        if moment == moments[0]:
            os.waitpid(in_a_process(lambda: second(where)), 0)
            assert "Another training is writing its checkpoints to" in open(folder + "/said").read()
            os.unlink(folder + "/said")
        time.sleep(moment)
        os.kill(child, signal.SIGKILL)
        assert os.WIFSIGNALED(os.waitpid(child, 0)[1])
        files = [path] if kind == "File" else sorted(os.path.join(path, n) for n in os.listdir(path) if n.endswith(".netdsl"))
        for file in files[-3:]:
            _, state, arrays = checkpoint_of(file, checkpoint_parts(file))  # which checks every byte
        positions.append(len(arrays[state["history"]["losses"]["arrays"][0][0]]))
    print(json.dumps(positions))

def gone_on(kind, path):
    file = last(kind, path)[0]
    _, state, arrays = checkpoint_of(file, checkpoint_parts(file))
    batches = max(rounds, len(arrays[state["history"]["losses"]["arrays"][0][0]]) // 4 + 2)
    print(json.dumps(bits(train([kind, path, {"Interval": Quantity(1, "Hours"), "Resume": True}], batches))))
    print(json.dumps(bits(train(None, batches))))

gone_on("File", folder + "/p.netdsl")
gone_on("Directory", folder + "/d")
"""

ENDLESS = """
where = ["Directory", sys.argv[1], {"Interval": Quantity(1, "Rounds")}]
before = signal.getsignal(signal.SIGINT)
try:
    results = train(where, Infinity, **json.loads(sys.argv[2]))
    print(json.dumps(["results", results("ReasonTrainingStopped"), results("TotalBatches"), results("CheckpointingFiles")]))
    where[2]["Resume"], rounds = True, results("TotalRounds") + 1
    print(json.dumps([bits(train(where, rounds)), bits(train(None, rounds))]))
except KeyboardInterrupt:
    print(json.dumps(["KeyboardInterrupt", signal.getsignal(signal.SIGINT) is before]))
"""


def start(code: str, *arguments: Any, cache: Any = "off") -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", TRAINING + code, *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "NETDSL_CACHE_DIR": str(cache)},
    )


def printed(process: subprocess.Popen[str]) -> list[Any]:
    """The lines that the process printed, which are JSON."""
    out, errors = process.communicate(timeout=300)
    assert process.returncode == 0, errors
    return [json.loads(line) for line in out.splitlines()]


def wait_for(process: subprocess.Popen[str], condition: Any) -> None:
    end = time.monotonic() + 120
    while not condition():
        assert process.poll() is None, process.communicate()[1]
        assert time.monotonic() < end
        time.sleep(0.005)


def test_killed_at_twenty_moments(tmp_path: Path) -> None:
    """The files are whole after each, the next life goes on from them, and the last ends with the bits of an uninterrupted run."""
    source = np.random.default_rng(11)
    moments = source.uniform(0, 0.06, 10).tolist()  # of a file, and as many of a directory
    done = printed(start(KILLED, tmp_path, json.dumps(moments), 10, cache=tmp_path / "cache"))
    for positions, interrupted, whole in ((done[0], *done[2:4]), (done[1], *done[4:6])):
        assert interrupted == whole
        assert len(positions) == 10
        assert positions == sorted(set(positions)), "each life got further"
    left = {name for name in os.listdir(tmp_path) if name not in ("p.netdsl", "cache", "d")}
    assert all(name.endswith((".tmp", ".lock")) for name in left)
    assert Import(tmp_path / "p.netdsl")


def test_control_c_once_gives_the_results_and_a_checkpoint(tmp_path: Path) -> None:
    process = start(ENDLESS, tmp_path, "{}")
    wait_for(process, lambda: len(os.listdir(tmp_path)) > 4)
    process.send_signal(signal.SIGINT)
    (kind, reason, batches, files), (interrupted, whole) = printed(process)
    assert (kind, reason) == ("results", "stopped by the user")
    assert interrupted == whole
    assert sorted(name for name in os.listdir(tmp_path) if name.endswith(".netdsl"))[: len(files)] == [
        os.path.basename(file) for file in files
    ]
    round_, batch = map(int, os.path.basename(files[-1]).split("_")[2:4])
    assert 4 * (round_ - 1) + batch == batches
    assert all(Import(file) for file in files[-3:])


@pytest.mark.parametrize("pause", [0.2, 0.5])
def test_control_c_twice_stops_at_once(tmp_path: Path, pause: float) -> None:
    """In the midst of a chunk of batches; the checkpoints that are there are whole."""
    process = start(ENDLESS, tmp_path, json.dumps({"BatchSize": 2000, "copies": 100, "width": 1500}))
    wait_for(process, lambda: any(name.endswith(".netdsl") for name in os.listdir(tmp_path)))
    process.send_signal(signal.SIGINT)
    time.sleep(pause)
    process.send_signal(signal.SIGINT)
    assert printed(process) == [["KeyboardInterrupt", True]]
    left = os.listdir(tmp_path)
    assert all(Import(tmp_path / name) for name in left)
    assert all(name.endswith(".netdsl") for name in left)


TWICE = """
import threading
from netdsl.training import run

def signals(pause=0.1):
    # Ctrl-C twice, in a while, as another process would send it
    def send():
        for _ in range(2):
            time.sleep(pause)
            sent.append(time.monotonic())
            os.kill(os.getpid(), signal.SIGINT)
    sent = []
    threading.Thread(target=send).start()
    return sent

def when(kind, name, condition=lambda *of: True):
    # has the signals sent as soon as this is called
    method = getattr(kind, name)
    def call(*of, **options):
        if condition(*of) and not sent:
            sent.append(signals())
        return method(*of, **options)
    sent = []
    setattr(kind, name, call)
    return sent, lambda: setattr(kind, name, method)

def stopped(train, sent, mend):
    try:
        train()
        late = None
    except KeyboardInterrupt:
        late = time.monotonic() - sent[0][1]
    mend()
    return [late, signal.getsignal(signal.SIGINT) is signal.default_int_handler]

small = np.ones((64, 8), np.float32)
options = dict(TrainingProgressReporting=None, MaxTrainingRounds=3)

# compilation: many layers that differ
deep = NetChain([layer for width in range(20, 34) for layer in (width, Tanh, BatchNormalizationLayer())] + [1])
asked = when(threading.Thread, "start", lambda self: self.name == "netdsl compilation")
found = stopped(lambda: NetTrain(deep, Rule(small, small.sum(1)), **options), *asked)
compiling = [thread for thread in threading.enumerate() if thread.name == "netdsl compilation"]
print(json.dumps(["compilation", *found, bool(compiling)]))
for thread in compiling:
    thread.join()

# data that are waited for
event, calls = threading.Event(), []
def slow(info):
    calls.append(1)
    if len(calls) > 3:
        event.wait(60)
    return Rule(small, small.sum(1))
found = stopped(lambda: NetTrain(NetChain([4, 1]), [slow, {"RoundLength": 64}], BatchSize=64, **{**options, "MaxTrainingRounds": 9}),
    *when(run.Training, "_ready", lambda *of: len(calls) > 3))
event.set()
print(json.dumps(["reading", *found]))

# no main thread: the training goes on, as the signal is none of its business
results, begun = [], threading.Event()
def train_there(function=None):
    results.append(bits(NetTrain(NetChain([4, DropoutLayer(), 1]), Rule(small, small.sum(1)), All, TrainingProgressFunction=function,
        **options)))
thread = threading.Thread(target=train_there, args=(lambda facts: (begun.set(), time.sleep(0.2)) and None,))
thread.start()
begun.wait()
try:
    os.kill(os.getpid(), signal.SIGINT)
    time.sleep(5)
    there = "nothing"
except KeyboardInterrupt:
    there = "KeyboardInterrupt"
thread.join()
train_there()
print(json.dumps(["thread", there, results[0] == results[1]]))
# validation: of many examples, which are measured to the end in the background
wide = NetInitialize(NetChain([2000, Tanh, 2000, Tanh, 1], Input=8))
many = np.ones((20000, 8), np.float32)
found = stopped(lambda: NetTrain(wide, Rule(small, small.sum(1)), ValidationSet=Rule(many, many.sum(1)), BatchSize=64, **options),
    *when(run, "alone", lambda *of: sys._getframe(2).f_code.co_name == "_validate"))
print(json.dumps(["validation", *found]))

sys.stdout.flush()
os._exit(0)  # without waiting for the validation
"""


def test_control_c_twice_wherever_a_training_is(tmp_path: Path) -> None:
    """While it is compiled, validated, or waits for data; a training in another thread goes on."""
    compiling, reading, thread, validating = printed(start(TWICE))
    assert compiling[3], "the compilation is not waited for"
    for name, late, restored, *_ in (compiling, reading, validating):
        assert late is not None, name
        assert late < 0.5, name
        assert restored, name
    assert thread == ["thread", "KeyboardInterrupt", True]
