"""Boxes with their texts, and how they and their wires become shapes."""

from __future__ import annotations

import colorsys
import math
from dataclasses import dataclass, field
from itertools import pairwise
from typing import NamedTuple

from netdsl.display.graphic.icons import icon
from netdsl.display.graphic.items import Item, Link, Placed
from netdsl.display.graphic.shapes import Box, Drawing, Label, Path, Point, Polygon, cut, text_width
from netdsl.display.markup import hue_of
from netdsl.nets import ArrayPath
from netdsl.plots.canvas import MUTED

__all__ = ["CARD", "HEADER", "ICON", "PAD", "SMALL", "TINY", "TITLE", "WIDEST", "Group", "Node", "draw"]

WIRE = "#9aa4b0"
PAD, ICON, CARD, HEADER = 9.0, 22.0, 4.0, 32.0
"""Inside a box: the margin, the side of the icon, how far a second card looks out, the height of a frame's head."""
TITLE, SMALL, TINY = 12.0, 10.5, 9.5
"""The sizes of text."""
LINE = {TITLE: 16.0, SMALL: 14.0}
WIDEST = 210.0
"""Longer texts in a box are cut."""
ARROW = 7.0


class Text(NamedTuple):
    """A line of text in a box."""

    text: str
    size: float
    fill: str


@dataclass(slots=True)
class Node:
    """A box: its part of the net, its lines of text, and what it frames."""

    path: ArrayPath
    kind: str = "layer"
    """A "layer", a "frame" with its parts inside, a "port" of the net, or the "end" of a frame's port."""
    family: str = ""
    number: str = ""
    end: str = ""
    port: str = ""
    width: float = 0.0
    height: float = 0.0
    lines: list[Text] = field(default_factory=list)
    hint: str = ""
    stacked: bool = False
    inner: Group | None = None
    ins: dict[str, float] = field(default_factory=dict)
    outs: dict[str, float] = field(default_factory=dict)

    def write(self, *lines: tuple[str, float, str]) -> None:
        """Add lines, cut where they are too long; empty ones are left out."""
        self.lines += [Text(cut(text, size, WIDEST), size, fill) for text, size, fill in lines if text]

    def widest(self) -> float:
        """The width of the widest line."""
        return max((text_width(text, size) for text, size, _ in self.lines), default=0.0)

    def tall(self) -> float:
        """The height of all lines."""
        return sum(LINE[size] for _, size, _ in self.lines)

    def beside(self) -> float:
        """The room for the number at the right."""
        return 12 + text_width(self.number, TINY) if self.number else 0.0

    def item(self) -> Item:
        """What the layout must know."""
        return Item(self.width, self.height, self.ins, self.outs, self.end)


@dataclass(slots=True)
class Group:
    """Boxes with the wires between them, placed."""

    nodes: list[Node]
    links: list[Link]
    labels: list[tuple[str, str]]
    """The texts at the start and the end of each wire."""
    place: Placed
    dashed: bool = False


def draw(group: Group, left: float, top: float, made: Drawing) -> None:
    """Add the shapes of a group whose corner is there."""
    for node, x, y in zip(group.nodes, group.place.x, group.place.y):
        if node.kind != "end":
            _box(node, left + x - node.width / 2, top + y - node.height / 2, made)
    drawn: set[tuple[Point, Point]] = set()
    for index, (link, (tail, head)) in enumerate(zip(group.links, group.labels)):
        points = [(left + x, top + y) for x, y in group.place.routes[index]]
        source, target = group.nodes[link.source], group.nodes[link.target]
        made.wires.append((source.path, target.path, points))
        (x, y), (to, at) = points[0], points[-1]
        if target.kind != "end":
            made.shapes.append(Polygon(((to, at), (to - 3.2, at - ARROW), (to + 3.2, at - ARROW)), WIRE))
            points = [*points[:-1], (to, at - ARROW / 2)]
        made.shapes += [_rounded(points)] if index in group.place.folds else _strokes(points, drawn, group.dashed)
        if head:
            made.shapes.append(Label(to + 5, at - 5, head, TINY, MUTED))
        if tail:
            made.shapes.append(Label(x + 4, y + 11, tail, TINY, MUTED))


def _rounded(points: list[Point]) -> Path:
    """A wire of upright and level stretches in turn, with round corners."""
    stretches: list[tuple[Point, ...]] = []
    for (a, b), (x, y), (c, d) in zip(points, points[1:], points[2:]):
        near = min(7.0, (abs(x - a) + abs(y - b)) / 2, (abs(c - x) + abs(d - y)) / 2)
        one = (x - math.copysign(near, x - a) * (x != a), y - math.copysign(near, y - b) * (y != b))
        next_ = (x + math.copysign(near, c - x) * (x != c), y + math.copysign(near, d - y) * (y != d))
        stretches += [(one,), ((x, y), (x, y), next_)]
    return Path(points[0], (*stretches, (points[-1],)), WIRE)


def _strokes(points: list[Point], drawn: set[tuple[Point, Point]], dashed: bool) -> list[Path]:
    """The wire through the points, every second stretch upright; what other wires have drawn already is left out."""
    found: list[Path] = []
    stretches: list[tuple[Point, ...]] = []
    start = points[0]
    for place, (one, next_) in enumerate(pairwise(points)):
        if (one, next_) in drawn:
            if stretches:
                found.append(Path(start, tuple(stretches), WIRE, dashed=dashed))
            start, stretches = next_, []
            continue
        drawn.add((one, next_))
        if one[0] == next_[0] or place % 2 == 0:
            stretches.append((next_,))
        else:
            middle = (one[1] + next_[1]) / 2
            stretches.append(((one[0], middle), (next_[0], middle), next_))
    return [*found, Path(start, tuple(stretches), WIRE, dashed=dashed)] if stretches else found


def _box(node: Node, x: float, y: float, made: Drawing) -> None:
    hue = hue_of(node.family) if node.family else None
    line, fill, head = (
        (_colour(hue, 45, 72), _colour(hue, 70, 97), _colour(hue, 60, 92)) if hue is not None else ("#b9c0c9", "#f3f5f7", "")
    )
    if node.kind == "frame":
        made.shapes.append(whole := Box(x, y, node.width, node.height, 8, "#ffffff", line, hint=node.hint))
        made.shapes.append(Box(x + 0.6, y + 0.6, node.width - 1.2, HEADER - 0.6, 7.4, head))
        made.boxes[node.path] = whole
        _icon(node, x + PAD, y + (HEADER - ICON) / 2, made)
        at = x + PAD + ICON + 8
        for text, size, ink in node.lines:
            made.shapes.append(Label(at, y + HEADER / 2 + 4, text, size, ink))
            at += text_width(text, size) + 8
        _number(node, x + node.width - PAD, y + HEADER / 2 + 4, made)
        assert node.inner is not None
        inner = node.inner.place
        has_start = any(each.end == "first" for each in node.inner.nodes)
        draw(node.inner, x + (node.width - inner.width) / 2, y + HEADER + (0 if has_start else PAD), made)
        return
    made.boxes[node.path] = Box(x, y, node.width, node.height, 7, fill, line)
    width, height = node.width, node.height
    if node.stacked:
        width, height = width - CARD, height - CARD
        made.shapes.append(Box(x + CARD, y + CARD, width, height, 7, fill, line))
    round_ = 7.0 if node.kind == "layer" else height / 2
    made.shapes.append(Box(x, y, width, height, round_, fill, line, hint=node.hint))
    at = x + PAD
    if node.kind == "layer":
        _icon(node, at, y + (height - ICON) / 2, made)
        at += ICON + 8
    below = y + (height - node.tall()) / 2
    _number(node, x + width - PAD, below + 12, made)
    for text, size, ink in node.lines:
        below += LINE[size]
        start = at if node.kind == "layer" else x + (width - text_width(text, size)) / 2
        made.shapes.append(Label(start, below - 4, text, size, ink))


def _number(node: Node, right: float, y: float, made: Drawing) -> None:
    if node.number:
        made.shapes.append(Label(right - text_width(node.number, TINY), y, node.number, TINY, MUTED))


def _icon(node: Node, x: float, y: float, made: Drawing) -> None:
    made.shapes.append(Box(x, y, ICON, ICON, 5, _colour(hue_of(node.family), 55, 52)))
    scale = ICON / 10
    for stroke in icon(node.family):
        points = [(x + a * scale, y + b * scale) for a, b in stroke]
        made.shapes.append(Path(points[0], tuple((point,) for point in points[1:]), "#ffffff", 1.5))


def _colour(hue: float, saturation: float, lightness: float) -> str:
    """A colour as HTML writes it, from hue (degrees), saturation and lightness (percent)."""
    parts = colorsys.hls_to_rgb(hue / 360, lightness / 100, saturation / 100)
    return "#" + "".join(f"{round(255 * part):02x}" for part in parts)
