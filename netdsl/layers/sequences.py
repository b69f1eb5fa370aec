"""Layers along level 1 of a sequence: its last element, all but one, reversed, the positions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp

from netdsl.constraints import POSITIVE, either, one_of
from netdsl.declarations import parameter
from netdsl.layers.elementwise import equal_sizes
from netdsl.nets import Layer, Sequence
from netdsl.shapes import ArrayType, Contradiction, Elements, Length, Size
from netdsl.symbols import Infinity

__all__ = ["SequenceIndicesLayer", "SequenceLastLayer", "SequenceMostLayer", "SequenceRestLayer", "SequenceReverseLayer"]

Sizes = tuple[Size, ...] | None


def shifted(size: Size, by: int, slot: str) -> Size:
    """The size that is `by` more."""
    if isinstance(size, Length):
        return size.then(by) if slot == "Input" else size.before(by)
    if size is not None and size + by < 1:
        raise Contradiction(f"needs a size of {1 - by} or more where {size} is given", slot)
    return None if size is None else size + by


def lengthened(inputs: Sizes, outputs: Sizes, by: int) -> tuple[Sizes, Sizes]:
    """The sizes of Input and Output, which are equal but for level 1, where Output has `by` elements more."""
    for slot, sizes in (("Input", inputs), ("Output", outputs)):
        if sizes == ():
            raise Contradiction("takes an array of rank 1 or more", slot)
    if outputs is not None:
        length = inputs[0] if inputs and inputs[0] is not None else shifted(outputs[0], -by, "Output")
        inputs = equal_sizes(inputs, (length, *outputs[1:]), "Output")
    return (None, None) if inputs is None else (inputs, (shifted(inputs[0], by, "Input"), *inputs[1:]))


class SequenceLastLayer(Layer):
    """The last element along level 1; of a varying sequence, the last real one.

    y = x[-1]

    Ports: Input, an array of rank 1 or more (level 1 may vary); Output, one level less.

    >>> SequenceLastLayer()([[1.0, 2.0], [3.0, 4.0]]).tolist()
    [3.0, 4.0]

    Differences from Wolfram: none known. Source: Wolfram's public reference page.
    """

    arithmetic = "none"
    signature = "n ... of e -> ... of e"
    varying = "aware"

    def apply(self, arrays: Any, x: Any) -> Any:
        if isinstance(x, Sequence):
            return jax.lax.dynamic_index_in_dim(x.data, x.length - 1, 0, keepdims=False)
        return x[-1]


class _OneLess(Layer):
    """What SequenceMostLayer and SequenceRestLayer share: an output with one element less along level 1."""

    arithmetic = "none"
    signature = "... -> ..."
    varying = "aware"

    def relate(self, types: Mapping[str, ArrayType]) -> Mapping[str, ArrayType]:
        elements = types["Input"].elements or types["Output"].elements
        inputs, outputs = lengthened(types["Input"].sizes, types["Output"].sizes, -1)
        return {"Input": ArrayType(inputs, elements), "Output": ArrayType(outputs, elements)}

    def shortest(self) -> int:
        return 2


class SequenceMostLayer(_OneLess):
    """All elements along level 1 but the last; of a varying sequence, all real ones but the last.

    y[t] = x[t], t = 1 … length - 1

    Ports: Input, an array of two elements or more at level 1 (which may vary); Output, one element less.

    >>> SequenceMostLayer()([1.0, 2.0, 3.0]).tolist()
    [1.0, 2.0]

    Differences from Wolfram: none known. Source: Wolfram's public reference page.
    """

    def apply(self, arrays: Any, x: Any) -> Any:
        if not isinstance(x, Sequence):
            return x[:-1]
        places = jnp.minimum(jnp.arange(x.data.shape[0] - 1), x.length - 2)
        return Sequence(jnp.take(x.data, places, axis=0, mode="clip"), x.length - 1)


class SequenceRestLayer(_OneLess):
    """All elements along level 1 but the first.

    y[t] = x[t + 1], t = 1 … length - 1

    Ports: Input, an array of two elements or more at level 1 (which may vary); Output, one element less.

    >>> SequenceRestLayer()([1.0, 2.0, 3.0]).tolist()
    [2.0, 3.0]

    Differences from Wolfram: none known. Source: Wolfram's public reference page.
    """

    def apply(self, arrays: Any, x: Any) -> Any:
        return Sequence(x.data[1:], x.length - 1) if isinstance(x, Sequence) else x[1:]


class SequenceReverseLayer(Layer):
    """The elements along level 1 in reverse order; of a varying sequence, the real ones.

    y[t] = x[length + 1 - t]

    Ports: Input and Output, arrays of equal size and rank 1 or more (level 1 may vary).

    >>> SequenceReverseLayer()([1.0, 2.0, 3.0]).tolist()
    [3.0, 2.0, 1.0]

    Differences from Wolfram: none known. Source: Wolfram's public reference page.
    """

    arithmetic = "none"
    signature = "n ... of e -> n ... of e"
    varying = "aware"

    def apply(self, arrays: Any, x: Any) -> Any:
        if not isinstance(x, Sequence):
            return x[::-1]
        places = x.length - 1 - jnp.arange(x.data.shape[0])
        return x.with_data(jnp.take(x.data, jnp.maximum(places, 0), axis=0, mode="clip"))


class SequenceIndicesLayer(Layer):
    """The positions of the elements along level 1, counted from 1.

    y[t] = min(t, Maximum)

    Ports: Input, an array of rank 1 or more (level 1 may vary), whose values do not matter; Output, a vector of integers from 1 to
    Maximum, of the length of the input.

    Parameters: Maximum, a positive integer or Infinity (default).

    >>> SequenceIndicesLayer(Maximum=2)([5.0, 7.0, 9.0]).tolist()
    [1, 2, 2]

    Differences from Wolfram: none known. Source: Wolfram's public reference page.
    """

    Maximum: Any = parameter(either(POSITIVE, one_of(Infinity)), Infinity)

    arithmetic = "none"
    signature = "n ... -> n"
    varying = "aware"

    def relate(self, types: Mapping[str, ArrayType]) -> Mapping[str, ArrayType]:
        highest = None if self.Maximum == Infinity else self.Maximum
        related = self.by_signature(types)
        return {**related, "Output": ArrayType(related["Output"].sizes, Elements("integer", 1, highest))}

    def apply(self, arrays: Any, x: Any) -> Any:
        places = jnp.arange(1, (x.data if isinstance(x, Sequence) else x).shape[0] + 1, dtype=jnp.int32)
        if self.Maximum != Infinity:
            places = jnp.minimum(places, self.Maximum)
        return x.with_data(jnp.minimum(places, x.length)) if isinstance(x, Sequence) else places
