"""The decoder of what CTCLossLayer trains: from the probabilities of labels and a blank at each time to the likely readings."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

import numpy as np

from netdsl.coders import LABELS
from netdsl.constraints import POSITIVE
from netdsl.declarations import parameter
from netdsl.decoders.decoder import Decoder, as_numbers
from netdsl.errors import DeclarationError, EncodingError, PartError, excerpt
from netdsl.shapes import REAL, ArrayType
from netdsl.symbols import Rule

__all__ = ["CTCBeamSearchDecoder"]

SMALLEST = float(np.finfo(np.float32).tiny)
"""Probabilities are at least this: a logarithm of 0 would make all readings alike."""

Reading = tuple[int, ...]


class CTCBeamSearchDecoder(Decoder):
    """Sequences of probabilities as the sequence of labels that is most likely read, whatever the timing.

    A reading gives each time a label or the blank; neighbours that are equal are joined, then the blanks are left out. The
    likelihood of a sequence is the sum over all readings that become it, as in CTCLossLayer.

    Input: a real array [T, n + 1], at each time the probabilities of n labels and, last, of the blank. T may vary.

    Labels
        The labels in the order of the vector, all different.
    BeamSize
        So many beginnings are followed at a time; default 100. With 1 the most probable of each time is read.

    Properties:

    ``"Decoding"``
        The most likely list of labels that is found; the default.
    ``"Decodings"``, ``["TopDecodings", k]``
        All lists that are found, the most likely first, or the first k.
    ``"NegativeLogLikelihoods"``, ``["TopNegativeLogLikelihoods", k]``
        Rules from them to minus the logarithm of their likelihood, as far as the search has followed it [M].

    Differences from Wolfram: none known. Source: Wolfram's public reference page; Graves, Supervised Sequence Labelling with
    Recurrent Neural Networks, 2012, chapter 7.

    >>> from netdsl.decoders import NetDecoder
    >>> decoder = NetDecoder("CTCBeamSearch", ["a", "b"])
    >>> decoder([[0.9, 0.0, 0.1], [0.8, 0.0, 0.2], [0.0, 0.7, 0.3]])
    ['a', 'b']
    """

    kind = "CTCBeamSearch"
    properties = ("Decoding", "Decodings", "TopDecodings", "NegativeLogLikelihoods", "TopNegativeLogLikelihoods")

    Labels: tuple[Any, ...] = parameter(LABELS, positional=True)
    BeamSize: int = parameter(POSITIVE, 100)

    def _check(self) -> None:
        if not self.Labels or len(set(self.Labels)) < len(self.Labels):
            raise DeclarationError(f"{self.title()} needs one or more labels, all different. Got {excerpt(list(self.Labels))}.")

    def type(self) -> ArrayType:
        return ArrayType((None, len(self.Labels) + 1), REAL)

    def encoder_spec(self, type: ArrayType | None = None) -> tuple[Any, ...]:
        return ("Class", self.Labels, {"Dimensions": ["Varying"]})

    def decode(self, array: np.ndarray, property: Any = None, *, RandomSeeding: Any = 1234) -> Any:
        name, number = self.split_property("Decoding" if property is None else property)
        if name.startswith("Top") != isinstance(number, int) or (isinstance(number, int) and number < 1):
            raise PartError(
                f'{self.title()}: "Top" properties have a number of at least 1, others none. Got {excerpt(property)}.'
            )
        numbers = as_numbers(array, self.title())
        if numbers.ndim != 2 or numbers.shape[1] != len(self.Labels) + 1 or np.isnan(numbers).any():
            raise EncodingError(
                f"{self.title()} takes arrays of probabilities, {len(self.Labels) + 1} at each time: of {len(self.Labels)} labels and "
                f"the blank. Got {excerpt(array)}."
            )
        found = self._readings(np.log(np.maximum(numbers, SMALLEST)))
        lists = [[self.Labels[place] for place in reading] for reading, _ in found]
        if name == "Decoding":
            return lists[0]
        if name.endswith("Decodings"):
            return lists[:number]
        return [Rule(one, -float(likelihood)) for one, (_, likelihood) in zip(lists, found)][:number]

    def _readings(self, logs: np.ndarray) -> list[tuple[Reading, float]]:
        """The sequences of places that are found and the logarithms of their likelihoods, the greatest first."""
        blank = len(self.Labels)
        if self.BeamSize == 1:
            path = logs.argmax(1)
            changes = np.flatnonzero(np.diff(path, prepend=-1))
            return [(tuple(int(path[t]) for t in changes if path[t] != blank), float(logs.max(1).sum()))]
        never = (-np.inf, -np.inf)  # the likelihoods of a reading so far that ends in a blank, and of one that does not
        beam: dict[Reading, tuple[float, float]] = {(): (0.0, -np.inf)}
        for now in logs.tolist():
            after: dict[Reading, tuple[float, float]] = defaultdict(lambda: never)
            for reading, (ended, open_) in beam.items():
                both = np.logaddexp(ended, open_)
                before = after[reading]
                again = open_ + now[reading[-1]] if reading else -np.inf
                after[reading] = np.logaddexp(before[0], both + now[blank]), np.logaddexp(before[1], again)
                for place in range(blank):
                    longer = (*reading, place)
                    start = ended if reading and reading[-1] == place else both
                    known = after[longer]
                    after[longer] = known[0], np.logaddexp(known[1], start + now[place])
            possible = ((reading, pair) for reading, pair in after.items() if max(pair) > -np.inf)
            best = sorted(possible, key=lambda item: -np.logaddexp(*item[1]))
            beam = dict(best[: self.BeamSize])
        return [(reading, float(np.logaddexp(*pair))) for reading, pair in beam.items()]
