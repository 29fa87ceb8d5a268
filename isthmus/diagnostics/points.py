"""Rows of mixed tables as points, whose distances mean what the errors of their cells mean."""

from __future__ import annotations

import math
from collections.abc import Iterable

import torch
from torch import Tensor

from isthmus.records import Column

WIDEST = 100
"""Categories of more levels are left out of distances: of so many values two rows hardly ever share one, so that they
would add the same to every distance, and a dimension per level to every row."""


def left_out(columns: tuple[Column, ...]) -> list[int]:
    """The columns that points do not show."""
    return [i for i, column in enumerate(columns) if column.kind == "category" and column.levels > WIDEST]


def owners(columns: tuple[Column, ...]) -> list[int]:
    """The column of every dimension of the points.

    >>> owners((Column(), Column("category", 3), Column("category", 500), Column("circular")))
    [0, 1, 1, 1, 3, 3]
    """
    wide, sizes = set(left_out(columns)), {"circular": 2}
    sized = ((i, sizes.get(one.kind, one.levels if one.kind == "category" else 1)) for i, one in enumerate(columns))
    return [i for i, size in sized if i not in wide for _ in range(size)]


def points(x: Tensor, columns: tuple[Column, ...], weight: Tensor | None = None) -> Tensor:
    """(n, dimensions): rows (n, columns) of a mixed table as points.

    Squared distances between points are sums over cells of what the loss counts as their error:

        number : itself; count : itself; binary : 0 or 1; ordinal : the share of the way to the last level;
        category : 1 / sqrt(2) in the dimension of its level; circular : half of (sin, cos), exact where two times are
        equal or half a turn apart, and up to 1.6 times the distance between.

    ``weight`` is 0 in missing cells, which are NaN here. Where every column is left out, points have one dimension, 0.

    >>> table = (Column(), Column("category", 3), Column("ordinal", 5))
    >>> a, b = points(torch.tensor([[1.0, 0.0, 4.0], [3.0, 2.0, 2.0]]), table)
    >>> float((a - b).square().sum())  # 2 ** 2 + 1 + (2 / 4) ** 2
    5.25
    """
    x = x if weight is None else torch.where(weight > 0, x, torch.nan)
    shown = sorted(set(owners(columns)))
    return torch.cat([directions(x[:, i], columns[i]) for i in shown], 1) if shown else torch.zeros_like(x[:, :1])


def directions(cells: Tensor, column: Column) -> Tensor:
    """(n, dimensions) of one column; NaN where a cell is NaN."""
    if column.kind == "circular":
        angle = 2 * math.pi * cells
        return torch.stack([angle.sin(), angle.cos()], 1) / 2
    if column.kind == "category":
        levels = torch.arange(column.levels, device=cells.device)
        own = (cells.nan_to_num()[:, None] == levels).to(cells) / math.sqrt(2)
        return torch.where(cells.isnan()[:, None], torch.nan, own)
    if column.kind == "ordinal":
        return cells[:, None] / max(1, column.levels - 1)
    return cells[:, None]


def usual_values(blocks: Iterable[tuple[Tensor, Tensor | None]], columns: tuple[Column, ...]) -> Tensor:
    """(columns,) of rows that come in blocks x, weight (n, columns): the mean of numbers and counts, the most frequent
    of levels, the mean direction of circular columns.

    >>> rows = torch.tensor([[1.0, 2.0, 0.9], [2.0, 0.0, 0.1], [6.0, 2.0, 0.0]])
    >>> usual_values([(rows, None)], (Column(), Column("category", 3), Column("circular")))
    tensor([3., 2., 0.])
    """
    numbers = torch.tensor([column.numeric or column.kind == "count" for column in columns])
    turns = torch.tensor([column.kind == "circular" for column in columns])
    sums, counts = torch.zeros(3, len(columns), dtype=torch.float64), torch.zeros(len(columns), dtype=torch.float64)
    tallies = {i: torch.zeros(max(2, one.levels)) for i, one in enumerate(columns) if not (numbers[i] or turns[i])}
    for block, weight in blocks:
        x = block.cpu()
        known = torch.ones_like(x) if weight is None else weight.to(x)
        angle = 2 * math.pi * x.double()
        sums += torch.stack([(values * known).sum(0) for values in (x.double(), angle.sin(), angle.cos())])
        counts += known.sum(0)
        for i, tally in tallies.items():
            tally += torch.bincount(x[:, i].long(), weights=known[:, i], minlength=len(tally))
    usual = sums[0] / counts.clamp(min=1)
    usual[turns] = (torch.atan2(sums[1], sums[2]) / (2 * math.pi))[turns]
    for i, tally in tallies.items():
        usual[i] = int(tally.argmax())
    usual = usual.float()
    usual[turns] = usual[turns] % 1 % 1  # the first remainder of a number just below 0 is rounded to 1
    return usual
