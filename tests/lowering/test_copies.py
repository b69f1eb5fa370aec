"""Large columns of numbers are copied once, by several threads; the user's own array is left alone."""

from __future__ import annotations

import warnings
from typing import Any

import jax
import numpy as np
import pytest

from netdsl import NetChain, NetInitialize, NetTrain, Rule
from netdsl.errors import DataError
from netdsl.lowering import inputs
from netdsl.lowering.inputs import port_data


@pytest.fixture(autouse=True)
def large(monkeypatch: pytest.MonkeyPatch) -> None:
    """Everything is large."""
    monkeypatch.setattr(inputs, "LARGE", 0)


def column_of(values: Any, size: int = 3) -> Any:
    return port_data(NetChain([2], Input=size), "Input", values).values


@pytest.mark.parametrize("count", [1, 3, 4, 5, 1001])
@pytest.mark.parametrize("dtype", ["float32", "float64", "float16", "int64", "uint8", "bool"])
def test_a_copy_has_the_values(dtype: str, count: int) -> None:
    values = (np.random.default_rng(0).normal(size=(count, 3)) * 10).astype(dtype)
    column = column_of(values)
    np.testing.assert_array_equal(column, values.astype(np.float32))
    assert column.dtype == np.float32
    assert not np.shares_memory(column, values)


def test_parts_of_other_arrays() -> None:
    values = np.arange(60, dtype=np.float32).reshape(10, 6)
    np.testing.assert_array_equal(column_of(values[::-2, 1::2]), values[::-2, 1::2])


def test_jax_takes_it_as_it_is() -> None:
    column = column_of(np.ones((100, 3)))
    there = jax.device_put(column, jax.devices("cpu")[0])
    assert there.unsafe_buffer_pointer() == column.ctypes.data


def test_numbers_beyond_float32_are_refused_without_a_warning() -> None:
    values = np.ones((50, 3))
    values[37, 1] = 1e300
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(DataError, match=r"Example 38 .* has the value inf"):
            NetTrain(NetChain([2], Input=3), Rule(values, np.ones((50, 2))), TrainingProgressReporting=None)


def test_what_a_user_does_to_the_array_afterwards_changes_nothing() -> None:
    values = np.ones((50, 3), np.float32)
    net = NetInitialize(NetChain([2], Input=3), RandomSeeding=1)
    expected = net(np.ones((50, 3), np.float32))
    column = column_of(values)
    there = jax.device_put(column, jax.devices("cpu")[0])
    values[:] = 7
    np.testing.assert_array_equal(there, np.ones((50, 3)))
    np.testing.assert_array_equal(net(np.asarray(there)), expected)
