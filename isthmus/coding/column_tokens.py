"""One column of whole numbers as a symbol of few, which a network foretells, and the rest, which tables tell.

A number has a bucket (`isthmus.coding.tokens.Values`), and neighbouring buckets that are rare share a group. The
group is the symbol; which of its buckets it is costs what it is worth by how often each came in training, and what is
left within a bucket is raw bits.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from isthmus.coding.entropy import Reader, Tally
from isthmus.coding.small_arrays import roots_of, square_table, weight_table
from isthmus.coding.tokens import ESCAPES, Values, as_int64
from isthmus.errors import InputError

MOST_GROUPS = 32
"""Symbols of a column, but for the one of its escapes."""

CHOICES, MOST_EXACT = (16, 32, 64, 128, 256), 4096
"""How many runs a column may have, or values that are each a run; those are taken that cost least."""

BUCKET_BITS = 10
"""About what a bucket costs in the model."""

REPEATED = 8
"""So many rows for each of a column's values make it one of few values."""

SAMPLE = 2**13
"""Rows that tell whether a column rises."""

GAIN = 0.9
"""Differences are taken where they cost less than this part: what other columns tell of a number, they do not tell of
its distance from the row before."""


@dataclass(frozen=True, eq=False)
class ColumnTokens:
    """What training had in a column, as groups of buckets.

    Parameters
    ----------
    values : B runs of numbers, and the escapes.
    members : shape (G,), how many of the runs each group holds, >= 1; they sum to B. The escapes are one group more.
    roots : shape (B + 2,), the square roots of how often each bucket comes, whole numbers in 0..4095.
    differences : whether it is a number's distance from the row before that has the buckets.

    Raises
    ------
    InputError : the parts do not fit each other.

    Examples
    --------
    >>> tokens = ColumnTokens.fit(np.array([30, 30, 41, 30, 41]))
    >>> tokens.size, tokens.cut(np.array([41, 30, 99]))[0]
    (3, array([1, 0, 2]))
    """

    values: Values
    members: np.ndarray
    roots: np.ndarray
    differences: bool = False

    def __post_init__(self) -> None:
        runs = len(self.values.lower)
        if len(self.members) > MOST_GROUPS or (len(self.members) and int(self.members.min()) < 1):
            raise InputError(f"members: there must be at most {MOST_GROUPS} groups with at least one bucket each")
        if int(self.members.sum()) != runs or self.roots.shape != (self.values.size,):
            raise InputError("members must sum to the number of runs, and every bucket needs a root")
        if int(self.roots.min()) < 0 or int(self.roots.max()) > 4095:
            raise InputError("roots must be in 0..4095")

    @classmethod
    def fit(cls, ints: np.ndarray) -> ColumnTokens:
        """Learn them from a column (n,) of whole numbers."""
        ints = as_int64(ints)
        differences = _rises(ints)
        if differences:
            ints = np.diff(ints)
        values = _best_values(ints)
        counts = np.bincount(values.split(ints)[0], minlength=values.size).astype(np.float64)
        counts[len(values.lower)] += max(_novel(values, counts[: len(values.lower)]), 0.5)
        roots = roots_of(counts)
        lower = values.lower
        centre = int(lower[int(roots[: len(lower)].argmax())]) if len(lower) else 0
        return cls(Values(lower, values.widths, centre), _members(counts[: len(lower)]), roots, differences)

    @property
    def size(self) -> int:
        """How many symbols there are, that of the escapes last."""
        return len(self.members) + 1

    @cached_property
    def first(self) -> np.ndarray:
        """(G + 2,): the first bucket of every group, and at the end the number of buckets."""
        return np.concatenate([[0], np.cumsum(np.append(self.members, len(ESCAPES)))]).astype(np.int64)

    @cached_property
    def group_of(self) -> np.ndarray:
        """(B + 2,): the group of every bucket."""
        return np.repeat(np.arange(self.size), np.diff(self.first))

    @cached_property
    def table(self) -> np.ndarray:
        """(size,) frequencies of the symbols in training."""
        return weight_table(np.add.reduceat(self.roots.astype(np.int64) ** 2, self.first[:-1]))

    def cut(self, ints: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Symbols, buckets, remainders and their widths of a column: (n,) each."""
        if self.differences:
            ints = np.diff(ints, prepend=np.int64(0))
        buckets, remainders, widths = self.values.split(ints)
        return self.group_of[buckets], buckets, remainders, widths

    def put_rest(self, writer: Tally, symbols: np.ndarray, buckets: np.ndarray, remainders: np.ndarray) -> None:
        """Write what the symbols leave open."""
        for symbol, table, at in self._open(symbols):
            writer.put(buckets[at] - self.first[symbol], table)
        writer.bits(remainders, self.values.widths_of(buckets))

    def get_rest(self, reader: Reader, symbols: np.ndarray) -> np.ndarray:
        """Read what the symbols leave open: the buckets' whole numbers (n,), not yet summed up where they are
        differences."""
        buckets = self.first[symbols]
        for symbol, table, at in self._open(symbols):
            buckets[at] = self.first[symbol] + reader.get(len(at), table)
        return self.values.joined(buckets, reader.bits(len(buckets), self.values.widths_of(buckets)))

    def joined(self, ints: np.ndarray) -> np.ndarray:
        """The column from what `get_rest` gave of all its rows."""
        return np.cumsum(ints) if self.differences else ints

    def _open(self, symbols: np.ndarray) -> Iterator[tuple[int, np.ndarray, np.ndarray]]:
        """Symbols of several buckets that occur, the table of these, and where."""
        for symbol in np.flatnonzero((np.diff(self.first) > 1) & (np.bincount(symbols, minlength=self.size) > 0)):
            roots = self.roots[self.first[symbol] : self.first[symbol + 1]]
            yield int(symbol), square_table(roots), np.flatnonzero(symbols == symbol)


def _best_values(ints: np.ndarray) -> Values:
    """The buckets of which data and model cost least."""
    distinct = len(np.unique(ints))
    # What other columns tell of a number, they tell best where it has a symbol of its own.
    if distinct <= MOST_GROUPS and len(ints) >= REPEATED * distinct:
        return Values.fit(ints, MOST_GROUPS)
    best, least = Values.fit(ints, CHOICES[0]), np.inf
    for most in (*(most for most in CHOICES if most < distinct), distinct):
        # Ever finer runs cost less, then more; each value by itself may still cost less than any.
        if most == distinct > MOST_EXACT:
            break
        values = Values.fit(ints, max(most, 2))
        cost = _cost(values, ints)
        if cost < least:
            best, least = values, cost
    return best


def _cost(values: Values, ints: np.ndarray) -> float:
    """About the bits of numbers like these by the buckets, and of the buckets themselves."""
    buckets, _, widths = values.split(ints)
    counts = np.bincount(buckets)
    counts = counts[counts > 0]
    entropy = float(counts @ (np.log2(max(len(ints), 1)) - np.log2(counts)))
    novel = _novel(values, counts) * (ESCAPES[0] if _span(ints) < 2 ** (ESCAPES[0] - 1) else ESCAPES[1])
    return entropy + float(widths.sum()) + novel + BUCKET_BITS * values.size


def _span(ints: np.ndarray) -> int:
    return int(ints.max()) - int(ints.min()) if len(ints) else 0


def _novel(values: Values, counts: np.ndarray) -> int:
    """How many of as many numbers again will be new: as many as came once (Good and Turing)."""
    return 0 if values.widths.any() else int((counts == 1).sum())


def _rises(ints: np.ndarray) -> bool:
    """Whether the distances between neighbouring rows cost less than the numbers: row numbers, dates, sorted keys."""
    some = ints[:SAMPLE]
    steps = np.diff(some)
    return len(steps) > 0 and _cost(Values.fit(steps, 64), steps) < GAIN * _cost(Values.fit(some, 64), some)


def _members(counts: np.ndarray) -> np.ndarray:
    """How many runs each group holds: frequent ones alone, rare neighbours together up to an even share."""
    if len(counts) <= MOST_GROUPS:
        return np.ones(len(counts), dtype=np.int64)
    few, many = 0.0, float(counts.sum())
    for _ in range(24):
        share = (few + many) / 2
        if len(_members_of(counts, share)) > MOST_GROUPS:
            few = share
        else:
            many = share
    return np.array(_members_of(counts, many), dtype=np.int64)


def _members_of(counts: np.ndarray, share: float) -> list[int]:
    found: list[int] = []
    weight = np.inf
    for count in counts.tolist():
        if weight + count > share:
            found.append(1)
            weight = count
        else:
            found[-1] += 1
            weight += count
    return found
