"""Does a sparse code find the features that the data were made of? A synthetic dictionary, and what each kind recovers.

Rows are sums of 4 of 256 random directions of length 1 in 64 dimensions, with coefficients uniform in [0.5, 1.5]
and Gaussian noise of 0.01 per column. A feature is recovered as well as the cosine to the nearest column of the
decoder says; ``matched`` is the share of features above 0.9. ``dead`` and ``always`` are the shares of units that
are active in none and in all of 10,000 fresh rows, ``L0`` the mean number active. Bar: for top-k a mean cosine
>= 0.9 with < 10 % dead units. No label, feature or count of features is shown to any kind but through code_size.

    python benchmarks/bench_dictionary.py [--seeds 0 1 2] [--sizes 256 512] [--rows 50000] [--epochs 20]
"""

from __future__ import annotations

import argparse
import time
from typing import Any

import numpy as np
from common import row

import isthmus as ist

COLUMNS, FEATURES, ACTIVE, NOISE = 64, 256, 4, 0.01


def kinds() -> dict[str, dict[str, Any]]:
    """Parts by name. The decoder is the encoder transposed but where it is said to be untied.

    L1 needs a fixed variance: with a learned one either the variance or the code goes to 0.
    """
    rectified = ist.Plain("relu")
    return {
        "top-k": {"bottleneck": ist.TopK(ACTIVE)},
        "top-k 2k": {"bottleneck": ist.TopK(2 * ACTIVE)},
        "top-k untied": {"bottleneck": ist.TopK(ACTIVE), "tied": False},
        "batch top-k": {"bottleneck": ist.BatchTopK(ACTIVE)},
        "jump-ReLU": {"bottleneck": ist.JumpReLU(price=3.0), "learning_rate": 5e-3},
        "L1": {
            "bottleneck": rectified,
            "loss": ist.Squared(0.1),
            "penalties": ist.L1(4.0),
            "learning_rate": 5e-3,
        },
        "no sparsity": {"bottleneck": rectified},
    }


def dictionary(rows: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """(rows, 64) data, and the (256, 64) features it is made of."""
    random = np.random.default_rng(seed)
    features = random.normal(size=(FEATURES, COLUMNS))
    features /= np.linalg.norm(features, axis=1, keepdims=True)
    chosen = np.argsort(random.random((rows, FEATURES)), axis=1)[:, :ACTIVE]
    coefficients = np.zeros((rows, FEATURES))
    np.put_along_axis(coefficients, chosen, random.uniform(0.5, 1.5, size=(rows, ACTIVE)), axis=1)
    return (coefficients @ features + NOISE * random.normal(size=(rows, COLUMNS))).astype(np.float32), features


def recovered(ae: ist.Autoencoder, features: np.ndarray) -> np.ndarray:
    """(256,) cosine of every feature to the nearest column of the decoder, in the data's own units."""
    one_hot = np.eye(ae.code_size_, dtype=np.float32)
    columns = ae.inverse_transform(one_hot) - ae.inverse_transform(0 * one_hot)
    columns = columns / np.linalg.norm(columns, axis=1, keepdims=True).clip(1e-12)
    return (features @ columns.T).max(1)


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--seeds", nargs="+", type=int, default=[0])
    arguments.add_argument("--sizes", nargs="+", type=int, default=[256])
    arguments.add_argument("--rows", type=int, default=50_000)
    arguments.add_argument("--epochs", type=int, default=20)
    arguments.add_argument("--kinds", nargs="+", choices=list(kinds()), default=list(kinds()))
    chosen = arguments.parse_args()
    row("kind", "code", "seed", "cosine", "matched", "dead", "always", "L0", "rmse", "seconds")
    worst_cosine, worst_dead = 1.0, 0.0
    for size in chosen.sizes:
        for seed in chosen.seeds:
            x, features = dictionary(chosen.rows + 10_000, seed)
            train, fresh = x[:-10_000], x[-10_000:]
            for name in chosen.kinds:
                parts = kinds()[name]
                network = ist.Dense(hidden=(), tied=parts.pop("tied", True))
                ae = ist.Autoencoder(
                    "overcomplete",
                    code_size=size,
                    network=network,
                    **parts,
                    weight_decay=0.0,
                    epochs=chosen.epochs,
                    random_state=seed,
                )
                start = time.perf_counter()
                ae.fit(train)
                seconds = time.perf_counter() - start
                cosine, activity = recovered(ae, features), (ae.transform(fresh) != 0).mean(0)
                dead = float((activity == 0).mean())
                error = float(np.sqrt(np.square(ae.reconstruct(fresh) - fresh).mean()))
                figures = (float(cosine.mean()), float((cosine > 0.9).mean()), dead, float((activity == 1).mean()))
                row(name, size, seed, *figures, float(activity.sum()), error, seconds)
                if name == "top-k":
                    worst_cosine, worst_dead = min(worst_cosine, figures[0]), max(worst_dead, dead)
    if "top-k" in chosen.kinds:
        print(f"top-k: worst mean cosine {worst_cosine:.3f} (bar 0.9), most dead units {worst_dead:.1%} (bar 10 %)")


if __name__ == "__main__":
    main()
