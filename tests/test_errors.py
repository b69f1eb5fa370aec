"""The exceptions, the tree in the docstring, and the words that messages are made of."""

from __future__ import annotations

import inspect
import re

import pytest

from netdsl import errors
from netdsl.errors import NetError, excerpt, listing, nearest

CLASSES = [getattr(errors, name) for name in errors.__all__]


@pytest.mark.parametrize("cls", CLASSES, ids=lambda cls: cls.__name__)
def test_the_tree_is_drawn_in_the_docstring(cls):
    assert issubclass(cls, (NetError, Warning))
    assert cls.__doc__
    own = [base.__name__ for base in cls.__bases__ if base is not NetError]
    drawn = re.search(rf"\b{cls.__name__} \(([\w, ]+)\)", errors.__doc__)
    assert drawn, "drawn in the module's docstring"
    assert drawn[1].split(", ") == (own or ["NetError"])


def test_every_exception_is_public():
    defined = {name for name, value in vars(errors).items() if isinstance(value, type) and issubclass(value, Exception)}
    assert defined == set(errors.__all__)


@pytest.mark.parametrize(
    ("things", "text"),
    [([], ""), (["a"], "a"), (["a", "b"], "a and b"), (["a", "b", "c"], "a, b and c"), (range(20), "0, 1, 2 and 17 more")],
)
def test_listing(things, text):
    assert listing(things, 3) == text


def test_nearest():
    assert nearest("Stide", ["Stride", "PaddingSize"]) == "Did you mean 'Stride'?"
    assert nearest("stride", ["Stride"]) == "Did you mean 'Stride'?"
    assert nearest("x", ["Stride"]) == "There is 'Stride'."
    assert nearest("x", ["A1", "B2"]) == "There are 'A1' and 'B2'."
    assert nearest("x", []) == "There are none."


def test_excerpt():
    class Broken:
        def __repr__(self):
            raise RuntimeError

    assert excerpt([1, 2]) == "[1, 2]"
    assert excerpt("a\nb" * 50, 20) == repr("a\nb" * 50)[:19] + "…"
    assert len(excerpt(list(range(1000)))) == 60
    assert "Broken object" in excerpt(Broken(), 200)
    assert "\n" not in excerpt(type("Lines", (), {"__repr__": lambda self: "a\n   b"})())


def test_signature_of_errors_is_plain():
    for cls in CLASSES:
        assert "__init__" not in vars(cls)
        assert inspect.getdoc(cls).endswith(".")
