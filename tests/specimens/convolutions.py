"""Convolution, deconvolution, pooling, resampling: the options that change sizes or computation, in one to three dimensions."""

from __future__ import annotations

from netdsl import (
    All,
    ConvolutionLayer,
    DeconvolutionLayer,
    ImageAugmentationLayer,
    Max,
    Mean,
    PoolingLayer,
    ResizeLayer,
    Restricted,
    Scaled,
    SpatialTransformationLayer,
    Total,
)
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
    Specimen("deconvolution", lambda: DeconvolutionLayer(3, 2, Input=[2, 3, 4])),
    Specimen("deconvolution of a line", lambda: DeconvolutionLayer(2, [3], Stride=2, PaddingSize=1, Biases=None, Input=[2, 4])),
    Specimen(
        "deconvolution, groups",
        lambda: DeconvolutionLayer(
            4, [2, 3], Stride=[3, 1], Dilation=[1, 2], PaddingSize=[[1, 0], 2], ChannelGroups=2, Input=[2, 2, 3]
        ),
    ),
    Specimen(
        "deconvolution, interleaved",
        lambda: DeconvolutionLayer(2, 2, Stride=2, Interleaving=True, Dimensionality=2, Input=[2, 3, 2]),
    ),
    Specimen("resize", lambda: ResizeLayer([5, 2], Input=[2, 3, 4])),
    Specimen("resize, cells", lambda: ResizeLayer([Scaled(1.5), All], Scheme="Bin", Input=[2, 3, 2])),
    Specimen("resize of a line", lambda: ResizeLayer([Scaled(2)], Resampling="Nearest", Input=[2, 3]), backward=True),
    Specimen(
        "resize of classes",
        lambda: ResizeLayer([Scaled(2), All], Resampling="Nearest", Input=[1, 2, 3, Restricted("Integer", 4)]),
    ),
    Specimen("resize of a volume, interleaved", lambda: ResizeLayer([2, All, 3], Interleaving=True, Input=[3, 2, 2, 2])),
    Specimen("spatial transformation", lambda: SpatialTransformationLayer([3, 4], Input=[2, 4, 3])),
    Specimen("image augmentation", lambda: ImageAugmentationLayer([3, 2], Input=[2, 5, 6]), random=True),
    Specimen(
        "image augmentation, reflected",
        lambda: ImageAugmentationLayer([3, 2], ReflectionProbabilities=[0.5, 0.5], Input=[1, 4, 4, "Integer"]),
        random=True,
    ),
)
