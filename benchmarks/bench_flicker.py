"""Clips of moving digits, cleaned frame by frame and with the frames on either side: error and flicker.

A clip is 12 frames of 40 x 40 pixels in which two MNIST digits move by up to a pixel per frame and bounce off the
edges; the noise is normal, of standard deviation .4 of the range, and new in every frame. Flicker is the mean absolute
change of the error from one frame to the next, in shares of the range. Both denoisers see the same clips equally
often, in batches of as many frames.

    python benchmarks/bench_flicker.py [--epochs 12] [--seeds 0 1 2]
"""

from __future__ import annotations

import argparse
import time

import numpy as np
from common import images, row

import isthmus as ist

SIDE, FRAMES, DIGIT, LEVEL = 40, 12, 28, 0.4


def clips(digits: np.ndarray, count: int, seed: int) -> np.ndarray:
    """(count, frames, side, side) uint8."""
    draw = np.random.default_rng(seed)
    made = np.zeros((count, FRAMES, SIDE, SIDE), dtype=np.uint8)
    room = SIDE - DIGIT
    for clip in made:
        for digit in digits[draw.integers(0, len(digits), 2)]:
            start, speed = draw.uniform(0, room, 2), draw.uniform(-1, 1, 2)
            for number, frame in enumerate(clip):
                along = np.mod(start + number * speed, 2 * room)
                row_, column = np.rint(np.where(along > room, 2 * room - along, along)).astype(int)
                here = frame[row_ : row_ + DIGIT, column : column + DIGIT]
                np.maximum(here, digit, out=here)
    return made


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--epochs", type=int, default=12)
    arguments.add_argument("--seeds", nargs="+", type=int, default=[0])
    chosen = arguments.parse_args()
    digits, unseen = images("mnist")
    train, test = clips(digits, 400, 0), clips(unseen, 40, 1)
    row("seed", "what", "PSNR, dB", "flicker", "seconds")
    for seed in chosen.seeds:
        for neighbours in (0, 1):
            network = ist.Restoring(16, levels=2)
            network = ist.FramesTogether(network) if neighbours else network
            start = time.perf_counter()
            denoiser = ist.Denoiser(
                "gaussian", 255 * LEVEL, data="video", neighbours=neighbours, network=network,
                epochs=chosen.epochs, batch_size=32 // (1 + 2 * neighbours), learning_rate=4e-3, random_state=seed,
            ).fit(train if neighbours else train.reshape(-1, SIDE, SIDE))  # fmt: skip
            seconds = time.perf_counter() - start
            noisy = np.clip(test + 255 * LEVEL * np.random.default_rng(9).normal(size=test.shape), 0, 255)
            noisy = noisy.round().astype(np.uint8)
            given = noisy if neighbours else noisy.reshape(-1, SIDE, SIDE)
            cleaned = denoiser.transform(given).reshape(test.shape)
            tries = {"nothing": noisy, "with neighbours" if neighbours else "frame by frame": cleaned}
            for name, result in tries.items():
                error = (result.astype(np.float64) - test) / 255
                flicker = float(np.abs(np.diff(error, axis=1)).mean())
                if name != "nothing" or not neighbours:
                    row(seed, name, float(-10 * np.log10(np.square(error).mean())), flicker, seconds)


if __name__ == "__main__":
    main()
