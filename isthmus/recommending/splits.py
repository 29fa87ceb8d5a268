"""Which interactions a model learns from, and which it is judged by: new people, known people, or what came later."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.sparse

from isthmus.checks import check_whole, is_real
from isthmus.errors import InputError

FEWEST = 5
"""Of a user with fewer interactions nothing is hidden."""

FOLD_SEED = 98765


@dataclass(frozen=True, eq=False)
class Group:
    """Users that are judged: what is given of them, and what is to be found.

    Attributes
    ----------
    users : (m,) int64, their rows in the matrix that was split.
    given, wanted : (m, items) csr, no entry in both; of some users nothing is to be found.
    """

    users: np.ndarray
    given: scipy.sparse.csr_array
    wanted: scipy.sparse.csr_array


@dataclass(frozen=True, eq=False)
class Split:
    """What is learnt from, and who is judged.

    Attributes
    ----------
    train : (users, items) csr.
    items : (items,) int64, the columns of the matrix that was split which are left.
    validation, test : None where the split has no such group.
    """

    train: scipy.sparse.csr_array
    items: np.ndarray
    validation: Group | None
    test: Group


def held_out_users(
    x: scipy.sparse.csr_array, seed: int, test: int = 1000, validation: int = 1000, hidden: float = 0.2
) -> Split:
    """Strong generalisation: the users that are judged are none of those that were learnt from.

    The users are permuted by ``RandomState(seed)``: the first are the test, the next the validation, and the rest are
    learnt from. Items that these never took are dropped. Then, in each group, with a fresh ``RandomState(98765)`` and
    the users in that order, ``choice(n, int(hidden * n), replace=False)`` of a user's n items, sorted, are to be found;
    of users with fewer than 5 none are.

    Parameters
    ----------
    x : (users, items) csr, the items of each user in order.
    seed : >= 0.
    test, validation : numbers of users.
    hidden : the share of a user's items that are to be found.

    Examples
    --------
    >>> x = scipy.sparse.csr_array(np.ones((6, 5)))
    >>> split = held_out_users(x, seed=0, test=2, validation=1)
    >>> split.train.shape, split.test.users, split.test.wanted.nnz, split.test.given.nnz
    ((3, 5), array([5, 2]), 2, 8)
    """
    check_share(hidden)
    check_whole("held_out_users", least=0, seed=seed, validation=validation)
    check_whole("held_out_users", test=test)
    users = x.shape[0]
    if test + validation >= users:
        raise InputError(
            f"test + validation must leave users to learn from: there are {users:,}, and {test:,} + {validation:,} "
            f"are to be held out"
        )
    order = np.random.RandomState(seed).permutation(users)
    train = x[order[test + validation :]]
    items = np.flatnonzero(np.bincount(train.indices, minlength=x.shape[1]))
    kept = x[:, items]
    kept.sort_indices()
    groups = [folded(kept, order[:test], hidden), folded(kept, order[test : test + validation], hidden)]
    return Split(train[:, items], items, groups[1] if validation else None, groups[0])


def folded(x: scipy.sparse.csr_array, users: np.ndarray, hidden: float) -> Group:
    """These users with some of their items hidden, drawn in their order."""
    random = np.random.RandomState(FOLD_SEED)
    rows = x[users]
    away = np.zeros(rows.nnz, dtype=bool)
    for start, size in zip(rows.indptr[:-1], np.diff(rows.indptr), strict=True):
        if size >= FEWEST:
            away[start + random.choice(size, int(hidden * size), replace=False)] = True
    return Group(users, parted(rows, ~away), parted(rows, away))


def hidden_entries(x: scipy.sparse.csr_array, generator: np.random.Generator, hidden: float = 0.2) -> Split:
    """Weak generalisation: of every user some items, drawn at random, are to be found, and the others are learnt from.

    Parameters
    ----------
    x : (users, items) csr.
    generator : draws them.
    hidden : the share, rounded down for each user; of users with fewer than 5 items none.

    Examples
    --------
    >>> split = hidden_entries(scipy.sparse.csr_array(np.ones((3, 5))), np.random.default_rng(0))
    >>> split.train.nnz, split.test.wanted.nnz
    (12, 3)
    """
    check_share(hidden)
    sizes = np.diff(x.indptr)
    rows = np.repeat(np.arange(x.shape[0]), sizes)
    order = np.lexsort((generator.random(x.nnz), rows))
    rank = np.empty(x.nnz, dtype=np.int64)
    rank[order] = np.arange(x.nnz) - np.repeat(x.indptr[:-1], sizes)
    away = rank < np.where(sizes >= FEWEST, (hidden * sizes).astype(np.int64), 0)[rows]
    return known_users(x, away)


def later_entries(x: scipy.sparse.csr_array, times: np.ndarray, share: float = 0.2) -> Split:
    """By time: the latest interactions of all are to be found, and those before one moment are learnt from.

    Parameters
    ----------
    x : (users, items) csr.
    times : (entries,) when each entry of ``x.data`` came.
    share : how many of all come after that moment, at most; those of the moment itself count as later.

    Returns
    -------
    Split
        Only users with something before the moment are judged, and by items that somebody took before it.

    Examples
    --------
    >>> x = scipy.sparse.csr_array(np.array([[1, 1, 0], [1, 0, 1]]))
    >>> split = later_entries(x, np.array([1, 2, 3, 4]), share=0.3)
    >>> split.items, split.train.toarray().tolist(), split.test.users
    (array([0, 1]), [[1, 1], [1, 0]], array([], dtype=int64))
    """
    check_share(share)
    if np.shape(times) != (x.nnz,):
        raise InputError(f"times must have one number for each of the {x.nnz:,} entries; got shape {np.shape(times)}")
    moment = np.quantile(times, 1 - share, method="higher")
    away = times >= moment
    if away.all():
        raise InputError(f"times: all {x.nnz:,} interactions come at one moment, or the share {share} is too large")
    return known_users(x, away)


def known_users(x: scipy.sparse.csr_array, away: np.ndarray) -> Split:
    """The entries that are away are to be found by the users' own others; items that only they are of are dropped."""
    train = parted(x, ~away)
    items = np.flatnonzero(np.bincount(train.indices, minlength=x.shape[1]))
    train, wanted = train[:, items], parted(x, away)[:, items]
    judged = np.flatnonzero((np.diff(train.indptr) > 0) & (np.diff(wanted.indptr) > 0))
    return Split(train, items, None, Group(judged, train[judged], wanted[judged]))


def parted(rows: scipy.sparse.csr_array, kept: np.ndarray) -> scipy.sparse.csr_array:
    """The rows with only the entries that are kept."""
    before = np.concatenate([[0], np.cumsum(kept)])
    return scipy.sparse.csr_array((rows.data[kept], rows.indices[kept], before[rows.indptr]), shape=rows.shape)


def check_share(share: float) -> None:
    if not is_real(share) or not 0 < share < 1:
        raise InputError(f"the share to be found must be a number above 0 and below 1; got {share!r}")
