"""A PixelCNN (van den Oord et al., 2016): each pixel of a digit is predicted from those above it and to its left, and so drawn.

    python examples/pixelcnn.py             # 60,000 pictures of 14x14, about a minute
    python examples/pixelcnn.py --quick     # 1,000 pictures, 1 round

A convolution whose kernel is masked from its middle on is the sum of two without masks: one over the rows above, one over the
pixels to the left. Both are ordinary ConvolutionLayers, moved by padding: nothing has to be masked, and no number is stored in vain.
"""

import argparse

import jax
import jax.numpy as jnp
import numpy as np
from pictures import save_sheet

from netdsl import *

SIZE, CHANNELS, BLOCKS = 14, 24, 5


def causal(channels, size, itself):
    """A convolution of size x size, masked after the middle, and at the middle too where a pixel must not see itself."""
    reach = size // 2
    above = NetChain(  # a row of zeros more at the top than is needed: all rows move down by one, the last one out
        [
            ConvolutionLayer(channels, [reach, size], PaddingSize=[[reach, 0], [reach, reach]]),
            PartLayer([All, Span(1, -2)]),
        ]
    )
    left = [ConvolutionLayer(channels, [1, reach + itself], PaddingSize=[[0, 0], [reach, 0]], Biases=None)]
    if not itself:
        left.append(PartLayer([All, All, Span(1, -2)]))
    return NetGraph({"above": above, "left": NetChain(left), "sum": Plus}, [(NetPort("Input"), ["above", "left"], "sum")])


def residual(channels):
    """A causal convolution of 3x3 between two of 1x1 that halve and restore the channels, added to what came in."""
    body = NetChain(
        [
            Ramp, ConvolutionLayer(channels // 2, 1),
            Ramp, causal(channels // 2, 3, itself=True),
            Ramp, ConvolutionLayer(channels, 1),
        ]
    )
    return NetGraph({"body": body, "sum": Plus}, [(NetPort("Input"), "body", "sum"), (NetPort("Input"), "sum")])


def pixelcnn(channels=CHANNELS, blocks=BLOCKS):
    """From a picture of zeros and ones to the probability of a one at each pixel, given those before it."""
    return NetChain(
        [
            causal(channels, 7, itself=False), *[residual(channels)] * blocks,
            Ramp, ConvolutionLayer(channels, 1), Ramp, ConvolutionLayer(1, 1), LogisticSigmoid,
        ],
        Input=[1, SIZE, SIZE],
    )


def element_count(c, blocks):
    """The numbers in all arrays: of a kernel of 7x7 the first 24, of one of 3x3 the first 5."""
    half = c // 2
    block = (c * half + half) + (5 * half * half + half) + (half * c + c)
    return 24 * c + c + blocks * block + (c * c + c) + (c + 1)


def pixels_seen(net):
    """A matrix of which pixel's probability (column) another pixel (row) changes, in reading order."""
    count = SIZE * SIZE
    picture = np.random.default_rng(1).integers(0, 2, count)
    changed = np.where(np.eye(count), 1 - picture, picture)  # in each row another pixel is flipped
    pictures = np.concatenate([changed, [picture]])
    probabilities = np.asarray(net(pictures.reshape(-1, 1, SIZE, SIZE))).reshape(-1, count)
    return abs(probabilities[:-1] - probabilities[-1]) > 1e-6


def drawn(net, count, seed):
    """Pictures that are drawn pixel after pixel, each with the probability that the net gives it; one compiled loop of JAX."""
    function = net.function()

    def pixel(place, state):
        pictures, key = state
        key, now = jax.random.split(key)
        probabilities = function(net.arrays, net.state, pictures)[0]
        row, column = place // SIZE, place % SIZE
        ones = jax.random.uniform(now, (count,)) < probabilities[:, 0, row, column]
        return pictures.at[:, 0, row, column].set(ones.astype(jnp.float32)), key

    start = jnp.zeros((count, 1, SIZE, SIZE)), jax.random.key(seed)
    return np.asarray(jax.jit(lambda: jax.lax.fori_loop(0, SIZE * SIZE, pixel, start)[0])())


def binary(pictures):
    """Pictures of half the size, of zeros and ones."""
    pixels = np.asarray(pictures).reshape(-1, 1, SIZE, 2, SIZE, 2).mean((3, 5))
    return (pixels > 80).astype(np.float32)


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--quick", action="store_true", help="1,000 pictures, 1 round")
    arguments.add_argument("--seconds", type=float, default=45, help="how long it is trained")
    arguments.add_argument("--plot", default="pixelcnn.png", help="where the drawn digits are saved")
    options = arguments.parse_args()

    net = NetInitialize(pixelcnn())
    print(net)
    count = Information(net, "ArraysTotalElementCount")
    print(f"{count:,} numbers")
    assert count == element_count(CHANNELS, BLOCKS) == 7_945

    seen = pixels_seen(net)
    assert not np.tril(seen).any()  # no pixel changes its own probability, or that of one before it
    print(f"A pixel changes the probability of later pixels only, of up to {seen.sum(1).max()} of them")

    digits = binary(Keys(ResourceData("MNIST", "TrainingData"))[: 1000 if options.quick else 60_000])
    tests = binary(Keys(ResourceData("MNIST", "TestData"))[: 500 if options.quick else 10_000])
    limit = {"MaxTrainingRounds": 1} if options.quick else {"TimeGoal": options.seconds}
    trained = NetTrain(net, Rule(digits, digits), LearningRate=0.003, BatchSize=64, **limit)

    nats = SIZE * SIZE * NetMeasurements(trained, Rule(tests, tests), "Loss")
    share = np.clip(digits.mean(0), 1e-4, 1 - 1e-4)
    alone = -np.mean(np.sum(tests * np.log(share) + (1 - tests) * np.log(1 - share), (1, 2, 3)))
    print(f"-log p of a test picture: {nats:.1f} nats; {alone:.1f} if each pixel stood alone; {196 * np.log(2):.1f} for a fair coin")
    pictures = drawn(trained, 16 if options.quick else 96, 1)
    save_sheet(options.plot, pictures[:, 0], 16)
    print(f"What is drawn: {options.plot}")


if __name__ == "__main__":
    main()
