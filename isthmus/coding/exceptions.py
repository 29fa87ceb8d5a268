"""Elements that are kept as they are, bit by bit: where they lie, and what they hold."""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass, field

import numpy as np

from isthmus.errors import FileFormatError

HEADER = struct.Struct("<QIBB")
"""Number of exceptions, number of patterns, and the bytes of a gap and of a pattern's number."""


def _nothing(kind: type) -> np.ndarray:
    return np.zeros(0, dtype=kind)


@dataclass(frozen=True, eq=False)
class Exceptions:
    """Flat positions and bit patterns of elements that no whole number stands for.

    Parameters
    ----------
    positions : (m,) int64, rising, each within the flattened array.
    bits : (m,) uint64, the element's bits as an unsigned number of its own width.

    Examples
    --------
    >>> some = Exceptions(np.array([3, 10]), np.array([7, 7], dtype=np.uint64))
    >>> again = Exceptions.unpacked(some.packed(8), size=20, width=8)
    >>> len(again), again.positions, again.bits
    (2, array([ 3, 10]), array([7, 7], dtype=uint64))
    >>> Exceptions().packed(8)
    b''
    """

    positions: np.ndarray = field(default_factory=lambda: _nothing(np.int64))
    bits: np.ndarray = field(default_factory=lambda: _nothing(np.uint64))

    def __len__(self) -> int:
        return len(self.positions)

    def packed(self, width: int) -> bytes:
        """The exceptions of elements ``width`` bytes wide as bytes, none as no bytes.

        Gaps between positions and numbers of distinct patterns are squeezed, so that many NaN cost about the entropy
        of their places.
        """
        if not len(self):
            return b""
        gaps = np.diff(self.positions, prepend=-1) - 1
        patterns, numbers = np.unique(self.bits, return_inverse=True)
        if 2 * len(patterns) > len(self):
            patterns, numbers = self.bits, _nothing(np.int64)
        gap_width, number_width = _width(gaps), _width(numbers)
        body = _planes(gaps, gap_width) + _planes(numbers, number_width) + _planes(patterns, width)
        return HEADER.pack(len(self), len(patterns), gap_width, number_width) + zlib.compress(body, 9)

    @classmethod
    def unpacked(cls, payload: bytes, size: int, width: int) -> Exceptions:
        """What ``packed`` made, of an array of ``size`` elements; anything else is a FileFormatError."""
        if not payload:
            return cls()
        if len(payload) < HEADER.size:
            raise FileFormatError("the list of exceptions is cut short")
        count, patterns, gap_width, number_width = HEADER.unpack_from(payload)
        told = count if number_width else 0
        if not 0 < count <= size or not 0 < patterns <= count or max(gap_width, number_width) > 8 or not gap_width:
            raise FileFormatError("the list of exceptions claims more than its array holds")
        if not number_width and patterns != count:
            raise FileFormatError("the list of exceptions contradicts itself")
        parts = (count * gap_width, told * number_width, patterns * width)
        body = _inflated(payload[HEADER.size :], sum(parts))
        gaps = _from_planes(body[: parts[0]], gap_width)
        numbers = _from_planes(body[parts[0] : parts[0] + parts[1]], number_width)
        bits = _from_planes(body[parts[0] + parts[1] :], width)
        if gaps.max() >= size or (told and numbers.max() >= patterns):
            raise FileFormatError("the list of exceptions points outside its array")
        positions = np.cumsum(gaps.astype(np.int64) + 1) - 1
        if (np.diff(positions) <= 0).any() or not 0 <= positions[-1] < size:
            raise FileFormatError("the list of exceptions points outside its array")
        return cls(positions, bits[numbers.astype(np.int64)] if told else bits)


def _width(values: np.ndarray) -> int:
    """Bytes that hold the largest of the values; none for none."""
    return max(1, (int(values.max()).bit_length() + 7) // 8) if len(values) else 0


def _planes(values: np.ndarray, width: int) -> bytes:
    """The lowest bytes of all values, then the next: alike bytes beside one another are squeezed best."""
    octets = np.ascontiguousarray(values.astype("<u8")).view(np.uint8).reshape(len(values), 8)
    return octets[:, :width].T.tobytes()


def _from_planes(payload: bytes, width: int) -> np.ndarray:
    """(n,) uint64."""
    count = len(payload) // width if width else 0
    octets = np.zeros((count, 8), dtype=np.uint8)
    octets[:, :width] = np.frombuffer(payload, dtype=np.uint8).reshape(width, count).T if count else 0
    return octets.view("<u8")[:, 0].astype(np.uint64)


def _inflated(payload: bytes, size: int) -> bytes:
    """Exactly ``size`` bytes, never more in memory than that."""
    inflater = zlib.decompressobj()
    try:
        body = inflater.decompress(payload, size + 1)
    except zlib.error as error:
        raise FileFormatError("the list of exceptions is damaged") from error
    if len(body) != size or not inflater.eof or inflater.unused_data:
        raise FileFormatError("the list of exceptions is damaged")
    return body
