"""The log of an index: what is in its data files, one record for every add and every removal.

The file begins with a head: a mark, how many records were acknowledged, and a CRC-32 of both. Records of
`RECORD` follow. Each says how long every data file is and the CRC-32 of that file from its beginning, so
that the last record alone vouches for all bytes; its own CRC-32 goes on from that of the record before
it, so that none can be left out or moved.

A record counts once it is on the disk whole. The head is written after that, and reaches the disk with the
record after it at the latest. So a record that is not whole was being written when the machine or the
process went down, if the head does not count it: it is dropped. If the head does, the log was cut or
altered since, and is refused.
"""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from pathlib import Path
from zlib import crc32

import numpy as np

from isthmus.errors import FileFormatError

FILES = ("codes", "ids", "ids.ends", "floats", "items", "items.ends", "removed")
"""The data files, in the order of the numbers in a record."""

RECORD = np.dtype(
    [
        ("rows", "<u8"),
        ("sizes", "<u8", len(FILES)),
        ("checks", "<u4", len(FILES)),
        ("strings", "<u4"),
        ("check", "<u4"),
    ]
)
"""Rows so far, bytes of each data file, their CRC-32, whether ids are strings, CRC-32 of this record."""

MARK = b"isthmus1"
HEAD = len(MARK) + 8 + 4


@dataclass(frozen=True)
class Entry:
    """What the last record says.

    Attributes
    ----------
    number : how many records there are.
    rows : in the index, removed ones included.
    sizes, checks : bytes and CRC-32 of every one of `FILES`.
    strings : whether ids are strings.
    check : the CRC-32 of the record.
    """

    number: int = 0
    rows: int = 0
    sizes: tuple[int, ...] = (0,) * len(FILES)
    checks: tuple[int, ...] = (0,) * len(FILES)
    strings: bool = False
    check: int = 0

    def next(self, rows: int, strings: bool, pieces: dict[str, bytes]) -> Entry:
        """The entry after ``rows`` more rows and these bytes more in the files named."""
        sizes = tuple(size + len(pieces.get(name, b"")) for name, size in zip(FILES, self.sizes, strict=True))
        checks = tuple(crc32(pieces.get(name, b""), check) for name, check in zip(FILES, self.checks, strict=True))
        fields = (self.rows + rows, sizes, checks, strings)
        check = crc32(np.array((*fields, 0), dtype=RECORD).tobytes()[:-4], self.check)
        return Entry(self.number + 1, *fields, check)

    def packed(self) -> bytes:
        """The record, as it stands in the file."""
        return np.array((self.rows, self.sizes, self.checks, self.strings, self.check), dtype=RECORD).tobytes()

    @property
    def end(self) -> int:
        """Where in the file the record ends."""
        return HEAD + self.number * RECORD.itemsize


def head(number: int) -> bytes:
    """The head of a log of which ``number`` records were acknowledged."""
    text = MARK + number.to_bytes(8, "little")
    return text + crc32(text).to_bytes(4, "little")


def append(path: Path, entry: Entry) -> None:
    """Write the record of ``entry`` after the one before it; it is on the disk when this returns."""
    write_at(path, entry.end - RECORD.itemsize, entry.packed())
    with open(path, "r+b", buffering=0) as file:
        file.write(head(entry.number))


def write_at(path: Path, start: int, data: bytes) -> None:
    """Write bytes from ``start`` on, to the disk, after cutting off what an unfinished write has left there."""
    with open(path, "r+b", buffering=0) as file:
        if file.seek(0, os.SEEK_END) > start:
            file.truncate(start)
        file.seek(start)
        rest = memoryview(data)
        while len(rest):
            rest = rest[file.write(rest) :]  # a system may take fewer bytes than it is given
        os.fsync(file.fileno())


def read(path: Path, since: Entry = Entry()) -> Entry:
    """The last whole record of a log, every record after ``since`` checked.

    Raises
    ------
    FileFormatError : the log was cut or altered.
    OSError : it cannot be read.
    """
    # The head first: a record that it counts is in the file by then, even if a writer is at work.
    acknowledged = _acknowledged(path)
    with open(path, "rb") as file:
        if file.seek(0, os.SEEK_END) < since.end:
            raise damaged(path, "records that were read from it are gone")
        file.seek(since.end)
        data = memoryview(file.read())
    whole, check = 0, since.check
    length = RECORD.itemsize
    while (whole + 1) * length <= len(data):
        record = data[whole * length : (whole + 1) * length]
        next_check = crc32(record[:-4], check)
        if next_check != int.from_bytes(record[-4:], "little"):
            break
        whole, check = whole + 1, next_check
    number = since.number + whole
    # At most one record can have been on its way when the writer went down.
    if number < acknowledged or len(data) > (whole + 1) * length:
        raise damaged(path, f"its record {number + 1} is not as it was written")
    return since if not whole else _entry(np.frombuffer(data, RECORD, whole)[-1], number)


def _entry(record: np.void, number: int) -> Entry:
    sizes, checks = tuple(record["sizes"].tolist()), tuple(record["checks"].tolist())
    return Entry(number, int(record["rows"]), sizes, checks, bool(record["strings"]), int(record["check"]))


def _acknowledged(path: Path) -> int:
    """The number in the head."""
    for _ in range(3):
        with open(path, "rb") as file:
            text = file.read(HEAD)
        number = int.from_bytes(text[len(MARK) : -4], "little")
        if text == head(number):
            return number
        time.sleep(0.005)  # a writer may have been half way through it
    raise damaged(path, "its beginning is not as it was written")


def damaged(path: Path, why: str) -> FileFormatError:
    """The error for a file of an index that is not as it was left."""
    return FileFormatError(
        f"{str(path)!r} is truncated or was altered: {why}. Put the whole folder {str(path.parent)!r} back from a "
        f"copy, or make the index anew"
    )
