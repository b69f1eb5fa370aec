"""Operators: layers that hold nets and apply them in another way, such as to each element of a sequence."""

from __future__ import annotations

import math
from collections.abc import Mapping
from textwrap import indent
from typing import Any, ClassVar, Self

import jax
import jax.numpy as jnp

from netdsl.containers.promotion import lift_shared, promote
from netdsl.declarations import NAMES, POSITIVE, Constraint, FrozenDict, either, list_of, one_of, parameter, string
from netdsl.errors import DeclarationError, listing, nearest
from netdsl.functions import FUNCTIONS
from netdsl.layers.elementwise import equal_sizes
from netdsl.nets import Net, Operator, Sequence, Solved
from netdsl.nets.program import solve
from netdsl.nets.report import contradictions
from netdsl.shapes import OPEN, REAL, ArrayType, Contradiction, Length, Size, merge_sizes
from netdsl.symbols import Automatic, Rule

__all__ = [
    "NetBidirectionalOperator",
    "NetFoldOperator",
    "NetGANOperator",
    "NetMapOperator",
    "NetMapThreadOperator",
    "NetNestOperator",
    "NetPairEmbeddingOperator",
]

Types = Mapping[str, ArrayType]

Catenate, Total, Mean = FUNCTIONS["Catenate"], FUNCTIONS["Total"], FUNCTIONS["Mean"]
EuclideanDistance, CosineDistance = FUNCTIONS["EuclideanDistance"], FUNCTIONS["CosineDistance"]


def _depths(value: Any) -> FrozenDict:
    depths = {string.keep(port): POSITIVE.keep(depth) for port, depth in entries(value)}
    if len(set(depths.values())) != 1:
        raise ValueError
    return FrozenDict(depths)


def _rules(value: Any) -> tuple[Rule, ...]:
    rules = tuple(Rule(string.keep(output), string.keep(state)) for output, state in entries(value))
    if not rules:
        raise ValueError
    return rules


def entries(value: Any) -> list[tuple[Any, Any]]:
    """The pairs of a dict, a rule or a list of rules."""
    if isinstance(value, Mapping):
        return list(value.items())
    rules = [value] if isinstance(value, Rule) else list(value)
    if not all(isinstance(rule, Rule) for rule in rules):
        raise ValueError
    return [(rule.key, rule.value) for rule in rules]


_DEPTH = either(POSITIVE, Constraint("a dict from inputs to one depth", _depths, ({"Input": 0}, {}, {"a": 1, "b": 2})))
_FEEDBACK = Constraint("rules from outputs to inputs", _rules, (3, {}, ["Output"], {"Output": 1}))


class _Around(Operator):
    """An operator around the nets of `slots`.

    A subclass says how the types of its ports and those of its nets follow from each other: `inward` gives what the nets' ports are for
    its own, `outward` the reverse.
    """

    slots: ClassVar[tuple[str, ...]] = ("Net",)
    """The names of the nets, in the order in which the constructor takes them."""
    single: ClassVar[bool] = True
    """Whether each net has one input and one output."""
    varying: str | None = "aware"

    def __init__(self, *arguments: Any, **options: Any) -> None:
        if not arguments:
            raise DeclarationError(f"{self.title()} needs {self._nets_in_words()}. Got none.")
        nets = {name: promote(net, f"the net of {self.title()}") for name, net in self._given(arguments[0]).items()}
        for net in nets.values():
            if self.single and (len(net.input_names) != 1 or len(net.output_names) != 1):
                raise DeclarationError(
                    f"{self.title()} takes {self._nets_in_words()} with one input and one output. {net.title()} has the inputs "
                    f"{listing(net.input_names) or 'none'} and the outputs {listing(net.output_names)}."
                )
        self.__dict__["nets"] = FrozenDict(nets)
        lift_shared(self)
        super().__init__(*arguments[1:], **options)

    @classmethod
    def _nets_in_words(cls) -> str:
        return "a net" if len(cls.slots) == 1 else f"a list of {len(cls.slots)} nets"

    @classmethod
    def _given(cls, nets: Any) -> dict[str, Any]:
        """The nets by name, from the constructor's first argument."""
        if len(cls.slots) == 1:
            return {cls.slots[0]: nets}
        if isinstance(nets, Mapping):
            nets = [nets[name] for name in cls.slots] if set(nets) == set(cls.slots) else None
        if not isinstance(nets, (list, tuple)) or len(nets) != len(cls.slots):
            raise DeclarationError(f"{cls.__name__} takes {cls._nets_in_words()}: {listing(cls.slots)}.")
        return dict(zip(cls.slots, nets))

    # Types

    def inward(self, types: Types) -> dict[str, dict[str, ArrayType]]:
        """The types of the nets' ports, as far as those of the operator's say them."""
        raise NotImplementedError

    def outward(self, types: Types, solved: Mapping[str, Solved]) -> dict[str, ArrayType]:
        """The types of the operator's ports, as far as those of the nets' say them."""
        raise NotImplementedError

    def relate(self, types: Types) -> Types:
        return self._related(types, defaults=False)

    def default(self, types: Types) -> Types:  # type: ignore[override]
        """What the inner nets' layers assume where nothing says more."""
        return self._related(types, defaults=True)

    def _related(self, types: Types, defaults: bool) -> Types:
        while True:  # what one net says of a port, another has to hear
            said = {**types, **self.outward(types, self._solutions(types, defaults))}
            if said == types:
                return types
            types = said

    def _solutions(self, types: Types, defaults: bool = True) -> dict[str, Solved]:
        """The nets' solutions for these types of the ports; kept for those seen last."""
        inward = self.inward(types)
        key = (defaults, *((name, port, type_) for name, ports in inward.items() for port, type_ in ports.items()))
        memory = self._cached("_inner_solutions", dict)
        if key not in memory:
            made = {}
            for name, net in self.nets.items():
                made[name] = solve(net, inward.get(name, {}), defaults, source="operator")
                if made[name].clashes:
                    fact = f"cannot apply {'its net' if len(self.slots) == 1 else 'its ' + name}"
                    raise Contradiction(
                        f"{fact}{self._how}:\n" + indent(contradictions(net, made[name]), "  "), self.input_names[0]
                    )
            if len(memory) > 16:
                memory.clear()
            memory[key] = made
        return memory[key]

    _how: ClassVar[str] = ""
    """How it is applied, in the words of messages."""

    def inner_solved(self, types: Types) -> Mapping[str, Solved]:
        return self._solutions(types)

    def inner_arrays(self, types: Types) -> dict[tuple[str, ...], ArrayType]:
        try:
            solutions = self._solutions(types)
        except Contradiction:
            return {}
        return {
            path if path[0] == "" else (name, *path): type_
            for name, solved in solutions.items()
            for path, type_ in solved.arrays.items()
        }

    # As a value

    def _first(self) -> Any:
        """The constructor's first argument."""
        return self.nets[self.slots[0]] if len(self.slots) == 1 else [self.nets[name] for name in self.slots]

    def fields(self) -> dict[str, Any]:
        return {"net": self._first(), **super().fields()}

    def changed(self, **changes: Any) -> Self:
        values = self.fields() | changes
        net = values.pop("net")
        positional = [values.pop(name) for name, declared in self.parameters.items() if declared.positional]
        return type(self)(net, *positional, **values)

    def _written(self) -> list[str]:
        first = self._first()
        return ["[" + ", ".join(map(repr, first)) + "]" if isinstance(first, list) else repr(first), *super()._written()]


def _only(net: Any) -> tuple[str, str]:
    """The names of the input and the output of a net that has one of each."""
    return net.input_names[0], net.output_names[0]


def _element(type_: ArrayType, levels: int = 1) -> ArrayType:
    return ArrayType(None if type_.sizes is None else type_.sizes[levels:], type_.elements)


def _mapped(type_: ArrayType, counts: tuple[Size, ...]) -> ArrayType:
    """The type of an array of these. Elements that nobody fixed yet stay open."""
    return ArrayType(None if type_.sizes is None else (*counts, *type_.sizes), _open_elements(type_))


def _open_elements(type_: ArrayType) -> Any:
    return type_.elements if type_.integer else None


def _outer(type_: ArrayType) -> ArrayType:
    return ArrayType(type_.sizes, _open_elements(type_))


def _common_counts(types: Mapping[str, ArrayType], levels: int) -> tuple[Size, ...]:
    """The sizes of the first levels, which all these ports share."""
    counts: tuple[Size, ...] = (None,) * levels
    for port, type_ in types.items():
        if type_.sizes is not None:
            if len(type_.sizes) < levels:
                what = "level 1, which a single number does not have" if levels == 1 else f"{levels} levels"
                raise Contradiction(f"maps over {what}", port)
            counts = tuple(merge_sizes(a, b, port) for a, b in zip(counts, type_.sizes))
    return counts


class NetMapOperator(_Around):
    """Applies a net to each element along level 1.

    y[t] = net(x[t])

    Ports: Input, an array of one level more than the net's input (level 1 may vary); Output, one level more than the net's output.

    Parameters: a net with one input and one output, at "Net" for NetExtract.

    >>> NetMapOperator(Ramp)
    NetMapOperator(ElementwiseLayer(Ramp))

    Differences from Wolfram: none known. Source: Wolfram's public reference page.
    """

    signature = "... -> ..."
    _how = " to each element"

    def inward(self, types: Types) -> dict[str, dict[str, ArrayType]]:
        port, out = _only(self.nets["Net"])
        return {"Net": {port: _element(types["Input"]), out: _element(types["Output"])}}

    def outward(self, types: Types, solved: Mapping[str, Solved]) -> dict[str, ArrayType]:
        port, out = _only(self.nets["Net"])
        counts = _common_counts(types, 1)
        inner = solved["Net"]
        return {"Input": _mapped(inner.input_type(port), counts), "Output": _mapped(inner.output_type(out), counts)}

    def apply(self, arrays: Any, x: Any, *, inner: Any, axes: Any, weight: Any, state: Any) -> Any:
        net = inner["Net"]
        port, out = _only(net)
        if isinstance(x, Sequence):
            weights = x.mask.astype("float32") * weight
            outputs, new = net.mapped({port: x.data}, state, weights)
            return x.with_data(outputs[out]), new
        outputs, new = net.mapped({port: x}, state, weight)
        return outputs[out], new


class NetMapThreadOperator(_Around):
    """Applies a net to corresponding elements of several arrays.

    y[i] = net(a[i], b[i], …), with i through the first n levels; inputs that are not mapped are the same for each i.

    Ports: those of the net; each mapped input and each output has n levels more (level 1 may vary where n is 1).

    Parameters: a net, at "Net" for NetExtract; Depth, the number n of levels (default 1), or a dict from the mapped inputs to it:
    inputs not named are replicated.

    >>> add = NetMapThreadOperator(ThreadingLayer(Plus, InputPorts=["a", "b"]), a=[3, 2])
    >>> add({"a": [[1, 2], [3, 4], [5, 6]], "b": [[1, 1], [2, 2], [3, 3]]}).tolist()
    [[2.0, 3.0], [5.0, 6.0], [8.0, 9.0]]

    Differences from Wolfram: the levels of all mapped inputs are equal in number. Source: Wolfram's public reference page.
    """

    single = False
    _how = " to corresponding elements"
    Depth: Any = parameter(_DEPTH, 1, positional=True)

    @property
    def input_names(self) -> tuple[str, ...]:
        return self.nets["Net"].input_names

    @property
    def output_names(self) -> tuple[str, ...]:
        return self.nets["Net"].output_names

    @property
    def mapped(self) -> tuple[str, ...]:
        """The inputs whose elements the net is applied to."""
        return self.input_names if isinstance(self.Depth, int) else tuple(self.Depth)

    @property
    def levels(self) -> int:
        """The number of levels it maps over."""
        return self.Depth if isinstance(self.Depth, int) else next(iter(self.Depth.values()))

    def _check(self) -> None:
        for port in self.mapped:
            if port not in self.input_names:
                raise DeclarationError(f"The net of {self.title()} has no input {port!r}. {nearest(port, self.input_names)}")
        super()._check()

    def inward(self, types: Types) -> dict[str, dict[str, ArrayType]]:
        lifted = (*self.mapped, *self.output_names)
        return {"Net": {port: _element(type_, self.levels) if port in lifted else type_ for port, type_ in types.items()}}

    def outward(self, types: Types, solved: Mapping[str, Solved]) -> dict[str, ArrayType]:
        lifted = (*self.mapped, *self.output_names)
        counts = _common_counts({port: types[port] for port in lifted}, self.levels)
        if self.levels > 1 and counts and isinstance(counts[0], Length):
            raise Contradiction("maps over one level of sequences of varying length, not more", self.mapped[0])
        inner = solved["Net"]
        said = {port: inner.input_type(port) for port in self.input_names} | {
            port: inner.output_type(port) for port in self.output_names
        }
        return {port: _mapped(type_, counts) if port in lifted else _outer(type_) for port, type_ in said.items()}

    def apply(self, arrays: Any, *inputs: Any, inner: Any, weight: Any, state: Any) -> Any:
        given = dict(zip(self.input_names, inputs))
        sequence = next((given[port] for port in self.mapped if isinstance(given[port], Sequence)), None)
        if sequence is not None:
            weight = sequence.mask.astype("float32") * weight
        flat = {port: _without_length(given[port]) for port in self.mapped}
        counts = next(iter(flat.values())).shape[: self.levels]
        total = math.prod(counts)
        each = {port: value.reshape(total, *value.shape[self.levels :]) for port, value in flat.items()}
        for port in given.keys() - each.keys():
            each[port] = jax.tree.map(lambda leaf: jnp.broadcast_to(leaf, (total, *jnp.shape(leaf))), given[port])
        outputs, new = inner["Net"].mapped(each, state, weight)
        results = tuple(outputs[port].reshape(*counts, *outputs[port].shape[1:]) for port in self.output_names)
        return (results if sequence is None else tuple(map(sequence.with_data, results))), new


class NetFoldOperator(_Around):
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
    Constants: Any = parameter(either(NAMES, list_of(string, "a list of names", 0)), (), positional=True)
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
        ports = {port: _element(types[port]) if port in (*self.mapped, *self.output_names) else types[port] for port in types}
        for rule in self.Feedback:
            if not ports.get(rule.key, OPEN).known:
                ports[rule.key] = types[rule.value]
        return {"Net": ports}

    def outward(self, types: Types, solved: Mapping[str, Solved]) -> dict[str, ArrayType]:
        inner = solved["Net"]
        counts = _common_counts({port: types[port] for port in (*self.mapped, *self.output_names)}, 1)
        said = {port: _mapped(inner.input_type(port), counts) for port in self.mapped}
        said |= {port: _outer(inner.input_type(port)) for port in self.Constants}
        said |= {port: _mapped(inner.output_type(port), counts) for port in self.output_names}
        for rule in self.Feedback:
            before, after = inner.input_type(rule.value), inner.output_type(rule.key)
            said[rule.value] = _same(before, after, rule.value)
        return said

    def apply(self, arrays: Any, *inputs: Any, inner: Any, states: Any, state: Any) -> Any:
        net, given = inner["Net"], dict(zip(self.input_names, inputs))
        sequence = next((given[port] for port in self.mapped if isinstance(given[port], Sequence)), None)
        constants = {port: given[port] for port in self.Constants}
        elements = {port: _without_length(given[port]) for port in self.mapped}
        count = next(iter(elements.values())).shape[0]
        alive = jnp.ones(count, bool) if sequence is None else sequence.mask
        start = {port: states[port] if port in states else self._zeros(net, port) for port in self.state_names}

        def step(carry: Any, now: Any) -> Any:
            before, state = carry
            index, real, each = now
            outputs, state = net({**constants, **each, **before}, state, index, real)
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


class NetNestOperator(_Around):
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

    def inward(self, types: Types) -> dict[str, dict[str, ArrayType]]:
        port, out = _only(self.nets["Net"])
        both = _same(types["Input"], types["Output"], "Output")
        return {"Net": {port: both, out: both}}

    def outward(self, types: Types, solved: Mapping[str, Solved]) -> dict[str, ArrayType]:
        port, out = _only(self.nets["Net"])
        both = _same(solved["Net"].input_type(port), solved["Net"].output_type(out), "Output")
        return {"Input": both, "Output": both}

    def apply(self, arrays: Any, x: Any, *, inner: Any, state: Any) -> Any:
        net = inner["Net"]
        port, out = _only(net)

        def again(carry: Any, index: Any) -> Any:
            x, state = carry
            outputs, state = net({port: x}, state, index)
            return (jax.tree.map(lambda new, old: new.astype(old.dtype), outputs[out], x), state), None

        x = jax.tree.map(lambda leaf: leaf * jnp.ones((), jnp.result_type(float)), x) if not isinstance(x, Sequence) else x
        (x, state), _ = jax.lax.scan(again, (x, state), jnp.arange(self.Times))
        return x, state


class NetBidirectionalOperator(_Around):
    """Applies one net to a sequence and another to the reversed sequence, and puts both results together.

    y[t] = f(x)[t] joined with g(x reversed)[T + 1 - t]

    Ports: Input, a sequence (its length may vary); Output, a sequence of the same length.

    Parameters: a list of two nets, or one that is copied, at "ForwardNet" and "ReverseNet" for NetExtract; Aggregation, Catenate
    (default: along the first level of each element), Total or Mean.

    >>> ends = NetBidirectionalOperator(NetMapOperator(Ramp), Total, Input=["Varying", 1])
    >>> ends([[1.0], [-2.0]]).tolist()
    [[2.0], [0.0]]

    Differences from Wolfram: the state ports of the two nets are not there yet. Source: Wolfram's public reference page.
    """

    slots = ("ForwardNet", "ReverseNet")
    signature = "t ... -> t ..."
    Aggregation: Any = parameter(one_of(Catenate, Total, Mean), Catenate, positional=True)

    @classmethod
    def _given(cls, nets: Any) -> dict[str, Any]:
        return super()._given([nets, nets] if isinstance(nets, Net) else nets)

    def inward(self, types: Types) -> dict[str, dict[str, ArrayType]]:
        made = types["Output"]
        each = (
            made
            if made.sizes is None or self.Aggregation is not Catenate
            else ArrayType((*made.sizes[:1], None, *made.sizes[2:]))
        )
        return {name: {port: types["Input"], out: each} for name, net in self.nets.items() for port, out in [_only(net)]}

    def outward(self, types: Types, solved: Mapping[str, Solved]) -> dict[str, ArrayType]:
        ends = {name: _only(net) for name, net in self.nets.items()}
        ahead, back = (solved[name].input_type(port) for name, (port, _) in ends.items())
        first, second = (solved[name].output_type(out) for name, (_, out) in ends.items())
        takes = _same(ahead, back, "Input")
        if self.Aggregation is not Catenate:
            return {"Input": takes, "Output": _same(first, second, "Output")}
        if first.sizes is None or second.sizes is None:
            return {"Input": takes, "Output": types["Output"]}
        if min(len(first.sizes), len(second.sizes)) < 2:
            raise Contradiction("joins elements of rank 1 or more; Total or Mean puts numbers together", "Output")
        sizes = (first.sizes[1], second.sizes[1])
        joined = None if None in sizes else sum(sizes)  # type: ignore[arg-type]
        others = zip((first.sizes[0], *first.sizes[2:]), (second.sizes[0], *second.sizes[2:]))
        count, *rest = (merge_sizes(a, b, "Output") for a, b in others)
        return {"Input": takes, "Output": ArrayType((count, joined, *rest))}

    def apply(self, arrays: Any, x: Any, *, inner: Any, state: Any) -> Any:
        results = []
        for name, turn in (("ForwardNet", lambda value: value), ("ReverseNet", _reversed)):
            port, out = _only(self.nets[name])
            outputs, state = inner[name]({port: turn(x)}, state)
            results.append(turn(outputs[out]))
        first, second = map(_without_length, results)
        joined = jnp.concatenate([first, second], axis=1) if self.Aggregation is Catenate else first + second
        joined = joined / 2 if self.Aggregation is Mean else joined
        return (results[0].with_data(joined) if isinstance(results[0], Sequence) else joined), state


class NetPairEmbeddingOperator(_Around):
    """The distance between what a net makes of the two elements of a pair.

    y = distance(net(x[1]), net(x[2]))

    Ports: Input, a pair of what the net takes; Output, a number.

    Parameters: a net with one input and one output, at "Net" for NetExtract; DistanceFunction, EuclideanDistance (default) or
    CosineDistance.

    >>> NetPairEmbeddingOperator(Ramp, Input=[2, 2])([[3.0, -1.0], [0.0, 4.0]])
    5.0

    Differences from Wolfram: none known. Source: Wolfram's public reference page.
    """

    signature = "2 ... -> Output:"
    varying = None
    _how = " to each of the pair"
    DistanceFunction: Any = parameter(one_of(EuclideanDistance, CosineDistance), EuclideanDistance)

    def inward(self, types: Types) -> dict[str, dict[str, ArrayType]]:
        return {"Net": {_only(self.nets["Net"])[0]: _element(self.by_signature(types)["Input"])}}

    def outward(self, types: Types, solved: Mapping[str, Solved]) -> dict[str, ArrayType]:
        return {"Input": _mapped(solved["Net"].input_type(_only(self.nets["Net"])[0]), (2,)), "Output": ArrayType((), REAL)}

    def apply(self, arrays: Any, x: Any, *, inner: Any, weight: Any, state: Any) -> Any:
        net = inner["Net"]
        port, out = _only(net)
        outputs, state = net.mapped({port: x}, state, weight)
        return self.DistanceFunction(outputs[out][0], outputs[out][1]), state


class NetGANOperator(_Around):
    """A generator and a discriminator that train against each other.

    "JensenShannon": LossReal = -log D(x), LossFake = -log(1 - D(G(z))); "Wasserstein": LossReal = -D(x), LossFake = D(G(z)).
    The slope that reaches the generator is reversed: minimizing both losses trains the one to tell and the other to deceive.

    Ports: Sample, what the discriminator takes; Latent, what the generator takes; LossReal and LossFake, numbers; GeneratedFake, what
    the generator makes.

    Parameters: a list of the generator and the discriminator, each with one input and one output, at "Generator" and
    "Discriminator" for NetExtract [M]; Loss, "JensenShannon", "Wasserstein" or Automatic: the first where the discriminator ends in
    probabilities.

    >>> gan = NetGANOperator([NetChain([2]), NetChain([LinearLayer([]), LogisticSigmoid])], Sample=2, Latent=3)
    >>> gan.output_names
    ('LossReal', 'LossFake', 'GeneratedFake')

    Differences from Wolfram: none known. Source: Wolfram's public reference page.
    """

    slots = ("Generator", "Discriminator")
    signature = "Sample: ..., Latent: -> LossReal:, LossFake:, GeneratedFake: ..."
    varying = None
    Loss: Any = parameter(one_of("JensenShannon", "Wasserstein"), Automatic, positional=True)

    def inward(self, types: Types) -> dict[str, dict[str, ArrayType]]:
        takes, makes = _only(self.nets["Generator"])
        judged, verdict = _only(self.nets["Discriminator"])
        sample = _same(types["Sample"], types["GeneratedFake"], "Sample")
        return {
            "Generator": {takes: types["Latent"], makes: sample},
            "Discriminator": {judged: sample, verdict: ArrayType((), REAL)},
        }

    def outward(self, types: Types, solved: Mapping[str, Solved]) -> dict[str, ArrayType]:
        takes, makes = _only(self.nets["Generator"])
        judged = solved["Discriminator"].input_type(_only(self.nets["Discriminator"])[0])
        sample = _same(judged, solved["Generator"].output_type(makes), "Sample")
        number = ArrayType((), REAL)
        latent = _outer(solved["Generator"].input_type(takes))
        return {"Sample": sample, "GeneratedFake": sample, "Latent": latent, "LossReal": number, "LossFake": number}

    def apply(self, arrays: Any, sample: Any, latent: Any, *, inner: Any, state: Any) -> Any:
        generator, discriminator = inner["Generator"], inner["Discriminator"]
        (takes, makes), (judged, verdict) = _only(generator), _only(discriminator)
        fake, state = generator({takes: latent}, state)
        losses = []
        for real, thing in ((True, sample), (False, _reversing(fake[makes]))):
            said, state = discriminator({judged: thing}, state, int(real))
            losses.append(self._loss(said[verdict], discriminator.logits, real))
        return (*losses, fake[makes]), state

    def _loss(self, verdict: Any, logits: Any, real: bool) -> Any:
        probable = logits is not None and logits[0] == "sigmoid"
        if self.Loss == "Wasserstein" or (self.Loss is Automatic and not probable):
            return -verdict if real else verdict
        if probable:
            return jax.nn.softplus(-logits[1] if real else logits[1])
        return -jnp.log(jnp.maximum(verdict if real else 1 - verdict, jnp.finfo(verdict.dtype).tiny))


@jax.custom_vjp
def _reversing(x: Any) -> Any:
    """The same; the slope that comes back changes its sign."""
    return x


_reversing.defvjp(lambda x: (x, None), lambda _, slope: (-slope,))


def _without_length(value: Any) -> Any:
    return value.data if isinstance(value, Sequence) else value


def _reversed(x: Any) -> Any:
    """The elements in reverse; of a sequence the real ones, followed by padding."""
    if not isinstance(x, Sequence):
        return x[::-1]
    return x.with_data(x.data[jnp.maximum(x.length - 1 - jnp.arange(x.data.shape[0]), 0)])


def _same(a: ArrayType, b: ArrayType, slot: str) -> ArrayType:
    """What two types that must be equal say together."""
    return ArrayType(equal_sizes(a.sizes, b.sizes, slot), _open_elements(a) or _open_elements(b))
