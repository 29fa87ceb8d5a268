"""Lines on the terminal: named facts, commands to copy, sizes of files."""

from __future__ import annotations

import shlex
import shutil
import textwrap
from pathlib import Path

from isthmus.checks import counted

INDENT = 16
"""Where the text of a line begins that has a name."""

NAME = 21
"""Characters of a column's name that are shown."""


def line(name: str, text: str) -> None:
    """One named fact, wrapped to the width of the terminal."""
    width = max(40, min(shutil.get_terminal_size().columns, 100))
    lines = textwrap.wrap(text, width - INDENT, break_long_words=False, break_on_hyphens=False) or [""]
    if len(name) < INDENT:
        print(name.ljust(INDENT) + lines.pop(0))
    else:
        print(name)
    for rest in lines:
        print(" " * INDENT + rest)


def short(name: str) -> str:
    return name if len(name) <= NAME else f"{name[: NAME - 3]}..."


def say_next(*commands: list[str]) -> None:
    """Commands to copy, each given as its words after ``isthmus``."""
    print("\nNext:")
    for words in commands:
        print(f"  {shlex.join(['isthmus', *words])}")


def column_options(columns: dict[str | int, str]) -> list[str]:
    """``--column NAME=TYPE`` for each column, as words.

    >>> column_options({"id": "ignore"})
    ['--column', 'id=ignore']
    """
    return [word for name, wanted in columns.items() for word in ("--column", f"{name}={wanted}")]


def say_written(output: str, replaced: bool, rows: int, each: str) -> None:
    print(f"{output}: {counted(rows, 'row')} of {each} ({size_of(output, replaced)})")


def size_of(path: str, replaced: bool) -> str:
    """A written file's size, and whether it took the place of another."""
    return size_in_words(Path(path).stat().st_size) + (", replaced" if replaced else "")


def size_in_words(size: int) -> str:
    """
    >>> size_in_words(900), size_in_words(45_600), size_in_words(3_200_000)
    ('900 bytes', '46 kB', '3.2 MB')
    """
    if size < 1000:
        return counted(size, "byte")
    return f"{size / 1e3:.0f} kB" if size < 999_500 else f"{size / 1e6:.1f} MB"
