"""ClassifierMeasurements and PredictorMeasurements: nets against test data, or given predictions against the truth."""

from __future__ import annotations

from typing import Any

import numpy as np

from netdsl.attachment import training_net, typed
from netdsl.columns import Examples, Table, is_folder, table
from netdsl.decoders.decoder import Decoder
from netdsl.errors import DeclarationError, UninitializedError, UnsupportedError, excerpt, listing, nearest, public
from netdsl.layers import CrossEntropyLossLayer, MeanSquaredLossLayer
from netdsl.lowering import device_named
from netdsl.measurements.comparison import comparison
from netdsl.measurements.evaluation import Evaluation
from netdsl.measurements.objects import ClassifierMeasurementsObject, PredictorMeasurementsObject
from netdsl.measurements.outcome import number_predictions, predictions
from netdsl.measurements.predictions import from_predictions
from netdsl.measurements.regression import NumberPredictions
from netdsl.nets import Net, path_text
from netdsl.resources import ResourceData, ResourceObject
from netdsl.symbols import Automatic, Rule, is_rules

__all__ = ["ClassifierMeasurements", "PredictorMeasurements", "checked_net", "held_out_table", "target_device"]

WHAT = "test data"
REFUSED = {
    "ClassPriors": Automatic,
    "ComputeUncertainty": False,
    "PerformanceGoal": Automatic,
    "RandomSeeding": 1234,
    "TieBreakerFunction": Automatic,
    "UtilityFunction": Automatic,
    "Weights": Automatic,
}
"""Options of Mathematica that are refused unless they have these values or are Automatic."""


@public
def ClassifierMeasurements(classifier: Any, data: Any, property: Any = Automatic, /, **options: Any) -> Any:
    """How well a classifier does on test data: one measurement, several, or the object that answers for all.

    ``ClassifierMeasurements(net, data)``, ``ClassifierMeasurements(net, data, "Accuracy")``,
    ``ClassifierMeasurements(net, data, ["Accuracy", ["Precision", "cat"]])``,
    ``ClassifierMeasurements(predictions, truth, "Accuracy")``.

    classifier
        A net with a Class or Boolean decoder, evaluated once, whatever is asked; or what was predicted: a list of labels, of
        dicts label → probability, or an array of probabilities.
    data
        ``[Rule(x, label), …]``, ``Rule(xs, labels)``, ``{port: column, …}``, data of ResourceData, or the name of a set ("MNIST":
        its test data). For given predictions the true labels, or labelled data.
    property
        A name, ``Rule(name, parameter)``, ``[name, parameter]`` or a list; ``"Properties"`` lists the names.
    Classes
        For given predictions: all labels in order, those of the columns of an array.
    IndeterminateThreshold
        A prediction whose largest probability is below it is indeterminate; Automatic: none is.
    TargetDevice
        "CPU", "GPU", "TPU", ("GPU", n); Automatic: JAX's default device.

    "BatchEvaluationTime" is the time per example of the evaluation of all, encoding included and compilation left out;
    "EvaluationTime" that of a single example, the median of five after one that is not counted.

    Raises DeclarationError for a net without such a decoder, EncodingError for a label that the decoder does not know, DataError
    for data that cannot be used, PartError for an unknown property, UnsupportedError for Mathematica's other options.

    >>> from netdsl import NetChain, NetDecoder, NetInitialize, SoftmaxLayer
    >>> net = NetInitialize(NetChain([2, SoftmaxLayer()], Input=2, Output=NetDecoder("Class", ["cat", "dog"])))
    >>> ClassifierMeasurements(net, [Rule([1.0, 0.0], "cat"), Rule([0.0, 1.0], "dog")])
    ClassifierMeasurementsObject(2 examples, 2 classes, accuracy ...)
    >>> ClassifierMeasurements(["cat", "dog", "dog"], ["cat", "dog", "cat"], "ConfusionMatrix").tolist()
    [[1, 1], [0, 1]]

    Differences from Wolfram: decisions are the likeliest class, the first of equal ones; utilities, priors, weights and
    uncertainties are not there. Source: Wolfram's public reference page.
    """
    settings = _options("ClassifierMeasurements", options, ("Classes", "IndeterminateThreshold", "TargetDevice"))
    threshold = _threshold(settings["IndeterminateThreshold"])
    device = target_device(settings["TargetDevice"])
    if isinstance(classifier, Net):
        if settings["Classes"] is not Automatic:
            raise DeclarationError("Classes belongs to given predictions: the classes of a net are those of its decoder.")
        port, form = _classifying_port(classifier)
        net = checked_net("ClassifierMeasurements", classifier)
        evaluation, test = _attached("ClassifierMeasurements", net, data, Rule(port, CrossEntropyLossLayer(form)), device)
        measured = ClassifierMeasurementsObject(predictions(evaluation, evaluation.run(test, WHAT), test, WHAT, threshold))
    else:
        inputs, truth = _truth(data)
        classes = None if settings["Classes"] is Automatic else settings["Classes"]
        measured = ClassifierMeasurementsObject(
            from_predictions(classifier, truth, classes, examples=inputs, IndeterminateThreshold=threshold)
        )
    return measured if property is Automatic else measured(property)


@public
def PredictorMeasurements(predictor: Any, data: Any, property: Any = Automatic, /, **options: Any) -> Any:
    """How well a net predicts numbers on test data: one measurement, several, or the object that answers for all.

    ``PredictorMeasurements(net, data)``, ``PredictorMeasurements(net, data, "RSquared")``,
    ``PredictorMeasurements(net, data, [p, q])``, ``PredictorMeasurements(predictions, truth, "RSquared")``.

    predictor
        A net with one output of numbers, evaluated once, whatever is asked; or the predicted numbers.
    data
        As ClassifierMeasurements, with numbers in place of labels.
    property
        A name, ``Rule(name, parameter)``, ``[name, parameter]`` or a list; ``"Properties"`` lists the names.
    TargetDevice
        "CPU", "GPU", "TPU", ("GPU", n); Automatic: JAX's default device.

    Times are taken as in ClassifierMeasurements. Raises DeclarationError for a net that decides among classes, DataError for data
    that cannot be used, PartError for an unknown property, UnsupportedError for Mathematica's other options.

    >>> PredictorMeasurements([1.0, 2.0, 3.0], [1.0, 2.0, 5.0], ["MeanDeviation", "MeanSquare"])
    [0.6666666666666666, 1.3333333333333333]

    Differences from Wolfram: nothing that needs a predicted distribution. Source: Wolfram's public reference page.
    """
    settings = _options("PredictorMeasurements", options, ("TargetDevice",))
    device = target_device(settings["TargetDevice"])
    if isinstance(predictor, Net):
        port = _predicting_port(predictor)
        net = checked_net("PredictorMeasurements", predictor)
        evaluation, test = _attached("PredictorMeasurements", net, data, Rule(port, MeanSquaredLossLayer()), device)
        measured = PredictorMeasurementsObject(number_predictions(evaluation, evaluation.run(test, WHAT), test, WHAT))
    else:
        inputs, truth = _truth(data)
        measured = PredictorMeasurementsObject(NumberPredictions(np.asarray(predictor), np.asarray(truth), examples=inputs))
    return measured if property is Automatic else measured(property)


# Options


def _options(function: str, options: dict[str, Any], taken: tuple[str, ...]) -> dict[str, Any]:
    for name, value in options.items():
        if name in taken:
            continue
        known = REFUSED | ({} if "IndeterminateThreshold" in taken else {"IndeterminateThreshold": Automatic})
        if name not in known:
            raise DeclarationError(f"{function} has no option {name!r}. {nearest(name, [*taken, *known])}")
        if value is not Automatic and not (type(value) is type(known[name]) and value == known[name]):
            raise UnsupportedError(f"{function} does not support {name}={excerpt(value)} yet. Leave {name} out.")
    return {name: options.get(name, Automatic) for name in taken}


def _threshold(value: Any) -> float:
    if value is Automatic or value is None:
        return 0.0
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value <= 1:
        raise DeclarationError(f"IndeterminateThreshold is a probability from 0 to 1, or Automatic. Got {excerpt(value)}.")
    return float(value)


def target_device(value: Any) -> Any:
    """The JAX device of a TargetDevice setting; None for Automatic."""
    return None if value is Automatic else device_named(value)


# Nets and data


def held_out_table(data: Any) -> Table:
    """Test data in any form as columns; a name means the test data of that set."""
    if isinstance(data, (str, ResourceObject)) and not is_folder(data):
        data = ResourceData(data, "TestData")
    return table(data, WHAT).read()


def checked_net(function: str, net: Any) -> Net:
    """The net, once it is one whose arrays have values."""
    if not isinstance(net, Net):
        raise DeclarationError(f"{function} takes a net first. Got {excerpt(net)}. NetModel(name) gives nets by name.")
    if not net.initialized:
        missing = listing([path_text(path) or f"NetArray({path[1]!r})" for path in net.missing], 6)
        raise UninitializedError(
            f"{function}: this {net.title()} has no values yet for {missing}. NetTrain(net, data) gives it trained ones, "
            "NetInitialize(net) random ones."
        )
    return net


def _attached(function: str, net: Net, data: Any, loss: Rule, device: Any) -> tuple[Evaluation, Table]:
    """The evaluation of the net with a loss attached to a port, for the function that asks, and the data."""
    test = held_out_table(data)
    training = typed(training_net(net, test, loss), test)
    return Evaluation(training, comparison(training), device=device, asker=function), test


def _classifying_port(net: Net) -> tuple[str, str]:
    """The output port with a Class or Boolean decoder, and the form of its cross entropy."""
    decoders = {port: net.decoder(port) for port in net.output_names}
    found = {port: decoder for port, decoder in decoders.items() if decoder is not None and decoder.kind in ("Class", "Boolean")}
    if len(found) > 1:
        raise DeclarationError(
            f"ClassifierMeasurements: the outputs {listing(map(repr, found))} of this {net.title()} are all classes. Measure one "
            "at a time: NetTake gives the net up to it."
        )
    if not found:
        raise DeclarationError(_no_decoder(net))
    port, decoder = next(iter(found.items()))
    if getattr(decoder, "Multilabel", False):
        raise UnsupportedError(f"ClassifierMeasurements: the decoder of {port!r} is Multilabel, which is not supported yet.")
    return port, "Index" if decoder.kind == "Class" else "Binary"


def _no_decoder(net: Net) -> str:
    if any(isinstance(step.layer, CrossEntropyLossLayer) for step in net.program.steps):
        return (
            f"ClassifierMeasurements: this {net.title()} ends in a loss. Take the part that classifies, NetExtract(net, name), "
            "or use NetMeasurements."
        )
    port = net.output_names[0] if net.output_names else "Output"
    return (
        f"ClassifierMeasurements needs a net that decides among classes; no output of this {net.title()} has a Class decoder. "
        f'Attach one: NetReplacePart(net, {{{port!r}: NetDecoder("Class", labels)}}).'
    )


def _predicting_port(net: Net) -> str:
    if len(net.output_names) != 1:
        raise DeclarationError(
            f"PredictorMeasurements needs a net with one output. This {net.title()} has {listing(map(repr, net.output_names))}."
        )
    port = net.output_names[0]
    decoder: Decoder | None = net.decoder(port)
    if decoder is not None and decoder.kind in ("Class", "Boolean"):
        raise DeclarationError(
            f"PredictorMeasurements: the output {port!r} of this {net.title()} has the decoder {decoder.title()}, so it decides "
            "among classes. Use ClassifierMeasurements."
        )
    return port


def _truth(data: Any) -> tuple[Any, Any]:
    """The examples, if there are any, and the true labels or numbers that given predictions are compared with."""
    if isinstance(data, (Examples, Rule, str, ResourceObject)) or (isinstance(data, list) and data and is_rules(data)):
        columns = held_out_table(data)
        return columns.inputs, columns.targets
    return None, data
