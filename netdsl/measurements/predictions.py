"""What a classifier said about examples whose classes are known, as plain arrays."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from netdsl.errors import DataError, DeclarationError, excerpt, nearest

__all__ = ["Predictions", "from_predictions"]

SMALLEST = float(np.finfo(np.float32).tiny)
"""Smaller probabilities count as this one where a logarithm is taken, as in CrossEntropyLossLayer."""


Seconds = float | Callable[[], float] | None


def asked_seconds(seconds: Seconds) -> float:
    """The seconds, found out now if need be."""
    return float(seconds() if callable(seconds) else seconds or 0.0)


@dataclass(frozen=True, eq=False)
class Predictions:
    """The probabilities that a classifier gave, with the true classes.

    Args:
        probabilities: array (n, c).
        truth: integers (n,), the positions of the true classes, from 0.
        classes: the c labels, hashable and different from each other.
        cross_entropies: numbers (n,), -log of the probability of the true class, where they are known better than from
            `probabilities` (a net computes them from its logits); None: taken from `probabilities`.
        seconds: how long it took to classify all examples together; a number, or a function that finds it out when asked.
        example_seconds: how long it takes to classify a single one, likewise.
        examples: the n things that were classified, in the same order; anything with ``[i]``.
        threshold: a prediction whose largest probability is below it is indeterminate.

    Raises:
        DataError: sizes that contradict each other, no examples, equal labels, or probabilities that are none.
    """

    probabilities: np.ndarray
    truth: np.ndarray
    classes: tuple[Hashable, ...]
    cross_entropies: np.ndarray | None = None
    seconds: Seconds = None
    example_seconds: Seconds = None
    examples: Any = None
    threshold: float = 0.0

    def __post_init__(self) -> None:
        probabilities = np.asarray(self.probabilities)
        if probabilities.dtype != np.float32:
            probabilities = probabilities.astype(float)
        truth = np.asarray(self.truth)
        classes = tuple(self.classes)
        sizes = len(truth), len(classes)
        if probabilities.shape != sizes or truth.ndim != 1 or not len(truth):
            raise DataError(
                f"{sizes[0]} examples of {sizes[1]} classes have probabilities of shape {sizes}, with at least one example. "
                f"Got shape {probabilities.shape}."
            )
        if len(set(classes)) < len(classes):
            raise DataError(f"The labels of classes differ from each other. Got {excerpt(classes)}.")
        if not (np.isfinite(probabilities).all() and probabilities.min() >= 0 and probabilities.max() <= 1.001):
            raise DataError("Probabilities lie between 0 and 1. Got NaN or others; of logits take the softmax first.")
        if not np.issubdtype(truth.dtype, np.integer) or truth.min() < 0 or truth.max() >= len(classes):
            raise DataError(f"True classes are positions from 0 to {len(classes) - 1}. Got {excerpt(truth)}.")
        for name in ("cross_entropies", "examples"):
            things = getattr(self, name)
            if things is not None and len(things) != len(truth):
                raise DataError(f"There are {len(truth)} predictions but {len(things)} {name.replace('_', ' ')}.")
        for name, thing in (("probabilities", probabilities), ("truth", truth), ("classes", classes)):
            object.__setattr__(self, name, thing)

    def __repr__(self) -> str:
        return f"Predictions({len(self.truth)} examples of {len(self.classes)} classes)"

    @cached_property
    def positions(self) -> dict[Hashable, int]:
        """The position of each label."""
        return {label: i for i, label in enumerate(self.classes)}

    @cached_property
    def decisions(self) -> np.ndarray:
        """The position of the likeliest class of each example; the first of equal ones."""
        return self.probabilities.argmax(axis=1)

    @cached_property
    def kept(self) -> np.ndarray:
        """Which predictions are not indeterminate."""
        return self.probabilities.max(axis=1) >= self.threshold

    @cached_property
    def confusion(self) -> np.ndarray:
        """How many kept examples of class i were classified as j, (c, c)."""
        from sklearn.metrics import confusion_matrix

        size = len(self.classes)
        if size == 1 or not self.kept.any():  # scikit-learn takes neither
            return np.full((size, size), int(self.kept.sum()))
        return confusion_matrix(self.truth[self.kept], self.decisions[self.kept], labels=range(size))

    @cached_property
    def ranks(self) -> np.ndarray:
        """How many classes were put before the true one, for each example; of equal probabilities the first class is before."""
        true = self.true_probabilities[:, None]
        earlier = np.arange(len(self.classes)) < self.truth[:, None]
        return (self.probabilities > true).sum(axis=1) + ((self.probabilities == true) & earlier).sum(axis=1)

    @cached_property
    def true_probabilities(self) -> np.ndarray:
        """The probability of the true class of each example."""
        return self.probabilities[np.arange(len(self.truth)), self.truth]

    @cached_property
    def losses(self) -> np.ndarray:
        """The cross entropy of each example in nats."""
        if self.cross_entropies is not None:
            return np.asarray(self.cross_entropies, dtype=float)
        return -np.log(np.maximum(self.true_probabilities, SMALLEST), dtype=float)

    @property
    def size(self) -> int:
        """How many examples there are."""
        return len(self.truth)

    @property
    def truths(self) -> np.ndarray:
        """How many examples are of each class, (c,)."""
        return np.bincount(self.truth, minlength=len(self.classes))

    @cached_property
    def counts(self) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """TP, FP, FN, TN of each class."""
        matrix = self.confusion
        tp = matrix.diagonal()
        fp, fn = matrix.sum(axis=0) - tp, matrix.sum(axis=1) - tp
        return tp, fp, fn, matrix.sum() - tp - fp - fn

    def within(self, top: int) -> float:
        """The fraction of kept examples whose true class is among the `top` likeliest; NaN if none is kept."""
        return float((self.ranks[self.kept] < top).mean()) if self.kept.any() else float("nan")

    @property
    def mean_loss(self) -> float:
        """The mean cross entropy in nats."""
        return float(self.losses.mean())

    @property
    def class_losses(self) -> np.ndarray:
        """The sum of the cross entropies of the examples of each class, (c,)."""
        return np.bincount(self.truth, self.losses, len(self.classes))

    @property
    def mean_entropy(self) -> float:
        """The mean entropy of the predictions in nats."""
        return float(self.entropies.mean())

    @cached_property
    def curves(self) -> list[np.ndarray]:
        """For each class the points (false positive rate, true positive rate), (k, 2); none if only one side occurs."""
        from sklearn.metrics import roc_curve

        curves = []
        for i in range(len(self.classes)):
            true = self.truth == i
            if true.all() or not true.any():
                curves.append(np.zeros((0, 2)))
            else:
                curves.append(np.stack(roc_curve(true, self.probabilities[:, i])[:2], axis=1))
        return curves

    @cached_property
    def entropies(self) -> np.ndarray:
        """The entropy of each prediction in nats."""
        p = self.probabilities.astype(float)
        return -(p * np.log(np.where(p > 0, p, 1))).sum(axis=1)


def from_predictions(
    predictions: Any,
    truth: Any,
    /,
    classes: Sequence[Hashable] | None = None,
    *,
    examples: Any = None,
    seconds: float | None = None,
    IndeterminateThreshold: float = 0.0,
) -> Predictions:
    """Predictions in any of their forms, with the labels of the true classes.

    Args:
        predictions: a list of labels; a list of dicts label → probability, where what is left out is 0; or an array (n, c)
            of probabilities, also as a list of lists.
        truth: the n true labels.
        classes: all labels in the order in which results are given, and of the columns of an array; needed for an array.
            Otherwise the labels that occur, sorted if they can be.
        examples: the things that were classified, for the lists of examples.
        seconds: how long the classification took.
        IndeterminateThreshold: a prediction whose largest probability is below it is indeterminate.

    Raises:
        DataError: lengths that differ, a label that is none of the classes, probabilities that are none.
        DeclarationError: an array without `classes`.

    >>> p = from_predictions(["cat", "dog", "dog"], ["cat", "dog", "cat"])
    >>> p.classes, p.confusion.tolist()
    (('cat', 'dog'), [[1, 1], [0, 1]])
    """
    true = labels(truth)
    rows = labels(predictions) if are_labels(predictions) else None
    if rows is None and classes is None:
        raise DeclarationError("Probabilities as an array need the labels of their columns: give classes=[…].")
    count = len(predictions) if rows is None else len(rows)
    if count != len(true):
        raise DataError(f"There are {count} predictions for {len(true)} true classes. Each example has one of both.")
    dicts = rows is not None and len(rows) > 0 and all(isinstance(row, Mapping) for row in rows)
    said = [] if rows is None else [label for row in rows for label in row] if dicts else rows
    known = tuple(ordered([*true, *said]) if classes is None else labels(classes))
    positions = {label: i for i, label in enumerate(known)}
    for label in (*true, *said):
        if label not in positions:
            raise DataError(f"{excerpt(label)} is none of the classes. {nearest(label, known)}")
    if rows is None:
        probabilities = np.asarray(predictions)
    else:
        probabilities = np.zeros((len(rows), len(known)))
        for i, row in enumerate(rows):
            for label, probability in row.items() if dicts else [(row, 1.0)]:
                probabilities[i, positions[label]] = probability
    places = np.array([positions[label] for label in true], dtype=int)
    return Predictions(probabilities, places, known, seconds=seconds, examples=examples, threshold=IndeterminateThreshold)


def labels(things: Any) -> list[Any]:
    """The labels as plain Python objects: numbers of an array become int, float or bool."""
    things = np.asarray(things).tolist() if hasattr(things, "__array__") else list(things)
    return [thing.item() if isinstance(thing, np.generic) else thing for thing in things]


def are_labels(things: Any) -> bool:
    """Whether the things are labels or dicts of labels, not rows of numbers."""
    if hasattr(things, "__array__"):
        return np.ndim(things) == 1
    return all(isinstance(thing, (Hashable, Mapping)) for thing in things)


def ordered(things: Sequence[Any]) -> list[Any]:
    """The different ones among the things, sorted, or in their order where they cannot be compared."""
    different = list(dict.fromkeys(things))
    try:
        return sorted(different)
    except TypeError:
        return different
