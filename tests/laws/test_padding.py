"""Longer padding of sequences changes no value, gradient or state."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from specimens import SPECIMENS, initialized, inputs
from specimens.specimen import real

from netdsl.nets import Sequence

VARYING = [s for s in SPECIMENS if any(s.make().port_type(port).varying for port in s.make().input_names)]


def _masked(leaf):
    """The data with padding set to 0."""
    mask = jnp.arange(leaf.data.shape[1])[None, :] < leaf.length[:, None]
    return jnp.where(mask.reshape(mask.shape + (1,) * (leaf.data.ndim - 2)), leaf.data, 0)


def _observed(specimen, padding):
    net = initialized(specimen)
    function = net.function()

    def loss(arrays, given):
        outputs, state = function(arrays, net.state, given, jax.random.key(3), True)
        leaves = jax.tree_util.tree_leaves(outputs, is_leaf=lambda leaf: isinstance(leaf, Sequence))
        values = [_masked(leaf) if isinstance(leaf, Sequence) else leaf for leaf in leaves]
        return sum(jnp.sum(jnp.sin(value + 1)) for value in values), (outputs, state)

    given = inputs(specimen, net, 3, padding=padding)
    (_, (outputs, state)), (arrays, data) = jax.jit(jax.value_and_grad(loss, argnums=(0, 1), has_aux=True, allow_int=True))(
        net.arrays, given
    )
    gradients = []
    for port, gradient in data.items():
        if isinstance(gradient, Sequence) and jnp.issubdtype(given[port].data.dtype, jnp.floating):
            longest = gradient.data.shape[1] - padding
            summed = gradient.data[:, longest:]
            gradients.append(gradient.data[:, :longest])
            assert not np.any(np.asarray(summed)), "padding has no influence"
    return [*real(outputs), *state.values(), *arrays.values(), *gradients]


@pytest.mark.parametrize("specimen", VARYING, ids=str)
def test_longer_padding_changes_nothing(specimen):
    tight, loose = _observed(specimen, 0), _observed(specimen, 3)
    for a, b in zip(tight, loose, strict=True):
        assert np.all(np.isfinite(a))
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)
