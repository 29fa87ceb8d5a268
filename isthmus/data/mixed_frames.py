"""Frames of pandas and polars as mixed tables: whether they are, and their columns as Arrow arrays."""

from __future__ import annotations

import numbers
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from isthmus.data.columns import MIXED_TYPES, arrow_of
from isthmus.data.form import Form, is_plain
from isthmus.data.later import coded
from isthmus.data.mixed import Table, has_gaps, learnt
from isthmus.data.sources import Source
from isthmus.data.table_form import TableForm
from isthmus.data.tables import (
    check_distinct,
    check_not_empty,
    check_polars,
    check_single_level,
    is_numbered,
    is_polars_number,
    library_of,
    pandas_source,
    polars_source,
)
from isthmus.errors import InputError

NUMBERS = ("integer", "floating", "mixed-integer-float", "boolean")
"""What pandas calls a column of objects that are all numbers, or all truth values."""


def asks_for_mixed(columns: Mapping[Any, str] | None) -> bool:
    """Whether the user says of a column what only mixed tables hold."""
    return any(wanted in MIXED_TYPES for wanted in (columns or {}).values() if isinstance(wanted, str))


def pandas_is_mixed(frame: Any) -> bool:
    """Whether a column holds something else than numbers, or a cell is missing; of floats alone that is seen later."""
    dtypes = frame.dtypes
    first = dtypes.iloc[0] if len(dtypes) else None
    # One type for all: looking at thousands of columns singly takes long.
    if isinstance(first, np.dtype) and first.kind in "biufc" and (dtypes == first).all():
        return False
    return any(column_is_mixed(frame.iloc[:, i]) for i in range(len(dtypes)))


def column_is_mixed(column: Any) -> bool:
    """Whether a pandas column holds something else than numbers, or a cell is missing."""
    import pandas as pd

    dtype = column.dtype.subtype if isinstance(column.dtype, pd.SparseDtype) else column.dtype
    if pd.api.types.is_object_dtype(dtype):
        # Complex numbers are no numbers of any table: they are refused there.
        kind = pd.api.types.infer_dtype(column, skipna=False)
        if kind in ("mixed", "mixed-integer"):  # truth values among numbers
            return not all(isinstance(cell, (numbers.Real, np.bool_)) and cell == cell for cell in column)
        return kind not in (*NUMBERS, "complex")
    if isinstance(dtype, np.dtype) and dtype.kind == "c":
        return False
    return not is_plain(str(dtype)) or bool(column.isna().any())


def pandas_is_numbers(frame: Any) -> bool:
    """Whether no column holds anything but numbers and truth values; cells may be missing, all of a column too."""
    import pandas as pd

    types = pd.api.types
    for place, dtype in enumerate(frame.dtypes):
        dtype = dtype.subtype if isinstance(dtype, pd.SparseDtype) else dtype
        if is_plain(str(dtype)) and not types.is_object_dtype(dtype):
            continue
        column = frame.iloc[:, place]
        numbers_ = types.is_object_dtype(dtype) and types.infer_dtype(column, skipna=True) in NUMBERS
        if not (numbers_ or column.isna().all()):
            return False
    return True


def polars_is_numbers(frame: Any) -> bool:
    """`pandas_is_numbers` for polars."""
    return all(is_polars_number(column.dtype) or column.null_count() == len(column) for column in frame.iter_columns())


def pandas_table(frame: Any, argument: str, rename: Sequence[str] | None = None) -> Table:
    """A pandas frame as a mixed table; ``rename`` = () marks one whose columns have no names."""
    check_single_level(frame, argument)
    names = tuple(str(label) for label in frame.columns)
    check_distinct(names, argument)
    check_not_empty(frame.shape, argument)

    series = [one for _, one in frame.items()]  # five times as quick as to look for each by its place

    def column(place: int) -> tuple[Any, str]:
        return pandas_arrow(series[place], names[place], argument)

    return Table(
        "pandas", names, len(frame), column, named=rename != (), numbered=rename is None and is_numbered(frame.columns),
        index=frame.index,
    )  # fmt: skip


def pandas_arrow(column: Any, name: str, argument: str) -> tuple[Any, str]:
    """A pandas column as an Arrow array, and the name of its type."""
    import pandas as pd

    if isinstance(column.dtype, pd.SparseDtype):
        column = column.sparse.to_dense()
    return arrow_of(column, name, argument), dtype_name(column)


def dtype_name(column: Any) -> str:
    """The name of the type of a pandas column, from which it can be made again.

    >>> import pandas as pd
    >>> dtype_name(pd.Series(["a"], dtype=pd.StringDtype("python", na_value=np.nan)))
    'str[python]'
    >>> dtype_name(pd.Series([True, None])), dtype_name(pd.Series([True, np.nan]))
    ('object', 'object[nan]')
    """
    import pandas as pd

    dtype = column.dtype
    if isinstance(dtype, pd.StringDtype):
        # pandas calls strings of every storage alike.
        word = "string" if dtype.na_value is pd.NA else "str"
        return word if dtype.storage == "pyarrow" else f"{word}[{dtype.storage}]"
    if isinstance(dtype, np.dtype) and dtype.kind in "biuf":
        return dtype.newbyteorder("=").name
    if pd.api.types.is_object_dtype(dtype):
        missing = column[column.isna()]
        return "object[nan]" if len(missing) and isinstance(missing.iloc[0], float) else "object"
    return "category" if isinstance(dtype, pd.CategoricalDtype) else str(dtype)


def polars_is_mixed(frame: Any) -> bool:
    """Whether a column holds something else than numbers, or a cell is missing."""
    for column in frame.iter_columns():
        if not is_polars_number(column.dtype) or column.null_count():
            return True
        if column.dtype.is_float() and column.is_nan().any():
            return True
    return False


def polars_table(frame: Any, argument: str) -> Table:
    """A polars frame as a mixed table."""
    check_not_empty((frame.height, frame.width), argument)

    def column(place: int) -> tuple[Any, str]:
        series = frame.to_series(place)
        if str(series.dtype) in ("Int128", "UInt128"):
            raise InputError(
                f"column {series.name!r} of {argument} has type {series.dtype}: cast it to Int64 or Float64"
            )
        return series.to_arrow(), str(series.dtype).partition("(")[0]

    return Table("polars", tuple(frame.columns), frame.height, column)


def frame_source(
    frame: Any,
    argument: str,
    columns: Mapping[Any, str] | None,
    form: Form | None = None,
    estimator_name: str = "Autoencoder",
    *,
    rename: Sequence[str] | None = None,
    by_name: bool = False,
) -> Source:
    """A pandas, polars or Arrow table as a source: of numbers alone, or of mixed columns.

    Parameters
    ----------
    frame, argument, columns, form, estimator_name : as in `open_source`.
    rename : () marks a table whose columns have no names.
    by_name : columns may stand in another order than those of the form.
    """
    if library_of(frame) == "pyarrow":
        frame = frame.to_pandas()
    polars = library_of(frame) == "polars"
    if polars:
        check_polars(frame, argument)
    else:
        check_single_level(frame, argument)
    mixed = isinstance(form, TableForm)
    if form is None:
        used = not_ignored(frame, columns)
        mixed = asks_for_mixed(columns) or (polars_is_mixed if polars else pandas_is_mixed)(used)
    if not mixed:
        if polars:
            return polars_source(frame, argument, columns, form is None)
        source = pandas_source(frame, argument, columns, form is None, rename)
        if form is not None or not has_gaps(source.array):
            return source
    table = polars_table(frame, argument) if polars else pandas_table(frame, argument, rename)
    if isinstance(form, TableForm):
        return coded(table, form, columns, argument, estimator_name, by_name)
    numbers_ = not mixed or (polars_is_numbers if polars else pandas_is_numbers)(used)
    return learnt(replace(table, numbers=numbers_), columns, argument)


def not_ignored(frame: Any, columns: Mapping[Any, str] | None) -> Any:
    """The frame without the columns that are ignored by name: what they hold says nothing about the others."""
    ignored = {str(name) for name, wanted in (columns or {}).items() if wanted == "ignore"}
    left = [i for i, name in enumerate(frame.columns) if str(name) not in ignored]
    if len(left) == len(frame.columns):
        return frame
    return frame[:, left] if library_of(frame) == "polars" else frame.iloc[:, left]
