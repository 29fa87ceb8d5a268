"""Tables of whole numbers, column by column: each is foretold from those before it.

Rows do not know each other. A number is a symbol and a rest (`isthmus.coding.column_tokens`); symbols have
frequencies by a network that sees the columns before (`isthmus.coding.column_network`), or, where a head would cost
more than it saves, by a table.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from isthmus.coding.column_network import ColumnNetwork
from isthmus.coding.column_tokens import ColumnTokens
from isthmus.coding.entropy import Reader, Tally
from isthmus.coding.small_arrays import packed, unpacked
from isthmus.coding.tokens import ESCAPES, Values
from isthmus.errors import FileFormatError, InputError

ROWS = 2**13
"""Rows that are coded together."""


@dataclass(frozen=True, eq=False)
class ColumnsModel:
    """What is known of a table's columns, to code any table with as many of them.

    Parameters
    ----------
    columns : the tokens of each.
    network : what foretells them from each other; None = tables only.

    Raises
    ------
    InputError : the network does not fit the columns.

    Examples
    --------
    >>> from isthmus.coding.columns_training import fit_columns
    >>> from isthmus.coding.entropy import Writer
    >>> age = np.random.default_rng(0).integers(18, 80, 500)
    >>> table = np.stack([age, age // 10, 2 * age], axis=1)
    >>> model = fit_columns(table, random_state=0)
    >>> writer = Writer()
    >>> model.write(writer, table)
    >>> payload = writer.done()
    >>> bool((model.read(Reader(payload), 500) == table).all())
    True
    """

    columns: tuple[ColumnTokens, ...]
    network: ColumnNetwork | None = None

    def __post_init__(self) -> None:
        if self.network is not None:
            self.network.check(self.sizes)

    @cached_property
    def sizes(self) -> np.ndarray:
        """(C,): the symbols of each column."""
        return np.array([column.size for column in self.columns], dtype=np.int64)

    @cached_property
    def before(self) -> np.ndarray:
        """(C,): the number of symbols of the columns before each."""
        return np.cumsum(self.sizes) - self.sizes

    @cached_property
    def foretold(self) -> list[slice]:
        """Which of the symbols of columns with heads are each column's."""
        sizes = self.sizes * (0 if self.network is None else self.network.heads)
        return [slice(int(end - size), int(end)) for size, end in zip(sizes, np.cumsum(sizes), strict=True)]

    def write(self, writer: Tally, ints: np.ndarray) -> None:
        """Code a table.

        Parameters
        ----------
        writer : a `Writer`, or a `Tally` that only counts.
        ints : shape (n, C), whole numbers; any at all, but what training did not have costs more.

        Raises
        ------
        InputError : not whole numbers, or not C of them.
        """
        self._write([writer] * len(self.columns), self.checked(ints))

    def read(self, reader: Reader, rows: int) -> np.ndarray:
        """The (rows, C) int64 that were written.

        Raises
        ------
        FileFormatError : the payload is of another model or table.
        """
        ints = np.empty((rows, len(self.columns)), dtype=np.int64, order="F")
        for chunk in _chunks(rows):
            given = _Given(self, chunk.stop - chunk.start)
            for place, column in enumerate(self.columns):
                symbols = reader.get(chunk.stop - chunk.start, given.table(place))
                ints[chunk, place] = column.get_rest(reader, symbols)
                given.add(place, symbols)
        for place, column in enumerate(self.columns):
            ints[:, place] = column.joined(ints[:, place])
        return ints

    def bits(self, ints: np.ndarray) -> float:
        """What a table costs, in bits, without the model."""
        return float(self.bits_of_columns(ints).sum())

    def bits_of_columns(self, ints: np.ndarray) -> np.ndarray:
        """(C,): what each column costs, in bits, where those before it are known."""
        tallies = [Tally() for _ in self.columns]
        self._write(tallies, self.checked(ints))
        return np.array([tally.ideal_bits for tally in tallies])

    def _write(self, writers: Sequence[Tally], ints: np.ndarray) -> None:
        parts = [column.cut(ints[:, place]) for place, column in enumerate(self.columns)]
        for rows in _chunks(len(ints)):
            given = _Given(self, rows.stop - rows.start)
            for place, column in enumerate(self.columns):
                symbols, buckets, remainders, _ = (part[rows] for part in parts[place])
                writers[place].put(symbols, given.table(place))
                column.put_rest(writers[place], symbols, buckets, remainders)
                given.add(place, symbols)

    def checked(self, ints: np.ndarray) -> np.ndarray:
        ints = np.asarray(ints)
        if ints.dtype.kind not in "iu" or ints.ndim != 2 or ints.shape[1] != len(self.columns):
            raise InputError(
                f"ints must be whole numbers of shape (rows, {len(self.columns)}); got {ints.dtype} of {ints.shape}"
            )
        if ints.dtype == np.uint64 and ints.size and ints.max() > 2**63 - 1:
            raise InputError("ints must fit an int64; take 2**63 away from numbers of uint64 first")
        return np.asfortranarray(ints, dtype=np.int64)

    def spec(self) -> dict[str, Any]:
        """What the tensors do not say, as JSON has it."""
        return {"columns": len(self.columns), "network": self.network is not None}

    def tensors(self) -> dict[str, np.ndarray]:
        """The model as one array of bytes; it is as good as incompressible."""
        values = [column.values for column in self.columns]
        arrays = [
            np.array([len(each.lower) for each in values], dtype=np.int64),
            np.array([len(column.members) for column in self.columns], dtype=np.int64),
            np.array([column.differences for column in self.columns], dtype=np.int64),
            np.array([each.centre for each in values], dtype=np.int64),
            _joined(np.diff(each.lower, prepend=np.int64(0)) for each in values),
            _joined(each.widths for each in values),
            _joined(column.members for column in self.columns),
            _joined(column.roots for column in self.columns),
        ]
        if self.network is not None:
            net = self.network
            arrays += [
                net.heads,
                net.embeddings,
                net.bias,
                net.weights,
                net.constants,
                np.array([net.scale]),
            ]
        return {"columns": packed(arrays)}

    @classmethod
    def from_tensors(cls, tensors: Mapping[str, np.ndarray], spec: Mapping[str, Any]) -> ColumnsModel:
        """The model of `tensors` and `spec`.

        Raises
        ------
        FileFormatError : they are those of no such model.
        """
        try:
            lengths, groups, differences, centres, *arrays = unpacked(tensors["columns"])
            pieces = zip(
                _parted(arrays[0], lengths),
                _parted(arrays[1], lengths),
                _parted(arrays[2], groups),
                _parted(arrays[3], lengths + len(ESCAPES)),
                centres.tolist(),
                differences.tolist(),
                strict=True,
            )
            columns = tuple(
                ColumnTokens(Values(np.cumsum(gaps), widths, centre), members, roots, bool(each))
                for gaps, widths, members, roots, centre, each in pieces
            )
            network = None
            if len(arrays) > 4:
                heads, embeddings, bias, weights, constants, scale = arrays[4:]
                network = ColumnNetwork(heads != 0, embeddings, bias, weights, constants, int(scale[0]))
            model = cls(columns, network)
            if dict(spec) != model.spec():
                raise InputError(f"they are of {model.spec()}, not of {dict(spec)}")
        except (InputError, LookupError, ValueError, TypeError, OverflowError) as error:
            raise FileFormatError(f"this is no model of columns: {error}") from error
        return model


class _Given:
    """What is known of some rows while their columns are coded one after the other."""

    def __init__(self, model: ColumnsModel, rows: int) -> None:
        self.model, self.network = model, model.network
        if self.network is not None:
            self.sums = np.zeros((rows, self.network.hidden))

    def table(self, place: int) -> np.ndarray:
        """Frequencies of the next column: (K,) or (rows, K)."""
        if self.network is None or not self.network.heads[place]:
            return self.model.columns[place].table
        return self.network.tables(place, self.model.foretold[place], self.sums)

    def add(self, place: int, symbols: np.ndarray) -> None:
        """What the column turned out to be."""
        if self.network is not None:
            self.sums += self.network.embedded(int(self.model.before[place]), symbols)


def _chunks(rows: int) -> list[slice]:
    return [slice(start, min(start + ROWS, rows)) for start in range(0, rows, ROWS)]


def _joined(parts: Iterable[np.ndarray]) -> np.ndarray:
    return np.concatenate([np.empty(0, dtype=np.int64), *parts])


def _parted(joined: np.ndarray, lengths: np.ndarray) -> list[np.ndarray]:
    if len(lengths) and (int(lengths.min()) < 0 or int(lengths.sum()) != len(joined)):
        raise InputError("its arrays do not fit each other")
    return np.split(joined, np.cumsum(lengths)[:-1]) if len(lengths) else []
