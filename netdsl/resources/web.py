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

    A server that is busy is asked a second time. Raises `ResourceError` or `FormatError` with a short reason.
    """
    before = attempt.done
    for last in (False, True):
        try:
            return _download(address, path, attempt, size, largest, total)
        except urllib.error.HTTPError as problem:
            problem.close()
            if last or problem.code not in RETRIED:
                reason = "redirects in a circle" if "infinite loop" in str(problem.reason) else f"{problem.code} {problem.reason}"
                raise ResourceError(f"{path.name}: the server answers {reason}") from None
        except (urllib.error.URLError, http.client.HTTPException, OSError) as problem:
            if isinstance(problem, (ResourceError, FileNotFoundError)) or getattr(problem, "errno", None) == 28:
                raise
            cause = getattr(problem, "reason", problem)
            slow = isinstance(cause, TimeoutError)
            if last or slow or isinstance(cause, (socket.gaierror, ConnectionRefusedError)):
                raise ResourceError(f"{path.name}: {'no answer in time' if slow else cause}") from None
        finally:
            attempt.settle(grace=1.0)
        attempt.done = before
        time.sleep(attempt.patience.left(1.0))


def _download(address: str, path: Path, attempt: Attempt, size: int | None, largest: int, total: int | None) -> None:
    parts = urllib.parse.urlsplit(address)
    if not urllib.request.getproxies().get(parts.scheme):
        _resolve(parts.hostname or "", attempt)
    request = urllib.request.Request(address, headers={"User-Agent": "netdsl", "Accept-Encoding": "identity"})
    with urllib.request.urlopen(request, timeout=attempt.patience.left(CONNECT)) as answer, open(path, "wb") as file:
        declared = answer.headers.get("Content-Length", "")
        length = int(declared) if declared.isdigit() else None
        kind = answer.headers.get_content_type()
        if kind in ("text/html", "application/xhtml+xml"):
            raise FormatError(f"{path.name}: a web page came instead of the file; is there a login page in between?")
        if size is not None and length is not None and length != size:
            raise FormatError(f"{path.name}: the server announces {length:,} bytes, the published file has {size:,}")
        _copy(answer, file, path.name, attempt, largest if size is None else size, total)
    came = path.stat().st_size
    wanted = length if length is not None else size
    if wanted is not None and came < wanted:
        raise ResourceError(f"{path.name}: the connection ended after {came:,} of {wanted:,} bytes")


def _copy(answer: http.client.HTTPResponse, file: object, name: str, attempt: Attempt, largest: int, total: int | None) -> None:
    came, start = 0, attempt.done
    window, in_window = time.monotonic(), 0
    while block := answer.read1(BLOCK):
        came += len(block)
        in_window += len(block)
        if came > largest:
            raise FormatError(f"{name}: more than the {largest:,} bytes that it may have came")
        file.write(block)  # type: ignore[attr-defined]
        attempt.progress(start + came, total)
        passed = time.monotonic() - window
        if passed > min(WINDOW, attempt.patience.left()):
            if in_window < SLOWEST * passed:
                attempt.patience.spend(passed)
                raise ResourceError(f"{name}: too slow, {in_window:,} bytes in {passed:.0f} s")
            window, in_window = time.monotonic(), 0


def _resolve(host: str, attempt: Attempt) -> None:
    """Looks the host up in a thread of its own, because the system's own limit for that may be minutes."""
    found: list[object] = []

    def look() -> None:
        try:
            found.append(socket.getaddrinfo(host, 443))
        except OSError as problem:
            found.append(problem)

    thread = threading.Thread(target=look, daemon=True)
    thread.start()
    thread.join(attempt.patience.left(CONNECT))
    if not found:
        raise ResourceError(f"the name {host} cannot be looked up in time")
    if isinstance(found[0], OSError):
        raise ResourceError(f"the name {host} cannot be looked up: {found[0].strerror or found[0]}")
