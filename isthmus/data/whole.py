"""Counts and categories: whole numbers that a loss takes as they are, so nothing scales them and each is checked."""

from __future__ import annotations

import numpy as np

from isthmus.checks import place
from isthmus.data.sources import Source
from isthmus.data.statistics import stretches_of
from isthmus.errors import InputError

NOUNS = {"count": "counts", "category": "categories"}
"""What a loss may ask for that is never scaled."""


def check_unscaled(argument: str, mode: str, support: str) -> None:
    """Counts and categories must stay what they are."""
    if support in NOUNS and mode not in ("auto", "none", "numeric", "ignore"):
        raise InputError(
            f"{argument}: a loss of {NOUNS[support]} needs them as they are; got {mode!r}. Use 'auto' or 'none', or "
            f"loss=Squared() for numbers that may be scaled"
        )


def strange_cell(values: np.ndarray, support: str, classes: int) -> tuple[int, int] | None:
    """Row and column of the first cell of (n, features) that is no count, or no category; None = all are.

    A missing cell (NaN) is not strange: no comparison with it is true.
    """
    if support not in NOUNS:
        return None
    strange = values < 0
    if values.dtype.kind == "f":
        strange |= values > np.floor(values)
    if classes:
        strange |= values >= classes
    if not strange.any():
        return None
    row, column = np.unravel_index(int(np.argmax(strange)), strange.shape)
    return int(row), int(column)


def check_whole(source: Source, support: str, classes: int) -> None:
    """Every row, held out or not, must hold what the loss is for: found before training starts, not in its midst."""
    if support not in NOUNS:
        return
    first = 0
    for block in stretches_of(source, None):
        found = strange_cell(block, support, classes)
        if found is not None:
            where = place(found[1], source.layout.shape, source.names)
            row = first + found[0]
            raise InputError(strange_sentence(source.argument, where, row, float(block[found]), support, classes))
        first += len(block)


def strange_sentence(argument: str, where: str, row: int, value: float, support: str, classes: int) -> str:
    """What is said of the first cell that a loss of whole numbers cannot take."""
    if support == "count":
        wanted, remedy = "whole numbers >= 0", "Correct or leave out such rows,"
    else:
        wanted = f"whole numbers from 0 to {classes - 1} (classes={classes})"
        remedy = "Number the categories from 0, give a larger classes=,"
    return (
        f"{argument}: {NOUNS[support]} must be {wanted}: {where}, row {row} holds {value:.6g}. {remedy} or use "
        f"loss=Squared() for other numbers"
    )
