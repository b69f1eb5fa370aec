"""Tracebacks end at the user's line; all frames come back when asked."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.parametrize(
    ("mistake", "full"),
    [
        ("NetChain([10, SoftmaxLayer()], Input=2, Output=3)", False),
        ("NetChain([10, SoftmaxLayer()], Input=2, Output=3)", True),
        ("NetTrain(NetChain([3], Input=2), [])", False),
        ("NetChain([Ramp])[5]", False),
    ],
)
def test_tracebacks_show_the_users_line(mistake: str, full: bool) -> None:
    environment = {**os.environ, "NETDSL_TRACEBACKS": "full" if full else ""}
    done = subprocess.run(
        [sys.executable, "-c", f"from netdsl import *\n{mistake}"],
        capture_output=True,
        text=True,
        timeout=120,
        env=environment,
        cwd=Path(__file__).parent.parent,
    )
    frames = done.stderr.count('File "')
    assert done.returncode == 1
    assert "netdsl.errors." in done.stderr
    assert frames <= 2 if not full else frames > 2, done.stderr
