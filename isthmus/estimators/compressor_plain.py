"""Blocks that a model does not pay for: their whole numbers by lzma, which finds what comes again word for word."""

from __future__ import annotations

import lzma
import struct

import numpy as np

from isthmus.errors import FileFormatError

PLAIN = b"\x80\x00"
"""What such a block begins with: a length of 0 in more bytes than it needs, as no other block has it."""

FILTERS = [{"id": lzma.FILTER_LZMA2, "preset": 6}]

HEAD = struct.Struct("<qB")
"""Of a column: its least number, and the bytes of one above it."""

PIECES, PIECE = 16, 2**13
"""Of a block, and their bytes, that tell whether a large one is worth trying: lzma takes longer than many a model."""

PROMISING = 1.0
"""They must take so much, at most, of their share of the model's bytes; the whole takes less, as more comes again."""


def start_of(payload: bytes) -> int:
    """Where what a block holds begins."""
    return len(PLAIN) if payload.startswith(PLAIN) else 0


def smaller(given: np.ndarray, most: int, columns: bool) -> bytes | None:
    """Whole numbers by lzma, or None where that takes ``most`` bytes or more.

    Parameters
    ----------
    given : whole numbers; of a table (n, columns).
    columns : whether each column has a range of its own.

    Examples
    --------
    >>> words = np.tile(np.random.default_rng(0).integers(0, 2**40, 50), 20)
    >>> packed = smaller(words, 8000, False)
    >>> len(packed) < 500, bool((ints_of(packed, words.shape, False) == words).all()), smaller(words, 50, False)
    (True, True, None)
    """
    if not given.size:
        return None
    heads, bodies = zip(*map(narrowed, parts_of(given, columns)), strict=True)
    body = b"".join(bodies)
    if len(body) > 4 * PIECES * PIECE:
        step = len(body) // PIECES
        some = b"".join(body[start : start + PIECE] for start in range(step // 2, len(body), step))
        if len(squeezed(some)) / len(some) > PROMISING * most / len(body):
            return None
    found = b"".join(heads) + squeezed(body)
    return found if len(found) + len(PLAIN) < most else None


def ints_of(packed: bytes, shape: tuple[int, ...], columns: bool) -> np.ndarray:
    """The whole numbers of `smaller`, int64 of this shape.

    Raises
    ------
    FileFormatError : they are not those.
    """
    count = shape[1] if columns else 1
    rows = int(np.prod(shape, dtype=object)) // count
    if len(packed) < count * HEAD.size:
        raise FileFormatError("a block is cut off")
    heads = [HEAD.unpack_from(packed, place * HEAD.size) for place in range(count)]
    if any(width not in (1, 2, 4, 8) for _, width in heads):
        raise FileFormatError("a block has numbers of a width that there is not")
    size = rows * sum(width for _, width in heads)
    try:
        unpacker = lzma.LZMADecompressor(lzma.FORMAT_RAW, filters=FILTERS)
        body = unpacker.decompress(packed[count * HEAD.size :], size + 1)
    except lzma.LZMAError as error:
        raise FileFormatError(f"a block cannot be read: {error}") from error
    if len(body) != size or not unpacker.eof or unpacker.unused_data:
        raise FileFormatError("a block holds more or fewer numbers than it should")
    found, start = [], 0
    for least, width in heads:
        above = np.frombuffer(body, dtype=f"<u{width}", count=rows, offset=start).astype(np.uint64)
        found.append((above + np.int64(least).astype(np.uint64)).view(np.int64))
        start += rows * width
    return np.stack(found, axis=1) if columns else found[0].reshape(shape)


def parts_of(given: np.ndarray, columns: bool) -> list[np.ndarray]:
    """The columns, or all numbers in one."""
    return list(given.T) if columns else [given.reshape(-1)]


def narrowed(ints: np.ndarray) -> tuple[bytes, bytes]:
    """The least of some whole numbers and the width of the others above it, and these."""
    least = ints.min()
    above = ints.astype(np.uint64) - least.astype(np.uint64)
    width = np.min_scalar_type(above.max()).itemsize
    return HEAD.pack(int(least), width), above.astype(f"<u{width}").tobytes()


def squeezed(body: bytes) -> bytes:
    """Bytes by lzma, without a head of its own."""
    return lzma.compress(body, lzma.FORMAT_RAW, filters=FILTERS)
