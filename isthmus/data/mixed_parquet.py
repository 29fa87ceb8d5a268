"""Parquet files of any columns: read and coded a column at a time, or a row group at a time where they are large."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from isthmus.data.form import Form
from isthmus.data.later import coded, matching, unseen_sentence, unseen_words
from isthmus.data.mixed import Table, known, learnt, scalings, some_of, understood, wanted_types
from isthmus.data.mixed_frames import asks_for_mixed, frame_source, pandas_arrow
from isthmus.data.sources import ParquetSource, Source, spread_rows
from isthmus.data.table_form import TableForm
from isthmus.data.tables import check_distinct, check_not_empty, is_numbered, kept_columns, shared
from isthmus.errors import DataWarning, InputError

WHOLE_BYTES = 256 * 2**20
"""Files of numbers that are larger than this once unpacked are read one row group at a time."""

CODED_BYTES = 3 * 2**29
"""Mixed tables that are larger than this once coded are read and coded one row group at a time."""

MOST_ROWS = 5_000_000
"""Rows, of row groups spread over the file, that decide what a column of a large file holds."""


def parquet_source(
    path: Path, argument: str, columns: Mapping[Any, str] | None, form: Form | None, estimator_name: str
) -> Source:
    """A Parquet file: in memory where it is small, otherwise read one row group at a time."""
    import pyarrow
    import pyarrow.parquet

    try:
        with pyarrow.parquet.ParquetFile(path) as file:
            file.schema_arrow.pandas_metadata  # noqa: B018 - damaged notes show here
            return opened(file, path, argument, columns, form, estimator_name)
    except InputError:
        raise
    except (pyarrow.ArrowException, OSError, ValueError, TypeError, KeyError) as error:
        # Damage is found by Arrow, or by pandas in the notes that it left in the file.
        raise InputError(f"{str(path)!r} cannot be read as Parquet: {error}. Is it cut off or damaged?") from error


def opened(
    file: Any, path: Path, argument: str, columns: Mapping[Any, str] | None, form: Form | None, estimator_name: str
) -> Source:
    """What an open file holds, as a source."""
    about, schema = file.metadata, file.schema_arrow
    table = file_table(file, argument)
    kept = kept_columns(columns, table.names, len(table.names), form is None)
    check_not_empty((about.num_rows, len(kept.positions)), argument)
    used = kept.names or ()
    kinds = [schema.field(name).type for name in used]
    table = replace(table, numbers=all(is_number_type(one) or str(one) == "null" for one in kinds))
    mixed = isinstance(form, TableForm)
    if form is None:
        mixed = asks_for_mixed(columns) or not all(map(is_number_type, kinds))
    size = sum(about.row_group(i).total_byte_size for i in range(about.num_row_groups))
    if not mixed and size <= WHOLE_BYTES:
        return frame_source(file.read().to_pandas(), argument, columns, form, estimator_name, by_name=True)
    if not mixed and (form is not None or not any_gap(file, used)):
        dtypes = [arrow_dtype(schema.field(name), argument) for name in used]
        positions = None if kept.all_of_them else kept.positions
        return ParquetSource(str(path), used, shared(dtypes), kept=positions, argument=argument)
    if about.num_rows * len(used) * 8 > CODED_BYTES:
        return streamed(path, file, table, argument, columns, form, estimator_name)
    if isinstance(form, TableForm):
        return coded(table, form, columns, argument, estimator_name, by_name=True)
    return learnt(table, columns, argument)


def file_table(file: Any, argument: str, groups: list[int] | None = None) -> Table:
    """An open file, or some of its row groups, as a table whose columns are read one at a time."""
    schema = file.schema_arrow
    marks = (schema.pandas_metadata or {}).get("index_columns", [])
    names = tuple(name for name in schema.names if name not in marks)
    check_distinct(names, argument)
    every = list(range(file.metadata.num_row_groups)) if groups is None else groups

    def column(place: int) -> tuple[Any, str]:
        read = file.read_row_groups(every, columns=[names[place]], use_threads=False)
        # Names with a dot also find the fields of records: only the column that is meant is kept.
        return pandas_arrow(read.select([names[place]]).to_pandas().iloc[:, 0], names[place], argument)

    rows = sum(file.metadata.row_group(i).num_rows for i in every)
    numbered = len(names) > 0 and is_numbered(schema.empty_table().to_pandas().columns)
    index = index_of(file, marks) if groups is None else None
    return Table("pandas", names, rows, column, numbered=numbered, index=index)


def index_of(file: Any, marks: list[Any]) -> Any:
    """The index that pandas wrote into the file, or None for the row numbers."""
    import pandas as pd

    names = [name for name in marks if isinstance(name, str)]
    if names:
        return file.read(columns=names, use_threads=False).to_pandas().index
    steps = [mark for mark in marks if isinstance(mark, dict) and mark.get("kind") == "range"]
    if not steps:
        return None
    return pd.RangeIndex(steps[0]["start"], steps[0]["stop"], steps[0]["step"], name=steps[0].get("name"))


class MixedParquet(ParquetSource):
    """A mixed Parquet file, read and coded one row group at a time, never whole.

    Parameters
    ----------
    path : the file.
    form : what each column is; columns are found by name.
    kept, argument : as in `ParquetSource`.
    """

    def __init__(self, path: str, form: TableForm, *, kept: tuple[int, ...] | None = None, argument: str = "X") -> None:
        super().__init__(path, form.names or (), form.dtypes, kept=kept, argument=argument)
        self.coded = form
        self.layout, self.dtypes = form.layout, form.dtypes
        self.per_column = scalings(form, kept)
        self._told = False

    @property
    def form(self) -> Form:
        return self.coded

    @property
    def dtype(self) -> np.dtype:
        return np.dtype(np.float64 if self.coded.wide else np.float32)

    def weight(self, rows: np.ndarray) -> np.ndarray | None:
        return known(self.take(rows))

    def weight_of(self, raw: np.ndarray, rows: np.ndarray) -> np.ndarray | None:
        return known(raw)

    def _numbers(self, table: Any) -> np.ndarray:
        values = np.empty((table.num_rows, len(self.coded.codings)), dtype=self.dtype)
        strange = []
        for i, coding in enumerate(self.coded.codings):
            values[:, i], examples, cells = coding.encode(table.column(coding.name), self.argument)
            strange += [unseen_words(coding.name, examples, cells, coding.forgets)] if cells else []
        if strange and not self._told:
            self._told = True
            warnings.warn(unseen_sentence(strange, self.argument), DataWarning, stacklevel=2)
        return values


def streamed(
    path: Path, file: Any, table: Table, argument: str, columns: Mapping[Any, str] | None, form: Form | None,
    estimator_name: str,
) -> MixedParquet:  # fmt: skip
    """A large file; what its columns hold is told by row groups that are spread over it."""
    if isinstance(form, TableForm):
        places = matching(table, form, columns, argument, estimator_name, by_name=True)
        return MixedParquet(str(path), form, kept=some_of(places, table), argument=argument)
    some = replace(file_table(file, argument, spread_groups(file.metadata)), numbers=table.numbers)
    learnt_form, kept = understood(some, table, wanted_types(columns, table, strict=True), argument)
    return MixedParquet(str(path), learnt_form, kept=some_of(kept, table), argument=argument)


def spread_groups(about: Any) -> list[int]:
    """Row groups spread over a file that hold `MOST_ROWS` rows together, or all of them."""
    total = max(1, about.num_rows)
    most = max(1, about.num_row_groups * MOST_ROWS // total)
    return [int(i) for i in spread_rows(about.num_row_groups, most)]


def any_gap(file: Any, names: tuple[str, ...]) -> bool:
    """Whether a cell of some columns of numbers is missing: read one row group at a time, up to the first gap."""
    import pyarrow.compute as pc
    import pyarrow.types as types

    for group in range(file.metadata.num_row_groups):
        read = file.read_row_group(group, columns=list(names), use_threads=False)
        for name in names:
            cells = read.column(name)
            if cells.null_count or (types.is_floating(cells.type) and pc.any(pc.is_nan(cells)).as_py()):
                return True
    return False


def is_number_type(type_: Any) -> bool:
    """Whether an Arrow type is one of numbers that NumPy knows, or of truth values."""
    from pyarrow import types

    return bool(types.is_boolean(type_) or types.is_integer(type_) or types.is_floating(type_))


def arrow_dtype(field: Any, argument: str) -> str:
    """The NumPy name of an Arrow column's type; an error where it holds no numbers."""
    import pyarrow

    from isthmus.data.tables import not_numeric

    types = pyarrow.types
    if types.is_boolean(field.type):
        return "bool"
    if is_number_type(field.type):
        return np.dtype(field.type.to_pandas_dtype()).name
    kind = "dates" if types.is_temporal(field.type) else "text" if "string" in str(field.type) else "objects"
    raise not_numeric(field.name, argument, (), kind, str(field.type))
