"""A training of netdsl that tells after every chunk of batches where it is, which NetTrain does not offer yet."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from netdsl.training.progress import Progress, Status
from netdsl.training.run import Training
from netdsl.training.settings import settings_of

__all__ = ["watched"]


class _Watch(Progress):
    def __init__(self, tell: Callable[[Status], None]) -> None:
        self.tell = tell

    def update(self, status: Status) -> None:
        if status.phase != "compiling":
            self.tell(status)


def watched(net: Any, data: Any, tell: Callable[[Status], None], **options: Any) -> None:
    """NetTrain(net, data, **options), with `tell` called after every chunk."""
    settings = replace(settings_of({**options, "TrainingProgressReporting": None}), progress=_Watch(tell))
    Training(net, data, settings).run()
