"""NetPortGradient: gradients by hand and by finite differences, seeds, batches, sequences, second derivatives, what is refused."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from netdsl import (
    All,
    BatchNormalizationLayer,
    CompiledLayer,
    ConvolutionLayer,
    DropoutLayer,
    EmbeddingLayer,
    FlattenLayer,
    FunctionLayer,
    GatedRecurrentLayer,
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
    NetMapOperator,
    NetPort,
    NetPortGradient,
    NetStateObject,
    OrderingLayer,
    PoolingLayer,
    Ramp,
    SequenceLastLayer,
    SoftmaxLayer,
    SummationLayer,
    Tanh,
    Times,
)
from netdsl.errors import DeclarationError, EncodingError, PartError, UninitializedError, UnsupportedError
from netdsl.lowering import compilations
from netdsl.lowering.rolling import runs_of

INPUT, OUTPUT = NetPortGradient("Input"), NetPortGradient("Output")
RNG = np.random.default_rng(7)
W, B = RNG.normal(size=(3, 2)), RNG.normal(size=3)
X, S = RNG.normal(size=(4, 2)), RNG.normal(size=(4, 3))
LINEAR = LinearLayer(3, Weights=W, Biases=B, Input=2)
CONV = NetInitialize(
    NetChain(
        {"conv": ConvolutionLayer(4, 3), "ramp": Ramp, "pool": PoolingLayer(2, 2), "flat": FlattenLayer(), "out": 3},
        Input=[2, 6, 6],
    )
)
READER = NetInitialize(NetChain({"gru": GatedRecurrentLayer(3), "last": SequenceLastLayer(), "out": 2}, Input=["Varying", 2]))


def same(a, b, tolerance=1e-5):
    assert np.shape(a) == np.shape(b)
    np.testing.assert_allclose(a, b, rtol=tolerance, atol=tolerance / 10)


def slope(function, x, direction, step=1e-6):
    """The slope of a function along a direction, by a central difference."""
    return (function(x + step * direction) - function(x - step * direction)) / (2 * step)


def counted(action):
    before = compilations()
    action()
    return compilations() - before


# By hand


def test_a_linear_layer_by_hand():
    same(LINEAR(X[0], INPUT), W.sum(0))
    same(LINEAR(X[0], NetPortGradient("Weights")), np.tile(X[0], (3, 1)))
    same(LINEAR(X[0], NetPortGradient("Biases")), np.ones(3))
    imposed = {"Input": X[0], OUTPUT: S[0]}
    same(LINEAR(imposed, INPUT), S[0] @ W)
    same(LINEAR(imposed, NetPortGradient("Weights")), np.outer(S[0], X[0]))
    same(LINEAR(imposed, NetPortGradient("Biases")), S[0])


def test_a_list_of_examples():
    imposed = {"Input": X, OUTPUT: S}
    for size in (1, 3, 4, 100):
        same(LINEAR(imposed, INPUT, BatchSize=size), S @ W)
        same(LINEAR(imposed, NetPortGradient("Weights"), BatchSize=size), S.T @ X)
        same(LINEAR(imposed, NetPortGradient("Biases"), BatchSize=size), S.sum(0))
    many = np.tile(X, (300, 1))
    same(LINEAR({"Input": many, OUTPUT: np.tile(S, (300, 1))}, INPUT), np.tile(S @ W, (300, 1)))
    same(LINEAR(many, NetPortGradient("Biases")), np.full(3, 1200.0))
    assert LINEAR([], INPUT) == []
    same(LINEAR([], NetPortGradient("Weights")), np.zeros((3, 2)))


def test_a_convolution_by_hand():
    w, x = RNG.normal(size=(2, 1, 2, 2)), RNG.normal(size=(1, 4, 3))
    s = RNG.normal(size=(2, 3, 2))
    layer = ConvolutionLayer(2, 2, Weights=w, Biases=[0, 0], Input=[1, 4, 3])
    of_input, of_weights = np.zeros_like(x), np.zeros_like(w)
    for c, i, j in np.ndindex(s.shape):
        of_input[:, i : i + 2, j : j + 2] += s[c, i, j] * w[c]
        of_weights[c] += s[c, i, j] * x[:, i : i + 2, j : j + 2]
    made = layer({"Input": x, OUTPUT: s}, [INPUT, NetPortGradient("Weights"), NetPortGradient("Biases")])
    same(made[0], of_input)
    same(made[1], of_weights)
    same(made[2], s.sum((1, 2)))


def test_numbers_give_numbers():
    square = FunctionLayer(lambda x: x * x, Input="Real")
    assert square(3.0, INPUT) == 6.0
    assert type(square(3.0, INPUT)) is float
    same(square([1.0, 2.0], INPUT), [2, 4])
    factor = NetArrayLayer(Array=2.0, Output="Real")
    assert NetGraph({"a": factor}, [])({}, NetPortGradient(["a", "Array"])) == 1.0


# The surface


def test_several_at_once_and_beside_outputs():
    made = LINEAR(X[0], ["Output", INPUT, NetPortGradient("Weights"), INPUT])
    same(made[0], W @ X[0] + B)
    same(made[1], W.sum(0))
    same(made[2], np.tile(X[0], (3, 1)))
    same(made[3], W.sum(0))
    named = LINEAR(X[0], {"y": None, "slopes": [INPUT, NetPortGradient("Biases")]})
    assert list(named) == ["y", "slopes"]
    same(named["y"], W @ X[0] + B)
    same(named["slopes"][1], np.ones(3))
    pair = LINEAR(X[0], [INPUT, NetPortGradient("Biases")])
    same(pair[1], np.ones(3))
    classes = NetChain([LINEAR, SoftmaxLayer()], Output=NetDecoder("Class", ["a", "b", "c"]))
    decision, g = classes(X[0], ["Decision", INPUT])
    assert decision in ["a", "b", "c"]
    same(g, np.zeros(2), 1e-5)


def test_spellings():
    assert NetPortGradient("a", "Weights") == NetPortGradient(["a", "Weights"])
    assert NetPortGradient("a") != NetPort("a")
    assert len({NetPortGradient("a"), NetPortGradient("a"), NetPort("a")}) == 2
    assert repr(NetPortGradient(1, "Weights")) == "NetPortGradient([1, 'Weights'])"
    assert repr(INPUT) == "NetPortGradient('Input')"
    with pytest.raises(AttributeError, match="NetPortGradient is immutable"):
        INPUT.path = ()
    with pytest.raises(
        DeclarationError, match="NetPortGradient takes the name of a port or an array, or layers and then an array"
    ):
        NetPortGradient(1)


def test_deep_paths():
    inner = NetChain({"a": LINEAR, "b": Tanh})
    net = NetInitialize(NetGraph({"outer": NetChain([inner, 2]), "sum": SummationLayer()}, [("outer", "sum")]))
    key = ("outer", "1", "a", "Weights")
    for path in (["outer", 1, "a", "Weights"], ["outer", "1", "a", "Weights"], ["outer", -2, 1, "Weights"]):
        g = net(X[0], NetPortGradient(path), WorkingPrecision="Real64")
        direction = RNG.normal(size=(3, 2))
        with jax.enable_x64(True):
            there = slope(lambda w: net.with_arrays({key: w})(X[0], WorkingPrecision="Real64"), W, direction)
        assert np.sum(g * direction) == pytest.approx(there, rel=1e-5)
    mapped = NetMapOperator(NetChain({"a": LINEAR}), Input=[4, 2])
    same(mapped({"Input": X, OUTPUT: S}, NetPortGradient("Net", "a", "Weights")), S.T @ X)


def test_several_outputs_and_what_is_imposed_on_some():
    net = NetGraph({"a": LINEAR, "b": Tanh}, [(NetPort("Input"), ["a", "b"]), ("a", NetPort("A")), ("b", NetPort("B"))])
    x, of_b = X[0], 1 - np.tanh(X[0]) ** 2
    same(net(x, INPUT), W.sum(0) + of_b)
    same(net({"Input": x, NetPortGradient("B"): [1, 2]}, INPUT), of_b * [1, 2])
    same(net({"Input": x, NetPortGradient("A"): S[0], NetPortGradient("B"): [1, 2]}, INPUT), S[0] @ W + of_b * [1, 2])
    values, g = net({"Input": x, NetPortGradient("A"): S[0]}, [All, INPUT])
    assert list(values) == ["A", "B"]
    same(g, S[0] @ W)


def test_shared_arrays_add_up():
    shared = NetArray("w", Array=np.eye(2))
    net = NetChain({"a": LinearLayer(2, Weights=shared, Biases=None), "b": LinearLayer(2, Weights=shared, Biases=None)}, Input=2)
    # y = W W x
    expected = np.outer(np.ones(2), X[0]) * 2
    same(net(X[0], NetPortGradient(["a", "Weights"])), expected)
    same(net(X[0], NetPortGradient(["b", "Weights"])), expected)
    k = NetArray("k", Dimensions=[2])
    squares = FunctionLayer(lambda x: k * x * k, Input=2).with_arrays({("", "k"): [2.0, 3.0]})
    same(squares(X[0], NetPortGradient("k")), 2 * np.array([2, 3]) * X[0])


def test_a_net_with_a_loss_and_its_target():
    net = NetGraph({"net": LINEAR, "loss": MeanSquaredLossLayer()}, [(NetPort("Input"), "net", NetPort("loss", "Input"))])
    t, error = S[0], W @ X[0] + B - S[0]
    loss, of_input, of_target, of_weights = net(
        {"Input": X[0], "Target": t}, ["Loss", INPUT, NetPortGradient("Target"), NetPortGradient(["net", "Weights"])]
    )
    assert loss == pytest.approx(np.mean(error**2), rel=1e-5)
    same(of_input, 2 / 3 * error @ W)
    same(of_target, -2 / 3 * error)
    same(of_weights, 2 / 3 * np.outer(error, X[0]))


def test_inputs_that_multiply():
    net = NetGraph({"times": Times}, [([NetPort("A"), NetPort("B")], "times")], A=2, B=2)
    a, b = net({"A": [1.0, 2.0], "B": [5.0, 7.0]}, [NetPortGradient("A"), NetPortGradient("B")])
    same(a, [5, 7])
    same(b, [1, 2])


def test_encoded_inputs():
    pictures = np.arange(50, dtype=np.uint8).reshape(2, 5, 5)
    weights = RNG.normal(size=(1, 25))
    net = NetChain(
        [FlattenLayer(), LinearLayer([], Weights=weights, Biases=[0])],
        Input=NetEncoder("Image", (5, 5), ColorSpace="Grayscale"),
    )
    same(net(pictures[0], INPUT), weights.reshape(1, 5, 5))
    same(net(pictures, INPUT), np.tile(weights.reshape(1, 5, 5), (2, 1, 1, 1)))
    same(net(pictures[0][None] / 255.0, INPUT), weights.reshape(1, 5, 5))
    same(net(pictures, NetPortGradient([2, "Weights"])), pictures.reshape(2, 25).sum(0)[None] / 255)
    unit = NetChain([LINEAR], Input=NetEncoder("Class", ["a", "b"], "UnitVector"))
    same(unit("b", INPUT), W.sum(0))
    words = NetChain({"e": EmbeddingLayer(2, Weights=np.eye(2))}, Input=NetEncoder("Class", ["a", "b"]))
    same(words(["a", "b", "b"], NetPortGradient(["e", "Weights"])), [[1, 1], [2, 2]])


def test_varying_sequences():
    sequences = [RNG.normal(size=(n, 2)) for n in (3, 1, 5)]
    seeds = RNG.normal(size=(3, 2))
    made = READER({"Input": sequences, OUTPUT: seeds}, INPUT, WorkingPrecision="Real64")
    for g, sequence, seed in zip(made, sequences, seeds, strict=True):
        direction = RNG.normal(size=sequence.shape)
        assert g.shape == sequence.shape
        there = slope(lambda x, seed=seed: READER(x, WorkingPrecision="Real64") @ seed, sequence, direction)
        assert np.sum(g * direction) == pytest.approx(there, rel=1e-5)
        same(READER({"Input": sequence, OUTPUT: seed}, INPUT), g)
    arrays = READER({"Input": sequences, OUTPUT: seeds}, NetPortGradient(["out", "Biases"]))
    same(arrays, seeds.sum(0))


def test_sequences_as_outputs_count_without_their_padding():
    layer = NetMapOperator(LINEAR, Input=["Varying", 2])
    sequences = [X[:3], X[:1], X]
    seeds = [S[:3], S[:1], S]
    for data, expected in (
        ({"Input": sequences}, np.ones(3) * 8),
        ({"Input": sequences, OUTPUT: seeds}, sum(s.sum(0) for s in seeds)),
    ):
        same(layer(data, NetPortGradient("Net", "Biases")), expected)
    made = layer({"Input": sequences, OUTPUT: seeds}, INPUT)
    for g, s in zip(made, seeds, strict=True):
        same(g, s @ W)
    same(layer({"Input": X, OUTPUT: S}, INPUT), S @ W)


def test_sequences_whose_length_changes():
    conv = ConvolutionLayer(1, 3, Weights=[[[1, 2, 3]]], Biases=[0], Interleaving=True, Input=["Varying", 1])
    sequences = [np.ones((n, 1)) for n in (5, 3, 9)]
    seeds = [RNG.normal(size=(n - 2, 1)) for n in (5, 3, 9)]
    made = conv({"Input": sequences, OUTPUT: seeds}, INPUT)
    for g, seed in zip(made, seeds, strict=True):
        same(g[:, 0], np.convolve(seed[:, 0], [1, 2, 3]))
    same(conv(sequences[0], INPUT)[:, 0], [1, 3, 6, 5, 3])
    with pytest.raises(EncodingError, match=r"take sequences of lengths that fit\. Got lengths 5 and 4, where 3 fits"):
        conv({"Input": sequences[0], OUTPUT: np.ones((4, 1))}, INPUT)


def test_states_that_are_given():
    start, x = RNG.normal(size=3), RNG.normal(size=(4, 2))
    port = NetPort(["gru", "State"])
    g, of_input = READER({"Input": x, port: start}, [NetPortGradient(["gru", "State"]), INPUT], WorkingPrecision="Real64")
    direction = RNG.normal(size=3)
    there = slope(lambda s: READER({"Input": x, port: s}, WorkingPrecision="Real64").sum(), start, direction)
    assert np.sum(g * direction) == pytest.approx(there, rel=1e-5)
    assert of_input.shape == x.shape
    weights = READER({"Input": x, port: start}, {"w": NetPortGradient(["out", "Weights"])})["w"]
    assert weights.shape == (2, 3)
    reader = NetStateObject(READER)
    same(reader(x, INPUT), READER(x, INPUT))
    assert set(reader.states) == {port}


# Modes and precision


def test_training_mode_and_seeds():
    dropout = NetChain([DropoutLayer(0.5)], Input=100)
    x = np.ones(100)
    same(dropout(x, INPUT), x)
    made, g = dropout(x, ["Output", INPUT], NetEvaluationMode="Train", RandomSeeding=3)
    same(g, made)
    assert set(np.unique(g)) == {0, 2}
    normal = NetInitialize(BatchNormalizationLayer(Input=2))
    factor = 1 / np.sqrt(1 + normal.Epsilon)
    same(normal(X, INPUT), np.full((4, 2), factor), 1e-4)
    centred = (X - X.mean(0)) / np.sqrt(X.var(0) + normal.Epsilon)
    seeds = RNG.normal(size=(4, 2))
    expected = (seeds - seeds.mean(0) - centred * (seeds * centred).mean(0)) / np.sqrt(X.var(0) + normal.Epsilon)
    same(normal({"Input": X, OUTPUT: seeds}, INPUT, NetEvaluationMode="Train"), expected, 1e-4)
    three = normal({"Input": X[:3], OUTPUT: seeds[:3]}, INPUT, NetEvaluationMode="Train")
    same(three.sum(0), np.zeros(2), 1e-4)


def test_precisions_and_kinds_of_results():
    x = RNG.normal(size=(2, 6, 6))
    exact = CONV(x, [INPUT, NetPortGradient(["conv", "Weights"])], WorkingPrecision="Real64")
    assert [g.dtype for g in exact] == [np.float64] * 2
    assert [type(g) for g in exact] == [np.ndarray] * 2
    single = CONV(x, [INPUT, NetPortGradient(["conv", "Weights"])])
    assert [g.dtype for g in single] == [np.float32] * 2
    mixed = CONV(x, [INPUT, NetPortGradient(["conv", "Weights"])], WorkingPrecision="Mixed")
    assert [g.dtype for g in mixed] == [np.float32] * 2
    for a, b, c in zip(exact, single, mixed, strict=True):
        same(a, b, 1e-4)
        same(a, c, 0.1)
    with jax.enable_x64(True):
        direction = RNG.normal(size=x.shape)
        there = slope(lambda x: CONV(x, WorkingPrecision="Real64").sum(), x, direction)
    assert np.sum(exact[0] * direction) == pytest.approx(there, rel=1e-5)
    made = CONV(jnp.asarray(x), [INPUT, NetPortGradient(["out", "Biases"])])
    assert all(isinstance(g, jax.Array) for g in made)


def test_compiled_once():
    net = NetInitialize(NetChain([LinearLayer(5), Tanh], Input=9))
    other = NetInitialize(net, All, RandomSeeding=5)
    x, wanted = np.ones((3, 9)), [None, INPUT, NetPortGradient([1, "Weights"])]
    assert counted(lambda: net(x, wanted)) == 1
    assert counted(lambda: (net(2 * x, wanted), other(x, wanted), net(np.ones((4, 9)), wanted))) == 0
    assert counted(lambda: net({"Input": x, OUTPUT: np.ones((3, 5))}, wanted)) == 1
    assert counted(lambda: net({"Input": x, OUTPUT: np.zeros((3, 5))}, wanted)) == 0
    assert counted(lambda: net(x, [INPUT, NetPortGradient([1, "Biases"])])) == 1


# Second derivatives, and gradients inside traced functions


@pytest.mark.parametrize("training", ["Test", "Train"])
@pytest.mark.parametrize(
    "body", [CONV, NetInitialize(NetChain([LongShortTermMemoryLayer(3), Tanh], Input=[4, 2]))], ids=["conv", "lstm"]
)
def test_second_derivatives(body, training):
    """The gradient of a gradient's square: what a penalty on gradients trains by."""
    shape = body.port_type("Input").sizes
    penalty = FunctionLayer(lambda x: jnp.sum(body(x, INPUT, NetEvaluationMode=training) ** 2), Input=list(shape))
    x, direction = RNG.normal(size=shape), RNG.normal(size=shape)
    options = {"WorkingPrecision": "Real64", "NetEvaluationMode": training}
    value, g = penalty(x, ["Output", INPUT], **options)
    assert value == pytest.approx(np.sum(body(x, INPUT, WorkingPrecision="Real64") ** 2), rel=1e-5)
    there = slope(
        lambda x: penalty(x, **options), x, direction, 1e-3
    )  # the net inside computes with what arrays it has, in 32 bits
    assert np.sum(g * direction) == pytest.approx(there, rel=1e-2, abs=1e-3)


def test_inside_traced_functions():
    cube = FunctionLayer(lambda x: jnp.sum(x**3), Input=2)
    same(jax.jit(lambda x: cube(x, INPUT))(jnp.array([1.0, 2.0])), [3, 12])
    same(jax.jacobian(lambda x: cube(x, INPUT))(jnp.array([1.0, 2.0])), np.diag([6.0, 12]))
    same(jax.jit(lambda x: LINEAR(x, NetPortGradient("Weights")))(jnp.asarray(X, jnp.float32)), np.tile(X.sum(0), (3, 1)))
    seeded = jax.jit(lambda s: LINEAR({"Input": X, OUTPUT: s}, [INPUT, NetPortGradient("Biases"), INPUT]))(
        jnp.asarray(S, jnp.float32)
    )
    same(seeded[0], S @ W)
    same(seeded[1], S.sum(0))
    same(seeded[2], S @ W)


# What is refused

CLASSES = NetChain({"e": EmbeddingLayer(2, Weights=np.eye(2))}, Input=NetEncoder("Class", ["a", "b"]))
TWO = NetChain({"inner": NetChain({"a": LINEAR})})

REFUSED = {
    "unknown port": (
        lambda: LINEAR(X, NetPortGradient("Imput")),
        PartError,
        "NetPortGradient('Imput'): LinearLayer has no input port or array 'Imput'. Did you mean 'Input'?",
    ),
    "an array of a container": (
        lambda: TWO(X, NetPortGradient("Weights")),
        PartError,
        "NetPortGradient('Weights'): NetChain has no input port or array 'Weights'. There is 'Input'. An array is named with its "
        "layer: NetPortGradient(['inner', 'a', 'Weights']).",
    ),
    "an array of an inner container": (
        lambda: TWO(X, NetPortGradient("inner", "Weights")),
        PartError,
        "has no array 'Weights'. There are none. An array is named with its layer: NetPortGradient(['inner', 'a', 'Weights']).",
    ),
    "unknown array": (
        lambda: TWO(X, NetPortGradient("inner", "a", "Weight")),
        PartError,
        "NetPortGradient(['inner', 'a', 'Weight']): LinearLayer has no array 'Weight'. Did you mean 'Weights'?",
    ),
    "unknown layer": (
        lambda: TWO(X, NetPortGradient("iner", "a", "Weights")),
        PartError,
        "NetPortGradient(['iner', 'a', 'Weights']): there is no layer 'iner'. Did you mean 'inner'?",
    ),
    "an array set to None": (
        lambda: LinearLayer(3, Weights=W, Biases=None)(X, NetPortGradient("Biases")),
        PartError,
        "LinearLayer has no input port or array 'Biases'.",
    ),
    "an inner port": (lambda: TWO(X, NetPortGradient("inner", "Output")), PartError, "NetChain has no array 'Output'."),
    "state": (
        lambda: NetInitialize(BatchNormalizationLayer(Input=2))(X, NetPortGradient("MovingMean")),
        PartError,
        "NetPortGradient('MovingMean'): this array of BatchNormalizationLayer is state, which is not trained and has no gradient.",
    ),
    "a state that is not given": (
        lambda: READER(X, NetPortGradient("gru", "State")),
        PartError,
        "a state has a gradient where it is given: pass {NetPort(['gru', 'State']): ...} with the inputs.",
    ),
    "integers in": (
        lambda: CLASSES("a", INPUT),
        PartError,
        "NetPortGradient('Input'): the port 'Input' takes an integer from 1 to 2. There is no gradient with respect to integers.",
    ),
    "integers out": (
        lambda: OrderingLayer(Input=2)(X, INPUT),
        PartError,
        "NetPortGradient('Input'): the outputs of this OrderingLayer are integers, which have no gradient.",
    ),
    "imposed on integers": (
        lambda: OrderingLayer(Input=2)({"Input": X, OUTPUT: X}, "Output"),
        PartError,
        "NetPortGradient('Output'): the port 'Output' gives a vector of size 2 of integers from 1 to 2. Integers have no gradient.",
    ),
    "not initialized": (
        lambda: NetChain([LinearLayer(3)], Input=2)(X, NetPortGradient(1, "Weights")),
        UninitializedError,
        "This NetChain has no values yet for 1/Weights and 1/Biases.",
    ),
    "imposed in another size": (
        lambda: LINEAR({"Input": X[0], OUTPUT: [1.0, 2.0]}, INPUT),
        EncodingError,
        "The port NetPortGradient('Output') takes a vector of size 3. Got a vector of size 2.",
    ),
    "imposed on many as one": (
        lambda: LINEAR({"Input": X, OUTPUT: S[0]}, INPUT),
        EncodingError,
        "The ports got one value and lists of values together: one for NetPortGradient('Output').",
    ),
    "imposed on fewer": (
        lambda: LINEAR({"Input": X, OUTPUT: S[:2]}, INPUT),
        EncodingError,
        "The ports got different numbers of values: 'Input' 4, NetPortGradient('Output') 2.",
    ),
    "imposed on an inner port": (
        lambda: TWO({"Input": X, NetPortGradient("inner", "Output"): S}, INPUT),
        PartError,
        "NetPortGradient(['inner', 'Output']): a gradient is imposed on an output port of the whole net. NetChain has no output port",
    ),
    "imposed on an input": (
        lambda: LINEAR({"Input": X, INPUT: X}, INPUT),
        PartError,
        "LinearLayer has no output port 'Input'. There is 'Output'.",
    ),
    "imposed in another length": (
        lambda: NetMapOperator(LINEAR, Input=["Varying", 2])({"Input": X, OUTPUT: S[:3]}, INPUT),
        EncodingError,
        "The ports 'Input' and NetPortGradient('Output') of this NetMapOperator take sequences of equal length. Got lengths 4 and 3.",
    ),
    "a function on the host": (
        lambda: CompiledLayer(np.sin, Input=2)(X, INPUT),
        UnsupportedError,
        "Backward",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refused(case):
    make, error, words = REFUSED[case]
    with pytest.raises(error) as caught:
        make()
    assert words in str(caught.value)


def test_gradients_of_a_net_whose_layers_are_computed_in_a_loop():
    count, weights, x = 300, np.array([[0.995, -0.1], [0.1, 0.995]], np.float32), np.array([0.3, -0.7], np.float32)
    net = NetChain([LinearLayer(2, Weights=weights, Biases=None) for _ in range(count)], Input=2)
    assert runs_of(net, net.program.outputs.values())
    power = np.linalg.matrix_power(weights.astype(float), count)
    np.testing.assert_allclose(net(x, NetPortGradient("Input")), power.sum(axis=0), rtol=1e-4, atol=1e-4)
    after = np.linalg.matrix_power(weights.astype(float), count - 20).sum(axis=0)
    before = np.linalg.matrix_power(weights.astype(float), 19) @ x
    np.testing.assert_allclose(net(x, NetPortGradient([20, "Weights"])), np.outer(after, before), rtol=1e-4, atol=1e-4)
