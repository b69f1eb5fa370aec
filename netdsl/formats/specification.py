"""Nets, encoders and decoders as JSON, and back: one mechanism, from what their classes declare.

A net is ``{"net": [class, positional arguments, {keyword: value}]}``: the call of its constructor. Reading calls it again, with
all its checks. Classes come from a closed list; so a new layer needs nothing here.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import jax
import numpy as np

from netdsl import containers, layers
from netdsl.containers import NetGraph, NetPort
from netdsl.declarations import Declared
from netdsl.decoders import DECODERS
from netdsl.decoders.decoder import Decoder
from netdsl.encoders import ENCODERS
from netdsl.encoders.encoder import Encoder
from netdsl.errors import DeclarationError, FormatError, NetError, UnsupportedError, excerpt, listing, nearest
from netdsl.formats.values import Reader, Unwritable, Writer
from netdsl.functions import Function
from netdsl.layers import FunctionLayer
from netdsl.nets import Net, NetArray
from netdsl.shapes import ArrayType
from netdsl.surgery import NetExtract, NetReplacePart
from netdsl.symbols import Automatic, Rule

__all__ = ["NETS", "read_net", "write_net"]

NETS: dict[str, type[Net]] = {
    name: thing
    for module in (layers, containers)
    for name in module.__all__
    if isinstance(thing := getattr(module, name), type) and issubclass(thing, Net)
}
"""The classes that a file may name."""

KINDS: dict[str, Mapping[str, type[Declared]]] = {"net": NETS, "encoder": ENCODERS, "decoder": DECODERS}

COMMON = ("SharedArrays", "Ports", "LearningRateMultipliers")

_FAILURES = (ValueError, TypeError, LookupError, AttributeError, ArithmeticError)
"""What constructors may raise for values that no user would give."""

HIGHEST = {"InputPorts": 10_000, "InputDepth": 100}
"""Parameters that make so many things at once; a file may not ask for more."""


def write_net(net: Net, functions: Mapping[str, Callable[..., Any]]) -> tuple[Any, dict[str, np.ndarray], list[str]]:
    """The JSON of a net, its arrays by name, and the names of the functions it needs.

    Raises DeclarationError that lists everything that a file cannot hold.
    """
    writer = _NetWriter(functions)
    net = _with_layers(net, functions)
    try:
        value = writer.declared(net, (), "this net")
    except Unwritable as problem:
        writer.problems.append(str(problem))
    if writer.problems:
        raise DeclarationError("Export: this net cannot be stored.\n" + "\n".join(f"  {problem}." for problem in writer.problems))
    return value, writer.arrays, sorted(writer.used)


def read_net(value: Any, arrays: Mapping[str, np.ndarray], functions: Mapping[str, Callable[..., Any]]) -> Net:
    """The net that the JSON stands for. Raises FormatError."""
    reader = _NetReader(arrays, functions)
    try:
        net = reader.value(value)
    except (NetError, *_FAILURES) as problem:
        if isinstance(problem, FormatError):
            raise
        raise FormatError(f"net.json holds a value that cannot be: {problem}") from None
    if not isinstance(net, Net):
        raise FormatError("there is no net")
    unused = [name for name in arrays if name not in reader.used]
    if unused:
        raise FormatError(f"the net does not use the arrays {listing(map(excerpt, unused), 6)}")
    return net


def _with_layers(net: Net, functions: Mapping[str, Callable[..., Any]]) -> Net:
    """The net with graphs of layers in the place of functions that have no name, where layers do what these do."""
    failed: set[int] = set()
    while found := _nameless(net, functions, failed):
        path, layer = found
        try:
            graph = NetGraph(NetExtract(net, path) if path else layer)
        except (UnsupportedError, DeclarationError):
            failed.add(id(layer.Function))
            continue
        if not path:
            return _with_layers(graph, functions)
        net = NetReplacePart(net, {path: graph.rebuilt(ports=layer.ports)})
    return net


def _nameless(net: Net, functions: Mapping[str, Callable[..., Any]], failed: set[int]) -> Any:
    """The path and the layer of the first function without a name."""
    known = {id(function) for function in functions.values()} | failed
    for path, layer in net.leaves():
        if isinstance(layer, FunctionLayer) and not isinstance(layer.Function, Function) and id(layer.Function) not in known:
            return path, layer
    return None


class _NetWriter(Writer):
    def __init__(self, functions: Mapping[str, Callable[..., Any]]) -> None:
        super().__init__(functions)
        self.problems: list[str] = []
        self.where = "this net"

    def declared(self, thing: Declared, place: tuple[str, ...], where: str) -> Any:
        """The JSON of a net or coder; what cannot be stored is noted, with `where`."""
        kind = "net" if isinstance(thing, Net) else "encoder" if isinstance(thing, Encoder) else "decoder"
        name = type(thing).__name__ if kind == "net" else thing.kind  # type: ignore[attr-defined]
        if KINDS[kind].get(name) is not type(thing):
            raise Unwritable(f"the class {type(thing).__name__} is not one of netdsl's own")
        fields = _fields(thing)
        count = len(_positional(type(thing), list(fields)))
        outer, values = self.where, {}
        for field, value in fields.items():
            self.where = f"{where}: its {field}"
            values[field] = self._field(field, value, place, thing)
        self.where = outer
        return {kind: [name, list(values.values())[:count], dict(list(values.items())[count:])]}

    def _field(self, field: str, value: Any, place: tuple[str, ...], thing: Declared) -> Any:
        inner = place if field in ("layers", "net") else (*place, field)
        try:
            return self.value(value, inner)
        except Unwritable as problem:
            self.problems.append(f"{self.where} {problem}")
            return None

    def value(self, value: Any, place: tuple[str, ...]) -> Any:
        if isinstance(value, Net):
            return self.declared(value, place, f"layer {'/'.join(place)!r} ({value.title()})")
        if isinstance(value, (Encoder, Decoder)):
            return self.declared(value, place, f"{self.where} {'/'.join(place[-1:])!r} {value.title()}")
        return super().value(value, place)


def _fields(thing: Declared) -> dict[str, Any]:
    fields = thing.fields()
    if hasattr(thing, "edge_list"):
        fields["edges"] = _edges(thing)
    return fields


def _edges(graph: Any) -> tuple[Rule, ...]:
    """Every wire by itself, those from the graph's inputs first and in their order: they rebuild the graph with equal ports."""
    wires = graph.edge_list()
    order = {port: i for i, port in enumerate(graph.input_names)}
    inputs = sorted((wire for wire in wires if not wire[0][0]), key=lambda wire: order[wire[0][1]])
    rules = [Rule(_port(source), _port(target)) for source, target in (*inputs, *(wire for wire in wires if wire[0][0]))]
    used = {source for source, _ in wires}
    muted = [(name, port) for name, net in graph.nets.items() for port in net.output_names if (name, port) not in used]
    return (*rules, *(Rule(_port(source), None) for source in muted))


def _port(ref: tuple[str, str]) -> NetPort:
    return NetPort(*ref) if ref[0] else NetPort(ref[1])


def _positional(cls: type[Declared], fields: list[str]) -> list[str]:
    """The fields that the constructor takes by position."""
    declared = [p.name for p in cls.parameters.values() if p.positional]
    if cls.__init__ is Declared.__init__:
        return declared
    kinds = [p.kind for p in inspect.signature(cls.__init__).parameters.values()][1:]
    names = fields[: kinds.count(inspect.Parameter.POSITIONAL_ONLY)]
    return [*names, *(name for name in declared if name not in names)] if inspect.Parameter.VAR_POSITIONAL in kinds else names


class _NetReader(Reader):
    def __init__(self, arrays: Mapping[str, np.ndarray], functions: Mapping[str, Callable[..., Any]]) -> None:
        super().__init__(arrays, functions)
        self.tags |= {kind: partial(self._declared, kind) for kind in KINDS}

    def _declared(self, kind: str, inner: Any) -> Any:
        if not isinstance(inner, list) or len(inner) != 3 or not isinstance(inner[1], list) or not isinstance(inner[2], dict):
            raise FormatError(f"a {kind} is [class, arguments, options], not {excerpt(inner)}")
        name, args, options = inner
        if not isinstance(name, str) or name not in KINDS[kind]:
            raise FormatError(f"there is no {kind} {excerpt(name)} in netdsl. {nearest(name, KINDS[kind])}")
        cls = KINDS[kind][name]
        known = self._keywords(cls)
        for option in options:
            if option not in known:
                raise FormatError(f"{cls.title()} has no field {excerpt(option)}. {nearest(option, known)}")
        positional = [self.value(arg) for arg in args]
        keywords = {option: self.value(value) for option, value in options.items()}
        _check_types(cls, positional, keywords)
        try:
            return self._built(cls, positional, keywords)
        except (NetError, *_FAILURES) as problem:
            if isinstance(problem, FormatError):
                raise
            raise FormatError(f"{cls.title()} cannot be built: {problem}") from None

    @staticmethod
    def _keywords(cls: type[Declared]) -> list[str]:
        known = [p.name for p in cls.parameters.values() if not p.positional]
        if issubclass(cls, Net):
            if cls.__init__ is not Declared.__init__:
                known = list(cls.parameters)
            known += [*cls.array_declarations, *cls.inner_options, *COMMON]
        return known

    @staticmethod
    def _built(cls: type[Declared], positional: list[Any], keywords: dict[str, Any]) -> Any:
        if not issubclass(cls, Net):
            return cls(*positional, **keywords)
        for name in cls.array_declarations:
            if isinstance(keywords.get(name), np.ndarray):
                keywords[name] = _on_device(keywords[name])
        shared = keywords.get("SharedArrays", {})
        if shared:
            keywords["SharedArrays"] = {name: v if v is Automatic else _on_device(v) for name, v in shared.items()}
        if hasattr(cls, "edge_list"):
            positional[1] = list(positional[1])
        net = cls(*positional, **keywords)
        for name in cls.array_declarations:
            given = keywords.get(name)
            if isinstance(given, jax.Array) and net.__dict__[name].dtype != given.dtype:
                raise FormatError(f"the array {name} of {cls.title()} cannot be {given.dtype}")
        return net


def _check_types(cls: type[Declared], positional: list[Any], keywords: dict[str, Any]) -> None:
    """What constructors take from users but files do not hold: shorthands, and settings by other names."""
    for name, value in keywords.items():
        fine = True
        if name == "Ports":
            fine = _maps(value, lambda setting: isinstance(setting, (ArrayType, Encoder, Decoder)))
        elif name == "SharedArrays":
            fine = _maps(value, lambda array: array is Automatic or isinstance(array, np.ndarray))
        elif issubclass(cls, Net) and name in cls.array_declarations:
            fine = value is None or value is Automatic or isinstance(value, (np.ndarray, NetArray))
        elif name in HIGHEST:
            fine = not isinstance(value, int) or value <= HIGHEST[name]
        if not fine:
            raise FormatError(f"{name} of {cls.title()} cannot be {excerpt(value)}")
    if cls.__name__ in containers.__all__ and positional:
        parts = list(positional[0].values()) if isinstance(positional[0], Mapping) else [positional[0]]
        if not parts or not all(isinstance(part, Net) for part in parts):
            raise FormatError(f"{cls.title()} is made of nets, not of {excerpt(positional[0])}")


def _maps(value: Any, fits: Callable[[Any], bool]) -> bool:
    return isinstance(value, Mapping) and all(isinstance(name, str) and fits(item) for name, item in value.items())


def _on_device(array: np.ndarray) -> jax.Array:
    made = jax.device_put(array)  # jnp.asarray would compile a program for each shape
    if made.dtype != array.dtype:
        raise FormatError(
            f"there is an array of {array.dtype}, which JAX holds only while jax_enable_x64 is on: "
            "import the file under jax.enable_x64(True)"
        )
    return made
