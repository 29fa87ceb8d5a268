"""What a search among binary codes returns."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np


@dataclass(frozen=True)
class Nearest:
    """The nearest rows of every query, by distance and then by row number.

    Attributes
    ----------
    rows : (queries, k) int64 row numbers; -1 where a time budget ended before so many were found.
    distances : (queries, k) int32, how many bits they differ in; -1 beside row -1.
    exact : (queries,) bool, whether these are proven to be the nearest.
    recall : (queries,) the share of k that is found and proven to be among the nearest; 1 where exact.
    by_tables : (queries,) bool, whether the hash tables gave the answer.
    scanned : (queries,) int64 codes that the query was compared with.
    """

    rows: np.ndarray
    distances: np.ndarray
    exact: np.ndarray
    recall: np.ndarray
    by_tables: np.ndarray
    scanned: np.ndarray

    @classmethod
    def nothing(cls, queries: int, k: int) -> Nearest:
        """No row for any query."""
        return cls(
            np.full((queries, k), -1),
            np.full((queries, k), -1, np.int32),
            np.zeros(queries, bool),
            np.zeros(queries),
            np.zeros(queries, bool),
            np.zeros(queries, np.int64),
        )

    @classmethod
    def joined(cls, parts: list[Nearest]) -> Nearest:
        """The answers to one set of queries after the other, one or more."""
        if len(parts) == 1:
            return parts[0]
        return cls(*(np.concatenate([getattr(part, field.name) for part in parts]) for field in fields(cls)))


@dataclass(frozen=True)
class Within:
    """All rows within a radius of every query, by query, then distance, then row number.

    Attributes
    ----------
    starts : (queries + 1,) int64, where the rows of each query start.
    rows, distances : (found,) int64 row numbers, and int32 how many bits they differ in.
    by_tables, scanned : as in `Nearest`.
    """

    starts: np.ndarray
    rows: np.ndarray
    distances: np.ndarray
    by_tables: np.ndarray
    scanned: np.ndarray

    @classmethod
    def joined(cls, parts: list[Within]) -> Within:
        """The answers to one set of queries after the other, one or more."""
        if len(parts) == 1:
            return parts[0]
        sizes = np.concatenate([[0], *(np.diff(part.starts) for part in parts)])
        rest = [np.concatenate([getattr(part, field.name) for part in parts]) for field in fields(cls)[1:]]
        return cls(sizes.cumsum(), *rest)
