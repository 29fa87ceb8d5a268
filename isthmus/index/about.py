"""What an index says of itself, in a small file that never changes: `about.json`."""

from __future__ import annotations

import hashlib
import json
import secrets
from dataclasses import asdict, dataclass, field
from pathlib import Path

from isthmus.errors import FileFormatError
from isthmus.index.log import damaged

NAME = "about.json"
FORMAT_VERSION = 1
"""The newest layout of the folder that this version of the library writes and reads."""


@dataclass(frozen=True)
class About:
    """The settings of an index on disk.

    Attributes
    ----------
    bits, floats : of its codes, as in `isthmus.index.store.Store`.
    model : digest of the model that made the codes; "" where none was named.
    token : drawn anew for every folder, so that one that took the place of another is told from it.
    """

    bits: int
    floats: int
    model: str = ""
    token: str = field(default_factory=lambda: secrets.token_hex(8))

    def packed(self) -> bytes:
        """The content of the file: JSON, with the SHA-256 of all of it but that entry."""
        said = {"format_version": FORMAT_VERSION, **asdict(self)}
        return (json.dumps({**said, "sha256": digest(said)}, indent=1) + "\n").encode()


def digest(said: dict[str, object]) -> str:
    """The SHA-256 of JSON data, in hexadecimal digits."""
    return hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()


def read(folder: Path) -> About:
    """The settings of an index.

    Raises
    ------
    FileFormatError : the folder is no index, the file was altered, or it is of a newer version.
    OSError : it cannot be read.
    """
    path = folder / NAME
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        raise FileFormatError(f"{str(folder)!r} is not an index of isthmus: it holds no {NAME}") from None
    try:
        said = json.loads(content)
        claimed = said.pop("sha256")
    except (ValueError, TypeError, LookupError, AttributeError, RecursionError):
        raise damaged(path, "it cannot be read") from None
    if claimed != digest(said):
        raise damaged(path, "it does not match its SHA-256 digest")
    if said.get("format_version") != FORMAT_VERSION:
        raise FileFormatError(
            f"{str(folder)!r} is an index of format {said.get('format_version')!r}; this version of isthmus reads "
            f"format {FORMAT_VERSION}: pip install --upgrade isthmus"
        )
    about = About(said["bits"], said["floats"], said["model"], said["token"])
    # The digest is of what the JSON says; blanks and line ends are the file's own.
    if about.packed() != content:
        raise damaged(path, "it is not as it was written")
    return about
