"""The panel in a notebook: one output that is replaced as the training goes, with a button that stops it.

While a cell runs its kernel hears no messages of widgets. What it does hear is an interrupt, so the button asks the server of
the notebook for one, as the button in the toolbar does, and the training takes it as Ctrl-C: it ends with the net so far.
"""

from __future__ import annotations

import html
import os
import re
import sys
import time
from collections.abc import Sequence
from typing import Any

import numpy as np

from netdsl.plots.canvas import ACCENT, MAIN
from netdsl.training.intervals import Due, Every
from netdsl.training.progress.curve import Curves, heights, scale
from netdsl.training.progress.status import Progress, Status

__all__ = ["NotebookIndicator", "NotebookPanel", "in_notebook", "loss_svg"]

OFTEN = 0.2
"""The seconds between two updates at least."""

STOP = """(async button => {
  button.disabled = true; button.textContent = 'stopping';
  try {
    const page = document.getElementById('jupyter-config-data');
    const config = page ? JSON.parse(page.textContent) : {baseUrl: document.body.dataset.baseUrl};
    const cookie = document.cookie.match(/(?:^|; )_xsrf=([^;]*)/), headers = {};
    if (cookie) headers['X-XSRFToken'] = cookie[1];
    if (config.token) headers['Authorization'] = 'token ' + config.token;
    const answer = await fetch(config.baseUrl + 'api/kernels/KERNEL/interrupt', {method: 'POST', headers});
    if (!answer.ok) throw answer.status;
  } catch (error) { button.textContent = 'interrupt the kernel to stop'; }
})(this)"""
"""What the button does: pressed, not clicked, since an update between the two would take the button away."""


def in_notebook() -> bool:
    """Whether this code runs in a Jupyter kernel."""
    shell = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
    return getattr(shell, "kernel", None) is not None


def _kernel_id() -> str:
    """The name of this kernel on its server, which is in the name of its connection file."""
    try:
        from ipykernel.connect import get_connection_file

        found = re.fullmatch(r"kernel-([\w.-]+)\.json", os.path.basename(get_connection_file()))
    except (ImportError, RuntimeError):
        found = None
    return found[1] if found else ""


class NotebookPanel(Progress):
    """A live panel in the output of a cell."""

    def __init__(self, interval: Every) -> None:
        self.curves = Curves()
        self.status = Status()
        self.title = ""
        self.handle: Any = None
        self.due = Due(interval)
        self.least = max(interval.amount if interval.unit == "Seconds" else 0.0, interval.minimum, OFTEN)
        self.shown = 0.0
        self.error: Exception | None = None

    def start(self, title: str) -> None:
        self.title = title
        self._show(self.body(running=True), title)

    def update(self, status: Status) -> None:
        self.status = status
        if status.history is not None:
            self.curves.follow(status.history)
        waits = self.due.every.unit != "Seconds" and not self.due.now(status)
        if not waits and time.monotonic() - self.shown >= self.least:
            self._show(self.body(running=True), status.text())

    def batches_left(self, status: Status) -> float:
        return self.due.batches_left(status)

    def finish(self, message: str) -> None:
        self._show(self.body(running=False, message=message), message)

    def _show(self, body: str, text: str) -> None:
        """Make the output, or replace it."""
        from IPython.display import display

        bundle = {"text/html": body, "text/plain": text}
        try:
            if self.handle is None:
                self.handle = display(bundle, raw=True, display_id=True)
            else:
                self.handle.update(bundle, raw=True)
        except Exception as error:  # a front end that is gone may raise anything
            self.error = error.with_traceback(None)
        self.shown = time.monotonic()

    def trouble(self) -> str | None:
        return None if self.error is None else str(self.error) or type(self.error).__name__

    def body(self, running: bool, message: str = "") -> str:
        """The panel as HTML."""
        rows = "".join(_table_row(label, html.escape(text)) for label, text in self.status.rows(running))
        bar = _table_row("progress", _bar(self.status.fraction)) if running else ""
        last = _button() if running else f"<div>{html.escape(message)}</div>"
        return (
            f"<div style='font-size:13px;max-width:600px'><b>{html.escape(self.title)}</b>"
            f"<table style='border:none'>{bar}{rows}</table>{loss_svg(self.curves)}{last}</div>"
        )


class NotebookIndicator(NotebookPanel):
    """A live bar and its button in the output of a cell; nothing is left of it."""

    def body(self, running: bool, message: str = "") -> str:
        return f"<div style='max-width:600px'>{_bar(self.status.fraction)}{_button()}</div>" if running else ""


def _table_row(label: str, body: str) -> str:
    return (
        f"<tr style='background:none'><td style='opacity:.6;text-align:right;padding:1px 8px'>{label}</td>"
        f"<td style='text-align:left;padding:1px 8px'>{body}</td></tr>"
    )


def _bar(fraction: float) -> str:
    return (
        "<div style='display:inline-block;width:320px;max-width:100%;height:8px;border-radius:4px;background:#8884'>"
        f"<div style='width:{100 * fraction:.1f}%;height:8px;border-radius:4px;background:{MAIN}'></div></div>"
    )


def _button() -> str:
    script = html.escape(STOP.replace("KERNEL", _kernel_id()).replace("\n", " "))
    return (
        f"<button style='margin-top:4px' class='netdsl-stop' title='Ends the training with the net so far' "
        f'onpointerdown="{script}" onclick="{script}">Stop</button>'
    )


def _line(points: Sequence[str], style: str) -> str:
    return f"<polyline points='{' '.join(points)}' fill='none' {style}/>" if len(points) > 1 else ""


def loss_svg(curves: Curves, width: int = 560, height: int = 170) -> str:
    """The loss over the rounds: batches pale, their averages over rounds strong, validations as dots."""
    series = curves.series()
    if not len(series[0][1]):
        return ""
    low, high, log = scale(series)
    end = max(len(curves.batches) / curves.batches_per_round, *series[2][0][-1:], 1e-9)
    left, right, top, bottom = 54, width - 8, 8, height - 22

    def points(places: np.ndarray, values: np.ndarray) -> list[tuple[float, float]]:
        ys = bottom - heights(values, low, high, log) * (bottom - top)
        return [(left + place / end * (right - left), y) for place, y in zip(places, ys)]

    batches, rounds, validation = (points(*each) for each in series)
    texts: list[tuple[float, float, str, str]] = []
    if high > low:
        texts = [(left - 6, top + 8, "end", f"{high:.3g}"), (left - 6, bottom, "end", f"{low:.3g}")]
    texts += [(left, height - 6, "start", "0"), (right, height - 6, "end", f"{end:.4g} rounds")]
    texts.append(((left + right) / 2, height - 6, "middle", "loss, logarithmic" if log else "loss"))
    written = "".join(f"<text x='{x:.0f}' y='{y:.0f}' text-anchor='{anchor}'>{text}</text>" for x, y, anchor, text in texts)
    as_text = [[f"{x:.1f},{y:.1f}" for x, y in each] for each in (batches, rounds)]
    dots = "".join(f"<circle cx='{x:.1f}' cy='{y:.1f}' r='2.5' fill='{ACCENT}'/>" for x, y in validation)
    if len(validation):
        dots += f"<text x='{right}' y='{top + 8}' text-anchor='end' style='fill:{ACCENT}'>● validation</text>"
    frame = f"M{left} {top}V{bottom}H{right}"
    return (
        f"<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 {width} {height}' width='{width}' height='{height}' "
        "style='display:block;max-width:100%' font-family='sans-serif' font-size='11' fill='currentColor'>"
        f"<path d='{frame}' fill='none' stroke='currentColor' stroke-opacity='.4'/>{written}"
        + _line(as_text[0], f"stroke='{MAIN}' stroke-opacity='{0.4 if len(rounds) > 1 else 1}' stroke-width='1'")
        + _line(as_text[1], f"stroke='{MAIN}' stroke-width='2'")
        + f"{dots}</svg>"
    )
