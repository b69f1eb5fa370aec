"""What is compared: one module each, imported only when it runs.

Each module has up to three functions, which prepare and give back what is timed:

``training(workload, data, order)``
    A `Train`, from the initial arrays. `order` is the order in which a round takes the examples.
``evaluation(architecture, inputs, batch)``
    A function that evaluates all inputs and gives their probabilities.
``single(architecture, thing)``
    A function that evaluates one input, and gives its probabilities.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from types import ModuleType
from typing import Any

__all__ = ["PEERS", "REFERENCE", "Evaluate", "Peer", "Train"]

# read when Keras is imported
os.environ["KERAS_BACKEND"] = "jax"

Train = Callable[[int], float]
"""Trains on the first n batches of a round, from where the last call ended, and gives their mean loss."""

Evaluate = Callable[[], Any]
"""Evaluates what was prepared, and gives the probabilities as a NumPy array."""


@dataclass(frozen=True)
class Peer:
    """A way to do the work."""

    name: str
    title: str
    rival: bool = True
    """Whether it is another framework, used as its users do, rather than a measure of what netdsl itself costs."""

    def module(self) -> ModuleType:
        """Its module; ImportError where the framework is not installed."""
        return import_module(f"peers.{self.name}")


REFERENCE = "nettrain"
"""The name of the peer that the others are compared with."""

PEERS = {
    peer.name: peer
    for peer in (
        Peer("nettrain", "netdsl", rival=False),
        Peer("chunks", "netdsl without NetTrain", rival=False),
        Peer("plain_jax", "JAX by hand", rival=False),
        Peer("pytorch", "PyTorch eager"),
        Peer("pytorch_compiled", "PyTorch, torch.compile"),
        Peer("keras3", "Keras 3 on JAX"),
        Peer("flax_nnx", "Flax NNX"),
    )
}
