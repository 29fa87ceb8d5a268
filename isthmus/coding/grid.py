"""Lossless coding of whole numbers on a grid: pictures, fields and series.

Every element is predicted from known neighbours by a small dense network in whole numbers, all elements of a pass at
once; its bucket is coded with the network's probabilities, and its place in the bucket as it is. Reading repeats the
passes. There is no rounding that depends on the machine.

The code of an autoencoder could be one more thing that the networks read. It does not pay where neighbours are known:
on MNIST, 8 numbers of 22 bits an image together saved 4 of 850.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np

from isthmus.checks import counted, is_whole
from isthmus.coding.contexts import ResidualContext, ValueContext
from isthmus.coding.entropy import Reader, Tally, whole
from isthmus.coding.number_kinds import Numbers
from isthmus.coding.passes import LEVELS, Order, Plan, Step, plan_of
from isthmus.coding.rounding import OPEN, by_network
from isthmus.coding.tokens import Buckets
from isthmus.coding.whole import WholeNetwork, frequencies
from isthmus.errors import FileFormatError, InputError

BLOCK = 2**14
"""Elements that are predicted at a time. It tells the order of the symbols, so files depend on it."""

ROWS, KNOWN = 2**11, 2**21
"""So many rows, or rows of so many elements, are coded before the next ones begin. Files depend on these, too."""

KNOTS = 7
"""Features that tell where along an axis an element is, for pictures of one shape."""

WITHIN = 64
"""What such a feature is at its own knot; it falls to 0 at the next ones."""

MOST_NETWORKS = 4096


class Part(NamedTuple):
    """Elements of one step that are predicted together.

    Attributes
    ----------
    step : theirs.
    flat : (m,) places in the flattened grid.
    neighbours : (m, P) places of what is known.
    where : (m, position features), or (1, F) where it is the same for all.
    """

    step: Step
    flat: np.ndarray
    neighbours: np.ndarray
    where: np.ndarray


@dataclass(frozen=True)
class GridModel:
    """A model of whole numbers on grids, learnt by `isthmus.coding.grid_training.fit_grid`.

    Parameters
    ----------
    order : of the elements.
    shape : of the grid where it is always the same and the position tells something; None = any.
    context : what the networks read.
    buckets : of the elements, or of what their predictions leave.
    networks : one for each of ``order.offsets``.

    Raises
    ------
    InputError : the parts do not fit each other.
    """

    order: Order
    shape: tuple[int, ...] | None
    context: ValueContext | ResidualContext
    buckets: Buckets
    networks: tuple[WholeNetwork, ...]

    def __post_init__(self) -> None:
        if len(self.networks) != len(self.order.offsets):
            raise InputError(f"networks: {len(self.order.offsets)} are needed; got {len(self.networks)}")
        for number, network in enumerate(self.networks):
            inputs = len(self.context.limits(number)[0]) + extra_features(self.order, self.shape)
            if len(network.limits) != inputs or network.size != self.buckets.size:
                raise InputError(
                    f"networks: number {number} must have {inputs} inputs and {self.buckets.size} outputs; got "
                    f"{len(network.limits)} and {network.size}"
                )

    def write(self, writer: Tally, ints: np.ndarray, numbers: Sequence[Numbers] = OPEN) -> np.ndarray:
        """Code grids.

        Parameters
        ----------
        writer : a `isthmus.coding.entropy.Writer`, or a `Tally` that only counts.
        ints : shape (n, *grid), int64; rows know nothing of each other.
        numbers : what rounds them, of all or of each channel.

        Returns
        -------
        ndarray
            What `read` gives: ``ints``, but for those that were rounded.

        Raises
        ------
        InputError : not int64, or of a shape that the model is not for.
        """
        ints = whole("ints", ints, self.order.axes + bool(self.order.channels) + 1).astype(np.int64, copy=False)
        plan, rounding, found = self._plan(ints.shape), by_network(numbers, self.order), np.empty_like(ints)
        for rows in groups(len(ints), plan.size):
            known = unknown(plan, len(ints[rows]), self.context.fill)
            true = ints[rows].reshape(known.shape[1], plan.size).T
            for part in self._parts(plan, known.shape[1]):
                tables, expected = self._predicted(part, known)
                left, there = rounding[part.step.network].rounded(true[part.flat].ravel(), expected)
                known[part.flat] = there.reshape(len(part.flat), -1)
                symbols, remainders, widths = self.buckets.split(left)
                writer.put(symbols, tables)
                kept = np.flatnonzero(widths)
                if len(kept):
                    writer.bits(remainders[kept], widths[kept])
            found[rows] = known[:-1].T.reshape(found[rows].shape)
        return found

    def read(self, reader: Reader, shape: tuple[int, ...], numbers: Sequence[Numbers] = OPEN) -> np.ndarray:
        """The grids that `write` coded with the same numbers: ``shape`` (n, *grid), int64.

        Raises
        ------
        InputError : a shape that the model is not for.
        FileFormatError : they are not in what is read.
        """
        plan, rounding, ints = self._plan(shape), by_network(numbers, self.order), np.empty(shape, dtype=np.int64)
        for rows in groups(len(ints), plan.size):
            known = unknown(plan, len(ints[rows]), self.context.fill)
            for part in self._parts(plan, known.shape[1]):
                tables, expected = self._predicted(part, known)
                symbols = reader.get(len(tables), tables)
                widths = self.buckets.widths_of(symbols)
                remainders = np.zeros(len(symbols), dtype=np.uint64)
                kept = np.flatnonzero(widths)
                if len(kept):
                    remainders[kept] = reader.bits(len(kept), widths[kept])
                there = rounding[part.step.network].restored(self.buckets.joined(symbols, remainders), expected)
                known[part.flat] = there.reshape(len(part.flat), -1)
            ints[rows] = known[:-1].T.reshape(ints[rows].shape)
        return ints

    def bits(self, ints: np.ndarray, numbers: Sequence[Numbers] = OPEN) -> float:
        """What coding them takes, without doing it."""
        tally = Tally()
        self.write(tally, ints, numbers)
        return tally.ideal_bits

    def _plan(self, shape: tuple[int, ...]) -> Plan:
        if self.shape is not None and tuple(shape[1:]) != self.shape:
            raise InputError(f"ints: the grid must have the shape {self.shape} of those learnt; got {tuple(shape[1:])}")
        return plan_of(self.order, tuple(int(size) for size in shape[1:]))

    def _parts(self, plan: Plan, rows: int) -> Iterator[Part]:
        for number, start, stop in blocks(plan, rows):
            step, neighbours = plan.steps[number], plan.neighbours(number, start, stop, nearest=self.context.nearest)
            yield Part(step, step.flat(start, stop), neighbours, self._where(plan, step, start, stop))

    def _where(self, plan: Plan, step: Step, start: int, stop: int) -> np.ndarray:
        """What the networks read beside the neighbours: (m, F), or (1, F) where it is the same for all."""
        if self.shape is not None:
            return self._positions[np.ravel_multi_index(tuple(step.places(start, stop)), plan.spatial)]
        return level_features(self.order, step.level)[None]

    @cached_property
    def _positions(self) -> np.ndarray:
        assert self.shape is not None
        return position_features(self.shape[: self.order.axes])

    def _predicted(self, part: Part, known: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Tables (e, K) and predictions (e,) of the elements of a part, the rows of one after those of the other."""
        count, rows = len(part.flat), known.shape[1]
        around = around_of(known, part.neighbours)
        busy = np.flatnonzero(~self.context.blank(around))
        features, moved = self.context.read(around[busy], part.step.network, part.step.level)
        expected = self.context.expected(around)
        expected[busy] = moved
        places, width = len(part.where), features.shape[1]
        # Where all neighbours are alike, only the position tells elements apart: one table serves all rows.
        which = np.repeat(np.arange(count) % places, rows)
        inputs = np.zeros((places + len(busy), width + part.where.shape[1]), dtype=np.int64)
        inputs[:places, width:] = part.where
        inputs[places:] = np.concatenate([features, part.where[which[busy]]], axis=1)
        which[busy] = np.arange(places, len(inputs))
        tables = frequencies(self.networks[part.step.network](inputs))
        return np.take(tables, which, axis=0), expected

    def spec(self) -> dict[str, Any]:
        """What JSON can hold of it; `tensors` is the rest."""
        shape = None if self.shape is None else list(self.shape)
        return {"order": asdict(self.order), "shape": shape, "context": self.context.kind}

    def tensors(self) -> dict[str, np.ndarray]:
        """Named arrays, for a model file."""
        parts = {"context": self.context.tensors(), "buckets": self.buckets.tensors()}
        parts.update({f"networks.{number}": network.tensors() for number, network in enumerate(self.networks)})
        return {f"{name}.{key}": value for name, part in parts.items() for key, value in part.items()}

    @classmethod
    def from_spec(cls, spec: Mapping[str, Any], tensors: Mapping[str, np.ndarray]) -> GridModel:
        """The model of `spec` and `tensors`.

        Raises
        ------
        FileFormatError : they are none.
        """
        try:
            order = Order(**spec["order"])
            shape = None if spec["shape"] is None else tuple(spec["shape"])
            kinds: dict[str, type[ValueContext | ResidualContext]]
            kinds = {"values": ValueContext, "residuals": ResidualContext}
            if shape is not None and not all(is_whole(size) and 0 <= size < 2**31 for size in shape):
                raise InputError("its shape is none")
            if len(order.offsets) > MOST_NETWORKS:
                raise InputError(f"it has {counted(len(order.offsets), 'network')}")
            neighbours = np.array([len(around) for around in order.offsets])
            context = kinds[spec["context"]].from_tensors(named(tensors, "context"), neighbours)
            networks = tuple(
                WholeNetwork.from_tensors(named(tensors, f"networks.{number}")) for number in range(len(neighbours))
            )
            return cls(order, shape, context, Buckets.from_tensors(named(tensors, "buckets")), networks)
        except (InputError, KeyError, TypeError) as error:
            raise FileFormatError(f"this is no grid model: {error}") from error


def groups(rows: int, size: int) -> list[slice]:
    """Rows of ``size`` elements that are coded before the next ones begin."""
    step = max(1, min(ROWS, KNOWN // max(size, 1)))
    return [slice(start, min(start + step, rows)) for start in range(0, rows, step)]


def unknown(plan: Plan, rows: int, fill: int) -> np.ndarray:
    """Room for all elements of some rows, and one more for what lies beyond the edge: (size + 1, rows)."""
    return np.full((plan.size + 1, rows), fill, dtype=np.int64)


def blocks(plan: Plan, rows: int) -> Iterator[tuple[int, int, int]]:
    """(step, start, stop) of the elements that are predicted together, in so many rows at once."""
    most = max(1, BLOCK // max(rows, 1))
    for number, step in enumerate(plan.steps):
        for start in range(0, step.elements, most):
            yield number, start, min(start + most, step.elements)


def around_of(known: np.ndarray, neighbours: np.ndarray) -> np.ndarray:
    """What is known at places (m, P), the rows of one after those of the other: (m x rows, P)."""
    return np.take(known, neighbours, axis=0).transpose(0, 2, 1).reshape(-1, neighbours.shape[1])


def named(tensors: Mapping[str, np.ndarray], part: str) -> dict[str, np.ndarray]:
    """The tensors of a part, by their names in it."""
    return {name[len(part) + 1 :]: value for name, value in tensors.items() if name.startswith(f"{part}.")}


def extra_features(order: Order, shape: tuple[int, ...] | None) -> int:
    """How many features tell the position, or how far neighbours are."""
    return order.axes * KNOTS if shape is not None else LEVELS - 1


def extra_limits(order: Order, shape: tuple[int, ...] | None) -> tuple[np.ndarray, np.ndarray]:
    """The largest absolute value of each of these, and the scale that training sees it at."""
    most = 1 if shape is None else WITHIN
    count = extra_features(order, shape)
    return np.full(count, most), np.full(count, 1 / most)


def level_features(order: Order, level: int) -> np.ndarray:
    """1 for the level of a step, none for 0: shape (`LEVELS` - 1,)."""
    return (np.arange(1, LEVELS) == level).astype(np.int64)


def position_features(shape: tuple[int, ...]) -> np.ndarray:
    """For each place of a grid, how near it is to `KNOTS` places along each axis: (size, axes x `KNOTS`).

    Examples
    --------
    >>> position_features((7,))[1], position_features((1,))
    (array([ 0, 64,  0,  0,  0,  0,  0]), array([[64, 64, 64, 64, 64, 64, 64]]))
    """
    found = []
    for axis, size in enumerate(shape):
        last = max(size - 1, 1)
        away = np.abs(np.arange(size)[:, None] * (KNOTS - 1) - np.arange(KNOTS) * (size - 1))
        near = WITHIN * np.maximum(0, last - away) // last
        lines = near.reshape([-1 if a == axis else 1 for a in range(len(shape))] + [KNOTS])
        found.append(np.broadcast_to(lines, (*shape, KNOTS)))
    return np.concatenate(found, axis=-1).reshape(-1, len(shape) * KNOTS)
