"""Results as files: what the extension says, whole or not at all."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from isthmus.data.tables import library_of
from isthmus.errors import InputError, MissingExtraError
from isthmus.files import written_whole

WRITTEN = (".csv", ".tsv", ".parquet", ".xlsx", ".npy")

SHEET = (1_048_575, 16_384)
"""Rows below the names, and columns, of a sheet of Excel."""


def write_table(path: str | os.PathLike[str], table: Any, names: Sequence[str] | None = None) -> None:
    """Write a frame or an array as .csv, .tsv, .parquet, .xlsx or .npy; a failure leaves no half-written file.

    Parameters
    ----------
    path : its extension says the format.
    table : a pandas or polars frame, or an array; only .npy holds arrays of more than two axes, and no file holds a
        list of arrays of several lengths.
    names : column names for an array; default ``"0"``, ``"1"``, ...

    Notes
    -----
    A pandas index is written where it says more than the row's number; a .npy file holds neither it nor the names,
    and its numbers are of the type that holds those of every column. In text, missing cells are empty and dates are
    those of ISO 8601, with the offset of their time zone; Excel knows no time zones, so there such dates are text.
    """
    path = Path(path)
    ending = path.suffix.lower()
    if ending not in WRITTEN:
        raise InputError(f"{str(path)!r}: the file to write must end in one of {', '.join(WRITTEN)}; got {ending!r}")
    if isinstance(table, list) and len({np.shape(row) for row in table}) > 1:
        raise InputError(
            f"{str(path)!r}: sequences of several lengths fit no such file; write each to one of its own, or pad them "
            "to one length"
        )
    if ending != ".npy" and library_of(table) not in ("pandas", "polars"):
        table = as_frame(table, names, path)
    with written_whole(path) as beside:
        if ending == ".npy":
            with open(beside, "wb") as file:
                np.save(file, as_numbers(table, path), allow_pickle=False)
        elif ending == ".xlsx":
            write_sheet(beside, table.to_pandas() if library_of(table) == "polars" else table, path)
        elif library_of(table) == "polars":
            if ending == ".parquet":
                table.write_parquet(beside)
            else:
                table.write_csv(beside, separator="\t" if ending == ".tsv" else ",")
        elif ending == ".parquet":
            table.rename(columns=str).to_parquet(beside, index=says_more(table.index))
        else:
            text = dates_as_text(table)
            text.to_csv(beside, index=says_more(table.index), sep="\t" if ending == ".tsv" else ",")


def says_more(index: Any) -> bool:
    """Whether a pandas index says more than the row's number."""
    import pandas as pd

    return not (isinstance(index, pd.RangeIndex) and index.equals(pd.RangeIndex(len(index))))


def dates_as_text(frame: Any, only_zoned: bool = False) -> Any:
    """The frame with its dates in text as in ISO 8601: days alone where no cell has a time of day.

    >>> import pandas as pd
    >>> frame = pd.DataFrame({"day": pd.to_datetime(["2024-05-01", None]), "size": [1, 2]})
    >>> dates_as_text(frame).to_csv(index=False)
    'day,size\\n2024-05-01,1\\n,2\\n'
    """
    made = frame.copy(deep=False)
    for place, dtype in enumerate(frame.dtypes):
        column = frame.iloc[:, place]
        if getattr(dtype, "kind", "") == "M" and (getattr(dtype, "tz", None) is not None or not only_zoned):
            made.isetitem(place, in_iso(column))
    return made


def in_iso(column: Any) -> Any:
    """A pandas column of dates as text, None where one is missing."""
    import pandas as pd

    known = column.notna().to_numpy()
    some = column[known]
    text = np.full(len(column), None, dtype=object)
    if getattr(column.dt, "tz", None) is None and bool((some == some.dt.normalize()).all()):
        text[known] = some.dt.strftime("%Y-%m-%d")
    else:
        text[known] = [value.isoformat(sep=" ") for value in some]
    return pd.Series(text, index=column.index, dtype=object)


def write_sheet(beside: Path, frame: Any, path: Path) -> None:
    """A frame as the only sheet of a workbook; text that begins like a formula stays text."""
    import pandas as pd

    rows, columns = frame.shape
    if rows > SHEET[0] or columns + says_more(frame.index) > SHEET[1]:
        raise InputError(
            f"{str(path)!r}: a sheet of Excel has room for {SHEET[0]:,} rows and {SHEET[1]:,} columns; this table has "
            f"{rows:,} and {columns:,}. Write .csv or .parquet"
        )
    try:
        from openpyxl.utils.exceptions import IllegalCharacterError
    except ImportError as error:
        raise MissingExtraError(error.name or "openpyxl", "excel", f"writing {str(path)!r}") from error
    try:
        with pd.ExcelWriter(beside, engine="openpyxl") as book:
            dates_as_text(frame, only_zoned=True).to_excel(book, index=says_more(frame.index))
            for row in next(iter(book.sheets.values())).iter_rows():
                for cell in row:
                    cell.data_type = "s" if cell.data_type == "f" else cell.data_type
    except IllegalCharacterError as error:
        raise InputError(f"{str(path)!r}: a cell holds characters that no workbook may: {error}. Write .csv") from error


def as_numbers(table: Any, path: Path) -> np.ndarray:
    """An array as it is; a frame as (rows, columns) in the numeric type that its columns have in common."""
    if library_of(table) not in ("pandas", "polars"):
        return np.asarray(table)
    columns = [table[:, i] if library_of(table) == "polars" else table.iloc[:, i] for i in range(table.shape[1])]
    values = [column.to_numpy() for column in columns]
    for name, column in zip(table.columns, values, strict=True):
        if column.dtype.kind not in "biuf":
            raise InputError(
                f"{str(path)!r}: column {str(name)!r} holds {column.dtype} values, and a .npy file holds numbers only; "
                "leave it out, or write .csv or .parquet"
            )
    # Not the frame's own to_numpy, which makes Python objects of truth values beside numbers.
    return np.column_stack(values) if values else np.empty(table.shape)


def as_frame(array: Any, names: Sequence[str] | None, path: Path) -> Any:
    """An array of one or two axes as a pandas frame."""
    import pandas as pd

    array = np.asarray(array)
    if array.ndim > 2:
        raise InputError(
            f"{str(path)!r}: an array of shape {array.shape} fits no table; write it as .npy, or flatten it"
        )
    array = array.reshape(len(array), -1)
    columns = list(names) if names is not None else [str(i) for i in range(array.shape[1])]
    if len(columns) != array.shape[1]:
        raise InputError(f"names must hold {array.shape[1]} column names; got {len(columns)}")
    return pd.DataFrame(array, columns=columns)
