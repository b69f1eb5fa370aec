"""Regression with error bars (Nix and Weigend, 1994): a net gives a mean and a spread, and its loss is a net of its own.

The loss is the negative logarithm of the likelihood of a normal distribution, log(s) + (t - m)^2 / (2 s^2) + log(2 pi) / 2.

    python examples/regression_error_bars.py             # 1,000 points, a few seconds
    python examples/regression_error_bars.py --quick     # 20 rounds
"""

import argparse

import jax.numpy as jnp
import numpy as np
from matplotlib.figure import Figure

from netdsl import *


def spread(x):
    """The noise of the data: it grows to the right."""
    return 0.05 + 0.25 * (x + 3) / 6


def points(count, seed):
    """Points of a curve with noise."""
    random = np.random.default_rng(seed)
    x = random.uniform(-3, 3, count)
    return Rule(x[:, None], (np.sin(x) + 0.3 * x + spread(x) * random.normal(size=count))[:, None])


def mean_and_spread_net():
    """From a number to a mean and the logarithm of a standard deviation."""
    return NetChain([64, Tanh, 64, Tanh, 2], Input=1)


def likelihood_loss():
    """From such a pair and a target to the negative logarithm of its likelihood."""
    return FunctionLayer(
        lambda Input, Target: Input[1] + 0.5 * ((Target[0] - Input[0]) * jnp.exp(-Input[1])) ** 2 + 0.5 * np.log(2 * np.pi),
        Input=2,
        Target=1,
    )


def inside(ports):
    """Whether the target is within two standard deviations of the mean."""
    output = ports["Output"]
    return abs(ports["Target"][0] - output[0]) < 2 * jnp.exp(output[1])


def save_error_bars(path, data, net):
    """A figure of the points, the mean, and two standard deviations around it, beside the true ones."""
    figure = Figure(figsize=(6.8, 4.2), layout="constrained", dpi=120)
    axes = figure.subplots()
    axes.spines[["top", "right"]].set_visible(False)
    axes.plot(np.ravel(data.key), np.ravel(data.value), ".", color="#b3bac2", markersize=3, label="data")
    x = np.linspace(-3, 3, 300)
    mean, log_spread = np.asarray(net(x[:, None])).T
    far = 2 * np.exp(log_spread)
    axes.fill_between(x, mean - far, mean + far, color="#2f6db5", alpha=0.18, linewidth=0, label="two standard deviations")
    axes.plot(x, mean, color="#2f6db5", linewidth=2, label="mean")
    truth = np.sin(x) + 0.3 * x
    for sign in (-2, 2):
        axes.plot(
            x, truth + sign * spread(x), color="#e07b1f", linewidth=1.2, linestyle="--", label="true ones" if sign > 0 else None
        )
    axes.legend(frameon=False, fontsize=9, loc="upper left")
    figure.savefig(path)


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--quick", action="store_true", help="20 rounds")
    arguments.add_argument("--figure", default="regression_error_bars.png", help="where the figure goes")
    options = arguments.parse_args()

    data, test = points(1000, 1), points(2000, 2)
    results = NetTrain(
        mean_and_spread_net(),
        data,
        All,
        LossFunction=likelihood_loss(),
        ValidationSet=points(500, 3),
        BatchSize=50,
        LearningRate=0.003,
        MaxTrainingRounds=20 if options.quick else 400,
        TrainingProgressReporting=None,
        TrainingProgressMeasurements={"Measurement": inside, "Key": "Inside"},
        TrainingStoppingCriterion={"Patience": 40},
    )
    net = results("TrainedNet")
    print(results)
    print("the training", results("ReasonTrainingStopped"))
    x, target = np.ravel(test.key), np.ravel(test.value)
    mean, log_spread = np.asarray(net(x[:, None])).T
    print(
        f"within two standard deviations: {100 * np.mean(np.abs(target - mean) < 2 * np.exp(log_spread)):.1f} % (of a normal 95.4 %)"
    )
    print(f"mean error of the standard deviation: {np.mean(np.abs(np.exp(log_spread) - spread(x))):.3f}")
    save_error_bars(options.figure, data, net)


if __name__ == "__main__":
    main()
