"""From what an evaluation gave to the predictions that are measured."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from netdsl.columns import Table
from netdsl.errors import DataError
from netdsl.measurements.comparison import NUMBERS
from netdsl.measurements.evaluation import Evaluated, Evaluation
from netdsl.measurements.predictions import Predictions
from netdsl.measurements.regression import NumberPredictions
from netdsl.nets import Ref

__all__ = ["Outcome", "number_predictions", "predictions"]


@dataclass(frozen=True)
class _Examples:
    """The examples of data by the elements that were compared: an example comes once for each of its elements."""

    data: Table
    owners: np.ndarray
    ports: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.owners)

    def __getitem__(self, index: int) -> Any:
        place = int(self.owners[index])
        if self.data.ports is None:
            return self.data.inputs[place]
        if len(self.ports) == 1:
            return self.data.ports[self.ports[0]][place]
        return {port: self.data.ports[port][place] for port in self.ports}


def _examples(evaluation: Evaluation, found: Evaluated, data: Table) -> _Examples:
    """The examples without their targets."""
    training = evaluation.training
    targets = set() if evaluation.comparison is None else {evaluation.comparison.target}
    ports = tuple(name for port, name in training.columns.items() if (-1, port) not in targets)
    return _Examples(data, found.owners, ports)


def _finite(values: np.ndarray, owners: np.ndarray | range, what: str, gives: str) -> None:
    """Refuse values of which one is not finite."""
    good = np.isfinite(values.reshape(len(values), -1)).all(axis=1)
    if not good.all():
        place = int(np.argmin(good))
        value = np.ravel(values[place])[~np.isfinite(np.ravel(values[place]))][0]
        raise DataError(
            f"{gives} is {value} for example {int(owners[place]) + 1} of the {what}, so it cannot be measured. The arrays of the "
            "net, or this example, hold numbers that are too large or not finite."
        )


def predictions(evaluation: Evaluation, found: Evaluated, data: Table, what: str, threshold: float = 0.0) -> Predictions:
    """What a classifier said about each element, with the truth."""
    assert found.compared is not None
    assert evaluation.comparison is not None
    probabilities, truth, entropies = found.compared
    _finite(probabilities, found.owners, what, "The output of the net")
    labels = evaluation.comparison.labels or tuple(range(1, probabilities.shape[1] + 1))
    return Predictions(
        probabilities,
        truth,
        labels,
        cross_entropies=entropies,
        seconds=found.seconds,
        example_seconds=lambda: evaluation.seconds_for_one(data, what),
        examples=_examples(evaluation, found, data),
        threshold=threshold,
    )


def number_predictions(evaluation: Evaluation, found: Evaluated, data: Table, what: str) -> NumberPredictions:
    """The numbers that a net predicted, with the true ones."""
    assert found.compared is not None
    predicted, truth = found.compared
    _finite(predicted, found.owners, what, "The output of the net")
    if predicted.shape[1:] == (1,):  # what the decoder "Scalar" does
        predicted, truth = predicted[:, 0], truth[:, 0]
    return NumberPredictions(
        predicted,
        truth,
        seconds=found.seconds,
        example_seconds=lambda: evaluation.seconds_for_one(data, what),
        examples=_examples(evaluation, found, data),
    )


@dataclass(frozen=True, eq=False)
class Outcome:
    """An evaluation with what it gave, as measurements ask for it."""

    evaluation: Evaluation
    found: Evaluated
    data: Table
    what: str

    @cached_property
    def predictions(self) -> Predictions | NumberPredictions:
        """The predictions of the one comparison."""
        assert self.evaluation.comparison is not None
        make = number_predictions if self.evaluation.comparison.form == NUMBERS else predictions
        return make(self.evaluation, self.found, self.data, self.what)

    def loss(self, name: str) -> float:
        """The mean of a loss over the examples; "Loss" is the weighted sum of all."""
        terms = self.evaluation.training.terms
        for term in terms:
            losses = self.found.losses[term.port]
            _finite(losses, range(len(losses)), self.what, f"The loss {term.port!r}")
        means = {term.port: float(self.found.losses[term.port].mean(dtype=float)) for term in terms}
        return sum(term.weight * means[term.port] for term in terms) if name == "Loss" else means[name]

    def mean(self, ref: Ref) -> Any:
        """The mean of a wire over the data."""
        mean = np.asarray(self.found.means[ref])
        return mean if mean.ndim else mean.item()
