"""The types of a table's columns in a file, whose parts may tell them otherwise: gaps, and types of the fit."""

from __future__ import annotations

import csv
import zlib
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

from isthmus.data.arrow import is_whole_type
from isthmus.data.delimited import first_lines, legacy_encoding, marked_encoding, read_text
from isthmus.data.dialect import MARKS, MISSING, Dialect, dialect_of
from isthmus.errors import InputError
from isthmus.estimators.compressor_casts import number_type
from isthmus.estimators.compressor_columns import MASKED, Column, category_type
from isthmus.estimators.compressor_data import checked_data
from isthmus.estimators.compressor_forms import Form
from isthmus.estimators.compressor_index import RowNames
from isthmus.estimators.compressor_levels import marked
from isthmus.estimators.compressor_tables import TableForm


def columns_with_gaps(file: Any) -> list[str]:
    """The columns of whole numbers or truth values of a Parquet file in which a cell may be missing."""
    about, found = file.metadata, []
    for place in range(about.num_columns):
        name = about.schema.column(place).path
        field = file.schema_arrow.get_field_index(name)
        if field < 0 or not (is_whole_type(kind := file.schema_arrow.field(field).type) or str(kind) == "bool"):
            continue
        told = [about.row_group(group).column(place).statistics for group in range(about.num_row_groups)]
        if not str(kind).startswith("decimal") and any(one is None or one.null_count != 0 for one in told):
            found.append(name)
    return found


def counted_rows(schema: Any) -> RowNames | None:
    """The evenly spaced numbers that pandas wrote the rows of a Parquet file to be called."""
    about = (schema.pandas_metadata or {}).get("index_columns", [])
    if len(about) != 1 or not isinstance(about[0], dict) or about[0].get("kind") != "range":
        return None
    return RowNames((marked(about[0]["name"], "index"),), about[0]["start"], about[0]["step"])


def unmasked(cells: Any, dtype: np.dtype) -> np.ndarray | None:
    """A column whose missing cells lie beside its numbers, as plain numbers; None where something would be lost."""
    values, missing = cells.array._data, cells.array._mask
    if values.dtype.kind == "f" or not missing.any():
        same = not missing.any() and dtype.newbyteorder("=") == values.dtype
        return values.astype(dtype) if same else None
    exact = dtype.kind == "f" and bool((np.abs(values.astype(np.float64)) < 2.0**53).all()) and dtype.itemsize == 8
    return np.where(missing, np.nan, values).astype(dtype) if exact else None


def in_types(frame: Any, form: Form, name: str) -> Any:
    """A part of a file's table in the types of the fit, where nothing is lost by that.

    Whether a column holds whole numbers, or which categories it has, another part of the file may tell otherwise.
    """
    import pandas as pd

    if not isinstance(form, TableForm) or list(frame.columns) != form.names:
        return frame
    for place, column in enumerate(form.columns):
        cells, kind = frame.iloc[:, place], column.kind
        if kind["is"] == "plain" and np.dtype(kind["dtype"]).kind == "f" and cells.dtype.kind in "iu":
            frame.isetitem(place, cells.astype(np.dtype(kind["dtype"])))
        elif kind["is"] == "category" and isinstance(cells.dtype, pd.CategoricalDtype):
            now = category_type(kind)
            if cells.cat.categories.isin(now.categories).all():
                frame.isetitem(place, cells.astype(now))
        elif kind["is"] == "plain" and cells.dtype.name in MASKED:
            plain = unmasked(cells, np.dtype(kind["dtype"]))
            if plain is not None:
                frame.isetitem(place, plain)
        elif kind["is"] == "masked" and cells.dtype.name == kind["dtype"].lower():
            frame.isetitem(place, cells.astype(kind["dtype"]))
        elif kind["is"] == "cells" and cells.dtype.name == "boolean":
            frame.isetitem(place, cells.astype(object).where(cells.notna(), None))
        elif kind["is"] == "time" and cells.dtype.kind not in "mM" and pd.api.types.is_string_dtype(cells.dtype):
            try:
                frame.isetitem(place, pd.to_datetime(cells, format="ISO8601").astype(kind["dtype"]))
            except (ValueError, TypeError) as error:
                raise InputError(f"{name!r}: column {column.name!r} held dates in the fit: {error}") from error
    return frame


# ---------------------------------------------------------------------- text tables


def read_in_types(path: Path, separator: str | None, form: Form) -> Any:
    """A text table in the types of the fit, whatever its own cells alone would tell.

    Texts stay as they are written (``007``), missing cells of whole numbers and truth values are told beside them, and
    a table of which there are only the names has no rows.
    """
    with suppress(csv.Error, OSError, EOFError, zlib.error):  # which `read_text` tells in words
        names, rows = head_of(path, separator)
        if isinstance(form, TableForm) and form.frame and names and not rows and names == form.names:
            return form.empty()
    frame = checked_data(read_text(path, separator).frame)
    if not isinstance(form, TableForm) or list(frame.columns) != form.names:
        return frame
    places = [place for place, column in enumerate(form.columns) if as_written(column, frame.iloc[:, place])]
    if places:
        text = in_encoding(path, lambda encoding: written_cells(path, separator, places, encoding))
        for order, place in enumerate(places):
            frame.isetitem(place, with_type(text.iloc[:, order].set_axis(frame.index), form.columns[place].kind))
    for place, column in enumerate(form.columns):
        frame.isetitem(place, with_gaps(frame.iloc[:, place], column.kind))
    return in_types(frame, form, str(path))


def in_encoding(path: Path, read: Callable[[str], Any]) -> Any:
    """What a reader of a text file gives in UTF-8 or by its mark, or else in Windows-1252."""
    encoding = marked_encoding(path)
    try:
        return read(encoding)
    except UnicodeDecodeError:
        return read(legacy_encoding(path, encoding))


def head_of(path: Path, separator: str | None) -> tuple[list[str], bool]:
    """The names in the first line of a text table, and whether there is a second."""

    def read(encoding: str) -> tuple[list[str], bool]:
        lines, whole = first_lines(path, encoding)
        dialect, second = dialect_of(lines, separator, encoding, whole)
        return list(dialect.header[is_indexed(dialect) :]), bool(second)

    found: tuple[list[str], bool] = in_encoding(path, read)
    return found


def is_indexed(dialect: Dialect) -> bool:
    """Whether the first column has no name, as pandas writes an index."""
    return dialect.named and len(dialect.header) > 1 and dialect.header[0] == ""


def written_cells(path: Path, separator: str | None, places: list[int], encoding: str) -> Any:
    """Columns of a text table as texts, whatever they hold, but for missing cells."""
    import pandas as pd

    lines, whole = first_lines(path, encoding)
    dialect = dialect_of(lines, separator, encoding, whole)[0]
    return pd.read_csv(
        path, sep=dialect.separator, header=0 if dialect.named else None, encoding=encoding, index_col=False,
        skipinitialspace=dialect.spaced, keep_default_na=False, na_values=list(MISSING), dtype=str,
        usecols=[place + is_indexed(dialect) for place in places],
    )  # fmt: skip


def as_written(column: Column, cells: Any) -> bool:
    """Whether a column that a reader took for something else must be read again as it is written."""
    import pandas as pd

    kind = column.kind
    if kind["is"] == "plain" and number_type(kind).kind in "iu":
        # Of a whole number beyond 2**53, a float is another.
        return bool(cells.dtype.kind == "f" and cells.isna().any())
    texts = column.family == "text" or any(level.startswith("s") for level in column.levels)
    return texts and kind["is"] in ("string", "cells") and not pd.api.types.is_string_dtype(cells.dtype)


def with_type(text: Any, kind: dict[str, Any]) -> Any:
    """A column of texts as texts of the fit, or as whole numbers with gaps, where it has no others."""
    import pandas as pd

    if kind["is"] == "string":
        return text.astype(pd.StringDtype(kind["storage"], na_value=np.nan if kind["nan"] else pd.NA))
    if kind["is"] == "cells":
        return text.astype(object)
    known = text.where(~text.str.strip().isin(MARKS))
    whole = known.dropna().str.strip().str.fullmatch("[+-]?[0-9]{1,18}").all()
    return known.str.strip().astype("Int64") if whole else pd.to_numeric(known, errors="coerce")


def with_gaps(cells: Any, kind: dict[str, Any]) -> Any:
    """A column with missing cells in the type of the fit, which had none, or with none where it had some."""
    import pandas as pd

    if kind["is"] == "time" and cells.isna().all():
        return cells.astype(object).where(cells.notna(), None).astype(kind["dtype"])
    if kind["is"] in ("plain", "masked") and number_type(kind).kind == "b" and cells.dtype != bool:
        return cells.astype("boolean") if cells.dropna().map(type).eq(bool).all() else cells
    if kind["is"] == "cells" and cells.dtype == bool:
        return cells.astype(object)
    whole = kind["is"] == "plain" and number_type(kind).kind in "iu" and number_type(kind).itemsize == 8
    if whole and pd.api.types.is_float_dtype(cells.dtype) and len(cells) and cells.isna().all():
        return cells.astype("Int64")
    return cells
