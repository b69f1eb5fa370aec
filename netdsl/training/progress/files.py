"""A report in a file: one row each time, in whole rows at any moment."""

from __future__ import annotations

import json
import math
import os
from typing import Any, BinaryIO

from netdsl.errors import DeclarationError, UnsupportedError, excerpt
from netdsl.training.intervals import Due, Every
from netdsl.training.progress.status import Progress, Status

__all__ = ["ReportFile"]

SEPARATORS = {".csv": ",", ".tsv": "\t"}


def _row(status: Status) -> dict[str, Any]:
    """What one row says, by Wolfram's names; None for what is not known."""
    return {
        "TimeElapsed": round(status.elapsed, 3),
        "Round": status.round,
        "Batch": status.batch,
        "AbsoluteBatch": status.total_batches,
        "ExamplesPerSecond": round(status.examples_per_second, 1),
        **status.values(),
    }


class ReportFile(Progress):
    """Rows of a .csv, .tsv or .json file, which is begun anew. JSON is a list of objects, closed after each row."""

    def __init__(self, path: Any, interval: Every) -> None:
        self.path = os.path.expanduser(os.fspath(path))
        self.kind = os.path.splitext(self.path)[1].lower()
        if self.kind == ".wl":
            raise UnsupportedError(f"TrainingProgressReporting writes .csv, .tsv and .json files, but not {excerpt(self.path)}.")
        if self.kind not in (".json", *SEPARATORS):
            raise DeclarationError(
                f"TrainingProgressReporting writes a File with the ending .csv, .tsv or .json. Got {excerpt(self.path)}."
            )
        self.due = Due(interval)
        self.file: BinaryIO | None = None
        self.begun = False
        self.error: OSError | None = None

    def start(self, title: str) -> None:
        try:
            self.file = open(self.path, "wb", buffering=0)  # noqa: SIM115 (it stays open as long as the training)
        except OSError as error:
            raise DeclarationError(
                f"TrainingProgressReporting cannot write the file {self.path!r}: {error.strerror or error}."
            ) from None
        if self.kind == ".json":
            self._write(b"[\n]\n")

    def update(self, status: Status) -> None:
        if self.file is not None and status.phase != "compiling" and self.due.now(status):
            row = _row(status)
            self._json(row) if self.kind == ".json" else self._fields(row)

    def _json(self, row: dict[str, Any]) -> None:
        finite = {key: value if value is None or math.isfinite(value) else str(value) for key, value in row.items()}
        line = json.dumps(finite).encode()
        # over the closing bracket, in one write: who reads meanwhile finds a whole list
        self._write(b"%s%s\n]\n" % (b",\n" if self.begun else b"", line), back=3 if self.begun else 2)

    def _fields(self, row: dict[str, Any]) -> None:
        separator = SEPARATORS[self.kind]
        lines = [] if self.begun else [separator.join(row)]
        lines.append(separator.join("" if value is None else format(value, ".10g") for value in row.values()))
        self._write("".join(f"{line}\n" for line in lines).encode())

    def _write(self, data: bytes, back: int = 0) -> None:
        if self.file is None:
            return
        end = self.file.seek(0, os.SEEK_END)
        try:
            if back:
                self.file.seek(-back, os.SEEK_END)
            written = self.file.write(data)
            if written != len(data):  # a full disk takes a part first
                raise OSError(28, "No space left on device")
            self.begun = self.begun or data != b"[\n]\n"
        except OSError as error:
            self.error = error.with_traceback(None)
            self._undo(end, back)

    def _undo(self, end: int, back: int) -> None:
        """Leave whole rows behind, and write no more."""
        assert self.file is not None
        try:
            self.file.truncate(end)
            if back:
                self.file.seek(-back, os.SEEK_END)
                self.file.write(b"\n]\n" if back == 3 else b"]\n")
        except OSError:
            pass
        self.file.close()
        self.file = None

    def batches_left(self, status: Status) -> float:
        return self.due.batches_left(status)

    def finish(self, message: str) -> None:
        if self.file is not None:
            self.file.close()
            self.file = None

    def trouble(self) -> str | None:
        return None if self.error is None else f"{self.path!r}: {self.error.strerror or self.error}"
