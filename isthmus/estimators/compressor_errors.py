"""What was lost of data that came back: how far elements moved, and whether that is within their bounds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from isthmus.coding.float_bits import within
from isthmus.coding.numbers import Numbers
from isthmus.estimators.compressor_arrays import ArrayForm
from isthmus.estimators.compressor_columns import values_of
from isthmus.estimators.compressor_data import columns_of, is_frame
from isthmus.estimators.compressor_tables import TableForm

ROUNDING = 1e-9
"""Of a bound that is a part of each value, by which a quotient of floats may be off."""


@dataclass(frozen=True)
class Piece:
    """Elements that share a bound: a whole array, or the known cells of one channel or column, called ``name``."""

    name: Any
    x: np.ndarray
    numbers: Numbers


@dataclass(frozen=True)
class Lost:
    """What was lost.

    Parameters
    ----------
    error : the largest change of a finite number; infinity where NaN, infinity or missing cells were not kept.
    of_bound : the largest change as a part of its bound; NaN where there is none.
    kept : whether all came back as promised, to the bit or within the bound, in exact arithmetic.
    """

    error: float = 0.0
    of_bound: float = float("nan")
    kept: bool = True


def pieces(form: ArrayForm | TableForm, X: Any) -> list[Piece]:
    """The numbers of data of this form, by their bounds; a table's other columns are left out."""
    if isinstance(form, TableForm):
        found = []
        for column, cells in zip(form.columns, columns_of(X), strict=True):
            if column.numbers is not None:
                values, missing = values_of(cells, column.kind)
                found.append(Piece(column.name, values[~missing] if column.gaps else values, column.numbers))
        return found
    if len(form.numbers) == 1:
        return [Piece(None, X, form.numbers[0])]
    return [Piece(place, X[:, place], numbers) for place, numbers in enumerate(form.numbers)]


def lost(form: ArrayForm | TableForm, X: Any, again: Any) -> Lost:
    """What was lost of data in all."""
    if is_frame(X) != is_frame(again) or X.shape != again.shape:
        return Lost(float("inf"), kept=False)
    before, after = pieces(form, X), pieces(form, again)
    every = [lost_of(one, other.x) for one, other in zip(before, after, strict=True)]
    parts = [one.of_bound for one in every if not np.isnan(one.of_bound)]
    kept = X.dtype == again.dtype if isinstance(X, np.ndarray) else exact_columns_equal(before, X, again)
    error = max((one.error for one in every), default=0.0)
    return Lost(error, max(parts, default=float("nan")), bool(kept) and all(one.kept for one in every))


def exact_columns_equal(found: list[Piece], X: Any, again: Any) -> bool:
    """Whether the columns of a frame that may not change are equal."""
    bounded = {one.name for one in found if not one.numbers.exact}
    exact = [place for place, name in enumerate(X.columns) if name not in bounded]
    return bool(X.iloc[:, exact].equals(again.iloc[:, exact]))


def lost_of(piece: Piece, y: np.ndarray) -> Lost:
    """What was lost of elements that share a bound.

    >>> x = np.array([1.0, np.nan])
    >>> lost_of(Piece(None, x, Numbers("bounded", "float64", 1.0, step=1.0)), x + 0.5)
    Lost(error=0.5, of_bound=0.5, kept=True)
    """
    x, bound = piece.x, piece.numbers.max_error
    if x.shape != y.shape:
        return Lost(float("inf"), float("inf"), False)
    if x.tobytes() == y.tobytes():
        return Lost(of_bound=0.0 if bound else float("nan"))
    finite = np.isfinite(x)
    if not np.array_equal(x[~finite], y[~finite], equal_nan=x.dtype.kind == "f"):
        return Lost(float("inf"), float("inf"), False)
    x, y = x[finite], y[finite]
    with np.errstate(all="ignore"):
        apart = np.abs(x.astype(np.float64) - y.astype(np.float64))
        error = float(apart.max(initial=0.0))
        if piece.numbers.kind != "relative":
            part = error / bound if bound else float("nan")
            return Lost(error, part, bool(bound) and bool(within(x, y, bound).all()))
        part = float((apart[apart > 0] / np.abs(x.astype(np.float64))[apart > 0]).max(initial=0.0)) / bound
    return Lost(error, part, part <= 1 + ROUNDING)
