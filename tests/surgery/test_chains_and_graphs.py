"""NetTake, NetDrop, NetAppend, NetPrepend, NetInsert, NetDelete, NetJoin."""

import re

import numpy as np
import pytest

from netdsl import (
    CatenateLayer,
    DeclarationError,
    Keys,
    LinearLayer,
    NetAppend,
    NetChain,
    NetDecoder,
    NetDelete,
    NetDrop,
    NetGraph,
    NetInitialize,
    NetInsert,
    NetJoin,
    NetPort,
    NetPrepend,
    NetTake,
    NetWarning,
    PartError,
    Plus,
    Ramp,
    Rule,
    ShapeError,
    SoftmaxLayer,
    Span,
    Tanh,
)


def test_take(classifier):
    taken = NetTake(classifier, "act")
    assert Keys(taken) == ["flat", "hidden", "act"]
    assert taken.encoder("Input") == classifier.encoder("Input")
    assert taken.decoder("Output") is None
    assert taken.port_type("Output").sizes == (5,)
    assert taken.initialized
    assert Keys(NetTake(classifier, -2)) == ["flat", "hidden", "act", "out"]
    assert NetTake(classifier, ["out", "prob"]).decoder("Output") == classifier.decoder("Output")
    assert NetTake(classifier, [4, 4], Output=NetDecoder("Class", ["x", "y", "z"])).decoder("Output") is not None


def test_take_and_append_is_transfer_learning(classifier, bits):
    before = bits(classifier)
    body = NetTake(classifier, "act")
    net = NetAppend(body, {"new": LinearLayer(7), "prob": SoftmaxLayer()}, Output=NetDecoder("Class", list("abcdefg")))
    assert net.missing == [("new", "Weights"), ("new", "Biases")]
    assert net["hidden", "Weights"] is classifier["hidden", "Weights"]
    picture = np.arange(16, dtype=np.uint8).reshape(4, 4)
    np.testing.assert_array_equal(NetInitialize(net)[Span(1, 3)](picture), body(picture))
    assert bits(classifier) == before


def test_an_inner_decoder_is_kept_but_has_no_effect(classifier):
    net = NetAppend(classifier, Ramp)
    assert net.decoder("Output") is None
    assert NetDrop(net, -1).decoder("Output") == classifier.decoder("Output")


def test_drop(chain):
    assert repr(NetDrop(NetChain([6, Ramp, 2], Input=4), 1)) == "NetChain([ElementwiseLayer(Ramp), LinearLayer(2)], Input=6)"
    assert NetDrop(chain, [2, 2]).arrays.keys() == {("1", "Weights"), ("1", "Biases"), ("2", "Weights"), ("2", "Biases")}
    assert NetDrop(chain, -1).port_type("Output").sizes == (6,)
    assert NetDrop(chain, 0) == chain


def test_append_prepend_insert(chain):
    assert [type(layer).__name__ for layer in NetAppend(chain, [3, Tanh])][-2:] == ["LinearLayer", "ElementwiseLayer"]
    net = NetPrepend(chain, Rule("first", LinearLayer(4)))
    assert Keys(net) == ["first", "1", "2", "3"]
    assert net["1", "Weights"] is chain[1, "Weights"]
    assert net.port_type("Input").sizes is None
    assert NetInsert(chain, Tanh, 2)[2].Function is Tanh
    assert NetInsert(chain, Tanh, -1)[-1].Function is Tanh
    assert NetInsert(chain, Tanh, 1)[1].Function is Tanh
    with pytest.warns(
        NetWarning, match=re.escape("NetInsert dropped an array that no longer fits: 4/Weights (was 2x6, now 2x9)")
    ):
        NetInsert(chain, 9, 3)


def test_a_new_layer_that_does_not_fit_is_an_error(chain):
    trained = NetInitialize(LinearLayer(3, Input=5))
    with pytest.raises(ShapeError, match=r"^NetAppend: cannot connect element 3 to port 'Input' of element 4 of this NetChain"):
        NetAppend(chain, trained)


def test_delete_in_chains(chain):
    net = NetDelete(chain, 2)
    assert Keys(net) == ["1", "2"]
    assert net.arrays["2", "Weights"] is chain.arrays["3", "Weights"]
    assert Keys(NetDelete(chain, [1, -1])) == ["1"]
    assert NetDelete(chain, Span(2, 3)).port_type("Output").sizes == (6,)
    nested = NetChain({"a": NetChain({"x": Ramp, "y": Tanh}), "b": 2}, Input=3)
    assert Keys(NetDelete(nested, [["a", "x"]])["a"]) == ["y"]
    with pytest.warns(NetWarning, match="NetDelete dropped"):
        NetDelete(NetInitialize(NetChain([6, 3, 2], Input=4)), 2)


def test_delete_in_graphs(graph, bits):
    before = bits(graph)
    net = NetDelete(graph, "b")
    assert (net.input_names, net.output_names) == (("Input", "Input1"), ("Output",))
    assert net.port_type("Input1").sizes == (5,)
    assert net.initialized
    x, y = np.ones(3, np.float32), np.full(5, 0.5, np.float32)
    expected = graph["out"](np.tanh(np.asarray(graph["a"](x))) + y)
    np.testing.assert_allclose(net({"Input": x, "Input1": y}), expected, rtol=1e-5)
    end = NetDelete(graph, "out")
    assert end.port_type("Output").sizes == (5,)
    assert bits(graph) == before


def test_take_in_graphs(graph):
    x = np.array([1.0, -2.0, 0.5], np.float32)
    net = NetTake(graph, "sum")
    assert Keys(net) == ["a", "b", "c", "sum"]
    a = np.asarray(graph["a"](x))
    np.testing.assert_allclose(net(x), np.maximum(a, 0) + np.tanh(a), rtol=1e-5)
    assert NetTake(graph, "b").output_names == ("Output",)
    assert Keys(NetTake(graph, "b")) == ["a", "b"]
    tail = NetTake(graph, ["sum", "out"])
    assert tail.input_names == ("Input", "Input1")
    np.testing.assert_allclose(tail({"Input": a, "Input1": a}), graph["out"](a + a), rtol=1e-5)
    with pytest.raises(DeclarationError, match="NetTake: nothing leads from layer 'b' to layer 'c' of this NetGraph"):
        NetTake(graph, ["b", "c"])


def test_join(classifier, bits):
    before = bits(classifier)
    net = NetJoin(NetTake(classifier, "act"), NetChain({"x": 7, "y": SoftmaxLayer()}))
    assert Keys(net) == ["flat", "hidden", "act", "x", "y"]
    assert net.encoder("Input") == classifier.encoder("Input")
    assert net["hidden", "Weights"] is classifier["hidden", "Weights"]
    assert Keys(NetJoin(NetChain([Ramp, 2], Input=3), Tanh)) == ["1", "2", "3"]
    assert NetJoin(NetChain([2], Input=3), NetChain([Ramp], Output=NetDecoder("Class", ["a", "b"]))).decoder("Output") is not None
    assert bits(classifier) == before
    with pytest.raises(DeclarationError, match="NetJoin: there would be two layers named 'a'"):
        NetJoin(NetChain({"a": Ramp}), NetChain({"a": Ramp}))
    with pytest.raises(ShapeError, match=r"^NetJoin: "):
        NetJoin(NetChain([LinearLayer(2)], Input=3), NetInitialize(NetChain([2], Input=3)))


def test_join_graphs(graph, classifier):
    x = np.array([1.0, -2.0, 0.5], np.float32)
    tail = NetInitialize(NetChain({"x": Tanh, "y": LinearLayer(4)}, Input=2))
    net = NetJoin(graph, tail)
    assert Keys(net) == ["a", "b", "c", "sum", "out", "x", "y"]
    assert (net.input_names, net.output_names) == (("Input",), ("Output",))
    np.testing.assert_allclose(net(x), tail(graph(x)), rtol=1e-5)
    assert net["a", "Weights"] is graph["a", "Weights"]
    assert NetJoin(classifier, NetGraph([Ramp], [])).encoder("Input") == classifier.encoder("Input")
    assert NetJoin(
        NetGraph([Ramp], [], Input=4), NetGraph([Tanh, 2], [(1, 2)], Output=NetDecoder("Class", ["a", "b"]))
    ) == NetGraph([Ramp, Tanh, 2], [(1, 2, 3)], Input=4, Output=NetDecoder("Class", ["a", "b"]))
    two = NetGraph({"p": Ramp, "q": Tanh}, [(NetPort("Input"), ["p", "q"]), ("p", NetPort("u")), ("q", NetPort("v"))], Input=3)
    one = NetGraph({"s": Plus, "z": Ramp}, [([NetPort("u"), NetPort("w")], "s"), ("s", "z")])
    both = NetJoin(two, one, w=3)
    assert (both.input_names, both.output_names) == (("Input", "w"), ("v", "Output"))
    np.testing.assert_allclose(both({"Input": x, "w": x})["Output"], np.maximum(np.maximum(x, 0) + x, 0), rtol=1e-6)
    with pytest.raises(DeclarationError, match=re.escape("NetJoin: the outputs of net 1 (u, v) and the inputs of net 2 (Input)")):
        NetJoin(two, graph)


def test_shared_arrays_are_merged_and_forgotten(tied):
    assert NetJoin(tied, NetChain([Ramp])).shared.keys() == {"w"}
    assert not NetDelete(NetDelete(tied, "one"), "two").shared
    assert NetTake(tied, "one")["one", "Weights"] is tied["one", "Weights"]


def test_multipliers_follow_their_layers():
    net = NetChain([3, 4, 5], Input=2, LearningRateMultipliers={2: 0.5, (3, "Biases"): 0})
    rules = NetDelete(net, 1).LearningRateMultipliers
    assert [(rule.key, rule.value) for rule in rules] == [("1", 0.5), (("2", "Biases"), 0)]
    assert [rule.key for rule in NetTake(net, 2).LearningRateMultipliers] == ["2"]


MESSAGES = [
    (
        lambda net: NetDrop(net, 3),
        DeclarationError,
        "NetDrop: nothing would be left of this NetChain of 3 layers. A net has at least one layer.",
    ),
    (lambda net: NetDrop(net, 4), PartError, "NetDrop: this NetChain has 3 layers, so 4 cannot be dropped."),
    (
        lambda net: NetTake(net, [3, 1]),
        DeclarationError,
        "NetTake: element 3 comes after element 1, so nothing leads from one to the other. Write NetTake(net, [1, 3]).",
    ),
    (lambda net: NetTake(net, "x"), PartError, "NetTake: this NetChain has no part 'x'. Its parts are numbered from 1 to 3."),
    (lambda net: NetInsert(net, Ramp, 7), PartError, "NetInsert: this NetChain has no part 7. It has 3 parts, numbered from 1."),
    (
        lambda net: NetDelete(net, [1, 2, 3]),
        DeclarationError,
        "NetDelete: nothing would be left of this NetChain. A net has at least one layer.",
    ),
    (
        lambda net: NetAppend(net, CatenateLayer(InputPorts=2)),
        DeclarationError,
        "Element 4, CatenateLayer, cannot follow another layer in a NetChain: it has 2 input ports (Input1 and Input2). Use a "
        "NetGraph.",
    ),
    (
        lambda net: NetAppend(net, Ramp, Outputs=3),
        DeclarationError,
        "NetChain has no option or port 'Outputs'. Did you mean 'Output'?",
    ),
    (lambda net: NetAppend(Ramp, net), DeclarationError, "NetAppend takes a NetChain. Got Ramp."),
]


@pytest.mark.parametrize(("attempt", "error", "message"), MESSAGES, ids=[m for _, _, m in MESSAGES])
def test_messages(chain, attempt, error, message):
    with pytest.raises(error, match=f"^{re.escape(message)}$"):
        attempt(chain)


def test_a_graph_is_no_chain(graph):
    with pytest.raises(
        DeclarationError, match=re.escape("NetAppend takes a NetChain, whose layers have an order. Got a NetGraph")
    ):
        NetAppend(graph, Ramp)
