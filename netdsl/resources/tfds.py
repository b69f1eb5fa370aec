"""TensorFlow Datasets: copies that are prepared as array_record files are read, without TensorFlow."""

from __future__ import annotations

import hashlib
import importlib.util
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from netdsl.columns import Column, Examples
from netdsl.errors import ResourceError, excerpt, nearest
from netdsl.resources.sources import Attempt

__all__ = ["TfdsCopy", "tfds_builder", "tfds_element", "tfds_folder"]

SPLITS = {"TrainingData": "train", "TestData": "test", "ValidationData": "validation"}
AT_ONCE = 500


def tfds_folder() -> Path:
    """The folder of prepared sets: ``TFDS_DATA_DIR``, by default ``~/tensorflow_datasets``."""
    return Path(os.environ.get("TFDS_DATA_DIR") or "~/tensorflow_datasets").expanduser()


@dataclass(frozen=True)
class TfdsCopy:
    """A prepared copy of a set whose examples TFDS keyed by their number and then shuffled by the sums of the keys.

    name
        The name of the set in TFDS.
    features
        The array of ours that each feature holds, without the split: ``{"image": "images", "label": "labels"}``.
    """

    name: str
    features: tuple[tuple[str, str], ...] = (("image", "images"), ("label", "labels"))

    @property
    def title(self) -> str:
        """The folder of the copy."""
        return f"the prepared copy of TFDS in {tfds_folder() / self.name}"

    def arrays(self, attempt: Attempt) -> dict[str, np.ndarray]:
        """The arrays of the set by name, in the original order."""
        if not (tfds_folder() / self.name).is_dir():
            raise ResourceError("there is no such folder")
        if not any((tfds_folder() / self.name).rglob("*.array_record*")):
            raise ResourceError("it is not prepared as array_record, the one format that can be read without TensorFlow")
        builder = tfds_builder(self.name)
        result = {}
        for split in ("train", "test"):
            examples = list(_examples(builder, split, attempt))
            order = shuffled_order(split, len(examples))
            for feature, name in self.features:
                shuffled = np.array([example[feature] for example in examples]).astype(np.uint8)
                array = np.empty_like(shuffled)
                array[order] = shuffled
                result[f"{split}_{name}"] = array[..., 0] if array.ndim == 4 and array.shape[3] == 1 else array
        return result


def shuffled_order(split: str, count: int) -> np.ndarray:
    """The number of each of `count` examples in the order in which TFDS writes them: by the md5 of the split and the number."""
    salted = hashlib.md5(split.encode(), usedforsecurity=False)
    sums = []
    for number in range(count):
        keyed = salted.copy()
        keyed.update(str(number).encode())
        sums.append(keyed.digest())
    return np.array(sorted(range(count), key=sums.__getitem__), np.int64)


def _examples(builder: Any, split: str, attempt: Attempt | None = None) -> Iterator[Any]:
    try:
        source = builder.as_data_source(split=split)
        size = builder.info.dataset_size
        for start in range(0, len(source), AT_ONCE):
            indices = range(start, min(start + AT_ONCE, len(source)))
            yield from source.__getitems__(indices)
            if attempt is not None:
                attempt.progress(size * indices.stop // len(source), size)
    except (RuntimeError, NotImplementedError, ImportError, ValueError) as problem:
        raise ResourceError(f"TFDS cannot read its copy: {excerpt(str(problem), 200)}") from None


def tfds_builder(name: str) -> Any:
    """The builder of a set of TFDS; raises `ResourceError` when there is none of this name or no prepared copy."""
    try:
        import tensorflow_datasets as tfds
    except ImportError as problem:
        raise ResourceError(f"TensorFlow Datasets cannot be imported: {problem}.") from None
    folder = tfds_folder()
    try:
        return tfds.builder(name, data_dir=folder, file_format="array_record")
    except Exception as problem:  # TFDS lets out whatever its many builders raise
        reason = str(problem).split("Available datasets")[0].strip(" .") or type(problem).__name__
        raise ResourceError(f"TFDS gives no set named {name!r}: {excerpt(reason, 300)}") from None


def tfds_element(name: str, element: str) -> Any:
    """An element of a prepared set: ``"ClassNames"``, or a split as `Examples`, as columns by feature where it is unlabelled."""
    builder = tfds_builder(name)
    features, supervised = builder.info.features, builder.info.supervised_keys
    labelled = isinstance(supervised, tuple) and len(supervised) == 2
    if element == "ClassNames":
        target = features[supervised[1]] if labelled else None
        if not hasattr(target, "names"):
            raise ResourceError(f"ResourceData: the set TFDS:{name} has no classes.")
        return _class_labels(target)
    split = SPLITS.get(element, element)
    if not list(builder.info.splits) and importlib.util.find_spec("tensorflow") is not None:
        try:
            builder.download_and_prepare()
        except Exception as problem:  # TFDS lets out whatever its many builders raise
            raise ResourceError(f"ResourceData: TFDS cannot prepare {name}: {excerpt(str(problem), 300)}") from None
    splits = list(builder.info.splits)
    if not splits:
        raise ResourceError(
            f"ResourceData: the set TFDS:{name} is not prepared in {tfds_folder()}, and preparing needs TensorFlow. In a Python "
            f"that has it run tfds.builder({name!r}, file_format='array_record').download_and_prepare(), then try again."
        )
    if split.split("[")[0] not in splits:
        raise ResourceError(f"ResourceData: the set TFDS:{name} has no split {split!r}. {nearest(split, splits)}")
    rows = list(_examples(builder, split))
    chosen = supervised if labelled else tuple(features)
    columns = {key: _column([row[key] for row in rows], features[key], key) for key in chosen}
    return Examples(columns[supervised[0]], columns[supervised[1]]) if labelled else columns


def _class_labels(feature: Any) -> list[Any]:
    """The class names, as integers where they are nothing but the numerals from 0."""
    names = list(feature.names)
    return list(range(len(names))) if names == [str(number) for number in range(len(names))] else names


def _column(values: list[Any], feature: Any, key: str) -> Column:
    if hasattr(feature, "names") and hasattr(feature, "num_classes"):
        return Column(np.array(values, np.int64), "class", tuple(_class_labels(feature)))
    if values and isinstance(values[0], bytes):
        values = [value.decode("utf-8", "replace") for value in values]
    arrays = [isinstance(value, np.ndarray) for value in values]
    if all(arrays) and len({value.shape for value in values}) == 1 and values:
        array = np.stack(values)
        if array.dtype == np.uint8 and type(feature).__name__ == "Image":
            return Column(array[..., 0] if array.shape[-1] == 1 else array, "image")
        return Column(array)
    if values and all(isinstance(value, (int, float, bool, np.number, np.bool_)) for value in values):
        return Column(np.array(values))
    things = np.empty(len(values), object)
    things[:] = values
    return Column(things, "object")
