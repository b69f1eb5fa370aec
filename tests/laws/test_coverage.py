"""No public layer, container, operator, encoder or decoder is without a specimen."""

from __future__ import annotations

from specimens import CODERS, PLACEHOLDERS, SPECIMENS

import netdsl
from netdsl import containers, layers
from netdsl.decoders import DECODERS
from netdsl.encoders import ENCODERS
from netdsl.nets import Net


def _inside(net):
    yield type(net)
    for inner in net.nets.values():
        yield from _inside(inner)


def test_every_public_net_has_a_specimen():
    public = {
        value
        for module in (netdsl, layers, containers)
        for value in vars(module).values()
        if isinstance(value, type) and issubclass(value, Net) and value.__module__.startswith("netdsl.")
    }
    covered = {type(specimen.make()) for specimen in (*SPECIMENS, *PLACEHOLDERS)}
    assert {cls.__name__ for cls in public - covered} == set()


def test_every_coder_has_a_specimen():
    covered = {type(specimen.make()) for specimen in CODERS}
    assert {cls.__name__ for cls in (*ENCODERS.values(), *DECODERS.values()) if cls not in covered} == set()


def test_names_are_unique():
    names = [specimen.name for specimen in (*SPECIMENS, *PLACEHOLDERS, *CODERS)]
    assert len(set(names)) == len(names)


def test_the_varying_specimens_stress_what_varies():
    aware = {
        cls
        for specimen in SPECIMENS
        for cls in _inside(specimen.make())
        if any(specimen.make().port_type(port).varying for port in specimen.make().input_names)
    }
    claiming = {type(s.make()) for s in SPECIMENS if isinstance(getattr(type(s.make()), "varying", None), str)}
    assert {cls.__name__ for cls in claiming - aware} <= {
        "CatenateLayer",
        "MeanAbsoluteLossLayer",
        "TotalLayer",
        "ThreadingLayer",
    }
