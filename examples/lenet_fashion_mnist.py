"""LeNet on Fashion-MNIST: the article's net on pictures of clothes.

    python examples/lenet_fashion_mnist.py [--quick]
"""

import argparse

from netdsl import *

arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
arguments.add_argument("--quick", action="store_true", help="5,000 images and 1 round")
arguments.add_argument("--plot", default="lenet_fashion_confusion.png", help="where the confusion-matrix plot is saved")
options = arguments.parse_args()

names = ResourceData("FashionMNIST", "ClassNames")
trainingData = ResourceData("FashionMNIST", "TrainingData")
testData = ResourceData("FashionMNIST", "TestData")
if options.quick:
    trainingData, testData = RandomSample(trainingData, 5000), Take(testData, 2000)


def named(data):
    """Pictures with the names of the clothes as labels."""
    return Rule(Keys(data), [names[i] for i in Values(data)])


lenet = NetChain(
    [
        ConvolutionLayer(20, 5), Ramp, PoolingLayer(2, 2),
        ConvolutionLayer(50, 5), Ramp, PoolingLayer(2, 2),
        FlattenLayer(), 500, Ramp, 10, SoftmaxLayer(),
    ],
    Input=NetEncoder("Image", (28, 28), ColorSpace="Grayscale"),
    Output=NetDecoder("Class", names),
)
trained = NetTrain(lenet, named(trainingData), ValidationSet=Scaled(0.1), MaxTrainingRounds=1 if options.quick else 5)

picture, label = testData[0]
print("The first test picture is", repr(names[label]), "and the net says", trained(picture, ["TopProbabilities", 3]))
measurements = ClassifierMeasurements(trained, named(testData))
print(measurements)
measurements("ConfusionMatrixPlot").savefig(options.plot)
print(f"Test accuracy: {measurements('Accuracy'):.4f}; the confusion-matrix plot is {options.plot}")
