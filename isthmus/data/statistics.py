"""Mean, variance and range of every column in one pass, by stretches that can be merged."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from isthmus.checks import infinite_cells, missing_cells, place
from isthmus.data.sources import Source
from isthmus.errors import InputError

STRETCH_CELLS = 2**18
"""Cells made float64 at a time: 2 MB, which stays in a core's own cache."""


@dataclass(frozen=True)
class Statistics:
    """What is known of each column after ``rows`` rows; two of them can be merged.

    Attributes
    ----------
    rows : rows seen.
    mean, spread, low, high : (features,) float64; ``spread`` is the sum of squared distances from the mean.
    """

    rows: int
    mean: np.ndarray
    spread: np.ndarray
    low: np.ndarray
    high: np.ndarray

    @classmethod
    def of(cls, block: np.ndarray) -> Statistics:
        """The statistics of some rows, (n, features) of finite numbers."""
        low, high = block.min(axis=0).astype(np.float64), block.max(axis=0).astype(np.float64)
        away = block.astype(np.float64)
        # An overflow becomes an infinite spread, which `gathered` puts into words.
        with np.errstate(over="ignore", invalid="ignore"):
            mean = away.mean(axis=0)
            away -= mean
            away *= away
            return cls(len(block), mean, away.sum(axis=0), low, high)

    def merged(self, other: Statistics) -> Statistics:
        """The statistics of both sets of rows together.

        References
        ----------
        Chan, Golub and LeVeque, "Algorithms for computing the sample variance", 1983.
        """
        rows = self.rows + other.rows
        with np.errstate(over="ignore", invalid="ignore"):
            step = other.mean - self.mean
            mean = self.mean + step * (other.rows / rows)
            spread = self.spread + other.spread + step * step * (self.rows * other.rows / rows)
        return Statistics(rows, mean, spread, np.minimum(self.low, other.low), np.maximum(self.high, other.high))

    @property
    def variance(self) -> np.ndarray:
        """(features,) the mean squared distance from the mean."""
        return self.spread / self.rows


def stretches_of(source: Source, rows: np.ndarray | None) -> Iterator[np.ndarray]:
    """Yield all rows in order, flat, (n, features), a few MB at a time."""
    step = max(16, STRETCH_CELLS // source.layout.features)
    for start, stop in source.blocks:
        if rows is None:
            for first in range(start, stop, step):
                yield _flat(source.read(first, min(first + step, stop)))
        else:
            here = rows[slice(*np.searchsorted(rows, [start, stop]))]
            for first in range(0, len(here), step):
                yield _flat(_rows_of(source, here[first : first + step]))


def _rows_of(source: Source, ids: np.ndarray) -> np.ndarray:
    first, last = int(ids[0]), int(ids[-1])
    return source.read(first, last + 1) if last - first == len(ids) - 1 else source.take(ids)


def _flat(block: np.ndarray) -> np.ndarray:
    return block.reshape(len(block), -1)


def gathered(source: Source, rows: np.ndarray | None) -> Statistics:
    """One pass over the rows; an `InputError` that counts missing or infinite cells, or names huge ones."""
    found: Statistics | None = None
    features = source.layout.features
    missing, infinite = np.zeros(features, dtype=np.int64), np.zeros(features, dtype=np.int64)
    rows_hit = seen = 0
    for block in stretches_of(source, rows):
        seen += len(block)
        if block.dtype.kind == "f" and not _all_finite(block):
            gaps = np.isnan(block)
            missing += gaps.sum(axis=0)
            infinite += np.isinf(block).sum(axis=0)
            rows_hit += int(gaps.any(axis=1).sum())
        elif not missing.any() and not infinite.any():
            part = Statistics.of(block)
            found = part if found is None else found.merged(part)
    shape, names = source.layout.shape, source.names
    if rows is not None and (missing.any() or infinite.any()):
        return gathered(source, None)  # once more: people want to know of all the bad cells, held out or not
    if missing.any():
        raise InputError(missing_cells(source.argument, missing, rows_hit, seen, shape, names))
    if infinite.any():
        raise InputError(infinite_cells(source.argument, infinite, seen, shape, names))
    if found is None:
        raise InputError(f"{source.argument}: there are no rows to learn the scaling from")
    _check_huge(source, found)
    return found


def _all_finite(block: np.ndarray) -> bool:
    # The least and the greatest number show both NaN and infinity, in two fast passes and without an array.
    return bool(np.isfinite(block.min()) and np.isfinite(block.max()))


def _check_huge(source: Source, found: Statistics) -> None:
    huge = ~(np.isfinite(found.mean) & np.isfinite(found.spread))
    if huge.any():
        largest = np.maximum(np.abs(found.low), np.abs(found.high))
        index = int(np.argmax(np.where(huge, largest, -1.0)))
        where = place(index, source.layout.shape, source.names)
        raise InputError(
            f"{source.argument}: {where} holds values as large as {largest[index]:.6g}, whose square is beyond what "
            f"a number can hold. Give the column in larger units, take its logarithm, or leave it out."
        )
