"""What is meant of a folder where texts and pictures lie side by side, and which files hold a text."""

from __future__ import annotations

import warnings
from pathlib import Path

from isthmus.checks import counted, listed
from isthmus.data.documents import files_below
from isthmus.data.images import check_any, image_files
from isthmus.data.messages import is_binary
from isthmus.data.pictures import FORMATS
from isthmus.errors import DataWarning, InputError

TEXTS, PICTURES = KINDS = ("texts", "pictures")
"""What ``--as`` may say."""

START = 4096
"""Bytes of a file that tell whether it is a text."""


def kind_of(folder: Path, meant: str | None, possible: tuple[str, ...] = KINDS) -> str:
    """Whether the texts or the pictures of a folder are to be read; a note tells of what is passed over.

    Parameters
    ----------
    meant : what ``--as`` says; None = what lies there, if it is of one kind.
    possible : what ``--as`` might have said, for the error.

    Raises
    ------
    InputError : both kinds lie there, and ``--as`` does not say which is meant; none of the kind that is meant does.
    """
    pictures = image_files(folder)
    if meant is None and not pictures:
        return TEXTS
    if meant == PICTURES:
        check_any(pictures, folder)
    files = files_below(folder)[0]
    texts = [file for file in files if file.suffix.lower() not in FORMATS and holds_text(file)]
    if meant is None and texts:
        choices = " or ".join(f"--as {kind}" for kind in possible)
        raise InputError(
            f"{str(folder)!r} holds {counted(len(texts), 'text')} and {counted(len(pictures), 'picture')}: say which "
            f"are meant, {choices}; the others are then passed over"
        )
    if meant == TEXTS and not texts:
        raise InputError(f"--as texts: {str(folder)!r} holds none")
    kind, known = meant or PICTURES, set(pictures)
    passed = [file for file in files if (file.suffix.lower() in FORMATS if kind == TEXTS else file not in known)]
    if passed:
        endings = listed(sorted({file.suffix.lower() or file.name for file in passed}), 5)
        said = f"{str(folder)!r}: of it only the {kind} are read; {counted(len(passed), 'file')} passed over: {endings}"
        warnings.warn(said, DataWarning, stacklevel=2)
    return kind


def holds_text(file: Path) -> bool:
    """Whether a file begins as a text does.

    >>> holds_text(Path(__file__)), holds_text(Path("gone"))
    (True, False)
    """
    try:
        with open(file, "rb") as opened:
            start = opened.read(START)
    except OSError:
        return False
    return bool(start.strip()) and not is_binary(start)
