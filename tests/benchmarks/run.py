"""How fast netdsl is, next to PyTorch, Keras, Flax and JAX by hand, on this machine: ``python tests/benchmarks/run.py``.

All peers train the same nets from the same arrays on the same data in the same order, in turns, and reach the same loss: a peer
that does not ends the run. netdsl is timed as its user calls it, NetTrain from arrays to the trained net; its peers are timed
without their preparations. How long the user waits for the first step and how much memory a training takes are measured in
processes of their own. All of it takes about half an hour on two cores.

Everything is float32. Compare ratios, and numbers only within one run: a busy machine is slow for all. Tables go to the output,
what happens meanwhile to the error output.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
from collections.abc import Callable
from functools import partial
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

import jax
import memory
import waiting
from comparison import comparison
from peers import PEERS, REFERENCE, Peer
from rows import DifferentWork, Turns, evaluation_row, latency_row, training_row
from tables import Report, text
from workloads import Workload, workloads

__all__ = ["main"]

LONGER = 5
"""How many times longer than on a CPU turns are on anything faster, unless the command says otherwise."""

STARTED = ("pytorch", "keras3", "flax_nnx")
"""The peers whose start-up and memory are measured too."""

ROWS = (*workloads(), "evaluation", "latency", "waiting", "memory")


def rows_of(options: argparse.Namespace, peers: list[Peer]) -> dict[str, Callable[[], list[Report]]]:
    """What measures each row, by its name."""
    quick, longer = options.quick, options.longer
    pictures, repeats, many = (1_280, 1, 20) if quick else (60_000, 3, 200)
    checked = 5 if quick else 20
    turns = Turns(options.rounds, checked, images=512 if quick else longer * 10_000, calls=20 if quick else 500)
    trained = workloads(longer, batches=checked if quick else None)
    started = [peer.name for peer in peers if peer.name in STARTED]

    def training(workload: Workload) -> list[Report]:
        return [comparison(training_row(workload, peers, turns))]

    return {
        **{name: partial(training, workload) for name, workload in trained.items()},
        "evaluation": lambda: [comparison(evaluation_row(peers, turns))],
        "latency": lambda: [comparison(latency_row(peers, turns))],
        "waiting": lambda: waiting.report(started, pictures, repeats),
        "memory": lambda: memory.report(started, pictures, many),
    }


def parsed(arguments: list[str] | None) -> argparse.Namespace:
    """The options of the command line."""
    rivals = [name for name in PEERS if name != REFERENCE]
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", nargs="+", choices=ROWS, default=ROWS, metavar="ROW", help=f"of {', '.join(ROWS)}; default all")
    parser.add_argument(
        "--peers", nargs="+", choices=rivals, metavar="PEER", help=f"besides netdsl, of {', '.join(rivals)}; default all"
    )
    longer = 1 if jax.default_backend() == "cpu" else LONGER
    parser.add_argument("--longer", type=int, default=longer, help=f"how many times longer turns are (here {longer})")
    parser.add_argument("--rounds", type=int, help="turns of each peer that count (default 5)")
    parser.add_argument(
        "--quick", action="store_true", help="a few batches and one round, without torch.compile: shows that it runs"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="save the numbers there too")
    parser.add_argument("--markdown", action="store_true", help="print the tables as Markdown")
    options = parser.parse_args(arguments)
    options.rounds = options.rounds or (1 if options.quick else 5)
    options.peers = options.peers or [name for name in rivals if not (options.quick and name == "pytorch_compiled")]
    return options


def machine() -> str:
    """What everything ran on."""
    versions = [f"{name} {version(name)}" for name in ("jax", "torch", "keras", "flax") if find_spec(name)]
    return f"{jax.devices()[0].device_kind}, {processor()}, {os.cpu_count()} cores; {', '.join(versions)}"


def processor() -> str:
    """The processor's name, as far as the system says it."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    return next((line.partition(": ")[2] for line in lines if line.startswith("model name")), platform.processor())


def main(arguments: list[str] | None = None) -> None:
    """Measures, and prints the tables."""
    options = parsed(arguments)
    peers = [PEERS[name] for name in PEERS if name == REFERENCE or name in options.peers]
    print(machine(), end="\n\n", flush=True)
    saved: dict[str, object] = {"machine": machine()}
    rows = rows_of(options, peers)
    for name in options.rows:
        try:
            reports = rows[name]()
        except DifferentWork as error:
            sys.exit(f"{name}: {error}")
        saved[name] = [report.figures for report in reports]
        for report in reports:
            print(text(report.table, options.markdown), flush=True)
        if options.json:
            options.json.write_text(json.dumps(saved, indent=1))


if __name__ == "__main__":
    main()
