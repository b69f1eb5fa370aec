"""Transfer learning: a net that knows the digits 0 to 4 learns 5 to 9 from a few pictures of each.

    python examples/transfer_learning.py             # 2 to 50 pictures of each new digit, under a minute
    python examples/transfer_learning.py --quick     # 10 pictures of each new digit, fewer rounds

NetTake keeps the convolutions of the net, which get a new head for the new classes. The head is trained alone first, the rest is
frozen by LearningRateMultipliers; then all is trained on at a small rate. The same net without what it learned before is trained
on the same pictures, for as many rounds.
"""

import argparse

import numpy as np
from matplotlib.figure import Figure

from netdsl import *

OLD, NEW = Range(0, 4), Range(5, 9)
COLORS = {"from scratch": "#888888", "new head": "#4477aa", "fine-tuned": "#cc4455"}


def classifier():
    """A net for the old digits. What it finds up to "features" is of use for other digits too; what comes behind is of these."""
    return NetChain(
        {
            "conv1": ConvolutionLayer(20, 5), "ramp1": Ramp, "pool1": PoolingLayer(2, 2),
            "conv2": ConvolutionLayer(50, 5), "ramp2": Ramp, "pool2": PoolingLayer(2, 2),
            "features": FlattenLayer(), "dropout": DropoutLayer(0.5), "hidden": 128, "ramp3": Ramp,
            "digits": len(OLD), "probabilities": SoftmaxLayer(),
        },
        Input=NetEncoder("Image", (28, 28), ColorSpace="Grayscale"),
        Output=NetDecoder("Class", OLD),
    )


def with_new_head(net):
    """The features of the net, and behind them other layers for the new digits."""
    head = NetChain([DropoutLayer(0.5), 128, Ramp, len(NEW), SoftmaxLayer()])
    return NetChain({"trunk": NetTake(net, "features"), "head": head}, Output=NetDecoder("Class", NEW))


def examples(data, digits, each=None):
    """The examples of these digits; of each only so many, from all places of the data, if a number is given."""
    labels = np.asarray(Values(data))
    places = [np.flatnonzero(labels == digit) for digit in digits]
    chosen = np.concatenate([found[:: len(found) // each][:each] if each else found for found in places])
    return Rule(np.asarray(Keys(data))[chosen], labels[chosen])


def trained(net, data, watched, rounds, **options):
    """The net after its last round, and its accuracy on the watched examples after each. Nothing is chosen by them."""
    curve = []
    net = NetTrain(
        net, data, MaxTrainingRounds=rounds, BatchSize=16, TrainingProgressReporting=None,
        TrainingProgressFunction=lambda facts: curve.append(ClassifierMeasurements(facts["Net"], watched, "Accuracy")), **options,
    )
    return net, curve


def compared(known, data, watched, rounds):
    """The net of each way and its curve."""
    scratch, from_nothing = trained(with_new_head(classifier()), data, watched, 2 * rounds)
    head, first = trained(with_new_head(known), data, watched, rounds, LearningRate=0.002, LearningRateMultipliers={"trunk": 0})
    fine, then = trained(head, data, watched, rounds, LearningRate=0.0003)
    return {"from scratch": (scratch, from_nothing), "new head": (head, first), "fine-tuned": (fine, first + then)}


def save_curves(path, curves, table):
    """A figure of accuracies by round, and of accuracies by the number of pictures."""
    figure = Figure(figsize=(9, 3.8), layout="constrained", dpi=120)
    rounds, counts = figure.subplots(1, 2)
    for name in ("from scratch", "fine-tuned", "new head"):
        rounds.plot(np.arange(1, len(curves[name]) + 1), curves[name], color=COLORS[name], label=name)
        counts.plot(list(table), [row[name] for row in table.values()], "o-", color=COLORS[name], label=name)
    freed = len(curves["new head"])
    rounds.axvline(freed, color="#bbbbbb", linestyle=":", linewidth=1)
    rounds.text(freed + 0.3, rounds.get_ylim()[0], " the trunk learns too", color="#888888", fontsize=8, va="bottom")
    rounds.set(xlabel="round", ylabel="accuracy on new digits", title=f"{min(table)} pictures of each digit, 500 to test")
    counts.set(xlabel="pictures of each digit", title="at the end, all test data", xscale="log")
    counts.set_xticks(list(table), labels=map(str, table), minor=False)
    counts.minorticks_off()
    for axes in (rounds, counts):
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(color="#eeeeee")
    counts.legend(loc="lower right", frameon=False)
    figure.savefig(path)


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--quick", action="store_true", help="10 pictures of each new digit, fewer rounds")
    arguments.add_argument("--plot", default="transfer_learning.png", help="where the curves are saved")
    options = arguments.parse_args()
    training, test = ResourceData("MNIST", "TrainingData"), ResourceData("MNIST", "TestData")

    old = examples(training, OLD, 300 if options.quick else None)
    known = NetTrain(classifier(), old, MaxTrainingRounds=2)
    print(f"Accuracy on the digits {OLD[0]} to {OLD[-1]}: {ClassifierMeasurements(known, examples(test, OLD), 'Accuracy'):.4f}")
    net = with_new_head(known)
    print(net)

    new = examples(test, NEW)
    table, curves = {}, {}
    for each in [10] if options.quick else [2, 5, 20, 50]:
        ways = compared(known, examples(training, NEW, each), examples(test, NEW, 100), 5 if options.quick else 12)
        table[each] = {name: ClassifierMeasurements(net, new, "Accuracy") for name, (net, _) in ways.items()}
        curves = curves or {name: curve for name, (_, curve) in ways.items()}

    print(f"Accuracy on {len(Values(new)):,} test pictures of the digits {NEW[0]} to {NEW[-1]}:")
    print(f"{'pictures of each':16}  " + "  ".join(f"{name:>12}" for name in COLORS))
    for each, row in table.items():
        print(f"{each:16}  " + "  ".join(f"{row[name]:12.1%}" for name in COLORS))
    save_curves(options.plot, curves, table)
    print(f"The curves: {options.plot}")


if __name__ == "__main__":
    main()
