"""Judgements of a fit in plain words, each with the figure behind it.

Every verdict compares two squared errors, or counts something, against a threshold that is a constant at the
top of this file. The figure is part of the sentence, so that a reader may judge otherwise.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np

from isthmus.checks import did_you_mean

CLEARLY_BETTER, ABOUT_THE_SAME, CLEARLY_WORSE = 0.98, 1.02, 1.10
"""Ratios to PCA's squared error: below the first it is better, up to the second about the same, above the third
worse."""
ENOUGH_ROWS, SURE = 30, 2.0
"""Fewer held-out rows than the first, or a difference from PCA below 2 standard errors, cannot tell the two apart."""
EXACT = 1e-6
"""A squared error below this share of the variance is called exact: the rounding of float32, about."""
NEARLY_AS_WELL, FITS_CLOSER, MEMORISED_RATIO, MEMORISED_CLEARLY, MEMORISED_GREATLY = 1.3, 1.5, 2.0, 3.0, 10.0
"""Memorising: held-out error up to 1.3 times the training error is nearly as good. Above 1.5 times, by more than
`WORTH_TELLING`, it is a note, which speaks of learning by heart above 2 times; bad above 3 times, or above 10 times
where the held-out error is still below PCA's."""
WORTH_TELLING = 0.01
"""A difference in squared error of less than 1 % of the variance is no problem, however large the ratio."""
ROWS_WORSE, ROWS_MUCH_WORSE = 1.5, 3.0
"""The rows given: above 1.5 times the held-out error of the fit is a note; bad above 3 times, by more than
`WORTH_TELLING`, of at least `ENOUGH_ROWS` rows."""
EXACTLY = 1e-4
"""Fewer training rows than columns that lose less than this share of their variance, though PCA loses more than
`WORTH_TELLING`, were learnt by heart, as far as anyone can tell without held-out rows."""
BY_HEART = "more rows, a smaller network, or the kind 'denoising'."
LARGEST_FACTOR = 1_000
"""Above this a factor says no more than that it is large."""
UNDERFIT_SHARE, LEARNABLE_SHARE = 0.90, 0.80
"""Underfitting: held-out error above 90 % of the variance where PCA gets below 80 %; behind PCA by more than
`CLEARLY_WORSE`, it is bad where that is more than `WORTH_TELLING`, and a note otherwise."""
INAPPLICABLE = "Does not apply"
"""How the sentence of a verdict begins that judges nothing: its question has no meaning for such a model or data."""
NOTHING_LEARNT = 0.95
"""A model that loses more than this share of the variance has a code that says next to nothing."""


@dataclass(frozen=True)
class FitRecord:
    """What a fit leaves behind for its diagnosis; kept in the model file.

    All errors are mean squared errors per cell in scaled units; of mixed tables what the loss counts as a cell's error,
    and in place of the mean the most usual value of every column, without any PCA. Where no rows were held out,
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
    stopped : why training ended, e.g. ``"finished 100 epochs"``.
    pca_margin_spread : standard error, over the held-out rows, of the mean difference between the row's squared
        error per cell and that of PCA of the same code size; NaN where it is unknown.
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
    pca_margin_spread: float = float("nan")

    @property
    def has_held_out(self) -> bool:
        return self.held_out_rows > 0 and not math.isnan(self.held_out_error)

    @property
    def fits_closer(self) -> bool:
        """Whether training rows fare much better than held-out rows: what `memorising_verdict` notes."""
        gap = self.held_out_error - self.train_error
        closer = self.held_out_error > FITS_CLOSER * self.train_error
        return self.has_held_out and closer and gap > WORTH_TELLING * self.mean_error

    @property
    def out_of_time(self) -> bool:
        """Whether training ended because it was given no more time."""
        return "(max_time)" in self.stopped

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
    advice : what to try; empty if the level is good, or nothing is to be tried.
    """

    name: str
    level: str
    sentence: str
    figure: float
    advice: str = ""

    @property
    def applies(self) -> bool:
        """Whether anything is judged. Where nothing is, the level is good, since nothing speaks against the model."""
        return not self.sentence.startswith(INAPPLICABLE)


@dataclass(frozen=True)
class Diagnosis:
    """Verdicts about a trained composition and the figures behind them; ``print`` it to read it.

    Attributes
    ----------
    verdicts : one per question. ``PCA``, ``memorising`` and ``underfitting`` judge the fit, by the figures that it
        left behind; the others judge the model on the rows given.
    figures : numbers by name; see `diagnose`.
    units : of random codes, a number for every unit by name: ``variance`` over rows of the unit's mean, in units of
        the prior's, and ``divergence`` from the prior in nats.
    """

    verdicts: tuple[Verdict, ...]
    figures: dict[str, float]
    units: dict[str, tuple[float, ...]] = field(default_factory=dict)

    @property
    def good(self) -> bool:
        """Whether no verdict is bad."""
        return not any(verdict.level == "bad" for verdict in self.verdicts)

    def __iter__(self) -> Iterator[Verdict]:
        return iter(self.verdicts)

    def __getitem__(self, name: str) -> Verdict:
        """The verdict of that name."""
        for verdict in self.verdicts:
            if verdict.name == name:
                return verdict
        known = [verdict.name for verdict in self.verdicts]
        raise KeyError(f"no verdict is called {name!r}.{did_you_mean(name, known)}")

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
            "units": {name: [finite(value) for value in values] for name, values in self.units.items()},
        }


def ratio(above: float, below: float) -> float:
    if below == 0:
        return float("nan") if above == 0 else float("inf")
    return above / below


def share(part: float, whole: float) -> float:
    """``part`` of ``whole``; NaN where there is nothing to have a part of."""
    return float(part) / whole if whole > 0 else float("nan")


def percent(share: float) -> str:
    """A share in words: ``0.0312`` -> ``"3.1 %"``.

    >>> percent(0.0312), percent(0.42), percent(0.00001), percent(0)
    ('3.1 %', '42 %', 'less than 0.01 %', '0 %')
    """
    if share > LARGEST_FACTOR:
        return f"more than {100 * LARGEST_FACTOR:,} %"
    if 0 < abs(share) < 1e-4:
        return "less than 0.01 %"
    places = 0 if abs(share) >= 0.0995 or share == 0 else 1 if abs(share) >= 0.00995 else 2
    return f"{100 * share:,.{places}f} %"


def times(factor: float) -> str:
    """A factor as it would be said: ``3.14`` -> ``"3.1 times"``.

    >>> times(1.27), times(3.14), times(123.4), times(1234.5)
    ('1.27 times', '3.1 times', '123 times', 'more than 1,000 times')
    """
    if factor > LARGEST_FACTOR:
        return f"more than {LARGEST_FACTOR:,} times"
    return f"{factor:,.{2 if factor < 1.995 else 1 if factor < 99.5 else 0}f} times"


def in_words(verdict: Verdict, why: str = "Its loss makes another figure small") -> Verdict:
    """A verdict on squared errors, of a model that makes something else small: a note at most."""
    if verdict.level == "good":
        return verdict
    sentence = f"{verdict.sentence} {why}, so that this is no more than a hint."
    return replace(verdict, level="note", sentence=sentence)


def longer(record: FitRecord) -> str:
    """What to ask for so that training goes on for longer."""
    return "a larger max_time" if record.out_of_time else "more epochs"


def pca_verdict(record: FitRecord, *, wide: bool = False) -> Verdict:
    """Better or worse than PCA of the same code size, where there are held-out rows enough to tell.

    ``wide`` says that a code as wide as the data is the purpose, as something else keeps it from copying.
    """
    name, error, pca, size = "PCA", record.error, record.pca_error, record.code_size
    lost = ratio(error, record.mean_error)
    if size >= record.features:
        sentence = (
            f"The code ({size} unit{'' if size == 1 else 's'}) is as wide as the data ({record.features} "
            f"column{'' if record.features == 1 else 's'}), where PCA would be exact; "
            f"this model loses {percent(lost)} of the variance of {record.judged_on}."
        )
        if wide:
            return Verdict(name, "good", sentence, lost)
        advice = "a smaller code_size, unless a wide code is the purpose." if size > 1 else ""
        return Verdict(name, "note", sentence, lost, advice)
    if math.isnan(pca):
        return Verdict(name, "note", "PCA was not fitted beside this model: there is nothing to compare with.", pca)
    components = min(size, len(record.pca_errors) - 1)
    beside = f"PCA with {components} component{'' if components == 1 else 's'}"
    quotient = record.pca_ratio
    if max(error, pca) <= EXACT * record.mean_error:
        sentence = f"Both this model and {beside} rebuild {record.judged_on} exactly."
        advice = "a smaller code_size: the data have fewer dimensions." if size > 1 else ""
        return Verdict(name, "note", sentence, quotient, advice)
    if CLEARLY_BETTER <= quotient <= ABOUT_THE_SAME:
        sentence = (
            f"On {record.judged_on} its squared error is about the same as that of {beside} ({times(quotient)} it)."
        )
        return Verdict(name, "note", sentence, quotient, f"PCA itself, or a larger network and {longer(record)}.")
    doubt = doubt_of(record)
    if doubt:
        few = record.has_held_out and record.held_out_rows < ENOUGH_ROWS
        rows = (
            f"{record.held_out_rows} held-out row{'s' if record.held_out_rows > 1 else ''}" if few else record.judged_on
        )
        sentence = f"On {rows} its squared error is {beside_pca(quotient)} that of {beside}, but {doubt}."
        return Verdict(name, "note", sentence, quotient, "more held-out rows (a larger validation_fraction).")
    if quotient < CLEARLY_BETTER:
        sentence = f"On {record.judged_on} its squared error is {beside_pca(quotient)} that of {beside}."
        return Verdict(name, "good", sentence, quotient)
    worse = quotient > CLEARLY_WORSE
    how = f"its squared error is {times(quotient)} as large"
    if pca == 0:
        how = f"PCA rebuilds them exactly, and this model loses {percent(lost)} of their variance"
    sentence = f"On {record.judged_on} it is {'worse' if worse else 'no better'} than {beside}: {how}."
    if not worse:
        return Verdict(name, "note", sentence, quotient, f"PCA itself, or a larger network and {longer(record)}.")
    advice = "more rows, a smaller network" if record.fits_closer else f"{longer(record)}, a larger network"
    if record.out_of_time:  # what else it lacks can only be told once it had time enough
        advice = longer(record)
    return Verdict(name, "bad", sentence, quotient, f"{advice}, or the kind 'linear'.")


def usual_verdict(record: FitRecord, levels: bool) -> Verdict:
    """Of mixed tables, in place of `pca_verdict`: better or worse than every cell as its column's most usual value.

    ``levels`` says that some columns hold no numbers; False = all do, but some cells are missing.
    """
    name, quotient = "usual values", ratio(record.error, record.mean_error)
    if not record.mean_error > 0:
        return Verdict(name, "note", "Cannot be judged: the rows do not vary.", float("nan"), "to fit other rows.")
    kind = "most usual value (the mean of numbers, the most frequent of levels)" if levels else "mean"
    why = "PCA rebuilds no levels" if levels else "PCA knows no missing cells"
    beside = f"every cell as its column's {kind}"
    measure = "error (numbers squared)" if levels else "squared error"
    doubt, advice = doubt_of(record), f"{longer(record)}, a larger code_size, or a larger network."
    if CLEARLY_BETTER <= quotient <= ABOUT_THE_SAME:
        sentence = f"On {record.judged_on} its {measure} is about the same as that of {beside} ({times(quotient)} it)"
        return Verdict(name, "note", f"{sentence}; {why}.", quotient, advice)
    sentence = f"On {record.judged_on} its {measure} is {beside_pca(quotient)} that of {beside}"
    if doubt:
        advice = "more held-out rows (a larger validation_fraction)."
        return Verdict(name, "note", f"{sentence}, but {doubt}.", quotient, advice)
    level = "good" if quotient < 1 else "bad" if quotient > CLEARLY_WORSE else "note"
    if quotient > 1 and record.fits_closer:
        advice = "more rows, or a smaller network."
    return Verdict(name, level, f"{sentence}; {why}.", quotient, advice if level != "good" else "")


def beside_pca(quotient: float) -> str:
    """What a squared error is beside another, as far as "that of": the quotient in words.

    >>> beside_pca(0.8), beside_pca(0.2), beside_pca(1.25), beside_pca(4.0)
    ('20 % smaller than', '5.0 times smaller than', '25 % larger than', '4.0 times as large as')
    """
    if quotient < 1:
        smaller = percent(1 - quotient) if quotient > 0.5 else times(ratio(1, quotient))
        return f"{smaller} smaller than"
    return f"{percent(quotient - 1)} larger than" if quotient < 2 else f"{times(quotient)} as large as"


def doubt_of(record: FitRecord) -> str:
    """Why the held-out rows cannot tell this model from PCA, in words; empty where they can.

    The difference is told with 2 standard errors, which is what decides.
    """
    if not record.has_held_out:
        return "rows that were trained on cannot tell which is better on others"
    few = record.held_out_rows < ENOUGH_ROWS
    margin, spread = record.error - record.pca_error, SURE * record.pca_margin_spread
    if math.isnan(spread):
        return "so few rows cannot tell them apart" if few else ""
    told = f"(difference {margin:.2g} ± {spread:.2g})"
    if abs(margin) <= spread:
        return f"{'so few' if few else 'these'} rows cannot tell them apart {told}"
    return f"so few rows are no proof {told}" if few else ""


def rows_verdict(record: FitRecord, error: float, rows: int) -> Verdict:
    """Rows unlike those of the fit: ``error`` is the mean squared error of the ``rows`` rows given."""
    name, quotient, whole = "these rows", ratio(error, record.error), record.mean_error
    which = "held-out" if record.has_held_out else "training"
    sentence = (
        f"The rows given lose {percent(ratio(error, whole))} of the variance that the fit's data have; "
        f"the fit's {which} rows lost {percent(ratio(record.error, whole))}"
    )
    if not whole > 0:
        sentence = f"The rows given have a mean squared error of {error:.2g}, the fit's {which} rows {record.error:.2g}"
    if not quotient > ROWS_WORSE or error <= EXACT * whole:
        return Verdict(name, "good", f"{sentence}.", quotient)
    advice = "to look for what has changed (units, columns, source), or to fit again with such rows."
    if rows < ENOUGH_ROWS:
        return Verdict(name, "note", f"{sentence}: they differ, or are too few to tell.", quotient, advice)
    much = quotient > ROWS_MUCH_WORSE and error - record.error > WORTH_TELLING * whole
    return Verdict(
        name, "bad" if much else "note", f"{sentence}: they differ from the training rows.", quotient, advice
    )


def memorising_verdict(record: FitRecord, error: float = float("nan")) -> Verdict:
    """Knowing its training rows by heart: the held-out error beside the training error.

    ``error`` is the mean squared error of the rows given: all there is to compare with where none were held out.
    """
    name = "memorising"
    if not record.has_held_out:
        quotient, gap = ratio(error, record.train_error), error - record.train_error
        if quotient > MEMORISED_CLEARLY and gap > WORTH_TELLING * record.mean_error:
            sentence = (
                f"It has learnt its {record.train_rows:,} training rows by heart, or the rows given are of another "
                f"kind: their squared error is {times(quotient)} as large, and no rows were held out to tell."
            )
            return Verdict(name, "bad", sentence, quotient, BY_HEART)
        few, pca_lost = record.train_rows < record.features, ratio(record.pca_error, record.mean_error)
        if few and record.train_error < EXACTLY * record.mean_error and pca_lost > WORTH_TELLING:
            sentence = (
                f"It rebuilds its {record.train_rows:,} training rows all but exactly, of which PCA of the same size "
                f"loses {percent(pca_lost)} of the variance: fewer rows than columns, learnt by heart for all that "
                "can be told, as no rows were held out."
            )
            return Verdict(name, "bad", sentence, ratio(record.train_error, record.mean_error), BY_HEART)
        sentence = "Cannot be judged: no rows were held out."
        return Verdict(name, "note", sentence, float("nan"), "to fit with a validation_fraction above 0.")
    quotient = ratio(record.held_out_error, record.train_error)
    if math.isnan(quotient):
        return Verdict(name, "good", "It rebuilds training rows and held-out rows without any error.", quotient)
    exact = record.train_error == 0
    if quotient <= FITS_CLOSER:
        sentence = f"Held-out rows have {times(quotient)} the squared error of training rows."
        if quotient <= NEARLY_AS_WELL:
            well = "no worse than" if quotient <= 1 else "nearly as well as"
            sentence = (
                f"Held-out rows ({record.held_out_rows:,}) fare {well} training rows: "
                f"their squared error is {times(quotient)} as large."
            )
        return Verdict(name, "good", sentence, quotient)
    if not record.fits_closer:
        lost = percent(ratio(record.held_out_error, record.mean_error))
        though = "training rows are rebuilt exactly" if exact else f"{times(quotient)} as much as of training rows"
        sentence = f"Of held-out rows it loses only {lost} of the variance, though {though}."
        return Verdict(name, "good", sentence, quotient)
    still = record.held_out_error < record.pca_error
    level = "bad" if quotient > (MEMORISED_GREATLY if still else MEMORISED_CLEARLY) else "note"
    rows = f"its {record.train_rows:,} training rows"
    learnt = f"It has learnt {'some of ' if level == 'note' else ''}{rows} by heart"
    if quotient <= MEMORISED_RATIO:
        learnt = f"It fits {rows} closer than others"
    how = f"on held-out rows its squared error is {times(quotient)} as large"
    if exact:
        how = "training rows are rebuilt exactly, held-out rows are not"
    sentence = f"{learnt}: {how}{', though their error is still smaller than that of PCA' if still else ''}."
    advice = f"more rows, a smaller network{' or code' if record.code_size > 1 else ''}, or the kind 'denoising'."
    if underfitting_verdict(record).level != "good":  # whose advice would be the opposite
        advice = "more rows, or the kind 'linear'."
    return Verdict(name, level, sentence, quotient, advice)


def underfitting_verdict(record: FitRecord, *, loosen: tuple[str, ...] = ()) -> Verdict:
    """Not having learnt what could be learnt: the error beside those of the mean and of PCA.

    ``loosen`` says what to ask for where a penalty, the bottleneck or a corruption may be the cause.
    """
    name = "underfitting"
    if not record.mean_error > 0:
        return Verdict(name, "note", "Cannot be judged: the rows do not vary.", float("nan"), "to fit other rows.")
    lost, pca_lost = record.error / record.mean_error, record.pca_error / record.mean_error
    wide = record.code_size >= record.features
    # A low training error beside a high held-out error is memorising, which is the opposite.
    learns = record.has_held_out and record.train_error < record.held_out_error / MEMORISED_RATIO
    loses = f"it loses {percent(lost)} of the variance of {record.judged_on}"
    less = "".join(f"{choice}, " for choice in loosen)
    ended = f"after {record.epochs} epoch{'' if record.epochs == 1 else 's'} it {record.stopped}"
    if record.stopped.startswith("finished"):
        ended = f"it {record.stopped}"
    advice = f"{longer(record)} ({ended}), {less}another learning_rate, a larger network."
    if record.fits_closer:  # a larger network, trained for longer, would fit the training rows closer still
        advice = "more rows, another learning_rate, or the kind 'linear'."
    if record.out_of_time:  # what else it lacks can only be told once it had time enough
        advice = f"{longer(record)} (it {record.stopped.replace(' (max_time)', '')}), or the kind 'linear'."
    if not learns and lost > UNDERFIT_SHARE:
        if wide or pca_lost < LEARNABLE_SHARE:
            sentence = f"It has hardly learnt anything: {loses}" + ("." if wide else f", PCA {percent(pca_lost)}.")
            return Verdict(name, "bad", sentence, lost, advice)
        sentence = f"There may be little to learn: {loses}, and PCA of the same size hardly less."
        if math.isnan(pca_lost):
            sentence = f"It has hardly learnt anything, or there is little to learn: {loses}."
        return Verdict(name, "note", sentence, lost, f"a larger code_size, {less}or {longer(record)}.")
    if not learns and not wide and lost > CLEARLY_WORSE * pca_lost and lost > EXACT:
        sentence = f"It has not learnt all it could: {loses}, PCA of the same size {percent(pca_lost)}."
        level = "bad" if lost - pca_lost > WORTH_TELLING else "note"
        return Verdict(name, level, sentence, lost, advice)
    return Verdict(name, "good", f"It has learnt: {loses}.", lost)
