"""Who did what, as a `Recommender` reads it: columns named once, what counts as liked, and old joined with new."""

from __future__ import annotations

import dataclasses
import os
import warnings
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import scipy.sparse

from isthmus.checks import counted, did_you_mean
from isthmus.data.interaction_pairs import Columns, Pairs, check_unnamed, chosen, opened_interactions, row_number
from isthmus.data.interactions import Interactions, above_zero, entries, histories, interactions, joined
from isthmus.data.tables import library_of
from isthmus.errors import DataWarning, InputError
from isthmus.recommending.gram import gram, updated
from isthmus.recommending.splits import parted

MANY = 20
"""Where more than one of so many interactions are of users that changed, the Gram matrix is made anew: it is faster."""

SOME = 10_000
"""Weights that are looked at to tell whether they differ."""


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
        X = opened_interactions(X)[0]
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
    zeros = at_least is not None
    found = histories(table, items, **columns._asdict(), duplicates=duplicates, zeros=zeros, told=beside)
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
    """New interactions with ids of the types that are known; users without names are new ones.

    Of weight 0 are those that take back, or that ratings count as seen.
    """
    table, columns = remembered(X, told, before)
    zeros = at_least is not None or duplicates == "last"
    if scipy.sparse.issparse(X) and not np.array_equal(known.items, np.arange(len(known.items))):
        check_unnamed(told, "X is a matrix, which has none")
        found = histories(X, known.items, zeros=zeros, argument="X")
    else:
        found = interactions(table, **columns._asdict(), duplicates=duplicates, zeros=zeros, argument="X")
        found = raised(found, table, columns, at_least)
    found = found if has_names(X) else dataclasses.replace(found, users=new_numbers(known.users, len(found.users)))
    return timed_like(known, found)


def ratings_hint(found: Interactions, X: Any) -> tuple[str, ...]:
    """A sentence on weights that may be ratings: those of a column or of a matrix, where they differ."""
    given = isinstance(X, Interactions) or scipy.sparse.issparse(X)
    given = given or any("weights from column" in sentence for sentence in found.said)
    if not given or len(np.unique(found.matrix.data[:SOME])) < 2:
        return ()
    return (
        "weights count as they are; if they are ratings, at_least=4 or, on the command line, --at-least 4 learns from "
        "those of 4 and more alone",
    )


def has_names(X: Any) -> bool:
    """Whether users have ids in ``X``."""
    return is_table(X) or isinstance(X, (Mapping, Interactions))


def timed_like(known: Interactions, new: Interactions) -> Interactions:
    """New interactions with times where there were such: without, they come at the latest moment that is known."""
    if known.times is None or new.times is not None or not len(known.times):
        lost = known.times is None and new.times is not None
        return dataclasses.replace(new, said=(*new.said, "times are not kept: the fit had none")) if lost else new
    pairs = counted(new.matrix.nnz, "interaction")
    said = (
        f"X has no times, but the fit had: its {pairs} are taken to come at the latest moment of the fit, and "
        f"protocol='time' of judge looks for them as such; time= names a column"
    )
    warnings.warn(said, DataWarning, stacklevel=4)
    times = np.full(new.matrix.nnz, known.times.max())
    return dataclasses.replace(new, times=times, said=(*new.said, said))


def new_types(old: Interactions, new: Interactions) -> tuple[str, ...]:
    """A sentence where ids that were whole numbers become texts, of which a warning tells too."""
    parts = [
        part for part in ("user", "item")
        if getattr(old, f"{part}s").dtype == np.int64 and getattr(new, f"{part}s").dtype != np.int64
    ]  # fmt: skip
    said = tuple(
        f"{part} ids were whole numbers in the fit, but X has texts: all are texts from now on, such as "
        f"{str(getattr(old, f'{part}s')[0])!r}"
        for part in parts
    )
    for sentence in said:
        warnings.warn(sentence, DataWarning, stacklevel=3)
    return said


def warn_known(found: Interactions, X: Any, fit: Interactions) -> None:
    """Say how many of the users that are to be judged were in the fit: by ids; without, where all is as it was."""
    if has_names(X):
        users, known = alike(found.users, fit.users)
        many = int(np.isin(users, known).sum())
    else:
        same = found.matrix.shape == fit.matrix.shape and not (found.matrix != fit.matrix).nnz
        many = len(found.users) if same else 0
    if many:
        warnings.warn(
            f"histories: {many:,} of {counted(len(found.users), 'user')} {'was' if many == 1 else 'were'} in the fit, "
            f"which knows what is hidden of them: the figures are too good. Judging without histories holds out a part "
            f"of the fit's own interactions, and is honest",
            DataWarning,
            stacklevel=4,
        )


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


def merged(old: Interactions, new: Interactions, duplicates: str, zeros: bool = False) -> Interactions:
    """All interactions, users and items sorted by id: as if they had been read from one table.

    Of a pair in both, weights are added up; or the new one counts, unless both have times, by which the later counts.
    Pairs of weight 0 stay where ``zeros``; items that only such are of join in no other case.
    """
    both = [alike(getattr(old, part), getattr(new, part)) for part in ("users", "items")]
    (users, rows), (items, columns) = (np.unique(np.concatenate(pair), return_inverse=True) for pair in both)
    first, second = entries(old), entries(new)
    rows = np.concatenate([rows[: len(old.users)][first.rows], rows[len(old.users) :][second.rows]])
    columns = columns[np.concatenate([old.matrix.indices, new.matrix.indices + len(old.items)])]
    weights = np.concatenate([first.weights, second.weights])
    times = None if old.times is None or new.times is None else np.concatenate([old.times, new.times])
    made = joined(Pairs(users, rows, items, weights, times, row_number, ()), columns, users, items, duplicates)
    return made if zeros else above_zero(made, both[1][0])


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
