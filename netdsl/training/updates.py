"""The update of the arrays after a batch: what is done to slopes and arrays around the optimizer's step, and whose turn it is.

After a batch of the loss L, for each array w whose turn it is:

    g = dL/dw + L2Regularization · w
    g = min(max(g, -GradientClipping), GradientClipping)
    w = w - LearningRate · LearningRateSchedule · LearningRateMultiplier · step(g)
    w = min(max(w, -WeightClipping), WeightClipping)

where step is that of the method. With GradientAccumulation n this happens after every n-th batch, with the mean of dL/dw over
these n. With MovingAverage d the trained net has the average of w over the updates, of weights 1, d, d², … backwards in time.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from netdsl.constraints import number
from netdsl.errors import DeclarationError, excerpt
from netdsl.nets import ArrayPath, Net, rules_by_path
from netdsl.symbols import Automatic, Rule
from netdsl.training.optimizers import BY_PART, Optimizer

__all__ = ["EVERYTHING", "Turns", "averaged", "by_part", "started", "turns_of", "updated"]


@dataclass(frozen=True)
class Turns:
    """TrainingUpdateSchedule: parts of a net, each as the paths of its arrays, and the part that is trained on each batch of a cycle.

    Without parts all arrays are trained on every batch.
    """

    parts: tuple[frozenset[ArrayPath], ...] = ()
    cycle: tuple[int, ...] = ()

    def idle(self, paths: Iterable[ArrayPath]) -> set[ArrayPath]:
        """Those of the paths whose turn it never is."""
        return set(paths).difference(*self.parts) if self.parts else set()

    def groups(self, paths: Iterable[ArrayPath], part: int | None = None) -> list[list[ArrayPath]]:
        """The arrays in groups that have their turns together; with a `part`, the groups that are not in it are empty."""
        found: dict[tuple[bool, ...], list[ArrayPath]] = {}
        for path in paths:
            found.setdefault(tuple(path in part for part in self.parts), []).append(path)
        return [group if part is None or places[part] else [] for places, group in sorted(found.items())]


EVERYTHING = Turns()


def turns_of(setting: Any, graph: Net, prefix: ArrayPath) -> Turns:
    """The turns that a setting of TrainingUpdateSchedule means for the net at `prefix`."""
    if setting is None or setting is Automatic:
        return EVERYTHING
    if isinstance(setting, Mapping):
        setting = [Rule(key, value) for key, value in setting.items()]
    if isinstance(setting, (str, Rule)) or not isinstance(setting, (list, tuple)) or not setting:
        raise DeclarationError(
            f"TrainingUpdateSchedule is a list of parts of the net, or of rules from parts to numbers of batches. Got {excerpt(setting)}."
        )
    parts: list[frozenset[ArrayPath]] = []
    cycle: list[int] = []
    for item in setting:
        spec, times = (item.key, item.value) if isinstance(item, Rule) else (item, 1)
        if isinstance(times, bool) or not hasattr(times, "__index__") or times < 1:
            raise DeclarationError(
                f"TrainingUpdateSchedule: a part is trained on a positive integer of batches in turn. Got {excerpt(item)}."
            )
        part = frozenset(rules_by_path(graph, prefix, [Rule(spec, True)], "TrainingUpdateSchedule", bool))
        if part not in parts:
            parts.append(part)
        cycle += [parts.index(part)] * times.__index__()
    return Turns(tuple(parts), tuple(cycle))


def by_part(optimizer: Optimizer, graph: Net, prefix: ArrayPath) -> dict[str, dict[ArrayPath, float]]:
    """For each suboption given that may differ from part to part, its number for every array."""
    found = {}
    for name in BY_PART:
        if name in optimizer.common:
            what = f"The suboption {name!r} of Method"
            said = rules_by_path(graph, prefix, optimizer.common[name], what, partial(_limit, name))
            found[name] = dict.fromkeys(graph.array_table(), _off(name)) | said
    return found


def _off(name: str) -> float:
    """The number that asks for nothing."""
    return 0.0 if name == "L2Regularization" else math.inf


def _limit(name: str, value: Any) -> float:
    if value is None or value is Automatic:
        return _off(name)
    constraint = number(0, open_low=name != "L2Regularization")
    try:
        return float(constraint.keep(value))
    except (ValueError, TypeError):
        raise DeclarationError(
            f"The suboption {name!r} of Method is {constraint.words}, None, or rules from parts of the net to such. "
            f"Got {excerpt(value)}."
        ) from None


# What is kept from update to update: for each group of arrays what the method keeps, and what the suboptions need


def started(optimizer: Optimizer, turns: Turns, arrays: Mapping[ArrayPath, Any]) -> tuple[dict[str, Any], ...]:
    """What is kept before the first batch."""
    return tuple(_started(optimizer, {path: arrays[path] for path in group}) for group in turns.groups(arrays))


def _started(optimizer: Optimizer, arrays: Mapping[ArrayPath, Any]) -> dict[str, Any]:
    kept: dict[str, Any] = {"method": optimizer.start(arrays)}
    if "GradientAccumulation" in optimizer.common:
        kept["sums"] = jax.tree.map(lambda array: np.zeros(array.shape, array.dtype), arrays)
    if "MovingAverage" in optimizer.common:
        kept |= {"average": arrays, "updates": np.zeros((), np.int32)}
    return kept


def averaged(arrays: Mapping[ArrayPath, Any], kept: tuple[dict[str, Any], ...]) -> dict[ArrayPath, Any]:
    """The arrays as the trained net has them: their moving averages where these are asked for."""
    averages = [group["average"] for group in kept if "average" in group]
    return {**arrays, **{path: value for average in averages for path, value in average.items()}}


def updated(
    optimizer: Optimizer,
    moving: list[list[ArrayPath]],
    slopes: Mapping[ArrayPath, Any],
    kept: tuple[dict[str, Any], ...],
    arrays: Mapping[ArrayPath, Any],
    loss: Any,
    batch: Any,
    rate: Any,
    numbers: Mapping[str, Any],
) -> tuple[dict[ArrayPath, Any], tuple[dict[str, Any], ...]]:
    """The arrays, and what is kept, after the batch of this number from 0.

    `moving` has for each group the arrays whose turn it is, all or none; `slopes` has theirs. `numbers` holds for each array its
    learning-rate multiplier, and what the suboptions say.
    """
    import optax

    transformation = optax.with_extra_args_support(optimizer.make())
    sign = -1.0 if optimizer.own else 1.0

    def moved(slopes: Any, kept: Any, arrays: Any) -> Any:
        method = kept["method"]
        if "L2Regularization" in numbers:
            decay = numbers["L2Regularization"]
            slopes = {path: (slope + decay[path] * arrays[path]).astype(slope.dtype) for path, slope in slopes.items()}
        if "GradientClipping" in numbers:
            slopes = _clipped(slopes, numbers["GradientClipping"])
        updates, method = transformation.update(slopes, method, arrays, value=loss, grad=slopes)
        multipliers = numbers["LearningRateMultipliers"]
        arrays = {
            path: (value + sign * rate * multipliers[path] * updates[path]).astype(value.dtype) for path, value in arrays.items()
        }
        if "WeightClipping" in numbers:
            arrays = _clipped(arrays, numbers["WeightClipping"])
        kept = {**kept, "method": method}
        if "MovingAverage" in numbers:
            count, share = kept["updates"] + 1, numbers["MovingAverage"]
            weight = (1 - share) / (1 - share**count)
            average = {path: (old + weight * (arrays[path] - old)).astype(old.dtype) for path, old in kept["average"].items()}
            kept |= {"average": average, "updates": count}
        return arrays, kept

    def accumulated(slopes: Any, kept: Any, arrays: Any) -> Any:
        if "GradientAccumulation" not in numbers:
            return moved(slopes, kept, arrays)
        count = numbers["GradientAccumulation"]
        sums = jax.tree.map(jnp.add, kept["sums"], slopes)

        def move() -> Any:
            mean = jax.tree.map(lambda value: (value / count).astype(value.dtype), sums)
            return moved(mean, {**kept, "sums": jax.tree.map(jnp.zeros_like, sums)}, arrays)

        return lax.cond(batch % count == count - 1, move, lambda: (arrays, {**kept, "sums": sums}))

    changed, after = dict(arrays), list(kept)
    for place, paths in enumerate(moving):
        if paths:
            own, given = ({path: tree[path] for path in paths} for tree in (arrays, slopes))
            own, after[place] = accumulated(given, kept[place], own)
            changed |= own
    return changed, tuple(after)


def _clipped(values: Mapping[ArrayPath, Any], limits: Mapping[ArrayPath, Any]) -> dict[ArrayPath, Any]:
    return {path: jnp.clip(value, -limits[path], limits[path]).astype(value.dtype) for path, value in values.items()}
