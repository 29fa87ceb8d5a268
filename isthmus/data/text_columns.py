"""Columns of text that are numbers, dates or missing cells to whoever wrote them: told by every cell, not by a few."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from isthmus.checks import counted, listed
from isthmus.data.dates import DATE_FORMATS, format_of
from isthmus.data.dialect import BLANKS, COMMA, COMMAED, MARKS, POINT, POINTED
from isthmus.data.leading_zeros import PADDED, are_codes

GLANCE = 1_000
"""Known cells that are looked at before all are: most columns of words are told by the first."""

ISO = "^[0-9]{4}-[0-9]{2}-[0-9]{2}([T ][0-9]{2}:[0-9]{2}(:[0-9]{2}([.][0-9]{1,9})?)?(Z|[+-][0-9]{2}(:?[0-9]{2})?)?)?$"
ZONE = "[T ].*[0-9](?P<zone>Z|[+-][0-9]{2}(?::?[0-9]{2})?)$"
LIKE_DATES = re.compile(r"^[0-9]{1,4}([./-])[0-9]{1,2}\1[0-9]{2,4}([T ,].*)?$")


@dataclass(frozen=True)
class Found:
    """A text column that holds numbers: its different cells, where each stands, the signs that all agree with."""

    position: int
    name: Any
    levels: Any
    indices: Any
    point: bool
    comma: bool
    example: str


def read_text_columns(
    frame: Any, separator: str, decimal: str, texts: Mapping[str, bool] | None = None
) -> tuple[tuple[str, ...], str]:
    """Turn text columns of a pandas frame into what they hold, in place.

    Parameters
    ----------
    frame : as read, its missing cells already missing.
    separator : of the file, ``""`` where there is none: where both signs are possible, a semicolon speaks for
        decimal commas, because it is used where the comma is taken.
    decimal : the sign that the file's first lines prove, or ``""``.
    texts : by name, whether a column is known to stay text, or not to for its zeros; of others that is told.

    Returns
    -------
    said : a sentence for each thing that was decided and is not the ordinary.
    decimal : the sign that all lines prove, or ``""``.

    Examples
    --------
    >>> import pandas as pd
    >>> frame = pd.DataFrame({"price": ["1.234,5", "?"], "day": ["2024-05-01", "2024-05-02"]})
    >>> read_text_columns(frame, ";", "")
    (("digits are grouped by thousands in 'price' ('1.234,5' is 1234.5)",), ',')
    >>> frame["price"].tolist(), frame["day"].dt.day.tolist()
    ([1234.5, nan], [1, 2])
    """
    import pyarrow.compute as pc

    texts = texts or {}
    found, words, codes = [], [], []
    for position, label in enumerate(frame.columns):
        text = text_of(frame.iloc[:, position])
        if text is None:
            continue
        seen, stays = numbers_in(text, position, label), texts.get(str(label))
        if seen is not None and (stays or (stays is None and are_codes(seen.levels, seen.indices))):
            put(frame, position, seen.levels.take(seen.indices))
            codes += [] if stays else [seen]
        elif seen is not None:
            found.append(seen)
        elif pc.count(text).as_py():
            words.append((position, label, text))
    proofs = {"," if one.comma else "." for one in found if one.comma != one.point}
    given, decimal = decimal, decimal or ("," if "," in proofs else "." if proofs else "")
    said = write_numbers(frame, found, separator, decimal, given)
    asked = question_marks(frame, words)
    open_ = [one for one in words if not texts.get(str(one[1]))]
    return (*said, *zeros_said(codes), *asked, *dates(frame, open_, texts)), decimal


def text_of(column: Any) -> Any:
    """A column as Arrow text, or None where it holds anything but text."""
    import pandas as pd
    import pyarrow as pa

    types = pd.api.types
    if not isinstance(column.dtype, pd.StringDtype) and not (
        types.is_object_dtype(column.dtype) and types.infer_dtype(column, skipna=True) == "string"
    ):
        return None
    made = pa.Array.from_pandas(column)
    return made.combine_chunks() if isinstance(made, pa.ChunkedArray) else made


def glance(text: Any) -> list[str]:
    """The first known cells, without spaces around them."""
    known = text.slice(0, 4 * GLANCE).drop_null()
    if not len(known):
        known = text.drop_null()
    return [cell.strip() for cell in known.slice(0, GLANCE).to_pylist()]


# ---------------------------------------------------------------------- numbers


def numbers_in(text: Any, position: int, name: Any) -> Found | None:
    """The column as one of numbers, if every cell but the marks of missing ones is a number."""
    import pyarrow as pa
    import pyarrow.compute as pc

    first = [cell for cell in glance(text) if cell not in MARKS]
    if not (all(map(POINTED.match, first)) or all(map(COMMAED.match, first))):
        return None
    coded = text.dictionary_encode()
    trimmed = pc.utf8_trim_whitespace(coded.dictionary)
    missing = pc.is_in(trimmed, value_set=pa.array(MARKS, trimmed.type))
    levels = pc.if_else(missing, pa.scalar(None, trimmed.type), trimmed)
    known = pc.drop_null(levels)
    if not len(known):
        return None
    point, comma = (pc.all(pc.match_substring_regex(known, sign)).as_py() for sign in (POINT, COMMA))
    if not (point or comma) or too_large(known):
        return None
    signed = pc.filter(known, pc.match_substring_regex(known, f"[.,{BLANKS}]"))
    return Found(position, name, levels, coded.indices, point, comma, (signed if len(signed) else known)[0].as_py())


def zeros_said(codes: Sequence[Found]) -> list[str]:
    """The sentence about columns that stay text for the zeros before their numbers."""
    import pyarrow.compute as pc

    if not codes:
        return []
    known = pc.drop_null(codes[0].levels)
    example = pc.filter(known, pc.match_substring_regex(known, PADDED))[0].as_py()
    return [
        f"numbers with zeros before them are codes and stay text in {listed([one.name for one in codes])} ({example!r})"
    ]


def too_large(known: Any) -> bool:
    """Whether a whole number may be beyond 64 bits: then it names something, and must not be rounded."""
    import pyarrow.compute as pc

    return bool(pc.any(pc.match_substring_regex(known, "^[+-]?0*[1-9][0-9]{18,}$")).as_py())


def write_numbers(frame: Any, found: list[Found], separator: str, decimal: str, given: str) -> list[str]:
    """Put the numbers into the frame, and say which signs were taken for what."""
    commas, groups, doubts = [], [], []
    for one in found:
        comma = one.comma and (not one.point or takes_comma(one, separator, decimal))
        put(frame, one.position, numbers(one.levels, comma).take(one.indices))
        if set(one.example) & {"." if comma else ",", *BLANKS}:
            groups.append((one, comma))
        elif comma and "," in one.example and decimal and decimal != given:
            commas.append((one, comma))
        if one.comma and one.point and not decimal and "," in one.example:
            sign, other = ("decimal", "thousands") if comma else ("thousands", "decimal")
            doubts.append(
                f"column {one.name!r}: the comma in {one.example!r} is taken for a {sign} sign, though nothing else in "
                f"the file tells it from a {other} sign"
            )
    said = []
    if commas:
        said.append(f"the decimal sign is a comma in {as_read(commas)}")
    if groups:
        said.append(f"digits are grouped by thousands in {as_read(groups)}")
    return said + doubts


def takes_comma(one: Found, separator: str, decimal: str) -> bool:
    """Where every cell of a column can be read both ways: what the rest of the file speaks for."""
    return (decimal or ("," if separator == ";" and "," in one.example else ".")) == ","


def as_read(found: Sequence[tuple[Found, bool]]) -> str:
    """The columns, and the longest of their examples as it stands and as it is read."""
    import pyarrow as pa

    one, comma = max(found, key=lambda pair: len(pair[0].example))
    value = numbers(pa.array([one.example]), comma)[0].as_py()
    return f"{listed([one.name for one, _ in found])} ({one.example!r} is {value})"


def numbers(cells: Any, comma: bool) -> Any:
    """Cells that are numbers, as int64 where all are whole, else float64."""
    import pyarrow as pa
    import pyarrow.compute as pc

    plain = pc.replace_substring_regex(cells, f"[{'.' if comma else ','}{BLANKS}]", "")
    if comma:
        plain = pc.replace_substring(plain, ",", ".")
    whole = pc.all(pc.match_substring_regex(plain, "^[+-]?[0-9]+$")).as_py()
    # Arrow's whole numbers take no plus sign.
    bare = pc.replace_substring_regex(plain, "^[+]", "")
    try:
        return pc.cast(bare, pa.int64() if whole else pa.float64())
    except pa.ArrowInvalid:  # grouped digits beyond 64 bits
        return pc.cast(bare, pa.float64())


def put(frame: Any, position: int, values: Any) -> None:
    """Arrow values, or a pandas column, in the place of a column."""
    import pandas as pd

    column = values if isinstance(values, pd.Series) else pd.Series(values.to_pandas())
    frame.isetitem(position, column.set_axis(frame.index))


# ---------------------------------------------------------------------- missing cells


def question_marks(frame: Any, words: list[tuple[int, Any, Any]]) -> list[str]:
    """Take ``?`` for a missing cell in columns of words, unless the file has other values in mere signs too."""
    import pyarrow as pa
    import pyarrow.compute as pc

    having, other = [], []
    for i, (position, name, text) in enumerate(words):
        levels = pc.unique(text).drop_null()
        if not pc.any(pc.equal(pc.utf8_trim_whitespace(levels), "?")).as_py():
            continue
        asked = pc.equal(pc.utf8_trim_whitespace(text), "?")
        having.append((i, position, name, asked, pc.sum(asked).as_py()))
        signs = pc.filter(levels, pc.match_substring_regex(levels, r"^[^\pL\pN]+$")).to_pylist()
        other += [sign for sign in signs if sign.strip() not in ("?", "")]
    if not having:
        return []
    names = listed([name for _, _, name, _, _ in having])
    if other:
        return [f"'?' stays a value in {names}, because {listed(dict.fromkeys(other), 3)} is one too"]
    for i, position, name, asked, _ in having:
        words[i] = (position, name, pc.if_else(asked, pa.scalar(None, words[i][2].type), words[i][2]))
        column = frame.iloc[:, position]
        put(frame, position, column.mask(asked.fill_null(False).to_numpy(zero_copy_only=False)))
    total = sum(count for *_, count in having)
    return [f"'?' is taken for a missing cell in {names} ({counted(total, 'cell')})"]


# ---------------------------------------------------------------------- dates


def dates(frame: Any, words: list[tuple[int, Any, Any]], texts: Mapping[str, bool]) -> list[str]:
    """Turn columns of ISO 8601 dates into pandas' dates; say which columns look like dates and stay text.

    Nothing is said of a column whose text is all written in one other way, as it will be taken for dates all the same;
    unless it is known not to be text, as it was of dates in the fit.
    """
    import pyarrow.compute as pc

    said = []
    for position, name, text in words:
        first = glance(text)
        if not first or not all(map(LIKE_DATES.match, first)):
            continue
        known = pc.unique(text).drop_null()
        odd = pc.filter(known, pc.invert(pc.match_substring_regex(known, ISO)))
        if len(odd) and str(name) not in texts and len(format_of(known, DATE_FORMATS, exact=True)) == 1:
            continue
        if len(odd):
            said.append(stays_text(name, odd[0].as_py()))
            continue
        zones = pc.unique(pc.struct_field(pc.extract_regex(known, ZONE), "zone"))
        if len(zones) > 1 and zones.null_count:
            said.append(f"column {name!r} stays text: some of its dates have a time zone and others have none")
        else:
            said += put_dates(frame, position, name, len(zones) > 1)
    return said


def put_dates(frame: Any, position: int, name: Any, several_zones: bool) -> list[str]:
    """Put a column of ISO dates into the frame as dates; a sentence where their zones differ, or one does not exist."""
    import pandas as pd

    try:
        made = pd.to_datetime(frame.iloc[:, position], format="ISO8601", utc=True if several_zones else None)
    except ValueError as error:
        odd = re.search(r"[0-9]{4}-[0-9]{2}-[0-9]{2}[T0-9:.+Z-]*", str(error))
        return [stays_text(name, odd[0] if odd else str(error))]
    put(frame, position, made)
    return [f"column {name!r}: its dates have several time zones and are kept in UTC"] if several_zones else []


def stays_text(name: Any, example: str) -> str:
    return (
        f"column {name!r} stays text: only dates as in ISO 8601 (2024-05-31, 2024-05-31 12:30) are read as dates, "
        f"{example!r} is none"
    )
