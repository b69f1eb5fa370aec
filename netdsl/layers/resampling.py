"""Layers that change the sizes of what has channels: DeconvolutionLayer and ResizeLayer."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import jax.numpy as jnp
import numpy as np
from jax import lax

from netdsl.constraints import BOOLEAN, POSITIVE, Constraint, either, list_of, one_of
from netdsl.declarations import parameter
from netdsl.errors import DeclarationError
from netdsl.layers.convolution import MARGINS, Convolving, Window, layout
from netdsl.nets import Layer
from netdsl.shapes import REAL, ArrayType, Contradiction, Length, Size, merge_sizes
from netdsl.symbols import All, Automatic, Scaled

__all__ = ["DeconvolutionLayer", "ResizeLayer"]


class _Spread(Window):
    """How a kernel is put down along one dimension, `stride` elements apart, and what is cropped."""

    __slots__ = ()

    def output(self, size: Size) -> Any:
        """stride·(size - 1) + dilation·(kernel - 1) + 1 - cropped, open where the size is."""
        if isinstance(size, Length):
            raise Contradiction("takes fixed sizes, not a varying one", "Input")
        if size is None:
            return None
        whole = self.stride * (size - 1) + self.reach
        if whole <= self.low + self.high:
            raise Contradiction(
                f"crops {self.low + self.high} elements of {whole}: the output size would be less than 1", "Input"
            )
        return whole - self.low - self.high

    def input(self, size: Size) -> Size:
        """The one input size that gives this output size."""
        if not isinstance(size, int):
            return None
        steps, rest = divmod(size + self.low + self.high - self.reach, self.stride)
        if rest or steps < 0:
            raise Contradiction(f"cannot give size {size}: its sizes are {self.output(1)} and {self.stride} more each", "Output")
        return steps + 1


class DeconvolutionLayer(Convolving):
    """The transpose of a convolution: each element puts down a kernel, and what overlaps adds up; in 1 or 2 dimensions.

    y[o, p...] = Biases[o] + Σ over c, q, k... with stride·q + dilation·k - cropped = p of Weights[c, o, k...] · x[c, q...]

    Ports: Input {channels, d1, …} (channels last when Interleaving); Output {OutputChannels, …}, real. Each size becomes
    Stride·(d - 1) + Dilation·(kernel - 1) + 1 - cropped.

    Arrays: Weights {channels, OutputChannels / ChannelGroups, kernel…} [M]; Biases {OutputChannels}, or None.

    Parameters: OutputChannels; KernelSize, a size or one for each dimension; Stride (default 1); PaddingSize, elements that are
    cropped from each side of the output (default 0), or pairs; Dilation (1); ChannelGroups (1): group i of the inputs feeds group i
    of the outputs; Dimensionality (Automatic); Interleaving (False).

    Raises ShapeError where an output size would fall below 1, or cannot come about.

    >>> DeconvolutionLayer(1, [2], Stride=2, Weights=[[[1, 10]]], Biases=None)([[1.0, 2.0]]).tolist()
    [[1.0, 10.0, 2.0, 20.0]]

    Differences from Wolfram: the order of levels in Weights is remembered [M]. Source: Wolfram's public reference page.
    """

    PaddingSize: Any = parameter(MARGINS, 0)
    Dimensionality: Any = parameter(one_of(1, 2), Automatic)

    window = _Spread
    most_dimensions = 2

    def channels_of(self, weights: tuple[Size, ...]) -> Size:
        return weights[0]

    def weights_for(self, channels: Size) -> tuple[Size, Size]:
        self.grouped(channels)
        return channels, self.OutputChannels // self.ChannelGroups

    def slide(self, arrays: Any, x: Any, windows: list[Window], pads: list[tuple[int, int]], real: Any = None) -> Any:
        channels, per_group, *kernel = arrays.Weights.shape
        grouped = arrays.Weights.reshape(self.ChannelGroups, -1, per_group, *kernel).swapaxes(1, 2)
        weights = jnp.flip(grouped.reshape(-1, channels // self.ChannelGroups, *kernel), range(2, 2 + len(kernel)))
        y = lax.conv_general_dilated(
            x[None].astype(weights.dtype),
            weights,
            [1] * len(windows),
            [(w.reach - 1 - low, w.reach - 1 - high) for w, (low, high) in zip(windows, pads)],
            lhs_dilation=[w.stride for w in windows],
            rhs_dilation=[w.dilation for w in windows],
            dimension_numbers=layout(len(windows), self.Interleaving),
            feature_group_count=self.ChannelGroups,
        )[0]
        return self.with_biases(arrays, y)


def scaled_size(size: int, factor: float) -> int:
    """The size that Scaled(factor) makes of one: rounded down, at least 1 [M]."""
    return max(1, math.floor(size * factor + 1e-6))  # 100 times 0.29 is 29


def _factor(value: Any) -> Scaled:
    if not isinstance(value, Scaled) or isinstance(value.fraction, bool) or not 0 < float(value.fraction) < math.inf:
        raise ValueError
    return value


_RESIZED = either(POSITIVE, one_of(All), Constraint("Scaled(r) with r > 0", _factor, (Scaled(0), Scaled(-1.5))))


class ResizeLayer(Layer):
    """Each channel resampled to other sizes.

    y[c, p...] = x[c, q...] interpolated linearly between the elements around q, or that of the nearest; along a level of size n that
    becomes m, q = p·(n - 1) / (m - 1) ("Point"), or q = (p + 1/2)·n / m - 1/2, at least 0 and at most n - 1 ("Bin"), from 0

    Ports: Input {channels, d1, …}, rank 2 to 4 (channels last when Interleaving); Output {channels, m1, …}, real, or for "Nearest"
    the elements that the input has.

    Parameters: Dimensions, a list with one entry for each level that is not the channel: a size, Scaled(r) or All (as it is);
    Resampling, "Linear" (Automatic) or "Nearest", which takes only Scaled(n) with an integer n and All; Scheme, "Point": first and
    last elements stay where they are (Automatic for "Linear"), or "Bin": elements are cells (Automatic for "Nearest");
    Interleaving (False).

    >>> ResizeLayer([3, All])([[[0.0, 1.0], [10.0, 11.0]]]).tolist()
    [[[0.0, 1.0], [5.0, 6.0], [10.0, 11.0]]]

    Differences from Wolfram: Scaled(r) rounds down, and of two elements equally near the later is taken [M].
    Source: Wolfram's public reference page.
    """

    Dimensions: Any = parameter(list_of(_RESIZED, "a list of sizes, Scaled(r) or All"), positional=True)
    Resampling: Any = parameter(one_of("Linear", "Nearest"), Automatic)
    Scheme: Any = parameter(one_of("Point", "Bin"), Automatic)
    Interleaving: Any = parameter(BOOLEAN, False)

    @property
    def nearest(self) -> bool:
        """Whether elements are taken as they are, and not interpolated."""
        return self.Resampling == "Nearest"

    def _check(self) -> None:
        if not 1 <= len(self.Dimensions) <= 3:
            raise DeclarationError(f"ResizeLayer resizes 1 to 3 levels. Got {len(self.Dimensions)}: {self!r}.")
        if self.nearest and not all(
            d is All or (isinstance(d, Scaled) and float(d.fraction).is_integer()) for d in self.Dimensions
        ):
            raise DeclarationError(f'Resampling="Nearest" takes Scaled(n) with an integer n, or All. Got {self!r}.')
        super()._check()

    def resized(self, entry: Any, size: Size) -> Any:
        """The size that this one becomes."""
        if isinstance(entry, Scaled):
            return scaled_size(size, entry.fraction) if isinstance(size, int) else None
        return size if entry is All else entry

    def before(self, entry: Any, size: Size) -> Size:
        """The one size that becomes this one, open where there may be several."""
        if entry is All or not isinstance(entry, Scaled) or entry.fraction < 1 or not isinstance(size, int):
            return size if entry is All else None
        near = int(size / entry.fraction)
        found = next((n for n in range(max(near - 1, 1), near + 3) if scaled_size(n, entry.fraction) == size), None)
        if found is None:
            raise Contradiction(f"cannot give size {size}: no size times {entry.fraction} is that", "Output")
        return found

    def relate(self, types: Mapping[str, ArrayType]) -> Mapping[str, ArrayType]:
        rank, channel = len(self.Dimensions) + 1, len(self.Dimensions) if self.Interleaving else 0
        sizes = {}
        for port in ("Input", "Output"):
            known = types[port].sizes
            if known is not None and len(known) != rank:
                raise Contradiction(f"takes an array of rank {rank}: a channel and {rank - 1} levels to resize", port)
            sizes[port] = list((None,) * rank if known is None else known)
        channels = merge_sizes(sizes["Input"].pop(channel), sizes["Output"].pop(channel), "Output")
        made = [
            merge_sizes(self.resized(entry, a), b, "Output")
            for entry, a, b in zip(self.Dimensions, sizes["Input"], sizes["Output"])
        ]
        needed = [merge_sizes(a, self.before(entry, b), "Input") for entry, a, b in zip(self.Dimensions, sizes["Input"], made)]
        elements = (types["Input"].elements or types["Output"].elements) if self.nearest else None
        both = [(*each[:channel], channels, *each[channel:]) for each in (needed, made)]
        return {"Input": ArrayType(both[0], elements), "Output": ArrayType(both[1], elements if self.nearest else REAL)}

    def apply(self, arrays: Any, x: Any) -> Any:
        if not self.nearest and not jnp.issubdtype(x.dtype, jnp.floating):
            x = x.astype(jnp.result_type(float))
        point = self.Scheme == "Point" if self.Scheme is not Automatic else not self.nearest
        for axis, entry in enumerate(self.Dimensions, 0 if self.Interleaving else 1):
            old, new = x.shape[axis], self.resized(entry, x.shape[axis])
            if new != old:
                at = np.linspace(0, old - 1, new) if point else np.clip((np.arange(new) + 0.5) * old / new - 0.5, 0, old - 1)
                low = np.floor(at + 0.5 * self.nearest).astype(int)
                y = jnp.take(x, low, axis, mode="clip")
                if not self.nearest:
                    part = jnp.asarray((at - low).reshape((-1,) + (1,) * (x.ndim - 1 - axis)), x.dtype)
                    y = y * (1 - part) + jnp.take(x, low + 1, axis, mode="clip") * part
                x = y
        return x
