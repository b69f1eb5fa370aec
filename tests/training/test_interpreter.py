"""Python without assertions and with warnings as errors does the same, and so do plots where there is no display."""

from __future__ import annotations

import contextlib
import io
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

SCRIPT = """
import hashlib, tempfile
import numpy as np
from netdsl import *
from netdsl.errors import NetError
import jax.numpy as jnp
folder = tempfile.mkdtemp()
inputs = np.linspace(-1, 1, 120).reshape(40, 3)
classes = (inputs.sum(1) > 0) + 1
net = NetChain([4, Ramp, BatchNormalizationLayer(), DropoutLayer(0.5), 2, SoftmaxLayer()])
results = NetTrain(net, (inputs, classes), All, BatchSize=16, MaxTrainingRounds=4, ValidationSet=Scaled(0.2), TargetDevice="CPU",
    Method=["ADAM", {"LearningRateSchedule": "Cosine", "L2Regularization": 0.001, "GradientClipping": 1.0}],
    LearningRateMultipliers={1: 0.5}, TrainingStoppingCriterion={"Criterion": "Loss", "Patience": 50},
    TrainingProgressMeasurements=["Accuracy", "ConfusionMatrix", lambda ports: ports["Output"]],
    TrainingProgressReporting=[File(folder + "/r.csv"), lambda facts: facts["Round"]],
    TrainingProgressFunction=lambda facts: dict(facts) and None,
    TrainingProgressCheckpointing=["Directory", folder])
trained = results("TrainedNet")
print(results("ValidationPositions").tolist(), results("RoundLossList").tolist(), results("BestValidationRound"))
for figure in results("FinalPlots").values(): figure.savefig(folder + "/x.png")
str(results), results._repr_html_(), results(results("Properties"))
Export(folder + "/n.netdsl", trained)
again = Import(folder + "/n.netdsl")
NetMeasurements(again, (inputs, classes), ["Accuracy", "ROCCurvePlot"])
str(again), again._repr_html_()
sequences = Rule([inputs[:k] for k in (2, 5, 4)], [1.0, 2, 3])
NetTrain(NetChain([GatedRecurrentLayer(3), SequenceLastLayer(), 1], Input=["Varying", 3]), sequences,
    MaxTrainingRounds=2, TrainingProgressReporting=None, WorkingPrecision="Mixed")
for wrong in (lambda: NetTrain(net, (inputs, classes + 1), TrainingProgressReporting=None),
              lambda: NetTrain(net, (inputs, classes[:-1])), lambda: NetTrain(net, (inputs * np.nan, classes)),
              lambda: NetTrain(net, (inputs, classes), LearningRate=-1), lambda: NetTrain(net, (inputs, classes), Batchsize=3),
              lambda: NetTrain(net, (inputs, classes), "Loss"), lambda: NetTrain(LinearLayer([]), (inputs, inputs[:, :2])),
              lambda: NetTrain(net, [f for f in [lambda i: 3]][0]),
              lambda: NetTrain(LinearLayer([]), (inputs * 1e30, classes), TrainingProgressReporting=None)):
    try: wrong(); print("no error")
    except NetError as e: print(type(e).__name__, e)
print(hashlib.sha256(b"".join(np.asarray(v).tobytes() for v in trained.array_table().values())).hexdigest())
"""


@pytest.mark.slow
def test_assertions_and_warnings_change_nothing():
    """One process for all: a warning from anywhere would end it, and nothing may depend on an assertion."""
    environment = {name: value for name, value in os.environ.items() if name not in ("DISPLAY", "WAYLAND_DISPLAY")}
    environment |= {"PYTHONPATH": str(ROOT), "NETDSL_CACHE_DIR": "off", "MPLBACKEND": "TkAgg", "JAX_PLATFORMS": "cpu"}
    command = [sys.executable, "-O", "-W", "error", "-c", SCRIPT]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=200, stdin=subprocess.DEVNULL)
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stderr == ""
    here = io.StringIO()
    with contextlib.redirect_stdout(here):
        exec(compile(SCRIPT, "<string>", "exec"), {"__name__": "__main__"})
    assert done.stdout == here.getvalue()
    assert "no error" not in done.stdout
    assert len(done.stdout.splitlines()) == 11
