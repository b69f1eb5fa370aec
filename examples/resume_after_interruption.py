"""LeNet's training is killed in its middle, started again, and ends with the bits of one that was never interrupted.

    python examples/resume_after_interruption.py             # MNIST, 3 rounds, killed twice: some minutes
    python examples/resume_after_interruption.py --quick     # 4,000 images, 2 rounds, killed once

What makes it so is one option: ``TrainingProgressCheckpointing=["Directory", …, {"Resume": True}]``. The same call begins the
training, and goes on from the last checkpoint when it is made again.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from netdsl import *


def train(folder, quick):
    """The training, with checkpoints in the folder where one is given."""
    lenet = NetModel("LeNet Trained on MNIST Data", "UninitializedEvaluationNet")
    data = ResourceData("MNIST")
    where = (
        None if folder is None else ["Directory", folder, {"Interval": Quantity(10 if quick else 100, "Batches"), "Resume": True}]
    )
    return NetTrain(
        lenet,
        Take(data, 4000) if quick else data,
        All,
        MaxTrainingRounds=2 if quick else 3,
        ValidationSet=Scaled(0.1),
        TrainingProgressCheckpointing=where,
        TrainingProgressReporting=None,
    )


def killed(folder, quick, checkpoints):
    """Train in a process of its own, and kill it as soon as there are so many checkpoints."""
    process = subprocess.Popen([sys.executable, __file__, "--folder", folder, *(["--quick"] if quick else [])])
    while len(list(Path(folder).glob("*.netdsl"))) < checkpoints:
        if process.poll() is not None:
            raise SystemExit("The training ended before it could be killed.")
        time.sleep(0.01)
    process.kill()
    process.wait()
    last = max(Path(folder).glob("*.netdsl"))
    print(f"killed; the last checkpoint is {last.name}, {last.stat().st_size:,} bytes")


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--quick", action="store_true", help="4,000 images, 2 rounds, killed once")
    arguments.add_argument("--folder", help="only train, with checkpoints there: what is killed")
    options = arguments.parse_args()
    if options.folder:
        train(options.folder, options.quick)
        return

    with tempfile.TemporaryDirectory() as folder:
        for checkpoints in [5] if options.quick else [4, 13]:
            killed(folder, options.quick, checkpoints)
        interrupted = train(folder, options.quick)
        files = interrupted("CheckpointingFiles")
        print(f"{len(files)} checkpoints, in all {sum(map(os.path.getsize, files)) / 1e6:.0f} MB")
    uninterrupted = train(None, options.quick)

    print(uninterrupted)
    pairs = [
        *zip(interrupted("TrainedNet").arrays.values(), uninterrupted("TrainedNet").arrays.values()),
        *((interrupted(name), uninterrupted(name)) for name in ("BatchLossList", "ValidationLossList", "BestValidationRound")),
    ]
    same = all(np.asarray(one).tobytes() == np.asarray(other).tobytes() for one, other in pairs)
    print(f"The interrupted training has {'the same bits' if same else 'OTHER BITS'}.")
    if not same:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
