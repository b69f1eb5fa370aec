"""The rows of the comparison: each prepares all peers, checks that they do the same work, and times them in turns."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from measuring import Timings, alternated
from peers import REFERENCE, Evaluate, Peer, Train
from peers.nettrain import SEED
from workloads import ARCHITECTURES, Workload, examples, flops

from netdsl.training.plan import permutation

__all__ = ["DifferentWork", "Row", "Turns", "evaluation_row", "latency_row", "training_row"]

EVALUATION_BATCH = 256

PROBABILITIES_APART = 0.01
"""The most that the probabilities of two peers may be apart: products of a GPU are rounded to TensorFloat-32."""


class DifferentWork(Exception):
    """A peer does not compute what netdsl computes: its times would mean nothing."""


@dataclass(frozen=True)
class Turns:
    """How long everything is measured."""

    rounds: int
    """How many turns of each peer count."""
    checked: int
    """The number of batches whose mean loss is compared."""
    images: int
    """How many pictures an evaluation takes."""
    calls: int
    """How many single evaluations make a turn."""


@dataclass
class Row:
    """One workload, measured."""

    name: str
    title: str
    count: int
    """Examples in a turn."""
    flops: int
    """Operations of one example."""
    single: bool = False
    """Whether one example is taken at a time, so that its time matters and not their rate."""
    losses: dict[str, float] = field(default_factory=dict)
    """The mean loss of the first batches by peer."""
    left_out: dict[str, str] = field(default_factory=dict)
    """Why a peer is not there."""
    timings: Timings = field(default_factory=lambda: Timings({}, []))


def training_row(workload: Workload, peers: Iterable[Peer], turns: Turns) -> Row:
    """A round of training in each peer, over the same examples in the same order from the same arrays."""
    architecture, checked = workload.architecture, min(turns.checked, workload.batches)
    data = examples(architecture, workload.count)
    order = permutation(workload.count, SEED, 1)
    row = Row(workload.name, workload.title, workload.count, flops(architecture, training=True))
    trains: dict[str, Train] = {}
    for peer, prepare in _functions(peers, "training", row):
        trains[peer.name] = prepare(workload, data, order)
        row.losses[peer.name] = trains[peer.name](checked)
        _tell(f"  {peer.title}: mean loss of the first {checked} batches {row.losses[peer.name]:.5f}")
        _check_loss(peer, row.losses, workload.tolerance)
    row.timings = alternated({name: _over(train, workload.batches) for name, train in trains.items()}, turns.rounds)
    return row


def _over(train: Train, batches: int) -> Callable[[], float]:
    return lambda: train(batches)


def _check_loss(peer: Peer, losses: dict[str, float], tolerance: float) -> None:
    loss, expected = losses[peer.name], losses[REFERENCE]
    if not math.isclose(loss, expected, rel_tol=tolerance):
        raise DifferentWork(
            f"{peer.title} reaches the loss {loss:.5f} where netdsl reaches {expected:.5f}: that is more than "
            f"{tolerance:.0%} apart, so they do not train the same."
        )


def evaluation_row(peers: Iterable[Peer], turns: Turns) -> Row:
    """LeNet, applied to many pictures."""
    architecture = ARCHITECTURES["lenet"]
    inputs = examples(architecture, turns.images).inputs
    title = f"Evaluation of LeNet, {turns.images:,} pictures, batch {EVALUATION_BATCH}"
    row = Row("evaluation", title, turns.images, flops(architecture, training=False))
    found = _evaluations(_functions(peers, "evaluation", row), architecture, inputs, EVALUATION_BATCH)
    row.timings = alternated(found, turns.rounds)
    return row


def latency_row(peers: Iterable[Peer], turns: Turns) -> Row:
    """LeNet, applied to one picture again and again."""
    architecture = ARCHITECTURES["lenet"]
    picture = examples(architecture, 1).inputs[0]
    title = "Evaluation of LeNet, one picture at a time"
    row = Row("latency", title, turns.calls, flops(architecture, training=False), single=True)
    found = _evaluations(_functions(peers, "single", row), architecture, picture)
    row.timings = alternated({name: _repeated(evaluate, turns.calls) for name, evaluate in found.items()}, turns.rounds)
    return row


def _repeated(evaluate: Evaluate, calls: int) -> Callable[[], None]:
    def turn() -> None:
        for _ in range(calls):
            evaluate()

    return turn


def _evaluations(functions: Iterable[tuple[Peer, Callable[..., Any]]], *arguments: Any) -> dict[str, Evaluate]:
    """The evaluation of each peer, which all give the same probabilities."""
    found: dict[str, Evaluate] = {}
    expected = None
    for peer, prepare in functions:
        found[peer.name] = prepare(*arguments)
        values = found[peer.name]()
        expected = values if expected is None else expected
        apart = np.abs(values - expected).max()
        _tell(f"  {peer.title}: probabilities apart from netdsl's by at most {apart:.1e}")
        if apart > PROBABILITIES_APART:
            raise DifferentWork(f"{peer.title} gives probabilities that are apart from netdsl's by {apart:.2g}.")
    return found


def _functions(peers: Iterable[Peer], name: str, row: Row) -> Iterable[tuple[Peer, Callable[..., Any]]]:
    """The function of each peer that has one; notes in the row which cannot be used here."""
    _tell(row.title)
    for peer in peers:
        try:
            module = peer.module()
        except ImportError as error:
            row.left_out[peer.name] = str(error)
            continue
        if name in vars(module):
            yield peer, vars(module)[name]


def _tell(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
