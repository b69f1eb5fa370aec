"""Running the client of a package registry: watched, bounded, and with whatever settings its user has given it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from netdsl.errors import ResourceError
from netdsl.resources.sources import Attempt

__all__ = ["run_client"]

QUIET = 30.0  # seconds without a new byte on the disk
LOG = "client.log"


def run_client(command: Sequence[str], attempt: Attempt, size: int | None = None) -> None:
    """Runs a client that downloads into the attempt's folder; `size` is what the download should come to.

    Raises `ResourceError` with the client's last words when it fails, and ends it when it brings nothing for too long.
    """
    folder = attempt.folder
    environment = {**os.environ, "TMPDIR": str(folder), "TEMP": str(folder), "TMP": str(folder)}
    log = folder / LOG
    with open(log, "wb") as output:
        try:
            process = subprocess.Popen(
                command,
                cwd=folder,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=sys.platform != "win32",
            )
        except OSError as problem:
            raise ResourceError(f"{command[0]} could not be started: {problem}") from None
    try:
        _watch(process, attempt, size)
    finally:
        _end(process)
        attempt.settle(grace=2.0)
    if process.returncode:
        name = command[2] if command[1] == "-m" else Path(command[0]).name
        raise ResourceError(f"{name} ended with code {process.returncode}: {_last_words(log)}")


def _watch(process: subprocess.Popen[bytes], attempt: Attempt, size: int | None) -> None:
    brought, moved = 0, time.monotonic()
    while process.poll() is None:
        try:
            process.wait(0.1)
        except subprocess.TimeoutExpired:
            now = _bytes_in(attempt.folder)
            if now > brought:
                brought, moved = now, time.monotonic()
                attempt.progress(min(now, size or now), size)
            elif time.monotonic() - moved > attempt.patience.left(QUIET):
                raise ResourceError(f"nothing came for {time.monotonic() - moved:.0f} s") from None


def _end(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        if sys.platform == "win32":
            process.kill()
        else:
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _bytes_in(folder: Path) -> int:
    total = 0
    for place, _, files in os.walk(folder):
        for file in files:
            try:
                total += os.stat(os.path.join(place, file)).st_size
            except OSError:
                continue
    return total


def _last_words(log: Path) -> str:
    """The lines of a client's output that tell most, on one line."""
    lines = [line.strip() for line in log.read_text(errors="replace").splitlines() if line.strip()]
    telling = [line for line in lines if "error" in line.lower() or line.startswith("E:")] or lines
    text = "; ".join(line for line in telling if "debug-0.log" not in line and "complete log" not in line)
    return text[:300] or "it said nothing"
