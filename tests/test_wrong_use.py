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


def halved(x: Any) -> Any:
    raise ValueError("no halves")


def twice(a: Any, b: Any) -> Any:
    return [a, b]


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
        DataError,
        "Example 1 of the training data: NetEncoder(\"Class\") has no class 'd'. Its 3 classes are 'a', 'b' and 'c'.",
    ),
    "index": (
        lambda: NetTrain(NetChain([3, SoftmaxLayer()], Input=2), Rule([[1.0, 2.0]], [4]), TrainingProgressReporting=None),
        DataError,
        "Example 1 of the training data: The port 'Output' takes an integer from 1 to 3. Got 4, which is out of range. "
        "Classes and positions count from 1.",
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
    "port twice": (
        lambda: LinearLayer(3, Input=2, Ports={"Input": 4}),
        DeclarationError,
        "LinearLayer got Input twice: as Input=… and in Ports. Give it once.",
    ),
    "array as a shape": (
        lambda: LinearLayer(3, Input=np.array([1, 2])),
        DeclarationError,
        "Port 'Input' cannot have the shape array([1, 2]). A shape is a size, a list of sizes (with Automatic or "
        '"Varying"), "Real", "Integer", Restricted("Integer", n), a NetEncoder or a NetDecoder.',
    ),
    "a size beyond arrays": (
        lambda: LinearLayer(3, Input=2**40),
        DeclarationError,
        "Port 'Input' cannot have the shape 1099511627776: sizes are from 1 to 2147483647.",
    ),
    "a number beyond arrays": (
        lambda: ConvolutionLayer(2, 3, PaddingSize=2**40),
        DeclarationError,
        'The PaddingSize parameter of ConvolutionLayer must be "Same", an integer of at least 0, or a list of integers or '
        "pairs. Got 1099511627776, which is too large.",
    ),
    "ports without end": (
        lambda: TotalLayer(InputPorts=2**30),
        DeclarationError,
        "The InputPorts parameter of TotalLayer must be a positive integer up to 10000 or a list of different names, or "
        "Automatic. Got 1073741824 instead.",
    ),
    "depth without end": (
        lambda: NetMapThreadOperator(Plus, 2**30),
        DeclarationError,
        "The Depth parameter of NetMapThreadOperator must be a number of levels from 1 to 64 or a dict from inputs to equal "
        "depths. Got 1073741824 instead.",
    ),
    "a set for a list": (
        lambda: LinearLayer({2, 3}),
        DeclarationError,
        "The OutputDimensions parameter of LinearLayer must be a positive integer or a list of sizes, or Automatic. Got "
        "{2, 3} instead.",
    ),
    "a net for a list": (
        lambda: ReplicateLayer(LinearLayer(3)),
        DeclarationError,
        "The Dimensions parameter of ReplicateLayer must be a positive integer, Automatic or a list of these. Got "
        "LinearLayer(3) instead.",
    ),
    "class as a function": (
        lambda: FunctionLayer(SoftmaxLayer),
        DeclarationError,
        "The Function parameter of FunctionLayer must be a function. Got <class "
        "'netdsl.layers.normalization.SoftmaxLayer'> instead.",
    ),
    "broadcasting": (
        lambda: ThreadingLayer(Plus, [1], InputPorts=2),
        DeclarationError,
        "The Broadcasting list of ThreadingLayer needs a setting for each of its 2 inputs. Got 1: [1].",
    ),
    "a port of a number that is not said": (
        lambda: ThreadingLayer(Plus, Input1=2, Input2=2),
        DeclarationError,
        "ThreadingLayer has no port 'Input1' before it is said how many it has. Write InputPorts=n with their number n.",
    ),
    "a function that fails": (
        lambda: ElementwiseLayer(halved, Input=2)([1.0, 2.0]),
        DeclarationError,
        "The Function of ElementwiseLayer(halved, Input=2) fails for a vector of size 2: ValueError('no halves')",
    ),
    "a function that makes more": (
        lambda: ThreadingLayer(twice, InputPorts=2, Input1=2, Input2=2)({"Input1": [1.0, 2.0], "Input2": [1.0, 2.0]}),
        DeclarationError,
        "The Function of ThreadingLayer(twice, InputPorts=2, Input1=2, Input2=2) must give one number for "
        "each element. For a vector of size 2 it gives a matrix of size 2x2.",
    ),
    "sizes of a shared array": (
        lambda: NetArray("w", Dimensions=[3, -1]),
        DeclarationError,
        "The Dimensions of NetArray('w') must be a positive integer or a list of them. Got [3, -1] instead.",
    ),
    "an array that does not fit": (
        lambda: ConvolutionLayer(3, 2, Weights=np.zeros((4, 2, 2, 2))),
        ShapeError,
        "the array Weights of the layer, ConvolutionLayer(3, 2), does not fit.\n"
        "  Weights    is     an array of size 4x2x2x2\n"
        "  the layer  needs  an array of size 3x2x2x2\n"
        "Give an array of size 3x2x2x2, or leave Weights out: NetInitialize then makes one.",
    ),
    "an array and a port": (
        lambda: BatchNormalizationLayer(Biases=[1.0, 2.0], Input=[3, 4]),
        ShapeError,
        "the layer, BatchNormalizationLayer(), needs equal sizes where 3 and 2 meet.\n"
        "  its Input   is  a matrix of size 3x4  (the Input port: declared)\n"
        "  its Biases  is  a vector of size 2    (given)\n"
        "Change the declared Input, or drop the Biases of the layer.",
    ),
    "a net for data": (
        lambda: NetInitialize(LinearLayer(3, Input=2))(Ramp),
        EncodingError,
        "The port 'Input' takes a vector of size 2. Got Ramp, which is not numbers. A NetEncoder on the port turns other "
        "things into numbers.",
    ),
    "a layer for data": (
        lambda: SequenceReverseLayer(Input=3)(SoftmaxLayer()),
        EncodingError,
        "The port 'Input' takes a vector of size 3. Got SoftmaxLayer(), which is not numbers. A NetEncoder on the port turns "
        "other things into numbers.",
    ),
    "three values": (
        lambda: NetInitialize(LinearLayer(3, Input=2))([1.0, 2.0], None, 3),
        DeclarationError,
        "A net takes a value and at most a property. Got 3 values. Values for several ports are given as a dict, those of a "
        "batch as a list.",
    ),
    "an array for the mode": (
        lambda: SoftmaxLayer(Input=2)([1.0, 2.0], NetEvaluationMode=np.array([1, 2])),
        DeclarationError,
        'NetEvaluationMode is "Test" or "Train". Got array([1, 2]).',
    ),
    "words for a sequence": (
        lambda: NetMapOperator(Ramp, Input=["Varying", 2])("ab"),
        EncodingError,
        "The port 'Input' takes a matrix of size nx2. Got 'ab', which is not numbers. A NetEncoder on the port turns other "
        "things into numbers.",
    ),
    "an argument that is missing": (
        lambda: NetTake(net),
        DeclarationError,
        "NetTake missing 1 required positional argument: 'ends'. It takes net, ends and ports.",
    ),
    "an array for a part": (
        lambda: NetExtract(net, np.array([1, 2])),
        PartError,
        "NetExtract: this NetChain has no part array([1, 2]). A position is a number, a name, All, Span(m, n), NetArray(name) or a list of "
        "them that leads inward.",
    ),
    "names that fail": (
        lambda: NetRename(net, len),
        DeclarationError,
        "NetRename: a name is a string that is not empty. Got 1.",
    ),
    "a function that fails for a name": (
        lambda: NetRename(net, halved),
        DeclarationError,
        "NetRename: halved fails for a layer's name: ValueError('no halves')",
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
