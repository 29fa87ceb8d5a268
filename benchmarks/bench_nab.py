"""Anomalies in series: NAB with its own scorer, and SMAP/MSL by step, without point adjustment.

NAB: a causal detector gives each step a score. The first table holds the published protocol's figures for its three
profiles (one threshold for all 58 series, the best by the labels, here by an exact sweep); 0 is no detection, 100 a
perfect one. Ours is `isthmus.steps`: the surprise, in nats, of a linear autoencoder of windows that learns on as the
series goes, of which only news is told: a step counts if it surprises more than all steps before it within 0.3 of the
probation. Its form was chosen on the folders realKnownCause and artificialWithAnomaly; the other five are printed
apart. A surprise of s has a probability of about exp(-s), so an alarm rate gives a threshold without labels: those
figures are printed for rates per step from 1 in 100 to 1 in 1,000. Chosen was 1 in 200, on the two folders, as the best
in the mean over refits after 5, 10, 15, 20 and 30 % more steps.

SMAP/MSL: fitted on an entity's training steps alone, but for what learns on as the test goes: the windowed Gaussian,
and ours where it says so. Every score by itself, and its mean over the last 16 steps. AUROC and average precision over
the test steps, times 100, mean over the entities; the telemetry channel for all, and all channels for ours.

    python benchmarks/bench_nab.py [--quick]
"""

from __future__ import annotations

import argparse
import ast
import csv
import os
import random
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from common import row
from nab import PROFILES, Labelled, Scorer, load, probation
from scipy.special import ndtr
from sklearn.decomposition import PCA
from sklearn.metrics import average_precision_score, roc_auc_score

from isthmus.steps import LEAST_WINDOW, fit_steps, newest, recent, surprises

CHOSEN_ON = ("realKnownCause", "artificialWithAnomaly")
HOLD = 0.3
"""Share of the probation within which the same news is not told twice."""
RATES = (0.01, 0.005, 0.002, 0.001)
PUBLISHED_RANDOM_THRESHOLD = 0.9984497070312507
PUBLISHED = {"Windowed Gaussian": 39.6, "Random Cut Forest": 51.7, "Numenta HTM": 70.1}


def folder(name: str) -> Path:
    root = os.environ.get("ISTHMUS_DATA")
    if not root or not (Path(root) / name).is_dir():
        print(f"skipped: set ISTHMUS_DATA to a folder that holds {name}")
        sys.exit(0)
    return Path(root) / name


def deviations(x: np.ndarray, size: int = 6400, every: int = 100) -> np.ndarray:
    """How many standard deviations each step is from the mean of the ``size`` steps before it, or of all of fewer.

    Once so many have come, mean and deviation move on only every 100 steps, as those of NAB's windowed Gaussian do."""
    step, centred = np.arange(len(x)), x - x[0]
    stop = np.where(step <= size, step, size + (step - size) // every * every)
    start = np.maximum(stop - size, 0)
    count = np.maximum(stop - start, 1)
    total, squares = (np.concatenate(([0.0], np.cumsum(part))) for part in (centred, centred**2))
    mean = (total[stop] - total[start]) / count
    spread = np.sqrt(np.maximum((squares[stop] - squares[start]) / count - mean**2, 0))
    return np.where(step > 0, np.abs(centred - mean) / np.where(spread > 0, spread, 1e-6), 0.0)


def windowed_gaussian(one: Labelled) -> np.ndarray:
    # The published results were rounded to 12 digits in their files, and with them far tails to exactly 1.
    z = deviations(one.values)
    return np.where(np.arange(len(z)) > 0, np.round(1 - ndtr(-z), 12), 0.0)


def pythons_random(one: Labelled, seed: int) -> np.ndarray:
    draw = random.Random(seed)
    return np.array([draw.random() for _ in one.values])


def told(surprise: np.ndarray) -> np.ndarray:
    return newest(surprise, max(1, int(HOLD * probation(len(surprise)))))


def ours(one: Labelled) -> np.ndarray:
    return told(surprises(one.values, probation(len(one.values)))[:, 0])


def ours_without_learning_on(one: Labelled) -> np.ndarray:
    first = probation(len(one.values))
    surprise = fit_steps(one.values[:first]).surprise(one.values)[:, 0]
    return told(np.where(np.arange(len(surprise)) < first, 0.0, surprise))


def show_nab(seeds: int) -> None:
    corpus = load(folder("nab"))
    chosen_on = np.array([one.name.split("/")[0] in CHOSEN_ON for one in corpus])
    parts = {
        "all 58": np.ones(len(corpus), dtype=bool),
        f"chosen on {chosen_on.sum()}": chosen_on,
        f"other {(~chosen_on).sum()}": ~chosen_on,
    }
    scorers = {name: Scorer([corpus[place] for place in np.flatnonzero(part)]) for name, part in parts.items()}
    scorer = scorers["all 58"]
    print(f"NAB: {len(corpus)} series, {sum(scorer.lengths):,} steps, {scorer.windows} windows; best threshold")
    row("standard", "low FP", "low FN", "seconds", "detector")

    def show(name: str, detector: Callable[[Labelled], np.ndarray]) -> list[np.ndarray]:
        begin = time.perf_counter()
        scores = [detector(one) for one in corpus]
        seconds = time.perf_counter() - begin
        row(*(scorer.best(scores, profile)[0] for profile in PROFILES.values()), seconds, name)
        return scores

    show("null (0)", lambda one: np.full(len(one.values), 0.5))
    scores = show("random, Python's seed 42", lambda one: pythons_random(one, 42))
    found_there = scorer.at(scores, PROFILES["standard"], PUBLISHED_RANDOM_THRESHOLD)
    print(f"    at the published threshold, which hill climbing found: {found_there:.1f} (published 16.8)")
    draws = [[pythons_random(one, 1000 * seed + place) for place, one in enumerate(corpus)] for seed in range(seeds)]
    found = [scorer.best(scores, PROFILES["standard"])[0] for scores in draws]
    print(f"random, {seeds} seeds, standard: mean {np.mean(found):.1f}, {min(found):.1f} to {max(found):.1f}")
    show("windowed Gaussian (published 39.6, 20.9, 47.4)", windowed_gaussian)
    for name, detector in (("ours", ours), ("ours, learning ends with the probation", ours_without_learning_on)):
        scores = show(name, detector)
        for part, which in parts.items():
            mine = [score for score, here in zip(scores, which, strict=True) if here]
            best, threshold = scorers[part].best(mine, PROFILES["standard"])
            at = [f"{scorers[part].at(mine, PROFILES['standard'], -np.log(rate)):.1f} at {rate}" for rate in RATES]
            print(f"    {part}: best {best:.1f} (surprise {threshold:.2f}); by alarm rate, no labels: {', '.join(at)}")
    print("published, standard:", ", ".join(f"{name} {score}" for name, score in PUBLISHED.items()))


@dataclass(frozen=True)
class Entity:
    """A spacecraft's channel group: (steps, channels) for training and test, and which test steps are anomalous."""

    craft: str
    train: np.ndarray
    test: np.ndarray
    odd: np.ndarray


def entities(root: Path, every: int) -> Iterator[Entity]:
    with open(root / "labeled_anomalies.csv", newline="", encoding="utf-8") as file:
        spans: dict[tuple[str, str], list[tuple[int, int]]] = {}
        for line in csv.DictReader(file):
            # One entity stands in two lines.
            spans.setdefault((line["spacecraft"], line["chan_id"]), []).extend(
                ast.literal_eval(line["anomaly_sequences"])
            )
    for craft in ("SMAP", "MSL"):
        with np.load(root / f"{craft}.npz", allow_pickle=False) as arrays:
            for name in sorted({key.split("/")[0] for key in arrays.files})[::every]:
                train, test = arrays[f"{name}/train"], arrays[f"{name}/test"]
                odd = np.zeros(len(test), dtype=bool)
                for first, last in spans[craft, name]:
                    odd[first : last + 1] = True
                yield Entity(craft, train, test, odd)


def pca_of_windows(entity: Entity) -> np.ndarray:
    """The squared error of each step's window of 16 telemetry values, rebuilt from 95 % of the variance."""
    x = np.concatenate((entity.train, entity.test))[:, 0]
    windows = np.lib.stride_tricks.sliding_window_view(x, LEAST_WINDOW)
    train, test = windows[: -len(entity.test)], windows[-len(entity.test) :]
    if (train == train[0, 0]).all():
        return np.square(test - train[0, 0]).sum(axis=1)
    pca = PCA(0.95).fit(train)
    return np.square(test - pca.inverse_transform(pca.transform(test))).sum(axis=1)


def surprise(entity: Entity, channels: int | None) -> np.ndarray:
    both = np.concatenate((entity.train, entity.test))[:, :channels]
    return fit_steps(both[: len(entity.train)]).surprise(both, len(entity.train)).sum(axis=1)


def learning_on(entity: Entity) -> np.ndarray:
    both = np.concatenate((entity.train, entity.test))[:, 0]
    return surprises(both, len(entity.train))[len(entity.train) :, 0]


def show_crafts(every: int) -> None:
    tested = list(entities(folder("smap_msl"), every))
    detectors: dict[str, Callable[[Entity], np.ndarray]] = {
        "windowed Gaussian": lambda one: deviations(np.concatenate((one.train, one.test))[:, 0])[len(one.train) :],
        "distance from the training mean": lambda one: np.abs(one.test[:, 0] - one.train[:, 0].mean()),
        "PCA on windows": pca_of_windows,
        "ours": lambda one: surprise(one, 1),
        "ours, learning on": learning_on,
        "ours, all channels": lambda one: surprise(one, None),
    }
    print(f"\nSMAP/MSL: {len(tested)} entities; AUROC / average precision by step, x 100, no point adjustment")
    row("SMAP AUROC", "AP", "MSL AUROC", "AP", "both AUROC", "AP", "seconds", "detector")
    craft = np.array([one.craft for one in tested])
    for name, detector in detectors.items():
        begin = time.perf_counter()
        scores = [detector(one) for one in tested]
        seconds = time.perf_counter() - begin
        for which, steps in (("", 1), (f", mean of {LEAST_WINDOW} steps", LEAST_WINDOW)):
            found = []
            for one, score in zip(tested, scores, strict=True):
                lasting = recent(score, steps)
                found.append((roc_auc_score(one.odd, lasting), average_precision_score(one.odd, lasting)))
            figures = 100 * np.array(found)
            means = [figures[here].mean(axis=0) for here in (craft == "SMAP", craft == "MSL", craft != "")]
            row(*np.concatenate(means).tolist(), seconds, name + which)


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--quick", action="store_true", help="3 random seeds, and every eighth entity of SMAP/MSL")
    quick = arguments.parse_args().quick
    show_nab(3 if quick else 10)
    show_crafts(8 if quick else 1)


if __name__ == "__main__":
    main()
