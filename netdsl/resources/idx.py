"""The IDX format of MNIST and its kin: a big-endian header and bytes, plain or compressed with gzip."""

from __future__ import annotations

from math import prod
from pathlib import Path

import numpy as np

from netdsl.errors import FormatError
from netdsl.resources.archives import gunzip

__all__ = ["FILES", "read_folder", "read_idx"]

FILES = {
    "train_images": "train-images-idx3-ubyte",
    "train_labels": "train-labels-idx1-ubyte",
    "test_images": "t10k-images-idx3-ubyte",
    "test_labels": "t10k-labels-idx1-ubyte",
}
LARGEST = 100_000_000


def read_folder(folder: Path) -> dict[str, np.ndarray]:
    """The four arrays of a set like MNIST from the folder of its four files, each plain or with ``.gz``."""
    return {name: read_idx(folder / file) for name, file in FILES.items()}


def read_idx(path: Path) -> np.ndarray:
    """The bytes of one IDX file as an array; where it is missing, the same name with ``.gz`` is read."""
    if not path.exists():
        path = path.with_name(path.name + ".gz")
    content = gunzip(path, LARGEST) if path.suffix == ".gz" else path.read_bytes()
    if len(content) < 4 or content[:3] != b"\x00\x00\x08" or content[3] > 4:
        raise FormatError(f"{path.name} is not an IDX file of bytes: it starts with {content[:16]!r}.")
    header = 4 + 4 * content[3]
    shape = tuple(int.from_bytes(content[at : at + 4], "big") for at in range(4, header, 4))
    if len(content) != header + prod(shape):
        raise FormatError(
            f"{path.name} declares {prod(shape)} bytes of shape {list(shape)} and holds {max(0, len(content) - header)}."
        )
    return np.frombuffer(content, np.uint8, offset=header).reshape(shape)
