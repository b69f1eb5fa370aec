"""FunctionLayer: any JAX function as a layer."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp

from netdsl.declarations import FUNCTION, Constraint, either, list_of, one_of, parameter
from netdsl.errors import DeclarationError
from netdsl.functions import Function as NumericFunction
from netdsl.nets import Layer, NetArray, named_arrays
from netdsl.nets.arrays import ArrayDeclaration
from netdsl.shapes import INTEGER, REAL, ArrayType, Contradiction, Length
from netdsl.symbols import Automatic

__all__ = ["FunctionLayer"]

VARYING_SAMPLE = 3
"""The length at which a function of a varying sequence is tried to learn what it gives."""


def _string(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError
    return value


_NAMES = list_of(Constraint("a name", _string, (3,)), "a list of names")


class FunctionLayer(Layer):
    """A function of one example, written in JAX.

    y = f(x), or y = f(a, b, …) with one input port for each argument

    Ports: Input for a function of one argument, else one port named after each argument (InputPorts overrides); Output, or the keys
    of the dict that the function returns (OutputPorts names them). Sizes follow by tracing once the inputs' are known.

    Arrays: every NetArray(name, Dimensions=[…]) that the function uses, learnable, under its name.

    Parameters: Function, any JAX-traceable function; InputPorts, OutputPorts, lists of names; Varying, None (default: a varying
    input is refused) or "elementwise" (the function treats each element of level 1 by itself).

    Raises ShapeError with the function's own message when it fails on the sizes it gets.

    >>> FunctionLayer(lambda a, b: a * b + 1)({"a": [1.0, 2.0], "b": [3.0, 4.0]}).tolist()
    [4.0, 9.0]

    Differences from Wolfram: the function is Python; slots are its arguments. Source: Wolfram's public reference page.
    """

    Function: Any = parameter(FUNCTION, positional=True)
    InputPorts: Any = parameter(_NAMES, Automatic)
    OutputPorts: Any = parameter(_NAMES, Automatic)
    Varying: Any = parameter(either(one_of("elementwise")), None)

    traced_arrays = True

    @property
    def varying(self) -> str | None:  # type: ignore[override]
        return self.Varying

    @property
    def input_names(self) -> tuple[str, ...]:
        if self.InputPorts is not Automatic:
            return self.InputPorts
        return self._cached("_input_names", lambda: _argument_names(self.Function, repr(self)))

    @property
    def output_names(self) -> tuple[str, ...]:
        return ("Output",) if self.OutputPorts is Automatic else self.OutputPorts

    def relate(self, types: Mapping[str, ArrayType]) -> Mapping[str, ArrayType]:
        inputs = [types[name] for name in self.input_names]
        if not all(type_.known for type_ in inputs):
            return {}
        made = self._traced(tuple(inputs))
        return dict(zip(self.output_names, made))

    def _traced(self, inputs: tuple[ArrayType, ...]) -> tuple[ArrayType, ...]:
        memory = self._cached("_traces", dict)
        if inputs not in memory:
            memory[inputs] = self._trace(inputs)
        return memory[inputs]

    def _trace(self, inputs: tuple[ArrayType, ...]) -> tuple[ArrayType, ...]:
        varying = next((type_.sizes[0] for type_ in inputs if type_.varying), None)  # type: ignore[index]
        samples = [
            jax.ShapeDtypeStruct(tuple(VARYING_SAMPLE if isinstance(s, Length) else s for s in type_.sizes),  # type: ignore[union-attr]
                                 jnp.int32 if type_.integer else jnp.float32)
            for type_ in inputs
        ]
        try:
            with named_arrays() as recorder:
                shapes = jax.eval_shape(lambda *xs: self._values(self.Function(*xs)), *samples)
        except DeclarationError:
            raise
        except Exception as error:
            first = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
            raise Contradiction(f"cannot run its function on {', '.join(str(list(s.shape)) for s in samples)}: {first}",
                                self.input_names[0] if self.input_names else None) from None
        self._net_arrays.update({name: value for name, value in recorder.seen.items() if name not in self._net_arrays})
        types = []
        for shape in shapes:
            sizes = tuple(shape.shape)
            if varying is not None and sizes and sizes[0] == VARYING_SAMPLE:
                sizes = (varying, *sizes[1:])
            types.append(ArrayType(sizes, INTEGER if jnp.issubdtype(shape.dtype, jnp.integer) else REAL))
        return tuple(types)

    def _values(self, result: Any) -> tuple[Any, ...]:
        """What the function returned, as one array for each output port."""
        if isinstance(result, Mapping):
            if set(result) != set(self.output_names):
                raise DeclarationError(f"The function of {self!r} returns the outputs {list(result)}, but its OutputPorts are "
                                       f"{list(self.output_names)}. Write FunctionLayer(f, OutputPorts={list(result)}).")
            values = tuple(result[name] for name in self.output_names)
        elif isinstance(result, (tuple, list)) and len(self.output_names) > 1:
            values = tuple(result)
        else:
            values = (result,)
        if len(values) != len(self.output_names):
            raise DeclarationError(f"The function of {self!r} returns {len(values)} values for {len(self.output_names)} output ports.")
        arrays = tuple(jnp.asarray(value) for value in values)
        return tuple(a.astype(jnp.float32) if a.dtype == jnp.bool_ else a for a in arrays)

    def apply(self, arrays: Any, *inputs: Any) -> Any:
        with named_arrays(dict(arrays.items())):
            values = self._values(self.Function(*inputs))
        return values[0] if len(self.output_names) == 1 else values

    # The arrays are those that the function names: as defaults, in its closure, or found while it is traced

    def array_slots(self) -> tuple[str, ...]:
        return tuple(self._net_arrays)

    def array_values(self) -> dict[str, Any]:
        return dict(self._net_arrays)

    def declared_arrays(self) -> Mapping[str, ArrayDeclaration]:
        return {name: ArrayDeclaration("...", name=name) for name in self._net_arrays}

    @property
    def _net_arrays(self) -> dict[str, NetArray]:
        return self._cached("_named", lambda: {array.Name: array for array in _captured(self.Function)})


def _captured(function: Any) -> list[NetArray]:
    """The NetArrays among a function's defaults and in its closure."""
    try:
        variables = inspect.getclosurevars(function)
        defaults = [p.default for p in inspect.signature(function).parameters.values()]
    except (TypeError, ValueError):
        return []
    found = [*defaults, *variables.nonlocals.values(), *variables.globals.values()]
    return [value for value in found if isinstance(value, NetArray)]


def _argument_names(function: Any, text: str) -> tuple[str, ...]:
    if isinstance(function, NumericFunction):
        return ("Input",)
    try:
        arguments = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        return ("Input",)
    names = [p.name for p in arguments if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD) and p.default is p.empty]
    if any(p.kind is p.VAR_POSITIONAL for p in arguments) and not names:
        raise DeclarationError(f"{text}: the function takes any number of arguments; name its ports with InputPorts=[...].")
    if not names:
        names = [p.name for p in arguments][:1]
    return ("Input",) if len(names) == 1 else tuple(names)

