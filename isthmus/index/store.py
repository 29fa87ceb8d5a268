"""An index in memory: codes, ids, floats and items of rows that are appended and removed."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from isthmus.index.bits import word_of, words_of
from isthmus.index.collection import Collection
from isthmus.index.growing import Growing
from isthmus.index.incoming import kind_of


class Store(Collection):
    """Codes with their ids in memory.

    A row takes ``bits / 8`` bytes (rounded up to whole words), 8 for its id and 2 for each float; twice
    that while it grows.

    Parameters
    ----------
    bits : of a code, 8 to 1,024.
    floats : numbers kept beside each code in half precision; 0 for none.

    Examples
    --------
    >>> store = Store(bits=8)
    >>> store.add(np.array([[1], [2], [3]], dtype=np.uint16), ids=["a", "b", "c"]).tolist()
    ['a', 'b', 'c']
    >>> store.remove(["b"])
    >>> len(store), store.rows, store.ids.tolist(), store.rows_of(["c"])
    (2, 3, ['a', 'c'], array([2]))
    """

    def __init__(self, bits: int, floats: int = 0) -> None:
        super().__init__(bits, floats)
        self._codes = Growing((words_of(bits),), word_of(bits))
        self._floats = Growing((self.floats,), np.float16)
        self._items = Growing((), object)
        self._ids: Growing | None = None

    @property
    def codes(self) -> np.ndarray:
        return self._codes.now

    @property
    def kind(self) -> str | None:
        return None if self._ids is None else kind_of(self._ids.now)

    def add(
        self,
        codes: np.ndarray,
        ids: Iterable[int] | Iterable[str] | None = None,
        floats: np.ndarray | None = None,
        items: Iterable[str | None] | None = None,
    ) -> np.ndarray:
        new = self._incoming(codes, ids, floats, items)
        if not len(new):
            return new.ids
        if self._ids is None:
            self._ids = Growing((), new.ids.dtype)
        if new.items is not None:
            # Rows without an item are not written down until one after them has one.
            self._items.extend(np.full(self.rows - len(self._items), None, dtype=object))
            self._items.extend(np.array(new.items, dtype=object))
        self._codes.extend(new.codes)
        self._floats.extend(new.floats)
        self._ids.extend(new.ids)
        self._alive.extend(np.ones(len(new), dtype=bool))
        return new.ids

    def remove(self, ids: Iterable[int] | Iterable[str]) -> None:
        self._alive.put(self._rows_to_remove(ids), False)

    def ids_of(self, rows: np.ndarray) -> np.ndarray:
        return np.empty(0, dtype=np.int64) if self._ids is None else self._ids.now[rows]

    def floats_of(self, rows: np.ndarray) -> np.ndarray:
        return self._floats.now[rows].astype(np.float32)

    def items_of(self, rows: np.ndarray) -> list[str | None]:
        kept = self._items.now
        return [kept[row] if row < len(kept) else None for row in rows]
