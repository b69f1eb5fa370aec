"""The decoder of images: arrays with values from 0 to 1 as PIL images."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from netdsl.coders import FixedArray
from netdsl.constraints import BOOLEAN, Constraint, either, list_of, number
from netdsl.declarations import parameter
from netdsl.decoders.decoder import Decoder, as_numbers
from netdsl.errors import DeclarationError, EncodingError, UnsupportedError
from netdsl.shapes import REAL, ArrayType
from netdsl.symbols import Symbol

if TYPE_CHECKING:
    from PIL.Image import Image

__all__ = ["ImageDecoder"]

CHANNELS = {"RGB": 3, "Grayscale": 1}
OTHER_COLOR_SPACES = ("CMYK", "HSB", "LAB", "LCH", "LUV", "XYZ", "YCbCr", "Automatic")


def _color_space(value: Any) -> str:
    value = value.name if isinstance(value, Symbol) else value
    if value in OTHER_COLOR_SPACES:
        raise UnsupportedError(
            f'The ColorSpace {value!r} of NetDecoder("Image") does not exist in netdsl. There are "RGB" and "Grayscale".'
        )
    if value not in CHANNELS:
        raise ValueError
    return value


def _picture(value: Any) -> FixedArray:
    """A picture of means or variances: bytes are scaled to 0..1, floats are kept as they are."""
    array = np.asarray(value)
    if not (array.dtype == np.uint8 or array.dtype.kind == "f") or array.ndim not in (2, 3) or not array.size:
        raise ValueError
    array = array.astype(np.float32) if array.dtype.kind == "f" else array.astype(np.float32) / np.float32(255)
    if not np.isfinite(array).all():
        raise ValueError
    return FixedArray(array.shape, np.ascontiguousarray(array).tobytes())


def _statistics(level: Constraint, what: str) -> Constraint:
    kept = either(level, Constraint("a picture", _picture), list_of(level, "a list"))
    words = f"{what}, a list of them for the channels, or a picture of them"
    return Constraint(words, kept.keep, ("dark", float("nan"), ["dark"], np.zeros((2, 2, 2, 2))))


COLOR_SPACE = Constraint("'RGB' or 'Grayscale'", _color_space, ("Rainbow", 3))
MEAN = _statistics(number(), "a number")
VARIANCE = _statistics(number(0, open_low=True), "a number greater than 0")


class ImageDecoder(Decoder):
    """Arrays as pictures.

    ``255 * (value * sqrt(variance) + mean)``, cut to 0..255 and rounded, for every pixel.

    Input: real [channels, height, width]; [height, width, channels] with Interleaving; height and width change places with
    DataTransposed. The result is a PIL image, of mode "L" or "RGB". There are no properties but None, which gives the array.

    ColorSpace
        "RGB" (default) or "Grayscale".
    Interleaving
        True: the channels are last. Default False.
    DataTransposed
        True: height and width are exchanged. Default False.
    MeanImage
        What was subtracted by the encoder and is added back: None (default), a number, one for each channel, or a picture.
    VarianceImage
        What the encoder divided by the square root of; the same forms, above 0.

    Raises `EncodingError` for NaN and for arrays of another rank or number of channels.

    Differences from Wolfram: colour spaces other than these two are refused.

    >>> from netdsl.decoders import NetDecoder
    >>> image = NetDecoder("Image", ColorSpace="Grayscale")([[[0, 0.2], [0.4, 1]]])
    >>> np.asarray(image)
    array([[  0,  51],
           [102, 255]], dtype=uint8)
    """

    kind = "Image"

    ColorSpace: str = parameter(COLOR_SPACE, "RGB", positional=True)
    Interleaving: bool = parameter(BOOLEAN, False)
    DataTransposed: bool = parameter(BOOLEAN, False)
    MeanImage: Any = parameter(MEAN, None)
    VarianceImage: Any = parameter(VARIANCE, None)

    @property
    def ColorChannels(self) -> int:
        """The number of channels of the colour space."""
        return CHANNELS[self.ColorSpace]

    def _check(self) -> None:
        for name in ("MeanImage", "VarianceImage"):
            value = getattr(self, name)
            if isinstance(value, tuple) and not isinstance(value, FixedArray) and len(value) != self.ColorChannels:
                raise DeclarationError(
                    f"The {name} of {self.title()} needs {self.ColorChannels} numbers for {self.ColorSpace}. Got {len(value)}."
                )

    def type(self) -> ArrayType:
        channels = self.ColorChannels
        return ArrayType((None, None, channels) if self.Interleaving else (channels, None, None), REAL)

    def encoder_spec(self, type: ArrayType | None = None) -> tuple[Any, ...] | None:
        if type is None or type.sizes is None or len(type.sizes) != 3:
            return None
        plane = type.sizes[:2] if self.Interleaving else type.sizes[1:]
        width, height = plane if self.DataTransposed else plane[::-1]
        if not isinstance(width, int) or not isinstance(height, int):
            return None
        options = {name: value for name, value in self.values_of_parameters().items() if value != self.parameters[name].default}
        options |= {name: np.asarray(value) for name, value in options.items() if isinstance(value, FixedArray)}
        return ("Image", [width, height], options)

    def decode(self, array: np.ndarray, property: Any = None, *, RandomSeeding: Any = 1234) -> Image:
        from PIL import Image

        if property is not None:
            self.split_property(property)
        pixels = as_numbers(array, self.title()).astype(np.float32)
        channels = self.ColorChannels
        if pixels.ndim != 3 or pixels.shape[2 if self.Interleaving else 0] != channels:
            form = f"[height, width, {channels}]" if self.Interleaving else f"[{channels}, height, width]"
            raise EncodingError(f"{self.title()} takes arrays {form}. Got an array of sizes {list(pixels.shape)}.")
        if not np.isfinite(pixels).all():
            raise EncodingError(f"{self.title()} got numbers that are not finite. The property None gives the raw array.")
        pixels = pixels if self.Interleaving else np.moveaxis(pixels, 0, 2)
        pixels = np.swapaxes(pixels, 0, 1) if self.DataTransposed else pixels
        if self.VarianceImage is not None:
            pixels = pixels * np.sqrt(self._per_pixel(self.VarianceImage, pixels.shape))
        if self.MeanImage is not None:
            pixels = pixels + self._per_pixel(self.MeanImage, pixels.shape)
        pixels = np.rint(np.clip(pixels, 0, 1) * 255).astype(np.uint8)
        return Image.fromarray(np.ascontiguousarray(pixels[:, :, 0] if channels == 1 else pixels))

    def _per_pixel(self, value: Any, shape: tuple[int, ...]) -> np.ndarray:
        """The mean or variance as an array that broadcasts with [height, width, channels]."""
        array = np.asarray(value, np.float32)
        if array.ndim < 2 or array.shape == shape:
            return array
        array = array[:, :, None] if array.ndim == 2 else np.moveaxis(array, 0, 2)
        if array.shape != shape and array.shape != (*shape[:2], 1):
            raise EncodingError(f"{self.title()} has a mean or variance picture of another size than the picture {list(shape)}.")
        return array
