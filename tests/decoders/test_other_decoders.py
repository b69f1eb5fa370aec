"""The Boolean, Scalar, Image and Function decoders."""

from __future__ import annotations

import math

import numpy as np
import pytest
from PIL import Image

from netdsl.decoders import NetDecoder
from netdsl.encoders import NetEncoder
from netdsl.errors import DeclarationError, EncodingError, PartError, UnsupportedError
from netdsl.shapes import OPEN, REAL, SCALAR, VARYING, ArrayType, array_of

COLOR = np.random.default_rng(0).integers(0, 256, (6, 5, 3), np.uint8)


def test_boolean():
    decoder = NetDecoder("Boolean")
    assert decoder.type() == SCALAR
    assert [decoder(p) for p in (0.0, 0.49, 0.5, 1.0)] == [False, False, True, True]
    assert type(decoder(np.float32(0.7))) is bool
    assert decoder([0.2, 0.7]) == [False, True]
    assert decoder(0.75, "Probability") == decoder(0.75, ["Probability", True]) == 0.75
    assert decoder(0.75, ["Probability", False]) == 0.25
    assert decoder([0.75], "Probabilities") == [{False: 0.25, True: 0.75}]
    assert decoder(0.5, "Entropy") == pytest.approx(math.log(2), rel=1e-12)
    assert decoder([0.0, 1.0], "Entropy") == [0, 0]
    draws = decoder(np.full(20000, 0.3), "RandomSample")
    assert sum(draws) / 20000 == pytest.approx(0.3, abs=0.02)
    assert draws == decoder(np.full(20000, 0.3), "RandomSample")


def test_boolean_arrays():
    decoder = NetDecoder("Boolean", InputDepth=2)
    assert decoder.type() == ArrayType((None, None), REAL)
    assert decoder([[0.1, 0.9]]) == [[False, True]]
    assert decoder.decode_many([np.array([[0.1, 0.9]]), np.array([[0.7]])]) == [[[False, True]], [[True]]]
    assert decoder([[0.25]], "Probabilities") == [[{False: 0.75, True: 0.25}]]
    assert decoder.encoder_spec(array_of(2, 3)) == ("Boolean", [2, 3])
    assert NetDecoder("Boolean", InputDepth=1).encoder_spec(ArrayType((VARYING,), REAL)) == ("Boolean", ["Varying"])


def test_wrong_booleans():
    with pytest.raises(EncodingError) as caught:
        NetDecoder("Boolean")(math.nan)
    assert str(caught.value) == 'NetDecoder("Boolean") got NaN, so there is no decision. The property None gives the raw array.'
    with pytest.raises(EncodingError) as caught:
        NetDecoder("Boolean")(np.zeros((2, 2)))
    assert str(caught.value) == 'NetDecoder("Boolean") takes single probabilities. Got an array of sizes [2, 2].'
    with pytest.raises(PartError) as caught:
        NetDecoder("Boolean")(0.5, ["Entropy", 3])
    assert str(caught.value) == 'The property "Entropy" of NetDecoder("Boolean") does not take the argument 3.'


def test_scalar():
    decoder = NetDecoder("Scalar")
    assert decoder.type() == array_of(1)
    assert decoder([2.5]) == 2.5
    assert type(decoder(np.array([2.5], np.float32))) is float
    assert decoder([[2.5], [3]]) == [2.5, 3]
    with pytest.raises(EncodingError, match=r'^NetDecoder\("Scalar"\) takes vectors of size 1. Got an array of sizes \[2\].$'):
        decoder([1, 2])
    with pytest.raises(PartError, match=r'^NetDecoder\("Scalar"\) has no property \'Decision\'. Its properties are none.$'):
        decoder([1], "Decision")


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"Interleaving": True},
        {"DataTransposed": True},
        {"Interleaving": True, "DataTransposed": True},
        {"MeanImage": 0.25},
        {"MeanImage": [0.1, 0.2, 0.3], "VarianceImage": [2, 0.5, 1]},
        {"ColorSpace": "Grayscale"},
        {"MeanImage": COLOR / 255, "VarianceImage": COLOR / 255 + 1, "DataTransposed": True},
        {"MeanImage": np.moveaxis(COLOR / 255, 2, 0)},
        {"ColorSpace": "Grayscale", "MeanImage": COLOR[..., 0], "Interleaving": True},
    ],
)
def test_images_come_back(options):
    encoder = NetEncoder("Image", (5, 6), **options)
    decoder = NetDecoder(encoder)
    picture = COLOR if encoder.ColorChannels == 3 else np.asarray(Image.fromarray(COLOR).convert("L"))
    image = decoder(encoder(picture))
    assert isinstance(image, Image.Image)
    assert (np.asarray(image) == picture).all()
    assert [np.asarray(one).tolist() for one in decoder(encoder([picture, picture]))] == [picture.tolist()] * 2
    assert NetEncoder("Image", *decoder.encoder_spec(encoder.type())[1:]) == encoder
    assert encoder.type().sizes[0] in (decoder.type().sizes[0], *encoder.ImageSize)


def test_images_are_cut_off():
    image = NetDecoder("Image", "Grayscale")(np.array([[[-1, 0, 0.5, 2]]]))
    assert image.mode == "L"
    assert np.asarray(image).tolist() == [[0, 0, 128, 255]]
    assert NetDecoder("Image")(np.zeros((3, 2, 4))).size == (4, 2)


def test_wrong_images():
    with pytest.raises(EncodingError) as caught:
        NetDecoder("Image")(np.zeros((1, 2, 2)))
    assert str(caught.value) == 'NetDecoder("Image") takes arrays [3, height, width]. Got an array of sizes [1, 2, 2].'
    with pytest.raises(EncodingError) as caught:
        NetDecoder("Image")(np.full((3, 2, 2), np.nan))
    assert str(caught.value) == 'NetDecoder("Image") got numbers that are not finite. The property None gives the raw array.'
    with pytest.raises(EncodingError) as caught:
        NetDecoder("Image", MeanImage=np.zeros((4, 4, 3)))(np.zeros((3, 2, 2)))
    assert str(caught.value) == ('NetDecoder("Image") has a mean or variance picture of another size than the picture [2, 2, 3].')
    with pytest.raises(DeclarationError) as caught:
        NetDecoder("Image", MeanImage=[0.1])
    assert str(caught.value) == 'The MeanImage of NetDecoder("Image") needs 3 numbers for RGB. Got 1.'
    with pytest.raises(UnsupportedError) as caught:
        NetDecoder("Image", "HSB")
    assert str(caught.value) == (
        'The ColorSpace \'HSB\' of NetDecoder("Image") does not exist in netdsl. There are "RGB" and "Grayscale".'
    )


def test_function():
    decoder = NetDecoder("Function", lambda array: array.shape)
    assert decoder.type() == OPEN
    assert decoder(np.zeros((2, 3))) == (2, 3)
    assert decoder.decode_many(np.zeros((2, 3))) == [(3,), (3,)]
    assert NetDecoder("Function", np.sum, InputDepth=1)([[1, 2], [3, 4]]) == [3, 7]
    assert decoder.encoder_spec() is None
    with pytest.raises(EncodingError) as caught:
        NetDecoder("Function", lambda array: 1 // 0)([1.0])
    assert str(caught.value) == (
        'NetDecoder("Function"): the function failed for an array of sizes [1]: ZeroDivisionError: integer division '
        "or modulo by zero"
    )
    assert isinstance(caught.value.__cause__, ZeroDivisionError)
