"""Vectors replaced by the nearest entries of books, which follow the vectors that they are chosen for."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, cast

import torch
from torch import Tensor, nn

from isthmus.errors import InputError
from isthmus.parts.bottlenecks.book import Book
from isthmus.parts.bottlenecks.discrete import STRAIGHT_THROUGH, straight_through
from isthmus.parts.distributions.discrete import largest_divisor
from isthmus.parts.priors.alphabet import Alphabet
from isthmus.records import Batch, Code, Context, Site, Trace

if TYPE_CHECKING:
    from isthmus.parts.bottlenecks.codebook import Codebook

LEAST = 1e-6
"""The least mean square of a book's entries that distances are measured by."""

WIDEST = 4
"""The most numbers to a symbol where the user names no width; twice as many where several entries make it up."""


class Quantised(nn.Module):
    """The module behind `Codebook`, and `ResidualCodebook`, each of whose ``books`` quantises what is left to it."""

    books: list[Book]

    estimates_gradient = STRAIGHT_THROUGH

    def __init__(self, codebook: Codebook, site: Site, levels: int = 1) -> None:
        super().__init__()
        if not (codebook.width or site.code_size):
            raise InputError(
                "Codebook: the code's size is not known here; name the width of a symbol: Codebook(width=4)"
            )
        self.codebook = codebook
        self.symbol = codebook.width or largest_divisor(site.code_size, WIDEST if levels == 1 else 2 * WIDEST)
        books = (Book(codebook.entries, self.symbol, site.source) for _ in range(levels))
        self.books = cast("list[Book]", nn.ModuleList(books))

    @property
    def usage(self) -> Tensor:
        """(levels, entries): the share of symbols that each entry was chosen for lately."""
        return torch.stack([book.usage for book in self.books])

    def width(self, code_size: int) -> int:
        """Numbers the encoder must emit for a code of ``code_size``."""
        if code_size % self.symbol:
            raise InputError(
                f"Codebook: width={self.symbol} does not divide the code of {code_size} numbers; use a width such as "
                f"{largest_divisor(code_size, WIDEST)}, or code_size={max(1, code_size // self.symbol) * self.symbol}"
            )
        return code_size

    def chosen(self, flat: Tensor) -> tuple[Tensor, Tensor]:
        """Of (n, size): the entries picked, added up over the levels (n, size), and their numbers (n, symbols)."""
        rest = flat.to(self.books[0].entries.dtype).reshape(-1, self.symbol)
        picked, numbers = torch.zeros_like(rest), []
        for book in self.books:
            numbers.append(book.nearest(rest))
            entry = book.entries[numbers[-1]]
            rest, picked = rest - entry, picked + entry
        index = torch.stack(numbers, 1).reshape(-1, flat.shape[1] // self.symbol * len(self.books))
        return picked.reshape(-1, flat.shape[1]), index

    def forward(self, hidden: Tensor, context: Context) -> Code:
        flat = hidden.flatten(1)
        point, index = self.chosen(flat.detach())
        scale = torch.stack([book.entries.square().mean() for book in self.books]).sum()
        # Of constant data all entries may be 0, and what is divided by them without end.
        far = (flat - point).square().sum(1) / scale.clamp(min=LEAST)
        cost = index.shape[1] * math.log(self.codebook.entries) + self.codebook.commitment * far
        return Code(z=straight_through(point, flat), point=point, cost=cost, index=index)

    def alphabet(self, code_size: int) -> Alphabet:
        """What the symbols stand for: the entries of the books."""
        return Alphabet(torch.stack([book.entries for book in self.books])[None])

    def z_of(self, point: Tensor) -> Tensor:
        """The entries nearest to any point. Sums of several levels' are left as they are: to look for them again, the
        coarsest first, need not find those that were added."""
        return self.chosen(point)[0] if len(self.books) == 1 else point

    def start(self, hidden: Tensor, batch: Batch) -> None:
        if self.codebook.start == "data":
            rest = hidden.reshape(-1, self.symbol)
            for book in self.books:
                book.begin(rest)
                rest = rest - book.entries[book.nearest(rest)]

    def after_step(self, trace: Trace, terms: dict[str, Tensor]) -> None:
        index = cast(Tensor, trace.code.index)
        rest = trace.hidden.detach().to(self.books[0].entries.dtype).reshape(-1, self.symbol)
        rows, source = trace.batch.row_weight, trace.pass_.generator
        weight = rest.new_ones(index.shape[0]) if rows is None else rows.to(rest.dtype)
        weight = weight.repeat_interleave(rest.shape[0] // index.shape[0])
        for book, numbers in zip(self.books, index.reshape(-1, len(self.books)).unbind(1), strict=True):
            entry = book.entries[numbers]
            book.follow(rest, numbers, weight, self.codebook.decay)
            if self.codebook.revive and source is not None:
                book.revive(rest, weight, self.codebook.revive, source)
            rest = rest - entry
