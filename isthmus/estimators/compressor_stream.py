"""Data that are read block by block, from memory or from files larger than it."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from isthmus.data.delimited import first_lines, marked_encoding, read_text
from isthmus.data.dialect import MISSING, dialect_of
from isthmus.data.excel import read_excel
from isthmus.data.idx import is_idx, read_idx
from isthmus.data.paths import nearby, read_npy, read_npz, unknown_kind
from isthmus.errors import InputError
from isthmus.estimators.compressor_arrays import ArrayForm
from isthmus.estimators.compressor_data import checked_data
from isthmus.estimators.compressor_folders import pictures_of_one_size
from isthmus.estimators.compressor_forms import Form
from isthmus.estimators.compressor_frames import MADE, masked
from isthmus.estimators.compressor_tables import TableForm
from isthmus.estimators.compressor_types import columns_with_gaps, counted_rows, in_types, read_in_types

SAMPLE = 2**24
"""Elements at most that a fit learns from."""

STRETCHES = 16
"""Places of a large array that they are taken from."""

FIRST = 1000
"""Rows that tell the types of a file's columns."""

TEXT_AT_ONCE = 2**26
"""Bytes of a text table from which on it is read in parts."""


class Rows(Protocol):
    """Data as a fit and a compression want them.

    Attributes
    ----------
    files : names of pictures below their folder; of other data none.
    """

    files: tuple[str, ...]

    def sample(self) -> Any:
        """All data, or what a fit may learn from in their place."""
        ...

    def head(self, form: Form) -> Any:
        """The first rows, or none, in the types of all; arrays whole, as an error about them tells their shape."""
        ...

    def blocks(self, rows: int, form: Form) -> Iterator[Any]:
        """So many rows at a time, in the types that the form knows."""
        ...


class InMemory:
    """An array or a frame; of pictures in a folder also the names of their files."""

    def __init__(self, X: Any, files: Sequence[str] = ()) -> None:
        self.X, self.files = X, tuple(files)

    def sample(self) -> Any:
        return spread(plain_index(self.X))

    def head(self, form: Form) -> Any:
        if not isinstance(self.X, np.ndarray):
            # Other libraries have one type for numbers with and without missing cells, pandas has two.
            self.X = in_types(self.X.copy(deep=False), form, "X") if MADE in self.X.attrs else self.X
            return self.X.iloc[:0]
        check_not_a_row(self.X, form)
        return self.X

    def blocks(self, rows: int, form: Form) -> Iterator[Any]:
        for start in range(0, len(self.X), rows):
            yield (self.X if isinstance(self.X, np.ndarray) else self.X.iloc)[start : start + rows]


class TextTable(InMemory):
    """A text table that is read whole: for a fit as its cells tell, for a fitted model in the types of its fit."""

    def __init__(self, path: Path, separator: str | None) -> None:
        super().__init__(None)
        self.path, self.separator = path, separator

    def sample(self) -> Any:
        if self.X is None:
            self.X = checked_data(read_text(self.path, self.separator).frame)
        return super().sample()

    def head(self, form: Form) -> Any:
        self.X = read_in_types(self.path, self.separator, form)
        return super().head(form)


class NpyFile:
    """A .npy file. It is mapped anew for each block, so that no more of it than that stays in memory."""

    files: tuple[str, ...] = ()

    def __init__(self, path: Path) -> None:
        self.path = path

    def sample(self) -> Any:
        return np.array(spread(checked_data(read_npy(self.path), str(self.path))))

    def head(self, form: Form) -> Any:
        X = checked_data(read_npy(self.path), str(self.path))
        check_not_a_row(X, form)
        return X

    def blocks(self, rows: int, form: Form) -> Iterator[Any]:
        for start in range(0, len(read_npy(self.path)), rows):
            yield np.array(read_npy(self.path)[start : start + rows])


class ParquetFile:
    """A .parquet file."""

    files: tuple[str, ...] = ()

    def __init__(self, path: Path) -> None:
        import pyarrow.parquet

        self.path = path
        with damage(path), pyarrow.parquet.ParquetFile(path) as file:
            self.gaps = columns_with_gaps(file)
            self.names = counted_rows(file.schema_arrow)

    def sample(self) -> Any:
        import pyarrow.parquet

        with damage(self.path), pyarrow.parquet.ParquetFile(self.path) as file:
            about = file.metadata
            most = max(1, SAMPLE // max(about.num_columns, 1))
            count = about.num_row_groups
            wanted = count if about.num_rows <= most else max(1, count * most // about.num_rows)
            groups = np.unique(np.linspace(0, max(count - 1, 0), wanted).astype(int)).tolist()
            frame = self._frame(file.read_row_groups(groups), 0)
        return plain_index(frame if len(frame) <= most else frame.iloc[:most])

    def head(self, form: Form) -> Any:
        import pyarrow.parquet

        first = next(self.blocks(FIRST, form), None)
        if first is not None:
            return first
        with damage(self.path):
            empty = self._frame(pyarrow.parquet.read_schema(self.path).empty_table(), 0)
        return in_types(empty, form, str(self.path))

    def blocks(self, rows: int, form: Form) -> Iterator[Any]:
        import pyarrow.parquet

        with damage(self.path), pyarrow.parquet.ParquetFile(self.path) as file:
            start = 0
            for batch in file.iter_batches(batch_size=rows):
                yield in_types(self._frame(batch, start), form, str(self.path))
                start += len(batch)

    def _frame(self, part: Any, start: int) -> Any:
        """Rows from number ``start`` on, whole numbers among them exact where cells are missing."""
        frame = part.to_pandas()
        for name in self.gaps:
            if name in frame.columns and isinstance(frame.dtypes[name], np.dtype):
                column = part.column(name)
                cells = column.combine_chunks() if hasattr(column, "combine_chunks") else column
                frame[name] = masked(cells)
        # What pandas wrote about evenly spaced numbers is of all rows, and fits no part of them.
        return frame if self.names is None else frame.set_axis(self.names.at(start, len(frame)), axis=0)


class TextFile:
    """A large text table: its first part tells how it is written, and the rest is read alike."""

    files: tuple[str, ...] = ()

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
            return spread(plain_index(read_text(first, self.separator).frame))

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
                    yield in_types(part, form, str(self.path))
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
        return InMemory(checked_data(X))
    path = Path(X).expanduser()
    if not path.exists():
        raise InputError(f"there is no file or folder {str(path)!r}.{nearby(path)}")
    if path.is_dir():
        return InMemory(*pictures_of_one_size(path))
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
        return TextTable(path, mark)
    if name.endswith((".xlsx", ".xlsm")):
        return InMemory(checked_data(read_excel(path).frame))
    if ending in (".idx", "") or "ubyte" in name or is_idx(path):
        return InMemory(checked_data(read_idx(path)))
    raise InputError(unknown_kind(path))


def check_not_a_row(X: np.ndarray, form: Form) -> None:
    """Refuse a single row, such as one picture, in the place of many."""
    shape = form.shape if isinstance(form, ArrayForm) else ()
    if len(shape) > 1 and X.shape == shape:
        raise InputError(
            f"X must be an array of the shape (n, {', '.join(map(str, shape))}), as in the fit; got {X.shape}, a "
            "single row of it. Give X[None]"
        )


def plain_index(X: Any) -> Any:
    """A frame of pandas alone, whose rows are counted from 0; arrays as they are."""
    if isinstance(X, np.ndarray):
        return X
    X = X.reset_index(drop=True)
    X.attrs = {}
    return X


def spread(X: Any) -> Any:
    """All of the data, or stretches of rows over all of them, `SAMPLE` elements in all."""
    size = X.size if isinstance(X, np.ndarray) else X.shape[0] * X.shape[1]
    if size <= SAMPLE:
        return X
    rows = max(1, SAMPLE * len(X) // size // STRETCHES)
    starts = np.linspace(0, len(X) - rows, STRETCHES).astype(int)
    places = np.unique(np.concatenate([np.arange(start, start + rows) for start in starts]))
    return X[places] if isinstance(X, np.ndarray) else X.iloc[places].reset_index(drop=True)
