"""What a training costs: time in proportion to rounds, batches and examples, memory that stays, and what each option adds.

    python tests/benchmarks/costs.py              # two minutes on two cores; --quick: shows that it runs
    python tests/benchmarks/costs.py --options    # four minutes: options as ratios to the plain training

Each time is that of a whole NetTrain, from NumPy arrays to the trained net, whose program is compiled already.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import numpy as np
from measuring import alternated, spread
from memory import kept_by_rounds
from peers.nettrain import NETS
from tables import Table, text
from workloads import Workload, examples, workloads

from netdsl import File, NetTrain, Quantity, Rule

__all__ = ["main"]

NAMES = ("lenet-64", "mlp")
TIMES = (1, 2, 4, 8)

Turn = Callable[[], object]


def trained(workload: Workload, batches: int, batch: int, rounds: int, **options: Any) -> Turn:
    """A training of so many rounds of so many batches."""
    data = examples(workload.architecture, batches * batch)
    net = NETS[workload.architecture.name](workload.architecture.arrays())
    common = {"BatchSize": batch, "MaxTrainingRounds": rounds, "TrainingProgressReporting": None}
    return lambda: NetTrain(net, Rule(data.inputs, data.labels), **{**common, **options})


# In proportion


def growing(workload: Workload, batches: int) -> dict[str, tuple[str, dict[int, Turn]]]:
    """What grows, the unit it is counted in, and the trainings of 1, 2, 4 and 8 times as much."""
    batch = workload.batch
    return {
        "rounds": (f"round of {batches} batches", {n: trained(workload, batches, batch, n) for n in TIMES}),
        "batches of a round": (f"{batches} batches", {n: trained(workload, n * batches, batch, 1) for n in TIMES}),
        "examples of a batch": (f"{batch // 2} examples in each of {batches}", {
            n: trained(workload, batches, n * batch // 2, 1) for n in TIMES
        }),
    }  # fmt: skip


def line(seconds: Mapping[int, float]) -> tuple[float, float, float]:
    """What the training takes besides, what each unit takes, and the largest departure from that line, as a share."""
    counts, times = np.array(list(seconds), float), np.array(list(seconds.values()))
    # by relative departures: the short trainings count as much as the long ones
    weights = np.stack([np.ones_like(counts), counts], axis=1) / times[:, None]
    besides, each = np.linalg.lstsq(weights, np.ones_like(times), rcond=None)[0]
    return float(besides), float(each), float(np.max(np.abs((besides + each * counts) / times - 1)))


def proportions(names: tuple[str, ...], batches: int, rounds: int) -> Table:
    """The table of times that grow."""
    lines = []
    for name in names:
        workload = workloads()[name]
        for what, (unit, turns) in growing(workload, batches).items():
            timings = alternated({str(n): turn for n, turn in turns.items()}, rounds)
            seconds = {n: spread(timings.seconds[str(n)]).median for n in turns}
            besides, each, departure = line(seconds)
            cells = (f"{value * 1e3:,.0f}" for value in (*seconds.values(), besides, each))
            lines.append([f"{name}: {what}, by {unit}", *cells, f"{departure:.1%}"])
    header = ["ms of NetTrain, medians", *(f"{n}x" for n in TIMES), "besides", "each", "largest departure"]
    notes = ['"besides" and "each" are of the line through the four; the departure is that of a time from the line, of the time.']
    return Table(f"Time in proportion, {rounds} turns", header, lines, notes)


def memory(rounds: int) -> Table:
    """The table of memory over rounds."""
    read = kept_by_rounds(rounds)
    return Table("Resident memory, MB", ["after rounds", *read], [["netdsl", *(f"{size / 1e6:.0f}" for size in read.values())]])


# Options


def variants(workload: Workload, folder: str) -> dict[str, dict[str, Any]]:
    """Options of NetTrain by what is said of them."""
    held = examples(workload.architecture, 10 * workload.batch)
    net = NETS[workload.architecture.name](workload.architecture.arrays())
    *lower, last = dict.fromkeys(path[0] for path in net.arrays)
    return {
        "ValidationSet, a tenth of the examples": {"ValidationSet": Rule(held.inputs, held.labels)},
        "TrainingProgressMeasurements: accuracy, F1, confusion": {
            "TrainingProgressMeasurements": ["Accuracy", "F1Score", "ConfusionMatrix"]
        },
        "TrainingProgressCheckpointing, each round": {"TrainingProgressCheckpointing": ["Directory", folder]},
        "the same, every 10 batches": {
            "TrainingProgressCheckpointing": ["Directory", folder, {"Interval": Quantity(10, "Batches")}]
        },
        "TrainingProgressFunction, each round, asks for the loss": {
            "TrainingProgressFunction": lambda facts: _no(facts["RoundLoss"])
        },
        "the same, each round, asks for net and gradients": {
            "TrainingProgressFunction": lambda facts: _no(facts["Net"], facts["Gradients"])
        },
        "the same, each batch, asks for the loss": {
            "TrainingProgressFunction": [lambda facts: _no(facts["BatchLoss"]), {"Interval": Quantity(1, "Batches")}]
        },
        "TrainingProgressReporting: a file, each round": {"TrainingProgressReporting": File(f"{folder}/report.csv")},
        "LearningRateMultipliers: only the last linear layer": {"LearningRateMultipliers": dict.fromkeys(lower, 0)},
        "TrainingUpdateSchedule: each layer in turn": {"TrainingUpdateSchedule": [*lower, last]},
        'Method "SGD"': {"Method": "SGD"},
        "L2Regularization": {"Method": ["ADAM", {"L2Regularization": 1e-4}]},
        "GradientClipping": {"Method": ["ADAM", {"GradientClipping": 1}]},
        "WeightClipping": {"Method": ["ADAM", {"WeightClipping": 1}]},
        "LearningRateSchedule": {"Method": ["ADAM", {"LearningRateSchedule": "Cosine"}]},
        "GradientAccumulation, 4": {"Method": ["ADAM", {"GradientAccumulation": 4}]},
        "MovingAverage": {"Method": ["ADAM", {"MovingAverage": 0.99}]},
        'PerformanceGoal "TrainingMemory"': {"PerformanceGoal": "TrainingMemory"},
        'WorkingPrecision "Mixed"': {"WorkingPrecision": "Mixed"},
        'WorkingPrecision "Real64"': {"WorkingPrecision": "Real64"},
    }


def _no(*asked: object) -> None:
    """What a progress function answers that lets the training go on."""


def options_table(names: tuple[str, ...], batches: int, rounds: int) -> Table:
    """The table of options, as ratios to the plain training."""
    lowest: dict[str, dict[str, float]] = {}
    for name in names:
        workload = workloads()[name]
        training = partial(trained, workload, batches, workload.batch, 2)
        with tempfile.TemporaryDirectory() as folder:
            turns = {"plain": training()} | {what: training(**given) for what, given in variants(workload, folder).items()}
            # the lowest of each: what else the machine does only ever adds
            lowest[name] = {what: min(seconds) for what, seconds in alternated(turns, rounds).seconds.items()}
    lines = [
        [what, *(f"{seconds[what] / seconds['plain']:.2f}" for seconds in lowest.values())]
        for what in lowest[names[0]]
        if what != "plain"
    ]
    title = f"Time of a training with an option, of the plain one: 2 rounds of {batches} batches, the lowest of {rounds} turns"
    plain = ", ".join(f"{name} {seconds['plain']:.2f} s" for name, seconds in lowest.items())
    return Table(title, ["option", *names], lines, [f"Plain trainings: {plain}."])


def main(arguments: list[str] | None = None) -> None:
    """Measures, and prints the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--options", action="store_true", help="what each option adds, instead of proportions")
    parser.add_argument("--quick", action="store_true", help="the perceptron alone, few batches: shows that it runs")
    parser.add_argument("--rounds", type=int, default=3, help="turns that count")
    parser.add_argument("--markdown", action="store_true", help="print the tables as Markdown")
    given = parser.parse_args(arguments)
    names, rounds = (NAMES[1:], 1) if given.quick else (NAMES, given.rounds)
    if given.options:
        print(text(options_table(names, 10 if given.quick else 100, rounds), given.markdown))
        return
    print(text(proportions(names, 5 if given.quick else 25, rounds), given.markdown), flush=True)
    print(text(memory(20 if given.quick else 200), given.markdown))


if __name__ == "__main__":
    main()
