"""Information: what a net says of itself: its arrays, layers, ports and counts."""

from __future__ import annotations

import hashlib
import html as markup
import types
from collections import Counter
from collections.abc import Callable
from typing import Any

from netdsl.constraints import source_text
from netdsl.declarations import Declared
from netdsl.errors import DeclarationError, PartError, UnsupportedError, excerpt, nearest, public
from netdsl.nets import SHARED, ArrayPath, Net, multipliers_by_path
from netdsl.shapes import ArrayType, shape_form, type_text
from netdsl.symbols import Automatic, Quantity, Rule

__all__ = ["Information", "NetInformationData"]

OF_MXNET = ("MXNetNodeGraph", "MXNetNodeGraphPlot")
"""Properties of Mathematica that are of its back end."""

BYTES = 4
"""The bytes of one number of an array that has no values yet: float32."""


@public
def Information(net: Any, properties: Any = None, /) -> Any:
    """What a net says of itself.

    ``Information(net)`` is a report to print; ``Information(net, "ArraysTotalElementCount")`` one property;
    ``Information(net, ["LayersCount", "ArraysCount"])`` a list of them; ``Information([net1, net2], "LayersCount")`` one for
    each net.

    The properties, where a dict is by path as `net.arrays`:

    - "Arrays", "ArraysList", "ArraysPositionList", "ArraysCount", "SharedArraysCount": the arrays, state included; Automatic
      while they have no values;
    - "ArraysDimensions", "ArraysElementCounts", "ArraysByteCounts", "ArraysSizes", and their sums "ArraysTotalElementCount",
      "ArraysTotalByteCount", "ArraysTotalSize"; "ArraysLearningRateMultipliers";
    - "Layers", "LayersList", "LayersCount", "LayerTypeCounts": the layers at all depths, containers left out;
    - "InputPorts", "OutputPorts", "InputPortNames", "OutputPortNames";
    - "SummaryGraphic", a picture that a notebook shows, with ``.save("net.svg")`` (.png, .pdf), ``.svg`` and ``.figure()``;
      "FullSummaryGraphic", the same with the parts of its parts; "LayersGraph", a Rule between paths for each wire;
    - "RecurrentStatesCount", "RecurrentStatesPositionList", "InputForm", "TopologyHash", "Properties".

    Raises PartError for an unknown property, UnsupportedError for one of Mathematica's that is not here.

    >>> net = NetChain([LinearLayer(3), Ramp, LinearLayer(2)], Input=4)
    >>> Information(net, "ArraysTotalElementCount")
    23
    >>> Information(net, "LayerTypeCounts")
    {'LinearLayer': 2, 'ElementwiseLayer': 1}

    Differences from Wolfram: positions are tuples of names; layer types are named by strings; a count of elements that is not
    known yet is Automatic; "LayersGraph" is a list of rules; the properties of MXNet are not here. Source: Wolfram's public
    reference page; names of properties that no page states are remembered [M].
    """
    if isinstance(net, (list, tuple)):
        return [Information(each, properties) for each in net]
    if not isinstance(net, Net):
        raise DeclarationError(f"Information takes a net or a list of nets. Got {excerpt(net)}.")
    if properties is None:
        return NetInformationData(net)
    if isinstance(properties, (list, tuple)):
        return [_property(net, name) for name in properties]
    return _property(net, properties)


def _property(net: Net, name: Any) -> Any:
    function = PROPERTIES.get(name) if isinstance(name, str) else None
    if function is None:
        if name in OF_MXNET:
            raise UnsupportedError(
                f"Information: the property {name!r} does not exist in netdsl, which runs on JAX. 'LayersGraph' gives the wires."
            )
        raise PartError(f"Information has no property {excerpt(name)}. {nearest(name, PROPERTIES)}")
    return function(net)


class NetInformationData:
    """The report that Information(net) gives: printed as text, shown as a table in a notebook."""

    def __init__(self, net: Net) -> None:
        self.net = net

    @public
    def __call__(self, properties: Any, /) -> Any:
        """One property of the net, or a list of them."""
        return Information(self.net, properties)

    def rows(self) -> list[tuple[str, str]]:
        """The lines of the report: what, and how much."""
        net = self.net
        kinds = ", ".join(f"{count} {name}" for name, count in _layer_type_counts(net).items())
        total, missing = _total(_element_counts(net)), len(net.missing)
        rows = [("Input port" if name == "Input" else f"Input port {name}", _port_text(net, name)) for name in net.input_names]
        rows += [
            ("Output port" if name == "Output" else f"Output port {name}", _port_text(net, name)) for name in net.output_names
        ]
        rows += [
            ("Layers", f"{len(_layers(net))} ({kinds})"),
            ("Arrays", str(len(net.array_table()))),
            ("Array elements", f"{total:,}" if isinstance(total, int) else "unknown: some sizes are open"),
        ]
        if isinstance(total, int):
            rows.append(("Size", _size_text(_total(_byte_counts(net)))))
        if missing:
            rows.append(("Uninitialized arrays", str(missing)))
        return rows

    def __repr__(self) -> str:
        rows = self.rows()
        wide = max(len(name) for name, _ in rows)
        state = "" if self.net.initialized else " (uninitialized)"
        return "\n".join([f"Information: {self.net.title()}{state}", *(f"  {name:{wide}}  {text}" for name, text in rows)])

    def _repr_html_(self) -> str:
        lines = "".join(
            f"<tr><th style='text-align:left'>{markup.escape(name)}</th><td "
            f"style='text-align:left'>{markup.escape(text)}</td></tr>"
            for name, text in self.rows()
        )
        return f"<table><caption>{markup.escape(self.net.title())}</caption>{lines}</table>"


def _port_text(net: Net, port: str) -> str:
    coder = net.encoder(port) if port in net.input_names else net.decoder(port)
    text = type_text(net.port_type(port))
    return text if coder is None else f"{text}, {coder.title()}"


def _size_text(count: int) -> str:
    size = quantity(count)
    return f"{size.magnitude:,.4g} {size.unit.lower()}"


def quantity(count: int) -> Quantity:
    """So many bytes in the unit that reads best.

    >>> quantity(1_724_320)
    Quantity(1.72432, 'Megabytes')
    """
    for unit, size in (("Gigabytes", 10**9), ("Megabytes", 10**6), ("Kilobytes", 10**3)):
        if count >= size:
            return Quantity(count / size, unit)
    return Quantity(count, "Bytes")


# Arrays


def _types(net: Net) -> dict[ArrayPath, ArrayType]:
    found = net.solved.arrays
    return {path: found[path] for path in net.array_table()}


def _dimensions(net: Net) -> dict[ArrayPath, Any]:
    return {
        path: Automatic if type_.sizes is None else [Automatic if size is None else size for size in type_.sizes]
        for path, type_ in _types(net).items()
    }


def _element_counts(net: Net) -> dict[ArrayPath, Any]:
    counts: dict[ArrayPath, Any] = {}
    for path, sizes in _dimensions(net).items():
        counts[path] = Automatic
        if sizes is not Automatic and Automatic not in sizes:
            counts[path] = 1
            for size in sizes:
                counts[path] *= size
    return counts


def _byte_counts(net: Net) -> dict[ArrayPath, Any]:
    values = net.array_table()
    return {
        path: count if count is Automatic else count * (BYTES if values[path] is Automatic else values[path].dtype.itemsize)
        for path, count in _element_counts(net).items()
    }


def _total(counts: dict[ArrayPath, Any]) -> Any:
    return Automatic if Automatic in counts.values() else sum(counts.values())


def _sizes(net: Net) -> dict[ArrayPath, Any]:
    return {path: count if count is Automatic else quantity(count) for path, count in _byte_counts(net).items()}


def _total_size(net: Net) -> Any:
    total = _total(_byte_counts(net))
    return total if total is Automatic else quantity(total)


def _multipliers(net: Net) -> dict[ArrayPath, float]:
    states = net.state_paths()
    return multipliers_by_path(net, (), Automatic, [path for path in net.array_table() if path not in states])


# Layers and ports


def _layers(net: Net) -> dict[ArrayPath, Net]:
    """The layers at all depths as NetExtract gives them; operators and what they hold, containers not."""
    found: dict[ArrayPath, Net] = {(): net} if net.parts() is None else {}
    for name in net.nets:
        found |= {(name, *path): layer for path, layer in _layers(net[name]).items()}
    return found


def _layer_type_counts(net: Net) -> dict[str, int]:
    return dict(Counter(layer.title() for _, layer in net.leaves()))


def _input_ports(net: Net) -> dict[str, Any]:
    return {port: net.encoder(port) or shape_form(net.port_type(port)) for port in net.input_names}


def _output_ports(net: Net) -> dict[str, Any]:
    return {port: net.decoder(port) or shape_form(net.port_type(port)) for port in net.output_names}


def _states(net: Net) -> list[ArrayPath]:
    return [(*path, name) for path, layer in net.leaves() for name in layer.state_names]


def _graphic(net: Net, full: bool) -> Any:
    from netdsl.display import NetGraphic

    return NetGraphic(net, full)


def _layers_graph(net: Net) -> list[Rule]:
    """A rule between paths for every wire between layers, those of inner containers too."""
    steps = net.program.steps
    return [Rule(steps[ref[0]].path, step.path) for step in steps for _, ref in step.inputs if ref[0] >= 0]


def _topology_hash(net: Net) -> str:
    """A digest of the layers, their parameters and wires; names, ports and the values of arrays do not count."""
    digest = hashlib.blake2b(digest_size=16)
    for step in net.program.steps:
        layer = step.layer
        digest.update(repr((layer.title(), step.inputs, step.outputs, sorted(name for name in layer.array_values()))).encode())
        digest.update(_parameters_text(layer).encode())
        for name, inner in layer.nets.items():
            digest.update(f"{name}:{_topology_hash(inner)}".encode())
    digest.update(repr(tuple(net.program.outputs.items())).encode())
    return digest.hexdigest()


def _parameters_text(layer: Declared) -> str:
    return repr([(name, _value_text(value)) for name, value in layer.values_of_parameters().items()])


def _value_text(value: Any) -> str:
    """A parameter as text: functions by what they do, not by where they are written."""
    code = getattr(value, "__code__", None)
    if isinstance(code, types.CodeType):
        constants = [_value_text(c) if isinstance(c, types.CodeType) else repr(c) for c in code.co_consts]
        return repr((code.co_code, constants, code.co_names))
    if isinstance(value, types.CodeType):
        return repr((value.co_code, value.co_names))
    return f"{type(value).__name__}:{source_text(value)}"


PROPERTIES: dict[str, Callable[[Net], Any]] = {
    "Arrays": lambda net: net.array_table(),
    "ArraysByteCounts": _byte_counts,
    "ArraysCount": lambda net: len(net.array_table()),
    "ArraysDimensions": _dimensions,
    "ArraysElementCounts": _element_counts,
    "ArraysLearningRateMultipliers": _multipliers,
    "ArraysList": lambda net: list(net.array_table().values()),
    "ArraysPositionList": lambda net: list(net.array_table()),
    "ArraysSizes": _sizes,
    "ArraysTotalByteCount": lambda net: _total(_byte_counts(net)),
    "ArraysTotalElementCount": lambda net: _total(_element_counts(net)),
    "ArraysTotalSize": _total_size,
    "FullSummaryGraphic": lambda net: _graphic(net, True),
    "InputForm": repr,
    "InputPortNames": lambda net: list(net.input_names),
    "InputPorts": _input_ports,
    "Layers": _layers,
    "LayersCount": lambda net: sum(1 for _ in net.leaves()),
    "LayersGraph": _layers_graph,
    "LayersList": lambda net: list(_layers(net).values()),
    "LayerTypeCounts": _layer_type_counts,
    "OutputPortNames": lambda net: list(net.output_names),
    "OutputPorts": _output_ports,
    "Properties": lambda net: list(PROPERTIES),
    "RecurrentStatesCount": lambda net: len(_states(net)),
    "RecurrentStatesPositionList": _states,
    "SharedArraysCount": lambda net: sum(path[0] == SHARED for path in net.array_table()),
    "SummaryGraphic": lambda net: _graphic(net, False),
    "TopologyHash": _topology_hash,
}
"""Every property by name."""
