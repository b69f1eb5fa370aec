"""Layers that change the levels of an array, against NumPy."""

from __future__ import annotations

import re

import numpy as np
import pytest

from netdsl import (
    All,
    AppendLayer,
    Automatic,
    ConvolutionLayer,
    EmbeddingLayer,
    Export,
    FlattenLayer,
    Import,
    LinearLayer,
    NetExtract,
    NetGraph,
    NetInitialize,
    NetPort,
    PaddingLayer,
    PartLayer,
    PrependLayer,
    ReplicateLayer,
    ReshapeLayer,
    Restricted,
    Rule,
    Span,
    TransposeLayer,
    TwoWayRule,
)
from netdsl.errors import DeclarationError, EncodingError, ShapeError

RNG = np.random.default_rng(3)


def same(a, b):
    assert np.shape(a) == np.shape(b)
    np.testing.assert_array_equal(a, np.asarray(b, np.asarray(a).dtype))


def shape(*sizes):
    return list(sizes) or "Real"


def sequences(*lengths, inner=(2,)):
    return [RNG.normal(size=(n, *inner)).astype(np.float32) for n in lengths]


@pytest.mark.parametrize(
    ("dimensions", "level", "sizes", "made"),
    [
        (3, 1, (2,), (3, 2)),
        ([3], 2, (2,), (2, 3)),
        ([2, 3], 1, (), (2, 3)),
        ([2, 3], 2, (4, 5), (4, 2, 3, 5)),
        ([2, 3], 3, (4, 5), (4, 5, 2, 3)),
    ],
)
def test_replicate(dimensions, level, sizes, made):
    x = RNG.normal(size=sizes)
    layer = ReplicateLayer(dimensions, level, Input=shape(*sizes))
    assert layer.port_type("Output").sizes == made
    expected = np.empty(made, np.float32)
    for place in np.ndindex(made):
        count = len(made) - len(sizes)
        expected[place] = x[place[: level - 1] + place[level - 1 + count :]]
    same(layer(x), expected)


def test_replicate_both_ways():
    assert ReplicateLayer([Automatic, 2], 2, Output=[5, 4, 2, 3]).port_type("Input").sizes == (5, 3)
    assert ReplicateLayer(Automatic, Input=3, Output=[4, 3])([1.0, 2.0, 3.0]).shape == (4, 3)
    assert ReplicateLayer(2, Output=[Automatic, 3], Input=Automatic).port_type("Output").sizes == (2, 3)
    assert not ReplicateLayer(Automatic, Input=3).port_type("Output").known


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: ReplicateLayer(2, 3, Input=4), "puts new levels at level 3 of an array of rank 1"),
        (lambda: ReplicateLayer(2, 3, Input=4, Output=[4, 2]), "puts new levels at level 3 of an array of rank 1"),
        (lambda: ReplicateLayer(2, Input=3, Output=[4, 3]), "needs equal sizes where 2 and 4 meet"),
        (lambda: ReplicateLayer(2, Input=3, Output=3), "makes an array of rank 2"),
        (lambda: ReplicateLayer([2, 2], 2, Output=[2, 2]), "makes an array of rank 3 or more"),
        (lambda: ReplicateLayer(2, Input=["Varying", 3]), "only level 1 of a port can vary"),
        (lambda: ReplicateLayer(Automatic, Output=["Varying", 3]), "makes new levels of fixed size"),
    ],
)
def test_replicate_refuses(make, words):
    with pytest.raises(ShapeError, match=words):
        make()


@pytest.mark.parametrize(
    ("permutation", "axes"),
    [
        (TwoWayRule(1, 2), (1, 0, 2)),
        (TwoWayRule(1, -1), (2, 1, 0)),
        ([TwoWayRule(1, 2), TwoWayRule(2, 3)], (1, 2, 0)),
        ([TwoWayRule(2, 3), TwoWayRule(1, 2)], (2, 0, 1)),
        ([2, 3, 1], (2, 0, 1)),
        ([3, 1, 2], (1, 2, 0)),
        ([2, 1], (1, 0, 2)),
        ([1], (0, 1, 2)),
    ],
)
def test_transpose(permutation, axes):
    x = RNG.normal(size=(2, 3, 4)).astype(np.float32)
    layer = TransposeLayer(permutation, Input=[2, 3, 4])
    same(layer(x), np.transpose(x, axes))
    assert layer.port_type("Output").sizes == np.transpose(x, axes).shape
    assert TransposeLayer(permutation, Output=layer.port_type("Output")).port_type("Input").sizes == (2, 3, 4)


def test_level_k_becomes_level_nk():
    x = RNG.normal(size=(2, 3, 4)).astype(np.float32)
    made = TransposeLayer([2, 3, 1])(x)
    assert made.shape == (4, 2, 3)
    assert all(made[c, a, b] == x[a, b, c] for a, b, c in np.ndindex(2, 3, 4))
    same(TransposeLayer()(x), np.swapaxes(x, 0, 1))


@pytest.mark.parametrize("permutation", [Rule(1, 2), [Rule(1, 2)], [1, 3], TwoWayRule(1, 1.5), {1: 2}, "12"])
def test_transpose_takes_two_way_rules_and_permutations(permutation):
    with pytest.raises(DeclarationError, match=r"TwoWayRule\(m, n\), a list of them, or a permutation"):
        TransposeLayer(permutation)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: TransposeLayer(TwoWayRule(1, 3), Input=[2, 3]), "moves level 3, which an array of rank 2 does not have"),
        (lambda: TransposeLayer([2, 3, 1], Output=[2, 3]), "moves level 3, which an array of rank 2 does not have"),
        (lambda: TransposeLayer(Input=[2, 3], Output=[2, 3]), "needs equal sizes where 2 and 3 meet"),
        (lambda: TransposeLayer(Input=[2, 3], Output=[3, 2, 1]), "keeps the rank of its input"),
        (lambda: TransposeLayer(Input=["Varying", 3]), "only level 1 of a port can vary"),
    ],
)
def test_transpose_refuses(make, words):
    with pytest.raises(ShapeError, match=words):
        make()


def test_a_two_way_rule():
    rule = TwoWayRule(1, 2)
    assert repr(rule) == "TwoWayRule(1, 2)"
    assert (rule.left, rule.right) == (1, 2)
    assert rule == TwoWayRule(1, 2)
    assert hash(rule) == hash(TwoWayRule(1, 2))
    assert rule != TwoWayRule(2, 1)
    assert rule != Rule(1, 2)
    assert repr(TransposeLayer([rule, TwoWayRule(2, 3)])) == "TransposeLayer([TwoWayRule(1, 2), TwoWayRule(2, 3)])"


@pytest.mark.parametrize(
    "layer",
    [TransposeLayer([TwoWayRule(1, 2), TwoWayRule(2, 3)]), PartLayer([Span(2, All, 2), All, -1]), ReshapeLayer("ReferenceShape")],
)
def test_files(layer, tmp_path):
    Export(tmp_path / "net.netdsl", layer)
    assert Import(tmp_path / "net.netdsl") == layer


NUMPYS = {"Fixed": "edge", "Reflected": "reflect"}


@pytest.mark.parametrize("padding", [0, -1.5, "Fixed", "Reflected"])
@pytest.mark.parametrize("sizes", [[(1, 2)], [(0, 0), (2, 1)], [(2, 0), (1, 1), (0, 3)], [(5, 6)], []])
def test_padding(padding, sizes):
    x = RNG.normal(size=(3, 2, 4)).astype(np.float32)
    layer = PaddingLayer(sizes, Padding=padding, Input=[3, 2, 4])
    widths = [*sizes, *[(0, 0)] * (3 - len(sizes))]
    how = {"mode": NUMPYS[padding]} if padding in NUMPYS else {"constant_values": padding}
    same(layer(x), np.pad(x, widths, **how))
    assert PaddingLayer(sizes, Output=layer.port_type("Output")).port_type("Input").sizes == (3, 2, 4)


@pytest.mark.parametrize("padding", [2.5, "Fixed", "Reflected"])
@pytest.mark.parametrize("pair", [(2, 1), (0, 3), (4, 0), (0, 0), (7, 5)])
def test_padding_of_varying_length(padding, pair):
    xs = sequences(1, 4, 3, 2)
    how = {"mode": NUMPYS[padding]} if padding in NUMPYS else {"constant_values": padding}
    for made, x in zip(PaddingLayer([pair, (1, 1)], Padding=padding, Input=["Varying", 2])(xs), xs, strict=True):
        same(made, np.pad(x, [pair, (1, 1)], **how))


def test_padding_of_integers():
    classes = [2, Restricted("Integer", 3)]
    assert PaddingLayer([[1, 0]], Input=classes)([2, 3]).tolist() == [0, 2, 3]
    assert PaddingLayer([[1, 0]], Input=classes).port_type("Output").elements[1:] == (0, 3)
    assert PaddingLayer([[1, 0]], Padding="Fixed", Input=classes).port_type("Output").elements[1:] == (1, 3)
    assert PaddingLayer([[1, 0]], Padding=0.5, Input=classes)([2, 3]).tolist() == [0.5, 2.0, 3.0]
    assert PaddingLayer([[1, 0]], Padding=1, Input=[2, "Integer"]).port_type("Output").integer
    varying = PaddingLayer([[1, 1]], Padding=0.5, Input=["Varying", Restricted("Integer", 3)])
    assert [made.tolist() for made in varying([[1, 2], [3]])] == [[0.5, 1.0, 2.0, 0.5], [0.5, 3.0, 0.5]]


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: PaddingLayer([[1, 1], [1, 1]], Input=3), "pads 2 levels of an array of rank 1"),
        (lambda: PaddingLayer([[1, 1]], Output=2), "needs a size of 3 or more where 2 is given"),
        (lambda: PaddingLayer([[1, 1]], Input=3, Output=[5, 1]), "keeps the rank of its input"),
        (lambda: PaddingLayer([[1, 1]], Input=3, Output=6), "takes  a vector of size 6"),
    ],
)
def test_padding_refuses(make, words):
    with pytest.raises(ShapeError, match=words):
        make()


PARTS = [
    (2, np.s_[1]),
    (-1, np.s_[-1]),
    (Span(2, 4), np.s_[1:4]),
    (Span(2, All), np.s_[1:]),
    (Span(1, All, 2), np.s_[::2]),
    (Span(-1, 1, -1), np.s_[::-1]),
    (Span(All, 2, -2), np.s_[4:0:-2]),
    (Span(-3, -2), np.s_[2:4]),
    (Span(-4, 3), np.s_[1:3]),
    (All, np.s_[:]),
    ([All, 2], np.s_[:, 1]),
    ([Span(2, -2), Span(2, 3)], np.s_[1:4, 1:3]),
    ([-2, 1], np.s_[-2, 0]),
    ([], np.s_[:]),
]


@pytest.mark.parametrize(("part", "index"), PARTS, ids=str)
def test_part(part, index):
    x = RNG.normal(size=(5, 3)).astype(np.float32)
    layer = PartLayer(part, Input=[5, 3])
    assert layer.port_type("Output").sizes == x[index].shape
    same(layer(x), x[index])


VARYING_PARTS = [
    (2, 2, np.s_[1]),
    (-2, 2, np.s_[-2]),
    (Span(2, All), 2, np.s_[1:]),
    (Span(1, -3), 3, np.s_[:-2]),
    (Span(2, -2), 3, np.s_[1:-1]),
    (Span(2, 3), 3, np.s_[1:3]),
    (Span(3, 1, -2), 3, np.s_[2::-2]),
    (Span(-3, -2), 3, np.s_[-3:-1]),
    (Span(-1, -3, -2), 3, np.s_[:-4:-2]),
    (All, 1, np.s_[:]),
    ([Span(2, All), 1], 2, np.s_[1:, 0]),
    ([All, Span(2, 1, -1)], 1, np.s_[:, ::-1]),
]


@pytest.mark.parametrize(("part", "shortest", "index"), VARYING_PARTS, ids=str)
def test_part_of_varying_length(part, shortest, index):
    xs = sequences(shortest + 4, shortest, shortest + 1)
    layer = PartLayer(part, Input=["Varying", 2])
    for made, x in zip(layer(xs), xs, strict=True):
        same(made, x[index])
    if shortest > 1:
        with pytest.raises(
            EncodingError, match=rf"of length {shortest - 1}, .* takes sequences of {shortest} elements or more\."
        ):
            layer(sequences(shortest - 1)[0])


def test_part_backwards():
    assert PartLayer([Span(2, -2), All], Output=[3, 4]).port_type("Input").sizes == (5, 4)
    assert PartLayer([2, Span(1, All, 2)], Output=[3]).port_type("Input").sizes == (None, None)
    assert PartLayer([2, Span(2, 4)], Input=[5, Automatic]).port_type("Output").sizes == (3,)


@pytest.mark.parametrize("part", [slice(0, 2), [slice(None), 1], [[1, 2]], Span("a", "b"), Span(1, 2, 0.5), True])
def test_part_takes_no_slices(part):
    with pytest.raises(DeclarationError, match="positions count from 1, and Span, not a Python slice, says a range"):
        PartLayer(part)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: PartLayer(4, Input=3), "cannot take 4 of level 1, which has 3 elements"),
        (lambda: PartLayer([All, -2], Input=[3, 1]), "cannot take -2 of level 2, which has 1 element"),
        (lambda: PartLayer(Span(2, 4), Input=3), "cannot take Span(2, 4) of level 1, which has 3 elements"),
        (lambda: PartLayer(Span(2, -2), Input=2), "cannot take Span(2, -2) of level 1, which has 2 elements"),
        (lambda: PartLayer(Span(3, 2), Input=["Varying"]), "cannot take Span(3, 2) of level 1"),
        (lambda: PartLayer([1, 1], Input=3), "takes parts of 2 levels, where an array of rank 1 has fewer"),
        (lambda: PartLayer(1, Input=[3, 2], Output=[3, 2]), "makes an array of rank 1"),
        (lambda: PartLayer(Span(1, All, 2), Input=["Varying"]), "cannot take Span(1, All, 2) of a level of varying size"),
        (lambda: PartLayer(Span(-3, 5), Input=["Varying"]), "cannot take Span(-3, 5) of a level of varying size"),
        (lambda: PartLayer(Span(2, 3), Input=4, Output=3), "takes  a vector of size 3"),
    ],
)
def test_part_refuses(make, words):
    with pytest.raises(ShapeError, match=re.escape(words)):
        make()


def test_append_and_prepend():
    x, element = RNG.normal(size=(3, 2)).astype(np.float32), np.float32([7, 8])
    same(AppendLayer()({"Input": x, "Element": element}), np.concatenate([x, element[None]]))
    same(PrependLayer()({"Input": x, "Element": element}), np.concatenate([element[None], x]))
    xs, elements = sequences(1, 4, 3), [np.float32([n, -n]) for n in range(3)]
    given = {"Input": xs, "Element": elements}
    for made, a, b in zip(AppendLayer(Input=["Varying", 2])(given), xs, elements, strict=True):
        same(made, np.concatenate([a, b[None]]))
    for made, a, b in zip(PrependLayer(Input=["Varying", 2])(given), xs, elements, strict=True):
        same(made, np.concatenate([b[None], a]))


def test_append_both_ways():
    layer = AppendLayer(Element=[2, 3], Output=[5, Automatic, Automatic])
    assert layer.port_type("Input").sizes == (4, 2, 3)
    assert layer.port_type("Output").sizes == (5, 2, 3)
    assert AppendLayer(Output=["Varying", 2]).port_type("Element").sizes == (2,)
    classes = AppendLayer(Input=["Varying", Restricted("Integer", 3)], Element=Restricted("Integer", [0, 2]))
    assert classes.port_type("Output").elements[1:] == (0, 3)
    assert [made.tolist() for made in classes({"Input": [[1, 3], [2]], "Element": [0, 2]})] == [[1, 3, 0], [2, 2]]


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: AppendLayer(Input="Real"), "takes an array of rank 1 or more"),
        (lambda: AppendLayer(Input=[3, 2], Element=3), "needs equal sizes where 2 and 3 meet"),
        (lambda: AppendLayer(Input=[3, 2], Element="Real"), "needs arrays of equal size where"),
        (lambda: PrependLayer(Output=1), "needs a size of 2 or more where 1 is given"),
        (lambda: PrependLayer(Input=3, Output=5), "takes  a vector of size 5"),
        (lambda: AppendLayer(Element=["Varying"]), "only level 1 of a port can vary"),
    ],
)
def test_append_refuses(make, words):
    with pytest.raises(ShapeError, match=words):
        make()


def test_a_class_put_before_a_sequence():
    net = NetGraph(
        {"start": PrependLayer(), "embed": EmbeddingLayer(2, 4)},
        [(NetPort("Input"), NetPort("start", "Input")), (NetPort("first"), NetPort("start", "Element")), ("start", "embed")],
        Input=["Varying", Restricted("Integer", 4)],
        first=Restricted("Integer", 4),
    )
    net = NetInitialize(net)
    weights = np.asarray(net.arrays["embed", "Weights"])
    same(net({"Input": [2, 3], "first": 1}), weights[[0, 1, 2]])


def test_reshape_like_another():
    x = np.arange(6.0)
    layer = ReshapeLayer("ReferenceShape")
    same(layer({"Input": x, "ReferenceShape": np.zeros((3, 2))}), x.reshape(3, 2))
    known = ReshapeLayer("ReferenceShape", Input=[4, 3], ReferenceShape=[2, Automatic])
    assert known.port_type("Output").sizes == known.port_type("ReferenceShape").sizes == (2, 6)
    assert ReshapeLayer("ReferenceShape", Input=[4, Automatic], Output=[2, 6]).port_type("Input").sizes == (4, 3)
    net = NetGraph(
        {"reshape": ReshapeLayer("ReferenceShape"), "linear": LinearLayer([2, 2])},
        [(NetPort("x"), NetPort("reshape", "Input")), ("linear", NetPort("reshape", "ReferenceShape"))],
        x=4,
        Input=3,
    )
    assert net.port_type("Output").sizes == (2, 2)
    with pytest.raises(ShapeError, match="needs 5 elements"):
        ReshapeLayer("ReferenceShape", Input=5, ReferenceShape=[2, 2])
    with pytest.raises(ShapeError, match="takes arrays of fixed size, not a varying one"):
        ReshapeLayer("ReferenceShape", Input=[4], ReferenceShape=["Varying", 2])


def test_reshape_like_another_among_pictures():
    """Where the examples of a batch come last, the reference does too."""
    net = NetGraph(
        {"conv": ConvolutionLayer(4, 3), "flat": FlattenLayer(), "reshape": ReshapeLayer("ReferenceShape")},
        [("conv", "flat", NetPort("reshape", "Input")), ("conv", NetPort("reshape", "ReferenceShape"))],
        Input=[1, 8, 8],
    )
    net = NetInitialize(net)
    xs = RNG.normal(size=(5, 1, 8, 8))
    np.testing.assert_allclose(net(xs), NetExtract(net, "conv")(xs), rtol=1e-5, atol=1e-6)
