"""What a progress function is told: the 44 things of Mathematica, each found out only when it is asked for."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np

from netdsl.errors import PartError, nearest
from netdsl.lowering import alone
from netdsl.nets import Sequence, path_text
from netdsl.training.plan import gradient_function

if TYPE_CHECKING:
    from netdsl.training.run import Training

__all__ = ["KEYS", "Facts"]


class Facts(Mapping[str, Any]):
    """What is known of a training now. What was not asked for while the function ran is not known afterwards."""

    def __init__(self, training: Training) -> None:
        self.training: Training | None = training
        self.found: dict[str, Any] = {}
        self.text = training.status.text().strip()

    def __getitem__(self, key: str) -> Any:
        if key not in KEYS:
            raise PartError(f"A progress function is not told {key!r}. {nearest(key, KEYS)}")
        if key not in self.found:
            if self.training is None:
                raise PartError(f"{key!r} was not asked for while the progress function ran: the training has gone on since.")
            self.found[key] = KEYS[key](self)
        return self.found[key]

    def __contains__(self, key: object) -> bool:
        return key in KEYS

    def get(self, key: str, default: Any = None) -> Any:
        return self[key] if key in KEYS else default

    def __iter__(self) -> Iterator[str]:
        return iter(KEYS)

    def __len__(self) -> int:
        return len(KEYS)

    def __repr__(self) -> str:
        return f"<{len(KEYS)} facts of a training: {self.text}>"

    def close(self) -> None:
        """The training goes on: its arrays are about to be overwritten."""
        self.training = None
        for name in ("results", "last_batch", "arrays"):
            self.__dict__.pop(name, None)

    # What several of them are made from

    @property
    def run(self) -> Any:  # a Training, whose module imports this one
        """The training, while the function runs."""
        assert self.training is not None
        return self.training

    @cached_property
    def results(self) -> Any:
        """The results so far."""
        return self.run.results()

    @cached_property
    def arrays(self) -> dict[str, np.ndarray]:
        """The arrays that are trained, copied."""
        return self.named(self.run.carry[0])

    @cached_property
    def last_batch(self) -> tuple[np.ndarray, dict[str, np.ndarray]]:
        """The losses of the examples of the last batch and the gradients, with the arrays as they are after it."""
        run = self.run
        trainable, fixed, state, _ = run.carry
        inputs, indices = self.inputs
        batch = run.last[3] + run.last[4]
        seed = np.uint32(run.settings.seed % 2**32)
        compute = gradient_function(replace(run.plan, mesh=None))
        with alone(run.plan.mesh):
            losses, slopes = compute(trainable, fixed, state, inputs, indices, np.int32(batch), seed)
            return np.array(losses), self.named(slopes)

    @property
    def inputs(self) -> tuple[dict[str, Any], np.ndarray]:
        """What the last batch gives to the ports, and the places of its examples in the training data, from 0."""
        plan, data, order, batch, _ = self.run.last
        order, first = order if plan.streamed else (order, 0)
        places = ((batch - int(first)) * plan.batch_size + np.arange(plan.batch_size)) % len(order)
        indices = np.asarray(order)[places]
        taken = places if plan.streamed else indices
        return {port: jax.tree.map(lambda column: column[taken], column) for port, column in data.items()}, indices

    def named(self, arrays: Any) -> dict[str, np.ndarray]:
        """Arrays of the training as NumPy arrays of their own, by the names that NetExtract takes."""
        run = self.run
        found = run.plan.apart(arrays)
        table = run.training.graph.array_table()  # in the order of the net, where JAX has that of the names
        return {path_text(run._own(path)): np.array(found[path]) for path in table if path in found}

    def batch_data(self) -> dict[str, Any]:
        """The last batch as the net's ports take it; sequences as a list."""

        def taken(column: Any) -> Any:
            if not isinstance(column, Sequence):
                return np.array(column)
            return [np.array(data[:length]) for data, length in zip(column.data, column.length)]

        return {port: taken(column) for port, column in self.inputs[0].items()}

    def net(self) -> Any:
        """The net so far, with arrays of its own: those of the training are overwritten."""
        return jax.tree.map(jnp.copy, self.run.results(last=True).trained_net)

    def rate(self, each: int) -> float:
        """The mean number of things a second since the first batch, where a batch has so many."""
        spent = self.run.hosts.passed(self.run.trained_from)
        return self.run.status.total_batches * each / spent if spent else 0.0


def _vector(arrays: Mapping[str, np.ndarray]) -> np.ndarray:
    return np.concatenate([value.ravel() for value in arrays.values()])


def _rms(arrays: Mapping[str, np.ndarray]) -> float:
    return float(np.sqrt(np.mean(np.square(_vector(arrays), dtype=np.float64))))


def _result(name: str) -> Callable[[Facts], Any]:
    """What the results object calls the same."""
    return lambda facts: facts.results(name)


def _last(name: str) -> Callable[[Facts], Any]:
    """The last number of a list of the results object; None where it is empty."""
    return lambda facts: float(values[-1]) if len(values := facts.results(name)) else None


def _lasts(name: str) -> Callable[[Facts], dict[Any, Any]]:
    """The last of each of its lists: a number, or what else was measured."""

    def found(facts: Facts) -> dict[Any, Any]:
        lasts = {key: values[-1] for key, values in facts.results(name).items() if len(values)}
        return {key: float(last) if isinstance(last, (int, float, np.number)) else last for key, last in lasts.items()}

    return found


KEYS: dict[str, Callable[[Facts], Any]] = {
    "AbsoluteBatch": lambda f: f.run.status.total_batches,
    "Batch": lambda f: f.run.status.batch,
    "BatchData": Facts.batch_data,
    "BatchesPerRound": lambda f: f.run.batches,
    "BatchesPerSecond": lambda f: f.run.status.batches_per_second,
    "BatchIndices": lambda f: f.inputs[1] + 1,
    "BatchLoss": _last("BatchLossList"),
    "BatchLossList": _result("BatchLossList"),
    "BatchMeasurements": _lasts("BatchMeasurementsLists"),
    "BatchMeasurementsLists": _result("BatchMeasurementsLists"),
    "BatchSize": lambda f: f.run.batch_size,
    "BestValidationRound": _result("BestValidationRound"),
    "CheckpointingFiles": lambda f: list(f.run.checkpoints.files),
    "Event": lambda f: "Round" if f.run.status.finished == f.run.status.round else "Batch",
    "ExampleLosses": lambda f: f.last_batch[0],
    "ExamplesPerSecond": lambda f: f.run.status.examples_per_second,
    "ExamplesProcessed": lambda f: f.run.status.total_batches * f.run.batch_size,
    "Gradients": lambda f: f.last_batch[1],
    "GradientsRMS": lambda f: _rms(f["Gradients"]),
    "GradientsVector": lambda f: _vector(f["Gradients"]),
    "InitialLearningRate": _result("InitialLearningRate"),
    "LearningRate": _result("FinalLearningRate"),
    "MeanBatchesPerSecond": lambda f: f.rate(1),
    "MeanExamplesPerSecond": lambda f: f.rate(f.run.batch_size),
    "Net": Facts.net,
    "OptimizationMethod": _result("OptimizationMethod"),
    "ProgressFraction": lambda f: f.run.status.fraction,
    "Round": lambda f: f.run.status.round,
    "RoundLoss": _result("RoundLoss"),
    "RoundLossList": _result("RoundLossList"),
    "RoundMeasurements": _result("RoundMeasurements"),
    "RoundMeasurementsLists": _result("RoundMeasurementsLists"),
    "TargetDevice": _result("TargetDevice"),
    "TimeElapsed": lambda f: f.run.status.elapsed,
    "TimeRemaining": lambda f: f.run.status.remaining,
    "TotalBatches": lambda f: None if f.run.status.rounds is None else f.run.status.rounds * f.run.batches,
    "TotalRounds": lambda f: f.run.status.rounds,
    "ValidationLoss": _last("ValidationLossList"),
    "ValidationLossList": _result("ValidationLossList"),
    "ValidationMeasurements": _lasts("ValidationMeasurementsLists"),
    "ValidationMeasurementsLists": _result("ValidationMeasurementsLists"),
    "Weights": lambda f: f.arrays,
    "WeightsRMS": lambda f: _rms(f["Weights"]),
    "WeightsVector": lambda f: _vector(f["Weights"]),
}
"""How each is found. The last three, the meaning of "Event" ("Round" after a round, else "Batch"), that an RMS is one number
over all arrays, and that "TotalBatches" and "TotalRounds" are those planned, are remembered [M]."""
