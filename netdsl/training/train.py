"""NetTrain."""

from __future__ import annotations

import math
import signal
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from netdsl.attachment import TrainingNet, encoded, training_net, typed
from netdsl.columns import Table, table
from netdsl.errors import DataError, DeclarationError, TrainingError, UnsupportedError, excerpt, listing, nearest
from netdsl.initialization import NetInitialize
from netdsl.lowering import device_named, seed_of
from netdsl.nets import SHARED, ArrayPath, Net, Sequence, multipliers_by_path
from netdsl.resources import ResourceData
from netdsl.symbols import All, Automatic, Infinity, Inherited, Quantity, Scaled
from netdsl.training.optimizers import optimizer
from netdsl.training.plan import Plan, chunk_function, permutation, validation_function
from netdsl.training.progress import Progress, Status, duration_text, progress
from netdsl.training.results import PROPERTIES, History, NetTrainResultsObject

__all__ = ["NetTrain"]

BATCH_SIZE = 64
"""The batch size when BatchSize is Automatic and nothing varies; 16 where something does."""

BATCH_SIZE_VARYING = 16

AUTOMATIC_SECONDS = 20.0
"""How long a training takes when neither rounds nor time are given."""

MOST_ROUNDS = 10_000

CONSULTED_EVERY = 0.25
"""Seconds between two looks of the host at the device: chunks of batches are made this long."""

DEFAULT_SEED = 1234

BEST_BY = "loss"
"""What the best validation round is chosen by: "loss", or "error" (for classifiers in newer versions of Mathematica [M])."""

LATER = ("TrainingStoppingCriterion", "TrainingProgressMeasurements", "TrainingProgressFunction", "TrainingProgressCheckpointing",
         "TrainingUpdateSchedule", "WorkingPrecision", "PerformanceGoal")

OPTIONS = ("BatchSize", "LearningRate", "LearningRateMultipliers", "LossFunction", "MaxTrainingRounds", "Method", "RandomSeeding",
           "TargetDevice", "TimeGoal", "TrainingProgressReporting", "ValidationSet")


def NetTrain(net: Net, data: Any, property: Any = Automatic, /, **options: Any) -> Any:
    """Trains a net on data and gives the trained net, a property of the training, or (for All) the object of all results.

    ``NetTrain(net, data)``, ``NetTrain(net, data, "RoundLossList")``, ``NetTrain(net, data, ["TrainedNet", "LossPlot"])``,
    ``NetTrain(net, data, All)``.

    data
        ``[Rule(x, y), …]``, ``[(x, y), …]``, ``Rule(xs, ys)``, ``{port: column, …}``, data of ResourceData, or a name ("MNIST": its
        training data).
    BatchSize
        Automatic: 64 (16 where something varies), at most the number of examples.
    LearningRate
        Automatic: 0.001 for ADAM.
    LearningRateMultipliers
        A number, or rules from parts of the net to numbers; 0 or None freezes.
    LossFunction
        Automatic (by the last layer), a loss layer or net, the name of an output port, ``Rule(port, layer)``, lists of them, with
        weights ``Rule(loss, Scaled(w))``.
    MaxTrainingRounds
        Automatic: about 20 seconds.
    Method
        "ADAM", "RMSProp", "SGD", "SignSGD", ``["ADAM", {"Beta1": 0.5}]``, or any optax.GradientTransformation.
    RandomSeeding
        1234: the same call gives the same bits. Automatic draws a seed, which the results report.
    TargetDevice
        "CPU", "GPU", "TPU", ("GPU", n); Automatic: JAX's default device.
    TimeGoal
        Seconds, or a Quantity.
    TrainingProgressReporting
        Automatic ("Panel" on a terminal, else "Print"), "Panel", "Print", None.
    ValidationSet
        Data, ``Scaled(fraction)`` held out, a name, or None. With one, the net of the round with the lowest validation loss is returned.

    Ctrl-C stops after the running chunk and returns the net so far; twice stops at once.

    Raises DataError for data that cannot be used, TrainingError when the loss is no longer finite, UnsupportedError for options of
    Mathematica that are not there yet.

    >>> net = NetTrain(NetChain([1], Input=1), Rule([[0.0], [1.0], [2.0]], [1.0, 3.0, 5.0]), Method="SGD", LearningRate=0.1,
    ...                MaxTrainingRounds=300, TrainingProgressReporting=None)
    >>> round(net([3.0]), 2)
    7.0

    Differences from Wolfram: reproducible by default; the defaults of the methods are remembered [M].
    Source: Wolfram's public reference page.
    """
    settings = _settings(options)
    _check_property(property)
    training = _Training(_a_net(net), data, settings)
    results = training.run()
    if property is All:
        return results
    if property is Automatic:
        return results("TrainedNet")
    return results(property)


@dataclass(frozen=True)
class _Settings:
    """The options of a training, checked."""

    batch_size: int | None
    rounds: int | None
    seconds: float | None
    seed: int
    device: Any
    loss: Any
    optimizer: Any
    multipliers: Any
    validation: Any
    progress: Progress


def _a_net(net: Any) -> Net:
    if not isinstance(net, Net):
        raise DeclarationError(f"NetTrain takes a net first. Got {excerpt(net)}. NetModel(name) gives nets by name.")
    return net


def _check_property(property: Any) -> None:
    names = property if isinstance(property, (list, tuple)) else [property]
    for name in names:
        if name is not Automatic and name is not All and name not in PROPERTIES and name != "Properties":
            from netdsl.errors import PartError

            raise PartError(f"NetTrain gives no property {excerpt(name)}. {nearest(name, PROPERTIES)}")


def _settings(options: dict[str, Any]) -> _Settings:
    for name in options:
        if name in LATER:
            if options[name] in (None, Automatic):
                continue
            raise UnsupportedError(f"NetTrain does not support the option {name} yet. Leave it out.")
        if name not in OPTIONS:
            raise DeclarationError(f"NetTrain has no option {name!r}. {nearest(name, [*OPTIONS, *LATER])}")
    get = options.get
    rounds = get("MaxTrainingRounds", Automatic)
    seeding = get("RandomSeeding", DEFAULT_SEED)
    device = get("TargetDevice", Automatic)
    return _Settings(
        batch_size=_positive("BatchSize", get("BatchSize", Automatic)),
        rounds=None if rounds == Infinity else _positive("MaxTrainingRounds", rounds),
        seconds=_seconds(get("TimeGoal", Automatic)),
        seed=DEFAULT_SEED if seeding is Inherited else seed_of(seeding),
        device=None if device is Automatic else device_named(device),
        loss=get("LossFunction", Automatic),
        optimizer=optimizer(get("Method", Automatic), get("LearningRate", Automatic)),
        multipliers=get("LearningRateMultipliers", Automatic),
        validation=get("ValidationSet", None),
        progress=progress(get("TrainingProgressReporting", Automatic)),
    )


def _positive(name: str, value: Any) -> int | None:
    if value is Automatic:
        return None
    if isinstance(value, bool) or not hasattr(value, "__index__") or value < 1:
        raise DeclarationError(f"{name} is a positive integer or Automatic. Got {excerpt(value)}.")
    return int(value)


UNITS = {"Seconds": 1.0, "Minutes": 60.0, "Hours": 3600.0}


def _seconds(value: Any) -> float | None:
    if value is Automatic or value is None or value == Infinity:
        return None
    if isinstance(value, Quantity):
        if value.unit not in UNITS:
            raise DeclarationError(f"TimeGoal is a time. {value!r} has the unit {value.unit!r}. {nearest(value.unit, UNITS)}")
        value = value.magnitude * UNITS[value.unit]
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not value > 0:
        raise DeclarationError(f"TimeGoal is a number of seconds above 0, or a Quantity. Got {excerpt(value)}.")
    return float(value)


# Data

def _split(net_data: Table, validation: Any, seed: int) -> tuple[Table, Table | None]:
    """Training and validation data; Scaled holds a random fraction out."""
    if validation is None:
        return net_data, None
    if isinstance(validation, Scaled):
        if not 0 < validation.fraction < 1:
            raise DeclarationError(f"ValidationSet={validation!r}: the fraction is between 0 and 1.")
        held = max(round(len(net_data) * validation.fraction), 1)
        if held >= len(net_data):
            raise DataError(f"ValidationSet={validation!r} of {len(net_data)} examples leaves none to train on.")
        order = np.random.default_rng([seed, 1]).permutation(len(net_data))
        return net_data.taken(np.sort(order[held:])), net_data.taken(np.sort(order[:held]))
    if isinstance(validation, (list, tuple)) and len(validation) == 2 and isinstance(validation[1], Mapping):
        raise UnsupportedError("ValidationSet with an interval is not supported yet. Give the data alone: it is measured after every round.")
    return net_data, table(ResourceData(validation, "TestData") if isinstance(validation, str) else validation, "validation data")


# The training itself

class _Training:
    """One run of NetTrain."""

    def __init__(self, net: Net, data: Any, settings: _Settings) -> None:
        self.settings = settings
        if isinstance(data, str):
            data = ResourceData(data, "TrainingData")
        examples, validation = _split(table(data, "training data"), settings.validation, settings.seed)
        prepared = typed(training_net(net, examples, settings.loss), examples)
        graph = NetInitialize(prepared.graph, RandomSeeding=settings.seed) if not prepared.graph.initialized else prepared.graph
        self.training = TrainingNet(graph, prepared.path, prepared.net, prepared.terms, prepared.columns)
        self.columns, compact = encoded(self.training, examples, "training data")
        self.validation: dict[str, Any] | None = None
        if validation is not None:
            self.validation, _ = encoded(self.training, validation, "validation data")
        self.count, self.validation_count = len(examples), 0 if validation is None else len(validation)
        varying = any(isinstance(column, Sequence) for column in self.columns.values())
        self.batch_size = min(settings.batch_size or (BATCH_SIZE_VARYING if varying else BATCH_SIZE), self.count)
        self.batches = -(-self.count // self.batch_size)
        self.device = settings.device if settings.device is not None else jax.devices()[0]
        self.multipliers = multipliers_by_path(graph, self.training.path, settings.multipliers)
        frozen = frozenset(path for path, value in self.multipliers.items() if value == 0)
        if not set(graph.arrays) - frozen:
            raise DeclarationError("This net has no array to train: " +
                                   ("all its LearningRateMultipliers are 0." if graph.arrays else "it has no arrays."))
        self.plan = Plan(graph, self.training.terms, settings.optimizer, frozen, compact, self.batch_size, self.device.platform)
        self.history = History(self.batches)
        self.status = Status(rounds=settings.rounds, batches=self.batches)
        self.interrupted = 0
        self.reason = ""

    # Running

    def run(self) -> NetTrainResultsObject:
        self.started = time.perf_counter()
        reporter = self.settings.progress
        reporter.start(f"NetTrain: {self.count:,} examples, {self.settings.optimizer.describe()}, batch size {self.batch_size}, "
                       f"{self.device.platform.upper()}")
        try:
            with _interruptible(self):
                self._rounds()
        finally:
            self.status.elapsed = time.perf_counter() - self.started
            message = f"Training {self.reason or 'stopped'} after {len(self.history.losses)} rounds, {duration_text(self.status.elapsed)}."
            reporter.finish(message)
        return self.results()

    def _place(self, tree: Any) -> Any:
        return jax.device_put(tree, self.device)

    def _rounds(self) -> None:
        settings, plan = self.settings, self.plan
        graph = self.training.graph
        # the carry is donated: it must not hold the arrays of the user's net
        trainable = {path: jnp.array(value) for path, value in graph.arrays.items() if path not in plan.frozen}
        fixed = {path: jnp.array(value) for path, value in graph.arrays.items() if path in plan.frozen}
        state = {path: jnp.array(value) for path, value in graph.state.items()}
        self.carry = self._place((trainable, fixed, state, plan.optimizer.make().init(trainable)))
        self.data = self._place(self.columns)
        self.validation_data = None if self.validation is None else self._place(self.validation)
        self.best: Any = None
        self.constants = self._place((np.uint32(settings.seed % 2**32), np.float32(settings.optimizer.learning_rate),
                                      {path: np.float32(self.multipliers[path]) for path in trainable}))
        self.chunk = max(1, min(8, self.batches))
        round_ = 0
        while not self.reason:
            round_ += 1
            self._round(round_)
            if not self.reason:
                self._validate(round_)
                self._plan_rounds(round_)
        if self.interrupted and self.history.validation_losses == [] and self.history.losses and not self.history.losses[-1].size:
            self.history.losses.pop()
            self.history.errors.pop()

    def _round(self, round_: int) -> None:
        """One pass over the data, in chunks about as long as CONSULTED_EVERY."""
        seed, rate, multipliers = self.constants
        order = self._place(permutation(self.count)(seed, np.int32(round_)))
        buffers = self._place((jnp.zeros(self.batches), jnp.zeros(self.batches)))
        run = chunk_function(self.plan)
        self.status.round, done = round_, 0
        self.history.losses.append(np.zeros(0, np.float32))
        self.history.errors.append(np.zeros(0, np.float32))
        while done < self.batches and not self.reason:
            count = min(self.chunk, self.batches - done)
            if self.status.phase == "compiling":
                self.status.elapsed = time.perf_counter() - self.started
                self.settings.progress.update(self.status)
            before = time.perf_counter()
            self.carry, buffers = run(self.carry, buffers, self.data, order, np.int32(done), np.int32(count),
                                      np.int32((round_ - 1) * self.batches), seed, rate, multipliers)
            losses, errors = (np.asarray(buffer) for buffer in buffers)
            took = time.perf_counter() - before
            done += count
            self.history.losses[-1], self.history.errors[-1] = losses[:done].copy(), errors[:done].copy()
            self._consult(round_, done, count, took)

    def _consult(self, round_: int, done: int, count: int, took: float) -> None:
        """What the host does after a chunk: check, adapt, report, stop."""
        status, settings = self.status, self.settings
        losses = self.history.losses[-1]
        recent = losses[done - count:]
        if not np.all(np.isfinite(recent)):
            batch = done - count + int(np.argmin(np.isfinite(recent))) + 1
            self.reason = "stopped: the loss is not finite"
            raise TrainingError(f"The loss of batch {batch} of round {round_} is {recent[~np.isfinite(recent)][0]}, at the port "
                                f"{listing(repr(term.port) for term in self.training.terms)}. A smaller LearningRate than "
                                f"{settings.optimizer.learning_rate:g}, inputs scaled to about 1, or a normalization layer are the usual cures.")
        if status.phase == "compiling":
            status.phase = "training"
            self.trained_from = time.perf_counter()
        else:
            per_batch = took / count
            self.chunk = max(1, min(int(CONSULTED_EVERY / max(per_batch, 1e-9)), self.chunk * 4, self.batches))
            status.examples_per_second = self.batch_size / per_batch
        now = time.perf_counter()
        status.batch, status.elapsed = done, now - self.started
        status.loss = float(losses.mean())
        if self.plan.classified:
            status.error = float(self.history.errors[-1].mean())
        status.remaining = self._remaining(round_, done)
        settings.progress.update(status)
        if self.interrupted:
            self.reason = "stopped by the user"
        elif settings.seconds is not None and now - self.started >= settings.seconds:
            self.reason = "reached the TimeGoal"
            if done == self.batches:
                self._validate(round_)

    def _remaining(self, round_: int, done: int) -> float | None:
        status = self.status
        if status.rounds is None or not status.examples_per_second:
            return None
        left = (status.rounds - round_) * self.batches + self.batches - done
        remaining = left * self.batch_size / status.examples_per_second
        return remaining if self.settings.seconds is None else min(remaining, max(self.settings.seconds - status.elapsed, 0))

    def _plan_rounds(self, round_: int) -> None:
        """Stop after the last round; where none is given, plan as many as fit the automatic time."""
        settings = self.settings
        if settings.rounds is None and settings.seconds is None:
            spent = max(time.perf_counter() - self.trained_from, 1e-6) / max(round_ - self.chunk / self.batches, 0.1)
            self.status.rounds = max(round_, min(MOST_ROUNDS, math.ceil(AUTOMATIC_SECONDS / spent)))
            if time.perf_counter() - self.trained_from >= AUTOMATIC_SECONDS or round_ >= MOST_ROUNDS:
                self.reason = f"finished: {round_} rounds in about {AUTOMATIC_SECONDS:.0f} seconds"
        elif settings.rounds is not None and round_ >= settings.rounds:
            self.reason = "finished"

    def _validate(self, round_: int) -> None:
        """Measure on the validation data, and keep the net if it is the best so far."""
        if self.validation_data is None:
            return
        arrays, fixed, state, _ = self.carry
        batches = -(-self.validation_count // self.batch_size)
        loss, error = validation_function(self.plan)(arrays, fixed, state, self.validation_data, np.int32(batches))
        history, status = self.history, self.status
        history.validation_losses.append(float(loss) / self.validation_count)
        history.validation_errors.append(float(error) / self.validation_count)
        scores = history.validation_errors if BEST_BY == "error" and self.plan.classified else history.validation_losses
        if self.best is None or scores[-1] < min(scores[:-1], default=math.inf):
            self.best = jax.tree.map(jnp.copy, (arrays, state))
            history.best_round = round_
        status.validation_loss = history.validation_losses[-1]
        status.validation_error = history.validation_errors[-1] if self.plan.classified else None
        self.settings.progress.update(status)

    # Results

    def results(self) -> NetTrainResultsObject:
        """The object of all results, with the best or last arrays."""
        arrays, state = self.best if self.best is not None else (self.carry[0], self.carry[2])
        path = self.training.path
        values = {**arrays, **self.carry[1], **state}
        own = {key if key[0] == SHARED else key[len(path):]: value for key, value in values.items()
               if key[0] == SHARED or key[: len(path)] == path}
        net: Net = self.training.graph
        trained = net.with_arrays(values)
        inner = trained
        for name in path:
            inner = inner.nets[name]
        if path:
            inner = _with_known_ports(inner, trained, path).with_arrays(own)
        return NetTrainResultsObject(
            inner, trained, self.history, self.plan.classified is not None, self.batch_size, self.count, self.validation_count,
            time.perf_counter() - self.started, self.settings.optimizer.learning_rate, self.settings.optimizer.describe(),
            self.device.platform.upper(), self.reason, self.settings.seed, self.multipliers)


def _with_known_ports(net: Net, graph: Net, path: ArrayPath) -> Net:
    """The part of the graph with the types that its input ports were found to have."""
    ports = dict(net.ports)
    for port in net.input_names:
        if not net.port_type(port).known:
            ref = graph.program.ports[path, port]
            ports[port] = graph.solved.types[ref]
    shared = type(net.shared)({name: graph.shared[name] for name in {key[1] for key in net.array_table() if key[0] == SHARED}
                               if name in graph.shared})
    return net.rebuilt(ports=type(net.ports)(ports), shared=shared)


class _interruptible:
    """Ctrl-C once asks the training to stop after the running chunk, twice stops at once."""

    def __init__(self, training: _Training) -> None:
        self.training = training

    def __enter__(self) -> None:
        self.previous: Any = None
        if threading.current_thread() is threading.main_thread():
            self.previous = signal.signal(signal.SIGINT, self._handle)

    def _handle(self, number: int, frame: Any) -> None:
        self.training.interrupted += 1
        if self.training.interrupted > 1:
            raise KeyboardInterrupt

    def __exit__(self, *_: object) -> None:
        if self.previous is not None:
            signal.signal(signal.SIGINT, self.previous)


