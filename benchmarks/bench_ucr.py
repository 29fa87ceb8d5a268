"""Series of the UCR archive: reconstruction, and the nearest neighbour on codes, beside PCA of the same size.

Every set is fitted on its training series alone and judged on its test series, with one setting for all: windows of
the archive, codes of 8 numbers. Printed are the squared error as a share of the test series' variance and the
share of test series whose nearest training code has their label; 1-NN on the raw series stands beside them. Few
training series (20 to 300) are what PCA is good at: rows that are lost are printed too.

    python benchmarks/bench_ucr.py [--seeds 0 1 2] [--code 8] [--epochs N]
"""

from __future__ import annotations

import argparse
import os
import sys
import warnings
from pathlib import Path

import numpy as np
from common import row
from sklearn.decomposition import PCA
from sklearn.neighbors import KNeighborsClassifier

import isthmus as ist

NETWORKS = {
    "auto": "auto",
    "convolutional": ist.Convolutional((16, 32, 32), down="stride", kernel=5),
    "recurrent": ist.Recurrent(hidden=32, bidirectional=True, steps_at_once=8),
}


def folders() -> list[Path]:
    root = os.environ.get("ISTHMUS_DATA")
    if not root or not (Path(root) / "ucr").is_dir():
        print("skipped: set ISTHMUS_DATA to a folder that holds ucr")
        sys.exit(0)
    return sorted(folder for folder in (Path(root) / "ucr").iterdir() if folder.is_dir())


def agreement(train: np.ndarray, y: np.ndarray, test: np.ndarray, y_test: np.ndarray) -> float:
    return float(KNeighborsClassifier(1).fit(train, y).score(test, y_test))


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--seeds", nargs="+", type=int, default=[0])
    arguments.add_argument("--code", type=int, default=8)
    arguments.add_argument("--epochs", type=int, default=200)
    arguments.add_argument("--networks", nargs="+", choices=list(NETWORKS), default=list(NETWORKS))
    chosen = arguments.parse_args()
    warnings.simplefilter("ignore", ist.DataWarning)  # steps that repeat another are no mistake in a series
    row("set", "rows", "steps", "who", "of variance", "1-NN", "raw 1-NN")
    totals: dict[str, list[tuple[float, float]]] = {}
    for folder in folders():
        (x, y), (x_test, y_test) = (ist.data.ucr(folder / f"{folder.name}_{part}.tsv") for part in ("TRAIN", "TEST"))
        train, test = (np.asarray(part.values, dtype=np.float64) for part in (x, x_test))
        raw = agreement(train, y, test, y_test)
        pca = PCA(min(chosen.code, len(train) - 1)).fit(train)
        spread = float(test.var())
        lost = float(np.square(test - pca.inverse_transform(pca.transform(test))).mean()) / spread
        found = {"PCA": [(lost, agreement(pca.transform(train), y, pca.transform(test), y_test))]}
        for name in chosen.networks:
            for seed in chosen.seeds:
                ae = ist.Autoencoder(
                    code_size=chosen.code, network=NETWORKS[name], epochs=chosen.epochs, random_state=seed
                ).fit(x)
                lost = float(np.square(test - np.asarray(ae.reconstruct(x_test))).mean()) / spread
                near = agreement(ae.transform(x), y, ae.transform(x_test), y_test)
                found.setdefault(name, []).append((lost, near))
        for who, pairs in found.items():
            lost, near = np.mean(pairs, axis=0)
            row(folder.name[:12], len(train), train.shape[1], who, float(lost), float(near), raw)
            totals.setdefault(who, []).append((float(lost), float(near)))
    for who, pairs in totals.items():
        row("mean", "-", "-", who, *(float(v) for v in np.mean(pairs, axis=0)), "-")


if __name__ == "__main__":
    main()
