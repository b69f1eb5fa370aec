"""Errors: the tree, the words, and tracebacks that end at the user's line."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from netdsl import errors
from netdsl.errors import NetError, excerpt, listing, nearest

SCRIPT = Path(__file__).with_name("test_wrong_use.py")


def test_every_error_is_in_the_tree_of_the_docstring() -> None:
    for name in errors.__all__:
        kind = getattr(errors, name)
        assert name in (errors.__doc__ or ""), f"{name} is not in the picture of the tree"
        assert issubclass(kind, (NetError, Warning))


def test_words() -> None:
    assert listing(["a"]) == "a"
    assert listing(["a", "b", "c"]) == "a, b and c"
    assert listing(range(20), 3) == "0, 1, 2 and 17 more"
    assert nearest("strid", ["Stride", "Padding"]) == "Did you mean 'Stride'?"
    assert nearest("x", ["Stride", "Padding"]) == "There are 'Stride' and 'Padding'."
    assert nearest("x", []) == "There are none."
    assert len(excerpt("x" * 1000)) == 60


class Hostile:
    def __repr__(self) -> str:
        raise RuntimeError


def test_a_thing_without_a_repr_still_has_an_excerpt() -> None:
    assert "Hostile" in excerpt(Hostile())


@pytest.mark.parametrize("mistake", ["NetChain([3, 4])([1.0], Optoin=1)", "NetChain([10, SoftmaxLayer()], Input=2, Output=3)",
                                     "NetTrain(NetChain([3], Input=2), [])", "NetInitialize(NetChain([3]))", "NetChain([Ramp])[5]"])
@pytest.mark.parametrize("full", [False, True])
def test_tracebacks_show_the_users_line(mistake: str, full: bool) -> None:
    environment = {**os.environ, "NETDSL_TRACEBACKS": "full" if full else ""}
    done = subprocess.run([sys.executable, "-c", f"from netdsl import *\n{mistake}"], capture_output=True, text=True, timeout=120,
                          env=environment, cwd=SCRIPT.parent.parent)
    frames = done.stderr.count('File "')
    assert done.returncode == 1
    assert "netdsl.errors." in done.stderr.splitlines()[-1] or "netdsl.errors." in done.stderr
    assert frames <= 2 if not full else frames > 2, done.stderr
