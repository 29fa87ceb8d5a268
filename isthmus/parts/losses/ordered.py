"""Ordinal columns: levels with an order, such as small, medium, large."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from isthmus.parts.losses.blocks import Block
from isthmus.records import Column

FASTER = 8.0
"""Parameters of thresholds are so many times smaller than these, and steps of the optimiser as much larger."""
NARROWEST, WIDEST = -12.0, 12.0
"""Bounds of the logarithm of what lies between two thresholds: float32 follows a level of probability 1e-6."""


class Ordinals(Block):
    """Cumulative logits: one number m per column says where on a line a row stands, thresholds t cut it into levels.

        P(level <= k) = sigmoid(t_k - m),   t_0 < t_1 < ... learned for each column
        nats = log(1 + exp(-(t_k - m))) + log(1 + exp(t_(k-1) - m)) - log(1 - exp(-(t_k - t_(k-1)))),   k = x

    The thresholds are learned `FASTER` than other weights: they have far to go until they are so far apart that a level
    in the middle can be nearly certain.

    The three terms are -log(sigmoid(t_k - m) - sigmoid(t_(k-1) - m)) without the difference, which would cancel where
    the row stands far away. At first all levels are equally probable at m = 0.

    References
    ----------
    McCullagh 1980, "Regression models for ordinal data".
    """

    between: Tensor
    column: Tensor
    most: Tensor

    def __init__(self, columns: tuple[Column, ...]) -> None:
        super().__init__(columns)
        self.widest = max(2, *(column.levels for column in columns))
        levels = torch.tensor([column.levels for column in columns])[:, None]
        # Threshold k of columns with L levels exists for k < L - 1; the others lie at infinity.
        even = torch.logit(torch.arange(1, self.widest) / levels)
        gaps = torch.where(torch.arange(2, self.widest) < levels, even[:, 1:] - even[:, :-1], 1.0)
        self.lowest = nn.Parameter(torch.where(levels[:, 0] > 1, even[:, 0], 0.0) / FASTER)
        self.log_gaps = nn.Parameter(torch.log(gaps) / FASTER)
        self.register_buffer("between", torch.arange(1, self.widest) < levels, persistent=False)
        self.register_buffer("column", torch.arange(self.count), persistent=False)
        self.register_buffer("most", levels[:, 0] - 1, persistent=False)

    def gaps(self) -> Tensor:
        """(count, widest - 2) what lies between neighbouring thresholds, > 0."""
        return torch.exp((FASTER * self.log_gaps).clamp(NARROWEST, WIDEST))

    def thresholds(self) -> Tensor:
        """(count, widest - 1) ascending; infinite beyond a column's last."""
        lowest = FASTER * self.lowest[:, None]
        every = torch.cat([lowest, lowest + self.gaps().cumsum(1)], 1)
        return torch.where(self.between, every, torch.inf)

    def bounds(self) -> tuple[Tensor, Tensor, Tensor]:
        """(count, widest) each: where levels begin and end, and the lengths between; infinite at both ends."""
        ends = F.pad(self.thresholds(), (0, 1), value=torch.inf)
        begins = F.pad(ends[:, :-1], (1, 0), value=-torch.inf)
        lengths = F.pad(self.gaps(), (1, 1), value=torch.inf)
        # A column's last level has no end, though wider columns go on.
        return begins, ends, torch.where(F.pad(self.between, (0, 1)), lengths, torch.inf)

    def nats(self, out: Tensor, x: Tensor) -> Tensor:
        table = torch.stack(self.bounds()).to(x.dtype)
        begins, ends, lengths = table.flatten(1)[:, x.long() + self.column * self.widest]
        return within(begins - out, ends - out, lengths)

    def levels_nats(self, out: Tensor) -> Tensor:
        """(n, count, widest) of every level; infinite for levels that a column does not have."""
        begins, ends, lengths = (bound.detach().to(out.dtype) for bound in self.bounds())
        return within(begins - out[..., None], ends - out[..., None], lengths)

    def mean(self, out: Tensor) -> Tensor:
        """The most probable level."""
        return self.levels_nats(out).argmin(2).to(out.dtype)

    def sample(self, out: Tensor, generator: torch.Generator) -> Tensor:
        """Where a row stands, moved by logistic noise, and how many thresholds lie below."""
        even = torch.rand(out.shape, generator=generator, dtype=torch.float64, device=out.device)
        stands = out + torch.logit(even, eps=1e-12).to(out.dtype)
        thresholds = self.thresholds().detach().to(out.dtype)
        return torch.searchsorted(thresholds, stands.T.contiguous()).T.to(out.dtype)

    def shares(self, out: Tensor, place: int) -> Tensor:
        return torch.exp(-self.levels_nats(out)[:, place, : int(self.most[place]) + 1])

    def errors(self, rebuilt: Tensor, x: Tensor) -> Tensor:
        """As shares of the way from the first level to the last."""
        return ((rebuilt - x) / self.most.clamp(min=1)).square()


def within(begin: Tensor, end: Tensor, length: Tensor) -> Tensor:
    """-log(sigmoid(end) - sigmoid(begin)), with ``length`` = end - begin known apart."""
    return -F.logsigmoid(end) - F.logsigmoid(-begin) - torch.log(-torch.expm1(-length))
