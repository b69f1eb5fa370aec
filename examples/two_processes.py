"""One net trained by two processes that share each batch, and by one alone: the same numbers.

    python examples/two_processes.py --quick   # starts the two on this machine and compares what they train

The script starts itself twice more. On a cluster a launcher does that (see docs/scaling.md); what a process does stays the same.
"""

import argparse
import socket
import subprocess
import sys
import tempfile
from pathlib import Path

import jax
import numpy as np

from netdsl import *

arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
arguments.add_argument("--quick", action="store_true", help="2 rounds instead of 20")
arguments.add_argument("--process", type=int, help="which process this is; the script sets it itself")
arguments.add_argument("--address", help="where process 0 is waiting for the others")
arguments.add_argument("--file", help="where process 0 writes its net")
options = arguments.parse_args()


def train(report):
    """The same in every process: all of the data, and the size of a batch of all together."""
    digits = ExampleData(["MachineLearning", "Digits"])
    net = NetChain([ConvolutionLayer(8, 3), BatchNormalizationLayer(), Ramp, DropoutLayer(0.2), FlattenLayer(), 10, SoftmaxLayer()])
    return NetTrain(net, digits, BatchSize=32, MaxTrainingRounds=2 if options.quick else 20, ValidationSet=Scaled(0.1),
        TargetDevice=("CPU", 1), TrainingProgressReporting=report)


if options.process is not None:
    jax.config.update("jax_platforms", "cpu")
    jax.config.update("jax_cpu_collectives_implementation", "gloo")
    jax.distributed.initialize(options.address, 2, options.process, shutdown_timeout_seconds=30)
    net = train("Print")  # process 1 stays silent
    print(f"process {options.process}: {net(np.full((8, 8), 0.5), None).round(3)}", flush=True)
    if options.process == 0:
        Export(options.file, net)
else:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "net.netdsl")
        command = [sys.executable, __file__, "--address", address, "--file", str(file), *["--quick"] * options.quick]
        both = [subprocess.Popen([*command, "--process", str(process)]) for process in range(2)]
        if sum(process.wait() for process in both):
            raise SystemExit("one of the processes failed")
        together = Import(file)
    alone = train(None)
    apart = max(float(np.max(np.abs(value - alone.arrays[path]))) for path, value in together.arrays.items())
    print(f"The arrays that two processes trained and those that one trained differ by at most {apart:.1e}.")
    test = ExampleData(["MachineLearning", "Digits"], "TestData")
    for name, net in {"two processes": together, "one process": alone}.items():
        print(f"Accuracy of the net of {name}: {ClassifierMeasurements(net, test, 'Accuracy'):.4f}")
