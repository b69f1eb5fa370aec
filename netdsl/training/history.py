"""The numbers of a training: plain arrays, numbers and texts, which can be stored and read back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

import numpy as np

__all__ = ["History"]


@dataclass
class History:
    """The numbers of a training, by batch, by round and by validation.

    Args:
        batches_per_round: the batches of a whole round; the last one may have stopped in its middle.
        losses: of each round the loss of every batch.
        errors: likewise the error rates; zeros where the net has none.
        sums: of each round the sums that its measurements are made from, by name.
        batch_values: of each round the measurements of every batch, by the text of their keys.
        validation_losses: the loss of every validation.
        validation_errors: the error rate of every validation.
        validation_sums: the sums that its measurements are made from.
        validation_positions: the batches trained on before every validation.
        best_round: the round of the best validation; 0 without one.
        best_validation: which validation that was, from 1; 0 without one.
    """

    batches_per_round: int
    losses: list[np.ndarray] = field(default_factory=list)
    errors: list[np.ndarray] = field(default_factory=list)
    sums: list[dict[str, Any]] = field(default_factory=list)
    batch_values: list[dict[str, np.ndarray]] = field(default_factory=list)
    validation_losses: list[float] = field(default_factory=list)
    validation_errors: list[float] = field(default_factory=list)
    validation_sums: list[dict[str, Any]] = field(default_factory=list)
    validation_positions: list[int] = field(default_factory=list)
    best_round: int = 0
    best_validation: int = 0

    def begin(self, round_: int, number: Any) -> tuple[Any, ...]:
        """Begin a round, or go on in it: the batches that are done, and room for the losses and errors of all."""
        if len(self.losses) < round_:
            self.losses.append(np.zeros(0, number))
            self.errors.append(np.zeros(0, number))
        done = len(self.losses[-1])
        return done, *(np.pad(part[-1], (0, self.batches_per_round - done)) for part in (self.losses, self.errors))

    def validated(self, position: int, loss: float, error: float, sums: dict[str, Any]) -> None:
        """Note a validation after so many batches."""
        self.validation_positions.append(position)
        self.validation_losses.append(loss)
        self.validation_errors.append(error)
        self.validation_sums.append(sums)

    @property
    def batch_losses(self) -> np.ndarray:
        """The loss of every batch."""
        return np.concatenate(self.losses) if self.losses else np.zeros(0, np.float32)

    @property
    def batch_errors(self) -> np.ndarray:
        """The error rate of every batch."""
        return np.concatenate(self.errors) if self.errors else np.zeros(0, np.float32)

    @property
    def round_losses(self) -> np.ndarray:
        """The mean loss of every round."""
        return np.array([part.mean() for part in self.losses if part.size])

    def to_dict(self) -> dict[str, Any]:
        """The fields as a dict of numbers, arrays, and lists and dicts of them."""
        return {each.name: _copied(getattr(self, each.name)) for each in fields(self)}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> History:
        """The history that such a dict is of.

        >>> history = History(2, losses=[np.array([0.5, 0.25])])
        >>> History.from_dict(history.to_dict()).round_losses
        array([0.375])
        """
        return cls(**{name: _copied(value) for name, value in values.items()})


def _copied(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {name: _copied(one) for name, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [_copied(one) for one in value]
    return value.copy() if isinstance(value, np.ndarray) else value
