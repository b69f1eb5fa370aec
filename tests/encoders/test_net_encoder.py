"""The forms of NetEncoder, and what holds for all encoders."""

from __future__ import annotations

import copy
import pickle

import numpy as np
import pytest

from netdsl.decoders import NetDecoder
from netdsl.encoders import ENCODERS, NetEncoder
from netdsl.errors import DeclarationError, EncodingError, UnsupportedError
from netdsl.symbols import Rule

SPECIMENS = {
    "Boolean": NetEncoder("Boolean", [2]),
    "Class": NetEncoder("Class", ["a", 1, 2.5], "IndicatorVector", Multilabel=True, Dimensions=[3]),
    "Function": NetEncoder("Function", len, [2, "Real"], Batched=True),
    "Image": NetEncoder(
        "Image",
        (28, 30),
        ColorSpace="Grayscale",
        MeanImage=[0.5],
        VarianceImage=2,
        Method="Fit",
        Resampling="Cubic",
        Alignment=["Left", "Top"],
        Padding=0.5,
        Interleaving=True,
        DataTransposed=True,
    ),
    "Scalar": NetEncoder("Scalar"),
}


def test_every_encoder_has_a_specimen():
    assert set(SPECIMENS) == set(ENCODERS)


@pytest.mark.parametrize("name", sorted(ENCODERS))
def test_encoders_are_values(name):
    encoder = SPECIMENS[name]
    encoder.type()
    again = eval(repr(encoder), {"NetEncoder": NetEncoder, "len": len})
    assert again == encoder
    assert hash(again) == hash(encoder)
    assert copy.deepcopy(encoder) == pickle.loads(pickle.dumps(encoder)) == encoder.changed() == encoder
    assert NetEncoder(encoder) is encoder
    with pytest.raises(AttributeError, match="immutable"):
        encoder.Labels = 3


@pytest.mark.parametrize(
    ("name", "parameter", "bad"),
    [
        (name, parameter, bad)
        for name in sorted(ENCODERS)
        for parameter, declared in sorted(ENCODERS[name].parameters.items())
        for bad in declared.constraint.bad
    ],
)
def test_bad_values_are_refused(name, parameter, bad):
    with pytest.raises(DeclarationError) as caught:
        SPECIMENS[name].changed(**{parameter: bad})
    declared = ENCODERS[name].parameters[parameter]
    assert str(caught.value).startswith(f'The {parameter} parameter of NetEncoder("{name}") must be {declared.constraint.words}')


def test_every_constraint_knows_bad_values():
    for name, encoder in ENCODERS.items():
        for parameter, declared in encoder.parameters.items():
            assert declared.constraint.bad, (name, parameter)


def test_forms():
    expected = NetEncoder("Image", (28, 28), ColorSpace="Grayscale")
    for form in [
        NetEncoder("Image", [28, 28], ColorSpace="Grayscale"),
        NetEncoder(["Image", [28, 28], {"ColorSpace": "Grayscale"}]),
        NetEncoder(("Image", 28, {"ColorSpace": "Grayscale"})),
        NetEncoder(["Image", [28, 28], Rule("ColorSpace", "Grayscale")]),
        NetEncoder(["Image", [28, 28], [Rule("ColorSpace", "Grayscale")]]),
        NetEncoder(["Image", {"ColorSpace": "Grayscale"}], ImageSize=28),
        NetEncoder("Image", np.array([28, 28]), {"ColorSpace": "Grayscale"}),
    ]:
        assert form == expected
    assert repr(expected) == "NetEncoder('Image', [28, 28], ColorSpace='Grayscale')"
    assert repr(NetEncoder(["Image"])) == "NetEncoder('Image')"
    assert repr(NetEncoder("Class", range(2), "UnitVector")) == "NetEncoder('Class', [0, 1], 'IndicatorVector')"


@pytest.mark.parametrize(
    "encoder",
    [
        NetEncoder("Image"),
        NetEncoder("Class", range(3)),
        NetEncoder("Scalar"),
        NetEncoder("Boolean"),
    ],
)
def test_masked_arrays_are_refused(encoder):
    with pytest.raises(EncodingError, match=r"A masked array cannot be encoded. Fill it first: values.filled\(...\)\."):
        encoder(np.ma.masked_array(np.zeros((2, 2) if encoder.kind == "Image" else 2, np.uint8), True))


@pytest.mark.parametrize(
    "encoder",
    [
        NetEncoder("Class", ["a", "b"]),
        NetEncoder("Class", ["a", "b"], Multilabel=True),
        NetEncoder("Boolean"),
        NetEncoder("Scalar"),
    ],
)
def test_there_and_back(encoder):
    assert NetEncoder(NetDecoder(encoder)) == encoder


def test_of_decoders():
    assert NetEncoder(NetDecoder("Class", range(10))) == NetEncoder("Class", range(10))
    with pytest.raises(DeclarationError, match="has no encoder that undoes it"):
        NetEncoder(NetDecoder("Function", len))


@pytest.mark.parametrize(
    ("call", "kind", "message"),
    [
        (lambda: NetEncoder("Imag"), DeclarationError, "There is no NetEncoder 'Imag'. Did you mean 'Image'?"),
        (
            lambda: NetEncoder("Picture"),
            DeclarationError,
            "There is no NetEncoder 'Picture'. There are 'Boolean', 'Class', 'Function', 'Image' and 'Scalar'.",
        ),
        (
            lambda: NetEncoder("Characters"),
            UnsupportedError,
            "NetEncoder(\"Characters\") does not exist in netdsl yet. There are 'Boolean', 'Class', 'Function', 'Image' and 'Scalar'.",
        ),
        (
            lambda: NetEncoder(["Tokens", "English"]),
            UnsupportedError,
            "NetEncoder(\"Tokens\") does not exist in netdsl yet. There are 'Boolean', 'Class', 'Function', 'Image' and 'Scalar'.",
        ),
        (
            lambda: NetEncoder(3),
            DeclarationError,
            'NetEncoder takes a name and parameters, such as NetEncoder("Image", [28, 28]), a list of them, an encoder or a '
            "decoder. Got 3.",
        ),
        (
            lambda: NetEncoder([]),
            DeclarationError,
            'NetEncoder takes a name and parameters, such as NetEncoder("Image", [28, 28]), a list of them, an encoder or a '
            "decoder. Got [].",
        ),
        (
            lambda: NetEncoder(NetEncoder("Scalar"), 3),
            DeclarationError,
            "NetEncoder(NetEncoder('Scalar')) takes nothing beside the encoder. NetReplacePart changes its parameters.",
        ),
        (
            lambda: NetEncoder("Class"),
            DeclarationError,
            'NetEncoder("Class") needs its Labels: a list of labels, such as range(10) or ["cat", "dog"]. Write '
            'NetEncoder("Class", Labels).',
        ),
        (
            lambda: NetEncoder("Scalar", 3),
            DeclarationError,
            'NetEncoder("Scalar") takes no positional arguments. Got 1: 3. Options are written as keywords.',
        ),
    ],
)
def test_wrong_use(call, kind, message):
    with pytest.raises(kind) as caught:
        call()
    assert str(caught.value) == message
