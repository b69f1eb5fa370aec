"""One page for each family of layers and for the operators: what each does to the shape of its inputs, as a picture.

The nets in the pictures are those rows of the table in ``tests/specimens`` that are a layer by themselves: a new layer with its
row is on the page of its family.
"""

from __future__ import annotations

import re
from typing import Any

from reference_pages import FAMILIES, Entry, documented, heading, summary
from shape_pictures import evaluated, picture
from specimens import SPECIMENS, Specimen

from netdsl.constraints import source_text
from netdsl.display.graphic.rendering import svg

__all__ = ["FAMILY_WORDS", "family_pages", "members", "slug"]

FAMILY_WORDS = {
    "Basic layers": "Layers that most nets have: linear and elementwise functions, sums and products of several inputs, random numbers.",
    "Functions and modules as layers": "A layer made of your own function, or of a module of Flax; and one that holds a place.",
    "Normalization and attention": "Layers that bring numbers to a common scale, drop some of them, or weigh the parts of a sequence.",
    "Convolution and pooling": "Layers over pictures, sounds and volumes: channels come first, places after them.",
    "Structure of arrays": "Layers that join, cut, turn, copy and sum arrays.",
    "Sequences": "Layers that take the first level for time: it may be of any length, written n.",
    "Recurrent layers": "Layers that carry a state from one element of a sequence to the next.",
    "Loss layers": "Layers that say how far an input is from its target: one number, which a training makes small.",
    "Legacy layers": "Layers of older versions of Mathematica, for nets that have them.",
    "Operators": "Nets made of another net: mapped over a sequence, folded, nested, run in both directions.",
}
"""What is said of a family at the head of its page."""

MOST = 3
"""The number of pictures of one layer."""


def members() -> dict[str, list[Entry]]:
    """The layers, and the operators, by family."""
    found: dict[str, list[Entry]] = {}
    for entry in documented():
        if entry.group == "layers":
            found.setdefault(entry.section, []).append(entry)
        elif entry.group == "containers" and entry.name.endswith("Operator"):
            found.setdefault("Operators", []).append(entry)
    order = list(dict.fromkeys([*FAMILIES.values(), *found]))
    return {family: found[family] for family in order if family in found}


def slug(family: str) -> str:
    """The name of a family's page."""
    return "family-" + re.sub(r"\W+", "-", family.lower())


def family_pages() -> dict[str, str]:
    """The pages by path below ``reference/``, and one that lists them."""
    found = members()
    pages = {f"layers/{slug(family)}.rst": _page(family, entries) for family, entries in found.items()}
    lines = [
        ":orphan:",
        "",
        *heading("What layers do to shapes", "="),
        "One page for each family, with a picture of each layer.",
        "",
    ]
    for family, entries in found.items():
        names = ", ".join(f"``{entry.name}``" for entry in entries)
        lines += [f":doc:`{family} <layers/{slug(family)}>`", f"   {FAMILY_WORDS[family]}", "", f"   {names}", ""]
    return {**pages, "families.rst": "\n".join(lines)}


def shown(thing: Any) -> list[Specimen]:
    """The rows that are drawn for a layer: the first, and others with other sizes."""
    found: dict[Any, Specimen] = {}
    for specimen in SPECIMENS:
        if len(found) < MOST and type(specimen.make()) is thing:
            sizes = tuple(tuple(value.shape for value in ports.values()) for ports in evaluated(specimen))
            found.setdefault(sizes, specimen)
    return list(found.values())


def _page(family: str, entries: list[Entry]) -> str:
    lines = [":orphan:", "", *heading(family, "="), FAMILY_WORDS[family], ""]
    lines += ["Darker cells are larger numbers: the inputs rise from the first to the last, arrays are random.", ""]
    for entry in entries:
        lines += [*heading(entry.name, "-"), f":doc:`{entry.name} </reference/{entry.page}>`: {summary(entry.doc)}", ""]
        for specimen in shown(entry.thing):
            lines += _drawn(specimen)
    return "\n".join(lines)


def _drawn(specimen: Specimen) -> list[str]:
    written = source_text(specimen.make()) if specimen.written else ""
    code = [".. code-block:: python", "", *(f"   {line}" for line in written.splitlines()), ""] if written else []
    drawing = ['   <div class="shape-picture">', *(f"   {line}" for line in svg(picture(specimen)).splitlines()), "   </div>", ""]
    return [*code, ".. raw:: html", "", *drawing]
