"""Files of the web, with short waits: a site that is silent, answers with a page, stalls or lies about lengths is left soon."""

from __future__ import annotations

import http.client
import socket
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from netdsl.errors import FormatError, ResourceError
from netdsl.resources.folders import OriginalFile, check_sum
from netdsl.resources.sources import Attempt, Read

__all__ = ["Website", "download"]

CONNECT = 8.0  # seconds until a site must have answered
SLOWEST, WINDOW = 4096, 10.0  # fewer bytes a second than this over so many seconds count as nothing
PAUSE = 1.0  # seconds before a second try
RETRIED = (429, 500, 502, 503, 504)
BLOCK = 1 << 16


@dataclass(frozen=True)
class Website:
    """The original files of a set below one address of the web."""

    address: str
    files: Sequence[OriginalFile]
    read: Read
    largest: int

    @property
    def title(self) -> str:
        """The address."""
        return self.address

    def arrays(self, attempt: Attempt) -> dict[str, np.ndarray]:
        """The arrays of the set by name."""
        sizes = [file.bytes for file in self.files]
        total = sum(size for size in sizes if size) if all(sizes) else None
        for file in self.files:
            path = attempt.folder / file.name
            download(urllib.parse.urljoin(self.address, file.name), path, attempt, file.bytes, self.largest, total)
            if file.sum:
                check_sum(path, file.sum)
        return self.read(attempt.folder)


def download(
    address: str, path: Path, attempt: Attempt, size: int | None = None, largest: int = 1 << 30, total: int | None = None
) -> None:
    """Downloads one file; `size` is its length where it is known, `largest` what it may never exceed.

    Where the server is busy or the connection ends early it is asked a second time. Raises `ResourceError` or `FormatError` with
    a short reason.
    """
    before = attempt.done
    for last in (False, True):
        try:
            return _download(address, path, attempt, size, largest, total)
        except urllib.error.HTTPError as problem:
            problem.close()
            if last or problem.code not in RETRIED:
                circle = "infinite loop" in str(problem.reason)
                answer = "redirects in a circle" if circle else f"{problem.code} {problem.reason}"
                raise ResourceError(f"{path.name}: the server answers {answer}") from None
        except (urllib.error.URLError, http.client.HTTPException, ConnectionError, TimeoutError) as problem:
            cause = getattr(problem, "reason", problem)
            slow = isinstance(cause, TimeoutError)
            if isinstance(cause, socket.gaierror):
                host = urllib.parse.urlsplit(address).hostname
                raise ResourceError(f"{path.name}: the name {host} cannot be looked up; is there a network?") from None
            if last or slow or isinstance(cause, ConnectionRefusedError):
                raise ResourceError(f"{path.name}: {'no answer in time' if slow else cause}") from None
        finally:
            attempt.settle(grace=1.0)
        attempt.done = before
        time.sleep(attempt.patience.left(PAUSE))


def _download(address: str, path: Path, attempt: Attempt, size: int | None, largest: int, total: int | None) -> None:
    """Transfers the file in a thread and leaves that alone when too little comes, be it in looking up, connecting or reading."""
    transfer = Transfer(address, path, size, largest)
    thread = threading.Thread(target=transfer.run, args=(attempt.patience.left(CONNECT),), daemon=True)
    start, window, before = attempt.done, time.monotonic(), 0
    thread.start()
    try:
        while thread.is_alive():
            thread.join(0.05)
            attempt.progress(start + transfer.came, total)
            passed, came = time.monotonic() - window, transfer.came - before
            if passed > min(WINDOW, attempt.patience.left()) and thread.is_alive():
                if came < SLOWEST * passed:
                    attempt.moved = window
                    raise ResourceError(f"{path.name}: {came:,} bytes in {passed:.0f} s are too few")
                window, before = time.monotonic(), transfer.came
    finally:
        transfer.cancelled = True
    attempt.progress(start + transfer.came, total)
    if transfer.problem:
        raise transfer.problem


class Transfer:
    """One file coming from one address; `came` and `problem` tell another thread how it stands."""

    def __init__(self, address: str, path: Path, size: int | None, largest: int) -> None:
        self.address, self.path, self.size = address, path, size
        self.largest = largest if size is None else size
        self.came = 0
        self.cancelled = False
        self.problem: Exception | None = None

    def run(self, timeout: float) -> None:
        """Transfers the file, and keeps what went wrong."""
        request = urllib.request.Request(self.address, headers={"User-Agent": "netdsl", "Accept-Encoding": "identity"})
        try:
            with urllib.request.urlopen(request, timeout=timeout) as answer:
                length = self._announced(answer)
                with open(self.path, "wb") as file:
                    while not self.cancelled and (block := answer.read1(BLOCK)):
                        self.came += len(block)
                        if self.came > self.largest:
                            raise FormatError(f"{self.path.name}: more than the {self.largest:,} bytes that it may have came")
                        file.write(block)
            if length is not None and self.came < length:
                raise ConnectionError(f"the connection ended after {self.came:,} of {length:,} bytes")
        except Exception as problem:  # it is raised again where the transfer was started
            self.problem = problem

    def _announced(self, answer: http.client.HTTPResponse) -> int | None:
        """The bytes that should come; raises `FormatError` when the answer cannot be the file."""
        if answer.headers.get_content_type() in ("text/html", "application/xhtml+xml"):
            raise FormatError(f"{self.path.name}: a web page came instead of the file; is there a login page in between?")
        declared = answer.headers.get("Content-Length", "")
        length = int(declared) if declared.isdigit() else None
        if None not in (self.size, length) and length != self.size:
            raise FormatError(f"{self.path.name}: the server announces {length:,} bytes, the published file has {self.size:,}")
        return self.size if length is None else length
