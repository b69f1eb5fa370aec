"""The cache: whole files or none, sums, damage, locks, and processes that are killed or run side by side."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import numpy as np
import pytest

from netdsl.errors import FormatError
from netdsl.resources import cache


@pytest.fixture
def folder(data_dir):
    return data_dir / "Small"


def load(folder, arrays, sums=None):
    known = {name: cache.content_sum(array) for name, array in arrays.items()} if sums is None else sums
    return cache.load(folder, {name: array.shape for name, array in arrays.items()}, known)


def test_what_was_stored_is_loaded(folder, small_arrays):
    assert load(folder, small_arrays) is None
    cache.store(folder, small_arrays)
    for sums in (None, {}):
        loaded = load(folder, small_arrays, sums)
        assert all(np.array_equal(loaded[name], small_arrays[name]) for name in small_arrays)
    assert sorted(path.name for path in folder.iterdir()) == sorted([*(f"{name}.npy" for name in small_arrays), "sums.json"])


def test_every_damage_is_seen(folder, small_arrays):
    cache.store(folder, small_arrays)
    file = folder / "train_images.npy"
    whole = file.read_bytes()
    damaged = [whole[: len(whole) * part // 16] for part in range(16)]
    random = np.random.default_rng(5)
    for _ in range(40):
        flipped = bytearray(whole)
        flipped[random.integers(128, len(whole))] ^= 1 << int(random.integers(8))
        damaged.append(bytes(flipped))
    damaged += [whole.replace(b"'|u1'", b"'|i1'"), whole.replace(b"(30, 5, 4)", b"(30, 4, 5)")]
    damaged += [whole.replace(b"(30, 5, 4)", b"(3**999999"), whole.replace(b"'|u1'", b"'|O' ")]
    for content in damaged:
        assert content != whole
        file.write_bytes(content)
        with pytest.raises(FormatError, match="damaged"):
            load(folder, small_arrays)
    file.write_bytes(whole)
    assert load(folder, small_arrays) is not None


def test_stored_sums_that_are_damaged_or_gone(folder, small_arrays):
    cache.store(folder, small_arrays)
    (folder / "sums.json").write_text("{")
    with pytest.raises(FormatError, match=r"sums.json is damaged"):
        load(folder, small_arrays, {})
    sums = dict.fromkeys(small_arrays, "0" * 64)
    (folder / "sums.json").write_text(json.dumps(sums))
    with pytest.raises(FormatError, match="its sum is not that of train_images"):
        load(folder, small_arrays, {})
    assert load(folder, small_arrays) is not None  # known sums need none that are stored
    (folder / "sums.json").unlink()
    assert load(folder, small_arrays, {}) is None


def test_a_write_that_fails_leaves_the_old_file(folder, small_arrays, monkeypatch):
    cache.store(folder, small_arrays)

    def full(*arguments, **options):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(cache.os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        cache.store(folder, {name: array + 1 for name, array in small_arrays.items()})
    assert load(folder, small_arrays) is not None
    assert not [path for path in folder.iterdir() if path.name.startswith(".")]


def test_leftovers_go_after_a_day(folder, small_arrays):
    folder.mkdir(parents=True)
    old, young = folder / ".a.npy.1.part", folder / ".b.npy.2.part"
    for path in (old, young):
        path.write_bytes(b"")
    os.utime(old, (time.time() - 100_000,) * 2)
    cache.store(folder, small_arrays)
    assert not old.exists()
    assert young.exists()


def test_where_the_folder_is(monkeypatch, tmp_path):
    monkeypatch.setenv("NETDSL_DATA_DIR", "~/sets")
    assert cache.data_folder() == Path.home() / "sets"
    monkeypatch.delenv("NETDSL_DATA_DIR")
    monkeypatch.setattr(cache.sys, "platform", "linux")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache.data_folder() == tmp_path / "netdsl"
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert cache.data_folder() == Path.home() / ".cache" / "netdsl"
    monkeypatch.setattr(cache.sys, "platform", "darwin")
    assert cache.data_folder() == Path.home() / "Library" / "Caches" / "netdsl"


def test_scratch_where_the_folder_cannot_be(tmp_path):
    (tmp_path / "file").write_bytes(b"")
    with cache.scratch_folder(tmp_path / "file" / "below") as scratch:
        assert scratch.is_dir()
        assert tmp_path not in scratch.parents
    assert not scratch.exists()


def python(code, *arguments):
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    return subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(code), *map(str, arguments)], env=environment, stdout=subprocess.PIPE
    )


def test_killed_while_storing(folder, small_arrays):
    """Whatever the moment of the kill: what is there under a final name is whole."""
    cache.store(folder, small_arrays)
    storing = """
        import sys; from pathlib import Path; import numpy as np; from netdsl.resources import cache
        arrays = {name: np.load(Path(sys.argv[1]) / f"{name}.npy") for name in sys.argv[2:]}
        print("go", flush=True)
        while True: cache.store(Path(sys.argv[1]), arrays)
    """
    for delay in (0.0, 0.003, 0.007, 0.015, 0.03):
        process = python(storing, folder, *small_arrays)
        assert process.stdout.readline() == b"go\n"
        time.sleep(delay)
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        process.stdout.close()
        assert load(folder, small_arrays) is not None
        assert load(folder, small_arrays, {}) is not None


def test_a_lock_is_held_and_freed_by_the_end_of_its_process(tmp_path):
    holding = """
        import sys, time; from pathlib import Path; from netdsl.resources import cache
        with cache.locked(Path(sys.argv[1]), lambda: None):
            print("held", flush=True)
            time.sleep(60)
    """
    process = python(holding, tmp_path / "lock")
    assert process.stdout.readline() == b"held\n"
    told = []
    with cache.locked(tmp_path / "lock", lambda: told.append(1), patience=0.3):
        assert told == [1]

    def kill():
        told.append(2)
        os.kill(process.pid, signal.SIGKILL)

    start = time.monotonic()
    with cache.locked(tmp_path / "lock", kill, patience=60):
        assert told == [1, 2]
    assert time.monotonic() - start < 10
    process.wait()
    process.stdout.close()
