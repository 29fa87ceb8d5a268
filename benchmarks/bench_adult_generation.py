"""Adult drawn anew: how far a synthetic table of people stands in for the real one.

Generators see the training rows, and draw as many. Printed of each, beside the real test rows: mean total variation of
the columns, mean error of the associations of their pairs, accuracy by which trees tell drawn rows from real ones (50 =
not at all), accuracy on real test rows of trees that learnt the income from drawn rows, and the share of drawn rows
that are nearer to a training row than to any of as many rows that no generator saw (50 = no copies). Rivals are
independent columns, each cell a real one, and a Gaussian copula; ``real`` is the training table itself.

    python benchmarks/bench_adult_generation.py [--seeds 0 1 2]
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from common import row, watched
from scipy.special import ndtr
from scipy.stats import norm, rankdata
from tables import adult

from isthmus.copies import copies
from isthmus.data import open_source
from isthmus.estimators.autoencoder import Autoencoder
from isthmus.estimators.generation_of_cells import CellsDrawn
from isthmus.table_columns import vectors
from isthmus.table_fidelity import table_fidelity, train_on_synthetic

COMPARED = 8000
"""Drawn rows whose nearest real ones are sought."""


def ours(train: Any, seed: int) -> tuple[Any, float]:
    """The table drawn, and the seconds that this took after the fit."""
    source = open_source(train)
    drawer = CellsDrawn.fit(source, lambda **knobs: Autoencoder(**knobs, random_state=seed))
    start = time.perf_counter()
    raw = drawer.draw(source.rows, torch.Generator(drawer.model._device).manual_seed(seed))
    return source.form.wrap(raw), time.perf_counter() - start


def independent(train: Any, seed: int) -> tuple[Any, float]:
    """Every column shuffled by itself."""
    random, start = np.random.default_rng(seed), time.perf_counter()
    shuffled = train.apply(lambda column: column.to_numpy()[random.permutation(len(column))])
    return shuffled.astype(train.dtypes), time.perf_counter() - start


def copula(train: Any, seed: int) -> tuple[Any, float]:
    """Normal scores of every column, levels in the order of their frequency, with the correlations of the real ones."""
    import pandas as pd

    random, rows = np.random.default_rng(seed), len(train)
    scores, ordered = [], {}
    for name in train:
        column = train[name]
        if column.dtype.kind in "if":
            places = column.to_numpy(dtype=float)
        else:
            frequent = column.value_counts(dropna=False).index
            places = pd.Categorical(column.fillna("?"), frequent.fillna("?")).codes.astype(float)
        # Ties are broken at random: a level stands for a stretch of the normal distribution.
        scores.append(norm.ppf((rankdata(places + random.uniform(0, 1e-6, rows)) - 0.5) / rows))
        ordered[name] = column.iloc[np.argsort(places, kind="stable")].to_numpy()
    start = time.perf_counter()
    z = random.multivariate_normal(np.zeros(len(scores)), np.corrcoef(scores), size=rows, method="cholesky")
    picked = np.minimum((ndtr(z) * rows).astype(int), rows - 1)
    drawn = pd.DataFrame({name: ordered[name][picked[:, i]] for i, name in enumerate(train)})
    return drawn.astype(train.dtypes), time.perf_counter() - start


def same(train: Any, seed: int) -> tuple[Any, float]:
    """The training rows themselves: what fidelity looks like at its best, and copying at its worst."""
    return train, 0.0


WAYS: dict[str, Callable[[Any, int], tuple[Any, float]]] = {
    "isthmus": ours,
    "independent": independent,
    "copula": copula,
    "real": same,
}


def judged(who: str, seed: int) -> list[float]:
    """The figures of a row of the table."""
    train, test = adult()
    start = time.perf_counter()
    (drawn, seconds), most = watched(lambda: WAYS[who](train, seed))
    fit = time.perf_counter() - start - seconds
    found = table_fidelity(test, drawn, random_state=seed)
    from_drawn, from_real = train_on_synthetic(drawn, train, test, "income", random_state=seed)
    some = drawn.sample(COMPARED, random_state=seed)
    near = copies(*vectors(train, some, train.sample(len(test), random_state=seed), test), random_state=seed)
    figures = [found.marginal, found.association, 100 * found.two_sample, 100 * from_drawn]
    return [*figures, 100 * (from_drawn - from_real), 100 * near.share, fit, seconds, most]


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    seeds = arguments.parse_args().seeds
    row("who", "", "marginals", "pairs", "told apart", "accuracy", "to real", "near train", "fit s", "draw s", "MB")
    for who in WAYS:
        every = np.array([judged(who, seed) for seed in seeds])
        row(who, "mean", *every.mean(0))
        if len(seeds) > 1:
            row("", "spread", *every.std(0, ddof=1))


if __name__ == "__main__":
    main()
