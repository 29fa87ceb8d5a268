"""50 of 784 pixels of MNIST and Fashion-MNIST, from which all others are rebuilt: ways to choose them, side by side.

Nobody sees a label but the judge. For each choice: the mean squared error per pixel, in [0, 1], of test images that are
rebuilt by the best linear map and by one and the same decoder, trained anew on each choice; and the share of test
images whose nearest training image, by the chosen pixels alone, has their label. Of the decoder and of random pixels
the mean over seeds is printed, with its standard deviation.

- ``linear``, ``bent`` and ``concrete`` are the choices that `Selector` makes; it keeps the one with the least error on
  held-out training images, and the line below says which.
- ``variance``: the pixels that vary most (scikit-learn's VarianceThreshold).
- ``loadings``: those whose variance the first 50 principal components explain most of, all together.
- ``clusters``: one of each of 50 groups (scikit-learn's FeatureAgglomeration), that nearest to the group's mean.
- ``PCA`` and ``all pixels`` are no choices: what 50 numbers may hold that are mixed of all pixels, and all there is.

Published (Balin, Abid & Zou 2019): from the 50 pixels of their concrete autoencoder extremely randomised trees, another
judge than this one, told 90.6 % of MNIST and 67.7 % of Fashion-MNIST.

    python benchmarks/bench_selection.py [--quick] [--seeds 0 1 2] [--sets mnist fashion-mnist] [--pixels 50]
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from common import images, row
from sklearn.cluster import FeatureAgglomeration
from sklearn.decomposition import PCA

import isthmus as ist
from isthmus.data.builtin import named
from isthmus.estimators.selecting import Selector
from isthmus.parts.bottlenecks.concrete import Picked
from isthmus.recipes import Parts

QUICK_ROWS, QUICK_EPOCHS, FULL_EPOCHS = 6_000, 15, 20
LEARNING: dict[str, Any] = {"batch_size": 128, "validation_fraction": 0.05}
NETWORK = ist.Dense(hidden=(392,), output_activation="bounded")


def by_variance(x: np.ndarray, k: int, seed: int) -> np.ndarray:
    return np.argsort(-x.var(0), kind="stable")[:k]


def by_loadings(x: np.ndarray, k: int, seed: int) -> np.ndarray:
    pca = PCA(k, random_state=0).fit(x)
    return np.argsort(-(pca.components_**2 * pca.explained_variance_[:, None]).sum(0), kind="stable")[:k]


def by_clusters(x: np.ndarray, k: int, seed: int) -> np.ndarray:
    some = x[:2000]
    groups = FeatureAgglomeration(k).fit(some).labels_
    found = []
    for group in range(k):
        members = np.flatnonzero(groups == group)
        mean = some[:, members].mean(1, keepdims=True)
        found.append(members[np.square(some[:, members] - mean).sum(0).argmin()])
    return np.array(found)


def at_random(x: np.ndarray, k: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).choice(x.shape[1], k, replace=False)


OTHERS: dict[str, Callable[[np.ndarray, int, int], np.ndarray]] = {
    "random": at_random,
    "variance": by_variance,
    "loadings": by_loadings,
    "clusters": by_clusters,
}


def linear_error(train: np.ndarray, test: np.ndarray, columns: np.ndarray) -> float:
    """Of the least-squares map, with a constant, from the columns to all pixels."""
    ones = [np.ones((len(x), 1), dtype=x.dtype) for x in (train, test)]
    known = [np.hstack((x[:, columns], one)) for x, one in zip((train, test), ones, strict=True)]
    weights = np.linalg.lstsq(known[0], train, rcond=None)[0]
    return float(np.square(known[1] @ weights - test).mean())


def decoder_error(train: np.ndarray, test: np.ndarray, columns: np.ndarray, epochs: int, seed: int) -> float:
    """Of the same network for every choice; images come as bytes."""
    parts = Parts(network=NETWORK, bottleneck=Picked(tuple(columns.tolist())))
    model = ist.Autoencoder(
        parts, code_size=len(columns), network=NETWORK, epochs=epochs, random_state=seed, **LEARNING
    )
    rebuilt = model.fit(train).reconstruct(test)
    return float(np.square((rebuilt.astype(np.float32) - test) / 255.0).mean())


def agreement(train: np.ndarray, y: np.ndarray, test: np.ndarray, y_test: np.ndarray) -> float:
    """Share of test rows whose nearest training row has their label."""
    known, squares = torch.from_numpy(train).float(), torch.from_numpy(np.square(train).sum(1)).float()
    right = 0
    for start in range(0, len(test), 500):
        some = torch.from_numpy(test[start : start + 500]).float()
        nearest = torch.addmm(squares, some, known.T, alpha=-2).argmin(1).numpy()
        right += int((y[nearest] == y_test[start : start + 500]).sum())
    return right / len(test)


def spread(values: list[float]) -> str:
    return f"{np.mean(values):.4f}" + (f" ± {np.std(values, ddof=1):.4f}" if len(values) > 1 else "")


@dataclass(frozen=True)
class Judge:
    """Training and test images, as bytes and as flat rows in [0, 1], and how they are asked about a choice."""

    train: np.ndarray
    y: np.ndarray
    test: np.ndarray
    y_test: np.ndarray
    epochs: int
    seeds: list[int]

    @property
    def flat(self) -> np.ndarray:
        return self.train.reshape(len(self.train), -1).astype(np.float32) / 255

    @property
    def flat_test(self) -> np.ndarray:
        return self.test.reshape(len(self.test), -1).astype(np.float32) / 255

    def tell(self, choice: str, found: list[np.ndarray], seconds: float) -> None:
        """One line; a choice that no seed changes is judged by the decoders of all seeds."""
        x, test = self.flat, self.flat_test
        linear = [linear_error(x, test, columns) for columns in found]
        near = [agreement(x[:, columns], self.y, test[:, columns], self.y_test) for columns in found]
        each = found * len(self.seeds) if len(found) == 1 else found
        errors = [
            decoder_error(self.train, self.test, columns, self.epochs, seed)
            for seed, columns in zip(self.seeds, each, strict=True)
        ]
        row(choice, spread(linear), spread(near), f"{seconds:.0f}", spread(errors))


def compare(judge: Judge, k: int) -> None:
    x = judge.flat
    for choice, select in OTHERS.items():
        seeds = judge.seeds if choice == "random" else judge.seeds[:1]
        start = time.perf_counter()
        found = [select(x, k, seed) for seed in seeds]
        judge.tell(choice, found, (time.perf_counter() - start) / len(seeds))
    errors = {}
    for choice in ("linear", "bent", "concrete"):
        start, made = time.perf_counter(), []
        for seed in judge.seeds if choice == "concrete" else judge.seeds[:1]:
            selector = Selector(
                k, method=choice, network=NETWORK, epochs=judge.epochs, batch_size=128, random_state=seed
            )
            made.append(selector.fit(judge.train))
        seconds = (time.perf_counter() - start) / len(made)
        errors[choice] = made[0].errors_[choice]
        judge.tell(choice, [selector.columns_ for selector in made], seconds)
    print(f"Selector keeps {min(errors, key=lambda one: errors[one])!r}: held-out errors, scaled, {errors}", flush=True)
    pca, test = PCA(k, random_state=0).fit(x), judge.flat_test
    codes, test_codes = pca.transform(x), pca.transform(test)
    rebuilt = float(np.square(pca.inverse_transform(test_codes) - test).mean())
    row("PCA", rebuilt, agreement(codes, judge.y, test_codes, judge.y_test), "-", "-")
    row("all pixels", "-", agreement(x, judge.y, test, judge.y_test), "-", "-")


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument(
        "--quick", action="store_true", help=f"{QUICK_ROWS:,} training images, {QUICK_EPOCHS} epochs"
    )
    arguments.add_argument("--seeds", nargs="+", type=int, default=[0])
    arguments.add_argument("--sets", nargs="+", default=["mnist", "fashion-mnist"])
    arguments.add_argument("--pixels", type=int, default=50)
    chosen = arguments.parse_args()
    epochs = QUICK_EPOCHS if chosen.quick else FULL_EPOCHS
    for name in chosen.sets:
        images(name)
        train, y, test, y_test = named(name)
        if chosen.quick:
            some = np.random.default_rng(0).permutation(len(train))[:QUICK_ROWS]
            train, y = train[some], y[some]
        print(f"{name}: {len(train):,} training images, {chosen.pixels} of 784 pixels, {epochs} epochs", flush=True)
        row("choice", "linear map", "1-NN", "seconds", "decoder")
        compare(Judge(train, y, test, y_test, epochs, chosen.seeds), chosen.pixels)


if __name__ == "__main__":
    main()
