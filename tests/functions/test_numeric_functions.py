"""The numeric functions against NumPy, SciPy and the standard library: values, edges, types and slopes."""

from __future__ import annotations

import itertools
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import special

import netdsl
from netdsl import (
    All,
    And,
    ChessboardDistance,
    Chop,
    Clip,
    ConstantArray,
    CosineDistance,
    Det,
    ElementwiseLayer,
    Equal,
    Erf,
    EuclideanDistance,
    FoldList,
    Greater,
    GreaterEqual,
    If,
    InverseErfc,
    KroneckerDelta,
    Less,
    LessEqual,
    Log,
    ManhattanDistance,
    Map,
    Mod,
    NestList,
    NetChain,
    Or,
    Part,
    Piecewise,
    Reverse,
    Round,
    Span,
    SquaredEuclideanDistance,
    Surd,
    Table,
    ThreadingLayer,
    Threshold,
    Tr,
    Unequal,
    Which,
)
from netdsl.functions import DESCRIPTIONS, FUNCTIONS

EVERYWHERE = [-3.3, -1.7, -0.6, -0.2, 0.3, 0.7, 1.4, 2.6, 3.9]
UNIT = [-0.95, -0.6, -0.1, 0.2, 0.55, 0.9]
POSITIVE = [1e-3, 0.3, 0.8, 1.0, 1.7, 4.2, 30.0]
BEYOND = [-7.5, -2.2, -1.2, 1.1, 1.9, 12.0]
WITHIN = [0.05, 0.3, 0.7, 0.95]

ORACLES = {
    "Ramp": (lambda x: np.maximum(x, 0), EVERYWHERE),
    "LogisticSigmoid": (special.expit, [*EVERYWHERE, -80.0, 80.0]),
    "Tan": (np.tan, EVERYWHERE),
    "Tanh": (np.tanh, [*EVERYWHERE, 50.0]),
    "ArcTan": (np.arctan, [*EVERYWHERE, 1e20]),
    "ArcTanh": (np.arctanh, UNIT),
    "Sin": (np.sin, EVERYWHERE),
    "Sinh": (np.sinh, EVERYWHERE),
    "ArcSin": (np.arcsin, UNIT),
    "ArcSinh": (np.arcsinh, EVERYWHERE),
    "Cos": (np.cos, EVERYWHERE),
    "Cosh": (np.cosh, EVERYWHERE),
    "ArcCos": (np.arccos, UNIT),
    "ArcCosh": (np.arccosh, [1.1, 2.0, 7.0]),
    "Cot": (lambda x: 1 / np.tan(x), EVERYWHERE),
    "Coth": (lambda x: 1 / np.tanh(x), [*EVERYWHERE, 60.0]),
    "ArcCot": (lambda x: np.sign(x) * np.pi / 2 - np.arctan(x), [*EVERYWHERE, 100.0]),
    "ArcCoth": (lambda x: np.log((x + 1) / (x - 1)) / 2, BEYOND),
    "Csc": (lambda x: 1 / np.sin(x), EVERYWHERE),
    "Csch": (lambda x: 1 / np.sinh(x), [*EVERYWHERE, -120.0, 120.0]),
    "ArcCsc": (lambda x: np.arcsin(1 / x), BEYOND),
    "ArcCsch": (lambda x: np.arcsinh(1 / x), EVERYWHERE),
    "Sec": (lambda x: 1 / np.cos(x), EVERYWHERE),
    "Sech": (lambda x: 1 / np.cosh(x), [*EVERYWHERE, 0.0, -120.0, 120.0]),
    "ArcSec": (lambda x: np.arccos(1 / x), BEYOND),
    "ArcSech": (lambda x: np.arccosh(1 / x), WITHIN),
    "Haversine": (lambda x: np.sin(x / 2) ** 2, [*EVERYWHERE, 0.0, 1e-3]),
    "InverseHaversine": (lambda x: 2 * np.arcsin(np.sqrt(x)), WITHIN),
    "Gudermannian": (lambda x: np.arcsin(np.tanh(x)), EVERYWHERE),
    "InverseGudermannian": (lambda x: np.arcsinh(np.tan(x)), [-1.4, -0.7, -0.1, 0.4, 1.1]),
    "Log": (np.log, POSITIVE),
    "Exp": (np.exp, EVERYWHERE),
    "Sqrt": (np.sqrt, POSITIVE),
    "CubeRoot": (np.cbrt, EVERYWHERE),
    "Abs": (np.abs, EVERYWHERE),
    "Gamma": (special.gamma, [*EVERYWHERE, 1.0, 5.0, 12.0]),
    "LogGamma": (special.gammaln, [*POSITIVE, 200.0]),
    "Erf": (special.erf, EVERYWHERE),
    "InverseErf": (special.erfinv, UNIT),
    "Erfc": (special.erfc, [*EVERYWHERE, 6.0]),
    "InverseErfc": (special.erfcinv, [1e-12, 1e-4, 0.3, 0.9, 1.4, 1.99]),
    "Round": (np.round, EVERYWHERE),
    "Floor": (np.floor, EVERYWHERE),
    "Ceiling": (np.ceil, EVERYWHERE),
    "Sign": (np.sign, EVERYWHERE),
    "FractionalPart": (lambda x: np.modf(x)[0], EVERYWHERE),
    "IntegerPart": (np.trunc, EVERYWHERE),
    "Unitize": (lambda x: np.where(x == 0, 0.0, 1.0), EVERYWHERE),
    "KroneckerDelta": (lambda x: np.where(x == 0, 1.0, 0.0), EVERYWHERE),
    "Clip": (lambda x: np.clip(x, -1, 1), EVERYWHERE),
    "Threshold": (lambda x: x, EVERYWHERE),
    "Chop": (lambda x: x, EVERYWHERE),
}
TRUTHS = {"Negative": np.less, "NonNegative": np.greater_equal, "Positive": np.greater, "NonPositive": np.less_equal}
TRUTHS["PossibleZeroQ"] = np.equal


def test_every_elementwise_function_has_its_oracle_and_every_function_a_sentence():
    ones = {name for name, function in FUNCTIONS.items() if function.arity == 1}
    assert ones == {*ORACLES, *TRUTHS}
    assert set(DESCRIPTIONS) == set(FUNCTIONS) <= set(netdsl.__all__)


@pytest.mark.parametrize("name", ORACLES)
def test_values(name):
    oracle, points = ORACLES[name]
    x = np.array(points)
    made = ElementwiseLayer(FUNCTIONS[name])(x)
    assert made.dtype == np.float32
    np.testing.assert_allclose(made, oracle(np.float32(x).astype(np.float64)), rtol=2e-5, atol=1e-6)
    for dtype in (jnp.float32, jnp.bfloat16):
        assert FUNCTIONS[name](jnp.asarray(x, dtype)).dtype == dtype


@pytest.mark.parametrize("name", ORACLES)
def test_slopes(name):
    oracle, points = ORACLES[name]
    x = np.array(points)
    made = np.array([jax.grad(lambda v: FUNCTIONS[name](v) * 1.0)(jnp.float32(v)) for v in points])
    x, step = np.float32(x).astype(np.float64), 1e-6 * np.where(x == 0, 1, np.abs(x))
    expected = (oracle(x + step) - oracle(x - step)) / (2 * step)
    assert np.all(np.isfinite(made))
    np.testing.assert_allclose(made, expected, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("name", TRUTHS)
def test_truths(name):
    x = np.array([-2.0, 0.0, 3.0])
    made = FUNCTIONS[name](jnp.asarray(x))
    assert made.dtype == jnp.bool_
    assert made.tolist() == TRUTHS[name](x, 0).tolist()
    layer = ElementwiseLayer(FUNCTIONS[name])(x)
    assert layer.dtype == np.float32
    assert layer.tolist() == TRUTHS[name](x, 0).tolist()


INFINITY = float("inf")
EDGES = {
    "ArcCot": (0.0, math.pi / 2),
    "Csch": (0.0, INFINITY),
    "Coth": (0.0, INFINITY),
    "Gamma": (0.0, INFINITY),
    "InverseErf": (1.0, INFINITY),
    "InverseErfc": (0.0, INFINITY),
    "Log": (0.0, -INFINITY),
    "Sqrt": (-1.0, float("nan")),
    "ArcSin": (1.5, float("nan")),
    "CubeRoot": (-27.0, -3.0),
    "Round": (2.5, 2.0),
    "FractionalPart": (-2.25, -0.25),
    "IntegerPart": (-2.75, -2.0),
    "Floor": (-0.5, -1.0),
    "Sign": (0.0, 0.0),
    "Unitize": (0.0, 0.0),
    "KroneckerDelta": (0.0, 1.0),
    "Clip": (1.0, 1.0),
    "Threshold": (1e-11, 0.0),
    "Chop": (-1e-11, 0.0),
    "LogisticSigmoid": (-1000.0, 0.0),
    "Sech": (1000.0, 0.0),
}


@pytest.mark.parametrize("name", EDGES)
def test_edges(name):
    x, expected = EDGES[name]
    np.testing.assert_allclose(ElementwiseLayer(FUNCTIONS[name])(x), expected, rtol=1e-6)


def test_slopes_at_edges_are_finite_where_the_true_ones_are():
    slopes = {"ArcCot": (0.0, -1.0), "Sech": (0.0, 0.0), "Csch": (200.0, 0.0), "Haversine": (0.0, 0.0), "Coth": (200.0, 0.0)}
    slopes |= {"Cot": (math.pi / 2, -1.0), "Ramp": (-1.0, 0.0), "Chop": (1e-12, 0.0)}
    for name, (x, expected) in slopes.items():
        np.testing.assert_allclose(jax.grad(FUNCTIONS[name])(x), expected, atol=1e-6, err_msg=name)
    assert jax.grad(lambda x: Surd(x, 1))(0.0) == 1
    assert jax.grad(lambda x: EuclideanDistance(x, jnp.zeros(2)))(jnp.zeros(2)).tolist() == [0, 0]


def test_further_arguments():
    x = np.array([-2.6, -0.5, 0.4, 1.5, 7.0], np.float32)

    def close(a, b):
        np.testing.assert_allclose(a, b, rtol=1e-6, atol=1e-7)

    close(Erf(0.5, x), special.erf(x) - special.erf(0.5))
    close(Round(x, 0.5), np.round(x / 0.5) * 0.5)
    close(Clip(x, [0, 2]), np.clip(x, 0, 2))
    close(Clip(x, [-1, 2], [-9, 9]), [-9, -0.5, 0.4, 1.5, 9])
    close(Chop(x, 1), [-2.6, 0, 0, 1.5, 7])
    close(Threshold(x, 0.5), [-2.6, 0, 0, 1.5, 7])
    close(Threshold(x, ["Soft", 0.5]), [-2.1, 0, 0, 1, 6.5])
    with pytest.raises(TypeError, match="'Hard' and 'Soft', and not 'Firm'"):
        Threshold(x, ["Firm", 1])
    assert KroneckerDelta(np.array([1, 2, 3]), np.array([1, 3, 3])).tolist() == [1, 0, 1]
    assert jax.grad(lambda x: InverseErfc(x))(1.0) == pytest.approx(-math.sqrt(math.pi) / 2)


@pytest.mark.parametrize(("x", "n"), list(itertools.product([-7.5, -6.0, -0.25, 0.0, 0.25, 6.0, 7.5], [-4.0, -3.0, 2.5, 3.0])))
def test_mod_has_the_sign_of_the_divisor(x, n):
    expected = x - n * math.floor(x / n)
    assert float(Mod(x, n)) == pytest.approx(expected)
    assert float(Mod(x, n, 1)) == pytest.approx(x - n * math.floor((x - 1) / n))
    assert float(ThreadingLayer(Mod, InputPorts=2)([x, n])) == pytest.approx(expected)


def test_surd():
    x = np.array([-27.0, -1.0, 0.0, 8.0])
    np.testing.assert_allclose(Surd(x, 3), np.cbrt(x), rtol=1e-6)
    np.testing.assert_allclose(Surd(x, 2), [np.nan, np.nan, 0, math.sqrt(8)], rtol=1e-6)
    np.testing.assert_allclose(Surd(8.0, -3), 0.5, rtol=1e-6)
    np.testing.assert_allclose(ThreadingLayer(Surd, InputPorts=2)([[-8.0, 9.0], [3.0, 2.0]]), [-2, 3], rtol=1e-6)
    assert jax.grad(lambda x: Surd(x, 3))(-8.0) == pytest.approx(1 / 12)


def test_relations():
    a, b, c = np.array([1, 1, 2, 3]), np.array([1, 2, 2, 1]), np.array([1, 3, 1, 2])
    for function, holds in ((Equal, np.equal), (Greater, np.greater), (GreaterEqual, np.greater_equal), (Less, np.less)):
        assert function(a, b).tolist() == holds(a, b).tolist()
        assert function(a, b, c).tolist() == (holds(a, b) & holds(b, c)).tolist()
    assert LessEqual(a, b, c).tolist() == ((a <= b) & (b <= c)).tolist()
    assert Unequal(a, b, c).tolist() == [len({*each}) == 3 for each in zip(a, b, c)]
    assert And(a > 1, b > 1).tolist() == [False, False, True, False]
    assert Or(a > 1, b > 1, c > 2).tolist() == [False, True, True, True]
    assert (And().tolist(), Or().tolist(), Equal(3).tolist()) == (True, False, True)
    assert ThreadingLayer(Less, InputPorts=2)([a, b]).tolist() == [0, 1, 0, 0]


def test_choices():
    x = np.array([-2.0, -0.5, 0.5, 2.0])
    assert If(x > 0, x, 10).tolist() == [10, 10, 0.5, 2]
    assert Which(x < -1, 1, x < 0, 2, True, 3).tolist() == [1, 2, 3, 3]
    np.testing.assert_array_equal(Which(x < -1, 1, x > 1, 2), [1, np.nan, np.nan, 2])
    assert Piecewise([[x, x > 1], [7, x > 0]]).tolist() == [0, 0, 7, 2]
    assert Piecewise([[1, x > 1]], -1).tolist() == [-1, -1, -1, 1]
    with pytest.raises(TypeError, match="conditions and values in turn"):
        Which(x > 0, 1, 2)
    layer = ElementwiseLayer(lambda x: Which(x > 1, 1, And(x > 0, Less(x, 1)), x, True, Log(2.0)))
    np.testing.assert_allclose(layer(x), [math.log(2), math.log(2), 0.5, 1], rtol=1e-6)
    assert ThreadingLayer(If, InputPorts=3)([[1.0, 0.0], [3.0, 4.0], [5.0, 6.0]]).tolist() == [3, 6]


def test_functions_of_arrays():
    rng = np.random.default_rng(0)
    m, a, b = rng.normal(size=(3, 3)), rng.normal(size=4), rng.normal(size=4)
    pairs = [
        (Det(m), np.linalg.det(m)),
        (Tr(m), np.trace(m)),
        (Reverse(m), m[::-1]),
        (EuclideanDistance(a, b), np.linalg.norm(a - b)),
        (SquaredEuclideanDistance(a, b), ((a - b) ** 2).sum()),
        (ManhattanDistance(a, b), abs(a - b).sum()),
        (ChessboardDistance(a, b), abs(a - b).max()),
        (CosineDistance(a, b), 1 - a @ b / np.linalg.norm(a) / np.linalg.norm(b)),
        (ConstantArray(2.5, (2, 3)), np.full((2, 3), 2.5)),
        (Map(Reverse, m), m[:, ::-1]),
        (Part(m, 2), m[1]),
        (Part(m, -1, 1), m[-1, 0]),
        (Part(m, All, Span(2, -1)), m[:, 1:]),
        (Part(m, jnp.array([2, 1]), jnp.array([[1, -1]])), m[[1, 0]][:, [[0, -1]]]),
        (Table(lambda i: i * m[0], 3), np.arange(1, 4)[:, None] * m[0]),
        (Table(lambda i, j: 10 * i + j, 2, 3), [[11, 12, 13], [21, 22, 23]]),
        (FoldList(lambda x, y: 2 * x + y, 1, a), [1, *itertools.accumulate(a, lambda x, y: 2 * x + y, initial=1)][1:]),
        (NestList(lambda x: x / 2 + 1, 5, 3), [5, 3.5, 2.75, 2.375]),
    ]
    for made, expected in pairs:
        np.testing.assert_allclose(made, expected, rtol=1e-5)


@pytest.mark.parametrize("name", ["ArcTan", "Clip", "Erf", "Threshold", "Round"])
def test_a_bare_symbol_in_a_chain_acts_on_each_element(name):
    net = NetChain([FUNCTIONS[name]], Input=3)
    assert net[1] == ElementwiseLayer(FUNCTIONS[name], Input=3, Output=3)


def test_a_function_can_be_compiled_by_itself():
    assert jax.jit(FUNCTIONS["Plus"])(1.0, 2.0) == 3


def test_positions_that_are_not_there():
    x = jnp.arange(3.0)
    for wrong in (0, 4, -4, [1, 4]):
        with pytest.raises(IndexError, match="there is no position"):
            Part(x, wrong)
    made = jax.jit(Part)(x, jnp.array([0, 1, 4, -3, -4]))
    np.testing.assert_array_equal(made, [np.nan, 0, np.nan, 0, np.nan])
