"""Codes of Adult in place of its columns: how well gradient boosting tells incomes above 50,000 from either.

The income column is left out of what the codes are learnt from. A code of 16 is fitted to the 32,561 training rows,
then a gradient-boosted classifier to the codes, and to the raw columns (levels as such, missing cells as missing); both
are judged on the 16,281 test rows. Beside them: the same classifier on PCA's codes of one-hot columns, and the share of
the more frequent income. Of the kinds tried with seed 0 (``--kinds``), ``sparse`` was the best.

    python benchmarks/bench_table_codes.py [--seeds 0 1 2] [--code-size 16] [--kinds sparse ...] [--epochs 120]
"""

from __future__ import annotations

import argparse
import time

import numpy as np
import pandas as pd
from common import row
from sklearn.compose import ColumnTransformer
from sklearn.decomposition import PCA
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.impute import SimpleImputer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from tables import NUMERIC, adult

import isthmus as ist


def accuracy(train: object, y: np.ndarray, test: object, y_test: np.ndarray, seed: int) -> float:
    model = HistGradientBoostingClassifier(categorical_features="from_dtype", random_state=seed)
    return 100 * float(model.fit(train, y).score(test, y_test))


def by_pca(train: pd.DataFrame, test: pd.DataFrame, size: int) -> tuple[np.ndarray, np.ndarray]:
    """Codes of standardised numbers and one-hot levels."""
    words = [name for name in train.columns if name not in NUMERIC]
    ready = ColumnTransformer(
        [
            ("numbers", make_pipeline(SimpleImputer(), StandardScaler()), list(NUMERIC)),
            ("words", OneHotEncoder(handle_unknown="ignore", sparse_output=False), words),
        ]
    )
    pipeline = make_pipeline(ready, PCA(size, random_state=0))
    return pipeline.fit_transform(train), pipeline.transform(test)


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--seeds", nargs="+", type=int, default=[0])
    arguments.add_argument("--code-size", type=int, default=16)
    arguments.add_argument("--kinds", nargs="+", default=["sparse", "vae", "undercomplete"])
    arguments.add_argument("--epochs", type=int, default=120)
    chosen = arguments.parse_args()
    train, test = adult()
    y, y_test = (part.pop("income").to_numpy() == ">50K" for part in (train, test))
    words = [name for name in train.columns if name not in NUMERIC]
    categories = {name: pd.CategoricalDtype(sorted(train[name].dropna().unique())) for name in words}
    row("inputs", "seed", "size", "accuracy %", "seconds")
    row("most usual", "-", 0, 100 * float(max(y_test.mean(), 1 - y_test.mean())), "-")
    for seed in chosen.seeds:
        raw = accuracy(train.astype(categories), y, test.astype(categories), y_test, seed)
        row("raw columns", seed, train.shape[1], raw, "-")
        codes = by_pca(train, test, chosen.code_size)
        row("PCA, one-hot", seed, chosen.code_size, accuracy(codes[0], y, codes[1], y_test, seed), "-")
        for kind in chosen.kinds:
            start = time.perf_counter()
            ae = ist.Autoencoder(kind, code_size=chosen.code_size, epochs=chosen.epochs, random_state=seed).fit(train)
            seconds = time.perf_counter() - start
            found = accuracy(ae.transform(train), y, ae.transform(test), y_test, seed)
            row(kind, seed, chosen.code_size, found, seconds)


if __name__ == "__main__":
    main()
