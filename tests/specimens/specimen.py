"""What a row of the table says, and the example inputs that follow from the types of a net's ports."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from netdsl.nets import Net, Sequence
from netdsl.shapes import Length


@dataclass(frozen=True)
class Specimen:
    """A net with declared small input types, and what the laws must know of it."""

    name: str
    make: Callable[[], Net]
    low: float = -1.0
    high: float = 1.0
    backward: bool = False
    """Whether the output's type alone says the input's."""
    random: bool = False
    """Whether it draws random numbers while training."""
    always: bool = False
    """Whether it draws them in test mode too."""
    written: bool = True
    """Whether its repr rebuilds it: not where it holds callables."""
    sums: frozenset[str] = frozenset()
    """Input ports whose values are probabilities along the last level."""
    shortest: int = 1
    """The least length of its sequences."""

    def __str__(self) -> str:
        return self.name


@dataclass(frozen=True)
class Coder:
    """An encoder or decoder with things it takes, and one it refuses."""

    name: str
    make: Callable[[], Any]
    takes: Any
    refuses: Any
    written: bool = True

    def __str__(self) -> str:
        return self.name


@cache
def initialized(specimen: Specimen) -> Net:
    """The specimen's net with random arrays, biases and state too."""
    return with_random_arrays(specimen.make())


def with_random_arrays(net: Net, seed: int = 1) -> Net:
    """The net with random values in every array; states are positive."""
    rng = np.random.default_rng(seed)
    types = net.solved.arrays
    states = net.state_paths()
    made = {}
    for path in net.array_table():
        sizes = types[path].sizes
        made[path] = jnp.asarray(rng.uniform(0.5, 1.5, sizes) if path in states else rng.normal(0, 0.7, sizes), jnp.float32)
    return net.with_arrays(made)


def lengths(count: int, shortest: int = 1) -> list[int]:
    """The lengths of the examples at a varying port."""
    return [(2 + 3 * i) % 5 + shortest for i in range(count)]


def things(specimen: Specimen, net: Net, count: int, seed: int = 2) -> dict[str, list[np.ndarray]]:
    """Examples for each input port; sequences of different lengths where it varies."""
    rng = np.random.default_rng(seed)
    made: dict[str, list[np.ndarray]] = {}
    for port in net.input_names:
        type_ = net.port_type(port)
        made[port] = []
        for length in lengths(count, specimen.shortest):
            sizes = tuple(size.value({Length(size.name): length}) if isinstance(size, Length) else size for size in type_.sizes)
            if type_.integer:
                made[port].append(rng.integers(type_.elements.low or 1, (type_.elements.high or 3) + 1, sizes).astype(np.int32))
                continue
            values = rng.uniform(specimen.low, specimen.high, sizes)
            if port in specimen.sums:
                values = np.exp(values) / np.exp(values).sum(-1, keepdims=True)
            made[port].append(values.astype(np.float32))
    return made


def inputs(specimen: Specimen, net: Net, count: int, seed: int = 2, padding: int = 0) -> dict[str, Any]:
    """The examples as `net.function()` takes them; sequences are padded with their last element, `padding` more than needed."""
    made: dict[str, Any] = {}
    for port, values in things(specimen, net, count, seed).items():
        if not net.port_type(port).varying:
            made[port] = jnp.asarray(np.stack(values))
            continue
        longest = max(map(len, values)) + padding
        data = np.stack([np.concatenate([v, np.repeat(v[-1:], longest - len(v), axis=0)]) for v in values])
        made[port] = Sequence(jnp.asarray(data), jnp.asarray([len(v) for v in values], jnp.int32))
    return made


def real(tree: Any) -> Any:
    """The real elements of what may be sequences, as plain arrays in a list of leaves."""
    leaves = jax.tree_util.tree_leaves(tree, is_leaf=lambda leaf: isinstance(leaf, Sequence))
    made = []
    for leaf in leaves:
        if isinstance(leaf, Sequence):
            made += [np.asarray(data)[: int(length)] for data, length in zip(leaf.data, leaf.length)]
        else:
            made.append(np.asarray(leaf))
    return made
