"""What is computed: five workloads, their data and initial arrays as NumPy, and the operations of a training step."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import numpy as np

__all__ = [
    "ADAM",
    "ARCHITECTURES",
    "BLOCKS",
    "CLASSES",
    "Architecture",
    "Arrays",
    "Examples",
    "Workload",
    "examples",
    "flops",
    "perceptron",
    "workloads",
]

Arrays = dict[str, dict[str, np.ndarray]]
"""The arrays of each layer by its dotted name. Weights are {outputs, inputs, kernel…}, biases and scale {outputs}; those of the
LSTM are inputs {4 units, features}, states {4 units, units} and biases, the gates in the order input, forget, memory, output."""

ADAM = {"learning_rate": 0.001, "b1": 0.9, "b2": 0.999, "eps": 1e-5}
"""The optimizer of every peer: netdsl's default ADAM, in optax's words."""

CLASSES = 10

STEPS, FEATURES, UNITS = 100, 64, 128
"""Of the LSTM."""

BLOCKS = tuple(
    (
        f"block{3 * stage + place + 1}",
        channels // 2 if place == 0 and stage else channels,
        channels,
        2 if place == 0 and stage else 1,
    )
    for stage, channels in enumerate((16, 32, 64))
    for place in range(3)
)
"""Name, channels in, channels out and stride of each block of the ResNet-20."""


class Examples(NamedTuple):
    """Inputs as netdsl's user holds them (pictures of bytes, or float32, channels first) and labels 0 to 9."""

    inputs: np.ndarray
    labels: np.ndarray


@dataclass(frozen=True)
class Architecture:
    """A net, as far as all peers share it."""

    name: str
    shape: tuple[int, ...]
    """Of one input."""
    pictures: bool
    """Whether inputs are pictures of bytes, to be scaled to 0…1."""
    arrays: Callable[[], Arrays]
    positions: Mapping[str, int]
    """At how many places of one example the weights of a layer are used; 1 where not named."""
    flattened: Mapping[str, tuple[int, int, int]]
    """The {channels, height, width} that a linear layer's input had before it was flattened."""


@dataclass(frozen=True)
class Workload:
    """An architecture trained at a batch size, and how much of it is one timed turn."""

    name: str
    title: str
    architecture: Architecture
    batch: int
    batches: int
    tolerance: float = 0.01
    """How far, relatively, the mean loss of a peer's first batches may be from netdsl's."""

    @property
    def count(self) -> int:
        """The examples of one turn."""
        return self.batch * self.batches


# Arrays


class _Drawing:
    """Draws the arrays of layers one after another, normal with variance 2 / inputs."""

    def __init__(self) -> None:
        self.rng = np.random.default_rng(1)
        self.arrays: Arrays = {}

    def weights(self, *sizes: int) -> np.ndarray:
        scale = np.sqrt(2 / np.prod(sizes[1:]))
        return (scale * self.rng.standard_normal(sizes)).astype(np.float32)

    def layer(self, name: str, *sizes: int, biases: bool = True) -> None:
        self.arrays[name] = {"weights": self.weights(*sizes)}
        if biases:
            self.arrays[name]["biases"] = np.zeros(sizes[0], np.float32)

    def normalization(self, name: str, channels: int) -> None:
        self.arrays[name] = {"scale": np.ones(channels, np.float32), "biases": np.zeros(channels, np.float32)}


def _lenet() -> Arrays:
    draw = _Drawing()
    draw.layer("conv1", 20, 1, 5, 5)
    draw.layer("conv2", 50, 20, 5, 5)
    draw.layer("dense1", 500, 800)
    draw.layer("dense2", CLASSES, 500)
    return draw.arrays


def _mlp(features: int, width: int) -> Arrays:
    draw = _Drawing()
    draw.layer("dense1", width, features)
    draw.layer("dense2", width, width)
    draw.layer("dense3", CLASSES, width)
    return draw.arrays


def _resnet() -> Arrays:
    draw = _Drawing()
    draw.layer("conv", 16, 3, 3, 3, biases=False)
    draw.normalization("norm", 16)
    for name, before, channels, stride in BLOCKS:
        draw.layer(f"{name}.conv1", channels, before, 3, 3, biases=False)
        draw.normalization(f"{name}.norm1", channels)
        draw.layer(f"{name}.conv2", channels, channels, 3, 3, biases=False)
        draw.normalization(f"{name}.norm2", channels)
        if stride == 2:
            draw.layer(f"{name}.skip", channels, before, 1, 1, biases=False)
            draw.normalization(f"{name}.skip_norm", channels)
    draw.layer("dense", CLASSES, 64)
    return draw.arrays


def _lstm() -> Arrays:
    draw = _Drawing()
    draw.arrays["lstm"] = {
        "inputs": draw.weights(4 * UNITS, FEATURES),
        "states": draw.weights(4 * UNITS, UNITS) / 2,
        "biases": np.zeros(4 * UNITS, np.float32),
    }
    draw.layer("dense", CLASSES, UNITS)
    return draw.arrays


def _resnet_positions() -> dict[str, int]:
    positions, size = {"conv": 32 * 32}, 32
    for name, _, _, stride in BLOCKS:
        size //= stride
        positions |= {f"{name}.{layer}": size * size for layer in ("conv1", "conv2", "skip")}
    return positions


def perceptron(features: int, width: int) -> Architecture:
    """Two layers of this width and one of the classes."""
    return Architecture("mlp", (features,), False, partial(_mlp, features, width), {}, {})


ARCHITECTURES = {
    architecture.name: architecture
    for architecture in (
        Architecture("lenet", (28, 28), True, _lenet, {"conv1": 24 * 24, "conv2": 8 * 8}, {"dense1": (50, 4, 4)}),
        perceptron(784, 512),
        Architecture("resnet", (3, 32, 32), False, _resnet, _resnet_positions(), {}),
        Architecture("lstm", (STEPS, FEATURES), False, _lstm, {"lstm": STEPS}, {}),
    )
}


def workloads(scale: int = 1, batches: int | None = None) -> dict[str, Workload]:
    """The trainings by name. Turns are `scale` times as long as on a CPU, or of this number of batches."""
    lenet, mlp, resnet, lstm = ARCHITECTURES.values()
    rows = (
        ("lenet-64", "LeNet, batch 64", lenet, 64, 200, 0.01),
        ("lenet-256", "LeNet, batch 256", lenet, 256, 50, 0.01),
        ("mlp", "MLP 784-512-512-10, batch 128", mlp, 128, 400, 0.01),
        ("resnet", "ResNet-20 with batch normalization, batch 64", resnet, 64, 40, 0.03),
        ("lstm", "LSTM of 128 units over 100 steps of 64 features, batch 64", lstm, 64, 60, 0.01),
    )
    return {
        name: Workload(name, title, architecture, batch, batches or scale * turn, tolerance)
        for name, title, architecture, batch, turn, tolerance in rows
    }


# Data and operations


def examples(architecture: Architecture, count: int) -> Examples:
    """Noise with a faint pattern for each class, so that there is something to learn."""
    rng = np.random.default_rng(0)
    labels = rng.integers(0, CLASSES, count)
    if architecture.pictures:
        patterns = rng.integers(0, 128, (CLASSES, *architecture.shape), dtype=np.uint8)
        return Examples(rng.integers(0, 128, (count, *architecture.shape), dtype=np.uint8) + patterns[labels], labels)
    patterns = 0.2 * rng.standard_normal((CLASSES, *architecture.shape), np.float32)
    return Examples(rng.standard_normal((count, *architecture.shape), np.float32) + patterns[labels], labels)


def flops(architecture: Architecture, training: bool) -> int:
    """The operations of the matrix products and convolutions of one example, two for each multiplication.

    A training multiplies by each weight three times: forwards, for the slope of the input, and for its own. The first layer's
    input needs no slope.
    """
    total = 0
    for index, (layer, arrays) in enumerate(architecture.arrays().items()):
        for kind in arrays.keys() & {"weights", "inputs", "states"}:
            passes = 1 if not training else 2 if index == 0 and kind != "states" else 3
            total += 2 * passes * architecture.positions.get(layer, 1) * arrays[kind].size
    return total
