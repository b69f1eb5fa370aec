"""Trains the two LeNets that NetModel gives, on all of MNIST and Fashion-MNIST, and measures them.

    python examples/train_models.py MNIST lenet_mnist.netdsl            # about 6 minutes on two cores
    python examples/train_models.py FashionMNIST lenet_fashion.netdsl
    python examples/train_models.py MNIST /tmp/try.netdsl --quick

The net is the article's. While it is trained, a DropoutLayer stands before the last linear layer, the learning rate falls to zero
along a cosine, and no choice is made by looking at the test data, which is only measured at the end.
"""

import argparse

import optax

from netdsl import *

arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
arguments.add_argument("data", choices=["MNIST", "FashionMNIST"])
arguments.add_argument("file", help="where the trained net is saved")
arguments.add_argument("--rounds", type=int, default=20)
arguments.add_argument("--quick", action="store_true", help="2,000 images and 1 round")
options = arguments.parse_args()

labels = Range(0, 9) if options.data == "MNIST" else ResourceData("FashionMNIST", "ClassNames")
lenet = NetChain(
    [
        ConvolutionLayer(20, 5), Ramp, PoolingLayer(2, 2),
        ConvolutionLayer(50, 5), Ramp, PoolingLayer(2, 2),
        FlattenLayer(), 500, Ramp, 10, SoftmaxLayer(),
    ],
    Input=NetEncoder("Image", (28, 28), ColorSpace="Grayscale"),
    Output=NetDecoder("Class", labels),
)


def labelled(element):
    """Pictures with the labels that the net's decoder gives."""
    data = ResourceData(options.data, element)
    data = Take(data, 2000) if options.quick else data
    return Rule(Keys(data), [labels[i] for i in Values(data)])


training, test = labelled("TrainingData"), labelled("TestData")
rounds = 1 if options.quick else options.rounds
batches = rounds * -(-len(training.key) // 64)
schedule = optax.cosine_decay_schedule(0.001, batches)

with_dropout = NetInsert(lenet, DropoutLayer(0.5), 10)
trained = NetTrain(with_dropout, training, MaxTrainingRounds=rounds, Method=optax.adamw(schedule, weight_decay=0.01))
trained = NetDelete(trained, 10)
Export(options.file, trained)
print(f"Accuracy on the test data: {ClassifierMeasurements(Import(options.file), test, 'Accuracy'):.4f}; the net is {options.file}")
