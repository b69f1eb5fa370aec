"""What ports, encoders and decoders are called in panels, in Mathematica's words."""

from __future__ import annotations

from typing import Any

from netdsl.constraints import source_text
from netdsl.decoders.decoder import Decoder
from netdsl.encoders.encoder import Encoder
from netdsl.encoders.mapped import MappedEncoder
from netdsl.nets import Net
from netdsl.shapes import ArrayType, type_text

__all__ = ["coder_facts", "coder_words", "port_words", "value_text"]

WORDS = {
    "Image3D": "3D image",
    "VideoFrames": "video",
    "Characters": "string",
    "Tokens": "string",
    "SubwordTokens": "string",
    "UTF8": "string",
    "CTCBeamSearch": "list of labels",
    "FeatureExtractor": "features",
    "Audio": "audio",
    "AudioSTFT": "audio",
    "AudioSpectrogram": "audio",
    "AudioMelSpectrogram": "audio",
    "AudioMFCC": "audio",
}
"""The things that encoders take and decoders give, where that is not the kind in lower case."""

PLURALS = {"class": "classes"}

SHOWN_LABELS = 12
"""So many elements of a long parameter are shown, two thirds from its start."""


def port_words(net: Net, port: str, type_: ArrayType) -> str:
    """The thing that a port takes or gives: its encoder's or decoder's, else the type."""
    coder = net.encoder(port) if port in net.input_names else net.decoder(port)
    return coder_words(coder, type_) if coder is not None else type_text(type_)


def coder_words(coder: Encoder | Decoder, type_: ArrayType) -> str:
    """What the encoder takes or the decoder gives: ``image``, ``class``, ``vector of booleans``."""
    if isinstance(coder, MappedEncoder):
        word = coder_words(coder.Each, type_)
        return f"list of {PLURALS.get(word, word if ' of ' in word else word + 's')}"
    word = WORDS.get(coder.kind, coder.kind.lower())
    depth = _depth(coder)
    if getattr(coder, "Multilabel", False):
        word = f"list of {PLURALS.get(word, word + 's')}"
    if not depth:
        return word
    shape = {1: "vector", 2: "matrix"}.get(depth, "array")
    return f"{shape} of {PLURALS.get(word, word if ' of ' in word else word + 's')}"


def _depth(coder: Encoder | Decoder) -> int:
    """How deeply the things are nested."""
    dimensions = getattr(coder, "Dimensions", None)
    if isinstance(dimensions, tuple):
        return len(dimensions)
    depth = getattr(coder, "InputDepth", None)
    if not isinstance(depth, int):
        return 0
    default = coder.parameters["InputDepth"].default
    return max(depth - default, 0) if isinstance(default, int) else 0


def coder_facts(coder: Encoder | Decoder) -> list[tuple[str, str]]:
    """The lines of an encoder's or decoder's panel."""
    type_ = coder.type()
    side = "Output" if isinstance(coder, Encoder) else "Input"
    facts = [("Type", coder.kind), (side, type_text(type_))]
    return facts + [(name, value_text(value)) for name, value in coder.values_of_parameters().items()]


def value_text(value: Any) -> str:
    """A parameter as one would write it, strings bare, with the middle of a long list left out."""
    if isinstance(value, str):
        return value
    if isinstance(value, tuple) and type(value) is tuple and len(value) > SHOWN_LABELS:
        first = [source_text(item) for item in value[: 2 * SHOWN_LABELS // 3]]
        last = [source_text(item) for item in value[-SHOWN_LABELS // 3 :]]
        return f"[{', '.join(first)}, <<{len(value) - len(first) - len(last)}>>, {', '.join(last)}]"
    return source_text(value)
