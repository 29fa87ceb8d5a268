"""Floats as whole numbers in the same order, a relative grid of them, and bounds that hold in exact arithmetic."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property

import numpy as np

MANTISSA = {2: 10, 4: 23, 8: 52}
"""Bits behind the leading one, by a float's bytes."""

SEGMENTS = (1, 2, 4, 8, 16, 32)
"""Into how many a binade may be cut; the fewest levels win."""


def ordered(x: np.ndarray) -> np.ndarray:
    """Int64 that rise with the floats: the bits of the magnitude, with the sign; both zeros are 0.

    >>> ordered(np.array([-0.0, 5e-324, -5e-324, 1.0])) >> 52
    array([   0,    0,   -1, 1023])
    """
    bits = x.view(f"i{x.itemsize}").astype(np.int64)
    magnitude = bits & (2 ** (8 * x.itemsize - 1) - 1)
    return np.where(bits < 0, -magnitude, magnitude)


def unordered(ints: np.ndarray, dtype: np.dtype) -> np.ndarray:
    """The floats of ``ordered``.

    >>> unordered(ordered(np.array([-2.5, 1e-310])), np.dtype("float64"))
    array([-2.5e+000,  1.0e-310])
    """
    top = np.uint64(8 * dtype.itemsize - 1)
    bits = np.abs(ints).astype(np.uint64) | ((ints < 0).astype(np.uint64) << top)
    return bits.astype(f"u{dtype.itemsize}").view(dtype)


def within(x: np.ndarray, y: np.ndarray, bound: np.ndarray | float) -> np.ndarray:
    """Whether |x - y| <= bound, as exact arithmetic has it; never of NaN.

    The rounded difference decides unless it equals the bound; then the sign of what was rounded away does, which a sum
    of two floats tells exactly (Knuth, The Art of Computer Programming, volume 2, 4.2.2).

    >>> within(np.array([0.3]), np.array([0.2]), 0.1), within(np.array([0.8]), np.array([0.7]), 0.1)
    (array([ True]), array([False]))
    """
    with np.errstate(all="ignore"):
        a, b = x.astype(np.float64), y.astype(np.float64)
        difference = a - b
        other = difference - a
        rest = (a - (difference - other)) - (b + other)
        beyond = np.where(difference < 0, -rest, rest)
        distance = np.abs(difference)
    return (distance < bound) | ((distance == bound) & (beyond <= 0))


@dataclass(frozen=True)
class Levels:
    """A grid of floats whose distances grow with the value: every normal float is near one, by ``error`` of its size.

    Each binade is cut into equal segments, and each segment into levels as many units in the last place apart as its
    smallest value allows, so that a level's number and back are divisions of whole numbers. For errors below 0.001 this
    costs at most 0.07 bits more than a logarithm's grid.

    Parameters
    ----------
    dtype : float16, float32 or float64.
    error : in (0, 1), relative to each value.

    Examples
    --------
    >>> levels = Levels(np.dtype("float64"), 0.01)
    >>> levels.ints(np.array([0.0, 1.0, 2.0, -2.0])) - levels.ints(np.array([1.0]))
    array([-40881,      0,     40, -81802])
    >>> float(levels.floats(levels.ints(np.array([300.0])))[0])
    299.5199999999995
    """

    dtype: np.dtype
    error: float

    @cached_property
    def widths(self) -> np.ndarray:
        """(segments,) int64: units in the last place that one level stands for."""
        ulps = 2 ** MANTISSA[self.dtype.itemsize]
        tries = []
        for segments in SEGMENTS:
            allowed = [Fraction(self.error) * ulps * (segments + i) / segments for i in range(segments)]
            tries.append(np.array([2 * int(half) + 1 for half in allowed], dtype=np.int64))
        return min(tries, key=lambda widths: int(-(-ulps // len(widths) // widths).sum()))

    @cached_property
    def starts(self) -> np.ndarray:
        """(segments + 1,) int64: levels of a binade before each segment, at last all of them."""
        return np.concatenate(([0], np.cumsum(-(-self.length // self.widths))))

    @property
    def length(self) -> int:
        return 2 ** MANTISSA[self.dtype.itemsize] // len(self.widths)

    def ints(self, x: np.ndarray) -> np.ndarray:
        """The levels nearest to normal floats; zero is 0, and what is not normal gets a level far from it."""
        whole = ordered(x)
        binade, mantissa = np.divmod(np.abs(whole), 2 ** MANTISSA[self.dtype.itemsize])
        segment, inside = np.divmod(mantissa, self.length)
        level = 1 + (binade - 1) * self.starts[-1] + self.starts[segment] + inside // self.widths[segment]
        return np.where(binade == 0, 0, np.sign(whole) * level)

    def floats(self, ints: np.ndarray) -> np.ndarray:
        """The float in the middle of each level."""
        binade, level = np.divmod(np.abs(ints) - 1, self.starts[-1])
        segment = np.searchsorted(self.starts, level, side="right") - 1
        width = self.widths[segment]
        inside = np.minimum((level - self.starts[segment]) * width + width // 2, self.length - 1)
        whole = (binade + 1) * 2 ** MANTISSA[self.dtype.itemsize] + segment * self.length + inside
        return unordered(np.where(ints == 0, 0, np.sign(ints) * whole), self.dtype)
