"""Panels as HTML: one self-contained fragment with openers, in the colours of the page it stands on."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape

from netdsl.decoders.decoder import Decoder
from netdsl.display.coders import coder_facts
from netdsl.display.panel import ArrayFact, Row, panel
from netdsl.encoders.encoder import Encoder
from netdsl.nets import Net

__all__ = ["html", "hue_of"]

HUES = {
    "linear": 210,
    "convolution": 265,
    "elementwise": 25,
    "function": 45,
    "normalization": 170,
    "structure": 130,
    "recurrent": 310,
    "attention": 330,
    "loss": 0,
    "chain": 230,
    "graph": 230,
    "operators": 195,
    "encoder": 90,
    "decoder": 90,
}
"""The colour of each family of layers, as a hue; further families get one from their name."""

MOST = 1000
"""About so many layers are shown in all, with their parameters; of the rest there is the number."""

FRAME = (
    "font:13px/1.5 system-ui,sans-serif;display:inline-block;max-width:100%;overflow-x:auto;"
    "border:1px solid rgba(128,128,128,.45);border-radius:6px;padding:6px 10px;"
)
HEAD = "font-weight:600;"
MARK = "color:#d9363e;font-weight:600;margin-left:.6em;"
FAINT = "opacity:.7;"
LINE = "border-top:1px solid rgba(128,128,128,.25);"
CELL = "display:inline-block;vertical-align:top;overflow:hidden;text-overflow:ellipsis;white-space:nowrap;"
WIDTHS = {"name": "7em", "layer": "21em", "from": "13em", "type": "15em", "elements": "7em"}
"""The columns of the table."""
LONG = 24
"""Longer texts may be cut in a cell; the pointer shows them whole."""


def html(net: Net | Encoder | Decoder) -> str:
    """The panel of a net, encoder or decoder as HTML: what a notebook shows.

    The same as `text`, with openers: the table of the layers, in it each layer's parameters and arrays, and the parts of parts. A
    colour says what kind of layer it is. The fragment uses no script, no style sheet and nothing from elsewhere.

    >>> from netdsl import LinearLayer
    >>> "uninitialized" in html(LinearLayer(3))
    True

    Differences from Wolfram: a table in place of the drawing of a graph. Source: Wolfram's public pages.
    """
    if not isinstance(net, Net):
        family = "encoder" if isinstance(net, Encoder) else "decoder"
        facts = coder_facts(net)
        closed, opened = facts[:2], facts[2:]
        return _frame(f"Net{family.capitalize()}", family, False, closed, _facts(opened), is_open=False)
    made = panel(net, most=MOST)
    body = ""
    if made.rows:
        body += _rows(made.rows, 0, made.wired, made.partly)
    elif made.parameters:
        body += _facts(made.parameters)
    if made.arrays:
        body += _arrays(made.arrays)
    body += f'<div style="{FAINT}{LINE}padding-top:3px">{escape(made.total)}</div>'
    return _frame(made.title, made.family, made.missing, made.ports, body, is_open=True)


def _frame(title: str, family: str, missing: bool, lines: Iterable[tuple[str, str]], body: str, is_open: bool) -> str:
    mark = f'<span style="{MARK}">uninitialized</span>' if missing else ""
    ports = "".join(
        f'<span style="display:block;font-weight:400;margin-left:1.1em"><span style="{FAINT}">{escape(name)}:</span> '
        f"{escape(value)}</span>"
        for name, value in lines
    )
    head = f'<summary style="cursor:pointer;{HEAD}">{_swatch(family)}{escape(title)}{mark}{ports}</summary>'
    inner = f'<div style="margin-top:6px">{body}</div>' if body else ""
    return f'<div style="{FRAME}"><details{" open" if is_open else ""}>{head}{inner}</details></div>'


def _swatch(family: str) -> str:
    """A small square in the colour of the family; grey in between, so that it shows on light and dark pages."""
    return (
        f'<span style="display:inline-block;width:.7em;height:.7em;border-radius:2px;margin-right:.5em;'
        f'background:hsl({hue_of(family)},65%,55%)"></span>'
    )


def hue_of(family: str) -> int:
    """The colour of a family of layers, as a hue."""
    return HUES.get(family, sum(map(ord, family)) * 37 % 360)


def _facts(facts: Iterable[tuple[str, str]]) -> str:
    return "".join(f'<div><span style="{FAINT}">{escape(name)}:</span> {escape(value)}</div>' for name, value in facts)


def _arrays(facts: Iterable[ArrayFact]) -> str:
    lines = []
    for fact in facts:
        count = "" if fact.elements is None else f" &#183; {fact.elements:,}"
        style = MARK if fact.status.startswith("uninitialized") else FAINT + "margin-left:.6em;"
        lines.append(
            f'<div><span style="{FAINT}">{escape(fact.name)}:</span> {escape(fact.type)}{count}'
            f'<span style="{style}">{escape(fact.status)}</span></div>'
        )
    return "".join(lines)


def _rows(rows: tuple[Row, ...], depth: int, wired: bool, partly: bool) -> str:
    return "".join(_row(row, depth, wired, partly) for row in rows)


def _row(row: Row, depth: int, wired: bool, partly: bool) -> str:
    inner = _facts(row.parameters) if not row.rows else ""
    inner += _arrays(row.arrays)
    if row.rows:
        inner += _rows(row.rows, depth + 1, wired, partly)
    cells = _cells(row, depth, wired, partly)
    if not inner:
        return f'<div style="{LINE}white-space:nowrap;padding-left:1.05em">{cells}</div>'
    pad = "padding-left:1.1em" if row.rows else f"padding:2px 0 4px 2.2em;{FAINT}"
    return (
        f'<details style="{LINE}"><summary style="cursor:pointer;white-space:nowrap">{cells}</summary>'
        f'<div style="{pad}">{inner}</div></details>'
    )


def _cells(row: Row, depth: int, wired: bool, partly: bool) -> str:
    title = escape(row.title)
    if row.detail:
        detail = f" ({row.detail})" if row.family in ("chain", "graph") else f"({row.detail})"
        title += f'<span style="{FAINT}">{escape(detail)}</span>'
    swatch = "" if row.omitted or row.family in ("input", "output") else _swatch(row.family)
    elements = "" if row.elements == 0 else "?" if row.elements is None else f"{row.elements:,}"
    mark = f'<span style="{MARK}">uninitialized</span>' if partly and row.missing and not row.rows else ""
    name = f'<span style="{FAINT}">{escape(row.name)}</span>'
    cells = [("name", name), ("layer", swatch + title), ("from", escape(row.sources)), ("type", escape(row.type))]
    spans = [_span(column, content, depth if column == "name" else 0) for column, content in cells if wired or column != "from"]
    return "".join(spans) + f'<span style="{CELL}width:{WIDTHS["elements"]};text-align:right">{elements}</span>{mark}'


def _span(column: str, content: str, depth: int) -> str:
    """A cell; the name gives back what the indentation of its line took, so that the columns stay under each other."""
    width = WIDTHS[column] if not depth else f"calc({WIDTHS[column]} - {1.1 * min(depth, 5):.1f}em)"
    whole = f' title="{content}"' if column in ("from", "type") and len(content) > LONG else ""
    return f'<span style="{CELL}width:{width};margin-right:.6em"{whole}>{content}</span>'
