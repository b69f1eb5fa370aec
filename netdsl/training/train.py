"""NetTrain."""

from __future__ import annotations

from typing import Any

from netdsl.errors import DeclarationError, excerpt, public
from netdsl.nets import Net
from netdsl.symbols import Automatic
from netdsl.training.results import check_property
from netdsl.training.run import Training
from netdsl.training.settings import settings_of

__all__ = ["NetTrain"]


@public
def NetTrain(net: Net, data: Any, property: Any = Automatic, /, **options: Any) -> Any:
    """Trains a net on data and gives the trained net, a property of the training, or (for All) the object of all results.

    ``NetTrain(net, data)``, ``NetTrain(net, data, "RoundLossList")``, ``NetTrain(net, data, ["TrainedNet", "LossPlot"])``,
    ``NetTrain(net, data, All)``.

    data
        ``[Rule(x, y), …]``, ``[(x, y), …]``, ``Rule(xs, ys)``, ``{port: column, …}``, ``[{port: value, …}, …]``, a DataFrame, data
        of ResourceData, or a name ("MNIST": its training data); ``File("x.h5")`` with columns named as the ports; a folder of
        pictures whose subfolders are the classes; any source with ``len`` and positions from 0; a function that gives a batch,
        ``[f, {"RoundLength": n}]``, or an iterator of batches. What does not fit the memory is read while it is trained on.
    BatchSize
        Automatic: 64 (16 where something varies), at most the number of examples.
    LearningRate
        Automatic: 0.001 for ADAM.
    LearningRateMultipliers
        A number, or rules from parts of the net to numbers; 0 or None freezes.
    LossFunction
        Automatic (by the last layer), a loss layer or net, the name of an output port, ``Rule(port, layer)``, lists of them, with
        weights ``Rule(loss, Scaled(w))``.
    MaxTrainingRounds
        Automatic: about 20 seconds.
    Method
        "ADAM", "RMSProp", "SGD", "SignSGD", ``["ADAM", {"Beta1": 0.5}]``, or any optax.GradientTransformation.
    RandomSeeding
        1234: the same call gives the same bits. Automatic draws a seed, which the results report.
    SkipInvalidExamples
        True leaves out the examples that cannot be read or used; "SkippedTrainingData" of the results says which. False: an error
        names the first. (Not in Mathematica.)
    TargetDevice
        "CPU", "GPU", "TPU", ("GPU", n); Automatic: JAX's default device.
    TimeGoal
        Seconds, or a Quantity.
    TrainingProgressReporting
        Automatic ("Panel" on a terminal, else "Print"), "Panel", "Print", None.
    ValidationSet
        Data, ``Scaled(fraction)`` held out, a name, or None. With one, the net of the round with the lowest validation loss is
        returned.
    WorkingPrecision
        "Real32" (default); "Real64": all in float64; "Mixed", for GPUs and TPUs: layers compute in bfloat16, while losses,
        SoftmaxLayer, BatchNormalizationLayer and EmbeddingLayer, and all that is kept from batch to batch, stay in float32.

    Ctrl-C stops after the running chunk and returns the net so far; twice stops at once.

    Raises DataError for data that cannot be used, TrainingError when the loss is no longer finite, DeviceError when memory runs
    out, UnsupportedError for options of Mathematica that are not there yet.

    >>> net = NetTrain(NetChain([1], Input=1), Rule([[0.0], [1.0], [2.0]], [1.0, 3.0, 5.0]), Method="SGD", LearningRate=0.1,
    ...                MaxTrainingRounds=300, TrainingProgressReporting=None)
    >>> round(net([3.0]), 2)
    7.0

    Differences from Wolfram: reproducible by default; the defaults of the methods are remembered [M]; with "Real64" the trained
    net has float32 arrays like any net, unless the net had float64 ones; "Mixed" is bfloat16, not half precision.
    Source: Wolfram's public reference page.
    """
    settings = settings_of(options)
    check_property(property)
    if not isinstance(net, Net):
        raise DeclarationError(f"NetTrain takes a net first. Got {excerpt(net)}. NetModel(name) gives nets by name.")
    with settings.precision.active():
        results = Training(net, data, settings).run()
    return results(property)
