"""The range coder and the raw bits: what goes in comes out, in as many bits as it should take, on every machine."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
import pytest

pytest.importorskip("constriction", reason="the extra 'compression' is not installed")

from isthmus.coding.entropy import MOST_SYMBOLS, PRECISION, TOTAL, Reader, Tally, Writer
from isthmus.coding.raw_bits import packed_bits, unpacked_bits
from isthmus.errors import FileFormatError, InputError, MissingExtraError


def tables_of(rng: np.random.Generator, rows: int, symbols: int) -> np.ndarray:
    """Random tables (rows, symbols), many of their frequencies 1."""
    shares = rng.gamma(0.2, size=(rows, symbols))
    tables = 1 + np.floor(shares / shares.sum(1, keepdims=True) * (TOTAL - symbols)).astype(np.int64)
    tables[np.arange(rows), tables.argmax(1)] += TOTAL - tables.sum(1)
    return tables


def drawn(rng: np.random.Generator, tables: np.ndarray) -> np.ndarray:
    return (tables.cumsum(1) > rng.integers(0, TOTAL, len(tables))[:, None]).argmax(1)


class PlainCoder:
    """The range coder of the format, in whole numbers: what a reader in any language has to do."""

    def __init__(self) -> None:
        self.lower, self.range, self.digits = 0, 2**64 - 1, 0

    def put(self, left: int, frequency: int) -> None:
        scale = self.range // PRECISION
        self.lower += scale * left * (PRECISION // TOTAL)
        self.range = scale * frequency * (PRECISION // TOTAL)
        if self.range < 2**32:
            self.lower, self.range, self.digits = self.lower << 32, self.range << 32, self.digits + 1

    def words(self) -> list[int]:
        """The code so far, closed by one word, or two where one would be ambiguous."""
        point = self.lower + 2**32 - 1
        words = [(point >> 32 * (self.digits + 1 - k)) & (2**32 - 1) for k in range(self.digits + 1)]
        upper = (self.lower + self.range) >> 32 & (2**32 - 1)
        return [*words, 0] if upper == words[-1] else words


@pytest.mark.parametrize("symbols", [2, 3, 32, 300])
def test_the_bytes_are_those_of_the_plain_coder(symbols: int) -> None:
    rng = np.random.default_rng(symbols)
    tables = tables_of(rng, 500, symbols)
    chosen = drawn(rng, tables)
    writer, plain = Writer(), PlainCoder()
    writer.put(chosen[:250], tables[:250])
    writer.put(chosen[250:], tables[0])
    for row, symbol in enumerate(chosen.tolist()):
        table = tables[row] if row < 250 else tables[0]
        plain.put(int(table[:symbol].sum()), int(table[symbol]))
    words = plain.words()
    assert writer.done() == b"".join(int(word).to_bytes(4, "little") for word in [len(words), *words])


def test_symbols_and_bits_come_back_in_the_order_of_writing() -> None:
    rng = np.random.default_rng(0)
    writer, read = Writer(), []
    for count, symbols in [(1000, 7), (0, 5), (3, 1), (40, MOST_SYMBOLS), (500, 2), (1, 256)]:
        tables = tables_of(rng, count, symbols) if symbols < 1000 else np.full(symbols, TOTAL // symbols)
        chosen = drawn(rng, tables) if tables.ndim == 2 else rng.integers(0, symbols, count)
        widths = rng.integers(0, 65, count)
        values = np.array([int(rng.integers(2**63)) * 2 % 2 ** int(width) for width in widths], dtype=np.uint64)
        writer.put(chosen, tables)
        writer.bits(values, widths)
        writer.bits(values & np.uint64(1), 1)
        read.append((count, tables, chosen, widths, values))
    reader = Reader(writer.done())
    for count, tables, chosen, widths, values in read:
        found = reader.get(count, tables)
        assert found.dtype == np.int64
        np.testing.assert_array_equal(found, chosen)
        np.testing.assert_array_equal(reader.bits(count, widths), values)
        np.testing.assert_array_equal(reader.bits(count, 1), values & np.uint64(1))
    reader.end()


def test_the_code_is_as_long_as_the_frequencies_say() -> None:
    rng = np.random.default_rng(1)
    tables = tables_of(rng, 20_000, 32)
    for chosen in (drawn(rng, tables), tables.argmin(1), tables.argmax(1)):
        ideal = float(-np.log2(tables[np.arange(len(chosen)), chosen] / TOTAL).sum())
        writer, tally = Writer(), Tally()
        for coder in (writer, tally):
            coder.put(chosen, tables)
        assert writer.ideal_bits == tally.ideal_bits == pytest.approx(ideal, rel=1e-12)
        # The count of words, up to two words that close the code, and what a range of 32 bits and more rounds away.
        assert ideal - 8 <= 8 * len(writer.done()) <= ideal * (1 + 1e-6) + 32 + 72


def test_a_certain_symbol_is_almost_free_and_the_rarest_costs_twenty_bits() -> None:
    table = np.array([TOTAL - 1, 1])
    for symbol, cost in ((0, 1.4e-6), (1, 20.0)):
        writer = Writer()
        writer.put(np.full(100_000, symbol), table)
        assert 8 * len(writer.done()) == pytest.approx(100_000 * cost, rel=1e-5, abs=104)


def test_symbols_of_an_alphabet_of_one_take_nothing() -> None:
    writer = Writer()
    writer.put(np.zeros(1000, dtype=int), np.array([TOTAL]))
    payload = writer.done()
    assert payload == bytes(4)
    assert not Reader(payload).get(1000, np.array([TOTAL])).any()


@pytest.mark.parametrize(
    ("symbols", "frequencies", "words"),
    [
        ([0], [TOTAL // 2, TOTAL // 2 + 1], "that sum to"),
        ([0], [[TOTAL // 2, TOTAL // 2 - 1]], "that sum to"),
        ([0], [0, TOTAL], "that sum to"),
        ([0], [-1, TOTAL + 1], "that sum to"),
        ([0], [2**63 - 1, 2**63 - 1, TOTAL + 2], "that sum to"),
        ([0], [0.5, 0.5], "got float64"),
        ([0], [[[TOTAL]]], "1 or 2 axes"),
        ([0], np.ones(MOST_SYMBOLS + 1, dtype=int), "1 to 65,536 symbols"),
        ([0], np.ones(0, dtype=int), "1 to 65,536 symbols"),
        ([0, 0], [[1, TOTAL - 1]], "got 1"),
        ([2], [1, TOTAL - 1], "below 2"),
        ([-1], [1, TOTAL - 1], "got -1"),
        ([0.0], [1, TOTAL - 1], "symbols must be whole"),
    ],
)
def test_no_other_tables_and_symbols_are_coded(symbols: Any, frequencies: Any, words: str) -> None:
    with pytest.raises(InputError, match=words):
        Tally().put(np.array(symbols), np.array(frequencies))
    if "symbols" not in words and "below" not in words and "got -1" not in words:
        with pytest.raises(InputError, match=words):
            Reader(bytes(4)).get(len(symbols), np.array(frequencies))


@pytest.mark.parametrize(
    ("values", "widths", "words"),
    [([8], 3, "below 2"), ([1], 0, "below 2"), ([1], 65, "0..64"), ([1], -1, "0..64"), ([1], [1, 1], "as many")],
)
def test_no_other_bits_are_kept(values: Any, widths: Any, words: str) -> None:
    with pytest.raises(InputError, match=words):
        Tally().bits(np.array(values, dtype=np.uint64), widths if isinstance(widths, int) else np.array(widths))


def test_bits_lie_as_in_plain_whole_numbers() -> None:
    rng = np.random.default_rng(2)
    for largest in (1, 7, 64):
        widths = rng.integers(0, largest + 1, 300)
        values = [int(rng.integers(2**63)) * 2 + 1 for _ in widths]
        values = [value % 2 ** int(width) for value, width in zip(values, widths, strict=True)]
        number, place = 0, 0
        for value, width in zip(values, widths.tolist(), strict=True):
            number, place = number | value << place, place + width
        packed = packed_bits(np.array(values, dtype=np.uint64), widths)
        assert packed == number.to_bytes((place + 7) // 8, "little")
        for cut in (0, 1, 17, 299, 300):
            found = unpacked_bits(packed, int(widths[:cut].sum()), widths[cut:])
            assert found.tolist() == values[cut:]


def test_a_payload_that_is_cut_or_longer_is_refused() -> None:
    rng = np.random.default_rng(3)
    tables = tables_of(rng, 200, 9)
    writer = Writer()
    writer.put(drawn(rng, tables), tables)
    writer.bits(np.arange(21, dtype=np.uint64), 5)
    payload = writer.done()

    def read(data: bytes) -> None:
        reader = Reader(data)
        reader.get(200, tables)
        reader.bits(21, 5)
        reader.end()

    read(payload)
    for length in range(len(payload)):
        with pytest.raises(FileFormatError):
            read(payload[:length])
    for longer in (payload + b"\0", payload[:-1] + bytes([payload[-1] | 128]), payload + bytes(8)):
        with pytest.raises(FileFormatError, match="something is left"):
            read(longer)
    words = int.from_bytes(payload[:4], "little") + 3
    more = words.to_bytes(4, "little") + payload[4 : 4 * words - 8] + b"\1" * 12 + payload[4 * words - 8 :]
    with pytest.raises(FileFormatError, match="something is left"):
        read(more)


def test_any_bytes_are_read_or_refused() -> None:
    rng = np.random.default_rng(4)
    tables = tables_of(rng, 50, 11)
    for _ in range(300):
        payload = rng.bytes(int(rng.integers(0, 40)))
        if rng.random() < 0.7:
            payload = (len(payload) // 4).to_bytes(4, "little") + payload
        try:
            reader = Reader(payload)
            for found in (reader.get(50, tables), reader.get(50, tables[0])):
                assert ((found >= 0) & (found < 11)).all()
            reader.bits(3, 9)
        except FileFormatError:
            continue


def test_without_the_coder_the_install_line_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "constriction", None)
    for make in (Writer, lambda: Reader(bytes(4))):
        with pytest.raises(MissingExtraError, match=r"pip install 'isthmus\[compression\]'"):
            make()
    Tally().put(np.array([0]), np.array([TOTAL]))
