"""What the option TrainingProgressReporting may be, and the reporters that it means."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from netdsl.declarations import suboptions
from netdsl.errors import DeclarationError, excerpt
from netdsl.symbols import Automatic, File
from netdsl.training.intervals import ROUND, SUBOPTIONS, Every, every, specs
from netdsl.training.progress.files import ReportFile
from netdsl.training.progress.functions import FunctionCall, function_call
from netdsl.training.progress.lines import Lines, Parts, Stream
from netdsl.training.progress.notebook import NotebookIndicator, NotebookPanel, in_notebook
from netdsl.training.progress.panel import Indicator, Panel
from netdsl.training.progress.status import Progress, Status

__all__ = ["Reporters", "progress"]

OPTION = "TrainingProgressReporting"

INTERVALS = {
    "Panel": Every(0.33),
    "Print": Every(2.0),
    "ProgressIndicator": Every(0.1),
    "File": ROUND,
    "Function": Every(1, "Rounds", 0.05),
}
"""The default intervals of Mathematica."""


class Reporters(Progress):
    """Several reporters as one; what they could not show is said once, at the end."""

    def __init__(self, parts: Sequence[Progress], calls: Sequence[FunctionCall] = ()) -> None:
        self.parts = tuple(parts)
        self.calls = tuple(calls)
        self.seconds = min((part.seconds for part in self.parts), default=Progress.seconds)

    def start(self, title: str) -> None:
        for part in self.parts:
            part.start(title)

    def update(self, status: Status) -> None:
        for part in self.parts:
            part.update(status)

    def batches_left(self, status: Status) -> float:
        return min((part.batches_left(status) for part in self.parts), default=Progress.batches_left(self, status))

    def finish(self, message: str) -> None:
        for part in self.parts:
            part.finish(message)
        for trouble in dict.fromkeys(filter(None, (part.trouble() for part in self.parts))):
            Stream(sys.stderr).write(f"NetTrain: its progress could not be shown to the end ({trouble}).\n")


def progress(setting: Any) -> Progress:
    """The reporter that TrainingProgressReporting means."""
    parts: list[Progress] = []
    calls: list[FunctionCall] = []
    for kind, given in specs(setting):
        options = suboptions(given, OPTION, SUBOPTIONS)
        if callable(kind) and kind is not Automatic:
            calls.append(function_call(OPTION, kind, every(options, INTERVALS["Function"], OPTION)))
        else:
            parts.append(_reporter(kind, options))
    return Reporters(parts, calls)


def _reporter(kind: Any, options: Mapping[str, Any]) -> Progress:
    stream = sys.stdout
    notebook, moves = in_notebook(), Stream(stream).animates()
    if kind is Automatic:
        kind = "Panel" if notebook or moves else "Print"
    name = "File" if isinstance(kind, (File, os.PathLike)) else kind
    makers: dict[Any, Callable[[Every], Progress]] = {
        "Panel": lambda rate: NotebookPanel(rate) if notebook else Panel(stream, rate) if moves else Lines(stream, rate),
        "Print": lambda rate: Lines(stream, rate),
        "ProgressIndicator": lambda rate: (
            NotebookIndicator(rate) if notebook else Indicator(stream, rate) if moves else Parts(stream, rate)
        ),
        "File": lambda rate: ReportFile(kind, rate),
    }
    if not isinstance(name, str) or name not in makers:
        raise DeclarationError(
            f'{OPTION} is Automatic, "Panel", "Print", "ProgressIndicator", a function, File("report.csv"), None, a list of them, '
            f'or one of them with {{"Interval": …}}. Got {excerpt(kind)}.'
        )
    default = INTERVALS[name]
    if name == "Panel" and not notebook and not moves:
        default = INTERVALS["Print"]
    interval = every(options, default, OPTION)
    reporter = makers[name](interval)
    if "Interval" in options:
        reporter.seconds = interval.seconds  # asked for by name: the training stops as often as that
    return reporter
