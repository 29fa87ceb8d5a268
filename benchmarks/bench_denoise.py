"""`Denoiser` on Fashion-MNIST and MNIST beside the best affine denoiser, which is exact linear algebra.

One model is fitted to masks of 20 and 50 % of the pixels (set to 0), and one to normal noise of standard deviation
.1, .25 and .5 of the range (clipped to it): each sees levels in between too, drawn anew for every picture, and is
not told which. PSNR is that of the mean squared error over the 10,000 test pictures, in decibels; the affine map is
fitted to the 60,000 training pictures with noise of the very level. The bar is 2 dB above it at every level, fitted
within 20 minutes on two cores (``--minutes``). Settings were chosen on the last 5,000 training rows.

    python benchmarks/bench_denoise.py [--sets fashion-mnist mnist] [--noises mask gaussian] [--seeds 0] [--epochs N]
"""

from __future__ import annotations

import argparse
import time

import numpy as np
from common import images, row

import isthmus as ist

LEVELS = {"mask": (0.2, 0.5), "gaussian": (0.1, 0.25, 0.5)}
RANGES = {"mask": (0.15, 0.55), "gaussian": (0.09, 0.6)}
EPOCHS = {"mask": 4, "gaussian": 18}


def in_units(noise: str, level: float) -> float:
    """A standard deviation in grey levels; a share as it is."""
    return 255 * level if noise == "gaussian" else level


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--sets", nargs="+", default=["fashion-mnist", "mnist"])
    arguments.add_argument("--noises", nargs="+", default=list(LEVELS), choices=list(LEVELS))
    arguments.add_argument("--seeds", nargs="+", type=int, default=[0])
    arguments.add_argument("--epochs", type=int)
    arguments.add_argument("--minutes", type=float, default=20.0, help="at most, for a fit")
    chosen = arguments.parse_args()
    row("data", "noise", "level", "seed", "noisy", "affine", "isthmus", "gain, dB", "seconds")
    for name in chosen.sets:
        train, test = images(name)
        for noise in chosen.noises:
            for seed in chosen.seeds:
                start = time.perf_counter()
                denoiser = ist.Denoiser(
                    noise, tuple(in_units(noise, level) for level in RANGES[noise]), random_state=seed,
                    epochs=chosen.epochs or EPOCHS[noise], max_time=60 * chosen.minutes, batch_size=32,
                    learning_rate=4e-3, validation_fraction=0.02,
                ).fit(train)  # fmt: skip
                seconds = time.perf_counter() - start
                for level in LEVELS[noise]:
                    found = denoiser.judge(test, level=in_units(noise, level), train=train, ssim=False)
                    pooled = {judged.name: judged.pooled for judged in found}
                    ours, affine = pooled["this denoiser"], pooled["best affine"]
                    row(name, noise, level, seed, pooled["nothing"], affine, ours, ours - affine, seconds)


if __name__ == "__main__":
    np.set_printoptions(precision=4)
    main()
