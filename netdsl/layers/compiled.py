"""CompiledLayer: a function that runs on the host, in Python and NumPy, as a layer."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from netdsl.constraints import FUNCTION, NAMES
from netdsl.declarations import parameter
from netdsl.errors import EncodingError, ShapeError, UnsupportedError, excerpt
from netdsl.layers.function import VARYING_SAMPLES, argument_names
from netdsl.nets import Layer, Sequence
from netdsl.shapes import OPEN, REAL, ArrayType, Contradiction, Length, Size, first_length, shape_text
from netdsl.symbols import Automatic

__all__ = ["CompiledLayer", "host_failures"]


_watching: dict[int, list[str]] = {}


@contextmanager
def host_failures() -> Iterator[None]:
    """A context that raises an EncodingError for what functions on the host did wrong while values were computed inside.

    They give NaN there, and the computation goes on: not all that XLA has under way survives an error in a callback. Outside, in the
    user's own compiled functions, the error goes through JAX.
    """
    found: list[str] = []
    _watching[id(found)] = found
    try:
        yield
    except Exception:
        if not found:
            raise
    finally:
        del _watching[id(found)]
    if found:
        raise EncodingError(found[0])


class CompiledLayer(Layer):
    """A function of one example in Python and NumPy, which runs on the host.

    y = forward(x), or y = forward(a, b, …) with one input port for each argument

    Ports: Input for a function of one argument, else one port named after each argument (InputPorts overrides); Output, an array
    of the size declared (Output=[2, 3]); where nothing says its size, forward is tried on zeros (on ones where a port takes
    integers). It holds reals unless it is declared to hold integers. Level 1 of inputs may vary, in all of them together: the
    functions get the elements that there are, and give an array of fixed size or one with an element for each.

    Parameters: Forward, a function of NumPy arrays that gives one; Backward, None (default), or a function of the same arguments and
    the gradient of the output that gives the gradient of the input, for several inputs one of each; InputPorts, a list of names.

    The functions are called for each example, in any order and as often as the computation needs: they should depend on nothing
    but their arguments. Without Backward what comes before the layer cannot be trained; what follows it can.

    Raises ShapeError where the size of the output cannot be found, EncodingError where a function fails or gives
    something else, UnsupportedError where a gradient is needed and there is no Backward.

    >>> CompiledLayer(lambda x: sorted(x.tolist()))([3.0, 1.0, 2.0]).tolist()
    [1.0, 2.0, 3.0]

    Differences from Wolfram: the functions are not compiled; that Backward takes the inputs, then the gradient, is remembered [M].
    Source: Wolfram's public guide to neural-network layers.
    """

    Forward: Any = parameter(FUNCTION, positional=True)
    Backward: Any = parameter(FUNCTION, None, positional=True)
    InputPorts: Any = parameter(NAMES, Automatic)

    arithmetic = "exact"
    varying = "aware"

    @property
    def input_names(self) -> tuple[str, ...]:
        if self.InputPorts is not Automatic:
            return self.InputPorts
        return self._cached("_input_names", lambda: argument_names(self.Forward, repr(self)))

    @property
    def _gives_integers(self) -> bool:
        return getattr(self.ports.get("Output"), "integer", False)

    def relate(self, types: Mapping[str, ArrayType]) -> Mapping[str, ArrayType]:
        elements = None if self._gives_integers else REAL
        known = all(types[name].known for name in self.input_names)
        length = first_length(types[name] for name in self.input_names)
        if length is None and known and types["Output"].varying:
            raise Contradiction("gives a sequence only where an input is one", "Output")
        equal = {port: type_.sizes for port, type_ in types.items() if type_.varying} if length is not None else {}
        said = {port: ArrayType((length, *(sizes or ())[1:])) for port, sizes in equal.items()}
        return {**said, "Output": ArrayType(said.get("Output", OPEN).sizes, elements)}

    def default(self, types: Mapping[str, ArrayType]) -> Mapping[str, ArrayType]:  # type: ignore[override]
        """The size that the function gives for zeros."""
        inputs = tuple(types[name] for name in self.input_names)
        if types["Output"].known or not all(type_.known for type_ in inputs):
            return {}
        return {"Output": ArrayType(self._kept("_tried", inputs, lambda: self._tried_sizes(inputs)))}

    def _tried_sizes(self, inputs: tuple[ArrayType, ...]) -> tuple[Size, ...]:
        length = first_length(inputs)
        if length is None:
            return self._try(inputs)
        short, long = (self._try(inputs, sample) for sample in VARYING_SAMPLES)
        if short == long:
            return short
        if [short[:1], long[:1]] == [(sample,) for sample in VARYING_SAMPLES] and short[1:] == long[1:]:
            return (length, *short[1:])
        raise Contradiction(
            f"must give one element for each of a sequence, or as many whatever its length; its function gives {shape_text(short)} "
            f"and {shape_text(long)} for sequences of {' and '.join(map(str, VARYING_SAMPLES))} elements"
        )

    def _try(self, inputs: tuple[ArrayType, ...], length: int = 1) -> tuple[int, ...]:
        shapes: list[Any] = [tuple(length if isinstance(s, Length) else s for s in type_.sizes or ()) for type_ in inputs]
        fill = [np.full(shape, int(t.integer), np.int32 if t.integer else np.float32) for shape, t in zip(shapes, inputs)]
        try:
            with np.errstate(all="ignore"):
                sizes = np.shape(self.Forward(*(x[()] for x in fill)))
        except Exception as problem:  # a function of the user's may raise anything
            raise Contradiction(f"needs a declared size, Output=[…]: its function fails for zeros ({excerpt(problem)})") from None
        if 0 in sizes:
            raise Contradiction("needs a declared size, Output=[…]: its function gives an empty array for zeros")
        return sizes

    def apply(self, arrays: Any, *inputs: Any, sizes: Any) -> Any:
        if sizes is None or None in sizes:
            raise ShapeError(f"{self!r} does not know the size of its output. Declare it: Output=[2, 3].")
        sequence = next((x for x in inputs if isinstance(x, Sequence)), None)
        vary: list[bool | None] = [isinstance(x, Sequence) for x in inputs]
        inputs = tuple(x.data if isinstance(x, Sequence) else x for x in inputs)
        dtype = jnp.result_type(jnp.float32, *inputs)
        if self._gives_integers:
            dtype = jnp.int32
            inputs = tuple(jax.lax.stop_gradient(x) for x in inputs)
        made = _Wanted((0 if sequence is None else len(sequence.data), *sizes[1:]), dtype, True)
        if not (sizes and isinstance(sizes[0], Length)):
            made = _Wanted(sizes, dtype, False)
        if sequence is not None:
            inputs, vary = (*inputs, sequence.length), [*vary, None]

        @jax.custom_vjp
        def function(*xs: Any) -> Any:
            return _called(self.Forward, f"{self!r}: its function", [made], xs, vary)[0]

        def forward(*xs: Any) -> Any:
            if self.Backward is None:
                raise UnsupportedError(
                    f"{self!r} has no Backward, so that nothing before it can be trained. Write CompiledLayer(forward, backward), "
                    "or set LearningRateMultipliers of what comes before it to 0."
                )
            return function(*xs), xs

        def backward(xs: Any, slope: Any) -> Any:
            real = [jnp.issubdtype(x.dtype, jnp.floating) for x in xs]
            wanted = [_Wanted(x.shape, x.dtype, v) if r else None for x, r, v in zip(xs, real, vary) if v is not None]
            slopes = _called(self.Backward, f"{self!r}: its Backward", wanted, (*xs, slope), [*vary, made.varies])
            return (*slopes, *(None for v in vary if v is None))

        function.defvjp(forward, backward)
        y = function(*inputs)
        if not made.varies or sequence is None:
            return y
        return sequence.with_data(y[jnp.minimum(jnp.arange(len(y)), sequence.length - 1)])  # padding repeats the last element


class _Wanted(NamedTuple):
    """An array that a function on the host has to give; of one that varies, as many elements as there are."""

    shape: tuple[int, ...]
    dtype: Any
    varies: bool

    def real(self, length: Any) -> tuple[int, ...]:
        """Its sizes in an example."""
        return (int(length), *self.shape[1:]) if self.varies else self.shape


def _called(
    function: Callable[..., Any], subject: str, wanted: list[_Wanted | None], inputs: tuple[Any, ...], vary: list[bool | None]
) -> list[Any]:
    """What a function on the host gives for an example: an array as each of those wanted, None where none is.

    `vary` says of each input whether it has elements that are padding; the one of which it says None is the number of the others.
    """
    ranks = [x.ndim for x in inputs]
    results = tuple(like for like in wanted if like is not None)
    count = next((place for place, varies in enumerate(vary) if varies is None), None)

    def checked(*example: Any) -> list[Any]:
        length = None if count is None else example[count]
        try:
            given = [x[:length] if varies else x for x, varies in zip(example, vary) if varies is not None]
            made = function(*given)
            made = [np.asarray(value) for value in (made if len(wanted) > 1 else [made])]
        except Exception as problem:  # a function of the user's may raise anything
            raise EncodingError(f"{subject} failed: {type(problem).__name__}: {problem}") from None
        if len(made) != len(wanted):
            raise EncodingError(f"{subject} must give {len(wanted)} arrays. It gave {len(made)}.")
        for value, like in zip(made, wanted):
            if like is not None and (value.shape != like.real(length) or value.dtype.kind not in "buif"):
                size = f"an array of size {shape_text(like.real(length))}" if like.shape else "a number"
                raise EncodingError(f"{subject} must give {size}. It gave {excerpt(value)}.")
        return [value for value, like in zip(made, wanted) if like is not None]

    def one(*example: Any) -> list[Any]:
        try:
            return checked(*example)
        except EncodingError as problem:
            if not _watching:
                raise
            for found in _watching.values():
                found.append(str(problem))
            return [np.nan if jnp.issubdtype(like.dtype, jnp.floating) else 0 for like in results]

    def batch(*values: Any) -> Any:
        # under vmap all have the same further levels in front
        columns = [np.array(value) for value in values]
        lead = columns[0].shape[: columns[0].ndim - ranks[0]] if columns else ()
        outputs = tuple(np.zeros((*lead, *like.shape), like.dtype) for like in results)
        for place in np.ndindex(lead):
            for output, like, value in zip(outputs, results, one(*(column[place] for column in columns))):
                output[(*place, slice(len(value))) if like.varies and np.ndim(value) else place] = value
        return outputs

    shapes = tuple(jax.ShapeDtypeStruct(like.shape, like.dtype) for like in results)
    made = iter(jax.pure_callback(batch, shapes, *inputs, vmap_method="broadcast_all"))
    return [None if like is None else next(made) for like in wanted]
