"""What an encoder reads of a mixed table: every column as numbers of about one size, and which cells there are."""

from __future__ import annotations

import itertools
import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from isthmus.records import Column

SIZES = (2, 4, 8, 16, 32)
"""Lengths of the vectors that stand for levels; few, so that all columns of one length are looked up at once."""

PLAIN = ("number", "binary", "ordinal")
"""Kinds of which one number is read, scale * x + shift."""


def vector_size(levels: int) -> int:
    """The length of the vectors that stand for the levels of a category.

    >>> [vector_size(levels) for levels in (1, 2, 5, 16, 50, 1000, 100_000)]
    [2, 4, 4, 8, 16, 32, 32]
    """
    wanted = math.ceil(1.6 * levels**0.56)
    return next((size for size in SIZES if size >= wanted), SIZES[-1])


class Vectors(nn.Module):
    """Learned vectors for the levels of all categories whose vectors have one length, in one table.

    Parameters
    ----------
    size : numbers in a vector.
    places, levels : which columns these are, and how many levels each has.
    generator : draws the vectors, of length 1 or so: at first no category outweighs a scaled number.
    """

    columns: Tensor
    starts: Tensor
    last: Tensor

    def __init__(self, size: int, places: list[int], levels: list[int], generator: torch.Generator) -> None:
        super().__init__()
        drawn = torch.empty(sum(levels), size).normal_(0, 1 / math.sqrt(size), generator=generator)
        self.weight = nn.Parameter(drawn)
        ends = torch.tensor(levels).cumsum(0)
        numbers = {"columns": torch.tensor(places), "starts": ends - torch.tensor(levels), "last": ends - 1}
        for name, value in numbers.items():
            self.register_buffer(name, value, persistent=False)

    def forward(self, x: Tensor, kept: Tensor | None) -> Tensor:
        """(n, columns) -> (n, size * places), times ``kept``, which is 1 for known cells and 0 for others."""
        level = x.index_select(1, self.columns).long().clamp(min=0) + self.starts
        found = F.embedding(torch.minimum(level, self.last), self.weight)
        if kept is not None:
            found = found * kept.index_select(1, self.columns)[:, :, None]
        return found.flatten(1)


class Entry(nn.Module):
    """``entry(x, known) -> (n, width)``: the columns of a mixed table as a network of linear maps wants them.

    Scaled numbers are read as they are, those of heavy tails by their asinh, which is x near 0 and grows as the
    logarithm does; counts as log(1 + x), binary cells as -1 or 1, the levels of an order evenly from -1 to 1,
    shares of a turn as sine and cosine, the levels of a category as vectors that are learned with the network. A cell
    that is not known gives zeros, and one number more for every column says so, times a gain that is learned, from 0
    on.

    Parameters
    ----------
    columns : what each column holds.
    generator : draws the vectors.

    Examples
    --------
    >>> entry = Entry((Column(), Column("binary"), Column("category", 3)), torch.Generator().manual_seed(0))
    >>> x, known = torch.tensor([[0.5, 0.0, 2.0]]), torch.tensor([[True, True, False]])
    >>> entry(x, known).shape  # 1 + 1 + a vector of 4, and 3 that say which cells are missing
    torch.Size([1, 9])
    >>> entry(x, known)[0, :2]
    tensor([ 0.5000, -1.0000], grad_fn=<SliceBackward0>)
    """

    order: Tensor
    scale: Tensor
    shift: Tensor
    owners: Tensor

    def __init__(self, columns: tuple[Column, ...], generator: torch.Generator) -> None:
        super().__init__()

        def of(*kinds: str) -> list[int]:
            return [place for place, column in enumerate(columns) if column.kind in kinds]

        plain, turns = of(*PLAIN), of("circular")
        alike = (plain, of("heavy"), of("count"), turns)
        self.sizes, order = [len(places) for places in alike], list(itertools.chain(*alike))
        slopes = [slope_of(columns[place]) for place in plain]
        numbers = {
            "order": torch.tensor(order, dtype=torch.int64),
            "scale": torch.tensor([scale for scale, _ in slopes]),
            "shift": torch.tensor([shift for _, shift in slopes]),
            "owners": torch.tensor(order + turns, dtype=torch.int64),  # a turn gives two numbers
        }
        for name, value in numbers.items():
            self.register_buffer(name, value, persistent=False)
        self.vectors = nn.ModuleList()
        for size in SIZES:
            places = [place for place in of("category") if vector_size(columns[place].levels) == size]
            if places:
                self.vectors.append(Vectors(size, places, [columns[place].levels for place in places], generator))
        self.gain = nn.Parameter(torch.zeros(len(columns)))
        self.width = width_of(columns)

    def forward(self, x: Tensor, known: Tensor | None = None) -> Tensor:
        """Parameters: x (n, columns), anything at all where it is not known; known (n, columns) bool, None = all."""
        kept = None if known is None else known.to(x.dtype)
        if known is not None:
            x = torch.where(known, x, torch.zeros_like(x))
        gone = torch.zeros_like(x) if kept is None else (1 - kept) * self.gain
        return torch.cat([self.scalars(x, known), *(one(x, kept) for one in self.vectors), gone], dim=1)

    def scalars(self, x: Tensor, known: Tensor | None) -> Tensor:
        """One number for each column that is no category, two for those of turns."""
        plain, heavy, count, turn = x.index_select(1, self.order).split(self.sizes, dim=1)
        angle = 2 * math.pi * turn
        plain = torch.addcmul(self.shift, plain, self.scale)
        found = torch.cat((plain, heavy.asinh(), count.clamp(min=0).log1p(), angle.sin(), angle.cos()), dim=1)
        if known is None:
            return found
        return torch.where(known.index_select(1, self.owners), found, torch.zeros_like(found))


def width_of(columns: tuple[Column, ...]) -> int:
    """The width of the entry of these columns.

    >>> width_of((Column(), Column("circular"), Column("category", 40)))  # 1 + 2 + 16, and 3 for missing cells
    22
    """
    sizes = (vector_size(c.levels) if c.kind == "category" else 2 if c.kind == "circular" else 1 for c in columns)
    return sum(sizes) + len(columns)


def slope_of(column: Column) -> tuple[float, float]:
    """Scale and shift that bring a column's numbers to [-1, 1]; (1, 0) where they are scaled already.

    >>> slope_of(Column("ordinal", 5)), slope_of(Column("binary")), slope_of(Column("ordinal", 1))
    ((0.5, -1.0), (2.0, -1.0), (0.0, 0.0))
    """
    if column.kind == "number":
        return 1.0, 0.0
    steps = column.levels - 1 if column.kind == "ordinal" else 1
    return (2 / steps, -1.0) if steps else (0.0, 0.0)
