"""When steps were measured: whether their times are regular, and the grid on which they lie."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from isthmus.checks import counted, is_real
from isthmus.errors import InputError

JITTER = 0.01
"""A step may differ from a whole number of usual steps by this share of itself."""

OFFSET = r"[T ]\d\d[\d:.,]*\s?(?:Z|[+-]\d\d(?::?\d\d)?)$"
"""Of a time of day as text: its offset from UTC, at the end."""

SPARSEST = 20
"""Steps of a grid per step that was measured: more are gaps than data."""


@dataclass(frozen=True)
class Timeline:
    """Times at regular steps.

    Attributes
    ----------
    index : the pandas index of the grid's times.
    places : (n,) int64, where on the grid each of the user's rows lies.
    averaged : several rows may lie at one place, and count alike there.
    """

    index: Any
    places: np.ndarray
    averaged: bool

    def laid(self, values: np.ndarray) -> np.ndarray:
        """(n, channels) numbers at their places of the grid, (steps, channels): NaN where nothing was measured."""
        steps = len(self.index)
        if not self.averaged and len(values) == steps:
            return values
        grid = np.full((steps, values.shape[1]), np.nan, dtype=np.result_type(values, np.float32))
        if not self.averaged:
            grid[self.places] = values
            return grid
        measured = ~np.isnan(values.astype(np.float64))
        for channel in range(values.shape[1]):
            here = measured[:, channel]
            count = np.bincount(self.places[here], minlength=steps)
            total = np.bincount(self.places[here], values[here, channel], minlength=steps)
            np.divide(total, count, out=grid[:, channel], where=count > 0, casting="same_kind")
        return grid


def timeline(times: Any, every: Any = None, argument: str = "X", name: str = "time") -> Timeline:
    """The regular grid on which ``times`` lie, or are brought by ``every``.

    Parameters
    ----------
    times : (n,) in rising order: numbers, dates, or text that says dates.
    every : the step of the grid: a number, or for dates a time span such as ``"10min"``; what lies nearest to a time
        of the grid is averaged there. None = the steps as they are, which must then be whole multiples of the usual
        one, to within 1 %, or months, quarters or years. What is left out in between is a gap.

    Raises
    ------
    InputError
        Times that are missing, no dates, out of order, twice there, or irregular; the sentence says which, how long
        the steps are, and what to try.

    Examples
    --------
    >>> timeline([0.0, 1.0, 3.0]).places
    array([0, 1, 3])
    >>> timeline([0.0, 1.1, 3.4], every=2).places
    array([0, 1, 2])
    """
    stamps = as_index(times, argument, name)
    ticks = ticks_of(stamps)
    steps = np.diff(ticks)
    more = "; or if there are several series in it, give them as a list, or tell channel= and value="
    check_rising(stamps, steps, argument, name, more)
    if every is not None:
        return brought(stamps, ticks, step_of(every, stamps, argument), argument)
    averaging = f"give every={said(median(steps), stamps)}, say, to average what was measured at one time, or "
    check_apart(stamps, steps, argument, name, averaging if len(steps) else "")
    monthly = by_months(stamps, argument)
    if monthly is not None or len(ticks) < 3:
        return monthly or Timeline(stamps, np.arange(len(ticks)), False)
    whole, odd = multiples(steps, median(steps))
    if odd.any():
        raise InputError(irregular(stamps, steps, int(odd.sum()), argument, name))
    places = np.concatenate(([0], np.cumsum(whole.astype(np.int64))))
    check_sparse(int(places[-1]) + 1, len(ticks), argument)
    index = grid_index(stamps, np.interp(np.arange(places[-1] + 1), places, ticks))
    return Timeline(stamps if len(index) == len(stamps) else with_stamps(index, stamps, places), places, False)


class Pace(NamedTuple):
    """The usual step: how many, of what: seconds, months, or the numbers that the times are."""

    size: float
    unit: str


def paced(
    times: Any, pace: Pace | None = None, longest: int | None = None, argument: str = "X", name: str = "time"
) -> tuple[np.ndarray, Pace | None, str]:
    """Where on a regular grid rows lie that are judged by the rows before them, without the grid's own times.

    Parameters
    ----------
    times : as for `timeline`.
    pace : the grid's step where it is known; None = the usual one of these times.
    longest : more steps are never left out between two rows; None = as many as are missing.

    Returns
    -------
    places : (n,) int64 from 0 on; where the times are irregular, rows are counted.
    pace : the step of the grid, None where there is none.
    irregular : what is irregular about the times, in words; empty where nothing is.

    Raises
    ------
    InputError : times that are missing, no dates, out of order, or twice there; the sentence says which row.

    Examples
    --------
    >>> paced([0.0, 2.0, 4.0, 10.0])[:2]
    (array([0, 1, 2, 5]), Pace(size=2.0, unit='numbers'))
    >>> paced([0.0, 4.0], Pace(2.0, "numbers"))[0], paced([0.0, 9.0, 9.7])[2]
    (array([0, 2]), 'shortest 0.7, median 0.7, longest 9')
    """
    stamps = as_index(times, argument, name)
    ticks = ticks_of(stamps)
    steps = np.diff(ticks)
    check_rising(stamps, steps, argument, name)
    check_apart(stamps, steps, argument, name)
    months = months_of(stamps) if pace is None or pace.unit == "months" else None
    if months is not None:
        unit, apart = "months", np.diff(months).astype(np.float64)
        usual = float(np.gcd.reduce(np.diff(months)))
    else:
        unit, apart, usual = "seconds" if dated(stamps) else "numbers", steps, median(steps) if len(steps) > 1 else 0.0
    pace = pace or (Pace(usual, unit) if usual > 0 else None)
    whole, odd = multiples(apart, pace.size if pace else 1.0)
    if not len(steps) or pace is None:
        return np.arange(len(ticks)), pace, ""
    if odd.any() or unit != pace.unit:
        return np.arange(len(ticks)), pace, spans(stamps, steps)
    whole = whole if longest is None else np.minimum(whole, longest + 1)
    return np.concatenate(([0], np.cumsum(whole.astype(np.int64)))), pace, ""


def check_rising(stamps: Any, steps: np.ndarray, argument: str, name: str, more: str = "") -> None:
    if (steps < 0).any():
        at = int(np.argmax(steps < 0)) + 1
        sort = "frame.sort_index()" if name == "the index" else f"frame.sort_values({name!r})"
        raise InputError(
            f"{argument}: {name} goes back at row {at}: {stamps[at]} comes after {stamps[at - 1]}. Sort the rows by "
            f"time, {sort}{more}"
        )


def check_apart(stamps: Any, steps: np.ndarray, argument: str, name: str, more: str = "") -> None:
    if (steps == 0).any():
        at = int(np.argmax(steps == 0))
        raise InputError(f"{argument}: {name} {stamps[at]} stands in rows {at} and {at + 1}: {more}keep one of them")


def multiples(steps: np.ndarray, usual: float) -> tuple[np.ndarray, np.ndarray]:
    """How many usual steps each step is, and which are no whole number of them."""
    whole = np.rint(steps / usual)
    return whole, (whole < 1) | (np.abs(steps - whole * usual) > JITTER * steps)


def spans(stamps: Any, steps: np.ndarray) -> str:
    shortest, usual, longest = (said(value, stamps) for value in (steps.min(), median(steps), steps.max()))
    return f"shortest {shortest}, median {usual}, longest {longest}"


def median(steps: np.ndarray) -> float:
    """The middle one; of two, the lesser: a step that was made."""
    return float(np.quantile(steps, 0.5, method="lower"))


def irregular(stamps: Any, steps: np.ndarray, odd: int, argument: str, name: str) -> str:
    usual = said(median(steps), stamps)
    return (
        f"{argument}: the steps of {name} are irregular: {spans(stamps, steps)}; "
        f"{odd:,} of {counted(len(steps), 'step')} are no whole number of the median. Give every={usual}, say, which "
        f"brings the rows onto a regular grid and masks its gaps, or leave the times out to count steps instead"
    )


def as_index(times: Any, argument: str, name: str) -> Any:
    """The times as a pandas index of numbers or of dates, none missing."""
    import pandas as pd

    index = pd.Index(times)
    if isinstance(index, pd.PeriodIndex):
        index = index.to_timestamp()
    if isinstance(index, pd.TimedeltaIndex):
        index = pd.Index(index.total_seconds())
    if not pd.api.types.is_numeric_dtype(index.dtype) and not isinstance(index, pd.DatetimeIndex):
        try:
            index = pd.DatetimeIndex(dates_of(index, "mixed"))
        except (ValueError, TypeError, OverflowError) as error:
            raise InputError(f"{argument}: {name} holds what is no date or number: {error}") from error
    gone = np.asarray(index.isna())
    if gone.any():
        raise InputError(
            f"{argument}: {name} is missing in {counted(int(gone.sum()), 'row')}, the first of them row {gone.argmax()}"
        )
    if not len(index):
        raise InputError(f"{argument}: there is no step in it")
    return index.rename(None if index.name is None else str(index.name))


def dates_of(texts: Any, form: str) -> Any:
    """A pandas index or column of text as dates; where its offsets from UTC change, as clocks do, in UTC.

    >>> import pandas as pd
    >>> list(dates_of(pd.Index(["2025-03-30T01:00+01:00", "2025-03-30T03:00+02:00"]), "ISO8601").hour)
    [0, 1]
    """
    import pandas as pd

    try:
        return pd.to_datetime(texts, format=form)
    except ValueError:
        # Of text without an offset nobody knows the moment: among other text that has one, it is refused.
        if not texts.dropna().astype(str).str.contains(OFFSET).all():
            raise
        return pd.to_datetime(texts, format=form, utc=True)


def ticks_of(stamps: Any) -> np.ndarray:
    """The times as float64 numbers; dates in seconds since the first."""
    if dated(stamps):
        whole = stamps.as_unit("us").asi8
        return (whole - whole[0]) / 1e6
    return np.asarray(stamps, dtype=np.float64)


def dated(stamps: Any) -> bool:
    return hasattr(stamps, "as_unit")


def months_of(stamps: Any) -> np.ndarray | None:
    """Months since the year 0 of dates that are months, quarters or years apart, which are not alike in seconds; None
    of others."""
    if not dated(stamps) or len(stamps) < 2 or (stamps != stamps.normalize()).any():
        return None
    months = np.asarray(stamps.year * 12 + stamps.month, dtype=np.int64)
    alike = stamps.is_month_end.all() or (stamps.day == stamps.day[0]).all()
    return months if alike and (np.diff(months) >= 1).all() else None


def by_months(stamps: Any, argument: str) -> Timeline | None:
    """The grid of such dates; None for others."""
    import pandas as pd

    months = months_of(stamps)
    if months is None:
        return None
    step = int(np.gcd.reduce(np.diff(months)))
    places = (months - months[0]) // step
    check_sparse(int(places[-1]) + 1, len(stamps), argument)
    more = pd.offsets.MonthEnd(0) if stamps.is_month_end.all() else pd.Timedelta(0)
    index = pd.DatetimeIndex(
        [stamps[0] + pd.DateOffset(months=step * i) + more for i in range(places[-1] + 1)], name=stamps.name
    )
    return Timeline(index.as_unit(stamps.unit), places, False)


def step_of(every: Any, stamps: Any, argument: str) -> float:
    """The step that was asked for, in the unit of `ticks_of`."""
    import pandas as pd

    step = every
    if dated(stamps):
        try:
            step = 0.0 if is_real(every) else pd.Timedelta(every).total_seconds()
        except (ValueError, TypeError) as error:
            raise InputError(f"{argument}: every must be a time span such as '10min' or '1h'; got {every!r}") from error
    if not (is_real(step) and np.isfinite(step) and step > 0):
        wanted = "a time span such as '10min'" if dated(stamps) else "a number > 0, in the unit of the times"
        raise InputError(f"{argument}: every must be {wanted}; got {every!r}")
    return float(step)


def brought(stamps: Any, ticks: np.ndarray, step: float, argument: str) -> Timeline:
    """The grid from the first time on, and the place of it that is nearest to each row."""
    last = (ticks[-1] - ticks[0]) / step
    check_sparse(last + 1, len(ticks), argument)
    places = np.floor((ticks - ticks[0]) / step + 0.5).astype(np.int64)
    return Timeline(grid_index(stamps, ticks[0] + np.arange(places[-1] + 1) * step), places, True)


def check_sparse(steps: float, measured: int, argument: str) -> None:
    if steps > SPARSEST * measured:
        raise InputError(
            f"{argument}: of the {steps:,.0f} steps of the regular grid only {measured:,} were measured. Give a larger "
            "every=, or split the series at its long gaps and give the pieces as a list"
        )


def grid_index(stamps: Any, ticks: np.ndarray) -> Any:
    """Times of the kind of ``stamps`` at ``ticks``."""
    import pandas as pd

    if dated(stamps):
        spans = pd.to_timedelta(np.rint(ticks * 1e6).astype(np.int64), unit="us")
        return (stamps[0] + spans).as_unit(stamps.unit).rename(stamps.name)
    return pd.Index(ticks, name=stamps.name)


def with_stamps(index: Any, stamps: Any, places: np.ndarray) -> Any:
    """The grid with the user's own times where there are any."""
    import pandas as pd

    values = index.to_series()
    values.iloc[places] = stamps
    return pd.Index(values, name=stamps.name)


def said(ticks: float, stamps: Any) -> str:
    """A step as one would write it for ``every``.

    >>> import pandas as pd
    >>> said(300.0, pd.DatetimeIndex(["2020-01-01"])), said(0.5, pd.Index([0.0]))
    ("'5min'", '0.5')
    """
    if not dated(stamps):
        return f"{ticks:g}"
    for unit, seconds in (("D", 86400), ("h", 3600), ("min", 60)):
        if ticks >= seconds and ticks % seconds == 0:
            return f"'{ticks / seconds:g}{unit}'"
    return f"'{ticks:.10g}s'"
