"""Arrays of whole numbers, refused in words where they are something else."""

from __future__ import annotations

import numpy as np

from isthmus.errors import InputError

LOWEST, HIGHEST = -(2**63), 2**63 - 1
"""The range of an int64."""


def whole(name: str, values: np.ndarray, *axes: int) -> np.ndarray:
    """An array of whole numbers with one of these numbers of axes."""
    values = np.asarray(values)
    if values.dtype.kind not in "iu" or values.ndim not in axes:
        raise InputError(
            f"{name} must be whole numbers with {' or '.join(map(str, axes))} axes; "
            f"got {values.dtype} with {values.ndim}"
        )
    return values


def checked_widths(widths: int | np.ndarray, count: int) -> np.ndarray:
    """One width in 0..64 for each of ``count`` values, int64."""
    each = whole("widths", np.asarray(widths), 0, 1)
    if each.ndim and len(each) != count:
        raise InputError(f"widths: {count} values need one width or as many; got {len(each)}")
    if each.size and (each.min() < 0 or each.max() > 64):
        raise InputError(f"widths must be in 0..64; got {each.min()} to {each.max()}")
    return np.broadcast_to(each, count).astype(np.int64)


def as_int64(ints: np.ndarray) -> np.ndarray:
    """Whole numbers (n,) as int64.

    Raises
    ------
    InputError : no whole numbers, or one beyond int64.
    """
    ints = whole("ints", ints, 1)
    if ints.dtype == np.uint64 and len(ints) and ints.max() > HIGHEST:
        raise InputError("ints must fit an int64; take 2**63 away from numbers of uint64 first")
    return np.ascontiguousarray(ints, dtype=np.int64)
