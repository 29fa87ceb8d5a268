"""Exact search by comparing every query with every code, in NumPy alone: a few instructions for each pair of words.

Both functions give rows by distance and, where distances are equal, by row number.
"""

from __future__ import annotations

from collections.abc import Iterator
from types import ModuleType

import numpy as np

from isthmus.index.bits import TOGETHER, Against

FIRST_BLOCK = 2048
"""Codes that are looked at first, or 4 k: they tell cheaply which others are too far."""


def nearest(queries: np.ndarray, codes: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    """The k nearest codes of every query.

    Parameters
    ----------
    queries : (queries, words).
    codes : (rows, words), of the same words.
    k : 1 <= k <= rows.

    Returns
    -------
    tuple
        (queries, k) int64 row numbers and (queries, k) int32 distances.

    Examples
    --------
    >>> nearest(np.array([[1]], np.uint16), np.array([[7], [0], [3], [1]], np.uint16), 3)
    (array([[3, 1, 2]]), array([[0, 1, 1]], dtype=int32))
    """
    rows = np.empty((len(queries), k), np.int64)
    distances = np.empty((len(queries), k), np.int32)
    for first in range(0, len(queries), TOGETHER):
        here = slice(first, first + TOGETHER)
        rows[here], distances[here] = nearest_of_some(queries[here], codes, k)
    return rows, distances


def nearest_of_some(queries: np.ndarray, codes: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    """The same of so few queries that a block of codes is compared with all of them at once.

    A row and its distance are one number, distance * rows + row, whose order is the order wanted.
    """
    many, total, against = len(queries), len(codes), Against(queries)
    kept = [np.empty(0, np.int64)] * many
    limits = np.full((many, 1), 8 * codes.shape[1] * codes.itemsize + 1, against.counts.dtype)
    for start, end in growing(total, min(max(4 * k, FIRST_BLOCK), against.block), against.block):
        here = against.distances(codes[start:end])
        # A code of a later block that is as far as the k-th found so far has a greater row number: it is beaten.
        owners, columns = np.divmod(np.flatnonzero(here < limits), end - start)
        found = here[owners, columns] * np.int64(total) + (columns + start)
        ends = np.searchsorted(owners, np.arange(many + 1))
        for query in np.flatnonzero(np.diff(ends)):
            both = np.concatenate([kept[query], found[ends[query] : ends[query + 1]]])
            kept[query] = both if len(both) <= k else np.partition(both, k - 1)[:k]
            if len(both) >= k:
                limits[query] = kept[query].max() // total
    distances, rows = np.divmod(np.sort(np.stack(kept), axis=1), total)
    return rows, distances.astype(np.int32)


def growing(total: int, first: int, most: int) -> Iterator[tuple[int, int]]:
    """Where blocks start and end, the first ones short.

    >>> list(growing(20, 2, 8))
    [(0, 2), (2, 6), (6, 14), (14, 20)]
    """
    start, size = 0, first
    while start < total:
        yield start, min(start + size, total)
        start, size = start + size, min(2 * size, most)


def within(queries: np.ndarray, codes: np.ndarray, r: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The codes that differ from a query in at most r bits.

    Parameters
    ----------
    queries : (queries, words).
    codes : (rows, words), of the same words.
    r : 0 or more.

    Returns
    -------
    tuple
        (queries + 1,) int64, where the rows of every query start; (found,) int64 row numbers; (found,) int32
        distances.

    Examples
    --------
    >>> within(np.array([[1]], np.uint16), np.array([[7], [0], [3], [1]], np.uint16), 1)
    (array([0, 3]), array([3, 1, 2]), array([0, 1, 1], dtype=int32))
    """
    owners, rows, distances = [np.empty(0, np.int64)], [np.empty(0, np.int64)], [np.empty(0, np.uint8)]
    for first in range(0, len(queries), TOGETHER):
        some = Against(queries[first : first + TOGETHER])
        for start in range(0, len(codes), some.block):
            here = some.distances(codes[start : start + some.block])
            owner, column = np.divmod(np.flatnonzero(here <= r), here.shape[1])
            owners.append(owner + first)
            rows.append(column + start)
            distances.append(here[owner, column])
    return by_query(len(queries), np.concatenate(owners), np.concatenate(rows), np.concatenate(distances))


def by_query(
    queries: int, owners: np.ndarray, rows: np.ndarray, distances: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """What was found, in whatever order, by query, then distance, then row; as `within` returns it."""
    order = np.lexsort((rows, distances, owners))
    starts = np.searchsorted(owners[order], np.arange(queries + 1))
    return starts, rows[order].astype(np.int64, copy=False), distances[order].astype(np.int32)


def nearest_allowed(
    scanner: ModuleType, queries: np.ndarray, codes: np.ndarray, k: int, allowed: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray]:
    """`nearest` of the scanner (this module, or that of Faiss) among the ``allowed`` rows, (rows,) bool; all with None.

    Where most rows are allowed, some more than k are asked for, and only queries that lack k among them see a copy of
    the allowed codes.
    """
    if allowed is None:
        return scanner.nearest(queries, codes, k)
    count = int(np.count_nonzero(allowed))
    if 2 * count > len(codes):
        more = min(2 * k + 8, k + len(codes) - count)
        rows, distances = scanner.nearest(queries, codes, more)
        fine = allowed[rows]
        order = np.argsort(~fine, axis=1, kind="stable")[:, :k]
        rows, distances = np.take_along_axis(rows, order, 1), np.take_along_axis(distances, order, 1)
        lacking = np.flatnonzero(fine.sum(1) < k)
    else:
        rows, distances = np.empty((len(queries), k), np.int64), np.empty((len(queries), k), np.int32)
        lacking = np.arange(len(queries))
    if len(lacking):
        numbers = np.flatnonzero(allowed)
        places, distances[lacking] = scanner.nearest(queries[lacking], codes[numbers], k)
        rows[lacking] = numbers[places]
    return rows, distances


def within_allowed(
    scanner: ModuleType, queries: np.ndarray, codes: np.ndarray, r: int, allowed: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """`within` of the scanner among the ``allowed`` rows, (rows,) bool; all with None."""
    starts, rows, distances = scanner.within(queries, codes, r)
    if allowed is None:
        return starts, rows, distances
    fine = allowed[rows]
    return np.concatenate([[0], fine.cumsum()])[starts], rows[fine], distances[fine]
