"""What a recurrent autoencoder learns of hailstone sequences, beside PCA on padded vectors and beside random sequences.

A hailstone sequence halves a number while it is even, else triples it and adds one, until it comes to 1; what is
rebuilt is the logarithm (base 2) of its values. Of the numbers 2 to 10,000 a fifth, drawn by the seed, is held out and
looked at once, for these figures; the autoencoder takes a tenth of the others for its early stopping. PCA is fitted on
the others padded with 0 to the longest.

``MSE`` is the squared error per valid step in units of log2, ``up/down`` the share of steps whose direction is rebuilt
(where all are said to go down it is ``all down``), both over all held-out sequences, and over those of 10,001 to
20,000, which are larger than any number seen. The same networks are fitted to random sequences, each of the length and
range of a hailstone sequence, its values uniform in that range. ``of var`` is the MSE as a share of the variance.

Bars: below PCA's MSE at code size 8 and 16; at code size 8 at least 0.8 of the variance of random sequences remains, so
that it is the pattern that was learnt.

    python benchmarks/bench_hailstone.py [--seeds 0 1 2] [--code-sizes 8 16] [--epochs 15] [--only hailstone]
"""

from __future__ import annotations

import argparse
import time

import numpy as np
import torch
from common import row

import isthmus as ist
from isthmus.data.hailstone import hailstone
from isthmus.data.sequences import sequences
from isthmus.parts.networks.recurrent import Recurrent
from isthmus.pca import principal_components

LARGEST, LARGER = 10_000, 20_000

NETWORK = Recurrent(hidden=128, bidirectional=True, reverse_output=True, steps_at_once=16)
"""Written from the end: all sequences end alike, so that they part one by one, as the branches of a tree do."""

Sequences = list[np.ndarray]


def random_like(found: Sequences, draw: np.random.Generator) -> Sequences:
    """For every sequence one of its length, of values drawn uniformly from its range."""
    return [draw.uniform(values.min(), values.max(), len(values)) for values in found]


def padded(found: Sequences, steps: int) -> np.ndarray:
    """(n, steps), 0 beyond each sequence's end."""
    whole = np.zeros((len(found), steps))
    for values, place in zip(found, whole, strict=True):
        place[: len(values)] = values
    return whole


def squared(found: Sequences, rebuilt: Sequences) -> float:
    """The mean squared error over all valid steps."""
    errors = np.concatenate(found) - np.concatenate(rebuilt)
    return float(np.square(errors).mean())


def directions(found: Sequences, rebuilt: Sequences) -> float:
    """The share of steps that go up or down as they should."""
    ups, said = (np.concatenate([np.diff(values) > 0 for values in several]) for several in (found, rebuilt))
    return float((ups == said).mean())


def all_down(found: Sequences) -> float:
    return float(1 - np.concatenate([np.diff(values) > 0 for values in found]).mean())


def by_pca(train: Sequences, tests: list[Sequences], code_size: int) -> list[Sequences]:
    """The tests as PCA of the padded training rows rebuilds them, cut to their own lengths."""
    steps = max(len(values) for several in (train, *tests) for values in several)
    pca = principal_components([torch.from_numpy(padded(train, steps))])
    kept, found = pca.components[:code_size], []
    for test in tests:
        whole = (padded(test, steps) - pca.mean) @ kept.T @ kept + pca.mean
        found.append([values[: len(own)] for values, own in zip(whole, test, strict=True)])
    return found


def by_network(
    train: Sequences, tests: list[Sequences], code_size: int, epochs: int, seed: int
) -> tuple[list[Sequences], float]:
    """The tests as an autoencoder rebuilds them, and the seconds of its fit."""
    ae = ist.Autoencoder(
        "undercomplete",
        code_size=code_size,
        network=NETWORK,
        learning_rate=3e-3,
        batch_size=64,
        epochs=epochs,
        random_state=seed,
    )
    began = time.perf_counter()
    ae.fit(sequences(train))
    seconds = time.perf_counter() - began
    return [[np.asarray(values) for values in ae.reconstruct(sequences(test))] for test in tests], seconds


def compare(name: str, train: Sequences, tests: dict[str, Sequences], code_size: int, epochs: int, seed: int) -> None:
    """Print the figures of network and PCA for every test."""
    found, seconds = by_network(train, list(tests.values()), code_size, epochs, seed)
    linear = by_pca(train, list(tests.values()), code_size)
    for (which, test), ours, theirs in zip(tests.items(), found, linear, strict=True):
        variance = float(np.concatenate(test).var())
        error, other = squared(test, ours), squared(test, theirs)
        shares = (error / variance, other / variance)
        ways = (directions(test, ours), directions(test, theirs), all_down(test))
        row(name, which, code_size, seed, error, other, error / other, *shares, *ways, round(seconds))


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--seeds", nargs="+", type=int, default=[0])
    arguments.add_argument("--code-sizes", nargs="+", type=int, default=[8, 16])
    arguments.add_argument("--epochs", type=int, default=15)
    arguments.add_argument("--only", choices=["hailstone", "random"])
    chosen = arguments.parse_args()
    numbers = np.arange(2, LARGEST + 1)
    larger = hailstone(range(LARGEST + 1, LARGER + 1))
    figures = ("MSE", "PCA MSE", "ratio", "of var", "PCA of var", "up/down", "PCA up/down", "all down", "seconds")
    row("sequences", "test", "code", "seed", *figures)
    for seed in chosen.seeds:
        draw = np.random.default_rng(seed)
        order = draw.permutation(numbers)
        kept, held_out = (hailstone(np.sort(some)) for some in (order[len(order) // 5 :], order[: len(order) // 5]))
        tests = {"held out": held_out, "larger": larger}
        blind = {which: random_like(found, draw) for which, found in tests.items()}
        pairs = {"hailstone": (kept, tests), "random": (random_like(kept, draw), blind)}
        for name, (train, others) in pairs.items():
            for code_size in chosen.code_sizes if chosen.only in (None, name) else ():
                compare(name, train, others, code_size, chosen.epochs, seed)


if __name__ == "__main__":
    main()
