"""How the cells of one column become raw numbers, and raw numbers the user's own cells again."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any

import numpy as np

from isthmus.checks import counted, did_you_mean, listed
from isthmus.data import dates
from isthmus.data.arrays import short
from isthmus.data.arrow import family, floats, plain, type_named
from isthmus.data.changed import all_missing, changed_type
from isthmus.data.levels import level_numbers, level_values
from isthmus.data.packing import pack_text, unpack_text
from isthmus.data.raw_cells import check_count, check_years, finite, finite_cells, from_text, number_cells, typed
from isthmus.errors import FileFormatError, InputError
from isthmus.records import COLUMN_KINDS, Column

WRITTEN = ("name", "type", "reason", "dtype", "scaling", "arrow", "index", "resolution")
LISTED = ("levels", "categories", "rare")
INDEXED = ("binary", "ordinal", "category")


@dataclass(frozen=True)
class Encoded:
    """The raw numbers of one column; it may be unpacked as its three fields.

    Attributes
    ----------
    values : (n,) float64, NaN where a cell is missing.
    unseen : up to five values of a category that the fit never met. Where it pooled more rare values than are kept by
        name (`Coding.forgets`), they may be such.
    count : how many cells hold such values.
    """

    values: np.ndarray
    unseen: list[Any]
    count: int

    def __iter__(self) -> Iterator[Any]:
        return iter((self.values, self.unseen, self.count))


@dataclass(frozen=True)
class Coding:
    """What a column is, and how its cells become raw numbers and back.

    Parameters
    ----------
    name : of the column.
    type : ``"numeric"``, ``"heavy"``, ``"count"``, ``"binary"``, ``"category"``, ``"ordinal"``, ``"circular"`` or
        ``"date"``.
    reason : why, in words.
    dtype : name of the type in the user's table, e.g. ``"Int64"`` or ``"category"``.
    column : what the network and the loss meet.
    levels : of binary, category and ordinal columns, the user's value of each level, in order: of a category the most
        frequent first. A category has one level more, the last, of all other values.
    scaling : ``"auto"``, or how a numeric column is scaled.
    arrow : name of the Arrow type of the cells; of a dictionary, of its values.
    index : name of the Arrow type of a dictionary's numbers; ``""`` = the column is no dictionary.
    ordered : whether the dictionary's categories have an order.
    categories : all categories of the dictionary in its own order, those without a cell included.
    resolution : of dates, times and spans, what rebuilt ones are rounded to: a key of `dates.RESOLUTIONS`.
    format : of dates and times kept as text, how they are written, and their unit.
    period, origin : of circular numbers, the length of a turn and where it begins, in the column's unit.
    whole : of numbers, whether all those of the fit were whole. Rebuilt circular ones are then rounded; others by
        their type only, as a mean of whole numbers is none.
    rare : the values that are pooled in a category's last level; none where they are too many to be kept.

    Examples
    --------
    >>> import pyarrow as pa
    >>> size = Coding("size", "ordinal", "asked for", "object", Column("ordinal", 3), ("S", "M", "L"), arrow="string")
    >>> size.encode(pa.array(["L", None, "S"])).values
    array([ 2., nan,  0.])
    >>> size.decode(np.array([1.0, np.nan])).to_pylist()
    ['M', None]
    >>> size.sentence
    'size: ordinal, 3 levels from S to L (asked for)'
    """

    name: str
    type: str
    reason: str
    dtype: str
    column: Column
    levels: tuple[Any, ...] = ()
    scaling: str = "auto"
    arrow: str = "double"
    index: str = ""
    ordered: bool = False
    categories: tuple[Any, ...] = ()
    resolution: str = "seconds"
    format: tuple[str, str] | None = None
    period: float = 1.0
    origin: float = 0.0
    whole: bool = False
    rare: tuple[Any, ...] = ()

    @cached_property
    def cells(self) -> Any:
        """The Arrow type of the cells; of a dictionary, of its values."""
        return type_named(self.arrow)

    @cached_property
    def family(self) -> str:
        """Of which family the cells are: see `arrow.WORDS`."""
        return family(self.cells) or "nothing"

    @cached_property
    def level_array(self) -> Any:
        return typed(self.levels, self.cells)

    @cached_property
    def rare_array(self) -> Any:
        return typed(self.rare, self.cells)

    @property
    def forgets(self) -> bool:
        """Whether rare values of the fit are not known by name, so that new ones cannot be told from them."""
        return self.column.rare > len(self.rare)

    @cached_property
    def category_array(self) -> Any:
        return typed(self.categories, self.cells)

    # Cells to numbers

    def encode(self, array: Any, argument: str = "X") -> Encoded:
        """The raw numbers of an Arrow array's cells.

        Parameters
        ----------
        array : ``pyarrow.Array`` or ``ChunkedArray`` of n cells.
        argument : what the table is called in messages.

        Raises
        ------
        InputError
            Cells of another type than in fit, infinite ones, dates beyond the years 1 to 9999, a count that is no
            count, or a value of an ordinal or binary column that fit never met.
        """
        array = plain(array, self.name, argument)
        if family(array.type) != self.family:
            if all_missing(array):
                return Encoded(np.full(len(array), np.nan), [], 0)
            wrong = changed_type(self, array, argument)
            if wrong:
                raise InputError(wrong)
        if self.type in INDEXED:
            return self._level_numbers(array, argument)
        if self.type == "date":
            return Encoded(self._dates(array, argument), [], 0)
        if self.type == "circular":
            return Encoded(self._turns(array, argument), [], 0)
        values = dates.seconds(array) if self.family == "span" else finite(floats(array), self.name, argument)
        if self.type == "count":
            check_count(values, self.name, argument)
        return Encoded(values, [], 0)

    def _level_numbers(self, array: Any, argument: str) -> Encoded:
        import pyarrow as pa
        import pyarrow.compute as pc

        if self.family == "number":
            finite_cells(array, self.name, argument)
        values, others = level_numbers(array, self.level_array)
        count = int(others.sum())
        if not count:
            return Encoded(values, [], 0)
        if self.type == "category":
            values[others] = len(self.levels)
            if self.rare:
                others &= level_numbers(array, self.rare_array)[1]
                count = int(others.sum())
        few = array.filter(pa.array(others)).slice(0, 10_000)
        unseen = level_values(pc.unique(pc.cast(few, few.type.value_type) if self._is_dictionary(few) else few))
        examples = unseen.to_pylist()[:5]
        if self.type != "category":
            raise InputError(self._strange_level(examples, count, argument))
        return Encoded(values, examples, count)

    @staticmethod
    def _is_dictionary(array: Any) -> bool:
        from pyarrow import types

        return bool(types.is_dictionary(array.type))

    def _strange_level(self, examples: list[Any], count: int, argument: str) -> str:
        hint = did_you_mean(examples[0], map(str, self.levels)) if self.family == "text" else ""
        hint = hint or f" There are: {listed(self.levels)}."
        way = (
            ""
            if self.type == "binary"
            else " (a category has a level for other values; an order has no place for them)"
        )
        return (
            f"column {self.name!r} of {argument} is {self.type}, and {counted(count, 'cell')} "
            f"{'holds' if count == 1 else 'hold'} a value that fit never met: {listed(examples)}.{hint} "
            f"Correct these cells, or fit with columns={{{self.name!r}: 'category'}}{way}."
        )

    def _dates(self, array: Any, argument: str) -> np.ndarray:
        if self.format is not None:
            return from_text(array, self.format, self.name, argument)
        self._check_zone(array.type, argument)
        values = dates.seconds(array)
        check_years(values, self.name, argument)
        return values

    def _turns(self, array: Any, argument: str) -> np.ndarray:
        if self.format is not None:
            return from_text(array, self.format, self.name, argument) / 86_400 % 1.0
        if self.family == "time":
            return dates.seconds(array) / 86_400
        share = (finite(floats(array), self.name, argument) - self.origin) / self.period % 1.0
        return np.where(share == 1.0, 0.0, share)  # what lies a rounding error before 0 is a whole turn on

    # Numbers to cells

    def decode(self, values: np.ndarray) -> Any:
        """Raw numbers (n,) as an Arrow array of the column's own type; NaN is a missing cell.

        Whole numbers are rounded, and everything is clipped to what the type holds. A category's last level, that of
        other values, is no value: its cells come back missing.
        """
        import pyarrow as pa

        values = np.asarray(values, dtype=np.float64)
        if self.family == "nothing":
            return pa.nulls(len(values), self.cells)
        if self.type in INDEXED:
            return self._level_cells(values)
        if self.type == "circular" and self.family == "number":
            return number_cells(self._places(values), self.cells)
        if self.type == "circular":
            values = values % 1.0 * 86_400
        elif self.family in ("number", "truth"):
            return number_cells(values, self.cells)
        if self.format is None:
            return dates.from_seconds(values, self.cells, self.resolution)
        stamps = dates.from_seconds(values, pa.timestamp("us"), self.resolution)
        if self.type == "circular":
            stamps = (
                dates.from_seconds(values, pa.time64("us"), self.resolution).cast(pa.int64()).cast(pa.timestamp("us"))
            )
        return dates.written(stamps, self.format).cast(self.cells)

    def _places(self, turns: np.ndarray) -> np.ndarray:
        """Where on its circle a number is; whole numbers are rounded before the turn is full."""
        along = turns % 1.0 * self.period
        if self.whole:
            along = np.rint(along) % self.period
        return along + self.origin

    def _level_cells(self, values: np.ndarray) -> Any:
        import pyarrow as pa
        import pyarrow.compute as pc

        last = len(self.levels) - (self.type != "category")
        missing = np.isnan(values)
        places = np.clip(np.rint(np.where(missing, 0.0, values)), 0, max(last, 0)).astype(np.int64)
        missing |= places >= len(self.levels)
        if not self.index:
            return level_values(self.level_array).take(pa.array(places, mask=missing)).cast(self.cells)
        in_categories = pc.index_in(level_values(self.level_array), value_set=level_values(self.category_array))
        numbers = in_categories.take(pa.array(places, mask=missing)).cast(type_named(self.index))
        return pa.DictionaryArray.from_arrays(numbers, self.category_array, ordered=self.ordered)

    # Words

    @property
    def sentence(self) -> str:
        """What the column is taken for, and why."""
        said = {
            "numeric": "time span" if self.family == "span" else "numeric",
            "heavy": "numeric with heavy tails",
            "binary": "binary, " + " or ".join(short(level) for level in self.levels),
            "category": f"category of {counted(len(self.levels), 'level')}"
            + (f" and {counted(self.column.rare, 'rare one')} taken together" if self.column.rare else ""),
            "ordinal": f"ordinal, {counted(len(self.levels), 'level')}"
            + (f" from {self.levels[0]} to {self.levels[-1]}" if self.levels else ""),
            "circular": "time of day" if self.family != "number" else f"circular, a turn is {self.period:g}",
            "date": f"date, shown in {self.resolution}",
        }.get(self.type, self.type)
        return f"{self.name}: {said} ({self.reason})"

    def _check_zone(self, type_: Any, argument: str) -> None:
        now, was = getattr(type_, "tz", None), getattr(self.cells, "tz", None)
        if (now is None) == (was is None):
            return
        spot = f"{argument if argument.isidentifier() else 'df'}[{self.name!r}]"
        said = (
            f"has no time zone, and had {was} in fit"
            if now is None
            else f"has the time zone {now}, and had none in fit"
        )
        raise InputError(f"column {self.name!r} of {argument} {said}: {spot} = {spot}.dt.tz_localize({was!r})")

    # Files

    def state(self) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        """JSON data and named arrays; what grows with the levels is in the arrays."""
        body = {key: value for key, value in asdict(self).items() if key not in ("column", *LISTED)}
        body["column"] = [self.column.kind, self.column.levels, self.column.rare]
        body["format"] = None if self.format is None else list(self.format)
        tensors: dict[str, np.ndarray] = {}
        for key in LISTED:
            items = getattr(self, key)
            if not items:
                continue
            if self.family == "text":
                tensors[key], tensors[f"{key}_offsets"] = pack_text(items)
            else:
                tensors[key] = level_values(typed(items, self.cells)).to_numpy(zero_copy_only=False)
        return body, tensors

    @classmethod
    def restore(cls, body: dict[str, Any], tensors: dict[str, np.ndarray]) -> Coding:
        """The coding that `state` described; `FileFormatError` where its parts contradict each other."""
        try:
            kind, levels, rare = body["column"]
            lists = {}
            for key in LISTED:
                if f"{key}_offsets" in tensors:
                    lists[key] = unpack_text(tensors[key], tensors[f"{key}_offsets"])
                else:
                    lists[key] = tuple(np.asarray(tensors[key]).tolist()) if key in tensors else ()
            about = {key: body[key] for key in ("ordered", "whole", "period", "origin")}
            about |= {key: str(body[key]) for key in WRITTEN} | lists
            format_ = None if body["format"] is None else (str(body["format"][0]), str(body["format"][1]))
            made = cls(**about, column=Column(str(kind), int(levels), int(rare)), format=format_)
            sizes = {"category": len(made.level_array) + 1, "ordinal": len(made.level_array)}
            fits = (
                len(made.rare_array) in (0, made.column.rare)
                and made.column.levels == sizes.get(made.type, 0)
                and (not made.index or type_named(made.index))
            )
        except (KeyError, IndexError, TypeError, ValueError, AttributeError) as error:
            raise FileFormatError(f"the description of a column is damaged ({error})") from error
        if not fits or made.column.kind not in COLUMN_KINDS:
            raise FileFormatError(f"the description of column {made.name!r} is damaged")
        return made
