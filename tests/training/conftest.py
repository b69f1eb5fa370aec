"""What the tests of training share: short silent runs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from netdsl import All, NetTrain


@pytest.fixture(autouse=True, scope="session")
def no_persistent_cache() -> Any:
    """Compiled code is not kept between runs of the tests."""
    patch = pytest.MonkeyPatch()
    patch.setenv("NETDSL_CACHE_DIR", "off")
    yield
    patch.undo()


@pytest.fixture
def train() -> Callable[..., Any]:
    """NetTrain without progress, two rounds, giving all results unless asked otherwise."""

    def run(net: Any, data: Any, property: Any = All, **options: Any) -> Any:
        options = {"TrainingProgressReporting": None, "MaxTrainingRounds": 2, **options}
        return NetTrain(net, data, property, **options)

    return run


@pytest.fixture
def line() -> tuple[np.ndarray, np.ndarray]:
    """Ten examples of three numbers with two targets each."""
    source = np.random.default_rng(5)
    inputs = source.normal(size=(10, 3)).astype(np.float32)
    return inputs, (inputs @ np.array([[1, 0.5], [-2, 1], [0.5, 3]]) + 1).astype(np.float32)
