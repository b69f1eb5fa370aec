"""NetGraph: every form of edge, ports, cycles, what is refused."""

from __future__ import annotations

import re

import numpy as np
import pytest

from netdsl import (
    CatenateLayer,
    CrossEntropyLossLayer,
    ElementwiseLayer,
    LinearLayer,
    MeanSquaredLossLayer,
    NetArrayLayer,
    NetChain,
    NetGraph,
    NetInitialize,
    NetPort,
    Plus,
    Ramp,
    Rule,
    SoftmaxLayer,
    Tanh,
    ThreadingLayer,
    Times,
)
from netdsl.errors import DeclarationError, PartError

X = [1.0, -2.0]


def scaled(factor):
    return ElementwiseLayer(lambda x: factor * x)


def same(a, b):
    np.testing.assert_allclose(a, b, rtol=1e-6)


LINE = {
    "tuple": [(1, 2, 3)],
    "pairs": [(1, 2), (2, 3)],
    "rules": [Rule(1, 2), Rule(2, 3)],
    "rule of rules": [Rule(1, Rule(2, 3))],
    "lists of edges": [[(1, 2)], [[(2, 3)]]],
    "one edge alone": (1, 2, 3),
    "arrows": [NetPort("Input") >> 1 >> 2 >> 3 >> NetPort("Output")],
    "arrow inside": [(1, 2), 2 >> NetPort(3, "Input")],
    "ports": [(NetPort(1, "Output"), NetPort(2, "Input")), (NetPort([2, "Output"]), NetPort([3, "Input"]))],
    "negative": [(-3, -2, -1)],
    "as text": [("1", "2", "3")],
}


@pytest.mark.parametrize("form", LINE)
def test_every_way_to_write_a_line(form):
    net = NetGraph([scaled(2), Ramp, scaled(-3)], LINE[form], Input=2)
    same(net(X), [-6, 0])
    assert net.input_names == ("Input",)
    assert net.output_names == ("Output",)


def test_names():
    net = NetGraph({"a": scaled(2), "b": Ramp, "c": scaled(-3)}, [("a", "b", "c")], Input=2)
    same(net(X), [-6, 0])
    rules = NetGraph([Rule("a", scaled(2)), Rule("b", Ramp)], [("a", "b")], Input=2)
    same(rules(X), [2, 0])


def test_fan_in_keeps_the_order_of_the_list():
    parts = {"a": scaled(2), "b": scaled(3), "f": ThreadingLayer(lambda x, y: x - 10 * y)}
    ends = [(NetPort("Input"), "a"), (NetPort("Input"), "b")]
    same(NetGraph(parts, [*ends, (["a", "b"], "f")], Input=2)(X), [-28, 56])
    same(NetGraph(parts, [*ends, (["b", "a"], "f")], Input=2)(X), [-17, 34])
    same(NetGraph(parts, [*ends, ("b", "f"), ("a", "f")], Input=2)(X), [-17, 34])
    same(NetGraph(parts, [*ends, ("b", NetPort("f", "Input2")), ("a", "f")], Input=2)(X), [-28, 56])
    same(NetGraph(parts, [*ends, ([NetPort("b", "Output"), NetPort("Input")], "f")], Input=2)({"Input": X})["Output2"], [-7, 14])


def test_ten_inputs_and_more_stand_in_the_order_of_their_numbers():
    parts = {**{f"f{i}": scaled(i) for i in range(1, 12)}, "all": CatenateLayer()}
    ends = [(NetPort("Input"), f"f{i}") for i in range(1, 12)]
    net = NetGraph(parts, [*ends, *((f"f{i}", NetPort("all", f"Input{i}")) for i in range(11, 0, -1))], Input=1)
    same(net([1.0]), range(1, 12))


def test_fan_out():
    net = NetGraph({"a": scaled(2), "b": scaled(3), "c": scaled(5)}, [("a", ["b", "c"])], Input=2)
    made = net(X)
    assert list(made) == ["Output1", "Output2"]
    same(made["Output1"], [6, -12])
    same(made["Output2"], [10, -20])


def test_lists_on_both_sides():
    net = NetGraph(
        {"a": scaled(2), "b": scaled(3), "sum": Plus, "product": Times}, [(["a", "b"], ["sum", "product"])], Input1=2, Input2=2
    )
    made = net({"Input1": X, "Input2": X})
    same(made["Output1"], [5, -10])
    same(made["Output2"], [6, 24])


def test_edges_to_the_ports_of_a_loss_in_any_order():
    loss = CrossEntropyLossLayer("Index")
    edges = [(NetPort("Target"), NetPort("loss", "Target")), (NetPort("Input"), NetPort("loss", "Input"))]
    for order in (edges, edges[::-1]):
        net = NetGraph({"loss": loss}, order, Input=3)
        assert net({"Input": [0.2, 0.5, 0.3], "Target": 2}) == pytest.approx(-np.log(0.5), rel=1e-5)
    by_name = NetGraph({"loss": loss}, [(NetPort("Target"), "loss"), (NetPort("Input"), "loss")], Input=3)
    assert by_name({"Input": [0.2, 0.5, 0.3], "Target": 2}) == pytest.approx(-np.log(0.5), rel=1e-5)


def test_a_list_feeds_the_ports_of_a_layer_in_their_order():
    net = NetGraph({"a": scaled(2), "b": scaled(3), "loss": MeanSquaredLossLayer()}, [(["a", "b"], "loss")], Input1=2, Input2=2)
    assert net({"Input1": [1.0, 1.0], "Input2": [0.0, 0.0]}) == pytest.approx(4)
    assert net.output_names == ("Loss",)


def test_unconnected_ports_become_the_graphs():
    net = NetGraph({"a": Ramp, "b": Tanh, "loss": MeanSquaredLossLayer()}, [("a", NetPort("loss", "Input"))])
    assert net.input_names == ("Input1", "Input2", "Target") or set(net.input_names) == {"Input1", "Input2", "Target"}
    assert net.output_names == ("Output", "Loss")
    single = NetGraph({"a": Ramp}, [])
    assert (single.input_names, single.output_names) == (("Input",), ("Output",))
    three = NetGraph([Ramp, Tanh, Ramp], [])
    assert three.input_names == ("Input1", "Input2", "Input3")
    assert three.output_names == ("Output1", "Output2", "Output3")
    with_declared = NetGraph([Ramp, Tanh, Ramp], [(NetPort("Input1"), 2)])
    assert len(set(with_declared.input_names)) == 3


def test_outputs_by_name_and_muted():
    net = NetGraph({"a": scaled(2), "b": scaled(3)}, [("a", "b"), ("a", NetPort("Inner"))], Input=2)
    assert net.output_names == ("Inner", "Output")
    same(net(X)["Inner"], [2, -4])
    muted = NetGraph({"a": scaled(2), "b": scaled(3)}, [(NetPort("Input"), ["a", "b"]), (NetPort("b", "Output"), None)], Input=2)
    assert muted.output_names == ("Output",)
    same(muted(X), [2, -4])
    both = NetGraph([scaled(2), scaled(3), Ramp], [(NetPort("Input"), [1, 2, 3]), ([1, 2], None)], Input=2)
    assert both.output_names == ("Output",)


def test_of_a_layer_or_chain():
    chain = NetInitialize(NetChain({"a": 3, "b": SoftmaxLayer()}, Input=2, LearningRateMultipliers=0.5))
    graph = NetGraph(chain)
    assert list(graph.nets) == ["a", "b"]
    assert graph.LearningRateMultipliers == 0.5
    same(graph(X), chain(X))
    assert NetGraph(chain, Ports={"Input": 2}) == NetGraph(chain)
    assert NetGraph(NetChain([Ramp]), Input=3).port_type("Output").sizes == (3,)
    assert NetGraph(NetChain([Ramp], Input=4), Input=3).port_type("Output").sizes == (3,)
    one = NetGraph(ElementwiseLayer(Ramp, Input=2))
    assert list(one.nets) == ["1"]
    same(one(X), [1, 0])
    again = NetGraph(
        NetGraph({"l": MeanSquaredLossLayer()}, [(NetPort("b"), NetPort("l", "Input")), (NetPort("a"), NetPort("l", "Target"))])
    )
    assert again.input_names == ("b", "a")


def test_layers_without_inputs():
    net = NetGraph({"c": NetArrayLayer(Array=[1.0, 2.0]), "double": scaled(2)}, [("c", "double")])
    assert net.input_names == ()
    same(net(), [2, 4])


def test_order_of_layers_is_free():
    net = NetGraph([scaled(2), Ramp, scaled(-3)], [(3, 1, 2)], Input=2)
    same(net([1.0, -1.0]), [0, 6])


WRITTEN = [
    lambda: NetGraph([Ramp, Tanh, Plus], [(NetPort("z"), 2), (NetPort("a"), 1), ([1, 2], 3)]),
    lambda: NetGraph([Ramp, Tanh, CatenateLayer()], [(NetPort("b"), 1), ([NetPort("c"), 1, NetPort("a")], 3), (NetPort("a"), 2)]),
    lambda: NetGraph({"a": Ramp, "b": Tanh, "c": Ramp}, [("a", ["b", "c"]), ("b", None), ("a", NetPort("first"))], Input=2),
    lambda: NetGraph(NetChain([3, SoftmaxLayer()], Input=2, LearningRateMultipliers={"1": 0})),
    lambda: NetGraph(
        {"loss": CrossEntropyLossLayer("Index"), "net": [2, SoftmaxLayer()]},
        [(NetPort("T"), NetPort("loss", "Target")), (NetPort("I"), "net", NetPort("loss", "Input"))],
        I=3,
    ),
    lambda: NetGraph([Ramp, Plus], [(NetPort("x"), 1), ([1, NetPort("y"), NetPort("x")], 2)], Ports={"x": 2}),
]


@pytest.mark.parametrize("make", WRITTEN)
def test_the_written_edges_build_it_again(make):
    import netdsl

    net = make()
    names = {name: value for name, value in vars(netdsl).items() if not name.startswith("_")}
    for again in (eval(repr(net), names), net.changed()):
        assert again == net
        assert (again.input_names, again.output_names) == (net.input_names, net.output_names)
        assert again.program.steps == net.program.steps


REFUSED = {
    "bit shift": (
        [1 >> 2],
        DeclarationError,
        '0 is no edge. An edge is a tuple (1, 2), a Rule(1, 2), or NetPort("Input") >> 1. Python reads '
        "1 >> 2 as a bit shift, which gives 0: write the edge as (1, 2).",
    ),
    "layer 0": (
        [(0, 2)],
        DeclarationError,
        "The edge (0, 2) names layer 0; layers count from 1. If it came from 1 >> 2: Python reads that as a "
        "bit shift; write (1, 2).",
    ),
    "to layer 0": ([(NetPort("Input"), 0)], DeclarationError, "names layer 0; layers count from 1."),
    "dict": ({1: 2}, DeclarationError, "Edges are not written as a dict: equal keys would vanish."),
    "dict inside": ([{1: 2}], DeclarationError, "Edges are not written as a dict: equal keys would vanish."),
    "list for an edge": ([[1, 2]], DeclarationError, "1 is no edge."),
    "number": ([7], DeclarationError, "7 is no edge."),
    "one place": ([(1,)], DeclarationError, "(1,) is no edge."),
    "text": (["ab"], DeclarationError, "'ab' is no edge."),
    "unknown number": ([(1, 9)], PartError, "The edge (1, 9) names layer 9; there are 3."),
    "unknown name": (
        [("1", "x")],
        PartError,
        "The edge ('1', 'x') names the layer 'x', which is not there. There are '1', '2' and '3'.",
    ),
    "unknown input port": (
        [(1, NetPort(2, "Inptu"))],
        PartError,
        "layer '2', ElementwiseLayer, has no input port 'Inptu'. Did you mean 'Input'?",
    ),
    "unknown output port": (
        [(NetPort(1, "State"), 2)],
        PartError,
        "layer '1', ElementwiseLayer, has no output port 'State'. There is 'Output'.",
    ),
    "into an inner net": ([(NetPort(1, 2, "Output"), 2)], DeclarationError, "reaches into an inner net."),
    "fed twice": (
        [(1, 3), (2, 3)],
        DeclarationError,
        "The edge (2, 3) feeds port 'Input' of layer '3' a second time. An input port has one source.",
    ),
    "fed by two": (
        [([1, 2], 3)],
        DeclarationError,
        "feeds 2 outputs to layer '3', ElementwiseLayer, which has 1 input ports (Input).",
    ),
    "cycle": ([(1, 2), (2, 3), (3, 1)], DeclarationError, "This NetGraph has a cycle through the layers '1', '2' and '3'."),
    "itself": ([(2, 2)], DeclarationError, "This NetGraph has a cycle through the layers '2'."),
    "port to port": (
        [(NetPort("a"), NetPort("b"))],
        DeclarationError,
        "wires an input port of the graph to an output port without a layer between.",
    ),
    "output twice": (
        [(1, NetPort("o")), (2, NetPort("o"))],
        DeclarationError,
        "gives the output port 'o' of the graph a second source.",
    ),
    "one name twice": ([(NetPort("p"), 1, NetPort("p"))], DeclarationError, "has an input port and an output port named 'p'."),
    "nothing comes out": ([([1, 2, 3], None)], DeclarationError, "This NetGraph has no output"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refused_edges(case):
    edges, error, words = REFUSED[case]
    with pytest.raises(error, match=re.escape(words)):
        NetGraph([Ramp, Tanh, Ramp], edges)


def test_refusals_around_layers_of_several_ports():
    loss, net = {"loss": MeanSquaredLossLayer(), "a": Ramp}, [Ramp, Tanh]
    with pytest.raises(DeclarationError, match=r"does not say which input port of layer 'loss', MeanSquaredLossLayer, it feeds"):
        NetGraph(loss, [("a", "loss")])
    with pytest.raises(DeclarationError, match=r"does not say which output port of layer 'two' it means"):
        NetGraph({"two": NetGraph(net, []), "a": Ramp}, [("two", "a")])
    with pytest.raises(DeclarationError, match=r"feeds layer 'c', NetArrayLayer, which has no input port"):
        NetGraph({"a": Ramp, "c": NetArrayLayer(Output=3)}, [("a", "c")])


def test_refusals_around_layers_of_any_number_of_inputs():
    with pytest.raises(DeclarationError, match="Nothing feeds layer 'sum', ThreadingLayer, which takes any number of inputs"):
        NetGraph({"a": Ramp, "sum": Plus}, [])
    with pytest.raises(DeclarationError, match="Nothing feeds port 'Input1' of layer 'sum'"):
        NetGraph({"a": Ramp, "sum": Plus}, [("a", NetPort("sum", "Input2"))])
    with pytest.raises(PartError, match="are Input1, Input2, …, not 'Left'"):
        NetGraph({"a": Ramp, "sum": Plus}, [("a", NetPort("sum", "Left"))])
    named = NetGraph(
        {"a": scaled(2), "f": ThreadingLayer(lambda x, y: x - y, InputPorts=["Left", "Right"])},
        [("a", NetPort("f", "Right"))],
        Left=2,
    )
    same(named({"Left": [0.0, 0.0], "Input": X}), [-2, 4])


def test_what_is_no_layer():
    for wrong in (None, True, 1.5, "abc", LinearLayer):
        with pytest.raises(DeclarationError, match="element 2 of NetGraph is"):
            NetGraph([Ramp, wrong], [])
    with pytest.raises(DeclarationError, match="takes at least one layer"):
        NetGraph([], [])
    with pytest.raises(DeclarationError, match="two layers named 'a'"):
        NetGraph([Rule("a", Ramp), Rule("a", Tanh)], [])
    with pytest.raises(DeclarationError, match="named by strings that are not empty"):
        NetGraph({"": Ramp}, [])


def test_net_port():
    assert NetPort("a", "Input") == NetPort(["a", "Input"]) == NetPort(("a", "Input"))
    assert repr(NetPort("x")) == "NetPort('x')"
    assert repr(NetPort(1, 2, "x")) == "NetPort([1, 2, 'x'])"
    assert repr(NetPort("Input") >> "a" >> 2) == "NetPort('Input') >> 'a' >> 2"
    with pytest.raises(AttributeError, match="immutable"):
        NetPort("x").path = ()
    for wrong in ((), (1,), ("a", 2), (1.5, "a")):
        with pytest.raises(DeclarationError, match="NetPort takes the name of a port"):
            NetPort(*wrong)


def test_a_thousand_layers_of_a_graph():
    net = NetGraph([Ramp] * 1000, [tuple(range(1, 1001))], Input=2)
    assert len(net.program.steps) == 1000
    assert net.port_type("Output").sizes == (2,)
