"""The order of the modules: a row imports the rows above it, never below, and rows beside each other stay apart."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import netdsl

ROOT = Path(netdsl.__file__).parent

ROWS = (
    ("errors", "symbols", "functions"),
    ("constraints", "forks"),
    ("declarations", "shapes"),
    ("coders", "distributions"),
    ("encoders", "decoders"),
    ("nets",),
    ("layers", "initialization"),
    ("containers",),
    ("lowering", "surgery", "information"),
    ("columns", "formats", "plots"),
    ("resources", "attachment"),
    ("measurements",),
    ("training",),
    ("display",),
)
ROW = {module: number for number, row in enumerate(ROWS) for module in row}
BESIDE = {("symbols", "errors"), ("functions", "symbols"), ("shapes", "declarations")}
"""The imports between modules of one row."""

UPWARD = {
    ("nets/net.py", "lowering"),
    ("nets/net.py", "display"),
    ("nets/net.py", "surgery"),
    ("information.py", "display"),
}
"""The local imports that point upwards: __call__ and function, _repr_html_ and __str__, __getitem__; pictures."""

LAZY = ("flax", "optax", "sklearn", "grain", "matplotlib", "tensorflow_datasets", "h5py", "rich", "PIL")


def imports(path: Path) -> list[tuple[str, bool]]:
    """The modules of netdsl that a file imports, and whether it does so inside a function."""
    tree = ast.parse(path.read_text())
    local = {
        id(node)
        for function in ast.walk(tree)
        if isinstance(function, (ast.FunctionDef, ast.AsyncFunctionDef))
        for node in ast.walk(function)
    }
    found = []
    for node in ast.walk(tree):
        names: list[str] = []
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: imports are absolute"
            names = [node.module or ""] if node.module != "netdsl" else [f"netdsl.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        found += [(name.split(".")[1], id(node) in local) for name in names if name.startswith("netdsl.")]
    return found


def module_of(path: Path) -> str:
    """The first name below netdsl."""
    return path.relative_to(ROOT).with_suffix("").parts[0]


FILES = sorted(path for path in ROOT.rglob("*.py") if path not in (ROOT / "__init__.py", ROOT / "conftest.py"))


def test_every_module_has_its_row():
    assert {module_of(path) for path in FILES} - set(ROW) == set()


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_point_down(path):
    own = module_of(path)
    for module, local in imports(path):
        if module == own or (own, module) in BESIDE:
            continue
        if local and (str(path.relative_to(ROOT)), module) in UPWARD:
            continue
        assert ROW[module] < ROW[own], f"{own} (row {ROW[own]}) imports {module} (row {ROW[module]})"


def test_the_upward_imports_are_there():
    used = {
        (str(path.relative_to(ROOT)), module)
        for path in FILES
        for module, local in imports(path)
        if local and ROW[module] > ROW[module_of(path)]
    }
    assert used == UPWARD


def test_import_is_light_and_leaves_jax_alone():
    code = f"""
import jax, sys
before = dict(jax.config.values)
import netdsl
assert dict(jax.config.values) == before, "JAX's configuration"
loaded = [name for name in {LAZY!r} if name in sys.modules]
assert not loaded, loaded
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT.parent, timeout=120)
    assert done.returncode == 0, done.stderr
