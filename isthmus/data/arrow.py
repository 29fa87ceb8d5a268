"""Arrow arrays, in which every mixed column is read: what family a type is of, and pandas columns as arrays."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any

import numpy as np

from isthmus.data.arrays import short, too_large
from isthmus.errors import InputError

WORDS = {
    "number": "numbers",
    "truth": "truth values",
    "text": "text",
    "date": "dates",
    "time": "times of day",
    "span": "time spans",
    "nothing": "nothing",
}
"""The families of cells, and what they are called to people."""

UNUSABLE = {
    "list": "lists: spread them over columns of their own",
    "struct": "records (dictionaries): give each field a column of its own",
    "map": "maps: give each key a column of its own",
    "binary": "bytes: decode them to text (.str.decode('utf-8')), or leave the column out",
    "extension": "objects of a type of their own: turn them into dates, numbers or text (.astype(str))",
    "interval": "spans of months and days: turn them into numbers",
    "union": "values of several types: make them one type",
}


@lru_cache(maxsize=1_000)
def family(type_: Any) -> str | None:
    """Of which of the families in `WORDS` an Arrow type is, a dictionary by its values; None where it is of none.

    >>> import pyarrow as pa
    >>> family(pa.int8()), family(pa.dictionary(pa.int32(), pa.string())), family(pa.list_(pa.int8()))
    ('number', 'text', None)
    """
    from pyarrow import types

    if types.is_dictionary(type_):
        return family(type_.value_type)
    tests = {
        "truth": (types.is_boolean,),
        "number": (types.is_integer, types.is_floating, types.is_decimal),
        "text": (types.is_string, types.is_large_string, types.is_string_view),
        "date": (types.is_timestamp, types.is_date),
        "time": (types.is_time,),
        "span": (types.is_duration,),
        "nothing": (types.is_null,),
    }
    return next((name for name, several in tests.items() if any(test(type_) for test in several)), None)


def is_whole_type(type_: Any) -> bool:
    """Whether every value of the type is a whole number."""
    from pyarrow import types

    return bool(types.is_integer(type_) or (types.is_decimal(type_) and type_.scale <= 0))


def type_named(name: str) -> Any:
    """The Arrow type that ``str(type)`` names, of those in the families.

    >>> type_named("timestamp[us, tz=Europe/Berlin]"), type_named("decimal128(5, 2)"), type_named("uint8")
    (TimestampType(timestamp[us, tz=Europe/Berlin]), Decimal128Type(decimal128(5, 2)), DataType(uint8))
    """
    import pyarrow as pa

    zoned = re.fullmatch(r"timestamp\[(s|ms|us|ns), tz=(.+)\]", name)
    if zoned:
        return pa.timestamp(zoned.group(1), zoned.group(2))
    decimal = re.fullmatch(r"decimal(32|64|128|256)\((\d+), (-?\d+)\)", name)
    if decimal:
        return getattr(pa, f"decimal{decimal.group(1)}")(int(decimal.group(2)), int(decimal.group(3)))
    made = pa.type_for_alias(name)
    if family(made) is None:
        raise ValueError(f"{name!r} is not a type of cells that can be used")
    return made


def plain(array: Any, name: str, argument: str) -> Any:
    """The array with one dictionary and without views, whose cells several Arrow functions cannot read.

    Raises
    ------
    InputError
        Lists, records, bytes and the like, or categories that are neither text, numbers nor truth values.
    """
    import pyarrow as pa

    type_ = array.type
    values = type_.value_type if pa.types.is_dictionary(type_) else type_
    if family(values) is None:
        kind = next((word for word in UNUSABLE if word in str(values)), "extension")
        raise InputError(
            f"column {name!r} of {argument} holds {UNUSABLE[kind]} (Arrow type {type_}). "
            f"Or leave it out with columns={{{name!r}: 'ignore'}}."
        )
    if values is not type_:
        if family(values) in ("date", "time", "span"):
            raise InputError(
                f"column {name!r} of {argument} holds categories that are {WORDS[family(values) or '']}: give them as "
                f"such (.astype('datetime64[ns]') of dates), or as text (.astype(str).astype('category'))"
            )
        if isinstance(array, pa.ChunkedArray):
            array = array.unify_dictionaries().combine_chunks()
        if isinstance(array, pa.ChunkedArray):  # pyarrow keeps an array of no chunk as it is
            array = pa.array([], type_)
        if pa.types.is_string_view(values):
            array = pa.DictionaryArray.from_arrays(
                array.indices, array.dictionary.cast(pa.large_string()), ordered=type_.ordered
            )
        return array
    return array.cast(pa.large_string()) if pa.types.is_string_view(type_) else array


def floats(array: Any) -> np.ndarray:
    """(n,) float64 of an array of numbers or truth values, NaN where it has no value."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if pa.types.is_float64(array.type) and array.null_count == 0:
        return np.asarray(array.to_numpy() if isinstance(array, pa.ChunkedArray) else array.to_numpy(False))
    if pa.types.is_dictionary(array.type):
        array = array.dictionary_decode()
    cast = pc.cast(array, pa.float64(), safe=False)  # whole numbers beyond 2**53 are rounded
    if isinstance(cast, pa.ChunkedArray):
        return np.asarray(cast.to_numpy(), dtype=np.float64)
    return np.asarray(cast.to_numpy(zero_copy_only=False), dtype=np.float64)


def whole_numbers(array: Any) -> tuple[np.ndarray, np.ndarray]:
    """The (n,) int64 behind an array of dates, times or spans, and (n,) bool: where there is no value."""
    import pyarrow as pa
    import pyarrow.compute as pc

    missing = np.asarray(pc.is_null(array).to_numpy() if isinstance(array, pa.ChunkedArray) else
                         pc.is_null(array).to_numpy(zero_copy_only=False))  # fmt: skip
    small = array.type.bit_width == 32
    ticks = pc.cast(pc.cast(array, pa.int32()) if small else array, pa.int64())
    ticks = pc.fill_null(ticks, 0)
    return np.asarray(ticks.to_numpy() if isinstance(ticks, pa.ChunkedArray) else ticks.to_numpy(False)), missing


def arrow_of(series: Any, name: str, argument: str) -> Any:
    """A pandas column as an Arrow array; NaN, None and NaT become missing cells.

    Raises
    ------
    InputError
        Its cells are of several types, or of one that no column can have (complex numbers, sets, periods).
    """
    import pandas as pd
    import pyarrow as pa

    if isinstance(series.dtype, pd.SparseDtype):
        series = series.sparse.to_dense()
    if isinstance(series.dtype, pd.PeriodDtype):
        raise InputError(
            f"column {name!r} of {argument} holds periods ({series.dtype}): turn them into dates, "
            f"{argument}[{name!r}] = {argument}[{name!r}].dt.to_timestamp()"
        )
    categories = series.cat.categories if isinstance(series.dtype, pd.CategoricalDtype) else None
    if isinstance(categories, pd.IntervalIndex):
        raise InputError(
            f"column {name!r} of {argument} holds categories that are intervals: name them as text, "
            f"{argument}[{name!r}] = {argument}[{name!r}].cat.rename_categories(str)"
        )
    if isinstance(series.dtype, np.dtype) and series.dtype.kind == "c":
        raise InputError(complex_said(name, argument, str(series.dtype)))
    try:
        return pa.Array.from_pandas(series)
    except UnicodeEncodeError as error:
        raise InputError(
            f"column {name!r} of {argument} holds text that is no Unicode, for example {short(error.object)}: "
            f"read it again with its encoding, or clean it (.str.encode('utf-8', 'replace').str.decode('utf-8'))"
        ) from error
    except (pa.ArrowException, OverflowError, TypeError, ValueError) as error:
        cells = pd.Series(categories, dtype=object) if categories is not None else series
        raise InputError(several_types(cells, name, argument, error)) from error


def several_types(series: Any, name: str, argument: str, error: Exception) -> str:
    """The sentence about a column that is no array: an example of each type of its cells, and what to do."""
    examples: dict[str, Any] = {}
    for value in series.dropna():
        examples.setdefault(type(value).__name__, value)
        if type(value).__name__ == "int" and not -(2**63) <= value < 2**64:
            return too_large(value, f"column {name!r}", argument)
    if "complex" in examples:
        return complex_said(name, argument, "object")
    spot = f"{argument}[{name!r}]"
    leave = f"or leave the column out with columns={{{name!r}: 'ignore'}}"
    said = ", ".join(f"{kind} ({short(value)})" for kind, value in list(examples.items())[:5])
    if len(examples) < 2:
        return f"column {name!r} of {argument} holds objects that cannot be used: {said or error}. Convert it, {leave}."
    if examples.keys() <= {"int", "float", "bool", "Decimal"}:
        mend = f"{spot} = {spot}.astype('float64')"
    elif examples.keys() & {"int", "float"}:
        mend = f"{spot} = pandas.to_numeric({spot}, errors='coerce'), or all text: {spot} = {spot}.map(str)"
    else:
        mend = f"{spot} = {spot}.map(str)"
    return f"column {name!r} of {argument} mixes types: {said}. Make it one type, {mend}, {leave}."


def complex_said(name: str, argument: str, dtype: str) -> str:
    return (
        f"Complex data not supported: column {name!r} of {argument} has type {dtype}. "
        f"Give real and imaginary parts as columns of their own."
    )
