"""NetUnfold: one step of a net that carries states along its sequences."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from textwrap import indent
from typing import Any, NamedTuple

from netdsl.constraints import FrozenDict
from netdsl.containers import NetBidirectionalOperator, NetFoldOperator, NetGraph, NetMapOperator
from netdsl.decoders.classes import ClassDecoder
from netdsl.decoders.numbers import BooleanDecoder
from netdsl.encoders.encoder import Encoder
from netdsl.errors import DeclarationError, excerpt, public
from netdsl.layers import (
    AggregationLayer,
    AppendLayer,
    AttentionLayer,
    BatchNormalizationLayer,
    CatenateLayer,
    DropoutLayer,
    ElementwiseLayer,
    EmbeddingLayer,
    NormalizationLayer,
    ReplicateLayer,
    SequenceIndicesLayer,
    SequenceLastLayer,
    SoftmaxLayer,
    ThreadingLayer,
    TotalLayer,
    UnitVectorLayer,
)
from netdsl.layers.levels import level_axes
from netdsl.nets import Net, element_name
from netdsl.nets.program import solve
from netdsl.nets.report import contradictions
from netdsl.shapes import ArrayType, Length
from netdsl.surgery.extract import NetExtract
from netdsl.surgery.flatten import flattened_parts, inner_net, spread_out
from netdsl.surgery.graphs import free_name
from netdsl.surgery.rebuild import muted_ports, settled
from netdsl.surgery.rename import graph_renamed
from netdsl.symbols import Automatic

__all__ = ["NetUnfold"]

PortRef = tuple[str, str]

STATE, AFTER = "State", "Out"
"""What the ports of the states are called: State1, State2, …, and after the step OutState1, OutState2, … [M]."""

SAME: Mapping[type, Callable[[Any], bool]] = {
    **dict.fromkeys((DropoutLayer, ElementwiseLayer, EmbeddingLayer, TotalLayer, UnitVectorLayer), lambda layer: True),
    SoftmaxLayer: lambda layer: layer.Level == -1,
    ThreadingLayer: lambda layer: layer.Broadcasting in (None, Automatic),
}
"""When layers do to an element what they do to each of a sequence."""

APART: Mapping[type, Callable[[Any, int], bool]] = {
    AggregationLayer: lambda layer, rank: 0 not in level_axes(layer.Levels, rank, "aggregates"),
    BatchNormalizationLayer: lambda layer, rank: layer.Interleaving and rank > 1,
    CatenateLayer: lambda layer, rank: layer.Level > 1,
    NormalizationLayer: lambda layer, rank: 0 not in layer.axes(rank)[0],
    SoftmaxLayer: lambda layer, rank: layer.axis(rank) != 0,
}
"""When layers that know the length of a sequence still take each of its elements by itself, by the rank of their input."""


@public
def NetUnfold(net: Any, /) -> NetGraph:
    """One step of a net that carries states along: what it does with one element of its sequences.

    ``NetUnfold(net)`` of a recurrent layer, a NetFoldOperator, or a chain or graph with such in it, is a graph. Its ports take and
    give one element where those of the net have sequences. Each state is an input port, State1, State2, …; what becomes of it is
    the output port OutState1, OutState2, …. Applied to one element after another, with the states handed on and zeros for the
    first, it gives what the net gives for the sequence.

    Attention with the mask "Causal" carries along all keys and values so far, with a window its queries too, SequenceIndicesLayer its
    inputs: states that begin as sequences without an element, and become longer by one at each step.

    A NetMapOperator becomes its net, a SequenceLastLayer goes, and what follows it is applied at every step. A recurrent layer
    stays the layer, "layer" in a graph that gives it a sequence of one element: so its arrays are the same.

    Encoders and decoders of whole sequences become those of an element where they have Dimensions or an InputDepth, else they go.

    Raises DeclarationError where a layer needs its whole sequence, as SequenceReverseLayer does, or a state is fed by a wire.

    >>> net = NetChain([EmbeddingLayer(3, 4), BasicRecurrentLayer(2), NetMapOperator(5)], Input=["Varying", "Integer"])
    >>> step = NetUnfold(net)
    >>> step.input_names, step.output_names
    (('Input', 'State1'), ('Output', 'OutState1'))
    >>> sorted(step.nets)
    ['1', '2', '3']

    Differences from Wolfram: the names of the ports of states are remembered [M]; dropout draws anew at every step.
    Source: Wolfram's public reference page.
    """
    if not isinstance(net, Net):
        raise DeclarationError(f"NetUnfold takes a net. Got {excerpt(net)}.")
    work = _Unfolding(spread_out(net))
    if not work.timed:
        raise DeclarationError(
            "NetUnfold takes a net with recurrent layers, causal attention or a NetFoldOperator, which carry states along. "
            f"Got {excerpt(net)}."
        )
    return settled(work.unfolded(), "NetUnfold", [()])  # type: ignore[no-any-return]


class _Step(NamedTuple):
    """What takes the place of a part, and which of its outputs becomes of each of its inputs that is a state."""

    net: Any
    states: Mapping[str, str]


class _Unfolding:
    """A graph of layers and operators that is being unfolded."""

    def __init__(self, graph: NetGraph) -> None:
        self.graph = graph
        self.feeds: Mapping[PortRef, PortRef] = graph.wires["feeds"]
        self.ports: dict[str, tuple[str, ...]] = {
            name: (*part.input_names, *part.output_names) for name, part in graph.nets.items()
        }
        for name, port in self.feeds:
            if port not in (*self.ports[name], *graph.nets[name].state_names):
                self.ports[name] += (port,)  # of a layer that takes any number of inputs
        self.types = {
            (name, port): graph.solved.types[graph.program.ports[(name,), port]]
            for name in graph.nets
            for port in self.ports[name]
        }
        self.timed = self._timed()

    # Which wires carry elements in the order of time

    def _timed(self) -> set[PortRef]:
        """The wires of what recurrent parts take and give, and of what is made of it, or it of, element by element."""
        wires = {name: [self.feeds.get((name, port), (name, port)) for port in self._each(name)] for name in self.graph.nets}
        at: dict[PortRef, list[str]] = {}
        for name, refs in wires.items():
            for ref in refs:
                at.setdefault(ref, []).append(name)
        timed: set[PortRef] = set()
        waiting = [name for name, part in self.graph.nets.items() if part.state_names or _past(part)]
        while waiting:
            for ref in wires[waiting.pop()]:
                if ref not in timed:
                    timed.add(ref)
                    waiting += at[ref]
        return timed

    def _each(self, name: str) -> tuple[str, ...]:
        """The ports at which a part has sequences that it goes through element by element."""
        part, apart = self.graph.nets[name], APART.get(type(self.graph.nets[name]))
        if isinstance(part, NetFoldOperator):
            return (*part.mapped, *part.output_names)
        if isinstance(part, (SequenceLastLayer, NetBidirectionalOperator)):
            return part.input_names if isinstance(part, SequenceLastLayer) else ()
        if apart is None:
            alone = (
                bool(_past(part)) or part.varying == "elementwise" or isinstance(part, NetMapOperator) or bool(part.state_names)
            )
        else:
            ranks = [rank for port in self.ports[name] if (rank := self.types[name, port].rank) is not None]
            alone = len(ranks) == len(self.ports[name]) and apart(part, max(ranks))
        return self.ports[name] if alone else ()

    def _timed_ports(self, name: str) -> list[str]:
        return [port for port in self.ports[name] if self.feeds.get((name, port), (name, port)) in self.timed]

    # The parts

    def unfolded(self) -> NetGraph:
        """The graph of one step; unchecked."""
        graph = self.graph
        for (name, port), source in self.feeds.items():
            if port in graph.nets[name].state_names:
                raise DeclarationError(
                    f"NetUnfold: the state {port!r} of {element_name((name,))}, {graph.nets[name].title()}, is fed by a wire "
                    f"from {source[0] or source[1]!r}, which would be so at every step. NetReplacePart or NetDelete takes it away."
                )
        steps = {name: step for name in graph.nets if (step := self._step(name)) is not None}
        moved = {(name, "Output"): self.feeds[name, "Input"] for name in graph.nets.keys() - steps.keys()}

        def source_of(ref: PortRef) -> PortRef:
            while ref in moved:
                ref = moved[ref]
            name, port = ref
            return (name, steps[name].states.get(port, port)) if name else ref

        feeds = {ref: source_of(source) for ref, source in self.feeds.items() if ref[0] in steps}
        outputs = {port: source_of(source) for port, source in graph.wires["outputs"].items()}
        inputs, taken = list(graph.input_names), {*graph.input_names, *outputs}
        places = [(name, before, after) for name, step in steps.items() for before, after in step.states.items()]
        for number, (name, before, after) in enumerate(places, 1):
            port, later = (free_name(f"{kind}{number}", taken) for kind in (STATE, AFTER + STATE))
            feeds[name, before], outputs[later] = ("", port), (name, after)
            inputs.append(port)
            taken |= {port, later}
        muted = {source_of(ref) for ref in muted_ports(graph)}
        muted |= {(name, port) for name, step in steps.items() for port in step.net.output_names if port not in self.ports[name]}
        nets = {name: step.net for name, step in steps.items()}
        made = NetGraph.wired(nets, feeds, inputs, outputs, muted, ports=self._outer_ports(), shared=graph.shared)
        if len(nets) == 1:
            return _without_name(made)
        return graph_renamed(made, {name: str(at) for at, name in enumerate(nets, 1)}, {}) if graph.numbered else made

    def _outer_ports(self) -> FrozenDict:
        graph, made = self.graph, {}
        for port, declared in graph.ports.items():
            ref = ("", port) if port in graph.input_names else graph.wires["outputs"][port]
            made[port] = _of_element(declared) if ref in self.timed else declared
        return FrozenDict({port: declared for port, declared in made.items() if declared is not None})

    def _step(self, name: str) -> _Step | None:
        """What takes the place of a part; None where it goes."""
        part, timed = self.graph.nets[name], self._timed_ports(name)
        if not timed:
            return _Step(part, {})
        if isinstance(part, SequenceLastLayer):
            return None
        if not set(timed) <= set(self._each(name)):
            raise DeclarationError(
                f"NetUnfold: {element_name((name,))}, {part.title()}, needs its whole sequence, and cannot be applied to one "
                "element after another."
            )
        if isinstance(part, (NetFoldOperator, NetMapOperator)):
            states = {rule.value: rule.key for rule in part.Feedback} if isinstance(part, NetFoldOperator) else {}
            return _Step(inner_net(part, NetExtract(self.graph, [name, "Net"])), states)
        if _past(part):
            return _with_past(part, {port: self.types[name, port] for port in _past(part)})
        self._check_each(name, timed)
        ports = FrozenDict({port: _of_element(declared) if port in timed else declared for port, declared in part.ports.items()})
        if type(part) in SAME and SAME[type(part)](part):
            return _Step(part.rebuilt(ports=ports), {})
        inputs = [port for port in self.ports[name] if port not in part.output_names]
        return _sequence_of_one(part, inputs, timed)

    def _check_each(self, name: str, timed: Collection[str]) -> None:
        """Refuse a layer that does not treat each element by itself: what it takes as a sequence, it must give as one."""
        part, length = self.graph.nets[name], Length("t")
        if part.state_names:
            return
        inputs = [port for port in self.ports[name] if port not in part.output_names]
        told = part if part.input_names or not inputs else part.changed(InputPorts=len(inputs))
        types = {port: self.types[name, port] for port in inputs}
        for port in timed:
            if port in inputs and (sizes := types[port].sizes):
                types[port] = types[port]._replace(sizes=(length, *sizes[1:]))
        solved = solve(told.rebuilt(ports=FrozenDict()), types)
        text = contradictions(part, solved) if solved.clashes else ""
        made = [solved.output_type(port).sizes for port in part.output_names]
        if text or any(sizes is not None and sizes[:1] != (length,) for sizes in made):
            raise DeclarationError(
                f"NetUnfold: {element_name((name,))}, {part.title()}, does not treat the elements of its sequence each by "
                f"itself.{chr(10) + indent(text, '  ') if text else ''}"
            )


def _sequence_of_one(part: Any, inputs: list[str], timed: Collection[str]) -> _Step:
    """A part that takes sequences, in a graph that gives it one element, and takes one from it; its states are ports."""
    declared = {
        port: given._replace(sizes=(1, *given.sizes[1:])) if port in timed and given.sizes else given
        for port, given in part.ports.items()
        if port not in timed or isinstance(given, ArrayType)
    }
    feeds: dict[PortRef, PortRef] = {("layer", port): ("", port) for port in inputs}
    nets: dict[str, Any] = {}
    outputs: dict[str, PortRef] = {}
    for port in inputs:
        if port in timed:
            nets[f"to {port}"], feeds[f"to {port}", "Input"] = ReplicateLayer(1), ("", port)
            feeds["layer", port] = f"to {port}", "Output"
    nets["layer"] = part.rebuilt(ports=FrozenDict(declared))
    for port in part.output_names:
        nets[f"from {port}"], feeds[f"from {port}", "Input"] = SequenceLastLayer(), ("layer", port)
        outputs[port] = f"from {port}", "Output"
    for state in part.state_names:
        feeds["layer", state], outputs[AFTER + state] = ("", state), ("layer", state)
    graph = NetGraph.wired(nets, feeds, [*inputs, *part.state_names], outputs)
    return _Step(graph, {state: AFTER + state for state in part.state_names})


def _past(part: Any) -> Mapping[str, str]:
    """What a part needs of all elements so far, by its port, and what carries it along; nothing where it has states, or needs none."""
    if isinstance(part, AttentionLayer) and part.Mask is not None:
        past = {"Key": "PastKeys", "Value": "PastValues"}
        return past if part.Mask == "Causal" else {**past, "Query": "PastQueries"}
    return {"Input": "PastInputs"} if isinstance(part, SequenceIndicesLayer) else {}


def _with_past(part: Any, types: Mapping[str, ArrayType]) -> _Step:
    """A part in a graph that adds one element to those before, gives it all of them, and takes what it gives for the last.

    Where it is told of all its inputs it stays as it is; else it is causal attention, and one query alone sees all keys there are.
    """
    past = _past(part)
    nets: dict[str, Any] = {}
    feeds: dict[PortRef, PortRef] = {("layer", port): ("", port) for port in part.input_names if port not in past}
    outputs: dict[str, PortRef] = {"Output": ("layer", "Output")}
    for port, before in past.items():
        sizes = types[port].sizes
        declared = {} if sizes is None else {"Input": ArrayType((Length(before), *sizes[1:]), types[port].elements)}
        nets[before] = AppendLayer().rebuilt(ports=FrozenDict(declared))
        feeds |= {(before, "Input"): ("", before), (before, "Element"): ("", port), ("layer", port): (before, "Output")}
        outputs[AFTER + before] = before, "Output"
    whole = set(past) == set(part.input_names)
    nets["layer"] = part.rebuilt(ports=FrozenDict(), **({} if whole else {"Mask": None}))
    if whole:
        nets["last"], feeds["last", "Input"], outputs["Output"] = SequenceLastLayer(), ("layer", "Output"), ("last", "Output")
    graph = NetGraph.wired(nets, feeds, [*part.input_names, *past.values()], outputs)
    return _Step(graph, {before: AFTER + before for before in past.values()})


def _without_name(graph: NetGraph) -> NetGraph:
    """The graph of a single graph as one, its parts by their own names."""
    [name] = graph.nets
    if not isinstance(graph.nets[name], NetGraph):
        return graph
    flat = flattened_parts(graph, [name])
    return graph_renamed(flat, {part: part.removeprefix(f"{name}/") for part in flat.nets}, {})


def _of_element(declared: Any) -> Any:
    """What is declared of a port of sequences, for one element of them; None where nothing can be said of it."""
    values = {} if isinstance(declared, ArrayType) else declared.values_of_parameters()
    if isinstance(declared, Encoder) and values.get("Dimensions"):
        return declared.changed(Dimensions=list(values["Dimensions"][1:]))
    if isinstance(declared, (BooleanDecoder, ClassDecoder)) and values["InputDepth"] > (declared.kind == "Class"):
        return declared.changed(InputDepth=values["InputDepth"] - 1)
    type_ = declared if isinstance(declared, ArrayType) else declared.type()
    return None if not type_.sizes else ArrayType(type_.sizes[1:], type_.elements)
