"""Refuse now what could not be written after the work."""

from __future__ import annotations

import errno
import os
import tempfile
from pathlib import Path

from isthmus.errors import InputError
from isthmus.files import cannot_write


def check_output(option: str, path: str, endings: tuple[str, ...], *inputs: str) -> None:
    """Refuse now what could not be written after the work."""
    final = Path(path)
    if final.suffix.lower() not in endings:
        raise InputError(f"{option}: the file must end in {' or '.join(endings)}; got {path!r}")
    if any(final.exists() and Path(given).exists() and final.samefile(given) for given in inputs):
        raise InputError(f"{option}: {path!r} is what is read; choose another name, so that it is not overwritten")
    try:
        if final.is_dir():
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        with tempfile.TemporaryFile(dir=final.parent):
            pass
    except OSError as error:
        raise cannot_write(final, error) from error


def check_folder(option: str, path: str) -> None:
    """Make a folder, or refuse it now."""
    try:
        Path(path).mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=path):
            pass
    except OSError as error:
        raise InputError(f"{option}: {cannot_write(Path(path), error)}") from error
