"""Where rows come from: an array, a sparse matrix, or a file that is read in pieces."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

import numpy as np
import scipy.sparse

from isthmus.data.form import Form, plain_dtype
from isthmus.errors import InputError
from isthmus.records import Layout

BLOCK_BYTES = 16 * 2**20
"""A stretch of a mapped file that is cheap to read whole."""

RANDOM_ACCESS_BYTES = 2**30
"""A mapped file up to this size stays in the system's cache, so that any row may be asked for."""


class Source:
    """Rows of numbers, and what is needed to give results back in the user's form.

    Attributes
    ----------
    rows : how many there are.
    layout : what one row is.
    names : column names, None for nameless arrays.
    dtypes : a type name per column, or one entry where all share it.
    container : ``"numpy"``, ``"pandas"`` or ``"polars"``: what results come back as.
    index : the pandas index of the rows, or None.
    random_access : whether any row is as cheap as its neighbour.
    blocks : stretches ``(start, stop)`` that cover all rows and are cheap to read whole.
    numbered : the column names were whole numbers in the user's frame.
    kept : the positions that the columns had before some were left out, or None where none was.
    per_column : what the user asked for single columns, as given to `open_source`.
    lengths : (rows,) int64, valid steps of each row, where rows are sequences of different lengths.
    said : sentences about a file that was read: its decimal sign, its encoding.
    derived : the columns were made from the user's, so that no warning is due about them.
    argument : what errors call this data.
    """

    rows: int
    layout: Layout
    names: tuple[str, ...] | None = None
    dtypes: tuple[str, ...]
    container: str = "numpy"
    index: Any = None
    random_access: bool = True
    blocks: list[tuple[int, int]]
    numbered: bool = False
    kept: tuple[int, ...] | None = None
    per_column: Mapping[str | int, str] = MappingProxyType({})
    lengths: np.ndarray | None = None
    said: tuple[str, ...] = ()
    derived: bool = False
    argument: str = "X"

    def take(self, rows: np.ndarray) -> np.ndarray:
        """(m, *layout.shape): the rows with these numbers, in this order, in the data's common type. Of a mixed table
        they are raw numbers: level numbers, seconds since 1970 for dates, NaN for what is missing."""
        raise NotImplementedError

    def read(self, start: int, stop: int) -> np.ndarray:
        """(stop - start, *layout.shape): neighbouring rows. It may be a view: never write into it."""
        return self.take(np.arange(start, stop))

    def weight(self, rows: np.ndarray) -> np.ndarray | None:
        """(m, *layout.shape) float32: 0 in cells that are missing or beyond a sequence's end; None where all count."""
        return None

    def weight_of(self, raw: np.ndarray, rows: np.ndarray) -> np.ndarray | None:
        """`weight` of rows just taken, ``raw``: of mixed tables these tell it, and nothing is read again."""
        return self.weight(rows)

    def steps(self, rows: np.ndarray | None = None) -> Source:
        """Of sequences, every step of some rows (None = all) as a row of its own."""
        raise NotImplementedError

    def wrapped(self, values: np.ndarray) -> Any:
        """Results for all rows, (rows, *layout.shape) in the user's units, as the user's kind of object."""
        return self.form.wrap(values, index=self.index)

    def described(self) -> list[str]:
        """What was found out about a file, and a sentence per column of a mixed table, those left out included."""
        return [*self.said, *self.form.described()]

    @property
    def form(self) -> Form:
        """What results made from these rows should look like."""
        return Form(self.container, self.names, self.dtypes, self.layout, self.numbered)

    @property
    def dtype(self) -> np.dtype:
        """The type that holds every column."""
        return np.result_type(*(plain_dtype(name) for name in set(self.dtypes)))

    @property
    def row_bytes(self) -> int:
        """Memory of one row as `take` returns it."""
        return self.layout.features * self.dtype.itemsize

    def __len__(self) -> int:
        return self.rows

    def __repr__(self) -> str:
        return f"{type(self).__name__}(rows={self.rows}, shape={self.layout.shape}, dtype={self.dtype})"


class ArraySource(Source):
    """An array in memory, or one mapped from a file.

    Parameters
    ----------
    array : (n, ...) of truth values, whole numbers or floats.
    names, dtypes, container, index, numbered, kept, argument : as in `Source`.
    mapped : the array lies in a file, so that a large one is read in stretches.
    """

    def __init__(
        self,
        array: np.ndarray,
        *,
        names: tuple[str, ...] | None = None,
        dtypes: tuple[str, ...] | None = None,
        container: str = "numpy",
        index: Any = None,
        numbered: bool = False,
        kept: tuple[int, ...] | None = None,
        mapped: bool = False,
        argument: str = "X",
    ) -> None:
        self.mapped = mapped or isinstance(array, np.memmap)
        # A plain view: the subclass np.memmap would make every batch slower, and keeps nothing that we need.
        self.array = np.asarray(array)
        self.rows = len(array)
        self.layout = layout_of(array.shape[1:])
        self.names, self.container, self.index, self.numbered, self.kept = names, container, index, numbered, kept
        self.dtypes = dtypes or (self.array.dtype.newbyteorder("=").name,)
        self.argument = argument
        self.random_access = not self.mapped or self.array.nbytes <= RANDOM_ACCESS_BYTES
        step = self.rows if not self.mapped else max(1, BLOCK_BYTES // max(1, self.array[:1].nbytes))
        self.blocks = stretches(self.rows, step)

    def take(self, rows: np.ndarray) -> np.ndarray:
        return np.take(self.array, rows, axis=0)

    def read(self, start: int, stop: int) -> np.ndarray:
        return self.array[start:stop]


class SparseSource(Source):
    """A scipy sparse matrix; only the rows of one batch are ever made dense."""

    def __init__(self, matrix: Any, *, kept: tuple[int, ...] | None = None, argument: str = "X") -> None:
        self.matrix = scipy.sparse.csr_array(matrix)
        # Entries that a coordinate format holds twice mean their sum; slicing expects them in order.
        if not self.matrix.has_canonical_format:
            if self.matrix is matrix or np.shares_memory(self.matrix.data, getattr(matrix, "data", np.empty(0))):
                self.matrix = self.matrix.copy()
            self.matrix.sum_duplicates()
        self.rows = int(self.matrix.shape[0])
        self.layout = layout_of(self.matrix.shape[1:])
        self.dtypes = (self.matrix.dtype.newbyteorder("=").name,)
        self.kept, self.argument = kept, argument
        self.blocks = stretches(self.rows, self.rows)

    def take(self, rows: np.ndarray) -> np.ndarray:
        return self.matrix[rows].toarray()

    def read(self, start: int, stop: int) -> np.ndarray:
        return self.matrix[start:stop].toarray()


class ParquetSource(Source):
    """A Parquet file read one row group at a time, never whole.

    Memory is bounded by the largest row group, whose size was chosen by whoever wrote the file.

    Parameters
    ----------
    path : the file.
    columns : the names of the columns to read, in order.
    dtypes : their type names.
    """

    random_access = False
    container = "pandas"

    def __init__(
        self,
        path: str,
        columns: Sequence[str],
        dtypes: tuple[str, ...],
        *,
        kept: tuple[int, ...] | None = None,
        argument: str = "X",
    ) -> None:
        import pyarrow.parquet

        self.file = pyarrow.parquet.ParquetFile(path)
        self.path = path
        self.names = tuple(columns)
        self.dtypes = dtypes if len(set(dtypes)) > 1 else dtypes[:1]
        self.layout = layout_of((len(columns),))
        self.kept, self.argument = kept, argument
        self.blocks, self.groups = [], []
        start = 0
        for group in range(self.file.metadata.num_row_groups):
            count = self.file.metadata.row_group(group).num_rows
            if count:
                self.blocks.append((start, start + count))
                self.groups.append(group)
            start += count
        self.rows = start
        self._last: tuple[int, np.ndarray] | None = None

    def take(self, rows: np.ndarray) -> np.ndarray:
        rows = np.asarray(rows, dtype=np.int64)
        made = np.empty((len(rows), *self.layout.shape), dtype=self._group_dtype)
        block_of = np.searchsorted([stop for _, stop in self.blocks], rows, side="right")
        for block in np.unique(block_of):
            here = block_of == block
            made[here] = self._block(int(block))[rows[here] - self.blocks[block][0]]
        return made

    def read(self, start: int, stop: int) -> np.ndarray:
        for block, edges in enumerate(self.blocks):
            if edges[0] <= start and stop <= edges[1]:
                return self._block(block)[start - edges[0] : stop - edges[0]]
        return self.take(np.arange(start, stop))

    @property
    def _group_dtype(self) -> np.dtype:
        # Floats hold the gaps of whole-number columns, so that missing cells are seen rather than invented.
        return self.dtype if self.dtype.kind == "f" else np.result_type(self.dtype, np.float32)

    def _block(self, block: int) -> np.ndarray:
        """One row group as a dense array; the last one read is kept, since neighbours are asked for together."""
        last = self._last
        if last is not None and last[0] == block:
            return last[1]
        self._last = None  # freed before the next is read, so that only one is ever held
        del last
        import pyarrow

        try:
            table = self.file.read_row_group(self.groups[block], columns=list(self.names or ()), use_threads=False)
        except (pyarrow.ArrowException, OSError) as error:
            raise InputError(f"{self.path!r} cannot be read as Parquet: {error}") from error
        values = self._numbers(table)
        self._last = (block, values)
        return values

    def _numbers(self, table: Any) -> np.ndarray:
        """The columns of one row group as a matrix."""
        values = np.empty((table.num_rows, len(self.names or ())), dtype=self._group_dtype)
        for i, name in enumerate(self.names or ()):
            values[:, i] = arrow_values(table.column(name))
        return values


def arrow_values(column: Any) -> np.ndarray:
    """An Arrow column of numbers or truth values as a NumPy array; nulls become NaN."""
    import pyarrow
    import pyarrow.compute

    if pyarrow.types.is_boolean(column.type):
        column = pyarrow.compute.cast(column, pyarrow.uint8())
    return column.to_numpy()


def layout_of(shape: tuple[int, ...]) -> Layout:
    """The layout of rows of this shape: a table, a grey image, or a colour image."""
    axes = {1: ("column",), 2: ("height", "width"), 3: ("height", "width", "channel")}[len(shape)]
    return Layout(tuple(int(length) for length in shape), axes)


def spread_rows(rows: int, most: int) -> np.ndarray:
    """At most ``most`` row numbers, sorted, spread evenly over all ``rows``.

    >>> spread_rows(5, 3), spread_rows(2, 3)
    (array([0, 2, 4]), array([0, 1]))
    """
    return np.unique(np.linspace(0, rows - 1, min(rows, most)).astype(np.int64))


def stretches(rows: int, step: int) -> list[tuple[int, int]]:
    """``0..rows`` cut into stretches of ``step`` rows.

    >>> stretches(5, 2)
    [(0, 2), (2, 4), (4, 5)]
    """
    return [(start, min(start + step, rows)) for start in range(0, rows, max(1, step))]


def digest(source: Source) -> str:
    """A SHA-256 that changes with the data: over shape, names, types and up to 1,024 evenly spread rows."""
    kept = spread_rows(source.rows, 1024)
    mark = hashlib.sha256()
    mark.update(repr((source.rows, source.layout.shape, source.names, source.dtypes)).encode("utf-8", "surrogatepass"))
    if source.layout.columns is not None:  # the same numbers may stand for other levels
        for name, array in sorted(source.form.state()[1].items()):
            mark.update(name.encode() + array.tobytes())
    for start in range(0, len(kept), 64):
        mark.update(np.ascontiguousarray(source.take(kept[start : start + 64]), dtype="<f8").tobytes())
    return mark.hexdigest()
