"""The look that all figures share: colours, an empty pair of axes, class names that fit."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["ACCENT", "GRID", "INK", "MAIN", "MUTED", "PALETTE", "blank", "class_name", "diagonal", "legend"]

INK, MUTED, GRID = "#2d3138", "#7a828e", "#e6e8eb"
MAIN, ACCENT = "#2f6db5", "#e07b1f"
PALETTE = (MAIN, ACCENT, "#3a9a5b", "#c23b4b", "#7d5bb0", "#8a6242", "#d65fa3", "#5f6b78", "#a3a51f", "#1fa3b5")


def blank(width: float, height: float, xlabel: str, ylabel: str) -> tuple[Figure, Axes]:
    """A figure of that size in inches with one pair of axes: two spines, a pale grid, labels."""
    from netdsl.plots.figure import NotebookFigure

    figure = NotebookFigure(figsize=(width, height), layout="constrained", facecolor="white")
    axes = figure.add_subplot(facecolor="white")
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(MUTED)
    axes.tick_params(which="both", colors=MUTED, labelcolor=INK, labelsize=9)
    axes.grid(True, color=GRID, linewidth=0.8)
    axes.set_axisbelow(True)
    axes.set_xlabel(xlabel, color=INK, fontsize=10)
    axes.set_ylabel(ylabel, color=INK, fontsize=10)
    return figure, axes


def legend(axes: Axes, title: str = "") -> None:
    """A frameless legend where there is room; with a title, to the right of the axes."""
    place: dict[str, Any] = {"loc": "upper left", "bbox_to_anchor": (1.01, 1.0)} if title else {"loc": "best"}
    drawn = axes.legend(frameon=False, fontsize=9, labelcolor=INK, title=title, title_fontsize=9, **place)
    drawn.get_title().set_color(MUTED)
    for text in drawn.get_texts():
        text.set_parse_math(False)


def diagonal(axes: Axes, ends: Iterable[float] = (0.0, 1.0)) -> None:
    """The dashed line on which both coordinates are equal."""
    both = list(ends)
    axes.plot(both, both, color=MUTED, linewidth=1, linestyle=(0, (4, 3)), zorder=1)


def class_name(label: object, limit: int = 24) -> str:
    """The label of a class as text for a figure, cut to `limit` signs.

    >>> class_name("a name that goes on and on", 12)
    'a name that…'
    """
    text = " ".join(str(label).split())
    return text if len(text) <= limit else text[: limit - 1].rstrip() + "…"
