"""One example is a batch of one, and the same at any place of a batch."""

from __future__ import annotations

import numpy as np
import pytest
from specimens import SPECIMENS, initialized, things

COUNT = 5
CLOSE = {"rtol": 2e-5, "atol": 2e-6}


def _outputs(value, net):
    return value if isinstance(value, dict) else {net.output_names[0]: value}


@pytest.mark.parametrize("specimen", SPECIMENS, ids=str)
def test_one_is_a_batch_of_one_and_a_place_in_a_batch(specimen):
    net = initialized(specimen)
    if not net.input_names:
        assert np.shape(net()) == net.port_type("Output").sizes
        return
    examples = things(specimen, net, COUNT)
    many = _outputs(net(examples, RandomSeeding=7), net)
    for place in (0,) if specimen.always else (0, COUNT - 1):  # what is drawn depends on the place
        one = _outputs(net({port: values[place] for port, values in examples.items()}, RandomSeeding=7), net)
        alone = _outputs(net({port: [values[place]] for port, values in examples.items()}, RandomSeeding=7), net)
        for port in net.output_names:
            assert len(many[port]) == COUNT
            assert len(alone[port]) == 1
            assert np.shape(one[port]) == np.shape(alone[port][0]) == np.shape(many[port][place])
            np.testing.assert_allclose(one[port], alone[port][0], **CLOSE)
            np.testing.assert_allclose(one[port], many[port][place], **CLOSE)


@pytest.mark.parametrize("specimen", [s for s in SPECIMENS if s.random], ids=str)
def test_training_draws_do_not_depend_on_the_batch(specimen):
    net = initialized(specimen)
    if not net.input_names:
        return
    examples = things(specimen, net, COUNT)
    options = {"NetEvaluationMode": "Train", "RandomSeeding": 7}
    whole = _outputs(net(examples, **options), net)
    by_two = _outputs(net(examples, BatchSize=2, **options), net)
    first = _outputs(net({port: values[:1] for port, values in examples.items()}, **options), net)
    for port in net.output_names:
        for place in range(COUNT):
            np.testing.assert_allclose(whole[port][place], by_two[port][place], **CLOSE)
        np.testing.assert_allclose(whole[port][0], first[port][0], **CLOSE)
