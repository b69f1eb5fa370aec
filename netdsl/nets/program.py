"""The flat program of a net: its layers in order, and where each input comes from; and the solution of its types.

Chains and graphs, however nested, flatten into one list of steps. Everything that must know a whole net reads this list.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from netdsl.decoders.decoder import Decoder
from netdsl.encoders.encoder import Encoder
from netdsl.errors import DeclarationError
from netdsl.nets.arrays import ArrayPath, NetArray, given_sizes
from netdsl.shapes import REAL, ArrayType, Clash, Contradiction, Length, Node, Origin, Solver

if TYPE_CHECKING:
    from netdsl.nets.layer import Layer
    from netdsl.nets.net import Net

__all__ = ["SHARED", "Parts", "Program", "Ref", "Solved", "Step", "flatten", "path_text", "solve"]

SHARED = ""
"""The first part of the path of a shared array; no layer may have this name."""

OUTER = "^"
"""What the name of a length begins with inside an operator, where it is one of the net around the operator."""

INNER = ":"
"""What the name of a length begins with that an operator has from its nets, until it is named after the operator, too."""

Ref = tuple[int, str]
"""A wire: (step, output port), or (-1, name of an input port of the net)."""

PortRef = tuple[str, str]
"""A port inside a container: (part, port), or ("", port) for a port of the container itself."""


@dataclass(frozen=True, slots=True)
class Parts:
    """What a container says of itself: its parts in an order in which they can run, and what feeds each port."""

    nets: Mapping[str, Net]
    feeds: Mapping[str, Mapping[str, PortRef]]
    outputs: Mapping[str, PortRef]


@dataclass(frozen=True, slots=True)
class Step:
    """One layer of a program."""

    path: ArrayPath
    layer: Layer
    inputs: tuple[tuple[str, Ref], ...]
    """What feeds each input port, and after them the state ports that are fed."""
    outputs: tuple[str, ...]
    """The output ports, and after them all state ports."""

    def gives(self, slot: str) -> bool:
        """Whether this is an output port that is no input too, as a state that is fed is."""
        return slot in self.outputs and all(port != slot for port, _ in self.inputs)


@dataclass(frozen=True, slots=True)
class Program:
    """The steps of a net, its ports, what is declared of them, and the encoders and decoders lifted to them."""

    steps: tuple[Step, ...]
    inputs: tuple[str, ...]
    outputs: Mapping[str, Ref]
    declared: tuple[tuple[Ref, ArrayType, tuple[ArrayPath, str], bool], ...]
    encoders: Mapping[str, Encoder]
    decoders: Mapping[str, Decoder]
    ports: Mapping[tuple[ArrayPath, str], Ref]
    """The wire at every port of every part, containers included."""


@dataclass(slots=True)
class Solved:
    """A program with the types of its wires and arrays, who fixed them, and the contradictions."""

    program: Program
    types: dict[Ref, ArrayType]
    arrays: dict[ArrayPath, ArrayType]
    clashes: list[Clash]
    variables: dict[int, Ref | ArrayPath]
    origins: dict[tuple[Any, int | str], Origin]
    equal: list[tuple[Length, Length]]
    """Lengths that have to be equal, beside those that the types say."""

    def input_type(self, port: str) -> ArrayType:
        """The type of an input port of the net."""
        return self.types[-1, port]

    def output_type(self, port: str) -> ArrayType:
        """The type of an output port of the net."""
        return self.types[self.program.outputs[port]]

    def step_types(self, step: Step, index: int) -> dict[str, ArrayType]:
        """The types of all ports and arrays of one step, by slot."""
        types = {port: self.types[ref] for port, ref in step.inputs}
        types |= {port: self.types[index, port] for port in step.outputs}
        for name, value in step.layer.array_values().items():
            types[name] = self.arrays[(SHARED, value.Name) if isinstance(value, NetArray) else (*step.path, name)]
        return types


def path_text(path: ArrayPath) -> str:
    """A path as one would write it in NetExtract."""
    return "/".join(path)


class _Flattener:
    def __init__(self) -> None:
        self.steps: list[Step] = []
        self.declared: list[tuple[Ref, ArrayType, tuple[ArrayPath, str], bool]] = []
        self.encoders: dict[str, tuple[ArrayPath, Encoder]] = {}
        self.decoders: dict[Ref, Decoder] = {}
        self.ports: dict[tuple[ArrayPath, str], Ref] = {}

    def visit(self, net: Net, path: ArrayPath, incoming: dict[str, Ref]) -> dict[str, Ref]:
        self._note(net, path, incoming, inputs=True)
        parts = net.parts()
        if parts is None:
            index = len(self.steps)
            states = net.state_names
            outputs = (*net.output_names, *states)
            ports = [port for port in incoming if port not in states]
            inputs = net.input_names or tuple(sorted(ports, key=lambda port: (len(port), port)))  # Input2 before Input10
            inputs = (*inputs, *(state for state in states if state in incoming))
            self.steps.append(Step(path, net, tuple((port, incoming[port]) for port in inputs), outputs))  # type: ignore[arg-type]
            outgoing = {port: (index, port) for port in outputs}
            for port, coder in net.lifted() if net.nets else ():  # type: ignore[attr-defined]
                ref = incoming.get(port) if port in net.input_names else outgoing.get(port)
                if ref is not None:
                    self._lift(coder, ref, (*path, *net.nets), port)
        else:
            local: dict[PortRef, Ref] = {("", port): ref for port, ref in incoming.items()}
            for name, part in parts.nets.items():
                feeds = {port: local[source] for port, source in parts.feeds[name].items()}
                feeds |= {state: incoming[at] for state in part.state_names if (at := f"{name}/{state}") in incoming}
                for port, ref in self.visit(part, (*path, name), feeds).items():
                    local[name, port] = ref
            outgoing = {port: local[source] for port, source in parts.outputs.items()}
            outgoing |= {f"{name}/{state}": local[name, state] for name, part in parts.nets.items() for state in part.state_names}
        self._note(net, path, outgoing, inputs=False)
        return outgoing

    def _note(self, net: Net, path: ArrayPath, refs: dict[str, Ref], inputs: bool) -> None:
        for port, ref in refs.items():
            self.ports[path, port] = ref
        for port, declared in net.ports.items():
            if port not in refs or (port in net.input_names) is not inputs:
                continue
            ref = refs[port]
            if isinstance(declared, (Encoder, Decoder)):
                self._lift(declared, ref, path, port)
                declared = declared.type()
            self.declared.append((ref, declared, (path, port), inputs))

    def _lift(self, coder: Encoder | Decoder, ref: Ref, path: ArrayPath, port: str) -> None:
        if isinstance(coder, Decoder):
            self.decoders[ref] = coder
            return
        if ref[0] != -1:
            return
        known = self.encoders.get(ref[1])
        if known is None:
            self.encoders[ref[1]] = (path, coder)
        elif known[1] != coder and path[: len(known[0])] != known[0]:
            raise DeclarationError(
                f"Two different encoders meet at the input port {ref[1]!r}: {known[1]!r} of layer {path_text(known[0])!r} and "
                f"{coder!r} of layer {path_text(path)!r}. Declare one for the whole net: {ref[1]}=NetEncoder(...)."
            )


def flatten(net: Net, states: tuple[str, ...] | None = None) -> Program:
    """The flat program of a net; with `states`, these are inputs too, and all its states are outputs."""
    flattener = _Flattener()
    inputs = (*net.input_names, *(states or ()))
    outgoing = flattener.visit(net, (), {port: (-1, port) for port in inputs})
    outputs = {port: outgoing[port] for port in (*net.output_names, *(() if states is None else net.state_names))}
    decoders = {port: flattener.decoders[ref] for port, ref in outputs.items() if ref in flattener.decoders}
    encoders = {port: encoder for port, (_, encoder) in flattener.encoders.items()}
    return Program(tuple(flattener.steps), inputs, outputs, tuple(flattener.declared), encoders, decoders, flattener.ports)


def solve(net: Net, extra: Mapping[str, ArrayType] | None = None, defaults: bool = True, source: str = "data") -> Solved:
    """The types of everything in a net; `extra` declares more of its ports: what the "data" are, or what an "operator" around it says.

    Without `defaults` only what follows is fixed, and nothing that layers assume where nothing says more.
    """
    while True:
        named = _traced_names(net)
        solved = _solve_once(net, extra or {}, defaults, source)
        if _traced_names(net) == named:
            return solved


def _traced_names(net: Net) -> list[list[str]]:
    """The arrays that functions have named so far; tracing may find more."""
    return [list(step.layer.array_values()) for step in net.program.steps if step.layer.traced_arrays]


def _solve_once(net: Net, extra: Mapping[str, ArrayType], defaults: bool, source: str) -> Solved:
    program = net.program
    numbers: dict[Any, int] = {}
    for port in program.inputs:
        numbers[-1, port] = len(numbers)
    nodes = []
    array_variables: dict[ArrayPath, int] = {}
    for index, step in enumerate(program.steps):
        slots = {port: numbers[ref] for port, ref in step.inputs}
        for port in step.outputs:  # a state has one type, before and after
            same = slots.get(port) if port in step.layer.state_names else None
            slots[port] = numbers[index, port] = len(numbers) if same is None else same
        given = {}
        layer = step.layer
        for name, value in layer.array_values().items():
            path = (SHARED, value.Name) if isinstance(value, NetArray) else (*step.path, name)
            slots[name] = array_variables[path] = numbers.setdefault(path, len(numbers))
            sizes = given_sizes(net.shared, value)
            if sizes is not None:
                given[name] = ArrayType(sizes, REAL)
        inputs, outputs = layer.port_sets(step)
        relate, default = layer.relate, layer.default
        if layer.nets:
            relate = _named(relate, step.path)
            default = default and _named(default, step.path)
        nodes.append(Node(index, relate, slots, inputs, outputs, given, default if defaults else None))
    solver = Solver(len(numbers))
    for ref, type_, (path, port), consumer in program.declared:
        solver.declare(numbers[ref], _fresh(type_, path, port), ("declared", path, port), port, consumer and ref[0] != -1)
    for port, type_ in extra.items():
        ref = (-1, port) if port in program.inputs else program.outputs[port]
        solver.declare(numbers[ref], _fresh(type_, (), port), (source, (), port), port, False)
    solution = solver.solve(nodes)
    names = {number: key for key, number in numbers.items()}
    types = {key: _settled(solution.types[number]) for key, number in numbers.items() if isinstance(key[0], int)}
    arrays = {path: _settled(solution.types[number]) for path, number in array_variables.items()}
    equal = solution.equal
    for index, step in enumerate(program.steps):
        if step.layer.nets:
            ports = {port: types[ref] for port, ref in step.inputs} | {port: types[index, port] for port in step.outputs}
            inner = step.layer.inner_arrays(ports)
            equal = equal + _equal_inside(step.layer, ports)
            arrays |= {path if path[0] == SHARED else (*step.path, *path): type_ for path, type_ in inner.items()}
    failed = {clash.owner for clash in solution.clashes}
    clashes = solution.clashes + [
        clash for index, step in enumerate(program.steps) if index not in failed for clash in _not_varying(step, index, types)
    ]
    return Solved(program, types, arrays, clashes, names, solution.origins, equal)


def outer_name(name: str) -> str:
    """What a length of an inner net is called outside the operator."""
    return name.removeprefix(OUTER) if name.startswith(OUTER) else INNER + name


def _named(relate: Any, path: ArrayPath) -> Any:
    """The relation of an operator, in which lengths that only its nets have are named after it."""

    def change(name: str) -> str:
        return ":".join(path) + name if name.startswith(INNER) else name

    return lambda types: {slot: type_.renamed(change) for slot, type_ in relate(types).items()}


def _equal_inside(layer: Layer, types: Mapping[str, ArrayType]) -> list[tuple[Length, Length]]:
    """The lengths that have to be equal in the nets of an operator whose ports have these types."""
    try:
        solutions = layer.inner_solved(types).values()
    except Contradiction:
        return []
    return [(a.renamed(outer_name), b.renamed(outer_name)) for solved in solutions for a, b in solved.equal]


def _not_varying(step: Step, index: int, types: Mapping[Ref, ArrayType]) -> list[Clash]:
    """The clash of a layer that cannot take the varying sequence it is given."""
    if step.layer.varying is not None:
        return []
    fact = "does not take sequences of varying length"
    return [Clash(index, port, None, types[ref], "derived", None, fact) for port, ref in step.inputs if types[ref].varying][:1]


def _fresh(type_: ArrayType, path: ArrayPath, port: str) -> ArrayType:
    """The type with its unnamed varying length named after the port that declares it."""
    if type_.sizes and isinstance(type_.sizes[0], Length) and not type_.sizes[0].name:
        return ArrayType((Length(":".join((*path, port))), *type_.sizes[1:]), type_.elements)
    return type_


def _settled(type_: ArrayType) -> ArrayType:
    """Elements that nobody fixed are real."""
    return type_ if type_.elements is not None else ArrayType(type_.sizes, REAL)
