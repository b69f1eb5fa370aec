"""The readers of the original formats on small files, and archives that mean harm."""

from __future__ import annotations

import gzip
import io
import json
import tarfile
import zipfile

import numpy as np
import pytest
from PIL import Image

from netdsl.errors import FormatError
from netdsl.resources import archives, cifar, idx


def test_idx_plain_and_compressed(tmp_path, small_files, small_arrays):
    for number, (name, content) in enumerate(small_files.items()):
        if number % 2:
            (tmp_path / name).write_bytes(content)
        else:
            (tmp_path / name.removesuffix(".gz")).write_bytes(gzip.decompress(content))
    arrays = idx.read_folder(tmp_path)
    assert arrays.keys() == small_arrays.keys()
    assert all(np.array_equal(arrays[name], small_arrays[name]) for name in arrays)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is not an IDX file"),
        (b"<html></html>", "is not an IDX file of bytes: it starts with b'<html></html>'"),
        (b"\x00\x00\x0d\x01\x00\x00\x00\x01\x00\x00\x00\x00", "is not an IDX file of bytes"),
        (b"\x00\x00\x08\x01\x00\x00\x00\x05abc", r"declares 5 bytes of shape \[5\] and holds 3"),
        (b"\x00\x00\x08\x01\x00\x00\x00\x02abc", "declares 2 bytes"),
        (b"\x00\x00\x08\x03\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xffabc", "and holds 3"),
        (b"\x00\x00\x08\x03\x00\x00", "declares"),
    ],
)
def test_idx_damaged(tmp_path, content, message):
    (tmp_path / "file").write_bytes(content)
    with pytest.raises(FormatError, match=message):
        idx.read_idx(tmp_path / "file")


def test_gzip_damaged_or_endless(tmp_path):
    whole = gzip.compress(bytes(10_000))
    for name, content in {"cut": whole[:-9], "text": b"hello", "flipped": whole[:-6] + b"\xff" + whole[-5:]}.items():
        (tmp_path / name).write_bytes(content)
        with pytest.raises(FormatError, match=f"{name} is not a whole gzip file"):
            archives.gunzip(tmp_path / name, 100_000)
    (tmp_path / "bomb").write_bytes(whole)
    with pytest.raises(FormatError, match="unpacks to more than the 9,999 bytes"):
        archives.gunzip(tmp_path / "bomb", 9_999)


def cifar_archive(path, folder, files):
    """A gzipped tar in the layout of the authors', with their text files beside the data."""
    with tarfile.open(path, "w:gz") as archive:
        for name, content in {"readme.html": b"<html>", **files}.items():
            member = tarfile.TarInfo(f"{folder}/{name}")
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))


@pytest.fixture
def images():
    return np.random.default_rng(3).integers(0, 256, (12, 32, 32, 3), np.uint8)


def records(images, *labels):
    """Records as the authors describe them: the labels, then 1024 red, 1024 green and 1024 blue bytes, each row by row."""
    return b"".join(
        bytes(codes) + image[:, :, 0].tobytes() + image[:, :, 1].tobytes() + image[:, :, 2].tobytes()
        for image, *codes in zip(images, *labels)
    )


def test_cifar10_archive(tmp_path, images):
    labels = np.arange(12) % 10
    files = {f"data_batch_{n}.bin": records(images[2 * n - 2 : 2 * n], labels[2 * n - 2 : 2 * n]) for n in range(1, 6)}
    files["test_batch.bin"] = records(images[10:], labels[10:])
    cifar_archive(tmp_path / "cifar-10-binary.tar.gz", "cifar-10-batches-bin", files)
    arrays = cifar.read_cifar10(tmp_path)
    assert np.array_equal(arrays["train_images"], images[:10])
    assert np.array_equal(arrays["test_images"], images[10:])
    assert arrays["train_labels"].tolist() == labels[:10].tolist()
    assert arrays["test_labels"].tolist() == [0, 1]
    assert arrays["train_images"].flags.c_contiguous


def test_cifar100_archive_has_coarse_labels_first(tmp_path, images):
    coarse, fine = np.arange(12) % 20, 99 - np.arange(12)
    files = {"train.bin": records(images[:8], coarse[:8], fine[:8]), "test.bin": records(images[8:], coarse[8:], fine[8:])}
    cifar_archive(tmp_path / "cifar-100-binary.tar.gz", "cifar-100-binary", files)
    arrays = cifar.read_cifar100(tmp_path)
    assert arrays["train_labels"].tolist() == fine[:8].tolist()
    assert arrays["train_coarse"].tolist() == coarse[:8].tolist()
    assert arrays["test_labels"].tolist() == fine[8:].tolist()
    assert arrays["test_coarse"].tolist() == coarse[8:].tolist()
    assert np.array_equal(np.concatenate([arrays["train_images"], arrays["test_images"]]), images)


def test_cifar_damaged(tmp_path, images):
    path = tmp_path / "cifar-100-binary.tar.gz"
    cifar_archive(path, "cifar-100-binary", {"train.bin": bytes(3074), "test.bin": bytes(3073)})
    with pytest.raises(FormatError, match=r"test.bin in cifar-100-binary.tar.gz has 3,073 bytes, .* whole number of 3074"):
        cifar.read_cifar100(tmp_path)
    cifar_archive(path, "cifar-100-binary", {"train.bin": bytes(3074)})
    with pytest.raises(FormatError, match=r"lacks cifar-100-binary/test.bin"):
        cifar.read_cifar100(tmp_path)
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(FormatError, match="is not a whole tar archive"):
        cifar.read_cifar100(tmp_path)
    path.write_bytes(b"<html>")
    with pytest.raises(FormatError, match="is not a whole tar archive"):
        cifar.read_cifar100(tmp_path)


def test_cifar10_pictures(tmp_path, monkeypatch):
    monkeypatch.setattr(cifar, "ROWS", 100)
    batch = np.random.default_rng(1).integers(0, 256, (100, 32, 32, 3), np.uint8)
    rows = batch.reshape(100, 1024, 3)
    stream = io.BytesIO()
    Image.fromarray(rows).save(stream, "PNG", compress_level=0)
    for name in [*cifar.BATCHES, "test_batch"]:
        (tmp_path / f"{name}.png").write_bytes(stream.getvalue())
    for split, count in {"train": 500, "test": 100}.items():
        (tmp_path / f"{split}_labels.json").write_text(json.dumps([n % 10 for n in range(count)]))
    arrays = cifar.read_pictures(tmp_path)
    assert arrays["train_images"].shape == (500, 32, 32, 3)
    assert np.array_equal(arrays["test_images"], batch)
    assert np.array_equal(arrays["train_images"][400:], batch)
    assert arrays["train_labels"][:12].tolist() == [*range(10), 0, 1]
    (tmp_path / "test_labels.json").write_text("[1, 2, 10]")
    with pytest.raises(FormatError, match="not integers from 0 to 9"):
        cifar.read_pictures(tmp_path)
    Image.fromarray(rows[:, :1000]).save(tmp_path / "data_batch_3.png", compress_level=0)
    with pytest.raises(FormatError, match=r"data_batch_3.png is 1000x100 RGB, not 1024x100 RGB"):
        cifar.read_pictures(tmp_path)
    (tmp_path / "data_batch_1.png").write_bytes((tmp_path / "data_batch_2.png").read_bytes()[:5000])
    with pytest.raises(FormatError, match=r"data_batch_1.png is not a whole PNG picture"):
        cifar.read_pictures(tmp_path)


def tar_with(path, *members):
    with tarfile.open(path, "w") as archive:
        for name, kind, link, size in members:
            member = tarfile.TarInfo(name)
            member.type, member.linkname, member.size = kind, link, size
            archive.addfile(member, io.BytesIO(bytes(size)))


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.DIRTYPE, tarfile.FIFOTYPE])
def test_links_are_not_followed(tmp_path, kind):
    tar_with(tmp_path / "a.tar", ("data", kind, "/etc/passwd", 0))
    with pytest.raises(FormatError, match=r"data in a.tar is a link or a special file"):
        archives.members_of_tar(tmp_path / "a.tar", {"data": "data"}, tmp_path, 1000)
    assert not (tmp_path / "data").exists()


def test_names_in_archives_choose_no_paths(tmp_path):
    inside = tmp_path / "inside"
    inside.mkdir()
    names = ["../escaped", str(tmp_path / "absolute"), "./wanted", "other"]
    tar_with(tmp_path / "a.tar", *((name, tarfile.REGTYPE, "", 3) for name in names))
    archives.members_of_tar(tmp_path / "a.tar", {"wanted": "kept"}, inside, 1000)
    assert [path.name for path in inside.iterdir()] == ["kept"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.tar", "inside"]


def test_members_that_nobody_wants_count(tmp_path, monkeypatch):
    tar_with(tmp_path / "a.tar", ("zeros", tarfile.REGTYPE, "", 5000), ("data", tarfile.REGTYPE, "", 10))
    with pytest.raises(FormatError, match="more than the 4,000 bytes"):
        archives.members_of_tar(tmp_path / "a.tar", {"data": "data"}, tmp_path, 4000)
    monkeypatch.setattr(archives, "MOST_MEMBERS", 50)
    tar_with(tmp_path / "b.tar", *((str(n), tarfile.REGTYPE, "", 0) for n in range(60)))
    with pytest.raises(FormatError, match="or 50 members"):
        archives.members_of_tar(tmp_path / "b.tar", {"data": "data"}, tmp_path, 4000)


def test_zip_members(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("data", bytes(5000))
        archive.writestr("../escaped", b"x")
    archives.members_of_zip(tmp_path / "a.zip", {"data": "below/data"}, tmp_path / "inside", 5000)
    assert (tmp_path / "inside" / "below" / "data").read_bytes() == bytes(5000)
    assert not (tmp_path / "escaped").exists()
    with pytest.raises(FormatError, match="unpacks to more than the 4,999 bytes"):
        archives.members_of_zip(tmp_path / "a.zip", {"data": "data"}, tmp_path, 4999)
    with pytest.raises(FormatError, match="is not the zip file it should be"):
        archives.members_of_zip(tmp_path / "a.zip", {"missing": "data"}, tmp_path, 5000)
    (tmp_path / "a.zip").write_bytes(b"PK junk")
    with pytest.raises(FormatError, match="is not the zip file it should be"):
        archives.members_of_zip(tmp_path / "a.zip", {"data": "data"}, tmp_path, 5000)
