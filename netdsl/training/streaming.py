"""Data that are read chunk by chunk, by threads that are ahead of the training."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Container, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from netdsl.attachment import TrainingNet, encoded, of_example, padded
from netdsl.columns import Table
from netdsl.errors import DataError, EncodingError, NetError
from netdsl.training.capacity import bytes_of_examples
from netdsl.training.generators import Ended, Generated
from netdsl.training.lengths import arranged, shared_groups, stretches
from netdsl.training.plan import Plan, permutation

__all__ = ["Feed", "Place", "Streamed", "good_examples"]

CHUNK_BYTES = 2**25
"""About how much of the data is read for the device at once."""

AHEAD = 2
"""The number of chunks that are read while the training is at one."""

MOST_WORKERS = 8
"""The number of threads that read and encode parts of a chunk, at most."""

PART = 16
"""Each of them reads at least this many examples at a time."""

INVALID = (EncodingError, DataError)
"""The errors of examples that can be left out."""

Place = Callable[[Any], Any]


class Feed:
    """What a training takes from: `count` examples, in chunks of batches.

    columns
        What is held of the data in memory, for messages.
    compact
        The ports that still need the device half of their encoder.
    """

    streamed = False
    columns: dict[str, Any]
    compact: frozenset[str]
    count: int
    skipped: tuple[int, ...] = ()
    """The examples that were left out because they could not be used, from 1."""

    def start(self, plan: Plan, place: Place, rounds: float | None = None) -> None:
        """Begin with the first round of so many."""
        raise NotImplementedError

    def round(self, round_: int, done: int = 0) -> None:
        """Go on to this round, of which so many batches are done."""
        raise NotImplementedError

    def ready(self, first: int, count: int) -> int:
        """How many batches from this one on, at most `count`, can be trained on now. Waits for the first of them."""
        return count

    def parts(self, first: int, count: int) -> Iterator[tuple[Plan, Any, Any, int, int]]:
        """Those batches in parts: the plan to run, the data, their order, the first batch and the number of them.

        For no batches, the parts that have to be compiled.
        """
        raise NotImplementedError

    def whole(self) -> Iterator[tuple[Any, int]]:
        """All data once, in parts with their numbers of batches: to validate on."""
        raise NotImplementedError

    def close(self, wait: bool = True) -> None:
        """Read no further, and wait for what is being read."""


@dataclass
class Chunk:
    """Some batches of a round on the device, and why there are no more after them."""

    data: Any
    order: Any
    first: int
    batches: int
    problem: Exception | None = None
    which: Any = None
    """Which of the plans trains on each of its batches; None for the one that trains on all."""
    plans: list[Plan] = field(default_factory=list)


class Streamed(Feed):
    """Data that are read chunk by chunk, ahead of the training: of a source, a file, or what gives batches.

    Each chunk is as large as the first, so that one program trains on all. Within a chunk, batches of sequences have about equal
    lengths.
    """

    streamed = True

    def __init__(self, training: TrainingNet, data: Table | Generated, what: str, seed: int, skip: bool) -> None:
        self.training, self.source, self.what, self.seed, self.skip = training, data, what, seed, skip
        self.count = len(data)
        self.bad: set[int] = set()
        self.failed: Exception | None = None
        first = np.arange(min(self.count, PART))
        lists, self.compact = self._encoded(data, first) if isinstance(data, Generated) else self._part(first)
        self.columns = padded(lists)
        self.each = max(bytes_of_examples(self.columns), 1) / len(next(iter(lists.values())))
        self.longest: dict[str, int] = {}
        self.conductor: ThreadPoolExecutor | None = None
        self.chunk: Chunk | None = None

    @property
    def skipped(self) -> tuple[int, ...]:  # type: ignore[override]
        return tuple(sorted(i + 1 for i in self.bad))

    # Chunks in their order

    def start(self, plan: Plan, place: Place, rounds: float | None = None) -> None:
        self.plan, self.place, self.size = replace(plan, streamed=True), place, plan.batch_size
        self.batches = -(-self.count // self.size)
        most = min(max(int(CHUNK_BYTES / (self.each * self.size)), 1), self.batches)
        if isinstance(self.source, Generated) and self.source.length is None:
            most = self.batches
        self.each_batches = -(-self.batches // -(-self.batches // most))  # equal chunks, none of them short
        self.rounds = rounds

    def round(self, round_: int, done: int = 0) -> None:
        self.chunk = None  # no chunk is of two rounds
        if self.conductor is None:
            skipped = done // self.each_batches * self.each_batches
            places = ((r, first) for r in self._all_rounds(round_) for first in range(0, self.batches, self.each_batches))
            self._begin((r, first) for r, first in places if r > round_ or first >= skipped)

    def _all_rounds(self, round_: int) -> Iterator[int]:
        while self.rounds is None or round_ <= self.rounds:
            yield round_
            round_ += 1

    def _begin(self, places: Iterator[tuple[int, int]]) -> None:
        """Read these chunks, one after the other, ahead of what is asked for."""
        self.close()
        self.conductor = ThreadPoolExecutor(1, "netdsl-chunks")
        self.workers = ThreadPoolExecutor(min(os.cpu_count() or 1, MOST_WORKERS), "netdsl-examples")
        self.chunk = None
        self.places, self.coming = places, deque[Future[Chunk]]()
        self._ahead()

    def _ahead(self) -> None:
        while self.conductor is not None and len(self.coming) < AHEAD:
            place = next(self.places, None)
            if place is None:
                return
            self.coming.append(self.conductor.submit(self._chunk, *place))

    def _next(self) -> Chunk | None:
        """The next chunk, once it is there."""
        self.chunk = None  # its memory is free before the next is looked at
        if not self.coming:
            return None
        chunk = self.coming.popleft().result()
        self._ahead()
        return chunk

    def ready(self, first: int, count: int) -> int:
        if self.chunk is None or first >= self.chunk.first + self.each_batches or first < self.chunk.first:
            self.chunk = self._next()
        assert self.chunk is not None, "chunks are asked for in their order"
        left = self.chunk.first + self.chunk.batches - first
        if left <= 0 and self.chunk.problem is not None:
            raise self.chunk.problem
        return min(count, left)

    def parts(self, first: int, count: int) -> Iterator[tuple[Plan, Any, Any, int, int]]:
        if not count and self.ready(first, 1) < 1:
            return
        chunk = self.chunk
        assert chunk is not None
        if chunk.which is None:
            yield self.plan, chunk.data, chunk.order, first, count
            return
        for group, start, batches in stretches(chunk.which, max(first - chunk.first, 0), count):
            yield chunk.plans[group], chunk.data, chunk.order, chunk.first + start, batches

    def whole(self) -> Iterator[tuple[Any, int]]:
        self._begin((0, first) for first in range(0, self.batches, self.each_batches))
        while (chunk := self._next()) is not None:
            if isinstance(chunk.problem, Ended):
                raise DataError(f"The {self.what} ended before the training did.")
            if chunk.problem is not None:
                raise chunk.problem
            yield chunk.data, chunk.batches

    def close(self, wait: bool = True) -> None:
        if self.conductor is not None:
            self.conductor.shutdown(wait, cancel_futures=True)
            self.workers.shutdown(wait)
            self.conductor = None

    # One chunk

    def _chunk(self, round_: int, first: int) -> Chunk:
        if self.failed is not None:
            return Chunk(None, None, first, 0, self.failed)
        with self.plan.precision.active():  # which holds for one thread
            return self._read_chunk(round_, first, min(self.each_batches, self.batches - first))

    def _read_chunk(self, round_: int, first: int, count: int) -> Chunk:
        if isinstance(self.source, Generated):
            return self._generated_chunk(round_, first, count)
        if not round_:  # all in their order, each once
            rows = np.arange(first * self.size, min((first + count) * self.size, self.count), dtype=np.int32)
            return Chunk(self.place(padded(self._rows(rows), True)), None, first, count)
        order = self._order(round_)
        rows = order[np.arange(first * self.size, (first + count) * self.size) % self.count]
        return self._placed(self._rows(rows), rows, first, count, np.random.default_rng([self.seed, 2, round_, first]))

    def _order(self, round_: int) -> np.ndarray:
        if getattr(self, "_ordered", 0) != round_:
            self._ordered, self._kept = round_, permutation(self.count, self.seed, round_)
        return self._kept

    def _placed(
        self,
        lists: dict[str, Any],
        indices: np.ndarray,
        first: int,
        count: int,
        random: np.random.Generator | None,
        problem: Exception | None = None,
    ) -> Chunk:
        """The chunk with these examples, filled up to the size of all. Given `random`, batches are made of about equal lengths."""
        full = self.each_batches * self.size
        lengths = {port: np.array(list(map(len, column))) for port, column in lists.items() if isinstance(column, list)}
        which, plans = None, []
        if lengths:
            group, found = shared_groups(lengths)
            plans = [replace(self.plan, lengths=each) for each in found]
            if random is not None:
                places, _ = arranged(np.arange(len(indices)), group, self.size, random)
                lists = {
                    port: [column[i] for i in places] if port in lengths else column[places] for port, column in lists.items()
                }
                indices, group = indices[places], group[places]
            which = group.reshape(count, self.size).max(axis=1)
            # no shorter than those before, so that few programs serve all; what is computed does not depend on it
            self.longest = {port: max(length, self.longest.get(port, 0)) for port, length in found[-1]}
        columns: dict[str, Any] = {}
        for port, column in lists.items():
            if isinstance(column, list):
                columns[port] = column + column[-1:] * (full - len(column))
            else:
                columns[port] = np.resize(column, (full, *column.shape[1:])) if len(column) < full else column
        where = np.resize(indices, full).astype(np.int32), np.int32(first)
        data, where = self.place((padded(columns, True, self.longest), where))
        return Chunk(data, where, first, count, problem, which, plans)

    def _rows(self, rows: np.ndarray) -> dict[str, Any]:
        """The examples at these places, read by several threads."""
        parts = np.array_split(rows, max(min(MOST_WORKERS, len(rows) // PART), 1))

        def read(part: np.ndarray) -> dict[str, Any]:
            with self.plan.precision.active():
                return self._part(part)[0]

        return _joined(list(self.workers.map(read, parts)))

    def _part(self, rows: np.ndarray) -> tuple[dict[str, Any], frozenset[str]]:
        assert isinstance(self.source, Table)
        if self.bad and (known := self.bad & set(rows.tolist())) and len(known) < len(rows):
            rows = _without(rows, known)
        try:
            return self._encoded(self.source.taken(rows), rows)
        except INVALID as problem:
            good, bad = [], {}
            for row in rows:
                try:
                    self._encoded(self.source.taken(np.array([row])), np.array([row]))
                    good.append(row)
                except INVALID as found:
                    bad[int(row)] = found
                    if not self.skip:
                        break
            if not bad or not good or not self.skip:
                row, problem = next(iter(bad.items()), (int(rows[0]), problem))
                raise of_example(problem, row, self.what) from None
            self.bad |= set(bad)
            kept = _without(rows, bad)
            return self._encoded(self.source.taken(kept), kept)

    def _encoded(self, data: Table | Generated, places: np.ndarray) -> tuple[dict[str, Any], frozenset[str]]:
        columns, compact = encoded(self.training, data.read(), self.what, places)
        if compact != getattr(self, "compact", compact):
            raise DataError(
                f"The {self.what} have encoded values in some places and values to be encoded in others. All are of one kind."
            )
        return columns, compact

    def _generated_chunk(self, round_: int, first: int, count: int) -> Chunk:
        """The chunk that so many calls give; a problem ends it early."""
        assert isinstance(self.source, Generated)
        validating = not round_
        round_ = max(round_, 1)
        batches: list[dict[str, Any]] = []
        problem: Exception | None = None
        calls = 1 if self.source.length is None else count
        for call in range(calls):
            try:
                found = self.source.batch(round_, first + call + 1)
                columns, _ = self._encoded(found, np.arange(len(found)))
                whole = count * self.size // calls
                batches.append({port: _repeated(column, whole) for port, column in columns.items()})
            except Ended as ended:
                problem = ended
            except INVALID as error:
                where, text = self.source.place(round_, first + call + 1), str(error)
                problem = error if text.startswith(where) else DataError(f"{where} gave what cannot be used. {text}")
            except Exception as error:
                problem = error
            if problem is not None:
                self.failed = problem
                break
        if not batches:
            return Chunk(None, None, first, 0, problem)
        there = _joined(batches)
        trained = len(batches) * count // calls
        if validating:
            rows = min(trained * self.size, self.count - first * self.size)
            return Chunk(
                self.place(padded({port: column[:rows] for port, column in there.items()}, True)), None, first, trained, problem
            )
        indices = np.arange(first * self.size, (first + trained) * self.size) % self.count
        return self._placed(there, indices, first, trained, None, problem)


def _without(rows: np.ndarray, bad: Container[int]) -> np.ndarray:
    """The rows, in the place of a bad one the next good one."""
    return np.array([next(row for row in [*rows[i:], *rows[:i]] if int(row) not in bad) for i in range(len(rows))])


def _repeated(column: Any, count: int) -> Any:
    """The column with `count` examples, repeated from its start."""
    places = np.arange(count) % len(column)
    return [column[i] for i in places] if isinstance(column, list) else column[places]


def _joined(parts: list[dict[str, Any]]) -> dict[str, Any]:
    if len(parts) == 1:
        return parts[0]
    return {
        port: [each for part in parts for each in part[port]]
        if isinstance(column, list)
        else np.concatenate([part[port] for part in parts])
        for port, column in parts[0].items()
    }


def good_examples(training: TrainingNet, data: Table, what: str) -> tuple[np.ndarray, tuple[int, ...]]:
    """The places of the examples that can be used, and the numbers of those that cannot."""
    good: list[int] = []
    last: NetError | None = None
    for start in range(0, len(data), PART):
        rows = np.arange(start, min(start + PART, len(data)))
        try:
            encoded(training, data.taken(rows), what, rows)
            good += rows.tolist()
        except INVALID:
            for row in rows:
                try:
                    encoded(training, data.taken(np.array([row])), what, np.array([row]))
                    good.append(int(row))
                except INVALID as problem:
                    last = of_example(problem, int(row), what)
    if not good and last is not None:
        raise DataError(f"None of the {what} can be used. {last}")
    return np.array(good), tuple(sorted({*range(1, len(data) + 1)} - {i + 1 for i in good}))
