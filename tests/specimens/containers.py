"""Containers and operators."""

from __future__ import annotations

from netdsl import (
    BatchNormalizationLayer,
    CatenateLayer,
    ConvolutionLayer,
    CosineDistance,
    CrossEntropyLossLayer,
    DropoutLayer,
    EmbeddingLayer,
    FlattenLayer,
    LinearLayer,
    LogisticSigmoid,
    LongShortTermMemoryLayer,
    Mean,
    NetArray,
    NetBidirectionalOperator,
    NetChain,
    NetFoldOperator,
    NetGANOperator,
    NetGraph,
    NetMapOperator,
    NetMapThreadOperator,
    NetNestOperator,
    NetPairEmbeddingOperator,
    NetPort,
    NetUnfold,
    Plus,
    PoolingLayer,
    Ramp,
    SoftmaxLayer,
    Tanh,
    ThreadingLayer,
    Times,
)
from specimens.specimen import Specimen


def _shared() -> NetChain:
    return NetChain([LinearLayer(3, Weights=NetArray("w")), Tanh, LinearLayer(3, Weights=NetArray("w"), Biases=None)], Input=3)


def _cell() -> NetGraph:
    """One step of a recurrence."""
    return NetGraph(
        {"join": CatenateLayer(InputPorts=["Input", "State"]), "out": NetChain([LinearLayer(2), Tanh])},
        [("join", "out")],
        State=2,
    )


def _gate() -> NetGraph:
    """One step that scales the state by a constant."""
    return NetGraph(
        {
            "scaled": ThreadingLayer(Times, InputPorts=["State", "by"]),
            "sum": ThreadingLayer(Plus, InputPorts=["Input", "scaled"]),
        },
        [("scaled", NetPort("sum", "scaled"))],
        State=2,
    )


CONTAINERS = (
    Specimen("chain", lambda: NetChain([LinearLayer(4), Ramp, DropoutLayer(0.3), 3], Input=2), random=True),
    Specimen("chain by name", lambda: NetChain({"up": 4, "inner": [Tanh, 2], "p": SoftmaxLayer()}, Input=3)),
    Specimen(
        "picture",
        lambda: NetChain(
            [
                ConvolutionLayer(3, 2),
                BatchNormalizationLayer(),
                Ramp,
                PoolingLayer(2, 2),
                ConvolutionLayer(2, 2),
                Tanh,
                FlattenLayer(),
                3,
                SoftmaxLayer(),
            ],
            Input=[1, 7, 7],
        ),
    ),
    Specimen("shared", _shared),
    Specimen(
        "graph",
        lambda: NetGraph(
            {"a": 3, "b": 3, "sum": Plus, "join": CatenateLayer()},
            [(NetPort("x"), "a"), (NetPort("y"), "b"), (["a", "b"], "sum"), (["sum", "b"], "join")],
            x=2,
            y=3,
        ),
    ),
    Specimen("graph by number", lambda: NetGraph([LinearLayer(2), Tanh, LogisticSigmoid], [(1, [2, 3])], Input=3)),
    Specimen(
        "graph, muted",
        lambda: NetGraph([LinearLayer(2), Tanh, Ramp], [(NetPort("z"), 1), (1, 2), (NetPort("a"), 3), (3, None)], z=3, a=2),
    ),
    Specimen(
        "loss graph",
        lambda: NetGraph(
            {"net": NetChain([2, SoftmaxLayer()]), "loss": CrossEntropyLossLayer("Index")},
            [(NetPort("Target"), NetPort("loss", "Target")), (NetPort("Input"), "net", NetPort("loss", "Input"))],
            Input=3,
        ),
    ),
    Specimen(
        "map of pairs",
        lambda: NetMapThreadOperator(ThreadingLayer(Times, InputPorts=["a", "b"]), a=[3, 2], b=[3, 2]),
    ),
    Specimen(
        "map of pairs, varying",
        lambda: NetMapThreadOperator(ThreadingLayer(Times, InputPorts=["a", "b"]), a=["Varying", 2], b=["Varying", 2]),
    ),
    Specimen("fold, varying", lambda: NetFoldOperator(_cell(), Input=["Varying", 2])),
    Specimen("nest, varying", lambda: NetNestOperator(NetMapOperator([2, Tanh]), 2, Input=["Varying", 2])),
    Specimen("bidirectional, varying", lambda: NetBidirectionalOperator(LongShortTermMemoryLayer(2), Input=["Varying", 2])),
    Specimen(
        "map of pairs, two levels",
        lambda: NetMapThreadOperator(
            NetGraph({"join": CatenateLayer(InputPorts=["a", "b"]), "out": 2}, [("join", "out")], a=1, b=2),
            {"a": 2},
            a=[2, 3, 1],
            b=2,
        ),
    ),
    Specimen("fold", lambda: NetFoldOperator(_cell(), Input=[3, 2])),
    Specimen(
        "fold with a constant", lambda: NetFoldOperator(_gate(), {"Output": "State"}, ["by"], ["Output"], by=2, Input=[3, 2])
    ),
    Specimen("nest", lambda: NetNestOperator(NetChain([2, Tanh, DropoutLayer(0.3)]), 3, Input=2), random=True),
    Specimen("bidirectional", lambda: NetBidirectionalOperator(LongShortTermMemoryLayer(2), Input=[3, 2])),
    Specimen(
        "bidirectional, two nets",
        lambda: NetBidirectionalOperator([NetMapOperator(2), NetMapOperator([2, Tanh])], Mean, Input=[3, 2]),
    ),
    Specimen("pair", lambda: NetPairEmbeddingOperator(NetChain([3, Tanh]), Input=[2, 2])),
    Specimen("pair by angle", lambda: NetPairEmbeddingOperator(LinearLayer(3), DistanceFunction=CosineDistance, Input=[2, 2])),
    Specimen(
        "adversaries",
        lambda: NetGANOperator([NetChain([3, Tanh]), NetChain([LinearLayer([]), LogisticSigmoid])], Sample=3, Latent=2),
    ),
    Specimen(
        "adversaries, Wasserstein",
        lambda: NetGANOperator([NetChain([3, Tanh]), LinearLayer([])], "Wasserstein", Sample=3, Latent=2),
    ),
    Specimen(
        "states handed on",
        lambda: NetGraph(
            {"reads": LongShortTermMemoryLayer(2), "writes": LongShortTermMemoryLayer(2)},
            [
                (NetPort("reads", "State"), NetPort("writes", "State")),
                (NetPort("reads", "CellState"), NetPort("writes", "CellState")),
                (NetPort("Source"), "reads"),
                (NetPort("Target"), "writes"),
                (NetPort("reads", "Output"), None),
            ],
            Source=[3, 2],
            Target=[2, 3],
        ),
    ),
    Specimen(
        "unfolded",
        lambda: NetUnfold(
            NetChain([EmbeddingLayer(2, 4), LongShortTermMemoryLayer(2), NetMapOperator(2)], Input=["Varying", "Integer"])
        ),
    ),
    Specimen("map", lambda: NetMapOperator(NetChain([2, DropoutLayer(0.4)]), Input=[3, 2]), random=True),
    Specimen("map of maps", lambda: NetMapOperator(NetMapOperator(NetChain([BatchNormalizationLayer(), 2])), Input=[2, 3, 2])),
)
