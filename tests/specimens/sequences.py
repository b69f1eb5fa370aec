"""Sequences of varying length."""

from __future__ import annotations

from netdsl import (
    BatchNormalizationLayer,
    ConvolutionLayer,
    CrossEntropyLossLayer,
    DropoutLayer,
    ElementwiseLayer,
    EmbeddingLayer,
    FunctionLayer,
    LinearLayer,
    Log,
    LongShortTermMemoryLayer,
    Mean,
    MeanSquaredLossLayer,
    NetChain,
    NetGraph,
    NetMapOperator,
    NetPort,
    NormalizationLayer,
    Plus,
    PoolingLayer,
    Restricted,
    SequenceLastLayer,
    SoftmaxLayer,
    Span,
    Tanh,
)
from specimens.specimen import Specimen

SEQUENCES = (
    Specimen("lstm", lambda: LongShortTermMemoryLayer(2, Input=[3, 2])),
    Specimen("lstm, varying", lambda: LongShortTermMemoryLayer(2, Input=["Varying", 3])),
    Specimen("embedding, varying", lambda: EmbeddingLayer(2, Input=["Varying", Restricted("Integer", 4)])),
    Specimen("elementwise, varying", lambda: ElementwiseLayer(Tanh, Input=["Varying", 2])),
    Specimen("dropout, varying", lambda: DropoutLayer(Input=["Varying", 2]), random=True),
    Specimen("softmax, varying", lambda: SoftmaxLayer(Input=["Varying", 3])),
    Specimen("softmax along the varying level", lambda: NetChain([SoftmaxLayer(1), Log], Input=["Varying", 2])),
    Specimen("batch normalization, varying", lambda: BatchNormalizationLayer(Interleaving=True, Input=["Varying", 2])),
    Specimen(
        "convolution, varying",
        lambda: ConvolutionLayer(3, [3], PaddingSize=1, Interleaving=True, Input=["Varying", 2]),
    ),
    Specimen(
        "convolution, varying, in steps",
        lambda: ConvolutionLayer(
            2, [2], Stride=2, Dilation=2, PaddingSize=[[1, 2]], ChannelGroups=2, Interleaving=True, Input=["Varying", 2]
        ),
    ),
    Specimen(
        "convolution, varying, same",
        lambda: ConvolutionLayer(2, [3], Stride=2, PaddingSize="Same", Interleaving=True, Input=["Varying", 2]),
    ),
    Specimen(
        "convolution of rows, varying",
        lambda: ConvolutionLayer(2, [2, 2], PaddingSize=[[0, 1], [1, 0]], Interleaving=True, Input=["Varying", 3, 1]),
    ),
    Specimen("pooling, varying", lambda: PoolingLayer([3], 2, PaddingSize="Same", Interleaving=True, Input=["Varying", 2])),
    Specimen(
        "pooling, mean, varying",
        lambda: PoolingLayer([2], Function=Mean, PaddingSize=[[1, 0]], Interleaving=True, Input=["Varying", 2]),
    ),
    Specimen(
        "convolutions, varying",
        lambda: NetGraph(
            {
                "up": ConvolutionLayer(2, [2], PaddingSize=2, Interleaving=True),
                "down": PoolingLayer([2], PaddingSize=[[0, 0]], Interleaving=True),
                "again": ConvolutionLayer(2, [3], Biases=None, Interleaving=True),
                "sum": Plus,
            },
            [(NetPort("Input"), "up", "down", "again"), (["again", NetPort("Input")], "sum")],
            Input=["Varying", 2],
        ),
    ),
    Specimen("normalization, varying", lambda: NormalizationLayer(Span(1, 2), 2, Input=["Varying", 3])),
    Specimen("normalization along the varying level", lambda: NormalizationLayer(1, Unbiased=True, Input=["Varying", 2])),
    Specimen("normalization of each vector, varying", lambda: NormalizationLayer(2, "Same", Method="RMS", Input=["Varying", 3])),
    Specimen(
        "dropout with its mask, varying",
        lambda: DropoutLayer(OutputPorts=["BinaryMask", "Output"], Input=["Varying", 2]),
        random=True,
    ),
    Specimen(
        "function, varying",
        lambda: FunctionLayer(lambda x: x[:, :1] * x, Varying="elementwise", Input=["Varying", 2]),
        written=False,
    ),
    Specimen("last, varying", lambda: SequenceLastLayer(Input=["Varying", 2])),
    Specimen(
        "reader",
        lambda: NetChain(
            [EmbeddingLayer(2, 4), LongShortTermMemoryLayer(2), SequenceLastLayer(), LinearLayer(3), SoftmaxLayer()],
            Input=["Varying", "Integer"],
        ),
    ),
    Specimen(
        "tagger",
        lambda: NetGraph(
            {
                "map": NetMapOperator(NetChain([LinearLayer(3), DropoutLayer(0.3), SoftmaxLayer()])),
                "loss": CrossEntropyLossLayer("Index"),
            },
            [(NetPort("Input"), "map", NetPort("loss", "Input")), (NetPort("Target"), NetPort("loss", "Target"))],
            Input=["Varying", 2],
        ),
        random=True,
    ),
    Specimen(
        "two sequences",
        lambda: NetGraph(
            {"a": NetMapOperator(BatchNormalizationLayer()), "b": Tanh, "sum": Plus, "loss": MeanSquaredLossLayer()},
            [(NetPort("A"), "a"), (NetPort("B"), "b"), (["a", "b"], "sum"), (["sum", "b"], "loss")],
            A=["Varying", 2],
            B=["Varying", 2],
        ),
    ),
)
