"""Linear autoencoders of items in closed form: EASE, and EDLAE, which is trained with dropout."""

from __future__ import annotations

import numpy as np
import scipy.linalg
import scipy.sparse

from isthmus.checks import counted, is_real
from isthmus.errors import InputError
from isthmus.recommending.gram import INSTEAD, NUMBER, gram_bytes, mirrored
from isthmus.recommending.memory import check_memory

ROWS_AT_ONCE = 512


def linear_bytes(items: int, overwrite: bool = False) -> int:
    """The most memory that `ease` and `edlae` take beside G: its copy, and the weights.

    >>> f"{linear_bytes(30_000) / 2**30:.1f} GiB"
    '10.1 GiB'
    """
    return (4 + (0 if overwrite else NUMBER)) * items**2


def check_exact(items: int, instead: str = INSTEAD) -> None:
    """Refuse, before the Gram matrix is made, so many items that it and its inverse would not fit the free memory."""
    needed = gram_bytes(items) + linear_bytes(items)
    check_memory(needed, f"The exact model of {counted(items, 'item')} (a Gram matrix and its inverse)", instead)


def ease(g: np.ndarray, strength: float, *, overwrite: bool = False) -> np.ndarray:
    """The linear autoencoder without a hidden layer that must not use an item to rebuild itself.

    It minimises |X - X B|^2 + strength |B|^2 subject to diag B = 0. With P = (G + strength I)^-1::

        B_ij = -P_ij / P_jj,   B_jj = 0

    Parameters
    ----------
    g : (items, items) float64, as `isthmus.recommending.gram.gram` makes it.
    strength : lambda > 0, in units of G's diagonal, which counts how often an item was taken: hundreds are usual.
    overwrite : work in the memory of ``g``, whose contents are lost.

    Returns
    -------
    np.ndarray
        B, (items, items) float32: entry (i, j) is what a weight of 1 on item i says for item j.

    Raises
    ------
    InputError
        ``strength`` is too small for a matrix in which items say the same.

    Notes
    -----
    The time grows with the cube of the items, and no more with the users. An item that nobody took is never
    recommended: its weights are 0.

    References
    ----------
    Steck (2019), "Embarrassingly shallow autoencoders for sparse data".

    Examples
    --------
    >>> ease(np.array([[2.0, 1.0], [1.0, 2.0]]), 1.0).round(4).tolist()
    [[0.0, 0.33329999446868896], [0.33329999446868896, 0.0]]
    """
    if not is_real(strength) or not 0 < strength < np.inf:
        raise InputError(f"strength must be a number above 0; got {strength!r}")
    return without_own(g, np.full(len(g), float(strength)), overwrite)


def edlae(g: np.ndarray, dropout: float, strength: float = 0.0, *, overwrite: bool = False) -> np.ndarray:
    """The linear denoising autoencoder, of full rank, that learns to rebuild what was dropped from what was not.

    Each entry of X is dropped with the probability ``dropout``, the others are scaled up by 1 / (1 - dropout), and the
    error counts where an entry was dropped. The expectation over all ways to drop is EASE with a strength for each
    item, ``dropout / (1 - dropout) * G_jj + strength``: items that many took are held back more.

    Parameters
    ----------
    g, overwrite : as for `ease`.
    dropout : 0 <= dropout < 1; with 0 it is EASE.
    strength : lambda >= 0 that is added for every item; above 0 where an item may have been taken by nobody.

    Returns
    -------
    np.ndarray
        B, (items, items) float32, as of `ease`.

    References
    ----------
    Steck (2020), "Autoencoders that don't overfit towards the identity"; its B is this one divided by 1 - dropout,
    which leaves every ranking as it is.

    Examples
    --------
    >>> edlae(np.array([[2.0, 1.0], [1.0, 2.0]]), 0.5).tolist()
    [[0.0, 0.25], [0.25, 0.0]]
    """
    return without_own(g, ridges(g, dropout, strength), overwrite)


def ridges(g: np.ndarray, dropout: float, strength: float) -> np.ndarray:
    """(items,) what `edlae` adds to the diagonal of G."""
    if not is_real(dropout) or not 0 <= dropout < 1:
        raise InputError(f"dropout must be a number of at least 0 and below 1; got {dropout!r}")
    if not is_real(strength) or not 0 <= strength < np.inf:
        raise InputError(f"strength must be a number >= 0; got {strength!r}")
    return dropout / (1 - dropout) * np.diag(g) + strength


def without_own(g: np.ndarray, added: np.ndarray, overwrite: bool) -> np.ndarray:
    """(items, items) float32 B = I - P diag(1 / P_jj) with P = (G + diag(added))^-1, whose diagonal is 0."""
    check_memory(linear_bytes(len(g), overwrite), f"The exact model of {counted(len(g), 'item')}", INSTEAD)
    inverse = g if overwrite else g.copy()
    inverse[np.diag_indices_from(inverse)] += added
    # LAPACK counts columns first: the transpose, which is the same matrix, is worked on in place.
    factor, problem = scipy.linalg.lapack.dpotrf(inverse.T, lower=True, overwrite_a=True, clean=False)
    if problem == 0:
        factor, problem = scipy.linalg.lapack.dpotri(factor, lower=True, overwrite_c=True)
    if problem:
        raise InputError(
            f"strength: the Gram matrix with {np.min(added):g} and more added to its diagonal cannot be inverted "
            f"(items that nobody took, or that say the same). Try a larger strength"
        )
    return from_inverse(mirrored(factor.T))


def from_inverse(inverse: np.ndarray) -> np.ndarray:
    """B of P: -P_ij / P_jj and 0 on the diagonal, float32."""
    own = np.diag(inverse)
    made = np.empty(inverse.shape, dtype=np.float32)
    for start in range(0, len(made), ROWS_AT_ONCE):
        made[start : start + ROWS_AT_ONCE] = inverse[start : start + ROWS_AT_ONCE] / -own
    np.fill_diagonal(made, 0.0)
    return made


def item_scores(histories: scipy.sparse.csr_array, weights: np.ndarray | scipy.sparse.csr_array) -> np.ndarray:
    """(users, items) float32: what the histories say for every item, each row computed on its own.

    Parameters
    ----------
    histories : (users, items) csr.
    weights : (items, items), dense or sparse, as `ease` or `isthmus.recommending.sparse_linear.sparse_ease` makes it.

    Examples
    --------
    >>> history = scipy.sparse.csr_array(np.array([[2.0, 0.0]]))
    >>> item_scores(history, np.array([[0.0, 0.5], [0.25, 0.0]], dtype=np.float32)).tolist()
    [[0.0, 1.0]]
    """
    made = histories.astype(np.float32) @ weights
    return made.toarray() if scipy.sparse.issparse(made) else np.asarray(made)


def reasons(
    history: scipy.sparse.csr_array, item: int, weights: np.ndarray | scipy.sparse.csr_array
) -> tuple[np.ndarray, np.ndarray]:
    """Because of which items of a history an item scores as it does.

    Parameters
    ----------
    history : (1, items) csr.
    item : the number of the item.
    weights : (items, items), dense or sparse.

    Returns
    -------
    items : (m,) int64, those of the history, what says most for ``item`` first, ties by number.
    shares : (m,) float64, what each adds to the score, negative where it speaks against it; their sum is the score.

    Examples
    --------
    >>> history = scipy.sparse.csr_array(np.array([[1.0, 2.0, 0.0]]))
    >>> reasons(history, 2, np.array([[0, 0, 0.5], [0, 0, 0.5], [0, 0, 0]], dtype=np.float32))
    (array([1, 0]), array([1. , 0.5]))
    """
    taken = history.indices.astype(np.int64)
    column = weights[taken][:, [item]].toarray()[:, 0] if scipy.sparse.issparse(weights) else weights[taken, item]
    shares = history.data.astype(np.float64) * column
    order = np.lexsort((taken, -shares))
    return taken[order], shares[order]
