"""Convolutional and recurrent networks: seconds of an epoch beside the same layers in a bare PyTorch loop, in one run.

1. The denoiser of 64, 32 and 16 filters with max-pooling, rows damaged by Gaussian noise.
2. Filters of 64 and 128 with stride 2, a layer of 512 and a code of 64, mirrored.
3. An LSTM of 64 units that reads both ways, a code of 16 and an LSTM that writes: series of 100 steps of 8 channels.

Images are Fashion-MNIST's, in batches of 128, series are drawn, in batches of 64; data handling is included, and the
look at a thousand rows after the epoch. Bar: at most 1.05 x the bare loop, which is printed for images in both memory
formats: as PyTorch has it by default, and with channels last.

    python benchmarks/bench_networks.py [--rows 12800] [--repeats 3] [--threads 2]
"""

from __future__ import annotations

import argparse
import time
from typing import Any

import torch
from common import images, row
from torch import nn
from torch.nn import functional as F

import isthmus as ist
from isthmus.parts.networks.convolutional import Convolutional

BATCH, SERIES = 128, 64


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


class Sequences(nn.Module):
    """Both ways into a code, one way out of it."""

    def __init__(self) -> None:
        super().__init__()
        self.read, self.head = nn.LSTM(8, 64, batch_first=True, bidirectional=True), nn.Linear(128, 16)
        self.state, self.write, self.out = nn.Linear(16, 128), nn.LSTM(16, 64, batch_first=True), nn.Linear(64, 8)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        ends = self.read(x)[1][0]
        z = self.head(ends.transpose(0, 1).flatten(1))
        first, second = (part[None].contiguous() for part in self.state(z).chunk(2, 1))
        return self.out(self.write(z[:, None].expand(-1, x.shape[1], -1), (first, second))[0])


class Bare:
    """A plain loop over the same layers."""

    def __init__(self, model: nn.Module, x: torch.Tensor, noise: float, channels_last: bool, size: int) -> None:
        self.model = model.to(memory_format=torch.channels_last) if channels_last else model
        self.x, self.noise, self.size = x, noise, size
        self.optimiser = torch.optim.AdamW(self.model.parameters(), lr=1e-3, fused=True)

    def epoch(self) -> float:
        start = time.perf_counter()
        order = torch.randperm(len(self.x))
        for first in range(0, len(self.x), self.size):
            batch = self.x[order[first : first + self.size]]
            seen = batch + self.noise * torch.randn_like(batch) if self.noise else batch
            loss = F.mse_loss(self.model(seen), batch)
            self.optimiser.zero_grad(set_to_none=True)
            loss.backward()
            self.optimiser.step()
        return time.perf_counter() - start


def ours(network: Any, code_size: int, corruption: object, x: Any, seed: int, size: int) -> float:
    """Seconds of the second of two epochs; the look at some rows after it is in them."""
    ae = ist.Autoencoder(
        network=network, code_size=code_size, corruption=corruption, batch_size=size, epochs=2,
        validation_fraction=0.0, random_state=seed,
    ).fit(x)  # fmt: skip
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
        loops = [Bare(layers(), x[:, None], 0.5 if corruption else 0.0, last, BATCH) for last in (False, True)]
        times = []
        for seed in range(chosen.repeats):
            mine = ours(network, code_size, corruption, x.numpy(), seed, BATCH)
            times.append((mine, *(loop.epoch() for loop in loops)))
        mine, default, last = (min(values) for values in zip(*times, strict=True))
        row(name, mine, default, last, mine / min(default, last))
    series = torch.randn(chosen.rows // 2, 100, 8, generator=torch.Generator().manual_seed(0)).cumsum(1)
    network, loop = ist.Recurrent(64, bidirectional=True), Bare(Sequences(), series / 10, 0.0, False, SERIES)
    times = []
    for seed in range(chosen.repeats):
        times.append((ours(network, 16, None, ist.data.sequences(series.numpy()), seed, SERIES), loop.epoch()))
    mine, bare = (min(values) for values in zip(*times, strict=True))
    row("LSTM", mine, bare, "-", mine / bare)


if __name__ == "__main__":
    main()
