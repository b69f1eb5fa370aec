"""What is asked of NetMeasurements and of NetTrain: every form of a measurement, read before anything is evaluated."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from netdsl.attachment import TrainingNet
from netdsl.containers import NetPort
from netdsl.errors import DeclarationError, PartError, UnsupportedError, excerpt, listing, nearest
from netdsl.information import OF_MXNET, PROPERTIES, Information
from netdsl.lowering.request import part_at
from netdsl.measurements.classification import CLASSIFICATION
from netdsl.measurements.comparison import NUMBERS, Comparison, loss_steps
from netdsl.measurements.properties import Property, PropertyTable
from netdsl.measurements.rates import beta, class_or_average
from netdsl.measurements.regression import REGRESSION
from netdsl.nets import SHARED, ArrayPath, Net, NetArray, Ref
from netdsl.symbols import Automatic, Rule, is_rules

__all__ = ["Asked", "Reader", "values"]

AVERAGING = {"Macro": "MacroAveraged", "Micro": "MicroAveraged"}
AGGREGATIONS = ("Mean", "Total", "Max", "Min")
FOR_TRAINING = ("Aggregation", "Direction", "Interval", "Plot")
"""Suboptions of a measurement that only mean something while a net is trained."""
INFORMATION = (*PROPERTIES, *OF_MXNET)
"""The properties of Information, which are measurements, too."""


@dataclass(frozen=True)
class Asked:
    """One measurement that was asked for.

    Args:
        key: what it is called where results have names.
        value: takes the outcome of the evaluation, an `Outcome` or `Tallied`, to the value.
        wires: the wires whose means it needs.
        evaluates: whether it needs an evaluation at all.
        named: whether the key was given by the user.
        array: the array that it is the value of.
        function: the function of the ports of an example that it is the mean of, with the wires of those ports.
        options: the suboptions that mean something while a net is trained.
        name: the name of the measurement, whatever its key is.
        aggregation: how the values of examples, or of an array after batches, are combined: one of AGGREGATIONS.
    """

    key: Hashable
    value: Callable[[Any], Any]
    wires: tuple[Ref, ...] = ()
    evaluates: bool = True
    named: bool = False
    array: ArrayPath | None = None
    function: tuple[Callable[..., Any], tuple[tuple[str, Ref], ...]] | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    name: str = ""
    aggregation: str = "Mean"


def values(asked: Asked | list[Any], outcome: Any) -> Any:
    """The value of one measurement, or the list of several: a dict where one of them has a key."""
    if isinstance(asked, Asked):
        return asked.value(outcome)
    found = [values(one, outcome) for one in asked]
    if not any(isinstance(one, Asked) and one.named for one in asked):
        return found
    keys = [one.key if isinstance(one, Asked) else i for i, one in enumerate(asked, 1)]
    if len(set(keys)) < len(keys):
        raise DeclarationError(f"The keys of measurements differ from each other. Got {listing(map(repr, keys))}.")
    return dict(zip(keys, found))


class Reader:
    """Reads measurements of one training net.

    Args:
        training: the net with its losses attached.
        comparison: what it compares, if that is one thing.
        known: measurements that are taken otherwise; only given, perhaps empty, while the net is trained.
    """

    def __init__(
        self, training: TrainingNet, comparison: Comparison | None, known: Mapping[str, Callable[[Any], Any]] | None = None
    ) -> None:
        self.training, self.comparison = training, comparison
        self.known = known or {}
        self.asker = "NetMeasurements" if known is None else "NetTrain"
        self.losses = {term.port: term for term in training.terms}
        self.table: PropertyTable | None = None
        if comparison is not None:
            self.table = REGRESSION if comparison.form == NUMBERS else CLASSIFICATION

    @property
    def names(self) -> list[str]:
        """Every name that can be asked for."""
        losses = ["Loss", *self.losses] if self.losses else []
        return sorted({*losses, *(self.table or ()), "Properties"})

    def read(self, thing: Any) -> Asked | list[Any]:
        """A measurement, or the list of those in a list."""
        if is_rules(thing) and any(rule.key == "Measurement" for rule in thing):
            thing = {rule.key: rule.value for rule in thing}
        if isinstance(thing, (list, tuple)) and not self._has_parameter(thing):
            return [self.read(one) for one in thing]
        return self._one(thing)

    def _one(self, thing: Any) -> Asked:
        if isinstance(thing, NetPort):
            return self._port(thing)
        if isinstance(thing, Mapping):
            return self._with_options(thing)
        if isinstance(thing, (Rule, list, tuple)):
            name, parameter = thing
            return self._named(name, [parameter])
        if isinstance(thing, str):
            return self._named(thing, [])
        if callable(thing):
            return self._function(thing)
        raise DeclarationError(
            "A measurement is a name, Rule(name, parameter), [name, parameter], a NetPort, "
            f'{{"Measurement": ..., "Key": ...}}, or a list of those. Got {excerpt(thing)}.'
        )

    def _has_parameter(self, things: Any) -> bool:
        """Whether a list is a name with its parameter: its first item takes one, and its second is no measurement."""
        if len(things) != 2 or not isinstance(things[0], str):
            return False
        row = self._row(things[0])
        return row is not None and row.parameter is not None and not self._is_measurement(things[1])

    def _row(self, name: Any) -> Property | None:
        """The property of the table that has this name."""
        return self.table[name] if self.table is not None and name in self.table and name != "Properties" else None

    def _is_measurement(self, thing: Any) -> bool:
        if isinstance(thing, (list, tuple)):
            return bool(thing) and self._is_measurement(thing[0])
        if isinstance(thing, Rule):
            return self._is_measurement(thing.key)
        return isinstance(thing, (NetPort, Mapping)) or (isinstance(thing, str) and thing in (*self.names, *INFORMATION))

    # Names

    def _named(self, name: Any, parameters: list[Any]) -> Asked:
        key = Rule(name, parameters[0]) if parameters else name
        if name in self.known and not parameters:
            return Asked(name, self.known[name], name=name)
        if name == "Properties" and not parameters:
            return Asked(name, lambda outcome: self.names, evaluates=False, name=name)
        if name in self.losses or (name == "Loss" and self.losses):
            if parameters:
                raise DeclarationError(f"{name!r} takes no parameter. Got {excerpt(parameters[0])}.")
            return Asked(name, lambda outcome: outcome.loss(name))
        if self.table is not None and name in self.table:
            if self.comparison is not None and self.comparison.multilabel:
                raise UnsupportedError(f"{name!r} of a Multilabel decoder is not supported yet; 'Loss' is.")
            table = self.table
            return Asked(_hashable(key), lambda outcome: table.value(outcome.predictions, name, parameters), name=name)
        if name in CLASSIFICATION or name in REGRESSION:
            raise PartError(f"{name!r} cannot be measured of this {self.training.net.title()}: {self._lack(name)}")
        if isinstance(name, str) and name in INFORMATION:
            if parameters:
                raise DeclarationError(f"{name!r} takes no parameter. Got {excerpt(parameters[0])}.")
            return Asked(name, lambda outcome: Information(self.training.net, name), evaluates=False)
        raise PartError(f"There is no measurement {excerpt(name)}. {nearest(name, [*self.names, *INFORMATION])}")

    def _lack(self, name: str) -> str:
        steps = loss_steps(self.training)
        if self.comparison is None and len(steps) > 1:
            return f"it has {len(steps)} losses, so it is not clear which one is meant. Ask for 'Loss', or give one LossFunction."
        if name in CLASSIFICATION:
            return (
                "it has no CrossEntropyLossLayer. One is attached to a net that ends in a SoftmaxLayer; for another give "
                'LossFunction=CrossEntropyLossLayer("Index").'
            )
        return "no MeanSquaredLossLayer or MeanAbsoluteLossLayer compares its numbers. Give LossFunction=MeanSquaredLossLayer()."

    # Suboptions

    def _with_options(self, options: Mapping[str, Any]) -> Asked:
        taken = ("Measurement", "Key", "ClassAveraging")
        for option, value in options.items():
            if option in FOR_TRAINING and value is not Automatic and self.asker == "NetMeasurements":
                raise UnsupportedError(
                    f"NetMeasurements does not take {option!r} of a measurement, which is for NetTrain. Leave it out."
                )
            if option not in (*taken, *FOR_TRAINING):
                raise DeclarationError(f"A measurement has no suboption {option!r}. {nearest(option, taken)}")
        if "Measurement" not in options:
            raise DeclarationError(f'A measurement as a dict has a "Measurement", a name or port. Got {excerpt(options)}.')
        thing, averaging = options["Measurement"], options.get("ClassAveraging", Automatic)
        if averaging is not Automatic and averaging is not None:
            thing = self._averaged(thing, averaging)
        asked = replace(self._one(thing), options={name: options[name] for name in FOR_TRAINING if name in options})
        asked = self._aggregated(asked, options.get("Aggregation", Automatic))
        key = options.get("Key", Automatic)
        if key is Automatic:
            return asked
        if not isinstance(key, str):
            raise DeclarationError(f"The Key of a measurement is a string. Got {excerpt(key)}.")
        return replace(asked, key=key, named=True)

    def _aggregated(self, asked: Asked, given: Any) -> Asked:
        """The measurement with the values of examples combined as the suboption "Aggregation" says."""
        if given is Automatic:
            return asked
        how = str(given)
        if how not in AGGREGATIONS:
            raise DeclarationError(
                f'The suboption "Aggregation" of a measurement is "Mean", "Total", "Max", "Min" or Automatic. Got {excerpt(given)}.'
            )
        if not asked.wires and asked.array is None and asked.function is None:
            raise DeclarationError(
                f'The suboption "Aggregation" is for ports, arrays and functions: {excerpt(asked.key)} is of all examples together. '
                "Leave it out."
            )
        return asked if how == "Mean" else replace(asked, aggregation=how, value=lambda outcome: outcome.combined(asked, how))

    def _averaged(self, thing: Any, averaging: Any) -> Rule:
        """The measurement averaged over the classes."""
        if averaging not in AVERAGING:
            raise DeclarationError(f'ClassAveraging is "Macro", "Micro" or None. Got {excerpt(averaging)}.')
        name, parameter = thing if isinstance(thing, (Rule, list, tuple)) and len([*thing]) == 2 else (thing, None)
        row = self._row(name)
        reads = None if row is None else row.parameter
        if reads is class_or_average and parameter is None:
            return Rule(name, AVERAGING[averaging])
        if reads is beta and not isinstance(parameter, (Rule, list, tuple)):
            return Rule(name, Rule(1 if parameter is None else parameter, AVERAGING[averaging]))
        raise DeclarationError(f"ClassAveraging averages values of classes, such as 'Precision'. Got {excerpt(thing)}.")

    # Ports and arrays

    def _port(self, port: NetPort) -> Asked:
        """The mean of what is at a port over the data, or an array of a layer; the net itself comes before its losses."""
        graph, path = self.training.graph, self.training.path
        net = self.training.net
        if len(port.path) == 1 and port.path[0] not in (*net.input_names, *net.output_names):
            path = ()
        ref, array = _at(graph, path, port)
        if ref is not None:
            return Asked(port, lambda outcome: outcome.mean(ref), wires=(ref,))
        if self.asker == "NetTrain":
            return Asked(port, lambda outcome: outcome.array(array), array=array)
        return Asked(port, lambda outcome: np.asarray(graph.array_table()[array]), evaluates=False)

    def _function(self, function: Callable[..., Any]) -> Asked:
        """The mean over the examples of a function of the ports of the net, and of "Target", what is compared with."""
        if self.asker == "NetMeasurements":
            raise UnsupportedError(
                f"NetMeasurements: a function as measurement, {excerpt(function)}, is only for TrainingProgressMeasurements."
            )
        graph, path, net = self.training.graph, self.training.path, self.training.net
        ports = {port: graph.program.ports[path, port] for port in (*net.input_names, *net.output_names)}
        targets = [(-1, port) for port in graph.input_names if port not in net.input_names]
        if self.comparison is not None or len(targets) == 1:
            ports.setdefault("Target", targets[0] if self.comparison is None else self.comparison.target)
        name = getattr(function, "__name__", "<lambda>")
        key = "Function" if name == "<lambda>" else name
        return Asked(key, lambda outcome: outcome.function(function), function=(function, tuple(ports.items())))


def _hashable(key: Any) -> Hashable:
    try:
        hash(key)
    except TypeError:
        return excerpt(key)
    return key


def _at(graph: Net, prefix: ArrayPath, port: NetPort) -> tuple[Ref | None, ArrayPath]:
    """The wire at a port, or the path of an array."""
    net = graph
    for name in prefix:
        net = net.nets[name]
    inner, net = part_at(net, port)
    names, last = (*prefix, *inner), port.path[-1]
    ref = graph.program.ports.get((names, last))
    if ref is not None:
        return ref, ()
    arrays = net.array_values() if net.parts() is None else {}  # type: ignore[attr-defined]
    if last in arrays:
        value = arrays[last]
        return None, (SHARED, value.Name) if isinstance(value, NetArray) else (*names, last)
    raise PartError(
        f"{port!r}: {net.title()} has no port or array {last!r} that can be measured. "
        f"{nearest(last, [*net.input_names, *net.output_names, *arrays])}"
    )
