"""Curves that judge the probabilities of a classifier."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from netdsl.errors import ShapeError
from netdsl.plots.canvas import ACCENT, INK, MAIN, PALETTE, blank, class_name, diagonal, legend

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["accuracy_rejection_plot", "calibration_plot", "probability_histogram", "roc_curve_plot"]

NAMED = 10
"""With more classes than this only the worst curves are named."""
WORST = 5
"""How many of them."""


def roc_curve_plot(curves: Sequence[Any], classes: Sequence[Any]) -> Figure:
    """The receiver operating characteristic of each class: true positive rate over false positive rate.

    The legend gives the area under each curve. With more than 10 classes the five of the smallest area are named and the
    others drawn in grey.

    Args:
        curves: for each class an array (k, 2) of points (false positive rate, true positive rate); an empty one is not drawn.
        classes: the labels, one for each curve.

    Raises:
        ShapeError: there are not as many curves as classes.

    >>> figure = roc_curve_plot([[[0, 0], [0, 1], [1, 1]]], ["cat"])
    >>> figure.axes[0].get_legend().get_texts()[0].get_text()
    'cat   1.000'
    """
    if len(curves) != len(classes):
        raise ShapeError(f"Each class has one ROC curve. Got {len(curves)} curves for {len(classes)} classes.")
    points = [np.asarray(curve, dtype=float).reshape(-1, 2) for curve in curves]
    drawn = [i for i, curve in enumerate(points) if len(curve) and np.isfinite(curve).all()]
    areas = {i: float(np.trapezoid(points[i][:, 1], points[i][:, 0])) for i in drawn}
    named = drawn if len(drawn) <= NAMED else sorted(drawn, key=areas.__getitem__)[:WORST]
    figure, axes = blank(6.4, 4.4, "false positive rate", "true positive rate")
    diagonal(axes)
    others = [i for i in drawn if i not in named]
    for count, i in enumerate(others):
        label = f"{len(others)} other classes" if count == 0 else None
        axes.plot(*points[i].T, color="#c9ced6", linewidth=0.8, label=label)
    for colour, i in zip(PALETTE, named):
        axes.plot(*points[i].T, color=colour, linewidth=1.6, label=f"{class_name(classes[i])}   {areas[i]:.3f}")
    axes.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.02), aspect="equal")
    if drawn:
        legend(axes, "smallest areas" if others else "class, area")
    return figure


def calibration_plot(predicted: Any, observed: Any, counts: Any = None) -> Figure:
    """How often things happened that were predicted with a probability; a calibrated classifier follows the diagonal.

    Args:
        predicted: array (k,): the mean predicted probability in each bin.
        observed: array (k,): how often the event happened in it.
        counts: array (k,), optional: how many predictions each bin holds; the marker's area grows with its logarithm.

    >>> calibration_plot([0.1, 0.5, 0.9], [0.2, 0.5, 0.8]).axes[0].get_ylabel()
    'observed frequency'
    """
    predicted, observed = np.asarray(predicted, dtype=float), np.asarray(observed, dtype=float)
    figure, axes = blank(4.4, 4.2, "predicted probability", "observed frequency")
    diagonal(axes)
    axes.plot(predicted, observed, color=MAIN, linewidth=1.5)
    sizes = 30.0 if counts is None else 14 * np.log1p(np.asarray(counts, dtype=float))
    axes.scatter(predicted, observed, s=sizes, color=MAIN, zorder=3)
    axes.set(xlim=(-0.03, 1.03), ylim=(-0.03, 1.03), aspect="equal")
    return figure


def probability_histogram(probabilities: Any) -> Figure:
    """How many examples were given which probability of their actual class.

    Args:
        probabilities: array (n,) of numbers from 0 to 1.

    >>> len(probability_histogram([0.9, 0.99, 0.2]).axes[0].patches)
    20
    """
    values = np.asarray(probabilities, dtype=float).ravel()
    figure, axes = blank(5.6, 3.4, "probability of the actual class", "examples")
    heights, edges = np.histogram(np.clip(values, 0, 1), bins=20, range=(0, 1))
    axes.bar(edges[:-1], heights, width=np.diff(edges), align="edge", color=MAIN, edgecolor="white", linewidth=0.8)
    axes.grid(False, axis="x")
    axes.set_xlim(-0.02, 1.02)
    occupied = heights[heights > 0]
    if len(occupied) > 1 and occupied.max() > 100 * occupied.min():
        axes.set_yscale("log")
        axes.set_ylim(bottom=0.7)
        axes.set_ylabel("examples (logarithmic)", color=INK, fontsize=10)
    return figure


def accuracy_rejection_plot(rejected: Any, accuracies: Any) -> Figure:
    """The accuracy on what is left when the least certain predictions are rejected.

    Args:
        rejected: array (k,): the rejected fraction of the examples, ascending.
        accuracies: array (k,): the accuracy on the others.

    >>> accuracy_rejection_plot([0, 0.5], [0.9, 1.0]).axes[0].get_xlabel()
    'rejection rate'
    """
    figure, axes = blank(5.6, 3.4, "rejection rate", "accuracy")
    values = np.asarray(accuracies, dtype=float)
    axes.plot(rejected, values, color=MAIN, linewidth=1.8)
    if len(values):
        axes.plot([0, 1], [values[0]] * 2, color=ACCENT, linewidth=1, linestyle=(0, (4, 3)))
        place: dict[str, Any] = {"xytext": (0, -4), "textcoords": "offset points", "ha": "right", "va": "top"}
        axes.annotate(f"{values[0]:.4g} without rejection", (1, values[0]), color=ACCENT, fontsize=9, **place)
    axes.set_xlim(-0.02, 1.02)
    axes.margins(y=0.18)
    return figure
