"""A drawing as SVG and as a figure of matplotlib, from the same shapes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from xml.sax.saxutils import escape

from netdsl.display.graphic.shapes import Box, Drawing, Label, Path, Point, Polygon, Shape

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["figure", "svg"]

FONT = "system-ui,-apple-system,'Segoe UI',Roboto,Helvetica,Arial,sans-serif"
DPI = 96
"""Pixels an inch."""
DASHES = 4.0, 3.0


def svg(drawing: Drawing) -> str:
    """The drawing as SVG, which shrinks with the page it stands on."""
    wide, high = _number(drawing.width), _number(drawing.height)
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{wide}" height="{high}" viewBox="0 0 {wide} {high}" '
            f'style="max-width:100%;height:auto" font-family="{FONT}">',
            *(_element(shape) for shape in drawing.shapes),
            "</svg>",
        ]
    )


def _number(value: float) -> str:
    return f"{value:.1f}".rstrip("0").rstrip(".")


def _point(point: Point) -> str:
    return f"{_number(point[0])} {_number(point[1])}"


def _element(shape: Shape) -> str:
    dashes = f' stroke-dasharray="{_point(DASHES)}"' if getattr(shape, "dashed", False) else ""
    match shape:
        case Box():
            radius = f' rx="{_number(shape.radius)}"' if shape.radius else ""
            place = (
                f'x="{_number(shape.x)}" y="{_number(shape.y)}" width="{_number(shape.width)}" height="{_number(shape.height)}"'
            )
            start = f'<rect {place}{radius} fill="{shape.fill}" stroke="{shape.line}"{dashes}'
            return f"{start}><title>{escape(_clean(shape.hint))}</title></rect>" if shape.hint else f"{start}/>"
        case Path():
            steps = "".join(("L" if len(points) == 1 else "C") + ",".join(map(_point, points)) for points in shape.stretches)
            look = f'stroke="{shape.line}" stroke-width="{_number(shape.width)}" stroke-linecap="round" stroke-linejoin="round"'
            return f'<path d="M{_point(shape.start)}{steps}" fill="none" {look}{dashes}/>'
        case Polygon():
            return f'<polygon points="{",".join(map(_point, shape.points))}" fill="{shape.fill}"/>'
        case Label():
            place = f'x="{_number(shape.x)}" y="{_number(shape.y)}" font-size="{_number(shape.size)}"'
            return f'<text {place} fill="{shape.fill}" xml:space="preserve">{escape(_clean(shape.text))}</text>'


def _clean(text: str) -> str:
    """The text without signs that XML forbids."""
    return "".join(sign if sign in "\t\n" or (sign >= " " and sign not in "\ufffe\uffff") else "\ufffd" for sign in text)


def figure(drawing: Drawing) -> Figure:
    """The drawing as a figure of the same size."""
    from netdsl.plots.figure import NotebookFigure

    made = NotebookFigure(figsize=(drawing.width / DPI, drawing.height / DPI), dpi=DPI, facecolor="white")
    axes = made.add_axes((0, 0, 1, 1))
    axes.set(xlim=(0, drawing.width), ylim=(drawing.height, 0))
    axes.set_axis_off()
    for place, shape in enumerate(drawing.shapes):
        _add(axes, shape, place)
    return made


def _add(axes: Any, shape: Shape, order: int) -> None:
    from matplotlib.patches import FancyBboxPatch, PathPatch
    from matplotlib.patches import Polygon as PolygonPatch
    from matplotlib.path import Path as Outline

    points = 72 / DPI
    look: dict[str, Any]
    style = (0, DASHES) if getattr(shape, "dashed", False) else "-"
    match shape:
        case Box():
            look = {"facecolor": shape.fill, "edgecolor": shape.line, "linewidth": points, "linestyle": style, "zorder": order}
            round_ = f"round,pad=0,rounding_size={shape.radius}" if shape.radius else "square,pad=0"
            axes.add_patch(FancyBboxPatch((shape.x, shape.y), shape.width, shape.height, boxstyle=round_, **look))
        case Path():
            vertices, codes = [shape.start], [Outline.MOVETO]
            for stretch in shape.stretches:
                vertices += stretch
                codes += [Outline.LINETO] if len(stretch) == 1 else [Outline.CURVE4] * 3
            look = {"edgecolor": shape.line, "linewidth": shape.width * points, "linestyle": style, "zorder": order}
            axes.add_patch(PathPatch(Outline(vertices, codes), fill=False, capstyle="round", joinstyle="round", **look))
        case Polygon():
            axes.add_patch(PolygonPatch(shape.points, facecolor=shape.fill, edgecolor="none", zorder=order))
        case Label():
            look = {"fontsize": shape.size * points, "color": shape.fill, "zorder": order, "family": "DejaVu Sans"}
            axes.text(shape.x, shape.y, shape.text, ha="left", va="baseline", parse_math=False, **look)
