"""ConvolutionLayer and PoolingLayer, in one, two or three dimensions."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, ClassVar

import jax.numpy as jnp
from jax import lax

from netdsl.constraints import BOOLEAN, NATURAL, POSITIVE, Constraint, either, list_of, one_of
from netdsl.declarations import parameter
from netdsl.errors import DeclarationError
from netdsl.functions import FUNCTIONS
from netdsl.nets import Layer, Sequence, array
from netdsl.shapes import OPEN, REAL, ArrayType, Contradiction, Length, Size, merge_sizes
from netdsl.symbols import Automatic

__all__ = ["ConvolutionLayer", "Convolving", "PoolingLayer", "Window", "layout", "per_dimension"]

SAME_EXTRA_AFTER = True
"""Where PaddingSize="Same" puts an odd element: after (True) or before. Remembered, not documented [M]."""

MEAN_COUNTS_PADDING = True
"""Whether Mean pooling counts padded zeros as elements, as Mathematica's back end did [M]."""

SIZES = either(POSITIVE, list_of(POSITIVE, "a list of them"))
_PAIR = list_of(NATURAL, "a pair", length=2)
_MARGINS = either(NATURAL, list_of(either(NATURAL, _PAIR), "a list of numbers or pairs"))
MARGINS = Constraint("an integer of at least 0, or a list of integers or pairs", _MARGINS.keep, (-1, "Same", 1.5))
PADDING = Constraint(f'"Same", {MARGINS.words}', either(one_of("Same"), MARGINS).keep, (-1, "Different", 1.5))


def per_dimension(value: Any, dimensions: int) -> tuple[Any, ...]:
    """A setting for each dimension, from one for all or a list."""
    return value if isinstance(value, tuple) else (value,) * dimensions


class Window:
    """How a kernel slides along one dimension: its size, stride, dilation and padding."""

    __slots__ = ("dilation", "high", "kernel", "low", "same", "stride")

    def __init__(self, kernel: int, stride: int, dilation: int, padding: Any) -> None:
        self.kernel, self.stride, self.dilation = kernel, stride, dilation
        self.same = padding == "Same"
        self.low, self.high = (0, 0) if self.same else padding if isinstance(padding, tuple) else (padding, padding)

    @property
    def reach(self) -> int:
        """The elements from the first to the last that a kernel sees."""
        return self.dilation * (self.kernel - 1) + 1

    def pads(self, size: Any) -> tuple[Any, Any]:
        """The elements padded before and after `size` of them, which may be traced."""
        if not self.same:
            return self.low, self.high
        total = (self.count(size) - 1) * self.stride + self.reach - size
        total = total * (total > 0)
        return (total // 2, total - total // 2) if SAME_EXTRA_AFTER else (total - total // 2, total // 2)

    def count(self, size: Any) -> Any:
        """floor((size + padding - dilation·(kernel - 1) - 1) / stride) + 1, also where the size is traced or a `Length`."""
        add = self.stride - (1 if self.same else self.reach - self.low - self.high)
        return size.then(add, self.stride) if isinstance(size, Length) else (size + add) // self.stride

    def output(self, size: Size) -> Any:
        """The size that this one becomes, open where it is."""
        if isinstance(size, int) and not self.same and size + self.low + self.high < self.reach:
            raise Contradiction(
                f"has a kernel that reaches over {self.reach} elements "
                f"where there are {size + self.low + self.high}: the output size would be less than 1",
                "Input",
            )
        return None if size is None else self.count(size)

    def input(self, size: Size) -> Size:
        """The one input size that gives this output size, if the stride is 1, else open."""
        if size is None or self.stride != 1:
            return None
        more = 0 if self.same else self.reach - 1 - self.low - self.high
        if isinstance(size, Length):
            return size.before(more)
        if size + more < 1:
            raise Contradiction(f"would need an input of size {size + more} for an output of size {size}", "Output")
        return size + more


class Sliding(Layer):
    """What convolution, deconvolution and pooling share: the kernel's way over the levels that are not the channel."""

    signature = "... -> ..."
    window: ClassVar[type[Window]] = Window
    most_dimensions: ClassVar[int] = 3
    fill: ClassVar[float] = 0.0
    """What stands in the place of the elements beyond a sequence."""
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
        slot, found = next(
            ((slot, len(each) - 1) for slot, each in zip(("Input", "Output", "Weights"), sizes) if each is not None), ("", None)
        )
        if found is not None and not 1 <= found <= self.most_dimensions:
            raise Contradiction(
                f"takes an array of rank 2 to {self.most_dimensions + 1}: a channel and 1 to {self.most_dimensions} dimensions",
                slot,
            )
        return found

    def _check(self) -> None:
        outputs, groups = self.__dict__.get("OutputChannels", 1), self.__dict__.get("ChannelGroups", 1)
        if outputs % groups:
            raise DeclarationError(f"ChannelGroups of {self.title()} must divide the {outputs} output channels. Got {groups}.")
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
        if any(not 1 <= length <= self.most_dimensions for length in lengths.values()):
            raise DeclarationError(
                f"{self.title()} works in 1 to {self.most_dimensions} dimensions. The settings of {self!r} say "
                f"{max(lengths.values())}."
            )
        super()._check()

    def windows(self, dimensions: int) -> list[Window]:
        """The window of each dimension."""
        settings = (self.KernelSize, self.Stride, self.__dict__.get("Dilation", 1), self.PaddingSize)
        return [self.window(*each) for each in zip(*(per_dimension(setting, dimensions) for setting in settings))]

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
        for name, channels in (("Input", channels_in), ("Output", channels_out)):
            if isinstance(channels, Length):
                raise Contradiction("has channels, which cannot be of varying number; Interleaving=True puts them last", name)
        made = tuple(merge_sizes(window.output(a), b, "Output") for window, a, b in zip(windows, sizes_in, sizes_out))
        needed = tuple(a if a is not None else window.input(b) for window, a, b in zip(windows, sizes_in, made))
        return channels_in, needed, channels_out, made

    def apply(self, arrays: Any, x: Any) -> Any:
        if isinstance(x, Sequence):
            return self._over_sequence(arrays, x)
        windows = self.windows(x.ndim - 1)
        return self.slide(arrays, x, windows, [w.pads(size) for w, size in zip(windows, self.split(x.shape)[1])])

    def _over_sequence(self, arrays: Any, x: Sequence) -> Sequence:
        """The values at the real elements of a sequence: those beyond it count as padding."""
        first, *others = self.windows(x.data.ndim - 1)
        beyond = ((0, 0),) * (x.data.ndim - 1)
        mask = x.mask.reshape((-1,) + (1,) * (x.data.ndim - 1))
        count = max(first.count(len(mask)), 1)
        most = first.reach if first.same else first.low
        width = (count - 1) * first.stride + first.reach
        padding = ((most, max(width - len(mask), 0)), *beyond)

        def placed(values: Any, fill: float) -> Any:
            """The values from where the first window begins, which for "Same" depends on the length."""
            return lax.dynamic_slice_in_dim(
                jnp.pad(values, padding, constant_values=fill), most - first.pads(x.length)[0], width, 0
            )

        pads = [(0, 0), *(w.pads(size) for w, size in zip(others, x.data.shape[1:]))]
        data = placed(jnp.where(mask, x.data, self.fill), self.fill)
        real = placed(jnp.broadcast_to(mask, x.data.shape).astype(data.dtype), 0)
        y = self.slide(arrays, data, [first, *others], pads, real)
        length = jnp.maximum(first.count(x.length), 1)
        return Sequence(y[jnp.minimum(jnp.arange(count), length - 1)], length)  # padding repeats the last element

    def slide(self, arrays: Any, x: Any, windows: list[Window], pads: list[tuple[int, int]], real: Any = None) -> Any:
        """The values for these paddings; `real` is 1 at the elements that are in the input, where not all are."""
        raise NotImplementedError


class Convolving(Sliding):
    """What convolution and deconvolution share: their settings, weights and biases."""

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

    def channels_of(self, weights: tuple[Size, ...]) -> Size:
        """The channels of the input that weights of these sizes are for."""
        raise NotImplementedError

    def weights_for(self, channels: Size) -> tuple[Size, Size]:
        """The sizes of the weights above the kernel's, for so many channels of the input."""
        raise NotImplementedError

    def relate(self, types: Mapping[str, ArrayType]) -> Mapping[str, ArrayType]:
        weights = types.get("Weights", OPEN).sizes
        dimensions = self.dimensions(types["Input"].sizes, types["Output"].sizes, None if weights is None else weights[1:])
        biases = {"Biases": ArrayType((self.OutputChannels,), REAL)}
        if dimensions is None:
            return {**biases, "Output": ArrayType(None, REAL)}
        channels, inputs, made, outputs = self.slid(types, dimensions, self.windows(dimensions))
        if weights is not None and len(weights) == dimensions + 2:
            channels = merge_sizes(channels, self.channels_of(weights), "Input")
        kernel = per_dimension(self.KernelSize, dimensions)
        return {
            "Input": ArrayType(self.joined(channels, inputs)),
            "Output": ArrayType(self.joined(merge_sizes(made, self.OutputChannels, "Output"), outputs), REAL),
            "Weights": ArrayType((*self.weights_for(channels), *kernel), REAL),
            **biases,
        }

    def grouped(self, channels: Size) -> Size:
        """The channels of each group of the input's."""
        if isinstance(channels, int) and channels % self.ChannelGroups:
            raise Contradiction(
                f"has ChannelGroups {self.ChannelGroups}, which does not divide the {channels} channels of its input", "Input"
            )
        return channels // self.ChannelGroups if isinstance(channels, int) else None

    def with_biases(self, arrays: Any, y: Any) -> Any:
        """The values with a bias added to each channel."""
        if arrays.Biases is None:
            return y
        return y + (arrays.Biases if self.Interleaving else arrays.Biases.reshape((-1,) + (1,) * (y.ndim - 1)))


class ConvolutionLayer(Convolving):
    """Cross-correlation of an array with kernels, in 1, 2 or 3 dimensions.

    y[o, p...] = Biases[o] + Σ over c, k... of Weights[o, c, k...] · x[c, stride·p + dilation·k - padding ...]

    Ports: Input {channels, d1, …} (channels last when Interleaving: then level 1 may vary); Output {OutputChannels, …}, real. Each
    size becomes floor((d + padding - dilation·(kernel - 1) - 1) / stride) + 1; what is beyond a sequence is 0.

    Arrays: Weights {OutputChannels, channels / ChannelGroups, kernel…}; Biases {OutputChannels}, or None.

    Parameters: OutputChannels; KernelSize, a size or one for each dimension; Stride (default 1); PaddingSize, elements of zero
    padded on each side (default 0), pairs, or "Same" (output size = ceil(d / Stride)); Dilation (1); ChannelGroups (1);
    Dimensionality (Automatic); Interleaving (False).

    Raises ShapeError where an output size would fall below 1, EncodingError where a sequence is too short.

    >>> ConvolutionLayer(1, [2], Weights=[[[1, -1]]], Biases=None)([[1.0, 4.0, 9.0]]).tolist()
    [[-3.0, -5.0]]

    Differences from Wolfram: "Same" puts an odd element after [M]. Source: Wolfram's public reference page.
    """

    varying = "aware"

    def channels_of(self, weights: tuple[Size, ...]) -> Size:
        return weights[1] * self.ChannelGroups if isinstance(weights[1], int) else None

    def weights_for(self, channels: Size) -> tuple[Size, Size]:
        return self.OutputChannels, self.grouped(channels)

    def slide(self, arrays: Any, x: Any, windows: list[Window], pads: list[tuple[int, int]], real: Any = None) -> Any:
        y = lax.conv_general_dilated(
            x[None].astype(arrays.Weights.dtype),
            arrays.Weights,
            [w.stride for w in windows],
            pads,
            rhs_dilation=[w.dilation for w in windows],
            dimension_numbers=layout(len(windows), self.Interleaving),
            feature_group_count=self.ChannelGroups,
        )[0]
        return self.with_biases(arrays, y)


def layout(dimensions: int, interleaving: bool) -> tuple[str, str, str]:
    """How JAX calls the axes of input, weights and output."""
    letters = "DHW"[-dimensions:]
    data = f"N{letters}C" if interleaving else f"NC{letters}"
    return data, f"OI{letters}", data


class PoolingLayer(Sliding):
    """The maximum, mean or total of a window that slides over each channel.

    y[c, p...] = f over k... of x[c, stride·p + k - padding ...]

    Ports: Input {channels, d1, …} (channels last when Interleaving: then level 1 may vary), rank 2 to 4; Output {channels, …}, real.
    Each size becomes floor((d + padding - kernel) / stride) + 1; what is beyond a sequence counts as padding.

    Parameters: KernelSize, a size or one for each dimension; Stride (default 1, as in Mathematica: not the kernel's size);
    Function, Max (default), Mean or Total; PaddingSize, Dimensionality, Interleaving as in ConvolutionLayer.

    Raises ShapeError where an output size would fall below 1, EncodingError where a sequence is too short.

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

    varying = "aware"

    @property
    def fill(self) -> float:  # type: ignore[override]
        return -jnp.inf if self.Function is FUNCTIONS["Max"] else 0.0

    def relate(self, types: Mapping[str, ArrayType]) -> Mapping[str, ArrayType]:
        dimensions = self.dimensions(types["Input"].sizes, types["Output"].sizes)
        if dimensions is None:
            return {"Output": ArrayType(None, REAL)}
        channels, inputs, made, outputs = self.slid(types, dimensions, self.windows(dimensions))
        channels = merge_sizes(channels, made, "Output")
        return {"Input": ArrayType(self.joined(channels, inputs)), "Output": ArrayType(self.joined(channels, outputs), REAL)}

    def slide(self, arrays: Any, x: Any, windows: list[Window], pads: list[tuple[int, int]], real: Any = None) -> Any:
        x = x if jnp.issubdtype(x.dtype, jnp.floating) else x.astype(jnp.result_type(float))
        kernel: Any = self.joined(1, tuple(w.kernel for w in windows))
        strides: Any = self.joined(1, tuple(w.stride for w in windows))
        padding: Any = self.joined((0, 0), tuple(pads))
        if self.Function is FUNCTIONS["Max"]:
            return lax.reduce_window(x, self.fill, lax.max, kernel, strides, padding)
        total = lax.reduce_window(x, self.fill, lax.add, kernel, strides, padding)
        if self.Function is FUNCTIONS["Total"]:
            return total
        if MEAN_COUNTS_PADDING:
            return total / math.prod(kernel)
        ones = jnp.ones_like(x) if real is None else real
        return total / lax.reduce_window(ones, 0.0, lax.add, kernel, strides, padding)


def _pooling(value: Any) -> Any:
    if value not in (FUNCTIONS["Max"], FUNCTIONS["Mean"], FUNCTIONS["Total"]):
        raise ValueError
    return value
