"""Damaged and hostile files: always a FormatError, never a wrong net."""

from __future__ import annotations

import json
import random
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.numpy
from formats.conftest import joined, split

from netdsl import FormatError, LinearLayer, NetChain, Ramp
from netdsl.formats import Export, Import

Written = Callable[[bytes], Path]


def refused(path: Path, match: str = "cannot be imported", **options: Any) -> str:
    with pytest.raises(FormatError, match=match) as caught:
        Import(path, **options)
    assert str(path) in str(caught.value)
    return str(caught.value)


class TestDamage:
    def test_the_parts_rebuild_the_file(self, stored: bytes, written: Written, net: Any) -> None:
        head, manifest, text, tensors = split(stored)
        assert head + manifest + text + tensors == stored
        assert joined(text, tensors) == stored
        assert Import(written(stored)) == net

    @pytest.mark.parametrize("part", range(16))
    def test_cut_off(self, part: int, stored: bytes, written: Written) -> None:
        refused(written(stored[: len(stored) * part // 16]))

    def test_cut_off_by_one_and_longer_by_one(self, stored: bytes, written: Written) -> None:
        refused(written(stored[:-1]), "cut off")
        refused(written(stored + b"\0"), "something was added")

    @pytest.mark.parametrize("seed", range(50))
    def test_one_bit_flipped(self, seed: int, stored: bytes, written: Written) -> None:
        rng = random.Random(seed)
        place = rng.randrange(len(stored)) if seed % 2 else rng.randrange(400)
        flipped = bytearray(stored)
        flipped[place] ^= 1 << rng.randrange(8)
        refused(written(bytes(flipped)))

    def test_every_bit_of_the_head_and_manifest(self, stored: bytes, written: Written) -> None:
        head, manifest, _, _ = split(stored)
        for place in range(len(head) + len(manifest)):
            flipped = bytearray(stored)
            flipped[place] ^= 1 << place % 8
            refused(written(bytes(flipped)))

    def test_swapped_manifests_and_parts(self, stored: bytes, written: Written, tmp_path: Path) -> None:
        Export(tmp_path / "other.netdsl", LinearLayer(3, Weights=np.ones((3, 3)), Biases=None))
        other = (tmp_path / "other.netdsl").read_bytes()
        one, two = split(stored), split(other)
        refused(written(two[0] + two[1] + one[2] + one[3]))
        refused(written(one[0] + one[1] + two[2] + two[3]))
        refused(written(one[0] + two[1] + one[2] + one[3]), "manifest")
        refused(written(joined(one[2], two[3])), "is not in the file")
        refused(written(joined(two[2], one[3])), "does not use the arrays|not in the file")

    def test_other_files(self, written: Written, tmp_path: Path) -> None:
        for data in (
            b"",
            b"\n",
            b"PK\x03\x04",
            b"netdsl 1 5\n",
            b"netdsl 1 2 " + b"0" * 64 + b"\n{}",
            b"\x89HDF\r\n\x1a\n" * 100,
        ):
            refused(written(data))
        (tmp_path / "folder.netdsl").mkdir()
        with pytest.raises(OSError, match="folder"):
            Import(tmp_path / "folder.netdsl")

    def test_the_future(self, stored: bytes, written: Written) -> None:
        _, _, text, tensors = split(stored)
        refused(
            written(joined(text, tensors, b"netdsl 2 ")), "has version 2 of the format, and this netdsl reads versions up to 1"
        )


def layer(value: Any) -> Any:
    return {"functions": [], "net": value}


def linear(positional: Any = (3,), **options: Any) -> Any:
    return {"net": ["LinearLayer", list(positional), options]}


NO_ARRAYS = safetensors.numpy.save({})

VALUES: dict[str, tuple[Any, str]] = {
    "unknown layer": ({"net": ["LinearLayr", [3], {}]}, "there is no net 'LinearLayr' in netdsl. Did you mean 'LinearLayer'"),
    "module path": ({"net": ["os.system", ["ls"], {}]}, "there is no net 'os.system'"),
    "private class": ({"net": ["__class__", [], {}]}, "there is no net '__class__'"),
    "abstract class": ({"net": ["Layer", [], {}]}, "there is no net 'Layer'"),
    "encoder as net": ({"net": ["Image", [], {}]}, "there is no net 'Image'"),
    "unknown field": (linear(Wights={"symbol": "Automatic"}), "has no field 'Wights'. Did you mean 'Weights'"),
    "dunder field": (linear(__class__=1), "has no field '__class__'"),
    "port as field": (linear(Input=3), "has no field 'Input'"),
    "wrong type": (linear(["many"]), "OutputDimensions parameter of LinearLayer must be"),
    "true for one": (linear([True]), "OutputDimensions"),
    "real for integer": (linear([3.0]), "OutputDimensions"),
    "too many arguments": (linear([3, 4]), "takes at most one positional"),
    "huge integer": (linear([-(10**300)]), "OutputDimensions"),
    "unknown function": ({"net": ["ElementwiseLayer", [{"function": "os.system"}], {}]}, "netdsl has no function 'os.system'"),
    "user function not listed": (
        {"net": ["ElementwiseLayer", [{"user": "f"}], {}]},
        "not among those that the file says it needs",
    ),
    "unknown tag": (linear([{"py/object": "os.system"}]), "'py/object' stands for nothing"),
    "two tags": (linear([{"symbol": "All", "float": "inf"}]), "stands for nothing"),
    "empty object": (linear([{}]), "stands for nothing"),
    "symbol of code": (linear([{"symbol": "__import__('os')"}]), "is no symbol"),
    "array that is not there": (linear(Weights={"array": "w"}), "the array 'w' is not in the file"),
    "array of Python": (linear(Weights=[[1, 2]]), "Weights of LinearLayer cannot be"),
    "net as array": (linear(Weights=linear()), "Weights of LinearLayer cannot be"),
    "port by name": (linear(Ports={"dict": [["Input", "Image"]]}), "Ports of LinearLayer cannot be"),
    "port twice": (
        linear(Ports={"dict": [["Input", {"type": [[2], None]}], ["Input", {"type": [[3], None]}]]}),
        "'Input' occurs twice",
    ),
    "port that is not there": (linear(Ports={"dict": [["Inptu", {"type": [[2], None]}]]}), "has no option or port 'Inptu'"),
    "size 2^60": (linear(Ports={"dict": [["Input", {"type": [[2**60], None]}]]}), "no size of level 1"),
    "size 0": (linear(Ports={"dict": [["Input", {"type": [[0], None]}]]}), "0 is no size"),
    "varying inside": (linear(Ports={"dict": [["Input", {"type": [[2, {"varying": "n"}], None]}]]}), "no size of level 2"),
    "elements": (linear(Ports={"dict": [["Input", {"type": [[2], ["complex", None, None]]}]]}), "there are no elements"),
    "NetArray 2^60": (linear(Weights={"netarray": ["w", [2**60, 2**60]]}), "NetArray cannot have the sizes"),
    "number as layer": ({"net": ["NetChain", [{"dict": [["1", 3]]}], {}]}, "NetChain is made of nets"),
    "list of numbers": ({"net": ["NetChain", [[10**9]], {}]}, "NetChain is made of nets"),
    "function as layer": ({"net": ["NetChain", [{"dict": [["1", {"function": "Ramp"}]]}], {}]}, "NetChain is made of nets"),
    "no layers": ({"net": ["NetChain", [{"dict": []}], {}]}, "NetChain is made of nets"),
    "chain of nothing": ({"net": ["NetChain", [], {}]}, "NetChain cannot be built"),
    "graph without edges": ({"net": ["NetGraph", [{"dict": [["1", linear()]]}], {}]}, "NetGraph cannot be built"),
    "edges of another kind": ({"net": ["NetGraph", [{"dict": [["1", linear()]]}, 7], {}]}, "NetGraph cannot be built"),
    "edge to nowhere": ({"net": ["NetGraph", [{"dict": [["1", linear()]]}, [{"Rule": ["1", "2"]}]], {}]}, "which is not there"),
    "cycle": (
        {
            "net": [
                "NetGraph",
                [
                    {"dict": [["1", linear()], ["2", linear()]]},
                    [{"Rule": ["1", "2"]}, {"Rule": ["2", "1"]}, {"Rule": ["2", {"port": ["Out"]}]}],
                ],
                {},
            ]
        },
        "has a cycle",
    ),
    "sizes that contradict": (
        {
            "net": [
                "NetChain",
                [{"dict": [["1", linear([2])], ["2", linear(Ports={"dict": [["Input", {"type": [[3], None]}]]})]]}],
                {},
            ]
        },
        "cannot connect element 1 to port 'Input' of element 2",
    ),
    "ports without end": ({"net": ["CatenateLayer", [1], {"InputPorts": 10**12}]}, "InputPorts of CatenateLayer cannot be"),
    "depth without end": (
        linear(Ports={"dict": [["Output", {"decoder": ["Boolean", [], {"InputDepth": 10**12}]}]]}),
        "InputDepth of",
    ),
    "encoder that is none": (linear(Ports={"dict": [["Input", {"encoder": ["Shell", [], {}]}]]}), "there is no encoder 'Shell'"),
    "shared array of another kind": (linear(SharedArrays={"dict": [["w", "values"]]}), "SharedArrays of LinearLayer cannot be"),
    "unhashable key": (linear(LearningRateMultipliers={"dict": [[{"list": []}, 1]]}), "unhashable"),
    "bytes": (linear([{"bytes": "zz"}]), "cannot be"),
    "record of another size": (linear([{"Rule": [1]}]), "a Rule has 2 places"),
    "record that fails": (linear([{"UniformDistribution": [3]}]), "cannot be"),
    "no net": (3, "there is no net"),
    "a coder": ({"encoder": ["Boolean", [[]], {}]}, "there is no net"),
    "not a call": ({"net": "LinearLayer"}, "a net is"),
    "name of another kind": ({"net": [["LinearLayer"], [], {}]}, "there is no net"),
}


class TestHostileValues:
    @pytest.mark.parametrize("name", VALUES)
    def test_values(self, name: str, written: Written) -> None:
        value, match = VALUES[name]
        message = refused(written(joined(json.dumps(layer(value)).encode(), NO_ARRAYS)), match)
        assert len(message) < 1000

    def test_what_is_allowed_beside_them(self, written: Written) -> None:
        assert Import(written(joined(json.dumps(layer(linear())).encode(), NO_ARRAYS))) == LinearLayer(3)

    @pytest.mark.parametrize(
        ("text", "match"),
        [
            (
                b'{"functions":[],"net":{"net":["LinearLayer",[3],{}]},"net":{"net":["LinearLayer",[4],{}]}}',
                "has the key 'net' twice",
            ),
            (b'{"functions":[],"net":{"net":["LinearLayer",[NaN],{}]}}', "holds NaN"),
            (b'{"functions":[],"net":{"net":["LinearLayer",[-Infinity],{}]}}', "holds -Infinity"),
            (b'{"functions":[],"net":{"net":["LinearLayer",[1e999],{}]}}', "too large"),
            (b'{"functions":[],"net":{"net":["LinearLayer",[' + b"9" * 5000 + b"],{}]}}", "5,000 digits"),
            (b"[" * 100_000, "nested more than"),
            (b"[" * 100_000 + b"]" * 100_000, "nested more than"),
            (b'{"a":' * 100_000, "nested more than"),
            (b'{"functions":[],"net":{"net":["LinearLayer",[3],{}]}', "is no JSON"),
            (b'{"functions":[],"net":{"net":["LinearLayer",[3],{}]}} x', "is no JSON"),
            ('{"functions":["é"]}'.encode("latin-1"), "is no JSON"),
            (b"\xff\xfe", "is no JSON"),
            (b"", "is no JSON"),
            (b"[]", "not made of functions and net"),
            (b'{"functions":[],"net":{},"more":1}', "not made of functions and net"),
            (b'{"functions":[["f"]],"net":{}}', "names the functions"),
            (b'{"functions":["os.system"],"net":{}}', "needs the function 'os.system'"),
        ],
        ids=lambda value: str(value)[:60] if isinstance(value, str) else "",
    )
    def test_texts(self, text: bytes, match: str, written: Written) -> None:
        refused(written(joined(text, NO_ARRAYS)), match)

    def test_deep_nets(self, written: Written) -> None:
        from netdsl.nets import allow_depth

        allow_depth(260)  # for the text that is written here
        net: Any = linear()
        for _ in range(240):
            net = {"net": ["NetChain", [{"dict": [["1", net]]}], {}]}
        inner = Import(written(joined(json.dumps(layer(net)).encode(), NO_ARRAYS)))
        assert len(next(iter(inner.leaves()))[0]) == 240
        for _ in range(20):
            net = {"net": ["NetChain", [{"dict": [["1", net]]}], {}]}
        refused(written(joined(json.dumps(layer(net)).encode(), NO_ARRAYS)), "nested")


def tensors(header: bytes, data: bytes = b"") -> bytes:
    return struct.pack("<Q", len(header)) + header + data


def entry(name: str, shape: list[Any], start: int, end: int, dtype: str = "F32") -> str:
    return json.dumps(name) + ":" + json.dumps({"dtype": dtype, "shape": shape, "data_offsets": [start, end]})


class TestHostileArrays:
    WEIGHTS = linear(Weights={"array": "w"}, Biases=None)

    def check(self, written: Written, header: str, data: bytes, match: str, value: Any = None) -> None:
        text = json.dumps(layer(value or self.WEIGHTS)).encode()
        refused(written(joined(text, tensors(header.encode(), data))), match)

    def test_the_good_one(self, written: Written) -> None:
        header = "{" + entry("w", [3, 2], 0, 24) + "}"
        net = Import(written(joined(json.dumps(layer(self.WEIGHTS)).encode(), tensors(header.encode(), b"\0" * 24))))
        assert net == LinearLayer(3, Weights=np.zeros((3, 2)), Biases=None)

    def test_headers(self, written: Written) -> None:
        good, data = entry("w", [3, 2], 0, 24), b"\0" * 24
        for header, match in (
            ("{" + good + "," + good + "}", "has the key 'w' twice"),
            ("{" + entry("w", [2**60, 2**60], 0, 24) + "}", "has the sizes"),
            ("{" + entry("w", [2**39, 2**39], 0, 24) + "}", "is not in bytes"),
            ("{" + entry("w", [0, 2**60], 0, 0) + "}", "has the sizes"),
            ("{" + entry("w", [3, -2], 0, 24) + "}", "has the sizes"),
            ("{" + entry("w", [3, 2.0], 0, 24) + "}", "has the sizes"),
            ("{" + entry("w", [True, 6], 0, 24) + "}", "has the sizes"),
            ("{" + entry("w", [3, 2], 0, 24, "O") + "}", "unknown dtype"),
            ("{" + entry("w", [3, 2], 8, 32) + "}", "is not in bytes|valid"),
            ("{" + entry("w", [3, 1], 0, 12) + "}", "24 bytes of arrays, and its header describes 12"),
            ("{" + good + "," + entry("v", [3, 2], 0, 24) + "}", "header describes 48"),
            ("{" + entry("w", [3], 0, 12) + "," + entry("v", [3], 6, 18) + "}", "no valid safetensors|not in bytes"),
            ('{"w":{"dtype":"F32","shape":[3,2]}}', "not described by"),
            ('{"w":3}', "not described by"),
            ('{"__metadata__":{"a":"b"},' + good + "}", "not described by"),
            ("[]", "no JSON object"),
            ("{" + good, "is no JSON"),
        ):
            self.check(written, header, data, match)
        for raw in (b"", b"\0" * 7, b"\xff" * 8, struct.pack("<Q", 100) + b"{}"):
            refused(written(joined(json.dumps(layer(self.WEIGHTS)).encode(), raw)), "cut off")

    def test_names(self, written: Written) -> None:
        header = "{" + entry("w", [3, 3], 0, 36) + "," + entry("v", [1], 36, 40) + "}"
        self.check(written, header, b"\0" * 40, "does not use the arrays 'v'")
        twice = {"net": ["NetChain", [{"dict": [["1", self.WEIGHTS], ["2", self.WEIGHTS]]}], {}]}
        self.check(written, "{" + entry("w", [3, 3], 0, 36) + "}", b"\0" * 36, "the array 'w' is used twice", twice)

    def test_kinds(self, written: Written) -> None:
        for kind, match in (
            ("float33", "cannot hold the bits"),
            ("bfloat16", "cannot hold the bits"),
            (["x"], "cannot hold the bits"),
        ):
            self.check(
                written,
                "{" + entry("w", [3, 2], 0, 24) + "}",
                b"\0" * 24,
                match,
                linear(Weights={"array": ["w", kind]}, Biases=None),
            )
        self.check(
            written, "{" + entry("w", [3, 2], 0, 24, "I32") + "}", b"\0" * 24, "the array Weights of LinearLayer cannot be int32"
        )
        self.check(written, "{" + entry("w", [3], 0, 12) + "}", b"\0" * 12, "takes a matrix|cannot be built")


def test_size_limit(monkeypatch: pytest.MonkeyPatch, stored: bytes, written: Written) -> None:
    monkeypatch.setattr("netdsl.formats.strict_json.LARGEST", 200)
    refused(written(stored), "at most 200 are read")


def test_too_deep_to_export(tmp_path: Path) -> None:
    from netdsl import DeclarationError

    net: Any = NetChain([Ramp])
    for _ in range(260):
        net = NetChain([net])
    with pytest.raises(DeclarationError, match="nested more than"):
        Export(tmp_path / "deep.netdsl", net)
    assert list(tmp_path.iterdir()) == []
