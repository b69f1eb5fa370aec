"""Python's package registry, reached through the user's own pip and nothing else."""

from __future__ import annotations

import importlib.util
import shutil
import sys
from pathlib import Path

from netdsl.errors import ResourceError
from netdsl.resources.clients import run_client
from netdsl.resources.sources import Attempt

__all__ = ["download_wheel"]


def download_wheel(name: str, version: str, attempt: Attempt, size: int | None = None) -> Path:
    """The wheel of exactly this version in the attempt's folder, downloaded with pip and not installed."""
    options = ["--no-deps", "--only-binary", ":all:", "--no-input", "--progress-bar", "off", "--retries", "1", "--timeout", "15"]
    command = [*_pip(), "download", "--disable-pip-version-check", "--no-cache-dir", *options]
    run_client([*command, "--dest", str(attempt.folder), f"{name}=={version}"], attempt, size)
    wheels = list(attempt.folder.glob("*.whl"))
    if len(wheels) != 1:
        raise ResourceError(f"pip brought {len(wheels)} wheels instead of one")
    return wheels[0]


def _pip() -> list[str]:
    """The command that starts pip: of this Python, or else whichever there is."""
    if importlib.util.find_spec("pip") is not None:
        return [sys.executable, "-m", "pip"]
    for name in ("pip", "pip3"):
        if found := shutil.which(name):
            return [found]
    if found := shutil.which("uv"):
        return [found, "tool", "run", "pip"]
    raise ResourceError("this Python has no pip, and there is none on the PATH")
