"""Panels as text in 80 columns."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence

from netdsl.decoders.decoder import Decoder
from netdsl.display.coders import coder_facts
from netdsl.display.panel import ArrayFact, Row, panel
from netdsl.encoders.encoder import Encoder
from netdsl.nets import Net

__all__ = ["text"]

WIDTH = 80
DEEPEST = 6
"""Deeper nesting is not indented further."""


def text(net: Net | Encoder | Decoder) -> str:
    """The panel of a net, encoder or decoder as text: what ``print(net)`` shows.

    The head says whether arrays are missing; then the ports, the table of the layers (parts of parts indented; in a graph also
    where inputs come from), or a layer's parameters and arrays, and the number of parameters. Long nets are abbreviated.

    >>> from netdsl import NetChain, Ramp
    >>> print(text(NetChain([3, Ramp], Input=2)))
    NetChain (uninitialized)
      Input port:   vector (size: 2)
      Output port:  vector (size: 3)
    <BLANKLINE>
      Input                           vector (size: 2)
      1       LinearLayer(3)          vector (size: 3)  9
      2       ElementwiseLayer(Ramp)  vector (size: 3)
      Output                          vector (size: 3)
    <BLANKLINE>
      2 layers; 9 parameters; 2 arrays, 36 bytes; 2 arrays uninitialized

    Differences from Wolfram: a table in place of the summary box. Source: Wolfram's public pages.
    """
    if not isinstance(net, Net):
        return "\n".join([f"Net{'Encoder' if isinstance(net, Encoder) else 'Decoder'}", *_facts(coder_facts(net))])
    made = panel(net)
    lines = [made.title + (" (uninitialized)" if made.missing else ""), *_facts(made.ports)]
    if made.rows:
        lines += ["", *_table(made.rows, made.wired, made.partly)]
    elif made.parameters:
        lines += ["", "  Parameters", *_facts(made.parameters, "    ")]
    if made.arrays:
        lines += ["", "  Arrays", *_arrays(made.arrays)]
    return "\n".join([*lines, "", *textwrap.wrap(made.total, WIDTH, initial_indent="  ", subsequent_indent="    ")])


def _facts(facts: object, indent: str = "  ") -> list[str]:
    pairs: list[tuple[str, str]] = list(facts)  # type: ignore[call-overload]
    wide = max((len(name) for name, _ in pairs), default=0) + 1
    return [_cut(f"{indent}{name + ':':{wide}}  {value}", WIDTH) for name, value in pairs]


def _arrays(facts: tuple[ArrayFact, ...]) -> list[str]:
    cells = [(fact.name, fact.type, _count(fact.elements), fact.status) for fact in facts]
    return ["    " + line for line in _columns(cells, WIDTH - 4, shrink=(0, 1, 3), right=(2,))]


def _table(rows: tuple[Row, ...], wired: bool, partly: bool) -> list[str]:
    """The lines of the table; types longer than what fits are written short."""
    for longest in (WIDTH, 24, 0):
        cells = list(_cells(rows, 0, partly, longest))
        if wired:
            cells.insert(0, ("", "", "from", "", ""))
        wide = _widths(cells)
        if _total(wide) <= WIDTH - 2:
            break
    return ["  " + line for line in _columns(cells, WIDTH - 2, shrink=(1, 2, 0, 3), right=(4,))]


def _cells(rows: tuple[Row, ...], depth: int, partly: bool, longest: int) -> Iterator[tuple[str, ...]]:
    indent = "  " * min(depth, DEEPEST)
    for row in rows:
        title = row.title
        if row.detail:
            title += f" ({row.detail})" if row.family in ("chain", "graph") else f"({row.detail})"
        elements = _count(row.elements) if row.elements != 0 else ""
        if partly and row.missing and not row.rows:
            elements = f"uninitialized {elements}"
        yield indent + row.name, indent + title, row.sources, row.type if len(row.type) <= longest else row.short, elements
        yield from _cells(row.rows, depth + 1, partly, longest)


def _widths(cells: Sequence[tuple[str, ...]]) -> list[int]:
    return [max(len(cell[column]) for cell in cells) for column in range(len(cells[0]))]


def _total(wide: list[int]) -> int:
    return sum(wide) + 2 * (len([w for w in wide if w]) - 1)


def _columns(cells: Sequence[tuple[str, ...]], width: int, shrink: tuple[int, ...], right: tuple[int, ...]) -> list[str]:
    """Columns side by side in `width`; those in `shrink` are cut, the widest first."""
    wide = _widths(cells)
    while _total(wide) > width:
        column = max(shrink, key=lambda column: wide[column])
        if wide[column] <= 8:
            break
        wide[column] -= 1
    lines = []
    for cell in cells:
        texts = [
            _cut(value, w).rjust(w) if column in right else _cut(value, w).ljust(w)
            for column, (value, w) in enumerate(zip(cell, wide))
            if w
        ]
        lines.append("  ".join(texts).rstrip())
    return lines


def _cut(value: str, width: int) -> str:
    value = " ".join(value.splitlines()) if "\n" in value else value
    return value if len(value) <= width else value[: max(width - 3, 0)] + "..."


def _count(elements: int | None) -> str:
    return "?" if elements is None else f"{elements:,}"
