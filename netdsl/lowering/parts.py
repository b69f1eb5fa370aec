"""The evaluation of many examples in parts, all in one dispatch: on a CPU each core takes its share, in parts that fit its cache.

What a program needs on its way is there taken from the system anew at each dispatch, and pages of it cost as much as the work of
some examples: hence few dispatches, and many small parts in each. On another device a part is a batch, and a dispatch costs more
than the work of one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from netdsl.lowering.compilation import compiled, note_trace
from netdsl.lowering.cores import SHARE, WHOLE, cores_available, mesh_of_cores, placed, split_over
from netdsl.lowering.cost import multiply_adds
from netdsl.lowering.exhaustion import bytes_of, type_elements
from netdsl.lowering.function import run_batch, skeleton
from netdsl.lowering.gradients import Value, value_type
from netdsl.lowering.identity import program_key
from netdsl.lowering.inputs import PortData
from netdsl.lowering.precision import Precision
from netdsl.lowering.settings import Settings
from netdsl.nets import ArrayPath, Net

__all__ = ["in_parts", "part_size"]

CACHE = 2**21
"""The bytes that the largest value on a wire takes for the examples of one part."""

SMALLEST, LARGEST = 8, 256
"""The numbers of examples of which a part has one at least and at most, unless BatchSize is less."""

DISPATCHED = 2**26
"""The bytes of inputs and outputs that one dispatch has at most, unless one batch has more."""

LEAST_WORK = 10**8
"""With fewer multiplications and additions than these, starting a second core costs more than it saves."""


def part_size(net: Net, precision: Precision, most: int) -> int:
    """The number of examples that are computed together: a power of two, not more than `most`."""
    fitting = most
    if jax.default_backend() == "cpu":
        largest = net._cached("_largest_value", lambda: max((type_elements(t, 1) for t in net.solved.types.values()), default=1))
        fitting = min(max(CACHE // max(largest * precision.bytes, 1), SMALLEST), LARGEST, most)
    return 1 << (fitting.bit_length() - 1)


def in_parts(
    net: Net,
    arrays: Mapping[ArrayPath, Any],
    state: Mapping[ArrayPath, Any],
    given: Mapping[str, PortData],
    count: int,
    refs: tuple[Value, ...],
    settings: Settings,
) -> dict[Value, Any]:
    """The wires for all examples, as NumPy arrays; in test mode, without varying lengths."""
    precision, compact = settings.precision, frozenset(port for port, batch in given.items() if batch.compact)
    part = part_size(net, precision, settings.batch_size)
    work = count * net._cached("_multiply_adds", lambda: multiply_adds(net))
    platform = jax.default_backend()
    available = 1 if settings.devices else cores_available()
    cores = min(available, -(-count // part)) if platform == "cpu" and work >= LEAST_WORK else 1
    mesh = mesh_of_cores(cores)
    key = ("parts", program_key(net), refs, compact, part, cores, platform, precision.name)
    function = compiled(key, lambda: _parts_function(skeleton(net), refs, compact, part, cores, platform, precision))
    if cores > 1:
        kept = net._cached(f"_on_{cores}_cores_{precision.name}", dict)
        if kept.get("of") is not arrays:
            kept.update(of=arrays, there=placed((dict(arrays), dict(state)), mesh, WHOLE))
        arrays, state = kept["there"]
    columns = {port: np.asarray(batch.values) for port, batch in given.items()}
    each = bytes_of(columns) // count + precision.bytes * sum(type_elements(value_type(net, ref), 1) for ref in refs)
    most = max(DISPATCHED // max(each, 1), settings.batch_size) // (cores * part) * cores * part or cores * part
    shares = [_Shares(start, min(start + most, count), cores, part) for start in range(0, count, most)]

    def dispatched(share: _Shares) -> dict[Value, Any]:
        here = {port: share.of(column, shares[0].room) for port, column in columns.items()}
        return function(arrays, state, placed(here, mesh, SHARE), np.int32(share.parts))

    made, coming = [], dispatched(shares[0])
    for share, following in zip(shares, [*shares[1:], None]):
        # the next is under way while this one is waited for, and no more: their inputs take memory
        outputs, coming = coming, {} if following is None else dispatched(following)
        made.append({ref: share.joined(np.asarray(value)) for ref, value in outputs.items()})
    return made[0] if len(made) == 1 else {ref: np.concatenate([one[ref] for one in made]) for ref in refs}


class _Shares:
    """How the examples of a dispatch lie: a share for each core, of so many parts, with room for a power of two of them."""

    def __init__(self, start: int, stop: int, cores: int, part: int) -> None:
        self.start, self.stop, self.cores = start, stop, cores
        self.parts = -(-(stop - start) // (cores * part))
        self.share = self.parts * part
        self.room = part << (self.parts - 1).bit_length()

    def of(self, column: Any, room: int) -> Any:
        """The examples in their places, with so much room for each share; the last is repeated to the end of its part."""
        examples = column[self.start : self.stop]
        if len(examples) == self.cores * room:
            return examples
        places = np.zeros((self.cores, room, *column.shape[1:]), column.dtype)
        for core in range(self.cores):
            share = examples[core * self.share : (core + 1) * self.share]
            places[core, : len(share)] = share
            places[core, len(share) : self.share] = examples[-1]
        return places.reshape(-1, *column.shape[1:])

    def joined(self, values: Any) -> Any:
        """The values of the examples alone, in their order."""
        shares = values.reshape(self.cores, -1, *values.shape[1:])[:, : self.share]
        return shares.reshape(-1, *values.shape[1:])[: self.stop - self.start]


def _parts_function(
    net: Net, refs: tuple[Value, ...], compact: frozenset[str], part: int, cores: int, platform: str, precision: Precision
) -> Callable[..., Any]:
    @jax.jit
    def at(arrays: Any, state: Any, inputs: Any, index: Any) -> Any:
        examples = jax.tree.map(lambda leaf: lax.dynamic_slice_in_dim(leaf, index * part, part), inputs)
        outputs, _ = run_batch(
            net,
            arrays,
            state,
            examples,
            seed=None,
            indices=index * part + jnp.arange(part),
            weights=jnp.ones(part),
            training=False,
            refs=refs,
            compact=compact,
            platform=platform,
            precision=precision,
        )
        return outputs

    def function(arrays: Any, state: Any, inputs: Any, parts: Any) -> Any:
        note_trace()
        count = jax.tree.leaves(inputs)[0].shape[0]
        shapes = jax.eval_shape(at, arrays, state, inputs, parts)
        outputs = jax.tree.map(lambda leaf: jnp.zeros((count, *leaf.shape[1:]), leaf.dtype), shapes)

        def add(index: Any, outputs: Any) -> Any:
            here = at(arrays, state, inputs, index)
            return jax.tree.map(lambda all_, new: lax.dynamic_update_slice_in_dim(all_, new, index * part, 0), outputs, here)

        return lax.fori_loop(0, parts, add, outputs)

    return jax.jit(split_over(function, mesh_of_cores(cores), (WHOLE, WHOLE, SHARE, WHOLE), SHARE))
