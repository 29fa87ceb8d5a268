"""The table of `compare`: errors, times and what codes keep, a line for each method and size, and what follows."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from isthmus.checks import counted
from isthmus.estimators.code_figures import NEIGHBOURS, CodeFigures, Jury
from isthmus.estimators.searched import Search

PCA = "PCA"
USUAL = "most usual values"
"""What stands in for PCA where a table is mixed."""
ALIKE = 0.005
"""Means of trustworthiness and continuity that differ by less are taken for equal: a recommendation takes the fewer
numbers. Accuracies are taken for equal within two standard errors."""


@dataclass(frozen=True)
class ComparisonRow:
    """One fit, judged.

    Attributes
    ----------
    method : the kind, or ``"PCA"``, ``"kernel PCA"``, ``"UMAP"``, ``"t-SNE"``, or ``"most usual values"``.
    code_size : numbers per row in the code; 0 for the most usual values.
    error : root of the mean squared error per cell on the rows that `Comparison` names, in its unit; NaN of methods
        that know no way back.
    ratio : this error over that of PCA with the same code size (1 for PCA itself, below 1 is better); NaN where
        PCA's is 0, and of mixed tables, of which there is no PCA.
    seconds : how long the fit took.
    rows_per_second : new rows encoded in one second, scaling included; NaN of a method that encodes none.
    parameters : numbers learnt, or kept of the training rows.
    figures : what the codes of held-out rows keep.
    search : how its settings were searched; None where they were not.
    """

    method: str
    code_size: int
    error: float
    ratio: float
    seconds: float
    rows_per_second: float
    parameters: int
    figures: CodeFigures = CodeFigures()
    search: Search | None = None

    @property
    def settings(self) -> dict[str, Any]:
        """What a search found to be better than the usual settings; empty where these were kept."""
        return {} if self.search is None else self.search.settings

    @property
    def said(self) -> str:
        return f"{self.method} with {counted(self.code_size, 'number')} per row"


@dataclass(frozen=True)
class Comparison:
    """Kinds and code sizes side by side; ``print`` it to read it, and `isthmus.plots.reductions` draws its codes.

    Attributes
    ----------
    rows : the rows of PCA, then those of every method, by code size. Of mixed tables (levels, dates, missing cells) one
        row stands in PCA's place: every cell as its column's most usual value.
    judged_on : the rows that the errors are about, in words.
    unit : what the errors are measured in, in words.
    notes : what else a reader has to know: how many rows a method was fitted to, which figures are left out.
    jury : the rows that codes are judged by; None where none were judged.
    """

    rows: tuple[ComparisonRow, ...]
    judged_on: str
    unit: str
    notes: tuple[str, ...] = ()
    jury: Jury | None = field(default=None, repr=False, compare=False)

    @property
    def best(self) -> ComparisonRow:
        """The row with the least error; of equal ones the first, which is PCA's where that is among them."""
        return min(self.rows, key=error_of)

    def best_of(self, code_size: int) -> ComparisonRow:
        """The row with the least error of those with this code size."""
        return min((row for row in self.rows if row.code_size == code_size), key=error_of)

    @property
    def recommended(self) -> ComparisonRow | None:
        """The row to use: by the labels told, where a code tells them better than their commonest class alone, else by
        the neighbours kept.

        Of those that are as good as the best (see `ALIKE`) one with the fewest numbers per row: PCA, which has no
        knobs, where it is among them, else the best of them. A method that encodes no new rows is never it. None where
        no codes were judged.
        """
        usable = [row for row in self.rows if row.figures.unseen and not math.isnan(self.worth(row))]
        if not usable:
            return None
        best = max(map(self.worth, usable))
        good = [row for row in usable if self.worth(row) >= best - self.slack(best)]
        fewest = [row for row in good if row.code_size == min(row.code_size for row in good)]
        return max(fewest, key=lambda row: (row.method == PCA, self.worth(row)))

    @property
    def told(self) -> int:
        """How many labels the codes were to tell."""
        return self.jury.told if self.jury else 0

    @property
    def by_labels(self) -> bool:
        """Whether a code tells the labels better than the commonest class alone, by two standard errors."""
        if self.jury is None or not self.told:
            return False
        share = self.jury.commonest
        best = max((nan_last(row.figures.accuracy) for row in self.rows if row.figures.unseen), default=-math.inf)
        return best > share + 2 * math.sqrt(share * (1 - share) / self.told)

    def worth(self, row: ComparisonRow) -> float:
        """What a recommendation goes by."""
        return row.figures.accuracy if self.by_labels else row.figures.kept

    def slack(self, best: float) -> float:
        """How much less is as good as the best."""
        return 2 * math.sqrt(best * (1 - best) / self.told) if self.by_labels else ALIKE

    def __str__(self) -> str:
        parts = [textwrap.fill(f"Error on {self.judged_on}: {self.unit}.", 79), aligned(self.error_cells())]
        parts.append(textwrap.fill(self.sentence, 79))
        if self.jury is not None and any(row.figures.codes is not None for row in self.rows):
            parts += [textwrap.fill(self.jury.said, 79), aligned(self.code_cells())]
            parts += [textwrap.fill(self.recommendation, 79)] if self.recommended else []
        parts += [textwrap.fill(note, 79) for note in (*self.searched, *self.notes)]
        return "\n\n".join(parts)

    def error_cells(self) -> list[tuple[str, ...]]:
        """The table of errors, times and sizes as texts, its head first."""
        head = ("kind", "code", "error", "of PCA's", "fit", "rows/s", "parameters", "")
        marked = len({row.code_size for row in self.rows}) < len(self.rows)
        cells: list[tuple[str, ...]] = [head]
        for row in self.rows:
            best = marked and row.code_size > 0 and row is self.best_of(row.code_size)
            cells.append(
                (
                    row.method,
                    str(row.code_size),
                    "-" if math.isnan(row.error) else f"{row.error:#.4g}".rstrip("."),
                    "-" if math.isnan(row.ratio) else f"{row.ratio:,.2f}",
                    f"{row.seconds:.1f} s",
                    rate_in_words(row.rows_per_second),
                    f"{row.parameters:,}",
                    f"best with {row.code_size}" if best else "",
                )
            )
        if any(row.method == PCA for row in self.rows):
            return cells
        place = head.index("of PCA's")
        return [line[:place] + line[place + 1 :] for line in cells]

    def code_cells(self) -> list[tuple[str, ...]]:
        """The table of what codes keep."""
        head = ("kind", "code", "trustworthy", "continuous", "distances", f"{NEIGHBOURS}-NN", "")
        cells: list[tuple[str, ...]] = [head]
        for row in self.rows:
            kept = row.figures
            if kept.codes is not None:
                numbers = (kept.trustworthiness, kept.continuity, kept.distances, kept.accuracy)
                texts = ("-" if math.isnan(value) else f"{value:.3f}" for value in numbers)
                mark = "recommended" if row is self.recommended else "" if kept.unseen else "own rows"
                cells.append((row.method, str(row.code_size), *texts, mark))
        return cells if self.told else [line[:5] + line[6:] for line in cells]

    @property
    def searched(self) -> tuple[str, ...]:
        """What searches of settings found, a sentence for each."""
        return tuple(f"Settings of {row.said}: {row.search.sentence}." for row in self.rows if row.search is not None)

    @property
    def recommendation(self) -> str:
        """What to use, in words, and by what."""
        row = self.recommended
        if row is None:
            return ""
        by = "the neighbours kept (mean of trustworthy and continuous)"
        by = "the labels that codes tell" if self.by_labels else by
        nothing = "No code tells the labels better than the commonest class alone, by two standard errors. "
        said = "" if self.by_labels or not self.told else nothing
        said += f"Recommended by {by}: {row.said}, {self.worth(row):.3f}"
        beside = [one for one in self.rows if one.method == PCA != row.method and one.code_size == row.code_size]
        said += "".join(f"; PCA of the same size {self.worth(one):.3f}" for one in beside)
        best = max((one for one in self.rows if one.figures.unseen), key=lambda one: nan_last(self.worth(one)))
        if best is row:
            return f"{said}."
        why = "two standard errors" if self.by_labels else f"{ALIKE}"
        least = "fewer numbers" if row.code_size < best.code_size else "fewer knobs"
        return (
            f"{said}. The best, {best.said}, has {self.worth(best):.3f}, which is less than {why} more: {least} are "
            "the better choice."
        )

    @property
    def sentence(self) -> str:
        """Which row is the best, in words."""
        best = self.best
        said = f"The least error: {best.said}"
        if best.method == USUAL:
            return f"The least error: {USUAL}. No autoencoder here learnt anything of the table."
        if best.method == PCA:
            return f"{said}. No autoencoder here is better than PCA of the same size."
        return f"{said}." if math.isnan(best.ratio) else f"{said}, {best.ratio:.2f} of PCA's."


def error_of(row: ComparisonRow) -> float:
    return math.inf if math.isnan(row.error) else row.error


def nan_last(value: float) -> float:
    return -math.inf if math.isnan(value) else value


def aligned(cells: Sequence[tuple[str, ...]]) -> str:
    """Lines of a table: names to the left, numbers to the right, and a mark behind them."""
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    lines = []
    for line in cells:
        texts = [line[0].ljust(widths[0]), *(t.rjust(w) for t, w in zip(line[1:-1], widths[1:-1], strict=True))]
        lines.append("  ".join([*texts, line[-1]]).rstrip())
    return "\n".join(lines)


def rate_in_words(rate: float) -> str:
    """Two digits are all that a measured speed is good for.

    >>> rate_in_words(12345.6), rate_in_words(17_363_013), rate_in_words(950)
    ('12 k', '17 M', '950')
    """
    if not math.isfinite(rate):
        return "-"
    if rate < 999.5:
        return f"{rate:.0f}"
    size, letter = (rate / 1e3, "k") if rate < 999_500 else (rate / 1e6, "M")
    return f"{size:.1f} {letter}" if size < 9.95 else f"{size:.0f} {letter}"
