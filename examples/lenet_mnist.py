"""LeNet on MNIST, as the article builds it: data, net, training, measurements, and a try of the pretrained net.

    python examples/lenet_mnist.py            # all 60,000 images, 5 rounds
    python examples/lenet_mnist.py --quick    # 5,000 images, 2 rounds
"""

import argparse

from netdsl import *

arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
arguments.add_argument("--quick", action="store_true", help="5,000 images and 2 rounds")
arguments.add_argument("--seed", type=int, default=1234, help="random seed of initialization and training")
arguments.add_argument("--plot", default="lenet_mnist_confusion.png", help="where the confusion-matrix plot is saved")
options = arguments.parse_args()
rounds = 2 if options.quick else 5

# The data: 60,000 images to train on and 10,000 to test with
trainingData = ResourceData("MNIST", "TrainingData")
testData = ResourceData("MNIST", "TestData")
if options.quick:
    trainingData, testData = RandomSample(trainingData, 5000), Take(testData, 2000)
print("Some training examples:", RandomSample(trainingData, 3))

# The net: LeNet, with an encoder that takes images and a decoder that gives digits
encoder = NetEncoder(["Image", [28, 28], {"ColorSpace": "Grayscale"}])
decoder = NetDecoder(["Class", Range(0, 9)])
uninitialized = NetChain(
    [
        ConvolutionLayer(20, 5), Ramp, PoolingLayer(2, 2),
        ConvolutionLayer(50, 5), Ramp, PoolingLayer(2, 2),
        FlattenLayer(), 500, Ramp, 10, SoftmaxLayer(),
    ],
    Input=encoder,
    Output=decoder,
)
print(uninitialized)

# Random first values: the net can be evaluated, but knows nothing yet
lenet = NetInitialize(uninitialized, RandomSeeding=options.seed)
print("Before training:", lenet(testData[0].key), "for a picture of", testData[0].value)

# The training graph: the net feeds a loss that compares its probabilities with the index of the right class
trainingNet = NetGraph(
    {"LeNet": lenet, "Loss": CrossEntropyLossLayer("Index")},
    [NetPort("Input") >> "LeNet" >> NetPort("Loss", "Input")],
)
print(trainingNet)

# Training; digits 0..9 are the classes 1..10
results = NetTrain(
    trainingNet,
    {"Input": Keys(trainingData), "Target": Values(trainingData) + 1},
    All,
    ValidationSet={"Input": Keys(testData), "Target": Values(testData) + 1},
    MaxTrainingRounds=rounds,
    RandomSeeding=options.seed,
)
print(results)

# The trained net, out of the training graph, with its encoder and decoder
trained = NetExtract(results("TrainedNet"), "LeNet")
trained = NetReplacePart(trained, {"Input": encoder, "Output": decoder})
print("After training:", trained(testData[0].key), trained(testData[0].key, ["TopProbabilities", 3]))
print("Ten pictures:", trained(Keys(testData)[:10]), "are", list(Values(testData)[:10]))

# Measurements on the test data
measurements = ClassifierMeasurements(trained, testData)
print(measurements)
measurements("ConfusionMatrixPlot").savefig(options.plot)
print(f"Test accuracy after {rounds} rounds: {measurements('Accuracy'):.4f}; the confusion-matrix plot is {options.plot}")

# The same net, already trained
pretrained = NetModel("LeNet Trained on MNIST Data")
print(f"Test accuracy of the pretrained net: {ClassifierMeasurements(pretrained, testData, 'Accuracy'):.4f}")
