"""How a training scales: an estimate from what a step takes and what devices tell each other in it.

    python tests/benchmarks/scaling.py            # five minutes on two cores; --quick: one, to see that it runs

Measured here: the step of each net on one core, with the batch of a device, alone and beside another process that does the same on
the other core; what is told, by going through the program of the training; what an all-reduce takes between two processes on
loopback; and two processes that train together, each on a core of its own, against the estimate for them.

The links of the other columns, and the steps on a GPU, are written below.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple
from unittest.mock import patch

sys.path[:0] = [str(Path(__file__).parents[2]), str(Path(__file__).parent)]


class Link(NamedTuple):
    """Between two devices: seconds until the first byte is there, and bytes a second from then on."""

    name: str
    latency: float
    rate: float


LINKS = (
    Link("10 Gbit/s Ethernet", 50e-6, 1.25e9),
    Link("100 Gbit/s network", 15e-6, 12.5e9),
    Link("PCIe 4, 16 lanes", 10e-6, 25e9),
    Link("NVLink", 5e-6, 300e9),
)
"""Round numbers of their kinds: what they carry at best, and what an all-reduce of a few bytes takes for each of its turns."""

H200 = {"lenet-256": 256 / 600_505, "mlp": 128 / 1_742_149, "lstm": 64 / 47_927, "resnet": 2.43e-3}
"""Seconds of a step on one H200, without NetTrain's beginning, from docs/performance.md."""

DEVICES = (2, 4, 8, 16, 64)
NAMES = ("lenet-256", "mlp", "resnet", "lstm")


def reduced(count: int, size: float, times: float, link: Link) -> float:
    """The seconds that `count` devices take for `times` all-reduces of `size` bytes together."""
    return times * 2 * math.ceil(math.log2(count)) * link.latency + 2 * (count - 1) / count * size / link.rate


# What is told


class _Found(Exception):
    """The program of a training, instead of its first call."""


def told(name: str) -> tuple[int, int]:
    """How many times the devices of a training wait for each other in a step, and the bytes that each then gives."""
    import jax
    from peers.nettrain import NETS, options_of
    from workloads import examples, workloads

    from netdsl import NetTrain, Rule
    from netdsl.training.plan import Plan, chunk_function

    def raising(plan: Plan) -> Any:
        def call(*arguments: Any) -> None:
            raise _Found(jax.make_jaxpr(chunk_function(plan))(*arguments))

        return call

    workload = workloads()[name]
    data = examples(workload.architecture, workload.batch)
    try:
        with patch("netdsl.training.run.chunk_function", raising):
            net = NETS[workload.architecture.name](workload.architecture.arrays())
            NetTrain(net, Rule(data.inputs, data.labels), TargetDevice=("CPU", 2), **options_of(workload))
    except _Found as found:
        sizes = list(_sums(found.args[0].jaxpr))
    return len(sizes), sum(sizes)


def _sums(jaxpr: Any) -> Iterator[int]:
    """The bytes of each sum over devices in a program; those of a loop as often as it turns, if it says how often."""
    for equation in jaxpr.eqns:
        if equation.primitive.name.startswith("psum") and "devices" in str(equation.params.get("axes")):
            yield sum(value.aval.size * value.aval.dtype.itemsize for value in equation.invars)
        for value in equation.params.values():
            for inner in value if isinstance(value, (tuple, list)) else (value,):
                inner = getattr(inner, "jaxpr", inner)
                if hasattr(inner, "eqns"):
                    yield from list(_sums(inner)) * equation.params.get("length", 1)


# What is measured, in processes of their own, each on one core


def _started(own: int, count: int, port: int) -> None:
    os.sched_setaffinity(0, {sorted(os.sched_getaffinity(0))[own]})
    import jax

    jax.config.update("jax_platforms", "cpu")
    if count > 1:
        jax.config.update("jax_cpu_collectives_implementation", "gloo")
        jax.distributed.initialize(f"127.0.0.1:{port}", count, own)


def step(name: str, batch: int, batches: int) -> float:
    """The seconds of a step, from trainings of one and of three rounds."""
    from peers.nettrain import NETS
    from workloads import examples, workloads

    from netdsl import NetTrain, Rule

    architecture = workloads()[name].architecture
    data, net = examples(architecture, batch * batches), NETS[architecture.name](architecture.arrays())

    def seconds(rounds: int) -> float:
        began = time.perf_counter()
        NetTrain(
            net,
            Rule(data.inputs, data.labels),
            BatchSize=batch,
            MaxTrainingRounds=rounds,
            TargetDevice=("CPU", 1),
            TrainingProgressReporting=None,
        )
        return time.perf_counter() - began

    seconds(1)
    return min((seconds(3) - seconds(1)) / (2 * batches) for _ in range(2))


def loopback() -> Link:
    """What an all-reduce between two processes takes."""
    import jax
    import numpy as np
    from jax.sharding import Mesh, NamedSharding, PartitionSpec

    mesh = Mesh(np.array(jax.devices()), ("devices",))
    whole = PartitionSpec()

    def again(value: Any, count: Any) -> Any:
        return jax.lax.fori_loop(0, count, lambda _, x: jax.lax.pmean(x, "devices"), value)

    function = jax.jit(jax.shard_map(again, mesh=mesh, in_specs=(whole, whole), out_specs=whole, check_vma=False))

    def seconds(size: int, times: int) -> float:
        here = jax.device_put(np.zeros(size // 4, np.float32), mesh.local_devices[0])
        value = jax.make_array_from_single_device_arrays(here.shape, NamedSharding(mesh, whole), [here])
        taken = []
        for count in (1, times, times, times):
            began = time.perf_counter()
            function(value, np.int32(count)).block_until_ready()
            taken.append((time.perf_counter() - began) / count)
        return min(taken[1:])

    few, many = seconds(64, 300), seconds(2**24, 5)
    return Link("two processes, loopback", few / 2, 2**24 / max(many - few, 1e-9))


def child(what: str, *arguments: object, count: int = 1, together: bool = True) -> Any:
    """What process 0 of so many found, which know of each other or not."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    processes = [
        subprocess.Popen(
            [sys.executable, __file__, "--child", str(own), str(count if together else 1), str(port), what, *map(str, arguments)],
            stdout=subprocess.PIPE if own == 0 else subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        for own in range(count)
    ]
    text = processes[0].communicate()[0]
    if sum(process.wait() for process in processes):
        raise SystemExit(f"{what} failed")
    return json.loads(text.splitlines()[-1])


# The tables


def table(title: str, header: list[str], rows: list[list[str]]) -> None:
    """Print a table in Markdown."""
    print(f"\n{title}\n\n| {' | '.join(header)} |\n|---|{'--:|' * (len(header) - 1)}")
    for row in rows:
        print(f"| {' | '.join(row)} |")


def main(quick: bool) -> None:
    """Measure, estimate and print."""
    from workloads import workloads

    names = NAMES[:2] if quick else NAMES
    sums = {name: child("told", name) for name in names}
    link = Link(*child("loopback", count=2))
    batch = {name: workloads()[name].batch for name in names}
    turns = {name: 5 if quick else min(20, workloads()[name].batches) for name in names}
    one = {name: child("step", name, batch[name], turns[name]) for name in names}
    beside = {name: child("step", name, batch[name], turns[name], count=2, together=False) for name in names}
    two = {name: child("step", name, 2 * batch[name], turns[name], count=2) for name in names}
    titles = {name: f"{re.split(',| with| of| 7', workloads()[name].title)[0]}, {batch[name]} each" for name in names}

    rows = []
    for name in names:
        estimate = beside[name] + reduced(2, sums[name][1], sums[name][0], link)
        times = (f"{seconds * 1e3:.1f}" for seconds in (one[name], beside[name], estimate, two[name]))
        rows.append([titles[name], f"{sums[name][0]}", f"{sums[name][1] / 1e6:.2f}", *times])
    header = ["net, batch of a device", "all-reduces", "MB", "one core, ms", "beside another", "two, estimated", "two, measured"]
    table(f"Loopback: {link.latency * 1e6:.0f} µs for each turn, {link.rate / 1e9:.2f} GB/s.", header, rows)

    for place, steps, links in (("core of this machine", one, (link, *LINKS[:2])), ("H200", H200, LINKS)):
        rows = [
            [
                titles[name],
                link.name,
                *(f"{steps[name] / (steps[name] + reduced(n, *reversed(sums[name]), link)):.0%}" for n in DEVICES),
            ]
            for name in names
            if name in steps
            for link in links
        ]
        table(
            f"Estimated share of n times the speed of one {place}:", ["net, batch of a device", "link", *map(str, DEVICES)], rows
        )


if __name__ == "__main__":
    if sys.argv[1:2] == ["--child"]:
        own, count, port, what, *words = sys.argv[2:]
        if what != "told":
            _started(int(own), int(count), int(port))
        else:
            os.environ["XLA_FLAGS"] = "--xla_force_host_platform_device_count=2"
            os.environ["JAX_PLATFORMS"] = "cpu"
        arguments: list[Any] = [int(word) if word.isdigit() else word for word in words]
        print(json.dumps({"told": told, "step": step, "loopback": loopback}[what](*arguments)))
    else:
        parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
        parser.add_argument("--quick", action="store_true")
        main(parser.parse_args().quick)
