"""Interactions: who did what, how often and when, as a sparse matrix with the ids of its rows and columns."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import scipy.sparse

from isthmus.checks import counted, listed
from isthmus.data.interaction_cells import as_ids
from isthmus.data.interaction_matrices import checked, is_plain, without_zero_entries, without_zeros
from isthmus.data.interaction_pairs import Columns, Pairs, check_any, check_duplicates, check_unnamed, pairs_of
from isthmus.errors import DataWarning, InputError


@dataclass(frozen=True, eq=False, repr=False)
class Interactions:
    """A matrix of weights, users by items. Made by hand, ``Interactions(X, users, titles)`` names what is in a matrix.

    Attributes
    ----------
    matrix : (users, items) csr_array of float32 >= 0, each pair once, the items of a user in order; 0 = seen, and rated
        0, where such were asked for.
    users, items : (users,) and (items,) ids, int64 or object of str, each once.
    times : (pairs,) float64, when each entry of ``matrix.data`` came last (dates: seconds since 1970); or None.
    said : sentences about what was found and is not the ordinary.
    """

    matrix: scipy.sparse.csr_array
    users: np.ndarray
    items: np.ndarray
    times: np.ndarray | None = None
    said: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for part, place in (("users", 0), ("items", 1)):
            ids = np.asarray(getattr(self, part))
            if ids.dtype not in (np.int64, object):
                ids = as_ids(ids, part[:-1], lambda i: f"number {i}")[0]
            if ids.shape != self.matrix.shape[place : place + 1]:
                raise InputError(f"{part} must be {self.matrix.shape[place]:,} ids, as the matrix has; got {ids.shape}")
            object.__setattr__(self, part, ids)
        if not is_plain(self.matrix):
            if self.times is not None:
                raise InputError(
                    "matrix: with times it must be a csr_array of float32 > 0, or 0 = seen, in canonical format"
                )
            object.__setattr__(self, "matrix", checked(self.matrix, "matrix", zeros=True)[0])

    def __repr__(self) -> str:
        users, items = self.matrix.shape
        return f"Interactions({counted(users, 'user')} x {counted(items, 'item')}, {counted(self.matrix.nnz, 'pair')})"


def interactions(
    X: Any,
    *,
    user: str | None = None,
    item: str | None = None,
    weight: str | bool | None = None,
    time: str | bool | None = None,
    duplicates: str = "sum",
    zeros: bool = False,
    argument: str = "interactions",
) -> Interactions:
    """Read who did what.

    Parameters
    ----------
    X : a long table with a row per interaction (a pandas or polars frame, or the path of a .csv, .tsv, .jsonl, all
        also .gz, or .parquet); histories, each a list of item ids, in a list or in a dict by user; or a scipy sparse
        matrix of weights >= 0, users by items, both numbered from 0.
    user, item, weight, time : of a table, the columns; None = those with a usual name (``user_id``, ``movieId``,
        ``rating``, ``timestamp``); False = none, so that without weights every row counts 1.
    duplicates : of a pair that comes more than once, ``"sum"``: the weights are added up and the latest time counts;
        ``"last"``: only the latest row counts, without times the last, also where its weight is 0.
    zeros : keep pairs of weight 0, which say that something was seen and rated 0; a sparse matrix may store such.
    argument : what errors call the data.

    Returns
    -------
    Interactions
        Users and items are sorted by id, whatever the order of the rows. Without ``zeros`` what weighs 0 is left out.

    Raises
    ------
    InputError
        There is no such column; a weight is negative or missing; an id is missing, or neither text nor whole number.

    Examples
    --------
    >>> import pandas as pd
    >>> table = pd.DataFrame({"user_id": ["ann", "bob", "ann"], "movieId": [7, 7, 3]})
    >>> found = interactions(table)
    >>> found, found.users.tolist(), found.items.tolist(), found.matrix.toarray().tolist()
    (Interactions(2 users x 2 items, 3 pairs), ['ann', 'bob'], [3, 7], [[1.0, 1.0], [0.0, 1.0]])
    """
    import pandas as pd

    check_duplicates(duplicates)
    told = Columns(user, item, weight, time)
    if isinstance(X, Interactions) or scipy.sparse.issparse(X):
        check_unnamed(told, f"{argument} is a matrix, which has none")
    if isinstance(X, Interactions):
        check_any(X.matrix.nnz, argument)
        return X if zeros else above_zero(X)
    if scipy.sparse.issparse(X):
        matrix, said = checked(X, argument, zeros)
        check_any(matrix.nnz, argument)
        return Interactions(matrix, np.arange(matrix.shape[0]), np.arange(matrix.shape[1]), None, said)
    pairs, dropped = pairs_of(X, told, argument), tuple[str, ...]()
    if not zeros and duplicates == "sum":
        pairs, dropped = without_zeros(pairs)
    users, order = np.unique(pairs.users, return_inverse=True)
    columns, items = pd.factorize(pairs.items, sort=True)
    check_any(len(items), argument)
    made = joined(pairs._replace(rows=order[pairs.rows]), columns, users, items, duplicates)
    if not zeros:
        made = above_zero(made, items[:0])
        check_any(made.matrix.nnz, argument)
    return replace(made, said=(*dropped, *made.said))


def histories(
    X: Any,
    items: np.ndarray,
    *,
    user: str | None = None,
    item: str | None = None,
    weight: str | bool | None = None,
    time: str | bool | None = None,
    duplicates: str = "sum",
    zeros: bool = False,
    argument: str = "histories",
    told: Callable[[np.ndarray], np.ndarray] | None = None,
) -> Interactions:
    """Read what anyone did, users never seen included, as rows over items that are known.

    Parameters
    ----------
    X : as `interactions` takes it; a sparse matrix must have a column for every known item.
    items : (items,) the ids of the known items: the ``items`` of `interactions`.
    user, item, weight, time, duplicates, zeros, argument : as for `interactions`.
    told : of the ids of users, whether something is known of them beside their histories, so that these may be empty.

    Returns
    -------
    Interactions
        Over these items, the users in order of appearance, those with nothing that is known included. Where one side
        has whole numbers as ids and the other texts, they are compared as texts.

    Warns
    -----
    DataWarning : items are unknown and passed over; histories are empty.

    Examples
    --------
    >>> import warnings
    >>> with warnings.catch_warnings(record=True) as caught:
    ...     warnings.simplefilter("always")
    ...     found = histories([["sun", "moon"], ["sky"]], np.array(["moon", "sun"], dtype=object))
    >>> found.matrix.toarray().tolist(), len(caught)
    ([[1.0, 1.0], [0.0, 0.0]], 2)
    >>> print(caught[0].message)
    histories: 1 of 3 interactions with 1 item that was not in the fit, and is passed over: 'sky'
    """
    check_duplicates(duplicates)
    if isinstance(X, Interactions):
        made = known_only(entries(X), items, "last", argument)
    elif scipy.sparse.issparse(X):
        matrix, said = checked(X, argument, zeros)
        if matrix.shape[1] != len(items):
            raise InputError(
                f"{argument} must have a column for each of the {counted(len(items), 'item')} of the fit, in that "
                f"order; got shape {matrix.shape}. Lists of item ids need no order."
            )
        made = Interactions(matrix, np.arange(matrix.shape[0]), items, None, said)
    else:
        pairs, dropped = pairs_of(X, Columns(user, item, weight, time), argument), tuple[str, ...]()
        if not zeros and duplicates == "sum":
            pairs, dropped = without_zeros(pairs)
        made = known_only(pairs, items, duplicates, argument)
        made = replace(made, said=(*dropped, *made.said))
    made = made if zeros else above_zero(made)
    empty = np.flatnonzero(np.diff(made.matrix.indptr) == 0)
    if told is not None and len(empty):
        empty = empty[~told(made.users[empty])]
    if len(empty):
        whose = listed(made.users[empty[:3]].tolist()) + (f" and {len(empty) - 3:,} more" if len(empty) > 3 else "")
        warnings.warn(
            f"{argument}: {len(empty):,} of {counted(len(made.users), 'user')} with no known item ({whose}): for such "
            f"there is only what is popular",
            DataWarning,
            stacklevel=2,
        )
    return made


# ---------------------------------------------------------------------- from pairs to a matrix


def above_zero(found: Interactions, keep: np.ndarray | None = None) -> Interactions:
    """Without entries of weight 0. Items that only such were of go too, but for those of ``keep``; None = all stay."""
    matrix, times = without_zero_entries(found.matrix, found.times)
    lost, items, said = found.matrix.nnz - matrix.nnz, found.items, found.said
    if not lost:
        return found
    if keep is not None:
        taken = np.bincount(matrix.indices, minlength=len(items)) > 0
        left = taken | np.isin(items, keep)
        indices = (np.cumsum(left) - 1).astype(matrix.indices.dtype)[matrix.indices]
        items = items[left]
        matrix = scipy.sparse.csr_array((matrix.data, indices, matrix.indptr), shape=(matrix.shape[0], len(items)))
    return replace(
        found, matrix=matrix, items=items, times=times, said=(f"{counted(lost, 'pair')} of weight 0 left out", *said)
    )


def entries(X: Interactions) -> Pairs:
    """The entries of the matrix, as pairs."""
    found = X.matrix.tocoo()
    return Pairs(X.users, found.row, X.items[found.col], found.data.astype(np.float64), X.times, str, X.said)


def known_only(pairs: Pairs, items: np.ndarray, duplicates: str, argument: str) -> Interactions:
    """The pairs with items that are known; the others are counted in a warning."""
    import pandas as pd

    wanted, known = pairs.items, items
    if wanted.dtype != known.dtype and len(wanted):
        wanted, known = wanted.astype(str).astype(object), known.astype(str).astype(object)
    index = pd.Index(known)
    if not index.is_unique:
        raise InputError(f"items: ids come twice: {listed(pd.unique(known[index.duplicated()]), 4)}")
    columns = index.get_indexer(wanted)
    strange = columns < 0
    if strange.any():
        many, names = int(strange.sum()), pd.unique(pairs.items[strange]).tolist()
        rest = f" and {len(names) - 3:,} more" if len(names) > 3 else ""
        warnings.warn(
            f"{argument}: {many:,} of {counted(len(columns), 'interaction')} with {counted(len(names), 'item')} that "
            f"{'was' if len(names) == 1 else 'were'} not in the fit, and {'is' if many == 1 else 'are'} passed over: "
            f"{listed(names[:3])}{rest}",
            DataWarning,
            stacklevel=3,
        )
        times = None if pairs.times is None else pairs.times[~strange]
        pairs = pairs._replace(rows=pairs.rows[~strange], weights=pairs.weights[~strange], times=times)
        columns = columns[~strange]
    return joined(pairs, columns, pairs.users, items, duplicates)


def joined(pairs: Pairs, columns: np.ndarray, users: np.ndarray, items: np.ndarray, duplicates: str) -> Interactions:
    """One entry for each pair of row and column."""
    keys = pairs.rows.astype(np.int64) * len(items) + columns
    # Sorting keeps the order of equal keys, so that the last of a run is the latest: by time, or as it came.
    order = np.argsort(keys, kind="stable") if pairs.times is None else np.lexsort((pairs.times, keys))
    keys, weights = keys[order], pairs.weights[order]
    first = np.flatnonzero(np.diff(keys, prepend=-1))
    last = np.append(first, len(keys))[1:] - 1
    said = pairs.said
    if len(first) < len(keys):
        again = counted(int((last > first).sum()), "pair") + " of user and item come more than once"
        by = "the last row" if pairs.times is None else "the latest by time"
        said += (f"{again}: {'their weights are added up' if duplicates == 'sum' else f'{by} counts'}",)
    data = np.add.reduceat(weights, first) if duplicates == "sum" and len(first) else weights[last]
    indptr = np.zeros(len(users) + 1, dtype=np.int64)
    np.cumsum(np.bincount(keys[first] // max(len(items), 1), minlength=len(users)), out=indptr[1:])
    numbers = np.int32 if max(len(keys), len(items)) < 2**31 else np.int64
    indices = (keys[first] % max(len(items), 1)).astype(numbers)
    shape = (len(users), len(items))
    matrix = scipy.sparse.csr_array((data.astype(np.float32), indices, indptr.astype(numbers)), shape=shape)
    times = None if pairs.times is None else pairs.times[order][last]
    return Interactions(matrix, users, items, times, said)
