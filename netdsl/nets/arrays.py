"""The arrays of a layer: their declaration, and arrays shared by name."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from netdsl.constraints import POSITIVE, FrozenDict, either, list_of
from netdsl.errors import DeclarationError, excerpt
from netdsl.shapes.signature import Slot, parse_slot
from netdsl.symbols import Automatic, Symbol

__all__ = ["ArrayDeclaration", "Arrays", "NetArray", "array", "as_array", "bits_equal", "given_sizes", "lift_shared", "state"]

ArrayPath = tuple[str, ...]

_SIZES = either(POSITIVE, list_of(POSITIVE, "a list of them"))

jax.tree_util.register_pytree_node(Symbol, lambda symbol: ((), symbol.name), lambda name, _: Symbol(name))


@dataclass(frozen=True, slots=True)
class ArrayDeclaration:
    """One array that a layer class states: its sizes, how it starts, whether it may be None, and whether it is state.

    Weights are {outputs, inputs, kernel…}, or {kernel…, inputs, outputs} with `outputs_last`.
    """

    sizes: str
    initial: str | float = "weights"
    optional: bool = False
    is_state: bool = False
    name: str = ""
    outputs_last: bool = False

    @property
    def slot(self) -> Slot:
        """The array as a slot of the layer's signature."""
        return parse_slot(self.sizes, self.name)


def array(sizes: str, initial: str | float = "weights", *, optional: bool = False) -> Any:
    """Declare a trainable array: its sizes in the names of the signature, and its start.

    `initial` is "weights" (left to the method of NetInitialize) or the number that fills it. An optional array may be
    None: the layer then has no such array.
    """
    return ArrayDeclaration(sizes, initial, optional)


def state(sizes: str, initial: float) -> Any:
    """Declare a state array: not trained, but changed by training itself, such as a moving mean."""
    return ArrayDeclaration(sizes, initial, is_state=True)


class NetArray:
    """An array that several layers share by name; inside FunctionLayer, a learnable array.

    ``NetArray("w")``, ``NetArray()`` (a fresh name), ``NetArray(Name="w", Array=values)``, ``NetArray("w", Dimensions=[3, 4])``.

    Every layer that names the same NetArray has the same values; they live once, in the outermost net. NetTrain adds up the
    gradients of all places.

    >>> NetArray("w")
    NetArray('w')

    Differences from Wolfram: none known. Source: Wolfram's public reference page.
    """

    __slots__ = ("Array", "Dimensions", "Name")
    Name: str
    Array: Any
    Dimensions: Any

    def __init__(
        self, name: str | None = None, /, *, Name: str | None = None, Array: Any = Automatic, Dimensions: Any = Automatic
    ) -> None:
        name = name if name is not None else Name
        if name is not None and (not isinstance(name, str) or not name):
            raise DeclarationError(f"The name of a NetArray is a string that is not empty. Got {excerpt(name)}.")
        object.__setattr__(self, "Name", name or str(uuid.uuid4()))
        values: Any = Array if Array is Automatic else as_array(Array, f"NetArray({self.Name!r})")
        sizes: Any = Dimensions
        if Dimensions is not Automatic:
            try:
                sizes = _SIZES.keep(Dimensions)
            except (ValueError, TypeError, OverflowError):
                raise DeclarationError(
                    f"The Dimensions of NetArray({self.Name!r}) must be {_SIZES.words}. Got {excerpt(Dimensions)} instead."
                ) from None
            sizes = sizes if isinstance(sizes, tuple) else (sizes,)
        if values is not Automatic:
            if sizes is not Automatic and tuple(sizes) != values.shape:
                raise DeclarationError(
                    f"NetArray({self.Name!r}) has Dimensions {list(sizes)}, but its Array is {list(values.shape)}."
                )
            sizes = values.shape
        object.__setattr__(self, "Array", values)
        object.__setattr__(self, "Dimensions", sizes)

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError("NetArray is immutable.")

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuilt, (self.Name, self.Array, self.Dimensions)

    def __repr__(self) -> str:
        sizes = "" if self.Dimensions is Automatic else f", Dimensions={list(self.Dimensions)}"
        return f"NetArray({self.Name!r}{sizes})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, NetArray) and self.Name == other.Name and self.Dimensions == other.Dimensions

    def __hash__(self) -> int:
        return hash((NetArray, self.Name))

    def bare(self) -> NetArray:
        """The same without its values: what a layer keeps, once the values moved to the net's table."""
        return self if self.Array is Automatic else NetArray(self.Name, Dimensions=self.Dimensions)

    def __jax_array__(self) -> Any:
        """The values, inside a FunctionLayer that is being traced."""
        return _NAMED.lookup(self)

    def __neg__(self) -> Any:
        return -self.__jax_array__()

    def __getitem__(self, index: Any) -> Any:
        return self.__jax_array__()[index]

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **kwargs: Any) -> Any:
        return NotImplemented

    @property
    def shape(self) -> tuple[int, ...]:
        """The sizes, inside a FunctionLayer."""
        return self.__jax_array__().shape


def _rebuilt(name: str, values: Any, sizes: Any) -> NetArray:
    return NetArray(name, Array=values, Dimensions=sizes)


class _Named(threading.local):
    """The values of the NetArrays of the FunctionLayer that is being traced, in this thread."""

    def __init__(self) -> None:
        self.stack: list[dict[str, Any] | _Recorder] = []

    def lookup(self, net_array: NetArray) -> Any:
        if not self.stack:
            raise DeclarationError(
                f"{net_array!r} has values only inside a net: use it in the function of a FunctionLayer, "
                "or as an array of a layer."
            )
        values = self.stack[-1]
        if isinstance(values, _Recorder):
            return values.record(net_array)
        return values[net_array.Name]


class _Recorder:
    """Collects the NetArrays that a function uses while it is traced for shapes."""

    def __init__(self) -> None:
        self.seen: dict[str, NetArray] = {}

    def record(self, net_array: NetArray) -> Any:
        if net_array.Dimensions is Automatic:
            raise DeclarationError(
                f"{net_array!r} inside a function needs its sizes: NetArray({net_array.Name!r}, Dimensions=[...])."
            )
        known = self.seen.setdefault(net_array.Name, net_array)
        if known.Dimensions != net_array.Dimensions:
            raise DeclarationError(
                f"NetArray({net_array.Name!r}) is used with Dimensions {list(known.Dimensions)} and "
                f"{list(net_array.Dimensions)} in one function."
            )
        return jnp.zeros(net_array.Dimensions, jnp.float32)


_NAMED = _Named()


class named_arrays:
    """A context in which NetArrays stand for the given values, or (given nothing) are recorded with zeros in their place."""

    def __init__(self, values: dict[str, Any] | None = None) -> None:
        self.values = _Recorder() if values is None else values

    def __enter__(self) -> Any:
        _NAMED.stack.append(self.values)
        return self.values

    def __exit__(self, *_: object) -> None:
        _NAMED.stack.pop()


def _operator(name: str, reverse: bool = False) -> Any:
    import operator

    function = getattr(operator, name)

    def method(self: NetArray, other: Any) -> Any:
        values = self.__jax_array__()
        if isinstance(other, NetArray):
            other = other.__jax_array__()
        return function(other, values) if reverse else function(values, other)

    return method


for _name in ("add", "sub", "mul", "truediv", "matmul", "pow"):
    setattr(NetArray, f"__{_name}__", _operator(_name))
    setattr(NetArray, f"__r{_name}__", _operator(_name, reverse=True))


class Arrays:
    """The arrays of one layer as `apply` sees them: attributes by name, None where the layer has no such array."""

    __slots__ = ("_values",)

    def __init__(self, values: dict[str, Any]) -> None:
        object.__setattr__(self, "_values", values)

    def __getattr__(self, name: str) -> Any:
        try:
            return self._values[name]
        except KeyError:
            raise AttributeError(name) from None

    def __getitem__(self, name: str) -> Any:
        return self._values[name]

    def __iter__(self) -> Any:
        return iter(self._values)

    def items(self) -> Any:
        """Names and values."""
        return self._values.items()


def as_array(value: Any, where: str) -> Any:
    """A user's value as a float32 array, or an error that names `where` it was given."""
    if isinstance(value, jax.Array):
        return value if jnp.issubdtype(value.dtype, jnp.floating) else value.astype(jnp.float32)
    try:
        values = np.asarray(value)
        if values.dtype == object or values.dtype.kind not in "fiub":
            raise ValueError
    except ValueError:
        raise DeclarationError(f"{where} must be an array of numbers, Automatic or None. Got {excerpt(value)} instead.") from None
    if isinstance(value, np.ma.MaskedArray):
        raise DeclarationError(f"{where} is a masked array. Fill it first: value.filled(0).")
    dtype = jax.dtypes.canonicalize_dtype(values.dtype) if values.dtype == np.float64 else np.float32
    return jax.device_put(np.asarray(values, dtype, order="C"))  # jnp.asarray compiles a program for each new shape


def lift_shared(net: Any) -> None:
    """Move the shared arrays of the parts into the table of the container that is being made."""
    table = dict(net.shared)
    parts: dict[str, Any] = {}
    for name, part in net.nets.items():
        for key, value in part.shared.items():
            known = table.get(key, Automatic)
            if known is Automatic or known is value or value is Automatic:
                table[key] = value if known is Automatic else known
            elif known.shape != value.shape or not bool((known == value).all()):
                raise DeclarationError(
                    f"The shared array NetArray({key!r}) comes with different values in layer {name!r} and elsewhere "
                    f"in this {net.title()}. Give it values in one place."
                )
        parts[name] = part.rebuilt(shared=FrozenDict()) if part.shared else part
    if table:
        net.__dict__["shared"] = FrozenDict(table)
        net.__dict__["nets"] = FrozenDict(parts)


def bits_equal(a: Any, b: Any) -> bool:
    """Whether two arrays have the same bits; other things, whether they are equal."""
    if not (hasattr(a, "dtype") and hasattr(b, "dtype")):
        return type(a) is type(b) and bool(a == b)
    return a.shape == b.shape and a.dtype == b.dtype and np.asarray(a).tobytes() == np.asarray(b).tobytes()


def given_sizes(shared: Mapping[str, Any], value: Any) -> tuple[int, ...] | None:
    """The sizes of an array that has values, itself or in `shared`, or whose NetArray states them."""
    if isinstance(value, NetArray):
        known = shared.get(value.Name, Automatic)
        if known is Automatic:
            return None if value.Dimensions is Automatic else tuple(value.Dimensions)
        value = known
    return None if value is Automatic or value is None else tuple(value.shape)
