"""netdsl as its user calls it: NetTrain from arrays to the trained net, and nets applied to data."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from workloads import BLOCKS, CLASSES, Architecture, Arrays, Examples, Workload

from netdsl import (
    All,
    BatchNormalizationLayer,
    ConvolutionLayer,
    FlattenLayer,
    LinearLayer,
    LongShortTermMemoryLayer,
    Mean,
    NetChain,
    NetDecoder,
    NetEncoder,
    NetGraph,
    NetPort,
    NetTrain,
    Plus,
    PoolingLayer,
    Ramp,
    Rule,
    SequenceLastLayer,
    SoftmaxLayer,
)
from peers import Evaluate, Train

__all__ = ["NETS", "SEED", "evaluation", "lenet", "options_of", "single", "training"]

SEED = 1
"""Of the order of the examples, which the other peers take too."""

NAMES = {"weights": "Weights", "biases": "Biases", "scale": "Scaling"}
GATES = ("InputGate", "ForgetGate", "MemoryGate", "OutputGate")
DIGITS = NetDecoder("Class", range(CLASSES))


def _of(arrays: Arrays, layer: str) -> dict[str, np.ndarray]:
    """The arrays of a layer as its options; none where none are given."""
    return {NAMES[kind]: value for kind, value in arrays.get(layer, {}).items()}


def lenet(arrays: Arrays) -> NetChain:
    """The net of the article."""
    return NetChain(
        [
            ConvolutionLayer(20, 5, **_of(arrays, "conv1")),
            Ramp,
            PoolingLayer(2, 2),
            ConvolutionLayer(50, 5, **_of(arrays, "conv2")),
            Ramp,
            PoolingLayer(2, 2),
            FlattenLayer(),
            LinearLayer(500, **_of(arrays, "dense1")),
            Ramp,
            LinearLayer(CLASSES, **_of(arrays, "dense2")),
            SoftmaxLayer(),
        ],
        Input=NetEncoder("Image", (28, 28), ColorSpace="Grayscale"),
        Output=DIGITS,
    )


def mlp(arrays: Arrays) -> NetChain:
    """Three linear layers."""
    layers = [LinearLayer(arrays[name]["biases"].size, **_of(arrays, name)) for name in ("dense1", "dense2", "dense3")]
    features = arrays["dense1"]["weights"].shape[1]
    return NetChain([layers[0], Ramp, layers[1], Ramp, layers[2], SoftmaxLayer()], Input=features, Output=DIGITS)


def resnet(arrays: Arrays) -> NetChain:
    """ResNet-20 for pictures of 32 by 32."""
    return NetChain(
        [
            ConvolutionLayer(16, 3, PaddingSize=1, Biases=None, **_of(arrays, "conv")),
            BatchNormalizationLayer(**_of(arrays, "norm")),
            Ramp,
            *(_block(arrays, name, channels, stride) for name, _, channels, stride in BLOCKS),
            PoolingLayer(8, Function=Mean),
            FlattenLayer(),
            LinearLayer(CLASSES, **_of(arrays, "dense")),
            SoftmaxLayer(),
        ],
        Input=[3, 32, 32],
        Output=DIGITS,
    )


def _block(arrays: Arrays, name: str, channels: int, stride: int) -> NetGraph:
    def convolution(layer: str, size: int, stride: int) -> ConvolutionLayer:
        options = _of(arrays, f"{name}.{layer}")
        return ConvolutionLayer(channels, size, Stride=stride, PaddingSize=size // 2, Biases=None, **options)

    def normalization(layer: str) -> BatchNormalizationLayer:
        return BatchNormalizationLayer(**_of(arrays, f"{name}.{layer}"))

    layers: dict[str, Any] = {
        "conv1": convolution("conv1", 3, stride),
        "norm1": normalization("norm1"),
        "ramp1": Ramp,
        "conv2": convolution("conv2", 3, 1),
        "norm2": normalization("norm2"),
        "sum": Plus,
        "ramp2": Ramp,
    }
    edges: list[Any] = [(NetPort("Input"), "conv1", "norm1", "ramp1", "conv2", "norm2"), ("sum", "ramp2")]
    if stride == 1:
        return NetGraph(layers, [*edges, (["norm2", NetPort("Input")], "sum")])
    layers |= {"skip": convolution("skip", 1, stride), "skip_norm": normalization("skip_norm")}
    return NetGraph(layers, [*edges, (NetPort("Input"), "skip", "skip_norm"), (["norm2", "skip_norm"], "sum")])


def lstm(arrays: Arrays) -> NetChain:
    """The last output of an LSTM, classified."""
    parts = {"InputWeights": "inputs", "StateWeights": "states", "Biases": "biases"}
    options = {
        gate + name: value
        for name, kind in parts.items()
        for gate, value in zip(GATES, np.split(arrays["lstm"][kind], len(GATES)))
    }
    units = arrays["lstm"]["states"].shape[1]
    features = arrays["lstm"]["inputs"].shape[1]
    layers = [LongShortTermMemoryLayer(units, **options), SequenceLastLayer(), LinearLayer(CLASSES, **_of(arrays, "dense"))]
    return NetChain([*layers, SoftmaxLayer()], Input=[100, features], Output=DIGITS)


NETS: Mapping[str, Any] = {"lenet": lenet, "mlp": mlp, "resnet": resnet, "lstm": lstm}


def options_of(workload: Workload) -> dict[str, Any]:
    """Of NetTrain, for one round."""
    return {
        "BatchSize": workload.batch,
        "MaxTrainingRounds": 1,
        "RandomSeeding": SEED,
        "TrainingProgressReporting": None,
    }


def training(workload: Workload, data: Examples, order: np.ndarray) -> Train:
    """NetTrain for one round, always from the initial arrays; the order is its own."""
    net = NETS[workload.architecture.name](workload.architecture.arrays())
    rule = Rule(data.inputs, data.labels)
    options = options_of(workload)

    def train(batches: int) -> float:
        results = NetTrain(net, rule, All, **options)
        return float(results("BatchLossList")[:batches].mean())

    return train


def evaluation(architecture: Architecture, inputs: np.ndarray, batch: int) -> Evaluate:
    """The net, applied to all inputs."""
    net = NETS[architecture.name](architecture.arrays())
    return lambda: net(inputs, None, BatchSize=batch)


def single(architecture: Architecture, thing: np.ndarray) -> Evaluate:
    """The net, applied to one input."""
    net = NETS[architecture.name](architecture.arrays())
    return lambda: net(thing, None)
