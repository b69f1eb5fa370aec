"""JAX by hand: what somebody who knows XLA would write for just this net, channels last, arrays donated."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax import Array, lax
from workloads import ADAM, BLOCKS, UNITS, Architecture, Examples, Workload

from peers import Evaluate, Train
from peers.layouts import arrays_channels_last

__all__ = ["evaluation", "single", "training"]

State = dict[str, dict[str, Array]]

ON_CPU = jax.default_backend() == "cpu"


def convolution(arrays: dict[str, Array], x: Array, stride: int = 1, padding: int = 0) -> Array:
    """A convolution of squares, which pads alike on each side."""
    x = jnp.pad(x, ((0, 0), (padding, padding), (padding, padding), (0, 0)))
    if ON_CPU:
        y = _product_of_patches(x, arrays["weights"], stride)
    else:
        y = lax.conv_general_dilated(x, arrays["weights"], (stride, stride), "VALID", dimension_numbers=("NHWC", "HWIO", "NHWC"))
    return y + arrays["biases"] if "biases" in arrays else y


def _product_of_patches(x: Array, weights: Array, stride: int) -> Array:
    """A convolution as a product, which XLA computes and differentiates faster on a CPU.

    A patch covers some outputs in a row, so that the product has enough columns even for few channels.
    """
    size, _, _, channels = weights.shape
    outputs = (x.shape[1] - size) // stride + 1
    covered = next(n for n in (4, 2, 1) if n == 1 or (size > 1 and outputs % n == 0 and (n - 1) * channels < 80))
    seen = stride * (covered - 1) + size
    rows = [x[:, row : row + stride * (outputs - 1) + 1 : stride] for row in range(size)]
    starts = range(0, stride * outputs, stride * covered)
    patches = jnp.stack([jnp.stack([row[:, :, start : start + seen] for row in rows], 2) for start in starts], 2)
    places = np.zeros((covered, seen, size), np.float32)
    for place, offset in itertools.product(range(covered), range(size)):
        places[place, stride * place + offset, offset] = 1
    # outputs first: the gradient is then a product without a transposed copy
    matrix = jnp.einsum("psk,rkco->porsc", places, weights).reshape(covered * channels, -1)
    y = lax.dot_general(patches.reshape(-1, matrix.shape[1]), matrix, (((1,), (1,)), ((), ())))
    return y.reshape(len(x), outputs, outputs, channels)


def pooled(x: Array) -> Array:
    """The maximum of windows of 2 by 2, without the scattering gradient of a general pooling."""
    batch, height, width, channels = x.shape
    return x.reshape(batch, height // 2, 2, width // 2, 2, channels).max((2, 4))


def dense(arrays: dict[str, Array], x: Array) -> Array:
    """A linear layer."""
    return x @ arrays["weights"] + arrays["biases"]


def lenet(arrays: Any, state: State, x: Array) -> tuple[Array, State]:
    """The net of the article, from bytes."""
    x = x[..., None].astype(jnp.float32) / 255
    x = pooled(jax.nn.relu(convolution(arrays["conv1"], x)))
    x = pooled(jax.nn.relu(convolution(arrays["conv2"], x)))
    x = jax.nn.relu(dense(arrays["dense1"], x.reshape(len(x), -1)))
    return dense(arrays["dense2"], x), state


def mlp(arrays: Any, state: State, x: Array) -> tuple[Array, State]:
    """Three linear layers."""
    x = jax.nn.relu(dense(arrays["dense1"], x))
    return dense(arrays["dense3"], jax.nn.relu(dense(arrays["dense2"], x))), state


def resnet(arrays: Any, state: State, x: Array) -> tuple[Array, State]:
    """ResNet-20 for pictures of 32 by 32, in training."""
    after = {}

    def normalized(name: str, y: Array) -> Array:
        mean, variance = y.mean((0, 1, 2)), y.var((0, 1, 2))
        new = {"mean": mean, "variance": variance}
        after[name] = {kind: 0.9 * value + 0.1 * new[kind] for kind, value in state[name].items()}
        return (y - mean) * (arrays[name]["scale"] * lax.rsqrt(variance + 0.001)) + arrays[name]["biases"]

    x = jax.nn.relu(normalized("norm", convolution(arrays["conv"], x, padding=1)))
    for name, _, _, stride in BLOCKS:
        y = jax.nn.relu(normalized(f"{name}.norm1", convolution(arrays[f"{name}.conv1"], x, stride, 1)))
        y = normalized(f"{name}.norm2", convolution(arrays[f"{name}.conv2"], y, 1, 1))
        if stride == 2:
            x = normalized(f"{name}.skip_norm", convolution(arrays[f"{name}.skip"], x, stride))
        x = jax.nn.relu(x + y)
    return dense(arrays["dense"], x.mean((1, 2))), after


def lstm(arrays: Any, state: State, x: Array) -> tuple[Array, State]:
    """The last output of an LSTM, classified; time comes first in the scan, the inputs' product before it."""
    layer = arrays["lstm"]
    inputs = x.swapaxes(0, 1) @ layer["inputs"] + layer["biases"]

    def step(carry: tuple[Array, Array], now: Array) -> tuple[tuple[Array, Array], None]:
        hidden, cell = carry
        i, f, g, o = jnp.split(now + hidden @ layer["states"], 4, axis=-1)
        cell = jax.nn.sigmoid(f) * cell + jax.nn.sigmoid(i) * jnp.tanh(g)
        return (jax.nn.sigmoid(o) * jnp.tanh(cell), cell), None

    zeros = jnp.zeros((len(x), UNITS))
    (hidden, _), _ = lax.scan(step, (zeros, zeros), inputs)
    return dense(arrays["dense"], hidden), state


FORWARD: dict[str, Callable[..., tuple[Array, State]]] = {"lenet": lenet, "mlp": mlp, "resnet": resnet, "lstm": lstm}


def state_of(arrays: Any) -> State:
    """The moving statistics of the normalizations."""
    return {
        name: {"mean": jnp.zeros_like(kinds["scale"]), "variance": jnp.ones_like(kinds["scale"])}
        for name, kinds in arrays.items()
        if "scale" in kinds
    }


def inputs_of(inputs: np.ndarray) -> Array:
    """Inputs on the device, channels last, pictures still bytes."""
    return jnp.asarray(inputs.transpose(0, 2, 3, 1) if inputs.ndim == 4 else inputs)


def training(workload: Workload, data: Examples, order: np.ndarray) -> Train:
    """All batches of a round in one compiled loop."""
    forward, optimizer = FORWARD[workload.architecture.name], optax.adam(**ADAM)
    arrays = jax.tree.map(jnp.asarray, arrays_channels_last(workload.architecture))

    def loss(arrays: Any, state: State, inputs: Array, labels: Array) -> tuple[Array, State]:
        logits, state = forward(arrays, state, inputs)
        return optax.softmax_cross_entropy_with_integer_labels(logits, labels).mean(), state

    def run(carry: Any, inputs: Array, labels: Array, order: Array, batches: Any) -> Any:
        def step(batch: Any, carry: Any) -> Any:
            arrays, state, moments, losses = carry
            chosen = lax.dynamic_slice_in_dim(order, batch * workload.batch, workload.batch)
            slopes = jax.value_and_grad(loss, has_aux=True)
            (value, state), gradient = slopes(arrays, state, inputs[chosen], labels[chosen])
            updates, moments = optimizer.update(gradient, moments)
            return optax.apply_updates(arrays, updates), state, moments, losses.at[batch].set(value)

        return lax.fori_loop(0, batches, step, carry)

    compiled = jax.jit(run, donate_argnums=0)
    carry = (arrays, state_of(arrays), optimizer.init(arrays), jnp.zeros(workload.batches))

    def train(batches: int) -> float:
        nonlocal carry
        # the data are put where JAX computes in each turn, as in NetTrain's
        given = (inputs_of(data.inputs), jnp.asarray(data.labels), jnp.asarray(order))
        carry = compiled(carry, *given, batches)
        return float(np.asarray(carry[-1])[:batches].mean())

    return train


def evaluation(architecture: Architecture, inputs: np.ndarray, batch: int) -> Evaluate:
    """All inputs, batch by batch, by a jitted function."""
    function, things = _probabilities(architecture), inputs_of(inputs)
    return lambda: np.concatenate([function(things[start : start + batch]) for start in range(0, len(things), batch)])


def single(architecture: Architecture, thing: np.ndarray) -> Evaluate:
    """A jitted function of a batch of one."""
    function = _probabilities(architecture)
    return lambda: np.asarray(function(thing[None]))[0]


def _probabilities(architecture: Architecture) -> Callable[[Any], Array]:
    arrays = jax.tree.map(jnp.asarray, arrays_channels_last(architecture))
    forward = jax.jit(lambda arrays, x: jax.nn.softmax(FORWARD[architecture.name](arrays, {}, x)[0]))
    return lambda x: forward(arrays, x)
