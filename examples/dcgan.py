"""A deep convolutional GAN (Radford et al., 2015): a generator learns to make handwritten digits that a discriminator takes for real.

    python examples/dcgan.py             # 60,000 pictures, about a minute
    python examples/dcgan.py --quick     # 1,000 pictures, 1 round
"""

import argparse

import numpy as np
from pictures import save_sheet

from netdsl import *

LATENT = 64


def generator(channels=16):
    """From random numbers to a picture: 7x7, 14x14, 28x28."""
    return NetChain(
        [
            2 * channels * 49, ReshapeLayer([2 * channels, 7, 7]), BatchNormalizationLayer(), Ramp,
            DeconvolutionLayer(channels, 4, Stride=2, PaddingSize=1), BatchNormalizationLayer(), Ramp,
            DeconvolutionLayer(1, 4, Stride=2, PaddingSize=1), LogisticSigmoid,
        ],
        Input=LATENT,
        Output=NetDecoder("Image", ColorSpace="Grayscale"),
    )


def discriminator(channels=16):
    """From a picture to the probability that it is real. It drops some of what it sees: it must not be too sure too soon."""
    leaky = ParametricRampLayer([], Slope=0.2, LearningRateMultipliers=0)
    return NetChain(
        [
            ConvolutionLayer(channels, 4, Stride=2, PaddingSize=1), leaky, DropoutLayer(0.3),
            ConvolutionLayer(2 * channels, 4, Stride=2, PaddingSize=1), leaky, DropoutLayer(0.3),
            FlattenLayer(), LinearLayer([]), LogisticSigmoid,
        ],
        Input=[1, 28, 28],
    )


def dcgan(channels=16):
    """Generator and discriminator against each other; the generator's random numbers are drawn anew for each example."""
    return NetGraph(
        {
            "latent": RandomArrayLayer(NormalDistribution(0, 1), Output=LATENT),
            "gan": NetGANOperator([generator(channels), discriminator(channels)]),
        },
        [("latent", NetPort("gan", "Latent"))],
        Sample=NetEncoder("Image", (28, 28), ColorSpace="Grayscale"),
    )


def element_counts(c):
    """The numbers in all arrays of generator and discriminator."""
    made = (LATENT + 1) * 2 * c * 49 + 4 * 2 * c + (2 * c * c * 16 + c) + 4 * c + (c * 16 + 1)
    judged = (16 * c + c) + 1 + (c * 2 * c * 16 + 2 * c) + 1 + (2 * c * 49 + 1)
    return made, judged


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--quick", action="store_true", help="1,000 pictures, 1 round")
    arguments.add_argument("--seconds", type=float, default=50, help="how long it is trained")
    arguments.add_argument("--plot", default="dcgan.png", help="where the made digits are saved")
    options = arguments.parse_args()

    net = dcgan()
    print(net)
    count = Information(net, "ArraysTotalElementCount")
    made, judged = element_counts(16)
    print(f"{count:,} numbers: {made:,} in the generator, {judged:,} in the discriminator")
    assert count == made + judged == 120_644

    digits = Keys(ResourceData("MNIST", "TrainingData"))
    if options.quick:
        digits = digits[:1000]
    # The ports LossReal and LossFake are what is minimized; the slope that reaches the generator is reversed,
    # so that each batch trains both.
    # The discriminator learns at half the rate: were it always right, the generator could learn nothing from it.
    # The two go round each other rather than to a place: the mean of where they were makes cleaner digits than the last
    limit = {"MaxTrainingRounds": 1} if options.quick else {"TimeGoal": options.seconds}
    results = NetTrain(
        net,
        {"Sample": digits},
        All,
        Method=["ADAM", {"Beta1": 0.5, "MovingAverage": 0.998}],
        LearningRate=0.001,
        LearningRateMultipliers=[Rule(["gan", "Discriminator"], 0.5)],
        BatchSize=32,
        **limit,
    )
    print(results)
    trained = NetExtract(results("TrainedNet"), "gan")
    latent = np.random.default_rng(1).normal(size=(96, LATENT))
    pictures = NetExtract(trained, "Generator")(latent, None)
    judge = NetExtract(trained, "Discriminator")
    real = np.asarray(digits[:96])[:, None] / 255
    print(f"Probability of being real: {np.mean(judge(real)):.2f} for digits, {np.mean(judge(pictures)):.2f} for what is made")
    save_sheet(options.plot, np.asarray(pictures)[:, 0], 16)
    print(f"What the generator makes: {options.plot}")


if __name__ == "__main__":
    main()
