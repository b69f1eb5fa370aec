"""The loss so far as few points, and as a picture made of characters."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

__all__ = ["Averages", "Curves", "picture", "scale"]

WIDE = 20.0
"""Values whose largest is more than this many times their smallest are drawn on a logarithmic scale."""

DOTS = np.array([[0x01, 0x08], [0x02, 0x10], [0x04, 0x20], [0x40, 0x80]])
"""The bits of the four by two dots of a braille sign."""


class Averages:
    """A row of numbers that grows, as at most `most` averages over equally many of them.

    >>> row = Averages(most=4)
    >>> row.add([8.0, 6.0, 4.0, 2.0, 1.0])
    >>> row.width, row.points.tolist()
    (2, [7.0, 3.0, 1.0])
    """

    def __init__(self, most: int = 400) -> None:
        self.most, self.width = most, 1
        self.means = np.zeros(0)
        self.rest = np.zeros(0)

    def add(self, values: Any) -> None:
        """Append numbers."""
        self.rest = np.concatenate([self.rest, np.asarray(values, float)])
        while True:
            full = len(self.rest) // self.width * self.width
            self.means = np.concatenate([self.means, self.rest[:full].reshape(-1, self.width).mean(axis=1)])
            self.rest = self.rest[full:]
            if len(self.means) <= self.most:
                return
            even = len(self.means) // 2 * 2
            self.rest = np.concatenate([np.repeat(self.means[even:], self.width), self.rest])
            self.means = self.means[:even].reshape(-1, 2).mean(axis=1)
            self.width *= 2

    @property
    def points(self) -> np.ndarray:
        """The averages, the last over what is left."""
        return np.append(self.means, self.rest.mean()) if len(self.rest) else self.means

    @property
    def places(self) -> np.ndarray:
        """Where each stands: the middle of the numbers that it is made from, counted from 0."""
        full = (np.arange(len(self.means)) + 0.5) * self.width
        return np.append(full, len(self.means) * self.width + len(self.rest) / 2) if len(self.rest) else full

    def __len__(self) -> int:
        return len(self.means) * self.width + len(self.rest)


class Curves:
    """The losses of batches, of rounds and of validations, as a History fills up: each look costs what is new."""

    def __init__(self) -> None:
        self.batches, self.rounds, self.validation = Averages(), Averages(), Averages(100)
        self.seen = 0
        """The rounds that are in the curves, and …"""
        self.taken = 0
        """… how many batches of the next."""
        self.batches_per_round = 1

    def follow(self, history: Any) -> None:
        """Take what is new."""
        self.batches_per_round = max(history.batches_per_round, 1)
        losses = history.losses
        while self.seen < len(losses):
            part = losses[self.seen]
            self.batches.add(part[self.taken :])
            self.taken = len(part)
            if self.taken < self.batches_per_round and self.seen == len(losses) - 1:
                break
            if len(part):
                self.rounds.add([float(np.mean(part))])
            self.seen, self.taken = self.seen + 1, 0
        self.validation.add(history.validation_losses[len(self.validation) :])

    def series(self) -> list[tuple[np.ndarray, np.ndarray]]:
        """Batches, rounds and validations: places in rounds and losses, where they are numbers."""
        per_round = self.batches_per_round
        found = [
            (self.batches.places / per_round, self.batches.points),
            (self.rounds.places, self.rounds.points),
            (self.validation.places + 0.5, self.validation.points),
        ]
        return [(places[np.isfinite(values)], values[np.isfinite(values)]) for places, values in found]


def scale(series: Sequence[tuple[np.ndarray, np.ndarray]]) -> tuple[float, float, bool]:
    """The lowest and highest value drawn, and whether the scale is logarithmic."""
    values = np.concatenate([values for _, values in series])
    low, high = float(values.min()), float(values.max())
    return low, high, low > 0 and high > WIDE * low


def heights(values: np.ndarray, low: float, high: float, log: bool) -> np.ndarray:
    """Values as parts of the height, from 0 at the bottom to 1."""
    if log:
        values, low, high = np.log(values), float(np.log(low)), float(np.log(high))
    # differences of halves do not overflow
    return np.clip((values / 2 - low / 2) / (high / 2 - low / 2), 0, 1) if high > low else np.full(len(values), 0.5)


def picture(curves: Curves, width: int, height: int, ascii_only: bool = False) -> list[tuple[str, str]]:
    """The curve in `height` lines of `width` characters, and where validations are: "v" in the second text of each line.

    >>> curves = Curves()
    >>> curves.batches.add([4.0, 3.0, 2.0, 1.0])
    >>> for line, _ in picture(curves, 4, 2):
    ...     print(line)
    ⠑⢄⠀⠀
    ⠀⠀⠑⢄
    """
    batches, _, validation = curves.series()
    low, high, log = scale([batches, validation])
    end = max([*batches[0][-1:], *validation[0][-1:]])
    first = min([*batches[0][:1], *validation[0][:1]])
    down, across = (1, 1) if ascii_only else (4, 2)
    rows, columns = height * down, width * across
    cells = np.zeros((rows, columns), bool)
    marks = np.zeros((height, width), bool)

    def row_of(values: np.ndarray) -> np.ndarray:
        return np.rint((1 - heights(values, low, high, log)) * (rows - 1)).astype(int)

    if len(batches[0]):
        at = np.linspace(first, end, columns)
        lines = row_of(np.interp(at, *batches))
        for column, row in enumerate(lines):
            before = lines[max(column - 1, 0)]
            top, bottom = min(before, row), max(before, row)
            cells[(top if top == row else top + 1) : (bottom if bottom == row else bottom - 1) + 1, column] = True
    columns_of = np.rint((validation[0] - first) / ((end - first) or 1) * (columns - 1)).astype(int)
    for column, row in zip(columns_of, row_of(validation[1])):
        cells[row, column] = True
        marks[row // down, column // across] = True
    marked = ["".join("v" if mark else " " for mark in line) for line in marks]
    if ascii_only:
        signs = ["".join("o" if mark else "*" if cell else " " for cell, mark in zip(*line)) for line in zip(cells, marks)]
    else:
        bits = (cells.reshape(height, down, width, across).transpose(0, 2, 1, 3) * DOTS).sum(axis=(2, 3))
        signs = ["".join(chr(0x2800 + int(value)) for value in line) for line in bits]
    return list(zip(signs, marked))
