"""Symbols and their frequencies to bytes and back: a range coder (extra ``compression``), and raw bits beside it.

A payload is the number of the coder's words (4 bytes), those words (4 bytes each), and the raw bits, all of
the lowest byte first.

References
----------
Martin, *Range encoding: an algorithm for removing redundancy from a digitised message*, 1979.
Bamler, *Understanding entropy coding with asymmetric numeral systems (ANS)*, arXiv:2201.01741 (constriction).
"""

from __future__ import annotations

from types import ModuleType

import numpy as np

from isthmus.coding.checked import checked_widths, whole
from isthmus.coding.raw_bits import packed_bits, unpacked_bits
from isthmus.errors import FileFormatError, InputError, MissingExtraError

TOTAL = 2**20
"""What the frequencies of one symbol sum to: the rarest symbol costs 20 bits."""

MOST_SYMBOLS = 2**16
"""The largest alphabet."""

PRECISION = 2**24
"""What the coder's own frequencies sum to."""

CHUNK = 2**20
"""Frequencies that are handed to the coder at a time, so that the copies made of them stay small."""


def library() -> ModuleType:
    """Constriction's streams, imported at the first call.

    Raises
    ------
    MissingExtraError : it is not installed.
    """
    try:
        import constriction
    except ImportError as error:
        raise MissingExtraError("constriction", "compression", "compression") from error
    return constriction.stream


class Tally:
    """Counts the bits that a `Writer` would need, without the coder: it has the same face.

    Attributes
    ----------
    ideal_bits : float
        The sum of -log2 p over all symbols put so far, and of all widths.
    """

    def __init__(self) -> None:
        self.ideal_bits = 0.0

    def put(self, symbols: np.ndarray, frequencies: np.ndarray) -> None:
        """Code symbols.

        Parameters
        ----------
        symbols : shape (n,), whole numbers in [0, K).
        frequencies : shape (K,), or (n, K) with a table for each symbol; whole numbers >= 1, the sum of each
            table `TOTAL`.

        Raises
        ------
        InputError : they are not that.
        """
        symbols, frequencies = whole("symbols", symbols, 1), checked(frequencies)
        if frequencies.ndim == 2 and len(frequencies) != len(symbols):
            raise InputError(
                f"frequencies: there must be one table for all {len(symbols)} symbols or one for each; "
                f"got {len(frequencies)}"
            )
        if len(symbols) == 0:
            return
        if symbols.min() < 0 or symbols.max() >= frequencies.shape[-1]:
            raise InputError(
                f"symbols must be at least 0 and below {frequencies.shape[-1]}, the number of frequencies; "
                f"got {symbols.min()} to {symbols.max()}"
            )
        chosen = frequencies[symbols] if frequencies.ndim == 1 else frequencies[np.arange(len(symbols)), symbols]
        self.ideal_bits += float(len(symbols) * np.log2(TOTAL) - np.log2(chosen).sum())
        self._put(symbols, frequencies)

    def bits(self, values: np.ndarray, widths: int | np.ndarray) -> None:
        """Keep whole numbers as they are.

        Parameters
        ----------
        values : shape (n,), uint64, each below 2**width.
        widths : bits of all, or of each (n,), in 0..64.

        Raises
        ------
        InputError : a value needs more bits, or a width is outside.
        """
        values = whole("values", values, 1).astype(np.uint64, copy=False)
        widths = checked_widths(widths, len(values))
        # NumPy does not define a shift by all 64 bits.
        if np.any((values >> np.minimum(widths, 63).astype(np.uint64) != 0) & (widths < 64)):
            raise InputError("values must be below 2**width, each; use wider widths")
        self.ideal_bits += float(widths.sum())
        self._bits(values, widths)

    def _put(self, symbols: np.ndarray, frequencies: np.ndarray) -> None:
        pass

    def _bits(self, values: np.ndarray, widths: np.ndarray) -> None:
        pass


class Writer(Tally):
    """Codes symbols and raw bits into one payload; they are read in the order of writing.

    Raises
    ------
    MissingExtraError : constriction is not installed.

    Examples
    --------
    >>> writer = Writer()
    >>> table = np.array([TOTAL - 3, 1, 2])
    >>> writer.put(np.array([0, 0, 2, 0]), table)
    >>> writer.bits(np.array([5, 6]), 3)
    >>> payload = writer.done()
    >>> reader = Reader(payload)
    >>> reader.get(4, table), reader.bits(2, 3)
    (array([0, 0, 2, 0]), array([5, 6], dtype=uint64))
    >>> reader.end()
    """

    def __init__(self) -> None:
        super().__init__()
        self._stream = library()
        self._encoder = self._stream.queue.RangeEncoder()
        self._raw: list[tuple[np.ndarray, np.ndarray]] = []

    def _put(self, symbols: np.ndarray, frequencies: np.ndarray) -> None:
        if frequencies.shape[-1] == 1:
            return
        symbols = symbols.astype(np.int32)
        if frequencies.ndim == 1:
            self._encoder.encode(symbols, table(self._stream, frequencies))
            return
        family = self._stream.model.Categorical(perfect=False)
        for rows in chunks(frequencies):
            self._encoder.encode(symbols[rows], family, weights(frequencies[rows]))

    def _bits(self, values: np.ndarray, widths: np.ndarray) -> None:
        self._raw.append((values.copy(), widths))

    def done(self) -> bytes:
        """The payload of all that was written."""
        words = self._encoder.get_compressed().astype("<u4")
        raw = packed_bits(
            np.concatenate([np.empty(0, np.uint64), *(values for values, _ in self._raw)]),
            np.concatenate([np.empty(0, np.int64), *(widths for _, widths in self._raw)]),
        )
        return len(words).to_bytes(4, "little") + words.tobytes() + raw


class Reader:
    """Reads what a `Writer` wrote, in the same order.

    Parameters
    ----------
    payload : what `Writer.done` gave.

    Raises
    ------
    FileFormatError : it cannot be a payload.
    MissingExtraError : constriction is not installed.
    """

    def __init__(self, payload: bytes) -> None:
        self._stream = library()
        words = int.from_bytes(payload[:4], "little")
        if len(payload) < 4 + 4 * words:
            raise damaged(f"it has {len(payload)} bytes and claims {words} words")
        coded = np.frombuffer(payload, "<u4", words, 4).astype(np.uint32)
        self._decoder = self._stream.queue.RangeDecoder(coded)
        self._raw = bytes(payload[4 + 4 * words :])
        self._place = 0

    def get(self, count: int, frequencies: np.ndarray) -> np.ndarray:
        """The next symbols.

        Parameters
        ----------
        count : how many.
        frequencies : shape (K,) or (count, K), those of writing.

        Returns
        -------
        ndarray of shape (count,), int64
            In [0, K).

        Raises
        ------
        FileFormatError : no such symbols were written.
        InputError : the frequencies are none.
        """
        frequencies = checked(frequencies)
        if frequencies.ndim == 2 and len(frequencies) != count:
            raise InputError(f"frequencies: {count} symbols need as many tables; got {len(frequencies)}")
        if frequencies.shape[-1] == 1 or count == 0:
            return np.zeros(count, dtype=np.int64)
        try:
            if frequencies.ndim == 1:
                return self._decoder.decode(table(self._stream, frequencies), count).astype(np.int64)
            family = self._stream.model.Categorical(perfect=False)
            found = [self._decoder.decode(family, weights(frequencies[rows])) for rows in chunks(frequencies)]
        except AssertionError as error:
            raise damaged("its symbols are not those of these frequencies") from error
        return np.concatenate(found).astype(np.int64)

    def bits(self, count: int, widths: int | np.ndarray) -> np.ndarray:
        """The next raw whole numbers: (count,) uint64, of these widths.

        Raises
        ------
        FileFormatError : there are not so many bits.
        """
        widths = checked_widths(widths, count)
        end = self._place + int(widths.sum())
        if end > 8 * len(self._raw):
            raise damaged(f"it has {8 * len(self._raw)} raw bits where at least {end} are needed")
        values = unpacked_bits(self._raw, self._place, widths)
        self._place = end
        return values

    def end(self) -> None:
        """Refuse a payload of which something is left.

        Raises
        ------
        FileFormatError : there are words or bits that nothing has read.
        """
        left = 8 * len(self._raw) - self._place
        if left >= 8 or (left and self._raw[-1] >> (8 - left)) or not self._decoder.maybe_exhausted():
            raise damaged("something is left of it at its end")


def checked(frequencies: np.ndarray) -> np.ndarray:
    """Frequencies (K,) or (n, K) that are whole, at least 1 and sum to `TOTAL`; no other table may be coded with."""
    frequencies = whole("frequencies", frequencies, 1, 2)
    if not 1 <= frequencies.shape[-1] <= MOST_SYMBOLS:
        raise InputError(f"frequencies: there must be 1 to {MOST_SYMBOLS:,} symbols; got {frequencies.shape[-1]:,}")
    if frequencies.size == 0:
        return frequencies
    # Both ends first: sums of larger numbers could wrap to the right one.
    sound = frequencies.min() >= 1 and frequencies.max() <= TOTAL
    # NumPy's einsum sums short rows several times faster than its sum does.
    if not sound or np.any(np.einsum("...k->...", frequencies) != TOTAL):
        raise InputError(f"frequencies must be whole numbers >= 1 that sum to {TOTAL:,} in each table")
    return frequencies


def weights(frequencies: np.ndarray) -> np.ndarray:
    """What makes the coder use exactly these frequencies, float32.

    It gives every symbol 1 / `PRECISION`, and shares the rest out in proportion to the weights, rounding down. With
    these the rest is their sum, so the factor is exactly 1, and every partial sum is a whole number below 2**24,
    which a float32 holds: nothing is left to round.
    """
    scaled = np.multiply(frequencies, PRECISION // TOTAL, dtype=np.float32, casting="unsafe")
    return np.subtract(scaled, 1, out=scaled)


def table(stream: ModuleType, frequencies: np.ndarray) -> object:
    """The coder's model of one table (K,) for many symbols."""
    return stream.model.Categorical(weights(frequencies), lazy=False, perfect=False)


def chunks(frequencies: np.ndarray) -> list[slice]:
    """Rows of (n, K) frequencies, about `CHUNK` numbers at a time."""
    step = max(1, CHUNK // frequencies.shape[1])
    return [slice(start, start + step) for start in range(0, len(frequencies), step)]


def damaged(why: str) -> FileFormatError:
    return FileFormatError(f"the payload is truncated or was altered: {why}")
