"""What the codes of held-out rows keep: neighbours, the order of distances, and labels."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from isthmus.checks import counted
from isthmus.data.classes import UNKNOWN
from isthmus.errors import InputError
from isthmus.estimators.targets import are_numbers, as_floats, class_targets, one_each
from isthmus.metrics import distance_order, neighbour_accuracy, neighbourhoods, neighbours_kept
from isthmus.report.figures import as_text

MOST_JUDGED, MOST_KNOWN = 2_000, 20_000
"""Held-out rows whose codes are judged, and training rows whose labels tell theirs, at most; drawn at random."""

MOST_CELLS = 50_000_000
"""Cells of judged rows, at most, down to 100 rows."""

FEWEST, NEIGHBOURS = 5, 5
"""Rows that can be judged, and neighbours that tell a label."""


@dataclass(frozen=True)
class CodeFigures:
    """Codes of held-out rows, judged; NaN where a figure could not be had.

    Attributes
    ----------
    trustworthiness : whether rows that are near in the codes are near in the data, 1 at best and about 0.5 by chance.
    continuity : whether rows that are near in the data are near in the codes, likewise.
    distances : Spearman's correlation of all pairwise distances in the data and in the codes.
    accuracy : the share of labels that the 5 nearest training rows, by their codes, tell rightly.
    unseen : the rows were not among those of the fit.
    codes : (judged rows, code_size), what was judged.
    """

    trustworthiness: float = math.nan
    continuity: float = math.nan
    distances: float = math.nan
    accuracy: float = math.nan
    unseen: bool = True
    codes: np.ndarray | None = field(default=None, repr=False, compare=False)

    @property
    def kept(self) -> float:
        """The mean of trustworthiness and continuity."""
        return (self.trustworthiness + self.continuity) / 2


@dataclass(frozen=True, eq=False)
class Jury:
    """The rows by which all codes are judged.

    Attributes
    ----------
    judged, known : the numbers of held-out rows, and of training rows that have a label.
    y : (rows,) what the user gave, or None. classes : (rows,) the number of each row's class, or None.
    """

    judged: np.ndarray
    known: np.ndarray
    y: np.ndarray | None
    classes: np.ndarray | None

    @classmethod
    def drawn(cls, train: np.ndarray, held_out: np.ndarray, y: Any, rows: int, features: int, seed: int) -> Jury:
        """At most so many rows as serve; without held-out rows training rows, whose labels are not told."""
        draw = np.random.default_rng([seed, 0, 3])  # the 3 tells this draw from those of rows held out and of batches
        most = min(MOST_JUDGED, max(100, MOST_CELLS // features))
        judged = some_of(held_out if len(held_out) else train, most, draw)
        given, classes = (None, None) if y is None else labels_of(y, rows)
        if classes is None or not len(held_out):  # a training row's own label is no answer
            return cls(judged, train[:0], given, classes)
        return cls(judged, some_of(train[classes[train] != UNKNOWN], MOST_KNOWN, draw), given, classes)

    @property
    def labels(self) -> np.ndarray | None:
        """(judged rows,) what colours a picture of them: text of labels, or quantities as float64, NaN = not known."""
        if self.y is None:
            return None
        y = self.y[self.judged]
        if self.classes is None:
            return as_floats(y[:, None])[:, 0]
        known = self.classes[self.judged] != UNKNOWN
        pairs = zip(y.tolist(), known, strict=True)
        return np.array([as_text(label) if told else "not known" for label, told in pairs])

    @property
    def tellable(self) -> np.ndarray:
        """(judged rows,) bool: those of a class that a known row is of; nothing could tell another."""
        if self.classes is None:
            return np.zeros(len(self.judged), dtype=bool)
        return np.isin(self.classes[self.judged], self.classes[self.known])

    @property
    def told(self) -> int:
        """How many labels training rows are to tell; 0 where they are too few to go by."""
        labels = int(self.tellable.sum())
        return labels if labels >= FEWEST else 0

    @property
    def commonest(self) -> float:
        """The share of these labels that the commonest class of training rows tells alone; NaN where none are told."""
        if not self.told or self.classes is None:
            return math.nan
        class_ = np.bincount(self.classes[self.known]).argmax()
        return float((self.classes[self.judged][self.tellable] == class_).mean())

    def figures(self, x: np.ndarray, codes: np.ndarray, known: np.ndarray | None) -> CodeFigures:
        """Of ``x`` (judged rows, *) and their codes; ``known`` are codes of the known rows, None = there are none."""
        if len(x) < FEWEST:
            return CodeFigures(codes=codes)
        accuracy = math.nan
        if self.told and known is not None and self.classes is not None:
            place = self.tellable
            told, wanted = self.classes[self.known], self.classes[self.judged][place]
            accuracy = neighbour_accuracy(known, told, codes[place], wanted, NEIGHBOURS)
        trusted, continuous = neighbours_kept(x, codes)
        return CodeFigures(trusted, continuous, distance_order(x, codes), accuracy, known is not None, codes)

    @property
    def said(self) -> str:
        """What the figures are, in words."""
        rows = len(self.judged)
        sizes = neighbourhoods(rows)
        near = f"{sizes[0]}, {sizes[1]} .. {sizes[-1]}" if len(sizes) > 3 else ", ".join(map(str, sizes))
        words = (
            f"Codes of {counted(rows, 'row')}. Trustworthy: near in the code is near in the data; continuous: near in "
            f"the data is near in the code; each from about 0.5 (chance) to 1, by {near} neighbours. Distances: "
            "Spearman's correlation of all pairwise distances"
        )
        if self.classes is not None and not self.told:
            return (
                f"{words}. There are too few labels to judge by: at least {FEWEST} held-out rows need one that a "
                "training row has, too."
            )
        if not self.told and self.y is not None and self.classes is None:
            return f"{words}. The labels are taken for quantities, which are not told: write classes as text."
        if not self.told:
            return f"{words}."
        return (
            f"{words}. {NEIGHBOURS}-NN: the share of {self.told:,} labels that the codes of {len(self.known):,} "
            f"training rows tell. The commonest class alone is right of {self.commonest:.3f}."
        )


def some_of(rows: np.ndarray, most: int, draw: np.random.Generator) -> np.ndarray:
    """Not more than so many of them, sorted."""
    return rows if len(rows) <= most else np.sort(draw.choice(rows, most, replace=False))


def labels_of(y: Any, rows: int) -> tuple[np.ndarray, np.ndarray | None]:
    """What was given, and the class of every row, -1 where it is not known; None for quantities, which have none."""
    given = one_each(y, rows)
    if given.ndim != 1:
        raise InputError(f"y must have one label per row, shape ({rows},); got {given.shape}")
    # A class too many costs nothing here, whereas persons by number, of which there are many, are worth telling.
    return given, None if are_numbers(y, most=math.inf) else class_targets(y, rows, None).values
