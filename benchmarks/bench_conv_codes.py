"""Convolutional codes of MNIST and Fashion-MNIST, beside the published ones.

The network of Sainburg et al. 2021, "Parametric UMAP embeddings" (its autoencoder without UMAP): 3x3 convolutions
of 64 and 128 filters with stride 2, a layer of 512, the code, and the mirror image; 50,000 training rows. Printed
are the mean squared error per pixel in [0, 1] on the test rows, and the share of them whose nearest training code
has their label; beside them the published figures, and PCA's of the same size.

    data             code  MSE/px  1-NN
    mnist              64  .00162  .975
    mnist               2  .0369
    fashion-mnist      64  .00540  .867
    fashion-mnist       2  .0244

``--full`` trains for 50 epochs, as published; without it, for as many as a core does in some minutes, and the head
says so.

    python benchmarks/bench_conv_codes.py [--full] [--epochs N] [--seeds 0 1 2] [--codes 64 2] [--sets mnist ...]
"""

from __future__ import annotations

import argparse
import time

import numpy as np
from common import row
from sklearn.decomposition import PCA
from sklearn.neighbors import KNeighborsClassifier

import isthmus as ist

PUBLISHED = {
    ("mnist", 64): (0.00162, 0.975), ("mnist", 2): (0.0369, float("nan")),
    ("fashion-mnist", 64): (0.00540, 0.867), ("fashion-mnist", 2): (0.0244, float("nan")),
}  # fmt: skip

NETWORK = ist.Convolutional((64, 128), down="stride", activation="relu", dense=(512,), output_activation="bounded")
TRAINED = 50_000
"""Training rows as published."""
QUICK_EPOCHS = 2


def agreement(train: np.ndarray, y: np.ndarray, test: np.ndarray, y_test: np.ndarray) -> float:
    """Share of test rows whose nearest training code has their label."""
    return float(KNeighborsClassifier(1, n_jobs=-1).fit(train, y).score(test, y_test))


def mean_error(x: np.ndarray, out: np.ndarray) -> float:
    return float(np.square(x / 255.0 - out).mean())


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--full", action="store_true")
    arguments.add_argument("--quick", action="store_true", help="what is done without --full")
    arguments.add_argument("--epochs", type=int)
    arguments.add_argument("--seeds", nargs="+", type=int, default=[0])
    arguments.add_argument("--codes", nargs="+", type=int, default=[64, 2])
    arguments.add_argument("--sets", nargs="+", default=["mnist", "fashion-mnist"])
    chosen = arguments.parse_args()
    epochs = chosen.epochs or (50 if chosen.full else QUICK_EPOCHS)
    print(f"{TRAINED:,} training rows, {epochs} epochs (published: 50)")
    row("data", "code", "who", "seed", "MSE/px", "1-NN", "seconds")
    for name in chosen.sets:
        train, y, test, y_test = ist.data.named(name)
        train, y = train[:TRAINED], y[:TRAINED]
        for size in chosen.codes:
            row(name, size, "published", "-", *PUBLISHED[name, size], "-")
            pca = PCA(size, random_state=0).fit(train.reshape(len(train), -1) / 255.0)
            codes = [pca.transform(part.reshape(len(part), -1) / 255.0) for part in (train, test)]
            rebuilt = pca.inverse_transform(codes[1]).reshape(test.shape)
            row(name, size, "PCA", "-", mean_error(test, rebuilt), agreement(codes[0], y, codes[1], y_test), "-")
            for seed in chosen.seeds:
                start = time.perf_counter()
                ae = ist.Autoencoder(
                    code_size=size, network=NETWORK, epochs=epochs, batch_size=128, random_state=seed,
                    learning_rate=1e-3, validation_fraction=0.02,
                ).fit(train)  # fmt: skip
                seconds = time.perf_counter() - start
                found = agreement(ae.transform(train), y, ae.transform(test), y_test)
                row(name, size, "isthmus", seed, mean_error(test, ae.reconstruct(test) / 255.0), found, seconds)


if __name__ == "__main__":
    main()
