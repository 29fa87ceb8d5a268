"""pandas and polars frames: which columns hold numbers, and their matrix."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from isthmus.checks import did_you_mean, listed
from isthmus.data.arrays import from_objects, is_number, numeric_text, short, too_large
from isthmus.data.columns import MIXED_TYPES
from isthmus.data.decisions import MODES
from isthmus.data.form import is_plain, plain_dtype
from isthmus.data.sources import ArraySource
from isthmus.errors import InputError

OPTIONS = tuple(dict.fromkeys(("numeric", "ignore", *MODES, *MIXED_TYPES)))


def library_of(X: Any) -> str:
    """The first word of the module that the object's class comes from."""
    return type(X).__module__.partition(".")[0]


@dataclass(frozen=True)
class Kept:
    """The columns that are used: their positions in the user's table, and their names."""

    positions: tuple[int, ...]
    names: tuple[str, ...] | None
    all_of_them: bool


def kept_columns(
    columns: Mapping[Any, str] | None,
    names: Sequence[str] | None,
    width: int,
    strict: bool = True,
    numbered: bool = False,
) -> Kept:
    """Apply ``columns={name: "ignore"}``; an unknown column is an error unless the model is already fitted."""
    ignored = set()
    for column, wanted in (columns or {}).items():
        if not isinstance(wanted, str) or wanted not in OPTIONS:
            raise InputError(f"columns: {column!r} must be one of {listed(OPTIONS, 20)}; got {wanted!r}")
        position = column_position(column, names, width, numbered)
        if position is None and strict:
            known = names if names is not None else [str(i) for i in range(width)]
            raise InputError(f"columns: there is no column {column!r}.{did_you_mean(column, known)}")
        if wanted == "ignore" and position is not None:
            ignored.add(position)
    positions = tuple(i for i in range(width) if i not in ignored)
    if not positions and width:
        raise InputError("columns: every column is ignored; at least one must be left")
    used = None if names is None else tuple(names[i] for i in positions)
    return Kept(positions, used, not ignored)


def column_position(column: Any, names: Sequence[str] | None, width: int, numbered: bool = False) -> int | None:
    """Where a column is, by name or by position; None where there is no such column."""
    if names is not None and str(column) in names and (isinstance(column, str) or numbered):
        return list(names).index(str(column))
    if isinstance(column, str) and names is None and column.isdecimal():
        column = int(column)
    if isinstance(column, (int, np.integer)) and not isinstance(column, bool) and 0 <= column < width:
        return int(column)
    return None


def check_distinct(names: Sequence[str], argument: str) -> None:
    """Column names must tell columns apart."""
    twice = [name for name, count in Counter(names).items() if count > 1]
    if twice:
        raise InputError(f"{argument} has several columns of the same name: {listed(twice)}. Give each its own name.")


def check_single_level(frame: Any, argument: str) -> None:
    """Column names of several levels are refused."""
    if frame.columns.nlevels > 1:
        raise InputError(
            f"{argument} has column names of {frame.columns.nlevels} levels (a MultiIndex), such as "
            f"{short(frame.columns[0])}. Join them to one name each: "
            f"{argument}.columns = ['_'.join(map(str, levels)) for levels in {argument}.columns]"
        )


def names_differ(got: tuple[str, ...], expected: tuple[str, ...], frame: str | None = None, gaps: bool = False) -> str:
    """Which columns are new, missing or out of order, in scikit-learn's words, and the line that mends it.

    Parameters
    ----------
    got, expected : column names.
    frame : what the frame is called that such a line may change; None = there is none.
    gaps : the fitted model takes missing cells.
    """
    new, missing = sorted(set(got) - set(expected)), sorted(set(expected) - set(got))
    said = "The feature names should match those that were passed during fit.\n"
    if new:
        said += "Feature names unseen at fit time:\n" + _lines(new)
    if missing:
        said += "Feature names seen at fit time, yet now missing:\n" + _lines(missing)
    if not new and not missing:
        said += "Feature names must be in the same order as they were in fit.\n"
    if new and frame is None:
        said += f"Leave the new ones out, for example with columns={{{new[0]!r}: 'ignore'}}.\n"
    if frame is not None and not missing:
        few = len(expected) <= 8
        said += "Leave the new ones out: " if new else "Put them into that order: "
        said += f"{frame} = {frame}[{list(expected) if few else 'list(model.feature_names_in_)'}]\n"
    if frame is not None and missing and gaps:
        said += f"Where their values are not known: {frame}[{missing[0]!r}] = None\n"
    if frame is None and missing:
        empty = "empty where their values are not known, " if gaps else ""
        without = f": columns={{{missing[0]!r}: 'ignore'}}" if gaps else ""
        said += f"Add the missing ones to the file, {empty}or fit again without them{without}.\n"
    return said


def _lines(names: list[str]) -> str:
    more = "- ...\n" if len(names) > 5 else ""
    return "".join(f"- {name}\n" for name in names[:5]) + more


def pandas_source(
    frame: Any, argument: str, columns: Mapping[Any, str] | None, strict: bool, rename: Sequence[str] | None = None
) -> ArraySource:
    """A pandas frame as a source; ``rename`` = () marks a table whose columns have no names."""
    check_single_level(frame, argument)
    numbered = is_numbered(frame.columns)
    names = [str(label) for label in frame.columns]
    check_distinct(names, argument)
    kept = kept_columns(columns, names, len(names), strict, numbered)
    if not kept.all_of_them:
        frame = frame.iloc[:, list(kept.positions)]
    check_not_empty(frame.shape, argument)
    values, dtypes = pandas_matrix(frame, kept.names or (), argument)
    return ArraySource(
        values, names=None if rename == () else kept.names, dtypes=shared(dtypes),
        container="pandas", index=frame.index, numbered=numbered and rename is None,
        kept=None if kept.all_of_them else kept.positions, argument=argument,
    )  # fmt: skip


def is_numbered(labels: Any) -> bool:
    """Whether all column labels are whole numbers."""
    return len(labels) > 0 and all(isinstance(x, (int, np.integer)) and not isinstance(x, bool) for x in labels)


def pandas_matrix(frame: Any, names: Sequence[str], argument: str) -> tuple[np.ndarray, Sequence[str]]:
    """A pandas frame as (rows, columns), and the type name of each column."""
    dtype = frame.dtypes.iloc[0]
    if isinstance(dtype, np.dtype) and dtype.kind in "biuf" and (frame.dtypes == dtype).all():
        # One type for all: looking at thousands of columns singly takes long.
        return np.ascontiguousarray(frame.to_numpy()), (dtype.newbyteorder("=").name,)
    arrays, dtypes = [], []
    for i, name in enumerate(names):
        values, found = pandas_column(frame.iloc[:, i], name, argument)
        arrays.append(values)
        dtypes.append(found)
    return matrix(arrays, len(frame)), dtypes


def pandas_column(column: Any, name: str, argument: str) -> tuple[np.ndarray, str]:
    """One pandas column as an array, and the name of its type."""
    import pandas as pd

    dtype = column.dtype
    if isinstance(dtype, pd.SparseDtype):
        column = column.sparse.to_dense()
        dtype = column.dtype
    if isinstance(dtype, np.dtype) and dtype.kind in "biuf":
        return column.to_numpy(), dtype.newbyteorder("=").name
    if isinstance(dtype, np.dtype) and dtype.kind == "c":
        raise InputError(f"Complex data not supported: column {name!r} of {argument} has type {dtype}")
    if pd.api.types.is_numeric_dtype(dtype) and is_plain(str(dtype)):
        return nullable_column(column), str(dtype)
    filled = column.dropna()
    if (
        pd.api.types.is_object_dtype(dtype)
        and len(filled)
        and not any(isinstance(value, (str, bytes)) for value in filled)
    ):
        values = from_objects(column.to_numpy(), argument, name)
        return values, values.dtype.name
    raise not_numeric(name, argument, filled.iloc[:1_000].tolist(), pandas_kind(column), str(dtype))


def nullable_column(column: Any) -> np.ndarray:
    """A nullable or Arrow column: its own type where every cell is filled, else floats with NaN."""
    plain = plain_dtype(str(column.dtype))
    if not column.isna().any():
        return column.to_numpy(dtype=plain)
    kind = plain if plain.kind == "f" else np.dtype(np.float64)
    return column.to_numpy(dtype=kind, na_value=np.nan)


def pandas_kind(column: Any) -> str:
    """What a column that is not numeric holds, for people."""
    import pandas as pd

    types = pd.api.types
    if isinstance(column.dtype, pd.CategoricalDtype):
        return "categories"
    if types.is_datetime64_any_dtype(column.dtype) or isinstance(column.dtype, pd.PeriodDtype):
        return "dates"
    if types.is_timedelta64_dtype(column.dtype):
        return "time spans"
    if types.is_string_dtype(column.dtype):
        return "text"
    return "objects"


def not_numeric(name: str, argument: str, values: Sequence[Any], kind: str, dtype: str) -> InputError:
    """The error for a column without numbers: its name, its type, an example, and what to do."""
    texts = [value for value in values if isinstance(value, str)]
    if texts and kind == "objects":
        kind = "text"
    wrong = next((text for text in texts if not is_number(text)), texts[0] if texts else None)
    example = wrong if wrong is not None else (values[0] if len(values) else None)
    whole = next((int(text) for text in texts if text.strip().lstrip("+-").isdecimal() and len(text) > 18), None)
    if wrong is not None and is_number(wrong) and whole is not None:
        return InputError(too_large(whole, f"column {name!r}", argument))
    shown = "it is empty" if example is None else f"for example {short(example)}"
    advice = {
        "dates": "Turn it into numbers (a year, a day of the week, days since a date)",
        "time spans": "Turn it into numbers (seconds, say)",
    }.get(kind, "Encode it as numbers")
    hint = numeric_text(example) if isinstance(example, str) else ""
    return InputError(
        f"column {name!r} of {argument} holds {kind} (type {dtype}), {shown}; "
        f"only columns of numbers can be used.{hint} {advice}, drop it, "
        f"or leave it out with columns={{{name!r}: 'ignore'}}."
    )


def check_polars(frame: Any, argument: str) -> None:
    """Only whole frames of polars are data."""
    if type(frame).__name__ != "DataFrame":
        advice = "call .collect() on it first" if type(frame).__name__ == "LazyFrame" else "give a DataFrame"
        raise InputError(f"{argument} is a polars {type(frame).__name__}: {advice}")


def is_polars_number(dtype: Any) -> bool:
    """Whether a polars type is one of numbers, or of truth values."""
    import polars

    return bool(dtype == polars.Boolean or dtype.is_integer() or dtype.is_float())


def polars_source(frame: Any, argument: str, columns: Mapping[Any, str] | None, strict: bool) -> ArraySource:
    """A polars frame as a source."""
    kept = kept_columns(columns, frame.columns, frame.width, strict)
    check_not_empty((frame.height, len(kept.positions)), argument)
    arrays, dtypes = [], []
    for i in kept.positions:
        values, dtype = polars_column(frame.to_series(i), argument)
        arrays.append(values)
        dtypes.append(dtype)
    return ArraySource(
        matrix(arrays, frame.height), names=kept.names, dtypes=shared(dtypes), container="polars",
        kept=None if kept.all_of_them else kept.positions, argument=argument,
    )  # fmt: skip


def polars_column(column: Any, argument: str) -> tuple[np.ndarray, str]:
    """One polars column as an array, nulls as NaN, and the name of its type."""
    import polars

    name = "bool" if column.dtype == polars.Boolean else str(column.dtype).lower()
    if not is_polars_number(column.dtype):
        filled = column.drop_nulls().head(1_000).to_list()
        raise not_numeric(column.name, argument, filled, polars_kind(column.dtype), str(column.dtype))
    if name in ("int128", "uint128"):
        raise InputError(f"column {column.name!r} of {argument} has type {column.dtype}: cast it to Int64 or Float64")
    return (column.cast(polars.Float64) if column.null_count() else column).to_numpy(), name


def polars_kind(dtype: Any) -> str:
    said = str(dtype)
    if said.startswith(("Date", "Time")):
        return "dates"
    if said.startswith(("Categorical", "Enum")):
        return "categories"
    if said.startswith("Duration"):
        return "time spans"
    return "text" if said == "String" else "objects"


def matrix(arrays: Sequence[np.ndarray], rows: int) -> np.ndarray:
    """(rows, columns) in the type that holds every column."""
    dtype = np.result_type(*arrays)
    made = np.empty((rows, len(arrays)), dtype=dtype)
    for i, values in enumerate(arrays):
        made[:, i] = values
    return made


def shared(dtypes: Sequence[str]) -> tuple[str, ...]:
    """One entry where all columns have the same type."""
    return tuple(dtypes[:1]) if len(set(dtypes)) == 1 else tuple(dtypes)


def check_not_empty(shape: Sequence[int], argument: str) -> None:
    """At least one row and one number in it, in scikit-learn's words."""
    shape = tuple(int(n) for n in shape)
    if shape[0] == 0:
        raise InputError(
            f"{argument}: Found array with 0 sample(s) (shape={shape}) while a minimum of 1 is required. "
            f"It has no rows."
        )
    if 0 in shape[1:] or len(shape) < 2:
        raise InputError(
            f"{argument}: Found array with 0 feature(s) (shape={shape}) while a minimum of 1 is required. "
            f"It has no columns."
        )
