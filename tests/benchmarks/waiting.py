"""How long a user waits before anything is trained: imports, compilation, the first steps and the first round of LeNet.

Each time is that of a process of its own, from its start. The pictures are random and made in it, as many as MNIST's.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterable
from typing import Any

from children import answer, child
from peers import PEERS
from tables import Report, Table

__all__ = ["report"]

BATCH = 64

FIRST = 8
"""The steps of the peers until their first stop: the first chunk of a NetTrain has as many, or one or two more."""

STAGES = {
    "/jax/core/compile/jaxpr_trace_duration": "tracing",
    "/jax/core/compile/jaxpr_to_mlir_module_duration": "lowering",
    "/jax/core/compile/backend_compile_duration": "compiling",
}


def report(peers: Iterable[str], pictures: int, repeats: int) -> list[Report]:
    """The tables of imports and of the starts of trainings, medians over `repeats` processes."""
    imports = time_of_imports(repeats)
    lines = [
        ["import jax", f"{imports['jax']:.2f}"],
        ["import jax, netdsl", f"{imports['jax'] + imports['netdsl']:.2f}"],
        ["difference", f"{imports['netdsl']:.2f}"],
    ]
    starts = start_of_training(peers, pictures, repeats)
    header = ["", f"first {FIRST} steps", "first round", *(f"of it {stage}" for stage in STAGES.values())]
    rows = []
    for name, times in starts.items():
        cells = (f"{times[key]:.2f}" if key in times else "-" for key in ("first", "round", *STAGES.values()))
        rows.append([PEERS[name].title if name in PEERS else name, *cells])
    return [
        Report(Table(f"Imports, seconds, medians of {repeats} processes", ("", "seconds"), lines), imports),
        Report(
            Table(
                f"From the start of a script to LeNet's first steps, {pictures:,} pictures: seconds, medians of {repeats}",
                header,
                rows,
                ["Tracing, lowering and compiling (or loading compiled code) are those before the end of the first steps."],
            ),
            starts,
        ),
    ]


def time_of_imports(repeats: int) -> dict[str, float]:
    """The median seconds of ``import jax`` and of ``import netdsl`` after it, over several processes."""
    return _medians([child(__file__, "imports") for _ in range(repeats)])


def start_of_training(peers: Iterable[str], pictures: int, repeats: int) -> dict[str, dict[str, float]]:
    """The median seconds of each stop by who trains; netdsl has a first run, and a second that finds compiled code."""
    found = defaultdict(list)
    for _ in range(repeats):
        with tempfile.TemporaryDirectory() as cache:
            for run in ("netdsl, first run", "netdsl, second run"):
                found[run].append(_started("nettrain", pictures, NETDSL_CACHE_DIR=cache))
        for peer in peers:
            found[peer].append(_started(peer, pictures))
    return {name: _medians(times) for name, times in found.items()}


def _started(name: str, pictures: int, **environment: str) -> dict[str, float]:
    return child(__file__, name, pictures, time.time(), **environment)


def _medians(times: list[dict[str, float]]) -> dict[str, float]:
    return {key: statistics.median(each[key] for each in times) for key in times[0]}


# What runs in the processes


def _imports() -> dict[str, float]:
    start = time.perf_counter()
    import jax  # noqa: F401

    middle = time.perf_counter()
    import netdsl  # noqa: F401

    return {"jax": middle - start, "netdsl": time.perf_counter() - middle}


def _train(name: str, pictures: int, started: float) -> dict[str, float]:
    """The seconds from the start to the end of the first steps and of the first round, and those spent on compiling."""
    stops: dict[str, float] = {}
    spans = {} if name == "pytorch" else _listen()

    def reached(place: str) -> None:
        if place not in stops:
            stops[place] = time.time() - started
            if place == "first":
                stops.update({stage: _covered(covered) for stage, covered in spans.items()})

    if name == "nettrain":
        _train_netdsl(pictures, reached)
    else:
        _train_peer(name, pictures, reached)
    return stops


def _train_netdsl(pictures: int, reached: Callable[[str], None]) -> None:
    """The script of the article."""
    from peers.nettrain import lenet
    from watching import watched
    from workloads import ARCHITECTURES, examples

    from netdsl import Rule

    data = examples(ARCHITECTURES["lenet"], pictures)
    watched(lenet({}), Rule(*data), lambda status: reached("first"), BatchSize=BATCH, MaxTrainingRounds=1)
    reached("round")


def _train_peer(name: str, pictures: int, reached: Callable[[str], None]) -> None:
    """The same in a peer, in the order of the data."""
    import numpy as np
    from workloads import ARCHITECTURES, Workload, examples

    workload = Workload("", "", ARCHITECTURES["lenet"], BATCH, pictures // BATCH)
    train = PEERS[name].module().training(workload, examples(workload.architecture, workload.count), np.arange(workload.count))
    train(FIRST)
    reached("first")
    train(workload.batches - FIRST)
    reached("round")


Spans = dict[str, list[tuple[float, float]]]


def _listen() -> Spans:
    """What JAX will spend on each stage of its compilations: filled while it works."""
    import jax

    spans: Spans = {stage: [] for stage in STAGES.values()}

    def heard(event: str, start: float, end: float, **_: Any) -> None:
        if event in STAGES:
            spans[STAGES[event]].append((start, end))

    jax.monitoring.register_event_time_span_listener(heard)
    return spans


def _covered(spans: list[tuple[float, float]]) -> float:
    """The seconds that the spans cover, which may lie in each other."""
    total = reach = 0.0
    for start, end in sorted(spans):
        total += max(0.0, end - max(start, reach))
        reach = max(reach, end)
    return total


if __name__ == "__main__":
    answer(_imports() if sys.argv[1] == "imports" else _train(sys.argv[1], int(sys.argv[2]), float(sys.argv[3])))
