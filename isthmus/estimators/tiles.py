"""Large pictures, long series and clips in overlapping tiles: cut, cleaned and joined without a seam."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from isthmus.errors import InputError

PLACES = 2**18
"""Places (pixels, steps) that a network is given in one pass: fast enough, and some 100 MB of its inner maps."""


@dataclass(frozen=True)
class Cut:
    """How one axis is cut into pieces.

    Attributes
    ----------
    size : places of a piece, its overlaps included; None = the axis is not cut.
    overlap : places on each side of a piece whose results are thrown away: at least what a result depends on.
    stride : pieces begin at multiples of it, so that a network that halves its input sees the same pairs as in the
        whole.
    """

    size: int | None
    overlap: int = 0
    stride: int = 1

    def __post_init__(self) -> None:
        if self.size is not None and self.size < self.least:
            raise InputError(
                f"tile must be at least {self.least} here: what a cleaned place depends on reaches {self.overlap} "
                f"places to each side, and that much of a tile is cut off again; got {self.size}"
            )

    @property
    def least(self) -> int:
        """The smallest piece of which something is kept."""
        return 2 * up(self.overlap, self.stride) + self.stride


@dataclass(frozen=True)
class Tile:
    """One piece of a whole: what is cut out, where its result goes, and where in the result that lies."""

    read: tuple[slice, ...]
    kept: tuple[slice, ...]
    inner: tuple[slice, ...]

    @property
    def shape(self) -> tuple[int, ...]:
        return tuple(part.stop - part.start for part in self.read)


def up(number: int, stride: int) -> int:
    """The next multiple of ``stride``.

    >>> up(5, 4), up(8, 4)
    (8, 8)
    """
    return math.ceil(number / stride) * stride


def pieces(length: int, cut: Cut) -> list[tuple[slice, slice, slice]]:
    """The pieces of one axis as (read, kept, inner); what is kept covers the axis, each place once.

    >>> [(read.start, read.stop, kept.start, kept.stop) for read, kept, _ in pieces(10, Cut(5, overlap=2))]
    [(0, 5, 0, 3), (1, 6, 3, 4), (2, 7, 4, 5), (3, 8, 5, 6), (4, 9, 6, 7), (5, 10, 7, 10)]
    """
    if cut.size is None or length <= cut.size:
        return [(slice(0, length), slice(0, length), slice(0, length))]
    size, overlap = cut.size // cut.stride * cut.stride, up(cut.overlap, cut.stride)
    found, done = [], 0
    while done < length:
        start = max(0, done - overlap)
        stop = min(length, start + size)
        end = length if stop == length else stop - overlap
        found.append((slice(start, stop), slice(done, end), slice(done - start, end - start)))
        done = end
    return found


@lru_cache(maxsize=64)
def tiles(shape: tuple[int, ...], cuts: tuple[Cut, ...]) -> tuple[Tile, ...]:
    """The tiles of a whole, whose first axes are cut; the others (channels) go along.

    Examples
    --------
    >>> [tile.shape for tile in tiles((30, 8), (Cut(16, overlap=3, stride=4), Cut(None)))]
    [(16, 8), (16, 8), (14, 8)]
    """
    axes = [pieces(length, cut) for length, cut in zip(shape, cuts, strict=True)]
    return tuple(Tile(*zip(*parts, strict=True)) for parts in itertools.product(*axes))


def cleaned(
    clean: Callable[[np.ndarray], np.ndarray],
    wholes: Sequence[np.ndarray] | np.ndarray,
    results: Sequence[np.ndarray] | np.ndarray,
    cuts: tuple[Cut, ...],
) -> None:
    """Clean every whole into the array of its shape in ``results``; memory is bounded by a few tiles.

    Parameters
    ----------
    clean : (k, *shape) -> (k, *shape), called with tiles of one shape, up to `PLACES` places together.
    wholes, results : arrays (*axes[, channel]), as many as ``cuts`` has axes; they may differ in size.
    cuts : how each axis is cut, the same for all.
    """
    for group in together(wholes, cuts):
        shown = np.stack([wholes[number][tile.read] for number, tile in group])
        for (number, tile), result in zip(group, clean(shown), strict=True):
            results[number][tile.kept] = result[tile.inner]


def together(wholes: Sequence[np.ndarray] | np.ndarray, cuts: tuple[Cut, ...]) -> Iterator[list[tuple[int, Tile]]]:
    """Neighbouring tiles of one shape and type, with the number of the whole that each is of."""
    group: list[tuple[int, Tile]] = []
    last: tuple[Any, ...] = ()
    for number, whole in enumerate(wholes):
        for tile in tiles(whole.shape[: len(cuts)], cuts):
            full = len(group) >= max(1, PLACES // math.prod(tile.shape))
            if group and (full or (tile.shape, whole.dtype) != last):
                yield group
                group = []
            group.append((number, tile))
            last = (tile.shape, whole.dtype)
    if group:
        yield group
