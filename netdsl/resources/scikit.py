"""The small sets inside scikit-learn: at hand without any network."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from netdsl.columns import Column, Examples
from netdsl.errors import PartError, nearest

__all__ = ["SMALL_SETS", "SmallSet"]

EVERY = 5  # one example in so many is for testing


@dataclass(frozen=True)
class SmallSet:
    """A set of scikit-learn: the name of its loader there, and whether it holds pictures or has classes."""

    loader: str
    pictures: bool = False
    classes: bool = True

    @property
    def elements(self) -> list[str]:
        """The elements that can be asked for."""
        named = ["ClassNames"] if self.classes else []
        return ["TrainingData", "TestData", "Data", *named, *([] if self.pictures else ["VariableNames"])]

    def element(self, asked: str, element: str) -> Any:
        """The element of this name; `asked` says to the user whose it is. Raises `PartError` for an unknown one."""
        if element not in self.elements:
            raise PartError(f"{asked} has no element {element!r}. {nearest(element, self.elements)}")
        from sklearn import datasets

        bunch = getattr(datasets, self.loader)()
        if element == "VariableNames":
            return [str(name) for name in bunch.feature_names]
        labels = tuple(np.asarray(bunch.target_names).tolist()) if self.classes else ()
        if element == "ClassNames":
            return list(labels)
        if self.pictures:
            inputs = Column(np.rint(bunch.images * (255 / 16)).astype(np.uint8), "image")
        else:
            inputs = Column(np.asarray(bunch.data, np.float64))
        targets = Column(bunch.target.astype(np.uint8), "class", labels) if self.classes else Column(bunch.target)
        return self._split(Examples(inputs, targets), element)

    @staticmethod
    def _split(data: Examples, element: str) -> Examples:
        if element == "Data":
            return data
        testing = np.arange(len(data)) % EVERY == EVERY - 1
        return data[testing if element == "TestData" else ~testing]


SMALL_SETS = {
    "BreastCancer": SmallSet("load_breast_cancer"),
    "Diabetes": SmallSet("load_diabetes", classes=False),
    "Digits": SmallSet("load_digits", pictures=True),
    "FisherIris": SmallSet("load_iris"),
    "Wine": SmallSet("load_wine"),
}
