"""What is known of users and items beside what was done, as further columns and rows of the matrix that is learnt from.

[ x                     given * users ]    users hold their properties as if they were items,
[ item_given * items    0             ]    and each property of items is a user who took all that have it
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import scipy.sparse

from isthmus.estimators.recommender_models import Knobs
from isthmus.ranking import Ranking, Scores, ranked
from isthmus.recommending.popularity import popularity
from isthmus.recommending.splits import Group, Split, parted

NEWCOMERS = 5
"""Where users have properties, one in so many of those held out is judged by them alone: so are people who are new."""

MOST_NEW = 0.2
"""The share of items, at most, that are treated as new while knobs are chosen, where the catalogue has new ones."""


@dataclass(frozen=True, eq=False)
class Beside:
    """What is known beside the (users, items) that are learnt from; None = nothing.

    Attributes
    ----------
    users : (users, p) csr of 0 and 1, the properties of each user.
    items : (q, items) csr of 0 and 1, a row for each property of items.
    """

    users: scipy.sparse.csr_array | None = None
    items: scipy.sparse.csr_array | None = None

    @property
    def width(self) -> int:
        """Columns that it adds."""
        return 0 if self.users is None else self.users.shape[1]

    def rows(self, some: np.ndarray) -> Beside:
        """The same for some of the users."""
        return self if self.users is None else replace(self, users=self.users[some])

    def columns(self, some: np.ndarray) -> Beside:
        """The same for some of the items."""
        return self if self.items is None else replace(self, items=self.items[:, some])


def widened(x: scipy.sparse.csr_array, beside: Beside, knobs: Knobs, further: bool = True) -> scipy.sparse.csr_array:
    """The matrix that is learnt from; what has the weight 0 adds neither columns nor rows.

    Parameters
    ----------
    x : (users, items); ``beside.users`` has a row for each.
    knobs : its weights ``given`` and ``item_given``.
    further : False: without the further rows, which no history to recommend to has.

    Examples
    --------
    >>> x = scipy.sparse.csr_array(np.array([[1.0, 0.0]], dtype=np.float32))
    >>> known = Beside(scipy.sparse.csr_array(np.array([[1.0]])), scipy.sparse.csr_array(np.array([[1.0, 1.0]])))
    >>> widened(x, known, Knobs("ease", given=2.0, item_given=0.5)).toarray().tolist()
    [[1.0, 0.0, 2.0], [0.5, 0.5, 0.0]]
    """
    columns = beside.users is not None and knobs.given
    rows = further and beside.items is not None and knobs.item_given
    if not columns and not rows:
        return x
    made = x
    if beside.users is not None and columns:
        made = scipy.sparse.hstack([made, beside.users * np.float32(knobs.given)], format="csr")
    if beside.items is not None and rows:
        below = scipy.sparse.csr_array(beside.items * np.float32(knobs.item_given))
        below.resize(below.shape[0], made.shape[1])
        made = scipy.sparse.vstack([made, below], format="csr")
    made = scipy.sparse.csr_array(made, dtype=np.float32)
    made.sort_indices()
    return made


@dataclass(frozen=True, eq=False)
class Held:
    """A split, and what is known of those who are learnt from and of those who are judged."""

    split: Split
    train: Beside
    test: Beside

    def wide(self, knobs: Knobs) -> Split:
        """The split that models are fitted to and judged by: ``wanted`` keeps the columns of the items alone."""
        group = self.split.test
        given = widened(group.given, self.test, knobs, further=False)
        return replace(
            self.split,
            train=widened(self.split.train, self.train, knobs),
            test=Group(group.users, given, group.wanted),
        )


def held_with(split: Split, x: scipy.sparse.csr_array, beside: Beside | None, strong: bool = True) -> Held:
    """A split of (users, items) ``x``, with what is known.

    Parameters
    ----------
    strong : whether the users that are judged are none of those that are learnt from.
    """
    if beside is None:
        return Held(split, Beside(), Beside())
    beside = beside.columns(split.items)
    rest = np.arange(x.shape[0])
    if strong:
        # The order in which a split has its users is its own affair.
        rest = np.setdiff1d(rest, split.test.users)
        split = replace(split, train=scipy.sparse.csr_array(x[rest][:, split.items]))
    return Held(split, beside.rows(rest), beside.rows(split.test.users))


def with_newcomers(held: Held, new_items: float, seed: int) -> Held:
    """Some held-out users judged by their properties alone, and some items as if nobody had taken them yet.

    Who has a history is hardly in need of properties, so that by such users alone they would seem to be of no use.

    Parameters
    ----------
    new_items : the share of all items that nobody took.
    """
    split, group = held.split, held.split.test
    given, wanted = group.given, group.wanted
    if held.test.users is not None:
        alone = (np.arange(len(group.users)) % NEWCOMERS == 0) & (np.diff(held.test.users.indptr) > 0)
        alone &= np.diff(wanted.indptr) > 0  # of others nothing is hidden, and they do not count
        away = np.repeat(alone, np.diff(given.indptr))
        wanted = scipy.sparse.csr_array(wanted + parted(given, away))
        given = parted(given, ~away)
    train = split.train
    if held.train.items is not None and new_items:
        many = int(min(new_items, MOST_NEW) * train.shape[1])
        new = np.zeros(train.shape[1], dtype=bool)
        new[np.random.default_rng(seed).choice(train.shape[1], many, replace=False)] = True
        train, given = (parted(rows, ~new[rows.indices]) for rows in (train, given))
    made = replace(held, split=replace(split, train=train, test=Group(group.users, given, wanted)))
    return by_popularity(made)


def by_popularity(held: Held) -> Held:
    """The same with the items that are taken most first.

    Of equal scores the first comes first, so that of whom nothing is known is judged by what is popular.
    """
    split, group = held.split, held.split.test
    order = np.argsort(-popularity(split.train), kind="stable")
    train, given, wanted = (rows[:, order] for rows in (split.train, group.given, group.wanted))
    for rows in (train, given, wanted):
        rows.sort_indices()
    split = replace(split, items=split.items[order], train=train, test=Group(group.users, given, wanted))
    return Held(split, held.train.columns(order), held.test.columns(order))


def ranked_in(scores: Scores, group: Group, **how: Any) -> Ranking:
    """`isthmus.ranking.ranked` for histories that may have columns beyond the items, which are never recommended."""
    items = group.wanted.shape[1]
    if group.given.shape[1] == items:
        return ranked(scores, group.given, group.wanted, **how)
    judged, begun = np.flatnonzero(np.diff(group.wanted.indptr)), 0

    def following(block: scipy.sparse.csr_array) -> np.ndarray:
        # Blocks come in order, of the users alone that have something to be found.
        nonlocal begun
        some = judged[begun : begun + block.shape[0]]
        begun += block.shape[0]
        return scores(group.given[some])[:, :items]

    return ranked(following, group.given[:, :items], group.wanted, **how)
