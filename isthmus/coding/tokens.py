"""Whole numbers as a bucket, which a model predicts, and a remainder, which it does not.

A bucket is a run of 2**width neighbouring numbers, and the remainder of a number is its place in that run. What lies
in no run escapes: its distance from the centre is kept, in 16 bits where that is enough, else in 64. So every
int64 has a bucket, whatever the data were that the runs were learnt from.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from isthmus.checks import check_whole
from isthmus.coding.checked import HIGHEST, LOWEST, as_int64, whole
from isthmus.coding.entropy import MOST_SYMBOLS
from isthmus.coding.runs import even_runs
from isthmus.errors import FileFormatError, InputError

ESCAPES = (16, 64)
"""Bits of the remainders in the last two buckets."""

LOOKED_UP = 2**16
"""Up to this many numbers between the first and last run, buckets are looked up rather than searched."""


@dataclass(frozen=True, eq=False)
class Buckets:
    """Runs of whole numbers, and two escapes after them.

    Parameters
    ----------
    lower : shape (B,), int64, ascending: the first number of each run.
    widths : shape (B,), int64 in 0..63: a run holds 2**width numbers and ends before the next begins.
    centre : the number that escapes are counted from.

    Raises
    ------
    InputError : the runs overlap or leave int64.

    Examples
    --------
    >>> buckets = Buckets(np.array([0, 1, 2]), np.array([0, 0, 2]))
    >>> found, remainders, widths = buckets.split(np.array([0, 5, -1]))
    >>> found, remainders, widths
    (array([0, 2, 3]), array([0, 3, 1], dtype=uint64), array([ 0,  2, 16]))
    >>> buckets.joined(found, remainders)
    array([ 0,  5, -1])
    """

    lower: np.ndarray
    widths: np.ndarray
    centre: int = 0

    def __post_init__(self) -> None:
        lower, widths = whole("lower", self.lower, 1), whole("widths", self.widths, 1)
        if lower.dtype != np.int64 or widths.dtype != np.int64 or lower.shape != widths.shape:
            raise InputError("lower and widths must be int64 and as many as each other")
        if len(lower) > MOST_SYMBOLS - len(ESCAPES):
            raise InputError(f"lower: there may be {MOST_SYMBOLS - len(ESCAPES):,} runs at most; got {len(lower):,}")
        if not LOWEST <= self.centre <= HIGHEST:
            raise InputError(f"centre must be an int64; got {self.centre}")
        if len(widths) and not 0 <= widths.min() <= widths.max() <= 63:
            raise InputError(f"widths must be in 0..63; got {widths.min()} to {widths.max()}")
        starts = lower.tolist()
        ends = [start + (1 << width) for start, width in zip(starts, widths.tolist(), strict=True)]
        if any(end > start for end, start in zip(ends, [*starts, HIGHEST + 1][1:], strict=True)):
            raise InputError("lower: every run must end before the next begins, and within int64")

    @property
    def size(self) -> int:
        """How many buckets there are, the escapes included: K."""
        return len(self.lower) + len(ESCAPES)

    @cached_property
    def every_width(self) -> np.ndarray:
        """The bits of a remainder in each bucket: shape (K,), int64."""
        return np.concatenate([self.widths, np.array(ESCAPES)])

    def split(self, ints: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Buckets, remainders and their widths.

        Parameters
        ----------
        ints : shape (n,), any whole numbers that an int64 holds.

        Returns
        -------
        buckets : (n,) int64 in [0, K).
        remainders : (n,) uint64, below 2**width.
        widths : (n,) int64 in 0..64.
        """
        ints = as_int64(ints)
        buckets = self._runs_of(ints)
        # Differences of int64 wrap around, and those of the same bits as uint64 are right.
        remainders = ints.view(np.uint64) - np.append(self.lower, [0]).view(np.uint64)[buckets]
        widths = np.append(self.widths, [0])[buckets]
        escaped = np.flatnonzero((buckets == -1) | ((remainders >> widths.astype(np.uint64)) != 0))
        if len(escaped):
            folded = self._folded(ints[escaped])
            far = folded >= 2 ** ESCAPES[0]
            buckets[escaped] = len(self.lower) + far
            remainders[escaped] = folded
            widths = self.every_width[buckets]
        return buckets, remainders, widths

    def joined(self, buckets: np.ndarray, remainders: np.ndarray) -> np.ndarray:
        """The whole numbers again: (n,) int64, for any buckets in [0, K) and remainders below 2**width."""
        first = np.append(self.lower, [0] * len(ESCAPES)).view(np.uint64)
        ints = (first[buckets] + remainders).view(np.int64)
        escaped = np.flatnonzero(buckets >= len(self.lower))
        if len(escaped):
            folded = remainders[escaped]
            # Odd ones lie below the centre: -1 is 1, 1 is 2, -2 is 3.
            offset = (folded >> np.uint64(1)) ^ (np.uint64(0) - (folded & np.uint64(1)))
            ints[escaped] = (offset + np.uint64(self.centre % 2**64)).view(np.int64)
        return ints

    def widths_of(self, buckets: np.ndarray) -> np.ndarray:
        """The bits of the remainders in these buckets, int64."""
        return self.every_width[buckets]

    def _folded(self, ints: np.ndarray) -> np.ndarray:
        """Distances from the centre, with the sign in the lowest bit: uint64."""
        offset = (ints.view(np.uint64) - np.uint64(self.centre % 2**64)).view(np.int64)
        return ((offset << 1) ^ (offset >> 63)).view(np.uint64)

    def _runs_of(self, ints: np.ndarray) -> np.ndarray:
        """The last run that begins at or before each number; -1 = none."""
        found = self._table
        if found is None:
            return np.searchsorted(self.lower, ints, "right") - 1
        first = int(self.lower[0])
        # Every number before the first run looks at place 0, every one after the last start at the last place.
        places = np.clip(ints, first - 1 if first > LOWEST else first, int(self.lower[-1])) - first
        return found[places]

    @cached_property
    def _table(self) -> np.ndarray | None:
        """The runs of the numbers from the first start to the last, and at the end (place -1) that before it."""
        if not len(self.lower) or int(self.lower[-1]) - int(self.lower[0]) >= LOOKED_UP:
            return None
        every = np.arange(int(self.lower[-1]) - int(self.lower[0]) + 1) + self.lower[0]
        return np.append(np.searchsorted(self.lower, every, "right") - 1, [-1])

    def tensors(self) -> dict[str, np.ndarray]:
        """Named arrays, for a model file."""
        return {
            "lower": self.lower,
            "widths": self.widths.astype(np.uint8),
            "centre": np.array([self.centre], dtype=np.int64),
        }

    @classmethod
    def from_tensors(cls, tensors: Mapping[str, np.ndarray]) -> Buckets:
        """The buckets of `tensors`.

        Raises
        ------
        FileFormatError : they are none.
        """
        try:
            lower, widths, centre = (np.asarray(tensors[name]) for name in ("lower", "widths", "centre"))
            if len(tensors) != 3 or widths.dtype != np.uint8 or centre.dtype != np.int64 or centre.shape != (1,):
                raise InputError("its arrays are others")
            return cls(lower, widths.astype(np.int64), int(centre[0]))
        except (InputError, KeyError, ValueError, TypeError) as error:
            raise FileFormatError(f"these are no buckets of whole numbers: {error}") from error


class Values(Buckets):
    """Buckets of the values that were seen: each its own where they are few, else runs of about equal weight."""

    @classmethod
    def fit(cls, ints: np.ndarray, most: int = 256) -> Values:
        """Learn them.

        Parameters
        ----------
        ints : whole numbers of any shape, those of training.
        most : how many runs there may be, >= 2.

        Returns
        -------
        Values
            With one bucket for each value if there are at most ``most``.

        Examples
        --------
        >>> Values.fit(np.array([7, 7, 9])).size, Values.fit(np.arange(1000), most=8).size
        (4, 10)
        """
        check_whole("Values.fit", least=2, most=most)
        seen, counts = np.unique(as_int64(np.ravel(ints)), return_counts=True)
        centre = int(seen[np.searchsorted(np.cumsum(counts), counts.sum() / 2)]) if len(seen) else 0
        if len(seen) <= most:
            return cls(seen, np.zeros(len(seen), dtype=np.int64), centre)
        runs = even_runs(seen, np.append(0, np.cumsum(counts)), most)
        return cls(np.array([start for start, _ in runs]), np.array([width for _, width in runs]), centre)


class Residuals(Buckets):
    """Buckets around 0: the first few numbers of either sign each of its own, then runs whose widths double.

    The centre of escapes is 0.
    """

    @classmethod
    def of(cls, exact: int = 8, reach: int = 2**16, halvings: int = 0) -> Residuals:
        """Buckets for numbers in -reach..reach at least.

        Parameters
        ----------
        exact : numbers up to here have buckets of their own, >= 0.
        reach : the largest number of either sign that does not escape, 0..2**62.
        halvings : every doubling is cut into 2**halvings equal runs, 0..8: finer where numbers are not even in it.

        Examples
        --------
        >>> Residuals.of(exact=1, reach=7).lower
        array([-8, -4, -2, -1,  0,  1,  2,  3,  5])
        """
        check_whole("Residuals.of", least=0, exact=exact, reach=reach, halvings=halvings)
        if reach > 2**62 or halvings > 8 or exact > 2**15:
            raise InputError(
                f"Residuals.of: reach must be at most 2**62, halvings at most 8 and exact at most {2**15:,}; "
                f"got {reach}, {halvings} and {exact}"
            )
        starts, widths = list(range(1, exact + 1)), [0] * exact
        start, width, parts = exact + 1, 0, 2**halvings
        while start <= reach:
            for _ in range(parts):
                starts.append(start)
                widths.append(width)
                start += 1 << width
            width += 1
        below = [-start - (1 << width) + 1 for start, width in zip(starts, widths, strict=True)]
        return cls(
            np.array([*below[::-1], 0, *starts], dtype=np.int64), np.array([*widths[::-1], 0, *widths], dtype=np.int64)
        )

    @classmethod
    def fit(cls, ints: np.ndarray, exact: int = 8, halvings: int = 0) -> Residuals:
        """Buckets that reach as far as these whole numbers of any shape do (at most 2**62)."""
        ints = as_int64(np.ravel(ints))
        reach = max(int(ints.max()), -int(ints.min())) if len(ints) else 0
        return cls.of(min(exact, reach), min(reach, 2**62), halvings)
