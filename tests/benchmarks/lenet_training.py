"""How fast the article's LeNet trains, next to PyTorch eager on the same machine.

Run ``python tests/benchmarks/lenet_training.py``; it takes about two minutes. Both sides train the same net with ADAM on the same
random pictures of MNIST's size, in turns (netdsl, PyTorch, netdsl, …), after one turn each that does not count. The rate of a
float32 matrix product, measured between the turns, says how free the machine was: compare ratios, and numbers only within one run.

netdsl is timed as its user calls it: the whole NetTrain, from uint8 pictures and labels to the trained net. PyTorch is timed
without its preparations: the loop alone, over float tensors made in advance. Its threads wait actively for each other, so that a
machine busy with other work slows it far more than it should: it then gets one thread, if that is faster in the uncounted turn.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

__all__ = ["main", "matmul_rate", "netdsl_trainer", "torch_trainer"]

MATRIX = 1024
"""The size of the matrices whose product measures the machine."""


def pictures(count: int) -> tuple[np.ndarray, np.ndarray]:
    """Random pictures of MNIST's size and their labels."""
    rng = np.random.default_rng(0)
    return rng.integers(0, 256, (count, 28, 28), dtype=np.uint8), rng.integers(0, 10, count)


def lenet() -> Any:
    """The net of the article."""
    from netdsl import ConvolutionLayer, FlattenLayer, NetChain, NetDecoder, NetEncoder, PoolingLayer, Ramp, SoftmaxLayer

    return NetChain(
        [
            ConvolutionLayer(20, 5),
            Ramp,
            PoolingLayer(2, 2),
            ConvolutionLayer(50, 5),
            Ramp,
            PoolingLayer(2, 2),
            FlattenLayer(),
            500,
            Ramp,
            10,
            SoftmaxLayer(),
        ],
        Input=NetEncoder("Image", (28, 28), ColorSpace="Grayscale"),
        Output=NetDecoder("Class", range(10)),
    )


def netdsl_trainer(images: np.ndarray, labels: np.ndarray, batch: int) -> Callable[[], float]:
    """A function that trains for one round with netdsl and gives the seconds it took."""
    from netdsl import NetTrain, Rule

    net = lenet()

    def train() -> float:
        start = time.perf_counter()
        NetTrain(net, Rule(images, labels), BatchSize=batch, MaxTrainingRounds=1, TrainingProgressReporting=None)
        return time.perf_counter() - start

    return train


def torch_trainer(images: np.ndarray, labels: np.ndarray, batch: int) -> Callable[[], float] | None:
    """The same with PyTorch eager; None when it is not installed."""
    try:
        import torch
    except ImportError:
        return None
    from torch import nn

    xs = torch.tensor(images, dtype=torch.float32)[:, None] / 255
    ys = torch.tensor(labels, dtype=torch.int64)
    model = nn.Sequential(
        nn.Conv2d(1, 20, 5),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(20, 50, 5),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(800, 500),
        nn.ReLU(),
        nn.Linear(500, 10),
    )
    optimizer = torch.optim.Adam(model.parameters(), lr=0.001)
    criterion = nn.CrossEntropyLoss()

    def train() -> float:
        start = time.perf_counter()
        order = torch.randperm(len(xs))
        for first in range(0, len(xs) - batch + 1, batch):
            chosen = order[first : first + batch]
            optimizer.zero_grad()
            loss = criterion(model(xs[chosen]), ys[chosen])
            loss.backward()
            optimizer.step()
        return time.perf_counter() - start

    train()
    usual = train()
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    train()
    if train() > usual:
        torch.set_num_threads(threads)
    print(f"PyTorch {torch.__version__} with {torch.get_num_threads()} of {threads} threads, which is the faster setting now")
    return train


def matmul_rate() -> float:
    """The rate of a float32 matrix product, in GFLOP/s: the best of five."""
    import jax
    import jax.numpy as jnp

    product = jax.jit(jnp.matmul)
    a = jnp.ones((MATRIX, MATRIX), jnp.float32)
    product(a, a).block_until_ready()
    seconds = []
    for _ in range(5):
        start = time.perf_counter()
        product(a, a).block_until_ready()
        seconds.append(time.perf_counter() - start)
    return 2 * MATRIX**3 / min(seconds) / 1e9


def startup(cache: str) -> dict[str, float]:
    """Seconds of the import and of a first and a second small training in a new process with this folder for compiled code."""
    environment = {**os.environ, "NETDSL_CACHE_DIR": cache}
    command = [sys.executable, str(Path(__file__).resolve()), "--startup-only"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])


def _startup_only() -> None:
    """What `startup` runs: prints its figures as one line of JSON."""
    times = [time.perf_counter()]
    import jax

    jax.devices()
    times.append(time.perf_counter())
    import netdsl  # noqa: F401

    times.append(time.perf_counter())
    train = netdsl_trainer(*pictures(128), 64)
    first, second = train(), train()
    jax_seconds, netdsl_seconds = np.diff(times)
    print(json.dumps({"jax": jax_seconds, "netdsl": netdsl_seconds, "first": first, "second": second}))


def main(arguments: list[str] | None = None) -> None:
    """Measures and prints the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--batch", type=int, default=64, help="batch size (default 64)")
    parser.add_argument("--turns", type=int, default=5, help="turns that count, for each side (default 5)")
    parser.add_argument("--examples", type=int, default=12_800, help="pictures a turn (default 12,800)")
    parser.add_argument("--no-startup", action="store_true", help="leave the times of import and compilation out")
    parser.add_argument("--startup-only", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.startup_only:
        _startup_only()
        return
    count = options.examples // options.batch * options.batch
    data = pictures(count)
    sides = {"netdsl, NetTrain": netdsl_trainer(*data, options.batch), "PyTorch eager": torch_trainer(*data, options.batch)}
    if sides["PyTorch eager"] is None:
        print("PyTorch is not installed, so it is left out; pip install 'netdsl[bench]' installs it.")
    running = {name: train for name, train in sides.items() if train is not None}
    print(f"LeNet, ADAM, batch {options.batch}, {count:,} pictures a turn, {options.turns} turns each; {os.cpu_count()} cores")
    for train in running.values():
        train()
    rates: dict[str, list[float]] = {name: [] for name in running}
    products = [matmul_rate()]
    for turn in range(options.turns):
        for name, train in running.items():
            rates[name].append(count / train())
        products.append(matmul_rate())
        print(f"  turn {turn + 1}: " + ", ".join(f"{name} {values[-1]:,.0f}" for name, values in rates.items()), flush=True)
    _report(rates, products)
    if not options.no_startup:
        _report_startup()


def _report(rates: dict[str, list[float]], products: list[float]) -> None:
    medians = {name: statistics.median(values) for name, values in rates.items()}
    print(f"\n{'examples/s':<20}{'median':>10}{'lowest':>10}{'highest':>10}")
    for name, values in rates.items():
        print(f"{name:<20}{medians[name]:>10,.0f}{min(values):>10,.0f}{max(values):>10,.0f}")
    print(f"{'float32 product':<20}{statistics.median(products):>10,.0f}{min(products):>10,.0f}{max(products):>10,.0f}  GFLOP/s")
    if len(medians) == 2:
        ours, theirs = medians.values()
        turns = [a / b for a, b in zip(*rates.values())]
        print(f"\nnetdsl / PyTorch: {ours / theirs:.2f} of medians; turn by turn {min(turns):.2f} to {max(turns):.2f}")


def _report_startup() -> None:
    with tempfile.TemporaryDirectory() as cache:
        new, again = startup(cache), startup(cache)
    print(f"\n{'seconds':<34}{'first process':>15}{'second process':>16}")
    for key, label in (
        ("jax", "import jax, with its devices"),
        ("netdsl", "import netdsl after it"),
        ("first", "first NetTrain (compiles)"),
        ("second", "second NetTrain (2 batches)"),
    ):
        print(f"{label:<34}{new[key]:>15.2f}{again[key]:>16.2f}")


if __name__ == "__main__":
    main()
