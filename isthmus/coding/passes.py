"""The order in which the elements of a grid are coded, and which neighbours are known by then.

All elements of one pass are predicted at once from those of earlier passes. There are two orders:

- ``"wave"``, for many small pictures: lines of equal ``sum of (reach + 1)**(axes - 1 - a) * coordinate a`` one after
  the other, so that of the elements within ``reach`` all that come before in reading order are known.
- ``"interlaced"``, for fields and series of any size: a coarse grid first, then the points half-way, axis by axis,
  every axis in two halves where another can tell them apart; known elements lie on both sides.

Channels, the last axis, come one after the other in every pass.

References
----------
Zhao et al., *Optimizing error-bounded lossy compression for scientific data by dynamic spline interpolation*, ICDE 2021
(SZ3; interlaced).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property, lru_cache
from itertools import product
from typing import NamedTuple

import numpy as np

from isthmus.checks import check_whole, listed
from isthmus.errors import InputError

KINDS = ("wave", "interlaced")
LEVELS = 4
"""Spacings of 1, 2, 4 and more are told apart."""

KEPT = 2**21
"""Up to this many neighbours of all elements of a grid are kept rather than found anew for each block."""

BOXES = {1: 32, 2: 7, 3: 4, 4: 3}
"""How far neighbours are looked for, by the number of axes, in spacings."""


@dataclass(frozen=True)
class Order:
    """How grids are gone through.

    Parameters
    ----------
    kind : "wave" or "interlaced".
    axes : 1..4, those along which elements have neighbours.
    channels : of the last axis, which has none; 0 = there is no such axis.
    neighbours : how many known elements each is predicted from, 1..128; fewer where there are not so many.
    reach : of a wave, 1..7: how far ahead on earlier lines neighbours may lie. Larger is more passes.

    Examples
    --------
    >>> plan = plan_of(Order("interlaced", axes=1, neighbours=2), (5,))
    >>> [(step.spacing, step.flat(0, step.elements).tolist()) for step in plan.steps]
    [(8, [0]), (4, [4]), (2, [2]), (1, [1, 3])]
    >>> plan.neighbours(3, 0, 2)
    array([[0, 2],
           [2, 4]])
    """

    kind: str
    axes: int
    channels: int = 0
    neighbours: int = 24
    reach: int = 3

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise InputError(f"kind must be one of {listed(KINDS)}; got {self.kind!r}")
        check_whole("Order", axes=self.axes, neighbours=self.neighbours, reach=self.reach)
        check_whole("Order", least=0, channels=self.channels)
        if self.axes > 4 or self.neighbours > 128 or self.reach > 7 or self.channels > 256:
            raise InputError(
                f"Order: axes must be at most 4, neighbours 128, reach 7 and channels 256; "
                f"got {self.axes}, {self.neighbours}, {self.reach} and {self.channels}"
            )

    @property
    def turns(self) -> list[tuple[int, int]]:
        """(axis, half) of the passes between two spacings; of a wave there is one."""
        if self.kind == "wave":
            return [(0, 0)]
        return [(axis, half) for axis in range(self.axes) for half in range(1 if self.axes == 1 else 2)]

    @cached_property
    def offsets(self) -> list[tuple[tuple[tuple[int, ...], int], ...]]:
        """For each network (turns x channels): the neighbours as (offsets in spacings, channel), nearest first."""
        return [self._around(turn, channel) for turn in self.turns for channel in range(max(1, self.channels))]

    @property
    def most(self) -> int:
        """The largest number of neighbours that an element has."""
        return max(len(around) for around in self.offsets)

    def _around(self, turn: tuple[int, int], channel: int) -> tuple[tuple[tuple[int, ...], int], ...]:
        box = BOXES[self.axes]
        every = sorted(product(range(-box, box + 1), repeat=self.axes), key=nearness)
        spatial = [o for o in every if any(o) and self._known(turn, o)]
        found = [(o, channel) for o in spatial[: self.neighbours]]
        here, few = (0,) * self.axes, max(2, self.neighbours // 4)
        for other in range(self.channels):
            if other < channel:
                # What the earlier channel holds here and on all sides is known, as far as these passes have come.
                found += [(o, other) for o in [here, *spatial[:few]]]
            elif other > channel:
                found += [(o, other) for o in spatial[:2]]
        return tuple(found)

    def _known(self, turn: tuple[int, int], offset: tuple[int, ...]) -> bool:
        """Whether the element at this offset from one of this turn is known by then."""
        if self.kind == "wave":
            return bool(np.dot(offset, wave_weights(self.axes, self.reach)) < 0)
        starts, _ = turn_lattice(self.axes, *turn)
        there = [start + o for start, o in zip(starts, offset, strict=True)]
        axis, half = turn
        before = [1 if e < axis else 2 for e in range(self.axes)]
        if all(at % step == 0 for at, step in zip(there, before, strict=True)):
            return True
        if not half:
            return False
        first, steps = turn_lattice(self.axes, axis, 0)
        return all((at - start) % step == 0 for at, start, step in zip(there, first, steps, strict=True))


def nearness(offset: tuple[int, ...]) -> tuple[object, ...]:
    """Nearer offsets sort first, and opposite ones beside each other."""
    return sum(i * i for i in offset), max(offset, tuple(-i for i in offset)), offset


def wave_weights(axes: int, reach: int) -> np.ndarray:
    """What the coordinates are multiplied with to tell a wave's lines apart: shape (axes,)."""
    return (reach + 1) ** np.arange(axes - 1, -1, -1)


def turn_lattice(axes: int, axis: int, half: int) -> tuple[list[int], list[int]]:
    """First coordinates and distances of the elements of a turn, in spacings."""
    starts, steps = [0] * axes, [1 if e < axis else 2 for e in range(axes)]
    starts[axis], steps[axis] = 1, 2
    if axes > 1:
        other = axis - 1 if axis else axes - 1
        starts[other] = half * steps[other]
        steps[other] *= 2
    return starts, steps


class Step(NamedTuple):
    """Elements that are coded together.

    Attributes
    ----------
    network : which of `Order.offsets` tells their neighbours.
    spacing : between elements and neighbours.
    channel : theirs.
    elements : how many they are.
    coordinates : along each axis, for a lattice; or all of them, for a wave.
    channels : of the grid, at least 1.
    shape : of the grid, without channels.
    """

    network: int
    spacing: int
    channel: int
    elements: int
    coordinates: tuple[range, ...] | np.ndarray
    channels: int
    shape: tuple[int, ...]

    @property
    def level(self) -> int:
        """0, 1, 2 .. for a spacing of 1, 2, 4 ..; at most `LEVELS` - 1."""
        return min(self.spacing.bit_length(), LEVELS) - 1

    def places(self, start: int, stop: int) -> np.ndarray:
        """Coordinates of elements ``start`` to ``stop``: shape (axes, m)."""
        if isinstance(self.coordinates, np.ndarray):
            return np.stack(np.unravel_index(self.coordinates[start:stop], self.shape))
        lattice = tuple(len(line) for line in self.coordinates)
        found = np.unravel_index(np.arange(start, stop), lattice)
        return np.stack([line.start + line.step * i for line, i in zip(self.coordinates, found, strict=True)])

    def flat(self, start: int, stop: int) -> np.ndarray:
        """Their places in the flattened grid: shape (m,)."""
        return np.ravel_multi_index(tuple(self.places(start, stop)), self.shape) * self.channels + self.channel


class Plan:
    """The passes through grids of one shape; made by `plan_of`.

    Attributes
    ----------
    order, shape : the shape with channels, without rows.
    size : elements.
    steps : of the passes, in their order; every element is in exactly one.
    """

    def __init__(self, order: Order, shape: tuple[int, ...]) -> None:
        self.order, self.shape = order, shape
        self.spatial = shape[: order.axes]
        self.channels = max(1, order.channels)
        self.size = int(np.prod(shape))
        self.steps = list(self._waves() if order.kind == "wave" else self._lattices()) if self.size else []
        self._kept: dict[tuple[int, bool], np.ndarray] = {}

    def _waves(self) -> Iterator[Step]:
        every = np.indices(self.spatial).reshape(len(self.spatial), -1)
        lines = wave_weights(len(self.spatial), self.order.reach) @ every
        ordered = np.argsort(lines, kind="stable")
        ends = np.cumsum(np.bincount(lines))
        for start, stop in zip([0, *ends[:-1]], ends, strict=True):
            for channel in range(self.channels):
                if stop > start:
                    yield Step(channel, 1, channel, stop - start, ordered[start:stop], self.channels, self.spatial)

    def _lattices(self) -> Iterator[Step]:
        spacing = 1 << max(1, (max(self.spatial) - 1).bit_length())
        origin = tuple(range(0, 1, 1) for _ in self.spatial)
        for channel in range(self.channels):
            yield Step(channel, spacing, channel, 1, origin, self.channels, self.spatial)
        while spacing > 1:
            spacing //= 2
            for number, (axis, half) in enumerate(self.order.turns):
                starts, steps = turn_lattice(len(self.spatial), axis, half)
                lines = tuple(
                    range(start * spacing, size, step * spacing)
                    for start, step, size in zip(starts, steps, self.spatial, strict=True)
                )
                count = int(np.prod([len(line) for line in lines]))
                for channel in range(self.channels if count else 0):
                    network = number * self.channels + channel
                    yield Step(network, spacing, channel, count, lines, self.channels, self.spatial)

    def neighbours(self, number: int, start: int, stop: int, *, nearest: bool = False) -> np.ndarray:
        """Places in the flattened grid of what elements ``start`` to ``stop`` of step ``number`` are predicted from.

        Parameters
        ----------
        nearest : beyond the grid's edge stands the nearest neighbour within it, rather than nothing.

        Returns
        -------
        ndarray of shape (m, P)
            ``size`` stands for nothing.
        """
        step = self.steps[number]
        if self.size * self.order.most > KEPT:
            return self._found(step, start, stop, nearest)
        if (number, nearest) not in self._kept:
            self._kept[number, nearest] = self._found(step, 0, step.elements, nearest)
        return self._kept[number, nearest][start:stop]

    def _found(self, step: Step, start: int, stop: int, nearest: bool) -> np.ndarray:
        around = self.order.offsets[step.network]
        offsets = np.array([o for o, _ in around], dtype=np.int64).reshape(-1, self.order.axes) * step.spacing
        places = step.places(start, stop)
        strides = np.array([int(np.prod(self.spatial[a + 1 :])) for a in range(len(self.spatial))])
        jumps = (offsets @ strides) * self.channels + np.array([channel for _, channel in around], dtype=np.int64)
        found = (strides @ places)[:, None] * self.channels + jumps
        low, high = offsets.min(0, initial=0)[:, None], offsets.max(0, initial=0)[:, None]
        sizes = np.array(self.spatial)[:, None]
        edge = np.flatnonzero(np.any((places + low < 0) | (places + high >= sizes), axis=0))
        if len(edge):
            there = places[:, edge, None] + offsets.T[:, None, :]
            inside = np.all((there >= 0) & (there < sizes[:, :, None]), axis=0)
            instead = np.full((len(edge), 1), self.size)
            if nearest:
                first = np.take_along_axis(found[edge], inside.argmax(1)[:, None], 1)
                instead = np.where(inside.any(1)[:, None], first, instead)
            found[edge] = np.where(inside, found[edge], instead)
        return found


@lru_cache(maxsize=4)
def plan_of(order: Order, shape: tuple[int, ...]) -> Plan:
    """The passes through grids of this shape; those of the last few shapes are kept."""
    expected = order.axes + bool(order.channels)
    if len(shape) != expected or (order.channels and shape[-1] != order.channels):
        last = f", the last of {order.channels}" if order.channels else ""
        raise InputError(f"the grid must have {expected} axes{last}; got the shape {shape}")
    return Plan(order, shape)
