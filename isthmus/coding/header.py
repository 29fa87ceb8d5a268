"""The header of a compressed file: JSON, read strictly, so that no two readers differ about what it says."""

from __future__ import annotations

import json
import math
from typing import Any, NoReturn

from isthmus.errors import InputError

LONGEST_HEADER = 2**20
"""Bytes."""


def header_text(about: dict[str, Any]) -> bytes:
    """The header as bytes: the same for the same data."""
    try:
        text = json.dumps(about, allow_nan=False, ensure_ascii=True, separators=(",", ":")).encode("ascii")
        same = parsed_header(text) == about
    except (TypeError, ValueError, RecursionError) as error:
        raise InputError(f"about must be JSON data without NaN: {error}") from error
    if not same or len(text) > LONGEST_HEADER:
        raise InputError(
            f"about must be a dict of JSON data (str keys, lists rather than tuples) of {LONGEST_HEADER:,} bytes at "
            f"most; got {len(text):,} bytes"
        )
    return text


def parsed_header(text: bytes) -> dict[str, Any]:
    """The header's data; a ``ValueError`` if it is not one strict JSON object."""
    found = json.loads(
        text.decode("ascii"), parse_constant=refuse_constant, parse_float=finite, object_pairs_hook=unrepeated
    )
    if type(found) is not dict:
        raise ValueError("it is no JSON object")
    return found


def refuse_constant(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is no JSON")


def finite(text: str) -> float:
    """The number, unless it is beyond all float64, which would be read as infinity."""
    if not math.isfinite(value := float(text)):
        raise ValueError(f"{text} is beyond a float64")
    return value


def unrepeated(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """A dict of the pairs; a name that comes twice is refused, since readers differ about what it means."""
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a name comes twice")
    return found
