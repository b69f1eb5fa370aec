"""The column, one array that stands for many things of one kind, and labelled data made of two of them.

Everything that a net is trained on ends up in columns: images stay uint8, classes stay small integer codes, and only the
item that is looked at becomes a picture or a label.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, overload

import numpy as np

from netdsl.errors import DataError, excerpt
from netdsl.symbols import Rule

if TYPE_CHECKING:
    from PIL.Image import Image

__all__ = ["Column", "Examples"]

Kind = Literal["array", "image", "class", "object"]
KINDS = ("array", "image", "class", "object")
TIMES = "\N{MULTIPLICATION SIGN}"


def _binary(operation: Callable[[Any, Any], Any]) -> Callable[[Column, Any], Any]:
    def method(self: Column, other: Any) -> Any:
        return operation(self.numbers(), other.numbers() if isinstance(other, Column) else other)

    return method


def _reflected(operation: Callable[[Any, Any], Any]) -> Callable[[Column, Any], Any]:
    def method(self: Column, other: Any) -> Any:
        return operation(other, self.numbers())

    return method


@dataclass(frozen=True, eq=False, repr=False, slots=True)
class Column:
    """Many things of one kind, held in one array that cannot be written to.

    data
        The array, one thing for each place of its first axis. It is not copied.
    kind
        ``"array"`` (numbers, or arrays of one shape), ``"image"`` (uint8; height, width and for colours channels),
        ``"class"`` (integer codes that count `labels` from 0), or ``"object"`` (an object array of any things).
    labels
        The things that the codes of a ``"class"`` column stand for.

    Positions count from 0, as in every Python sequence. An integer gives one item (a PIL image, a plain label or number, an
    array), a slice or an array of integers or booleans gives a column. Arithmetic and comparisons of numbers give NumPy arrays,
    small integers having become int64 first. Raises `DataError` when the data do not fit the kind.

    Differences from Wolfram: there, data are lists; a column prints as a summary, and ``Normal`` gives the list.

    >>> labels = Column(np.array([5, 0, 4], np.uint8), "class", range(10))
    >>> labels[0], labels + 1
    (5, array([6, 1, 5]))
    >>> labels[1:]
    Column(2 labels of 10 classes)
    """

    data: np.ndarray
    kind: Kind = "array"
    labels: tuple[Hashable, ...] | None = None

    def __post_init__(self) -> None:
        data = np.asarray(self.data).view()
        data.flags.writeable = False
        object.__setattr__(self, "data", data)
        if self.labels is not None:
            object.__setattr__(self, "labels", tuple(self.labels))
        problem = self._problem()
        if problem:
            raise DataError(f"Cannot make a column of kind {self.kind!r}: {problem}.")

    def _problem(self) -> str | None:
        data, labels = self.data, self.labels
        if self.kind not in KINDS:
            return f"the kinds are {', '.join(map(repr, KINDS))}"
        if data.ndim == 0:
            return f"its data have no first axis to count along, they are {excerpt(data)}"
        if (labels is not None) != (self.kind == "class"):
            return "labels belong to the kind 'class', and to no other"
        if self.kind == "image" and (
            data.dtype != np.uint8 or data.ndim not in (3, 4) or (data.ndim == 4 and data.shape[3] not in (1, 3, 4))
        ):
            shape = list(data.shape)
            return f"images are uint8 of shape [n, height, width] or [n, height, width, 1, 3 or 4], not {data.dtype} of {shape}"
        if self.kind == "class":
            if data.dtype.kind not in "iu" or data.ndim != 1:
                return f"codes are one integer each, not {data.dtype} of shape {list(data.shape)}"
            if len(data) and (data.min() < 0 or data.max() >= len(labels or ())):
                return f"codes run from 0 to {len(labels or ()) - 1}, these from {data.min()} to {data.max()}"
        if (data.dtype == object) != (self.kind == "object"):
            return f"its data are {'' if data.dtype == object else 'not '}Python objects, which is what the kind 'object' holds"
        return None

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of the data, the number of things first."""
        return self.data.shape

    @property
    def dtype(self) -> np.dtype[Any]:
        """The element type of the data as they are held."""
        return self.data.dtype

    @property
    def nbytes(self) -> int:
        """The bytes that the data take."""
        return self.data.nbytes

    @property
    def codes(self) -> np.ndarray:
        """The codes of a column of classes, counted from 0."""
        if self.kind != "class":
            raise DataError(f"{self!r} holds no classes, so it has no codes.")
        return self.data

    def __len__(self) -> int:
        return len(self.data)

    @overload
    def __getitem__(self, index: int) -> Any: ...
    @overload
    def __getitem__(self, index: slice | np.ndarray | list[int]) -> Column: ...
    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, (slice, np.ndarray, list)) or getattr(index, "ndim", 0) > 0:
            if not isinstance(index, slice):
                index = np.asarray(index)
                index = index.astype(np.int64) if index.size == 0 else index
            return Column(self.data[index], self.kind, self.labels)
        return self._item(self.data[operator.index(index)])

    def __iter__(self) -> Iterator[Any]:
        return map(self._item, self.data)

    def _item(self, thing: Any) -> Any:
        if self.kind == "image":
            return _picture(thing)
        if self.labels is not None:
            return self.labels[thing]
        return thing.item() if isinstance(thing, np.generic) else thing

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        if self.labels is None:
            return np.array(self.data, dtype, copy=copy)
        if copy is False:
            raise ValueError("A column of classes holds codes; its labels cannot become an array without a copy.")
        array = _labels_array(self.labels)[self.data]
        return array if dtype is None else array.astype(dtype)

    def numbers(self) -> np.ndarray:
        """The column as an array to calculate with: integers as int64, labels themselves rather than their codes."""
        if self.kind == "image":
            raise DataError(f"{self!r} holds pictures. For their pixels from 0 to 255 write np.asarray(column).")
        array = np.asarray(self)
        if array.dtype.kind in "iu":
            return array.astype(np.int64)
        if array.dtype.kind not in "fcb":
            raise DataError(f"{self!r} holds {excerpt(self[0]) if len(self) else 'nothing'} …, which is no number.")
        return array

    def __eq__(self, other: object) -> Any:
        return np.asarray(self) == (np.asarray(other) if isinstance(other, Column) else other)

    def __ne__(self, other: object) -> Any:
        return np.asarray(self) != (np.asarray(other) if isinstance(other, Column) else other)

    __hash__ = None  # type: ignore[assignment]

    __add__, __radd__ = _binary(operator.add), _reflected(operator.add)
    __sub__, __rsub__ = _binary(operator.sub), _reflected(operator.sub)
    __mul__, __rmul__ = _binary(operator.mul), _reflected(operator.mul)
    __truediv__, __rtruediv__ = _binary(operator.truediv), _reflected(operator.truediv)
    __floordiv__, __rfloordiv__ = _binary(operator.floordiv), _reflected(operator.floordiv)
    __mod__, __rmod__ = _binary(operator.mod), _reflected(operator.mod)
    __pow__, __rpow__ = _binary(operator.pow), _reflected(operator.pow)
    __lt__, __le__ = _binary(operator.lt), _binary(operator.le)
    __gt__, __ge__ = _binary(operator.gt), _binary(operator.ge)

    def __neg__(self) -> np.ndarray:
        return -self.numbers()

    def normal(self) -> list[Any]:
        """The items as a plain list."""
        return list(self)

    def __repr__(self) -> str:
        count = len(self)
        plural = "" if count == 1 else "s"
        if self.kind == "image":
            return f"Column({count} image{plural} {_size(self.shape[1:])})"
        if self.labels is not None:
            return f"Column({count} label{plural} of {len(self.labels)} classes)"
        if self.kind == "object":
            return f"Column({count} thing{plural})"
        if self.data.ndim == 1:
            return f"Column({count} {self.dtype} value{plural})"
        return f"Column({count} array{plural} {_size(self.shape[1:])} of {self.dtype})"

    def describe(self) -> str:
        """What one item of the column is, such as ``image 28x28``."""
        if self.kind == "image":
            return f"image {_size(self.shape[1:])}"
        if self.labels is not None:
            return f"class of {len(self.labels)}"
        if self.kind == "object":
            return "thing"
        return str(self.dtype) if self.data.ndim == 1 else f"{self.dtype} array {_size(self.shape[1:])}"


def _size(sizes: Sequence[int]) -> str:
    return "x".join(map(str, sizes))


def _labels_array(labels: Sequence[Hashable]) -> np.ndarray:
    array = np.asarray(labels)
    if array.dtype.kind in "iu":
        return array.astype(np.int64)
    if array.ndim != 1 or len({type(label) for label in labels}) > 1:
        array = np.empty(len(labels), object)
        array[:] = labels
    return array


def _picture(pixels: np.ndarray) -> Image:
    from PIL import Image

    return Image.fromarray(pixels[..., 0] if pixels.ndim == 3 and pixels.shape[2] == 1 else pixels)


@dataclass(frozen=True, eq=False, repr=False, slots=True)
class Examples:
    """Labelled data: a column of inputs and a column of targets, equally long.

    inputs, targets
        Columns, or arrays, which become columns of kind ``"array"``.

    ``Keys`` and ``Values`` give the two columns. An integer, counted from 0, gives one example as a `Rule`; a slice or an array
    of integers or booleans gives labelled data again; iteration yields rules, and ``Normal`` gives the list of them. Raises
    `DataError` when the lengths differ.

    Differences from Wolfram: there, labelled data are a list of rules; here that list is held as two arrays.

    >>> data = Examples(np.zeros([3, 2]), Column(np.array([0, 1, 1]), "class", ["no", "yes"]))
    >>> data
    Examples(3 × float64 array 2 -> class of 2)
    >>> data[-1]
    Rule(array([0., 0.]), 'yes')
    >>> from netdsl.symbols import Values
    >>> Values(data[1:]).normal()
    ['yes', 'yes']
    """

    inputs: Column
    targets: Column

    def __post_init__(self) -> None:
        for name in ("inputs", "targets"):
            column = getattr(self, name)
            if not isinstance(column, Column):
                object.__setattr__(self, name, Column(np.asarray(column)))
        if len(self.inputs) != len(self.targets):
            counts = f"There are {len(self.inputs)} inputs and {len(self.targets)} targets."
            raise DataError(f"Labelled data need as many targets as inputs. {counts}")

    def keys(self) -> Column:
        """The column of inputs."""
        return self.inputs

    def values(self) -> Column:
        """The column of targets."""
        return self.targets

    @property
    def nbytes(self) -> int:
        """The bytes that both columns take."""
        return self.inputs.nbytes + self.targets.nbytes

    def __len__(self) -> int:
        return len(self.inputs)

    @overload
    def __getitem__(self, index: int) -> Rule: ...
    @overload
    def __getitem__(self, index: slice | np.ndarray | list[int]) -> Examples: ...
    def __getitem__(self, index: Any) -> Any:
        key, value = self.inputs[index], self.targets[index]
        if isinstance(index, (slice, np.ndarray, list)) or getattr(index, "ndim", 0) > 0:
            return Examples(key, value)
        return Rule(key, value)

    def __iter__(self) -> Iterator[Rule]:
        return map(Rule, self.inputs, self.targets)

    def normal(self) -> list[Rule]:
        """The examples as a plain list of rules."""
        return list(self)

    def __repr__(self) -> str:
        return f"Examples({len(self)} {TIMES} {self.inputs.describe()} -> {self.targets.describe()})"

    def _repr_html_(self) -> str:
        import html

        cells = "".join(f"<td>{_shown(key)}<br>{html.escape(excerpt(value, 24))}</td>" for key, value in self[:8])
        return f"<div>{html.escape(repr(self))}<table><tr style='text-align:center'>{cells}</tr></table></div>"


def _shown(thing: Any) -> str:
    """One input as HTML: a picture as itself, anything else as text."""
    import base64
    import html
    import io

    if not hasattr(thing, "save"):
        return html.escape(excerpt(thing, 24))
    stream = io.BytesIO()
    thing.save(stream, "PNG")
    text = base64.b64encode(stream.getvalue()).decode("ascii")
    return f"<img style='height:48px;image-rendering:pixelated' src='data:image/png;base64,{text}'>"
