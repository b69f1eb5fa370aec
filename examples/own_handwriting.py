"""Digits of one's own handwriting, read by the pretrained LeNet.

    python examples/own_handwriting.py my_digits/          # a folder, or any number of picture files, of any size
    python examples/own_handwriting.py 3.png 7.jpg
    python examples/own_handwriting.py                     # without files: pictures made from MNIST's test data

MNIST's digits are light on dark, fit a square of 20 pixels and have their centre of mass in the middle of 28 x 28. A photographed
digit is brought into that form first: turned light on dark, cropped to its ink, fitted and centred. File names that begin with the
digit and an underscore (``7_mine.png``) are counted as right or wrong.
"""

import argparse
import re
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from netdsl import *

SUFFIXES = {".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp", ".tif", ".tiff"}


def like_mnist(picture):
    """The picture as MNIST's digits were made: light on dark, 20 pixels high or wide, centred by mass in 28 x 28."""
    picture = ImageOps.exif_transpose(picture)
    if picture.mode in ("RGBA", "LA", "P"):
        opaque = Image.new("RGBA", picture.size, "white")
        opaque.alpha_composite(picture.convert("RGBA"))
        picture = opaque
    pixels = np.asarray(picture.convert("L"), np.float32)
    border = np.concatenate([pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1]])
    ground = np.median(border)
    ink = ground - pixels if ground > 127 else pixels - ground
    ink = np.clip(ink, 0, None)
    strong = np.percentile(ink, 99.5)
    ink = np.clip((ink - 0.2 * strong) / max(0.7 * strong, 1), 0, 1)
    rows, columns = np.nonzero(ink.max(1) > 0.3)[0], np.nonzero(ink.max(0) > 0.3)[0]
    if not len(rows):
        return np.zeros((28, 28), np.uint8)
    digit = Image.fromarray((255 * ink[rows[0]:rows[-1] + 1, columns[0]:columns[-1] + 1]).astype(np.uint8))
    scale = 20 / max(digit.size)
    digit = digit.resize([max(1, round(size * scale)) for size in digit.size], Image.Resampling.LANCZOS)
    small = np.asarray(digit, np.float32)
    small = small * (255 / max(small.max(), 1))
    mass_row, mass_column = (np.average(np.arange(n), weights=small.sum(1 - axis) + 1e-6) for axis, n in enumerate(small.shape))
    top = int(np.clip(round(13.5 - mass_row), 0, 28 - small.shape[0]))
    left = int(np.clip(round(13.5 - mass_column), 0, 28 - small.shape[1]))
    canvas = np.zeros((28, 28), np.uint8)
    canvas[top:top + small.shape[0], left:left + small.shape[1]] = small
    return canvas


def demonstration(count):
    """Test digits of MNIST as someone else would send them: dark on light, 280 x 280."""
    for i, (picture, digit) in enumerate(Take(ResourceData("MNIST", "TestData"), count)):
        yield f"{digit}_example{i}.png", ImageOps.invert(picture).resize((280, 280))


def pictures(names):
    """The name and picture of every file, folders opened."""
    for name in names:
        path = Path(name).expanduser()
        for file in sorted(path.iterdir()) if path.is_dir() else [path]:
            if path.is_file() or file.suffix.lower() in SUFFIXES:
                yield file.name, Image.open(file)


arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
arguments.add_argument("pictures", nargs="*", help="picture files or folders")
arguments.add_argument("--quick", action="store_true", help="20 example pictures instead of 100 where no files are given")
arguments.add_argument("--plot", default="own_handwriting.png", help="where the pictures with their digits are saved")
options = arguments.parse_args()

lenet = NetModel("LeNet Trained on MNIST Data")
found = list(pictures(options.pictures) if options.pictures else demonstration(20 if options.quick else 100))
if not found:
    raise SystemExit("There are no pictures in " + ", ".join(options.pictures))
names = [name for name, _ in found]
digits = [like_mnist(picture) for _, picture in found]
read = lenet(digits)
top = lenet(digits, ["TopProbabilities", 2])

labels = [int(match[1]) if (match := re.match(r"(\d)_", name)) else None for name in names]
for name, digit, rules, label in zip(names, read, top, labels):
    mark = "" if label is None else "  right" if digit == label else f"  WRONG, it is {label}"
    print(f"{name:28}  {digit}   " + ", ".join(f"{rule.key}: {rule.value:.3f}" for rule in rules) + mark)

from matplotlib.figure import Figure  # noqa: E402

shown = min(len(digits), 40)
figure = Figure(figsize=(8, 1.1 * -(-shown // 10)))
for i in range(shown):
    axes = figure.add_subplot(-(-shown // 10), 10, i + 1)
    axes.imshow(digits[i], cmap="gray_r")
    axes.set_title(str(read[i]), fontsize=9, color="black" if labels[i] in (None, read[i]) else "red")
    axes.axis("off")
figure.savefig(options.plot, dpi=120, bbox_inches="tight")
print(f"The pictures as the net saw them are in {options.plot}")

counted = [(digit, label) for digit, label in zip(read, labels) if label is not None]
if counted:
    right = sum(digit == label for digit, label in counted)
    print(f"{right} of {len(counted)} pictures read rightly: {100 * right / len(counted):.1f} %")
