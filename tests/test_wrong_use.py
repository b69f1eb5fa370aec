"""Wrong use, each with its whole message: what was attempted, both ends, one next step."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import numpy as np
import pytest

from netdsl import *

net = NetChain([LinearLayer(3), SoftmaxLayer()], Input=2, Output=NetDecoder("Class", ["a", "b", "c"]))
ready = NetInitialize(net)
pictures = NetInitialize(NetChain([FlattenLayer(), 3, SoftmaxLayer()], Input=NetEncoder("Image", (4, 4), ColorSpace="Grayscale")))

CASES: dict[str, tuple[Callable[[], Any], type[Exception], str]] = {
    "contradiction": (
        lambda: NetChain([LinearLayer(10), LinearLayer(2, Weights=np.zeros((2, 7)))]),
        ShapeError,
        "cannot connect element 1 to element 2 of this NetChain.\n"
        "  element 1, LinearLayer  gives  a vector of size 10  (output size 10, set in LinearLayer(10))\n"
        "  element 2, LinearLayer  takes  a vector of size 7   (from its Weights, float32[2, 7])\n"
        "Change the size of element 1 to 7, or drop the Weights of element 2.",
    ),
    "label": (
        lambda: NetTrain(ready, [Rule([1.0, 2.0], "d")], TrainingProgressReporting=None),
        EncodingError,
        "NetEncoder(\"Class\") has no class 'd' at position 1. Its 3 classes are 'a', 'b' and 'c'.",
    ),
    "index": (
        lambda: NetTrain(NetChain([3, SoftmaxLayer()], Input=2), Rule([[1.0, 2.0]], [4]), TrainingProgressReporting=None),
        EncodingError,
        "The port 'Output' takes an integer from 1 to 3. Got 4 (at position 1), which is out of range. Classes count from 1.",
    ),
    "option": (
        lambda: ConvolutionLayer(3, 3, Strid=2),
        DeclarationError,
        "ConvolutionLayer has no option or port 'Strid'. Did you mean 'Stride'?",
    ),
    "train option": (
        lambda: NetTrain(ready, [Rule([1.0, 2.0], "a")], MaxTrainingRound=2),
        DeclarationError,
        "NetTrain has no option 'MaxTrainingRound'. Did you mean 'MaxTrainingRounds'?",
    ),
    "port": (
        lambda: NetChain([Ramp], Inputs=3),
        DeclarationError,
        "NetChain has no option or port 'Inputs'. Did you mean 'Input'?",
    ),
    "layer": (
        lambda: NetExtract(NetChain({"conv": Ramp}), "cnv"),
        PartError,
        "NetExtract: this NetChain has no part 'cnv'. Did you mean 'conv'?",
    ),
    "property": (
        lambda: ready([1.0, 2.0], "Probabilties"),
        PartError,
        "NetDecoder(\"Class\") has no property 'Probabilties'. Did you mean 'Probabilities'? Its properties are "
        "Decision, TopDecisions, TopProbabilities, Probabilities, Probability, Entropy and RandomSample.",
    ),
    "train property": (
        lambda: NetTrain(ready, [Rule([1.0, 2.0], "a")], "LosPlot"),
        PartError,
        "NetTrain gives no property 'LosPlot'. Did you mean 'LossPlot'?",
    ),
    "image type": (
        lambda: pictures(3.5),
        EncodingError,
        "The port 'Input' has the encoder NetEncoder(\"Image\"), which cannot take 3.5.",
    ),
    "lengths": (
        lambda: NetTrain(ready, Rule([[1.0, 2.0]] * 3, ["a"] * 2)),
        DataError,
        "The columns of the training data have different lengths: inputs 3, targets 2. Each example needs a value "
        "in every column.",
    ),
    "nan": (
        lambda: NetTrain(ready, Rule([[1.0, 2.0], [float("nan"), 1.0]], ["a", "b"])),
        DataError,
        "Example 2 of the training data has the value nan in the column 'inputs' (port 'Input'). Only finite "
        "numbers can be used: remove or replace such examples.",
    ),
    "uninitialized": (
        lambda: net([1.0, 2.0]),
        UninitializedError,
        "This NetChain has no values yet for 1/Weights and 1/Biases. NetInitialize(net) gives it random ones, "
        "NetTrain(net, data) trained ones.",
    ),
    "shift": (
        lambda: NetGraph([Ramp, Ramp], [1 >> 2]),
        DeclarationError,
        '0 is no edge. An edge is a tuple (1, 2), a Rule(1, 2), or NetPort("Input") >> 1. Python reads 1 >> 2 as a'
        " bit shift, which gives 0: write the edge as (1, 2).",
    ),
    "zero": (
        lambda: net[0],
        PartError,
        "net[0]: this NetChain has no part 0. Parts are numbered from 1: 1 is the first, -1 the last.",
    ),
    "slice": (
        lambda: net[0:1],
        DeclarationError,
        "net[0:1]: nets take no Python slices; positions count from 1, both ends included. Write net[Span(1, 1)].",
    ),
    "edges dict": (
        lambda: NetGraph([Ramp, Ramp], {1: 2}),
        DeclarationError,
        'Edges are not written as a dict: equal keys would vanish. Write a list of pairs: [("a", "b"), ("a", "c")]'
        ' or [Rule("a", "b"), Rule("a", "c")].',
    ),
    "resource": (
        lambda: ResourceData("MNSIT"),
        ResourceError,
        "ResourceData: there is no set named 'MNSIT'. Did you mean 'MNIST'? Sets of TensorFlow Datasets are named 'TFDS:…'.",
    ),
    "bad stride": (
        lambda: PoolingLayer(2, 0),
        DeclarationError,
        "The Stride parameter of PoolingLayer must be a positive integer or a list of them. Got 0 instead.",
    ),
    "class not instance": (
        lambda: NetChain([SoftmaxLayer]),
        DeclarationError,
        "element 1 of NetChain is the class SoftmaxLayer, not a layer. Write SoftmaxLayer(...).",
    ),
    "mul": (
        lambda: NetTrain(ready, [Rule([1.0, 2.0], "a")], WorkingPrecision="Real16"),
        UnsupportedError,
        'WorkingPrecision="Real16" is not supported. "Mixed" computes in 16 bits and keeps what is trained in 32.',
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_message(name: str) -> None:
    attempt, kind, message = CASES[name]
    with pytest.raises(kind) as caught:
        attempt()
    assert str(caught.value) == message


@pytest.mark.skipif(any(device.platform == "gpu" for device in jax.devices()), reason="a GPU is there")
def test_no_gpu() -> None:
    with pytest.raises(DeviceError, match="there is no GPU that JAX can use here; it sees CPU"):
        ready([1.0, 2.0], TargetDevice="GPU")
