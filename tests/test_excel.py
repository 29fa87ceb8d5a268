"""Excel workbooks: the first sheet, its types, and every reason why it cannot be read."""

from __future__ import annotations

import datetime
import sys
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import openpyxl
import pandas as pd
import pytest

from isthmus.data.delimited import TextTable
from isthmus.data.excel import COMPOUND, ENCRYPTED, read_excel
from isthmus.errors import InputError, MissingExtraError


def book(home: Path, rows: list[list[Any]], *others: str) -> Path:
    made = openpyxl.Workbook()
    made.active.title = "First"
    for row in rows:
        made.active.append(row)
    for other in others:
        made.create_sheet(other)
    made.save(home / "b.xlsx")
    return home / "b.xlsx"


def read(home: Path, rows: list[list[Any]], *others: str) -> TextTable:
    return read_excel(book(home, rows, *others))


def test_types_come_back(tmp_path: Path) -> None:
    frame = pd.DataFrame(
        {
            "whole": [1, 2, 3],
            "share": [0.5, 1.0, 2.0],
            "word": ["x", "y", "x"],
            "flag": [True, False, True],
            "day": pd.to_datetime(["2024-05-01 00:00", "2024-05-02 00:00", "2024-05-03 12:30"]),
        }
    )
    frame.to_excel(tmp_path / "b.xlsx", index=False)
    found = read_excel(tmp_path / "b.xlsx")
    pd.testing.assert_frame_equal(found.frame, frame, check_dtype=False)
    assert [column.dtype.kind for _, column in found.frame.items()] == ["i", "f", "O", "b", "M"]
    assert (found.named, found.said) == (True, ())


def test_the_index_that_pandas_wrote_is_the_index_again(tmp_path: Path) -> None:
    frame = pd.DataFrame({"a": [1, 2], "b": [0.5, 1.5]}, index=["x", "y"])
    frame.to_excel(tmp_path / "b.xlsx")
    pd.testing.assert_frame_equal(read_excel(tmp_path / "b.xlsx").frame, frame, check_index_type=False)


def test_missing_cells_and_texts_that_are_numbers_or_dates(tmp_path: Path) -> None:
    found = read(
        tmp_path,
        [
            ["a", "b", "word", "text", "day", "flag"],
            [1, "?", "x", "1.234,5", "2024-05-01", True],
            [None, 5, "?", "-", "NA", None],
            [3, "NA", None, "2", "2024-05-02", False],
        ],
    )
    np.testing.assert_array_equal(found.frame[["a", "b"]], [[1, np.nan], [np.nan, 5], [3, np.nan]])
    assert found.frame["word"].isna().tolist() == [False, True, True]
    np.testing.assert_array_equal(found.frame["text"], [1234.5, np.nan, 2.0])
    assert found.frame["day"].dropna().tolist() == [pd.Timestamp("2024-05-01"), pd.Timestamp("2024-05-02")]
    assert found.frame["flag"].tolist()[::2] == [True, False]
    assert found.said == (
        "digits are grouped by thousands in 'text' ('1.234,5' is 1234.5)",
        "'?' is taken for a missing cell in 'word' (1 cell)",
    )


def test_first_rows_and_empty_rows_around(tmp_path: Path) -> None:
    found = read(tmp_path, [[], [None, "a", "b"], [None, 1, 2], [], [None, 3, 4]])
    assert found.frame.to_dict("list") == {"a": [1, 3], "b": [2, 4]}
    found = read(tmp_path, [[1, 2.5], [3, 4]])
    assert (found.named, found.said) == (False, ("the first row holds data, not names",))
    assert found.frame.to_numpy().tolist() == [[1, 2.5], [3, 4]]
    assert list(read(tmp_path, [[2019, 2020], [1.5, 2]]).frame.columns) == ["2019", "2020"]


def test_times_of_day_stay_times(tmp_path: Path) -> None:
    found = read(tmp_path, [["at"], [datetime.time(12, 30)], [datetime.time(2, 3)]])
    assert found.frame["at"].tolist() == [datetime.time(12, 30), datetime.time(2, 3)]


def test_only_the_first_sheet_is_read_and_that_is_said(tmp_path: Path) -> None:
    found = read(tmp_path, [["a"], [1]], "Second", "Third")
    assert found.said == ("only the first sheet, 'First', is read; the others are 'Second', 'Third'",)


@pytest.mark.parametrize(
    ("rows", "others", "words"),
    [
        ([], (), "sheet 'First', is empty"),
        ([], ("Data",), "is empty; the other sheets are 'Data', but only the first is read"),
        ([["a", "b"]], (), "has a row of names, but no rows below it"),
        ([["a", None], [1, 2]], (), "has no name above column 2"),
        ([["a", "a"], [1, 2]], (), "has several columns of the same name: 'a'"),
        ([["a", "b"], [1, "=A2*2"], [2, "=A3*2"]], (), "has formulas without values (the first in cell B2)"),
        ([["=1+1"]], (), "has formulas without values (the first in cell A1)"),
    ],
)
def test_sheets_that_are_refused(tmp_path: Path, rows: list[list[Any]], others: tuple[str, ...], words: str) -> None:
    with pytest.raises(InputError) as caught:
        read(tmp_path, rows, *others)
    assert words in str(caught.value)
    assert "b.xlsx" in str(caught.value)


def test_files_that_are_refused(tmp_path: Path) -> None:
    whole = book(tmp_path, [["a"], [1]]).read_bytes()
    with zipfile.ZipFile(tmp_path / "other.zip", "w") as archive:
        archive.writestr("X.npy", b"")
    for content, words in (
        (b"a,b\n1,2\n", "is no Excel file, or is cut off"),
        (whole[: len(whole) // 2], "is no Excel file, or is cut off"),
        (COMPOUND + b"\0\0" + ENCRYPTED, "is protected by a password: open it in Excel and save it without one"),
        (COMPOUND + b"\0\0", "is an old Excel file (.xls): open it in Excel and save it as .xlsx or CSV"),
        ((tmp_path / "other.zip").read_bytes(), "cannot be read as an Excel file"),
        (whole.replace(b"PK\x01\x02", b"PK\x01\x03", 1), "cannot be read as an Excel file"),
    ):
        (tmp_path / "bad.xlsx").write_bytes(content)
        with pytest.raises(InputError) as caught:
            read_excel(tmp_path / "bad.xlsx")
        assert words in str(caught.value)


def test_without_openpyxl_the_line_that_installs_it_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = book(tmp_path, [["a"], [1]])
    monkeypatch.setitem(sys.modules, "openpyxl", None)
    with pytest.raises(MissingExtraError, match=r"needs the package 'openpyxl'.*pip install 'isthmus\[excel\]'"):
        read_excel(path)
