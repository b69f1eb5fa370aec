"""Data that are read while they are trained on: the same bits as from memory, flat memory, one compilation, clear errors."""

from __future__ import annotations

import hashlib
import itertools
import subprocess
import sys
import textwrap
import threading
from contextlib import contextmanager
from pathlib import Path

import h5py
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image
from sklearn.metrics import roc_auc_score

from netdsl import (
    All,
    ConvolutionLayer,
    DataError,
    DeclarationError,
    DropoutLayer,
    FlattenLayer,
    NetChain,
    NetDecoder,
    NetEncoder,
    NetInitialize,
    NetMeasurements,
    NetTrain,
    Ramp,
    Rule,
    Scaled,
    SoftmaxLayer,
    TrainingError,
    UnsupportedError,
)
from netdsl.lowering import compilations
from netdsl.symbols import File
from netdsl.training import capacity, measured, run, streaming

RANDOM = np.random.default_rng(4)
INPUTS = RANDOM.normal(size=(300, 6)).astype(np.float32)
TARGETS = (INPUTS @ RANDOM.normal(size=(6, 2))).astype(np.float32)
COLUMNS = {"Input": INPUTS, "Output": TARGETS}
NET = NetInitialize(NetChain([8, Ramp, DropoutLayer(0.3), 2], Input=6))


def digest(results):
    net = results("TrainedNet")
    return hashlib.sha256(b"".join(np.asarray(value).tobytes() for value in net.arrays.values())).hexdigest()


@pytest.fixture
def little_memory(monkeypatch):
    """Nothing fits the memory, and a chunk holds two batches."""
    monkeypatch.setattr(capacity, "SMALL", 0)
    monkeypatch.setattr(capacity, "SHARE", 0.0)
    monkeypatch.setattr(streaming, "CHUNK_BYTES", 2 * 48 * 32)


class Source:
    """A random-access source."""

    def __init__(self, row, count=300):
        self.row, self.count = row, count

    def __len__(self):
        return self.count

    def __getitem__(self, place):
        return self.row(place)


class Together(Source):
    """A source that gives many rows at once, as those of TFDS and Hugging Face do, and has a shape, as the latter."""

    shape = (300, 2)

    def __getitems__(self, places):
        return [self.row(place) for place in places]


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    path = tmp_path_factory.mktemp("columns") / "x.h5"
    with h5py.File(path, "w") as made:
        made.create_dataset("Input", data=INPUTS, chunks=(7, 6), compression="gzip")
        made["Output"] = TARGETS
    return File(str(path))


@pytest.fixture(scope="module")
def resident():
    return NetTrain(NET, COLUMNS, All, BatchSize=48, MaxTrainingRounds=3, TrainingProgressReporting=None)


SOURCES = {
    "dicts": Source(lambda i: {"Input": INPUTS[i], "Output": TARGETS[i]}),
    "many dicts": Together(lambda i: {"Input": INPUTS[i], "Output": TARGETS[i]}),
    "pairs": Source(lambda i: (INPUTS[i], TARGETS[i])),
    "lists of two": Source(lambda i: [INPUTS[i].tolist(), TARGETS[i].tolist()]),
    "rules": Source(lambda i: Rule(INPUTS[i], TARGETS[i])),
    "rows": [{"Input": x, "Output": y} for x, y in zip(INPUTS, TARGETS)],
    "columns": COLUMNS,
    "file": None,
}


@pytest.mark.parametrize("memory_", ["much", "little"])
@pytest.mark.parametrize("form", SOURCES)
def test_the_same_bits_from_memory_and_streamed(train, resident, file, form, memory_, request):
    if memory_ == "little" and form != "rows":
        request.getfixturevalue("little_memory")
    data = file if form == "file" else SOURCES[form]
    results = train(NET, data, BatchSize=48, MaxTrainingRounds=3)
    np.testing.assert_array_equal(results("BatchLossList"), resident("BatchLossList"))
    assert digest(results) == digest(resident)


@pytest.mark.parametrize("memory_", ["much", "little"])
def test_a_source_that_gives_fewer_than_asked_for(train, memory_, request):
    if memory_ == "little":
        request.getfixturevalue("little_memory")
    source = Together(SOURCES["pairs"].row)
    source.__class__ = type("Forgetful", (Together,), {"__getitems__": lambda self, places: [self.row(p) for p in places[1:]]})
    with pytest.raises(DataError, match=r"The training data: Forgetful\.__getitems__ gave \d+ examples for \d+ positions\."):
        train(NET, source, BatchSize=48)


def test_a_part_held_out_of_a_source_and_validation_data_of_every_form(train, file, little_memory):
    expected = train(NET, COLUMNS, BatchSize=48, ValidationSet=Scaled(0.25))
    for data in (SOURCES["dicts"], file):
        results = train(NET, data, BatchSize=48, ValidationSet=Scaled(0.25))
        assert results(["TrainingExamples", "ValidationExamples"]) == [225, 75]
        assert digest(results) == digest(expected)
    outputs = np.asarray(expected("TrainedNet")(INPUTS[:100], None))
    some = {name: column[:100] for name, column in COLUMNS.items()}
    forms = (some, Source(SOURCES["pairs"].row, 100), [{name: some[name][i] for name in some} for i in range(100)])
    for validation in forms:
        data = SOURCES["pairs"] if validation is forms[1] else COLUMNS
        results = train(expected("TrainedNet"), data, BatchSize=48, ValidationSet=validation, LearningRate=0, MaxTrainingRounds=1)
        np.testing.assert_allclose(results("ValidationLoss"), np.mean((outputs - TARGETS[:100]) ** 2), rtol=1e-5)


def test_what_needs_all_outputs_is_measured_of_streamed_data(train, monkeypatch, little_memory):
    """The outputs are kept, not the inputs; refused where the memory has no room for them either."""
    classes, source = np.arange(300) % 3 + 1, np.random.default_rng(8)
    inputs = (source.normal(size=(300, 6)) + np.eye(6)[classes - 1]).astype(np.float32)
    net = NetInitialize(NetChain([8, Ramp, 3, SoftmaxLayer()], Input=6))
    options = {"BatchSize": 48, "TrainingProgressMeasurements": ["AreaUnderROCCurve", "Accuracy"]}
    data = Source(lambda i: {"Input": inputs[i], "Output": classes[i]})
    monkeypatch.setattr(measured, "fits", lambda needed, device: needed < 5000)
    with streams_noted(monkeypatch) as streamed:
        found = train(net, data, ValidationSet=data, **options)
    assert streamed == [True, True]
    values = found("ValidationMeasurementsLists")["AreaUnderROCCurve"]
    best = found("TrainedNet")
    probabilities = np.asarray(best(inputs, "Probabilities") if best.decoder("Output") else best(inputs))
    expected = [roc_auc_score(classes == k + 1, probabilities[:, k]) for k in range(3)]
    place = found("BestValidationRound") - 1
    np.testing.assert_allclose(list(values[place].values()), expected, atol=1e-6)
    monkeypatch.setattr(measured, "fits", lambda needed, device: needed < 3 * 4 * 300)
    with pytest.raises(
        UnsupportedError, match=r"AreaUnderROCCurve need all outputs of the validation data together, about 0\.0 GB"
    ):
        train(net, data, ValidationSet=data, **options)
    train(net, data, ValidationSet=data, BatchSize=48, TrainingProgressMeasurements="Accuracy")


@contextmanager
def streams_noted(monkeypatch):
    """Whether each feed of a training was streamed."""
    seen, made = [], run.feed
    monkeypatch.setattr(run, "feed", lambda *given: (seen.append((found := made(*given)).streamed), found)[1])
    yield seen


def test_rounds_of_one_chunk_have_an_order_each(train, resident, monkeypatch):
    monkeypatch.setattr(capacity, "SMALL", 0)
    monkeypatch.setattr(capacity, "SHARE", 0.0)
    results = train(NET, SOURCES["dicts"], BatchSize=48, MaxTrainingRounds=3)
    np.testing.assert_array_equal(results("BatchLossList"), resident("BatchLossList"))


def test_chunks_compile_one_program(train, file, little_memory):
    train(NET, file, BatchSize=48)
    before = compilations()
    train(NET, file, BatchSize=48, MaxTrainingRounds=3, RandomSeeding=5)
    assert compilations() == before


@pytest.mark.parametrize(("memory_", "times"), [("much", 1), ("little", 3)])
def test_what_fits_the_memory_is_read_once_and_else_each_round(train, memory_, times, request):
    if memory_ == "little":
        request.getfixturevalue("little_memory")
    read = []
    train(NET, Source(lambda i: read.append(i) or COLUMNS_AT(i)), BatchSize=50, MaxTrainingRounds=3)
    assert 300 * times <= len(read) < 300 * times + 50, "and the first ones, which tell what they are"


def test_a_damaged_file_is_named(train, tmp_path):
    path = tmp_path / "x.h5"
    with h5py.File(path, "w") as made:
        made.create_dataset("Input", data=INPUTS, chunks=(100, 6), compression="gzip")
        made["Output"] = TARGETS
        chunk = made["Input"].id.get_chunk_info(2)
    with open(path, "r+b") as file:
        file.seek(chunk.byte_offset)
        file.write(bytes(chunk.size))
    with pytest.raises(DataError, match=r"The column '/Input' of '.*x\.h5' cannot be read: "):
        train(NET, File(str(path)), BatchSize=48)


def test_a_last_chunk_that_is_short_has_no_program_of_its_own(train, file, little_memory):
    before = compilations()
    train(NetChain([7, 2]), file, BatchSize=48, MaxTrainingRounds=1)  # chunks of 2, 2, 2 and 1 batches
    assert compilations() == before + 1


def test_validation_data_that_fail_keep_the_results(train, little_memory):
    source = Source(lambda i: 1 / (77 - i) and COLUMNS_AT(i))
    with pytest.raises(DataError, match="Example 78 of the validation data cannot be read") as raised:
        train(NET, COLUMNS, BatchSize=48, MaxTrainingRounds=2, ValidationSet=source)
    assert raised.value.results("TotalBatches") == 7


def test_threads_end_with_the_training(train, file, little_memory):
    train(NET, file, BatchSize=48)
    assert not [each.name for each in threading.enumerate() if each.name.startswith("netdsl")]


def test_measurements_take_the_same_forms(file):
    expected = NetMeasurements(NET, COLUMNS, "MeanSquare")
    assert NetMeasurements(NET, file, "MeanSquare") == expected
    assert NetMeasurements(NET, SOURCES["dicts"], "MeanSquare") == expected


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (
            lambda i: {"Input": INPUTS[i]} if i == 77 else COLUMNS_AT(i),
            "Example 78 of the training data: The training data have no column for",
        ),
        (
            lambda i: 1 / (77 - i) and COLUMNS_AT(i),
            r"Example 78 of the training data cannot be read: Source\[77\] raised ZeroDiv",
        ),
        (
            lambda i: {**COLUMNS_AT(i), "Input": INPUTS[i] * (np.nan if i == 77 else 1)},
            "Example 78 of the training data has the value",
        ),
        (lambda i: {**COLUMNS_AT(i), "Input": INPUTS[i][: 5 if i == 77 else 6]}, "Example 78 of the training data"),
    ],
    ids=["other columns", "raises", "not finite", "other size"],
)
def test_a_row_that_cannot_be_used_is_named(train, row, message, little_memory):
    with pytest.raises(DataError, match=message):
        train(NET, Source(row), BatchSize=48)
    results = train(NET, Source(row), BatchSize=48, SkipInvalidExamples=True)
    assert results("SkippedTrainingData") == [78]
    assert "skipped examples: 1" in str(results)


def COLUMNS_AT(i):
    return {"Input": INPUTS[i], "Output": TARGETS[i]}


# Pictures


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    """Forty bright and forty dark pictures of 8x8, in folders named so."""
    root = tmp_path_factory.mktemp("pictures")
    for name, low in (("dark", 0), ("light", 128)):
        (root / name).mkdir()
        for i in range(40):
            Image.fromarray(RANDOM.integers(low, low + 128, size=(8, 8), dtype=np.uint8)).save(root / name / f"{i:02}.png")
    (root / "dark" / "notes.txt").write_text("no picture")
    return root


PICTURE_NET = NetChain([ConvolutionLayer(4, 3), Ramp, FlattenLayer(), 2, SoftmaxLayer()], Input=[1, 8, 8])


def test_a_folder_of_pictures(train, pictures, request):
    results = train(PICTURE_NET, pictures, BatchSize=16, MaxTrainingRounds=20, LearningRate=0.01)
    net = results("TrainedNet")
    assert results("TrainingExamples") == 80
    assert net.decoder("Output").Labels == ("dark", "light")
    assert net(str(pictures / "light" / "07.png")) == "light"
    assert NetMeasurements(net, pictures, "Accuracy") == NetMeasurements(net, str(pictures), "Accuracy") > 0.95
    for data in (str(pictures), File(str(pictures)), Rule(*both_columns(pictures))):
        assert digest(train(PICTURE_NET, data, BatchSize=16, MaxTrainingRounds=20, LearningRate=0.01)) == digest(results)
    request.getfixturevalue("little_memory")
    assert digest(train(PICTURE_NET, pictures, BatchSize=16, MaxTrainingRounds=20, LearningRate=0.01)) == digest(results)


def both_columns(root):
    paths = sorted(root.glob("*/*.png"))
    return paths, [path.parent.name for path in paths]


@pytest.mark.parametrize("memory_", ["much", "little"])
def test_one_bad_picture_is_named_or_skipped(train, pictures, tmp_path, memory_, request):
    """Of 10,000 pictures, most of which are the same files."""
    if memory_ == "little":
        request.getfixturevalue("little_memory")
        request.getfixturevalue("monkeypatch").setattr(streaming, "CHUNK_BYTES", 2**17)
    bad = tmp_path / "bad.png"
    bad.write_bytes((pictures / "dark" / "00.png").read_bytes()[:40])
    paths, labels = both_columns(pictures)
    paths, labels = paths * 125, labels * 125
    paths[4321] = bad
    net = NetInitialize(NetChain([FlattenLayer(), 2, SoftmaxLayer()], Input=NetEncoder("Image", [8, 8], ColorSpace="Grayscale")))
    with pytest.raises(ValueError, match=r"(?s)4322.*bad\.png") as raised:
        train(net, Rule(paths, labels), MaxTrainingRounds=1)
    assert str(bad) in str(raised.value)
    results = train(net, Rule(paths, labels), MaxTrainingRounds=1, SkipInvalidExamples=True)
    assert results("SkippedTrainingData") == [4322]
    assert len(results("SkippedTrainingData")) == 1


def test_folders_without_classes(train, tmp_path):
    with pytest.raises(DataError, match="its subfolders are the classes, and it has none"):
        train(PICTURE_NET, tmp_path)
    (tmp_path / "cat").mkdir()
    with pytest.raises(DataError, match="its subfolders hold no pictures"):
        train(PICTURE_NET, tmp_path)


def test_files_that_are_no_data(train, tmp_path):
    with pytest.raises(DataError, match="there is no such file"):
        train(NET, File(str(tmp_path / "none.h5")))
    (tmp_path / "a.h5").write_text("text")
    with pytest.raises(DataError, match="it is no HDF5 file"):
        train(NET, File(str(tmp_path / "a.h5")))
    (tmp_path / "a.txt").write_text("text")
    with pytest.raises(DataError, match=r"Data in files are HDF5"):
        train(NET, tmp_path / "a.txt")


def test_labels_that_are_not_known_before_all_are_read(train, little_memory):
    source = Source(lambda i: (INPUTS[i], "ab"[i % 2]))
    with pytest.raises(DataError, match=r'Declare them: Output=NetDecoder\("Class", \[\.\.\.\]\)'):
        train(NetChain([2, SoftmaxLayer()]), source)
    net = train(NetChain([2, SoftmaxLayer()], Output=NetDecoder("Class", ["a", "b"])), source, "TrainedNet")
    assert net(INPUTS[0]) in ("a", "b")


# Generators


class Batches:
    """A function that gives batches and notes how it was called."""

    def __init__(self, change=None):
        self.calls, self.change = [], change

    def __call__(self, info):
        self.calls.append(info)
        places = np.random.default_rng(info["AbsoluteBatch"]).integers(0, 300, info["BatchSize"])
        batch = {"Input": INPUTS[places], "Output": TARGETS[places]}
        return self.change(info, batch) if self.change is not None else batch


def test_a_function_is_called_for_each_batch(train):
    function = Batches()
    results = train(NET, [function, {"RoundLength": 250}], BatchSize=50, MaxTrainingRounds=3)
    assert results(["TotalBatches", "BatchesPerRound", "TrainingExamples", "TotalRounds"]) == [15, 5, 250, 3]
    assert [(info["Round"], info["Batch"], info["AbsoluteBatch"]) for info in function.calls] == [
        (round_, batch, 5 * (round_ - 1) + batch) for round_ in (1, 2, 3) for batch in range(1, 6)
    ]
    assert {info["BatchSize"] for info in function.calls} == {50}
    again = train(NET, [Batches(), {"RoundLength": 250}], BatchSize=50, MaxTrainingRounds=3)
    assert digest(again) == digest(results)


def test_the_batches_of_a_function_are_trained_on_in_their_order(train):
    """Each batch of this round lowers the loss on itself alone: with a rate of 0 the losses are those of the batches."""
    function, net = Batches(), NetInitialize(NetChain([8, Ramp, 2], Input=6))
    results = train(net, [function, {"RoundLength": 250}], BatchSize=50, LearningRate=0, MaxTrainingRounds=1)
    expected = []
    for info in function.calls:
        batch = Batches()(info)
        expected.append(np.mean((np.asarray(net(batch["Input"])) - batch["Output"]) ** 2))
    np.testing.assert_allclose(results("BatchLossList"), expected, rtol=1e-4)


def test_without_a_round_length_a_call_is_a_round(train):
    function = Batches()
    results = train(NET, function, BatchSize=50, MaxTrainingRounds=3)
    assert results(["TotalBatches", "TrainingExamples", "TotalRounds"]) == [3, 50, 3]
    assert len(function.calls) == 3
    whole = train(NET, lambda info: COLUMNS, BatchSize=48, MaxTrainingRounds=2)
    assert whole(["BatchesPerRound", "TrainingExamples"]) == [7, 300]


def test_iterators(train):
    def batches():
        for number in range(7):
            yield Batches()({"BatchSize": 50, "AbsoluteBatch": number})

    results = train(NET, [batches(), {"RoundLength": 150}], BatchSize=50, MaxTrainingRounds=9)
    assert results(["TotalBatches", "TotalRounds", "ReasonTrainingStopped"]) == [7, 3, "ended with its data"]
    with pytest.raises(DataError, match=r"are the function .*batches, which yields\. Call it and give the iterator"):
        train(NET, batches)
    with pytest.raises(DataError, match=r"gave no batch"):
        train(NET, iter([]))
    with pytest.raises(DataError, match=r"can be gone through but has no positions"):
        train(NET, {1, 2})


def test_a_function_that_raises_keeps_the_results(train):
    def fails(info, batch):
        return batch if info["AbsoluteBatch"] < 8 else batch["Missing"]

    function = Batches(fails)
    with pytest.raises(TrainingError, match=r"Batches, asked for round 2, batch 3, raised KeyError: 'Missing'") as raised:
        train(NET, [function, {"RoundLength": 250}], BatchSize=50, MaxTrainingRounds=3)
    assert raised.value.results("TotalBatches") == 7
    assert isinstance(raised.value.__cause__, KeyError)


def halved(batch):
    return {name: column[:25] for name, column in batch.items()}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda b: {name: np.concatenate([c, c]) for name, c in b.items()},
            "gave 100 examples. A batch has BatchSize = 50; fewer are",
        ),
        (lambda b: {name: c[:0] for name, c in b.items()}, "gave no batch. The data of the batch have no examples"),
        (lambda b: {**b, "Input": b["Input"][:, :5]}, "has a vector of size 5 for each example, but the port 'Input' takes"),
        (lambda b: {**b, "Input": ["a"] * 50}, "port 'Input' takes a vector of size 6"),
        (lambda b: {**b, "Output": b["Output"] * np.nan}, "has the value nan"),
        (lambda b: {"Input": b["Input"]}, "The training data have no column for the port 'Output'. Their columns are 'Input'"),
        (lambda b: None, "gave no batch"),
        (lambda b: 5, "gave no batch"),
    ],
    ids=["long", "empty", "shape", "type", "nan", "column", "none", "number"],
)
def test_batches_that_cannot_be_used(train, change, message):
    function = Batches(lambda info, batch: change(batch) if info["AbsoluteBatch"] == 8 else batch)
    with pytest.raises(DataError) as raised:
        train(NET, [function, {"RoundLength": 250}], BatchSize=50, MaxTrainingRounds=3)
    assert message in str(raised.value)
    assert "Batches, asked for round 2, batch 3," in str(raised.value)
    assert raised.value.results("TotalBatches") == 7


def test_short_batches_are_filled_up_by_repeating_them(train):
    short = Batches(lambda info, batch: halved(batch))
    twice = Batches(lambda info, batch: {name: np.concatenate([c[:25], c[:25]]) for name, c in batch.items()})
    net = NetInitialize(NetChain([8, Ramp, 2], Input=6))
    found, expected = (train(net, [f, {"RoundLength": 250}], BatchSize=50) for f in (short, twice))
    np.testing.assert_array_equal(found("BatchLossList"), expected("BatchLossList"))


def test_iterators_that_end_or_never_do(train):
    def batches(count):
        return (Batches()({"BatchSize": 50, "AbsoluteBatch": number}) for number in count)

    options = {"BatchSize": 50, "MaxTrainingRounds": 2}
    with pytest.raises(DataError, match=r"The validation data ended before the training did\."):
        train(NET, COLUMNS, ValidationSet=[batches(range(3)), {"RoundLength": 100}], **options)
    numbers = itertools.count()
    results = train(NET, [batches(numbers), {"RoundLength": 250}], **options)
    assert results("TotalBatches") == next(numbers) == 10, "none is asked for in vain"


def test_rounds_and_batches_of_other_sizes_and_kinds(train, little_memory):
    """A round that one call gives is one chunk, however large; each as large as the first."""
    calls = []
    results = train(NET, lambda info: (calls.append(info), COLUMNS)[1], BatchSize=48)
    assert [len(calls), results("TotalBatches")] == [2, 14]
    changing = Batches(lambda info, batch: batch if info["Round"] == 1 else halved(batch))
    with pytest.raises(DataError, match=r"asked for round 2, gave 25 examples, in round 1 it were 50\."):
        train(NET, changing, BatchSize=50)
    small = Batches()
    assert train(NET, [small, {"RoundLength": 30}], BatchSize=50)("BatchSize") == 30
    assert {info["BatchSize"] for info in small.calls} == {30}

    def pixels(info):
        kind = np.float32 if info["AbsoluteBatch"] == 4 else np.uint8
        return {"Input": np.zeros((9, 1, 8, 8) if kind is np.float32 else (9, 8, 8), kind), "Output": np.zeros((9, 2))}

    net = NetChain([FlattenLayer(), 2], Input=NetEncoder("Image", [8, 8], ColorSpace="Grayscale"))
    with pytest.raises(DataError, match=r"round 1, batch 4, gave .* encoded values in some places and values to be encoded in"):
        train(net, [pixels, {"RoundLength": 90}], BatchSize=9)


def test_what_is_on_the_device_already_stays_there(train, monkeypatch, little_memory):
    with streams_noted(monkeypatch) as streamed:
        train(NET, {name: jnp.asarray(column) for name, column in COLUMNS.items()}, BatchSize=48)
        train(NET, COLUMNS, BatchSize=48)
    assert streamed == [False, True]


def test_the_next_good_example_takes_the_place_of_a_bad_one():
    assert streaming._without(np.array([3, 5, 7, 9]), {5, 9}).tolist() == [3, 7, 7, 3]


def test_functions_to_validate_with(train):
    net, function = NetInitialize(NetChain([8, Ramp, 2], Input=6)), Batches()
    results = train(
        net, COLUMNS, ValidationSet=[function, {"RoundLength": 80}], BatchSize=50, LearningRate=0, MaxTrainingRounds=1
    )
    batch = Batches()({"BatchSize": 50, "AbsoluteBatch": 1}), Batches()({"BatchSize": 50, "AbsoluteBatch": 2})
    losses = [np.mean((np.asarray(net(each["Input"])) - each["Output"]) ** 2, axis=1) for each in batch]
    np.testing.assert_allclose(results("ValidationLoss"), np.concatenate(losses)[:80].mean(), rtol=1e-5)
    with pytest.raises(DataError, match="nothing is held out"):
        train(net, function, ValidationSet=Scaled(0.1))


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ([Batches(), {"RoundLength": 0}], "RoundLength is a number of examples, 1 or more. Got 0."),
        ([Batches(), {"RoundLenght": 9}], "Did you mean 'RoundLength'?"),
    ],
)
def test_wrong_round_lengths(train, data, message):
    with pytest.raises(DeclarationError) as raised:
        train(NET, data)
    assert message in str(raised.value)


# Memory


@pytest.mark.skipif(sys.platform != "linux", reason="limits the address space")
@pytest.mark.parametrize("form", ["file", "source", "generator"])
def test_data_larger_than_the_memory(tmp_path, form):
    """800 MB of examples, where a process may take 700 MB more than it has; HDF5 keeps rows never written in no space."""
    program = f"""
    import os, resource
    os.environ["NETDSL_CACHE_DIR"] = "off"
    import h5py, numpy as np
    from netdsl import *
    from netdsl.symbols import File

    N, W = 200_000, 1000
    path = {str(tmp_path / "large.h5")!r}
    with h5py.File(path, "w") as file:
        file.create_dataset("Input", (N, W), "f4", chunks=(2, W), fillvalue=0.5)
        file.create_dataset("Output", (N, 1), "f4", fillvalue=1.0)

    class Source:
        def __len__(self): return N
        def __getitems__(self, places): return [dict(Input=np.full(W, 0.5, "f4"), Output=np.ones(1, "f4")) for _ in places]
        def __getitem__(self, place): return self.__getitems__([place])[0]

    def generator(info):
        return dict(Input=np.full((info["BatchSize"], W), 0.5, "f4"), Output=np.ones((info["BatchSize"], 1), "f4"))

    net = NetInitialize(NetChain([1], Input=W))
    options = dict(MaxTrainingRounds=1, TrainingProgressReporting=None, BatchSize=500, Method="SGD", LearningRate=1e-4)
    NetTrain(net, [generator, {{"RoundLength": 1000}}], **options)
    pages = lambda: [int(n) * resource.getpagesize() for n in open("/proc/self/statm").read().split()[:2]]
    resource.setrlimit(resource.RLIMIT_AS, (pages()[0] + 700 * 2**20,) * 2)
    before = pages()[1]
    data = dict(file=File(path), source=Source(), generator=[generator, {{"RoundLength": N}}])[{form!r}]
    results = NetTrain(net, data, All, **options)
    assert results("TotalBatches") == 400
    # ru_maxrss would be that of the process which started this one, where it is larger
    peak = next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("VmHWM"))
    grown = peak * 1024 - before
    assert grown < 400e6, grown
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program)], capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert Path(tmp_path / "large.h5").stat().st_size < 50e6
