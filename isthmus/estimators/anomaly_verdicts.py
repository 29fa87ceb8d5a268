"""Judgements of rows that an `AnomalyDetector` has scored: whether its alarms can be trusted, and what has drifted."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy.stats import betabinom

from isthmus.alarms import RESOLVED, HeldOut
from isthmus.checks import counted
from isthmus.estimators.anomaly_drift import MANY, OFF_BULK, SIGMAS, TELLING, Moved, bulk_of, percent
from isthmus.estimators.anomaly_words import Scored
from isthmus.verdicts import Verdict

if TYPE_CHECKING:
    from isthmus.estimators.anomalies import AnomalyDetector

CHANCE = 0.01
"""What is less probable than this for rows from where the held-out ones came from, is not put down to chance."""

STRETCHES = 10
"""Pieces of the rows, in their order, that are compared with each other."""


def resolved_verdict(held_out: HeldOut, rate: float) -> Verdict:
    """Whether so many held-out rows can tell this rate."""
    rows = len(held_out)
    said = f"The level rests on {counted(rows, 'held-out row')}; a rate of {percent(rate)} takes"
    needed = int(np.ceil(RESOLVED / rate - 1e-9))
    if held_out.resolves(rate):
        spread = np.sqrt(rate * (1 - rate) / rows)
        return Verdict(
            "resolution", "good", f"{said} {needed:,}. From fit to fit the true rate varies by about "
            f"{percent(float(spread))}.", float(rows),
        )  # fmt: skip
    return Verdict(
        "resolution", "bad", f"{said} {needed:,}. A row alarms that is odder than all of them, as "
        f"{percent(1 / (rows + 1))} of ordinary rows do.", float(rows),
        f"more rows for the fit, or a rate of {percent(RESOLVED / rows)} or more.",
    )  # fmt: skip


def alarms_verdict(scored: Scored, held_out: HeldOut, rate: float, threshold: float) -> Verdict:
    """Whether as many rows alarm as was asked for.

    Of n rows from where the m held-out ones come from, of which j are odder than the level, the number that alarms has
    a beta-binomial distribution with the parameters j + 1 and m - j: what is not known of the level counts too.
    """
    rows, alarms = len(scored.odd), int(scored.alarms.sum())
    above = int((held_out.scores > threshold).sum())
    chance = betabinom(rows, above + 1, len(held_out) - above)
    low, high = (int(end) for end in chance.ppf([CHANCE / 2, 1 - CHANCE / 2]))
    share = alarms / rows
    said = (
        f"{alarms:,} of {counted(rows, 'row')} alarm, {percent(share)}; {percent(rate)} was asked for, which of "
        f"ordinary rows makes {low:,} to {high:,}."
    )
    if alarms > high:
        lost = bulk_of(scored, held_out, rate)[0]
        if rows < TELLING:
            why = "So few rows do not tell rows that are odd from data that have drifted."
        elif lost:
            why = "Most of the other rows look odder than those of the fit too: the data have drifted."
        elif share > MANY:
            why = (
                "The other rows look as ordinary as those of the fit, but so many are no exceptions: the data changed."
            )
        else:
            why = "Most of the other rows look as ordinary as those of the fit: it is single rows that are odd."
        changed = rows >= TELLING and (lost or share > MANY)
        advice = "partial_fit with recent rows, or a new fit, if these are ordinary now." if changed else ""
        return Verdict("alarms", "bad" if changed else "note", f"{said} {why}", share, advice)
    if alarms < low:
        return Verdict("alarms", "note", f"{said} These rows are less odd than those that were held out.", share)
    return Verdict("alarms", "good", said, share)


def bulk_verdict(scored: Scored, held_out: HeldOut, rate: float) -> Verdict | None:
    """Whether most rows look as those that were held out; None of fewer rows than tell."""
    if len(scored.odd) < TELLING:
        return None
    odder, mean = bulk_of(scored, held_out, rate)
    error = np.sqrt((1 / max(1, len(scored.odd)) + 1 / len(held_out)) / 12)
    if odder:
        return Verdict(
            "drift", "bad", f"Rows that do not alarm look odder than those that were held out of the fit: their mean "
            f"p-value is {mean:.2f}, where 0.5 is usual.", mean, "partial_fit with recent rows, or a new fit.",
        )  # fmt: skip
    if mean > 0.5 + max(OFF_BULK, SIGMAS * error):
        return Verdict(
            "drift", "note", f"The rows look more ordinary than those that were held out of the fit: their mean "
            f"p-value is {mean:.2f}, where 0.5 is usual. Rows that the detector was fitted on may, and say nothing "
            "about new ones.", mean,
        )  # fmt: skip
    return Verdict(
        "drift", "good", f"Most rows look as ordinary as those that were held out of the fit: the mean p-value of "
        f"those that do not alarm is {mean:.2f}, where 0.5 is usual.", mean,
    )  # fmt: skip


def order_verdict(scored: Scored) -> Verdict | None:
    """Whether some stretch of the rows is odder than the others; None of fewer rows than tell.

    Rows without a score are left out, and count in the numbers of the others.
    """
    known = np.flatnonzero(scored.known)
    rows = len(known)
    if rows < 20 * STRETCHES:
        return None
    ranks = np.argsort(np.argsort(scored.odd[known], kind="stable"), kind="stable") / max(1, rows - 1)
    pieces = np.array_split(ranks, STRETCHES)
    means = np.array([float(piece.mean()) for piece in pieces])
    error = np.sqrt(STRETCHES / rows / 12)
    at = int(np.argmax(np.abs(means - 0.5)))
    start = sum(map(len, pieces[:at]))
    where = f"rows {known[start]:,} to {known[start + len(pieces[at]) - 1]:,}"
    if abs(means[at] - 0.5) <= max(OFF_BULK, SIGMAS * error):
        return Verdict(
            "order", "good", f"No tenth of the rows is much odder than the others; {where} differ most.", means[at]
        )
    more = "odder" if means[at] > 0.5 else "more ordinary"
    share = means[at] if means[at] > 0.5 else 1 - means[at]
    return Verdict(
        "order", "note", f"The rows change along their order: {where} are the ones that stand out, {more} than "
        f"{percent(float(share))} of all rows in the mean, where 50 % is usual.", float(means[at]),
    )  # fmt: skip


def columns_verdict(moved: list[Moved]) -> Verdict | None:
    """Which columns have drifted; None where there are none to look at."""
    if not moved:
        return None
    hit = [one for one in moved if one.drifted]
    if not hit:
        return Verdict(
            "columns", "good", f"None of {counted(len(moved), 'column')} has drifted much since the fit.", 0.0
        )
    named = ", ".join(one.column for one in hit[:5]) + (f" and {len(hit) - 5} more" if len(hit) > 5 else "")
    have = "has" if len(hit) == 1 else "have"
    return Verdict(
        "columns", "note", f"{counted(len(hit), 'column')} of {len(moved):,} {have} drifted since the fit: {named}.",
        float(len(hit)),
        "see whether the drift is real (a unit, a sensor, other customers); then partial_fit, or a new fit.",
    )  # fmt: skip


def verdicts_of(detector: AnomalyDetector, scored: Scored, moved: list[Moved]) -> tuple[Verdict, ...]:
    """All of them, those that apply to the rows that have a score."""
    whole, scored = scored, scored.of_known()
    rate, held_out = float(detector.alarm_rate), detector.held_out_
    if not len(scored.odd):
        return (resolved_verdict(held_out, rate),)
    found = [
        resolved_verdict(held_out, rate),
        alarms_verdict(scored, held_out, rate, -detector.offset_),
        bulk_verdict(scored, held_out, rate),
        columns_verdict(moved),
        order_verdict(whole),
    ]
    return tuple(verdict for verdict in found if verdict is not None)
