"""Compiled functions give what the same JAX code gives step by step, the same bits each time."""

from __future__ import annotations

import jax
import numpy as np
import pytest
from specimens import SPECIMENS, initialized, inputs
from specimens.specimen import real


@pytest.mark.parametrize("specimen", SPECIMENS, ids=str)
def test_jit_equals_eager_and_repeats_its_bits(specimen):
    net = initialized(specimen)
    function = net.function()
    arguments = net.arrays, net.state, inputs(specimen, net, 3), jax.random.key(3)
    training = jax.jit(lambda *a: function(*a, training=True))
    first, second = real(training(*arguments)), real(training(*arguments))
    assert all(np.array_equal(a, b) for a, b in zip(first, second))
    with jax.disable_jit():
        eager = real(function(*arguments, training=True))
    for a, b in zip(first, eager, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=2e-6)
    other = real(training(*arguments[:3], jax.random.key(4)))
    assert specimen.random is not all(np.array_equal(a, b) for a, b in zip(first, other))
