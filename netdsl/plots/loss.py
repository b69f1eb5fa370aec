"""The course of a training as a picture."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from netdsl.errors import DeclarationError
from netdsl.plots.canvas import ACCENT, MAIN, MUTED, blank, legend

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["loss_plot"]

WIDE = 20.0
"""Values whose largest is more than this many times their smallest are drawn on a logarithmic scale."""
MARKED = 100
"""A longer curve of validations has no markers."""
SMOOTHED = 500
"""Of more rounds the strong curve shows averages over several, so that it has at most this many points."""
FINEST = 2000
"""A longer batch curve is averaged down to this many points."""


def loss_plot(training: Any, validation: Any = None, label: str = "loss", *, batches_per_round: int = 1) -> Figure:
    """The loss, or another measurement, over the rounds of a training.

    A pale curve shows the batches, a strong one their averages over each round (of many rounds over several), drawn in its
    middle; markers show the validation set. The scale is logarithmic when all values are positive and the largest is more than
    20 times the smallest.
    Where a value is not finite the curve has a gap. Above the axes the batches are counted, where a round has several.

    Args:
        training: the value of every batch in order, or of every round with ``batches_per_round=1``.
        validation: the value after rounds 1, 2, … , or a mapping from rounds to values.
        label: what is measured.
        batches_per_round: how many batches make a round.

    Raises:
        DeclarationError: `batches_per_round` is below 1.

    >>> figure = loss_plot([2.0, 0.5, 0.1, 0.05], [0.4, 0.08], batches_per_round=2)
    >>> figure.axes[0].get_yscale(), figure.axes[0].get_xlabel()
    ('log', 'rounds')
    """
    from matplotlib.ticker import MaxNLocator

    if batches_per_round < 1:
        raise DeclarationError(f"loss_plot: a round has at least one batch. Got batches_per_round={batches_per_round!r}.")
    batches = np.asarray(training, dtype=float).ravel()
    validation = {} if validation is None else validation
    pairs = validation.items() if isinstance(validation, Mapping) else enumerate(validation, 1)
    points = np.array(list(pairs), dtype=float).reshape(-1, 2)
    figure, axes = blank(6.2, 3.6, "rounds", label)
    fine_x, fine_y = thinned(batches, batches_per_round)
    together = -(-len(batches) // (batches_per_round * SMOOTHED))
    fine = batches_per_round * together > 1
    if fine:
        axes.plot(fine_x, fine_y, color=MAIN, alpha=0.3, linewidth=0.9)
    round_x, round_y = round_averages(batches, batches_per_round * max(together, 1))
    round_x = round_x * max(together, 1)
    marker = "o" if len(round_x) <= 30 else ""
    axes.plot(round_x, round_y, color=MAIN, linewidth=1.8, marker=marker, markersize=3.5, label="training set")
    if len(points):
        line = "-" if len(points) > 1 else ""
        marks: dict[str, Any] = {"marker": "D" if len(points) <= MARKED else "", "markersize": 5 if len(points) <= 30 else 2.5}
        axes.plot(*points.T, color=ACCENT, linewidth=1.2, linestyle=line, label="validation set", **marks)
    shown = np.concatenate([fine_y, round_y, points[:, 1]])
    shown = shown[np.isfinite(shown)]
    if len(shown) and shown.min() > 0 and shown.max() > WIDE * shown.min():
        axes.set_yscale("log")
        axes.grid(True, which="minor", axis="y", color="#f2f3f5", linewidth=0.6)
        plain_numbers(axes)
    elif len(shown) and shown.min() >= 0:
        axes.set_ylim(0, 1.06 * shown.max() or 1)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    end = max([1.0, *fine_x[-1:], *points[:, 0]])
    axes.set_xlim(-0.02 * end, 1.02 * end)
    if batches_per_round > 1:
        count_batches(axes, batches_per_round)
    legend(axes)
    return figure


def plain_numbers(axes: Axes) -> None:
    """A logarithmic scale labelled 0.5, 1, 2 rather than by powers of ten, where these are neither tiny nor huge."""
    from matplotlib.ticker import LogFormatterSciNotation, LogLocator

    class Plain(LogFormatterSciNotation):
        def __call__(self, x: float, pos: int | None = None) -> str:
            shown = super().__call__(x, pos)
            return f"{x:g}" if shown and 1e-4 < x < 1e6 else shown

    low, high = axes.get_ylim()
    axes.yaxis.set_minor_locator(LogLocator(subs=(2, 5) if high < 1e3 * low else (1,)))
    axes.yaxis.set_major_formatter(Plain())
    axes.yaxis.set_minor_formatter(Plain(minor_thresholds=(9, 9)))
    axes.tick_params(axis="y", which="minor", labelsize=8)


def count_batches(axes: Axes, batches_per_round: int) -> None:
    """A second scale above the axes, in batches."""
    from matplotlib.ticker import EngFormatter, MaxNLocator

    def batches(rounds: Any) -> Any:
        return rounds * batches_per_round

    def rounds(batches: Any) -> Any:
        return batches / batches_per_round

    above = axes.secondary_xaxis("top", functions=(batches, rounds))
    above.spines["top"].set_visible(False)
    above.tick_params(colors=MUTED, labelcolor=MUTED, labelsize=8, length=2, pad=1)
    above.xaxis.set_major_locator(MaxNLocator(6, integer=True))
    above.xaxis.set_major_formatter(EngFormatter(sep=""))
    above.set_xlabel("batches", color=MUTED, fontsize=8, labelpad=3)


def thinned(batches: np.ndarray, batches_per_round: int) -> tuple[np.ndarray, np.ndarray]:
    """The batch curve, x in rounds: every batch, or averages of neighbours when there are too many."""
    x = np.arange(1, len(batches) + 1) / batches_per_round
    width = -(-len(batches) // FINEST)
    if width <= 1:
        return x, batches
    starts = np.arange(0, len(batches), width)
    sizes = np.diff(np.append(starts, len(batches)))
    return np.add.reduceat(x, starts) / sizes, np.add.reduceat(batches, starts) / sizes


def round_averages(batches: np.ndarray, batches_per_round: int) -> tuple[np.ndarray, np.ndarray]:
    """The mean over the batches of each round, placed in the middle of the round; a round of one batch at its end.

    >>> round_averages(np.array([4.0, 2.0, 1.0]), 2)
    (array([0.5 , 1.25]), array([3., 1.]))
    """
    if len(batches) == 0:
        return np.zeros(0), np.zeros(0)
    starts = np.arange(0, len(batches), batches_per_round)
    ends = np.minimum(starts + batches_per_round, len(batches))
    places = ends if batches_per_round == 1 else (starts + ends) / 2
    return places / batches_per_round, np.add.reduceat(batches, starts) / (ends - starts)
