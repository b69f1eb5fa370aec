"""A variational autoencoder (Kingma and Welling, 2013) of handwritten digits, with a code of two numbers.

    python examples/variational_autoencoder.py             # 60,000 pictures, about a minute
    python examples/variational_autoencoder.py --quick     # 5,000 pictures, 2 rounds
"""

import argparse

import numpy as np
from pictures import save_rows, save_sheet

from netdsl import *

CODE, HIDDEN, PIXELS = 2, 256, 28 * 28


def encoding_net():
    """From a picture to the mean of its code and the logarithm of the code's variance."""
    return NetGraph(
        {"hidden": NetChain([FlattenLayer(), HIDDEN, Ramp]), "mean": CODE, "logVariance": CODE},
        [("hidden", "mean", NetPort("Mean")), ("hidden", "logVariance", NetPort("LogVariance"))],
        Input=NetEncoder("Image", (28, 28), ColorSpace="Grayscale"),
    )


def decoding_net():
    """From a code to a picture."""
    return NetChain(
        [HIDDEN, Ramp, PIXELS, LogisticSigmoid, ReshapeLayer([1, 28, 28])],
        Input=CODE,
        Output=NetDecoder("Image", ColorSpace="Grayscale"),
    )


def training_net():
    """The net whose losses are trained: a code is drawn, decoded and compared; codes are to be spread as a normal distribution.

    Divergence = Σ of (mean² + variance - 1 - log variance) / 2, the Kullback-Leibler divergence from the standard distribution.
    """
    return NetGraph(
        {
            "encoder": encoding_net(),
            "deviation": ElementwiseLayer(lambda x: Exp(x / 2)),
            "code": RandomArrayLayer(NormalDistribution),
            "decoder": decoding_net(),
            "pixels": CrossEntropyLossLayer("Binary"),
            "divergences": ThreadingLayer(lambda mean, logVariance: (mean**2 + Exp(logVariance) - 1 - logVariance) / 2),
            "divergence": SummationLayer(),
        },
        [
            (NetPort("encoder", "Mean"), NetPort("code", "mean")),
            (NetPort("encoder", "LogVariance"), "deviation", NetPort("code", "deviation")),
            ("code", "decoder", NetPort("pixels", "Input")),
            (NetPort("Input"), "encoder"),
            (NetPort("Input"), NetPort("pixels", "Target")),
            ("pixels", NetPort("Reconstruction")),
            ([NetPort("encoder", "Mean"), NetPort("encoder", "LogVariance")], "divergences", "divergence", NetPort("Divergence")),
        ],
    )


ENCODER = PIXELS * HIDDEN + HIDDEN + 2 * (HIDDEN * CODE + CODE)
DECODER = CODE * HIDDEN + HIDDEN + HIDDEN * PIXELS + PIXELS


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--quick", action="store_true", help="5,000 pictures, 2 rounds")
    arguments.add_argument("--plot", default="autoencoder", help="where the pictures are saved: this name with _codes.png, _digits.png")
    options = arguments.parse_args()

    net = training_net()
    print(net)
    count = Information(net, "ArraysTotalElementCount")
    print(f"{count:,} numbers: {ENCODER:,} in the encoder, {DECODER:,} in the decoder")
    assert count == ENCODER + DECODER == 404_244

    digits = Keys(ResourceData("MNIST", "TrainingData"))
    tests = Keys(ResourceData("MNIST", "TestData"))
    if options.quick:
        digits, tests = digits[:5000], tests[:1000]

    # The cross entropy is a mean over pixels: times their number it is the picture's, in nats, as the divergence is
    results = NetTrain(
        net,
        {"Input": digits},
        All,
        LossFunction=[Rule("Reconstruction", Scaled(PIXELS)), Rule("Divergence", Scaled(1))],
        ValidationSet={"Input": tests},
        MaxTrainingRounds=2 if options.quick else 20,
        TimeGoal=50,
        BatchSize=128,
    )
    print(results)
    trained = results("TrainedNet")
    losses = trained({"Input": tests})
    reconstruction, divergence = PIXELS * np.mean(losses["Reconstruction"]), np.mean(losses["Divergence"])
    print(f"Bound on -log p of a test picture: {reconstruction:.1f} + {divergence:.1f} = {reconstruction + divergence:.1f} nats")

    encoder, decoder = NetExtract(trained, "encoder"), NetExtract(trained, "decoder")
    shown = tests[:12]
    codes = encoder(shown)["Mean"]
    save_rows(f"{options.plot}_digits.png", {"digit": np.asarray(shown) / 255, "decoded": decoder(codes, None)})
    steps = np.linspace(-2, 2, 17)
    save_sheet(
        f"{options.plot}_codes.png",
        np.asarray(decoder([[x, y] for y in steps[::-1] for x in steps], None))[:, 0],
        len(steps),
        "What codes from (-2, -2) to (2, 2) become",
    )
    print(f"Digits and what becomes of them: {options.plot}_digits.png; all codes: {options.plot}_codes.png")


if __name__ == "__main__":
    main()
