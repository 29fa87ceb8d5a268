"""Series that were measured: arrays, frames and text tables, wide or long, as windows with gaps."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from isthmus.checks import did_you_mean, listed
from isthmus.data.arrays import as_array
from isthmus.data.delimited import read_csv
from isthmus.data.paths import nearby, read_npy, read_npz
from isthmus.data.tables import check_distinct, library_of, pandas_source
from isthmus.data.timeline import dates_of, timeline
from isthmus.data.windows import Windows, check_window
from isthmus.errors import InputError

TABLES = (".csv", ".tsv", ".csv.gz", ".tsv.gz")


def series(
    X: Any,
    *,
    window: int | None = None,
    overlap: int = 0,
    time: Any = None,
    channel: str | None = None,
    value: str | None = None,
    columns: Sequence[str] | None = None,
    every: Any = None,
    argument: str = "X",
) -> Windows:
    """Long series as rows: windows of one series or of several, each of one or more channels.

    Parameters
    ----------
    X : (steps,) or (steps, channels) numbers, a frame, or a path to .csv, .tsv, .npy or .npz; or a list of such, one
        per series. NaN and empty cells are gaps: masked, never dropped.
    window : steps per row; None = every series is a row.
    overlap : steps that neighbouring windows share, less than ``window``.
    time : the column of times, or the times themselves for an array. None = a frame's index or single column of
        dates, else steps are taken to be regular.
    channel, value : in a long table, the columns that name a channel and hold its values; needs ``time``.
    columns : the columns, or in a long table the channels, to use; None = all.
    every : brings irregular times onto a regular grid: a number, or for dates a time span such as ``"10min"``.

    Returns
    -------
    Windows
        What `Autoencoder.fit` and all others take. `Autoencoder.reconstruct` gives the whole series back: as an
        array, or as a frame with the times as its index where those are known; a list where ``X`` is one.

    Raises
    ------
    InputError
        Times out of order, twice there or irregular (without ``every``), columns that are not there or hold no
        numbers, channels that differ between series.

    Notes
    -----
    Times that are missing in an otherwise regular series become gaps, so that a step is the same time everywhere.

    Examples
    --------
    >>> windows = series(np.arange(10.0), window=4, overlap=2)
    >>> windows
    Windows(rows=4, shape=(4,), dtype=float64)
    >>> windows.wrapped(windows.read(0, 4))
    array([0., 1., 2., 3., 4., 5., 6., 7., 8., 9.])
    """
    check_window(window, overlap)
    if (channel is None) != (value is None):
        raise InputError("series: channel and value are given together, for a long table: the columns that hold them")
    many = isinstance(X, (list, tuple)) and any(np.ndim(item) or not np.isscalar(item) for item in X)
    if many and time is not None and not isinstance(time, str):
        raise InputError("series: of several series, time must be the name of a column")
    items = list(X) if many else [X]
    named = [f"{argument}[{i}]" for i in range(len(items))] if many else [argument]
    read = [
        one_series(item, time, channel, value, columns, every, name) for item, name in zip(items, named, strict=True)
    ]
    pieces = [piece for piece, _ in read]
    check_pieces(pieces, named, argument)
    labels = [label for _, label in read if label is not None]
    if labels and any(list(names) != list(labels[0][1]) for _, names in labels):
        other = next(i for i, (_, names) in enumerate(labels) if list(names) != list(labels[0][1]))
        raise InputError(f"{named[other]} has channels {listed(labels[other][1])}, {named[0]} {listed(labels[0][1])}")
    all_labelled = labels if len(labels) == len(pieces) else None
    return Windows(pieces, window, overlap, labels=all_labelled, many=many, argument=argument)


def check_pieces(pieces: list[np.ndarray], named: list[str], argument: str) -> None:
    """There are series, with steps, and with the channels of the first."""
    if not pieces:
        raise InputError(f"{argument}: there is no series in it")
    for piece, name in zip(pieces, named, strict=True):
        if piece.ndim not in (1, 2) or 0 in piece.shape:
            raise InputError(f"{name} must be (steps,) or (steps, channels), neither 0; got the shape {piece.shape}")
        if piece.shape[1:] != pieces[0].shape[1:]:
            raise InputError(f"{name} has the shape {piece.shape}, {named[0]} {pieces[0].shape}: channels must agree")


def one_series(
    X: Any, time: Any, channel: str | None, value: str | None, columns: Sequence[str] | None, every: Any, argument: str
) -> tuple[np.ndarray, tuple[Any, Any] | None]:
    """The values of one series, and where it has them its times and the names of its channels."""
    X = opened(X, argument)
    if library_of(X) == "polars":
        X = X.to_pandas()
    if library_of(X) == "pandas":
        frame = X.to_frame() if X.ndim == 1 else X
        return framed(frame, time, channel, value, columns, every, argument)
    if channel is not None or columns is not None or isinstance(time, str):
        raise InputError(f"{argument} is an array without named columns: time=, channel= and columns= are for tables")
    array = as_array(X, argument)
    if time is None:
        if every is not None:
            raise InputError("series: every needs the times: give time=")
        return array, None
    flat = array.reshape(len(array), -1)
    if len(flat) != len(time):
        raise InputError(f"time must have one entry per step, {len(flat):,}; got {len(time):,}")
    laid = timeline(time, every, argument, name_of(time))
    return narrowed(laid.laid(flat)) if array.ndim == 1 else laid.laid(flat), (laid.index, range(flat.shape[1]))


def opened(X: Any, argument: str) -> Any:
    """What lies at a path: a frame or an array."""
    if not isinstance(X, (str, os.PathLike)):
        return X
    path = Path(X).expanduser()
    if not path.is_file():
        raise InputError(f"there is no file {str(path)!r}.{nearby(path)}")
    name = path.name.lower()
    if name.endswith(TABLES):
        return read_csv(path, "\t" if ".tsv" in name else None)[0]
    if name.endswith((".npy", ".npz")):
        return read_npy(path) if name.endswith(".npy") else read_npz(path)
    raise InputError(f"{argument}: a series is read from .csv, .tsv, .npy or .npz; got {str(path)!r}")


def narrowed(values: np.ndarray) -> np.ndarray:
    """One channel needs no axis of its own."""
    return values[:, 0] if values.shape[1] == 1 else values


def framed(
    frame: Any,
    time: Any,
    channel: str | None,
    value: str | None,
    columns: Sequence[str] | None,
    every: Any,
    argument: str,
) -> tuple[np.ndarray, tuple[Any, Any]]:
    """`one_series` of a pandas frame."""
    check_distinct([str(name) for name in frame.columns], argument)
    if isinstance(columns, str):
        columns = [columns]
    for name in (time, channel, value, *(columns or () if channel is None else ())):
        if isinstance(name, str) and name not in frame.columns:
            raise InputError(f"{argument}: there is no column {name!r}.{did_you_mean(name, frame.columns)}")
    if time is None and channel is None:
        time = time_column(frame, columns)
    if channel is not None:
        frame = widened(frame, time, channel, value, columns, argument)
        times, name = frame.index, str(time)
    elif time is None:
        times, name = frame.index if has_dates(frame.index) else None, "the index"
    else:
        times, name = (frame[time], time) if isinstance(time, str) else (time, name_of(time))
        frame = frame.drop(columns=[time]) if isinstance(time, str) else frame
    frame = frame if columns is None or channel is not None else frame[list(columns)]
    values = pandas_source(frame, argument, None, True).array
    if times is None:
        if every is not None:
            raise InputError(f"{argument}: every needs the times: give time=, the column that holds them")
        return narrowed(values), (frame.index, frame.columns)
    laid = timeline(times, every, argument, name)
    return narrowed(laid.laid(values)), (laid.index, frame.columns)


def name_of(times: Any) -> str:
    """What times are called that are given by themselves: a Series has the name of its column."""
    return str(getattr(times, "name", None) or "time")


def has_dates(index: Any) -> bool:
    import pandas as pd

    return isinstance(index, (pd.DatetimeIndex, pd.PeriodIndex, pd.TimedeltaIndex))


def time_column(frame: Any, columns: Sequence[str] | None) -> str | None:
    """The one column that holds dates, where the index does not; None where there is no such column."""
    import pandas as pd

    if has_dates(frame.index):
        return None

    def dates(column: Any) -> bool:
        if pd.api.types.is_datetime64_any_dtype(column.dtype):
            return True
        if not (pd.api.types.is_string_dtype(column.dtype) or column.dtype == object) or not len(column):
            return False
        try:
            dates_of(column, "ISO8601")
        except (ValueError, TypeError, OverflowError):
            return False
        return True

    found = [name for name in frame.columns if name not in (columns or ()) and dates(frame[name])]
    return found[0] if len(found) == 1 else None


def widened(
    frame: Any, time: Any, channel: str, value: str | None, columns: Sequence[str] | None, argument: str
) -> Any:
    """A long table (time, channel, value) with a column for every channel."""
    if not isinstance(time, str):
        raise InputError(f"{argument}: a long table needs time=, the column of times")
    twice = frame.duplicated([time, channel])
    if twice.any():
        at = int(np.argmax(twice.to_numpy()))
        spot = f"{time} {frame[time].iloc[at]!s} and {channel} {frame[channel].iloc[at]!r}"
        raise InputError(f"{argument}: row {at} repeats {spot}: every time and channel may stand there once")
    wide = frame.pivot(index=time, columns=channel, values=value)
    if columns is None:
        return wide
    missing = [name for name in columns if name not in wide.columns]
    if missing:
        raise InputError(f"{argument}: there is no channel {missing[0]!r}.{did_you_mean(missing[0], wide.columns)}")
    return wide[list(columns)]
