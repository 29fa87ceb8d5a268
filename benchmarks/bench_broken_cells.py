"""Adult with cells broken at random: how well detectors find the rows, and the cells, without labels.

Detectors are fitted to 10,000 training rows. Of 4,000 test rows every second one is broken in one cell: a category is
swapped for a level that fewer than one row in fifty has, or a number is shifted by three standard deviations of its
column, up or down, so far as the column's range allows. Rivals see one-hot columns and scaled numbers.

Printed are AUROC and average precision (x 100) with spreads over seeds, and how often the first reason, or one of
three, is the broken cell.

    python benchmarks/bench_broken_cells.py [--seeds 0 1 2]
"""

from __future__ import annotations

import argparse
import time
from typing import Any

import numpy as np
from common import row
from sklearn.compose import make_column_transformer
from sklearn.ensemble import IsolationForest
from sklearn.impute import SimpleImputer
from sklearn.metrics import average_precision_score, roc_auc_score
from sklearn.neighbors import NearestNeighbors
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from tables import NUMERIC, adult

import isthmus as ist

TRAIN, TEST = 10_000, 4_000
RARE, SHIFT = 0.02, 3.0


def broken(frame: Any, train: Any, seed: int) -> tuple[Any, np.ndarray]:
    """The frame with a cell broken in every second row, and which column it was, -1 = none."""
    random, frame = np.random.default_rng(seed), frame.copy()
    where = np.full(len(frame), -1)
    where[::2] = random.integers(0, frame.shape[1], len(where[::2]))
    for place, name in enumerate(frame.columns):
        rows = np.flatnonzero(where == place)
        if name in NUMERIC:
            low, high = train[name].min(), train[name].max()
            shift = SHIFT * train[name].std() * random.choice((-1, 1), len(rows))
            values = frame[name].to_numpy(dtype=float)[rows]
            shift = np.where((values + shift < low) | (values + shift > high), -shift, shift)
            frame.iloc[rows, place] = np.clip(np.rint(values + shift), low, high).astype(int)
        else:
            shares = train[name].value_counts(normalize=True)
            rare = shares[shares < RARE].index.to_numpy()
            rare = rare if len(rare) else shares.index[-1:].to_numpy()
            frame.iloc[rows, place] = random.choice(rare, len(rows))
    return frame, where


def one_hot(train: Any) -> Any:
    names = [name for name in train.columns if name not in NUMERIC]
    levels = make_pipeline(
        SimpleImputer(strategy="constant", fill_value="?"), OneHotEncoder(handle_unknown="ignore", sparse_output=False)
    )
    return make_column_transformer((StandardScaler(), list(NUMERIC)), (levels, names)).fit(train)


def judged(seed: int) -> dict[str, list[float]]:
    """AUROC, precision, seconds of fit and score; and of ours, how often reasons are right."""
    train, test = adult()
    random = np.random.default_rng(seed)
    train = train.iloc[random.permutation(len(train))[:TRAIN]]
    test, where = broken(test.iloc[random.permutation(len(test))[:TEST]].reset_index(drop=True), train, seed)
    odd, found = where >= 0, {}

    def note(who: str, scores: np.ndarray, start: float, middle: float) -> None:
        seconds = [middle - start, time.perf_counter() - middle]
        found[who] = [100 * roc_auc_score(odd, scores), 100 * average_precision_score(odd, scores), *seconds]

    start = time.perf_counter()
    detector = ist.AnomalyDetector(random_state=seed).fit(train)
    middle = time.perf_counter()
    note("isthmus", -detector.score_samples(test), start, middle)
    reasons = detector.explain(test[odd])
    true = np.asarray(test.columns)[where[reasons["row"].to_numpy()]]
    hit = (reasons["column"].to_numpy() == true) / odd.sum()
    found["reasons"] = [100 * hit[reasons["rank"] == 1].sum(), 100 * hit.sum(), 0.0, time.perf_counter() - middle]
    coder = one_hot(train)
    x, y = coder.transform(train), coder.transform(test)
    start = time.perf_counter()
    forest = IsolationForest(random_state=seed).fit(x)
    middle = time.perf_counter()
    note("forest", -forest.score_samples(y), start, middle)
    start = time.perf_counter()
    near = NearestNeighbors(n_neighbors=5).fit(x)
    middle = time.perf_counter()
    note("KNN", near.kneighbors(y)[0][:, -1], start, middle)
    return found


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    seeds = arguments.parse_args().seeds
    every = [judged(seed) for seed in seeds]
    row("who", "AUROC", "spread", "precision", "spread", "fit s", "score s")
    for who in every[0]:
        if who != "reasons":
            values = np.array([found[who] for found in every])
            spread = values.std(0)
            row(who, values[:, 0].mean(), spread[0], values[:, 1].mean(), spread[1], *values[:, 2:].mean(0))
    values = np.array([found["reasons"] for found in every])
    print(f"broken cell is the first reason: {values[:, 0].mean():.1f} %; among three: {values[:, 1].mean():.1f} %")


if __name__ == "__main__":
    main()
