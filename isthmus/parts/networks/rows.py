"""Rows as they are, in the place of an encoder: for bottlenecks that choose among the columns themselves."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from isthmus.errors import InputError
from isthmus.parts.networks.common import given_to, told_level
from isthmus.parts.networks.entry import SIZES, Entry, vector_size
from isthmus.records import Column, Context, Layout


class Rows(nn.Module):
    """``encoder(x, context) -> hidden``: (n, *shape) -> (n, features), one number for every column.

    Numbers are handed on as they are. Of a mixed table, every column is one number of about the same size: what an
    `Entry` makes of it, of a category the sum of a learned vector; a cell that is not known is a number that is learned
    for its column. What rows are given, and how strong the noise is where the network is told, are added by a linear
    map that starts at 0.

    Examples
    --------
    >>> rows = Rows(Layout((3,), ("column",), (Column(), Column("circular"), Column("category", 3))))
    >>> x = torch.tensor([[0.3, 0.25, 2.0], [0.1, 0.75, 1.0]])
    >>> rows(x, Context((3,)))[:, :2]
    tensor([[ 0.3000, -0.5000],
            [ 0.1000,  0.5000]], grad_fn=<SliceBackward0>)
    """

    takes_context = True
    owners: Tensor

    def __init__(self, layout: Layout, given_size: int = 0, told: bool = False) -> None:
        super().__init__()
        self.features, self.given_size, self.told = layout.features, given_size, told
        self.beside: nn.Parameter | None = None
        if given_size + told:
            self.beside = nn.Parameter(torch.zeros(given_size + told, layout.features))
        self.entry: Entry | None = None
        if layout.columns is not None:
            # A turn as sine and cosine would be two numbers, which do not add up to one that tells the time: it is
            # read as a share of the turn, as numbers from 0 to 1 are.
            columns = tuple(replace(c, kind="binary") if c.kind == "circular" else c for c in layout.columns)
            self.entry = Entry(columns, torch.Generator().manual_seed(0))
            self.register_buffer("owners", owners(columns, self.entry), persistent=False)

    def forward(self, x: Tensor, context: Context) -> Tensor:
        y = x.flatten(1)
        if self.entry is not None:
            read = self.entry(y, context.known)
            y = torch.zeros_like(y).index_add(1, self.owners, read)
        if self.beside is None:
            return y
        beside = (*given_to(self, context), *((told_level(context),) if self.told else ()))
        return y + torch.cat(beside, dim=1) @ self.beside


def owners(columns: tuple[Column, ...], entry: Entry) -> Tensor:
    """(entry.width,) the column that each number of an entry comes from."""
    vectors = [
        place
        for size in SIZES
        for place, column in enumerate(columns)
        if column.kind == "category" and vector_size(column.levels) == size
        for _ in range(size)
    ]
    return torch.cat((entry.order, torch.tensor(vectors, dtype=torch.int64), torch.arange(len(columns))))


def check_untied(decoder: Any) -> None:
    """Refuse a decoder whose weights are those of the encoder that rows take the place of."""
    decoder = getattr(decoder, "inner", decoder)
    tied = getattr(decoder, "mirror", ()) or any(hasattr(layer, "mirror") for layer in getattr(decoder, "linear", ()))
    if tied:
        raise InputError(
            "network: where columns are chosen the encoder is set aside, so no decoder can be tied to it. Leave "
            "tied=True out"
        )
