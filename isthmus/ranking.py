"""How good rankings of all items are: recall, NDCG, coverage and novelty of the first k."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import scipy.sparse

from isthmus.checks import check_whole, is_whole
from isthmus.errors import InputError

CELLS_AT_ONCE = 2**21
"""Scores that are held at once."""

Scores = Callable[[scipy.sparse.csr_array], np.ndarray]
"""(users, items) csr histories -> (users, items) scores, each row on its own."""


def top(scores: np.ndarray, k: int) -> np.ndarray:
    """The numbers of the k highest scores of each row, the highest first, of equal ones the lower number first.

    Parameters
    ----------
    scores : (rows, items) numbers; what must not come is minus infinity.
    k : 1 <= k <= items.

    Returns
    -------
    np.ndarray
        (rows, k) int64.

    Examples
    --------
    >>> top(np.array([[1.0, 3.0, 3.0, 3.0], [0.0, 0.0, 0.0, 5.0]]), 2)
    array([[1, 2],
           [3, 0]])
    """
    rows, items = scores.shape
    check_whole("top", k=k)
    if k > items:
        raise InputError(f"k must be at most the number of items, {items:,}; got {k:,}")
    if np.isnan(scores).any():
        raise InputError("scores hold NaN, which has no place in a ranking")
    least = np.partition(scores, items - k, axis=1)[:, items - k, None]
    chosen = scores >= least
    over = np.flatnonzero(np.count_nonzero(chosen, axis=1) > k)
    if len(over):
        # More are equal to the k-th than there are places for: the first of them, by number.
        some, above = scores[over], scores[over] > least[over]
        equal = some == least[over]
        places = k - np.count_nonzero(above, axis=1)
        chosen[over] = above | (equal & (np.cumsum(equal, axis=1) <= places[:, None]))
    found = np.nonzero(chosen)[1].reshape(rows, k)
    order = np.argsort(-np.take_along_axis(scores, found, axis=1), axis=1, kind="stable")
    return np.take_along_axis(found, order, axis=1)


@dataclass(frozen=True, eq=False)
class Ranking:
    """The figures of one model on one group of users.

    Attributes
    ----------
    users : (m,) int64, the rows that have something to be found: they alone count.
    each : by name, (m,) float64, a figure for each of these users: ``"recall@20"`` (found, divided by how many there
        are to be found), ``"truncated_recall@20"`` (divided by min(k, how many there are)), ``"ndcg@100"``, and, where
        the popularity was given, ``"novelty@20"`` (bits).
    whole : by name, a figure of all lists together: ``"coverage@20"``, the share of items that come in any.
    """

    users: np.ndarray
    each: dict[str, np.ndarray]
    whole: dict[str, float]

    def mean(self, name: str) -> float:
        """The figure, averaged over users."""
        return self.whole[name] if name in self.whole else float(self.each[name].mean())

    def standard_error(self, name: str) -> float:
        """Of the mean over users: their standard deviation / sqrt(m); NaN of a single user."""
        values = self.each[name]
        return float(values.std(ddof=1) / np.sqrt(len(values))) if len(values) > 1 else float("nan")


def ranked(
    scores: Scores,
    given: scipy.sparse.csr_array,
    wanted: scipy.sparse.csr_array,
    *,
    at: Sequence[int] | int = (10, 20, 50, 100),
    seen: scipy.sparse.csr_array | None = None,
    popular: np.ndarray | None = None,
    rows_at_once: int | None = None,
) -> Ranking:
    """Rank all items for every user, and look where those are that were to be found.

    Of a user's list, place r = 1 .. k, with hit_r = 1 where the item is one of the m to be found::

        recall@k           = sum_r hit_r / m
        truncated_recall@k = sum_r hit_r / min(k, m)
        ndcg@k             = sum_r hit_r / log2(r + 1) / sum_{r <= min(k, m)} 1 / log2(r + 1)
        novelty@k          = mean_r -log2(popular of the item / sum of popular)

    Parameters
    ----------
    scores : makes the scores of some rows of ``given``; called with blocks of rows.
    given : (users, items) csr, the histories.
    wanted : (users, items) csr, what is to be found. Users for whom it is empty are left out.
    at : the k of the figures, or one k. A k above the number of items stands for all items.
    seen : (users, items) csr, what is never recommended; None = what ``given`` holds.
    popular : (items,) how often each was taken in training, for the novelty; items never taken count as taken once.
    rows_at_once : users of a block, None = as many as keep the memory small. The figures do not depend on it.

    Returns
    -------
    Ranking

    Raises
    ------
    InputError
        The shapes differ, an item is both seen and wanted, or nobody has anything to be found.

    References
    ----------
    Järvelin, Kekäläinen (2002), "Cumulated gain-based evaluation of IR techniques". Liang, Krishnan, Hoffman, Jebara
    (2018), "Variational autoencoders for collaborative filtering", for the truncated recall.

    Examples
    --------
    >>> given, wanted = (scipy.sparse.csr_array(np.array([row])) for row in ([1, 0, 0, 0], [0, 0, 1, 1]))
    >>> figures = ranked(lambda rows: np.array([[9.0, 3.0, 2.0, 1.0]]), given, wanted, at=[2])
    >>> {name: round(figures.mean(name), 4) for name in (*figures.each, *figures.whole)}
    {'recall@2': 0.5, 'truncated_recall@2': 0.5, 'ndcg@2': 0.3869, 'coverage@2': 0.5}
    """
    seen, at = given if seen is None else seen, lengths(at)
    check_groups(given, wanted, seen)
    items = given.shape[1]
    users = np.flatnonzero(np.diff(wanted.indptr))
    if not len(users):
        raise InputError("wanted: no user has anything to be found")
    most = min(max(at), items)
    hits = np.empty((len(users), most), dtype=bool)
    lists = np.empty((len(users), most), dtype=np.int32)
    step = rows_at_once or max(1, CELLS_AT_ONCE // items)
    for start in range(0, len(users), step):
        some = users[start : start + step]
        block = given[some]
        made = np.array(scores(block))
        if made.shape != block.shape:
            raise InputError(f"scores must return {block.shape}, a score for every item; got {made.shape}")
        made[entries_of(seen[some])] = -np.inf
        sought = np.zeros(block.shape, dtype=bool)
        sought[entries_of(wanted[some])] = True
        found = top(made, most)
        lists[start : start + step] = found
        hits[start : start + step] = np.take_along_axis(sought, found, axis=1)
    return figures_of(users, hits, lists, np.diff(wanted.indptr)[users], at, items, popular)


def figures_of(
    users: np.ndarray,
    hits: np.ndarray,
    lists: np.ndarray,
    sizes: np.ndarray,
    at: Sequence[int],
    items: int,
    popular: np.ndarray | None,
) -> Ranking:
    """The figures of lists whose hits are known; ``sizes`` is how many items each user was to find."""
    each: dict[str, np.ndarray] = {}
    whole: dict[str, float] = {}
    discount = 1 / np.log2(np.arange(2, items + 2))
    ideal = np.cumsum(discount)
    bits = None
    if popular is not None:
        taken = np.maximum(np.asarray(popular, dtype=np.float64), 1)
        bits = -np.log2(taken / taken.sum())
    for k in dict.fromkeys(at):
        first = min(k, lists.shape[1])
        found = np.count_nonzero(hits[:, :first], axis=1)
        possible = np.minimum(first, sizes)
        each[f"recall@{k}"] = found / sizes
        each[f"truncated_recall@{k}"] = found / possible
        # Summed from the first place to the last: a product of matrices would depend on how many rows it has.
        gained = np.zeros(len(users))
        for place in range(first):
            gained += hits[:, place] * discount[place]
        each[f"ndcg@{k}"] = gained / ideal[possible - 1]
        if bits is not None:
            each[f"novelty@{k}"] = bits[lists[:, :first]].mean(axis=1)
        whole[f"coverage@{k}"] = len(np.unique(lists[:, :first])) / items
    return Ranking(users, each, whole)


def lengths(at: Sequence[int] | int) -> Sequence[int]:
    """Lengths of lists, one or several.

    >>> lengths(10), lengths([5, 20])
    ((10,), [5, 20])
    """
    several: Sequence[int] = at if isinstance(at, (Sequence, np.ndarray)) else (at,)
    if not len(several) or not all(is_whole(k) and k >= 1 for k in several):
        raise InputError(f"at must hold whole numbers >= 1; got {at!r}")
    return several


def entries_of(rows: scipy.sparse.csr_array) -> tuple[np.ndarray, np.ndarray]:
    """Row and column numbers of all entries."""
    return np.repeat(np.arange(rows.shape[0]), np.diff(rows.indptr)), rows.indices


def check_groups(given: scipy.sparse.csr_array, wanted: scipy.sparse.csr_array, seen: scipy.sparse.csr_array) -> None:
    """Refuse groups that do not fit together."""
    if not given.shape == wanted.shape == seen.shape:
        raise InputError(
            f"given, wanted and seen must be of the same users and items; got {given.shape}, {wanted.shape} and "
            f"{seen.shape}"
        )
    both = (seen != 0).multiply(wanted != 0)
    if both.nnz:
        row, column = (int(places[0]) for places in both.nonzero())
        raise InputError(
            f"wanted: item {column} of user {row} is among what is seen, which is never recommended; {both.nnz:,} such"
        )
