"""Encoders and decoders."""

from __future__ import annotations

import numpy as np

from netdsl import NetDecoder, NetEncoder
from specimens.specimen import Coder


def _lengths(text: str) -> np.ndarray:
    return np.full(2 if text else 3, len(text))


def _double(x: np.ndarray) -> np.ndarray:
    return np.asarray(x) * 2


CODERS = (
    Coder(
        "encoder of images",
        lambda: NetEncoder("Image", [4, 3], ColorSpace="Grayscale"),
        np.arange(20, dtype=np.uint8).reshape(4, 5),
        "no file",
    ),
    Coder("encoder of classes", lambda: NetEncoder("Class", ["cat", "dog"]), "dog", "bird"),
    Coder("encoder of truth values", lambda: NetEncoder("Boolean"), True, 7),
    Coder("encoder of numbers", lambda: NetEncoder("Scalar"), 1.5, "much"),
    Coder("encoder by a function", lambda: NetEncoder("Function", _lengths, [2]), "abc", "", written=False),
    Coder("decoder of images", lambda: NetDecoder("Image", "Grayscale"), np.zeros((1, 2, 2), np.float32), "text"),
    Coder("decoder of classes", lambda: NetDecoder("Class", range(3)), np.array([0.1, 0.7, 0.2]), "text"),
    Coder(
        "decoder of readings",
        lambda: NetDecoder("CTCBeamSearch", ["a", "b"]),
        np.array([[0.6, 0.1, 0.3], [0.2, 0.7, 0.1]]),
        "text",
    ),
    Coder("decoder of truth values", lambda: NetDecoder("Boolean"), np.array(0.7), "text"),
    Coder("decoder of numbers", lambda: NetDecoder("Scalar"), np.array([0.7]), "text"),
    Coder("decoder by a function", lambda: NetDecoder("Function", _double), np.array([0.7]), "text", written=False),
)
