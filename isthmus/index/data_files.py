"""The data files of an index on disk: what is in them, memory-mapped, and how rows are appended to them.

    codes        the words of every code, little-endian
    ids          8 bytes a row; or, where ids are strings, their UTF-8 bytes one after the other
    ids.ends     where each string ends, 8 bytes a row
    floats       in half precision
    items        UTF-8 bytes: none for a row without an item, the byte FF for the empty string
    items.ends   where each item ends, 8 bytes a row; may be shorter than the rows, and the rest have none
    removed      numbers of removed rows, 8 bytes each

They only grow. How much of them counts, and its checksums, is what the log beside them says.
"""

from __future__ import annotations

import mmap
import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from zlib import crc32

import numpy as np

from isthmus.index import log
from isthmus.index.bits import word_of, words_of
from isthmus.index.incoming import STRINGS, Incoming, kind_of
from isthmus.index.log import FILES, Entry, damaged, write_at

LOG = "log"
NUMBER = np.dtype("<i8")
HALF = np.dtype("<f2")
EMPTY = b"\xff"
"""The empty string, told from no string: a byte that UTF-8 never has."""


class DataFiles:
    """The data files in a folder, as far as they have been read.

    Parameters
    ----------
    folder : that holds them.
    bits, floats : of a row.

    Attributes
    ----------
    entry : the record of the log up to which they have been read.
    """

    def __init__(self, folder: Path, bits: int, floats: int) -> None:
        self.folder, self.bits, self.floats = folder, bits, floats
        self.entry = Entry()
        self._bytes = {name: np.empty(0, dtype=np.uint8) for name in FILES}

    @property
    def codes(self) -> np.ndarray:
        """(rows, words)."""
        return self._view("codes", word_of(self.bits).newbyteorder("<")).reshape(-1, words_of(self.bits))

    @property
    def removed(self) -> np.ndarray:
        """The numbers of the rows that were removed, in the order in which they were."""
        return self._view("removed", NUMBER)

    def ids_of(self, rows: np.ndarray) -> np.ndarray:
        """The ids of rows: int64, or an object array of str."""
        if not self.entry.strings:
            return self._view("ids", NUMBER)[rows]
        ids = np.empty(len(rows), dtype=object)
        ids[:] = [text.decode("utf-8", "surrogatepass") for text in self._texts("ids", rows)]
        return ids

    def floats_of(self, rows: np.ndarray) -> np.ndarray:
        """The floats of rows, (n, floats) float32."""
        return self._view("floats", HALF).reshape(self.entry.rows, self.floats)[rows].astype(np.float32)

    def items_of(self, rows: np.ndarray) -> list[str | None]:
        """The items of rows."""
        rows = np.asarray(rows, dtype=np.int64)
        items: list[str | None] = [None] * len(rows)
        # Rows after the last item have not even an end.
        there = np.flatnonzero(rows < len(self._view("items.ends", NUMBER)))
        for place, text in zip(there.tolist(), self._texts("items", rows[there]), strict=True):
            if text:
                items[place] = "" if text == EMPTY else text.decode("utf-8", "surrogatepass")
        return items

    def begin(self) -> None:
        """Make the files, all empty."""
        for name in (*FILES, LOG):
            (self.folder / name).touch()
        write_at(self.folder / LOG, 0, log.head(0))

    def refresh(self) -> None:
        """Read what has been appended since."""
        self._take(log.read(self.folder / LOG, self.entry))

    def append(self, new: Incoming) -> None:
        """Append rows that were checked; the caller holds the lock and has refreshed."""
        pieces = {
            "codes": new.codes.astype(new.codes.dtype.newbyteorder("<"), copy=False).tobytes(),
            "floats": new.floats.astype(HALF, copy=False).tobytes(),
        }
        if kind_of(new.ids) == STRINGS:
            pieces |= self._pieces("ids", [text.encode("utf-8", "surrogatepass") for text in new.ids])
        else:
            pieces["ids"] = new.ids.astype(NUMBER, copy=False).tobytes()
        if new.items is not None:
            # A name may hold half of a surrogate pair (from a broken file name): kept rather than refused.
            texts = [b"" if text is None else text.encode("utf-8", "surrogatepass") or EMPTY for text in new.items]
            pieces |= self._pieces("items", texts)
        self._write(self.entry.next(len(new), kind_of(new.ids) == STRINGS, pieces), pieces)

    def remove(self, rows: np.ndarray) -> None:
        """Note rows as removed; the caller holds the lock and has refreshed."""
        pieces = {"removed": rows.astype(NUMBER, copy=False).tobytes()}
        self._write(self.entry.next(0, self.entry.strings, pieces), pieces)

    def _pieces(self, name: str, texts: list[bytes]) -> dict[str, bytes]:
        """The bytes of texts and their ends, to be appended; rows before them that have no end get one, too."""
        size = len(self._bytes[name])
        before = np.full(self.entry.rows - len(self._view(f"{name}.ends", NUMBER)), size)
        ends = size + np.cumsum([len(text) for text in texts], dtype=np.int64)
        return {name: b"".join(texts), f"{name}.ends": np.concatenate([before, ends]).astype(NUMBER).tobytes()}

    def _write(self, entry: Entry, pieces: dict[str, bytes]) -> None:
        """Append to the data files, then to the log, each on the disk before the next begins."""
        try:
            for name, size in zip(FILES, self.entry.sizes, strict=True):
                piece = pieces.get(name, b"")
                # Where a writer was killed, what it left behind is cut off, too.
                if piece or os.path.getsize(self.folder / name) > size:
                    write_at(self.folder / name, size, piece)
            log.append(self.folder / LOG, entry)
        except OSError:
            self._cut_back()
            raise
        self._take(entry)

    def _cut_back(self) -> None:
        """Give back the space of a write that failed; what cannot be cut does no harm, since the log ignores it."""
        for name, end in ((LOG, self.entry.end), *zip(FILES, self.entry.sizes, strict=True)):
            with suppress(OSError):
                os.truncate(self.folder / name, end)

    def _take(self, entry: Entry) -> None:
        """Read the files as far as ``entry`` says, after checking what is new."""
        if entry == self.entry:
            return
        self._check_sizes(entry)
        maps = {name: mapped(self.folder / name, size) for name, size in zip(FILES, entry.sizes, strict=True)}
        for name, start, check, wanted in zip(FILES, self.entry.sizes, self.entry.checks, entry.checks, strict=True):
            if crc32(maps[name][start:].data, check) != wanted:
                raise damaged(self.folder / name, "its bytes do not match their checksum in the log")
        self._bytes, self.entry = maps, entry

    def _check_sizes(self, entry: Entry) -> None:
        """Refuse a log that contradicts itself."""
        sizes = dict(zip(FILES, entry.sizes, strict=True))
        wanted = {
            "codes": entry.rows * words_of(self.bits) * word_of(self.bits).itemsize,
            "floats": entry.rows * self.floats * HALF.itemsize,
            "ids.ends" if entry.strings else "ids": entry.rows * NUMBER.itemsize,
        }
        if entry.rows < self.entry.rows or any(sizes[name] != size for name, size in wanted.items()):
            raise damaged(self.folder / LOG, f"it says that {entry.rows:,} rows take {sizes} bytes")

    def _view(self, name: str, dtype: np.dtype) -> np.ndarray:
        return self._bytes[name].view(dtype)

    def _texts(self, name: str, rows: np.ndarray) -> Iterator[bytes]:
        """The bytes of the strings of rows, one by one."""
        letters, ends = self._bytes[name].data, self._view(f"{name}.ends", NUMBER)
        starts = np.where(rows > 0, ends[rows - 1], 0) if len(rows) else rows
        return (letters[start:end].tobytes() for start, end in zip(starts.tolist(), ends[rows].tolist(), strict=True))


def mapped(path: Path, size: int) -> np.ndarray:
    """The first ``size`` bytes of a file, (size,) uint8, fetched when they are looked at."""
    with open(path, "rb") as file:
        there = os.fstat(file.fileno()).st_size
        if there < size:
            raise damaged(path, f"it has {there:,} bytes where {size:,} belong")
        if not size:
            return np.empty(0, dtype=np.uint8)
        return np.frombuffer(mmap.mmap(file.fileno(), size, access=mmap.ACCESS_READ), dtype=np.uint8)
