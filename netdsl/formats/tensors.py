"""Arrays by name in the safetensors format, checked more than its library does."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import ml_dtypes
import numpy as np
import safetensors
import safetensors.numpy

from netdsl.errors import DeclarationError, FormatError, excerpt
from netdsl.formats.strict_json import read_json

__all__ = ["bits", "from_bits", "plain_array", "read_tensors", "write_tensors"]

_SIZES = {"F64": 8, "F32": 4, "F16": 2, "I64": 8, "U64": 8, "I32": 4, "U32": 4, "I16": 2, "U16": 2, "I8": 1, "U8": 1, "BOOL": 1}

LARGEST_SIZE = 2**40
"""No level of an array is longer."""

_AS_BITS = {
    name: np.dtype(getattr(ml_dtypes, name))
    for name in ("bfloat16", "float8_e4m3fn", "float8_e5m2", "float8_e4m3b11fnuz", "float8_e4m3fnuz", "float8_e5m2fnuz")
    if hasattr(ml_dtypes, name)
}
"""Kinds of numbers that NumPy does not have: stored as their bits, under their name."""


def plain_array(value: Any) -> np.ndarray:
    """The array in row-major order and little-endian, its kind and sizes kept. Raises DeclarationError where it has none."""
    try:
        array = np.asarray(value, order="C")
    except Exception as problem:  # a tracer of JAX says so in its own way
        raise DeclarationError(f"{excerpt(value)} has no values that a file could hold: {type(problem).__name__}.") from None
    if array.dtype.name in _AS_BITS:
        return array
    if array.dtype.kind not in "biuf" or array.dtype.itemsize > 8:
        raise DeclarationError(f"An array of {array.dtype} cannot be stored; numbers of up to 64 bits can.")
    return array.astype(array.dtype.newbyteorder("<"), copy=False)


def bits(array: np.ndarray) -> tuple[np.ndarray, str | None]:
    """The array as it is stored, and the name of its kind where NumPy has none."""
    if array.dtype.name not in _AS_BITS:
        return array, None
    return array.view(f"<u{array.dtype.itemsize}"), array.dtype.name


def from_bits(array: np.ndarray, name: str) -> np.ndarray:
    """The array whose bits were stored; raises FormatError for an unknown kind."""
    kind = _AS_BITS.get(name) if isinstance(name, str) else None
    if kind is None or array.dtype.kind != "u" or array.dtype.itemsize != kind.itemsize:
        raise FormatError(f"An array of {array.dtype} cannot hold the bits of {excerpt(name)}.")
    return array.view(kind)


def write_tensors(arrays: Mapping[str, np.ndarray]) -> bytes:
    """The arrays as the bytes of a safetensors file."""
    return safetensors.numpy.save(dict(arrays))


def read_tensors(data: bytes, where: str) -> dict[str, np.ndarray]:
    """The arrays of a safetensors file, by name."""
    header = _header(data, where)
    try:
        arrays = safetensors.numpy.load(data)
    except (safetensors.SafetensorError, ValueError, KeyError, OverflowError) as problem:
        raise FormatError(f"{where} is no valid safetensors data: {problem}.") from None
    for name, entry in header.items():
        if name not in arrays or list(arrays[name].shape) != entry["shape"]:
            raise FormatError(f"{where}: the array {excerpt(name)} is not what its header says.")
    return arrays


def _header(data: bytes, where: str) -> dict[str, Any]:
    length = int.from_bytes(data[:8], "little")
    if len(data) < 8 or length > len(data) - 8:
        raise FormatError(f"{where} is cut off.")
    header = read_json(data[8 : 8 + length].rstrip(b" "), f"The header of {where}")
    if not isinstance(header, dict):
        raise FormatError(f"The header of {where} is no JSON object.")
    room = len(data) - 8 - length
    used = 0
    for name, entry in header.items():
        if not isinstance(entry, dict) or set(entry) != {"dtype", "shape", "data_offsets"}:
            raise FormatError(f"{where}: the array {excerpt(name)} is not described by dtype, shape and data_offsets.")
        kind, shape, offsets = entry["dtype"], entry["shape"], entry["data_offsets"]
        if not isinstance(kind, str) or kind not in _SIZES:
            raise FormatError(f"{where}: the array {excerpt(name)} has the unknown dtype {excerpt(kind)}.")
        if not _naturals(shape) or not _naturals(offsets) or len(offsets) != 2 or len(shape) > 32:
            raise FormatError(f"{where}: the array {excerpt(name)} has the sizes {excerpt(shape)} at {excerpt(offsets)}.")
        if math.prod(shape) * _SIZES[kind] != offsets[1] - offsets[0] or offsets[1] > room:
            raise FormatError(f"{where}: the array {excerpt(name)} of sizes {excerpt(shape)} is not in bytes {excerpt(offsets)}.")
        used += offsets[1] - offsets[0]
    if used != room:
        raise FormatError(f"{where} has {room:,} bytes of arrays, and its header describes {used:,}.")
    return header


def _naturals(value: Any) -> bool:
    return isinstance(value, list) and all(type(one) is int and 0 <= one <= LARGEST_SIZE for one in value)
