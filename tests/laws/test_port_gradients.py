"""What NetPortGradient gives for every real port and every array of a list of examples equals finite differences."""

from __future__ import annotations

import jax
import numpy as np
import pytest
from specimens import SPECIMENS, initialized, things
from specimens.containers import CONTAINERS

from netdsl import NetArray, NetPortGradient

STEP = 1e-6
OPTIONS = {"WorkingPrecision": "Real64", "RandomSeeding": 3, "BatchSize": 2}

OTHERWISE = {"flax module", "adversaries", "adversaries, Wasserstein"}
"""Flax computes in the module's own precision; a generator gets the reverse of the slope on purpose."""

FIRST = {type(specimen.make()): specimen for specimen in reversed(SPECIMENS)}
"""One specimen of each class: the other forms of a layer have their gradients in the law of the pure functions."""

CASES = [s for s in SPECIMENS if s.name not in OTHERWISE and (s in CONTAINERS or FIRST[type(s.make())] is s)]


def product(a, b):
    """The sum of the products of two arrays, or lists of them."""
    return sum(np.sum(np.asarray(x) * y) for x, y in zip(a, b, strict=True)) if isinstance(a, list) else np.sum(a * b)


def like(rng, values):
    """Random numbers in the shape of an array, or of a list of them."""
    return [rng.normal(size=np.shape(value)) for value in values] if isinstance(values, list) else rng.normal(size=values.shape)


def moved(values, direction, step):
    if isinstance(values, list):
        return [value + step * d for value, d in zip(values, direction, strict=True)]
    return np.asarray(values, np.float64) + step * direction


@pytest.mark.parametrize("specimen", CASES, ids=str)
def test_gradients_of_ports_and_arrays(specimen):
    net, rng = initialized(specimen), np.random.default_rng(4)
    data = things(specimen, net, 3) if net.input_names else {}
    ports = {port: [value.astype(np.float64) for value in data[port]] for port in data if not net.port_type(port).integer}
    arrays, wanted = {}, {port: NetPortGradient(port) for port in ports}
    for path, layer in net.leaves():
        for name, value in layer.array_values().items():
            key = ("", value.Name) if isinstance(value, NetArray) else (*path, name)
            if key not in net.state_paths():
                arrays[key], wanted[key] = net.arrays[key], NetPortGradient([*path, name])
    with jax.enable_x64(True):

        def outputs(step):
            there = {port: moved(values, direction[port], step) for port, values in ports.items()}
            at = {path: moved(value, direction[path], step) for path, value in arrays.items()}
            made = net.with_arrays(at)({**data, **there}, None, **OPTIONS)
            return made if isinstance(made, dict) else {net.output_names[0]: made}

        direction = {key: like(rng, values) for key, values in {**ports, **arrays}.items()}
        made = {port: values for port, values in outputs(0).items() if not net.port_type(port).integer}
        if not made or not wanted:
            pytest.skip("nothing here has a gradient")
        imposed = {NetPortGradient(port): like(rng, values) for port, values in made.items()}
        slopes = net({**data, **ports, **imposed}, wanted, **OPTIONS)
        predicted = sum(product(slopes[key], direction[key]) for key in wanted)
        ahead, behind = outputs(STEP), outputs(-STEP)
    measured = sum(product(g, ahead[key.path[0]]) - product(g, behind[key.path[0]]) for key, g in imposed.items()) / (2 * STEP)
    assert predicted == pytest.approx(measured, rel=1e-5, abs=1e-6)
    for key, values in {**ports, **arrays}.items():
        for given, value in zip(slopes[key], values, strict=True) if isinstance(values, list) else [(slopes[key], values)]:
            assert np.shape(given) == np.shape(value)
            assert np.asarray(given).dtype == np.float64
