"""One picture of each person is enough? Olivetti faces, told by the nearest of the pictures enrolled, one per person.

Every draw parts the 40 persons anew. Everything that is learnt, means, principal components and codes, is learnt
without labels from the 200 pictures of 20 persons; of the 20 others one picture each, drawn, is enrolled, and the
180 other pictures of these are told by the nearest one. So nobody who is told was seen before. With ``--from all``
everything is learnt from all 400 pictures, those that are told among them, and 40 persons are enrolled: 360 to tell.

Nearest is by the cosine, and by the Euclidean distance, of centred features. "whitened" are those of which each is
divided by its standard deviation over the pictures learnt from; "but 3" leaves out the first three components, which
hold the light. "code, whole" is the code of a `FeatureLearner` for whole pictures; "code, squares" that of one for
squares of 8 x 8 pixels (each centred and of one contrast; 256 units, of which 16 are active), taken at every second
pixel and averaged in 6 x 6 fields of the picture. "PCA, squares" are 32 components of the same squares, their positive
and negative parts averaged in the same fields: what squares and fields do without an autoencoder. The sizes were
chosen by two other draws of the same faces.

    python benchmarks/bench_one_shot.py [--quick] [--from others|all] [--draws 10] [--seconds 15]
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from itertools import pairwise
from pathlib import Path

import numpy as np
from common import row
from sklearn.decomposition import PCA

import isthmus as ist

SIDE, STEP, FIELDS, LEARNT = 8, 2, 6, 20_000
UNITS, ACTIVE, COMPONENTS, WHOLE = 256, 16, 32, 50
FLOOR = 0.05
"""Of the largest: a smaller standard deviation is not divided by, as that would blow up what hardly varies."""


def faces() -> tuple[np.ndarray, np.ndarray]:
    """(400, 64, 64) uint8 and (400,) the person, ten pictures of each of 40; or a skip with its reason."""
    path = Path(os.environ.get("ISTHMUS_DATA", "")) / "olivetti" / "olivetti_faces.npz"
    if not path.exists():
        print("skipped: set ISTHMUS_DATA to a folder that holds olivetti/olivetti_faces.npz")
        sys.exit(0)
    with np.load(path) as file:
        return file["images"], file["subject"].astype(int)


def squares_of(pictures: np.ndarray) -> np.ndarray:
    """(n, places, places, SIDE * SIDE) float32: squares, each centred and of one contrast."""
    found = np.lib.stride_tricks.sliding_window_view(pictures, (SIDE, SIDE), axis=(1, 2))[:, ::STEP, ::STEP]
    flat = found.reshape(*found.shape[:3], SIDE * SIDE).astype(np.float32)
    flat -= flat.mean(-1, keepdims=True)
    return flat / np.sqrt(flat.var(-1, keepdims=True) + 25)  # flat skin stays flat: 25 is the noise of a camera


def averaged(features: np.ndarray) -> np.ndarray:
    """(n, FIELDS * FIELDS * units): the mean of the squares' features in each field of a picture."""
    ends = np.linspace(0, features.shape[1], FIELDS + 1).astype(int)
    spans = [slice(start, stop) for start, stop in pairwise(ends)]
    fields = [features[:, down, over].mean((1, 2)) for down in spans for over in spans]
    return np.concatenate(fields, axis=1)


def whitened(features: np.ndarray, learnt: np.ndarray) -> np.ndarray:
    spread = features[learnt].std(0)
    return features / np.maximum(spread, FLOOR * spread.max())


def spaces(pictures: np.ndarray, learnt: np.ndarray, seconds: float, seed: int) -> dict[str, np.ndarray]:
    """Features of all pictures, learnt from some."""
    pixels = pictures.reshape(len(pictures), -1) / np.float32(255)
    components = PCA(WHOLE, random_state=0).fit(pixels[learnt]).transform(pixels)
    whole = ist.FeatureLearner(max_time=seconds, random_state=seed).fit(pictures[learnt]).transform(pictures)
    squares = squares_of(pictures)
    flat, shape = squares.reshape(-1, SIDE * SIDE), squares.shape[:3]
    some = squares[learnt].reshape(-1, SIDE * SIDE)
    some = some[np.random.default_rng(seed).choice(len(some), LEARNT, replace=False)]
    kind = ist.recipes.top_k(k=ACTIVE)
    learner = ist.FeatureLearner(UNITS, autoencoder=kind, epochs=8, batch_size=256, random_state=seed).fit(some)
    signed = PCA(COMPONENTS, random_state=0).fit(some).transform(flat).reshape(*shape, -1)
    parts = averaged(np.concatenate((np.maximum(signed, 0), np.maximum(-signed, 0)), -1))
    return {
        "raw pixels": pixels,
        "whitened px": whitened(pixels, learnt),
        "PCA-50": components,
        "PCA whitened": whitened(components, learnt),
        "but 3": whitened(components, learnt)[:, 3:],
        "code, whole": whitened(whole, learnt),
        "PCA, squares": whitened(parts, learnt),
        "code, squares": whitened(averaged(learner.transform(flat).reshape(*shape, -1)), learnt),
    }


def told(features: np.ndarray, learnt: np.ndarray, enrolled: np.ndarray, asked: np.ndarray) -> tuple[np.ndarray, ...]:
    """The nearest enrolled picture of each that is asked about, by cosine and by distance."""
    centred = features - features[learnt].mean(0)
    unit = centred / np.maximum(np.linalg.norm(centred, axis=1, keepdims=True), 1e-12)
    known = centred[enrolled]
    distance = np.square(known).sum(1) - 2 * centred[asked] @ known.T
    return enrolled[(unit[asked] @ unit[enrolled].T).argmax(1)], enrolled[distance.argmin(1)]


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--quick", action="store_true", help="2 draws")
    arguments.add_argument("--from", dest="learnt", choices=["others", "all"], default="others")
    arguments.add_argument("--draws", type=int)
    arguments.add_argument("--seconds", type=float, default=15.0, help="for learning a code of whole pictures, at most")
    chosen = arguments.parse_args()
    pictures, persons = faces()
    found: dict[str, list[tuple[float, float]]] = {}
    every, start = np.arange(len(pictures)), time.perf_counter()
    made: dict[str, np.ndarray] = {}
    for draw in range(chosen.draws or (2 if chosen.quick else 10)):
        random = np.random.default_rng((draw, 7))
        order = random.permutation(40)
        asked_about = order[20:] if chosen.learnt == "others" else order
        learnt = np.flatnonzero(np.isin(persons, order[:20])) if chosen.learnt == "others" else every
        if not made or chosen.learnt == "others":  # what is learnt from all pictures is the same in every draw
            made = spaces(pictures, learnt, chosen.seconds, draw)
        enrolled = np.array([random.choice(np.flatnonzero(persons == one)) for one in asked_about])
        asked = np.setdiff1d(np.flatnonzero(np.isin(persons, asked_about)), enrolled)
        for name, features in made.items():
            ways = told(features, learnt, enrolled, asked)
            right = [100 * float((persons[way] == persons[asked]).mean()) for way in ways]
            found.setdefault(name, []).append((right[0], right[1]))
        said = ", ".join(f"{name} {values[-1][0]:.1f}" for name, values in found.items())
        print(f"draw {draw}, by cosine: {said}", flush=True)
    print(f"{len(found['PCA-50'])} draws in {time.perf_counter() - start:.0f} s; per cent told rightly")
    row("features", "cosine", "spread", "distance", "spread", "ahead of PCA", "std. error")
    best = max(("PCA-50", "PCA whitened", "but 3"), key=lambda name: np.mean(found[name], axis=0)[0])
    for name, values in found.items():
        means, spreads = np.mean(values, axis=0), np.std(values, axis=0, ddof=1) if len(values) > 1 else (0.0, 0.0)
        ahead = np.array(values)[:, 0] - np.array(found[best])[:, 0]
        error = float(ahead.std(ddof=1) / np.sqrt(len(ahead))) if len(ahead) > 1 else float("nan")
        cells = (means[0], spreads[0], means[1], spreads[1], ahead.mean(), error)
        row(name, *(f"{value:.2f}" for value in cells))
    print(f"ahead of the best PCA by cosine, {best!r}, in the same draws")


if __name__ == "__main__":
    main()
