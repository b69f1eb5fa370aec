"""ConvolutionLayer and PoolingLayer, in one, two or three dimensions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from netdsl.declarations import BOOLEAN, NATURAL, POSITIVE, Constraint, either, list_of, one_of, parameter
from netdsl.errors import DeclarationError
from netdsl.functions import FUNCTIONS
from netdsl.nets import Layer, array
from netdsl.shapes import OPEN, REAL, ArrayType, Contradiction, Length, Size, merge_sizes
from netdsl.symbols import Automatic

__all__ = ["ConvolutionLayer", "PoolingLayer"]

SAME_EXTRA_AFTER = True
"""Where PaddingSize="Same" puts an odd element: after (True) or before. Remembered, not documented [M]."""

MEAN_COUNTS_PADDING = True
"""Whether Mean pooling counts padded zeros as elements, as Mathematica's back end did [M]."""

SIZES = either(POSITIVE, list_of(POSITIVE, "a list of them"))
_PAIR = list_of(NATURAL, "a pair", length=2)
PADDING = either(one_of("Same"), NATURAL, list_of(either(NATURAL, _PAIR), "a list of numbers or pairs"))
PADDING = Constraint('"Same", an integer of at least 0, or a list of integers or pairs', PADDING.keep, (-1, "Different", 1.5))


def per_dimension(value: Any, dimensions: int) -> tuple[Any, ...]:
    """A setting for each dimension, from one for all or a list."""
    return value if isinstance(value, tuple) else (value,) * dimensions


class Window:
    """How a kernel slides along one dimension: its size, stride, dilation and padding."""

    __slots__ = ("dilation", "high", "kernel", "low", "same", "stride")
    kernel: Any

    def __init__(self, kernel: int | None, stride: int, dilation: int, padding: Any) -> None:
        self.kernel, self.stride, self.dilation = kernel, stride, dilation
        self.same = padding == "Same"
        self.low, self.high = (0, 0) if self.same else padding if isinstance(padding, tuple) else (padding, padding)

    def pads(self, size: int) -> tuple[int, int]:
        """The elements padded before and after `size` of them."""
        if not self.same:
            return self.low, self.high
        reach = self.dilation * ((self.kernel or 1) - 1) + 1
        total = max((-(-size // self.stride) - 1) * self.stride + reach - size, 0)
        return (total // 2, total - total // 2) if SAME_EXTRA_AFTER else (total - total // 2, total // 2)

    def output(self, size: Size) -> Any:
        """floor((size + padding - dilation·(kernel - 1) - 1) / stride) + 1, open where something is."""
        if isinstance(size, Length):
            raise Contradiction("takes fixed sizes, not a varying one", "Input")
        if size is None or (self.kernel is None and not self.same):
            return None
        if self.same:
            return -(-size // self.stride)
        room = size + self.low + self.high - self.dilation * (self.kernel - 1) - 1  # type: ignore[operator]
        if room < 0:
            raise Contradiction(
                f"has a kernel that reaches over {self.dilation * (self.kernel - 1) + 1} elements "  # type: ignore[operator]
                f"where there are {size + self.low + self.high}: the output size would be less than 1",
                "Input",
            )
        return room // self.stride + 1

    def input(self, size: Size) -> Size:
        """The one input size that gives this output size, if the stride is 1, else open."""
        if size is None or isinstance(size, Length) or self.stride != 1 or self.kernel is None:
            return None
        if self.same:
            return size
        before = size + self.dilation * (self.kernel - 1) - self.low - self.high
        if before < 1:
            raise Contradiction(f"would need an input of size {before} for an output of size {size}", "Output")
        return before


class _Sliding(Layer):
    """What convolution and pooling share: the kernel's way over the levels that are not the channel."""

    signature = "... -> ..."
    KernelSize: Any
    Stride: Any
    PaddingSize: Any
    Dimensionality: Any
    Interleaving: Any

    def dimensions(self, *sizes: tuple[Size, ...] | None) -> int | None:
        """The number of dimensions that the kernel slides along, if anything says it."""
        for value in (self.KernelSize, self.Stride, self.PaddingSize, self.__dict__.get("Dilation")):
            if isinstance(value, tuple):
                return len(value)
        if self.Dimensionality is not Automatic:
            return self.Dimensionality
        found = next((len(each) - 1 for each in sizes if each is not None), None)
        if found is not None and not 1 <= found <= 3:
            raise Contradiction(
                "takes an array of rank 2 to 4: a channel and 1 to 3 dimensions", "Input" if sizes[0] is not None else "Output"
            )
        return found

    def _check(self) -> None:
        lengths = {
            name: len(value)
            for name in ("KernelSize", "Stride", "PaddingSize", "Dilation")
            if isinstance(value := self.__dict__.get(name), tuple)
        }
        if self.Dimensionality is not Automatic:
            lengths["Dimensionality"] = self.Dimensionality
        if len(set(lengths.values())) > 1:
            said = ", ".join(f"{name} says {length}" for name, length in lengths.items())
            raise DeclarationError(f"The settings of {self!r} disagree on the number of dimensions: {said}.")
        super()._check()

    def windows(self, dimensions: int, kernel: tuple[int | None, ...] | None = None) -> list[Window]:
        """The window of each dimension."""
        kernels = per_dimension(self.KernelSize, dimensions) if kernel is None else kernel
        strides = per_dimension(self.Stride, dimensions)
        dilations = per_dimension(self.__dict__.get("Dilation", 1), dimensions)
        padding = per_dimension(self.PaddingSize, dimensions)
        return [Window(*each) for each in zip(kernels, strides, dilations, padding)]

    def split(self, sizes: tuple[Size, ...]) -> tuple[Size, tuple[Size, ...]]:
        """The channel's size and the others."""
        return (sizes[-1], sizes[:-1]) if self.Interleaving else (sizes[0], sizes[1:])

    def joined(self, channels: Any, sizes: tuple[Any, ...]) -> tuple[Any, ...]:
        """The inverse of `split`."""
        return (*sizes, channels) if self.Interleaving else (channels, *sizes)

    def slid(
        self, types: Mapping[str, ArrayType], dimensions: int, windows: list[Window]
    ) -> tuple[Size, tuple[Size, ...], Size, tuple[Size, ...]]:
        """Channels and sizes of input and output, each refined by the other."""
        inputs, outputs = types["Input"].sizes, types["Output"].sizes
        for name, sizes in (("Input", inputs), ("Output", outputs)):
            if sizes is not None and len(sizes) != dimensions + 1:
                raise Contradiction(
                    f"takes an array of rank {dimensions + 1}: a channel and {dimensions} dimension"
                    f"{'s' if dimensions > 1 else ''}",
                    name,
                )
        open_ = (None,) * dimensions
        channels_in, sizes_in = (None, open_) if inputs is None else self.split(inputs)
        channels_out, sizes_out = (None, open_) if outputs is None else self.split(outputs)
        made = tuple(merge_sizes(window.output(a), b, "Output") for window, a, b in zip(windows, sizes_in, sizes_out))
        needed = tuple(a if a is not None else window.input(b) for window, a, b in zip(windows, sizes_in, made))
        return channels_in, needed, channels_out, made


class ConvolutionLayer(_Sliding):
    """Cross-correlation of an array with kernels, in 1, 2 or 3 dimensions.

    y[o, p...] = Biases[o] + Σ over c, k... of Weights[o, c, k...] · x[c, stride·p + dilation·k - padding ...]

    Ports: Input {channels, d1, …} (channels last when Interleaving); Output {OutputChannels, …}, real. Each size becomes
    floor((d + padding - dilation·(kernel - 1) - 1) / stride) + 1.

    Arrays: Weights {OutputChannels, channels / ChannelGroups, kernel…}; Biases {OutputChannels}, or None.

    Parameters: OutputChannels; KernelSize, a size or one for each dimension; Stride (default 1); PaddingSize, elements of zero
    padded on each side (default 0), pairs, or "Same" (output size = ceil(d / Stride)); Dilation (1); ChannelGroups (1);
    Dimensionality (Automatic); Interleaving (False).

    Raises ShapeError where an output size would fall below 1.

    >>> ConvolutionLayer(1, [2], Weights=[[[1, -1]]], Biases=None)([[1.0, 4.0, 9.0]]).tolist()
    [[-3.0, -5.0]]

    Differences from Wolfram: "Same" puts an odd element after [M]; varying sizes are not taken yet.
    Source: Wolfram's public reference page.
    """

    OutputChannels: Any = parameter(POSITIVE, positional=True)
    KernelSize: Any = parameter(SIZES, positional=True)
    Stride: Any = parameter(SIZES, 1)
    PaddingSize: Any = parameter(PADDING, 0)
    Dilation: Any = parameter(SIZES, 1)
    ChannelGroups: Any = parameter(POSITIVE, 1)
    Dimensionality: Any = parameter(one_of(1, 2, 3), Automatic)
    Interleaving: Any = parameter(BOOLEAN, False)
    Weights = array("...")
    Biases = array("channels", 0.0, optional=True)

    def _check(self) -> None:
        if self.OutputChannels % self.ChannelGroups:
            raise DeclarationError(
                f"ChannelGroups of ConvolutionLayer must divide the {self.OutputChannels} output channels. "
                f"Got {self.ChannelGroups}."
            )
        super()._check()

    def relate(self, types: Mapping[str, ArrayType]) -> Mapping[str, ArrayType]:
        weights = types.get("Weights", OPEN).sizes
        dimensions = self.dimensions(types["Input"].sizes, types["Output"].sizes, None if weights is None else weights[1:])
        biases = {"Biases": ArrayType((self.OutputChannels,), REAL)}
        if dimensions is None:
            return {**biases, "Output": ArrayType(None, REAL)}
        channels, inputs, made, outputs = self.slid(types, dimensions, self.windows(dimensions))
        groups = self.ChannelGroups
        if weights is not None and len(weights) == dimensions + 2 and isinstance(weights[1], int):
            channels = merge_sizes(channels, weights[1] * groups, "Input")
        if isinstance(channels, int) and channels % groups:
            raise Contradiction(
                f"has ChannelGroups {groups}, which does not divide the {channels} channels of its input", "Input"
            )
        per_group = channels // groups if isinstance(channels, int) else None
        kernel = per_dimension(self.KernelSize, dimensions)
        return {
            "Input": ArrayType(self.joined(channels, inputs)),
            "Output": ArrayType(self.joined(merge_sizes(made, self.OutputChannels, "Output"), outputs), REAL),
            "Weights": ArrayType((self.OutputChannels, per_group, *kernel), REAL),
            **biases,
        }

    def apply(self, arrays: Any, x: Any) -> Any:
        dimensions = x.ndim - 1
        sizes = x.shape[:-1] if self.Interleaving else x.shape[1:]
        windows = self.windows(dimensions)
        letters = "DHW"[-dimensions:]
        layout = (
            (f"N{letters}C", f"OI{letters}", f"N{letters}C")
            if self.Interleaving
            else (f"NC{letters}", f"OI{letters}", f"NC{letters}")
        )
        y = lax.conv_general_dilated(
            x[None].astype(arrays.Weights.dtype),
            arrays.Weights,
            [w.stride for w in windows],
            [w.pads(size) for w, size in zip(windows, sizes)],
            rhs_dilation=[w.dilation for w in windows],
            dimension_numbers=layout,
            feature_group_count=self.ChannelGroups,
        )[0]
        if arrays.Biases is None:
            return y
        return y + (arrays.Biases if self.Interleaving else arrays.Biases.reshape((-1,) + (1,) * dimensions))


class PoolingLayer(_Sliding):
    """The maximum, mean or total of a window that slides over each channel.

    y[c, p...] = f over k... of x[c, stride·p + k - padding ...]

    Ports: Input {channels, d1, …} (channels last when Interleaving), rank 2 to 4; Output {channels, …}, real. Each size becomes
    floor((d + padding - kernel) / stride) + 1.

    Parameters: KernelSize, a size or one for each dimension; Stride (default 1, as in Mathematica: not the kernel's size);
    Function, Max (default), Mean or Total; PaddingSize, Dimensionality, Interleaving as in ConvolutionLayer.

    Raises ShapeError where an output size would fall below 1.

    >>> PoolingLayer([2], [2])([[1.0, 4.0, 9.0, 3.0]]).tolist()
    [[4.0, 9.0]]

    Differences from Wolfram: Max pads with -infinity and Mean counts padded zeros, as Mathematica's back end did [M]; where several
    elements of a window are the maximum, the gradient may be shared among them. Source: Wolfram's public reference page.
    """

    KernelSize: Any = parameter(SIZES, positional=True)
    Stride: Any = parameter(SIZES, 1, positional=True)
    Function: Any = parameter(Constraint("Max, Mean or Total", lambda v: _pooling(v), ("Median", 3)), FUNCTIONS["Max"])
    PaddingSize: Any = parameter(PADDING, 0)
    Dimensionality: Any = parameter(one_of(1, 2, 3), Automatic)
    Interleaving: Any = parameter(BOOLEAN, False)

    def relate(self, types: Mapping[str, ArrayType]) -> Mapping[str, ArrayType]:
        dimensions = self.dimensions(types["Input"].sizes, types["Output"].sizes)
        if dimensions is None:
            return {"Output": ArrayType(None, REAL)}
        channels, inputs, made, outputs = self.slid(types, dimensions, self.windows(dimensions))
        channels = merge_sizes(channels, made, "Output")
        return {"Input": ArrayType(self.joined(channels, inputs)), "Output": ArrayType(self.joined(channels, outputs), REAL)}

    def apply(self, arrays: Any, x: Any) -> Any:
        x = x if jnp.issubdtype(x.dtype, jnp.floating) else x.astype(jnp.result_type(float))
        dimensions = x.ndim - 1
        sizes = x.shape[:-1] if self.Interleaving else x.shape[1:]
        windows = self.windows(dimensions)
        kernel: Any = self.joined(1, tuple(w.kernel for w in windows))
        strides: Any = self.joined(1, tuple(w.stride for w in windows))
        padding: Any = self.joined((0, 0), tuple(w.pads(size) for w, size in zip(windows, sizes)))  # type: ignore[arg-type]
        if self.Function is FUNCTIONS["Max"]:
            return lax.reduce_window(x, -jnp.inf, lax.max, kernel, strides, padding)
        total = lax.reduce_window(x, 0.0, lax.add, kernel, strides, padding)
        if self.Function is FUNCTIONS["Total"]:
            return total
        if MEAN_COUNTS_PADDING:
            count = 1
            for window in windows:
                count *= window.kernel or 1
            return total / count
        ones = jax.lax.stop_gradient(jnp.ones_like(x))
        return total / lax.reduce_window(ones, 0.0, lax.add, kernel, strides, padding)


def _pooling(value: Any) -> Any:
    if value not in (FUNCTIONS["Max"], FUNCTIONS["Mean"], FUNCTIONS["Total"]):
        raise ValueError
    return value
