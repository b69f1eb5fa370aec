"""What the solver infers is what runs."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from specimens import SPECIMENS, initialized, inputs, things

from netdsl.constraints import FrozenDict
from netdsl.nets import Sequence
from netdsl.shapes import Length

COMPUTING = pytest.mark.parametrize("specimen", SPECIMENS, ids=str)


@COMPUTING
def test_every_type_is_known(specimen):
    net = specimen.make()
    assert all(net.port_type(port).known for port in (*net.input_names, *net.output_names))
    assert all(type_.known for type_ in net.solved.arrays.values())


@COMPUTING
def test_inferred_outputs_are_what_is_computed(specimen):
    net = initialized(specimen)
    function = net.function()
    key = jax.random.key(1)
    made, _ = jax.eval_shape(lambda a, s, x: function(a, s, x, key), net.arrays, net.state, inputs(specimen, net, 2))
    made = made if isinstance(made, dict) else {net.output_names[0]: made}
    assert set(made) == set(net.output_names)
    for port, value in made.items():
        type_ = net.port_type(port)
        assert isinstance(value, Sequence) is type_.varying
        array = value.data if isinstance(value, Sequence) else value
        assert array.shape[0] == (2 if net.input_names else 1)
        assert len(array.shape) == len(type_.sizes) + 1
        for size, inferred in zip(array.shape[1:], type_.sizes):
            assert isinstance(inferred, Length) or size == inferred
        assert jnp.issubdtype(array.dtype, jnp.integer) is type_.integer


@pytest.mark.parametrize("specimen", [s for s in SPECIMENS if s.backward], ids=str)
def test_a_declared_output_says_the_input(specimen):
    net = specimen.make()
    port = net.output_names[0]
    back = net.rebuilt(ports=FrozenDict({port: net.port_type(port)}))
    assert {p: back.port_type(p).sizes for p in net.input_names} == {p: net.port_type(p).sizes for p in net.input_names}
    assert back.solved.arrays == net.solved.arrays


@COMPUTING
def test_solving_again_from_the_solution_changes_nothing(specimen):
    net = specimen.make()
    ports = {port: net.port_type(port) for port in (*net.input_names, *net.output_names)}
    again = net.rebuilt(ports=FrozenDict(ports))
    assert all(again.port_type(port) == type_ for port, type_ in ports.items())
    assert again.solved.arrays == net.solved.arrays


@COMPUTING
def test_every_further_size_at_an_input_is_refused(specimen):
    net = specimen.make()
    for port in net.input_names:
        type_ = net.port_type(port)
        larger = np.ones((1, 1, *(2 for _ in type_.sizes)), np.int32 if type_.integer else np.float32)
        with pytest.raises(ValueError, match=repr(port)):
            initialized(specimen)({**things(specimen, net, 1), port: larger})
