"""What a search gives back: ids, their distances, and what is proven of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Found:
    """The k nearest items of each of q queries, nearest first.

    Attributes
    ----------
    ids : (q, k) of the items, whole numbers or text; None where a time budget ended before anything was found.
    distances : (q, k) int64, bits in which an item's code differs from the query's; -1 where nothing was found.
    exact : (q,) bool, whether it is proven that no item is nearer than these. False only where a time budget ended the
        search.
    recall : (q,) in [0, 1], a proven lower bound: at least this share of the k belongs to the k nearest.
    by_tables : (q,) bool, whether hash tables answered; else every code was compared.
    scanned : (q,) int64, codes that were compared.
    similarities : (q, k) float32, the cosines of the float codes by which the items are ordered; None without
        ``rerank``.
    items : (q, k) object array of what was kept with the items; None where nothing was.
    """

    ids: np.ndarray
    distances: np.ndarray
    exact: np.ndarray
    recall: np.ndarray
    by_tables: np.ndarray
    scanned: np.ndarray
    similarities: np.ndarray | None = None
    items: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.ids)

    def __repr__(self) -> str:
        queries, k = self.ids.shape
        return f"Found(queries={queries}, k={k}, exact={int(self.exact.sum())}, by_tables={int(self.by_tables.sum())})"


@dataclass(frozen=True)
class Within:
    """All items within a distance of each of q queries, nearest first: as many as there are, so lists of arrays.

    Attributes
    ----------
    ids : q arrays of ids.
    distances : q arrays of int64.
    by_tables, scanned : (q,) as in `Found`.
    items : q object arrays; None where nothing was kept with the items.
    """

    ids: list[np.ndarray]
    distances: list[np.ndarray]
    by_tables: np.ndarray
    scanned: np.ndarray
    items: list[Any] | None = None

    def __len__(self) -> int:
        return len(self.ids)

    def __repr__(self) -> str:
        return f"Within(queries={len(self)}, found={sum(map(len, self.ids))})"
