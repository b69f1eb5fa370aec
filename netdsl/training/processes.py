"""A training in several processes: what each must have alike, and what only the first decides.

Every process runs the same computations in the same order. What the host decides between them, by the clock or because somebody
stopped it, must be the same everywhere: so that is asked together. All meetings have one form, so that a process that failed can
tell the others at the next one.
"""

from __future__ import annotations

import hashlib
import json
import re
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh

from netdsl.errors import DeclarationError, DeviceError, TrainingError, excerpt
from netdsl.lowering.cores import mesh_of, mesh_of_cores
from netdsl.lowering.identity import text_anywhere
from netdsl.training.progress import Functions, Progress
from netdsl.training.settings import Settings

__all__ = ["Hosts", "shared_by", "together"]

RECORD = 16384
"""The bytes of what a process says at a meeting."""

PIECE = 2**26
"""The bytes of a checkpoint that are told at once."""

BROKEN = re.compile(r"(UNKNOWN|INTERNAL|UNAVAILABLE|ABORTED|CANCELLED|DEADLINE_EXCEEDED|FAILED_PRECONDITION): ")
"""How the errors of XLA begin that a computation of several processes breaks off with; JAX makes some of them ValueErrors."""

OWN = ("TrainingProgressReporting", "TrainingProgressFunction", "TrainingProgressCheckpointing", "ValidationSet")
"""The options that are not compared: those of the first process count, or their data are."""


class Hosts:
    """This process, where it is the only one."""

    def now(self) -> float:
        """The time by which is decided."""
        return time.perf_counter()

    def any(self, flag: Any) -> bool:
        """Whether it is so in some process."""
        return bool(flag)

    def least(self, count: int) -> int:
        """The least of the numbers that the processes say."""
        return count

    def passed(self, since: float) -> float:
        """The seconds since a time; asked alone, and so not to decide by."""
        return time.perf_counter() - since

    def settings(self, settings: Settings) -> Settings:
        """The settings as all processes have them."""
        return settings

    def shared(self, parts: Sequence[bytes] | None) -> Sequence[bytes] | None:
        """The parts of a file that the first process has, if it has one."""
        return parts

    def agree(self, training: Any, options: Mapping[str, Any]) -> None:
        """Check that all processes have the same net, data and options."""


class Many(Hosts):
    """This process among several."""

    def __init__(self) -> None:
        self.own, self.count, self.ahead = jax.process_index(), jax.process_count(), 0.0
        self.asked, self.over = 0, False

    def meet(self, **said: Any) -> list[dict[str, Any]]:
        """What each process says, in their order; an error where one has failed."""
        from jax.experimental import multihost_utils

        text = json.dumps(said, ensure_ascii=False).encode()
        rows = multihost_utils.process_allgather(np.frombuffer(text.ljust(RECORD), np.uint8))
        found = [json.loads(bytes(np.asarray(row, np.uint8))) for row in rows]
        if "failed" not in said:
            for process, record in enumerate(found):
                if "failed" in record:
                    self.over = True
                    raise TrainingError(f"Process {process} of this training stopped: {record['failed']}")
        return found

    def now(self) -> float:
        self.asked += 1
        common: float = self.meet(clock=time.perf_counter())[0]["clock"]
        self.ahead = common - time.perf_counter()
        return common

    def any(self, flag: Any) -> bool:
        return any(record.get("flag") for record in self.meet(flag=bool(flag)))

    def least(self, count: int) -> int:
        return min(int(record["count"]) for record in self.meet(count=count))

    def passed(self, since: float) -> float:
        return time.perf_counter() + self.ahead - since

    def settings(self, settings: Settings) -> Settings:
        seed = self.meet(seed=settings.seed)[0]["seed"]
        if self.own == 0:
            return replace(settings, seed=seed)
        return replace(settings, seed=seed, progress=Progress(), functions=Functions(), checkpointing=None)

    def shared(self, parts: Sequence[bytes] | None) -> Sequence[bytes] | None:
        sizes = self.meet(sizes=None if parts is None else [len(part) for part in parts])[0]["sizes"]
        return sizes and [self._told(size, part) for size, part in zip(sizes, parts or [b""] * len(sizes))]

    def _told(self, size: int, part: bytes) -> bytes:
        """So many bytes that the first process has, piece by piece."""
        from jax.experimental import multihost_utils

        pieces = (part[start : start + PIECE].ljust(min(PIECE, size - start)) for start in range(0, size, PIECE))
        return b"".join(bytes(multihost_utils.broadcast_one_to_all(np.frombuffer(piece, np.uint8))) for piece in pieces)

    def agree(self, training: Any, options: Mapping[str, Any]) -> None:
        found = self.meet(**_statement(training, options))
        different = [
            f"  {name}: " + ", ".join(f"{_value(record.get(name))} in process {i}" for i, record in enumerate(found))
            for name in dict.fromkeys(name for record in found for name in record)
            if len({json.dumps(record.get(name)) for record in found}) > 1
        ]
        if different:
            raise TrainingError(
                "\n".join(
                    [
                        f"The {self.count} processes of this training do not agree:",
                        *different,
                        "Every process runs the same script with the same net, data and options.",
                    ]
                )
            )


@contextmanager
def together() -> Iterator[Hosts]:
    """The processes of a training: until all are done, or one has failed and the others know."""
    if jax.process_count() == 1:
        yield Hosts()
        return
    hosts = Many()
    try:
        yield hosts
        hosts.meet()
    except BaseException as error:
        if BROKEN.match(str(error)) and isinstance(error, (jax.errors.JaxRuntimeError, ValueError)):
            raise _lost(hosts, error) from None
        # inside a common computation (all after the first time, which is asked before data are placed) the others cannot meet
        if not (hosts.asked > 1 and isinstance(error, DeviceError)) and not hosts.over:
            with suppress(jax.errors.JaxRuntimeError, ValueError):  # its own error says more
                hosts.meet(failed=f"{type(error).__name__}: {error}"[:1000])
        raise


def _lost(hosts: Many, error: Exception) -> TrainingError:
    reason = str(error).strip().splitlines()[0]
    return TrainingError(
        f"Process {hosts.own} of this training lost the others: one of the {hosts.count} has ended, or cannot be reached. Look at what "
        f"they printed last, and start all of them again. JAX said: {reason[:300]}"
    )


def _statement(training: Any, options: Mapping[str, Any]) -> dict[str, Any]:
    """What must be the same in all processes, in few words each; large things as a digest."""
    import netdsl

    graph = training.training.graph
    given = {name: re.sub(r" at 0x[0-9a-f]+", "", excerpt(value)) for name, value in sorted(options.items()) if name not in OWN}
    data = {
        "training data": (training.columns, training.count),
        "validation data": (training.validation and training.validation.columns, training.validation_count),
    }
    return {
        "version of netdsl": netdsl.__version__,
        "version of JAX": jax.__version__,
        "net": [graph.title(), _digest(text_anywhere(graph))],
        "arrays of the net": [f"{len(graph.array_table())} arrays", _digest(graph.array_table())],
        **{name: [f"{count:,} examples", _digest(columns)] for name, (columns, count) in data.items()},
        "devices": f"{training.device.platform.upper()}, {training.plan.part} examples each",
        **given,
    }


def _digest(tree: Any) -> str:
    made = hashlib.blake2b(digest_size=8)
    leaves, structure = jax.tree.flatten(tree)
    made.update(str(structure).encode())
    for leaf in leaves:
        array = leaf if isinstance(leaf, str) else np.asarray(leaf)
        made.update(repr(leaf).encode() if isinstance(array, str) else f"{array.shape} {array.dtype}".encode() + array.tobytes())
    return made.hexdigest()


def _value(stated: Any) -> str:
    """A value in a message; of a large thing also the digest, for it may differ in that alone."""
    if stated is None:
        return "not given"
    return f"{stated[0]} ({stated[1]})" if isinstance(stated, list) else stated


def shared_by(devices: tuple[Any, ...], cores: int, batch_size: int) -> Mesh | None:
    """The mesh of the devices, or else of so many cores, that share batches of this size; None for one."""
    if batch_size < len(devices):
        raise DeclarationError(
            f"Batches of {batch_size} cannot be shared by {len(devices)} devices: each needs an example. Use a BatchSize of at least "
            f"{len(devices)}, and as many examples, or fewer devices."
        )
    return mesh_of(devices) if devices else mesh_of_cores(cores)
