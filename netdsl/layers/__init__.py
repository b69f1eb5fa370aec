"""The layers, one class each, one file for each family."""

from netdsl.layers.convolution import ConvolutionLayer, PoolingLayer
from netdsl.layers.elementwise import DropoutLayer, ElementwiseLayer, ThreadingLayer
from netdsl.layers.flax import FlaxLayer
from netdsl.layers.function import FunctionLayer
from netdsl.layers.levels import AppendLayer, PaddingLayer, PartLayer, PrependLayer, ReplicateLayer, TransposeLayer
from netdsl.layers.linear import EmbeddingLayer, LinearLayer
from netdsl.layers.loss import CrossEntropyLossLayer, MeanAbsoluteLossLayer, MeanSquaredLossLayer
from netdsl.layers.normalization import BatchNormalizationLayer, SoftmaxLayer
from netdsl.layers.recurrent import LongShortTermMemoryLayer
from netdsl.layers.sequences import (
    SequenceIndicesLayer,
    SequenceLastLayer,
    SequenceMostLayer,
    SequenceRestLayer,
    SequenceReverseLayer,
)
from netdsl.layers.structure import CatenateLayer, FlattenLayer, NetArrayLayer, ReshapeLayer, TotalLayer

__all__ = [
    "AppendLayer",
    "BatchNormalizationLayer",
    "CatenateLayer",
    "ConvolutionLayer",
    "CrossEntropyLossLayer",
    "DropoutLayer",
    "ElementwiseLayer",
    "EmbeddingLayer",
    "FlattenLayer",
    "FlaxLayer",
    "FunctionLayer",
    "LinearLayer",
    "LongShortTermMemoryLayer",
    "MeanAbsoluteLossLayer",
    "MeanSquaredLossLayer",
    "NetArrayLayer",
    "PaddingLayer",
    "PartLayer",
    "PoolingLayer",
    "PrependLayer",
    "ReplicateLayer",
    "ReshapeLayer",
    "SequenceIndicesLayer",
    "SequenceLastLayer",
    "SequenceMostLayer",
    "SequenceRestLayer",
    "SequenceReverseLayer",
    "SoftmaxLayer",
    "ThreadingLayer",
    "TotalLayer",
    "TransposeLayer",
]
