"""The Gram matrix of the items, G = X^T X: all that the closed-form models need to know of the users."""

from __future__ import annotations

import numpy as np
import scipy.sparse

from isthmus.checks import counted
from isthmus.errors import InputError
from isthmus.recommending.memory import check_memory

CELLS_AT_ONCE = 2**24
"""Cells of G that are made at once, 12 bytes each before they are written where they belong."""

INSTEAD = "The sparse method, which keeps only the nearest neighbours of each item, needs far less."

NUMBER = 8
"""Bytes of a float64."""


def gram_bytes(items: int) -> int:
    """The most memory that `gram` takes for so many items."""
    return NUMBER * items**2 + 16 * min(CELLS_AT_ONCE, items**2)


def gram(x: scipy.sparse.csr_array) -> np.ndarray:
    """G = X^T X: how much weight each two items share, summed over the users.

    Gram matrices of different users over the same items add up: G = G_1 + G_2.

    Parameters
    ----------
    x : (users, items) weights.

    Returns
    -------
    np.ndarray
        (items, items) float64, exactly symmetric; sums of whole weights are exact below 2^53.

    Raises
    ------
    InputError
        It would not fit the memory that is free.

    Examples
    --------
    >>> gram(scipy.sparse.csr_array(np.array([[1.0, 2.0], [0.0, 3.0]]))).tolist()
    [[1.0, 2.0], [2.0, 13.0]]
    """
    items = x.shape[1]
    check_memory(gram_bytes(items), f"The Gram matrix of {counted(items, 'item')}", INSTEAD)
    x = scipy.sparse.csr_array(x, dtype=np.float64)
    transposed = x.T.tocsr()
    made = np.empty((items, items))
    step = max(1, CELLS_AT_ONCE // max(1, items))
    for start in range(0, items, step):
        stop = min(start + step, items)
        # The other half of the cells is the same.
        made[start:stop, start:] = (transposed[start:stop] @ x[:, start:]).toarray()
    return mirrored(made)


def mirrored(square: np.ndarray, step: int = 512) -> np.ndarray:
    """The matrix itself, its lower triangle overwritten with the upper one.

    >>> mirrored(np.array([[1.0, 2.0], [9.0, 3.0]])).tolist()
    [[1.0, 2.0], [2.0, 3.0]]
    """
    size = len(square)
    for start in range(0, size, step):
        stop = min(start + step, size)
        corner = square[start:stop, start:stop]
        corner[:] = np.triu(corner) + np.triu(corner, 1).T
        square[stop:, start:stop] = square[start:stop, stop:].T
    return square


def updated(g: np.ndarray, before: scipy.sparse.csr_array, after: scipy.sparse.csr_array) -> np.ndarray:
    """G once some users have done more, or less: nothing is read again of those who have not.

    With D = A - B, A^T A - B^T B = D^T A + B^T D.

    Parameters
    ----------
    g : (items, items) as `gram` made it; overwritten where no items are new.
    before : (users, items) the old rows of the users that changed, empty ones of users that are new.
    after : (users, items or more) their rows now. New items come last.

    Returns
    -------
    np.ndarray
        What `gram` of all rows would be: the same sums in another order, so that sums of whole weights are equal.

    Examples
    --------
    >>> old, new = (scipy.sparse.csr_array(np.array([row])) for row in ([1.0, 0.0], [1.0, 2.0, 3.0]))
    >>> updated(gram(old), old, new).tolist() == gram(new).tolist()
    True
    """
    known, items = len(g), after.shape[1]
    if before.shape[0] != after.shape[0] or before.shape[1] != known or items < known:
        raise InputError(
            f"before and after must hold rows of the same users over the {known:,} items of g, after over as many or "
            f"more; got shapes {before.shape} and {after.shape}"
        )
    if items > known:
        g = np.pad(g, (0, items - known))
    first = scipy.sparse.csr_array(before, dtype=np.float64, copy=True)
    first.resize(after.shape)
    second = scipy.sparse.csr_array(after, dtype=np.float64)
    change = second - first
    half = (change.T @ second + first.T @ change).tocoo()
    g[half.row, half.col] += half.data
    return g
