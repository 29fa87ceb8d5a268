"""Matrices of interactions in the one form that they are kept in, and what becomes of weights of 0."""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.sparse

from isthmus.checks import counted
from isthmus.data.interaction_cells import as_weights
from isthmus.data.interaction_pairs import Pairs
from isthmus.errors import InputError


def is_plain(matrix: Any) -> bool:
    """Whether a matrix is as `Interactions` has it."""
    csr = isinstance(matrix, scipy.sparse.csr_array) and matrix.dtype == np.float32
    return csr and matrix.has_canonical_format and bool((matrix.data >= 0).all())


def checked(X: Any, argument: str, zeros: bool = False) -> tuple[scipy.sparse.csr_array, tuple[str, ...]]:
    """A sparse matrix in the form of `Interactions`, a copy where anything has to change, and what was said.

    ``zeros``: keep stored entries of 0.
    """
    if X.ndim != 2 or X.dtype.kind not in "biuf" or not min(X.shape):
        raise InputError(f"{argument} must be a sparse matrix of numbers, users by items; got {X.shape} of {X.dtype}")
    found = scipy.sparse.coo_array(X)
    weights = as_weights(found.data, "the entry", lambda i: f"(row {found.row[i]:,}, column {found.col[i]:,})")
    made = scipy.sparse.csr_array((weights, (found.row, found.col)), shape=X.shape)
    twice = found.nnz - made.nnz
    made = made.astype(np.float32)
    if not zeros:
        made.eliminate_zeros()
    made.sort_indices()
    said = (f"{counted(twice, 'pair')} of user and item came again: their weights are added up",) if twice else ()
    return made, said


def without_zeros(pairs: Pairs) -> tuple[Pairs, tuple[str, ...]]:
    """The pairs whose weight is above 0; their users all stay."""
    kept = pairs.weights.astype(np.float32) > 0
    lost = int(len(kept) - kept.sum())
    if not lost:
        return pairs, ()
    times = None if pairs.times is None else pairs.times[kept]
    some = pairs._replace(rows=pairs.rows[kept], items=pairs.items[kept], weights=pairs.weights[kept], times=times)
    return some, (f"{counted(lost, 'row')} of weight 0 left out",)


def without_zero_entries(
    matrix: scipy.sparse.csr_array, times: np.ndarray | None
) -> tuple[scipy.sparse.csr_array, np.ndarray | None]:
    """A matrix with the entries above 0 alone, and their times.

    >>> stored = scipy.sparse.csr_array(([0.0, 2.0], [0, 1], [0, 2]), shape=(1, 2))
    >>> without_zero_entries(stored, np.array([7.0, 9.0]))[1]
    array([9.])
    """
    kept = matrix.data > 0
    before = np.concatenate([[0], np.cumsum(kept)]).astype(matrix.indptr.dtype)
    parts = (matrix.data[kept], matrix.indices[kept], before[matrix.indptr])
    return scipy.sparse.csr_array(parts, shape=matrix.shape), None if times is None else times[kept]
