"""Pictures of nets: boxes for layers, wires between them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from netdsl.display.graphic.rendering import figure, svg
from netdsl.display.graphic.shapes import Drawing
from netdsl.display.graphic.sketch import sketch
from netdsl.errors import DeclarationError, excerpt, public
from netdsl.nets import Net

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["NetGraphic"]

KINDS = (".svg", ".png", ".pdf")


class NetGraphic:
    """The picture that ``Information(net, "SummaryGraphic")`` gives: a notebook shows it.

    ``graphic.svg`` is its text as SVG, ``graphic.save("net.png")`` writes a file (.svg, .png or .pdf), ``graphic.figure()`` is a
    figure of matplotlib.
    """

    def __init__(self, net: Net, full: bool) -> None:
        self.drawing: Drawing = sketch(net, full)
        self.title = f"{'FullSummaryGraphic' if full else 'SummaryGraphic'} of a {net.title()}"

    @property
    def svg(self) -> str:
        """The picture as SVG."""
        return svg(self.drawing)

    def figure(self) -> Figure:
        """The picture as a figure of matplotlib."""
        return figure(self.drawing)

    @public
    def save(self, path: Any, /) -> Any:
        """Write the picture to a file: .svg, .png or .pdf."""
        ending = next((kind for kind in KINDS if str(path).lower().endswith(kind)), None)
        if ending is None:
            raise DeclarationError(f"The picture of a net is saved as .svg, .png or .pdf. Got {excerpt(path)}.")
        if ending == ".svg":
            with open(path, "w", encoding="utf-8") as file:
                file.write(self.svg)
        else:
            side = max(self.drawing.width, self.drawing.height)
            self.figure().savefig(path, dpi=min(192, 96 * LARGEST / side))
        return path

    def _repr_svg_(self) -> str:
        return self.svg

    def __repr__(self) -> str:
        return f"<{self.title}: {len(self.drawing.boxes)} boxes, {len(self.drawing.wires)} wires>"


LARGEST = 16000
"""The longest side of a picture made of pixels."""
