"""The columns of a table as whole numbers and back, to the bit or within a bound."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from isthmus.coding.exceptions import Exceptions
from isthmus.coding.numbers import Numbers, numbers_for
from isthmus.errors import FileFormatError, InputError
from isthmus.estimators.compressor_casts import (
    can_cast,
    check_letters,
    holds_amounts,
    in_words,
    ints_of_others,
    number_type,
    others_of,
    packed_places,
    unpacked_places,
    without_zone,
)
from isthmus.estimators.compressor_levels import (
    joined_parts,
    marked,
    numbered,
    packed_texts,
    parted,
    unmarked,
    unpacked_texts,
)

MOST_LEVELS = 4096
"""A column of more different texts than this, or than a quarter of its rows, is kept as text."""

FEW_LEVELS = 64
"""So few are levels in any case."""

NO_TIME = -(2**63)
"""What stands for a missing date among its whole numbers."""


@dataclass(frozen=True)
class Column:
    """How one column becomes whole numbers.

    Parameters
    ----------
    name : what it is called: a text or a whole number.
    kind : as `kind_of` writes a dtype.
    family : ``"numbers"``; ``"levels"``, numbers of known texts; or ``"text"``, kept beside.
    numbers : of the values, where they are numbers.
    gaps : missing cells are told by a column of 0 and 1 of their own before it.
    fill : the whole number that stands in a missing cell.
    levels : the known cells, as `marked` writes them, the most frequent first.
    """

    name: Any
    kind: dict[str, Any]
    family: str
    numbers: Numbers | None = None
    gaps: bool = False
    fill: int = 0
    levels: tuple[str, ...] = ()

    @property
    def width(self) -> int:
        """How many columns of whole numbers it becomes."""
        return {"numbers": 1 + self.gaps, "levels": 1, "text": 0}[self.family]

    def forward(self, column: Any) -> tuple[list[np.ndarray], bytes]:
        """`width` arrays (n,) of int64, and what else is needed."""
        if self.family != "numbers":
            return self._texts(column)
        assert self.numbers is not None
        values, missing = values_of(column, self.kind)
        missing = missing if self.gaps or self._new_gaps else np.zeros(len(values), dtype=bool)
        # What lies under a missing cell is nobody's business, and must not become an exception.
        known = values[~missing]
        ints = np.full(len(values), self.fill, dtype=np.int64)
        same = values.dtype == self.numbers.type
        ints[~missing], exceptions = self.numbers.forward(known) if same else ints_of_others(known, self.numbers)
        flags = [missing.astype(np.int64)] if self.gaps else []
        beside = exceptions.packed(values.dtype.itemsize)
        return [*flags, ints], joined_parts([beside, packed_places(missing)]) if self._new_gaps else beside

    def backward(self, ints: list[np.ndarray], beside: bytes, rows: int) -> Any:
        """The column as a pandas array."""
        if self.family != "numbers":
            return self._untexts(ints, beside, rows)
        assert self.numbers is not None
        missing = ints[0] != 0 if self.gaps else np.zeros(rows, dtype=bool)
        if self._new_gaps:
            beside, places = parted(beside, 2)
            missing = unpacked_places(places, rows)
        now = self.numbers.type if self.kind["is"] == "time" else number_type(self.kind)
        values = np.zeros(rows, dtype=now)
        known = ints[-1][~missing]
        exceptions = Exceptions.unpacked(beside, len(known), now.itemsize)
        same = now == self.numbers.type
        values[~missing] = (
            self.numbers.backward(known, exceptions) if same else others_of(known, exceptions, self.numbers, now)
        )
        return array_of(values, missing, self.kind)

    @property
    def _new_gaps(self) -> bool:
        """Whether cells may be missing where none was in the fit: they are told beside, not by the model."""
        return self.kind["is"] == "masked" and not self.gaps

    def _texts(self, column: Any) -> tuple[list[np.ndarray], bytes]:
        numbers, levels = numbered(column.tolist(), self.name)
        if self.family == "text":
            return [], packed_texts([levels[number] for number in numbers])
        known = {level: number for number, level in enumerate(self.levels)}
        new = [level for level in levels if level not in known]
        known |= {level: len(self.levels) + number for number, level in enumerate(new)}
        places = np.array([known[level] for level in levels], dtype=np.int64)
        return [places[numbers]], packed_texts(new)

    def _untexts(self, ints: list[np.ndarray], beside: bytes, rows: int) -> Any:
        texts = unpacked_texts(beside)
        if self.family == "text":
            if len(texts) != rows:
                raise FileFormatError(f"a block holds {len(texts)} texts for {rows} rows")
            return array_of_cells([unmarked(text) for text in texts], self.kind)
        cells = [unmarked(text) for text in (*self.levels, *texts)]
        if rows and not 0 <= ints[0].min() <= ints[0].max() < len(cells):
            raise FileFormatError("a block names texts that it does not hold")
        return array_of_cells([cells[number] for number in ints[0].tolist()], self.kind)

    def spec(self) -> dict[str, Any]:
        """As JSON has it, without the levels, which grow with the data."""
        numbers = None if self.numbers is None else self.numbers.spec()
        return {
            "name": self.name, "kind": self.kind, "family": self.family, "numbers": numbers, "gaps": self.gaps,
            "fill": self.fill,
        }  # fmt: skip

    @classmethod
    def from_spec(cls, spec: dict[str, Any], levels: tuple[str, ...] = ()) -> Column:
        """The column of `spec`."""
        numbers = None if spec["numbers"] is None else Numbers.from_spec(spec["numbers"])
        return cls(**{**spec, "numbers": numbers, "levels": levels})


def learnt_column(name: Any, column: Any, max_error: float | None, relative: Any, *, named: bool = False) -> Column:
    """How a column becomes whole numbers, from its cells in the fit.

    Parameters
    ----------
    column : a pandas series, or an array of numbers.
    max_error, relative : as for `numbers_for`; of columns that hold no amounts, nothing is lost in any case.
    named : whether the bound is for this column by its name; one that holds no amounts is then refused.
    """
    kind = kind_of(column, name)
    if named and max_error and not holds_amounts(kind):
        raise InputError(
            f"max_error: column {name!r} holds {in_words(kind)}, of which nothing can be lost; bounds are for numbers. "
            "Leave it out of max_error"
        )
    if kind["is"] in ("cells", "category", "string"):
        numbers, levels = numbered(column.tolist(), name)
        few = len(levels) <= max(FEW_LEVELS, min(MOST_LEVELS, len(numbers) // 4))
        if not few:
            return Column(name, kind, "text")
        order = np.argsort(-np.bincount(numbers, minlength=len(levels)), kind="stable")
        return Column(name, kind, "levels", levels=tuple(levels[place] for place in order))
    values, missing = values_of(column, kind)
    amounts = holds_amounts(kind)
    known = values[~missing]
    numbers_ = numbers_for(known, max_error if amounts else None, relative if amounts and max_error else False)
    ints, _ = numbers_.forward(known)
    fill = int(np.sort(ints)[len(ints) // 2]) if len(ints) else 0
    return Column(name, kind, "numbers", numbers_, bool(missing.any()) or kind["is"] == "masked", fill)


def kind_of(column: Any, name: Any) -> dict[str, Any]:
    """A column's dtype as JSON: what it is, and whatever tells it from others of that sort."""
    import pandas as pd

    dtype = column.dtype
    if isinstance(dtype, np.dtype) and dtype.kind in "biuf" and dtype.itemsize <= 8:
        return {"is": "plain", "dtype": dtype.str}
    if isinstance(dtype, pd.CategoricalDtype):
        levels = dtype.categories
        check_letters(levels, name)
        return {
            "is": "category", "ordered": bool(dtype.ordered), "of": kind_of(levels, name),
            "levels": [marked(level, name) for level in levels.tolist()],
        }  # fmt: skip
    if isinstance(dtype, pd.StringDtype):
        return {"is": "string", "storage": dtype.storage, "nan": dtype.na_value is not pd.NA}
    if str(dtype) in MASKED:
        return {"is": "masked", "dtype": str(dtype)}
    if isinstance(dtype, pd.DatetimeTZDtype) or (isinstance(dtype, np.dtype) and dtype.kind in "mM"):
        return {"is": "time", "dtype": str(dtype)}
    if isinstance(dtype, np.dtype) and dtype.kind == "O":
        return {"is": "cells"}
    raise InputError(
        f"X: column {name!r} is of the type {dtype}, which cannot be compressed; numbers, truth values, dates, "
        "categories and texts can"
    )


MASKED = ("boolean", "Float32", "Float64", *(f"{sign}{8 * 2**i}" for sign in ("Int", "UInt") for i in range(4)))
"""Pandas' types of numbers that know missing cells."""


def values_of(column: Any, kind: dict[str, Any]) -> tuple[np.ndarray, np.ndarray]:
    """(n,) the numbers of a column, in the machine's byte order, and (n,) where a cell is missing."""
    import pandas as pd

    if kind["is"] == "masked":
        missing = np.asarray(pd.isna(column.array))
        if column.dtype.kind == "f":
            # A NaN under no mask is a number like others to pandas, and comes back as one.
            missing = np.asarray(column.array._mask)
        dtype = np.dtype(column.dtype.numpy_dtype)
        return np.where(missing, dtype.type(0), column.array._data).astype(dtype), missing
    if kind["is"] == "time":
        values = np.asarray(column.to_numpy(dtype=without_zone(kind["dtype"])))
        values = np.ascontiguousarray(values).view(np.int64)
        return values, values == NO_TIME
    values = np.asarray(column)
    values = np.ascontiguousarray(values, dtype=values.dtype.newbyteorder("="))
    if values.dtype.kind != "f":
        return values, np.zeros(len(values), dtype=bool)
    # Only the usual NaN is a missing cell; one with other bits is an exception that keeps them.
    unsigned = f"u{values.itemsize}"
    return values, values.view(unsigned) == np.array([np.nan], dtype=values.dtype).view(unsigned)


def array_of(values: np.ndarray, missing: np.ndarray, kind: dict[str, Any]) -> Any:
    """The inverse of `values_of`: an array of pandas or NumPy."""
    import pandas as pd

    if kind["is"] == "masked":
        made = {"b": pd.arrays.BooleanArray, "f": pd.arrays.FloatingArray}.get(
            values.dtype.kind, pd.arrays.IntegerArray
        )
        return made(values, missing)
    if kind["is"] == "time":
        values = np.where(missing, NO_TIME, values)
        times, zone = values.view(without_zone(kind["dtype"])), kind["dtype"].partition(", ")[2]
        return pd.DatetimeIndex(times).tz_localize("UTC").tz_convert(zone[:-1]).array if zone else times
    if values.dtype.kind == "f":
        values[missing] = np.nan
    return values.astype(np.dtype(kind["dtype"]), copy=False)


def array_of_cells(cells: list[Any], kind: dict[str, Any]) -> Any:
    """Texts, categories or mixed objects as pandas holds them."""
    import pandas as pd

    if kind["is"] == "string":
        dtype = pd.StringDtype(kind["storage"], na_value=np.nan if kind["nan"] else pd.NA)
        return pd.array(cells, dtype=dtype)
    if kind["is"] == "category":
        return pd.Categorical(cells, dtype=category_type(kind))
    found = np.empty(len(cells), dtype=object)
    found[:] = cells
    return found


def category_type(kind: dict[str, Any]) -> Any:
    """A category's levels and their order."""
    import pandas as pd

    levels, of = [unmarked(level) for level in kind["levels"]], kind["of"]
    if of["is"] in ("string", "cells"):
        cells = array_of_cells(levels, of)
        index = pd.Index(cells, dtype=cells.dtype)
    else:
        index = pd.Index(levels, dtype=of["dtype"])
    return pd.CategoricalDtype(index, ordered=kind["ordered"])


def like(column: Column, now: dict[str, Any]) -> Column | None:
    """The column of the fit as it is now, if its cells can be coded all the same.

    Its categories or the storage of its texts may be others; numbers may have gaps or none, and whole numbers may be
    real ones, as where a file is read, or the other way round.
    """
    if column.kind == now:
        return column
    sorts = {column.kind["is"], now["is"]}
    if column.family == "numbers" and sorts <= {"plain", "masked"}:
        fits = can_cast(*(number_type(kind) for kind in (column.kind, now)))
    else:
        fits = len(sorts) == 1 and now["is"] in ("category", "string")
    return replace(column, kind=now) if fits else None
