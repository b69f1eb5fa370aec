"""Numbers that are not finite, wherever they come from: where the training stops, the likely cause, and the net that is left."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np
import optax
import pytest

from netdsl import (
    BatchNormalizationLayer,
    DeclarationError,
    FunctionLayer,
    LinearLayer,
    MeanSquaredLossLayer,
    NetArrayLayer,
    NetChain,
    NetGraph,
    NetPort,
    Plus,
    Rule,
    Scaled,
    SoftmaxLayer,
    TrainingError,
)
from netdsl.training import capacity, trouble

INPUTS = np.random.default_rng(1).normal(size=(40, 3)).astype(np.float32)
TARGETS = INPUTS.sum(1)
DATA = INPUTS, TARGETS
ROOT = FunctionLayer(jnp.sqrt)
ONES = LinearLayer([], Weights=[[1.0, 1, 1]], Biases=None, Input=3)
CURES = "inputs scaled to about 1, or a normalization layer are the usual cures."


def weights(value):
    return np.array([[1.0, value, 0.0]])


def twice(first, second):
    """A net with two losses, each of its own layer."""
    net = NetGraph(
        {"a": ONES, "f": first, "b": second},
        [(NetPort("Input"), "a", "f", NetPort("One")), (NetPort("Input"), "b", NetPort("Two"))],
    )
    return net, {"Input": INPUTS, "One": abs(TARGETS), "Two": TARGETS}


CAUSES = {
    "an array to train": (
        LinearLayer([], Weights=weights(np.nan), Input=3), DATA, {},
        "NetTrain cannot begin with this net: its array 'Weights' has the value nan. Replace it; NetInitialize(net, All) makes all "
        "arrays anew.",
    ),
    "a state": (
        NetChain([BatchNormalizationLayer(MovingVariance=[1, np.inf, 1]), LinearLayer([])], Input=3), DATA, {},
        "NetTrain cannot begin with this net: its array '1/MovingVariance' has the value inf. Replace it; NetInitialize(net, All) "
        "makes all arrays anew.",
    ),
    "an array that is not trained": (
        NetChain([LinearLayer(3, Weights=np.full((3, 3), np.nan)), LinearLayer([])], Input=3), DATA,
        {"LearningRateMultipliers": {1: None}},
        "The loss of batch 1 of round 1 is nan, at the port 'Loss'. Its cause is the array '1/Weights' of the LinearLayer '1', which "
        "is not finite. Replace it.",
    ),
    "large inputs": (
        ONES, (INPUTS * 1e30, TARGETS), {},
        "The loss of batch 1 of round 1 is inf, at the port 'Loss'. It comes from the MeanSquaredLossLayer 'Loss', whose inputs are "
        "from -1.8e+30 to 1.81e+30: scale inputs and targets to about 1.",
    ),
    "large targets, in half precision": (
        ONES, (INPUTS, TARGETS * 1e30), {"WorkingPrecision": "Mixed"},
        "The loss of batch 1 of round 1 is inf, at the port 'Loss'. It comes from the MeanSquaredLossLayer 'Loss', whose inputs are "
        "from -1.8e+30 to 1.81e+30: scale inputs and targets to about 1.",
    ),
    "the root of what is negative": (
        NetChain([ONES, ROOT]), (INPUTS, abs(TARGETS)), {},
        "The loss of batch 1 of round 1 is nan, at the port 'Loss'. It comes from the FunctionLayer '2', whose inputs are from -1.8 "
        "to 1.81: what it computes is not defined for all of them. Change the layer, or what leads to it.",
    ),
    "the same of two losses": (
        *twice(ROOT, LinearLayer([])), {},
        "The loss of batch 1 of round 1 is nan, at the port 'Loss1'. It comes from the FunctionLayer 'f', whose inputs are from "
        "-1.8 to 1.81: what it computes is not defined for all of them. Change the layer, or what leads to it.",
    ),
    "the slope of the root at 0": (
        NetChain([ONES, ROOT]), (INPUTS * 0, abs(TARGETS)), {"BatchSize": 40},
        "The loss of batch 1 of round 2 is nan, at the port 'Loss'. The loss of the batch before was 2.22, but its gradient for the "
        "array '1/Weights' is not finite: the derivative of some function in the net is not, as that of the square root at 0.",
    ),
    "one step too large": (
        ONES, (INPUTS, TARGETS + 1), {"Method": "SGD", "LearningRate": 1e25},
        "The loss of batch 2 of round 1 is inf, at the port 'Loss'. The loss before was 1: the step after it led out of the numbers. "
        f"A smaller LearningRate than 1e+25, {CURES}",
    ),
    "many": (
        ONES, (INPUTS, TARGETS + 1), {"Method": "SGD", "LearningRate": 1e4},
        "The loss of batch 1 of round 2 is inf, at the port 'Loss'. Before that it rose from 1 to *: the steps are too large. "
        f"A smaller LearningRate than 10000, {CURES}",
    ),
    "many, in double precision": (
        ONES, (INPUTS, TARGETS + 1), {"Method": "SGD", "LearningRate": 1e30, "WorkingPrecision": "Real64"},
        "The loss of batch 2 of round 2 is inf, at the port 'Loss'. Before that it rose from 1 to *: the steps are too large. "
        f"A smaller LearningRate than 1e+30, {CURES}",
    ),
    "a rate that an own method has": (
        ONES, DATA, {"Method": optax.sgd(np.nan)},
        "The loss of batch 2 of round 1 is nan, at the port 'Loss'. The loss before was 0: the step after it led out of the numbers. "
        f"A smaller learning rate in Method, {CURES}",
    ),
    "later, from one batch to the next": (
        ONES, (INPUTS, TARGETS + 1),
        {"Method": optax.chain(optax.scale_by_schedule(optax.piecewise_constant_schedule(-1e-3, {3: 1e38}))), "BatchSize": 40},
        "The loss of batch 1 of round 5 is inf, at the port 'Loss'. The loss before was 1: the step after it led out of the numbers, "
        f"or the derivative of some function in the net is not finite there. A smaller learning rate in Method, {CURES}",
    ),
}  # fmt: skip


def matches(text, pattern):
    """Whether a text is the pattern, whose stars stand for anything."""
    parts = pattern.split("*")
    for part in parts[:-1]:
        if part not in text:
            return False
        text = text.split(part, 1)[1]
    return text.endswith(parts[-1]) if len(parts) > 1 else text == pattern


STREAMED = ("large inputs", "the slope of the root at 0", "many")


@pytest.mark.parametrize(("case", "streamed"), [*((case, False) for case in CAUSES), *((case, True) for case in STREAMED)])
def test_the_likely_cause(train, monkeypatch, case, streamed):
    net, data, options, message = CAUSES[case]
    if streamed:
        monkeypatch.setattr(capacity, "SMALL", 0)
        monkeypatch.setattr(capacity, "SHARE", 0.0)
        if case == "the slope of the root at 0":  # its batch is no longer there
            message = (
                message.split(" The loss of")[0]
                + f" The loss before was 2.22: the step after it led out of the numbers. A smaller LearningRate than 0.001, {CURES}"
            )
    with pytest.raises(TrainingError) as raised:
        train(net, data, **{"BatchSize": 8, "MaxTrainingRounds": 9, **options})
    text = str(raised.value).split(" error.results")[0]
    assert matches(text, message), text


@pytest.mark.parametrize("every", [0.0, 1e9], ids=["always", "once"])
def test_without_validation_the_last_net_that_was_finite_goes_with_the_error(train, monkeypatch, every):
    monkeypatch.setattr(trouble, "KEPT_EVERY", every)
    monkeypatch.setattr(trouble, "COPYING", 0.0)
    net = LinearLayer([], Weights=[[0.0]], Biases=None, Input=1)
    schedule = optax.piecewise_constant_schedule(-0.1, {3: 1e38})
    with pytest.raises(TrainingError) as raised:
        train(net, (np.ones([4, 1]), np.ones(4)), Method=optax.scale_by_schedule(schedule), MaxTrainingRounds=20)
    results, last = raised.value.results, 3 if every == 0 else 1
    assert str(raised.value).endswith(
        f" error.results holds the results with the net after batch 1 of round {last}, the last that was kept."
    )
    np.testing.assert_allclose(results("TrainedNet").arrays["Weights",], [[1 - 0.8**last]], rtol=1e-5)
    assert results("BestValidationRound") is None
    assert results("ReasonTrainingStopped") == "stopped at numbers that are not finite,"
    assert np.isfinite(results("BatchLossList")).tolist() == [True] * 4 + [False]
    assert str(results)


def test_where_memory_is_spared_no_net_is_kept(train):
    with pytest.raises(TrainingError) as raised:
        train(ONES, (INPUTS, TARGETS + 1), Method="SGD", LearningRate=1e4, MaxTrainingRounds=9, PerformanceGoal="TrainingMemory")
    assert raised.value.results is None


def test_a_port_that_is_not_minimized_may_be_anything(train):
    net, data = twice(ROOT, LinearLayer([]))
    del data["One"]
    results = train(net, data, LossFunction=Rule("Two", MeanSquaredLossLayer()), ValidationSet=Scaled(0.2))
    assert np.isfinite(results("BatchLossList")).all()
    assert results("BestValidationRound") == 2


def test_an_array_that_is_not_trained_may_be_a_mask(train):
    mask = NetArrayLayer(Array=[0.0, -np.inf, 0.0])
    edges = [([NetPort("Input"), "mask"], "sum"), ("sum", "soft", "out")]
    net = NetGraph({"mask": mask, "sum": Plus, "soft": SoftmaxLayer(), "out": LinearLayer([])}, edges, Input=3)
    assert np.isfinite(train(net, DATA, "RoundLoss", LearningRateMultipliers={"mask": 0}))


def test_a_measurement_that_is_not_finite_stops_nothing(train):
    options = {"TrainingProgressMeasurements": lambda ports: jnp.log(ports["Output"]), "ValidationSet": Scaled(0.2)}
    results = train(ONES, DATA, **options)
    (values,) = results("RoundMeasurementsLists").values()
    assert np.isnan(values).all()
    assert results("BestValidationRound")
    assert len(results("FinalPlots")) == 2
    assert str(results)


def test_validations_that_are_never_finite_are_told(train):
    results = train(ONES, (INPUTS, TARGETS + 1), ValidationSet=(INPUTS * 1e30, TARGETS), MaxTrainingRounds=3)
    assert results(["BestValidationRound", "ValidationLoss"]) == [None, None]
    assert "validation  never finite: the net is that after the last batch" in str(results)
    assert np.isfinite(results("RoundLoss"))


@pytest.mark.parametrize("value", [np.nan, np.inf], ids=str)
@pytest.mark.parametrize(
    ("option", "setting"),
    [
        ("LearningRate", lambda v: v),
        ("LearningRateMultipliers", lambda v: v),
        ("LearningRateMultipliers", lambda v: {"Weights": v}),
        ("Method", lambda v: ["ADAM", {"LearningRateSchedule": lambda batch, total: v if batch > 3 else 1.0}]),
        ("Method", lambda v: ["ADAM", {"LearningRate": v}]),
        ("Method", lambda v: ["ADAM", {"Beta1": v}]),
        ("Method", lambda v: ["ADAM", {"Epsilon": v}]),
        ("Method", lambda v: ["SGD", {"Momentum": v}]),
        ("Method", lambda v: ["SGD", {"L2Regularization": v}]),
        ("Method", lambda v: ["SGD", {"GradientClipping": {"Weights": v}}]),
        ("Method", lambda v: ["SGD", {"WeightClipping": v}]),
        ("Method", lambda v: ["SGD", {"MovingAverage": v}]),
        ("Method", lambda v: ["SGD", {"GradientAccumulation": v}]),
        ("LossFunction", lambda v: Rule(MeanSquaredLossLayer(), Scaled(v))),
        ("BatchSize", lambda v: v),
        ("ValidationSet", Scaled),
        ("TrainingStoppingCriterion", lambda v: {"Criterion": "Loss", "Patience": v}),
        ("TrainingProgressReporting", lambda v: ["Print", {"Interval": v}]),
        ("TrainingUpdateSchedule", lambda v: {"Weights": v}),
        ("RandomSeeding", lambda v: v),
    ],
)
def test_options_that_are_not_finite(train, option, setting, value):
    with pytest.raises(DeclarationError) as raised:
        train(ONES, DATA, **{"BatchSize": 8, option: setting(value)})
    words = "nan" if np.isnan(value) else "inf"
    assert words in str(raised.value)
