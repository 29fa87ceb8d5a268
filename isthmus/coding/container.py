"""Files of compressed blocks (``.isz``): a header, blocks that can each be decoded alone, and an end.

All numbers are unsigned, the lowest byte first; checks are CRC-32::

    8 bytes  MARK            4  format version    4  length of the header    n  header (JSON)    4  check of all so far
    block    1  b"B"    4  rows    4  length    4  check of the rows    4  check of the payload    4  check of these
             n  payload
    end      1  b"E"    8  blocks    8  rows    4  check of all heads of blocks    4  check of these

The checks of a block's head and of the end go on from that of the header and hold the number of the block. So
a block cannot be moved, left out, or taken from another file without notice.
"""

from __future__ import annotations

import io
import os
import struct
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, NoReturn
from zlib import crc32

from isthmus.checks import check_whole, counted, is_whole
from isthmus.coding.header import LONGEST_HEADER, header_text, parsed_header
from isthmus.errors import FileFormatError, InputError
from isthmus.files import written_whole

MARK = b"\x89isz\r\n\x1a\n"
"""As PNG's: a copy that changes line ends or drops the eighth bit is noticed at once."""

FORMAT_VERSION = 1

LARGEST_PAYLOAD = 2**28
"""Bytes, so that a reader never takes more memory than this for what a file claims."""

MOST_ROWS = 2**32 - 1

BEGINNING = struct.Struct("<8sII")
HEAD = struct.Struct("<cIIII")
END = struct.Struct("<cQQI")
CHECK = struct.Struct("<I")


@dataclass(frozen=True)
class Block:
    """One block of a file.

    Attributes
    ----------
    payload : the coded rows.
    rows : how many.
    check : CRC-32 of the rows as they were before coding, or whatever the writer gave.
    """

    payload: bytes
    rows: int
    check: int = 0


class BlockWriter:
    """Writes a header, then blocks as they come, then the end; nothing is kept in memory.

    Parameters
    ----------
    file : a binary file open for writing, or anything with ``write``.
    about : the header: JSON data, `LONGEST_HEADER` bytes at most as text.

    Raises
    ------
    InputError : the header is no strict JSON (a NaN, a key that is no string), or too long.

    Examples
    --------
    >>> file = io.BytesIO()
    >>> writer = BlockWriter(file, {"dtype": "uint8"})
    >>> writer.add(Block(b"coded", rows=3))
    >>> writer.end()
    >>> reader = BlockReader(io.BytesIO(file.getvalue()))
    >>> reader.about, list(reader)
    ({'dtype': 'uint8'}, [Block(payload=b'coded', rows=3, check=0)])
    """

    def __init__(self, file: BinaryIO, about: dict[str, Any]) -> None:
        text = header_text(about)
        beginning = BEGINNING.pack(MARK, FORMAT_VERSION, len(text)) + text
        self._file, self._seed = file, crc32(beginning)
        self._blocks, self._rows, self._heads = 0, 0, self._seed
        file.write(beginning + CHECK.pack(self._seed))

    def add(self, block: Block) -> None:
        """Write one block.

        Raises
        ------
        InputError : more than `LARGEST_PAYLOAD` bytes or `MOST_ROWS` rows; nothing is written then.
        """
        if len(block.payload) > LARGEST_PAYLOAD:
            raise InputError(
                f"block: its payload may have {LARGEST_PAYLOAD:,} bytes at most; got {len(block.payload):,}. "
                f"Use fewer rows in a block"
            )
        for name, value in (("rows", block.rows), ("check", block.check)):
            if not is_whole(value) or not 0 <= value <= MOST_ROWS:
                raise InputError(f"block: {name} must be a whole number in 0..{MOST_ROWS:,}; got {value!r}")
        head = HEAD.pack(b"B", block.rows, len(block.payload), block.check, crc32(block.payload))
        check = head_check(head, self._blocks, self._seed)
        self._file.write(head + CHECK.pack(check))
        self._file.write(block.payload)
        self._blocks, self._rows = self._blocks + 1, self._rows + block.rows
        self._heads = crc32(CHECK.pack(check), self._heads)

    def end(self) -> None:
        """Write the end, without which no reader takes the file for a whole one."""
        end = END.pack(b"E", self._blocks, self._rows, self._heads)
        self._file.write(end + CHECK.pack(head_check(end, self._blocks, self._seed)))


class BlockReader:
    """Reads what a `BlockWriter` wrote, block by block; every byte is checked before it is used.

    Parameters
    ----------
    file : a binary file open for reading, or anything with ``read``.
    name : of the file, for messages.
    most_rows : rows that a block may claim, so that the caller need not take memory for more.

    Attributes
    ----------
    about : dict
        The header.

    Raises
    ------
    FileFormatError : empty, cut, altered, of another kind, or newer than this version; also while blocks are read.
    """

    def __init__(self, file: BinaryIO, name: str = "the data", most_rows: int = MOST_ROWS) -> None:
        self._file, self._name, self._most_rows = file, name, most_rows
        beginning = self._read(BEGINNING.size, partly=True)
        self._check_beginning(beginning)
        _, _, length = BEGINNING.unpack(beginning)
        text = self._read(length)
        self._seed = crc32(text, crc32(beginning))
        if self._read(CHECK.size) != CHECK.pack(self._seed):
            self._refuse("its header does not match its checksum")
        try:
            self.about = parsed_header(text)
        except (ValueError, RecursionError) as error:
            raise FileFormatError(f"{self._name} has a header that cannot be read: {error}") from error

    def __iter__(self) -> Iterator[Block]:
        """The blocks, once; then the end is checked, and that nothing follows it."""
        blocks, rows, heads = 0, 0, self._seed
        while (kind := self._read(1)) == b"B":
            head, check = self._head(blocks)
            yield self._block(head, blocks)
            blocks, rows, heads = blocks + 1, rows + head[1], crc32(CHECK.pack(check), heads)
        end = kind + self._read(END.size - 1)
        self._checked(end, blocks, f"what follows its block {blocks}")
        if END.unpack(end) != (b"E", blocks, rows, heads):
            self._refuse(f"its end tells of other blocks than its {blocks}")
        if self._file.read(1):
            self._refuse("something follows its end")

    def one(self, number: int) -> Block:
        """The block with this number, from 0; the payloads before it are skipped, not read.

        Instead of iterating, and of a file that can seek. What follows the block is not checked.

        Raises
        ------
        InputError : there are fewer blocks.
        """
        check_whole("BlockReader.one", least=0, number=number)
        for blocks in range(number + 1):
            if self._read(1) != b"B":
                raise InputError(f"number: {self._name} has {counted(blocks, 'block')}; got {number}")
            head, _ = self._head(blocks)
            if blocks < number:
                self._file.seek(head[2], os.SEEK_CUR)
        return self._block(head, number)

    def _head(self, blocks: int) -> tuple[tuple[bytes, int, int, int, int], int]:
        """The fields of a block's head after its first byte, and their check."""
        head = b"B" + self._read(HEAD.size - 1)
        check = self._checked(head, blocks, f"the head of its block {blocks + 1}")
        fields = HEAD.unpack(head)
        if fields[2] > LARGEST_PAYLOAD or fields[1] > self._most_rows:
            self._refuse(f"its block {blocks + 1} claims {fields[1]:,} rows in {fields[2]:,} bytes")
        return fields, check

    def _block(self, head: tuple[bytes, int, int, int, int], blocks: int) -> Block:
        """The block of this head, its payload read and checked."""
        _, rows, length, content, payload_check = head
        payload = self._read(length)
        if crc32(payload) != payload_check:
            self._refuse(f"its block {blocks + 1} does not match its checksum")
        return Block(payload, rows, content)

    def _checked(self, head: bytes, blocks: int, what: str) -> int:
        """The check that follows ``head``, which must be right."""
        check = head_check(head, blocks, self._seed)
        if self._read(CHECK.size) != CHECK.pack(check):
            self._refuse(f"{what} does not match its checksum")
        return check

    def _check_beginning(self, beginning: bytes) -> None:
        """Refuse files of other kinds and versions, and a header that claims too much."""
        if not beginning:
            raise FileFormatError(f"{self._name} is empty (0 bytes). Copy it again")
        if not beginning.startswith(MARK[: len(beginning)]):
            raise FileFormatError(f"{self._name} holds nothing that isthmus compressed: {looks_like(beginning)}")
        if len(beginning) < BEGINNING.size:
            self._refuse(f"it has only {len(beginning)} bytes")
        _, version, length = BEGINNING.unpack(beginning)
        if version > FORMAT_VERSION:
            raise FileFormatError(
                f"{self._name} was compressed by a newer isthmus (format {version}); this version reads up to "
                f"{FORMAT_VERSION}: pip install --upgrade isthmus"
            )
        if version < 1 or length > LONGEST_HEADER:
            self._refuse(f"its format is {version}, and its header has {length:,} bytes")

    def _read(self, count: int, *, partly: bool = False) -> bytes:
        """The next ``count`` bytes, or the error about a file that ends before them."""
        pieces, left = [], count
        # A pipe gives fewer than asked for; and a claim takes no memory for bytes that do not come.
        while left and (piece := self._file.read(min(left, 2**20))):
            pieces.append(piece)
            left -= len(piece)
        if left and not partly:
            self._refuse(f"it ends {counted(left, 'byte')} too early")
        return b"".join(pieces)

    def _refuse(self, why: str) -> NoReturn:
        raise FileFormatError(f"{self._name} is truncated or was altered: {why}. Copy or compress it again")


def head_check(head: bytes, blocks: int, seed: int) -> int:
    """The check of a head that ``blocks`` blocks come before, in the file whose header has the check ``seed``."""
    return crc32(blocks.to_bytes(8, "little"), crc32(head, seed))


def looks_like(data: bytes) -> str:
    """What the beginning of a file of another kind tells of it."""
    if data[8:9] == b"{":
        return "it looks like a model; give it as the model, and the compressed file as the data"
    if data.startswith(b"\x93NUMPY"):
        return "it looks like a NumPy array, which has not been compressed yet"
    return "it does not begin as an .isz file does"


def packed(about: dict[str, Any], blocks: Iterable[Block]) -> bytes:
    """A whole file in memory."""
    file = io.BytesIO()
    writer = BlockWriter(file, about)
    for block in blocks:
        writer.add(block)
    writer.end()
    return file.getvalue()


@contextmanager
def written(path: str | os.PathLike[str], about: dict[str, Any]) -> Iterator[BlockWriter]:
    """A writer of the file at ``path``, which is there whole at the end of the block, or not at all.

    Raises
    ------
    InputError : the file cannot be written (`isthmus.files.written_whole`), or the header is no JSON.
    """
    with written_whole(path) as beside, open(beside, "wb") as file:
        writer = BlockWriter(file, about)
        yield writer
        writer.end()


@contextmanager
def opened(path: str | os.PathLike[str], most_rows: int = MOST_ROWS) -> Iterator[BlockReader]:
    """A reader of the file at ``path``.

    Raises
    ------
    InputError : there is no such file, or it cannot be read.
    FileFormatError : as of `BlockReader`.
    """
    try:
        file = open(path, "rb")  # noqa: SIM115 - closed below; only its opening belongs to the try
    except OSError as error:
        raise InputError(f"cannot read {str(path)!r}: {error.strerror or error}") from error
    with file:
        yield BlockReader(file, repr(str(Path(path))), most_rows)
