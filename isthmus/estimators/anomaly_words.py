"""Rows scored by an `AnomalyDetector`, and in words why they are odd: "income: 90,000, expected 41,200"."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from isthmus.data import Form, Source
from isthmus.data.table_form import TableForm
from isthmus.estimators.explaining import ORDINARY, explained
from isthmus.estimators.oddness_of_steps import Steps
from isthmus.report.columns import MISSING, OTHER, in_words, number

if TYPE_CHECKING:
    from isthmus.estimators.anomalies import AnomalyDetector

TOGETHER = 2048
"""Rows that are explained at once."""

SEARCHED = 3
"""Reasons at least that are looked for, so that the first is the same however many are asked for."""

APART = 8
"""Of pictures and series, places that are named for one row lie this share of a side apart, so that they are not all
of one spot."""


@dataclass(frozen=True)
class Scored:
    """Some rows as a detector sees them.

    Attributes
    ----------
    odd : (n,) float64, nats, higher = odder.
    p_values : (n,) in (0, 1].
    alarms : (n,) bool.
    """

    odd: np.ndarray
    p_values: np.ndarray
    alarms: np.ndarray

    @classmethod
    def by(cls, detector: AnomalyDetector, source: Source) -> Scored:
        """All rows of a source that the detector has opened."""
        odd = detector.oddness_(source)
        return cls(odd, detector.held_out_.p_values(odd), odd > -detector.offset_)

    def oddest(self, most: int) -> np.ndarray:
        """The numbers of the oddest rows, the oddest first."""
        return np.argsort(-self.odd, kind="stable")[:most]


@dataclass(frozen=True)
class Reason:
    """What is odd about a row, in words; ``expected`` is empty where only the place is known (pictures, series)."""

    column: str
    value: str
    expected: str = ""

    def __str__(self) -> str:
        """
        >>> print(Reason("income", "90,000", "41,200"))
        income: 90,000, expected 41,200
        """
        said = f"{self.column}: {self.value}"
        if self.value == self.expected:  # as it is shown, or a level that is likely and yet rare in such a row
            return f"{said}, rare in such a row"
        return f"{said}, expected {self.expected}" if self.expected else said


class Chosen(Source):
    """Some rows of another source, by their numbers."""

    def __init__(self, source: Source, rows: np.ndarray) -> None:
        self.source, self.at = source, np.asarray(rows, dtype=np.int64)
        self.rows = len(self.at)
        self.layout, self.names, self.dtypes = source.layout, source.names, source.dtypes
        self.container, self.numbered, self.kept = source.container, source.numbered, source.kept
        self.per_column, self.argument = source.per_column, source.argument
        self.lengths = None if source.lengths is None else source.lengths[self.at]
        self.blocks = [(0, self.rows)]

    @property
    def form(self) -> Form:
        return self.source.form

    @property
    def dtype(self) -> np.dtype:
        return self.source.dtype

    def take(self, rows: np.ndarray) -> np.ndarray:
        return self.source.take(self.at[rows])

    def weight(self, rows: np.ndarray) -> np.ndarray | None:
        return self.source.weight(self.at[rows])

    def weight_of(self, raw: np.ndarray, rows: np.ndarray) -> np.ndarray | None:
        return self.source.weight_of(raw, self.at[rows])


def reasons_of(detector: AnomalyDetector, source: Source, rows: np.ndarray, most: int) -> list[tuple[Reason, ...]]:
    """For each of some rows, by their numbers, up to ``most`` reasons, the most important first.

    Of tables they are columns with their values and the expected ones, in the table's own words; of pictures and
    series the places that are rebuilt worst, and how much worse than usual.
    """
    made: list[tuple[Reason, ...]] = []
    if isinstance(detector.oddness_, Steps):
        return of_steps(detector, source, rows, most)
    for start in range(0, len(rows), TOGETHER):
        some = Chosen(source, rows[start : start + TOGETHER])
        found = explained(detector, some, max(most, SEARCHED))
        made += of_places(found, some, most) if isinstance(found, np.ndarray) else of_cells(found, some)
    return [reasons[:most] for reasons in made]


def of_steps(detector: AnomalyDetector, source: Source, rows: np.ndarray, most: int) -> list[tuple[Reason, ...]]:
    """The same of steps of a series, whose reasons lie in the steps before: the odd channels, at least one."""
    found = explained(detector, Chosen(source, np.arange(source.rows)), most)
    made = of_cells(found[(found["rank"] == 1) | (found["drop"] > ORDINARY)], source)
    return [made[row] for row in rows.tolist()]


def of_cells(found: Any, source: Source) -> list[tuple[Reason, ...]]:
    """The lines of a frame that `AnomalyDetector.explain` made, by row."""
    made: list[list[Reason]] = [[] for _ in range(source.rows)]
    codings = {one.name: one for one in source.form.codings} if isinstance(source.form, TableForm) else {}
    for row, name, value, expected in zip(
        found["row"].tolist(), found["column"].tolist(), found["value"], found["expected"], strict=True
    ):
        words = (cell_in_words(cell, codings.get(str(name))) for cell in (value, expected))
        made[row].append(Reason(str(name), *words))
    return [tuple(one) for one in made]


def cell_in_words(value: Any, coding: Any) -> str:
    """One cell of the user's, as text.

    >>> cell_in_words(np.float32(41200), None), cell_in_words(True, None)
    ('41,200', 'True')
    """
    if coding is not None:
        lost = value is None or value != value or str(value) in ("NaT", "<NA>")
        if lost:
            return OTHER if coding.levels else MISSING
        return in_words(coding, value)
    return str(value) if isinstance(value, (bool, np.bool_)) else number(float(value))


def of_places(heat: np.ndarray, source: Source, most: int) -> list[tuple[Reason, ...]]:
    """The hottest places of a heat map (n, *shape), each apart from those named before.

    >>> from isthmus.data import ArraySource
    >>> picture = np.full((1, 9, 9), 0.5)
    >>> picture[0, 2, 3] = 40.0
    >>> [str(reason) for reason in of_places(picture, ArraySource(picture), 1)[0]]
    ['height 2, width 3: 40 times the usual error']
    """
    left = np.array(heat, dtype=np.float64)
    count, shape = len(left), left.shape[1:]
    every = np.arange(count)
    made: list[list[Reason]] = [[] for _ in range(count)]
    for _ in range(most):
        flat = left.reshape(count, -1).argmax(1)
        top = left.reshape(count, -1)[every, flat]
        places = np.stack(np.unravel_index(flat, shape), 1)
        for row in np.flatnonzero(top > 1.0).tolist():
            where = ", ".join(
                f"{axis} {at}" for axis, at in zip(source.layout.axes, places[row].tolist(), strict=False)
            )
            made[row].append(Reason(where, f"{number(float(f'{top[row]:.2g}'))} times the usual error"))
        near = np.ones_like(left, dtype=bool)
        for axis, length in enumerate(shape):
            reach = length // APART if source.layout.axes[axis] != "channel" else length
            off = np.abs(np.arange(length) - places[:, axis : axis + 1]) <= reach
            near &= off.reshape(count, *[1] * axis, length, *[1] * (len(shape) - axis - 1))
        left[near] = -np.inf
    return [tuple(one) for one in made]
