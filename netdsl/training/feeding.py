"""What feeds a training: data that lie on the device and are taken in a random order, or chunks that are read ahead of it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import jax
import numpy as np

from netdsl.attachment import TrainingNet, column_names, encoded
from netdsl.columns import Rows, Table
from netdsl.training.capacity import fits
from netdsl.training.generators import Generated
from netdsl.training.lengths import arranged, groups, stretches
from netdsl.training.plan import Plan, permutation
from netdsl.training.processes import Hosts
from netdsl.training.streaming import Feed, Place, Streamed, good_examples

__all__ = ["Feed", "Resident", "feed"]


def feed(
    training: TrainingNet, data: Table | Generated, what: str, seed: int, device: Any, hosts: Hosts, skip: bool = False
) -> Feed:
    """The feed of these data: resident where they fit the memory, else streamed."""
    if isinstance(data, (Generated, Rows)):
        return Streamed(training, data, what, seed, skip)
    given = all(isinstance(column, jax.Array) for column in data.columns().values())
    if not given and hosts.any(not fits(len(data) * _bytes_of_one(training, data, what), device)):
        return Streamed(training, data, what, seed, skip)
    return Resident(training, data, what, seed, skip)


def _bytes_of_one(training: TrainingNet, data: Table, what: str) -> float:
    """About what an example takes, by the types of the ports; of sequences the first speaks for all."""
    total = 0.0
    for port, name in column_names(training, data, what).items():
        type_, encoder = training.graph.port_type(port), training.graph.encoder(port)
        first = data.columns()[name][0]
        length = len(first) if hasattr(first, "__len__") else 1  # what is no sequence is refused when it is encoded
        sizes = [size if isinstance(size, int) else length for size in type_.sizes or ()]
        total += float(np.prod(sizes)) * (1 if encoder is not None and encoder.kind == "Image" else 4)
    return total


class Resident(Feed):
    """Data that lie on the device, taken by a permutation; batches of sequences have about equal lengths."""

    def __init__(self, training: TrainingNet, data: Table, what: str, seed: int, skip: bool) -> None:
        if skip:
            good, self.skipped = good_examples(training, data, what)
            data = data.taken(good) if self.skipped else data
        self.columns, self.compact = encoded(training, data, what)
        self.count, self.seed = len(data), seed

    def start(self, plan: Plan, place: Place, rounds: float | None = None) -> None:
        self.place, self.data = place, place(self.columns)
        self.batches = -(-self.count // plan.batch_size)
        self.group, lengths = groups(self.columns)
        self.plans = [replace(plan, lengths=each) for each in lengths] or [plan]
        self.size = plan.batch_size

    def round(self, round_: int, done: int = 0) -> None:
        order = permutation(self.count, self.seed, round_)
        if self.group is not None:
            order, self.which = arranged(order, self.group, self.size, np.random.default_rng([self.seed, 2, round_]))
        self.order = self.place(order)

    def parts(self, first: int, count: int) -> Iterator[tuple[Plan, Any, Any, int, int]]:
        if self.group is None:
            yield self.plans[0], self.data, self.order, first, count
            return
        for group, *part in stretches(self.which, first, count):
            yield self.plans[group], self.data, self.order, *part

    def whole(self) -> Iterator[tuple[Any, int]]:
        yield self.data, self.batches
