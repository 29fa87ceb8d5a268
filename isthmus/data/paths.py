"""Paths as sources: CSV, Parquet, npy, npz, idx and folders of images."""

from __future__ import annotations

import os
import tokenize
import zipfile
import zlib
from collections.abc import Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import numpy as np

from isthmus.checks import listed
from isthmus.data.delimited import read_csv
from isthmus.data.idx import is_idx, read_idx
from isthmus.data.images import read_images
from isthmus.data.pictures import FORMATS
from isthmus.data.sources import ParquetSource, Source
from isthmus.data.tables import check_not_empty, kept_columns, not_numeric, pandas_source, shared
from isthmus.errors import InputError

WHOLE_BYTES = 256 * 2**20
"""Parquet files that are larger than this once unpacked are read one row group at a time."""

KNOWN = (
    ".csv, .tsv (also .gz), .parquet, .npy, .npz, idx (also .gz), or a folder of PNG, JPEG, TIFF, BMP or WebP images"
)


def path_source(path: Path, argument: str, columns: Mapping[Any, str] | None, strict: bool) -> Source | np.ndarray:
    """What lies at a path: a source, or an array that is still to be checked."""
    if not path.exists():
        raise InputError(f"there is no file or folder {str(path)!r}.{nearby(path)}")
    if path.is_dir():
        return read_images(path)
    if not os.access(path, os.R_OK):
        raise InputError(f"{str(path)!r} may not be read: ask for permission, or copy it")
    if path.stat().st_size == 0 and path.is_file():
        raise InputError(f"the file {str(path)!r} is empty")
    endings = [suffix.lower() for suffix in path.suffixes[-2:]]
    packed = endings[-1:] == [".gz"]
    ending = (endings[-2] if len(endings) > 1 else "") if packed else (endings[-1] if endings else "")
    if ending in (".csv", ".tsv"):
        frame, named = read_csv(path, "\t" if ending == ".tsv" else None)
        return pandas_source(frame, argument, columns, strict, rename=None if named else ())
    if ending == ".parquet" and not packed:
        return parquet_source(path, argument, columns, strict)
    if ending == ".npy" and not packed:
        return read_npy(path)
    if ending == ".npz" and not packed:
        return read_npz(path)
    if ending in (".idx", "") or "ubyte" in path.name or is_idx(path):
        return read_idx(path)
    raise InputError(unknown_kind(path))


def unknown_kind(path: Path) -> str:
    ending = path.suffix.lower()
    if ending in FORMATS:
        return f"{str(path)!r} is a single image; give the folder that holds the images"
    if ending in (".xlsx", ".xls", ".ods"):
        return f"{str(path)!r} is a spreadsheet: save it as CSV, or give pandas.read_excel(...)"
    return f"{str(path)!r}: {path.suffix or path.name!r} is no kind of file that can be read. These can: {KNOWN}."


def nearby(path: Path) -> str:
    """A hint about what is there instead of a missing path."""
    folder = path.parent
    if not folder.is_dir():
        nearest = next((parent for parent in folder.absolute().parents if parent.is_dir()), Path("/"))
        return f" Its folder does not exist either; the nearest one that does is {str(nearest)!r}."
    try:
        names = sorted(item.name for item in folder.iterdir())
    except PermissionError:
        return ""
    close = get_close_matches(path.name, names, n=3)
    if close:
        return f" Did you mean {' or '.join(map(repr, close))}?"
    there = listed(names, 5) if names else "nothing"
    return f" The folder {str(folder.absolute())!r} holds {there}."


DAMAGED = (ValueError, EOFError, OSError, SyntaxError, TypeError, OverflowError, MemoryError, tokenize.TokenError)
"""What NumPy raises for a damaged file: its head is read as Python, so it may fail as Python does."""


def read_npy(path: Path) -> np.ndarray:
    """The array of a .npy file, mapped rather than read; never unpickled."""
    try:
        return np.load(path, mmap_mode="r", allow_pickle=False)
    except DAMAGED as error:
        raise InputError(broken_npy(str(path), error)) from error


def broken_npy(name: str, error: Exception) -> str:
    if "Object arrays" in str(error) or "Python objects" in str(error):
        return (
            f"{name!r} holds Python objects, which are never unpickled because that could run foreign code. "
            f"Save an array of numbers: numpy.save(path, X.astype('float32'))"
        )
    if "pickle" in str(error):
        return f"{name!r} is not a whole .npy file: it does not begin as one does"
    return f"{name!r} is not a whole .npy file: {error}"


def read_npz(path: Path) -> np.ndarray:
    """The one array of a .npz file, or the one called ``X``."""
    try:
        # A file of our own: NumPy leaves open the one of an archive that turns out to be damaged.
        with open(path, "rb") as file:
            inside = np.load(file, allow_pickle=False)
            if isinstance(inside, np.ndarray):  # a single array under the wrong ending
                return inside
            keys = list(inside.files)
            if len(keys) == 1 or "X" in keys:
                return inside["X" if "X" in keys else keys[0]]
    except (*DAMAGED, KeyError, NotImplementedError, zipfile.BadZipFile, zlib.error) as error:
        said = broken_npy(str(path), error).replace("a whole .npy file", "a whole .npz file")
        raise InputError(said) from error
    if not keys:
        raise InputError(f"{str(path)!r} holds no array")
    raise InputError(
        f"{str(path)!r} holds several arrays: {listed(keys)}. Give the one that is meant, "
        f"numpy.load(path)[{keys[0]!r}], or save it under the name 'X'."
    )


def parquet_source(path: Path, argument: str, columns: Mapping[Any, str] | None, strict: bool) -> Source:
    """A Parquet file: read whole where it is small, otherwise one row group at a time."""
    import pyarrow
    import pyarrow.parquet

    try:
        with pyarrow.parquet.ParquetFile(path) as file:
            about = file.metadata
            size = sum(about.row_group(i).total_byte_size for i in range(about.num_row_groups))
            schema = file.schema_arrow
            notes = schema.pandas_metadata or {}
            frame = file.read().to_pandas() if size <= WHOLE_BYTES else None
    except (pyarrow.ArrowException, OSError, ValueError, TypeError, KeyError) as error:
        # Damage is found by Arrow, or by pandas in the notes that it left in the file.
        raise InputError(f"{str(path)!r} cannot be read as Parquet: {error}. Is it cut off or damaged?") from error
    if frame is not None:
        return pandas_source(frame, argument, columns, strict)
    index = set(map(str, notes.get("index_columns", [])))
    names = [name for name in schema.names if name not in index]
    kept = kept_columns(columns, names, len(names), strict)
    check_not_empty((about.num_rows, len(kept.positions)), argument)
    used = kept.names or ()
    dtypes = [arrow_dtype(schema.field(name), argument) for name in used]
    positions = None if kept.all_of_them else kept.positions
    return ParquetSource(str(path), used, shared(dtypes), kept=positions, argument=argument)


def arrow_dtype(field: Any, argument: str) -> str:
    """The NumPy name of an Arrow column's type; an error where it holds no numbers."""
    import pyarrow

    types = pyarrow.types
    if types.is_boolean(field.type):
        return "bool"
    if types.is_integer(field.type) or types.is_floating(field.type):
        return np.dtype(field.type.to_pandas_dtype()).name
    kind = "dates" if types.is_temporal(field.type) else "text" if "string" in str(field.type) else "objects"
    raise not_numeric(field.name, argument, (), kind, str(field.type))
