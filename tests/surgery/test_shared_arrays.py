"""NetInsertSharedArrays, and that what is shared stays shared: through surgery, files and training."""

from __future__ import annotations

import jax
import numpy as np
import pytest

from netdsl import (
    BatchNormalizationLayer,
    DeclarationError,
    ElementwiseLayer,
    Export,
    Import,
    LinearLayer,
    LongShortTermMemoryLayer,
    NetAppend,
    NetArray,
    NetChain,
    NetDelete,
    NetDrop,
    NetExtract,
    NetFlatten,
    NetGraph,
    NetInitialize,
    NetInsert,
    NetInsertSharedArrays,
    NetJoin,
    NetMapOperator,
    NetNestOperator,
    NetPort,
    NetPrepend,
    NetRename,
    NetReplace,
    NetReplacePart,
    NetTake,
    NetTrain,
    NetUnfold,
    NetWarning,
    Plus,
    Ramp,
    Tanh,
)

RNG = np.random.default_rng(4)


def test_every_array_becomes_a_shared_one():
    net = NetChain({"a": 3, "b": [Ramp, LinearLayer(2, Biases=None)]}, Input=5)
    bare = NetInsertSharedArrays(net)
    assert set(bare.array_table()) == {("", "a/Weights"), ("", "a/Biases"), ("", "b/2/Weights")}
    assert not bare.shared
    filled = NetInsertSharedArrays(NetInitialize(net), "p/")
    assert set(filled.array_table()) == {("", "p/a/Weights"), ("", "p/a/Biases"), ("", "p/b/2/Weights")}
    x = RNG.normal(size=5)
    np.testing.assert_array_equal(filled(x), NetInitialize(net)(x))
    assert NetInsertSharedArrays(filled) == filled
    assert NetExtract(filled, ["a", "Biases"]) is filled.shared["p/a/Biases"]
    assert NetExtract(filled, NetArray("p/a/Biases")) is filled.shared["p/a/Biases"]


def test_inside_operators_and_state_too():
    net = NetInitialize(NetChain([NetMapOperator([BatchNormalizationLayer(), 3]), LongShortTermMemoryLayer(2)], Input=[4, 3]))
    tied = NetInsertSharedArrays(net)
    assert {path[0] for path in tied.array_table()} == {""}
    assert set(tied.state) == {("", "1/Net/1/MovingMean"), ("", "1/Net/1/MovingVariance")}
    x = RNG.normal(size=(4, 3))
    np.testing.assert_array_equal(tied(x), net(x))
    twice = NetChain([tied[1], tied[1]])
    assert len(twice.array_table()) == 6


def test_only_what_is_new_gets_a_name():
    net = NetChain([LinearLayer(3, Weights=NetArray("w")), LinearLayer(3, Weights=NetArray("w"))], Input=3)
    tied = NetInsertSharedArrays(net)
    assert {name for _, name in tied.array_table()} == {"w", "1/Biases", "2/Biases"}


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: NetInsertSharedArrays(3), "takes a net. Got 3"),
        (lambda: NetInsertSharedArrays(Ramp), "takes a net"),
        (lambda: NetInsertSharedArrays(LinearLayer(3), 3), "The prefix of NetInsertSharedArrays is a string. Got 3"),
        (
            lambda: NetInsertSharedArrays(NetChain([LinearLayer(3, Weights=NetArray("2/Weights")), 3])),
            r"NetArray\('2/Weights'\) already. Give a prefix",
        ),
    ],
)
def test_messages(make, words):
    with pytest.raises(DeclarationError, match=words):
        make()


# Sharing through surgery


@pytest.fixture
def copies():
    """A block, and a net that holds it twice, once deep inside."""
    block = NetInsertSharedArrays(NetInitialize(NetChain([3, Tanh], Input=3)), "block/")
    layers = {"first": block, "mid": [block[1], Ramp], "third": LinearLayer(3), "fourth": NetNestOperator(block, 2)}
    return block, NetInitialize(NetChain(layers, Input=3))


def same(net, block, *at):
    """Whether the net has the block's arrays once, and all these places read them."""
    assert set(net.shared) == set(block.shared)
    assert all(net.shared[name] is block.shared[name] for name in block.shared)
    for place in at:
        assert NetExtract(net, [*place, "Weights"]) is block.shared["block/1/Weights"]
    return True


def test_copies_stay_tied_through_surgery(copies):
    block, net = copies
    assert len(net.array_table()) == 4
    assert same(net, block, ["first", 1], ["mid", 1], ["fourth", "Net", 1])
    assert same(NetFlatten(net), block, ["first/1"], ["mid/1"], ["fourth", "Net", 1])
    assert same(NetTake(net, 2), block, ["first", 1], ["mid", 1])
    assert same(NetDrop(net, 2), block, ["fourth", "Net", 1])
    assert same(NetJoin(NetTake(net, 2), NetRename(NetDrop(net, 2), {"third": "x"})), block, ["first", 1], ["fourth", "Net", 1])
    assert same(NetJoin(NetChain({"own": block}), net), block, ["own", 1], ["mid", 1])
    assert same(NetRename(net, {"mid": "middle", ("first", 1): "in"}), block, ["first", "in"], ["middle", 1])
    assert same(NetDelete(net, "first"), block, ["mid", 1])
    assert same(NetAppend(net, block), block, [-1, 1], ["mid", 1])
    assert same(NetPrepend(net, block), block, [1, 1], ["mid", 1])
    assert same(NetInsert(net, block, 2), block, [2, 1], ["mid", 1])
    assert same(NetReplacePart(net, {"third": block}), block, ["third", 1], ["mid", 1])
    assert same(NetReplace(net, {Ramp: block}, FlattenInPlace=False), block, ["mid", 2, 1], ["mid", 1])
    assert same(NetGraph(net), block, ["first", 1])
    graph = NetGraph({"a": block, "b": block, "sum": Plus}, [(["a", "b"], "sum")])
    assert same(NetFlatten(graph), block, ["a/1"], ["b/1"])
    assert same(NetTake(graph, "a"), block, ["a", 1])
    assert not NetTake(net, ["third", "third"]).shared


def test_new_values_go_everywhere(copies):
    block, net = copies
    made = NetReplacePart(net, {NetArray("block/1/Weights"): np.eye(3), NetArray("block/1/Biases"): np.ones(3)})
    first = np.tanh([1.0, 1.0, 1.0])
    np.testing.assert_allclose(made["first"](np.zeros(3)), first, rtol=1e-6)
    np.testing.assert_allclose(NetTake(made, 2)(np.zeros(3)), first + 1, rtol=1e-6)
    np.testing.assert_allclose(made["fourth"](np.zeros(3)), np.tanh(first + 1), rtol=1e-6)
    with pytest.raises(DeclarationError, match="different values"):
        NetJoin(NetChain({"own": block}), made)
    with pytest.warns(NetWarning, match=r"NetArray\('block/1/Weights'\) \(was 3x3, now 3x7\)"):
        wider = NetReplacePart(NetChain([block]), {"Input": 7})
    assert set(wider.missing) == {("", "block/1/Weights")}


def test_copies_stay_tied_in_files_and_jax(copies, tmp_path):
    _, net = copies
    Export(tmp_path / "net.netdsl", net)
    back = Import(tmp_path / "net.netdsl")
    assert back == net
    assert set(back.array_table()) == set(net.array_table())
    assert back["first", 1, "Weights"] is back["fourth", "Net", 1, "Weights"]
    leaves, tree = jax.tree_util.tree_flatten(net)
    assert len(leaves) == 4
    assert jax.tree_util.tree_unflatten(tree, leaves) == net


def test_copies_stay_tied_in_training(copies):
    """Each step moves the array by the sum of the gradients of its places, and all places read the new one."""
    _, net = copies
    x, y, rate = RNG.normal(size=(4, 3)), RNG.normal(size=(4, 3)), 0.1
    trained = NetTrain(net, {"Input": x, "Output": y}, MaxTrainingRounds=1, Method=["SGD", {"Momentum": 0}], LearningRate=rate)
    assert set(trained.array_table()) == set(net.array_table())
    assert trained["first", 1, "Weights"] is trained["mid", 1, "Weights"] is trained["fourth", "Net", 1, "Weights"]

    def forward(own, last, places):
        for at, (w, b) in enumerate(places):
            if at == 2:
                own = own @ last[0].T + last[1]
                own = np.tanh(np.tanh(own @ w.T + b) @ w.T + b)
            else:
                own = own @ w.T + b
                own = np.tanh(own) if at == 0 else np.maximum(own, 0)
        return own

    w, b = (np.asarray(net.shared[f"block/1/{name}"], np.float64) for name in ("Weights", "Biases"))
    last = [np.asarray(net["third", name], np.float64) for name in ("Weights", "Biases")]

    def loss(places):
        return ((forward(x, last, places) - y) ** 2).mean()

    slope, step = np.zeros_like(w), 1e-5
    for place in np.ndindex(w.shape):
        for at in range(3):
            ends = []
            for sign in (1, -1):
                moved = w.copy()
                moved[place] += sign * step
                ends.append(loss([(moved if at == i else w, b) for i in range(3)]))
            slope[place] += (ends[0] - ends[1]) / (2 * step)
    np.testing.assert_allclose(np.asarray(trained.shared["block/1/Weights"]), w - rate * slope, rtol=1e-3, atol=1e-5)


def test_a_state_that_is_shared():
    """The moving means of two layers are one array: each moves it in turn."""
    layer = BatchNormalizationLayer(MovingMean=NetArray("m"), MovingVariance=NetArray("v"), Momentum=0.5)
    net = NetInitialize(NetChain({"a": layer, "b": ElementwiseLayer(lambda x: x + 1), "c": layer}, Input=2))
    assert set(net.state) == {("", "m"), ("", "v")}
    x = RNG.normal(size=(4, 2)) + 3
    trained = NetTrain(net, {"Input": x, "Output": x}, MaxTrainingRounds=1, LearningRate=0)
    np.testing.assert_allclose(trained.shared["m"], (x.mean(0) / 2 + 1) / 2, atol=1e-4)
    inside = NetInitialize(NetChain([NetMapOperator(layer), NetMapOperator(layer)], Input=[2, 2]))
    assert set(inside.state) == {("", "m"), ("", "v")}
    data = RNG.normal(size=(4, 2, 2)) + 3
    trained = NetTrain(inside, {"Input": data, "Output": data}, MaxTrainingRounds=1, LearningRate=0)
    np.testing.assert_allclose(trained.shared["m"], data.mean((0, 1)) / 4, atol=1e-4)


def test_unfolded_nets_share_what_the_net_shares():
    net = NetInsertSharedArrays(NetInitialize(NetChain([NetMapOperator(3), LongShortTermMemoryLayer(2)], Input=["Varying", 2])))
    both = NetGraph({"whole": net, "step": NetUnfold(net)}, [(NetPort("x"), "whole"), (NetPort("now"), NetPort("step", "Input"))])
    assert set(both.array_table()) == set(net.array_table())
