"""How many units of variational codes are alive with the defaults, on real columns and on pixels.

A unit is alive where the mean of its distribution varies over rows by more than 1 % of the prior's variance (Burda et
al. 2016). Nobody chooses a variance, a beta or a code size here. Bar: at least half of the units.

    python benchmarks/bench_alive.py [--kinds vae iwae vamp] [--seeds 0]
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path

import numpy as np
from common import images, row
from sklearn.datasets import load_breast_cancer, load_wine

import isthmus as ist


def data() -> dict[str, np.ndarray]:
    """By name: real columns, and pixels."""
    found = {"wine": load_wine().data, "breast cancer": load_breast_cancer().data, "digits": ist.data.digits()[0]}
    for name in ("mnist", "fashion-mnist"):
        found[name] = images(name)[0][:10_000]
    folder = Path(os.environ["ISTHMUS_DATA"]) / "adbench"
    for path in sorted(folder.glob("*.npz")):
        with np.load(path) as file:
            found[path.stem] = file["X"].astype(np.float64)[:10_000]
    return found


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--kinds", nargs="+", default=["vae"])
    arguments.add_argument("--seeds", nargs="+", type=int, default=[0])
    chosen = arguments.parse_args()
    row("kind", "seed", "rows", "columns", "alive", "of", "rate", "explained", "verdict", "data")
    for name, X in data().items():
        for kind in chosen.kinds:
            for seed in chosen.seeds:
                ae = ist.Autoencoder(kind, random_state=seed, max_time=60).fit(X)
                found = ae.diagnose(X)
                figures, verdict = found.figures, found["posterior collapse"]
                row(
                    kind, seed, len(X), ae.n_features_in_, int(figures["active_units"]), ae.code_size_,
                    figures["rate"], figures["explained_share"], verdict.level, name,
                )  # fmt: skip


if __name__ == "__main__":
    main()
