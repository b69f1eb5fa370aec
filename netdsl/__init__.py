"""netdsl: Mathematica's neural-net language in Python, at JAX speed."""

from netdsl import containers, distributions, errors, functions, layers, surgery, symbols
from netdsl.columns import Column, Examples
from netdsl.containers import *
from netdsl.decoders import NetDecoder
from netdsl.distributions import *
from netdsl.encoders import NetEncoder
from netdsl.errors import *
from netdsl.formats import Export, Import
from netdsl.functions import *
from netdsl.information import Information
from netdsl.initialization import NetInitialize
from netdsl.layers import *
from netdsl.measurements import (
    ClassifierMeasurements,
    ClassifierMeasurementsObject,
    NetMeasurements,
    PredictorMeasurements,
    PredictorMeasurementsObject,
)
from netdsl.nets import NetArray
from netdsl.resources import ExampleData, NetModel, ResourceData, ResourceObject
from netdsl.surgery import *
from netdsl.symbols import *
from netdsl.training import NetTrain, NetTrainResultsObject

__version__ = "0.1.0"

LEGACY_NAMES = {
    "ConstantArrayLayer": NetArrayLayer,
    "DotPlusLayer": LinearLayer,
    "InstanceNormalizationLayer": NormalizationLayer,
    "NetInformation": Information,
    "NetSharedArray": NetArray,
}
"""Names of older versions of Mathematica, and what they are called now."""

globals().update(LEGACY_NAMES)

_named = containers, distributions, errors, functions, layers, surgery, symbols
__all__ = sorted(
    {
        "ClassifierMeasurements",
        "ClassifierMeasurementsObject",
        "Column",
        "ExampleData",
        "Examples",
        "Export",
        "Import",
        "Information",
        "LEGACY_NAMES",
        "NetArray",
        "NetDecoder",
        "NetEncoder",
        "NetInitialize",
        "NetMeasurements",
        "NetModel",
        "NetTrain",
        "NetTrainResultsObject",
        "PredictorMeasurements",
        "PredictorMeasurementsObject",
        "ResourceData",
        "ResourceObject",
        *(name for module in _named for name in module.__all__),
        *LEGACY_NAMES,
    }
    - {"ACTIVATIONS", "FUNCTIONS", "Function", "part"}
)
