"""The sizes that keep the code readable: files, functions, layers, parameters, suppressions."""

from __future__ import annotations

import ast
import io
import tokenize
from pathlib import Path

import pytest

import netdsl
from netdsl.nets import Layer

ROOT = Path(netdsl.__file__).parent
FILES = sorted(ROOT.rglob("*.py"))
SUPPRESSIONS = ("type: ignore", "noqa", "pragma:")


def code_lines(node: ast.AST, source: str) -> int:
    """Lines of a definition without docstrings, comments and blank lines."""
    text = ast.get_source_segment(source, node) or ""
    documented = {
        line
        for inner in ast.walk(node)
        if isinstance(inner, (ast.ClassDef, ast.FunctionDef)) and ast.get_docstring(inner)
        for line in range(inner.body[0].lineno - node.lineno, (inner.body[0].end_lineno or 0) - node.lineno + 1)
    }
    lines = text.splitlines()
    return sum(1 for i, line in enumerate(lines) if i not in documented and line.strip() and not line.strip().startswith("#"))


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_file_and_function_lengths(path: Path) -> None:
    source = path.read_text()
    assert source.count("\n") <= 450, "a file this long holds more than one subject"
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef):
            assert code_lines(node, source) <= 70, f"{node.name} is too long to be read at once"


def test_layers_are_short_declarations() -> None:
    long = {}
    for path in sorted((ROOT / "layers").glob("*.py")):
        source = path.read_text()
        for node in ast.parse(source).body:
            if (
                isinstance(node, ast.ClassDef)
                and isinstance(cls := getattr(netdsl, node.name, None), type)
                and issubclass(cls, Layer)
            ):
                long[node.name] = code_lines(node, source)
    assert long, "no layer was found"
    assert sorted(long.values())[len(long) // 2] <= 40, long
    assert max(long.values()) <= 120, long


def test_few_suppressions() -> None:
    lines = suppressed = 0
    for path in FILES:
        source = path.read_text()
        lines += source.count("\n")
        for token in tokenize.generate_tokens(io.StringIO(source).readline):
            if token.type == tokenize.COMMENT and any(word in token.string for word in SUPPRESSIONS):
                suppressed += 1
    assert suppressed <= lines / 90, f"{suppressed} checker suppressions in {lines} lines"
