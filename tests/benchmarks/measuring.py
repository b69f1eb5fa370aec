"""How time is measured: in turns, after turns that do not count, with the machine's own rate between them."""

from __future__ import annotations

import gc
import random
import statistics
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp

__all__ = ["Spread", "Timings", "alternated", "product_rate", "spread"]

MATRIX = {"cpu": 1024, "gpu": 8192}
"""The size of the matrices whose product measures the machine, by platform."""


class Spread(NamedTuple):
    """What several measurements say."""

    median: float
    lowest: float
    highest: float


def spread(values: Sequence[float]) -> Spread:
    """The median and the range of values."""
    return Spread(statistics.median(values), min(values), max(values))


class Timings(NamedTuple):
    """The seconds of each one's turns, and the rates of a float32 matrix product before them, in FLOP/s."""

    seconds: dict[str, list[float]]
    products: list[float]

    def ratios(self, slower: str, faster: str) -> Spread:
        """How many times faster one was than another, from the two turns of each round."""
        return spread([a / b for a, b in zip(self.seconds[slower], self.seconds[faster])])


def alternated(turns: Mapping[str, Callable[[], object]], rounds: int) -> Timings:
    """The timings of rounds of turns, A B C B A C …, after one turn of each that does not count.

    A machine that is busy with something else for a while so slows all alike, and ratios of a round stay true. The order of each
    round is drawn: who comes after a framework that gave its memory back, or warmed the machine, is not always the same.
    """
    for turn in turns.values():
        turn()
    timings = Timings({name: [] for name in turns}, [])
    drawn = random.Random(1)
    for round_ in range(rounds):
        for name in drawn.sample(list(turns), len(turns)):
            gc.collect()  # nobody pays for the garbage of another
            timings.products.append(product_rate())
            start = time.perf_counter()
            turns[name]()
            timings.seconds[name].append(time.perf_counter() - start)
        told = ", ".join(f"{name} {seconds[-1]:.3g} s" for name, seconds in timings.seconds.items())
        print(f"  round {round_ + 1}: {told}", file=sys.stderr, flush=True)
    return timings


def product_rate() -> float:
    """The rate of a float32 matrix product, in FLOP/s: the best of three."""
    size = MATRIX.get(jax.default_backend(), 4096)
    matrix = jnp.ones((size, size), jnp.float32)
    _product(matrix).block_until_ready()
    seconds = []
    for _ in range(3):
        start = time.perf_counter()
        _product(matrix).block_until_ready()
        seconds.append(time.perf_counter() - start)
    return 2 * size**3 / min(seconds)


@jax.jit
def _product(matrix: jax.Array) -> jax.Array:
    return matrix @ matrix
