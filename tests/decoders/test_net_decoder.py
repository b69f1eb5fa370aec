"""The forms of NetDecoder, and what holds for all decoders."""

from __future__ import annotations

import copy
import pickle

import pytest

from netdsl.decoders import DECODERS, NetDecoder
from netdsl.encoders import NetEncoder
from netdsl.errors import DeclarationError, UnsupportedError
from netdsl.symbols import Range, Rule

SPECIMENS = {
    "Boolean": NetDecoder("Boolean", InputDepth=2),
    "CTCBeamSearch": NetDecoder("CTCBeamSearch", ["a", "b"], BeamSize=7),
    "Class": NetDecoder("Class", ["a", 1, 2.5], InputDepth=2, Multilabel=True),
    "Function": NetDecoder("Function", len, InputDepth=1),
    "Image": NetDecoder("Image", "Grayscale", Interleaving=True, DataTransposed=True, MeanImage=0.5, VarianceImage=[2]),
    "Scalar": NetDecoder("Scalar"),
}


def test_every_decoder_has_a_specimen():
    assert set(SPECIMENS) == set(DECODERS)


@pytest.mark.parametrize("name", sorted(DECODERS))
def test_decoders_are_values(name):
    decoder = SPECIMENS[name]
    again = eval(repr(decoder), {"NetDecoder": NetDecoder, "len": len})
    assert again == decoder
    assert hash(again) == hash(decoder)
    assert copy.deepcopy(decoder) == pickle.loads(pickle.dumps(decoder)) == decoder.changed() == decoder
    assert NetDecoder(decoder) is decoder


@pytest.mark.parametrize(
    ("name", "parameter", "bad"),
    [
        (name, parameter, bad)
        for name in sorted(DECODERS)
        for parameter, declared in sorted(DECODERS[name].parameters.items())
        for bad in declared.constraint.bad
    ],
)
def test_bad_values_are_refused(name, parameter, bad):
    with pytest.raises(DeclarationError) as caught:
        SPECIMENS[name].changed(**{parameter: bad})
    declared = DECODERS[name].parameters[parameter]
    assert str(caught.value).startswith(f'The {parameter} parameter of NetDecoder("{name}") must be {declared.constraint.words}')


def test_every_constraint_knows_bad_values():
    for name, decoder in DECODERS.items():
        for parameter, declared in decoder.parameters.items():
            assert declared.constraint.bad, (name, parameter)


def test_forms():
    expected = NetDecoder("Class", range(10), InputDepth=2)
    for form in [
        NetDecoder(["Class", Range(0, 9), {"InputDepth": 2}]),
        NetDecoder(("Class", Range(0, 9), Rule("InputDepth", 2))),
        NetDecoder(["Class", Range(0, 9), [Rule("InputDepth", 2)]]),
        NetDecoder("Class", {"InputDepth": 2}, Labels=Range(0, 9)),
    ]:
        assert form == expected
    assert repr(NetDecoder("Class")) == "NetDecoder('Class')"
    assert NetDecoder("Image", ColorSpace="Grayscale") == NetDecoder("Image", "Grayscale") == NetDecoder(["Image", "Grayscale"])


def test_of_encoders():
    assert NetDecoder(NetEncoder("Class", ["a", "b"], "UnitVector")) == NetDecoder("Class", ["a", "b"])
    assert NetDecoder(NetEncoder("Class", ["a", "b"], Dimensions=[3], Multilabel=True)) == NetDecoder(
        "Class", ["a", "b"], InputDepth=2, Multilabel=True
    )
    assert NetDecoder(NetEncoder("Boolean", [3])) == NetDecoder("Boolean", InputDepth=1)
    assert NetDecoder(NetEncoder("Scalar")) == NetDecoder("Scalar")
    with pytest.raises(DeclarationError, match="has no decoder that undoes it"):
        NetDecoder(NetEncoder("Function", len, "Real"))


@pytest.mark.parametrize(
    ("call", "kind", "message"),
    [
        (lambda: NetDecoder("Clas"), DeclarationError, "There is no NetDecoder 'Clas'. Did you mean 'Class'?"),
        (
            lambda: NetDecoder("Tokens"),
            UnsupportedError,
            "NetDecoder(\"Tokens\") does not exist in netdsl yet. There are 'Boolean', 'CTCBeamSearch', 'Class', 'Function', "
            "'Image' and 'Scalar'.",
        ),
        (
            lambda: NetDecoder(None),
            DeclarationError,
            'NetDecoder takes a name and parameters, such as NetDecoder("Class", range(10)), a list of them, an encoder or a '
            "decoder. Got None.",
        ),
        (
            lambda: NetDecoder(NetDecoder("Scalar"), InputDepth=3),
            DeclarationError,
            "NetDecoder(NetDecoder('Scalar')) takes nothing beside the decoder. NetReplacePart changes its parameters.",
        ),
        (
            lambda: NetDecoder("Function"),
            DeclarationError,
            'NetDecoder("Function") needs its Function: a function. Write NetDecoder("Function", Function).',
        ),
        (
            lambda: NetDecoder("Class", range(3), Depth=2),
            DeclarationError,
            "NetDecoder(\"Class\") has no option or port 'Depth'. Did you mean 'InputDepth'?",
        ),
    ],
)
def test_wrong_use(call, kind, message):
    with pytest.raises(kind) as caught:
        call()
    assert str(caught.value) == message
