"""Every public name has a docstring with the agreed sections and a page of the reference; the docs build without a warning."""

import inspect
import subprocess
import sys
from pathlib import Path

import pytest

import netdsl
from netdsl.errors import NetError, NetWarning
from netdsl.nets import Layer

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "docs"))

from reference_pages import GROUPS, documented, write_pages  # noqa: E402

ENTRIES = documented()
WOLFRAM = {"layers", "containers", "coders", "training", "measurements", "surgery", "data"}
"""The groups whose symbols say how they differ from Wolfram's."""

SHOWN = {"Things written in nets and options", "List functions"}
"""The sections of the symbols that have an example."""

LINES = 80
"""No docstring is longer."""


def entries(*groups):
    return [pytest.param(entry, id=entry.name) for entry in ENTRIES if not groups or entry.group in groups]


def test_every_public_name_has_an_entry():
    assert set(netdsl.__all__) <= {entry.name for entry in ENTRIES}
    assert {entry.group for entry in ENTRIES} <= set(GROUPS)


@pytest.mark.parametrize("entry", entries())
def test_it_begins_with_one_sentence(entry):
    summary = entry.doc.split("\n\n")[0]
    assert summary, f"{entry.name} has no docstring of its own"
    assert summary.endswith((".", ".``", ":", '"')), summary
    assert len(entry.doc.split("\n")) <= LINES


@pytest.mark.parametrize("entry", entries(*WOLFRAM))
def test_it_has_a_runnable_example_and_names_the_differences(entry):
    assert ">>> " in entry.doc, f"{entry.name}: no example"
    assert "Differences from Wolfram:" in entry.doc, f"{entry.name}: no section on the differences from Wolfram"


@pytest.mark.parametrize("entry", [pytest.param(e, id=e.name) for e in ENTRIES if e.section in SHOWN])
def test_symbols_have_an_example(entry):
    assert ">>> " in entry.doc, f"{entry.name}: no example"


@pytest.mark.parametrize("entry", entries("layers"))
def test_layers_state_ports_arrays_and_parameters(entry):
    assert issubclass(entry.thing, Layer)
    assert "Ports: " in entry.doc
    if entry.thing.array_declarations:
        assert "Arrays" in entry.doc or "State: " in entry.doc
    for name in entry.thing.parameters:
        assert "Parameters: " in entry.doc
        assert name in entry.doc, f"{entry.name} does not explain {name}"


@pytest.mark.parametrize("entry", entries("errors"))
def test_errors_are_in_the_tree_of_the_module(entry):
    assert issubclass(entry.thing, (NetError, NetWarning))
    assert f"{entry.name} (" in inspect.getdoc(netdsl.errors)


def test_pages_are_written_once_and_removed_when_they_are_gone(tmp_path):
    write_pages(tmp_path)
    page = tmp_path / "layers" / "LinearLayer.rst"
    assert "Weights" in page.read_text(encoding="utf-8")
    before = page.stat().st_mtime_ns
    stale = tmp_path / "layers" / "NoSuchLayer.rst"
    stale.write_text("gone", encoding="utf-8")
    write_pages(tmp_path)
    assert page.stat().st_mtime_ns == before
    assert not stale.exists()
    written = {path.relative_to(tmp_path).with_suffix("").as_posix() for path in tmp_path.rglob("*.rst")}
    assert written >= {entry.page for entry in ENTRIES}


def test_the_docs_build_without_a_warning(tmp_path):
    for package in ("sphinx", "myst_parser", "furo"):
        pytest.importorskip(package, reason="the extra netdsl[docs] is not installed")
    command = [sys.executable, "-m", "sphinx", "-W", "--keep-going", "-q", "-d", str(tmp_path / "trees"), "docs"]
    built = subprocess.run([*command, str(tmp_path / "html")], cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert built.returncode == 0, built.stderr
    assert (tmp_path / "html" / "reference" / "layers" / "LinearLayer.html").exists()
