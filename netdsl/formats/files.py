"""Export and Import: the format is chosen by the suffix of the file's name."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from netdsl.errors import DeclarationError, UnsupportedError, excerpt, listing, public
from netdsl.formats import netdsl_file

__all__ = ["Export", "Import"]

FORMATS = {".netdsl": netdsl_file}

NOT_YET = {
    ".wlnet": "WLNet",
    ".onnx": "ONNX",
    ".json": "MXNet",
    ".params": "MXNet",
    ".wmlf": "WMLF",
    ".gguf": "GGUF",
    ".wxf": "WXF",
    ".mx": "MX",
    ".h5": "HDF5",
    ".hdf5": "HDF5",
}
"""The formats of Mathematica's list that hold nets or their arrays."""


@public
def Export(path: Any, net: Any, /, **options: Any) -> str:
    """Write a net into a file and give the file's name.

    ``Export("net.netdsl", net)``; a string, a `File` or a path. The suffix chooses the format; ".netdsl" holds everything that a
    net declares: layers, wires, encoders, decoders, arrays with all their bits. The old file stays as it is until the new one is
    complete on the disk. Equal nets give equal bytes.

    Functions
        ``{"name": f}``: names for the functions of yours that the net uses. Files hold no code: a function of netdsl is stored
        by its name, yours by the name given here, which `Import` needs too.

    Raises `DeclarationError` for functions without a name and for other suffixes, `UnsupportedError` for formats that do not
    exist yet, `OSError` when the file cannot be written.

    >>> import tempfile, os
    >>> from netdsl import LinearLayer
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     file = Export(os.path.join(folder, "net.netdsl"), LinearLayer(2, Input=3))
    ...     Import(file)
    LinearLayer(2, Input=3)

    Differences from Wolfram: ".netdsl" is netdsl's own format. Source: Wolfram's public reference page.
    """
    name = _name(path)
    _format("Export", name).write(name, net, **options)
    return os.fspath(path)


@public
def Import(path: Any, element: str = "Net", /, **options: Any) -> Any:
    """The net in a file, or an element of the file.

    ``Import("net.netdsl")``; elements: "Net" (default), "UninitializedNet" (without arrays), "ArrayAssociation" (the arrays by
    path), "ArrayList", "Version" (of the format) and "Elements" (the list of these).

    Functions
        ``{"name": f}``: the functions that `Export` was given names for.

    Nothing in a file is run, and nothing outside it is opened. Raises `FormatError` for a file that is damaged, of another kind
    or newer, and when Functions lacks a name that the net needs; `UnsupportedError` for formats that do not exist yet.

    >>> Import("net.csv")
    Traceback (most recent call last):
    netdsl.errors.DeclarationError: Import: 'net.csv' has no suffix of a format that holds nets. There is '.netdsl'.

    Differences from Wolfram: the elements "Summary" and "Rules" are not there. Source: Wolfram's public reference page.
    """
    name = _name(path)
    return _format("Import", name).read(name, element, **options)


def _name(path: Any) -> str:
    if not isinstance(path, (str, os.PathLike)) or not isinstance(os.fspath(path), str):
        raise DeclarationError(f"A file is named by a string, a File or a path. Got {excerpt(path)}.")
    return os.path.expanduser(os.fspath(path))


def _format(what: str, name: str) -> Any:
    suffix = Path(name).suffix.lower()
    if suffix in FORMATS:
        return FORMATS[suffix]
    formats = f"There {'is' if len(FORMATS) == 1 else 'are'} {listing(map(repr, FORMATS))}."
    if suffix in NOT_YET:
        raise UnsupportedError(f"{what}: {name!r}: the format {NOT_YET[suffix]} does not exist in netdsl yet. {formats}")
    raise DeclarationError(f"{what}: {name!r} has no suffix of a format that holds nets. {formats}")
