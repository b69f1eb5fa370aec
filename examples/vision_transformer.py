"""A vision transformer on MNIST: a picture is a sequence of 16 patches, and a class token gathers what they say.

    python examples/vision_transformer.py            # all 60,000 images, a minute on two cores
    python examples/vision_transformer.py --quick    # 5,000 images and a small net, a few seconds

A picture shows test digits, and which patches the class token attends to.
"""

import argparse

import numpy as np
import optax
from matplotlib.figure import Figure

from netdsl import *

SIDE = 7  # of a patch, in pixels


def block(size, heads):
    """A pre-norm block: what attention finds is added to the sequence, then what a perceptron makes of each element."""
    norm, each = NormalizationLayer(2, "Same"), NetMapOperator(LinearLayer([heads, size // heads]))
    perceptron = NetChain([2 * size, ElementwiseLayer("GELU"), size])
    return NetGraph(
        {
            "norm1": norm, "key": each, "value": each, "query": each,
            "attention": AttentionLayer("Dot", MultiHead=True, ScoreRescaling="DimensionSqrt"),
            "heads": NetMapOperator(LinearLayer(size)), "add1": ThreadingLayer(Plus),
            "norm2": norm, "perceptron": NetMapOperator(perceptron), "add2": ThreadingLayer(Plus),
        },
        [
            NetPort("Input") >> "norm1",
            ("norm1", ["key", "value", "query"]),
            ("key", NetPort("attention", "Key")),
            ("value", NetPort("attention", "Value")),
            ("query", NetPort("attention", "Query")),
            ("attention", "heads"),
            ([NetPort("Input"), "heads"], "add1", "norm2", "perceptron"),
            (["add1", "perceptron"], "add2"),
        ],
    )


def vision_transformer(size, heads, blocks):
    """From a picture to its digit: patches, the class token before them, places, blocks, and a linear layer on the class token."""
    return NetGraph(
        {
            "patches": NetChain([ConvolutionLayer(size, SIDE, Stride=SIDE), FlattenLayer(-1), TransposeLayer()]),
            "class": NetArrayLayer(), "sequence": PrependLayer(),
            "places": NetArrayLayer(), "add": ThreadingLayer(Plus, None),
            "blocks": NetChain([block(size, heads) for _ in range(blocks)]),
            "norm": NormalizationLayer(2, "Same"),
            "digit": NetChain([PartLayer(1), 10, SoftmaxLayer()]),
        },
        [
            NetPort("Input") >> "patches" >> NetPort("sequence", "Input"),
            ("class", NetPort("sequence", "Element")),
            (["sequence", "places"], "add", "blocks", "norm", "digit"),
        ],
        Input=NetEncoder("Image", (28, 28), ColorSpace="Grayscale", MeanImage=0.13, VarianceImage=0.095),
        Output=NetDecoder("Class", range(10)),
    )


def elements(size, blocks):
    """The numbers in its arrays: patches of 49 pixels, class token, 17 places; blocks; a last normalization and a linear layer."""
    attention = 4 * (size * size + size)
    perceptron = (2 * size * size + 2 * size) + (2 * size * size + size)
    return (49 * size + size) + size + 17 * size + blocks * (2 * size + attention + 2 * size + perceptron) + 2 * size + (10 * size + 10)


def attention(net, pictures, blocks):
    """How much of each patch goes into the class token in the last block, over all heads: {pictures, 4, 4}."""
    ports = [NetPort("blocks", blocks, layer, "Output") for layer in ("key", "query")]
    keys, queries = net(pictures, ports)  # {pictures, 17, heads, size of a key}
    scores = np.einsum("nhk,nthk->nht", queries[:, 0], keys) / np.sqrt(keys.shape[-1])
    weights = np.exp(scores - scores.max(-1, keepdims=True))
    weights /= weights.sum(-1, keepdims=True)
    return weights.mean(1)[:, 1:].reshape(-1, 4, 4)


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--quick", action="store_true", help="5,000 images, 2 rounds and a small net")
    arguments.add_argument("--seed", type=int, default=1234, help="random seed of initialization and training")
    arguments.add_argument("--plot", default="vision_transformer.png", help="where the picture of the attention is saved")
    options = arguments.parse_args()
    size, heads, blocks, rounds = (32, 2, 1, 2) if options.quick else (64, 4, 3, 3)

    trainingData = ResourceData("MNIST", "TrainingData")
    testData = ResourceData("MNIST", "TestData")
    if options.quick:
        trainingData, testData = RandomSample(trainingData, 5000), Take(testData, 2000)

    net = vision_transformer(size, heads, blocks)
    print(net)
    assert Information(net, "ArraysTotalElementCount") == elements(size, blocks)

    batches = rounds * -(-len(trainingData) // 64)
    results = NetTrain(
        net, trainingData, All, MaxTrainingRounds=rounds, BatchSize=64, RandomSeeding=options.seed,
        Method=optax.adamw(optax.warmup_cosine_decay_schedule(0, 0.003, batches // 20, batches), weight_decay=0.01),
    )
    print(results)
    trained = results("TrainedNet")
    measurements = ClassifierMeasurements(trained, testData)
    print(measurements)

    pictures = Keys(testData)[:10]
    answers, seen = trained(pictures), attention(trained, pictures, blocks)
    figure = Figure(figsize=(10, 2.4))
    for place, (picture, answer, weights) in enumerate(zip(pictures, answers, seen)):
        above, below = figure.add_subplot(2, 10, place + 1), figure.add_subplot(2, 10, place + 11)
        above.imshow(picture, cmap="gray_r")
        above.set_title(str(answer), fontsize=9)
        below.imshow(weights, cmap="gray_r", vmin=0)
        above.axis("off")
        below.axis("off")
    figure.savefig(options.plot, dpi=120, bbox_inches="tight")
    print(f"Test accuracy: {measurements('Accuracy'):.4f}; what the class token attends to is in {options.plot}")


if __name__ == "__main__":
    main()
