"""What is said when memory runs out while a net is evaluated or measured; nothing is left behind."""

from __future__ import annotations

import gc

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from netdsl import (
    ClassifierMeasurements,
    DeviceError,
    LinearLayer,
    LongShortTermMemoryLayer,
    NetChain,
    NetDecoder,
    NetInitialize,
    NetMapOperator,
    NetMeasurements,
    PredictorMeasurements,
    Ramp,
    Rule,
    SoftmaxLayer,
    Tanh,
)
from netdsl.lowering import Attempt, explained
from netdsl.lowering import evaluation as of_nets
from netdsl.lowering import parts as of_parts
from netdsl.lowering.exhaustion import wire_elements
from netdsl.measurements import evaluation as of_measurements

OUT_OF_MEMORY = jax.errors.JaxRuntimeError(
    "RESOURCE_EXHAUSTED: Out of memory while trying to allocate 123456789 bytes. [tf-allocator-allocation-error='']\n"
    "BufferAssignment OOM Debugging.\nmany lines more"
)
NET = NetInitialize(NetChain([5, Tanh, 2], Input=3))
X = np.random.default_rng(1).normal(size=(100, 3)).astype(np.float32)


@pytest.fixture
def failing(monkeypatch):
    """Has every compiled function of evaluation and measurements raise an error, until told to stop."""

    def fail(error):
        def raises(*arguments):
            raise error

        for module in (of_nets, of_parts, of_measurements):
            monkeypatch.setattr(module, "compiled", lambda key, make: raises)
        return monkeypatch.undo

    return fail


def message_of(call):
    with pytest.raises(DeviceError) as caught:
        call()
    assert caught.value.results is None
    return str(caught.value)


# Evaluation


def test_evaluation(failing):
    expected = NET(X)
    mend = failing(OUT_OF_MEMORY)
    # wires: 3 + 5 + 5 + 2 numbers; a batch of inputs and all outputs: 64·3 + 100·2; arrays: 3·5 + 5 + 5·2 + 2
    assert message_of(lambda: NET(X, BatchSize=64)) == (
        "Evaluating this NetChain ran out of memory on the CPU for 100 examples, with batches of 64.\n"
        "  data         1.57 kB  (a batch of inputs and all outputs)\n"
        "  arrays       128 bytes\n"
        "  activations  3.84 kB  (about 60 bytes for each example)\n"
        "  XLA said     Out of memory while trying to allocate 123456789 bytes.\n"
        "Try BatchSize=32."
    )
    assert message_of(lambda: NET(X[:3])).endswith("Try BatchSize=2."), "of the batch that was computed"
    mend()
    np.testing.assert_array_equal(NET(X), expected)
    np.testing.assert_allclose(NET(X, BatchSize=32), expected, rtol=1e-5, atol=1e-6)


def test_a_batch_of_one_has_other_advice(failing):
    failing(OUT_OF_MEMORY)
    text = message_of(lambda: NET(X[0]))
    assert text.startswith("Evaluating this NetChain ran out of memory on the CPU for 1 example, with batches of 1.\n")
    assert text.endswith(
        "\nThe batch is one example already: a net with smaller layers, smaller inputs, or a TargetDevice with more memory can help."
    )


@pytest.mark.parametrize(("precision", "each"), [("Real32", "60 bytes"), ("Real64", "120 bytes"), ("Mixed", "30 bytes")])
def test_precisions_need_more_or_less(failing, precision, each):
    failing(OUT_OF_MEMORY)
    assert f"(about {each} for each example)" in message_of(lambda: NET(X, WorkingPrecision=precision))


def test_memory_of_the_host(failing):
    failing(MemoryError("Unable to allocate 71.1 PiB for an array with shape (100000000, 100000000)"))
    lines = message_of(lambda: NET(X)).splitlines()
    assert lines[0] == "Evaluating this NetChain ran out of memory on this computer for 100 examples, with batches of 128."
    assert lines[-2] == "  Python said  Unable to allocate 71.1 PiB for an array with shape (100000000, 100000000)"
    failing(MemoryError())
    assert "said" not in message_of(lambda: NET(X))


@pytest.mark.parametrize("text", ["INTERNAL: the cat walked over it", "INVALID_ARGUMENT: no memory", ""])
def test_other_errors_pass_unchanged(failing, text):
    error = jax.errors.JaxRuntimeError(text)
    failing(error)
    with pytest.raises(jax.errors.JaxRuntimeError) as caught:
        NET(X)
    assert caught.value is error


def test_memory_really_runs_out_and_the_next_call_works():
    planes = NetChain([lambda x: x + jnp.zeros([10**7, 10**7])], Input="Real")
    text = message_of(lambda: planes([1.0, 2.0]))
    assert "  activations  800 TB  (about 400 TB for each example)\n  XLA said     Out of memory" in text
    assert NET(X).shape == (100, 2)
    assert message_of(lambda: planes([1.0, 2.0])) == text


def test_what_was_allocated_is_let_go_while_the_error_is_kept():
    big = NetChain([lambda x: jnp.concatenate([x, jnp.zeros([10**14])])], Input=1000)
    given = jnp.ones((50, 1000))
    gc.collect()
    before = len(jax.live_arrays())
    with pytest.raises(DeviceError) as caught:
        big(given, BatchSize=10)
    assert len(jax.live_arrays()) == before
    assert caught.value.__context__ is None


# Measurements


CLASSIFIER = NetInitialize(NetChain([2, SoftmaxLayer()], Input=3, Output=NetDecoder("Class", ["a", "b"])))
LABELS = Rule(X, ["a", "b"] * 50)
NUMBERS = Rule(X, X[:, :2])


@pytest.mark.parametrize(
    ("function", "net", "data", "measurement", "options", "advice"),
    [
        (NetMeasurements, CLASSIFIER, LABELS, "Accuracy", {"BatchSize": 64}, "Try BatchSize=32."),
        (ClassifierMeasurements, CLASSIFIER, LABELS, "Accuracy", {}, "Try NetMeasurements, which takes BatchSize=64."),
        (PredictorMeasurements, NET, NUMBERS, "RSquared", {}, "Try NetMeasurements, which takes BatchSize=64."),
    ],
    ids=lambda value: getattr(value, "__name__", None),
)
def test_measurements(failing, function, net, data, measurement, options, advice):
    expected = function(net, data, measurement, **options)
    mend = failing(OUT_OF_MEMORY)
    lines = message_of(lambda: function(net, data, measurement, **options)).splitlines()
    batch = options.get("BatchSize", 128)
    assert lines[0] == f"{function.__name__} ran out of memory on the CPU for 100 examples, with batches of {batch}."
    assert [line.split()[0] for line in lines[1:-1]] == ["data", "arrays", "activations", "XLA"]
    assert lines[-1] == advice
    mend()
    assert function(net, data, measurement, **options) == expected


def test_measuring_a_single_example(failing):
    measured = PredictorMeasurements(NET, NUMBERS)
    failing(OUT_OF_MEMORY)
    text = message_of(lambda: measured("EvaluationTime"))
    assert text.startswith("PredictorMeasurements ran out of memory on the CPU for 1 example, with batches of 1.\n")


# The mechanism


class Device:
    """A device as JAX shows it."""

    def __init__(self, platform="gpu", kind="NVIDIA H100", stats=None):
        self.platform, self.device_kind, self.stats = platform, kind, stats

    def memory_stats(self):
        """What the device tells, or raises."""
        if isinstance(self.stats, Exception):
            raise self.stats
        return self.stats


@pytest.mark.parametrize(
    ("device", "named", "row"),
    [
        (Device(stats={"bytes_limit": 80 * 10**9}), "GPU (NVIDIA H100)", "  the device   has 80 GB\n"),
        (Device(stats={}), "GPU (NVIDIA H100)", ""),
        (Device("cpu", "cpu", jax.errors.JaxRuntimeError("UNIMPLEMENTED")), "CPU", ""),
        (Device("tpu", ""), "TPU", ""),
    ],
    ids=lambda value: value.platform if isinstance(value, Device) else "",
)
def test_devices(device, named, row):
    results = object()
    attempt = Attempt("NetTrain", "in round 3", NET, 7, device, 2_500_000, 400, training=True, results=results, kept=" And more.")
    with pytest.raises(DeviceError) as caught, explained(lambda: attempt):
        raise jax.errors.JaxRuntimeError("RESOURCE_EXHAUSTED")
    assert str(caught.value) == (
        f"NetTrain ran out of memory on the {named} in round 3, with batches of 7.\n"
        "  data         2.5 MB\n"
        "  arrays       400 bytes  (with gradients and what the method keeps)\n"
        "  activations  840 bytes  (about 120 bytes for each example, with gradients)\n"
        f"{row}"
        "Try BatchSize=3. And more."
    )
    assert caught.value.results is results


def test_the_attempt_is_asked_for_only_when_memory_runs_out():
    asked = []
    with explained(lambda: asked.append(1)):
        pass
    with pytest.raises(ValueError, match="RESOURCE_EXHAUSTED"), explained(lambda: asked.append(1)):
        raise ValueError("RESOURCE_EXHAUSTED is only a word here")
    assert asked == []


def test_wires_of_operators_and_sequences_are_counted():
    mapped = NetChain([NetMapOperator(NetChain([4, Ramp])), LinearLayer(2)], Input=[6, 3])
    # input 6·3, inside for each of 6: 3 + 4 + 4, mapped 6·4, output 2
    assert wire_elements(mapped.solved, 1) == 18 + 66 + 24 + 2
    varying = NetChain([LongShortTermMemoryLayer(5)], Input=["Varying", 3])
    assert wire_elements(varying.solved, 10) == 30 + 50


def test_the_longest_sequence_counts(failing):
    net = NetInitialize(NetChain([LongShortTermMemoryLayer(5)], Input=["Varying", 3]))
    failing(OUT_OF_MEMORY)
    assert "(about 320 bytes for each example)" in message_of(lambda: net([np.ones((10, 3)), np.ones((4, 3))]))
