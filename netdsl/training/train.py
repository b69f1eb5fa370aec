"""NetTrain."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from netdsl.errors import DeclarationError, excerpt, public
from netdsl.forks import refuse_forked
from netdsl.nets import Net
from netdsl.symbols import Automatic
from netdsl.training.processes import together
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
        "ADAM", "RMSProp", "SGD", "SignSGD"; "AdamW", "NAdam", "RAdam", "AdaMax", "AdaGrad", "AdaDelta", "Lion", "LAMB", "LARS",
        "Adafactor"; or any optax.GradientTransformation. With suboptions: ``["ADAM", {"Beta1": 0.5, "L2Regularization": 0.001}]``.
        Of every method: "LearningRateSchedule" ("Linear", "Exponential", "Cosine", f(batch, total), or an optax schedule);
        "L2Regularization", "GradientClipping" and "WeightClipping", a number or rules from parts to numbers;
        "GradientAccumulation" n (an update after every n batches); "MovingAverage" d (the net has the average over the updates).
    PerformanceGoal
        "TrainingSpeed" (default); "TrainingMemory": batches are computed in parts, or more is computed twice.
    RandomSeeding
        1234: the same call gives the same bits. Automatic draws a seed, which the results report.
    SkipInvalidExamples
        True leaves out the examples that cannot be read or used; "SkippedTrainingData" of the results says which.
    TargetDevice
        "CPU", "GPU", "TPU", ("GPU", n) for the n-th, ("GPU", [n, …]) or ("GPU", All) for several that share each batch, ("CPU", n)
        for n CPU devices; Automatic: JAX's default device. In several processes each gives these of its own.
    TimeGoal
        Seconds, or a Quantity.
    TrainingProgressCheckpointing
        None; ``["File", "p.netdsl"]``, overwritten; ``["Directory", "dir"]``, a file for each checkpoint. Suboptions:
        ``{"Interval": Quantity(100, "Batches"), "MinimumInterval": seconds, "Resume": True, "Functions": {"name": f}}``. With
        "Resume" the training goes on from the last checkpoint, or the one named, to the same bits as if it had never stopped.
    TrainingProgressFunction
        A function that is called after each round with what is known of the training; it ends it by returning "StopTraining" (with
        the net so far) or "AbortTraining" (a TrainingError). Or ``[f, {"Interval": Quantity(n, "Batches")}]``, or a list of these.
    TrainingProgressMeasurements
        Any measurement of NetMeasurements, a list of them, or a function of the ports of an example whose mean is taken. Automatic:
        "ErrorRate" where there is one CrossEntropyLossLayer, and each loss where there are several.
    TrainingProgressReporting
        Automatic ("Panel" in a notebook or on a terminal, else "Print"), "Panel", "Print", "ProgressIndicator", a function, None,
        ``File("report.csv")`` (.tsv, .json), or a list of them, each as ``[it, {"Interval": Quantity(5, "Seconds")}]`` too.
    TrainingStoppingCriterion
        None, "Loss" (Automatic), a measurement, or ``{"Criterion": m, "Patience": rounds, "InitialPatience": rounds,
        "AbsoluteChange": v}`` (or "RelativeChange"): the training ends when m, of the validation data if there are some, has not
        improved for longer than Patience (0); or a function of the results so far.
    TrainingUpdateSchedule
        Parts of the net that are trained in turn, batch by batch: ``["Discriminator", "Generator"]``, or with numbers of batches,
        ``{"Discriminator": 5, "Generator": 1}``. Automatic: all arrays on every batch.
    ValidationSet
        Data, ``Scaled(fraction)`` held out, a name, or None; ``[data, {"Interval": Quantity(5, "Batches")}]`` (or "Rounds") says
        how often it is measured. With one, the net with the lowest validation loss is returned, or with the best value of the
        stopping criterion's measurement [M].
    WorkingPrecision
        "Real32" (default); "Real64": all in float64; "Mixed", for GPUs and TPUs: layers compute in bfloat16, while losses,
        SoftmaxLayer, BatchNormalizationLayer and EmbeddingLayer, and all that is kept from batch to batch, stay in float32.

    Ctrl-C once ends the training with the net so far, twice at once. Raises DataError for data that cannot be used, TrainingError
    when the loss is no longer finite or a checkpoint is of another training, DeviceError when memory runs out.

    >>> net = NetTrain(NetChain([1], Input=1), Rule([[0.0], [1.0], [2.0]], [1.0, 3.0, 5.0]), Method="SGD", LearningRate=0.1,
    ...                MaxTrainingRounds=300, TrainingProgressReporting=None)
    >>> round(net([3.0]), 2)
    7.0

    Differences from Wolfram: reproducible by default; the defaults of the methods, and what their suboptions do exactly, are
    remembered [M]; the methods from "AdamW" on, "GradientAccumulation", "MovingAverage", "Resume" and SkipInvalidExamples are
    additions; with "Real64" the trained net has float32 arrays like any net, unless the net had float64 ones; "Mixed" is bfloat16;
    "AbortTraining" raises a TrainingError, since there is no net to give.
    Source: Wolfram's public reference page.
    """
    refuse_forked()
    with together() as hosts:
        settings = hosts.settings(settings_of(options))
        check_property(property)
        if not isinstance(net, Net):
            raise DeclarationError(f"NetTrain takes a net first. Got {excerpt(net)}. NetModel(name) gives nets by name.")
        with settings.precision.active():
            training = Training(net, data, settings, hosts)
            hosts.agree(training, options)
            results = training.run()
    return replace(results, input_form=_input_form(net, property, options))(property)


def _input_form(net: Net, property: Any, options: dict[str, Any]) -> str:
    """The call in words; the data have only their name."""
    given = [] if property is Automatic else [repr(property)]
    return f"NetTrain({', '.join([repr(net), 'data', *given, *(f'{name}={excerpt(value)}' for name, value in options.items())])})"
