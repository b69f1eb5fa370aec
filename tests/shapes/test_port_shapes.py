"""The shapes that a user writes: what they mean, how they are written back, what is refused."""

from __future__ import annotations

import numpy as np
import pytest

from netdsl import Automatic, ElementwiseLayer, Infinity, LinearLayer, Ramp, Restricted
from netdsl.errors import DeclarationError
from netdsl.shapes import INTEGER, OPEN, REAL, VARYING, ArrayType, Elements, describe, parse_type, shape_form, type_text

CLASSES = [2, Restricted("Integer", 4)]
FORMS = [
    ("Real", ArrayType((), REAL), "a real number", "real"),
    ("Integer", ArrayType((), INTEGER), "an integer", "integer"),
    (Restricted("Integer", 5), ArrayType((), Elements("integer", 1, 5)), "an integer from 1 to 5", "integer from 1 to 5"),
    (Restricted("Integer", [0, 9]), ArrayType((), Elements("integer", 0, 9)), "an integer from 0 to 9", "integer from 0 to 9"),
    (3, ArrayType((3,), REAL), "a vector of size 3", "vector (size: 3)"),
    ([1, 28, 28], ArrayType((1, 28, 28), REAL), "an array of size 1x28x28", "array (size: 1x28x28)"),
    ("Varying", ArrayType((VARYING,), REAL), "a vector of varying size", "vector (size: n)"),
    (["Varying", 3], ArrayType((VARYING, 3), REAL), "a matrix of size nx3", "matrix (size: nx3)"),
    (
        ["Varying", "Integer"],
        ArrayType((VARYING,), INTEGER),
        "a vector of varying size of integers",
        "vector of integers (size: n)",
    ),
    (
        CLASSES,
        ArrayType((2,), Elements("integer", 1, 4)),
        "a vector of size 2 of integers from 1 to 4",
        "vector of integers from 1 to 4 (size: 2)",
    ),
    ([Automatic, 3], ArrayType((None, 3), REAL), "a matrix of size ?x3", "matrix (size: ?x3)"),
    (Automatic, OPEN, "an array of unknown rank", "array"),
]


@pytest.mark.parametrize(("shape", "type_", "words", "text"), FORMS)
def test_every_form(shape, type_, words, text):
    assert parse_type(shape, "Input") == type_
    assert describe(type_) == words
    assert type_text(type_) == text
    assert parse_type(shape_form(type_), "Input") == type_


def test_other_ways_to_write_a_size():
    assert parse_type((2, 3), "Input") == parse_type([2, 3], "Input") == parse_type([np.int64(2), 3], "Input")
    assert parse_type(Restricted("Integer", Infinity), "Input") == ArrayType((), Elements("integer", 1, None))
    assert ElementwiseLayer(Ramp, Input=Automatic) == ElementwiseLayer(Ramp) == ElementwiseLayer(Ramp, Input=None)


WRONG = [
    0,
    -1,
    [3, 0],
    1.5,
    [1.5],
    "Vary",
    ["Reel"],
    True,
    [True, 2],
    [2, "Varying"],
    ["Varying", "Varying"],
    {"a": 1},
    Restricted("Integer", "n"),
    Restricted("Integer", [5, 1]),
    Restricted("Real", 3),
]


@pytest.mark.parametrize("shape", WRONG, ids=repr)
def test_what_is_no_shape(shape):
    with pytest.raises(DeclarationError):
        LinearLayer(2, Input=shape)


def test_messages():
    with pytest.raises(DeclarationError, match=r"Port 'Input' cannot have the shape \[3, 0\]: sizes are from 1 to 2147483647\."):
        LinearLayer(2, Input=[3, 0])
    with pytest.raises(DeclarationError, match=r"has \"Varying\" at level 2; only level 1 can vary"):
        LinearLayer(2, Input=[3, "Varying"])
    with pytest.raises(DeclarationError, match=r"Port 'Input' cannot have the shape 1.5. A shape is a size, a list of sizes"):
        LinearLayer(2, Input=1.5)
