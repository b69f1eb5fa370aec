"""NetGraph of a FunctionLayer: the layers that do what its function does, against the function itself."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from netdsl import (
    AggregationLayer,
    BatchNormalizationLayer,
    Clip,
    ConstantArray,
    DeclarationError,
    DotLayer,
    DropoutLayer,
    ElementwiseLayer,
    EuclideanDistance,
    Export,
    FoldList,
    FunctionLayer,
    Import,
    LinearLayer,
    Map,
    Mean,
    NestList,
    NetArray,
    NetChain,
    NetFoldOperator,
    NetGraph,
    NetInitialize,
    NetMapOperator,
    NetMapThreadOperator,
    NetTrain,
    Part,
    Plus,
    Restricted,
    Reverse,
    Rule,
    StandardDeviation,
    Table,
    Tanh,
    ThreadingLayer,
    Total,
    UnsupportedError,
)

RNG = np.random.default_rng(0)

W = NetArray("w", Dimensions=[4, 2])

FUNCTIONS = {
    "polynomial": (lambda x: x**2 + 1, {"Input": 3}),
    "residual": (lambda x: LinearLayer(3)(x) + x, {"Input": 3}),
    "softmax": (lambda x: jnp.exp(x) / jnp.sum(jnp.exp(x)), {"Input": 4}),
    "softmax of JAX": (jax.nn.softmax, {"Input": [2, 4]}),
    "several outputs": (lambda a, b: {"Sum": a + b, "Product": jnp.dot(a, b)}, {"a": 3, "b": 3}),
    "products": (lambda a, b: a @ b.T @ jnp.einsum("ij,kj->ik", b, a), {"a": [3, 2], "b": [4, 2]}),
    "standardized": (lambda x: (x - Mean(x)) / StandardDeviation(x), {"Input": [3, 2]}),
    "arrays": (lambda x: W @ x + NetArray("b", Dimensions=4), {"Input": 2}),
    "mapped": (lambda x: Map(LinearLayer(2), x), {"Input": [4, 3]}),
    "mapped with more": (lambda x: Map(lambda e: LinearLayer(2)(e) * Total(x)[:2] + W[0], x), {"Input": [4, 3]}),
    "folded": (lambda x: FoldList(lambda s, e: Tanh(LinearLayer(3)(s + e)), jnp.ones(3), x), {"Input": [4, 3]}),
    "nested": (lambda x: NestList(lambda s: Tanh(s) * 2, x, 3), {"Input": 4}),
    "gathered": (lambda i, x: Part(W, i) + x, {"i": [3, Restricted("Integer", 4)], "x": [3, 2]}),
    "gathered once": (lambda i: Part(W, i), {"Input": Restricted("Integer", 4)}),
    "parts": (lambda x: jnp.stack([x[0], x[-1], Part(x, 2), x[1:3, 1].sum() * x[3]], axis=1), {"Input": [4, 3]}),
    "activations": (lambda x: jax.nn.relu(x) + jax.nn.gelu(x) + jnp.where(x > 0, x, 0.1 * x), {"Input": 3}),
    "reversed": (lambda x: Reverse(x)[:, ::-1][:, 1:], {"Input": [3, 4]}),
    "padded": (lambda x: jnp.pad(x, ((1, 0), (0, 2))), {"Input": [3, 4]}),
    "as it is": (lambda x, y: {"a": x, "b": 0 * y + 1}, {"x": [3, 4], "y": 2}),
    "one input unused": (lambda x, y: 2 * x, {"x": 3, "y": 2}),
    "constants": (lambda x: jnp.mean(x) * jnp.ones((2, 3)) + jnp.arange(6.0).reshape(2, 3), {"Input": [3, 4]}),
    "named": (lambda x: Clip(x, [0, 1]) + ConstantArray(2.0, [3]), {"Input": 3}),
    "levels": (lambda x: x.T.reshape(-1)[None] + jnp.arange(6.0)[:, None], {"Input": [2, 3]}),
    "distance": (lambda x: EuclideanDistance(x, Reverse(x)), {"Input": 4}),
    "table": (lambda x: Table(lambda i: i * x[0], 3), {"Input": 4}),
    "stretched": (lambda x: jnp.max(x, -1, keepdims=True) * x, {"Input": [2, 4]}),
    "normalized": (lambda x: BatchNormalizationLayer()(x) + DropoutLayer()(x), {"Input": 3}),
    "inside another": (lambda x: FunctionLayer(lambda y: LinearLayer(2)(y) * 2)(x), {"Input": 3}),
    "determinant": (lambda x: jnp.linalg.det(x), {"Input": [3, 3]}),
}


def made(name):
    function, ports = FUNCTIONS[name]
    return NetInitialize(FunctionLayer(function, **ports))


def some(layer):
    return {
        port: RNG.integers(1, 5, type_.sizes) if type_.integer else RNG.normal(size=type_.sizes).astype(np.float32)
        for port in layer.input_names
        for type_ in [layer.port_type(port)]
    }


def close(a, b):
    for x, y in zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True):
        np.testing.assert_allclose(x, y, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_the_graph_does_what_the_function_does(name, tmp_path):
    layer = made(name)
    graph = NetGraph(layer)
    assert (graph.input_names, graph.output_names) == (layer.input_names, layer.output_names)
    given = some(layer)
    close(graph(given), layer(given))
    assert all(type(net) is not FunctionLayer or name == "inside another" for net in graph)
    path = str(tmp_path / "function.netdsl")
    Export(path, layer)
    stored = Import(path)
    close(stored(given), layer(given))
    Export(path, graph)
    if name != "inside another":
        assert Import(path) == stored == graph


def test_the_layers():
    assert list(NetGraph(made("polynomial"))) == [ElementwiseLayer(NetGraph(made("polynomial"))[1].Function, Input=3, Output=3)]
    assert repr(NetGraph(made("polynomial"))[1].Function) == "lambda x: Plus(Power(x, 2), 1.0)"
    residual = NetGraph(made("residual"))
    assert residual.keys() == ["LinearLayer", "Plus"]
    assert residual["Plus"].Function is Plus
    assert residual.arrays.keys() == made("residual").arrays.keys()
    assert [type(net) for net in NetGraph(made("arrays"))][2:] == [DotLayer, ThreadingLayer]
    assert NetGraph(made("standardized"))["Mean"].changed(Ports={}) == AggregationLayer(Mean, 1)
    assert type(NetGraph(made("mapped"))[1]) is NetMapOperator
    assert type(NetGraph(made("mapped with more"))["Map"]) is NetMapThreadOperator
    assert type(NetGraph(made("folded"))["Fold"]) is NetFoldOperator


def test_equal_functions_give_equal_graphs():
    one, other = (NetGraph(FunctionLayer(lambda y, c=c: y * c, Input=3)) for c in (2, 2))
    assert one == other
    assert one != NetGraph(FunctionLayer(lambda y: y * 3, Input=3))


def test_the_graph_trains_as_the_function():
    layer = made("residual")
    data = Rule(RNG.normal(size=(32, 3)), RNG.normal(size=(32, 3)))
    options = {"MaxTrainingRounds": 3, "TrainingProgressReporting": None}
    a, b = (NetTrain(net, data, **options) for net in (layer, NetGraph(layer)))
    for path, value in a.arrays.items():
        np.testing.assert_allclose(value, b.arrays[path], rtol=1e-4, atol=1e-5)


def test_what_shows_no_layers():
    with pytest.raises(UnsupportedError, match=r"No layer does what the function of FunctionLayer.* does with 'sort' of JAX"):
        NetGraph(FunctionLayer(lambda x: jnp.sort(x), Input=3))
    with pytest.raises(DeclarationError, match=r"show once the sizes of its inputs are fixed. Declare them: Input=\[...\]"):
        NetGraph(FunctionLayer(lambda x: x + 1))


def test_a_net_with_functions_is_stored_as_layers(tmp_path):
    net = NetInitialize(NetChain([FunctionLayer(lambda x: LinearLayer(3)(x) + W[0, 0] * x), FunctionLayer(Mean), Tanh], Input=3))
    path = str(tmp_path / "net.netdsl")
    Export(path, net)
    stored = Import(path)
    assert stored.array_table().keys() == net.array_table().keys()
    x = RNG.normal(size=(4, 3))
    close(stored(x), net(x))
    assert type(stored[2]) is FunctionLayer
    with pytest.raises(DeclarationError, match="has no name that a file could hold"):
        Export(path, FunctionLayer(lambda x: jnp.sort(x), Input=3))


def test_a_function_stored_by_its_name_keeps_its_layers(tmp_path):
    def residual(x):
        return LinearLayer(3)(x) + x

    net = NetInitialize(FunctionLayer(residual, Input=3))
    path = str(tmp_path / "net.netdsl")
    Export(path, net, Functions={"residual": residual})
    assert Import(path, Functions={"residual": residual}) == net
