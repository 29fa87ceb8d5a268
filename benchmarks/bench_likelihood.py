"""Likelihoods of variational kinds on binarised MNIST, beside the published figures.

Static binarisation: every pixel is drawn once, 1 with the probability of its grey value / 255, and kept for all epochs:
``numpy.random.RandomState(0).random_sample((60000, 784)) < train / 255``, then ``random_sample((10000, 784)) < test /
255`` from the same generator. Static and dynamic binarisation, drawn anew in every epoch, differ by about 2 nats; the
published figures are of another static draw, of which 50,000 rows were trained on, here it is all 60,000. The first
row's settings follow from the likelihood of the last 10,000 of them, in fits to the first 50,000 (``--held-out``): its
encoder is shown rows of which one pixel in twenty is black, whose clean pixels are what is costed (Im et al. 2017,
"Denoising criterion for variational auto-encoding"), which keeps it from overfitting: 91.0 nats held out after 300
epochs and 90.9 after 450, against 91.3 after 200 without. Fits to rows as they are (``--plain``) gave 90.9, 90.0 and
92.4 on the test rows after 150, 300 and 500 epochs. The other rows' settings are not tuned. What is printed is minus
the log-likelihood of the 10,000 test rows, in nats, by importance sampling from the posterior; the more draws, the
tighter.

    kind     network (the decoder mirrors it)        published, nats (draws)
    vae      784-400-40 silu (there: relu)           89.8 (200): pythae; 89.9: Rezende & Mohamed 2015; tutorials 97.1
    iwae-5   784-200-200-50 tanh                     87.9 (5,000): pythae; 87.6: Burda et al. 2016
    iwae-50  the same                                86.8 (5,000): pythae; 87.1: Burda et al. 2016
    vamp     784-300-300-40 silu (there: gated),     85.8 (5,000): pythae; 85.6: Tomczak & Welling 2018
             500 pseudo-inputs

``--quick`` does what two cores can in some minutes per kind, and leaves the others `not run`; without it the settings
are those of the papers' size, for a GPU. ``--speed`` prints the seconds of an epoch of the first row beside a bare
PyTorch loop of the same autoencoder, in one run.

    python benchmarks/bench_likelihood.py [--quick] [--seeds 0 1 2] [--kinds vae vamp ...] [--held-out] [--plain]
        [--epochs N] [--speed]
"""

from __future__ import annotations

import argparse
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from common import images, row
from torch import nn
from torch.nn import functional as F

import isthmus as ist


@dataclass(frozen=True)
class Setting:
    """What is fitted, how long and how fast on two cores (``quick``; None = not at all) and on a GPU (``full``)."""

    method: Callable[[], Any]
    network: ist.Dense
    code_size: int
    published: str
    draws: int
    full: dict[str, Any]
    quick: dict[str, Any] | None = None
    corruption: Any = None


TANH, SILU = ist.Dense((200, 200), activation="tanh"), ist.Dense((300, 300), activation="silu")

SETTINGS = {
    "vae": Setting(
        method=lambda: ist.recipes.vae(beta=ist.Ramp(0.0, 1.0, epochs=30)),
        network=ist.Dense((400,), activation="silu"),
        code_size=40,
        published="89.8",
        draws=200,
        full={"epochs": 450, "batch_size": 250, "learning_rate": 6e-3},
        quick={"epochs": 450, "batch_size": 250, "learning_rate": 6e-3},
        corruption=ist.Mask(0.05),
    ),
    "iwae-5": Setting(
        method=lambda: ist.recipes.iwae(draws=5),
        network=TANH,
        code_size=50,
        published="87.6-87.9",
        draws=5000,
        full={"epochs": 1000, "batch_size": 100, "learning_rate": 2e-3},
        quick={"epochs": 20, "batch_size": 100, "learning_rate": 4e-3},
    ),
    "iwae-50": Setting(
        method=lambda: ist.recipes.iwae(draws=50),
        network=TANH,
        code_size=50,
        published="86.8-87.1",
        draws=5000,
        full={"epochs": 1000, "batch_size": 100, "learning_rate": 2e-3},
    ),
    "vamp": Setting(
        method=lambda: ist.recipes.vae(prior=ist.Vamp(500)),
        network=SILU,
        code_size=40,
        published="85.6-85.8",
        draws=5000,
        full={"epochs": 500, "batch_size": 100, "learning_rate": 2e-3},
        quick={"epochs": 20, "batch_size": 250, "learning_rate": 8e-3},
    ),
}

QUICK_DRAWS = 500
"""Most draws per row with ``--quick``."""


def binarised() -> tuple[np.ndarray, np.ndarray]:
    """(60000, 784) and (10000, 784) uint8, 0 or 1: the one draw that is kept."""
    source = np.random.RandomState(0)
    train, test = (part.reshape(len(part), -1) for part in images("mnist"))
    drawn = [source.random_sample(part.shape) < part / 255 for part in (train, test)]
    return drawn[0].astype(np.uint8), drawn[1].astype(np.uint8)


def fitted(setting: Setting, how: dict[str, Any], train: np.ndarray, seed: int) -> ist.Autoencoder:
    """No rows are held out: how long to train was chosen beforehand."""
    return ist.Autoencoder(
        setting.method(),
        code_size=setting.code_size,
        network=setting.network,
        loss=ist.Bernoulli(),
        corruption=setting.corruption,
        scale="none",
        weight_decay=0.0,
        validation_fraction=0.0,
        random_state=seed,
        **how,
    ).fit(train)


def line(
    name: str,
    setting: Setting,
    quick: bool,
    seeds: list[int],
    train: np.ndarray,
    test: np.ndarray,
    epochs: int | None = None,
) -> None:
    how, draws = (setting.quick, min(setting.draws, QUICK_DRAWS)) if quick else (setting.full, setting.draws)
    if how is not None:
        how = how if epochs is None else {**how, "epochs": epochs}
        found, seconds = [], []
        for seed in seeds:
            start = time.perf_counter()
            ae = fitted(setting, how, train, seed)
            seconds.append(time.perf_counter() - start)
            found.append(-ae.log_likelihood(test, draws=draws).mean)
        spread = float(np.std(found)) if len(found) > 1 else "-"
        row(name, *how.values(), draws, float(np.mean(found)), spread, setting.published, float(np.mean(seconds)))
    if quick and setting.full != setting.quick:
        row(f"{name}, full", *setting.full.values(), setting.draws, "not run", "-", setting.published, "-")


class Bare(nn.Module):
    """The first row's autoencoder as one would write it by hand."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder = nn.Sequential(nn.Linear(784, 400), nn.ReLU(), nn.Linear(400, 80))
        self.decoder = nn.Sequential(nn.Linear(40, 400), nn.ReLU(), nn.Linear(400, 784))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        mean, log_variance = self.encoder(x).chunk(2, dim=1)
        z = mean + torch.randn_like(mean) * (0.5 * log_variance).exp()
        lost = F.binary_cross_entropy_with_logits(self.decoder(z), x, reduction="sum")
        paid = 0.5 * (mean.square() + log_variance.exp() - 1 - log_variance).sum()
        return (lost + paid) / len(x)


def speed(train: np.ndarray, batch_size: int, repeats: int) -> None:
    """Seconds of an epoch, ours and bare taking turns; the fastest of each counts."""
    setting = SETTINGS["vae"]
    x, model = torch.from_numpy(train).float(), Bare()
    optimiser = torch.optim.Adam(model.parameters(), lr=1e-3, fused=True)
    ours, bare = [], []
    for seed in range(repeats):
        how = {"epochs": 2, "batch_size": batch_size, "learning_rate": 1e-3}
        passed = fitted(setting, how, train, seed).history_["seconds"]
        ours.append(passed[2] - passed[1])
        start = time.perf_counter()
        for some in torch.randperm(len(x)).split(batch_size):
            loss = model(x[some])
            optimiser.zero_grad(set_to_none=True)
            loss.backward()
            optimiser.step()
        bare.append(time.perf_counter() - start)
    row(batch_size, min(ours), min(bare), min(ours) / min(bare))


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--quick", action="store_true", help="as far as two cores come in minutes per kind")
    arguments.add_argument("--seeds", nargs="+", type=int, default=[0])
    arguments.add_argument("--kinds", nargs="+", choices=list(SETTINGS), default=list(SETTINGS))
    arguments.add_argument("--epochs", type=int, help="others than the setting's")
    arguments.add_argument(
        "--held-out", action="store_true", help="for choices: judge on the last 10,000 training rows"
    )
    arguments.add_argument("--plain", action="store_true", help="show the encoder rows as they are")
    arguments.add_argument("--speed", action="store_true", help="only the seconds of an epoch beside a bare loop")
    chosen = arguments.parse_args()
    train, test = binarised()
    if chosen.held_out:
        train, test = train[:50_000], train[50_000:]
    # Corners that are never lit: said once in the head of this table rather than at every fit.
    warnings.simplefilter("ignore", ist.DataWarning)
    if chosen.speed:
        row("batch", "isthmus s", "bare s", "ratio")
        for batch_size in (100, 250, 1000):
            speed(train, batch_size, repeats=5)
        return
    judged = "held-out" if chosen.held_out else "test"
    print(f"static binarisation, {len(train):,} training rows, {len(test):,} {judged} rows, seeds {chosen.seeds}")
    row("kind", "epochs", "batch", "rate", "draws", "nats", "spread", "published", "seconds")
    for name in chosen.kinds:
        setting = replace(SETTINGS[name], corruption=None) if chosen.plain else SETTINGS[name]
        line(name, setting, chosen.quick, chosen.seeds, train, test, chosen.epochs)


if __name__ == "__main__":
    main()
