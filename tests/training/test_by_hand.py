"""A whole training followed in NumPy: every number that the results and a progress function give, step by step."""

from __future__ import annotations

import numpy as np
import pytest

from netdsl import All, LinearLayer, NetChain, NetTrain, Quantity, SoftmaxLayer

RANDOM = np.random.default_rng(8)
INPUTS = RANDOM.normal(size=(10, 3)).astype("f")
CLASSES = RANDOM.integers(1, 4, size=10)
HELD, HELD_CLASSES = RANDOM.normal(size=(5, 3)).astype("f"), RANDOM.integers(1, 4, size=5)
WEIGHTS, BIASES = RANDOM.normal(size=(3, 3)).astype("f"), RANDOM.normal(size=3).astype("f")
RATE, DECAY, SIZE, ROUNDS, PER_ROUND = 2.0, 0.05, 4, 4, 3


def of_examples(weights, biases, inputs, classes):
    """Losses, errors, and the slopes of the mean loss."""
    scores = inputs @ weights.T + biases
    likely = np.exp(scores) / np.exp(scores).sum(1, keepdims=True)
    places = np.arange(len(classes)), classes - 1
    far = likely.copy()
    far[places] -= 1
    return -np.log(likely[places]), likely.argmax(1) != classes - 1, far.T @ inputs / len(classes), far.mean(0)


@pytest.fixture(scope="module")
def trained():
    told = []
    net = NetChain({"out": LinearLayer(3, Weights=WEIGHTS, Biases=BIASES), "p": SoftmaxLayer()}, Input=3)
    results = NetTrain(
        net,
        (INPUTS, CLASSES),
        All,
        ValidationSet=(HELD, HELD_CLASSES),
        BatchSize=SIZE,
        MaxTrainingRounds=ROUNDS,
        Method=["SGD", {"Momentum": 0, "LearningRateSchedule": lambda batch, total: 1 / (1 + DECAY * batch)}],
        LearningRate=RATE,
        LearningRateMultipliers={("out", "Biases"): 0.5},
        TrainingProgressReporting=None,
        TrainingProgressFunction=[lambda facts: told.append(dict(facts)), {"Interval": Quantity(1, "Batches")}],
    )
    return told, results


def test_every_number(trained):
    told, results = trained
    weights, biases = WEIGHTS.astype(float), BIASES.astype(float)
    losses, errors, held, held_errors, nets = [], [], [], [], []

    def near(found, expected):
        np.testing.assert_allclose(found, expected, rtol=2e-4, atol=2e-6)

    def by_round(values):
        return [np.mean(values[start : start + PER_ROUND]) for start in range(0, len(values), PER_ROUND)]

    assert len(told) == ROUNDS * PER_ROUND
    for batch, facts in enumerate(told, 1):
        places = facts["BatchIndices"] - 1
        taken = INPUTS[places], CLASSES[places]
        rate = RATE / (1 + DECAY * batch)
        loss, wrong, *slopes = of_examples(weights, biases, *taken)
        losses.append(loss.mean())
        errors.append(wrong.mean())
        weights, biases = weights - rate * slopes[0], biases - 0.5 * rate * slopes[1]
        loss, _, *slopes = of_examples(weights, biases, *taken)  # with the arrays as they are now
        ends = batch % PER_ROUND == 0
        if ends:
            loss_held, wrong_held, *_ = of_examples(weights, biases, HELD, HELD_CLASSES)
            held.append(loss_held.mean())
            held_errors.append(wrong_held.mean())
            nets.append((weights, biases))
        best = int(np.argmin(held)) + 1 if held else None
        assert [facts[key] for key in ("AbsoluteBatch", "Batch", "Round", "Event", "BestValidationRound")] == [
            batch,
            (batch - 1) % PER_ROUND + 1,
            (batch - 1) // PER_ROUND + 1,
            "Round" if ends else "Batch",
            best,
        ]
        assert (facts["ExamplesProcessed"], facts["TotalBatches"], facts["TotalRounds"]) == (batch * SIZE, 12, ROUNDS)
        assert facts["ProgressFraction"] == pytest.approx(batch / 12)
        near(facts["InitialLearningRate"], RATE)
        near(facts["LearningRate"], rate)
        near(facts["BatchLossList"], losses)
        near(facts["BatchLoss"], losses[-1])
        near(facts["BatchMeasurementsLists"]["ErrorRate"], errors)
        near(facts["BatchMeasurements"]["ErrorRate"], errors[-1])
        near(facts["RoundLossList"], by_round(losses))
        near(facts["RoundLoss"], by_round(losses)[-1])
        near(facts["RoundMeasurementsLists"]["ErrorRate"], by_round(errors))
        near(facts["RoundMeasurements"]["ErrorRate"], by_round(errors)[-1])
        near(facts["ValidationLossList"], held)
        near(facts["ValidationMeasurementsLists"].get("ErrorRate", []), held_errors)
        assert facts["ValidationLoss"] is None if not held else facts["ValidationLoss"] == pytest.approx(held[-1], rel=2e-4)
        assert facts["ValidationMeasurements"] == ({"ErrorRate": pytest.approx(held_errors[-1])} if held else {})
        np.testing.assert_array_equal(facts["BatchData"]["Input"], taken[0])
        near(facts["ExampleLosses"], loss)
        for name, arrays in (("Weights", (weights, biases)), ("Gradients", slopes)):
            flat = np.concatenate([array.ravel() for array in arrays])
            near(facts[name]["out/Weights"], arrays[0])
            near(facts[name]["out/Biases"], arrays[1])
            near(facts[f"{name}Vector"], flat)
            near(facts[f"{name}RMS"], np.sqrt((flat**2).mean()))
        probe = np.exp(HELD[0] @ weights.T + biases)
        near(facts["Net"](HELD[0], None), probe / probe.sum())
        assert 0 < facts["TimeElapsed"] <= told[-1]["TimeElapsed"]
        assert facts["MeanExamplesPerSecond"] > 0 < facts["MeanBatchesPerSecond"]
        assert facts["TimeRemaining"] >= 0

    assert 1 <= best < ROUNDS  # the last is not the best, so that the two are told apart
    for name, expected in {
        "BatchLossList": losses,
        "RoundLossList": by_round(losses),
        "RoundLoss": by_round(losses)[-1],
        "ValidationLossList": held,
        "ValidationLoss": min(held),
        "FinalLearningRate": rate,
        "InitialLearningRate": RATE,
        "RoundPositions": [3, 6, 9, 12],
        "ValidationPositions": [3, 6, 9, 12],
        "BestValidationRound": best,
        "ExamplesProcessed": 48,
    }.items():
        near(results(name), expected)
    for name, values in {
        "BatchMeasurementsLists": errors,
        "RoundMeasurementsLists": by_round(errors),
        "RoundMeasurements": by_round(errors)[-1],
        "ValidationMeasurementsLists": held_errors,
        "ValidationMeasurements": held_errors[best - 1],
    }.items():
        near(results(name)["ErrorRate"], values)
    net = results("TrainedNet")
    near(net["out", "Weights"], nets[best - 1][0])
    near(net["out", "Biases"], nets[best - 1][1])
    near(results("TrainingNet")({"Input": HELD[0], "Output": int(HELD_CLASSES[0])}), -np.log(net(HELD[0])[HELD_CLASSES[0] - 1]))
    assert results("ArraysLearningRateMultipliers") == {"out/Weights": 1.0, "out/Biases": 0.5}
