"""Reports of a training: the curve, the panel at every width, files, functions, and real terminals and pipes."""

from __future__ import annotations

import csv
import errno
import io
import json
import os
import pty
import re
import struct
import subprocess
import sys
import termios
import threading
import types
from fcntl import ioctl
from pathlib import Path

import numpy as np
import pytest

from netdsl import All, DeclarationError, File, NetChain, NetTrain, Quantity, SoftmaxLayer, TrainingError, UnsupportedError
from netdsl.training.intervals import Every
from netdsl.training.progress import Status, progress
from netdsl.training.progress.curve import Averages, Curves, picture, scale
from netdsl.training.progress.files import ReportFile
from netdsl.training.progress.notebook import loss_svg
from netdsl.training.progress.panel import Panel
from netdsl.training.results import History

INPUTS = np.random.default_rng(8).normal(size=(10, 3))
CLASSES = np.arange(10) % 2 + 1
ROOT = Path(__file__).resolve().parents[2]


def train(reporting, **options):
    options = {"MaxTrainingRounds": 3, "BatchSize": 4, "ValidationSet": (INPUTS, CLASSES), **options}
    return NetTrain(NetChain([2, SoftmaxLayer()]), (INPUTS, CLASSES), All, TrainingProgressReporting=reporting, **options)


def filled(rounds=7, batches=100, last=40):
    """A History in which the loss falls from 2.3 to 0.05."""
    history = History(batches)
    for round_ in range(rounds):
        places = np.arange(batches if round_ < rounds - 1 else last) + batches * round_
        history.losses.append((2.3 * np.exp(-places / 120) + 0.05).astype(np.float32))
        if round_ < rounds - 1:
            history.validation_losses.append(float(2.3 * np.exp(-(batches * (round_ + 1)) / 120) + 0.09))
    return history


def status_of(history):
    last = history.losses[-1]
    return Status(
        "training", len(history.losses), 10, len(last), history.batches_per_round, 12345.6, float(last.mean()), 0.03,
        history.validation_losses[-1], 0.04, 73, 41, None, len(history.losses) - 1, history, 48.2,
    )  # fmt: skip


# The curve


def test_averages_are_means_over_equal_numbers():
    values, row = np.random.default_rng(0).normal(size=1000), Averages(most=7)
    for part in np.split(values, [1, 2, 10, 400, 401, 900]):
        row.add(part)
    assert len(row) == 1000
    assert len(row.means) <= 7
    expected = [values[start : start + row.width].mean() for start in range(0, 1000, row.width)]
    np.testing.assert_allclose(row.points, expected, rtol=1e-9)
    middles = [np.arange(1000)[start : start + row.width].mean() + 0.5 for start in range(0, 1000, row.width)]
    np.testing.assert_allclose(row.places, middles)


def test_curves_follow_a_history_in_any_steps():
    history = filled()
    whole, steps = Curves(), Curves()
    whole.follow(history)
    grown = History(100)
    for round_, losses in enumerate(history.losses):
        grown.losses.append(losses[:0])
        for end in (3, 40, len(losses)):
            grown.losses[-1] = losses[:end]
            steps.follow(grown)
        grown.validation_losses = history.validation_losses[: round_ + 1]
        steps.follow(grown)
    for one, other in zip(whole.series(), steps.series()):
        np.testing.assert_allclose(one, other)
    assert [len(values) for _, values in whole.series()] == [320, 6, 6]
    np.testing.assert_allclose(whole.series()[1][1], [part.mean() for part in history.losses[:6]], rtol=1e-5)
    assert whole.series()[2][0].tolist() == [1, 2, 3, 4, 5, 6]


@pytest.mark.parametrize("width", [8, 20, 79, 200])
@pytest.mark.parametrize("height", [2, 8])
@pytest.mark.parametrize("plain", [False, True])
@pytest.mark.parametrize("values", [[1.0], [1, 1, 1], [1e308, -1e308], [1e-30, 1], range(500, 0, -1), [0, 5, 0, 5]], ids=str)
def test_a_picture_fills_its_place(width, height, plain, values):
    curves = Curves()
    curves.batches.add(list(values))
    drawn = picture(curves, width, height, plain)
    assert [len(signs) for signs, _ in drawn] == [width] * height
    blank = {" "} if plain else {"\u2800"}
    columns = list(zip(*(signs for signs, _ in drawn)))
    assert all(set(column) - blank for column in columns), "each column has a dot"


def test_a_falling_loss_falls():
    curves = Curves()
    curves.batches.add(np.linspace(4, 1, 16))
    assert [signs for signs, _ in picture(curves, 4, 4, True)] == ["*   ", " *  ", "  * ", "   *"]
    curves.validation.add([2.0])
    assert scale(curves.series()) == (1.0, 4.0, False)


def test_losses_that_are_not_finite_leave_a_gap():
    curves = Curves()
    curves.batches.add([2.0, np.inf, np.nan, 1.0])
    assert curves.series()[0][1].tolist() == [2.0, 1.0]
    assert "nan" not in loss_svg(curves)
    empty = Curves()
    empty.batches.add([np.nan])
    assert loss_svg(empty) == ""


def test_the_picture_in_a_notebook_has_all_three():
    curves = Curves()
    curves.follow(filled())
    svg = loss_svg(curves)
    assert svg.count("<polyline") == 2
    assert svg.count("<circle") == 6
    assert "loss, logarithmic" in svg
    assert "6.4 rounds" in svg
    numbers = [float(x) for x in re.findall(r"[\d.]+,", svg.split("points='")[1].split("'")[0]) for x in [x.rstrip(",")]]
    assert numbers == sorted(numbers)
    assert len(svg) < 20_000


# The panel on a terminal


def panel_text(monkeypatch, width, height, encoding="utf-8", status=None, **environment):
    for name, value in {"COLUMNS": width, "LINES": height, **environment}.items():
        monkeypatch.setenv(name, str(value))
    raw = io.BytesIO()
    panel = Panel(io.TextIOWrapper(raw, encoding), Every(0.33))
    panel.title = "NetTrain: 60,000 examples, ADAM optimizer, batch size 64, CPU, seed 1234"
    panel.update(status or status_of(filled()))
    panel.console.print(panel.render())
    panel.stream.flush()
    return raw.getvalue().decode(encoding)


@pytest.mark.parametrize("encoding", ["utf-8", "ascii", "latin-1"])
@pytest.mark.parametrize(("width", "height"), [(200, 60), (100, 30), (56, 24), (55, 24), (20, 24), (20, 6), (8, 4), (1, 1)])
def test_the_panel_fits(monkeypatch, width, height, encoding):
    text = panel_text(monkeypatch, width, height, encoding)
    lines = text.splitlines()
    assert all(len(line) <= width for line in lines)
    if width >= 20:
        for words in ("64%", "7/10", "12,346", "41s") if width < 56 else ("7 of 10", "12,346 examples/s", "41s left"):
            assert words in text
    signs = re.search("[\u2801-\u28ff]", text)
    assert bool(signs) == (encoding == "utf-8" and height >= 24)
    if encoding != "utf-8" and height >= 24:
        assert "*" in text
        assert "o" in text


def test_colours_and_none(monkeypatch):
    monkeypatch.setattr("netdsl.training.progress.lines.Stream.isatty", lambda self: True)
    monkeypatch.setenv("TERM", "xterm-256color")
    assert "\x1b[33m" in panel_text(monkeypatch, 100, 30), "validations are yellow"
    assert not re.search(r"\x1b\[3\dm", panel_text(monkeypatch, 100, 30, NO_COLOR=1))


def test_drawing_while_the_training_goes_on():
    """The thread that draws and the training do not meet."""
    panel, history, failures = Panel(io.StringIO(), Every(0.33)), filled(), []
    status, stop = status_of(history), threading.Event()

    def draw():
        while not stop.is_set():
            try:
                panel.console.print(panel._safe())
            except Exception as error:
                failures.append(error)

    thread = threading.Thread(target=draw)
    thread.start()
    for _ in range(300):
        history.losses[-1] = np.append(history.losses[-1], np.float32(0.1))[-100:]
        history.losses.append(np.full(40, 0.1, np.float32))
        panel.update(status)
    stop.set()
    thread.join()
    assert not failures


# Files


@pytest.mark.parametrize("ending", [".csv", ".tsv", ".CSV"])
def test_rows_in_a_file(tmp_path, ending, capsys):
    path = tmp_path / f"report{ending}"
    path.write_text("old")
    results = train(File(str(path)))
    with open(path, newline="") as file:
        rows = list(csv.DictReader(file, delimiter="\t" if ending == ".tsv" else ","))
    assert [(row["Round"], row["Batch"], row["AbsoluteBatch"]) for row in rows] == [
        ("1", "3", "3"),
        ("2", "3", "6"),
        ("3", "3", "9"),
    ]
    np.testing.assert_allclose([float(row["Loss"]) for row in rows], results("RoundLossList"), rtol=1e-6)
    np.testing.assert_allclose([float(row["ValidationLoss"]) for row in rows], results("ValidationLossList"), rtol=1e-6)
    assert all(float(row["TimeElapsed"]) > 0 and float(row["ExamplesPerSecond"]) > 0 for row in rows)
    assert capsys.readouterr() == ("", "")


def test_a_JSON_file_is_whole_at_any_time(tmp_path):
    path, seen = tmp_path / "report.json", []

    def look(facts):
        seen.append(len(json.loads(path.read_text())))

    results = train(
        [File(str(path)), {"Interval": Quantity(1, "Batches")}],
        TrainingProgressFunction=[look, {"Interval": Quantity(1, "Batches")}],
    )
    assert seen == list(range(1, 10))
    rows = json.loads(path.read_text())
    assert [row["Batch"] for row in rows] == [1, 2, 3] * 3
    assert rows[0]["ValidationLoss"] is None
    np.testing.assert_allclose(rows[-1]["Loss"], results("RoundLossList")[-1], rtol=1e-6)


@pytest.mark.parametrize("ending", ["csv", "json"])
def test_numbers_that_are_not_finite_in_a_file(tmp_path, ending):
    path = tmp_path / f"report.{ending}"
    report = ReportFile(path, Every(1, "Batches"))
    report.start("")
    report.update(Status("compiling", 1, 2, 1, 4))
    for batch, loss in ((2, np.nan), (3, np.inf)):
        report.update(Status("training", 1, 2, batch, 4, loss=loss))
    report.finish("")
    text = path.read_text()
    rows = json.loads(text, parse_constant=pytest.fail) if ending == "json" else list(csv.DictReader(io.StringIO(text)))
    assert [row["Loss"] for row in rows] == ["nan", "inf"]


class Full(io.FileIO):
    """A file on a disk that is full after so many bytes."""

    room = 700

    def write(self, data):
        free = self.room - self.seek(0, os.SEEK_CUR)
        if free <= 0:
            raise OSError(errno.ENOSPC, "No space left on device")
        return super().write(bytes(data)[:free])


@pytest.mark.parametrize("ending", ["csv", "json"])
def test_a_full_disk_does_not_end_the_training(tmp_path, monkeypatch, ending, capsys):
    path = tmp_path / f"report.{ending}"
    monkeypatch.setattr("builtins.open", lambda name, mode, buffering: Full(name, "w+"))
    assert train([None, File(str(path))], MaxTrainingRounds=30)("TotalRounds") == 30
    monkeypatch.undo()
    error = capsys.readouterr().err
    assert error == f"NetTrain: its progress could not be shown to the end ({str(path)!r}: No space left on device).\n"
    text = path.read_text()
    rows = json.loads(text) if ending == "json" else list(csv.DictReader(io.StringIO(text)))
    assert 2 <= len(rows) < 30
    assert all(None not in row.values() for row in rows)


@pytest.mark.parametrize(
    ("path", "error", "message"),
    [
        ("report.txt", DeclarationError, "writes a File with the ending .csv, .tsv or .json. Got 'report.txt'."),
        ("report.wl", UnsupportedError, "writes .csv, .tsv and .json files, but not 'report.wl'."),
        ("nowhere/report.csv", DeclarationError, "cannot write the file 'nowhere/report.csv': No such file or directory."),
    ],
)
def test_files_that_cannot_be(path, error, message):
    with pytest.raises(error) as caught:
        train(File(path))
    assert str(caught.value).endswith(message)


# Functions


def test_functions_report():
    told = []
    train([lambda facts: told.append(facts["Round"]), {"MinimumInterval": 0}])
    assert told == [1, 2, 3]
    told.clear()
    train([None, lambda facts: told.append(facts["Round"]) or "StopTraining"], MaxTrainingRounds=100)
    assert told[-1] == 100, "the last round is told, though it comes within 0.05 seconds; the answer counts for nothing"
    assert len(told) < 100


def test_a_reporting_function_that_fails():
    with pytest.raises(
        TrainingError, match=r"The TrainingProgressReporting <lambda at test_reports\.py:[0-9]+> failed: ZeroDivisionError"
    ):
        train(lambda facts: 1 / 0)


# Lines, and what was not shown


def test_lines_by_rounds(capsys):
    train([None, ["Print", {"Interval": Quantity(2, "Rounds")}]], MaxTrainingRounds=7)
    lines = capsys.readouterr().out.splitlines()
    assert [re.search(r"round (\d)/7", line)[1] for line in lines[1:-1]] == ["2", "4", "6"]


def test_parts_in_a_log(capsys):
    train("ProgressIndicator", MaxTrainingRounds=5)
    assert capsys.readouterr().out.splitlines() == ["20%", "40%", "60%", "80%", "100%"]


def test_asked_for_often_the_training_tells_often():
    assert progress(["Print", {"Interval": 0.05}]).seconds == 0.05
    assert progress(["Print", "Panel"]).seconds == float("inf")


def test_what_is_not_shown_is_said_once(monkeypatch, capsys):
    class Broken(io.StringIO):
        def write(self, text):
            raise BrokenPipeError(errno.EPIPE, "Broken pipe")

    monkeypatch.setattr(sys, "stdout", Broken())
    train(["Print", "Print"])
    monkeypatch.undo()
    assert capsys.readouterr().err == "NetTrain: its progress could not be shown to the end ([Errno 32] Broken pipe).\n"


# Real terminals and pipes

SCRIPT = """
import numpy as np
from netdsl import *
inputs = np.random.default_rng(8).normal(size=(10, 3))
results = NetTrain(NetChain([2, SoftmaxLayer()]), (inputs, np.arange(10) % 2 + 1), All, TimeGoal=1.5, BatchSize=4)
import sys
print("ROUNDS", results("TotalRounds") > 0, file=sys.stderr)
"""


def environment(**changes):
    kept = {name: value for name, value in os.environ.items() if name not in ("COLUMNS", "LINES", "NO_COLOR", "FORCE_COLOR")}
    return {**kept, "PYTHONPATH": str(ROOT), "NETDSL_CACHE_DIR": "off", **changes}


def on_terminal(columns, **changes):
    """What the script writes on a terminal of so many columns."""
    main, side = pty.openpty()
    ioctl(side, termios.TIOCSWINSZ, struct.pack("HHHH", 30, columns, 0, 0))
    process = subprocess.Popen(
        [sys.executable, "-c", SCRIPT],
        stdin=side,
        stdout=side,
        stderr=subprocess.PIPE,
        env=environment(**changes),
        close_fds=True,
    )
    os.close(side)
    text = b""
    while True:
        try:
            part = os.read(main, 65536)
        except OSError:  # how Linux says that the other side is closed
            break
        if not part:
            break
        text += part
    assert b"ROUNDS True" in process.stderr.read()
    process.stderr.close()
    assert process.wait(60) == 0
    os.close(main)
    return text.decode()


@pytest.mark.slow
@pytest.mark.parametrize("columns", [20, 200])
def test_a_real_terminal(columns):
    text = on_terminal(columns, TERM="xterm-256color")
    assert "\x1b[?25l" in text
    assert "\x1b[?25h" in text
    assert re.search("[\u2801-\u28ff]", text), "the curve"
    shown = [re.sub(r"\x1b\[[?\d;]*[A-Za-z]", "", line) for line in re.split(r"[\r\n]+", text.split("Training reached")[0])]
    assert max(map(len, shown)) <= columns
    assert "Training reached" in text


@pytest.mark.slow
def test_a_terminal_without_colour_or_without_anything():
    assert not re.search(
        r"\x1b\[[\d;]*m",
        on_terminal(80, TERM="xterm", NO_COLOR="1").replace("\x1b[0m", "").replace("\x1b[2m", "").replace("\x1b[1m", ""),
    )
    assert "\x1b" not in on_terminal(80, TERM="dumb")


@pytest.mark.slow
def test_pipes():
    head = subprocess.run(
        f'"{sys.executable}" -c "$SCRIPT" | head -1',
        shell=True,
        capture_output=True,
        text=True,
        env=environment(SCRIPT=SCRIPT),
        timeout=100,
    )
    assert head.stdout.startswith("NetTrain: 10 examples")
    assert "ROUNDS True" in head.stderr
    assert "could not be shown to the end ([Errno 32] Broken pipe)" in head.stderr
    plain = subprocess.run(
        [sys.executable, "-c", SCRIPT], capture_output=True, env=environment(PYTHONIOENCODING="ascii"), timeout=100
    )
    assert plain.returncode == 0
    assert b"compiling ? " in plain.stdout
    assert b"\x1b" not in plain.stdout


def test_the_notebook_is_not_looked_for_where_there_is_none(monkeypatch):
    monkeypatch.setitem(sys.modules, "IPython", types.SimpleNamespace(get_ipython=lambda: types.SimpleNamespace()))
    assert type(progress("Print").parts[0]).__name__ == "Lines"
    assert ReportFile("~/x.csv", Every(1)).path == os.path.expanduser("~/x.csv")
