"""Data sets and models by name: a catalogue with sums, and one file for each kind of place they may come from."""

from netdsl.resources.example import *  # noqa: F403
from netdsl.resources.models import NetModel  # noqa: F401
from netdsl.resources.resource import *  # noqa: F403
