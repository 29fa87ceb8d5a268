"""What a `Retriever` is given: texts or other rows, how codes are to be learnt, and whether they tell rows apart."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np

from isthmus.checks import counted, did_you_mean, is_whole
from isthmus.data.arrays import short
from isthmus.errors import DataWarning, InputError
from isthmus.recipes import RECIPES

SAMPLE = 10_000
"""Codes that are looked at for whether they tell rows apart."""


def texts_in(X: Any) -> list[str] | None:
    """The texts of a list, an array or a column of them, or of a single text; None where ``X`` is something else.

    >>> texts_in(["red", "blue"]), texts_in("red"), texts_in([[1.0, 2.0]])
    (['red', 'blue'], ['red'], None)
    """
    if isinstance(X, str):
        return [X]
    if isinstance(X, (list, tuple)):
        values = list(X)
    elif isinstance(X, np.ndarray):
        values = X.tolist() if X.ndim == 1 and X.dtype.kind in "OUT" else []
    else:  # a column of pandas, polars or pyarrow; a frame has no such method
        values = X.to_list() if hasattr(X, "to_list") else X.to_pylist() if hasattr(X, "to_pylist") else []
    strings = [isinstance(value, str) for value in values]
    if not any(strings):
        return None
    if not all(strings):
        place = strings.index(False)
        raise InputError(f"X: text number {place} is {short(values[place])}, not a string; leave it out, or fill it in")
    return [str(value) for value in values]


def check_learning(bits: Any, method: str, autoencoder: Any) -> None:
    """Refuse what no codes can be learnt by, before the first look at the data."""
    if bits != "auto" and not (is_whole(bits) and 8 <= int(bits) <= 1024):
        raise InputError(f"bits must be 'auto' or a whole number from 8 to 1024; got {bits!r}")
    if isinstance(autoencoder, str) and autoencoder not in RECIPES:
        raise InputError(
            f"autoencoder: no kind is called {autoencoder!r}.{did_you_mean(autoencoder, RECIPES)} "
            "isthmus methods lists all kinds"
        )
    if autoencoder is not None and method != "auto":
        raise InputError(f"method={method!r} and autoencoder= exclude each other: the codes of one are learnt")


def warn_of_same_codes(codes: np.ndarray) -> None:
    """Say so where most rows (n, words) have the same code, so that a search can say nothing of them."""
    some = codes[np.linspace(0, len(codes) - 1, min(SAMPLE, len(codes))).astype(np.int64)]
    different, counts = np.unique(some, axis=0, return_counts=True)
    if len(some) >= 10 and counts.max() > len(some) / 2:
        warnings.warn(
            f"{counts.max():,} of {counted(len(some), 'row')} have the same code, of {len(different):,} different "
            "ones: a search cannot tell them apart. Are most rows equal, or is there a value far beyond all others, "
            "such as a fill value, beside which the others are nothing?",
            DataWarning,
            stacklevel=3,
        )
