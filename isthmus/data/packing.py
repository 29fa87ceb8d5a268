"""Text as two arrays, the form in which whatever grows with columns is kept in a model file."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise

import numpy as np

from isthmus.errors import FileFormatError


def pack_text(items: Iterable[str]) -> tuple[np.ndarray, np.ndarray]:
    """Strings as UTF-8 bytes, one after the other, and where each begins and ends.

    Returns
    -------
    letters : uint8, all bytes.
    offsets : int64, one more than there are strings; string i is ``letters[offsets[i]:offsets[i + 1]]``.

    Examples
    --------
    >>> letters, offsets = pack_text(["a", "né"])
    >>> offsets.tolist(), unpack_text(letters, offsets)
    ([0, 1, 4], ('a', 'né'))
    """
    # A name may hold half of a surrogate pair (from a broken file name): kept rather than refused.
    pieces = [item.encode("utf-8", "surrogatepass") for item in items]
    offsets = np.zeros(len(pieces) + 1, dtype=np.int64)
    np.cumsum([len(piece) for piece in pieces], out=offsets[1:])
    return np.frombuffer(b"".join(pieces), dtype=np.uint8).copy(), offsets


def unpack_text(letters: np.ndarray, offsets: np.ndarray) -> tuple[str, ...]:
    """The strings that `pack_text` packed; a `FileFormatError` where the arrays do not fit together."""
    if offsets.ndim != 1 or len(offsets) == 0 or offsets[0] != 0 or offsets[-1] != len(letters):
        raise FileFormatError("text offsets do not fit the text beside them: the file is damaged")
    if (np.diff(offsets) < 0).any():
        raise FileFormatError("text offsets go backwards: the file is damaged")
    whole = np.ascontiguousarray(letters, dtype=np.uint8).tobytes()
    edges = offsets.tolist()
    try:
        return tuple(whole[a:b].decode("utf-8", "surrogatepass") for a, b in pairwise(edges))
    except UnicodeDecodeError as error:
        raise FileFormatError("text is not UTF-8: the file is damaged") from error
