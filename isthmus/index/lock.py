"""One writer at a time: a lock that the system lets go of when its holder ends, however it ends."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from isthmus.errors import InputError

PAUSE = 0.02
"""Seconds between two attempts."""

if sys.platform == "win32":  # pragma: no cover
    import msvcrt

    # Beyond the text, because Windows lets nobody else read the bytes that are locked.
    PLACE = 1 << 20

    def _take(file: BinaryIO) -> None:
        file.seek(PLACE)
        msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)

    def _let_go(file: BinaryIO) -> None:
        file.seek(PLACE)
        msvcrt.locking(file.fileno(), msvcrt.LK_UNLCK, 1)

    TAKEN: tuple[type[OSError], ...] = (PermissionError,)
else:
    import fcntl

    def _take(file: BinaryIO) -> None:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)

    def _let_go(file: BinaryIO) -> None:
        fcntl.flock(file, fcntl.LOCK_UN)

    TAKEN = (BlockingIOError,)


@contextmanager
def locked(path: Path, wait: float) -> Iterator[None]:
    """Hold the lock of the file ``path``, made if need be, which then holds the number of this process.

    Parameters
    ----------
    path : a file that serves for nothing else.
    wait : seconds to wait for another holder, in this process or another.

    Raises
    ------
    InputError : another holder kept it for longer.
    OSError : the file cannot be opened for writing.
    """
    end = time.monotonic() + wait
    with open(os.open(path, os.O_RDWR | os.O_CREAT, 0o666), "r+b", buffering=0) as file:
        while True:
            try:
                _take(file)
                break
            except TAKEN:
                if time.monotonic() >= end:
                    raise InputError(_who(file, path, wait)) from None
                time.sleep(PAUSE)
        try:
            # A courtesy to those who wait; a full disk fails the write that follows in clearer words.
            with suppress(OSError):
                file.seek(0)
                file.write(b"%-20d\n" % os.getpid())
            yield
        finally:
            _let_go(file)


def _who(file: BinaryIO, path: Path, wait: float) -> str:
    """The sentence about a lock that was not had."""
    file.seek(0)
    number = file.read(20).strip()
    holder = f"process {number.decode()}" if number.isdigit() else "another process"
    return (
        f"cannot write {str(path.parent)!r}: {holder} is writing to it, and has not finished in {wait:g} s. "
        f"Try again when it has. Nothing was written."
    )
