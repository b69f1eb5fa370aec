"""A Flax NNX module as a layer: its numbers, gradients, state, randomness, arrays, identity."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen, nnx

from netdsl import (
    All,
    ConvolutionLayer,
    DeclarationError,
    FlaxLayer,
    NetChain,
    NetDecoder,
    NetExtract,
    NetGraph,
    NetInitialize,
    NetMapOperator,
    NetPort,
    NetReplacePart,
    NetTake,
    NetTrain,
    PoolingLayer,
    Ramp,
    Rule,
    ShapeError,
    SoftmaxLayer,
    Tanh,
    UnsupportedError,
)
from netdsl.lowering import compilations, program_key

rng = np.random.default_rng(0)
X = rng.normal(size=(6, 4)).astype(np.float32)
KEY = jax.random.key(3)


class Block(nnx.Module):
    """A module with nesting, batch statistics and dropout."""

    def __init__(self, rngs: nnx.Rngs, rate: float = 0.0) -> None:
        self.layers = nnx.List([nnx.Linear(4, 8, rngs=rngs), nnx.Linear(8, 5, rngs=rngs)])
        self.norm = nnx.BatchNorm(8, momentum=0.8, rngs=rngs)
        self.drop = nnx.Dropout(rate, rngs=rngs)

    def __call__(self, x: Any) -> Any:
        return self.layers[1](self.drop(jax.nn.relu(self.norm(self.layers[0](x)))))


class Counter(nnx.Module):
    """State that does not depend on the examples."""

    def __init__(self) -> None:
        self.calls = nnx.Variable(jnp.zeros((), jnp.int32))

    def __call__(self, x: Any) -> Any:
        self.calls[...] += 1
        return x + self.calls[...]


class Remembers(nnx.Module):
    """State that each example changes differently."""

    def __init__(self) -> None:
        self.last = nnx.Variable(jnp.zeros(4))

    def __call__(self, x: Any) -> Any:
        self.last[...] = x[0]
        return x


def _linear(seed: int = 0) -> nnx.Linear:
    return nnx.Linear(4, 8, rngs=nnx.Rngs(seed))


# Values and gradients


def test_a_module_stands_in_a_chain() -> None:
    module = _linear()
    net = NetInitialize(NetChain([module, Ramp, 10], Input=4))
    assert isinstance(net[1], FlaxLayer)
    expected = np.maximum(np.asarray(module(X)), 0) @ net.arrays["3", "Weights"].T + net.arrays["3", "Biases"]
    np.testing.assert_allclose(net(X), expected, rtol=1e-5)
    np.testing.assert_allclose(net(X[0]), expected[0], rtol=1e-5)


def test_a_module_stands_in_a_graph_and_in_an_operator() -> None:
    module = _linear()
    graph = NetGraph({"a": module, "b": Tanh}, [NetPort("Input") >> "a" >> "b" >> NetPort("Output")], Input=4)
    np.testing.assert_allclose(graph(X), np.tanh(module(X)), rtol=1e-5)
    mapped = NetMapOperator(module)
    np.testing.assert_allclose(mapped(X), module(X), rtol=1e-5)


def test_nested_module_in_test_mode() -> None:
    module = Block(nnx.Rngs(0), 0.5)
    layer = FlaxLayer(module)
    module.eval()
    np.testing.assert_allclose(layer(X), module(X), rtol=1e-6)
    assert set(layer.arrays) == {
        (f"{part}.{name}",)
        for part, name in [
            ("layers.0", "kernel"),
            ("layers.0", "bias"),
            ("layers.1", "kernel"),
            ("layers.1", "bias"),
            ("norm", "scale"),
            ("norm", "bias"),
        ]
    }
    assert set(layer.state) == {("norm.mean",), ("norm.var",)}


def test_batch_statistics_and_gradients_are_those_of_the_whole_batch() -> None:
    module = Block(nnx.Rngs(0))
    layer = FlaxLayer(module, Input=4)
    f = layer.function()

    def loss(arrays: Any) -> Any:
        outputs, state = f(arrays, layer.state, X, KEY, True)
        return jnp.sum(outputs**2), state

    def module_loss(module: Any) -> Any:
        return jnp.sum(module(X) ** 2)

    (value, state), slopes = jax.value_and_grad(loss, has_aux=True)(layer.arrays)
    module.train()
    expected, expected_slopes = nnx.value_and_grad(module_loss)(module)
    np.testing.assert_allclose(value, expected, rtol=1e-5)
    for path, slope in nnx.to_flat_state(expected_slopes):
        np.testing.assert_allclose(slopes[(".".join(map(str, path)),)], slope.get_value(), rtol=1e-3, atol=1e-4)
    np.testing.assert_allclose(state[("norm.mean",)], module.norm.mean.get_value(), rtol=1e-5)
    np.testing.assert_allclose(state[("norm.var",)], module.norm.var.get_value(), rtol=1e-5)


def test_padded_examples_do_not_count() -> None:
    module = Block(nnx.Rngs(0))
    expected = FlaxLayer(module)(X[:5], NetEvaluationMode="Train")  # five of eight
    module.train()
    np.testing.assert_allclose(expected, module(X[:5]), rtol=1e-4, atol=1e-5)


def test_mask_of_batch_norm() -> None:
    class Masked(nnx.Module):
        def __init__(self, rngs: nnx.Rngs) -> None:
            self.norm = nnx.BatchNorm(4, rngs=rngs)

        def __call__(self, x: Any) -> Any:
            return self.norm(x, mask=x > -0.5)

    module = Masked(nnx.Rngs(0))
    made = FlaxLayer(module)(X, NetEvaluationMode="Train")
    module.train()
    np.testing.assert_allclose(made, module(X), rtol=1e-4, atol=1e-5)


def test_convolution_with_channels_first_and_last() -> None:
    images = rng.normal(size=(3, 7, 6, 2)).astype(np.float32)
    rngs = nnx.Rngs(0)
    module = nnx.Sequential(nnx.Conv(2, 5, (3, 3), rngs=rngs), nnx.BatchNorm(5, use_running_average=True, rngs=rngs))
    expected = np.asarray(module(images))
    np.testing.assert_allclose(FlaxLayer(module, Input=[7, 6, 2])(images), expected, rtol=1e-4, atol=1e-5)
    first = np.moveaxis(images, -1, 1)
    layer = FlaxLayer(module, Interleaving=False, Input=[2, 7, 6])
    np.testing.assert_allclose(layer(first), np.moveaxis(expected, -1, 1), rtol=1e-4, atol=1e-5)
    layer = FlaxLayer(module, Interleaving=False)
    net = NetInitialize(NetChain([ConvolutionLayer(2, 1), layer, Ramp, PoolingLayer(2, 2)], Input=[2, 7, 6]))
    alone = NetChain([NetTake(net, 1), layer])
    expected = np.maximum(alone(first), 0)[:, :, :6, :].reshape(3, 5, 3, 2, 3, 2).max(axis=(3, 5))
    np.testing.assert_allclose(net(first), expected, rtol=1e-4, atol=1e-5)


def test_several_inputs_and_outputs() -> None:
    class Two(nnx.Module):
        def __init__(self) -> None:
            self.weight = nnx.Param(jnp.arange(4.0))

        def __call__(self, a: Any, b: Any, deterministic: bool) -> Any:
            return {"Sum": a + b * self.weight, "Mode": jnp.full(a.shape, 0.0 if deterministic else 1.0)}

    layer = FlaxLayer(Two(), OutputPorts=["Sum", "Mode"])
    assert layer.input_names == ("a", "b")
    made = layer({"a": X, "b": X})
    np.testing.assert_allclose(made["Sum"], X + X * np.arange(4.0), rtol=1e-6)
    assert made["Mode"].max() == 0
    assert layer({"a": X, "b": X}, NetEvaluationMode="Train")["Mode"].min() == 1


# State and randomness


def test_state_that_no_example_changes_is_kept() -> None:
    layer = FlaxLayer(Counter(), Input=4)
    f = layer.function()
    _, state = f(layer.arrays, layer.state, X, KEY, True)
    assert state["calls",].dtype == jnp.int32
    assert int(state["calls",]) == 1
    _, same = f(layer.arrays, layer.state, X)
    assert int(same["calls",]) == 0


def test_state_of_one_example_is_refused_while_training() -> None:
    layer = FlaxLayer(Remembers(), Input=4)
    np.testing.assert_allclose(layer(X), X)
    with pytest.raises(
        UnsupportedError,
        match=r"FlaxLayer\(<Remembers>, Input=4\) cannot run in training mode: each example "
        r"changes its state last differently",
    ):
        layer.function()(layer.arrays, layer.state, X, KEY, True)


def test_dropout_takes_the_key_of_the_layer() -> None:
    layer = FlaxLayer(nnx.Dropout(0.5, rngs=nnx.Rngs(0)))
    ones = np.ones((64, 4), np.float32)
    assert (layer(ones) == 1).all()
    first, again, other = (layer(ones, NetEvaluationMode="Train", RandomSeeding=seed) for seed in (1, 1, 2))
    assert set(np.unique(first)) == {0, 2}
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()
    assert len(np.unique(first, axis=0)) > 4, "each example has its own key"
    np.testing.assert_array_equal(first[:5], layer(ones[:5], NetEvaluationMode="Train", RandomSeeding=1))


def test_two_streams_draw_different_numbers() -> None:
    class Both(nnx.Module):
        def __init__(self, rngs: nnx.Rngs) -> None:
            self.first, self.second = nnx.Dropout(0.5, rngs=rngs), nnx.Dropout(0.5, rngs=rngs)

        def __call__(self, x: Any) -> Any:
            return jnp.concatenate([self.first(x), self.second(x)], axis=-1)

    made = FlaxLayer(Both(nnx.Rngs(0)))(np.ones((16, 8), np.float32), NetEvaluationMode="Train", RandomSeeding=1)
    assert (made[:, :8] != made[:, 8:]).any()


# Training


def test_training_changes_arrays_and_statistics() -> None:
    module = Block(nnx.Rngs(0), 0.1)
    net = NetChain([module, 3, SoftmaxLayer()], Output=NetDecoder("Class", ["a", "b", "c"]))
    labels = [("a", "b", "c")[i] for i in np.argmax(X[:, :3], axis=1)]
    trained = NetTrain(net, Rule(X, labels), MaxTrainingRounds=200, TrainingProgressReporting=None, LearningRate=0.01)
    assert trained(X) == labels
    assert not np.allclose(trained.state["1", "norm.mean"], 0)
    back = trained[1].module()
    back.eval()
    np.testing.assert_allclose(back(X), NetTake(trained, 1)(X), rtol=1e-5)
    assert np.allclose(module.norm.mean.get_value(), 0), "the module given stays as it was"


def test_frozen_module() -> None:
    net = NetChain([FlaxLayer(_linear(), LearningRateMultipliers=0), 1], Input=4)
    trained = NetTrain(net, Rule(X, X[:, 0]), MaxTrainingRounds=2, TrainingProgressReporting=None)
    np.testing.assert_array_equal(trained.arrays["1", "kernel"], net.arrays["1", "kernel"])


# Arrays, surgery, identity


def test_arrays_are_extracted_and_replaced() -> None:
    net = NetChain({"dense": _linear(), "ramp": Ramp}, Input=4)
    kernel = net.arrays["dense", "kernel"]
    assert NetExtract(net, ["dense", "kernel"]).shape == (4, 8)
    changed = NetReplacePart(net, {("dense", "kernel"): 2 * kernel})
    np.testing.assert_allclose(changed.arrays["dense", "kernel"], 2 * kernel)
    np.testing.assert_allclose(net.with_arrays({("dense", "kernel"): 2 * kernel})(X), changed(X))
    with pytest.raises(ShapeError):
        net.with_arrays({("dense", "kernel"): np.zeros((5, 8), np.float32)})


def test_pytree() -> None:
    layer = FlaxLayer(Block(nnx.Rngs(0)), Input=4)
    doubled = jax.tree_util.tree_map(lambda leaf: 2 * leaf, layer)
    np.testing.assert_allclose(doubled.arrays["layers.0.kernel",], 2 * layer.arrays["layers.0.kernel",])
    leaves, tree = jax.tree_util.tree_flatten(layer)
    assert len(leaves) == 8
    assert jax.tree_util.tree_structure(FlaxLayer(Block(nnx.Rngs(1)), Input=4)) == tree
    assert jax.tree_util.tree_unflatten(tree, leaves) == layer


def test_equality_is_of_structure_and_values() -> None:
    module = _linear()
    assert FlaxLayer(module) == FlaxLayer(module)
    assert hash(FlaxLayer(module)) == hash(FlaxLayer(_linear(1)))
    assert FlaxLayer(module) != FlaxLayer(_linear(1))
    assert FlaxLayer(module) != FlaxLayer(nnx.Linear(4, 9, rngs=nnx.Rngs(0)))
    assert FlaxLayer(nnx.Dropout(0.5, rngs=nnx.Rngs(0))) != FlaxLayer(nnx.Dropout(0.4, rngs=nnx.Rngs(0)))


def test_modules_of_equal_structure_compile_once() -> None:
    first, second = (FlaxLayer(Block(nnx.Rngs(seed), 0.25), Input=4) for seed in (0, 1))
    first(X)
    before = compilations()
    second(X)
    assert compilations() == before
    assert program_key(first) != program_key(FlaxLayer(Block(nnx.Rngs(0), 0.26), Input=4)), "differs while training only"


def test_classes_of_one_name_and_different_code_are_not_confused() -> None:
    def made(scale: float) -> Any:
        class Scaled(nnx.Module):
            def __call__(self, x: Any) -> Any:
                return scale * x

        return FlaxLayer(Scaled())

    np.testing.assert_allclose(made(2.0)(X), 2 * X)
    np.testing.assert_allclose(made(3.0)(X), 3 * X)


def test_the_layer_keeps_a_copy() -> None:
    module = _linear()
    layer = FlaxLayer(module)
    before = layer(X)
    module.kernel[...] = jnp.zeros((4, 8))
    np.testing.assert_array_equal(layer(X), before)
    with pytest.raises(AttributeError):
        layer.Module = module


def test_changed_keeps_arrays() -> None:
    layer = FlaxLayer(_linear())
    np.testing.assert_array_equal(layer.changed(Ports={"Input": [4]})(X), layer(X))


def test_initialized_anew() -> None:
    module = nnx.Sequential(nnx.Conv(3, 64, (5, 5), rngs=nnx.Rngs(0)), nnx.BatchNorm(64, rngs=nnx.Rngs(0)))
    layer = FlaxLayer(module, Input=[9, 9, 3])
    assert NetInitialize(layer) is layer
    anew = NetInitialize(layer, All)
    kernel = np.asarray(anew.arrays["layers.0.kernel",])
    assert kernel.shape == (5, 5, 3, 64)
    np.testing.assert_allclose(kernel.std(), np.sqrt(2 / 75), rtol=0.05)
    assert (anew.arrays["layers.1.scale",] == 1).all()
    assert (anew.arrays["layers.1.bias",] == 0).all()
    assert (anew.state["layers.1.var",] == 1).all()


def test_tied_weights_are_one_array() -> None:
    class Tied(nnx.Module):
        def __init__(self, rngs: nnx.Rngs) -> None:
            self.a = nnx.Linear(4, 4, rngs=rngs)
            self.b = self.a

        def __call__(self, x: Any) -> Any:
            return self.b(self.a(x))

    module = Tied(nnx.Rngs(0))
    layer = FlaxLayer(module)
    assert len(layer.arrays) == 2
    np.testing.assert_allclose(layer(X), module(X), rtol=1e-5, atol=1e-6)


# Display, messages


def test_repr_and_table() -> None:
    net = NetChain([_linear(), Ramp], Input=4)
    assert repr(net).startswith("NetChain([FlaxLayer(<Linear>), ElementwiseLayer(Ramp)], Input=")
    assert "FlaxLayer" in str(net)
    assert repr(FlaxLayer(_linear(), Interleaving=False)) == "FlaxLayer(<Linear>, Interleaving=False)"


def test_messages() -> None:
    with pytest.raises(DeclarationError, match=r"FlaxLayer takes a flax.nnx.Module. Got 3."):
        FlaxLayer(3)
    with pytest.raises(DeclarationError, match=r"element 1 of NetChain is the Linen module Dense. What flax.nnx.bridge.ToNNX"):
        NetChain([linen.Dense(3), Ramp])
    with pytest.raises(DeclarationError, match=r"FlaxLayer takes a flax.nnx.Module. .* flax.nnx.bridge.ToNNX"):
        FlaxLayer(linen.Dense(3))
    with pytest.raises(ShapeError, match="FlaxLayer"):
        NetChain([_linear(), Ramp], Input=5)
    with pytest.raises(ShapeError, match="does not take sequences of varying length"):
        NetChain([_linear(), Ramp], Input=["Varying", 4])


def test_a_linen_module_through_the_bridge() -> None:
    module = nnx.bridge.ToNNX(linen.Dense(3), rngs=nnx.Rngs(0)).lazy_init(X)
    np.testing.assert_allclose(NetChain([module, Ramp], Input=4)(X), np.maximum(module(X), 0), rtol=1e-5)


def test_import_of_netdsl_does_not_import_flax() -> None:
    code = "import sys, netdsl; netdsl.NetChain([3, netdsl.Ramp], Input=2); sys.exit('flax' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
