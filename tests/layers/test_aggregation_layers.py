"""Layers that aggregate, contract, order and pick, against NumPy."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import netdsl
from netdsl import (
    AggregationLayer,
    All,
    DotLayer,
    EmbeddingLayer,
    ExtractLayer,
    InterquartileRange,
    Mean,
    Median,
    NetChain,
    NetInitialize,
    OrderingLayer,
    Restricted,
    Span,
    StandardDeviation,
    SummationLayer,
    UnitVectorLayer,
    Variance,
)
from netdsl.errors import DeclarationError, EncodingError, ShapeError
from netdsl.nets import Sequence

RNG = np.random.default_rng(0)


def close(a, b):
    assert np.shape(a) == np.shape(b)
    np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)


def _mean_deviation(x, axis):
    return abs(x - x.mean(axis=axis, keepdims=True)).mean(axis=axis)


def _interquartile_range(x, axis):
    low, high = np.quantile(x, [0.25, 0.75], axis=axis, method="hazen")
    return high - low


FUNCTIONS = {
    "Mean": np.mean,
    "Min": np.min,
    "Max": np.max,
    "Total": np.sum,
    "Times": np.prod,
    "Median": np.median,
    "Variance": lambda x, axis: np.var(x, axis=axis, ddof=1),
    "StandardDeviation": lambda x, axis: np.std(x, axis=axis, ddof=1),
    "MeanDeviation": _mean_deviation,
    "InterquartileRange": _interquartile_range,
}

LEVELS = [
    (Span(2, All), (1, 2)),
    (1, (0,)),
    (-1, (2,)),
    (Span(1, 2), (0, 1)),
    (Span(-2, -1), (1, 2)),
    ([1, 3], (0, 2)),
    ([-1, 1], (0, 2)),
    (All, (0, 1, 2)),
]


@pytest.mark.parametrize(("levels", "axes"), LEVELS, ids=str)
@pytest.mark.parametrize("name", FUNCTIONS)
def test_aggregation(name, levels, axes):
    x = RNG.normal(size=(3, 4, 5))
    layer = AggregationLayer(name, levels, Input=[3, 4, 5])
    expected = FUNCTIONS[name](x, axis=axes)
    assert layer.port_type("Output").sizes == expected.shape
    close(layer(x), expected)


@pytest.mark.parametrize("name", FUNCTIONS)
@pytest.mark.parametrize("axes", [(0,), (0, 2)], ids=str)
def test_aggregation_over_the_true_length(name, axes):
    sequences = [RNG.normal(size=(n, 2, 3)) for n in (2, 7, 3, 4)]
    layer = AggregationLayer(name, [axis + 1 for axis in axes], Input=["Varying", 2, 3])
    for made, x in zip(layer(sequences), sequences, strict=True):
        close(made, FUNCTIONS[name](x, axis=axes))
    beside = AggregationLayer(name, -1, Input=["Varying", 2, 3])
    assert beside.port_type("Output").varying
    for made, x in zip(beside(sequences), sequences, strict=True):
        close(made, FUNCTIONS[name](x, axis=2))


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_sequence_of_one(name):
    value = 0 if name in ("Variance", "StandardDeviation", "MeanDeviation", "InterquartileRange") else 2.5
    layer = AggregationLayer(name, 1, Input="Varying")
    close(layer([[2.5], [2.5]]), [value, value])
    function = layer.function()
    given = Sequence(jnp.full((1, 3), 2.5), jnp.array([1]))
    slope = jax.grad(lambda data: function({}, {}, given.with_data(data))[0].sum())(given.data)
    assert np.all(np.isfinite(slope))


@pytest.mark.parametrize("size", range(1, 9))
def test_quartiles_of_few_elements(size):
    x = RNG.normal(size=(size, 2))
    close(InterquartileRange(x), _interquartile_range(x, 0))
    close(Median(x), np.median(x, axis=0))
    if size > 1:
        close(Variance(x), np.var(x, axis=0, ddof=1))
        close(StandardDeviation(x), np.std(x, axis=0, ddof=1))


def test_deviations_of_equal_numbers_have_a_finite_slope():
    function = AggregationLayer("StandardDeviation", 1, Input=3).function()
    assert not np.any(jax.grad(lambda x: function({}, {}, x)[0].sum())(jnp.ones((2, 3))))


def test_the_function_of_an_aggregation_is_its_symbol():
    assert AggregationLayer("Mean") == AggregationLayer(Mean)
    assert repr(AggregationLayer("Mean")) == "AggregationLayer(Mean)"
    assert repr(AggregationLayer("Max", [1, 2])) == "AggregationLayer(Max, [1, 2])"
    close(AggregationLayer(Mean, 1, Input=[2, "Integer"])([1, 2]), 1.5)


def test_an_aggregation_knows_its_ranks():
    assert AggregationLayer(Mean).port_type("Output").rank == 1
    assert AggregationLayer(Mean, All).port_type("Output").sizes == ()
    assert AggregationLayer(Mean, 2, Output=[3, 4]).port_type("Input").sizes == (3, None, 4)
    assert AggregationLayer(Mean, Span(1, 2), Output=4).port_type("Input").sizes == (None, None, 4)
    assert AggregationLayer(Mean, 2, Input=[None, 2], Output=[3]).port_type("Input").sizes == (3, 2)


WRONG = {
    "level": (lambda: AggregationLayer(Mean, 3, Input=[2, 2]), "aggregates level 3, which an array of rank 2 does not have"),
    "vector": (lambda: AggregationLayer(Mean, Input=3), "aggregates level 2, which an array of rank 1 does not have"),
    "span": (
        lambda: AggregationLayer(Mean, Span(2, 1), Input=[2, 3]),
        r"aggregates the levels Span\(2, 1\), of which an array of",
    ),
    "twice": (lambda: AggregationLayer(Mean, [1, -2], Input=[2, 3]), "aggregates a level twice"),
    "output": (lambda: AggregationLayer(Mean, Input=[2, 3], Output=[2, 3]), "gives  a vector of unknown size .* takes  a matrix"),
    "sizes": (lambda: AggregationLayer(Mean, Input=[2, 3], Output=4), "where 2 and 4 meet"),
    "dot": (lambda: DotLayer(InputPorts=2, Input1=[2, 3], Input2=[2, 3]), "needs equal sizes where 3 and 2 meet"),
    "dot of numbers": (
        lambda: DotLayer(InputPorts=2, Input1=3, Input2="Real"),
        "contracts a level, which a single number does not have",
    ),
    "dot of vectors": (lambda: DotLayer(InputPorts=3, Input1=3, Input2=3, Input3=3), "contracts a level, which a single number"),
    "dot to a vector": (lambda: DotLayer(InputPorts=2, Input1=[2, 3], Input2=3, Output=[2, 1]), "makes an array of rank 1"),
    "ordering": (lambda: OrderingLayer(4, Input=3), "orders 4 elements of a vector that has 3"),
    "ordering a matrix": (lambda: OrderingLayer(Input=[3, 2]), "takes  a vector of unknown size"),
    "deep": (lambda: ExtractLayer(Input=3, Position=[2, "Integer"]), "takes positions of 2 levels in an array that has 1"),
    "extracted": (
        lambda: ExtractLayer(Input=[3, 2], Position=[4, 1, "Integer"], Output=[4, 3]),
        "needs equal sizes where 2 and 3 meet",
    ),
    "depth": (lambda: ExtractLayer(Input=[3, 2], Position=["Varying", "Integer"]), "takes positions of one depth"),
    "real positions": (lambda: ExtractLayer(Input=[3, 2], Position=[2]), "takes  integers"),
    "unit vector": (lambda: UnitVectorLayer(4, Input=Restricted("Integer", 3)), "takes  integers from 1 to 4"),
}


@pytest.mark.parametrize("name", WRONG)
def test_contradictions(name):
    make, text = WRONG[name]
    with pytest.raises(ShapeError, match=f"(?s){text}"):
        _ = make().solved


def test_an_aggregation_over_nothing_is_refused():
    with pytest.raises(DeclarationError, match="takes one level or more"):
        AggregationLayer(Mean, [])


def test_summation():
    x = RNG.normal(size=(3, 4))
    close(SummationLayer()(x), x.sum())
    close(SummationLayer(Input="Real")(2.0), 2.0)
    close(SummationLayer(Input=["Varying", 4])([x[:1], x, x[:2]]), [x[:1].sum(), x.sum(), x[:2].sum()])


DOTS = [
    [(3,), (3,)],
    [(2, 3), (3,)],
    [(3,), (3, 2)],
    [(2, 3), (3, 4), (4, 2)],
    [(2, 3, 4), (4, 2, 3)],
    [(2, 3, 4), (4,), (3, 2)],
]


@pytest.mark.parametrize("shapes", DOTS, ids=str)
def test_dot(shapes):
    arrays = [RNG.normal(size=shape) for shape in shapes]
    expected = arrays[0]
    for each in arrays[1:]:
        expected = np.tensordot(expected, each, 1)
    layer = DotLayer(InputPorts=len(shapes), **{f"Input{i}": list(shape) for i, shape in enumerate(shapes, 1)})
    assert layer.port_type("Output").sizes == expected.shape
    close(layer(arrays), expected)
    close(DotLayer()(arrays), expected)


def test_dot_infers_backwards():
    layer = DotLayer(InputPorts=2, Input1=[2, 3], Output=[2, 5])
    assert layer.port_type("Input2").sizes == (3, 5)
    assert DotLayer(InputPorts=2, Input2=[3, 5], Output=5).port_type("Input1").sizes == (3,)
    assert DotLayer(InputPorts=2, Input2=[3, 5]).port_type("Input1").sizes is None


def test_dot_of_sequences():
    weights = [RNG.normal(size=n) for n in (1, 4, 3)]
    vectors = [RNG.normal(size=(n, 2)) for n in (1, 4, 3)]
    matrix = RNG.normal(size=(3, 2, 5))
    summed = DotLayer(InputPorts=2, Input1="Varying", Input2=["Varying", 2])
    close(summed({"Input1": weights, "Input2": vectors}), [w @ v for w, v in zip(weights, vectors)])
    mapped = DotLayer(InputPorts=2, Input1=["Varying", 2], Input2=[2, 5])
    for made, v, m in zip(mapped({"Input1": vectors, "Input2": matrix}), vectors, matrix, strict=True):
        close(made, v @ m)
    attending = DotLayer(InputPorts=3, Input1=["Varying", 2], Input2=2, Input3=["Varying", 2])
    queries = RNG.normal(size=(3, 2))
    made = attending({"Input1": vectors, "Input2": queries, "Input3": vectors})
    close(made, [v @ q @ v for v, q in zip(vectors, queries)])
    with pytest.raises(EncodingError, match="sequences of equal length"):
        summed({"Input1": weights[:1], "Input2": vectors[1:2]})


def test_ordering():
    x = np.array([3.0, 1.0, 2.0, 1.0, 5.0])
    assert OrderingLayer()(x).tolist() == [2, 4, 3, 1, 5]
    assert OrderingLayer(All)(x).tolist() == [2, 4, 3, 1, 5]
    assert OrderingLayer(2)(x).tolist() == [2, 4]
    assert OrderingLayer(-3)(x).tolist() == [3, 1, 5]
    assert OrderingLayer(2, Input=5).port_type("Output") == NetChain([OrderingLayer(2)], Input=5).port_type("Output")
    assert OrderingLayer(2, Input=5).port_type("Output").elements.high == 5
    assert OrderingLayer(Output=[4, "Integer"]).port_type("Input").sizes == (4,)


def test_ordering_of_sequences():
    sequences = [[3.0], [2.0, 1.0, np.inf, 0.5], [1.0, 1.0, 0.0]]
    ordered = [(np.argsort(x, kind="stable") + 1).tolist() for x in sequences]

    def made(*number):
        return [np.asarray(one).tolist() for one in OrderingLayer(*number, Input="Varying")(sequences)]

    assert made() == ordered
    assert made(2) == [o[:2] for o in ordered]
    assert made(-2) == [o[-2:] for o in ordered]
    assert made(1) == [o[:1] for o in ordered]
    assert made(-1) == [o[-1:] for o in ordered]
    assert OrderingLayer(-1, Input="Varying").port_type("Output").sizes == (1,)
    chain = NetInitialize(NetChain([OrderingLayer(), EmbeddingLayer(2, 9)], Input="Varying"))
    assert [len(one) for one in chain(sequences)] == [1, 4, 3]


POSITIONS = [
    ((3, 4, 2), [[1, 2], [-1, -4], [2, -1]]),
    ((3, 4, 2), [2, 3]),
    ((3, 4, 2), [[[1, 1, 1], [3, 4, 2]]]),
    ((3, 4), [[2], [-2], [2]]),
    ((3, 4), -1),
    ((3,), [3]),
    ((3,), 2),
]


@pytest.mark.parametrize(("shape", "positions"), POSITIONS, ids=str)
def test_extract(shape, positions):
    x, places = RNG.normal(size=shape), np.asarray(positions)
    each = places.reshape(-1, places.shape[-1] if places.ndim else 1)
    parts = [x[tuple(p - 1 if p > 0 else p for p in place)] for place in each]
    expected = np.reshape(parts, (*places.shape[:-1], *x.shape[each.shape[1] :]))
    layer = ExtractLayer(Input=list(shape), Position=[*places.shape, "Integer"] if places.ndim else "Integer")
    assert layer.port_type("Output").sizes == expected.shape
    close(layer({"Input": x, "Position": places}), expected)


def test_extract_from_sequences_and_at_sequences():
    sequences = [RNG.normal(size=(n, 2)) for n in (2, 4, 3)]
    layer = ExtractLayer(Input=["Varying", 2], Position=[3, 1, "Integer"])
    places = np.array([[[1], [-1], [2]]] * 3)
    for made, x in zip(layer({"Input": sequences, "Position": places}), sequences, strict=True):
        close(made, x[[0, -1, 1]])
    x = RNG.normal(size=(3, 5, 2))
    positions = [np.array([[1], [-1], [5], [-5]]), np.array([[2]]), np.array([[3], [3]])]
    at = ExtractLayer(Input=[5, 2], Position=["Varying", 1, "Integer"])
    for made, each, place in zip(at({"Input": x, "Position": positions}), x, positions, strict=True):
        close(made, each[np.where(place > 0, place - 1, place)[:, 0]])


def test_extract_infers_both_ways_and_keeps_elements():
    assert ExtractLayer(Input=[3, 4, 2], Output=[5, 2]).port_type("Position").rank is None
    assert ExtractLayer(Position=[5, 2, "Integer"], Output=[5, 3]).port_type("Input").sizes == (None, None, 3)
    assert ExtractLayer(Input=[7, 4], Position=[5, None, "Integer"], Output=[5, 4]).port_type("Position").sizes == (5, 1)
    kept = ExtractLayer(Input=[3, Restricted("Integer", 5)], Position="Integer")
    assert kept.port_type("Output").elements.high == 5
    assert kept({"Input": [5, 1, 2], "Position": -1}) == 2


def test_unit_vectors():
    x = np.array([[1, 3], [2, 2]])
    close(UnitVectorLayer(3)(x), np.eye(3)[x - 1])
    close(UnitVectorLayer(Input=Restricted("Integer", 4))(2), [0, 1, 0, 0])
    assert UnitVectorLayer(Output=[2, 5]).port_type("Input").elements.high == 5
    close(UnitVectorLayer(3, Input=["Varying", "Integer"])([[1, 2], [3]])[1], [[0, 0, 1]])
    with pytest.raises(EncodingError, match="out of range"):
        UnitVectorLayer(3)([0, 1])


def test_the_symbols_are_exported():
    for name in FUNCTIONS:
        assert repr(getattr(netdsl, name)) == name
