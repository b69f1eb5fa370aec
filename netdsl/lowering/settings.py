"""The options of evaluation, checked: batch size, mode, seed, device, precision."""

from __future__ import annotations

from typing import Any, NamedTuple

from netdsl.constraints import is_integer
from netdsl.errors import DeclarationError, excerpt, nearest
from netdsl.lowering.devices import devices_named
from netdsl.lowering.precision import Precision, precision_named
from netdsl.symbols import Automatic

__all__ = ["Settings", "settings_of"]

BATCH_SIZE = 256
"""The number of examples evaluated together when BatchSize is Automatic."""

OPTIONS = ("BatchSize", "NetEvaluationMode", "RandomSeeding", "TargetDevice", "WorkingPrecision")


class Settings(NamedTuple):
    """How a net is evaluated."""

    batch_size: int
    training: bool
    seed: int | None
    device: Any
    precision: Precision
    devices: tuple[Any, ...] = ()
    """Those that TargetDevice names by number; a batch is shared by them."""


def settings_of(options: dict[str, Any]) -> Settings:
    """The settings that the options of an evaluation mean."""
    for name in options:
        if name not in OPTIONS:
            raise DeclarationError(f"A net takes no option {name!r} when it is evaluated. {nearest(name, OPTIONS)}")
    batch_size: Any = options.get("BatchSize", Automatic)
    if batch_size is Automatic:
        batch_size = BATCH_SIZE
    elif not is_integer(batch_size) or batch_size < 1:
        raise DeclarationError(f"BatchSize is a positive integer or Automatic. Got {excerpt(batch_size)}.")
    mode = options.get("NetEvaluationMode", "Test")
    if not isinstance(mode, str) or mode not in ("Test", "Train"):
        raise DeclarationError(f'NetEvaluationMode is "Test" or "Train". Got {excerpt(mode)}.')
    device, devices = devices_named(options.get("TargetDevice", Automatic))
    return Settings(
        int(batch_size),
        mode == "Train",
        options.get("RandomSeeding", Automatic),
        device,
        precision_named(options.get("WorkingPrecision", Automatic)),
        devices,
    )
