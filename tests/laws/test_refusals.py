"""What cannot be is refused by name: bad values from the constraints' own data, unknown options, wrong inputs."""

from __future__ import annotations

import re

import numpy as np
import pytest
from specimens import CODERS, PLACEHOLDERS, SPECIMENS, initialized, things

from netdsl import NetChain, NetGraph
from netdsl.constraints import ANYTHING
from netdsl.declarations import Declared
from netdsl.errors import DeclarationError, NetError
from netdsl.nets import Layer, Net

EVERY = [*SPECIMENS, *PLACEHOLDERS, *CODERS]
ONE_EACH = {type(specimen.make()): specimen for specimen in EVERY}
BAD = [
    (specimen, name, value)
    for cls, specimen in ONE_EACH.items()
    for name, declared in cls.parameters.items()
    for value in declared.constraint.bad
]


@pytest.mark.parametrize(("specimen", "name", "value"), BAD, ids=str)
def test_bad_values_of_parameters(specimen, name, value):
    thing = specimen.make()
    with pytest.raises(DeclarationError) as caught:
        thing.changed(**{name: value})
    text = str(caught.value)
    assert text.startswith(
        f"The {name} parameter of {type(thing).title()} must be {type(thing).parameters[name].constraint.words}"
    )
    assert text.endswith("instead.")


@pytest.mark.parametrize("cls", [cls for cls in ONE_EACH if issubclass(cls, Layer)], ids=lambda cls: cls.__name__)
def test_every_constraint_lists_bad_values(cls):
    for declared in cls.parameters.values():
        assert declared.constraint is ANYTHING or declared.constraint.bad, declared.name
        for value in declared.constraint.bad:
            with pytest.raises((ValueError, TypeError)):
                declared.constraint.keep(value)


def _arguments(thing):
    """Positional arguments that build the thing, its ports left out."""
    if isinstance(thing, NetChain):
        return [dict(thing.nets)]
    if isinstance(thing, NetGraph):
        return [dict(thing.nets), thing.edges_written()]
    fields = thing.fields()
    names = [p.name for p in thing.parameters.values() if p.positional]
    return [fields[name] for name in (["net", *names] if "net" in fields else names)]


@pytest.mark.parametrize("specimen", list(ONE_EACH.values()), ids=str)
def test_an_unknown_option_names_the_nearest(specimen):
    thing = specimen.make()
    arguments = _arguments(thing)
    known = type(thing)(*arguments)
    names = known.option_names() if isinstance(thing, Net) else [p.name for p in thing.parameters.values() if not p.positional]
    for name in names:
        wrong = name[:-1] + name[-1] * 2
        with pytest.raises(DeclarationError) as caught:
            type(thing)(*arguments, **{wrong: 1})
        assert str(caught.value) == f"{type(thing).title()} has no option or port {wrong!r}. Did you mean {name!r}?"


@pytest.mark.parametrize("specimen", [s for s in ONE_EACH.values() if s not in CODERS], ids=str)
def test_too_many_arguments(specimen):
    thing = specimen.make()
    if not isinstance(thing, Layer) or thing.nets:
        return
    with pytest.raises(DeclarationError, match=rf"{type(thing).__name__} takes .* positional argument"):
        type(thing)(*range(1, 9))


@pytest.mark.parametrize("specimen", CODERS, ids=str)
def test_a_coder_takes_its_things_and_refuses_others(specimen):
    coder = specimen.make()
    coder(specimen.takes)
    with pytest.raises(NetError, match=re.escape(coder.title())):
        coder(specimen.refuses)


@pytest.mark.parametrize("specimen", [s for s in SPECIMENS if s.make().input_names], ids=str)
def test_wrong_inputs_are_refused_with_the_port(specimen):
    net = initialized(specimen)
    given = things(specimen, net, 2)
    for port in net.input_names:
        wrong = {
            "text": "abc",
            "ragged": [[1.0], [1.0, 2.0]] if net.port_type(port).rank == 0 else [[[1.0], 2.0]],
            "nothing": None,
        }
        for kind, value in wrong.items():
            with pytest.raises(NetError, match=repr(port)):
                net({**given, port: value})
            assert kind
        if net.port_type(port).rank:
            type_ = net.port_type(port)
            level = next((i for i, size in enumerate(type_.sizes) if isinstance(size, int)), None)
            if level is not None:
                larger = [np.concatenate([v, v], axis=level) for v in given[port]]
                with pytest.raises(NetError, match=repr(port)):
                    net({**given, port: larger})
        fewer = {**given, port: given[port][:1]}
        if len(net.input_names) > 1:
            with pytest.raises(NetError, match="different numbers of values"):
                net(fewer)
    with pytest.raises(NetError, match="no input port 'Imput'"):
        net({**given, "Imput": 1.0})
    if len(net.input_names) > 1:
        with pytest.raises(NetError, match="no value for its input port"):
            net({net.input_names[0]: given[net.input_names[0]]})


CONTRACT = {
    "apply",
    "relate",
    "by_signature",
    "default",
    "bound",
    "axis",
    "input_names",
    "output_names",
    "parts",
    "varying",
    "shortest",
    "arithmetic",
    "signature",
    "variadic",
    "traced_arrays",
    "inner_options",
    "array_slots",
    "_take_array",
    "_empty_arrays",
    "array_values",
    "declared_arrays",
    "inner_arrays",
    "inner_solved",
    "fields",
    "changed",
    "identity",
    "draws",
    "recurrent_states",
    "traced_function",
    "_check",
    "_written",
    "parameters",
    "array_declarations",
    "needs",
    "parsed",
    "__init__",
    "ports",
    "nets",
    "shared",
}
"""What a class of a net may replace of what it is built on."""


@pytest.mark.parametrize("cls", [cls for cls in ONE_EACH if issubclass(cls, Net)], ids=lambda cls: cls.__name__)
def test_a_layer_replaces_only_what_the_contract_lets_it(cls):
    inherited = {
        name for base in (Layer, Net, Declared) for name in vars(base) if not name.startswith("__") or name == "__init__"
    }
    replaced = {name for name in vars(cls) if name in inherited and name not in cls.parameters}
    assert replaced <= CONTRACT
