"""What comes into an index, checked: codes, ids, floats and items of the same rows."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import pandas as pd

from isthmus.checks import counted, listed
from isthmus.errors import InputError
from isthmus.index.bits import word_of, words_of

WHOLE, STRINGS = "whole numbers", "strings"
"""The kinds of ids."""

HIGHEST = float(np.finfo(np.float16).max)
"""The largest float code that can be kept."""


@dataclass(frozen=True)
class Incoming:
    """Rows to be added.

    Attributes
    ----------
    codes : (n, words), as `isthmus.index.bits.packed` makes them.
    ids : (n,) int64, or an object array of str.
    floats : (n, floats) float16.
    items : n strings or None, or None where no row has one.
    """

    codes: np.ndarray
    ids: np.ndarray
    floats: np.ndarray
    items: list[str | None] | None

    def __len__(self) -> int:
        return len(self.codes)


def checked_codes(codes: np.ndarray, bits: int) -> np.ndarray:
    """``codes`` in rows of words that hold ``bits`` bits, C-contiguous; an `InputError` where they are none."""
    word, words = word_of(bits), words_of(bits)
    codes = np.asarray(codes)
    if codes.ndim != 2 or codes.shape[1] != words or codes.dtype != word:
        raise InputError(
            f"codes must be (rows, {words}) of {word}, as an index of {bits} bits has them; "
            f"got {codes.shape} of {codes.dtype}. Were they made for another number of bits?"
        )
    spare = words * word.itemsize * 8 - bits
    if spare and (codes[:, -1] >> word.type(word.itemsize * 8 - spare)).any():
        raise InputError(f"codes have bits set beyond the first {bits}, which are all that this index has")
    return np.ascontiguousarray(codes, dtype=word)


def checked_ids(ids: object) -> np.ndarray:
    """Ids as an int64 array, or as an object array of str.

    Parameters
    ----------
    ids : a sequence of whole numbers or of strings.

    Raises
    ------
    InputError : it is no sequence, or holds other things, or both kinds.

    Examples
    --------
    >>> checked_ids([3, 4]), checked_ids(np.array(["a", "b"]))
    (array([3, 4]), array(['a', 'b'], dtype=object))
    """
    if isinstance(ids, (str, bytes)) or not isinstance(ids, Iterable):
        raise InputError(f"ids must be a list, with one id a row; got {ids!r:.60}")
    # A list goes through objects: NumPy would turn [1, "a"] into two strings without a word.
    array = np.asarray(ids) if hasattr(ids, "dtype") else np.array(list(ids), dtype=object)
    if array.ndim != 1:
        raise InputError(f"ids must be a flat list, with one id a row; got the shape {array.shape}")
    kind = pd.api.types.infer_dtype(array, skipna=False)
    if array.size == 0:
        return np.empty(0, dtype=np.int64)
    if kind == "string":
        return array.astype(object)
    if kind != "integer":
        raise InputError(f"ids must all be whole numbers, or all strings; got {kind} such as {listed(array, limit=3)}")
    try:
        whole = array.astype(np.int64)
    except OverflowError:
        whole = np.zeros(0, dtype=np.int64)
    if len(whole) != len(array) or (whole != array).any():
        raise InputError("ids must be whole numbers from -2**63 to 2**63 - 1; some are beyond. Give them as strings")
    return whole


def kind_of(ids: np.ndarray) -> str:
    """`WHOLE` or `STRINGS`, of ids that `checked_ids` gave."""
    return STRINGS if ids.dtype == object else WHOLE


def check_one_kind(ids: np.ndarray, kind: str | None) -> None:
    """Refuse ids of another kind than those of the index, which is None while it has none."""
    if kind is not None and kind_of(ids) != kind and len(ids):
        raise InputError(f"ids must be {kind}, as those of this index are; got {kind_of(ids)} such as {named(ids[:3])}")


def named(ids: np.ndarray) -> str:
    """The ids as they would be written down.

    >>> named(np.array([4, 5])), named(np.array([np.str_("a")], dtype=object))
    ('4, 5', "'a'")
    """
    return listed(map(str, ids) if ids.dtype == object else ids.tolist())


def checked_floats(floats: np.ndarray | None, rows: int, width: int) -> np.ndarray:
    """Float codes, (rows, width), as float16; an `InputError` where they are missing, unwanted or too large."""
    if floats is None:
        if width and rows:
            raise InputError(f"floats must be given: this index keeps {counted(width, 'float')} beside each code")
        return np.empty((rows, width), dtype=np.float16)
    floats = np.asarray(floats)
    if floats.shape != (rows, width) or floats.dtype.kind not in "fiu":
        raise InputError(
            f"floats must be ({rows}, {width}) real numbers, as many as there are codes and as this index keeps "
            f"beside each; got {floats.shape} of {floats.dtype}"
        )
    # Written so that NaN fails it, too.
    if not (np.abs(floats) <= HIGHEST).all():
        raise InputError(f"floats must be finite and at most {HIGHEST:,.0f} in size, which half precision can hold")
    return floats.astype(np.float16)


def checked_items(items: Iterable[str | None] | None, rows: int) -> list[str | None] | None:
    """Items as a list, or None where no row has one; an `InputError` where they are no strings or too few."""
    if items is None:
        return None
    if isinstance(items, (str, bytes)) or not isinstance(items, Iterable):
        raise InputError(f"items must be a list, with one string (or None) a row; got {items!r:.60}")
    texts = list(items)
    if len(texts) != rows:
        raise InputError(f"items must be one a row; got {counted(len(texts), 'item')} for {counted(rows, 'row')}")
    strange = next((text for text in texts if text is not None and not isinstance(text, str)), None)
    if strange is not None:
        raise InputError(f"items must be strings or None; got {strange!r:.60}")
    return texts if any(text is not None for text in texts) else None
