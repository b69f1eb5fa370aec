"""Measurements from sums: what each batch adds to them, computed with the batch, and what they say together.

Sums over batches, over the cores that share a batch, and over rounds of chunks are the same numbers as over all elements at once,
so a measurement made from them is exact, where the mean of the measurements of batches would not be.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, field
from functools import cached_property, partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from netdsl.attachment import LossTerm, TrainingNet
from netdsl.constraints import source_text
from netdsl.errors import DeclarationError
from netdsl.lowering.identity import canonical
from netdsl.lowering.rolling import STACKED, Run
from netdsl.lowering.wires import Wire
from netdsl.measurements.comparison import NUMBERS
from netdsl.measurements.evaluation import compared_elements, weighted_sum
from netdsl.nets import ArrayPath, Net, Ref, Sequence
from netdsl.shapes import ArrayType, describe

__all__ = ["CURVES", "EXTREMES", "Dummies", "PortFunction", "Sums", "Tallied", "merged", "together", "zeros"]

CURVES = "curves"
"""What needs all elements together, in the place of sums: the ROC curves."""

MOMENTS = ("moments.count", "moments.mean", "moments.spread")
"""Of actual numbers: how many, the mean of each element, and the sum of the squares about it. Merged rather than added."""

EXTREMES: dict[str, tuple[float, str, Callable[..., Any]]] = {
    "Max": (-math.inf, "max", lax.pmax),
    "Min": (math.inf, "min", lax.pmin),
}
"""Of each kind of extreme what it is of nothing, and how it is found in an array and over devices."""

LENGTH = 8
"""How long a sequence is on which a function is tried."""

OF_CLASSES = ("confusion", "right", "decided", "truths", "ranks", "losses", "entropy")
"""Counts of pairs, of each class right, decided for and true, of each rank of the true class; cross entropies by class; entropy."""


@dataclass(frozen=True)
class PortFunction:
    """A function of the ports of an example.

    Args:
        ports: the names by which it knows them, and their wires.
        text: what it traces to.
        function: itself.
    """

    ports: tuple[tuple[str, Ref], ...]
    text: str
    function: Callable[..., Any] = field(compare=False)

    @classmethod
    def of(cls, function: Callable[..., Any], ports: tuple[tuple[str, Ref], ...], graph: Net) -> PortFunction:
        """The function with what it traces to."""
        return cls(ports, canonical(function, [{name: _sample(graph.solved.types[ref]) for name, ref in ports}]), function)


@dataclass(frozen=True)
class Sums:
    """What is summed over the elements, examples and batches of a training or of validation data: static.

    Args:
        names: the sums of the comparison, such as "confusion" or "squares".
        comparison: its form, and the wires of predictions and targets.
        losses: the loss ports.
        wires: the wires whose values are summed.
        arrays: the arrays whose values are.
        functions: functions of the ports of an example, with those ports; compared by what they trace to.
        extremes: the names of sums that are greatest or least values rather than sums: "Max " or "Min ", and that of the sum.
    """

    names: tuple[str, ...] = ()
    comparison: tuple[str, Ref, Ref] | None = None
    losses: tuple[str, ...] = ()
    wires: tuple[Ref, ...] = ()
    arrays: tuple[ArrayPath, ...] = ()
    functions: tuple[PortFunction, ...] = ()
    extremes: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.names or self.losses or self.wires or self.arrays or self.functions)

    @property
    def needed(self) -> tuple[Ref, ...]:
        """The wires that are looked at."""
        compared = self.comparison[1:] if self.comparison and self.names else ()
        return tuple(dict.fromkeys([*compared, *self.wires, *(ref for one in self.functions for _, ref in one.ports)]))

    def of_batch(
        self,
        found: Mapping[Ref, Wire],
        losses: Mapping[str, Any],
        arrays: Mapping[ArrayPath, Any],
        runs: tuple[Run, ...],
        weights: Any,
        axes: tuple[str, ...],
    ) -> dict[str, Any]:
        """What a batch adds: `losses` are those of each example, `weights` 0 for examples that do not count."""
        found, losses, arrays = lax.stop_gradient((dict(found), dict(losses), dict(arrays)))

        def total(value: Any) -> Any:
            return lax.psum(value, axes) if axes else value

        def extremes(name: str, values: Any, there: Any) -> dict[str, Any]:
            """The greatest and the least of values, where there are some; of sequences over all their elements."""
            if isinstance(values, Sequence):
                there = (there[:, None] & jax.vmap(lambda one: one.mask)(values)).ravel()
                values = values.data.reshape(-1, *values.data.shape[2:])
            values = jnp.asarray(values, jnp.result_type(float))
            there = there.reshape((-1,) + (1,) * (values.ndim - 1))
            found = {}
            for how, (fill, reduced, over) in EXTREMES.items():
                if f"{how} {name}" in self.extremes:
                    value = getattr(jnp, reduced)(jnp.where(there, values, fill), axis=0)
                    found[f"{how} {name}"] = over(value, axes) if axes else value
            return found

        sums: dict[str, Any] = {"examples": total(jnp.sum((weights > 0).astype(jnp.int32)))}
        if self.comparison and self.names:
            form, predicted, target = self.comparison
            real, *elements = jax.vmap(partial(compared_elements, form))(found[predicted], found[target].value)
            real = real & (weights > 0)[:, None]
            elements = [element.reshape(-1, *element.shape[2:]) for element in elements]
            of_elements: Callable[..., dict[str, Any]] = _of_numbers if form == NUMBERS else _of_classes
            sums |= of_elements(self.names, real.ravel(), *elements, total)
        for port in self.losses:
            sums[f"loss {port}"] = total(jnp.sum(losses[port] * weights.astype(losses[port].dtype)))
        for ref in self.wires:
            parts = jax.vmap(weighted_sum)(found[ref].value, weights)
            sums[_at(ref)], sums[f"{_at(ref)}, count"] = (total(jnp.sum(part, axis=0)) for part in parts)
            sums |= extremes(_at(ref), found[ref].value, weights > 0)
        for path in self.arrays:
            sums[_array(path)], sums["batches"] = _value(arrays, runs, path), jnp.ones(())
            sums |= extremes(_array(path), sums[_array(path)][None], jnp.ones(1, bool))
        for place, one in enumerate(self.functions, 1):
            values = jax.vmap(one.function)({name: found[ref].value for name, ref in one.ports})
            values = jnp.asarray(values, jnp.result_type(float))
            there = weights.reshape((-1,) + (1,) * (values.ndim - 1))
            sums[f"function {place}"] = total(jnp.sum(jnp.where(there > 0, values, 0), axis=0))
            sums |= extremes(f"function {place}", values, weights > 0)
        return sums


def _at(ref: Ref) -> str:
    return f"at {ref[0]} {ref[1]}"


def _array(path: ArrayPath) -> str:
    return f"array {'/'.join(map(str, path))}"


def _value(arrays: Mapping[ArrayPath, Any], runs: tuple[Run, ...], path: ArrayPath) -> Any:
    """The value of an array, which may be stacked with those of other layers."""
    if path in arrays:
        return arrays[path]
    paths = next(paths for run in runs for paths in (*run.arrays, *run.states) if path in paths)
    return arrays[(STACKED, *paths[0])][paths.index(path)]


def _of_classes(names: tuple[str, ...], real: Any, probabilities: Any, truth: Any, entropies: Any, total: Any) -> dict[str, Any]:
    """The sums over the elements of a batch that a classifier decides."""
    classes = probabilities.shape[-1]
    count, decided = real.astype(jnp.int32), jnp.argmax(probabilities, axis=-1)

    def by(*places: Any, values: Any = count) -> Any:
        return jnp.zeros((classes,) * len(places), values.dtype).at[places].add(values)

    def ranks() -> Any:
        true = jnp.take_along_axis(probabilities, truth[:, None], axis=-1)
        earlier = jnp.arange(classes) < truth[:, None]
        return by(jnp.sum((probabilities > true) | ((probabilities == true) & earlier), axis=-1))

    def entropy() -> Any:
        terms = probabilities * jnp.log(jnp.where(probabilities > 0, probabilities, 1))
        return -jnp.sum(jnp.where(real, jnp.sum(terms, axis=-1), 0))

    made: dict[str, Callable[[], Any]] = {
        "confusion": lambda: by(truth, decided),
        "right": lambda: by(truth, values=count * (truth == decided)),
        "decided": lambda: by(decided),
        "truths": lambda: by(truth),
        "ranks": ranks,
        "losses": lambda: by(truth, values=jnp.where(real, entropies, 0)),
        "entropy": entropy,
    }
    return {name: total(made[name]()) for name in names}


def _of_numbers(names: tuple[str, ...], real: Any, predicted: Any, actual: Any, total: Any) -> dict[str, Any]:
    """The sums over the elements of a batch of numbers."""
    mask = real.reshape((-1,) + (1,) * (predicted.ndim - 1))
    residuals = jnp.where(mask, predicted - actual, 0)
    count = total(jnp.sum(real.astype(jnp.int32)))

    def moments() -> dict[str, Any]:
        mean = total(jnp.sum(jnp.where(mask, actual, 0), axis=0)) / jnp.maximum(count, 1).astype(actual.dtype)
        spread = total(jnp.sum(jnp.where(mask, (actual - mean) ** 2, 0)))
        return dict(zip(MOMENTS, (count.astype(actual.dtype), mean, spread)))

    made: dict[str, Callable[[], Any]] = {
        "elements": lambda: count * (predicted.size // max(len(predicted), 1)),
        "squares": lambda: total(jnp.sum(residuals**2)),
        "absolutes": lambda: total(jnp.sum(jnp.abs(residuals))),
    }
    sums = {name: made[name]() for name in names if name in made}
    return sums | (moments() if set(names) & set(MOMENTS) else {})


def zeros(sums: Mapping[str, Any], slots: int | None = None) -> dict[str, Any]:
    """What no batch has been added to yet, from the shapes of a batch's sums; with `slots`, so many of each."""
    front = () if slots is None else (slots,)
    return {name: np.full((*front, *value.shape), _kind(name)[0], value.dtype) for name, value in sums.items()}


def _kind(name: str) -> tuple[float, str]:
    """What the sum, or extreme, of this name is of nothing, and the function that makes one of several."""
    fill, reduced, *_ = EXTREMES.get(name.split(" ")[0], (0.0, "sum"))
    return fill, reduced


def merged(a: Mapping[str, Any], b: Mapping[str, Any]) -> dict[str, Any]:
    """The sums of both together, on the device or on the host."""
    add = operator.add
    both = {name: {"max": jnp.maximum, "min": jnp.minimum}.get(_kind(name)[1], add)(a[name], b[name]) for name in a}
    if MOMENTS[1] in a:  # the mean of both, and the squares about it: Chan, Golub and LeVeque 1979
        count, far = both[MOMENTS[0]], b[MOMENTS[1]] - a[MOMENTS[1]]
        share = b[MOMENTS[0]] / (count + (count == 0))
        both[MOMENTS[1]] = a[MOMENTS[1]] + far * share
        both[MOMENTS[2]] = a[MOMENTS[2]] + b[MOMENTS[2]] + (far**2).sum() * (a[MOMENTS[0]] * share)
    return both


def together(slots: Mapping[str, np.ndarray]) -> dict[str, Any]:
    """The sums of all slots in double precision."""
    wide = {name: np.asarray(slot, float if np.issubdtype(slot.dtype, np.inexact) else np.int64) for name, slot in slots.items()}
    sums = {name: getattr(slot, _kind(name)[1])(axis=0) for name, slot in wide.items()}
    if MOMENTS[1] in wide:
        count, mean, spread = (wide[name] for name in MOMENTS)
        count = count.reshape(-1, *(1,) * (mean.ndim - 1))
        with np.errstate(all="ignore"):
            middle = (count * mean).sum(axis=0) / max(count.sum(), 1)
            sums[MOMENTS[1]], sums[MOMENTS[2]] = middle, spread.sum() + (count * (mean - middle) ** 2).sum()
    return sums


class Dummies(dict[str, Any]):
    """Sums of nothing in particular, which note for what they were asked: what a measurement is made from."""

    def __init__(self, training: TrainingNet, classes: int) -> None:
        super().__init__()
        self.training, self.classes = training, classes

    def __missing__(self, name: str) -> Any:
        value: Any = np.ones(())
        if name == CURVES:
            value = [np.array([[0.0, 0.0], [1.0, 1.0]])] * self.classes
        elif name in OF_CLASSES and name != "entropy":
            value = np.ones((self.classes,) * (1 + (name == "confusion")), int)
        self[name] = value
        return value

    def note(self, sums: Sums) -> None:
        """Take up the sums of wires, arrays and functions in the shapes that they have."""
        graph = self.training.graph
        for ref in sums.wires:
            sizes = graph.solved.types[ref].sizes or ()
            self[_at(ref)] = np.ones([size for size in sizes if isinstance(size, int)])
        for path in sums.arrays:
            self[_array(path)] = np.ones(graph.array_table()[path].shape)
        for place, one in enumerate(sums.functions, 1):
            function, ports = one.function, one.ports
            samples = {name: _sample(graph.solved.types[ref]) for name, ref in ports}
            try:
                made = jax.eval_shape(lambda ports, f=function: jnp.asarray(f(ports), jnp.result_type(float)), samples)
            except Exception as error:
                shown = ", ".join(f"{name!r} {describe(graph.solved.types[ref])}" for name, ref in ports)
                raise DeclarationError(
                    f"The measurement {source_text(function)} fails: {str(error).splitlines()[0] if str(error) else type(error).__name__}. "
                    f"It takes the ports of one example as a dict: {shown}; and gives a number or an array, computed by JAX."
                ) from None
            self[f"function {place}"] = np.ones(made.shape)
        for name in sums.extremes:
            self[name] = self[name.split(" ", 1)[1]]


def _sample(type_: ArrayType) -> Any:
    """Something like one example of a type; of a varying one a short sequence."""
    sizes = tuple(size if isinstance(size, int) else LENGTH for size in type_.sizes or ())
    values = jax.ShapeDtypeStruct(sizes, jnp.int32 if type_.integer else jnp.result_type(float))
    return Sequence(values, jax.ShapeDtypeStruct((), jnp.int32)) if type_.varying else values


@dataclass(frozen=True)
class Tally:
    """The sums over elements in the place of the predictions of a classifier."""

    sums: Mapping[str, Any]
    classes: tuple[Hashable, ...]

    @cached_property
    def positions(self) -> dict[Hashable, int]:
        """The position of each label."""
        return {label: i for i, label in enumerate(self.classes)}

    @property
    def truths(self) -> np.ndarray:
        """How many elements are of each class."""
        return self.sums["truths"]  # type: ignore[no-any-return]

    @property
    def size(self) -> int:
        """How many elements there are."""
        return int(self.truths.sum())

    @property
    def confusion(self) -> np.ndarray:
        """How many elements of class i were classified as j."""
        return self.sums["confusion"]  # type: ignore[no-any-return]

    @property
    def counts(self) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """TP, FP, FN, TN of each class."""
        right, decided, truths = (self.sums[name] for name in ("right", "decided", "truths"))
        return right, decided - right, truths - right, truths.sum() - truths - decided + right

    def within(self, top: int) -> float:
        """The fraction of elements whose true class is among the `top` likeliest."""
        ranks = self.sums["ranks"]
        return float(ranks[:top].sum() / max(ranks.sum(), 1))

    @property
    def class_losses(self) -> np.ndarray:
        """The sum of the cross entropies of each class."""
        return self.sums["losses"]  # type: ignore[no-any-return]

    @property
    def mean_loss(self) -> float:
        """The mean cross entropy in nats."""
        return float(self.class_losses.sum(dtype=float) / self.size)

    @property
    def mean_entropy(self) -> float:
        """The mean entropy of the predictions in nats."""
        return float(self.sums["entropy"] / self.size)

    @property
    def curves(self) -> list[np.ndarray]:
        """The points of the ROC curve of each class."""
        return self.sums[CURVES]  # type: ignore[no-any-return]


@dataclass(frozen=True)
class NumberTally:
    """The sums over elements in the place of predicted numbers."""

    sums: Mapping[str, Any]

    @property
    def mean_square(self) -> float:
        """The mean square of the residuals."""
        return float(self.sums["squares"] / self.sums["elements"])

    @property
    def mean_deviation(self) -> float:
        """The mean absolute residual."""
        return float(self.sums["absolutes"] / self.sums["elements"])

    @property
    def variance(self) -> float:
        """The variance of the actual values about the mean of each element."""
        count, mean, spread = (self.sums[name] for name in MOMENTS)
        return float(spread / (count * np.size(mean)))


@dataclass(frozen=True)
class Tallied:
    """Sums in the place of an `Outcome`: what measurements ask for, from batches added up.

    Args:
        sums: the sums, by name.
        form: the form of the comparison, None without one.
        classes: the labels that it has.
        terms: the losses with their weights.
        functions: the functions whose values are summed.
    """

    sums: Mapping[str, Any]
    form: str | None = None
    classes: tuple[Hashable, ...] = ()
    terms: tuple[LossTerm, ...] = ()
    functions: tuple[PortFunction, ...] = ()

    @property
    def predictions(self) -> Tally | NumberTally:
        """The sums of the one comparison."""
        return NumberTally(self.sums) if self.form == NUMBERS else Tally(self.sums, self.classes)

    def loss(self, name: str) -> float:
        """The mean of a loss over the examples; "Loss" is the weighted sum of all."""
        means = {
            t.port: float(self.sums[f"loss {t.port}"] / self.sums["examples"]) for t in self.terms if name in ("Loss", t.port)
        }
        return sum(term.weight * means[term.port] for term in self.terms) if name == "Loss" else means[name]

    def mean(self, ref: Ref) -> Any:
        """The mean of a wire over the examples, or over all elements of its sequences."""
        return _plain(self.sums[_at(ref)] / self.sums[f"{_at(ref)}, count"])

    def array(self, path: ArrayPath) -> Any:
        """The mean of an array over the batches."""
        return _plain(self.sums[_array(path)] / self.sums["batches"])

    def function(self, function: Any) -> Any:
        """The mean of the values of a function over the examples."""
        return _plain(self.sums[self._of_function(function)] / self.sums["examples"])

    def combined(self, asked: Any, how: str) -> Any:
        """The "Total", "Max" or "Min" of what is at the port, in the array, or of the function that is asked for."""
        return _plain(self.sums[self.name(asked, how)])

    def name(self, asked: Any, how: str) -> str:
        """The name of the sum, or of the extreme, that `combined` takes."""
        if asked.function is not None:
            name = self._of_function(asked.function[0])
        else:
            name = _at(asked.wires[0]) if asked.array is None else _array(asked.array)
        return f"{how} {name}" if how in EXTREMES else name

    def _of_function(self, function: Any) -> str:
        return f"function {next(place for place, one in enumerate(self.functions, 1) if one.function is function)}"


def _plain(value: Any) -> Any:
    value = np.asarray(value)
    return value if value.ndim else value.item()
