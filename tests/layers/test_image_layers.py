"""SpatialTransformationLayer against its sum in NumPy and against PyTorch; ImageAugmentationLayer against slices."""

from __future__ import annotations

import numpy as np
import pytest

from netdsl import ImageAugmentationLayer, SpatialTransformationLayer
from netdsl.errors import ShapeError

RNG = np.random.default_rng(0)


def transformed(x, parameters, sizes):
    """One element of the output after the other."""
    zh, sh, th, sv, zv, tv = parameters
    channels, height, width = x.shape
    y = np.zeros((channels, *sizes))
    for i, j in np.ndindex(*sizes):
        v, h = (2 * k / (n - 1) - 1 if n > 1 else 0 for k, n in zip((i, j), sizes))
        column = (zh * h + sh * v + th + 1) / 2 * (width - 1)
        row = (sv * h + zv * v + tv + 1) / 2 * (height - 1)
        for r in range(height):
            for c in range(width):
                y[:, i, j] += max(0, 1 - abs(row - r)) * max(0, 1 - abs(column - c)) * x[:, r, c]
    return y


CASES = {
    "nothing": ([1, 0, 0, 0, 1, 0], (4, 5)),
    "zoom": ([0.5, 0, 0, 0, 2, 0], (3, 3)),
    "skew": ([1, 0.3, 0, -0.4, 1, 0], (4, 2)),
    "translation": ([1, 0, 0.25, 0, 1, -0.5], (5, 6)),
    "all": ([0.7, -0.2, 0.1, 0.3, 1.2, -0.3], (3, 4)),
    "outside": ([1, 0, 3, 0, 1, 0], (2, 2)),
    "one row": ([1, 0.5, 0, 0, 1, 0.1], (1, 4)),
}


@pytest.mark.parametrize("case", CASES)
def test_spatial_transformation(case):
    parameters, sizes = CASES[case]
    x = RNG.normal(size=(2, 4, 5))
    y = SpatialTransformationLayer(list(sizes))({"Input": x, "Parameters": parameters})
    np.testing.assert_allclose(y, transformed(x, parameters, sizes), rtol=1e-4, atol=1e-5)
    if case == "nothing":
        np.testing.assert_allclose(y, x, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("case", CASES)
def test_pytorch_computes_the_same(case):
    torch = pytest.importorskip("torch")
    parameters, sizes = CASES[case]
    x = RNG.normal(size=(2, 4, 5))
    theta = torch.tensor(parameters, dtype=torch.float64).reshape(1, 2, 3)
    grid = torch.nn.functional.affine_grid(theta, [1, 2, *sizes], align_corners=True)
    expected = torch.nn.functional.grid_sample(torch.from_numpy(x)[None], grid, align_corners=True)[0]
    y = SpatialTransformationLayer(list(sizes))({"Input": x, "Parameters": parameters})
    np.testing.assert_allclose(y, expected.numpy(), rtol=1e-4, atol=1e-5)


def test_a_transformation_needs_six_parameters():
    with pytest.raises(ShapeError, match="a vector of size 6"):
        SpatialTransformationLayer([2, 2], Parameters=4)


@pytest.mark.parametrize(
    ("shape", "sizes", "start"), [((2, 5, 6), (3, 2), (1, 2)), ((1, 4, 4), (4, 1), (0, 1)), ((1, 2, 2), (2, 2), (0, 0))]
)
def test_the_middle_is_cut_out_unless_training(shape, sizes, start):
    x = RNG.normal(size=shape).astype(np.float32)
    (top, left), (height, width) = start, sizes
    y = ImageAugmentationLayer(list(sizes))(x)
    assert np.array_equal(y, x[:, top : top + height, left : left + width])


def drawn(probabilities, count=400):
    """Where each cut begins, and whether it is reflected vertically and horizontally."""
    x = np.arange(20.0).reshape(1, 4, 5)
    layer = ImageAugmentationLayer([2, 3], ReflectionProbabilities=probabilities)
    made = layer(np.repeat(x[None], count, axis=0), NetEvaluationMode="Train", RandomSeeding=1)
    found = []
    for y in made[:, 0]:
        down, right = y[1, 0] - y[0, 0], y[0, 1] - y[0, 0]
        assert abs(down) == 5
        assert abs(right) == 1
        y = y[:: int(down / 5), :: int(right)]
        top, left = divmod(int(y[0, 0]), 5)
        assert np.array_equal(y, x[0, top : top + 2, left : left + 3])
        found.append((top, left, down < 0, right < 0))
    return np.array(found)


def test_places_and_reflections_are_drawn_while_training():
    found = drawn([0.25, 0.75])
    places, counts = np.unique(found[:, :2], axis=0, return_counts=True)
    assert places.tolist() == [[top, left] for top in range(3) for left in range(3)]
    assert counts.min() > 20
    assert abs(found[:, 2].mean() - 0.25) < 0.1
    assert abs(found[:, 3].mean() - 0.75) < 0.1
    assert abs(np.corrcoef(found[:, 2], found[:, 3])[0, 1]) < 0.2


def test_nothing_is_reflected_unless_asked_for():
    assert not drawn([0, 0])[:, 2:].any()
    assert drawn([1, 0])[:, 2:].all(axis=0).tolist() == [True, False]


def test_a_cut_larger_than_the_picture():
    with pytest.raises(ShapeError, match="cuts 5 elements out of a level, where there are 4"):
        ImageAugmentationLayer([2, 5], Input=[1, 3, 4])
