"""Everything a net may declare as JSON values, and back.

JSON's own null, true, numbers and strings stand for themselves, and a JSON array for a tuple; 1, 1.0 and true stay apart. All
else is an object with one key that says what it is, such as ``{"symbol": "Automatic"}`` or ``{"array": "conv/Weights"}``.
"""

from __future__ import annotations

import dataclasses
import math
import types
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from netdsl import distributions, symbols
from netdsl.constraints import FrozenDict, source_text
from netdsl.containers import NetPort
from netdsl.errors import DeclarationError, FormatError, excerpt
from netdsl.formats.strict_json import write_json
from netdsl.formats.tensors import LARGEST_SIZE, bits, from_bits, plain_array
from netdsl.functions import FUNCTIONS, Function
from netdsl.functions.composed import Call, Composed
from netdsl.nets import NetArray
from netdsl.shapes import ArrayType, Elements, Length
from netdsl.symbols import Automatic, Symbol

__all__ = ["Reader", "Unwritable", "Writer"]

RECORDS: dict[str, Any] = {
    name: thing
    for module in (symbols, distributions)
    for name in module.__all__
    if dataclasses.is_dataclass(thing := getattr(module, name))
}
"""The expressions that are records of values: Rule, Span, Scaled, NormalDistribution …"""


class Unwritable(Exception):
    """A value that a file cannot hold: the reason."""


class Writer:
    """Values as JSON; arrays and the names of functions are collected on the way."""

    def __init__(self, functions: Mapping[str, Callable[..., Any]]) -> None:
        self.functions = functions
        self.arrays: dict[str, np.ndarray] = {}
        self.used: list[str] = []

    def value(self, value: Any, place: tuple[str, ...]) -> Any:
        """The JSON for a value; `place` names its arrays. Raises Unwritable."""
        if value is None or isinstance(value, (bool, np.bool_)):
            return value if value is None else bool(value)
        if isinstance(value, (int, np.integer)):
            return int(value)
        if isinstance(value, (float, np.floating)):
            return self._real(float(value))
        if isinstance(value, str):
            return str(value)
        if isinstance(value, bytes):
            return {"bytes": value.hex()}
        if isinstance(value, Symbol):
            return {"symbol": value.name}
        if isinstance(value, ArrayType):
            return {
                "type": [
                    None if value.sizes is None else [_size(size) for size in value.sizes],
                    None if value.elements is None else list(value.elements),
                ]
            }
        if isinstance(value, NetArray):
            return {"netarray": [value.Name, None if value.Dimensions is Automatic else list(value.Dimensions)]}
        if isinstance(value, NetPort):
            return {"port": self.value(value.path, place)}
        if type(value).__name__ in RECORDS and isinstance(value, RECORDS[type(value).__name__]):
            return {type(value).__name__: [self.value(getattr(value, f.name), place) for f in dataclasses.fields(value)]}
        if hasattr(value, "dtype") and hasattr(value, "shape"):
            return self._array(value, place)
        return self._composed(value, place)

    def _composed(self, value: Any, place: tuple[str, ...]) -> Any:
        if type(value) is tuple:
            return [self.value(item, (*place, str(i))) for i, item in enumerate(value, 1)]
        if type(value) is list:
            return {"list": [self.value(item, (*place, str(i))) for i, item in enumerate(value, 1)]}
        if isinstance(value, (dict, FrozenDict)):
            return {"dict": [[self.value(key, place), self.value(item, (*place, str(key)))] for key, item in value.items()]}
        if isinstance(value, frozenset):
            return {"set": sorted((self.value(item, place) for item in value), key=write_json)}
        if isinstance(value, Composed):
            return {"composed": [list(value.names), _tree(value.value)]}
        if isinstance(value, Function) and FUNCTIONS.get(value.__name__) is value:
            return {"function": value.__name__}
        if callable(value):
            return self._named(value)
        raise Unwritable(f"{excerpt(value)} cannot be stored: files hold numbers, strings, arrays and functions by name")

    def _real(self, value: float) -> Any:
        if math.isnan(value):
            raise Unwritable("NaN cannot be stored in a file")
        return {"float": "inf" if value > 0 else "-inf"} if math.isinf(value) else value

    def _array(self, value: Any, place: tuple[str, ...]) -> Any:
        try:
            stored, kind = bits(plain_array(value))
        except DeclarationError as problem:
            raise Unwritable(str(problem).rstrip(".")) from None
        name = plain = "/".join(place).encode("utf-8", "backslashreplace").decode()
        number = 1
        while name in self.arrays:
            number += 1
            name = f"{plain}#{number}"
        self.arrays[name] = stored
        return {"array": [name, kind] if kind else name}

    def _named(self, function: Any) -> Any:
        for name, known in self.functions.items():
            if known is function or (isinstance(function, types.MethodType) and known == function):
                if name not in self.used:
                    self.used.append(name)
                return {"user": name}
        raise Unwritable(
            f'{source_text(function)} has no name that a file could hold; give Functions={{"name": f}} to Export and Import'
        )


def _tree(value: Any) -> Any:
    """What a composed function computes: calls as {function: arguments}, names of arguments as {"argument": name}."""
    if isinstance(value, Call):
        return {value.function: [_tree(each) for each in value.arguments]}
    if isinstance(value, tuple):
        return [_tree(each) for each in value]
    if isinstance(value, str):
        return {"argument": value}
    if isinstance(value, float) and not math.isfinite(value):
        return {"float": str(value)}
    return value


def _from_tree(value: Any, names: tuple[str, ...]) -> Any:
    if isinstance(value, list):
        return tuple(_from_tree(each, names) for each in value)
    if not isinstance(value, dict):
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            raise FormatError(f"{excerpt(value)} is no part of a composed function")
        return value
    if len(value) != 1:
        raise FormatError(f"an object with the keys {excerpt(list(value))} stands for nothing")
    ((tag, inner),) = value.items()
    if tag == "float" and inner in ("inf", "-inf", "nan"):
        return float(inner)
    if tag == "argument" and inner in names:
        return inner
    if tag not in FUNCTIONS or not isinstance(inner, list):
        raise FormatError(f"netdsl has no function {excerpt(tag)}")
    return Call(tag, tuple(_from_tree(each, names) for each in inner))


def _size(size: Any) -> Any:
    if not isinstance(size, Length):
        return size
    name = Length(size.name).text
    return {"varying": [name, *map(list, size.steps)] if size.steps else name}


class Reader:
    """JSON as the values it stands for. Nothing is taken that `Writer` could not have written; the rest raises FormatError."""

    def __init__(self, arrays: Mapping[str, np.ndarray], functions: Mapping[str, Callable[..., Any]]) -> None:
        self.arrays = arrays
        self.functions = functions
        self.used: set[str] = set()
        self.tags: dict[str, Callable[[Any], Any]] = {
            "array": self._array,
            "bytes": self._bytes,
            "composed": self._composed,
            "dict": self._dict,
            "float": self._float,
            "function": self._function,
            "list": self._list,
            "netarray": self._netarray,
            "port": self._port,
            "set": self._set,
            "symbol": self._symbol,
            "type": self._type,
            "user": self._user,
        }

    def value(self, value: Any) -> Any:
        """The value that the JSON stands for."""
        if isinstance(value, list):
            return tuple(self.value(item) for item in value)
        if not isinstance(value, dict):
            return value
        if len(value) != 1:
            raise FormatError(f"an object with the keys {excerpt(list(value))} stands for nothing")
        ((tag, inner),) = value.items()
        if tag in RECORDS:
            return self._record(tag, inner)
        if tag not in self.tags:
            raise FormatError(f"{excerpt(tag)} stands for nothing")
        return self.tags[tag](inner)

    def _record(self, tag: str, inner: Any) -> Any:
        fields = dataclasses.fields(RECORDS[tag])
        if not isinstance(inner, list) or len(inner) != len(fields):
            raise FormatError(f"a {tag} has {len(fields)} places, not {excerpt(inner)}")
        return RECORDS[tag](*(self.value(item) for item in inner))

    def _array(self, inner: Any) -> np.ndarray:
        name, kind = inner if isinstance(inner, list) and len(inner) == 2 else (inner, None)
        if not isinstance(name, str) or name not in self.arrays:
            raise FormatError(f"the array {excerpt(name)} is not in the file")
        if name in self.used:
            raise FormatError(f"the array {excerpt(name)} is used twice")
        self.used.add(name)
        array = self.arrays[name]
        return array if kind is None else from_bits(array, kind)

    def _bytes(self, inner: Any) -> bytes:
        return bytes.fromhex(_string(inner))

    def _dict(self, inner: Any) -> FrozenDict:
        made = {}
        for pair in _items(inner):
            key, value = _items(pair, 2)
            key = self.value(key)
            if key in made:
                raise FormatError(f"the key {excerpt(key)} occurs twice")
            made[key] = self.value(value)
        return FrozenDict(made)

    def _float(self, inner: Any) -> float:
        if inner not in ("inf", "-inf"):
            raise FormatError(f"{excerpt(inner)} is no number")
        return float(inner)

    def _function(self, inner: Any) -> Function:
        if _string(inner) not in FUNCTIONS:
            raise FormatError(f"netdsl has no function {excerpt(inner)}")
        return FUNCTIONS[inner]

    def _composed(self, inner: Any) -> Composed:
        names, value = _items(inner, 2)
        if not all(isinstance(name, str) and name.isidentifier() for name in _items(names)):
            raise FormatError(f"{excerpt(names)} are no names of arguments")
        return Composed(tuple(names), _from_tree(value, tuple(names)))

    def _user(self, inner: Any) -> Any:
        if _string(inner) not in self.functions:
            raise FormatError(f"the function {excerpt(inner)} is not among those that the file says it needs")
        return self.functions[inner]

    def _list(self, inner: Any) -> list[Any]:
        return [self.value(item) for item in _items(inner)]

    def _set(self, inner: Any) -> frozenset[Any]:
        return frozenset(self.value(item) for item in _items(inner))

    def _netarray(self, inner: Any) -> NetArray:
        name, sizes = _items(inner, 2)
        if sizes is not None and not all(type(size) is int and 0 < size <= LARGEST_SIZE for size in _items(sizes)):
            raise FormatError(f"a NetArray cannot have the sizes {excerpt(sizes)}")
        return NetArray(_string(name), Dimensions=Automatic if sizes is None else sizes)

    def _port(self, inner: Any) -> NetPort:
        return NetPort(*self.value(_items(inner)))

    def _symbol(self, inner: Any) -> Symbol:
        if not _string(inner).isidentifier() or len(inner) > 200:
            raise FormatError(f"{excerpt(inner)} is no symbol")
        return Symbol(inner)

    def _type(self, inner: Any) -> ArrayType:
        sizes, elements = _items(inner, 2)
        kind = None
        if elements is not None:
            name, low, high = _items(elements, 3)
            if name not in ("real", "integer") or any(bound is not None and type(bound) is not int for bound in (low, high)):
                raise FormatError(f"there are no elements {excerpt(elements)}")
            kind = Elements(name, low, high)
        if sizes is None:
            return ArrayType(None, kind)
        return ArrayType(tuple(self._size(size, level) for level, size in enumerate(_items(sizes))), kind)

    @staticmethod
    def _size(size: Any, level: int) -> Any:
        if isinstance(size, dict) and list(size) == ["varying"] and level == 0:
            name, *steps = size["varying"] if isinstance(size["varying"], list) and size["varying"] else [size["varying"]]
            return Length(_string(name), tuple(map(_length_step, steps)))
        if size is not None and not (type(size) is int and 0 < size <= LARGEST_SIZE):
            raise FormatError(f"{excerpt(size)} is no size of level {level + 1}")
        return size


def _items(value: Any, length: int | None = None) -> list[Any]:
    if not isinstance(value, list) or (length is not None and len(value) != length):
        raise FormatError(f"{excerpt(value)} is no list{'' if length is None else f' of {length}'}")
    return value


def _string(value: Any) -> str:
    if not isinstance(value, str):
        raise FormatError(f"{excerpt(value)} is no string")
    return value


def _length_step(step: Any) -> tuple[int, int]:
    """One step by which a length follows from another."""
    add, divide = _items(step, 2)
    if type(add) is not int or type(divide) is not int or abs(add) > LARGEST_SIZE or not 0 < divide <= LARGEST_SIZE:
        raise FormatError(f"{excerpt(step)} is no way in which one length follows from another")
    return add, divide
