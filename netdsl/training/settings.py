"""The options of NetTrain, checked."""

from __future__ import annotations

from dataclasses import dataclass
from numbers import Real
from typing import Any

from netdsl.errors import DeclarationError, UnsupportedError, excerpt, nearest
from netdsl.initialization import seed_of
from netdsl.lowering import Precision, device_named, precision_named
from netdsl.symbols import Automatic, Infinity, Quantity
from netdsl.training.optimizers import Optimizer, optimizer
from netdsl.training.progress import Progress, progress
from netdsl.training.sources import skipping

__all__ = ["Settings", "settings_of"]

DEFAULT_SEED = 1234

LATER = (
    "TrainingStoppingCriterion",
    "TrainingProgressMeasurements",
    "TrainingProgressFunction",
    "TrainingProgressCheckpointing",
    "TrainingUpdateSchedule",
    "PerformanceGoal",
)
"""The options of Mathematica that are refused by name, unless they ask for nothing."""

OPTIONS = (
    "BatchSize",
    "LearningRate",
    "LearningRateMultipliers",
    "LossFunction",
    "MaxTrainingRounds",
    "Method",
    "RandomSeeding",
    "SkipInvalidExamples",
    "TargetDevice",
    "TimeGoal",
    "TrainingProgressReporting",
    "ValidationSet",
    "WorkingPrecision",
)


UNITS = {"Milliseconds": 1e-3, "Seconds": 1.0, "Minutes": 60.0, "Hours": 3600.0, "Days": 86400.0}


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
    loss: Any
    optimizer: Optimizer
    multipliers: Any
    validation: Any
    progress: Progress
    precision: Precision
    skip: bool = False


def settings_of(options: dict[str, Any]) -> Settings:
    """The settings that the options of NetTrain mean.

    Raises DeclarationError for an unknown option or value, UnsupportedError for an option of Mathematica that is not there yet.
    """
    for name, value in options.items():
        if name in LATER:
            if value is None or value is Automatic:
                continue
            raise UnsupportedError(f"NetTrain does not support the option {name} yet. Leave it out.")
        if name not in OPTIONS:
            raise DeclarationError(f"NetTrain has no option {name!r}. {nearest(name, [*OPTIONS, *LATER])}")
    get = options.get
    seeding = get("RandomSeeding", DEFAULT_SEED)
    device = get("TargetDevice", Automatic)
    batch_size = _count("BatchSize", get("BatchSize", Automatic))
    return Settings(
        batch_size=None if batch_size is None else int(batch_size),
        rounds=_count("MaxTrainingRounds", get("MaxTrainingRounds", Automatic), endless=True),
        seconds=_seconds(get("TimeGoal", Automatic)),
        seed=seed_of(seeding),
        device=None if device is Automatic else device_named(device),
        loss=get("LossFunction", Automatic),
        optimizer=optimizer(get("Method", Automatic), get("LearningRate", Automatic)),
        multipliers=get("LearningRateMultipliers", Automatic),
        validation=get("ValidationSet", None),
        progress=progress(get("TrainingProgressReporting", Automatic)),
        precision=precision_named(get("WorkingPrecision", Automatic)),
        skip=skipping(get("SkipInvalidExamples", False)),
    )


def _count(name: str, value: Any, endless: bool = False) -> float | None:
    if value is Automatic:
        return None
    if endless and isinstance(value, float) and value == Infinity:
        return Infinity
    if isinstance(value, bool) or not hasattr(value, "__index__") or value < 1:
        words = "a positive integer, Infinity or Automatic" if endless else "a positive integer or Automatic"
        raise DeclarationError(f"{name} is {words}. Got {excerpt(value)}.")
    return int(value)


def _seconds(value: Any) -> float | None:
    if value is Automatic or value is None:
        return None
    number = value
    if isinstance(value, Quantity):
        if value.unit not in UNITS:
            raise DeclarationError(f"TimeGoal is a time, but {value!r} has the unit {value.unit!r}. {nearest(value.unit, UNITS)}")
        number = value.magnitude
    if isinstance(number, bool) or not isinstance(number, Real) or not float(number) > 0:
        raise DeclarationError(f"TimeGoal is a number of seconds above 0, or a Quantity. Got {excerpt(value)}.")
    return float(number) * (UNITS[value.unit] if isinstance(value, Quantity) else 1.0)
