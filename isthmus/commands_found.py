"""What a search found, on the terminal and as a table."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Sequence
from typing import Any

import numpy as np
from rich.cells import cell_len, set_cell_size

from isthmus.commands_lines import line
from isthmus.estimators.retrieved import Found, Within

QUERIES, ANSWERS = 20, 10
"""Queries whose answers are shown on the terminal, and answers of each within a radius unless -k says more."""

BESIDE = 30
"""Columns of the terminal that a title needs to stand beside the id; with fewer it stands below."""


# ------------------------------------------------------------------ on the terminal


def say_found(found: Found | Within, names: Sequence[Any], k: int | None = None) -> None:
    """The answers to every query, nearest first, as wide as the terminal; plain text wherever it goes.

    Within a radius at most ``k`` of each query are shown.
    """
    width = max(40, min(shutil.get_terminal_size().columns, 100))
    alike = likeness(found)
    for place, name in enumerate(names[:QUERIES]):
        if len(names) > 1:
            print(f"{chr(10) if place else ''}{printable(str(name))}")
        every, within = answered(found, place), isinstance(found, Within)
        shown = every[: k or ANSWERS] if within else every
        if len(shown):
            say_answers(
                found.ids[place][shown],
                found.distances[place][shown],
                None if alike is None else alike[place][shown],
                None if found.items is None else found.items[place][shown],
                width,
            )
        elif within:
            print("nothing is so near")
        else:
            print("nothing was found in time")
        if more := len(every) - len(shown):
            print(f"and {more:,} more{' are so near' if k else ': -o TABLE.csv writes them all'}")
        elif 0 < len(every) < len(found.ids[place]):
            print(f"and {len(found.ids[place]) - len(every):,} more were not found in time")
    if len(names) > QUERIES:
        print(f"\nand answers to {len(names) - QUERIES:,} more: -o TABLE.csv writes them all")


def answered(found: Found | Within, place: int) -> np.ndarray:
    """The places of a query's answers: a time budget may have ended before there was one for each."""
    return np.flatnonzero(np.asarray(found.distances[place]) >= 0)


def say_answers(ids: Any, distances: Any, alike: Any, kept: Any, width: int) -> None:
    """One query's answers: rank, bits, cosine, id and title in a line, and a snippet below."""
    numbers = [["rank", *map(str, range(1, len(ids) + 1))], ["bits", *map(str, distances)]]
    numbers += [] if alike is None else [["cosine", *(f"{one:.3f}" for one in alike)]]
    wide = [max(map(len, column)) for column in numbers]
    names = ["id", *(printable(str(one)) for one in ids)]
    texts = [("title", ""), *map(title_and_snippet, kept)] if kept is not None else [("", "")] * len(names)
    most = max(map(cell_len, names))
    for cells, name, (title, snippet) in zip(zip(*numbers, strict=True), names, texts, strict=True):
        left = "  ".join(cell.rjust(room) for cell, room in zip(cells, wide, strict=True)) + "  "
        beside = width - len(left) - most - 2
        if beside >= BESIDE:
            print(f"{left}{set_cell_size(name, most)}  {cut(title, beside)}".rstrip())
        else:
            print(left + name)
        for text in [snippet] if beside >= BESIDE else [title, snippet]:
            if text and name != "id":
                print(" " * len(left) + cut(text, width - len(left)))


def title_and_snippet(item: str | None) -> tuple[str, str]:
    """What was kept with an item; of a text that is its own title, only the longer of the two.

    >>> title_and_snippet("The moon\\nIt is far."), title_and_snippet("It is\\nIt is far.")
    (('The moon', 'It is far.'), ('It is far.', ''))
    """
    title, _, snippet = (printable(part) for part in (item or "").partition("\n"))
    return (snippet, "") if snippet.startswith(title.rstrip(" …")) else (title, snippet)


def printable(text: str) -> str:
    """A text as one line that changes nothing but its place on the terminal: no control codes, and no letters that the
    terminal has not.

    >>> printable("a\\x1b[31mred\\tone")
    'a [31mred one'
    """
    plain = "".join(letter if letter.isprintable() else " " for letter in text)
    known = getattr(sys.stdout, "encoding", None) or "utf-8"
    return " ".join(plain.split()).encode(known, "replace").decode(known)


def cut(text: str, width: int) -> str:
    """The beginning of a text that fits in so many columns of the terminal.

    >>> cut("one two", 7), cut("one two three", 9)
    ('one two', 'one tw...')
    """
    return text if cell_len(text) <= width else set_cell_size(text, width - 3).rstrip() + "..."


def say_how(found: Found | Within, k: int | None, codes: str, seconds: float) -> None:
    """Whether the answers are exact, and what finding them among the codes took."""
    many, tables = len(found), int(found.by_tables.sum())
    line("exact", proof_in_words(found, k))
    way = "one after the other" if not tables else "by hash tables"
    way += f" for {tables:,} of {many:,} queries" if 0 < tables < many else ""
    line("compared", f"{found.scanned.mean():,.0f} of {codes}{'' if many == 1 else ' a query'}, {way}")
    each = "" if many == 1 else f", {1000 * seconds / many:,.2f} ms a query"
    line("took", f"{1000 * seconds:,.1f} ms{each}, coding included")


def proof_in_words(found: Found | Within, k: int | None = None) -> str:
    """Whether it is proven that nothing nearer was missed."""
    if isinstance(found, Within):
        cut_short = k is not None and any(len(ids) > k for ids in found.ids)
        return f"yes: these are {f'the {k:,} nearest of ' if cut_short else ''}all that are so near"
    if found.exact.all():
        by = "" if found.similarities is None else " by bits; of the nearest, the cosine tells the order"
        return f"yes: it is proven that no item is nearer{by}"
    told = "no" if len(found) == 1 else f"for {found.exact.sum():,} of {len(found):,} queries"
    nothing = ~found.exact & (found.distances < 0).all(axis=1)
    if nothing.sum() == (~found.exact).sum():
        return f"{told}: the time was over and nothing found"
    empty = f", for {nothing.sum():,} with nothing found" if nothing.any() else ""
    least = found.recall[~found.exact & ~nothing].min()
    none = "none of it is" if len(found) == 1 else "not every answer has a part that is"
    sure = f"at least {least:.0%} of each answer is" if least > 0 else none
    return f"{told}: the time was over{empty}; {sure} proven to be among the nearest"


# ------------------------------------------------------------------ as a table


def frame_of(found: Found | Within, names: Sequence[Any], k: int | None = None) -> Any:
    """All answers as a pandas frame, a row for each; within a radius at most ``k`` of each query."""
    import pandas as pd

    shown = [answered(found, place)[:k] for place in range(len(found))]
    counts = list(map(len, shown))

    def joined(parts: Any) -> np.ndarray:
        return np.concatenate([part[places] for part, places in zip(parts, shown, strict=True)])

    columns: dict[str, Any] = {
        "query": [name for name, count in zip(names, counts, strict=True) for _ in range(count)],
        "rank": np.concatenate([np.arange(1, count + 1) for count in counts]),
        "id": pd.Series(joined(found.ids)).infer_objects(),
        "distance": joined(found.distances),
    }
    if likeness(found) is not None:
        columns["similarity"] = joined(likeness(found))
    if found.items is not None:
        columns["title"] = [None if item is None else item.partition("\n")[0] for item in joined(found.items)]
    return pd.DataFrame(columns)


def likeness(found: Found | Within) -> Any:
    return found.similarities if isinstance(found, Found) else None
