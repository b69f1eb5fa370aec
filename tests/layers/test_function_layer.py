"""FunctionLayer: ports from arguments and keys, functions of any number of arguments, arrays named inside."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np
import pytest

from netdsl import (
    BatchNormalizationLayer,
    DeclarationError,
    Det,
    DropoutLayer,
    EmbeddingLayer,
    FoldList,
    FunctionLayer,
    LinearLayer,
    Map,
    Mean,
    NetArray,
    NetChain,
    NetGraph,
    NetInitialize,
    NetMapOperator,
    NetPort,
    NetReplace,
    NetReplacePart,
    NetTrain,
    Part,
    Plus,
    Restricted,
    Rule,
    ShapeError,
    Tanh,
    ThreadingLayer,
    Total,
    Tr,
    UninitializedError,
)
from netdsl.lowering import compilations
from netdsl.shapes import OPEN, array_of

RNG = np.random.default_rng(0)
X = RNG.normal(size=(3, 3)).astype(np.float32)


def test_the_keys_of_a_dict_are_the_output_ports_in_their_order():
    layer = FunctionLayer(lambda x: {"Trace": Tr(x), "Determinant": Det(x)})
    assert layer.output_names == ("Trace", "Determinant")
    made = layer(X)
    np.testing.assert_allclose([made["Trace"], made["Determinant"]], [np.trace(X), np.linalg.det(X)], rtol=1e-5)
    assert "OutputPorts=['Trace', 'Determinant']" in repr(layer)
    assert layer.changed(Function=lambda x: x, OutputPorts=["a"]).output_names == ("a",)


def test_keys_show_in_graphs_too():
    both = FunctionLayer(lambda a, b: {"Sum": a + b, "Mean": Mean(a)})
    net = NetGraph(
        {"f": both, "t": Tanh},
        [
            (NetPort("A"), NetPort("f", "a")),
            (NetPort("B"), NetPort("f", "b")),
            (NetPort("f", "Sum"), "t", NetPort("T")),
            (NetPort("f", "Mean"), NetPort("M")),
        ],
    )
    made = net({"A": X, "B": X})
    np.testing.assert_allclose(made["T"], np.tanh(2 * X), rtol=1e-5)
    np.testing.assert_allclose(made["M"], X.mean(0), rtol=1e-5, atol=1e-6)


def test_a_function_that_only_takes_other_sizes_says_what_to_write():
    def picky(x):
        return {"a": x.reshape(5, 2), "b": x}

    with pytest.raises(DeclarationError, match=r"OutputPorts=\['a', 'b'\]"):
        FunctionLayer(picky, Input=10)
    assert FunctionLayer(picky, OutputPorts=["a", "b"], Input=10).port_type("a").sizes == (5, 2)


def test_any_number_of_arguments():
    layer = FunctionLayer(lambda *xs: sum(xs) / len(xs), InputPorts=3)
    assert layer.input_names == ("Input1", "Input2", "Input3")
    np.testing.assert_allclose(layer({"Input1": X, "Input2": 2 * X, "Input3": 3 * X}), 2 * X, rtol=1e-5)
    named = FunctionLayer(lambda *xs: {"First": xs[0], "Last": xs[-1]}, InputPorts=["a", "b"])
    assert (named.input_names, named.output_names) == (("a", "b"), ("First", "Last"))
    with pytest.raises(DeclarationError, match=r"name its ports with InputPorts=\[\.\.\.\]"):
        FunctionLayer(lambda *xs: xs[0], Input=2)


def test_arrays_inside_are_learnable_with_several_outputs():
    layer = FunctionLayer(lambda x: {"y": NetArray("w", Dimensions=[2, 3]) @ x, "x": x}, Input=3, OutputPorts=["y", "x"])
    net = NetInitialize(layer)
    assert net.arrays["", "w"].shape == (2, 3)
    np.testing.assert_allclose(net(X[0])["y"], net.arrays["", "w"] @ X[0], rtol=1e-5)


def residual(x):
    return LinearLayer(3)(x) + x


def test_layers_applied_inside_are_parts():
    layer = FunctionLayer(residual, Input=3)
    assert list(layer.array_table()) == [("LinearLayer", "Weights"), ("LinearLayer", "Biases")]
    with pytest.raises(UninitializedError, match="LinearLayer/Weights"):
        layer(X[0])
    net = NetInitialize(NetChain([layer, 2]))
    weights = np.asarray(net[1, "LinearLayer", "Weights"])
    np.testing.assert_allclose(net[1](X), X @ weights.T + X, rtol=1e-4, atol=1e-5)
    assert net[1, 1] == net[1, "LinearLayer"]
    assert net[1, 1].port_type("Input").sizes == (3,)
    assert "LinearLayer" in str(net)
    assert net.solved.arrays["1", "LinearLayer", "Weights"].sizes == (3, 3)


def test_layers_inside_start_with_the_arrays_they_have():
    inner = LinearLayer(Weights=X, Biases=np.ones(3))
    layer = FunctionLayer(lambda x: Total(jnp.stack([inner(x), Tanh(x)])), Input=3)
    np.testing.assert_allclose(layer(X[0]), X @ X[0] + 1 + np.tanh(X[0]), rtol=1e-5)
    changed = NetReplacePart(layer, {("LinearLayer", "Biases"): np.zeros(3)})
    np.testing.assert_allclose(changed(X[0]), X @ X[0] + np.tanh(X[0]), rtol=1e-5)
    assert changed != layer
    assert layer == FunctionLayer(layer.Function, Input=3)


def test_each_application_is_a_layer_of_its_own():
    inner = LinearLayer(3)
    net = NetInitialize(FunctionLayer(lambda x: inner(inner(x)), Input=3))
    first, second = net["LinearLayer", "Weights"], net["LinearLayer2", "Weights"]
    assert not np.array_equal(first, second)
    np.testing.assert_allclose(net(X[0]), second @ (first @ X[0]), rtol=1e-4, atol=1e-5)
    shared = LinearLayer(3, Weights=NetArray("w", Array=X), Biases=None)
    twice = FunctionLayer(lambda x: shared(shared(x)), Input=3)
    assert list(twice.array_table()) == [("", "w")]
    np.testing.assert_allclose(twice(X[0]), X @ X @ X[0], rtol=1e-4, atol=1e-5)


def test_layers_inside_are_trained():
    x = RNG.normal(size=(64, 3)).astype(np.float32)
    y, options = x @ X.T + x, {"MaxTrainingRounds": 200, "TrainingProgressReporting": None}
    net = NetTrain(FunctionLayer(residual, Input=3), Rule(x, y), Method=["ADAM", {"LearningRate": 0.05}], **options)
    np.testing.assert_allclose(net["LinearLayer", "Weights"], X, atol=0.1)
    fixed = FunctionLayer(residual, Input=3, LearningRateMultipliers={"LinearLayer": 0})
    start = NetInitialize(fixed)
    after = NetTrain(NetChain([start, 1]), Rule(x, y[:, :1]), MaxTrainingRounds=2, TrainingProgressReporting=None)
    np.testing.assert_array_equal(after[1, "LinearLayer", "Weights"], start["LinearLayer", "Weights"])


def test_a_layer_inside_can_be_replaced():
    net = NetChain([FunctionLayer(residual), 2], Input=3)
    made = NetInitialize(NetReplacePart(net, {(1, "LinearLayer"): NetChain([5, Tanh, 3])}))
    assert made[1, "LinearLayer", 1, "Weights"].shape == (5, 3)
    assert NetReplace(net, Rule(LinearLayer(3), LinearLayer(3, Biases=None)))[1, 1, "Biases"] is None
    with pytest.raises(ShapeError, match="cannot run its function"):
        NetReplacePart(net, {(1, "LinearLayer"): LinearLayer(4)})
    other = NetReplacePart(made, {(1, "Function"): lambda x: EmbeddingLayer(2, 4)(Total(x) > 0) if x.ndim > 1 else x})
    assert list(other[1].array_table()) == []


def test_layers_with_several_ports_any_number_of_inputs_and_state():
    def function(x, y):
        outputs = FunctionLayer(lambda a, b: {"Sum": a + b, "Product": a * b})({"a": x, "b": y})
        return ThreadingLayer(Plus)([outputs["Sum"], outputs["Product"]]) + BatchNormalizationLayer()(x)

    net = NetInitialize(FunctionLayer(function, x=3, y=3))
    assert sorted(net.state) == [("BatchNormalizationLayer", "MovingMean"), ("BatchNormalizationLayer", "MovingVariance")]
    expected = X[0] + X[1] + X[0] * X[1] + X[0] / np.sqrt(1 + 0.001)
    np.testing.assert_allclose(net({"x": X[0], "y": X[1]}), expected, rtol=1e-4, atol=1e-5)
    data = {"x": X + 5, "y": X, "Output": X}
    trained = NetTrain(net, data, MaxTrainingRounds=2, TrainingProgressReporting=None)
    assert (np.asarray(trained["BatchNormalizationLayer", "MovingMean"]) > 0.1).all()


def test_layers_mapped_and_folded():
    x = RNG.normal(size=(5, 3)).astype(np.float32)
    net = NetInitialize(FunctionLayer(lambda x: Map(LinearLayer(2), x), Input=[5, 3]))
    np.testing.assert_allclose(net(x), x @ np.asarray(net[1, "Weights"]).T, rtol=1e-4, atol=1e-5)
    step = FunctionLayer(lambda x: FoldList(lambda s, e: Tanh(LinearLayer(3)(e + s)), jnp.zeros(3), x), Input=[5, 3])
    folded = NetInitialize(step)
    assert list(folded.array_table()) == [("LinearLayer", "Weights"), ("LinearLayer", "Biases")]
    weights, state = np.asarray(folded[1, "Weights"]), np.zeros(3)
    for made, each in zip(folded(x)[1:], x):
        state = np.tanh(weights @ (each + state))
        np.testing.assert_allclose(made, state, rtol=1e-4, atol=1e-5)
    dropped = FunctionLayer(lambda x: Map(DropoutLayer(), x), Input=[20, 2])(np.ones((20, 2)), NetEvaluationMode="Train")
    assert len({tuple(row) for row in np.asarray(dropped).tolist()}) > 1, "each element has draws of its own"


def test_a_function_in_a_list_of_layers():
    net = NetChain([lambda x: DropoutLayer()(x), lambda x: Tanh(x) + 1], Input=20)
    assert type(net[1]) is FunctionLayer
    assert type(net[2]) is not FunctionLayer
    assert len(set(net(np.zeros(20) + 0.5, NetEvaluationMode="Train").tolist())) == 2


def test_what_cannot_be_applied_says_why():
    with pytest.raises(ShapeError, match=r"keeps state\. Write NetMapOperator"):
        FunctionLayer(lambda x: Map(BatchNormalizationLayer(), x), Input=[5, 3])
    with pytest.raises(ShapeError, match="cannot apply LinearLayer"):
        FunctionLayer(lambda x: LinearLayer(3, Input=4)(x), Input=5)
    with pytest.raises(DeclarationError, match="LinearLayer is applied to its inputs alone"):
        FunctionLayer(lambda x: LinearLayer(3)(x, "Output"), Input=5)
    with pytest.raises(DeclarationError, match="LinearLayer takes the inputs Input"):
        FunctionLayer(lambda x: LinearLayer(3)({"X": x}), Input=5)
    with pytest.raises(ShapeError, match="depend on the length"):
        FunctionLayer(lambda x: LinearLayer(1)(x[:, 0]) * x, Varying="elementwise", Input=["Varying", 2])
    with pytest.raises(ShapeError, match="does not apply Linear"):
        FunctionLayer(residual, Layers={"Linear": LinearLayer(3)}, Input=3)


def test_sequences_through_layers_inside():
    net = NetInitialize(FunctionLayer(lambda x: NetMapOperator(LinearLayer(2))(x), Varying="elementwise", Input=["Varying", 3]))
    weights = np.asarray(net["NetMapOperator", "Net", "Weights"])
    for made, x in zip(net([X, X[:1]]), (X, X[:1])):
        np.testing.assert_allclose(made, x @ weights.T, rtol=1e-4, atol=1e-5)


def test_equal_functions_of_layers_compile_once():
    x, before = X[0], compilations()
    for _ in range(3):
        NetInitialize(FunctionLayer(lambda x: LinearLayer(3)(x) * 1.5 + x, Input=3))(x)
    assert compilations() == before + 1
    NetInitialize(FunctionLayer(lambda x: LinearLayer(3)(x * 1.5) + x, Input=3))(x)
    NetInitialize(FunctionLayer(lambda x: LinearLayer(3, Biases=None)(x) * 1.5 + x, Input=3))(x)
    assert compilations() == before + 3


def test_a_gather_by_an_integer():
    table = NetArray("w", Dimensions=[4, 2])
    net = NetInitialize(FunctionLayer(lambda i, x: Part(table, i) + x, i=Restricted("Integer", 4), x=2))
    np.testing.assert_allclose(net({"i": 3, "x": X[0, :2]}), net.arrays["", "w"][2] + X[0, :2], rtol=1e-5)


def test_functions_of_the_language_inside():
    layer = FunctionLayer(lambda x: FoldList(Plus, 0.0, x), Input=4)
    np.testing.assert_allclose(layer([1.0, 2.0, 3.0, 4.0]), [0, 1, 3, 6, 10])
    assert NetChain([layer, 2]).port_type("Output").sizes == (2,)


@pytest.mark.parametrize("layer", [FunctionLayer(lambda x: 2 * x), NetMapOperator(Tanh)], ids=lambda layer: layer.title())
def test_what_is_kept_of_many_sizes_is_bounded(layer):
    for size in range(1, 60):
        assert layer.relate({"Input": array_of(2, size), "Output": OPEN})["Output"].sizes == (2, size)
    (kept,) = (layer.__dict__[name] for name in ("_traces", "_inner_solutions") if name in layer.__dict__)
    assert 1 <= len(kept) <= 17
