"""Defects planted into pictures that the detector has not seen: which pictures it finds, and which pixels.

Detectors are fitted to ordinary pictures of some classes. Of held-out pictures of these classes half stay as they are,
and half get a defect: a scratch (a thin line), a blot (a soft dark or bright spot), a patch (a square of a
picture of another class, pasted in) or a missing square (set to 0). Pixels that differ by more than a tenth of the full
range are the true ones; pictures in which fewer than four do are left out, as nobody could find those.

Printed for each defect, x 100:

    rows      AUROC of defect pictures against ordinary ones, by the detector's score or the mean of the map
    pixels    AUROC of the pixels of the defect pictures, by the heat map
    precision average precision of the same pixels
    regions   mean share of each defect that is covered, averaged over levels at which at most 30 % of the other pixels
              are (the per-region overlap of Bergmann et al. 2020, with one region a picture)
    border    share of the pictures whose hottest pixel lies in the outermost two pixels, where few defects lie

Beside `AnomalyDetector.explain` stand |x - mean picture|, the same over each pixel's usual deviation, and the squared
residual of principal components.

    python benchmarks/bench_pixel_maps.py [--data fashion-mnist] [--classes 0 1] [--seeds 0] [--quick]
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable

import numpy as np
import torch
from common import images
from sklearn.metrics import average_precision_score, roc_auc_score

import isthmus as ist
from isthmus.data.builtin import named
from isthmus.pca import principal_components

DEFECTS = ("scratch", "blot", "patch", "missing")
COMPONENTS = 64
SEEN, FEWEST = 0.1, 4
"""A pixel is part of a defect that differs by so much of the full range; a defect has so many pixels at least."""

MOST_FALSE = 0.3
BORDER = 2

Found = tuple[np.ndarray, np.ndarray]
"""(n,) how odd pictures are, and (n, 28, 28) their heat maps."""


def planted(x: np.ndarray, kind: str, others: np.ndarray, draw: np.random.Generator) -> np.ndarray:
    """(n, 28, 28) in [0, 1]: the pictures, each with one defect near its middle, where there is something to break."""
    n = len(x)
    rows, columns = np.mgrid[:28, :28][:, None]
    y, z = draw.uniform(7, 21, (2, n, 1, 1))
    if kind == "scratch":
        angle, length = draw.uniform(0, np.pi, (n, 1, 1)), draw.uniform(4, 8, (n, 1, 1))
        along = (rows - y) * np.sin(angle) + (columns - z) * np.cos(angle)
        across = (rows - y) * np.cos(angle) - (columns - z) * np.sin(angle)
        line = (np.abs(along) <= length) * np.clip(1.25 - np.abs(across), 0, 1)
        return x + line * (np.where(draw.random((n, 1, 1)) < 0.5, 1.0, 0.0) - x)
    if kind == "blot":
        size = draw.uniform(1.5, 3, (n, 1, 1))
        spot = np.exp(-(((rows - y) ** 2 + (columns - z) ** 2) / (2 * size**2)))
        return np.clip(x + spot * draw.choice((-0.8, 0.8), (n, 1, 1)), 0, 1)
    side = draw.integers(3, 6, (n, 1, 1))
    square = (np.abs(rows - y) <= side) & (np.abs(columns - z) <= side)
    if kind == "patch":
        return np.where(square, others[draw.integers(0, len(others), n)], x)
    return np.where(square, 0.0, x)


def plain_rivals(train: np.ndarray) -> dict[str, Callable[[np.ndarray], Found]]:
    """What needs no training: distance to the mean picture, and what principal components leave."""
    mean, spread = train.mean(0), train.std(0) + 0.05
    flat = torch.from_numpy(train.reshape(len(train), -1)).float()
    pca = principal_components(iter([flat]))
    axes, centre = pca.components[:COMPONENTS], flat.mean(0).numpy()

    def summed(heat: np.ndarray) -> Found:
        return heat.mean((1, 2)), heat

    def residual(x: np.ndarray) -> Found:
        off = x.reshape(len(x), -1) - centre
        return summed(((off - off @ axes.T @ axes) ** 2).reshape(x.shape))

    return {
        "mean picture": lambda x: summed(np.abs(x - mean)),
        "over usual": lambda x: summed(np.abs(x - mean) / spread),
        f"PCA {COMPONENTS}": residual,
    }


def overlap(heat: np.ndarray, mask: np.ndarray) -> float:
    """The mean cover of defects, over the levels at which at most `MOST_FALSE` of all other pixels are called."""
    clean = np.sort(heat[~mask])[::-1]
    levels = clean[(np.linspace(0, MOST_FALSE, 61)[1:] * len(clean)).astype(int)]
    sizes = mask.sum((1, 2))
    return float(np.mean([np.mean(((heat > level) & mask).sum((1, 2)) / sizes) for level in levels]))


def judged(
    found: Callable[[np.ndarray], Found], ordinary: np.ndarray, broken: np.ndarray, clean: np.ndarray
) -> list[float]:
    """The figures of one detector for one defect."""
    mask = np.abs(broken - clean) > SEEN
    seen = mask.sum((1, 2)) >= FEWEST
    mask = mask[seen]
    usual, (odd, heat) = found(ordinary)[0], found(broken[seen])
    labels = np.repeat([0, 1], [len(usual), len(odd)])
    hottest = np.stack(np.unravel_index(heat.reshape(len(heat), -1).argmax(1), heat.shape[1:]), 1)
    edge = ((hottest < BORDER) | (hottest >= 28 - BORDER)).any(1)
    figures = [
        roc_auc_score(labels, np.concatenate([usual, odd])),
        roc_auc_score(mask.ravel(), heat.ravel()),
        average_precision_score(mask.ravel(), heat.ravel()),
        overlap(heat, mask),
        edge.mean(),
        mask.mean(),
    ]
    return [100 * float(figure) for figure in figures]


def run(
    name: str, classes: list[int], seed: int, rows: int, test_rows: int, epochs: int
) -> dict[tuple[str, str], list[float]]:
    """Of every defect and detector, the figures."""
    draw = np.random.default_rng(seed)
    x, y, held_out, labels = named(name)
    train = draw.permutation(x[np.isin(y, classes)])[:rows] / 255
    others = x[~np.isin(y, classes)][:5000] / 255
    test = draw.permutation(held_out[np.isin(labels, classes)])[: 2 * test_rows] / 255
    ordinary, clean = np.array_split(test, 2)
    start = time.perf_counter()
    detector = ist.AnomalyDetector(epochs=epochs, random_state=seed).fit(train.astype(np.float32))
    print(f"seed {seed}: fitted to {len(train):,} pictures in {time.perf_counter() - start:.0f} s", flush=True)

    def ours(x: np.ndarray) -> Found:
        x = x.astype(np.float32)
        return -detector.score_samples(x), detector.explain(x)

    detectors = {"isthmus": ours, **plain_rivals(train)}
    broken = {kind: planted(clean, kind, others, draw) for kind in DEFECTS}
    return {
        (kind, who): judged(found, ordinary, broken[kind], clean)
        for kind in DEFECTS
        for who, found in detectors.items()
    }


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--data", default="fashion-mnist", choices=("fashion-mnist", "mnist"))
    arguments.add_argument("--classes", nargs="+", type=int, default=[0, 1])
    arguments.add_argument("--seeds", nargs="+", type=int, default=[0])
    arguments.add_argument("--quick", action="store_true", help="3,000 pictures, not 6,000; 20 epochs, not 40")
    chosen = arguments.parse_args()
    images(chosen.data)  # or a skip
    size = (3000, 500, 20) if chosen.quick else (6000, 1000, 40)
    every = [run(chosen.data, chosen.classes, seed, *size) for seed in chosen.seeds]
    titles = ("rows", "pixels", "precision", "regions", "border", "true %")
    print(f"{'defect':10}{'by':14}" + "".join(f"{title:>11}" for title in titles))
    for kind, who in every[0]:
        values = np.mean([found[kind, who] for found in every], axis=0)
        print(f"{kind:10}{who:14}" + "".join(f"{value:11.1f}" for value in values))


if __name__ == "__main__":
    main()
