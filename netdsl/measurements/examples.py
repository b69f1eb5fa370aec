"""Lists of examples that were classified well, badly or doubtfully. Each example comes as ``Rule(example, true label)``."""

from __future__ import annotations

from typing import Any

import numpy as np

from netdsl.errors import DeclarationError, excerpt, nearest
from netdsl.measurements.predictions import Predictions
from netdsl.symbols import All, Rule

__all__ = ["chosen", "class_and_limit", "confused", "outcome", "positive_integer", "ranked", "selected", "two_classes"]

DEFAULT = 10
"""How many of the best, worst, most or least certain examples are listed."""


def chosen(predictions: Predictions, indices: Any) -> list[Rule]:
    """The examples at these indices with their true labels."""
    return [Rule(predictions.examples[int(i)], predictions.classes[predictions.truth[i]]) for i in indices]


def selected(mask: Any) -> Any:
    """The measurement that lists the examples where `mask(predictions)` is true, in their order; all or the first n."""
    return lambda predictions, limit=None: chosen(predictions, np.flatnonzero(mask(predictions))[:limit])


def ranked(key: Any) -> Any:
    """The measurement that lists the examples with the smallest `key(predictions)`, ten of them or n."""
    return lambda predictions, limit=DEFAULT: chosen(predictions, np.argsort(key(predictions), kind="stable")[:limit])


def outcome(actual: bool, predicted: bool) -> Any:
    """The measurement that lists, for each class, the examples that are (not) of the class and were (not) classified as it."""

    def measure(predictions: Predictions, parameter: tuple[int | None, int | None] = (None, None)) -> Any:
        which, limit = parameter

        def examples(i: int) -> list[Rule]:
            mask = ((predictions.truth == i) == actual) & ((predictions.decisions == i) == predicted) & predictions.kept
            return chosen(predictions, np.flatnonzero(mask)[:limit])

        return {label: examples(i) for i, label in enumerate(predictions.classes)} if which is None else examples(which)

    return measure


def confused(predictions: Predictions, pair: tuple[int, int] | None = None) -> list[Rule]:
    """All examples, or those of the first class that were classified as the second."""
    if pair is None:
        return chosen(predictions, range(len(predictions.truth)))
    mask = (predictions.truth == pair[0]) & (predictions.decisions == pair[1]) & predictions.kept
    return chosen(predictions, np.flatnonzero(mask))


def positive_integer(predictions: Any, thing: Any) -> int:
    """A number of classes, examples or pairs."""
    if isinstance(thing, bool) or not isinstance(thing, (int, np.integer)) or thing < 1:
        raise DeclarationError(f"takes a whole number from 1. Got {excerpt(thing)}.")
    return int(thing)


def class_position(predictions: Predictions, thing: Any) -> int:
    """The position of a class."""
    try:
        return predictions.positions[thing]
    except (KeyError, TypeError):
        raise DeclarationError(f"{excerpt(thing)} is no class. {nearest(thing, predictions.classes)}") from None


def class_and_limit(predictions: Predictions, thing: Any) -> tuple[int | None, int | None]:
    """A class, ``Rule(class, n)`` for n examples of it, or ``Rule(All, n)`` for n of each."""
    label, limit = thing if isinstance(thing, Rule) else (thing, None)
    which = None if label is All else class_position(predictions, label)
    return which, None if limit is None else positive_integer(predictions, limit)


def two_classes(predictions: Predictions, thing: Any) -> tuple[int, int]:
    """The true and the predicted class, as a list of two labels."""
    if not isinstance(thing, (list, tuple, Rule)) or len([*thing]) != 2:
        raise DeclarationError(f"takes [true class, predicted class]. Got {excerpt(thing)}.")
    first, second = thing
    return class_position(predictions, first), class_position(predictions, second)
