"""What a `Recommender` is told of users and items: tables become who has which properties, at a fit and afterwards."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import scipy.sparse

from isthmus.checks import counted, listed
from isthmus.data.interaction_pairs import Columns
from isthmus.data.interactions import Interactions
from isthmus.data.side_information import Described, Properties, described, place_in, properties
from isthmus.errors import InputError
from isthmus.estimators.recommender_given import Beside


@dataclass(frozen=True, eq=False)
class Told:
    """What a recommender was told of users, or of items: the properties, and (ids, properties) csr who has which."""

    properties: Properties
    matrix: scipy.sparse.csr_array


def told_of_users(given: Any, users: np.ndarray, columns: Columns) -> tuple[Told | None, tuple[str, ...]]:
    """What a fit is told of its users, and what there is to say."""
    if given is None:
        return None, ()
    table = described(given, "user", columns.user, "given")
    found, said = properties(table, known_ids(table, users))
    return Told(found, found.encode(table, users, quiet=True)), (*said, *absent(table, users))


def told_of_items(
    item_given: Any, found: Interactions, columns: Columns
) -> tuple[Told | None, Interactions, tuple[str, ...]]:
    """What a fit is told of items; the interactions, with the items that nobody took yet; and what there is to say."""
    if item_given is None:
        return None, found, ()
    table = described(item_given, "item", columns.item, "item_given")
    known_ids(table, found.items)
    made, said = properties(table, table.ids)
    found, more = with_items(found, table)
    return Told(made, made.encode(table, found.items, quiet=True)), found, (*said, *more)


def known_ids(table: Described, ids: np.ndarray, among: str = "X") -> np.ndarray:
    """Those of ``ids`` that a table tells of, refused where there are none."""
    known = ids[place_in(ids, table.ids) >= 0]
    if not len(known):
        raise InputError(
            f"{table.argument}: none of its ids ({listed(table.ids[:3].tolist())}) is among those of {among} "
            f"({listed(ids[:3].tolist())}). They are taken from a column of the same name, or from a frame's index"
        )
    return known


def absent(table: Described, users: np.ndarray) -> tuple[str, ...]:
    """Sentences about users that only one of the two tables has."""
    strange, unknown = (
        int(np.count_nonzero(place_in(one, other) < 0)) for one, other in ((table.ids, users), (users, table.ids))
    )
    said = []
    if strange:
        said.append(f"{table.argument}: {counted(strange, 'user')} without interactions, of whom nothing is learnt")
    if unknown:
        said.append(f"{table.argument}: of {counted(unknown, 'user')} with interactions nothing is said")
    return tuple(said)


def with_items(found: Interactions, table: Described) -> tuple[Interactions, tuple[str, ...]]:
    """Interactions over the items that somebody took and over those that a table tells of."""
    new = table.ids[place_in(table.ids, found.items) < 0]
    if not len(new):
        return found, ()
    old = found.items
    if new.dtype != old.dtype:
        if old.dtype != object:
            raise InputError(
                f"{table.argument}: item ids of X are whole numbers, but {listed(new[:3].tolist())} are not"
            )
        new = new.astype(str).astype(object)
    items = np.unique(np.concatenate([old, new]))
    columns = place_in(old, items).astype(found.matrix.indices.dtype)
    shape = (found.matrix.shape[0], len(items))
    # The order of a user's items stays, for both are sorted.
    parts = (found.matrix.data, columns[found.matrix.indices], found.matrix.indptr)
    matrix = scipy.sparse.csr_array(parts, shape=shape)
    matrix.has_canonical_format = True
    said = f"{table.argument}: {counted(len(new), 'item')} that nobody took yet, known by properties alone"
    return replace(found, matrix=matrix, items=items), (said,)


def beside_of(users: Told | None, items: Told | None) -> Beside | None:
    """What is known, as matrices; None = nothing."""
    if users is None and items is None:
        return None
    levels = None if items is None else scipy.sparse.csr_array(items.matrix.T)
    return Beside(None if users is None else users.matrix, levels)


@dataclass(frozen=True, eq=False)
class Asked:
    """What is told of people to recommend to; ``table`` is None where nothing is, ``told`` where the fit knew none."""

    table: Described | None
    told: Told | None
    weight: float

    def known(self, users: np.ndarray) -> np.ndarray:
        """(users,) bool, of whom something is known that counts."""
        if self.table is None or self.told is None or not self.weight:
            return np.zeros(len(users), dtype=bool)
        return np.diff(self.told.properties.encode(self.table, users, quiet=True).indptr) > 0

    def beside(self, users: np.ndarray) -> Beside:
        """What is known of these users."""
        if self.told is None:
            return Beside()
        if self.table is None:
            shape = (len(users), len(self.told.properties.names))
            return Beside(scipy.sparse.csr_array(shape, dtype=np.float32))
        known_ids(self.table, users, "the histories")
        return Beside(self.told.properties.encode(self.table, users))


def asked(given: Any, told: Told | None, column: str | None, weight: float) -> Asked:
    """Read what is told of people to recommend to.

    Parameters
    ----------
    told : what the fit was told of its users.
    column : the name of the users' column, where there is one.
    weight : of properties.
    """
    if given is not None and told is None:
        raise InputError("given: this model was fitted without; fit it with given= what is known of its users")
    return Asked(None if given is None else described(given, "user", column, "given"), told, weight)


def told_more(
    told: Told | None, more: Any, before: np.ndarray, now: np.ndarray, of: str, column: str | None, argument: str
) -> Told | None:
    """What is known once ids have joined and perhaps more is told: of the same properties, the new rows count.

    Parameters
    ----------
    before, now : ids, then and now.
    """
    if told is None:
        if more is not None:
            raise InputError(f"{argument}: this model was fitted without; fit it anew with {argument}=")
        return None
    places = place_in(now, before)
    if more is not None:
        table = described(more, of, column, argument)
        fresh = told.properties.encode(table, now)
        places[place_in(now, table.ids) >= 0] = -1
    known = np.flatnonzero(places >= 0)
    inside = (np.ones(len(known), dtype=np.float32), (known, places[known]))
    matrix = scipy.sparse.csr_array(inside, shape=(len(now), len(before))) @ told.matrix
    return Told(told.properties, scipy.sparse.csr_array(matrix if more is None else matrix + fresh))
