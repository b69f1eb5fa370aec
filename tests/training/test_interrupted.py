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
from netdsl.formats.netdsl_file import read_checkpoint

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
path, moments, rounds = sys.argv[1], json.loads(sys.argv[2]), int(sys.argv[3])
every = {"Interval": Quantity(1, "Batches"), "Resume": True}
positions = []

def in_a_process(work):
    child = os.fork()  # before JAX has started any thread
    if not child:
        try:
            work()
        finally:
            os._exit(0)
    return child

for moment in moments:
    before = os.stat(path).st_mtime_ns if os.path.exists(path) else 0
    child = in_a_process(lambda: train(["File", path, every], Infinity))
    while not os.path.exists(path) or os.stat(path).st_mtime_ns == before:
        time.sleep(0.001)
    time.sleep(moment)
    os.kill(child, signal.SIGKILL)
    assert os.WIFSIGNALED(os.waitpid(child, 0)[1])
    _, state, arrays = read_checkpoint(path)  # which checks every byte
    positions.append(len(arrays[state["history"]["losses"]["arrays"][0][0]]))
print(json.dumps(positions))
rounds = max(rounds, positions[-1] // 4 + 2)
print(json.dumps(bits(train(["File", path, {"Interval": Quantity(1, "Hours"), "Resume": True}], rounds))))
print(json.dumps(bits(train(None, rounds))))
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
    """The file is whole after each, the next life goes on from it, and the last ends with the bits of an uninterrupted run."""
    source = np.random.default_rng(11)
    moments = source.uniform(0, 0.06, 20).tolist()
    path = tmp_path / "p.netdsl"
    positions, interrupted, whole = printed(start(KILLED, path, json.dumps(moments), 10, cache=tmp_path / "cache"))
    assert interrupted == whole
    assert len(positions) == 20
    assert positions == sorted(set(positions)), "each life got further"
    left = {name for name in os.listdir(tmp_path) if name not in ("p.netdsl", "cache")}
    assert all(name.endswith((".tmp", ".lock")) for name in left)
    assert Import(path)


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
