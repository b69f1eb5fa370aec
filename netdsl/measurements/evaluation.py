"""One evaluation of a training net over data, for everything that is measured of it."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from netdsl.attachment import TrainingNet, encoded
from netdsl.columns import Table
from netdsl.forks import refuse_forked
from netdsl.layers.loss import pair, safe_log
from netdsl.lowering import (
    REAL32,
    Attempt,
    Precision,
    bytes_of,
    compilations,
    compiled,
    explained,
    note_trace,
    program_key,
    skeleton,
)
from netdsl.lowering.context import Context, device_halves
from netdsl.lowering.execution import execute
from netdsl.lowering.settings import BATCH_SIZE
from netdsl.lowering.wires import Wire
from netdsl.measurements.comparison import NUMBERS, Comparison
from netdsl.nets import Net, Ref, Sequence

__all__ = ["Evaluated", "Evaluation", "compared_elements", "weighted_sum"]

SEED = 1234
"""The seed of what is drawn with NetEvaluationMode="Train"."""

TIMES = 5
"""How often a single example is evaluated to take its time."""


@dataclass(frozen=True)
class Evaluated:
    """What an evaluation gave, as NumPy arrays.

    Args:
        losses: for each loss port the loss of every example, (n,).
        compared: predictions and targets of all elements that are compared, with cross entropies for classes; or None.
        owners: the example to which each of these elements belongs.
        means: the means over the data of the wires asked for.
        seconds: how long encoding and evaluating all examples takes, without compilation; a function where that must still be
            found out.
    """

    losses: Mapping[str, np.ndarray]
    compared: tuple[np.ndarray, ...] | None
    owners: np.ndarray
    means: Mapping[Ref, np.ndarray]
    seconds: float | Callable[[], float]


@dataclass(frozen=True)
class Evaluation:
    """How a training net is evaluated: what of it is wanted, in which mode, in batches of which size, where, and for whom."""

    training: TrainingNet
    comparison: Comparison | None
    wires: tuple[Ref, ...] = ()
    batch_size: int | None = None
    train_mode: bool = False
    device: Any = None
    precision: Precision = REAL32
    asker: str = "NetMeasurements"

    def run(self, data: Table, what: str) -> Evaluated:
        """Everything wanted, for all examples of the data."""
        refuse_forked()
        with self.precision.active():
            return self._run(data, what)

    def _run(self, data: Table, what: str) -> Evaluated:
        began = time.perf_counter()
        columns, compact = encoded(self.training, data, what)
        encoding = time.perf_counter() - began
        count = len(data)
        timed = self._timed(columns, compact, count)
        starts = range(0, count, self._size(count))
        traces = compilations()
        parts, first = timed(starts[:1])
        cold = compilations() != traces
        more, rest = timed(starts[1:])
        if not cold:
            seconds: float | Callable[[], float] = encoding + first + rest
        elif more:  # the first batch took longer because it was compiled
            seconds = encoding + rest * len(starts) / len(more)
        else:

            def seconds() -> float:
                return encoding + timed(starts)[1]

        return self._gathered(parts + more, count, seconds)

    def of_columns(self, columns: dict[str, Any], compact: frozenset[str], count: int) -> Evaluated:
        """The same for data that are encoded already, without times."""
        parts, _ = self._timed(columns, compact, count)(range(0, count, self._size(count)))
        return self._gathered(parts, count, 0.0)

    def seconds_for_one(self, data: Table, what: str) -> float:
        """How long encoding and evaluating the first example takes: the median of several times, after one not counted."""
        one = data.taken(np.array([0]))
        times = []
        for _ in range(TIMES + 1):
            began = time.perf_counter()
            with self.precision.active():
                columns, compact = encoded(self.training, one, what)
                self._timed(columns, compact, 1)([0])
            times.append(time.perf_counter() - began)
        return statistics.median(times[1:])

    def _size(self, count: int) -> int:
        return min(self.batch_size or BATCH_SIZE, 1 << (count - 1).bit_length())

    def _timed(
        self, columns: dict[str, Any], compact: frozenset[str], count: int
    ) -> Callable[[Iterable[int]], tuple[list[Any], float]]:
        """The function from the starts of batches to their results, on the host, and the seconds that they took."""

        def attempt() -> Attempt:
            return self._attempt(columns, count)

        with explained(attempt):
            batch = self._batches(columns, compact, count)

        def timed(starts: Iterable[int]) -> tuple[list[Any], float]:
            began = time.perf_counter()
            with self.precision.active(), explained(attempt):
                results = jax.block_until_ready([batch(start) for start in starts])
                seconds = time.perf_counter() - began
                return jax.device_get(results), seconds

        return timed

    def _attempt(self, columns: dict[str, Any], count: int) -> Attempt:
        """What is said when memory runs out."""
        graph = self.training.graph
        sequences = [column for column in columns.values() if isinstance(column, Sequence)]
        own = self.asker == "NetMeasurements"
        return Attempt(
            what=self.asker,
            where=f"for {count:,} example{'' if count == 1 else 's'}",
            net=graph,
            batch_size=self._size(count),
            device=self.device if self.device is not None else jax.local_devices()[0],
            data=bytes_of(columns),
            arrays=bytes_of((graph.arrays, graph.state)),
            precision=self.precision,
            length=max((sequence.data.shape[1] for sequence in sequences), default=1),
            smaller="Try BatchSize={}." if own else "Try NetMeasurements, which takes BatchSize={}.",
        )

    def _batches(self, columns: dict[str, Any], compact: frozenset[str], count: int) -> Callable[[int], Any]:
        """The function from the start of a batch to its results; the last batch is filled up."""
        graph, size = self.training.graph, self._size(count)
        device = self.device if self.device is not None else jax.local_devices()[0]
        terms = tuple(term.port for term in self.training.terms)
        key = (
            "measure",
            program_key(graph),
            terms,
            self.comparison and (self.comparison.form, self.comparison.predicted, self.comparison.target),
            self.wires,
            compact,
            self.train_mode,
            device.platform,
            self.precision.name,
        )
        function = compiled(key, lambda: _function(self, skeleton(graph), compact, device.platform))
        arrays, state = jax.device_put((graph.arrays, graph.state), device)

        def batch(start: int) -> Any:
            places = np.arange(start, start + size, dtype=np.int32)
            there = np.minimum(places, count - 1)
            inputs = jax.tree.map(lambda column: column[there], columns)
            return function(arrays, state, *jax.device_put((inputs, places, (places < count).astype(np.float32)), device))

        return batch

    def _gathered(self, parts: list[Any], count: int, seconds: float | Callable[[], float]) -> Evaluated:
        terms = [term.port for term in self.training.terms]
        losses = {port: np.concatenate([part[0][i] for part in parts])[:count] for i, port in enumerate(terms)}
        means = {}
        for i, ref in enumerate(self.wires):
            sums, counts = zip(*(part[2][i] for part in parts))
            means[ref] = np.sum(sums, axis=0, dtype=float) / np.sum(counts, dtype=float)
        if self.comparison is None:
            return Evaluated(losses, None, np.arange(0), means, seconds)
        real, *arrays = (np.concatenate(column)[:count] for column in zip(*(part[1] for part in parts)))
        owners = np.nonzero(real)[0]
        return Evaluated(losses, tuple(array[real] for array in arrays), owners, means, seconds)


def _function(evaluation: Evaluation, graph: Net, compact: frozenset[str], platform: str) -> Callable[..., Any]:
    """``f(arrays, state, inputs, indices, weights)``: losses and comparisons of each example, weighted sums of wires."""
    outputs = [graph.program.outputs[term.port] for term in evaluation.training.terms]
    # the function is kept: it must not hold on to the evaluation, whose net has arrays
    compared, wires, mode, precision = evaluation.comparison, evaluation.wires, evaluation.train_mode, evaluation.precision
    needed = {*outputs, *wires, *((compared.predicted, compared.target) if compared else ())}

    def one(found: Any, weight: Any) -> Any:
        elements = (
            () if compared is None else compared_elements(compared.form, found[compared.predicted], found[compared.target].value)
        )
        return [jnp.sum(found[ref].value) for ref in outputs], elements, [weighted_sum(found[ref].value, weight) for ref in wires]

    def function(arrays: Any, state: Any, inputs: Any, indices: Any, weights: Any) -> Any:
        note_trace()
        context = Context(weights, (indices,), jax.random.key(SEED), mode, platform=platform, precision=precision)
        found, _ = execute(graph, arrays | state, state, device_halves(graph, inputs, compact), context)
        losses, elements, sums = jax.vmap(one)({ref: found[ref].cast(precision.held) for ref in needed}, weights)
        return losses, elements, jax.tree.map(lambda column: jnp.sum(column, axis=0), sums)

    return jax.jit(function)


def weighted_sum(value: Any, weight: Any) -> tuple[Any, Any]:
    """The weighted sum of a wire and how much it counts; a sequence counts with all its elements."""
    if isinstance(value, Sequence):
        mask = value.mask.reshape((-1,) + (1,) * (value.data.ndim - 1))
        return weight * jnp.sum(jnp.where(mask, value.data, 0), axis=0), weight * value.length
    return weight * value, weight


def compared_elements(form: str, wire: Wire, target: Any) -> tuple[Any, ...]:
    """Which elements are real, then what is compared; for classes probabilities, positions from 0, and cross entropies.

    Cross entropies come from the logits where the probabilities do, so that they stay finite.
    """
    value, target, sequence = pair(wire.value, target)
    kind, logits = wire.logits or ("", None)
    if isinstance(logits, Sequence):
        logits = logits.data
    if form == NUMBERS:
        if sequence is None:
            return jnp.ones(1, bool), value[None], target[None]
        return sequence.mask, value, target
    if form == "Binary":
        if kind == "sigmoid" and logits is not None:
            opposite, entropies = jax.nn.sigmoid(-logits), jax.nn.softplus(logits) - target * logits
        else:
            opposite, entropies = 1 - value, -(target * safe_log(value) + (1 - target) * safe_log(1 - value))
        probabilities, truth = jnp.stack([opposite, value], axis=-1), (target >= 0.5).astype(jnp.int32)
    else:
        logs = jax.nn.log_softmax(logits, axis=-1) if kind == "softmax" and logits is not None else safe_log(value)
        truth = target - 1 if form == "Index" else jnp.argmax(target, axis=-1)
        if form == "Index":
            entropies = -jnp.take_along_axis(logs, truth[..., None], axis=-1)[..., 0]
        else:
            entropies = -jnp.sum(target * logs, axis=-1)
        probabilities = value
    real = jnp.ones(truth.shape, bool)
    if sequence is not None:
        real = real & sequence.mask.reshape((-1,) + (1,) * (truth.ndim - 1))
    return real.ravel(), probabilities.reshape(-1, probabilities.shape[-1]), truth.ravel(), entropies.ravel()
