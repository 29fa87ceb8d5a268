"""Mixed tables on the terminal: what their columns are taken for, why, and how to say otherwise."""

from __future__ import annotations

import shlex
import shutil
import warnings
from collections.abc import Iterable
from typing import Any

import numpy as np

from isthmus.assignments import columns_of
from isthmus.checks import counted, did_you_mean
from isthmus.commands_data import is_text_table
from isthmus.commands_lines import line, short
from isthmus.data import Scaling, Source, open_source
from isthmus.data.coding import Coding
from isthmus.data.column_words import SHOWN, WIDEST, column_lines, example_of_change
from isthmus.data.columns import TYPES
from isthmus.data.decisions import MODES
from isthmus.data.mixed import MixedSource, left_out_sentence
from isthmus.data.table_form import TableForm
from isthmus.errors import InputError
from isthmus.parts.networks.entry import width_of
from isthmus.records import Layout

UNTYPED = (".csv", ".tsv", ".xlsx")
"""Files that know no types: their whole numbers are floats as soon as one is missing."""


def whole_rounded(frame: Any, form: TableForm) -> Any:
    """A rebuilt pandas frame, its columns of floats that were all whole in the fit as nullable whole numbers."""
    made = frame.copy(deep=False)
    for place, coding in enumerate(form.codings):
        column = made.iloc[:, place]
        if coding.whole and coding.type in ("numeric", "heavy", "count") and column.dtype.kind == "f":
            made.isetitem(place, column.round().astype("Int64"))
    return made


def columns_asked(options: Iterable[str] | None) -> dict[str | int, str]:
    """Every ``--column NAME=TYPE``, its types known ones.

    >>> columns_asked(["zip=category"])
    {'zip': 'category'}
    """
    columns = columns_of(options or ())
    for name, wanted in columns.items():
        if wanted not in TYPES:
            close = did_you_mean(wanted, TYPES)
            hint = f"{close} The types are: " if close.startswith(" Did") else " It must be one of: "
            raise InputError(f"--column {name}={wanted}: {wanted!r} is no type.{hint}{', '.join(TYPES)}.")
    return columns


def opened(data: str, columns: dict[str | int, str], lists: bool = True) -> Source:
    """The data of a first fit.

    Parameters
    ----------
    lists : a list of the columns will be shown, which says what the warning about those that are left out says.
    """
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        source = open_source(data, argument=data, columns=columns)
    form = source.form
    told = left_out_sentence(form.left_out) if lists and isinstance(form, TableForm) and form.left_out else None
    for one in caught:
        if told is None or not str(one.message).endswith(told):
            warnings.warn_explicit(one.message, one.category, one.filename, one.lineno)
    return source


def table_in_words(source: Source) -> str:
    """How large the data are; of numbers alone, their type."""
    form = source.form
    if not isinstance(form, TableForm):
        return f"{counted(source.rows, 'row')}, {source.dtype}"
    out = f", {len(form.left_out):,} more left out" if form.left_out else ""
    return f"{counted(source.rows, 'row')} of {counted(source.layout.features, 'column')}{out}"


def say_read_as(data: str, source: Source, always: bool = False) -> None:
    """What was found out about a text file: separator, encoding, decimal sign, marks of missing cells."""
    ordinary = ["values are separated by commas, the text is UTF-8"] if always and is_text_table(data) else []
    for number, sentence in enumerate(source.said or ordinary):
        line("read as" if number == 0 else "", sentence)


def say_table(form: TableForm, more: str | None, source: Source | None = None, option: str = "--column") -> None:
    """The columns, a line each, and how to change one.

    Parameters
    ----------
    more : the command that lists all columns; None = all are listed.
    source : where the rows come from, to count missing cells.
    option : "" = nothing can be changed.
    """
    width = max(80, min(shutil.get_terminal_size().columns, WIDEST))
    missing = missing_shares(source)
    lines = column_lines(form, missing=missing, width=width, most=None if more is None else SHOWN, more=more or "")
    print("\n".join(lines))
    if option:
        name, wanted = example_of_change(form)
        print(f"  to change one: {option} {shlex.quote(name)}={wanted}")


def missing_shares(source: Source | None) -> np.ndarray | None:
    """(columns,) share of missing cells of a table in memory; None where telling it would mean to read a file again."""
    if not isinstance(source, MixedSource):
        return None
    return sum(np.isnan(source.read(start, stop)).sum(axis=0) for start, stop in source.blocks) / max(1, source.rows)


def say_scales(form: TableForm, scaling: Scaling, every: bool) -> None:
    """Of columns of numbers and dates, the range in their own words, and how they are scaled."""
    cells: list[tuple[str, ...]] = [("column", "lowest", "highest", "scaling")]
    for i, coding in enumerate(form.codings):
        if not coding.column.levels and coding.type not in ("binary", "circular"):
            mode = "used as it is" if coding.type == "count" else MODES[scaling.modes[i]]
            ends = (end_in_words(coding, values[i]) for values in (scaling.low, scaling.high))
            cells.append((short(coding.name), *ends, mode + (", constant" if scaling.constant[i] else "")))
    shown = cells if every else cells[: SHOWN + 1]
    if len(cells) == 1:
        return
    widths = [max(map(len, column)) for column in zip(*shown, strict=True)]
    for name, low, high, mode in shown:
        print(f"  {name.ljust(widths[0])}  {low.rjust(widths[1])}  {high.rjust(widths[2])}  {mode}")
    if len(shown) < len(cells):
        print(f"  and {len(cells) - len(shown):,} more: --all shows them")


def end_in_words(coding: Coding, value: float) -> str:
    """The lowest or highest value of a column, as its cells are written."""
    if coding.family in ("number", "truth") or np.isnan(value):
        return f"{value:,.0f}" if value == np.rint(value) and abs(value) < 1e12 else f"{value:.4g}"
    cell = coding.decode(np.array([value]))[0].as_py()
    return str(cell.date() if coding.resolution == "days" and hasattr(cell, "date") else cell)


def entry_width(layout: Layout) -> int:
    """How many numbers the network reads of a row: of a mixed table more than it has columns."""
    return layout.features if layout.columns is None else width_of(layout.columns)
