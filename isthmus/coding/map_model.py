"""Lossless coding of pictures' quantised codes, channel by channel, and the choice of codes that are cheap."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from isthmus.coding.entropy import TOTAL, Reader, Tally
from isthmus.coding.grid import GridModel, named
from isthmus.coding.map_context import HELD, INPUTS, MAGNITUDES, MOST_SUM, PHASES, Known, MapContext, octaves
from isthmus.coding.tokens import Buckets
from isthmus.coding.whole import WholeNetwork, frequencies
from isthmus.coding.whole_convolution import MOST_LEVEL
from isthmus.errors import FileFormatError, InputError

Take = Callable[[int, int, np.ndarray], np.ndarray]
"""(channel, phase, tables (e, K)) -> whole numbers (e,)."""


@dataclass(frozen=True, eq=False)
class MapModel:
    """A model of codes (n, h, w, size) of pictures of one size, learnt by `isthmus.coding.map_training.fit_maps`.

    Parameters
    ----------
    context : what the network reads.
    first : codes the first channels, (n, h, w[, firsts]).
    buckets : of all other elements.
    network : reads the context, then which channel it is, and which phase.

    Raises
    ------
    InputError : the parts do not fit each other.
    """

    context: MapContext
    first: GridModel
    buckets: Buckets
    network: WholeNetwork
    _kept: dict[tuple[int, int], WholeNetwork] = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        inputs = INPUTS + self.context.size + len(PHASES)
        if len(self.network.limits) != inputs or self.network.size != self.buckets.size:
            raise InputError(f"network: it must have {inputs} inputs and {self.buckets.size} outputs")
        channels = self.context.firsts if self.context.firsts > 1 else 0
        if self.first.order.axes != 2 or self.first.order.channels != channels or self.first.shape is not None:
            raise InputError(f"first: it must be a model of grids of 2 axes and {channels} channels")

    def write(self, writer: Tally, ints: np.ndarray, level: int) -> None:
        """Code the codes of pictures of one size.

        Parameters
        ----------
        writer : a `isthmus.coding.entropy.Writer`, or a `Tally` that only counts.
        ints : shape (n, h, w, size), int64.
        level : of the quantisation, 0..`MOST_LEVEL`; reading needs the same.
        """
        used = np.any(ints != 0, axis=(0, 1, 2))
        self._begin(writer, used, ints)

        def take(channel: int, phase: int, tables: np.ndarray) -> np.ndarray:
            there = of_phase(ints, channel, phase).reshape(-1)
            self._put(writer, there, tables)
            return there

        self._run(ints.copy(), used, level, take)

    def _begin(self, writer: Tally, used: np.ndarray, ints: np.ndarray) -> None:
        """Code which channels are used at all, and the first ones."""
        writer.bits(used.astype(np.uint64), 1)
        firsts = self.context.firsts
        self.first.write(writer, ints[..., :firsts] if firsts > 1 else ints[..., 0])

    def _put(self, writer: Tally, there: np.ndarray, tables: np.ndarray) -> None:
        symbols, remainders, widths = self.buckets.split(there)
        writer.put(symbols, tables)
        kept = np.flatnonzero(widths)
        if len(kept):
            writer.bits(remainders[kept], widths[kept])

    def read(self, reader: Reader, shape: tuple[int, int, int], level: int) -> np.ndarray:
        """The codes of n pictures of (h, w) cells that `write` coded: ``shape`` (n, h, w) -> (n, h, w, size) int64."""
        used = reader.bits(self.context.size, 1) != 0
        ints = np.zeros((*shape, self.context.size), dtype=np.int64)
        firsts = self.context.firsts
        first = self.first.read(reader, (*shape, firsts) if firsts > 1 else shape)
        ints[..., :firsts] = first.reshape(*shape, firsts)

        def take(channel: int, phase: int, tables: np.ndarray) -> np.ndarray:
            symbols = reader.get(len(tables), tables)
            widths = self.buckets.widths_of(symbols)
            remainders = np.zeros(len(symbols), dtype=np.uint64)
            kept = np.flatnonzero(widths)
            if len(kept):
                remainders[kept] = reader.bits(len(kept), widths[kept])
            return self.buckets.joined(symbols, remainders)

        return self._run(ints, used, level, take)

    def chosen(self, code: np.ndarray, level: int, price: float, writer: Tally | None = None) -> np.ndarray:
        """Whole numbers for codes in steps (n, h, w, size): those with the least squared error plus price x bits.

        What a choice costs the elements after it is left out. With a writer they are coded as they are chosen, which
        saves foretelling them twice.
        """
        ints = np.rint(code).astype(np.int64)
        used = np.any(np.abs(code) > 0.5, axis=(0, 1, 2))
        if writer is not None:
            self._begin(writer, used, ints)

        def take(channel: int, phase: int, tables: np.ndarray) -> np.ndarray:
            there = of_phase(code, channel, phase).reshape(-1)
            lower = np.floor(np.abs(there))
            sign = np.where(there < 0, -1.0, 1.0)
            best, least = np.zeros(len(there), dtype=np.int64), np.full(len(there), np.inf)
            for candidate in (sign * (lower + 1), sign * lower, np.zeros(len(there))):
                some = candidate.astype(np.int64)
                symbols, _, widths = self.buckets.split(some)
                bits = np.log2(TOTAL) - np.log2(tables[np.arange(len(symbols)), symbols]) + widths
                cost = (there - candidate) ** 2 + price * bits
                best, least = np.where(cost < least, some, best), np.minimum(cost, least)
            if writer is not None:
                self._put(writer, best, tables)
            return best

        return self._run(ints, used, level, take)

    def _run(self, ints: np.ndarray, used: np.ndarray, level: int, take: Take) -> np.ndarray:
        """Go through all elements but those of the first channels; ``ints`` is filled and returned."""
        known = Known(ints.shape[:3], self.context)
        for channel in range(ints.shape[3]):
            if channel < self.context.firsts:
                for phase in range(len(PHASES)):
                    known.put(channel, phase, of_phase(ints, channel, phase))
            else:
                ints[..., channel] = 0
                for phase in range(len(PHASES) if used[channel] else 0):
                    room = of_phase(ints, channel, phase)
                    if room.size:
                        found = take(channel, phase, self._tables(known, channel, phase, level))
                        room[...] = found.reshape(room.shape)
                        known.put(channel, phase, found)
            known.finish(channel)
        return ints

    def _tables(self, known: Known, channel: int, phase: int, level: int) -> np.ndarray:
        around = known.around(channel, phase)
        return frequencies(self._network(channel, phase)(self.context.read(*around, channel, phase, level)))

    def _network(self, channel: int, phase: int) -> WholeNetwork:
        """The network for one channel and phase, whose inputs have become part of the first bias."""
        if (channel, phase) not in self._kept:
            layer = self.network.layers[0]
            told = np.zeros(len(layer.exponents), dtype=np.int64)
            told[[INPUTS + channel, INPUTS + self.context.size + phase]] = 1
            # Bounds hold: these sums are some of those of the whole network, in its own limits.
            bias = layer.bias + (told << layer.exponents) @ layer.weights
            first = replace(layer, weights=layer.weights[:INPUTS], exponents=layer.exponents[:INPUTS], bias=bias)
            self._kept[channel, phase] = WholeNetwork(self.network.limits[:INPUTS], (first, *self.network.layers[1:]))
        return self._kept[channel, phase]

    def spec(self) -> dict[str, Any]:
        """What JSON can hold of it; `tensors` is the rest."""
        return {"first": self.first.spec()}

    def tensors(self) -> dict[str, np.ndarray]:
        """Named arrays, for a model file."""
        parts = {
            "context": self.context.tensors(),
            "first": self.first.tensors(),
            "buckets": self.buckets.tensors(),
            "network": self.network.tensors(),
        }
        return {f"{name}.{key}": value for name, part in parts.items() for key, value in part.items()}

    @classmethod
    def from_spec(cls, spec: Mapping[str, Any], tensors: Mapping[str, np.ndarray]) -> MapModel:
        """The model of `spec` and `tensors`.

        Raises
        ------
        FileFormatError : they are none.
        """
        try:
            return cls(
                MapContext.from_tensors(named(tensors, "context")),
                GridModel.from_spec(spec["first"], named(tensors, "first")),
                Buckets.from_tensors(named(tensors, "buckets")),
                WholeNetwork.from_tensors(named(tensors, "network")),
            )
        except (InputError, KeyError, TypeError) as error:
            raise FileFormatError(f"this is no model of a picture's code: {error}") from error


def of_phase(codes: np.ndarray, channel: int, phase: int) -> np.ndarray:
    """A view of the cells (n, rows, columns) of codes (n, h, w, size) that are coded together."""
    top, left = PHASES[phase]
    return codes[:, top::2, left::2, channel]


def limits(size: int) -> tuple[np.ndarray, np.ndarray]:
    """The largest absolute value of each input, and the scale that training sees it at."""
    most = int(octaves()[MOST_SUM])
    parts = [(most, 1 / 32, MAGNITUDES + 1), (HELD, 1 / 64, 1), (MOST_LEVEL, 1 / 16, 1), (1, 1.0, size + len(PHASES))]
    largest = np.concatenate([np.full(count, value) for value, _, count in parts])
    return largest, np.concatenate([np.full(count, scale) for _, scale, count in parts])
