"""What a column of words or mixed objects holds, as whole numbers and back: known levels, and new ones beside."""

from __future__ import annotations

import json
import lzma
import struct
from collections.abc import Sequence
from typing import Any

import numpy as np

from isthmus.errors import FileFormatError, InputError

MOST_LETTERS = 2**28
"""Bytes that the texts of one block may unpack to."""

FILTERS = [{"id": lzma.FILTER_LZMA2, "preset": 9 | lzma.PRESET_EXTREME}]


def marked(value: Any, column: Any) -> str:
    """A cell as a text whose first letter tells what it was; equal texts are equal cells, of one type.

    >>> marked("a", "x"), marked(1, "x"), marked(True, "x"), marked(1.0, "x"), marked(None, "x")
    ('sa', 'i1', 'b1', 'f3ff0000000000000', 'n')
    """
    import pandas as pd

    if isinstance(value, str):
        return f"s{value}"
    if value is None or value is pd.NA or value is pd.NaT:
        return "n" if value is None else "p" if value is pd.NA else "t"
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, bool):
        return f"b{value:d}"
    if isinstance(value, int):
        return f"i{value}"
    if isinstance(value, float):
        return f"f{struct.pack('>d', value).hex()}"
    raise InputError(
        f"X: column {column!r} holds {type(value).__name__} objects; a table may hold texts, numbers, truth values, "
        "dates and missing cells. Turn them into texts first"
    )


def unmarked(text: str) -> Any:
    """The cell of `marked`."""
    import pandas as pd

    mark, rest = text[:1], text[1:]
    try:
        if mark == "s":
            return rest
        if mark == "i":
            return int(rest)
        if mark == "b":
            return bool(int(rest))
        if mark == "f":
            return struct.unpack(">d", bytes.fromhex(rest))[0]
        return {"n": None, "p": pd.NA, "t": pd.NaT}[mark]
    except (ValueError, KeyError, struct.error) as error:
        raise FileFormatError(f"a cell of a table cannot be read: {text[:20]!r}") from error


def numbered(values: Sequence[Any], column: Any) -> tuple[np.ndarray, list[str]]:
    """(n,) the number of each cell's level, and the levels in the order of their first cells.

    >>> numbered(["b", "a", "b"], "x")
    (array([0, 1, 0]), ['sb', 'sa'])
    """
    import pandas as pd

    cells = np.empty(len(values), dtype=object)
    cells[:] = [marked(value, column) for value in values]
    numbers, levels = pd.factorize(cells)
    return numbers.astype(np.int64), levels.tolist()


def packed_texts(texts: Sequence[str]) -> bytes:
    """Texts as few bytes, none as no bytes.

    >>> unpacked_texts(packed_texts(["a", "né"])), packed_texts([])
    (['a', 'né'], b'')
    """
    if not texts:
        return b""
    return lzma.compress(json.dumps(list(texts)).encode("ascii"), lzma.FORMAT_RAW, filters=FILTERS)


def unpacked_texts(packed: bytes) -> list[str]:
    """The texts of `packed_texts`; a `FileFormatError` where there are none."""
    if not packed:
        return []
    try:
        unpacker = lzma.LZMADecompressor(lzma.FORMAT_RAW, filters=FILTERS)
        whole = unpacker.decompress(packed, MOST_LETTERS)
        if not unpacker.eof or unpacker.unused_data:
            raise FileFormatError("the texts of a block are cut off, or longer than they may be")
        texts = json.loads(whole)
    except (lzma.LZMAError, ValueError, RecursionError) as error:
        raise FileFormatError(f"the texts of a block cannot be read: {error}") from error
    if type(texts) is not list or not all(type(text) is str for text in texts):
        raise FileFormatError("the texts of a block are none")
    return texts


def joined_parts(parts: Sequence[bytes]) -> bytes:
    """Byte strings one after the other, each behind its length; those at the end that are empty are left out.

    >>> joined_parts([b"ab", b"", b"c", b""]), parted(joined_parts([b"ab", b"", b"c", b""]), 4)
    (b'\\x02ab\\x00\\x01c', [b'ab', b'', b'c', b''])
    """
    last = max((place + 1 for place, part in enumerate(parts) if part), default=0)
    return b"".join(length_of(part) + part for part in parts[:last])


def length_of(part: bytes) -> bytes:
    """A length in as few bytes as it needs, seven bits in each, the lowest first."""
    left, found = len(part), bytearray()
    while left > 127:
        found.append(left & 127 | 128)
        left >>= 7
    return bytes([*found, left])


def first_part(joined: bytes, start: int) -> tuple[bytes, int]:
    """The part that begins at ``start``, and where it ends."""
    length = shift = 0
    while True:
        if start >= len(joined) or shift > 63:
            raise FileFormatError("a block is cut off")
        length |= (joined[start] & 127) << shift
        start, shift = start + 1, shift + 7
        if joined[start - 1] < 128:
            break
    if start + length > len(joined):
        raise FileFormatError("a block is cut off")
    return joined[start : start + length], start + length


def parted(joined: bytes, count: int) -> list[bytes]:
    """The ``count`` parts of `joined_parts`."""
    parts, start = [], 0
    while start < len(joined):
        part, start = first_part(joined, start)
        parts.append(part)
    if len(parts) > count:
        raise FileFormatError(f"a block has {len(parts)} parts where {count} belong")
    return [*parts, *[b""] * (count - len(parts))]
