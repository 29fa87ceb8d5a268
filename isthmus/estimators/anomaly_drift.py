"""Which columns of some rows are no longer what they were when an `AnomalyDetector` was fitted."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

from isthmus.alarms import HeldOut
from isthmus.data import Source
from isthmus.data.sources import spread_rows
from isthmus.data.table_form import TableForm
from isthmus.estimators.anomaly_words import Chosen, Scored
from isthmus.estimators.oddness_of_cells import Cells, costs_of
from isthmus.estimators.oddness_of_numbers import Numbers
from isthmus.report.columns import number
from isthmus.report.figures import shown

if TYPE_CHECKING:
    from isthmus.estimators.anomalies import AnomalyDetector

SHIFTED, WIDENED = 0.25, 1.5
"""A column has drifted where its mean is off by more than the first, in the standard deviations of the fit, or its
spread by more than the second as a factor."""

FAR = 5.0
"""Standard deviations beyond which a cell counts as so far off, so that one alone moves no mean."""

OFF_BULK = 0.05
"""The mean p-value of rows like those of the fit is 0.5; one that is off by more than this is worth a word."""

MANY = 0.2
"""Where a larger share of the rows alarms, the data have changed; of fewer rows it may be anomalies."""

SAMPLE = 20_000
"""Rows at most that columns are compared by."""

TELLING = 30
"""Rows at least by which drift is told: of fewer, some odd ones look like a change of them all."""

FEWEST_ROWS = 100
"""Rows of a mixed table by which its columns are judged; a rare level among fewer is no drift."""

FEWEST = 10
"""Cells at least that must hold another value for a column that was constant to have drifted."""

ODD_CELL = 3.0
"""Nats: one cell in twenty of the fit's was so odd, given the other cells of its row."""

SIGMAS = 4.0
"""So many standard errors off is no chance, where many columns are looked at."""


def percent(value: float) -> str:
    """
    >>> percent(0.01), percent(0.0333), percent(0.0004), percent(0.0)
    ('1 %', '3.3 %', '0.04 %', '0 %')
    """
    return f"{100 * value:.2g} %" if value < 0.995 else f"{100 * value:.0f} %"


def bulk_of(scored: Scored, held_out: HeldOut, rate: float) -> tuple[bool, float]:
    """Whether the rows that do not alarm look odder than held-out rows did, and their mean p-value, usually 0.5."""
    p_values = scored.p_values[~scored.alarms & scored.known]
    if not len(p_values):
        return bool(scored.alarms.any()), 0.0
    mean = float(p_values.mean()) - rate / 2  # as those of rows that do not alarm are spread from the rate to 1
    error = np.sqrt((1 / len(p_values) + 1 / len(held_out)) / 12)
    return bool(mean < 0.5 - max(OFF_BULK, SIGMAS * error)), mean


@dataclass(frozen=True)
class Moved:
    """One column then and now, in words. ``size`` orders them: how far it has moved, 1 = worth telling."""

    column: str
    then: str
    now: str
    how: str
    size: float

    @property
    def drifted(self) -> bool:
        return self.size > 1.0


def moved_columns(detector: AnomalyDetector, source: Source, scored: Scored) -> list[Moved]:
    """Every column of a table beside what the fit keeps of it, the most moved first; nothing of pictures and series,
    nor of fewer rows than tell.

    Of numbers it is the mean and the spread, of ranks where the fit knows quantiles, so that a heavy tail does not hide
    the rest; of levels, how often cells are odd given the other cells of their row. Rows that alarm are left
    out where they are few and all others look as ordinary as ever: anomalies are no drift.
    """
    odd = detector.oddness_
    rows = np.flatnonzero(scored.known)
    if len(rows) < TELLING:
        return []
    few = scored.alarms[rows].mean() <= MANY
    if few and not bulk_of(scored, detector.held_out_, float(detector.alarm_rate))[0]:
        rows = rows[~scored.alarms[rows]]
    some = Chosen(source, rows[spread_rows(len(rows), SAMPLE)])
    if isinstance(odd, Numbers):
        made = moved_numbers(odd, some)
    elif isinstance(odd, Cells) and some.rows >= FEWEST_ROWS:
        made = moved_cells(odd, some, len(detector.held_out_))
    else:
        made = []
    return sorted(made, key=lambda one: -one.size)


def moved_numbers(odd: Numbers, source: Source) -> list[Moved]:
    raw = np.asarray(source.read(0, source.rows), dtype=np.float64)
    scaling = odd.view.scaling
    names = [str(name) for name in source.names or source.kept or range(raw.shape[1])]
    made = []
    for column in np.flatnonzero(scaling.constant).tolist():
        moved = odd.view.moved(raw)[:, column]
        always = number(float(scaling.low[column]))
        now = f"{percent(float(moved.mean()))} other values" if moved.any() else f"always {always}"
        made.append(Moved(names[column], f"always {always}", now, "", 100.0 if moved.sum() >= FEWEST else 0.0))
    view = odd.view
    for place, column in enumerate(view.columns.tolist()):
        if not scaling.constant[column]:
            scores = np.interp(raw[:, column], view.at[place], view.to[place]).clip(-FAR, FAR)
            ends = np.interp(middles(scores), view.to[place], view.at[place])
            made.append(moved_number(names[column], scores, ends, scaling.rows))
    return made


def middles(scores: np.ndarray) -> np.ndarray:
    """(4,) from where to where most scaled cells of a column were in the fit, and are: a standard deviation to either
    side of the mean."""
    mean, spread = float(scores.mean()), float(scores.std())
    return np.array([-1.0, 1.0, mean - spread, mean + spread])


def moved_number(name: str, scores: np.ndarray, ends: np.ndarray, fitted: int) -> Moved:
    """A column of numbers by its scaled cells (n,), whose mean was 0 and whose standard deviation 1 in the fit, and by
    its `middles` in the user's units."""
    shift, spread = float(scores.mean()), max(float(scores.std()), 1e-3)
    error = float(np.sqrt(1 / len(scores) + 1 / max(1, fitted)))
    # The standard error of a spread's logarithm is 0.7 that of the mean.
    wide = abs(np.log(spread)) / max(np.log(WIDENED), 0.7 * SIGMAS * error)
    size = float(max(abs(shift) / max(SHIFTED, SIGMAS * error), wide))
    how = f"{abs(shift):.2f} standard deviations {'up' if shift > 0 else 'down'}, spread times {shown(spread, 2)}"
    low, high, low_now, high_now = map(number4, ends.tolist())
    return Moved(name, f"mostly {low} to {high}", f"mostly {low_now} to {high_now}", how, size)


def number4(value: float) -> str:
    """
    >>> number4(12345.678), number4(0.123456)
    ('12,346', '0.1235')
    """
    return number(float(f"{value:.4g}") if abs(value) < 1e4 else value)


def moved_cells(odd: Cells, source: Source, held_out: int) -> list[Moved]:
    model = odd.models[0]
    raw = np.asarray(source.read(0, source.rows), dtype=np.float64)
    usual = float(np.exp(-ODD_CELL))
    made = []
    surprised = odd.surprised(*costs_of(model, source, np.arange(source.rows)))
    scaled = model.scaling_.forward(raw).numpy().astype(np.float64).clip(-FAR, FAR)
    known = ~np.isnan(raw)
    codings = source.form.codings if isinstance(source.form, TableForm) else ()
    of_numbers = np.array([coding.column.numeric and coding.family == "number" for coding in codings])
    ends = np.zeros((4, raw.shape[1]))
    for i in np.flatnonzero(of_numbers & known.any(0)).tolist():
        ends[:, i] = middles(scaled[known[:, i], i])
    ends = model.scaling_.inverse(torch.from_numpy(ends), wide=True)
    for i, coding in enumerate(codings):
        here = known[:, i]
        if not here.any():
            made.append(Moved(coding.name, "", "no cell is known", "", 0.0))
        elif of_numbers[i] and not model.scaling_.constant[i]:
            made.append(moved_number(coding.name, scaled[here, i], ends[:, i], model.scaling_.rows))
        else:
            share = float((surprised[here, i] > ODD_CELL).mean())
            new = float((raw[here, i] >= len(coding.levels)).mean()) if coding.column.kind == "category" else 0.0
            error = np.sqrt(usual * (1 - usual) * (1 / here.sum() + 1 / held_out))
            size = max(0.0, float((share - usual) / max(usual, SIGMAS * error)))
            how = f"{percent(new)} rare or new values" if new else ""
            made.append(Moved(coding.name, f"odd in {percent(usual)} at most", f"odd in {percent(share)}", how, size))
    return made
