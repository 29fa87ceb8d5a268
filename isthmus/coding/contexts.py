"""What the known neighbours of an element say of it, as whole numbers that a network reads.

`ValueContext` hands over the neighbours as they are: for pictures whose values mean something by themselves (ink and
paper, labels). `ResidualContext` predicts the element first, and hands over how far the neighbours are from the
prediction, in units of their own spread: for smooth or noisy quantities of any scale.

Nothing here rounds: every product and sum stays below 2**53, and scaling is by powers of two.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from isthmus.coding.entropy import whole
from isthmus.coding.passes import LEVELS
from isthmus.errors import FileFormatError, InputError

FAR = 30
"""Bits of differences; larger ones lose their lowest bits."""

POINT = 16
"""Bits after the point in a predictor's weights."""

MOST_WEIGHT = 2**20
"""What the absolute values of a predictor's weights may sum to; differences have up to 32 bits."""

FINE = 9
"""Bits of a difference, in units of the neighbours' spread."""

SPREAD = 8
"""So many of the nearest neighbours tell the spread."""

SCALES = np.arange(2, 42, 2)
"""Bits of the spread, about each of which a feature is centred."""


@dataclass(frozen=True)
class ValueContext:
    """The neighbours as they are.

    Parameters
    ----------
    lowest, highest : of the values seen in training; others are clipped.
    base : the most frequent value; it stands for what lies beyond the edge.
    upper : values from here on are marked, as are those other than ``base``.
    neighbours : how many there are for each network, (networks,).
    """

    lowest: int
    highest: int
    base: int
    upper: int
    neighbours: np.ndarray

    kind = "values"
    nearest = False

    @classmethod
    def fit(cls, ints: np.ndarray, neighbours: np.ndarray) -> ValueContext:
        """Learn it from whole numbers of any shape, less than 2**31 apart."""
        seen, counts = np.unique(ints, return_counts=True)
        base = int(seen[counts.argmax()])
        others, counts = seen[seen != base], counts[seen != base]
        upper = int(others[np.searchsorted(np.cumsum(counts), 0.75 * counts.sum())]) if len(others) else base
        return cls(int(seen[0]), int(seen[-1]), base, upper, neighbours)

    @property
    def fill(self) -> int:
        """What stands for nothing."""
        return self.base

    def limits(self, network: int) -> tuple[np.ndarray, np.ndarray]:
        """The largest absolute value of each feature, and the scale that training sees it at."""
        most = max(self.highest - self.base, self.base - self.lowest, 1)
        count, marks = int(self.neighbours[network]), self._marks
        largest = np.concatenate([np.full(count, most), np.ones(marks * count, dtype=np.int64)])
        return largest, np.concatenate([np.full(count, 1 / most), np.ones(marks * count)])

    @property
    def _marks(self) -> int:
        """Two values tell themselves apart."""
        return 2 if self.highest - self.lowest > 1 else 0

    def blank(self, around: np.ndarray) -> np.ndarray:
        """Whether all neighbours (e, P) are alike and say nothing: (e,) bool."""
        return np.all(around == self.base, axis=1)

    def read(self, around: np.ndarray, network: int, level: int) -> tuple[np.ndarray, np.ndarray]:
        """Features (e, F), all 0 where blank, and the prediction (e,), from which elements are counted: here 0."""
        count = int(self.neighbours[network])
        found = np.empty((len(around), count * (1 + self._marks)), dtype=np.int64)
        np.clip(around, self.lowest, self.highest, out=found[:, :count])
        if self._marks:
            np.not_equal(around, self.base, out=found[:, count : 2 * count], casting="unsafe")
            np.greater_equal(around, self.upper, out=found[:, 2 * count :], casting="unsafe")
            if self.upper <= self.base:
                found[:, 2 * count :] -= 1
        found[:, :count] -= self.base
        return found, np.zeros(len(around), dtype=np.int64)

    def expected(self, around: np.ndarray) -> np.ndarray:
        """The prediction (e,) where blank."""
        return np.zeros(len(around), dtype=np.int64)

    def tensors(self) -> dict[str, np.ndarray]:
        """Named arrays, for a model file."""
        return {"values": np.array([self.lowest, self.highest, self.base, self.upper], dtype=np.int64)}

    @classmethod
    def from_tensors(cls, tensors: Mapping[str, np.ndarray], neighbours: np.ndarray) -> ValueContext:
        """The context of `tensors`, for an order with so many neighbours; anything else is a FileFormatError."""
        values = np.asarray(tensors.get("values"))
        if len(tensors) != 1 or values.dtype != np.int64 or values.shape != (4,):
            raise FileFormatError("these are no values of a grid model")
        lowest, highest, base, upper = (int(value) for value in values)
        if not (lowest <= base <= highest and lowest <= upper <= highest and highest - lowest < 2**31):
            raise FileFormatError("the values of a grid model are not in their order")
        return cls(lowest, highest, base, upper, neighbours)


@dataclass(frozen=True)
class ResidualContext:
    """A linear prediction in whole numbers, and the neighbours' distances from it.

    Parameters
    ----------
    weights : shape (networks, `LEVELS`, most neighbours), int64, in units of 2**-`POINT`: with a the nearest neighbour,
        the prediction is ``a + sum of weight * (neighbour - a)``, rounded.
    neighbours : how many there are for each network, (networks,); weights beyond are 0.

    Raises
    ------
    InputError : weights so large that sums were not exact.
    """

    weights: np.ndarray
    neighbours: np.ndarray

    kind = "residuals"
    nearest = True
    fill = 0

    def __post_init__(self) -> None:
        weights = whole("weights", self.weights, 3)
        sums = np.abs(np.clip(weights, -MOST_WEIGHT, MOST_WEIGHT)).sum(-1)
        if weights.shape[:2] != (len(self.neighbours), LEVELS) or np.any(sums > MOST_WEIGHT):
            raise InputError(
                f"weights must be of shape (networks, {LEVELS}, neighbours), of a sum of {MOST_WEIGHT:,} at most"
            )

    def limits(self, network: int) -> tuple[np.ndarray, np.ndarray]:
        """The largest absolute value of each feature, and the scale that training sees it at."""
        count = int(self.neighbours[network])
        sizes = [(2 ** (FINE + 2), count), (2, len(SCALES)), (2**FINE, 1), (128, 1)]
        largest = np.concatenate([np.full(times, size) for size, times in sizes])
        scales = [(2.0**-7, count), (0.5, len(SCALES)), (2.0**-8, 1), (2.0**-7, 1)]
        return largest, np.concatenate([np.full(times, scale) for scale, times in scales])

    def blank(self, around: np.ndarray) -> np.ndarray:
        """Whether all neighbours (e, P) are alike: (e,) bool."""
        return np.all(around == around[:, :1], axis=1)

    def expected(self, around: np.ndarray) -> np.ndarray:
        """The prediction (e,) where blank."""
        return around[:, 0].copy()

    def predicted(self, around: np.ndarray, network: int, level: int) -> tuple[np.ndarray, np.ndarray]:
        """The prediction (e,), blank or not, and the bits of the neighbours' spread (e,)."""
        differences, shift = differences_of(around)
        moved = self._moved(differences, network, level)[0]
        bits = np.frexp(np.abs(differences[:, :SPREAD]).sum(1))[1]
        return around[:, 0] + (moved.astype(np.int64) << shift), bits + shift

    def _moved(self, differences: np.ndarray, network: int, level: int) -> tuple[np.ndarray, np.ndarray]:
        """How far the prediction is from the first neighbour, (e,), and the part of 1 that rounding it left."""
        weights = self.weights[network, level, : differences.shape[1]].astype(np.float64)
        sums = differences @ weights + 2.0 ** (POINT - 1)
        moved = np.floor(np.ldexp(sums, -POINT))
        rest = np.floor(np.ldexp(sums - np.ldexp(moved, POINT), 8 - POINT)) - 128
        # Differences have `FAR` bits or, beyond 2**61, two more.
        return np.clip(moved, -(2.0**31), 2.0**31, out=moved), rest

    def read(self, around: np.ndarray, network: int, level: int) -> tuple[np.ndarray, np.ndarray]:
        """Features (e, F), all 0 where blank, and the prediction (e,), from which elements are counted."""
        differences, shift = differences_of(around)
        moved, rest = self._moved(differences, network, level)
        spread, bits = np.frexp(np.abs(differences[:, :SPREAD]).sum(1))
        distances = np.ldexp(differences - moved[:, None], (FINE - bits)[:, None])
        found = np.empty((len(around), around.shape[1] + len(SCALES) + 2), dtype=np.int64)
        limit = 2.0 ** (FINE + 2)
        found[:, : around.shape[1]] = np.clip(np.floor(distances, out=distances), -limit, limit)
        found[:, around.shape[1] : -2] = np.maximum(0, 2 - np.abs((bits + shift)[:, None] - SCALES))
        found[:, -2] = np.maximum(0, np.floor(np.ldexp(spread, FINE + 1)) - 2**FINE)
        found[:, -1] = rest
        return found, around[:, 0] + (moved.astype(np.int64) << shift)

    def tensors(self) -> dict[str, np.ndarray]:
        """Named arrays, for a model file."""
        return {"weights": self.weights.astype(np.int32)}

    @classmethod
    def from_tensors(cls, tensors: Mapping[str, np.ndarray], neighbours: np.ndarray) -> ResidualContext:
        """The context of `tensors`, for an order with so many neighbours; anything else is a FileFormatError."""
        weights = np.asarray(tensors.get("weights"))
        most = int(neighbours.max(initial=0))
        if len(tensors) != 1 or weights.dtype != np.int32 or weights.shape != (len(neighbours), LEVELS, most):
            raise FileFormatError("these are no predictors of a grid model")
        try:
            return cls(weights.astype(np.int64), neighbours)
        except InputError as error:
            raise FileFormatError(f"the predictors of a grid model cannot be used: {error}") from error


def differences_of(around: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Differences from the first neighbour, floored to about `FAR` bits, and by how many bits they were shifted.

    Those of int64 may wrap around, alike in both directions.

    Examples
    --------
    >>> differences_of(np.array([[5, 7, 2], [0, 2**33, 1]]))
    (array([[ 0.00000000e+00,  2.00000000e+00, -3.00000000e+00],
           [ 0.00000000e+00,  5.36870912e+08,  0.00000000e+00]]), array([0, 4]))
    """
    differences = (around - around[:, :1]).astype(np.float64)
    most = np.frexp(np.abs(differences).max(1, initial=0))[1]
    shift = np.clip(most - FAR, 0, 31).astype(np.int64)
    if shift.any():
        differences = np.floor(np.ldexp(differences, -shift[:, None]))
    return differences, shift
