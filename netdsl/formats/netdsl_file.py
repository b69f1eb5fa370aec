"""The format ".netdsl": a net in one file.

The file is one line of ASCII, then a manifest, then the parts it lists, and nothing else::

    netdsl 1 <length of the manifest> <its sha256>
    {"parts":[["net.json",<length>,<sha256>],["arrays.safetensors",<length>,<sha256>]]}
    <net.json><arrays.safetensors>

So every byte is accounted for: no file that is cut off or changed anywhere is taken for a net. There are no times and no names of
machines in it: equal nets give equal bytes. `net.json` says which functions of the user's are needed and holds the net's
declarations; nothing in it is run. A checkpoint of NetTrain has two parts more, `training.json` and `training.safetensors`, with
what the training needs to go on; as a net it is what it would be without them.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import stat
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from netdsl.errors import DeclarationError, FormatError, PartError, excerpt, listing, nearest
from netdsl.formats.specification import read_net, write_net
from netdsl.formats.strict_json import DEEPEST, read_json, write_json
from netdsl.formats.tensors import read_tensors, write_tensors
from netdsl.formats.writing import write_atomically
from netdsl.nets import Net
from netdsl.symbols import Automatic

__all__ = ["ELEMENTS", "VERSION", "checkpoint_of", "checkpoint_parts", "net_parts", "packed", "read", "write"]

VERSION = 1
ELEMENTS = ("Net", "UninitializedNet", "ArrayAssociation", "ArrayList", "Version", "Elements")
PARTS = ("net.json", "arrays.safetensors")
TRAINING_PARTS = ("training.json", "training.safetensors")
_LISTED = tuple(tuple([name] for name in names) for names in (PARTS, PARTS + TRAINING_PARTS))

_HEAD = re.compile(rb"netdsl ([1-9][0-9]{0,5}) ([1-9][0-9]{0,5}) ([0-9a-f]{64})\n")
_LONGEST_HEAD = 7 + 6 + 1 + 6 + 1 + 64 + 1

Named = Mapping[str, Callable[..., Any]]


def write(path: str, net: Any, *, Functions: Named | None = None) -> None:
    """Write a net into a file, completely or not at all."""
    if not isinstance(net, Net):
        raise DeclarationError(f"Export writes nets into {path!r}. Got {excerpt(net)}.")
    chunks = packed(net_parts(net, _checked(Functions, "Export")))
    write_atomically(path, chunks, sum(map(len, chunks)))


def net_parts(net: Net, functions: Named) -> tuple[bytes, bytes]:
    """The parts of the file of a net. Raises DeclarationError for what a file cannot hold."""
    value, arrays, used = write_net(net, functions)
    text = write_json({"functions": used, "net": value})
    try:
        read_json(text, "net")
    except FormatError:
        raise DeclarationError(
            f"Export: this net cannot be stored: its text is nested more than {DEEPEST} levels deep, or holds "
            "numbers that are too long."
        ) from None
    return text, write_tensors(arrays)


def packed(parts: Sequence[bytes]) -> tuple[bytes, ...]:
    """The whole file of these parts: those of a net, or of a net and a training."""
    names = (*PARTS, *TRAINING_PARTS)[: len(parts)]
    manifest = write_json({"parts": [[name, len(part), _digest(part)] for name, part in zip(names, parts)]}) + b"\n"
    return b"netdsl %d %d %s\n" % (VERSION, len(manifest), _digest(manifest).encode()), manifest, *parts


def read(path: str, element: str = "Net", *, Functions: Named | None = None) -> Any:
    """An element of a file."""
    if element not in ELEMENTS:
        raise PartError(f"Import: a .netdsl file has no element {excerpt(element)}. {nearest(element, ELEMENTS)}")
    if element == "Elements":
        return list(ELEMENTS)
    functions = _checked(Functions, "Import")
    with _named(path):
        text, tensors = _parts(path)[:2]
        if element == "Version":
            return VERSION
        net = _net(text, tensors, functions)
    if element == "UninitializedNet":
        return _uninitialized(net)
    if element == "Net":
        return net
    arrays = {name: value for name, value in net.array_table().items() if value is not Automatic}
    return arrays if element == "ArrayAssociation" else list(arrays.values())


def checkpoint_parts(path: str) -> list[bytes]:
    """The parts of the file of a checkpoint, after every byte was checked."""
    with _named(path):
        parts = _parts(path)
        if len(parts) == len(PARTS):
            raise FormatError("it is a net, and no checkpoint of a training")
        return parts


def checkpoint_of(path: str, parts: Sequence[bytes]) -> tuple[bytes, Any, dict[str, np.ndarray]]:
    """The `net.json` of a checkpoint, what its `training.json` holds, and the arrays of both by name; `path` is for messages."""
    with _named(path):
        arrays = read_tensors(parts[1], PARTS[1])
        return parts[0], read_json(parts[2], TRAINING_PARTS[0]), arrays | read_tensors(parts[3], TRAINING_PARTS[1])


@contextlib.contextmanager
def _named(path: str) -> Iterator[None]:
    """Errors of the contents as a FormatError that names the file."""
    try:
        yield
    except (RecursionError, MemoryError) as problem:
        raise FormatError(f"{path!r} cannot be imported: it is too deep or too large ({type(problem).__name__}).") from None
    except FormatError as problem:
        raise FormatError(f"{path!r} cannot be imported: {str(problem).rstrip('.')}.") from None


def _checked(functions: Any, what: str) -> Named:
    functions = {} if functions is None else functions
    if not isinstance(functions, Mapping) or not all(isinstance(n, str) and n and callable(f) for n, f in functions.items()):
        raise DeclarationError(f'{what}: Functions is a dict from names to functions: {{"name": f}}. Got {excerpt(functions)}.')
    return functions


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _parts(path: str) -> list[bytes]:
    """The parts of a file, after every byte was checked."""
    with open(path, "rb") as file:
        status = os.fstat(file.fileno())
        if not stat.S_ISREG(status.st_mode):
            raise FormatError("it is no ordinary file")
        line = file.readline(_LONGEST_HEAD)
        head = _HEAD.fullmatch(line)
        if head is None:
            raise FormatError("it is no .netdsl file, or its first line is damaged")
        if int(head[1]) > VERSION:
            raise FormatError(f"it has version {int(head[1])} of the format, and this netdsl reads versions up to {VERSION}")
        manifest = file.read(int(head[2]))
        if len(manifest) != int(head[2]) or _digest(manifest).encode() != head[3]:
            raise FormatError("its manifest is cut off or damaged")
        entries = _entries(manifest)
        expected = len(line) + len(manifest) + sum(size for _, size, _ in entries)
        if status.st_size != expected:
            raise FormatError(f"it is {status.st_size:,} bytes long and should be {expected:,}: cut off, or something was added")
        parts = []
        for name, size, digest in entries:
            part = file.read(size)
            if len(part) != size or _digest(part) != digest:
                raise FormatError(f"its {name} is damaged: the sum of its bytes is not what the manifest says")
            parts.append(part)
        return parts


def _entries(manifest: bytes) -> list[tuple[str, int, str]]:
    value = read_json(manifest, "the manifest")
    listed = value.get("parts") if isinstance(value, dict) and list(value) == ["parts"] else None
    if not isinstance(listed, list) or tuple(entry[:1] for entry in listed if isinstance(entry, list)) not in _LISTED:
        raise FormatError(f"its manifest does not list the parts {listing(PARTS)}")
    entries = []
    for entry in listed:
        if not isinstance(entry, list) or len(entry) != 3 or not isinstance(entry[2], str):
            raise FormatError(f"its manifest has the entry {excerpt(entry)}")
        if type(entry[1]) is not int or not 0 <= entry[1] < 2**60:
            raise FormatError(f"its manifest has the entry {excerpt(entry)}")
        entries.append((entry[0], entry[1], entry[2]))
    return entries


def _net(text: bytes, tensors: bytes, functions: Named) -> Net:
    value = read_json(text, "net.json")
    if not isinstance(value, dict) or set(value) != {"functions", "net"} or not isinstance(value["functions"], list):
        raise FormatError("net.json is not made of functions and net")
    needed = value["functions"]
    if not all(isinstance(name, str) for name in needed):
        raise FormatError(f"net.json names the functions {excerpt(needed)}")
    missing = [name for name in needed if name not in functions]
    if missing:
        given = ", ".join(f"{name!r}: ..." for name in missing[:6])
        raise FormatError(
            f"the net needs the function{'s' * (len(missing) > 1)} {listing(map(repr, missing))}, and files hold "
            f"no code: give Functions={{{given}}}"
        )
    return read_net(value["net"], read_tensors(tensors, "arrays.safetensors"), {name: functions[name] for name in needed})


def _uninitialized(net: Net) -> Net:
    """The net without arrays, its ports pinned to the sizes that the arrays gave them."""
    pinned = {port: net.port_type(port) for port in (*net.input_names, *net.output_names) if port not in net.ports}
    pinned = {port: type_ for port, type_ in pinned.items() if type_.known}
    empty = net.with_arrays(dict.fromkeys(net.array_table(), Automatic))
    return empty.rebuilt(ports=type(net.ports)({**net.ports, **pinned}))
