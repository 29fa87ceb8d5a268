"""The contractive penalty on MNIST test images, 784-256 sigmoid: a code that moves less, and rebuilds nearly as well.

|J| = Frobenius norm (not squared) of the Jacobian of the 256 codes in the 784 scaled pixels, mean over the test
images; MSE/px = squared error, mean over images and pixels in [0, 1]. Bar (penalty: Rifai et al. 2011): |J| falls
at least 8-fold from plain to contractive, with MSE/px at most 1.5 x the plain one's, in the mean over 3 seeds.

Both are fitted with the same knobs and for the same number of epochs; only the penalty differs.

    python benchmarks/bench_contractive.py [--seeds 0 1 2] [--weight W] [--epochs N] [--learning-rate R] [--tied]
"""

from __future__ import annotations

import argparse
import time
from typing import Any

import numpy as np
import torch
from common import images, row

import isthmus as ist
from isthmus.parts.jacobian import frobenius
from isthmus.parts.penalties.contractive import Contractive


def fitted(train: np.ndarray, seed: int, penalties: tuple[Any, ...], chosen: argparse.Namespace) -> ist.Autoencoder:
    return ist.Autoencoder(
        network=ist.Dense(hidden=(), tied=chosen.tied),
        bottleneck=ist.Plain("sigmoid"),
        penalties=penalties,
        code_size=256,
        epochs=chosen.epochs,
        batch_size=200,
        learning_rate=chosen.learning_rate,
        weight_decay=0.0,  # a smaller code needs larger weights in the decoder
        random_state=seed,
    ).fit(train)


@torch.no_grad()
def figures(ae: ist.Autoencoder, test: np.ndarray) -> tuple[float, float]:
    """Mean |J| and MSE/px."""
    composition, scale = ae.composition_, ae.scaling_.scale[0] / 255
    length, error = 0.0, 0.0
    for some in np.array_split(test, 20):
        batch = ist.Batch(ae.scaling_.forward(some), ist.Layout(some.shape[1:], ("height", "width")))
        out = composition.rebuild(composition.represent(batch), composition.context(batch))
        length += float(frobenius(composition, batch).sum(dtype=torch.float64))
        error += float((out - batch.x).square().flatten(1).mean(1).sum(dtype=torch.float64)) * scale**2
    return length / len(test), error / len(test)


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    arguments.add_argument("--weight", type=float, default=100.0)
    arguments.add_argument("--epochs", type=int, default=20)
    arguments.add_argument("--learning-rate", type=float, default=2e-2)
    arguments.add_argument("--tied", action="store_true", help="the decoder's weights are the encoder's")
    chosen = arguments.parse_args()
    train, test = images("mnist")
    row("seed", "kind", "|J|", "MSE/px", "|J| fell", "MSE ratio", "seconds")
    ratios = []
    for seed in chosen.seeds:
        found = {}
        for kind, penalties in {"plain": (), "contractive": (Contractive(chosen.weight),)}.items():
            start = time.perf_counter()
            ae = fitted(train, seed, penalties, chosen)
            seconds = time.perf_counter() - start
            found[kind] = figures(ae, test)
            fell, worse = found["plain"][0] / found[kind][0], found[kind][1] / found["plain"][1]
            row(seed, kind, found[kind][0], f"{found[kind][1]:.6f}", fell, worse, round(seconds))
        ratios.append((fell, worse))
    (fell, worse), (fell_spread, worse_spread) = np.mean(ratios, axis=0), np.std(ratios, axis=0)
    print(f"|J| fell {fell:.2f} +- {fell_spread:.2f} fold; MSE/px {worse:.3f} +- {worse_spread:.3f} x the plain one's")
    print(f"bar (at least 8-fold, at most 1.5 x): {'met' if fell >= 8 and worse <= 1.5 else 'NOT met'}")


if __name__ == "__main__":
    main()
