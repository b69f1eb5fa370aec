"""A training that goes on from a checkpoint ends with the bits of one that was never interrupted."""

from __future__ import annotations

import json
import os
import random
import time
from pathlib import Path
from typing import Any

import jax
import numpy as np
import optax
import pytest

from netdsl import (
    Automatic,
    BatchNormalizationLayer,
    CrossEntropyLossLayer,
    DropoutLayer,
    FormatError,
    FunctionLayer,
    GatedRecurrentLayer,
    ImageAugmentationLayer,
    Infinity,
    LinearLayer,
    MeanSquaredLossLayer,
    NetArray,
    NetChain,
    NetEncoder,
    NetGraph,
    NetInitialize,
    NetPort,
    Quantity,
    Ramp,
    Rule,
    Scaled,
    SequenceLastLayer,
    SoftmaxLayer,
    TrainingError,
)
from netdsl.formats import Export, Import
from netdsl.formats.netdsl_file import checkpoint_parts
from netdsl.lowering import compilations
from netdsl.training import capacity, planning, streaming

SOURCE = np.random.default_rng(3)
INPUTS = SOURCE.normal(size=(44, 6)).astype(np.float32)
CLASSES = [str(value) for value in INPUTS.sum(1) > 0]
PICTURES = SOURCE.integers(0, 256, (20, 8, 8, 3)).astype(np.uint8)
BATCH = {"Interval": Quantity(3, "Batches")}


def plain() -> Any:
    return NetChain([8, BatchNormalizationLayer(), Ramp, DropoutLayer(0.5), 2, SoftmaxLayer()])


def augmenting() -> Any:
    return NetChain([ImageAugmentationLayer([6, 6], Input=NetEncoder("Image", [8, 8])), 4, Ramp, 2, SoftmaxLayer()])


def deep() -> Any:
    """Equal layers, which the training holds stacked."""
    return NetChain([6, *(NetChain([LinearLayer(6), Ramp]) for _ in range(12)), 2, SoftmaxLayer()])


def shared() -> Any:
    return NetChain([LinearLayer(6, Weights=NetArray("w")), Ramp, LinearLayer(6, Weights=NetArray("w")), 2, SoftmaxLayer()])


def with_loss() -> Any:
    return NetGraph(
        {"net": LinearLayer(6), "scale": NetChain([6]), "loss": MeanSquaredLossLayer()},
        [
            NetPort("Input") >> "net" >> NetPort("loss", "Input"),
            NetPort("Input") >> "scale" >> NetPort("loss", "Target"),
        ],
    )


def batches(info: Any) -> Any:
    rows = (info["AbsoluteBatch"] * 8 + np.arange(8)) % len(INPUTS)
    return {"Input": INPUTS[rows], "Output": INPUTS[rows, :2]}


class Rows:
    """A source of examples that are read while they are trained on."""

    def __len__(self) -> int:
        return len(INPUTS)

    def __getitem__(self, place: int) -> Any:
        return INPUTS[place], INPUTS[place, :2]


def in_two() -> Any:
    return NetChain([8, DropoutLayer(0.5), 2], Input=6)


CASES: dict[str, tuple[Any, Any, dict[str, Any]]] = {
    "dropout and batch normalization": (plain, (INPUTS, CLASSES), {"ValidationSet": Scaled(0.2)}),
    "no validation": (plain, (INPUTS, CLASSES), {}),
    "RMSProp": (plain, (INPUTS, CLASSES), {"Method": "RMSProp"}),
    "SGD, multipliers": (plain, (INPUTS, CLASSES), {"Method": "SGD", "LearningRateMultipliers": {1: 0.5, 5: -1}}),
    "frozen": (plain, (INPUTS, CLASSES), {"LearningRateMultipliers": {1: None}}),
    "optax with keys and schedule": (
        plain,
        (INPUTS, CLASSES),
        {"Method": optax.chain(optax.add_noise(0.1, 0.5, jax.random.key(3)), optax.adam(optax.linear_schedule(0.1, 0, 30)))},
    ),
    "optax in bfloat16": (plain, (INPUTS, CLASSES), {"Method": optax.adam(0.01, mu_dtype="bfloat16")}),
    "64 bits": (plain, (INPUTS, CLASSES), {"WorkingPrecision": "Real64"}),
    "mixed": (plain, (INPUTS, CLASSES), {"WorkingPrecision": "Mixed"}),
    "augmentation": (augmenting, (list(PICTURES), CLASSES[:20]), {"BatchSize": 4}),
    "stacked": (deep, (INPUTS, CLASSES), {}),
    "shared": (shared, (INPUTS, CLASSES), {}),
    "loss with arrays": (with_loss, {"Input": INPUTS}, {}),
    "loss with arrays of its own": (
        LinearLayer(6),
        (INPUTS, INPUTS),
        {
            "LossFunction": NetChain(
                [
                    NetGraph(
                        {"t": 6, "l": MeanSquaredLossLayer()},
                        [(NetPort("Input"), "t", NetPort("l", "Input")), (NetPort("Target"), NetPort("l", "Target"))],
                    )
                ]
            )
        },
    ),
    "streamed": (in_two, Rows(), {}),
    "a function of batches": (in_two, [batches, {"RoundLength": 36}], {"ValidationSet": (INPUTS, INPUTS[:, :2])}),
    "average, accumulation, schedule": (
        plain,
        (INPUTS, CLASSES),
        {"Method": ["ADAM", {"MovingAverage": 0.9, "GradientAccumulation": 4, "LearningRateSchedule": "Cosine"}]},
    ),
    "turns": (plain, (INPUTS, CLASSES), {"TrainingUpdateSchedule": {1: 2, 5: 1}, "ValidationSet": Scaled(0.2)}),
    "sequences": (
        lambda: NetChain([GatedRecurrentLayer(4), SequenceLastLayer(), 2, SoftmaxLayer()], Input=["Varying", 6]),
        ([INPUTS[: 3 + i % 4] for i in range(12)], CLASSES[:12]),
        {"BatchSize": 4},
    ),
}


def bits(results: Any) -> dict[str, Any]:
    return {
        "net": [np.asarray(value).tobytes() for value in results("TrainedNet").array_table().values()],
        "all": [np.asarray(value).tobytes() for value in results("TrainingNet").array_table().values()],
        "losses": results("BatchLossList").tobytes(),
        "measurements": {name: values.tobytes() for name, values in results("BatchMeasurementsLists").items()},
        "validation": results("ValidationLossList").tobytes(),
        "rounds": results("RoundPositions").tolist(),
        "best": results("BestValidationRound"),
    }


def made(net: Any) -> Any:
    return net() if callable(net) and not hasattr(net, "array_table") else net


@pytest.mark.parametrize("case", CASES)
def test_the_same_bits(train: Any, case: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if case == "streamed":  # nothing fits the memory, and a chunk holds two batches
        monkeypatch.setattr(capacity, "SMALL", 0)
        monkeypatch.setattr(capacity, "SHARE", 0.0)
        monkeypatch.setattr(streaming, "CHUNK_BYTES", 2 * 8 * 32)
    net, data, options = CASES[case]
    options = {"BatchSize": 8, "MaxTrainingRounds": 3, **options}
    whole = train(made(net), data, **options)
    checkpoints = train(made(net), data, TrainingProgressCheckpointing=["Directory", tmp_path, BATCH], **options)
    assert bits(checkpoints) == bits(whole)
    files = checkpoints("CheckpointingFiles")
    assert len(files) >= 3
    for number, file in enumerate(files):
        where = ["File", tmp_path / f"{number}.netdsl", {"Resume": file}]
        assert bits(train(made(net), data, TrainingProgressCheckpointing=where, **options)) == bits(whole), file


def test_on_several_cores(train: Any, tmp_path: Path) -> None:
    """A net so wide that a batch is shared."""
    data = np.tile(INPUTS, (24, 1)), CLASSES * 24
    net = NetChain([256, Ramp, DropoutLayer(0.5), 256, Ramp, 2, SoftmaxLayer()])
    options = {"BatchSize": 128, "MaxTrainingRounds": 2}
    whole = train(net, data, **options)
    file = train(net, data, TrainingProgressCheckpointing=["Directory", tmp_path, BATCH], **options)("CheckpointingFiles")[0]
    where = ["File", tmp_path / "p.netdsl", {"Resume": file}]
    assert bits(train(net, data, TrainingProgressCheckpointing=where, **options)) == bits(whole)


def going_on(train: Any, folder: Path, rounds: Any, net: Any = None, data: Any = (INPUTS, CLASSES), **options: Any) -> Any:
    where = ["Directory", folder, {"Resume": True, **options.pop("where", {})}]
    options = {"BatchSize": 8, "ValidationSet": Scaled(0.2), "MaxTrainingRounds": rounds, **options}
    return train(plain() if net is None else net, data, TrainingProgressCheckpointing=where, **options)


class TestGoingOn:
    def test_there_is_nothing_yet(self, train: Any, tmp_path: Path) -> None:
        assert going_on(train, tmp_path, 2)("TotalRounds") == 2

    def test_the_last_one_is_taken_and_the_files_go_on(self, train: Any, tmp_path: Path) -> None:
        first = going_on(train, tmp_path, 2)("CheckpointingFiles")
        second = going_on(train, tmp_path, 5)
        assert second("CheckpointingFiles")[:2] == first
        assert second("CheckpointingFiles") == sorted(str(path) for path in tmp_path.iterdir())
        assert len(second("CheckpointingFiles")) == 5
        assert bits(second) == bits(
            train(plain(), (INPUTS, CLASSES), BatchSize=8, ValidationSet=Scaled(0.2), MaxTrainingRounds=5)
        )

    def test_intervals_go_on_where_they_were(self, train: Any, tmp_path: Path) -> None:
        going_on(train, tmp_path, 2)
        told: list[Any] = []
        look = lambda facts: told.append((facts["Round"], facts["Batch"], facts["BatchesPerRound"]))  # noqa: E731
        going_on(train, tmp_path, 5, TrainingProgressFunction=[look, {"Interval": Quantity(2, "Rounds")}])
        assert [round_ for round_, _, _ in told] == [4]
        assert told[0][1] == told[0][2], "at its end"

    def test_one_that_is_done_is_done(self, train: Any, tmp_path: Path) -> None:
        done = going_on(train, tmp_path, 3)
        again = going_on(train, tmp_path, 3)
        assert bits(again) == bits(done)
        assert again(["ReasonTrainingStopped", "TotalBatches"]) == ["finished", done("TotalBatches")]
        assert going_on(train, tmp_path, 2)("TotalRounds") == 3
        assert len(list(tmp_path.iterdir())) == 3

    def test_time_spent_is_counted(self, train: Any, tmp_path: Path) -> None:
        spent = going_on(train, tmp_path, Infinity, TimeGoal=1.0)
        began = time.perf_counter()
        again = going_on(train, tmp_path, Infinity, TimeGoal=1.0)
        assert time.perf_counter() - began < 0.7
        assert again("ReasonTrainingStopped") == "reached the TimeGoal"
        assert again("TotalBatches") == spent("TotalBatches")
        assert again("TotalTrainingTime") >= 1.0

    def test_automatic_time_is_counted(self, train: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(planning, "AUTOMATIC_SECONDS", 0.5)
        first = going_on(train, tmp_path, Automatic, where={"Interval": Quantity(1, "Hours")})
        began = time.perf_counter()
        again = going_on(train, tmp_path, Automatic, where={"Interval": Quantity(1, "Hours")})
        assert time.perf_counter() - began < 0.4
        assert again("TotalRounds") <= first("TotalRounds") + 1

    def test_the_best_net_is_kept(self, train: Any, tmp_path: Path) -> None:
        """The rounds after the interruption are worse: that of before is returned."""
        options = {
            "net": LinearLayer(6, Weights=np.zeros((6, 6)), Biases=np.zeros(6)),
            "data": (INPUTS, INPUTS),
            "ValidationSet": (INPUTS, -INPUTS),
        }
        whole = train(options["net"], options["data"], BatchSize=8, ValidationSet=(INPUTS, -INPUTS), MaxTrainingRounds=5)
        assert whole("BestValidationRound") == 1
        going_on(train, tmp_path, 3, **options)
        assert bits(going_on(train, tmp_path, 5, **options)) == bits(whole)

    def test_nothing_is_compiled_anew(self, train: Any, tmp_path: Path) -> None:
        going_on(train, tmp_path, 2)
        before = compilations()
        going_on(train, tmp_path, 4)
        assert compilations() == before

    def test_an_older_one(self, train: Any, tmp_path: Path) -> None:
        files = going_on(train, tmp_path, 4)("CheckpointingFiles")
        Path(files[3]).unlink()
        again = going_on(train, tmp_path, 4, where={"Resume": files[1]})
        assert [os.path.basename(file).split("_")[1] for file in again("CheckpointingFiles")] == [
            f"{n:06d}" for n in (0, 1, 2, 3, 4)
        ]
        assert bits(again) == bits(going_on(train, tmp_path, 4))

    def test_a_function_of_the_users(self, train: Any, tmp_path: Path) -> None:
        net = NetChain([FunctionLayer(lambda x: x**2 + 1), 2, SoftmaxLayer()])
        going_on(train, tmp_path, 2, net)
        net = NetChain([FunctionLayer(lambda x: x**2 + 1), 2, SoftmaxLayer()])
        assert bits(going_on(train, tmp_path, 4, net)) == bits(
            train(net, (INPUTS, CLASSES), BatchSize=8, ValidationSet=Scaled(0.2), MaxTrainingRounds=4)
        )

    def test_its_net_is_a_net_like_any(self, train: Any, tmp_path: Path) -> None:
        net = Import(going_on(train, tmp_path, 2)("CheckpointingFiles")[-1])
        assert net(INPUTS[0]) in ("True", "False")
        assert train(net, (INPUTS, CLASSES))("TotalRounds") == 2
        Export(tmp_path / "net.netdsl", net)
        assert Import(tmp_path / "net.netdsl") == net


class Failing:
    """A function of the user's that fails when it is called for the n-th time; 0 is never."""

    def __init__(self, nth: int, value: Any = None) -> None:
        self.nth, self.value, self.calls = nth, value, 0

    def __call__(self, *_: Any) -> Any:
        self.calls += 1
        if self.calls == self.nth:
            raise KeyError("mine")
        return self.value

    def __repr__(self) -> str:
        return "Failing"


class Schedule(Failing):
    """Fails for a batch; JAX cannot trace it."""

    def __call__(self, batch: Any, total: Any) -> float:
        if int(batch) == self.nth:
            raise KeyError("mine")
        return 1 / int(batch)


class Batches(Failing):
    """Fails for a batch of data."""

    def __call__(self, info: Any) -> Any:
        if info["AbsoluteBatch"] == self.nth:
            raise KeyError("mine")
        return batches(info)


FUNCTIONS: dict[str, tuple[Any, str, tuple[int, int]]] = {
    "progress": (lambda on: {"TrainingProgressFunction": Failing(2 * on)}, "The TrainingProgressFunction", (2, 5)),
    "criterion": (lambda on: {"TrainingStoppingCriterion": Failing(2 * on, False)}, "The TrainingStoppingCriterion", (2, 5)),
    "schedule": (lambda on: {"Method": ["ADAM", {"LearningRateSchedule": Schedule(8 * on)}]}, "The LearningRateSchedule", (2, 0)),
    "reporter": (
        lambda on: {"TrainingProgressReporting": [Failing(on), {"Interval": Quantity(6, "Batches")}]},
        "The TrainingProgressReporting",
        (2, 1),
    ),
    "data": (
        lambda on: {"net": in_two(), "data": [Batches(7 * on), {"RoundLength": 36}], "ValidationSet": None},
        "The training data: the function Batches",
        (2, 1),
    ),
}


@pytest.mark.filterwarnings("ignore:TrainingStoppingCriterion")
@pytest.mark.parametrize("case", FUNCTIONS)
def test_a_function_that_fails_is_named_and_the_training_can_go_on(train: Any, case: str, tmp_path: Path) -> None:
    """The error has the results so far, the checkpoint is of that moment, and with the function mended all goes on from there."""
    made, words, place = FUNCTIONS[case]
    where = {"Interval": Quantity(1, "Hours")}
    with pytest.raises(TrainingError, match="KeyError: 'mine'") as raised:
        going_on(train, tmp_path / "a", 3, where=where, **made(1))
    assert str(raised.value).startswith(words)
    (file,) = (tmp_path / "a").iterdir()
    assert tuple(map(int, file.name.split("_")[2:4])) == place
    whole = going_on(train, tmp_path / "b", 3, where=where, **made(0))
    results = raised.value.results
    assert results("BatchLossList").tobytes() == whole("BatchLossList")[: results("TotalBatches")].tobytes()
    assert bits(going_on(train, tmp_path / "a", 3, where=where, **made(0))) == bits(whole)


class TestOthers:
    """A checkpoint of another training is refused with all that differs."""

    def refused(self, train: Any, folder: Path, *lines: str, **options: Any) -> None:
        before = sorted(path.read_bytes() for path in folder.iterdir())
        with pytest.raises(TrainingError) as raised:
            going_on(train, folder, 4, **options)
        text = str(raised.value).splitlines()
        assert text[0].startswith("The checkpoint ")
        assert text[0].endswith(" is of another training:")
        shown = sorted(line.strip() for line in text[1:-1])
        assert [line.split(":")[0] for line in shown] == sorted(line.split(":")[0] for line in lines)
        assert all(one.startswith(line) for one, line in zip(shown, sorted(lines)))
        assert sorted(path.read_bytes() for path in folder.iterdir()) == before

    @pytest.fixture(autouse=True)
    def first(self, train: Any, tmp_path: Path) -> None:
        going_on(train, tmp_path, 2)

    def test_net(self, train: Any, tmp_path: Path) -> None:
        other = NetChain([8, BatchNormalizationLayer(), Ramp, DropoutLayer(0.25), 2, SoftmaxLayer()])
        self.refused(train, tmp_path, "net: ", net=other)
        with pytest.raises(TrainingError, match=r"net: .*DropoutLayer.*0.5.* there, .*DropoutLayer.*0.25.* here"):
            going_on(train, tmp_path, 4, net=other)
        self.refused(train, tmp_path, "net: ", net=NetChain([9, Ramp, 2, SoftmaxLayer()]))

    def test_options(self, train: Any, tmp_path: Path) -> None:
        self.refused(train, tmp_path, "batch size: 8 there, 4 here", BatchSize=4)
        self.refused(
            train,
            tmp_path,
            *("seed (RandomSeeding): 1,234 there, 5 here", "sum of the training data", "sum of the validation data"),
            RandomSeeding=5,
        )
        self.refused(train, tmp_path, "working precision: Real32 there, Real64 here", WorkingPrecision="Real64")
        self.refused(train, tmp_path, "learning rate multipliers: {} there, {'1/Weights': 2.0", LearningRateMultipliers={1: 2})
        self.refused(
            train,
            tmp_path,
            "method: ADAM, Beta1 0.9, Beta2 0.999, Epsilon 1e-05 there, SGD, Momentum 0.93 here",
            "learning rate: 0.001 there, 0.1 here",
            Method="SGD",
            LearningRate=0.1,
        )
        self.refused(train, tmp_path, "loss: ", LossFunction=Rule(CrossEntropyLossLayer("Index"), Scaled(2)))
        self.refused(train, tmp_path, "turns (TrainingUpdateSchedule): () there, (0, 1) here", TrainingUpdateSchedule=[1, 5])

    def test_data(self, train: Any, tmp_path: Path) -> None:
        fewer = (
            "number of training examples: 35 there, 32 here",
            "sum of the training data",
            "number of validation examples: 9 there, 8 here",
        )
        self.refused(train, tmp_path, *fewer, "sum of the validation data", data=(INPUTS[:40], CLASSES[:40]))
        self.refused(train, tmp_path, "sum of the training data", "sum of the validation data", data=(INPUTS * 2, CLASSES))
        self.refused(
            train,
            tmp_path,
            "number of training examples",
            "sum of the training data",
            "number of validation examples",
            "sum of the validation data",
            ValidationSet=None,
        )

    def test_frozen_arrays(self, train: Any, tmp_path: Path) -> None:
        nets = [NetInitialize(LinearLayer(6, Input=6), RandomSeeding=seed) for seed in (1, 2)]
        nets = [NetChain([net, 2, SoftmaxLayer()]) for net in nets]
        options = {"LearningRateMultipliers": {1: None}}
        going_on(train, tmp_path / "d", 2, net=nets[0], **options)
        with pytest.raises(TrainingError, match="the arrays that are not trained have other values"):
            going_on(train, tmp_path / "d", 2, net=nets[1], **options)

    def test_more_rounds_and_time_and_reports_are_not_another_training(self, train: Any, tmp_path: Path) -> None:
        assert going_on(train, tmp_path, 3, TimeGoal=60, TargetDevice="CPU")("TotalRounds") == 3


class TestDamage:
    @pytest.fixture
    def file(self, train: Any, tmp_path: Path) -> Path:
        return Path(going_on(train, tmp_path, 2)("CheckpointingFiles")[-1])

    def refused(self, train: Any, file: Path, match: str = "cannot be imported") -> None:
        with pytest.raises(FormatError, match=match) as raised:
            going_on(train, file.parent, 3)
        assert str(file) in str(raised.value)

    def test_cut_off(self, train: Any, file: Path) -> None:
        whole = file.read_bytes()
        for part in range(16):
            file.write_bytes(whole[: len(whole) * part // 16])
            self.refused(train, file)
            with pytest.raises(FormatError):
                Import(file)
        file.write_bytes(whole + b"x")
        self.refused(train, file)

    def test_flipped(self, train: Any, file: Path) -> None:
        whole, rng = file.read_bytes(), random.Random(1)
        for _ in range(200):
            place = rng.randrange(len(whole) * 8)
            damaged = bytearray(whole)
            damaged[place // 8] ^= 1 << place % 8
            file.write_bytes(damaged)
            for read in (checkpoint_parts, Import):
                with pytest.raises(FormatError):
                    read(str(file))
        self.refused(train, file)

    def test_swapped(self, train: Any, file: Path) -> None:
        first, second = (path.read_bytes() for path in sorted(file.parent.iterdir()))
        head = [text.index(b"\n", text.index(b"\n") + 1) + 1 for text in (first, second)]
        file.write_bytes(first[: head[0]] + second[head[1] :])
        self.refused(train, file)

    def test_a_net(self, train: Any, file: Path) -> None:
        Export(file, Import(file))
        self.refused(train, file, "it is a net, and no checkpoint of a training")

    def test_whole_but_wrong(self, train: Any, file: Path) -> None:
        """What holds together and was never written by a training: an enemy's file."""
        from netdsl.formats.netdsl_file import _parts, packed

        parts = _parts(str(file))
        good = json.loads(parts[2])

        def changes(good: Any) -> Any:
            yield []
            yield {}
            for key in good:
                yield {name: value for name, value in good.items() if name != key}
                for wrong in (None, 3, "x", [], {}, {"plain": 1}, [["a"]]):
                    if wrong != good[key] and not (key == "best" and wrong is None):
                        yield {**good, key: wrong}
            for key in good["history"]:
                for wrong in (
                    {"plain": []},
                    {"plain": None},
                    {"numbers": ["none", None]},
                    {"numbers": good["history"]["losses"]["arrays"][1]},
                    3,
                ):
                    if wrong != good["history"][key]:
                        yield {**good, "history": {**good["history"], key: wrong}}
            for key in good["carry"]:
                yield {**good, "carry": {**good["carry"], key: ["none", None]}}
                yield {**good, "carry": {**good["carry"], key: [good["carry"][key][0], "bfloat16"]}}

        accepted = []
        for changed in changes(good):
            file.write_bytes(b"".join(packed([*parts[:2], json.dumps(changed).encode(), parts[3]])))
            try:
                going_on(train, file.parent, 3)
            except (FormatError, TrainingError):
                continue
            accepted.append(changed)
            for path in sorted(file.parent.iterdir()):
                if path > file:
                    path.unlink()
        assert len(accepted) <= 6, accepted
