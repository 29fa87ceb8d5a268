"""Numbers of another type than in the fit, by the whole numbers of the fit; what they cannot stand for is beside."""

from __future__ import annotations

from typing import Any

import numpy as np

from isthmus.coding.exceptions import Exceptions
from isthmus.coding.numbers import Numbers
from isthmus.errors import InputError

NEAR = 2**52
"""Whole numbers up to here, and their differences, are floats."""


def can_cast(fitted: np.dtype, now: np.dtype) -> bool:
    """Whether numbers of one type may be whole numbers of another: all but truth values, and floats of two widths.

    >>> can_cast(np.dtype("i8"), np.dtype("f8")), can_cast(np.dtype("f4"), np.dtype("f8"))
    (True, False)
    """
    kinds = {fitted.kind, now.kind}
    return fitted == now or (kinds <= {"i", "u", "f"} and kinds != {"f"})


def ints_of_others(values: np.ndarray, numbers: Numbers) -> tuple[np.ndarray, Exceptions]:
    """(n,) int64, and the bits of the values, of any type of numbers, that they cannot stand for.

    Parameters
    ----------
    values : (n,); all that are not whole, or too far from 0, are exceptions.

    Examples
    --------
    >>> numbers = Numbers("whole", "int64")
    >>> ints, beside = ints_of_others(np.array([3.0, np.nan, 0.5, -4.0]), numbers)
    >>> ints, others_of(ints, beside, numbers, np.dtype("f8"))
    (array([ 3,  3,  3, -4]), array([ 3. ,  nan,  0.5, -4. ]))
    """
    plain = np.isfinite(values)
    with np.errstate(all="ignore"):
        plain &= (values == np.rint(values)) & (values >= -NEAR) & (values <= NEAR)
        if numbers.type.kind != "f":
            limits = np.iinfo(numbers.type)
            plain &= (values >= max(limits.min, -NEAR)) & (values <= min(limits.max, NEAR))
    # In the place of others stands the one before, which costs little.
    last = np.maximum.accumulate(np.where(plain, np.arange(len(values)), -1))
    given = np.where(last >= 0, values[np.maximum(last, 0)], 0).astype(numbers.type)
    ints, _ = numbers.forward(given)
    odd = np.flatnonzero(~(plain & _kept(values, others_of(ints, Exceptions(), numbers, values.dtype), numbers)))
    return ints, Exceptions(odd, values[odd].view(f"u{values.itemsize}").astype(np.uint64))


def others_of(ints: np.ndarray, exceptions: Exceptions, numbers: Numbers, dtype: np.dtype) -> np.ndarray:
    """The values again, (n,) of ``dtype``."""
    values = numbers.backward(ints, Exceptions())
    if dtype.kind != "f":
        limits = np.iinfo(dtype)
        values = np.clip(np.nan_to_num(np.rint(values)), max(limits.min, -NEAR), min(limits.max, NEAR))
    with np.errstate(all="ignore"):
        found = values.astype(dtype)
    found[exceptions.positions] = exceptions.bits.astype(f"u{dtype.itemsize}").view(dtype)
    return found


def _kept(values: np.ndarray, found: np.ndarray, numbers: Numbers) -> np.ndarray:
    """(n,) bool: where the promise is kept, of values that are whole."""
    if numbers.exact:
        unsigned = f"u{values.itemsize}"
        return values.view(unsigned) == found.view(unsigned)
    with np.errstate(all="ignore"):
        near = np.isfinite(found) & (np.abs(found.astype(np.float64)) <= NEAR)
        near &= found == np.rint(found)
        x, y = values.astype(np.float64), np.where(near, found, 0).astype(np.float64)
        bound = np.full(len(x), numbers.max_error)
        if numbers.kind == "relative":
            bound = np.nextafter(np.abs(x) * bound, 0.0)
        return near & (np.abs(x - y) <= bound)


def holds_amounts(kind: dict[str, Any]) -> bool:
    """Whether a column holds numbers that may change by a little."""
    return kind["is"] in ("plain", "masked") and number_type(kind).kind != "b"


def number_type(kind: dict[str, Any]) -> np.dtype:
    """Of the numbers of a column that is plain or masked, in the machine's byte order.

    >>> number_type({"is": "masked", "dtype": "Int16"}), number_type({"is": "plain", "dtype": "<f8"})
    (dtype('int16'), dtype('float64'))
    """
    return np.dtype({"boolean": "bool"}.get(kind["dtype"], kind["dtype"].lower())).newbyteorder("=")


def packed_places(missing: np.ndarray) -> bytes:
    """Where cells (n,) are missing, none as no bytes."""
    places = np.flatnonzero(missing)
    return Exceptions(places, np.zeros(len(places), dtype=np.uint64)).packed(1)


def unpacked_places(packed: bytes, rows: int) -> np.ndarray:
    """The inverse of `packed_places`: (rows,) bool."""
    missing = np.zeros(rows, dtype=bool)
    missing[Exceptions.unpacked(packed, rows, 1).positions] = True
    return missing


def in_words(kind: dict[str, Any]) -> str:
    """What a column holds.

    >>> in_words({"is": "plain", "dtype": "<i8"}), in_words({"is": "cells"})
    ('whole numbers', 'texts')
    """
    if kind["is"] in ("plain", "masked"):
        return {"b": "truth values", "f": "real numbers"}.get(number_type(kind).kind, "whole numbers")
    if kind["is"] == "time":
        return "dates" if kind["dtype"].startswith("datetime") else "spans of time"
    return "categories" if kind["is"] == "category" else "texts"


def without_zone(dtype: str) -> str:
    """
    >>> without_zone("datetime64[ns, Europe/Berlin]"), without_zone("timedelta64[us]")
    ('datetime64[ns]', 'timedelta64[us]')
    """
    return f"{dtype.partition(',')[0].rstrip(']')}]"


def check_letters(levels: Any, name: Any) -> None:
    """Refuse categories with halves of letters, as from broken file names, which pandas cannot join."""
    broken = [level for level in levels if isinstance(level, str) and not level.isascii() and is_broken(level)]
    if broken:
        raise InputError(
            f"X: column {name!r} has the category {broken[0]!r}, which is no whole text to pandas; make the column one "
            "of objects, which may hold it"
        )


def is_broken(text: str) -> bool:
    """Whether a text holds half of a letter.

    >>> is_broken("Köln"), is_broken("id\\udc80")
    (False, True)
    """
    return any("\ud800" <= letter <= "\udfff" for letter in text)
