"""What is known of rows that are drawn: the cells that a user holds fixed, and those that are to be filled."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch

from isthmus.checks import counted, did_you_mean, is_real, listed, missing_cells
from isthmus.data import Form, Source
from isthmus.data.arrays import short
from isthmus.data.given import is_missing
from isthmus.data.mixed_frames import pandas_arrow
from isthmus.data.table_form import TableForm
from isthmus.data.tables import library_of
from isthmus.errors import DataWarning, InputError
from isthmus.estimators.generation_of_cells import CellsDrawn

TRIES = 100
"""How often cells that are to be filled, and come out as gaps, are drawn again."""


def one_or_more(X: Any, form: Form) -> Any:
    """``X``, with an axis for rows where it is one row without."""
    if library_of(X) == "pandas" and getattr(X, "ndim", 0) == 1:
        return X.to_frame().T.infer_objects()
    if isinstance(X, str) and form.words is not None:
        return [X]
    axes = len(form.layout.shape)
    alone = isinstance(X, (list, tuple)) and axes == 1 and len(X) > 0 and all(map(is_real, X))
    if alone or (isinstance(X, (np.ndarray, torch.Tensor)) and form.words is None and X.ndim == axes):
        return np.asarray(X)[None]
    return X


def known_cells(known: Any, rows: int, form: Form) -> np.ndarray:
    """(rows, columns) raw numbers of what the user holds fixed, NaN = to be drawn.

    Parameters
    ----------
    known : a dict, or a frame of one row or of ``rows``, of some of the columns; a cell that is missing in a frame
        says nothing.
    """
    for name, value in known.items() if isinstance(known, Mapping) else ():
        if is_missing(value):
            raise InputError(f"known: column {str(name)!r} has no value; leave it out, and it is drawn")
    if not isinstance(known, Mapping):
        if not hasattr(known, "columns"):
            raise InputError(f"known must be a dict of columns and values, or a frame; got {short(known)}")
        known = {str(name): list(known[name]) for name in known.columns}
    names = form.names or tuple(str(i) for i in range(form.layout.features))
    raw = np.full((rows, len(names)), np.nan)
    for name, values in known.items():
        if str(name) not in names:
            raise InputError(f"known: there is no column {str(name)!r}.{did_you_mean(name, names)}")
        cells = list(values) if isinstance(values, (list, tuple, np.ndarray)) else [values]
        if len(cells) not in (1, rows):
            raise InputError(
                f"known: column {str(name)!r} has {len(cells):,} values; give one, or one for each of the "
                f"{counted(rows, 'row')}"
            )
        place = names.index(str(name))
        raw[:, place] = raw_cells(cells, str(name), place, form)
    if not np.isnan(raw).any():
        raise InputError("known holds every cell, so that nothing is left to be drawn; leave out what may vary")
    return raw


def raw_cells(cells: list[Any], name: str, place: int, form: Form) -> np.ndarray:
    """Values of a column as the table's raw numbers."""
    import pandas as pd

    if isinstance(form, TableForm):
        series = pd.Series([None if is_missing(cell) else cell for cell in cells]).infer_objects()
        coding = form.codings[place]
        values, unseen, count = coding.encode(pandas_arrow(series, name, "known")[0], "known")
        if count:
            raise InputError(
                f"known: column {name!r} is {short(unseen[0])}, which no row of the fit was."
                f"{did_you_mean(unseen[0], coding.levels)}"
            )
        refuse_unfit(cells, values, coding.whole, name, form.dtypes[place])
        return values
    for cell in cells:
        if not is_missing(cell) and (not (is_real(cell) or isinstance(cell, (bool, np.bool_))) or abs(cell) == np.inf):
            raise InputError(f"known: column {name!r} must be a finite number; got {short(cell)}")
    return np.array([np.nan if is_missing(cell) else float(cell) for cell in cells])


def refuse_unfit(cells: list[Any], values: np.ndarray, whole: bool, name: str, dtype: str) -> None:
    """Refuse values that the column's type could hold only as others."""
    broken = np.flatnonzero(~np.isnan(values) & (values != np.rint(values)))
    if whole and len(broken):
        raise InputError(f"known: column {name!r} holds whole numbers; got {short(cells[broken[0]])}")
    if dtype.lower().startswith(("int", "uint")):
        limits = np.iinfo(dtype.lower())
        beyond = np.flatnonzero((values < limits.min) | (values > limits.max))
        if len(beyond):
            raise InputError(
                f"known: column {name!r} is of type {dtype}, from {limits.min} to {limits.max}; got "
                f"{short(cells[beyond[0]])}"
            )


def warn_of_unseen(raw: np.ndarray, drawing: CellsDrawn, form: Form) -> None:
    """Say so where known numbers (rows, columns) lie beyond all of the fit, so that the network takes them for the
    nearest that it saw."""
    names = form.names or tuple(str(i) for i in range(raw.shape[1]))
    numeric = [column is None or not column.levels for column in form.layout.columns or [None] * len(names)]
    told = []
    for name, values, bins, number in zip(names, raw.T, drawing.binned.columns, numeric, strict=True):
        ends = bins.ends
        if number and len(ends) and ((values < ends[0, 0]) | (values > ends[-1, 1])).any():
            told.append(name)
    if told:
        warnings.warn(
            f"known: numbers of {listed(told, 5)} lie beyond all that the fit saw: other cells are drawn as for the "
            "nearest number there was",
            DataWarning,
            stacklevel=3,
        )


def without_gaps(X: Any, form: Form) -> tuple[Any, np.ndarray | None]:
    """Pictures and other arrays of complete rows with their missing cells, NaN, filled by anything, and where these
    are, bool of the shape of ``X``; None where none is missing, or the source itself knows of gaps, as of mixed tables
    and sequences."""
    if form.layout.columns is not None or form.layout.sequence:
        return X, None
    if not isinstance(X, np.ndarray) or X.dtype.kind != "f" or not np.isnan(X).any():
        return X, None
    gaps = np.isnan(X)
    return np.where(gaps, np.nanmin(X) if not gaps.all() else 0.0, X), gaps


def refuse_gaps(gaps: np.ndarray, hidden: np.ndarray, source: Source) -> None:
    """Refuse missing cells, as `without_gaps` found them, that are not among the ``hidden`` (rows, *shape)."""
    left = (gaps.reshape(hidden.shape) & ~hidden).reshape(source.rows, -1)
    if left.any():
        hit, shape = int(left.any(axis=1).sum()), source.layout.shape
        said = missing_cells(source.argument, left.sum(axis=0), hit, source.rows, shape, source.names)
        raise InputError(f"{said} Or let mask be True there, so that they are filled.")


def mask_of(mask: Any, source: Source) -> np.ndarray:
    """(rows, *shape) bool: the cells that are to be filled, some of every row that has any, and not all of one."""
    shape, rows = source.layout.shape, source.rows
    if mask is None:
        weight = source.weight(np.arange(rows))
        hidden = np.zeros((rows, *shape), dtype=bool) if weight is None else weight == 0
    else:
        hidden = np.asarray(mask)
        if hidden.dtype != bool:
            raise InputError(f"mask must hold truth values, True = to be filled; got {hidden.dtype}")
        if source.layout.axes[-1] == "channel" and hidden.shape in (shape[:-1], (rows, *shape[:-1])):
            hidden = np.broadcast_to(hidden[..., None], (*hidden.shape, shape[-1]))
        if hidden.shape not in (shape, (rows, *shape)):
            raise InputError(
                f"mask must have the shape of the rows, {(rows, *shape)}, or of one, {shape}; got {hidden.shape}"
            )
        hidden = np.broadcast_to(hidden, (rows, *shape))
    flat = hidden.reshape(rows, -1)
    if not flat.any():
        what = "no cell is missing" if mask is None else "mask is False everywhere"
        raise InputError(f"{what}, so that nothing is to be filled; a mask is True where cells are")
    whole = np.flatnonzero(flat.all(1))
    if len(whole):
        raise InputError(
            f"{'every cell is missing' if mask is None else 'mask is True everywhere'} in row {whole[0]}, so that "
            "nothing is known that could tell of the rest; sample draws new rows"
        )
    return hidden


def with_gaps_filled(
    drawing: CellsDrawn, raw: np.ndarray, hidden: np.ndarray, generator: torch.Generator
) -> np.ndarray:
    """Raw numbers (n, columns) with the ``hidden`` cells drawn, and none of them as a gap, which are levels too: such
    are drawn again, given the others."""
    made = drawing.redrawn(np.where(hidden, np.nan, raw), hidden, generator)
    for _ in range(TRIES):
        gaps = np.isnan(made) & hidden
        rows = np.flatnonzero(gaps.any(1))
        if not len(rows):
            break
        made[rows] = drawing.redrawn(made[rows], gaps[rows], generator)
    return made


def beside_known(X: Any, rows: np.ndarray, table: Any, hidden: np.ndarray) -> Any:
    """Of a frame, its rows with these numbers with the ``hidden`` cells (m, columns) taken from ``table``: so what is
    known stays what it is in the user's own table, rare levels and columns that were left out too. Else the table."""
    library = library_of(X)
    if library == "polars":
        import polars

        made = X[rows]
        chosen = [
            polars.when(polars.Series(gone)).then(table[name]).otherwise(made[name]).alias(name)
            for name, gone in zip(table.columns, hidden.T, strict=True)
            if gone.any()
        ]
        return made.with_columns(chosen)
    if library != "pandas":
        return table
    made = X.iloc[rows].copy()
    for name, gone in zip(table.columns, hidden.T, strict=True):
        if gone.all():
            made[name] = table[name]
        elif gone.any():
            column = made[name].copy()
            column.iloc[gone] = table[name][gone].array
            made[name] = column
    return made


def kept_beside(X: Any, rows: np.ndarray, table: Any, hidden: np.ndarray) -> Any:
    """The same of rows that were drawn around others: of the columns of ``table`` alone, and numbered from 0 on."""
    made = beside_known(X, rows, table, hidden)
    library = library_of(X)
    if library == "pandas":
        return made[list(table.columns)].reset_index(drop=True)
    return made.select(table.columns) if library == "polars" else made
