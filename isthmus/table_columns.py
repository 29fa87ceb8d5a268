"""The columns of two and more data frames, side by side, as numbers that can be compared: what a column is follows from
the first frame."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from isthmus.checks import listed
from isthmus.errors import InputError

if TYPE_CHECKING:
    from pandas import DataFrame, Series

BINS = 20
"""Bins of as many rows of the first frame each that numbers are put in; a value that fills one has its own."""

LEVELS, TREE_LEVELS = 100, 250
"""The most frequent levels of a column that are told apart: in pairs of columns and as vectors, and by trees, which
take no more than 255; all others are one level more."""

ROUNDING = 1e-6
"""A number as near to a frequent value as this, as a share of its size, is that value in single precision."""


def tables(**frames: DataFrame) -> list[DataFrame]:
    """The frames with their columns in the order of the first, refused in words where they cannot be compared."""
    from pandas import DataFrame

    (first, model), *_ = frames.items()
    for name, frame in frames.items():
        if not isinstance(frame, DataFrame) or not len(frame) or not frame.shape[1]:
            what = f"one of shape {frame.shape}" if isinstance(frame, DataFrame) else type(frame).__name__
            raise InputError(f"{name} must be a data frame with at least one row and one column; got {what}")
        if not frame.columns.is_unique:
            raise InputError(f"{name} has columns of one name: {listed(frame.columns[frame.columns.duplicated()])}")
        lacking, foreign = model.columns.difference(frame.columns), frame.columns.difference(model.columns)
        if len(lacking) or len(foreign):
            parts = [f"lacks {listed(lacking)}"] * bool(len(lacking)) + [f"has {listed(foreign)}"] * bool(len(foreign))
            raise InputError(f"{name} must have the same columns as {first}; it {' and '.join(parts)}")
    return [frame[model.columns] for frame in frames.values()]


def numbers(columns: Sequence[Series]) -> list[np.ndarray] | None:
    """The cells of one column in every frame as float64, NaN where they are missing, dates as seconds since the first
    frame's earliest; None where the first frame's are truth values or levels."""
    from pandas import Timedelta, to_datetime
    from pandas.api import types

    columns = [column.infer_objects() for column in columns]
    # Dates without a time of day come as Python's own.
    columns = [to_datetime(column) if types.infer_dtype(column) == "date" else column for column in columns]
    model = columns[0]
    dated, lasting = types.is_datetime64_any_dtype(model), types.is_timedelta64_dtype(model)
    if not (dated or lasting) and (types.is_bool_dtype(model) or not types.is_numeric_dtype(model)):
        return None
    found = []
    for column in columns:
        if column.isna().all():
            found.append(np.full(len(column), np.nan))
            continue
        try:
            spans = column - model.min() if dated else column
            cells = spans / Timedelta(seconds=1) if dated or lasting else spans
            if not types.is_numeric_dtype(cells):
                raise TypeError(f"got {column.dtype}")
        except TypeError as error:
            raise InputError(f"column {model.name!r} must hold {model.dtype} in every table; {error}") from None
        values = cells.to_numpy(dtype=np.float64, na_value=np.nan)
        if np.isinf(values).any():
            raise InputError(f"column {model.name!r} holds infinity: replace these cells, or leave their rows out")
        found.append(values)
    return found


def levels(columns: Sequence[Series]) -> tuple[list[np.ndarray], int]:
    """The number of each cell's level, 0 = missing, the same in every frame, and how many levels there are."""
    from pandas import concat, factorize

    found, values = factorize(concat([column.astype(object) for column in columns], ignore_index=True))
    return np.split(found + 1, np.cumsum([len(column) for column in columns])[:-1]), len(values) + 1


def codes(columns: Sequence[Series]) -> tuple[list[np.ndarray], int]:
    """The same, but for numbers and dates, whose bins are their levels."""
    values = numbers(columns)
    if values is None:
        return levels(columns)
    bounds = cuts(values[0][~np.isnan(values[0])])
    return [np.where(np.isnan(some), 0, np.searchsorted(bounds, some) + 1) for some in values], len(bounds) + 2


def cuts(known: np.ndarray) -> np.ndarray:
    """The bounds between bins of numbers: half-way between two of them, so that rounding moves none to another bin.

    >>> cuts(np.arange(40.0))[:3], cuts(np.repeat([0.0, 7.0], 90)).round(3)
    (array([1.5, 3.5, 5.5]), array([-0.,  0.,  7.,  7.]))
    """
    if not len(known):
        return known
    values, counts = np.unique(known, return_counts=True)
    gaps = np.concatenate([[np.inf], np.diff(values), [np.inf]]) / 2
    alone = counts * BINS >= len(known)
    slack = ROUNDING * (np.abs(values) + known.std())
    bounds = np.searchsorted(values, np.quantile(known, np.arange(1, BINS) / BINS, method="inverted_cdf"))
    bounds = bounds[~alone[bounds] & (bounds < len(values) - 1)]
    below, above = (values + sign * np.minimum(slack, gap) for sign, gap in ((-1, gaps[:-1]), (1, gaps[1:])))
    return np.unique(np.concatenate([values[bounds] + gaps[1:][bounds], below[alone], above[alone]]))


def folded(found: list[np.ndarray], size: int, most: int) -> tuple[list[np.ndarray], int]:
    """Levels, the most frequent of all frames first, those beyond ``most`` as one."""
    order = np.argsort(-np.bincount(np.concatenate(found), minlength=size), kind="stable")
    place = np.empty(size, dtype=np.int64)
    place[order] = np.minimum(np.arange(size), most)
    return [place[some] for some in found], min(size, most + 1)


def encoded(frames: list[DataFrame]) -> tuple[list[np.ndarray], list[bool]]:
    """(n, columns) float64 of every frame, for trees, and which columns hold the numbers of levels; of others, NaN is a
    missing cell."""
    parts: list[list[np.ndarray]] = []
    categories = []
    for name in frames[0].columns:
        columns = [frame[name] for frame in frames]
        values = numbers(columns)
        categories.append(values is None)
        parts.append(folded(*levels(columns), TREE_LEVELS)[0] if values is None else values)
    return [np.stack(part, axis=1).astype(np.float64) for part in zip(*parts, strict=True)], categories


def vectors(reference: DataFrame, *frames: DataFrame) -> list[np.ndarray]:
    """Rows as vectors whose distances mean something, for `copies.copies`: (n, width) float32 of every frame.

    A number or date becomes its place among the reference's, 0 = the least, 1 = the greatest, so that neither units nor
    outliers count; two different levels are at distance 1. A missing number lies in the middle, at distance 1 from one
    that is known and lies there.

    Parameters
    ----------
    reference : the frame whose columns say what they hold.
    frames : those to be turned, e.g. drawn, train and held-out rows; memory is linear in their rows.

    Examples
    --------
    >>> import pandas as pd
    >>> rows = pd.DataFrame({"age": [20, 30, 70], "town": ["a", "b", "a"]})
    >>> vectors(rows, rows)[0].round(2)  # place, missing or not; a, b, missing
    array([[0.  , 0.  , 0.71, 0.  , 0.  ],
           [0.5 , 0.  , 0.  , 0.71, 0.  ],
           [1.  , 0.  , 0.71, 0.  , 0.  ]], dtype=float32)
    """
    every = tables(reference=reference, **{f"frame {place}": frame for place, frame in enumerate(frames)})
    parts: list[list[np.ndarray]] = [[] for _ in frames]
    for name in reference.columns:
        columns = [frame[name] for frame in every]
        values = numbers(columns)
        if values is None:
            found, size = folded(*levels(columns), LEVELS)
            # Two rows that differ do so in two of these numbers: 2 (1/2) = 1.
            spread = [np.eye(size, dtype=np.float32)[some] * np.float32(0.5**0.5) for some in found]
        else:
            spread = places(values)
        for part, some in zip(parts, spread[1:], strict=True):
            part.append(some)
    return [np.concatenate(part, axis=1, dtype=np.float32) for part in parts]


def places(columns: list[np.ndarray]) -> list[np.ndarray]:
    """(n, 2) of each: the place among the numbers of the first, and whether the number is missing."""
    known = np.sort(columns[0][~np.isnan(columns[0])])
    values, first, counts = np.unique(known, return_index=True, return_counts=True)
    ranks = (first + (counts - 1) / 2) / max(len(known) - 1, 1)
    found = []
    for some in columns:
        missing = np.isnan(some)
        place = np.interp(some, values, ranks) if len(values) else np.full(len(some), 0.5)
        found.append(np.stack([np.where(missing, 0.5, place), missing], axis=1))
    return found
