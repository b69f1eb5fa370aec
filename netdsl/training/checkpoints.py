"""TrainingProgressCheckpointing: when a training is saved, and where."""

from __future__ import annotations

import contextlib
import math
import os
import re
import time
from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import IO, TYPE_CHECKING, Any

from netdsl.declarations import suboptions
from netdsl.errors import DeclarationError, FormatError, TrainingError, excerpt, warn
from netdsl.formats.netdsl_file import checkpoint_parts, packed
from netdsl.formats.writing import write_atomically
from netdsl.resources.cache import try_lock
from netdsl.symbols import Automatic
from netdsl.training.intervals import ROUND, SUBOPTIONS, Due, Every, every
from netdsl.training.planning import plan_rounds
from netdsl.training.resuming import identity, restore, snapshot

if TYPE_CHECKING:
    from netdsl.training.run import Training

__all__ = ["Checkpointing", "Checkpoints", "checkpointing"]

OPTION = "TrainingProgressCheckpointing"


_SERIES = re.compile(r"(\d{4}-\d\d-\d\dT\d\d-\d\d-\d\d)_(\d{6,})_\d+_\d+_[^_]+(?:_[^_]+)?\.netdsl")


@dataclass(frozen=True)
class Checkpointing:
    """The setting, checked."""

    path: str
    series: bool
    """Whether `path` is a directory that gets a file for each checkpoint."""
    every: Every = ROUND
    """When a checkpoint is made; where nothing is said no time has to pass between two [M]."""
    resume: bool | str = False
    """Whether to go on from the last checkpoint, or the checkpoint to go on from."""
    functions: Mapping[str, Any] = field(default_factory=dict)


def checkpointing(setting: Any) -> Checkpointing | None:
    """What TrainingProgressCheckpointing means: ``["File", path]`` or ``["Directory", path]`` with suboptions, or None."""
    if setting is None or setting is Automatic:
        return None
    if not isinstance(setting, (list, tuple)) or len(setting) < 2 or setting[0] not in ("File", "Directory"):
        raise DeclarationError(
            f'TrainingProgressCheckpointing is ["File", path], ["Directory", path] or None. Got {excerpt(setting)}.'
        )
    kind, place, *rest = setting
    path = _path(kind, place)
    if kind == "File" and not path.lower().endswith(".netdsl"):
        raise DeclarationError(f"TrainingProgressCheckpointing: the file's name ends in '.netdsl'. Got {excerpt(place)}.")
    options = suboptions(rest, OPTION, [*SUBOPTIONS, "Resume", "Functions"])
    functions = options.get("Functions", {})
    if not isinstance(functions, Mapping) or not all(isinstance(name, str) and callable(f) for name, f in functions.items()):
        raise DeclarationError(f'"Functions" is a dict from names to functions: {{"name": f}}. Got {excerpt(functions)}.')
    return Checkpointing(
        path=path,
        series=kind == "Directory",
        every=every(options, ROUND, OPTION),
        resume=_resume(options.get("Resume", False)),
        functions=functions,
    )


def _resume(value: Any) -> bool | str:
    if isinstance(value, bool):
        return value
    return _path("Resume", value)


def _path(what: str, value: Any) -> str:
    if not isinstance(value, (str, os.PathLike)) or not isinstance(os.fspath(value), str) or not os.fspath(value):
        forms = "True, False or the path of a checkpoint" if what == "Resume" else f"[{what!r}, path]"
        raise DeclarationError(f"TrainingProgressCheckpointing: {what} is {forms}. Got {excerpt(value)}.")
    return os.path.expanduser(os.fspath(value))


class Checkpoints:
    """The checkpoints of one training. As a context it holds the place they go to, and saves what is there at the end."""

    def __init__(self, training: Training, setting: Checkpointing | None) -> None:
        self.training = training
        self.setting = setting
        self.files: list[str] = []
        self.trained = 0.0
        """The seconds that earlier runs had trained."""
        self.ready = False
        self.source: str | None = None
        self.saved: Any = None
        self.writing: tuple[str, Future[None]] | None = None
        self.due = None if setting is None else Due(setting.every)

    # The place

    def __enter__(self) -> None:
        if self.setting is None:
            return
        resume = self.setting.resume
        if isinstance(resume, str) and not os.path.isfile(resume):
            raise DeclarationError(f"There is no checkpoint {excerpt(resume, 300)} to go on from.")
        self.lock = self._locked()
        self.writer = ThreadPoolExecutor(1, "netdsl checkpoint")
        self.source = self._source()

    def __exit__(self, kind: Any, error: Any, _: Any) -> None:
        if self.setting is None:
            return
        try:
            # a second Ctrl-C waits for nothing
            if self.ready and (error is None or isinstance(error, Exception)) and self.training.history.losses:
                self._save(careful=error is not None)
            self._written()
        finally:
            self.writer.shutdown(wait=False)
            with contextlib.suppress(OSError):
                os.unlink(self.lock.name)
            self.lock.close()

    @property
    def _folder(self) -> str:
        assert self.setting is not None
        path = self.setting.path
        return path if self.setting.series else os.path.dirname(os.path.realpath(path))

    def _locked(self) -> IO[bytes]:
        """The lock file, open as long as the training runs, which no other may have: two would mix their checkpoints."""
        assert self.setting is not None
        path, folder = self.setting.path, self._folder
        name = ".netdsl.lock" if self.setting.series else f".{os.path.basename(path)}.lock"
        try:
            os.makedirs(folder, exist_ok=True)
            if not self.setting.series and os.path.isdir(path):
                raise IsADirectoryError(0, "it is a directory")
            while True:
                stream = open(os.path.join(folder, name), "a+b")  # noqa: SIM115
                if not try_lock(stream):
                    stream.close()
                    raise TrainingError(
                        f"Another training is writing its checkpoints to {excerpt(path, 300)}. Give this one another "
                        f"{'directory' if self.setting.series else 'file'}, or wait for the end of that one."
                    )
                with contextlib.suppress(FileNotFoundError):
                    if os.path.samestat(os.fstat(stream.fileno()), os.stat(stream.name)):
                        return stream
                stream.close()  # whoever had it has just removed it
        except OSError as problem:
            reason = problem.strerror or str(problem)
            raise DeclarationError(
                f"TrainingProgressCheckpointing: checkpoints cannot be written to {excerpt(path, 300)}: {reason}."
            ) from None

    def _source(self) -> str | None:
        """The checkpoint to go on from; names of new ones are later than all that are there, whatever the clock says."""
        assert self.setting is not None
        resume, path = self.setting.resume, self.setting.path
        if not self.setting.series:
            return resume if isinstance(resume, str) else path if resume and os.path.exists(path) else None
        there = sorted(name for name in os.listdir(path) if _SERIES.fullmatch(name))
        start, counter = (there[-1].split("_")[0], int(there[-1].split("_")[1]) + 1) if there else ("", 0)
        now = time.strftime("%Y-%m-%dT%H-%M-%S", time.gmtime())
        if resume and there:
            self.files = [os.path.join(path, name) for name in there if name.startswith(start)]
            self.series = start, counter
            return resume if isinstance(resume, str) else self.files[-1]
        self.series = (start, counter) if start >= now else (now, 0)
        return resume if isinstance(resume, str) else None

    def _next_file(self) -> str:
        """The file of the next checkpoint."""
        assert self.setting is not None
        if not self.setting.series:
            return self.setting.path
        start, counter = self.series
        self.series = start, counter + 1
        history = self.training.history
        losses = history.losses[-1]
        loss = losses.mean() if losses.size else float("nan")
        validation = f"_{history.validation_losses[-1]:.4g}" if history.validation_losses else ""
        wide = len(str(history.batches_per_round))
        place = f"{len(history.losses):04d}_{len(losses):0{wide}d}"
        return os.path.join(self.setting.path, f"{start}_{counter:06d}_{place}_{loss:.4g}{validation}.netdsl")

    # Going on

    def resume(self) -> int:
        """Put the training where its checkpoint left it, if there is one. The number of rounds that are complete."""
        training, hosts, found = self.training, self.training.hosts, None
        if self.setting is not None:
            self.identity = identity(training, self.setting.functions)
        if self.source is not None:
            try:
                parts = checkpoint_parts(self.source)
                seconds, self.trained = restore(training, self.source, parts, self.identity)
            except FormatError as problem:
                raise FormatError(f'{problem} Another one can be named: "Resume": path.') from None
            hosts.shared(parts)
        elif (found := hosts.shared(None)) is not None:
            seconds, self.trained = restore(training, "of process 0", found, None)
        self.ready = True
        if self.source is None and found is None:
            return 0
        now = hosts.now()
        training.started, training.trained_from = now - seconds, now - self.trained
        self.saved = self._position()
        if self.saved[2]:
            training._judge(training.completed, training.batches)
            plan_rounds(training, training.completed)
        goal = training.settings.seconds
        if not training.reason and goal is not None and hosts.now() - training.started >= goal:
            training.reason = "reached the TimeGoal"
        return training.completed

    # Saving

    def _position(self) -> tuple[int, int, bool]:
        """The rounds begun, the batches done of the last, and whether all that follows a round was done after it."""
        history, training = self.training.history, self.training
        rounds, done = len(history.losses), len(history.losses[-1]) if history.losses else 0
        return rounds, done, training.completed == rounds

    def batches_left(self) -> float:
        """The batches until the next checkpoint is due."""
        return math.inf if self.due is None else self.due.batches_left(self.training.status)

    def consider(self) -> None:
        """Save the training if it is time; the end of a round is saved once it is validated."""
        status = self.training.status
        if self.due is not None and status.settled == status.total_batches and self.due.now(status):
            self._save()

    def _save(self, careful: bool = False) -> None:
        """Save the training as it is now; the file is written while it goes on."""
        assert self.setting is not None
        position = self._position()
        if position == self.saved:
            return
        try:
            parts = snapshot(self.training, self.identity, self.setting.functions)
        except Exception:
            if careful:
                return  # the arrays may be gone after an error, which is the one to be told
            raise
        self._written()
        if parts is None:
            return
        path = self._next_file()
        self.saved = position
        self.writing = path, self.writer.submit(_write, path, parts)

    def _written(self) -> None:
        """Wait for the file that is being written; one that cannot be is told, and the training goes on."""
        if self.writing is None:
            return
        (path, future), self.writing = self.writing, None
        try:
            future.result()
        except OSError as problem:
            self.saved = None
            warn(f"TrainingProgressCheckpointing: {problem.strerror or problem} The training goes on without this checkpoint.")
        else:
            if path not in self.files:
                self.files.append(path)


def _write(path: str, parts: Any) -> None:
    chunks = packed(parts)
    write_atomically(path, chunks, sum(map(len, chunks)))
