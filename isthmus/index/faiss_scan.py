"""Exact search by comparing every query with every code, in Faiss (extra ``retrieval``).

The same face and the same answers as `isthmus.index.flat`. Faiss reads the codes where they lie.

References
----------
Douze et al., *The Faiss library*, 2024.
"""

from __future__ import annotations

import importlib.util
from types import ModuleType

import numpy as np

from isthmus.errors import MissingExtraError
from isthmus.index.flat import by_query


def is_installed() -> bool:
    """Whether Faiss is there, without importing it."""
    return importlib.util.find_spec("faiss") is not None


def library() -> ModuleType:
    """Faiss itself, imported at the first call.

    Raises
    ------
    MissingExtraError : it is not installed.
    """
    try:
        import faiss
    except ImportError as error:
        raise MissingExtraError("faiss-cpu", "retrieval", "search with engine='faiss'") from error
    return faiss


def nearest(queries: np.ndarray, codes: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    """The k nearest codes of every query: `isthmus.index.flat.nearest`."""
    distances, rows = library().knn_hamming(octets(queries), octets(codes), k)
    # Faiss keeps the right rows where distances are equal (the first ones), but orders them by distance alone.
    order = np.lexsort((rows, distances))
    return np.take_along_axis(rows, order, 1), np.take_along_axis(distances, order, 1)


def within(queries: np.ndarray, codes: np.ndarray, r: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The codes that differ from a query in at most r bits: `isthmus.index.flat.within`."""
    faiss = library()
    some, all_codes = octets(queries), octets(codes)
    found = faiss.RangeSearchResult(len(some))
    # Its radius is one that distances stay below.
    faiss.hamming_range_search(
        faiss.swig_ptr(some), faiss.swig_ptr(all_codes), len(some), len(all_codes), r + 1, all_codes.shape[1], found
    )
    ends = faiss.rev_swig_ptr(found.lims, len(some) + 1).astype(np.int64)
    rows = faiss.rev_swig_ptr(found.labels, int(ends[-1])).copy()
    distances = faiss.rev_swig_ptr(found.distances, int(ends[-1])).astype(np.int32)
    return by_query(len(some), np.repeat(np.arange(len(some)), np.diff(ends)), rows, distances)


def octets(codes: np.ndarray) -> np.ndarray:
    """The codes as bytes, without a copy where they lie in one piece."""
    return np.ascontiguousarray(codes).view(np.uint8)
