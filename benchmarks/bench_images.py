"""Reconstruction of MNIST and Fashion-MNIST test images beside PCA.

SSE/img = squared error summed over the 784 pixels in [0, 1], mean over images. Bars: the deep network
784-1000-500-250-30 on MNIST at most 3.00 (Hinton & Salakhutdinov 2006; PCA 13.87); `linear`, from a random start,
within 1.001 x PCA of the same training rows on Fashion-MNIST with 30 codes (12.243); the network
784-2000-500-500-10 with relu, a sigmoid code and a linear output on Fashion-MNIST, beside PCA-10's 19.09.

    python benchmarks/bench_images.py [deep] [linear] [seed] [--seeds 0 1 2] [--epochs N]
"""

from __future__ import annotations

import argparse
import time

import numpy as np
import torch
from common import images, row, sse

import isthmus as ist
from isthmus.pca import largest_angle, principal_components

BRIEF = ist.Dense(hidden=(2000, 500, 500), activation="relu")


def pca_sse(train: np.ndarray, test: np.ndarray, size: int) -> tuple[float, np.ndarray]:
    pca = principal_components(torch.from_numpy(block / 255).float() for block in np.array_split(train, 20))
    return float(pca.errors([torch.from_numpy(test / 255).float()])[size]) * 784, pca.components[:size]


def run(name: str, label: str, train: np.ndarray, test: np.ndarray, seed: int, **knobs: object) -> None:
    start = time.perf_counter()
    ae = ist.Autoencoder(random_state=seed, verbose=1, **knobs).fit(train)
    seconds = time.perf_counter() - start
    exact = ae.scaling_.scale[0] / 255  # `reconstruct` rounds to whole grey levels; the error before rounding is:
    with torch.no_grad():
        errors = 0.0
        for _, _, batch in ae._batches(ae._source(test)):
            out = ae.composition_.rebuild(ae.composition_.represent(batch), ae.composition_.context(batch))
            errors += float((out - batch.x).square().sum(dtype=torch.float64)) * exact**2
    reference, components = pca_sse(train, test, ae.code_size_)
    row(name, label, f"seed {seed}", errors / len(test), sse(test, ae.reconstruct(test)), reference, seconds)
    if label == "linear":
        decoder = ae.composition_.decoder.linear[0].weight.detach().numpy().T
        print(
            f"    ratio to PCA {errors / len(test) / reference:.5f}, angle {largest_angle(components, decoder):.2f} deg"
        )


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("which", nargs="*", default=["deep", "linear", "seed"])
    arguments.add_argument("--seeds", nargs="+", type=int, default=[0])
    arguments.add_argument("--epochs", type=int, default=None)
    chosen = arguments.parse_args()
    mnist, fashion = images("mnist"), images("fashion-mnist")
    row("data", "kind", "seed", "SSE/img", "as uint8", "PCA SSE/img", "seconds")
    for seed in chosen.seeds:
        if "deep" in chosen.which:
            run("mnist", "deep", *mnist, seed, method="deep", code_size=30, epochs=chosen.epochs or 60)
        if "linear" in chosen.which:
            # All 60,000 rows are trained on, as the published figure was.
            run("fashion", "linear", *fashion, seed, method="linear", code_size=30, validation_fraction=0.0,
                epochs=chosen.epochs or 40)  # fmt: skip
        if "seed" in chosen.which:
            run("fashion", "2000-500-500", *fashion, seed, network=BRIEF, bottleneck=ist.Plain("sigmoid"), code_size=10,
                epochs=chosen.epochs or 20)  # fmt: skip


if __name__ == "__main__":
    main()
