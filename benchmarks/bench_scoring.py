"""A million rows scored for anomalies: rows per second beside the forward passes that the score needs, and memory.

The table has 30 columns of numbers, driven by ten causes. `AnomalyDetector` is fitted to 20,000 rows; then it scores a
million from a mapped ``.npy`` file. The score needs one pass of its autoencoder per row, which is timed by itself on
rows that are scaled already; the distance to the nearest of 20,000 reference rows is timed apart. Memory is the most of
its own (RssAnon) while scoring, over what it was before.

    python benchmarks/bench_scoring.py [--rows 1000000] [--threads 2] [--folder DIR]
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from common import anonymous_megabytes, row, watched

import isthmus as ist
from isthmus.data import open_source
from isthmus.estimators.oddness import ROWS
from isthmus.estimators.oddness_of_numbers import Numbers
from isthmus.records import Batch, Layout

COLUMNS, CAUSES, TRAIN = 30, 10, 20_000


def piece(rows: int, random: np.random.Generator) -> np.ndarray:
    mixing = np.random.default_rng(7).standard_normal((CAUSES, COLUMNS))
    return random.standard_normal((rows, CAUSES)) @ mixing + 0.3 * random.standard_normal((rows, COLUMNS))


def write(path: Path, rows: int, random: np.random.Generator) -> None:
    made = np.lib.format.open_memmap(path, mode="w+", dtype=np.float64, shape=(rows, COLUMNS))
    for start in range(0, rows, 100_000):
        made[start : start + 100_000] = piece(min(100_000, rows - start), random)
    made.flush()


def passes(odd: Numbers, rows: int) -> float:
    """Seconds of as many forward passes, of rows that lie ready, each other ones."""
    composition, layout = odd.models[0].composition_, Layout((odd.view.width,), ("column",))
    x = torch.randn(rows, odd.view.width, generator=torch.Generator().manual_seed(0))
    start = time.perf_counter()
    with torch.no_grad():
        for some in x.split(ROWS):
            batch = Batch(some, layout)
            composition.rebuild(composition.represent(batch), composition.context(batch))
    return time.perf_counter() - start


def seconds(odd: Numbers, path: Path) -> float:
    start = time.perf_counter()
    odd(open_source(path))
    return time.perf_counter() - start


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--rows", type=int, default=1_000_000)
    arguments.add_argument("--threads", type=int, default=2)
    arguments.add_argument("--folder", default=None)
    chosen = arguments.parse_args()
    torch.set_num_threads(chosen.threads)
    random = np.random.default_rng(0)
    start = time.perf_counter()
    detector = ist.AnomalyDetector(random_state=0).fit(piece(TRAIN, random))
    print(f"fitted to {TRAIN:,} rows of {COLUMNS} columns in {time.perf_counter() - start:.1f} s")
    odd = detector.oddness_
    alone = odd.without_distance()
    with tempfile.TemporaryDirectory(dir=chosen.folder) as folder:
        path = Path(folder) / "rows.npy"
        write(path, chosen.rows, random)
        seconds(alone, path)  # the file is in the system's cache from here on
        needed = min(passes(alone, chosen.rows) for _ in range(2))
        before = anonymous_megabytes()
        took, peak = watched(lambda: min(seconds(alone, path) for _ in range(2)))
        whole = seconds(odd, path)
    row("what", "seconds", "rows/s", "over passes")
    row("forward passes", needed, chosen.rows / needed, 1.0)
    row("score", took, chosen.rows / took, took / needed)
    row("with distance", whole, chosen.rows / whole, whole / needed)
    size = chosen.rows * COLUMNS * 8 >> 20
    print(f"memory while scoring: {peak - before:.0f} MB more than before, for {size} MB of rows")


if __name__ == "__main__":
    main()
