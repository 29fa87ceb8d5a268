"""Codes of the classical kinds as features: the error of a logistic regression on MNIST, beside raw pixels and PCA.

Every kind learns its code without labels from the training images; a logistic regression (multinomial, L2, its
strength chosen on 10,000 held-out training images, or a sixth of them) then learns the digits from the codes, and is
judged once on the 10,000 test images. A unit is counted as active above a tenth of its largest activation.

Published, with 1,000 units: k-sparse (Makhzani & Frey 2014) 1.35 % at k = 25, raw pixels 7.2-7.5 %, denoising 1.95 %;
contractive 1.82 %, denoising 2.04 % and plain 2.6 % after fine-tuning with labels (Rifai et al. 2011), which is not
done here. What is compared is the order.

    python benchmarks/bench_features.py [--quick] [--seeds 0 1 2] [--kinds top_k kl_sparse ...]
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable

import numpy as np
import torch
from common import images, row
from torch.nn import functional as F

import isthmus as ist
from isthmus.data.builtin import named
from isthmus.pca import principal_components

STRENGTHS = (1e-6, 1e-5, 1e-4, 1e-3)


def kinds(units: int) -> dict[str, Callable[[], dict[str, object]]]:
    """What each kind is fitted with: all have one layer of ``units`` but for the stacked one, which has three."""
    wide = ist.Dense(hidden=(), activation="relu")
    return {
        "plain": lambda: {"method": "overcomplete", "network": wide},
        "top-k": lambda: {"method": ist.recipes.top_k(k=25)},
        "KL": lambda: {"method": ist.recipes.kl_sparse(target=0.05)},
        "L1": lambda: {"method": "sparse"},
        # As in bench_contractive.py, where the weight was chosen on held-out training images by error and norm.
        "contractive": lambda: {"method": ist.recipes.contractive(weight=100.0), "learning_rate": 2e-2},
        "denoising": lambda: {"network": wide, "bottleneck": ist.Plain("relu"), "corruption": ist.Mask(0.3)},
        "stacked": lambda: {
            "method": ist.recipes.stacked(corruption=ist.Mask(0.25)),
            "network": ist.Dense(hidden=(units, units), activation="sigmoid"),
        },
    }


def logistic(x: torch.Tensor, labels: torch.Tensor, strength: float, start: torch.Tensor | None) -> torch.Tensor:
    """(features + 1, 10) weights that make  mean cross-entropy + strength * |W|^2 / 2  least, by L-BFGS."""
    weights = torch.zeros(x.shape[1] + 1, 10) if start is None else start.clone()
    weights.requires_grad_()
    solver = torch.optim.LBFGS([weights], max_iter=150, line_search_fn="strong_wolfe", tolerance_change=1e-7)

    def cost() -> torch.Tensor:
        solver.zero_grad()
        out = torch.addmm(weights[-1], x, weights[:-1])
        total = F.cross_entropy(out, labels) + 0.5 * strength * weights[:-1].square().sum()
        total.backward()
        return total

    solver.step(cost)
    return weights.detach()


def error(train: np.ndarray, test: np.ndarray, labels: torch.Tensor, test_labels: torch.Tensor) -> float:
    """Per cent of the test rows that the regression gets wrong."""
    centre, spread = train.mean(0), train.std() or 1.0  # one scale for all units: their relative sizes are the code's
    x, y = (torch.from_numpy((rows - centre) / spread).float() for rows in (train, test))
    cut = len(x) - max(len(x) // 6, 1)
    weights, tried = None, []
    for strength in sorted(STRENGTHS, reverse=True):
        weights = logistic(x[:cut], labels[:cut], strength, weights)
        wrong = (torch.addmm(weights[-1], x[cut:], weights[:-1]).argmax(1) != labels[cut:]).double().mean()
        tried.append((float(wrong), strength, weights))
    _, strength, weights = min(tried, key=lambda one: one[0])
    weights = logistic(x, labels, strength, weights)
    return 100 * float((torch.addmm(weights[-1], y, weights[:-1]).argmax(1) != test_labels).double().mean())


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--quick", action="store_true", help="10,000 training images, 500 units, fewer epochs")
    arguments.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    arguments.add_argument("--kinds", nargs="+")
    chosen = arguments.parse_args()
    images("mnist")
    train, labels, test, test_labels = named("mnist")
    rows, units, epochs = (10_000, 500, 20) if chosen.quick else (60_000, 1000, 20)
    train, labels = train[:rows], labels[:rows]
    y, test_y = torch.from_numpy(labels.astype(np.int64)), torch.from_numpy(test_labels.astype(np.int64))
    flat, flat_test = (one.reshape(len(one), -1).astype(np.float32) / 255 for one in (train, test))
    print(f"{rows:,} training images, {units} units, {epochs} epochs, seeds {chosen.seeds}")
    row("code", "error %", "spread", "SSE/img", "active %", "seconds")
    if not chosen.kinds:
        row("raw pixels", error(flat, flat_test, y, test_y), "-", "-", "-", "-")
        pca = principal_components([torch.from_numpy(flat)])
        for size in (30, 100):
            codes = [(one - pca.mean) @ pca.components[:size].T for one in (flat, flat_test)]
            row(f"PCA {size}", error(*codes, y, test_y), "-", "-", "-", "-")
    for name, settings in kinds(units).items():
        if chosen.kinds and name not in chosen.kinds:
            continue
        found, squares, active = [], [], []
        start = time.perf_counter()
        for seed in chosen.seeds:
            ae = ist.Autoencoder(**settings(), code_size=units, epochs=epochs, random_state=seed).fit(train)
            codes = [ae.transform(one) for one in (train, test)]
            found.append(error(*codes, y, test_y))
            rebuilt = ae.reconstruct(test).astype(np.float32) - test
            squares.append(float(np.square(rebuilt / 255, dtype=np.float64).sum() / len(test)))
            active.append(100 * float((np.abs(codes[1]) > 0.1 * np.abs(codes[1]).max(0).clip(1e-9)).mean()))
        seconds = (time.perf_counter() - start) / len(chosen.seeds)
        row(name, float(np.mean(found)), float(np.std(found)), float(np.mean(squares)), float(np.mean(active)), seconds)


if __name__ == "__main__":
    main()
