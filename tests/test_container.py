"""Compressed files: every byte is checked, every claim is limited, and none is ever half there."""

from __future__ import annotations

import io
import struct
import tracemalloc
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from zlib import crc32

import pytest

from isthmus.coding import container
from isthmus.coding.container import (
    BEGINNING,
    CHECK,
    END,
    FORMAT_VERSION,
    HEAD,
    LARGEST_PAYLOAD,
    MARK,
    Block,
    BlockReader,
    BlockWriter,
    opened,
    packed,
    written,
)
from isthmus.coding.header import LONGEST_HEADER
from isthmus.errors import FileFormatError, InputError

ABOUT = {"shape": [None, 28], "dtype": "uint8", "settings": {"max_error": 0.5}}
BLOCKS = [Block(b"first", 3, 17), Block(b"", 0), Block(bytes(range(40)), 5, 2**32 - 1)]


def read(data: bytes) -> tuple[dict[str, Any], list[Block]]:
    reader = BlockReader(io.BytesIO(data))
    return reader.about, list(reader)


def test_blocks_come_back() -> None:
    for blocks in (BLOCKS, [], BLOCKS[1:2]):
        assert read(packed(ABOUT, blocks)) == (ABOUT, blocks)
    assert read(packed({}, [])) == ({}, [])


def test_the_bytes_of_version_1_stay_what_they_are() -> None:
    header = b'{"a":1}'
    beginning = b"\x89isz\r\n\x1a\n" + (1).to_bytes(4, "little") + len(header).to_bytes(4, "little") + header
    seed = crc32(beginning)
    head = b"B" + struct.pack("<IIII", 3, 5, 17, crc32(b"first"))
    check = crc32(bytes(8), crc32(head, seed))
    end = b"E" + struct.pack("<QQI", 1, 3, crc32(check.to_bytes(4, "little"), seed))
    data = beginning + seed.to_bytes(4, "little") + head + check.to_bytes(4, "little") + b"first"
    data += end + crc32(b"\1" + bytes(7), crc32(end, seed)).to_bytes(4, "little")
    assert packed({"a": 1}, BLOCKS[:1]) == data
    assert (data[:8], 1) == (MARK, FORMAT_VERSION)


def test_every_flipped_byte_is_noticed() -> None:
    data = packed(ABOUT, BLOCKS)
    for place in range(len(data)):
        for flip in (1, 128, 255):
            altered = bytearray(data)
            altered[place] ^= flip
            with pytest.raises(FileFormatError):
                read(bytes(altered))


def test_every_length_it_is_cut_to_is_noticed() -> None:
    data = packed(ABOUT, BLOCKS)
    for length in range(len(data)):
        with pytest.raises(FileFormatError, match="byte"):
            read(data[:length])
    with pytest.raises(FileFormatError, match="follows its end"):
        read(data + b"\0")


def test_no_byte_in_the_middle_is_lost_or_added() -> None:
    data = packed(ABOUT, BLOCKS)
    for place in range(len(data)):
        for altered in (data[:place] + data[place + 1 :], data[:place] + b"B" + data[place:]):
            with pytest.raises(FileFormatError):
                read(altered)


def pieces(data: bytes) -> list[bytes]:
    """Header, blocks, end."""
    cuts = [BEGINNING.size + BEGINNING.unpack(data[: BEGINNING.size])[2] + CHECK.size]
    for block in BLOCKS:
        cuts.append(cuts[-1] + HEAD.size + CHECK.size + len(block.payload))
    return [data[start:end] for start, end in zip([0, *cuts], [*cuts, len(data)], strict=True)]


def test_blocks_cannot_be_moved_left_out_repeated_or_taken_from_another_file() -> None:
    header, first, second, third, end = pieces(packed(ABOUT, BLOCKS))
    foreign = pieces(packed(ABOUT | {"dtype": "int8"}, BLOCKS))
    assert read(header + first + second + third + end)[1] == BLOCKS
    for parts in (
        [header, second, first, third, end],
        [header, first, second, end],
        [header, first, first, second, third, end],
        [header, foreign[1], second, third, end],
        [foreign[0], first, second, third, end],
        [header, first, second, third, foreign[-1]],
        [header, first, second, third, end, end],
    ):
        with pytest.raises(FileFormatError):
            read(b"".join(parts))


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "is empty"),
        (b"\x93NUMPY\x01\x00v\x00" + bytes(99), "NumPy array, which has not been compressed"),
        (bytes([200, 1, 0, 0, 0, 0, 0, 0]) + b'{"a":1}' + bytes(99), "looks like a model"),
        (b"plain text", "does not begin as"),
        (b"P", "does not begin as"),
        (MARK[:5], "only 5 bytes"),
        (MARK.replace(b"\r\n", b"\n") + bytes(20), "does not begin as"),
        (BEGINNING.pack(MARK, 2, 5) + bytes(99), "newer isthmus .format 2."),
        (BEGINNING.pack(MARK, 0, 5) + bytes(99), "its format is 0"),
        (BEGINNING.pack(MARK, 1, LONGEST_HEADER + 1) + bytes(99), "its header has 1,048,577 bytes"),
    ],
)
def test_other_files_are_told_apart(data: bytes, words: str) -> None:
    with pytest.raises(FileFormatError, match=words):
        read(data)


def with_header(text: bytes) -> bytes:
    """A file whose checks are right and whose header is this."""
    beginning = BEGINNING.pack(MARK, 1, len(text)) + text
    return beginning + CHECK.pack(crc32(beginning))


@pytest.mark.parametrize(
    "text",
    [
        b"[1]",
        b"",
        b"{",
        b"null",
        b'{"a":NaN}',
        b'{"a":-Infinity}',
        b'{"a":1e999}',
        b'{"a":1,"a":2}',
        b'{"a":{"b":1,"b":1}}',
        b'{"a":1} x',
        b'{"\xe9":1}',
        b'{"a":' + b"[" * 200_000 + b"]" * 200_000 + b"}",
        b'{"a":' + b"9" * 10_000 + b"}",
    ],
)
def test_a_header_that_is_no_strict_json_is_refused(text: bytes) -> None:
    with pytest.raises(FileFormatError, match="header that cannot be read"):
        BlockReader(io.BytesIO(with_header(text)))


@pytest.mark.parametrize(
    "about", [{"a": float("nan")}, {"a": (1, 2)}, {1: "a"}, {"a": object()}, ["a"], {"a": "x" * LONGEST_HEADER}]
)
def test_only_strict_json_is_written(about: Any) -> None:
    file = io.BytesIO()
    with pytest.raises(InputError, match="about must be"):
        BlockWriter(file, about)
    assert file.getvalue() == b""


def with_head(rows: int, length: int, payload: bytes) -> bytes:
    """A file whose checks are right and whose one block claims this."""
    beginning = with_header(b"{}")
    head = HEAD.pack(b"B", rows, length, 0, crc32(payload))
    return beginning + head + CHECK.pack(container.head_check(head, 0, crc32(beginning[:-4]))) + payload


def test_a_claim_takes_no_memory() -> None:
    for data, words in [
        (with_head(1, LARGEST_PAYLOAD + 1, b""), "claims 1 rows in 268,435,457 bytes"),
        (with_head(1, LARGEST_PAYLOAD, b"abc"), "ends 268,435,453 bytes too early"),
        (with_head(11, 3, b"abc"), "claims 11 rows"),
    ]:
        tracemalloc.start()
        try:
            with pytest.raises(FileFormatError, match=words):
                list(BlockReader(io.BytesIO(data), most_rows=10))
            assert tracemalloc.get_traced_memory()[1] < 4 * 2**20
        finally:
            tracemalloc.stop()


def test_too_large_blocks_are_not_written(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(container, "LARGEST_PAYLOAD", 10)
    file = io.BytesIO()
    writer = BlockWriter(file, ABOUT)
    for block, words in [
        (Block(bytes(11), 1), "10 bytes at most; got 11"),
        (Block(b"", -1), "rows must be"),
        (Block(b"", 2**32), "rows must be"),
        (Block(b"", 1, 2**32), "check must be"),
    ]:
        with pytest.raises(InputError, match=words):
            writer.add(block)
    writer.end()
    assert file.getvalue() == packed(ABOUT, [])


class Pipe(io.RawIOBase):
    """Gives a byte or two at a time, and cannot seek."""

    def __init__(self, data: bytes) -> None:
        self._left = data

    def read(self, size: int = -1) -> bytes:
        found, self._left = self._left[: min(size, 2)], self._left[min(size, 2) :]
        return found


def test_a_pipe_is_read_as_it_comes() -> None:
    data = packed(ABOUT, BLOCKS)
    assert list(BlockReader(Pipe(data))) == BLOCKS  # type: ignore[arg-type]
    with pytest.raises(FileFormatError, match="too early"):
        list(BlockReader(Pipe(data[:-1])))  # type: ignore[arg-type]


def test_one_block_is_read_alone() -> None:
    data = bytearray(packed(ABOUT, BLOCKS))
    # Another block's payload is neither read nor needed.
    data[data.index(b"first")] ^= 1
    assert BlockReader(io.BytesIO(data)).one(2) == BLOCKS[2]
    assert BlockReader(io.BytesIO(data)).one(1) == BLOCKS[1]
    with pytest.raises(FileFormatError, match="block 1 does not match"):
        BlockReader(io.BytesIO(data)).one(0)
    for number, words in [(3, "has 3 blocks; got 3"), (-1, "number must be"), (0.5, "number must be")]:
        with pytest.raises(InputError, match=words):
            BlockReader(io.BytesIO(data)).one(number)  # type: ignore[arg-type]


def test_blocks_stream_through_little_memory(tmp_path: Path) -> None:
    path, payload = tmp_path / "large.isz", bytes(2**20)

    def many() -> Iterator[Block]:
        for number in range(40):
            yield Block(payload, number)

    tracemalloc.start()
    try:
        with written(path, ABOUT) as writer:
            for block in many():
                writer.add(block)
        with opened(path) as reader:
            rows = [block.rows for block in reader]
        assert tracemalloc.get_traced_memory()[1] < 6 * 2**20
    finally:
        tracemalloc.stop()
    assert rows == list(range(40))


def test_no_half_file_is_left(tmp_path: Path) -> None:
    path = tmp_path / "data.isz"
    path.write_bytes(b"old")

    def fail() -> None:
        with written(path, ABOUT) as writer:
            writer.add(BLOCKS[0])
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fail()
    assert [found.name for found in tmp_path.iterdir()] == ["data.isz"]
    assert path.read_bytes() == b"old"
    with written(path, ABOUT) as writer:
        writer.add(BLOCKS[0])
    with opened(path) as reader:
        assert (reader.about, list(reader)) == (ABOUT, BLOCKS[:1])


def test_files_are_named_in_errors(tmp_path: Path) -> None:
    for path, words in [(tmp_path / "none.isz", "No such file"), (tmp_path, "Is a directory|Permission denied")]:
        with pytest.raises(InputError, match=words), opened(path):
            pass
    path = tmp_path / "cut.isz"
    path.write_bytes(packed(ABOUT, BLOCKS)[:-1])
    with pytest.raises(FileFormatError, match=r"cut\.isz.* ends 1 byte too early"), opened(path) as reader:
        list(reader)
    with pytest.raises(InputError, match="folder does not exist"), written(tmp_path / "no" / "a.isz", ABOUT):
        pass


def test_the_end_must_tell_of_the_blocks_there_are() -> None:
    beginning = with_header(b"{}")
    seed = crc32(beginning[:-4])
    for blocks, rows, heads, fine in [(0, 0, seed, True), (1, 0, seed, False), (0, 1, seed, False), (0, 0, 1, False)]:
        end = END.pack(b"E", blocks, rows, heads)
        data = beginning + end + CHECK.pack(container.head_check(end, 0, seed))
        if fine:
            assert read(data) == ({}, [])
        else:
            with pytest.raises(FileFormatError, match="tells of other blocks"):
                read(data)
