"""A column that is looked at: what it could be taken for, and a sentence where its cells do not fit that."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from isthmus.checks import counted, listed
from isthmus.data import dates
from isthmus.data.arrays import numeric_text, short
from isthmus.data.arrow import WORDS, family, floats, is_whole_type
from isthmus.data.coding import Coding
from isthmus.data.evidence import words_of
from isthmus.data.levels import FEW_LEVELS, MOST_LEVELS, MOST_RARE, Counts, counted_values, kept_levels, level_values
from isthmus.data.raw_cells import check_count, check_years, finite, finite_cells
from isthmus.errors import InputError
from isthmus.records import Column

TURNS = {
    "hour": 24, "month": 12, "weekday": 7, "dayofweek": 7, "dow": 7, "minute": 60, "second": 60,
    "degree": 360, "degrees": 360, "angle": 360, "bearing": 360, "heading": 360, "direction": 360, "azimuth": 360,
}  # fmt: skip
"""Turns that the name of a column tells, in its unit."""


@dataclass(frozen=True)
class Candidate:
    """One column's cells, and what each type would make of them.

    Parameters
    ----------
    name : of the column.
    array : Arrow array of its cells, as `arrow.plain` gives it.
    type_ : the Arrow type that the cells came in.
    dtype : name of the type in the user's table.
    argument : what the table is called in messages.
    sample : values by which the likelihood of numbers is chosen; 0 = it is not.
    """

    name: str
    array: Any
    type_: Any
    dtype: str
    argument: str
    sample: int

    @cached_property
    def dictionary(self) -> bool:
        """Whether the user's column is one of declared categories."""
        from pyarrow import types

        return bool(types.is_dictionary(self.array.type))

    @cached_property
    def cells(self) -> Any:
        """The Arrow type of the cells; of a dictionary, of its values."""
        return self.array.type.value_type if self.dictionary else self.array.type

    @cached_property
    def family(self) -> str:
        return family(self.cells) or "nothing"

    @cached_property
    def counts(self) -> Counts:
        """The distinct values, the most frequent first."""
        if self.family == "number":
            finite_cells(self.array, self.name, self.argument)
        return counted_values(self.array)

    @cached_property
    def known_numbers(self) -> tuple[np.ndarray, bool]:
        """(m,) the numbers that are not missing, and whether all are whole."""
        values = finite(floats(self.array), self.name, self.argument)
        values = values[~np.isnan(values)]
        return values, is_whole_type(self.cells) or bool((values == np.rint(values)).all())

    @cached_property
    def known(self) -> int:
        """Cells that are not missing."""
        import pyarrow.compute as pc

        if self.family == "number" and not self.dictionary:
            return int(pc.count(self.array).as_py()) - int(np.isnan(floats(self.array)).sum() - self.array.null_count)
        return 0 if self.family == "nothing" else int(pc.count(self.array).as_py())

    @cached_property
    def distinct(self) -> int:
        """How many values there are, of columns that are no dictionary."""
        import pyarrow as pa
        import pyarrow.compute as pc

        found = int(pc.count_distinct(level_values(self.array)).as_py())
        # NaN is missing here, and a value to Arrow.
        return found - bool(pa.types.is_floating(self.cells) and self.known + self.array.null_count < len(self.array))

    def coding(self, type_: str, reason: str, column: Column, **more: Any) -> Coding:
        """A coding of this column."""
        cells = self.type_.value_type if self.dictionary else self.type_
        if self.dictionary:
            categories = tuple(level_values(self.array.dictionary).to_pylist())
            more |= {"index": str(self.array.type.index_type), "ordered": bool(self.array.type.ordered)}
            more |= {"categories": categories}
        return Coding(self.name, type_, reason, self.dtype, column, arrow=str(cells), **more)

    def refused(self, wanted: str, why: str) -> InputError:
        """The error for cells that do not fit what the user wants them to be."""
        return InputError(f"column {self.name!r} of {self.argument} cannot be {wanted!r}: {why}")

    def only(self, wanted: str, *families: str, hint: str = "") -> None:
        """Refuse cells of other families; an order of categories is no number either."""
        if self.family not in families or (self.dictionary and wanted not in ("category", "ordinal", "binary")):
            held = "categories" if self.dictionary else WORDS[self.family]
            raise self.refused(wanted, f"it holds {held} (type {self.dtype}){self._example()}.{hint}")

    def _example(self) -> str:
        import pyarrow.compute as pc

        some = pc.drop_null(self.array.slice(0, 1_000))
        return f", for example {short(some[0].as_py())}" if len(some) else ""

    def _resolution(self) -> str:
        return dates.resolution_of(self.array)

    # Numbers

    def numeric(self, reason: str, scaling: str = "auto") -> Coding:
        """Scaled numbers; time spans are seconds."""
        return self._amount("numeric", reason, scaling, "number")

    def heavy(self, reason: str, scaling: str = "auto") -> Coding:
        """Scaled numbers with tails heavier than normal ones."""
        return self._amount("heavy", reason, scaling, "heavy")

    def _amount(self, wanted: str, reason: str, scaling: str, kind: str) -> Coding:
        self.only(wanted if scaling == "auto" else scaling, "number", "truth", "span", "nothing", hint=self._mend())
        more: dict[str, Any] = {"resolution": self._resolution()} if self.family == "span" else {}
        if self.family == "number":
            values = finite(floats(self.array), self.name, self.argument)
            more = {"whole": is_whole_type(self.cells) or all_whole(values)}
        return self.coding(wanted, reason, Column(kind), scaling=scaling, **more)

    def _mend(self) -> str:
        """How cells of another family become numbers."""
        if self.family == "text" and not self.dictionary:
            first = next((text for text in self.counts.values.slice(0, 1_000).to_pylist() if numeric_text(text)), None)
            return (numeric_text(first) if first is not None else "") or " Take it for a category, or leave it out."
        return " Take it for a date." if self.family == "date" else " Convert it first (.astype('float64'))."

    def count(self, reason: str) -> Coding:
        """Whole numbers from 0 on."""
        self.only("count", "number", "nothing")
        check_count(finite(floats(self.array), self.name, self.argument), self.name, self.argument)
        return self.coding("count", reason, Column("count"), whole=True)

    # Levels

    def binary(self, reason: str) -> Coding:
        """Two values, the lesser of them 0; of truth values both, and of one number that is 0 or 1 too."""
        self.only("binary", "number", "truth", "text")
        levels = sorted(self.counts.values.slice(0, 100).to_pylist())
        if self.family == "truth":
            levels = [False, True]
        elif self.family == "number" and len(levels) == 1 and levels[0] in (0, 1):
            levels = [type(levels[0])(0), type(levels[0])(1)]
        if len(levels) != 2:
            found = counted(len(self.counts), "value")
            raise self.refused("binary", f"it has {found}, not two: {listed(levels)}.{self._instead_of_binary()}")
        return self.coding("binary", reason, Column("binary"), levels=tuple(levels))

    def _instead_of_binary(self) -> str:
        """What a column of more or less than two values may be; a category only where that is not refused either."""
        if self.family == "number" and len(self.counts) > FEW_LEVELS and not self.dictionary:
            return " Take it for a number: 'numeric'."
        return " Take it for a category." if len(kept_levels(self.counts)[0]) else " Leave it out: 'ignore'."

    def category(self, reason: str) -> Coding:
        """Levels without an order, rare ones pooled in the last."""
        self.only("category", "number", "truth", "text", "nothing", hint=" Take it for a date or a circular one.")
        if self.family == "nothing":
            return self.coding("category", reason, Column("category", 1))
        kept, rare = kept_levels(self.counts)
        if not len(kept) and rare:
            raise self.refused("category", f"each of its {rare:,} values is too rare to be learnt from. Leave it out.")
        column = Column("category", len(kept) + 1, rare)
        pooled = tuple(self.counts.values.slice(len(kept)).to_pylist()) if rare <= MOST_RARE else ()
        return self.coding("category", reason, column, levels=tuple(kept.to_pylist()), rare=pooled)

    def ordinal(self, reason: str) -> Coding:
        """Levels in the order of the user's categories, or else sorted."""
        self.only("ordinal", "number", "truth", "text", hint=" Dates are dates already.")
        if self.dictionary and self.array.type.ordered:
            levels = level_values(self.array.dictionary).to_pylist()
        else:
            levels = sorted(self.counts.values.to_pylist())
            reason += ", in sorted order" + (
                ": give pandas.Categorical(..., ordered=True) for another" if self.family == "text" else ""
            )
        if not 0 < len(levels) <= MOST_LEVELS:
            raise self.refused("ordinal", f"it has {counted(len(levels), 'level')}; 1 to {MOST_LEVELS:,} can be.")
        return self.coding("ordinal", reason, Column("ordinal", len(levels)), levels=tuple(levels))

    # Time

    def date(self, reason: str, format_: tuple[str, str] | None = None) -> Coding:
        """Seconds since 1970; of text, the format in which it is known to be written may be given."""
        hint = f" Say their unit: pandas.to_datetime({self.argument}[{self.name!r}], unit='s')."
        self.only("date", "date", "text", hint=hint if self.family == "number" else "")
        if self.family == "text":
            format_ = format_ or self._format("date", dates.DATE_FORMATS)
            stamps = dates.parsed(self.counts.values, format_)
            return self.coding("date", reason, Column(), format=format_, resolution=dates.resolution_of(stamps))
        check_years(dates.seconds(self.array), self.name, self.argument)
        return self.coding("date", reason, Column(), resolution=self._resolution())

    def circular(self, reason: str, format_: tuple[str, str] | None = None) -> Coding:
        """Shares of a turn: of the day for times, else of a turn that the name or the range tells."""
        hint = " Add a column of its times, .dt.time, or of its months or weekdays." if self.family == "date" else ""
        self.only("circular", "time", "text", "number", hint=hint)
        if self.family == "time":
            return self.coding("circular", reason, Column("circular"), resolution=self._resolution())
        if self.family == "text":
            format_ = format_ or self._format("circular", dates.TIME_FORMATS)
            resolution = dates.resolution_of(dates.parsed(self.counts.values, format_))
            return self.coding("circular", reason, Column("circular"), format=format_, resolution=resolution)
        values, whole = self.known_numbers
        turn = turn_of(self.name, float(values.min()), float(values.max()), whole) if len(values) else (1.0, 0.0)
        if turn is None:
            raise self.refused(
                "circular",
                f"its values run from {values.min():g} to {values.max():g}, which tells no turn. "
                f"Divide it by the length of a turn, so that it lies between 0 and 1.",
            )
        return self.coding("circular", reason, Column("circular"), period=turn[0], origin=turn[1], whole=whole)

    def _format(self, wanted: str, formats: tuple[tuple[str, str], ...]) -> tuple[str, str]:
        """In which format all texts of the column are written."""
        texts = self.counts.values
        able = dates.format_of(texts, formats)
        if len(able) == 1 or (able and len({name for name, _ in able}) == 1):
            return able[0]
        spot = f"{self.argument}[{self.name!r}]"
        if able:
            names = " or ".join(name for name, _ in able)
            raise self.refused(
                wanted, f"its cells may be written as {names}. Say which: pandas.to_datetime({spot}, format=...)"
            )
        best = max(formats, key=lambda one: -dates.parsed(texts.slice(0, 1_000), one).null_count)
        raise self.refused(wanted, self._unreadable(best, spot))

    def _unreadable(self, format_: tuple[str, str], spot: str) -> str:
        """The first cell that is not written in the format in which most are."""
        import pyarrow.compute as pc

        texts = pc.drop_null(pc.unique(self.array.dictionary_decode() if self.dictionary else self.array))
        if not len(texts):
            return "every cell is missing."
        wrong = texts.filter(pc.is_null(dates.parsed(texts, format_)))[0]
        row = pc.index(self.array.dictionary_decode() if self.dictionary else self.array, wrong).as_py()
        known = (
            "2024-01-31, 2024-01-31 14:30, 31.01.2024, 01/31/2024"
            if format_ in dates.DATE_FORMATS
            else "14:30, 14:30:59"
        )
        return (
            f"{short(wrong.as_py())} in row {row} is not written in a way that is known ({known}), or not as "
            f"the others are. Convert it: pandas.to_datetime({spot}, errors='coerce')"
        )


def all_whole(values: np.ndarray) -> bool:
    """Whether every number of (n,) that is known is whole, and one is known.

    >>> all_whole(np.array([1.0, np.nan])), all_whole(np.array([0.5])), all_whole(np.array([np.nan]))
    (True, False, False)
    """
    known = values[~np.isnan(values)]
    return len(known) > 0 and bool((known == np.rint(known)).all())


def turn_of(name: str, low: float, high: float, whole: bool) -> tuple[float, float] | None:
    """The length of a turn and where it begins, by a column's name or the range of its values.

    >>> turn_of("hour", 3, 17, True), turn_of("x", 1, 12, True), turn_of("angle", -170.5, 90.0, False)
    ((24.0, 0.0), (12.0, 1.0), (360.0, -180.0))
    """
    named = [float(TURNS[word]) for word in words_of(name) if word in TURNS]
    counted_on = whole and low >= 0  # hours, weekdays; degrees east and west are measured, whole or not
    guesses = (7, 12, 24, 31, 60, 360, 366) if counted_on else (1, 2 * math.pi, 24, 360)
    for period in named or [float(one) for one in guesses]:
        origin = -period / 2 if low < 0 else float(whole and low >= 1 and high >= period)
        inside = origin <= low and high <= origin + period - (whole and origin == 1)
        # Where only the range speaks, it must be nearly full.
        if inside and (named or high - low >= (period - 1 if counted_on else 0.75 * period)):
            return period, origin
    return None
