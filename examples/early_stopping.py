"""Early stopping: a net that would learn its few examples by heart is stopped when the validation data no longer gain.

python examples/early_stopping.py             # 60 noisy points of a sine, a few seconds
python examples/early_stopping.py --quick     # at most 60 rounds
"""

import argparse

import numpy as np
from matplotlib.figure import Figure

from netdsl import *


def noisy_sine(count, seed):
    """Points of a sine with noise."""
    random = np.random.default_rng(seed)
    x = random.uniform(-3, 3, count)
    return Rule(x[:, None], np.sin(2 * x) + 0.3 * random.normal(size=count))


def save_fits(path, data, nets):
    """A figure of the points and of what nets make of them."""
    figure = Figure(figsize=(6.4, 3.8), layout="constrained", dpi=120)
    axes = figure.subplots()
    axes.spines[["top", "right"]].set_visible(False)
    axes.plot(np.ravel(data.key), data.value, "o", color="#9aa3ad", markersize=4, label="training data")
    x = np.linspace(-3, 3, 400)
    axes.plot(x, np.sin(2 * x), color="#2d3138", linewidth=1, linestyle="--", label="the sine")
    for (name, net), colour in zip(nets.items(), ("#2f6db5", "#e07b1f")):
        axes.plot(x, net(x[:, None]), color=colour, linewidth=1.8, label=name)
    axes.set_ylim(-2.2, 2.2)
    axes.legend(frameon=False, fontsize=9, loc="upper right", ncols=2)
    figure.savefig(path)


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--quick", action="store_true", help="at most 60 rounds")
    arguments.add_argument("--figure", default="early_stopping.png", help="where the figure goes")
    quick = arguments.parse_args().quick
    figure = arguments.parse_args().figure

    data, validation, test = noisy_sine(60, 1), noisy_sine(200, 2), noisy_sine(2000, 3)
    net = NetChain([128, Tanh, 128, Tanh, LinearLayer([])], Input=1)
    rounds = 60 if quick else 3000
    options = {"BatchSize": 20, "LearningRate": 0.005, "TrainingProgressReporting": None}

    stopped = NetTrain(
        net,
        data,
        All,
        ValidationSet=validation,
        MaxTrainingRounds=rounds,
        TrainingProgressMeasurements=["StandardDeviation", "RSquared"],
        TrainingStoppingCriterion={"Criterion": "StandardDeviation", "Patience": 100, "InitialPatience": 20},
        **options,
    )
    print(stopped)
    print("the training", stopped("ReasonTrainingStopped"))
    to_the_end = NetTrain(net, data, MaxTrainingRounds=rounds, **options)
    for name, each in (("stopped early", stopped("TrainedNet")), (f"after {rounds} rounds", to_the_end)):
        print(f"{name}: standard deviation on test data {NetMeasurements(each, test, 'StandardDeviation'):.3f}")
    stopped("FinalPlots")["StandardDeviation"].savefig(figure.replace(".png", "_course.png"))
    save_fits(figure, data, {"stopped early": stopped("TrainedNet"), f"after {rounds} rounds": to_the_end})


if __name__ == "__main__":
    main()
