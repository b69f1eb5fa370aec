"""Every Python block of README.md, docs/*.md and docs/training/*.md runs, and what a page says that it shows is what it shows.

The blocks of one page share a namespace, in their order.

- In a block with ``>>>`` each output is checked.
- A text block after ``<!-- output -->`` is what the Python block before it prints.
- A text block after ``<!-- error -->`` is the error that the Python block before it ends with.
- A Python block after ``<!-- skipped: reason -->`` only has to compile; reasons are a download, a GPU or minutes of training.

In outputs ``…`` stands for anything.
"""

import ast
import contextlib
import doctest
import io
import re
from dataclasses import dataclass
from pathlib import Path

import pytest

from netdsl import NetError

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted([ROOT / "README.md", *(ROOT / "docs").rglob("*.md")])
FENCE = re.compile(r"(?:^<!-- (?P<mark>[^\n]*?) -->\n+)?^```(?P<language>[a-z]*)\n(?P<code>.*?)^```$", re.MULTILINE | re.DOTALL)
REASONS = ("download", "GPU", "minute")
FLAGS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE


@dataclass
class Block:
    """A Python block of a page: its code, the line it starts at, why it is not run, what it prints or raises."""

    code: str
    line: int
    reason: str | None = None
    output: str | None = None
    error: str | None = None

    @property
    def examples(self):
        """Its doctest examples; none for plain code."""
        return doctest.DocTestParser().get_examples(self.code.replace("…", "...")) if ">>> " in self.code else []


def blocks(page):
    """The Python blocks of a page in order."""
    text = page.read_text(encoding="utf-8")
    found = []
    for fence in FENCE.finditer(text):
        mark, language = fence["mark"] or "", fence["language"]
        if language == "python":
            reason = mark.removeprefix("skipped: ") if mark.startswith("skipped: ") else None
            found.append(Block(fence["code"], text[: fence.start("code")].count("\n") + 1, reason))
        elif mark == "output":
            found[-1].output = fence["code"]
        elif mark == "error":
            found[-1].error = fence["code"]
    return found


def compiled(block, name):
    """The block as code; a SyntaxError names its page and line."""
    source = "".join(example.source for example in block.examples) if block.examples else block.code
    return compile(ast.parse(source, name), name, "exec")


def check(wanted, got, where):
    """Fails when the text of a page is not what the code gave."""
    example = doctest.Example("", wanted.replace("…", "..."))
    checker = doctest.OutputChecker()
    if not checker.check_output(example.want, got, FLAGS):
        pytest.fail(f"{where}\n{checker.output_difference(example, got, FLAGS)}", pytrace=False)


def run(block, namespace, where):
    """Run a block in the namespace of its page and check what it shows."""
    code = compiled(block, where)
    if block.examples:
        test = doctest.DocTest(block.examples, namespace, where, where, block.line, block.code)
        report = []
        result = doctest.DocTestRunner(optionflags=FLAGS, verbose=False).run(test, out=report.append, clear_globs=False)
        namespace.update(test.globs)
        if result.failed:
            pytest.fail(f"{where}\n{''.join(report)}", pytrace=False)
        return
    printed, raised = io.StringIO(), None
    with contextlib.redirect_stdout(printed):
        try:
            exec(code, namespace)
        except NetError as error:
            if block.error is None:
                raise
            raised = f"{type(error).__name__}: {error}\n"
    if block.output is not None:
        check(block.output, printed.getvalue(), where)
    if block.error is not None:
        check(block.error, raised or "no error", where)


@pytest.fixture
def somewhere(tmp_path, monkeypatch):
    """A folder of its own to write files into, and no window for figures."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MPLBACKEND", "Agg")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_blocks_run(page, somewhere):
    namespace = {"__name__": "__page__"}
    for block in blocks(page):
        where = f"{page.name}, line {block.line}"
        if block.reason is None:
            run(block, namespace, where)
        else:
            compiled(block, where)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_skipped_blocks_say_why(page):
    for block in blocks(page):
        if block.reason is not None:
            assert any(word in block.reason for word in REASONS), f"{page.name}, line {block.line}: {block.reason!r}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_python_block_is_found(page):
    """No block hides behind indentation or a spelling that the pattern above does not know."""
    text = page.read_text(encoding="utf-8")
    fences = re.findall(r"^[ \t]*(?:```+|~~~+|:::+) ?\{?(?:code-block\}\s*)?(?:python|py|pycon|python3)\b", text, re.MULTILINE)
    assert len(fences) == len(blocks(page))


def test_the_readme_links_to_pages_that_exist():
    for target in re.findall(r"\]\(([^)#:]+)\)", (ROOT / "README.md").read_text(encoding="utf-8")):
        assert (ROOT / target).exists(), target


@pytest.mark.parametrize(
    "wrong",
    [
        Block(">>> 1 + 1\n3\n", 1),
        Block("print(1 + 1)", 1, output="3\n"),
        Block("raise NetError('one')", 1, error="NetError: two\n"),
        Block("1 + 1", 1, error="NetError: two\n"),
    ],
)
def test_what_is_wrong_is_noticed(wrong):
    with pytest.raises(pytest.fail.Exception, match="Expected"):
        run(wrong, {"NetError": NetError}, "a page")
