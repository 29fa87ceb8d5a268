"""The idx files in which MNIST is handed round."""

from __future__ import annotations

import gzip
import math
import os
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np

from isthmus.errors import InputError

IDX_TYPES = {0x08: ">u1", 0x09: ">i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}


def is_idx(path: Path) -> bool:
    """Whether the content begins as an idx file does, gzip or not."""
    try:
        with open_maybe_gzip(path) as file:
            start = file.read(4)
    except (OSError, EOFError, zlib.error):
        return False
    return len(start) == 4 and start[:2] == b"\0\0" and start[2] in IDX_TYPES and 1 <= start[3] <= 4


def open_maybe_gzip(path: Path) -> Any:
    """The file opened for reading bytes, unpacked if its first bytes are gzip's."""
    with open(path, "rb") as file:
        packed = file.read(2) == b"\x1f\x8b"
    return gzip.open(path, "rb") if packed else open(path, "rb")


def read_idx(path: str | os.PathLike[str]) -> np.ndarray:
    """The array in an idx file (``.gz`` or not), the format of MNIST.

    Raises
    ------
    InputError
        The file is not idx, or its length is not what its head says.

    References
    ----------
    Y. LeCun, C. Cortes and C. Burges, "The MNIST database of handwritten digits", the file format.
    """
    path = Path(path)
    try:
        with open_maybe_gzip(path) as file:
            head = file.read(4)
            if len(head) < 4 or head[:2] != b"\0\0" or head[2] not in IDX_TYPES:
                raise InputError(f"{str(path)!r} is not an idx file: it begins with the bytes {head!r}")
            sizes = file.read(4 * head[3])
            if len(sizes) < 4 * head[3]:
                raise InputError(f"{str(path)!r} ends within its head: it is cut off")
            shape = struct.unpack(f">{head[3]}I", sizes)
            body = file.read()
    except (OSError, EOFError, zlib.error) as error:
        raise InputError(f"{str(path)!r} cannot be read: {error}. Is it cut off or damaged?") from error
    dtype = np.dtype(IDX_TYPES[head[2]])
    expected = math.prod(shape) * dtype.itemsize
    if len(body) != expected:
        raise InputError(
            f"{str(path)!r} should hold {expected:,} bytes of numbers for its shape {shape}, but holds {len(body):,}: "
            f"it is cut off or damaged"
        )
    # A copy: arrays made from bytes are read-only.
    return np.frombuffer(body, dtype=dtype).reshape(shape).astype(dtype.newbyteorder("="))
