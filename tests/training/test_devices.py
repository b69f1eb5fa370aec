"""Several devices train and evaluate a net to the numbers of one; what TargetDevice means; what is said of devices not there."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import Any

import jax
import numpy as np
import pytest

from netdsl import All, Automatic, DeclarationError, DeviceError, NetChain, NetInitialize, NetTrain, UnsupportedError
from netdsl.lowering import devices
from netdsl.lowering.devices import devices_named, devices_text

pytestmark = pytest.mark.slow

DATA = np.linspace(-1, 1, 60).reshape(20, 3).astype(np.float32), np.linspace(-1, 1, 20).astype(np.float32)[:, None]

# Eight devices, in a process of their own

CASES = """
import hashlib, json, sys
import jax
import numpy as np
from netdsl import *
from netdsl.lowering import compilations

def normal(*sizes):
    return np.random.default_rng(4).normal(size=sizes).astype(np.float32)

def pictures():
    layers = [ConvolutionLayer(3, 3, Biases=None), BatchNormalizationLayer(), Ramp, DropoutLayer(0.4), FlattenLayer(), 3,
              SoftmaxLayer()]
    inputs, classes = normal(53, 1, 6, 6), np.arange(53) % 3 + 1
    return NetInitialize(NetChain(layers, Input=[1, 6, 6])), (inputs, classes), (inputs[:19] + 1, classes[:19])

def sequences():
    inner = NetChain([LinearLayer(4, Biases=None), BatchNormalizationLayer(), Ramp])
    layers = [NetMapOperator(inner), BatchNormalizationLayer(Interleaving=True), SequenceLastLayer(), 2]
    data = [normal(2 + i * i % 5, 3) + i / 10 for i in range(31)]
    return NetInitialize(NetChain(layers, Input=["Varying", 3])), (data, normal(31, 2)), (data[:9], normal(9, 2))

def trained(make, **options):
    net, data, validation = make()
    options = {"MaxTrainingRounds": 2, "ValidationSet": validation, **options}
    return NetTrain(net, data, All, TrainingProgressReporting=None, **options)

def arrays(net):
    return {path: np.asarray(value) for path, value in {**net.arrays, **net.state}.items()}

def bits(net):
    return hashlib.sha256(b"".join(value.tobytes() for value in arrays(net).values())).hexdigest()

def apart(one, many):
    found = [np.max(np.abs(many(name) - one(name))) for name in ("BatchLossList", "RoundLossList", "ValidationLossList")]
    for name in ("BatchMeasurementsLists", "ValidationMeasurementsLists"):
        found += [np.max(np.abs(np.subtract(many(name)[kind], values))) for kind, values in one(name).items()]
    nets = [arrays(results("TrainedNet")) for results in (one, many)]
    return float(max(found + [np.max(np.abs(nets[1][path] - value)) for path, value in nets[0].items()]))
"""

EIGHT = """
found = {"devices": len(jax.devices())}
for name, make, options in [
    ("pictures", pictures, {"BatchSize": 16}),
    ("not divided", pictures, {"BatchSize": 13}),
    ("momentum", pictures, {"BatchSize": 11, "Method": ["SGD", {"Momentum": 0.9}], "LearningRate": 0.05}),
    ("sequences", sequences, {"BatchSize": 8}),
    ("sequences, not divided", sequences, {"BatchSize": 9}),
    ("float64", sequences, {"BatchSize": 9, "WorkingPrecision": "Real64"}),
]:
    one, eight = (trained(make, TargetDevice=("CPU", count), **options) for count in (1, 8))
    found[name] = [apart(one, eight), float(np.ptp(one("BatchLossList")))]
    if name == "not divided":
        found["words"] = [one("TargetDevice"), eight("TargetDevice")]
        before = compilations()
        again = trained(make, TargetDevice=("CPU", 8), **{**options, "MaxTrainingRounds": 3, "RandomSeeding": 3})
        found["compiled again"] = compilations() - before
        again = trained(make, TargetDevice=("CPU", 8), **options)
        found["again"] = bits(again("TrainedNet")) == bits(eight("TrainedNet"))
        net = eight("TrainedNet")
        found["where"] = {str(device) for value in net.arrays.values() for device in value.devices()} == {str(jax.devices()[0])}
        x = normal(21, 1, 6, 6)
        def off(x, wanted):
            return float(np.max(np.abs(net(x, wanted, TargetDevice=("CPU", 8)) - net(x, wanted))))
        found["evaluated"] = [off(x[:n], None) for n in (1, 5, 21)]
        found["gradient"] = off(x, NetPortGradient("Input"))
        found["of jax"] = str(type(net(jax.numpy.asarray(x), None, TargetDevice=("CPU", 8))).__name__)
    if name == "sequences":
        net, (data, _), _ = make()
        pairs = zip(net(data, TargetDevice=("CPU", 8)), net(data))
        found["evaluated sequences"] = float(max(np.max(np.abs(a - b)) for a, b in pairs))
print(json.dumps(found))
"""

STREAMED = """
import os, tempfile, h5py
from netdsl.symbols import File
from netdsl.training import capacity, streaming

inputs, targets = normal(90, 4), normal(90, 4)[:, :2]
place = os.path.join(tempfile.mkdtemp(), "x.h5")
with h5py.File(place, "w") as file:
    file["Input"], file["Output"] = inputs, targets

class Source:
    def __len__(self): return len(inputs)
    def __getitem__(self, i): return {"Input": inputs[i], "Output": targets[i]}

class Sequences:
    def __init__(self, count): self.inputs = [normal(1 + i * i % 11, 3) + i for i in range(count)]
    def __len__(self): return len(self.inputs)
    def __getitem__(self, i): return {"Input": self.inputs[i] / 10, "Output": targets[i]}

def batches(info):
    start = 9 * (info["AbsoluteBatch"] - 1) % 90
    return {"Input": inputs[start : start + 9], "Output": targets[start : start + 9]}

def dense(data):
    return lambda: (NetInitialize(NetChain([8, Ramp, DropoutLayer(0.3), 2], Input=4)), data, (inputs[:17] + 1, targets[:17]))

def varying(data):
    layers = [NetMapOperator(LinearLayer(3)), SequenceLastLayer(), 2]
    return lambda: (NetInitialize(NetChain(layers, Input=["Varying", 3])), data, Sequences(12))

DATA = {"source": Source(), "file": File(place), "generator": [batches, {"RoundLength": 90}], "sequences": Sequences(90)}
make = {name: (varying if name == "sequences" else dense)(data) for name, data in DATA.items()}
resident = trained(dense((inputs, targets)), BatchSize=9, TargetDevice=("CPU", 8))
capacity.SMALL, capacity.SHARE, streaming.CHUNK_BYTES = 0, 0.0, 1000
for name in DATA:
    many = trained(make[name], BatchSize=9, TargetDevice=("CPU", 8))
    one = resident if name in ("source", "file") else trained(make[name], BatchSize=9, TargetDevice=("CPU", 1))
    found["streamed " + name] = [apart(one, many), float(np.ptp(one("BatchLossList")))]
    found["the bits of " + name] = bits(one("TrainedNet")) == bits(many("TrainedNet"))
print(json.dumps(found))
"""


def process(source: str, **environment: str) -> Any:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("JAX_") and name != "NETDSL_CPU_CORES"}
    done = subprocess.run(
        [sys.executable, "-c", source],
        env={**kept, "NETDSL_CACHE_DIR": "off", "JAX_PLATFORMS": "cpu", **environment},
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


@pytest.fixture(scope="module")
def eight() -> Any:
    """What eight virtual CPU devices found."""
    return process(CASES + EIGHT + STREAMED, XLA_FLAGS="--xla_force_host_platform_device_count=8")


@pytest.mark.parametrize("case", ["pictures", "not divided", "momentum", "sequences", "sequences, not divided", "float64"])
def test_eight_devices_train_to_the_numbers_of_one(case: str, eight: Any) -> None:
    assert eight["devices"] == 8
    difference, range_ = eight[case]
    assert difference < (1e-10 if case == "float64" else 2e-4)
    assert range_ > 1e-2, "it learns something"


@pytest.mark.parametrize("form", ["source", "file", "generator", "sequences"])
def test_eight_devices_train_on_streamed_data(form: str, eight: Any) -> None:
    """To the bits of data in memory; where there are none, to the numbers of one device."""
    difference, range_ = eight["streamed " + form]
    assert difference < 2e-4
    assert range_ > 1e-2, "it learns something"
    if form in ("source", "file"):
        assert eight["the bits of " + form]


def test_what_eight_devices_make_is_like_what_one_makes(eight: Any) -> None:
    assert eight["again"], "the same bits each time"
    assert eight["compiled again"] == 0
    assert eight["words"] == ["CPU", "8 CPUs"]
    assert eight["where"], "the arrays are on the first device"


def test_eight_devices_evaluate_to_the_numbers_of_one(eight: Any) -> None:
    assert max(eight["evaluated"]) < 1e-6
    assert eight["evaluated sequences"] < 1e-5
    assert eight["gradient"] < 1e-5
    assert eight["of jax"] == "ArrayImpl"


# What TargetDevice means


class Fake:
    """A device that is not there."""

    def __init__(self, platform: str, number: int, process: int = 0) -> None:
        self.platform, self.id, self.process_index, self.device_kind = platform, number, process, f"Made-up {number}"


@pytest.fixture
def four(monkeypatch: pytest.MonkeyPatch) -> list[Fake]:
    """Four GPUs."""
    made = [Fake("gpu", number) for number in range(4)]
    monkeypatch.setattr(devices.jax, "local_devices", lambda backend=None: made if backend != "cpu" else [Fake("cpu", 0)])
    return made


@pytest.mark.parametrize(
    ("setting", "places"),
    [
        ("GPU", [0]),
        ("gpu", [0]),
        ("CUDA", [0]),
        (("GPU", 1), [0]),
        (["GPU", 3], [2]),
        (("GPU", np.int64(3)), [2]),
        (("GPU", [2]), [1]),
        (("GPU", [4, 1]), [3, 0]),
        (("GPU", All), [0, 1, 2, 3]),
        (("CUDA", All), [0, 1, 2, 3]),
    ],
)
def test_gpus_by_number(setting: Any, places: list[int], four: list[Fake]) -> None:
    target = devices_named(setting)
    assert list(target.devices) == [four[place] for place in places]
    assert target.device is four[places[0]]
    assert devices_text(target.device, target.devices) == ("GPU" if len(places) == 1 else f"{len(places)} GPUs")


def test_cpus_by_how_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(devices, "cores_available", lambda: 4)
    monkeypatch.setattr(devices, "core_devices", lambda count: tuple(range(count)))
    own = jax.local_devices(backend="cpu")
    assert devices_named(Automatic) == (None, ())
    assert devices_named("CPU") == (own[0], ())
    assert devices_named(("CPU", 1)) == (own[0], (own[0],))
    assert devices_named(("CPU", 3)).devices == (0, 1, 2)
    assert devices_named(("CPU", All)).devices == (0, 1, 2, 3)


@pytest.mark.parametrize(
    ("setting", "error", "words"),
    [
        (("GPU", 0), DeclarationError, "numbers count from 1, each once. Got ('GPU', 0)."),
        (("GPU", [1, 1]), DeclarationError, "numbers count from 1, each once. Got ('GPU', [1, 1])."),
        (("GPU", []), DeclarationError, "numbers count from 1, each once."),
        (("GPU", True), DeclarationError, "numbers count from 1, each once."),
        (("GPU", 1.5), DeclarationError, "numbers count from 1, each once."),
        (("GPU", "all"), DeclarationError, "numbers count from 1, each once."),
        (("GPU", 1, 2), DeclarationError, 'TargetDevice is "CPU", "GPU", "TPU", or a pair'),
        (7, DeclarationError, 'TargetDevice is "CPU", "GPU", "TPU", or a pair'),
        (("CPU", [1, 2]), DeclarationError, 'CPU devices have no numbers: ("CPU", n) takes n of them.'),
        (("CPU", 99), DeviceError, "XLA_FLAGS=--xla_force_host_platform_device_count=99 before JAX is used first"),
        (("GPU", 5), DeviceError, "JAX sees 4 GPUs here, numbered from 1: Made-up 0, Made-up 1, Made-up 2 and Made-up 3."),
        (("GPU", [1, 9]), DeviceError, "JAX sees 4 GPUs here, numbered from 1: "),
    ],
)
def test_settings_that_mean_nothing_here(setting: Any, error: type[Exception], words: str, four: list[Fake]) -> None:
    with pytest.raises(error) as caught:
        devices_named(setting)
    assert words in str(caught.value)


@pytest.mark.parametrize("setting", ["TPU", ("TPU", All), ("TPU", 2)])
def test_a_platform_that_is_not_there(setting: Any) -> None:
    with pytest.raises(DeviceError, match="there is no TPU that JAX can use here; it sees "):
        devices_named(setting)


def test_what_is_done_on_one_device_refuses_several(four: list[Fake]) -> None:
    assert devices.device_named(("GPU", [2])) is four[1]
    with pytest.raises(UnsupportedError, match=r"this is done on one device\. A net and NetTrain take several\."):
        devices.device_named(("GPU", All))


def test_a_batch_with_fewer_examples_than_devices(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(devices, "cores_available", lambda: 4)
    monkeypatch.setattr(devices, "core_devices", lambda count: tuple(jax.devices() * count))
    with pytest.raises(DeclarationError, match=r"^Batches of 3 cannot be shared by 4 devices: each needs an example\."):
        NetTrain(NetChain([1]), DATA, TargetDevice=("CPU", 4), BatchSize=3, TrainingProgressReporting=None)


def test_one_cpu_is_one_device() -> None:
    """Where "CPU" would share the work among cores."""
    from netdsl.training.run import Training
    from netdsl.training.settings import settings_of

    net = NetInitialize(NetChain([1], Input=3))
    assert Training(net, DATA, settings_of({"TargetDevice": ("CPU", 1)})).plan.mesh is None
