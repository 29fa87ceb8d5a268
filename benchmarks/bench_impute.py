"""Missing cells of Adult, filled by isthmus and by scikit-learn's imputers.

Cells of the table are hidden; every method is fitted to the table with holes, and fills it. Patterns: ``10 %`` and
``30 %`` of all cells at random, and ``blocks``: of a random 30 % of the rows, three whole columns, which lie side by
side (as when a form's page was never filled in). Cells that are missing in Adult itself stay missing for all, and are
not judged. The income column is a column like the others.

Printed are, over the hidden cells, the root of the mean squared error in standard deviations of the column, in the mean
over the six numeric columns, and the share of right levels in the mean over the nine categorical ones. scikit-learn's
imputers and PCA see the categorical columns as ordinal codes, and their answers are rounded to the nearest level.
``linear`` is isthmus' linear kind on the same table as ``isthmus`` (the ``masked`` kind).

    python benchmarks/bench_impute.py [--rows 10000] [--seeds 0 1 2] [--who isthmus knn ...] [--patterns 10 30 blocks]
"""

from __future__ import annotations

import argparse
import time
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
from common import row
from sklearn.exceptions import ConvergenceWarning
from sklearn.experimental import enable_iterative_imputer  # noqa: F401
from sklearn.impute import IterativeImputer, KNNImputer, SimpleImputer
from sklearn.preprocessing import StandardScaler
from tables import NUMERIC, adult

import isthmus as ist


def hidden_cells(shape: tuple[int, int], pattern: str, seed: int) -> np.ndarray:
    """(rows, columns) truth values: what is hidden."""
    draw = np.random.default_rng(seed)
    if pattern != "blocks":
        return draw.random(shape) < float(pattern) / 100
    hidden = np.zeros(shape, dtype=bool)
    rows = np.flatnonzero(draw.random(shape[0]) < 0.3)
    first = draw.integers(0, shape[1] - 2, len(rows))
    for step in range(3):
        hidden[rows, first + step] = True
    return hidden


def coded(frame: pd.DataFrame) -> tuple[np.ndarray, dict[str, pd.Index]]:
    """Numbers as they are, levels as ordinal codes (alphabetical), missing cells NaN; and the levels of each."""
    made, levels = np.empty(frame.shape), {}
    for place, name in enumerate(frame.columns):
        if name in NUMERIC:
            made[:, place] = frame[name].astype(float)
        else:
            kept = frame[name].astype("category").cat
            levels[name] = kept.categories
            made[:, place] = np.where(kept.codes < 0, np.nan, kept.codes)
    return made, levels


def by_numbers(impute: Callable[[np.ndarray], np.ndarray]) -> Callable[[pd.DataFrame, int], pd.DataFrame]:
    """An imputer of numbers as one of frames: codes in, the nearest level out."""

    def filled(frame: pd.DataFrame, seed: int) -> pd.DataFrame:
        numbers, levels = coded(frame)
        found, made = impute(numbers), frame.copy()
        for place, name in enumerate(frame.columns):
            gaps = frame[name].isna().to_numpy()
            if name in NUMERIC:
                made[name] = np.where(gaps, found[:, place], numbers[:, place])
            else:
                codes = np.clip(np.rint(found[gaps, place]), 0, len(levels[name]) - 1).astype(int)
                made.loc[gaps, name] = levels[name][codes].to_numpy()
        return made

    return filled


def usual(frame: pd.DataFrame, seed: int) -> pd.DataFrame:
    """The mean of numbers, the most frequent level."""
    made = frame.copy()
    for name in frame.columns:
        made[name] = frame[name].astype(float) if name in NUMERIC else frame[name]
        made[name] = made[name].fillna(made[name].mean() if name in NUMERIC else frame[name].mode()[0])
    return made


def by_pca(numbers: np.ndarray, size: int = 4, rounds: int = 50) -> np.ndarray:
    """Iterated PCA of standardised columns: fill with the mean, project, refill, again."""
    gaps, scaler = np.isnan(numbers), StandardScaler()
    x = scaler.fit_transform(SimpleImputer().fit_transform(numbers))
    for _ in range(rounds):
        centre = x.mean(0)
        basis = np.linalg.svd(x - centre, full_matrices=False)[2][:size]
        x[gaps] = ((x - centre) @ basis.T @ basis + centre)[gaps]
    return scaler.inverse_transform(x)


def by_isthmus(kind: Any, **knobs: Any) -> Callable[[pd.DataFrame, int], pd.DataFrame]:
    def filled(frame: pd.DataFrame, seed: int) -> pd.DataFrame:
        return ist.Autoencoder(kind, random_state=seed, **knobs).fit(frame).impute(frame)

    return filled


def scaled_knn(numbers: np.ndarray) -> np.ndarray:
    """KNNImputer on standardised columns: on raw ones fnlwgt alone decides who is near."""
    scaler = StandardScaler()
    return scaler.inverse_transform(KNNImputer().fit_transform(scaler.fit_transform(numbers)))


METHODS: dict[str, Callable[[pd.DataFrame, int], pd.DataFrame]] = {
    "mean/mode": usual,
    "pca": by_numbers(by_pca),
    "knn": by_numbers(lambda numbers: KNNImputer().fit_transform(numbers)),
    "knn scaled": by_numbers(scaled_knn),
    "iterative": by_numbers(lambda numbers: IterativeImputer(random_state=0).fit_transform(numbers)),
    "linear": by_isthmus("linear"),
    "isthmus": by_isthmus("masked"),
}


def judged(whole: pd.DataFrame, made: pd.DataFrame, hidden: np.ndarray) -> tuple[float, float]:
    """Error over numeric columns, in standard deviations, and share of right levels over the others."""
    errors, right = [], []
    for place, name in enumerate(whole.columns):
        cells = hidden[:, place] & whole[name].notna().to_numpy()
        truth, found = whole[name][cells], made[name][cells]
        if name in NUMERIC:
            errors.append(np.sqrt(np.mean(np.square((found - truth).astype(float)))) / whole[name].std())
        else:
            right.append(float((found == truth).mean()))
    return float(np.mean(errors)), float(np.mean(right))


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--rows", type=int, default=10_000)
    arguments.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    arguments.add_argument("--who", nargs="+", choices=list(METHODS), default=list(METHODS))
    arguments.add_argument("--patterns", nargs="+", default=["10", "30", "blocks"])
    chosen = arguments.parse_args()
    train, _ = adult()
    warnings.simplefilter("ignore", ConvergenceWarning)
    print(f"{chosen.rows:,} rows of Adult, seeds {chosen.seeds}: error in standard deviations, accuracy, seconds")
    row("pattern", "who", "error", "accuracy", "seconds", *(f"seed {s}" for s in chosen.seeds))
    for pattern in chosen.patterns:
        for who in chosen.who:
            found, start = [], time.perf_counter()
            for seed in chosen.seeds:
                whole = train.sample(chosen.rows, random_state=seed).reset_index(drop=True)
                hidden = hidden_cells(whole.shape, pattern, seed)
                found.append(judged(whole, METHODS[who](whole.mask(hidden), seed), hidden))
            seconds = (time.perf_counter() - start) / len(chosen.seeds)
            each = [f"{error:.3f} {right:.3f}" for error, right in found]
            row(pattern, who, *(float(np.mean(part)) for part in zip(*found, strict=True)), seconds, *each)


if __name__ == "__main__":
    main()
