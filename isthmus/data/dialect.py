"""How a text table is written: its separator, its first line, its decimal sign, told from some hundred lines."""

from __future__ import annotations

import csv
import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

SEPARATORS = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "vertical bars"}

MISSING = ("", "NA", "N/A", "n/a", "NaN", "nan", "NULL", "Null", "null", "<NA>", "#N/A", "#NA", "-NaN", "-nan",
           "#N/A N/A", "-1.#IND", "-1.#QNAN", "1.#IND", "1.#QNAN")  # fmt: skip
"""Marks of a missing cell in any column. ``None`` and ``?`` are none here: among words they may be a value."""

MARKS = (*MISSING, "?", "-", "None", "none")
"""Marks of a missing cell where they stand alone among numbers."""


BLANKS = " \u00a0\u2009\u202f'\u2019"
"""What sets groups of three digits apart in any country: spaces (plain, no-break, thin, narrow), apostrophes."""


def numbers_with(decimal: str, grouping: str) -> str:
    """The regular expression of numbers with this decimal sign, in groups of three or not.

    A number in groups never begins with 0: ``0,125`` has no thousands sign. It serves Python's ``re`` and Arrow's RE2,
    hence the digits written out.
    """
    groups = "".join(
        f"|[1-9][0-9]{{0,2}}(?:{mark}[0-9]{{3}})+" for mark in (grouping, f"[{BLANKS[:4]}]", f"[{BLANKS[4:]}]")
    )
    whole = f"(?:[0-9]+{groups})"
    size = f"(?:{whole}(?:{decimal}[0-9]*)?|{decimal}[0-9]+)(?:[eE][+-]?[0-9]+)?"
    return f"^[+-]?(?:{size}|[iI][nN][fF](?:[iI][nN][iI][tT][yY])?)$"


POINT = numbers_with("[.]", ",")
COMMA = numbers_with(",", "[.]")
POINTED, COMMAED = re.compile(POINT), re.compile(COMMA)


@dataclass(frozen=True)
class Dialect:
    """How a text table is written.

    Parameters
    ----------
    separator : what stands between two values.
    encoding : Python's name of it.
    header : the fields of the first line.
    named : whether the first line holds names; otherwise it is data.
    spaced : whether a space follows every separator; it is no part of a value.
    decimal : ``","`` or ``"."`` where some number can be written with that sign only, ``""`` where none tells.
    doubtful : a number whose point may be a decimal or a thousands sign, ``""`` where there is none.
    """

    separator: str = ","
    encoding: str = "utf-8"
    header: tuple[str, ...] = ()
    named: bool = True
    spaced: bool = False
    decimal: str = ""
    doubtful: str = ""

    def in_words(self) -> tuple[str, ...]:
        """A sentence for each thing that is not the ordinary (commas, UTF-8, names in the first line).

        >>> Dialect(separator=";", encoding="cp1252").in_words()
        ('values are separated by semicolons', 'the text is Windows-1252, not UTF-8')
        """
        said = []
        if self.separator != ",":
            name = SEPARATORS.get(self.separator, repr(self.separator))
            said.append(f"values are separated by {name}" + (" and a space" if self.spaced else ""))
        elif self.spaced:
            said.append("a space follows every comma, and is no part of a value")
        if self.encoding not in ("utf-8", "utf-8-sig"):
            said.append(f"the text is {ENCODINGS[self.encoding]}, not UTF-8")
        if not self.named:
            said.append("the first line holds data, not names")
        if self.decimal == ",":
            said.append("the decimal sign is a comma")
        if self.doubtful:
            said.append(
                f"the point in {self.doubtful!r} is taken for a decimal sign, though nothing in the file tells it "
                "from a thousands sign"
            )
        return tuple(said)


ENCODINGS = {"utf-16": "UTF-16", "cp1252": "Windows-1252", "latin-1": "Latin-1"}


def dialect_of(lines: Sequence[str], separator: str | None, encoding: str, whole: bool) -> tuple[Dialect, list[str]]:
    """How the lines are written, and the fields of the second one; none where all lines are blank.

    Parameters
    ----------
    lines : the first lines of the file, line ends included.
    separator : None = the one that fits best.
    whole : whether these are all lines; otherwise the last record may go on.

    Raises
    ------
    csv.Error : a line cannot be split.
    """
    separator = separator or best_separator(lines, whole)
    table = records(lines, separator, whole)
    if not table:
        return Dialect(separator, encoding), []
    spaced = followed_by_spaces(table)
    if spaced:
        table = records(lines, separator, whole, spaced)
    header, below = table[0], [row for row in table[1:] if len(row) == len(table[0])]
    columns = list(zip(*below, strict=True)) if below else [() for _ in header]
    cells = [known(column) for column in columns]
    named = not is_data(header, cells)
    told = cells if named else [[*known([first]), *column] for first, column in zip(header, cells, strict=True)]
    # Without a comma in any cell there is no decimal comma, and nothing to tell: the ordinary case, and a wide one.
    marked = separator != "," or any("," in cell for column in told for cell in column)
    decimal = decimal_sign(told) if marked else ""
    second = table[1] if len(table) > 1 else []
    # Semicolons are the separator where the comma is the decimal sign, so that a point may be no decimal sign there.
    open_to_doubt = separator == ";" and not decimal
    points = (cell for column in told for cell in column if open_to_doubt and "." in cell and COMMAED.match(cell))
    return Dialect(separator, encoding, tuple(header), named, spaced, decimal, next(points, "")), second


def records(lines: Sequence[str], separator: str, whole: bool, spaced: bool = False) -> list[list[str]]:
    """The lines split into fields, blank ones left out, and the last one too where it may go on."""
    table = [row for row in csv.reader(lines, delimiter=separator, skipinitialspace=spaced) if row]
    return table if whole or len(table) < 3 else table[:-1]


def best_separator(lines: Sequence[str], whole: bool) -> str:
    """The separator that splits the first line, gives most lines as many fields, and most fields that are numbers.

    >>> best_separator(["1,5;2,5\\n", "3,5;4,5\\n"], True), best_separator(["a\\n", "1;2\\n"], True)
    (';', ',')
    """
    first = next((line for line in lines if line.strip()), "")
    found = [mark for mark in SEPARATORS if mark in first]
    if len(found) < 2:
        return found[0] if found else ","
    return max(found, key=lambda mark: fitness(lines, mark, whole))


def fitness(lines: Sequence[str], separator: str, whole: bool) -> tuple[float, float]:
    """The share of lines as long as the first, and the share of fields that are numbers; 0 where one field is all."""
    try:
        table = records(lines, separator, whole)
    except csv.Error:
        return 0.0, 0.0
    width = len(table[0])
    if width < 2:
        return 0.0, 0.0
    fields = [field.strip() for row in table for field in row]
    return sum(len(row) == width for row in table) / len(table), sum(map(is_written, fields)) / len(fields)


def usual_width(lines: Sequence[str], whole: bool) -> int | None:
    """How many fields most lines have, by whatever separator, where the first line has but one; else None.

    >>> usual_width(["a | title", "1,2,3", "4,5,6"], True), usual_width(["a,b", "1,2,3"], True)
    (3, None)
    """
    for separator in SEPARATORS:
        try:
            widths = [len(row) for row in records(lines, separator, whole)]
        except csv.Error:
            continue
        usual = max(set(widths), key=widths.count)
        if widths[0] == 1 and usual > 1 and 2 * widths.count(usual) > len(widths):
            return usual
    return None


def is_written(field: str) -> bool:
    """Whether a field is a number, however written."""
    return bool(POINTED.match(field) or COMMAED.match(field))


def followed_by_spaces(table: Sequence[Sequence[str]]) -> bool:
    """Whether every field but the first of a line begins with a space, some field at all being there.

    A first line of names may be written in another way than the lines of data below it.

    >>> followed_by_spaces([["a", "b"], ["1", " 2"]]), followed_by_spaces([["a", " b"], ["1", "2"]])
    (True, False)
    """
    later = [field for row in table[1:] or table for field in row[1:] if field]
    return bool(later) and all(field[0] == " " for field in later)


def known(column: Sequence[str]) -> list[str]:
    """The cells that are not missing, without spaces around them."""
    return [cell for cell in map(str.strip, column) if cell not in MARKS]


def is_data(header: Sequence[str], cells: Sequence[Sequence[str]]) -> bool:
    """Whether the first line holds values rather than names.

    It does if it holds only numbers that do not count up by one. With words in it, it does if they come again as
    values of their own columns, at least half of them, and none stands above numbers.
    """
    names = [name.strip() for name in header]
    numbers = [is_written(name) for name in names]
    if any(numbers) and all(number or name in MARKS[1:] for name, number in zip(names, numbers, strict=True)):
        return not counting(header)
    if not names[0] and len(names) > 1:
        return False  # the index that pandas wrote has no name
    again = words = 0
    for name, number, column in zip(names, numbers, cells, strict=True):
        if number or name in MARKS:
            continue
        if column and all(map(is_written, column)):
            return False
        words += 1
        again += name in column
    return 0 < words <= 2 * again


def counting(fields: Sequence[str]) -> bool:
    """Whether the fields are whole numbers, each one more than the last.

    >>> counting(["2019", "2020"]), counting(["1", "5"]), counting(["7"])
    (True, False, False)
    """
    if len(fields) < 2 or not all(field.isdecimal() for field in fields):
        return False
    return all(int(later) == int(field) + 1 for field, later in pairwise(fields))


def decimal_sign(columns: Sequence[Sequence[str]]) -> str:
    """The decimal sign that some column proves: a comma if one has it, ``""`` if none proves any.

    >>> decimal_sign([["1.234,5", "2"], ["1.234", "7"]]), decimal_sign([["1.5"]]), decimal_sign([["1,234", "7"]])
    (',', '.', '')
    """
    proofs = set()
    for column in columns:
        commas, points = (bool(column) and all(map(sign.match, column)) for sign in (COMMAED, POINTED))
        if commas != points:
            proofs.add("," if commas else ".")
    return "," if "," in proofs else "." if proofs else ""
