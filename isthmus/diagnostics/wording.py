"""Verdicts on mixed tables, in words that fit them: levels have no variance, and no squares."""

from __future__ import annotations

from dataclasses import replace

from isthmus.diagnostics.points import WIDEST, left_out
from isthmus.diagnostics.probe import Probe
from isthmus.verdicts import INAPPLICABLE, Verdict

OF_POINTS = ("neighbours", "lone rows", "numbering")
"""Verdicts that compare with PCA of the rows as points, which have a variance."""
OF_DISTANCES = (*OF_POINTS, "continuity of decoding", "completeness")
"""Verdicts that say nothing where no column is in any distance."""
SAID = (
    ("of the variance that the fit's data have", "of what the most usual values lose on the fit's data"),
    ("of the variance of", "of what the most usual values lose on"),
    ("the variance", "what the most usual values lose"),
    ("squared error", "error"),
)
"""What stands for what: the most usual values are the mean of numbers, and the most frequent of levels."""
OF_ROWS, OF_SCALED = "PCA of the same rows and size", "PCA of the same size, of scaled numbers and one-hot levels,"
"""PCA knows no levels, so that it has to be told what stands for them."""


def of_tables(verdict: Verdict, probe: Probe) -> Verdict:
    """The verdict on a mixed table, in its own words.

    Its errors are squared differences of numbers, but whether a level is another one; and what the variance is to
    numbers is to all columns the error of the most usual values. Columns that are in no distance are named.
    """
    sentence, columns = verdict.sentence, probe.layout.columns or ()
    if verdict.name in OF_DISTANCES and len(left_out(columns)) == len(columns):
        words = f"{INAPPLICABLE}: every column is a category of more than {WIDEST} levels."
        return Verdict(verdict.name, "good", words, float("nan"))
    if verdict.name in OF_POINTS:
        wide = [probe.name(i) for i in left_out(columns)]
        others = f" and {len(wide) - 3} more" if len(wide) > 3 else ""
        more = f" Without {', '.join(wide[:3])}{others}, of more than {WIDEST} levels."
        if probe.unlike_numbers:
            sentence = sentence.replace(OF_ROWS, OF_SCALED)
        return replace(verdict, sentence=sentence + (more if wide else ""))
    if probe.unlike_numbers:
        for numbers, levels in SAID:
            sentence = sentence.replace(numbers, levels)
    return replace(verdict, sentence=sentence)
