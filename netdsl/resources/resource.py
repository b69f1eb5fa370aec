"""`ResourceData` and `ResourceObject`: data sets by name."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from netdsl.columns import Column, Examples
from netdsl.errors import DeclarationError, PartError, ResourceError, UnsupportedError, excerpt, nearest, public
from netdsl.resources.acquire import arrays_of
from netdsl.resources.catalogue import CATALOGUE, DataSet, Labelled
from netdsl.resources.tfds import tfds_element

__all__ = ["ResourceData", "ResourceObject"]

TFDS = "TFDS:"


@public
def ResourceData(name: Any, element: str = "TrainingData", /, **options: Any) -> Any:
    """The data of a set by its name: labelled data, or the list of its class names.

    name
        ``"MNIST"``, ``"FashionMNIST"``, ``"CIFAR-10"``, ``"CIFAR-100"``, a `ResourceObject`, or ``"TFDS:name"`` for a set of
        TensorFlow Datasets that is prepared on this machine.
    element
        ``"TrainingData"``, ``"TestData"`` or ``"ClassNames"``; CIFAR-100 also has ``"CoarseTrainingData"``, ``"CoarseTestData"``
        and ``"CoarseClassNames"``. A set of TFDS takes a split such as ``"train[:10%]"``, too.

    Examples come in the original order. Labels of MNIST and FashionMNIST are the integers 0 to 9, those of CIFAR the class names.
    A set is fetched once, checked by its sum, and kept in ``NETDSL_DATA_DIR`` (by default the platform's cache folder); later it
    is read from there without any network. Raises `ResourceError` for a name that is unknown or a set that can be had nowhere,
    and `PartError` for an element that a set does not have.

    Differences from Wolfram: the data are two columns rather than a list of rules, and ``Normal`` gives the list; FashionMNIST
    and CIFAR have an element ``"ClassNames"``.

    >>> ResourceData("CIFAR-10", "ClassNames")[:3]
    ['airplane', 'automobile', 'bird']
    """
    if options:
        raise UnsupportedError(f"ResourceData takes no option {next(iter(options))}: its places are those of its own catalogue.")
    if isinstance(name, ResourceObject):
        name = name.name
    if not isinstance(name, str) or not isinstance(element, str):
        got = f"{excerpt(name)} and {excerpt(element)}"
        raise DeclarationError(f"ResourceData takes the names of a set and of an element. Got {got}.")
    if name.startswith(TFDS):
        return tfds_element(name.removeprefix(TFDS), element)
    dataset = _dataset("ResourceData", name)
    if element not in dataset.elements:
        raise PartError(f"ResourceData: the set {name} has no element {element!r}. {nearest(element, dataset.elements)}")
    made_of = dataset.elements[element]
    if not isinstance(made_of, Labelled):
        return list(made_of)
    arrays = arrays_of(dataset, (made_of.images, made_of.codes))
    return Examples(Column(arrays[made_of.images], "image"), Column(arrays[made_of.codes], "class", tuple(made_of.labels)))


def _dataset(asked: str, name: str) -> DataSet:
    if name not in CATALOGUE:
        raise ResourceError(
            f"{asked}: there is no set named {name!r}. {nearest(name, CATALOGUE)} Sets of TensorFlow Datasets are named 'TFDS:…'."
        )
    return CATALOGUE[name]


@dataclass(frozen=True, repr=False)
class ResourceObject:
    """What is known of a set before it is fetched: its elements, sizes, origin and places.

    name
        The name of a set of the catalogue.

    ``ResourceObject(name)["TestData"]`` is ``ResourceData(name, "TestData")``. Printing it shows everything. Raises
    `ResourceError` for an unknown name.

    Differences from Wolfram: properties are attributes, such as ``.description``; square brackets give elements.

    >>> ResourceObject("MNIST").elements
    ['TrainingData', 'TestData', 'ClassNames']
    """

    name: str

    def __post_init__(self) -> None:
        _dataset("ResourceObject", self.name)

    @property
    def description(self) -> str:
        """One sentence on what the set is."""
        return CATALOGUE[self.name].description

    @property
    def elements(self) -> list[str]:
        """The elements that can be asked for."""
        return list(CATALOGUE[self.name].elements)

    @property
    def sizes(self) -> dict[str, int]:
        """The number of examples, or of names, of each element."""
        dataset = CATALOGUE[self.name]
        return {
            key: dataset.shapes[made_of.codes][0] if isinstance(made_of, Labelled) else len(made_of)
            for key, made_of in dataset.elements.items()
        }

    @property
    def sources(self) -> list[str]:
        """The places that are asked for the set, in order, after the cache."""
        return [source.title for source in CATALOGUE[self.name].sources]

    @property
    def citation(self) -> str:
        """What to cite."""
        return CATALOGUE[self.name].citation

    @property
    def homepage(self) -> str:
        """Where its authors describe it."""
        return CATALOGUE[self.name].homepage

    def __getitem__(self, element: str) -> Any:
        return ResourceData(self.name, element)

    def __repr__(self) -> str:
        return f"ResourceObject({self.name!r})"

    def __str__(self) -> str:
        sizes = ", ".join(f"{key} ({size:,})" for key, size in self.sizes.items())
        rows = {
            "description": self.description,
            "elements": sizes,
            "bytes": f"{CATALOGUE[self.name].bytes:,}",
            "homepage": self.homepage,
            "citation": self.citation,
            "sources": "\n               ".join(self.sources),
        }
        return f"{self!r}\n" + "\n".join(f"  {key:11}  {text}" for key, text in rows.items())
