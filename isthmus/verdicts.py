"""Judgements of a fit in plain words, each with the figure behind it.

Every verdict compares two squared errors, or counts something, against a threshold that is a constant at the
top of this file. The figure is part of the sentence, so that a reader may judge otherwise.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

CLEARLY_BETTER, CLEARLY_WORSE = 0.98, 1.10
"""Ratios to PCA's squared error: below the first it is better, above the second it is worse."""
EXACT = 1e-6
"""A squared error below this share of the variance is called exact: the rounding of float32, about."""
COPIES_SHARE, COPIES_RATIO, COPIES_ANYWAY, COPIES_COLUMNS = 0.10, 3.0, 0.05, 0.5
"""Copying: rows without structure lose less than 10 % of their variance and have at most 3 times the error of
real rows, or lose less than 5 %, however well real rows fare; and half of the columns lose less than 10 % each,
as otherwise a few columns of large variance are kept, not copied. Columns without anything in common do not fit
through a narrow code, so that only a code nearly as wide as the data can be flagged."""
MEMORISED_RATIO, MEMORISED_GAP, MEMORISED_CLEARLY, MEMORISED_GREATLY = 2.0, 0.01, 3.0, 10.0
"""Memorising: held-out error above 2 times the training error, by more than 1 % of the variance, is a note; bad
above 3 times, or above 10 times where the held-out error is still below PCA's."""
UNDERFIT_SHARE, LEARNABLE_SHARE, UNDERFIT_GAP = 0.90, 0.80, 0.01
"""Underfitting: held-out error above 90 % of the variance where PCA gets below 80 %; behind PCA by more than
`CLEARLY_WORSE`, it is bad where that is more than 1 % of the variance, and a note otherwise."""
DEAD_SHARE, DEAD_MOST = 1e-4, 0.5
"""A code unit is dead below this share of the units' mean variance; bad where half of them are."""
UNREACHABLE_SHARE = 0.01
"""The share of cells outside the output's range above which the verdict is bad."""


@dataclass(frozen=True)
class FitRecord:
    """What a fit leaves behind for its diagnosis; kept in the model file.

    All errors are mean squared errors per cell in scaled units. Where no rows were held out,
    ``held_out_error`` is NaN, and ``mean_error`` and ``pca_errors`` are those of the training rows.

    Attributes
    ----------
    code_size, features, train_rows, held_out_rows : sizes of the fit.
    train_error : on (a sample of) the training rows.
    held_out_error : on the held-out rows, NaN if there are none.
    mean_error : held-out error of predicting the mean of the training rows.
    pca_errors : (K + 1,) held-out error of PCA with 0, 1, ... K components fitted on the same training
        rows; may be empty where PCA was not fitted.
    epochs : epochs trained.
    stopped : why training ended, e.g. ``"all 100 epochs done"``.
    """

    code_size: int
    features: int
    train_rows: int
    held_out_rows: int
    train_error: float
    held_out_error: float
    mean_error: float
    pca_errors: np.ndarray
    epochs: int
    stopped: str

    @property
    def has_held_out(self) -> bool:
        return self.held_out_rows > 0 and not math.isnan(self.held_out_error)

    @property
    def error(self) -> float:
        """The held-out error, or the training error where no rows were held out."""
        return self.held_out_error if self.has_held_out else self.train_error

    @property
    def judged_on(self) -> str:
        """The rows that `error` is about, in words."""
        return "held-out rows" if self.has_held_out else "training rows (none were held out)"

    @property
    def pca_error(self) -> float:
        """PCA's error at the same code size, or at the most components it has; NaN if PCA was not fitted."""
        if not len(self.pca_errors):
            return float("nan")
        return float(self.pca_errors[min(self.code_size, len(self.pca_errors) - 1)])

    @property
    def pca_ratio(self) -> float:
        """`error` over `pca_error`; NaN where the code is as wide as the data, so that PCA would be exact."""
        return ratio(self.error, self.pca_error) if self.code_size < self.features else float("nan")


@dataclass(frozen=True)
class Verdict:
    """One judgement in plain words.

    Attributes
    ----------
    name : what is judged, e.g. ``"copying"``.
    level : ``"good"``, ``"note"`` (worth knowing) or ``"bad"``.
    sentence : the judgement, with the figure behind it.
    figure : that figure; NaN where there is none.
    advice : what to try, empty if the level is good.
    """

    name: str
    level: str
    sentence: str
    figure: float
    advice: str = ""


@dataclass(frozen=True)
class Diagnosis:
    """Verdicts about a trained composition and the figures behind them; ``print`` it to read it.

    Attributes
    ----------
    verdicts : one per question: PCA, copying, memorising, underfitting, dead units, output range.
    figures : numbers by name; see `diagnose`.
    """

    verdicts: tuple[Verdict, ...]
    figures: dict[str, float]

    @property
    def good(self) -> bool:
        """Whether no verdict is bad."""
        return not any(verdict.level == "bad" for verdict in self.verdicts)

    def __getitem__(self, name: str) -> Verdict:
        """The verdict of that name."""
        for verdict in self.verdicts:
            if verdict.name == name:
                return verdict
        raise KeyError(f"no verdict is called {name!r}; there are {', '.join(v.name for v in self.verdicts)}")

    def __str__(self) -> str:
        marks = {"good": "  ok ", "note": "note ", "bad": " BAD "}
        width = max(len(verdict.name) for verdict in self.verdicts)
        lines = []
        for verdict in self.verdicts:
            lines.append(f"{marks[verdict.level]} {verdict.name:{width}}  {verdict.sentence}")
            if verdict.advice:
                lines.append(f"{'':{width + 6}}  Try: {verdict.advice}")
        return "\n".join(lines)

    def to_dict(self) -> dict[str, Any]:
        """The same as JSON data; figures that are not finite numbers become None."""

        def finite(value: float) -> float | None:
            return value if math.isfinite(value) else None

        return {
            "good": self.good,
            "verdicts": [{**asdict(verdict), "figure": finite(verdict.figure)} for verdict in self.verdicts],
            "figures": {name: finite(value) for name, value in self.figures.items()},
        }


def ratio(above: float, below: float) -> float:
    if below == 0:
        return float("nan") if above == 0 else float("inf")
    return above / below


def percent(share: float) -> str:
    """A share in words: ``0.0312`` -> ``"3.1 %"``.

    >>> percent(0.0312), percent(0.42), percent(0.00001), percent(0)
    ('3.1 %', '42 %', 'less than 0.01 %', '0 %')
    """
    if 0 < abs(share) < 1e-4:
        return "less than 0.01 %"
    places = 0 if abs(share) >= 0.0995 or share == 0 else 1 if abs(share) >= 0.00995 else 2
    return f"{100 * share:.{places}f} %"


def times(factor: float) -> str:
    """A factor as it would be said: ``3.14`` -> ``"3.1 times"``.

    >>> times(1.27), times(3.14), times(1234.5), times(float("inf"))
    ('1.27 times', '3.1 times', '1,234 times', 'infinitely many times')
    """
    if math.isinf(factor):
        return "infinitely many times"
    return f"{factor:,.{2 if factor < 2 else 1 if factor < 99.5 else 0}f} times"


def pca_verdict(record: FitRecord) -> Verdict:
    """Better or worse than PCA of the same code size."""
    name, error, pca, size = "PCA", record.error, record.pca_error, record.code_size
    lost = ratio(error, record.mean_error)
    if size >= record.features:
        sentence = (
            f"The code ({size} units) is as wide as the data ({record.features} columns), where PCA would be exact; "
            f"this model loses {percent(lost)} of the variance of {record.judged_on}."
        )
        return Verdict(name, "note", sentence, lost, "a smaller code_size, unless a wide code is the purpose.")
    if math.isnan(pca):
        return Verdict(name, "note", "PCA was not fitted beside this model: there is nothing to compare with.", pca)
    components = min(size, len(record.pca_errors) - 1)
    beside = f"PCA with {components} component{'' if components == 1 else 's'}"
    quotient = record.pca_ratio
    if max(error, pca) <= EXACT * record.mean_error:
        sentence = f"Both this model and {beside} rebuild {record.judged_on} exactly."
        return Verdict(name, "note", sentence, quotient, "a smaller code_size: the data have fewer dimensions.")
    if quotient < CLEARLY_BETTER:
        better = percent(1 - quotient) if quotient > 0.5 else times(ratio(1, quotient))
        sentence = f"On {record.judged_on} its squared error is {better} smaller than that of {beside}."
        return Verdict(name, "good", sentence, quotient)
    worse = quotient > CLEARLY_WORSE
    sentence = (
        f"On {record.judged_on} it is {'worse' if worse else 'no better'} than {beside}: "
        f"its squared error is {times(quotient)} as large."
    )
    if worse:
        return Verdict(name, "bad", sentence, quotient, "more epochs, a larger network, or the kind 'linear'.")
    return Verdict(name, "note", sentence, quotient, "PCA itself, or a larger network trained for longer.")


def copying_verdict(error: float, variance: float, shuffled: float, noise: float, copied: float) -> Verdict:
    """Copying its input.

    ``shuffled`` and ``noise`` are the shares of variance lost on structureless rows, ``copied`` is the share
    of columns that lose less than `COPIES_SHARE` of theirs when shuffled.
    """
    name = "copying"
    if math.isnan(shuffled):
        sentence = "Cannot be judged: the rows given do not vary."
        return Verdict(name, "note", sentence, shuffled, "to diagnose with more rows.")
    lost = (
        f"of real rows it loses {percent(error / variance)} of the variance, of rows with their columns shuffled "
        f"{percent(shuffled)}, of noise {percent(noise)}"
    )
    alike = shuffled < COPIES_SHARE and shuffled * variance <= COPIES_RATIO * error
    if copied >= COPIES_COLUMNS and (alike or shuffled < COPIES_ANYWAY):
        sentence = f"It copies its input rather than learn what the data have in common: {lost}."
        return Verdict(name, "bad", sentence, shuffled, "a smaller code_size, or the kind 'denoising' or 'sparse'.")
    return Verdict(name, "good", f"It does not merely copy its input: {lost}.", shuffled)


def memorising_verdict(record: FitRecord) -> Verdict:
    """Knowing its training rows by heart: the held-out error beside the training error."""
    name = "memorising"
    if not record.has_held_out:
        sentence = "Cannot be judged: no rows were held out."
        return Verdict(name, "note", sentence, float("nan"), "to fit with a validation_fraction above 0.")
    quotient = ratio(record.held_out_error, record.train_error)
    gap = record.held_out_error - record.train_error
    as_large = f"its squared error is {times(quotient)} as large"
    if not quotient > MEMORISED_RATIO:  # also where both are 0
        sentence = f"Held-out rows ({record.held_out_rows:,}) fare nearly as well as training rows: {as_large}."
        if math.isnan(quotient):
            sentence = "It rebuilds training rows and held-out rows without any error."
        return Verdict(name, "good", sentence, quotient)
    if gap <= MEMORISED_GAP * record.mean_error:
        lost = percent(ratio(record.held_out_error, record.mean_error))
        sentence = f"Of held-out rows it loses only {lost} of the variance, though {as_large} as on training rows."
        return Verdict(name, "good", sentence, quotient)
    still = record.held_out_error < record.pca_error
    level = "bad" if quotient > (MEMORISED_GREATLY if still else MEMORISED_CLEARLY) else "note"
    sentence = (
        f"It has learnt {'some of ' if level == 'note' else ''}its {record.train_rows:,} training rows by heart: "
        f"on held-out rows {as_large}{', though still smaller than that of PCA' if still else ''}."
    )
    return Verdict(name, level, sentence, quotient, "more rows, a smaller network or code, or the kind 'denoising'.")


def underfitting_verdict(record: FitRecord) -> Verdict:
    """Not having learnt what could be learnt: the error beside those of the mean and of PCA."""
    name = "underfitting"
    if not record.mean_error > 0:
        return Verdict(name, "note", "Cannot be judged: the rows do not vary.", float("nan"), "to fit other rows.")
    lost, pca_lost = record.error / record.mean_error, record.pca_error / record.mean_error
    wide = record.code_size >= record.features
    # A low training error beside a high held-out error is memorising, which is the opposite.
    learns = record.has_held_out and record.train_error < record.held_out_error / MEMORISED_RATIO
    loses = f"it loses {percent(lost)} of the variance of {record.judged_on}"
    advice = f"more epochs (it ended after {record.epochs}: {record.stopped}), another learning_rate, a larger network."
    if not learns and lost > UNDERFIT_SHARE:
        if wide or pca_lost < LEARNABLE_SHARE:
            sentence = f"It has hardly learnt anything: {loses}" + ("." if wide else f", PCA {percent(pca_lost)}.")
            return Verdict(name, "bad", sentence, lost, advice)
        sentence = f"There may be little to learn: {loses}, and PCA of the same size hardly less."
        if math.isnan(pca_lost):
            sentence = f"It has hardly learnt anything, or there is little to learn: {loses}."
        return Verdict(name, "note", sentence, lost, "a larger code_size, or more epochs.")
    if not learns and not wide and lost > CLEARLY_WORSE * pca_lost and lost > EXACT:
        sentence = f"It has not learnt all it could: {loses}, PCA of the same size {percent(pca_lost)}."
        level = "bad" if lost - pca_lost > UNDERFIT_GAP else "note"
        return Verdict(name, level, sentence, lost, advice)
    return Verdict(name, "good", f"It has learnt: {loses}.", lost)


def dead_verdict(dead: list[int], size: int, rows: int) -> Verdict:
    """Code units that say nothing: ``dead`` holds their numbers."""
    name = "dead units"
    if rows < 2:
        return Verdict(name, "note", "Cannot be judged from one row.", float("nan"), "to diagnose with more rows.")
    if not dead:
        sentence = f"All {size} code units are in use." if size > 1 else "The code's one unit is in use."
        return Verdict(name, "good", sentence, 0.0)
    shown = ", ".join(str(unit) for unit in dead[:8]) + (", ..." if len(dead) > 8 else "")
    sentence = f"{len(dead)} of {size} code units are the same for every row (counted from 0: {shown})."
    level = "bad" if len(dead) >= DEAD_MOST * size else "note"
    return Verdict(name, level, sentence, float(len(dead)), "a smaller code_size, or less penalty.")


def range_verdict(outside: np.ndarray, reach: tuple[float, float] | None, names: tuple[str, ...] | None) -> Verdict:
    """An output that cannot reach the data: ``outside`` is the share of each column's cells out of reach."""
    name, share = "output range", float(outside.mean())
    if reach is None or share == 0:
        return Verdict(name, "good", "The decoder's output can reach every value in these rows.", 0.0)
    worst = int(outside.argmax())
    column = repr(names[worst]) if names is not None else f"number {worst}"
    sentence = (
        f"The decoder's output lies between {reach[0]:.4g} and {reach[1]:.4g} (scaled), and {percent(share)} of the "
        f"cells do not; most of all those of column {column} ({percent(float(outside[worst]))})."
    )
    level = "bad" if share > UNREACHABLE_SHARE else "note"
    return Verdict(name, level, sentence, share, "the output_activation 'identity', or a scaling into that range.")
