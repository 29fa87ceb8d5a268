"""Codes that are written as numbers with zeros before them (``01067``): as numbers they would lose these."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

PADDED = "^0[0-9]+$"
"""More than one digit, the first of them 0; decimals such as ``0.5`` are none."""

SHARE = 0.01
"""Of numbers that are not all of one length, so many begin with 0 where that is no slip of the pen."""

OVERLAP = 64
"""Characters that two pieces of a file share, so that no cell is cut in two."""


def are_codes(levels: Any, indices: Any) -> bool:
    """Whether a column of text that could be read as numbers holds codes.

    Parameters
    ----------
    levels, indices : Arrow arrays: the different cells without spaces around them, null where one is missing; and the
        place among them of each cell.

    Examples
    --------
    >>> import pyarrow as pa
    >>> zips = pa.array(["01067", "10115", "80331"]).dictionary_encode()
    >>> are_codes(zips.dictionary, zips.indices)
    True
    >>> sizes = pa.array(["0.5", "007", "12"]).dictionary_encode()
    >>> are_codes(sizes.dictionary, sizes.indices)
    False
    """
    import pyarrow.compute as pc

    known = pc.drop_null(levels)
    if not pc.any(pc.match_substring_regex(known, PADDED)).as_py():
        return False
    if not pc.all(pc.match_substring_regex(known, "^[0-9]+$")).as_py():
        return False
    if len(pc.unique(pc.utf8_length(known))) == 1:
        return True
    often = np.bincount(pc.drop_null(indices).to_numpy(zero_copy_only=False), minlength=len(levels))
    padded = pc.match_substring_regex(levels, PADDED)
    held = [pc.fill_null(one, False).to_numpy(zero_copy_only=False) for one in (padded, pc.is_valid(levels))]
    return bool(often[held[0]].sum() >= SHARE * often[held[1]].sum())


def zeros_before(pieces: Iterable[str], separator: str) -> bool:
    """Whether a cell of a text table has more than one digit and begins with 0.

    >>> zeros_before(["a,b\\n0,0.5\\n", "10,05\\n"], ","), zeros_before(["a,b\\n0,0.5\\n"], ",")
    (True, False)
    """
    mark = re.escape(separator)
    cell = re.compile(f"[{mark}\\r\\n][\"' ]*0[0-9]+[\"' ]*[{mark}\\r\\n]")
    kept = "\n"
    for piece in pieces:
        kept += piece
        if begins_with_zero(kept, separator) and cell.search(kept):
            return True
        kept = kept[-OVERLAP:]
    return cell.search(kept + "\n") is not None


def begins_with_zero(text: str, separator: str) -> bool:
    """Whether a 0 before a digit follows what a cell may begin with: four times as quick as the regular expression."""
    signs = np.frombuffer(text.encode("latin-1", "replace"), dtype=np.uint8)
    at = np.flatnonzero((signs[1:-1] == ord("0")) & (signs[2:] - ord("0") < 10))
    return bool(np.isin(signs[at], [ord(sign) for sign in (separator, *"\r\n\"' ")]).any())


def may_be_codes(column: Any, stays: bool | None) -> bool:
    """Whether a pandas column, read as it is, may have been another in its file.

    Parameters
    ----------
    column : of numbers or truth values, or of anything else, which stays.
    stays : whether it is known to be text; None = that is not known.
    """
    kind = column.dtype.kind
    if stays is not None or kind not in "iuf":
        return bool(stays) and kind in "iufb"
    if kind != "f":
        return True
    values = column.to_numpy()
    values = values[~np.isnan(values)]
    return len(values) > 0 and bool((values == np.rint(values)).all())


def with_zeros(frame: Any, text: Any, places: list[int], texts: Mapping[str, bool]) -> None:
    """Put columns that are text, or may be for their zeros, into the frame as they stand in the file.

    Parameters
    ----------
    frame : pandas frame, changed in place.
    text : pandas frame of the columns at these places, as text.
    places : of the columns in the frame.
    texts : by name, which columns are known to be text.
    """
    for i, place in enumerate(places):
        cells = text.iloc[:, i]
        padded = cells.str.match(r"\s*0[0-9]+\s*$", na=False)
        if texts.get(str(frame.columns[place])) or bool(padded.any()):
            frame.isetitem(place, cells.set_axis(frame.index))
