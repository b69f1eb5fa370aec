"""Gradients of inputs and arrays equal finite differences, in double precision."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from specimens import SPECIMENS, initialized, inputs

STEP = 1e-6


def _double(tree):
    return jax.tree_util.tree_map(lambda x: x.astype(jnp.float64) if jnp.issubdtype(x.dtype, jnp.floating) else x, tree)


def _direction(tree, rng):
    return jax.tree_util.tree_map(
        lambda x: jnp.asarray(rng.normal(size=x.shape)) if jnp.issubdtype(x.dtype, jnp.floating) else None, tree
    )


def _moved(tree, direction, step):
    return jax.tree_util.tree_map(lambda x, d: x if d is None else x + step * d, tree, direction, is_leaf=lambda x: x is None)


OWN_PRECISION = {"flax module"}
"""Flax computes in the module's own precision."""

REVERSED = {"adversaries", "adversaries, Wasserstein"}
"""A generator gets the reverse of the slope on purpose."""

DOUBLE = [specimen for specimen in SPECIMENS if specimen.name not in OWN_PRECISION | REVERSED]
CASES = [(specimen, False) for specimen in DOUBLE]
CASES += [(specimen, True) for specimen in DOUBLE if specimen.random or specimen.make().state_paths()]


@pytest.mark.parametrize(("specimen", "training"), CASES, ids=lambda value: "training" if value is True else str(value))
def test_gradients(specimen, training):
    net = initialized(specimen)
    function = net.function()
    with jax.enable_x64(True):
        rng = np.random.default_rng(5)
        point = _double((net.arrays, inputs(specimen, net, 3)))
        state, key = _double(net.state), jax.random.key(3)

        def loss(point):
            outputs, _ = function(point[0], state, point[1], key, training)
            leaves = [leaf for leaf in jax.tree_util.tree_leaves(outputs) if jnp.issubdtype(leaf.dtype, jnp.floating)]
            weights = [jnp.cos(jnp.arange(leaf.size)).reshape(leaf.shape) for leaf in leaves]
            return sum((jnp.sum(leaf * weight) for leaf, weight in zip(leaves, weights)), start=jnp.zeros(()))

        slope = jax.jit(jax.value_and_grad(loss, allow_int=True))
        direction = _direction(point, rng)
        along = jax.tree_util.tree_leaves(slope(point)[1])
        predicted = sum(
            float(jnp.sum(d * g))
            for d, g in zip(jax.tree_util.tree_leaves(direction, is_leaf=lambda x: x is None), along)
            if d is not None
        )
        measured = float(slope(_moved(point, direction, STEP))[0] - slope(_moved(point, direction, -STEP))[0]) / (2 * STEP)
    assert np.isfinite(predicted)
    assert predicted == pytest.approx(measured, rel=1e-6, abs=1e-7)
    assert predicted != 0 or not jax.tree_util.tree_leaves(direction)
