"""An encoder, attention and a decoder: English words for a number are translated into its digits.

    python examples/sequence_to_sequence.py            # 40,000 numbers, a minute on two cores
    python examples/sequence_to_sequence.py --quick    # 4,000 numbers, a few seconds

"three hundred and five thousand and twelve" becomes "305012". Sentences and numbers are of many lengths, and a place without words
still needs its 0. The numbers to test with are none of those to train with. A picture shows which words each digit attends to.
"""

import argparse

import numpy as np
from matplotlib.figure import Figure

from netdsl import *

SMALL = [
    "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve", "thirteen",
    "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen",
]
TENS = ["twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"]
WORDS = [*SMALL, *TENS, "hundred", "thousand", "and"]
SIGNS = [*"0123456789", "start", "end"]


def words(number):
    """The words for a number below a million."""
    if number < 20:
        return [SMALL[number]]
    for unit, name in ((1000, "thousand"), (100, "hundred")):
        if number >= unit:
            rest = number % unit
            joined = ["and"] * (0 < rest < 100)
            return [*words(number // unit), name, *joined, *(words(rest) if rest else [])]
    return [TENS[number // 10 - 2], *([SMALL[number % 10]] if number % 10 else [])]


def translator(size):
    """From words and the signs written so far to the probabilities of the sign that comes next.

    The words are read in both directions; the decoder begins in a state made of the last of what was read, and each of its states
    asks for the words that matter next.
    """
    return NetGraph(
        {
            "words": EmbeddingLayer(size),
            "encoder": NetBidirectionalOperator([GatedRecurrentLayer(size), GatedRecurrentLayer(size)]),
            "last": SequenceLastLayer(),
            "beginning": NetChain([2 * size, Tanh]),
            "signs": EmbeddingLayer(size),
            "decoder": GatedRecurrentLayer(2 * size),
            "attention": AttentionLayer("Bilinear"),
            "join": CatenateLayer(2),
            "classes": NetMapOperator(NetChain([2 * size, Ramp, len(SIGNS)])),
            "probabilities": SoftmaxLayer(),
        },
        [
            NetPort("Words") >> "words" >> "encoder" >> "last" >> "beginning" >> NetPort("decoder", "State"),
            NetPort("Signs") >> "signs" >> "decoder" >> NetPort("attention", "Query"),
            ("encoder", NetPort("attention", "Key")),
            ("encoder", NetPort("attention", "Value")),
            (["decoder", "attention"], "join", "classes", "probabilities"),
        ],
        Words=NetEncoder("Class", WORDS, Dimensions=["Varying"]),
        Signs=NetEncoder("Class", SIGNS, Dimensions=["Varying"]),
        Output=NetDecoder("Class", SIGNS, InputDepth=2),
    )


def elements(size):
    """The numbers in its arrays, layer by layer; three gates have weights of the input and the state, and biases."""
    return sum(
        [
            31 * size,  # words
            2 * 3 * (size * size + size * size + size),  # encoder
            2 * size * 2 * size + 2 * size,  # beginning
            12 * size,  # signs
            3 * (2 * size * size + 2 * size * 2 * size + 2 * size),  # decoder
            2 * size * 2 * size,  # attention
            2 * size * 4 * size + 2 * size + 12 * 2 * size + 12,  # classes
        ]
    )


def teacher_forcing(net):
    """The training graph: the decoder reads the right signs but the last, and is compared with all but the first."""
    return NetGraph(
        {"most": SequenceMostLayer(), "net": net, "rest": SequenceRestLayer(), "loss": CrossEntropyLossLayer("Index")},
        [
            NetPort("Words") >> NetPort("net", "Words"),
            NetPort("Signs") >> "most" >> NetPort("net", "Signs"),
            "net" >> NetPort("loss", "Input"),
            NetPort("Signs") >> "rest" >> NetPort("loss", "Target"),
        ],
        Signs=NetExtract(net, "Signs"),
    )


def data(numbers):
    """The two columns of the training graph."""
    return {"Words": [words(n) for n in numbers], "Signs": [["start", *str(n), "end"] for n in numbers]}


def translated(net, sentences):
    """The digits for each sentence: the most probable sign is written down in its place and read again.

    A sign depends on none after it, so the places still to be filled may hold anything.
    """
    signs = [["start", *["end"] * 6] for _ in sentences]
    for place in range(6):
        for each, new in zip(signs, net({"Words": sentences, "Signs": signs})):
            each[place + 1] = new[place]
    return ["".join(sign for sign in each[1:] if sign.isdigit()) for each in signs]


def attention(net, sentence, signs):
    """How much of each word goes into each sign: the weights of the AttentionLayer, by its formula."""
    ports = [NetPort(layer, "Output") for layer in ("encoder", "decoder", "attention")]
    keys, queries, means = net({"Words": sentence, "Signs": signs}, ports)
    scores = queries @ (keys @ NetExtract(net, ["attention", "Net", "Weights"])).T
    weights = np.exp(scores - scores.max(1, keepdims=True))
    weights /= weights.sum(1, keepdims=True)
    assert np.allclose(weights @ keys, means, atol=1e-4)
    return weights


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--quick", action="store_true", help="4,000 numbers, 1 round and a small net")
    arguments.add_argument("--seed", type=int, default=1234, help="random seed of initialization and training")
    arguments.add_argument("--plot", default="sequence_to_sequence.png", help="where the picture of the attention is saved")
    options = arguments.parse_args()
    size, rounds, count = (32, 1, 4000) if options.quick else (64, 3, 40_000)

    numbers = np.random.default_rng(0).permutation(1_000_000)[: count + 1000].tolist()
    test, numbers = numbers[:1000], numbers[1000:]

    net = translator(size)
    print(net)
    assert net.input_names == ("Words", "Signs")
    assert Information(net, "ArraysTotalElementCount") == elements(size)

    results = NetTrain(
        teacher_forcing(net), data(numbers), All, MaxTrainingRounds=rounds, BatchSize=64, LearningRate=0.003,
        RandomSeeding=options.seed,
    )
    print(results)
    trained = NetExtract(results("TrainedNet"), "net")

    answers = translated(trained, [words(n) for n in test])
    for number, answer in list(zip(test, answers))[:8]:
        print(f"{' '.join(words(number)):70} {answer:>7}" + ("" if answer == str(number) else f"   WRONG, it is {number}"))
    right = sum(answer == str(number) for number, answer in zip(test, answers))
    print(f"{right} of {len(test)} numbers that it has not seen are translated without a mistake")

    sentence, answer = words(305_012), translated(trained, [words(305_012)])[0]
    weights = attention(trained, sentence, ["start", *answer])
    figure = Figure(figsize=(6, 4))
    axes = figure.add_subplot()
    axes.imshow(weights, cmap="gray_r", vmin=0, vmax=1)
    axes.set_xticks(range(len(sentence)), sentence, rotation=45, ha="right")
    axes.set_yticks(range(len(answer) + 1), [*answer, "end"])
    figure.savefig(options.plot, dpi=120, bbox_inches="tight")
    print(f"Which words each digit of {answer} attends to is in {options.plot}")


if __name__ == "__main__":
    main()
