"""Images drawn by six generators, judged by a classifier's features, on MNIST and Fashion-MNIST.

    AE, mixture      `undercomplete`, a mixture fitted to its codes, with as many components as BIC asks for
    AE, flow         the same network, invertible layers fitted to its codes
    VAE              `vae`, drawn from N(0, I);   beta-VAE  `beta_vae`, the same, with a code twice as dear
    VAMP             `vamp`, with its own learned prior
    VQ, symbols      `vq_vae` of 16 symbols, an autoregressive prior of these
    PCA, mixture     the reference without a network: a mixture of 50 normals in the space of 50 principal components
    real             training images: what a perfect generator would have, but for copying, which ``near train`` shows

Beside 5,000 test images stand 5,000 drawn ones: the squared Fréchet distance of features of a small classifier trained
here (so that figures of this table can be compared with each other only), precision and recall, density and coverage,
and the accuracy by which boosted trees tell drawn from real (0.5 = not at all). ``near train`` is the share of the
drawn that are nearer to a training image than to any of as many images that were held out, by features: 0.5 where
nothing is copied; beside it, its standard error. Printed are means over seeds, and the spread of the distance. At last,
by how many standard errors (of the difference of means over seeds) the best distance is below that of the reference.

    python benchmarks/bench_generators.py [--data mnist fashion-mnist] [--seeds 0 1 2] [--kinds ...] [--quick]
                                          [--pictures samples.png]
"""

from __future__ import annotations

import argparse
import time
import warnings
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import torch
from common import draw_strips, images, row
from sklearn.decomposition import PCA
from sklearn.mixture import GaussianMixture

import isthmus as ist
from isthmus.copies import copies
from isthmus.data.builtin import named
from isthmus.fidelity import Fidelity, fidelity
from isthmus.judge import Judge

SAMPLES, CODE_SIZE, COMPONENTS = 5_000, 16, 50
SYMBOLS, WIDTH = 16, 4

HELD_OUT = 10_000
"""Training images that no generator sees, for the share of those near to training images."""

Drawer = Callable[[], np.ndarray]

REFERENCE = "PCA, mixture"


def network(quick: bool) -> dict[str, Any]:
    hidden = (256, 128) if quick else (500, 250)
    return {"network": ist.Dense(hidden, activation="silu"), "epochs": 20 if quick else 100}


def by_codes(kind: Any, prior: Any, x: np.ndarray, quick: bool, seed: int, size: int = CODE_SIZE) -> Drawer:
    ae = ist.Autoencoder(kind, code_size=size, random_state=seed, **network(quick)).fit(x)
    if prior is not None:
        ae.fit_prior(prior, x, random_state=seed)
    return lambda: ae.sample(SAMPLES, random_state=seed)


def by_pca(x: np.ndarray, seed: int) -> Drawer:
    rows = x.reshape(len(x), -1).astype(np.float64)
    pca = PCA(COMPONENTS, random_state=seed).fit(rows)
    mixture = GaussianMixture(COMPONENTS, random_state=seed, reg_covar=1e-3).fit(pca.transform(rows))

    def drawn() -> np.ndarray:
        codes = np.random.default_rng(seed).permutation(mixture.sample(SAMPLES)[0])  # which come sorted by component
        return pca.inverse_transform(codes).clip(0, 255).reshape(-1, *x.shape[1:])

    return drawn


def real(x: np.ndarray, seed: int) -> Drawer:
    return lambda: x[np.random.default_rng(seed).permutation(len(x))[:SAMPLES]]


KINDS: dict[str, Callable[[np.ndarray, bool, int], Drawer]] = {
    "real": lambda x, quick, seed: real(x, seed),
    REFERENCE: lambda x, quick, seed: by_pca(x, seed),
    "AE, mixture": lambda x, quick, seed: by_codes("undercomplete", "mixture", x, quick, seed),
    "AE, flow": lambda x, quick, seed: by_codes("undercomplete", "flow", x, quick, seed),
    "VAE": lambda x, quick, seed: by_codes(ist.recipes.vae(beta=1.0), None, x, quick, seed),
    "beta-VAE": lambda x, quick, seed: by_codes(ist.recipes.beta_vae(beta=2.0), None, x, quick, seed),
    "VAMP": lambda x, quick, seed: by_codes(ist.recipes.vamp(components=500, beta=1.0), None, x, quick, seed),
    "VQ, symbols": lambda x, quick, seed: by_codes(
        ist.recipes.vq_vae(entries=512, width=WIDTH), "autoregressive", x, quick, seed, SYMBOLS * WIDTH
    ),
}

Line = tuple[Fidelity, float, float, float]
"""Figures of one seed: fidelity, the share near training images and its error, and the seconds of the fit."""


class Features(NamedTuple):
    """Of real images, (n, features) each."""

    train: np.ndarray
    held_out: np.ndarray
    test: np.ndarray


def judged(kind: str, x: np.ndarray, known: Features, judge: Judge, quick: bool, seed: int) -> Any:
    """The line of one seed, and the images."""
    start = time.perf_counter()
    drawer = KINDS[kind](x, quick, seed)
    seconds = time.perf_counter() - start
    drawn = np.asarray(drawer(), dtype=np.float32)
    features = judge.features(drawn)
    near = copies(features, known.train, known.held_out, random_state=seed)
    beside = np.random.default_rng(seed).permutation(len(known.test))[:SAMPLES]
    return (fidelity(known.test[beside], features, random_state=seed), near.share, near.error, seconds), drawn


def spread(values: list[float]) -> float:
    return float(np.std(values, ddof=1)) if len(values) > 1 else float("nan")


def table(data: str, kinds: list[str], seeds: list[int], quick: bool, pictures: str | None) -> None:
    """One set of images."""
    images(data)
    train, labels, test, _ = named(data)
    judge = Judge.fit(train, labels, seed=0)
    order = np.random.default_rng(0).permutation(len(train))
    held_out, x = train[order[:HELD_OUT]], train[order[HELD_OUT:]]
    x = x[:20_000] if quick else x
    known = Features(judge.features(x), judge.features(held_out), judge.features(test))
    print(f"\n{data}: {len(x):,} training images, code size {CODE_SIZE}, seeds {seeds}")
    row("generator", "distance", "spread", "precision", "recall", "density", "coverage", "told apart", "near train",
        "(error)", "seconds")  # fmt: skip
    found: dict[str, list[Line]] = {}
    strips = {}
    for kind in kinds:
        for seed in seeds:
            line, drawn = judged(kind, x, known, judge, quick, seed)
            found.setdefault(kind, []).append(line)
            strips.setdefault(kind, drawn)
        lines = found[kind]
        means = [
            float(np.mean([getattr(line[0], name) for line in lines]))
            for name in ("distance", "precision", "recall", "density", "coverage", "two_sample")
        ]
        rest = [float(np.mean([line[place] for line in lines])) for place in (1, 2, 3)]
        row(kind, means[0], spread([line[0].distance for line in lines]), *means[1:], *rest)
    verdict({kind: [line[0].distance for line in lines] for kind, lines in found.items()})
    if pictures:
        draw_strips(pictures.replace(".png", f"-{data}.png"), strips)


def verdict(distances: dict[str, list[float]]) -> None:
    """By how many standard errors the best is below the reference."""
    others = {kind: values for kind, values in distances.items() if kind not in ("real", REFERENCE)}
    if REFERENCE not in distances or not others or len(distances[REFERENCE]) < 2:
        return
    best = min(others, key=lambda kind: np.mean(others[kind]))
    ours, theirs = others[best], distances[REFERENCE]
    error = np.sqrt(np.var(ours, ddof=1) / len(ours) + np.var(theirs, ddof=1) / len(theirs))
    print(
        f"best: {best}, {(np.mean(theirs) - np.mean(ours)) / error:.1f} standard errors below {REFERENCE}", flush=True
    )


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--data", nargs="+", choices=("mnist", "fashion-mnist"), default=["mnist", "fashion-mnist"])
    arguments.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    arguments.add_argument("--kinds", nargs="+", choices=list(KINDS), default=list(KINDS))
    arguments.add_argument("--quick", action="store_true", help="20,000 images, 20 epochs, a smaller network")
    arguments.add_argument("--threads", type=int, default=torch.get_num_threads())
    arguments.add_argument("--pictures", metavar="PNG", help="where to draw some samples of every row")
    chosen = arguments.parse_args()
    torch.set_num_threads(chosen.threads)
    warnings.simplefilter("ignore", ist.errors.DataWarning)  # corners that are never lit
    for data in chosen.data:
        table(data, chosen.kinds, chosen.seeds, chosen.quick, chosen.pictures)


if __name__ == "__main__":
    main()
