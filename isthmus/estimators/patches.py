"""Rows to train a denoiser on: whole pictures where they are small, else patches of them."""

from __future__ import annotations

import itertools
from collections.abc import Iterable

import numpy as np

from isthmus.data.sources import ArraySource, Source, spread_rows
from isthmus.estimators.signals import Range, Signals
from isthmus.records import Layout

OVERLAP = 2
"""Neighbouring patches begin a patch's length divided by this apart."""

FEW = 10
"""No more than one whole in so many may be left out for being small."""

SAMPLED = 64
"""Rows that stand for all where their steps are described."""


class Patches(Source):
    """Scaled patches of a fixed size, cut from every whole on a grid whose patches overlap; cut when they are read.

    Parameters
    ----------
    given : the wholes, none smaller than a patch.
    size : places of a patch along each axis; None = every whole is a row.
    scale : how cells are scaled; rows are float32.

    Attributes
    ----------
    places : (rows, 1 + axes) the whole that each patch is of, and where it begins; None where rows are wholes.
    """

    dtypes = ("float32",)

    def __init__(self, given: Signals, size: tuple[int, ...] | None, scale: Range, argument: str = "X") -> None:
        self.given, self.scale, self.argument = given, scale, argument
        self.size = size
        deep = () if given.channels is None else (given.channels,)
        grid = next(iter(given.grids)) if size is None else size
        self.layout = Layout((*grid, *deep), given.axes)
        self.places = None if size is None else places(given, size)
        self.rows = len(given.wholes) if self.places is None else len(self.places)
        self.blocks = [(0, self.rows)]

    def take(self, rows: np.ndarray) -> np.ndarray:
        wholes = self.given.wholes
        if self.places is None or self.size is None:
            if isinstance(wholes, np.ndarray):
                return self.scale.of_type(wholes.dtype).forward(wholes[rows])
            return np.stack([self.scale.of_type(wholes[row].dtype).forward(wholes[row]) for row in rows])
        cut = np.empty((len(rows), *self.layout.shape), dtype=np.float32)
        for row, (number, *starts) in zip(cut, self.places[rows].tolist(), strict=True):
            spot = tuple(slice(start, start + length) for start, length in zip(starts, self.size, strict=True))
            row[...] = self.scale.of_type(wholes[number].dtype).forward(wholes[number][spot])
        return cut

    def steps(self, rows: np.ndarray | None = None) -> ArraySource:
        """The steps of a few rows as rows of their own: enough to describe cells that are scaled already."""
        every = np.arange(self.rows) if rows is None else rows
        some = self.take(every[spread_rows(len(every), SAMPLED)])
        # One axis more, as of a picture: that a channel of a series is constant, say, is nothing to warn of here.
        shape = self.layout.shape[1:] if len(self.layout.shape) > 2 else (*self.layout.shape[1:], 1)
        return ArraySource(some.reshape(-1, *(shape if len(shape) > 1 else (1, 1))), argument=self.argument)


def places(given: Signals, size: tuple[int, ...]) -> np.ndarray:
    """Where patches begin: (patches, 1 + axes), the number of the whole first."""
    found = []
    for number, whole in enumerate(given.wholes):
        axes = [starts(length, side) for length, side in zip(whole.shape, size, strict=False)]
        found += [(number, *spot) for spot in itertools.product(*axes)]
    return np.array(found, dtype=np.int64)


def starts(length: int, side: int) -> list[int]:
    """Where patches begin along an axis, the last at its end.

    >>> starts(20, 8), starts(8, 8)
    ([0, 4, 8, 12], [0])
    >>> starts(21, 8)
    [0, 4, 8, 12, 13]
    """
    step = max(1, side // OVERLAP)
    last = length - side
    return sorted({*range(0, last + 1, step), last})


def usual_least(lengths: Iterable[int]) -> int:
    """The least length, but for a few much smaller than the others: patches are not cut down to them.

    >>> usual_least([30, 40, 35]), usual_least([8, *[60] * 20])
    (30, 60)
    """
    some = sorted(lengths)
    usual = some[len(some) // FEW]
    return some[0] if 2 * some[0] > usual else usual


def large_enough(given: Signals, size: tuple[int, ...]) -> np.ndarray:
    """(n,) whether each whole holds a patch."""
    return np.array([all(a >= b for a, b in zip(whole.shape, size, strict=False)) for whole in given.wholes])


def patch_size(given: Signals, patch: int, frames: int, whole_only: bool) -> tuple[int, ...] | None:
    """The size of the patches to cut; None where wholes are used as they are.

    Parameters
    ----------
    patch : the longest side that a patch of pictures should have; series are cut into as many steps squared / 16.
    frames : of a patch of video; 0 for other data.
    whole_only : the network knows one size alone, that of the wholes.
    """
    grids = given.grids
    lengths = zip(*(whole.shape[: len(next(iter(grids)))] for whole in given.wholes), strict=True)
    least = tuple(map(usual_least, lengths)) if len(grids) > 1 else next(iter(grids))
    sides = {"series": (patch**2 // 16,), "table": least}.get(given.kind, (patch, patch))
    wanted = (frames, *sides) if given.kind == "video" else sides
    small = len(grids) == 1 and all(length <= side for length, side in zip(least, wanted, strict=True))
    if whole_only or small:
        return None
    return tuple(min(length, side) for length, side in zip(least, wanted, strict=True))
