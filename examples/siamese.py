"""A siamese net (Hadsell, Chopra and LeCun, 2006): handwritten digits as points of a plane, close together where they are alike.

    python examples/siamese.py             # 60,000 pairs of pictures, about a minute
    python examples/siamese.py --quick     # 4,000 pairs, 1 round
"""

import argparse

import numpy as np
from matplotlib.figure import Figure

from netdsl import *


def embedding_net(size=2):
    """From a picture of 28x28 to a point."""
    return NetChain(
        [
            ConvolutionLayer(12, 5), Ramp, PoolingLayer(2, 2),
            ConvolutionLayer(24, 5), Ramp, PoolingLayer(2, 2),
            FlattenLayer(), 128, Ramp, size,
        ],
        Input=[1, 28, 28],
    )


ELEMENTS = (25 * 12 + 12) + (25 * 12 * 24 + 24) + (24 * 4 * 4 * 128 + 128) + (128 * 2 + 2)


def pairs(data, count, seed):
    """Pairs of pictures, and whether their digits are different: about half of them are."""
    random = np.random.default_rng(seed)
    pictures, digits = np.asarray(Keys(data))[:, None] / np.float32(255), np.asarray(Values(data))
    places = [np.flatnonzero(digits == digit) for digit in range(10)]
    first = random.integers(0, len(digits), count)
    second = random.integers(0, len(digits), count)
    alike = random.random(count) < 0.5
    second[alike] = [random.choice(places[digit]) for digit in digits[first[alike]]]
    return np.stack([pictures[first], pictures[second]], axis=1), digits[first] != digits[second]


def save_points(path, points, digits):
    """A figure of points in the colours of their digits."""
    figure = Figure(figsize=(6.4, 5.4), layout="constrained", dpi=120)
    axes = figure.subplots()
    axes.spines[["top", "right"]].set_visible(False)
    axes.set_aspect("equal")
    drawn = axes.scatter(*points.T, c=digits, cmap="tab10", vmin=-0.5, vmax=9.5, s=6, linewidths=0)
    figure.colorbar(drawn, ticks=range(10), label="digit", shrink=0.8)
    for digit in range(10):
        axes.text(
            *np.median(points[digits == digit], axis=0), str(digit), fontsize=13, weight="bold", ha="center", va="center",
            bbox={"boxstyle": "circle,pad=0.15", "facecolor": "white", "alpha": 0.7, "edgecolor": "none"},
        )
    figure.savefig(path)


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--quick", action="store_true", help="4,000 pairs, 1 round")
    arguments.add_argument("--plot", default="siamese.png", help="where the digits are drawn as points")
    options = arguments.parse_args()
    training, test = ResourceData("MNIST", "TrainingData"), ResourceData("MNIST", "TestData")

    # The distance of two pictures is that of their points
    net = NetPairEmbeddingOperator(embedding_net())
    print(net)
    count = Information(net, "ArraysTotalElementCount")
    print(f"{count:,} numbers")
    assert count == ELEMENTS == 57_074

    # NetTrain attaches a ContrastiveLossLayer: what is alike (False) is drawn together, what is different (True) driven apart
    inputs, different = pairs(training, 4000 if options.quick else 60_000, 1)
    results = NetTrain(net, Rule(inputs, different), All, MaxTrainingRounds=1 if options.quick else 5, TimeGoal=50)
    print(results)
    trained = results("TrainedNet")

    inputs, different = pairs(test, 2000, 2)
    distances = np.asarray(trained(inputs))
    print(f"Mean distance on the test data: {distances[~different].mean():.3f} if alike, {distances[different].mean():.3f} if different")
    print(f"Of {len(distances):,} new pairs {np.mean((distances > 0.25) == different):.1%} are told apart at a distance of 0.25")

    # A digit is that of the closest of the training pictures, of which a few are asked
    embedding = NetExtract(trained, "Net")
    known, new = (np.asarray(embedding(np.asarray(Keys(data)[:2000])[:, None] / np.float32(255))) for data in (training, test))
    closest = np.argmin(((new[:, None] - known) ** 2).sum(-1), axis=1)
    digits = np.asarray(Values(test)[:2000])
    print(f"Accuracy of the closest of 2,000 known digits: {np.mean(np.asarray(Values(training)[:2000])[closest] == digits):.4f}")
    save_points(options.plot, new, digits)
    print(f"2,000 test digits as points: {options.plot}")


if __name__ == "__main__":
    main()
