"""What is known around an element of a picture's quantised code, as whole numbers that a network reads.

The code's channels are coded one after the other, low frequencies first, each in four phases; so all of the earlier
channels are known on all sides, and of the own channel what earlier phases held.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from isthmus.coding.checked import whole
from isthmus.coding.whole_layer import widest
from isthmus.errors import FileFormatError, InputError

PHASES = ((0, 0), (1, 1), (0, 1), (1, 0))
"""Rows and columns, even or odd, in the order of coding."""

AROUND = ((0, -1), (0, 1), (-1, 0), (1, 0), (-1, -1), (-1, 1), (1, -1), (1, 1))
"""Neighbours of a cell."""

RELATED, NEAR = 8, 2
"""Earlier channels that are read at the cell itself, and those of them that are read at its four neighbours too."""

SLOPES = 4
"""Differences of the first channel around the cell."""

SIGNED = len(AROUND) + RELATED + 4 * NEAR + SLOPES
MAGNITUDES = SIGNED + 1 + len(AROUND)
"""All of those, and the sums of all earlier channels at the cell and its neighbours."""

INPUTS = MAGNITUDES + 3
"""Beside them an expected magnitude, an expected value, and the level."""

POINT = 12
"""Bits after the point of the weights."""

MOST = 2**11
"""Where values are clipped before they are read; sums end at `MOST_SUM`."""

MOST_SUM = 2**15

MOST_WEIGHT = 2**20
"""What the absolute values of an element's weights may sum to, in units of 2**-`POINT`."""

OCTAVE = 16
"""Units of a feature for a doubling."""

HELD = 2**8
"""Where an expected value is clipped, in units of 1/64."""


@dataclass(frozen=True)
class MapContext:
    """What the networks read.

    Parameters
    ----------
    firsts : channels that are coded before, in another way.
    related : shape (size, `RELATED`): earlier channels that tell most, the best first; ``size`` = none.
    magnitudes : shape (size, 4, `MAGNITUDES`), weights of what is expected of an element's magnitude.
    values : shape (size, 4, `SIGNED`), of its value.

    Raises
    ------
    InputError : they are not that, or so large that sums were not exact.
    """

    firsts: int
    related: np.ndarray
    magnitudes: np.ndarray
    values: np.ndarray

    def __post_init__(self) -> None:
        related = whole("related", self.related, 2)
        size = len(related)
        if not 1 <= self.firsts <= size or related.shape != (size, RELATED):
            raise InputError(f"related must be of shape (size, {RELATED}), of firsts channels at least")
        earlier = (related >= 0) & (related < np.arange(size)[:, None])
        if not np.all(earlier | (related == size)):
            raise InputError("related: only earlier channels may be read")
        for name, weights, inputs in (("magnitudes", self.magnitudes, MAGNITUDES), ("values", self.values, SIGNED)):
            weights = whole(name, weights, 3)
            if weights.shape != (size, 4, inputs) or np.any(np.abs(weights.astype(np.float64)).sum(2) > MOST_WEIGHT):
                raise InputError(f"{name} must be of shape {(size, 4, inputs)} and sum to {MOST_WEIGHT} at most")

    @property
    def size(self) -> int:
        """Channels of the code."""
        return len(self.related)

    @cached_property
    def _floats(self) -> tuple[np.ndarray, np.ndarray]:
        return self.magnitudes.astype(np.float64), self.values.astype(np.float64)

    def read(self, signed: np.ndarray, sums: np.ndarray, channel: int, phase: int, level: int) -> np.ndarray:
        """Features (e, `INPUTS`), int64, of what `Known.around` gives."""
        magnitudes, values = self._floats
        found = np.empty((len(signed), INPUTS), dtype=np.int64)
        np.abs(signed, out=found[:, :SIGNED])
        found[:, SIGNED:MAGNITUDES] = sums
        # Whole numbers below 2**15 times weights that sum to 2**20 at most: exact.
        expected = found[:, :MAGNITUDES].astype(np.float64) @ magnitudes[channel, phase]
        value = signed.astype(np.float64) @ values[channel, phase]
        found[:, :MAGNITUDES] = octaves()[found[:, :MAGNITUDES]]
        expected = np.clip(np.floor(np.ldexp(expected, 6 - POINT)), 0, MOST_SUM)
        found[:, -3] = octaves()[expected.astype(np.int64)]
        found[:, -2] = np.clip(np.floor(np.ldexp(value, 6 - POINT)), -HELD, HELD)
        found[:, -1] = level
        return found

    def tensors(self) -> dict[str, np.ndarray]:
        """Named arrays, for a model file."""
        return {
            "firsts": np.array([self.firsts], dtype=np.int16),
            "related": self.related.astype(np.int16),
            "magnitudes": self.magnitudes.astype(np.int32),
            "values": self.values.astype(np.int32),
        }

    @classmethod
    def from_tensors(cls, tensors: Mapping[str, np.ndarray]) -> MapContext:
        """The context of `tensors`.

        Raises
        ------
        FileFormatError : it is none.
        """
        try:
            firsts, *others = (widest(tensors[name]) for name in ("firsts", "related", "magnitudes", "values"))
            if len(tensors) != 4 or firsts.shape != (1,):
                raise InputError("there are tensors of other names")
            return cls(int(firsts[0]), *others)
        except (InputError, KeyError, TypeError) as error:
            raise FileFormatError(f"this is no context of a picture's code: {error}") from error


class Known:
    """What is known so far of the codes of ``n`` pictures of one size, with a border of zeros.

    Attributes
    ----------
    values : (size + 1, n, h + 2, w + 2) int64, clipped; the last channel is 0.
    sums : (n, h + 2, w + 2) magnitudes of all finished channels but the first ones.
    """

    def __init__(self, shape: tuple[int, int, int], context: MapContext) -> None:
        (count, height, width), self.context = shape, context
        self.size = height, width
        self.values = np.zeros((context.size + 1, count, height + 2, width + 2), dtype=np.int64)
        self.sums = np.zeros((count, height + 2, width + 2), dtype=np.int64)

    def cells(self, phase: int, offset: tuple[int, int] = (0, 0)) -> tuple[slice, slice, slice]:
        """The places of a phase's cells, or of their neighbours at an offset."""
        (top, left), (down, right) = PHASES[phase], offset
        height, width = self.size
        rows, columns = slice(1 + top + down, 1 + height + down, 2), slice(1 + left + right, 1 + width + right, 2)
        return slice(None), rows, columns

    def put(self, channel: int, phase: int, ints: np.ndarray) -> None:
        """Make elements of a phase known, flat."""
        there = self.values[channel][self.cells(phase)]
        there[...] = np.clip(ints, -MOST, MOST).reshape(there.shape)

    def finish(self, channel: int) -> None:
        """Count a whole channel among those that are known."""
        if channel >= self.context.firsts:
            self.sums += np.abs(self.values[channel])
            np.minimum(self.sums, MOST_SUM, out=self.sums)

    def around(self, channel: int, phase: int) -> tuple[np.ndarray, np.ndarray]:
        """Values (e, `SIGNED`) and sums (e, 1 + neighbours) around the cells of a phase."""
        related = self.context.related[channel]
        found = [self.values[channel][self.cells(phase, offset)] for offset in AROUND]
        found += [self.values[other][self.cells(phase)] for other in related]
        found += [self.values[other][self.cells(phase, offset)] for other in related[:NEAR] for offset in AROUND[:4]]
        middle, west, east, north, south = (
            self.values[0][self.cells(phase, offset)] for offset in ((0, 0), *AROUND[:4])
        )
        found += [east - west, south - north, east + west - 2 * middle, south + north - 2 * middle]
        sums = [self.sums[self.cells(phase, offset)] for offset in ((0, 0), *AROUND)]
        return flat(found), flat(sums)


def flat(parts: list[np.ndarray]) -> np.ndarray:
    """Maps as columns: (cells, parts)."""
    return np.stack([part.ravel() for part in parts], axis=1)


_OCTAVES: list[np.ndarray] = []


def octaves() -> np.ndarray:
    """About ``OCTAVE * log2(1 + x)`` for x = 0 .. `MOST_SUM`, by straight lines between the powers of two."""
    if not _OCTAVES:
        share, exponent = np.frexp(np.arange(MOST_SUM + 1) + 1.0)
        _OCTAVES.append((OCTAVE * (exponent - 1) + np.floor(2 * OCTAVE * (share - 0.5))).astype(np.int64))
    return _OCTAVES[0]
