"""The panel in a notebook: by the messages that it sends, and in JupyterLab in a headless Chromium where these are."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import types
from pathlib import Path

import numpy as np
import pytest

from netdsl import All, Automatic, NetChain, NetTrain, Quantity, SoftmaxLayer
from netdsl.training.progress import notebook, progress

INPUTS = np.random.default_rng(8).normal(size=(10, 3))
CLASSES = np.arange(10) % 2 + 1
ROOT = Path(__file__).resolve().parents[2]


class Handle:
    """A display handle of IPython that writes down what is shown."""

    def __init__(self, shown):
        self.shown = shown

    def update(self, bundle, raw):
        assert raw
        self.shown.append(bundle)


@pytest.fixture
def kernel(monkeypatch):
    """A notebook without Jupyter; the outputs that are made, each with all it showed."""
    outputs = []

    def display(bundle, raw, display_id):
        assert raw
        assert display_id is True
        outputs.append([bundle])
        return Handle(outputs[-1])

    shell = types.SimpleNamespace(kernel=object())
    monkeypatch.setitem(sys.modules, "IPython", types.SimpleNamespace(get_ipython=lambda: shell))
    monkeypatch.setitem(sys.modules, "IPython.display", types.SimpleNamespace(display=display))
    monkeypatch.setattr(notebook, "_kernel_id", lambda: "4f-2")
    return outputs


def train(reporting, rounds=3, **options):
    options = {"MaxTrainingRounds": rounds, "BatchSize": 4, "ValidationSet": (INPUTS, CLASSES), **options}
    return NetTrain(NetChain([2, SoftmaxLayer()]), (INPUTS, CLASSES), All, TrainingProgressReporting=reporting, **options)


def test_one_output_that_is_replaced(kernel, monkeypatch, capsys):
    monkeypatch.setattr(notebook, "OFTEN", 0.0)
    train([Automatic, {"Interval": Quantity(1, "Batches")}])
    assert len(kernel) == 1, "one display handle"
    shown = kernel[0]
    assert len(shown) >= 3 * 3 + 2
    running, last = shown[-2]["text/html"], shown[-1]["text/html"]
    for words in (
        "NetTrain: 10 examples",
        "round</td>",
        "3 of 3, batch 3 of 3",
        "examples/s",
        "validation",
        "<svg",
        "<circle",
        "Stop",
    ):
        assert words in running
    assert "/api/kernels/4f-2/interrupt".lstrip("/") in running
    assert "Stop" not in last
    assert "Training finished after 3 rounds" in last
    assert "<svg" in last
    assert shown[-1]["text/plain"].startswith("Training finished after 3 rounds")
    assert capsys.readouterr() == ("", "")


def test_at_most_five_updates_a_second(kernel):
    panel = progress("Panel").parts[0]
    assert panel.least == 0.33
    assert progress(["Panel", {"Interval": 0.001}]).parts[0].least == notebook.OFTEN == 0.2
    train([Automatic, {"Interval": 0.001}], rounds=60)
    assert len(kernel[0]) < 12


def test_an_indicator_leaves_nothing(kernel):
    train("ProgressIndicator")
    assert "width:0.0%" in kernel[0][0]["text/html"]
    assert kernel[0][-1]["text/html"] == ""


def test_a_front_end_that_is_gone_does_not_end_the_training(kernel, monkeypatch, capsys):
    def gone(*_, **__):
        raise RuntimeError("the socket is closed")

    monkeypatch.setattr(Handle, "update", gone)
    assert train("Panel")("TotalRounds") == 3
    assert capsys.readouterr().err == "NetTrain: its progress could not be shown to the end (the socket is closed).\n"


def test_titles_are_escaped(kernel):
    panel = progress("Panel").parts[0]
    panel.start("<script>")
    panel.finish("<b>")
    assert all("<script>" not in bundle["text/html"] for bundle in kernel[0])
    assert "&lt;b&gt;" in kernel[0][-1]["text/html"]


def chromium():
    return next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


def jupyter_python():
    """A Python that has JupyterLab: this one, or the one whose ``jupyter-lab`` is on the path or in NETDSL_JUPYTER_LAB."""
    lab = os.environ.get("NETDSL_JUPYTER_LAB") or shutil.which("jupyter-lab")
    for python in (sys.executable, lab and str(Path(lab).parent / "python")):
        probe = "import jupyterlab, ipykernel, websocket, sys; print(sys.version_info[:2])"
        if python and subprocess.run([python, "-c", probe], capture_output=True, text=True).stdout.strip() == str(
            sys.version_info[:2]
        ):
            return python
    return None


@pytest.mark.slow
def test_in_jupyterlab(tmp_path):
    browser = chromium()
    if browser is None:
        pytest.skip("no Chromium here")
    python = jupyter_python()
    if python is None:
        pytest.skip("no JupyterLab here")
    driver = Path(__file__).with_name("notebook_driver.py")
    done = subprocess.run(
        [python, driver, tmp_path, sys.executable, ROOT, browser],
        capture_output=True,
        text=True,
        timeout=400,
        stdin=subprocess.DEVNULL,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    seen = json.loads(done.stdout)
    for words in ("NetTrain: 18,000 examples", "progress", "examples/s", "validation", "left", "Stop"):
        assert words in seen["running"]
    assert seen["outputs"] == 1
    times = np.array(seen["times"])
    assert len(times) >= 3, "the panel is live"
    assert np.diff(times).min() > 150, "milliseconds between two updates"
    assert seen["seconds"] < 20
    assert seen["gone"], "the button goes with the training"
    assert re.search(r"Training stopped by the user after \d+ rounds", seen["after"])
    assert re.search(r"REASON stopped by the user ROUNDS \d+ \[", seen["after"])
