"""ThreadingLayer with a setting for each input and over sequences, ParametricRampLayer and the legacy layers, against NumPy."""

from __future__ import annotations

import numpy as np
import pytest

from netdsl import (
    All,
    Automatic,
    ConstantPlusLayer,
    ConstantTimesLayer,
    NetChain,
    NetGraph,
    NetInitialize,
    NetPort,
    ParametricRampLayer,
    Plus,
    Span,
    ThreadingLayer,
    Times,
)
from netdsl.errors import DeclarationError, EncodingError, ShapeError

RNG = np.random.default_rng(0)


def close(a, b):
    assert np.shape(a) == np.shape(b)
    np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)


THREADED = [
    ([None, 1, -1], [(2, 3), (3,), (2,)], [(2, 3), (1, 3), (2, 1)]),
    ([Automatic, 1], [(2, 1, 4), (3, 4)], [(2, 1, 4), (1, 3, 4)]),
    ([1, -1], [(3,), (2, 3)], [(1, 3), (2, 3)]),
    ([2, None], [(2, 3), (2, 4, 3)], [(2, 1, 3), (2, 4, 3)]),
    ([-2, Automatic], [(2, 3), (2, 4, 3)], [(2, 1, 3), (2, 4, 3)]),
    ([None, None], [(2, 3), (2, 3)], [(2, 3), (2, 3)]),
]


@pytest.mark.parametrize(("settings", "shapes", "aligned"), THREADED, ids=str)
def test_a_setting_for_each_input(settings, shapes, aligned):
    arrays = [RNG.normal(size=shape) for shape in shapes]
    expected = 0
    for each, shape in zip(arrays, aligned):
        expected = 2 * expected + each.reshape(shape)
    layer = ThreadingLayer(
        lambda a, b, *c: 2 * (2 * a + b) + c[0] if c else 2 * a + b,
        settings,
        InputPorts=len(shapes),
        **{f"Input{i}": list(shape) for i, shape in enumerate(shapes, 1)},
    )
    assert layer.port_type("Output").sizes == expected.shape
    close(layer(arrays), expected)


def test_an_input_without_broadcasting_has_the_sizes_of_the_output():
    layer = ThreadingLayer(Plus, [None, 1], InputPorts=2, Input2=3, Output=[2, 3])
    assert layer.port_type("Input1").sizes == (2, 3)
    assert ThreadingLayer(Plus, [None, Automatic], InputPorts=2, Output=[2, 3]).port_type("Input2").rank == 2
    assert ThreadingLayer(Plus, [None, 1], InputPorts=2, Input1=[2, 3]).port_type("Output").sizes == (2, 3)
    close(ThreadingLayer(Plus, [None, -1])([np.ones((2, 3)), np.array([1.0, 2.0])]), [[2, 2, 2], [3, 3, 3]])


def test_threading_over_sequences():
    sequences = [RNG.normal(size=(n, 2)) for n in (1, 4, 3)]
    scale, steps = RNG.normal(size=(3, 2)), [RNG.normal(size=n) for n in (1, 4, 3)]
    wide = ThreadingLayer(Times, 1, InputPorts=2, Input1=["Varying", 2], Input2=2)
    for made, x, s in zip(wide({"Input1": sequences, "Input2": scale}), sequences, scale, strict=True):
        close(made, x * s)
    deep = ThreadingLayer(Times, -1, InputPorts=2, Input1="Varying", Input2=["Varying", 2])
    for made, t, x in zip(deep({"Input1": steps, "Input2": sequences}), steps, sequences, strict=True):
        close(made, t[:, None] * x)
    with pytest.raises(EncodingError, match="sequences of equal length"):
        deep({"Input1": steps[:1], "Input2": sequences[1:2]})


RAMPS = [
    (1, (3, 4, 2), (3, 1, 1)),
    (-1, (3, 4, 2), (1, 1, 2)),
    (Span(1, 2), (3, 4, 2), (3, 4, 1)),
    ([1, 3], (3, 4, 2), (3, 1, 2)),
    ([3, 1], (3, 4, 2), (3, 1, 2)),
    ([], (3, 4), (1, 1)),
    (All, (3, 4), (3, 4)),
    ([], (), ()),
]


@pytest.mark.parametrize(("levels", "shape", "stretched"), RAMPS, ids=str)
def test_parametric_ramp(levels, shape, stretched):
    x, axes = RNG.normal(size=shape), [place for place, size in enumerate(stretched) if size > 1]
    slope = RNG.normal(size=[shape[axis] for axis in axes])
    layer = ParametricRampLayer(levels, Input=list(shape) or "Real")
    assert layer.solved.arrays[("Slope",)].sizes == slope.shape
    close(layer.with_arrays({("Slope",): np.float32(slope)})(x), np.where(x > 0, x, slope.reshape(stretched) * x))
    close(NetInitialize(layer)(x), np.where(x > 0, x, 0.1 * x))


def test_a_fixed_slope():
    x = RNG.normal(size=4)
    close(NetChain([ParametricRampLayer([], Slope=0.25, LearningRateMultipliers=0)], Input=4)(x), np.where(x > 0, x, x / 4))
    assert ParametricRampLayer(Slope=[0.1, 0.2], Input=[None, 3]).port_type("Output").sizes == (2, 3)
    sequences = [RNG.normal(size=(n, 2)) for n in (1, 3)]
    made = ParametricRampLayer(2, Input=["Varying", 2], Slope=[0.5, 2.0])(sequences)
    for one, s in zip(made, sequences, strict=True):
        close(one, np.where(s > 0, s, s * [0.5, 2]))


def test_legacy():
    x, b = RNG.normal(size=(2, 3)), RNG.normal(size=(2, 3))
    close(ConstantPlusLayer(Biases=b)(x), x + b)
    close(ConstantTimesLayer(Scaling=b)(x), x * b)
    close(NetInitialize(NetChain([ConstantPlusLayer(), ConstantTimesLayer()], Input=[2, 3]))(x), x)
    assert ConstantPlusLayer(Output=[2, 3]).solved.arrays[("Biases",)].sizes == (2, 3)
    assert ConstantTimesLayer(Scaling=b).port_type("Input").sizes == (2, 3)


WRONG = {
    "whole": (lambda: ThreadingLayer(Plus, [None, 1], InputPorts=2, Input1=3, Input2=[2, 3]), "ranks differ|equal rank"),
    "stretched": (lambda: ThreadingLayer(Plus, [None, Automatic], InputPorts=2, Input1=[2, 1], Input2=[2, 3]), "1 and 3|size"),
    "ranks": (
        lambda: ThreadingLayer(Plus, [1, Automatic], InputPorts=2, Input1=[2, 3], Input2=3),
        r"needs inputs of equal rank \(2 and 1\)",
    ),
    "inside": (lambda: ThreadingLayer(Plus, 1, InputPorts=2, Input1=[4, 1], Input2="Varying"), "only level 1 of a port can vary"),
    "slope": (lambda: ParametricRampLayer(3, Input=[2, 2]), "has a slope for level 3, which an array of rank 2 does not have"),
    "varying slope": (lambda: ParametricRampLayer(Input=["Varying", 2]), "which cannot be of varying number"),
    "slopes": (lambda: ParametricRampLayer(Slope=[1.0, 2.0], Input=[3, 2]), "needs equal sizes where 3 and 2 meet"),
    "biases": (lambda: ConstantPlusLayer(Biases=[1.0, 2.0], Input=3), r"a vector of size 2  \(from its Biases"),
    "sequence": (lambda: ConstantTimesLayer(Input=["Varying", 2]), "does not take sequences of varying length"),
}


@pytest.mark.parametrize("name", WRONG)
def test_contradictions(name):
    make, text = WRONG[name]
    with pytest.raises(ShapeError, match=text):
        _ = make().solved


def test_as_many_settings_as_inputs():
    with pytest.raises(DeclarationError, match=r"needs a setting for each of its 3 inputs\. Got 2"):
        ThreadingLayer(Plus, [None, 1], InputPorts=3)
    with pytest.raises(DeclarationError, match=r"needs a setting for each of its 3 inputs\. Got 2"):
        ThreadingLayer(Plus, [None, 1])([1.0, 2.0, 3.0])
    with pytest.raises(ShapeError, match="needs a Broadcasting setting for each of its 3 inputs, and has 2"):
        _ = NetGraph([ThreadingLayer(Plus, [None, 1])], [([NetPort("a"), NetPort("b"), NetPort("c")], 1)]).solved
