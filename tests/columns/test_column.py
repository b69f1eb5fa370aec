"""Columns and labelled data: indexing, arrays, arithmetic, what is refused."""

from __future__ import annotations

import pickle

import jax.numpy as jnp
import numpy as np
import pytest

from netdsl.columns import Column, Examples
from netdsl.errors import DataError
from netdsl.symbols import Keys, Normal, RandomSample, Rule, Take, Values


@pytest.fixture
def digits():
    return Column(np.array([250, 0, 255], np.uint8), "class", range(256))


@pytest.fixture
def words():
    return Column(np.array([1, 0, 1], np.uint8), "class", ["cat", "dog"])


@pytest.fixture
def pictures():
    return Column(np.arange(3 * 4 * 5, dtype=np.uint8).reshape(3, 4, 5), "image")


def test_items_are_plain(digits, words):
    assert digits[0] == 250
    assert type(digits[0]) is int
    assert words[0] == "dog"
    assert type(Column(np.array([1.5, 2.5]))[-1]) is float
    assert np.array_equal(Column(np.eye(2))[1], [0, 1])
    assert words.normal() == list(words) == ["dog", "cat", "dog"]


def test_images_become_pictures(pictures):
    picture = pictures[-1]
    assert (picture.mode, picture.size) == ("L", (5, 4))
    assert np.array_equal(np.asarray(picture), np.asarray(pictures)[2])
    assert Column(np.zeros((2, 4, 5, 3), np.uint8), "image")[0].mode == "RGB"
    assert Column(np.zeros((2, 4, 5, 4), np.uint8), "image")[0].mode == "RGBA"
    assert Column(np.zeros((2, 4, 5, 1), np.uint8), "image")[0].mode == "L"


@pytest.mark.parametrize("index", [3, -4, 10**20])
def test_positions_outside_are_index_errors(digits, index):
    with pytest.raises(IndexError):
        digits[index]


@pytest.mark.parametrize(
    ("index", "expected"),
    [
        (slice(1, None), ["cat", "dog"]),
        (slice(None, None, -1), ["dog", "cat", "dog"]),
        ([2, 1], ["dog", "cat"]),
        ([], []),
        (np.array([True, False, False]), ["dog"]),
        (jnp.array([1]), ["cat"]),
    ],
)
def test_slices_and_arrays_give_columns(words, index, expected):
    part = words[index]
    assert isinstance(part, Column)
    assert part.labels == ("cat", "dog")
    assert part.normal() == expected


@pytest.mark.parametrize("index", [1, -1, np.int64(1), jnp.int32(1)])
def test_integers_of_every_make_give_items(words, index):
    assert words[index] == words.normal()[int(index)]


def test_arithmetic_does_not_wrap_around(digits):
    for result, expected in [
        (digits + 10, [260, 10, 265]),
        (10 + digits, [260, 10, 265]),
        (digits - 1, [249, -1, 254]),
        (1 - digits, [-249, 1, -254]),
        (digits * 2, [500, 0, 510]),
        (digits + digits, [500, 0, 510]),
        (-digits, [-250, 0, -255]),
        (digits % 7, [5, 0, 3]),
        (np.int64(1) + digits, [251, 1, 256]),
        (np.array([1, 2, 3]) + digits, [251, 2, 258]),
    ]:
        assert result.dtype == np.int64
        assert result.tolist() == expected
    assert (digits / 2).tolist() == [125.0, 0.0, 127.5]
    assert (Column(np.array([200], np.uint8)) + 100).tolist() == [300]
    assert (Column(np.array([1.5], np.float32)) + 1).dtype == np.float32
    assert (digits + jnp.ones(3)).tolist() == (jnp.ones(3) + digits).tolist() == [251, 1, 256]


def test_comparisons_are_elementwise(digits, words):
    assert (digits == 0).tolist() == [False, True, False]
    assert (digits != 0).tolist() == [True, False, True]
    assert (digits > 250).tolist() == [False, False, True]
    assert (digits <= digits).tolist() == [True, True, True]
    assert (words == "dog").tolist() == [True, False, True]
    assert (words == words[::-1]).tolist() == [True, True, True]
    with pytest.raises(TypeError, match="unhashable"):
        hash(words)


def test_arithmetic_of_names_and_pictures_is_refused(words, pictures):
    with pytest.raises(DataError, match=r"Column\(3 labels of 2 classes\) holds 'dog' …, which is no number"):
        words + 1
    with pytest.raises(DataError, match=r"holds pictures. For their pixels from 0 to 255 write np.asarray"):
        pictures / 255


def test_arrays(digits, words, pictures):
    assert np.asarray(digits).dtype == np.int64
    assert np.asarray(digits, np.float32).dtype == np.float32
    assert np.asarray(words).tolist() == ["dog", "cat", "dog"]
    assert np.asarray(words).dtype.kind == "U"
    assert np.shares_memory(np.asarray(pictures), pictures.data)
    assert np.array(pictures).flags.writeable
    assert jnp.asarray(digits).tolist() == [250, 0, 255]
    with pytest.raises(ValueError, match="copy"):
        np.array(words, copy=False)
    mixed = Column(np.array([1, 0]), "class", [1, "one"])
    assert np.asarray(mixed).tolist() == ["one", 1]


def test_columns_cannot_be_changed(digits, pictures):
    with pytest.raises(ValueError, match="read-only"):
        pictures.data[0] = 0
    with pytest.raises(ValueError, match="read-only"):
        np.asarray(pictures)[0] = 0
    with pytest.raises(AttributeError):
        digits.kind = "array"
    with pytest.raises(TypeError):
        digits[0] = 1
    mine = np.zeros(3)
    Column(mine)
    mine[0] = 1  # the user's own array stays writable


def test_measures(digits, words, pictures):
    assert (pictures.shape, pictures.dtype, pictures.nbytes, len(pictures)) == ((3, 4, 5), np.uint8, 60, 3)
    assert words.codes.tolist() == [1, 0, 1]
    with pytest.raises(DataError, match="holds no classes"):
        pictures.codes  # noqa: B018
    assert pickle.loads(pickle.dumps(words)).normal() == words.normal()


@pytest.mark.parametrize(
    ("column", "text"),
    [
        (Column(np.zeros((2, 28, 28), np.uint8), "image"), "Column(2 images 28x28)"),
        (Column(np.zeros((1, 32, 32, 3), np.uint8), "image"), "Column(1 image 32x32x3)"),
        (Column(np.zeros(2, np.int8), "class", "ab"), "Column(2 labels of 2 classes)"),
        (Column(np.zeros(2)), "Column(2 float64 values)"),
        (Column(np.zeros((2, 3), np.float32)), "Column(2 arrays 3 of float32)"),
        (Column(np.array([None]), "object"), "Column(1 thing)"),
    ],
)
def test_repr(column, text):
    assert repr(column) == text


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((np.zeros((2, 3, 3)), "image"), "images are uint8 of shape .* not float64"),
        ((np.zeros((2, 3, 3, 2), np.uint8), "image"), r"not uint8 of \[2, 3, 3, 2\]"),
        ((np.zeros((2, 3), np.uint8), "image"), r"not uint8 of \[2, 3\]"),
        ((np.array([0, 2]), "class", ["a", "b"]), "codes run from 0 to 1, these from 0 to 2"),
        ((np.array([-1, 0]), "class", ["a", "b"]), "these from -1 to 0"),
        ((np.array([0.0]), "class", ["a"]), "codes are one integer each, not float64"),
        ((np.array([0]), "class"), "labels belong to the kind 'class'"),
        ((np.array([0]), "array", ["a"]), "labels belong to the kind 'class'"),
        ((np.array([None]),), "Python objects"),
        ((np.zeros(2), "object"), "not Python objects"),
        ((np.float64(1),), "no first axis"),
        ((np.zeros(2), "picture"), "the kinds are 'array', 'image', 'class', 'object'"),
    ],
)
def test_data_that_do_not_fit_the_kind(arguments, message):
    with pytest.raises(DataError, match=message):
        Column(*arguments)


@pytest.fixture
def data(pictures, words):
    return Examples(pictures, words)


def test_examples_are_rules(data):
    assert isinstance(data[0], Rule)
    assert data[0].value == "dog"
    assert data[-2].value == "cat"
    assert [rule.value for rule in data] == ["dog", "cat", "dog"]
    assert np.array_equal(np.asarray(data[1].key), np.asarray(data.inputs)[1])
    assert [rule.value for rule in Normal(data)] == ["dog", "cat", "dog"]


def test_examples_with_the_list_functions(data):
    assert Keys(data) is data.inputs
    assert Values(data).normal() == ["dog", "cat", "dog"]
    assert Values(data[1:]).normal() == ["cat", "dog"]
    assert Values(Take(data, 2)).normal() == ["dog", "cat"]
    sample = RandomSample(data, 2)
    assert isinstance(sample, Examples)
    assert len(sample) == 2
    assert Values(data[np.array([False, True, False])]).normal() == ["cat"]


def test_examples_keep_pairs_together(data):
    order = np.array([2, 0, 1])
    assert np.array_equal(np.asarray(data[order].inputs), np.asarray(data.inputs)[order])
    assert np.array_equal(data[order].targets.codes, data.targets.codes[order])


def test_examples_shown(data):
    assert repr(data) == "Examples(3 × image 4x5 -> class of 2)"  # noqa: RUF001
    page = data._repr_html_()
    assert page.count("<img") == 3
    assert "Examples(3 × image 4x5 -&gt; class of 2)" in page  # noqa: RUF001
    assert "&lt;b&gt;" in Examples(np.zeros(1), Column(np.array([0]), "class", ["<b>"]))._repr_html_()


def test_examples_of_unequal_lengths(pictures, words):
    with pytest.raises(DataError, match="There are 3 inputs and 2 targets"):
        Examples(pictures, words[:2])


def test_sixty_thousand_images_cost_their_bytes():
    images = np.zeros((60_000, 28, 28), np.uint8)
    data = Examples(Column(images, "image"), Column(np.zeros(60_000, np.uint8), "class", range(10)))
    assert data.nbytes == 47_100_000
    assert np.shares_memory(data[:30_000].inputs.data, images)
