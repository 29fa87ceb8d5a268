"""Results as files: what the extension says, whole or not at all."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from isthmus.data.tables import library_of
from isthmus.errors import InputError
from isthmus.files import written_whole

WRITTEN = (".csv", ".parquet", ".npy")


def write_table(path: str | os.PathLike[str], table: Any, names: Sequence[str] | None = None) -> None:
    """Write a frame or an array as .csv, .parquet or .npy; a failure leaves no half-written file.

    Parameters
    ----------
    path : its extension says the format.
    table : a pandas or polars frame, or an array; only .npy holds arrays of more than two axes, and no file holds a
        list of arrays of several lengths.
    names : column names for an array; default ``"0"``, ``"1"``, ...

    Notes
    -----
    A pandas index is written where it says more than the row's number; a .npy file holds neither it nor the names,
    and its numbers are of the type that holds those of every column.
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
        elif library_of(table) == "polars":
            table.write_csv(beside) if ending == ".csv" else table.write_parquet(beside)
        else:
            import pandas as pd

            keep_index = not (isinstance(table.index, pd.RangeIndex) and table.index.equals(pd.RangeIndex(len(table))))
            if ending == ".csv":
                table.to_csv(beside, index=keep_index)
            else:
                table.rename(columns=str).to_parquet(beside, index=keep_index)


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
