"""What a layout takes and gives: items, the links between them, and their places."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

__all__ = ["Item", "Link", "Placed", "Point"]

Point = tuple[float, float]


@dataclass(slots=True)
class Item:
    """A box to be placed: its size, where wires of its ports meet it if that is fixed, and the rank it must stand in."""

    width: float
    height: float
    ins: dict[str, float] = field(default_factory=dict)
    outs: dict[str, float] = field(default_factory=dict)
    end: str = ""
    """"first" or "last" for the ports at the borders of a frame."""


class Link(NamedTuple):
    """A wire from a port of one item to a port of another, with the labels at its ends."""

    source: int
    out: str
    target: int
    port: str
    tail: float = 0.0
    """The width of the label at the start."""
    head: float = 0.0
    """The width of the label at the end."""


@dataclass(slots=True)
class Placed:
    """The centres of the items, the routes of the links (points; every second stretch is upright), and the whole size."""

    x: list[float]
    y: list[float]
    routes: list[list[Point]]
    width: float
    height: float
    folds: set[int] = field(default_factory=set)
    """The links that lead from the end of a column to the start of the next; their stretches are upright and level in turn."""
