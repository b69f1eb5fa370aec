"""Losses."""

from __future__ import annotations

from netdsl import (
    ContrastiveLossLayer,
    CrossEntropyLossLayer,
    CTCLossLayer,
    MeanAbsoluteLossLayer,
    MeanSquaredLossLayer,
    NetGraph,
    NetPort,
    Restricted,
    SoftmaxLayer,
)
from specimens.specimen import Specimen

LOSSES = (
    Specimen("mean squared", lambda: MeanSquaredLossLayer(Input=[2, 3])),
    Specimen("mean absolute", lambda: MeanAbsoluteLossLayer(Input=3)),
    Specimen("cross entropy, index", lambda: CrossEntropyLossLayer("Index", Input=[2, 3]), sums=frozenset({"Input"})),
    Specimen(
        "cross entropy, probabilities",
        lambda: CrossEntropyLossLayer("Probabilities", Input=3),
        sums=frozenset({"Input", "Target"}),
    ),
    Specimen("cross entropy, binary", lambda: CrossEntropyLossLayer("Binary", Input=[2, 2]), low=0.1, high=0.9),
    Specimen("ctc", lambda: CTCLossLayer(Input=[5, 4], Target=[2, "Integer"]), sums=frozenset({"Input"})),
    Specimen("ctc of sequences", lambda: CTCLossLayer(Input=["Varying", 4], Target=[1, "Integer"]), sums=frozenset({"Input"})),
    Specimen(
        "ctc, varying targets",
        lambda: CTCLossLayer(Input=[11, 3], Target=["Varying", Restricted("Integer", 2)]),
        sums=frozenset({"Input"}),
    ),
    Specimen(
        "ctc of logits",
        lambda: NetGraph(
            [SoftmaxLayer(), CTCLossLayer()],
            [(1, NetPort(2, "Input"))],
            Input=["Varying", 3],
            Target=[1, "Integer"],
        ),
    ),
    Specimen("contrastive", lambda: ContrastiveLossLayer(0.7)),
)
