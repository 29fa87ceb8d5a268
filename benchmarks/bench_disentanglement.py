"""Do units of a variational code find the factors that images were made of? On sprites whose factors are known.

The images are drawn here: 32 x 32 grey pixels, one white shape on black, of five independent factors like those of
dSprites: shape (square, ellipse, heart), scale (6), orientation (40), position across and down (32 each); every
combination is as probable as any other. All kinds have one network, 10 units, the same epochs and a Bernoulli loss.
Their codes of 5,000 images that they were not fitted to are judged by the factors (`isthmus.disentanglement`): MIG, the
disentanglement of DCI, and SAP, each from 0 to 1, more is better. A square looks the same after a quarter turn and an
ellipse after a half: no code can hold all of the orientation, so that 1 is out of reach. `SSE/img` is the error of what
is rebuilt, pixels from 0 to 1.

Published, off a figure and thus about (Chen et al. 2018): MIG on dSprites 0.1 for a VAE, 0.2 for beta-VAE and above 0.3
for beta-TCVAE, with 64 x 64 pixels, all 737,280 images, wider networks and the best beta for each: only the order can
be compared. How much seeds matter, often more than kinds (Locatello et al. 2019), is what the spread shows.

    python benchmarks/bench_disentanglement.py [--quick] [--seeds 0 1 2] [--kinds vae beta_tc_vae ...]
"""

from __future__ import annotations

import argparse
import time
from typing import Any

import numpy as np
from common import row, sse

import isthmus as ist
from isthmus.disentanglement import dci, mig, sap

PIXELS, FINER = 32, 3
"""Pixels a side, and points a side in each of them at which a shape is asked for."""
SIZES = (3, 6, 40, 32, 32)
"""Values that each factor has: shape, scale, orientation, across, down."""
CODE_SIZE, JUDGED = 10, 5000

KINDS = {
    "vae": lambda: ist.recipes.vae(beta=1.0),
    "beta_vae": ist.recipes.beta_vae,
    "beta_tc_vae": ist.recipes.beta_tc_vae,
    "factor_vae": ist.recipes.factor_vae,
}


def sprites(n: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """(n, 32, 32) uint8 images and their (n, 5) factors, whole numbers."""
    source = np.random.default_rng(seed)
    factors = np.stack([source.integers(size, size=n) for size in SIZES], axis=1)
    return np.concatenate([drawn(some) for some in np.array_split(factors, -(-n // 500))]), factors


def drawn(factors: np.ndarray) -> np.ndarray:
    """(n, 5) factors -> (n, 32, 32) uint8: of each pixel, the share of its points that lie within the shape."""
    shape, scale, turn, across, down = (factors / (np.array(SIZES) - 1)).T[:, :, None, None].astype(np.float32)
    angle = np.float32(2 * np.pi * (SIZES[2] - 1) / SIZES[2]) * turn  # the last value is one step before a whole turn
    points = np.linspace(-1, 1, PIXELS * FINER, dtype=np.float32)
    # Sizes and places such that no shape, however turned, reaches over the edge.
    size = 0.16 + 0.16 * scale
    x, y = (points - (across - 0.5)) / size, (points[:, None] - (down - 0.5)) / size
    x, y = np.cos(angle) * x + np.sin(angle) * y, np.cos(angle) * y - np.sin(angle) * x
    square = np.maximum(np.abs(x), np.abs(y)) < 0.8
    ellipse = x * x + 4 * y * y < 1.3
    rim = x * x + y * y - 1
    heart = rim * rim * rim + x * x * y * y * y < 0  # written out, as powers are slow
    within = np.where(shape == 0, square, np.where(shape == 1, heart, ellipse))
    return np.round(255 * within.reshape(-1, PIXELS, FINER, PIXELS, FINER).mean(axis=(2, 4))).astype(np.uint8)


def fitted(kind: str, x: np.ndarray, quick: bool, seed: int) -> ist.Autoencoder:
    how: dict[str, Any] = {"network": ist.Dense((1200, 1200), activation="relu"), "epochs": 100, "batch_size": 256}
    if quick:
        how = {"network": ist.Dense((256, 256), activation="relu"), "epochs": 20, "batch_size": 128}
    loss = ist.Bernoulli()
    return ist.Autoencoder(KINDS[kind](), code_size=CODE_SIZE, loss=loss, random_state=seed, **how).fit(x)


def judged(ae: ist.Autoencoder, x: np.ndarray, factors: np.ndarray) -> list[float]:
    codes = ae.transform(x)
    return [mig(codes, factors), dci(codes, factors).disentanglement, sap(codes, factors), sse(x, ae.reconstruct(x))]


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--quick", action="store_true", help="20,000 images, a smaller network, 20 epochs")
    arguments.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    arguments.add_argument("--kinds", nargs="+", choices=list(KINDS), default=list(KINDS))
    chosen = arguments.parse_args()
    x, _ = sprites(20_000 if chosen.quick else 100_000, seed=0)
    test, factors = sprites(JUDGED, seed=1)
    print(f"{len(x):,} sprites, code size {CODE_SIZE}, seeds {chosen.seeds}; mean and spread over seeds")
    row("kind", "MIG", "spread", "DCI", "spread", "SAP", "spread", "SSE/img", "seconds")
    for kind in chosen.kinds:
        found, seconds = [], []
        for seed in chosen.seeds:
            start = time.perf_counter()
            ae = fitted(kind, x, chosen.quick, seed)
            seconds.append(time.perf_counter() - start)
            found.append(judged(ae, test, factors))
        mean, spread = np.mean(found, axis=0), np.std(found, axis=0)
        spreads = [float(one) if len(found) > 1 else "-" for one in spread]
        cells = [cell for number in range(3) for cell in (float(mean[number]), spreads[number])]
        row(kind, *cells, float(mean[3]), float(np.mean(seconds)))


if __name__ == "__main__":
    main()
