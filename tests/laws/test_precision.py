"""In float64 every net computes what its function does in double precision; in mixed precision about what it does in float32."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from specimens import SPECIMENS, initialized, inputs, things
from specimens.specimen import real

from netdsl.nets import Sequence

COUNT = 5


def evaluated(specimen, net, **options):
    """What the net gives for its examples, as a list of arrays in the order of the ports."""
    value = net(things(specimen, net, COUNT) or None, RandomSeeding=7, **options)
    ports = [value[port] for port in net.output_names] if isinstance(value, dict) else [value]
    return [np.asarray(part) for port in ports for part in (port if isinstance(port, list) else [port])]


def in_double_precision(specimen, net):
    """What the pure function gives with all real numbers doubled."""

    def doubled(tree):
        return jax.tree.map(lambda x: x.astype(jnp.float64) if jnp.issubdtype(x.dtype, jnp.floating) else x, tree)

    with jax.enable_x64(True):
        made, _ = net.function()(*doubled((net.arrays, net.state, inputs(specimen, net, COUNT))), jax.random.key(7))
        ports = [made[port] for port in net.output_names] if isinstance(made, dict) else [made]
        return [
            part for port in ports for part in (real(port) if net.input_names or isinstance(port, Sequence) else real(port[0]))
        ]


@pytest.mark.parametrize("specimen", SPECIMENS, ids=str)
def test_real64(specimen):
    net = initialized(specimen)
    for made, expected in zip(
        evaluated(specimen, net, WorkingPrecision="Real64"), in_double_precision(specimen, net), strict=True
    ):
        assert made.dtype == (np.int32 if np.issubdtype(expected.dtype, np.integer) else np.float64)
        np.testing.assert_allclose(made, expected, rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("specimen", SPECIMENS, ids=str)
def test_mixed(specimen):
    net = initialized(specimen)
    for mixed, single in zip(evaluated(specimen, net, WorkingPrecision="Mixed"), evaluated(specimen, net), strict=True):
        assert mixed.dtype == single.dtype
        np.testing.assert_allclose(mixed, single, rtol=0.02, atol=0.02 * max(np.abs(single).max(), 1e-30))
