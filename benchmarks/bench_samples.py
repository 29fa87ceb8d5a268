"""Samples of Fashion-MNIST: priors fitted afterwards on plain and regularised codes, beside a VAE's own prior.

A figure is the squared Fréchet distance between 10,000 samples and the 10,000 test images, in the last hidden features
of a small classifier trained on the training images and their labels (`isthmus.judge.Judge`, one for the whole table);
smaller is better. `training images` is what real images have, the least there is to reach; `rebuilt` is the same figure
for the test images' reconstructions, what the decoder leaves to reach. All kinds have one network, code size and number
of epochs, and the defaults otherwise (a VAE's variance is learned). The mixture has 50 components for all: chosen among
10, 50 and 100 by samples of the plain autoencoder, held against training images that it was not fitted to.

Published (Ghosh et al. 2020, MNIST, FID of samples; rebuilt in brackets): VAE 19.2 (18.3) by its prior, 17.7 by a
mixture; AE 58.7 (13.0) by a normal distribution, 10.7 by a mixture; RAE-L2 22.2 (10.5) and 8.7; RAE-GP 22.2 (14.0) and
11.5; WAE 20.4 (10.0) by its prior. Those are in the features of another network, of other images and autoencoders with
convolutions: only the order can be compared.

    python benchmarks/bench_samples.py [--quick] [--seeds 0 1 2] [--kinds AE VAE ...] [--pictures samples.png]
"""

from __future__ import annotations

import argparse
import time
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
from common import draw_strips, images, row, sse

import isthmus as ist
from isthmus.data.builtin import named
from isthmus.judge import Judge
from isthmus.metrics import frechet_distance

SAMPLES, CODE_SIZE, COMPONENTS = 10_000, 16, 50

# The priors that each kind is sampled from: its own, or one that is fitted to the training rows' codes.
OWN, NORMAL, MIXTURE = "own", "normal", ist.Mixture(COMPONENTS)

KINDS: dict[str, tuple[Callable[[], Any], tuple[Any, ...]]] = {
    "AE": (ist.recipes.undercomplete, (NORMAL, MIXTURE)),
    "RAE": (ist.recipes.rae, (NORMAL, MIXTURE)),
    "RAE smooth": (lambda: ist.recipes.rae(smooth=0.1), (NORMAL, MIXTURE)),
    "VAE": (lambda: ist.recipes.vae(beta=1.0), (OWN, MIXTURE)),
    "WAE": (ist.recipes.wae, (OWN, MIXTURE)),
}


def fitted(kind: str, x: np.ndarray, quick: bool, seed: int) -> ist.Autoencoder:
    how: dict[str, Any] = {"network": ist.Dense((500, 250), activation="silu"), "epochs": 100}
    if quick:
        how = {"network": ist.Dense((256, 128), activation="silu"), "epochs": 20}
    return ist.Autoencoder(KINDS[kind][0](), code_size=CODE_SIZE, random_state=seed, **how).fit(x)


def drawn(ae: ist.Autoencoder, prior: Any, x: np.ndarray) -> np.ndarray:
    """(10000, 28, 28) samples, by the kind's own prior or by one fitted to the codes of ``x``."""
    if prior != OWN:
        ae.fit_prior(prior, x)
    return ae.sample(SAMPLES, random_state=0)


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--quick", action="store_true", help="20,000 training images, 20 epochs, a smaller network")
    arguments.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    arguments.add_argument("--kinds", nargs="+", choices=list(KINDS), default=list(KINDS))
    arguments.add_argument("--pictures", metavar="PNG", help="where to draw some samples of every row")
    chosen = arguments.parse_args()
    images("fashion-mnist")
    train, labels, test, _ = named("fashion-mnist")
    judge = Judge.fit(train, labels, seed=0)
    real = judge.features(test)
    x = train[:20_000] if chosen.quick else train
    # Corners that are never lit.
    warnings.simplefilter("ignore", ist.errors.DataWarning)
    print(f"Fashion-MNIST, {len(x):,} training images, code size {CODE_SIZE}, seeds {chosen.seeds}")
    row("kind", "prior", "distance", "spread", "rebuilt", "SSE/img", "seconds")
    row("training", "images", frechet_distance(judge.features(x[:SAMPLES]), real), "-", "-", "-", "-")
    strips = {"training images": x}
    for kind in chosen.kinds:
        priors = KINDS[kind][1]
        found, rebuilt, squares, seconds = [], [], [], []
        for seed in chosen.seeds:
            start = time.perf_counter()
            ae = fitted(kind, x, chosen.quick, seed)
            seconds.append(time.perf_counter() - start)
            out = ae.reconstruct(test)
            rebuilt.append(frechet_distance(judge.features(out), real))
            squares.append(sse(test, out))
            samples = [drawn(ae, prior, x) for prior in priors]
            found.append([frechet_distance(judge.features(some), real) for some in samples])
            if seed == chosen.seeds[0]:
                strips |= {f"{kind}, {name_of(prior)}": some for prior, some in zip(priors, samples, strict=True)}
        beside = [float(np.mean(values)) for values in (rebuilt, squares, seconds)]
        for prior, distances in zip(priors, np.transpose(found), strict=True):
            spread = float(np.std(distances)) if len(distances) > 1 else "-"
            row(kind, name_of(prior), float(np.mean(distances)), spread, *beside)
    if chosen.pictures:
        draw_strips(chosen.pictures, strips)


def name_of(prior: Any) -> str:
    return "its own" if prior == OWN else "normal" if prior == NORMAL else "mixture"


if __name__ == "__main__":
    main()
