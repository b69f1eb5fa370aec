"""The layers, one class each, one file for each family."""

from netdsl.layers.compiled import CompiledLayer
from netdsl.layers.convolution import ConvolutionLayer, PoolingLayer
from netdsl.layers.elementwise import DropoutLayer, ElementwiseLayer, ThreadingLayer
from netdsl.layers.flax import FlaxLayer
from netdsl.layers.function import FunctionLayer
from netdsl.layers.linear import EmbeddingLayer, LinearLayer
from netdsl.layers.loss import CrossEntropyLossLayer, MeanAbsoluteLossLayer, MeanSquaredLossLayer
from netdsl.layers.normalization import BatchNormalizationLayer, SoftmaxLayer
from netdsl.layers.placeholder import PlaceholderLayer
from netdsl.layers.random import RandomArrayLayer
from netdsl.layers.recurrent import LongShortTermMemoryLayer
from netdsl.layers.structure import CatenateLayer, FlattenLayer, NetArrayLayer, ReshapeLayer, SequenceLastLayer, TotalLayer

__all__ = [
    "BatchNormalizationLayer",
    "CatenateLayer",
    "CompiledLayer",
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
    "PlaceholderLayer",
    "PoolingLayer",
    "RandomArrayLayer",
    "ReshapeLayer",
    "SequenceLastLayer",
    "SoftmaxLayer",
    "ThreadingLayer",
    "TotalLayer",
]
