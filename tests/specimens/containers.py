"""Containers and operators."""

from __future__ import annotations

from netdsl import (
    BatchNormalizationLayer,
    CatenateLayer,
    ConvolutionLayer,
    CrossEntropyLossLayer,
    DropoutLayer,
    FlattenLayer,
    LinearLayer,
    LogisticSigmoid,
    NetArray,
    NetChain,
    NetGraph,
    NetMapOperator,
    NetPort,
    Plus,
    PoolingLayer,
    Ramp,
    SoftmaxLayer,
    Tanh,
)
from specimens.specimen import Specimen


def _shared() -> NetChain:
    return NetChain([LinearLayer(3, Weights=NetArray("w")), Tanh, LinearLayer(3, Weights=NetArray("w"), Biases=None)], Input=3)


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
    Specimen("map", lambda: NetMapOperator(NetChain([2, DropoutLayer(0.4)]), Input=[3, 2]), random=True),
    Specimen("map of maps", lambda: NetMapOperator(NetMapOperator(NetChain([BatchNormalizationLayer(), 2])), Input=[2, 3, 2])),
)
