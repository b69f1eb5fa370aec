"""The code is formatted, linted and typed as the project file says."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


@pytest.mark.parametrize(
    "command", [["ruff", "check", "."], ["ruff", "format", "--check", "netdsl", "tests"], ["mypy"]], ids=lambda c: " ".join(c[:2])
)
def test_checkers_have_nothing_to_say(command: list[str]) -> None:
    pytest.importorskip(command[0], reason=f"{command[0]} is part of netdsl[test]")
    done = subprocess.run([sys.executable, "-m", *command], cwd=ROOT, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stdout + done.stderr
