"""The solver: what follows, both ways; many layers; random chains."""

from __future__ import annotations

import itertools

import jax
import numpy as np
from hypothesis import given, seed, settings
from hypothesis import strategies as st

from netdsl import (
    Automatic,
    BatchNormalizationLayer,
    ConvolutionLayer,
    ElementwiseLayer,
    EmbeddingLayer,
    FlattenLayer,
    FunctionLayer,
    LinearLayer,
    LongShortTermMemoryLayer,
    NetChain,
    NetGraph,
    NetInitialize,
    NetMapOperator,
    NetPort,
    Plus,
    PoolingLayer,
    Ramp,
    ReshapeLayer,
    Restricted,
    SoftmaxLayer,
    Tanh,
)
from netdsl.errors import ShapeError
from netdsl.shapes.solver import Solver


def weights(*sizes):
    return np.zeros(sizes)


def test_both_directions():
    net = NetChain([LinearLayer(5), Ramp, LinearLayer()], Input=3, Output=[2, 2])
    assert net.solved.arrays[("3", "Weights")].sizes == (4, 5)
    back = NetChain([Ramp, SoftmaxLayer(), LinearLayer(2, Weights=weights(2, 7))])
    assert back.port_type("Input").sizes == (7,)
    flat = NetChain([FlattenLayer(), LinearLayer(2, Weights=weights(2, 12))], Input=[3, Automatic])
    assert flat.port_type("Input").sizes == (3, 4)
    lstm = LongShortTermMemoryLayer(Input=["Varying", 3], Output=["Varying", 5])
    assert lstm.solved.arrays[("MemoryGateInputWeights",)].sizes == (5, 3)
    assert EmbeddingLayer(3, Input=Restricted("Integer", 7)).solved.arrays[("Weights",)].sizes == (7, 3)
    assert ReshapeLayer([2, 3], Input=[Automatic, 2]).port_type("Input").sizes == (3, 2)
    assert BatchNormalizationLayer(Scaling=[1, 2, 3], Input=[Automatic, 4]).port_type("Output").sizes == (3, 4)
    assert NetMapOperator(LinearLayer(2), Input=[4, 3]).solved.arrays[("Net", "Weights")].sizes == (2, 3)


def test_equal_lengths_are_one_variable():
    net = NetGraph(
        {"a": Tanh, "b": Ramp, "sum": Plus, "c": NetMapOperator(SoftmaxLayer())},
        [(["a", "b"], "sum"), ("b", "c")],
        Input1=["Varying", 2],
        Input2=["Varying", 2],
    )
    lengths = {net.port_type(port).sizes[0] for port in (*net.input_names, *net.output_names)}
    assert len(lengths) == 1
    lstm = LongShortTermMemoryLayer(2, Input=["Varying", 3])
    assert lstm.port_type("Input").sizes[0] == lstm.port_type("Output").sizes[0]


def test_ten_thousand_layers_in_both_directions(monkeypatch):
    """Each layer is asked a few times, from whichever end the sizes come."""
    asked, ask = [], Solver._ask
    monkeypatch.setattr(Solver, "_ask", lambda solver, node, *rest: asked.append(node) or ask(solver, node, *rest))
    for make in (
        lambda: NetChain([LinearLayer(5) for _ in range(10_000)], Input=4),
        lambda: NetChain([*([Ramp] * 9_999), LinearLayer(3, Weights=weights(3, 7))]),
    ):
        net = make()
        net.__dict__.pop("_solved", None)
        asked.clear()
        assert net.port_type("Input").known
        assert net.port_type("Output").known
        assert 10_000 <= len(asked) <= 60_000


KINDS = {
    "linear": lambda size: LinearLayer([size, 2]),
    "ramp": lambda size: ElementwiseLayer(Ramp),
    "softmax": lambda size: SoftmaxLayer(),
    "flatten": lambda size: FlattenLayer(1),
    "reshape": lambda size: ReshapeLayer([Automatic, 2]),
    "convolution": lambda size: ConvolutionLayer(size, [2], PaddingSize=[[1, 0]], Stride=size),
    "pooling": lambda size: PoolingLayer([2], size, PaddingSize="Same"),
    "norm": lambda size: BatchNormalizationLayer(),
    "function": lambda size: FunctionLayer(lambda x: x[..., ::-1] + 1),
}


@seed(7)
@settings(max_examples=40, deadline=None, database=None)
@given(
    st.lists(st.tuples(st.sampled_from(sorted(KINDS)), st.integers(1, 3)), min_size=1, max_size=5),
    st.tuples(st.integers(1, 4), st.integers(1, 4)),
)
def test_inferred_is_executed(layers, sizes):
    try:
        net = NetChain([KINDS[kind](size) for kind, size in layers], Input=list(sizes))
    except ShapeError:
        return
    net = NetInitialize(net)
    function = net.function()
    made, _ = jax.eval_shape(lambda a, s, x: function(a, s, x), net.arrays, net.state, np.zeros((1, *sizes), np.float32))
    assert made.shape[1:] == net.port_type("Output").sizes
    names = list(net.nets)
    for name, following in itertools.pairwise(names):
        before = net.solved.types[net.program.ports[(name,), "Output"]]
        assert before == net.solved.types[net.program.ports[(following,), "Input"]]


def test_unconnected_ports_stay_open():
    net = NetGraph({"a": 3, "b": Tanh}, [(NetPort("x"), "a")])
    assert not net.port_type("x").known
    assert net.port_type("Output1").sizes == (3,)
    assert net.port_type("Output2").sizes is None
