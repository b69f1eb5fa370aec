"""Measurements of single classes: rates of the four counts, areas, and how they are averaged.

Each class is taken against all others: TP examples of the class were classified as it, FN were not; FP examples of other
classes were classified as it, TN were not. A rate 0/0 is NaN (Wolfram: Indeterminate), but MatthewsCorrelationCoefficient is 0
where its denominator is, as is usual. "MacroAveraged" is the mean over the classes for which the value is defined;
"MicroAveraged" takes the sum of each count over the classes first.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from netdsl.errors import DeclarationError, excerpt, nearest
from netdsl.measurements.predictions import Predictions
from netdsl.symbols import Rule

__all__ = [
    "AVERAGES",
    "RATES",
    "PerClass",
    "area",
    "area_micro",
    "class_cross_entropy",
    "class_or_average",
    "f_score",
    "rate",
]

AVERAGES = ("MacroAveraged", "MicroAveraged")
Counts = Callable[[Any, Any, Any, Any], Any]


def ratio(above: Any, below: Any) -> Any:
    """The quotient, NaN for 0/0."""
    below = np.asarray(below, dtype=float)
    return np.divide(above, below, out=np.full(below.shape, np.nan), where=below != 0)


def matthews(tp: Any, fp: Any, fn: Any, tn: Any) -> Any:
    """The correlation of being in the class and being classified as it."""
    tp, fp, fn, tn = (np.asarray(count, dtype=float) for count in (tp, fp, fn, tn))
    below = np.sqrt((tp + fp) * (tp + fn) * (tn + fp) * (tn + fn))
    return np.where(below == 0, 0.0, (tp * tn - fp * fn) / np.where(below == 0, 1.0, below))


RATES: dict[str, Counts] = {
    "TruePositiveNumber": lambda tp, fp, fn, tn: tp,
    "TrueNegativeNumber": lambda tp, fp, fn, tn: tn,
    "FalsePositiveNumber": lambda tp, fp, fn, tn: fp,
    "FalseNegativeNumber": lambda tp, fp, fn, tn: fn,
    "Precision": lambda tp, fp, fn, tn: ratio(tp, tp + fp),
    "Recall": lambda tp, fp, fn, tn: ratio(tp, tp + fn),
    "Sensitivity": lambda tp, fp, fn, tn: ratio(tp, tp + fn),
    "Specificity": lambda tp, fp, fn, tn: ratio(tn, tn + fp),
    "FalseDiscoveryRate": lambda tp, fp, fn, tn: ratio(fp, tp + fp),
    "FalseNegativeRate": lambda tp, fp, fn, tn: ratio(fn, fn + tp),
    "FalsePositiveRate": lambda tp, fp, fn, tn: ratio(fp, fp + tn),
    "FalseOmissionRate": lambda tp, fp, fn, tn: ratio(fn, fn + tn),
    "NegativePredictiveValue": lambda tp, fp, fn, tn: ratio(tn, tn + fn),
    "F1Score": lambda tp, fp, fn, tn: ratio(2 * tp, 2 * tp + fp + fn),
    "Informedness": lambda tp, fp, fn, tn: ratio(tp, tp + fn) + ratio(tn, tn + fp) - 1,
    "Markedness": lambda tp, fp, fn, tn: ratio(tp, tp + fp) + ratio(tn, tn + fn) - 1,
    "MatthewsCorrelationCoefficient": matthews,
}
"""The rates as functions of TP, FP, FN, TN."""


class PerClass:
    """A value for each class, for one class, or averaged over the classes.

    Args:
        values: the predictions → an array (c,).
        micro: the predictions → the micro average.
    """

    def __init__(self, values: Callable[[Predictions], Any], micro: Callable[[Predictions], Any]) -> None:
        self.values, self.micro = values, micro

    def __call__(self, predictions: Predictions, which: int | str | None = None) -> Any:
        if which == "MicroAveraged":
            return np.asarray(self.micro(predictions)).item()
        values = np.asarray(self.values(predictions))
        if which == "MacroAveraged":
            defined = values[~np.isnan(values)]
            return defined.mean().item() if len(defined) else float("nan")
        if which is None:
            return dict(zip(predictions.classes, values.tolist()))
        return values[which].item()


def rate(formula: Counts) -> PerClass:
    """The measurement that a formula of TP, FP, FN, TN is."""
    return PerClass(lambda p: formula(*p.counts), lambda p: formula(*(count.sum() for count in p.counts)))


def class_or_average(predictions: Predictions, thing: Any) -> int | str:
    """The position of a class, or the name of an average."""
    try:
        if thing in predictions.positions:
            return predictions.positions[thing]
    except TypeError:  # not hashable, so no label
        pass
    if isinstance(thing, str) and thing in AVERAGES:
        return thing
    raise DeclarationError(f"{excerpt(thing)} is no class and no average. {nearest(thing, [*predictions.classes, *AVERAGES])}")


def f_score(predictions: Predictions, parameter: tuple[float, int | str | None] = (1.0, None)) -> Any:
    """(1 + b²) P R / (b² P + R) of each class for ``b -> parameter[0]``, written in counts so that it is 0 where P or R is."""
    square, which = parameter[0] ** 2, parameter[1]
    measure = rate(lambda tp, fp, fn, tn: ratio((1 + square) * tp, (1 + square) * tp + square * fn + fp))
    return measure(predictions, which)


def beta(predictions: Predictions, thing: Any) -> tuple[float, int | str | None]:
    """The b of an F score, or ``Rule(b, class)``."""
    number, which = thing if isinstance(thing, (Rule, list, tuple)) and len([*thing]) == 2 else (thing, None)
    if isinstance(number, bool) or not isinstance(number, (int, float)) or not number > 0:
        raise DeclarationError(f"takes a number above 0, or Rule(number, class). Got {excerpt(thing)}.")
    return float(number), None if which is None else class_or_average(predictions, which)


def class_cross_entropy(predictions: Predictions) -> np.ndarray:
    """The mean cross entropy of the examples of each class; NaN for a class without examples."""
    return ratio(predictions.class_losses, predictions.truths)  # type: ignore[no-any-return]


def area(predictions: Predictions) -> np.ndarray:
    """The area under the ROC curve of each class; NaN if all or none of the examples are of the class."""
    from sklearn.metrics import auc

    return np.array([auc(*curve.T) if len(curve) else np.nan for curve in predictions.curves])


def area_micro(predictions: Predictions) -> float:
    """The area under the ROC curve of all pairs of an example and a class together."""
    from sklearn.metrics import roc_auc_score

    true = predictions.truth[:, None] == np.arange(len(predictions.classes))
    if true.all() or not true.any():
        return float("nan")
    return float(roc_auc_score(true.ravel(), predictions.probabilities.ravel()))
