"""Mixed tables: columns of any type, with missing cells, coded one at a time into a matrix of raw numbers."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from isthmus.data.coding import Coding
from isthmus.data.columns import MIXED_TYPES, Among, LeftOut, inferred
from isthmus.data.form import Form
from isthmus.data.sources import ArraySource, spread_rows
from isthmus.data.table_form import TableForm
from isthmus.data.tables import column_position, kept_columns
from isthmus.errors import DataWarning, InputError
from isthmus.records import Layout

LOOKED_AT = 100_000
"""Rows of an array that decide what a column of numbers holds; there are no levels to be counted."""


@dataclass(frozen=True)
class Table:
    """A table whose columns are read one at a time.

    Attributes
    ----------
    container : what results come back as.
    names : column names; those of a nameless table are its positions, as text.
    rows : how many there are.
    column : of a position, the column as an Arrow array, and the name of its type in the user's table.
    named : whether the columns have names.
    default : what columns with a value are, of which the user says nothing; None = it is inferred.
    numbered : the names are whole numbers in the user's frame.
    index : the pandas index of the rows, if any.
    numbers : whether all columns are of numbers and truth values.
    """

    container: str
    names: tuple[str, ...]
    rows: int
    column: Callable[[int], tuple[Any, str]]
    named: bool = True
    default: str | None = None
    numbered: bool = False
    index: Any = None
    numbers: bool = False


class MixedSource(ArraySource):
    """A mixed table in memory, as raw numbers: level numbers, seconds since 1970 for dates, NaN for what is missing.

    Parameters
    ----------
    values : (rows, columns) float32 or float64.
    form : what each column is.
    complete : whether no cell is missing; None = to be looked up.
    index, kept, mapped, argument : as in `ArraySource`.
    """

    def __init__(
        self,
        values: np.ndarray,
        form: TableForm,
        *,
        complete: bool | None = None,
        index: Any = None,
        kept: tuple[int, ...] | None = None,
        mapped: bool = False,
        argument: str = "X",
    ) -> None:
        super().__init__(
            values, names=form.names, dtypes=form.dtypes, container=form.container, index=index,
            numbered=form.numbered, kept=kept, mapped=mapped, argument=argument,
        )  # fmt: skip
        self.coded = form
        self.layout = form.layout
        self.complete = not has_gaps(self.array) if complete is None else complete
        self.per_column = scalings(form, kept)

    @property
    def form(self) -> Form:
        return self.coded

    @property
    def dtype(self) -> np.dtype:
        return self.array.dtype

    def weight(self, rows: np.ndarray) -> np.ndarray | None:
        return None if self.complete else known(self.take(rows))

    def weight_of(self, raw: np.ndarray, rows: np.ndarray) -> np.ndarray | None:
        return None if self.complete else known(raw)


def known(values: np.ndarray) -> np.ndarray:
    """(n, columns) float32: 1 in cells that are known, 0 in missing ones.

    >>> known(np.array([[1.0, np.nan]]))
    array([[1., 0.]], dtype=float32)
    """
    return (~np.isnan(values)).astype(np.float32)


def has_gaps(values: np.ndarray) -> bool:
    """Whether a cell is NaN: the least number shows it, in one pass and without an array.

    >>> has_gaps(np.array([[1.0, np.nan]])), has_gaps(np.array([[1, 2]]))
    (True, False)
    """
    return values.dtype.kind == "f" and values.size > 0 and bool(np.isnan(values.min()))


def scalings(form: TableForm, kept: tuple[int, ...] | None) -> dict[str | int, str]:
    """How the columns that ask for it are to be scaled, by name, or by the position in a nameless table."""
    places: Sequence[str | int] = form.names or kept or range(len(form.codings))
    return {place: one.scaling for place, one in zip(places, form.codings, strict=True) if one.scaling != "auto"}


# Learnt from a table.


def wanted_types(columns: Mapping[Any, str] | None, table: Table, strict: bool) -> dict[int, str]:
    """What the user asked for, by the position of the column."""
    names = table.names if table.named else None
    kept_columns(columns, names, len(table.names), strict, table.numbered)
    places = {column_position(c, names, len(table.names), table.numbered): t for c, t in (columns or {}).items()}
    return {place: wanted for place, wanted in places.items() if place is not None}


def met(table: Table, wanted: Mapping[int, str], argument: str) -> Iterator[tuple[int, Coding | LeftOut, Any]]:
    """Yield the position of every column that is not ignored, what it is taken for, and its Arrow array."""
    among = Among(len(table.names), table.numbers)
    for place, name in enumerate(table.names):
        if wanted.get(place) == "ignore":
            continue
        array, dtype = table.column(place)
        wish = wanted.get(place, table.default if array.null_count < len(array) else None)
        one = inferred(name, array, dtype, wish, argument, among=among)
        if place not in wanted and wish is not None and isinstance(one, Coding):
            one = replace(one, reason="an array of numbers")
        yield place, one, array


def form_of(table: Table, codings: Sequence[Coding], left_out: Sequence[LeftOut], argument: str) -> TableForm:
    """The form of a table whose columns have been met; one warning names those that are left out."""
    if not codings:
        raise InputError(f"{argument} has no column to learn from. {left_out_sentence(left_out)}")
    if left_out:
        warnings.warn(f"{argument}: {left_out_sentence(left_out)}", DataWarning, stacklevel=6)
    layout = Layout((len(codings),), ("column",), tuple(one.column for one in codings))
    return TableForm(
        table.container, tuple(one.name for one in codings) if table.named else None,
        tuple(one.dtype for one in codings), layout, table.numbered, codings=tuple(codings), left_out=tuple(left_out),
    )  # fmt: skip


def left_out_sentence(left_out: Sequence[LeftOut]) -> str:
    """Which columns are not used, why, and how to use them all the same.

    >>> left_out_sentence([LeftOut("id", "every value is different")])
    "Left out: id (every value is different). To keep one that has values: columns={'id': 'category'}."
    """
    more = f"; and {len(left_out) - 8} more" if len(left_out) > 8 else ""
    named = "; ".join(f"{one.name} ({one.reason})" for one in left_out[:8])
    return f"Left out: {named}{more}. To keep one that has values: columns={{{left_out[0].name!r}: 'category'}}."


def understood(
    some: Table, whole: Table, wanted: Mapping[int, str], argument: str, matrix: Matrix | None = None
) -> tuple[TableForm, list[int]]:
    """The form of a ``whole`` table, told by ``some`` of its rows, and where the columns are that are used; what these
    rows hold is added to a ``matrix``."""
    codings, left_out, kept = [], [], []
    for place, one, array in met(some, wanted, argument):
        if isinstance(one, LeftOut):
            left_out.append(one)
            continue
        if matrix is not None:
            matrix.add(one.encode(array, argument).values)
        codings.append(one)
        kept.append(place)
    return form_of(whole, codings, left_out, argument), kept


def learnt(table: Table, columns: Mapping[Any, str] | None, argument: str) -> MixedSource:
    """A source of a mixed table whose columns have yet to be understood."""
    matrix = Matrix(table.rows, len(table.names))
    form, kept = understood(table, table, wanted_types(columns, table, strict=True), argument, matrix)
    return MixedSource(
        matrix.whole(), form, complete=not matrix.gaps, index=table.index, kept=some_of(kept, table),
        argument=argument,
    )  # fmt: skip


def some_of(places: Sequence[int], table: Table) -> tuple[int, ...] | None:
    """The positions that are used, or None where all are."""
    return None if list(places) == list(range(len(table.names))) else tuple(places)


def learnt_array(array: np.ndarray, columns: Mapping[Any, str] | None, mapped: bool, argument: str) -> MixedSource:
    """A source of a nameless table of numbers with missing cells, or of which the user says what columns are.

    Nothing is inferred but what the user asks for; a column of numbers is used where it lies, without a copy.
    """
    table = array_table(array)
    wanted = wanted_types(columns, table, strict=True)
    if any(one in MIXED_TYPES for one in wanted.values()):
        return learnt(table, columns, argument)
    some = array_table(array[spread_rows(len(array), LOOKED_AT)]) if len(array) > LOOKED_AT else table
    form, kept = understood(some, table, wanted, argument)
    used = some_of(kept, table)
    return MixedSource(
        array if used is None else array[:, kept], form, kept=used, mapped=mapped and used is None, argument=argument
    )


def array_table(array: np.ndarray) -> Table:
    """A nameless table of numbers."""
    import pyarrow

    dtype = array.dtype.newbyteorder("=")
    plain = np.dtype(np.float64) if dtype.itemsize > 8 else dtype  # Arrow has no longer numbers

    def column(place: int) -> tuple[Any, str]:
        return pyarrow.array(np.ascontiguousarray(array[:, place], dtype=plain), from_pandas=True), dtype.name

    return Table(
        "numpy",
        tuple(map(str, range(array.shape[1]))),
        len(array),
        column,
        named=False,
        default="numeric",
        numbers=True,
    )


class Matrix:
    """The columns of a table as one matrix, float32 as long as that holds every number exactly.

    Examples
    --------
    >>> matrix = Matrix(rows=2, width=2)
    >>> matrix.add(np.array([0.0, 1.0]))
    >>> matrix.whole().dtype, matrix.whole().shape, matrix.gaps
    (dtype('float32'), (2, 1), False)
    >>> matrix.add(np.array([np.nan, 0.1]))
    >>> matrix.whole().dtype, matrix.whole().shape, matrix.gaps
    (dtype('float64'), (2, 2), True)
    """

    def __init__(self, rows: int, width: int) -> None:
        self.values: np.ndarray = np.empty((rows, width), dtype=np.float32)
        self.used = 0
        self.gaps = False

    def add(self, column: np.ndarray) -> None:
        """One more column, (rows,) float64."""
        if self.values.dtype == np.float32 and not fits_float32(column):
            wide = np.empty(self.values.shape, dtype=np.float64)
            wide[:, : self.used] = self.values[:, : self.used]
            self.values = wide
        self.values[:, self.used] = column
        self.used += 1
        self.gaps = self.gaps or has_gaps(column)

    def whole(self) -> np.ndarray:
        """(rows, columns) what was added; room that stayed empty is given back where there is much of it."""
        made = self.values[:, : self.used]
        return made if 2 * self.used > self.values.shape[1] else np.ascontiguousarray(made)


def fits_float32(column: np.ndarray) -> bool:
    """Whether every number, but for those that are missing, is one of float32 too.

    >>> fits_float32(np.array([0.5, np.nan])), fits_float32(np.array([0.1])), fits_float32(np.array([1e300]))
    (True, False, False)
    """
    with np.errstate(over="ignore"):
        return bool(((column.astype(np.float32) == column) | np.isnan(column)).all())
