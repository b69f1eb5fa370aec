"""Every form of labelled data becomes columns; what is no data is refused with the way out."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np
import pytest

from netdsl import Column, DataError, Examples, Rule, UnsupportedError
from netdsl.columns import Table, table
from netdsl.symbols import File

XS, YS = [1.0, 2.0, 3.0], ["a", "b", "c"]


class Tensor:
    """Something array-like of another library, whose positions mean something else."""

    def __array__(self, dtype=None, copy=None):
        return np.array(XS, dtype)

    def __len__(self):
        return len(XS)

    def __getitem__(self, label):
        raise KeyError(label)


@pytest.mark.parametrize(
    "data",
    [
        [Rule(1.0, "a"), Rule(2.0, "b"), Rule(3.0, "c")],
        [(1.0, "a"), (2.0, "b"), (3.0, "c")],
        [Rule(1.0, "a"), (2.0, "b"), Rule(3.0, "c")],
        ((1.0, "a"), (2.0, "b"), (3.0, "c")),
        Rule(XS, YS),
        Rule(tuple(XS), tuple(YS)),
        Rule(np.array(XS), np.array(YS)),
        Rule(jnp.array(XS), YS),
        Rule(Tensor(), YS),
        (XS, YS),
        (np.array(XS), YS),
        (range(1, 4), YS),
        (Column(np.array(XS)), YS),
        Examples(Column(np.array(XS)), Column(np.array([0, 1, 2]), "class", YS)),
    ],
    ids=lambda data: repr(data)[:32],
)
def test_inputs_and_targets(data):
    found = table(data)
    assert found.ports is None
    assert [float(x) for x in found.inputs] == XS
    assert list(found.targets) == YS
    assert len(found) == 3
    assert list(found.columns()) == ["inputs", "targets"]


def test_columns_by_port():
    found = table({"Input": XS, "Target": np.arange(3)})
    assert found.inputs is found.targets is None
    assert list(found.columns()) == ["Input", "Target"]
    assert len(found) == 3


def test_lists_are_examples_even_when_they_hold_lists():
    found = table([([1, 2], [3, 4]), ([5, 6], [7, 8])])
    assert (found.inputs, found.targets) == ([[1, 2], [5, 6]], [[3, 4], [7, 8]])


@pytest.mark.parametrize("column", [XS, tuple(XS), range(1, 4), np.array(XS), jnp.array(XS), Column(np.array(XS))], ids=type)
def test_some_examples_of_every_kind_of_column(column):
    some = Table(column, YS).taken(np.array([2, 0]))
    assert [float(x) for x in some.inputs] == [3, 1]
    assert some.targets == ["c", "a"]
    assert list(Table(ports={"a": column}).taken(np.array([1])).ports) == ["a"]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (
            ((1, 2), (3, 4)),
            "The training data ((1, 2), (3, 4)) could be two examples or two columns. Write a list of examples "
            "[(x1, y1), (x2, y2)] or Rule(xs, ys).",
        ),
        (
            ([1, 2, 3], [1, 2]),
            "The training data are a pair that is not two columns of equal length: ([1, 2, 3], [1, 2]). Write "
            "Rule(xs, ys), or a list of examples [(x, y), ...].",
        ),
        (
            (1.0, 2.0),
            "The training data are a pair that is not two columns of equal length: (1.0, 2.0). Write Rule(xs, ys), or a "
            "list "
            "of examples [(x, y), ...].",
        ),
        (
            Rule([1, 2, 3], [1, 2]),
            "The columns of the training data have different lengths: inputs 3, targets 2. Each example needs "
            "a "
            "value in every column.",
        ),
        (
            {"Input": [1], "Output": [1, 2]},
            "The columns of the training data have different lengths: Input 1, Output 2. Each example "
            "needs a value in every column.",
        ),
        ([], "The training data have no examples."),
        (Rule([], []), "The training data have no examples."),
        ({"Input": []}, "The training data have no examples."),
        ({}, "The training data are an empty dict. Give a column for each input port."),
        ([[1, 2], [3, 4], [5, 6]], "Example 1 of the training data is [1, 2]. Every example is a Rule(x, y) or a pair (x, y)."),
        (
            [XS, YS],
            "Example 1 of the training data is [1.0, 2.0, 3.0]. Every example is a Rule(x, y) or a pair (x, y). Two columns "
            "are "
            "Rule(xs, ys) or the pair (xs, ys).",
        ),
        ([(1, 2), (1, 2, 3)], "Example 2 of the training data is (1, 2, 3). Every example is a Rule(x, y) or a pair (x, y)."),
        (
            Rule("ab", "cd"),
            "The column 'inputs' of the training data is 'ab'. A column is a list or array with one thing for each example.",
        ),
        (
            Rule(1, 2),
            "The column 'inputs' of the training data is 1. A column is a list or array with one thing for each example.",
        ),
        (
            {"Input": {"a": 1}},
            "The column 'Input' of the training data is {'a': 1}. A column is a list or array with one thing for each example.",
        ),
        ({"Input": np.array(3.0)}, "The column 'Input' of the training data is a single number, not a list of things."),
        (
            np.zeros([3, 2]),
            "The training data cannot be array([[0., 0.], [0., 0.], [0., 0.]]). Data are rules [Rule(x, y), ...], a "
            "rule of "
            "lists Rule(xs, ys), or a dict {port: column}.",
        ),
        (
            None,
            "The training data cannot be None. Data are rules [Rule(x, y), ...], a rule of lists Rule(xs, ys), or a dict "
            "{port: column}.",
        ),
    ],
    ids=lambda value: repr(value)[:32],
)
def test_what_is_no_data(data, message):
    with pytest.raises(DataError) as raised:
        table(data, "training data")
    assert str(raised.value) == message


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (
            [{"Input": 1}, {"Input": 2}],
            "The data are rows of dicts, which are not supported yet. Give a dict of columns "
            "{port: [row[port] for row in rows]}.",
        ),
        (
            File("a.h5"),
            "The data are File('a.h5'): data read from a file while training is not supported yet. Load it into arrays.",
        ),
        (
            lambda batch: batch,
            "The data are a function: generators are not supported yet. Give lists, arrays or a dict of columns.",
        ),
        (
            [print, {"RoundLength": 3}],
            "The data are a function with a RoundLength: generators are not supported yet. Give lists, "
            "arrays "
            "or a dict of columns.",
        ),
    ],
    ids=["rows", "file", "function", "round length"],
)
def test_forms_that_come_later_are_refused_by_name(data, message):
    with pytest.raises(UnsupportedError) as raised:
        table(data)
    assert str(raised.value) == message
