"""Speed: ratios of isthmus to bare PyTorch, in one run on one machine.

1. An epoch of 784-1000-500-250-30 on MNIST at batch 1000 and 250, data handling included, beside a bare loop over the
   same layers with the fused optimiser; and the share of this machine's own matrix product rate. Bar: at most 1.05 x.
2. Scoring 20,000 x 30 rows with 30-256-64-8-64-256-30 beside the bare forward passes in the same batches. Bar for
   float32: at most 1.2 x; float64 and 30-64-32-8 are printed beside.

    python benchmarks/bench_speed.py [--repeats 5]
"""

from __future__ import annotations

import argparse
import itertools
import time

import numpy as np
import torch
from common import best_of, images, row
from torch import nn

import isthmus as ist
from isthmus.estimators.fitting import rows_at_once

SIZES = (784, 1000, 500, 250, 30)


def stack(sizes: tuple[int, ...], norm: bool) -> nn.Sequential:
    """Encoder and mirrored decoder as plain PyTorch layers."""
    layers: list[nn.Module] = []
    for half in (sizes, sizes[::-1]):
        for place, (inputs, outputs) in enumerate(itertools.pairwise(half)):
            layers.append(nn.Linear(inputs, outputs))
            if place < len(half) - 2:
                layers += [nn.LayerNorm(outputs)] if norm else []
                layers.append(nn.SiLU())
    return nn.Sequential(*layers)


def bare_epoch(model: nn.Module, optimiser: torch.optim.Optimizer, x: torch.Tensor, batch_size: int) -> float:
    start = time.perf_counter()
    order = torch.randperm(len(x))
    for first in range(0, len(x), batch_size):
        batch = x[order[first : first + batch_size]]
        loss = torch.nn.functional.mse_loss(model(batch), batch)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        optimiser.step()
    return time.perf_counter() - start


def epochs(train: np.ndarray, batch_size: int, repeats: int, matrix_rate: float) -> None:
    x = torch.from_numpy(train.reshape(len(train), -1)).float() / 255
    model = stack(SIZES, norm=True)
    optimiser = torch.optim.Adam(model.parameters(), lr=1e-3, fused=True)
    network = ist.Dense(SIZES[1:-1], activation="silu", norm="layer")
    ours, bare = [], []
    for seed in range(repeats):
        ae = ist.Autoencoder(
            network=network, code_size=SIZES[-1], batch_size=batch_size, epochs=2, validation_fraction=0.0,
            random_state=seed,
        ).fit(train.reshape(len(train), -1))  # fmt: skip
        seconds = ae.history_["seconds"]
        ours.append(seconds[2] - seconds[1])
        bare.append(bare_epoch(model, optimiser, x, batch_size))
    flops = 6.0 * sum(a * b for a, b in itertools.pairwise(SIZES)) * 2 * len(train)
    share = flops / min(ours) / matrix_rate
    row(f"batch {batch_size}", min(ours), min(bare), min(ours) / min(bare), f"{100 * share:.0f} %")


def forward(model: nn.Module, x: torch.Tensor, size: int) -> None:
    with torch.no_grad():
        for first in range(0, len(x), size):
            model(x[first : first + size])


def scoring(repeats: int) -> None:
    random = np.random.default_rng(0)
    x = random.normal(size=(20_000, 30)).astype(np.float32)
    tensor, size = torch.from_numpy(x), rows_at_once(30)
    print(f"\nscoring 20,000 x 30 rows: seconds, in batches of {size}, and the bare passes in batches of 2048 too")
    row("network", "dtype", "isthmus", "bare", "ratio", "bare 2048", "ratio")
    for hidden, code in (((256, 64), 8), ((64, 32), 8)):
        ae = ist.Autoencoder(network=ist.Dense(hidden), code_size=code, epochs=1, random_state=0).fit(x)
        model = stack((30, *hidden, code), norm=False)
        for data in (x, x.astype(np.float64)):
            ours, bare, small = np.inf, np.inf, np.inf
            for _ in range(repeats):
                ours = min(ours, best_of(10, lambda d=data, a=ae: a.score_samples(d)))
                bare = min(bare, best_of(10, lambda m=model: forward(m, tensor, size)))
                small = min(small, best_of(10, lambda m=model: forward(m, tensor, 2048)))
            row("-".join(map(str, (30, *hidden, code))), data.dtype, ours, bare, ours / bare, small, ours / small)


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--repeats", type=int, default=5)
    arguments.add_argument("--only", choices=("epochs", "scoring"))
    chosen = arguments.parse_args()
    if chosen.only != "scoring":
        train, _ = images("mnist")
        a = torch.randn(1024, 1024)
        matrix_rate = 2 * 1024**3 / best_of(20, lambda: a @ a)
        print(f"matrix product {matrix_rate / 1e9:.0f} GFLOP/s, {torch.get_num_threads()} threads\nan epoch: seconds")
        row("", "isthmus", "bare", "ratio", "of matmul")
        for batch_size in (1000, 250):
            epochs(train, batch_size, chosen.repeats, matrix_rate)
    if chosen.only != "epochs":
        scoring(chosen.repeats)


if __name__ == "__main__":
    main()
