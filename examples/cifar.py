"""A convolutional net on CIFAR-10 or CIFAR-100, with encoder and decoder adapted to colour pictures and class names.

    python examples/cifar.py             # CIFAR-10: 50,000 pictures, 139 MB on the first run
    python examples/cifar.py --classes 100
    python examples/cifar.py --quick     # 2,000 pictures, 1 round; pictures like CIFAR's are made up where none are cached
"""

import argparse

import numpy as np

from netdsl import *

arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
arguments.add_argument("--classes", type=int, default=10, choices=[10, 100])
arguments.add_argument("--quick", action="store_true", help="2,000 pictures, 1 round, no download")
arguments.add_argument("--rounds", type=int, default=8)
arguments.add_argument("--plot", default="cifar_confusion.png", help="where the confusion-matrix plot is saved")
options = arguments.parse_args()


def stand_in(count, seed):
    """Noisy pictures whose colour tells their class: what --quick trains on, without a download."""
    random = np.random.default_rng(seed)
    classes = random.integers(0, 10, count)
    hues = np.random.default_rng(0).uniform(40, 215, (10, 1, 1, 3))
    pictures = np.clip(hues[classes] + random.normal(0, 40, (count, 32, 32, 3)), 0, 255).astype(np.uint8)
    return Rule(pictures, [f"colour {c}" for c in classes])


if options.quick:
    names = [f"colour {c}" for c in range(10)]
    trainingData, testData = stand_in(2000, 1), stand_in(500, 2)
else:
    name = f"CIFAR-{options.classes}"
    names = ResourceData(name, "ClassNames")
    trainingData, testData = ResourceData(name, "TrainingData"), ResourceData(name, "TestData")

net = NetChain(
    {
        "conv1": ConvolutionLayer(32, 3, PaddingSize=1), "ramp1": Ramp, "pool1": PoolingLayer(2, 2),
        "conv2": ConvolutionLayer(64, 3, PaddingSize=1), "ramp2": Ramp, "pool2": PoolingLayer(2, 2),
        "conv3": ConvolutionLayer(128, 3, PaddingSize=1), "ramp3": Ramp, "pool3": PoolingLayer(2, 2),
        "flatten": FlattenLayer(), "dropout": DropoutLayer(0.4), "hidden": 256, "ramp4": Ramp,
        "classes": LinearLayer(), "probabilities": SoftmaxLayer(),
    },
    Input=NetEncoder("Image", (32, 32), ColorSpace="RGB", MeanImage=(0.491, 0.482, 0.447), VarianceImage=(0.061, 0.059, 0.068)),
    Output=NetDecoder("Class", names),
)
print(net)

results = NetTrain(net, trainingData, All, ValidationSet=Scaled(0.05), MaxTrainingRounds=1 if options.quick else options.rounds)
print(results)
measurements = ClassifierMeasurements(results("TrainedNet"), testData)
print(measurements)
measurements("ConfusionMatrixPlot").savefig(options.plot)
print(f"Test accuracy on {len(names)} classes: {measurements('Accuracy'):.4f}; the confusion-matrix plot is {options.plot}")
