"""NetGraph: layers wired freely, without cycles."""

from __future__ import annotations

import heapq
import re
from collections.abc import Iterable, Mapping
from typing import Any

from netdsl.constraints import FrozenDict, source_text
from netdsl.containers.ports import Edge, NetPort, edges
from netdsl.containers.promotion import named_layers
from netdsl.containers.tracing import traced_parts
from netdsl.errors import DeclarationError, PartError, listing, nearest
from netdsl.nets import Net, Parts, lift_shared
from netdsl.symbols import Automatic

__all__ = ["NetGraph"]

PortRef = tuple[str, str]


class NetGraph(Net):
    """A net whose layers are wired by edges.

    ``NetGraph([layer, …], [(1, 2), ([1, 2], 3), …])``, ``NetGraph({"name": layer, …}, [("a", "b"), …])``, ``NetGraph(net)``.

    An edge is a tuple or Rule, ``("a", "b", "c")`` is a path of them; a list on the left feeds several inputs in order, a list on
    the right is fed by the same output; ``NetPort("name")`` is a port of the graph, ``NetPort("layer", "port")`` a port of a layer;
    ``NetPort("Input") >> "a" >> NetPort("loss", "Input")`` is a path. Ports left unconnected become the graph's own.

    NetGraph(FunctionLayer(f)) has a layer for each operation of f. Options: any port of the graph, LearningRateMultipliers.

    Raises DeclarationError for cycles and ports fed twice, PartError for parts that are not there, ShapeError for sizes.

    >>> edges = [(NetPort("Input"), ["a", "b"]), (["a", "b"], "sum")]
    >>> NetGraph({"a": Ramp, "b": Tanh, "sum": Plus}, edges, Input=3).output_names
    ('Output',)

    Differences from Wolfram: none known. Source: Wolfram's public reference page.
    """

    wires: FrozenDict
    """What feeds each port of each part: {(part, port): (part or "", port)}, then the graph's outputs."""

    def __init__(self, layers: Any, connections: Any = None, /, **options: Any) -> None:
        if connections is None and isinstance(layers, Net):
            parts = traced_parts(layers) if layers.traced_arrays else layers.parts()
            if parts is None:
                self.__dict__["nets"] = FrozenDict({"1": layers})
                self._wire([])
            else:
                self.__dict__["nets"] = FrozenDict(parts.nets)
                self._adopt(parts, layers)
                given = {port: options.pop(port) for port in (*layers.input_names, *layers.output_names) if port in options}
                ports = {**layers.ports, **given, **options.pop("Ports", {})}
                kept = {"LearningRateMultipliers": layers.LearningRateMultipliers, "SharedArrays": layers.shared}
                options = {**kept, "Ports": ports, **options}
        else:
            self.__dict__["nets"] = named_layers(layers, "NetGraph")
            if not self.nets:
                raise DeclarationError("NetGraph takes at least one layer. Got none.")
            self._wire(edges([] if connections is None else connections))
        lift_shared(self)
        super().__init__(**options)

    @classmethod
    def wired(
        cls,
        nets: Mapping[str, Net],
        feeds: Mapping[PortRef, PortRef],
        inputs: Iterable[str],
        outputs: Mapping[str, PortRef],
        muted: Iterable[PortRef] = (),
        **entries: Any,
    ) -> NetGraph:
        """The graph with these wires; ports that nothing feeds become its own. Nothing but cycles is checked: for surgery."""
        wiring = _Wiring(FrozenDict(nets))
        wiring.feeds, wiring.inputs, wiring.outputs, wiring.muted = dict(feeds), list(inputs), dict(outputs), set(muted)
        wiring.used = {*feeds.values(), *outputs.values()}
        for name, _ in feeds:
            wiring.counts[name] = wiring.counts.get(name, 0) + 1
        graph = object.__new__(cls)
        graph.__dict__.update(
            {
                "nets": wiring.nets,
                "wires": wiring.finish(),
                "shared": FrozenDict(),
                "ports": FrozenDict(),
                "LearningRateMultipliers": Automatic,
            }
            | entries
        )
        lift_shared(graph)
        return graph

    # Wiring

    def _adopt(self, parts: Parts, net: Net) -> None:
        feeds = {(name, port): source for name, sources in parts.feeds.items() for port, source in sources.items()}
        self.__dict__["wires"] = FrozenDict(
            {
                "feeds": FrozenDict(feeds),
                "inputs": net.input_names,
                "outputs": FrozenDict(parts.outputs),
                "order": tuple(parts.nets),
            }
        )

    def _wire(self, connections: list[Edge]) -> None:
        wiring = _Wiring(self.nets)
        for edge in connections:
            wiring.connect(edge)
        self.__dict__["wires"] = wiring.finish()

    @property
    def input_names(self) -> tuple[str, ...]:
        return self.wires["inputs"]

    @property
    def output_names(self) -> tuple[str, ...]:
        return tuple(self.wires["outputs"])

    def parts(self) -> Parts:
        return self._cached("_parts", self._parts_now)

    def _parts_now(self) -> Parts:
        feeds: dict[str, dict[str, PortRef]] = {name: {} for name in self.nets}
        for (name, port), source in self.wires["feeds"].items():
            feeds[name][port] = source
        return Parts({name: self.nets[name] for name in self.wires["order"]}, feeds, self.wires["outputs"])

    def edge_list(self) -> list[tuple[PortRef, PortRef]]:
        """Every wire as (source, target) ports; the graph's own ports belong to the part ""."""
        inner = [(source, target) for target, source in self.wires["feeds"].items()]
        return inner + [(source, ("", port)) for port, source in self.wires["outputs"].items()]

    def fields(self) -> dict[str, Any]:
        return {"layers": self.nets, "edges": self.edges_written(), **super().fields()}

    def changed(self, **changes: Any) -> NetGraph:
        values = self.changed_fields(changes)
        return NetGraph(values.pop("layers"), values.pop("edges"), **values)

    @property
    def numbered(self) -> bool:
        """Whether the layers have no names but their numbers."""
        return list(self.nets) == [str(i + 1) for i in range(len(self.nets))]

    def edges_written(self) -> list[Any]:
        """Edges that rebuild this graph."""
        numbered, places = self.numbered, {name: place for place, name in enumerate(self.nets)}

        def side(ref: PortRef, source: bool) -> Any:
            name, port = ref
            if not name:
                return NetPort(port)
            part: Any = int(name) if numbered else name
            net = self.nets[name]
            ports = net.output_names if source else net.input_names
            return part if ports == (port,) else NetPort(part, port)

        def key(ref: PortRef) -> tuple[int, int]:
            name, port = ref
            ports = self.nets[name].input_names
            return places[name], ports.index(port) if port in ports else 0

        variadic: dict[str, list[PortRef]] = {}
        written = []
        feeds = self.wires["feeds"]
        for target in sorted(feeds, key=key):
            if getattr(self.nets[target[0]], "variadic", False) and not self.nets[target[0]].input_names:
                variadic.setdefault(target[0], []).append(target)
            else:
                written.append((side(feeds[target], True), side(target, False)))
        for name, targets in variadic.items():
            targets.sort(key=lambda ref: int(ref[1].removeprefix("Input")))
            sources = [side(feeds[target], True) for target in targets]
            written.append((sources, int(name) if numbered else name))
        written.sort(key=self._introduced)
        for port, source in self.wires["outputs"].items():
            written.append((side(source, True), NetPort(port)))
        used = {*feeds.values(), *self.wires["outputs"].values()}
        muted = [(name, port) for name, net in self.nets.items() for port in net.output_names if (name, port) not in used]
        return written + [(side(source, True), None) for source in muted]

    def _introduced(self, edge: tuple[Any, Any]) -> tuple[int, tuple[int, ...]]:
        """Where an edge must stand among the others so that the graph's input ports are first named in their order."""
        sources = edge[0] if isinstance(edge[0], list) else [edge[0]]
        places = tuple(
            self.input_names.index(source.path[0]) for source in sources if isinstance(source, NetPort) and len(source.path) == 1
        )
        return (max(places), places) if places else (len(self.input_names), ())

    def _written(self) -> list[str]:
        layers = "[" + ", ".join(map(repr, self.nets.values())) + "]" if self.numbered else source_text(dict(self.nets))
        connections = ", ".join(f"({_side(rule[0])}, {_side(rule[1])})" for rule in self.edges_written())
        return [layers, f"[{connections}]", *super()._written()]

    def identity(self) -> tuple[Any, ...]:
        return (*super().identity(), self.wires)


def _side(side: Any) -> str:
    return "[" + ", ".join(map(repr, side)) + "]" if isinstance(side, list) else repr(side)


class _Wiring:
    """Edges turned into what feeds each port."""

    def __init__(self, nets: FrozenDict) -> None:
        self.nets, self.names = nets, list(nets)
        self.numbered = self.names == [str(i + 1) for i in range(len(nets))]
        self.feeds: dict[PortRef, PortRef] = {}
        self.inputs: list[str] = []
        self.outputs: dict[str, PortRef] = {}
        self.muted: set[PortRef] = set()
        self.used: set[PortRef] = set()
        self.counts: dict[str, int] = {}
        self.free: dict[str, int] = {}

    def connect(self, edge: Edge) -> None:
        sources = edge.source if isinstance(edge.source, list) else [edge.source]
        targets = edge.target if isinstance(edge.target, list) else [edge.target]
        if edge.target is None:
            for source in sources:
                self.muted.add(self._source(source, edge))
            return
        for target in targets:
            if len(sources) > 1:
                self._several(sources, target, edge)
            else:
                self._one(self._source(sources[0], edge), target, edge)

    def _several(self, sources: list[Any], target: Any, edge: Edge) -> None:
        name = self._part(target, edge)
        net = self.nets[name]
        if getattr(net, "variadic", False) and not net.input_names:
            for source in sources:
                self._feed(self._source(source, edge), (name, self._free_port(name)), edge)
            return
        ports = list(net.input_names)
        if len(ports) != len(sources):
            raise DeclarationError(
                f"The edge {edge.written} feeds {len(sources)} outputs to layer {name!r}, {net.title()}, which has "
                f"{len(ports)} input ports ({listing(ports) or 'none'})."
            )
        for source, port in zip(sources, ports):
            self._feed(self._source(source, edge), (name, port), edge)

    def _one(self, source: PortRef, target: Any, edge: Edge) -> None:
        if isinstance(target, NetPort) and len(target.path) == 1:
            port = target.path[0]
            if port in self.outputs:
                raise DeclarationError(
                    f"The edge {edge.written} gives the output port {port!r} of the graph a second source. Name another port."
                )
            if not source[0]:
                raise DeclarationError(
                    f"The edge {edge.written} wires an input port of the graph to an output port without a layer between."
                )
            self.outputs[port] = source
            self.used.add(source)
            return
        if isinstance(target, NetPort):
            name, port = self._part(target, edge), target.inner
            self._known_port(name, port, self.nets[name].input_names + self.nets[name].state_names, "input", edge)
        else:
            name = self._part(target, edge)
            net = self.nets[name]
            ports = net.input_names
            if getattr(net, "variadic", False) and not ports:
                port = self._free_port(name)
            else:
                free = [port for port in ports if (name, port) not in self.feeds]
                if not ports:
                    raise DeclarationError(
                        f"The edge {edge.written} feeds layer {name!r}, {net.title()}, which has no input port."
                    )
                if len(ports) > 1 and not source[0] and source[1] in ports:
                    port = source[1]
                elif len(ports) > 1:
                    raise DeclarationError(
                        f"The edge {edge.written} does not say which input port of layer {name!r}, {net.title()}, it feeds: "
                        f"it has {listing(ports)}. Write NetPort({name!r}, {ports[0]!r})."
                    )
                else:
                    port = free[0] if free else ports[0]
        self._feed(source, (name, port), edge)

    def _free_port(self, name: str) -> str:
        """The next input port of a layer that takes any number of them."""
        number = self.free.get(name, 1)
        while (name, f"Input{number}") in self.feeds:
            number += 1
        self.free[name] = number
        return f"Input{number}"

    def _feed(self, source: PortRef, target: PortRef, edge: Edge) -> None:
        if target in self.feeds:
            raise DeclarationError(
                f"The edge {edge.written} feeds port {target[1]!r} of layer {target[0]!r} a second time. "
                "An input port has one source."
            )
        self.feeds[target] = source
        self.used.add(source)
        self.counts[target[0]] = self.counts.get(target[0], 0) + 1

    def _source(self, source: Any, edge: Edge) -> PortRef:
        if isinstance(source, NetPort):
            if len(source.path) == 1:
                port = source.path[0]
                if port not in self.inputs:
                    self.inputs.append(port)
                return "", port
            name = self._part(source, edge)
            net = self.nets[name]
            self._known_port(name, source.inner, net.output_names + net.state_names, "output", edge)
            return name, source.inner
        name = self._part(source, edge)
        ports = self.nets[name].output_names
        if len(ports) != 1:
            raise DeclarationError(
                f"The edge {edge.written} does not say which output port of layer {name!r} it means: it has "
                f"{listing(ports)}. Write NetPort({name!r}, {ports[0]!r})."
            )
        return name, ports[0]

    def _known_port(self, name: str, port: str, ports: tuple[str, ...], kind: str, edge: Edge) -> None:
        if kind == "input" and getattr(self.nets[name], "variadic", False) and not ports:
            if not re.fullmatch("Input[1-9][0-9]*", port):
                raise PartError(
                    f"The edge {edge.written}: the input ports of layer {name!r}, {self.nets[name].title()}, are Input1, Input2, …, "
                    f"not {port!r}. Its option InputPorts gives them other names."
                )
        elif port not in ports:
            raise PartError(
                f"The edge {edge.written}: layer {name!r}, {self.nets[name].title()}, has no {kind} port {port!r}. "
                f"{nearest(port, ports)}"
            )

    def _part(self, side: Any, edge: Edge) -> str:
        part = side.path[0] if isinstance(side, NetPort) else side
        if isinstance(side, NetPort) and len(side.path) > 2 and side.inner not in self.nets[self._part(part, edge)].state_names:
            raise DeclarationError(
                f"The edge {edge.written} reaches into an inner net. Only ports of this graph's own layers can be wired; "
                "NetFlatten joins inner nets."
            )
        names = self.names
        if isinstance(part, int) and not isinstance(part, bool):
            if self.numbered and str(part) in self.nets:
                return str(part)
            if 1 <= abs(part) <= len(names):
                return names[part - 1 if part > 0 else part]
            raise PartError(f"The edge {edge.written} names layer {part}; there are {len(names)}.")
        if isinstance(part, str) and part in self.nets:
            return part
        raise PartError(f"The edge {edge.written} names the layer {part!r}, which is not there. {nearest(part, names)}")

    def finish(self) -> FrozenDict:
        """The wires, with unconnected ports made the graph's own."""
        self._open_inputs()
        order = self._order()
        self._open_outputs()
        both = next((port for port in self.inputs if port in self.outputs), None)
        if both is not None:
            raise DeclarationError(
                f"This NetGraph has an input port and an output port named {both!r}. Give them different names."
            )
        return FrozenDict(
            {"feeds": FrozenDict(self.feeds), "inputs": tuple(self.inputs), "outputs": FrozenDict(self.outputs), "order": order}
        )

    def _open_inputs(self) -> None:
        free = []
        for name, net in self.nets.items():
            if getattr(net, "variadic", False) and not net.input_names:
                if not self.counts.get(name):
                    raise DeclarationError(
                        f"Nothing feeds layer {name!r}, {net.title()}, which takes any number of inputs. "
                        "Add an edge to it, or say InputPorts=n."
                    )
                gap = next((i for i in range(1, self.counts[name] + 1) if (name, f"Input{i}") not in self.feeds), None)
                if gap is not None:
                    raise DeclarationError(
                        f"Nothing feeds port 'Input{gap}' of layer {name!r}, {net.title()}, though {self.counts[name]} other "
                        "ports are fed. The inputs of such a layer are numbered without gaps."
                    )
                continue
            free += [(name, port) for port in net.input_names if (name, port) not in self.feeds]
        ports = [port for _, port in free]
        for name, port in free:
            own = port
            if ports.count(port) > 1 or port in self.inputs:
                number = 1
                while f"{port}{number}" in self.inputs:
                    number += 1
                own = f"{port}{number}"
            self.inputs.append(own)
            self.feeds[name, port] = ("", own)

    def _open_outputs(self) -> None:
        free = [
            (name, port)
            for name, net in self.nets.items()
            for port in net.output_names
            if (name, port) not in self.used and (name, port) not in self.muted
        ]
        ports = [port for _, port in free]
        for name, port in free:
            if ports.count(port) == 1 and port not in self.outputs:
                self.outputs[port] = (name, port)
            else:
                number = 1
                while f"{port}{number}" in self.outputs:
                    number += 1
                self.outputs[f"{port}{number}"] = (name, port)
        if not self.outputs:
            raise DeclarationError("This NetGraph has no output: every output of its layers is wired to another layer or muted.")

    def _order(self) -> tuple[str, ...]:
        """The parts in an order in which they can run; the declared order where it is free."""
        sources: dict[str, set[str]] = {name: set() for name in self.nets}
        users: dict[str, list[str]] = {name: [] for name in self.nets}
        for (name, _), (source, _) in self.feeds.items():
            if source and source not in sources[name]:
                sources[name].add(source)
                users[source].append(name)
        position = {name: i for i, name in enumerate(self.nets)}
        ready = [position[name] for name, needed in sources.items() if not needed]
        heapq.heapify(ready)
        names = list(self.nets)
        order = []
        while ready:
            name = names[heapq.heappop(ready)]
            order.append(name)
            for user in users[name]:
                sources[user].discard(name)
                if not sources[user]:
                    heapq.heappush(ready, position[user])
        if len(order) < len(names):
            cycle = [name for name in names if name not in order]
            raise DeclarationError(
                f"This NetGraph has a cycle through the layers {listing(map(repr, cycle))}. A NetGraph runs forward only; "
                "NetFoldOperator makes loops over a sequence."
            )
        return tuple(order)
