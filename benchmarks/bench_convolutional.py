"""Convolutional networks: seconds of an epoch beside the same layers in a bare PyTorch loop, in one run.

1. The denoiser of 64, 32 and 16 filters with max-pooling, rows damaged by Gaussian noise.
2. Filters of 64 and 128 with stride 2, a layer of 512 and a code of 64, mirrored.

Images are Fashion-MNIST's, in batches of 128; data handling is included. Bar: at most 1.05 x the bare loop, which is
printed in both memory formats: as PyTorch has it by default, and with channels last.

    python benchmarks/bench_convolutional.py [--rows 12800] [--repeats 3] [--threads 2]
"""

from __future__ import annotations

import argparse
import time

import torch
from common import images, row
from torch import nn
from torch.nn import functional as F

import isthmus as ist
from isthmus.parts.networks.convolutional import Convolutional

BATCH = 128


class Folded(nn.Module):
    """A flat code as a map, or back."""

    def __init__(self, *shape: int) -> None:
        super().__init__()
        self.shape = shape

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.unflatten(1, self.shape).movedim(-1, 1) if self.shape else x.movedim(1, -1).flatten(1)


def denoiser() -> nn.Sequential:
    """As one writes it: 28-14-7-4 and 4-8-16-14-28."""
    layers: list[nn.Module] = []
    for inputs, outputs in ((1, 64), (64, 32), (32, 16)):
        layers += [nn.Conv2d(inputs, outputs, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2, ceil_mode=True)]
    for inputs, outputs, padding in ((16, 16, 1), (16, 32, 1), (32, 64, 0)):
        layers += [nn.Conv2d(inputs, outputs, 3, padding=padding), nn.ReLU(), nn.Upsample(scale_factor=2)]
    return nn.Sequential(*layers, nn.Conv2d(64, 1, 3, padding=1))


def embedder() -> nn.Sequential:
    layers = [nn.Conv2d(1, 64, 3, 2, 1), nn.SiLU(), nn.Conv2d(64, 128, 3, 2, 1), nn.SiLU(), Folded()]
    layers += [nn.Linear(6272, 512), nn.SiLU(), nn.Linear(512, 64), nn.Linear(64, 512), nn.SiLU()]
    layers += [nn.Linear(512, 6272), nn.SiLU(), Folded(7, 7, 128)]
    for outputs in (128, 64):
        layers += [nn.Conv2d(128, outputs, 3, padding=1), nn.SiLU(), nn.Upsample(scale_factor=2)]
    return nn.Sequential(*layers, nn.Conv2d(64, 1, 3, padding=1))


class Bare:
    """A plain loop over the same layers."""

    def __init__(self, model: nn.Module, x: torch.Tensor, noise: float, channels_last: bool) -> None:
        self.model = model.to(memory_format=torch.channels_last) if channels_last else model
        self.x, self.noise = x[:, None], noise
        self.optimiser = torch.optim.AdamW(self.model.parameters(), lr=1e-3, fused=True)

    def epoch(self) -> float:
        start = time.perf_counter()
        order = torch.randperm(len(self.x))
        for first in range(0, len(self.x), BATCH):
            batch = self.x[order[first : first + BATCH]]
            seen = batch + self.noise * torch.randn_like(batch) if self.noise else batch
            loss = F.mse_loss(self.model(seen), batch)
            self.optimiser.zero_grad(set_to_none=True)
            loss.backward()
            self.optimiser.step()
        return time.perf_counter() - start


def ours(network: Convolutional, code_size: int, corruption: object, x: torch.Tensor, seed: int) -> float:
    """Seconds of the second of two epochs; the look at some rows after it is in them."""
    ae = ist.Autoencoder(
        network=network, code_size=code_size, corruption=corruption, batch_size=BATCH, epochs=2,
        validation_fraction=0.0, random_state=seed,
    ).fit(x.numpy())  # fmt: skip
    seconds = ae.history_["seconds"]
    return seconds[2] - seconds[1]


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--rows", type=int, default=12_800)
    arguments.add_argument("--repeats", type=int, default=3)
    arguments.add_argument("--threads", type=int, default=2)
    chosen = arguments.parse_args()
    torch.set_num_threads(chosen.threads)
    x = torch.from_numpy(images("fashion-mnist")[0][: chosen.rows]).float() / 255
    print(f"an epoch of {len(x):,} images, {torch.get_num_threads()} threads: seconds, the least of {chosen.repeats}")
    row("", "isthmus", "bare", "bare, last", "ratio")
    brief = Convolutional((64, 32, 16), down="max", activation="relu", code="map")
    wide = Convolutional((64, 128), dense=(512,))
    cases = (
        ("denoiser", denoiser, brief, 256, ist.GaussianNoise(0.5)),
        ("64-128-512", embedder, wide, 64, None),
    )
    for name, layers, network, code_size, corruption in cases:
        loops = [Bare(layers(), x, 0.5 if corruption else 0.0, last) for last in (False, True)]
        times = []
        for seed in range(chosen.repeats):
            times.append((ours(network, code_size, corruption, x, seed), *(loop.epoch() for loop in loops)))
        mine, default, last = (min(values) for values in zip(*times, strict=True))
        row(name, mine, default, last, mine / min(default, last))


if __name__ == "__main__":
    main()
