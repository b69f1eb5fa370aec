"""`ResourceData`, `ResourceObject`, `ExampleData`: names, elements, the chain of places, the cache, and what users are told."""

from __future__ import annotations

import ast
import errno
import os
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest

from netdsl.errors import DeclarationError, FormatError, PartError, ResourceError, UnsupportedError
from netdsl.resources import ExampleData, ResourceData, ResourceObject, acquire, catalogue, class_names, example, idx, resource
from netdsl.resources.acquire import arrays_of, problem_with
from netdsl.resources.folders import Folder
from netdsl.resources.web import Website
from netdsl.symbols import Keys, Values


@dataclass
class Place:
    """A place that gives what it was made with, or raises it, and counts how often it was asked."""

    title: str
    gives: object
    asked: int = 0

    def arrays(self, attempt):
        self.asked += 1
        if isinstance(self.gives, Exception):
            raise self.gives
        attempt.progress(10, 10)
        return self.gives


def test_places_are_asked_in_order_until_one_has_the_set(with_sources, small_arrays):
    places = [Place("first", ResourceError("broken")), Place("second", small_arrays), Place("third", small_arrays)]
    arrays = arrays_of(with_sources(*places), small_arrays)
    assert all(np.array_equal(arrays[name], small_arrays[name]) for name in small_arrays)
    assert [place.asked for place in places] == [1, 1, 0]


def test_the_cache_is_quiet_and_asks_nobody(with_sources, small_arrays, capsys):
    place = Place("place", small_arrays)
    arrays_of(with_sources(place), ["train_images"])
    assert "fetching Small from place" in capsys.readouterr().err
    arrays = arrays_of(with_sources(place), ["test_images", "test_labels"])
    assert np.array_equal(arrays["test_labels"], small_arrays["test_labels"])
    assert place.asked == 1
    assert capsys.readouterr().err == ""


def test_every_failure_is_told(with_sources, small_arrays, data_dir):
    wrong = {**small_arrays, "train_images": small_arrays["train_images"] ^ 1}
    dataset = with_sources(
        Place("one", ResourceError("host down")), Place("two", wrong), Place("three", FormatError("is HTML.")), Place("four", {})
    )
    with pytest.raises(ResourceError) as caught:
        arrays_of(dataset, small_arrays)
    lines = str(caught.value).splitlines()
    assert lines[0] == "ResourceData: the set Small could be had from none of 6 places:"
    assert lines[1] == f"  our cache, {data_dir / 'Small'}: it is not there"
    assert lines[2] == f"  the folder {data_dir / 'manual' / 'Small'}: there is no such folder"
    assert lines[3] == "  one: host down"
    assert lines[4].startswith("  two: it is not Small: the sum of train_images is ")
    assert lines[5] == "  three: is HTML"
    assert lines[6] == "  four: it is not Small: train_images is missing"
    assert lines[7].startswith("Put train-images-idx3-ubyte.gz, train-labels-idx1-ubyte.gz, t10k-images-idx3-ubyte.gz and ")
    assert lines[7].endswith(
        f"(from http://small.example/) into {data_dir / 'manual' / 'Small'} and try again; it will be found there."
    )
    assert not [path for path in data_dir.iterdir() if path.name.startswith("scratch")]


def test_files_that_a_user_puts_there(small_set, small_files, small_arrays, data_dir):
    manual = data_dir / "manual" / "Small"
    manual.mkdir(parents=True)
    for name, content in list(small_files.items())[1:]:
        (manual / name).write_bytes(content)
    with pytest.raises(ResourceError, match=r"it lacks train-images-idx3-ubyte.gz\n"):
        arrays_of(small_set, small_arrays)
    (manual / "train-images-idx3-ubyte.gz").write_bytes(b"something else")
    with pytest.raises(ResourceError, match=r"train-images-idx3-ubyte.gz is not the published file"):
        arrays_of(small_set, small_arrays)
    (manual / "train-images-idx3-ubyte.gz").write_bytes(small_files["train-images-idx3-ubyte.gz"])
    assert np.array_equal(arrays_of(small_set, small_arrays)["train_images"], small_arrays["train_images"])


def test_damage_is_fetched_again_once(with_sources, small_arrays, data_dir, capsys):
    place = Place("place", small_arrays)
    dataset = with_sources(place)
    arrays_of(dataset, small_arrays)
    file = data_dir / "Small" / "test_images.npy"
    file.write_bytes(file.read_bytes()[:-1] + b"!")
    capsys.readouterr()
    for _ in range(2):
        assert np.array_equal(arrays_of(dataset, small_arrays)["test_images"], small_arrays["test_images"])
        assert place.asked == 2
    assert "test_images.npy is damaged: its sum is not that of test_images. It is fetched anew." in capsys.readouterr().err
    file.write_bytes(b"")
    place.gives = ResourceError("host down")
    with pytest.raises(ResourceError, match=r"our cache, .*test_images.npy is damaged(.|\n)*place: host down"):
        arrays_of(dataset, small_arrays)


def test_two_processes_fetch_once(server, small_files, data_dir, tmp_path):
    """Both ask at the same time; the second waits for the first and takes what it brought."""
    code = f"""
import sys
sys.path.insert(0, {str(Path(__file__).parent)!r})
from netdsl.resources import catalogue, idx, web, acquire
from netdsl.resources.folders import OriginalFile
from dataclasses import replace
files = [OriginalFile(name) for name in {list(small_files)!r}]
shapes = {{"train_images": (30, 5, 4), "train_labels": (30,), "test_images": (10, 5, 4), "test_labels": (10,)}}
site = web.Website({server.address!r}, files, idx.read_folder, 10_000)
small = replace(catalogue.MNIST, name="Small", shapes=shapes, sums={{}}, files=files, sources=[site])
print(acquire.arrays_of(small, shapes)["train_labels"].sum())
"""
    server.files = small_files
    server.behaviour = lambda h, c: (time.sleep(0.3), h.answer(c))
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    run = [sys.executable, "-c", code]
    both = [subprocess.Popen(run, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for _ in range(2)]
    ends = [process.communicate(timeout=60) for process in both]
    assert [out for out, _ in ends] == ["135\n", "135\n"]
    assert len(server.asked) == 4
    assert sum("waiting for another process that is fetching Small" in error for _, error in ends) == 1


def test_a_cache_that_cannot_be_written(with_sources, small_arrays, tmp_path, monkeypatch, capsys):
    (tmp_path / "file").write_bytes(b"")
    monkeypatch.setenv("NETDSL_DATA_DIR", str(tmp_path / "file" / "below"))
    arrays = arrays_of(with_sources(Place("place", small_arrays)), ["test_labels"])
    assert np.array_equal(arrays["test_labels"], small_arrays["test_labels"])
    assert "Small cannot be kept in" in capsys.readouterr().err


def test_a_full_disk(with_sources, small_arrays, monkeypatch):
    def full(*arguments):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(acquire, "store", full)
    with pytest.raises(ResourceError, match=r"no space left for the set Small in .* It takes 0 MB .* set NETDSL_DATA_DIR"):
        arrays_of(with_sources(Place("place", small_arrays)), small_arrays)
    with pytest.raises(ResourceError, match="no space left"):
        arrays_of(with_sources(Place("place", OSError(errno.ENOSPC, "full")), Place("other", small_arrays)), small_arrays)


def test_checks_where_no_sums_are_known(small_set, small_arrays):
    unknown = replace(small_set, sums={}, balanced=True)
    assert problem_with(small_arrays, unknown) is None
    labels = small_arrays["train_labels"].copy()
    labels[0] = 1
    assert "does not have every class equally often" in problem_with({**small_arrays, "train_labels": labels}, unknown)
    labels[0] = 10
    assert "has the code 10, and there are 10 classes" in problem_with({**small_arrays, "train_labels": labels}, unknown)
    images = small_arrays["train_images"]
    assert "not bytes of shape" in problem_with({**small_arrays, "train_images": images[1:]}, unknown)
    assert "is float32 of" in problem_with({**small_arrays, "train_images": images.astype(np.float32)}, unknown)


def test_silent_sites_together_stay_under_the_limit(server, with_sources, small_set, small_files, monkeypatch):
    monkeypatch.setattr(acquire, "Patience", lambda: acquire_patience(1.5))
    from netdsl.resources.sources import Patience as acquire_patience

    server.files = small_files
    server.behaviour = lambda h, c: server.stopped.wait(10)
    sites = [Website(f"{server.address}{n}/", small_set.files, idx.read_folder, 10_000) for n in range(4)]
    start = time.monotonic()
    with pytest.raises(ResourceError, match=r"3/: not tried, the sources before it have used up the time for waiting"):
        arrays_of(with_sources(*sites), ["test_labels"])
    assert time.monotonic() - start < 4


@pytest.fixture
def in_catalogue(monkeypatch):
    def put(dataset):
        monkeypatch.setitem(catalogue.CATALOGUE, dataset.name, dataset)

    return put


def test_labelled_data(in_catalogue, with_sources, small_arrays):
    in_catalogue(with_sources(Place("place", small_arrays)))
    data = ResourceData("Small")
    assert repr(data) == "Examples(30 × image 5x4 -> class of 10)"  # noqa: RUF001
    assert np.array_equal(np.asarray(Keys(data)), small_arrays["train_images"])
    assert (Values(data) + 1).tolist() == [*range(1, 11)] * 3
    assert data[3].value == 3


@pytest.mark.parametrize(
    ("name", "elements"),
    [
        ("MNIST", {"TrainingData": 60_000, "TestData": 10_000, "ClassNames": 10}),
        ("FashionMNIST", {"TrainingData": 60_000, "TestData": 10_000, "ClassNames": 10}),
        ("CIFAR-10", {"TrainingData": 50_000, "TestData": 10_000, "ClassNames": 10}),
        (
            "CIFAR-100",
            {"TrainingData": 50_000, "TestData": 10_000, "ClassNames": 100}
            | {"CoarseTrainingData": 50_000, "CoarseTestData": 10_000, "CoarseClassNames": 20},
        ),
    ],
)
def test_the_catalogue(name, elements):
    known = ResourceObject(name)
    assert known.sizes == elements
    assert known.elements == list(elements)
    assert known["ClassNames"] == ResourceData(known, "ClassNames") == ResourceData(name, "ClassNames")
    text = str(known)
    assert text.startswith(f"ResourceObject({name!r})\n  description  ")
    assert all(source in text for source in known.sources)
    assert known.citation in text
    assert repr(known) == f"ResourceObject({name!r})"


def test_class_names():
    assert ResourceData("MNIST", "ClassNames") == list(range(10))
    assert ResourceData("FashionMNIST", "ClassNames")[9] == "Ankle boot"
    assert len(set(class_names.CIFAR100)) == 100
    assert list(class_names.CIFAR100) == sorted(class_names.CIFAR100)
    assert len(set(class_names.CIFAR100_COARSE)) == 20
    assert list(class_names.CIFAR100_COARSE) == sorted(class_names.CIFAR100_COARSE)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        (("mnist",), ResourceError, "ResourceData: there is no set named 'mnist'. Did you mean 'MNIST'?"),
        (("CIFAR10",), ResourceError, "Did you mean 'CIFAR-10'?"),
        (("Titanic",), ResourceError, "There are 'MNIST', 'FashionMNIST', 'CIFAR-10' and 'CIFAR-100'."),
        (
            ("MNIST", "TrainData"),
            PartError,
            "ResourceData: the set MNIST has no element 'TrainData'. Did you mean 'TrainingData'?",
        ),
        (("MNIST", "CoarseTestData"), PartError, "Did you mean 'TestData'?"),
        ((5,), DeclarationError, "ResourceData takes the names of a set and of an element. Got 5 and 'TrainingData'."),
        (("MNIST", None), DeclarationError, "Got 'MNIST' and None."),
    ],
)
def test_wrong_names(arguments, error, message):
    with pytest.raises(error) as caught:
        ResourceData(*arguments)
    assert message in str(caught.value)


def test_wrong_options_and_objects():
    with pytest.raises(UnsupportedError, match="ResourceData takes no option ResourceSystemBase"):
        ResourceData("MNIST", ResourceSystemBase="here")
    with pytest.raises(ResourceError, match=r"ResourceObject: there is no set named 'MINST'. Did you mean 'MNIST'\?"):
        ResourceObject("MINST")


def test_importing_is_light():
    heavy = ("tensorflow_datasets", "sklearn", "PIL.Image", "rich")
    code = f"import sys; from netdsl.resources import *; print([name for name in {heavy!r} if name in sys.modules])"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    result = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert result.stdout == "[]\n"


def test_no_address_of_a_registry_in_the_code():
    for file in Path(resource.__file__).parent.glob("*.py"):
        strings = [node.value for node in ast.walk(ast.parse(file.read_text())) if isinstance(node, ast.Constant)]
        for text in filter(lambda value: isinstance(value, str), strings):
            assert not any(host in text for host in ("npmjs", "pypi.org", "pythonhosted", "deb.debian", "archive.ubuntu")), file


def test_example_data_of_scikit_learn():
    for name, sizes, text in [
        ("FisherIris", (120, 30), "Examples(120 × float64 array 4 -> class of 3)"),  # noqa: RUF001
        ("Digits", (1438, 359), "Examples(1438 × image 8x8 -> class of 10)"),  # noqa: RUF001
        ("Wine", (143, 35), "Examples(143 × float64 array 13 -> class of 3)"),  # noqa: RUF001
        ("BreastCancer", (456, 113), "Examples(456 × float64 array 30 -> class of 2)"),  # noqa: RUF001
        ("Diabetes", (354, 88), "Examples(354 × float64 array 10 -> float64)"),  # noqa: RUF001
    ]:
        parts = [ExampleData(["MachineLearning", name], element) for element in ("TrainingData", "TestData")]
        assert tuple(map(len, parts)) == sizes
        assert repr(parts[0]) == text
        whole = ExampleData(("MachineLearning", name), "Data")
        assert len(whole) == sum(sizes)
        assert np.array_equal(np.asarray(parts[1].inputs), np.asarray(whole.inputs)[4::5])
        assert whole.targets[5] == parts[0].targets[4]


def test_example_data_by_class():
    iris = ExampleData(["MachineLearning", "FisherIris"], "TestData")
    assert ExampleData(["MachineLearning", "FisherIris"], "ClassNames") == ["setosa", "versicolor", "virginica"]
    assert np.bincount(iris.targets.codes).tolist() == [10, 10, 10]
    assert ExampleData(["MachineLearning", "FisherIris"], "VariableNames")[0] == "sepal length (cm)"
    digits = ExampleData(["MachineLearning", "Digits"])
    assert digits.targets[:5].normal() == [0, 1, 2, 3, 5]
    assert np.asarray(digits.inputs).max() == 255


def test_example_data_falls_to_resource_data(monkeypatch):
    monkeypatch.setattr(example, "ResourceData", lambda *arguments: arguments)
    assert ExampleData(["MachineLearning", "MNIST"], "TestData") == ("MNIST", "TestData")
    names = ExampleData("MachineLearning")
    assert ["MachineLearning", "MNIST"] in names
    assert ["MachineLearning", "FisherIris"] in names


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        (("Statistics",), ResourceError, "ExampleData: there is no type 'Statistics'. There is 'MachineLearning'."),
        ((["MachineLearning", "FisherIrs"],), ResourceError, "Did you mean 'FisherIris'?"),
        (
            (["MachineLearning", "Wine"], "Test"),
            PartError,
            "ExampleData: the set Wine has no element 'Test'. Did you mean 'TestData'?",
        ),
        ((["MachineLearning", "Diabetes"], "ClassNames"), PartError, "has no element 'ClassNames'"),
        ((["MachineLearning"],), DeclarationError, "ExampleData takes a type, or a list of a type and a name."),
    ],
)
def test_example_data_wrong_names(arguments, error, message):
    with pytest.raises(error) as caught:
        ExampleData(*arguments)
    assert message in str(caught.value)


def test_a_folder_of_the_system(small_set, small_files, tmp_path, small_arrays, with_sources):
    for name, content in small_files.items():
        (tmp_path / name).write_bytes(content)
    arrays = arrays_of(with_sources(Folder(tmp_path, small_set.files, idx.read_folder)), small_arrays)
    assert np.array_equal(arrays["test_images"], small_arrays["test_images"])


@pytest.mark.network
def test_mnist():
    start = time.monotonic()
    training, test = ResourceData("MNIST", "TrainingData"), ResourceData("MNIST", "TestData")
    fetched = time.monotonic() - start
    assert (len(training), len(test), training.nbytes) == (60_000, 10_000, 47_100_000)
    assert training.targets[:10].normal() == [5, 0, 4, 1, 9, 2, 1, 3, 1, 4]
    pixels = np.asarray(training.inputs)
    assert pixels.mean() / 255 == pytest.approx(0.13066, abs=1e-5)
    assert pixels.std() / 255 == pytest.approx(0.30811, abs=1e-5)
    start = time.monotonic()
    ResourceData("MNIST", "TrainingData")
    assert time.monotonic() - start < 1 or fetched < 1


@pytest.mark.network
@pytest.mark.skipif(shutil.which("apt-get") is None, reason="needs apt-get")
def test_fashion_mnist():
    data = ResourceData("FashionMNIST", "TestData")
    assert data.targets[:10].normal() == [9, 2, 1, 1, 6, 1, 4, 6, 5, 7]
    assert np.bincount(data.targets.codes).tolist() == [1000] * 10
