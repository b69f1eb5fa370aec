"""One run of NetTrain: rounds of chunks of batches, watched by the host."""

from __future__ import annotations

import math
import signal
import threading
import time
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from numbers import Real
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from netdsl.attachment import encoded, training_net, typed
from netdsl.columns import Table, table
from netdsl.errors import DataError, DeclarationError, TrainingError, UnsupportedError, listing
from netdsl.initialization import NetInitialize
from netdsl.layers.placeholder import refuse_placeholders
from netdsl.lowering import WHOLE, Attempt, alone, bytes_of, cast, cores_for, explained, multiply_adds, placed, wire_elements
from netdsl.nets import SHARED, ArrayPath, Net, Sequence, multipliers_by_path, path_text
from netdsl.resources import ResourceData
from netdsl.shapes import OPEN, ArrayType
from netdsl.symbols import Scaled
from netdsl.training.plan import Plan, chunk_function, permutation, start, validation_function
from netdsl.training.progress import Status, duration_text
from netdsl.training.results import History, NetTrainResultsObject
from netdsl.training.settings import Settings

__all__ = ["Training"]

BATCH_SIZE = 64
"""The batch size when BatchSize is Automatic and nothing varies; 16 where something does."""

BATCH_SIZE_VARYING = 16

AUTOMATIC_SECONDS = 20.0
"""How long a training takes when neither rounds nor time are given."""

MOST_ROUNDS = 10_000

CONSULTED_EVERY = 1.0
"""Seconds between two looks of the host at the device: chunks of batches are made this long."""

SECONDS_PER_BYTE = 2e-8
"""What a byte of activations adds to that on a CPU, where each chunk takes its memory anew from the system: 50 MB a second."""

LONGEST_CHUNK = 4.0
"""Seconds between two such looks at most."""

FIRST_CHUNK = 8
"""The batches of the first chunk, which shows how long a batch takes."""

PLACING = "while it placed the data"
"""Where a training is before its first round, in the words of a message."""

BEST_BY = "loss"
"""What the best validation round is chosen by: "loss", or "error" (for classifiers in newer versions of Mathematica [M])."""


def split(data: Table, validation: Any, seed: int) -> tuple[Table, Table | None]:
    """Training and validation data; Scaled holds a random fraction out."""
    if validation is None:
        return data, None
    if isinstance(validation, Scaled):
        fraction = validation.fraction
        if isinstance(fraction, bool) or not isinstance(fraction, Real) or not 0 < fraction < 1:
            raise DeclarationError(f"ValidationSet={validation!r}: the fraction is a number between 0 and 1.")
        held = max(round(len(data) * fraction), 1)
        if held >= len(data):
            raise DataError(f"ValidationSet={validation!r} of {len(data)} examples leaves none to train on.")
        order = np.random.default_rng([seed, 1]).permutation(len(data))
        return data.taken(np.sort(order[held:])), data.taken(np.sort(order[:held]))
    if isinstance(validation, (list, tuple)) and len(validation) == 2 and isinstance(validation[1], Mapping):
        raise UnsupportedError(
            "ValidationSet with an interval is not supported yet. Give the data alone: it is measured after every round."
        )
    return data, table(ResourceData(validation, "TestData") if isinstance(validation, str) else validation, "validation data")


class Training:
    """One run of NetTrain."""

    def __init__(self, net: Net, data: Any, settings: Settings) -> None:
        refuse_placeholders(net)
        self.settings = settings
        everything = table(ResourceData(data, "TrainingData") if isinstance(data, str) else data, "training data")
        examples, validation = split(everything, settings.validation, settings.seed)
        # labels that only occur among the examples held out are classes too
        prepared = typed(training_net(net, everything, settings.loss), everything)
        graph = initialized(prepared.graph, prepared.path, settings.seed)
        self.training = replace(prepared, graph=graph)
        self.columns, compact = encoded(self.training, examples, "training data")
        self.count, self.validation_count = len(examples), 0 if validation is None else len(validation)
        varying = any(isinstance(column, Sequence) for column in self.columns.values())
        self.batch_size = min(settings.batch_size or (BATCH_SIZE_VARYING if varying else BATCH_SIZE), self.count)
        self.batches = -(-self.count // self.batch_size)
        self.device = settings.device if settings.device is not None else next(iter(jax.device_put(0).devices()))
        self.multipliers = multipliers_by_path(graph, self.training.path, settings.multipliers)
        frozen = frozenset(path for path, value in self.multipliers.items() if value == 0)
        if not set(graph.arrays) - frozen:
            raise DeclarationError(
                "This net has no array to train: "
                + ("all its LearningRateMultipliers are 0." if graph.arrays else "it has no arrays.")
            )
        platform = self.device.platform
        learned = sum(value.size for path, value in graph.arrays.items() if path not in frozen)
        work = self.batch_size * multiply_adds(graph) / learned
        cores = cores_for(self.batch_size, work) if platform == "cpu" else 1
        terms, optimizer, precision = self.training.terms, settings.optimizer, settings.precision
        self.plan = Plan(graph, terms, optimizer, frozen, compact, self.batch_size, platform, cores, precision)
        activations = wire_elements(graph.solved, 1) * precision.bytes * self.batch_size if platform == "cpu" else 0
        self.consulted_every = min(CONSULTED_EVERY + activations * SECONDS_PER_BYTE, LONGEST_CHUNK)
        self.number = jnp.result_type(float).type
        self.validation: dict[str, Any] | None = None
        if validation is not None:
            # these may be encoded where the training data are not, or the other way round
            self.validation, compact = encoded(self.training, validation, "validation data")
            self.validate = validation_function(replace(self.plan, compact=compact))
        self.history = History(self.batches)
        rounds = settings.rounds
        limit = None if rounds is None or math.isinf(rounds) else int(rounds)
        self.status = Status(rounds=limit, batches=self.batches, goal=settings.seconds, history=self.history)
        self.consulted_every = min(self.consulted_every, settings.progress.seconds, settings.functions.seconds)
        self.interrupted = 0
        self.reason = ""
        self.where = PLACING

    # Running

    def run(self) -> NetTrainResultsObject:
        """Train until something says stop."""
        self.started = time.perf_counter()
        reporter = self.settings.progress
        try:
            reporter.start(
                f"NetTrain: {self.count:,} examples, {self.settings.optimizer.describe()}, batch size "
                f"{self.batch_size}, "
                f"{self.device.platform.upper()}, seed {self.settings.seed}"
            )
            with _interruptible(self), explained(self._attempt):
                self._rounds()
        finally:
            self.status.elapsed = time.perf_counter() - self.started
            rounds = len(self.history.losses)
            measured = self.status.measured()
            reporter.finish(
                f"Training {self.reason or 'broke off'} after {rounds} round{'' if rounds == 1 else 's'}, "
                f"{duration_text(self.status.elapsed)}{': ' if measured else '.'}{measured}"
            )
        return self.results()

    def _place(self, tree: Any, may_alias: bool | None = None) -> Any:
        """The tree where it is trained; JAX arrays that are there already are copied where they must not be one with it."""
        cores = self.plan.cores
        return jax.device_put(tree, self.device, may_alias=may_alias) if cores == 1 else placed(tree, cores, WHOLE, may_alias)

    def _start(self) -> tuple[dict[ArrayPath, Any], dict[ArrayPath, Any], dict[ArrayPath, Any]]:
        """The arrays that are trained, those that are not, and the state, as they are before the training."""
        graph, frozen, held = self.training.graph, self.plan.frozen, self.plan.stacked
        trainable = {path: value for path, value in graph.arrays.items() if path not in frozen}
        fixed = {path: value for path, value in graph.arrays.items() if path in frozen}
        return held(trainable), held(fixed), held(graph.state)

    def _multipliers(self, arrays: dict[ArrayPath, Any]) -> dict[ArrayPath, Any]:
        """The multiplier of each array as the training holds it: for a stacked one, those of the arrays in it."""
        held = self.plan.stacked({path: self.number(value) for path, value in self.multipliers.items()})
        return {
            path: held[path].reshape(held[path].shape + (1,) * (len(value.shape) - 1)) if held[path].shape else held[path]
            for path, value in arrays.items()
        }

    def _rounds(self) -> None:
        settings = self.settings
        trainable, fixed, state = self._start()
        # the carry is donated: it must not hold the arrays of the user's net
        self.carry = self._place(start(self.plan, trainable, fixed, state), may_alias=False)
        self.data = self._place(self.columns)
        self.validation_data = None if self.validation is None else self._place(self.validation)
        self.best: Any = None
        self.constants = self._place(
            (
                np.uint32(settings.seed % 2**32),
                self.number(settings.optimizer.learning_rate),
                self._multipliers(trainable),
            )
        )
        self.chunk = FIRST_CHUNK
        round_ = 0
        while not self.reason:
            round_ += 1
            self._round(round_)
            if len(self.history.losses[-1]) == self.batches:
                self._validate(round_)
                self.status.finished = round_
                settings.progress.update(self.status)
                self.reason = self.reason or settings.functions.tell(self)
                self._plan_rounds(round_)
        settings.functions.tell(self, last=True)
        self._check_arrays()

    def _round(self, round_: int) -> None:
        """One pass over the data, in chunks about as long as `consulted_every`."""
        settings, (seed, rate, multipliers) = self.settings, self.constants
        order = self._place(permutation(self.count, settings.seed, round_))
        offset = np.int32((round_ - 1) * self.batches)
        buffers = self._place((np.zeros(self.batches, self.number), np.zeros(self.batches, self.number)))
        run = chunk_function(self.plan)

        def trained(first: int, count: int) -> tuple[Any, ...]:
            """The losses and errors of the round after these batches."""
            nonlocal buffers
            place = np.int32(first), np.int32(count), offset
            with alone(self.plan.cores):
                self.carry, buffers = run(self.carry, buffers, self.data, order, *place, seed, rate, multipliers)
                return tuple(np.asarray(buffer) for buffer in buffers)

        self.where = f"in round {round_}"
        self.status.round, self.status.batch, done = round_, 0, 0
        self.history.losses.append(np.zeros(0, np.float32))
        self.history.errors.append(np.zeros(0, np.float32))
        if self.status.phase == "compiling":
            self.status.elapsed = time.perf_counter() - self.started
            settings.progress.update(self.status)
            trained(0, 0)  # no batch: all that takes time here is the compilation
            self.status.phase = "training"
            self.trained_from = time.perf_counter()
        while done < self.batches and not self.reason:
            left = self.batches - done
            count = -(-left // max(math.ceil(left / self.chunk - 0.25), 1))  # equal chunks: the last is not a short one
            count = int(min(count, settings.progress.batches_left(self.status), settings.functions.batches_left(self.status)))
            before = time.perf_counter()
            losses, errors = trained(done, count)
            took = time.perf_counter() - before
            done += count
            self.last = order, done - 1, int(offset)
            self.history.losses[-1], self.history.errors[-1] = losses[:done].copy(), errors[:done].copy()
            self._consult(round_, done, count, took)

    def _consult(self, round_: int, done: int, count: int, took: float) -> None:
        """What the host does after a chunk: check, adapt, report, stop."""
        status, settings = self.status, self.settings
        losses = self.history.losses[-1]
        recent = losses[done - count :]
        if not np.all(np.isfinite(recent)):
            batch = done - count + int(np.argmin(np.isfinite(recent))) + 1
            self._break_off(
                f"The loss of batch {batch} of round {round_} is {recent[~np.isfinite(recent)][0]}, at the port "
                f"{listing(repr(term.port) for term in self.training.terms)}."
            )
        per_batch = max(took / count, 1e-9)
        self.chunk = max(1, int(self.consulted_every / per_batch))
        status.examples_per_second, status.batches_per_second = self.batch_size / per_batch, 1 / per_batch
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
        if done < self.batches:  # the end of a round is told after its validation
            self.reason = self.reason or settings.functions.tell(self)

    def _break_off(self, what: str) -> None:
        """Raise the error of a training that left the numbers; the best net so far goes with it."""
        self.reason = "stopped at numbers that are not finite,"
        optimizer = self.settings.optimizer
        rate = f"LearningRate than {optimizer.learning_rate:g}" if optimizer.own else "learning rate in Method"
        results, kept = self._best_so_far()
        error = TrainingError(
            f"{what} A smaller {rate}, inputs scaled to about 1, or a normalization layer are the usual cures.{kept}"
        )
        error.results = results
        raise error

    def _attempt(self) -> Attempt:
        """What is said when memory runs out. The carry may be gone by then: it was donated."""
        self.reason = "ran out of memory"
        graph, plan = self.training.graph, self.plan
        carry = jax.eval_shape(partial(start, plan), *self._start())
        results, kept = self._best_so_far()
        sequences = [column for column in self.columns.values() if isinstance(column, Sequence)]
        return Attempt(
            what="NetTrain",
            where=self.where,
            net=graph,
            batch_size=self.batch_size,
            device=self.device,
            data=bytes_of((self.columns, self.validation)),
            arrays=bytes_of((carry, carry[0])),
            training=True,
            precision=plan.precision,
            length=max((sequence.data.shape[1] for sequence in sequences), default=1),
            smaller="Fewer examples can help." if self.where == PLACING else "Try BatchSize={}.",
            results=results,
            kept=kept,
        )

    def _best_so_far(self) -> tuple[NetTrainResultsObject | None, str]:
        """The results with the best net by validation, where there is one, and the sentence that says so in an error."""
        best = self.history.best_round
        if not best:
            return None, ""
        return self.results(), f" error.results holds the results with the net of round {best}, the best by validation."

    def _check_arrays(self) -> None:
        """The step after the last loss may have gone astray too."""
        for path, value in self.plan.apart({**self.carry[0], **self.carry[2]}).items():
            if not np.isfinite(np.asarray(value)).all():
                name = path_text(self._own(path))
                self._break_off(f"After the last batch of round {len(self.history.losses)} the array {name!r} is not finite.")

    def _remaining(self, round_: int, done: int) -> float | None:
        """The seconds left, by the rounds or the TimeGoal, whichever ends first."""
        status, goal = self.status, self.settings.seconds
        ends = [] if goal is None or math.isinf(goal) else [max(goal - status.elapsed, 0.0)]
        if status.rounds is not None and status.examples_per_second:
            left = (status.rounds - round_) * self.batches + self.batches - done
            ends.append(left * self.batch_size / status.examples_per_second)
        return min(ends, default=None)

    def _plan_rounds(self, round_: int) -> None:
        """Stop after the last round; where none is given, plan as many as fit the automatic time."""
        settings = self.settings
        if self.reason:
            return
        if settings.rounds is None and settings.seconds is None:
            trained = time.perf_counter() - self.trained_from
            spent = max(trained, 1e-6) / round_
            self.status.rounds = max(round_, min(MOST_ROUNDS, math.ceil(AUTOMATIC_SECONDS / spent)))
            if trained >= AUTOMATIC_SECONDS:
                self.reason = f"reached the automatic {AUTOMATIC_SECONDS:g} seconds"
            elif round_ >= MOST_ROUNDS:
                self.reason = f"reached the automatic limit of {MOST_ROUNDS:,} rounds"
        elif settings.rounds is not None and round_ >= settings.rounds:
            self.reason = "finished"

    def _validate(self, round_: int) -> None:
        """Measure on the validation data, and keep the net if it is the best so far."""
        if self.validation_data is None:
            return
        arrays, fixed, state, _ = self.carry
        self.where = f"in the validation after round {round_}"
        batches = -(-self.validation_count // self.batch_size)
        with alone(self.plan.cores):
            sums = self.validate(arrays, fixed, state, self.validation_data, np.int32(batches))
            loss, error = map(float, sums)
        history, status = self.history, self.status
        history.validation_losses.append(loss / self.validation_count)
        history.validation_errors.append(error / self.validation_count)
        scores = history.validation_errors if BEST_BY == "error" and self.plan.classified else history.validation_losses
        if math.isfinite(scores[-1]) and scores[-1] < min(filter(math.isfinite, scores[:-1]), default=math.inf):
            self.best = self._place((arrays, state), may_alias=False)
            history.best_round = round_
        status.validation_loss = history.validation_losses[-1]
        status.validation_error = history.validation_errors[-1] if self.plan.classified else None

    def _own(self, path: ArrayPath) -> ArrayPath:
        """The path of an array in the user's net, where it is in it."""
        prefix = self.training.path
        return path[len(prefix) :] if path[: len(prefix)] == prefix else path

    # Results

    def _returned(self, trained: dict[ArrayPath, Any]) -> dict[ArrayPath, Any]:
        """All arrays on the training's device and in the types that the net had them; those not trained are its own."""
        own = self.training.graph.array_table()
        arrays = {path: cast(trained[path], value.dtype) if path in trained else value for path, value in own.items()}
        return jax.device_put(arrays, self.device)

    def results(self, last: bool = False) -> NetTrainResultsObject:
        """The object of all results, with the best arrays, or those after the `last` batch."""
        arrays, state = (self.carry[0], self.carry[2]) if last or self.best is None else self.best
        trained = self.training.graph.with_arrays(self._returned(self.plan.apart({**arrays, **state})))
        optimizer = self.settings.optimizer
        shown = {self._own(path): value for path, value in self.multipliers.items() if path not in trained.state_paths()}
        return NetTrainResultsObject(
            trained_net=part_at(trained, self.training.path),
            training_net=trained,
            history=self.history,
            classified=self.plan.classified is not None,
            batch_size=self.batch_size,
            training_examples=self.count,
            validation_examples=self.validation_count,
            seconds=time.perf_counter() - self.started,
            learning_rate=optimizer.learning_rate if optimizer.own else None,
            method=optimizer.describe(),
            device=self.device.platform.upper(),
            reason=self.reason,
            seed=self.settings.seed,
            multipliers=shown,
        )


def initialized(graph: Net, path: ArrayPath, seed: int) -> Net:
    """The training net with all arrays; those of the user's net are what NetInitialize gives that net itself."""
    if graph.initialized:
        return graph
    own = NetInitialize(part_at(graph, path), RandomSeeding=seed)
    values = {key if key[0] == SHARED else (*path, *key): value for key, value in {**own.arrays, **own.state}.items()}
    return NetInitialize(graph.with_arrays(values), RandomSeeding=seed)


def part_at(graph: Net, path: ArrayPath) -> Net:
    """The net inside the graph, with the types that its ports were found to have there and its shared arrays."""
    if not path:
        return graph
    net = graph
    for name in path:
        net = net.nets[name]
    there = {port: graph.solved.types[graph.program.ports[path, port]] for port in (*net.input_names, *net.output_names)}
    found = {
        port: type_
        for port, type_ in there.items()
        if isinstance(net.ports.get(port, OPEN), ArrayType) and not type_.varying and type_.sizes != net.port_type(port).sizes
    }
    names = {key[1] for key in net.array_table() if key[0] == SHARED}
    return net.rebuilt(
        ports=type(net.ports)({**net.ports, **found}),
        shared=type(net.shared)({name: value for name, value in graph.shared.items() if name in names}),
    )


class _interruptible:
    """Ctrl-C once asks the training to stop after the running chunk, twice stops at once; where it was ignored it stays so."""

    def __init__(self, training: Training) -> None:
        self.training = training

    def __enter__(self) -> None:
        self.previous: Any = None
        if threading.current_thread() is threading.main_thread() and signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:
            self.previous = signal.signal(signal.SIGINT, self._handle)

    def _handle(self, number: int, frame: Any) -> None:
        self.training.interrupted += 1
        if self.training.interrupted > 1:
            raise KeyboardInterrupt

    def __exit__(self, *_: object) -> None:
        if self.previous is not None:
            signal.signal(signal.SIGINT, self.previous)
