"""Columns whose cells are of another type than in fit: which pass all the same, and the sentence about the others."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from isthmus.data.arrays import is_number, short
from isthmus.data.arrow import WORDS, family, floats
from isthmus.data.text_columns import ISO, LIKE_DATES

if TYPE_CHECKING:
    from isthmus.data.coding import Coding

FLOATS = {"double": "float64", "float": "float32", "halffloat": "float16"}
"""What pandas calls Arrow's types of floats."""


def all_missing(array: Any) -> bool:
    """Whether no cell of an Arrow array is known, NaN being none.

    >>> import pyarrow as pa
    >>> all_missing(pa.array([None, float("nan")])), all_missing(pa.array(["", None]))
    (True, False)
    """
    from pyarrow import types

    if array.null_count == len(array):
        return True
    return bool(types.is_floating(array.type)) and bool(np.isnan(floats(array)).all())


def changed_type(coding: Coding, array: Any, argument: str) -> str | None:
    """What is wrong with cells of another family than in fit, one of them named, and the line that mends it.

    Numbers and truth values stand for each other; None = nothing is wrong.
    """
    came, was = family(array.type), coding.family
    if came in (was, "nothing") or {came, was} == {"number", "truth"}:
        return None
    at, wrong = offending(coding, array)
    spot = f"{argument if argument.isidentifier() else 'df'}[{coding.name!r}]"
    coerced = ", errors='coerce'" if wrong else ""
    target = FLOATS.get(coding.arrow, coding.arrow)
    as_number = f"{spot} = {spot}.astype('{target}')"
    if came == "text":
        as_number = f"{spot} = pandas.to_numeric({spot}{coerced})"
    if came in ("date", "time", "span") or (came == "text" and LIKE_DATES.match(str(array[at].as_py()))):
        as_number = f"give its numbers again, or, where they are not known, {spot} = None"
    mend = {
        "number": as_number,
        "truth": f"{spot} = {spot}.map({{'True': True, 'False': False}})",
        "text": f"{spot} = {spot}.astype(str)",
        "date": f"{spot} = pandas.to_datetime({spot}{coerced})",
        "time": f"{spot} = pandas.to_datetime({spot}).dt.time",
        "span": f"{spot} = pandas.to_timedelta({spot})",
    }.get(was, f"fit again with this {argument}")
    return (
        f"column {coding.name!r} of {argument} held {WORDS[was]} in fit (type {coding.dtype}) and holds "
        f"{WORDS.get(came or '', 'objects')} now, for example {short(array[at].as_py())} in row {at} "
        f"(Arrow type {array.type}). Make it what it was: {mend}"
    )


def offending(coding: Coding, array: Any) -> tuple[int, bool]:
    """The row of the first cell that is no number, date or truth value, as those of the fit were; or else of the first
    cell that is known. And whether it is the former."""
    import pyarrow as pa
    import pyarrow.compute as pc

    known = pc.indices_nonzero(pc.is_valid(array))
    tests: dict[str, Callable[[str], Any]] = {
        "number": is_number,
        "date": re.compile(ISO).match,
        "truth": {"True", "False"}.__contains__,
    }
    fits = tests.get(coding.family)
    if family(array.type) == "text" and fits is not None:
        cells = array.dictionary_decode() if pa.types.is_dictionary(array.type) else array
        for cell in pc.unique(cells).drop_null().to_pylist():
            if not fits(cell):
                return int(pc.index(cells, cell).as_py()), True
    return int(known[0].as_py()), False
