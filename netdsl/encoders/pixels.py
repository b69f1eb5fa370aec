"""From anything that is a picture (a file, a PIL image, an array) to uint8 pixels of given channels and size."""

from __future__ import annotations

import os
import sys
import threading
import warnings
from typing import TYPE_CHECKING, Any

import numpy as np

from netdsl.encoders.nesting import unmasked
from netdsl.errors import EncodingError, excerpt

if TYPE_CHECKING:
    from PIL.Image import Image

__all__ = [
    "ALPHA_BACKGROUND",
    "AUTOMATIC_RESAMPLING",
    "FILTERS",
    "MAX_PIXELS",
    "PAD_MODES",
    "fit",
    "is_array",
    "is_image",
    "is_picture",
    "pixels_of",
    "to_bytes",
    "to_channels",
]

MAX_PIXELS = 2**26
"""Files that declare more pixels than this are refused before they are decoded (Pillow itself only warns from 89 million on)."""

ALPHA_BACKGROUND = 255
"""The grey level behind transparent pixels: white, as a viewer shows them [M]."""

AUTOMATIC_RESAMPLING = "Linear"
"""What Resampling=Automatic means [M]: a triangle filter, widened when shrinking so that it averages."""

FILTERS = {
    "Nearest": "NEAREST",
    "Linear": "BILINEAR",
    "Bilinear": "BILINEAR",
    "Cubic": "BICUBIC",
    "Bicubic": "BICUBIC",
    "Lanczos": "LANCZOS",
}
PAD_MODES = {"Fixed": "edge", "Reflected": "reflect", "Periodic": "wrap"}
_header_lock = threading.Lock()


def is_array(thing: Any) -> bool:
    """Whether the thing is an array of NumPy, JAX or the like (a column is none)."""
    return isinstance(getattr(thing, "ndim", None), int) and hasattr(thing, "dtype") and hasattr(thing, "__array__")


def is_image(thing: Any) -> bool:
    """Whether the thing is a PIL image, without importing PIL."""
    module = sys.modules.get("PIL.Image")
    return module is not None and isinstance(thing, module.Image)


def is_picture(thing: Any) -> bool:
    """Whether the thing is one picture: a path, a PIL image, a 2-D array, a 3-D uint8 or bool array that ends in 1, 3 or 4."""
    if isinstance(thing, (str, os.PathLike)) or is_image(thing):
        return True
    if not is_array(thing):
        return False
    of_bytes = str(thing.dtype).removeprefix("torch.") in ("uint8", "bool")
    return thing.ndim == 2 or (thing.ndim == 3 and of_bytes and thing.shape[2] in (1, 3, 4))


def pixels_of(thing: Any) -> np.ndarray:
    """The picture as uint8 pixels of shape (height, width, channels) with 1, 3 or 4 channels. Raises EncodingError."""
    if isinstance(thing, (str, os.PathLike)):
        return _read_file(thing)
    if is_image(thing):
        name = getattr(thing, "filename", "") or "the image"
        try:
            return _read_image(thing, str(name))
        except EncodingError:
            raise
        except Exception as problem:  # Pillow's decoders raise many kinds of errors for damaged data
            raise EncodingError(f"Cannot read {name}: {_reason(problem)}.") from None
    if is_array(thing) and is_picture(thing):
        array = to_bytes(unmasked(thing))
        if not array.size:
            raise EncodingError(f"A picture needs at least one pixel. Got an array of shape {list(array.shape)}.")
        return array[:, :, None] if array.ndim == 2 else array
    if is_array(thing):
        raise EncodingError(
            f"A {thing.dtype} array of shape {list(thing.shape)} is no picture. A picture is an array [height, width], or a "
            f"uint8 array [height, width, channels] with 1, 3 or 4 channels."
        )
    raise EncodingError(f"{excerpt(thing)} is no picture. A picture is a PIL image, a path or an array of pixels.")


def to_bytes(array: np.ndarray) -> np.ndarray:
    """Pixel values as uint8: floats run from 0 to 1, uint16 from 0 to 65535, other integers from 0 to 255."""
    kind = array.dtype.kind
    if array.dtype == np.uint8:
        return array
    if kind == "b":
        return array.astype(np.uint8) * np.uint8(255)
    if array.dtype == np.uint16:
        return ((array.astype(np.uint32) + 128) // 257).astype(np.uint8)
    if kind not in "iuf":
        if "float" not in str(array.dtype):
            raise EncodingError(f"Pixels are numbers. Got an array of {array.dtype}.")
        array, kind = array.astype(np.float32), "f"
    high = 1 if kind == "f" else 255
    if array.size and not (array.min() >= 0 and array.max() <= high):  # also refuses NaN
        what = "Float pixels run from 0 to 1" if kind == "f" else f"Pixels of {array.dtype} run from 0 to 255"
        raise EncodingError(f"{what}. These run from {array.min():g} to {array.max():g}; scale them, or convert them to uint8.")
    return np.rint(array * 255).astype(np.uint8) if kind == "f" else array.astype(np.uint8)


def to_channels(pixels: np.ndarray, channels: int) -> np.ndarray:
    """Pixels of shape (..., 1, 3 or 4) as (..., channels): alpha is blended, colours turn grey by ITU-R 601, grey is repeated."""
    if pixels.shape[-1] == 4:
        alpha = pixels[..., 3:].astype(np.uint32)
        blended = pixels[..., :3] * alpha + ALPHA_BACKGROUND * (255 - alpha)
        pixels = ((blended + 127) // 255).astype(np.uint8)
    if pixels.shape[-1] == channels:
        return pixels
    if channels == 1:
        weights = np.array([19595, 38470, 7471], np.uint32)
        return ((pixels @ weights + 0x8000) >> 16).astype(np.uint8)[..., None]
    return np.repeat(pixels, channels, axis=-1)


def fit(
    pixels: np.ndarray,
    size: tuple[int, int],
    method: str,
    resampling: str,
    alignment: tuple[float, float],
    padding: str | tuple[int, ...],
) -> np.ndarray:
    """The picture in exactly `size` (width, height): stretched, padded ("Fit") or cropped ("Fill").

    `alignment` is where the picture lies or is cropped, from 0 (left, top) to 1; `padding` is a colour or a key of `PAD_MODES`.
    Shrinking averages over all pixels that fall into a new one, except with "Nearest".
    """
    width, height = size
    old_height, old_width, channels = pixels.shape
    if (old_width, old_height) == (width, height):
        return pixels
    if method == "Stretch":
        return _resized(pixels, width, height, (0, 0, old_width, old_height), resampling)
    if method == "Fill":
        scale = max(width / old_width, height / old_height)
        kept_width, kept_height = min(old_width, width / scale), min(old_height, height / scale)
        left, top = (old_width - kept_width) * alignment[0], (old_height - kept_height) * alignment[1]
        right, bottom = min(old_width, left + kept_width), min(old_height, top + kept_height)
        return _resized(pixels, width, height, (left, top, right, bottom), resampling)
    scale = min(width / old_width, height / old_height)
    new_width, new_height = min(width, max(1, round(old_width * scale))), min(height, max(1, round(old_height * scale)))
    inner = _resized(pixels, new_width, new_height, (0, 0, old_width, old_height), resampling)
    left, top = int((width - new_width) * alignment[0]), int((height - new_height) * alignment[1])
    if isinstance(padding, str):
        around = ((top, height - new_height - top), (left, width - new_width - left), (0, 0))
        return np.pad(inner, around, mode=PAD_MODES[padding])  # type: ignore[call-overload]
    result = np.empty((height, width, channels), np.uint8)
    result[:] = np.array(padding, np.uint8)
    result[top : top + new_height, left : left + new_width] = inner
    return result


def _resized(pixels: np.ndarray, width: int, height: int, box: tuple[float, float, float, float], resampling: str) -> np.ndarray:
    from PIL import Image

    image = Image.fromarray(np.ascontiguousarray(pixels[:, :, 0] if pixels.shape[2] == 1 else pixels))
    if image.size == (width, height) and box == (0, 0, width, height):
        return pixels
    resized = np.asarray(image.resize((width, height), Image.Resampling[FILTERS[resampling]], box))
    return resized.reshape(height, width, pixels.shape[2])


def _read_file(path: Any) -> np.ndarray:
    from PIL import Image, UnidentifiedImageError

    name = os.fspath(path)
    name = os.fsdecode(name) if isinstance(name, bytes) else name
    try:
        found = os.path.expanduser(name)
        if not os.path.isfile(found):
            raise EncodingError(f"There is no image file {name!r}." if not os.path.exists(found) else f"{name!r} is no file.")
        with _header_lock, warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            image = Image.open(found)
        with image:
            return _read_image(image, repr(name))
    except EncodingError:
        raise
    except UnidentifiedImageError:
        raise EncodingError(f"Cannot read {name!r}: it is no image of a known format.") from None
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise EncodingError(f"Cannot read {name!r}: it declares more pixels than the {MAX_PIXELS:,} that are allowed.") from None
    except Exception as problem:  # Pillow's decoders raise many kinds of errors for damaged data
        raise EncodingError(f"Cannot read {name!r}: {_reason(problem)}.") from None


def _reason(problem: Exception) -> str:
    return (str(problem) or type(problem).__name__).rstrip(".")


def _read_image(image: Image, name: str) -> np.ndarray:
    """The first (or current) frame, turned as its EXIF orientation says."""
    if image.format is not None and image.width * image.height > MAX_PIXELS:
        raise EncodingError(f"Cannot read {name}: it declares {image.width} x {image.height} pixels; {MAX_PIXELS:,} are allowed.")
    if not image.width or not image.height:
        raise EncodingError(f"A picture needs at least one pixel; {name} is {image.width} x {image.height}.")
    image.load()
    turned = _turned(image)
    mode = turned.mode
    if mode.startswith("I;16"):
        return to_bytes(np.asarray(turned).astype(np.uint16))[:, :, None]
    if mode == "I":
        values = np.asarray(turned)
        if image.format is not None and values.min() >= 0 and values.max() <= 65535:
            values = values.astype(np.uint16)
        return to_bytes(values)[:, :, None]
    if mode == "F":
        return to_bytes(np.asarray(turned))[:, :, None]
    turned = turned.convert("LA") if mode == "La" else turned
    if turned.has_transparency_data:
        return np.asarray(turned.convert("RGBA"))
    if mode in ("1", "L"):
        return np.asarray(turned.convert("L"))[:, :, None]
    return np.asarray(turned if mode == "RGB" else turned.convert("RGB"))


def _turned(image: Image) -> Image:
    from PIL import ImageOps

    try:
        return ImageOps.exif_transpose(image)
    except Exception:  # damaged EXIF data say nothing about the pixels
        return image
