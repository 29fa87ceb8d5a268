"""The scorer of the Numenta Anomaly Benchmark (NAB), and its series.

A detector gives one score in [0, 1] (or any number; only the order counts) per step, and detects where the score is
at least a threshold. Inside a labelled window only the best detection counts, the earlier the better; a window
without one costs the weight of a miss; every detection outside costs by how far it lies behind the last window:

    s(y) = 2 / (1 + exp(5 y)) - 1,   y = -1 at a window's first step, near 0 at its last, > 0 behind it

    detected window   tp * s(y) / s(-1)        missed window   -miss        outside   fp * s(y)  (-fp beyond y = 3)

The first 15 % of a series, at most 750 steps, are for learning and count neither way. The sum over the corpus is scaled
so that no detection at all gives 0 and the first step of every window, and nothing else, gives 100.
The threshold is one for all series, and the published protocol takes the best for each profile: here exactly, by a
sweep over all distinct scores.

References: Lavin & Ahmad, "Evaluating Real-Time Anomaly Detection Algorithms", ICMLA 2015; github.com/numenta/NAB.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np


@dataclass(frozen=True)
class Profile:
    """What a found window earns, and what a false alarm and a missed window cost."""

    tp: float = 1.0
    fp: float = 0.11
    miss: float = 1.0


PROFILES = {
    "standard": Profile(),
    "reward low FP": Profile(fp=0.22),
    "reward low FN": Profile(miss=2.0),
}


@dataclass(frozen=True)
class Labelled:
    """A series (steps,) and its labelled windows, as the first and last step of each, in order."""

    name: str
    values: np.ndarray
    windows: tuple[tuple[int, int], ...]


def load(folder: Path) -> list[Labelled]:
    """The series of NAB's repository, in the order of its labels."""
    labels = json.loads((folder / "labels" / "combined_windows.json").read_text(encoding="utf-8"))
    found = []
    for name, spans in labels.items():
        with open(folder / "data" / name, newline="", encoding="utf-8") as file:
            lines = list(csv.reader(file))[1:]
        # A clock set back repeats an hour: NAB takes the first of two steps of one time.
        at = {line[0][:19]: step for step, line in reversed(list(enumerate(lines)))}
        windows = tuple((at[first[:19]], at[last[:19]]) for first, last in spans)
        found.append(Labelled(name, np.array([float(line[1]) for line in lines]), windows))
    return found


def scaled_sigmoid(position: np.ndarray) -> np.ndarray:
    """What a detection is worth: 0.98661 at -1, 0 at 0, below 0 behind a window, -1 from beyond 3.

    >>> scaled_sigmoid(np.array([-1.0, -0.5, 0.0, 4.0])).round(5)
    array([ 0.98661,  0.84828,  0.     , -1.     ])
    """
    position = np.asarray(position, dtype=np.float64)
    return np.where(position > 3, -1.0, 2 / (1 + np.exp(5 * np.minimum(position, 3))) - 1)


def probation(steps: int) -> int:
    """The first steps of a series that do not count.

    >>> probation(1000), probation(22695)
    (150, 750)
    """
    return min(steps * 15 // 100, 750)


def positions(steps: int, windows: Sequence[tuple[int, int]]) -> tuple[np.ndarray, np.ndarray]:
    """(steps,) where each step lies in its window or behind the last one, and the window's number, -1 outside.

    >>> positions(6, [(1, 2)])
    (array([ inf, -1. , -0.5,  1. ,  2. ,  3. ]), array([-1,  0,  0, -1, -1, -1]))
    """
    place, inside = np.full(steps, np.inf), np.full(steps, -1)
    for number, (first, last) in enumerate(windows):
        width = last - first + 1
        place[first : last + 1] = (np.arange(first, last + 1) - last - 1) / width
        inside[first : last + 1] = number
        # A window of one step has no width to measure by: all behind it is far behind, as a division by 0 says.
        place[last + 1 :] = np.arange(1, steps - last) / (width - 1) if width > 1 else np.inf
    return place, inside


class Scorer:
    """Scores of a corpus's detectors. ``scores`` are one (steps,) array per series, in the corpus's order."""

    def __init__(self, corpus: Sequence[Labelled]) -> None:
        places, owners, counted, total = [], [], [], 0
        for one in corpus:
            place, inside = positions(len(one.values), one.windows)
            places.append(place)
            owners.append(np.where(inside < 0, -1, inside + total))
            counted.append(np.arange(len(place)) >= probation(len(place)))
            total += len(one.windows)
        self.lengths = [len(place) for place in places]
        self.counted = np.concatenate(counted)
        self.place, self.owner = np.concatenate(places)[self.counted], np.concatenate(owners)[self.counted]
        self.windows = total

    @cached_property
    def worth(self) -> np.ndarray:
        """What each counted step earns when detected, before the profile's weights; 1 at a window's first step."""
        worth = scaled_sigmoid(self.place)
        return np.where(self.owner >= 0, worth / scaled_sigmoid(np.array(-1.0)), worth)

    def sweep(self, scores: Sequence[np.ndarray], profile: Profile) -> tuple[np.ndarray, np.ndarray]:
        """All distinct scores as thresholds, falling, beginning with one that detects nothing, and the normalised
        score (0 null, 100 perfect) at each."""
        if [len(score) for score in scores] != self.lengths:
            raise ValueError("scores must be one array per series of the corpus, with one score per step")
        score = np.concatenate(scores)[self.counted]
        if np.isnan(score).any():
            raise ValueError("scores must be numbers; some are NaN")
        order = np.argsort(-score, kind="stable")
        score, owner, worth = score[order], self.owner[order], self.worth[order]
        gain = np.where(owner < 0, profile.fp * worth, 0.0)
        present = np.unique(owner[owner >= 0])
        for number in present:
            here = np.flatnonzero(owner == number)
            best = np.maximum.accumulate(profile.tp * worth[here])
            gain[here] = np.diff(best, prepend=-profile.miss)
        # A threshold takes every step of its score at once: only the last of equal ones counts.
        last = np.flatnonzero(np.append(score[1:] != score[:-1], True))
        null = -profile.miss * len(present)
        raw = np.concatenate(([null], null + np.cumsum(gain)[last]))
        perfect = profile.tp * self.windows
        return np.concatenate(([np.inf], score[last])), 100 * (raw - null) / (perfect - null)

    def best(self, scores: Sequence[np.ndarray], profile: Profile) -> tuple[float, float]:
        """(score, threshold) of the protocol: one threshold for all series, the one that scores best."""
        thresholds, values = self.sweep(scores, profile)
        top = int(np.argmax(values))
        return float(values[top]), float(thresholds[top])

    def at(self, scores: Sequence[np.ndarray], profile: Profile, threshold: float) -> float:
        """The score of a threshold that was chosen otherwise."""
        thresholds, values = self.sweep(scores, profile)
        return float(values[np.searchsorted(-thresholds, -threshold, side="right") - 1])
