"""NetTrain: losses attached, the compiled loop, optimizers, progress and results."""

from netdsl.training.results import NetTrainResultsObject
from netdsl.training.train import NetTrain

__all__ = ["NetTrain", "NetTrainResultsObject"]
