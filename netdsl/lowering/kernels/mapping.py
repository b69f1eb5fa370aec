"""A net mapped over level 1, for a batch: all elements of all examples are one batch for the net inside."""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp

from netdsl.containers import NetMapOperator
from netdsl.nets import Sequence

__all__ = ["mapped"]


def mapped(layer: NetMapOperator, arrays: Any, x: Any, *, inner: Any, axes: tuple[str, ...], weight: Any, state: Any) -> Any:
    """The operator's output for a batch, and the state after it."""
    net = inner["Net"]
    data, weights = x, weight[:, None]
    if isinstance(x, Sequence):
        data = x.data
        weights = weights * (jnp.arange(data.shape[1]) < x.length[:, None])
    outputs, new = net.merged({net.input_names[0]: data}, state, weights)
    output = outputs[net.output_names[0]]
    return (x.with_data(output) if isinstance(x, Sequence) else output), new
