"""Another five that is not the same five, and what lies between two digits: `Generator.vary` and `interpolate`, MNIST.

A generator is fitted to training images without their labels. Of test fives, `vary` makes one each, at several spreads:
``fives`` is the share that a classifier (`isthmus.judge.Judge`, trained on training images and labels) takes for fives,
``distance`` the median Euclidean distance to the original in pixels in [0, 1], ``ratio`` that over the median distance
between two random test fives. Beside it: the rebuilt fives, and ``noise``, the plain thing to do: each unit of the code
with normal noise of the spread times its standard deviation. Bar: 95 % fives at a ratio of at least 0.5.

Then midpoints of random pairs of test images, of each path: ``nearest`` is the median distance to the nearest training
image over that of the test images themselves, in the judge's features, so that 1 is as near as real ones; ``inside``
the share within the neighbourhoods of test images (improved precision). Bar: the path along the density is no farther
off than the straight line.

    python benchmarks/bench_vary.py [--quick] [--seeds 0 1 2] [--code-size 32] [--epochs 20] [--pictures vary.png]
"""

from __future__ import annotations

import argparse
import time
import warnings
from typing import Any

import numpy as np
import torch
from common import draw_strips, images, row

import isthmus as ist
from isthmus.data.builtin import named
from isthmus.fidelity import precision_recall
from isthmus.judge import Judge
from isthmus.neighbours import nearest

SPREADS = (0.25, 0.5, 0.75, 0.85, 1.0)
PATHS = ("straight", "spherical", "density")
FIVES, PAIRS = 800, 200


def apart(a: np.ndarray, b: np.ndarray) -> float:
    """The median Euclidean distance of images of 0..255, in pixels of 0..1."""
    difference = (a.astype(np.float64) - b.astype(np.float64)).reshape(len(a), -1) / 255
    return float(np.median(np.linalg.norm(difference, axis=1)))


def noisy(generator: ist.Generator, fives: np.ndarray, train: np.ndarray, spread: float) -> np.ndarray:
    """Fives decoded from their codes with independent noise."""
    ae = generator.autoencoder_
    scale = spread * ae.transform(train[:10_000]).std(0)
    codes = ae.transform(fives)
    return ae.inverse_transform(codes + scale * np.random.default_rng(0).normal(size=codes.shape))


def varied(generator: ist.Generator, judge: Judge, fives: np.ndarray, train: np.ndarray) -> dict[str, list[float]]:
    """By way and spread: the share of fives, the distance, its ratio to that of two fives."""
    usual = apart(fives, np.random.default_rng(0).permutation(fives))
    made = {"rebuilt -": generator.autoencoder_.reconstruct(fives)}
    made |= {f"vary {spread}": generator.vary(fives, 1, spread, random_state=0) for spread in SPREADS}
    made |= {f"noise {spread}": noisy(generator, fives, train, spread) for spread in SPREADS}
    return {
        name: [float((judge.predict(some) == 5).mean()), apart(some, fives), apart(some, fives) / usual]
        for name, some in made.items()
    }


def between(generator: ist.Generator, judge: Judge, test: np.ndarray, train: np.ndarray) -> dict[str, list[float]]:
    """By path: how near midpoints are to training images, the share inside of real ones, milliseconds for each path."""
    pairs = np.random.default_rng(1).permutation(len(test))[: 2 * PAIRS].reshape(2, PAIRS)
    reference, real = (torch.from_numpy(judge.features(some)) for some in (train, test))
    usual = float(nearest(real, reference).median())
    found = {"test images": [1.0, precision_recall(real[: len(real) // 2], real[len(real) // 2 :])[0], 0.0]}
    for path in PATHS:
        start = time.perf_counter()
        middles = [generator.interpolate(test[i], test[j], 3, path)[1] for i, j in pairs.T]
        took = 1e3 * (time.perf_counter() - start) / PAIRS
        features = torch.from_numpy(judge.features(np.stack(middles)))
        near = float(nearest(features, reference).median()) / usual
        found[path] = [near, precision_recall(real, features)[0], took]
    return found


def draw_pictures(path: str, generator: ist.Generator, test: np.ndarray, labels: np.ndarray) -> None:
    """Fives, each with nine others, and two digits with the rows between them, by each path."""
    fives, seven, two = test[labels == 5][:5], test[labels == 7][0], test[labels == 2][0]
    strips = {f"spread {s}": np.concatenate([five[None], generator.vary(five, 9, s, random_state=0)])
              for five, s in zip(fives, SPREADS, strict=True)}  # fmt: skip
    strips |= {name: generator.interpolate(seven, two, 10, name) for name in PATHS}
    draw_strips(path, strips, 10)


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--quick", action="store_true", help="10,000 training images, a quicker judge")
    arguments.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    arguments.add_argument("--code-size", type=int, default=32)
    arguments.add_argument("--epochs", type=int, default=20)
    arguments.add_argument("--pictures", metavar="PNG", help="where to draw some of them")
    chosen = arguments.parse_args()
    images("mnist")
    train, y, test, labels = named("mnist")
    judge = Judge.fit(train[:20_000], y[:20_000], seed=0) if chosen.quick else Judge.fit(train, y, seed=0)
    real = float((judge.predict(test) == labels).mean())
    train = train[:10_000] if chosen.quick else train
    fives = test[labels == 5][:FIVES]
    # Corners that are never lit.
    warnings.simplefilter("ignore", ist.errors.DataWarning)
    print(
        f"MNIST, {len(train):,} training images, seeds {chosen.seeds}; the judge is right on {real:.4f} of test images"
    )
    near: list[dict[str, list[float]]] = []
    middle: list[dict[str, list[float]]] = []
    for seed in chosen.seeds:
        settings: dict[str, Any] = {"code_size": chosen.code_size, "epochs": chosen.epochs}
        start = time.perf_counter()
        generator = ist.Generator(random_state=seed, **settings).fit(train)
        took, size = time.perf_counter() - start, generator.autoencoder_.code_size_
        print(f"seed {seed}: code size {size}, {len(generator.drawing_.map.means)} components, {took:.0f} s")
        near.append(varied(generator, judge, fives, train))
        middle.append(between(generator, judge, test, train))
        if chosen.pictures and seed == chosen.seeds[0]:
            draw_pictures(chosen.pictures, generator, test, labels)
    for found, heads in ((near, ("fives", "distance", "ratio")), (middle, ("nearest", "inside", "ms"))):
        row("", *heads, f"+- {heads[0]}")
        for name in found[0]:
            over = np.array([one[name] for one in found])
            row(name, *over.mean(0).tolist(), float(over[:, 0].std()) if len(found) > 1 else "-")


if __name__ == "__main__":
    main()
