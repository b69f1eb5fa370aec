"""Measurements to be asked again and again without evaluating again."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from netdsl.errors import public
from netdsl.measurements.classification import CLASSIFICATION, confusion_plot, summary
from netdsl.measurements.predictions import Predictions
from netdsl.measurements.regression import REGRESSION, NumberPredictions, regression_rows
from netdsl.measurements.report import MATRIX_UP_TO, panel

__all__ = ["ClassifierMeasurementsObject", "PredictorMeasurementsObject"]


@dataclass(frozen=True, eq=False)
class ClassifierMeasurementsObject:
    """The measurements of a classifier on test data; call it with what to measure.

    Args:
        predictions: what the classifier said, with the true classes.

    Raises:
        PartError: asked for a property that there is not, or that lacks examples or times.
        DeclarationError: asked with a parameter that the property cannot take.

    A property is asked for by its name, with a parameter by a Rule, several in a list. A list of two whose first is a property
    that takes a parameter and whose second is no property is the form with a parameter: ``["Accuracy", 2]``. ``"Properties"``
    lists all names.

    Differences from Wolfram: a rate 0/0 is NaN in place of Indeterminate; ``"ROCCurve"`` gives points and ``"ROCCurvePlot"``
    the figure; ``"TopConfusions"`` gives the counts as well; probabilities below 1.2e-38 count as 1.2e-38 in cross entropies.

    >>> from netdsl.measurements import from_predictions
    >>> truth = ["cat", "dog", "cat", "dog"]
    >>> measured = ClassifierMeasurementsObject(from_predictions(["cat", "dog", "dog", "dog"], truth))
    >>> measured
    ClassifierMeasurementsObject(4 examples, 2 classes, accuracy 0.75)
    >>> measured("Recall")
    {'cat': 0.5, 'dog': 1.0}
    >>> measured(["Accuracy", ["Recall", "cat"]])
    [0.75, 0.5]
    """

    predictions: Predictions

    @public
    def __call__(self, specification: Any, /) -> Any:
        return CLASSIFICATION.measure(self.predictions, specification)

    def __repr__(self) -> str:
        p = self.predictions
        return f"{type(self).__name__}({len(p.truth)} examples, {len(p.classes)} classes, accuracy {self('Accuracy'):.4g})"

    def __str__(self) -> str:
        return str(self("Report"))

    def _repr_html_(self) -> str:
        worst = MATRIX_UP_TO if len(self.predictions.classes) > MATRIX_UP_TO else None
        figure = confusion_plot(self.predictions) if worst is None else self(["ConfusionMatrixPlot", worst])
        rows = summary(self.predictions)
        if worst:
            rows.append(("confusion matrix of", f"the {worst} worst of {len(self.predictions.classes)} classes"))
        return panel("Classifier measurements", rows, figure)


@dataclass(frozen=True, eq=False)
class PredictorMeasurementsObject:
    """The measurements of a net that predicts numbers; call it with what to measure.

    Args:
        predictions: what was predicted, with the true values.

    Raises:
        PartError: asked for a property that there is not, or that lacks examples or times.
        DeclarationError: asked with a parameter that the property cannot take.

    Differences from Wolfram: what needs a predicted distribution, such as "LogLikelihood", is not measured.

    >>> import numpy as np
    >>> measured = PredictorMeasurementsObject(NumberPredictions(np.array([1.0, 2.0]), np.array([1.0, 4.0])))
    >>> measured(["MeanSquare", "MeanDeviation"])
    [2.0, 1.0]
    """

    predictions: NumberPredictions

    @public
    def __call__(self, specification: Any, /) -> Any:
        return REGRESSION.measure(self.predictions, specification)

    def __repr__(self) -> str:
        deviation = self("StandardDeviation")
        return f"{type(self).__name__}({len(self.predictions.truth)} examples, standard deviation {deviation:.4g})"

    def __str__(self) -> str:
        return str(self("Report"))

    def _repr_html_(self) -> str:
        return panel("Predictor measurements", regression_rows(self.predictions), self("ComparisonPlot"))
