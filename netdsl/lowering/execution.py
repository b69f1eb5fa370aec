"""The execution of a flat program for one example, in pure JAX: what is traced into compiled functions."""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import jax
import jax.numpy as jnp

from netdsl.errors import DeclarationError
from netdsl.functions import FUNCTIONS
from netdsl.layers import CrossEntropyLossLayer, ElementwiseLayer, SoftmaxLayer
from netdsl.lowering.kernels import KERNELS, keeps_layout
from netdsl.nets import SHARED, ArrayPath, Arrays, Layer, Net, NetArray, Ref, Sequence, Solved, Step, element_name
from netdsl.shapes import ArrayType

__all__ = ["Context", "Wire", "device_halves", "execute"]


@dataclass(frozen=True)
class Context:
    """What surrounds the execution of one example.

    `seed` is a key or None; `indices` the example's index and those of the maps around; `axes` the names of the mapped axes;
    `weight` 1, or 0 for a padded example; `prefix` the path of the operator that holds the program.
    """

    seed: Any = None
    indices: tuple[Any, ...] = ()
    training: bool = False
    axes: tuple[str, ...] = ()
    weight: Any = 1.0
    platform: str = "cpu"
    prefix: ArrayPath = ()

    def key(self, path: ArrayPath) -> Any:
        """The random key of a layer for this example: the same whatever the batch size or padding."""
        if self.seed is None:
            raise DeclarationError(
                f"A random key is missing: {element_name(self.prefix + path)} draws random numbers while training. "
                "Call f(arrays, state, inputs, jax.random.key(1), training=True)."
            )
        key = jax.random.fold_in(self.seed, zlib.crc32("/".join(self.prefix + path).encode()))
        for index in self.indices:
            key = jax.random.fold_in(key, index)
        return key


class Wire:
    """A value on a wire, in the layouts it was asked for, and the logits it came from."""

    __slots__ = ("first", "last", "logits")

    def __init__(self, first: Any = None, last: Any = None, logits: tuple[str, Any] | None = None) -> None:
        self.first, self.last, self.logits = first, last, logits

    @property
    def value(self) -> Any:
        """The value as its type says: channels first."""
        if self.first is None:
            self.first = jnp.moveaxis(self.last, -1, 0)
        return self.first

    @property
    def channels_last(self) -> Any:
        """The value with its first level put last."""
        if self.last is None:
            self.last = jnp.moveaxis(self.first, 0, -1)
        return self.last


def device_halves(net: Net, values: Mapping[str, Any], compact: frozenset[str]) -> dict[str, Any]:
    """The inputs of one example with the encoders of the ports in `compact` run to their end."""

    def encoded(port: str, value: Any) -> Any:
        device = net.program.encoders[port].device
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
    """The wires of one example and the state after it; `solved` says the types where the net alone does not."""
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

    def outputs(self, given: dict[str, Wire]) -> tuple[Wire, ...]:
        layer = self.layer
        wires = list(given.values())
        special = self._fused_loss(wires)
        if special is None:
            special = self._channels_last(wires)
        if special is not None:
            return (special,)
        values = [wire.value for wire in wires]
        sequence = next((v for v in values if isinstance(v, Sequence)), None)
        unwrap = sequence is not None and layer.varying == "elementwise"
        if unwrap:
            values = [v.data if isinstance(v, Sequence) else v for v in values]
        results = self._apply(layer, *values)
        if unwrap:
            results = tuple(sequence.with_data(result) for result in results)  # type: ignore[union-attr]
        outputs = tuple(Wire(result) for result in results)
        self._note_logits(wires, outputs)
        return outputs

    # The layer's own function

    def _arrays(self) -> tuple[dict[str, Any], dict[str, Any]]:
        layer, path = self.layer, self.step.path
        arrays: dict[str, Any] = dict.fromkeys(layer.array_declarations)
        states: dict[str, Any] = {}
        declared = layer.declared_arrays()
        for name, value in layer.array_values().items():
            key = (SHARED, value.Name) if isinstance(value, NetArray) else (*path, name)
            if declared[name].is_state:
                states[name] = self.state[key]
                arrays.pop(name, None)
            else:
                arrays[name] = self.all_arrays[key]
        return arrays, states

    def _apply(self, layer: Layer, *values: Any) -> tuple[Any, ...]:
        arrays, states = self._arrays()
        context, needs = self.context, layer.needs
        extra: dict[str, Any] = {}
        if "key" in needs:
            extra["key"] = context.key(self.step.path) if context.training else None
        if "training" in needs:
            extra["training"] = context.training
        if "axes" in needs:
            extra["axes"] = context.axes
        if "weight" in needs:
            extra["weight"] = context.weight
        if "inner" in needs:
            solved = layer.inner_solved(self.types)
            extra["inner"] = self.inner = {name: _Inner(self, name, net, solved.get(name)) for name, net in layer.nets.items()}
        if "sizes" in needs:
            extra["sizes"] = self.types[self.step.outputs[0]].sizes
        if "state" in needs:
            extra["state"] = self._inner_state() if layer.nets else Arrays(states)
        results = layer.apply(Arrays(arrays), *values, **extra)
        if "state" in needs:
            results, new = results
            if layer.nets:
                self.state.update(new)
            else:
                self.state.update({(*self.step.path, name): value for name, value in new.items()})
        return results if isinstance(results, tuple) and not isinstance(results, Sequence) else (results,)

    def _inner_state(self) -> dict[ArrayPath, Any]:
        path = self.step.path
        return {key: value for key, value in self.state.items() if key[: len(path)] == path}

    # Softmax and cross entropy together

    def _note_logits(self, given: list[Wire], outputs: tuple[Wire, ...]) -> None:
        """Remember what a probability was made of, so that a loss can take it from there."""
        layer = self.layer
        if isinstance(layer, SoftmaxLayer):
            value = given[0].value
            rank = (value.data if isinstance(value, Sequence) else value).ndim
            if layer.axis(rank) == rank - 1 and not (isinstance(value, Sequence) and rank == 1):
                outputs[0].logits = ("softmax", value)
        elif isinstance(layer, ElementwiseLayer) and layer.Function in (FUNCTIONS["LogisticSigmoid"], "Sigmoid"):
            outputs[0].logits = ("sigmoid", given[0].value)
        elif layer.nets and "inner" in layer.needs:
            inner = self.inner.get("Net")
            if inner is not None and inner.logits is not None:
                kind, logits = inner.logits
                value = outputs[0].value
                outputs[0].logits = (kind, value.with_data(logits) if isinstance(value, Sequence) else logits)

    def _fused_loss(self, given: list[Wire]) -> Wire | None:
        layer = self.layer
        if not isinstance(layer, CrossEntropyLossLayer) or given[0].logits is None:
            return None
        kind, logits = given[0].logits
        if (kind == "sigmoid") is not (layer.TargetForm == "Binary"):
            return None
        return Wire(layer.from_logits(logits, given[1].value))

    # Channels last

    def _channels_last(self, given: list[Wire]) -> Wire | None:
        """The output computed with the channel last, where a kernel or the layer's own Interleaving does that."""
        layer = self.layer
        if not given or any(isinstance(wire.first, Sequence) for wire in given):
            return None
        kernel = KERNELS.get(self.context.platform, {}).get(type(layer))
        wire = given[0]
        if kernel is not None:
            already = layer.__dict__["Interleaving"]
            x = wire.value if already else wire.channels_last
            variant = layer if already else layer.rebuilt(Interleaving=True)
            y = kernel(variant, Arrays(self._arrays()[0]), x)
            if y is not None:
                return Wire(first=y) if already else Wire(last=y)
        if any(wire.last is None for wire in given):
            return None
        if keeps_layout(layer, {wire.last.ndim for wire in given}):
            output = Wire(last=self._apply(layer, *(wire.last for wire in given))[0])
            if isinstance(layer, ElementwiseLayer):
                self._note_logits(given, (output,))
            return output
        if layer.__dict__.get("Interleaving") is False and len(given) == len(self.step.outputs) == 1:
            result = self._apply(layer.rebuilt(Interleaving=True), wire.last)[0]
            return Wire(last=result) if result.ndim > 1 else Wire(first=result)
        return None


class _Inner:
    """An inner net of an operator, to be run inside the operator's `apply`."""

    def __init__(self, run: _Run, name: str, net: Net, solved: Solved | None) -> None:
        self.run, self.name, self.net, self.solved = run, name, net, solved
        self.input_names, self.output_names = net.input_names, net.output_names
        self.logits: tuple[str, Any] | None = None

    def __call__(
        self, inputs: Mapping[str, Any], state: Mapping[ArrayPath, Any], context: Context | None = None
    ) -> tuple[dict[str, Any], dict[ArrayPath, Any]]:
        """The outputs of the inner net by port, and the state after it, for one application."""
        step, outer = self.run.step, self.run.context
        path = (*step.path, self.name)
        context = context or replace(outer, prefix=outer.prefix + path)
        arrays = {
            key if key[0] == SHARED else key[len(path) :]: value
            for key, value in self.run.all_arrays.items()
            if key[0] == SHARED or key[: len(path)] == path
        }
        inner_state = {key[len(path) :]: value for key, value in state.items() if key[: len(path)] == path}
        wires, after = execute(self.net, arrays, inner_state, inputs, context, self.solved)
        outputs = {port: wires[ref] for port, ref in self.net.program.outputs.items()}
        self.logits = next(iter(outputs.values())).logits if len(outputs) == 1 else None
        return {port: wire.value for port, wire in outputs.items()}, {**state, **{(*path, *key): v for key, v in after.items()}}

    def mapped(
        self, inputs: Mapping[str, Any], state: Mapping[ArrayPath, Any], weights: Any
    ) -> tuple[dict[str, Any], dict[ArrayPath, Any]]:
        """The inner net over level 1 of its inputs; `weights` is one number for each element, or one for all."""
        step, outer = self.run.step, self.run.context
        path = (*step.path, self.name)
        axis = "/".join(outer.prefix + path)
        count = next(iter(inputs.values())).shape[0]
        weights = jnp.broadcast_to(jnp.asarray(weights, jnp.float32), (count,))
        kinds: list[Any] = []

        def one(values: Any, index: Any, weight: Any) -> Any:
            context = replace(
                outer, indices=(*outer.indices, index), axes=(*outer.axes, axis), weight=weight, prefix=outer.prefix + path
            )
            outputs, new = self(values, state, context)
            kinds.append(None if self.logits is None else self.logits[0])
            return outputs, new, None if self.logits is None else self.logits[1]

        outputs, new, logits = jax.vmap(one, axis_name=axis, out_axes=(0, None, 0))(dict(inputs), jnp.arange(count), weights)
        self.logits = None if kinds[-1] is None else (kinds[-1], logits)
        return outputs, new
