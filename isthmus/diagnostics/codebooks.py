"""Are the symbols of a discrete code in use? A book has collapsed where a few entries stand for every row."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from isthmus.checks import counted
from isthmus.diagnostics.restraint import either, nested
from isthmus.metrics import perplexity
from isthmus.parts.bottlenecks.finite_scalar import FiniteScalar
from isthmus.parts.bottlenecks.quantised import Quantised
from isthmus.verdicts import Verdict, percent

USED, EVEN, WASTED, FEWEST = 0.5, 0.1, 0.5, 30
"""A book is wasted where less than half as many of its entries are used as symbols drawn evenly would use: half a book
would do as well. Or where its perplexity is below a tenth of that: then a tenth of them, evenly used, would say as
much. Entries are counted beyond the first, so that a bit which is always 1 is wasted. Half of the books wasted is bad;
fewer symbols than 30 cannot tell."""


@dataclass(frozen=True)
class Use:
    """How the rows use the ``entries`` of one book: ``used`` of them by ``symbols`` symbols, which say as much as
    ``perplexity`` entries, evenly used, would."""

    entries: int
    symbols: int
    used: int
    perplexity: float

    @property
    def within_reach(self) -> float:
        """How many entries so many symbols would use if they were drawn evenly."""
        return self.entries * (1 - (1 - 1 / self.entries) ** self.symbols)

    @property
    def wasted(self) -> bool:
        rest = self.within_reach - 1
        return self.used - 1 < USED * rest or self.perplexity - 1 < EVEN * rest


def books_used(bottleneck: Any, index: Tensor, code_size: int) -> list[Use]:
    """The use of every book by the symbols ``index`` (n, symbols): one for all places of a code that share it."""
    books = []
    for entries, values in by_book([*nested(bottleneck)][-1], index, code_size):
        counts = torch.bincount(values.flatten().cpu(), minlength=entries).double().numpy()
        books.append(Use(entries, int(counts.sum()), int((counts > 0).sum()), perplexity(counts)))
    return books


def by_book(bottleneck: Any, index: Tensor, code_size: int) -> list[tuple[int, Tensor]]:
    """The number of entries of every book, and the symbols that were looked up in it."""
    symbols = index.shape[1]
    if isinstance(bottleneck, Quantised):
        levels = len(bottleneck.books)
        return [(book.size, index[:, level::levels]) for level, book in enumerate(bottleneck.books)]
    if isinstance(bottleneck, FiniteScalar):
        entries = bottleneck.levels_of(symbols)
    else:  # a unit for every entry of a category, or one for each bit
        entries = [max(2, code_size // symbols)] * symbols
    return list(zip(entries, index.unbind(1), strict=True))


def codebook_verdict(books: list[Use], bottleneck: Any) -> Verdict:
    name = "codebook use"
    used = float(np.mean([book.used / book.entries for book in books]))
    even = float(np.mean([book.perplexity / book.entries for book in books]))
    wasted = [number for number, book in enumerate(books) if book.wasted]
    if len(books) == 1:
        book = books[0]
        sentence = f"{book.used:,} of {book.entries:,} entries are used ({percent(used)})"
        sentence = f"{sentence}, perplexity {book.perplexity:,.1f}"
    else:
        sentence = (
            f"{percent(used)} of the entries of {len(books)} books are used in the mean, perplexity {percent(even)} of "
            "their number"
        )
    if not wasted:
        return Verdict(name, "good", f"{sentence}.", used)
    if len(books) > 1:
        which = ", ".join(str(number) for number in wasted[:8]) + (", ..." if len(wasted) > 8 else "")
        sentence = f"{sentence}; {len(wasted)} are hardly used (counted from 0: {which})"
    if (few := books[0].symbols) < FEWEST:
        words = f"{sentence}, which {counted(few, 'symbol')} cannot prove."
        return Verdict(name, "note", words, used, "to diagnose with more rows.")
    level = "bad" if len(wasted) >= WASTED * len(books) else "note"
    return Verdict(name, level, f"{sentence}: a few symbols stand for every row.", used, remedies(bottleneck))


def remedies(bottleneck: Any) -> str:
    """What brings more entries into use, of the things that the bottleneck has."""
    inner, found = [*nested(bottleneck)][-1], []
    if isinstance(inner, Quantised):
        if inner.codebook.start != "data":
            found.append('start="data"')
        if not inner.codebook.revive:
            found.append("revive=0.1")
        return either(*found, f"a smaller book, entries={max(2, inner.codebook.entries // 4)}")
    if isinstance(inner, FiniteScalar):
        return either("fewer levels", "a smaller code_size")
    return either("a smaller code_size", "a lower beta, or one that rises slowly", "another learning_rate")
