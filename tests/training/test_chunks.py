"""How many batches are trained on between two looks of the host."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from netdsl import NetChain, NetTrain, Rule
from netdsl.training import processes, run


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[int]]:
    """The numbers of batches in the chunks of a training of one round, where each batch takes so many seconds of its clock."""

    def train(batches: int, seconds: float) -> list[int]:
        counts, clock, make = [], [0.0], run.chunk_function

        def function(plan: Any) -> Callable[..., Any]:
            def chunk(*arguments: Any) -> Any:
                counts.append(int(arguments[5]))
                clock[0] += 100.0 if len(counts) == 1 else counts[-1] * seconds  # the first compiles
                return make(plan)(*arguments)

            return chunk

        monkeypatch.setattr(run, "chunk_function", function)
        monkeypatch.setattr(processes, "time", SimpleNamespace(perf_counter=lambda: clock[0]))
        data = Rule(np.ones((batches, 2)), np.ones((batches, 1)))
        NetTrain(NetChain([1], Input=2), data, BatchSize=1, MaxTrainingRounds=1, TrainingProgressReporting=None)
        monkeypatch.undo()
        return counts

    return train


def test_chunks_are_as_long_as_the_host_is_consulted_and_equal(counted: Callable[..., list[int]]) -> None:
    assert counted(60, run.CONSULTED_EVERY / 10) == [0, run.FIRST_CHUNK, 11, 11, 10, 10, 10]


def test_a_short_rest_goes_with_the_rest(counted: Callable[..., list[int]]) -> None:
    assert counted(run.FIRST_CHUNK + 11, run.CONSULTED_EVERY / 10) == [0, run.FIRST_CHUNK - 1, 12]


@pytest.mark.parametrize("seconds", [run.CONSULTED_EVERY, 100 * run.CONSULTED_EVERY])
def test_slow_batches_are_looked_at_one_by_one(counted: Callable[..., list[int]], seconds: float) -> None:
    assert counted(12, seconds) == [0, 6, 1, 1, 1, 1, 1, 1]


def test_fast_ones_are_one_chunk(counted: Callable[..., list[int]]) -> None:
    assert counted(1000, 1e-6) == [0, run.FIRST_CHUNK, 1000 - run.FIRST_CHUNK]
