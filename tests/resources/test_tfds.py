"""Sets prepared by TensorFlow Datasets, read without TensorFlow: small ones are written here in its format."""

from __future__ import annotations

import importlib.util
import io
import json
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from netdsl.errors import ResourceError
from netdsl.resources import ResourceData, catalogue
from netdsl.resources.acquire import arrays_of
from netdsl.resources.cache import content_sum
from netdsl.resources.tfds import TfdsCopy, shuffled_order

pytest.importorskip("tensorflow_datasets")
array_record = pytest.importorskip("array_record.python.array_record_module")


def prepare(folder, builder, splits):
    """Writes what `download_and_prepare` would: records, their counts, and the features of the builder."""
    from tensorflow_datasets.proto import tf_example_pb2 as proto

    folder.mkdir(parents=True)
    counts = []
    for split, rows in splits.items():
        writer = array_record.ArrayRecordWriter(str(folder / f"{builder}-{split}.array_record-00000-of-00001"), "group_size:1")
        size = 0
        for row in rows:
            record = proto.Example()
            for key, value in row.items():
                feature = record.features.feature[key]
                (feature.bytes_list if isinstance(value, bytes) else feature.int64_list).value.append(value)
            writer.write(record.SerializeToString())
            size += record.ByteSize()
        writer.close()
        template = "{DATASET}-{SPLIT}.{FILEFORMAT}-{SHARD_X_OF_Y}"
        counts.append({"name": split, "numBytes": str(size), "shardLengths": [str(len(rows))], "filepathTemplate": template})
    info = {"name": builder, "version": folder.name, "fileFormat": "array_record", "splits": counts}
    (folder / "dataset_info.json").write_text(json.dumps(info))


def png(pixels):
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "PNG")
    return stream.getvalue()


@pytest.fixture
def arrays():
    random = np.random.default_rng(2)
    return {
        "train_images": random.integers(0, 256, (40, 28, 28), np.uint8),
        "train_labels": np.arange(40, dtype=np.uint8) % 10,
        "test_images": random.integers(0, 256, (10, 28, 28), np.uint8),
        "test_labels": np.arange(10, dtype=np.uint8),
    }


@pytest.fixture
def prepared(arrays, tmp_path):
    """MNIST of fifty images as TFDS would prepare it: shuffled by its own sums of the keys."""
    from tensorflow_datasets.core.hashing import Hasher

    splits = {}
    for split in ("train", "test"):
        images, labels, sums = arrays[f"{split}_images"], arrays[f"{split}_labels"], Hasher(split)
        order = sorted(range(len(labels)), key=sums.hash_key)
        splits[split] = [{"image": png(images[n]), "label": int(labels[n])} for n in order]
    prepare(tmp_path / "tfds" / "mnist" / "3.0.1", "mnist", splits)


def small(arrays):
    shapes = {name: array.shape for name, array in arrays.items()}
    sums = {name: content_sum(array) for name, array in arrays.items()}
    return replace(catalogue.MNIST, name="Small", shapes=shapes, sums=sums, sources=[TfdsCopy("mnist")])


def test_a_prepared_copy_gives_the_original_order(prepared, arrays):
    found = arrays_of(small(arrays), arrays)
    assert all(np.array_equal(found[name], arrays[name]) for name in arrays)


def test_a_damaged_copy(prepared, arrays, tmp_path):
    file = next(tmp_path.rglob("mnist-train.array_record*"))
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)
    with pytest.raises(ResourceError, match=r"the prepared copy of TFDS in .*mnist: TFDS cannot read its copy: .*Corrupted"):
        arrays_of(small(arrays), arrays)


def test_no_copy_and_one_in_another_format(arrays, tmp_path):
    with pytest.raises(ResourceError, match=r"the prepared copy of TFDS in .*mnist: there is no such folder"):
        arrays_of(small(arrays), arrays)
    (tmp_path / "tfds" / "mnist" / "3.0.1").mkdir(parents=True)
    with pytest.raises(
        ResourceError, match="it is not prepared as array_record, the one format that can be read without TensorFlow"
    ):
        arrays_of(small(arrays), arrays)


def test_the_order_of_tfds():
    order = shuffled_order("train", 1000)
    assert sorted(order) == list(range(1000))
    assert not np.array_equal(order, shuffled_order("test", 1000))


def test_sets_by_name(prepared, arrays):
    data = ResourceData("TFDS:mnist", "TestData")
    assert repr(data) == "Examples(10 × image 28x28 -> class of 10)"  # noqa: RUF001
    assert sorted(data.targets.normal()) == list(range(10))
    for rule in data:
        assert np.array_equal(np.asarray(rule.key), arrays["test_images"][rule.value])
    assert len(ResourceData("TFDS:mnist")) == 40
    assert len(ResourceData("TFDS:mnist", "train[:25%]")) == 10
    assert ResourceData("TFDS:mnist", "ClassNames") == list(range(10))
    with pytest.raises(ResourceError, match=r"the set TFDS:mnist has no split 'validation'. There are 'train' and 'test'."):
        ResourceData("TFDS:mnist", "ValidationData")


def test_texts(tmp_path):
    rows = [{"text": "so 好".encode(), "label": 1}, {"text": b"bad", "label": 0}]
    prepare(tmp_path / "tfds" / "imdb_reviews" / "plain_text" / "1.0.0", "imdb_reviews", {"train": rows})
    data = ResourceData("TFDS:imdb_reviews")
    assert repr(data) == "Examples(2 × thing -> class of 2)"  # noqa: RUF001
    assert data.inputs.normal() == ["so 好", "bad"]


def test_names_that_are_unknown_or_unprepared(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ResourceError) as caught:
        ResourceData("TFDS:nosuchset")
    assert str(caught.value).startswith("TFDS gives no set named 'nosuchset': 'Dataset nosuchset not found")
    assert len(str(caught.value)) < 200
    with pytest.raises(ResourceError, match=r"TFDS:kmnist is not prepared in .* preparing needs TensorFlow. In a Python that"):
        ResourceData("TFDS:kmnist")


@pytest.mark.network
def test_the_order_of_tfds_on_the_real_labels():
    """The labels that every tutorial on TFDS's MNIST shows first."""
    labels = ResourceData("MNIST", "TestData").targets
    assert labels[shuffled_order("test", 10_000)[:10]].normal() == [2, 0, 4, 8, 7, 6, 0, 6, 3, 1]
