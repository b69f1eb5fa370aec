"""Every form of labelled data becomes columns; what is no data is refused with the way out."""

from __future__ import annotations

import h5py
import jax.numpy as jnp
import numpy as np
import pytest

from netdsl import Column, DataError, Examples, Rule
from netdsl.columns import Rows, Table, table
from netdsl.symbols import File

HINT = "Every example is a Rule(x, y), a pair (x, y) or a dict {port: value}."
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
        ([[1, 2], [3, 4], [5, 6]], "Example 1 of the training data is [1, 2]. " + HINT),
        (
            [XS, YS],
            "Example 1 of the training data is [1.0, 2.0, 3.0]. " + HINT + " Two columns are Rule(xs, ys) or the pair (xs, ys).",
        ),
        ([(1, 2), (1, 2, 3)], "Example 2 of the training data is (1, 2, 3). " + HINT),
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


def test_rows_by_port():
    found = table([{"a": 1, "b": "x"}, {"b": "y", "a": 2}])
    assert found.ports == {"a": [1, 2], "b": ["x", "y"]}
    with pytest.raises(DataError) as raised:
        table([{"a": 1, "b": 2}, {"a": 1}])
    assert str(raised.value) == (
        "Example 2 of the data has 'a', but example 1 has 'a' and 'b'. Every example gives a value to the same ports."
    )


class Frame:
    """What a DataFrame of pandas is to a reader: its positions are column names."""

    columns = ("x", "y", "thing")
    iloc = None

    def __getitem__(self, name):
        things = np.array([None, None, None], object)
        things[:] = [np.zeros(2), np.ones(2), np.ones(2)]
        return Series({"x": np.array(XS), "y": np.array(YS, object), "thing": things}[name])


class Series(Tensor):
    """A column of it, whose positions are labels of rows."""

    def __init__(self, values):
        self.values, self.dtype, self.shape = values, values.dtype, values.shape

    def __array__(self, dtype=None, copy=None):
        return self.values.astype(dtype or self.dtype)

    def tolist(self):
        return self.values.tolist()


def test_a_data_frame_is_columns_by_port():
    found = table(Frame())
    assert list(found.ports) == ["x", "y", "thing"]
    assert found.ports["x"].tolist() == XS
    assert found.ports["y"] == YS
    assert [part.tolist() for part in found.ports["thing"]] == [[0, 0], [1, 1], [1, 1]]


def test_a_data_frame_of_pandas():
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame({"x": XS, "y": YS, "z": [np.zeros(2)] * 3, "on": [True, False, True]}, index=[5, 6, 7])
    found = table(frame[frame.x > 1])
    assert found.ports["x"].tolist() == [2, 3]
    assert list(found.ports["y"]) == ["b", "c"]
    assert [part.tolist() for part in found.ports["z"]] == [[0, 0]] * 2
    assert found.ports["on"].tolist() == [False, True]
    assert table(Rule(frame.x, frame.y)).inputs.tolist() == XS


def test_a_source_is_read_where_it_is_asked_for():
    asked = []

    class Source:
        def __len__(self):
            return 5

        def __getitem__(self, place):
            asked.append(place)
            return {"a": place, "b": Tensor()}

    rows = table(Source()).taken(np.array([4, 2, 0]))
    assert isinstance(rows, Rows)
    assert (len(rows), asked) == (3, [])
    assert rows.taken(np.array([True, False, True])).ports["a"] == [4, 0]
    assert asked == [4, 0]
    assert [b.tolist() for b in rows.taken(np.array([1])).ports["b"]] == [XS]


@pytest.mark.parametrize("chunks", [None, (2, 3)])
def test_columns_of_a_file(tmp_path, chunks):
    values = np.arange(300.0).reshape(100, 3)
    path = tmp_path / "some.h5"
    with h5py.File(path, "w") as file:
        file.create_dataset("x", data=values, chunks=chunks)
        file["name"] = [f"n{i}" for i in range(100)]
        ragged = file.create_dataset("ragged", (100,), h5py.vlen_dtype(np.float32))
        for i in range(100):
            ragged[i] = np.arange(1 + i % 3)
    found = table(File(str(path)))
    places = np.array([99, 3, 3, 0, 42, 41])
    column = found.ports["x"]
    assert (len(column), column.shape, column[-1].tolist()) == (100, (100, 3), [297, 298, 299])
    np.testing.assert_array_equal(found.taken(places).taken(np.array([4, 1, 2, 5])).read().ports["x"], values[[42, 3, 3, 41]])
    np.testing.assert_array_equal(np.asarray(column[10:20]), values[10:20])
    np.testing.assert_array_equal(found.read().ports["x"], values)
    assert found.taken(places).ports["name"] == ["n99", "n3", "n3", "n0", "n42", "n41"]
    assert [len(x) for x in found.ports["ragged"][:4]] == [1, 2, 3, 1]
    with h5py.File(path) as file:
        assert table({"x": file["x"]}).taken(places).read().ports["x"].tolist() == values[places].tolist()


@pytest.mark.parametrize("data", [lambda batch: batch, [print, {"RoundLength": 3}], iter([1]), {1, 2}])
def test_what_gives_batches_is_data_for_training_alone(data):
    with pytest.raises(
        DataError, match=r"A function or an iterator that gives batches is data for NetTrain and its ValidationSet"
    ):
        table(data)
