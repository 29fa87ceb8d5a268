"""Single steps between the cells of a column and numbers, and the sentences about cells that cannot take them."""

from __future__ import annotations

from typing import Any

import numpy as np

from isthmus.checks import counted
from isthmus.data import dates
from isthmus.data.arrays import short
from isthmus.data.arrow import floats, plain
from isthmus.data.form import cast
from isthmus.data.levels import boolean
from isthmus.errors import InputError


def typed(items: tuple[Any, ...], type_: Any) -> Any:
    """Levels as an Arrow array of their own type."""
    import pyarrow as pa

    if pa.types.is_decimal(type_) or pa.types.is_floating(type_):
        return pa.array(items, pa.float64()).cast(type_, safe=False)
    return pa.array(items, type_)


def number_cells(values: np.ndarray, type_: Any) -> Any:
    """Numbers as cells of an Arrow type of numbers or truth values, rounded and clipped where it holds less."""
    import pyarrow as pa

    missing = np.isnan(values)
    if pa.types.is_decimal(type_):
        # A float64 has 15 sure digits: the largest decimal of more of them would round to one that does not fit.
        most = (10.0 ** min(type_.precision, 15) - 1) * 10.0 ** (max(type_.precision - 15, 0) - type_.scale)
        return pa.array(np.clip(np.where(missing, 0.0, values), -most, most), mask=missing).cast(type_)
    dtype = np.dtype(type_.to_pandas_dtype())
    return pa.array(cast(np.where(missing, 0.0, values), dtype), type_, mask=missing)


def finite(values: np.ndarray, name: str, argument: str) -> np.ndarray:
    """The values; infinite ones are refused with the column's name."""
    count = int(np.isinf(values).sum())
    if count:
        raise InputError(
            f"Input {argument} contains infinity: column {name!r}, {counted(count, 'cell')} of {len(values):,}. "
            f"Often a division by zero or a logarithm of zero: replace these cells (with NaN, say) or drop their rows."
        )
    return values


def finite_cells(array: Any, name: str, argument: str) -> None:
    """Refuse infinite cells of any array of numbers, a dictionary of them included."""
    from pyarrow import types

    values = array.dictionary if types.is_dictionary(array.type) else array
    if types.is_floating(values.type):
        finite(floats(values), name, argument)


def check_count(values: np.ndarray, name: str, argument: str) -> None:
    """Counts are whole numbers from 0 on."""
    wrong = values[(values < 0) | (values != np.rint(values))]
    wrong = wrong[~np.isnan(wrong)]
    if len(wrong):
        raise InputError(
            f"column {name!r} of {argument} cannot be a count: counts are whole numbers from 0 on, and "
            f"{counted(len(wrong), 'cell')} {'is' if len(wrong) == 1 else 'are'} not, for example {wrong[0]:g}. "
            f"Correct these cells, or fit with columns={{{name!r}: 'numeric'}}"
        )


def check_years(values: np.ndarray, name: str, argument: str) -> None:
    """Dates lie in the years 1 to 9999."""
    wrong = np.flatnonzero((values < dates.EARLIEST) | (values >= dates.LATEST + 1))
    if len(wrong):
        year = 1970 + int(values[wrong[0]] // 31_556_952)
        raise InputError(
            f"column {name!r} of {argument} holds dates out of range: {counted(len(wrong), 'cell')} beyond the years "
            f"1 to 9999, the first in row {wrong[0]} (about the year {year}). Correct these cells or make them missing."
        )


def from_text(array: Any, format_: tuple[str, str], name: str, argument: str) -> np.ndarray:
    """(n,) seconds of dates or times kept as text, written in a format."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if not pa.types.is_dictionary(array.type):
        array = plain(pc.dictionary_encode(array), name, argument)
    stamps = dates.parsed(array.dictionary, format_)
    wrong = pc.and_(pc.is_null(stamps), pc.is_valid(array.dictionary))
    if len(wrong) and pc.any(wrong).as_py():
        bad = boolean(wrong)[pc.fill_null(array.indices, -1).to_numpy(zero_copy_only=False)]
        bad &= boolean(pc.is_valid(array.indices))
        if bad.any():
            row = int(np.flatnonzero(bad)[0])
            raise InputError(
                f"column {name!r} of {argument}, row {row}: {short(array[row].as_py())} is not written as "
                f"{format_[0]}, as the others are ({counted(int(bad.sum()), 'such cell')}). Correct these cells or "
                f"make them missing: pandas.to_datetime(..., errors='coerce')"
            )
    values = dates.seconds(stamps)
    if format_[0].startswith("%H"):
        values = values % 86_400
    missing = pc.is_null(array.indices).to_numpy(zero_copy_only=False)
    if not len(values):
        return np.full(len(array), np.nan)
    return np.where(missing, np.nan, values[pc.fill_null(array.indices, 0).to_numpy(zero_copy_only=False)])
