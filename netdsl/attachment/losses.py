"""From a net and data to a training net: encoders and decoders attached, losses attached, targets wired."""

from __future__ import annotations

import math
import os
from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from netdsl.attachment.types import with_types
from netdsl.columns import Column, Table
from netdsl.containers import NetGraph, NetPairEmbeddingOperator, NetPort
from netdsl.decoders import NetDecoder
from netdsl.encoders import NetEncoder
from netdsl.errors import DataError, DeclarationError, PartError, excerpt, listing, nearest
from netdsl.functions import FUNCTIONS
from netdsl.layers import (
    ContrastiveLossLayer,
    CrossEntropyLossLayer,
    CTCLossLayer,
    ElementwiseLayer,
    MeanAbsoluteLossLayer,
    MeanSquaredLossLayer,
    SoftmaxLayer,
)
from netdsl.nets import ArrayPath, Net
from netdsl.shapes import ArrayType, describe
from netdsl.symbols import Automatic, Rule, Scaled

__all__ = ["LossTerm", "TrainingNet", "training_net"]

NUMBER_LOSSES = (CrossEntropyLossLayer, MeanSquaredLossLayer, MeanAbsoluteLossLayer)
"""The losses that compare an output with a target like it: the target says what the output is decoded to."""

LOSS_LAYERS = (*NUMBER_LOSSES, CTCLossLayer, ContrastiveLossLayer)


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
    columns = data.columns()
    names = {port: "inputs" if data.ports is None else port for port in net.input_names}
    net = with_types(net, {port: columns[name] for port, name in names.items() if name in columns})
    settings = _loss_settings(net, loss)
    existing = [LossTerm(port, weight) for port, attached, weight in settings if attached is None]
    attached = [(port, layer, weight) for port, layer, weight in settings if layer is not None]
    if not attached:
        if data.ports is None:
            raise DataError(
                f"Data as inputs -> targets need a net without loss layers, with one input and one output. This "
                f"{net.title()} has the input {listing(map(repr, net.input_names))} and the loss "
                f"{existing[0].port!r}. Give a dict of columns: "
                f"{{{', '.join(f'{name!r}: ...' for name in net.input_names)}}}."
            )
        return TrainingNet(net, (), net, tuple(existing), _columns_of(net, data, {}))
    return _attach(net, data, existing, attached)


# Encoders and decoders


def with_input_encoders(net: Net, data: Table) -> Net:
    """The net with the encoders that its input columns need (images, booleans), as Wolfram attaches them."""
    if data.ports is None and len(net.input_names) != 1:
        if not net.input_names:
            raise DataError(
                f"This {net.title()} has no input port, so data with inputs cannot be fed to it. Give a dict of columns."
            )
        raise DataError(
            f"Data as inputs -> targets need a net with one input. This {net.title()} has "
            f"{listing(map(repr, net.input_names))}. "
            "Give a dict of columns."
        )
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
    if picture or isinstance(first, os.PathLike):
        return _image_encoder(first, type_)
    if isinstance(first, (bool, np.bool_)):
        return NetEncoder("Boolean")
    if isinstance(first, str):
        raise DataError(
            f"The input port {port!r} gets strings ({excerpt(first)}) and has no encoder. Attach one: "
            f'{port}=NetEncoder("Class", [...]) for labels, NetEncoder("Image") for paths.'
        )
    return None


def _image_encoder(first: Any, type_: ArrayType) -> Any:
    sizes = type_.sizes
    if isinstance(first, os.PathLike):
        first = _opened(first)
    width, height = first.size
    if sizes is not None and len(sizes) == 3:
        height, width = sizes[1] or height, sizes[2] or width
        channels = sizes[0]
    else:
        channels = None
    gray = channels == 1 or (channels is None and first.mode in ("L", "1", "I;16", "I", "F"))
    return NetEncoder("Image", (width, height), ColorSpace="Grayscale" if gray else "RGB")


def _opened(path: Any) -> Any:
    """The picture in a file, of which only the head is read."""
    from PIL import Image

    try:
        with Image.open(os.path.expanduser(path)) as image:
            return image
    except OSError as problem:
        raise DataError(
            f"The first picture, {os.fspath(path)!r}, cannot be read ({problem}), so its size is not known. Declare the encoder: "
            'Input=NetEncoder("Image", [width, height]).'
        ) from None


# Losses


def _loss_settings(net: Net, loss: Any) -> list[tuple[str, Net | None, float]]:
    """(output port, loss layer to attach or None, weight) for each term of the loss."""
    if loss is Automatic:
        return _automatic(net)
    if isinstance(loss, Mapping):
        loss = [Rule(port, layer) for port, layer in loss.items()]
    items = loss if isinstance(loss, (list, tuple)) else [loss]
    if not items:
        raise DeclarationError(
            "LossFunction is an empty list: there is nothing to minimize. Automatic chooses by the last layer."
        )
    return [_one_setting(net, item) for item in items]


def _automatic(net: Net) -> list[tuple[str, Net | None, float]]:
    named = [port for port in net.output_names if port.startswith("Loss") or _is_loss(net, port)]
    if named:
        return [(port, None, 1.0) for port in named]
    return [(port, automatic_loss(net, port), 1.0) for port in net.output_names]


def _one_setting(net: Net, item: Any) -> tuple[str, Net | None, float]:
    """One term: a port's name, a loss, Rule(port, loss), and Rule(any of these, Scaled(weight))."""
    item, weight = _weighted(item)
    if isinstance(item, str):
        return _output(net, item), None, weight
    if isinstance(item, Rule):
        port = _output(net, item.key)
        item, factor = _weighted(item.value)
        weight *= factor
    elif len(net.output_names) == 1:
        port = net.output_names[0]
    else:
        raise DeclarationError(
            f"LossFunction {excerpt(item)} needs a net with one output. This {net.title()} has "
            f"{listing(map(repr, net.output_names))}: write Rule(port, losslayer)."
        )
    if item is Automatic:
        return port, automatic_loss(net, port), weight
    if isinstance(item, Net):
        if "Input" not in item.input_names or set(item.input_names) - {"Input", "Target"}:
            raise DeclarationError(
                'A net used as LossFunction has an input port "Input" and may have "Target". '
                f"{item.title()} has {listing(map(repr, item.input_names)) or 'none with a name'}."
            )
        return port, item, weight
    if isinstance(item, type) and issubclass(item, Net):
        raise DeclarationError(f"LossFunction is a loss layer, and {item.__name__} is a kind of them: write {item.__name__}().")
    cure = " A function is made one by FunctionLayer(lambda Input, Target: …)." if callable(item) else ""
    raise DeclarationError(
        f"LossFunction cannot be {excerpt(item)}. It is Automatic, the name of an output port, a loss layer or net, "
        f"Rule(port, losslayer), or a list of them, each with a weight as Rule(l, Scaled(w)).{cure}"
    )


def _weighted(item: Any) -> tuple[Any, float]:
    """A term and its weight, 1 where none is given."""
    if not (isinstance(item, Rule) and isinstance(item.value, Scaled)):
        return item, 1.0
    weight = item.value.fraction
    if isinstance(weight, bool) or not isinstance(weight, (int, float)) or not math.isfinite(weight):
        raise DeclarationError(
            f"LossFunction: the weight of {excerpt(item.key)} is a number, negative to maximize. Got {item.value!r}."
        )
    return item.key, float(weight)


def _output(net: Net, port: Any) -> str:
    if port not in net.output_names:
        raise PartError(
            f"LossFunction names the output port {excerpt(port)}, which this {net.title()} does not have. "
            f"{nearest(port, net.output_names)}"
        )
    return str(port)


def _producer(net: Net, port: str) -> Net | None:
    """The layer whose output is at an output port; for operators, the last layer of what they map."""
    ref = net.program.outputs[port]
    if ref[0] < 0:
        return None
    layer: Net = net.program.steps[ref[0]].layer
    while "Net" in layer.nets and not isinstance(layer, NetPairEmbeddingOperator):  # which gives none of what its net gives
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
    if isinstance(layer, NetPairEmbeddingOperator):
        return ContrastiveLossLayer()
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
            raise DataError(
                f"Data as inputs -> targets need a net with one output. This {net.title()} has "
                f"{listing(map(repr, net.output_names))}. "
                "Give a dict of columns."
            )
        name = "Loss" if len(attached) == 1 else f"Loss{len(terms) + 1}"
        column = data.targets if data.ports is None else data.ports.get(port)
        target = port if port not in net.input_names else f"{port}Target"
        if "Target" in layer.input_names:
            if column is None:
                raise DataError(
                    f"The loss of the output port {port!r} needs targets: the data have no column {port!r}. Their "
                    "columns are "
                    f"{listing(map(repr, data.columns()))}."
                )
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
    """The net with the decoder that its targets mean, and the encoder or the type of the target port; None leaves it open."""
    decoder = net.decoder(port)
    if decoder is None:
        decoder = _needed_decoder(net, port, layer, column)
        if decoder is not None:
            net = net.changed(Ports={**net.ports, port: decoder})
    if isinstance(layer, CTCLossLayer):
        _check_labels(port, decoder, column)
    if decoder is None:
        return net, _target_port(layer, column)
    spec = decoder.encoder_spec(net.port_type(port))
    if spec is None or _already_encoded(decoder, column):
        return net, None
    if decoder.kind == "Class" and not _takes_indices(layer):
        return net, NetEncoder(*_with_form(spec)) if _holds_labels(decoder, column) else None
    return net, NetEncoder(*spec)


def _check_labels(port: str, decoder: Any, column: Any) -> None:
    """Refuse targets of CTCLossLayer that are strings, and labels where no decoder says which there are."""
    first = column[0]
    if isinstance(first, str):
        labels = f"list({first!r})" if len(first) < 20 else 'list("ab")'
        raise DataError(
            f"The targets of the port {port!r} are strings, such as {excerpt(first)}. A CTCLossLayer takes sequences: write each as "
            f'its list of labels, such as {labels}, and declare {port}=NetDecoder("CTCBeamSearch", [...]) with all labels.'
        )
    if decoder is None and isinstance(first, (list, tuple)) and any(isinstance(label, str) for label in first):
        raise DataError(
            f"The targets of the port {port!r} are lists of labels, such as {excerpt(first)}, and no decoder says which there are. "
            f'Declare {port}=NetDecoder("CTCBeamSearch", [...]) with all labels of the net.'
        )


def _target_port(layer: Net, column: Any) -> Any:
    """What the target port of a loss is declared to be, where the net's output is not decoded to such targets."""
    if isinstance(layer, ContrastiveLossLayer) and isinstance(column[0], (bool, np.bool_)):
        return NetEncoder("Boolean")
    if isinstance(layer, CTCLossLayer) and not hasattr(column, "shape"):
        return ["Varying", "Integer"]
    return None


def _takes_indices(layer: Net) -> bool:
    """Whether the targets of a loss are classes as integers, rather than vectors of probabilities."""
    if isinstance(layer, CrossEntropyLossLayer):
        return bool(layer.TargetForm == "Index")
    return layer.port_type("Target").integer


def _with_form(spec: tuple[Any, ...]) -> tuple[Any, ...]:
    return (spec[0], spec[1], "IndicatorVector", *spec[2:])


def _holds_labels(decoder: Any, column: Any) -> bool:
    """Whether the targets are labels still to be encoded, rather than vectors of probabilities."""
    if isinstance(column, Column) and column.kind == "class":
        return True
    first = np.asarray(column[0])
    return first.ndim < decoder.InputDepth or first.dtype.kind not in ("f" if decoder.Multilabel else "fiub")


def _already_encoded(decoder: Any, column: Any) -> bool:
    return decoder.kind in ("Image",) and hasattr(column, "dtype") and np.issubdtype(column.dtype, np.floating)


def _needed_decoder(net: Net, port: str, layer: Net, column: Any) -> Any:
    """The decoder that Wolfram would attach for these targets: classes, booleans, or a number from a vector of length 1."""
    if not isinstance(layer, NUMBER_LOSSES):
        return None
    form = getattr(layer, "TargetForm", "Numbers")
    if form == "Index":
        return _class_decoder(net, port, column)
    first, sizes = column[0], net.port_type(port).sizes
    if form == "Binary" and isinstance(first, (bool, np.bool_)):
        if sizes:
            raise DataError(
                f"The targets are True and False, but the port {port!r} gives {describe(net.port_type(port))}, not "
                "one number. "
                "Write LinearLayer([]) before the LogisticSigmoid."
            )
        return NetDecoder("Boolean")
    single = np.ndim(first) == 0 and not isinstance(first, str)
    return NetDecoder("Scalar") if form != "Probabilities" and single and sizes in ((None,), (1,)) else None


def _refuse_missing(port: str, column: Any) -> None:
    """Refuse targets that are no labels: what a table has where a label is missing, and what cannot be compared."""
    for row, item in enumerate(column, 1):
        missing = item is None or type(item).__name__ in ("NAType", "NaTType") or (isinstance(item, float) and item != item)
        if missing or not isinstance(item, Hashable):
            raise DataError(
                f"Example {row} of the data has the target {excerpt(item)} for the port {port!r}, which is no label. Leave out the "
                f'examples that have none, or declare {port}=NetDecoder("Class", [...]) with all labels.'
            )


def _class_decoder(net: Net, port: str, column: Any) -> Any:
    """The decoder of the labels that the targets are; None where they are the integers 1..n themselves."""
    labels = column.labels if isinstance(column, Column) and column.kind == "class" else None
    if labels is None and isinstance(column[0], (str, bool, np.bool_)):
        _refuse_missing(port, column)
        labels = tuple(sorted({item.item() if isinstance(item, np.generic) else item for item in column}, key=str))
    if labels is None or tuple(labels) == tuple(range(1, len(labels) + 1)):
        return None
    size = (net.port_type(port).sizes or (None,))[-1]
    if size not in (None, len(labels)):
        raise DataError(
            f"The targets have {len(labels)} class{'es' * (len(labels) > 1)} ({listing(map(repr, labels), 6)}), but the port "
            f"{port!r} gives {size} "
            f'probabilities. Change the net\'s last size to {len(labels)}, or declare {port}=NetDecoder("Class", '
            f"[...]) with all {size}."
        )
    return NetDecoder("Class", list(labels))


def _columns_of(graph: Net, data: Table, targets: Mapping[str, str]) -> dict[str, str]:
    """The column of each input port of the graph."""
    if data.ports is None:
        return {port: targets.get(port, "inputs") for port in graph.input_names}
    columns = {}
    for port in graph.input_names:
        name = targets.get(port, port)
        if name not in data.ports:
            raise DataError(
                f"The data have no column for the input port {name!r} of the training net. Their columns are "
                f"{listing(map(repr, data.ports))}; the ports are {listing(map(repr, graph.input_names))}."
            )
        columns[port] = name
    unused = [name for name in data.ports if name not in columns.values()]
    if unused:
        cure = (
            f"LossFunction names the output itself as the loss; Rule({unused[0]!r}, Automatic) compares it with the column."
            if unused[0] in graph.output_names
            else nearest(unused[0], graph.input_names)
        )
        raise DataError(f"The data have the column {unused[0]!r}, which no port of the training net takes. {cure}")
    return columns
