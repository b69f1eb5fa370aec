"""Functions that never decrease: behind a maximum they give the same as before it, and have less to do."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from netdsl.functions import ACTIVATIONS, FUNCTIONS
from netdsl.layers import ElementwiseLayer
from netdsl.nets import Arrays, Layer

__all__ = ["INCREASING", "Increased", "increasing"]

INCREASING = (
    *(FUNCTIONS[name] for name in ("Ramp", "LogisticSigmoid", "Tanh")),
    *(ACTIVATIONS[name] for name in ("ELU", "HardSigmoid", "HardTanh", "SELU", "SoftPlus", "SoftSign")),
    *(jax.nn.relu, jax.nn.sigmoid, jnp.tanh),
)


class Increased(NamedTuple):
    """What an increasing function makes of each element of a batch, one for each channel at most."""

    function: Callable[[Any], Any]
    of: Any

    @property
    def value(self) -> Any:
        return self.function(self.of)

    def then(self, function: Callable[[Any], Any]) -> Increased:
        """What another increasing function makes of that."""
        return Increased(lambda x: function(self.function(x)), self.of)


def increasing(layer: Layer) -> Callable[[Any], Any] | None:
    """The increasing function that a layer applies to each element; None for other layers."""
    if isinstance(layer, ElementwiseLayer) and layer.compute in INCREASING:
        return lambda x: layer.apply(Arrays({}), x)
    return None
