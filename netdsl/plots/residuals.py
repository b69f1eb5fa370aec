"""Predicted numbers against actual ones."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from netdsl.errors import ShapeError
from netdsl.plots.canvas import ACCENT, MAIN, blank, diagonal

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["comparison_plot", "residual_histogram", "residual_plot"]


def comparison_plot(actual: Any, predicted: Any) -> Figure:
    """The predicted values over the actual ones; perfect predictions lie on the diagonal.

    Args:
        actual: array of numbers.
        predicted: as many numbers.

    Raises:
        ShapeError: the numbers are not equally many.

    >>> comparison_plot([1, 2], [1.1, 1.9]).axes[0].get_xlabel()
    'actual value'
    """
    actual, predicted = paired(actual, predicted)
    figure, axes = blank(4.6, 4.4, "actual value", "predicted value")
    ends = np.array([min(actual.min(), predicted.min()), max(actual.max(), predicted.max())])
    diagonal(axes, ends)
    axes.plot(actual, predicted, color=MAIN, **dots(len(actual)))
    axes.set_aspect("equal", adjustable="datalim")
    return figure


def residual_plot(actual: Any, predicted: Any) -> Figure:
    """The residuals, predicted less actual value, over the actual values.

    Args:
        actual: array of numbers.
        predicted: as many numbers.

    Raises:
        ShapeError: the numbers are not equally many.

    >>> residual_plot([1, 2], [1.1, 1.9]).axes[0].get_ylabel()
    'residual'
    """
    actual, predicted = paired(actual, predicted)
    figure, axes = blank(5.6, 3.4, "actual value", "residual")
    axes.axhline(0, color=ACCENT, linewidth=1)
    axes.plot(actual, predicted - actual, color=MAIN, **dots(len(actual)))
    return figure


def residual_histogram(residuals: Any) -> Figure:
    """How often residuals of which size occur.

    Args:
        residuals: array of numbers.

    >>> residual_histogram([0.1, -0.2, 0.05]).axes[0].get_xlabel()
    'residual'
    """
    values = np.asarray(residuals, dtype=float).ravel()
    figure, axes = blank(5.6, 3.4, "residual", "examples")
    heights, edges = np.histogram(values, bins=min(40, max(5, int(np.ceil(2 * len(values) ** (1 / 3))))))
    axes.bar(edges[:-1], heights, width=np.diff(edges), align="edge", color=MAIN, edgecolor="white", linewidth=0.8)
    axes.axvline(0, color=ACCENT, linewidth=1)
    axes.grid(False, axis="x")
    return figure


def paired(actual: Any, predicted: Any) -> tuple[np.ndarray, np.ndarray]:
    """Both as flat arrays of numbers, which must be equally many."""
    first, second = (np.asarray(values, dtype=float).ravel() for values in (actual, predicted))
    if len(first) != len(second) or len(first) == 0:
        raise ShapeError(f"There are {len(first)} actual values and {len(second)} predicted ones. Each needs its counterpart.")
    return first, second


def dots(count: int) -> dict[str, Any]:
    """Dots that stay apart: small and pale when there are many."""
    size, alpha = (5.0, 0.75) if count <= 200 else (3.5, 0.5) if count <= 2000 else (2.0, 0.25)
    return {"linestyle": "", "marker": "o", "markersize": size, "alpha": alpha, "markeredgewidth": 0}
