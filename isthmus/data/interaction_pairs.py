"""Who did what, one pair after the other: from a long table or from histories, its cells checked but not yet joined."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from isthmus.checks import did_you_mean, listed
from isthmus.data.document_tables import TABLES, ending_of, read_table
from isthmus.data.interaction_cells import Where, as_ids, as_times, as_weights, column_cells, row_number
from isthmus.data.paths import nearby
from isthmus.data.tables import check_distinct, check_single_level, library_of
from isthmus.errors import InputError

USERS = ("user", "userid", "username", "customer", "customerid", "member", "memberid", "reader", "viewer", "person")
ITEMS = (
    "item", "itemid", "product", "productid", "movie", "movieid", "book", "bookid", "isbn", "asin", "track", "trackid",
    "song", "songid", "artist", "artistid", "article", "articleid", "title",
)  # fmt: skip
WEIGHTS = ("weight", "rating", "score", "stars", "count", "plays", "quantity")
TIMES = ("time", "timestamp", "datetime", "date")
"""What such columns are often called; capitals and signs between words do not matter."""


class Columns(NamedTuple):
    """Which column is which: a name, or None = the one with a usual name; False = no weights (all 1), no times."""

    user: str | None = None
    item: str | None = None
    weight: str | bool | None = None
    time: str | bool | None = None


class Pairs(NamedTuple):
    """Interactions as they came.

    Attributes
    ----------
    users : (users,) their ids, int64 or object of str, each once; in order of appearance.
    rows : (n,) which of them each pair is of.
    items : (n,) ids as they came.
    weights : (n,) float64 >= 0.
    times : (n,) float64, or None.
    where : the place of pair i in the user's words.
    said : what was found out.
    """

    users: np.ndarray
    rows: np.ndarray
    items: np.ndarray
    weights: np.ndarray
    times: np.ndarray | None
    where: Where
    said: tuple[str, ...]


def pairs_of(X: Any, columns: Columns, argument: str) -> Pairs:
    """The pairs, whatever they come in."""
    if isinstance(X, (str, os.PathLike)) or (library_of(X) in ("pandas", "polars") and hasattr(X, "columns")):
        return table_pairs(X, columns, argument)
    nested = isinstance(X, np.ndarray) and X.dtype == object and X.ndim == 1
    if not (isinstance(X, (Mapping, list, tuple)) or nested):
        shape = f" of shape {tuple(X.shape)}" if hasattr(X, "shape") else ""
        raise InputError(
            f"{argument} must be a table with a row per interaction (a frame or a path), histories (lists of item "
            f"ids), or a scipy sparse matrix; got {type(X).__name__}{shape}. A dense matrix, users by items: "
            f"scipy.sparse.csr_array({argument})."
        )
    check_unnamed(columns, f"{argument} holds histories")
    return history_pairs(X, argument)


def table_pairs(X: Any, columns: Columns, argument: str) -> Pairs:
    """The pairs of a pandas or polars frame, or of a file (.csv, .tsv, .jsonl, also .gz; .parquet)."""
    import pandas as pd

    said: tuple[str, ...] = ()
    if isinstance(X, (str, os.PathLike)):
        X, said = opened_interactions(X)
    if library_of(X) == "pandas":
        check_single_level(X, argument)
    names = [str(name) for name in X.columns]
    check_distinct(names, argument)
    if not len(X):
        raise InputError(f"{argument} has no rows")
    places, told = chosen(names, columns, argument)

    def cells(part: str) -> np.ndarray:
        place = places[part]
        return column_cells(X.iloc[:, place] if library_of(X) == "pandas" else X.to_series(place))

    users, told_users = as_ids(cells("user"), "user")
    items, told_items = as_ids(cells("item"), "item")
    rows, kinds = pd.factorize(users)
    named = {part: repr(names[place]) for part, place in places.items()}
    weights = as_weights(cells("weight"), named["weight"]) if "weight" in places else np.ones(len(items))
    times = as_times(cells("time"), named["time"]) if "time" in places else None
    return Pairs(kinds, rows, items, weights, times, row_number, (*said, told, *told_users, *told_items))


def opened_interactions(X: str | os.PathLike[str]) -> tuple[Any, tuple[str, ...]]:
    """The same as `opened_table`; of a text that is no file it may be that it is an item."""
    path = Path(X).expanduser()
    if isinstance(X, str) and path.name == X and not path.exists() and ending_of(path) not in TABLES:
        raise InputError(
            f"the table {X!r} does not exist.{nearby(path)} Is it an item? Histories are lists, one for each person: "
            f"[[{X!r}]]"
        )
    return opened_table(path)


def opened_table(path: Path) -> tuple[Any, tuple[str, ...]]:
    """A frame from a file, and what its reader found out."""
    if not path.is_file():
        problem = "is a folder, not a file." if path.is_dir() else f"does not exist.{nearby(path)}"
        raise InputError(f"the table {str(path)!r} {problem}")
    if ending_of(path) not in TABLES:
        raise InputError(f"{str(path)!r}: interactions are read from {', '.join(TABLES)} files")
    return read_table(path)


def chosen(names: list[str], columns: Columns, argument: str) -> tuple[dict[str, int], str]:
    """Where the columns are, and the sentence that says so."""
    usual = {"user": USERS, "item": ITEMS, "weight": WEIGHTS, "time": TIMES}
    plain = ["".join(sign for sign in name.lower() if sign.isalnum()) for name in names]
    places: dict[str, int] = {}
    for part, known in usual.items():
        name = getattr(columns, part)
        if isinstance(name, str):
            if name not in names:
                raise InputError(f"{part}: {argument} has no column {name!r}.{did_you_mean(name, names)}")
            places[part] = names.index(name)
        elif name is None:
            found = [plain.index(word) for word in known if word in plain and plain.index(word) not in places.values()]
            places |= {part: found[0]} if found else {}
        elif part in ("user", "item") or name is not False:
            raise InputError(f"{part} must be the name of a column of {argument}, or None; got {name!r}")
    for part in ("user", "item"):
        if part not in places:
            raise InputError(
                f"which column of {argument} holds the {part}s? It has {listed(names)}; "
                f"say it: {part}={names[min(part == 'item', len(names) - 1)]!r}"
            )
    twice = [name for place, name in enumerate(names) if list(places.values()).count(place) > 1]
    if twice:
        raise InputError(f"column {twice[0]!r} of {argument} cannot be two of users, items, weights and times")
    return places, ", ".join(f"{part}s from column {names[place]!r}" for part, place in places.items())


def check_unnamed(columns: Columns, but: str) -> None:
    named = [part for part, name in zip(columns._fields, columns, strict=True) if name is not None]
    if named:
        raise InputError(f"{named[0]} names a column of a table, but {but}")


def check_any(many: int, argument: str) -> None:
    if not many:
        raise InputError(f"{argument} has no interactions: no pair of a user and an item has a weight above 0")


def check_duplicates(duplicates: str) -> None:
    if duplicates not in ("sum", "last"):
        raise InputError(f"duplicates must be 'sum' or 'last'; got {duplicates!r}")


def history_pairs(X: Mapping[Any, Iterable[Any]] | Iterable[Iterable[Any]], argument: str) -> Pairs:
    """The pairs of histories, each a list of item ids: in a dict by user, or in a list, its users numbered from 0."""
    keys = list(X) if isinstance(X, Mapping) else None
    lists = []
    for i, history in enumerate(X.values() if isinstance(X, Mapping) else X):
        if isinstance(history, (str, bytes, Mapping)) or not isinstance(history, Iterable):
            hint = f" For one person: [{argument}]." if keys is None else ""
            if isinstance(history, str):
                hint += f" A history is a list of items, even of one: {[[history]] if keys is None else [history]!r}."
            whose = f"history number {i + 1:,}" if keys is None else f"the history of {keys[i]!r}"
            raise InputError(f"{argument} must hold histories, each a list of item ids; {whose} is {history!r}.{hint}")
        # The order of a set differs from run to run, and with it, otherwise, what is said first.
        lists.append(sorted(history, key=str) if isinstance(history, (set, frozenset)) else list(history))
    sizes = np.array([len(history) for history in lists], dtype=np.int64)
    starts = np.concatenate([[0], np.cumsum(sizes)])
    cells = np.empty(int(starts[-1]), dtype=object)
    cells[:] = list(chain.from_iterable(lists))

    def where(i: int) -> str:
        history = int(np.searchsorted(starts, i, side="right")) - 1
        return f"place {i - int(starts[history]) + 1:,} of history number {history + 1:,}"

    users, told = np.arange(len(lists)), tuple[str, ...]()
    if keys is not None:
        named = np.empty(len(keys), dtype=object)
        named[:] = keys
        users, told = as_ids(named, "user", lambda i: f"key number {i + 1:,}")
        if len(set(users.tolist())) < len(users):
            raise InputError(f"{argument} has users whose names, as texts, are the same: {listed(keys, 4)}")
    items, told_items = as_ids(cells, "item", where)
    rows = np.repeat(np.arange(len(lists)), sizes)
    return Pairs(users, rows, items, np.ones(len(items)), None, where, (*told, *told_items))
