"""The lists of a `Recommender`: what suits best, because of what, and what there is to say where little is left."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import scipy.sparse

from isthmus.checks import counted, did_you_mean, listed
from isthmus.errors import DataWarning, InputError
from isthmus.estimators.recommender_models import ItemWeights, Model
from isthmus.ranking import entries_of, top

FAINTEST = 1e-6
"""Of the strongest reason: what is fainter is rounding, no reason."""

CELLS_AT_ONCE = 2**22
"""Scores that are held at once."""


def best_items(
    model: Model,
    histories: scipy.sparse.csr_array,
    items: int,
    seen: scipy.sparse.csr_array | None,
    order: np.ndarray,
    k: int,
) -> tuple[np.ndarray, np.ndarray]:
    """(n, k) numbers of the best items, and their scores, minus infinity where none is left.

    Parameters
    ----------
    histories : (n, items and more) csr; what comes after the items is not recommended.
    seen : (n, items) csr, what is not recommended either; None = all may be.
    order : (items,) their numbers; of equal scores the item that is first in it comes first.
    """
    users = histories.shape[0]
    numbers, best = np.empty((users, k), dtype=np.int64), np.empty((users, k))
    step = max(1, CELLS_AT_ONCE // items)
    for start in range(0, users, step):
        some = slice(start, min(start + step, users))
        made = np.array(model.scores(histories[some])[:, :items])
        if seen is not None:
            made[entries_of(seen[some])] = -np.inf
        numbers[some] = order[top(made[:, order], k)]
        best[some] = np.take_along_axis(made, numbers[some], axis=1)
    return numbers, best


def warn_short(users: np.ndarray, k: int, items: int) -> None:
    """Say for whom fewer than ``k`` of so many items are left."""
    rest = f" and {len(users) - 3:,} more" if len(users) > 3 else ""
    warnings.warn(
        f"k: of {items:,} items fewer than {k:,} are left that were not seen, for {counted(len(users), 'user')} "
        f"({listed(users[:3].tolist())}{rest}): their lists are shorter, and filled with None. exclude_seen=False "
        f"recommends what was seen, too",
        DataWarning,
        stacklevel=3,
    )


def reasons_of(
    model: Model, history: scipy.sparse.csr_array, item: int, most: int, items: np.ndarray, properties: Sequence[str]
) -> list[tuple[Any, float]]:
    """Ids of a (1, items and more) history, or names of properties, and what they add to an item's score."""
    numbers, shares = model.reasons(history, item)
    # The shares of a linear model add up to the score; the scores of a network have no zero.
    if not len(shares) or (isinstance(model, ItemWeights) and shares.sum() <= 0):
        return []
    least = max(0.0, FAINTEST * float(shares[0]))
    found = [
        items[[number]].tolist()[0] if number < len(items) else properties[number - len(items)]
        for number in numbers[:most].tolist()
    ]
    return [(one, float(share)) for one, share in zip(found, shares, strict=False) if share > least]


def one_row(given: Mapping[str, Any] | None, columns: Sequence[str]) -> Any:
    """What is known of one person, as a table of person 0; of other ``columns`` of the fit nothing is."""
    import pandas as pd

    if given is None:
        return None
    if not isinstance(given, Mapping):
        raise InputError(f"given must be a dict of what is known of the person, by column; got {type(given).__name__}")
    strange = [name for name in given if name not in columns]
    if strange and columns:
        hint = did_you_mean(strange[0], columns)
        raise InputError(f"given: the fit had, or learnt from, no column {strange[0]!r}.{hint}")
    return pd.DataFrame([dict.fromkeys(columns) | dict(given)])
