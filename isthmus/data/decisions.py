"""What is decided about columns from their statistics: how to scale them, and what their owner should know."""

from __future__ import annotations

import warnings
from collections.abc import Mapping

import numpy as np

from isthmus.checks import did_you_mean, listed, place
from isthmus.data.sources import Source
from isthmus.data.statistics import Statistics, sampled, stretches_of
from isthmus.data.warps import WARPED, Warps
from isthmus.data.whole import NOUNS, check_unscaled
from isthmus.errors import DataWarning, InputError

MODES = ("standard", "common", "unit", "none", "log", "quantile")
"""What a column's scaling may be. Model files hold their positions here: new ones come last."""

TYPES = ("numeric", "heavy", "count", "binary", "ordinal", "category", "circular", "date", "ignore")
"""What else a user may say of a column; it is no scaling, and decided before."""

FOR_TABLES = "scale: 'log' and 'quantile' are for the columns of tables; use 'auto' for images and series"

MOST_COLUMNS = 5_000
"""Wider tables are not searched for columns that repeat another."""


def constant_columns(found: Statistics, dtype: np.dtype) -> np.ndarray:
    """(features,) bool: columns that hold one value, but for the rounding noise of floats."""
    constant = found.low == found.high
    if dtype.kind == "f":
        noise = 1e-12 if dtype.itemsize >= 8 else float(np.finfo(dtype).eps)
        size = np.maximum(np.abs(found.low), np.abs(found.high))
        constant |= np.sqrt(found.variance) <= noise * size
    return constant


def share_a_range(source: Source, found: Statistics, constant: np.ndarray) -> bool:
    """Whether the columns are in one unit: images, or most of 8 and more columns span the whole range.

    Columns of mixed tables never are: the numbers of levels would be taken for values.
    """
    if len(source.layout.shape) > 1:
        return True
    if source.layout.columns is not None:
        return False
    varies = ~constant
    if source.layout.features < 8 or not varies.any():
        return False
    whole = found.high[varies].max() - found.low[varies].min()
    own = (found.high - found.low)[varies]
    return bool((own >= 0.9 * whole).mean() >= 0.5)


def decided(mode: str, support: str, source: Source, shared: bool) -> tuple[str, str]:
    """The mode that ``"auto"`` stands for, and the reason in words."""
    if support in NOUNS:
        check_unscaled("scale", mode, support)
        return "none", f"the loss is one of {NOUNS[support]}, which mean what they are"
    if mode != "auto":
        return mode, "it was asked for"
    if support == "unit":
        return "unit", "the loss needs values between 0 and 1"
    if len(source.layout.shape) > 1:
        return "common", "the pixels of an image are all in the same unit"
    if shared:
        return "common", "most columns share one range, so they are in the same unit"
    return "standard", "the columns have ranges of their own"


def column_number(source: Source, column: str | int) -> int:
    """Where in a row a column is, by its name or by the position it had in the user's data."""
    names = source.names
    if names is not None and str(column) in names and (isinstance(column, str) or source.numbered):
        return names.index(str(column))
    kept = source.kept or tuple(range(source.layout.features))
    if names is None and isinstance(column, str) and column.isdecimal():
        column = int(column)
    if isinstance(column, int) and column in kept:
        return kept.index(column)
    raise InputError(f"columns: there is no column {column!r}.{did_you_mean(column, names or map(str, kept))}")


def mode_number(column: str | int, wanted: str) -> int:
    if wanted not in MODES:
        options = ("numeric", "ignore", *MODES)
        raise InputError(f"columns: {column!r} must be one of {listed(options)}; got {wanted!r}")
    return MODES.index(wanted)


def used_as_given(source: Source) -> np.ndarray | None:
    """(features,) bool: columns of levels, counts and shares of a turn, of a mixed table; None = it is no such."""
    columns = source.layout.columns
    return None if columns is None else np.array([not column.numeric for column in columns], dtype=bool)


def modes_of(
    source: Source, mode: str, support: str, per_column: Mapping[str | int, str] | None, constant: np.ndarray
) -> np.ndarray:
    """(features,) uint8: the mode of every column, the general one but where something else is wished for.

    In mixed tables a wish may name what a column is: that has been heeded when it was read. There what its reader
    found out about a column goes before the general mode, and what the user says before both.
    """
    as_given = used_as_given(source)
    wishes = dict(source.per_column) if per_column is None or as_given is not None else {}
    modes = np.full(source.layout.features, MODES.index(mode), dtype=np.uint8)
    for column, wanted in [*wishes.items(), *(per_column or {}).items()]:
        check_unscaled(f"columns: {column!r}", wanted, support)
        if wanted not in (("ignore", "numeric") if as_given is None else TYPES):
            modes[column_number(source, column)] = mode_number(column, wanted)
    if as_given is not None:
        modes[as_given] = MODES.index("none")
    bent = np.isin(modes, [MODES.index(name) for name in WARPED])
    if bent.any() and len(source.layout.shape) > 1:
        raise InputError(FOR_TABLES)
    modes[bent & constant] = MODES.index("standard")  # one value has no distribution
    return modes


def fitted_warps(source: Source, rows: np.ndarray | None, modes: np.ndarray, found: Statistics) -> Warps | None:
    """The maps of the bent columns, from a sample of rows with the ends of them all; None = no column is bent."""
    columns = np.flatnonzero(np.isin(modes, [MODES.index(name) for name in WARPED]))
    if not len(columns):
        return None
    some = sampled(source, rows, columns)
    values = {}
    for i, number in enumerate(columns.tolist()):
        known = some[~np.isnan(some[:, i]), i]
        beyond = [end for end in (found.low[number], found.high[number]) if not (known == end).any()]
        values[number] = (MODES[modes[number]], np.concatenate([known, beyond]))
    return Warps.fit(values)


def centre_and_scale(
    found: Statistics, modes: np.ndarray, constant: np.ndarray, shared: bool, source: Source
) -> tuple[np.ndarray, np.ndarray]:
    """(features,) each: what the modes of the columns make of the statistics. No scale is ever 0.

    Bent columns have centre 0 and scale 1 like those used as they are: all of their scaling is in their maps.
    """
    centre, scale = np.zeros(len(modes)), np.ones(len(modes))
    standard, common, unit = (modes == MODES.index(name) for name in ("standard", "common", "unit"))
    centre[standard | common] = found.mean[standard | common]
    # The mean of equal numbers may differ from them in its last digit: the number itself is the centre.
    exact = (standard | common) & (found.low == found.high)
    centre[exact] = found.low[exact]
    varies = standard & ~constant
    scale[varies] = np.sqrt(found.variance[varies])
    if (common & ~constant).any():
        scale[common] = np.sqrt(found.variance[common & ~constant].mean())
    if unit.any():
        low, high = found.low[unit], found.high[unit]
        if shared:
            low, high = np.full_like(low, low.min()), np.full_like(high, high.max())
            if source.dtype == np.uint8 and len(source.layout.shape) > 1 and high.max() > 127:
                low, high = np.zeros_like(low), np.full_like(high, 255.0)  # an image's range is its type's
        centre[unit] = low
        scale[unit] = np.where(constant[unit] & (not shared), 1.0, high - low)
    scale[~(scale > 0)] = 1.0
    return centre, scale


def warn_of_columns(
    source: Source, rows: np.ndarray | None, found: Statistics, constant: np.ndarray, mode: str
) -> None:
    """One warning for constant columns and one for repeated ones; of mixed tables, repeated columns of numbers only.

    Not for images, nor for nameless columns in one common unit: there a pixel that never changes is no mistake.
    """
    shape, names = source.layout.shape, source.names
    if source.derived or len(shape) > 1 or found.rows < 2 or (names is None and mode == "common"):
        return
    still = np.flatnonzero(constant)
    if len(still):
        empty = found.unknown
        said = ", ".join(place(int(i), shape, names) + (" (no value)" if empty[i] else "") for i in still[:8])
        more = f" and {len(still) - 8} more" if len(still) > 8 else ""
        warnings.warn(
            f"{source.argument}: constant, so nothing can be learnt from it: {said}{more}. Leave it out "
            f"with columns={{NAME: 'ignore'}}, unless later data will vary there.",
            DataWarning,
            stacklevel=3,
        )
    pairs = repeated_columns(source, rows, found, constant)
    if pairs:
        said = ", ".join(f"{place(later, shape, names)} = {place(first, shape, names)}" for first, later in pairs[:8])
        more = f" and {len(pairs) - 8} more" if len(pairs) > 8 else ""
        warnings.warn(
            f"{source.argument}: columns that repeat another count twice in every error: {said}{more}. "
            f"Leave one of each out with columns={{NAME: 'ignore'}}.",
            DataWarning,
            stacklevel=3,
        )


def repeated_columns(
    source: Source, rows: np.ndarray | None, found: Statistics, constant: np.ndarray
) -> list[tuple[int, int]]:
    """Pairs (first, later) of columns that are equal in every row.

    Equal statistics make a pair a candidate; a second pass, made only if there are any, confirms it.
    """
    if source.layout.features > MOST_COLUMNS:
        return []
    as_given = used_as_given(source)
    first_with: dict[tuple[float, ...], int] = {}
    pairs = []
    for i in np.flatnonzero(~constant if as_given is None else ~(constant | as_given)).tolist():
        key = (found.low[i], found.high[i], found.mean[i], found.spread[i])
        first = first_with.setdefault(key, i)
        if first != i:
            pairs.append((first, i))
    for block in stretches_of(source, rows):
        if not pairs:
            break
        left, right = np.array(pairs).T
        equal = block[:, left] == block[:, right]
        if as_given is not None:
            equal |= np.isnan(block[:, left]) & np.isnan(block[:, right])
        equal = equal.all(axis=0)
        pairs = [pair for pair, same in zip(pairs, equal, strict=True) if same]
    return pairs
