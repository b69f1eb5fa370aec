"""A small GPT: a transformer that learns to go on with Python code, one character after the other.

    python examples/gpt.py            # 400,000 characters, a minute on two cores
    python examples/gpt.py --quick    # 60,000 characters, a few seconds

The text is what comes with Python: modules of its standard library. After a minute the net indents, closes brackets and writes the
commonest names; the code does not run.
"""

import argparse
import importlib
from pathlib import Path

import numpy as np
import optax

from netdsl import *

CHARACTERS = ["\t", "\n", *map(chr, range(32, 127))]
LENGTH = 63  # pieces of 64: varying lengths are padded up to 64, then to 96
MODULES = (
    "argparse ast bdb calendar cmd code codeop collections configparser copy csv dataclasses difflib dis doctest fileinput fractions "
    "functools getopt gettext gzip heapq inspect ipaddress linecache logging optparse pdb pickle plistlib pprint queue random"
)


def code():
    """The source of modules, indented by tabs, without what is not ASCII."""
    sources = (Path(importlib.import_module(module).__file__).read_text(encoding="utf-8") for module in MODULES.split())
    return "".join(character for character in "\n".join(sources).replace(4 * " ", "\t") if character in CHARACTERS)


def block(size, heads):
    """A pre-norm block: what attention finds is added to the sequence, then what a perceptron makes of each element."""
    norm, each = NormalizationLayer(2, "Same"), NetMapOperator(LinearLayer([heads, size // heads]))
    perceptron = NetChain([4 * size, ElementwiseLayer("GELU"), size])
    return NetGraph(
        {
            "norm1": norm, "key": each, "value": each, "query": each,
            "attention": AttentionLayer("Dot", Mask="Causal", MultiHead=True, ScoreRescaling="DimensionSqrt"),
            "heads": NetMapOperator(LinearLayer(size)), "add1": ThreadingLayer(Plus),
            "norm2": norm, "perceptron": NetMapOperator(perceptron), "add2": ThreadingLayer(Plus),
        },
        [
            NetPort("Input") >> "norm1",
            ("norm1", ["key", "value", "query"]),
            ("key", NetPort("attention", "Key")),
            ("value", NetPort("attention", "Value")),
            ("query", NetPort("attention", "Query")),
            ("attention", "heads"),
            ([NetPort("Input"), "heads"], "add1", "norm2", "perceptron"),
            (["add1", "perceptron"], "add2"),
        ],
    )


def gpt(size, heads, blocks):
    """From at most 63 characters to the probabilities of the character that follows each of them."""
    return NetGraph(
        {
            "characters": EmbeddingLayer(size), "places": NetChain([SequenceIndicesLayer(Maximum=LENGTH), EmbeddingLayer(size)]),
            "add": ThreadingLayer(Plus), "blocks": NetChain([block(size, heads) for _ in range(blocks)]),
            "norm": NormalizationLayer(2, "Same"), "classes": NetMapOperator(LinearLayer(len(CHARACTERS))),
            "probabilities": SoftmaxLayer(),
        },
        [
            (NetPort("Input"), ["characters", "places"], "add", "blocks", "norm", "classes", "probabilities"),
        ],
        Input=NetEncoder("Class", CHARACTERS, Dimensions=["Varying"]),
        Output=NetDecoder("Class", CHARACTERS, InputDepth=2),
    )


def elements(size, blocks):
    """The numbers in its arrays: rows for 97 characters and 63 places; blocks; a last normalization and a linear layer."""
    attention = 4 * (size * size + size)
    perceptron = (4 * size * size + 4 * size) + (4 * size * size + size)
    return (97 + 63) * size + blocks * (2 * size + attention + 2 * size + perceptron) + 2 * size + (97 * size + 97)


def teacher_forcing(net):
    """The training graph: the net reads all characters but the last, and is compared with all but the first."""
    return NetGraph(
        {"most": SequenceMostLayer(), "net": net, "rest": SequenceRestLayer(), "loss": CrossEntropyLossLayer("Index")},
        [
            NetPort("Input") >> "most" >> "net" >> NetPort("loss", "Input"),
            NetPort("Input") >> "rest" >> NetPort("loss", "Target"),
        ],
        Input=NetExtract(net, "Input"),
    )


def looks_ahead(net, text):
    """Whether a later character changes any probability before it."""
    plain = net(text, None)
    return any(
        not np.array_equal(net(text[:place] + ["~"] * (len(text) - place), None)[:place], plain[:place])
        for place in (1, len(text) // 2, len(text) - 1)
    )


def written(net, beginning, count, temperature):
    """`count` characters after the beginning, of at least 63, each drawn by its probability after the last 63."""
    text = list(beginning)
    for place in range(count):
        text.append(net(text[-LENGTH:], ["RandomSample", temperature], RandomSeeding=place)[-1])
    return "".join(text[len(beginning) :]).expandtabs(4)


def pieces(text, length):
    """The text cut into pieces, each a list of characters."""
    return [list(text[start : start + length]) for start in range(0, len(text) - length + 1, length)]


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--quick", action="store_true", help="60,000 characters and a small net")
    arguments.add_argument("--seed", type=int, default=1234, help="random seed of initialization and training")
    options = arguments.parse_args()
    size, heads, blocks, rounds, characters = (32, 2, 1, 2, 60_000) if options.quick else (96, 4, 2, 4, 400_000)

    text = code()[:characters]
    print(f"{len(text):,} characters, some of them:\n{text[-300:].expandtabs(4)}\n")
    examples = pieces(text, LENGTH + 1)
    held_out, examples = examples[::20], [piece for place, piece in enumerate(examples) if place % 20]

    net = gpt(size, heads, blocks)
    print(net)
    assert Information(net, "ArraysTotalElementCount") == elements(size, blocks)

    batches = rounds * -(-len(examples) // 32)
    results = NetTrain(
        teacher_forcing(net), {"Input": examples}, All, ValidationSet={"Input": held_out}, MaxTrainingRounds=rounds, BatchSize=32,
        Method=optax.adamw(optax.warmup_cosine_decay_schedule(0, 0.004, batches // 20, batches), weight_decay=0.01),
        RandomSeeding=options.seed,
    )
    print(results)
    trained = NetExtract(results("TrainedNet"), "net")
    assert not looks_ahead(trained, held_out[0][:LENGTH])

    loss = results("ValidationLoss")
    counts = np.unique(list(text), return_counts=True)[1] / len(text)
    alone = -(counts * np.log(counts)).sum()
    print(f"Bits for each character held out: {loss / np.log(2):.2f}; by how often each occurs alone: {alone / np.log(2):.2f}")
    assert loss < alone

    beginning = "".join(held_out[1])
    print(f"\n-- what it goes on with\n{beginning.expandtabs(4)}")
    for temperature in (0.3, 0.7):
        print(f"\n-- temperature {temperature}\n{written(trained, beginning, 60 if options.quick else 400, temperature)}")


if __name__ == "__main__":
    main()
