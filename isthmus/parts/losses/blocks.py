"""Columns of one kind, costed together: the blocks that the loss of a mixed table is made of.

A block takes the outputs of its columns, side by side, and gives one number for every cell: never a row's sum, so that
whoever holds the block can leave cells out.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from isthmus.parts.losses.common import follow, log_rising
from isthmus.parts.losses.counts import NegativeBinomialLoss, log_mean
from isthmus.parts.losses.robust import SWEEPS
from isthmus.parts.losses.scaled import LOG_TWO_PI
from isthmus.records import Column

LEAST_VARIANCE = 1e-3
"""The least variance, in scaled units, that a column learns: one that is rebuilt exactly gains 3.5 nats, not 7, and
its gradients stay within 1,000 times those of a column that nothing is known of."""


class Block(nn.Module):
    """Columns of one kind; ``out`` is always (n, outputs), ``x`` and what comes back (n, count).

    ``x`` holds 0 for missing cells, which are costed like all others: the holder takes them out.
    """

    def __init__(self, columns: tuple[Column, ...], outputs: int | None = None) -> None:
        super().__init__()
        self.count = len(columns)
        self.outputs = self.count if outputs is None else outputs

    def nats(self, out: Tensor, x: Tensor) -> Tensor:
        """Minus the log-likelihood of every cell."""
        raise NotImplementedError

    def mean(self, out: Tensor) -> Tensor:
        """What every cell is rebuilt as."""
        return out

    def sample(self, out: Tensor, generator: torch.Generator) -> Tensor:
        raise NotImplementedError

    def shares(self, out: Tensor, place: int) -> Tensor:
        """(n, levels) the probabilities of the levels of the column at ``place`` of this block."""
        raise NotImplementedError

    def errors(self, rebuilt: Tensor, x: Tensor) -> Tensor:
        """How far every cell is off."""
        return (rebuilt - x).square()

    def spread(self) -> Tensor:
        """(count,) the standard deviation of numbers around the output; 0 for all else."""
        return torch.zeros(self.count)

    def follow(self, out: Tensor, x: Tensor, mass: Tensor) -> None:
        """Move running figures after a step: ``out`` (draws, n, outputs), ``mass`` (n, count), how often each cell
        counts."""


class Spread(Block):
    """Real numbers around the output, each column with a variance of its own that follows its errors.

    The running sums of errors and of cells are kept apart, so that a step in which a column has two known cells counts
    for two, and one without any leaves the column as it is.
    """

    variance: Tensor
    squares: Tensor
    mass: Tensor
    steps: Tensor

    def __init__(self, columns: tuple[Column, ...]) -> None:
        super().__init__(columns)
        self.register_buffer("variance", torch.ones(self.count))
        self.register_buffer("squares", torch.zeros(self.count))
        self.register_buffer("mass", torch.zeros(self.count))
        self.register_buffer("steps", torch.tensor(0.0))

    def weighted_squares(self, error: Tensor, variance: Tensor) -> Tensor:
        """What every cell adds to the sum whose mean is the best variance, at this variance."""
        return error.square()

    def spread(self) -> Tensor:
        return self.variance.sqrt()

    def follow(self, out: Tensor, x: Tensor, mass: Tensor, sweeps: int = 1) -> None:
        """Towards the mean of the weighted squares; ``sweeps`` times where the weights depend on the variance."""
        count, variance = mass.sum(0), self.variance.to(x.dtype)
        for _ in range(sweeps):
            squares = (self.weighted_squares(x - out, variance).mean(0) * mass).sum(0)
            variance = torch.where(count > 0, squares / count.clamp(min=1e-12), variance).clamp(min=LEAST_VARIANCE)
        steps = self.steps.clone()
        follow(self.squares, steps, squares)
        follow(self.mass, self.steps, count)
        found = (self.squares / self.mass.clamp(min=1e-30)).clamp(min=LEAST_VARIANCE)
        self.variance.copy_(torch.where(self.mass > 1e-30, found, self.variance))


class Numbers(Spread):
    """Normal distributions: 1/2 log(2 pi v) + (x - out)^2 / (2 v)."""

    def nats(self, out: Tensor, x: Tensor) -> Tensor:
        variance = self.variance.to(x.dtype)
        return 0.5 * ((x - out).square() / variance + torch.log(variance) + LOG_TWO_PI)

    def sample(self, out: Tensor, generator: torch.Generator) -> Tensor:
        return out + torch.empty_like(out).normal_(generator=generator) * self.variance.sqrt()


class Heavy(Spread):
    """Student's t distributions, as `StudentT`: degrees of freedom 1 + exp(``log_df``), learned for each column."""

    def __init__(self, columns: tuple[Column, ...]) -> None:
        super().__init__(columns)
        self.log_df = nn.Parameter(torch.full((self.count,), math.log(4.0)))

    @property
    def df(self) -> Tensor:
        return 1.0 + torch.exp(self.log_df.clamp(-10.0, 15.0))

    def nats(self, out: Tensor, x: Tensor) -> Tensor:
        variance, df = self.variance.to(x.dtype), self.df.to(x.dtype)
        constant = 0.5 * torch.log(variance * math.pi * df) - log_rising(df / 2, torch.full_like(df, 0.5))
        return constant + (df + 1) / 2 * torch.log1p((x - out).square() / (df * variance))

    def weighted_squares(self, error: Tensor, variance: Tensor) -> Tensor:
        df, squares = self.df.to(error.dtype), error.square()
        return (df + 1) * squares / (df + squares / variance)

    def follow(self, out: Tensor, x: Tensor, mass: Tensor, sweeps: int = SWEEPS) -> None:
        super().follow(out, x, mass, sweeps)

    def sample(self, out: Tensor, generator: torch.Generator) -> Tensor:
        noise = torch.empty_like(out).normal_(generator=generator)
        half = (self.df.detach() / 2).to(out.dtype)
        spread = torch._standard_gamma(half.expand_as(out).contiguous(), generator=generator)
        return out + noise * (self.variance * half / spread).sqrt()


class Counted(Block):
    """Negative binomial distributions, as `NegativeBinomial`: the output is the logarithm of the mean.

    Running sums of the cells and of their squares tell each column's own variance, in which errors are measured, and
    where its dispersion starts.
    """

    sums: Tensor
    steps: Tensor

    def __init__(self, columns: tuple[Column, ...]) -> None:
        super().__init__(columns)
        self.binomial = NegativeBinomialLoss(self.count)
        self.register_buffer("sums", torch.zeros(3, self.count))
        self.register_buffer("steps", torch.tensor(0.0))

    def nats(self, out: Tensor, x: Tensor) -> Tensor:
        return self.binomial.nats(log_mean(out), x)

    def mean(self, out: Tensor) -> Tensor:
        return self.binomial.mean(out)

    def sample(self, out: Tensor, generator: torch.Generator) -> Tensor:
        return self.binomial.sample(out, generator)

    def moments(self) -> tuple[Tensor, Tensor]:
        """(count,) mean and variance of the cells; 1 where nothing is known yet, or nothing varies."""
        mass, first, second = self.sums
        mean = first / mass.clamp(min=1e-30)
        variance = second / mass.clamp(min=1e-30) - mean.square()
        known = (mass > 1e-30) & (variance > 1e-6 * mean.square())
        return torch.where(known, mean, 1.0), torch.where(known, variance, 1.0)

    def errors(self, rebuilt: Tensor, x: Tensor) -> Tensor:
        """Squared, in standard deviations of the column: the least for the mean, which is what is rebuilt."""
        return (rebuilt - x).square() / self.moments()[1].to(x.dtype)

    def follow(self, out: Tensor, x: Tensor, mass: Tensor) -> None:
        found = torch.stack([mass.sum(0), (x * mass).sum(0), (x.square() * mass).sum(0)])
        first = not bool(self.steps)
        follow(self.sums, self.steps, found)
        if first:  # by moments, variance = mean + mean^2 / r; gradients take long to get there
            mean, variance = self.moments()
            spread = mean.square() / (variance - mean).clamp(min=1e-3 * mean + 1e-6)
            self.binomial.log_inverse_dispersion.copy_(spread.log())


class Binary(Block):
    """Truth values: the output is the logit of 1."""

    def nats(self, out: Tensor, x: Tensor) -> Tensor:
        return F.binary_cross_entropy_with_logits(out, x, reduction="none")

    def mean(self, out: Tensor) -> Tensor:
        return (out >= 0).to(out.dtype)

    def sample(self, out: Tensor, generator: torch.Generator) -> Tensor:
        return torch.bernoulli(torch.sigmoid(out), generator=generator)

    def shares(self, out: Tensor, place: int) -> Tensor:
        logit = out[:, place]
        return torch.sigmoid(torch.stack([-logit, logit], 1))

    def errors(self, rebuilt: Tensor, x: Tensor) -> Tensor:
        return (rebuilt != x).to(x.dtype)
