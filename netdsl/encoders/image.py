"""The encoder of images: pictures of any kind and size into arrays of one size."""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np

from netdsl.coders import FixedArray
from netdsl.constraints import BOOLEAN, Constraint, either, integer, list_of, number, one_of
from netdsl.declarations import parameter
from netdsl.encoders.encoder import Encoder, real_type
from netdsl.encoders.nesting import is_many, place, unmasked
from netdsl.encoders.pixels import (
    AUTOMATIC_RESAMPLING,
    FILTERS,
    PAD_MODES,
    fit,
    is_array,
    is_image,
    is_picture,
    pixels_of,
    to_bytes,
    to_channels,
)
from netdsl.errors import DeclarationError, EncodingError, UnsupportedError, excerpt, listing
from netdsl.shapes import ArrayType, array_of
from netdsl.symbols import Automatic, Symbol

__all__ = ["ImageEncoder"]

CHANNELS = {"RGB": 3, "Grayscale": 1}
OTHER_COLOR_SPACES = ("CMYK", "HSB", "LAB", "LCH", "LUV", "XYZ", "YCbCr", "Automatic")
HORIZONTAL, VERTICAL = {"Left": 0.0, "Center": 0.5, "Right": 1.0}, {"Top": 0.0, "Center": 0.5, "Bottom": 1.0}
READERS, TOGETHER = 8, 64
"""So many threads at most read files, each so many at a time."""
COLORS = {"Black": 0.0, "Gray": 0.5, "White": 1.0}


def _name(value: Any) -> Any:
    return value.name if isinstance(value, Symbol) else value


def _size(value: Any) -> tuple[int, int]:
    side = integer(1).keep
    if not hasattr(value, "__len__"):
        return side(value), side(value)
    width, height = value
    return side(width), side(height)


def _color_space(value: Any) -> str:
    value = _name(value)
    if value in OTHER_COLOR_SPACES:
        raise UnsupportedError(
            f'The ColorSpace {value!r} of NetEncoder("Image") does not exist in netdsl. There are "RGB" and "Grayscale".'
        )
    if value not in CHANNELS:
        raise ValueError
    return value


def _alignment(value: Any) -> str | tuple[str, str]:
    value = tuple(map(_name, value)) if isinstance(value, (list, tuple)) else _name(value)
    pair = value if isinstance(value, tuple) else ("Center", value) if value in VERTICAL else (value, "Center")
    if len(pair) != 2 or pair[0] not in HORIZONTAL or pair[1] not in VERTICAL:
        raise ValueError
    return value


def _padding(value: Any) -> Any:
    value = _name(value)
    if isinstance(value, str):
        if value not in COLORS and value not in PAD_MODES:
            raise ValueError
        return value
    level = number(0, 1).keep
    return tuple(map(level, value)) if isinstance(value, (list, tuple)) else level(value)


def _picture(value: Any) -> FixedArray:
    """A picture of means or variances: bytes are scaled to 0..1, floats are kept as they are."""
    if is_image(value):
        value = pixels_of(value)
    array = np.asarray(value)
    if array.dtype.kind not in "buif" or array.ndim not in (2, 3) or not array.size:
        raise ValueError
    array = array.astype(np.float32) if array.dtype.kind == "f" else to_bytes(array).astype(np.float32) / np.float32(255)
    if not np.isfinite(array).all():
        raise ValueError
    return FixedArray(array.shape, np.ascontiguousarray(array).tobytes())


def _fixed(value: Any) -> FixedArray:
    if not isinstance(value, FixedArray):
        raise ValueError
    return value


def _statistics(level: Constraint, what: str) -> Constraint:
    words = f"{what}, a list of them for the channels, or a picture of them"
    kept = either(level, Constraint("", _fixed), Constraint("a picture", _picture), list_of(level, "a list"))
    return Constraint(words, kept.keep, ("dark", float("nan"), ["dark"], np.zeros((2, 2, 2, 2))))


SIZE = Constraint("a positive integer or a list [width, height] of two", _size, (0, 1.5, [28], [28, 28, 1], [28, 0], "big", True))
COLOR_SPACE = Constraint("'RGB' or 'Grayscale'", _color_space, ("Rainbow", 3))
ALIGNMENT = Constraint("Center, Left, Right, Top, Bottom or a pair of them", _alignment, ("Middle", ["Top", "Left"], 3, ["Left"]))
PADDING = Constraint(
    f"a grey level from 0 to 1, a list of levels, {listing(map(repr, [*COLORS, *PAD_MODES])).replace(' and ', ' or ')}",
    _padding,
    ("Pink", 2, [2], True),
)
MEAN = _statistics(number(), "a number")
VARIANCE = _statistics(number(0, open_low=True), "a number greater than 0")


class ImageEncoder(Encoder):
    """Pictures as arrays of one size with values from 0 to 1.

    ``(pixel / 255 - mean) / sqrt(variance)`` for every pixel of the picture in the size and colour space asked for.

    Output: real [channels, height, width]; [height, width, channels] with Interleaving; height and width change places with
    DataTransposed. One picture is a PIL image, a path (a string or `File`), an array [height, width], or a uint8 or bool array
    [height, width, channels] with 1, 3 or 4 channels. Other uint8 arrays of 3 or 4 levels are many pictures. A float array of
    exactly the output's shape, or with one level more, counts as encoded.

    ImageSize
        Width and height in pixels, in this order; default [128, 128]; an integer means a square.
    ColorSpace
        "RGB" (default) or "Grayscale", which weighs red, green and blue by 0.299, 0.587 and 0.114.
    Interleaving
        True puts the channels last. Default False.
    DataTransposed
        True exchanges height and width. Default False.
    MeanImage
        What is subtracted after scaling to 0..1: None (default), a number, one for each channel, or a picture of the output size.
    VarianceImage
        What the result is divided by the square root of; the same forms, above 0.
    Method
        "Stretch" (default), "Fit" (whole picture, padded) or "Fill" (cropped).
    Resampling
        Automatic (= "Linear" [M]), "Nearest", "Linear", "Cubic" or "Lanczos". All but "Nearest" average when shrinking.
    Alignment
        Where "Fit" puts the picture and what "Fill" keeps: "Center" (default), "Left", "Right", "Top", "Bottom", or a pair.
    Padding
        What "Fit" fills up with: "Black" (default), "White", "Gray", a level from 0 to 1, a level for each channel, "Fixed"
        (the border's pixels), "Reflected" or "Periodic".

    Of 16-bit pictures the upper 8 bits count, of animations the current (of files the first) frame; EXIF rotation is applied, and
    transparent pixels are seen on white [M]. Float arrays run from 0 to 1, uint16 arrays from 0 to 65535, others from 0 to 255.
    Raises `EncodingError` that names the file or position of what cannot be read; files of more than 2^26 pixels are refused.

    Differences from Wolfram: colour spaces other than these two are refused.

    >>> from netdsl.encoders import NetEncoder
    >>> encoder = NetEncoder("Image", [2, 2], ColorSpace="Grayscale")
    >>> encoder(np.array([[0, 51], [102, 255]], np.uint8)).round(3)
    array([[[0. , 0.2],
            [0.4, 1. ]]], dtype=float32)
    """

    kind = "Image"

    ImageSize: tuple[int, int] = parameter(SIZE, (128, 128), positional=True)
    ColorSpace: str = parameter(COLOR_SPACE, "RGB")
    Interleaving: bool = parameter(BOOLEAN, False)
    DataTransposed: bool = parameter(BOOLEAN, False)
    MeanImage: Any = parameter(MEAN, None)
    VarianceImage: Any = parameter(VARIANCE, None)
    Method: str = parameter(one_of("Stretch", "Fit", "Fill"), "Stretch")
    Resampling: Any = parameter(one_of(*FILTERS), Automatic)
    Alignment: Any = parameter(ALIGNMENT, "Center")
    Padding: Any = parameter(PADDING, "Black")

    @property
    def ColorChannels(self) -> int:
        """The number of channels of the colour space."""
        return CHANNELS[self.ColorSpace]

    def _check(self) -> None:
        width, height = self.ImageSize
        channels = self.ColorChannels
        for name in ("MeanImage", "VarianceImage"):
            value = getattr(self, name)
            if isinstance(value, FixedArray):
                allowed = [(height, width, channels), (channels, height, width)] + [(height, width)] * (channels == 1)
                if value.shape not in allowed:
                    raise DeclarationError(
                        f"The {name} of {self.title()} must have the picture's own shape {list(allowed[0])} "
                        f"([height, width, channels]). Got {list(value.shape)}."
                    )
                if name == "VarianceImage" and not np.asarray(value).min() > 0:
                    raise DeclarationError(f"The VarianceImage of {self.title()} must be greater than 0 everywhere.")
            elif isinstance(value, tuple) and len(value) != channels:
                raise DeclarationError(
                    f"The {name} of {self.title()} needs {channels} numbers for {self.ColorSpace}. Got {len(value)}."
                )
        if isinstance(self.Padding, tuple) and len(self.Padding) != channels:
            raise DeclarationError(
                f"The Padding of {self.title()} needs {channels} levels for {self.ColorSpace}. Got {len(self.Padding)}."
            )

    def type(self) -> ArrayType:
        return array_of(*self._shape)

    @property
    def _shape(self) -> tuple[int, ...]:
        width, height = self.ImageSize
        plane = (width, height) if self.DataTransposed else (height, width)
        return (*plane, self.ColorChannels) if self.Interleaving else (self.ColorChannels, *plane)

    def encoded_levels(self, thing: Any) -> int | None:
        if isinstance(thing, (list, tuple)):
            if thing and all(_is_float(one) and tuple(one.shape) == self._shape for one in thing):
                return 1
            leaf = thing
            while isinstance(leaf, (list, tuple)) and leaf:
                leaf = leaf[0]
            if not isinstance(leaf, float):
                return None
            try:
                thing = np.asarray(thing, np.float32)
            except (ValueError, TypeError):
                return None
        if not _is_float(thing):
            return None
        shape = tuple(thing.shape)
        return 0 if shape == self._shape else 1 if shape[1:] == self._shape else None

    def takes(self, thing: Any) -> bool:
        return is_picture(thing)

    def encode(self, thing: Any) -> np.ndarray:
        try:
            return self._fitted(pixels_of(thing))
        except EncodingError as problem:
            raise EncodingError(f"{self.title()}: {problem}") from None

    def encode_many(self, things: Sequence[Any]) -> np.ndarray:
        width, height = self.ImageSize
        if not is_many(things):
            self.encode(things)
            raise EncodingError(f"{self.title()} takes a list of pictures here. Got {excerpt(things)}.")
        stack = self._stack(things)
        if stack is not None and stack.shape[1:3] == (height, width):
            return to_channels(stack, self.ColorChannels)
        result = np.empty((len(things), height, width, self.ColorChannels), np.uint8)
        items = list(things) if stack is None else stack

        def fill(start: int) -> None:
            for i in range(start, min(start + TOGETHER, len(items))):
                try:
                    result[i] = self._fitted(pixels_of(items[i]) if stack is None else items[i])
                except EncodingError as problem:
                    raise EncodingError(f"{self.title()}{place((i + 1,))} of {len(things)}: {problem}") from None

        starts = range(0, len(items), TOGETHER)
        if stack is None and len(starts) > 1 and all(isinstance(item, (str, os.PathLike)) for item in items):
            with ThreadPoolExecutor(min(os.cpu_count() or 1, READERS)) as threads:
                list(threads.map(fill, starts))  # in their order: the first that cannot be read is named
        else:
            list(map(fill, starts))
        return result

    def device(self, compact: Any) -> Any:
        import jax.numpy as jnp

        values = jnp.asarray(compact).astype(real_type()) * (1 / 255)
        if self.MeanImage is not None:
            values = values - self._per_pixel(self.MeanImage)
        if self.VarianceImage is not None:
            values = values / np.sqrt(self._per_pixel(self.VarianceImage), dtype=real_type())
        if self.DataTransposed:
            values = jnp.swapaxes(values, 0, 1)
        return values if self.Interleaving else jnp.moveaxis(values, 2, 0)

    def decoder_spec(self) -> tuple[Any, ...]:
        names = ("ColorSpace", "Interleaving", "DataTransposed", "MeanImage", "VarianceImage")
        return ("Image", {name: getattr(self, name) for name in names if getattr(self, name) != self.parameters[name].default})

    def _per_pixel(self, value: Any) -> np.ndarray:
        """The mean or variance as an array that broadcasts with [height, width, channels]."""
        array = np.asarray(value, np.float32)
        width, height = self.ImageSize
        if array.ndim == 3 and array.shape != (height, width, self.ColorChannels):
            return np.moveaxis(array, 0, 2)
        return array[:, :, None] if array.ndim == 2 else array

    def _stack(self, things: Any) -> np.ndarray | None:
        """The pictures as one array of pixels, when they come as one array."""
        if getattr(things, "kind", None) in ("image", "array"):
            array = np.asarray(things.data)
        elif is_array(things) and str(things.dtype) != "object":
            array = unmasked(things)
        else:
            return None
        channels_last = array.ndim == 4 and array.shape[3] in (1, 3, 4) and array.dtype.kind != "f"
        if not channels_last and (array.ndim != 3 or (array.dtype.kind == "f" and array.shape[2] in (1, 3, 4))):
            raise EncodingError(
                f"{self.title()}: the {array.dtype} array of shape {list(array.shape)} is no picture and no list of pictures. "
                f"Pictures are uint8 arrays [n, height, width] or [n, height, width, channels] with 1, 3 or 4 channels; "
                f"encoded ones are float arrays {list(self._shape)}."
            )
        if not array.size:
            raise EncodingError(f"{self.title()}: there are no pixels in an array of shape {list(array.shape)}.")
        try:
            pixels = to_bytes(array)
        except EncodingError as problem:
            raise EncodingError(f"{self.title()}: {problem}") from None
        return pixels if channels_last else pixels[..., None]

    def _fitted(self, pixels: np.ndarray) -> np.ndarray:
        pixels = to_channels(pixels, self.ColorChannels)
        resampling = AUTOMATIC_RESAMPLING if self.Resampling is Automatic else self.Resampling
        align = self.Alignment
        pair = align if isinstance(align, tuple) else ("Center", align) if align in VERTICAL else (align, "Center")
        padding = COLORS.get(self.Padding, self.Padding) if isinstance(self.Padding, str) else self.Padding
        if not isinstance(padding, str):
            padding = tuple(round(255 * level) for level in np.atleast_1d(padding).tolist())
        return fit(pixels, self.ImageSize, self.Method, resampling, (HORIZONTAL[pair[0]], VERTICAL[pair[1]]), padding)


def _is_float(thing: Any) -> bool:
    return hasattr(thing, "shape") and "float" in str(getattr(thing, "dtype", ""))
