"""Anomalies in 21 tables of ADBench: which detector ranks them best, how often it alarms, and how long it takes.

Clean protocol: rows are shuffled with the seed, a detector is fitted to half of the normal rows and judged on the rest
and all anomalies; tables of more than 50,000 rows are drawn down to so many. Rivals see columns scaled to mean 0 and
variance 1 on the training rows. No detector sees a label, and each has one setting for all tables. isthmus's was chosen
on ten of them (ids 1, 7, 15, 19, 23, 27, 31, 35, 39, 43); the other eleven are printed apart.

    isthmus          `AnomalyDetector` as it comes; "no distance" is the same without the distance to the nearest row
    KNN              mean distance to the 5 nearest training rows, which does better than
    KNN 5th          distance to the fifth
    PCA              squared error of half as many components as columns
    forest           Isolation Forest
    norm             length of the scaled row
    PyOD             its AutoEncoder as it comes, where PyOD is installed

Printed are AUROC and average precision (x 100) with the seconds of fit and score, per table and in the mean, mean
ranks, Wilcoxon's signed-rank test of isthmus against KNN over tables, and the share of normal test rows that alarm at
1 % and 5 %. ``--contaminated`` puts anomalies among the training rows, 5 % of them (the test keeps the others).

    python benchmarks/anomalies.py [--ids 1 7 ...] [--seeds 0 1] [--contaminated] [--rivals KNN ...]
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import scipy.stats
from common import row
from sklearn.decomposition import PCA
from sklearn.ensemble import IsolationForest
from sklearn.metrics import average_precision_score, roc_auc_score
from sklearn.neighbors import NearestNeighbors
from sklearn.preprocessing import StandardScaler

import isthmus as ist
from isthmus.data import open_source

DEVELOPMENT = (1, 7, 15, 19, 23, 27, 31, 35, 39, 43)
"""The sets that the default was chosen on."""

MOST = 50_000
RATES = (0.01, 0.05)
OURS = ("isthmus", "no distance")

Judged = tuple[np.ndarray, float, float]
"""Scores of the test rows, higher = odder, and the seconds of fit and score."""


def tables() -> dict[int, Path]:
    """The files by their ADBench id."""
    folder = Path(os.environ.get("ISTHMUS_DATA", "")) / "adbench"
    if not os.environ.get("ISTHMUS_DATA") or not folder.exists():
        print("skipped: set ISTHMUS_DATA to a folder that holds adbench")
        sys.exit(0)
    return {int(path.stem.split("_")[0]): path for path in sorted(folder.glob("*.npz"))}


def dealt(path: Path, seed: int, contaminated: bool) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Training rows, test rows, and which of the latter are anomalies."""
    with np.load(path) as data:
        X, y = data["X"].astype(np.float64), data["y"].astype(int).ravel()
    random = np.random.RandomState(seed)
    if len(X) > MOST:
        some = random.permutation(len(X))[:MOST]
        X, y = X[some], y[some]
    order = random.permutation(len(X))
    X, y = X[order], y[order]
    normal, odd = np.flatnonzero(y == 0), np.flatnonzero(y == 1)
    train = normal[: len(normal) // 2]
    if contaminated:
        train = np.concatenate([train, odd[: min(len(odd) // 2, round(len(train) * 0.05 / 0.95))]])
    test = np.setdiff1d(np.arange(len(X)), train)
    return X[train], X[test], y[test]


def timed(fit: Callable[[], Any], score: Callable[[Any], np.ndarray]) -> Judged:
    start = time.perf_counter()
    fitted = fit()
    middle = time.perf_counter()
    scores = score(fitted)
    return scores, middle - start, time.perf_counter() - middle


def isthmus(train: np.ndarray, test: np.ndarray, seed: int) -> tuple[dict[str, Judged], ist.AnomalyDetector]:
    """Ours with and without the distance, by one fit; and the detector."""
    start = time.perf_counter()
    detector = ist.AnomalyDetector(random_state=seed).fit(train)
    fit = time.perf_counter() - start
    whole = timed(lambda: detector.oddness_, lambda odd: odd(open_source(test)))
    alone = timed(detector.oddness_.without_distance, lambda odd: odd(open_source(test)))
    return {"isthmus": (whole[0], fit, whole[2]), "no distance": (alone[0], fit, alone[2])}, detector


def knn(train: np.ndarray, test: np.ndarray, seed: int) -> Judged:
    return timed(
        lambda: NearestNeighbors(n_neighbors=min(5, len(train))).fit(train),
        lambda made: made.kneighbors(test)[0].mean(1),
    )


def knn_fifth(train: np.ndarray, test: np.ndarray, seed: int) -> Judged:
    return timed(
        lambda: NearestNeighbors(n_neighbors=min(5, len(train))).fit(train),
        lambda made: made.kneighbors(test)[0][:, -1],
    )


def pca(train: np.ndarray, test: np.ndarray, seed: int) -> Judged:
    def residual(made: PCA) -> np.ndarray:
        return np.square(test - made.inverse_transform(made.transform(test))).sum(1)

    return timed(lambda: PCA(min(len(train), max(1, train.shape[1] // 2)), random_state=seed).fit(train), residual)


def forest(train: np.ndarray, test: np.ndarray, seed: int) -> Judged:
    return timed(lambda: IsolationForest(random_state=seed).fit(train), lambda made: -made.score_samples(test))


def norm(train: np.ndarray, test: np.ndarray, seed: int) -> Judged:
    return timed(lambda: None, lambda made: np.linalg.norm(test, axis=1))


def pyod(train: np.ndarray, test: np.ndarray, seed: int) -> Judged:
    from pyod.models.auto_encoder import AutoEncoder

    # It normalises by batches, which fails on a last batch of one row.
    size = next(size for size in range(32, 1, -1) if len(train) % size != 1)
    how = {"random_state": seed, "verbose": 0, "batch_size": size}
    return timed(lambda: AutoEncoder(**how).fit(train), lambda made: made.decision_function(test))


RIVALS: dict[str, Callable[[np.ndarray, np.ndarray, int], Judged]] = {
    "KNN": knn, "KNN 5th": knn_fifth, "PCA": pca, "forest": forest, "norm": norm, "PyOD": pyod,
}  # fmt: skip


def figures(judged: Judged, odd: np.ndarray) -> list[float]:
    """AUROC and average precision, x 100, and the seconds of fit and score."""
    scores, fit, score = judged
    return [100 * roc_auc_score(odd, scores), 100 * average_precision_score(odd, scores), fit, score]


def alarms(detector: ist.AnomalyDetector, judged: Judged, odd: np.ndarray) -> list[float]:
    """By how many points the share of normal test rows that alarm is off, per rate; and two standard errors of it."""
    normal, found = judged[0][odd == 0], []
    for rate in RATES:
        share = float((detector.held_out_.p_values(normal) <= rate).mean())
        error = 2 * np.sqrt(rate * (1 - rate) * (1 / len(normal) + 1 / len(detector.held_out_)))
        found += [100 * (share - rate), 100 * error]
    return found


def summary(name: str, ids: list[int], found: dict[str, dict[int, np.ndarray]]) -> None:
    """Means over tables, mean ranks, and Wilcoxon's test of ours against KNN."""
    print(f"\n{name}: {len(ids)} tables")
    row("who", "AUROC", "precision", "rank AUROC", "rank prec.", "fit s", "score s")
    means = {who: np.array([of[i][:, :4].mean(0) for i in ids]) for who, of in found.items()}
    ranks = [scipy.stats.rankdata([-means[who][:, column] for who in means], axis=0).mean(1) for column in (0, 1)]
    for place, (who, values) in enumerate(means.items()):
        row(who, *values[:, :2].mean(0), ranks[0][place], ranks[1][place], *values[:, 2:].mean(0))
    for who in OURS:
        if "KNN" in means and len(ids) > 1:
            tests = [scipy.stats.wilcoxon(means[who][:, c], means["KNN"][:, c]).pvalue for c in (0, 1)]
            row(f"{who} v KNN, p =", *tests)
    off = np.array([found["isthmus"][i][:, 4:].mean(0) for i in ids])
    beyond = [(np.abs(off[:, c]) > 1 + off[:, c + 1] / np.sqrt(SEEDS)).sum() for c in (0, 2)]
    for place, rate in enumerate(RATES):
        mean = off[:, 2 * place].mean()
        print(f"normal rows that alarm, asked {rate:.0%}: {100 * rate + mean:.2f} % in the mean; tables beyond "
              f"1 point and two standard errors: {beyond[place]}")  # fmt: skip


SEEDS = 1
"""How many there are: of means over seeds standard errors are smaller."""


def main() -> None:
    global SEEDS
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--ids", nargs="+", type=int)
    arguments.add_argument("--seeds", nargs="+", type=int, default=[0, 1])
    arguments.add_argument("--contaminated", action="store_true")
    arguments.add_argument("--rivals", nargs="*", choices=list(RIVALS), default=list(RIVALS))
    chosen = arguments.parse_args()
    files, found = tables(), {}
    SEEDS = len(chosen.seeds)
    rivals = {name: RIVALS[name] for name in chosen.rivals}
    if "PyOD" in rivals and importlib.util.find_spec("pyod") is None:
        print("PyOD is not installed: not run")
        del rivals["PyOD"]
    row("table", "who", "AUROC", "precision", "fit s", "score s")
    for number in chosen.ids or sorted(files):
        for seed in chosen.seeds:
            train, test, odd = dealt(files[number], seed, chosen.contaminated)
            judged, detector = isthmus(train, test, seed)
            scaler = StandardScaler().fit(train)
            scaled = scaler.transform(train), scaler.transform(test)
            judged |= {name: rival(*scaled, seed) for name, rival in rivals.items()}
            for who, one in judged.items():
                line = figures(one, odd) + (alarms(detector, judged["isthmus"], odd) if who == "isthmus" else [])
                found.setdefault(who, {}).setdefault(number, []).append(line)
        for who, of in found.items():
            of[number] = np.array(of[number])
            row(files[number].stem, who, *of[number][:, :4].mean(0))
        sys.stdout.flush()
    ids = list(found["isthmus"])
    for name, some in (("all", ids), ("development", [i for i in ids if i in DEVELOPMENT]),
                       ("report", [i for i in ids if i not in DEVELOPMENT])):  # fmt: skip
        if some:
            summary(name, some, found)


if __name__ == "__main__":
    main()
