"""The arrays of a model in few bytes: most of their whole numbers are near 0, and are coded by how often they come.

An array is its number of axes and its shape, how far its numbers reach, which buckets come, the square roots of how
often, then the numbers themselves.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from isthmus.coding.entropy import TOTAL, Reader, Writer
from isthmus.coding.tokens import Residuals
from isthmus.errors import FileFormatError, InputError

EXACT = 24
"""Numbers up to here have a bucket of their own."""

MOST_ARRAYS, MOST_AXES, MOST_NUMBERS = 64, 3, 2**23
"""What a file may claim: so many arrays, and numbers in all of them."""

ROOT = 12
"""Bits of a square root."""


def square_table(roots: np.ndarray) -> np.ndarray:
    """Frequencies in proportion to the squares of whole numbers, for the coder.

    Counts are kept by their square roots, rounded: an error of so much costs equally little wherever it lies.

    Parameters
    ----------
    roots : shape (K,), whole numbers in 0..4095; of zeros alone, the first has what there is.

    Returns
    -------
    ndarray of shape (K,), int64
        Each at least 1, the sum is `TOTAL`.

    Examples
    --------
    >>> square_table(np.array([3, 1])) / TOTAL
    array([0.89999962, 0.10000038])
    """
    return weight_table(roots.astype(np.int64) ** 2)


def weight_table(weights: np.ndarray) -> np.ndarray:
    """Frequencies in proportion to weights (K,), whole numbers that sum to less than 2**42."""
    found = 1 + weights * (TOTAL - len(weights)) // max(int(weights.sum()), 1)
    # What rounding leaves goes to the largest.
    found[int(weights.argmax())] += TOTAL - int(found.sum())
    return found


def roots_of(counts: np.ndarray, most: int = 2**ROOT - 1) -> np.ndarray:
    """Square roots of counts, rounded, the largest at most ``most``; one that is above 0 stays so."""
    roots = np.sqrt(np.asarray(counts, dtype=np.float64))
    roots *= min(1.0, most / max(float(roots.max(initial=0)), 1.0))
    return np.where(roots > 0, np.maximum(np.rint(roots), 1), 0).astype(np.int64)


def packed(arrays: Sequence[np.ndarray]) -> np.ndarray:
    """Arrays of whole numbers as bytes, uint8.

    Parameters
    ----------
    arrays : of any whole dtype, at most 64, of at most 3 axes each and 2**23 numbers in all; they come back as int64.

    Examples
    --------
    >>> weights = np.random.default_rng(0).geometric(0.5, size=(100, 8)) - 1
    >>> blob = packed([weights])
    >>> len(blob), bool((unpacked(blob)[0] == weights).all())
    (238, True)
    """
    arrays = [np.asarray(array, dtype=np.int64) for array in arrays]
    numbers = sum(array.size for array in arrays)
    if len(arrays) > MOST_ARRAYS or numbers > MOST_NUMBERS or any(array.ndim > MOST_AXES for array in arrays):
        raise InputError(
            f"a model has at most {MOST_ARRAYS} arrays of {MOST_AXES} axes and {MOST_NUMBERS:,} numbers; got "
            f"{len(arrays)} of {numbers:,}"
        )
    writer = Writer()
    writer.bits(np.array([len(arrays)]), 16)
    for array in arrays:
        tokens = Residuals.fit(array, exact=EXACT)
        buckets, remainders, widths = tokens.split(array.reshape(-1))
        roots = roots_of(np.bincount(buckets, minlength=tokens.size))
        bits = int(roots.max(initial=0)).bit_length()
        reach = max(int(array.max(initial=0)), -int(array.min(initial=0)))
        writer.bits(np.array([array.ndim, *array.shape]), np.array([2] + [25] * array.ndim))
        writer.bits(np.array([min(reach, 2**62), bits]), np.array([63, 4]))
        writer.bits((roots > 0).astype(np.uint8), 1)
        writer.bits(roots[roots > 0], bits)
        if array.size:
            writer.put(buckets, square_table(roots))
            writer.bits(remainders, widths)
    return np.frombuffer(writer.done(), dtype=np.uint8)


def unpacked(blob: np.ndarray) -> list[np.ndarray]:
    """The arrays of `packed`, int64.

    Raises
    ------
    FileFormatError : the bytes are no such arrays.
    """
    if not isinstance(blob, np.ndarray) or blob.dtype != np.uint8 or blob.ndim != 1:
        raise FileFormatError("the arrays of a model must be bytes")
    reader = Reader(blob.tobytes())
    count = int(reader.bits(1, 16)[0])
    if count > MOST_ARRAYS:
        raise FileFormatError(f"the arrays of a model claim to be {count:,}")
    arrays: list[np.ndarray] = []
    for _ in range(count):
        arrays.append(_unpacked(reader, MOST_NUMBERS - sum(array.size for array in arrays)))
    reader.end()
    return arrays


def _unpacked(reader: Reader, most: int) -> np.ndarray:
    axes = int(reader.bits(1, 2)[0])
    shape = tuple(int(length) for length in reader.bits(axes, 25))
    size = int(np.prod(shape, dtype=object))
    if size > most:
        raise FileFormatError(f"an array claims {size:,} numbers")
    reach, bits = (int(value) for value in reader.bits(2, np.array([63, 4])))
    if reach > 2**62:
        raise FileFormatError(f"an array claims numbers of {reach:,}")
    tokens = Residuals.of(min(EXACT, reach), reach)
    roots = reader.bits(tokens.size, 1).astype(np.int64)
    roots[roots > 0] = reader.bits(int(roots.sum()), bits)
    if not size:
        return np.zeros(shape, dtype=np.int64)
    buckets = reader.get(size, square_table(roots))
    return tokens.joined(buckets, reader.bits(size, tokens.widths_of(buckets))).reshape(shape)
