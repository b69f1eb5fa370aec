"""The initial arrays and inputs as frameworks with channels last take them."""

from __future__ import annotations

import numpy as np
from workloads import Architecture, Arrays

__all__ = ["arrays_channels_last", "inputs_channels_last"]


def arrays_channels_last(architecture: Architecture) -> Arrays:
    """The arrays with outputs last: kernels {height, width, inputs, outputs}, matrices {inputs, outputs}."""
    arrays = architecture.arrays()
    for layer, (channels, height, width) in architecture.flattened.items():
        weights = arrays[layer]["weights"]
        spread = weights.reshape(-1, channels, height, width).transpose(0, 2, 3, 1)
        arrays[layer]["weights"] = spread.reshape(weights.shape)
    return {layer: {kind: _outputs_last(value) for kind, value in kinds.items()} for layer, kinds in arrays.items()}


def _outputs_last(value: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(value.transpose(2, 3, 1, 0) if value.ndim == 4 else value.T)


def inputs_channels_last(architecture: Architecture, inputs: np.ndarray) -> np.ndarray:
    """Inputs of the architecture with pictures scaled to 0…1 and channels last."""
    if architecture.pictures:
        return inputs[..., None].astype(np.float32) / 255
    return np.ascontiguousarray(inputs.transpose(0, 2, 3, 1)) if inputs.ndim == 4 else inputs
