"""Sequences whose lengths must agree: those of a net's input and its target."""

from __future__ import annotations

import numpy as np
import pytest

from netdsl import (
    All,
    LinearLayer,
    LongShortTermMemoryLayer,
    NetChain,
    NetInitialize,
    NetMapOperator,
    NetTrain,
    Quantity,
    SequenceLastLayer,
)
from netdsl.errors import EncodingError
from netdsl.lowering import compilations
from netdsl.nets import Sequence
from netdsl.training import capacity, lengths, streaming


def test_targets_of_another_length_than_the_net_gives():
    net = NetChain([LongShortTermMemoryLayer(2), NetMapOperator(LinearLayer(1))], Input=["Varying", 2])
    inputs = [np.ones((n, 2)) for n in (2, 5, 3)]
    targets = [np.ones((n, 1)) for n in (2, 6, 3)]
    with pytest.raises(EncodingError, match=r"take sequences of equal length. Got lengths 5 and 6 in example 2\."):
        NetTrain(net, {"Input": inputs, "Output": targets}, MaxTrainingRounds=1, TrainingProgressReporting=None)
    trained = NetTrain(
        net,
        {"Input": inputs, "Output": [t[: len(x)] for x, t in zip(inputs, targets)]},
        MaxTrainingRounds=1,
        TrainingProgressReporting=None,
    )
    assert trained(inputs[1]).shape == (5, 1)


# Batches of about equal lengths


def sequences(count, longest=200, seed=3):
    source = np.random.default_rng(seed)
    inputs = [source.normal(size=(n, 2)).astype(np.float32) for n in source.integers(1, longest + 1, size=count)]
    return inputs, np.array([[x.sum()] for x in inputs], np.float32) / 10


SUMS = NetInitialize(NetChain([LongShortTermMemoryLayer(3), SequenceLastLayer(), 1], Input=["Varying", 2]))
QUIET = {"TrainingProgressReporting": None, "MaxTrainingRounds": 2}


def test_few_programs_serve_all_lengths():
    net = NetInitialize(NetChain([LongShortTermMemoryLayer(3), SequenceLastLayer(), 1], Input=["Varying", 2]), RandomSeeding=2)
    before = compilations()
    NetTrain(net, sequences(400), BatchSize=8, **QUIET)
    made = compilations() - before
    assert 2 < made <= lengths.MOST_GROUPS
    before = compilations()
    NetTrain(net, sequences(400), BatchSize=8, **{**QUIET, "MaxTrainingRounds": 3}, RandomSeeding=9)
    assert compilations() == before


def test_the_loss_is_a_mean_over_examples_whatever_their_lengths():
    inputs, targets = sequences(45)
    results = NetTrain(SUMS, (inputs, targets), All, BatchSize=9, LearningRate=0, **QUIET)
    outputs = np.array([SUMS(x) for x in inputs])
    np.testing.assert_allclose(results("RoundLossList"), np.mean((outputs - targets) ** 2), rtol=1e-4)


def test_batches_are_padded_to_few_lengths_and_come_in_a_random_order():
    source = np.random.default_rng(1)
    column = Sequence(np.zeros((1000, 300)), source.integers(1, 301, size=1000))
    group, padded = lengths.groups({"Input": column})
    order, which = lengths.arranged(source.permutation(1000), group, 16, np.random.default_rng(5))
    assert sorted(order) == list(range(1000))
    assert len(which) == 63
    for batch, its_group in enumerate(which[:-1]):
        longest = column.length[order[16 * batch : 16 * batch + 16]].max()
        assert longest <= dict(padded[its_group])["Input"]
    assert which[-1] == group.max()
    assert padded[-1] == (("Input", 300),)
    steps = np.abs(np.diff(which[:-1]))
    assert steps.max() > 2
    assert (steps > 0).mean() > 0.4
    computed = sum(dict(padded[g])["Input"] for g in which) / (63 * 300)
    assert computed < 0.65


# The same where data are streamed


class Streamed:
    """Sequences with their sums, read by position; most are short."""

    def __init__(self, count=400):
        source = np.random.default_rng(6)
        lengths_ = np.minimum(source.geometric(1 / 12, size=count), 150)
        self.inputs = [source.normal(size=(n, 2)).astype(np.float32) for n in lengths_]
        self.targets = np.array([[x.sum()] for x in self.inputs], np.float32) / 10

    def __len__(self):
        return len(self.inputs)

    def __getitem__(self, place):
        return {"Input": self.inputs[place], "Output": self.targets[place]}


LAST = NetInitialize(NetChain([NetMapOperator(LinearLayer(3)), SequenceLastLayer(), 1], Input=["Varying", 2]))


@pytest.fixture
def little_memory(monkeypatch):
    """Nothing fits the memory, and a chunk holds about ten batches of eight."""
    monkeypatch.setattr(capacity, "SMALL", 0)
    monkeypatch.setattr(capacity, "SHARE", 0.0)
    monkeypatch.setattr(streaming, "CHUNK_BYTES", 2**15)


def bits(results):
    return [np.asarray(value).tobytes() for value in results("TrainedNet").arrays.values()]


def test_streamed_sequences_come_in_batches_of_about_equal_lengths(little_memory, monkeypatch):
    """What is computed is far less than with each batch as long as the longest, by few programs; each example counts once."""
    seen = []
    place = streaming.Streamed._placed

    def noted(self, *given):
        seen.append(place(self, *given))
        return seen[-1]

    monkeypatch.setattr(streaming.Streamed, "_placed", noted)
    data = Streamed()
    before = compilations()
    results = NetTrain(LAST, data, All, BatchSize=8, LearningRate=0, **QUIET)
    assert compilations() - before <= 2 * lengths.MOST_GROUPS
    chunks = [chunk for chunk in seen if chunk.batches]
    assert len(chunks) > 4
    order = np.concatenate([np.asarray(chunk.order[0])[: 8 * chunk.batches] for chunk in chunks])
    for round_ in (order[:400], order[400:800]):
        assert sorted(round_) == list(range(400))
    computed = whole = 0
    for chunk in chunks:
        sequences, examples = chunk.data["Input"], np.asarray(chunk.order[0])
        assert np.asarray(sequences.length).tolist()[: 8 * chunk.batches] == [
            len(data.inputs[i]) for i in examples[: 8 * chunk.batches]
        ]
        for batch, plan in enumerate(chunk.plans[group] for group in chunk.which):
            there, (length,) = np.asarray(sequences.length)[8 * batch : 8 * batch + 8], dict(plan.lengths).values()
            assert there.max() <= length <= sequences.data.shape[1]
            computed, whole = computed + length, whole + sequences.data.shape[1]
        assert np.any(np.diff(chunk.which) < 0), "in a random order"
    assert computed < 0.45 * whole
    padded = [chunk.data["Input"].data.shape[1] for chunk in chunks]
    assert padded == sorted(padded), "no chunk has programs of its own because it is shorter"
    assert min(int(np.asarray(chunk.data["Input"].length).max()) for chunk in chunks) <= 3 * padded[-1] // 4
    expected = np.mean((np.array(LAST(data.inputs)) - data.targets) ** 2)
    np.testing.assert_allclose(results("RoundLossList"), [expected] * 2, rtol=1e-4)


def test_a_streamed_training_goes_on_within_a_round_to_the_same_bits(little_memory, tmp_path):
    """Also where the chunks before it, with longer sequences, were never read."""
    data, options = Streamed(), {"BatchSize": 8, **QUIET}
    whole = NetTrain(LAST, data, All, **options)
    where = ["Directory", tmp_path, {"Interval": Quantity(19, "Batches")}]
    files = NetTrain(LAST, data, All, TrainingProgressCheckpointing=where, **options)("CheckpointingFiles")
    assert len(files) > 3
    for number, file in enumerate(files[:4]):
        where = ["File", tmp_path / f"{number}.netdsl", {"Resume": file}]
        again = NetTrain(LAST, data, All, TrainingProgressCheckpointing=where, **options)
        assert bits(again) == bits(whole), file
        assert again("BatchLossList").tobytes() == whole("BatchLossList").tobytes()


def test_batches_of_a_function_stay_as_they_are():
    """In their order, each as long as its own longest sequence needs."""
    data = Streamed()

    def batch(info):
        places = np.arange(8) + 8 * ((info["AbsoluteBatch"] - 1) % 50)
        return {"Input": [data.inputs[i] for i in places], "Output": data.targets[places]}

    results = NetTrain(LAST, [batch, {"RoundLength": 400}], All, BatchSize=8, LearningRate=0, **QUIET)
    losses = (np.array(LAST(data.inputs)) - data.targets) ** 2
    np.testing.assert_allclose(results("BatchLossList"), np.tile(losses.reshape(50, 8).mean(axis=1), 2), rtol=1e-4)


def test_lengths_of_one_ladder():
    source = np.random.default_rng(2)
    known = set()
    for _ in range(30):
        a, b = source.integers(1, 257, size=50), source.integers(1, 20, size=50)
        a[0], b[0] = 256, 19
        group, steps = lengths.shared_groups({"a": a, "b": b})
        known.update(steps)
        for place in range(50):
            there = dict(steps[group[place]])
            assert a[place] <= there["a"] <= max(2 * a[place], 256 // 12 + 4)
            assert b[place] <= there["b"] <= 24
    assert len(known) == lengths.MOST_GROUPS
    group, steps = lengths.shared_groups({"a": np.array([1, 3, 9, 5, 20])})
    assert [dict(steps[each])["a"] for each in group] == [8, 8, 12, 8, 24], "the short ones are together"
    assert lengths.shared_groups({"a": np.zeros(3, int)})[1] == [(("a", 1),)]


def test_equal_lengths_are_one_group():
    column = Sequence(np.zeros((10, 7)), np.full(10, 7))
    assert lengths.groups({"Input": column}) == (None, [])
    assert lengths.groups({"Input": np.zeros((10, 7))}) == (None, [])
    short = Sequence(np.zeros((8, 8)), np.arange(1, 9))
    assert lengths.groups({"Input": short}) == (None, []), "short ones together"


def test_two_ports_that_vary():
    columns = {
        "a": Sequence(np.zeros((4, 64)), np.array([1, 64, 30, 2])),
        "b": Sequence(np.zeros((4, 9)), np.array([9, 1, 9, 2])),
    }
    group, padded = lengths.groups(columns)
    for each in range(4):
        for port, longest in padded[group[each]]:
            assert columns[port].length[each] <= longest
    assert dict(padded[-1]) == {"a": 64, "b": 9}
