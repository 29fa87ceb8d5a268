"""EASE where the items are too many for a dense Gram matrix: each item is predicted by its nearest neighbours alone."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import scipy.linalg
import scipy.sparse

from isthmus.checks import check_whole, counted, is_real
from isthmus.errors import InputError
from isthmus.recommending.gram import gram
from isthmus.recommending.memory import check_memory

CELLS_AT_ONCE = 2**24
"""Cells of a strip of G, at most, that are held while its largest are picked: about 48 bytes each."""

ENTRY = 8
"""Bytes of an entry of a sparse matrix: a float32 and an int32."""


def sparse_bytes(items: int, neighbours: int = 100, head: int = 8192, kept: int = 1000) -> int:
    """The most memory that `sparse_ease` takes beside the interactions; usually it is much less.

    >>> f"{sparse_bytes(200_000) / 2**30:.1f} GiB"
    '4.9 GiB'
    """
    cells = items * (min(kept, items) * 2 + min(neighbours, items) * 3)
    return cells * ENTRY + 3 * ENTRY * min(head, items) ** 2 // 2 + 48 * CELLS_AT_ONCE


def sparse_ease(
    x: scipy.sparse.csr_array,
    strength: float,
    *,
    neighbours: int = 100,
    head: int = 8192,
    kept: int = 1000,
    dropout: float = 0.0,
) -> scipy.sparse.csr_array:
    """EASE with a few weights for each item: those of its nearest neighbours by cosine, G_ij / sqrt(G_ii G_jj).

    For item j with the neighbours N, column j of B minimises |X_j - X_N b|^2 + strength |b|^2, so that::

        b = (G_NN + strength I)^-1 G_Nj

    Neighbours are items that somebody took together with j; where all items are, this is EASE itself. G is known
    exactly among the ``head`` items that are taken most, and of each other item in the ``kept`` largest cells of its
    row, by cosine; most of them have no more.

    Parameters
    ----------
    x : (users, items) csr of weights >= 0.
    strength : lambda > 0, as for `isthmus.recommending.linear.ease`; smaller ones are usual for few neighbours.
    neighbours : weights for each item at most; the time grows with their cube.
    head : items whose cells are all kept, in 4 bytes each.
    kept : cells of the rows of the other items, >= ``neighbours``; in 8 bytes each.
    dropout : as for `isthmus.recommending.linear.edlae`; 0 = none.

    Returns
    -------
    scipy.sparse.csr_array
        B, (items, items) float32, its diagonal empty: entry (i, j) is what a weight of 1 on item i says for item j.

    Raises
    ------
    InputError
        It would not fit the memory that is free; a knob is out of range.

    Notes
    -----
    Cells that are left out must be small: a local system with 0 in the place of large ones has little to do with G.
    That is why the head is dense.

    References
    ----------
    Ning, Karypis (2011), "SLIM: sparse linear methods for top-n recommender systems", for weights of neighbours alone;
    Steck (2019), "Markov random fields for collaborative filtering", for local solutions of a sparse Gram matrix.

    Examples
    --------
    >>> from isthmus.recommending.linear import ease
    >>> x = scipy.sparse.csr_array(np.array([[1.0, 1, 0], [1, 1, 1], [0, 1, 1], [1, 0, 1]]))
    >>> np.allclose(sparse_ease(x, 2.0).toarray(), ease(gram(x), 2.0), atol=1e-6)
    True
    """
    check_knobs(strength, neighbours, head, kept, dropout)
    items = x.shape[1]
    needed = sparse_bytes(items, neighbours, head, kept)
    check_memory(needed, f"The sparse model of {counted(items, 'item')}", f"Try kept={max(kept // 4, neighbours)}.")
    own = np.bincount(x.indices, weights=x.data.astype(np.float64) ** 2, minlength=items)
    raised = own / (1 - dropout) + strength
    popular = np.sort(np.argsort(-own, kind="stable")[:head])
    limits = np.full(items, kept)
    limits[popular] = neighbours
    g = largest_cells(x, own, limits)
    return local_solutions(Cells(g, popular, x), own, raised, neighbours)


def check_knobs(strength: float, neighbours: int, head: int, kept: int, dropout: float) -> None:
    if not is_real(strength) or not 0 < strength < np.inf:
        raise InputError(f"strength must be a number above 0; got {strength!r}")
    if not is_real(dropout) or not 0 <= dropout < 1:
        raise InputError(f"dropout must be a number of at least 0 and below 1; got {dropout!r}")
    check_whole("sparse_ease", neighbours=neighbours)
    check_whole("sparse_ease", 0, head=head)
    check_whole("sparse_ease", neighbours, kept=kept)


class Cells:
    """Cells of G off its diagonal, wherever they are kept.

    Parameters
    ----------
    g : (items, items) csr, its rows cut short.
    head : the numbers of the items, in order, among which all cells are known.
    x : (users, items), from which they are made.
    """

    def __init__(self, g: scipy.sparse.csr_array, head: np.ndarray, x: scipy.sparse.csr_array) -> None:
        self.g = g
        self.dense = gram(x[:, head]).astype(np.float32)
        self.head_place = np.full(g.shape[0], -1, dtype=np.int32)
        self.head_place[head] = np.arange(len(head))
        self.place = np.full(g.shape[0], -1, dtype=np.int32)

    def among(self, near: np.ndarray) -> np.ndarray:
        """(m, m) float64 G_NN of these items; the diagonal means nothing."""
        made = np.zeros((len(near), len(near)))
        at_head = self.head_place[near]
        tail, first = np.flatnonzero(at_head < 0), np.flatnonzero(at_head >= 0)
        if len(tail):
            self.place[near] = np.arange(len(near))
            rows = self.g[near[tail]]
            at = self.place[rows.indices]
            self.place[near] = -1
            inside = np.flatnonzero(at >= 0)
            line = tail[np.searchsorted(rows.indptr, inside, side="right") - 1]
            # A cell is known where either of its two items keeps it.
            made[line, at[inside]] = made[at[inside], line] = rows.data[inside]
        if len(first):
            made[np.ix_(first, first)] = self.dense[np.ix_(at_head[first], at_head[first])]
        return made


def largest_cells(x: scipy.sparse.csr_array, own: np.ndarray, limits: np.ndarray) -> scipy.sparse.csr_array:
    """The cells of G off its diagonal, the largest of each row by cosine, up to its limit; columns in order."""
    items = x.shape[1]
    lengths = np.sqrt(np.maximum(own, np.finfo(np.float64).tiny))
    indptr = np.zeros(items + 1, dtype=np.int64)
    columns: list[np.ndarray] = []
    values: list[np.ndarray] = []
    for start, strip in strips(x):
        for row in range(strip.shape[0]):
            cells = slice(strip.indptr[row], strip.indptr[row + 1])
            others, data = strip.indices[cells], strip.data[cells]
            off = others != start + row
            others, data = others[off], data[off]
            if len(others) > limits[start + row]:
                some = largest(data / lengths[others], others, int(limits[start + row]))
                others, data = others[some], data[some]
            order = np.argsort(others)
            columns.append(others[order].astype(np.int32))
            values.append(data[order].astype(np.float32))
            indptr[start + row + 1] = len(others)
    np.cumsum(indptr, out=indptr)
    return scipy.sparse.csr_array((np.concatenate(values), np.concatenate(columns), indptr), shape=(items, items))


def strips(x: scipy.sparse.csr_array) -> Iterator[tuple[int, scipy.sparse.csr_array]]:
    """G in strips of neighbouring rows, each with the number of its first row."""
    x = scipy.sparse.csr_array(x, dtype=np.float64)
    transposed = x.T.tocsr()
    items = x.shape[1]
    # An item meets as many others as all its users took together, or all.
    met = np.minimum(transposed.astype(bool).astype(np.float64) @ np.diff(x.indptr), items)
    before = np.concatenate([[0], np.cumsum(met)])
    start = 0
    while start < items:
        stop = max(start + 1, int(np.searchsorted(before, before[start] + CELLS_AT_ONCE, side="right")) - 1)
        yield start, transposed[start:stop] @ x
        start = stop


def largest(values: np.ndarray, numbers: np.ndarray, k: int) -> np.ndarray:
    """The places of the k largest values, k < their number; of equal ones those with the lower ``numbers``.

    >>> largest(np.array([3.0, 1.0, 2.0, 2.0]), np.array([0, 1, 9, 8]), 2)
    array([0, 3])
    """
    least = np.partition(values, len(values) - k)[len(values) - k]
    above, equal = np.flatnonzero(values > least), np.flatnonzero(values == least)
    return np.concatenate([above, equal[np.argsort(numbers[equal])[: k - len(above)]]])


def local_solutions(known: Cells, own: np.ndarray, raised: np.ndarray, neighbours: int) -> scipy.sparse.csr_array:
    """The weights of each item's neighbours; ``raised`` is the diagonal of G with the strengths added."""
    g, items = known.g, len(own)
    lengths = np.sqrt(own)
    indptr = np.zeros(items + 1, dtype=np.int64)
    columns: list[np.ndarray] = []
    values: list[np.ndarray] = []
    for item in range(items):
        cells = slice(g.indptr[item], g.indptr[item + 1])
        near, shared = g.indices[cells], g.data[cells].astype(np.float64)
        if len(near) > neighbours:
            some = np.sort(largest(shared / lengths[near], near, neighbours))
            near, shared = near[some], shared[some]
        columns.append(near)
        values.append(solved(known.among(near), raised[near], shared).astype(np.float32))
        indptr[item + 1] = len(near)
    np.cumsum(indptr, out=indptr)
    made = scipy.sparse.csc_array((np.concatenate(values), np.concatenate(columns), indptr), shape=g.shape)
    return made.tocsr()


def solved(system: np.ndarray, diagonal: np.ndarray, right: np.ndarray) -> np.ndarray:
    """b of (system + diag(diagonal)) b = right.

    Cells of G that were not kept are 0 here, so that the matrix need not be positive definite, as G is. Then what lies
    off the diagonal is halved until it is: with the diagonal alone it would be.
    """
    np.fill_diagonal(system, diagonal)
    while len(right):
        _, found, problem = scipy.linalg.lapack.dposv(system, right, lower=True)
        if problem == 0:
            return np.asarray(found)
        system /= 2
        np.fill_diagonal(system, diagonal)
    return right
