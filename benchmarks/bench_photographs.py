"""`Denoiser` on photographs: BSD68 with normal noise of standard deviation 25, after 30 minutes on two cores.

It is trained on patches of the 400 grey photographs of bsd-train400. PSNR is the mean over the 68 pictures, without
clipping the noisy ones, as in the papers; beside it the noisy pictures, the better of two median filters, the best
linear filter of 7 x 7, and the published figures: BM3D 28.57, DnCNN 29.23 (some hours on a GPU).

``--full`` is the recipe for a GPU: wider maps, and as many steps as DnCNN was given.

    python benchmarks/bench_photographs.py [--minutes 30] [--epochs 60] [--sigma 25] [--full] [--ssim]
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from pathlib import Path

import numpy as np
from common import row

import isthmus as ist

PUBLISHED = {15: (31.07, 31.73), 25: (28.57, 29.23), 50: (25.62, 26.23)}


def photographs(name: str) -> list[np.ndarray]:
    root = os.environ.get("ISTHMUS_DATA")
    if not root or not (Path(root) / name).is_dir():
        print(f"skipped: set ISTHMUS_DATA to a folder that holds {name}")
        sys.exit(0)
    return ist.data.read_images_of_any_size(Path(root) / name)[0]


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--minutes", type=float, default=30.0)
    arguments.add_argument("--sigma", type=int, default=25, choices=list(PUBLISHED))
    arguments.add_argument("--epochs", type=int, default=60, help="as many as the minutes allow are run")
    arguments.add_argument("--full", action="store_true")
    arguments.add_argument("--ssim", action="store_true", help="SSIM and non-local means too: needs isthmus[images]")
    chosen = arguments.parse_args()
    train, test = photographs("bsd-train400"), photographs("bsd68")
    # Floats, so that noise and results are neither clipped nor rounded.
    train, test = ([picture.astype(np.float32) for picture in part] for part in (train, test))
    how = {"network": ist.Restoring(64, levels=3, blocks=3), "epochs": 200, "batch_size": 64, "learning_rate": 1e-3}
    if not chosen.full:
        how = {"epochs": chosen.epochs, "batch_size": 8, "learning_rate": 1e-3, "max_time": 60 * chosen.minutes}
    start = time.perf_counter()
    denoiser = ist.Denoiser(
        "gaussian", float(chosen.sigma), augmentation=ist.Flip(), validation_fraction=0.01, random_state=0, **how
    ).fit(train)
    seconds = time.perf_counter() - start
    print(f"{denoiser.autoencoder_.record_.train_rows:,} patches, {denoiser.autoencoder_.record_.stopped}")
    row("what", "PSNR, dB", "seconds", "SSIM")
    for judged in denoiser.judge(test, level=float(chosen.sigma), ssim=chosen.ssim):
        row(judged.name, judged.psnr, seconds if judged.name == "this denoiser" else "-", judged.ssim)
    for name, figure in zip(("BM3D", "DnCNN"), PUBLISHED[chosen.sigma], strict=True):
        row(f"{name}, published", figure, "-", "-")


if __name__ == "__main__":
    main()
