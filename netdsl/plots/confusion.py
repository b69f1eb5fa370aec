"""The confusion matrix as a picture."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from netdsl.errors import ShapeError
from netdsl.plots.canvas import GRID, INK, MAIN, MUTED, blank, class_name

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["confusion_matrix_plot"]

LARGEST = 15.0
"""The longest side of the matrix in inches."""
SMALLEST_TEXT = 4.5
"""Numbers that would be smaller than this (in points) are left out."""
ZEROS_UP_TO = 20
"""With more classes, cells that count nothing stay empty."""


def confusion_matrix_plot(counts: Any, classes: Sequence[Any]) -> Figure:
    """The counts of a confusion matrix as coloured cells with class names and totals.

    Row i, column j counts the examples of class i that were classified as j. On the right stand the totals of the actual
    classes, at the bottom those of the predicted ones. The colour is the square root of a cell's share of its row, so that
    rare confusions show. With many classes the cells shrink, and numbers that cannot be read are left out.

    Args:
        counts: array (c, c) of counts.
        classes: the c labels; anything that prints. Long names are cut.

    Raises:
        ShapeError: `counts` is not a square of as many rows as there are classes.

    >>> figure = confusion_matrix_plot([[8, 2], [1, 9]], ["cat", "dog"])
    >>> [label.get_text() for label in figure.axes[0].get_xticklabels()]
    ['cat', 'dog']
    """
    counts = np.asarray(counts)
    size = len(classes)
    if counts.shape != (size, size) or size == 0:
        raise ShapeError(f"A confusion matrix of {size} classes is {size} x {size}. Got an array of shape {counts.shape}.")
    names = [class_name(label) for label in classes]
    cell = min(0.55, max(0.19, 6.5 / size), LARGEST / size)
    text = min(9.5, max(5.0, cell * 72 * 0.72))
    longest = max(map(len, names))
    upright = cell * 72 >= longest * text * 0.62
    side = size * cell
    margin = longest * text * 0.6 / 72 + 1.0
    figure, axes = blank(side + margin, side + (1.1 if upright else margin), "predicted class", "actual class")
    draw_cells(axes, counts, cell)
    step = int(np.ceil(text * 1.2 / (cell * 72)))
    ticks = range(0, size, step)
    shown = [names[i] for i in ticks]
    axes.xaxis.set_label_position("top")
    axes.xaxis.tick_top()
    axes.set_xticks(ticks, shown, rotation=0 if upright else 90, fontsize=text, parse_math=False)
    axes.set_yticks(ticks, shown, fontsize=text, parse_math=False)
    draw_totals(axes, counts, cell, ticks)
    axes.tick_params(length=0)
    axes.grid(False)
    axes.spines[:].set_visible(False)
    return figure


def draw_cells(axes: Axes, counts: np.ndarray, cell: float) -> None:
    """The matrix itself: colours, thin lines between the cells, numbers where they can be read."""
    from matplotlib.colors import LinearSegmentedColormap

    size = len(counts)
    share = np.sqrt(counts / np.maximum(counts.sum(axis=1, keepdims=True), 1))
    colours = LinearSegmentedColormap.from_list("counts", ["#ffffff", "#cfe0f3", MAIN, "#173d6b"])
    axes.imshow(share, cmap=colours, vmin=0, vmax=1, interpolation="nearest")
    edges = np.arange(size + 1) - 0.5
    axes.hlines(edges, -0.5, size - 0.5, color=GRID, linewidth=min(1.0, cell * 2))
    axes.vlines(edges, -0.5, size - 0.5, color=GRID, linewidth=min(1.0, cell * 2))
    points = text_size(counts, cell)
    if points < SMALLEST_TEXT:
        return
    for row, column in np.ndindex(size, size):
        count = counts[row, column]
        if count == 0 and size > ZEROS_UP_TO:
            continue
        colour = "white" if share[row, column] > 0.6 else "#b9bec6" if count == 0 else INK
        axes.text(column, row, written(count), ha="center", va="center", fontsize=points, color=colour)


def draw_totals(axes: Axes, counts: np.ndarray, cell: float, ticks: Sequence[int]) -> None:
    """How many examples are of each class, on the right, and classified as it, at the bottom."""
    actual, predicted = counts.sum(axis=1), counts.sum(axis=0)
    points = min(9.5, max(5.0, cell * 72 * 0.6))
    turned = text_size(predicted, cell) < points
    offset: dict[str, Any] = {"textcoords": "offset points", "color": MUTED, "fontsize": points, "gid": "total"}
    for i in ticks:
        place: dict[str, Any] = {
            "xy": (1, i),
            "xycoords": ("axes fraction", "data"),
            "xytext": (5, 0),
            "ha": "left",
            "va": "center",
        }
        axes.annotate(written(actual[i]), **place, **offset)
        place = {"xy": (i, 0), "xycoords": ("data", "axes fraction"), "xytext": (0, -5), "ha": "center", "va": "top"}
        axes.annotate(written(predicted[i]), **place, **offset, rotation=90 if turned else 0)


def written(count: Any) -> str:
    """A whole number in full, another one in short."""
    return str(int(count)) if count == int(count) else f"{count:.3g}"


def text_size(numbers: np.ndarray, cell: float) -> float:
    """The largest text in points at which every number fits a cell of that many inches."""
    digits = len(written(numbers.max()))
    return min(9.5, cell * 72 * 0.9 / (0.62 * max(digits, 2)))
