"""From a net and data to a training net: encoders and decoders attached, losses attached, targets wired."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from netdsl.columns import Column, Table
from netdsl.containers import NetGraph, NetPort
from netdsl.decoders import NetDecoder
from netdsl.encoders import NetEncoder
from netdsl.errors import DataError, DeclarationError, PartError, excerpt, listing, nearest
from netdsl.functions import FUNCTIONS
from netdsl.layers import CrossEntropyLossLayer, ElementwiseLayer, MeanAbsoluteLossLayer, MeanSquaredLossLayer, SoftmaxLayer
from netdsl.nets import ArrayPath, Net
from netdsl.shapes import ArrayType
from netdsl.symbols import Automatic, Rule, Scaled

__all__ = ["LossTerm", "TrainingNet", "training_net"]

LOSS_LAYERS = (CrossEntropyLossLayer, MeanSquaredLossLayer, MeanAbsoluteLossLayer)


@dataclass(frozen=True)
class LossTerm:
    """One output port whose value is minimized, and its weight (negative: maximized)."""

    port: str
    weight: float = 1.0


@dataclass(frozen=True)
class TrainingNet:
    """The graph that is trained: the user's net at `path`, losses as outputs, and the columns that feed its input ports."""

    graph: Net
    path: ArrayPath
    net: Net
    terms: tuple[LossTerm, ...]
    columns: Mapping[str, Any]
    """For each input port of the graph: the name of the column ("inputs", "targets" or a port of the data)."""


def training_net(net: Net, data: Table, loss: Any) -> TrainingNet:
    """The training net of a net, data and a LossFunction setting."""
    net = with_input_encoders(net, data)
    settings = _loss_settings(net, loss)
    existing = [LossTerm(port, weight) for port, attached, weight in settings if attached is None]
    attached = [(port, layer, weight) for port, layer, weight in settings if layer is not None]
    if not attached:
        if data.ports is None:
            if len(net.input_names) > 1 or net.output_names:
                names = list(net.input_names)
                raise DataError(f"Data as inputs -> targets need a net without loss layers, with one input and one output. This "
                                f"{net.title()} has the inputs {listing(map(repr, names))} and the loss {existing[0].port!r}. "
                                f"Give a dict of columns: {{{', '.join(f'{name!r}: ...' for name in names)}}}.")
        return TrainingNet(net, (), net, tuple(existing), _columns_of(net, data, {}))
    return _attach(net, data, existing, attached)


# Encoders and decoders

def with_input_encoders(net: Net, data: Table) -> Net:
    """The net with the encoders that its input columns need (images, booleans), as Wolfram attaches them."""
    if data.ports is None and len(net.input_names) != 1:
        if not net.input_names:
            raise DataError(f"This {net.title()} has no input port, so data with inputs cannot be fed to it. Give a dict of columns.")
        raise DataError(f"Data as inputs -> targets need a net with one input. This {net.title()} has {listing(map(repr, net.input_names))}. "
                        "Give a dict of columns.")
    ports = {}
    for port in net.input_names:
        column = data.inputs if data.ports is None else data.ports.get(port)
        if column is None or net.encoder(port) is not None:
            continue
        encoder = _needed_encoder(net, port, column)
        if encoder is not None:
            ports[port] = encoder
    return net.changed(Ports={**net.ports, **ports}) if ports else net


def _needed_encoder(net: Net, port: str, column: Any) -> Any:
    first = column[0]
    type_ = net.port_type(port)
    picture = (isinstance(column, Column) and column.kind == "image") or type(first).__module__.startswith("PIL")
    if picture:
        return _image_encoder(first, type_)
    if isinstance(first, (bool, np.bool_)):
        return NetEncoder("Boolean")
    if isinstance(first, str):
        raise DataError(f"The input port {port!r} gets strings ({excerpt(first)}) and has no encoder. Attach one: "
                        f'{port}=NetEncoder("Class", [...]) for labels, NetEncoder("Image") for paths.')
    return None


def _image_encoder(first: Any, type_: ArrayType) -> Any:
    sizes = type_.sizes
    width, height = first.size
    if sizes is not None and len(sizes) == 3:
        height, width = sizes[1] or height, sizes[2] or width
        channels = sizes[0]
    else:
        channels = None
    gray = channels == 1 or (channels is None and first.mode in ("L", "1", "I;16", "I", "F"))
    return NetEncoder("Image", (width, height), ColorSpace="Grayscale" if gray else "RGB")


# Losses

def _loss_settings(net: Net, loss: Any) -> list[tuple[str, Net | None, float]]:
    """(output port, loss layer to attach or None, weight) for each term of the loss."""
    if loss is Automatic:
        return _automatic(net)
    items = loss if isinstance(loss, (list, tuple)) else [loss]
    return [_one_setting(net, item) for item in items]


def _automatic(net: Net) -> list[tuple[str, Net | None, float]]:
    named = [port for port in net.output_names if port.startswith("Loss") or _is_loss(net, port)]
    if named:
        return [(port, None, 1.0) for port in named]
    return [(port, automatic_loss(net, port), 1.0) for port in net.output_names]


def _one_setting(net: Net, item: Any) -> tuple[str, Net | None, float]:
    weight = 1.0
    if isinstance(item, Rule) and isinstance(item.value, Scaled):
        item, weight = item.key, float(item.value.fraction)
    if isinstance(item, str):
        if item not in net.output_names:
            raise PartError(f"LossFunction names the output port {item!r}, which this {net.title()} does not have. {nearest(item, net.output_names)}")
        return item, None, weight
    port = net.output_names[0]
    if isinstance(item, Rule):
        port, item = item.key, item.value
        if isinstance(item, Scaled):
            return port, None, float(item.fraction)
        if port not in net.output_names:
            raise PartError(f"LossFunction names the output port {port!r}, which this {net.title()} does not have. {nearest(port, net.output_names)}")
    elif len(net.output_names) != 1:
        raise DeclarationError(f"LossFunction {excerpt(item)} needs a net with one output. This {net.title()} has "
                               f"{listing(map(repr, net.output_names))}: write Rule(port, losslayer).")
    if item is Automatic:
        return port, automatic_loss(net, port), weight
    if isinstance(item, Net):
        if "Input" not in item.input_names or set(item.input_names) - {"Input", "Target"}:
            raise DeclarationError(f"A net used as LossFunction has an input port \"Input\" and may have \"Target\". {item.title()} has "
                                   f"{listing(map(repr, item.input_names))}.")
        return port, item, weight
    raise DeclarationError(f"LossFunction cannot be {excerpt(item)}. It is Automatic, the name of an output port, a loss layer or net, "
                           "Rule(port, losslayer), or a list of them, each with a weight as Rule(l, Scaled(w)).")


def _producer(net: Net, port: str) -> Net | None:
    """The layer whose output is at an output port; for operators, the last layer of what they map."""
    ref = net.program.outputs[port]
    if ref[0] < 0:
        return None
    layer: Net = net.program.steps[ref[0]].layer
    while layer.nets and "Net" in layer.nets:
        inner = layer.nets["Net"]
        layer = _producer(inner, inner.output_names[0]) or inner
        if layer is inner:
            break
    return layer


def _is_loss(net: Net, port: str) -> bool:
    return isinstance(_producer(net, port), LOSS_LAYERS)


def automatic_loss(net: Net, port: str) -> Net:
    """The loss layer that goes with the layer at an output port."""
    layer = _producer(net, port)
    if isinstance(layer, SoftmaxLayer):
        return CrossEntropyLossLayer("Index")
    if isinstance(layer, ElementwiseLayer) and layer.Function in (FUNCTIONS["LogisticSigmoid"], "Sigmoid"):
        return CrossEntropyLossLayer("Binary")
    return MeanSquaredLossLayer()


def _attach(net: Net, data: Table, existing: list[LossTerm], attached: list[tuple[str, Net, float]]) -> TrainingNet:
    """The graph of the net at "Net" and its losses; targets come in at ports named as the output ports."""
    parts: dict[str, Net] = {}
    edges: list[Any] = []
    terms = [LossTerm(term.port, term.weight) for term in existing]
    ports: dict[str, Any] = {}
    targets: dict[str, Any] = {}
    for port, layer, weight in attached:
        if data.ports is None and len(attached) > 1 and len({p for p, _, _ in attached}) > 1:
            raise DataError(f"Data as inputs -> targets need a net with one output. This {net.title()} has {listing(map(repr, net.output_names))}. "
                            "Give a dict of columns.")
        name = "Loss" if len(attached) == 1 else f"Loss{len(terms) + 1}"
        column = data.targets if data.ports is None else data.ports.get(port)
        target = port if port not in net.input_names else f"{port}Target"
        if "Target" in layer.input_names:
            if column is None:
                raise DataError(f"The loss of the output port {port!r} needs targets: the data have no column {port!r}. Their columns are "
                                f"{listing(map(repr, data.columns()))}.")
            net, encoder = _target_coding(net, port, layer, column)
            if encoder is not None:
                ports[target] = encoder
            edges.append((NetPort(target), NetPort(name, "Target")))
            targets[target] = "targets" if data.ports is None else port
        edges.append((NetPort("Net", port), NetPort(name, "Input")))
        parts[name] = layer
        outputs = layer.output_names
        for output in outputs:
            term = name if len(outputs) == 1 else f"{name}{output}"
            edges.append((NetPort(name, output), NetPort(term)))
            terms.append(LossTerm(term, weight))
    wired = [(NetPort(port), NetPort("Net", port)) for port in net.input_names]
    graph = NetGraph({"Net": net, **parts}, [*wired, *edges], Ports=ports)
    return TrainingNet(graph, ("Net",), net, tuple(terms), _columns_of(graph, data, targets))


def _target_coding(net: Net, port: str, layer: Net, column: Any) -> tuple[Net, Any]:
    """The net with the decoder that its targets mean, and the encoder of the target port."""
    decoder = net.decoder(port)
    if decoder is None:
        decoder = _needed_decoder(net, port, layer, column)
        if decoder is not None:
            net = net.changed(Ports={**net.ports, port: decoder})
    if decoder is None:
        return net, None
    spec = decoder.encoder_spec(net.port_type(port))
    if spec is None or _already_encoded(decoder, column):
        return net, None
    if decoder.kind == "Class" and isinstance(layer, CrossEntropyLossLayer) and layer.TargetForm == "Probabilities":
        return net, (NetEncoder(*_with_form(spec)) if _holds_labels(column) else None)
    if not isinstance(layer, LOSS_LAYERS):
        return net, None if "Target" not in layer.input_names else NetEncoder(list(spec))
    return net, NetEncoder(list(spec))


def _with_form(spec: tuple[Any, ...]) -> tuple[Any, ...]:
    return (spec[0], spec[1], "IndicatorVector", *spec[2:])


def _holds_labels(column: Any) -> bool:
    return (isinstance(column, Column) and column.kind == "class") or np.ndim(column[0]) == 0


def _already_encoded(decoder: Any, column: Any) -> bool:
    return decoder.kind in ("Image",) and isinstance(column, np.ndarray) and column.dtype.kind == "f"


def _needed_decoder(net: Net, port: str, layer: Net, column: Any) -> Any:
    """The decoder that Wolfram would attach for these targets: classes, booleans, or a number from a vector of length 1."""
    first = column[0]
    if isinstance(layer, CrossEntropyLossLayer) and layer.TargetForm == "Index":
        labels = column.labels if isinstance(column, Column) and column.kind == "class" else None
        if labels is None and (isinstance(first, (str, bool, np.bool_, np.str_))):
            labels = tuple(sorted({item.item() if isinstance(item, np.generic) else item for item in column}, key=str))
        if labels is None or tuple(labels) == tuple(range(1, len(labels) + 1)):
            return None
        return NetDecoder("Class", list(labels))
    if isinstance(layer, CrossEntropyLossLayer) and layer.TargetForm == "Binary" and isinstance(first, (bool, np.bool_)):
        depth = net.port_type(port).rank or 0
        return NetDecoder("Boolean") if depth == 0 else None
    type_ = net.port_type(port)
    if isinstance(layer, (MeanSquaredLossLayer, MeanAbsoluteLossLayer)) and np.ndim(first) == 0 and not isinstance(first, str):
        if type_.sizes is None:
            return NetDecoder("Scalar")
        if type_.sizes == (None,) or type_.sizes == (1,):
            return NetDecoder("Scalar")
    return None


def _columns_of(graph: Net, data: Table, targets: Mapping[str, str]) -> dict[str, str]:
    """The column of each input port of the graph."""
    if data.ports is None:
        return {port: targets.get(port, "inputs") for port in graph.input_names}
    columns = {}
    for port in graph.input_names:
        name = targets.get(port, port)
        if name not in data.ports:
            raise DataError(f"The data have no column for the input port {name!r} of the training net. Their columns are "
                            f"{listing(map(repr, data.ports))}; the ports are {listing(map(repr, graph.input_names))}.")
        columns[port] = name
    unused = [name for name in data.ports if name not in columns.values()]
    if unused:
        raise DataError(f"The data have the column {unused[0]!r}, which no port of the training net takes. {nearest(unused[0], graph.input_names)}")
    return columns


