"""Keras 3 on JAX: model.compile, model.fit and model.predict."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from keras import layers, ops
from workloads import ADAM, BLOCKS, CLASSES, FEATURES, STEPS, UNITS, Architecture, Examples, Workload

from peers import Evaluate, Train
from peers.layouts import arrays_channels_last, inputs_channels_last

__all__ = ["evaluation", "single", "training"]


def lenet() -> keras.Model:
    """The net of the article."""
    return keras.Sequential(
        [
            keras.Input((28, 28, 1)),
            layers.Conv2D(20, 5, activation="relu", name="conv1"),
            layers.MaxPooling2D(2),
            layers.Conv2D(50, 5, activation="relu", name="conv2"),
            layers.MaxPooling2D(2),
            layers.Flatten(),
            layers.Dense(500, activation="relu", name="dense1"),
            layers.Dense(CLASSES, name="dense2"),
        ]
    )


def mlp() -> keras.Model:
    """Three linear layers."""
    return keras.Sequential(
        [
            keras.Input((784,)),
            layers.Dense(512, activation="relu", name="dense1"),
            layers.Dense(512, activation="relu", name="dense2"),
            layers.Dense(CLASSES, name="dense3"),
        ]
    )


def normalized(x: Any, channels: int, size: int, stride: int, convolution: str, normalization: str) -> Any:
    """A convolution and its normalization."""
    if size == 3:
        # "same" would pad on one side only where the stride is 2
        x = layers.ZeroPadding2D(1)(x)
    x = layers.Conv2D(channels, size, stride, use_bias=False, name=convolution)(x)
    return layers.BatchNormalization(momentum=0.9, epsilon=0.001, name=normalization)(x)


def resnet() -> keras.Model:
    """ResNet-20 for pictures of 32 by 32."""
    inputs = keras.Input((32, 32, 3))
    x = layers.ReLU()(normalized(inputs, 16, 3, 1, "conv", "norm"))
    for name, _, channels, stride in BLOCKS:
        y = layers.ReLU()(normalized(x, channels, 3, stride, f"{name}.conv1", f"{name}.norm1"))
        y = normalized(y, channels, 3, 1, f"{name}.conv2", f"{name}.norm2")
        if stride == 2:
            x = normalized(x, channels, 1, stride, f"{name}.skip", f"{name}.skip_norm")
        x = layers.ReLU()(layers.Add()([x, y]))
    x = layers.GlobalAveragePooling2D()(x)
    return keras.Model(inputs, layers.Dense(CLASSES, name="dense")(x))


def lstm() -> keras.Model:
    """The last output of an LSTM, classified."""
    return keras.Sequential(
        [keras.Input((STEPS, FEATURES)), layers.LSTM(UNITS, name="lstm"), layers.Dense(CLASSES, name="dense")]
    )


MODELS = {"lenet": lenet, "mlp": mlp, "resnet": resnet, "lstm": lstm}


def model_of(architecture: Architecture) -> keras.Model:
    """The model with the initial arrays."""
    model = MODELS[architecture.name]()
    for name, arrays in arrays_channels_last(architecture).items():
        layer = model.get_layer(name)
        # a normalization has moving statistics besides
        layer.set_weights([*arrays.values(), *layer.get_weights()[len(arrays) :]])
    return model


class Adam(keras.optimizers.Adam):
    """Keras' ADAM with epsilon where all others have it: added after the correction for the start, not before it."""

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        step = ops.cast(self.iterations + 1, variable.dtype)
        self.epsilon = ADAM["eps"] * ops.sqrt(1 - ops.power(self.beta_2, step))
        super().update_step(gradient, variable, learning_rate)


def training(workload: Workload, data: Examples, order: np.ndarray) -> Train:
    """model.fit over data that are in order."""
    inputs = inputs_channels_last(workload.architecture, data.inputs)[order]
    labels = data.labels[order]
    model = model_of(workload.architecture)
    model.compile(
        optimizer=Adam(ADAM["learning_rate"], ADAM["b1"], ADAM["b2"], ADAM["eps"]),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    )

    def train(batches: int) -> float:
        count = batches * workload.batch
        history = model.fit(inputs[:count], labels[:count], batch_size=workload.batch, shuffle=False, verbose=0)
        return float(history.history["loss"][0])

    return train


def evaluation(architecture: Architecture, inputs: np.ndarray, batch: int) -> Evaluate:
    """model.predict."""
    things = inputs_channels_last(architecture, inputs)
    model = keras.Sequential([model_of(architecture), layers.Softmax()])
    return lambda: model.predict(things, batch_size=batch, verbose=0)


def single(architecture: Architecture, thing: np.ndarray) -> Evaluate:
    """The model, called with a batch of one."""
    model = keras.Sequential([model_of(architecture), layers.Softmax()])
    return lambda: np.asarray(model(inputs_channels_last(architecture, thing[None]))[0])
