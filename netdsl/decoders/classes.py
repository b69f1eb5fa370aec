"""The decoder of classes: from probabilities to labels, with everything one may ask of them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from netdsl.coders import LABELS
from netdsl.constraints import BOOLEAN, POSITIVE
from netdsl.declarations import parameter
from netdsl.decoders.decoder import Decoder, as_numbers, generator
from netdsl.errors import DeclarationError, EncodingError, PartError, excerpt, listing, nearest
from netdsl.shapes import REAL, ArrayType
from netdsl.symbols import Automatic, Rule

__all__ = ["LIKELY", "ClassDecoder"]

LIKELY = 0.05
"""The probability from which on "TopProbabilities" without a number lists a class [M]; the most probable one is always listed."""

SAMPLING = ("Temperature", "TotalProbabilityCutoff", "TopProbabilities")


class ClassDecoder(Decoder):
    """Vectors of probabilities as classes.

    The decision is the label at the place of the greatest probability; with Multilabel, the list of labels whose value exceeds
    1/2.

    Input: a real vector of size n, one probability for each of n classes; with InputDepth d, an array of rank d of which the last
    level holds the classes, and the results are nested lists of d - 1 levels.

    Labels
        The classes in the order of the vector, all different; Automatic (default) means the integers from 1 to n.
    InputDepth
        The rank of the input; default 1.
    Multilabel
        True: the values are independent probabilities, any number of which may be high. Default False.

    Properties:

    ``"Decision"``
        The most probable class; the default.
    ``["TopDecisions", k]``
        The k most probable classes, the most probable first.
    ``"TopProbabilities"``, ``["TopProbabilities", k]``
        Rules from classes to probabilities, descending: of those with at least 0.05 [M], or of the first k.
    ``"Probabilities"``
        A dict from all labels to their probabilities.
    ``["Probability", label]``
        The probability of one class.
    ``"Entropy"``
        Minus the sum of p log p in nats; with Multilabel, the sum of the entropies of all labels [M].
    ``"RandomSample"``, ``["RandomSample", t]``, ``["RandomSample", {...}]``
        A class drawn by its probability, at the temperature t (probabilities to the power 1/t; 0 means the decision). The dict
        may hold "Temperature", "TotalProbabilityCutoff" (draw among the most probable classes that together reach this
        probability) and "TopProbabilities" (draw among that many); they act in the order temperature, number, cut-off [M].
        RandomSeeding (default 1234, or Automatic) makes the draw reproducible.

    Raises `PartError` for an unknown property or label, `EncodingError` for NaN or a vector of another size.

    Differences from Wolfram: random samples are reproducible by default.

    >>> from netdsl.decoders import NetDecoder
    >>> decoder = NetDecoder("Class", ["cat", "dog", "eel"])
    >>> decoder([0.25, 0.5, 0.25]), decoder([0.25, 0.5, 0.25], ["TopProbabilities", 2])
    ('dog', [Rule('dog', 0.5), Rule('cat', 0.25)])
    """

    kind = "Class"
    properties = ("Decision", "TopDecisions", "TopProbabilities", "Probabilities", "Probability", "Entropy", "RandomSample")

    Labels: Any = parameter(LABELS, Automatic, positional=True)
    InputDepth: int = parameter(POSITIVE, 1)
    Multilabel: bool = parameter(BOOLEAN, False)

    def _check(self) -> None:
        if self.Labels is Automatic:
            return
        if not self.Labels:
            raise DeclarationError(f"{self.title()} needs at least one label. Got none.")
        if len(set(self.Labels)) < len(self.Labels):
            seen: set[Any] = set()
            twice = next(label for label in self.Labels if label in seen or seen.add(label))  # type: ignore[func-returns-value]
            raise DeclarationError(f"The labels of {self.title()} must differ. {twice!r} equals an earlier one.")

    def type(self) -> ArrayType:
        classes = None if self.Labels is Automatic else len(self.Labels)
        return ArrayType((None,) * (self.InputDepth - 1) + (classes,), REAL)

    def encoder_spec(self, type: ArrayType | None = None) -> tuple[Any, ...] | None:
        sizes = (None,) if type is None or not type.sizes else type.sizes
        labels = self.Labels
        if labels is Automatic:
            if not isinstance(sizes[-1], int):
                return None
            labels = tuple(range(1, sizes[-1] + 1))
        options: dict[str, Any] = {}
        if self.InputDepth > 1:
            if len(sizes) != self.InputDepth or None in sizes[:-1]:
                return None
            options["Dimensions"] = [size if isinstance(size, int) else "Varying" for size in sizes[:-1]]
        if self.Multilabel:
            options["Multilabel"] = True
        return ("Class", labels, options) if options else ("Class", labels)

    def decode(self, array: np.ndarray, property: Any = None, *, RandomSeeding: Any = 1234) -> Any:
        return self.decode_many(np.asarray(array)[None], property, RandomSeeding=RandomSeeding)[0]

    def decode_many(self, arrays: Any, property: Any = None, *, RandomSeeding: Any = 1234) -> list[Any]:
        name, argument = self.split_property("Decision" if property is None else property)
        if isinstance(arrays, (list, tuple)) and len({np.shape(array) for array in arrays}) > 1:
            source = generator(RandomSeeding)
            return [self.decode(np.asarray(array), property, RandomSeeding=source) for array in arrays]
        array = as_numbers(arrays, self.title())
        if array.ndim and not len(array):
            return []
        vectors = self._vectors(array)
        argument = self._argument(name, argument, vectors.shape[1])
        labels = range(1, vectors.shape[1] + 1) if self.Labels is Automatic else self.Labels
        flat = getattr(self, f"_{name}")(vectors, labels, argument, RandomSeeding)
        for size in reversed(array.shape[1:-1]):
            flat = [flat[start : start + size] for start in range(0, len(flat), size)]
        return flat

    def _vectors(self, array: np.ndarray) -> np.ndarray:
        """The probability vectors as one float64 matrix."""
        wanted = None if self.Labels is Automatic else len(self.Labels)
        if array.ndim != self.InputDepth + 1 or array.shape[-1] != (wanted or max(1, array.shape[-1])):
            classes = wanted or "n"
            takes = (
                f"vectors of {classes} probabilities"
                if self.InputDepth == 1
                else (f"arrays of rank {self.InputDepth} whose last level holds {classes} probabilities")
            )
            raise EncodingError(f"{self.title()} takes {takes}. Got an array of sizes {list(array.shape[1:])}.")
        vectors = array.reshape(-1, array.shape[-1])
        if np.isnan(vectors).any():
            example = int(np.argwhere(np.isnan(array).reshape(len(array), -1).any(1))[0, 0]) + 1
            where = f" for example {example} of {len(array)}" if len(array) > 1 else ""
            raise EncodingError(f"{self.title()} got NaN{where}, so there is no decision. The property None gives the raw array.")
        return vectors

    def _argument(self, name: str, argument: Any, classes: int) -> Any:
        """The argument of the property as the property needs it; raises PartError for one that cannot be."""
        if name in ("TopDecisions", "TopProbabilities") and not (name == "TopProbabilities" and argument is None):
            if isinstance(argument, (bool, np.bool_)) or not hasattr(argument, "__index__") or argument.__index__() < 1:
                got = "Got none." if argument is None else f"Got {excerpt(argument)}."
                raise PartError(f'The property "{name}" of {self.title()} needs a number of classes: ["{name}", 3]. {got}')
            if argument > classes:
                raise PartError(f'["{name}", {argument}] asks {self.title()} for more classes than the {classes} it has.')
            return argument.__index__()
        if name == "Probability":
            return self._place(argument, classes)
        if name == "RandomSample":
            return self._sampling(argument)
        if argument is not None and name != "TopProbabilities":
            raise PartError(f'The property "{name}" of {self.title()} takes no argument. Got {excerpt(argument)}.')
        return argument

    def _place(self, label: Any, classes: int) -> int:
        labels = range(1, classes + 1) if self.Labels is Automatic else self.Labels
        label = label.item() if isinstance(label, np.generic) else tuple(label) if isinstance(label, list) else label
        for place, known in enumerate(labels):
            if isinstance(known, bool) == isinstance(label, bool) and known == label:
                return place
        known = listing(map(excerpt, labels))
        hint = nearest(label, labels) if isinstance(label, str) else f"Its {classes} classes are {known}."
        raise PartError(f'["Probability", {excerpt(label)}]: {self.title()} has no such class. {hint}')

    def _sampling(self, argument: Any) -> dict[str, Any]:
        options = dict(argument) if isinstance(argument, Mapping) else {} if argument is None else {"Temperature": argument}
        for name, value in options.items():
            if name not in SAMPLING:
                raise PartError(f'"RandomSample" of {self.title()} has no option {name!r}. {nearest(name, SAMPLING)}')
            good = isinstance(value, (int, float, np.integer, np.floating)) and not isinstance(value, bool) and value >= 0
            if name == "TopProbabilities":
                good = good and int(value) == value >= 1
            elif name == "TotalProbabilityCutoff":
                good = good and 0 < value <= 1
            if not good:
                words = {
                    "Temperature": "a number of at least 0",
                    "TotalProbabilityCutoff": "a number above 0 and at most 1",
                    "TopProbabilities": "a positive integer",
                }[name]
                raise PartError(f'The {name} of "RandomSample" must be {words}. Got {excerpt(value)}.')
        return options

    def _Decision(self, vectors: np.ndarray, labels: Any, argument: None, seeding: Any) -> list[Any]:
        if self.Multilabel:
            return [[labels[i] for i in np.flatnonzero(row > 0.5).tolist()] for row in vectors]
        return [labels[i] for i in vectors.argmax(1).tolist()]

    def _TopDecisions(self, vectors: np.ndarray, labels: Any, count: int, seeding: Any) -> list[Any]:
        return [[labels[i] for i in row] for row in _descending(vectors)[:, :count].tolist()]

    def _TopProbabilities(self, vectors: np.ndarray, labels: Any, count: int | None, seeding: Any) -> list[Any]:
        order = _descending(vectors)
        counts = np.full(len(vectors), count) if count else np.maximum((vectors >= LIKELY).sum(1), 1)
        return [[Rule(labels[i], float(row[i])) for i in places[:k]] for row, places, k in zip(vectors, order.tolist(), counts)]

    def _Probabilities(self, vectors: np.ndarray, labels: Any, argument: None, seeding: Any) -> list[Any]:
        return [dict(zip(labels, row)) for row in vectors.tolist()]

    def _Probability(self, vectors: np.ndarray, labels: Any, place: int, seeding: Any) -> list[Any]:
        return vectors[:, place].tolist()

    def _Entropy(self, vectors: np.ndarray, labels: Any, argument: None, seeding: Any) -> list[Any]:
        entropy = _entropy(vectors)
        if self.Multilabel:
            entropy = entropy + _entropy(1 - vectors)
        return entropy.tolist()

    def _RandomSample(self, vectors: np.ndarray, labels: Any, options: dict[str, Any], seeding: Any) -> list[Any]:
        source = generator(seeding)
        if self.Multilabel:
            if options:
                raise PartError(f'"RandomSample" of {self.title()} with Multilabel takes no options. Got {excerpt(options)}.')
            drawn = source.random(vectors.shape) < vectors
            return [[labels[i] for i in np.flatnonzero(row).tolist()] for row in drawn]
        sums = _reweighted(vectors, **options).cumsum(1)
        places = (sums <= source.random((len(sums), 1)) * sums[:, -1:]).sum(1)
        return [labels[i] for i in np.minimum(places, vectors.shape[1] - 1).tolist()]


def _descending(vectors: np.ndarray) -> np.ndarray:
    """For each row the places of its values, the greatest first; of equal ones the earlier first."""
    return np.argsort(-vectors, axis=1, kind="stable")


def _entropy(vectors: np.ndarray) -> np.ndarray:
    positive = np.where(vectors > 0, vectors, 1.0)
    return np.abs(-(positive * np.log(positive)).sum(1))


def _reweighted(
    vectors: np.ndarray, Temperature: float = 1.0, TopProbabilities: int | None = None, TotalProbabilityCutoff: float = 1.0
) -> np.ndarray:
    """The weights to draw by: at the temperature, only the most probable kept."""
    order = _descending(vectors)
    if Temperature == 0:
        TopProbabilities, Temperature = 1, 1.0
    logs = np.log(np.maximum(vectors, np.finfo(np.float64).tiny))
    weights = np.exp((logs - logs.max(1, keepdims=True)) / Temperature) if not math.isinf(Temperature) else np.ones_like(logs)
    weights = np.where(vectors > 0, weights, 0.0)
    sorted_weights = np.take_along_axis(weights, order, 1)
    if TopProbabilities is not None:
        sorted_weights[:, int(TopProbabilities) :] = 0
    total = sorted_weights.sum(1, keepdims=True)
    before = sorted_weights.cumsum(1) - sorted_weights
    sorted_weights[before >= TotalProbabilityCutoff * total] = 0
    result = np.zeros_like(weights)
    np.put_along_axis(result, order, sorted_weights, 1)
    return result
