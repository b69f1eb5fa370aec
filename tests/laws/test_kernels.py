"""The kernels of a platform compute for a batch what `apply` says for each example, and its gradients."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import Phase, given, seed, settings
from hypothesis import strategies as st

from netdsl import (
    BatchNormalizationLayer,
    ConvolutionLayer,
    LongShortTermMemoryLayer,
    Max,
    Mean,
    NetMapOperator,
    PoolingLayer,
    Total,
)
from netdsl.lowering.kernels import KERNELS, convolution, normalization, pooling, recurrent
from netdsl.nets import Arrays, Sequence


def some(count):
    """The settings of a law that is tried on `count` drawn cases, the same ones every time."""
    made = settings(max_examples=count, deadline=None, database=None, phases=[Phase.generate])
    return lambda test: seed(1)(made(test))


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
    together = jax.jit(lambda *each: [function(*each) for function in functions]).lower(*arguments)
    expected, *others = together.compile({"xla_backend_optimization_level": 0})(*arguments)
    for other in others:
        jax.tree.map(close, *jax.device_get((other, expected)))


def close(a, b):
    assert a.dtype == b.dtype
    if b.dtype != jax.dtypes.float0:
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5 * max(1.0, np.abs(b[np.isfinite(b)]).max(initial=0)))


def mapped(layer):
    """The layer's own function over a batch of examples."""
    return lambda arrays, x: jax.vmap(lambda one: layer.apply(Arrays(arrays), one))(x)


def kernel(layer):
    function = KERNELS["cpu"][type(layer)]
    return lambda arrays, x: function(layer, Arrays(arrays), x)


def within(constants, function):
    """The function with other constants of the module of convolutions; they are read while it is traced."""

    def changed(*arguments):
        with pytest.MonkeyPatch.context() as patch:
            for name, value in constants.items():
                patch.setattr(convolution, name, value)
            return function(*arguments)

    return changed


def different(*sizes, source=3):
    """Numbers of about 1, no two of them equal: which is the largest is plain."""
    rng = np.random.default_rng(source)
    return jnp.asarray((rng.permutation(int(np.prod(sizes))).reshape(sizes) + 0.5) / np.prod(sizes) * 4 - 2, jnp.float32)


# Sizes


def per_dimension(draw, dimensions, each):
    return [draw(each) for _ in range(dimensions)]


@st.composite
def slid(draw, dimensions, kernels, strides, dilations, beyond):
    """Settings of a layer that slides, and sizes that it fits on; paddings reach `beyond` the kernel at most."""
    kernel = per_dimension(draw, dimensions, kernels)
    stride = per_dimension(draw, dimensions, strides)
    dilation = per_dimension(draw, dimensions, dilations)
    reach = [d * (k - 1) + 1 for k, d in zip(kernel, dilation)]
    pairs = [(draw(st.integers(0, r - 1 + beyond)), draw(st.integers(0, r - 1 + beyond))) for r in reach]
    padding = draw(st.sampled_from(["Same", 0, [list(pair) for pair in pairs]]))
    given = pairs if isinstance(padding, list) else [(0, 0)] * dimensions
    sizes = [max(1, r - low - high) + draw(st.integers(0, 4)) for r, (low, high) in zip(reach, given)]
    sizes[-1] += draw(st.sampled_from([0, 5, 10])) if dimensions < 3 else 0
    options = {"Stride": stride, "PaddingSize": padding, "Dilation": dilation, "Interleaving": True}
    return kernel, options, sizes


@st.composite
def convolutions(draw):
    """A layer and the shape of a batch for it, channel last."""
    dimensions = draw(st.integers(1, 3))
    kernels = st.integers(1, 1) if draw(st.integers(0, 4)) == 0 else st.integers(1, 5 if dimensions < 3 else 3)
    kernel, options, sizes = draw(slid(dimensions, kernels, st.integers(1, 3), st.integers(1, 2), 1))
    if draw(st.booleans()):
        options["PaddingSize"] = 0
        sizes = [size + d * (k - 1) for size, k, d in zip(sizes, kernel, options["Dilation"])]
    groups = draw(st.sampled_from([1, 1, 2, 3]))
    channels, outputs = groups * draw(st.integers(1, 3)), groups * draw(st.integers(1, 3))
    options["Biases"] = draw(st.sampled_from([None, np.linspace(-1, 1, outputs)]))
    return ConvolutionLayer(outputs, kernel, ChannelGroups=groups, **options), (draw(st.integers(1, 3)), *sizes, channels)


def convolved(layer, x):
    """The arrays of the layer for this input."""
    per_group = x.shape[-1] // layer.ChannelGroups
    arrays = {"Weights": different(layer.OutputChannels, per_group, *layer.KernelSize, source=4), "Biases": None}
    return arrays if layer.Biases is None else arrays | {"Biases": jnp.asarray(layer.Biases, jnp.float32)}


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


@some(20)
@given(convolutions(), st.sampled_from([0, convolution.MOST_VIEWS]))
def test_convolution_in_every_form(drawn, views):
    layer, shape = drawn
    x = different(*shape)
    forms = [within({"MOST_VIEWS": views}, with_slopes(in_form(layer, name))) for name in able(layer, shape[1:-1])]
    same([with_slopes(mapped(layer)), with_slopes(kernel(layer)), *forms], convolved(layer, x), x)


@pytest.mark.parametrize("name", sorted(convolution.FORMS))
def test_each_form_meets_each_number_of_dimensions(name):
    """What the draws above may leave out."""
    for dimensions in (1, 2, 3):
        kernel, padding = (1, 0) if name == "pointwise" else (2, 1)
        options = {"PaddingSize": padding, "Stride": 2, "ChannelGroups": 2 if name == "shifted" else 1, "Interleaving": True}
        layer = ConvolutionLayer(4, [kernel] * dimensions, **options, Biases=np.arange(4))
        x = different(2, *(4, 3, 5)[:dimensions], 2)
        same([with_slopes(mapped(layer)), with_slopes(in_form(layer, name))], convolved(layer, x), x)


@some(8)
@given(st.integers(1, 3), st.sampled_from([3, 5]), st.integers(0, 2), st.integers(1, 3), st.integers(1, 3), st.data())
def test_neighbours_taken_as_channels(dimensions, last, blocks, channels, outputs, data):
    """Native convolutions of few channels, with a last dimension that goes up evenly and with one that does not."""
    kernel, options, sizes = data.draw(slid(dimensions, st.integers(1, 3), st.integers(1, 2), st.integers(1, 2), 1))
    kernel[-1], options["Stride"][-1], options["Dilation"][-1] = last, 1, 1
    pad = data.draw(st.sampled_from([0, 1, last]))
    options["PaddingSize"] = [*([1, 0] for _ in sizes[:-1]), [pad, 0]]
    for left in (0, 1):
        output = max((last - 1) * (blocks + 1) + left, pad - last + 2)
        shape = (2, *(size + d * (k - 1) for size, k, d in zip(sizes[:-1], kernel, options["Dilation"])), output + last - 1 - pad)
        layer = ConvolutionLayer(outputs, kernel, **options, Biases=None)
        x = different(*shape, channels)
        native = with_slopes(in_form(layer, "native"))
        ways = [within({"FEW_CHANNELS": few}, native) for few in (0, 100)]
        arrays = convolved(layer, x)
        same([with_slopes(mapped(layer)), *ways], arrays, x)
        apart, together = (str(jax.make_jaxpr(way)(arrays, x)) for way in ways)
        assert (apart != together) or output % (last - 1) != 0


@some(12)
@given(st.integers(1, 3), st.booleans(), st.sampled_from([Max, Mean, Total]), st.integers(1, 3), st.data())
def test_pooling(dimensions, apart, function, channels, data):
    each = st.integers(1, 4 if dimensions < 3 else 3)
    size, options, sizes = data.draw(slid(dimensions, each, st.integers(1, 3), st.just(1), 0))
    del options["Dilation"]
    if apart:
        options |= {"Stride": size, "PaddingSize": 0}
        sizes = [max(pair) for pair in zip(sizes, size)]
    layer = PoolingLayer(size, options.pop("Stride"), **options, Function=function)
    # all are less than what might be padded
    same([with_slopes(mapped(layer)), with_slopes(kernel(layer))], {}, different(2, *sizes, channels) - 3)


@pytest.mark.parametrize("function", [Max, Mean, Total])
def test_pooling_of_wide_windows_that_do_not_overlap(function):
    layer = PoolingLayer([pooling.LARGEST_WINDOW + 1, 2], [pooling.LARGEST_WINDOW + 1, 2], Function=function, Interleaving=True)
    same([with_slopes(mapped(layer)), with_slopes(kernel(layer))], {}, different(2, 2 * pooling.LARGEST_WINDOW + 5, 3, 2))


@st.composite
def normalizations(draw):
    sizes = draw(st.lists(st.integers(1, 4), max_size=3))
    layer = BatchNormalizationLayer(
        Interleaving=True,
        Epsilon=draw(st.sampled_from([0.001, 0.1])),
        Momentum=draw(st.sampled_from([0.9, 0.0, 0.5])),
        LearningRateMultipliers=draw(st.sampled_from([1, 1, 0, None, 2.5])),
    )
    batch, channels = draw(st.integers(2, 5)), draw(st.integers(1, 3))
    weights = draw(st.lists(st.sampled_from([0.0, 1.0]), min_size=batch, max_size=batch).filter(any))
    return layer, (batch, *sizes, channels), jnp.asarray(weights)


@some(12)
@given(normalizations(), st.booleans(), st.sampled_from([(), ("around",), ("further", "around")]))
def test_batch_normalization(drawn, training, axes):
    """Also where examples are padded, and where the batch itself is one of several that are normalized together."""
    layer, shape, weights = drawn
    channels = shape[-1]
    arrays = {"Scaling": jnp.linspace(0.5, 2, channels), "Biases": jnp.linspace(-1, 1, channels)}
    state = Arrays({"MovingMean": jnp.linspace(-0.3, 0.4, channels), "MovingVariance": jnp.linspace(0.6, 1.5, channels)})
    settings = {"training": training, "state": state}
    x = different(*(2 + i for i in range(len(axes))), *shape)
    # some batches have nothing that counts
    weights = jnp.zeros(x.shape[: len(axes) + 1]).at[tuple(-1 for _ in axes)].set(weights)

    def over(function):
        """The function over all batches of the axes around."""
        for axis in reversed(axes):
            function = jax.vmap(function, (None, 0, 0), (0, None), axis_name=axis)
        return lambda arrays, x: function(arrays, x, weights)

    def own(arrays, x, weights):
        def one(x, weight):
            return layer.apply(Arrays(arrays), x, axes=(*axes, "batch"), weight=weight, **settings)

        return jax.vmap(one, out_axes=(0, None), axis_name="batch")(x, weights)

    def together(arrays, x, weights):
        return normalization.batch_normalization(layer, Arrays(arrays), x, axes=axes, weight=weights, **settings)

    _, new = jax.eval_shape(over(together), arrays, x)
    assert set(new) == (
        {"MovingMean", "MovingVariance"} if training and layer.LearningRateMultipliers not in (0, None) else set()
    )
    same([with_slopes(over(own)), with_slopes(over(together))], arrays, x)


@some(4)
@given(st.integers(1, 3), st.integers(1, 5), st.integers(1, 3), st.integers(1, 3), st.booleans())
def test_long_short_term_memory(batch, steps, inputs, units, varying):
    layer = LongShortTermMemoryLayer(units)
    sizes = {"InputWeights": (units, inputs), "StateWeights": (units, units), "Biases": (units,)}
    arrays = {
        gate + kind: different(*size, source=10 * i + j)
        for i, gate in enumerate(recurrent.GATES)
        for j, (kind, size) in enumerate(sizes.items())
    }
    assert set(arrays) == set(layer.array_declarations)
    x = different(batch, steps, inputs)
    if varying:
        x = Sequence(x, jnp.arange(batch) % steps + 1)
    same([with_slopes(mapped(layer)), with_slopes(kernel(layer))], arrays, x)


def test_every_kernel_has_a_law():
    """That of operators is one of whole programs: lowering/test_kernels.py."""
    laws = {BatchNormalizationLayer, ConvolutionLayer, LongShortTermMemoryLayer, NetMapOperator, PoolingLayer}
    assert set(KERNELS) == {"cpu"}
    assert set(KERNELS["cpu"]) == laws
