"""What is shown of measurements: text for print and "Report", a panel for notebooks."""

from __future__ import annotations

import base64
import html
import io
from collections.abc import Sequence
from typing import Any

import numpy as np

__all__ = ["MATRIX_UP_TO", "MISSING", "matrix_text", "panel", "short", "text_rows"]

MATRIX_UP_TO = 20
"""With more classes a text report lists the commonest confusions in place of the matrix."""
MISSING = {
    "examples": "the examples themselves were not given; give them with examples=….",
    "seconds": "no time was taken, because these predictions were given rather than computed by a net.",
    "example_seconds": "no time of a single evaluation was taken, because these predictions were given.",
}
"""Why a property cannot be measured that needs this attribute of the predictions."""


def text_rows(title: str, rows: Sequence[tuple[str, str]]) -> str:
    """A title and aligned rows.

    >>> print(text_rows("Numbers", [("one", "1"), ("twenty", "20")]))
    Numbers
      one      1
      twenty  20
    """
    left, right = (max(len(row[i]) for row in rows) for i in (0, 1))
    return "\n".join([title, *(f"  {name:<{left}}  {value:>{right}}".rstrip() for name, value in rows)])


def matrix_text(matrix: np.ndarray, classes: Sequence[Any]) -> str:
    """The confusion matrix with labels and totals in aligned columns."""
    names = [short(label) for label in classes]
    table = [["", *names, "total"]]
    table += [[name, *map(str, row), str(row.sum())] for name, row in zip(names, matrix)]
    table += [["total", *map(str, matrix.sum(axis=0)), str(matrix.sum())]]
    widths = [max(len(row[i]) for row in table) for i in range(len(table[0]))]
    lines = ["  " + "  ".join([row[0].ljust(widths[0]), *(c.rjust(w) for c, w in zip(row[1:], widths[1:]))]) for row in table]
    return "\n".join(["Confusion matrix (rows: actual class, columns: predicted class)", *(line.rstrip() for line in lines)])


def short(label: object, limit: int = 12) -> str:
    """The label on one line, cut to `limit` signs."""
    text = " ".join(str(label).split())
    return text if len(text) <= limit else text[: limit - 1] + "…"


def panel(title: str, rows: Sequence[tuple[str, str]], figure: Any = None) -> str:
    """A table of the rows, with a figure below, as HTML that stands alone."""
    cells = "".join(
        f"<tr><td style='text-align:left;color:#7a828e'>{html.escape(name)}</td>"
        f"<td style='text-align:right'>{html.escape(value)}</td></tr>"
        for name, value in rows
    )
    picture = ""
    if figure is not None:
        buffer = io.BytesIO()
        figure.savefig(buffer, format="png")
        data = base64.b64encode(buffer.getvalue()).decode()
        picture = f"<img alt='{html.escape(title)}' style='max-width:520px;width:100%' src='data:image/png;base64,{data}'>"
    return (
        "<div style='display:inline-block;border:1px solid #d5d9df;border-radius:4px;padding:8px 12px'>"
        f"<div style='font-weight:600'>{html.escape(title)}</div><table>{cells}</table>{picture}</div>"
    )
