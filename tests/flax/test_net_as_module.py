"""A net as a Flax NNX module: values, gradients, optimizing, and the way back."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx

from netdsl import (
    All,
    BatchNormalizationLayer,
    DeclarationError,
    DropoutLayer,
    ElementwiseLayer,
    LinearLayer,
    NetArray,
    NetChain,
    NetDecoder,
    NetGraph,
    NetInitialize,
    NetPort,
    NetTake,
    Plus,
    Ramp,
    ShapeError,
    SoftmaxLayer,
    Tanh,
    ThreadingLayer,
    UninitializedError,
)

rng = np.random.default_rng(0)
X = rng.normal(size=(32, 4)).astype(np.float32)
CLASSES = np.argmax(X[:, :3], axis=1)
KEY = jax.random.key(0)


def _net(rate: float = 0.2) -> Any:
    layers = [8, BatchNormalizationLayer(), Ramp, DropoutLayer(rate), 3, SoftmaxLayer()]
    return NetInitialize(NetChain(layers, Input=4, Output=NetDecoder("Class", ["a", "b", "c"])))


def _loss(module: Any, x: Any, classes: Any, **options: Any) -> Any:
    return -jnp.mean(jnp.log(module(x, **options)[jnp.arange(len(classes)), classes]))


def test_values_in_test_mode() -> None:
    net = _net()
    module = net.to_flax()
    assert isinstance(module, nnx.Module)
    np.testing.assert_allclose(module(X), net(X, None), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(nnx.jit(lambda m, x: m(x))(module, X), net(X, None), rtol=1e-5, atol=1e-6)


def test_what_it_holds() -> None:
    net = NetInitialize(NetChain({"hidden": 8, "norm": BatchNormalizationLayer(), "keys": 3}, Input=4))
    module = net.to_flax()
    parameters = nnx.to_pure_dict(nnx.state(module, nnx.Param))["arrays"]
    assert jax.tree.map(jnp.shape, parameters) == {
        "hidden": {"Weights": (8, 4), "Biases": (8,)},
        "norm": {"Scaling": (8,), "Biases": (8,)},
        "keys": {"Weights": (3, 8), "Biases": (3,)},
    }
    assert set(nnx.to_pure_dict(nnx.state(module, nnx.BatchStat))["states"]["norm"]) == {"MovingMean", "MovingVariance"}
    assert module.to_net() == net
    np.testing.assert_allclose(module(X), net(X), rtol=1e-4, atol=1e-5)


def test_gradients_are_those_of_the_function() -> None:
    net = _net()
    module = net.to_flax()
    slopes = nnx.grad(lambda m: _loss(m, X, CLASSES, training=True, key=KEY))(module)
    f = net.function()

    def loss(arrays: Any) -> Any:
        return -jnp.mean(jnp.log(f(arrays, net.state, X, KEY, True)[0][jnp.arange(len(X)), CLASSES]))

    expected = jax.grad(loss)(net.arrays)
    flat = {path[1:]: value.get_value() for path, value in nnx.to_flat_state(slopes)}
    assert set(flat) == set(expected)
    for path, slope in expected.items():
        np.testing.assert_allclose(flat[path], slope, rtol=1e-4, atol=1e-6)


def test_optimizing_with_flax_and_back() -> None:
    net = _net()
    module = net.to_flax(rngs=nnx.Rngs(0))
    optimizer = nnx.Optimizer(module, optax.adam(0.01), wrt=nnx.Param)

    @nnx.jit
    def step(module: Any, optimizer: Any, x: Any, classes: Any) -> Any:
        loss, slopes = nnx.value_and_grad(lambda m: _loss(m, x, classes))(module)
        optimizer.update(module, slopes)
        return loss

    module.train()
    losses = [float(step(module, optimizer, X, CLASSES)) for _ in range(80)]
    assert losses[-1] < 0.5 * losses[0]
    module.eval()
    trained = module.to_net()
    np.testing.assert_allclose(trained(X, None), module(X), rtol=1e-5, atol=1e-6)
    assert trained(X) == [("a", "b", "c")[i] for i in np.argmax(module(X), axis=1)]
    assert not np.allclose(trained.state["2", "MovingMean"], net.state["2", "MovingMean"])
    np.testing.assert_array_equal(net.arrays["1", "Weights"], _net().arrays["1", "Weights"], "the net stays as it was")


def test_one_step_of_flax_is_one_step_of_optax() -> None:
    net = _net(0.0)
    module = net.to_flax()
    optimizer = nnx.Optimizer(module, optax.sgd(0.1), wrt=nnx.Param)
    slopes = nnx.grad(lambda m: _loss(m, X, CLASSES, training=True, key=KEY))(module)
    optimizer.update(module, slopes)
    f = net.function()

    def loss(arrays: Any) -> Any:
        outputs, state = f(arrays, net.state, X, KEY, True)
        return -jnp.mean(jnp.log(outputs[jnp.arange(len(X)), CLASSES])), state

    expected, state = jax.grad(loss, has_aux=True)(net.arrays)
    stepped = net.with_arrays({path: net.arrays[path] - 0.1 * slope for path, slope in expected.items()} | state)
    np.testing.assert_allclose(module.to_net()(X, None), stepped(X, None), rtol=1e-5)


def test_nets_of_equal_structure_compile_once() -> None:
    traces = []

    @nnx.jit
    def run(module: Any, x: Any) -> Any:
        traces.append(1)
        return module(x)

    first = _net()
    second = NetInitialize(first, All, RandomSeeding=5)
    run(first.to_flax(), X)
    np.testing.assert_allclose(run(second.to_flax(), X), second(X, None), rtol=1e-5)
    assert len(traces) == 1
    run(_net(0.3).to_flax(), X)
    assert len(traces) == 2


def test_several_ports() -> None:
    net = NetInitialize(
        NetGraph(
            {"sum": ThreadingLayer(Plus), "a": 3, "b": 2},
            [([NetPort("x"), NetPort("y")], "sum", ["a", "b"]), ("a", NetPort("A")), ("b", NetPort("B"))],
            x=4,
            y=4,
        )
    )
    made = net.to_flax()({"x": X, "y": X})
    expected = net({"x": X, "y": X})
    assert set(made) == {"A", "B"}
    for port, value in made.items():
        np.testing.assert_allclose(value, expected[port], rtol=1e-5)


def test_shared_arrays_are_one_param() -> None:
    shared = NetArray("w", Array=rng.normal(size=(4, 4)))
    net = NetInitialize(NetChain([LinearLayer(4, Weights=shared), Tanh, LinearLayer(4, Weights=shared)], Input=4))
    module = net.to_flax()
    shapes = [value.get_value().shape for _, value in nnx.to_flat_state(nnx.state(module, nnx.Param))]
    assert shapes.count((4, 4)) == 1
    np.testing.assert_allclose(module(X), net(X), rtol=1e-4, atol=1e-5)


def test_a_module_goes_through_a_net_and_comes_back() -> None:
    class Block(nnx.Module):
        def __init__(self, rngs: nnx.Rngs) -> None:
            self.dense = nnx.Linear(4, 8, rngs=rngs)
            self.norm = nnx.BatchNorm(8, rngs=rngs)

        def __call__(self, x: Any) -> Any:
            return jax.nn.relu(self.norm(self.dense(x)))

    block = Block(nnx.Rngs(0))
    module = NetInitialize(NetChain([block, 3], Input=4)).to_flax()
    optimizer = nnx.Optimizer(module, optax.sgd(0.1), wrt=nnx.Param)
    module.train()
    slopes = nnx.grad(lambda m: jnp.mean(m(X) ** 2))(module)
    optimizer.update(module, slopes)
    module.eval()
    net = module.to_net()
    back = net[1].module()
    assert isinstance(back, Block)
    back.eval()
    np.testing.assert_allclose(back(X), NetTake(net, 1)(X), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(module(X), net(X), rtol=1e-5, atol=1e-6)
    assert not np.allclose(back.dense.kernel.get_value(), block.dense.kernel.get_value())
    assert not np.allclose(back.norm.mean.get_value(), 0)


def test_training_without_a_key_names_the_layer() -> None:
    with pytest.raises(DeclarationError, match="A random key is missing: element 4 draws"):
        _net().to_flax()(X, training=True)


def test_wrong_use() -> None:
    with pytest.raises(UninitializedError, match="no values yet for 1/Weights and 1/Biases"):
        NetChain([3, Ramp], Input=2).to_flax()
    with pytest.raises(ShapeError, match=r"Declare it: Input=\[...\]"):
        ElementwiseLayer(Ramp).to_flax()
