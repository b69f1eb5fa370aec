"""The options of NetTrain, checked."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from netdsl.constraints import is_integer
from netdsl.errors import DeclarationError, excerpt, nearest
from netdsl.initialization import seed_of
from netdsl.lowering import Precision, devices_named, devices_of_all, precision_named
from netdsl.symbols import Automatic, Infinity
from netdsl.training.checkpoints import Checkpointing, checkpointing
from netdsl.training.intervals import Every, seconds
from netdsl.training.memory import sparing
from netdsl.training.optimizers import Optimizer, optimizer
from netdsl.training.progress import Functions, Progress, progress, progress_functions
from netdsl.training.sources import skipping
from netdsl.training.stopping import Criterion, criterion
from netdsl.training.validation import validation_of

__all__ = ["Settings", "settings_of"]

DEFAULT_SEED = 1234

OPTIONS = (
    "BatchSize",
    "LearningRate",
    "LearningRateMultipliers",
    "LossFunction",
    "MaxTrainingRounds",
    "Method",
    "PerformanceGoal",
    "RandomSeeding",
    "SkipInvalidExamples",
    "TargetDevice",
    "TimeGoal",
    "TrainingProgressCheckpointing",
    "TrainingProgressFunction",
    "TrainingProgressMeasurements",
    "TrainingProgressReporting",
    "TrainingStoppingCriterion",
    "TrainingUpdateSchedule",
    "ValidationSet",
    "WorkingPrecision",
)


@dataclass(frozen=True)
class Settings:
    """The options of a training, checked."""

    batch_size: int | None
    rounds: float | None
    """None is Automatic, infinity no limit."""
    seconds: float | None
    """None is Automatic, infinity no limit."""
    seed: int
    device: Any
    devices: tuple[Any, ...]
    """Those that share each batch, of all processes; none where the machine's cores may."""
    loss: Any
    optimizer: Optimizer
    multipliers: Any
    validation: Any
    progress: Progress
    functions: Functions
    precision: Precision
    validated: Every
    measurements: Any
    criterion: Criterion | None
    turns: Any
    """TrainingUpdateSchedule, which only the net can check."""
    sparing: bool
    checkpointing: Checkpointing | None
    skip: bool


def settings_of(options: dict[str, Any]) -> Settings:
    """The settings that the options of NetTrain mean.

    Raises DeclarationError for an unknown option or value, UnsupportedError for an option of Mathematica that is not there yet.
    """
    for name in options:
        if name not in OPTIONS:
            raise DeclarationError(f"NetTrain has no option {name!r}. {nearest(name, OPTIONS)}")
    get = options.get
    seeding = get("RandomSeeding", DEFAULT_SEED)
    target = devices_named(get("TargetDevice", Automatic))
    batch_size = _count("BatchSize", get("BatchSize", Automatic))
    goal = get("TimeGoal", Automatic)
    validation, validated = validation_of(get("ValidationSet", None))
    reporter = progress(get("TrainingProgressReporting", Automatic))
    return Settings(
        batch_size=None if batch_size is None else int(batch_size),
        rounds=_count("MaxTrainingRounds", get("MaxTrainingRounds", Automatic), endless=True),
        seconds=None if goal in (Automatic, None) else seconds(goal, "TimeGoal", endless=True),
        seed=seed_of(seeding),
        device=target.device,
        devices=devices_of_all(target),
        loss=get("LossFunction", Automatic),
        optimizer=optimizer(get("Method", Automatic), get("LearningRate", Automatic)),
        multipliers=get("LearningRateMultipliers", Automatic),
        validation=validation,
        progress=reporter,
        functions=progress_functions(get("TrainingProgressFunction", None), reporter.calls),
        precision=precision_named(get("WorkingPrecision", Automatic)),
        validated=validated,
        measurements=get("TrainingProgressMeasurements", Automatic),
        criterion=criterion(get("TrainingStoppingCriterion", None)),
        turns=get("TrainingUpdateSchedule", Automatic),
        sparing=sparing(get("PerformanceGoal", Automatic)),
        checkpointing=checkpointing(get("TrainingProgressCheckpointing", None)),
        skip=skipping(get("SkipInvalidExamples", False)),
    )


def _count(name: str, value: Any, endless: bool = False) -> float | None:
    if value is Automatic:
        return None
    if endless and isinstance(value, float) and value == Infinity:
        return Infinity
    if not is_integer(value) or value < 1:
        words = "a positive integer, Infinity or Automatic" if endless else "a positive integer or Automatic"
        raise DeclarationError(f"{name} is {words}. Got {excerpt(value)}.")
    return int(value)
