"""Codes of two numbers for MNIST and Fashion-MNIST: what they keep of test images, beside PCA, kernel PCA and UMAP.

All are fitted to the same training images, without labels, and judged on test images, by distances between pixels in
[0, 1]: trustworthiness and continuity (mean over k = 10, 20 .. 200) and Spearman's correlation of pairwise distances on
2,000 test images, which the seed draws; the accuracy of 5 nearest training images, by their codes, on all 10,000.
`seconds` is the fit's, `memory` the most anonymous memory in MB that the process had meanwhile beyond what it had
before (that of a second method is less where it reuses what the first gave back). UMAP is the package umap-learn with
its own settings; without it, or with --without umap, it is left out. Autoencoders stop after --seconds each.

    python benchmarks/bench_reduction.py [--quick] [--rows 20000] [--seconds 120] [--seed 0] [--pictures FOLDER]
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from common import anonymous_megabytes, images, row, watched
from sklearn.decomposition import PCA

import isthmus as ist
from isthmus import metrics
from isthmus.data.builtin import named
from isthmus.estimators import reductions

SIZE, JUDGED = 2, 2000
DENSE = ist.Dense((1000, 500, 250), activation="relu")
CONVOLUTIONAL = ist.Convolutional((32, 64), down="stride", activation="relu", dense=(256,))
KINDS: dict[str, tuple[str, dict[str, Any]]] = {
    "undercomplete": ("undercomplete", {"network": DENSE}),
    "vae": ("vae", {"network": DENSE}),
    "convolutional": ("undercomplete", {"network": CONVOLUTIONAL}),
}
OTHERS = ("pca", "kernel_pca", "umap")

Encode = Callable[[np.ndarray], np.ndarray]


def fitted(name: str, train: np.ndarray, seconds: float, seed: int) -> tuple[Encode, np.ndarray | None]:
    """Fit to images (n, 28, 28) uint8; what encodes such images, and their own codes where the fit leaves them."""
    flat = pixels(train)
    if name in KINDS:
        kind, knobs = KINDS[name]
        model = ist.Autoencoder(kind, code_size=SIZE, max_time=seconds, random_state=seed, verbose=0, **knobs)
        return model.fit(train).transform, None
    if name == "pca":
        pca = PCA(SIZE, random_state=seed).fit(flat)
        return lambda x: pca.transform(pixels(x)), None
    some = reductions.some_rows(name, np.arange(len(flat)), flat.shape[1], seed)
    found = reductions.fitted(name, flat[some], SIZE, seed)
    assert found.encode is not None
    encode = found.encode
    return lambda x: encode(pixels(x)), found.codes if len(some) == len(flat) else None


def pixels(x: np.ndarray) -> np.ndarray:
    """(n, 784) float32 in [0, 1]."""
    return x.reshape(len(x), -1).astype(np.float32) / 255


def draw(path: Path, codes: dict[str, np.ndarray], labels: np.ndarray, title: str) -> None:
    """The codes of the test images, a picture for each method."""
    from matplotlib.figure import Figure

    across = min(3, len(codes))
    lines = -(-len(codes) // across)
    figure = Figure(figsize=(4.4 * across, 4.2 * lines), layout="constrained")
    panels = figure.subplots(lines, across, squeeze=False).ravel()
    for panel, (name, code) in zip(panels, codes.items(), strict=False):
        panel.scatter(*code.T, c=labels, cmap="tab10", s=2, linewidths=0)
        panel.set_title(name)
        panel.set(xticks=[], yticks=[])
    for panel in panels[len(codes) :]:
        panel.set_axis_off()
    figure.suptitle(title)
    figure.savefig(path, dpi=110)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data", nargs="+", default=["fashion-mnist", "mnist"])
    parser.add_argument("--rows", type=int, default=20_000, help="training images")
    parser.add_argument("--seconds", type=float, default=120, help="for each fit of an autoencoder")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--without", nargs="*", default=[], help="methods to leave out")
    parser.add_argument("--pictures", help="a folder for a picture of the codes")
    parser.add_argument("--quick", action="store_true")
    options = parser.parse_args()
    if options.pictures:
        Path(options.pictures).mkdir(parents=True, exist_ok=True)
    if options.quick:
        options.rows, options.seconds = 2_000, 10
    for data in options.data:
        images(data)
        train, known, test, labels = named(data)
        train, known = train[: options.rows], known[: options.rows]
        if options.quick:
            test, labels = test[:2000], labels[:2000]
        judged = np.random.default_rng(options.seed).permutation(len(test))[:JUDGED]
        print(f"\n{data}: {len(train):,} training images, {len(test):,} test images, {SIZE} numbers per image")
        row("", "trustworthy", "continuous", "distances", "5-NN", "seconds", "memory")
        found = {}
        for name in [name for name in (*OTHERS, *KINDS) if name not in options.without]:
            before, began = anonymous_megabytes(), time.perf_counter()
            try:
                (encode, own), peak = watched(partial(fitted, name, train, options.seconds, options.seed))
            except ist.MissingExtraError as error:
                print(f"skipped: {error}")
                continue
            seconds, codes = time.perf_counter() - began, encode(test)
            kept = metrics.neighbours_kept(pixels(test)[judged], codes[judged])
            distances = metrics.distance_order(pixels(test)[judged], codes[judged])
            accuracy = metrics.neighbour_accuracy(encode(train) if own is None else own, known, codes, labels)
            row(name, *kept, distances, accuracy, f"{seconds:.0f}", f"{max(0.0, peak - before):.0f}")
            found[name] = codes
        if options.pictures:
            draw(Path(options.pictures) / f"codes_{data}.png", found, labels, f"{data}: codes of test images")


if __name__ == "__main__":
    main()
