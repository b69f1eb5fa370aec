"""How much memory trainings take: at most, over many rounds, and over many nets. Resident memory, as Linux counts it."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import Any

from children import answer, child
from peers import PEERS, REFERENCE
from tables import Report, Table

__all__ = ["report"]

BATCH = 64

MARKS = (0.1, 0.25, 0.5, 0.75, 1.0)
"""The parts of all rounds after which memory is read."""

PARTS = 10
"""The number of readings over many nets."""


def report(peers: Iterable[str], pictures: int, many: int) -> list[Report]:
    """The tables of one training's memory, and of what is kept over `many` rounds and nets."""
    trainings = of_training([REFERENCE, *peers], pictures)
    columns = {"data": "data", "arrays": "arrays", "imported": "after imports", "held": "with the data", "peak": "at most"}
    lines = [[PEERS[name].title, *(_megabytes(read[key]) for key in columns)] for name, read in trainings.items()]
    title = f"Host memory of a round of LeNet over {pictures:,} pictures, resident, MB"
    notes = ["Data are pictures and labels, arrays those of the net alone: a training holds about four of each."]
    rounds, nets = kept_by_rounds(many), kept_by_nets(many)
    return [
        Report(Table(title, ["", *columns.values()], lines, notes), trainings),
        _kept("rounds of one training of a small net", rounds),
        _kept("different small nets, trained one after another", nets),
    ]


def _kept(what: str, read: dict[int, float]) -> Report:
    lines = [["resident", *map(_megabytes, read.values())]]
    return Report(Table(f"Host memory after {what}, resident, MB", ["after", *map(str, read)], lines), {what: read})


def _megabytes(size: float) -> str:
    return f"{size / 1e6:,.1f}" if size < 1e7 else f"{size / 1e6:,.0f}"


def of_training(peers: Iterable[str], pictures: int) -> dict[str, dict[str, float]]:
    """For each peer, the bytes of a round of LeNet: data, arrays, resident before and at most."""
    return {peer: child(__file__, "training", peer, pictures) for peer in peers}


def kept_by_rounds(rounds: int) -> dict[int, float]:
    """The bytes resident after some of the rounds of one training of a small net."""
    return _by_number(child(__file__, "rounds", rounds))


def kept_by_nets(nets: int) -> dict[int, float]:
    """The bytes resident after some of many different nets, trained one after another."""
    return _by_number(child(__file__, "nets", nets))


def _by_number(read: dict[str, float]) -> dict[int, float]:
    return {int(number): size for number, size in read.items()}


# What runs in the processes


def _resident(line: str = "VmRSS") -> int:
    """The bytes that are resident; with VmHWM, the most that ever were in this process."""
    with open("/proc/self/status") as status:
        found = next(text for text in status if text.startswith(line))
    return 1024 * int(found.split()[1])


def _training(peer: str, pictures: int) -> dict[str, float]:
    import numpy as np
    from workloads import ARCHITECTURES, Workload, examples

    module = PEERS[peer].module()
    imported = _resident()
    workload = Workload("", "", ARCHITECTURES["lenet"], BATCH, pictures // BATCH)
    data = examples(workload.architecture, workload.count)
    held = _resident()
    module.training(workload, data, np.arange(workload.count))(workload.batches)
    arrays = sum(value.nbytes for kinds in workload.architecture.arrays().values() for value in kinds.values())
    return {
        "data": sum(array.nbytes for array in data),
        "arrays": arrays,
        "imported": imported,
        "held": held,
        "peak": _resident("VmHWM"),
    }


def _small(width: int, count: int) -> tuple[Any, Any]:
    """A small net and data for it."""
    import numpy as np

    from netdsl import NetChain, NetDecoder, Ramp, Rule, SoftmaxLayer

    rng = np.random.default_rng(0)
    data = Rule(rng.standard_normal((count, 32), np.float32), rng.integers(0, 10, count))
    return NetChain([width, Ramp, 10, SoftmaxLayer()], Input=32, Output=NetDecoder("Class", range(10))), data


def _rounds(rounds: int) -> dict[int, int]:
    from watching import watched

    marks = {round(rounds * part) for part in MARKS}
    read: dict[int, int] = {}

    def tell(status: Any) -> None:
        if status.batch == status.batches and status.round in marks:
            read[status.round] = _resident()

    watched(*_small(64, 1024), tell, BatchSize=BATCH, MaxTrainingRounds=rounds)
    return read


def _nets(nets: int) -> dict[int, int]:
    from netdsl import NetTrain

    read = {}
    for number in range(1, nets + 1):
        NetTrain(*_small(number, 128), BatchSize=BATCH, MaxTrainingRounds=1, TrainingProgressReporting=None)
        if number % max(1, nets // PARTS) == 0:
            read[number] = _resident()
    return read


if __name__ == "__main__":
    kinds = {"training": _training, "rounds": _rounds, "nets": _nets}
    given = [int(argument) if argument.isdigit() else argument for argument in sys.argv[2:]]
    answer(kinds[sys.argv[1]](*given))
