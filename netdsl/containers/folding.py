"""Operators that hand on what a net makes: NetFoldOperator, NetNestOperator; and NetBidirectionalOperator, which goes both ways."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp

from netdsl.constraints import NAMES, POSITIVE, Constraint, either, list_of, one_of, string
from netdsl.containers.applied import (
    Applied,
    Types,
    array_of_these,
    common_counts,
    element_of,
    entries,
    only,
    outside,
    same_type,
    without_length,
)
from netdsl.declarations import parameter
from netdsl.errors import DeclarationError, nearest
from netdsl.functions import FUNCTIONS
from netdsl.nets import Net, Sequence, Solved
from netdsl.shapes import OPEN, ArrayType, Contradiction, merge_sizes
from netdsl.symbols import Automatic, Rule

__all__ = ["NetBidirectionalOperator", "NetFoldOperator", "NetNestOperator"]

Catenate, Total, Mean = FUNCTIONS["Catenate"], FUNCTIONS["Total"], FUNCTIONS["Mean"]


def _rules(value: Any) -> tuple[Rule, ...]:
    rules = tuple(Rule(string.keep(output), string.keep(state)) for output, state in entries(value))
    if not rules:
        raise ValueError
    return rules


_FEEDBACK = Constraint('rules from outputs to inputs, such as {"Output": "State"}', _rules, (3, {}, ["Output"], {"Output": 1}))


class NetFoldOperator(Applied):
    """Applies a net to one element of a sequence after another, and hands on what it makes.

    y[t], s[t] = net(x[t], s[t-1])

    Ports: the net's inputs without those that are fed back, each with one level more (level 1 may vary), constants as they are; the
    chosen outputs, each with one level more. Each input that is fed back is a state port: NetPort("fold", "State") in a NetGraph, zero
    where nothing feeds it.

    Parameters: a net, at "Net" for NetExtract; Feedback, rules from the net's outputs to the inputs they are fed back to (default
    Output to State); Constants, the inputs that every step gets whole (default none); Outputs, those that are given as sequences
    (default all).

    >>> add = NetFoldOperator(ThreadingLayer(Plus, InputPorts=["Input", "State"]), Input=["Varying"])
    >>> add([1.0, 2.0, 3.0]).tolist()
    [1.0, 3.0, 6.0]

    Differences from Wolfram: none known. Source: Wolfram's public reference page.
    """

    single = False
    _how = " step by step"
    Feedback: Any = parameter(_FEEDBACK, (Rule("Output", "State"),), positional=True)
    Constants: Any = parameter(either(NAMES, list_of(string, "an empty list", 0)), (), positional=True)
    Outputs: Any = parameter(NAMES, Automatic, positional=True)

    @property
    def recurrent_states(self) -> Mapping[str, str]:  # type: ignore[override]
        return {rule.value: "..." for rule in self.Feedback}

    @property
    def input_names(self) -> tuple[str, ...]:
        return tuple(port for port in self.nets["Net"].input_names if port not in self.recurrent_states)

    @property
    def output_names(self) -> tuple[str, ...]:
        return self.nets["Net"].output_names if self.Outputs is Automatic else self.Outputs

    @property
    def mapped(self) -> tuple[str, ...]:
        """The inputs of which each step gets one element."""
        return tuple(port for port in self.input_names if port not in self.Constants)

    def ends(self) -> list[tuple[str, str, str, int]]:
        return [(port, "Net", port, port not in self.Constants) for port in (*self.input_names, *self.output_names)]

    def _check(self) -> None:
        net = self.nets["Net"]
        states = [rule.value for rule in self.Feedback]
        for kind, names, there in (
            ("output", [rule.key for rule in self.Feedback], net.output_names),
            ("input", states, net.input_names),
            ("input", self.Constants, self.input_names),
            ("output", self.output_names, net.output_names),
        ):
            for name in names:
                if name not in there:
                    raise DeclarationError(
                        f"The net of {self.title()}, {net.title()}, has no {kind} port {name!r} for it. {nearest(name, there)}"
                    )
        twice = next((name for name in states if states.count(name) > 1), None)
        if twice is not None:
            raise DeclarationError(f"Feedback of {self.title()} feeds the input {twice!r} twice.")
        if not self.mapped:
            raise DeclarationError(f"{self.title()} has no input left to go through: all are fed back or constant.")
        super()._check()

    def inward(self, types: Types) -> dict[str, dict[str, ArrayType]]:
        ports = {port: element_of(types[port]) if port in (*self.mapped, *self.output_names) else types[port] for port in types}
        for rule in self.Feedback:
            if not ports.get(rule.key, OPEN).known:
                ports[rule.key] = types[rule.value]
        return {"Net": ports}

    def outward(self, types: Types, solved: Mapping[str, Solved]) -> dict[str, ArrayType]:
        inner = solved["Net"]
        counts = common_counts({port: types[port] for port in (*self.mapped, *self.output_names)}, 1)
        said = {port: array_of_these(inner.input_type(port), counts) for port in self.mapped}
        said |= {port: outside(inner.input_type(port)) for port in self.Constants}
        said |= {port: array_of_these(inner.output_type(port), counts) for port in self.output_names}
        for rule in self.Feedback:
            before, after = inner.input_type(rule.value), inner.output_type(rule.key)
            said[rule.value] = same_type(before, after, rule.value)
        return said

    def apply(self, arrays: Any, *inputs: Any, inner: Any, states: Any, state: Any) -> Any:
        net, given = inner["Net"], dict(zip(self.input_names, inputs))
        sequence = next((given[port] for port in self.mapped if isinstance(given[port], Sequence)), None)
        constants = {port: given[port] for port in self.Constants}
        elements = {port: without_length(given[port]) for port in self.mapped}
        count = next(iter(elements.values())).shape[0]
        alive = jnp.ones(count, bool) if sequence is None else sequence.mask
        start = {port: states[port] if port in states else self._zeros(net, port) for port in self.state_names}

        def step(carry: Any, now: Any) -> Any:
            before, state = carry
            index, real, each = now
            outputs, state = net({**constants, **each, **before}, state, index, weight=real)
            after = {rule.value: outputs[rule.key].astype(before[rule.value].dtype) for rule in self.Feedback}
            if sequence is not None:
                after = jax.tree.map(lambda new, old: jnp.where(real, new, old), after, before)
            return (after, state), tuple(outputs[port] for port in self.output_names)

        (after, state), results = jax.lax.scan(step, (start, state), (jnp.arange(count), alive, elements))
        if sequence is not None:
            results = tuple(map(sequence.with_data, results))
        return (*results, *(after[port] for port in self.state_names)), state

    def _zeros(self, net: Any, state: str) -> Any:
        sizes = net.solved.input_type(state).sizes
        if sizes is None or None in sizes:
            raise DeclarationError(
                f"The size of the state {state!r} of {self.title()} is not known. Its net says it: declare {state}=n there."
            )
        return jnp.zeros(sizes, jnp.result_type(float))


class NetNestOperator(Applied):
    """Applies a net to its own output, n times with the same arrays.

    y = net(net(… net(x)))

    Ports: Input and Output, both of the type that the net takes and gives.

    Parameters: a net whose input and output have one type, at "Net" for NetExtract; Times, the number n.

    >>> NetNestOperator(ElementwiseLayer(lambda x: 2 * x), 3, Input=2)([1.0, 2.0]).tolist()
    [8.0, 16.0]

    Differences from Wolfram: none known. Source: Wolfram's public reference page.
    """

    signature = "... -> ..."
    _how = " to what it makes itself"
    Times: Any = parameter(POSITIVE, positional=True)

    def ends(self) -> list[tuple[str, str, str, int]]:
        port, out = only(self.nets["Net"])
        return [("Input", "Net", port, 0), ("Output", "Net", out, 0)]

    def inward(self, types: Types) -> dict[str, dict[str, ArrayType]]:
        port, out = only(self.nets["Net"])
        both = same_type(types["Input"], types["Output"], "Output")
        return {"Net": {port: both, out: both}}

    def outward(self, types: Types, solved: Mapping[str, Solved]) -> dict[str, ArrayType]:
        port, out = only(self.nets["Net"])
        both = same_type(solved["Net"].input_type(port), solved["Net"].output_type(out), "Output")
        return {"Input": both, "Output": both}

    def apply(self, arrays: Any, x: Any, *, inner: Any, state: Any) -> Any:
        net = inner["Net"]
        port, out = only(net)

        def again(carry: Any, index: Any) -> Any:
            x, state = carry
            outputs, state = net({port: x}, state, index)
            return (jax.tree.map(lambda new, old: new.astype(old.dtype), outputs[out], x), state), None

        real = without_length(x) * jnp.ones((), jnp.result_type(float))
        x = x.with_data(real) if isinstance(x, Sequence) else real
        (x, state), _ = jax.lax.scan(again, (x, state), jnp.arange(self.Times))
        return x, state


class NetBidirectionalOperator(Applied):
    """Applies one net to a sequence and another to the reversed sequence, and puts both results together.

    y[t] = f(x)[t] joined with g(x reversed)[T + 1 - t]

    Ports: Input, a sequence (its length may vary); Output, a sequence of the same length.

    Parameters: a list of two nets, or one that is copied, at "ForwardNet" and "ReverseNet" for NetExtract; Aggregation, Catenate
    (default: along the first level of each element), Total or Mean.

    >>> ends = NetBidirectionalOperator(NetMapOperator(Ramp), Total, Input=["Varying", 1])
    >>> ends([[1.0], [-2.0]]).tolist()
    [[2.0], [0.0]]

    The states of the two nets are state ports, their names after "Forward" and "Backward": NetPort("both", "ForwardState").

    Differences from Wolfram: the state of layer 2 in a chain is "Forward2/State" [M]. Source: Wolfram's public reference page.
    """

    slots = ("ForwardNet", "ReverseNet")
    opens_states = True
    signature = "t ... -> t ..."
    Aggregation: Any = parameter(one_of(Catenate, Total, Mean), Catenate, positional=True)

    @classmethod
    def _given(cls, nets: Any) -> dict[str, Any]:
        return super()._given([nets, nets] if isinstance(nets, Net) else nets)

    def ends(self) -> list[tuple[str, str, str, int]]:
        return [("Input", name, only(net)[0], 0) for name, net in self.nets.items()]

    @property
    def recurrent_states(self) -> Mapping[str, str]:  # type: ignore[override]
        return {own: "..." for name in self.slots for own in self._own_states(name).values()}

    def _own_states(self, name: str) -> dict[str, str]:
        """What the operator calls the states of one of its nets."""
        prefix = "Forward" if name == "ForwardNet" else "Backward"
        return {state: prefix + state for state in self.nets[name].state_names}

    def inward(self, types: Types) -> dict[str, dict[str, ArrayType]]:
        made = types["Output"]
        each = (
            made
            if made.sizes is None or self.Aggregation is not Catenate
            else ArrayType((*made.sizes[:1], None, *made.sizes[2:]))
        )
        states = {name: {state: types.get(own, OPEN) for state, own in self._own_states(name).items()} for name in self.nets}
        ends = {name: only(net) for name, net in self.nets.items()}
        return {name: {port: types["Input"], out: each, **states[name]} for name, (port, out) in ends.items()}

    def outward(self, types: Types, solved: Mapping[str, Solved]) -> dict[str, ArrayType]:
        states = {own: solved[name].input_type(s) for name in self.nets for s, own in self._own_states(name).items()}
        return self._joined(types, solved) | states

    def _joined(self, types: Types, solved: Mapping[str, Solved]) -> dict[str, ArrayType]:
        ends = {name: only(net) for name, net in self.nets.items()}
        ahead, back = (solved[name].input_type(port) for name, (port, _) in ends.items())
        first, second = (solved[name].output_type(out) for name, (_, out) in ends.items())
        takes = same_type(ahead, back, "Input")
        if self.Aggregation is not Catenate:
            return {"Input": takes, "Output": same_type(first, second, "Output")}
        if first.sizes is None or second.sizes is None:
            return {"Input": takes, "Output": types["Output"]}
        if min(len(first.sizes), len(second.sizes)) < 2:
            raise Contradiction("joins elements of rank 1 or more; Total or Mean puts numbers together", "Output")
        sizes = (first.sizes[1], second.sizes[1])
        joined = None if None in sizes else sum(sizes)  # type: ignore[arg-type]
        others = zip((first.sizes[0], *first.sizes[2:]), (second.sizes[0], *second.sizes[2:]))
        count, *rest = (merge_sizes(a, b, "Output") for a, b in others)
        return {"Input": takes, "Output": ArrayType((count, joined, *rest))}

    def apply(self, arrays: Any, x: Any, *, inner: Any, states: Any, state: Any) -> Any:
        results, after = [], []
        for name, turn in (("ForwardNet", lambda value: value), ("ReverseNet", _reversed)):
            port, out = only(self.nets[name])
            own = self._own_states(name)
            given = {each: states[name_here] for each, name_here in own.items() if name_here in states}
            outputs, state = inner[name]({port: turn(x)}, state, states=given)
            after += [outputs[each] for each in own]
            results.append(turn(outputs[out]))
        first, second = map(without_length, results)
        joined = jnp.concatenate([first, second], axis=1) if self.Aggregation is Catenate else first + second
        joined = joined / 2 if self.Aggregation is Mean else joined
        return (results[0].with_data(joined) if isinstance(results[0], Sequence) else joined, *after), state


def _reversed(x: Any) -> Any:
    """The elements in reverse; of a sequence the real ones, followed by padding."""
    if not isinstance(x, Sequence):
        return x[::-1]
    return x.with_data(x.data[jnp.maximum(x.length - 1 - jnp.arange(x.data.shape[0]), 0)])
