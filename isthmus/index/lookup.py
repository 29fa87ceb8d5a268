"""Which row carries an id: hash tables over stretches of rows, made when they are first asked."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd


class Stretch:
    """The ids of the rows from ``start`` on, and where each is.

    Parameters
    ----------
    start : number of the first row.
    ids : (n,) int64, or an object array of str. An id that was removed and added again is there twice.
    """

    def __init__(self, start: int, ids: np.ndarray) -> None:
        self.start, self.stop = start, start + len(ids)
        self.most = int(ids.max()) if ids.dtype != object else -1
        self._rows: np.ndarray | None = None
        first = int(ids[0]) if ids.dtype != object else 0
        if ids.dtype != object and np.array_equal(ids, np.arange(first, first + len(ids))):
            # Ids that were numbered by us need no hash table, which would take some 30 bytes a row.
            self._ids: pd.Index = pd.RangeIndex(first, first + len(ids))
        else:
            self._ids = pd.Index(ids, dtype=ids.dtype)

    def find(self, wanted: pd.Index) -> np.ndarray:
        """The last row that carries each id, (n,) int64; -1 where none does."""
        if self._rows is None and not self._ids.is_unique:
            last = ~self._ids.duplicated(keep="last")
            self._ids, self._rows = self._ids[last], self.start + np.flatnonzero(last)
        at = self._ids.get_indexer(wanted)
        rows = at + self.start if self._rows is None else self._rows[at]
        return np.where(at >= 0, rows, -1)


class Lookup:
    """Rows by id, for ids that keep being appended.

    The rows are split into stretches, each more than twice as long as the next, as in a log-structured
    merge tree: a row is hashed about log(rows) times in its life, never anew for every small add, and
    about log(rows) tables are asked for an id.

    Examples
    --------
    >>> ids = np.array([7, 5, 7])
    >>> Lookup().find(np.array([5, 7, 6]), rows=3, read=lambda rows: ids[rows]).tolist()
    [1, 2, -1]
    """

    def __init__(self) -> None:
        self._stretches: list[Stretch] = []

    def find(self, ids: np.ndarray, rows: int, read: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
        """The last row that carries each id.

        Parameters
        ----------
        ids : (n,) int64, or an object array of str, as the ids of the rows are.
        rows : how many rows there are now.
        read : gives the ids of the rows with given numbers; asked only for rows that are new.

        Returns
        -------
        (n,) int64 ; -1 where no row carries the id.
        """
        self._cover(rows, read)
        found = np.full(len(ids), -1, dtype=np.int64)
        wanted = pd.Index(ids, dtype=ids.dtype)
        for stretch in self._stretches:  # the later a row, the more it counts
            there = stretch.find(wanted)
            found = np.where(there >= 0, there, found)
        return found

    def next_number(self, rows: int, read: Callable[[np.ndarray], np.ndarray]) -> int:
        """The least whole number >= 0 above all ids of the rows, which are whole numbers."""
        self._cover(rows, read)
        return max([-1, *(stretch.most for stretch in self._stretches)]) + 1

    def _cover(self, rows: int, read: Callable[[np.ndarray], np.ndarray]) -> None:
        start = self._stretches[-1].stop if self._stretches else 0
        if start == rows:
            return
        while self._stretches and start - self._stretches[-1].start <= 2 * (rows - start):
            start = self._stretches.pop().start
        self._stretches.append(Stretch(start, read(np.arange(start, rows))))
