"""Batches of sequences of about equal lengths, in a random order."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import pairwise
from typing import Any

import numpy as np

from netdsl.lowering import length_bucket
from netdsl.nets import Sequence

__all__ = ["arranged", "groups", "shared_groups", "stretches"]

MOST_GROUPS = 8
"""So many programs are compiled for sequences of different lengths at most."""

SHORT = 8
"""Sequences up to this length are one group: programs of their own take longer to compile than they save."""


def groups(columns: dict[str, Any]) -> tuple[np.ndarray | None, list[tuple[tuple[str, int], ...]]]:
    """The group of each example by its length, and for each group the length of its sequences at every port that varies.

    No group is for examples longer than those of the next one. None where one group would hold all.
    """
    varying = {port: column for port, column in columns.items() if isinstance(column, Sequence)}
    if not varying:
        return None, []
    total = np.sum([column.length for column in varying.values()], axis=0)
    different, place = np.unique(total, return_inverse=True)
    sizes, group = np.unique(
        np.array([length_bucket(max(int(length), SHORT)) for length in different])[place], return_inverse=True
    )
    group = np.maximum(group - (len(sizes) - MOST_GROUPS), 0) if len(sizes) > MOST_GROUPS else group  # the short ones are cheap
    if group.max() == group.min():
        return None, []
    lengths, least = [], dict.fromkeys(varying, 1)
    for each in range(int(group.max()) + 1):
        for port, column in varying.items():
            there = column.length[group == each]
            longest = length_bucket(int(there.max())) if len(there) else 1
            least[port] = max(least[port], min(longest, column.data.shape[1]))
        lengths.append(tuple(least.items()))
    return group, lengths


def shared_groups(lengths: Mapping[str, np.ndarray]) -> tuple[np.ndarray, list[tuple[tuple[str, int], ...]]]:
    """The same for examples that are some of many: lengths are of one ladder, so that the programs of others serve these too.

    The group is that of the longest sequence of an example. What it is depends on these examples alone.
    """
    longest = np.max(list(lengths.values()), axis=0)
    ladder = [length_bucket(int(longest.max()))]
    while len(ladder) < MOST_GROUPS and ladder[0] > SHORT:
        ladder.insert(0, length_bucket(ladder[0] - max(ladder[0] // 3, 1)))
    most = {port: length_bucket(int(each.max())) for port, each in lengths.items()}
    return np.searchsorted(ladder, longest), [tuple((port, min(step, most[port])) for port in most) for step in ladder]


def stretches(which: np.ndarray, first: int, count: int) -> Iterator[tuple[int, int, int]]:
    """The group, first batch and number of batches of each stretch of one group; for no batches, each group with none."""
    if not count:
        yield from ((int(group), first, 0) for group in np.unique(which))
        return
    part = which[first : first + count]
    for start, end in pairwise([0, *(np.flatnonzero(np.diff(part)) + 1).tolist(), count]):
        yield int(part[start]), first + start, end - start


def arranged(order: np.ndarray, group: np.ndarray, size: int, random: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """The order in which batches have examples of one group, and the group of each batch.

    What is left of a group goes into the next one; the batches come in a random order, and last the one that is not full.
    """
    of_place = group[order]
    batches, which, left = [], [], order[:0]
    for each in range(int(group.max()) + 1):
        members = np.concatenate([left, order[of_place == each]])
        full = len(members) // size
        batches.append(members[: full * size].reshape(full, size))
        which += [each] * full
        left = members[full * size :]
    mixed = random.permutation(len(which))
    rows = np.concatenate(batches)[mixed].ravel()
    groups_ = np.array(which, int)[mixed]
    last = [int(group.max())] if len(left) else []
    return np.concatenate([rows, left]), np.concatenate([groups_, np.array(last, int)])
