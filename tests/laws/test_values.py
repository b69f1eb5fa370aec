"""Nets and coders are values: immutable, comparable, hashable, written as what builds them; nets are pytrees."""

from __future__ import annotations

import copy
import pickle

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from specimens import CODERS, PLACEHOLDERS, SPECIMENS, initialized, inputs, things

import netdsl
from netdsl import ElementwiseLayer, LinearLayer, NetChain, Ramp, SoftmaxLayer

EVERY = pytest.mark.parametrize("specimen", [*SPECIMENS, *PLACEHOLDERS, *CODERS], ids=str)
NETS = pytest.mark.parametrize("specimen", SPECIMENS, ids=str)
NAMES = {name: value for name, value in vars(netdsl).items() if not name.startswith("_")}


@EVERY
def test_nothing_can_be_set(specimen):
    thing = specimen.make()
    for name in (*thing.parameters, "further"):
        with pytest.raises(AttributeError, match="immutable"):
            setattr(thing, name, 1)
        with pytest.raises(AttributeError, match="immutable"):
            delattr(thing, name)


@NETS
def test_evaluation_changes_no_net(specimen):
    net = initialized(specimen)
    before = {path: np.array(value) for path, value in (net.arrays | net.state).items()}
    text, fields = repr(net), set(net.fields())
    function = net.function()
    jax.eval_shape(lambda *a: function(*a, training=True), net.arrays, net.state, inputs(specimen, net, 2), jax.random.key(1))
    assert all(np.array_equal(value, before[path]) for path, value in (net.arrays | net.state).items())
    assert repr(net) == text
    assert set(net.fields()) == fields
    assert net == initialized(specimen)


@pytest.mark.parametrize("specimen", [s for s in (*SPECIMENS, *PLACEHOLDERS, *CODERS) if s.written], ids=str)
def test_the_repr_builds_it_again(specimen):
    thing = specimen.make()
    again = eval(repr(thing), dict(NAMES))
    assert again == thing
    assert repr(again) == repr(thing)
    assert hash(again) == hash(thing)


@EVERY
def test_made_alike_is_equal(specimen):
    a, b = specimen.make(), specimen.make()
    if specimen.written:
        assert a == b
        assert hash(a) == hash(b)
    assert a == a
    assert a != 1
    assert hash(a) == hash(a)
    assert copy.deepcopy(a) == a if specimen.written else True


@pytest.mark.parametrize("specimen", [s for s in SPECIMENS if s.written], ids=str)
def test_pickle(specimen):
    net = initialized(specimen)
    assert pickle.loads(pickle.dumps(net)) == net


@NETS
def test_one_bit_makes_another_net(specimen):
    net = initialized(specimen)
    assert net == net.with_arrays({path: jnp.array(value) for path, value in net.arrays.items()})
    for path, value in net.arrays.items():
        other = np.array(value)
        other.view(np.uint32).reshape(-1)[-1] ^= 1
        assert net != net.with_arrays({path: jnp.asarray(other)})


@NETS
def test_pytree(specimen):
    net = initialized(specimen)
    leaves, structure = jax.tree_util.tree_flatten(net)
    assert {id(leaf) for leaf in leaves} == {id(value) for value in (net.arrays | net.state).values()}
    again = jax.tree_util.tree_unflatten(structure, leaves)
    assert again == net
    assert type(again) is type(net)
    twice = jax.tree_util.tree_map(lambda x: 2 * x, net)
    assert jax.tree_util.tree_structure(twice) == structure
    assert all(np.array_equal(value, 2 * net.arrays[path]) for path, value in twice.arrays.items())
    assert not jax.tree_util.tree_leaves(specimen.make())


@pytest.mark.parametrize(
    "specimen", [s for s in SPECIMENS if s.name in ("chain", "lstm", "shared", "batch normalization", "graph")], ids=str
)
def test_a_net_passes_through_jit_as_an_argument(specimen):
    net = initialized(specimen)
    examples = {port: np.stack(values) for port, values in things(specimen, net, 3).items()}
    outside, inside = net(examples), jax.jit(lambda n, x: n(x))(net, examples)
    for a, b in zip(jax.tree_util.tree_leaves(outside), jax.tree_util.tree_leaves(inside), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)


def test_one_is_not_one_point_zero_nor_true():
    assert SoftmaxLayer(1) != SoftmaxLayer(-1)
    assert LinearLayer(3, LearningRateMultipliers=1) != LinearLayer(3, LearningRateMultipliers=1.0)
    assert NetChain([3]) != NetChain({"a": 3})
    assert ElementwiseLayer(Ramp) != ElementwiseLayer("ReLU")


def test_the_order_of_options_does_not_matter():
    a, b = LinearLayer(2, Input=3, Output=2), LinearLayer(2, Output=2, Input=3)
    assert a == b
    assert hash(a) == hash(b)
