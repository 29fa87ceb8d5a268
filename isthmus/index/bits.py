"""Binary codes in machine words: packing, unpacking, and Hamming distances."""

from __future__ import annotations

import numpy as np

from isthmus.checks import is_whole
from isthmus.errors import InputError

LEAST, MOST = 8, 1024
"""Bits that a code may have."""

BLOCK = 1 << 16
"""Distances that are counted at once: few enough that their words stay in a core's cache."""

TOGETHER = 16
"""Queries that a block of codes is compared with at once; the block is shorter the more they are."""


def check_bits(bits: int) -> None:
    """Refuse a number of bits that no code may have."""
    if not is_whole(bits) or not LEAST <= bits <= MOST:
        raise InputError(f"bits must be a whole number from {LEAST} to {MOST:,}; got {bits!r}")


def word_of(bits: int) -> np.dtype:
    """The type of the words that hold a code: the smallest that holds it whole, else 64 bits.

    >>> [str(word_of(bits)) for bits in (8, 16, 17, 33, 1024)]
    ['uint16', 'uint16', 'uint32', 'uint64', 'uint64']
    """
    check_bits(bits)
    return np.dtype(np.uint16 if bits <= 16 else np.uint32 if bits <= 32 else np.uint64)


def words_of(bits: int) -> int:
    """How many words hold a code.

    >>> [words_of(bits) for bits in (8, 32, 64, 65, 1024)]
    [1, 1, 1, 2, 16]
    """
    return -(-bits // (8 * word_of(bits).itemsize))


def packed(bits: np.ndarray) -> np.ndarray:
    """Codes in words: bit i of a code is bit i % w of word i // w, where w is the length of a word; bits beyond are 0.

    So the bytes, in little-endian order, are those of ``np.packbits(bits, axis=1, bitorder="little")``.

    Parameters
    ----------
    bits : (rows, bits) of truth values, or of anything where not 0 means 1.

    Returns
    -------
    np.ndarray
        (rows, words) of uint16, uint32 or uint64, C-contiguous.

    Raises
    ------
    InputError : there are fewer than 8 bits, or more than 1,024.

    Examples
    --------
    >>> packed(np.eye(3, 8, k=1, dtype=bool))
    array([[2],
           [4],
           [8]], dtype=uint16)
    """
    rows, many = bits.shape
    word, words = word_of(many), words_of(many)
    octets = np.packbits(bits, axis=1, bitorder="little")
    if octets.shape[1] < words * word.itemsize:
        whole = np.zeros((rows, words * word.itemsize), np.uint8)
        whole[:, : octets.shape[1]] = octets
        octets = whole
    return octets.view(word.newbyteorder("<")).astype(word, copy=False)


def unpacked(codes: np.ndarray, bits: int) -> np.ndarray:
    """The bits of codes.

    Parameters
    ----------
    codes : (rows, words), as `packed` gives them.
    bits : how many of them there are.

    Returns
    -------
    np.ndarray
        (rows, bits) bool.

    Examples
    --------
    >>> unpacked(packed(np.array([[1, 0, 1, 1, 0, 0, 0, 0]])), 8).astype(int)
    array([[1, 0, 1, 1, 0, 0, 0, 0]])
    """
    octets = np.ascontiguousarray(codes, dtype=codes.dtype.newbyteorder("<")).view(np.uint8)
    return np.unpackbits(octets, axis=1, count=bits, bitorder="little").view(np.bool_)


def distances(queries: np.ndarray, codes: np.ndarray) -> np.ndarray:
    """How many bits every query and every code differ in.

    Parameters
    ----------
    queries : (queries, words).
    codes : (rows, words), of the same words.

    Returns
    -------
    np.ndarray
        (queries, rows) uint16.

    Examples
    --------
    >>> distances(np.array([[1], [7]], np.uint16), np.array([[0], [1], [3]], np.uint16))
    array([[1, 0, 1],
           [3, 2, 1]], dtype=uint16)
    """
    found = np.empty((len(queries), len(codes)), np.uint16)
    for first in range(0, len(queries), TOGETHER):
        some = Against(queries[first : first + TOGETHER])
        for start in range(0, len(codes), some.block):
            counts = some.distances(codes[start : start + some.block])
            found[first : first + TOGETHER, start : start + some.block] = counts
    return found


class Against:
    """A few queries that one block of codes after the other is compared with, in the same memory.

    Parameters
    ----------
    queries : (queries, words), 1 or more.

    Attributes
    ----------
    block : how many codes are compared at once.
    counts : (queries, block) of the smallest type that holds a distance and 1 more.
    """

    def __init__(self, queries: np.ndarray) -> None:
        self.queries = queries
        self.block = max(BLOCK // len(queries), 1)
        shape = (len(queries), self.block)
        small = 8 * queries.shape[1] * queries.itemsize < np.iinfo(np.uint8).max
        self.counts = np.empty(shape, np.uint8 if small else np.uint16)
        self.differing, self.more = np.empty(shape, queries.dtype), np.empty(shape, np.uint8)

    def distances(self, codes: np.ndarray) -> np.ndarray:
        """(queries, rows) distances of at most ``block`` codes; the next call writes over them."""
        counts, more = self.counts[:, : len(codes)], self.more[:, : len(codes)]
        differing = self.differing[:, : len(codes)]
        for word in range(codes.shape[1]):
            np.bitwise_xor(self.queries[:, word, None], codes[:, word], out=differing)
            np.bitwise_count(differing, out=more if word else counts)
            if word:
                counts += more
        return counts
