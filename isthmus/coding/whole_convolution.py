"""Convolutions in whole numbers, and a decoder of pictures made of them: the same to the bit on every machine.

A convolution is a dense layer over windows, so what `isthmus.coding.whole_layer` says of exact sums holds here. Beyond
the edges of a map stand its outermost cells.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from isthmus.coding.whole_layer import LIMIT, WholeLayer, check_layer, layer_of, narrowest, widest
from isthmus.errors import FileFormatError, InputError

BLOCK, FINE = 8, 2
"""A cell of the code stands for so many pixels along each axis; the filter after it works on cells of so many."""

WINDOWS = 2048
"""Cells whose windows are laid out together."""

STRIP = 16
"""Rows of the code's cells that are decoded together, so that memory stays flat."""

HALO = 3
"""Rows of cells beside a strip that its pixels may depend on, for up to `MOST_LAYERS` layers of the filter."""

MOST_LAYERS = 8

CODE_POINT, PIXEL_POINT, RATIO_POINT = 6, 8, 6
"""Bits after the point: of the code and its steps; of a layer's last sums; of what the filter reads."""

MOST_CODE = 2**20
"""Where the code is clipped, in units of 2**-`CODE_POINT`."""

MOST_PIXEL = 2**18
"""Where pixels are clipped before the filter, in units of 2**-`PIXEL_POINT`, counted from the middle of their range."""

MOST_RATIO = 2**14
"""Where a pixel is clipped in steps, in units of 2**-`RATIO_POINT`."""

MOST_ADDED = 2**PIXEL_POINT
"""What the filter may add to a pixel, or take away: a step, so that it cannot spoil pictures unlike those learnt."""

MOST_LEVEL = 64


class Level(NamedTuple):
    """What the filter is told of the quantisation.

    Attributes
    ----------
    step : in units of 2**-`CODE_POINT` pixel values, 1..2**16.
    number : in 0..`MOST_LEVEL`.
    """

    step: int
    number: int


def windows(maps: np.ndarray, first: int, last: int, signs: np.ndarray | None = None) -> np.ndarray:
    """The 3 x 3 cells around each one of rows ``first`` to ``last``: ((last - first) * w, 9 * c).

    Parameters
    ----------
    maps : shape (h, w, c).
    signs : shape (2, c); what stands beyond the edge of either axis is multiplied with them.

    Examples
    --------
    >>> windows(np.array([[[1.0], [2.0]]]), 0, 1)
    array([[1., 1., 2., 1., 1., 2., 1., 1., 2.],
           [1., 2., 2., 1., 2., 2., 1., 2., 2.]])
    """
    height, width, channels = maps.shape
    down = np.clip(np.arange(first - 1, last + 1), 0, height - 1)
    room = maps[down][:, np.clip(np.arange(-1, width + 1), 0, width - 1)]
    if signs is not None:
        room[:: last - first + 1][[first == 0, last == height]] *= signs[0]
        room[:, :: width + 1] *= signs[1]
    found = np.empty((last - first, width, 3, 3, channels))
    for i in range(3):
        for j in range(3):
            found[:, :, i, j] = room[i : i + last - first, j : j + width]
    return found.reshape((last - first) * width, 9 * channels)


def convolved(
    maps: np.ndarray, weights: np.ndarray, bias: np.ndarray | float = 0.0, signs: np.ndarray | None = None
) -> np.ndarray:
    """Windows of (h, w, c) times weights (9 * c, out), plus the bias: (h, w, out) float64."""
    height, width, _ = maps.shape
    found = np.empty((height, width, weights.shape[1]))
    rows = max(1, WINDOWS // width)
    for first in range(0, height, rows):
        last = min(first + rows, height)
        found[first:last] = (windows(maps, first, last, signs) @ weights + bias).reshape(last - first, width, -1)
    return found


def spread(maps: np.ndarray, times: int) -> np.ndarray:
    """(h, w, times**2 * c) -> (h * times, w * times, c): each cell becomes a square."""
    height, width, channels = maps.shape
    parts = maps.reshape(height, width, times, times, channels // times**2)
    return parts.transpose(0, 2, 1, 3, 4).reshape(height * times, width * times, -1)


def gathered(maps: np.ndarray, times: int) -> np.ndarray:
    """(h * times, w * times, c) -> (h, w, times**2 * c): the other way."""
    height, width, channels = maps.shape
    parts = maps.reshape(height // times, times, width // times, times, channels)
    return parts.transpose(0, 2, 1, 3, 4).reshape(height // times, width // times, -1)


@dataclass(frozen=True, eq=False)
class WholeDecoder:
    """Pixels of a code: one convolution, and a filter of a few more that adds what is typically missing.

    Parameters
    ----------
    colours : channels of a pixel.
    signs : shape (2, size), -1 or 1: what the code's channels are multiplied with when a picture is mirrored along
        an axis, as it is taken to be beyond its edges.
    synthesis : windows of 3 x 3 cells of the code -> the 8 x 8 pixels of the middle one.
    filters : windows of 3 x 3 cells, of 2 x 2 pixels each, beside them one number for the level; none = no filter.

    Raises
    ------
    InputError : the layers do not fit each other, or a sum could reach `isthmus.coding.whole_layer.LIMIT`.
    """

    colours: int
    signs: np.ndarray
    synthesis: WholeLayer
    filters: tuple[WholeLayer, ...]

    def __post_init__(self) -> None:
        if self.signs.shape != (2, self.size) or not np.all(np.abs(self.signs) == 1):
            raise InputError(f"signs must be -1 or 1, of shape {(2, self.size)}")
        check_layer(0, self.synthesis, 9 * self.size, last=True)
        if self.synthesis.weights.shape[1] != self.colours * BLOCK**2:
            raise InputError(f"synthesis: it must give {BLOCK} x {BLOCK} pixels of {self.colours} colours")
        check_sums(0, self.synthesis, np.full(9 * self.size, MOST_CODE))
        if len(self.filters) > MOST_LAYERS:
            raise InputError(f"filters: there may be {MOST_LAYERS} layers at most; got {len(self.filters)}")
        cell = self.colours * FINE**2
        largest = np.append(np.full(cell, MOST_RATIO), MOST_LEVEL)
        for number, layer in enumerate(self.filters, 1):
            largest = np.tile(largest, 9)
            check_layer(number, layer, len(largest), last=number == len(self.filters))
            check_sums(number, layer, largest)
            largest = np.full(layer.weights.shape[1], layer.cap)
        if self.filters and len(largest) != cell:
            raise InputError(f"filters: the last must give {cell} numbers; got {len(largest)}")

    @property
    def size(self) -> int:
        """Channels of the code."""
        return len(self.synthesis.exponents) // 9

    def __call__(self, code: np.ndarray, level: Level) -> np.ndarray:
        """Pictures of codes.

        Parameters
        ----------
        code : shape (h, w, size), whole numbers in units of 2**-`CODE_POINT`.

        Returns
        -------
        ndarray of shape (8 h, 8 w, colours), uint8
        """
        height, width, _ = code.shape
        picture = np.empty((height * BLOCK, width * BLOCK, self.colours), dtype=np.uint8)
        for first in range(0, height, STRIP):
            last = min(first + STRIP, height)
            above, below = max(0, first - HALO), min(height, last + HALO)
            strip = self._pixels(code[above:below].astype(np.float64), level)
            picture[first * BLOCK : last * BLOCK] = strip[(first - above) * BLOCK : (last - above) * BLOCK]
        return picture

    def _pixels(self, code: np.ndarray, level: Level) -> np.ndarray:
        np.clip(code, -MOST_CODE, MOST_CODE, out=code)
        pixels = gathered(spread(applied(self.synthesis, code, self.signs), BLOCK), FINE)
        np.clip(pixels, -MOST_PIXEL, MOST_PIXEL, out=pixels)
        # 2**14 times a pixel's value, plus one half to round, and the middle of the range.
        total = pixels * 2.0**CODE_POINT + (0.5 + 128) * 2.0 ** (CODE_POINT + PIXEL_POINT)
        if self.filters:
            # Numerators stay below 2**24; quotients that err by their last bit are alike everywhere, and floored.
            ratios = np.floor(pixels * 2.0 ** (CODE_POINT + RATIO_POINT - PIXEL_POINT) / level.step)
            np.clip(ratios, -MOST_RATIO, MOST_RATIO, out=ratios)
            x = np.concatenate([ratios, np.full((*ratios.shape[:2], 1), float(level.number))], axis=2)
            for layer in self.filters:
                x = applied(layer, x)
            total += np.clip(x, -MOST_ADDED, MOST_ADDED) * level.step
        np.floor(np.ldexp(total, -CODE_POINT - PIXEL_POINT), out=total)
        return spread(np.clip(total, 0, 255), FINE)

    def tensors(self) -> dict[str, np.ndarray]:
        """Named arrays of the narrowest whole types that hold them."""
        found = {"signs": self.signs.astype(np.int8)}
        for number, layer in enumerate((self.synthesis, *self.filters)):
            after = np.array([layer.shift, layer.cap])
            parts = {"weights": layer.weights, "exponents": layer.exponents, "bias": layer.bias, "after": after}
            found.update({f"{number}.{name}": narrowest(part) for name, part in parts.items()})
        return found

    @classmethod
    def from_tensors(cls, tensors: Mapping[str, np.ndarray], colours: int) -> WholeDecoder:
        """The decoder of `tensors`.

        Raises
        ------
        FileFormatError : they are none.
        """
        try:
            number = sum(name.endswith(".after") for name in tensors)
            layers = [layer_of(tensors, index) for index in range(number)]
            if not layers or len(tensors) != 4 * number + 1:
                raise InputError("there are tensors of other names")
            return cls(colours, widest(tensors["signs"]), layers[0], tuple(layers[1:]))
        except (InputError, KeyError, ValueError, TypeError) as error:
            raise FileFormatError(f"this is no decoder in whole numbers: {error}") from error


def applied(layer: WholeLayer, maps: np.ndarray, signs: np.ndarray | None = None) -> np.ndarray:
    """The layer over the windows of whole maps (h, w, c)."""
    x = convolved(maps, *layer.floats, signs)
    np.floor(x, out=x)
    return np.clip(x, 0, layer.cap, out=x) if layer.cap else x


def check_sums(number: int, layer: WholeLayer, largest: np.ndarray) -> None:
    """Refuse a layer whose sums could be inexact for inputs up to ``largest``."""
    if not np.all(layer.largest_sums(largest) < LIMIT):
        raise InputError(f"layer {number}: its sums could reach {LIMIT:,}, beyond which they are not exact")
