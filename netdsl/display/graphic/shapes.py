"""What a drawing is made of: boxes, paths, polygons and texts, in pixels with y downwards; and how wide texts are."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass, field

__all__ = ["Box", "Drawing", "Label", "Path", "Point", "Polygon", "Shape", "cut", "text_width"]

Point = tuple[float, float]

ADVANCES = (
    "318 401 460 838 636 950 780 275 390 390 500 838 318 361 318 337 636 636 636 636 636 636 636 636 636 636 337 337 838 838 838 "
    "531 1000 684 686 698 770 632 575 775 752 295 295 656 557 863 748 787 603 787 695 635 611 732 684 989 685 611 685 390 337 390 "
    "838 500 500 613 635 550 635 615 352 635 634 278 278 579 278 974 634 612 635 635 411 521 392 634 592 818 592 592 525 636 337 "
    "636 838"
)
"""The widths of the signs from space to tilde, in thousandths of the size, of DejaVu Sans: wider than what browsers take."""
WIDTHS = {chr(32 + i): int(width) / 1000 for i, width in enumerate(ADVANCES.split())}
WIDTHS |= {"\u00d7": 0.838, "\u00b7": 0.318, "\u2026": 1.0}


def text_width(text: str, size: float) -> float:
    """The width of a text in pixels: no less than it takes in DejaVu Sans or a usual font of a browser."""
    return size * sum(WIDTHS.get(sign) or (1.0 if unicodedata.combining(sign) == 0 else 0.0) for sign in text)


def cut(text: str, size: float, width: float) -> str:
    """The text on one line, cut where it is wider; what cannot be printed shows as such."""
    text = "".join(sign if sign.isprintable() else "\ufffd" for sign in " ".join(text.split()))
    if text_width(text, size) <= width:
        return text
    room = width - text_width("\u2026", size)
    kept = 0
    for sign in text:
        room -= text_width(sign, size)
        if room < 0:
            break
        kept += 1
    return text[:kept].rstrip() + "\u2026"


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle with round corners."""

    x: float
    y: float
    width: float
    height: float
    radius: float
    fill: str
    line: str = "none"
    dashed: bool = False
    hint: str = ""
    """What the pointer shows over it."""


@dataclass(frozen=True, slots=True)
class Path:
    """A line through points: ``(point,)`` is a straight stretch to it, ``(control, control, point)`` a bent one."""

    start: Point
    stretches: tuple[tuple[Point, ...], ...]
    line: str
    width: float = 1.3
    dashed: bool = False


@dataclass(frozen=True, slots=True)
class Polygon:
    """A filled polygon."""

    points: tuple[Point, ...]
    fill: str


@dataclass(frozen=True, slots=True)
class Label:
    """A text on one line; x is its left end, y its base line."""

    x: float
    y: float
    text: str
    size: float
    fill: str


Shape = Box | Path | Polygon | Label


@dataclass(slots=True)
class Drawing:
    """A picture: its size and its shapes from back to front; and where each part of the net and each wire is."""

    width: float = 0.0
    height: float = 0.0
    shapes: list[Shape] = field(default_factory=list)
    boxes: dict[tuple[str, ...], Box] = field(default_factory=dict)
    """The box of each part drawn, by path; of ports of the net ("", kind, port)."""
    wires: list[tuple[tuple[str, ...], tuple[str, ...], list[Point]]] = field(default_factory=list)
    """From which box to which a wire goes, and through which points."""
