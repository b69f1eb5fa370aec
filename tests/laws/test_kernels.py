"""The kernels of a platform compute for a batch what `apply` says for each example, and its gradients."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from netdsl import (
    BatchNormalizationLayer,
    ConvolutionLayer,
    DeconvolutionLayer,
    LongShortTermMemoryLayer,
    Max,
    Mean,
    NetInitialize,
    NetMapOperator,
    PoolingLayer,
    Total,
)
from netdsl.lowering.kernels import KERNELS, convolution, normalization, pooling, recurrent
from netdsl.lowering.kernels.increasing import Increased
from netdsl.nets import Arrays, Sequence


def some(count):
    """A law tried on so many cases drawn by Hypothesis, the same ones every time, and not made simpler: each takes a second."""
    checks = [HealthCheck.too_slow, HealthCheck.function_scoped_fixture]
    made = settings(max_examples=count, deadline=None, database=None, phases=[Phase.generate], suppress_health_check=checks)
    return lambda law: seed(1)(made(given(st.data())(law)))


# Values and gradients side by side


def with_slopes(function):
    """The function's value, and what becomes of its slope: the gradients of all arguments."""

    def observed(*arguments):
        y, back = jax.vjp(function, *arguments)
        return y, back(jax.tree.map(slope, y))

    return observed


def slope(y):
    if jnp.issubdtype(y.dtype, jnp.floating):
        return jnp.asarray(np.cos(np.arange(y.size)).reshape(y.shape) * 2, y.dtype)
    return np.zeros(y.shape, jax.dtypes.float0)


def same(functions, *arguments):
    """All functions give the value of the first and its gradients, within rounding; they are compiled together."""
    together = jax.jit(lambda *each: [with_slopes(function)(*each) for function in functions]).lower(*arguments)
    expected, *others = together.compile({"xla_backend_optimization_level": 0})(*arguments)
    for other in others:
        jax.tree.map(close, *jax.device_get((other, expected)))


def close(a, b):
    assert a.dtype == b.dtype
    if b.dtype != jax.dtypes.float0:
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=2e-6 * max(1.0, np.abs(b[np.isfinite(b)]).max(initial=0)))


def by_apply(layer):
    """The layer's own function over a batch of examples."""

    def one(arrays, x):
        return layer.apply(Arrays(arrays), x, states={})[0] if layer.state_names else layer.apply(Arrays(arrays), x)

    return lambda arrays, x: jax.vmap(lambda each: one(arrays, each))(x)


def by_kernel(layer, platform="cpu"):
    kernel = KERNELS[platform][type(layer)]

    def function(arrays, x):
        y = kernel(layer, Arrays(arrays), x)
        return y.value if isinstance(y, Increased) else y

    return function


def with_examples_last(layer):
    """The kernel, given the channels first and the examples last, for a batch with the channels last."""
    function = by_kernel(layer.rebuilt(Interleaving=False))
    return lambda arrays, x: jnp.swapaxes(function(arrays, jnp.swapaxes(x, 0, -1)), 0, -1)


# Layers and numbers


def different(*sizes, source=3):
    """Numbers of about 1, no two of them equal: which is the largest is plain."""
    rng = np.random.default_rng(source)
    return jnp.asarray((rng.permutation(int(np.prod(sizes))).reshape(sizes) + 0.5) / np.prod(sizes) * 4 - 2, jnp.float32)


def drawn(data):
    """A function that draws so many integers from `low` to `high`."""
    return lambda count, low, high: data.draw(st.lists(st.integers(low, high), min_size=count, max_size=count))


def fitting(integers, kernel, dilation, padding, beyond=0):
    """The PaddingSize, and sizes that the kernel fits on; pairs of padding reach `beyond` the kernel at most."""
    reach = [d * (k - 1) + 1 for k, d in zip(kernel, dilation)]
    pairs = [integers(2, 0, r - 1 + beyond) if padding == "pairs" else [0, 0] for r in reach]
    sizes = [max(1, r - sum(pair)) + more for r, pair, more in zip(reach, pairs, integers(len(kernel), 0, 4))]
    return pairs if padding == "pairs" else padding, sizes


def convolved(layer, x):
    """The arrays of a convolution for this input."""
    per_group = x.shape[-1] // layer.ChannelGroups
    biases = None if layer.Biases is None else jnp.asarray(layer.Biases, jnp.float32)
    return {"Weights": different(layer.OutputChannels, per_group, *layer.KernelSize, source=4), "Biases": biases}


def in_form(layer, name):
    """A convolution computed in one of the forms, whatever sizes it is chosen for."""

    def function(arrays, x):
        along = convolution.slides(layer, x.shape[1:-1])
        y = convolution.FORMS[name](x, arrays["Weights"], along, layer.ChannelGroups)
        return y if arrays["Biases"] is None else y + arrays["Biases"]

    return function


def able(layer, sizes):
    """The forms that can compute this convolution."""
    if layer.ChannelGroups > 1:
        return ["shifted"]
    one = all(s.kernel == 1 and s.low == s.high == 0 for s in convolution.slides(layer, sizes))
    return [name for name in convolution.FORMS if one or name != "pointwise"]


# The laws


@pytest.mark.parametrize("dimensions", [1, 2, 3])
@pytest.mark.parametrize("groups", [1, 2, 3])
@some(6)
def test_convolution_in_every_form(groups, dimensions, data):
    integers, padding = drawn(data), data.draw(st.sampled_from(["pairs", "Same", 0, "one position"]))
    one = padding == "one position"
    most = 5 if dimensions < 3 else 3
    kernel = [1] * dimensions if one else [*integers(1, 2, most), *integers(dimensions - 1, 1, most)]
    stride, dilation = integers(dimensions, 1, 3), integers(dimensions, 1, 2)
    padding, sizes = fitting(integers, kernel, dilation, 0 if one else padding, beyond=1)
    channels, outputs, batch, biased = integers(4, 1, 3)
    layer = ConvolutionLayer(
        outputs * groups,
        kernel,
        Stride=stride,
        PaddingSize=padding,
        Dilation=dilation,
        ChannelGroups=groups,
        Interleaving=True,
        Biases=np.linspace(-1, 1, outputs * groups) if biased > 1 else None,
    )
    x = different(batch, *sizes, channels * groups)
    forms = able(layer, sizes)
    assert ("pointwise" in forms) is (one and groups == 1)
    last = [] if groups > 1 else [with_examples_last(layer)]
    same([by_apply(layer), by_kernel(layer), *last, *(in_form(layer, name) for name in forms)], convolved(layer, x), x)


@pytest.mark.parametrize("dimensions", [1, 2])
@some(8)
def test_deconvolution(dimensions, data):
    """Kernels smaller, as large and larger than the stride, cropped and not; what is cropped beyond the kernel is left to `apply`."""
    integers = drawn(data)
    kernel, stride, sizes = integers(dimensions, 1, 5), integers(dimensions, 1, 3), integers(dimensions, 2, 4)
    crops = [integers(2, 0, min(k, (s * (n - 1) + k - 1) // 2)) for k, s, n in zip(kernel, stride, sizes)]
    channels, outputs, batch, biased = integers(4, 1, 3)
    layer = DeconvolutionLayer(
        outputs,
        kernel,
        Stride=stride,
        PaddingSize=crops,
        Interleaving=True,
        Biases=np.linspace(-1, 1, outputs) if biased > 1 else None,
    )
    x = different(batch, *sizes, channels)
    arrays = convolved(layer, x) | {"Weights": different(channels, outputs, *kernel, source=4)}
    within = by_kernel(layer)
    if jax.eval_shape(within, arrays, x) is not None:
        same([by_apply(layer), within, with_examples_last(layer)], arrays, x)
    else:
        assert any(max(crop) >= k for crop, k in zip(crops, kernel))


@pytest.mark.parametrize("options", [{"Dilation": 2}, {"ChannelGroups": 2}, {"PaddingSize": [[4, 0]]}], ids=str)
def test_deconvolutions_left_to_apply(options):
    layer = DeconvolutionLayer(2, [3], Stride=2, Interleaving=True, **options)
    assert by_kernel(layer)({"Weights": jnp.ones((2, 2, 3)), "Biases": jnp.ones(2)}, jnp.ones((4, 6, 2))) is None


@pytest.mark.parametrize("rows", [0, 100], ids=["loop", "one by one"])
@pytest.mark.parametrize("dimensions", [1, 2, 3])
@some(2)
def test_rows_times_a_matrix(dimensions, rows, monkeypatch, data):
    """In a loop and written out, by rows and all at once."""
    integers = drawn(data)
    kernel, dilation = integers(dimensions, 2, 3), integers(dimensions, 1, 2)
    padding, sizes = fitting(integers, kernel, dilation, "pairs", beyond=1)
    for few in (0, 1000):
        monkeypatch.setattr(convolution, "MOST_ROWS", rows)
        monkeypatch.setattr(convolution, "FEW_SEEN", few)
        options = {"Stride": 2, "PaddingSize": padding, "Dilation": dilation, "Biases": [-1, 0, 1]}
        layer = ConvolutionLayer(3, kernel, **options, Interleaving=True)
        x = different(2, *sizes, 2)
        same([by_apply(layer), with_examples_last(layer)], convolved(layer, x), x)


@pytest.mark.parametrize("views", [0, 1000], ids=["strided", "blocks"])
@pytest.mark.parametrize("length", [5, 11, 13])
def test_patches_for_some_neighbours_each(length, views, monkeypatch):
    """Cut in either way, with positions left over and without."""
    monkeypatch.setattr(convolution, "MOST_VIEWS", views)
    for stride in (1, 2):
        layer = ConvolutionLayer(4, [2, 3], Stride=[1, stride], Interleaving=True, Biases=None)
        x = different(2, 4, stride * (length - 1) + 3, 2)
        same([by_apply(layer), in_form(layer, "patches")], convolved(layer, x), x)


@pytest.mark.parametrize("dimensions", [1, 2, 3])
@some(5)
def test_neighbours_taken_as_channels(dimensions, monkeypatch, data):
    """Native convolutions of few channels, with neighbours taken together and each by itself."""
    integers = drawn(data)
    kernel, stride, dilation = ([*integers(dimensions - 1, 1, most), one] for most, one in ((3, 2), (2, 1), (2, 1)))
    kernel[-1] += integers(1, 0, 3)[0]
    padding, sizes = fitting(integers, kernel, dilation, "pairs", beyond=1)
    (channels, outputs), (count, blocks) = integers(2, 1, 3), integers(2, 2, 4)
    sizes[-1] = max(count * blocks + kernel[-1] - 1 - sum(padding[-1]), 1)
    layer = ConvolutionLayer(
        outputs, kernel, Stride=stride, PaddingSize=padding, Dilation=dilation, Interleaving=True, Biases=None
    )
    x = different(2, *sizes, channels)
    arrays, native, programs = convolved(layer, x), in_form(layer, "native"), []
    monkeypatch.setattr(convolution, "FOLDED", count * outputs)
    for few in (0, 100):
        monkeypatch.setattr(convolution, "FEW_CHANNELS", few)
        same([by_apply(layer), native], arrays, x)
        programs.append(str(jax.make_jaxpr(with_slopes(native))(arrays, x)))
    evenly = convolution.slides(layer, sizes)[-1].output == count * blocks
    assert not evenly or programs[0] != programs[1]


@pytest.mark.parametrize("dimensions", [1, 2, 3])
@pytest.mark.parametrize("padding", ["Same", 0, "pairs", "apart"])
@some(3)
def test_pooling(padding, dimensions, data):
    integers = drawn(data)
    size = [2, *integers(dimensions - 1, 1, 4 if dimensions < 3 else 3)]
    stride = size if padding == "apart" else integers(dimensions, 1, 3)
    padding, sizes = fitting(integers, size, [1] * dimensions, 0 if padding == "apart" else padding)
    x = different(2, *sizes, 2) - 3  # all are less than the zeros of a padding
    for function in (Max, (Mean, Total)[dimensions % 2]):
        layer = PoolingLayer(size, stride, Function=function, PaddingSize=padding, Interleaving=True)
        same([by_apply(layer), by_kernel(layer), with_examples_last(layer)], {}, x)


@pytest.mark.parametrize("function", [Max, Mean, Total])
def test_pooling_of_wide_windows_that_do_not_overlap(function):
    size = [pooling.LARGEST_WINDOW + 1, 2]
    layer = PoolingLayer(size, size, Function=function, Interleaving=True)
    same([by_apply(layer), by_kernel(layer)], {}, different(2, 2 * pooling.LARGEST_WINDOW + 5, 3, 2))


@pytest.mark.parametrize(
    ("options", "axes", "sizes"),
    [
        ({}, (), [3]),
        ({"Epsilon": 0.1, "Momentum": 0.5}, (), [3, 2, 2]),
        ({"Momentum": 0.0}, ("around",), [3, 2]),
        ({"LearningRateMultipliers": 2.5}, ("further", "around"), [2]),
        ({"LearningRateMultipliers": 0}, (), [2, 3]),
        ({"LearningRateMultipliers": None}, ("around",), [3, 1, 2, 2]),
    ],
)
@pytest.mark.parametrize("weights", [[1.0, 1.0, 1.0], [0.0, 1.0, 0.0, 1.0]], ids=["all", "padded"])
def test_batch_normalization(weights, options, axes, sizes):
    """Also where examples are padded, and where the batch itself is one of several that are normalized together."""
    layer, channels = BatchNormalizationLayer(**options, Interleaving=True), sizes[0]
    arrays = {"Scaling": jnp.linspace(0.5, 2, channels), "Biases": jnp.linspace(-1, 1, channels)}
    state = Arrays({"MovingMean": jnp.linspace(-0.3, 0.4, channels), "MovingVariance": jnp.linspace(0.6, 1.5, channels)})
    x = different(*(2 + i for i in range(len(axes))), len(weights), *sizes[1:], channels)
    # the first of several batches has nothing that counts
    weights = jnp.zeros(x.shape[: len(axes) + 1]).at[tuple(slice(1, None) for _ in axes)].set(jnp.asarray(weights))

    def over(function):
        """The function over all batches of the axes around."""
        for axis in reversed(axes):
            function = jax.vmap(function, (None, 0, 0), (0, None), axis_name=axis)
        return lambda arrays, x: function(arrays, x, weights)

    for training in (True, False):
        given = {"training": training, "state": state}

        def own(arrays, x, weights, given=given):
            def one(x, weight):
                return layer.apply(Arrays(arrays), x, axes=(*axes, "batch"), weight=weight, **given)

            return jax.vmap(one, out_axes=(0, None), axis_name="batch")(x, weights)

        def together(arrays, x, weights, given=given):
            return normalization.batch_normalization(layer, Arrays(arrays), x, axes=axes, weight=weights, **given)

        def with_examples_last(arrays, x, weights, given=given):
            y, new = normalization.batch_normalization(
                layer.rebuilt(Interleaving=False), Arrays(arrays), jnp.swapaxes(x, 0, -1), axes=axes, weight=weights, **given
            )
            return jnp.swapaxes(y, 0, -1), new

        _, new = jax.eval_shape(over(together), arrays, x)
        assert bool(new) is (training and options.get("LearningRateMultipliers", 1) not in (0, None))
        same([over(own), over(together), over(with_examples_last)], arrays, x)


@pytest.mark.parametrize("varying", [False, True], ids=["arrays", "sequences"])
@pytest.mark.parametrize(("steps", "inputs", "units"), [(1, 2, 3), (7, 3, 2)])
def test_long_short_term_memory(steps, inputs, units, varying):
    layer = LongShortTermMemoryLayer(units)
    sizes = {"InputWeights": (units, inputs), "StateWeights": (units, units), "Biases": (units,)}
    arrays = {
        gate + kind: different(*size, source=10 * i + j)
        for i, gate in enumerate(recurrent.GATES)
        for j, (kind, size) in enumerate(sizes.items())
    }
    assert set(arrays) == set(layer.array_declarations)
    x = different(3, steps, inputs)
    kernels = [by_kernel(layer), by_kernel(layer, "gpu")]
    same([by_apply(layer), *kernels], arrays, Sequence(x, jnp.arange(3) % steps + 1) if varying else x)


def test_long_short_term_memory_with_dropout_has_no_kernel(monkeypatch):
    used = []
    here = KERNELS[jax.default_backend()]
    monkeypatch.setitem(here, LongShortTermMemoryLayer, lambda *_, **__: used.append(1))  # it leaves the work to apply
    x = np.ones((1, 3, 2), np.float32)
    for dropout in (None, 0.5):
        layer = NetInitialize(LongShortTermMemoryLayer(2, Dropout=dropout, Input=[3, 2]))
        for training in (False, True):
            used.clear()
            layer.function()(layer.arrays, layer.state, x, jax.random.key(1), training)
            assert bool(used) is not (training and dropout is not None)


def test_every_kernel_has_a_law():
    """That of operators is one of whole programs: lowering/test_kernels.py."""
    laws = {
        BatchNormalizationLayer,
        ConvolutionLayer,
        DeconvolutionLayer,
        LongShortTermMemoryLayer,
        NetMapOperator,
        PoolingLayer,
    }
    assert {kind: set(kernels) for kind, kernels in KERNELS.items()} == {"cpu": laws, "gpu": {LongShortTermMemoryLayer}}
