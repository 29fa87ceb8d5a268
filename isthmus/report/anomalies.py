"""The page about scored rows: verdicts, the oddest rows with their reasons, calibration and drift. It takes plain
values."""

from __future__ import annotations

import os
from dataclasses import dataclass
from html import escape
from typing import Any

import numpy as np
from matplotlib.ticker import FixedLocator, FuncFormatter, NullFormatter, NullLocator

from isthmus.report import frame, plots
from isthmus.report.elements import Markup, figure, paragraph, picture, section, settings, table
from isthmus.report.figures import shown
from isthmus.report.verdict_list import verdict_section, wrong_first
from isthmus.verdicts import Verdict

DRAWN = 3000
"""Rows at most that are drawn as points."""

BINS = 40

LOOK = """
.odd td:last-child { width: 75%; min-width: min(26rem, 50vw); }
.odd .alarm { display: block; color: var(--bad); font-weight: 600; font-size: .82rem; }
.odd .none { display: block; color: var(--faint); font-weight: 400; font-size: .82rem; }
.odd .beside { flex-wrap: wrap; gap: .4rem .8rem; }
.odd .beside .pixels { width: 5.5rem; }
.odd .quiet, .moved .quiet { color: var(--faint); }
.moved .far { color: var(--second); font-weight: 600; }
.moved tbody th { min-width: 6rem; }
.moved td { min-width: 6.5rem; }
.moved td:last-child { min-width: 9rem; }
"""


@dataclass(frozen=True)
class OddRow:
    """One row: its name, score in nats, p-value, whether it alarms, reasons (column, value, expected) in words, and of
    pictures the row and its heat map."""

    row: str
    score: float
    p_value: float
    alarms: bool
    reasons: tuple[tuple[str, str, str], ...]
    shown: tuple[np.ndarray, np.ndarray] | None = None


@dataclass(frozen=True)
class Anomalies:
    """What is shown.

    Attributes
    ----------
    title, about : what it is, and what was scored.
    key : names and figures under the title.
    verdicts : judgements of the alarms and of drift.
    oddest : the oddest rows, the oddest first.
    rows : (n,) the numbers of the rows that have a score, ascending.
    rows_of : how many rows there are, those without a score among them.
    scores, p_values, alarms : (n,) of the rows that have a score; nats, higher = odder.
    held_out : (m,) scores of the rows that the level rests on, ascending.
    level, rate : the score above which a row alarms, and the rate that was asked for.
    columns : of each column, what it was in the fit, what it is, how far it has moved, and whether that is much.
    columns_of : how many columns there are.
    ends : of pictures, black and white.
    details : names and values.
    """

    title: str
    about: str
    key: list[tuple[str, str]]
    verdicts: tuple[Verdict, ...]
    oddest: list[OddRow]
    rows: np.ndarray
    rows_of: int
    scores: np.ndarray
    p_values: np.ndarray
    alarms: np.ndarray
    held_out: np.ndarray
    level: float
    rate: float
    columns: list[tuple[str, str, str, str, bool]]
    columns_of: int
    ends: tuple[float, float]
    details: list[tuple[str, str]]


def write(path: str | os.PathLike[str], data: Anomalies) -> None:
    """Write the page to ``path``, whole or not at all."""
    frame.write(path, render(data))


def render(data: Anomalies) -> str:
    """The whole page as text."""
    parts = [
        judged(data),
        oddest(data),
        f'<div class="pair">{calibration(data)}{spread(data)}</div>',
        f'<div class="pair">{order(data)}{moved(data)}</div>',
        settings(data.details),
    ]
    return frame.page(data.title, "anomaly report", data.about, parts, data.key, LOOK)


def judged(data: Anomalies) -> str:
    """The verdicts, what is wrong first."""
    ranked = wrong_first(data.verdicts)
    bad = sum(one.level == "bad" for one in ranked)
    lead = "Nothing speaks against these alarms."
    if bad:
        lead = "The alarms are not to be trusted as they are: see below."
    elif ranked and ranked[0].level == "note":
        lead = "The alarms can be trusted, and something is worth knowing."
    return verdict_section(lead, ranked)


def p_in_words(value: float) -> str:
    """
    >>> p_in_words(0.00123), p_in_words(0.5)
    ('0.0012', '0.50')
    """
    return f"{value:.2f}" if value >= 0.095 else f"{value:.2g}"


def oddest(data: Anomalies) -> str:
    """The oddest rows in their order, with reasons."""
    pictured = any(one.shown is not None for one in data.oddest)
    lines = [
        (
            Markup(
                f'{escape(one.row)}<span class="{"alarm" if one.alarms else "none"}">'
                f"{'alarm' if one.alarms else 'no alarm'}</span>"
            ),
            shown(one.score, padded=True),
            p_in_words(one.p_value),
            reasons(one, data.ends),
        )
        for one in data.oddest
    ]
    lead = (
        "The higher the score, the odder the row; the p-value is the share of ordinary rows that are as odd. Reasons "
        "are the cells that, were they as expected, would leave the row ordinary. Rows that alarm have some, and the "
        "oddest others only if few alarm: of ordinary rows they would say nothing."
    )
    if pictured:
        lead = (
            "The higher the score, the odder the row; the p-value is the share of ordinary rows that are as odd. "
            "Beside each picture is where it is rebuilt worse than usual: the fuller the colour, the worse."
        )
    heads = ("row", "score, nats", "p-value", "what is odd")
    drawn = table(heads, lines, f"The {len(lines)} oddest rows", words=(0, 3))
    return section("odd", "The oddest rows", paragraph(lead), f'<div class="odd">{drawn}</div>')


def reasons(one: OddRow, ends: tuple[float, float]) -> Markup:
    """What is odd about a row, as HTML."""
    said = []
    for column, value, expected in one.reasons:
        column, value, expected = escape(column), escape(value), escape(expected)
        if expected == value:
            said.append(f"<b>{column}</b> is {value}, rare in such a row")
        else:
            said.append(f"<b>{column}</b> is {value}, expected {expected}" if expected else f"<b>{column}</b>: {value}")
    words = "<br>".join(said) or ('<span class="quiet">the row as a whole</span>' if one.alarms else "")
    if one.shown is None:
        return Markup(words)
    images = picture(plots.picture(one.shown[0], *ends), f"row {one.row}")
    images += picture(plots.heat(one.shown[1]), f"row {one.row}, where it is odd", "gap")
    return Markup(f'<div class="beside">{images}<span>{words}</span></div>')


def percents(axis: Any) -> None:
    """Powers of ten as percentages, on a logarithmic axis."""
    axis.set_major_locator(FixedLocator([10.0**power for power in range(-7, 1)]))
    axis.set_minor_locator(NullLocator())
    axis.set_major_formatter(FuncFormatter(lambda value, _place: f"{100 * value:.6g} %"))
    axis.set_minor_formatter(NullFormatter())


def calibration(data: Anomalies) -> str:
    """The share of rows that alarm at every rate that may be asked for."""
    rows, held_out = len(data.p_values), len(data.held_out)
    least = 1 / (held_out + 1)
    rates = np.geomspace(least, 1.0, 120)
    seen = np.searchsorted(np.sort(data.p_values), rates * (1 + 1e-9), side="right") / rows
    error = np.sqrt(rates * (1 - rates) * (1 / rows + 1 / held_out))
    floor = 0.5 * min(least, 1 / rows)
    with plots.drawing() as sheet:
        axes = sheet.axes
        low, high = (np.clip(rates + sign * 2 * error, floor, 1.0) for sign in (-1, 1))
        axes.fill_between(rates, low, high, color=plots.GRID, alpha=0.7, linewidth=0)
        axes.plot(rates, rates, color=plots.SECOND, linewidth=1.4, linestyle=(0, (5, 2)), label="as asked for")
        axes.plot(rates, np.where(seen > 0, seen, np.nan), color=plots.FIRST, label="these rows")
        axes.axvline(data.rate, color=plots.INK, linewidth=1, linestyle=(0, (2, 2)))
        axes.set(xscale="log", yscale="log", xlim=(least, 1.0), ylim=(floor, 1.3))
        percents(axes.xaxis)
        percents(axes.yaxis)
        axes.set(xlabel="alarm rate asked for", ylabel="share of the rows that alarm")
        sheet.figure.legend(loc="outside upper right", ncols=2)
        now = float(data.alarms.mean())
        drawn = sheet.svg(f"Share of the rows that alarm against the rate asked for: {now:.2%} at {data.rate:.2%}")
    caption = (
        "On the dashed line as many rows alarm as was asked for; in the grey band the difference may be chance. Above "
        "it at the left end alone, there are anomalies among the rows; above it throughout, the data have drifted. The "
        "dotted line is the rate in use."
    )
    return section("calibration", "Asked for and seen", figure(drawn, caption))


def spread(data: Anomalies) -> str:
    """How scores of held-out rows and of these are spread, with the level."""
    both = np.concatenate([data.scores, data.held_out])
    low, high = float(np.quantile(both, 0.001)), float(both.max())
    wide = high > 8 * max(float(np.median(both)), 1e-9)
    least = max(low, 0.02 * float(np.median(both)), 1e-3)
    edges = np.geomspace(least, max(high, least * 1.1), BINS + 1) if wide else np.linspace(low, high + 1e-9, BINS + 1)
    with plots.drawing() as sheet:
        axes = sheet.axes
        for values, colour, name, filled in (
            (data.held_out, plots.GROUPS[7], "held out", True),
            (data.scores, plots.FIRST, "these rows", False),
        ):
            counts = np.histogram(np.clip(values, edges[0], edges[-1]), bins=edges)[0] / len(values)
            axes.stairs(
                counts, edges, color=colour, fill=filled, alpha=0.45 if filled else 1.0, linewidth=1.8, label=name
            )
        axes.axvline(data.level, color=plots.SECOND, linewidth=1.4, linestyle=(0, (5, 2)), label="level of alarms")
        axes.set_yscale("log")
        percents(axes.yaxis)
        axes.set_ylim(0.5 * min(1 / len(data.scores), 1 / len(data.held_out)), 1.0)
        if wide:
            axes.set_xscale("log")
            plots.plain_logarithms(axes.xaxis)
        axes.set(xlabel="score, nats", ylabel="share of the rows")
        axes.grid(False, axis="x")
        sheet.figure.legend(loc="outside upper right", ncols=3)
        drawn = sheet.svg(f"Spread of the scores; rows alarm above {shown(data.level)} nats")
    caption = (
        "Scores of the rows that were held out of the fit, or judged since, and of these; alarms are on the right."
    )
    return section("spread", "Scores", figure(drawn, caption))


def order(data: Anomalies) -> str:
    """Scores along the order of the rows."""
    rows = len(data.scores)
    quiet = np.flatnonzero(~data.alarms)
    some = quiet if len(quiet) <= DRAWN else quiet[np.linspace(0, len(quiet) - 1, DRAWN).astype(int)]
    loud = np.flatnonzero(data.alarms)
    loud = loud if len(loud) <= DRAWN else loud[np.linspace(0, len(loud) - 1, DRAWN).astype(int)]
    pieces = np.array_split(np.arange(rows), max(1, min(50, rows // 20)))
    middles = np.array([data.rows[piece].mean() for piece in pieces])
    medians = np.array([np.median(data.scores[piece]) for piece in pieces])
    floor = max(1e-3, 0.1 * float(np.median(data.scores)))
    wide = float(data.scores.max()) > 8 * max(float(np.median(data.scores)), 1e-9)
    with plots.drawing() as sheet:
        axes = sheet.axes
        dots: dict[str, Any] = {"linestyle": "none", "marker": "o", "markeredgewidth": 0}
        heights = np.maximum(data.scores[some], floor)
        axes.plot(data.rows[some], heights, color=plots.GROUPS[7], alpha=0.6, markersize=2.4, **dots)
        axes.plot(data.rows[loud], data.scores[loud], color=plots.SECOND, markersize=4, label="alarm", **dots)
        axes.plot(middles, np.maximum(medians, floor), color=plots.FIRST, label="median")
        axes.axhline(data.level, color=plots.SECOND, linewidth=1.2, linestyle=(0, (5, 2)), label="level")
        if wide:
            axes.set_yscale("log")
            plots.plain_logarithms(axes.yaxis)
        axes.set(xlabel="row, in the order of the data", ylabel="score, nats")
        axes.set_xlim(-0.01 * data.rows_of, 1.01 * data.rows_of)
        sheet.figure.legend(loc="outside upper right", ncols=3)
        drawn = sheet.svg(f"Scores of {rows:,} rows in their order, {len(data.scores[data.alarms]):,} above the level")
    said = f" {DRAWN:,} of the others are drawn." if len(some) < len(quiet) else ""
    caption = f"Each point is a row; the line is the median of neighbouring ones. Where it rises, the data drift.{said}"
    return section("order", "Along the rows", figure(drawn, caption))


def moved(data: Anomalies) -> str:
    """The columns beside those of the fit, the most moved first."""
    if not data.columns:
        return ""
    lines = [
        (name, then, now, Markup(f'<span class="{"far" if far else "quiet"}">{escape(how)}</span>'))
        for name, then, now, how, far in data.columns
    ]
    count = len(lines)
    which = f"The {count} of {data.columns_of:,} columns that moved most" if count < data.columns_of else "All columns"
    lead = (
        f"{which}, the most moved first, without rows that alarm where these are few; what is in colour is more than "
        "chance, and enough to matter."
    )
    heads = ("column", "in the fit", "in these rows", "by how much")
    drawn = table(heads, lines, "Columns then and now", words=(0, 1, 2, 3))
    return section("moved", "Columns then and now", paragraph(lead), f'<div class="moved">{drawn}</div>')
