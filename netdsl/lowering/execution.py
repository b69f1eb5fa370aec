"""The execution of a flat program for a batch of examples, in pure JAX: what is traced into compiled functions.

A layer's `apply` is written for one example; here it is mapped over the batch, step by step. A kernel takes the whole batch at
once, and so can sum over the examples itself.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cache, partial
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from netdsl.functions import FUNCTIONS
from netdsl.layers import ConvolutionLayer, CrossEntropyLossLayer, CTCLossLayer, ElementwiseLayer, SoftmaxLayer
from netdsl.lowering.context import Context
from netdsl.lowering.kernels import EXAMPLES_LAST, KERNELS, keeps_layout
from netdsl.lowering.kernels.convolution import form
from netdsl.lowering.kernels.increasing import Increased, increasing
from netdsl.lowering.kernels.pooling import only_chooses
from netdsl.lowering.precision import cast
from netdsl.lowering.rolling import STACKED, Run, of_blocks, runs_of
from netdsl.lowering.wires import BEHIND, FIRST, LAST, Wire
from netdsl.nets import SHARED, ArrayPath, Arrays, Layer, Net, NetArray, Ref, Sequence, Solved, Step, padded_alike
from netdsl.shapes import ArrayType

__all__ = ["execute"]


def execute(
    net: Net,
    arrays: Mapping[ArrayPath, Any],
    state: Mapping[ArrayPath, Any],
    inputs: Mapping[str, Any],
    context: Context,
    solved: Solved | None = None,
    runs: Iterable[Run] = (),
) -> tuple[dict[Ref, Wire], dict[ArrayPath, Any]]:
    """The wires of a batch and the state after it; `solved` says the types where the net alone does not.

    The steps of `runs` are computed in loops, and have no wires but the last of each.
    """
    work = _Work(net, arrays, dict(state), context, solved or net.solved, {}, {})
    for port, value in inputs.items():
        work.keep((-1, port), Wire(value))
    place = 0
    for run in runs:
        work.steps(place, run.start)
        work.loop(run)
        place = run.stop
    work.steps(place, len(net.program.steps))
    return work.wires, work.state


@dataclass(frozen=True)
class _Work:
    """A program at work: its wires and state so far."""

    net: Net
    arrays: Mapping[ArrayPath, Any]
    state: dict[ArrayPath, Any]
    context: Context
    solved: Solved
    wires: dict[Ref, Wire]
    padded: dict[Any, int]

    def keep(self, ref: Ref, wire: Wire) -> None:
        size = (self.solved.types[ref].sizes or (None,))[0]
        self.wires[ref] = padded_alike(wire, size, self.padded) if wire.is_sequence else wire

    def steps(self, start: int, stop: int) -> None:
        """Compute these steps, one after the other."""
        for index, step in enumerate(self.net.program.steps[start:stop], start):
            given = {port: self.wires[ref] for port, ref in step.inputs}
            outputs = _Step(step, self.arrays, self.state, self.context, self.solved.step_types(step, index)).outputs(given)
            for port, wire in zip(step.outputs, outputs):
                self.keep((index, port), wire)

    def loop(self, run: Run) -> None:
        """Compute the steps of a run: those of its first block again and again, with the arrays of each block in turn."""
        entry = self.wires[run.entry]
        layout = entry.made
        others = {ref: self.wires[ref].value for ref in run.wires}
        arrays = {paths[0]: of_blocks(self.arrays, paths) for paths in run.arrays}
        states = {paths[0]: of_blocks(self.state, paths) for paths in run.states}
        shared = {path: value for path, value in self.arrays.items() if path[0] == SHARED}
        prefix, context = self.context.prefix, self.context
        numbers = {
            prefix + paths[0]: jnp.stack([jnp.uint32(context.number(prefix + path)) for path in paths]) for paths in run.layers
        }

        def block(value: Any, own: Any) -> Any:
            arrays, states, numbers = own
            inside = replace(context, numbers={**context.numbers, **numbers})
            work = _Work(self.net, {**shared, **arrays}, dict(states), inside, self.solved, {}, dict(self.padded))
            work.wires.update({ref: Wire(other) for ref, other in others.items()} | {run.entry: Wire(value, layout)})
            work.steps(run.start, run.start + run.period)
            return work.wires[run.start + run.period - 1, run.entry[1]].within(layout), work.state

        value, states = lax.scan(block, entry.within(layout), (arrays, states, numbers), run.count)
        self.keep(run.exit, Wire(value, layout))
        for paths in run.states:
            together = (STACKED, *paths[0])
            self.state.update({together: states[paths[0]]} if together in self.state else zip(paths, states[paths[0]]))


class _Step:
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
        self.seeded = tuple(port for port, _ in step.inputs if port in step.layer.state_names)
        self.drawing = "key" in self.layer.needs and (
            self.layer.draws == "always" or (context.training and self.layer.draws is not None)
        )

    def outputs(self, given: dict[str, Wire]) -> tuple[Wire, ...]:
        wires = [wire.cast(self.dtype) for wire in given.values()]
        special = self._fused_loss(wires)
        if special is None and not self.seeded:
            special = self._kernel(wires)
        if special is not None:
            return (special, *self._states_later(wires))
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
        layer = self.layer
        arrays: dict[str, Any] = dict.fromkeys(layer.array_declarations)
        states: dict[str, Any] = {}
        declared = layer.declared_arrays()
        for name in layer.array_values():
            key = _array_path(self.step, name)
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
            extra["key"] = context.key(self.step.path, indices) if self.drawing else None
        if "sizes" in needs:
            extra["sizes"] = self.types[self.step.outputs[0]].sizes
        if "inner" in needs:
            solved = layer.inner_solved(self.types)
            within = (indices, weight, axes)
            extra["inner"] = {name: _Inner(self, name, net, solved.get(name), *within) for name, net in layer.nets.items()}
        if "state" in needs:
            path = self.step.path
            inner = {key: value for key, value in self.state.items() if key[0] == SHARED or key[: len(path)] == path}
            extra["state"] = inner if layer.nets else Arrays(states)
        return {name: value for name, value in extra.items() if name in needs}

    def _mapped(self, layer: Layer, layout: str, *values: Any) -> tuple[Wire, ...]:
        """The layer's `apply` over the batch in this layout; what it makes of the state is kept."""
        context, batch = self.context, -1 if layout == BEHIND else 0
        arrays, states = self._arrays()
        kinds: list[str | None] = [None]

        def one(values: list[Any], indices: tuple[Any, ...], weight: Any) -> Any:
            ports = len(values) - len(self.seeded)
            extra = self._extra(layer, states, indices, weight, (*context.axes, context.axis))
            if "states" in layer.needs:
                extra["states"] = dict(zip(self.seeded, values[ports:]))
            values = values[:ports]
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

    def _states_later(self, given: list[Wire]) -> tuple[Wire, ...]:
        """The states after a layer whose kernel gives none, made by its `apply` when somebody asks for them."""
        names = self.layer.state_names
        if not names:
            return ()
        made = cache(lambda: self._mapped(self.layer, FIRST, *(wire.value for wire in given))[-len(names) :])
        count = len(self.context.weights)
        shapes = [jax.ShapeDtypeStruct((count, *self.types[name].sizes), jnp.float32) for name in names]  # type: ignore[misc]
        return tuple(Wire(shape, later=partial(lambda at: made()[at].value, at)) for at, shape in enumerate(shapes))

    def _keep(self, layer: Layer, new: Mapping[Any, Any]) -> None:
        """Put what became of a layer's state into that of the net, in the types it has there: loops carry it on."""
        after = new if layer.nets else {_array_path(self.step, name): value for name, value in new.items()}
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
        if not isinstance(layer, (CrossEntropyLossLayer, CTCLossLayer)) or given[0].logits is None:
            return None
        kind, logits = given[0].logits
        if (kind == "sigmoid") is not (layer.__dict__.get("TargetForm") == "Binary"):
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
        kernel = None if self.drawing else KERNELS.get(self.context.platform, {}).get(kind)
        if "Interleaving" in self.layer.__dict__ and any(wire.is_sequence for wire in given):
            return None, FIRST
        if self.layer.__dict__.get("Interleaving") is False:
            return kernel, self._of_kernel(given)
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
        if any(wire.is_sequence for wire in given) or layer.state_names:
            return layer, FIRST
        if keeps_layout(layer, {wire.rank for wire in given}):
            return layer, max((LAST, BEHIND, FIRST), key=lambda layout: sum(layout in wire.layouts for wire in given))
        if any(BEHIND in wire.layouts for wire in given) and all(BEHIND in wire.layouts or wire.rank == 1 for wire in given):
            return layer, FIRST if layer.nets else BEHIND
        if len(given) == len(self.step.outputs) == 1 and LAST in given[0].layouts and layer.__dict__.get("Interleaving") is False:
            return layer.rebuilt(Interleaving=True), LAST
        return layer, FIRST


def _array_path(step: Step, name: str) -> ArrayPath:
    """Where the values of an array of a step's layer are in the net."""
    value = step.layer.array_values()[name]
    return (SHARED, value.Name) if isinstance(value, NetArray) else (*step.path, name)


def _in_place_of(value: Any, data: Any) -> Any:
    """The data, as a sequence of the same lengths where the value is one."""
    return value.with_data(data) if isinstance(value, Sequence) else data


def _like(value: Any, other: Any) -> Any:
    return value if value.dtype == other.dtype else value.astype(jax.dtypes.canonicalize_dtype(other.dtype))


class _Inner:
    """An inner net of an operator, to be run inside the operator's `apply`."""

    def __init__(
        self, run: _Step, name: str, net: Net, solved: Solved | None, indices: tuple[Any, ...], weight: Any, axes: tuple[str, ...]
    ) -> None:
        self.net, self.solved, self.state_path = net, solved, (*run.step.path, name)
        self.arrays = run.all_arrays
        self.input_names, self.output_names = net.input_names, net.output_names
        self.context = replace(
            run.context, indices=indices, weights=weight, axes=axes, prefix=run.context.prefix + self.state_path
        )
        self.logits: tuple[str, Any] | None = None

    def __call__(
        self,
        inputs: Mapping[str, Any],
        state: Mapping[ArrayPath, Any],
        *index: Any,
        weight: Any = 1.0,
        states: Mapping[str, Any] | None = None,
    ) -> tuple[dict[str, Any], dict[ArrayPath, Any]]:
        """The outputs of the inner net by port, and the state after it, for one application: the one of this `index` among several.

        With `states`, what its recurrent layers begin with, what becomes of them is among the outputs.
        """
        if states is not None:
            self.net, inputs = self.net.with_state_ports(tuple(states)), {**inputs, **states}
        context = self.context
        indices = (*context.indices, *map(jnp.asarray, index))
        alone = replace(context, indices=tuple(i[None] for i in indices), weights=(context.weights * weight)[None])
        outputs, after = self._batch(jax.tree.map(lambda x: jnp.asarray(x)[None], dict(inputs)), state, alone)
        self.logits = None if self.logits is None else (self.logits[0], self.logits[1][0])
        return jax.tree.map(lambda x: x[0], outputs), after

    def array(self, name: str) -> Any:
        """An array of the inner net, which is a layer."""
        layer: Any = self.net
        value = layer.array_values()[name]
        key = (SHARED, value.Name) if isinstance(value, NetArray) else (*self.state_path, name)
        return cast(self.arrays[key], self.context.precision.of(layer))

    def mapped(
        self, inputs: Mapping[str, Any], state: Mapping[ArrayPath, Any], weights: Any, places: tuple[Any, ...] | None = None
    ) -> tuple[dict[str, Any], dict[ArrayPath, Any]]:
        """The inner net over level 1 of its inputs; `weights` is one number for each element, or one for all; `places` are the
        elements' own indices, by which they draw random numbers, where these are not 0, 1, 2 …"""
        context = self.context
        count = jax.tree.leaves(dict(inputs))[0].shape[0]
        indices = (*(jnp.broadcast_to(i, (count,)) for i in context.indices), *(places or (jnp.arange(count),)))
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
        arrays, own = (
            {
                key if key[0] == SHARED else key[len(path) :]: value
                for key, value in table.items()
                if key[0] == SHARED or key[: len(path)] == path
            }
            for table in (self.arrays, state)
        )
        runs = runs_of(self.net, self.net.program.outputs.values(), self.solved)
        wires, after = execute(self.net, arrays, own, inputs, context, self.solved, runs)
        outputs = {port: wires[ref] for port, ref in self.net.program.outputs.items()}
        self.logits = next(iter(outputs.values())).logits if len(outputs) == 1 else None
        after = {key if key[0] == SHARED else (*path, *key): value for key, value in after.items()}
        return {port: wire.value for port, wire in outputs.items()}, {**state, **after}
