"""How much of a codebook is used, and what that is worth: MNIST with and without a start from the data, and revival.

Every row is a dense autoencoder 784-256-32 with one book of 512 entries; its code is 8 symbols of 4 numbers (the
default), or one symbol of all 32, where books are known to collapse. ``used`` is the share of the entries that some
symbol of the 10,000 test images is; ``perplexity`` the exponential of the entropy of their frequencies, at most 512;
``cost`` minus the score of the test images, in nats per image of pixels in 0..255, with the symbols' log(512) each and
their commitment; ``MSE/px`` of pixels in [0, 1]. Bar: the default uses >= 90 %, at a lower cost than a book that starts
at random numbers and is not revived; what a start at random numbers with revival costs is printed beside it. A tenth of
the training images is held out for early stopping; the test images are looked at once, for these figures.

    python benchmarks/bench_codebook.py [--seeds 0 1 2] [--rows 60000] [--epochs 20]
"""

from __future__ import annotations

import argparse
import time
from typing import Any

import numpy as np
from common import images, row, sse

import isthmus as ist
from isthmus.parts.bottlenecks.codebook import Codebook

ENTRIES, CODE_SIZE = 512, 32

STARTS: dict[str, dict[str, Any]] = {
    "data": {},
    "data, dead": {"revive": 0.0},
    "random": {"start": "random"},
    "random, dead": {"start": "random", "revive": 0.0},
}
"""By their start; of those called dead, no entry is revived."""


def used(points: np.ndarray, width: int) -> tuple[float, float]:
    """The share of the book that the codes are made of, and their perplexity."""
    counts = np.unique(points.reshape(-1, width), axis=0, return_counts=True)[1]
    shares = counts / counts.sum()
    return len(counts) / ENTRIES, float(np.exp(-(shares * np.log(shares)).sum()))


def figures(train: np.ndarray, test: np.ndarray, book: Codebook, epochs: int, seed: int) -> tuple[float, ...]:
    """Share used, perplexity, cost, squared error per pixel, and seconds."""
    ae = ist.Autoencoder(
        "undercomplete",
        code_size=CODE_SIZE,
        network=ist.Dense(hidden=(256,)),
        bottleneck=book,
        epochs=epochs,
        random_state=seed,
    )
    began = time.perf_counter()
    ae.fit(train)
    seconds = time.perf_counter() - began
    error = sse(test, ae.reconstruct(test)) / test[0].size
    return *used(ae.transform(test), book.width or 1), -float(ae.score(test)), error, seconds


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--seeds", nargs="+", type=int, default=[0])
    arguments.add_argument("--widths", nargs="+", type=int, default=[4, 32])
    arguments.add_argument("--rows", type=int, default=15_000)
    arguments.add_argument("--epochs", type=int, default=8)
    chosen = arguments.parse_args()
    train, test = images("mnist")
    train = train[: chosen.rows]
    row("start", "width", "seed", "used", "perplexity", "cost", "MSE/px", "seconds")
    for width in chosen.widths:
        found: dict[str, np.ndarray] = {}
        for start, changes in STARTS.items():
            book, rows = Codebook(ENTRIES, width, **changes), []
            for seed in chosen.seeds:
                rows.append(figures(train, test, book, chosen.epochs, seed))
                row(start, width, seed, *rows[-1])
            found[start] = np.array(rows)
            if len(rows) > 1:
                row(start, width, "mean", *map(float, found[start].mean(0)))
                row(start, width, "spread", *map(float, found[start].std(0)))
        least = found["data"][:, 0].min()
        dead, revived = (found[start][:, 2] - found["data"][:, 2] for start in ("random, dead", "random"))
        print(
            f"width {width}: the default uses at least {least:.1%} (bar 90 %) and costs {dead.mean():.1f} nats less "
            f"than random numbers (bar > 0; with revival {revived.mean():.1f})"
        )


if __name__ == "__main__":
    main()
