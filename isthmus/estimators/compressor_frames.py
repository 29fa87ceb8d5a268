"""Tables of polars and Arrow as pandas frames of which nothing is lost, and back."""

from __future__ import annotations

import base64
import importlib.util
import warnings
import zlib
from typing import Any

import numpy as np

from isthmus.data.arrow import family
from isthmus.data.tables import check_distinct, check_polars, library_of
from isthmus.errors import DataWarning, FileFormatError, InputError

MADE = "isthmus.made"
"""In the attributes of a pandas frame: what it was made of, as `told` writes it."""

LONGEST = 2**24
"""Bytes that the types of a table may unpack to."""


def is_foreign(X: Any) -> bool:
    """Whether it is a table of polars or of Arrow.

    >>> import pyarrow
    >>> is_foreign(pyarrow.table({"a": [1]})), is_foreign(np.ones(3))
    (True, False)
    """
    library = library_of(X)
    if library == "polars":
        return type(X).__name__ in ("DataFrame", "LazyFrame")
    return library == "pyarrow" and type(X).__name__ in ("Table", "RecordBatch")


def to_pandas(X: Any, argument: str) -> Any:
    """A pandas frame, whose numbers know missing cells beside NaN, and which remembers what it was made of.

    Raises
    ------
    InputError : a lazy frame, names that come twice, or a column of lists, bytes and the like.
    """
    import pandas as pd
    import pyarrow

    library = library_of(X)
    if library == "polars":
        check_polars(X, argument)
        X = X.to_arrow()
    elif type(X).__name__ == "RecordBatch":
        X = pyarrow.Table.from_batches([X])
    check_distinct(X.column_names, argument)
    X = X.replace_schema_metadata(None)
    columns = [column_of(X.column(place), field, argument) for place, field in enumerate(X.schema)]
    frame = pd.DataFrame(dict(enumerate(columns)), index=pd.RangeIndex(X.num_rows), copy=False)
    frame.columns = pd.Index(X.column_names, dtype=object)
    frame.attrs[MADE] = told(library, X.schema)
    return frame


def column_of(cells: Any, field: Any, argument: str) -> Any:
    """A column of Arrow as an array of pandas."""
    import pandas as pd
    import pyarrow
    from pyarrow import types

    kind, sort = field.type, family(field.type)
    if sort is None or (types.is_float16(kind) and cells.null_count):
        raise InputError(
            f"{argument}: column {field.name!r} is of the type {kind}{' with missing cells' if sort else ''}, which "
            "cannot be compressed; numbers, truth values, dates, categories and texts can"
        )
    cells = cells.combine_chunks() if isinstance(cells, pyarrow.ChunkedArray) else cells
    if types.is_dictionary(kind):
        return cells.to_pandas().array
    if sort == "nothing":
        return masked(cells.cast(pyarrow.bool_()))
    if types.is_float16(kind):
        return cells.to_numpy(zero_copy_only=False)
    if sort in ("truth", "number") and not types.is_decimal(kind):
        return masked(cells)
    if sort in ("number", "text"):
        texts = cells.cast(pyarrow.large_string())
        return pd.array(texts.to_pandas(types_mapper=pd.ArrowDtype), dtype=pd.StringDtype("pyarrow", na_value=pd.NA))
    if types.is_time(kind):
        units = cells.cast(pyarrow.int64() if kind.bit_width == 64 else pyarrow.int32()).cast(pyarrow.int64())
        return units.cast(plain_time(kind)).to_pandas().array
    return cells.cast(plain_time(kind)).to_pandas().array


def masked(cells: Any) -> Any:
    """Numbers or truth values with what is missing beside them: a NaN is no missing cell."""
    import pandas as pd

    missing = cells.is_null().to_numpy(zero_copy_only=False)
    values = cells.fill_null(0 if cells.type != "bool" else False).to_numpy(zero_copy_only=False)
    made = {"b": pd.arrays.BooleanArray, "f": pd.arrays.FloatingArray}.get(values.dtype.kind, pd.arrays.IntegerArray)
    return made(values.copy(), missing.copy())


def plain_time(kind: Any) -> Any:
    """The type of dates or spans, which pandas knows, that holds those of ``kind``."""
    import pyarrow
    from pyarrow import types

    if types.is_date(kind):
        return pyarrow.timestamp("s" if types.is_date32(kind) else "ms")
    return pyarrow.duration(kind.unit) if types.is_time(kind) else kind


def told(library: str, schema: Any) -> dict[str, str]:
    """What a table was made of, as JSON has it."""
    return {"library": library, "schema": base64.b64encode(zlib.compress(schema.serialize().to_pybytes(), 9)).decode()}


def schema_of(made: dict[str, str]) -> Any:
    """The types of `told`.

    Raises
    ------
    FileFormatError : they are none.
    """
    import pyarrow

    try:
        unpacker = zlib.decompressobj()
        plain = unpacker.decompress(base64.b64decode(made["schema"], validate=True), LONGEST)
        schema = pyarrow.ipc.read_schema(pyarrow.py_buffer(plain))
        sound = unpacker.eof and made["library"] in ("polars", "pyarrow") and set(made) == {"library", "schema"}
        sound = sound and all(family(field.type) for field in schema)
    except (ValueError, TypeError, KeyError, OSError, zlib.error, pyarrow.ArrowException) as error:
        raise FileFormatError(f"the types of a table cannot be read: {error}") from error
    if not sound:
        raise FileFormatError("the types of a table are none that it can have")
    return schema


def to_arrow(frame: Any, made: dict[str, str]) -> Any:
    """The inverse of `to_pandas`, as an Arrow table."""
    import pyarrow

    schema = schema_of(made)
    if len(schema) != frame.shape[1]:
        raise FileFormatError(f"a table of {frame.shape[1]} columns has the types of {len(schema)}")
    columns = [cells_of(frame.iloc[:, place].array, field.type) for place, field in enumerate(schema)]
    return pyarrow.Table.from_arrays(columns, schema=schema)


def cells_of(column: Any, kind: Any) -> Any:
    """The inverse of `column_of`."""
    import pandas as pd
    import pyarrow
    from pyarrow import types

    if isinstance(column.dtype, pd.CategoricalDtype):
        places = pyarrow.array(column.codes.astype(np.int64), mask=column.codes < 0).cast(kind.index_type)
        levels = pyarrow.array(column.categories.array).cast(kind.value_type)
        return pyarrow.DictionaryArray.from_arrays(places, levels, ordered=kind.ordered)
    if types.is_null(kind):
        return pyarrow.nulls(len(column))
    if hasattr(column, "_mask"):
        return pyarrow.array(column._data, mask=column._mask).cast(kind)
    if types.is_date(kind) or types.is_time(kind):
        times = pyarrow.array(np.asarray(column)).cast(plain_time(kind))
        # Of the seconds of a date and the units of a time of day, there is no other way back.
        return times.cast(kind) if types.is_date(kind) else of_units(times, kind)
    return pyarrow.array(column).cast(kind)


def of_units(spans: Any, kind: Any) -> Any:
    """Times of day from spans since midnight."""
    import pyarrow

    whole = spans.cast(pyarrow.int64())
    return (whole if kind.bit_width == 64 else whole.cast(pyarrow.int32())).cast(kind)


def as_words(frame: Any, made: dict[str, str]) -> Any:
    """The frame with times of day as they are written, not as spans since midnight."""
    from pyarrow import types

    found = frame.copy(deep=False)
    for place, field in enumerate(schema_of(made)):
        if types.is_time(field.type):
            cells = cells_of(frame.iloc[:, place].array, field.type)
            found.isetitem(place, np.array(cells.to_pylist(), dtype=object))
    return found


def as_made(frame: Any, made: dict[str, str]) -> Any:
    """A frame of the library that the table was of.

    Warns
    -----
    DataWarning : polars is not installed; the frame stays one of pandas.
    """
    if made["library"] == "polars" and importlib.util.find_spec("polars") is None:
        warnings.warn(
            "the table was a polars frame, and polars is not installed: here it is as a pandas frame. For the other: "
            "pip install polars",
            DataWarning,
            stacklevel=4,
        )
        return frame
    table = to_arrow(frame, made)
    if made["library"] == "pyarrow":
        return table
    import polars

    return polars.from_arrow(table)
