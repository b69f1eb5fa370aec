"""Writing: the file's name always stands for something complete; reading opens nothing else and imports nothing."""

from __future__ import annotations

import errno
import os
import random
import signal
import stat
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from netdsl import File, LinearLayer, NetChain
from netdsl.formats import Export, Import

OLD = LinearLayer(2, Input=3)
NEW = NetChain([LinearLayer(5, Input=4), LinearLayer(6)])


def leftovers(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir() if path.name.endswith(".tmp")]


class TestNames:
    @pytest.mark.parametrize(
        "name",
        [
            "a b.netdsl",
            "é π 名.netdsl",
            "x" * 193 + ".netdsl",
            "NET.NETDSL",
            ".netdsl.netdsl",
            "-rf.netdsl",
            "con.netdsl",
            "a\nb.netdsl",
            "%s{}.netdsl",
        ],
    )
    def test_names(self, name: str, tmp_path: Path) -> None:
        assert Export(tmp_path / name, OLD) == str(tmp_path / name)
        assert Import(File(str(tmp_path / name))) == OLD
        assert [path.name for path in tmp_path.iterdir()] == [name]

    def test_home_and_relative_names(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("HOME", str(tmp_path))
        monkeypatch.chdir(tmp_path)
        Export("~/one.netdsl", OLD)
        Export("two.netdsl", OLD)
        assert (tmp_path / "one.netdsl").read_bytes() == (tmp_path / "two.netdsl").read_bytes()

    def test_a_link_is_followed(self, tmp_path: Path) -> None:
        (tmp_path / "real").mkdir()
        link = tmp_path / "link.netdsl"
        link.symlink_to(tmp_path / "real" / "net.netdsl")
        Export(link, OLD)
        Export(link, NEW)
        assert link.is_symlink()
        assert Import(tmp_path / "real" / "net.netdsl") == NEW

    def test_permissions_stay(self, tmp_path: Path) -> None:
        path = tmp_path / "net.netdsl"
        Export(path, OLD)
        path.chmod(0o640)
        Export(path, NEW)
        assert stat.S_IMODE(path.stat().st_mode) == 0o640


class TestFailures:
    def failing(self, tmp_path: Path, match: str) -> None:
        path = tmp_path / "net.netdsl"
        with pytest.raises(OSError, match=match) as caught:
            Export(path, NEW)
        assert "net.netdsl" in str(caught.value)
        assert "bytes are needed" in str(caught.value)
        assert Import(path) == OLD
        assert leftovers(tmp_path) == []

    @pytest.mark.parametrize("step", ["fsync", "replace", "open"])
    def test_disk_full(self, step: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        Export(tmp_path / "net.netdsl", OLD)

        def full(*_: Any) -> Any:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

        monkeypatch.setattr(f"netdsl.formats.writing.os.{step}", full)
        with monkeypatch.context():
            path = tmp_path / "net.netdsl"
            with pytest.raises(OSError, match="No space left") as caught:
                Export(path, NEW)
            assert caught.value.errno == errno.ENOSPC
            assert "bytes are needed" in str(caught.value)
        monkeypatch.undo()
        assert Import(tmp_path / "net.netdsl") == OLD
        assert leftovers(tmp_path) == []

    def test_disk_full_while_writing(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        Export(tmp_path / "net.netdsl", OLD)
        resource = pytest.importorskip("resource")
        before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        limits = resource.getrlimit(resource.RLIMIT_FSIZE)
        try:
            resource.setrlimit(resource.RLIMIT_FSIZE, (600, limits[1]))
            self.failing(tmp_path, "too large|No space")
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, limits)
            signal.signal(signal.SIGXFSZ, before)

    def test_folders(self, tmp_path: Path) -> None:
        with pytest.raises(FileNotFoundError, match="none"):
            Export(tmp_path / "none" / "net.netdsl", OLD)
        (tmp_path / "folder.netdsl").mkdir()
        with pytest.raises(IsADirectoryError, match="folder"):
            Export(tmp_path / "folder.netdsl", OLD)
        assert leftovers(tmp_path) == []

    @pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="root may write everywhere")
    def test_read_only_folder(self, tmp_path: Path) -> None:
        Export(tmp_path / "net.netdsl", OLD)
        tmp_path.chmod(0o500)
        try:
            with pytest.raises(PermissionError, match=r"net\.netdsl"):
                Export(tmp_path / "net.netdsl", NEW)
        finally:
            tmp_path.chmod(0o700)
        assert Import(tmp_path / "net.netdsl") == OLD

    def test_read_only_by_name(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        Export(tmp_path / "net.netdsl", OLD)

        def refuse(*_: Any) -> Any:
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

        with monkeypatch.context() as patch:
            patch.setattr("netdsl.formats.writing.os.open", refuse)
            with pytest.raises(PermissionError, match=r"net\.netdsl"):
                Export(tmp_path / "net.netdsl", NEW)
        assert Import(tmp_path / "net.netdsl") == OLD

    def test_stale_files_of_killed_writers_go(self, tmp_path: Path) -> None:
        old, new, other = (tmp_path / f".netdsl-{16 * c}.tmp" for c in "abg")
        for path in (old, new, other):
            path.write_bytes(b"half")
            os.utime(path, (time.time() - 10, time.time() - 10))
        for path in (old, other):
            os.utime(path, (time.time() - 90_000, time.time() - 90_000))
        Export(tmp_path / "net.netdsl", OLD)
        assert not old.exists()
        assert new.exists()
        assert other.exists()


def run(code: str, *args: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", code, *args],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )


KILLED = """
import sys, numpy as np
from netdsl import LinearLayer
from netdsl.formats import Export
nets = [LinearLayer(1500, Weights=np.full((1500, 1500), k, np.float32), Biases=None) for k in (1, 2)]
Export(sys.argv[1], nets[0])
print("ready", flush=True)
while True:
    for net in nets:
        Export(sys.argv[1], net)
"""


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="needs signals")
def test_killed_while_writing(tmp_path: Path) -> None:
    path = tmp_path / "net.netdsl"
    rng = random.Random(1)
    kept = set()
    for _ in range(5):
        process = run(KILLED, str(path))
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n", process.communicate()[1]
        time.sleep(rng.uniform(0, 0.3))
        process.kill()
        process.communicate()
        kept.add(float(Import(path).arrays["Weights",][0, 0]))
    assert kept <= {1.0, 2.0}
    assert {path.name for path in tmp_path.iterdir()} - {"net.netdsl"} == set(leftovers(tmp_path))


READ = """
import sys
from netdsl import LinearLayer, NetInitialize
from netdsl.formats import Import
NetInitialize(LinearLayer(2, Input=2))([1.0, 2.0])
seen = []
modules = set(sys.modules)
watching = True
def hook(event, args):
    kinds = ("open", "socket", "subprocess", "os", "import", "exec", "compile", "marshal", "pickle", "ctypes")
    if watching and event.split(".")[0] in kinds:
        seen.append((event, str(args[0]) if args else ""))
sys.addaudithook(hook)
net = Import(sys.argv[1])
watching = False
print(sorted(set(sys.modules) - modules))
print(seen)
"""


def test_reading_imports_nothing_and_opens_nothing_else(stored: bytes, tmp_path: Path) -> None:
    path = tmp_path / "net.netdsl"
    path.write_bytes(stored)
    process = run(READ, str(path))
    out, errors = process.communicate()
    assert process.returncode == 0, errors
    modules, events = out.splitlines()
    assert modules == "[]"
    assert events == str([("open", str(path))])
