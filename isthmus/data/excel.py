"""Excel workbooks: the first sheet as a table."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import ParseError

from isthmus.checks import listed
from isthmus.data.delimited import TextTable
from isthmus.data.dialect import MARKS, MISSING, counting
from isthmus.data.text_columns import read_text_columns
from isthmus.errors import InputError, MissingExtraError

COMPOUND = bytes.fromhex("d0cf11e0a1b11ae1")
"""How old .xls files begin, and all that Excel has encrypted."""

FORMULA_ROWS = 100
"""Rows in which formulas are looked for, where cells are empty."""

ENCRYPTED = "EncryptedPackage".encode("utf-16-le")

DAMAGED = (zipfile.BadZipFile, zlib.error, ParseError, KeyError, ValueError, TypeError, OSError, EOFError)
"""What openpyxl raises for a damaged file: it unpacks and parses what it finds without doubting it."""


def read_excel(path: Path, texts: Mapping[str, bool] | None = None) -> TextTable:
    """The first sheet of a workbook as a pandas frame, whether its columns have names, and what was found.

    Cells keep the types that they have in the book; columns of text are read as those of a text table are
    (`isthmus.data.text_columns`). Of formulas the value counts that Excel saved with them.

    Parameters
    ----------
    path : of an .xlsx or .xlsm file.
    texts : as in `isthmus.data.delimited.read_text`.

    Raises
    ------
    InputError
        The file is no workbook, has a password, is damaged, its first sheet is empty or has names only, a name comes
        twice, or its formulas have no values.
    MissingExtraError
        openpyxl is not installed.
    """
    check_workbook(path)
    frame, sheets = first_sheet(path)
    where = f"{str(path)!r}, sheet {sheets[0]!r},"
    check_formulas(path, frame, where)
    frame = trimmed(frame)
    if not len(frame) or not len(frame.columns):
        others = f"; the other sheets are {listed(sheets[1:])}, but only the first is read" if sheets[1:] else ""
        raise InputError(f"{where} is empty{others}")
    named = not is_data(frame)
    if named:
        frame = with_names(frame, where)
    frame = without_marks(frame.infer_objects())
    said, _ = read_text_columns(frame, "", "", texts)
    which = [f"only the first sheet, {sheets[0]!r}, is read; the others are {listed(sheets[1:])}"] if sheets[1:] else []
    unnamed = [] if named else ["the first row holds data, not names"]
    return TextTable(frame, named, (*which, *unnamed, *said))


def check_workbook(path: Path) -> None:
    """Refuse what is no workbook: whatever is not a ZIP archive, old and encrypted ones in words of their own."""
    with open(path, "rb") as file:
        start = file.read(len(COMPOUND))
    if start == COMPOUND:
        if ENCRYPTED in path.read_bytes():
            raise InputError(f"{str(path)!r} is protected by a password: open it in Excel and save it without one")
        raise InputError(f"{str(path)!r} is an old Excel file (.xls): open it in Excel and save it as .xlsx or CSV")
    if not zipfile.is_zipfile(path):
        raise InputError(f"{str(path)!r} is no Excel file, or is cut off. If it is a table in text, rename it to .csv")


def first_sheet(path: Path) -> tuple[Any, list[str]]:
    """The cells of the first sheet as pandas reads them, names still among them, and the names of all sheets."""
    import pandas as pd

    try:
        import openpyxl  # noqa: F401
    except ImportError as error:
        raise MissingExtraError(error.name or "openpyxl", "excel", f"reading {str(path)!r}") from error
    try:
        with pd.ExcelFile(path, engine="openpyxl") as book:
            sheets = [str(name) for name in book.sheet_names]
            # Excel keeps whole numbers as floats; pandas makes them whole again cell by cell.
            frame = pd.read_excel(
                book, sheet_name=0, header=None, keep_default_na=False, na_values=list(MISSING), dtype=object
            )
    except DAMAGED as error:
        raise InputError(f"{str(path)!r} cannot be read as an Excel file: {error}. Is it damaged?") from error
    return frame, sheets


def check_formulas(path: Path, frame: Any, where: str) -> None:
    """Refuse formulas that were written by a program that computes none: their cells look empty."""
    import openpyxl

    if not frame.isna().to_numpy().any() and len(frame):
        return
    book = openpyxl.load_workbook(path, read_only=True)
    try:
        rows = book.worksheets[0].iter_rows(max_row=FORMULA_ROWS)
        places = [cell.coordinate for row in rows for cell in row if cell.data_type == "f"]
    finally:
        book.close()
    spots = map(openpyxl.utils.cell.coordinate_to_tuple, places)
    height, width = frame.shape
    if places and all(r > height or c > width or frame.isna().iat[r - 1, c - 1] for r, c in spots):
        raise InputError(
            f"{where} has formulas without values (the first in cell {places[0]}): the program that wrote them did not "
            f"compute them. Open the file in Excel or LibreOffice and save it again"
        )


def trimmed(frame: Any) -> Any:
    """The frame without the empty rows and columns around and between its cells."""
    filled = frame.notna()
    return frame.loc[filled.any(axis=1), filled.any(axis=0)].reset_index(drop=True)


def without_marks(frame: Any) -> Any:
    """The frame with missing cells for ``?`` and the like where they stand among numbers."""
    for position, dtype in enumerate(frame.dtypes):
        column = frame.iloc[:, position]
        if dtype.kind == "O" and column.isin(MARKS).any():
            cleared = column.where(~column.isin(MARKS)).infer_objects()
            if cleared.dtype.kind in "if":
                frame.isetitem(position, cleared)
    return frame


def is_data(frame: Any) -> bool:
    """Whether the first row holds numbers that do not count up by one, and so no names."""
    first = [value for value in frame.iloc[0].tolist() if value == value]
    if not all(isinstance(value, (int, float)) for value in first):
        return False
    return not counting([str(value) for value in first])


def with_names(frame: Any, where: str) -> Any:
    """The frame with its first row as names."""
    labels, below = frame.iloc[0], frame.iloc[1:].reset_index(drop=True)
    if len(labels) > 1 and labels.isna().tolist() == [True] + [False] * (len(labels) - 1):
        # The index that pandas wrote has no name.
        below = below.set_index(below.columns[0]).rename_axis(None)
        labels = labels.iloc[1:]
    nameless = [i + 1 for i, value in enumerate(labels.isna()) if value]
    if nameless:
        raise InputError(f"{where} has no name above column {listed(nameless)}; the first row must name every column")
    names = [str(value) for value in labels]
    twice = [name for name in dict.fromkeys(names) if names.count(name) > 1]
    if twice:
        raise InputError(f"{where} has several columns of the same name: {listed(twice)}")
    if not len(below):
        raise InputError(f"{where} has a row of names, but no rows below it")
    return below.set_axis(names, axis=1).set_axis(below.index.infer_objects())
