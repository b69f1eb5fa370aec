"""Every Python block of README.md and docs/*.md runs; where it shows ``>>>``, the output is what it says.

The blocks of one page share a namespace, in their order. A block after ``<!-- skipped: reason -->`` only has to compile; reasons
are a network, a GPU or minutes of training.
"""

import ast
import doctest
import os
import re
import warnings
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted([ROOT / "README.md", *(ROOT / "docs").glob("*.md")])
BLOCK = re.compile(r"(?:^<!-- skipped: (?P<reason>[^\n]*?) -->\n\s*)?^```python\n(?P<code>.*?)^```$", re.MULTILINE | re.DOTALL)
REASONS = ("download", "network", "GPU", "minute", "needs")
FLAGS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE


@dataclass
class Block:
    """A Python block of a page: its code, the line it starts at, and why it is not run."""

    code: str
    line: int
    reason: str | None

    @property
    def examples(self):
        """Its doctest examples; none for plain code."""
        return doctest.DocTestParser().get_examples(self.code) if ">>>" in self.code else []


def blocks(page):
    """The Python blocks of a page in order."""
    text = page.read_text(encoding="utf-8")
    return [Block(found["code"], text[: found.start("code")].count("\n") + 1, found["reason"]) for found in BLOCK.finditer(text)]


def compiled(block, name):
    """The block as code; a SyntaxError names its page and line."""
    source = block.code
    if block.examples:
        source = "".join(example.source for example in block.examples)
    return compile(ast.parse(source, name), name, "exec")


@pytest.fixture
def somewhere(tmp_path, monkeypatch):
    """A folder of its own to write files into, and no window for figures."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MPLBACKEND", "Agg")
    return tmp_path


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_blocks_run(page, somewhere):
    namespace = {"__name__": "__page__"}
    for block in blocks(page):
        name = f"{page.name}, line {block.line}"
        code = compiled(block, name)
        if block.reason is not None:
            continue
        if block.examples:
            run_examples(block, namespace, name)
        else:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", DeprecationWarning)
                exec(code, namespace)


def run_examples(block, namespace, name):
    """Run the doctest examples of a block in the page's namespace."""
    test = doctest.DocTest(block.examples, namespace, name, name, block.line, block.code)
    report = []
    runner = doctest.DocTestRunner(optionflags=FLAGS, verbose=False)
    result = runner.run(test, out=report.append, clear_globs=False)
    namespace.update(test.globs)
    assert not result.failed, f"{name}:\n{''.join(report)}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_skipped_blocks_say_why(page):
    for block in blocks(page):
        if block.reason is not None:
            assert any(word in block.reason for word in REASONS), f"{page.name}, line {block.line}: {block.reason!r}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_python_block_is_found(page):
    """No block hides behind indentation or a spelling that the pattern above does not know."""
    text = page.read_text(encoding="utf-8")
    fences = re.findall(r"^[ \t]*(?:```+|~~~+|:::+)\{?(?:code-block\}\s*)?(?:python|py|pycon|python3)\b", text, re.MULTILINE)
    assert len(fences) == len(blocks(page))


def test_the_readme_links_to_pages_that_exist():
    for target in re.findall(r"\]\(([^)#:]+)\)", (ROOT / "README.md").read_text(encoding="utf-8")):
        assert (ROOT / target).exists(), target


def test_an_example_that_is_wrong_is_noticed(somewhere):
    with pytest.raises(AssertionError, match="Expected"):
        run_examples(Block(">>> 1 + 1\n3\n", 1, None), {}, "a page")
    assert os.environ["MPLBACKEND"] == "Agg"
