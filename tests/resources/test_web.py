"""The web as a source: what works, and every way in which a site may fail, soon and with a reason."""

from __future__ import annotations

import http.server
import socket
import time

import numpy as np
import pytest

from netdsl.errors import FormatError, ResourceError
from netdsl.resources import idx, web
from netdsl.resources.acquire import arrays_of
from netdsl.resources.folders import OriginalFile
from netdsl.resources.sources import Attempt, Patience
from netdsl.resources.web import Website, download


@pytest.fixture(autouse=True)
def short_pause(monkeypatch):
    monkeypatch.setattr(web, "PAUSE", 0.05)


@pytest.fixture
def site(server, small_files, small_set):
    server.files = dict(small_files)
    return Website(server.address, small_set.files, idx.read_folder, 1_000_000)


def attempt(tmp_path, seconds=50.0):
    folder = tmp_path / "attempt"
    folder.mkdir(exist_ok=True)
    return Attempt(folder, Patience(seconds))


def test_arrays_from_a_website(site, small_arrays, tmp_path):
    seen = []
    work = attempt(tmp_path)
    work.report = lambda done, total: seen.append((done, total))
    arrays = site.arrays(work)
    assert all(np.array_equal(arrays[name], small_arrays[name]) for name in small_arrays)
    total = sum(file.bytes for file in site.files)
    assert seen[-1] == (total, total)


BEHAVIOURS = {
    "404": (lambda h, c: h.send_error(404), ResourceError, "the server answers 404 Not Found"),
    "403": (lambda h, c: h.send_error(403), ResourceError, "the server answers 403 Forbidden"),
    "page": (lambda h, c: h.answer(b"<html>Log in</html>", kind="text/html"), FormatError, "a web page came instead"),
    "wrong sum": (lambda h, c: h.answer(bytes(len(c))), FormatError, "is not the published file: its sha256 is"),
    "truncated": (lambda h, c: h.answer(c[:100], length=len(c)), ResourceError, "the connection ended after 100 of"),
    "truncated without a length": (lambda h, c: h.answer(c[:100], length="none"), ResourceError, "ended after 100 of"),
    "too long": (lambda h, c: h.answer(c + b"more", length="none"), FormatError, "that it may have came"),
    "another length": (lambda h, c: h.answer(c, length=len(c) + 1), FormatError, "the server announces"),
    "garbage": (lambda h, c: h.wfile.write(b"\x00\x01\x02\n"), ResourceError, "train-images"),
    "nothing": (lambda h, c: h.connection.shutdown(socket.SHUT_RDWR), ResourceError, "train-images"),
}


@pytest.mark.parametrize("name", BEHAVIOURS)
def test_failures_have_reasons(site, server, tmp_path, name):
    server.behaviour, error, message = BEHAVIOURS[name]
    start = time.monotonic()
    with pytest.raises(error, match=message):
        site.arrays(attempt(tmp_path))
    assert time.monotonic() - start < 4


def test_a_circle_of_redirects(site, server, tmp_path):
    def redirect(handler, content):
        handler.send_response(302)
        handler.send_header("Location", handler.path)
        handler.end_headers()

    server.behaviour = redirect
    with pytest.raises(ResourceError, match="redirects in a circle"):
        site.arrays(attempt(tmp_path))


def test_a_busy_server_is_asked_twice(site, server, tmp_path):
    server.behaviour = lambda handler, content: handler.send_error(503)
    with pytest.raises(ResourceError, match="503 Service Unavailable"):
        site.arrays(attempt(tmp_path))
    assert len(server.asked) == 2


def test_a_server_that_recovers(site, server, small_arrays, tmp_path):
    server.behaviour = lambda h, c: h.send_error(503) if len(server.asked) == 1 else h.answer(c)
    assert np.array_equal(site.arrays(attempt(tmp_path))["train_images"], small_arrays["train_images"])


@pytest.mark.parametrize("part", ["headers", "body"])
def test_slow_drip_is_left_soon(site, server, tmp_path, monkeypatch, part):
    monkeypatch.setattr(web, "WINDOW", 1.2)
    if part == "body":
        server.behaviour = lambda h, c: (h.send_response(200), h.end_headers(), h.drip(c))
    else:
        server.behaviour = lambda h, c: h.drip(b"HTTP/1.0 200 OK\r\nX-A: " + b"x" * 10_000)
    work = attempt(tmp_path)
    start = time.monotonic()
    with pytest.raises(ResourceError, match=r"bytes in \d s are too few"):
        site.arrays(work)
    assert time.monotonic() - start < 3
    assert work.patience.left() < 49


def test_silence_uses_up_the_common_patience(site, server, tmp_path):
    server.behaviour = lambda handler, content: server.stopped.wait(5)
    work = attempt(tmp_path, 1.0)
    start = time.monotonic()
    with pytest.raises(ResourceError):
        site.arrays(work)
    with pytest.raises(ResourceError, match="used up the time for waiting"):
        site.arrays(work)
    assert time.monotonic() - start < 3


def test_refused_connections_and_unknown_names(site, tmp_path):
    with http.server.HTTPServer(("127.0.0.1", 0), http.server.BaseHTTPRequestHandler) as closed:
        port = closed.server_port
    with pytest.raises(ResourceError, match=r"file: .*refused"):
        download(f"http://127.0.0.1:{port}/", tmp_path / "file", attempt(tmp_path))
    with pytest.raises(ResourceError, match=r"^file: the name nowhere.invalid cannot be looked up; is there a network\?$"):
        download("http://nowhere.invalid/", tmp_path / "file", attempt(tmp_path))


def test_largest_counts_where_the_size_is_unknown(server, tmp_path):
    server.files = {"file": bytes(3000)}
    download(server.address + "file", tmp_path / "file", attempt(tmp_path), largest=3000)
    assert (tmp_path / "file").stat().st_size == 3000
    with pytest.raises(FormatError, match="more than the 2,999 bytes"):
        download(server.address + "file", tmp_path / "file", attempt(tmp_path), largest=2999)


def test_a_mirror_serves_where_the_original_fails(server, small_files, small_set, with_sources, capsys):
    server.files = {f"mirror/{name}": content for name, content in small_files.items()}
    original = Website(server.address, small_set.files, idx.read_folder, 1_000_000)
    unchecked = [OriginalFile(file.name) for file in small_set.files]
    mirror = Website(server.address + "mirror/", unchecked, idx.read_folder, 1_000_000)
    arrays = arrays_of(with_sources(original, mirror), ["train_labels"])
    assert arrays["train_labels"].tolist() == [*range(10)] * 3
    said = capsys.readouterr().err.splitlines()
    assert len(said) == 2
    assert said[0] == f"netdsl: fetching Small from {server.address}mirror/"
    assert said[1].startswith("netdsl: Small is in ")
