"""Training on a folder of pictures whose subfolders are the classes. First it draws one: circles, squares and triangles.

    python examples/train_from_folder.py            # 1,500 pictures, 15 rounds
    python examples/train_from_folder.py --quick    # 300 pictures, 8 rounds
    python examples/train_from_folder.py --folder pictures    # your own pictures
"""

import argparse
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from netdsl import *

arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
arguments.add_argument("--quick", action="store_true", help="300 pictures and 8 rounds")
arguments.add_argument("--folder", help="a folder with a subfolder of pictures for each class")
arguments.add_argument("--seed", type=int, default=1234, help="random seed of the pictures, of initialization and training")
options = arguments.parse_args()
count, rounds = (100, 8) if options.quick else (500, 15)


def draw(shape, random):
    """A light shape somewhere on a dark ground of some grain."""
    image = Image.fromarray(random.integers(0, 80, size=(40, 40), dtype=np.uint8))
    x, y, r = random.integers(12, 28), random.integers(12, 28), random.integers(6, 12)
    pen, light = ImageDraw.Draw(image), int(random.integers(150, 256))
    if shape == "triangle":
        pen.polygon([(x - r, y + r), (x + r, y + r), (x, y - r)], fill=light)
    else:
        {"circle": pen.ellipse, "square": pen.rectangle}[shape]([x - r, y - r, x + r, y + r], fill=light)
    return image


folder = Path(options.folder or tempfile.mkdtemp(prefix="shapes-"))
if options.folder is None:
    random = np.random.default_rng(options.seed)
    for shape in ["circle", "square", "triangle"]:
        (folder / shape).mkdir()
        for i in range(count):
            draw(shape, random).save(folder / shape / f"{i:03}.png")
    # one file is damaged, as some always are
    (folder / "circle" / "007.png").write_bytes(b"no picture")
classes = sorted(path.name for path in folder.iterdir() if path.is_dir())

net = NetChain(
    [
        ConvolutionLayer(16, 3), Ramp, PoolingLayer(2, 2),
        ConvolutionLayer(32, 3), Ramp, PoolingLayer(2, 2),
        FlattenLayer(), len(classes), SoftmaxLayer(),
    ],
    Input=NetEncoder("Image", [32, 32], ColorSpace="Grayscale"),
)

# Pictures of any size; those that cannot be read are left out and counted
results = NetTrain(
    net,
    folder,
    All,
    ValidationSet=Scaled(0.2),
    BatchSize=16,
    MaxTrainingRounds=rounds,
    SkipInvalidExamples=True,
    RandomSeeding=options.seed,
)
print(results)
print("Left out:", results("SkippedTrainingData"))

trained = results("TrainedNet")
some = [sorted((folder / name).iterdir())[-1] for name in classes]
for path, guess in zip(some, trained([File(str(path)) for path in some])):
    print(f"{path.parent.name}/{path.name} is a {guess}")

if options.folder is None:
    assert results("ValidationMeasurements")["ErrorRate"] < 0.5, "guessing is wrong two times of three"
