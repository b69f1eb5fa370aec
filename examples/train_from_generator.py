"""Training on examples that a function makes: noisy sine waves, never the same twice, whose frequency a net finds.

    python examples/train_from_generator.py            # 20 rounds of 6,400 waves
    python examples/train_from_generator.py --quick    # 3 rounds
"""

import argparse

import numpy as np

from netdsl import *

arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
arguments.add_argument("--quick", action="store_true", help="3 rounds")
arguments.add_argument("--seed", type=int, default=1234, help="random seed of the waves, of initialization and training")
options = arguments.parse_args()
rounds = 3 if options.quick else 20

times = np.linspace(0, 1, 64, dtype=np.float32)


def waves(info, seed=options.seed):
    """The batch of this number: waves of 1 to 5 periods, of any phase, with noise. The same number gives the same waves."""
    random = np.random.default_rng([seed, info["AbsoluteBatch"]])
    count = info["BatchSize"]
    frequencies, phases = random.uniform(1, 5, [count, 1]), random.uniform(0, 2 * np.pi, [count, 1])
    noise = random.normal(0, 0.1, [count, 64])
    return {"Input": np.sin(2 * np.pi * frequencies * times + phases) + noise, "Output": frequencies}


net = NetChain([128, Ramp, 64, Ramp, 1], Input=64)

# Each round asks for 100 batches of 64; while the net trains on some, the next are made
results = NetTrain(
    net,
    [waves, {"RoundLength": 6400}],
    All,
    ValidationSet=waves({"BatchSize": 1000, "AbsoluteBatch": 0}),
    MaxTrainingRounds=rounds,
    RandomSeeding=options.seed,
)
print(results)

test = waves({"BatchSize": 5, "AbsoluteBatch": 0}, seed=options.seed + 1)
found = results("TrainedNet")(test["Input"])
for frequency, guess in zip(test["Output"].ravel(), np.asarray(found).ravel()):
    print(f"a wave of {frequency:.2f} periods: the net says {guess:.2f}")

losses = results("ValidationLossList")
assert results("ExamplesProcessed") == 6400 * rounds
assert min(losses) < 1.0, "guessing the mean has a loss of 1.33"
