"""What the symbols of a discrete code stand for: the way from its numbers to indexes and back."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from isthmus.errors import InputError


class Alphabet(nn.Module):
    """``entries`` (kinds, levels, most, width): the numbers that every index stands for, and ``sizes`` (kinds, levels),
    how many of them there are.

    A code of ``size`` numbers is cut into pieces of ``width``; piece s is of kind s modulo the kinds, and a sum of one
    entry of each level. So an index is (n, pieces * levels), the levels of a piece one after the other:

    ====================  =====  ======  ====================
    code                  kinds  levels  entries
    ====================  =====  ======  ====================
    codebook              1      1       the book
    residual codebooks    1      books   the books
    rounded units         1-     1       where the levels lie
    bits                  1      1       0 and 1
    one unit of a group   1      1       the identity
    ====================  =====  ======  ====================

    Examples
    --------
    >>> bits = Alphabet(torch.tensor([0.0, 1.0]).reshape(1, 1, 2, 1))
    >>> bits.points(torch.tensor([[1, 0, 1]])), bits.indexes(torch.tensor([[0.9, 0.2, 1.0]]))
    (tensor([[1., 0., 1.]]), tensor([[1, 0, 1]]))
    """

    entries: Tensor
    sizes: Tensor

    def __init__(self, entries: Tensor, sizes: Tensor | None = None) -> None:
        super().__init__()
        self.register_buffer("entries", entries.detach().clone())
        full = torch.full(entries.shape[:2], entries.shape[2], device=entries.device)
        self.register_buffer("sizes", full if sizes is None else sizes.to(entries.device))

    @property
    def most(self) -> int:
        """Entries of the kind that has most."""
        return self.entries.shape[2]

    @property
    def width(self) -> int:
        return self.entries.shape[3]

    def symbols(self, code_size: int) -> int:
        """Symbols in a code of so many numbers."""
        if code_size % self.width:
            raise InputError(f"codes: of {code_size} numbers are not made of symbols of {self.width} numbers each")
        return code_size // self.width * self.entries.shape[1]

    def tables(self, symbols: int) -> Tensor:
        """(symbols,): which of all kinds' and levels' entries each symbol is one of."""
        kinds, levels = self.entries.shape[:2]
        place = torch.arange(symbols, device=self.entries.device)
        return place // levels % kinds * levels + place % levels

    def points(self, index: Tensor) -> Tensor:
        """(n, symbols) int64 -> (n, code_size): what the symbols stand for."""
        levels, flat = self.entries.shape[1], self.entries.flatten(0, 1)
        tables = self.tables(index.shape[1])
        # One level after the other, as the levels themselves are added up: sums of floats hang on their order.
        point = torch.zeros_like(flat[tables[::levels], index[:, ::levels]])
        for level in range(levels):
            point = point + flat[tables[level::levels], index[:, level::levels]]
        return point.flatten(1)

    def indexes(self, points: Tensor) -> Tensor:
        """(n, code_size) -> (n, symbols) int64: the entries nearest to the points, and at each level those nearest to
        what the levels before left, which of sums of entries need not be the ones that were added."""
        self.symbols(points.shape[1])
        kinds, levels = self.entries.shape[:2]
        rest = points.to(self.entries.dtype).reshape(len(points), -1, self.width)
        index = torch.zeros(len(points), rest.shape[1], levels, dtype=torch.int64, device=points.device)
        for kind in range(kinds):
            left = rest[:, kind::kinds].reshape(-1, self.width)
            for level in range(levels):
                entries = self.entries[kind, level, : int(self.sizes[kind, level])]
                nearest = torch.addmm(entries.square().sum(1), left, entries.T, alpha=-2).argmin(1)
                index[:, kind::kinds, level] = nearest.reshape(len(points), -1)
                left = left - entries[nearest]
        return index.flatten(1)
