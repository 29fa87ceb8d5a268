"""What the command line says when something goes wrong: one line, in the words of a shell, and an exit code."""

from __future__ import annotations

import errno
import os
import re
import shlex
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import typer

from isthmus.errors import (
    FileFormatError,
    ForeignCheckpointError,
    InputError,
    IsthmusWarning,
    MissingExtraError,
    TrainingError,
)


def say(sentence: str) -> None:
    """One line on the standard error."""
    print(f"isthmus: {for_terminal(sentence)}", file=sys.stderr, flush=True)


def for_terminal(sentence: str) -> str:
    """A sentence of the library as one line, its advice in terms of the command line.

    >>> for_terminal("Leave it out\\nwith columns={'a b': 'ignore'}.")
    "Leave it out with --column 'a b'=ignore."
    >>> for_terminal("columns: there is no column 'agee'. To keep one, say columns={'id': 'category'}.")
    "--column: there is no column 'agee'. To keep one, say --column id=category."
    >>> for_terminal("Feature names unseen at fit time:\\n- age\\n- income\\nLeave them out.")
    'New columns: age, income. Leave them out.'
    >>> for_terminal("it holds text now (Arrow type string). Make it what it was: df['a'] = pandas.to_numeric(df['a'])")
    'it holds text now. Make that column of the file what it was, or fit again'
    """
    for python, shell in IN_THE_SHELL.items():
        sentence = sentence.replace(python, shell)
    for pattern, shell in ABOUT_FRAMES.items():
        sentence = re.sub(pattern, shell, sentence)
    sentence = re.sub(r":\n((?:- .*\n)+)", lambda m: f": {', '.join(m[1][2:-1].split(chr(10) + '- '))}.\n", sentence)
    sentence = re.sub(SEVERAL_ARRAYS, lambda m: f"{m[1]}. Save the one that is meant: {to_npy(m[2], m[3])}", sentence)
    sentence = re.sub(COLUMN_WISH, lambda m: f"--column {shlex.quote(m[1])}={m[2]}", sentence)
    return " ".join(re.sub(r"^columns: ", "--column: ", sentence).split())


IN_THE_SHELL = {
    "The feature names should match those that were passed during fit.": "the columns are not those of the fit.",
    "Feature names unseen at fit time": "New columns",
    "Feature names seen at fit time, yet now missing": "Missing columns",
    "save it as CSV, or give pandas.read_excel(...)": "save it as CSV",
    "fit without resume": "leave out --resume",
    "X is unlike the data of the fit: it took": "these data are unlike those of the fit: they took",
    "(max_time)": "(--max-time)",
    "give the same for these rows, given=...": "give the same for these rows with --given COLUMN|FILE",
}
"""What the library says to those who write Python, and what it means on a command line."""

ABOUT_FRAMES = {
    r" \(Arrow type [^)]*\)\. Make it what it was: .*$": ". Make that column of the file what it was, or fit again",
    r" Say their unit: pandas\..*$": " Write dates as 2024-05-31, or 2024-05-31 12:30",
    r"Convert it: pandas\.to_datetime\(.*$": "Correct that cell, or empty it",
    r" or make them missing: pandas\.to_datetime\(.*$": " or empty them",
    r"Say which: pandas\.to_datetime\(.*$": "Write them as 2024-05-31",
    r": give pandas\.Categorical\(\.\.\., ordered=True\) for another": "",
    r"(has(?: no| the)? time zone.*): df\[.*$": r"\1",
    r"or give it as a frame, whose columns may hold anything: pandas\.DataFrame\([^)]*\)": "or save the table as CSV",
    r"Give such a frame: pandas\.DataFrame\(.*$": "Save the table as CSV or Parquet",
    r"replace these cells \(with NaN, say\)": "replace or empty these cells",
    r"choose with task='(\w+)'": r"choose with --task \1",
    r"or choose with mode=$": "or choose with --mode",
}
"""Advice with lines of Python that change a frame, and what it is to those who have a file."""

COLUMN_WISH = r"columns=\{['\"]?([^'\"}]*)['\"]?: '(\w+)'\}"
"""What a column is to be, as Python takes it."""

SEVERAL_ARRAYS = r"^(('.*') holds several arrays: .*)\. Give the one that is meant, numpy\.load\(path\)\[(.*?)\],.*"


def to_npy(path: str, key: str) -> str:
    """The command that takes one array out of a .npz file; both words are written as Python writes them.

    >>> print(to_npy("'all.npz'", "'x'"))
    python -c "import numpy; numpy.save('data.npy', numpy.load('all.npz')['x'])"
    """
    program = f"import numpy; numpy.save('data.npy', numpy.load({path})[{key}])"
    return "python -c " + (shlex.quote(program) if set(program) & set('"$`\\!') else f'"{program}"')


def explained(error: Exception) -> tuple[str, int] | None:
    """What to say about an error, and the exit code: 2 for a mistake in the call or the data; None for a bug.
    Nothing is left to say where help was shown."""
    if isinstance(error, (InputError, FileFormatError, ForeignCheckpointError)):
        return str(error), 2
    if isinstance(error, (TrainingError, MissingExtraError)):
        return str(error), 1
    if isinstance(error, MemoryError):
        return f"not enough memory{f' ({error})' if str(error) else ''}; try fewer rows or columns", 1
    if isinstance(error, OSError):
        where = "" if error.filename is None else f"{os.fsdecode(error.filename)!r}: "
        theirs = error.errno in (errno.ENOENT, errno.EACCES, errno.EPERM, errno.EISDIR, errno.ENOTDIR, errno.EEXIST)
        return f"{where}{error.strerror or error}", 2 if theirs else 1
    if isinstance(error, typer.Abort):
        return "stopped", 1
    if type(error).__name__ == "NoArgsIsHelpError":  # whose help was shown already
        return "", 2
    if hasattr(error, "format_message"):  # an error of the command line's own parser
        context = getattr(error, "ctx", None)
        path = "isthmus" if context is None else " ".join(["isthmus", *context.command_path.split()[1:]])
        said = error.format_message().rstrip(".")
        return f"{said}{'' if said.endswith('?') else '.'} See: {path} --help", 2
    return None


@contextmanager
def notes(debug: bool) -> Iterator[None]:
    """Show the library's own warnings as lines that begin with "note:", each once, and no others."""
    said: set[str] = set()

    def show(
        message: Warning | str, category: type[Warning], filename: str, lineno: int, file: Any = None, line: Any = None
    ) -> None:
        text = for_terminal(str(message))
        if debug and not issubclass(category, IsthmusWarning):
            print(f"{filename}:{lineno}: {category.__name__}: {text}", file=sys.stderr)
        elif issubclass(category, IsthmusWarning) and text not in said:
            said.add(text)
            print(f"note: {text}", file=sys.stderr, flush=True)

    with warnings.catch_warnings():
        warnings.simplefilter("always", IsthmusWarning)
        warnings.showwarning = show
        yield
