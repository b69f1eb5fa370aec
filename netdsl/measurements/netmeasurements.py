"""NetMeasurements."""

from __future__ import annotations

import operator
from typing import Any

from netdsl.attachment import TrainingNet, training_net, typed
from netdsl.columns import Table
from netdsl.containers import NetPort
from netdsl.errors import DeclarationError, excerpt, nearest, public
from netdsl.lowering import precision_named
from netdsl.measurements.comparison import comparison
from netdsl.measurements.evaluation import Evaluation
from netdsl.measurements.nets import WHAT, checked_net, held_out_table, target_device
from netdsl.measurements.outcome import Outcome
from netdsl.measurements.specification import Asked, Reader, values
from netdsl.nets import Net, Ref
from netdsl.symbols import Automatic

__all__ = ["NetMeasurements"]

OPTIONS = ("BatchSize", "LossFunction", "NetEvaluationMode", "TargetDevice", "WorkingPrecision")


@public
def NetMeasurements(net: Any, data: Any, measurement: Any, /, **options: Any) -> Any:
    """Measurements of a net on data: one, or a list of several. The net is evaluated once, whatever is asked.

    ``NetMeasurements(net, data, "Accuracy")``, ``NetMeasurements(net, data, ["Accuracy", Rule("FScore", 2)])``,
    ``NetMeasurements(net, data, NetPort("hidden", "Output"))``,
    ``NetMeasurements(net, data, {"Measurement": "F1Score", "ClassAveraging": "Macro", "Key": "f1"})``.

    net
        A net, to which the loss that NetTrain would take is attached, or one that ends in losses.
    data
        ``[Rule(x, y), …]``, ``Rule(xs, ys)``, ``{port: column, …}``, data of ResourceData, or the name of a set ("MNIST": its
        test data).
    measurement
        A name, ``Rule(name, parameter)`` or ``[name, parameter]``: "Loss" (the sum of all), the name of a loss port, every
        measurement of ClassifierMeasurements where there is one CrossEntropyLossLayer, else of PredictorMeasurements;
        ``"Properties"`` lists them. A property of Information. A NetPort: the mean over the data of what is at a port of the net,
        of a part, or at a loss or target; or an array of a layer. A dict with "Measurement" and "Key" (its name in the
        results: a list with a key gives a dict) and "ClassAveraging" ("Macro", "Micro", None).
    BatchSize
        The number of examples evaluated together; Automatic: 256. Results do not depend on it.
    LossFunction
        As in NetTrain.
    NetEvaluationMode
        "Test" or "Train"; what is drawn at random in "Train" is always the same.
    TargetDevice
        "CPU", "GPU", "TPU", ("GPU", n); Automatic: JAX's default device.
    WorkingPrecision
        As in NetTrain.

    Classes are those of the decoder on the port that is compared, also inside a graph. Cross entropies come from the logits where
    a SoftmaxLayer feeds the loss, so that they stay finite. Where the elements of sequences are classified, each element counts
    once; "Loss" is the mean over examples.

    Raises DataError for data that cannot be used, EncodingError for a label that the decoder does not know, PartError for an
    unknown measurement, port or array, UnsupportedError for what is not there yet.

    >>> import numpy as np
    >>> from netdsl import NetChain, Rule
    >>> net = NetChain([1], Input=1)
    >>> net = net.with_arrays({("1", "Weights"): np.array([[2.0]], "float32"), ("1", "Biases"): np.array([0.0], "float32")})
    >>> NetMeasurements(net, Rule([[1.0], [2.0]], [2.0, 6.0]), ["Loss", "MeanDeviation"])
    [2.0, 1.0]

    Differences from Wolfram: a list of measurements gives a list, and a dict once one has a key [M]; the mean at a port of
    varying length is over all elements [M]. Source: Wolfram's public reference page.
    """
    settings = _settings(options)
    net = checked_net("NetMeasurements", net)
    test = held_out_table(data)
    training = _training_net(net, test, measurement, settings["LossFunction"])
    compared = comparison(training)
    asked = Reader(training, compared).read(measurement)
    outcome = None
    if _evaluates(asked):
        mode, device, precision = (settings[name] for name in ("NetEvaluationMode", "TargetDevice", "WorkingPrecision"))
        evaluation = Evaluation(training, compared, _wires(asked), settings["BatchSize"], mode, device, precision)
        outcome = Outcome(evaluation, evaluation.run(test, WHAT), test, WHAT)
    return values(asked, outcome)


def _settings(options: dict[str, Any]) -> dict[str, Any]:
    for name in options:
        if name not in OPTIONS:
            raise DeclarationError(f"NetMeasurements has no option {name!r}. {nearest(name, OPTIONS)}")
    size: Any = options.get("BatchSize", Automatic)
    if size is not Automatic and (isinstance(size, bool) or not hasattr(size, "__index__") or size < 1):
        raise DeclarationError(f"BatchSize is a positive integer or Automatic. Got {excerpt(size)}.")
    mode = options.get("NetEvaluationMode", "Test")
    if mode not in ("Test", "Train"):
        raise DeclarationError(f'NetEvaluationMode is "Test" or "Train". Got {excerpt(mode)}.')
    return {
        "BatchSize": _index(size),
        "LossFunction": options.get("LossFunction", Automatic),
        "NetEvaluationMode": mode == "Train",
        "TargetDevice": target_device(options.get("TargetDevice", Automatic)),
        "WorkingPrecision": precision_named(options.get("WorkingPrecision", Automatic)),
    }


def _training_net(net: Net, data: Table, measurement: Any, loss: Any) -> TrainingNet:
    """The net with losses; without, where only ports are asked for and the data have no targets."""
    things = measurement if isinstance(measurement, (list, tuple)) else [measurement]
    only_ports = bool(things) and all(isinstance(thing, NetPort) for thing in things)
    if only_ports and data.ports is not None and loss is Automatic and set(data.ports) == set(net.input_names):
        return typed(TrainingNet(net, (), net, (), {port: port for port in net.input_names}), data)
    return typed(training_net(net, data, loss), data)


def _evaluates(asked: Asked | list[Any]) -> bool:
    return asked.evaluates if isinstance(asked, Asked) else any(map(_evaluates, asked))


def _wires(asked: Asked | list[Any]) -> tuple[Ref, ...]:
    if isinstance(asked, Asked):
        return asked.wires
    return tuple(dict.fromkeys(wire for one in asked for wire in _wires(one)))


def _index(size: Any) -> int | None:
    return None if size is Automatic else operator.index(size)
