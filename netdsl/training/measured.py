"""TrainingProgressMeasurements: what is measured beside the loss, and what the sums of batches say of it."""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import jax
import numpy as np

from netdsl.attachment import TrainingNet
from netdsl.errors import DeclarationError, UnsupportedError, excerpt, listing, warn
from netdsl.layers import CrossEntropyLossLayer
from netdsl.measurements.comparison import NUMBERS, Comparison, comparison
from netdsl.measurements.evaluation import Evaluation
from netdsl.measurements.predictions import Predictions
from netdsl.measurements.specification import Asked, Reader
from netdsl.measurements.tally import CURVES, EXTREMES, Dummies, PortFunction, Sums, Tallied, together, zeros
from netdsl.nets import ArrayPath, Sequence
from netdsl.symbols import Automatic, Rule
from netdsl.training.capacity import fits
from netdsl.training.history import History
from netdsl.training.plan import Plan
from netdsl.training.stopping import LOSS, Criterion, Watch
from netdsl.training.streaming import Feed

__all__ = ["ERROR", "Judge", "Measure", "Measured", "compared_of", "judged", "key_text", "measured"]

ERROR = "ErrorRate"
"""What is measured beside the loss when TrainingProgressMeasurements is Automatic and there is one cross-entropy loss."""

OF_ERROR = "error"
"""Its name among the sums: the step gives it by itself."""

ROOM = 2**20
"""The most numbers that are kept of the sums of the batches of a round; with more, sums are kept of batches together."""

BETTER = {
    "Accuracy",
    "AccuracyBaseline",
    "AreaUnderROCCurve",
    "CohenKappa",
    "F1Score",
    "FScore",
    "GeometricMeanProbability",
    "Informedness",
    "LogLikelihood",
    "Markedness",
    "MatthewsCorrelationCoefficient",
    "NegativePredictiveValue",
    "Precision",
    "RSquared",
    "Recall",
    "ScottPi",
    "Sensitivity",
    "Specificity",
    "TrueNegativeNumber",
    "TruePositiveNumber",
}
"""The measurements that are better when they are larger; all others when they are smaller."""

DIRECTIONS = ("Increasing", "Decreasing")
INTERVALS = ("Batch", "Round")


@dataclass(frozen=True)
class Measure:
    """One measurement of a training.

    Args:
        key: what it is called in the results.
        asked: how its value is made from sums.
        kind: "number", "classes" (a number for each class), "array", or "figure".
        increasing: whether it is better when it is larger.
        by_batch: whether it is kept for each batch too.
        plotted: whether it is among the FinalPlots.
        whole: whether it needs all examples together, so that it is only taken of validation data.
    """

    key: Hashable
    asked: Asked
    kind: str
    increasing: bool
    by_batch: bool
    plotted: bool
    whole: bool


@dataclass(frozen=True)
class Measured:
    """All measurements of a training beside its loss, and the sums that they are made from."""

    measures: tuple[Measure, ...] = ()
    sums: Sums = field(default_factory=Sums)
    tallied: Tallied = field(default_factory=lambda: Tallied({}))
    classified: bool = False
    """Whether the step gives the error rate by itself."""
    deciding: Measure | None = None
    """That of the stopping criterion; None where that is the loss."""

    def value(self, measure: Measure, sums: Mapping[str, Any]) -> Any:
        """What sums say of a measurement; not finite where they are not."""
        with np.errstate(all="ignore"):
            return measure.asked.value(replace(self.tallied, sums=sums))

    def number(self, measure: Measure, sums: Mapping[str, Any]) -> float:
        """The same as one number: the mean over the classes for which there is one; NaN where it is none."""
        value = self.value(measure, sums) if measure.kind in ("number", "classes") else math.nan
        if isinstance(value, Mapping):
            defined = [one for one in value.values() if not math.isnan(one)]
            value = sum(defined) / len(defined) if defined else math.nan
        return float(value)

    def numbers(self, sums: Mapping[str, Any]) -> dict[str, float]:
        """All that are numbers, by the texts of their keys, for a report; the error rate is shown by itself."""
        return {
            key_text(measure.key): self.number(measure, sums)
            for measure in self.measures
            if measure.kind in ("number", "classes")
            and not (measure.key == ERROR and OF_ERROR in sums)
            and self.has(measure, sums)
        }

    def has(self, measure: Measure, sums: Mapping[str, Any]) -> bool:
        """Whether these sums say anything of a measurement: those of batches say nothing of what needs all examples."""
        return not measure.whole or CURVES in sums

    def slots(self, shapes: Mapping[str, Any], batches: int) -> dict[str, Any]:
        """Room for the sums of a round: for each batch, or where that is too much for batches together."""
        size = sum(math.prod(shape.shape) for shape in shapes.values())
        return zeros(shapes, min(batches, max(ROOM // size, 1))) if size else {}

    def keep(self, history: History, slots: Mapping[str, np.ndarray], done: int) -> None:
        """Note what the sums of the round say after so many of its batches."""
        round_ = len(history.losses)
        if len(history.sums) < round_:
            history.sums.append({})
            history.batch_values.append({})
        history.sums[-1] = together(slots)
        if self.classified:
            history.sums[-1][OF_ERROR] = history.errors[-1].mean(dtype=float)
        own = [measure for measure in self.measures if measure.by_batch and not (self.classified and measure.key == ERROR)]
        if not own or not slots or len(next(iter(slots.values()))) < history.batches_per_round:
            return
        before = history.batch_values[-1]
        known = len(next(iter(before.values()), ()))
        batches = [
            {OF_ERROR: history.errors[-1][batch], **{name: slot[batch] for name, slot in slots.items()}}
            for batch in range(known, done)
        ]
        for measure in own:
            name, values = key_text(measure.key), [self.number(measure, sums) for sums in batches]
            before[name] = np.append(before.get(name, np.zeros(0)), values)

    def of_validation(self, sums: Mapping[str, Any], error: float, elements: list[Any]) -> dict[str, Any]:
        """The sums of the validation data, with what needs all its examples: the probabilities and classes of each part."""
        found = together({name: np.asarray(value)[None] for name, value in sums.items()})
        if self.classified:
            found[OF_ERROR] = error
        if elements:
            probabilities, truth = map(np.concatenate, zip(*elements))
            found[CURVES] = Predictions(probabilities, truth, self.tallied.classes).curves
        return found

    @property
    def whole(self) -> bool:
        """Whether something needs all examples of the validation data together."""
        return any(measure.whole for measure in self.measures)

    def refuse_outputs(self, training: TrainingNet, validation: Feed) -> None:
        """Refuse what needs all outputs of the validation data where they are too many to be kept."""
        compared = comparison(training)
        if not (validation.streamed and self.whole and compared is not None):
            return
        longest = max((c.data.shape[1] for c in validation.columns.values() if isinstance(c, Sequence)), default=1)
        sizes = [
            size if isinstance(size, int) else longest for size in training.graph.solved.types[compared.predicted].sizes or ()
        ]
        needed = 4 * validation.count * math.prod(sizes)
        if not fits(needed, None):
            keys = listing(key_text(measure.key) for measure in self.measures if measure.whole)
            raise UnsupportedError(
                f"TrainingProgressMeasurements: {keys} need all outputs of the validation data together, about {needed / 1e9:.1f} GB, "
                "more than the memory has. Leave them out, or give a smaller ValidationSet."
            )

    def named(self, key: Any) -> Measure | None:
        """The measurement of that key."""
        return next((measure for measure in self.measures if _same(measure.key, key)), None)


def key_text(key: Any) -> str:
    """The key of a measurement in words."""
    return key if isinstance(key, str) else f"{key.key} -> {key.value}" if isinstance(key, Rule) else repr(key)


def _same(a: Any, b: Any) -> bool:
    return type(a) is type(b) and bool(a == b)


def measured(setting: Any, criterion: Criterion | None, plan: Plan, training: TrainingNet, validated: bool) -> Measured:
    """The measurements that TrainingProgressMeasurements means, with that of the stopping criterion, of a training net."""
    compared, classified = comparison(training), plan.classified is not None
    known = {ERROR: lambda outcome: float(outcome.sums[OF_ERROR])} if classified else {}
    reader = Reader(training, compared, known)
    if setting is Automatic:
        errors = classified or (compared is not None and compared.form != NUMBERS and not compared.multilabel and _one(training))
        ports = dict.fromkeys(term.port for term in training.terms)
        setting = [*([ERROR] if errors else []), *(port for port in ports if len(ports) > 1 and port != LOSS)]
    things = [] if setting is None else reader.read(setting)
    asked = _flat(things if isinstance(things, list) else [things])
    given = len(asked)
    deciding = None
    if criterion is not None and criterion.key is not None and not _same(criterion.key, LOSS):
        deciding = next((place for place, one in enumerate(asked) if _same(one.key, criterion.key)), len(asked))
        asked += _flat([reader.read(criterion.key)]) if deciding == len(asked) else []
        if len(asked) > deciding + 1 and deciding >= given:
            raise DeclarationError(f"TrainingStoppingCriterion is one measurement. Got {excerpt(criterion.key)}.")
    classes = _classes(training, compared)
    wanted = Sums(
        comparison=None if compared is None else (compared.form, compared.predicted, compared.target),
        wires=tuple(dict.fromkeys(wire for one in asked for wire in one.wires)),
        arrays=tuple(dict.fromkeys(one.array for one in asked if one.array is not None)),
        functions=tuple(PortFunction.of(*one.function, training.graph) for one in asked if one.function is not None),
    )
    tallied = Tallied({}, None if compared is None else compared.form, classes, training.terms, wanted.functions)
    extremes = dict.fromkeys(tallied.name(one, one.aggregation) for one in asked if one.aggregation in EXTREMES)
    wanted = replace(wanted, extremes=tuple(extremes))
    tried = [_tried(one, tallied, wanted, training, validated) for one in asked]
    measures = tuple(measure for measure, _ in tried)
    named = {name for _, names in tried for name in names}
    keys = [measure.key for measure in measures]
    twice = [key for i, key in enumerate(keys) if any(_same(key, other) for other in keys[:i])]
    if twice:
        raise DeclarationError(
            f'TrainingProgressMeasurements has two measurements with the key {excerpt(twice[0])}. Give one of them another "Key".'
        )
    beside = {CURVES, "examples", "batches", OF_ERROR}
    sums = replace(
        wanted,
        names=tuple(sorted(name for name in named if " " not in name and name not in beside)),
        losses=tuple(term.port for term in training.terms if f"loss {term.port}" in named),
    )
    return Measured(measures, sums, tallied, classified, None if deciding is None else measures[deciding])


def _flat(things: Any) -> list[Asked]:
    return [one for thing in things for one in (_flat(thing) if isinstance(thing, list) else [thing])]


def _one(training: TrainingNet) -> bool:
    return sum(isinstance(step.layer, CrossEntropyLossLayer) for step in training.graph.program.steps) == 1


def _classes(training: TrainingNet, compared: Comparison | None) -> tuple[Hashable, ...]:
    """The classes that are compared, the integers from 1 where they have no names."""
    if compared is None or compared.form == NUMBERS:
        return ()
    sizes = training.graph.solved.types[compared.predicted].sizes or (0,)
    return compared.labels or tuple(range(1, int(sizes[-1] or 0) + 1))  # type: ignore[arg-type]


def _tried(asked: Asked, tallied: Tallied, wanted: Sums, training: TrainingNet, validated: bool) -> tuple[Measure, set[str]]:
    """A measurement with what its first try, on sums of nothing in particular, says of it, and the names of those sums."""
    dummies = Dummies(training, len(tallied.classes))
    dummies.note(wanted)
    try:
        value = asked.value(replace(tallied, sums=dummies))
    except AttributeError:
        value = None
    if value is None or asked.name == "Properties" or callable(value):
        raise UnsupportedError(
            f"NetTrain cannot measure {excerpt(asked.key)} while it trains. Ask NetMeasurements(net, data, {excerpt(asked.key)}) "
            "afterwards."
        )
    whole = CURVES in dummies
    if whole and not validated:
        raise DeclarationError(
            f"The measurement {excerpt(asked.key)} needs all examples together: it is taken of the validation data. "
            "Give a ValidationSet, or leave it out."
        )
    kind = _kind(value, tallied.classes)
    options = asked.options
    direction = _choice(options, "Direction", DIRECTIONS)
    interval = _choice(options, "Interval", INTERVALS)
    plotted = options.get("Plot", Automatic)
    if plotted not in (True, False, None, Automatic):
        raise DeclarationError(f'The suboption "Plot" of a measurement is True, False or Automatic. Got {excerpt(plotted)}.')
    measure = Measure(
        asked.key,
        asked,
        kind,
        asked.name in BETTER if direction is None else direction == "Increasing",
        kind == "number" and not whole and asked.evaluates and interval != "Round",
        kind in ("number", "classes", "figure") if plotted is Automatic else bool(plotted),
        whole,
    )
    return measure, set(dummies)


def _choice(options: Mapping[str, Any], name: str, choices: tuple[str, ...]) -> str | None:
    value = options.get(name, Automatic)
    if value is Automatic:
        return None
    if value not in choices:
        raise DeclarationError(
            f"The suboption {name!r} of a measurement is {listing(map(repr, choices))} or Automatic. Got {excerpt(value)}."
        )
    return str(value)


def _kind(value: Any, classes: tuple[Hashable, ...]) -> str:
    if isinstance(value, (int, float)):
        return "number"
    if isinstance(value, Mapping) and tuple(value) == classes and all(isinstance(one, (int, float)) for one in value.values()):
        return "classes"
    if isinstance(value, np.ndarray):
        return "array"
    return "figure" if hasattr(value, "savefig") else "other"


class Judge:
    """Says of each validation whether it is the best so far, and when the training is to stop.

    Args:
        criterion: the stopping criterion.
        measured: the measurements.
        validated: whether there are validation data, so that those decide.
        by: what the best validation is chosen by where no criterion says so, "loss" or "error".
    """

    def __init__(self, criterion: Criterion | None, measured: Measured, validated: bool, by: str) -> None:
        self.measured, self.validated = measured, validated
        self.measure = measured.named(ERROR) if by == "error" and criterion is None else measured.deciding
        if self.measure is not None and self.measure.kind not in ("number", "classes"):
            raise DeclarationError(f"TrainingStoppingCriterion needs a number. {excerpt(self.measure.key)} is none.")
        self.name = f"{'validation ' * validated}{'loss' if self.measure is None else key_text(self.measure.key)}"
        self.increasing = self.measure is not None and self.measure.increasing
        self.function = None if criterion is None else criterion.function
        self.watch = None if criterion is None or self.function else Watch(criterion, self.increasing)
        self.top = math.nan

    def _value(self, history: History, place: int = -1) -> float:
        """The value of the last validation, or of the last round; or of another one."""
        if self.measure is None:
            return float(history.validation_losses[place] if self.validated else history.losses[place].mean())
        return self.measured.number(self.measure, (history.validation_sums if self.validated else history.sums)[place])

    def replay(self, history: History) -> None:
        """See again what was measured before a training that goes on from there."""
        per_round = history.batches_per_round
        whole = [place for place, losses in enumerate(history.losses, 1) if len(losses) == per_round]
        rounds = [position / per_round for position in history.validation_positions] if self.validated else whole
        for place, after in enumerate(rounds):
            value = self._value(history, place)
            self._best(value)
            if self.watch is not None:
                self.watch.see(value, after)

    def best(self, history: History) -> bool:
        """Whether the last validation is the best so far, which its value then is."""
        return self._best(self._value(history))

    def _best(self, value: float) -> bool:
        better = math.isnan(self.top) or (value > self.top if self.increasing else value < self.top)
        if not (math.isfinite(value) and better):
            return False
        self.top = value
        return True

    def stop(self, history: History, rounds: float) -> str:
        """Why the training is to stop after so many rounds; nothing where it is not."""
        if self.function is not None:
            return "met the TrainingStoppingCriterion" if self.function(facts(history, self.measured)) else ""
        if self.watch is None or not self.watch.see(self._value(history), rounds):
            return ""
        return f"met the TrainingStoppingCriterion ({self.name} best after round {self.watch.at:g})"


def compared_of(
    training: TrainingNet,
    arrays: Mapping[ArrayPath, Any],
    plan: Plan,
    device: Any,
    columns: dict[str, Any],
    compact: frozenset[str],
) -> tuple[np.ndarray, ...]:
    """The probabilities and classes of some validation data, with the net as it is now."""
    now = replace(training, graph=training.graph.with_arrays(arrays))
    evaluation = Evaluation(now, comparison(now), device=device, precision=plan.precision, asker="NetTrain")
    found = evaluation.of_columns(columns, compact, len(jax.tree.leaves(columns)[0])).compared
    assert found is not None, "there is a comparison where something needs all examples"
    return found[:2]


def judged(criterion: Criterion | None, measured: Measured, validated: bool, by: str) -> Judge:
    """Who judges a training; a criterion without validation data is warned of."""
    judge = Judge(criterion, measured, validated, by)
    if criterion is not None and not validated:
        text = (
            "TrainingStoppingCriterion looks at the training data, as there is no ValidationSet: a net that only learns them by "
            "heart goes on improving. ValidationSet=Scaled(0.1) holds a tenth out."
        )
        warn(text)
    return judge


def facts(history: History, measured: Measured) -> dict[str, Any]:
    """What a function that decides is told."""
    told: dict[str, Any] = {
        "Round": len(history.losses),
        "TotalBatches": int(sum(map(len, history.losses))),
        "RoundLossList": history.round_losses,
        "RoundMeasurements": _values(measured, history.sums),
        "ValidationLossList": np.array(history.validation_losses),
        "ValidationMeasurements": _values(measured, history.validation_sums),
        "BestValidationRound": history.best_round or None,
    }
    told["RoundLoss"] = float(told["RoundLossList"][-1])
    told["ValidationLoss"] = history.validation_losses[-1] if history.validation_losses else None
    return told


def _values(measured: Measured, sums: list[dict[str, Any]]) -> dict[Any, Any]:
    """The last values of all measurements that are not pictures."""
    if not sums:
        return {}
    found = [one for one in measured.measures if one.kind != "figure" and measured.has(one, sums[-1])]
    return {one.key: measured.value(one, sums[-1]) for one in found}
