"""The figures of a generator, beside those of real rows and of a trivial generator, as a record that can be printed."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass

import numpy as np

from isthmus.checks import did_you_mean
from isthmus.copies import Copies
from isthmus.fidelity import Fidelity, expected_coverage
from isthmus.table_fidelity import TableFidelity
from isthmus.verdicts import Verdict

NEIGHBOURS = 5
"""Of a row: its ball reaches to the last of them."""


@dataclass(frozen=True)
class Figures:
    """What is measured of one set of rows beside real ones; ``table`` is None where rows are no tables."""

    fidelity: Fidelity
    table: TableFidelity | None = None


@dataclass(frozen=True)
class Judged:
    """How good a generator is; ``print`` shows a table.

    Attributes
    ----------
    way : what rows were compared by.
    drawn, trivial, real : figures of the drawn rows, of those of a trivial generator, and of training rows, all beside
        the same held-out rows. Where none were held out, all are beside the training rows, and ``real`` is None.
    trivially : what the trivial generator is: a mixture of normal distributions of principal components, or of tables
        independent columns.
    rows : of each sort, how many.
    copies : among the drawn rows; ``rows`` are their numbers in what ``sample(n, random_state=...)`` gives for the same
        n and random_state, ``twins`` those of the training rows. None where no rows were held out.
    taken : the part of the training rows, as many as were held out, that ``copies.share`` is of.
    membership : how well one who has the drawn rows tells training rows from held-out ones, the area under the ROC
        curve and its standard error; None where no rows were held out.
    target : what was to be learnt; None where nothing was.
    verdicts : judgements in words.
    """

    way: str
    drawn: Figures
    trivial: Figures
    real: Figures | None
    trivially: str
    rows: dict[str, int]
    copies: Copies | None
    taken: float
    membership: tuple[float, float] | None
    target: Hashable | None
    verdicts: tuple[Verdict, ...] = ()

    def __getitem__(self, name: str) -> Verdict:
        """The verdict of this name."""
        for verdict in self.verdicts:
            if verdict.name == name:
                return verdict
        raise KeyError(name + "." + did_you_mean(name, (verdict.name for verdict in self.verdicts)))

    def __str__(self) -> str:
        heads, lines = quality(self)
        table = [heads, *lines]
        widths = [max(len(line[place]) for line in table) for place in range(len(heads))]
        text = ["  ".join([line[0].ljust(widths[0]), *map(str.rjust, line[1:], widths[1:])]).rstrip() for line in table]
        counts = ", ".join(f"{count:,} {name}" for name, count in self.rows.items())
        said = [
            f"{one.level:<4}  {one.name}: {one.sentence}" + (f" Try {one.advice}" if one.advice else "")
            for one in self.verdicts
        ]
        return "\n".join([f"{counts} rows, compared by {self.way}", "", *text, "", *said])


MEASURES = {
    "distance": "Fréchet distance",
    "precision": "precision",
    "recall": "recall",
    "density": "density",
    "coverage": "coverage",
    "two_sample": "told apart",
}
"""Figures of every generator."""

OF_TABLES = {"marginal": "marginals, total variation", "association": "associations, error"}


def values_of(figures: Figures) -> dict[str, float]:
    """The figures by name."""
    found = {name: getattr(figures.fidelity, name) for name in MEASURES}
    if figures.table is not None:
        found |= {name: getattr(figures.table, name) for name in OF_TABLES}
        if figures.table.learnt_from_drawn is not None:
            found["learnt"] = figures.table.learnt_from_drawn
    return found


def perfect(judged: Judged) -> dict[str, float]:
    """What a perfect generator would have: what real rows have, or, where none were held out, what they would have."""
    if judged.real is not None:
        return values_of(judged.real)
    coverage = expected_coverage(judged.rows["training"], judged.rows["drawn"], NEIGHBOURS)
    usual = {"distance": 0.0, "precision": 1.0, "recall": 1.0, "density": 1.0, "coverage": coverage, "two_sample": 0.5}
    return usual | {"marginal": 0.0, "association": 0.0}


def quality(judged: Judged) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    """The heads and lines of a table of all figures."""
    names = {**MEASURES, **OF_TABLES, "learnt": f"{judged.target!r} learnt from them"}
    sets = [judged.drawn, *([judged.real] if judged.real is not None else []), judged.trivial]
    values = [values_of(one) for one in sets]
    lines = [
        (words, *(in_figures(name, one[name]) for one in values)) for name, words in names.items() if name in values[0]
    ]
    lasting = ["real rows"] if judged.real is not None else []
    return ("", "drawn rows", *lasting, judged.trivially), lines


def in_figures(name: str, value: float) -> str:
    """
    >>> in_figures("distance", 1234.5), in_figures("recall", 0.98765), in_figures("association", float("nan"))
    ('1,234', '0.988', '-')
    """
    if np.isnan(value):
        return "-"
    if name == "distance":
        return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"
    return f"{value:.4f}" if name in OF_TABLES else f"{value:.3f}"
