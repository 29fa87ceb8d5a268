"""Which data a `Compressor` has, and what of them may be lost."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from isthmus.checks import did_you_mean, is_real, listed
from isthmus.data.tables import check_distinct, check_single_level, library_of
from isthmus.errors import InputError
from isthmus.estimators.compressor_frames import is_foreign, to_pandas

KINDS = ("images", "table", "series", "array")

FORETOLD = 0.5
"""Neighbours along an axis foretell one another where they differ by less than so much of what any two differ by."""

WIDEST = 256
"""Columns at most of an array that is taken for a table."""

PAIRS = 4096


@dataclass(frozen=True)
class Bounds:
    """What may be lost: nothing, as much everywhere, or so much in single columns."""

    max_error: Any = None
    relative: Any = False

    def __post_init__(self) -> None:
        if self.relative not in (False, True, "range", "value"):
            raise InputError(f"relative must be False, True, 'range' or 'value'; got {self.relative!r}")
        every = self.max_error.values() if isinstance(self.max_error, Mapping) else [self.max_error]
        for bound in every:
            if bound is not None and (not is_real(bound) or not 0 <= bound < np.inf):
                raise InputError(
                    "max_error must be None or 0 (nothing is lost), a finite number > 0, or a dict of such numbers by "
                    f"column; got {bound!r}"
                )
        if self.relative and not any(every):
            raise InputError(f"relative={self.relative!r} needs a max_error, such as 0.001; got {self.max_error!r}")

    def of(self, name: Any = None) -> dict[str, Any]:
        """The arguments of `numbers_for` for a column, or for everything."""
        bound = self.max_error
        if isinstance(bound, Mapping):
            # A column called 3 may be written as "3", as on a command line.
            bound = bound.get(name, bound.get(str(name)))
        how = "range" if self.relative is True else self.relative
        return {"max_error": bound or None, "relative": how if bound else False}

    @property
    def by_name(self) -> bool:
        """Whether columns have bounds of their own."""
        return isinstance(self.max_error, Mapping)

    def check_names(self, names: list[Any]) -> None:
        """Refuse bounds of columns that there are not."""
        for name in self.max_error if isinstance(self.max_error, Mapping) else ():
            if name not in names and name not in map(str, names):
                raise InputError(f"max_error: there is no column {name!r}.{did_you_mean(name, names)}")


def is_frame(X: Any) -> bool:
    return library_of(X) == "pandas" and hasattr(X, "columns")


def checked_data(X: Any, argument: str = "X") -> Any:
    """A frame with names that can be kept, or an array of numbers with an axis of rows."""
    if is_foreign(X):
        X = to_pandas(X, argument)
    if library_of(X) == "pandas" and not hasattr(X, "columns"):
        X = X.to_frame() if X.name is not None else X.to_numpy()
    if is_frame(X):
        check_single_level(X, argument)
        check_distinct([str(name) for name in X.columns], argument)
        for name in X.columns:
            if type(name) not in (str, int) and not isinstance(name, np.integer):
                raise InputError(f"{argument}: columns must be called by texts or whole numbers; got {name!r}")
        return X
    if isinstance(X, np.ma.MaskedArray):
        raise InputError(
            f"{argument} is a masked array, and its mask would be lost: give {argument}.filled(np.nan), or another "
            "value for the masked cells, or a pandas frame with missing cells"
        )
    if X is None:
        raise InputError(f"{argument} must be an array, a frame or the path of a file; got None")
    try:
        array = X if isinstance(X, np.ndarray) else np.asarray(X)
    except ValueError as error:
        raise InputError(f"{argument} must be an array; its rows are not of one length or shape ({error})") from error
    if array.dtype.kind not in "biuf" or array.dtype.itemsize > 8:
        advice = "try astype(float)"
        if array.dtype == object or array.dtype.kind in "mM":
            what = "a table of mixed columns belongs" if array.dtype == object else "dates and spans of time belong"
            advice = f"{what} in a pandas frame"
        raise InputError(f"{argument} must hold numbers or truth values; got an array of {array.dtype}: {advice}")
    if array.ndim == 0 or array.ndim > 6:
        raise InputError(f"{argument} must have 1 to 6 axes, the first of which are its rows; got {array.ndim}")
    return array


def kind_of_data(X: Any, wanted: str) -> str:
    """What the data are coded as: what the user says, or what neighbouring elements tell."""
    if wanted != "auto" and wanted not in KINDS:
        raise InputError(f"data must be 'auto' or one of {listed(KINDS)}; got {wanted!r}.{did_you_mean(wanted, KINDS)}")
    if is_frame(X):
        if wanted in ("images", "array"):
            raise InputError(f"data={wanted!r} takes arrays; X is a frame: give X.to_numpy()")
        return "table" if wanted == "auto" else wanted
    if wanted == "images" and X.ndim < 2:
        raise InputError(f"data='images' needs 2 axes at least, the first of them of pictures; got {X.ndim}")
    if wanted in ("table", "series") and X.ndim > 2:
        raise InputError(f"data={wanted!r} takes 1 or 2 axes; got an array of the shape {X.shape}")
    if wanted != "auto":
        return wanted
    if X.ndim == 1:
        return "series"
    along = [foretold(X, axis) for axis in range(X.ndim)]
    if X.ndim > 2:
        return "array" if along[0] else "images"
    if along[0]:
        return "array" if along[1] else "series"
    return "images" if along[1] or X.shape[1] > WIDEST else "table"


def foretold(X: np.ndarray, axis: int) -> bool:
    """Whether an element is nearer to the next along an axis than to any other of the array."""
    if X.shape[axis] < 3 or X.size == 0:
        return False
    draw = np.random.default_rng(0)
    one = [draw.integers(0, size - (number == axis), PAIRS) for number, size in enumerate(X.shape)]
    neighbour = [where + (number == axis) for number, where in enumerate(one)]
    # Of the same place along all axes but one, so that only what lies along that axis is judged.
    other = [draw.integers(0, X.shape[axis], PAIRS) if number == axis else where for number, where in enumerate(one)]
    with np.errstate(all="ignore"):
        here, near, far = (X[tuple(where)].astype(np.float64) for where in (one, neighbour, other))
        apart, any_two = np.abs(near - here), np.abs(far - here)
    known = np.isfinite(apart) & np.isfinite(any_two)
    return bool(known.any() and apart[known].sum() < FORETOLD * any_two[known].sum())


def plain_names(frame: Any) -> list[Any]:
    """The names of a frame's columns as Python's own texts and whole numbers."""
    return [name if isinstance(name, str) else int(name) for name in frame.columns]


def columns_of(X: Any) -> list[Any]:
    """The columns of a frame or an array, one after the other."""
    return [X.iloc[:, place] if is_frame(X) else X[:, place] for place in range(X.shape[1])]
