"""Training on a file that need not fit the memory: an HDF5 file whose columns are named as the ports. First it writes one.

    python examples/train_from_hdf5.py            # 200,000 examples, 100 MB
    python examples/train_from_hdf5.py --quick    # 20,000 examples, 10 MB
"""

import argparse
import tempfile
from pathlib import Path

import h5py
import numpy as np

from netdsl import *

arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
arguments.add_argument("--quick", action="store_true", help="20,000 examples and 2 rounds")
arguments.add_argument("--seed", type=int, default=1234, help="random seed of the data, of initialization and training")
options = arguments.parse_args()
count, rounds = (20_000, 2) if options.quick else (200_000, 5)

# The file is written piece by piece: whether a point of 128 numbers lies near one of two centres, or the other
path = Path(tempfile.mkdtemp()) / "points.h5"
random = np.random.default_rng(options.seed)
centres = random.normal(size=(2, 128)) * 0.3
with h5py.File(path, "w") as file:
    points = file.create_dataset("Input", (count, 128), "f4", chunks=(16, 128))
    classes = file.create_dataset("Output", (count,), "i4")
    for start in range(0, count, 10_000):
        which = random.integers(0, 2, 10_000)
        points[start : start + 10_000] = centres[which] + random.normal(size=(10_000, 128))
        classes[start : start + 10_000] = which + 1
print(f"{path} has {path.stat().st_size / 1e6:.0f} MB")

net = NetChain([32, Ramp, 2, SoftmaxLayer()], Input=128)

# What fits the memory is read once; what does not is read while the net trains, in a new random order each round
results = NetTrain(
    net,
    File(str(path)),
    All,
    ValidationSet=Scaled(0.1),
    BatchSize=256,
    MaxTrainingRounds=rounds,
    RandomSeeding=options.seed,
)
print(results)
path.unlink()
assert results("ValidationMeasurements")["ErrorRate"] < 0.2, "guessing is wrong half of the time"
