"""The cells of interactions: ids of people and things, weights and times, each checked and of one type."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from isthmus.checks import is_real, is_whole
from isthmus.data.arrays import short
from isthmus.errors import InputError

Where = Callable[[int], str]
"""The place of cell number i in the user's words, such as ``row number 3``."""

LARGEST = 2**53
"""Whole numbers beyond it are not told apart by floats."""


def row_number(i: int) -> str:
    return f"row number {i + 1:,}"


def column_cells(column: Any) -> np.ndarray:
    """(rows,) cells of a pandas or polars column; missing ones are None, NaN, NaT or NA."""
    import pandas as pd

    if not isinstance(column, pd.Series):
        # polars would make floats of whole numbers with gaps, and so spoil large ids.
        gaps = column.null_count() > 0
        return np.array(column.to_list(), dtype=object) if gaps else np.asarray(column.to_numpy())
    if isinstance(column.dtype, pd.CategoricalDtype):
        column = column.astype(column.cat.categories.dtype)
    return np.asarray(column.to_numpy())


def as_ids(values: np.ndarray, what: str, where: Where = row_number) -> tuple[np.ndarray, tuple[str, ...]]:
    """Ids of one type: all int64, or all texts.

    Parameters
    ----------
    values : (n,) cells. Floats that are whole are whole numbers; where texts and whole numbers come together, or
        numbers that 64 bits do not hold, all are texts.
    what : what they are the ids of, in the singular: ``"user"``.

    Returns
    -------
    ids : (n,) int64, or object of str.
    said : a sentence where numbers became texts.

    Raises
    ------
    InputError
        An id is missing, or is neither a text nor a whole number.

    Examples
    --------
    >>> as_ids(np.array([2.0, 1.0]), "user")
    (array([2, 1]), ())
    >>> ids, said = as_ids(np.array(["a", 7], dtype=object), "item")
    >>> ids.tolist(), said
    (['a', '7'], ('item ids are both texts and whole numbers: all are taken as texts',))
    """
    import pandas as pd

    missing = np.flatnonzero(pd.isna(values))
    if len(missing):
        raise InputError(f"{where(int(missing[0]))} has no {what} id; {len(missing):,} have none. Leave such out.")
    if values.dtype.kind == "u" and len(values) and values.max() > np.iinfo(np.int64).max:
        values = values.astype(object)
    if values.dtype.kind in "iu":
        return values.astype(np.int64), ()
    if values.dtype.kind == "f":
        return whole_floats(values, what, where), ()
    # NumPy would make whole numbers of dates.
    cells = pd.Series(values).astype(object).to_numpy() if values.dtype.kind in "mM" else values.astype(object)
    kind = pd.api.types.infer_dtype(cells, skipna=False)
    if kind in ("string", "empty"):
        return cells, ()
    if kind == "integer" and all(-(2**63) <= cell < 2**63 for cell in cells.tolist()):
        return cells.astype(np.int64), ()
    return texts(cells, what, where)


def whole_floats(values: np.ndarray, what: str, where: Where) -> np.ndarray:
    """Floats as int64, refused where one is no whole number."""
    odd = np.flatnonzero((values != np.round(values)) | (np.abs(values) > LARGEST))
    if len(odd):
        raise InputError(
            f"{what} ids must be whole numbers or texts; {where(int(odd[0]))} has {short(values[odd[0]])}. "
            f"Are these weights or times? If not, turn them to texts."
        )
    return values.astype(np.int64)


def texts(cells: np.ndarray, what: str, where: Where) -> tuple[np.ndarray, tuple[str, ...]]:
    """Texts and whole numbers, all as texts."""
    made = np.empty(len(cells), dtype=object)
    numbers = False
    for i, cell in enumerate(cells.tolist()):
        whole = is_whole(cell) or (isinstance(cell, float) and cell.is_integer() and abs(cell) <= LARGEST)
        if not (whole or isinstance(cell, str)):
            kind = type(cell).__name__
            raise InputError(f"{what} ids must be whole numbers or texts; {where(i)} has {short(cell)} ({kind})")
        made[i] = cell if isinstance(cell, str) else str(int(cell))
        numbers = numbers or whole
    mixed = any(isinstance(cell, str) for cell in cells.tolist())
    why = "both texts and whole numbers" if mixed else "whole numbers of more than 64 bits"
    return made, ((f"{what} ids are {why}: all are taken as texts",) if numbers else ())


def as_weights(values: np.ndarray, name: str, where: Where = row_number) -> np.ndarray:
    """(n,) float64, finite and >= 0; otherwise an error that tells the first row that is not.

    >>> as_weights(np.array([1, -2]), "'rating'")
    Traceback (most recent call last):
    isthmus.errors.InputError: weights must be finite numbers >= 0; 'rating' of row number 2 is -2.0 (1 such in all)
    """
    import pandas as pd

    if values.dtype.kind in "biuf":
        made = values.astype(np.float64)
    else:
        lost = pd.isna(values)
        made = np.full(len(values), np.nan)
        for i in np.flatnonzero(~lost):
            if not is_real(values[i]):
                raise InputError(f"weights must be numbers; {name} of {where(int(i))} is {short(values[i])}")
            made[i] = float(values[i])
    wrong = np.flatnonzero(~(made >= 0) | (made > np.finfo(np.float32).max))
    if len(wrong):
        first = int(wrong[0])
        value = "missing" if np.isnan(made[first]) else repr(float(made[first]))
        raise InputError(
            f"weights must be finite numbers >= 0; {name} of {where(first)} is {value} ({len(wrong):,} such in all)"
        )
    return made


def as_times(values: np.ndarray, name: str, where: Where = row_number) -> np.ndarray:
    """(n,) float64: seconds since 1970 of dates and of texts as in ISO 8601, and numbers as they are.

    >>> as_times(np.array(["1970-01-02", "1970-01-01 00:00:05"], dtype=object), "'day'").tolist()
    [86400.0, 5.0]
    """
    import pandas as pd

    missing = np.flatnonzero(pd.isna(values))
    if len(missing):
        raise InputError(f"{name} of {where(int(missing[0]))} is missing; {len(missing):,} are. Leave such rows out.")
    if values.dtype.kind in "iuf":
        made = values.astype(np.float64)
        odd = np.flatnonzero(~np.isfinite(made))
        if len(odd):
            raise InputError(f"times must be finite; {name} of {where(int(odd[0]))} is {made[odd[0]]}")
        return made
    dates = pd.to_datetime(pd.Series(values), errors="coerce", utc=True, format=None if len(values) == 0 else "ISO8601")
    odd = np.flatnonzero(dates.isna())
    if len(odd) or values.dtype.kind == "b":
        first = int(odd[0]) if len(odd) else 0
        raise InputError(
            f"times must be numbers, dates, or texts such as 2024-05-31; {name} of {where(first)} is "
            f"{short(values[first])}. pandas.to_datetime reads other ways of writing them."
        )
    return dates.dt.as_unit("us").astype("int64").to_numpy() / 1e6
