"""What encoders and decoders share: their specifications, labels, and pictures as parameters."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, TypeVar, cast

import numpy as np

from netdsl.constraints import Constraint, list_of
from netdsl.declarations import REQUIRED, Declared
from netdsl.errors import DeclarationError, UnsupportedError, excerpt, listing, nearest
from netdsl.symbols import Rule, is_rules

__all__ = ["LABELS", "FixedArray", "coder", "kept_label"]

Coder = TypeVar("Coder", bound=Declared)


class FixedArray(NamedTuple):
    """A float32 array that cannot change and can be hashed: a mean or variance picture."""

    shape: tuple[int, ...]
    data: bytes

    @property
    def dtype(self) -> np.dtype[Any]:
        """Always float32."""
        return np.dtype(np.float32)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return np.frombuffer(self.data, np.float32).reshape(self.shape).astype(dtype or np.float32)


def kept_label(value: Any) -> Any:
    """A label as it is kept: NumPy scalars as Python ones, lists as tuples; ValueError for what is none."""
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, list):
        value = tuple(kept_label(item) for item in value)
    hash(value)
    if value != value:
        raise ValueError
    return value


LABELS = list_of(Constraint("a label", kept_label), 'a list of labels, such as range(10) or ["cat", "dog"]')


def coder(
    name: str,
    spec: Any,
    args: tuple[Any, ...],
    options: dict[str, Any],
    kinds: Mapping[str, type[Coder]],
    later: tuple[str, ...],
) -> Coder:
    """The encoder or decoder that a specification means; `name` is NetEncoder or NetDecoder, `later` what it refuses by name."""
    kind = name.removeprefix("Net").lower()
    if isinstance(spec, tuple(kinds.values())):
        if args or options:
            raise DeclarationError(
                f"{name}({excerpt(spec)}) takes nothing beside the {kind}. NetReplacePart changes its parameters."
            )
        return cast(Coder, spec)
    convert: Callable[[], Any] | None = getattr(spec, f"{kind}_spec", None)
    if callable(convert) and not isinstance(spec, type):
        converted = convert()
        if converted is None:
            raise DeclarationError(f"{excerpt(spec)} has no {kind} that undoes it. Write {name} with a name.")
        return coder(name, converted[0], (*converted[1:], *args), options, kinds, later)
    if isinstance(spec, (list, tuple)) and spec and isinstance(spec[0], str):
        return coder(name, spec[0], (*spec[1:], *args), options, kinds, later)
    if not isinstance(spec, str):
        example = '"Image", [28, 28]' if name == "NetEncoder" else '"Class", range(10)'
        raise DeclarationError(
            f"{name} takes a name and parameters, such as {name}({example}), a list of them, an encoder or a decoder. "
            f"Got {excerpt(spec)}."
        )
    if spec in later:
        raise UnsupportedError(f'{name}("{spec}") does not exist in netdsl yet. There are {listing(map(repr, kinds))}.')
    if spec not in kinds:
        raise DeclarationError(f"There is no {name} {spec!r}. {nearest(spec, kinds)}")
    return _built(name, spec, kinds[spec], args, options)


def _built(name: str, spec: str, kind: type[Coder], args: tuple[Any, ...], options: dict[str, Any]) -> Coder:
    """The coder; associations and rules among the arguments are options, and positional parameters may come by name."""
    positional: list[Any] = []
    for arg in args:
        rules = dict(arg) if isinstance(arg, dict) or is_rules(arg) else {arg.key: arg.value} if isinstance(arg, Rule) else None
        if rules is not None and all(isinstance(key, str) for key in rules):
            options = {**rules, **options}
        else:
            positional.append(arg)
    for declared in [p for p in kind.parameters.values() if p.positional][len(positional) :]:
        if declared.name not in options:
            if declared.default is REQUIRED:
                raise DeclarationError(
                    f"{kind.title()} needs its {declared.name}: {declared.constraint.words}. "
                    f'Write {name}("{spec}", {declared.name}).'
                )
            break
        positional.append(options.pop(declared.name))
    return kind(*positional, **options)
