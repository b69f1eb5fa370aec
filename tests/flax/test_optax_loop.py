"""The loop of a JAX user: the net's pure function, its arrays and state, optax, and the trained net. The README shows it."""

from __future__ import annotations

import jax
import numpy as np
import optax

from netdsl import BatchNormalizationLayer, DropoutLayer, NetChain, NetInitialize, Ramp


def test_optax_loop() -> None:
    rng = np.random.default_rng(0)
    xs = rng.normal(size=(256, 4)).astype(np.float32)
    ys = np.argmax(xs[:, :3], axis=1)

    net = NetInitialize(NetChain([32, BatchNormalizationLayer(), Ramp, DropoutLayer(0.1), 3], Input=4))
    f, optimizer = net.function(), optax.adam(0.01)

    def loss(arrays, state, x, y, key):
        logits, state = f(arrays, state, x, key, training=True)
        return optax.softmax_cross_entropy_with_integer_labels(logits, y).mean(), state

    @jax.jit
    def step(arrays, state, memory, x, y, key):
        (value, state), slopes = jax.value_and_grad(loss, has_aux=True)(arrays, state, x, y, key)
        updates, memory = optimizer.update(slopes, memory)
        return optax.apply_updates(arrays, updates), state, memory, value

    arrays, state, memory = net.arrays, net.state, optimizer.init(net.arrays)
    values = []
    for i in range(100):
        arrays, state, memory, value = step(arrays, state, memory, xs, ys, jax.random.key(i))
        values.append(float(value))
    trained = net.with_arrays(arrays | state)

    assert values[-1] < 0.3 * values[0]
    assert np.mean(np.argmax(trained(xs), axis=1) == ys) > 0.95
    assert not np.allclose(trained.state["2", "MovingMean"], 0)
