"""Layers that act on each element: ElementwiseLayer, DropoutLayer, and ThreadingLayer over several arrays."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp

from netdsl.declarations import NAMES, POSITIVE, Constraint, either, integer, number, one_of, parameter
from netdsl.errors import nearest
from netdsl.functions import ACTIVATIONS, Function
from netdsl.nets import Layer
from netdsl.shapes import REAL, ArrayType, Contradiction, Length, Size, merge_sizes, shape_text
from netdsl.symbols import Automatic

__all__ = ["DropoutLayer", "ElementwiseLayer", "ThreadingLayer"]


def _named_or_function(value: Any) -> Any:
    if isinstance(value, str):
        if value not in ACTIVATIONS:
            raise ValueError(nearest(value, ACTIVATIONS))
        return value
    if not callable(value) or (isinstance(value, Function) and value.arity == 0):
        raise ValueError
    return value


_FUNCTION = Constraint(
    f"a function of one number or the name of an activation ({', '.join(ACTIVATIONS)})",
    _named_or_function,
    (3, "NoSuchActivation"),
)


class ElementwiseLayer(Layer):
    """A function of one number, applied to every element.

    y[i...] = f(x[i...])

    Ports: Input, an array of any size; Output, the same size, real.

    Parameters: Function, a function of one number (`Ramp`, `Tanh`, ``lambda x: x**2 + 1``, any JAX function that keeps sizes) or
    the name of an activation ("ReLU", "ELU", "SELU", "GELU", "Swish", "HardSwish", "Mish", "SoftSign", "SoftPlus", "HardTanh",
    "HardSigmoid", "Sigmoid").

    Raises DeclarationError for an unknown name.

    >>> ElementwiseLayer("HardSigmoid")([-2.0, 0.0, 0.5]).tolist()
    [0.0, 0.5, 0.75]

    Differences from Wolfram: none known. Source: Wolfram's public reference page of ElementwiseLayer.
    """

    Function: Any = parameter(_FUNCTION, positional=True)

    signature = "... -> ..."
    varying = "elementwise"

    @property
    def compute(self) -> Callable[[Any], Any]:
        """The function as a callable."""
        return ACTIVATIONS[self.Function] if isinstance(self.Function, str) else self.Function

    def apply(self, arrays: Any, x: Any) -> Any:
        y = jnp.asarray(self.compute(x))
        if not jnp.issubdtype(y.dtype, jnp.floating):
            y = y.astype(jnp.result_type(float))
        return y if y.shape == x.shape else jnp.broadcast_to(y, x.shape)


class DropoutLayer(Layer):
    """Zeros elements at random while training, and scales the others up.

    y = x·m / (1 - p) with m = 0 with probability p, else 1; y = x outside training. "AlphaDropout" instead sets dropped elements to
    the saturation value of SELU and rescales, so that mean 0 and variance 1 are kept.

    Ports: Input and Output, arrays of any equal size; BinaryMask, if asked for, of that size: m, 1 where nothing is dropped [M].

    Parameters: Probability, a number from 0 to 1 (default 0.5); Method, "Dropout" or "AlphaDropout"; OutputPorts, "Output" (default),
    "BinaryMask" or a list of both.

    >>> DropoutLayer()([1.0, 2.0]).tolist()
    [1.0, 2.0]

    Differences from Wolfram: none known. Source: Wolfram's public reference page.
    """

    Probability: Any = parameter(number(0, 1), 0.5, positional=True)
    Method: Any = parameter(one_of("Dropout", "AlphaDropout"), "Dropout")
    OutputPorts: Any = parameter(
        Constraint('"Output", "BinaryMask" or a list of both', lambda value: _outputs(value), ("Mask", ["Output", "Mask"], [])),
        "Output",
    )

    signature = "... -> ..."
    varying = "elementwise"

    @property
    def output_names(self) -> tuple[str, ...]:
        return (self.OutputPorts,) if isinstance(self.OutputPorts, str) else self.OutputPorts

    def relate(self, types: Mapping[str, ArrayType]) -> Mapping[str, ArrayType]:
        sizes = None
        for name, type_ in types.items():
            sizes = equal_sizes(sizes, type_.sizes, name)
        return {name: ArrayType(sizes, None if name == "Input" else REAL) for name in types}

    def apply(self, arrays: Any, x: Any, *, key: Any, training: bool) -> Any:
        x = x if jnp.issubdtype(x.dtype, jnp.floating) else x.astype(jnp.result_type(float))
        kept: Any = True
        if training and self.Probability > 0:  # the same draws in every precision
            kept = jax.random.bernoulli(key, jnp.float32(1 - self.Probability), x.shape)

        def made(name: str) -> Any:
            if name == "BinaryMask":
                return jnp.broadcast_to(kept, x.shape).astype(x.dtype)
            return x if kept is True else self.dropped(x, kept)

        return tuple(map(made, self.output_names))

    def dropped(self, x: Any, kept: Any) -> Any:
        """The values with those dropped that are not kept, and scaled."""
        rate = self.Probability
        if self.Method == "Dropout":
            return jnp.where(kept, x / max(1 - rate, 1e-12), 0)
        low = -1.7580993408473766  # the limit of SELU at minus infinity
        scale = ((1 - rate) * (1 + rate * low**2)) ** -0.5 if rate < 1 else 0.0
        return scale * jnp.where(kept, x, low) - scale * rate * low


_SPEC = either(one_of(None, Automatic), integer(1), integer(high=-1))
_SPEC = Constraint("None or a level other than 0", _SPEC.keep, (0, "no such setting", 1.5))


def _several(value: Any) -> Any:
    if isinstance(value, str):
        return _named_or_function(value)
    if not callable(value) or (isinstance(value, Function) and value.arity in (0,)):
        raise ValueError
    return value


class ThreadingLayer(Layer):
    """A function of several numbers, applied to corresponding elements of several arrays.

    y[i...] = f(a[i...], b[i...], ...)

    Ports: any number of inputs (Input1, Input2, … unless named by InputPorts); Output, the common size, real.

    Parameters: Function, a function of as many numbers as there are inputs (`Plus`, `Times`, `Max`, ``lambda a, b: a * b + 1``);
    Broadcasting: Automatic (default: equal ranks, sizes of 1 stretch), None (equal sizes), n (missing dimensions are inserted
    before level n), -n (counted from the end: -1 appends them at the deepest level); InputPorts, a number or a list of names.

    >>> ThreadingLayer(lambda a, b: a - b)([[1.0, 2.0], [3.0, 5.0]]).tolist()
    [-2.0, -3.0]

    Differences from Wolfram: a broadcasting setting for each input is not there. Source: Wolfram's public reference page.
    """

    Function: Any = parameter(Constraint("a function of several numbers", _several, (3,)), positional=True)
    Broadcasting: Any = parameter(_SPEC, Automatic, positional=True)
    InputPorts: Any = parameter(either(POSITIVE, NAMES), Automatic)

    signature = "-> ..."
    variadic = True
    varying = "elementwise"

    def relate(self, types: Mapping[str, ArrayType]) -> Mapping[str, ArrayType]:
        inputs = [name for name in types if name != "Output"]
        known = [types[name].sizes for name in inputs]
        out = types["Output"].sizes
        if self.Broadcasting is None:
            sizes = out
            for name, each in zip(inputs, known):
                sizes = equal_sizes(sizes, each, name)
            return {**{name: ArrayType(sizes) for name in inputs}, "Output": ArrayType(sizes, REAL)}
        if any(each is None for each in known) or not known:
            rank = (
                next((len(each) for each in (*known, out) if each is not None), None) if self.Broadcasting is Automatic else None
            )
            if rank is None:
                return {"Output": ArrayType(None, REAL)}
            open_ = {name: ArrayType((None,) * rank) for name, each in zip(inputs, known) if each is None}
            return {**open_, "Output": ArrayType((None,) * rank, REAL)}
        rank = max(len(each) for each in known)  # type: ignore[arg-type]
        aligned = [self._aligned(each, rank) for each in known]  # type: ignore[arg-type]
        result = tuple(_stretch([each[level] for each in aligned], inputs) for level in range(rank))
        equal = {
            name: ArrayType((result[0], *each[1:]))
            for name, each in zip(inputs, known)  # type: ignore[index]
            if each and isinstance(each[0], Length)
        }
        return {**equal, "Output": ArrayType(result, REAL)}

    def _aligned(self, sizes: tuple[Size, ...], rank: int) -> tuple[Size, ...]:
        missing = rank - len(sizes)
        if not missing:
            return sizes
        if self.Broadcasting is Automatic:
            raise Contradiction(
                f"needs inputs of equal rank ({rank} and {len(sizes)}); ThreadingLayer(f, -1) or (f, 1) says where "
                "missing dimensions go"
            )
        at = self._position(len(sizes))
        return sizes[:at] + (1,) * missing + sizes[at:]

    def _position(self, rank: int) -> int:
        n = self.Broadcasting
        return min(n - 1, rank) if n > 0 else max(rank + 1 + n, 0)

    def apply(self, arrays: Any, *inputs: Any) -> Any:
        rank = max(x.ndim for x in inputs)
        if self.Broadcasting is not Automatic and self.Broadcasting is not None:
            inputs = tuple(x.reshape(self._aligned(x.shape, rank)) if x.ndim < rank else x for x in inputs)
        function = ACTIVATIONS[self.Function] if isinstance(self.Function, str) else self.Function
        y = jnp.asarray(function(*inputs))
        sizes = jnp.broadcast_shapes(*(x.shape for x in inputs))
        y = y if jnp.issubdtype(y.dtype, jnp.floating) else y.astype(jnp.result_type(float))
        return jnp.broadcast_to(y, sizes)


def _outputs(value: Any) -> Any:
    names = (value,) if isinstance(value, str) else tuple(value)
    if not names or len(set(names)) != len(names) or not set(names) <= {"Output", "BinaryMask"}:
        raise ValueError
    return value if isinstance(value, str) else names


def equal_sizes(a: tuple[Size, ...] | None, b: tuple[Size, ...] | None, slot: str) -> tuple[Size, ...] | None:
    """The sizes of two arrays that must be of equal size."""
    if a is None or b is None:
        return b if a is None else a
    if len(a) != len(b):
        raise Contradiction(f"needs arrays of equal size where {shape_text(a)} and {shape_text(b)} meet", slot)
    return tuple(merge_sizes(x, y, slot) for x, y in zip(a, b))


def _stretch(sizes: list[Size], inputs: list[str]) -> Size:
    """The size that these stretch to: known when one is above 1, or all are known."""
    large = [(size, name) for size, name in zip(sizes, inputs) if size is not None and size != 1]
    for size, name in large:
        merge_sizes(large[0][0], size, name)
    if large:
        return large[0][0]
    return 1 if all(size == 1 for size in sizes) else None
