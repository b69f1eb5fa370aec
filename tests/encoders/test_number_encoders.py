"""The Boolean and Scalar encoders."""

from __future__ import annotations

import jax
import numpy as np
import pytest

from netdsl.encoders import NetEncoder
from netdsl.errors import EncodingError
from netdsl.shapes import SCALAR, array_of


def test_boolean():
    encoder = NetEncoder("Boolean")
    assert encoder.type() == SCALAR
    assert [encoder(True).item(), encoder(np.False_).item(), encoder(np.array(True)).item()] == [1.0, 0.0, 1.0]
    assert encoder(True).dtype == np.float32
    for batch in ([True, False], np.array([True, False]), jax.numpy.array([True, False]), np.array([True, False], object)):
        assert encoder(batch).tolist() == [1, 0]
    assert encoder.encode_many([True]).dtype == np.uint8
    assert encoder.encoded_levels(np.float32(1)) is None


def test_boolean_arrays():
    encoder = NetEncoder("Boolean", [2])
    assert encoder.type() == array_of(2)
    assert encoder([True, False]).tolist() == [1, 0]
    assert encoder([[True, False]]).tolist() == [[1, 0]]
    varying = NetEncoder("Boolean", ["Varying"])
    assert [row.tolist() for row in varying([[True], [False, True]])] == [[1], [0, 1]]


@pytest.mark.parametrize(
    ("sizes", "things", "message"),
    [
        ((), 1, "takes True and False. Got 1."),
        ((), "True", "takes True and False. Got 'True'."),
        ((), None, "takes True and False. Got None."),
        ((), [True, 0], "takes True and False. Got 0 at position 2."),
        ((), np.array([0.0, 1.0]), "takes True and False. Got 0.0 at position 1."),
        ((), [[True], [False]], "needs truth values of the sizes [2]. Got sizes [2, 1]."),
        ((2,), [True], "needs truth values of the sizes [2]. Got sizes [1]."),
        ((2,), [[True, False], [True]], "needs lists of equal lengths. Got [[True, False], [True]]."),
        (("Varying",), [[True], ["no"]], "takes True and False. Got 'no' at position [2, 1]."),
    ],
)
def test_wrong_truth_values(sizes, things, message):
    with pytest.raises(EncodingError) as caught:
        NetEncoder("Boolean", sizes)(things)
    assert str(caught.value) == f'NetEncoder("Boolean") {message}'


def test_scalar():
    encoder = NetEncoder("Scalar")
    assert encoder.type() == array_of(1)
    for one in (3, 3.0, np.int8(3), np.float64(3), np.array(3), jax.numpy.array(3.0)):
        assert encoder.takes(one)
        assert encoder(one).tolist() == [3]
        assert encoder(one).dtype == np.float32
    for batch in ([1, 2.5], (1, 2.5), np.array([1, 2.5]), jax.numpy.array([1, 2.5]), np.array([[1], [2.5]]), [[1], [2.5]]):
        assert not encoder.takes(batch)
        assert encoder(batch).tolist() == [[1], [2.5]]


@pytest.mark.parametrize(
    ("things", "message"),
    [
        ("3", "takes numbers. Got '3'."),
        (True, "takes numbers. Got True."),
        (None, "takes numbers. Got None."),
        (1j, "takes numbers. Got 1j."),
        ([1, "2"], "takes numbers. Got '2' at position 2."),
        ([1, [2, 3]], "takes numbers. Got [2, 3] at position 2."),
        (float("nan"), "takes finite float32 numbers. Got nan."),
        ([1, float("inf")], "takes finite float32 numbers. Got inf at position 2."),
        (1e300, "takes finite float32 numbers. Got inf."),
        ([1, 10**40], "takes numbers. Got 10000000000000000000000000000000000000000 at position 2."),
        (np.zeros((2, 3)), "takes numbers. Got array([0., 0., 0.]) at position 1."),
    ],
)
def test_wrong_numbers(things, message):
    with pytest.raises(EncodingError) as caught:
        NetEncoder("Scalar")(things)
    assert str(caught.value) == f'NetEncoder("Scalar") {message}'
