"""Two processes train one net: the same bits in both, the numbers of one process; what they say when they differ or one fails."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytestmark = pytest.mark.slow

START = """
import os, sys, json, hashlib, time
import jax
own, count, port = (int(word) for word in sys.argv[1:4])
jax.config.update("jax_platforms", "cpu")
if count > 1:
    jax.config.update("jax_cpu_collectives_implementation", "gloo")
    jax.distributed.initialize(f"127.0.0.1:{port}", count, own, heartbeat_timeout_seconds=10, shutdown_timeout_seconds=10)
import numpy as np
from netdsl import *

inputs = np.random.default_rng(4).normal(size=(45, 1, 5, 5)).astype(np.float32)
DATA, VALIDATION = (inputs, np.arange(45) % 3 + 1), (inputs[:7] + 1, np.arange(7) % 3 + 1)
LAYERS = [ConvolutionLayer(3, 3, Biases=None), BatchNormalizationLayer(), Ramp, DropoutLayer(0.3), FlattenLayer(), 3, SoftmaxLayer()]

def bits(net):
    return hashlib.sha256(b"".join(np.asarray(value).tobytes() for value in {**net.arrays, **net.state}.values())).hexdigest()

def train(data=DATA, property=All, layers=LAYERS, **options):
    options = {"BatchSize": 9, "MaxTrainingRounds": 3, "ValidationSet": VALIDATION, "TrainingProgressReporting": None, **options}
    return NetTrain(NetChain(layers), data, property, **options)

def tell(**found):
    print("FOUND " + json.dumps(found), flush=True)
"""


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


def run(
    source: str, count: int = 2, timeout: float = 240, arguments: Any = (), kill_at: int = 0, **environment: str
) -> list[tuple[Any, str, int]]:
    """What each process told, all that it printed, and its exit status; all are killed as soon as this process gets a signal."""
    asked: list[int] = []
    before = signal.signal(kill_at, lambda *_: asked.append(1)) if kill_at else None
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("JAX_", "XLA_"))}
    port = free_port()
    started = [
        subprocess.Popen(
            [sys.executable, "-c", START + source, str(own), str(count), str(port), *map(str, arguments)],
            env={**kept, "NETDSL_CACHE_DIR": "off", **environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for own in range(count)
    ]
    try:
        ended = time.monotonic() + timeout
        while kill_at and not asked and time.monotonic() < ended and started[0].poll() is None:
            time.sleep(0.01)
        for process in started if asked else []:
            process.kill()
        texts = [process.communicate(timeout=max(ended - time.monotonic(), 1))[0] for process in started]
    finally:
        for process in started:
            process.kill()  # JAX catches what asks more gently
        if kill_at:
            signal.signal(kill_at, before)
    told = [re.findall("^FOUND (.*)$", text, re.MULTILINE) for text in texts]
    return [(json.loads(lines[-1]) if lines else None, text, p.returncode) for lines, text, p in zip(told, texts, started)]


RESULTS = """
results = train(TargetDevice=DEVICE)
net = results("TrainedNet")
print("TIMED", results("TotalTrainingTime"))
tell(bits=bits(net), losses=[float(x) for x in results("BatchLossList")], best=results("BestValidationRound"),
     validation=[float(x) for x in results("ValidationLossList")], device=results("TargetDevice"),
     arrays=[float(x) for value in {**net.arrays, **net.state}.values() for x in np.asarray(value).ravel()],
     local=all(value.is_fully_addressable for value in net.arrays.values()),
     output=np.asarray(net(inputs[:2], None)).tolist(), seconds=results("TotalTrainingTime"))
"""


@pytest.fixture(scope="module")
def one_and_two() -> Any:
    """What one process found, and each of two."""
    source = 'DEVICE = ("CPU", 1)' + RESULTS
    return run(source, 1), run(source, 2)


def test_each_process_gives_all_devices_that_are_named(one_and_two: Any) -> None:
    """Four devices share batches of nine: parts of three, and one that is empty."""
    ((one, _, _),), _ = one_and_two
    flags = "--xla_force_host_platform_device_count=2"
    two = run('DEVICE = ("CPU", All)' + RESULTS, XLA_FLAGS=flags)
    for found, text, _ in two:
        assert found is not None, text
        assert found["device"] == "4 CPUs of 2 processes"
        assert found["bits"] == two[0][0]["bits"]
        for name in ("losses", "validation", "arrays", "output"):
            assert np.ravel(found[name]) == pytest.approx(np.ravel(one[name]), rel=1e-3, abs=1e-4), name


def test_two_processes_train_to_the_same_bits_and_the_numbers_of_one(one_and_two: Any) -> None:
    ((one, text, _),), two = one_and_two
    assert one is not None, text
    for found, text, status in two:
        assert found is not None, text
        assert status == 0
        assert found["bits"] == two[0][0]["bits"]
        assert found["losses"] == two[0][0]["losses"]
        for name in ("losses", "validation", "arrays"):
            assert found[name] == pytest.approx(one[name], rel=1e-3, abs=1e-4), name
        assert found["best"] == one["best"]
        assert found["device"] == "2 CPUs of 2 processes"
        assert found["local"], "what comes back belongs to the process"
        assert 0 < found["seconds"] < 200


STREAMED = """
import tempfile, h5py
from netdsl.symbols import File
from netdsl.training import capacity, streaming

pictures, classes = inputs, DATA[1]
path = tempfile.mkdtemp() + "/x.h5"
with h5py.File(path, "w") as file:
    file["Input"], file["Output"] = pictures, classes

class Source:
    def __init__(self, bad=None): self.bad = bad
    def __len__(self): return 45
    def __getitem__(self, i):
        if i == self.bad: raise ValueError("a worn disk")
        return {"Input": pictures[i], "Output": classes[i]}

def batches(info):
    start = 9 * ((info["AbsoluteBatch"] - 1) % 5)
    return {"Input": pictures[start : start + 9], "Output": classes[start : start + 9]}

def little():
    capacity.SMALL, capacity.SHARE, streaming.CHUNK_BYTES = 0, 0.0, 2000
"""


def test_streamed_data_train_two_processes_to_the_same_bits(one_and_two: Any) -> None:
    """As data in memory, though the memory of one process alone is little; for a function, the numbers of one process."""
    _, ((resident, _, _), _) = one_and_two
    source = (
        STREAMED
        + """
fits = capacity.fits
if own == 0:
    little()
streaming.CHUNK_BYTES = 2000
found = {}
for name, data in {"source": Source(), "file": File(path), "generator": [batches, {"RoundLength": 45}]}.items():
    results = train(data, TargetDevice=("CPU", 1))
    found[name] = bits(results("TrainedNet")), [float(x) for x in results("BatchLossList")]
tell(**found)
"""
    )
    two = run(source)
    ((one, text, _),) = run(source, 1)
    assert one is not None, text
    for found, text, _ in two:
        assert found is not None, text
        assert found["source"] == found["file"] == [resident["bits"], resident["losses"]]
        assert found["generator"][0] == two[0][0]["generator"][0]
        assert found["generator"][1] == pytest.approx(one["generator"][1], rel=1e-3, abs=1e-4)


def test_what_one_process_cannot_read_is_said_in_the_other() -> None:
    """Of the training data, of the validation data; and an iterator that ends in one process ends both."""
    source = (
        STREAMED
        + """
little()
said = []
for data, options in [(Source(7 if own else None), {}), (Source(), {"ValidationSet": Source(40 if own else None)})]:
    try:
        train(data, TargetDevice=("CPU", 1), **options)
    except Exception as error:
        said.append(str(error))
ended = (batches({"AbsoluteBatch": 1 + k}) for k in range(7 + 4 * own))
results = train([ended, {"RoundLength": 45}], TargetDevice=("CPU", 1), ValidationSet=None)
tell(said=said, batches=results("TotalBatches"), why=results("ReasonTrainingStopped"), bits=bits(results("TrainedNet")))
"""
    )
    (first, text, _), (second, _, _) = run(source)
    assert first is not None, text
    own, other = first.pop("said"), second.pop("said")
    assert [each.split(": Source[")[0] for each in other] == [
        "Example 8 of the training data cannot be read",
        "Example 41 of the validation data cannot be read",
    ]
    assert own == [f"Process 1 of this training stopped: DataError: {each}" for each in other]
    assert first == second
    assert [first["batches"], first["why"]] == [7, "ended with its data"]


def test_only_the_first_reports_and_time_is_the_same_for_all() -> None:
    """One is slow on the host: both stop after the same batch. A drawn seed is that of the first."""
    source = """
if own == 1:
    from netdsl.training import run
    consult = run.Training._consult
    run.Training._consult = lambda self, *of: (time.sleep(0.3), consult(self, *of))
results = train(MaxTrainingRounds=1000, TimeGoal=2, TrainingProgressReporting="Print", RandomSeeding=Automatic, TargetDevice="CPU")
tell(batches=results("TotalBatches"), bits=bits(results("TrainedNet")), seed=results("RandomSeeding"),
     why=results("ReasonTrainingStopped"))
"""
    (first, shown, _), (second, silent, _) = run(source)
    assert first is not None, shown
    assert first == second
    assert "TimeGoal" in first["why"]
    assert "NetTrain: 45 examples" in shown
    assert "2 CPUs of 2 processes" in shown
    assert "NetTrain: " not in silent


def test_functions_and_checkpoints_are_those_of_the_first(tmp_path: Path) -> None:
    """The function ends the training of both after the same batch; the second writes nothing."""
    source = f"""
seen = []
def look(facts):
    seen.append(facts["AbsoluteBatch"])
    return "StopTraining" if seen[-1] >= 6 else None
results = train(MaxTrainingRounds=5, TargetDevice=("CPU", 1), TrainingProgressFunction=[look, {{"Interval": Quantity(2, "Batches")}}],
                TrainingProgressCheckpointing=["Directory", {str(tmp_path)!r} + f"/{{own}}", {{"Interval": Quantity(3, "Batches")}}])
tell(batches=results("TotalBatches"), bits=bits(results("TrainedNet")), why=results("ReasonTrainingStopped"), seen=seen,
     files=len(results("CheckpointingFiles")))
"""
    (first, text, _), (second, _, _) = run(source)
    assert first is not None, text
    assert [found.pop("seen") for found in (first, second)] == [[2, 4, 6], []]
    assert [found.pop("files") for found in (first, second)] == [2, 0]
    assert first == second
    assert first["why"] == "stopped by the TrainingProgressFunction"
    assert [path.name for path in tmp_path.iterdir()] == ["0"]


CAUGHT = """
try:
    train({})
except Exception as error:
    tell(kind=type(error).__name__, said=str(error))
"""


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ("BatchSize=9 + own", "  BatchSize: 9 in process 0, 10 in process 1"),
        ("**({'LearningRate': 0.1} if own else {})", "  LearningRate: not given in process 0, 0.1 in process 1"),
        ("data=(inputs[: 45 - own], DATA[1][: 45 - own])", "  training data: 45 examples ("),
        ("data=(inputs + own, DATA[1])", "  training data: 45 examples ("),
        ("ValidationSet=(inputs[: 7 + own], DATA[1][: 7 + own])", "  validation data: 7 examples ("),
        ("layers=[FlattenLayer(), 3 + own, 3, SoftmaxLayer()]", "  net: NetGraph ("),
        ("RandomSeeding=1 + own", "  RandomSeeding: 1 in process 0, 2 in process 1"),
    ],
)
def test_processes_that_do_not_agree(options: str, words: str) -> None:
    for found, text, _ in run(CAUGHT.format(options)):
        assert found is not None, text
        assert found["kind"] == "TrainingError"
        assert found["said"].startswith("The 2 processes of this training do not agree:\n")
        assert words in found["said"]
        assert found["said"].endswith("Every process runs the same script with the same net, data and options.")


def test_what_fails_in_one_process_is_said_in_the_other() -> None:
    (first, text, _), (second, _, _) = run(CAUGHT.format("BatchSize='many' if own else 9"))
    assert second["kind"] == "DeclarationError", text
    assert first["kind"] == "TrainingError"
    assert first["said"].startswith("Process 1 of this training stopped: DeclarationError: BatchSize is ")


def test_what_fails_on_the_host_between_batches_is_said_in_the_other() -> None:
    source = """
if own == 0:
    from netdsl.training import run
    def consult(self, *of):
        raise ValueError("the host's own trouble")
    run.Training._consult = consult
"""
    (first, text, _), (second, _, _) = run(source + CAUGHT.format(""))
    assert first["kind"] == "ValueError", text
    assert second["said"] == "Process 0 of this training stopped: ValueError: the host's own trouble"


def test_both_fail_alike() -> None:
    for found, text, _ in run(CAUGHT.format("data=(inputs * np.inf, DATA[1])")):
        assert found is not None, text
        assert "of this training stopped" not in found["said"]


def test_a_process_that_dies_ends_the_training_of_the_other_soon() -> None:
    source = """
if own == 1:
    from netdsl.training import run
    def consult(self, *of):
        os._exit(9)
    run.Training._consult = consult
began = time.time()
try:
    train(MaxTrainingRounds=1000)
except Exception as error:
    tell(kind=type(error).__name__, said=str(error), seconds=time.time() - began)
    os._exit(0)
"""
    (first, text, _), (_, _, status) = run(source)
    assert status == 9
    assert first is not None, text
    assert first["kind"] == "TrainingError", first
    assert first["said"].startswith("Process 0 of this training lost the others: one of the 2 has ended, or cannot be reached.")
    assert first["seconds"] < 60


GOING_ON = """
import os, signal
folder = sys.argv[4]
def bits_of(results):
    return [bits(results("TrainedNet")), bits(results("TrainingNet")), *(
        hashlib.sha256(results(name).tobytes()).hexdigest() for name in ("BatchLossList", "ValidationLossList", "RoundPositions")),
        results("BestValidationRound"), results("TotalBatches")]

def going_on(place="killed", **options):  # only the first process has the folder
    where = ["Directory", folder + "/" + str(own) + place, {"Interval": Quantity(2, "Batches"), "Resume": True}]
    return train(TargetDevice=("CPU", 1), MaxTrainingRounds=6, TrainingProgressCheckpointing=where, **options)
"""

KILLED = """
from netdsl.training import checkpoints
write, written = checkpoints._write, []
def killing(path, parts):
    written.append(path)
    write(path, parts)
    if len(written) == 8:
        os.kill(os.getppid(), signal.SIGUSR1)
        time.sleep(60)
checkpoints._write = killing
going_on()
"""

RESUMED = """
batches = []
def look(facts):
    batches.append(facts["AbsoluteBatch"])
often = [look, {"Interval": Quantity(1, "Batches")}]
first = bits_of(going_on(TrainingProgressFunction=often))
again = bits_of(going_on())
whole = bits_of(train(TargetDevice=("CPU", 1), MaxTrainingRounds=6))
try:
    going_on(LearningRate=0.1)
except TrainingError as error:
    said = str(error)
try:
    train(TargetDevice=("CPU", 1), TrainingProgressCheckpointing=["File", folder + "/p.netdsl", {"Resume": folder + "/none.netdsl"}])
except (DeclarationError, TrainingError) as error:
    none = type(error).__name__ + ": " + str(error)
late = going_on("late", TimeGoal=1e-9)
tell(first=first, again=again, whole=whole, batches=batches[:1], said=said, none=none,
     late=[going_on("late", TimeGoal=1e-9)(name) for name in ("TotalBatches", "ReasonTrainingStopped")] == [late(name) for name in
         ("TotalBatches", "ReasonTrainingStopped")])
"""


@pytest.mark.skipif(os.name != "posix", reason="needs signals")
def test_both_are_killed_and_go_on_to_the_same_bits(tmp_path: Path) -> None:
    """Only the first process has the checkpoints; the other gets from it what they hold, and what is wrong with them."""
    run(GOING_ON + KILLED, arguments=[tmp_path], kill_at=signal.SIGUSR1)
    assert [path.name for path in tmp_path.iterdir()] == ["0killed"]
    files = [path for path in (tmp_path / "0killed").iterdir() if path.suffix == ".netdsl"]
    assert len(files) == 8
    (first, text, _), (second, _, _) = run(GOING_ON + RESUMED, arguments=[tmp_path])
    assert first is not None, text
    assert first["first"] == first["again"] == first["whole"]
    assert (first["batches"], second["batches"]) == ([17], [])
    for name in ("first", "again", "whole", "late"):
        assert first[name] == second[name], name
    assert first["late"]
    assert "is of another training:\n  learning rate: 0.001 there, 0.1 here" in first["said"]
    assert second["said"] == f"Process 0 of this training stopped: TrainingError: {first['said']}"
    assert first["none"].startswith("DeclarationError: There is no checkpoint ")
    assert second["none"] == f"TrainingError: Process 0 of this training stopped: {first['none']}"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["0killed", "0late"]
