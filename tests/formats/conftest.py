"""Nets to store, and the pieces of a file to damage."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from netdsl import (
    BatchNormalizationLayer,
    ConvolutionLayer,
    FlattenLayer,
    LinearLayer,
    NetArray,
    NetChain,
    NetDecoder,
    NetEncoder,
    NetInitialize,
    Ramp,
    SoftmaxLayer,
)
from netdsl.formats import Export


def small_net() -> Any:
    """A net with an encoder that holds an array, a decoder, state, a shared array and names."""
    mean = np.linspace(0, 1, 36, dtype=np.float32).reshape(6, 6)
    return NetInitialize(
        NetChain(
            {
                "conv": ConvolutionLayer(2, 3),
                "norm": BatchNormalizationLayer(),
                "ramp": Ramp,
                "flat": FlattenLayer(),
                "a": LinearLayer(4, Weights=NetArray("w", Dimensions=[4, 32])),
                "out": LinearLayer(3),
                "p": SoftmaxLayer(),
            },
            Input=NetEncoder("Image", [6, 6], ColorSpace="Grayscale", MeanImage=mean),
            Output=NetDecoder("Class", ["cat", 1, 2.0]),
        )
    )


@pytest.fixture(scope="session")
def net() -> Any:
    return small_net()


@pytest.fixture(scope="session")
def stored(net: Any, tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path = tmp_path_factory.mktemp("stored") / "net.netdsl"
    Export(path, net)
    return path.read_bytes()


def split(data: bytes) -> tuple[bytes, bytes, bytes, bytes]:
    """The head line, manifest, JSON and tensors of a file."""
    end = data.index(b"\n") + 1
    length = int(data[:end].split()[2])
    manifest = data[end : end + length]
    sizes = [entry[1] for entry in json.loads(manifest)["parts"]]
    rest = data[end + length :]
    return data[:end], manifest, rest[: sizes[0]], rest[sizes[0] :]


def joined(text: bytes, tensors: bytes, head: bytes = b"netdsl 1 ") -> bytes:
    """A file of these parts whose every sum is right: what an enemy would write."""
    entries = [
        [name, len(part), hashlib.sha256(part).hexdigest()]
        for name, part in (("net.json", text), ("arrays.safetensors", tensors))
    ]
    manifest = json.dumps({"parts": entries}, separators=(",", ":")).encode() + b"\n"
    return head + f"{len(manifest)} {hashlib.sha256(manifest).hexdigest()}\n".encode() + manifest + text + tensors


@pytest.fixture
def written(tmp_path: Path) -> Callable[[bytes], Path]:
    def write(data: bytes) -> Path:
        path = tmp_path / "hostile.netdsl"
        path.write_bytes(data)
        return path

    return write
