"""How much memory trainings take: at most, over many rounds, and over many nets. Resident memory, as Linux counts it."""

from __future__ import annotations

import ctypes
import gc
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

PARTS = 8
"""The number of readings over many nets."""

BY_HAND = "plain_jax"
"""The peer whose memory over many nets is JAX's own: it keeps none of its nets and functions."""


def report(peers: Iterable[str], pictures: int, many: int) -> list[Report]:
    """The tables of one training's memory, and of what is kept over `many` rounds and nets."""
    trainings = of_training([REFERENCE, *peers], pictures)
    columns = {"data": "data", "arrays": "arrays", "imported": "after imports", "held": "with the data", "peak": "at most"}
    lines = [[PEERS[name].title, *(_megabytes(read[key]) for key in columns)] for name, read in trainings.items()]
    title = f"Host memory of a round of LeNet over {pictures:,} pictures, resident, MB"
    notes = ["Data are pictures and labels, arrays those of the net alone: a training holds about four of each."]
    rounds = {REFERENCE: kept_by_rounds(many)}
    nets = {name: kept_by_nets(name, many) for name in (REFERENCE, BY_HAND)}
    return [
        Report(Table(title, ["", *columns.values()], lines, notes), trainings),
        _kept("rounds of one training of a small net, resident", rounds),
        _kept("different small nets, trained one after another, in use", nets),
    ]


def _kept(what: str, read: dict[str, dict[str, float]]) -> Report:
    lines = [[PEERS[name].title, *map(_megabytes, sizes.values())] for name, sizes in read.items()]
    return Report(Table(f"Host memory after {what}, MB", ["after", *next(iter(read.values()))], lines), {what: read})


def _megabytes(size: float) -> str:
    return f"{size / 1e6:,.1f}" if size < 1e7 else f"{size / 1e6:,.0f}"


def of_training(peers: Iterable[str], pictures: int) -> dict[str, dict[str, float]]:
    """For each peer, the bytes of a round of LeNet: data, arrays, resident before and at most."""
    return {peer: child(__file__, "training", peer, pictures) for peer in peers}


def kept_by_rounds(rounds: int) -> dict[str, float]:
    """The bytes resident after some of the rounds of one training of a small net."""
    return child(__file__, "rounds", rounds)


def kept_by_nets(peer: str, nets: int) -> dict[str, float]:
    """The bytes in use after some of many different nets, trained one after another, and without what JAX keeps of them."""
    return child(__file__, "nets", peer, nets)


# What runs in the processes


def _resident(line: str = "VmRSS") -> int:
    """The bytes that are resident; with VmHWM, the most that ever were in this process."""
    with open("/proc/self/status") as status:
        found = next(text for text in status if text.startswith(line))
    return 1024 * int(found.split()[1])


def _in_use() -> int:
    """The bytes that are resident when memory that was freed has been given back to the system."""
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)
    return _resident()


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


def _rounds(rounds: int) -> dict[int, int]:
    from peers.nettrain import NETS
    from watching import watched
    from workloads import examples, perceptron

    from netdsl import Rule

    marks = {round(rounds * part) for part in MARKS}
    read: dict[int, int] = {}

    def tell(status: Any) -> None:
        if status.batch == status.batches and status.round in marks:
            read[status.round] = _resident()

    small = perceptron(32, 64)
    data = Rule(*examples(small, 1024))
    watched(NETS["mlp"](small.arrays()), data, tell, BatchSize=BATCH, MaxTrainingRounds=rounds)
    return read


def _nets(peer: str, nets: int) -> dict[int | str, int]:
    import jax
    import numpy as np
    from workloads import Workload, examples, perceptron

    module = PEERS[peer].module()
    data = examples(perceptron(32, 1), 2 * BATCH)
    read: dict[int | str, int] = {}
    for number in range(1, nets + 1):
        workload = Workload("", "", perceptron(32, number), BATCH, 2)
        module.training(workload, data, np.arange(workload.count))(workload.batches)
        if number % max(1, nets // PARTS) == 0:
            read[number] = _in_use()
    jax.clear_caches()
    read["without JAX's caches"] = _in_use()
    return read


if __name__ == "__main__":
    kinds = {"training": _training, "rounds": _rounds, "nets": _nets}
    given = [int(argument) if argument.isdigit() else argument for argument in sys.argv[2:]]
    answer(kinds[sys.argv[1]](*given))
