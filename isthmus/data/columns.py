"""What the columns of a mixed table are: inferred from their types, values and names, or as the user says."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from isthmus.checks import did_you_mean, listed
from isthmus.data import dates
from isthmus.data.arrow import arrow_of, plain
from isthmus.data.candidates import Candidate
from isthmus.data.coding import Coding
from isthmus.data.evidence import looks_hashed, names_codes, names_rows, names_time, numbers_as_text
from isthmus.data.levels import Counts, kept_levels
from isthmus.errors import InputError

SCALINGS = ("log", "quantile", "standard", "common", "unit", "none")
MIXED_TYPES = ("category", "ordinal", "binary", "count", "heavy", "circular", "date", "log", "quantile")
"""What ``columns=`` may say that only a mixed table can be."""

TYPES = ("numeric", *SCALINGS, "heavy", "count", "binary", "category", "ordinal", "circular", "date", "ignore")
"""Whatever ``columns=`` may say of a column of a mixed table."""

SAMPLE, FEW_VALUES = 10_000, 1_000
WIDE, WIDEST = 300, 1_000
"""Columns above which likelihoods are chosen by few values, and above which they are not chosen: each takes some
milliseconds."""

FEW = 20
"""Known cells, below which that all values differ, or that there are but two, is no evidence."""


@dataclass(frozen=True)
class LeftOut:
    """A column that is not used.

    Parameters
    ----------
    name : of the column.
    reason : why, in words.
    """

    name: str
    reason: str

    @property
    def sentence(self) -> str:
        """The column and why it is left out."""
        return f"{self.name}: {self.reason}"


@dataclass(frozen=True)
class Among:
    """What a column is among.

    Parameters
    ----------
    width : columns of the table.
    numbers : whether it holds nothing but numbers and truth values: then a gap must not change what a column is, and
        none is taken for an identifier or for a code.
    """

    width: int = 1
    numbers: bool = False

    @property
    def sample(self) -> int:
        """Values by which the likelihood of a column of numbers is chosen; 0 = it is not, as a table is too wide."""
        return SAMPLE if self.width <= WIDE else 0 if self.width > WIDEST else FEW_VALUES


def check_type(name: str, wanted: object) -> None:
    """Refuse a word that is no type of a column."""
    if not isinstance(wanted, str) or wanted not in TYPES:
        raise InputError(f"columns: {name!r} must be one of {listed(TYPES, 20)}; got {wanted!r}.{near_type(wanted)}")


def near_type(wanted: object) -> str:
    said = did_you_mean(wanted, TYPES) if isinstance(wanted, str) else ""
    return said if said.startswith(" Did") else ""


def inferred(
    name: str, array: Any, dtype: str, wanted: str | None = None, argument: str = "X", *, among: Among = Among()
) -> Coding | LeftOut:
    """What a column is, and how its cells become raw numbers; or why it is left out.

    Parameters
    ----------
    name : of the column.
    array : ``pyarrow.Array`` or ``ChunkedArray`` of its cells.
    dtype : name of its type in the user's table.
    wanted : one of `TYPES`, as the user says; None = it is inferred.
    argument : what the table is called in messages.
    among : what the other columns are.

    Raises
    ------
    InputError
        The word is no type, or the cells do not fit it; cells of lists, bytes and the like; infinite cells; dates
        beyond the years 1 to 9999.

    Examples
    --------
    >>> import pyarrow as pa
    >>> print(inferred("zip", pa.array([10115, 80331, 10115, 50667] * 10), "int64").sentence)
    zip: category of 3 levels (whole numbers without an order, as the name says)
    >>> print(inferred("user_id", pa.array(range(100)), "int64").sentence)
    user_id: every value is different, so it names rows rather than describes them
    """
    if wanted is not None:
        check_type(name, wanted)
    if wanted == "ignore":
        return LeftOut(name, "left out, as asked for")
    one = Candidate(name, plain(array, name, argument), array.type, dtype, argument, among.sample)
    if wanted is not None:
        return asked_for(one, wanted)
    if not one.known:
        return LeftOut(name, "nothing is known in it: every cell is missing")
    if among.numbers and one.family == "number" and not one.dictionary:
        return plain_number(one)
    return INFERENCES[one.family](one)


def asked_for(one: Candidate, wanted: str) -> Coding:
    """The column as the user says that it is."""
    reason = "as asked for"
    if wanted == "numeric" or wanted in SCALINGS:
        return one.numeric(reason, "auto" if wanted == "numeric" else wanted)
    makers = {
        "heavy": one.heavy, "count": one.count, "binary": one.binary, "category": one.category,
        "ordinal": one.ordinal, "circular": one.circular, "date": one.date,
    }  # fmt: skip
    return makers[wanted](reason)


def number(one: Candidate) -> Coding | LeftOut:
    """Numbers: amounts, unless their name, or that there are but two of them, says otherwise."""
    if one.dictionary:
        return category(one, "categories")
    values, whole = one.known_numbers
    if not whole:
        return amount(one, values, whole)
    distinct = one.distinct
    if names_rows(one.name) and distinct >= 0.9 * len(values):
        return LeftOut(one.name, different(distinct, len(values)))
    if (
        len(values) >= FEW
        and len(values) == len(one.array)
        and not names_time(one.name)
        and (np.diff(values) == 1).all()
    ):
        return LeftOut(one.name, "it counts the rows up by one, so it names rows rather than describes them")
    if distinct == 2 and (len(values) >= FEW or (values.min() == 0 and values.max() == 1)):
        return one.binary("whole numbers of two values")
    if names_codes(one.name):
        return category(one, "whole numbers without an order, as the name says")
    return amount(one, values, whole)


def plain_number(one: Candidate) -> Coding:
    """A column of a table of nothing but numbers: a number, whatever it is called, as in a table without a gap."""
    values, whole = one.known_numbers
    if whole and values.min() == 0 and values.max() == 1:
        return one.binary("whole numbers of two values")
    return amount(one, values, whole)


def amount(one: Candidate, values: np.ndarray, whole: bool) -> Coding:
    """A column of amounts, with the likelihood and the scaling that explain its known values best."""
    from isthmus.data.marginals import best_marginal

    best = best_marginal(values, whole, one.sample)
    if best.kind == "count":
        return one.count(best.reason)
    if best.kind == "heavy":
        return one.heavy(best.reason, best.scaling)
    if best.scaling == "standard":
        return one.numeric({"span": "time spans, in seconds"}.get(one.family, "whole numbers" if whole else "numbers"))
    return one.numeric(best.reason, best.scaling)


def span(one: Candidate) -> Coding:
    values = dates.seconds(one.array)
    return amount(one, values[~np.isnan(values)], whole=False)


def text(one: Candidate) -> Coding | LeftOut:
    """Text: dates and times written in one way, identifiers, free text, or else levels."""
    found = one.counts
    if one.dictionary:
        # Arrow calls polars' Enum ordered; its order is one of storage.
        if one.array.type.ordered and not one.dtype.startswith("Enum"):
            return one.ordinal("categories with an order")
        return category(one, "categories")
    for formats, maker in ((dates.DATE_FORMATS, one.date), (dates.TIME_FORMATS, one.circular)):
        written = dates.format_of(found.values, formats, exact=True)
        if len(written) == 1:
            return maker(f"text written as {written[0][0]}", written[0])
    share = len(found) / found.known
    if found.known >= FEW or names_rows(one.name):
        hint = ". They look like numbers kept as text: convert them" if numbers_as_text(found.values) else ""
        if share >= 0.5 and looks_hashed(found.values):
            return LeftOut(one.name, "identifiers (hashes or UUIDs), which name rows rather than describe them")
        length = mean_length(found)
        if share >= 0.5 and length > 30:
            return LeftOut(one.name, f"free text (mean {length:.0f} characters, {100 * share:.0f} % different)")
        if share >= 0.95:
            return LeftOut(one.name, different(len(found), found.known) + hint)
    return category(one, "text, which looks like numbers: convert it" if numbers_as_text(found.values) else "text")


def category(one: Candidate, reason: str) -> Coding | LeftOut:
    """A category, or left out where no value is seen often enough to be a level."""
    kept, rare = kept_levels(one.counts)
    if not len(kept):
        if rare >= 0.9 * one.counts.known:
            return LeftOut(one.name, different(rare, one.counts.known))
        return LeftOut(one.name, f"none of its {rare:,} different values is seen often enough to be learnt from")
    return one.category(reason)


def different(distinct: int, known: int) -> str:
    """The reason for which identifiers are left out."""
    if distinct == known:
        return "every value is different, so it names rows rather than describes them"
    return f"{100 * distinct / known:.0f} % of its values are different, so it names rows rather than describes them"


def mean_length(found: Counts) -> float:
    """Mean number of characters of the distinct texts."""
    import pyarrow.compute as pc

    return float(pc.mean(pc.utf8_length(found.values)).as_py() or 0.0)


INFERENCES: dict[str, Callable[[Candidate], Coding | LeftOut]] = {
    "number": number,
    "truth": lambda one: category(one, "categories") if one.dictionary else one.binary("truth values"),
    "text": text,
    "date": lambda one: one.date("dates"),
    "time": lambda one: one.circular("times of day"),
    "span": span,
}
"""How a column of each family of cells is taken for something."""

__all__ = ["MIXED_TYPES", "TYPES", "LeftOut", "arrow_of", "check_type", "inferred"]
