"""The encoder of classes: labels into positions or indicator vectors."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Any

import numpy as np

from netdsl.coders import LABELS, kept_label
from netdsl.constraints import BOOLEAN, Constraint
from netdsl.declarations import parameter
from netdsl.encoders.encoder import Encoder, real_type
from netdsl.encoders.nesting import is_many, levels, place, unmasked
from netdsl.errors import DeclarationError, EncodingError, excerpt, listing, nearest
from netdsl.shapes import ArrayType, Elements, Length, parse_type

__all__ = ["ClassEncoder"]


def _tagged(label: Any) -> tuple[Any, Any]:
    """The label with its kind of number, so that 1, 1.0 and True differ as they do in Mathematica."""
    if isinstance(label, np.generic):
        label = label.item()
    for kind in (bool, int, float):
        if isinstance(label, kind):
            return kind, label
    return None, tuple(map(kept_label, label)) if isinstance(label, list) else label


def _form(value: Any) -> str:
    form = {"Index": "Index", "IndicatorVector": "IndicatorVector", "UnitVector": "IndicatorVector"}.get(value)
    if form is None:
        raise ValueError
    return form


def _dimensions(value: Any) -> tuple[Any, ...]:
    sizes = tuple(value) if isinstance(value, (list, tuple)) else (value,)
    try:
        type_ = parse_type(list(sizes), "Input")
    except DeclarationError:
        raise ValueError from None
    if type_.rank != len(sizes) or None in (type_.sizes or ()):
        raise ValueError
    return tuple("Varying" if isinstance(size, Length) else size for size in type_.sizes or ())


FORM = Constraint("'Index' or 'IndicatorVector'", _form, ("Vector", 3))
DIMENSIONS = Constraint("a list of sizes", _dimensions, ("wide", [0], [2, "Varying"], [1.5], True))


class ClassEncoder(Encoder):
    """Labels as the integers from 1 to n, or as indicator vectors.

    The label at position i of n gives ``i`` (form "Index") or the vector with 1 at place i and 0 elsewhere ("IndicatorVector").

    Output: an integer from 1 to n; a vector of size n for indicator vectors and with Multilabel. `Dimensions` come before.

    Labels
        The classes: integers, strings, booleans or anything hashable, all different.
    Form
        "Index" (default) or "IndicatorVector" (in older versions of Mathematica "UnitVector").
    Dimensions
        Sizes of an array of labels that counts as one thing; default [], a single label. The first may be "Varying".
    Multilabel
        True: one thing is a list of labels, and the vector has 1 at all their places. Default False.

    A label of NumPy equals the Python one; 1, 1.0 and True are three different labels. Raises `EncodingError` that names an
    unknown label, its position, and what may have been meant; `DeclarationError` for equal labels.

    Differences from Wolfram: labels never count as already encoded. With Multilabel every form gives the vector [M].

    >>> from netdsl.encoders import NetEncoder
    >>> encoder = NetEncoder("Class", ["cat", "dog"])
    >>> encoder("dog"), encoder(["dog", "cat"])
    (array(2, dtype=int32), array([2, 1], dtype=int32))
    >>> NetEncoder("Class", range(3), "IndicatorVector")(1)
    array([0., 1., 0.], dtype=float32)
    """

    kind = "Class"
    numeric = True

    Labels: tuple[Any, ...] = parameter(LABELS, positional=True)
    Form: str = parameter(FORM, "Index", positional=True)
    Dimensions: tuple[Any, ...] = parameter(DIMENSIONS, ())
    Multilabel: bool = parameter(BOOLEAN, False)

    def _check(self) -> None:
        if not self.Labels:
            raise DeclarationError(f"{self.title()} needs at least one label. Got none.")
        if len(set(self.Labels)) < len(self.Labels):
            seen: set[Any] = set()
            twice = next(label for label in self.Labels if label in seen or seen.add(label))  # type: ignore[func-returns-value]
            raise DeclarationError(f"The labels of {self.title()} must differ. {twice!r} equals an earlier one.")

    def type(self) -> ArrayType:
        sizes = parse_type(list(self.Dimensions), "Input").sizes or ()
        if self._indicates:
            return parse_type([*sizes, len(self.Labels)], "Input")
        return ArrayType(sizes, Elements("integer", 1, len(self.Labels)))

    @property
    def _indicates(self) -> bool:
        return self.Multilabel or self.Form == "IndicatorVector"

    def takes(self, thing: Any) -> bool:
        return levels(thing, self._is_label) <= len(self.Dimensions) + self.Multilabel

    def _is_label(self, thing: Any) -> bool:
        return isinstance(thing, (tuple, frozenset)) and thing in self._positions_of_compound_labels

    def encode(self, thing: Any) -> np.ndarray:
        return self._checked(self._codes(thing, len(self.Dimensions), ()), ())

    def encode_many(self, things: Sequence[Any]) -> np.ndarray | list[np.ndarray]:
        depth = len(self.Dimensions)
        if self.type().varying:
            return [self._checked(self._codes(thing, depth, (i,)), (i,)) for i, thing in enumerate(things, 1)]
        if getattr(things, "kind", None) == "class" and not depth and not self.Multilabel:
            return self._column_codes(things)
        return self._checked(self._codes(things, depth + 1, ()), (), batch=True)

    def device(self, compact: Any) -> Any:
        import jax
        import jax.numpy as jnp

        if self.Multilabel:
            return jnp.asarray(compact).astype(real_type())
        indices = jnp.asarray(compact).astype(jnp.int32)
        if self.Form == "Index":
            return indices
        return jax.nn.one_hot(indices - 1, len(self.Labels), dtype=real_type())

    def decoder_spec(self) -> tuple[Any, ...]:
        options: dict[str, Any] = {}
        if self.Dimensions:
            options["InputDepth"] = len(self.Dimensions) + 1
        if self.Multilabel:
            options["Multilabel"] = True
        return ("Class", self.Labels, options) if options else ("Class", self.Labels)

    @cached_property
    def _positions(self) -> dict[Any, int]:
        return {_tagged(label): position for position, label in enumerate(self.Labels, 1)}

    @cached_property
    def _positions_of_compound_labels(self) -> frozenset[Any]:
        return frozenset(label for label in self.Labels if isinstance(label, (tuple, frozenset)))

    @cached_property
    def _integers(self) -> tuple[np.ndarray, np.ndarray] | None:
        """The labels that are integers, sorted, and their positions; None when there are none or huge ones."""
        known = sorted((label, position) for (kind, label), position in self._positions.items() if kind is int)
        if not known or max(abs(label) for label, _ in known) >= 2**63:
            return None
        values, positions = zip(*known)
        return np.array(values, np.int64), np.array(positions, self._dtype)

    @property
    def _dtype(self) -> np.dtype[Any]:
        return np.min_scalar_type(len(self.Labels))

    def _codes(self, things: Any, depth: int, where: tuple[int, ...]) -> np.ndarray:
        """The codes of things nested `depth` levels deep, each a label or, with Multilabel, a list of labels."""
        if depth == 0:
            return self._row(things, where) if self.Multilabel else np.array(self._position(things, where), self._dtype)
        if isinstance(getattr(things, "ndim", None), int) and not self.Multilabel:
            return self._array_codes(unmasked(things), where)
        if not is_many(things):
            raise EncodingError(f"{self.title()} needs a list of labels{place(where)}. Got {excerpt(things)}.")
        if depth == 1 and not self.Multilabel:
            return self._list_codes(things, where)
        codes = [self._codes(thing, depth - 1, (*where, i)) for i, thing in enumerate(things, 1)]
        if len({code.shape for code in codes}) > 1:
            raise EncodingError(f"{self.title()} needs lists of labels of equal lengths. Got {excerpt(things)}{place(where)}.")
        return np.stack(codes) if codes else np.zeros((0,) * depth, self._dtype)

    def _list_codes(self, things: Any, where: tuple[int, ...]) -> np.ndarray:
        positions = self._positions
        try:
            return np.fromiter((positions[_tagged(thing)] for thing in things), self._dtype, len(things))
        except (KeyError, TypeError):
            for i, thing in enumerate(things, 1):
                self._position(thing, (*where, i))
            raise

    def _array_codes(self, things: np.ndarray, where: tuple[int, ...]) -> np.ndarray:
        if things.dtype.kind in "iu" and things.dtype != np.uint64 and self._integers is not None and things.size:
            values, positions = self._integers
            places = np.minimum(np.searchsorted(values, things), len(values) - 1)
            known = values[places] == things
            codes = positions[places]
        elif things.dtype.kind in "USb" and things.size:
            values, inverse = np.unique(things, return_inverse=True)
            found = np.array([self._positions.get(_tagged(value), 0) for value in values], self._dtype)
            codes = found[inverse.reshape(things.shape)]
            known = codes > 0
        else:
            flat = [self._find(thing) for thing in things.ravel().tolist()]
            codes = np.array(flat, self._dtype).reshape(things.shape)
            known = codes > 0
        if not known.all():
            first = tuple(int(i) for i in np.argwhere(~known)[0])
            raise self._unknown(things[first], (*where, *(i + 1 for i in first)))
        return codes

    def _column_codes(self, column: Any) -> np.ndarray:
        table = np.array([self._find(label) for label in column.labels] or [0], self._dtype)
        codes = table[np.asarray(column.codes)]
        if not codes.all():
            first = int(np.argmin(codes))
            raise self._unknown(column.labels[int(column.codes[first])], (first + 1,))
        return codes

    def _row(self, labels: Any, where: tuple[int, ...]) -> np.ndarray:
        if not is_many(labels) or self._is_label(labels):
            raise EncodingError(f"{self.title()} with Multilabel takes lists of labels. Got {excerpt(labels)}{place(where)}.")
        row = np.zeros(len(self.Labels), np.uint8)
        for label in labels:
            row[self._position(label, where) - 1] = 1
        return row

    def _find(self, label: Any) -> int:
        try:
            return self._positions.get(_tagged(label), 0)
        except TypeError:
            return 0

    def _position(self, label: Any, where: tuple[int, ...]) -> int:
        if isinstance(getattr(label, "ndim", None), int) and not label.ndim:
            label = np.asarray(label).item()
        position = self._find(label)
        if not position:
            raise self._unknown(label, where)
        return position

    def _unknown(self, label: Any, where: tuple[int, ...]) -> EncodingError:
        label = label.item() if isinstance(label, np.generic) else label
        message = f"{self.title()} has no class {excerpt(label)}{place(where)}."
        twin = next((known for known in self.Labels if np.isscalar(label) and known == label), None)
        if twin is not None:
            return EncodingError(f"{message} Its class {twin!r} is another kind of label: give {twin!r} itself.")
        if isinstance(label, str):
            hint = nearest(label, [known for known in self.Labels if isinstance(known, str)])
            if hint.startswith("Did you mean"):
                return EncodingError(f"{message} {hint}")
        plural = "es are" if len(self.Labels) > 1 else " is"
        return EncodingError(f"{message} Its {len(self.Labels)} class{plural} {listing(map(excerpt, self.Labels))}.")

    def _checked(self, codes: np.ndarray, where: tuple[int, ...], batch: bool = False) -> np.ndarray:
        """The codes, once their shape is known to be that of the port."""
        sizes = codes.shape[batch:]
        wanted = self.Dimensions + ((len(self.Labels),) if self.Multilabel else ())
        empty = batch and not len(codes)
        if not empty and (len(sizes) != len(wanted) or any(a != b for a, b in zip(sizes, wanted) if b != "Varying")):
            what = f"arrays of labels of the sizes {list(self.Dimensions)}" if self.Dimensions else "single labels"
            raise EncodingError(f"{self.title()} takes {what}. Got sizes {list(sizes)}{place(where)}.")
        if self.type().varying and not sizes[0]:
            raise EncodingError(f"{self.title()} takes sequences of at least one label. Got an empty one{place(where)}.")
        return codes
