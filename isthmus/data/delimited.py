"""Tables in text files: CSV and TSV, and the line in which one is broken."""

from __future__ import annotations

import csv
import gzip
import re
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import IO, Any

from isthmus.checks import counted, listed
from isthmus.errors import InputError


def read_csv(path: Path, separator: str | None = None) -> tuple[Any, bool]:
    """A pandas frame of a text table, and whether its columns have names.

    The separator is a comma, unless the first line has none but has semicolons or tabs. A first line that
    holds only numbers is data, not names, unless they count up by one (``0,1,2``, ``2019,2020,2021``). A first
    column without a name is the index that pandas wrote.

    Raises
    ------
    InputError
        The file is empty, has no rows, is not UTF-8, or a line has too many or too few values (its number is told).
    """
    import pandas as pd

    header, second, separator = first_lines(path, separator)
    named = not all_numbers(header) or counting(header)
    if named:
        twice = [name for name in dict.fromkeys(header) if header.count(name) > 1]
        if twice:
            raise InputError(f"{str(path)!r} has several columns of the same name: {listed(twice)}")
        if second is None:
            raise InputError(f"{str(path)!r} has a line of {counted(len(header), 'column name')}, but no rows")
        if len(second) != len(header):
            raise InputError(broken_line(path, 2, len(second), len(header)))
    indexed = named and header[0] == "" and len(header) > 1
    try:
        frame = pd.read_csv(
            path, sep=separator, header=0 if named else None, index_col=0 if indexed else False, low_memory=False
        )
    except pd.errors.ParserError as error:
        raise InputError(parser_error(path, error)) from error
    except UnicodeDecodeError as error:
        raise InputError(not_utf8(path, error)) from error
    except (OSError, EOFError, zlib.error, pd.errors.EmptyDataError) as error:
        raise InputError(f"{str(path)!r} cannot be read: {error}. Is it cut off or damaged?") from error
    if len(frame.columns) and frame.iloc[:, -1].isna().any():
        check_line_lengths(path, separator, len(header))
    return frame, named


@contextmanager
def opened(path: Path) -> Iterator[IO[str]]:
    """The file opened as text, unpacked if it ends in .gz."""
    if path.suffix.lower() == ".gz":
        with gzip.open(path, "rt", encoding="utf-8-sig", newline="") as file:
            yield file
    else:
        with open(path, encoding="utf-8-sig", newline="") as file:
            yield file


def first_lines(path: Path, separator: str | None) -> tuple[list[str], list[str] | None, str]:
    """The first two lines that are not blank, split, and the separator."""
    try:
        with opened(path) as file:
            if separator is None:
                start = file.readline()
                separator = next((mark for mark in ",;\t" if mark in start), ",")
                file.seek(0)
            lines = (line for line in csv.reader(file, delimiter=separator) if line)
            header, second = next(lines, None), next(lines, None)
    except UnicodeDecodeError as error:
        raise InputError(not_utf8(path, error)) from error
    except csv.Error as error:
        raise InputError(f"{str(path)!r} is no text table: {error}") from error
    except (OSError, EOFError, zlib.error) as error:
        raise InputError(f"{str(path)!r} cannot be read: {error}. Is it cut off or damaged?") from error
    if header is None:
        raise InputError(f"the file {str(path)!r} is empty")
    return header, second, separator


def all_numbers(fields: list[str]) -> bool:
    """Whether every field is written as a number.

    >>> all_numbers(["1", "2.5e3"]), all_numbers(["1", "age"]), all_numbers([""])
    (True, False, False)
    """
    try:
        [float(field) for field in fields]
    except ValueError:
        return False
    return True


def counting(fields: list[str]) -> bool:
    """Whether the fields are whole numbers, each one more than the last.

    >>> counting(["2019", "2020"]), counting(["1", "5"]), counting(["7"])
    (True, False, False)
    """
    if len(fields) < 2 or not all(field.isdecimal() for field in fields):
        return False
    return all(int(later) == int(field) + 1 for field, later in pairwise(fields))


def check_line_lengths(path: Path, separator: str, expected: int) -> None:
    """Find the first line with too few values: pandas fills such a line with missing cells and says nothing."""
    with opened(path) as file:
        reader = csv.reader(file, delimiter=separator)
        for line in reader:
            if line and len(line) != expected:
                raise InputError(broken_line(path, reader.line_num, len(line), expected))


def broken_line(path: Path, line: int, got: int, expected: int) -> str:
    return (
        f"{str(path)!r}: line {line} has {counted(got, 'value')} where {expected} are expected. "
        f"Look for a separator or a quotation mark too many or too few in that line."
    )


def parser_error(path: Path, error: Exception) -> str:
    """pandas' account of a broken line, in our words where it can be understood."""
    found = re.search(r"Expected (\d+) fields in line (\d+), saw (\d+)", str(error))
    if found:
        expected, line, got = map(int, found.groups())
        return broken_line(path, line, got, expected)
    if "EOF inside string" in str(error):
        row = re.search(r"row (\d+)", str(error))
        where = f" that opens in line {int(row.group(1)) + 1}" if row else ""
        return f"{str(path)!r}: a quotation mark{where} is never closed"
    return f"{str(path)!r} is no text table that can be read: {error}"


def not_utf8(path: Path, error: UnicodeDecodeError) -> str:
    return (
        f"{str(path)!r} is not UTF-8 text (byte {error.start:,}: {error.reason}). "
        f"Save it as UTF-8, or give pandas.read_csv(path, encoding=...)"
    )
