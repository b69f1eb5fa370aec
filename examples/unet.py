"""A U-Net (Ronneberger et al., 2015) that finds the pixels of a handwritten digit on a cluttered background.

    python examples/unet.py             # 10,000 pictures, about a minute
    python examples/unet.py --quick     # 512 pictures, 1 round

The digit's brightness is drawn at random and so is that of the background around it: no threshold finds the digit.
"""

import argparse

import numpy as np
from pictures import save_rows

from netdsl import *


def convolutions(channels):
    """Two convolutions of 3x3, each normalized and followed by a ramp."""
    one = [ConvolutionLayer(channels, 3, PaddingSize=1), BatchNormalizationLayer(), Ramp]
    return NetChain(one * 2)


def unet(channels=8):
    """A U-Net of three scales for gray pictures of 32x32: the way down meets the way up by skips, which are catenated."""
    return NetGraph(
        {
            "down1": convolutions(channels), "shrink1": PoolingLayer(2, 2),
            "down2": convolutions(2 * channels), "shrink2": PoolingLayer(2, 2),
            "bottom": convolutions(4 * channels),
            "grow2": DeconvolutionLayer(2 * channels, 2, Stride=2), "join2": CatenateLayer(), "up2": convolutions(2 * channels),
            "grow1": DeconvolutionLayer(channels, 2, Stride=2), "join1": CatenateLayer(), "up1": convolutions(channels),
            "mask": NetChain([ConvolutionLayer(1, 1), LogisticSigmoid]),
        },
        [
            ("down1", "shrink1", "down2", "shrink2", "bottom", "grow2"),
            (["down2", "grow2"], "join2", "up2", "grow1"),
            (["down1", "grow1"], "join1", "up1", "mask"),
        ],
        Input=NetEncoder("Image", (32, 32), ColorSpace="Grayscale"),
        Output=NetDecoder("Image", ColorSpace="Grayscale"),
    )


def element_count(c):
    """The numbers in all arrays of the U-Net with c channels at the first scale."""

    def pair(given, made):
        return 9 * given * made + made + 9 * made * made + made + 2 * 4 * made

    down = pair(1, c) + pair(c, 2 * c) + pair(2 * c, 4 * c)
    grow = 4 * (4 * c * 2 * c) + 2 * c + 4 * (2 * c * c) + c
    return down + grow + pair(4 * c, 2 * c) + pair(2 * c, c) + c + 1


def cluttered(digits, seed):
    """Pictures of digits of any brightness on backgrounds of any brightness, and the masks of the digits, as bytes."""
    random = np.random.default_rng(seed)
    count = len(digits)
    ink = np.zeros((count, 32, 32))
    ink[:, 2:30, 2:30] = np.asarray(digits) / 255
    spots = random.random((count, 9, 9))  # a coarse random background, made smooth
    places = np.arange(32) / 4
    low, part = places.astype(int), places % 1
    rows = spots[:, low] * (1 - part[:, None]) + spots[:, low + 1] * part[:, None]
    background = rows[:, :, low] * (1 - part) + rows[:, :, low + 1] * part
    level = random.uniform(0, 1, (count, 1, 1))
    pictures = ink * level + (1 - ink) * background + random.normal(0, 0.05, ink.shape)
    return (255 * np.clip(pictures, 0, 1)).astype(np.uint8), (255 * (ink > 0.5)).astype(np.uint8)


def overlap(masks, wanted):
    """The intersection over union of each mask with the one that is wanted, on average."""
    both, either = (masks & wanted).sum((1, 2)), (masks | wanted).sum((1, 2))
    return float(np.mean(both / either))


def best_threshold(pictures, wanted):
    """The best overlap that a threshold reaches when for each picture the right one is known."""
    levels = np.linspace(0, 1, 33)[:, None, None, None]
    masks = np.concatenate([pictures > levels, pictures < levels])
    both, either = (masks & wanted).sum((2, 3)), (masks | wanted).sum((2, 3))
    return float(np.mean((both / either).max(0)))


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--quick", action="store_true", help="512 pictures, 1 round")
    arguments.add_argument("--plot", default="unet.png", help="where pictures and masks are saved")
    options = arguments.parse_args()

    net = unet()
    print(net)
    count = Information(net, "ArraysTotalElementCount")
    print(f"{count:,} numbers; the picture 32x32 becomes 32 channels of 8x8 at the bottom")
    assert count == element_count(8) == 29_961

    digits = Keys(ResourceData("MNIST", "TrainingData"))[: 512 if options.quick else 10_000]
    tests = Keys(ResourceData("MNIST", "TestData"))[:200]
    pictures, masks = cluttered(digits, 1)
    newPictures, newMasks = cluttered(tests, 2)

    # The net's last layer is a LogisticSigmoid: its loss is the binary cross entropy, its error rate the share of wrong pixels
    limit = {"MaxTrainingRounds": 1} if options.quick else {"TimeGoal": 40}
    trained = NetTrain(net, Rule(pictures, masks), BatchSize=32, LearningRate=0.003, **limit)

    found = np.asarray(trained(newPictures, None))[:, 0]
    wanted = newMasks > 127
    print(f"Intersection over union on {len(found)} new pictures: {overlap(found > 0.5, wanted):.3f}")
    print(f"The best threshold, chosen for each picture knowing its mask: {best_threshold(newPictures / 255, wanted):.3f}")
    save_rows(
        options.plot,
        {"picture": newPictures[:12] / 255, "found": found[:12], "digit": newMasks[:12] / 255},
    )
    print(f"Pictures, what is found in them and the digits are in {options.plot}")


if __name__ == "__main__":
    main()
