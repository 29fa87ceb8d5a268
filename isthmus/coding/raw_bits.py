"""Whole numbers of given widths to bits in a row and back, the lowest bit first, all at once."""

from __future__ import annotations

import numpy as np

WORD = 64


def packed_bits(values: np.ndarray, widths: np.ndarray) -> bytes:
    """The lowest ``widths`` bits of the values after each other, the last byte filled up with zeros.

    Parameters
    ----------
    values : shape (n,), uint64, each below 2**width.
    widths : shape (n,), int64, in 0..64.

    Examples
    --------
    >>> packed_bits(np.array([1, 5], dtype=np.uint64), np.array([2, 3])) == bytes([0b10101])
    True
    """
    held = widths > 0
    values, widths = values[held], widths[held]
    if len(values) == 0:
        return b""
    ends = np.cumsum(widths)
    word, shift = np.divmod(ends - widths, WORD)
    words = np.zeros(int(ends[-1] - 1) // WORD + 1, dtype="<u8")
    # A value begins in its own word; those of one word lie together, and their bits do not overlap.
    begins = np.flatnonzero(np.diff(word, prepend=-1))
    words[word[begins]] = np.bitwise_or.reduceat(values << shift.astype(np.uint64), begins)
    # At most one value goes over the end of a word, so no word is named twice here.
    over = np.flatnonzero(shift + widths > WORD)
    words[word[over] + 1] |= values[over] >> (WORD - shift[over]).astype(np.uint64)
    return words.tobytes()[: (int(ends[-1]) + 7) // 8]


def unpacked_bits(packed: bytes, start: int, widths: np.ndarray) -> np.ndarray:
    """The values of these widths that begin at bit ``start``: (n,) uint64.

    Examples
    --------
    >>> unpacked_bits(bytes([0b10101]), 0, np.array([2, 3]))
    array([1, 5], dtype=uint64)
    """
    ends = start + np.cumsum(widths)
    first = start // WORD
    final = (int(ends[-1]) if len(ends) else start) // WORD + 1
    piece = packed[first * 8 : final * 8]
    words = np.frombuffer(piece.ljust((final - first + 1) * 8, b"\0"), dtype="<u8").astype(np.uint64)
    word, shift = np.divmod(ends - widths - first * WORD, WORD)
    # Shifted twice, as NumPy does not define a shift by all 64 bits.
    over = words[word + 1] << (WORD - 1 - shift).astype(np.uint64) << np.uint64(1)
    found = (words[word] >> shift.astype(np.uint64)) | over
    masks = np.append((np.uint64(1) << np.arange(WORD, dtype=np.uint64)) - np.uint64(1), np.uint64(2**64 - 1))
    return found & masks[widths]
