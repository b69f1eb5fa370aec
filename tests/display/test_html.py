"""The panel as HTML: well formed, escaped, self-contained, with the same facts as the text."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from typing import Any

import pytest
from specimens import CODERS, SPECIMENS, Coder, Specimen, initialized

from netdsl import LinearLayer, NetChain, NetDecoder, NetEncoder, NetInitialize, Ramp
from netdsl.display import html, text

VOID = {"br", "hr", "img"}
KNOWN = {"div", "span", "details", "summary"}


class Checker(HTMLParser):
    """Reads a fragment, and notices tags that do not close and attributes that reach elsewhere."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.texts: list[str] = []
        self.details = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert tag in KNOWN, tag
        assert {name for name, _ in attrs} <= {"style", "title", "open"}, attrs
        assert not (tag == "summary" and self.open[-1] != "details")
        assert not (tag == "div" and "summary" in self.open), "a block in a summary"
        self.details += tag == "details"
        self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


def read(fragment: str) -> Checker:
    checker = Checker()
    checker.feed(fragment)
    checker.close()
    assert checker.open == []
    assert not re.search(r"https?:|url\(|<script|<style|javascript", fragment)
    return checker


@pytest.mark.parametrize("specimen", SPECIMENS, ids=str)
def test_specimens(specimen: Specimen) -> None:
    for net in (specimen.make(), initialized(specimen)):
        fragment = html(net)
        shown = "".join(read(fragment).texts)
        assert fragment == html(net) == net._repr_html_()
        assert shown.startswith(net.title())
        assert ("uninitialized" in shown) is not net.initialized
        assert text(net).split("\n\n")[-1].split(";")[0].strip().split("\n")[0] in shown


@pytest.mark.parametrize("coder", CODERS, ids=str)
def test_coders(coder: Coder) -> None:
    made = coder.make()
    shown = "".join(read(html(made)).texts)
    assert f"Type: {made.kind}" in shown
    assert all(name in shown for name in made.parameters)


def test_names_are_escaped() -> None:
    net = NetChain(
        {"<script>alert(1)</script>": Ramp, "\"onload='x'&": LinearLayer(2, Output=NetDecoder("Class", ["<b>", "&amp;"]))}
    )
    fragment = html(net)
    texts = read(fragment).texts
    assert "<script>alert(1)</script>" in texts
    assert "\"onload='x'&" in texts
    assert "<script" not in fragment


def test_openers_and_abbreviation() -> None:
    inner = NetChain([3, Ramp])
    checker = read(html(NetChain({"a": inner, "b": 2}, Input=2)))
    assert checker.details == 1 + 1 + 2 + 1
    long = html(NetChain([Ramp, 3] * 5000, Input=3))
    assert "9,961 more" in long
    assert len(long) < 200_000


def test_partly_given_arrays_are_marked_where_they_lack() -> None:
    net = NetChain([NetInitialize(LinearLayer(2, Input=2)), 3])
    assert html(net).count(">uninitialized<") == 1 + 1 + 2
    assert html(NetInitialize(net)).count("uninitialized") == 0


def test_colours_do_without_a_background() -> None:
    fragment = html(NetChain([3, Ramp], Input=NetEncoder("Scalar")))
    assert "background:#" not in fragment
    assert "color:#000" not in fragment
    assert "color:black" not in fragment
    hues: Any = re.findall(r"hsl\((\d+),", fragment)
    assert len(set(hues)) == 3
