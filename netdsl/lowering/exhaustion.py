"""When memory runs out: what was tried, what it needs, and what to try next, in place of XLA's own words alone."""

from __future__ import annotations

import math
import re
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np

from netdsl.errors import DeviceError, size_text
from netdsl.layers.compiled import host_failures
from netdsl.lowering.precision import REAL32, Precision
from netdsl.nets import Net, Solved
from netdsl.shapes import ArrayType, Length

__all__ = ["Attempt", "bytes_of", "explained", "type_elements", "wire_elements"]

EXHAUSTED = "RESOURCE_EXHAUSTED"
"""What XLA begins the message with when a device has no memory left."""

LONGEST_REASON = 200
"""XLA may add pages to its first sentence: they are left out."""


@dataclass(frozen=True)
class Attempt:
    """What was tried when memory ran out.

    Args:
        what: who tried what, as the subject of the message: "NetTrain", "Evaluating this NetChain".
        where: how far it got: "in round 1".
        net: the net that computes; its types say how large its activations are.
        batch_size: how many examples it computes together.
        device: where it computes.
        data: the bytes of data on the device, and `of_data` what these are, where that is not plain.
        arrays: the bytes of the arrays, with all that training keeps beside them.
        training: whether gradients are computed.
        length: that of the longest sequence, where something varies.
        smaller: how a smaller batch is asked for; it is given the size.
        results: those that go with the error.
        kept: a sentence that says so.
    """

    what: str
    where: str
    net: Net
    batch_size: int
    device: Any
    data: int
    arrays: int
    of_data: str = ""
    training: bool = False
    precision: Precision = REAL32
    length: int = 1
    smaller: str = "Try BatchSize={}."
    results: Any = None
    kept: str = ""

    def message(self, reason: str, on_host: bool) -> str:
        """The whole text; `reason` is what XLA or Python said."""
        one = wire_elements(self.net.solved, self.length) * self.precision.bytes * (2 if self.training else 1)
        each = f"about {size_text(one)} for each example" + (", with gradients" if self.training else "")
        rows = [
            ("data", size_text(self.data) + (f"  ({self.of_data})" if self.of_data else "")),
            ("arrays", size_text(self.arrays) + ("  (with gradients and what the method keeps)" if self.training else "")),
            ("activations", f"{size_text(one * self.batch_size)}  ({each})"),
        ]
        place = "this computer" if on_host else f"the {_name(self.device)}"
        memory = None if on_host else _memory(self.device)
        if memory is not None:
            rows.append(("the device", f"has {memory}"))
        if reason:
            rows.append(("Python said" if on_host else "XLA said", reason))
        lines = [f"{self.what} ran out of memory on {place} {self.where}, with batches of {self.batch_size:,}."]
        lines += [f"  {name:11}  {words}" for name, words in rows]
        return "\n".join([*lines, f"{self._advice()}{self.kept}"])

    def _advice(self) -> str:
        if self.batch_size > 1:
            return self.smaller.format(self.batch_size // 2)
        return (
            "The batch is one example already: a net with smaller layers, smaller inputs, or a TargetDevice with more memory "
            "can help."
        )


@contextmanager
def explained(attempt: Callable[[], Attempt]) -> Iterator[None]:
    """A context that turns the want of memory into a DeviceError; what was attempted is asked only then.

    What a function of the user's did wrong on the host becomes an EncodingError.

    What computed values are still under way must be waited for inside.
    """
    try:
        with host_failures():
            yield
    except (MemoryError, jax.errors.JaxRuntimeError) as error:
        text, on_host = str(error), isinstance(error, MemoryError)
        if not on_host and EXHAUSTED not in text:
            raise
        traceback.clear_frames(error.__traceback__)  # those that ended hold arrays, and may refer to each other
        problem = _problem(attempt(), text if on_host else text.split(EXHAUSTED, 1)[1].lstrip(": "), on_host)
    else:
        return
    raise problem


def _problem(attempt: Attempt, reason: str, on_host: bool) -> DeviceError:
    first = re.split(r"\n|(?<=\.) ", reason.strip())[0]
    problem = DeviceError(attempt.message(first[:LONGEST_REASON], on_host))
    problem.results = attempt.results
    return problem


def _name(device: Any) -> str:
    kind = str(getattr(device, "device_kind", ""))
    name = device.platform.upper()
    return name if kind.upper() in ("", name) else f"{name} ({kind})"


def _memory(device: Any) -> str | None:
    """The memory of a device in words, where it tells."""
    try:
        limit = (device.memory_stats() or {}).get("bytes_limit")
    except jax.errors.JaxRuntimeError:  # not every device implements it
        limit = None
    return size_text(limit) if limit else None


def bytes_of(tree: Any) -> int:
    """The bytes of all arrays in a tree; of their shapes, so that they may be gone already."""
    return sum(math.prod(leaf.shape) * np.dtype(leaf.dtype).itemsize for leaf in jax.tree.leaves(tree))


def wire_elements(solved: Solved, length: int) -> int:
    """How many numbers are on all wires of a program for one example, varying ones taken to have this length."""
    total = sum(type_elements(type_, length) for type_ in solved.types.values())
    for index, step in enumerate(solved.program.steps):
        total -= sum(type_elements(solved.types[index, state], length) for state in step.layer.state_names)  # seldom asked for
        if step.layer.nets:
            types = solved.step_types(step, index)
            repeated = type_elements(ArrayType((types[step.inputs[0][0]].sizes or ())[:1]), length)
            total += sum(repeated * wire_elements(inner, length) for inner in step.layer.inner_solved(types).values())
    return total


def type_elements(type_: ArrayType, length: int) -> int:
    """The same for one port."""
    return math.prod(length if isinstance(size, Length) else size or 1 for size in type_.sizes or ())
