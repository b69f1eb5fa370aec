"""The Function encoder: what a function returns is held against the shape that was declared."""

from __future__ import annotations

import numpy as np
import pytest

from netdsl.encoders import NetEncoder
from netdsl.errors import DeclarationError, EncodingError
from netdsl.shapes import ArrayType, Elements
from netdsl.symbols import Restricted


def test_one_and_many():
    encoder = NetEncoder("Function", lambda x: [x, x * x], 2)
    assert encoder(3).tolist() == [3, 9]
    assert encoder([1, 2]).tolist() == [[1, 1], [2, 4]]
    assert encoder(3).dtype == np.float32
    words = NetEncoder("Function", len, "Real")
    assert words("abc") == 3
    assert words(["abc", "d"]).tolist() == [3, 1]


def test_an_array_is_one_thing():
    encoder = NetEncoder("Function", lambda array: array * 2, [3])
    assert encoder(np.arange(3)).tolist() == [0, 2, 4]
    assert encoder([np.arange(3)]).tolist() == [[0, 2, 4]]
    assert encoder.encoded_levels(np.zeros(3)) is None


def test_batched():
    calls = []

    def lengths(words):
        calls.append(list(words))
        return [[len(word)] for word in words]

    encoder = NetEncoder("Function", lengths, 1, Batched=True)
    assert encoder(["a", "bb"]).tolist() == [[1], [2]]
    assert encoder("ccc").tolist() == [3]
    assert calls == [["a", "bb"], ["ccc"]]


def test_integers_and_sequences():
    encoder = NetEncoder("Function", lambda text: [ord(c) - 96 for c in text], ["Varying", Restricted("Integer", 26)])
    assert encoder.type() == ArrayType(encoder.type().sizes, Elements("integer", 1, 26))
    assert [row.tolist() for row in encoder(["ab", "z"])] == [[1, 2], [26]]
    assert encoder("ab").dtype == np.int32


def test_compact_bytes_stay_bytes():
    encoder = NetEncoder("Function", lambda x: np.full(3, x, np.uint8), 3)
    assert encoder.encode_many([1, 2]).dtype == np.uint8
    assert encoder([1, 2]).dtype == np.float32


def failing(thing):
    raise KeyError(thing)


@pytest.mark.parametrize(
    ("function", "shape", "options", "things", "message"),
    [
        (lambda x: [1, 2, 3], 2, {}, "x", "must return a vector of size 2. For 'x' it returned an array of sizes [3]."),
        (
            lambda x: [1, 2, 3],
            2,
            {},
            ["a", "b"],
            "must return a vector of size 2. For 'a' at position 1 it returned an array of sizes [3].",
        ),
        (lambda x: None, "Real", {}, "x", "must return a real number. For 'x' it returned None."),
        (lambda x: x, "Real", {}, "x", "must return a real number. For 'x' it returned 'x'."),
        (lambda x: [[1], [1, 2]], 2, {}, "x", "must return a vector of size 2. For 'x' it returned [[1], [1, 2]]."),
        (
            lambda x: [1, np.nan],
            2,
            {},
            "x",
            "must return a vector of size 2. For 'x' it returned numbers that are not finite: array([ 1., nan]).",
        ),
        (
            lambda x: 7,
            Restricted("Integer", 5),
            {},
            "x",
            "must return an integer from 1 to 5. For 'x' it returned integers from 7 to 7.",
        ),
        (lambda x: 1.5, "Integer", {}, "x", "must return an integer. For 'x' it returned numbers of float64."),
        (lambda x: [], ["Varying"], {}, "x", "must return a vector of varying size. For 'x' it returned an array of sizes [0]."),
    ],
)
def test_wrong_results(function, shape, options, things, message):
    with pytest.raises(EncodingError) as caught:
        NetEncoder("Function", function, shape, **options)(things)
    assert str(caught.value) == f'NetEncoder("Function"): the function {message}'


def test_failing_functions():
    with pytest.raises(EncodingError) as caught:
        NetEncoder("Function", failing, 2)(["a"])
    assert str(caught.value) == "NetEncoder(\"Function\"): the function failed for 'a' at position 1: KeyError: 'a'"
    assert isinstance(caught.value.__cause__, KeyError)
    with pytest.raises(EncodingError) as caught:
        NetEncoder("Function", lambda things: [[1]], 1, Batched=True)(["a", "b"])
    assert str(caught.value) == (
        'NetEncoder("Function"): with Batched=True the function must return one array for each of the 2 things. It '
        "returned [[1]]."
    )


def test_declarations():
    with pytest.raises(DeclarationError, match=r'^NetEncoder\("Function"\) needs its Output: a shape, such as 3'):
        NetEncoder("Function", len)
    with pytest.raises(
        DeclarationError,
        match=r'^The Function parameter of NetEncoder\("Function"\) must be a '
        r"function. Got 3 instead.$",
    ):
        NetEncoder("Function", 3, 2)
    assert repr(NetEncoder("Function", failing, [3, "Real"])) == "NetEncoder('Function', failing, [3, 'Real'])"
