"""A text table cell by cell, as it stands in its file: filled in, all that is known stays letter by letter."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from isthmus.data.delimited import first_lines, legacy_encoding, marked_encoding
from isthmus.data.dialect import Dialect, dialect_of
from isthmus.files import written_whole

MOST_DECIMALS = 6
"""Digits after the decimal sign beyond which numbers are written with all they have."""

GLANCE = 1000
"""Known cells by which it is told how a column is written."""

COMMA = re.compile(r"\d,\d+$")


@dataclass(frozen=True)
class TextCells:
    """The cells of a text table.

    Parameters
    ----------
    frame : a pandas frame of text, the index that pandas wrote among its columns.
    dialect : how the file is written.
    indexed : whether the first column is such an index.
    """

    frame: Any
    dialect: Dialect
    indexed: bool

    def filled(self, read: Any, made: Any) -> TextCells:
        """The cells with those replaced that are missing in ``read`` and known in ``made``.

        Parameters
        ----------
        read : the frame that `isthmus.data.delimited.read_text` makes of the same file.
        made : the same with gaps filled.
        """
        frame = self.frame.copy()
        for place in range(read.shape[1]):
            before, after = read.iloc[:, place], made.iloc[:, place]
            gaps = np.flatnonzero((before.isna() & after.notna()).to_numpy())
            if not len(gaps):
                continue
            here = place + self.indexed
            cells = frame.iloc[:, here].to_numpy(dtype=object, copy=True)
            known = before.notna().to_numpy()
            cells[gaps] = written_like(after.iloc[gaps], before[known], cells[known], self.dialect.decimal == ",")
            frame.isetitem(here, cells)
        return replace(self, frame=frame)

    def write(self, path: str) -> None:
        """Write them as their file was: separator, encoding and decimal sign."""
        encoding = self.dialect.encoding
        names = list(self.dialect.header) if self.dialect.named else False
        separator = "\t" if Path(path).suffix.lower() == ".tsv" else self.dialect.separator
        for attempt in (encoding, "utf-8-sig"):
            try:
                with written_whole(path) as beside:
                    self.frame.to_csv(beside, sep=separator, header=names, index=False, encoding=attempt)
                return
            except UnicodeEncodeError:
                continue  # a level of the fit that this file's encoding cannot write


def text_cells(path: Path) -> TextCells:
    """The cells of a text table that `isthmus.data.delimited.read_text` has read before, and found whole."""
    encoding = marked_encoding(path)
    try:
        return cells_as(path, encoding)
    except UnicodeDecodeError:
        return cells_as(path, legacy_encoding(path, encoding))


def cells_as(path: Path, encoding: str) -> TextCells:
    """`text_cells` once the encoding is known; ``UnicodeDecodeError`` where it is another."""
    import pandas as pd

    lines, whole = first_lines(path, encoding)
    tab = path.name.lower().removesuffix(".gz").endswith(".tsv")
    dialect, _ = dialect_of(lines, "\t" if tab else None, encoding, whole)
    frame = pd.read_csv(
        path, sep=dialect.separator, header=0 if dialect.named else None, index_col=False, dtype=str,
        encoding=dialect.encoding, skipinitialspace=dialect.spaced, keep_default_na=False,
    )  # fmt: skip
    return TextCells(frame, dialect, dialect.named and dialect.header[0] == "" and len(dialect.header) > 1)


def written_like(values: Any, known: Any, cells: np.ndarray, comma: bool) -> list[str]:
    """Values as text, in the way in which the known values of their column are written.

    Parameters
    ----------
    values : pandas series of what is to be written.
    known, cells : the known values of the column, and how each stands in the file.
    comma : the file's decimal sign is a comma.

    Examples
    --------
    >>> import pandas as pd
    >>> written_like(pd.Series([2.5, 3.25]), pd.Series([1.5, 1.0]), np.array(["1,5", "1,0"], dtype=object), False)
    ['2,5', '3,2']
    >>> written_like(pd.Series([1067]), pd.Series([1067, 80331]), np.array(["01067", "80331"], dtype=object), False)
    ['01067']
    >>> day = pd.to_datetime(pd.Series(["2024-05-01"]))
    >>> written_like(day, day, np.array(["2024-05-02"]), False)
    ['2024-05-01']
    """
    kind = values.dtype.kind
    if kind == "M":
        return dates_like(values, cells)
    first = {}
    for value, cell in zip(known.to_numpy(dtype=object)[::-1], cells[::-1], strict=True):
        first[value] = cell
    if kind != "f":
        return [str(first.get(value, value)) for value in values.to_numpy(dtype=object)]
    decimals = decimals_of(known.to_numpy())
    if decimals == 0:
        # Whole numbers that stand there as 39.0 go on so.
        decimals = min((empty_decimals(cell) for cell in cells[:GLANCE]), default=0)
    broken = list(cells[known.to_numpy() % 1 != 0][:GLANCE])
    comma = any(map(COMMA.search, broken)) if broken else comma
    made = []
    for value in values.to_numpy(dtype=object):
        text = f"{value:.{decimals}f}" if decimals is not None else repr(float(value))
        made.append(str(first.get(value, text.replace(".", ",") if comma else text)))
    return made


def empty_decimals(cell: str) -> int:
    """Zeros after the decimal sign of a whole number; three are a thousand.

    >>> empty_decimals("39.0"), empty_decimals("39"), empty_decimals("5,00"), empty_decimals("5,000")
    (1, 0, 2, 0)
    """
    found = re.search("[.,](0{1,2})$", cell.strip())
    return len(found[1]) if found else 0


def dates_like(values: Any, cells: np.ndarray) -> list[str]:
    """Dates as in ISO 8601: as days where the known ones are, with a T between day and time where these have one."""
    example = str(cells[0]).strip() if len(cells) else ""
    if len(example) == len("2024-05-01"):
        return values.dt.strftime("%Y-%m-%d").tolist()
    unit = "minutes" if example.count(":") == 1 else "auto"
    return [value.isoformat(sep="T" if "T" in example else " ", timespec=unit) for value in values]


def decimals_of(values: np.ndarray) -> int | None:
    """Digits after the decimal sign with which all numbers are written; None where they are many.

    >>> decimals_of(np.array([1.0, 2.0])), decimals_of(np.array([0.25, 1.5])), decimals_of(np.array([1 / 3]))
    (0, 2, None)
    """
    values = np.asarray(values, dtype=np.float64)
    return next((digits for digits in range(MOST_DECIMALS + 1) if (np.round(values, digits) == values).all()), None)
