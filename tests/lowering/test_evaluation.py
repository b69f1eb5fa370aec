"""Evaluation: one and many, ports, properties, inner activations, options, what is refused."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from netdsl import (
    All,
    BatchNormalizationLayer,
    DropoutLayer,
    ElementwiseLayer,
    EmbeddingLayer,
    LinearLayer,
    LongShortTermMemoryLayer,
    MeanSquaredLossLayer,
    NetArray,
    NetArrayLayer,
    NetChain,
    NetDecoder,
    NetEncoder,
    NetGraph,
    NetInitialize,
    NetPort,
    Plus,
    Ramp,
    Restricted,
    Rule,
    SequenceLastLayer,
    SoftmaxLayer,
    Tanh,
    ThreadingLayer,
)
from netdsl.errors import (
    DeclarationError,
    DeviceError,
    EncodingError,
    PartError,
    ShapeError,
    UninitializedError,
)

IDENTITY = NetChain({"double": LinearLayer(2, Weights=2 * np.eye(2), Biases=None), "ramp": Ramp, "p": SoftmaxLayer()}, Input=2)
CLASSES = NetChain([LinearLayer(3, Weights=np.eye(3), Biases=None), SoftmaxLayer()], Output=NetDecoder("Class", ["a", "b", "c"]))
TWO = NetGraph({"a": Ramp, "b": Tanh}, [(NetPort("Input"), ["a", "b"])], Input=2)
X = [1.0, -2.0]
P = np.exp([2, 0]) / np.exp([2, 0]).sum()


def same(a, b):
    assert np.shape(a) == np.shape(b)
    np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    "form", [X, tuple(X), np.array(X), np.array(X, np.float64), np.array([1, -2]), jnp.array(X), np.array(X, np.float16)]
)
def test_one_example(form):
    same(IDENTITY(form), P)


@pytest.mark.parametrize("form", [[X, X], np.array([X, X]), (X, X), [np.array(X), X], jnp.array([X, X]), {"Input": [X, X]}])
def test_many(form):
    same(IDENTITY(form), [P, P])


def test_kinds_of_results():
    assert type(IDENTITY(X)) is np.ndarray
    assert isinstance(IDENTITY(jnp.array(X)), jax.Array)
    assert type(MeanSquaredLossLayer()({"Input": X, "Target": X})) is float
    assert MeanSquaredLossLayer(Input=2)({"Input": [X], "Target": [X]}).shape == (1,)
    assert IDENTITY([]) == []
    assert TWO([]) == {"Output1": [], "Output2": []}
    assert IDENTITY(np.zeros((0, 2))) == []


def test_numbers_beyond_single_precision_are_infinite():
    assert ElementwiseLayer(Ramp)([1e300, -1e300]).tolist() == [np.inf, 0]


def test_rank_decides_one_or_many():
    layer = ElementwiseLayer(Ramp)
    same(layer([[1.0, -1.0]]), [[1, 0]])
    same(ElementwiseLayer(Ramp, Input="Real")([1.0, -1.0]), [1, 0])
    assert ElementwiseLayer(Ramp, Input="Real")(-1.0) == 0
    varying = SequenceLastLayer(Input=["Varying", 2])
    same(varying([X]), X)
    same(np.stack(varying([[X], [X, [0, 0]]])), [X, [0, 0]])
    same(np.stack(varying(np.ones((3, 4, 2)))), np.ones((3, 2)))


def test_ports_and_named_outputs():
    made = TWO(X)
    assert list(made) == ["Output1", "Output2"]
    same(made["Output1"], [1, 0])
    same(TWO(X, "Output2"), np.tanh(X))
    assert list(TWO(X, All)) == ["Output1", "Output2"]
    assert list(IDENTITY(X, All)) == ["Output"]
    same(IDENTITY(X, All)["Output"], P)
    same(IDENTITY(X, "Output"), P)
    first, second = TWO(X, ["Output2", "Output1"])
    same(first, np.tanh(X))
    same(second, [1, 0])
    assert list(TWO([X, X, X], None)) == ["Output1", "Output2"]


def test_inner_activations():
    same(IDENTITY(X, NetPort("double", "Output")), [2, -4])
    same(IDENTITY(X, NetPort(["ramp", "Output"])), [2, 0])
    same(IDENTITY(X, NetPort(2, "Output")), [2, 0])
    same(IDENTITY(X, NetPort(-1, "Output")), P)
    same(IDENTITY(X, NetPort("ramp", "Input")), [2, -4])
    same(IDENTITY(X, NetPort("Output")), P)
    same(IDENTITY([X, X], NetPort("double", "Output")), [[2, -4]] * 2)
    deep = NetChain({"outer": IDENTITY, "last": Ramp})
    same(deep(X, NetPort("outer", "double", "Output")), [2, -4])
    same(deep(X, NetPort(["outer", 1, "Output"])), [2, -4])
    made = IDENTITY(X, [NetPort("double", "Output"), "Output", None])
    same(made[0], [2, -4])
    same(made[2], P)


def test_decoders_and_properties():
    x = [0.0, 3.0, 1.0]
    p = np.exp(x) / np.exp(x).sum()
    assert CLASSES(x) == "b"
    assert CLASSES([x, [9.0, 0, 0]]) == ["b", "a"]
    same(CLASSES(x, None), p)
    assert CLASSES(x, "Probabilities") == pytest.approx(dict(zip("abc", p)), rel=1e-5)
    assert [rule.key for rule in CLASSES(x, ["TopProbabilities", 2])] == ["b", "c"]
    assert CLASSES(x, ["TopDecisions", 2]) == ["b", "c"]
    assert CLASSES(x, Rule("TopDecisions", 1)) == ["b"]
    assert CLASSES(x, Rule("Output", "Decision")) == "b"
    assert CLASSES(x, ["Decision", "Entropy"])[0] == "b"
    assert CLASSES(x, All) == {"Output": "b"}
    assert "Entropy" in CLASSES(x, "Properties")
    assert CLASSES(x, "RandomSample", RandomSeeding=5) == CLASSES(x, "RandomSample", RandomSeeding=5)
    raw, decided = CLASSES([x, x], [None, "Decision"])
    same(raw, [p, p])
    assert decided == ["b", "b"]
    both = NetGraph({"net": CLASSES, "copy": Ramp}, [("net", NetPort("Class")), ("net", "copy")], Input=3)
    assert both(x, "Class") == "b"
    same(both(x, Rule("Class", None)), p)
    assert both(x)["Class"] == "b"


def test_encoders_decide_what_is_one():
    net = NetChain([EmbeddingLayer(2, Weights=[[1, 2], [3, 4]])], Input=NetEncoder("Class", ["yes", "no"]))
    same(net("no"), [3, 4])
    same(net(["no", "yes"]), [[3, 4], [1, 2]])
    with pytest.raises(EncodingError, match="maybe"):
        net("maybe")
    assert net([]) == []


def test_layers_of_any_number_of_inputs():
    a, b = [1.0, 2.0], [10.0, 20.0]
    same(ThreadingLayer(Plus)([a, b]), [11, 22])
    same(ThreadingLayer(Plus, InputPorts=2, Input1=2)([[a, a], [b, b]]), [[11, 22]] * 2)
    same(ThreadingLayer(Plus)({"Input1": a, "Input2": b}), [11, 22])
    with pytest.raises(EncodingError, match="takes a list of its inputs"):
        ThreadingLayer(Plus)(3.0)


def test_nets_without_inputs():
    same(NetArrayLayer(Array=[1.0, 2.0])(), [1, 2])
    same(NetChain([NetArrayLayer(Array=[1.0, -2.0]), Ramp])({}), [1, 0])


def test_training_mode_and_seeds():
    net = NetChain([DropoutLayer(0.5), Tanh], Input=50)
    x = np.ones(50)
    same(net(x), np.tanh(x))
    same(net(x, NetEvaluationMode="Test"), np.tanh(x))
    first = net(x, NetEvaluationMode="Train", RandomSeeding=3)
    same(first, net(x, NetEvaluationMode="Train", RandomSeeding=3))
    assert not np.array_equal(first, net(x, NetEvaluationMode="Train", RandomSeeding=4))
    assert not np.array_equal(net(x, NetEvaluationMode="Train"), net(x, NetEvaluationMode="Train"))
    same(net(x, NetEvaluationMode="Train", RandomSeeding="text"), net(x, NetEvaluationMode="Train", RandomSeeding="text"))
    two = net([x, x], NetEvaluationMode="Train", RandomSeeding=3)
    assert not np.array_equal(two[0], two[1])
    layers = NetGraph([DropoutLayer(), DropoutLayer()], [(NetPort("Input"), [1, 2])], Input=50)(
        x, NetEvaluationMode="Train", RandomSeeding=3
    )
    assert not np.array_equal(layers["Output1"], layers["Output2"])


def test_evaluation_in_training_mode_leaves_the_state():
    net = NetInitialize(BatchNormalizationLayer(Input=2))
    before = {path: np.array(value) for path, value in net.state.items()}
    net(np.random.default_rng(1).normal(size=(4, 2)), NetEvaluationMode="Train")
    assert all(np.array_equal(before[path], value) for path, value in net.state.items())


@pytest.mark.parametrize("size", [1, 3, np.int64(4), 7, 100])
def test_the_batch_size_does_not_matter(size):
    x = np.random.default_rng(1).normal(size=(7, 2))
    same(IDENTITY(x, BatchSize=size), IDENTITY(x))
    lstm = NetInitialize(LongShortTermMemoryLayer(2, Input=["Varying", 2]))
    sequences = [x[:n] for n in (3, 1, 7, 2, 5)]
    for a, b in zip(lstm(sequences, BatchSize=size), lstm(sequences)):
        same(a, b)


def test_devices():
    same(IDENTITY(X, TargetDevice="CPU"), P)
    same(IDENTITY(X, TargetDevice=("CPU", 1)), P)
    if all(device.platform != "gpu" for device in jax.devices()):
        with pytest.raises(
            DeviceError, match=r"^TargetDevice='GPU': there is no GPU that JAX can use here; it sees CPU\. Leave TargetDevice out"
        ):
            IDENTITY(X, TargetDevice="GPU")
    with pytest.raises(DeviceError, match="there are 1 such devices"):
        IDENTITY(X, TargetDevice=("CPU", 5))
    with pytest.raises(DeclarationError, match="TargetDevice is"):
        IDENTITY(X, TargetDevice="Abacus")


def test_unequal_lengths_where_equal_ones_are_needed():
    net = NetGraph(
        {"a": Ramp, "b": Tanh, "sum": Plus},
        [(NetPort("A"), "a"), (NetPort("B"), "b"), (["a", "b"], "sum")],
        A="Varying",
        B="Varying",
    )
    same(net({"A": [1.0, 2.0], "B": [0.0, 0.0]}), [1, 2])
    with pytest.raises(
        EncodingError, match=r"The ports 'A' and 'B' of this NetGraph take sequences of equal length. Got lengths 5 and 6\."
    ):
        net({"A": [1.0] * 5, "B": [1.0] * 6})
    with pytest.raises(EncodingError, match=r"Got lengths 1 and 2 in example 2\."):
        net({"A": [[1.0, 2.0], [1.0]], "B": [[1.0, 2.0], [1.0, 2.0]]})
    free = NetGraph({"a": Ramp, "b": Tanh}, [], Input1="Varying", Input2="Varying")
    made = free({"Input1": [1.0], "Input2": [0.0, 0.0]})
    assert (len(made["Output1"]), len(made["Output2"])) == (1, 2)


CLASS = EmbeddingLayer(2, Weights=[[1, 2], [3, 4]], Input=["Varying", Restricted("Integer", 2)])

REFUSED = {
    "too few": (lambda: IDENTITY([1.0]), EncodingError, "The port 'Input' takes a vector of size 2. Got a vector of size 1."),
    "too deep": (
        lambda: IDENTITY(np.zeros((1, 1, 2))),
        EncodingError,
        "The port 'Input' takes a vector of size 2, or a list of them. Got an array of size 1x1x2.",
    ),
    "text": (
        lambda: IDENTITY("abc"),
        EncodingError,
        "The port 'Input' takes a vector of size 2. Got 'abc', which is not numbers.",
    ),
    "complex": (lambda: IDENTITY([1j, 2]), EncodingError, "which is not numbers"),
    "ragged": (lambda: IDENTITY([[1.0, 2.0], [1.0]]), EncodingError, "Got a list whose elements have different sizes"),
    "unknown port": (lambda: TWO({"Imput": X}), EncodingError, "Did you mean 'Input'?"),
    "one and many": (
        lambda: MeanSquaredLossLayer(Input=2)({"Input": X, "Target": [X, X]}),
        EncodingError,
        "The ports got one value and lists of values together: one for 'Input'.",
    ),
    "class too large": (
        lambda: CLASS([1, 2, 3]),
        EncodingError,
        "Got 3 (at position 3), which is out of range. Classes and positions count from 1.",
    ),
    "class 0": (
        lambda: CLASS(jnp.array([0, 1])),
        EncodingError,
        "Got 0 (at position 1), which is out of range. Classes and positions count from 1.",
    ),
    "no integer": (lambda: CLASS([1.5]), EncodingError, "Got 1.5 (at position 1), which is not an integer"),
    "empty sequence": (lambda: CLASS([[1], []]), EncodingError, "empty sequences are not taken"),
    "empty array at a port of open rank": (
        lambda: ElementwiseLayer(Ramp)(np.zeros((2, 0))),
        EncodingError,
        "The port 'Input' got a matrix of size 2x0, which is empty. Empty arrays are not taken.",
    ),
    "option": (
        lambda: IDENTITY(X, Batchsize=2),
        DeclarationError,
        "A net takes no option 'Batchsize' when it is evaluated. Did you mean 'BatchSize'?",
    ),
    "batch size": (lambda: IDENTITY(X, BatchSize=0), DeclarationError, "BatchSize is a positive integer or Automatic. Got 0."),
    "mode": (
        lambda: IDENTITY(X, NetEvaluationMode="Tset"),
        DeclarationError,
        'NetEvaluationMode is "Test" or "Train". Got \'Tset\'.',
    ),
    "property": (
        lambda: IDENTITY(X, "Probabilities"),
        PartError,
        "The output port 'Output' of this NetChain has no decoder, so it has no property 'Probabilities'.",
    ),
    "decoder's property": (lambda: CLASSES([0.0, 1.0, 2.0], "Probabilites"), PartError, "Did you mean 'Probabilities'?"),
    "which output": (lambda: TWO(X, "Decision"), PartError, "has no output port 'Decision', and several outputs"),
    "activation's layer": (
        lambda: IDENTITY(X, NetPort("dubble", "Output")),
        PartError,
        "there is no layer 'dubble'. Did you mean 'double'?",
    ),
    "activation's port": (lambda: IDENTITY(X, NetPort("ramp", "State")), PartError, "has no port 'State' that can be read."),
    "uninitialized": (
        lambda: NetChain([3, LinearLayer(2, Weights=NetArray("w"))], Input=2)(X),
        UninitializedError,
        "This NetChain has no values yet "
        "for 1/Weights, 1/Biases, NetArray('w') and 2/Biases. NetInitialize(net) gives it random ones, "
        "NetTrain(net, data) trained ones.",
    ),
    "function of the unknown": (
        lambda: NetChain([Ramp]).function(),
        ShapeError,
        "needs the shapes of its input ports; that of 'Input' is unknown",
    ),
    "no key": (
        lambda: NetChain([DropoutLayer()], Input=2).function()({}, {}, np.ones((1, 2), np.float32), training=True),
        DeclarationError,
        "A random key is missing: element 1 draws random numbers while training.",
    ),
    "array path": (lambda: IDENTITY.with_arrays({("double", "Weight"): [1.0]}), PartError, "Did you mean 'double/Weights'?"),
    "array size": (
        lambda: IDENTITY.with_arrays({("double", "Weights"): np.eye(3)}),
        ShapeError,
        "the array Weights of layer 'double'",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refused(case):
    make, error, words = REFUSED[case]
    with pytest.raises(error) as caught:
        make()
    assert words in str(caught.value)


def test_inside_traced_functions():
    same(jax.jit(IDENTITY)(jnp.array(X)), P)
    slope = jax.grad(lambda x: IDENTITY(x)[0])(jnp.array(X))
    assert slope.shape == (2,)
    same(jax.vmap(lambda x: CLASSES(x))(jnp.eye(3)), CLASSES(np.eye(3), None))
    assert float(slope[1]) == 0


def test_the_pure_function():
    net = NetInitialize(NetChain([LinearLayer(2), BatchNormalizationLayer(), DropoutLayer(0.5)], Input=3))
    function = net.function()
    x = jnp.asarray(np.random.default_rng(1).normal(size=(4, 3)), jnp.float32)
    made, state = jax.jit(function)(net.arrays, net.state, x)
    same(made, net(x))
    assert state.keys() == net.state.keys()
    assert set(net.arrays) == {("1", "Weights"), ("1", "Biases"), ("2", "Scaling"), ("2", "Biases")}
    _, after = function(net.arrays, net.state, {"Input": x}, jax.random.key(1), True)
    assert not np.array_equal(after["2", "MovingMean"], net.state["2", "MovingMean"])
    two, _ = TWO.function()({}, {}, np.float32([X]))
    assert list(two) == ["Output1", "Output2"]
