"""Tables in text files: CSV and TSV, and the line in which one is broken."""

from __future__ import annotations

import codecs
import csv
import gzip
import mmap
import re
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import IO, Any, NamedTuple

from isthmus.checks import counted, listed
from isthmus.data.dialect import MISSING, Dialect, dialect_of, usual_width
from isthmus.data.leading_zeros import may_be_codes, with_zeros, zeros_before
from isthmus.data.text_columns import read_text_columns
from isthmus.errors import InputError

LINES = 400
"""Lines by which a file's dialect is told."""

CHARACTERS = 2**18
"""Of very long lines no more are read for that than make up so many characters, but two at least."""


class TextTable(NamedTuple):
    """What a file holds.

    Attributes
    ----------
    frame : a pandas frame.
    named : whether its columns have names; otherwise they are numbered.
    said : a sentence for each thing that was found and is not the ordinary (commas, UTF-8, decimal points).
    """

    frame: Any
    named: bool
    said: tuple[str, ...]


def read_csv(path: Path, separator: str | None = None) -> tuple[Any, bool]:
    """`read_text` without what is said: a pandas frame, and whether its columns have names."""
    return read_text(path, separator)[:2]


def read_text(path: Path, separator: str | None = None, texts: Mapping[str, bool] | None = None) -> TextTable:
    """A text table as a pandas frame, whether its columns have names, and what was found out about it.

    Separator (comma, semicolon, tab, vertical bar), encoding (UTF-8, UTF-16 with its mark, otherwise Windows-1252)
    and decimal sign are told from the content. A first line that holds only numbers is data, not names, unless
    they count up by one (``0,1,2``, ``2019,2020,2021``); so is one whose words come again as values of their columns.
    A first column without a name is the index that pandas wrote. Missing cells are empty, NA, N/A, NaN or null;
    among numbers also ``?``, ``-`` and None; ``?`` among words too, unless other values are mere signs as well.
    Columns become dates only if every known cell is one as in ISO 8601. Numbers with zeros before them (``01067``) are
    codes and stay text.

    Parameters
    ----------
    path : of a file, unpacked if it ends in .gz.
    separator : what stands between two values; None = it is found out.
    texts : by name, whether a column is known to stay text, or not to for its zeros; of others it is found out.

    Raises
    ------
    InputError
        The file is empty, has no rows, is damaged, or a line has too many or too few values (its number is told).
    """
    encoding = marked_encoding(path)
    try:
        try:
            return read_as(path, separator, encoding, texts or {})
        except UnicodeDecodeError:
            return read_as(path, separator, legacy_encoding(path, encoding), texts or {})
    except csv.Error as error:
        raise InputError(f"{str(path)!r} is no text table: {error}") from error
    except (OSError, EOFError, zlib.error) as error:
        raise InputError(f"{str(path)!r} cannot be read: {error}. Is it cut off or damaged?") from error


def read_as(path: Path, separator: str | None, encoding: str, texts: Mapping[str, bool]) -> TextTable:
    """`read_text` once the encoding is known; ``UnicodeDecodeError`` where it is another."""
    lines, whole = first_lines(path, encoding)
    if whole and not any(map(str.strip, lines)):
        raise InputError(f"the file {str(path)!r} is empty")
    check_no_nul(path, lines, encoding)
    dialect, second = dialect_of(lines, separator, encoding, whole)
    if len(second) != len(dialect.header) and second:
        check_first_line(path, lines, whole)
    check_head(path, dialect, second)
    frame = read_frame(path, dialect, texts)
    said, decimal = read_text_columns(frame, dialect.separator, dialect.decimal, texts)
    if decimal == "," != dialect.decimal:
        # Decimal commas come late in this file: 1.234 was read as 1.234 by now, but is one thousand and more.
        dialect = replace(dialect, decimal=",", doubtful="")
        frame = read_frame(path, dialect, texts)
        said, _ = read_text_columns(frame, dialect.separator, ",", texts)
    return TextTable(frame, dialect.named, (*dialect.in_words(), *said))


def read_frame(path: Path, dialect: Dialect, texts: Mapping[str, bool]) -> Any:
    """The frame as pandas reads it; numbers with thousands signs, or zeros before them, remain text for
    `read_text_columns`.

    pandas' own ``thousands`` would make 1052024 of 01.05.2024, and 12 of 1,2.
    """
    import pandas as pd

    header = dialect.header
    indexed = dialect.named and header[0] == "" and len(header) > 1
    read = partial(
        pd.read_csv, path, sep=dialect.separator, header=0 if dialect.named else None, low_memory=False,
        encoding=dialect.encoding, skipinitialspace=dialect.spaced, keep_default_na=False, na_values=list(MISSING),
    )  # fmt: skip
    try:
        frame = read(index_col=0 if indexed else False, decimal=dialect.decimal or ".")
    except pd.errors.ParserError as error:
        raise InputError(parser_error(path, error)) from error
    except pd.errors.EmptyDataError as error:
        raise InputError(f"{str(path)!r} cannot be read: {error}. Is it cut off or damaged?") from error
    if len(frame.columns) and frame.iloc[:, -1].isna().any():
        check_line_lengths(path, dialect)
    places = [i for i in range(frame.shape[1]) if may_be_codes(frame.iloc[:, i], texts.get(str(frame.columns[i])))]
    stay = any(texts.get(str(frame.columns[i])) for i in places)
    if places and (stay or zeros_before(pieces(path, dialect.encoding), dialect.separator)):
        text = read(index_col=False, usecols=[i + indexed for i in places], dtype=str)
        with_zeros(frame, text, places, texts)
    return frame


# ---------------------------------------------------------------------- encodings


def marked_encoding(path: Path) -> str:
    """UTF-16 where the file begins with its mark; otherwise UTF-8, until that proves wrong."""
    start = next(chunks(path, 2), b"")
    return "utf-16" if start in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE) else "utf-8"


def chunks(path: Path, size: int = 2**20) -> Iterator[bytes]:
    """The file's bytes, unpacked, in pieces."""
    try:
        with gzip.open(path) if is_packed(path) else open(path, "rb") as file:
            while piece := file.read(size):
                yield piece
    except (OSError, EOFError, zlib.error) as error:
        raise InputError(f"{str(path)!r} cannot be read: {error}. Is it cut off or damaged?") from error


def is_packed(path: Path) -> bool:
    return path.suffix.lower() == ".gz"


def legacy_encoding(path: Path, tried: str) -> str:
    """The encoding of a file that is not UTF-8: Windows-1252, or Latin-1 where that has no such letter.

    Letters of more than one byte that are right in UTF-8 hardly come by chance. A file with more of them than of
    wrong bytes is UTF-8 that is damaged: any other encoding would spoil all those that are right.
    """
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    wrong = right = lines = 0
    first, undefined = None, False
    for piece in chunks(path):
        text = decoder.decode(piece)
        odd = text.count("\ufffd")
        if odd and first is None:
            first = lines + text.count("\n", 0, text.index("\ufffd")) + 1
        lines += text.count("\n")
        wrong += odd
        right += len(text) - len(text.encode("ascii", "ignore")) - odd
        undefined = undefined or any(byte in piece for byte in (b"\x81", b"\x8d", b"\x8f", b"\x90", b"\x9d"))
    if tried != "utf-8" or right > wrong:
        name = "UTF-8" if tried == "utf-8" else "UTF-16, as its beginning says,"
        where = f" (line {first})" if tried == "utf-8" and first else ""
        raise InputError(f"{str(path)!r} is {name} text in which bytes are damaged{where}. Save it again as UTF-8")
    return "latin-1" if undefined else "cp1252"


# ---------------------------------------------------------------------- the first lines


@contextmanager
def opened(path: Path, encoding: str) -> Iterator[IO[str]]:
    """The file opened as text, unpacked if it ends in .gz."""
    encoding = "utf-8-sig" if encoding == "utf-8" else encoding
    if is_packed(path):
        with gzip.open(path, "rt", encoding=encoding, newline="") as file:
            yield file
    else:
        with open(path, encoding=encoding, newline="") as file:
            yield file


def pieces(path: Path, encoding: str, size: int = 2**20) -> Iterator[str]:
    """The file's text, unpacked, in pieces."""
    with opened(path, encoding) as file:
        while piece := file.read(size):
            yield piece


def first_lines(path: Path, encoding: str) -> tuple[list[str], bool]:
    """The first lines, and whether they are all."""
    lines: list[str] = []
    size = filled = 0
    with opened(path, encoding) as file:
        for line in file:
            if filled >= LINES or (filled >= 3 and size > CHARACTERS):
                return lines, False
            lines.append(line)
            size += len(line)
            filled += bool(line.strip())
    return lines, True


def check_no_nul(path: Path, lines: list[str], encoding: str) -> None:
    """Refuse NUL bytes, at which pandas ends a number and says nothing."""
    line = next((number for number, line in enumerate(lines, 1) if "\0" in line), 0)
    if not line and encoding != "utf-16" and not is_packed(path):
        with open(path, "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapped:
            place = mapped.find(b"\0")
            line = mapped[:place].count(b"\n") + 1 if place >= 0 else 0
    if line:
        raise InputError(
            f"{str(path)!r}: line {line} holds NUL bytes, which are no text. Was the file cut off while it was "
            f"written, or is it UTF-16 without its mark? Save it as UTF-8"
        )


def check_head(path: Path, dialect: Dialect, second: list[str]) -> None:
    """Refuse names that come twice, names alone, and names that are not as many as the values below them."""
    header = list(dialect.header)
    if not dialect.named:
        return
    twice = [name for name in dict.fromkeys(header) if header.count(name) > 1]
    if twice:
        raise InputError(f"{str(path)!r} has several columns of the same name: {listed(twice)}")
    if not second:
        raise InputError(f"{str(path)!r} has a line of {counted(len(header), 'column name')}, but no rows")
    if len(second) != len(header):
        raise InputError(broken_line(path, 2, len(second), len(header)))


# ---------------------------------------------------------------------- broken lines


def check_first_line(path: Path, lines: list[str], whole: bool) -> None:
    """Refuse a first line of one value, such as a title, above lines of several: it is the odd one, not they."""
    usual = usual_width(lines, whole)
    if usual is not None:
        raise InputError(
            f"{str(path)!r}: line 1 has 1 value, and most lines have {usual}. If it is a title or a remark, take it "
            f"out of the file; names, if there are any, must be as many as the values below them."
        )


def check_line_lengths(path: Path, dialect: Dialect) -> None:
    """Find the first line with too few values: pandas fills such a line with missing cells and says nothing."""
    expected = len(dialect.header)
    if dialect.encoding != "utf-16" and even_lines(path, dialect):
        return
    with opened(path, dialect.encoding) as file:
        reader = csv.reader(file, delimiter=dialect.separator, skipinitialspace=dialect.spaced)
        for line in reader:
            if line and len(line) != expected:
                raise InputError(broken_line(path, reader.line_num, len(line), expected))


def even_lines(path: Path, dialect: Dialect) -> bool:
    """Whether Arrow, which is fast and refuses uneven lines, reads the file; if not, the lines are counted."""
    import pyarrow as pa
    from pyarrow import csv as arrow

    names = [str(i) for i in range(len(dialect.header))]
    try:
        with arrow.open_csv(
            path,
            read_options=arrow.ReadOptions(use_threads=False, column_names=names),
            parse_options=arrow.ParseOptions(delimiter=dialect.separator, newlines_in_values=True),
            convert_options=arrow.ConvertOptions(include_columns=names[:1], column_types={"0": pa.binary()}),
        ) as reader:
            for _ in reader:
                pass
    except pa.ArrowInvalid:
        return False
    return True


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
