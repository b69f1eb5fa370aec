"""What a training gives back: the trained net and everything measured on the way."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from netdsl.errors import PartError, excerpt, nearest, public
from netdsl.nets import Net, path_text
from netdsl.symbols import All, Automatic
from netdsl.training.history import History
from netdsl.training.measured import ERROR, Measure, Measured, key_text
from netdsl.training.progress import duration_text

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["History", "NetTrainResultsObject", "check_property"]


@dataclass(frozen=True, eq=False)
class NetTrainResultsObject:
    """The results of NetTrain(net, data, All): ``results("TrainedNet")``, ``results(["RoundLoss", "LossPlot"])``.

    ``print(results)`` shows a panel; ``results("Properties")`` lists what can be asked.

    >>> from netdsl import All, NetChain, NetTrain, Rule
    >>> data = Rule([[0.0], [1.0]], [1.0, 3.0])
    >>> results = NetTrain(NetChain([1]), data, All, MaxTrainingRounds=3, TrainingProgressReporting=None)
    >>> results(["TotalRounds", "BatchSize"])
    [3, 2]

    "ReasonTrainingStopped" says why it ended. Names of Mathematica 11 are taken too: "FinalNet", "LossEvolutionPlot",
    "ErrorRateEvolutionPlot".

    Differences from Wolfram: "ValidationLoss" and "ValidationMeasurements" are those of the net that is given back, the best by
    validation; lists of numbers are NumPy arrays.
    """

    trained_net: Net
    training_net: Net
    history: History
    measured: Measured
    batch_size: int
    training_examples: int
    validation_examples: int
    seconds: float
    learning_rate: float | None
    final_learning_rate: float | None
    method: str
    device: str
    reason: str
    seed: int
    multipliers: dict[tuple[str, ...], float]
    checkpoints: tuple[str, ...] = ()
    """The files written on the way."""
    skipped: tuple[int, ...] = ()
    """The training examples that were left out because they could not be used, from 1."""
    input_form: str = ""
    """The call of NetTrain in words."""

    @public
    def __call__(self, property: Any, /) -> Any:
        """The property, or a list of them for a list of names; All gives the object itself."""
        check_property(property)
        if isinstance(property, (list, tuple)):
            return [self(each) for each in property]
        if property is All:
            return self
        if property == "Properties":
            return sorted(set(_PROPERTIES) - {"ErrorRateEvolutionPlot"})
        name = "TrainedNet" if property is Automatic else property
        if name == "ErrorRateEvolutionPlot" and self.measured.named(ERROR) is None:
            raise PartError("NetTrain measured no error rate: the net has not just one CrossEntropyLossLayer.")
        return _PROPERTIES[_LEGACY.get(name, name)](self)

    __getitem__ = __call__

    @property
    def batches(self) -> int:
        """The number of batches trained on."""
        return int(self.history.batch_losses.size)

    @property
    def rounds(self) -> int:
        """The number of rounds begun."""
        return sum(1 for part in self.history.losses if part.size)

    def round_values(self) -> dict[Any, Any]:
        """The last round's measurements beside the loss."""
        return self._last(self.history.sums)

    def validation_values(self) -> dict[Any, Any]:
        """The measurements of the best validation."""
        return self._last(self.history.validation_sums[: self.history.best_validation])

    def _last(self, sums: list[dict[str, Any]]) -> dict[Any, Any]:
        measured = self.measured
        return {one.key: measured.value(one, sums[-1]) for one in measured.measures if sums and measured.has(one, sums[-1])}

    def lists(self, sums: list[dict[str, Any]]) -> dict[Any, Any]:
        """The measurements by round or validation: arrays of numbers, lists of others; pictures are left out."""
        measured = self.measured
        found = {}
        for one in measured.measures:
            if one.kind != "figure" and sums and measured.has(one, sums[-1]):
                values = [measured.value(one, each) for each in sums]
                found[one.key] = np.array(values) if one.kind in ("number", "array") else values
        return found

    def batch_lists(self) -> dict[Any, np.ndarray]:
        """The measurements that are numbers by batch."""
        history = self.history
        found: dict[Any, np.ndarray] = {}
        for one in self.measured.measures:
            parts = [values[key_text(one.key)] for values in history.batch_values if key_text(one.key) in values]
            if one.key == ERROR and self.measured.classified:
                found[one.key] = history.batch_errors
            elif parts:
                found[one.key] = np.concatenate(parts)
        return found

    def _texts(self, loss: float, sums: list[dict[str, Any]]) -> str:
        """A loss and its measurements in words."""
        parts = [f"loss: {loss:.4g}"]
        for one in self.measured.measures if sums else ():
            if one.kind in ("number", "classes") and self.measured.has(one, sums[-1]):
                number = self.measured.number(one, sums[-1])
                parts.append(f"error rate: {100 * number:.2f}%" if one.key == ERROR else f"{key_text(one.key)}: {number:.4g}")
        return ", ".join(parts)

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
            rows.append(("round", self._texts(history.round_losses[-1], history.sums)))
        if history.best_validation:
            best = history.best_validation
            values = self._texts(history.validation_losses[best - 1], history.validation_sums[:best])
            rows.append(("validation", f"{values} (best, round {history.best_round})"))
        return rows

    def __repr__(self) -> str:
        return f"NetTrainResultsObject({self.rounds} rounds, {self.batches} batches, {duration_text(self.seconds)})"

    def __str__(self) -> str:
        wide = max(len(label) for label, _ in self.rows())
        return "NetTrain Results\n" + "\n".join(f"  {label:>{wide}}  {text}" for label, text in self.rows())

    def _repr_html_(self) -> str:
        import html

        rows = "".join(
            f"<tr><td style='color:#888;text-align:right;vertical-align:top'>{html.escape(label)}</td>"
            f"<td style='text-align:left'>{html.escape(text)}</td></tr>"
            for label, text in self.rows()
        )
        loss, *others = _final_plots(self).items() if self.batches else [("Loss", None)]
        pictures = "".join(
            f"<details><summary style='color:#888'>{html.escape(key_text(key))}</summary>{_image(figure, key_text(key))}</details>"
            for key, figure in others
        )
        shown = _image(loss[1], "loss") if self.batches else ""
        return f"<div><b>NetTrain Results</b><table>{rows}</table>{shown}{pictures}</div>"


def _image(figure: Any, name: str) -> str:
    """A figure as an element of HTML that needs no other file."""
    import base64
    import html
    import io

    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", bbox_inches="tight")
    source = base64.b64encode(buffer.getvalue()).decode()
    return f"<img alt='{html.escape(name, quote=True)}' src='data:image/png;base64,{source}'>"


def _loss_plot(results: NetTrainResultsObject) -> Figure:
    return _course(results, results.history.batch_losses, np.array(results.history.validation_losses), "loss")


def _course(results: NetTrainResultsObject, batches: Any, validations: Any, label: str, per_round: int = 0) -> Figure:
    """The course of the loss or of a measurement over the rounds."""
    from netdsl.plots import loss_plot

    history = results.history
    places = np.array(history.validation_positions[: len(validations)]) / history.batches_per_round
    pairs = dict(zip(places.tolist(), np.asarray(validations).tolist()))
    return loss_plot(batches, pairs or None, label=label, batches_per_round=per_round or history.batches_per_round)


def _measure_plot(results: NetTrainResultsObject, measure: Measure) -> Figure:
    """The course of a measurement, or where it is a picture itself the last one."""
    history, measured = results.history, results.measured
    if measure.kind == "figure":
        best = history.validation_sums[: history.best_validation]
        return measured.value(measure, (best or history.sums)[-1])  # type: ignore[no-any-return]
    label = "error rate" if measure.key == ERROR else key_text(measure.key)
    batches = results.batch_lists().get(measure.key)
    per_round = 0 if batches is not None else 1
    if batches is None:
        batches = np.array([measured.number(measure, sums) for sums in history.sums if measured.has(measure, sums)])
    validations = [measured.number(measure, sums) for sums in history.validation_sums]
    return _course(results, batches, validations, label, per_round)


def _error_plot(results: NetTrainResultsObject) -> Figure:
    measure = results.measured.named(ERROR)
    assert measure is not None
    return _measure_plot(results, measure)


def _final_plots(results: NetTrainResultsObject) -> dict[Any, Any]:
    plotted = [measure for measure in results.measured.measures if measure.plotted]
    return {"Loss": _loss_plot(results), **{measure.key: _measure_plot(results, measure) for measure in plotted}}


def _last(values: Any) -> float | None:
    return float(values[-1]) if len(values) else None


def _best_loss(results: NetTrainResultsObject) -> float | None:
    history = results.history
    return history.validation_losses[history.best_validation - 1] if history.best_validation else None


_PROPERTIES: dict[str, Callable[[NetTrainResultsObject], Any]] = {
    "ArraysLearningRateMultipliers": lambda r: {path_text(path): value for path, value in r.multipliers.items()},
    "BatchesPerRound": lambda r: r.history.batches_per_round,
    "BatchLossList": lambda r: r.history.batch_losses,
    "BatchMeasurementsLists": NetTrainResultsObject.batch_lists,
    "BatchSize": lambda r: r.batch_size,
    "BestValidationRound": lambda r: r.history.best_round or None,
    "CheckpointingFiles": lambda r: list(r.checkpoints),
    "ErrorRateEvolutionPlot": _error_plot,
    "ExamplesProcessed": lambda r: r.batches * r.batch_size,
    "FinalLearningRate": lambda r: r.final_learning_rate,
    "FinalPlots": _final_plots,
    "InitialLearningRate": lambda r: r.learning_rate,
    "LossPlot": _loss_plot,
    "MeanBatchesPerSecond": lambda r: r.batches / r.seconds if r.seconds else 0.0,
    "MeanExamplesPerSecond": lambda r: r.batches * r.batch_size / r.seconds if r.seconds else 0.0,
    "NetTrainInputForm": lambda r: r.input_form,
    "OptimizationMethod": lambda r: r.method,
    "RandomSeeding": lambda r: r.seed,
    "ReasonTrainingStopped": lambda r: r.reason,
    "RoundLoss": lambda r: _last(r.history.round_losses),
    "RoundLossList": lambda r: r.history.round_losses,
    "RoundMeasurements": NetTrainResultsObject.round_values,
    "RoundMeasurementsLists": lambda r: r.lists(r.history.sums),
    "RoundPositions": lambda r: np.cumsum([part.size for part in r.history.losses], dtype=int),
    "SkippedTrainingData": lambda r: list(r.skipped),
    "TargetDevice": lambda r: r.device,
    "TotalBatches": lambda r: r.batches,
    "TotalRounds": lambda r: r.rounds,
    "TotalTrainingTime": lambda r: r.seconds,
    "TrainedNet": lambda r: r.trained_net,
    "TrainingExamples": lambda r: r.training_examples,
    "TrainingNet": lambda r: r.training_net,
    "ValidationExamples": lambda r: r.validation_examples,
    "ValidationLoss": _best_loss,
    "ValidationLossList": lambda r: np.array(r.history.validation_losses),
    "ValidationMeasurements": NetTrainResultsObject.validation_values,
    "ValidationMeasurementsLists": lambda r: r.lists(r.history.validation_sums),
    "ValidationPositions": lambda r: np.array(r.history.validation_positions, int),
}

_LEGACY = {"FinalNet": "TrainedNet", "LossEvolutionPlot": "LossPlot"}
"""Names of Mathematica 11 [U, M]."""

_FACTS = {"RMSGradientsEvolutionPlot": "GradientsRMS", "RMSWeightsEvolutionPlot": "WeightsRMS"}
"""What a function can gather for plots of Mathematica 11 that would cost every training time."""


def check_property(property: Any) -> None:
    """Refuse what is no property, or a list with something that is none."""
    for name in property if isinstance(property, (list, tuple)) else [property]:
        if name is All or name is Automatic or (isinstance(name, str) and name in (*_PROPERTIES, *_LEGACY, "Properties")):
            continue
        if isinstance(name, Net):
            raise PartError(f"NetTrain gives no property {excerpt(name)}. A loss is an option: LossFunction={excerpt(name)}.")
        cure = (
            f"A TrainingProgressFunction finds what it shows under {_FACTS[name]!r}."
            if isinstance(name, str) and name in _FACTS
            else nearest(name, _PROPERTIES)
        )
        raise PartError(f"NetTrain gives no property {excerpt(name)}. {cure}")
