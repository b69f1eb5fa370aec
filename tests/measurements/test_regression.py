"""Measurements of predicted numbers against values by hand and scikit-learn."""

from __future__ import annotations

import math

import numpy as np
import pytest
import sklearn.metrics
from matplotlib.figure import Figure

from netdsl.errors import DataError, DeclarationError, PartError
from netdsl.measurements import REGRESSION, NumberPredictions, PredictorMeasurementsObject
from netdsl.symbols import Quantity, Rule

ACTUAL, PREDICTED = np.array([1.0, 2.0, 4.0, 5.0]), np.array([1.5, 2.0, 3.0, 5.0])


def measure(specification, predictions=None):
    return REGRESSION.measure(predictions or NumberPredictions(PREDICTED, ACTUAL, examples="wxyz"), specification)


@pytest.mark.parametrize(
    ("specification", "value"),
    [
        ("MeanSquare", 1.25 / 4),
        ("StandardDeviation", math.sqrt(1.25 / 4)),
        ("MeanDeviation", 1.5 / 4),
        ("FractionVarianceUnexplained", 1.25 / 10),
        ("RSquared", 1 - 1.25 / 10),
        (["RSquared", "MeanDeviation"], [0.875, 0.375]),
        ("Residuals", [0.5, 0, -1, 0]),
    ],
)
def test_values_by_hand(specification, value):
    assert measure(specification) == pytest.approx(value)


def test_arrays_agree_with_scikit_learn():
    rng = np.random.default_rng(0)
    truth = rng.normal(size=(50, 3)) * [1, 5, 10] + [0, 3, 9]
    predicted = truth + rng.normal(size=(50, 3))
    p = NumberPredictions(predicted, truth)
    expected = sklearn.metrics.r2_score(truth, predicted, multioutput="variance_weighted")
    assert measure("RSquared", p) == pytest.approx(expected)
    assert measure("MeanSquare", p) == pytest.approx(sklearn.metrics.mean_squared_error(truth, predicted))
    assert measure("MeanDeviation", p) == pytest.approx(sklearn.metrics.mean_absolute_error(truth, predicted))


def test_without_variance():
    assert math.isnan(measure("FractionVarianceUnexplained", NumberPredictions(np.ones(2), np.ones(2))))
    assert measure("FractionVarianceUnexplained", NumberPredictions(np.zeros(2), np.ones(2))) == math.inf
    assert measure("RSquared", NumberPredictions(np.zeros(2), np.ones(2))) == -math.inf


def test_examples():
    assert measure(["WorstPredictedExamples", 2]) == [Rule("y", 4.0), Rule("w", 1.0)]
    assert measure(Rule("BestPredictedExamples", 2)) == [Rule("x", 2.0), Rule("z", 5.0)]
    assert len(measure("BestPredictedExamples")) == 4


def test_plots_show_the_values():
    np.testing.assert_allclose(measure("ComparisonPlot").axes[0].lines[1].get_xydata(), np.stack([ACTUAL, PREDICTED], 1))
    np.testing.assert_allclose(measure("ResidualPlot").axes[0].lines[1].get_ydata(), PREDICTED - ACTUAL)
    assert sum(patch.get_height() for patch in measure("ResidualHistogram").axes[0].patches) == 4


def test_object():
    measured = PredictorMeasurementsObject(NumberPredictions(PREDICTED, ACTUAL, seconds=2.0, example_seconds=1.0))
    assert repr(measured) == "PredictorMeasurementsObject(4 examples, standard deviation 0.559)"
    assert str(measured).splitlines()[0] == "Predictor measurements"
    assert measured("BatchEvaluationTime") == Quantity(0.5, "Seconds")
    assert "R squared" in measured._repr_html_()
    assert "WorstPredictedExamples" not in measured("Properties")
    for name in measured("Properties"):
        assert measured(name) is not None
    assert isinstance(measured("ComparisonPlot"), Figure)


def test_what_cannot_be_measured_is_refused():
    with pytest.raises(PartError, match="Did you mean 'RSquared'"):
        measure("RSqared")
    with pytest.raises(DeclarationError, match="'RSquared' takes no parameter"):
        measure(Rule("RSquared", 1))
    with pytest.raises(PartError, match="examples themselves were not given"):
        measure("BestPredictedExamples", NumberPredictions(PREDICTED, ACTUAL))


@pytest.mark.parametrize(
    ("predicted", "truth", "options", "message"),
    [
        ([1.0], [1.0, 2.0], {}, "one shape"),
        ([], [], {}, "one shape"),
        ([np.nan], [1.0], {}, "finite"),
        ([1.0], [1.0], {"examples": "ab"}, "1 predictions but 2 examples"),
    ],
)
def test_what_does_not_fit_is_refused(predicted, truth, options, message):
    with pytest.raises(DataError, match=message):
        NumberPredictions(np.array(predicted), np.array(truth), **options)
