"""What operators compute, beside the same written out in NumPy, and what they refuse."""

from __future__ import annotations

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from netdsl import (
    All,
    BasicRecurrentLayer,
    CatenateLayer,
    CosineDistance,
    DeclarationError,
    ElementwiseLayer,
    EncodingError,
    LinearLayer,
    LogisticSigmoid,
    LongShortTermMemoryLayer,
    Mean,
    NetBidirectionalOperator,
    NetChain,
    NetExtract,
    NetFoldOperator,
    NetGANOperator,
    NetGraph,
    NetInitialize,
    NetMapOperator,
    NetMapThreadOperator,
    NetNestOperator,
    NetPairEmbeddingOperator,
    NetPort,
    NetStateObject,
    PartError,
    Plus,
    Ramp,
    ShapeError,
    Tanh,
    ThreadingLayer,
    Times,
    Total,
)
from netdsl.lowering import evaluation

RNG = np.random.default_rng(0)


def draw(*sizes):
    return RNG.normal(size=sizes).astype(np.float32)


def cell():
    join = CatenateLayer(InputPorts=["Input", "State"])
    return NetGraph({"join": join, "out": NetChain([LinearLayer(2), Tanh])}, [("join", "out")], State=2)


def folded(net, x, state):
    weights, biases = (np.asarray(NetExtract(net, ["Net", "out", 1, name])) for name in ("Weights", "Biases"))
    made = []
    for row in x:
        state = np.tanh(weights @ np.concatenate([row, state]) + biases)
        made.append(state)
    return np.array(made)


def test_map_thread_over_one_and_two_levels():
    net = ThreadingLayer(lambda a, b: a - 2 * b, InputPorts=["a", "b"])
    a, b = draw(3, 4), draw(3, 4)
    assert np.allclose(NetMapThreadOperator(net, a=[3, 4], b=[3, 4])({"a": a, "b": b}), a - 2 * b)
    assert np.allclose(NetMapThreadOperator(net, 2, a=[3, 4], b=[3, 4])({"a": a, "b": b}), a - 2 * b)
    assert np.allclose(NetMapThreadOperator(net, {"a": 1}, a=[3, 4], b=4)({"a": a, "b": b[0]}), a - 2 * b[0])


def test_map_thread_takes_sequences_of_equal_length():
    net = NetMapThreadOperator(ThreadingLayer(Times, InputPorts=["a", "b"]), a=["Varying", 2], b=["Varying", 2])
    long, short = draw(5, 2), draw(2, 2)
    made = net({"a": [long, short], "b": [long, short]})
    assert [len(value) for value in made] == [5, 2]
    assert np.allclose(made[1], short * short)


def test_fold_is_a_loop_over_level_one():
    net = NetInitialize(NetFoldOperator(cell(), Input=["Varying", 3]))
    for count in (1, 4, 6):
        x = draw(count, 3)
        assert np.allclose(net(x), folded(net, x, np.zeros(2)), atol=1e-6)


def test_fold_hands_its_last_real_state_on():
    fold = NetInitialize(NetFoldOperator(cell(), Input=["Varying", 3]))
    x = [draw(5, 3), draw(2, 3)]
    states = fold(x, NetPort("State"))
    assert np.allclose(states, [folded(fold, each, np.zeros(2))[-1] for each in x], atol=1e-6)
    start = draw(2)
    assert np.allclose(fold({"Input": x[0], NetPort("State"): start}), folded(fold, x[0], start), atol=1e-6)


def test_fold_with_constants_and_chosen_outputs():
    net = NetGraph(
        {
            "scaled": ThreadingLayer(Times, InputPorts=["State", "by"]),
            "sum": ThreadingLayer(Plus, InputPorts=["Input", "scaled"]),
        },
        [("scaled", NetPort("sum", "scaled")), ("scaled", NetPort("Scaled")), ("sum", NetPort("Output"))],
        State=1,
    )
    fold = NetFoldOperator(net, {"Output": "State"}, ["by"], ["Scaled"], Input=[4, 1], by=1)
    assert fold.output_names == ("Scaled",)
    assert fold({"Input": [[1], [2], [3], [4]], "by": [0.5]}).ravel().tolist() == [0.0, 0.5, 1.25, 2.125]


def test_a_fold_is_differentiated_through_all_steps():
    fold = NetInitialize(NetFoldOperator(cell(), Input=[4, 3]))
    function, x = fold.function(), draw(1, 4, 3)
    slope = jax.grad(lambda x: function(fold.arrays, fold.state, x)[0][0, -1].sum())(jnp.asarray(x))
    step = 1e-2
    for place in ((0, 0, 1), (0, 3, 2)):
        nudge = np.zeros_like(x)
        nudge[place] = step
        ends = [folded(fold, (x + sign * nudge)[0], np.zeros(2))[-1].sum() for sign in (1, -1)]
        assert slope[place] == pytest.approx((ends[0] - ends[1]) / (2 * step), abs=1e-3)


def test_nest_applies_the_same_arrays_again():
    net = NetInitialize(NetNestOperator(NetChain([LinearLayer(2), Tanh]), 3, Input=2))
    weights = np.asarray(NetExtract(net, ["Net", 1, "Weights"]))
    x = y = draw(2)
    for _ in range(3):
        y = np.tanh(weights @ y)
    assert np.allclose(net(x), y, atol=1e-6)
    assert len(net.arrays) == 2


@pytest.mark.parametrize("aggregation", [None, Total, Mean])
def test_both_directions(aggregation):
    nets = [NetInitialize(LongShortTermMemoryLayer(2, Input=["Varying", 3]), RandomSeeding=seed) for seed in (1, 2)]
    settings = [] if aggregation is None else [aggregation]
    both = NetBidirectionalOperator(nets, *settings)
    long, short = draw(5, 3), draw(2, 3)
    for x, made in zip((long, short), both([long, short])):
        ahead, back = nets[0](x), nets[1](x[::-1])[::-1]
        expected = (
            np.concatenate([ahead, back], axis=1) if aggregation is None else (ahead + back) / (2 if aggregation is Mean else 1)
        )
        assert np.allclose(made, expected, atol=1e-6)


def test_one_net_for_both_directions_is_copied():
    net = NetBidirectionalOperator(LongShortTermMemoryLayer(2), Input=[3, 2])
    assert len(net.array_table()) == 24
    assert net.port_type("Output").sizes == (3, 4)


def test_the_distance_of_a_pair():
    net = NetInitialize(NetPairEmbeddingOperator(LinearLayer(3), Input=[2, 2]))
    weights = np.asarray(NetExtract(net, ["Net", "Weights"]))
    pair = draw(2, 2)
    u, v = weights @ pair[0], weights @ pair[1]
    assert net(pair) == pytest.approx(np.linalg.norm(u - v), rel=1e-5)
    angle = NetPairEmbeddingOperator(net.nets["Net"], DistanceFunction=CosineDistance)
    assert angle(pair) == pytest.approx(1 - u @ v / np.linalg.norm(u) / np.linalg.norm(v), abs=1e-6)


def test_the_slope_of_no_distance_is_finite():
    net = NetInitialize(NetPairEmbeddingOperator(LinearLayer(3), Input=[2, 2]))
    function = net.function()
    slopes = jax.grad(lambda arrays: function(arrays, {}, jnp.ones((1, 2, 2)))[0].sum())(net.arrays)
    assert all(np.isfinite(slope).all() for slope in slopes.values())


def adversaries(*last, loss=()):
    generator, discriminator = LinearLayer(2, Input=3), NetChain([LinearLayer([]), *last], Input=2)
    return NetInitialize(NetGANOperator([generator, discriminator], *loss))


@pytest.mark.parametrize(("net", "probable"), [(adversaries(LogisticSigmoid), True), (adversaries(), False)])
def test_the_losses_of_adversaries(net, probable):
    sample, latent = draw(2), draw(3)
    generator, discriminator = net.nets["Generator"], net.nets["Discriminator"]
    fake = generator(latent)
    real, false = discriminator(sample), discriminator(fake)
    losses = (-np.log(real), -np.log(1 - false)) if probable else (-real, false)
    made = net({"Sample": sample, "Latent": latent})
    assert np.allclose(made["GeneratedFake"], fake)
    assert [made["LossReal"], made["LossFake"]] == pytest.approx(losses, abs=1e-5)


def test_the_generator_gets_the_reversed_slope():
    net = adversaries(LogisticSigmoid)
    function, given = net.function(), {"Sample": draw(1, 2), "Latent": draw(1, 3)}

    def loss(arrays):
        outputs, _ = function(arrays, net.state, given)
        return (outputs["LossReal"] + outputs["LossFake"]).sum()

    slopes, step = jax.grad(loss)(net.arrays), 1e-2
    for path, sign in ((("Generator", "Weights"), -1), (("Discriminator", "1", "Weights"), 1)):
        nudge = np.zeros_like(net.arrays[path])
        nudge[0, 1] = step
        ends = [loss({**net.arrays, path: net.arrays[path] + way * nudge}) for way in (1, -1)]
        assert slopes[path][0, 1] == pytest.approx(sign * float(ends[0] - ends[1]) / (2 * step), abs=2e-3)


def test_the_states_of_one_layer_start_another():
    first, second = (NetInitialize(LongShortTermMemoryLayer(2, Input=[3, 2]), RandomSeeding=seed) for seed in (1, 2))
    graph = NetGraph(
        {"a": first, "b": second},
        [(NetPort("a", name), NetPort("b", name)) for name in ("State", "CellState")]
        + [(NetPort("x"), "a"), (NetPort("y"), "b"), ("a", None)],
    )
    x, y = draw(3, 2), draw(3, 2)
    states = {name: first(x, NetPort(name)) for name in ("State", "CellState")}
    expected = second({"Input": y, **{NetPort(name): value for name, value in states.items()}})
    assert np.allclose(graph({"x": x, "y": y}), expected, atol=1e-6)
    assert not np.allclose(expected, second(y), atol=1e-3)
    assert eval(repr(graph.edges_written())) == graph.edges_written()


def test_a_sequence_in_two_parts():
    net = NetInitialize(NetChain([NetMapOperator(3), [LongShortTermMemoryLayer(2)], NetMapOperator(Ramp)], Input=["Varying", 3]))
    x = draw(7, 3)
    states = net(x[:4], NetPort([2, 1, "State"]))
    kept = net(x[:4], NetPort(All, "States"))
    assert set(kept) == {NetPort([2, 1, "State"]), NetPort([2, 1, "CellState"])}
    assert np.allclose(kept[NetPort([2, 1, "State"])], states)
    assert np.allclose(net({"Input": x[4:], NetPort(All, "States"): kept}), net(x)[4:], atol=1e-6)


@pytest.mark.parametrize(
    ("make", "error", "words"),
    [
        (lambda: NetFoldOperator(cell(), {"Output": "Stat"}), DeclarationError, "no input port 'Stat'.*'State'"),
        (lambda: NetFoldOperator(cell(), {"Out": "State"}), DeclarationError, "no output port 'Out'.*'Output'"),
        (lambda: NetFoldOperator(cell(), {"Output": "State"}, ["Input"]), DeclarationError, "no input left"),
        (lambda: NetFoldOperator(LinearLayer(2)), DeclarationError, "no input port 'State'"),
        (lambda: NetMapThreadOperator(ThreadingLayer(Plus, InputPorts=2), {"a": 1}), DeclarationError, "no input 'a'"),
        (lambda: NetNestOperator(LinearLayer(3), 2, Input=2), ShapeError, "size 3"),
        (lambda: NetBidirectionalOperator([Ramp]), DeclarationError, "a list of 2 nets"),
        (
            lambda: NetBidirectionalOperator([LinearLayer(2), ElementwiseLayer(Ramp)], Input=[3, 2]),
            ShapeError,
            "elements of rank 1",
        ),
        (lambda: NetPairEmbeddingOperator(LinearLayer(3), Input=[3, 2]), ShapeError, "2"),
        (lambda: NetGANOperator([LinearLayer(2)]), DeclarationError, "a list of 2 nets: Generator and Discriminator"),
        (lambda: NetGANOperator([LinearLayer(2), LinearLayer([])], Sample=3), ShapeError, "size 2"),
        (lambda: NetGANOperator([LinearLayer(2), LinearLayer([])], "Hinge"), DeclarationError, "JensenShannon"),
        (lambda: NetMapOperator(), DeclarationError, "needs a net"),
        (
            lambda: NetFoldOperator(ThreadingLayer(Plus, InputPorts=["Input", "State"]), Input=[3, 1])([[1.0], [2.0], [3.0]]),
            DeclarationError,
            "declare State=n",
        ),
    ],
)
def test_wrong_use(make, error, words):
    with pytest.raises(error, match=words):
        make()


def test_an_object_keeps_its_states():
    net = NetInitialize(NetChain([[LongShortTermMemoryLayer(2)], NetMapOperator(Ramp)], Input=["Varying", 3]))
    x, kept = draw(7, 3), NetStateObject(net)
    made = [kept(x[:3]), kept(x[3:4]), kept(x[4:])]
    assert np.allclose(np.concatenate(made), net(x), atol=1e-6)
    states = NetExtract(kept, "States")
    assert set(states) == {NetPort([1, 1, "State"]), NetPort([1, 1, "CellState"])}
    again = NetStateObject(net, states)
    assert np.allclose(again(x), net({"Input": x, NetPort(All, "States"): states}), atol=1e-6)
    with pytest.raises(EncodingError, match="one example at a time"):
        NetStateObject(net)([x, x])
    for many in ([x, x], {"Input": [x, x]}):
        with pytest.raises(EncodingError, match="one example at a time"):
            kept(many)
    with pytest.raises(EncodingError, match="'Input' takes"):
        kept(np.zeros(3))
    assert NetExtract(kept, "States") == states
    with pytest.raises(PartError, match="no state"):
        NetStateObject(net, {NetPort("State"): [0, 0]})
    with pytest.raises(DeclarationError, match="recurrent layers"):
        NetStateObject(LinearLayer(2))


def test_the_graphs_for_given_states_are_bounded_and_in_one_order():
    net = NetInitialize(NetChain([BasicRecurrentLayer(1) for _ in range(5)], Input=["Varying", 1]))
    ports = [NetPort(i, "State") for i in range(1, 6)]

    def forms(chosen):
        return evaluation._with_states(net, {"Input": [[1.0]], **{port: [0.5] for port in chosen}}, None)[0]

    assert forms(ports) is forms(ports[::-1])
    for count in range(1, 4):
        for chosen in itertools.combinations(ports, count):
            forms(chosen)
    assert len(net.__dict__["_with_states"]) <= 17
    given = dict(zip(ports[::-1], [[0.1], [0.2], [0.3], [0.4], [0.5]]))
    assert np.array_equal(net({"Input": [[1.0]], **given}), net({**dict(list(given.items())[::-1]), "Input": [[1.0]]}))


@pytest.mark.parametrize("deep", [False, True])
def test_the_states_of_both_directions(deep):
    ends = [NetInitialize(LongShortTermMemoryLayer(2, Input=["Varying", 3]), RandomSeeding=seed) for seed in (1, 2)]
    both = NetBidirectionalOperator([NetChain([end]) for end in ends] if deep else ends)
    net = NetChain([both, NetMapOperator(Ramp)])
    x = draw(4, 3)
    before = {name: draw(2) for name in ("State", "CellState")}
    at = "1/" if deep else ""
    for prefix, end, way in (("Forward", ends[0], x), ("Backward", ends[1], x[::-1])):
        ports = {name: NetPort(1, f"{prefix}{at}{name}") for name in before}
        given = {"Input": way, **{NetPort(name): value for name, value in before.items()}}
        for name, port in ports.items():
            assert np.allclose(net(x, port), end(way, NetPort(name)), atol=1e-6)
        seeded = {"Input": x, **{ports[name]: value for name, value in before.items()}}
        expected = end(given) if prefix == "Forward" else end(given)[::-1]
        columns = slice(0, 2) if prefix == "Forward" else slice(2, 4)
        assert np.allclose(net(seeded)[:, columns], np.maximum(expected, 0), atol=1e-6)
        assert np.allclose(net(seeded, ports["CellState"]), end(given, NetPort("CellState")), atol=1e-6)
    assert len(net(x, NetPort(All, "States"))) == 4
    kept = NetStateObject(net)
    kept(x)
    states = NetExtract(kept, "States")
    assert np.allclose(kept(x), net({"Input": x, NetPort(All, "States"): states}), atol=1e-6)
