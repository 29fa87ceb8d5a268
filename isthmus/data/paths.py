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
from isthmus.data.columns import SCALINGS
from isthmus.data.delimited import read_text
from isthmus.data.excel import read_excel
from isthmus.data.form import Form
from isthmus.data.idx import is_idx, read_idx
from isthmus.data.images import read_images
from isthmus.data.mixed_frames import frame_source
from isthmus.data.mixed_parquet import parquet_source
from isthmus.data.pictures import FORMATS
from isthmus.data.sources import Source
from isthmus.data.table_form import TableForm
from isthmus.errors import InputError

KNOWN = (
    ".csv, .tsv (also .gz), .xlsx, .parquet, .npy, .npz, idx (also .gz), "
    "or a folder of PNG, JPEG, TIFF, BMP or WebP images"
)

AMOUNTS = ("numeric", *SCALINGS, "heavy", "count", "circular")
"""Types of columns whose zeros before a number mean nothing."""


def path_source(
    path: Path,
    argument: str,
    columns: Mapping[Any, str] | None,
    form: Form | None = None,
    estimator_name: str = "Autoencoder",
) -> Source | np.ndarray:
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
    if ending in (".csv", ".tsv") or (ending in (".xlsx", ".xlsm") and not packed):
        texts = known_texts(columns, form)
        mark = "\t" if ending == ".tsv" else None
        read = read_excel(path, texts) if ending.startswith(".x") else read_text(path, mark, texts)
        rename = None if read.named else ()
        try:
            source = frame_source(read.frame, argument, columns, form, estimator_name, rename=rename, by_name=True)
        except InputError as error:
            raise InputError(with_reason(str(error), read.said)) from error
        source.said = read.said
        return source
    if ending == ".parquet" and not packed:
        return parquet_source(path, argument, columns, form, estimator_name)
    if ending == ".npy" and not packed:
        return read_npy(path)
    if ending == ".npz" and not packed:
        return read_npz(path)
    if ending in (".idx", "") or "ubyte" in path.name or is_idx(path):
        return read_idx(path)
    raise InputError(unknown_kind(path))


def known_texts(columns: Mapping[Any, str] | None, form: Form | None) -> dict[str, bool]:
    """By name, or position in a nameless table, whether a column is text: as it was in the fit, or as the user says."""
    if isinstance(form, TableForm):
        return {one.name: one.family == "text" for one in form.codings}
    if form is not None:
        return dict.fromkeys(form.names or map(str, range(form.layout.features)), False)
    return {str(name): False for name, wanted in (columns or {}).items() if wanted in AMOUNTS}


def with_reason(error: str, said: tuple[str, ...]) -> str:
    """What is wrong with a column, after what the file's reader found in it.

    >>> with_reason("column 'day' of X held dates in fit", ("column 'day' stays text: '12024-01-01' is none",))
    "column 'day' stays text: '12024-01-01' is none; column 'day' of X held dates in fit"
    """
    about = [one for one in said if " stays text: " in one and error.startswith(one.partition(" stays text: ")[0])]
    return "; ".join((*about, error))


def unknown_kind(path: Path) -> str:
    ending = path.suffix.lower()
    if ending in FORMATS:
        return f"{str(path)!r} is a single image; give the folder that holds the images"
    if ending in (".xls", ".ods"):
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
