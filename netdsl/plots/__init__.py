"""Figures from plain arrays. Matplotlib is imported when a figure is drawn, never before.

Every function returns a `matplotlib.figure.Figure` that no global list of figures knows: show it in a notebook, or save it
with ``savefig``.
"""

from __future__ import annotations

from netdsl.plots import confusion, curves, loss, residuals
from netdsl.plots.confusion import *
from netdsl.plots.curves import *
from netdsl.plots.loss import *
from netdsl.plots.residuals import *

__all__ = [*confusion.__all__, *curves.__all__, *loss.__all__, *residuals.__all__]
