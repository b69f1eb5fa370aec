"""What a training net compares: the wires of predictions and targets, and the classes they stand for."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass
from typing import Any

from netdsl.attachment import TrainingNet
from netdsl.layers import CrossEntropyLossLayer, MeanAbsoluteLossLayer, MeanSquaredLossLayer
from netdsl.nets import ArrayPath, Net, Ref, Step

__all__ = ["NUMBERS", "Comparison", "comparison", "loss_steps"]

NUMBERS = "Numbers"
"""The form of a comparison of numbers; the others are the forms of CrossEntropyLossLayer."""


@dataclass(frozen=True)
class Comparison:
    """One comparison of predictions with targets.

    Args:
        form: "Index", "Probabilities" or "Binary" for classes, "Numbers" otherwise.
        predicted: the wire of the probabilities or numbers.
        target: the wire of what they should be.
        labels: the classes in the order of the probabilities, None for the integers from 1.
        multilabel: whether several classes may be true together.
    """

    form: str
    predicted: Ref
    target: Ref
    labels: tuple[Hashable, ...] | None = None
    multilabel: bool = False


def loss_steps(training: TrainingNet) -> list[Step]:
    """The steps of the graph that are losses: the attached ones, or where none is attached all."""
    losses = (CrossEntropyLossLayer, MeanSquaredLossLayer, MeanAbsoluteLossLayer)
    found = [step for step in training.graph.program.steps if isinstance(step.layer, losses)]
    depth = len(training.path)
    attached = [step for step in found if depth and step.path[:depth] != training.path]
    return attached or found


def comparison(training: TrainingNet) -> Comparison | None:
    """The comparison that measurements speak of: that of the only cross entropy, or else of the only other loss."""
    steps = loss_steps(training)
    entropies = [step for step in steps if isinstance(step.layer, CrossEntropyLossLayer)]
    chosen = entropies or steps
    if len(chosen) != 1:
        return None
    ports = dict(chosen[0].inputs)
    predicted, target = ports["Input"], ports["Target"]
    layer = chosen[0].layer
    if not isinstance(layer, CrossEntropyLossLayer):
        return Comparison(NUMBERS, predicted, target)
    decoder = _decoder(training.graph, predicted)
    multilabel = bool(getattr(decoder, "Multilabel", False))
    if layer.TargetForm == "Binary":
        return Comparison("Binary", predicted, target, (False, True), multilabel)
    labels = getattr(decoder, "Labels", None)
    if not isinstance(labels, tuple) and target[0] == -1:
        labels = getattr(training.graph.encoder(target[1]), "Labels", None)
    return Comparison(layer.TargetForm, predicted, target, labels if isinstance(labels, tuple) else None, multilabel)


def _decoder(graph: Net, ref: Ref) -> Any:
    """The decoder on any port that gives this wire: inside a graph it is inert, but says what the classes are."""
    for (path, port), wire in graph.program.ports.items():
        if wire == ref:
            part = _part(graph, path)
            decoder = part.decoder(port) if port in part.output_names else None
            if decoder is not None and decoder.kind in ("Class", "Boolean"):
                return decoder
    return None


def _part(net: Net, path: ArrayPath) -> Net:
    for name in path:
        net = net.nets[name]
    return net
