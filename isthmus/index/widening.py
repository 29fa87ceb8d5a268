"""Search in hash tables, bit by bit farther from the query, until it is proven that nothing nearer was missed.

A code that no look-up came across differs from the query, in every table's substring, in more bits than were flipped
there. So after flipping up to f_t bits in table t (f_t = -1: not looked at), it differs in at least sum (f_t + 1)
bits: every code at a distance up to sum (f_t + 1) - 1 has been found. That is how far the search *covers*, and each
table that goes one level farther adds 1 to it, whichever table it is: the one with the fewest candidates will do.

References
----------
Norouzi, Punjani & Fleet, *Fast exact search in Hamming space with multi-index hashing*, 2014; for thresholds that
differ between tables Qin et al., *GPH: Similarity search in Hamming space*, 2018.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np

from isthmus.index.tables import Tables

STAGE, LOOK_UP, CANDIDATE = 100_000.0, 40.0, 30.0
"""Nanoseconds on an ordinary core: of one stage of a search, whatever it looks at, of a look-up and of a candidate."""

ALONE = np.zeros((), np.int64)
"""Which query candidates are for where there is one."""

ROOM = 1 << 18
"""Look-ups, or candidates, of which the arrays are made at once."""


@dataclass(frozen=True)
class Field:
    """What is searched.

    Attributes
    ----------
    tables : of the first rows, or of all.
    codes : (rows, words) of all rows.
    bits : of a code.
    allowed : (rows,) bool, which rows may be found; all with None.
    """

    tables: Tables
    codes: np.ndarray
    bits: int
    allowed: np.ndarray | None

    def number(self, owner: np.ndarray, distances: np.ndarray, rows: np.ndarray) -> np.ndarray:
        """What was found as numbers whose order is by query, distance and row."""
        return (owner * (self.bits + 1) + distances) * len(self.codes) + rows

    def parts(self, numbers: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Queries, distances and rows of such numbers."""
        rest, rows = np.divmod(numbers, len(self.codes))
        owner, distances = np.divmod(rest, self.bits + 1)
        return owner, distances, rows

    def firsts(self, numbers: np.ndarray, queries: int) -> np.ndarray:
        """(queries + 1,) where the numbers of each query start, if they are in ascending order."""
        return np.searchsorted(numbers, np.arange(queries + 1) * ((self.bits + 1) * len(self.codes)))


class Walk:
    """How far the search for some queries has come.

    Parameters
    ----------
    field : what is searched.
    queries : (queries, words), 1 or more.
    budget : what the look-ups and candidates of a query may cost, in nanoseconds; a query for which a stage would cost
        more is given up.
    kept : (found,) ascending numbers, as `Field.number` gives them, of what was found elsewhere.

    Attributes
    ----------
    kept : (found,) ascending numbers of what was found.
    covers : (queries,) the distance up to which nothing was missed; -1 at the start.
    done : (queries,) bool, whether that is far enough.
    scanned : (queries,) candidates that were looked at.
    """

    def __init__(self, field: Field, queries: np.ndarray, budget: float, kept: np.ndarray) -> None:
        many = len(queries)
        self.field, self.queries, self.budget, self.kept = field, queries, budget, kept
        self.keys = field.tables.keys(queries)
        self.covers, self.done, self.scanned = np.full(many, -1), np.zeros(many, bool), np.zeros(many, np.int64)
        self.spent = np.zeros(many)

    def stage(
        self, live: np.ndarray, first: int, last: int, needed: np.ndarray, limits: np.ndarray, enough: int | None
    ) -> np.ndarray:
        """Look at levels ``first`` to ``last`` for the ``live`` queries, and return those that could afford it.

        Of the last level only as many tables are looked at as it takes to cover (queries,) ``needed``. ``limits`` and
        ``enough`` are those of `found_in`.
        """
        tables = self.field.tables
        look_ups, before = tables.look_ups(first, last), (last - first) * len(tables.lengths)
        self.spent[live] += STAGE / len(live) + LOOK_UP * look_ups
        live = live[self.spent[live] <= self.budget]
        fresh = [self.kept]
        for some in np.split(live, range(at_once := max(ROOM // look_ups, 1), len(live), at_once)):
            wanted = np.clip(needed[some] - self.covers[some] - before, 0, len(tables.lengths))
            begins, sizes = tables.buckets(self.keys[some], first, last, wanted)
            candidates = sizes.sum(1)
            self.spent[some] += CANDIDATE * candidates
            fine = self.spent[some] <= self.budget
            if not fine.all():
                some, begins, sizes, wanted = some[fine], begins[fine], sizes[fine], wanted[fine]
                candidates = candidates[fine]
            self.covers[some] += before + wanted
            self.scanned[some] += candidates
            fresh += found_in(self.field, self.queries, some, begins, sizes, limits, enough)
        if len(fresh) > 1:
            self.kept = distinct(np.concatenate(fresh))
        return live[self.spent[live] <= self.budget]

    def settled(self, k: int) -> np.ndarray:
        """Keep the k nearest of every query alone; (queries,) the distance of the k-th, bits + 1 where it lacks."""
        field, many = self.field, len(self.queries)
        if many == 1:
            self.kept = self.kept[:k]
            last = field.parts(self.kept[k - 1 :])[1]
            return last if len(last) else np.array([field.bits + 1])
        firsts = field.firsts(self.kept, many)
        counts = np.diff(firsts)
        if (counts > k).any():
            ranks = np.arange(len(self.kept)) - np.repeat(firsts[:-1], counts)
            self.kept = self.kept[ranks < k]
            counts = np.minimum(counts, k)
            firsts = np.concatenate([[0], counts.cumsum()])
        kth = np.full(many, field.bits + 1)
        whole = (counts == k).nonzero()[0]
        kth[whole] = field.parts(self.kept[firsts[whole] + k - 1])[1]
        return kth


def nearest(
    field: Field, queries: np.ndarray, k: int, budget: float, first: int, kept: np.ndarray, deadline: float = np.inf
) -> Walk:
    """The k nearest codes of every query, as far as the tables find them.

    Parameters
    ----------
    field, queries, budget, kept : those of `Walk`; ``kept`` holds rows that are in no table.
    k : 1 or more.
    first : the level that the first stage goes to; each of the others goes one level farther.
    deadline : when to stop, by ``time.perf_counter``; the first stage is always made.
    """
    walk, live = Walk(field, queries, budget, kept), np.arange(len(queries))
    tables, shortest = len(field.tables.lengths), field.tables.lengths[-1]
    kth, first = walk.settled(k), min(first, shortest)
    for last in range(first, shortest + 1):
        live = walk.stage(live, last if last > first else 0, last, kth, kth, k * tables)
        kth = walk.settled(k)
        walk.done[live] = kth[live] <= walk.covers[live]
        live = live[~walk.done[live]]
        if not len(live) or time.perf_counter() > deadline:
            break
    return walk


def within(field: Field, queries: np.ndarray, r: int, budget: float) -> Walk:
    """All codes that differ from a query in at most r bits, as far as the tables find them.

    All tables flip as many bits, and where that leaves something to cover, the cheapest ones one more.
    """
    many, tables = len(queries), field.tables
    walk, level = Walk(field, queries, budget, np.empty(0, np.int64)), r // len(tables.lengths)
    if level <= tables.lengths[-1]:
        limits = np.full(many, r)
        walk.done[walk.stage(np.arange(many), 0, level, limits, limits, None)] = True
    return walk


def found_in(
    field: Field, queries: np.ndarray, some: np.ndarray, begins: np.ndarray, sizes: np.ndarray, limits: np.ndarray,
    enough: int | None,
) -> list[np.ndarray]:  # fmt: skip
    """Numbers of the codes in these buckets, (some, look-ups), that are no farther than (queries,) ``limits``.

    A row can be among them once for each table. With ``enough`` those are left out, too, that cannot be among the
    nearest, as that many are nearer.
    """
    ends = sizes.sum(1).cumsum()
    found, start = [], 0
    while start < len(some):
        before = ends[start - 1] if start else 0
        end = max(int(np.searchsorted(ends, before + ROOM, side="right")), start + 1)
        here = slice(start, end)
        if ends[end - 1] > before:
            found.append(found_in_these(field, queries, some[here], begins[here], sizes[here], limits, enough))
        start = end
    return found


def found_in_these(
    field: Field, queries: np.ndarray, some: np.ndarray, begins: np.ndarray, sizes: np.ndarray, limits: np.ndarray,
    enough: int | None,
) -> np.ndarray:  # fmt: skip
    """`found_in`, of so few candidates that they are looked at together; at least one."""
    sizes_of_all = sizes.ravel()
    full = sizes_of_all.nonzero()[0]
    each = sizes_of_all[full]
    ends = each.cumsum()
    places = np.arange(ends[-1])
    places += np.repeat(begins.ravel()[full] - (ends - each), each)
    alone = len(some) == 1
    rows = field.tables.rows.take(places).astype(np.int64)
    owner = ALONE if alone else np.repeat(full // sizes.shape[1], each)
    if field.allowed is not None:
        fine = field.allowed[rows]
        rows, owner = rows[fine], ALONE if alone else owner[fine]
    apart = distances(queries[some], owner, field.codes, rows)
    limits = limits[some]
    if enough is not None:
        span = field.bits + 1
        counts = np.bincount(owner * span + apart, minlength=len(some) * span).reshape(len(some), span)
        limits = np.minimum(limits, (counts.cumsum(1) < enough).sum(1))
    near = (apart <= (limits[0] if alone else limits.take(owner))).nonzero()[0]
    return field.number(some[ALONE] if alone else some[owner[near]], apart[near].astype(np.int64), rows[near])


def distances(asked: np.ndarray, owner: np.ndarray, codes: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """(rows,) uint8, or uint16 for long codes, how many bits each of these rows and its query differ in."""
    words = codes.shape[1]
    # Of an array in one piece, `take` reads what it takes alone; of a column it would copy the whole column first.
    theirs, ours = codes.reshape(-1), asked.reshape(-1)
    if words == 1:
        return np.bitwise_count(theirs.take(rows) ^ ours.take(owner))
    rows, owner = rows * words, owner * words
    apart = np.bitwise_count(theirs.take(rows) ^ ours.take(owner)).astype(np.uint16)
    for word in range(1, words):
        apart += np.bitwise_count(theirs.take(rows + word) ^ ours.take(owner + word))
    return apart


def distinct(numbers: np.ndarray) -> np.ndarray:
    """The numbers in ascending order, each once."""
    numbers.sort()
    if len(numbers) < 2:
        return numbers
    new = np.empty(len(numbers), bool)
    new[0] = True
    np.not_equal(numbers[1:], numbers[:-1], out=new[1:])
    return numbers[new]
