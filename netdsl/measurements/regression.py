"""Every measurement of a net that predicts numbers, as one table.

Residuals are predicted less actual values. Predictions may be arrays: numbers are then taken over all elements of all
examples, and the total variance is about the mean of each element.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from netdsl.errors import DataError
from netdsl.measurements.examples import DEFAULT, positive_integer
from netdsl.measurements.predictions import Seconds, asked_seconds
from netdsl.measurements.properties import Property, PropertyTable
from netdsl.measurements.report import MISSING, text_rows
from netdsl.plots import comparison_plot, residual_histogram, residual_plot
from netdsl.symbols import Quantity, Rule

__all__ = ["REGRESSION", "NumberPredictions"]


@dataclass(frozen=True, eq=False)
class NumberPredictions:
    """The numbers that were predicted, with the true ones.

    Args:
        predicted: array (n, …).
        truth: array of the same shape.
        seconds: how long it took to predict all together; a number, or a function that finds it out when asked.
        example_seconds: how long it takes to predict a single one, likewise.
        examples: the n things from which was predicted.

    Raises:
        DataError: shapes that differ, no examples, or numbers that are not finite.
    """

    predicted: np.ndarray
    truth: np.ndarray
    seconds: Seconds = None
    example_seconds: Seconds = None
    examples: Any = None

    def __post_init__(self) -> None:
        predicted, truth = np.asarray(self.predicted, dtype=float), np.asarray(self.truth, dtype=float)
        if predicted.shape != truth.shape or predicted.ndim == 0 or len(truth) == 0:
            raise DataError(f"Predicted and true values have one shape (n, …). Got {predicted.shape} and {truth.shape}.")
        if not (np.isfinite(predicted).all() and np.isfinite(truth).all()):
            raise DataError("Predicted and true values are finite numbers. Got NaN or infinite ones.")
        if self.examples is not None and len(self.examples) != len(truth):
            raise DataError(f"There are {len(truth)} predictions but {len(self.examples)} examples.")
        object.__setattr__(self, "predicted", predicted)
        object.__setattr__(self, "truth", truth)

    def __repr__(self) -> str:
        return f"NumberPredictions({len(self.truth)} examples)"

    @cached_property
    def residuals(self) -> np.ndarray:
        """Predicted less actual values."""
        return self.predicted - self.truth

    @cached_property
    def distances(self) -> np.ndarray:
        """How far off each example is, (n,)."""
        return np.linalg.norm(self.residuals.reshape(len(self.truth), -1), axis=1)

    @property
    def mean_square(self) -> float:
        """The mean square of the residuals."""
        return float((self.residuals**2).mean())

    @property
    def mean_deviation(self) -> float:
        """The mean absolute residual."""
        return float(np.abs(self.residuals).mean())

    @property
    def variance(self) -> float:
        """The variance of the actual values about the mean of each element."""
        return float(((self.truth - self.truth.mean(axis=0)) ** 2).mean())


def mean_square(p: NumberPredictions) -> float:
    """The mean square of the residuals."""
    return p.mean_square


def standard_deviation(p: NumberPredictions) -> float:
    """The root of the mean square of the residuals."""
    return mean_square(p) ** 0.5


def fraction_unexplained(p: NumberPredictions) -> float:
    """The mean square of the residuals over the variance of the actual values; NaN for 0/0, else infinite without variance."""
    residual, total = p.mean_square, p.variance
    return residual / total if total else float("inf") if residual else float("nan")


def mean_deviation(p: NumberPredictions) -> float:
    """The mean absolute residual."""
    return p.mean_deviation


def ranked(sign: int) -> Any:
    """The measurement that lists the examples that are nearest (1) or farthest off (-1), ten of them or n."""

    def measure(p: NumberPredictions, limit: int = DEFAULT) -> list[Rule]:
        order = np.argsort(sign * p.distances, kind="stable")[:limit]
        return [Rule(p.examples[int(i)], p.truth[i].tolist()) for i in order]

    return measure


def regression_rows(p: NumberPredictions) -> list[tuple[str, str]]:
    """The numbers of a report, as texts."""
    numbers = {
        "standard deviation": standard_deviation(p),
        "mean deviation": mean_deviation(p),
        "R squared": 1 - fraction_unexplained(p),
    }
    return [("test examples", str(len(p.truth))), *((name, f"{number:.5g}") for name, number in numbers.items())]


REGRESSION = PropertyTable(
    [
        Property("BatchEvaluationTime", lambda p: Quantity(asked_seconds(p.seconds) / len(p.truth), "Seconds"), needs="seconds"),
        Property("BestPredictedExamples", ranked(1), positive_integer, "examples"),
        Property("ComparisonPlot", lambda p: comparison_plot(p.truth, p.predicted)),
        Property("EvaluationTime", lambda p: Quantity(asked_seconds(p.example_seconds), "Seconds"), needs="example_seconds"),
        Property("FractionVarianceUnexplained", fraction_unexplained),
        Property("MeanDeviation", mean_deviation),
        Property("MeanSquare", mean_square),
        Property("RSquared", lambda p: 1 - fraction_unexplained(p)),
        Property("Report", lambda p: text_rows("Predictor measurements", regression_rows(p))),
        Property("ResidualHistogram", lambda p: residual_histogram(p.residuals)),
        Property("ResidualPlot", lambda p: residual_plot(p.truth, p.predicted)),
        Property("Residuals", lambda p: p.residuals.copy()),
        Property("StandardDeviation", standard_deviation),
        Property("WorstPredictedExamples", ranked(-1), positive_integer, "examples"),
    ],
    MISSING,
)
"""Every property of predicted numbers: ``REGRESSION.measure(predictions, "RSquared")``."""
