"""What is known of people or things beside what they did: columns of a table as properties that one has or has not."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import scipy.sparse

from isthmus.checks import counted, did_you_mean, listed
from isthmus.data.arrays import short
from isthmus.data.given import is_missing
from isthmus.data.interaction_cells import as_ids, column_cells
from isthmus.data.interaction_pairs import ITEMS, USERS, opened_table
from isthmus.data.packing import pack_text, unpack_text
from isthmus.data.tables import check_distinct, check_single_level, library_of
from isthmus.errors import DataWarning, InputError

MOST_LEVELS = 1000
"""Properties that one column makes, at most: the commonest of its values."""

FEW_NUMBERS, MOST_RANGES = 20, 10
"""Of no more different numbers than these each is a property; of more, the ranges between quantiles are."""

BETWEEN = "|"
"""What parts several values of one cell, as in ``Comedy|Crime``."""


class Described(NamedTuple):
    """A table: ``ids`` (rows,), each once; ``cells`` (rows,) of each column; ``argument``, what errors call it."""

    ids: np.ndarray
    cells: dict[str, np.ndarray]
    argument: str


def described(table: Any, of: str, column: str | None, argument: str) -> Described:
    """Read a table with a row per user or per item.

    Parameters
    ----------
    table : a pandas or polars frame, or the path of a .csv, .tsv, .jsonl or .parquet file.
    of : ``"user"`` or ``"item"``.
    column : the column of the ids; None = one with a usual name, and of a pandas frame otherwise its index.
    argument : what errors call the table.
    """
    if isinstance(table, (str, os.PathLike)):
        table, indexed = opened_table(Path(table).expanduser())[0], False
    elif library_of(table) in ("pandas", "polars") and hasattr(table, "columns"):
        indexed = library_of(table) == "pandas"
    else:
        raise InputError(
            f"{argument} must be a table with a row per {of}, a frame or a path; got {type(table).__name__}"
        )
    if library_of(table) == "pandas":
        check_single_level(table, argument)
    names = [str(name) for name in table.columns]
    check_distinct(names, argument)
    cells = {
        name: column_cells(table.iloc[:, place] if library_of(table) == "pandas" else table.to_series(place))
        for place, name in enumerate(names)
    }
    own = id_column(names, of, column)
    if own is None and not indexed:
        raise InputError(f"{argument}: which column holds the {of}s? It has {listed(names)}; name it {of!r}")
    ids = as_ids(column_cells(table.index.to_series()) if own is None else cells.pop(own), of)[0]
    again = [one for one, many in zip(*np.unique(ids, return_counts=True), strict=True) if many > 1]
    if again:
        raise InputError(f"{argument} must have one row per {of}; {listed(again, 4)} come more than once")
    if not cells or not len(ids):
        raise InputError(f"{argument} says nothing: it has no {'columns beside the ids' if len(ids) else 'rows'}")
    return Described(ids, cells, argument)


def id_column(names: Sequence[str], of: str, column: str | None) -> str | None:
    """The column of the ids: as it is told, else the one with the most usual name."""
    if column in names:
        return column
    plain = ["".join(sign for sign in name.lower() if sign.isalnum()) for name in names]
    usual = [names[plain.index(word)] for word in (USERS if of == "user" else ITEMS) if word in plain]
    return usual[0] if usual else None


@dataclass(frozen=True)
class Column:
    """The properties that one column makes.

    Attributes
    ----------
    name : what it is called.
    levels : values that one may have, as texts; a cell may hold several.
    edges : of numbers, ascending: a property is to lie below the first, between two, or from the last on.
    """

    name: str
    levels: tuple[str, ...] = ()
    edges: tuple[float, ...] = ()

    def names(self) -> tuple[str, ...]:
        """
        >>> Column("town", ("Ulm",)).names(), Column("age", edges=(20.0, 30.5)).names()
        (('town = Ulm',), ('age < 20', '20 <= age < 30.5', 'age >= 30.5'))
        """
        if not self.edges:
            return tuple(f"{self.name} = {level}" for level in self.levels)
        ends = [f"{edge:.6g}" for edge in self.edges]
        between = (f"{low} <= {self.name} < {high}" for low, high in pairwise(ends))
        return (f"{self.name} < {ends[0]}", *between, f"{self.name} >= {ends[-1]}")

    def places(self, cells: np.ndarray, argument: str) -> tuple[np.ndarray, np.ndarray, set[str]]:
        """Which rows have which properties, and values that are none of them; missing cells say nothing."""
        what = f"{argument}: column {self.name!r}"
        if self.edges:
            numbers = as_numbers(cells, what)
            if numbers is None:
                raise InputError(f"{what} was numbers in the fit; got {short(next(of for _, of in values_of(cells)))}")
            rows = np.flatnonzero(~np.isnan(numbers))
            return rows, np.searchsorted(self.edges, numbers[rows], side="right"), set()
        known = {level: place for place, level in enumerate(self.levels)}
        found = {(row, known.get(value, value)) for row, value in values_of(cells)}
        pairs = sorted((row, place) for row, place in found if not isinstance(place, str))
        rows, places = np.array(pairs, dtype=np.int64).reshape(-1, 2).T
        return rows, places, {place for _, place in found if isinstance(place, str)}


@dataclass(frozen=True)
class Properties:
    """What a fit learnt to tell people, or things, by: its ``columns``."""

    columns: tuple[Column, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """Of all properties, in order."""
        return tuple(name for column in self.columns for name in column.names())

    def encode(self, table: Described, ids: np.ndarray, quiet: bool = False) -> scipy.sparse.csr_array:
        """(ids, properties) float32, 1 for what each of ``ids`` has; empty rows where the table has no such id.

        ``quiet``: do not warn.

        Raises
        ------
        InputError : all columns are missing.

        Warns
        -----
        DataWarning : a column is missing; values were not in the fit.
        """
        where = place_in(ids, table.ids)
        absent = [column.name for column in self.columns if column.name not in table.cells]
        if absent:
            told = f"{table.argument} has no column {listed(absent)}, which the fit had"
            if len(absent) == len(self.columns):
                raise InputError(f"{told}.{did_you_mean(absent[0], table.cells)}")
            if not quiet:
                warnings.warn(f"{told}: taken as unknown", DataWarning, stacklevel=2)
        rows, places, before = [], [], 0
        for column in self.columns:
            cells = table.cells.get(column.name, np.full(len(table.ids), None))
            some, at, strange = column.places(cells, table.argument)
            if strange and not quiet:
                few = sorted(strange)
                warnings.warn(
                    f"{table.argument}: column {column.name!r} has {counted(len(few), 'value')} that the fit did not "
                    f"learn, taken as unknown: {listed(few[:3])}{f' and {len(few) - 3:,} more' if few[3:] else ''}",
                    DataWarning,
                    stacklevel=2,
                )
            rows.append(some)
            places.append(at + before)
            before += len(column.names())
        shape = (len(table.ids), before)
        there = (np.concatenate(rows), np.concatenate(places))
        made = scipy.sparse.csr_array((np.ones(len(there[0]), dtype=np.float32), there), shape=shape)
        known = np.flatnonzero(where >= 0)
        inside = (np.ones(len(known), dtype=np.float32), (known, where[known]))
        return scipy.sparse.csr_array(scipy.sparse.csr_array(inside, shape=(len(ids), len(table.ids))) @ made)

    def state(self) -> tuple[list[dict[str, Any]], dict[str, np.ndarray]]:
        """JSON data and named arrays; what grows with the levels is in the arrays."""
        tensors: dict[str, np.ndarray] = {}
        for place, column in enumerate(self.columns):
            tensors[f"{place}.letters"], tensors[f"{place}.offsets"] = pack_text(column.levels)
            tensors[f"{place}.edges"] = np.array(column.edges, dtype=np.float64)
        return [{"name": column.name} for column in self.columns], tensors

    @classmethod
    def restore(cls, body: list[dict[str, Any]], tensors: Mapping[str, np.ndarray]) -> Properties:
        """The inverse of `state`."""
        made = []
        for place, one in enumerate(body):
            levels = unpack_text(tensors[f"{place}.letters"], tensors[f"{place}.offsets"])
            made.append(Column(str(one["name"]), levels, tuple(tensors[f"{place}.edges"].tolist())))
        return cls(tuple(made))


def properties(table: Described, ids: np.ndarray) -> tuple[Properties, tuple[str, ...]]:
    """The properties that tell some of ``ids`` from others, and what there is to say.

    Texts, truth values and few different numbers are levels, of which each is had by two of ``ids`` at least; other
    numbers are ranges between quantiles, which take any shape of a dependence and, never negative, suit every model.

    Raises
    ------
    InputError : no column tells anything; a number is infinite; a column holds dates.

    Examples
    --------
    >>> import pandas as pd
    >>> table = described(pd.DataFrame({"kind": ["a|b", "a", "b", "c"]}), "item", None, "item_given")
    >>> found, said = properties(table, np.arange(4))
    >>> found.names, found.encode(table, np.arange(4), quiet=True).toarray().tolist()
    (('kind = a', 'kind = b'), [[1.0, 1.0], [1.0, 0.0], [0.0, 1.0], [0.0, 0.0]])
    >>> print(said[0])
    item_given: 1 of 3 values of column 'kind' is had by one alone, or is not among the commonest 1,000: passed over
    """
    kept = np.flatnonzero(place_in(table.ids, ids) >= 0)
    made, said = [], []
    for name, cells in table.cells.items():
        what = f"{table.argument}: column {name!r}"
        some = cells[kept]
        numbers = as_numbers(some, what)
        column, told = levelled(name, some, table.argument) if few(numbers) else (ranges(name, numbers), "")
        said += [told] if told else []
        rows, places, _ = column.places(some, table.argument)
        if len(np.unique(places)) > 1 or (len(places) and len(np.unique(rows)) < len(kept)):
            made.append(column)
        elif not told:
            said.append(f"{what} is empty or the same everywhere, and says nothing")
    if not made:
        why = "; ".join(one.removeprefix(f"{table.argument}: ") for one in said)
        raise InputError(f"{table.argument}: no column tells one from another ({why}). Leave it out")
    return Properties(tuple(made)), tuple(said)


def few(numbers: np.ndarray | None) -> bool:
    """Whether cells are levels: texts, or few different numbers that come again."""
    if numbers is None:
        return True
    there = numbers[~np.isnan(numbers)]
    return len(np.unique(there)) <= min(FEW_NUMBERS, len(there) // 2)


def levelled(name: str, cells: np.ndarray, argument: str) -> tuple[Column, str]:
    """The commonest values of a column that more than one has, and a sentence where there are others."""
    holders: dict[str, set[int]] = {}
    for row, value in values_of(cells):
        holders.setdefault(value, set()).add(row)
    order = sorted(holders, key=lambda value: (-len(holders[value]), value))
    kept = [value for value in order[:MOST_LEVELS] if len(holders[value]) > 1]
    lost = len(order) - len(kept)
    told = (
        f"{argument}: {lost:,} of {counted(len(order), 'value')} of column {name!r} {'is' if lost == 1 else 'are'} had "
        f"by one alone, or {'is' if lost == 1 else 'are'} not among the commonest {MOST_LEVELS:,}: passed over"
    )
    return Column(name, tuple(sorted(kept))), told if lost else ""


def ranges(name: str, numbers: np.ndarray | None) -> Column:
    """Ranges with about equally many numbers in each."""
    assert numbers is not None
    there = numbers[~np.isnan(numbers)]
    parts = int(np.clip(len(there) // 5, 2, MOST_RANGES))
    edges = np.unique(np.quantile(there, np.arange(1, parts) / parts, method="higher"))
    return Column(name, edges=tuple(edges[edges > there.min()].tolist()))


def as_numbers(cells: np.ndarray, what: str) -> np.ndarray | None:
    """(n,) float64, NaN where a cell is missing; None where cells are not numbers."""
    import pandas as pd

    kind = pd.api.types.infer_dtype(cells, skipna=True)
    if kind == "empty":
        return np.full(len(cells), np.nan)
    if kind.startswith(("datetime", "date", "timedelta", "period")):
        raise InputError(f"{what} holds dates or times; give numbers (years, hours) or texts")
    if kind not in ("integer", "floating", "mixed-integer-float", "decimal"):
        return None
    made = pd.Series(cells).astype("float64").to_numpy() if cells.dtype != object else plain_floats(cells)
    odd = np.flatnonzero(np.isinf(made))
    if len(odd):
        raise InputError(f"{what} must be finite, or missing; row number {odd[0] + 1:,} is {made[odd[0]]}")
    return made


def plain_floats(cells: np.ndarray) -> np.ndarray:
    return np.array([np.nan if is_missing(cell) else float(cell) for cell in cells.tolist()])


def values_of(cells: np.ndarray) -> Iterator[tuple[int, str]]:
    """(row, value as text) of all cells that are not missing, each value of a cell with several."""
    for row, cell in enumerate(cells.tolist()):
        if isinstance(cell, str):
            several: Any = cell.split(BETWEEN)
        else:
            several = cell if isinstance(cell, (list, tuple, set, frozenset, np.ndarray)) else [cell]
        for one in several:
            if is_missing(one):
                continue
            text = str(int(one)) if isinstance(one, float) and one.is_integer() else str(one).strip()
            if text:
                yield row, text


def place_in(ids: np.ndarray, known: np.ndarray) -> np.ndarray:
    """(ids,) the place of each among ``known``, -1 where it is not; where only one side is texts, both are."""
    import pandas as pd

    if ids.dtype != known.dtype:
        ids, known = ids.astype(str).astype(object), known.astype(str).astype(object)
    return np.asarray(pd.Index(known).get_indexer(ids))
