"""Data sets and models by name: a catalogue with sums, and one file for each kind of place they may come from."""

from netdsl.resources.example import *
from netdsl.resources.models import NetModel
from netdsl.resources.resource import *
