"""Layers that do something else while training: batch normalization and dropout."""

from __future__ import annotations

import math

import numpy as np
import pytest

from netdsl import BatchNormalizationLayer, DropoutLayer, NetInitialize

RNG = np.random.default_rng(0)


def close(a, b):
    assert np.shape(a) == np.shape(b)
    np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("interleaving", [False, True])
def test_batch_normalization(interleaving):
    x = RNG.normal(size=(6, 3, 2)) * 2 + 1
    if interleaving:
        x = np.moveaxis(x, 1, 2)
    arrays = {name: RNG.uniform(0.5, 2, size=3) for name in ("Scaling", "Biases", "MovingMean", "MovingVariance")}
    layer = BatchNormalizationLayer(Epsilon=0.01, Momentum=0.8, Interleaving=interleaving, Input=list(x.shape[1:]), **arrays)
    across, shape = ((0, 1), (-1,)) if interleaving else ((0, 2), (-1, 1))

    def normalized(mean, variance):
        scale = arrays["Scaling"] / np.sqrt(variance + 0.01)
        return (x - mean.reshape(shape)) * scale.reshape(shape) + arrays["Biases"].reshape(shape)

    close(layer(x), normalized(arrays["MovingMean"], arrays["MovingVariance"]))
    mean, variance = x.mean(across), x.var(across)
    close(layer(x, NetEvaluationMode="Train"), normalized(mean, variance))
    _, state = layer.function()(layer.arrays, layer.state, np.float32(x), None, True)
    close(state[("MovingMean",)], 0.8 * arrays["MovingMean"] + 0.2 * mean)
    close(state[("MovingVariance",)], 0.8 * arrays["MovingVariance"] + 0.2 * variance)


def test_batch_normalization_of_a_batch_that_is_filled_up():
    """Five examples run as a batch of eight: the three that fill up have no weight."""
    x = RNG.normal(size=(5, 2))
    layer = NetInitialize(BatchNormalizationLayer(Epsilon=0, Input=2))
    close(layer(x, NetEvaluationMode="Train"), (x - x.mean(0)) / x.std(0))


def test_batch_normalization_of_sequences_counts_real_elements():
    sequences = [RNG.normal(size=(n, 2)) for n in (1, 4, 2)]
    layer = NetInitialize(BatchNormalizationLayer(Epsilon=0, Interleaving=True, Input=["Varying", 2]))
    together = np.concatenate(sequences)
    for made, x in zip(layer(sequences, NetEvaluationMode="Train"), sequences):
        close(made, (x - together.mean(0)) / together.std(0))


def test_frozen_batch_normalization_keeps_its_statistics():
    layer = NetInitialize(BatchNormalizationLayer(Input=2, LearningRateMultipliers=0))
    _, state = layer.function()(layer.arrays, layer.state, np.float32(RNG.normal(size=(4, 2))), None, True)
    close(state[("MovingMean",)], [0, 0])


@pytest.mark.parametrize("rate", [0.1, 0.5, 0.9])
def test_dropout(rate):
    x = np.full(20000, 3.0)
    layer = DropoutLayer(rate, Input=len(x))
    close(layer(x), x)
    made = layer(x, NetEvaluationMode="Train", RandomSeeding=1)
    kept = made != 0
    np.testing.assert_allclose(made[kept], 3 / (1 - rate), rtol=1e-5)
    assert abs(kept.mean() - (1 - rate)) < 4 * math.sqrt(rate * (1 - rate) / len(x))
    assert abs(made.mean() - 3) < 4 * 3 * math.sqrt(rate / (1 - rate) / len(x))


@pytest.mark.parametrize("method", ["Dropout", "AlphaDropout"])
def test_the_mask_of_dropout(method):
    x = np.full(1000, 3.0)
    layer = DropoutLayer(0.3, Method=method, OutputPorts=["Output", "BinaryMask"], Input=len(x))
    tested = layer(x)
    close(tested["Output"], x)
    close(tested["BinaryMask"], np.ones_like(x))
    made = layer(x, NetEvaluationMode="Train", RandomSeeding=1)
    alone = DropoutLayer(0.3, Method=method, Input=len(x))(x, NetEvaluationMode="Train", RandomSeeding=1)
    close(made["Output"], alone)
    dropped = np.unique(alone)[0]
    close(made["BinaryMask"], (alone != dropped).astype(float))
    mask = DropoutLayer(0.3, OutputPorts="BinaryMask", Input=len(x))
    assert mask.output_names == ("BinaryMask",)
    close(mask(x, NetEvaluationMode="Train", RandomSeeding=1), made["BinaryMask"])


def test_dropout_of_everything_and_of_nothing():
    close(DropoutLayer(1, Input=3)([1.0, 2.0, 3.0], NetEvaluationMode="Train"), [0, 0, 0])
    close(DropoutLayer(0, Input=3)([1.0, 2.0, 3.0], NetEvaluationMode="Train"), [1, 2, 3])
    assert np.all(np.isfinite(DropoutLayer(1, Method="AlphaDropout", Input=3)([1.0, 2.0, 3.0], NetEvaluationMode="Train")))


def test_alpha_dropout_keeps_mean_and_variance():
    x = np.random.default_rng(1).normal(size=40000)
    made = DropoutLayer(0.3, Method="AlphaDropout", Input=len(x))(x, NetEvaluationMode="Train", RandomSeeding=1)
    assert abs(made.mean()) < 0.03
    assert abs(made.var() - 1) < 0.04
    values, counts = np.unique(made, return_counts=True)
    assert abs(counts.max() / len(x) - 0.3) < 0.02
    assert values[counts.argmax()] < -1
