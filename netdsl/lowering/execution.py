"""The execution of a flat program for a batch of examples, in pure JAX: what is traced into compiled functions.

A layer's `apply` is written for one example; here it is mapped over the batch, step by step. A kernel takes the whole batch at
once, and so can sum over the examples itself.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import jax
import jax.numpy as jnp

from netdsl.errors import DeclarationError
from netdsl.functions import FUNCTIONS
from netdsl.layers import ConvolutionLayer, CrossEntropyLossLayer, ElementwiseLayer, SoftmaxLayer
from netdsl.lowering.kernels import EXAMPLES_LAST, KERNELS, keeps_layout
from netdsl.lowering.kernels.convolution import form
from netdsl.lowering.kernels.increasing import Increased, increasing
from netdsl.lowering.kernels.pooling import only_chooses
from netdsl.lowering.precision import REAL32, Precision, cast
from netdsl.nets import SHARED, ArrayPath, Arrays, Layer, Net, NetArray, Ref, Sequence, Solved, Step, element_name
from netdsl.shapes import ArrayType

__all__ = ["Context", "Wire", "device_halves", "execute"]


@dataclass(frozen=True)
class Context:
    """What surrounds the execution of a batch of examples.

    `seed` is a key or None; `indices` the examples' indices and those of the maps around, each an array; `weights` 1 for each
    example, or 0 where it is padded; `axes` the names of the mapped axes around the batch; `prefix` the path of the operator that
    holds the program; `precision` says in which types the layers compute.
    """

    weights: Any
    indices: tuple[Any, ...]
    seed: Any = None
    training: bool = False
    axes: tuple[str, ...] = ()
    platform: str = "cpu"
    prefix: ArrayPath = ()
    precision: Precision = REAL32

    @property
    def axis(self) -> str:
        """The name of the axis of the batch itself, for what is mapped over it."""
        return "/".join(("batch", *self.prefix))

    def key(self, path: ArrayPath, indices: tuple[Any, ...]) -> Any:
        """The random key of a layer for one example: the same whatever the batch size or padding."""
        if self.seed is None:
            when, mode = (" while training", ", training=True") if self.training else ("", "")
            raise DeclarationError(
                f"A random key is missing: {element_name(self.prefix + path)} draws random numbers{when}. "
                f"Call f(arrays, state, inputs, jax.random.key(1){mode})."
            )
        key = jax.random.fold_in(self.seed, zlib.crc32("/".join(self.prefix + path).encode()))
        for index in indices:
            key = jax.random.fold_in(key, index)
        return key


FIRST, LAST, BEHIND = "first", "last", "behind"
"""Layouts of a batch: (examples, channels, positions…) as types say, (examples, positions…, channels), and (channels, positions…,
examples). Channels are level 1 of the type, whatever it means."""


def _axes(layout: str, rank: int) -> list[int]:
    """The axes of `FIRST` in the order that they have in a layout."""
    if rank == 1:
        return [0]
    return {FIRST: [0, *range(1, rank)], LAST: [0, *range(2, rank), 1], BEHIND: [*range(1, rank), 0]}[layout]


@jax.tree_util.register_pytree_node_class
class Wire:
    """The values on a wire for a batch, in the layouts they were asked for, and what they came from.

    `made` is the layout they were made in; `logits` are those of a probability; `increased` says of what the values are an
    increasing function, in the layout they were made in. Values that may never be asked for are made when they are, by `later`:
    until then something of their shape stands in their place. As a pytree a wire has the values as their type says, so that it
    can be mapped over the batch.
    """

    __slots__ = ("increased", "later", "layouts", "logits", "made")

    def __init__(
        self,
        value: Any,
        layout: str = FIRST,
        logits: tuple[str, Any] | None = None,
        later: Callable[[], Any] | None = None,
        increased: Increased | None = None,
    ) -> None:
        self.layouts, self.made, self.logits, self.later, self.increased = {layout: value}, layout, logits, later, increased

    @classmethod
    def of(cls, increased: Increased, layout: str) -> Wire:
        """What an increasing function makes of something."""
        return cls(increased.of, layout, later=lambda: increased.value, increased=increased)

    @property
    def value(self) -> Any:
        """The values as their type says, the examples first."""
        return self.within(FIRST)

    @property
    def is_sequence(self) -> bool:
        return isinstance(self.layouts.get(FIRST), Sequence)

    @property
    def rank(self) -> int:
        """The number of axes, that of the examples among them."""
        return next(iter(self.layouts.values())).ndim

    def shape(self, layout: str) -> tuple[int, ...]:
        """The shape that the values have in a layout."""
        known, value = next(iter(self.layouts.items()))
        order = _axes(known, value.ndim)
        return tuple(value.shape[order.index(axis)] for axis in _axes(layout, value.ndim))

    def within(self, layout: str) -> Any:
        """The values in a layout, which is kept."""
        if self.later is not None:
            self.layouts[self.made], self.later = self.later(), None
        if layout not in self.layouts:
            known, value = next(iter(self.layouts.items()))
            order = _axes(known, value.ndim)
            self.layouts[layout] = jnp.transpose(value, [order.index(axis) for axis in _axes(layout, value.ndim)])
        return self.layouts[layout]

    def cast(self, dtype: Any) -> Wire:
        """The same values, and the logits they came from, in another type; for None itself."""
        if dtype is None:
            return self
        logits = None if self.logits is None else (self.logits[0], cast(self.logits[1], dtype))
        other = Wire(self.within(self.made), self.made, logits)
        other.layouts = {layout: cast(value, dtype) for layout, value in self.layouts.items()}
        return other

    def tree_flatten(self) -> tuple[tuple[Any, Any], str | None]:
        kind, logits = self.logits or (None, None)
        return (self.value, logits), kind

    @classmethod
    def tree_unflatten(cls, kind: str | None, children: tuple[Any, Any]) -> Wire:
        value, logits = children
        return cls(value, logits=None if kind is None else (kind, logits))


def device_halves(net: Net, values: Mapping[str, Any], compact: frozenset[str]) -> dict[str, Any]:
    """The inputs of a batch with the encoders of the ports in `compact` run to their end."""

    def encoded(port: str, value: Any) -> Any:
        device = jax.vmap(net.program.encoders[port].device)
        return value.with_data(device(value.data)) if isinstance(value, Sequence) else device(value)

    return {port: encoded(port, value) if port in compact else value for port, value in values.items()}


def execute(
    net: Net,
    arrays: Mapping[ArrayPath, Any],
    state: Mapping[ArrayPath, Any],
    inputs: Mapping[str, Any],
    context: Context,
    solved: Solved | None = None,
) -> tuple[dict[Ref, Wire], dict[ArrayPath, Any]]:
    """The wires of a batch and the state after it; `solved` says the types where the net alone does not."""
    program = net.program
    solved = solved or net.solved
    wires: dict[Ref, Wire] = {(-1, port): Wire(value) for port, value in inputs.items()}
    changed = dict(state)
    for index, step in enumerate(program.steps):
        given = {port: wires[ref] for port, ref in step.inputs}
        outputs = _Run(step, arrays, changed, context, solved.step_types(step, index)).outputs(given)
        for port, wire in zip(step.outputs, outputs):
            wires[index, port] = wire
    return wires, changed


class _Run:
    """One step of a program at work."""

    def __init__(
        self,
        step: Step,
        arrays: Mapping[ArrayPath, Any],
        state: dict[ArrayPath, Any],
        context: Context,
        types: Mapping[str, ArrayType],
    ) -> None:
        self.step, self.layer, self.context, self.state = step, step.layer, context, state
        self.all_arrays, self.types = arrays, types
        self.dtype = context.precision.of(step.layer)

    def outputs(self, given: dict[str, Wire]) -> tuple[Wire, ...]:
        wires = [wire.cast(self.dtype) for wire in given.values()]
        special = self._fused_loss(wires)
        if special is None:
            special = self._kernel(wires)
        if special is not None:
            return (special,)
        layer, layout = self._layout(wires)
        function = increasing(self.layer)
        if function is not None and not wires[0].is_sequence:
            before = wires[0].increased if layout == wires[0].made else None
            increased = before.then(function) if before else Increased(function, wires[0].within(layout))
            outputs: tuple[Wire, ...] = (Wire.of(increased, layout),)
        elif isinstance(layer, SoftmaxLayer) and not wires[0].is_sequence:
            x = wires[0].within(layout)
            outputs = (Wire(x, layout, later=lambda: self._mapped(layer, layout, x)[0].within(layout)),)
        else:
            outputs = self._mapped(layer, layout, *(wire.within(layout) for wire in wires))
        self._note_logits(wires, outputs)
        return outputs

    # The layer's own function

    def _arrays(self) -> tuple[Arrays, dict[str, Any]]:
        """The layer's arrays and its state, by name."""
        layer, path = self.layer, self.step.path
        arrays: dict[str, Any] = dict.fromkeys(layer.array_declarations)
        states: dict[str, Any] = {}
        declared = layer.declared_arrays()
        for name, value in layer.array_values().items():
            key = (SHARED, value.Name) if isinstance(value, NetArray) else (*path, name)
            if declared[name].is_state:
                states[name] = cast(self.state[key], self.context.precision.held)
                arrays.pop(name, None)
            else:
                arrays[name] = cast(self.all_arrays[key], self.dtype)
        return Arrays(arrays), states

    def _extra(self, layer: Layer, states: dict[str, Any], indices: tuple[Any, ...], weight: Any, axes: Any) -> dict[str, Any]:
        """What the layer asks for beside its inputs."""
        context, needs = self.context, layer.needs
        extra: dict[str, Any] = {"training": context.training, "axes": axes, "weight": weight}
        if "key" in needs:
            drawing = context.training or layer.draws == "always"
            extra["key"] = context.key(self.step.path, indices) if drawing else None
        if "sizes" in needs:
            extra["sizes"] = self.types[self.step.outputs[0]].sizes
        if "inner" in needs:
            solved = layer.inner_solved(self.types)
            within = (indices, weight, axes)
            extra["inner"] = {name: _Inner(self, name, net, solved.get(name), *within) for name, net in layer.nets.items()}
        if "state" in needs:
            path = self.step.path
            inner = {key: value for key, value in self.state.items() if key[: len(path)] == path}
            extra["state"] = inner if layer.nets else Arrays(states)
        return {name: value for name, value in extra.items() if name in needs}

    def _mapped(self, layer: Layer, layout: str, *values: Any) -> tuple[Wire, ...]:
        """The layer's `apply` over the batch in this layout; what it makes of the state is kept."""
        context, batch = self.context, -1 if layout == BEHIND else 0
        arrays, states = self._arrays()
        kinds: list[str | None] = [None]

        def one(values: list[Any], indices: tuple[Any, ...], weight: Any) -> Any:
            extra = self._extra(layer, states, indices, weight, (*context.axes, context.axis))
            sequence = next((v for v in values if isinstance(v, Sequence)), None)
            unwrap = sequence is not None and layer.varying == "elementwise"
            if unwrap:
                values = [v.data if isinstance(v, Sequence) else v for v in values]
            results, new = layer.apply(arrays, *values, **extra), {}
            if "state" in layer.needs:
                results, new = results
            results = results if isinstance(results, tuple) and not isinstance(results, Sequence) else (results,)
            if unwrap:
                results = tuple(sequence.with_data(result) for result in results)  # type: ignore[union-attr]
            net = extra.get("inner", {}).get("Net")
            kinds[0], logits = (None, None) if net is None or net.logits is None else net.logits
            return results, new, logits

        mapped = jax.vmap(one, (batch, 0, 0), (batch, None, 0), axis_name=context.axis)
        results, new, logits = mapped(list(values), context.indices, context.weights)
        self._keep(layer, new)
        wires = tuple(Wire(result, layout) for result in results)
        if kinds[0] is not None:
            wires[0].logits = (kinds[0], _in_place_of(wires[0].value, logits))
        return wires

    def _keep(self, layer: Layer, new: Mapping[Any, Any]) -> None:
        """Put what became of a layer's state into that of the net, in the types it has there: loops carry it on."""
        after = new if layer.nets else {(*self.step.path, name): value for name, value in new.items()}
        self.state.update({path: _like(value, self.state[path]) for path, value in after.items()})

    # Softmax and cross entropy together

    def _note_logits(self, given: list[Wire], outputs: tuple[Wire, ...]) -> None:
        """Remember what a probability was made of, so that a loss can take it from there."""
        layer = self.layer
        if isinstance(layer, SoftmaxLayer):
            value = given[0].value
            rank = (value.data if isinstance(value, Sequence) else value).ndim - 1
            if layer.axis(rank) == rank - 1 and not (isinstance(value, Sequence) and rank == 1):
                outputs[0].logits = ("softmax", value)
        elif isinstance(layer, ElementwiseLayer) and layer.Function in (FUNCTIONS["LogisticSigmoid"], "Sigmoid"):
            outputs[0].logits = ("sigmoid", given[0].value)

    def _fused_loss(self, given: list[Wire]) -> Wire | None:
        layer = self.layer
        if not isinstance(layer, CrossEntropyLossLayer) or given[0].logits is None:
            return None
        kind, logits = given[0].logits
        if (kind == "sigmoid") is not (layer.TargetForm == "Binary"):
            return None
        return Wire(jax.vmap(layer.from_logits)(logits, given[1].value))

    # Kernels, and layouts

    def _kernel(self, given: list[Wire]) -> Wire | None:
        """The output of the platform's kernel for this layer, where there is one for these sizes."""
        layer, (kernel, layout) = self.layer, self._chosen(given)
        if kernel is None:
            return None
        later = given[0].increased if given and layout == given[0].made else None
        if later is not None and only_chooses(layer, given[0].shape(layout)):
            inputs = [later.of]
        else:
            inputs, later = [wire.within(layout) for wire in given], None
        arrays, states = self._arrays()
        extra = self._extra(layer, states, self.context.indices, self.context.weights, self.context.axes)
        result = kernel(layer.rebuilt(Interleaving=True) if layout == LAST else layer, arrays, *inputs, **extra)
        if result is None:
            return None
        if later is not None:
            result = Increased(later.function, result)
        if isinstance(result, Increased):
            return Wire.of(result, layout)
        if "state" in layer.needs:
            result, new = result
            self._keep(layer, new)
        net = extra.get("inner", {}).get("Net")
        if net is None or net.logits is None:
            return Wire(result, layout)
        return Wire(result, logits=(net.logits[0], _in_place_of(result, net.logits[1])))

    def _chosen(self, given: list[Wire]) -> tuple[Callable[..., Any] | None, str]:
        """The kernel for this layer, and the layout in which it is given its inputs."""
        kind = type(self.layer)
        kernel = KERNELS.get(self.context.platform, {}).get(kind)
        if self.layer.__dict__.get("Interleaving") is False:
            return (None, FIRST) if any(wire.is_sequence for wire in given) else (kernel, self._of_kernel(given))
        if kind in EXAMPLES_LAST and BEHIND in given[0].layouts:
            return EXAMPLES_LAST[kind], BEHIND
        return kernel, FIRST

    def _of_kernel(self, given: list[Wire]) -> str:
        """The layout in which the kernel of a layer with channels is given its input."""
        if isinstance(self.layer, ConvolutionLayer):
            cut = form(self.layer, given[0].shape(LAST)) == "patches"
            return BEHIND if cut and not self.context.training else LAST
        return BEHIND if BEHIND in given[0].layouts else LAST

    def _layout(self, given: list[Wire]) -> tuple[Layer, str]:
        """The layer as it is mapped over the batch, and the layout for it: that of its inputs where it can compute there."""
        layer = self.layer
        if any(wire.is_sequence for wire in given):
            return layer, FIRST
        if keeps_layout(layer, {wire.rank for wire in given}):
            return layer, max((LAST, BEHIND, FIRST), key=lambda layout: sum(layout in wire.layouts for wire in given))
        if any(BEHIND in wire.layouts for wire in given) and all(BEHIND in wire.layouts or wire.rank == 1 for wire in given):
            return layer, FIRST if layer.nets else BEHIND
        if len(given) == len(self.step.outputs) == 1 and LAST in given[0].layouts and layer.__dict__.get("Interleaving") is False:
            return layer.rebuilt(Interleaving=True), LAST
        return layer, FIRST


def _in_place_of(value: Any, data: Any) -> Any:
    """The data, as a sequence of the same lengths where the value is one."""
    return value.with_data(data) if isinstance(value, Sequence) else data


def _like(value: Any, other: Any) -> Any:
    return value if value.dtype == other.dtype else value.astype(jax.dtypes.canonicalize_dtype(other.dtype))


class _Inner:
    """An inner net of an operator, to be run inside the operator's `apply`."""

    def __init__(
        self, run: _Run, name: str, net: Net, solved: Solved | None, indices: tuple[Any, ...], weight: Any, axes: tuple[str, ...]
    ) -> None:
        self.net, self.solved, self.state_path = net, solved, (*run.step.path, name)
        self.arrays = run.all_arrays
        self.input_names, self.output_names = net.input_names, net.output_names
        self.context = replace(
            run.context, indices=indices, weights=weight, axes=axes, prefix=run.context.prefix + self.state_path
        )
        self.logits: tuple[str, Any] | None = None

    def __call__(self, inputs: Mapping[str, Any], state: Mapping[ArrayPath, Any]) -> tuple[dict[str, Any], dict[ArrayPath, Any]]:
        """The outputs of the inner net by port, and the state after it, for one application."""
        context = self.context
        alone = replace(context, indices=tuple(i[None] for i in context.indices), weights=context.weights[None])
        outputs, after = self._batch(jax.tree.map(lambda x: jnp.asarray(x)[None], dict(inputs)), state, alone)
        self.logits = None if self.logits is None else (self.logits[0], self.logits[1][0])
        return jax.tree.map(lambda x: x[0], outputs), after

    def mapped(
        self, inputs: Mapping[str, Any], state: Mapping[ArrayPath, Any], weights: Any
    ) -> tuple[dict[str, Any], dict[ArrayPath, Any]]:
        """The inner net over level 1 of its inputs; `weights` is one number for each element, or one for all."""
        context = self.context
        count = jax.tree.leaves(dict(inputs))[0].shape[0]
        indices = (*(jnp.broadcast_to(i, (count,)) for i in context.indices), jnp.arange(count))
        weights = jnp.broadcast_to(jnp.asarray(weights, jnp.float32), (count,))
        return self._batch(inputs, state, replace(context, indices=indices, weights=weights))

    def merged(
        self, inputs: Mapping[str, Any], state: Mapping[ArrayPath, Any], weights: Any
    ) -> tuple[dict[str, Any], dict[ArrayPath, Any]]:
        """The same for a whole batch: over levels 1 and 2 of the inputs, as one; `weights` are (batch, elements) or less."""
        context = self.context
        batch, count = jax.tree.leaves(dict(inputs))[0].shape[:2]
        indices = (*(jnp.repeat(i, count) for i in context.indices), jnp.tile(jnp.arange(count), batch))
        weights = jnp.broadcast_to(weights, (batch, count)).reshape(-1)

        def apart(tree: Any) -> Any:
            return jax.tree.map(lambda x: x.reshape(batch, count, *x.shape[1:]), tree)

        together = jax.tree.map(lambda x: x.reshape(batch * count, *x.shape[2:]), dict(inputs))
        outputs, after = self._batch(together, state, replace(context, indices=indices, weights=weights))
        self.logits = None if self.logits is None else (self.logits[0], apart(self.logits[1]))
        return apart(outputs), after

    def _batch(
        self, inputs: Mapping[str, Any], state: Mapping[ArrayPath, Any], context: Context
    ) -> tuple[dict[str, Any], dict[ArrayPath, Any]]:
        path = self.state_path
        arrays = {
            key if key[0] == SHARED else key[len(path) :]: value
            for key, value in self.arrays.items()
            if key[0] == SHARED or key[: len(path)] == path
        }
        own = {key[len(path) :]: value for key, value in state.items() if key[: len(path)] == path}
        wires, after = execute(self.net, arrays, own, inputs, context, self.solved)
        outputs = {port: wires[ref] for port, ref in self.net.program.outputs.items()}
        self.logits = next(iter(outputs.values())).logits if len(outputs) == 1 else None
        return {port: wire.value for port, wire in outputs.items()}, {**state, **{(*path, *k): v for k, v in after.items()}}
