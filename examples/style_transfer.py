"""The inner loop of neural style transfer: a picture is changed along the gradient of a loss until it shows one picture in the
style of another. The features are those of a convolutional net with random weights: nothing is downloaded or trained.

    python examples/style_transfer.py            # pictures of 160x160, 500 steps
    python examples/style_transfer.py --quick    # pictures of 64x64, 100 steps
"""

import argparse

import numpy as np
from PIL import Image

from netdsl import *

arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
arguments.add_argument("--quick", action="store_true", help="pictures of 64x64 and 100 steps")
arguments.add_argument("--content", help="a picture file to be shown, in place of the drawn landscape")
arguments.add_argument("--style", help="a picture file with the style, in place of the drawn waves")
arguments.add_argument("--strength", type=float, default=3000.0, help="how much the style counts")
arguments.add_argument("--seed", type=int, default=1234, help="random seed of the net's weights")
arguments.add_argument("--plot", default="style_transfer.png", help="where the three pictures are saved")
options = arguments.parse_args()
size, steps = (64, 100) if options.quick else (160, 500)


def landscape():
    """Two mountains and a sun over the sea."""
    y, x = np.mgrid[0:1:512j, 0:1:512j]
    picture = np.stack([0.55 + 0.4 * y, 0.7 + 0.2 * y, 0.95 - 0.1 * y], axis=-1)
    picture[(x - 0.74) ** 2 + (y - 0.24) ** 2 < 0.12**2] = [1.0, 0.85, 0.3]
    picture[y > 0.15 + 1.3 * abs(x - 0.35)] = [0.45, 0.4, 0.5]
    picture[(y > 0.15 + 1.3 * abs(x - 0.35)) & (y < 0.3)] = [0.97, 0.97, 1.0]
    picture[y > 0.4 + 1.1 * abs(x - 0.72)] = [0.25, 0.4, 0.3]
    picture[y > 0.72] = [0.1, 0.35, 0.55]
    return Image.fromarray((255 * picture).astype(np.uint8))


def waves():
    """Swirling bands of few strong colours."""
    y, x = np.mgrid[0:1:512j, 0:1:512j]
    swirl = np.hypot(x - 0.5, y - 0.45) * 60 + 3 * np.arctan2(y - 0.45, x - 0.5) + 2 * np.sin(9 * x + 4 * np.sin(7 * y))
    colours = np.array([[0.05, 0.1, 0.35], [0.15, 0.35, 0.7], [0.95, 0.8, 0.25], [0.9, 0.4, 0.15], [0.95, 0.95, 0.85]])
    bands = colours[(swirl / (0.4 * np.pi)).astype(int) % len(colours)]
    return Image.fromarray((255 * bands).astype(np.uint8))


content = Image.open(options.content) if options.content else landscape()
style = Image.open(options.style) if options.style else waves()


def gram(positions):
    """The style of a map of features: which of them occur together, wherever that is."""
    return NetGraph(
        {
            "rows": ReshapeLayer([Inherited, Automatic]), "columns": TransposeLayer(), "products": DotLayer(),
            "mean": ElementwiseLayer(lambda x: x / positions),
        },
        [("rows", "columns"), (["rows", "columns"], "products", "mean")],
    )


def block(channels):
    """Coarser features: the means of neighbours, seen through kernels."""
    return NetChain([PoolingLayer(2, 2, Function=Mean), ConvolutionLayer(channels, 5, PaddingSize="Same"), Ramp])


# What is compared: maps of features, coarser and coarser, and the styles of all. Random weights tell textures apart well enough
features = NetGraph(
    {
        "fine": NetChain([lambda x: x - 0.5, ConvolutionLayer(32, 5, PaddingSize="Same"), Ramp]),
        "medium": block(32), "coarse": block(64), "coarsest": block(64),
        "gram1": gram(size**2), "gram2": gram(size**2 / 4), "gram3": gram(size**2 / 16), "gram4": gram(size**2 / 64),
    },
    [
        ("fine", "medium", "coarse", "coarsest"), ("coarse", NetPort("Content")),
        ("fine", "gram1", NetPort("Style1")), ("medium", "gram2", NetPort("Style2")),
        ("coarse", "gram3", NetPort("Style3")), ("coarsest", "gram4", NetPort("Style4")),
    ],
    Input=NetEncoder("Image", (size, size)),
)
features = NetInitialize(features, RandomSeeding=options.seed)
print(features)

# The loss: how far the picture is from the content's coarse features, and from the style's styles
compared = ["Content", "Style1", "Style2", "Style3", "Style4"]
lossNet = NetGraph(
    {
        "features": features,
        **{name: MeanSquaredLossLayer() for name in compared},
        "total": ThreadingLayer(lambda content, *styles: content + options.strength * sum(styles), InputPorts=compared),
    },
    [
        *(NetPort("features", name) >> NetPort(name, "Input") for name in compared),
        *(NetPort(f"{name}Target") >> NetPort(name, "Target") for name in compared),
        *(name >> NetPort("total", name) for name in compared),
        ("total", NetPort("Loss")),
    ],
)
print(lossNet)

# The loop: from the content downhill along the gradient of the loss with respect to the picture, by Adam's steps
of_content, of_style = features(content), features(style)
given = {"ContentTarget": of_content["Content"], **{f"{name}Target": of_style[name] for name in compared[1:]}}
picture = np.asarray(content.convert("RGB").resize((size, size)), np.float32).transpose(2, 0, 1) / 255
mean, square, losses = np.zeros_like(picture), np.zeros_like(picture), []
for step in range(1, steps + 1):
    loss, gradient = lossNet({"Input": picture, **given}, ["Loss", NetPortGradient("Input")])
    mean, square = 0.9 * mean + 0.1 * gradient, 0.99 * square + 0.01 * gradient**2
    move = (mean / (1 - 0.9**step)) / (np.sqrt(square / (1 - 0.99**step)) + 1e-8)
    picture = np.clip(picture - 0.02 * move, 0, 1)
    losses.append(loss)
    if step == 1 or step % (steps // 5) == 0:
        print(f"step {step:4}: loss {loss:.4f}")
assert losses[-1] < losses[0] / 2, "the loss did not fall to half of what it was"

# The three pictures side by side
made = Image.fromarray((255 * picture.transpose(1, 2, 0)).round().astype(np.uint8))
shown = [image.convert("RGB").resize((256, 256), Image.Resampling.BICUBIC) for image in (content, style, made)]
Image.fromarray(np.concatenate([np.asarray(image) for image in shown], axis=1)).save(options.plot)
print(f"The loss fell from {losses[0]:.4f} to {losses[-1]:.4f}; content, style and result are in {options.plot}")
