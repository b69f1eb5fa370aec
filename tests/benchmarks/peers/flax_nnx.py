"""Flax NNX: the jitted training step of its guides, over arrays on the device."""

from __future__ import annotations

from operator import attrgetter

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import nnx
from workloads import ADAM, BLOCKS, CLASSES, FEATURES, UNITS, Architecture, Examples, Workload

from peers import Evaluate, Train
from peers.layouts import arrays_channels_last, inputs_channels_last

__all__ = ["evaluation", "single", "training"]

NAMES = {"weights": "kernel", "biases": "bias", "scale": "scale"}
LSTM_NAMES = {"inputs": "cell.dense_i.kernel", "states": "cell.dense_h.kernel", "biases": "cell.dense_h.bias"}


class LeNet(nnx.Module):
    """The net of the article."""

    def __init__(self, rngs: nnx.Rngs) -> None:
        self.conv1 = nnx.Conv(1, 20, (5, 5), padding="VALID", rngs=rngs)
        self.conv2 = nnx.Conv(20, 50, (5, 5), padding="VALID", rngs=rngs)
        self.dense1 = nnx.Linear(800, 500, rngs=rngs)
        self.dense2 = nnx.Linear(500, CLASSES, rngs=rngs)

    def __call__(self, x: jax.Array) -> jax.Array:
        x = nnx.max_pool(nnx.relu(self.conv1(x)), (2, 2), (2, 2))
        x = nnx.max_pool(nnx.relu(self.conv2(x)), (2, 2), (2, 2))
        return self.dense2(nnx.relu(self.dense1(x.reshape(len(x), -1))))


class MLP(nnx.Module):
    """Three linear layers."""

    def __init__(self, rngs: nnx.Rngs) -> None:
        self.dense1 = nnx.Linear(784, 512, rngs=rngs)
        self.dense2 = nnx.Linear(512, 512, rngs=rngs)
        self.dense3 = nnx.Linear(512, CLASSES, rngs=rngs)

    def __call__(self, x: jax.Array) -> jax.Array:
        return self.dense3(nnx.relu(self.dense2(nnx.relu(self.dense1(x)))))


def convolution(before: int, channels: int, size: int, stride: int, rngs: nnx.Rngs) -> nnx.Conv:
    """A convolution without biases that pads alike on each side."""
    return nnx.Conv(before, channels, (size, size), stride, padding=size // 2, use_bias=False, rngs=rngs)


def normalization(channels: int, rngs: nnx.Rngs) -> nnx.BatchNorm:
    """Batch normalization with netdsl's defaults."""
    return nnx.BatchNorm(channels, momentum=0.9, epsilon=0.001, rngs=rngs)


class Block(nnx.Module):
    """A residual block."""

    def __init__(self, before: int, channels: int, stride: int, rngs: nnx.Rngs) -> None:
        self.conv1 = convolution(before, channels, 3, stride, rngs)
        self.norm1 = normalization(channels, rngs)
        self.conv2 = convolution(channels, channels, 3, 1, rngs)
        self.norm2 = normalization(channels, rngs)
        self.projects = stride == 2
        if self.projects:
            self.skip = convolution(before, channels, 1, stride, rngs)
            self.skip_norm = normalization(channels, rngs)

    def __call__(self, x: jax.Array) -> jax.Array:
        y = nnx.relu(self.norm1(self.conv1(x)))
        y = self.norm2(self.conv2(y))
        return nnx.relu(y + (self.skip_norm(self.skip(x)) if self.projects else x))


class ResNet(nnx.Module):
    """ResNet-20 for pictures of 32 by 32."""

    def __init__(self, rngs: nnx.Rngs) -> None:
        self.conv = convolution(3, 16, 3, 1, rngs)
        self.norm = normalization(16, rngs)
        for name, before, channels, stride in BLOCKS:
            setattr(self, name, Block(before, channels, stride, rngs))
        self.dense = nnx.Linear(64, CLASSES, rngs=rngs)

    def __call__(self, x: jax.Array) -> jax.Array:
        x = nnx.relu(self.norm(self.conv(x)))
        for name, *_ in BLOCKS:
            x = getattr(self, name)(x)
        return self.dense(x.mean((1, 2)))


class LastOfLSTM(nnx.Module):
    """The last output of an LSTM, classified."""

    def __init__(self, rngs: nnx.Rngs) -> None:
        self.lstm = nnx.RNN(nnx.OptimizedLSTMCell(FEATURES, UNITS, rngs=rngs))
        self.dense = nnx.Linear(UNITS, CLASSES, rngs=rngs)

    def __call__(self, x: jax.Array) -> jax.Array:
        return self.dense(self.lstm(x)[:, -1])


MODELS = {"lenet": LeNet, "mlp": MLP, "resnet": ResNet, "lstm": LastOfLSTM}


def model_of(architecture: Architecture) -> nnx.Module:
    """The model with the initial arrays."""
    model = MODELS[architecture.name](nnx.Rngs(0))
    for layer, arrays in arrays_channels_last(architecture).items():
        names = LSTM_NAMES if layer == "lstm" else NAMES
        for kind, value in arrays.items():
            attrgetter(f"{layer}.{names[kind]}")(model)[...] = jnp.asarray(value)
    return model


@nnx.jit
def _step(model: nnx.Module, optimizer: nnx.Optimizer, inputs: jax.Array, labels: jax.Array, chosen: jax.Array) -> jax.Array:
    def loss(model: nnx.Module) -> jax.Array:
        return optax.softmax_cross_entropy_with_integer_labels(model(inputs[chosen]), labels[chosen]).mean()

    value, gradient = nnx.value_and_grad(loss)(model)
    optimizer.update(model, gradient)
    return value


def training(workload: Workload, data: Examples, order: np.ndarray) -> Train:
    """A loop over jitted steps; losses are read once, at its end."""
    inputs = jnp.asarray(inputs_channels_last(workload.architecture, data.inputs))
    labels = jnp.asarray(data.labels)
    rows = order.reshape(-1, workload.batch)
    model = model_of(workload.architecture)
    model.train()
    optimizer = nnx.Optimizer(model, optax.adam(**ADAM), wrt=nnx.Param)

    def train(batches: int) -> float:
        losses = [_step(model, optimizer, inputs, labels, chosen) for chosen in rows[:batches]]
        return float(jnp.stack(losses).mean())

    return train


@nnx.jit
def _probabilities(model: nnx.Module, inputs: jax.Array) -> jax.Array:
    return nnx.softmax(model(inputs))


def evaluation(architecture: Architecture, inputs: np.ndarray, batch: int) -> Evaluate:
    """All inputs, batch by batch, by a jitted function."""
    things = jnp.asarray(inputs_channels_last(architecture, inputs))
    model = model_of(architecture)
    model.eval()

    def evaluate() -> np.ndarray:
        parts = [_probabilities(model, things[start : start + batch]) for start in range(0, len(things), batch)]
        return np.concatenate(parts)

    return evaluate


def single(architecture: Architecture, thing: np.ndarray) -> Evaluate:
    """A jitted function of a batch of one."""
    model = model_of(architecture)
    model.eval()
    return lambda: np.asarray(_probabilities(model, inputs_channels_last(architecture, thing[None])))[0]
