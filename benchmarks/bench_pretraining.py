"""Layer-wise pretraining beside training from scratch, in equal time, with 100 to 60,000 labels of MNIST.

Four networks of 784-500-500-250 and ten outputs learn the digits: two from scratch, of sigmoid and of relu units; two,
of sigmoid units, after their layers were trained one by one without labels on all 60,000 images, as denoising
autoencoders (`stacked`) and by contrastive divergence (`deep_belief`). Every network has the same seconds of one core
(processor time, so that other work on the machine does not count), pretraining included, of which it has half at most.
Then Adam, batches of 100, and the state that was best on a tenth of the labels that was held out. Every draw labels
other images, as many of each digit. Error in per cent of the 10,000 test images, mean and spread over draws.

    python benchmarks/bench_pretraining.py [--labels 100 1000 10000 60000] [--draws 3] [--seconds 60]
"""

from __future__ import annotations

import argparse
import copy
import time
import warnings
from typing import Any

import numpy as np
import torch
from common import images, row
from torch import nn
from torch.nn import functional as F

import isthmus as ist
from isthmus.data.builtin import named
from isthmus.records import Batch, Layout

LAYOUT = Layout((784,), ("column",))
BATCH, LOOK = 100, 200
"""Rows in a step, and steps between two looks at the rows held out."""


class Encoder(nn.Module):
    """The code of a fitted autoencoder, as a layer that goes on learning."""

    def __init__(self, model: ist.Autoencoder) -> None:
        super().__init__()
        self.composition, self.scaling = copy.deepcopy(model.composition_).train(), model.scaling_

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.composition.encode(Batch(x, LAYOUT))[1].z


def plain(activation: type[nn.Module], seed: int) -> nn.Module:
    """The same network with random weights, of the variance that keeps signals as large in every layer."""
    layers: list[nn.Module] = []
    generator = torch.Generator().manual_seed(seed)
    gain = nn.init.calculate_gain("relu" if activation is nn.ReLU else "sigmoid")
    for first, last in ((784, 500), (500, 500), (500, 250)):
        layer = nn.Linear(first, last)
        nn.init.xavier_uniform_(layer.weight, gain, generator)
        nn.init.zeros_(layer.bias)
        layers += [layer, activation()]
    return nn.Sequential(*layers)


def pretrained(method: Any, X: np.ndarray, seconds: float, seed: int) -> tuple[nn.Module, float]:
    """An encoder trained layer by layer, and the seconds of processor time that took."""
    began = time.process_time()
    network = ist.Dense((500, 500), activation="sigmoid")
    settings = {"code_size": 250, "network": network, "scale": "none", "random_state": seed, "epochs": 1}
    model = ist.Autoencoder(method, max_time=seconds, **settings).fit(X)
    return Encoder(model), time.process_time() - began


def taught(encoder: nn.Module, X: torch.Tensor, y: torch.Tensor, seconds: float, seed: int) -> nn.Module:
    """The encoder and a linear layer, trained with labels for so many seconds of processor time."""
    began, generator = time.process_time(), torch.Generator().manual_seed(seed)
    network = nn.Sequential(encoder, nn.Linear(250, 10))
    nn.init.zeros_(network[1].weight)
    nn.init.zeros_(network[1].bias)
    order = torch.randperm(len(X), generator=generator)
    held, used = order[: len(order) // 10], order[len(order) // 10 :]
    optimiser = torch.optim.Adam(network.parameters(), 1e-3, fused=True)
    best, kept, step = (2.0, np.inf), copy.deepcopy(network.state_dict()), 0
    while time.process_time() - began < seconds:
        for rows in used[torch.randperm(len(used), generator=generator)].split(BATCH):
            cost = F.cross_entropy(network(X[rows]), y[rows])
            optimiser.zero_grad()
            cost.backward()
            optimiser.step()
            step += 1
            if step % LOOK == 0:
                with torch.no_grad():
                    out = network(X[held])
                    # Of few held-out labels the error is often the same: then the likelihood tells.
                    now = (float((out.argmax(1) != y[held]).double().mean()), float(F.cross_entropy(out, y[held])))
                if now < best:
                    best, kept = now, copy.deepcopy(network.state_dict())
                if time.process_time() - began >= seconds:
                    break
    network.load_state_dict(kept)
    return network


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--labels", nargs="+", type=int, default=[100, 1000, 10_000, 60_000])
    parser.add_argument("--draws", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=60.0)
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    warnings.simplefilter("ignore", ist.DataWarning)  # the corners of the images are never written on
    images("mnist")
    train, labels, test, test_labels = named("mnist")
    X, Q = (one.reshape(len(one), -1).astype(np.float32) / 255 for one in (train, test))
    rows, y, asked = torch.from_numpy(X), torch.from_numpy(labels.astype(np.int64)), torch.from_numpy(Q)
    kinds = {
        "denoising": ist.recipes.stacked(layer_epochs=4),
        "contrastive": ist.recipes.deep_belief(layer_epochs=4),
    }
    errors: dict[tuple[str, int], list[float]] = {}
    for draw in range(chosen.draws):
        starts = {"scratch, sigmoid": (plain(nn.Sigmoid, draw), 0.0), "scratch, relu": (plain(nn.ReLU, draw), 0.0)}
        starts |= {name: pretrained(kind, X, chosen.seconds / 2, draw) for name, kind in kinds.items()}
        order = np.random.default_rng(draw).permutation(len(X))
        for many in chosen.labels:
            some = torch.from_numpy(np.concatenate([order[labels[order] == c][: many // 10] for c in range(10)]))
            some = some if many < len(X) else torch.from_numpy(order)
            for name, (encoder, spent) in starts.items():
                network = taught(copy.deepcopy(encoder), rows[some], y[some], chosen.seconds - spent, draw)
                with torch.no_grad():
                    wrong = network(asked).argmax(1).numpy() != test_labels
                errors.setdefault((name, many), []).append(100 * float(wrong.mean()))
        spent = ", ".join(f"{name} {seconds:.0f} s" for name, (_, seconds) in starts.items() if seconds)
        print(f"draw {draw}: of {chosen.seconds:.0f} s pretraining took {spent}", flush=True)
    row("labels", *starts)
    for many in chosen.labels:
        row(many, *[float(np.mean(errors[name, many])) for name in starts])
        row("  spread", *[float(np.std(errors[name, many])) for name in starts])


if __name__ == "__main__":
    main()
