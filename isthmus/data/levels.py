"""The levels of a category: which values they are, and cells as their numbers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from isthmus.data.arrow import family, whole_numbers

MOST_LEVELS = 100_000
MOST_RARE = 100_000
"""Of no more rare values than these are the names kept, by which new ones are told from them."""

FEW_LEVELS = 20
"""With no more levels than these, none is pooled: a level seen once costs little, and it comes back."""


@dataclass(frozen=True)
class Counts:
    """The distinct values of a column, the most frequent first, equals in their own order.

    Attributes
    ----------
    values : Arrow array of the values, none of them missing.
    counts : (distinct,) int64, how often each is seen.
    known : cells that are not missing.
    """

    values: Any
    counts: np.ndarray
    known: int

    def __len__(self) -> int:
        return len(self.counts)


def counted_values(array: Any) -> Counts:
    """Count the distinct values of an array; of a dictionary, those that are used."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if pa.types.is_dictionary(array.type):
        numbers = pc.drop_null(array.indices)
        seen = np.bincount(
            np.asarray(numbers.to_numpy(zero_copy_only=False), dtype=np.int64), minlength=len(array.dictionary)
        )
        used = np.flatnonzero(seen[: len(array.dictionary)])
        values, counts = array.dictionary.take(pa.array(used)), seen[used]
    else:
        found = pc.value_counts(level_values(array))
        values, counts = found.field("values"), found.field("counts").to_numpy(zero_copy_only=False)
    values = level_values(values)
    filled = pc.is_valid(values)
    if pa.types.is_floating(values.type):
        filled = pc.and_(filled, pc.invert(pc.fill_null(pc.is_nan(values), True)))
    keep = filled.to_numpy(zero_copy_only=False)
    values, counts = values.filter(filled), np.asarray(counts)[keep].astype(np.int64)
    order = pc.sort_indices(
        pa.table({"counts": pa.array(counts), "values": values}),
        sort_keys=[("counts", "descending"), ("values", "ascending")],
    )
    return Counts(values.take(order), counts[order.to_numpy()], int(counts.sum()))


def level_values(array: Any) -> Any:
    """Values as they are compared: decimals and short floats as float64, text without views."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if pa.types.is_floating(array.type) or pa.types.is_decimal(array.type):
        return pc.cast(array, pa.float64(), safe=False)
    return pc.cast(array, pa.large_string()) if pa.types.is_string_view(array.type) else array


def kept_levels(found: Counts) -> tuple[Any, int]:
    """The values that become levels of their own, and how many rare ones are pooled in the last level.

    A level of its own is seen at least twice, and at least once in 200,000 rows; there are at most 100,000.
    """
    if len(found) <= FEW_LEVELS:
        return found.values, 0
    least = max(2, -(-found.known // 200_000))
    kept = min(MOST_LEVELS, int(np.searchsorted(-found.counts, -least, side="right")))
    return found.values.slice(0, kept), len(found) - kept


def level_numbers(array: Any, levels: Any) -> tuple[np.ndarray, np.ndarray]:
    """(n,) float64, the number of each cell's level, and (n,) bool: cells whose value is not among the levels.

    Both are of the same family. A missing cell is NaN and not among the others; so is a value that is no level.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    if pa.types.is_dictionary(array.type):
        of_values, strange = level_numbers(array.dictionary, levels)
        missing = pc.is_null(array.indices).to_numpy(zero_copy_only=False)
        if not len(of_values):
            return np.full(len(array), np.nan), np.zeros(len(array), dtype=bool)
        places = pc.fill_null(array.indices, 0).to_numpy(zero_copy_only=False)
        return np.where(missing, np.nan, of_values[places]), ~missing & strange[places]
    array, levels = level_values(array), level_values(levels)
    if array.type != levels.type:
        if family(array.type) == "number":
            array, levels = pc.cast(array, pa.float64(), safe=False), pc.cast(levels, pa.float64(), safe=False)
        else:
            levels = pc.cast(levels, array.type)
    found, absent = whole_numbers(pc.index_in(array, value_set=levels))
    missing = ~boolean(pc.is_valid(array))
    if pa.types.is_floating(array.type):
        missing |= boolean(pc.fill_null(pc.is_nan(array), True))
    values = found.astype(np.float64)
    values[absent] = np.nan
    return values, absent & ~missing


def boolean(array: Any) -> np.ndarray:
    """(n,) bool of an Arrow array of truth values without missing ones, in one piece or in several."""
    import pyarrow as pa

    made = array.to_numpy() if isinstance(array, pa.ChunkedArray) else array.to_numpy(zero_copy_only=False)
    return np.asarray(made, dtype=bool)
