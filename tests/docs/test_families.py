"""The pages of the families show each layer once, with pictures of its rows; the page of coverage tells what is there."""

import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest
from specimens import SPECIMENS

import netdsl
from netdsl.display.graphic.rendering import svg
from netdsl.display.graphic.shapes import Box, Label
from netdsl.nets import Layer

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "docs"))

from coverage_page import WOLFRAM, coverage, coverage_page  # noqa: E402
from family_pages import FAMILY_WORDS, members, shown  # noqa: E402
from reference_pages import documented  # noqa: E402
from shape_pictures import picture  # noqa: E402

ROWS = {specimen.name: specimen for specimen in SPECIMENS}
NO_PICTURE = {"PlaceholderLayer"}
"""What computes nothing."""


def test_every_layer_and_operator_is_on_one_page():
    named = [entry.name for entries in members().values() for entry in entries]
    public = {name for name in set(netdsl.__all__) - set(netdsl.LEGACY_NAMES) if isinstance(getattr(netdsl, name), type)}
    layers = {name for name in public if issubclass(getattr(netdsl, name), Layer) and name not in ("NetChain", "NetGraph")}
    assert len(named) == len(set(named))
    assert set(named) == layers
    assert set(members()) <= set(FAMILY_WORDS)


@pytest.mark.parametrize("entry", [pytest.param(e, id=e.name) for entries in members().values() for e in entries])
def test_every_layer_has_a_row_that_is_drawn(entry):
    rows = [specimen for specimen in SPECIMENS if type(specimen.make()) is entry.thing]
    assert bool(rows) is (entry.name not in NO_PICTURE)


@pytest.mark.parametrize(
    ("row", "cells", "sizes"),
    [
        ("linear", 4 + 3, ["4", "3"]),
        ("flatten", 12 + 12, ["2 x 3 x 2", "12"]),
        ("transpose", 12 + 12, ["2 x 3 x 2", "3 x 2 x 2"]),
        ("append, varying", 8 + 2 + 10, ["n x 2", "2", "n x 2"]),
        ("summation", 6 + 1, ["2 x 3", "one number"]),
        ("convolution", 2 * 4 * 5 + 3 * 3 * 4, ["2 x 4 x 5", "3 x 3 x 4"]),
    ],
)
def test_a_picture_has_a_cell_for_each_number(row, cells, sizes):
    drawing = picture(ROWS[row])
    boxes = [shape for shape in drawing.shapes if isinstance(shape, Box)]
    texts = [shape.text for shape in drawing.shapes if isinstance(shape, Label)]
    assert len(boxes) == cells + 1  # and the layer's own
    assert [text for text in texts if text in sizes] == sizes
    assert all(box.x >= 0 and box.x + box.width <= drawing.width and box.y + box.height <= drawing.height for box in boxes)
    ElementTree.fromstring(svg(drawing))


def test_shades_follow_the_values():
    """Reversed, the darkest comes first; numbers that are filled in are the palest."""
    reversed_ = [box.fill for box in picture(ROWS["reverse, varying"]).shapes if isinstance(box, Box)]
    cells = [fill for fill in reversed_ if fill != "#f4f6f9"]
    first, last = cells[: len(cells) // 2], cells[len(cells) // 2 :]
    assert first[0] == last[-2]
    assert first[-1] == last[1]
    assert first != last


def test_the_rows_of_one_layer_differ_in_their_sizes():
    assert [specimen.name for specimen in shown(netdsl.SummationLayer)] == ["summation", "summation, varying"]


def test_the_page_of_coverage_knows_every_symbol():
    rows = [row for each in coverage(documented()).values() for row in each]
    assert len(rows) == sum(len(names.split()) for names in WOLFRAM.values())
    found = {row.entry.name for row in rows if row.entry}
    layers = {entry.name for entries in members().values() for entry in entries}
    assert layers - found == {"FlaxLayer"}  # which Wolfram has not
    text = coverage_page(documented())
    assert 'NetEncoder("Tokens")``\n     - not yet' in text
    assert ":doc:`DotLayer </reference/layers/DotLayer>`\n     - there" in text


def test_differences_are_those_of_the_docstring():
    rows = {row.name: row.differences for each in coverage(documented()).values() for row in each}
    assert rows["LinearLayer"] == ""
    assert rows["BasicRecurrentLayer"].startswith('A probability alone means "VariationalWeights" [M]')
    assert "Source" not in "".join(rows.values())
