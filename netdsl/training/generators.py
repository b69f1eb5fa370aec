"""Data that a function or an iterator gives, batch by batch."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from netdsl.columns import Table, gives_batches, table
from netdsl.declarations import suboptions
from netdsl.errors import DataError, DeclarationError, NetError, TrainingError, excerpt
from netdsl.symbols import Rule

__all__ = ["Ended", "Generated", "generated"]


class Ended(Exception):
    """An iterator has no further batch."""


class Generated:
    """Batches of a function, called with ``{"BatchSize": …, "Round": …, "Batch": …, "AbsoluteBatch": …}``, or of an iterator.

    With a round length each call gives a batch. Without, there is one call for a round, and what it gives is the round's data.
    Calls are made in order, each once. The first is made at once, because it tells what the examples are.
    """

    def __init__(self, function: Callable[[dict[str, int]], Any], name: str, what: str, length: int | None, size: int) -> None:
        self.function, self.name, self.what, self.length, self.size = function, name, what, length, size
        self.first: Table | None = self._called(1, 1)
        self.shown = self.first
        self.count = len(self.first) if length is None else length

    def __len__(self) -> int:
        """The number of examples in a round."""
        return self.count

    def sample(self) -> Table:
        """The first batch."""
        return self.shown

    def read(self) -> Table:
        """The first batch."""
        return self.shown

    def batch(self, round_: int, batch: int) -> Table:
        """What the call for this batch of this round gives, both from 1. Raises Ended at the end of an iterator."""
        if self.first is not None and (round_, batch) == (1, 1):
            found, self.first = self.first, None
            return found
        found = self._called(round_, batch)
        if self.length is None and len(found) != self.count:
            raise DataError(
                f"{self.place(round_, batch)} gave {len(found)} examples, in round 1 it were {self.count}. Every round has equally "
                "many; a RoundLength says how many, and then each call gives a batch."
            )
        return found

    def place(self, round_: int, batch: int) -> str:
        """Where a problem is, in the words of a message."""
        where = f"round {round_}" if self.length is None else f"round {round_}, batch {batch}"
        return f"The {self.what}: {self.name}, asked for {where},"

    def _called(self, round_: int, batch: int) -> Table:
        batches = 1 if self.length is None else -(-self.length // self.size)
        info = {"BatchSize": self.size, "Round": round_, "Batch": batch, "AbsoluteBatch": (round_ - 1) * batches + batch}
        try:
            given = self.function(info)
        except StopIteration:
            if (round_, batch) == (1, 1):
                raise DataError(f"{self.place(1, 1)} gave no batch.") from None
            raise Ended from None
        except Exception as problem:
            raise TrainingError(f"{self.place(round_, batch)} raised {type(problem).__name__}: {problem}") from problem
        try:
            found = table(given, "data of the batch").read()
        except NetError as problem:
            raise DataError(f"{self.place(round_, batch)} gave no batch. {problem}") from None
        if self.length is not None and len(found) > self.size:
            raise DataError(
                f"{self.place(round_, batch)} gave {len(found)} examples. A batch has BatchSize = {self.size}; fewer are filled up "
                "by repeating them."
            )
        return found


def generated(data: Any, what: str, size: int) -> Generated | None:
    """The generator that these data are: f, ``[f, {"RoundLength": n}]``, an iterator or one with a round length; else None."""
    options: Any = {}
    if isinstance(data, (list, tuple)) and len(data) == 2 and gives_batches(data[0]) and isinstance(data[1], (Mapping, Rule)):
        data, options = data[0], data[1]
    if not gives_batches(data):
        return None
    length = suboptions([options], f"The function of the {what}", ["RoundLength"]).get("RoundLength")
    if length is not None and (isinstance(length, bool) or not hasattr(length, "__index__") or length < 1):
        raise DeclarationError(f"RoundLength is a number of examples, 1 or more. Got {excerpt(length)}.")
    size = size if length is None else min(size, int(length))
    if isinstance(data, Iterator):
        return Generated(lambda _: next(data), f"the iterator {type(data).__name__}", what, length, size)
    if not callable(data):
        raise DataError(
            f"The {what} are {excerpt(data)}, which can be gone through but has no positions. Give an iterator of batches and the "
            "examples of a round, [iter(x), {'RoundLength': n}], or something with len and positions."
        )
    name = getattr(data, "__qualname__", type(data).__name__)
    if inspect.isgeneratorfunction(data):
        raise DataError(f"The {what} are the function {name}, which yields. Call it and give the iterator: {name}(...).")
    return Generated(data, f"the function {name}", what, length, size)
