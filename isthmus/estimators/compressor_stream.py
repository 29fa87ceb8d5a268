"""Data that are read block by block, from memory or from files larger than it."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from isthmus.data.delimited import first_lines, marked_encoding, read_text
from isthmus.data.dialect import MISSING, dialect_of
from isthmus.data.excel import read_excel
from isthmus.data.idx import is_idx, read_idx
from isthmus.data.images import read_images
from isthmus.data.paths import nearby, read_npy, read_npz, unknown_kind
from isthmus.errors import InputError
from isthmus.estimators.compressor_columns import category_type
from isthmus.estimators.compressor_data import checked_data
from isthmus.estimators.compressor_forms import Form
from isthmus.estimators.compressor_tables import TableForm

SAMPLE = 2**24
"""Elements at most that a fit learns from."""

STRETCHES = 16
"""Places of a large array that they are taken from."""

FIRST = 1000
"""Rows that tell the types of a file's columns."""

TEXT_AT_ONCE = 2**26
"""Bytes of a text table from which on it is read in parts."""


class Rows(Protocol):
    """Data as a fit and a compression want them."""

    def sample(self) -> Any:
        """All data, or what a fit may learn from in their place."""
        ...

    def head(self, form: Form) -> Any:
        """The first rows, or none, in the types of all."""
        ...

    def blocks(self, rows: int, form: Form) -> Iterator[Any]:
        """So many rows at a time, in the types that the form knows."""
        ...


class InMemory:
    """An array or a frame."""

    def __init__(self, X: Any) -> None:
        self.X = X

    def sample(self) -> Any:
        return spread(self.X)

    def head(self, form: Form) -> Any:
        return self.X[:0] if isinstance(self.X, np.ndarray) else self.X.iloc[:0]

    def blocks(self, rows: int, form: Form) -> Iterator[Any]:
        for start in range(0, len(self.X), rows):
            yield self.X[start : start + rows] if isinstance(self.X, np.ndarray) else self.X.iloc[start : start + rows]


class NpyFile:
    """A .npy file. It is mapped anew for each block, so that no more of it than that stays in memory."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def sample(self) -> Any:
        return np.array(spread(checked_data(read_npy(self.path), str(self.path))))

    def head(self, form: Form) -> Any:
        return checked_data(read_npy(self.path), str(self.path))[:0]

    def blocks(self, rows: int, form: Form) -> Iterator[Any]:
        for start in range(0, len(read_npy(self.path)), rows):
            yield np.array(read_npy(self.path)[start : start + rows])


class ParquetFile:
    """A .parquet file."""

    def __init__(self, path: Path) -> None:
        import pyarrow.parquet

        self.path = path
        with damage(path):
            self.groups = pyarrow.parquet.ParquetFile(path).num_row_groups

    def sample(self) -> Any:
        import pyarrow.parquet

        with damage(self.path), pyarrow.parquet.ParquetFile(self.path) as file:
            about = file.metadata
            most = max(1, SAMPLE // max(about.num_columns, 1))
            count = about.num_row_groups
            wanted = count if about.num_rows <= most else max(1, count * most // about.num_rows)
            groups = np.unique(np.linspace(0, max(count - 1, 0), wanted).astype(int)).tolist()
            frame = file.read_row_groups(groups).to_pandas()
        return plain_index(frame if len(frame) <= most else frame.iloc[:most])

    def head(self, form: Form) -> Any:
        import pyarrow.parquet

        first = next(self.blocks(FIRST, form), None)
        if first is not None:
            return first
        with damage(self.path):
            empty = pyarrow.parquet.read_schema(self.path).empty_table().to_pandas()
        return in_types(plain_index(empty), form, str(self.path))

    def blocks(self, rows: int, form: Form) -> Iterator[Any]:
        import pyarrow.parquet

        with damage(self.path), pyarrow.parquet.ParquetFile(self.path) as file:
            for batch in file.iter_batches(batch_size=rows):
                yield in_types(plain_index(batch.to_pandas()), form, str(self.path))


class TextFile:
    """A large text table: its first part tells how it is written, and the rest is read alike."""

    def __init__(self, path: Path, separator: str | None) -> None:
        self.path, self.separator = path, separator
        self.encoding = marked_encoding(path)
        lines, whole = first_lines(path, self.encoding)
        self.dialect = dialect_of(lines, separator, self.encoding, whole)[0]

    def sample(self) -> Any:
        with open(self.path, "rb") as file, tempfile.TemporaryDirectory() as folder:
            part = file.read(TEXT_AT_ONCE)
            first = Path(folder) / self.path.name
            first.write_bytes(part[: part.rfind(b"\n") + 1])
            return spread(read_text(first, self.separator).frame)

    def head(self, form: Form) -> Any:
        return next(self.blocks(FIRST, form))

    def blocks(self, rows: int, form: Form) -> Iterator[Any]:
        import pandas as pd

        assert isinstance(form, TableForm)
        texts = {column.name: str for column in form.columns if column.family != "numbers"}
        header = self.dialect.header
        indexed = self.dialect.named and header[0] == "" and len(header) > 1
        try:
            with pd.read_csv(
                self.path, sep=self.dialect.separator, header=0 if self.dialect.named else None, chunksize=rows,
                encoding=self.dialect.encoding, skipinitialspace=self.dialect.spaced, keep_default_na=False,
                na_values=list(MISSING), index_col=0 if indexed else False, decimal=self.dialect.decimal or ".",
                dtype=texts,
            ) as parts:  # fmt: skip
                for part in parts:
                    yield in_types(plain_index(part), form, str(self.path))
        except (pd.errors.ParserError, UnicodeDecodeError) as error:
            raise InputError(f"{str(self.path)!r} cannot be read: {error}") from error


class damage:
    """Tell in words of a Parquet file that cannot be read."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __enter__(self) -> None: ...

    def __exit__(self, kind: Any, error: BaseException | None, trace: Any) -> None:
        import pyarrow

        if isinstance(error, pyarrow.ArrowException):
            raise InputError(
                f"{str(self.path)!r} cannot be read as Parquet: {error}. Is it cut off or damaged?"
            ) from error


def opened_rows(X: Any) -> Rows:
    """What the user has, as blocks of rows."""
    if not isinstance(X, (str, os.PathLike)):
        return InMemory(plain_index(checked_data(X)))
    path = Path(X).expanduser()
    if not path.exists():
        raise InputError(f"there is no file or folder {str(path)!r}.{nearby(path)}")
    if path.is_dir():
        return InMemory(read_images(path))
    name = path.name.lower()
    ending = Path(name.removesuffix(".gz")).suffix
    if name.endswith(".npy"):
        return NpyFile(path)
    if name.endswith(".parquet"):
        return ParquetFile(path)
    if name.endswith(".npz"):
        return InMemory(checked_data(read_npz(path), str(path)))
    if ending in (".csv", ".tsv"):
        mark = "\t" if ending == ".tsv" else None
        if path.stat().st_size > TEXT_AT_ONCE and not name.endswith(".gz"):
            return TextFile(path, mark)
        return InMemory(checked_data(plain_index(read_text(path, mark).frame)))
    if name.endswith((".xlsx", ".xlsm")):
        return InMemory(checked_data(plain_index(read_excel(path).frame)))
    if ending in (".idx", "") or "ubyte" in name or is_idx(path):
        return InMemory(checked_data(read_idx(path)))
    raise InputError(unknown_kind(path))


def plain_index(X: Any) -> Any:
    """A frame with numbered rows; arrays as they are."""
    return X if isinstance(X, np.ndarray) else X.reset_index(drop=True)


def spread(X: Any) -> Any:
    """All of the data, or stretches of rows over all of them, `SAMPLE` elements in all."""
    size = X.size if isinstance(X, np.ndarray) else X.shape[0] * X.shape[1]
    if size <= SAMPLE:
        return X
    rows = max(1, SAMPLE * len(X) // size // STRETCHES)
    starts = np.linspace(0, len(X) - rows, STRETCHES).astype(int)
    places = np.unique(np.concatenate([np.arange(start, start + rows) for start in starts]))
    return X[places] if isinstance(X, np.ndarray) else X.iloc[places].reset_index(drop=True)


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
        elif kind["is"] == "time" and cells.dtype.kind not in "mM" and pd.api.types.is_string_dtype(cells.dtype):
            try:
                frame.isetitem(place, pd.to_datetime(cells, format="ISO8601").astype(kind["dtype"]))
            except (ValueError, TypeError) as error:
                raise InputError(f"{name!r}: column {column.name!r} held dates in the fit: {error}") from error
    return frame
