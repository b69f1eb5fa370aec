"""A cache folder of its own for every test, a small set in the true formats, and a web server that can misbehave."""

from __future__ import annotations

import functools
import gzip
import hashlib
import http.server
import threading
import time
from dataclasses import replace

import numpy as np
import pytest

from netdsl.resources import idx
from netdsl.resources.cache import content_sum
from netdsl.resources.catalogue import DataSet, Labelled
from netdsl.resources.folders import OriginalFile


@pytest.fixture(autouse=True)
def data_dir(request, tmp_path, monkeypatch):
    """The cache folder; tests marked `network` keep the user's own."""
    folder = tmp_path / "data"
    if "network" not in request.keywords:
        monkeypatch.setenv("NETDSL_DATA_DIR", str(folder))
        monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path / "tfds"))
    return folder


def idx_bytes(array: np.ndarray) -> bytes:
    header = b"\x00\x00\x08" + bytes([array.ndim]) + b"".join(size.to_bytes(4, "big") for size in array.shape)
    return header + array.tobytes()


@pytest.fixture
def small_arrays():
    random = np.random.default_rng(7)
    return {
        "train_images": random.integers(0, 256, (30, 5, 4), np.uint8),
        "train_labels": np.arange(30, dtype=np.uint8) % 10,
        "test_images": random.integers(0, 256, (10, 5, 4), np.uint8),
        "test_labels": np.arange(10, dtype=np.uint8)[::-1].copy(),
    }


@pytest.fixture
def small_files(small_arrays):
    """The four files of the small set by name, as a website holds them."""
    return {f"{idx.FILES[name]}.gz": gzip.compress(idx_bytes(array), mtime=0) for name, array in small_arrays.items()}


@pytest.fixture
def small_set(small_arrays, small_files):
    """A set like MNIST with forty images and no place to have it from."""
    files = [OriginalFile(name, len(content), hashlib.sha256(content).hexdigest()) for name, content in small_files.items()]
    return DataSet(
        name="Small",
        description="Forty images.",
        shapes={name: array.shape for name, array in small_arrays.items()},
        sums={name: content_sum(array) for name, array in small_arrays.items()},
        elements={"TrainingData": Labelled("train_images", "train_labels", tuple(range(10)))},
        files=files,
        read=idx.read_folder,
        sources=[],
        homepage="http://small.example/",
        citation="Nobody (2020).",
    )


@pytest.fixture
def with_sources(small_set):
    return lambda *sources: replace(small_set, sources=sources)


class Handler(http.server.BaseHTTPRequestHandler):
    """Answers with the server's files, or as the server's `behaviour` says; every path asked for is kept."""

    protocol_version = "HTTP/1.0"

    def do_GET(self):
        server = self.server
        server.asked.append(self.path)
        content = server.files.get(self.path.lstrip("/"))
        try:
            if server.behaviour is not None:
                server.behaviour(self, content)
            elif content is None:
                self.send_error(404)
            else:
                self.answer(content)
        except (BrokenPipeError, ConnectionResetError):
            pass

    def answer(self, content, *, length=None, kind="application/octet-stream"):
        self.send_response(200)
        self.send_header("Content-Type", kind)
        if length != "none":
            self.send_header("Content-Length", str(len(content) if length is None else length))
        self.end_headers()
        self.wfile.write(content)

    def drip(self, content):
        for byte in content:
            if self.server.stopped.is_set():
                return
            self.wfile.write(bytes([byte]))
            self.wfile.flush()
            time.sleep(0.02)

    def log_message(self, *arguments):
        pass


@pytest.fixture
def server():
    """A web server on the loopback interface: `files`, `behaviour`, `asked`, `address`."""
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as web:
        web.files, web.behaviour, web.asked = {}, None, []
        web.stopped = threading.Event()
        web.address = f"http://127.0.0.1:{web.server_port}/"
        thread = threading.Thread(target=functools.partial(web.serve_forever, 0.02), daemon=True)
        thread.start()
        yield web
        web.stopped.set()
        web.shutdown()
