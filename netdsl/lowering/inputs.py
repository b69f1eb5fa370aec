"""What a user passes to a net, as arrays for a batch: one or many is decided by the port, never by the values."""

from __future__ import annotations

import mmap
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import count
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from netdsl.containers import NetPortGradient
from netdsl.errors import EncodingError, PartError, excerpt, listing, nearest
from netdsl.lowering.precision import cast
from netdsl.nets import Net, element_name
from netdsl.shapes import REAL, ArrayType, Joined, Length, describe

__all__ = [
    "PortData",
    "check_integers",
    "check_lengths",
    "given_ports",
    "imposed_data",
    "imposed_gradients",
    "length_bucket",
    "pad_sequences",
    "port_data",
]

Port = str | NetPortGradient
"""What values are given for: an input port, or the gradient of an output port."""

LARGE = 2**22
"""The bytes from which it matters how an array is copied."""

COPIERS = 2
"""The number of threads that copy a large array: taking its memory from the system is most of the work."""


@dataclass(frozen=True)
class PortData:
    """The values of one port: `values` has the examples first (a list of arrays where the port varies)."""

    port: Port
    values: Any
    many: bool
    compact: bool
    """Whether the encoder's device half is still to be run."""
    type: ArrayType
    """What the values say of the port's type."""

    def __len__(self) -> int:
        return len(self.values)


def given_ports(net: Net, data: Any) -> dict[str, Any]:
    """What the user's data give each input port."""
    names = net.input_names
    if isinstance(data, Mapping):
        unknown = [key for key in data if key not in names]
        if not unknown:
            missing = [name for name in names if name not in data]
            if missing:
                raise EncodingError(
                    f"{net.title()} got no value for its input port{'s' if len(missing) > 1 else ''} "
                    f"{listing(map(repr, missing))}. Pass {{{', '.join(f'{name!r}: ...' for name in names)}}}."
                )
            return {name: data[name] for name in names}
        if len(names) != 1 or any(key in names for key in data) or net.encoder(names[0]) is None:
            raise EncodingError(f"{net.title()} has no input port {unknown[0]!r}. {nearest(unknown[0], names)}")
    if len(names) == 1:
        return {names[0]: data}
    if getattr(net, "variadic", False) and isinstance(data, (list, tuple)) and len(data) == len(names):
        return dict(zip(names, data))
    raise EncodingError(
        f"{net.title()} has {len(names)} input ports, {listing(map(repr, names)) or 'none'}: pass a dict "
        f"{{{', '.join(f'{name!r}: ...' for name in names)}}}. Got {excerpt(data)}."
    )


def port_data(net: Net, port: str, thing: Any) -> PortData:
    """The values of one port, encoded by the host half of its encoder if it has one."""
    encoder, type_ = net.encoder(port), net.port_type(port)
    if encoder is not None:
        levels = encoder.encoded_levels(thing)
        if levels is not None and type_.varying:
            return _plain_data(port, thing, type_)
        if levels is not None:
            values = thing if hasattr(thing, "shape") else np.asarray(thing, jnp.result_type(float))
            values = values if levels else values[None]
            return PortData(port, values, bool(levels), False, _counted(encoder.type(), values))
        if encoder.takes(thing):
            values = _stacked([encoder.encode(thing)], encoder.type())
            return PortData(port, values, False, True, _counted(encoder.type(), values))
        _refuse_unless_many(port, thing, encoder.title())
        values = encoder.encode_many(thing)
        return PortData(port, values, True, True, _counted(encoder.type(), values))
    return _plain_data(port, thing, type_, type_.varying and port in net._cached("_taking_empty", lambda: _taking_empty(net)))


def imposed_gradients(net: Net, data: Any) -> tuple[Any, dict[NetPortGradient, Any]]:
    """The user's data without the gradients imposed on outputs that are among them, and these."""
    imposed = {port: g for port, g in data.items() if isinstance(port, NetPortGradient)} if isinstance(data, Mapping) else {}
    for gradient in imposed:
        if len(gradient.path) > 1 or gradient.path[0] not in net.output_names:
            name = gradient.path[0] if len(gradient.path) == 1 else list(gradient.path)
            raise PartError(
                f"{gradient!r}: a gradient is imposed on an output port of the whole net. {net.title()} has no output port "
                f"{name!r}. {nearest(name, net.output_names)}"
            )
    return {port: thing for port, thing in data.items() if port not in imposed} if imposed else data, imposed


def imposed_data(net: Net, gradient: NetPortGradient, thing: Any) -> PortData:
    """The values of a gradient imposed on an output port: they have its shape."""
    type_ = net.port_type(gradient.path[0])
    if type_.integer:
        raise PartError(f"{gradient!r}: the port {gradient.path[0]!r} gives {describe(type_)}. Integers have no gradient.")
    return _plain_data(gradient, thing, type_)


def _plain_data(port: Port, thing: Any, type_: ArrayType, takes_empty: bool = False) -> PortData:
    """The values of a port without an encoder."""
    if type_.varying:
        return _varying(port, thing, type_, takes_empty)
    array = numeric(thing, port, type_)
    rank = type_.rank
    if rank and array.shape == (0,):
        return PortData(port, array, True, False, type_)
    if rank is None or array.ndim == rank:
        many = False
        array = array[None]
    elif array.ndim == rank + 1:
        many = True
    else:
        raise EncodingError(f"The port {port!r} takes {describe(type_)}, or a list of them. Got {_shape_words(array.shape)}.")
    if many and not len(array):
        return PortData(port, array, many, False, type_)
    _check_sizes(port, array.shape[1:], type_)
    return PortData(port, array, many, False, ArrayType(tuple(array.shape[1:]), _elements(array, type_)))


def _counted(type_: ArrayType, values: Any) -> ArrayType:
    """The type of encoded values, where it leaves open how many things each is made of."""
    if type_.sizes and type_.sizes[0] is None and np.ndim(values) > 1:
        return ArrayType((values.shape[1], *type_.sizes[1:]), type_.elements)
    return type_


def _elements(array: Any, type_: ArrayType) -> Any:
    return type_.elements or REAL


def _refuse_unless_many(port: str, thing: Any, title: str) -> None:
    if isinstance(thing, (str, bytes)) or not (hasattr(thing, "__len__") and hasattr(thing, "__getitem__")):
        raise EncodingError(f"The port {port!r} has the encoder {title}, which cannot take {excerpt(thing)}.")


def _check_sizes(port: Port, sizes: tuple[int, ...], type_: ArrayType) -> None:
    if type_.sizes is not None and (
        len(sizes) != len(type_.sizes)
        or any(a is not None and not isinstance(a, Length) and a != b for a, b in zip(type_.sizes, sizes))
    ):
        raise EncodingError(f"The port {port!r} takes {describe(type_)}. Got {_shape_words(sizes)}.")
    if any(size == 0 for size in sizes):
        raise EncodingError(f"The port {port!r} got {_shape_words(sizes)}, which is empty. Empty arrays are not taken.")


def _shape_words(sizes: tuple[int, ...]) -> str:
    return describe(ArrayType(sizes)) if sizes else "a single number"


def numeric(thing: Any, port: Port, type_: ArrayType) -> Any:
    """The thing as a float32 or int32 array, or float64 where JAX has that; JAX arrays stay where they are."""
    integer = type_.integer
    if isinstance(thing, jax.Array) and integer and not isinstance(thing, jax.core.Tracer):
        return jnp.asarray(numeric(np.asarray(thing), port, type_))
    if isinstance(thing, jax.Array):
        if integer:
            return thing.astype(jnp.int32)
        return cast(thing, None) if jnp.issubdtype(thing.dtype, jnp.floating) else thing.astype(jnp.result_type(float))
    if isinstance(thing, np.ma.MaskedArray):
        raise EncodingError(f"The port {port!r} got a masked array. Fill it first: values.filled(0).")
    try:
        array = np.asarray(None if isinstance(thing, Net) else thing)  # a net is a list of its parts to NumPy
    except ValueError:
        raise EncodingError(
            f"The port {port!r} takes {describe(type_)}. Got a list whose elements have different sizes: "
            f'{excerpt(thing)}. A port for lists of varying length is declared with "Varying".'
        ) from None
    if array.dtype.kind not in "fiub":
        raise EncodingError(
            f"The port {port!r} takes {describe(type_)}. Got {excerpt(thing)}, which is not numbers. "
            "A NetEncoder on the port turns other things into numbers."
        )
    if not integer:
        with np.errstate(over="ignore"):  # what is too large for float32 is infinite
            return _copied(array, np.float32 if array.dtype.kind == "f" and array.itemsize < 8 else jnp.result_type(float))
    if array.dtype.kind == "f" and not np.array_equal(array, np.round(array)):
        wrong = array != np.round(array)
        raise EncodingError(
            f"The port {port!r} takes {describe(type_)}. Got {array[wrong][0]:g}{_place(wrong)}, which is not an integer."
        )
    check_integers(port, array, type_)
    return array.astype(np.int32)


def _copied(array: Any, dtype: Any) -> Any:
    """A copy in this type. A large one begins on a page of memory, so that JAX takes it to a CPU as it is and copies nothing.

    It is not NumPy's memory: for that the system is asked for huge pages, and may stop everything to make room for them. Where JAX
    sends it to another device it copies it by itself.
    """
    if array.dtype == dtype and jax.default_backend() != "cpu":
        return array
    if array.size * np.dtype(dtype).itemsize < LARGE:
        return array.astype(dtype)
    memory = mmap.mmap(-1, array.size * np.dtype(dtype).itemsize, access=mmap.ACCESS_COPY)  # the process's own, not shared
    copy = np.frombuffer(memory, dtype).reshape(array.shape)
    step = -(-len(array) // COPIERS)

    def fill(start: int) -> None:
        with np.errstate(over="ignore"):  # which holds for one thread
            np.copyto(copy[start : start + step], array[start : start + step], casting="unsafe")

    with ThreadPoolExecutor(COPIERS) as threads:
        list(threads.map(fill, range(0, len(array), step)))
    return copy


def check_integers(port: Port, array: Any, type_: ArrayType) -> None:
    """Refuse integers outside the range of the port."""
    elements = type_.elements
    if elements is None or not array.size:
        return
    low = 1 if elements.low is None and elements.high is not None else elements.low
    for bound, wrong in ((low, array.min()), (elements.high, array.max())):
        if bound is not None and ((bound == low and wrong < bound) or (bound == elements.high and wrong > bound)):
            from_one = " Classes and positions count from 1." if low == 1 else ""
            raise EncodingError(
                f"The port {port!r} takes {describe(type_)}. Got {wrong}{_place(np.asarray(array) == wrong)}, "
                f"which is out of range.{from_one}"
            )


def _place(where: Any) -> str:
    """The first place where something holds, in words."""
    first = np.argwhere(where)[0]
    return f" (at position {'/'.join(str(i + 1) for i in first)})" if len(first) else ""


def _varying(port: Port, thing: Any, type_: ArrayType, takes_empty: bool) -> PortData:
    """Sequences of varying length: one, or a list of them."""
    rank = len(type_.sizes or ())
    depth = _depth(thing)
    if depth == rank:
        sequences = [numeric(thing, port, type_)]
    elif depth == rank + 1:
        sequences = [numeric(one, port, type_) for one in thing]
    else:
        if not depth:
            numeric(thing, port, type_)
        got = f"a list of depth {depth}" if isinstance(thing, (list, tuple)) else _shape_words(np.shape(thing))
        raise EncodingError(f"The port {port!r} takes {describe(type_)}, or a list of them. Got {got}.")
    for sequence in sequences:
        if sequence.ndim == rank and not (len(sequence) or takes_empty):
            raise EncodingError(
                f"The port {port!r} takes {describe(type_)}. Got one without elements; empty sequences are not taken."
            )
        _check_sizes(port, sequence.shape if len(sequence) else (1, *sequence.shape[1:]), type_)
    return PortData(
        port,
        sequences,
        depth == rank + 1,
        False,
        type_.repeated(sequences[0].shape[1:]) if sequences else type_,
    )


def _taking_empty(net: Net) -> frozenset[str]:
    """The ports that feed only layers which take sequences without an element."""
    least: dict[str, int] = {port: 1 for source, port in net.program.outputs.values() if source < 0}
    for step in net.program.steps:
        for _, (source, port) in step.inputs:
            if source < 0:
                least[port] = max(least.get(port, 0), step.layer.shortest())
    return frozenset(port for port, length in least.items() if length == 0)


def _depth(thing: Any) -> int:
    depth = 0
    while isinstance(thing, (list, tuple)):
        depth += 1
        if not thing:
            return depth
        thing = thing[0]
    return depth + np.ndim(thing)


def _stacked(arrays: list[Any], type_: ArrayType) -> Any:
    return arrays if type_.varying else np.stack(arrays)


def check_lengths(net: Net, given: Mapping[Any, PortData]) -> None:
    """Refuse examples whose sequences at several ports must be of lengths that fit and are not, or are too short for a layer."""
    types = {port: net.port_type(port.path[0] if isinstance(port, NetPortGradient) else port) for port in given}
    lengths: dict[Port, Any] = {port: (type_.sizes or ())[0] for port, type_ in types.items() if type_.varying}
    if not lengths:
        return
    real = {port: np.array([len(sequence) for sequence in given[port].values], int) for port in lengths}
    ports: dict[Length, Port] = {}
    known: dict[Length, np.ndarray] = {}
    for port, length in sorted(lengths.items(), key=lambda item: (isinstance(item[1].name, Joined), len(item[1].steps))):
        sources = length.sources(known)
        if not sources:
            ports[length], known[length] = port, real[port]
            continue
        for place, needed in _unequal(length.value(known), real[port]):
            equal, fits = ("equal length", "") if sources == (length,) else ("lengths that fit", f", where {needed} fits")
            raise EncodingError(_meeting(net, given, [*map(ports.__getitem__, sources), port], place, equal) + f"{fits}.")
    for first, second in net.solved.equal:
        sides = [length.sources(known) for length in (first, second)]
        if all(sides):
            for place, needed in _unequal(first.value(known), second.value(known)):
                met = f", so that lengths {needed} and {second.value(known)[place]} meet, which must be equal."
                each = [ports[source] for side in sides for source in side]
                raise EncodingError(_meeting(net, given, each, place, "lengths that fit") + met)
    _check_long_enough(net, given, ports, known)


def _unequal(first: np.ndarray, second: np.ndarray) -> Iterator[tuple[int, int]]:
    """The places of the examples in which two lengths differ, and the first there."""
    return ((int(place), int(first[place])) for place in np.flatnonzero(first != second))


def _meeting(net: Net, given: Mapping[Any, PortData], ports: Iterable[Port], place: int, lengths: str) -> str:
    """The beginning of a message on lengths that do not fit in an example."""
    ports = list(dict.fromkeys(ports))
    got = [len(given[port].values[place]) for port in ports]
    named, take, had = ("port", "takes", "length") if len(ports) == 1 else ("ports", "take", "lengths")
    return (
        f"The {named} {listing(map(repr, ports))} of this {net.title()} {take} sequences of {lengths}. "
        f"Got {had} {listing(got)}{_in_example(given, ports[0], place)}"
    )


def _in_example(given: Mapping[Any, PortData], port: Port, place: int) -> str:
    return f" in example {place + 1}" if given[port].many else ""


def _check_long_enough(
    net: Net, given: Mapping[Any, PortData], ports: Mapping[Length, Port], known: Mapping[Length, np.ndarray]
) -> None:
    """Refuse sequences that are too short for a layer."""
    for (length, least), index in net._cached("_least_lengths", lambda: _least_lengths(net)).items():
        sources = length.sources(known)
        for place in map(int, np.flatnonzero(length.value(known) < least) if sources else ()):
            each = [ports[source] for source in sources]
            got, where = listing(len(given[port].values[place]) for port in each), _in_example(given, each[0], place)
            one, many = "port {} got a sequence of length {}", "ports {} got sequences of lengths {}"
            subject = (one if len(each) == 1 else many).format(listing(map(repr, each)), got)
            short, needed = f"so that one of length {length.value(known)[place]}", least
            if not isinstance(length.name, Joined):
                short, needed = "which", next(n for n in count(1) if length.value({sources[0]: n}) >= least)
            raise EncodingError(
                f"The {subject}{where}, {short} is too short for {element_name(net.program.steps[index].path)}: "
                f"it takes sequences of {needed} elements or more."
            )


def _least_lengths(net: Net) -> dict[tuple[Length, int], int]:
    """The lengths that are given to layers or made by them, how long each must be, and the step that needs it first."""
    least: dict[tuple[Length, int], int] = {}
    for index, step in enumerate(net.program.steps):
        refs = [(ref, step.layer.shortest()) for _, ref in step.inputs] + [((index, port), 1) for port in step.outputs]
        for ref, needed in refs:
            length = (net.solved.types[ref].sizes or (None,))[0]
            if isinstance(length, Length) and (needed > 1 or length.steps):
                least.setdefault((length, needed), index)
    return least


def length_bucket(length: int) -> int:
    """The padded length: at most two for each octave, so that few programs serve all lengths."""
    size = 1
    while size < length:
        if size * 3 // 2 >= length and size > 1:
            return size * 3 // 2
        size *= 2
    return size


def pad_sequences(sequences: list[Any], bucketed: bool = True, least: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Sequences as one array, each padded with its last element, and their lengths.

    The length to which they are padded is one of few, so that few programs are compiled. With `bucketed` false sequences of equal
    length stay as they are: for data that are given once, as to a training. It is `least` or more.
    """
    lengths = np.array([len(sequence) for sequence in sequences], np.int32)
    longest = max(int(lengths.max()), least)
    padded = length_bucket(longest) if bucketed or lengths.min() < longest else longest
    return np.stack([_padded(np.asarray(sequence), padded) for sequence in sequences]), lengths


def _padded(sequence: np.ndarray, length: int) -> np.ndarray:
    if not len(sequence):
        return np.zeros((length, *sequence.shape[1:]), sequence.dtype)
    return np.concatenate([sequence, np.repeat(sequence[-1:], length - len(sequence), axis=0)])
