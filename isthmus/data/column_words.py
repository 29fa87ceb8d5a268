"""The columns of a mixed table as lines to read: what each is taken for, and why."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Sequence

import numpy as np

from isthmus.data.coding import Coding
from isthmus.data.table_form import TableForm

SHOWN = 50
"""Columns that are listed unless all are asked for."""

WIDEST = 100
"""Characters of a line."""

NAME, TAKEN = 21, 36
"""Characters of a column's name, and of what it is taken for, beyond which they are cut."""

EMPTY = "nothing is known"
"""How the reason begins for which a column without a value is left out: it can be nothing else."""

ROOM = 24
"""Characters that a reason has at least in each of its lines."""


def column_lines(
    form: TableForm, *, missing: np.ndarray | None = None, width: int = WIDEST, most: int | None = SHOWN, more: str = ""
) -> list[str]:
    """A line per column, aligned: its name, what it is taken for, why; then the columns that are left out.

    Parameters
    ----------
    form : what the table looked like.
    missing : (columns,) share of the cells that are missing; shown where there are any.
    width : characters of a line; a reason that is longer goes on below itself.
    most : columns to list, and as many of those left out; None = all.
    more : how to see the others.

    Examples
    --------
    >>> import pandas as pd
    >>> from isthmus.data import open_source
    >>> frame = pd.DataFrame({"size": [1.5, 2.0, 3.0, None] * 9, "city": ["Oslo", "Rome", "Oslo", "Bonn"] * 9})
    >>> print("\\n".join(column_lines(open_source(frame).form)))
      column  taken for             because
      size    numeric               numbers
      city    category of 3 levels  text
    """
    some, out = form.codings[:most], form.left_out[:most]
    head = ["column", "taken for", "because"]
    rows = [[short(one.name, NAME), short(taken_for(one), TAKEN), one.reason] for one in some]
    if missing is not None and missing.any():
        head.insert(2, "missing")
        for row, share in zip(rows, missing, strict=False):
            row.insert(2, percent(float(share)))
    lines = table([head, *rows], width)
    lines += rest(len(form.codings) - len(some), more)
    if out:
        lines += ["  left out:", *table([[short(one.name, NAME), one.reason] for one in out], width)]
        lines += rest(len(form.left_out) - len(out), more)
    return lines


def rest(count: int, more: str) -> list[str]:
    return [f"  and {count:,} more{more and ': '}{more}"] if count > 0 else []


def taken_for(coding: Coding) -> str:
    """What a column is taken for, in the words of its sentence.

    >>> from isthmus.records import Column
    >>> taken_for(Coding("sex", "binary", "truth values", "bool", Column("binary"), (False, True), arrow="bool"))
    'binary, False or True'
    """
    said = coding.sentence.removeprefix(f"{coding.name}: ").removesuffix(f" ({coding.reason})")
    return re.sub(r" and ([0-9,]+) rare ones? taken together", r", \1 rare", said)


def table(rows: Sequence[Sequence[str]], width: int) -> list[str]:
    """Aligned cells; the last of a row goes on below itself where it is too long for the line."""
    widths = [max(map(len, column)) for column in list(zip(*rows, strict=True))[:-1]]
    indent = 2 + sum(widths) + 2 * len(widths)
    lines = []
    for row in rows:
        before = "".join(cell.ljust(size) + "  " for cell, size in zip(row, widths, strict=False))
        # A file's text may hold line ends and the like: wrapped, they are spaces.
        first, *others = textwrap.wrap(row[-1], max(ROOM, width - indent)) or [""]
        lines += [f"  {before}{first}".rstrip(), *(" " * indent + other for other in others)]
    return lines


def percent(share: float) -> str:
    """
    >>> percent(0.0), percent(0.0004), percent(0.056), percent(0.9999), percent(1.0)
    ('', '< 1 %', '6 %', '> 99 %', '100 %')
    """
    if 0 < share < 0.005:
        return "< 1 %"
    if 0.995 <= share < 1:
        return "> 99 %"
    return f"{100 * share:.0f} %" if share else ""


def short(text: str, most: int) -> str:
    """One line of so many characters.

    >>> short("a long name", 8), short("two\\nlines", 20)
    ('a lon...', 'two lines')
    """
    text = " ".join(text.split())
    return text if len(text) <= most else f"{text[: most - 3]}..."


def example_of_change(form: TableForm) -> tuple[str, str]:
    """A column, one that is left out if there is such a one with values, and another type that it could have."""
    kept = next((one for one in form.left_out if not one.reason.startswith(EMPTY)), None)
    if kept is not None:
        return kept.name, "category"
    first = form.codings[0]
    return first.name, "ignore" if first.type == "category" else "category"


def columns_for_python(form: TableForm) -> str:
    """What `fit` says of a mixed table's columns before it begins.

    >>> import pandas as pd
    >>> from isthmus.data import open_source
    >>> print(columns_for_python(open_source(pd.DataFrame({"size": [1.5, None], "kind": ["a", "b"]})).form))
      column  taken for             because
      size    numeric               numbers
      kind    category of 2 levels  text
      to change one: columns={'size': 'category'}
    """
    lines = column_lines(form, more="ist.data.open_source(X).described() lists all")
    name, wanted = example_of_change(form)
    return "\n".join([*lines, f"  to change one: columns={{{name!r}: {wanted!r}}}"])
