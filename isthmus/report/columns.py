"""What a report shows of a mixed table, as plain values: its columns and some rows, in the user's own words and units.

No level, date or time is ever shown as the raw number by which the model knows it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from isthmus.checks import counted
from isthmus.data.coding import Coding

COLUMNS, ROWS, ROW_COLUMNS, WORST, LETTERS = 60, 6, 30, 3, 36
"""How many columns are told of, how many rows are shown beside the oddest and with how many columns, how many columns
of an odd row, and the letters of a value."""
MISSING, OTHER = "missing", "a value without a level of its own"
SPANS = (("days", 86_400.0), ("hours", 3_600.0), ("minutes", 60.0), ("seconds", 1.0))
"""Units of time, and the seconds in each."""


@dataclass(frozen=True)
class Cells:
    """Some rows of a mixed table beside what a model makes of them.

    Attributes
    ----------
    codings : per column, what its raw numbers mean.
    observed : (n, columns) raw numbers, NaN where a cell is missing.
    rebuilt : (n, columns) raw numbers; of missing cells, what they are filled with.
    errors : (n, columns) the error of each cell as the loss counts it, 0 where it is missing.
    usual : (columns,) the mean error over known cells where each is rebuilt as the column's most usual value.
    nats : (n, columns) the cost of each cell, 0 where it is missing; None = not known.
    left_out : a sentence for every column that is not used.
    """

    codings: tuple[Coding, ...]
    observed: np.ndarray
    rebuilt: np.ndarray
    errors: np.ndarray
    usual: np.ndarray
    nats: np.ndarray | None = None
    left_out: tuple[str, ...] = ()

    @cached_property
    def known(self) -> np.ndarray:
        return ~np.isnan(self.observed)

    @property
    def row_errors(self) -> np.ndarray:
        """(n,) the mean error of each row's known cells; NaN where it has none."""
        counts = self.known.sum(axis=1)
        return np.where(counts > 0, self.errors.sum(axis=1) / np.maximum(counts, 1), np.nan)


@dataclass(frozen=True)
class TableColumn:
    """How well one column is rebuilt, in words.

    Attributes
    ----------
    name, kind, reason : what it is called and taken for, and why.
    missing : share of its cells.
    error, beside : its error, and a second figure.
    usual, usual_beside : the same of always saying its most usual value.
    lost : its error over that of the most usual value, of the figures that are shown: see `lost_share`; NaN where it
        never varies.
    """

    name: str
    kind: str
    reason: str
    missing: float
    error: str
    beside: str
    usual: str
    usual_beside: str
    lost: float


@dataclass(frozen=True)
class ShownCell:
    """One cell in words. ``state`` is ``"same"``, ``"near"`` (rebuilt as another value, but better than the most usual
    one would be), ``"far"`` or ``"missing"``, where ``rebuilt`` is what fills it."""

    column: str
    observed: str
    rebuilt: str
    state: str


@dataclass(frozen=True)
class ShownRow:
    """One row: its name, label (empty where there is none), what it costs beyond the mean row, and cells in words."""

    row: str
    label: str
    above: float
    cells: tuple[ShownCell, ...]


@dataclass(frozen=True)
class Table:
    """The columns of a mixed table, worst rebuilt first, some rows with ``of`` columns in all, and the oddest rows."""

    columns: tuple[TableColumn, ...]
    rows: tuple[ShownRow, ...]
    oddest: tuple[ShownRow, ...]
    of: int
    left_out: tuple[str, ...]


def told(
    cells: Cells,
    some: np.ndarray,
    odd: np.ndarray,
    above: np.ndarray,
    ids: Sequence[str],
    labels: Sequence[str],
) -> Table:
    """Put a mixed table in words.

    Parameters
    ----------
    cells : the rows.
    some, odd : the numbers of those that are shown, and of the oddest.
    above : (n,) what each row costs beyond the mean row.
    ids, labels : per row, its name and its label.
    """
    lost = lost_shares(cells)
    order = np.argsort(-np.where(np.isnan(lost), -np.inf, lost), kind="stable")[:COLUMNS]
    every = range(min(len(cells.codings), ROW_COLUMNS))

    def shown_row(i: int, columns: Sequence[int]) -> ShownRow:
        return ShownRow(ids[i], labels[i], float(above[i]), tuple(shown_cell(cells, i, j) for j in columns))

    return Table(
        tuple(table_column(cells, int(j), float(lost[j])) for j in order),
        tuple(shown_row(int(i), every) for i in some_with_gaps(cells, some)),
        tuple(shown_row(int(i), what_is_odd(cells, int(i))) for i in odd),
        len(cells.codings),
        cells.left_out,
    )


def some_with_gaps(cells: Cells, some: np.ndarray) -> np.ndarray:
    """The numbers of some rows, the last of which give way to rows with missing cells where none has any."""
    gaps = np.flatnonzero(~cells.known.all(axis=1))
    if not len(gaps) or not cells.known[some].all():
        return some
    count = min(len(gaps), max(1, len(some) // 3))
    return np.concatenate([some[: len(some) - count], gaps[np.linspace(0, len(gaps) - 1, count).round().astype(int)]])


def lost_shares(cells: Cells) -> np.ndarray:
    """(columns,) the error of each column over that of its most usual value; NaN where that has none."""
    known = cells.known
    return np.array(
        [
            lost_share(coding, cells.observed[known[:, j], j], cells.rebuilt[known[:, j], j])
            for j, coding in enumerate(cells.codings)
        ]
    )


def what_is_odd(cells: Cells, row: int) -> list[int]:
    """The known columns that make a row odd, the oddest first: those whose cost is furthest above the column's mean."""
    values = cells.errors if cells.nats is None else cells.nats
    counts = np.maximum(cells.known.sum(axis=0), 1)
    above = values[row] - values.sum(axis=0) / counts
    order = np.argsort(-np.where(cells.known[row], above, -np.inf), kind="stable")
    return [int(j) for j in order[:WORST] if cells.known[row, j]]


# Columns.


def table_column(cells: Cells, j: int, lost: float) -> TableColumn:
    coding, known = cells.codings[j], cells.known[:, j]
    x, out = cells.observed[known, j], cells.rebuilt[known, j]
    kind = coding.sentence.removeprefix(f"{coding.name}: ").removesuffix(f" ({coding.reason})")
    if not len(x):
        figures = ("-", "no cell is known", "-", "")
    elif coding.column.kind in ("binary", "ordinal", "category"):
        figures = of_levels(coding, x, out, None if cells.nats is None else cells.nats[known, j])
    else:
        figures = of_numbers(coding, x, out)
    missing = 1 - float(known.mean()) if len(known) else 0.0
    return TableColumn(coding.name, kind, coding.reason, missing, *figures, lost)


def of_levels(coding: Coding, x: np.ndarray, out: np.ndarray, nats: np.ndarray | None) -> tuple[str, str, str, str]:
    """The share of cells that are right, and of those that hold the most frequent level."""
    levels, counts = np.unique(x, return_counts=True)
    shares = counts / len(x)
    most = levels[counts.argmax()]
    beside = [] if nats is None else [f"{nats.mean():.2f} nats"]
    usual = [texts(coding, np.array([most]))[0]]
    usual += [] if nats is None else [f"{-(shares * np.log(shares)).sum():.2f} nats"]
    if coding.column.kind == "ordinal":
        off, usually_off, _ = misses(coding, x, out)
        beside = [f"{off.mean():.2g} levels off in the mean", *beside]
        usual = [usual[0], f"{usually_off.mean():.2g} levels off", *usual[1:]]
    return f"{rightly(x == out)} right", "; ".join(beside), f"{rightly(x == most)} right", "; ".join(usual)


def misses(coding: Coding, x: np.ndarray, out: np.ndarray) -> tuple[np.ndarray, np.ndarray, float]:
    """How far known cells (n,) are off, in raw ones, how far the most usual value is from them, and that value.

    Levels are off by 1 where they are wrong, ordered ones by the levels between; times of day are in turns.
    """
    kind = coding.column.kind
    if kind in ("binary", "category", "ordinal"):
        levels, counts = np.unique(x, return_counts=True)
        most = float(levels[counts.argmax()])
        if kind == "ordinal":
            return np.abs(x - out), np.abs(x - most), most
        return (x != out).astype(float), (x != most).astype(float), most
    if kind == "circular":
        angle = 2 * math.pi * x
        mean = float(np.arctan2(np.sin(angle).mean(), np.cos(angle).mean()) / (2 * math.pi) % 1.0)
        return around(x - out), around(x - mean), mean
    return np.abs(x - out), np.abs(x - x.mean()), float(x.mean())


def root_mean_square(values: np.ndarray) -> float:
    return float(np.sqrt(np.square(values).mean()))


def lost_share(coding: Coding, x: np.ndarray, out: np.ndarray) -> float:
    """The error of known cells (n,) over that of their most usual value; NaN where they never vary.

    It is the ratio of the two figures that are shown: of levels the shares that are wrong, of ordered ones the levels
    they are off, of all else the root mean squared errors in the column's own unit.
    """
    if not len(x) or np.ptp(x) == 0:  # whose mean may be off by a rounding, of which any error is a large multiple
        return math.nan
    errors, usual, _ = misses(coding, x, out)
    mean = np.mean if coding.column.kind in ("binary", "category", "ordinal") else root_mean_square
    most = float(mean(usual))
    return float(mean(errors)) / most if most > 0 else math.nan


def rightly(hits: np.ndarray) -> str:
    """
    >>> rightly(np.array([True, True, False])), rightly(np.array([True]))
    ('66.7 %', '100 %')
    """
    return f"{100 * hits.mean():.1f} %" if not hits.all() else "100 %"


def of_numbers(coding: Coding, x: np.ndarray, out: np.ndarray) -> tuple[str, str, str, str]:
    """Root mean squared and median absolute error in the column's unit, and those of always saying its mean."""
    errors, usual, mean = misses(coding, x, out)
    if coding.column.kind == "circular":
        turn = 86_400.0 if coding.family != "number" else coding.period
        errors, usual = turn * errors, turn * usual
    name, size = unit_of(coding, root_mean_square(usual))

    def root(values: np.ndarray) -> str:
        return f"off by {number(root_mean_square(values) / size)}{name}"

    def median(values: np.ndarray) -> str:
        return f"median {number(float(np.median(values)) / size)}{name}"

    always = texts(coding, np.array([mean]), whole=False)[0]
    return root(errors), median(errors), root(usual), f"{always}; {median(usual)}"


def around(turns: np.ndarray) -> np.ndarray:
    """The way from one place on a circle to another, in turns, at most half of one.

    >>> around(np.array([0.9, -0.9, 0.25])).round(2)
    array([0.1 , 0.1 , 0.25])
    """
    rest = turns % 1.0
    return np.minimum(rest, 1.0 - rest)


def unit_of(coding: Coding, error: float) -> tuple[str, float]:
    """What errors of a column are told in, and how many raw ones that is: of dates, times and spans the largest unit
    of which the error is at least two."""
    if coding.family not in ("date", "time", "span") and coding.format is None:
        return "", 1.0
    name, size = next(((name, size) for name, size in SPANS if error >= 2 * size), SPANS[-1])
    return f" {name}", size


# Cells.


def shown_cell(cells: Cells, i: int, j: int) -> ShownCell:
    coding = cells.codings[j]
    observed, rebuilt = (texts(coding, values[i : i + 1, j])[0] for values in (cells.observed, cells.rebuilt))
    if not cells.known[i, j]:
        return ShownCell(coding.name, MISSING, rebuilt, MISSING)
    state = "same" if observed == rebuilt else "far" if cells.errors[i, j] > cells.usual[j] else "near"
    return ShownCell(coding.name, observed, rebuilt, state)


def texts(coding: Coding, values: np.ndarray, *, whole: bool = True) -> list[str]:
    """Raw numbers (n,) of one column as a person reads its cells; ``whole=False`` keeps the fractions of numbers."""
    if not whole and coding.family in ("number", "truth") and coding.column.kind not in ("circular",):
        return [number(float(value)) for value in values]
    others = (values >= len(coding.levels)) & (coding.column.kind == "category")
    pairs = zip(coding.decode(values).to_pylist(), others, strict=True)
    return [OTHER if other else in_words(coding, value) for value, other in pairs]


def in_words(coding: Coding, value: Any) -> str:
    """One cell of the user's as text."""
    if value is None:
        return MISSING
    if coding.family == "span":
        size = abs(value.total_seconds())
        name, unit = next(((name, unit) for name, unit in SPANS if size >= 2 * unit), SPANS[-1])
        return f"{number(value.total_seconds() / unit)} {name}"
    if coding.family in ("date", "time") and coding.format is None:
        return written(value, coding.family, coding.resolution)
    if isinstance(value, (bool, str)) or coding.family in ("date", "time"):
        text = " ".join(str(value).split())
        return text if len(text) <= LETTERS else f"{text[: LETTERS - 1]}…"
    return str(value) if coding.levels else number(float(value))


def written(value: Any, family: str, resolution: str) -> str:
    """A date or time in the column's own time zone, as finely as the column is.

    >>> from datetime import datetime, time
    >>> written(datetime(2024, 5, 1, 13, 7), "date", "minutes"), written(time(13, 7, 5), "time", "seconds")
    ('2024-05-01 13:07', '13:07:05')
    """
    if resolution == "days" or not hasattr(value, "hour"):
        return str(value)[:10]
    if resolution in ("hours", "minutes", "seconds"):
        clock = "%H:%M:%S" if resolution == "seconds" else "%H:%M"
        return str(value.strftime(f"%Y-%m-%d {clock}" if family == "date" else clock))
    return str(value)


def number(value: float) -> str:
    """A number as a person reads it: four digits of a fraction, all those of a whole number.

    >>> number(1994.0), number(38.58165), number(123456.7), number(0.0), number(-0.25)
    ('1994', '38.58', '123,457', '0', '-0.25')
    """
    if not math.isfinite(value):
        return "-"
    if abs(value) < 10_000:
        return str(int(value)) if value == int(value) else f"{value:.4g}"
    return f"{value:,.0f}" if abs(value) < 1e12 else f"{value:.4g}"


def left_out_words(sentences: Sequence[str]) -> str:
    """Which columns are not in the model.

    >>> left_out_words(["id: it names rows"])
    '1 column is not used. id: it names rows.'
    """
    if not sentences:
        return ""
    verb = "is" if len(sentences) == 1 else "are"
    return f"{counted(len(sentences), 'column')} {verb} not used. {'; '.join(sentences)}."
