"""What a checkpoint holds of a training besides its net, and how a training goes on from it to the same bits."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np

from netdsl.errors import DeclarationError, FormatError, TrainingError, excerpt
from netdsl.formats.netdsl_file import checkpoint_of, net_parts
from netdsl.formats.strict_json import write_json
from netdsl.formats.tensors import bits, from_bits, plain_array, read_tensors, write_tensors
from netdsl.nets import path_text
from netdsl.training.history import History

if TYPE_CHECKING:
    from netdsl.training.run import Training

__all__ = ["identity", "restore", "snapshot"]

SAMPLED = 256
"""So many examples, spread over the data, stand for all of them."""


def identity(training: Training, functions: Mapping[str, Any]) -> dict[str, Any]:
    """What must be the same for a training to go on, by the words of a message. Raises DeclarationError for a net that no
    file can hold."""
    settings, plan = training.settings, training.plan
    try:
        text, _ = net_parts(training.net_with({}), functions)
    except DeclarationError as problem:
        raise DeclarationError(
            f'TrainingProgressCheckpointing: {str(problem).removeprefix("Export: ")}\nThe suboption "Functions" names functions.'
        ) from None
    options = [*settings.optimizer.options, *sorted(settings.optimizer.common.items())]
    options += [("LearningRateSchedule", schedule.function)] if (schedule := settings.optimizer.schedule) else []
    multipliers = {path_text(training._own(path)): float(value) for path, value in training.multipliers.items() if value != 1}
    return {
        "net": text.decode(),
        "loss": f"{excerpt(settings.loss, 2000)}, {[[term.port, float(term.weight)] for term in plan.terms]}",
        "method": ", ".join([settings.optimizer.name, *(f"{name} {_stable(value)}" for name, value in options)]),
        "turns (TrainingUpdateSchedule)": str(plan.turns.cycle),
        "measurements (TrainingProgressMeasurements)": _stable(settings.measurements),
        "learning rate": float(settings.optimizer.learning_rate),
        "learning rate multipliers": str(multipliers),
        "number of training examples": training.count,
        "sum of the training data": _digest(training.columns),
        "number of validation examples": training.validation_count,
        "sum of the validation data": _digest(training.validation and training.validation.columns),
        "batch size": training.batch_size,
        "seed (RandomSeeding)": int(settings.seed),
        "working precision": plan.precision.name,
    }


def _stable(value: Any) -> str:
    """A text of settings that is the same in each process: functions are what they are called."""
    if isinstance(value, (tuple, list)):
        return f"({', '.join(map(_stable, value))})"
    return getattr(value, "__qualname__", "a function") if callable(value) else repr(value)


def _digest(columns: Any) -> str:
    """A sum over examples spread over the columns."""
    total = hashlib.sha256()
    for leaf in jax.tree.leaves(columns):
        array = np.asarray(leaf)
        rows = np.linspace(0, len(array) - 1, min(len(array), SAMPLED)).astype(int)
        total.update(f"{array.dtype} {array.shape}".encode())
        total.update(np.ascontiguousarray(array[rows]).tobytes())
    return total.hexdigest()[:16]


# Saving


class _Pool:
    """The arrays of a checkpoint, each once: what the net or an earlier part holds with the same bits is only named."""

    def __init__(self, known: Mapping[str, np.ndarray]) -> None:
        self.names = {_bytes(array): name for name, array in known.items()}
        self.arrays: dict[str, np.ndarray] = {}

    def name(self, value: Any) -> list[str | None]:
        """The name of an array, and of its kind of numbers where NumPy has none."""
        array, kind = bits(plain_array(_data(value)))
        key = _bytes(array)
        if key not in self.names:
            self.names[key] = f"training/{len(self.arrays)}"
            self.arrays[self.names[key]] = array
        return [self.names[key], kind]

    def tree(self, tree: Any) -> dict[str, Any]:
        """The names of the leaves of a tree by their places."""
        return {jax.tree_util.keystr(path): self.name(leaf) for path, leaf in jax.tree_util.tree_leaves_with_path(tree)}

    def value(self, value: Any) -> Any:
        """The JSON of a field of the history."""
        if isinstance(value, Mapping):
            return {"dict": {key: self.value(item) for key, item in value.items()}}
        if isinstance(value, (np.ndarray, np.generic)):
            return {"array" if isinstance(value, np.ndarray) else "number": self.name(value)}
        if isinstance(value, list) and value and all(isinstance(item, np.ndarray) for item in value):
            lengths = np.array([len(item) for item in value])
            return {"arrays": [self.name(np.concatenate(value)), self.name(lengths)]}
        if isinstance(value, list) and any(isinstance(item, float) for item in value):
            return {"numbers": self.name(np.array(value, np.float64))}
        if isinstance(value, list) and any(isinstance(item, Mapping) for item in value):
            return {"list": [self.value(item) for item in value]}
        return {"plain": value}


def _bytes(array: np.ndarray) -> tuple[str, tuple[int, ...], bytes]:
    return array.dtype.str, array.shape, array.tobytes()


def _data(leaf: Any) -> Any:
    """The numbers of a leaf: those of its bits for a key of random numbers."""
    return np.asarray(jax.random.key_data(leaf) if _is_key(leaf) else leaf)


def _is_key(leaf: Any) -> bool:
    return isinstance(leaf, jax.Array) and jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key)


def snapshot(training: Training, same: Mapping[str, Any], functions: Mapping[str, Any]) -> Sequence[bytes] | None:
    """The parts of the checkpoint of a training as it is now; None where its arrays are no longer finite."""
    carry = training.carry
    arrays = training.plan.apart({**carry[0], **carry[2]})
    if not all(np.isfinite(np.asarray(value)).all() for value in arrays.values()):
        return None
    now = training.hosts.passed(0.0)
    text, tensors = net_parts(training.net_with(arrays), functions)
    pool = _Pool(read_tensors(tensors, "arrays"))
    state = {
        "same": {name: value for name, value in same.items() if name != "net"},
        "seconds": now - training.started,
        "trained": now - training.trained_from if training.trained_from else 0.0,
        "completed": training.completed,
        "slots": pool.tree(training.slots),
        "carry": pool.tree(carry),
        "best": None if training.best is None else pool.tree(training.best),
        "history": {f.name: pool.value(getattr(training.history, f.name)) for f in dataclasses.fields(History)},
    }
    return text, tensors, write_json(state), write_tensors(pool.arrays)


# Going on


def restore(training: Training, path: str, parts: Sequence[bytes], same: Mapping[str, Any] | None) -> tuple[float, float]:
    """Put the training where the checkpoint with these parts left it. The seconds since its start, and those it had trained.

    Raises FormatError for what is no checkpoint, TrainingError that lists what differs from its training, where that is given.
    """
    text, state, arrays = checkpoint_of(path, parts)
    try:
        if same is not None:
            _refuse_others(path, {**state["same"], "net": text.decode()}, same)
        reader = _Reader(arrays)
        carry = reader.tree(state["carry"], training.carry)
        best = None if state["best"] is None else reader.tree(state["best"], (carry[0], carry[2]))
        history = History(**{name: reader.value(value) for name, value in state["history"].items()})
        slots, completed = reader.tree(state["slots"], training.slots), int(state["completed"])
        seconds, trained = float(state["seconds"]), float(state["trained"])
        if not _whole(history, training.batches, completed):
            raise FormatError("its history is not that of a training")
        training.judge.replay(history)
    except (KeyError, TypeError, ValueError, IndexError, AttributeError) as problem:
        if isinstance(problem, FormatError):
            raise FormatError(f"{path!r}: {problem}") from None
        raise FormatError(f"{path!r} holds a training that this netdsl cannot read: {excerpt(problem, 200)}.") from None
    if any(not np.array_equal(_data(value), _data(training.carry[1][key])) for key, value in carry[1].items()):
        raise _other(path, ["the arrays that are not trained have other values"])
    training.carry = training._place(carry, may_alias=False)
    training.best = None if best is None else training._place(best, may_alias=False)
    training.history, training.slots, training.completed = history, slots, completed
    status = training.status
    status.round, status.batch = len(history.losses), len(history.losses[-1])
    status.loss = float(history.losses[-1].mean()) if history.losses[-1].size else None
    if history.validation_losses:
        status.validation_loss = history.validation_losses[-1]
    return seconds, trained


def _whole(history: History, batches: int, completed: int) -> bool:
    """Whether each round but the last has all its batches, and nothing was measured more often than there are rounds."""
    done = [len(part) for part in history.losses]
    return (
        all(count == batches for count in done[:-1])
        and bool(done)
        and completed in (len(done) - 1, len(done) - (done[-1] < batches))
        and done[-1] <= batches == history.batches_per_round
        and done == [len(part) for part in history.errors]
        and all(isinstance(each, Mapping) for each in (*history.sums, *history.batch_values, *history.validation_sums))
        and len(history.sums) == len(history.batch_values) <= len(done)
        and len({len(getattr(history, f"validation_{name}")) for name in ("losses", "errors", "sums", "positions")}) == 1
        and 0 <= history.best_validation <= len(history.validation_losses)
        and all(0 < place <= sum(done) for place in history.validation_positions)
        and 0 <= history.best_round <= len(done)
    )


class _Reader:
    """Reads what a _Pool wrote."""

    def __init__(self, arrays: Mapping[str, np.ndarray]) -> None:
        self.arrays = arrays

    def array(self, entry: Any) -> np.ndarray:
        """The array of this name and kind."""
        name, kind = entry
        return self.arrays[name] if kind is None else from_bits(self.arrays[name], kind)

    def tree(self, entries: Any, like: Any) -> Any:
        """The tree, which has the places, sizes and types of another."""
        leaves, structure = jax.tree_util.tree_flatten_with_path(like)
        if set(entries) != {jax.tree_util.keystr(path) for path, _ in leaves}:
            raise FormatError("it was written by a netdsl that holds arrays in another way")
        return jax.tree.unflatten(structure, [self._leaf(entries[jax.tree_util.keystr(path)], leaf) for path, leaf in leaves])

    def _leaf(self, entry: Any, like: Any) -> Any:
        array, data = self.array(entry), _data(like)
        if array.shape != data.shape or array.dtype != data.dtype:
            raise FormatError(f"it has {array.dtype}{list(array.shape)} in the place of {data.dtype}{list(data.shape)}")
        return jax.random.wrap_key_data(jnp.asarray(array), impl=jax.random.key_impl(like)) if _is_key(like) else array

    def value(self, value: Any) -> Any:
        """A field of the history."""
        ((kind, inner),) = value.items()
        if kind == "dict":
            return {key: self.value(item) for key, item in inner.items()}
        if kind == "list":
            return [self.value(item) for item in inner]
        if kind in ("array", "number"):
            return self.array(inner) if kind == "array" else self.array(inner)[()]
        if kind == "arrays":
            joined, lengths = map(self.array, inner)
            return np.split(joined, np.cumsum(lengths)[:-1])
        return self.array(inner).tolist() if kind == "numbers" else inner


def _refuse_others(path: str, there: Mapping[str, Any], here: Mapping[str, Any]) -> None:
    """Raise the error that lists what differs between the training of a checkpoint and this one."""
    different = [name for name in here if there.get(name) != here[name]]
    if not different:
        return
    lines = []
    for name in different:
        old, new = there.get(name), here[name]
        if name == "net":
            old, new = map(json.dumps, _unequal(json.loads(str(old)), json.loads(new)))
        lines.append(f"{name}: {_cut(old)} there, {_cut(new)} here")
    raise _other(path, lines)


def _cut(value: Any) -> str:
    text = f"{value:,}" if isinstance(value, int) else str(value)
    return text if len(text) <= 100 else text[:99] + "…"


def _unequal(old: Any, new: Any) -> tuple[Any, Any]:
    """The smallest net, encoder or decoder that differs between two JSON values, and what it is in each."""
    pairs: list[tuple[Any, Any]] = []
    if isinstance(old, dict) and isinstance(new, dict) and old.keys() == new.keys():
        pairs = [(old[key], new[key]) for key in old]
    elif isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
        pairs = list(zip(old, new))
    different = [pair for pair in pairs if pair[0] != pair[1]]
    if len(different) != 1:
        return old, new
    inner = _unequal(*different[0])
    named = all(isinstance(side, dict) and side.keys() & {"net", "encoder", "decoder"} for side in inner)
    return inner if named else (old, new)


def _other(path: str, lines: Sequence[str]) -> TrainingError:
    return TrainingError(
        f"The checkpoint {path!r} is of another training:\n"
        + "\n".join(f"  {line}" for line in lines)
        + '\nWith these as they were there it goes on. To train its net anew: NetTrain(Import(file), …) without "Resume".'
    )
