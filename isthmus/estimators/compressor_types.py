"""The types of a table's columns in a file, whose parts may tell them otherwise: gaps, and types of the fit."""

from __future__ import annotations

from typing import Any

import numpy as np

from isthmus.data.arrow import is_whole_type
from isthmus.errors import InputError
from isthmus.estimators.compressor_columns import MASKED, category_type
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
