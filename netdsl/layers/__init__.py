"""The layers, one class each, one file for each family."""

from netdsl.layers.convolution import ConvolutionLayer, PoolingLayer
from netdsl.layers.elementwise import DropoutLayer, ElementwiseLayer, ThreadingLayer
from netdsl.layers.flax import FlaxLayer
from netdsl.layers.function import FunctionLayer
from netdsl.layers.image import ImageAugmentationLayer, SpatialTransformationLayer
from netdsl.layers.linear import EmbeddingLayer, LinearLayer
from netdsl.layers.loss import CrossEntropyLossLayer, MeanAbsoluteLossLayer, MeanSquaredLossLayer
from netdsl.layers.normalization import (
    BatchNormalizationLayer,
    LocalResponseNormalizationLayer,
    NormalizationLayer,
    SoftmaxLayer,
)
from netdsl.layers.recurrent import LongShortTermMemoryLayer
from netdsl.layers.resampling import DeconvolutionLayer, ResizeLayer
from netdsl.layers.structure import CatenateLayer, FlattenLayer, NetArrayLayer, ReshapeLayer, SequenceLastLayer, TotalLayer

__all__ = [
    "BatchNormalizationLayer",
    "CatenateLayer",
    "ConvolutionLayer",
    "CrossEntropyLossLayer",
    "DeconvolutionLayer",
    "DropoutLayer",
    "ElementwiseLayer",
    "EmbeddingLayer",
    "FlattenLayer",
    "FlaxLayer",
    "FunctionLayer",
    "ImageAugmentationLayer",
    "LinearLayer",
    "LocalResponseNormalizationLayer",
    "LongShortTermMemoryLayer",
    "MeanAbsoluteLossLayer",
    "MeanSquaredLossLayer",
    "NetArrayLayer",
    "NormalizationLayer",
    "PoolingLayer",
    "ReshapeLayer",
    "ResizeLayer",
    "SequenceLastLayer",
    "SoftmaxLayer",
    "SpatialTransformationLayer",
    "ThreadingLayer",
    "TotalLayer",
]
