"""A language model of characters: an LSTM that learns to go on with a text, one character after the other.

    python examples/character_lstm.py            # 400,000 characters, a minute on two cores
    python examples/character_lstm.py --quick    # 60,000 characters, a few seconds

The text is what comes with Python: the documentation strings of its standard library. After a minute the net writes words, brackets
and sentences of that kind, and makes no sense.
"""

import argparse
import importlib
import inspect

import numpy as np

from netdsl import *

CHARACTERS = ["\n", *map(chr, range(32, 127))]
MODULES = (
    "argparse ast asyncio calendar collections configparser contextlib csv datetime decimal difflib doctest email.message enum "
    "fractions functools gettext heapq html.parser http.client inspect ipaddress itertools json logging mailbox math operator os "
    "pathlib pickle platform plistlib pprint random re sched shelve shutil smtplib socket statistics string struct subprocess "
    "tarfile textwrap threading timeit tokenize traceback unittest urllib.request uuid weakref zipfile"
)


def documentation():
    """The documentation strings of modules, their classes and functions, each once."""
    found = {}
    for module in map(importlib.import_module, MODULES.split()):
        for thing in [module, *vars(module).values()]:
            for part in [thing, *(vars(thing).values() if inspect.isclass(thing) else ())]:
                text = "" if inspect.ismodule(part) and part is not module else inspect.getdoc(part) or ""
                if len(text) > 80 and set(text) <= set(CHARACTERS):
                    found[text] = None
    return "\n\n".join(found)


def character_lstm(size):
    """From characters to the probabilities of the character that follows each of them."""
    return NetChain(
        {
            "code": UnitVectorLayer(), "lstm": LongShortTermMemoryLayer(size),
            "classes": NetMapOperator(LinearLayer(len(CHARACTERS))), "probabilities": SoftmaxLayer(),
        },
        Input=NetEncoder("Class", CHARACTERS, Dimensions=["Varying"]),
        Output=NetDecoder("Class", CHARACTERS, InputDepth=2),
    )


def elements(size):
    """The numbers in its arrays: four gates with weights of 96 characters and of the state, and biases; a linear layer."""
    return 4 * (size * 96 + size * size + size) + (size * 96 + 96)


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


def written(net, beginning, count, temperature):
    """The beginning and `count` characters after it, each drawn by its probability and then read by the net, which keeps its state."""
    reader = NetStateObject(net)
    text = list(beginning)
    new = reader(text, ["RandomSample", temperature], RandomSeeding=0)[-1:]
    for place in range(1, count + 1):
        text += new
        new = reader(new, ["RandomSample", temperature], RandomSeeding=place)
    return "".join(text)


def pieces(text, length):
    """The text cut into pieces, each a list of characters."""
    return [list(text[start : start + length]) for start in range(0, len(text) - length + 1, length)]


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--quick", action="store_true", help="60,000 characters and a small net")
    arguments.add_argument("--seed", type=int, default=1234, help="random seed of initialization and training")
    options = arguments.parse_args()
    size, rounds, characters = (64, 2, 60_000) if options.quick else (128, 7, 400_000)

    text = documentation()[:characters]
    print(f"{len(text):,} characters, the first of them:\n{text[:200]}\n")
    examples = pieces(text, 64)
    held_out, examples = examples[::20], [piece for place, piece in enumerate(examples) if place % 20]

    net = character_lstm(size)
    print(net)
    trainingNet = teacher_forcing(net)
    print(trainingNet)
    assert Information(net, "ArraysTotalElementCount") == elements(size)

    results = NetTrain(
        trainingNet, {"Input": examples}, All, ValidationSet={"Input": held_out}, MaxTrainingRounds=rounds, BatchSize=32,
        LearningRate=0.004, RandomSeeding=options.seed,
    )
    print(results)
    trained = NetExtract(results("TrainedNet"), "net")

    loss = results("ValidationLoss")
    counts = np.unique(list(text), return_counts=True)[1] / len(text)
    alone = -(counts * np.log(counts)).sum()
    print(f"Bits for each character held out: {loss / np.log(2):.2f}; by how often each occurs alone: {alone / np.log(2):.2f}")
    assert loss < alone

    for temperature in (0.3, 0.7, 1.0):
        print(f"\n-- temperature {temperature}\n{written(trained, 'Return a ', 60 if options.quick else 300, temperature)}")


if __name__ == "__main__":
    main()
