"""CompiledLayer: a function that runs on the host, in Python and NumPy, as a layer."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from netdsl.declarations import FUNCTION, NAMES, parameter
from netdsl.errors import EncodingError, ShapeError, UnsupportedError, excerpt
from netdsl.layers.function import argument_names
from netdsl.nets import Layer
from netdsl.shapes import REAL, ArrayType, Contradiction, shape_text
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
    integers). It holds reals unless it is declared to hold integers.

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

    @property
    def input_names(self) -> tuple[str, ...]:
        if self.InputPorts is not Automatic:
            return self.InputPorts
        return self._cached("_input_names", lambda: argument_names(self.Forward, repr(self)))

    @property
    def _gives_integers(self) -> bool:
        return getattr(self.ports.get("Output"), "integer", False)

    def relate(self, types: Mapping[str, ArrayType]) -> Mapping[str, ArrayType]:
        return {} if self._gives_integers else {"Output": ArrayType(None, REAL)}

    def default(self, types: Mapping[str, ArrayType]) -> Mapping[str, ArrayType]:  # type: ignore[override]
        """The size that the function gives for zeros."""
        inputs = tuple(types[name] for name in self.input_names)
        if types["Output"].known or not all(type_.known and not type_.varying for type_ in inputs):
            return {}
        tried = self._cached("_tried", dict)
        if inputs not in tried:
            tried[inputs] = self._try(inputs)
        return {"Output": ArrayType(tried[inputs])}

    def _try(self, inputs: tuple[ArrayType, ...]) -> tuple[int, ...]:
        shapes: list[Any] = [type_.sizes for type_ in inputs]
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
        if self._gives_integers:
            output = jax.ShapeDtypeStruct(sizes, jnp.int32)
            inputs = tuple(jax.lax.stop_gradient(x) for x in inputs)
        else:
            output = jax.ShapeDtypeStruct(sizes, jnp.result_type(jnp.float32, *inputs))

        @jax.custom_vjp
        def function(*xs: Any) -> Any:
            return _called(self.Forward, f"{self!r}: its function", [output], xs)[0]

        def forward(*xs: Any) -> Any:
            if self.Backward is None:
                raise UnsupportedError(
                    f"{self!r} has no Backward, so that nothing before it can be trained. Write CompiledLayer(forward, backward), "
                    "or set LearningRateMultipliers of what comes before it to 0."
                )
            return function(*xs), xs

        def backward(xs: Any, slope: Any) -> Any:
            real = [jnp.issubdtype(x.dtype, jnp.floating) for x in xs]
            wanted = [jax.ShapeDtypeStruct(x.shape, x.dtype) if r else None for x, r in zip(xs, real)]
            return tuple(_called(self.Backward, f"{self!r}: its Backward", wanted, (*xs, slope)))

        function.defvjp(forward, backward)
        return function(*inputs)


def _called(function: Callable[..., Any], subject: str, wanted: list[Any], inputs: tuple[Any, ...]) -> list[Any]:
    """What a function on the host gives for an example: an array as each of those wanted, None where none is."""
    ranks = [x.ndim for x in inputs]
    results = tuple(like for like in wanted if like is not None)

    def checked(*example: Any) -> list[Any]:
        try:
            made = function(*example)
            made = [np.asarray(value) for value in (made if len(wanted) > 1 else [made])]
        except Exception as problem:  # a function of the user's may raise anything
            raise EncodingError(f"{subject} failed: {type(problem).__name__}: {problem}") from None
        if len(made) != len(wanted):
            raise EncodingError(f"{subject} must give {len(wanted)} arrays. It gave {len(made)}.")
        for value, like in zip(made, wanted):
            if like is not None and (value.shape != like.shape or value.dtype.kind not in "buif"):
                size = f"an array of size {shape_text(like.shape)}" if like.shape else "a number"
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
        outputs = tuple(np.empty((*lead, *like.shape), like.dtype) for like in results)
        for place in np.ndindex(lead):
            for output, value in zip(outputs, one(*(column[place] for column in columns))):
                output[place] = value
        return outputs

    made = iter(jax.pure_callback(batch, results, *inputs, vmap_method="broadcast_all"))
    return [None if like is None else next(made) for like in wanted]
