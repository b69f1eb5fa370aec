"""What a panel of a net says, before it is text or HTML."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from netdsl.constraints import source_text
from netdsl.declarations import Declared
from netdsl.decoders.decoder import Decoder
from netdsl.display.coders import coder_words, port_words, value_text
from netdsl.errors import size_text
from netdsl.nets import SHARED, ArrayPath, Net, NetArray, Solved
from netdsl.shapes import OPEN, ArrayType, element_count, shape_text, type_text
from netdsl.symbols import Automatic

__all__ = ["ArrayFact", "Panel", "Row", "family_of", "panel", "short_text", "types_in"]

TypeAt = Callable[[ArrayPath, str], ArrayType]
"""The type of a port of the part at a path."""


@dataclass(frozen=True, slots=True)
class ArrayFact:
    """One array of a layer."""

    name: str
    type: str
    elements: int | None
    status: str


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table: a layer, a container with its own rows, a port of the net, or a number of lines left out."""

    name: str
    title: str
    detail: str = ""
    type: str = ""
    short: str = ""
    elements: int | None = 0
    sources: str = ""
    family: str = ""
    missing: bool = False
    omitted: int = 0
    parameters: tuple[tuple[str, str], ...] = ()
    arrays: tuple[ArrayFact, ...] = ()
    rows: tuple[Row, ...] = ()


@dataclass(slots=True)
class Panel:
    """Everything that is shown of a net."""

    title: str
    missing: bool
    family: str
    ports: list[tuple[str, str]] = field(default_factory=list)
    parameters: tuple[tuple[str, str], ...] = ()
    arrays: tuple[ArrayFact, ...] = ()
    rows: tuple[Row, ...] = ()
    wired: bool = False
    partly: bool = False
    total: str = ""


def panel(net: Net, each: int = 40, most: int = 200) -> Panel:
    """The panel of a net, with at most `each` lines of one container and about `most` lines in all."""
    return _Reader(net, each, most).panel()


class _Reader:
    def __init__(self, net: Net, each: int, most: int) -> None:
        self.net = net
        self.solved = net.solved
        self.each = each
        self.left = most
        self.table = net.array_table()
        self.states = net.state_paths()
        self.elements: dict[ArrayPath, int | None] = defaultdict(int)
        self.lacking: set[ArrayPath] = set()
        self._count()

    def _count(self) -> None:
        """Elements and missing arrays, for every part."""
        seen: set[tuple[ArrayPath, str]] = set()
        for path, layer in self.net.leaves():
            for name, value in layer.array_values().items():
                at = (SHARED, value.Name) if isinstance(value, NetArray) else (*path, name)
                count = element_count(self._array_type(at).sizes)
                for end in range(len(path) + 1):
                    part = path[:end]
                    if at[0] == SHARED and at != (*path, name):
                        if (part, at[1]) in seen:
                            continue
                        seen.add((part, at[1]))
                    before = self.elements[part]
                    self.elements[part] = None if before is None or count is None else before + count
                    if self.table.get(at, Automatic) is Automatic:
                        self.lacking.add(part)

    def _array_type(self, path: ArrayPath) -> ArrayType:
        return self.solved.arrays.get(path, OPEN)

    def panel(self) -> Panel:
        net = self.net
        missing = not net.initialized
        made = Panel(net.title(), missing, family_of(net))
        made.partly = missing and any(value is not Automatic for value in self.table.values())
        if not net.input_names:
            made.ports.append(("Number of inputs", "0"))
        made.ports += [
            (f"{kind} port" if port == kind else f"{kind} port {port}", words) for kind, port, words in self._port_words()
        ]
        made.parameters, made.arrays = _parameters(net), self._arrays(net, ())
        if net.nets:
            made.rows = self._table()
            made.wired = _any_sources(made.rows)
        made.total = self._total()
        return made

    def _port_words(self) -> Iterator[tuple[str, str, str]]:
        for kind, names in (("Input", self.net.input_names), ("Output", self.net.output_names)):
            for port in names:
                yield kind, port, port_words(self.net, port, self.net.port_type(port))

    def _table(self) -> tuple[Row, ...]:
        """The rows of the parts between those of the ports."""
        net: Any = self.net
        rows = []
        for kind, port, words in self._port_words():
            type_ = type_text(net.port_type(port))
            source = ""
            if kind == "Output" and _is_graph(net):
                source = _source(net, net.parts().outputs[port])
            rows.append(
                Row(
                    port,
                    "" if words == type_ else words,
                    type=type_,
                    short=short_text(net.port_type(port)),
                    sources=source,
                    family=kind.lower(),
                )
            )
        first = len(net.input_names)
        type_at = self._type if net.parts() is not None else types_in(net.inner_solved(self._own_types()), 0)
        return (*rows[:first], *self._rows(net, (), type_at), *rows[first:])

    def _own_types(self) -> dict[str, ArrayType]:
        return {port: self.net.port_type(port) for port in (*self.net.input_names, *self.net.output_names)}

    def _rows(self, net: Net, path: ArrayPath, type_at: TypeAt) -> tuple[Row, ...]:
        names = list(net.nets)
        shown = names
        if len(names) > self.each:
            shown = [*names[: self.each * 2 // 3], *names[len(names) - self.each // 3 :]]
        self.left -= len(shown)
        cut = names.index(shown[self.each * 2 // 3]) if len(shown) < len(names) else -1
        rows = []
        for name in shown:
            if cut >= 0 and name == names[cut]:
                rows.append(Row("...", f"{len(names) - len(shown):,} more", omitted=len(names) - len(shown)))
            rows.append(self._row(name, net, path, type_at))
        return tuple(rows)

    def _row(self, name: str, outer: Net, outer_path: ArrayPath, type_at: TypeAt) -> Row:
        net, path = outer.nets[name], (*outer_path, name)
        types = {port: type_at(path, port) for port in (*net.input_names, *net.output_names)}
        output = ", ".join(self._output(net, port, types[port], type_text) for port in net.output_names)
        short = ", ".join(self._output(net, port, types[port], short_text) for port in net.output_names)
        detail = ", ".join(Declared._written(net)) if net.parts() is None else _number(len(net.nets), "layer")
        rows: tuple[Row, ...] = ()
        if net.nets and self.left > 0:
            inner = type_at if net.parts() is not None else types_in(net.inner_solved(types), len(path))
            rows = self._rows(net, path, inner)
        return Row(
            name,
            net.title(),
            detail,
            output,
            short,
            self.elements[path],
            _sources(outer, name),
            family_of(net),
            missing=path in self.lacking,
            parameters=_parameters(net),
            arrays=self._arrays(net, path),
            rows=rows,
        )

    @staticmethod
    def _output(net: Net, port: str, type_: ArrayType, words: Callable[[ArrayType], str]) -> str:
        declared = net.ports.get(port)
        return coder_words(declared, type_) if isinstance(declared, Decoder) else words(type_)

    def _type(self, path: ArrayPath, port: str) -> ArrayType:
        return self.solved.types[self.solved.program.ports[path, port]]

    def _arrays(self, net: Net, path: ArrayPath) -> tuple[ArrayFact, ...]:
        facts = []
        values: dict[str, Any] = getattr(net, "array_values", dict)()
        for name, value in values.items():
            shared = isinstance(value, NetArray)
            at = (SHARED, value.Name) if shared else (*path, name)
            known = self.table.get(at, Automatic)
            status = "uninitialized" if known is Automatic else str(known.dtype)
            if shared:
                status += f", shared as {value.Name!r}"
            elif at in self.states:
                status += ", state"
            type_ = self._array_type(at)
            facts.append(ArrayFact(name, type_text(type_), element_count(type_.sizes), status))
        return tuple(facts)

    def _total(self) -> str:
        counts: dict[bool, list[int | None]] = {True: [], False: []}
        size = 0
        for path, value in self.table.items():
            counts[path in self.states].append(element_count(self._array_type(path).sizes))
            size += 4 * (counts[path in self.states][-1] or 0) if value is Automatic else value.size * value.dtype.itemsize
        layers = sum(1 for _ in self.net.leaves())
        words = [] if not self.net.nets else [_number(layers, "layer")]
        unknown = sum(count is None for kind in counts.values() for count in kind)
        parameters = sum(count or 0 for count in counts[False])
        words.append(("at least " if unknown else "") + _number(parameters, "parameter"))
        if counts[True]:
            words.append(_number(sum(count or 0 for count in counts[True]), "element") + " of state")
        if self.table:
            words.append(f"{_number(len(self.table), 'array')}, {size_text(size)}")
        text = "; ".join(words)
        if unknown:
            text += f"; the size of {_number(unknown, 'array')} is not known yet"
        lacking = sum(value is Automatic for value in self.table.values())
        return text + (f"; {_number(lacking, 'array')} uninitialized" if lacking else "")


def types_in(solutions: Mapping[str, Solved], base: int) -> TypeAt:
    """How to ask the solutions of the parts that lie below the first `base` names of a path."""

    def type_at(path: ArrayPath, port: str) -> ArrayType:
        solved = solutions.get(path[base])
        ref = None if solved is None else solved.program.ports.get((path[base + 1 :], port))
        return OPEN if solved is None or ref is None else solved.types[ref]

    return type_at


def _is_graph(net: Net) -> bool:
    """Whether the parts are wired otherwise than one after the other."""
    return "wires" in net.__dict__


def _any_sources(rows: tuple[Row, ...]) -> bool:
    return any(row.sources or _any_sources(row.rows) for row in rows)


def short_text(type_: ArrayType) -> str:
    """The type where there is little room: ``20x24x24``, ``n of 1..5``."""
    elements = type_.elements
    of = ""
    if elements is not None and elements.kind == "integer":
        of = "integer" if elements.high is None else f"{1 if elements.low is None else elements.low}..{elements.high}"
    if type_.sizes is None:
        return "array"
    sizes = shape_text(type_.sizes)
    return f"{sizes} of {of}" if sizes and of else sizes or of or "real"


def _parameters(net: Net) -> tuple[tuple[str, str], ...]:
    facts = [(name, value_text(value)) for name, value in net.values_of_parameters().items()]
    if net.LearningRateMultipliers is not Automatic:
        facts.append(("LearningRateMultipliers", source_text(net.LearningRateMultipliers)))
    return tuple(facts)


def _sources(outer: Net, name: str) -> str:
    """Where a part of a graph gets its inputs from."""
    if not _is_graph(outer):
        return ""
    feeds = outer.parts().feeds[name]  # type: ignore[union-attr]
    named = len(feeds) > 1 and bool(outer.nets[name].input_names)
    return ", ".join(f"{port}: {_source(outer, ref)}" if named else _source(outer, ref) for port, ref in feeds.items())


def _source(outer: Net, ref: tuple[str, str]) -> str:
    part, port = ref
    if not part:
        return port
    return part if len(outer.nets[part].output_names) == 1 else f"{part}/{port}"


def family_of(net: Net) -> str:
    """The file of the class among its fellows, which says the kind of layer: convolution, loss, chain."""
    return type(net).__module__.rsplit(".", 1)[-1]


def _number(count: int, noun: str) -> str:
    return f"{count:,} {noun}{'' if count == 1 else 's'}"
