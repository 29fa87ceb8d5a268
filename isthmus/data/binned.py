"""Tables as a network that draws cells meets them: every column by levels, its numbers in bins, its gaps a level."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from isthmus.checks import infinite_cells
from isthmus.data.coding import Coding
from isthmus.data.mixed import MixedSource
from isthmus.data.sources import Source, spread_rows
from isthmus.data.table_form import TableForm
from isthmus.errors import FileFormatError, InputError
from isthmus.records import Column, Layout

KNOTS = 16
"""Pieces of a bin's quantile function: within each, its values are taken for evenly spread."""

FEWEST, MOST = 8, 50
"""A column's bins, whatever the rows; values that many rows share have levels of their own beside these."""

ROWS_PER_BIN = 25

MOST_OWN = 999
"""Levels of a category that are levels here, too; with that of what is not known, no more than one softmax takes."""

LOOKED_AT = 200_000
"""Rows at most that tell the bins."""

DECIMALS = 6
"""Numbers of so many decimals at most are known to be rounded."""


def bins_for(rows: int) -> int:
    """How many bins a column of so many known cells has, at most.

    >>> bins_for(100), bins_for(1000), bins_for(30_000)
    (8, 40, 50)
    """
    return int(np.clip(rows // ROWS_PER_BIN, FEWEST, MOST))


@dataclass(frozen=True)
class Grid:
    """What the values of a column are rounded to: (first + k * step) / 10**decimals for whole k; step 0 = nothing.

    >>> Grid.of(np.array([0.25, 1.0, 2.5]))
    Grid(first=25, step=75, decimals=2)
    >>> Grid.of(np.array([0.25, 1.0, 2.5])).rounded(np.array([1.7]))
    array([1.75])
    """

    first: int = 0
    step: int = 0
    decimals: int = 0

    @classmethod
    def of(cls, values: np.ndarray, precision: float = 2.0**-52) -> Grid:
        """Of distinct values, (m,) float64 in order, which are known to so many parts of their size."""
        for decimals in range(DECIMALS + 1) if len(values) > 1 else ():
            raised = values * 10.0**decimals
            if np.abs(raised).max() >= 2**53:
                break
            if (np.abs(raised - np.rint(raised)) <= 2 * precision * np.abs(raised)).all():
                whole = np.unique(np.rint(raised).astype(np.int64))
                return cls(int(whole[0]), int(np.gcd.reduce(np.diff(whole))), decimals)
        return cls()

    @property
    def half(self) -> float:
        """Half the distance between neighbours."""
        return self.step / 2 / 10.0**self.decimals

    def rounded(self, values: np.ndarray) -> np.ndarray:
        """The values, each the nearest there is."""
        if not self.step:
            return values
        places = np.rint((values * 10.0**self.decimals - self.first) / self.step)
        return (self.first + places * self.step) / 10.0**self.decimals


@dataclass(frozen=True)
class Bins:
    """One column: values of which each level stands for one, or for all from ``knots[level, 0]`` to the last knot.

    Parameters
    ----------
    knots : (levels, KNOTS + 1) float64, ascending: the quantiles of the values of each level; none overlap.
    ends : (levels, 2) the least and the greatest of these values.
    grid : what they are rounded to.
    gaps : whether cells are missing, which is a level more, the last.
    known : values from here on stand for whatever else a cell may hold, which has no name: see `levels`.

    Examples
    --------
    >>> bins = Bins.of(np.array([0.0] * 50 + [1.0, 2.0, 3.0, 4.0] * 5 + [np.nan]), most=2)
    >>> bins.ends.tolist(), bins.gaps
    ([[0.0, 0.0], [1.0, 2.0], [3.0, 4.0]], True)
    >>> bins.levels(np.array([0.0, 2.0, 9.0, np.nan]))
    array([0, 1, 2, 3])
    """

    knots: np.ndarray
    ends: np.ndarray
    grid: Grid
    gaps: bool
    known: float = np.inf

    @classmethod
    def of(
        cls, values: np.ndarray, most: int | None = None, precision: float = 2.0**-52, known: float = np.inf
    ) -> Bins:
        """Of a column's cells, (n,) with NaN for missing ones: ``most`` bins, and the values that more than one cell
        in ``most`` holds beside them."""
        gone = np.isnan(values)
        at, counts = np.unique(values[values < known].astype(np.float64), return_counts=True)
        starts = first_of_bins(counts, bins_for(int(counts.sum())) if most is None else most)
        grid = Grid.of(at, precision)
        pieces = list(zip(np.split(at, starts[1:]), np.split(counts, starts[1:]), strict=True)) if len(at) else []
        knots = np.array([quantiles(*piece, grid.half) for piece in pieces]).reshape(-1, KNOTS + 1)
        ends = np.array([(piece[0], piece[-1]) for piece, _ in pieces]).reshape(-1, 2)
        return cls(knots, ends, grid, bool(gone.any()), known)

    @property
    def count(self) -> int:
        """How many levels there are."""
        return len(self.ends) + self.gaps

    @cached_property
    def edges(self) -> np.ndarray:
        """Where one level ends and the next begins: half way between their values, however near these are."""
        below, above = self.ends[:-1, 1], self.ends[1:, 0]
        return np.maximum(below / 2 + above / 2, np.nextafter(below, above))

    def levels(self, values: np.ndarray) -> np.ndarray:
        """(n,) int64 levels of cells; beyond all that were seen is the outermost.

        What has no name, a rare or unseen level of a category, and a missing cell in a column that never had one, are
        of the level `count`: it is read, and never drawn.
        """
        found = np.searchsorted(self.edges, values, side="right") if len(self.ends) else np.zeros(len(values), int)
        return np.where(values >= self.known, self.count, np.where(np.isnan(values), len(self.ends), found))

    def values(self, levels: np.ndarray, shares: np.ndarray) -> np.ndarray:
        """(n,) cells of these levels: the quantiles of each at a share (n,) in [0, 1), rounded as the data were."""
        missing = levels >= len(self.ends)
        if missing.all():
            return np.full(len(levels), np.nan)
        level, place = np.where(missing, 0, levels), shares * KNOTS
        low = place.astype(np.int64)
        start, stop = self.knots[level, low], self.knots[level, low + 1]
        found = self.grid.rounded(start + (place - low) * (stop - start))
        return np.where(missing, np.nan, np.clip(found, *self.ends[level].T))


def first_of_bins(counts: np.ndarray, most: int) -> np.ndarray:
    """Which of the distinct values, in order, begin a bin, by how many cells hold each.

    >>> first_of_bins(np.array([1, 1, 1, 1, 9, 1, 1]), most=3)
    array([0, 2, 4, 5])
    >>> first_of_bins(np.array([5, 1]), most=2)
    array([0, 1])
    """
    if len(counts) <= most:
        return np.arange(len(counts))
    alone = counts * most > counts.sum()
    others = np.where(alone, 0, counts)
    # By the middle of a value's cells, so that bins hold about as many cells each, whatever the values' own counts.
    bin_of = np.floor((np.cumsum(others) - others / 2) / max(others.sum(), 1) * most)
    begins = alone | (np.diff(bin_of, prepend=-1) != 0)
    begins[1:] |= alone[:-1]
    return np.flatnonzero(begins)


def quantiles(at: np.ndarray, counts: np.ndarray, half: float) -> np.ndarray:
    """(KNOTS + 1,) even quantiles of values, each spread ``half`` to both sides, so that rounding brings it back.

    >>> quantiles(np.array([3.0]), np.array([7]), 0.5)[[0, -1]], quantiles(np.array([3.0, 4.0]), np.ones(2), 0.5)[::8]
    (array([3., 3.]), array([2.5, 3.5, 4.5]))
    """
    if len(at) == 1:
        return np.full(KNOTS + 1, at[0])
    after = np.cumsum(counts)
    if half:
        places, shares = np.stack([at - half, at + half], 1).ravel(), np.stack([after - counts, after], 1).ravel()
    else:
        places, shares = at, np.concatenate([[0.0], (after - counts / 2)[1:-1], after[-1:]])
    return np.interp(np.linspace(0, after[-1], KNOTS + 1), shares, places)


@dataclass(frozen=True)
class Binned:
    """The columns of a table as levels, and levels as the table's raw numbers again.

    Numbers, dates and times of day are told by their bins. Levels stay what they are; of more than `MOST_OWN`, which
    are numbered from the most frequent on, rare ones fall into bins by how rare they are.

    Parameters
    ----------
    columns : what each column's levels stand for.

    Examples
    --------
    >>> from isthmus.data.sources import ArraySource
    >>> binned = Binned.fit(ArraySource(np.array([[1, 5], [2, 5], [2, 5]])))
    >>> binned.levels(np.array([[2, 5], [1, 7]])).tolist()
    [[1.0, 0.0], [0.0, 0.0]]
    >>> binned.values(np.array([[1.0, 0.0]]), shares=np.zeros((1, 2)))
    array([[2., 5.]])
    """

    columns: tuple[Bins, ...]

    @classmethod
    def fit(cls, source: Source, most: int | None = None) -> Binned:
        """From a table; ``most`` bins for each column of numbers, None = by the number of rows."""
        raw = np.asarray(source.take(spread_rows(source.rows, LOOKED_AT)))
        refuse_infinite(raw, source)
        mixed = source.layout.columns  # whose raw numbers are float32 only where this holds them exactly
        precision = np.finfo(raw.dtype).eps if raw.dtype.kind == "f" and mixed is None else 2.0**-52
        made = []
        for column, values in zip(mixed or [Column()] * raw.shape[1], raw.T, strict=True):
            known = column.levels - 1 if column.kind == "category" else np.inf
            own = MOST_OWN if column.levels or column.kind == "binary" else most
            made.append(Bins.of(values, own, float(precision), known))
        return cls(tuple(made))

    def levels(self, raw: np.ndarray) -> np.ndarray:
        """(n, columns) float32 levels of raw numbers, NaN = missing."""
        found = [own.levels(column) for own, column in zip(self.columns, raw.T, strict=True)]
        return np.stack(found, 1).astype(np.float32)

    def values(self, levels: np.ndarray, shares: np.ndarray) -> np.ndarray:
        """(n, columns) float64 raw numbers of levels: the quantile of each at a share, (n, columns) in [0, 1)."""
        places = levels.astype(np.int64)
        every = zip(self.columns, places.T, shares.T, strict=True)
        return np.stack([own.values(level, share) for own, level, share in every], 1)

    def source(self, source: Source) -> MixedSource:
        """A table by its levels: categories, whose last level is that of what is not known."""
        levels = np.empty((source.rows, len(self.columns)), dtype=np.float32)
        for start, stop in source.blocks:
            raw = source.read(start, stop)
            refuse_infinite(raw, source)
            levels[start:stop] = self.levels(raw)
        made = MixedSource(levels, self.form, complete=True, argument=source.argument)
        made.derived = True
        return made

    @cached_property
    def form(self) -> TableForm:
        """What a table of levels looks like."""
        codings = tuple(coding_of(str(i), one.count) for i, one in enumerate(self.columns))
        layout = Layout((len(codings),), ("column",), tuple(one.column for one in codings))
        return TableForm("numpy", None, ("float64",) * len(codings), layout, codings=codings)

    def state(self) -> dict[str, np.ndarray]:
        """Named arrays."""
        grids = [(one.grid.first, one.grid.step, one.grid.decimals, one.gaps) for one in self.columns]
        return {
            "knots": np.concatenate([one.knots for one in self.columns]),
            "ends": np.concatenate([one.ends for one in self.columns]),
            "counts": np.array([len(one.ends) for one in self.columns], dtype=np.int64),
            "grids": np.array(grids, dtype=np.int64),
            "known": np.array([one.known for one in self.columns]),
        }

    @classmethod
    def restore(cls, tensors: dict[str, np.ndarray]) -> Binned:
        """The inverse of `state`; `FileFormatError` where its parts contradict each other."""
        every = (np.asarray(tensors[name]) for name in ("knots", "ends", "counts", "grids", "known"))
        knots, ends, counts, grids, known = every
        shapes = (knots.shape[1:], ends.shape[1:], grids.shape) == ((KNOTS + 1,), (2,), (len(known), 4))
        shapes = shapes and counts.shape == known.shape
        fits = shapes and len(knots) == len(ends) == counts.sum() and (counts >= 0).all()
        if not (fits and np.isfinite(knots).all() and np.isfinite(ends).all() and (ends[:, 0] <= ends[:, 1]).all()):
            raise FileFormatError("the description of the columns' levels is damaged")
        parts = [np.split(values, np.cumsum(counts)[:-1]) for values in (knots, ends)]
        of_each = zip(*parts, grids.tolist(), known.tolist(), strict=True)
        return cls(tuple(Bins(own, its, Grid(*grid[:3]), bool(grid[3]), named) for own, its, grid, named in of_each))


def refuse_infinite(raw: np.ndarray, source: Source) -> None:
    """Refuse rows (n, columns) that hold an infinite number, which has no bin."""
    infinite = np.isinf(raw)
    if infinite.any():
        counts, shape = infinite.sum(0), source.layout.shape
        raise InputError(infinite_cells(source.argument, counts, len(raw), shape, source.form.names))


def coding_of(name: str, levels: int) -> Coding:
    """A column of so many levels, and one more for what is not known."""
    column = Column("category", levels + 1)
    return Coding(name, "category", "levels", "float64", column, levels=tuple(map(float, range(levels))))
