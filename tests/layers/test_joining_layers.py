"""FlattenLayer's list form, CatenateLayer over ranks and sequences, NetArrayLayer, against NumPy."""

from __future__ import annotations

import math

import numpy as np
import pytest

from netdsl import (
    CatenateLayer,
    ConvolutionLayer,
    FlattenLayer,
    NetArrayLayer,
    NetChain,
    NetGraph,
    NetInitialize,
    NetPort,
    PoolingLayer,
    Ramp,
    Restricted,
    SequenceLastLayer,
    Times,
    TotalLayer,
)
from netdsl.errors import DeclarationError, EncodingError, ShapeError

RNG = np.random.default_rng(0)


def close(a, b):
    assert np.shape(a) == np.shape(b)
    np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)


FLATTENED = [
    ([[1, 2]], (2, 3, 4), [(0, 1), (2,)]),
    ([[2, 3]], (2, 3, 4), [(1, 2), (0,)]),
    ([[3], [1]], (2, 3, 4), [(2,), (0,), (1,)]),
    ([[3, 1], [2]], (2, 3, 4), [(2, 0), (1,)]),
    ([[4, 1], [3, 2]], (2, 3, 4, 5), [(3, 0), (2, 1)]),
    ([[2]], (2, 3), [(1,), (0,)]),
    ([], (2, 3), [(0,), (1,)]),
]


@pytest.mark.parametrize(("lists", "shape", "groups"), FLATTENED, ids=str)
def test_flatten_by_lists(lists, shape, groups):
    x = RNG.normal(size=shape)
    layer = FlattenLayer(lists, Input=list(shape))
    expected = x.transpose([a for group in groups for a in group]).reshape([math.prod(shape[a] for a in g) for g in groups])
    assert layer.port_type("Output").sizes == expected.shape
    close(layer(x), expected)


def test_flatten_by_lists_infers_backwards():
    assert FlattenLayer([[2], [1]], Output=[3, 2, 4]).port_type("Input").sizes == (2, 3, 4)
    assert FlattenLayer([[3, 1], [2]], Input=[2, 3, None], Output=[8, 3]).port_type("Input").sizes == (2, 3, 4)
    assert FlattenLayer([[2, 3]], Output=[6, 5]).port_type("Input").sizes == (5, None, None)


def test_flatten_after_a_convolution():
    x = RNG.normal(size=(5, 1, 6, 6))
    before = NetInitialize(NetChain([ConvolutionLayer(3, 2), Ramp, PoolingLayer(2, 2)], Input=[1, 6, 6]))
    flat = NetChain([*before, FlattenLayer([[3, 1], [2]])], Input=[1, 6, 6])
    close(flat(x), before(x).transpose(0, 3, 1, 2).reshape(5, 6, 2))


def test_flatten_keeps_the_varying_level():
    sequences = [RNG.normal(size=(n, 2, 3)) for n in (1, 4, 3)]
    for level in (-1, [[1], [2, 3]], [[1]]):
        made = FlattenLayer(level, Input=["Varying", 2, 3])(sequences)
        shape = (2, 3) if level == [[1]] else (6,)
        for one, x in zip(made, sequences, strict=True):
            close(one, x.reshape(len(x), *shape))


CATENATED = [
    (1, [(2, 3), (4,)]),
    (1, [(4,), (2, 3)]),
    (1, [(2, 3, 4), (1, 4), (5, 4)]),
    (2, [(2, 3, 4), (3, 2)]),
    (1, [(2, 5, 1), (5, 3), (2,)]),
    (1, [(2, 3), (1, 3)]),
]


@pytest.mark.parametrize(("level", "shapes"), CATENATED, ids=str)
def test_catenate_of_several_ranks(level, shapes):
    arrays = [RNG.normal(size=shape) for shape in shapes]
    ranks = [len(shape) for shape in shapes]
    axis = max(ranks) - min(ranks) + level - 1
    sizes = [1] * max(ranks)
    for shape in shapes:
        for place, size in enumerate(shape, max(ranks) - len(shape)):
            sizes[place] = max(sizes[place], size)
    same = [np.broadcast_to(a, [*sizes[:axis], a.shape[axis - max(ranks)], *sizes[axis + 1 :]]) for a in arrays]
    expected = np.concatenate(same, axis)
    layer = CatenateLayer(level, InputPorts=len(shapes), **{f"Input{i}": list(s) for i, s in enumerate(shapes, 1)})
    assert layer.port_type("Output").sizes == expected.shape
    close(layer(arrays), expected)


def test_catenate_infers_what_follows():
    assert CatenateLayer(InputPorts=2, Input1=[2, 3], Output=[5, 3]).port_type("Input2").sizes == (3, 3)
    assert CatenateLayer(InputPorts=2, Input1=[2, 3], Output=[2, 7]).port_type("Input2").sizes == (4,)
    assert CatenateLayer(InputPorts=2, Input1=[2, 3]).port_type("Input2").sizes is None
    assert CatenateLayer(InputPorts=2, Input1=[2, 3], Input2=[None], Output=[2, 7]).port_type("Input2").sizes == (4,)
    assert CatenateLayer(2, InputPorts=2, Input1=[2, None], Input2=[None, 3], Output=[2, 7]).port_type("Input1").sizes == (2, 4)


def test_catenate_joins_sequences_at_their_true_length():
    a, b = ([RNG.normal(size=(n, 2)) for n in lengths] for lengths in ((1, 5, 2), (4, 1, 3)))
    fixed = RNG.normal(size=(3, 2, 2))
    layer = CatenateLayer(InputPorts=["a", "f", "b"], a=["Varying", 2], f=[2, 2], b=["Varying", 2])
    assert layer.port_type("Output").varying
    for made, x, f, y in zip(layer({"a": a, "f": fixed, "b": b}), a, fixed, b, strict=True):
        close(made, np.concatenate([x, f, y]))
    last = NetGraph(
        {"join": CatenateLayer(), "last": SequenceLastLayer()},
        [([NetPort("a"), NetPort("b")], "join", "last")],
        a=["Varying", 2],
        b=["Varying", 2],
    )
    close(last({"a": a, "b": b}), [y[-1] for y in b])


def test_catenate_beside_a_varying_level():
    a, b = ([RNG.normal(size=(n, k)) for n in (1, 5, 2)] for k in (2, 3))
    v = RNG.normal(size=(3, 2))
    layer = CatenateLayer(2, InputPorts=["a", "b"], a=["Varying", 2], b=["Varying", 3])
    for made, x, y in zip(layer({"a": a, "b": b}), a, b, strict=True):
        close(made, np.concatenate([x, y], axis=1))
    with pytest.raises(EncodingError, match="sequences of equal length"):
        layer({"a": a[:1], "b": b[1:2]})
    repeated = CatenateLayer(InputPorts=["v", "a"], v=2, a=["Varying", 2])
    for made, x, w in zip(repeated({"a": a, "v": v}), a, v, strict=True):
        close(made, np.concatenate([np.broadcast_to(w, (len(x), 2)), x], axis=1))


def test_two_joins_of_the_same_sequences_are_of_equal_length():
    net = NetGraph(
        {"ab": CatenateLayer(), "ba": CatenateLayer(), "product": Times},
        [([NetPort("a"), NetPort("b")], "ab"), ([NetPort("b"), NetPort("a")], "ba"), (["ab", "ba"], "product")],
        a="Varying",
        b="Varying",
    )
    close(net({"a": [1.0, 2.0], "b": [3.0, 4.0, 5.0]}), [1 * 3, 2 * 4, 3 * 5, 4 * 1, 5 * 2])


def test_net_array():
    close(NetArrayLayer(Array=[[1.0, 2.0]])({}), [[1, 2]])
    assert NetArrayLayer(Array=[[1.0, 2.0]]).port_type("Output").sizes == (1, 2)
    assert NetInitialize(NetArrayLayer(Output=[2, 3]))({}).shape == (2, 3)
    assert np.shape(NetInitialize(NetArrayLayer(Output="Real"))({})) == ()
    close(NetArrayLayer(Array=2.5)({}), 2.5)
    net = NetGraph({"c": NetArrayLayer(), "sum": TotalLayer()}, [(["c", NetPort("x")], "sum")], x=3)
    assert net.solved.arrays[("c", "Array")].sizes == (3,)
    assert NetArrayLayer(Output=[2, 3]).array_slots() == ("Array",)


WRONG = {
    "level": (lambda: FlattenLayer([[1], [3]], Input=[2, 3]), "joins level 3, which an array of rank 2 does not have"),
    "number": (lambda: FlattenLayer([[1]], Input="Real"), "joins level 1, which an array of rank 0 does not have"),
    "varying": (lambda: FlattenLayer([[2, 1]], Input=["Varying", 3]), "joins a varying level with others"),
    "moved": (lambda: FlattenLayer([[2], [1]], Input=["Varying", 3]), "only level 1 of a port can vary"),
    "product": (lambda: FlattenLayer([[1, 2]], Input=[2, 3], Output=7), "needs 7 elements"),
    "rank": (lambda: FlattenLayer([[1, 2]], Input=[2, 3, 4], Output=6), "makes an array of rank 2"),
    "others": (lambda: CatenateLayer(InputPorts=2, Input1=[2, 3, 4], Input2=[1, 5]), "needs equal sizes where 4 and 5 meet"),
    "low": (lambda: CatenateLayer(2, InputPorts=2, Input1=[2, 3], Input2=4), "joins level 2 of arrays that have 1"),
    "total": (
        lambda: CatenateLayer(InputPorts=2, Input1=[2, 3], Input2=[2, 3], Output=[5, 3]),
        "needs equal sizes where 4 and 5",
    ),
    "made": (lambda: CatenateLayer(InputPorts=2, Input1=[2, 3], Input2=[2, 3], Output=5), "makes an array of rank 2"),
    "inside": (lambda: CatenateLayer(InputPorts=2, Input1=[5, 2], Input2="Varying"), "only level 1 of a port can vary"),
    "fixed": (
        lambda: CatenateLayer(InputPorts=2, Input1=["Varying", 2], Input2=[3, 2], Output=[5, 2]),
        "needs equal sizes where a varying length and 5 meet",
    ),
    "array": (lambda: NetArrayLayer(Output=["Varying", 2]), "makes an array of fixed size, not a varying one"),
    "array size": (lambda: NetArrayLayer(Array=[1.0, 2.0], Output=3), "do not fit|where|takes"),
}


@pytest.mark.parametrize("name", WRONG)
def test_contradictions(name):
    make, text = WRONG[name]
    with pytest.raises(ShapeError, match=text):
        _ = make().solved


@pytest.mark.parametrize("lists", [[[1], []], [[1], [1, 2]], [[1, 1]]], ids=str)
def test_lists_of_levels_are_full_and_different(lists):
    with pytest.raises(DeclarationError, match="each level once"):
        FlattenLayer(lists)


def test_integers_stay_integers():
    layer = FlattenLayer([[2], [1]], Input=[2, 3, Restricted("Integer", 5)])
    assert layer.port_type("Output").elements.high == 5
    assert layer([[1, 2, 3], [4, 5, 1]]).tolist() == [[1, 4], [2, 5], [3, 1]]
