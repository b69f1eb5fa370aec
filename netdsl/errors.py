"""Every exception of netdsl.

::

    NetError (Exception)
    ├── DeclarationError (TypeError, ValueError)   a net, layer, option or parameter that cannot be what was written
    ├── UnsupportedError (NotImplementedError)     an option of Mathematica that netdsl refuses by name
    ├── ShapeError (ValueError)                    sizes, ranks or element kinds that contradict each other
    ├── PartError (LookupError)                    a layer, port, array or property that is not there
    ├── EncodingError (ValueError)                 a thing that a port's encoder, decoder or type cannot take
    ├── UninitializedError (ValueError)            arrays or sizes that a net still lacks
    ├── DataError (ValueError)                     training or test data that cannot be used
    ├── TrainingError (RuntimeError)               a training that cannot go on
    ├── DeviceError (RuntimeError)                 a device that is not there or too small
    ├── ResourceError (OSError)                    data sets and models that cannot be had
    └── FormatError (ValueError)                   files that are damaged, hostile or of another kind

    NetWarning (UserWarning)                       something that was done, but that should be known: arrays dropped by surgery

A message says what was attempted, both ends, who fixed each size, and one next step.
"""

from __future__ import annotations

import difflib
import functools
import inspect
import os
import re
import sys
import warnings
from collections.abc import Callable, Iterable
from typing import Any, TypeVar

__all__ = [
    "DataError",
    "DeclarationError",
    "DeviceError",
    "EncodingError",
    "FormatError",
    "NetError",
    "NetWarning",
    "PartError",
    "ResourceError",
    "ShapeError",
    "TrainingError",
    "UninitializedError",
    "UnsupportedError",
]


class NetError(Exception):
    """The root of every error that netdsl raises on purpose."""


class DeclarationError(NetError, TypeError, ValueError):
    """A net, layer, option or parameter that cannot be what was written."""


class UnsupportedError(NetError, NotImplementedError):
    """An option or form of Mathematica that netdsl knows and refuses by name."""


class ShapeError(NetError, ValueError):
    """Sizes, ranks or element kinds that contradict each other."""


class PartError(NetError, LookupError):
    """A layer, port, array or property that is not there."""


class EncodingError(NetError, ValueError):
    """A thing that a port's encoder, decoder or type cannot take."""


class UninitializedError(NetError, ValueError):
    """Arrays or sizes that a net still lacks."""


class DataError(NetError, ValueError):
    """Training or test data that cannot be used; `results` holds those of a training that read them, up to there."""

    results: Any = None


class TrainingError(NetError, RuntimeError):
    """A training that cannot go on; `results` holds those of the best validation round, or so far, if there are any."""

    results: Any = None


class DeviceError(NetError, RuntimeError):
    """A device that is not there or too small; `results` holds those of a training's best validation round, if there was one."""

    results: Any = None


class ResourceError(NetError, OSError):
    """Data sets and models that cannot be had."""


class FormatError(NetError, ValueError):
    """Files that are damaged, hostile or of another kind."""


class NetWarning(UserWarning):
    """Something that was done, but that the user should know, such as arrays that surgery had to drop."""


FULL_TRACEBACKS = "NETDSL_TRACEBACKS"
"""The environment variable that, set to "full", keeps the library's own frames in tracebacks."""

Call = TypeVar("Call", bound=Callable[..., Any])


def public(function: Call) -> Call:
    """A function that users call: its errors show the user's line, not the frames below it. Arguments that it does not take are one.

    ``NETDSL_TRACEBACKS=full`` in the environment keeps all frames.
    """

    @functools.wraps(function)
    def called(*arguments: Any, **options: Any) -> Any:
        try:
            return function(*arguments, **options)
        except NetError as error:
            if os.environ.get(FULL_TRACEBACKS) == "full":
                raise
            error.__context__ = None  # what it replaced has frames, and those hold the arrays of the call
            raise error.with_traceback(None) from error.__cause__
        except TypeError as error:
            if error.__traceback__ is None or error.__traceback__.tb_next is not None:
                raise
            subject: Any = arguments[0] if function is type.__call__ else function
            said = re.sub(r"^\S+\(\) ", "", str(error))
            names = listing(name for name in inspect.signature(subject).parameters if name != "self")
            raise DeclarationError(f"{subject.__name__} {said}. It takes {names}.") from None

    return called  # type: ignore[return-value]


def warn(text: str) -> None:
    """Warn of something, at the line of the user's that led to it."""
    level, frame = 1, sys._getframe(0)
    while frame.f_back is not None and frame.f_globals.get("__name__", "").split(".")[0] == "netdsl":
        frame, level = frame.f_back, level + 1
    warnings.warn(text, NetWarning, stacklevel=level)


def listing(things: Iterable[object], limit: int = 12) -> str:
    """The things as ``a, b and c``, cut after `limit` of them."""
    texts = [str(thing) for thing in things]
    if len(texts) > limit:
        texts = [*texts[:limit], f"{len(texts) - limit} more"]
    if len(texts) < 2:
        return "".join(texts)
    return ", ".join(texts[:-1]) + " and " + texts[-1]


def size_text(count: float) -> str:
    """So many bytes, in the unit that reads best: ``1.72 MB``."""
    for unit in ("bytes", "kB", "MB", "GB", "TB"):
        if count < 999.5:
            return f"{count:.3g} {unit}"
        count /= 1000
    return f"{count:,.0f} PB"


def nearest(name: object, names: Iterable[object]) -> str:
    """A sentence that names what was probably meant, or all there is."""
    known = [str(candidate) for candidate in names]
    if not known:
        return "There are none."
    lower = {candidate.lower(): candidate for candidate in reversed(known)}
    wanted = str(name).lower()
    close = difflib.get_close_matches(wanted, lower, n=len(lower), cutoff=0.6)
    if close:  # of equally near ones the first
        likeness = [difflib.SequenceMatcher(None, near, wanted).ratio() for near in close]
        alike = [lower[near] for near, ratio in zip(close, likeness) if ratio == likeness[0]]
        return f"Did you mean {min(alike, key=known.index)!r}?"
    return f"There {'is' if len(known) == 1 else 'are'} {listing(map(repr, known))}."


def excerpt(thing: object, limit: int = 60) -> str:
    """The repr of a thing of the user's, short enough for a message."""
    try:
        text = repr(thing)
    except Exception:  # a user's own __repr__ may raise anything
        text = object.__repr__(thing)
    text = " ".join(text.split())
    return text if len(text) <= limit else text[: limit - 1] + "…"
