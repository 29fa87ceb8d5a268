"""Decompressed rows that are written block by block, as the file's ending says, whole or not at all."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from isthmus.data.writers import dates_as_text, write_table
from isthmus.errors import InputError
from isthmus.estimators.compressor_data import is_frame
from isthmus.estimators.compressor_forms import Form
from isthmus.estimators.compressor_frames import as_words, to_arrow
from isthmus.estimators.compressor_named import Folder
from isthmus.estimators.compressor_pictures import PictureForm
from isthmus.estimators.compressor_tables import TableForm
from isthmus.files import written_whole

ENDINGS = (".npy", ".csv", ".tsv", ".parquet", ".xlsx")

Add = Callable[[Any], None]


def check_ending(path: Path, form: Form) -> None:
    """Refuse a file that cannot hold such data."""
    ending, frame = path.suffix.lower(), isinstance(form, TableForm) and form.frame
    if not frame and ending not in ("", ".npy"):
        raise InputError(f"{str(path)!r}: the data are an array, which a .npy file holds; got {ending!r}")
    if frame and ending not in ENDINGS[1:]:
        raise InputError(f"{str(path)!r}: the data are a table, which a file ending in {', '.join(ENDINGS[1:])} holds")
    if isinstance(form, PictureForm) and form.size is None and ending == ".npy":
        raise InputError(f"{str(path)!r}: pictures of different sizes go into a folder; give a name without an ending")
    if not frame and ending == "":
        sound = form.kind in ("images", "pictures") and np.dtype(form.dtype).name in ("uint8", "uint16")  # type: ignore[union-attr]
        if not sound:
            raise InputError(f"{str(path)!r}: only pictures go into a folder, and these are none; write a .npy file")


@contextmanager
def writer_of(path: Path, form: Form, files: Sequence[str] = ()) -> Iterator[Add]:
    """A function that takes the blocks one after the other.

    Parameters
    ----------
    path : a .npy file of arrays, a folder of pictures, or a table's file.
    files : names of the pictures below the folder; none = 000000.png and so on.

    Warns
    -----
    DataWarning : the folder had pictures of these names, which were replaced.
    """
    check_ending(path, form)
    ending = path.suffix.lower()
    if ending == "":
        folder = Folder(path, files)
        yield folder.add
        folder.tell()
    elif ending == ".xlsx":
        kept: list[Any] = []
        yield kept.append
        found: Any = form.joined(kept)
        counted = isinstance(form, TableForm) and form.index is None and is_frame(found)
        write_table(path, found.reset_index(drop=True) if counted else found)
    elif ending == ".parquet":
        with written_whole(path) as beside, in_parquet(beside, form) as add:
            yield add
    elif ending == ".npy":
        with written_whole(path) as beside, open(beside, "wb") as file, in_npy(file, form) as add:
            yield add
    else:
        with written_whole(path) as beside, open(beside, "w", encoding="utf-8", newline="") as text:
            yield in_text(text, form, "\t" if ending == ".tsv" else ",")


@contextmanager
def in_npy(file: BinaryIO, form: Form) -> Iterator[Add]:
    """Blocks behind a head that is filled in at the end, when the rows are known."""
    empty, rows = form.joined([]), 0

    def head() -> int:
        file.seek(0)
        about = {"descr": empty.dtype.str, "fortran_order": False, "shape": (rows, *empty.shape[1:])}
        np.lib.format.write_array_header_1_0(file, about)
        return file.tell()

    def add(block: np.ndarray) -> None:
        nonlocal rows
        file.write(np.ascontiguousarray(block).data if block.size else b"")
        rows += len(block)

    start = head()
    yield add
    # NumPy leaves room for as many rows as there can be.
    assert head() == start


@contextmanager
def in_parquet(beside: Path, form: Form) -> Iterator[Add]:
    """Blocks as row groups, of the types of the first."""
    import pyarrow
    import pyarrow.parquet

    assert isinstance(form, TableForm)

    def arrow(block: Any) -> Any:
        if form.made is not None:
            return to_arrow(block, form.made)
        block = block.set_axis([str(name) for name in block.columns], axis=1)
        return pyarrow.Table.from_pandas(block, preserve_index=form.index is not None)

    schema = arrow(form.empty()).schema
    writer: Any = None

    def add(block: Any) -> None:
        nonlocal writer
        table = arrow(block)
        writer = writer or pyarrow.parquet.ParquetWriter(beside, table.schema)
        writer.write_table(table.cast(writer.schema))

    try:
        yield add
        writer = writer or pyarrow.parquet.ParquetWriter(beside, schema)
    finally:
        if writer is not None:
            writer.close()


def in_text(text: Any, form: Form, separator: str) -> Add:
    """Lines of text, the names first, an index before the columns; a table whose columns have numbers for names has
    none in the file either."""
    assert isinstance(form, TableForm)

    def plain(block: Any) -> Any:
        if form.made is not None:
            block = as_words(block, form.made)
        elif form.index is not None:
            names = ["" if name is None else name for name in block.index.names]
            block = block.reset_index(names=names, allow_duplicates=True)
        return dates_as_text(block)

    if form.index is not None or form.names != list(range(len(form.names))):
        plain(form.empty()).to_csv(text, index=False, sep=separator)

    def add(block: Any) -> None:
        plain(block).to_csv(text, index=False, header=False, sep=separator)

    return add
