"""Files of which a detector cannot read some cells: which those are, and the other rows all the same, on request."""

from __future__ import annotations

import shlex
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from isthmus.checks import counted
from isthmus.commands_data import EXCEL, is_text_table, matching, read_table
from isthmus.data import Source, open_source
from isthmus.data.arrays import short
from isthmus.data.coding import Coding
from isthmus.data.dates import parsed
from isthmus.data.dialect import COMMA, MARKS, POINT
from isthmus.data.form import Form
from isthmus.data.images import image_files, image_folder
from isthmus.data.mixed_frames import frame_source
from isthmus.data.paths import known_texts, read_npy, read_npz
from isthmus.data.readers import matched
from isthmus.data.table_form import TableForm
from isthmus.data.text_cells import text_cells
from isthmus.data.text_columns import ISO, read_text_columns, text_of
from isthmus.errors import DataWarning, InputError
from isthmus.estimators.anomalies import AnomalyDetector
from isthmus.estimators.oddness_of_numbers import Numbers
from isthmus.estimators.oddness_of_steps import Steps, series_source

MOST = 0.5
"""Where a larger share of a column's cells cannot be read, it holds something else, and no cell of it is to blame."""


@dataclass(frozen=True)
class Bad:
    """Cells that a detector cannot read.

    Attributes
    ----------
    cells : (n, ...) bool, of a frame a column for each of its columns, of arrays all their cells.
    where : the first of them, in words.
    """

    cells: np.ndarray
    where: str

    @property
    def rows(self) -> np.ndarray:
        """(n,) bool: the rows that hold some."""
        return np.any(self.cells.reshape(len(self.cells), -1), axis=1)

    def __str__(self) -> str:
        count, rows = int(self.cells.sum()), int(self.rows.sum())
        return f"{self.where} ({counted(count, 'such cell')} in {rows:,} of {counted(len(self.cells), 'row')})"


def readable(
    detector: AnomalyDetector, data: str, columns: dict[str | int, str], skip: bool
) -> tuple[Source, np.ndarray]:
    """The rows of a file as a detector expects them, and (rows,) bool, which of them can have no score.

    In the place of a row that holds a cell which cannot be read stands a copy of one that can; of a series there is a
    gap in the place of the cell.

    Parameters
    ----------
    skip : leave rows without a score that hold a cell which cannot be read; otherwise the first one is refused.

    Raises
    ------
    InputError : the file is none of rows like those of the fit, or some of its cells cannot be read.

    Warns
    -----
    DataWarning : rows are left without a score.
    """
    series = isinstance(detector.oddness_, Steps)
    try:
        source = detector._source(data) if series else matching(detector, data, columns)
        check_finite(detector, source)
        return source, np.zeros(source.rows, dtype=bool)
    except InputError as error:
        if Path(data).expanduser().is_dir():
            return with_damaged(detector, data, columns, skip, error)
        table = table_of(data, detector.form_)
        bad = None if table is None else bad_cells(detector, *table)
        if table is None or bad is None or bad.rows.all():
            raise
        if not skip:
            empty = ", or empty them" if series or isinstance(detector.form_, TableForm) else ""
            raise InputError(
                f"{data!r}: {bad}. Correct these cells{empty}; or give --skip-bad, and their rows are written without "
                "a score"
            ) from error
    lost = counted(int(bad.rows.sum()), "row")
    warnings.warn(f"{data!r}: {bad}: {lost} without a score", DataWarning, stacklevel=2)
    return without(detector, data, columns, *table, bad), bad.rows


def with_damaged(
    detector: AnomalyDetector, data: str, columns: dict[str | int, str], skip: bool, error: InputError
) -> tuple[Source, np.ndarray]:
    """The same of a folder of images, of which some files are damaged, or unlike most others."""
    folder = Path(data).expanduser()
    files = image_files(folder)
    if not files:
        raise error
    with warnings.catch_warnings(record=True):  # of files that are left out; they are not, but have no score
        found = image_folder(folder, skip=True)
    if not found.skipped:
        raise error
    place = {name: number for number, name in enumerate(found.files)}
    rows = np.array([place.get(file.relative_to(folder).as_posix(), -1) for file in files])
    wanted = {**(detector.columns or {}), **columns}
    # In the place of a file that cannot be read, the last image stands.
    source = open_source(found.images[rows], argument=data, columns=wanted, form=detector.form_)
    name, reason = found.skipped[0]
    bad = f"{name!r}: {reason} ({counted(len(found.skipped), 'such file')} of {len(files):,})"
    if not skip:
        raise InputError(
            f"{data!r}: {bad}. Correct these files; or give --skip-bad, and they are written without a score"
        ) from error
    warnings.warn(f"{data!r}: {bad}, written without a score", DataWarning, stacklevel=3)
    return source, rows < 0


def check_finite(detector: AnomalyDetector, source: Source) -> None:
    """Refuse now what would be refused amid the work: infinite cells, and gaps in complete tables of numbers."""
    if source.dtype.kind != "f":
        return
    wrong = np.isinf if not isinstance(detector.oddness_, Numbers) else lambda cells: ~np.isfinite(cells)
    if any(bool(wrong(source.read(start, stop)).any()) for start, stop in source.blocks):
        raise InputError(f"{source.argument!r} holds cells that are no finite numbers: correct them")


def table_of(data: str, form: Form | None) -> tuple[Any, bool] | None:
    """What lies at a path, a frame or an array, and whether its columns have names; None of what is no such file."""
    path, name = Path(data).expanduser(), data.lower()
    if not path.is_file():
        return None
    if is_text_table(data) or name.endswith(EXCEL):
        return read_table(path, form)
    if name.endswith(".parquet"):
        import pandas as pd
        from pyarrow import ArrowException

        try:
            return pd.read_parquet(path), True
        except ArrowException:
            return None  # whoever opened it has said what is wrong
    if name.endswith((".npy", ".npz")):
        array = read_npy(path) if name.endswith(".npy") else read_npz(path)
        return (array, False) if array.dtype.kind == "f" else None
    return None


def bad_cells(detector: AnomalyDetector, table: Any, named: bool) -> Bad | None:
    """The cells that the detector cannot read, or None where the reason lies elsewhere."""
    form = detector.form_
    gaps = isinstance(form, TableForm) or isinstance(detector.oddness_, Steps)
    if isinstance(table, np.ndarray):
        found = np.isinf(table) if gaps else ~np.isfinite(table)
        if not found.any():
            return None
        row, *place = np.argwhere(found)[0].tolist()
        where = f"column {place[0]}" if len(place) == 1 else f"cell {tuple(place)}"
        return Bad(found, f"row {row}, {where}, {in_words(float(table[(row, *place)]))}")
    found, lost = np.zeros(table.shape, dtype=bool), np.zeros(table.shape, dtype=bool)
    wanted = places(form, table, named)
    for place, (_, told) in wanted.items():
        lost[:, place], wrong = told(table.iloc[:, place])
        if wrong.sum() > MOST * len(wrong):
            return None
        found[:, place] = wrong if gaps else wrong | lost[:, place]
    if not found.any():
        return None
    row, place = np.argwhere(found)[0].tolist()
    said = in_words(table.iat[row, place], wanted[place][0])
    said = "is empty, which this detector cannot score" if lost[row, place] else said
    return Bad(found, f"row {row}, column {str(table.columns[place])!r}, {said}")


def in_words(cell: Any, wanted: str = "number") -> str:
    cell = cell.item() if isinstance(cell, np.generic) else cell
    finite = "finite " if wanted == "number" and not isinstance(cell, str) else ""
    return f"holds {short(cell)}, which is no {finite}{wanted}"


Telling = Callable[[Any], tuple[np.ndarray, np.ndarray]]
"""Tells of a column of a frame which cells are missing, and which are known and not what they should be."""


def places(form: Form, frame: Any, named: bool) -> dict[int, tuple[str, Telling]]:
    """Where in a frame the columns are that held numbers, dates or times in the fit; which of these, and what tells."""
    wanted: list[tuple[str, Telling] | None]
    if isinstance(form, TableForm):
        wanted = [wanted_of(coding) for coding in form.codings]
        names = [coding.name for coding in form.codings]
    else:
        names = list(form.names or map(str, range(form.layout.features)))
        wanted = [("number", unread)] * len(names)
    labels = [str(label) for label in frame.columns]
    if not named and len(names) == frame.shape[1]:
        labels = names
    return {labels.index(name): one for name, one in zip(names, wanted, strict=True) if one and name in labels}


def wanted_of(coding: Coding) -> tuple[str, Telling] | None:
    if coding.family == "number":
        return "number", unread
    if coding.family == "date" or coding.format is not None:
        return ("date" if "date" in (coding.type, coding.family) else "time"), partial(undated, format_=coding.format)
    return None


def unread(cells: Any) -> tuple[np.ndarray, np.ndarray]:
    """(n,) bool, twice: which cells of a column of a frame are missing, and which are known and no finite numbers.

    >>> import pandas as pd
    >>> [found.tolist() for found in unread(pd.Series(["1.5", "?", "n/k", None]))]
    [[False, True, False, True], [False, False, True, False]]
    """
    import pandas as pd

    lost = cells.isna().to_numpy()
    if pd.api.types.is_numeric_dtype(cells.dtype):
        return lost, np.isinf(cells.to_numpy(dtype=np.float64, na_value=np.nan))
    text = cells.astype(str).str.strip()
    lost = lost | text.isin(MARKS).to_numpy(dtype=bool)
    # Of decimal points and commas those count that more cells are written with.
    numbers = max((text.str.fullmatch(sign).to_numpy(dtype=bool) for sign in (POINT, COMMA)), key=np.sum)
    return lost, ~lost & ~(numbers & ~text.str.contains("inf", case=False).to_numpy(dtype=bool))


def undated(cells: Any, format_: tuple[str, str] | None = None) -> tuple[np.ndarray, np.ndarray]:
    """The same of dates, or of dates and times that are text of a format.

    >>> import pandas as pd
    >>> [found.tolist() for found in undated(pd.Series(["2024-05-31", "?", "2024-02-30", "yesterday", None]))]
    [[False, True, False, False, True], [False, False, True, True, False]]
    """
    import pandas as pd
    import pyarrow as pa

    lost = cells.isna().to_numpy()
    if not (pd.api.types.is_object_dtype(cells.dtype) or isinstance(cells.dtype, pd.StringDtype)):
        return lost, np.zeros(len(cells), dtype=bool)  # all are dates, or none is
    text = cells.astype(str)
    lost = lost | (text.str.strip() == "?").to_numpy(dtype=bool)
    if format_ is not None:
        stamps = parsed(pa.Array.from_pandas(text.mask(lost), type=pa.string()), format_)
        good = stamps.is_valid().to_numpy(zero_copy_only=False)
    else:
        written = text.str.fullmatch(ISO)
        good = pd.to_datetime(text.where(written), format="ISO8601", errors="coerce", utc=True).notna().to_numpy()
    return lost, ~lost & ~good


def without(
    detector: AnomalyDetector, data: str, columns: dict[str | int, str], table: Any, named: bool, bad: Bad
) -> Source:
    """The rows of a table as the detector expects them, what cannot be read replaced as `readable` says."""
    form, wanted = detector.form_, {**(detector.columns or {}), **columns}
    series = isinstance(detector.oddness_, Steps)
    if series:
        mended = np.where(bad.cells, np.nan, table) if isinstance(table, np.ndarray) else table.mask(bad.cells)
    else:
        rows = np.where(bad.rows, np.flatnonzero(~bad.rows)[0], np.arange(len(bad.rows)))
        mended = table[rows] if isinstance(table, np.ndarray) else table.iloc[rows].set_axis(table.index)
    if not isinstance(mended, np.ndarray):
        dialect = text_cells(Path(data).expanduser()).dialect if is_text_table(data) else None
        signs = ("", "") if dialect is None else (dialect.separator, dialect.decimal)
        mended = mended.infer_objects()
        read_text_columns(mended, *signs, known_texts(None, form))
    if series:
        return series_source(mended, form.names, detector.columns)
    if isinstance(mended, np.ndarray):
        return open_source(mended, argument=data, columns=wanted, form=form)
    name, rename = type(detector).__name__, None if named else ()
    source = frame_source(mended, data, wanted, form, name, rename=rename, by_name=True)
    return matched(source, form, name, by_name=True)


def check_channels(data: str, columns: dict[str | int, str]) -> None:
    """Refuse a series of which a column holds numbers but for some cells, which would make it none of its channels,
    and one without any column of numbers."""
    found = table_of(data, None)
    if found is None or isinstance(found[0], np.ndarray):
        return
    table, numbers, words = found[0], 0, []
    for place, label in enumerate(map(str, table.columns)):
        cells = table.iloc[:, place]
        if columns.get(label) == "ignore" or cells.isna().all():
            continue
        if text_of(cells) is None and cells.dtype != object:
            numbers += cells.dtype.kind in "biuf"
            continue
        lost, wrong = unread(cells)
        row = int(np.flatnonzero(wrong)[0]) if wrong.any() else 0
        if wrong.any() and wrong.sum() <= MOST * (~lost).sum():
            raise InputError(
                f"{data!r}: row {row}, column {label!r}, {in_words(cells.iat[row])} "
                f"({counted(int(wrong.sum()), 'such cell')}). Correct these cells, or empty them, as a series may have "
                "gaps; or leave the column out with "
                f"--column {shlex.quote(label)}=ignore"
            )
        words.append(f"column {label!r} holds words, such as {short(cells.iat[row])} in row {row}")
    if not numbers and words:
        raise InputError(
            f"{data!r} has no column of numbers, and a series must have one: {words[0]}. Give a table "
            "with a row for each step, and in its columns the numbers that were measured"
        )
