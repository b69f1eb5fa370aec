"""Convolution of a batch on a CPU: ways to compute the same, chosen by sizes.

XLA's CPU backend computes a convolution fast in its canonical layout only (batch, positions, channels), and the gradients
that it derives leave that layout. Here every convolution, those of the gradients too, is canonical or a product of matrices.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from netdsl.layers import ConvolutionLayer
from netdsl.lowering.kernels.increasing import Increased

__all__ = ["FORMS", "Slide", "by_rows", "chosen", "convolution", "form", "increased"]

LARGEST_PATCHES = 2**17
"""Patches of more elements than this, for one example, are not made."""

WIDE = 80
"""The number of columns from which a product of matrices is fast."""

MOST_VIEWS = 64
"""The number of views from which patches are cut in another way, which needs fewer but copies more slowly."""

FEW_EXAMPLES = 4
"""For so small a batch the matrix of the patches costs more than it saves."""

FEW_SEEN = 64
"""Where an output is made of so few numbers, the products of all rows are one."""

MOST_ROWS = 32
"""Up to so many rows are written out one by one; more are a loop, which compiles faster."""

FEW_CHANNELS = 16
"""Up to so many channels in and out, neighbouring outputs are computed together as more channels."""

FOLDED = 32
"""How many channels they then are: the fewest for which XLA is fast."""


class Slide(NamedTuple):
    """How a kernel slides along one dimension: numbers that a function can be compiled for."""

    kernel: int
    stride: int
    dilation: int
    low: int
    high: int
    output: int


def slides(layer: Any, sizes: tuple[int, ...]) -> tuple[Slide, ...]:
    """The slide along each dimension of positions of these sizes."""
    return tuple(
        Slide(w.kernel, w.stride, w.dilation, w.pads(size)[0], w.pads(size)[1], w.output(size))
        for w, size in zip(layer.windows(len(sizes)), sizes)
    )


def convolution(layer: ConvolutionLayer, arrays: Any, x: Any) -> Any:
    """The layer's output for a batch with channels last (Interleaving) or examples last: sums, and biases added to them."""
    weights = arrays.Weights
    x = x.astype(weights.dtype)
    along = slides(layer, x.shape[1:-1])
    if layer.Interleaving:
        y = FORMS[form(layer, x.shape)](x, weights, along, layer.ChannelGroups)
    else:
        y = by_rows(x, weights, along)
    return increased(layer, arrays.Biases, y)


def increased(layer: Any, biases: Any, sums: Any) -> Any:
    """The sums of all channels, last or (with examples last) first, and biases added to them."""
    if biases is None:
        return sums
    each = biases if layer.Interleaving else biases.reshape(-1, *(1,) * (sums.ndim - 1))
    return Increased(lambda sums: sums + each, sums)


def form(layer: ConvolutionLayer, shape: tuple[int, ...]) -> str:
    """The way in which a convolution of an input of this shape, channel last, is computed."""
    return "shifted" if layer.ChannelGroups > 1 else chosen(slides(layer, shape[1:-1]), shape, layer.OutputChannels)


def chosen(along: tuple[Slide, ...], shape: tuple[int, ...], outputs: int) -> str:
    """The way for a convolution of one group."""
    channels = shape[-1]
    if all(s.kernel == 1 and s.low == s.high == 0 for s in along):
        return "pointwise"
    patches = channels * math.prod(s.kernel * s.output for s in along)
    many = min(channels, outputs) >= FEW_CHANNELS and max(s.kernel for s in along) <= 3
    if many or shape[0] <= FEW_EXAMPLES or patches > LARGEST_PATCHES or (channels > 1 and _folds(along, channels, outputs) > 1):
        return "native"
    return "patches"


# Convolutions left to XLA, in the layout it is fast in


def _canonical(x: Any, kernels: Any, strides: Any, padding: Any, inner: Any, outer: Any) -> Any:
    letters = "DHW"[2 - x.ndim :]
    numbers = (f"N{letters}C", f"{letters}IO", f"N{letters}C")
    return lax.conv_general_dilated(x, kernels, strides, padding, inner, outer, dimension_numbers=numbers)


def _convolved(x: Any, kernels: Any, along: tuple[Slide, ...]) -> Any:
    count = _folds(along, *kernels.shape[-2:])
    if count > 1:
        return _folded(x, kernels, along, count)
    ones, padding = (1,) * len(along), [(s.low, s.high) for s in along]
    return _canonical(x, kernels, [s.stride for s in along], padding, ones, [s.dilation for s in along])


@partial(jax.custom_vjp, nondiff_argnums=(2,))
def canonical(x: Any, kernels: Any, along: tuple[Slide, ...]) -> Any:
    """The convolution of a batch with kernels (positions…, inputs, outputs)."""
    return _convolved(x, kernels, along)


def _forward(x: Any, kernels: Any, along: tuple[Slide, ...]) -> Any:
    return _convolved(x, kernels, along), (x, kernels)


def _backward(along: tuple[Slide, ...], kept: Any, slope: Any) -> Any:
    x, kernels = kept
    return _input_slope(x.shape, kernels, along, slope), _apart(partial(_kernel_slope, along), slope, x)


def _input_slope(shape: Any, kernels: Any, along: tuple[Slide, ...], slope: Any) -> Any:
    """The slope spread out by the strides, convolved with the mirrored kernels."""
    mirrored = jnp.swapaxes(jnp.flip(kernels, range(len(along))), -1, -2)
    lows = [s.dilation * (s.kernel - 1) - s.low for s in along]
    highs = [size - s.stride * (s.output - 1) - 1 + s.low for s, size in zip(along, shape[1:-1])]
    if all(s.stride == 1 for s in along) and min(lows + highs) >= 0:
        ends = zip(along, lows, highs, shape[1:-1])
        back = (Slide(s.kernel, 1, s.dilation, low, high, size) for s, low, high, size in ends)
        return _convolved(slope, mirrored, tuple(back))
    ones, strides = (1,) * len(along), [s.stride for s in along]
    return _canonical(slope, mirrored, ones, list(zip(lows, highs)), strides, [s.dilation for s in along])


def _kernel_slope(along: tuple[Slide, ...], slope: Any, x: Any) -> Any:
    """The input convolved with the slope as kernel: channels in the place of the batch, and the batch in that of channels."""
    places = range(1, x.ndim - 1)
    inputs, kernels = jnp.transpose(x, (x.ndim - 1, *places, 0)), jnp.transpose(slope, (*places, 0, x.ndim - 1))
    ends = [s.dilation * (s.kernel - 1) + s.stride * (s.output - 1) + 1 - size - s.low for s, size in zip(along, x.shape[1:-1])]
    padding = [(s.low, end) for s, end in zip(along, ends)]
    made = _canonical(inputs, kernels, [s.dilation for s in along], padding, (1,) * len(along), [s.stride for s in along])
    return jnp.moveaxis(made, 0, -2)


def _apart(function: Callable[..., Any], slope: Any, x: Any) -> Any:
    """The function's value, computed behind a branch: XLA would else compute its arguments anew, once for each use in it."""
    first = slope.ravel()[0]
    shape = jax.eval_shape(function, slope, x)
    # a slope that is not a number is the other branch, and gives no number
    return lax.cond(first == first, function, lambda *_: jnp.full(shape.shape, jnp.nan, shape.dtype), slope, x)


canonical.defvjp(_forward, _backward)


def native(x: Any, weights: Any, along: tuple[Slide, ...], groups: int) -> Any:
    """The convolution as XLA has it."""
    return canonical(x, jnp.moveaxis(weights, (0, 1), (-1, -2)), along)


# Neighbours as channels


def _folds(along: tuple[Slide, ...], channels: int, outputs: int) -> int:
    """How many neighbours of the last dimension are computed together: for few channels, and where they go up evenly; else 1."""
    last = along[-1]
    if max(channels, outputs) > FEW_CHANNELS or last.kernel == 1 or not last.stride == last.dilation == 1:
        return 1
    return math.gcd(FOLDED // outputs, last.output)


def _folded(x: Any, kernels: Any, along: tuple[Slide, ...], count: int) -> Any:
    """The convolution with `count` neighbours of the last dimension as one output of more channels.

    The kernel that sees what all of them see is larger, with some zeros in it, and goes on by steps of `count`.
    """
    last, (channels, outputs) = along[-1], kernels.shape[-2:]
    seen, blocks = last.kernel + count - 1, last.output // count
    wide = jnp.einsum("pst,...tco->...scpo", _places(count, seen, last).astype(kernels.dtype), kernels)
    wide = wide.reshape(*kernels.shape[:-3], seen, channels, count * outputs)
    y = _convolved(x, wide, (*along[:-1], Slide(seen, count, 1, last.low, last.high, blocks)))
    return y.reshape(*y.shape[:-2], last.output, outputs)


def _places(count: int, seen: int, last: Slide) -> Any:
    """1 where output `position` sees element `seen` at offset `offset` of the kernel: (count, seen, kernel)."""
    places = np.zeros((count, seen, last.kernel), np.float32)
    for position, offset in itertools.product(range(count), range(last.kernel)):
        places[position, position * last.stride + offset * last.dilation, offset] = 1
    return jnp.asarray(places)


# Patches times a matrix


def patches(x: Any, weights: Any, along: tuple[Slide, ...], groups: int) -> Any:
    """Patches, each of some neighbouring positions, times a matrix that has the kernel once for each of them.

    Neighbours along the last dimension share most of what they see: a patch of `count` positions is smaller than `count`
    patches, and the product is wide enough to be fast even for few channels. The price is the zeros of the matrix.
    """
    outputs, last = weights.shape[0], along[-1]
    count = _neighbours(last.output, last.kernel, outputs)
    blocks = -(-last.output // count)
    seen = last.stride * (count - 1) + last.dilation * (last.kernel - 1) + 1
    padded = pad(x, along, 0)
    beyond = max(0, last.stride * count * (blocks - 1) + seen - padded.shape[-2])
    padded = jnp.pad(padded, [(0, 0)] * (x.ndim - 2) + [(0, beyond), (0, 0)])
    cut = _patches(padded, along[:-1], blocks, last.stride * count, seen)
    kernels = weights.reshape(*weights.shape[:2], -1, last.kernel)
    places = _places(count, seen, last).astype(weights.dtype)
    matrix = jnp.einsum("psk,ocrk->porsc", places, kernels).reshape(count * outputs, -1)
    # rows of the matrix are outputs: so its gradient is a product without a transposed copy
    y = lax.dot_general(cut.reshape(-1, matrix.shape[1]), matrix, (((1,), (1,)), ((), ())))
    return y.reshape(*cut.shape[: x.ndim - 2], blocks * count, outputs)[..., : last.output, :]


def _patches(padded: Any, others: tuple[Slide, ...], blocks: int, step: int, seen: int) -> Any:
    """The patches (batch, positions…, blocks, kernel…, `seen`, channels): blocks of the last dimension, cut in few views."""
    if blocks * math.prod(s.kernel for s in others) <= MOST_VIEWS:
        places = [lax.slice_in_dim(padded, start, start + seen, axis=-2) for start in range(0, blocks * step, step)]
        cut = [shifted(place, others) for place in places]
        return jnp.stack([jnp.stack(views, axis=-3) for views in cut], axis=-4)
    rows = jnp.stack(shifted(padded, others), axis=-3)
    reach = step * (blocks - 1) + 1
    return jnp.stack([lax.slice_in_dim(rows, at, at + reach, step, -2) for at in range(seen)], axis=-2).swapaxes(-3, -4)


def _neighbours(length: int, kernel: int, channels: int) -> int:
    """How many positions a patch covers: enough for a wide product, and no positions beyond the end where possible."""
    most = max(1, min(length, -(-WIDE // channels), 2 * kernel))
    return min(range(1, most + 1), key=lambda count: (-(-length // count) * count - length) * 4 + most - count)


# Rows times a matrix, with the examples last


def by_rows(x: Any, weights: Any, along: tuple[Slide, ...]) -> Any:
    """The convolution of (channels, positions…, examples), for evaluation: one product for each position of the first dimension.

    Views of the input at each position of the kernel along the other dimensions lie side by side, as more channels. What an
    output row sees is then some rows of these, one matrix as it lies in memory: no copies, no zeros.
    """
    sizes = [s.output for s in along]
    if len(along) == 1 or math.prod(weights.shape[1:]) <= FEW_SEEN:
        x, weights, along = x[:, None], weights[:, :, None], (Slide(1, 1, 1, 0, 0, 1), *along)
    first, others = along[0], along[1:]
    padded = pad(_made(x), along, 0)
    views = jnp.moveaxis(padded, 1, 0)
    for axis, s in reversed([*enumerate(others, padded.ndim - 1 - len(others))]):
        # the views so far come first: levels are counted from the last
        ends = [(place * s.dilation, place * s.dilation + s.stride * (s.output - 1) + 1) for place in range(s.kernel)]
        views = jnp.stack([lax.slice_in_dim(views, *end, s.stride, axis - padded.ndim) for end in ends], axis=1)
    seen = views.reshape(padded.shape[1], -1, math.prod(s.output for s in others) * x.shape[-1])
    matrix = jnp.moveaxis(weights, 1, -1).reshape(weights.shape[0], -1)

    def row(place: Any) -> Any:
        reach = first.dilation * (first.kernel - 1) + 1
        window = lax.dynamic_slice_in_dim(seen, place * first.stride, reach)[:: first.dilation]
        return matrix @ window.reshape(-1, seen.shape[-1])

    places = range(first.output)
    y = jnp.stack([row(place) for place in places]) if len(places) <= MOST_ROWS else lax.map(row, jnp.asarray(places))
    return jnp.moveaxis(y, 0, 1).reshape(len(matrix), *sizes, x.shape[-1])


def _made(x: Any) -> Any:
    """The array in memory: XLA would else compute it anew for each view of it."""
    first = x.ravel()[0]
    return lax.cond(first == first, lambda here: here, lambda here: here + 0, x)


def pad(x: Any, along: tuple[Slide, ...], value: float) -> Any:
    """The batch with its positions padded as the slides say."""
    if all(s.low == s.high == 0 for s in along):
        return x
    return jnp.pad(x, [(0, 0), *((s.low, s.high) for s in along), (0, 0)], constant_values=value)


def shifted(x: Any, along: tuple[Slide, ...]) -> list[Any]:
    """The views of a padded batch at each position of the kernel; dimensions beyond those slid along are whole."""
    whole = x.shape[1 + len(along) :]
    strides = (1, *(s.stride for s in along), *(1 for _ in whole))
    views = []
    for offset in itertools.product(*(range(s.kernel) for s in along)):
        starts = [o * s.dilation for o, s in zip(offset, along)]
        ends = [start + s.stride * (s.output - 1) + 1 for start, s in zip(starts, along)]
        # an index would be traced into the same, in five times as long
        views.append(lax.slice(x, (0, *starts, *(0 for _ in whole)), (x.shape[0], *ends, *whole), strides))
    return views


# Single positions, and groups of channels


def pointwise(x: Any, weights: Any, along: tuple[Slide, ...], groups: int) -> Any:
    """A kernel of one position: a product of matrices."""
    there = x[(slice(None), *(slice(None, None, s.stride) for s in along))]
    return there @ weights.reshape(weights.shape[:2]).T


def shifted_sum(x: Any, weights: Any, along: tuple[Slide, ...], groups: int) -> Any:
    """The sum over the kernel of the shifted input times the weights there, for each group of channels by itself."""
    kernels = weights.reshape(groups, -1, weights.shape[1], math.prod(weights.shape[2:]))
    total: Any = 0
    for place, view in enumerate(shifted(pad(x, along, 0), along)):
        parts = view.reshape(*view.shape[:-1], groups, -1)
        if parts.shape[-1] == 1:
            total += parts * kernels[:, :, 0, place]
        else:
            total += jnp.einsum("...gi,goi->...go", parts, kernels[..., place])
    return total.reshape(*total.shape[:-2], weights.shape[0])


FORMS: dict[str, Callable[..., Any]] = {
    "native": native,
    "patches": patches,
    "pointwise": pointwise,
    "shifted": shifted_sum,
}
"""The ways to compute a convolution: functions of a batch, the weights, the slides and the number of groups."""
