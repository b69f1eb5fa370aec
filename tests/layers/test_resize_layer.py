"""ResizeLayer against interpolation written out in NumPy, and against PyTorch."""

from __future__ import annotations

import numpy as np
import pytest

from netdsl import All, ResizeLayer, Scaled
from netdsl.errors import DeclarationError, ShapeError


def along(x, size, scheme, axis):
    """One level resized, element by element."""
    x = np.moveaxis(x, axis, 0)
    n, y = len(x), []
    for p in range(size):
        q = (p * (n - 1) / (size - 1) if size > 1 else 0) if scheme == "Point" else (p + 0.5) * n / size - 0.5
        q = min(max(q, 0), n - 1)
        low = min(int(q), max(n - 2, 0))
        y.append(x[low] if n == 1 else x[low] * (1 - (q - low)) + x[low + 1] * (q - low))
    return np.moveaxis(np.stack(y), 0, axis)


CASES = [((2, 5), [8]), ((2, 5), [1]), ((1, 4, 3), [2, 7]), ((1, 1, 3), [4, 3]), ((2, 3, 2, 4), [5, 1, 2])]


@pytest.mark.parametrize("interleaving", [False, True])
@pytest.mark.parametrize("scheme", ["Point", "Bin"])
@pytest.mark.parametrize(("shape", "sizes"), CASES, ids=str)
def test_linear(shape, sizes, scheme, interleaving):
    x = np.random.default_rng(1).normal(size=shape)
    expected = x
    for axis, size in enumerate(sizes, 1):
        expected = along(expected, size, scheme, axis)
    given = np.moveaxis(x, 0, -1) if interleaving else x
    y = ResizeLayer(sizes, Scheme=scheme, Interleaving=interleaving)(given)
    np.testing.assert_allclose(np.moveaxis(y, -1, 0) if interleaving else y, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("scheme", ["Point", "Bin"])
@pytest.mark.parametrize(("shape", "sizes"), CASES, ids=str)
def test_pytorch_computes_the_same(shape, sizes, scheme):
    torch = pytest.importorskip("torch")
    x = np.random.default_rng(1).normal(size=shape)
    mode = ("linear", "bilinear", "trilinear")[len(sizes) - 1]
    expected = torch.nn.functional.interpolate(
        torch.from_numpy(x)[None], tuple(sizes), mode=mode, align_corners=scheme == "Point"
    )[0]
    np.testing.assert_allclose(ResizeLayer(sizes, Scheme=scheme)(x), expected.numpy(), rtol=1e-4, atol=1e-5)


def test_point_is_the_scheme_for_linear_and_bin_for_nearest():
    x = [[0.0, 1.0]]
    assert ResizeLayer([3])(x).tolist() == [[0.0, 0.5, 1.0]]
    assert ResizeLayer([4], Scheme="Bin")(x).tolist() == [[0.0, 0.25, 0.75, 1.0]]
    assert ResizeLayer([Scaled(2)], Resampling="Nearest")(x).tolist() == [[0.0, 0.0, 1.0, 1.0]]


@pytest.mark.parametrize("factors", [(1, 2), (3, 1), (2, 3)])
def test_nearest_repeats_cells(factors):
    x = np.random.default_rng(1).normal(size=(2, 3, 4)).astype(np.float32)
    y = ResizeLayer([Scaled(factors[0]), Scaled(float(factors[1]))], Resampling="Nearest")(x)
    assert np.array_equal(y, x.repeat(factors[0], 1).repeat(factors[1], 2))


def test_nearest_at_points_and_of_classes():
    x = np.array([[1, 2, 3]])
    layer = ResizeLayer([Scaled(3)], Resampling="Nearest", Scheme="Point", Input=[1, 3, "Integer"])
    assert layer.port_type("Output").integer
    at = np.floor(np.linspace(0, 2, 9) + 0.5).astype(int)
    assert np.array_equal(layer(x), x[:, at])


def test_sizes():
    layer = ResizeLayer([Scaled(1.5), All, 4])
    assert layer.changed(Ports={"Input": [2, 3, 5, 7]}).port_type("Output").sizes == (2, 4, 5, 4)
    assert layer.changed(Ports={"Output": [2, 4, 5, 4]}).port_type("Input").sizes == (2, 3, 5, None)
    assert ResizeLayer([Scaled(0.29)], Input=[1, 100]).port_type("Output").sizes == (1, 29)
    assert ResizeLayer([Scaled(0.1)], Input=[1, 4]).port_type("Output").sizes == (1, 1)
    assert ResizeLayer([Scaled(0.5)], Output=[1, 4]).port_type("Input").sizes == (1, None), "8 or 9"


def test_what_cannot_be():
    with pytest.raises(ShapeError, match=r"cannot give size 5: no size times 1\.5 is that"):
        ResizeLayer([Scaled(1.5)], Output=[1, 5])
    with pytest.raises(ShapeError, match=r"takes  an array of size \?x\?x\?"):
        ResizeLayer([2, 2], Input=[2, 3])
    with pytest.raises(ShapeError, match="does not take sequences of varying length"):
        ResizeLayer([2], Interleaving=True, Input=["Varying", 3])
    with pytest.raises(DeclarationError, match=r'Resampling="Nearest" takes Scaled\(n\) with an integer n, or All'):
        ResizeLayer([4], Resampling="Nearest")
    with pytest.raises(DeclarationError, match=r"ResizeLayer resizes 1 to 3 levels\. Got 4"):
        ResizeLayer([1, 2, 3, 4])
