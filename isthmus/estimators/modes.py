"""Which way of teaching a head is best, and how far it should go: judged by labels that are held out."""

from __future__ import annotations

import math
import sys
import time
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor

from isthmus.data import Source
from isthmus.estimators.layers import Reader
from isthmus.estimators.probing import STRENGTHS, USUAL, probe
from isthmus.estimators.targets import Targets
from isthmus.estimators.tuning import Course, Tuned, answers, deep_head, linear_head, own_encoder

MODES = ("probe", "frozen", "full", "semi_supervised")
"""The simpler first: of equally good ones the first is taken."""

FEW, PARTS = 1000, 3
"""Of fewer labels than this, each is held out once, in so many parts."""

SHARE = 0.2
"""Of more, this share is held out."""

LONGER = {"semi_supervised": 3}
"""How many times as many steps a mode takes: there is more to learn from."""

FEWEST = 10
"""Labels that must be held out for a mode to be chosen by them."""

JUDGING = 2 / 3
"""Of a limited time, the share in which modes are judged; what is left is for the one that is chosen."""

LOOKS = 10
"""How often a head is judged while it is taught."""

Split = tuple[np.ndarray, np.ndarray]


@dataclass(frozen=True)
class Choice:
    """What was chosen: the network taught with all labels, its mode, the held-out score of every mode tried, and how
    many labels these are of."""

    network: Tuned
    mode: str
    scores: dict[str, float] = field(default_factory=dict)
    held_out: int = 0


@dataclass(frozen=True)
class Task:
    """Labelled rows, features of them, and how heads are taught.

    Attributes
    ----------
    model, layer, centre, spread : of the `FeatureLearner`.
    source, rows, targets : the rows, the numbers of those that are labelled (sorted), and their labels.
    others, other_rows : unlabelled rows.
    share : of the labels to hold out, once; None = chosen from their number.
    batch_size, steps, rates, seed : of the training; rates by mode.
    max_time : seconds for all of it, but for linear heads; a mode whose turn never comes is not judged.
    verbose : 1 = tell on standard error which mode is judged, and how well it did.
    """

    model: Any
    layer: str
    centre: np.ndarray
    spread: np.ndarray
    source: Source
    rows: np.ndarray
    targets: Targets
    others: Source
    other_rows: np.ndarray
    share: float | None
    batch_size: int
    steps: int
    rates: dict[str, float]
    seed: int
    max_time: float = math.inf
    verbose: int = 0

    def chosen(self, modes: tuple[str, ...]) -> Choice:
        """The best of some modes, taught with all labels; the simplest, where few labels tell which is best."""
        began = time.monotonic()
        splits = splits_of(self.targets, self.share, self.seed)
        held_out = sum(len(held) for _, held in splits)
        modes = modes if held_out >= FEWEST else modes[:1]
        x = self.features()
        strength, probed = self.judged_probe(x, splits)
        scores, steps = {"probe": probed} if "probe" in modes else {}, {"probe": 0}
        ends = began + JUDGING * self.max_time
        for place, mode in enumerate(modes):
            if mode != "probe" and (not scores or time.monotonic() < ends):
                self.say(f"{mode} is judged by {held_out:,} held-out labels")
                left = ends - time.monotonic()
                scores[mode], steps[mode] = self.judged(mode, x, splits, strength, left / (len(modes) - place))
            if not math.isnan(scores.get(mode, math.nan)):
                self.say(f"{mode}: {scores[mode]:.3f}")
        # Without labels to judge by, no figure is a number, and the simplest is taken.
        best = max(scores, key=lambda mode: (scores[mode] if splits else 0.0, -MODES.index(mode)))
        every = np.arange(len(self.rows))
        network = self.start(best, x, every, strength)
        if best != "probe":
            self.say(f"{best} is taught with all {len(every):,} labels")
            network = self.course(best, x, every, steps[best]).run(network, until=began + self.max_time)
        return Choice(network, best, scores, held_out)

    def say(self, words: str) -> None:
        if self.verbose:
            print(f"fine_tune: {words}", file=sys.stderr, flush=True)

    def features(self) -> np.ndarray:
        """(labelled rows, width) float32, standardised, their squared length 1 in the mean."""
        network = Tuned(Reader(self.model.composition_, self.layer), self.centre, self.spread, torch.nn.Identity())
        network.to(self.model._device)
        return self.answered(network, self.rows).astype(np.float32)

    def answered(self, network: Tuned, rows: np.ndarray) -> np.ndarray:
        """(rows, outputs) float64."""
        pieces = (rows[start : start + 1024] for start in range(0, len(rows), 1024))
        return answers(network, (self.model._batch(self.source, some) for some in pieces))

    def judged_probe(self, x: np.ndarray, splits: list[Split]) -> tuple[float, float]:
        """The best strength of a linear head, and its held-out score."""
        if not splits:
            return USUAL, float("nan")
        found = {}
        for strength in STRENGTHS:
            out = [probe(x[train], self.targets.take(train), strength)(x[held]) for train, held in splits]
            found[strength] = self.score(out, splits)
        best = max(found, key=lambda strength: (found[strength], -strength))
        return best, found[best]

    def judged(
        self, mode: str, x: np.ndarray, splits: list[Split], strength: float, seconds: float
    ) -> tuple[float, int]:
        """The best held-out score of a mode, and after how many steps, of those that ``seconds`` are enough for."""
        began, steps = time.monotonic(), self.steps * LONGER.get(mode, 1)
        if not splits:
            return float("nan"), steps // 2
        looks: list[list[np.ndarray]] = []
        for part, (train, held) in enumerate(splits):
            now = time.monotonic()
            until = now + (began + seconds - now) / (len(splits) - part)
            seen: list[np.ndarray] = []

            def look(network: Tuned, held: np.ndarray = held, seen: list[np.ndarray] = seen) -> None:
                if mode == "frozen":
                    with torch.no_grad():
                        seen.append(network.head(self.there(x[held])).double().cpu().numpy())
                else:
                    seen.append(self.answered(network, self.rows[held]))

            self.course(mode, x, train, steps).run(self.start(mode, x, train, strength), LOOKS, look, until)
            looks.append(seen)
        # Parts that ran out of time were looked at less often.
        scores = [self.score(list(out), splits) for out in zip(*looks, strict=False)]
        best = int(np.argmax(scores))
        return scores[best], round(steps * best / LOOKS)

    def score(self, out: list[np.ndarray], splits: list[Split]) -> float:
        """Of the answers to all held-out rows together."""
        return self.targets.take(np.concatenate([held for _, held in splits])).score(np.concatenate(out))

    def start(self, mode: str, x: np.ndarray, train: np.ndarray, strength: float) -> Tuned:
        """The network that teaching begins with: but for a deep head, the linear head of these rows."""
        if mode == "frozen":
            head: torch.nn.Module = deep_head(x.shape[1], self.targets.outputs, self.seed)
        else:
            head = linear_head(probe(x[train], self.targets.take(train), strength))
        network = Tuned(Reader(self.model.composition_, self.layer), self.centre, self.spread, head)
        return (network if mode in ("probe", "frozen") else own_encoder(network)).to(self.model._device)

    def course(self, mode: str, x: np.ndarray, train: np.ndarray, steps: int) -> Course:
        return Course(
            self.model,
            mode,
            self.source,
            self.rows[train],
            self.targets.take(train),
            self.there(x[train]),
            self.others,
            self.other_rows,
            self.batch_size,
            steps,
            self.rates[mode],
            self.seed,
        )

    def there(self, x: np.ndarray) -> Tensor:
        return torch.from_numpy(x).to(self.model._device)


def splits_of(targets: Targets, share: float | None, seed: int) -> list[Split]:
    """(train, held out) row numbers, sorted; each class keeps its share, and one with a single row is never held out.

    None where no row can be held out.
    """
    rows = len(targets.values)
    random = np.random.default_rng((seed, 2))
    if share is not None or rows >= FEW:
        parts, share = 1, SHARE if share is None else share
    else:
        parts = PARTS
    order = random.permutation(rows)
    if targets.kind == "classes":
        counts = np.bincount(targets.values, minlength=targets.outputs)
        order = order[counts[targets.values[order]] > 1]
        order = order[np.argsort(targets.values[order], kind="stable")]
    if len(order) < 2:
        return []
    parts = min(parts, len(order))
    if parts > 1:
        place = np.arange(len(order)) % parts  # rows of a class lie side by side: each part gets its share of them
        held_out = [np.sort(order[place == part]) for part in range(parts)]
    else:
        held_out = [np.sort(order[held_of(len(order), float(share or SHARE), targets, order)])]
    every = np.arange(rows)
    return [(np.setdiff1d(every, held), held) for held in held_out if 0 < len(held) < rows]


def held_of(rows: int, share: float, targets: Targets, order: np.ndarray) -> np.ndarray:
    """Which places of ``order`` to hold out: every so many of them, but never all rows of a class."""
    every = np.floor(np.arange(rows + 1) * share)
    places = np.flatnonzero(np.diff(every) > 0)
    if targets.kind != "classes":
        return places
    first = np.r_[True, np.diff(targets.values[order]) != 0]  # kept in any case
    return places[~first[places]]
