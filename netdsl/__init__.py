"""netdsl: Mathematica's neural-net language in Python, at JAX speed."""

from netdsl import containers, errors, functions, layers, surgery, symbols
from netdsl.columns import Column, Examples
from netdsl.containers import *
from netdsl.decoders import NetDecoder
from netdsl.encoders import NetEncoder
from netdsl.errors import *
from netdsl.formats import Export, Import
from netdsl.functions import *
from netdsl.initialization import NetInitialize
from netdsl.layers import *
from netdsl.measurements import (
    ClassifierMeasurements,
    ClassifierMeasurementsObject,
    NetMeasurements,
    PredictorMeasurements,
    PredictorMeasurementsObject,
)
from netdsl.measurements import ClassifierMeasurements
from netdsl.nets import NetArray
from netdsl.resources import ExampleData, ResourceData, ResourceObject
from netdsl.surgery import *
from netdsl.symbols import *
from netdsl.training import NetTrain, NetTrainResultsObject

__version__ = "0.1.0"

__all__ = sorted({  # noqa: PLE0605
    *containers.__all__, *errors.__all__, *functions.__all__, *layers.__all__, *surgery.__all__, *symbols.__all__,
    "ClassifierMeasurements", "ClassifierMeasurementsObject", "NetMeasurements", "PredictorMeasurements", "PredictorMeasurementsObject",
    "ClassifierMeasurements", "Column", "ExampleData", "Export", "Import", "Examples", "NetArray", "NetDecoder", "NetEncoder", "NetInitialize", "NetTrain", "NetTrainResultsObject",
    "ResourceData", "ResourceObject",
} - {"ACTIVATIONS", "FUNCTIONS", "Function"})
