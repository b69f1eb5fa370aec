"""The options of evaluation, checked: batch size, mode, seed, device, precision."""

from __future__ import annotations

from typing import Any, NamedTuple

import jax

from netdsl.declarations import is_integer
from netdsl.errors import DeclarationError, DeviceError, UnsupportedError, excerpt, listing, nearest
from netdsl.lowering.precision import Precision, precision_named
from netdsl.symbols import Automatic

__all__ = ["Settings", "device_named", "settings_of"]

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
    device = options.get("TargetDevice", Automatic)
    return Settings(
        int(batch_size),
        mode == "Train",
        options.get("RandomSeeding", Automatic),
        None if device is Automatic else device_named(device),
        precision_named(options.get("WorkingPrecision", Automatic)),
    )


def device_named(setting: Any) -> Any:
    """The JAX device that a TargetDevice setting means: "CPU", "GPU", "TPU" or a pair of one and a number from 1."""
    name, number = setting if isinstance(setting, (tuple, list)) and len(setting) == 2 else (setting, 1)
    if not isinstance(name, str) or name.upper() not in ("CPU", "GPU", "TPU", "CUDA"):
        raise DeclarationError(f'TargetDevice is "CPU", "GPU", "TPU" or a pair such as ("GPU", 2). Got {excerpt(setting)}.')
    if not isinstance(number, int) or isinstance(number, bool):
        raise UnsupportedError(f'TargetDevice {excerpt(setting)}: several devices are not supported yet; ("GPU", 1) names one.')
    platform = {"CUDA": "gpu"}.get(name.upper(), name.lower())
    try:
        devices = jax.devices(platform)
    except RuntimeError:
        have = listing(sorted({device.platform.upper() for device in jax.devices()}))
        raise DeviceError(
            f"TargetDevice={setting!r}: there is no {name.upper()} that JAX can use here; it sees {have}. "
            f"Leave TargetDevice out to use that, or install JAX for the {name.upper()} (see docs.jax.dev, Installation)."
        ) from None
    if not 1 <= number <= len(devices):
        raise DeviceError(f"TargetDevice={setting!r}: there are {len(devices)} such devices, numbered from 1.")
    return devices[number - 1]
