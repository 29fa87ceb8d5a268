"""No worse than PCA: held-out squared error of three kinds over that of PCA on the same standardised rows.

Data that gives an autoencoder nothing, or little, to gain: standard-normal columns, a low-rank signal plus 5 %
noise, and columns whose sizes run from 1e-6 to 1e6. Bar: never more than 1.02 times PCA's error.

    python benchmarks/bench_pca_floor.py [--seeds 0 1 2] [--rows 1000 5000]
"""

from __future__ import annotations

import argparse
import time

import numpy as np
import torch
from common import row

import isthmus as ist
from isthmus.pca import principal_components

COLUMNS = 20


def data(name: str, rows: int, columns: int, seed: int) -> np.ndarray:
    random = np.random.default_rng(seed)
    if name == "normal":
        return random.normal(size=(rows, columns))
    rank = max(2, columns // 4)
    low_rank = random.normal(size=(rows, rank)) @ random.normal(size=(rank, columns))
    low_rank = low_rank / low_rank.std(0)
    if name == "low-rank":
        return low_rank + 0.05 * random.normal(size=low_rank.shape)
    mixed = 0.5 * low_rank + 0.5 * random.normal(size=low_rank.shape)
    return mixed * 10.0 ** np.linspace(-6, 6, columns)


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    arguments.add_argument("--rows", nargs="+", type=int, default=[1000, 5000])
    arguments.add_argument("--columns", nargs="+", type=int, default=[COLUMNS])
    chosen = arguments.parse_args()
    worst = 0.0
    row("data", "rows", "columns", "kind", "code", "seed", "error", "PCA", "ratio", "seconds")
    for name in ("normal", "low-rank", "scaled"):
        for rows in chosen.rows:
            for columns in chosen.columns:
                for seed in chosen.seeds:
                    whole = data(name, rows + 2000, columns, seed)
                    train, test = whole[:rows], whole[rows:]
                    centre, scale = train.mean(0), train.std(0)
                    ready = [torch.from_numpy((x - centre) / scale).float() for x in (train, test)]
                    pca = principal_components([ready[0]]).errors([ready[1]])
                    for kind in ("linear", "undercomplete", "deep"):
                        for size in (2, columns // 4):
                            start = time.perf_counter()
                            ae = ist.Autoencoder(kind, code_size=size, random_state=seed).fit(train)
                            seconds = time.perf_counter() - start
                            error = float(np.square((ae.reconstruct(test) - test) / scale).mean())
                            worst = max(worst, error / pca[size])
                            row(name, rows, columns, kind, size, seed, error, pca[size], error / pca[size], seconds)
    print(f"worst ratio {worst:.4f} (bar 1.02)")


if __name__ == "__main__":
    main()
