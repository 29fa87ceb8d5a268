"""Codes with ids: what the index in memory (`Store`) and the one on disk (`Folder`) have in common."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable

import numpy as np
import pandas as pd

from isthmus.checks import check_whole, counted
from isthmus.errors import InputError
from isthmus.index.bits import check_bits
from isthmus.index.growing import Growing
from isthmus.index.incoming import (
    STRINGS,
    WHOLE,
    Incoming,
    check_one_kind,
    checked_codes,
    checked_floats,
    checked_ids,
    checked_items,
    named,
)
from isthmus.index.lookup import Lookup


class Collection(ABC):
    """Rows, each with a code, an id, and perhaps floats and an item. Rows are appended; removed ones stay, marked.

    Parameters
    ----------
    bits : of a code, 8 to 1,024.
    floats : numbers kept beside each code in half precision, for re-ranking; 0 for none.
    """

    def __init__(self, bits: int, floats: int = 0) -> None:
        check_bits(bits)
        check_whole("index", 0, floats=floats)
        self.bits, self.floats = int(bits), int(floats)
        self._alive = Growing((), bool)
        self._lookup = Lookup()

    @property
    @abstractmethod
    def codes(self) -> np.ndarray:
        """(rows, words), of removed rows too, to be read only; row numbers never change."""

    @property
    @abstractmethod
    def kind(self) -> str | None:
        """What the ids are: "whole numbers", "strings", or None before the first."""

    @abstractmethod
    def add(
        self,
        codes: np.ndarray,
        ids: Iterable[int] | Iterable[str] | None = None,
        floats: np.ndarray | None = None,
        items: Iterable[str | None] | None = None,
    ) -> np.ndarray:
        """Append rows.

        Parameters
        ----------
        codes : (n, words), as `isthmus.index.bits.packed` makes them; n may be 0.
        ids : n whole numbers or n strings, one kind for the whole index; None numbers the rows on, from 0 or
            from the highest id so far. The id of a removed row may be given again.
        floats : (n, floats) finite numbers up to 65,504 in size; needed where the index keeps floats.
        items : n strings (or None), such as the path or the text that a row stands for.

        Returns
        -------
        (n,) the ids, int64 or objects.

        Raises
        ------
        InputError
            An id is given twice or is there already (the message names it), or an argument is of the wrong
            shape or kind. Nothing was added then.
        """

    @abstractmethod
    def remove(self, ids: Iterable[int] | Iterable[str]) -> None:
        """Take rows out of the index, by id.

        Raises
        ------
        InputError : some ids are not in the index; the message names them. Nothing was removed then.
        """

    @abstractmethod
    def ids_of(self, rows: np.ndarray) -> np.ndarray:
        """The ids of the rows with these numbers, of rows that were removed too: int64, or objects."""

    @abstractmethod
    def floats_of(self, rows: np.ndarray) -> np.ndarray:
        """The floats beside the codes of these rows, (n, floats) float32, rounded to half precision."""

    @abstractmethod
    def items_of(self, rows: np.ndarray) -> list[str | None]:
        """The items of these rows; None for a row without one."""

    @property
    def rows(self) -> int:
        """How many rows there are, removed ones included."""
        return len(self._alive)

    @property
    def alive(self) -> np.ndarray:
        """(rows,) bool, False for removed rows; to be read only, and changed by `remove`."""
        return self._alive.now

    def __len__(self) -> int:
        return int(np.count_nonzero(self.alive))

    @property
    def ids(self) -> np.ndarray:
        """The ids that are in the index, in the order of the rows."""
        return self.ids_of(np.flatnonzero(self.alive))

    def rows_of(self, ids: Iterable[int] | Iterable[str]) -> np.ndarray:
        """The row numbers of ids.

        Parameters
        ----------
        ids : n ids that are in the index.

        Returns
        -------
        (n,) int64.

        Raises
        ------
        InputError : some are not in the index; the message names them.
        """
        wanted = checked_ids(ids)
        check_one_kind(wanted, self.kind)
        rows = self._find(wanted)
        if (rows < 0).any():
            raise InputError(f"ids not in the index, which holds {counted(len(self), 'id')}: {named(wanted[rows < 0])}")
        return rows

    def _find(self, ids: np.ndarray) -> np.ndarray:
        """The row of each id, -1 where it is not in the index."""
        if self.kind is None or not len(ids):
            return np.full(len(ids), -1, dtype=np.int64)
        rows = self._lookup.find(ids, self.rows, self.ids_of)
        return np.where((rows >= 0) & self.alive[rows], rows, -1)

    def _incoming(
        self,
        codes: np.ndarray,
        ids: Iterable[int] | Iterable[str] | None,
        floats: np.ndarray | None,
        items: Iterable[str | None] | None,
    ) -> Incoming:
        """The arguments of `add`, checked."""
        codes = checked_codes(codes, self.bits)
        rows = len(codes)
        named_by = self._numbered(rows) if ids is None else self._new(checked_ids(ids), rows)
        return Incoming(codes, named_by, checked_floats(floats, rows, self.floats), checked_items(items, rows))

    def _numbered(self, rows: int) -> np.ndarray:
        """The next ``rows`` whole numbers."""
        if self.kind == STRINGS and rows:
            raise InputError("ids must be given: those of this index are strings, so that rows cannot be numbered on")
        first = self._lookup.next_number(self.rows, self.ids_of) if self.kind == WHOLE else 0
        if first + rows > np.iinfo(np.int64).max:
            raise InputError("ids must be given: the highest of this index is the highest there can be")
        return np.arange(first, first + rows)

    def _new(self, ids: np.ndarray, rows: int) -> np.ndarray:
        """``ids``, after refusing too few, doubled ones and those that are there already."""
        if len(ids) != rows:
            raise InputError(f"ids must be one a row; got {counted(len(ids), 'id')} for {counted(rows, 'row')}")
        check_one_kind(ids, self.kind)
        index = pd.Index(ids, dtype=ids.dtype)
        if not index.is_unique:
            doubled = index[index.duplicated()].unique().to_numpy()
            raise InputError(f"ids given more than once, though each row needs its own: {named(doubled)}")
        there = ids[self._find(ids) >= 0]
        if len(there):
            raise InputError(
                f"ids that are in the index already: {named(there)}. Remove them first, or give other ids. "
                f"Nothing was added"
            )
        return ids

    def _rows_to_remove(self, ids: Iterable[int] | Iterable[str]) -> np.ndarray:
        """The argument of `remove`, checked, as row numbers, each once."""
        try:
            return np.unique(self.rows_of(ids))
        except InputError as error:
            raise InputError(f"{error}. Nothing was removed") from None
