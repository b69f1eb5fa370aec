"""Functions and data of the user's that fail while a training runs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from netdsl.constraints import source_text
from netdsl.errors import DataError, DeclarationError, TrainingError

if TYPE_CHECKING:
    from netdsl.training.run import Training

__all__ = ["failure", "named", "reading"]


def failure(training: Training, option: str, function: Callable[..., Any], what: str) -> TrainingError:
    """The error that says what the function given to this option did, with the results so far."""
    status = training.status
    training.reason = f"broken off by the {option}"
    error = TrainingError(
        f"The {option} {source_text(function)} {what.rstrip('.')}. This was in round {status.round}, batch {status.batch}; "
        "error.results holds the results with the net so far."
    )
    error.results = training.results()
    return error


@contextmanager
def named(training: Training, option: str, function: Callable[..., Any] | None) -> Iterator[None]:
    """Errors of the function, where there is one, as such an error; what is wrong with its values says so itself."""
    try:
        yield
    except Exception as error:
        if function is None or (isinstance(error, DeclarationError) and str(error).startswith(option)):
            raise
        raise failure(training, option, function, f"failed: {type(error).__name__}: {error}") from error


@contextmanager
def reading(training: Training) -> Iterator[None]:
    """Errors of the data have the results so far."""
    try:
        yield
    except (DataError, TrainingError) as error:
        training.reason = "broke off at its data"
        error.results = training.results()
        raise
