"""What a training gives back: the trained net and everything measured on the way."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from netdsl.errors import PartError, UnsupportedError, excerpt, nearest, public
from netdsl.nets import Net, path_text
from netdsl.symbols import All, Automatic
from netdsl.training.progress import duration_text

__all__ = ["History", "NetTrainResultsObject", "check_property"]


@dataclass
class History:
    """The numbers of a training, by batch and by round. Errors are None where the net has no error rate."""

    batches_per_round: int
    losses: list[np.ndarray] = field(default_factory=list)
    errors: list[np.ndarray] = field(default_factory=list)
    validation_losses: list[float] = field(default_factory=list)
    validation_errors: list[float] = field(default_factory=list)
    best_round: int = 0

    @property
    def batch_losses(self) -> np.ndarray:
        """The loss of every batch."""
        return np.concatenate(self.losses) if self.losses else np.zeros(0, np.float32)

    @property
    def batch_errors(self) -> np.ndarray:
        """The error rate of every batch."""
        return np.concatenate(self.errors) if self.errors else np.zeros(0, np.float32)

    @property
    def round_losses(self) -> np.ndarray:
        """The mean loss of every round."""
        return np.array([part.mean() for part in self.losses if part.size])

    @property
    def round_errors(self) -> np.ndarray:
        """The mean error rate of every round."""
        return np.array([part.mean() for part in self.errors if part.size])


@dataclass(frozen=True, eq=False)
class NetTrainResultsObject:
    """The results of NetTrain(net, data, All): ``results("TrainedNet")``, ``results(["RoundLoss", "LossPlot"])``.

    ``print(results)`` shows a panel; ``results("Properties")`` lists what can be asked.

    >>> from netdsl import All, NetChain, NetTrain, Rule
    >>> data = Rule([[0.0], [1.0]], [1.0, 3.0])
    >>> results = NetTrain(NetChain([1]), data, All, MaxTrainingRounds=3, TrainingProgressReporting=None)
    >>> results(["TotalRounds", "BatchSize"])
    [3, 2]

    Differences from Wolfram: the properties that NetTrain's unsupported options would fill are refused by name.
    """

    trained_net: Net
    training_net: Net
    history: History
    classified: bool
    batch_size: int
    training_examples: int
    validation_examples: int
    seconds: float
    learning_rate: float | None
    method: str
    device: str
    reason: str
    seed: int
    multipliers: dict[tuple[str, ...], float]
    skipped: tuple[int, ...] = ()
    """The training examples that were left out because they could not be used, from 1."""

    @public
    def __call__(self, property: Any, /) -> Any:
        """The property, or a list of them for a list of names; All gives the object itself."""
        check_property(property)
        if isinstance(property, (list, tuple)):
            return [self(each) for each in property]
        if property is All:
            return self
        if property == "Properties":
            return sorted(_PROPERTIES)
        return _PROPERTIES["TrainedNet" if property is Automatic else property](self)

    __getitem__ = __call__

    @property
    def batches(self) -> int:
        """The number of batches trained on."""
        return int(self.history.batch_losses.size)

    @property
    def rounds(self) -> int:
        """The number of rounds begun."""
        return sum(1 for part in self.history.losses if part.size)

    def measurements(self) -> dict[str, np.ndarray]:
        """The measurements by round beside the loss."""
        return {"ErrorRate": self.history.round_errors} if self.classified else {}

    def rows(self) -> list[tuple[str, str]]:
        """The rows of the panel: a label and its text."""
        history = self.history
        examples = self.batches * self.batch_size
        rate = examples / self.seconds if self.seconds else 0.0
        rows = [
            (
                "summary",
                f"batches: {self.batches}, rounds: {self.rounds}, time: {duration_text(self.seconds)}, examples/s: {rate:,.0f}",
            ),
            (
                "data",
                f"training examples: {self.training_examples}, validation examples: {self.validation_examples}, "
                f"processed examples: {examples}, skipped examples: {len(self.skipped)}",
            ),
            ("method", f"{self.method}, batch size {self.batch_size}, {self.device}, seed {self.seed}"),
        ]
        if history.round_losses.size:
            error = f", error rate: {100 * history.round_errors[-1]:.2f}%" if self.classified else ""
            rows.append(("round", f"loss: {history.round_losses[-1]:.4g}{error}"))
        if history.best_round:
            best = history.best_round - 1
            error = f", error rate: {100 * history.validation_errors[best]:.2f}%" if self.classified else ""
            rows.append(("validation", f"loss: {history.validation_losses[best]:.4g}{error} (best, round {history.best_round})"))
        return rows

    def __repr__(self) -> str:
        return f"NetTrainResultsObject({self.rounds} rounds, {self.batches} batches, {duration_text(self.seconds)})"

    def __str__(self) -> str:
        wide = max(len(label) for label, _ in self.rows())
        return "NetTrain Results\n" + "\n".join(f"  {label:>{wide}}  {text}" for label, text in self.rows())

    def _repr_html_(self) -> str:
        import base64
        import html
        import io

        rows = "".join(
            f"<tr><td style='color:#888;text-align:right'>{html.escape(label)}</td><td "
            f"style='text-align:left'>{html.escape(text)}</td></tr>"
            for label, text in self.rows()
        )
        picture = ""
        if self.batches:
            buffer = io.BytesIO()
            self("LossPlot").savefig(buffer, format="png", bbox_inches="tight")
            picture = f"<img alt='loss' src='data:image/png;base64,{base64.b64encode(buffer.getvalue()).decode()}'>"
        return f"<div><b>NetTrain Results</b><table>{rows}</table>{picture}</div>"


def _loss_plot(results: NetTrainResultsObject) -> Any:
    from netdsl.plots import loss_plot

    history = results.history
    validation = {round_ + 1: value for round_, value in enumerate(history.validation_losses)}
    return loss_plot(history.batch_losses, validation or None, batches_per_round=history.batches_per_round)


def _error_plot(results: NetTrainResultsObject) -> Any:
    from netdsl.plots import loss_plot

    history = results.history
    validation = {round_ + 1: value for round_, value in enumerate(history.validation_errors)}
    return loss_plot(history.batch_errors, validation or None, label="error rate", batches_per_round=history.batches_per_round)


def _final_plots(results: NetTrainResultsObject) -> dict[str, Any]:
    return {"Loss": _loss_plot(results), **({"ErrorRate": _error_plot(results)} if results.classified else {})}


def _last(values: Any) -> float | None:
    return float(values[-1]) if len(values) else None


def _validation_lists(results: NetTrainResultsObject) -> dict[str, np.ndarray]:
    errors = results.history.validation_errors
    return {"ErrorRate": np.array(errors)} if results.classified and errors else {}


def _best(results: NetTrainResultsObject, values: list[float]) -> float | None:
    return values[results.history.best_round - 1] if results.history.best_round else None


_PROPERTIES: dict[str, Callable[[NetTrainResultsObject], Any]] = {
    "ArraysLearningRateMultipliers": lambda r: {path_text(path): value for path, value in r.multipliers.items()},
    "BatchesPerRound": lambda r: r.history.batches_per_round,
    "BatchLossList": lambda r: r.history.batch_losses,
    "BatchMeasurementsLists": lambda r: {"ErrorRate": r.history.batch_errors} if r.classified else {},
    "BatchSize": lambda r: r.batch_size,
    "BestValidationRound": lambda r: r.history.best_round or None,
    "ExamplesProcessed": lambda r: r.batches * r.batch_size,
    "FinalLearningRate": lambda r: r.learning_rate,
    "FinalPlots": _final_plots,
    "InitialLearningRate": lambda r: r.learning_rate,
    "LossPlot": _loss_plot,
    "MeanBatchesPerSecond": lambda r: r.batches / r.seconds if r.seconds else 0.0,
    "MeanExamplesPerSecond": lambda r: r.batches * r.batch_size / r.seconds if r.seconds else 0.0,
    "OptimizationMethod": lambda r: r.method,
    "RandomSeeding": lambda r: r.seed,
    "ReasonTrainingStopped": lambda r: r.reason,
    "RoundLoss": lambda r: _last(r.history.round_losses),
    "RoundLossList": lambda r: r.history.round_losses,
    "RoundMeasurements": lambda r: {name: _last(values) for name, values in r.measurements().items()},
    "RoundMeasurementsLists": lambda r: r.measurements(),
    "RoundPositions": lambda r: np.cumsum([part.size for part in r.history.losses]),
    "SkippedTrainingData": lambda r: list(r.skipped),
    "TargetDevice": lambda r: r.device,
    "TotalBatches": lambda r: r.batches,
    "TotalRounds": lambda r: r.rounds,
    "TotalTrainingTime": lambda r: r.seconds,
    "TrainedNet": lambda r: r.trained_net,
    "TrainingExamples": lambda r: r.training_examples,
    "TrainingNet": lambda r: r.training_net,
    "ValidationExamples": lambda r: r.validation_examples,
    "ValidationLoss": lambda r: _best(r, r.history.validation_losses),
    "ValidationLossList": lambda r: np.array(r.history.validation_losses),
    "ValidationMeasurements": lambda r: {name: _best(r, list(values)) for name, values in _validation_lists(r).items()},
    "ValidationMeasurementsLists": _validation_lists,
    "ValidationPositions": lambda r: np.cumsum([part.size for part in r.history.losses])[: len(r.history.validation_losses)],
}

_LATER = ("CheckpointingFiles", "NetTrainInputForm")


def check_property(property: Any) -> None:
    """Refuse what is no property, or a list with something that is none."""
    for name in property if isinstance(property, (list, tuple)) else [property]:
        if name is All or name is Automatic or (isinstance(name, str) and (name in _PROPERTIES or name == "Properties")):
            continue
        if isinstance(name, Net):
            raise PartError(f"NetTrain gives no property {excerpt(name)}. A loss is an option: LossFunction={excerpt(name)}.")
        if name in _LATER:
            raise UnsupportedError(f"NetTrain does not give the property {name!r} yet.")
        raise PartError(f"NetTrain gives no property {excerpt(name)}. {nearest(name, _PROPERTIES)}")
