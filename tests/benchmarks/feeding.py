"""How fast streamed examples are ready to be trained on: netdsl's own threads against Grain, by turns.

    python tests/benchmarks/feeding.py            # two minutes on two cores; --quick: to see that it runs

Each turn reads all examples once in a random order, decodes and encodes them, and places them on the device; nothing is trained.
netdsl is timed as NetTrain reads: what it does is that of its own feed. Grain has the forms that its documentation gives: a row at a
time by threads, the same in worker processes, and, where a source gives many rows at once, a batch of rows at a time. Its batches
are placed as netdsl's chunks are. Worker processes start anew for each turn, which is in their time.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path[:0] = [str(Path(__file__).parents[2]), str(Path(__file__).parent)]

import numpy as np  # noqa: E402

BATCH = 64
SIDE = 64
"""The sides of a picture as the net gets it."""


class Rows:
    """Rows of numbers by position, one at a time."""

    def __init__(self, count: int) -> None:
        self.values = np.random.default_rng(0).normal(size=(count, 64)).astype(np.float32)

    def __len__(self) -> int:
        return len(self.values)

    def __getitem__(self, place: int) -> dict[str, Any]:
        return {"Input": self.values[place], "Output": self.values[place, :1]}


class ManyRows(Rows):
    """The same, also many at once: as the datasets of Hugging Face and TFDS give them."""

    def __getitems__(self, places: Any) -> list[dict[str, Any]]:
        found = self.values[places]
        return [{"Input": row, "Output": row[:1]} for row in found]


class Pictures:
    """Paths of JPEG files, which the encoder of the net decodes."""

    def __init__(self, folder: str, count: int) -> None:
        from PIL import Image

        random = np.random.default_rng(0)
        self.paths, self.count = [f"{folder}/{i}.jpg" for i in range(200)], count
        for path in self.paths:
            blocks = random.integers(0, 255, (15, 20, 3), dtype=np.uint8)
            Image.fromarray(np.kron(blocks, np.ones((8, 8, 1), np.uint8))).save(path)

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, place: int) -> dict[str, Any]:
        return {"Input": self.paths[place % len(self.paths)], "Output": np.zeros(1, np.float32)}


def own(source: Any, net: Any) -> Callable[[], int]:
    """A round of the feed of a training."""
    from netdsl.training import capacity
    from netdsl.training.run import Training
    from netdsl.training.settings import settings_of

    def read() -> int:
        small, share, capacity.SMALL, capacity.SHARE = capacity.SMALL, capacity.SHARE, 0, 0.0
        training = Training(net, source, settings_of({"BatchSize": BATCH}))
        capacity.SMALL, capacity.SHARE = small, share
        feed, done = training.feed, 0
        assert feed.streamed
        feed.start(training.plan, training._place, 1)
        feed.round(1)
        while done < training.batches:
            done += feed.ready(done, training.batches - done)
        feed.close()
        return done

    return read


class Encoded:
    """What Grain applies to a row: a class, so that worker processes can have it."""

    def __init__(self, encoder: Any) -> None:
        self.encoder = encoder

    def __call__(self, row: dict[str, Any]) -> dict[str, Any]:
        return {"Input": self.encoder.encode(row["Input"]), "Output": row["Output"]}


class Batches:
    """Rows of a source by their places, a batch at a time."""

    def __init__(self, source: Any) -> None:
        self.source = source

    def __call__(self, places: np.ndarray) -> dict[str, np.ndarray]:
        rows = self.source.__getitems__(places)
        return {name: np.stack([row[name] for row in rows]) for name in rows[0]}


def grains(source: Any, encoder: Any, form: str) -> Callable[[], int]:
    """A round of Grain's."""
    import grain
    import jax

    def read() -> int:
        options = grain.ReadOptions(num_threads=16, prefetch_buffer_size=500)
        if form == "batches":
            rows = grain.MapDataset.range(len(source)).shuffle(seed=1).batch(BATCH).map(Batches(source))
            dataset = rows.to_iter_dataset(options)
        else:
            rows = grain.MapDataset.source(source).shuffle(seed=1)
            dataset = (rows if encoder is None else rows.map(Encoded(encoder))).to_iter_dataset(options).batch(BATCH)
        if form == "processes":
            dataset = dataset.mp_prefetch(grain.MultiprocessingOptions(num_workers=os.cpu_count() or 1))
        count = 0
        for batch in dataset:
            jax.block_until_ready(jax.device_put(batch))
            count += 1
        return count

    return read


def main(quick: bool) -> None:
    """Measure and print."""
    from absl import flags
    from measuring import alternated, spread
    from tables import Table, text

    from netdsl import FlattenLayer, NetChain, NetEncoder, NetInitialize

    flags.FLAGS.mark_as_parsed()  # which Grain's processes ask for
    encoder = NetEncoder("Image", [SIDE, SIDE])
    dense, pixels = NetInitialize(NetChain([1], Input=64)), NetInitialize(NetChain([FlattenLayer(), 1], Input=encoder))
    part, rounds = (10, 1) if quick else (1, 5)
    lines = []
    with tempfile.TemporaryDirectory() as folder:
        for title, source, net, forms in (
            ("JPEG files", Pictures(folder, 3000 // part), pixels, ("threads", "processes")),
            ("rows, one at a time", Rows(10_000 // part), dense, ("threads", "processes")),
            ("rows, many at once", ManyRows(10_000 // part), dense, ("batches",)),
        ):
            turns = {"netdsl": own(source, net)}
            turns |= {form: grains(source, encoder if net is pixels else None, form) for form in forms}
            for form in forms:
                start = time.perf_counter()
                try:
                    turns[form]()
                except Exception as error:  # worker processes do not start everywhere
                    del turns[form]
                    print(f"{title}, Grain by {form}: {type(error).__name__}: {error}", file=sys.stderr)
                else:
                    print(f"{title}, Grain by {form}: {time.perf_counter() - start:.1f} s", file=sys.stderr, flush=True)
            timings = alternated(turns, rounds)
            for name, seconds in timings.seconds.items():
                ratio = spread([theirs / ours for theirs, ours in zip(seconds, timings.seconds["netdsl"])])
                rate = f"{len(source) / statistics.median(seconds):,.0f}"
                who = name if name == "netdsl" else f"Grain, {name}"
                lines.append([title, who, rate, f"{ratio.median:.2f}", f"{ratio.lowest:.2f} to {ratio.highest:.2f}"])
    header = ("source", "read by", "examples/s", "netdsl / it", "range")
    print(text(Table(f"Examples ready for training, medians of {rounds}", header, lines), markdown=True))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true")
    main(parser.parse_args().quick)
