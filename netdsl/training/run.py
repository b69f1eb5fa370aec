"""One run of NetTrain: rounds of chunks of batches, watched by the host."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from netdsl.attachment import training_net, typed
from netdsl.errors import DeclarationError
from netdsl.initialization import NetInitialize
from netdsl.layers.placeholder import refuse_placeholders
from netdsl.lowering import cast, cores_for, explained, multiply_adds, wire_elements
from netdsl.lowering.cores import WHOLE, alone, brought, placed
from netdsl.lowering.devices import devices_text
from netdsl.measurements.tally import merged
from netdsl.nets import SHARED, ArrayPath, Net, multipliers_by_path
from netdsl.shapes import OPEN, ArrayType
from netdsl.training.checkpoints import Checkpoints
from netdsl.training.failures import named, reading
from netdsl.training.feeding import Feed, feed
from netdsl.training.generators import Ended
from netdsl.training.history import History
from netdsl.training.interrupts import compiled_aside, heard, interruptible
from netdsl.training.measured import compared_of, judged, measured
from netdsl.training.plan import Plan, chunk_function, start, sums_of, validation_function
from netdsl.training.planning import plan_rounds, rate_of, remaining, seconds_of
from netdsl.training.processes import Hosts, shared_by
from netdsl.training.progress import Status, duration_text
from netdsl.training.results import NetTrainResultsObject
from netdsl.training.settings import Settings
from netdsl.training.sources import refuse_guessed_labels, source, split
from netdsl.training.trouble import PLACING, attempt, break_off, check_arrays, keep, ports_of, refuse_arrays
from netdsl.training.updates import by_part, turns_of

__all__ = ["Training"]

BATCH_SIZE = 64
"""The batch size when BatchSize is Automatic and nothing varies; 16 where something does."""

BATCH_SIZE_VARYING = 16

CONSULTED_EVERY = 1.0
"""Seconds between two looks of the host at the device: chunks of batches are made this long."""

SECONDS_PER_BYTE = 2e-8
"""What a byte of activations adds to that on a CPU, where each chunk takes its memory anew from the system: 50 MB a second."""

LONGEST_CHUNK = 4.0
"""Seconds between two such looks at most."""

FIRST_CHUNK = 8
"""The batches of the first chunk, which shows how long a batch takes."""

_NOTHING = (
    "all its LearningRateMultipliers are 0.",
    "LearningRateMultipliers are 0 or TrainingUpdateSchedule leaves out all its arrays.",
)
"""Why no array is trained, without TrainingUpdateSchedule and with one."""

BEST_BY = "loss"
"""What the best validation round is chosen by: "loss", or "error" (for classifiers in newer versions of Mathematica [M])."""


class Training:
    """One run of NetTrain."""

    def __init__(self, net: Net, data: Any, settings: Settings, hosts: Hosts | None = None) -> None:
        refuse_placeholders(net)
        self.settings, self.hosts = settings, hosts or Hosts()
        varying = any(net.port_type(port).varying for port in net.input_names)
        size = settings.batch_size or (BATCH_SIZE_VARYING if varying else BATCH_SIZE)
        everything = source(data, "training data", "TrainingData", size, self.hosts, settings.skip)
        examples, validation = split(everything, settings.validation, settings.seed, size, self.hosts)
        # labels that only occur among the examples held out are classes too
        sample = everything.sample()
        prepared = typed(training_net(net, sample, settings.loss), sample)
        refuse_guessed_labels(net, prepared, everything, sample)
        graph = initialized(prepared.graph, prepared.path, settings.seed)
        self.training = replace(prepared, graph=graph)
        self.device = settings.device if settings.device is not None else next(iter(jax.device_put(0).devices()))
        self.feed = feed(self.training, examples, "training data", settings.seed, self.device, self.hosts, settings.skip)
        self.columns, compact = self.feed.columns, self.feed.compact
        self.count, self.validation_count = self.feed.count, 0
        self.batch_size = min(size, self.count)
        self.batches = -(-self.count // self.batch_size)
        self.multipliers = multipliers_by_path(graph, self.training.path, settings.multipliers)
        turns = turns_of(settings.turns, graph, self.training.path)
        frozen = frozenset(path for path, value in self.multipliers.items() if value == 0) | turns.idle(graph.array_table())
        if not set(graph.arrays) - frozen:
            raise DeclarationError(
                "This net has no array to train: " + (_NOTHING[bool(turns.parts)] if graph.arrays else "it has no arrays.")
            )
        platform = self.device.platform
        learned = sum(value.size for path, value in graph.arrays.items() if path not in frozen)
        work = self.batch_size * multiply_adds(graph) / learned
        cores = cores_for(self.batch_size, work) if platform == "cpu" and not settings.devices else 1
        mesh = shared_by(settings.devices, cores, self.batch_size)
        terms, optimizer, precision = self.training.terms, settings.optimizer, settings.precision
        further = precision, turns, settings.sparing
        self.plan = Plan(graph, terms, optimizer, frozen, compact, self.batch_size, platform, mesh, *further)
        self.measured = measured(settings.measurements, settings.criterion, self.plan, self.training, validation is not None)
        self.plan = replace(self.plan, sums=self.measured.sums)
        refuse_arrays(self)
        activations = wire_elements(graph.solved, 1) * precision.bytes * self.batch_size if platform == "cpu" else 0
        self.consulted_every = min(CONSULTED_EVERY + activations * SECONDS_PER_BYTE, LONGEST_CHUNK)
        self.number = jnp.result_type(float).type
        self.judge = judged(settings.criterion, self.measured, validation is not None, BEST_BY)
        self.validation: Feed | None = None
        if validation is not None:
            # these may be encoded where the training data are not, or the other way round
            self.validation = feed(
                self.training, validation, "validation data", settings.seed, self.device, self.hosts, settings.skip
            )
            self.validation_count = self.validation.count
            self.measured.refuse_outputs(self.training, self.validation)
            self.validate = validation_function(replace(self.plan, compact=self.validation.compact))
        self.history = History(self.batches)
        rounds = settings.rounds
        limit = None if rounds is None or math.isinf(rounds) else int(rounds)
        self.status = Status(rounds=limit, batches=self.batches, goal=settings.seconds, history=self.history)
        self.consulted_every = min(self.consulted_every, settings.progress.seconds, settings.functions.seconds)
        self.by_part = by_part(optimizer, graph, self.training.path)
        self.learning_rate = optimizer.learning_rate
        self.checkpoints = Checkpoints(self, settings.checkpointing)
        self.trained_from, self.completed, self.interrupted = 0.0, 0, 0
        self.kept: list[tuple[Any, ...]] = []
        self.kept_until = 0.0
        self.reason = ""
        self.where = PLACING

    # Running

    def run(self) -> NetTrainResultsObject:
        """Train until something says stop."""
        self.started = self.hosts.now()
        reporter = self.settings.progress
        try:
            reporter.start(
                f"NetTrain: {self.count:,} examples, {self.settings.optimizer.describe()}, batch size "
                f"{self.batch_size}, "
                f"{devices_text(self.device, self.settings.devices)}, seed {self.settings.seed}"
            )
            with interruptible(self), explained(partial(attempt, self)), self.checkpoints:
                self._rounds()
        finally:
            for fed in filter(None, (self.feed, self.validation)):
                fed.close(wait=self.interrupted < 2)
            self.status.elapsed = self.hosts.passed(self.started)
            rounds = len(self.history.losses)
            measured = self.status.measured()
            reporter.finish(
                f"Training {self.reason or 'broke off'} after {rounds} round{'' if rounds == 1 else 's'}, "
                f"{duration_text(self.status.elapsed)}{': ' if measured else '.'}{measured}"
            )
        return self.results()

    def _place(self, tree: Any, may_alias: bool | None = None) -> Any:
        """The tree where it is trained; JAX arrays that are there already are copied where they must not be one with it."""
        mesh = self.plan.mesh
        return jax.device_put(tree, self.device, may_alias=may_alias) if mesh is None else placed(tree, mesh, WHOLE, may_alias)

    def _start(self) -> tuple[dict[ArrayPath, Any], dict[ArrayPath, Any], dict[ArrayPath, Any]]:
        """The arrays that are trained, those that are not, and the state, as they are before the training."""
        graph, frozen, held = self.training.graph, self.plan.frozen, self.plan.stacked
        trainable = {path: value for path, value in graph.arrays.items() if path not in frozen}
        fixed = {path: value for path, value in graph.arrays.items() if path in frozen}
        return held(trainable), held(fixed), held(graph.state)

    def _numbers(self, arrays: dict[ArrayPath, Any]) -> dict[str, Any]:
        """What `updated` takes: the numbers of multipliers and suboptions."""
        common = self.settings.optimizer.common
        by_array = {"LearningRateMultipliers": self.multipliers, **self.by_part}
        single: dict[str, Any] = {"GradientAccumulation": np.int32, "MovingAverage": self.number}
        return {name: self._held(values, arrays) for name, values in by_array.items()} | {
            name: kind(common[name]) for name, kind in single.items() if name in common
        }

    def _held(self, values: dict[ArrayPath, float], arrays: dict[ArrayPath, Any]) -> dict[ArrayPath, Any]:
        """The number of each array as the training holds it: for a stacked one, those of the arrays in it."""
        held = self.plan.stacked({path: self.number(value) for path, value in values.items()})
        return {
            path: held[path].reshape(held[path].shape + (1,) * (len(value.shape) - 1)) if held[path].shape else held[path]
            for path, value in arrays.items()
        }

    def _rounds(self) -> None:
        settings = self.settings
        trainable, fixed, state = self._start()
        # the carry is donated: it must not hold the arrays of the user's net
        self.carry = self._place(start(self.plan, trainable, fixed, state), may_alias=False)
        self.feed.start(self.plan, self._place, settings.rounds)
        if self.validation is not None:
            self.validation.start(self.plan, self._place)
        self.best: Any = None
        self.constants = self._place(
            (
                np.uint32(settings.seed % 2**32),
                self.number(settings.optimizer.learning_rate),
                self._numbers(trainable),
            )
        )
        self.empty = self.slots = self.measured.slots(sums_of(self.plan, self.carry, self.columns), self.batches)
        self.chunk = FIRST_CHUNK
        round_ = self.checkpoints.resume()
        while not self.reason:
            round_ += 1
            self._round(round_)
            if len(self.history.losses[-1]) == self.batches:
                self._judge(round_, self.batches)
                self.status.finished = round_
                settings.progress.update(self.status)
                self._tell()
                plan_rounds(self, round_)
                if self.reason:  # the end is validated in any case
                    self._validate(round_, self.batches)
                self.completed = round_
                self.checkpoints.consider()
        settings.functions.tell(self, last=True)
        check_arrays(self)

    def _round(self, round_: int) -> None:
        """One pass over the data, in chunks about as long as `consulted_every`."""
        settings = self.settings
        seed, _, numbers = self.constants
        offset = np.int32((round_ - 1) * self.batches)
        done, *zeros = self.history.begin(round_, self.number)
        self.feed.round(round_, done)
        buffers = self._place((*zeros, self.slots if done else self.empty))

        def trained(first: int, count: int) -> tuple[Any, ...]:
            """The losses and errors of the round after these batches."""
            nonlocal buffers
            rate, seconds = rate_of(self, round_, first, count), seconds_of(self, count)
            for plan, data, order, *part in self.feed.parts(first, count):
                run, place = chunk_function(plan), (*map(np.int32, part), offset)
                given = self.carry, buffers, data, order, *place, seed, rate, numbers
                if not count:
                    compiled_aside(run, given)
                with alone(plan.mesh):
                    self.carry, buffers = run(*given)
                    if plan.mesh is not None:
                        buffers = jax.block_until_ready(heard(buffers, seconds, leave=False))
                if settings.functions.calls:  # they may ask for the last batch; else its chunk is let go
                    self.last = plan, data, order, part[0] + part[1] - 1, offset
            return jax.tree.map(np.asarray, heard(buffers, seconds, leave=self.plan.mesh is None))  # type: ignore[no-any-return]

        self.where = f"in round {round_}"
        self.status.round, self.status.batch = round_, done
        if self.status.phase == "compiling":
            self.status.elapsed = self.hosts.passed(self.started)
            settings.progress.update(self.status)
            trained(0, 0)  # no batch: all that takes time here is the compilation
            self.status.phase = "training"
            self.trained_from = self.hosts.now() - self.checkpoints.trained
        while done < self.batches and not self.reason:
            due = self.settings.validated.after(int(offset) + done, self.batches) - int(offset)
            left = (self.batches if self.validation is None else min(self.batches, due)) - done
            count = -(-left // max(math.ceil(left / self.chunk - 0.25), 1))  # equal chunks: the last is not a short one
            asked = (
                self.checkpoints.batches_left(),
                settings.progress.batches_left(self.status),
                settings.functions.batches_left(self.status),
            )
            before = self.hosts.now()
            count = self.hosts.least(self._ready(done, int(min(count, *asked))))
            if not count:
                self.reason = self.reason or "ended with its data"
                break
            losses, errors, self.slots = trained(done, count)
            took = self.hosts.now() - before
            done += count
            self.history.losses[-1], self.history.errors[-1] = losses[:done].copy(), errors[:done].copy()
            self.measured.keep(self.history, self.slots, done)
            self._consult(round_, done, count, took)
            if self.validation is not None and done == due < self.batches:
                self._judge(round_, done)

    def _ready(self, done: int, count: int) -> int:
        """How many of these batches there are now; none once the data have ended."""
        try:
            with reading(self):
                return self.feed.ready(done, count)
        except Ended:
            return 0

    def _consult(self, round_: int, done: int, count: int, took: float) -> None:
        """What the host does after a chunk: check, adapt, report, stop."""
        status, settings = self.status, self.settings
        losses = self.history.losses[-1]
        recent = losses[done - count :]
        if not np.all(np.isfinite(recent)):
            batch = done - count + int(np.argmin(np.isfinite(recent))) + 1
            break_off(
                self,
                f"The loss of batch {batch} of round {round_} is {recent[~np.isfinite(recent)][0]}, at the port "
                f"{ports_of(self, batch)}.",
            )
        per_batch = max(took / count, 1e-9)
        self.chunk = max(1, int(self.consulted_every / per_batch))
        status.examples_per_second, status.batches_per_second = self.batch_size / per_batch, 1 / per_batch
        now = self.hosts.now()
        status.batch, status.elapsed = done, now - self.started
        keep(self, now)
        status.loss = float(losses.mean())
        if self.plan.classified:
            status.error = float(self.history.errors[-1].mean())
        status.measurements = self.measured.numbers(self.history.sums[-1])
        status.remaining = remaining(self, round_, done)
        settings.progress.update(status)
        if self.hosts.any(self.interrupted):
            self.reason = "stopped by the user"
        elif settings.seconds is not None and now - self.started >= settings.seconds:
            self.reason = "reached the TimeGoal"
        if done < self.batches:  # the end of a round is told after its validation
            self._tell()
        self.checkpoints.consider()

    def _tell(self) -> None:
        """Call the functions that are due; one of them may end the training."""
        if self.hosts.any(self.settings.functions.tell(self)):
            self.reason = self.reason or "stopped by the TrainingProgressFunction"

    def _judge(self, round_: int, done: int) -> None:
        """Validate where that is due, and stop where the criterion says so."""
        place = (round_ - 1) * self.batches + done
        due = self.settings.validated.after(place - 1, self.batches) == place
        if due:
            self._validate(round_, done)
        if (due or self.validation is None) and not self.reason:
            with named(self, "TrainingStoppingCriterion", self.judge.function):
                self.reason = self.judge.stop(self.history, place / self.batches)

    def _validate(self, round_: int, done: int) -> None:
        """Measure on the validation data, unless that was done here, and keep the net if it is the best so far."""
        place, history, status = (round_ - 1) * self.batches + done, self.history, self.status
        if self.validation is None or history.validation_positions[-1:] == [place]:
            return
        arrays, (_, fixed, state, _) = self.plan.shown(self.carry), self.carry
        self.where = f"in the validation after round {round_}"
        now = self._returned(self.plan.apart({**arrays, **fixed, **state})) if self.measured.whole else None
        found: tuple[Any, ...] = ()
        elements: list[Any] = []
        parts = self.validation.whole()
        while part := self._next(parts):
            data, batches = part
            given = arrays, fixed, state, data, np.int32(batches)
            compiled_aside(self.validate, given)
            self.hosts.now()  # nobody has failed since the last batch: all compute this
            with alone(self.plan.mesh):
                sums = heard(self.validate(*given), seconds_of(self, batches), leave=self.plan.mesh is None)
                more = jax.tree.map(np.asarray, sums)
            found = (found[0] + more[0], found[1] + more[1], merged(found[2], more[2])) if found else more
            if now is not None:
                there, compact = brought(data, self.device), self.validation.compact
                elements.append(compared_of(self.training, now, self.plan, self.device, there, compact))
        loss, error = (float(value) / self.validation_count for value in found[:2])
        history.validated(place, loss, error, self.measured.of_validation(found[2], error, elements))
        if self.judge.best(history):
            self.best = self._place((arrays, state), may_alias=False)
            history.best_round, history.best_validation = round_, len(history.validation_losses)
        status.validation_loss = loss
        status.validation_error = error if self.plan.classified else None
        status.validation_measurements = self.measured.numbers(history.validation_sums[-1])

    def _next(self, parts: Iterator[tuple[Any, int]]) -> tuple[Any, int] | None:
        with reading(self):
            return next(parts, None)

    def _own(self, path: ArrayPath) -> ArrayPath:
        """The path of an array in the user's net, where it is in it."""
        prefix = self.training.path
        return path[len(prefix) :] if path[: len(prefix)] == prefix else path

    # Results

    def _returned(self, trained: dict[ArrayPath, Any]) -> dict[ArrayPath, Any]:
        """All arrays on the training's device and in the types that the net had them; those not trained are its own."""
        own = self.training.graph.array_table()
        arrays = {path: cast(trained[path], value.dtype) if path in trained else value for path, value in own.items()}
        return brought(arrays, self.device)

    def net_with(self, arrays: dict[ArrayPath, Any]) -> Net:
        """The user's net with these arrays of the training."""
        return part_at(self.training.graph.with_arrays(self._returned(arrays)), self.training.path)

    def results(self, last: bool = False) -> NetTrainResultsObject:
        """The object of all results, with the best arrays, or those after the `last` batch."""
        arrays, state = (self.plan.shown(self.carry), self.carry[2]) if last or self.best is None else self.best
        trained = self.training.graph.with_arrays(self._returned(self.plan.apart({**arrays, **state})))
        optimizer = self.settings.optimizer
        shown = {self._own(path): value for path, value in self.multipliers.items() if path not in trained.state_paths()}
        return NetTrainResultsObject(
            trained_net=part_at(trained, self.training.path),
            training_net=trained,
            history=self.history,
            measured=self.measured,
            batch_size=self.batch_size,
            training_examples=self.count,
            validation_examples=self.validation_count,
            seconds=self.hosts.passed(self.started),
            learning_rate=optimizer.learning_rate if optimizer.own else None,
            final_learning_rate=self.learning_rate if optimizer.own else None,
            method=optimizer.describe(),
            device=devices_text(self.device, self.settings.devices),
            reason=self.reason,
            seed=self.settings.seed,
            multipliers=shown,
            checkpoints=tuple(self.checkpoints.files),
            skipped=self.feed.skipped,
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
