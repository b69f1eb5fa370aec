"""What a training shows: plain lines, a live panel, nothing; and streams that fail under it."""

from __future__ import annotations

import io
import sys
from types import SimpleNamespace

import numpy as np
import pytest

from netdsl import All, Automatic, NetChain, NetTrain, Quantity, SoftmaxLayer
from netdsl.training.intervals import Every
from netdsl.training.planning import remaining
from netdsl.training.progress import Status, duration_text, progress
from netdsl.training.progress.lines import Lines, Parts
from netdsl.training.progress.panel import Indicator, Panel

INPUTS = np.random.default_rng(8).normal(size=(10, 3))
CLASSES = np.arange(10) % 2 + 1


def train(reporting, **options):
    return NetTrain(
        NetChain([2, SoftmaxLayer()]),
        (INPUTS, CLASSES),
        All,
        MaxTrainingRounds=3,
        BatchSize=4,
        ValidationSet=(INPUTS, CLASSES),
        TrainingProgressReporting=reporting,
        **options,
    )


class Terminal(io.StringIO):
    def isatty(self):
        return True


class Broken(io.StringIO):
    """What `| head` leaves behind."""

    def write(self, text):
        raise BrokenPipeError(32, "Broken pipe")


def test_plain_lines_where_nobody_watches(capsys):
    results = train(Automatic)
    printed = capsys.readouterr()
    lines = printed.out.splitlines()
    assert printed.err == ""
    assert lines[0] == "NetTrain: 10 examples, ADAM optimizer, batch size 4, CPU, seed 1234"
    assert lines[1].startswith("compiling … ")
    assert " round 1/3  batch 3/3  " in lines[2]
    loss, validation = results("RoundLoss"), results("ValidationLossList")[-1]
    error = 100 * results("RoundMeasurements")["ErrorRate"]
    assert lines[-1].startswith("Training finished after 3 rounds, ")
    assert lines[-1].split("s: ", 1)[1] == (
        f"loss {loss:.4g}  error {error:.2f}%  validation loss {validation:.4g}  "
        f"validation error {100 * results('ValidationMeasurements')['ErrorRate']:.2f}%"
    )
    assert "\x1b" not in printed.out


def test_None_prints_nothing(capsys):
    train(None)
    assert capsys.readouterr() == ("", "")


def test_a_panel_on_a_terminal(monkeypatch):
    terminal = Terminal()
    monkeypatch.setattr(sys, "stdout", terminal)
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLUMNS", "100")
    train(Automatic)
    shown = terminal.getvalue()
    for words in (
        "NetTrain: 10 examples",
        "of 3, batch 3 of 3",
        "validation",
        "Ctrl-C stops and keeps the net so far",
        "Training finished after 3 rounds",
    ):
        assert words in shown
    assert shown.count("\x1b[?25l") == shown.count("\x1b[?25h") == 1, "the cursor is hidden once and shown again"


def test_what_the_panel_says(monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    panel = Panel(io.StringIO(), Every(0.33))
    status = Status("training", 2, 4, 3, 8, 1234.5, 0.25, 0.125, 0.5, 0.0625, 19.4, 168, batches_per_second=19.28)
    panel.console.print(panel.render())
    panel.update(status)
    panel.console.print(panel.render())
    text = panel.console.file.stream.getvalue()
    for words in (
        "compiling  0.0s",
        "round  2 of 4, batch 3 of 8",
        "speed  1,234 examples/s, 19.3 batches/s",
        "training  loss 0.25, error rate 12.50%",
        "validation  loss 0.5, error rate 6.25%",
        "time  19s, 2.8min left",
    ):
        assert words in text


def test_all_that_is_measured_is_told():
    status = Status(
        "training", 2, 4, 3, 8, 1234.5, 0.25, 0.125, 0.5, 0.0625, 19.4, 168, batches_per_second=1234.5,
        measurements={"F1Score": 0.75}, validation_measurements={"F1Score": 0.875},
    )  # fmt: skip
    assert status.measured() == (
        "loss 0.25  error 12.50%  F1Score 0.75  validation loss 0.5  validation error 6.25%  validation F1Score 0.875"
    )
    assert status.values() == {
        "Loss": 0.25, "ErrorRate": 0.125, "ValidationLoss": 0.5, "ValidationErrorRate": 0.0625, "F1Score": 0.75,
        "ValidationF1Score": 0.875,
    }  # fmt: skip
    rows = {
        "round": "2 of 4, batch 3 of 8",
        "speed": "1,234 examples/s, 1,234 batches/s",
        "training": "loss 0.25, error rate 12.50%, F1Score 0.75",
        "validation": "loss 0.5, error rate 6.25%, F1Score 0.875",
    }
    assert dict(status.rows()) == {**rows, "time": "19s, 2.8min left"}
    assert dict(status.rows(running=False)) == {**rows, "time": "19s"}
    assert Status("training", 1, None, 3, 8).text() == "  0%  round 1/?  batch 3/8  0 examples/s"


@pytest.mark.parametrize(
    ("seconds", "rounds", "left"),
    [(10.0, 4, 1.3), (4.0, 4, 1.0), (2.0, 4, 0.0), (10.0, None, 7.0), (None, 4, 1.3), (float("inf"), None, None)],
)
def test_the_time_left_is_that_of_what_ends_first(seconds, rounds, left):
    """In round 2 of 4 after 4 of 10 batches of 5 examples, at 100 examples a second, after 3 seconds."""
    status = Status(rounds=rounds, examples_per_second=100.0, elapsed=3.0)
    training = SimpleNamespace(status=status, settings=SimpleNamespace(seconds=seconds), batches=10, batch_size=5)
    assert remaining(training, 2, 4) == (None if left is None else pytest.approx(left))


def kinds(setting):
    return [type(part) for part in progress(setting).parts]


@pytest.mark.parametrize(
    ("terminal", "term", "kind"),
    [(True, "xterm", Panel), (True, "dumb", Lines), (True, "", Lines), (True, None, Lines), (False, "xterm", Lines)],
)
def test_which_reporter(monkeypatch, terminal, term, kind):
    monkeypatch.setattr(sys, "stdout", Terminal() if terminal else io.StringIO())
    monkeypatch.delenv("TERM", raising=False)
    if term is not None:
        monkeypatch.setenv("TERM", term)
    assert kinds(Automatic) == kinds("Panel") == kinds(["Panel", {"Interval": 1}]) == [kind]
    if kind is Lines:
        assert progress("Panel").parts[0].every == progress("Print").parts[0].every, "lines are as rare as lines are"
    assert kinds("Print") == [Lines]
    assert kinds("ProgressIndicator") == [Indicator if kind is Panel else Parts]
    assert kinds(["Print", None, ["Print", {"Interval": Quantity(2, "Batches")}]]) == [Lines, Lines]
    assert kinds(None) == []


def closed():
    stream = io.StringIO()
    stream.close()
    return stream


@pytest.mark.parametrize("reporting", ["Print", "Panel", "ProgressIndicator", Automatic])
@pytest.mark.parametrize(
    "stream",
    [Broken, closed, lambda: io.TextIOWrapper(io.BytesIO(), "ascii"), lambda: None],
    ids=["broken pipe", "closed", "ascii", "none"],
)
def test_a_stream_that_fails_does_not_end_the_training(monkeypatch, reporting, stream):
    monkeypatch.setattr(sys, "stdout", stream())
    monkeypatch.setattr(sys, "stderr", sys.stderr if sys.stdout else None)  # under pythonw there is neither
    assert train(reporting)("TotalRounds") == 3


def test_ascii_streams_get_the_words_they_can_hold(monkeypatch):
    raw = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(raw, "ascii"))
    train("Print")
    assert b"compiling ? " in raw.getvalue()
    assert b"Training finished after 3 rounds" in raw.getvalue()


def test_lines_come_at_intervals(monkeypatch):
    stream, now = io.StringIO(), [100.0]
    monkeypatch.setattr("netdsl.training.progress.lines.time.monotonic", lambda: now[0])
    lines = Lines(stream, Every(2.0))
    for seconds in (0, 1, 1.9, 2.1, 3, 4.2):
        now[0] = 100 + seconds
        lines.update(Status("training", 1, 2, 1, 4, loss=seconds))
    assert [line.split("loss ")[1] for line in stream.getvalue().splitlines()] == ["0", "2.1", "4.2"]


@pytest.mark.parametrize(
    ("status", "fraction"),
    [
        (Status(round=1, rounds=4, batch=5, batches=10), 0.125),
        (Status(round=4, rounds=4, batch=10, batches=10), 1.0),
        (Status(round=3, rounds=None, batch=5, batches=10), 0.0),
        (Status(round=3, rounds=None, batch=5, batches=10, goal=20.0, elapsed=5.0), 0.25),
        (Status(round=1, rounds=4, batch=5, batches=10, goal=20.0, elapsed=15.0), 0.75),
        (Status(round=3, rounds=None, batch=5, batches=10, goal=float("inf"), elapsed=5.0), 0.0),
    ],
)
def test_fraction_done(status, fraction):
    assert status.fraction == fraction


def test_durations():
    assert [duration_text(seconds) for seconds in (0.04, 9.94, 19.4, 168, 4320)] == ["0.0s", "9.9s", "19s", "2.8min", "1.2h"]


def test_the_places_of_intervals():
    third = Every(1 / 3, "Rounds")
    places = [0]
    while places[-1] < 20:
        places.append(third.after(places[-1], 10))
    assert places == [0, 4, 7, 10, 14, 17, 20]
    assert [third.passed(place, 10) for place in places] == [0, 1, 2, 3, 4, 5, 6]
    assert Every(1e-12, "Batches").after(3, 10) == 4, "never the same place again"
