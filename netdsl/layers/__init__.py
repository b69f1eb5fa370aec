"""The layers, one class each, one file for each family."""

from netdsl.layers.aggregation import AggregationLayer, DotLayer, ExtractLayer, OrderingLayer, SummationLayer, UnitVectorLayer
from netdsl.layers.arrangement import AppendLayer, PaddingLayer, PartLayer, PrependLayer, ReplicateLayer, TransposeLayer
from netdsl.layers.attention import AttentionLayer, SequenceAttentionLayer
from netdsl.layers.compiled import CompiledLayer
from netdsl.layers.convolution import ConvolutionLayer, PoolingLayer
from netdsl.layers.elementwise import DropoutLayer, ElementwiseLayer, ParametricRampLayer, ThreadingLayer
from netdsl.layers.flax import FlaxLayer
from netdsl.layers.function import FunctionLayer
from netdsl.layers.image import ImageAugmentationLayer, SpatialTransformationLayer
from netdsl.layers.legacy import ConstantPlusLayer, ConstantTimesLayer
from netdsl.layers.linear import EmbeddingLayer, LinearLayer
from netdsl.layers.loss import (
    ContrastiveLossLayer,
    CrossEntropyLossLayer,
    CTCLossLayer,
    MeanAbsoluteLossLayer,
    MeanSquaredLossLayer,
)
from netdsl.layers.normalization import BatchNormalizationLayer, LocalResponseNormalizationLayer, NormalizationLayer, SoftmaxLayer
from netdsl.layers.placeholder import PlaceholderLayer
from netdsl.layers.random import RandomArrayLayer
from netdsl.layers.recurrent import BasicRecurrentLayer, GatedRecurrentLayer, LongShortTermMemoryLayer
from netdsl.layers.resampling import DeconvolutionLayer, ResizeLayer
from netdsl.layers.sequences import (
    SequenceIndicesLayer,
    SequenceLastLayer,
    SequenceMostLayer,
    SequenceRestLayer,
    SequenceReverseLayer,
)
from netdsl.layers.structure import CatenateLayer, FlattenLayer, NetArrayLayer, ReshapeLayer, TotalLayer

__all__ = [
    "AggregationLayer",
    "AppendLayer",
    "AttentionLayer",
    "BasicRecurrentLayer",
    "BatchNormalizationLayer",
    "CTCLossLayer",
    "CatenateLayer",
    "CompiledLayer",
    "ConstantPlusLayer",
    "ConstantTimesLayer",
    "ContrastiveLossLayer",
    "ConvolutionLayer",
    "CrossEntropyLossLayer",
    "DeconvolutionLayer",
    "DotLayer",
    "DropoutLayer",
    "ElementwiseLayer",
    "EmbeddingLayer",
    "ExtractLayer",
    "FlattenLayer",
    "FlaxLayer",
    "FunctionLayer",
    "GatedRecurrentLayer",
    "ImageAugmentationLayer",
    "LinearLayer",
    "LocalResponseNormalizationLayer",
    "LongShortTermMemoryLayer",
    "MeanAbsoluteLossLayer",
    "MeanSquaredLossLayer",
    "NetArrayLayer",
    "NormalizationLayer",
    "OrderingLayer",
    "PaddingLayer",
    "ParametricRampLayer",
    "PartLayer",
    "PlaceholderLayer",
    "PoolingLayer",
    "PrependLayer",
    "RandomArrayLayer",
    "ReplicateLayer",
    "ReshapeLayer",
    "ResizeLayer",
    "SequenceAttentionLayer",
    "SequenceIndicesLayer",
    "SequenceLastLayer",
    "SequenceMostLayer",
    "SequenceRestLayer",
    "SequenceReverseLayer",
    "SoftmaxLayer",
    "SpatialTransformationLayer",
    "SummationLayer",
    "ThreadingLayer",
    "TotalLayer",
    "TransposeLayer",
    "UnitVectorLayer",
]
