"""What a net computes, counted by hand, and what follows from it."""

from __future__ import annotations

import numpy as np
import pytest

from netdsl import (
    ConvolutionLayer,
    FlattenLayer,
    LinearLayer,
    LongShortTermMemoryLayer,
    NetChain,
    NetInitialize,
    NetMapOperator,
    PoolingLayer,
    Ramp,
    SequenceLastLayer,
)
from netdsl.lowering import multiply_adds
from netdsl.lowering.cost import VARYING_LENGTH
from netdsl.lowering.kernels.convolution import LARGEST_PATCHES, form

LENET = [
    ConvolutionLayer(20, 5),
    Ramp,
    PoolingLayer(2, 2),
    ConvolutionLayer(50, 5),
    Ramp,
    PoolingLayer(2, 2),
    FlattenLayer(),
    500,
    10,
]


@pytest.mark.parametrize(
    ("net", "count"),
    [
        (NetChain(LENET, Input=[1, 28, 28]), 24 * 24 * 20 * 25 + 8 * 8 * 50 * 20 * 25 + 800 * 500 + 500 * 10),
        (NetChain([LongShortTermMemoryLayer(3), SequenceLastLayer()], Input=[7, 2]), 7 * 4 * 3 * (2 + 3)),
        (LongShortTermMemoryLayer(3, Input=["Varying", 2]), VARYING_LENGTH * 4 * 3 * (2 + 3)),
        (NetMapOperator(NetMapOperator(LinearLayer(3)), Input=[5, 6, 2]), 5 * 6 * 3 * 2),
        (ConvolutionLayer(4, 3, ChannelGroups=2, Input=[2, 5, 5]), 3 * 3 * 4 * 9),
        (NetChain([Ramp, FlattenLayer()], Input=[2, 2]), 0),
    ],
    ids=["LeNet", "LSTM", "LSTM of varying length", "maps", "groups", "nothing"],
)
def test_multiplications_and_additions(net, count):
    assert multiply_adds(NetInitialize(net)) == count


@pytest.mark.parametrize(
    "layer", [ConvolutionLayer(64, 7, Stride=2, PaddingSize=3), ConvolutionLayer(8, 5, PaddingSize=2)], ids=repr
)
def test_patches_of_large_pictures_are_not_made(layer):
    """Their memory would be many times that of the pictures."""
    channels, size = 3, 224
    outputs = -(-size // layer.Stride)
    assert channels * layer.KernelSize**2 * outputs**2 > LARGEST_PATCHES
    assert form(layer.rebuilt(Interleaving=True), (16, size, size, channels)) == "native"
    compiled = NetInitialize(layer.changed(Ports={"Input": [channels, size, size]}))
    assert np.shape(compiled(np.zeros([channels, size, size], np.float32))) == (layer.OutputChannels, outputs, outputs)
