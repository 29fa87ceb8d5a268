"""Does the model copy its input? Rows without structure are rebuilt as well as real ones only by a copy."""

from __future__ import annotations

import math

from isthmus.diagnostics.probe import Probe, column_means, mean_cell, shuffled, structureless
from isthmus.diagnostics.restraint import either
from isthmus.verdicts import EXACT, NOTHING_LEARNT, Verdict, percent

COPIES_SHARE, COPIES_RATIO, COPIES_ANYWAY, COPIES_COLUMNS = 0.10, 3.0, 0.05, 0.5
"""Copying: rows without structure lose less than 10 % of their variance and have at most 3 times the error of
real rows, or lose less than 5 %, however well real rows fare; and half of the columns lose less than 10 % each,
as otherwise a few columns of large variance are kept, not copied. Columns without anything in common do not fit
through a narrow code, so that only a code nearly as wide as the data can be flagged."""


def structureless_shares(probe: Probe) -> tuple[float, float, float]:
    """What is lost of rows without structure: NaN where the rows given do not vary.

    The error on column-wise shuffled rows and on uniform noise, each over its variance, and the share of the
    varying columns that lose less than `COPIES_SHARE` of their variance when shuffled.
    """
    variance = probe.variance
    if len(probe.x) < 2 or not variance > 0:
        return float("nan"), float("nan"), float("nan")
    rows, noise = structureless(probe.flat, probe.layout)
    known = None if probe.known is None else shuffled(probe.known)  # a missing cell stays one where it comes to lie
    errors = probe.evaluate(rows, known)[1]
    noise_error = mean_cell(probe.evaluate(noise, known)[1], known)
    noise_variance = probe.mean_variance(noise, known)
    spread, lost = probe.variances(probe.flat, probe.known).cpu(), column_means(errors, known).cpu()
    varies = spread > EXACT * variance
    copied = (lost[varies] < COPIES_SHARE * spread[varies]).double().mean()
    return mean_cell(errors, known) / variance, noise_error / noise_variance, float(copied)


def copying_verdict(
    error: float,
    variance: float,
    shuffled: float,
    noise: float,
    copied: float,
    *,
    size: int,
    features: int,
    restrain: tuple[str, ...] = (),
) -> Verdict:
    """Copying its input.

    ``shuffled`` and ``noise`` are the shares of variance lost on structureless rows, ``copied`` is the share
    of columns that lose less than `COPIES_SHARE` of theirs when shuffled; ``size`` is the code's, and ``restrain`` is
    what can be asked of the composition's penalties, bottleneck and corruption.
    """
    name = "copying"
    if features < 2:
        sentence = "Cannot be judged: one column has nothing in common with others."
        return Verdict(name, "note", sentence, shuffled)
    if math.isnan(shuffled):
        sentence = "Cannot be judged: the rows given do not vary."
        return Verdict(name, "note", sentence, shuffled, "to diagnose with more rows.")
    lost = (
        f"of real rows it loses {percent(error / variance)} of the variance, of rows with their columns shuffled "
        f"{percent(shuffled)}, of noise {percent(noise)}"
    )
    alike = shuffled < COPIES_SHARE and shuffled * variance <= COPIES_RATIO * error
    if copied >= COPIES_COLUMNS and (alike or shuffled < COPIES_ANYWAY):
        units = f"{size} unit{'' if size == 1 else 's'} for {features} columns"
        sentence = f"The code copies its input ({units}) rather than learn what the columns have in common: {lost}."
        smaller = (f"code_size <= {max(1, min(features // 3, size // 2))}",) if size > 1 else ()
        other = "the kind 'denoising'" if restrain else "the kind 'sparse' or 'denoising'"
        return Verdict(name, "bad", sentence, shuffled, either(*restrain, *smaller, other))
    if error > NOTHING_LEARNT * variance:
        sentence = f"Cannot be judged of a model that rebuilds hardly anything: {lost}."
        return Verdict(name, "note", sentence, shuffled)
    return Verdict(name, "good", f"It does not merely copy its input: {lost}.", shuffled)
