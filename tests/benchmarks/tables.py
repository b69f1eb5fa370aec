"""Tables as text or as Markdown."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

__all__ = ["Report", "Table", "text"]


class Table(NamedTuple):
    """A table and what is said below it."""

    title: str
    header: Sequence[str]
    lines: Sequence[Sequence[str]]
    notes: Sequence[str] = ()


class Report(NamedTuple):
    """A table, and its numbers for a program."""

    table: Table
    figures: dict[str, Any]


def text(table: Table, markdown: bool) -> str:
    """The table as aligned columns, or as Markdown."""
    if markdown:
        rule = "|---" + "|--:" * (len(table.header) - 1) + "|"
        lines = ["| " + " | ".join(line) + " |" for line in (table.header, *table.lines)]
        return "\n".join([f"### {table.title}", "", lines[0], rule, *lines[1:], "", *(f"- {note}" for note in table.notes), ""])
    widths = [max(map(len, column)) for column in zip(table.header, *table.lines)]
    lines = [
        "  ".join(cell.rjust(width) if place else cell.ljust(width) for place, (cell, width) in enumerate(zip(line, widths)))
        for line in (table.header, *table.lines)
    ]
    return "\n".join([table.title, *lines, *table.notes, ""])
