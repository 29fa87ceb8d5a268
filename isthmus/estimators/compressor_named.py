"""The names of pictures' files: kept beside the pictures, and refused where they lead out of their folder."""

from __future__ import annotations

import base64
import os
import unicodedata
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from isthmus.checks import counted, listed
from isthmus.coding.header import LONGEST_HEADER
from isthmus.data.pictures import FORMATS, HELD, write_image
from isthmus.errors import DataWarning, FileFormatError, InputError
from isthmus.estimators.compressor_levels import packed_texts, unpacked_texts

ROOM = LONGEST_HEADER // 2
"""Letters of a file's header that names may take; the header has them, as any part of the pictures needs some."""

FORBIDDEN = frozenset(map(chr, (*range(32), 127))) | frozenset('\\:*?"<>|')
"""What some system takes for something else in a name."""

LONGEST_PART = 255
"""Bytes of a part of a path."""

RESERVED = frozenset(("con", "prn", "aux", "nul", *(f"{port}{n}" for port in ("com", "lpt") for n in range(1, 10))))
"""Names that Windows takes for devices, whatever their ending."""


def packed_files(files: Sequence[str]) -> str | None:
    """Names of pictures as text for a header; letters that no system bears are written ``_``.

    Warns
    -----
    DataWarning : there is no room for so many; then they are not kept.

    Examples
    --------
    >>> unpacked_files(packed_files(["a/1.png", "a/2:3.png"]), "x")
    ('a/1.png', 'a/2_3.png')
    """
    found = base64.b64encode(packed_texts(apart(list(map(borne, files))))).decode("ascii")
    if len(found) <= ROOM:
        return found
    warnings.warn(
        f"the names of {len(files):,} pictures take more room than a header has; the pictures are packed without them, "
        "and will be called 000000.png and so on. Pack them in several parts to keep the names",
        DataWarning,
        stacklevel=4,
    )
    return None


def borne(name: str) -> str:
    """A name that every system bears, the same where it is one.

    >>> borne("né/a b.png"), borne("what?.png"), borne("con.png")
    ('né/a b.png', 'what_.png', '_con.png')
    """
    plain = "".join("_" if letter in FORBIDDEN or "\ud800" <= letter <= "\udfff" else letter for letter in name)
    parts = [f"_{part}" if part.split(".")[0].lower() in RESERVED else part for part in plain.split("/")]
    return "/".join(part[:-1] + "_" if part.endswith((" ", ".")) else part for part in parts)


def apart(names: list[str]) -> list[str]:
    """Names that tell files apart: of those that are the same, all but the first are given a number.

    >>> apart(["a.png", "b.png", "a.png"])
    ['a.png', 'b.png', 'a-2.png']
    """
    taken, found = set(names), []
    used: set[str] = set()
    for name in names:
        stem, ending = os.path.splitext(name)
        number = 2
        while name in used:
            other, number = f"{stem}-{number}{ending}", number + 1
            name = name if other in taken else other
        used.add(name)
        found.append(name)
    return found


def unpacked_files(packed: Any, name: str) -> tuple[str, ...]:
    """The names of `packed_files`.

    Raises
    ------
    FileFormatError : they are none, lead elsewhere, or come twice.
    """
    try:
        files = tuple(unpacked_texts(base64.b64decode(packed, validate=True)))
    except (ValueError, TypeError) as error:
        raise FileFormatError(f"{name}: the names of its pictures cannot be read: {error}") from error
    for file in files:
        check_below(file, name)
    if len(set(files)) < len(files):
        raise FileFormatError(f"{name}: two of its pictures have one name")
    return files


def check_below(file: str, name: str) -> None:
    """Refuse a name that may lead out of a folder, or be no name at all."""
    parts = file.split("/")
    sound = borne(file) == file and all(part not in ("", ".", "..") for part in parts)
    if not sound or any(len(part.encode()) > LONGEST_PART for part in parts):
        raise FileFormatError(f"{name}: the name of a picture, {file[:80]!r}, may lead out of the folder; refused")


class Folder:
    """Pictures that are written under their names, or as 000000.png and so on.

    Parameters
    ----------
    path : the folder; it is made if there is none.
    files : the names below it; none = numbers.
    """

    def __init__(self, path: Path, files: Sequence[str] = ()) -> None:
        path.mkdir(parents=True, exist_ok=True)
        self.path, self.root, self.count = path, path.resolve(), 0
        self.files, self.known = tuple(files), frozenset(files)
        self.written: dict[str, Path] = {}
        self.replaced: list[str] = []

    def add(self, block: Any) -> None:
        """Write some more pictures."""
        for picture in block:
            if not self.files:
                target = self.path / f"{self.count:06}.png"
            elif self.count < len(self.files):
                target = self._target(self.files[self.count], picture)
            else:
                raise FileFormatError(f"there are more pictures than the {len(self.files):,} names of them")
            if target.exists():
                self.replaced.append(target.relative_to(self.path).as_posix())
            write_image(target, picture)
            self.count += 1

    def tell(self) -> None:
        """Warn of pictures that lay there under these names."""
        if self.replaced:
            warnings.warn(
                f"{str(self.path)!r}: {counted(len(self.replaced), 'picture')} of the same name replaced: "
                f"{listed(self.replaced, 3)}",
                DataWarning,
                stacklevel=5,
            )

    def _target(self, file: str, picture: np.ndarray) -> Path:
        """Where a picture goes; what a format would lose, or cannot hold, becomes a .png."""
        stem, ending = os.path.splitext(file)
        if not lossless(ending, picture):
            # Two pictures that had only their endings to tell them apart keep these.
            file = f"{stem}.png" if f"{stem}.png" not in self.known else f"{file}.png"
        target = self.path / file
        target.parent.mkdir(parents=True, exist_ok=True)
        if not target.resolve().is_relative_to(self.root):
            raise InputError(f"{str(target)!r} is a link that leads out of the folder {str(self.path)!r}: remove it")
        # Some systems take names for one that others tell apart, such as those of large and small letters.
        known = unicodedata.normalize("NFKC", file).casefold()
        other = self.written.get(known)
        if other is not None and (target == other or (target.exists() and target.samefile(other))):
            raise InputError(f"{str(target)!r} and {other.name!r} are one file here: unpack to a .npy file instead")
        self.written[known] = target
        return target


def lossless(ending: str, picture: np.ndarray) -> bool:
    """Whether the format of an ending holds such a picture to the bit, grey as grey."""
    kind = FORMATS.get(ending.lower(), "JPEG")
    channels = 1 if picture.ndim == 2 else picture.shape[2]
    if kind == "JPEG" or (kind == "WEBP" and channels == 1):
        return False
    return channels in HELD[kind][picture.dtype == np.uint16]
