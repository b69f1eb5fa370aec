"""Deep and wide nets: long runs of equal layers are computed in a loop, and nothing takes more than seconds."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from specimens import SPECIMENS, with_random_arrays

from netdsl import (
    BatchNormalizationLayer,
    CatenateLayer,
    ConvolutionLayer,
    DropoutLayer,
    ElementwiseLayer,
    Export,
    GatedRecurrentLayer,
    Import,
    LinearLayer,
    NetArray,
    NetChain,
    NetFlatten,
    NetGraph,
    NetInitialize,
    NetMapOperator,
    NetPort,
    NetReplace,
    NetTrain,
    PlaceholderLayer,
    Plus,
    Ramp,
    Sin,
    SoftmaxLayer,
    Tanh,
    UnsupportedError,
)
from netdsl.lowering import compilation, rolling
from netdsl.lowering.rolling import runs_of
from netdsl.nets import Net, Sequence

NEVER = 10**9


@pytest.fixture
def roll(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[int], None]]:
    """Says how many equal blocks are rolled at least; what was compiled under another number is forgotten."""

    def at_least(least: int) -> None:
        monkeypatch.setattr(rolling, "LEAST", least)
        monkeypatch.setattr(rolling, "LEAST_STEPS", 0)
        compilation._functions.clear()

    yield at_least
    compilation._functions.clear()


def blocks(net: Net) -> list[tuple[int, int]]:
    """The periods and counts of a net's runs, when only its outputs are asked for."""
    return [(run.period, run.count) for run in runs_of(net, net.program.outputs.values())]


def results(net: Net, x: Any, training: bool) -> Any:
    """Outputs, state and gradients of a net for a batch."""
    function = net.function()

    @jax.jit
    def all_of_it(arrays: Any, state: Any, x: Any) -> Any:
        def total(arrays: Any, x: Any) -> Any:
            y, after = function(arrays, state, x, jax.random.key(3), training)
            data = y.data if isinstance(y, Sequence) else y
            return jnp.sum(jnp.sin(data)), (y, after)

        return jax.value_and_grad(total, argnums=0, has_aux=True)(arrays, x)

    return all_of_it(net.arrays, net.state, x)


def same(one: Any, other: Any) -> None:
    assert jax.tree.structure(one) == jax.tree.structure(other)
    for a, b in zip(jax.tree.leaves(one), jax.tree.leaves(other)):
        scale = max(float(np.abs(np.asarray(b)).max(initial=0)), 1.0) if np.isfinite(np.asarray(b)).all() else 1.0
        np.testing.assert_allclose(a, b, rtol=2e-5, atol=1e-5 * scale)


def chained(specimen: Any, count: int = 6) -> Net | None:
    """The specimen's net many times in a chain, where it can follow itself."""
    net = specimen.make()
    if len(net.input_names) != 1 or len(net.output_names) != 1 or (net.traced_arrays and net.state_paths()):
        return None
    own, made = net.port_type(net.input_names[0]), net.port_type(net.output_names[0])
    if own != made or own.integer or net.encoder(net.input_names[0]) or net.decoder(net.output_names[0]):
        return None
    return with_random_arrays(NetChain([net] * count))


CHAINS = {specimen.name: specimen for specimen in SPECIMENS if chained(specimen) is not None}


@pytest.mark.parametrize("name", CHAINS)
def test_in_a_loop_it_is_what_it_was(name: str, roll: Callable[[int], None]) -> None:
    """The law: outputs, states and gradients of every layer that can follow itself, while training and not."""
    net = chained(CHAINS[name])
    assert net is not None
    type_ = net.port_type(net.input_names[0])
    rng = np.random.default_rng(0)
    sizes = [size if isinstance(size, int) else 5 for size in type_.sizes or ()]
    x: Any = jnp.asarray(rng.uniform(CHAINS[name].low, CHAINS[name].high, (3, *sizes)), jnp.float32)
    if type_.varying:
        x = Sequence(x, jnp.array([5, 3, 4]))
    for training in (False, True):
        roll(3)
        rolled = net.rebuilt()
        assert blocks(rolled), "not rolled"
        got = results(rolled, x, training)
        roll(NEVER)
        same(got, results(net.rebuilt(), x, training))


def test_the_law_covers_layers_with_arrays_state_and_random_numbers() -> None:
    nets = [chained(specimen) for specimen in CHAINS.values()]
    assert len(nets) > 20
    assert any(net.arrays for net in nets)
    assert any(net.state for net in nets)
    assert any(specimen.random for specimen in CHAINS.values())


LAYERS = {
    "linear": lambda: LinearLayer(4),
    "tanh": lambda: ElementwiseLayer(Tanh),
    "dropout": lambda: DropoutLayer(0.4),
    "normalization": lambda: BatchNormalizationLayer(),
    "softmax": lambda: SoftmaxLayer(),
    "residual": lambda: NetGraph({"a": LinearLayer(4), "+": Plus}, [(NetPort("Input"), "a"), (["a", NetPort("Input")], "+")]),
}


@settings(max_examples=8, deadline=None, derandomize=True)
@given(
    before=st.lists(st.sampled_from(sorted(LAYERS)), max_size=2),
    block=st.lists(st.sampled_from(sorted(LAYERS)), min_size=1, max_size=3),
    count=st.integers(5, 7),
    after=st.lists(st.sampled_from(sorted(LAYERS)), max_size=2),
)
def test_any_blocks(before: list[str], block: list[str], count: int, after: list[str]) -> None:
    names = [*before, *block * count, *after]
    net = with_random_arrays(NetChain([LAYERS[name]() for name in names], Input=4))
    x = jnp.asarray(np.random.default_rng(1).normal(size=(3, 4)), jnp.float32)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(rolling, "LEAST", 3)
        patch.setattr(rolling, "LEAST_STEPS", 0)
        rolled = net.rebuilt()
        assert blocks(rolled)
        got = results(rolled, x, True)
        patch.setattr(rolling, "LEAST", NEVER)
        same(got, results(net.rebuilt(), x, True))


def test_convolutions_keep_their_kernels_and_layouts(roll: Callable[[int], None]) -> None:
    block = [ConvolutionLayer(4, 3, PaddingSize=1), BatchNormalizationLayer(), Ramp]
    net = with_random_arrays(NetChain([ConvolutionLayer(4, 3), *block * 5, 3, SoftmaxLayer()], Input=[1, 8, 8]))
    x = jnp.asarray(np.random.default_rng(1).normal(size=(4, 1, 8, 8)), jnp.float32)
    for training in (False, True):
        roll(3)
        got = results(net.rebuilt(), x, training)
        assert blocks(net.rebuilt()) == [(3, 4)]
        roll(NEVER)
        same(got, results(net.rebuilt(), x, training))


def test_states_of_recurrent_layers_may_be_asked_for(roll: Callable[[int], None]) -> None:
    net = NetInitialize(NetChain([GatedRecurrentLayer(3)] * 8, Input=[4, 3]))
    x = np.random.default_rng(1).normal(size=(2, 4, 3)).astype(np.float32)
    roll(3)
    asked = [None, NetPort([5, "State"])]
    got = net.rebuilt()(x, asked)
    roll(NEVER)
    same(got, net.rebuilt()(x, asked))


def test_what_is_asked_for_is_not_rolled_away(roll: Callable[[int], None]) -> None:
    net = with_random_arrays(NetChain([LinearLayer(4), Tanh] * 12, Input=4))
    x = np.random.default_rng(1).normal(size=(3, 4)).astype(np.float32)
    roll(3)
    asked = [NetPort([4, "Output"]), NetPort([15, "Output"]), None]
    rolled = net.rebuilt()
    got = rolled(x, asked)
    refs = [rolled.program.ports[(str(i),), "Output"] for i in (4, 15, 24)]
    assert sum(run.count for run in runs_of(rolled, refs)) in range(7, 11)
    assert not any(run.start <= ref[0] < run.stop - 1 for ref in refs for run in runs_of(rolled, refs))
    roll(NEVER)
    same(got, net.rebuilt()(x, asked))


def test_shared_arrays_stay_one(roll: Callable[[int], None]) -> None:
    net = with_random_arrays(NetChain([LinearLayer(4, Weights=NetArray("w")), Tanh] * 6, Input=4))
    x = jnp.ones((2, 4))
    roll(3)
    got = results(net.rebuilt(), x, False)
    assert blocks(net.rebuilt())
    roll(NEVER)
    same(got, results(net.rebuilt(), x, False))


def test_a_deep_net_inside_an_operator(roll: Callable[[int], None]) -> None:
    inner = NetChain([LinearLayer(3), DropoutLayer(0.3), Tanh] * 6)
    net = with_random_arrays(NetChain([NetMapOperator(inner)] * 5, Input=[2, 3]))
    x = jnp.asarray(np.random.default_rng(1).normal(size=(3, 2, 3)), jnp.float32)
    roll(3)
    got = results(net.rebuilt(), x, True)
    roll(NEVER)
    same(got, results(net.rebuilt(), x, True))


@pytest.mark.parametrize("precision", ["Real32", "Mixed", "Real64"])
def test_every_precision(precision: str, roll: Callable[[int], None]) -> None:
    net = with_random_arrays(NetChain([LinearLayer(4), SoftmaxLayer(), Tanh] * 8, Input=4))
    x = np.random.default_rng(1).normal(size=(3, 4)).astype(np.float32)
    roll(3)
    got = net.rebuilt()(x, WorkingPrecision=precision)
    roll(NEVER)
    np.testing.assert_allclose(got, net.rebuilt()(x, WorkingPrecision=precision), rtol=1e-2 if precision == "Mixed" else 1e-5)


@pytest.mark.parametrize("method", ["ADAM", "SGD"])
def test_training(method: str, roll: Callable[[int], None]) -> None:
    """A training holds runs stacked; multipliers, also of 0 for a part of a run, and statistics belong to each layer."""
    layers = {f"{name}{i}": make() for i in range(12) for name, make in list(LAYERS.items())[:4]}
    net = NetInitialize(NetChain(layers, Input=4))
    rng = np.random.default_rng(1)
    data = [(x, x.sum(keepdims=True).repeat(4)) for x in rng.normal(size=(16, 4)).astype(np.float32)]
    multipliers = {"linear2": None, "linear7": 0.5, "normalization9": 0, **{f"linear{i}": None for i in (10, 11)}}
    given = {"MaxTrainingRounds": 3, "BatchSize": 8, "Method": method, "LearningRateMultipliers": multipliers}

    def trained() -> Any:
        return NetTrain(net.rebuilt(), data, **given, ValidationSet=data[:5], TrainingProgressReporting=None)

    roll(2)
    got = trained()
    roll(NEVER)
    expected = trained()
    same({**got.arrays, **got.state}, {**expected.arrays, **expected.state})
    np.testing.assert_array_equal(got.arrays["linear2", "Weights"], net.arrays["linear2", "Weights"])
    assert not np.array_equal(got.arrays["linear7", "Weights"], net.arrays["linear7", "Weights"])


def test_short_runs_stay_as_they_are() -> None:
    assert blocks(NetChain([LinearLayer(4), Tanh] * 120, Input=4)) == []
    assert blocks(NetChain([LinearLayer(4), Tanh] * 140, Input=4)) == [(2, 139)]
    wide = [*[LinearLayer(4), Tanh] * 15, SoftmaxLayer()]
    assert blocks(NetChain(wide * 15, Input=4)) == []
    assert blocks(NetChain(wide * 20, Input=4)) == [(31, 19)]


def test_longer_blocks_are_found_too() -> None:
    inner = [*[LinearLayer(4), Tanh] * 40, SoftmaxLayer()]
    assert blocks(NetChain(inner * 40, Input=4)) == [(81, 39)]
    assert blocks(NetChain([NetChain([NetChain([LinearLayer(4)]), Tanh])] * 140, Input=4)) == [(2, 139)]


def test_a_line_in_a_graph() -> None:
    net = NetGraph([*[LinearLayer(4), Tanh] * 150, Plus], [tuple(range(1, 301)), ([300, 2], 301)], Input=4)
    assert [period for period, _ in blocks(net)] == [2]
    assert blocks(net)[0][1] >= 148


# Seconds


def seconds(what: Callable[[], Any], limit: float) -> Any:
    """What it gives, in less than so many seconds: about three times what it takes on an idle machine of two cores."""
    start = time.perf_counter()
    made = what()
    assert time.perf_counter() - start < limit
    return made


DEEP = 10_000


@pytest.fixture(scope="module")
def deep() -> Net:
    net = NetInitialize(NetChain([LinearLayer(10), Tanh] * (DEEP // 2), Input=10))
    rng = np.random.default_rng(0)
    # large biases, so that each layer says something; small enough weights, so that rounding does not grow
    given = {path: rng.normal(size=10) if path[-1] == "Biases" else value * 0.7 for path, value in net.arrays.items()}
    return net.with_arrays(given)


@pytest.mark.slow
def test_ten_thousand_layers(deep: Net, tmp_path: Any) -> None:
    seconds(lambda: NetChain([LinearLayer(10), Tanh] * (DEEP // 2), Input=10), 6)
    assert "10000" in seconds(lambda: str(deep), 3)
    seconds(lambda: repr(deep), 3)
    seconds(lambda: Export(tmp_path / "deep.netdsl", deep), 8)
    assert seconds(lambda: Import(tmp_path / "deep.netdsl"), 20) == deep
    graph = seconds(lambda: NetGraph([LinearLayer(10), Tanh] * (DEEP // 2), [tuple(range(1, DEEP + 1))], Input=10), 8)
    seconds(lambda: repr(graph), 3)


@pytest.mark.slow
def test_ten_thousand_layers_are_evaluated_and_trained(deep: Net) -> None:
    x = np.random.default_rng(0).normal(size=(5, 10)).astype(np.float32)
    expected, arrays = x, deep.arrays
    for i in range(1, DEEP, 2):
        expected = np.tanh(expected @ np.asarray(arrays[str(i), "Weights"]).T + np.asarray(arrays[str(i), "Biases"]))
    np.testing.assert_allclose(seconds(lambda: deep(x), 10), expected, rtol=1e-3, atol=1e-4)
    data = [(a, a) for a in x]
    trained = seconds(lambda: NetTrain(deep, data, MaxTrainingRounds=1, BatchSize=5, TrainingProgressReporting=None), 40)
    assert not np.array_equal(trained.arrays[str(DEEP - 1), "Biases"], arrays[str(DEEP - 1), "Biases"])


@pytest.mark.slow
def test_three_hundred_different_layers_compile_in_seconds() -> None:
    sizes = [10 + (7 * i) % 31 for i in range(150)]
    linear = NetInitialize(NetChain([layer for size in sizes for layer in (LinearLayer(size), Tanh)], Input=10))
    seconds(lambda: linear([1.0] * 10), 12)
    function, x = linear.function(), jnp.ones((4, 10))
    gradient = jax.jit(jax.grad(lambda arrays: jnp.sum(function(arrays, {}, x)[0])))
    seconds(lambda: gradient(linear.arrays), 15)


@pytest.mark.slow
@pytest.mark.parametrize("join", [Plus, CatenateLayer()], ids=["sum", "catenation"])
def test_a_thousand_branches(join: Any) -> None:
    names = [f"layer{i}" for i in range(1000)]
    layers = {**{name: LinearLayer(10) for name in names}, "join": join}
    net = seconds(lambda: NetGraph(layers, [(NetPort("Input"), names), (names, "join")], Input=10), 3)
    assert "layer999" in seconds(lambda: str(net), 3)
    net = seconds(lambda: NetInitialize(net), 3)
    made = seconds(lambda: net([1.0] * 10), 20)
    each = [np.asarray(net.arrays[name, "Weights"]).sum(1) for name in names]
    np.testing.assert_allclose(made, np.sum(each, axis=0) if join is Plus else np.concatenate(each), rtol=1e-4, atol=1e-4)


def test_two_hundred_nets_in_each_other(tmp_path: Any) -> None:
    net: Any = NetChain([LinearLayer(4), Sin], Input=4)
    for _ in range(200):
        net = NetChain([net])
    net = NetInitialize(net)
    assert net.depth == 201
    for written in (repr(net), str(net), net._repr_html_()):
        assert "NetChain" in written
    Export(tmp_path / "nested.netdsl", net)
    assert Import(tmp_path / "nested.netdsl") == net
    np.testing.assert_array_equal(net([1.0, 2, 3, 4]), NetFlatten(net)([1.0, 2, 3, 4]))
    NetReplace(net, {Sin: Tanh})
    trained = NetTrain(net, [([1.0, 2, 3, 4], [1.0, 2, 3, 4])], MaxTrainingRounds=1, TrainingProgressReporting=None)
    assert trained.depth == 201


def test_a_placeholder_deep_inside_is_named_by_its_tag() -> None:
    net = NetChain([*[LinearLayer(4), Tanh] * 100, PlaceholderLayer("attention"), Tanh], Input=4, Output=4)
    with pytest.raises(UnsupportedError, match=r"Layer '201' of this NetChain is PlaceholderLayer\('attention'\)"):
        net([1.0, 2, 3, 4])
