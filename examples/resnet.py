"""ResNet-20 for small pictures, with pre-activation (He et al., Identity Mappings in Deep Residual Networks, 2016), on CIFAR-10.

    python examples/resnet.py             # CIFAR-10: 139 MB on the first run; about a minute
    python examples/resnet.py --seconds 3600
    python examples/resnet.py --quick     # 320 pictures of Fashion-MNIST, without CIFAR's download
"""

import argparse

from netdsl import *


def residual(channels, stride=1):
    """Two convolutions, each after normalization and ramp, added to what came in.

    Where the block halves the picture and doubles the channels, what came in is every second pixel, with channels of zeros.
    """
    body = NetChain(
        [
            BatchNormalizationLayer(), Ramp, ConvolutionLayer(channels, 3, Stride=stride, PaddingSize=1, Biases=None),
            BatchNormalizationLayer(), Ramp, ConvolutionLayer(channels, 3, PaddingSize=1, Biases=None),
        ]
    )
    if stride == 1:
        return NetGraph({"body": body, "sum": Plus}, [(NetPort("Input"), "body", "sum"), (NetPort("Input"), "sum")])
    new = channels // 4
    shortcut = NetChain([PoolingLayer(1, stride), PaddingLayer([[new, new], [0, 0], [0, 0]])])
    return NetGraph({"body": body, "shortcut": shortcut, "sum": Plus}, [(NetPort("Input"), ["body", "shortcut"], "sum")])


def resnet(names, blocks=3):
    """The ResNet of 6·blocks + 2 layers with weights, for pictures of 32x32 and these classes."""
    stages = [residual(channels, 2 if first and channels > 16 else 1) for channels in (16, 32, 64) for first in [1] + [0] * (blocks - 1)]
    return NetChain(
        [
            ConvolutionLayer(16, 3, PaddingSize=1, Biases=None), *stages, BatchNormalizationLayer(), Ramp,
            AggregationLayer(Mean), len(names), SoftmaxLayer(),
        ],
        Input=NetEncoder("Image", (32, 32), ColorSpace="RGB", MeanImage=(0.491, 0.482, 0.447), VarianceImage=(0.061, 0.059, 0.068)),
        Output=NetDecoder("Class", names),
    )


WEIGHTS = 3 * 3 * (3 * 16 + 6 * 16 * 16 + 16 * 32 + 5 * 32 * 32 + 32 * 64 + 5 * 64 * 64) + 10 * 64 + 10
"""The numbers in the weights of ResNet-20: 268,346."""
NORMALIZED = 6 * 16 + (16 + 5 * 32) + (32 + 5 * 64) + 64
"""The channels that are normalized, 688: each has a scaling, a bias, and a moving mean and variance."""


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--quick", action="store_true", help="320 pictures of Fashion-MNIST, 1 round")
    arguments.add_argument("--seconds", type=float, default=30, help="how long it is trained")
    arguments.add_argument("--plot", default="resnet_confusion.png", help="where the confusion-matrix plot is saved")
    options = arguments.parse_args()

    name = "FashionMNIST" if options.quick else "CIFAR-10"
    names = ResourceData(name, "ClassNames")
    trainingData, testData = ResourceData(name, "TrainingData"), ResourceData(name, "TestData")
    if options.quick:  # gray pictures of 28x28: the encoder makes them what the net takes
        trainingData, testData = Take(trainingData, 320), Take(testData, 64)
        trainingData, testData = (Rule(Keys(data), [names[i] for i in Values(data)]) for data in (trainingData, testData))

    net = resnet(names)
    print(net)
    count = Information(net, "ArraysTotalElementCount")
    learned = count - 2 * NORMALIZED
    print(f"{learned:,} numbers are learned, and {2 * NORMALIZED:,} are moving means and variances")
    assert count == WEIGHTS + 4 * NORMALIZED == 271_098
    assert learned == 269_722  # the article's 0.27 million

    limit = {"MaxTrainingRounds": 1} if options.quick else {"TimeGoal": options.seconds}
    results = NetTrain(net, trainingData, All, BatchSize=32 if options.quick else 64, LearningRate=0.002, **limit)
    print(results)
    measurements = ClassifierMeasurements(results("TrainedNet"), testData)
    print(measurements)
    measurements("ConfusionMatrixPlot").savefig(options.plot)
    print(f"Test accuracy: {measurements('Accuracy'):.4f}; the confusion-matrix plot is {options.plot}")


if __name__ == "__main__":
    main()
