"""Runs a notebook in JupyterLab in a headless Chromium, presses the Stop button of the training's panel, and says what was seen.

Called with the Python that has JupyterLab: ``python notebook_driver.py FOLDER KERNEL_PYTHON ROOT CHROMIUM``. Prints one line of JSON,
and leaves ``running.png`` and ``stopped.png`` in the folder.
"""

from __future__ import annotations

import base64
import json
import os
import secrets
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

CELLS = [
    """import numpy as np
from netdsl import *
inputs = np.random.default_rng(0).normal(size=(20000, 30)).astype(np.float32)
classes = (inputs[:, 0] * inputs[:, 1] > 0) + 1
net = NetChain([50, Ramp, 50, Ramp, 2, SoftmaxLayer()])""",
    "results = NetTrain(net, (inputs, classes), All, MaxTrainingRounds=100000, ValidationSet=Scaled(0.1))",
    'print("REASON", results("ReasonTrainingStopped"), "ROUNDS", results("TotalRounds"), results("TrainedNet")(inputs[0]))',
]

COUNT = """(() => {
  const output = [...document.querySelectorAll('.jp-OutputArea')].find(area => area.querySelector('.netdsl-stop'));
  if (!output) return false;
  window.panelTimes = [];
  let last = '';
  new MutationObserver(() => {
    const now = output.innerText;
    if (now !== last) { last = now; window.panelTimes.push(performance.now()); }
  }).observe(output, {subtree: true, childList: true, characterData: true});
  return true;
})()"""


class Page:
    """A page of Chromium, driven by its protocol."""

    def __init__(self, address: str) -> None:
        import websocket  # a package that only a Python with JupyterLab has

        self.socket = websocket.create_connection(address, timeout=60, suppress_origin=True)
        self.number = 0

    def send(self, method: str, **parameters: object) -> dict:
        self.number += 1
        self.socket.send(json.dumps({"id": self.number, "method": method, "params": parameters}))
        while True:
            answer = json.loads(self.socket.recv())
            if answer.get("id") == self.number:
                return answer.get("result", answer)

    def value(self, script: str) -> object:
        """What a script gives."""
        return self.send("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)["result"].get("value")

    def until(self, script: str, seconds: float, what: str) -> object:
        """Its value as soon as it gives one."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if value := self.value(script):
                return value
            time.sleep(0.1)
        raise SystemExit(f"waited in vain for {what}: {str(self.value('document.body.innerText'))[-2000:]}")

    def picture(self, path: Path) -> None:
        path.write_bytes(base64.b64decode(self.send("Page.captureScreenshot", format="png")["data"]))


def write_notebook(folder: Path, python: str, root: str) -> dict[str, str]:
    """The notebook and the kernel that it runs in; the environment in which Jupyter finds that kernel."""
    cells = [
        {"cell_type": "code", "execution_count": None, "id": f"cell{i}", "metadata": {}, "outputs": [], "source": source}
        for i, source in enumerate(CELLS)
    ]
    spec = {"kernelspec": {"name": "netdsl", "display_name": "netdsl", "language": "python"}}
    (folder / "training.ipynb").write_text(json.dumps({"cells": cells, "metadata": spec, "nbformat": 4, "nbformat_minor": 5}))
    kernel = folder / "share" / "kernels" / "netdsl"
    kernel.mkdir(parents=True)
    import ipykernel

    paths = [root, str(Path(ipykernel.__file__).parents[1])]
    launch = [python, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
    environment = {"PYTHONPATH": os.pathsep.join(paths), "NETDSL_CACHE_DIR": "off"}
    (kernel / "kernel.json").write_text(
        json.dumps({"argv": launch, "display_name": "netdsl", "language": "python", "env": environment})
    )
    places = {name: str(folder / name) for name in ("JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR")}
    return {**os.environ, **places, "JUPYTER_PATH": str(folder / "share")}


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def watch(page: Page, folder: Path) -> dict[str, object]:
    """Run the cells, look at the panel, press Stop, look again."""
    page.until("!!window.jupyterapp && !!document.querySelector('.jp-Notebook .jp-CodeCell')", 90, "the notebook")
    kernel = "jupyterapp.shell.currentWidget.sessionContext"
    page.until(f"{kernel}.session && {kernel}.session.kernel && {kernel}.session.kernel.status === 'idle'", 60, "the kernel")
    page.value("jupyterapp.commands.execute('notebook:run-all-cells'); 1")
    page.until(COUNT, 90, "the panel")
    page.until("!!document.querySelector('.jp-OutputArea svg circle')", 90, "the loss curve")
    time.sleep(4)
    page.picture(folder / "running.png")
    running = page.value("document.querySelector('.netdsl-stop').closest('.jp-OutputArea').innerText")
    outputs = page.value(
        "document.querySelector('.netdsl-stop').closest('.jp-OutputArea').querySelectorAll('.jp-OutputArea-child').length"
    )
    times = page.value("window.panelTimes")
    page.value("document.querySelector('.netdsl-stop').scrollIntoView({block: 'center'}); 1")
    box = page.value(
        "(b => [b.x + b.width / 2, b.y + b.height / 2])(document.querySelector('.netdsl-stop').getBoundingClientRect())"
    )
    pressed = time.monotonic()
    for kind in ("mousePressed", "mouseReleased"):
        page.send("Input.dispatchMouseEvent", type=kind, x=box[0], y=box[1], button="left", clickCount=1)
    page.until("document.body.innerText.includes('REASON')", 60, "the end of the training")
    took = time.monotonic() - pressed
    time.sleep(1)
    page.picture(folder / "stopped.png")
    after = page.value("[...document.querySelectorAll('.jp-OutputArea')].map(area => area.innerText).join('\\n')")
    gone = page.value("!document.querySelector('.netdsl-stop')")
    return {"running": running, "outputs": outputs, "times": times, "seconds": took, "after": after, "gone": gone}


def main() -> None:
    folder, python, root, chromium = Path(sys.argv[1]), *sys.argv[2:5]
    environment = write_notebook(folder, python, root)
    port, token = free_port(), secrets.token_hex(8)
    lab = subprocess.Popen(
        [sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root", f"--ServerApp.port={port}", "--ServerApp.ip=127.0.0.1",
         f"--IdentityProvider.token={token}", f"--ServerApp.root_dir={folder}", "--expose-app-in-browser"],
        env=environment, stdout=subprocess.DEVNULL, stderr=(folder / "lab.log").open("w"),
    )  # fmt: skip
    browser = subprocess.Popen(
        [chromium, "--headless=new", "--no-sandbox", "--disable-gpu", "--remote-debugging-port=0", "--window-size=1000,1100",
         f"--user-data-dir={folder / 'browser'}", "about:blank"],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        listening = folder / "browser" / "DevToolsActivePort"
        end = time.monotonic() + 60
        while not listening.exists() and time.monotonic() < end:
            time.sleep(0.1)
        control = listening.read_text().splitlines()[0]
        while time.monotonic() < end:
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{port}/api", timeout=5).close()
                break
            except OSError:
                time.sleep(0.2)
        address = f"http://127.0.0.1:{port}/lab/tree/training.ipynb?token={token}"
        request = urllib.request.Request(f"http://127.0.0.1:{control}/json/new?{address}", method="PUT")
        with urllib.request.urlopen(request, timeout=30) as answer:
            page = Page(json.load(answer)["webSocketDebuggerUrl"])
        print(json.dumps(watch(page, folder)))
    finally:
        for process in (browser, lab):
            process.terminate()
        for process in (browser, lab):
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()


if __name__ == "__main__":
    main()
