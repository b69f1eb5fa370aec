"""Layers that act on each element: ElementwiseLayer, ParametricRampLayer, DropoutLayer, and ThreadingLayer over several arrays."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp

from netdsl.constraints import COUNT, FUNCTION, NAMES, Constraint, either, integer, list_of, number, one_of
from netdsl.declarations import parameter
from netdsl.errors import DeclarationError, NetError, excerpt, nearest
from netdsl.functions import ACTIVATIONS, FUNCTIONS, Function
from netdsl.layers.levels import LEVELS, level_axes
from netdsl.nets import Layer, array
from netdsl.shapes import OPEN, REAL, ArrayType, Contradiction, Length, Size, array_of, describe, merge_sizes, shape_text
from netdsl.symbols import Automatic

__all__ = ["DropoutLayer", "ElementwiseLayer", "ParametricRampLayer", "ThreadingLayer"]


def real_numbers(x: Any) -> Any:
    """The array as real numbers, where it holds integers or truth values."""
    return x if jnp.issubdtype(x.dtype, jnp.floating) else x.astype(jnp.result_type(float))


def of_elements(function: Any) -> Callable[..., Any]:
    """The function or named activation for the elements of arrays: the greatest of one number is that number, not one for all."""
    if function is FUNCTIONS["Max"] or function is FUNCTIONS["Min"]:
        return lambda first, *others: function(first, *others) if others else first
    return ACTIVATIONS[function] if isinstance(function, str) else function  # type: ignore[no-any-return]


def _made_by(layer: Layer, function: Callable[..., Any], *arrays: Any) -> Any:
    """What a function of the user's makes of corresponding elements of arrays, one number for each."""
    sizes = jnp.broadcast_shapes(*(x.shape for x in arrays))
    given = describe(array_of(*sizes))
    try:
        made = jnp.asarray(function(*arrays))
    except NetError:
        raise
    except Exception as problem:  # a function of the user's may raise anything
        raise DeclarationError(f"The Function of {layer!r} fails for {given}: {excerpt(problem, 200)}") from problem
    if len(made.shape) > len(sizes) or any(n not in (1, size) for n, size in zip(made.shape[::-1], sizes[::-1])):
        raise DeclarationError(
            f"The Function of {layer!r} must give one number for each element. For {given} it gives "
            f"{describe(array_of(*made.shape))}."
        )
    return jnp.broadcast_to(real_numbers(made), sizes)


def _named_or_function(value: Any) -> Any:
    if isinstance(value, str):
        if value not in ACTIVATIONS:
            raise ValueError(nearest(value, ACTIVATIONS))
        return value
    if isinstance(value, Function) and value.arity == 0:
        raise ValueError
    return FUNCTION.keep(value)


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
        return of_elements(self.Function)

    def apply(self, arrays: Any, x: Any) -> Any:
        return _made_by(self, self.compute, x)


class ParametricRampLayer(Layer):
    """A ramp with a learnable slope where its input is negative.

    y[i...] = x[i...] where x[i...] > 0, else Slope[levels of i] · x[i...]

    Ports: Input and Output, arrays of equal size, real; level 1 may vary unless the slope is over it.

    Arrays: Slope, of the input's sizes at the levels, in their order in the input; starts at 0.1.

    Parameters: Levels, those over which the slope differs: a level n (default 1; negative ones count from the end),
    ``Span(m, n)``, a list of levels ([] for one slope), or `All`.

    >>> ParametricRampLayer([], Slope=0.5)([-2.0, 2.0]).tolist()
    [-1.0, 2.0]

    Differences from Wolfram: none known. Source: Wolfram's public reference page.
    """

    Levels: Any = parameter(LEVELS, 1, positional=True)
    Slope = array("...", 0.1)

    varying = "elementwise"

    def relate(self, types: Mapping[str, ArrayType]) -> Mapping[str, ArrayType]:
        sizes = equal_sizes(types["Input"].sizes, types["Output"].sizes, "Output")
        if sizes is None:
            return {"Output": ArrayType(None, REAL)}
        axes = level_axes(self.Levels, len(sizes), "has a slope for")
        if 0 in axes and isinstance(sizes[0], Length):
            raise Contradiction("has a slope for each element of level 1, which cannot be of varying number", "Input")
        slope = equal_sizes(tuple(sizes[axis] for axis in axes), types.get("Slope", OPEN).sizes, "Slope") or ()
        sizes = tuple(slope[axes.index(axis)] if axis in axes else size for axis, size in enumerate(sizes))
        return {"Input": ArrayType(sizes), "Output": ArrayType(sizes, REAL), "Slope": ArrayType(slope, REAL)}

    def apply(self, arrays: Any, x: Any) -> Any:
        axes = level_axes(self.Levels, x.ndim, "has a slope for")
        slope = arrays.Slope.reshape([size if axis in axes else 1 for axis, size in enumerate(x.shape)])
        return jnp.where(x > 0, x, slope * x)


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
        x = real_numbers(x)
        kept: Any = True
        if training and self.Probability > 0:
            kept = _kept(key, x.shape, self.Probability)

        def made(name: str) -> Any:
            if name == "BinaryMask":
                return jnp.broadcast_to(kept, x.shape).astype(x.dtype)
            return x if kept is True else self.dropped(x, kept)

        return tuple(map(made, self.output_names))

    def dropped(self, x: Any, kept: Any) -> Any:
        """The values with those dropped that are not kept, and scaled."""
        rate = self.Probability
        if self.Method == "Dropout":
            return _scaled_up(x, kept, rate)
        low = -1.7580993408473766  # the limit of SELU at minus infinity
        scale = ((1 - rate) * (1 + rate * low**2)) ** -0.5 if rate < 1 else 0.0
        return scale * jnp.where(kept, x, low) - scale * rate * low


_ONE_SPEC = either(one_of(None, Automatic), integer(1), integer(high=-1))


def _spec(value: Any) -> Any:
    kept = either(_ONE_SPEC, list_of(_ONE_SPEC, "a list of settings")).keep(value)
    if kept == ():
        raise ValueError
    return kept


_SPEC = Constraint(
    "None, a level other than 0, or a list with a setting for each input", _spec, (0, "no such setting", 1.5, [0], [])
)


class ThreadingLayer(Layer):
    """A function of several numbers, applied to corresponding elements of several arrays.

    y[i...] = f(a[i...], b[i...], ...)

    Ports: any number of inputs (Input1, Input2, … unless named by InputPorts); Output, the common size, real.

    Parameters: Function, a function of as many numbers as there are inputs (`Plus`, `Times`, `Max`, ``lambda a, b: a * b + 1``);
    Broadcasting: Automatic (default: equal ranks, sizes of 1 stretch), None (the sizes of the output), n (missing dimensions are
    inserted before level n), -n (counted from the end: -1 appends them at the deepest level), or a list with one of these for each
    input; InputPorts, a number or a list of names.

    >>> ThreadingLayer(lambda a, b: a - b)([[1.0, 2.0], [3.0, 5.0]]).tolist()
    [-2.0, -3.0]

    Differences from Wolfram: none known. Source: Wolfram's public reference page.
    """

    Function: Any = parameter(Constraint("a function of several numbers", _named_or_function, (3,)), positional=True)
    Broadcasting: Any = parameter(_SPEC, Automatic, positional=True)
    InputPorts: Any = parameter(either(COUNT, NAMES), Automatic)

    signature = "-> ..."
    variadic = True
    varying = "elementwise"

    def _check(self) -> None:
        settings, inputs = self.Broadcasting, len(self.input_names)
        if isinstance(settings, tuple) and inputs and len(settings) != inputs:
            raise DeclarationError(
                f"The Broadcasting list of ThreadingLayer needs a setting for each of its {inputs} "
                f"input{'s' if inputs > 1 else ''}. Got {len(settings)}: {list(settings)}."
            )
        super()._check()

    def _settings(self, inputs: int) -> tuple[Any, ...]:
        """The broadcasting setting of each input."""
        settings = self.Broadcasting
        if not isinstance(settings, tuple):
            return (settings,) * inputs
        if inputs and len(settings) != inputs:
            raise Contradiction(f"needs a Broadcasting setting for each of its {inputs} inputs, and has {len(settings)}")
        return settings

    def relate(self, types: Mapping[str, ArrayType]) -> Mapping[str, ArrayType]:
        inputs = [name for name in types if name != "Output"]
        settings, out = self._settings(len(inputs)), types["Output"].sizes
        whole = [name for name, setting in zip(inputs, settings) if setting is None]
        for name in whole:
            out = equal_sizes(out, types[name].sizes, name)
        known = [out if name in whole else types[name].sizes for name in inputs]
        said = {**dict.fromkeys(whole, ArrayType(out)), "Output": ArrayType(out, REAL)}
        if len(whole) == len(inputs):
            return said
        if any(each is None for each in known):
            equal = all(setting in (Automatic, None) for setting in settings)
            rank = next((len(each) for each in (*known, out) if each is not None), None) if equal else None
            if rank is None:
                return said
            open_ = {name: ArrayType((None,) * rank) for name, each in zip(inputs, known) if each is None}
            return {**said, **open_, **({"Output": ArrayType((None,) * rank, REAL)} if out is None else {})}
        rank = max(len(each) for each in known)  # type: ignore[arg-type]
        aligned = [_aligned(each, rank, setting) for each, setting in zip(known, settings)]  # type: ignore[arg-type]
        result = tuple(_stretch([each[level] for each in aligned], inputs) for level in range(rank))
        equal_lengths = {
            name: ArrayType((result[0], *each[1:]))
            for name, each in zip(inputs, known)  # type: ignore[index]
            if each and isinstance(each[0], Length)
        }
        return {**equal_lengths, **dict.fromkeys(whole, ArrayType(result)), "Output": ArrayType(result, REAL)}

    def apply(self, arrays: Any, *inputs: Any) -> Any:
        rank, settings = max(x.ndim for x in inputs), self._settings(len(inputs))
        inputs = tuple(
            x.reshape(_aligned(x.shape, rank, setting)) if x.ndim < rank else x for x, setting in zip(inputs, settings)
        )
        return _made_by(self, of_elements(self.Function), *inputs)


def _aligned(sizes: tuple[Size, ...], rank: int, setting: Any) -> tuple[Size, ...]:
    """The sizes with a 1 for each missing dimension, where the broadcasting setting puts it."""
    missing = rank - len(sizes)
    if not missing:
        return sizes
    if setting is None or setting is Automatic:
        raise Contradiction(
            f"needs inputs of equal rank ({rank} and {len(sizes)}); ThreadingLayer(f, -1) or (f, 1) says where "
            "missing dimensions go"
        )
    at = min(setting - 1, len(sizes)) if setting > 0 else max(len(sizes) + 1 + setting, 0)
    return sizes[:at] + (1,) * missing + sizes[at:]


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


def dropped(key: Any, x: Any, rate: float) -> Any:
    """The array with elements set to 0 with probability `rate` and the others scaled up."""
    return _scaled_up(x, _kept(key, x.shape, rate), rate)


def _kept(key: Any, sizes: tuple[int, ...], rate: float) -> Any:
    """Which elements are kept where each is dropped with probability `rate`: the same draws in every precision."""
    return jax.random.bernoulli(key, jnp.float32(1 - rate), sizes)


def _scaled_up(x: Any, kept: Any, rate: float) -> Any:
    """The elements that are kept, scaled up, and 0 for the others."""
    return jnp.where(kept, x / max(1 - rate, 1e-12), 0)


def _stretch(sizes: list[Size], inputs: list[str]) -> Size:
    """The size that these stretch to: known when one is above 1, or all are known."""
    large = [(size, name) for size, name in zip(sizes, inputs) if size is not None and size != 1]
    for size, name in large:
        merge_sizes(large[0][0], size, name)
    if large:
        return large[0][0]
    return 1 if all(size == 1 for size in sizes) else None
