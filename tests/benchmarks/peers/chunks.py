"""netdsl's own compiled function of a training, called by a bare loop: what NetTrain's Python around it costs.

The function and its arguments are those of NetTrain's first call, taken from it. This goes past netdsl's public names, and
changes with them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from unittest.mock import patch

import numpy as np
from workloads import Examples, Workload

from netdsl import NetTrain, Rule
from netdsl.training.plan import Plan, chunk_function
from peers import Train
from peers.nettrain import NETS, options_of

__all__ = ["training"]


class _FirstCall(Exception):
    """Raised instead of the first call of the compiled function, with the function and the arguments."""


def _raising(plan: Plan) -> Callable[..., None]:
    def call(*arguments: Any) -> None:
        raise _FirstCall(chunk_function(plan), arguments)

    return call


def training(workload: Workload, data: Examples, order: np.ndarray) -> Train:
    """All batches of a round in one call."""
    net = NETS[workload.architecture.name](workload.architecture.arrays())
    try:
        with patch("netdsl.training.run.chunk_function", _raising):
            NetTrain(net, Rule(data.inputs, data.labels), **options_of(workload))
    except _FirstCall as first:
        function, (carry, buffers, columns, rows, _, _, *settings) = first.args

    def train(batches: int) -> float:
        nonlocal carry, buffers
        carry, buffers = function(carry, buffers, columns, rows, np.int32(0), np.int32(batches), *settings)
        return float(np.asarray(buffers[0])[:batches].mean())

    return train
