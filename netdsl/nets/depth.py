"""How deep nets may be nested: Python's limit of frames."""

from __future__ import annotations

import sys

__all__ = ["allow_depth"]

FRAMES_PER_LEVEL, FRAMES_AROUND, MOST_FRAMES = 20, 800, 9_200
"""What walks over a net takes up to so many of Python's frames for each level of nesting, and leaves others room. Python's own
limit of 1,000 is raised where a net is nested deeper than 10 levels, up to 10,000, for which the stack of a thread suffices."""


def allow_depth(levels: int) -> None:
    """Let Python walk over a net nested so deep."""
    frames = FRAMES_AROUND + min(FRAMES_PER_LEVEL * levels, MOST_FRAMES)
    if frames > sys.getrecursionlimit():
        sys.setrecursionlimit(frames)
