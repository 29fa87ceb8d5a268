"""Dates, times of day and time spans as seconds, and back in the resolution that they came in."""

from __future__ import annotations

from typing import Any

import numpy as np

from isthmus.data.arrow import whole_numbers

TICKS = {"s": 1, "ms": 1_000, "us": 1_000_000, "ns": 1_000_000_000}

RESOLUTIONS = {
    "days": 86_400 * 1_000_000,
    "hours": 3_600 * 1_000_000,
    "minutes": 60 * 1_000_000,
    "seconds": 1_000_000,
    "milliseconds": 1_000,
    "microseconds": 1,
}
"""Microseconds in each. No finer one is kept: of today's dates a float64 holds a quarter of a microsecond."""

EARLIEST, LATEST = -62_135_596_800, 253_402_300_799
"""Seconds since 1970 of the first and the last second of the years 1 to 9999, which Python's dates can hold."""

DATE_FORMATS = (
    ("%Y-%m-%d", "s"),
    ("%Y-%m-%d %H:%M:%S", "s"),
    ("%Y-%m-%dT%H:%M:%S", "s"),
    ("%Y-%m-%d %H:%M", "s"),
    ("%Y-%m-%dT%H:%M", "s"),
    ("%Y-%m-%dT%H:%M:%SZ", "s"),
    ("%Y/%m/%d", "s"),
    ("%Y/%m/%d %H:%M:%S", "s"),
    ("%d.%m.%Y", "s"),
    ("%d.%m.%Y %H:%M", "s"),
    ("%d.%m.%Y %H:%M:%S", "s"),
    ("%m/%d/%Y", "s"),
    ("%d/%m/%Y", "s"),
    ("%m/%d/%Y %H:%M:%S", "s"),
    ("%d/%m/%Y %H:%M:%S", "s"),
    ("%m/%d/%Y %H:%M", "s"),
    ("%d/%m/%Y %H:%M", "s"),
    ("%Y-%m-%d %H:%M:%S", "ms"),
    ("%Y-%m-%dT%H:%M:%S", "ms"),
    ("%Y-%m-%d %H:%M:%S", "us"),
    ("%Y-%m-%dT%H:%M:%S", "us"),
)
PLAIN = ("%Y-%m-%d", "%Y-%m-%d %H:%M:%S")
"""The formats in which Arrow itself reads and writes."""

TIME_FORMATS = (("%H:%M:%S", "s"), ("%H:%M", "s"), ("%H:%M:%S", "ms"), ("%H:%M:%S", "us"))


def ticks_per_second(type_: Any) -> tuple[int, int]:
    """Ticks per second of an Arrow type, and seconds per tick; one of them is 1."""
    from pyarrow import types

    if types.is_date32(type_):
        return 1, 86_400
    return TICKS["ms" if types.is_date64(type_) else type_.unit], 1


def seconds(array: Any) -> np.ndarray:
    """(n,) float64 seconds since 1970, midnight or nothing, of dates, times and spans; NaN where there is no value.

    Dates with a time zone are seconds since 1970 in UTC; those without one are taken as they stand.
    """
    ticks, missing = whole_numbers(array)
    per_second, per_tick = ticks_per_second(array.type)
    # Whole seconds and the rest apart: the nanoseconds of today's dates are not float64s.
    whole, rest = np.divmod(ticks, per_second)
    made = whole.astype(np.float64) * per_tick + rest / per_second
    made[missing] = np.nan
    return made


def from_seconds(values: np.ndarray, type_: Any, resolution: str) -> Any:
    """Seconds as an Arrow array of dates, times or spans, rounded to the resolution and clipped to the type's range."""
    import pyarrow as pa
    import pyarrow.compute as pc

    missing = np.isnan(values)
    per_second, per_tick = ticks_per_second(type_)
    step = RESOLUTIONS[resolution]
    low, high = limits(type_, max(step // 1_000_000, 1))
    kept = np.clip(np.where(missing, 0.0, values), low, high)
    zoned = pa.types.is_timestamp(type_) and type_.tz is not None and step >= RESOLUTIONS["minutes"]
    if zoned:
        return rounded_in_zone(kept, missing, type_, step)
    whole = np.floor(kept)
    if step >= 1_000_000:
        micros = np.rint(kept / (step // 1_000_000)).astype(np.int64) * step
    else:
        micros = (
            whole.astype(np.int64) * 1_000_000 + np.rint((kept - whole) * (1_000_000 / step)).astype(np.int64) * step
        )
    if pa.types.is_time(type_):
        micros %= 86_400 * 1_000_000  # a moment before midnight may be rounded to midnight
    made, rest = np.divmod(micros, 1_000_000)
    made = made // per_tick if per_tick > 1 else made * per_second + rest * per_second // 1_000_000
    width = np.int32 if type_.bit_width == 32 else np.int64
    return pc.cast(pa.array(made.astype(width), mask=missing), type_)


def rounded_in_zone(values: np.ndarray, missing: np.ndarray, type_: Any, step: int) -> Any:
    """Days, hours and minutes are those of the clock in the column's own time zone, not of UTC.

    A moment that shows them already stays as it is, as an hour that the clock shows twice tells no moment.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    exact = pa.array(np.rint(values).astype(np.int64), mask=missing).cast(pa.timestamp("s", type_.tz))
    shown, _ = whole_numbers(pc.local_timestamp(exact))
    length = step // 1_000_000
    wanted = np.rint(shown / length).astype(np.int64) * length
    moved = pc.assume_timezone(
        pa.array(wanted, mask=missing).cast(pa.timestamp("s")), type_.tz, ambiguous="earliest", nonexistent="latest"
    )
    return pc.if_else(pa.array(wanted == shown), exact, moved).cast(type_)


def limits(type_: Any, step: int) -> tuple[float, float]:
    """The least and the greatest number of seconds, in whole steps, that the type holds.

    Dates go no further than the years 1 to 9999, by the clock of their zone too.
    """
    from pyarrow import types

    if types.is_time(type_):
        return 0.0, 86_400.0
    per_second, _ = ticks_per_second(type_)
    # Not to the last tick: microseconds, in which everything is rounded, must not run over either.
    reach = (2**63 - 1) // max(per_second, 1_000_000) - 1
    low, high = -reach, reach
    if not types.is_duration(type_):
        low, high = max(low, EARLIEST), min(high, LATEST)
    if types.is_timestamp(type_) and type_.tz is not None:
        low, high = low + 86_400, high - 86_400
    return float(-(-low // step) * step), float(high // step * step)


def resolution_of(array: Any) -> str:
    """The coarsest of `RESOLUTIONS` in which every cell is a whole number, by the clock of the column's time zone."""
    import pyarrow as pa
    import pyarrow.compute as pc

    type_ = array.type
    if pa.types.is_date32(type_):
        return "days"
    if pa.types.is_timestamp(type_) and type_.tz is not None:
        array = pc.local_timestamp(array)
    ticks, missing = whole_numbers(array)
    ticks = ticks[~missing]
    per_second, _ = ticks_per_second(type_)
    for name, micros in RESOLUTIONS.items():
        step = micros * per_second // 1_000_000
        if step <= 1 or not (ticks % step).any():
            # A column in which all cells are midnight by chance (there is only one, say) is one of days all the same.
            return name
    return "microseconds"


def parsed(texts: Any, format_: tuple[str, str]) -> Any:
    """Texts as timestamps without a zone, null where a text is not written in that format."""
    import pyarrow as pa
    import pyarrow.compute as pc

    pattern, unit = format_
    stamp = pa.timestamp(unit)
    if unit == "s" and pattern not in PLAIN:
        found = pc.strptime(texts, format=pattern, unit="s", error_is_null=True)
    else:
        # Arrow's own reader is quick and reads fractions, but takes all of a column or nothing.
        prefix = "1900-01-01 " if pattern.startswith("%H") else ""
        full = pc.binary_join_element_wise(pa.scalar(prefix, texts.type), texts, pa.scalar("", texts.type))
        try:
            found = pc.cast(full, stamp)
        except pa.ArrowInvalid:
            if unit != "s":
                return pa.nulls(len(texts), stamp)
            found = pc.strptime(texts, format=pattern, unit="s", error_is_null=True)
    # strptime takes the 31st of February for the 2nd of March: what it read must be what is written.
    again = written(found, format_).cast(texts.type)
    same = pc.fill_null(pc.equal(again, texts), False)
    if not pc.all(same).as_py():
        zeros_apart = pc.equal(without_zeros(again), without_zeros(texts))
        same = pc.fill_null(zeros_apart, False)
    return pc.if_else(same, found, pa.scalar(None, found.type))


def written(dates: Any, format_: tuple[str, str]) -> Any:
    """Timestamps without a zone as text."""
    import pyarrow as pa
    import pyarrow.compute as pc

    pattern, unit = format_
    dates = pc.cast(dates, pa.timestamp(unit))
    if pattern == "%Y-%m-%d":
        return pc.cast(pc.cast(dates, pa.date32(), safe=False), pa.string())
    if pattern in PLAIN:  # ten times as quick as strftime
        return pc.cast(dates, pa.string())
    distinct = pc.dictionary_encode(dates)
    return pc.strftime(distinct.dictionary, format=pattern).take(distinct.indices)


def without_zeros(texts: Any) -> Any:
    """``01.02.2024`` as ``1.2.2024``."""
    import pyarrow.compute as pc

    return pc.replace_substring_regex(texts, r"\b0+(\d)", r"\1")


def format_of(texts: Any, formats: tuple[tuple[str, str], ...], exact: bool = False) -> list[tuple[str, str]]:
    """The formats in which all of some distinct texts are written; each is tried on a few texts first.

    Parameters
    ----------
    texts : Arrow array of text without missing cells.
    formats : those to try.
    exact : whether a text must come back letter by letter, zeros before a digit included.
    """
    able = []
    for one in formats:
        if len(texts) and all(fits(some, one, exact) for some in (texts.slice(0, 100), texts)):
            able.append(one)
    return able


def fits(texts: Any, format_: tuple[str, str], exact: bool) -> bool:
    """Whether every text is written in a format."""
    import pyarrow.compute as pc

    found = parsed(texts, format_)
    if found.null_count:
        return False
    return not exact or bool(pc.all(pc.equal(written(found, format_).cast(texts.type), texts)).as_py())
