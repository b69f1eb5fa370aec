"""NetFlatten, NetRename, NetReplace."""

import re

import numpy as np
import pytest

from netdsl import (
    BasicRecurrentLayer,
    DeclarationError,
    ElementwiseLayer,
    Keys,
    LinearLayer,
    NetChain,
    NetDecoder,
    NetEncoder,
    NetFlatten,
    NetGraph,
    NetInitialize,
    NetMapOperator,
    NetPort,
    NetRename,
    NetReplace,
    NetWarning,
    PartError,
    Plus,
    Ramp,
    Rule,
    SoftmaxLayer,
    Tanh,
)
from netdsl.nets import multipliers_by_path
from netdsl.symbols import Automatic


def test_flatten_chains():
    net = NetInitialize(NetChain([Ramp, [3, [Tanh, 2]], Ramp], Input=4))
    flat = NetFlatten(net)
    assert isinstance(flat, NetChain)
    assert Keys(flat) == ["1", "2", "3", "4", "5"]
    x = np.array([1.0, -1.0, 2.0, 0.5], np.float32)
    np.testing.assert_array_equal(flat(x), net(x))
    assert Keys(NetFlatten(net, 1)) == ["1", "2", "3", "4"]
    assert NetFlatten(net, 0) == net


def test_flatten_graphs_inside_chains(graph, bits):
    net = NetChain({"pre": NetChain({"x": 3, "y": Ramp}), "g": graph}, Input=4)
    net = NetInitialize(net)
    before = bits(net)
    flat = NetFlatten(net)
    assert isinstance(flat, NetGraph)
    assert Keys(flat) == ["pre/x", "pre/y", "g/a", "g/b", "g/c", "g/sum", "g/out"]
    x = np.linspace(-1, 1, 4, dtype=np.float32)
    np.testing.assert_allclose(flat(x), net(x), rtol=1e-6)
    assert {path[0] for path in flat.arrays} == {"pre/x", "g/a", "g/out"}
    only = NetFlatten(net, AllowedHeads=NetChain)
    assert Keys(only) == ["pre/x", "pre/y", "g"]
    assert bits(net) == before


def test_flatten_keeps_coders_and_gives_a_chain_where_possible(training_net, classifier):
    flat = NetFlatten(training_net)
    assert flat.encoder("Input") == classifier.encoder("Input")
    assert Keys(flat) == ["net/flat", "net/hidden", "net/act", "net/out", "net/prob", "loss"]
    inner = NetChain([LinearLayer(3), SoftmaxLayer()], Output=NetDecoder("Class", ["a", "b", "c"]))
    row = NetFlatten(NetGraph({"a": inner}, [], Input=4))
    assert isinstance(row, NetChain)
    assert row.decoder("Output") == NetDecoder("Class", ["a", "b", "c"])


def test_flatten_inside_operators():
    net = NetFlatten(NetChain([NetMapOperator(NetChain([[Ramp, 3]]))], Input=[2, 4]))
    assert repr(net) == "NetChain([NetMapOperator(NetChain([ElementwiseLayer(Ramp), LinearLayer(3)]))], Input=[2, 4])"


def test_flatten_keeps_the_multipliers():
    inner = NetChain({"x": LinearLayer(3, LearningRateMultipliers=0.5), "y": 2}, LearningRateMultipliers={"y": 0})
    net = NetInitialize(NetChain({"a": inner, "b": 2}, Input=4, LearningRateMultipliers=[Rule(("a", "x"), 4), Rule("b", 3)]))
    before = {"/".join(path): value for path, value in multipliers_by_path(net, (), Automatic).items()}
    after = {"/".join(path): value for path, value in multipliers_by_path(NetFlatten(net), (), Automatic).items()}
    assert before == after
    assert before["a/x/Weights"] == 2.0


@pytest.mark.parametrize("levels", [1, 2, 3])
def test_flatten_keeps_the_wires_of_states(levels):
    reader = NetChain([BasicRecurrentLayer(2), [BasicRecurrentLayer(2)]])
    net = NetGraph(
        {"reader": reader, "writer": [[BasicRecurrentLayer(2)], Tanh], "after": Ramp},
        [
            (NetPort("x"), "reader", NetPort("read")),
            (NetPort("y"), "writer", NetPort("written")),
            (NetPort("reader", "2", "1", "State"), NetPort("writer", "1", "1", "State")),
            (NetPort("writer", "1", "1", "State"), "after", NetPort("State after")),
        ],
        x=[3, 2],
        y=[4, 2],
    )
    net = NetInitialize(net)
    rng = np.random.default_rng(1)
    data = {"x": rng.normal(size=(3, 2)), "y": rng.normal(size=(4, 2))}
    flat = NetFlatten(net, levels)
    assert len(flat.state_names) == 2
    before, after = net(data), flat(data)
    for port in before:
        np.testing.assert_allclose(after[port], before[port], rtol=1e-6)


def test_what_reads_a_state_is_no_chain():
    net = NetGraph({"a": BasicRecurrentLayer(2), "b": Ramp}, [(NetPort("a", "State"), "b"), ("a", None)], Input=[3, 2])
    net = NetInitialize(net)
    x = np.ones((3, 2))
    flat = NetFlatten(net)
    assert isinstance(flat, NetGraph)
    np.testing.assert_array_equal(flat(x), net(x))


def test_rename(graph, chain):
    net = NetRename(graph, {"a": "first", "Input": "x", "Output": "y"})
    assert Keys(net)[0] == "first"
    assert (net.input_names, net.output_names) == (("x",), ("y",))
    assert net.arrays["first", "Weights"] is graph.arrays["a", "Weights"]
    x = np.ones(3, np.float32)
    np.testing.assert_array_equal(net({"x": x}), graph(x))
    assert Keys(NetRename(chain, {1: "one"})) == ["one", "2", "3"]
    assert Keys(NetRename(graph, str.upper)) == ["A", "B", "C", "SUM", "OUT"]
    assert Keys(NetRename(graph, {"a": "b", "b": "a"})) == ["b", "a", "c", "sum", "out"]
    nested = NetChain({"o": NetChain({"i": Ramp})})
    assert Keys(NetRename(nested, {("o", "i"): "j", "o": "p"})["p"]) == ["j"]


RENAMES = [
    ({"z": "y"}, PartError, "NetRename: this NetChain has no part 'z'. There are 'Input' and 'Output'."),
    ({1: "2"}, DeclarationError, "NetRename: there would be two layers named '2'. Give each its own name."),
    ({1: 5}, DeclarationError, "NetRename: a name is a string that is not empty. Got 5."),
    (
        {"Input": "x"},
        DeclarationError,
        "NetRename: 'Input' of this NetChain cannot be renamed; the ports of a NetChain are those of its layers. NetGraph(net) "
        "makes "
        "a graph, whose ports have names of their own.",
    ),
]


@pytest.mark.parametrize(("rules", "error", "message"), RENAMES, ids=[m for _, _, m in RENAMES])
def test_rename_messages(rules, error, message):
    net = NetChain([Ramp, Tanh, 3], Input=2)
    with pytest.raises(error, match=re.escape(message)):
        NetRename(net, rules)


def test_replace_by_layer_class_and_function(classifier, bits):
    before = bits(classifier)
    assert NetReplace(classifier, {Ramp: Tanh})["act"].Function is Tanh
    assert NetReplace(classifier, {ElementwiseLayer: Tanh})["act"].Function is Tanh
    assert NetReplace(classifier, {LinearLayer(5): LinearLayer(5, Biases=None)})["hidden", "Biases"] is None
    assert NetReplace(classifier, {LinearLayer(6): 5}) is classifier
    with pytest.warns(
        NetWarning, match=re.escape("NetReplace dropped an array that no longer fits: out/Weights (was 3x5, now 3x8)")
    ):
        net = NetReplace(classifier, Rule(lambda layer: isinstance(layer, LinearLayer) and layer.OutputDimensions == 5, 8))
    assert net.missing == [("hidden", "Weights"), ("hidden", "Biases"), ("out", "Weights")]
    assert bits(classifier) == before


def test_replace_goes_everywhere_and_spreads_out():
    net = NetChain([Ramp, [Ramp], NetMapOperator(Ramp)], Input=[2, 3])
    assert repr(NetReplace(net, {Ramp: Tanh})) == (
        "NetChain([ElementwiseLayer(Tanh), NetChain([ElementwiseLayer(Tanh)]), "
        "NetMapOperator(ElementwiseLayer(Tanh))], Input=[2, 3])"
    )
    two = NetChain([Tanh, Tanh])
    assert Keys(NetReplace(NetChain([Ramp, 3], Input=4), {Ramp: two})) == ["1", "2", "3"]
    assert Keys(NetReplace(NetChain({"a": Ramp, "b": 3}, Input=4), {Ramp: two})) == ["a/1", "a/2", "b"]
    assert isinstance(NetReplace(NetChain([Ramp], Input=4), {Ramp: two}, FlattenInPlace=False)[1], NetChain)


def test_replace_keeps_trained_parts(graph):
    net = NetReplace(graph, {Tanh: Ramp})
    assert net.edge_list() == graph.edge_list()
    assert net.arrays["out", "Weights"] is graph.arrays["out", "Weights"]
    x = np.ones(3, np.float32)
    np.testing.assert_allclose(net(x), graph["out"](2 * np.maximum(np.asarray(graph["a"](x)), 0)), rtol=1e-5)


def test_replace_messages(chain):
    with pytest.raises(DeclarationError, match="NetReplace: the class int is none of layers"):
        NetReplace(chain, {int: Ramp})
    with pytest.raises(DeclarationError, match="must say True or False of a layer"):
        NetReplace(chain, {lambda layer: 3: Ramp})
    with pytest.raises(DeclarationError, match=re.escape("FlattenInPlace of NetReplace is True or False. Got 1.")):
        NetReplace(chain, {Ramp: Tanh}, FlattenInPlace=1)


def test_encoders_of_inner_nets_survive_flattening():
    encoder = NetEncoder("Image", [4, 4], ColorSpace="Grayscale")
    inner = NetChain([LinearLayer(2)], Input=encoder)
    assert NetFlatten(NetChain([inner, Ramp])).encoder("Input") == encoder
    merged = NetFlatten(NetGraph({"a": inner, "b": inner, "s": Plus}, [(["a", "b"], "s")]))
    assert [merged.encoder(port) for port in merged.input_names] == [encoder, encoder]
