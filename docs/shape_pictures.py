"""A picture of what a net does to arrays: each array as cells, as many as it has numbers, shaded by their values.

The values are those of an evaluation: inputs that rise from the first number to the last go through the net, so that a picture
shows where numbers come to stand, which of them are chosen, and what is filled in.
"""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from typing import Any, NamedTuple

import numpy as np
from specimens import Specimen, initialized

from netdsl.display.graphic.shapes import Box, Drawing, Label, Path, Polygon, Shape, text_width
from netdsl.nets import Net
from netdsl.shapes import Length

__all__ = ["evaluated", "picture"]

LENGTH = 4
"""The length of sequences in pictures."""

CELL, LARGEST = 13.0, 130.0
"""The side of a cell, and the longest side of an array, in pixels."""

DEEPER = 6.0
"""How far each plane of an array stands behind the one before."""

TEXT, SMALL = 11.0, 9.0
LOW, HIGH, MISSING = (235, 241, 248), (28, 74, 128), "#ffffff"
INK, MUTED, LINE = "#2d3138", "#7a828e", "#aab3be"


class Piece(NamedTuple):
    """A part of a picture: its shapes, with the left upper corner at 0, 0, and its size."""

    shapes: list[Shape]
    width: float
    height: float


@cache
def evaluated(specimen: Specimen) -> tuple[dict[str, Any], dict[str, Any]]:
    """The inputs and outputs of one example by port: inputs rise from the first number to the last."""
    net = initialized(specimen)
    given = {port: _rising(specimen, net, port) for port in net.input_names}
    made = net(given if len(given) != 1 else next(iter(given.values())), None, RandomSeeding=1) if given else net({}, None)
    outputs = made if isinstance(made, dict) else {net.output_names[0]: made}
    return given, {port: np.asarray(value) for port, value in outputs.items()}


def _rising(specimen: Specimen, net: Net, port: str) -> Any:
    type_ = net.port_type(port)
    long = max(LENGTH, specimen.shortest)
    sizes = tuple(size.value({Length(size.name): long}) if isinstance(size, Length) else size for size in type_.sizes)
    count = int(np.prod(sizes))
    if type_.integer:
        low, high = type_.elements.low or 1, type_.elements.high or 3
        choices = [value for value in range(low, high + 1) if value or low >= 0]  # nothing is at place 0
        return np.resize(choices, count).reshape(sizes).astype(np.int32)
    low = max(specimen.low, 0.05) if specimen.high > 0.05 else specimen.low
    values = np.linspace(low, specimen.high, count).reshape(sizes).astype(np.float32)
    return values / values.sum(-1, keepdims=True) if port in specimen.sums else values


def picture(specimen: Specimen) -> Drawing:
    """The picture of a row of the table: inputs on the left, outputs on the right."""
    net = initialized(specimen)
    inputs, outputs = evaluated(specimen)
    left, right = _column(net, inputs), _column(net, outputs)
    name = type(net).__name__
    middle = text_width(name, TEXT) + 24
    height = max(left.height, right.height, 30.0)
    drawing = Drawing()
    x = 4.0
    if inputs:
        drawing.shapes += _moved(left.shapes, x, 4 + (height - left.height) / 2)
        x += left.width + 14
        drawing.shapes += _arrow(x, x + 26, 4 + height / 2)
        x += 30
    drawing.shapes.append(Box(x, 4 + height / 2 - 13, middle, 26, 5, "#f4f6f9", LINE))
    drawing.shapes.append(Label(x + 12, 4 + height / 2 + 4, name, TEXT, INK))
    x += middle + 4
    drawing.shapes += _arrow(x, x + 26, 4 + height / 2)
    x += 40
    drawing.shapes += _moved(right.shapes, x, 4 + (height - right.height) / 2)
    drawing.width, drawing.height = x + right.width + 4, height + 8
    return drawing


def _column(net: Net, arrays: dict[str, Any]) -> Piece:
    """The arrays of several ports, one below the other, each with its name and sizes."""
    pieces = []
    for port, values in arrays.items():
        block = _block(np.asarray(values))
        texts = [port, _sizes(net, port, np.shape(values))]
        width = max(block.width, *(text_width(text, SMALL) for text in texts))
        shapes: list[Shape] = [Label((width - text_width(port, SMALL)) / 2, SMALL, port, SMALL, MUTED)]
        shapes += _moved(block.shapes, (width - block.width) / 2, SMALL + 6)
        below = SMALL + 6 + block.height + SMALL + 4
        shapes.append(Label((width - text_width(texts[1], SMALL)) / 2, below, texts[1], SMALL, INK))
        pieces.append(Piece(shapes, width, below + 3))
    width = max((piece.width for piece in pieces), default=0.0)
    shapes, y = [], 0.0
    for piece in pieces:
        shapes += _moved(piece.shapes, (width - piece.width) / 2, y)
        y += piece.height + 12
    return Piece(shapes, width, max(y - 12, 0.0))


def _sizes(net: Net, port: str, shape: tuple[int, ...]) -> str:
    """The sizes of a port as the picture has them; a length that varies is called n."""
    declared = net.port_type(port).sizes or shape
    words = ["n" if isinstance(size, Length) else str(number) for size, number in zip(declared, shape)]
    kind = "integer" if net.port_type(port).integer else "number"
    return " x ".join(words) if words else f"one {kind}"


def _block(values: np.ndarray) -> Piece:
    """The cells of an array: a vector as a column, a matrix as rows, then planes one behind the other, then blocks side by side."""
    if values.ndim > 3:
        blocks = [_block(part) for part in values.reshape(-1, *values.shape[-3:])]
        shapes, x = [], 0.0
        for block in blocks:
            shapes += _moved(block.shapes, x, 0)
            x += block.width + 10
        return Piece(shapes, x - 10, blocks[0].height)
    planes = values.reshape(1, -1, 1) if values.ndim < 2 else values.reshape(-1, *values.shape[-2:])
    count, rows, columns = planes.shape
    side = min(CELL, LARGEST / max(rows, columns))
    low, high = _range(values)
    shapes = []
    for depth in reversed(range(count)):
        x, y = depth * DEEPER, (count - 1 - depth) * DEEPER
        for row, column in np.ndindex(rows, columns):
            value = planes[depth, row, column]
            shapes.append(Box(x + column * side, y + row * side, side, side, 0, _shade(value, low, high), LINE))
            if values.dtype.kind in "iu" and not depth:
                shapes.append(_centred(str(value), x + (column + 0.5) * side, y + (row + 0.5) * side, side, value, low, high))
    return Piece(shapes, columns * side + (count - 1) * DEEPER, rows * side + (count - 1) * DEEPER)


def _centred(text: str, x: float, y: float, side: float, value: Any, low: float, high: float) -> Label:
    size = min(8.0, side * 0.65)
    dark = (float(value) - low) > 0.5 * (high - low)
    return Label(x - text_width(text, size) / 2, y + size * 0.36, text, size, "#ffffff" if dark else INK)


def _range(values: np.ndarray) -> tuple[float, float]:
    """The values that get the palest and the darkest shade."""
    finite = values[np.isfinite(values)].astype(float)
    if not finite.size:
        return 0.0, 1.0
    low, high = min(finite.min(), 0.0), max(finite.max(), 0.0)
    return (low, high) if high > low else (low, low + 1)


def _shade(value: Any, low: float, high: float) -> str:
    if not np.isfinite(value):
        return MISSING
    part = (float(value) - low) / (high - low)
    return "#" + "".join(f"{round(a + part * (b - a)):02x}" for a, b in zip(LOW, HIGH))


def _arrow(start: float, stop: float, y: float) -> list[Shape]:
    return [
        Path((start, y), (((stop - 5, y),),), MUTED),
        Polygon(((stop, y), (stop - 7, y - 3.5), (stop - 7, y + 3.5)), MUTED),
    ]


def _moved(shapes: list[Shape], x: float, y: float) -> list[Shape]:
    """Boxes and labels, so far to the right and down."""
    return [replace(shape, x=shape.x + x, y=shape.y + y) for shape in shapes]  # type: ignore[union-attr, call-arg]
