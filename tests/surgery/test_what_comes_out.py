"""What surgery makes is a net like any other: it prints as the expression that builds it, and equals what one would write."""

import pickle

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import netdsl
from netdsl import (
    BatchNormalizationLayer,
    FunctionLayer,
    LinearLayer,
    NetAppend,
    NetArray,
    NetChain,
    NetDelete,
    NetExtract,
    NetFlatten,
    NetGraph,
    NetInitialize,
    NetMapOperator,
    NetPrepend,
    NetRename,
    NetReplacePart,
    NetTake,
    NetWarning,
    Plus,
    Ramp,
    Tanh,
)

GRAPH = NetGraph({"a": 5, "b": Ramp, "c": Tanh, "s": Plus, "o": 2}, [("a", "b", "s"), ("a", "c", "s"), ("s", "o")], Input=3)
ROW = NetGraph({"a": Ramp, "b": 3, "d": Tanh}, [("a", "b"), ("b", "d")], Input=3)

SAME = [
    (NetAppend(NetChain([Ramp], Input=4), 10), NetChain([Ramp, 10], Input=4)),
    (NetPrepend(NetChain([10]), Ramp, Input=4), NetChain([Ramp, 10], Input=4)),
    (NetFlatten(NetChain([[Ramp, 10]], Input=4)), NetChain([Ramp, 10], Input=4)),
    (NetReplacePart(NetChain([Ramp, 10], Input=3), {"Input": 4}), NetChain([Ramp, 10], Input=4)),
    (NetTake(ROW, "b"), NetGraph({"a": Ramp, "b": 3}, [("a", "b")], Input=3, Output=3)),
    (NetRename(NetTake(ROW, "b"), {"a": "x"}), NetGraph({"x": Ramp, "b": 3}, [("x", "b")], Input=3, Output=3)),
]


@pytest.mark.parametrize(("made", "written"), SAME)
def test_it_equals_what_one_would_write(made, written):
    assert made == written
    assert jax.tree_util.tree_structure(made) == jax.tree_util.tree_structure(written)
    assert pickle.loads(pickle.dumps(made)) == written


@pytest.mark.parametrize(
    "net",
    [
        NetTake(GRAPH, ["b", "o"]),
        NetDelete(GRAPH, "b"),
        NetDelete(GRAPH, "a"),
        NetTake(GRAPH, "b"),
        NetFlatten(NetChain([GRAPH, Ramp])),
        *[made for made, _ in SAME],
    ],
)
def test_it_prints_as_the_expression_that_builds_it(net):
    assert eval(repr(net), vars(netdsl).copy()) == net


def test_surgery_inside_jax():
    net = NetInitialize(NetChain([4, Ramp, 2], Input=3))
    first = jax.jit(lambda net, x: net[1](x))(net, jnp.ones(3))
    np.testing.assert_allclose(first, net[1](np.ones(3)), rtol=1e-6)
    slopes = jax.grad(lambda arrays: NetTake(net.with_arrays(arrays), 1)(jnp.ones(3)).sum())(net.arrays)
    np.testing.assert_array_equal(slopes["1", "Weights"], np.ones((4, 3)))


def test_the_arrays_that_functions_name():
    w = NetArray("w", Dimensions=[3])
    net = NetInitialize(NetChain({"f": FunctionLayer(lambda x: x * w), "l": 2}, Input=3))
    values = np.asarray(NetExtract(net, NetArray("w")))
    np.testing.assert_allclose(net["f"]([1.0, 2.0, 3.0]), values * [1, 2, 3], rtol=1e-6)
    made = NetReplacePart(net, {("f", "w"): [1, 2, 3]})
    np.testing.assert_array_equal(made["f", "w"], [1, 2, 3])
    np.testing.assert_array_equal(net["f", "w"], values)
    assert not NetReplacePart(net, {"f": Ramp}).shared


def test_states_are_dropped_and_kept_like_other_arrays():
    net = NetInitialize(NetChain([5, BatchNormalizationLayer(), 2], Input=4))
    with pytest.warns(NetWarning, match="5 arrays that no longer fit: 2/Scaling .* 2/MovingVariance .* and 3/Weights"):
        made = NetReplacePart(net, {1: 7})
    assert not made.state
    assert NetAppend(net, Ramp).state.keys() == net.state.keys()


def test_shared_arrays_through_operators():
    layer = LinearLayer(3, Weights=NetArray("v"))
    net = NetInitialize(NetChain([NetMapOperator(NetChain([layer, layer])), NetMapOperator(layer)], Input=[2, 3]))
    assert net[1, "Net", 2].shared["v"] is net.shared["v"]
    assert NetReplacePart(net, {(1, "Net", 1, "Biases"): None}).shared["v"] is net.shared["v"]


def test_deleting_keeps_muted_outputs_muted():
    graph = NetGraph({"a": Ramp, "b": Tanh, "c": 2}, [("a", None), ("b", "c")])
    assert graph.output_names == ("Output",)
    assert NetDelete(graph, "c").output_names == ("Output",)
    assert NetRename(graph, {"a": "x"}).output_names == ("Output",)
