"""`ExampleData`: example data by type and name."""

from __future__ import annotations

from typing import Any

from netdsl.errors import DeclarationError, ResourceError, excerpt, nearest, public
from netdsl.resources.catalogue import CATALOGUE
from netdsl.resources.resource import ResourceData
from netdsl.resources.scikit import SMALL_SETS

__all__ = ["ExampleData"]

TYPES = ("MachineLearning",)


@public
def ExampleData(spec: Any, element: str = "TrainingData", /) -> Any:
    """Example data: all of a type, or an element of one set.

    spec
        ``"MachineLearning"`` for the list of what there is, or ``["MachineLearning", name]``. The names are ``"BreastCancer"``,
        ``"Diabetes"``, ``"Digits"`` (8x8 images), ``"FisherIris"`` and ``"Wine"``, which scikit-learn brings and which need no
        network, and those of `ResourceData`.
    element
        ``"TrainingData"``, ``"TestData"`` or ``"ClassNames"``; a set of scikit-learn also has ``"Data"``, all of it in its own
        order, and ``"VariableNames"``.

    The sets of scikit-learn come undivided: here every fifth example, starting with the fifth, is for testing, and the others are
    for training. Raises `ResourceError` for an unknown type or name and `PartError` for an unknown element.

    Differences from Wolfram: other small sets, and the test data are chosen by the rule above.

    >>> ExampleData(["MachineLearning", "FisherIris"])
    Examples(120 × float64 array 4 -> class of 3)
    >>> ExampleData(["MachineLearning", "FisherIris"], "TestData")[0]
    Rule(array([5. , 3.6, 1.4, 0.2]), 'setosa')
    """
    kind, name = (spec, None) if isinstance(spec, str) else spec if _is_pair(spec) else (None, None)
    if not isinstance(kind, str) or not isinstance(element, str):
        raise DeclarationError(f"ExampleData takes a type, or a list of a type and a name. Got {excerpt(spec)}.")
    if kind not in TYPES:
        raise ResourceError(f"ExampleData: there is no type {kind!r}. {nearest(kind, TYPES)}")
    names = sorted([*SMALL_SETS, *CATALOGUE])
    if name is None:
        return [[kind, name] for name in names]
    if name not in names:
        raise ResourceError(f"ExampleData: there is nothing named {excerpt(name)} of type {kind!r}. {nearest(name, names)}")
    if name in SMALL_SETS:
        return SMALL_SETS[name].element(f"ExampleData: the set {name}", element)
    return ResourceData(name, element)


def _is_pair(spec: Any) -> bool:
    return isinstance(spec, (list, tuple)) and len(spec) == 2 and all(isinstance(part, str) for part in spec)
