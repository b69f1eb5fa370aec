"""Nets, encoders and decoders as text for a terminal and as HTML for a notebook."""

from netdsl.display.graphic import NetGraphic
from netdsl.display.markup import html
from netdsl.display.plain import text

__all__ = ["NetGraphic", "html", "text"]
