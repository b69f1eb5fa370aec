"""The article's training in one call: an uninitialized LeNet and the name of a data set.

    python examples/lenet_by_name.py             # on the GPU where there is one
    python examples/lenet_by_name.py --literal   # TargetDevice="GPU" as the article writes it: a clear error without a GPU
"""

import argparse

import jax

from netdsl import *

arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
arguments.add_argument("--quick", action="store_true", help="1 round on 5,000 images")
arguments.add_argument("--literal", action="store_true", help='TargetDevice="GPU", whatever there is')
arguments.add_argument("--data", default="MNIST", choices=["MNIST", "FashionMNIST"])
options = arguments.parse_args()

lenet = NetModel("LeNet Trained on MNIST Data", "UninitializedEvaluationNet")
if options.data == "FashionMNIST":
    lenet = NetModel("LeNet Trained on Fashion-MNIST Data", "UninitializedEvaluationNet")

has_gpu = any(device.platform == "gpu" for device in jax.devices())
device = "GPU" if has_gpu or options.literal else "CPU"
data = Take(ResourceData(options.data), 5000) if options.quick else options.data

try:
    trained = NetTrain(lenet, data, MaxTrainingRounds=1 if options.quick else 5, TargetDevice=device)
except DeviceError as error:
    raise SystemExit(f"DeviceError: {error}") from None
print(trained)
print(f"Accuracy on the test data of {options.data}: {ClassifierMeasurements(trained, options.data, 'Accuracy'):.4f}")
