"""Layers of the user's own making: random arrays, functions on the host, placeholders."""

from __future__ import annotations

import numpy as np

from netdsl import CompiledLayer, NormalDistribution, PlaceholderLayer, PoissonDistribution, RandomArrayLayer, UniformDistribution
from specimens.specimen import Specimen


def _waves(x: np.ndarray) -> np.ndarray:
    return np.cumsum(np.sin(x), axis=-1)


def _waves_back(x: np.ndarray, slope: np.ndarray) -> np.ndarray:
    return np.cos(x) * np.flip(np.cumsum(np.flip(slope, -1), -1), -1)


def _sums(x: np.ndarray) -> np.ndarray:
    return np.cumsum(np.sin(x), axis=0)


def _sums_back(x: np.ndarray, slope: np.ndarray) -> np.ndarray:
    return np.cos(x) * np.flip(np.cumsum(np.flip(slope, 0), 0), 0)


def _product(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return a @ b


def _product_back(a: np.ndarray, b: np.ndarray, slope: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return np.outer(slope, b), slope @ a


CUSTOM = (
    Specimen("random array", lambda: RandomArrayLayer(NormalDistribution(1, 2), Output=[2, 3]), random=True, always=True),
    Specimen("random counts", lambda: RandomArrayLayer(PoissonDistribution(3), Output=4), random=True, always=True),
    Specimen(
        "random array of parameters",
        lambda: RandomArrayLayer(NormalDistribution, mean=[2, 3]),
        low=0.5,
        high=1.5,
        backward=True,
        random=True,
        always=True,
    ),
    Specimen(
        "random array, varying",
        lambda: RandomArrayLayer(lambda x: UniformDistribution([0, x]), Input=["Varying", 2]),
        low=0.5,
        high=1.5,
        random=True,
        always=True,
        written=False,
    ),
    Specimen("compiled", lambda: CompiledLayer(_waves, _waves_back, Input=[2, 3]), written=False),
    Specimen("compiled, varying", lambda: CompiledLayer(_sums, _sums_back, Input=["Varying", 2]), written=False),
    Specimen("compiled, of two", lambda: CompiledLayer(_product, _product_back, a=[2, 3], b=3, Output=2), written=False),
)

PLACEHOLDERS = (
    Specimen("placeholder", lambda: PlaceholderLayer("Einsum", {"equation": "ij->ji", "axes": [1, 2]}, Input=[2, 3], Output=3)),
    Specimen("placeholder without tag", lambda: PlaceholderLayer(Input=["Varying", 2])),
    Specimen(
        "placeholder of arrays",
        lambda: PlaceholderLayer("Norm", Arrays=["Scale", "Shift"], InputPorts=["a", "b"], OutputPorts=["c"], a=2),
    ),
)
"""What stands in nets but cannot be evaluated: no law that computes runs over these."""
