"""Kernels at work: in whole programs, under JAX's transformations, in loops, and with numbers that are none."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from netdsl import (
    BatchNormalizationLayer,
    ConvolutionLayer,
    CrossEntropyLossLayer,
    DropoutLayer,
    ElementwiseLayer,
    FlattenLayer,
    LogisticSigmoid,
    LongShortTermMemoryLayer,
    Max,
    Mean,
    NetChain,
    NetGraph,
    NetInitialize,
    NetMapOperator,
    NetPort,
    Plus,
    PoolingLayer,
    Ramp,
    SequenceLastLayer,
    SoftmaxLayer,
    Tanh,
    Times,
    TotalLayer,
)
from netdsl.lowering.kernels import KERNELS, convolution, normalization, pooling
from netdsl.lowering.kernels.increasing import INCREASING
from netdsl.nets import Arrays, Net, Sequence


def normal(*sizes: int, source: int = 0) -> Any:
    return jnp.asarray(np.random.default_rng(source).normal(size=sizes), jnp.float32)


@pytest.fixture(autouse=True)
def kernels_of_a_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """The kernels of the CPU, whatever the tests run on."""
    monkeypatch.setitem(KERNELS, jax.default_backend(), KERNELS["cpu"])


def without_kernels(function: Callable[..., Any]) -> Callable[..., Any]:
    """The function where layers have nothing but their own `apply`; it is so while it is traced."""

    def plain(*arguments: Any) -> Any:
        with pytest.MonkeyPatch.context() as patch:
            patch.setitem(KERNELS, jax.default_backend(), {})
            return function(*arguments)

    return plain


def compiled(function: Callable[..., Any], *arguments: Any) -> Any:
    """The function's value by compiled code, compiled fast."""
    return jax.device_get(jax.jit(function).lower(*arguments).compile({"xla_backend_optimization_level": 0})(*arguments))


def same(made: Any, expected: Any, close: float = 1e-5) -> None:
    def compare(a: Any, b: Any) -> None:
        if a.dtype != jax.dtypes.float0:
            np.testing.assert_allclose(a, b, rtol=10 * close, atol=close * max(1.0, np.abs(b).max(initial=0)))

    jax.tree.map(compare, made, expected)


# Whole programs


def chain(**options: Any) -> list[Any]:
    """Each kernel for pictures, with layers between that keep the layout; what the options do not say is the usual."""
    return [
        ConvolutionLayer(4, 3, PaddingSize=1, **options),
        BatchNormalizationLayer(**options),
        Ramp,
        PoolingLayer(2, 2, **options),
        DropoutLayer(0.25),
        ConvolutionLayer(4, 2, Stride=2, ChannelGroups=2, **options),
        PoolingLayer(2, 1, Function=Mean, PaddingSize="Same", **options),
        FlattenLayer(),
        3,
        SoftmaxLayer(),
    ]


def residual() -> Net:
    """Branches that meet: two of one layout, one with the input itself, and one whose ranks differ."""
    parts = {
        "a": ConvolutionLayer(2, 3, PaddingSize="Same"),
        "b": NetChain([BatchNormalizationLayer(), Tanh, ConvolutionLayer(2, 1)]),
        "sum": TotalLayer(),
        "c": PoolingLayer(3, 1, PaddingSize=1),
        "product": Times,
        "all": Plus,
    }
    wires = [
        (NetPort("Input"), "a"),
        ("a", "b"),
        ([NetPort("Input"), "a", "b"], "sum"),
        ("sum", "c"),
        (["sum", "c"], "product"),
        (["product", "a"], "all"),
    ]
    return NetGraph(parts, wires, Input=[2, 5, 6])


def wide_window() -> Net:
    """A pooling that its kernel leaves to `apply`, after a kernel that has put the channel last."""
    return NetChain([ConvolutionLayer(2, 2), PoolingLayer(7, 1), Tanh], Input=[2, 9, 9])


def sigmoid_and_loss() -> Net:
    """Logits that come with the channel last."""
    parts = {"net": NetChain([ConvolutionLayer(2, 3), LogisticSigmoid]), "loss": CrossEntropyLossLayer("Binary")}
    return NetGraph(parts, [("net", NetPort("loss", "Input")), (NetPort("Target"), NetPort("loss", "Target"))], Input=[1, 5, 5])


def mapped() -> Net:
    layers = [ConvolutionLayer(3, 3), BatchNormalizationLayer(), Ramp, PoolingLayer(2, 2), DropoutLayer(0.3), FlattenLayer(), 2]
    return NetChain([NetMapOperator(NetChain(layers)), LongShortTermMemoryLayer(3)], Input=[3, 2, 6, 6])


def mapped_twice() -> Net:
    """Statistics over three axes of examples, and masks for each of them."""
    inner = NetMapOperator(NetChain([BatchNormalizationLayer(), ConvolutionLayer(2, 2), DropoutLayer(0.3)]))
    return NetChain([NetMapOperator(inner)], Input=[2, 3, 2, 4])


def classes_of_elements() -> Net:
    """A loss of logits that an operator made, for elements whose number varies."""
    net = NetMapOperator(NetChain([3, SoftmaxLayer()]))
    parts = {"net": net, "loss": CrossEntropyLossLayer("Probabilities")}
    return NetGraph(
        parts,
        [("net", NetPort("loss", "Input")), (NetPort("Target"), NetPort("loss", "Target"))],
        Input=["Varying", 2],
        Target=["Varying", 3],
    )


def sequences() -> Net:
    """Varying lengths: what is padded has no weight in the statistics."""
    inner = NetChain([ConvolutionLayer(2, 2), BatchNormalizationLayer(), FlattenLayer(), DropoutLayer(0.3), 2])
    return NetChain(
        [NetMapOperator(inner), BatchNormalizationLayer(Interleaving=True), LongShortTermMemoryLayer(3), SequenceLastLayer()],
        Input=["Varying", 2, 4],
    )


NETS: dict[str, Callable[[], Net]] = {
    "chain": lambda: NetChain(chain(), Input=[2, 6, 7]),
    "channel last": lambda: NetChain(chain(Interleaving=True), Input=[6, 7, 2]),
    "residual": residual,
    "wide window": wide_window,
    "sigmoid and loss": sigmoid_and_loss,
    "mapped": mapped,
    "mapped twice": mapped_twice,
    "classes of elements": classes_of_elements,
    "mapped recurrence": lambda: NetMapOperator(LongShortTermMemoryLayer(2), Input=[2, 4, 3]),
    "vectors": lambda: NetChain([4, BatchNormalizationLayer(), Tanh, 2], Input=3),
    "frozen": lambda: NetChain(
        [ConvolutionLayer(2, 2), BatchNormalizationLayer(LearningRateMultipliers=0), Tanh], Input=[1, 4, 4]
    ),
    "sequences": sequences,
}


def given(net: Net, count: int = 4) -> dict[str, Any]:
    made = {}
    for source, port in enumerate(net.input_names):
        type_ = net.port_type(port)
        if type_.varying:
            made[port] = Sequence(normal(count, 3, *type_.sizes[1:], source=source), jnp.asarray([3, 1, 2, 3][:count]))
        else:
            values = normal(count, *type_.sizes, source=source)
            made[port] = jax.nn.sigmoid(values) if port == "Target" else values
    return made


def weighted(leaf: Any) -> Any:
    """A number that depends on every element in another way."""
    return jnp.sum(leaf * jnp.cos(jnp.arange(leaf.size)).reshape(leaf.shape))


def observed(net: Net) -> Callable[..., Any]:
    """Outputs, state and gradients of a net, from arrays, state and inputs."""
    function = net.function()

    def all_of_it(arrays: Any, state: Any, inputs: Any) -> Any:
        def loss(arrays: Any, inputs: Any) -> Any:
            outputs, after = function(arrays, state, inputs, jax.random.key(3), True)
            leaves = jax.tree.leaves(outputs, is_leaf=lambda leaf: isinstance(leaf, Sequence))
            return sum(weighted(leaf.data if isinstance(leaf, Sequence) else leaf) for leaf in leaves), (outputs, after)

        slopes, (outputs, after) = jax.grad(loss, argnums=(0, 1), has_aux=True, allow_int=True)(arrays, inputs)
        return outputs, after, slopes

    return all_of_it


@pytest.mark.parametrize("name", NETS)
def test_a_program_is_the_same_with_and_without_kernels(name: str) -> None:
    net = NetInitialize(NETS[name]())
    state = {path: value + 0.25 for path, value in net.state.items()}
    function, arguments = observed(net), (net.arrays, state, given(net))
    made, expected = compiled(lambda *each: (function(*each), without_kernels(function)(*each)), *arguments)
    same(made, expected)
    assert str(jax.make_jaxpr(net.function())(*arguments)) != str(jax.make_jaxpr(without_kernels(net.function()))(*arguments))


@pytest.mark.parametrize("operated", [False, True], ids=["batch", "operator"])
def test_functions_of_nets_are_differentiated_and_vmapped(operated: bool) -> None:
    """Several trainings side by side: each has arrays, a state and a batch of its own."""
    inner = NetChain([ConvolutionLayer(2, 3), BatchNormalizationLayer(), Ramp, PoolingLayer(2, 2), FlattenLayer()])
    net = NetInitialize(NetMapOperator(inner, Input=[3, 2, 4, 5]) if operated else inner.changed(Input=[2, 4, 5]))
    each = net.arrays, net.state, given(net)
    several = jax.tree.map(lambda leaf: jnp.stack([leaf, leaf * 0.5, leaf + 0.5]), each)
    function, there = observed(net), net.function()

    def summed(_: Any, state: Any, inputs: Any) -> Any:
        """A gradient taken around the vmap, of arrays that all share."""

        def loss(arrays: Any) -> Any:
            return weighted(jax.vmap(lambda *one: there(arrays, *one, jax.random.key(3), True)[0])(state, inputs))

        return jax.grad(loss)(net.arrays)

    def by_apply(*several: Any) -> Any:
        return jax.lax.map(lambda one: function(*one), several), summed(*several)

    made, expected = compiled(
        lambda *several: ((jax.vmap(function)(*several), summed(*several)), without_kernels(by_apply)(*several)), *several
    )
    same(made, expected)


# Loops


def test_a_loop_of_training_steps_is_the_steps_one_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """With convolutions left to XLA, and their gradients behind a branch."""
    monkeypatch.setattr(convolution, "form", lambda *_: "native")
    layers = [ConvolutionLayer(4, 3), BatchNormalizationLayer(), Ramp, ConvolutionLayer(3, 3, Stride=2, PaddingSize=1)]
    net = NetInitialize(NetChain([*layers, FlattenLayer(), 2], Input=[2, 8, 9]))
    function, x, y = net.function(), normal(5, 4, 2, 8, 9), normal(5, 4, 2, source=1)

    def step(batch: Any, carry: Any) -> Any:
        arrays, state = carry

        def loss(arrays: Any) -> Any:
            outputs, after = function(arrays, state, x[batch], training=True)
            return jnp.mean((outputs - y[batch]) ** 2), after

        slopes, state = jax.grad(loss, has_aux=True)(arrays)
        return jax.tree.map(lambda value, slope: value - 0.05 * slope, arrays, slopes), state

    start = net.arrays, net.state
    looped = jax.jit(lambda carry: jax.lax.fori_loop(0, 5, step, carry))(start)
    single, plain = jax.jit(step), jax.jit(without_kernels(step))
    one_by_one, by_apply = start, start
    for batch in range(5):
        one_by_one, by_apply = single(batch, one_by_one), plain(batch, by_apply)
    same(jax.device_get(looped), jax.device_get(one_by_one))
    same(jax.device_get(looped), jax.device_get(by_apply))
    assert all(np.abs(value - start[0][path]).max() > 1e-6 for path, value in looped[0].items() if path != ("1", "Biases"))


# Numbers that are none, and ties

PLACES = {"nowhere": None, "first": (0, 0, 0, 0), "inside": (1, 2, 1, 1)}


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("name", sorted(convolution.FORMS))
def test_a_gradient_that_is_no_number_stays_none(name: str, place: str) -> None:
    """Wherever the gradient of `apply` is not finite, that of a kernel is not; and it is finite where all numbers are."""
    layer = ConvolutionLayer(3, [1, 1] if name == "pointwise" else [2, 3], Biases=None, Interleaving=True)
    x, weights = normal(2, 4, 5, 2), normal(3, 2, *layer.KernelSize, source=1)

    def by_form(weights: Any, x: Any) -> Any:
        return convolution.FORMS[name](x, weights, convolution.slides(layer, x.shape[1:-1]), 1)

    def by_apply(weights: Any, x: Any) -> Any:
        return jax.vmap(lambda one: layer.apply(Arrays({"Weights": weights, "Biases": None}), one))(x)

    def slopes(weights: Any, x: Any, slope: Any) -> Any:
        return [jax.vjp(function, weights, x)[1](slope) for function in (by_form, by_apply)]

    function = jax.jit(slopes)
    slope = normal(*jax.eval_shape(by_apply, weights, x).shape, source=2)
    for number in (np.nan, np.inf):
        for spoiled in ("slope", "x"):
            given = {"slope": slope, "x": x}
            if PLACES[place] is not None:
                given[spoiled] = given[spoiled].at[PLACES[place]].set(number)
            made, expected = jax.device_get(function(weights, given["x"], given["slope"]))
            for a, b in zip(made, expected, strict=True):
                assert not np.any(np.isfinite(a) & ~np.isfinite(b))
                assert place != "nowhere" or np.isfinite(a).all()
            assert place == "nowhere" or not np.isfinite(made[0]).all()


def test_losses_and_gradients_of_no_number_show_in_a_net() -> None:
    net = NetInitialize(NetChain(chain(), Input=[2, 6, 7]))
    function, x = net.function(), normal(3, 2, 6, 7)
    slope = jax.jit(jax.grad(lambda arrays, x: jnp.sum(function(arrays, net.state, x)[0][:, 0])))
    assert all(np.isfinite(value).all() for value in slope(net.arrays, x).values())
    assert all(np.isnan(value).any() for value in slope(net.arrays, x.at[1, 1, 2, 3].set(jnp.nan)).values())


@pytest.mark.parametrize(("size", "stride"), [(2, 2), (3, 2), (3, 1), (40, 40)])
def test_a_tie_shares_the_slope(size: int, stride: int) -> None:
    """Which of equal elements gets how much is open; together they get the slope of the maximum, and others nothing."""
    layer = PoolingLayer([size], [stride], Interleaving=True)
    x = jnp.zeros((2, 2 * size, 3)).at[:, : size // 2].set(-1.0)

    def together(x: Any) -> Any:
        return pooling.pooling(layer, Arrays({}), x)

    y, back = jax.vjp(together, x)
    slope = np.arange(1.0, y.size + 1).reshape(y.shape)
    (shares,) = jax.device_get(back(jnp.asarray(slope, jnp.float32)))
    np.testing.assert_allclose(shares.sum(1), slope.sum(1), rtol=1e-5)
    assert (shares >= 0).all()
    windows = range(y.shape[1])
    largest = np.stack([np.max(x[:, i * stride : i * stride + size], axis=1) for i in windows], axis=1)
    np.testing.assert_array_equal(y, largest)
    assert not shares[:, : size // 2].any() or stride < size


# What is chosen


def test_groups_are_summed_by_themselves() -> None:
    grouped = ConvolutionLayer(2, [1], ChannelGroups=2, Interleaving=True)
    assert convolution.form(grouped, (3, 4, 2)) == "shifted"


def test_what_is_left_to_apply() -> None:
    wide = PoolingLayer([pooling.LARGEST_WINDOW + 1], Interleaving=True)
    assert pooling.pooling(wide, Arrays({}), jnp.ones((1, 40, 1))) is None
    sequence = Sequence(jnp.ones((1, 4, 2)), jnp.asarray([3]))
    of_sequences = BatchNormalizationLayer(Interleaving=True)
    options = {"training": True, "axes": (), "weight": jnp.ones(1), "state": Arrays({})}
    assert normalization.batch_normalization(of_sequences, Arrays({}), sequence, **options) is None


@pytest.mark.parametrize("dtype", ["int32", "bfloat16", "float64"])
def test_types_are_those_of_apply(dtype: str) -> None:
    """For inputs of any type, and arrays of the same where that is a real one."""
    nets = [
        NetChain([ConvolutionLayer(2, size, ChannelGroups=groups)], Input=[2, 5, 5]) for size, groups in ((1, 1), (3, 1), (3, 2))
    ]
    nets += [NetChain([PoolingLayer(2, stride, Function=kind)], Input=[2, 5, 5]) for kind in (Max, Mean) for stride in (1, 2)]
    nets += [NetChain([LongShortTermMemoryLayer(2)], Input=[4, 3]), NetChain([BatchNormalizationLayer()], Input=[2, 3])]
    with jax.enable_x64(True):
        for net in map(NetInitialize, nets):
            held = "float32" if dtype == "int32" else dtype
            arrays, state = jax.tree.map(lambda value, held=held: value.astype(held), (net.arrays, net.state))
            x = jnp.ones((4, *net.port_type("Input").sizes), dtype)
            function = partial(net.function(), training=True)
            made, expected = (jax.eval_shape(each, arrays, state, x) for each in (function, without_kernels(function)))
            assert made == expected, repr(net)


def test_wide_pictures_make_few_views() -> None:
    layer = ConvolutionLayer(8, [3, 3], Biases=None, Interleaving=True)
    along = convolution.slides(layer, (200, 200))
    patches = convolution.FORMS["patches"]
    traced = jax.make_jaxpr(lambda x, weights: patches(x, weights, along, 1))(
        jnp.zeros((2, 200, 200, 3)), jnp.zeros((8, 3, 3, 3))
    )
    assert len(traced.jaxpr.eqns) < 150


# Increasing functions behind a maximum


def with_pooling(function: Any, biases: Any = None) -> Net:
    layers = [ConvolutionLayer(3, 3, Biases=biases), ElementwiseLayer(function), PoolingLayer([2, 3], [2, 1])]
    return NetInitialize(NetChain(layers, Input=[2, 9, 8]))


@pytest.mark.parametrize("function", INCREASING, ids=[str(i) for i in range(len(INCREASING))])
def test_what_increases_never_decreases(function: Callable[[Any], Any]) -> None:
    values = np.asarray(function(jnp.concatenate([jnp.linspace(-30, 30, 20_001), jnp.linspace(-1e-3, 1e-3, 2_001)]).sort()))
    assert (np.diff(values) >= -1e-6).all()


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("function", [Ramp, Tanh, "SELU", "HardSigmoid", jax.nn.relu, lambda x: -x, "GELU"], ids=[*"abcdefg"])
def test_the_maximum_of_a_function(function: Any, training: bool) -> None:
    """With its gradient; the function is computed behind the pooling only where it increases."""
    net = with_pooling(function, np.linspace(-1, 1, 3))
    x = normal(4, 2, 9, 8)

    def value(arrays: Any, x: Any) -> Any:
        return weighted(net.function()(arrays, {}, x, training=training)[0])

    slopes = jax.value_and_grad(value, (0, 1))
    same(*compiled(lambda *each: (slopes(*each), without_kernels(slopes)(*each)), net.arrays, x))


def test_functions_have_less_to_do_behind_a_maximum() -> None:
    def computed(function: Any) -> int:
        """How many numbers the function is computed for, where nothing that is not used is computed."""
        net = with_pooling(function)
        traced = jax.jit(lambda x: net.function()(net.arrays, {}, x)[0]).lower(normal(4, 2, 9, 8))
        lines = [line for line in traced.compile().as_text().splitlines() if " tanh(" in line]
        shapes = [line.split("[")[1].split("]")[0] for line in lines]
        return max(int(np.prod([int(size) for size in shape.split(",")])) for shape in shapes)

    assert computed(Tanh) == 4 * 3 * 3 * 4
    assert computed(lambda x: -jnp.tanh(x)) == 4 * 3 * 7 * 6


def test_what_nobody_asks_for_is_not_traced() -> None:
    """A function is not computed before the maximum too, nor probabilities whose loss takes the logits."""
    net = with_pooling(Tanh)
    traced = str(jax.make_jaxpr(lambda x: net.function()(net.arrays, {}, x, training=True)[0])(normal(4, 2, 9, 8)))
    assert traced.count(" tanh ") == 1
    parts = {"net": NetChain([3, SoftmaxLayer()], Input=2), "loss": CrossEntropyLossLayer("Index")}
    edges = ["net" >> NetPort("loss", "Input"), NetPort("Target") >> NetPort("loss", "Target")]
    graph = NetInitialize(NetGraph(parts, edges))
    inputs = {"Input": normal(4, 2), "Target": jnp.ones(4, jnp.int32)}
    traced = str(jax.make_jaxpr(lambda x: graph.function()(graph.arrays, {}, x)[0])(inputs))
    assert traced.count(" exp ") == 1, "that of the logarithm of the softmax"


def test_padding_is_no_element() -> None:
    """A window of nothing but padding has the least of all numbers as its maximum, which no function may change."""
    net = NetInitialize(NetChain([ConvolutionLayer(1, [1]), Ramp, PoolingLayer([2], [2], PaddingSize=2)], Input=[1, 4]))
    function, x = net.function(), normal(3, 1, 4)
    made, expected = compiled(lambda x: (function(net.arrays, {}, x)[0], without_kernels(function)(net.arrays, {}, x)[0]), x)
    assert np.isneginf(expected).any()
    np.testing.assert_allclose(made, expected, rtol=1e-5)
