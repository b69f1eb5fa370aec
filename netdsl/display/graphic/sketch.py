"""What is drawn of a net: which boxes there are, what stands in them, and which wires lead where."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

from netdsl.declarations import Declared
from netdsl.display.coders import coder_words
from netdsl.display.graphic.items import Link
from netdsl.display.graphic.layered import placed
from netdsl.display.graphic.pen import CARD, HEADER, ICON, PAD, SMALL, TINY, TITLE, WIDEST, Group, Node, draw
from netdsl.display.graphic.shapes import Box, Drawing, cut, text_width
from netdsl.display.panel import TypeAt, family_of, short_text, types_in
from netdsl.nets import ArrayPath, Net, NetArray, path_text
from netdsl.plots.canvas import INK, MUTED
from netdsl.shapes import ArrayType

__all__ = ["sketch"]

SHARED = "#b4552d"
MARGIN = 18.0
LONGEST_LABEL = 120.0

BY_FUNCTION = ("ElementwiseLayer", "ThreadingLayer")
"""Layers that are called by their function alone: Ramp, Plus."""

WITHIN = {
    "NetGANOperator": [
        ("Latent", "Generator"),
        ("Sample", "Discriminator"),
        ("Generator", "Discriminator"),
        ("Discriminator", "LossReal"),
        ("Discriminator", "LossFake"),
        ("Generator", "GeneratedFake"),
    ]
}
"""What leads where inside operators whose inner nets are not each used for all inputs and outputs."""


def sketch(net: Net, full: bool) -> Drawing:
    """The drawing of a net; with `full` the parts of its parts too, in frames."""
    return _Sketcher(net, full).drawing()


class _Sketcher:
    def __init__(self, net: Net, full: bool) -> None:
        self.net, self.full = net, full
        self.solved = net.solved

    def _type(self, path: ArrayPath, port: str) -> ArrayType:
        return self.solved.types[self.solved.program.ports[path, port]]

    def drawing(self) -> Drawing:
        net = self.net
        ins = [self._terminal(port, True) for port in net.input_names]
        outs = [self._terminal(port, False) for port in net.output_names]
        if net.parts() is not None:
            group = self._group(net, (), self._type, ins, outs)
        else:
            links = [_Link("", port, "net", port) for port in net.input_names]
            links += [_Link("net", port, "", port) for port in net.output_names]
            group = _group({"net": self._node(net, "", (), self._type)}, {"net": net}, links, ins, outs)
        made = Drawing(group.place.width + 2 * MARGIN, group.place.height + 2 * MARGIN)
        made.shapes.append(Box(0, 0, made.width, made.height, 0, "#ffffff"))
        draw(group, MARGIN, MARGIN, made)
        return made

    def _terminal(self, port: str, is_input: bool) -> Node:
        """The box of an input or output port of the net, with what its encoder takes or its decoder gives."""
        net = self.net
        coder = net.encoder(port) if is_input else net.decoder(port)
        type_ = net.port_type(port)
        words = _shape(type_) if coder is None else f"{coder_words(coder, type_)} · {_shape(type_)}"
        kind = "Input" if is_input else "Output"
        node = Node(("", kind, port), kind="port", port=port, family="encoder" if coder else "")
        node.hint = f"{port}: {_shape(type_) if coder is None else f'{coder.title()}, {_shape(type_)}'}"
        node.write((port, TITLE, INK), (words, SMALL, MUTED))
        node.width = node.widest() + 30
        node.height = node.tall() + 10
        return node

    def _node(
        self, net: Net, name: str, path: ArrayPath, type_at: TypeAt, fed: Iterable[str] = (), given: Iterable[str] = ()
    ) -> Node:
        """The box of a part; `fed` and `given` are its states that are wired as well."""
        types = {port: type_at(path, port) for port in (*net.input_names, *net.output_names)}
        kind, detail = _kind(net)
        node = Node(path, family=family_of(net), number=name if not name or name.isdigit() else "")
        called = f"{kind} {detail}".rstrip()
        if name and not node.number:
            node.write((name, TITLE, INK), (called, SMALL, MUTED))
        elif text_width(called, TITLE) < WIDEST:
            node.write((called, TITLE, INK))
        else:
            node.write((kind, TITLE, INK), (detail, SMALL, MUTED))
        shape = _shape(types[net.output_names[0]]) if len(net.output_names) == 1 else ""
        shared = sorted({value.Name for value in getattr(net, "array_values", dict)().values() if isinstance(value, NetArray)})
        mark = f"shared {', '.join(shared)}" if shared else ""
        node.hint = "\n".join(filter(None, (path_text(path), called, shape, mark)))
        if net.nets and self.full:
            return self._framed(node, net, (*net.input_names, *fed), (*net.output_names, *given), types, type_at)
        node.write((shape, SMALL, MUTED), (mark, SMALL, SHARED))
        node.stacked = bool(net.nets)
        node.width = 2 * PAD + ICON + 8 + max(node.widest(), text_width(node.lines[0].text, TITLE) + node.beside())
        node.height = max(node.tall(), ICON) + 14
        if node.stacked:
            node.width, node.height = node.width + CARD, node.height + CARD
        return node

    def _framed(
        self, node: Node, net: Any, into: tuple[str, ...], out: tuple[str, ...], types: dict[str, ArrayType], type_at: TypeAt
    ) -> Node:
        """The box as a frame with the parts inside; wires meet it where its ports are."""
        ins, outs = [_end(port, "first", len(into)) for port in into], [_end(port, "last", len(out)) for port in out]
        if net.parts() is not None:
            group = self._group(net, node.path, type_at, ins, outs)
        else:
            group = self._within(net, node.path, types_in(net.inner_solved(types), len(node.path)), ins, outs)
        node.kind, node.inner = "frame", group
        head = 2 * PAD + ICON + sum(text_width(line.text, line.size) + 8 for line in node.lines) + node.beside()
        node.width = max(group.place.width + 2 * PAD, head)
        node.height = HEADER + group.place.height + (0 if ins else PAD) + (0 if outs else PAD)
        left = (node.width - group.place.width) / 2
        node.ins = {port: left + group.place.x[i] for i, port in enumerate(into)}
        node.outs = {port: left + group.place.x[i - len(out)] for i, port in enumerate(out)}
        return node

    def _group(self, net: Net, path: ArrayPath, type_at: TypeAt, ins: list[Node], outs: list[Node]) -> Group:
        """The parts of a container."""
        parts = net.parts()
        assert parts is not None
        ports = {end.port for end in (*ins, *outs)}
        links = [_Link(*source, name, port) for name in parts.nets for port, source in parts.feeds[name].items()]
        links += [_Link(*source, "", port) for port, source in parts.outputs.items()]
        for port in ports - {*net.input_names, *net.output_names}:  # a state further in
            name, inner = port.split("/", 1)
            if any(end.port == port for end in ins):
                links.append(_Link("", port, name, inner))
            if any(end.port == port for end in outs):
                links.append(_Link(name, inner, "", port))
        fed: dict[str, list[str]] = defaultdict(list)
        given: dict[str, list[str]] = defaultdict(list)
        for link in links:
            if link.target and link.port not in parts.nets[link.target].input_names and parts.nets[link.target].input_names:
                fed[link.target].append(link.port)
            if link.source and link.out not in (*parts.nets[link.source].output_names, *given[link.source]):
                given[link.source].append(link.out)
        nodes = {
            name: self._node(part, name, (*path, name), type_at, fed[name], given[name]) for name, part in parts.nets.items()
        }
        return _group(nodes, parts.nets, links, ins, outs, lambda name, port: type_at((*path, name), port), fold=not path)

    def _within(self, net: Net, path: ArrayPath, type_at: TypeAt, ins: list[Node], outs: list[Node]) -> Group:
        """The nets inside an operator, with dashed wires: it is the operator that uses them."""
        nodes = {name: self._node(inner, name, (*path, name), type_at) for name, inner in net.nets.items()}
        known = WITHIN.get(net.title())
        if known is None:
            known = [(end.port, name) for end in ins for name in nodes] + [(name, end.port) for name in nodes for end in outs]
        links = [
            _Link(
                one if one in nodes else "",
                other if one in nodes else one,
                other if other in nodes else "",
                one if other in nodes else other,
            )
            for one, other in known
        ]
        made = _group(nodes, {}, links, ins, outs)
        made.dashed = True
        return made


class _Link(NamedTuple):
    """A wire between named parts; "" is the net around them."""

    source: str
    out: str
    target: str
    port: str


def _group(
    nodes: Mapping[str, Node],
    nets: Mapping[str, Net],
    links: Iterable[_Link],
    ins: list[Node],
    outs: list[Node],
    type_of: Callable[[str, str], ArrayType] | None = None,
    fold: bool = False,
) -> Group:
    """The boxes placed; the wires of parts with several ports get labels."""
    every = [*ins, *nodes.values(), *outs]
    sources = {("", end.port): i for i, end in enumerate(ins)}
    targets = {("", end.port): len(ins) + len(nodes) + i for i, end in enumerate(outs)}
    index = {name: len(ins) + i for i, name in enumerate(nodes)}
    made, labels, told = [], [], set()
    for source, out, target, port in links:
        tail = head = ""
        if source in nets and (out not in nets[source].output_names or len(nets[source].output_names) > 1):
            if (source, out) not in told:
                tail = out if type_of is None else f"{out} {_shape(type_of(source, out))}"
            told.add((source, out))
        if (
            target in nets
            and nets[target].input_names
            and (port not in nets[target].input_names or len(nets[target].input_names) > 1)
        ):
            head = port
        tail, head = cut(tail, TINY, LONGEST_LABEL), cut(head, TINY, LONGEST_LABEL)
        labels.append((tail, head))
        start, end = index[source] if source else sources["", out], index[target] if target else targets["", port]
        made.append(Link(start, out, end, port, text_width(tail, TINY), text_width(head, TINY)))
    for at, node in enumerate(every):
        for wide in (
            sum(link.tail + 10 for link in made if link.source == at and link.tail),
            sum(link.head + 10 for link in made if link.target == at and link.head),
        ):
            if wide and node.kind == "layer":
                node.width = max(node.width, wide + 24)
    return Group(every, made, labels, placed([node.item() for node in every], made, fold))


def _end(port: str, end: str, count: int) -> Node:
    """The place of a port at the border of a frame, with room for its label."""
    label = text_width(cut(port, TINY, LONGEST_LABEL), TINY) if count > 1 else 0.0
    return Node((), kind="end", end=end, port=port, width=max(2 * label, 8.0))


def _shape(type_: ArrayType) -> str:
    return short_text(type_).replace("x", "\u00d7") if type_.sizes else short_text(type_)


def _kind(net: Net) -> tuple[str, str]:
    """What a part is called, and its parameters in short."""
    title = net.title()
    if net.parts() is not None:
        return title, f"of {len(net.nets)} layer{'' if len(net.nets) == 1 else 's'}"
    detail = Declared._written(net)
    if title in BY_FUNCTION and detail:
        return detail[0], ", ".join(detail[1:])
    return title.removesuffix("Layer"), ", ".join(detail)
