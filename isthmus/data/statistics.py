"""Mean, variance and range of every column in one pass, by stretches that can be merged."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from isthmus.checks import infinite_cells, missing_cells, place
from isthmus.data.sources import Source
from isthmus.errors import InputError

STRETCH_CELLS = 2**18
"""Cells made float64 at a time: 2 MB, which stays in a core's own cache."""

SAMPLE_ROWS = 50_000
"""Rows from which the shape of a column's distribution is learnt."""


@dataclass(frozen=True)
class Statistics:
    """What is known of each column after ``rows`` rows; two of them can be merged.

    Attributes
    ----------
    rows : rows seen.
    mean, spread, low, high : (features,) float64; ``spread`` is the sum of squared distances from the mean.
    known : (features,) how many cells had a value, where some may be missing; None = all of them.
    """

    rows: int
    mean: np.ndarray
    spread: np.ndarray
    low: np.ndarray
    high: np.ndarray
    known: np.ndarray | None = None

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

    @classmethod
    def of_known(cls, block: np.ndarray) -> Statistics:
        """The same of the cells that are not NaN; a column without any has mean 0 and a range from infinity down.

        >>> Statistics.of_known(np.array([[1.0, np.nan], [3.0, np.nan], [np.nan, np.nan]])).known
        array([2, 0])
        """
        block = block.astype(np.float64)
        gaps = np.isnan(block)
        if not gaps.any():
            found = cls.of(block)
            return replace(found, known=np.full(block.shape[1], len(block)))
        known = len(block) - gaps.sum(axis=0)
        low, high = np.fmin.reduce(block, initial=np.inf), np.fmax.reduce(block, initial=-np.inf)
        with np.errstate(over="ignore", invalid="ignore"):
            block[gaps] = 0.0
            mean = block.sum(axis=0) / np.maximum(known, 1)
            block -= mean
            block[gaps] = 0.0
            block *= block
            return cls(len(block), mean, block.sum(axis=0), low, high, known)

    def merged(self, other: Statistics) -> Statistics:
        """The statistics of both sets of rows together.

        References
        ----------
        Chan, Golub and LeVeque, "Algorithms for computing the sample variance", 1983.
        """
        rows: int | np.ndarray = self.rows + other.rows
        mine: int | np.ndarray = self.rows
        added: int | np.ndarray = other.rows
        known = None
        if self.known is not None and other.known is not None:
            mine, added, known = self.known, other.known, self.known + other.known
            rows = np.maximum(known, 1)
        with np.errstate(over="ignore", invalid="ignore"):
            step = other.mean - self.mean
            mean = self.mean + step * (added / rows)
            spread = self.spread + other.spread + step * step * (mine * added / rows)
        low, high = np.minimum(self.low, other.low), np.maximum(self.high, other.high)
        return Statistics(self.rows + other.rows, mean, spread, low, high, known)

    @property
    def variance(self) -> np.ndarray:
        """(features,) the mean squared distance from the mean; 0 where no cell is known."""
        return self.spread / (self.rows if self.known is None else np.maximum(self.known, 1))

    @property
    def unknown(self) -> np.ndarray:
        """(features,) bool: columns without any known cell."""
        return np.zeros(len(self.mean), dtype=bool) if self.known is None else self.known == 0


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


def sampled(source: Source, rows: np.ndarray | None, columns: np.ndarray) -> np.ndarray:
    """(m, columns) float64: some columns of at most `SAMPLE_ROWS` rows, drawn by a generator with a seed of its own."""
    total = source.rows if rows is None else len(rows)
    if total > SAMPLE_ROWS:
        # Drawn, not evenly spaced: rows in the order of time repeat by hours and weeks.
        some = np.unique(np.random.default_rng(0).integers(0, total, SAMPLE_ROWS))
        rows = some if rows is None else rows[some]
    return np.concatenate([block[:, columns].astype(np.float64) for block in stretches_of(source, rows)])


def gathered(source: Source, rows: np.ndarray | None) -> Statistics:
    """One pass over the rows; an `InputError` that counts missing or infinite cells, or names huge ones.

    In mixed tables missing cells are no error: each column's statistics are of its known cells. A column without any
    gets 0 for all of them.
    """
    found: Statistics | None = None
    features, mixed = source.layout.features, source.layout.columns is not None
    statistics_of = Statistics.of_known if mixed else Statistics.of
    missing, infinite = np.zeros(features, dtype=np.int64), np.zeros(features, dtype=np.int64)
    rows_hit = seen = 0
    for block in stretches_of(source, rows):
        seen += len(block)
        if block.dtype.kind == "f" and not _all_finite(block):
            infinite += np.isinf(block).sum(axis=0)
            if not mixed:
                gaps = np.isnan(block)
                missing += gaps.sum(axis=0)
                rows_hit += int(gaps.any(axis=1).sum())
        if not missing.any() and not infinite.any():
            part = statistics_of(block)
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
    if found.unknown.any():
        low, high = (np.where(found.unknown, 0.0, ends) for ends in (found.low, found.high))
        found = replace(found, low=low, high=high)
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
