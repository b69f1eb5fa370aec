"""Every measurement of a classifier, as one table.

With an IndeterminateThreshold, predictions whose largest probability is below it are dropped from what compares decisions
(accuracy, the confusion matrix, rates, kappa, lists of right and wrong examples). What judges probabilities (entropy, cross
entropy, areas) takes all.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from netdsl.errors import DeclarationError, excerpt
from netdsl.measurements.examples import (
    class_and_limit,
    class_position,
    confused,
    outcome,
    positive_integer,
    ranked,
    selected,
    two_classes,
)
from netdsl.measurements.predictions import Predictions, asked_seconds
from netdsl.measurements.properties import Property, PropertyTable
from netdsl.measurements.rates import (
    RATES,
    PerClass,
    area,
    area_micro,
    beta,
    class_cross_entropy,
    class_or_average,
    f_score,
    rate,
    ratio,
)
from netdsl.measurements.report import MATRIX_UP_TO, MISSING, matrix_text, short, text_rows
from netdsl.plots import accuracy_rejection_plot, calibration_plot, confusion_matrix_plot, probability_histogram, roc_curve_plot
from netdsl.symbols import Quantity, Rule

__all__ = ["CLASSIFICATION", "confusion_plot", "summary"]


def accuracy(p: Predictions, top: int = 1) -> float:
    """The fraction of kept examples whose true class is among the `top` likeliest; NaN if none is kept."""
    return p.within(top)


def accuracy_baseline(p: Predictions) -> float:
    """The accuracy of always saying the commonest class of the test data."""
    return float(p.truths.max() / p.size)


def cohen_kappa(p: Predictions) -> float:
    """(po - pe) / (1 - pe), with pe from both marginals; NaN where pe is 1."""
    actual, decided = marginals(p)
    return agreement(p, (actual * decided).sum() / max(actual.sum(), 1) ** 2)


def scott_pi(p: Predictions) -> float:
    """(po - pe) / (1 - pe), with pe from the pooled marginals; NaN where pe is 1."""
    actual, decided = marginals(p)
    return agreement(p, (((actual + decided) / (2 * max(actual.sum(), 1))) ** 2).sum())


def marginals(p: Predictions) -> tuple[np.ndarray, np.ndarray]:
    """How many of the kept examples are of each class, and how many were classified as it."""
    tp, fp, fn, _ = p.counts
    return tp + fn, tp + fp


def agreement(p: Predictions, chance: float) -> float:
    """How far the agreement exceeds that by chance, of what it could."""
    return float(ratio(accuracy(p) - chance, 1 - chance))


def top_confusions(p: Predictions, limit: int = 10) -> dict[Rule, int]:
    """The commonest confusions, ``Rule(true, predicted)`` → how often."""
    wrong = p.confusion - np.diag(p.confusion.diagonal())
    order = np.argsort(-wrong, axis=None, kind="stable")[:limit]
    pairs = [divmod(int(i), len(p.classes)) for i in order if wrong.flat[i]]
    return {Rule(p.classes[i], p.classes[j]): int(wrong[i, j]) for i, j in pairs}


def confusion_function(p: Predictions) -> Callable[[Any, Any], int]:
    """The function that takes a true and a predicted class to their number."""
    return lambda true, predicted: int(p.confusion[two_classes(p, [true, predicted])])


def confusion_plot(p: Predictions, subset: list[int] | None = None) -> Any:
    """The confusion matrix as a figure, of all classes or of some."""
    chosen = list(range(len(p.classes))) if subset is None else subset
    return confusion_matrix_plot(p.confusion[np.ix_(chosen, chosen)], [p.classes[i] for i in chosen])


def classes_or_worst(p: Predictions, thing: Any) -> list[int]:
    """The listed classes, or the n classes with the most errors in their own order."""
    if isinstance(thing, (list, tuple)) and thing:
        return [class_position(p, label) for label in thing]
    if isinstance(thing, (list, tuple)):
        raise DeclarationError(f"takes at least one class. Got {excerpt(thing)}.")
    errors = p.confusion.sum(axis=0) + p.confusion.sum(axis=1) - 2 * p.confusion.diagonal()
    return sorted(np.argsort(-errors, kind="stable")[: positive_integer(p, thing)].tolist())


def roc_curves(p: Predictions, which: int | None = None) -> Any:
    """For each class, or one, the points (false positive rate, true positive rate)."""
    return dict(zip(p.classes, p.curves)) if which is None else p.curves[which]


def roc_plot(p: Predictions, which: int | None = None) -> Any:
    """The ROC curves as a figure."""
    chosen = range(len(p.classes)) if which is None else [which]
    return roc_curve_plot([p.curves[i] for i in chosen], [p.classes[i] for i in chosen])


def calibration(p: Predictions, which: int | None = None) -> Any:
    """How often a class was the true one, over the probability that was given to it: of every class, or of one."""
    from sklearn.calibration import calibration_curve

    true = p.truth[:, None] == np.arange(len(p.classes))
    columns = slice(None) if which is None else [which]
    probabilities = np.clip(p.probabilities[:, columns].ravel(), 0, 1)
    observed, predicted = calibration_curve(true[:, columns].ravel().astype(int), probabilities, n_bins=10, pos_label=1)
    bins = np.histogram(probabilities, bins=10, range=(0, 1))[0]
    bins = bins[bins > 0]
    return calibration_plot(predicted, observed, bins if len(bins) == len(predicted) else None)


def true_class_histogram(p: Predictions, which: int | None = None) -> Any:
    """The probabilities of the true classes, of all examples or of those of one class."""
    return probability_histogram(p.true_probabilities if which is None else p.true_probabilities[p.truth == which])


def accuracy_rejection(p: Predictions) -> Any:
    """The accuracy over the fraction of examples that a rising threshold rejects."""
    right = (p.truth == p.decisions)[np.argsort(-p.probabilities.max(axis=1), kind="stable")]
    accuracies = (np.cumsum(right) / np.arange(1, len(right) + 1))[::-1]
    return accuracy_rejection_plot(np.arange(len(right)) / len(right), accuracies)


def named(p: Predictions) -> list[dict[Any, float]]:
    """The probabilities of each example by label."""
    return [dict(zip(p.classes, row)) for row in p.probabilities.tolist()]


def error(p: Predictions, top: int = 1) -> float:
    """1 - accuracy."""
    return 1 - accuracy(p, top)


def mean_loss(p: Predictions) -> float:
    """The mean cross entropy in nats."""
    return p.mean_loss


def summary(p: Predictions) -> list[tuple[str, str]]:
    """The numbers at the head of a report, as texts."""
    shares = {
        "accuracy": accuracy(p),
        "accuracy baseline": accuracy_baseline(p),
        "error": error(p),
        "rejection rate": rejection(p),
    }
    return [("test examples", str(len(p.truth))), *((name, f"{100 * share:.4g} %") for name, share in shares.items())]


def report(p: Predictions) -> str:
    """The accuracy and its companions, then the confusion matrix, or the commonest confusions of many classes."""
    head = text_rows("Classifier measurements", summary(p))
    if len(p.classes) <= MATRIX_UP_TO:
        return head + "\n\n" + matrix_text(p.confusion, p.classes)
    rows = [(f"{short(pair.key, 24)} → {short(pair.value, 24)}", str(n)) for pair, n in top_confusions(p).items()]
    return head + "\n\n" + text_rows("Commonest confusions (actual → predicted class)", rows or [("none", "")])


def rejection(p: Predictions) -> float:
    """The fraction of predictions that are indeterminate."""
    return float(1 - p.kept.mean())


def class_rejection(p: Predictions) -> Any:
    """The fraction of the examples of each class whose prediction is indeterminate; NaN for a class without examples."""
    size = len(p.classes)
    return ratio(np.bincount(p.truth[~p.kept], minlength=size), np.bincount(p.truth, minlength=size))


def right(p: Predictions) -> np.ndarray:
    """Which examples are kept and classified right."""
    return (p.truth == p.decisions) & p.kept


NUMBERS = [
    Property("Accuracy", accuracy, positive_integer),
    Property("AccuracyBaseline", accuracy_baseline),
    Property("BatchEvaluationTime", lambda p: Quantity(asked_seconds(p.seconds) / len(p.truth), "Seconds"), needs="seconds"),
    Property("CohenKappa", cohen_kappa),
    Property("Entropy", lambda p: p.mean_entropy),
    Property("Error", error, positive_integer),
    Property("ErrorRate", error, positive_integer),
    Property("EvaluationTime", lambda p: Quantity(asked_seconds(p.example_seconds), "Seconds"), needs="example_seconds"),
    Property("GeometricMeanProbability", lambda p: float(np.exp(-mean_loss(p)))),
    Property("LogLikelihood", lambda p: -float(p.class_losses.sum())),
    Property("MeanCrossEntropy", mean_loss),
    Property("Perplexity", lambda p: float(np.exp(mean_loss(p)))),
    Property("Probabilities", named),
    Property("RejectionRate", rejection),
    Property("Report", report),
    Property("ScottPi", scott_pi),
]
CONFUSIONS = [
    Property("ConfusionFunction", confusion_function),
    Property("ConfusionMatrix", lambda p: p.confusion.copy()),
    Property("ConfusionMatrixPlot", confusion_plot, classes_or_worst),
    Property("TopConfusions", top_confusions, positive_integer),
]
PER_CLASS = [
    *(Property(name, rate(formula), class_or_average) for name, formula in RATES.items()),
    Property("AreaUnderROCCurve", PerClass(area, area_micro), class_or_average),
    Property("ClassMeanCrossEntropy", PerClass(class_cross_entropy, mean_loss), class_or_average),
    Property("ClassRejectionRate", PerClass(class_rejection, rejection), class_or_average),
    Property("FScore", f_score, beta),
]
CURVES = [
    Property("AccuracyRejectionPlot", accuracy_rejection),
    Property("CalibrationCurve", calibration, class_position),
    Property("ProbabilityHistogram", true_class_histogram, class_position),
    Property("ROCCurve", roc_curves, class_position),
    Property("ROCCurvePlot", roc_plot, class_position),
]
EXAMPLES = [
    Property("BestClassifiedExamples", ranked(lambda p: p.losses), positive_integer, "examples"),
    Property("CorrectlyClassifiedExamples", selected(right), positive_integer, "examples"),
    Property("Examples", confused, two_classes, "examples"),
    Property("FalseNegativeExamples", outcome(actual=True, predicted=False), class_and_limit, "examples"),
    Property("FalsePositiveExamples", outcome(actual=False, predicted=True), class_and_limit, "examples"),
    Property("IndeterminateExamples", selected(lambda p: ~p.kept), positive_integer, "examples"),
    Property("LeastCertainExamples", ranked(lambda p: -p.entropies), positive_integer, "examples"),
    Property("MisclassifiedExamples", selected(lambda p: (p.truth != p.decisions) & p.kept), positive_integer, "examples"),
    Property("MostCertainExamples", ranked(lambda p: p.entropies), positive_integer, "examples"),
    Property("TrueNegativeExamples", outcome(actual=False, predicted=False), class_and_limit, "examples"),
    Property("TruePositiveExamples", outcome(actual=True, predicted=True), class_and_limit, "examples"),
    Property("WorstClassifiedExamples", ranked(lambda p: -p.losses), positive_integer, "examples"),
]

CLASSIFICATION = PropertyTable(
    [*NUMBERS, *CONFUSIONS, *PER_CLASS, *CURVES, *EXAMPLES],
    MISSING,
)
"""Every property of predictions by a classifier: ``CLASSIFICATION.measure(predictions, "F1Score")``."""
