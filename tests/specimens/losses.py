"""Losses."""

from __future__ import annotations

from netdsl import CrossEntropyLossLayer, MeanAbsoluteLossLayer, MeanSquaredLossLayer
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
)
