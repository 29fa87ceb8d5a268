"""Hailstone sequences: what becomes of a whole number that is halved while even, and else tripled plus one."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from isthmus.errors import InputError

LARGEST = 2**62 // 3
"""The largest odd number whose triple plus one is sure to fit."""


def hailstone(numbers: Iterable[int]) -> list[np.ndarray]:
    """Binary logarithms of the hailstone (Collatz) sequences that begin at ``numbers`` and end at 1.

    A sequence goes down by exactly 1 at even values, and up by log2(3 + 1 / value) at odd ones: a regular pattern
    that looks random.

    Parameters
    ----------
    numbers : whole numbers >= 1.

    Returns
    -------
    A float64 array for each, (steps,), from the logarithm of the number down to 0; their lengths differ.

    Raises
    ------
    InputError : a number is no whole number >= 1, or its sequence leaves what 64 bits hold.

    Examples
    --------
    >>> [(2**logs).round().astype(int).tolist() for logs in hailstone([1, 6])]
    [[1], [6, 3, 10, 5, 16, 8, 4, 2, 1]]
    """
    first = np.asarray(list(numbers))
    if first.size == 0:
        return []
    if first.dtype.kind not in "iu" or first.ndim != 1 or first.min() < 1:
        raise InputError(f"hailstone: numbers must be whole numbers >= 1, e.g. range(2, 1000); got {numbers!r}")
    value = first.astype(np.int64)
    going, columns = np.arange(len(value)), []  # the rows that have not come to 1, and per step their values
    lengths = np.ones(len(value), dtype=np.int64)
    columns.append((going, value))
    while len(going := going[value > 1]):
        value = value[value > 1]
        odd = value % 2 == 1
        if value[odd].max(initial=0) > LARGEST:
            raise InputError(f"hailstone: the sequence of {first[going[value.argmax()]]} leaves what 64 bits hold")
        value = np.where(odd, 3 * value + 1, value // 2)
        lengths[going] += 1
        columns.append((going, value))
    starts = np.concatenate(([0], np.cumsum(lengths)))
    flat = np.empty(starts[-1])
    for step, (rows, values) in enumerate(columns):
        flat[starts[rows] + step] = np.log2(values)
    return np.split(flat, starts[1:-1])
