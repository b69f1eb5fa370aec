"""The devices that TargetDevice names."""

from __future__ import annotations

import operator
from typing import Any, NamedTuple

import jax

from netdsl.errors import DeclarationError, DeviceError, UnsupportedError, excerpt, listing
from netdsl.lowering.cores import core_devices, cores_available
from netdsl.symbols import All, Automatic

__all__ = ["Target", "device_named", "devices_named", "devices_of_all", "devices_text"]

FORMS = '"CPU", "GPU", "TPU", or a pair such as ("GPU", 2), ("GPU", [1, 2]), ("GPU", All) or ("CPU", 4)'


class Target(NamedTuple):
    """What a TargetDevice setting means in this process."""

    device: Any
    """Where arrays come from and go to; None is JAX's default device."""
    devices: tuple[Any, ...] = ()
    """Those that share the work; none where nothing is said of cores: then the machine's may."""


def devices_named(setting: Any) -> Target:
    """The devices of this process that a TargetDevice setting means.

    Automatic is JAX's default device, "GPU" the first, ("GPU", n) the n-th, ("GPU", [n, …]) those numbers, ("GPU", All) all; "TPU"
    alike. CPU devices have no numbers: ("CPU", n) is n of them, ("CPU", All) as many as there are. They are JAX's own where it shows
    so many, else the cores of this machine.

    Raises DeclarationError for another form, DeviceError for devices that are not there.
    """
    if setting is Automatic:
        return Target(None)
    name, which = setting if isinstance(setting, (tuple, list)) and len(setting) == 2 else (setting, None)
    if not isinstance(name, str) or name.upper() not in ("CPU", "GPU", "TPU", "CUDA"):
        raise DeclarationError(f"TargetDevice is {FORMS}. Got {excerpt(setting)}.")
    platform = {"CUDA": "gpu"}.get(name.upper(), name.lower())
    try:
        here = tuple(jax.local_devices(backend=platform))
    except RuntimeError:
        have = listing(sorted({device.platform.upper() for device in jax.local_devices()}))
        raise DeviceError(
            f"TargetDevice={setting!r}: there is no {name.upper()} that JAX can use here; it sees {have}. "
            f"Leave TargetDevice out to use that, or install JAX for the {name.upper()} (see docs.jax.dev, Installation)."
        ) from None
    if platform == "cpu":
        return Target(here[0], () if which is None else _cpus(setting, which, here))
    numbers = [1] if which is None else range(1, len(here) + 1) if which is All else _numbers(setting, which)
    if max(numbers) > len(here):
        raise DeviceError(
            f"TargetDevice={setting!r}: JAX sees {_counted(len(here), name)} here, numbered from 1: "
            f"{listing([getattr(device, 'device_kind', str(device)) for device in here], 8)}."
        )
    chosen = tuple(here[number - 1] for number in numbers)
    return Target(chosen[0], chosen)


def _cpus(setting: Any, which: Any, here: tuple[Any, ...]) -> tuple[Any, ...]:
    """So many CPU devices."""
    cores = cores_available() if jax.process_count() == 1 else 1
    if isinstance(which, (list, tuple)):
        raise DeclarationError(f'CPU devices have no numbers: ("CPU", n) takes n of them. Got TargetDevice={excerpt(setting)}.')
    (count,) = (max(len(here), cores),) if which is All else _numbers(setting, which)
    if count <= len(here):
        return here[:count]
    if count > cores:
        raise DeviceError(
            f"TargetDevice={setting!r}: there are fewer CPU devices. JAX shows {len(here)}, and work can be shared by "
            f"{_counted(cores, 'core')} of this machine. Set the environment variable XLA_FLAGS=--xla_force_host_platform_device_"
            f"count={count} before JAX is used first, and it shows {count}; that is a test, and makes nothing faster."
        )
    return core_devices(count)


def _numbers(setting: Any, which: Any) -> list[int]:
    """Numbers from 1, each once."""
    given = list(which) if isinstance(which, (list, tuple)) else [which]
    try:
        numbers = [0 if isinstance(number, bool) else operator.index(number) for number in given]
    except TypeError:
        numbers = []
    if not numbers or min(numbers) < 1 or len(set(numbers)) < len(numbers):
        raise DeclarationError(f"TargetDevice is {FORMS}; numbers count from 1, each once. Got {excerpt(setting)}.")
    return numbers


def device_named(setting: Any) -> Any:
    """The one device that a TargetDevice setting means, for what is done on one; None for Automatic."""
    target = devices_named(setting)
    if len(target.devices) > 1:
        raise UnsupportedError(f"TargetDevice={setting!r}: this is done on one device. A net and NetTrain take several.")
    return target.device


def devices_of_all(target: Target) -> tuple[Any, ...]:
    """The devices that share the work in all processes: each gives those that the setting means there."""
    if jax.process_count() == 1:
        return target.devices
    own = target.devices or ((target.device or next(iter(jax.device_put(0).devices()))),)
    platform = own[0].platform
    here = jax.local_devices(backend=platform)
    places, found = [here.index(device) for device in own], []
    for process in range(jax.process_count()):
        there = [device for device in jax.devices(platform) if device.process_index == process]
        if len(there) <= max(places):
            raise DeviceError(
                f"Process {process} has {_counted(len(there), platform.upper())}, fewer than process {jax.process_index()} uses."
            )
        found += [there[place] for place in places]
    return tuple(found)


def devices_text(device: Any, devices: tuple[Any, ...]) -> str:
    """The devices in a word or two: ``GPU``, ``4 GPUs``, ``16 GPUs of 2 processes``."""
    name, processes = device.platform.upper(), len({device.process_index for device in devices})
    text = name if len(devices) < 2 else f"{len(devices)} {name}s"
    return text if processes < 2 else f"{text} of {processes} processes"


def _counted(count: int, name: str) -> str:
    return f"{count} {name}{'' if count == 1 else 's'}"
