"""Who did what, as a `Recommender` reads it: columns named once, what counts as liked, and old joined with new."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import scipy.sparse

from isthmus.checks import did_you_mean
from isthmus.data.interaction_pairs import Columns, Pairs, chosen, opened_table, row_number
from isthmus.data.interactions import Interactions, entries, histories, interactions, joined
from isthmus.data.tables import library_of
from isthmus.errors import InputError
from isthmus.recommending.gram import gram, updated
from isthmus.recommending.splits import parted

MANY = 20
"""Where more than one of so many interactions are of users that changed, the Gram matrix is made anew: it is faster."""


def liked(found: Interactions, at_least: float | None) -> tuple[scipy.sparse.csr_array, np.ndarray]:
    """What is learnt from, (users, items), and which entries of the matrix it holds.

    Without ``at_least`` that is the matrix; with it, entries of at least so much count 1, and others not at all.
    """
    if at_least is None:
        return found.matrix, np.ones(found.matrix.nnz, dtype=bool)
    kept = found.matrix.data >= np.float32(at_least)
    made = parted(found.matrix, kept)
    made.data = np.ones(made.nnz, dtype=np.float32)
    return made, kept


def is_table(X: Any) -> bool:
    return isinstance(X, (str, os.PathLike)) or (library_of(X) in ("pandas", "polars") and hasattr(X, "columns"))


def remembered(X: Any, told: Columns, before: Columns) -> tuple[Any, Columns]:
    """A table, opened where it is a path, and its columns: those that are told, else those that the fit was told of
    where the table has them."""
    if not is_table(X) or isinstance(X, Interactions):
        return X, told
    if isinstance(X, (str, os.PathLike)):
        X = opened_table(Path(X).expanduser())[0]
    names = {str(name) for name in X.columns}
    usable: dict[str, Any] = {part: was for part, was in before._asdict().items() if was is False or was in names}
    return X, Columns(**(usable | {part: now for part, now in told._asdict().items() if now is not None}))


def read_histories(
    X: Any,
    items: np.ndarray,
    told: Columns,
    before: Columns,
    duplicates: str,
    at_least: float | None,
    beside: Callable[[np.ndarray], np.ndarray] | None = None,
) -> Interactions:
    """Histories of anyone over the known items; ``beside``: of which users something else is known."""
    table, columns = remembered(X, told, before)
    found = histories(table, items, **columns._asdict(), duplicates=duplicates, told=beside)
    return raised(found, table, columns, at_least)


def raised(found: Interactions, X: Any, columns: Columns, at_least: float | None) -> Interactions:
    """Where ratings count from ``at_least`` on, but ``X`` has none, all of it counts."""
    if at_least is None or scipy.sparse.issparse(X) or isinstance(X, Interactions):
        return found
    if is_table(X) and "weight" in chosen([str(name) for name in X.columns], columns, "X")[0]:
        return found
    matrix = found.matrix.copy()
    matrix.data[:] = at_least
    return dataclasses.replace(found, matrix=matrix)


def read_more(
    X: Any, known: Interactions, told: Columns, before: Columns, duplicates: str, at_least: float | None
) -> Interactions:
    """New interactions with ids of the types that are known; users without names are new ones."""
    table, columns = remembered(X, told, before)
    if scipy.sparse.issparse(X) and not np.array_equal(known.items, np.arange(len(known.items))):
        found = histories(X, known.items, argument="X")
    else:
        found = interactions(table, **columns._asdict(), duplicates=duplicates, argument="X")
        found = raised(found, table, columns, at_least)
    unnamed = not (is_table(X) or isinstance(X, (Mapping, Interactions)))
    return dataclasses.replace(found, users=new_numbers(known.users, len(found.users))) if unnamed else found


def new_numbers(users: np.ndarray, many: int) -> np.ndarray:
    """Numbers that no user has yet, as texts where users are called by texts."""
    if users.dtype == np.int64:
        return np.arange(many) + (int(users.max()) + 1 if len(users) else 0)
    taken, free, number = set(users.tolist()), np.empty(many, dtype=object), 0
    for place in range(many):
        while str(number) in taken:
            number += 1
        free[place] = str(number)
        number += 1
    return free


def merged(old: Interactions, new: Interactions, duplicates: str) -> Interactions:
    """All interactions, users and items sorted by id: as if they had been read from one table.

    Of a pair in both, weights are added up; or the new one counts, unless both have times, by which the later counts.
    """
    both = [alike(getattr(old, part), getattr(new, part)) for part in ("users", "items")]
    (users, rows), (items, columns) = (np.unique(np.concatenate(pair), return_inverse=True) for pair in both)
    first, second = entries(old), entries(new)
    rows = np.concatenate([rows[: len(old.users)][first.rows], rows[len(old.users) :][second.rows]])
    columns = columns[np.concatenate([old.matrix.indices, new.matrix.indices + len(old.items)])]
    weights = np.concatenate([first.weights, second.weights])
    times = None if old.times is None or new.times is None else np.concatenate([old.times, new.times])
    return joined(Pairs(users, rows, items, weights, times, row_number, ()), columns, users, items, duplicates)


def gram_with(
    g: np.ndarray | None,
    old: Interactions,
    before: scipy.sparse.csr_array,
    found: Interactions,
    x: scipy.sparse.csr_array,
    changed: np.ndarray,
) -> np.ndarray:
    """The Gram matrix of ``x``, from that of before and the rows of the users that did something new.

    Parameters
    ----------
    g : the Gram matrix of ``before``, which may be overwritten; None = unknown.
    old, before : what was known, and its rows that were learnt from.
    found, x : the same now.
    changed : ids of the users that did something new, each once.
    """
    import pandas as pd

    if g is None:
        return gram(x)
    users, new_users = alike(old.users, changed)
    users, now = alike(users, found.users)
    touched = np.sort(pd.Index(now).get_indexer(alike(new_users, now)[0]))
    rows = x[touched]
    if MANY * rows.nnz > x.nnz:
        return gram(x)
    items, items_now = alike(old.items, found.items)
    place = pd.Index(items_now).get_indexer(items)
    order = np.concatenate([place, np.setdiff1d(np.arange(len(items_now)), place)])
    were = pd.Index(users).get_indexer(now[touched])
    known = np.flatnonzero(were >= 0)
    inside = scipy.sparse.csr_array((np.ones(len(known)), (known, were[known])), shape=(len(touched), len(users)))
    g = updated(g, scipy.sparse.csr_array(inside @ before), rows[:, order])
    back = np.argsort(order)
    return g if np.array_equal(back, np.arange(len(back))) else g[np.ix_(back, back)]


def alike(old: np.ndarray, new: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Ids of one type: texts, unless both are numbers."""
    if old.dtype == new.dtype:
        return old, new
    return old.astype(str).astype(object), new.astype(str).astype(object)


def places_of(ids: Any, known: np.ndarray, what: str) -> np.ndarray:
    """The numbers of items that are called so; one that is unknown is refused."""
    import pandas as pd

    asked = [ids] if isinstance(ids, str) or not hasattr(ids, "__iter__") else list(ids)
    if not asked:
        raise InputError(f"{what} must name at least one item")
    index = pd.Index(known)
    if known.dtype == object:
        asked = [one if isinstance(one, str) else str(one) for one in asked]
    else:
        asked = [int(one) if isinstance(one, str) and one.strip("-").isdecimal() else one for one in asked]
    for one in asked:
        if one not in index:
            hint = did_you_mean(one, known[:20_000]) if known.dtype == object else ""
            raise InputError(f"{what}: {one!r} was not in the fit.{hint}")
    return np.asarray(index.get_indexer(np.array(asked, dtype=known.dtype)))
