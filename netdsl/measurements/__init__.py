"""How well nets do: every measurement of classifiers and of predictors of numbers, from plain arrays."""

from __future__ import annotations

from netdsl.measurements import classification, objects, predictions, regression
from netdsl.measurements.classification import *
from netdsl.measurements.netmeasurements import NetMeasurements
from netdsl.measurements.nets import ClassifierMeasurements, PredictorMeasurements
from netdsl.measurements.objects import *
from netdsl.measurements.predictions import *
from netdsl.measurements.regression import *

__all__ = [
    *classification.__all__,
    *objects.__all__,
    *predictions.__all__,
    *regression.__all__,
    "ClassifierMeasurements",
    "NetMeasurements",
    "PredictorMeasurements",
]
