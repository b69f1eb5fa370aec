"""FlaxLayer: a Flax NNX module as a layer."""

from __future__ import annotations

import inspect
import sys
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import jax
import jax.numpy as jnp

from netdsl.constraints import ANYTHING, BOOLEAN, NAMES, FrozenDict
from netdsl.declarations import parameter
from netdsl.errors import DeclarationError, UninitializedError, UnsupportedError, excerpt, listing
from netdsl.layers.function import port_values, traced_types
from netdsl.nets import Layer
from netdsl.nets.arrays import ArrayDeclaration
from netdsl.shapes import REAL, ArrayType
from netdsl.symbols import Automatic

__all__ = ["FlaxLayer", "is_flax_module", "is_linen_module"]

MODES = {"training": True, "train": True, "deterministic": False, "use_running_average": False}
"""What a module may call the mode, as an argument, and its value while training."""

STARTS = {"bias": 0.0, "scale": 1.0, "mean": 0.0, "var": 1.0}
"""What arrays of these names start at, as in Flax."""


class FlaxLayer(Layer):
    """A Flax NNX module as a layer; in a list of layers the module itself may stand.

    y = module(x), for one example: the module gets a batch of one, x[None].

    Ports: Input for a module of one argument, else one port named after each argument without a default (InputPorts overrides);
    Output, or the keys of the dict it returns (OutputPorts names them). Sizes follow by tracing once the inputs' are known.

    Arrays: every nnx.Param, named by its path in the module ("layers.0.kernel"). State: every other variable, such as
    nnx.BatchStat, which changes while training only. Random streams get the layer's key.

    Parameters: Module, an nnx.Module, copied; InputPorts, OutputPorts, lists of names; Interleaving, True (default: the module
    gets arrays as they are; Flax's convolutions want channels last) or False (channels come first, and are put last for it).

    While training the module is in its train() mode, else in eval(). nnx.BatchNorm takes its statistics over the whole batch, as
    BatchNormalizationLayer does; any other state that each example would change differently is refused while training.

    Raises ShapeError with the module's own message when it fails on the sizes it gets, DeclarationError for what is no
    nnx.Module, UnsupportedError while training for state that depends on one example.

    >>> from flax import nnx
    >>> layer = FlaxLayer(nnx.Linear(4, 3, rngs=nnx.Rngs(0)))
    >>> layer([0, 0, 0, 0]).tolist(), sorted(layer.arrays)
    ([0.0, 0.0, 0.0], [('bias',), ('kernel',)])

    Differences from Wolfram: there is no such layer. Source: the documentation of Flax.
    """

    Module: Any = parameter(ANYTHING, positional=True)
    InputPorts: Any = parameter(NAMES, Automatic)
    OutputPorts: Any = parameter(NAMES, Automatic)
    Interleaving: Any = parameter(BOOLEAN, True)

    def __init__(self, module: Any = None, /, *more: Any, **options: Any) -> None:
        if more:
            raise DeclarationError(
                f"FlaxLayer takes one positional argument, the module. Got {1 + len(more)}. Options are written as keywords."
            )
        if not isinstance(module, _Structure):
            if not is_flax_module(module):
                raise DeclarationError(f"FlaxLayer takes a flax.nnx.Module. Got {excerpt(module)}.{_hint(module)}")
            module, values = _split(module)
            options = {**values, **options}
        super().__init__(module, **options)

    def _empty_arrays(self) -> None:
        structure = self.Module
        self.__dict__["array_declarations"] = FrozenDict({v.name: v.declaration for v in structure.variables})
        needs = {"training", "axes", "weight", "key" if structure.streams else "", "state" if structure.has_state else ""}
        self.__dict__["needs"] = frozenset(needs - {""})
        super()._empty_arrays()

    def _take_array(self, name: str, value: Any) -> bool:
        taken = super()._take_array(name, value)
        if taken and hasattr(self.__dict__[name], "dtype"):  # as the module has it, also where that is an integer
            self.__dict__[name] = jnp.asarray(value, next(v.dtype for v in self.Module.variables if v.name == name))
        return taken

    def module(self) -> Any:
        """A Flax module as the one given, with the arrays that the layer has now; raises UninitializedError before it has all."""
        values = self.array_values()
        missing = [name for name, value in values.items() if not hasattr(value, "dtype")]
        if missing:
            raise UninitializedError(f"This FlaxLayer has no values for {listing(missing, 6)}. NetInitialize(layer) makes them.")
        return self.Module.merged(values, jax.random.key(0))

    @property
    def input_names(self) -> tuple[str, ...]:
        return self.Module.inputs if self.InputPorts is Automatic else self.InputPorts

    @property
    def output_names(self) -> tuple[str, ...]:
        return ("Output",) if self.OutputPorts is Automatic else self.OutputPorts

    def relate(self, types: Mapping[str, ArrayType]) -> Mapping[str, ArrayType]:
        inputs = tuple(types[name] for name in self.input_names)
        arrays = {v.name: ArrayType(v.shape, REAL) for v in self.Module.variables}
        if not all(type_.known and not type_.varying for type_ in inputs):
            return arrays
        made = self._kept("_traces", inputs, lambda: traced_types(lambda *xs: self._modes(*xs)[0], inputs, self.input_names))
        return {**arrays, **dict(zip(self.output_names, made))}

    def traced_function(self) -> Callable[..., Any]:
        return self._modes

    def _modes(self, *inputs: Any) -> Any:
        """The outputs in test mode, then those and the state in training mode: all that the code of the module does."""
        arrays = {v.name: jnp.zeros(v.shape, v.dtype) for v in self.Module.variables}
        tested, _ = self._run(arrays, inputs, False, jax.random.key(0))
        if not (self.Module.streams or self.Module.has_state):
            return tested, None
        return tested, self._run(arrays, inputs, True, jax.random.key(0))

    def apply(
        self,
        arrays: Any,
        *inputs: Any,
        training: bool = False,
        key: Any = None,
        axes: Any = (),
        weight: Any = 1.0,
        state: Any = None,
    ) -> Any:
        values = dict(arrays.items())
        if state is not None:
            values |= dict(state.items())
            if training and axes:
                self._refuse_own_state(values, inputs)
        outputs, after = self._run(values, inputs, training, key, axes, weight)
        outputs = outputs[0] if len(outputs) == 1 else outputs
        if state is None:
            return outputs
        return outputs, {} if not training or self.LearningRateMultipliers in (0, None) else after

    def _run(
        self, values: Mapping[str, Any], inputs: tuple[Any, ...], training: bool, key: Any, axes: Any = (), weight: Any = 1.0
    ) -> Any:
        """The module at work on one example: its outputs by port, and its state after it by name."""
        structure = self.Module
        module = structure.merged(values, key)
        if not self.Interleaving:
            inputs = tuple(jnp.moveaxis(x, 0, -1) if jnp.ndim(x) > 1 else x for x in inputs)
        with _batch(axes, weight):
            result = structure.call(module, tuple(jnp.asarray(x)[None] for x in inputs), training)
        made = port_values(result, self.output_names, f"The module of {self!r}", "FlaxLayer(module")
        outputs = tuple(y[0] for y in made)
        if not self.Interleaving:
            outputs = tuple(jnp.moveaxis(y, -1, 0) if y.ndim > 1 else y for y in outputs)
        return outputs, {name: value.astype(values[name].dtype) for name, value in structure.state_of(module).items()}

    def _refuse_own_state(self, values: Mapping[str, Any], inputs: tuple[Any, ...]) -> None:
        """Refuse state that depends on one example: there is no such thing as the state of one example."""

        def shared(name: str) -> bool:
            def after(key: Any, *xs: Any) -> Any:
                return self._run(values, xs, True, key, ("examples",))[1][name]

            mapped = jax.vmap(after, in_axes=0, out_axes=None, axis_name="examples")
            samples = [jax.ShapeDtypeStruct((2, *jnp.shape(x)), jnp.result_type(x)) for x in inputs]
            try:
                jax.eval_shape(mapped, jax.eval_shape(lambda: jax.random.split(jax.random.key(0), 2)), *samples)
            except ValueError as error:
                if "out_axes" not in str(error):
                    raise
                return False
            return True

        states = [v.name for v in self.Module.variables if v.is_state]
        own = self._cached("_own_state", lambda: [name for name in states if not shared(name)])
        if own:
            raise UnsupportedError(
                f"{self!r} cannot run in training mode: each example changes its state {listing(own, 6)} "
                "differently, and only the statistics of nnx.BatchNorm are taken over a batch. Keep "
                "that state fixed while training, or normalize with nnx.BatchNorm or BatchNormalizationLayer."
            )

    def _written(self) -> list[str]:
        return [text for text in super()._written() if text.split("=")[0] not in self.array_declarations]


def is_flax_module(thing: Any) -> bool:
    """Whether this is a module of Flax NNX; does not import Flax."""
    nnx = sys.modules.get("flax.nnx")
    return nnx is not None and isinstance(thing, nnx.Module)


def is_linen_module(thing: Any) -> bool:
    """Whether this is a module of the older Flax Linen; does not import Flax."""
    linen = sys.modules.get("flax.linen")
    return linen is not None and isinstance(thing, linen.Module)


def _hint(thing: Any) -> str:
    if not is_linen_module(thing):
        return ""
    return " flax.nnx.bridge.ToNNX(module, rngs=nnx.Rngs(0)).lazy_init(x) makes one of a Linen module."


@dataclass(frozen=True, slots=True)
class _Variable:
    """One variable of a module: an array of the layer."""

    name: str
    path: tuple[Any, ...]
    shape: tuple[int, ...]
    dtype: Any
    is_state: bool

    @property
    def declaration(self) -> ArrayDeclaration:
        """The array as a layer declares it. Flax writes weights {kernel…, inputs, outputs}."""
        initial = STARTS.get(str(self.path[-1]), 0.0 if self.is_state or len(self.shape) < 2 else "weights")
        return ArrayDeclaration("...", initial, is_state=self.is_state, name=self.name, outputs_last=True)


_Stream = tuple[tuple[Any, ...], tuple[int, ...], Any]
"""The path, shape and dtype of a key or counter of a random stream."""


class _Structure:
    """A module without the values of its variables: immutable, equal for modules of equal structure."""

    __slots__ = ("definition", "inputs", "streams", "title", "variables")

    def __init__(self, module: Any, definition: Any, variables: tuple[_Variable, ...], streams: tuple[_Stream, ...]) -> None:
        self.title = type(module).__name__
        self.definition = definition
        self.variables = variables
        self.streams = streams
        self.inputs = _arguments(module)

    @property
    def has_state(self) -> bool:
        """Whether it has variables that are not trained."""
        return any(v.is_state for v in self.variables)

    def merged(self, values: Mapping[str, Any], key: Any) -> Any:
        """The module with these values, its random streams made of the key."""
        from flax import nnx

        key = jax.random.key(0) if key is None else key
        if not jnp.issubdtype(key.dtype, jax.dtypes.prng_key):
            key = jax.random.wrap_key_data(key)
        flat = [(v.path, jnp.asarray(values[v.name]).astype(v.dtype)) for v in self.variables]
        for number, (path, shape, dtype) in enumerate(self.streams):
            is_key = jnp.issubdtype(dtype, jax.dtypes.prng_key)
            own = jax.random.fold_in(key, number)
            flat.append((path, (jax.random.split(own, shape) if shape else own) if is_key else jnp.zeros(shape, dtype)))
        module = nnx.merge(self.definition, nnx.from_flat_state(flat))
        for _, part in nnx.iter_modules(module):
            if type(part) is nnx.BatchNorm:
                part.__class__ = _batch_norm()
        return module

    def call(self, module: Any, inputs: tuple[Any, ...], training: bool) -> Any:
        """What the module gives for a batch, in training or test mode."""
        module.train() if training else module.eval()
        known = inspect.signature(module.__call__).parameters
        modes = {name: training is value for name, value in MODES.items() if name in known and name not in self.inputs}
        return module(*inputs, **modes)

    def state_of(self, module: Any) -> dict[str, Any]:
        """The values of the state variables of a module, by name."""
        if not self.has_state:
            return {}
        from flax import nnx

        found = dict(nnx.to_flat_state(nnx.state(module)))
        return {v.name: jnp.asarray(found[v.path].get_value()) for v in self.variables if v.is_state}

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, _Structure)
            and (self.variables, self.streams) == (other.variables, other.streams)
            and bool(self.definition == other.definition)
        )

    def __hash__(self) -> int:
        return hash((self.title, self.variables, self.streams))

    def __repr__(self) -> str:
        return f"<{self.title}>"


def _split(module: Any) -> tuple[_Structure, dict[str, Any]]:
    """The structure of a module, and the values of its variables by name."""
    from flax import nnx

    definition, *states = nnx.split(module, nnx.Param, nnx.RngState, ...)
    parameters, random, others = states
    variables, values = [], {}
    for flat, is_state in ((parameters, False), (others, True)):
        for path, variable in nnx.to_flat_state(flat):
            value = variable.get_value()
            name = ".".join(map(str, path)) or "value"
            if not isinstance(value, (jax.Array, bool, int, float)) and not hasattr(value, "__array__"):
                raise DeclarationError(
                    f"The variable {name!r} of {type(module).__name__} holds {excerpt(value)}, which is no "
                    "array: such a module cannot be a layer."
                )
            array = jnp.array(value)
            variables.append(_Variable(name, path, array.shape, array.dtype, is_state))
            values[name] = array
    keys = [(path, variable.get_value()) for path, variable in nnx.to_flat_state(random)]
    streams = tuple((path, value.shape, value.dtype) for path, value in keys)
    return _Structure(module, definition, tuple(variables), streams), values


def _arguments(module: Any) -> tuple[str, ...]:
    """The input ports: the arguments of a module that have no default, but for the mode."""
    arguments = inspect.signature(module.__call__).parameters.values()
    names = [p.name for p in arguments if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD) and p.default is p.empty]
    names = [name for name in names if name not in MODES]
    return tuple(names) if len(names) > 1 else ("Input",)


class _Batch(threading.local):
    """The batch around the example that a module works on, in this thread."""

    axes: tuple[str, ...] = ()
    weight: Any = 1.0


_BATCH = _Batch()


class _batch:
    """A context in which nnx.BatchNorm takes its statistics over these mapped axes, each example with its weight."""

    def __init__(self, axes: Any, weight: Any) -> None:
        self.values = tuple(axes), weight

    def __enter__(self) -> None:
        self.before = _BATCH.axes, _BATCH.weight
        _BATCH.axes, _BATCH.weight = self.values

    def __exit__(self, *_: object) -> None:
        _BATCH.axes, _BATCH.weight = self.before


@lru_cache(maxsize=1)
def _batch_norm() -> Any:
    """nnx.BatchNorm with the statistics of all examples around, each counted with its weight."""
    from flax import nnx

    class BatchNorm(nnx.BatchNorm):
        def __call__(self, x: Any, use_running_average: bool | None = None, *, mask: Any = None) -> Any:
            average = self.use_running_average if use_running_average is None else use_running_average
            if average:
                return super().__call__(x, use_running_average=True)
            axes = self.axis if isinstance(self.axis, tuple) else (self.axis,)
            others = tuple(i for i in range(x.ndim) if i not in {axis % x.ndim for axis in axes})
            values = x.astype(jnp.promote_types(x.dtype, jnp.float32))
            weights = jnp.broadcast_to(_BATCH.weight if mask is None else _BATCH.weight * mask, x.shape).astype(values.dtype)
            count = _over_batch(jnp.sum(weights, axis=others))
            mean = _over_batch(jnp.sum(weights * values, axis=others)) / count
            squares = jnp.square(values - jnp.expand_dims(mean, others))
            variance = _over_batch(jnp.sum(weights * squares, axis=others)) / count
            moving = self.mean[...], self.var[...]
            self.mean[...], self.var[...] = mean, variance
            y = super().__call__(x, use_running_average=True)
            for variable, old, new in zip((self.mean, self.var), moving, (mean, variance)):
                variable[...] = self.momentum * old + (1 - self.momentum) * jax.lax.stop_gradient(new)
            return y

    return BatchNorm


def _over_batch(value: Any) -> Any:
    return jax.lax.psum(value, _BATCH.axes) if _BATCH.axes else value
