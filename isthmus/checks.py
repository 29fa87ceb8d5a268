"""Sentences said to a user about a bad argument: small helpers that word them the same everywhere."""

from __future__ import annotations

import numbers
from collections.abc import Iterable, Sequence
from difflib import get_close_matches

import numpy as np

from isthmus.errors import InputError


def is_real(value: object) -> bool:
    """Whether it is a number, NaN and infinity included, and no truth value.

    >>> is_real(0.5), is_real(np.float32(2)), is_real("0.5"), is_real(True), is_real(None)
    (True, True, False, False, False)
    """
    return isinstance(value, numbers.Real) and not isinstance(value, (bool, np.bool_))


def is_whole(value: object) -> bool:
    """Whether it is a whole number, and no truth value.

    >>> is_whole(3), is_whole(np.int64(3)), is_whole(3.0), is_whole(True)
    (True, True, False, False)
    """
    return isinstance(value, numbers.Integral) and not isinstance(value, (bool, np.bool_))


def check_whole(owner: str, least: int = 1, **knobs: object) -> None:
    """Refuse knobs that are no whole numbers >= ``least``."""
    for name, value in knobs.items():
        if not is_whole(value) or value < least:  # type: ignore[operator]
            raise InputError(f"{owner}: {name} must be a whole number >= {least}; got {value!r}")


def listed(items: Iterable[object], limit: int = 8) -> str:
    """The items as they would be written down, cut short after ``limit``.

    >>> listed(["a", "b"])
    "'a', 'b'"
    >>> listed(range(5), limit=2)
    '0, 1 and 3 more'
    """
    every = [repr(item) for item in items]
    rest = len(every) - limit
    return ", ".join(every) if rest <= 0 else f"{', '.join(every[:limit])} and {rest} more"


def counted(number: int, noun: str) -> str:
    """A number and its noun, the plural with an s.

    >>> counted(1, "row"), counted(1234, "row")
    ('1 row', '1,234 rows')
    """
    return f"{number:,} {noun}" + ("" if number == 1 else "s")


def did_you_mean(name: object, known: Iterable[object]) -> str:
    """`` Did you mean 'age'?`` with the closest known names, or the names there are.

    >>> did_you_mean("agee", ["age", "height"])
    " Did you mean 'age'?"
    >>> did_you_mean("zzz", ["age", "height"])
    " There are: 'age', 'height'."
    """
    names = [str(item) for item in known]
    close = get_close_matches(str(name), names, n=3)
    if close:
        return f" Did you mean {' or '.join(map(repr, close))}?"
    return f" There are: {listed(names)}." if names else ""


def place(index: int, shape: Sequence[int], names: Sequence[str] | None = None) -> str:
    """Where in a row the feature with flat number ``index`` is, in the user's words.

    >>> place(1, (3,), ("age", "height", "weight")), place(1, (3,)), place(9, (4, 4))
    ("column 'height'", 'column 1', 'pixel (2, 1)')
    """
    if names is not None:
        return f"column {names[index]!r}"
    if len(shape) == 1:
        return f"column {index}"
    return f"pixel {tuple(int(i) for i in np.unravel_index(index, tuple(shape)))}"


def places(counts: np.ndarray, shape: Sequence[int], names: Sequence[str] | None = None, limit: int = 8) -> str:
    """The features with a count above 0, the most frequent first, each with its count.

    >>> places(np.array([0, 2, 5]), (3,), ("a", "b", "c"))
    "column 'c' (5), column 'b' (2)"
    """
    order = [int(i) for i in np.argsort(-counts, kind="stable") if counts[i] > 0]
    named = ", ".join(f"{place(i, shape, names)} ({counts[i]:,})" for i in order[:limit])
    return named if len(order) <= limit else f"{named} and {len(order) - limit} more"


def missing_cells(
    argument: str, counts: np.ndarray, rows_hit: int, rows: int, shape: Sequence[int], names: Sequence[str] | None
) -> str:
    """The sentence about cells without a value; ``counts`` holds the missing cells of every feature."""
    whole = np.flatnonzero(counts == rows)[:8].tolist() if rows > 1 else []
    empty = f" Without any value: {', '.join(place(i, shape, names) for i in whole)}." if whole else ""
    return (
        f"Input {argument} contains NaN. Missing cells: {places(counts, shape, names)}; "
        f"{counted(int(counts.sum()), 'cell')} in {rows_hit:,} of {counted(rows, 'row')}.{empty} "
        f"Tables and series may have gaps where rows with gaps were fitted, too; else fill them in "
        f"(sklearn.impute.SimpleImputer does), or drop those rows or columns."
    )


def infinite_cells(
    argument: str, counts: np.ndarray, rows: int, shape: Sequence[int], names: Sequence[str] | None
) -> str:
    """The sentence about infinite cells; ``counts`` holds those of every feature."""
    return (
        f"Input {argument} contains infinity: {places(counts, shape, names)}, "
        f"{counted(int(counts.sum()), 'cell')} in {counted(rows, 'row')}. "
        f"Often a division by zero or a logarithm of zero: replace these cells or drop their rows."
    )
