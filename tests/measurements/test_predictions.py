"""Every form in which predictions are given, and what is refused."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np
import pytest

from netdsl.errors import DataError, DeclarationError
from netdsl.measurements import Predictions, from_predictions
from netdsl.symbols import Rule


def test_a_list_of_classes():
    p = from_predictions(["dog", "cat", "dog"], ["dog", "dog", "cat"])
    assert p.classes == ("cat", "dog")
    assert p.probabilities.tolist() == [[0, 1], [1, 0], [0, 1]]
    assert p.truth.tolist() == [1, 1, 0]


def test_a_list_of_dicts():
    p = from_predictions([{"a": 0.25, "b": 0.75}, {"a": 1.0}, {"c": 0.5, "a": 0.5}], ["a", "a", "b"])
    assert p.classes == ("a", "b", "c")
    assert p.probabilities.tolist() == [[0.25, 0.75, 0], [1, 0, 0], [0.5, 0, 0.5]]


@pytest.mark.parametrize("make", [list, np.array, jnp.array])
def test_an_array_of_probabilities(make):
    p = from_predictions(make([[0.25, 0.75], [0.5, 0.5]]), ["y", "x"], classes=["x", "y"])
    assert p.probabilities.tolist() == [[0.25, 0.75], [0.5, 0.5]]
    assert p.truth.tolist() == [1, 0]
    assert p.decisions.tolist() == [1, 0]


def test_labels_of_arrays_become_plain_objects():
    p = from_predictions(np.array([3, 5, 3]), np.array([3, 5, 5]))
    assert p.classes == (3, 5)
    assert [type(label) for label in p.classes] == [int, int]


def test_classes_fix_the_order_and_add_those_that_do_not_occur():
    p = from_predictions(["b"], ["a"], classes=["c", "b", "a"])
    assert p.classes == ("c", "b", "a")
    assert p.confusion.tolist() == [[0, 0, 0], [0, 0, 0], [0, 1, 0]]


def test_classes_that_cannot_be_sorted_stay_in_their_order():
    assert from_predictions([1, "x"], ["x", None]).classes == ("x", None, 1)


def test_tuples_are_labels():
    assert from_predictions([("a", 1), ("b", 2)], [("a", 1), ("a", 1)]).classes == (("a", 1), ("b", 2))


def test_half_precision_and_float32_are_taken():
    for dtype in (jnp.bfloat16, jnp.float16, jnp.float32):
        p = from_predictions(jnp.array([[0.25, 0.75]], dtype), ["a"], classes=["a", "b"])
        assert p.probabilities.tolist() == [[0.25, 0.75]]


def test_ties_go_to_the_first_class():
    p = from_predictions([[0.4, 0.4, 0.2], [0.4, 0.4, 0.2]], ["a", "b"], classes=["a", "b", "c"])
    assert p.decisions.tolist() == [0, 0]
    assert p.ranks.tolist() == [0, 1]


def test_the_threshold_keeps_what_reaches_it():
    p = from_predictions([[0.5, 0.5], [0.75, 0.25]], ["a", "a"], classes=["a", "b"], IndeterminateThreshold=0.75)
    assert p.kept.tolist() == [False, True]


def test_given_arrays_are_not_changed_or_kept_from_the_garbage():
    probabilities = np.array([[0.5, 0.5]])
    p = Predictions(probabilities, np.array([0]), ("a", "b"))
    assert repr(p) == "Predictions(1 examples of 2 classes)"
    with pytest.raises(AttributeError):
        p.truth = np.array([1])


@pytest.mark.parametrize(
    ("predictions", "truth", "options", "error", "message"),
    [
        (["a"], ["a", "b"], {}, DataError, "There are 1 predictions for 2 true classes. Each example has one of both."),
        ([[0.5, 0.5]], ["a"], {}, DeclarationError, "need the labels of their columns: give classes="),
        (
            ["cat", "dgo"],
            ["cat", "dog"],
            {"classes": ["cat", "dog"]},
            DataError,
            "'dgo' is none of the classes. Did you mean 'dog'?",
        ),
        ([[0.5, 0.5]], ["c"], {"classes": ["a", "b"]}, DataError, "'c' is none of the classes. There are 'a' and 'b'."),
        ([[0.5, 0.5]], ["a"], {"classes": ["a", "b", "c"]}, DataError, "have probabilities of shape (1, 3)"),
        ([[3.0, -1.0]], ["a"], {"classes": ["a", "b"]}, DataError, "of logits take the softmax first"),
        ([[np.nan, 0.5]], ["a"], {"classes": ["a", "b"]}, DataError, "Got NaN"),
        ([[0.5, 0.5]], ["a"], {"classes": ["a", "a"]}, DataError, "differ from each other"),
        (["a"], ["a"], {"examples": [1, 2]}, DataError, "1 predictions but 2 examples"),
        ([], [], {}, DataError, "at least one example"),
        ([], [], {"classes": ["a"]}, DataError, "at least one example"),
        (np.zeros((0, 1)), [], {"classes": ["a"]}, DataError, "at least one example"),
    ],
)
def test_what_does_not_fit_is_refused(predictions, truth, options, error, message):
    with pytest.raises(error) as caught:
        from_predictions(predictions, truth, **options)
    assert message in str(caught.value)


def test_true_classes_are_positions():
    with pytest.raises(DataError, match="positions from 0 to 1"):
        Predictions(np.array([[0.5, 0.5]]), np.array([2]), ("a", "b"))
    with pytest.raises(DataError, match="positions from 0 to 1"):
        Predictions(np.array([[0.5, 0.5]]), np.array([0.0]), ("a", "b"))


def test_examples_and_seconds_are_kept():
    p = from_predictions(["a"], ["a"], examples=["x"], seconds=2.0)
    assert (p.examples, p.seconds) == (["x"], 2.0)
    assert Rule("x", "a") in [Rule(p.examples[0], p.classes[p.truth[0]])]
