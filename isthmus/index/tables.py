"""Hash tables over substrings of codes, as three arrays: every look-up is an index, for many queries at once."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from math import comb

import numpy as np

from isthmus.index.bits import BLOCK


@dataclass(frozen=True)
class Steps:
    """The look-ups of some levels: all ways to flip ``first`` to ``last`` bits of each table's substring.

    ``masks`` (look-ups,) int64 flip a key, ``table`` (look-ups,) says which table they are for, ``at`` (tables + 1,)
    where the look-ups of the last level start for each table; those of the levels before are before ``at[0]``.
    """

    masks: np.ndarray
    table: np.ndarray
    at: np.ndarray


@dataclass(frozen=True)
class Tables:
    """Row numbers sorted by a substring of their code, once for every table, and where each bucket starts.

    The key of a substring is its number in a row of all buckets of all tables, so that one array holds them all. As
    the tables with the longer substrings come first, a table's first key is a multiple of its size, and flipping bits
    of a substring is flipping bits of its key.

    Attributes
    ----------
    lengths : the bits of each table's substring, at most one apart, the longer ones first.
    parts : (octets, 256, tables) int64, what each value of each octet of a code adds to the key of each table.
    bases : (tables,) int64, the first key of each table.
    starts : (keys + 1,) where the rows of each key start.
    rows : (tables * rows,) int32 row numbers, ascending within a bucket.

    References
    ----------
    Norouzi, Punjani & Fleet, *Fast exact search in Hamming space with multi-index hashing*, 2014.
    """

    lengths: tuple[int, ...]
    parts: np.ndarray
    bases: np.ndarray
    starts: np.ndarray
    rows: np.ndarray

    @classmethod
    def made(cls, codes: np.ndarray, groups: list[np.ndarray]) -> Tables:
        """The tables of these codes, (rows, words), for groups of bits, the longer ones first."""
        lengths = tuple(len(group) for group in groups)
        parts = parts_of(groups, codes.shape[1] * codes.itemsize)
        bases = np.cumsum([0, *(1 << length for length in lengths)])
        many = len(codes) * len(groups)
        starts = np.zeros(bases[-1] + 1, np.int32 if many < 1 << 31 else np.int64)
        rows = np.empty(many, np.int32)
        for table, length in enumerate(lengths):
            # A key and its row are one number, as sorting numbers is many times faster than sorting their places.
            both = keys_of_all(codes, parts[:, :, table]) << 32
            both |= np.arange(len(codes))
            both.sort()
            rows[table * len(codes) : (table + 1) * len(codes)] = both & 0xFFFFFFFF
            both >>= 32
            sizes = np.bincount(both, minlength=1 << length)
            np.cumsum(sizes, out=starts[bases[table] + 1 : bases[table + 1] + 1])
            starts[bases[table] + 1 : bases[table + 1] + 1] += table * len(codes)
        return cls(lengths, parts, bases[:-1], starts, rows)

    @property
    def bytes(self) -> int:
        """Memory held, beside the codes."""
        return self.parts.nbytes + self.starts.nbytes + self.rows.nbytes

    def keys(self, queries: np.ndarray) -> np.ndarray:
        """(queries, tables) int64 keys of (queries, words) codes."""
        octets = in_octets(queries)
        return self.parts[np.arange(octets.shape[1]), octets].sum(1) + self.bases

    def look_ups(self, first: int, last: int) -> int:
        """How many look-ups these levels take: the ways to flip so many bits of the substrings."""
        return sum(comb(length, level) for length in self.lengths for level in range(first, last + 1))

    def buckets(self, keys: np.ndarray, first: int, last: int, wanted: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The buckets whose keys differ from the queries' in ``first`` to ``last`` bits.

        Parameters
        ----------
        keys : (queries, tables).
        first, last : levels; of the last, only the ``wanted`` (queries,) tables that have the fewest rows there.

        Returns
        -------
        tuple
            Where the buckets start in ``rows``, and their sizes, each (queries, look-ups). Those of the other tables
            have size 0.
        """
        steps = steps_of(self.lengths, first, last)
        probes = keys[:, steps.table]
        probes ^= steps.masks
        begins = self.starts.take(probes)
        probes += 1
        sizes = self.starts.take(probes)
        sizes -= begins
        if (wanted < len(self.lengths)).any():
            of_last = sizes[:, steps.at[0] :]
            totals = np.add.reduceat(of_last, steps.at[:-1] - steps.at[0], axis=1)
            ranks = totals.argsort(1, kind="stable").argsort(1)
            of_last *= (ranks < wanted[:, None])[:, steps.table[steps.at[0] :]]
        return begins, sizes


def parts_of(groups: list[np.ndarray], octets: int) -> np.ndarray:
    """(octets, 256, tables) int64: bit p of a table's substring is the p-th of its bits."""
    parts = np.zeros((octets, 256, len(groups)), np.int64)
    values = np.arange(256)
    for table, group in enumerate(groups):
        for at, bit in enumerate(group.tolist()):
            parts[bit // 8, :, table] |= (values >> (bit % 8) & 1) << at
    return parts


def keys_of_all(codes: np.ndarray, parts: np.ndarray) -> np.ndarray:
    """(rows,) int64 substrings of all codes in one table, whose part (octets, 256) is given."""
    keys = np.empty(len(codes), np.int64)
    used = np.flatnonzero(parts.any(1)).tolist()
    for start in range(0, len(codes), BLOCK):
        octets = in_octets(codes[start : start + BLOCK])
        here = keys[start : start + BLOCK]
        here[...] = 0
        for octet in used:
            here |= parts[octet].take(octets[:, octet])
    return keys


def in_octets(codes: np.ndarray) -> np.ndarray:
    """(rows, octets) uint8, the octet of the first bits first."""
    return np.ascontiguousarray(codes, dtype=codes.dtype.newbyteorder("<")).view(np.uint8)


@lru_cache(maxsize=256)
def steps_of(lengths: tuple[int, ...], first: int, last: int) -> Steps:
    """The look-ups of these levels, remembered, as they are the same for every query."""
    masks = [patterns(length, level) for level in range(first, last + 1) for length in lengths]
    ends = np.cumsum([0, *(len(some) for some in masks)])
    table = np.repeat(np.tile(np.arange(len(lengths)), last + 1 - first), np.diff(ends))
    return Steps(np.concatenate(masks), table, ends[-len(lengths) - 1 :])


@lru_cache(maxsize=1024)
def patterns(length: int, ones: int) -> np.ndarray:
    """All numbers of ``length`` bits of which ``ones`` are set.

    >>> patterns(3, 2)
    array([3, 5, 6])
    """
    if ones > length:
        return np.empty(0, np.int64)
    if not ones:
        return np.zeros(1, np.int64)
    return np.concatenate([patterns(length - 1, ones), patterns(length - 1, ones - 1) | 1 << (length - 1)])
