"""Every public class says what it is, computes, takes and differs in, and shows it."""

from __future__ import annotations

import inspect
import re

import pytest
from specimens import CODERS, PLACEHOLDERS, SPECIMENS

from netdsl.nets import Layer

CLASSES = sorted({type(specimen.make()) for specimen in (*SPECIMENS, *PLACEHOLDERS)}, key=lambda cls: cls.__name__)
LAYERS = [cls for cls in CLASSES if issubclass(cls, Layer)]
CODER_CLASSES = sorted({type(specimen.make()) for specimen in CODERS}, key=lambda cls: cls.__name__)
REARRANGING = {"NetArrayLayer", "ReshapeLayer", "NetGraph"}
"""Classes without an equation: they compute nothing, or what their parts do."""


def _by_name(classes):
    return pytest.mark.parametrize("cls", classes, ids=lambda cls: cls.__name__)


@_by_name([*CLASSES, *CODER_CLASSES])
def test_first_line_and_example(cls):
    text = inspect.getdoc(cls)
    assert "__doc__" in vars(cls)
    assert vars(cls)["__doc__"], "its own, not inherited"
    first = text.splitlines()[0]
    assert re.fullmatch(r"[A-Z].*\.", first)
    assert len(first) <= 120
    assert ">>> " in text
    assert "+SKIP" not in text


@_by_name(CLASSES)
def test_sections(cls):
    text = inspect.getdoc(cls)
    assert "Differences from Wolfram:" in text
    assert "Source:" in text
    before = text.split("Ports:")[0].split("``")[0]
    assert cls.__name__ in REARRANGING or re.search(r" = |= ", before), "an equation"


@_by_name(LAYERS)
def test_a_layer_describes_ports_and_parameters(cls):
    text = inspect.getdoc(cls)
    assert "Ports:" in text
    positional = [p for p in cls.parameters.values() if p.positional]
    if cls.parameters:
        assert "Parameters:" in text
        for declared in cls.parameters.values():
            assert declared.name in text
    assert not positional or "Parameters:" in text
    if cls.array_declarations:
        assert "Arrays:" in text or "Arrays, " in text


@_by_name(CODER_CLASSES)
def test_a_coder_describes_its_parameters(cls):
    text = inspect.getdoc(cls)
    for declared in cls.parameters.values():
        assert declared.name in text


@_by_name([*CLASSES, *CODER_CLASSES])
def test_the_signature_shows_the_parameters(cls):
    shown = inspect.signature(cls).parameters
    for declared in cls.parameters.values():
        kind = shown[declared.name].kind
        assert kind is (inspect.Parameter.POSITIONAL_ONLY if declared.positional else inspect.Parameter.KEYWORD_ONLY)
