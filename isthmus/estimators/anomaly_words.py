"""Rows scored by an `AnomalyDetector`, and in words why they are odd: "income: 90,000, expected 41,200"."""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from isthmus.data import Form, Source
from isthmus.data.table_form import TableForm
from isthmus.estimators.cascade import Cascade
from isthmus.estimators.explaining import NEGLIGIBLE, ORDINARY, explained
from isthmus.estimators.oddness_of_numbers import Numbers
from isthmus.estimators.oddness_of_steps import Steps
from isthmus.estimators.oddness_of_wholes import Wholes
from isthmus.report.columns import LETTERS, MISSING, OTHER, in_words, number

if TYPE_CHECKING:
    from isthmus.estimators.anomalies import AnomalyDetector

TOGETHER = 2048
"""Rows that are explained at once."""

SEARCHED = 3
"""Reasons at least that are looked for, so that the first is the same however many are asked for; and rows at least of
which it is told why they are odd, where fewer alarm."""

APART = 8
"""Of pictures and series, places that are named for one row lie this share of a side apart, so that they are not all
of one spot."""


@dataclass(frozen=True)
class Scored:
    """Some rows as a detector sees them.

    Attributes
    ----------
    odd : (n,) float64, nats, higher = odder; NaN = the row has no score.
    p_values : (n,) in (0, 1], NaN where there is no score.
    alarms : (n,) bool, False where there is no score.
    """

    odd: np.ndarray
    p_values: np.ndarray
    alarms: np.ndarray

    @classmethod
    def by(cls, detector: AnomalyDetector, source: Source, without: np.ndarray | None = None) -> Scored:
        """All rows of a source that the detector has opened; those ``without`` a score are told as (n,) bool."""
        odd = np.array(detector.oddness_(source), dtype=np.float64)
        if without is not None:
            odd[without] = np.nan
        p_values = np.where(np.isnan(odd), np.nan, detector.held_out_.p_values(odd))
        return cls(odd, p_values, odd > -detector.offset_)

    @property
    def known(self) -> np.ndarray:
        """(n,) bool: which rows have a score."""
        return ~np.isnan(self.odd)

    def of_known(self) -> Scored:
        """The same of the rows that have a score."""
        known = self.known
        return self if known.all() else Scored(self.odd[known], self.p_values[known], self.alarms[known])

    def oddest(self, most: int) -> np.ndarray:
        """The numbers of the oddest rows, the oddest first; rows without a score are none of them."""
        return np.argsort(-self.odd, kind="stable")[: min(most, int(self.known.sum()))]

    def to_explain(self, most: int | None = None, least: int = SEARCHED) -> np.ndarray:
        """The numbers of the rows whose reasons are told, the oddest first: those that alarm, of them the ``most``
        oddest; and the ``least`` oddest, where fewer alarm. Of all other rows a reason would mislead."""
        alarms = int(self.alarms.sum())
        return self.oddest(max(alarms if most is None else min(alarms, most), least))


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


@dataclass(frozen=True)
class Told:
    """Why rows are odd, found once for all who tell it: the terminal, a file and a page.

    Attributes
    ----------
    reasons : by the number of a row, its reasons, the most important first; of other rows nothing is told.
    heat : by the number of a row, its heat map, of pictures.
    """

    reasons: dict[int, tuple[Reason, ...]]
    heat: dict[int, np.ndarray]

    @classmethod
    def of(
        cls, detector: AnomalyDetector, source: Source, rows: np.ndarray, most: int, drawn: np.ndarray, table: Any
    ) -> Told:
        """Up to ``most`` reasons of each of some rows, by their numbers; heat maps of those to be ``drawn``.

        ``table`` is the user's own frame of all rows, in whose words cells are told; None = there is none.
        """
        if not isinstance(detector.oddness_, (Wholes, Cascade)):
            return cls(dict(zip(rows.tolist(), reasons_of(detector, source, rows, most, table), strict=True)), {})
        reasons: dict[int, tuple[Reason, ...]] = {}
        heat: dict[int, np.ndarray] = {}
        explain, draw = set(rows.tolist()), set(drawn.tolist())
        for some, hot in heated(detector, source, np.union1d(rows, drawn).astype(np.int64)):
            every = of_places(hot, source, most)
            reasons |= {row: why for row, why in zip(some.tolist(), every, strict=True) if row in explain}
            heat |= {row: one for row, one in zip(some.tolist(), hot, strict=True) if row in draw}
        return cls(reasons, heat)


def heated(detector: AnomalyDetector, source: Source, rows: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Some rows at a time, by their numbers, and their heat maps."""
    for start in range(0, len(rows), TOGETHER):
        some = rows[start : start + TOGETHER]
        yield some, explained(detector, Chosen(source, some), 1)


def reasons_of(
    detector: AnomalyDetector, source: Source, rows: np.ndarray, most: int, table: Any = None
) -> list[tuple[Reason, ...]]:
    """For each of some rows, by their numbers, up to ``most`` reasons, the most important first; none where no cell is
    odder than one in twenty of an ordinary row's is.

    Of tables they are columns with their values and the expected ones, in the words of the user's own ``table`` of all
    rows where it is given; of pictures and series the places that are rebuilt worst, and how much worse than usual.
    """
    made: list[tuple[Reason, ...]] = []
    if isinstance(detector.oddness_, Steps):  # whose reasons lie in the steps before
        unnamed = copy.copy(source)  # with its times, which say where the steps before lie
        unnamed.index = None
        found = of_cells(explained(detector, unnamed, max(most, SEARCHED)), source, ORDINARY, table)
        return [found[row][:most] for row in rows.tolist()]
    if isinstance(detector.oddness_, (Wholes, Cascade)):
        return [why for _, hot in heated(detector, source, rows) for why in of_places(hot, source, most)]
    least = NEGLIGIBLE if isinstance(detector.oddness_, Numbers) else ORDINARY
    for start in range(0, len(rows), TOGETHER):
        some = rows[start : start + TOGETHER]
        chosen = Chosen(source, some)
        own = None if table is None else table.iloc[some]
        made += of_cells(explained(detector, chosen, max(most, SEARCHED)), chosen, least, own)
    return [reasons[:most] for reasons in made]


def of_cells(found: Any, source: Source, least: float, table: Any = None) -> list[tuple[Reason, ...]]:
    """The lines of a frame that `AnomalyDetector.explain` made, by row; those whose drop is ``least`` or less tell
    nothing, and are left out."""
    made: list[list[Reason]] = [[] for _ in range(source.rows)]
    codings = {one.name: one for one in source.form.codings} if isinstance(source.form, TableForm) else {}
    found = found[found["drop"] > least]
    for row, name, value, expected in zip(
        found["row"].tolist(), found["column"].tolist(), found["value"], found["expected"], strict=True
    ):
        coding = codings.get(str(name))
        words = [cell_in_words(cell, coding) for cell in (value, expected)]
        if is_number(value, coding) and is_number(expected, coding):
            difference = float(value) - float(expected)
            words = [apart(words[0], float(value), difference), apart(words[1], float(expected), difference)]
        if words[0] == OTHER and table is not None:  # the detector has no word for it, and the user has
            words[0] = shortened(own_cell(table, source, str(name), row))
        made[row].append(Reason(str(name), *words))
    return [tuple(one) for one in made]


def own_cell(table: Any, source: Source, name: str, row: int) -> Any:
    """A cell of the user's frame, whose columns may have no names."""
    places = [place for place, label in enumerate(table.columns) if str(label) == name]
    if source.names is None:
        used = [coding.name for coding in source.form.codings].index(name)  # type: ignore[attr-defined]
        places = [used if source.kept is None else source.kept[used]]
    return table.iat[row, places[0]] if places else OTHER


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


def is_number(value: Any, coding: Any) -> bool:
    """Whether a cell is told as a number of which digits may be left out."""
    plain = coding is None or (not coding.levels and coding.family not in ("span", "date", "time"))
    real = isinstance(value, (int, float, np.integer, np.floating)) and not isinstance(value, bool)
    return plain and real and math.isfinite(value)


def apart(word: str, value: float, difference: float) -> str:
    """A number, told with so many more digits that two of its difference from another show.

    >>> apart("1013", 1013.42, -0.2), apart("101,326", 101325.6, 0.4), apart("1013", 1013.42, 90.0)
    ('1013.42', '101,325.6', '1013')
    """
    if not difference:
        return word
    last = math.floor(math.log10(abs(difference))) - 1  # the power of ten of the last digit that is shown
    if abs(float(word.replace(",", "")) - value) <= 0.5 * 10.0**last:
        return word
    digits = max(4, math.floor(math.log10(abs(value))) - last + 1)
    return f"{value:{',' if abs(value) >= 10_000 else ''}.{min(digits, 17)}g}"


def shortened(value: Any) -> str:
    """Any cell on one line, of no more letters than are shown of others.

    >>> shortened("Astronaut on leave,\\nfor the time being, and back")
    'Astronaut on leave, for the time be…'
    """
    text = " ".join(str(value).split())
    return text if len(text) <= LETTERS else f"{text[: LETTERS - 1]}…"


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
        for row in np.flatnonzero(top > NEGLIGIBLE).tolist():
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
