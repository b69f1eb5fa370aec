"""Attention: each scoring, mask and rank of keys and queries, of fixed and varying length."""

from __future__ import annotations

from netdsl import (
    AttentionLayer,
    BatchNormalizationLayer,
    CatenateLayer,
    DropoutLayer,
    LinearLayer,
    NetChain,
    NetGraph,
    NetPort,
    SequenceAttentionLayer,
    Tanh,
)
from netdsl.nets import Layer
from specimens.specimen import Specimen


def scoring(*layers: Layer) -> NetGraph:
    """A net of a key and a query that scores by these layers."""
    return NetGraph(
        {"join": CatenateLayer(), "net": NetChain([3, *layers, Tanh, LinearLayer([])])},
        [([NetPort("Input"), NetPort("Query")], "join", "net")],
    )


ATTENTION = (
    Specimen("attention", lambda: AttentionLayer(Key=[3, 2], Value=[3, 4], Query=[2, 3])),
    Specimen(
        "attention, causal, of heads",
        lambda: AttentionLayer(
            "Dot", Mask="Causal", MultiHead=True, ScoreRescaling="DimensionSqrt", Key=[4, 2, 3], Value=[4, 2, 2]
        ),
    ),
    Specimen(
        "attention, in a window",
        lambda: AttentionLayer("Dot", Mask=["Causal", 2], Dropout=0.3, Key=["Varying", 3], Value=["Varying", 2]),
        random=True,
    ),
    Specimen(
        "attention of one query, of heads",
        lambda: AttentionLayer(MultiHead=True, Dropout=0.4, Key=["Varying", 2, 2, 3], Value=["Varying", 2, 2, 1], Query=[2, 2]),
        random=True,
    ),
    Specimen(
        "attention by a net",
        lambda: AttentionLayer(
            scoring(DropoutLayer(0.4)), ScoreRescaling="DimensionSqrt", Key=["Varying", 2], Value=["Varying", 2], Query=[3, 2]
        ),
        random=True,
    ),
    Specimen(
        "attention by a net, normalized",
        lambda: AttentionLayer(
            scoring(BatchNormalizationLayer()), Mask="Causal", Key=["Varying", 2], Value=["Varying", 2], Query=["Varying", 1]
        ),
    ),
    Specimen("sequence attention", lambda: SequenceAttentionLayer("Dot", Input=["Varying", 3], Query=["Varying", 3])),
    Specimen("sequence attention by a net", lambda: SequenceAttentionLayer(scoring(), Input=[2, 2, 3], Query=2)),
)
