"""Layers of the basic families against their formulas in NumPy."""

from __future__ import annotations

import math

import numpy as np
import pytest

from netdsl import (
    All,
    Automatic,
    CatenateLayer,
    CrossEntropyLossLayer,
    ElementwiseLayer,
    EmbeddingLayer,
    FlattenLayer,
    FunctionLayer,
    Infinity,
    Inherited,
    LinearLayer,
    Max,
    MeanAbsoluteLossLayer,
    MeanSquaredLossLayer,
    NetChain,
    NetMapOperator,
    Plus,
    Power,
    ReshapeLayer,
    SoftmaxLayer,
    Subtract,
    ThreadingLayer,
    TotalLayer,
)
from netdsl.errors import ShapeError

RNG = np.random.default_rng(0)


def close(a, b):
    assert np.shape(a) == np.shape(b)
    np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(("inputs", "outputs"), [((4,), 3), ((2, 3), (2, 2)), ((), 3), ((3,), ()), ((2, 1, 2), (5,))])
def test_linear(inputs, outputs):
    sizes = outputs if isinstance(outputs, tuple) else (outputs,)
    weights, biases = RNG.normal(size=(math.prod(sizes), math.prod(inputs))), RNG.normal(size=math.prod(sizes))
    x = RNG.normal(size=inputs)
    size = list(outputs) if isinstance(outputs, tuple) else outputs
    layer = LinearLayer(size, Weights=weights, Biases=biases, Input=list(inputs) or "Real")
    close(layer(x), (weights @ x.reshape(-1) + biases).reshape(sizes))
    assert layer.port_type("Output").sizes == sizes


def test_a_linear_layer_without_size_takes_it_from_elsewhere():
    assert LinearLayer(Input=3, Output=[2, 2]).solved.arrays[("Weights",)].sizes == (4, 3)
    close(LinearLayer(Weights=[[1, 2], [3, 4], [5, 6]], Biases=None)([1, 1]), [3, 7, 11])
    weights = RNG.normal(size=(4, 3))
    close(LinearLayer(Weights=weights, Biases=None, Output=[2, 2])([1, 2, 3]), (weights @ [1, 2, 3]).reshape(2, 2))


def test_embedding():
    weights = RNG.normal(size=(4, 3))
    x = np.array([[1, 4], [2, 2]])
    close(EmbeddingLayer(3, Weights=weights, Input=[2, 2, "Integer"])(x), weights[x - 1])
    close(EmbeddingLayer(3, Weights=weights, Input="Integer")(3), weights[2])


ACTIVATIONS = {
    "ReLU": lambda x: np.maximum(x, 0),
    "RectifiedLinearUnit": lambda x: np.maximum(x, 0),
    "ELU": lambda x: np.where(x >= 0, x, np.exp(x) - 1),
    "SELU": lambda x: np.where(x >= 0, 1.0507 * x, 1.758099340847161 * (np.exp(x) - 1)),
    "GELU": lambda x: 0.5 * x * (1 + np.vectorize(math.erf)(x / np.sqrt(2))),
    "Swish": lambda x: x / (1 + np.exp(-x)),
    "HardSwish": lambda x: x * np.minimum(np.maximum(x + 3, 0), 6) / 6,
    "Mish": lambda x: x * np.tanh(np.log(1 + np.exp(x))),
    "SoftSign": lambda x: x / (1 + abs(x)),
    "SoftPlus": lambda x: np.log(np.exp(x) + 1),
    "HardTanh": lambda x: np.clip(x, -1, 1),
    "HardSigmoid": lambda x: np.clip((x + 1) / 2, 0, 1),
    "Sigmoid": lambda x: 1 / (1 + np.exp(-x)),
}


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_activations(name):
    x = np.linspace(-4, 4, 17)
    np.testing.assert_allclose(ElementwiseLayer(name)(x), ACTIVATIONS[name](x), rtol=1e-4, atol=1e-5)


def test_elementwise_gives_reals_of_the_same_size():
    made = ElementwiseLayer(lambda x: x > 0, Input=[2, 2])([[1.0, -1.0], [0.0, 2.0]])
    assert made.dtype == np.float32
    close(made, [[1, 0], [0, 1]])
    close(ElementwiseLayer(lambda x: 7, Input=3)([1.0, 2.0, 3.0]), [7, 7, 7])


THREADED = [
    (Automatic, [(2, 3), (2, 1)], [(2, 3), (2, 1)]),
    (Automatic, [(1, 3), (2, 1)], [(1, 3), (2, 1)]),
    (None, [(2, 3), (2, 3)], [(2, 3), (2, 3)]),
    (1, [(2, 3), (3,)], [(2, 3), (1, 3)]),
    (-1, [(2, 3), (2,)], [(2, 3), (2, 1)]),
    (2, [(2, 4, 3), (2, 3)], [(2, 4, 3), (2, 1, 3)]),
    (-2, [(2, 4, 3), (2, 3)], [(2, 4, 3), (2, 1, 3)]),
    (1, [(2, 3), ()], [(2, 3), (1, 1)]),
]


@pytest.mark.parametrize(("setting", "shapes", "aligned"), THREADED)
def test_threading(setting, shapes, aligned):
    a, b = (RNG.normal(size=shape) for shape in shapes)
    layer = ThreadingLayer(Subtract, setting, InputPorts=2, Input1=list(shapes[0]), Input2=list(shapes[1]) or "Real")
    expected = a.reshape(aligned[0]) - b.reshape(aligned[1])
    assert layer.port_type("Output").sizes == expected.shape
    close(layer([a, b]), expected)


def test_threading_over_many_and_by_name():
    a, b, c = RNG.uniform(1, 2, size=(3, 4))
    close(ThreadingLayer(Plus)([a, b, c]), a + b + c)
    close(ThreadingLayer(Max)([a, b, c]), np.maximum(np.maximum(a, b), c))
    close(ThreadingLayer(Max, InputPorts=1)(a), a)  # the greatest of one number
    close(ElementwiseLayer(Max)(a), a)
    close(ThreadingLayer(Power)({"Input1": a, "Input2": b}), a**b)
    close(ThreadingLayer(lambda x, y, z: x * y - z, InputPorts=["x", "y", "z"])({"z": c, "x": a, "y": b}), a * b - c)


@pytest.mark.parametrize(
    ("setting", "shapes"), [(Automatic, [(2, 3), (3,)]), (None, [(2, 3), (2, 1)]), (Automatic, [(2, 3), (2, 2)])]
)
def test_threading_refuses(setting, shapes):
    with pytest.raises(ShapeError):
        ThreadingLayer(Plus, setting, InputPorts=2, Input1=list(shapes[0]), Input2=list(shapes[1]))


FLATTENED = [
    (Infinity, (2, 3, 2), (12,)),
    (1, (2, 3, 2), (6, 2)),
    (-1, (2, 3, 2), (2, 6)),
    (2, (2, 3, 2), (12,)),
    (0, (2, 3), (2, 3)),
    (Infinity, (), (1,)),
]


@pytest.mark.parametrize(("level", "shape", "result"), FLATTENED)
def test_flatten(level, shape, result):
    x = RNG.normal(size=shape)
    layer = FlattenLayer(level, Input=list(shape) or "Real")
    assert layer.port_type("Output").sizes == result
    close(layer(x), np.reshape(x, result))


RESHAPED = [
    ([3, Automatic], (2, 6), (3, 4)),
    ([Inherited, 2, 3], (2, 6), (2, 2, 3)),
    ([4, All], (4, 3, 2), (4, 3, 2)),
    ([], (1,), ()),
    ([Inherited, Automatic], (2, 3, 2), (2, 6)),
    ([12], (3, 4), (12,)),
]


@pytest.mark.parametrize(("dimensions", "shape", "result"), RESHAPED)
def test_reshape(dimensions, shape, result):
    x = RNG.normal(size=shape)
    layer = ReshapeLayer(dimensions, Input=list(shape))
    assert layer.port_type("Output").sizes == result
    close(layer(x), np.reshape(x, result))


def test_catenate_and_total():
    a, b, c = RNG.normal(size=(2, 3)), RNG.normal(size=(2, 1)), RNG.normal(size=(2, 3))
    close(CatenateLayer(2)([a, b]), np.concatenate([a, b], axis=1))
    close(CatenateLayer()([a, c]), np.concatenate([a, c]))
    close(TotalLayer()([a, c, a]), 2 * a + c)
    assert CatenateLayer(InputPorts=2, Input1=[2, 3], Output=[5, 3]).port_type("Input2").sizes == (3, 3)


@pytest.mark.parametrize("level", [1, 2, -1, -3])
def test_softmax(level):
    x = RNG.normal(size=(2, 3, 4)) * 20
    axis = level - 1 if level > 0 else level
    expected = np.exp(x - x.max(axis=axis, keepdims=True))
    np.testing.assert_allclose(SoftmaxLayer(level)(x), expected / expected.sum(axis=axis, keepdims=True), rtol=1e-4, atol=1e-7)


def test_losses():
    p = RNG.dirichlet(np.ones(3), size=4)
    t, classes, x = RNG.dirichlet(np.ones(3), size=4), np.array([1, 3, 2, 2]), RNG.normal(size=(4, 3))
    close(
        CrossEntropyLossLayer("Index", Input=[4, 3])({"Input": p, "Target": classes}),
        -np.log(p[np.arange(4), classes - 1]).mean(),
    )
    close(CrossEntropyLossLayer("Index")({"Input": p[0], "Target": 2}), -np.log(p[0, 1]))
    close(CrossEntropyLossLayer("Probabilities", Input=[4, 3])({"Input": p, "Target": t}), -(t * np.log(p)).sum(-1).mean())
    binary = -(t * np.log(p) + (1 - t) * np.log(1 - p))
    close(CrossEntropyLossLayer("Binary", Input=[4, 3])({"Input": p, "Target": t}), binary.mean())
    close(CrossEntropyLossLayer("Binary", Input="Real")({"Input": 0.25, "Target": 1}), -np.log(0.25))
    close(MeanSquaredLossLayer(Input=[4, 3])({"Input": x, "Target": t}), ((x - t) ** 2).mean())
    close(MeanAbsoluteLossLayer(Input=[4, 3])({"Input": x, "Target": t}), abs(x - t).mean())


def test_losses_of_sequences_average_over_their_elements():
    sequences = [RNG.normal(size=(n, 2)) for n in (1, 4, 3)]
    targets = [RNG.normal(size=(n, 2)) for n in (1, 4, 3)]
    loss = MeanSquaredLossLayer(Input=["Varying", 2])
    close(loss({"Input": sequences, "Target": targets}), [((a - b) ** 2).mean() for a, b in zip(sequences, targets)])


def test_function_layers():
    m = RNG.normal(size=(3, 3))
    close(FunctionLayer(lambda x: x @ x.T, Input=[3, 3])(m), m @ m.T)
    close(FunctionLayer(lambda a, b: a[0] + b)({"a": m, "b": 2.0}), m[0] + 2)
    both = FunctionLayer(lambda x: {"Low": x.min(), "High": x.max()}, OutputPorts=["Low", "High"], Input=[3, 3])(m)
    close([both["Low"], both["High"]], [m.min(), m.max()])


def test_a_declared_output_shapes_a_linear_layer_without_size():
    weights = RNG.normal(size=(4, 3))
    x = np.ones(3)
    as_matrix = NetChain([LinearLayer(Weights=weights, Biases=None), SoftmaxLayer()], Input=3, Output=[2, 2])
    as_vector = NetChain([LinearLayer(Weights=weights, Biases=None), SoftmaxLayer()], Input=3, Output=4)
    assert as_vector(x).shape == (4,)
    assert as_matrix(x).shape == (2, 2)
    close(as_matrix(x).sum(-1), [1, 1])
    mapped = NetMapOperator(LinearLayer(Weights=weights, Biases=None), Input=[2, 3], Output=[2, 2, 2])
    close(mapped(np.ones((2, 3)))[1], (weights @ x).reshape(2, 2))
