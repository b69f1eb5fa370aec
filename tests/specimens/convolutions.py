"""Convolution and pooling: the options that change sizes or computation, in one to three dimensions."""

from __future__ import annotations

from netdsl import ConvolutionLayer, Max, Mean, PoolingLayer, Total
from specimens.specimen import Specimen

CONVOLUTIONS = (
    Specimen("convolution", lambda: ConvolutionLayer(3, 2, Input=[2, 4, 5])),
    Specimen("convolution of a line", lambda: ConvolutionLayer(2, [3], Stride=2, PaddingSize=1, Input=[2, 6])),
    Specimen("convolution of a volume", lambda: ConvolutionLayer(2, [2, 1, 2], Input=[2, 3, 2, 3], Biases=None)),
    Specimen("convolution, same", lambda: ConvolutionLayer(2, [2, 3], Stride=[2, 1], PaddingSize="Same", Input=[1, 5, 4])),
    Specimen("convolution, groups", lambda: ConvolutionLayer(4, 2, ChannelGroups=2, Input=[2, 3, 3])),
    Specimen("convolution, dilated", lambda: ConvolutionLayer(2, 2, Dilation=[2, 1], PaddingSize=[[1, 0], 2], Input=[1, 4, 3])),
    Specimen("convolution, interleaved", lambda: ConvolutionLayer(2, 3, Interleaving=True, Dimensionality=2, Input=[4, 4, 2])),
    Specimen("pooling", lambda: PoolingLayer(2, 2, Input=[2, 4, 5])),
    Specimen("pooling, overlapping", lambda: PoolingLayer([3], Function=Max, PaddingSize=1, Input=[2, 5])),
    Specimen("pooling, mean", lambda: PoolingLayer([2, 2], [1, 2], Function=Mean, PaddingSize=[[1, 0], 1], Input=[1, 3, 4])),
    Specimen("pooling, total of a volume", lambda: PoolingLayer(2, Function=Total, Input=[1, 2, 3, 2])),
    Specimen(
        "pooling, same, interleaved", lambda: PoolingLayer([2, 3], 2, PaddingSize="Same", Interleaving=True, Input=[3, 4, 2])
    ),
)
