"""FunctionLayer: any JAX function as a layer."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any, NamedTuple, Self

import jax
import jax.numpy as jnp

from netdsl.constraints import COUNT, FUNCTION, NAMES, FrozenDict, either, one_of
from netdsl.declarations import parameter
from netdsl.errors import DeclarationError, excerpt, listing
from netdsl.functions import Function as NumericFunction
from netdsl.functions.places import places
from netdsl.nets import Applications, Net, NetArray, Operator, Solved, lift_shared, named_arrays, noted
from netdsl.nets.arrays import ArrayDeclaration
from netdsl.shapes import INTEGER, REAL, ArrayType, Contradiction, Length, Size, first_length, shape_text
from netdsl.symbols import Automatic

__all__ = ["FunctionLayer"]

VARYING_SAMPLES = (3, 5)
"""The lengths at which a function of a varying sequence is tried to learn what it gives."""

TRIED_RANKS = 4
"""A function is tried on arrays of lower rank than this to learn whether it gives a dict."""


class _Trace(NamedTuple):
    """What a function does with inputs of some types: the types of what it gives, and the nets that it applies, as solved."""

    types: tuple[ArrayType, ...]
    nets: dict[str, tuple[Net, Solved]]


class FunctionLayer(Operator):
    """A function of one example, written in JAX.

    y = f(x), or y = f(a, b, …) with one input port for each argument

    Ports: Input for a function of one argument, else one port named after each argument (InputPorts overrides); Output, or the
    keys of the dict that the function returns, found by trying it on small arrays (where that fails, OutputPorts names them).
    Sizes follow by tracing once the inputs' are known.

    Arrays: every NetArray(name, Dimensions=[…]) that the function uses, learnable, under its name; ``Part(array, i)`` is
    its element i, counted from 1. Nets that the function applies to arrays are parts of the layer, each application one:
    "LinearLayer", "LinearLayer2", … by their classes; they start with the arrays they have.

    Parameters: Function, any JAX-traceable function; InputPorts, a list of names, or a number for a function of any number of
    arguments (Input1, Input2, …); OutputPorts, a list of names; Varying, None (default: a varying input is refused) or
    "elementwise" (the function treats each element of level 1 by itself); Layers, a dict from names to nets that stand for those
    that the function applies.

    Raises ShapeError with the function's own message when it fails on the sizes it gets.

    >>> FunctionLayer(lambda a, b: a * b + 1)({"a": [1.0, 2.0], "b": [3.0, 4.0]}).tolist()
    [4.0, 9.0]
    >>> FunctionLayer(lambda x: {"Sum": Total(x), "Mean": Mean(x)}).output_names
    ('Sum', 'Mean')
    >>> NetInitialize(FunctionLayer(lambda x: LinearLayer(3)(x) + x, Input=3))["LinearLayer", "Weights"].shape
    (3, 3)

    Differences from Wolfram: the function is Python; slots are its arguments; the names of the parts are netdsl's own [M].
    Source: Wolfram's public reference page.
    """

    Function: Any = parameter(FUNCTION, positional=True)
    InputPorts: Any = parameter(either(COUNT, NAMES), Automatic)
    OutputPorts: Any = parameter(NAMES, Automatic)
    Varying: Any = parameter(either(one_of("elementwise")), None)

    inner_options = ("Layers",)
    traced_arrays = True
    arithmetic = "free"

    def __init__(self, *arguments: Any, **options: Any) -> None:
        if len(arguments) == 1 and callable(arguments[0]) and options.get("OutputPorts", Automatic) is Automatic:
            options["OutputPorts"] = _found_outputs(arguments[0], options.get("InputPorts", Automatic))
        super().__init__(*arguments, **options)

    def _take_array(self, name: str, value: Any) -> bool:
        if name != "Layers":
            return super()._take_array(name, value)
        if not isinstance(value, Mapping) or not all(isinstance(net, Net) for net in value.values()):
            raise DeclarationError(f"Layers of {self.title()} is a dict from names to nets. Got {excerpt(value)}.")
        self.__dict__["nets"] = FrozenDict(value)
        lift_shared(self)
        return True

    @property
    def nets(self) -> FrozenDict:  # type: ignore[override]
        """The nets that the function applies, once it was traced; those that were put in their places, or have got arrays."""
        return self.__dict__.get("_applied") or self.__dict__["nets"]

    def fields(self) -> dict[str, Any]:
        return super().fields() | {"Layers": self.__dict__["nets"]}

    def changed(self, **changes: Any) -> Self:
        return super().changed(**({"Layers": {}} if "Function" in changes else {}) | changes)

    @property
    def varying(self) -> str | None:  # type: ignore[override]
        return self.Varying

    @property
    def input_names(self) -> tuple[str, ...]:
        if self.InputPorts is Automatic:
            return self._cached("_input_names", lambda: argument_names(self.Function, repr(self)))
        return _numbered(self.InputPorts) if isinstance(self.InputPorts, int) else self.InputPorts

    @property
    def output_names(self) -> tuple[str, ...]:
        return ("Output",) if self.OutputPorts is Automatic else self.OutputPorts

    def _known(self, types: Mapping[str, ArrayType]) -> tuple[ArrayType, ...] | None:
        """The types of the inputs, where the function can be traced for them."""
        inputs = tuple(types[name] for name in self.input_names)
        return inputs if all(type_.known and (self.Varying or not type_.varying) for type_ in inputs) else None

    def relate(self, types: Mapping[str, ArrayType]) -> Mapping[str, ArrayType]:
        inputs = self._known(types)
        if inputs is None:
            return {}
        length = first_length(inputs)
        equal = {
            name: ArrayType((length, *(type_.sizes or ())[1:])) for name, type_ in zip(self.input_names, inputs) if type_.varying
        }
        return {**equal, **dict(zip(self.output_names, self._traced(inputs).types))}

    def inner_solved(self, types: Mapping[str, ArrayType]) -> Mapping[str, Solved]:
        inputs = self._known(types)
        return {} if inputs is None else {name: solved for name, (_, solved) in self._traced(inputs).nets.items()}

    def _traced(self, inputs: tuple[ArrayType, ...]) -> _Trace:
        return self._kept("_traces", inputs, lambda: self._trace(inputs))  # type: ignore[no-any-return]

    def _trace(self, inputs: tuple[ArrayType, ...]) -> _Trace:
        tries: list[dict[str, tuple[Net, Solved]]] = []

        def function(*xs: Any) -> Any:
            tries.append({})
            return self._noted(tries[-1], *xs)

        with named_arrays() as recorder:
            types = traced_types(function, inputs, self.input_names)
        nets, first = tries[-1], self.input_names[0] if self.input_names else None
        if self.Varying and any(solved.arrays != tries[0][name][1].arrays for name, (_, solved) in nets.items()):
            raise Contradiction("applies nets whose arrays depend on the length of a sequence", first)
        if any(type_.varying for type_ in inputs) and any(net.state_paths() for net, _ in nets.values()):
            raise Contradiction("applies nets that keep state to sequences of varying length; NetMapOperator can do that", first)
        unused = [name for name in self.__dict__["nets"] if name not in nets]
        if unused:
            raise Contradiction(f"does not apply {listing(unused)}, but {listing(nets) or 'no net'}", first)
        named = [*recorder.seen.values()]
        named += [NetArray(name, Array=value) for net, _ in nets.values() for name, value in net.shared.items()]
        self._net_arrays.update({each.Name: each for each in named if each.Name not in self._net_arrays})
        self.__dict__["_applied"] = FrozenDict({name: _without_shared(net) for name, (net, _) in nets.items()})
        return _Trace(types, nets)

    def _noted(self, found: dict[str, tuple[Net, Solved]], *inputs: Any) -> tuple[Any, ...]:
        """What the function gives while it is traced."""
        with noted(self.__dict__["nets"], found):
            return self.values_of(*inputs)

    def values_of(self, *inputs: Any) -> tuple[Any, ...]:
        """What the function gives, one value for each output port."""
        return self._values(self.Function(*inputs))

    def traced_function(self) -> Any:
        return lambda *inputs: self._noted({}, *inputs)

    def _values(self, result: Any) -> tuple[Any, ...]:
        return port_values(result, self.output_names, f"The function of {self!r}", "FunctionLayer(f")

    def apply(self, arrays: Any, *inputs: Any, inner: Any, state: Any) -> Any:
        after = dict(state.items())

        def run(name: str, net: Net, given: dict[str, Any]) -> Mapping[str, Any]:
            outputs, new = inner[name](given, after, *places())
            after.update({path: value for path, value in new.items() if value is not after.get(path)})
            return outputs  # type: ignore[no-any-return]

        with named_arrays(dict(arrays.items())), Applications(run):
            return self.values_of(*inputs), after

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


def _without_shared(net: Net) -> Net:
    """The net without the values of its shared arrays; what was traced of it stays."""
    if not net.shared:
        return net
    bare = net.rebuilt(shared=FrozenDict())
    bare.__dict__.update({name: value for name, value in net.__dict__.items() if name in ("_applied", "_named")})
    return bare


def traced_types(function: Any, inputs: tuple[ArrayType, ...], names: tuple[str, ...]) -> tuple[ArrayType, ...]:
    """The types of the arrays that a function gives for inputs of these types; a Contradiction with its message when it fails.

    Of a varying sequence it must give something for each element: that is seen by trying two lengths.
    """
    length = first_length(inputs)
    samples = VARYING_SAMPLES if length is not None else VARYING_SAMPLES[:1]
    tries = [_shapes(function, inputs, sample, names) for sample in samples]
    types = []
    for made in zip(*tries):
        sizes: tuple[Size, ...] = tuple(made[0].shape)
        if length is not None:
            if any(shape.shape != (sample, *sizes[1:]) for shape, sample in zip(made, VARYING_SAMPLES)):
                given = " and ".join(shape_text(tuple(shape.shape)) or "a number" for shape in made)
                raise Contradiction(
                    f"must give one element for each of a sequence; its function gives {given} for sequences of "
                    f"{' and '.join(map(str, VARYING_SAMPLES))} elements",
                    names[0],
                )
            sizes = (length, *sizes[1:])
        types.append(ArrayType(sizes, INTEGER if jnp.issubdtype(made[0].dtype, jnp.integer) else REAL))
    return tuple(types)


def _shapes(function: Any, inputs: tuple[ArrayType, ...], length: int, names: tuple[str, ...]) -> Any:
    """The shapes that a function gives, varying inputs taken to have this length."""
    samples = [
        jax.ShapeDtypeStruct(
            tuple(length if isinstance(s, Length) else s for s in type_.sizes),  # type: ignore[union-attr]
            jnp.int32 if type_.integer else jnp.float32,
        )
        for type_ in inputs
    ]
    try:
        return jax.eval_shape(function, *samples)
    except (DeclarationError, Contradiction):
        raise
    except Exception as error:
        first = str(error).strip().splitlines()[0].rstrip(".") if str(error).strip() else type(error).__name__
        raise Contradiction(
            f"cannot run its function on {', '.join(str(list(s.shape)) for s in samples)}: {first}", names[0] if names else None
        ) from None


def port_values(result: Any, names: tuple[str, ...], subject: str, constructor: str) -> tuple[Any, ...]:
    """What a user's function returned, as one array for each output port; `subject` and `constructor` word the errors."""
    if isinstance(result, Mapping):
        if set(result) != set(names):
            raise DeclarationError(
                f"{subject} returns the outputs {list(result)}, but its OutputPorts are "
                f"{list(names)}. Write {constructor}, OutputPorts={list(result)})."
            )
        values = tuple(result[name] for name in names)
    elif isinstance(result, (tuple, list)) and len(names) > 1:
        values = tuple(result)
    else:
        values = (result,)
    if len(values) != len(names):
        raise DeclarationError(f"{subject} returns {len(values)} values for {len(names)} output ports.")
    arrays = tuple(jnp.asarray(value) for value in values)
    return tuple(a.astype(jnp.float32) if a.dtype == jnp.bool_ else a for a in arrays)


def _captured(function: Any) -> list[NetArray]:
    """The NetArrays among a function's defaults and in its closure."""
    try:
        variables = inspect.getclosurevars(function)
        defaults = [p.default for p in inspect.signature(function).parameters.values()]
    except (TypeError, ValueError):
        return []
    found = [*defaults, *variables.nonlocals.values(), *variables.globals.values()]
    return [value for value in found if isinstance(value, NetArray)]


def _numbered(count: int) -> tuple[str, ...]:
    return tuple(f"Input{i + 1}" for i in range(count))


def _found_outputs(function: Any, ports: Any) -> Any:
    """The keys of the dict that a function gives for small arrays of some rank; Automatic where it gives none, or always fails."""
    if isinstance(function, NumericFunction):
        return Automatic
    keys: list[Any] = []

    def kept(*xs: Any) -> Any:
        with noted({}, {}):
            result = function(*xs)
        keys.append(list(result) if isinstance(result, Mapping) else None)  # JAX would sort them
        return result

    for rank in range(TRIED_RANKS):
        try:
            count = ports if isinstance(ports, int) else len(argument_names(function, "") if ports is Automatic else ports)
            with named_arrays():
                jax.eval_shape(kept, *[jax.ShapeDtypeStruct((2,) * rank, jnp.float32)] * count)
        except Exception:  # a function that fails for these arrays may do for those that it gets
            continue
        return keys[-1] or Automatic
    return Automatic


def argument_names(function: Any, text: str) -> tuple[str, ...]:
    """The input ports of a function: its arguments without default, Input if there is just one."""
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
