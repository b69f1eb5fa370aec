"""A Wasserstein GAN (Arjovsky et al., 2017) of clothes: a critic of limited steepness has two turns, then the generator has one.

    python examples/wasserstein_gan.py             # 60,000 pictures, about a minute
    python examples/wasserstein_gan.py --quick     # 640 pictures, 1 round
"""

import argparse

import numpy as np
from pictures import save_sheet

from netdsl import *

LATENT, CLIP, CRITIC_STEPS = 32, 0.02, 2
JUDGING, MAKING = ["gan", "Discriminator"], ["gan", "Generator"]
# The two go round each other rather than to a place: the mean of where they were makes cleaner clothes than the last
TRAINING = {
    "Method": ["RMSProp", {"Beta": 0.9, "Momentum": 0, "WeightClipping": [Rule(JUDGING, CLIP)], "MovingAverage": 0.998}],
    "LearningRate": 0.0003,
    "LearningRateMultipliers": [Rule(MAKING, 2)],
    "TrainingUpdateSchedule": [Rule(JUDGING, CRITIC_STEPS), Rule(MAKING, 1)],
    "BatchSize": 64,
}


def generator(size=256):
    """From random numbers to a picture."""
    return NetChain(
        [
            size, BatchNormalizationLayer(), Ramp, 2 * size, BatchNormalizationLayer(), Ramp,
            784, LogisticSigmoid, ReshapeLayer([1, 28, 28]),
        ],
        Input=LATENT,
    )


def critic(size=256):
    """From a picture to a number, high for what is real. It ends in no probability."""
    leaky = ParametricRampLayer([], Slope=0.2, LearningRateMultipliers=0)
    return NetChain([FlattenLayer(), 2 * size, leaky, size, leaky, LinearLayer([])], Input=[1, 28, 28])


def wasserstein_gan(size=256):
    """Generator and critic against each other: LossReal is -D(x), LossFake D(G(z)), for z drawn anew for each example."""
    return NetGraph(
        {
            "latent": RandomArrayLayer(NormalDistribution(0, 1), Output=LATENT),
            "gan": NetGANOperator([generator(size), critic(size)], "Wasserstein"),
        },
        [("latent", NetPort("gan", "Latent"))],
        Sample=NetEncoder("Image", (28, 28), ColorSpace="Grayscale"),
    )


def element_counts(n):
    """The numbers in all arrays of generator and critic."""
    made = (LATENT + 1) * n + 4 * n + (n + 1) * 2 * n + 4 * 2 * n + (2 * n + 1) * 784
    judged = 785 * 2 * n + 1 + (2 * n + 1) * n + 1 + n + 1
    return made, judged


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--quick", action="store_true", help="640 pictures, 1 round")
    arguments.add_argument("--seconds", type=float, default=50, help="how long it is trained")
    arguments.add_argument("--plot", default="wasserstein_gan.png", help="where the made clothes are saved")
    options = arguments.parse_args()

    net = wasserstein_gan()
    print(net)
    count = Information(net, "ArraysTotalElementCount")
    made, judged = element_counts(256)
    print(f"{count:,} numbers: {made:,} in the generator, {judged:,} in the critic")
    assert count == made + judged == 1_078_803

    clothes = Keys(ResourceData("FashionMNIST", "TrainingData"))
    if options.quick:
        clothes = clothes[:640]
    limit = {"MaxTrainingRounds": 1} if options.quick else {"TimeGoal": options.seconds}
    results = NetTrain(net, {"Sample": clothes}, All, **TRAINING, **limit)
    print(results)
    trained = NetExtract(results("TrainedNet"), "gan")
    critics = NetExtract(trained, "Discriminator")
    largest = max(float(abs(array).max()) for path, array in critics.arrays.items() if path[-1] != "Slope")
    print(f"The largest number in the critic is {largest:.3f}, the limit {CLIP}")
    assert largest <= CLIP * (1 + 1e-6)

    latent = np.random.default_rng(1).normal(size=(96, LATENT))
    pictures = NetExtract(trained, "Generator")(latent)
    real = np.asarray(clothes[:96])[:, None] / 255
    print(f"The critic's distance between clothes and what is made: {np.mean(critics(real)) - np.mean(critics(pictures)):.3f}")
    save_sheet(options.plot, np.asarray(pictures)[:, 0], 16)
    print(f"What the generator makes: {options.plot}")


if __name__ == "__main__":
    main()
