"""Losses that a few wild cells cannot bend: Student's t, and Huber's with the outliers it explains away."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from isthmus.checks import is_real
from isthmus.errors import InputError
from isthmus.parts.losses.common import FLOOR, cells, counted_cells, follow, known, log_rising, ready, row_sums
from isthmus.parts.losses.scaled import LearnedScale
from isthmus.records import NOWHERE, Site, Trace, part

SWEEPS = 3
"""How often a step applies the fixed point of the scale: a first guess off by a factor f ends within f^(1/8)."""


def check_positive(name: str, **knobs: float | None) -> None:
    for knob, value in knobs.items():
        if value is not None and not (is_real(value) and value > 0):
            raise InputError(f"{name}: {knob} must be > 0, or None for its default; got {value!r}")


@part
class StudentT:
    """Student's t distribution around the output: squared error for small errors, its logarithm for large ones.

        cost = sum (df + 1)/2 log(1 + e^2 / (df s^2)) + log(s sqrt(df pi) Gamma(df/2) / Gamma((df + 1)/2)),  e = x - out

    Parameters
    ----------
    df : degrees of freedom, > 0; None (default) learns one for all cells by gradient, above 1, where a mean exists.
        As df grows, this becomes `Squared`.
    scale : s in scaled units, > 0; None (default) learns it.

    References
    ----------
    Lange, Little & Taylor 1989, "Robust statistical modeling using the t distribution".

    Examples
    --------
    An error of 100 scales costs 16 nats more than one of 1 scale; squared error would ask for 5,000:

    >>> loss = StudentT(df=3.0, scale=1.0).build()
    >>> loss.cost(torch.zeros(2, 1), torch.tensor([[1.0], [100.0]]))
    tensor([ 1.5763, 17.2249])
    """

    df: float | None = None
    scale: float | None = None

    def __post_init__(self) -> None:
        check_positive("StudentT", df=self.df, scale=self.scale)

    def build(self, site: Site = NOWHERE) -> StudentTLoss:
        return StudentTLoss(self.df, self.scale)


@part
class Huber:
    """Squared error plus an outlier per cell, at a price of k per scale, minimised out in closed form: Huber's loss.

        cost = cells log(s Z) + sum min_o (e - o)^2 / (2 s^2) + k |o| / s,   e = x - out
             = cells log(s Z) + sum u^2 / 2 where u <= k, else k u - k^2 / 2,   u = |e| / s
        Z = sqrt(2 pi) erf(k / sqrt 2) + 2/k exp(-k^2 / 2)

    ``outliers`` gives the minimising o: what of an error lies beyond k scales.

    Parameters
    ----------
    threshold : k, > 0; at 1.345 (default) 95 % as precise as squared error where there are no outliers.
    scale : s in scaled units, > 0; None (default) learns it.

    References
    ----------
    Huber 1964, "Robust estimation of a location parameter"; Zhou & Paffenroth 2017, "Anomaly detection with robust
    deep autoencoders".

    Examples
    --------
    >>> loss = Huber(threshold=2.0, scale=1.0).build()
    >>> loss.outliers(torch.zeros(1, 3), torch.tensor([[1.0, 5.0, -9.0]]))
    tensor([[ 0.,  3., -7.]])
    """

    threshold: float = 1.345
    scale: float | None = None

    def __post_init__(self) -> None:
        if self.threshold is None:  # as for GroupedHuber: the default
            object.__setattr__(self, "threshold", Huber.threshold)
        check_positive("Huber", threshold=self.threshold, scale=self.scale)

    def build(self, site: Site = NOWHERE) -> HuberLoss:
        return HuberLoss(self.threshold, self.scale)


class RobustLoss(LearnedScale):
    """A likelihood of e / s whose best scale has no closed form, but is a fixed point: s^2 = mean(w e^2).

    w = psi(u) / u, the weight that the loss leaves an error of u scales; each sweep raises the likelihood.
    """

    def __init__(self, scale: float | None) -> None:
        super().__init__(None if scale is None else float(scale) ** 2)

    def weighted_squares(self, error: Tensor, weight: Tensor | None, variance: Tensor) -> Tensor:
        """(n,) the rows' sums of w e^2, at this variance."""
        raise NotImplementedError

    def after_step(self, trace: Trace, terms: dict[str, Tensor]) -> None:
        """Follow the running mean of the fixed point."""
        weight, x = trace.weight, trace.batch.visible()
        row_weight = 1.0 if trace.batch.row_weight is None else trace.batch.row_weight
        if not self.learned or not (count := counted_cells(trace)):
            return
        outs = trace.out.to(x.dtype) if trace.code.draws else trace.out.to(x.dtype)[None]
        variance = self.variance.to(x.dtype)
        for _ in range(SWEEPS):
            squares = torch.stack([self.weighted_squares(known(x - out, weight), weight, variance) for out in outs])
            variance = ((squares.mean(0) * row_weight).sum() / count).clamp(min=FLOOR)
        follow(self.variance, self.steps, variance)


class StudentTLoss(RobustLoss):
    """The module behind `StudentT`; a learned df is 1 + exp(``log_df``)."""

    def __init__(self, df: float | None, scale: float | None) -> None:
        super().__init__(scale)
        self.fixed_df = df
        if df is None:
            self.log_df = nn.Parameter(torch.tensor(math.log(4.0)))

    @property
    def df(self) -> Tensor:
        if self.fixed_df is None:
            return 1.0 + torch.exp(self.log_df.clamp(-10.0, 15.0))
        return self.variance.new_tensor(self.fixed_df)

    def cost(self, out: Tensor, x: Tensor, weight: Tensor | None = None) -> Tensor:
        """(n,) nats."""
        out, x = ready(out, x, weight)
        variance, df = self.variance.to(x.dtype), self.df.to(x.dtype)
        constant = 0.5 * torch.log(variance * math.pi * df) - log_rising(df / 2, torch.full_like(df, 0.5))
        tails = row_sums(torch.log1p((x - out).square() / (df * variance)), weight)
        return cells(x, weight) * constant + (df + 1) / 2 * tails

    def weighted_squares(self, error: Tensor, weight: Tensor | None, variance: Tensor) -> Tensor:
        df, squares = self.df.to(error.dtype), error.square()
        return row_sums((df + 1) * squares / (df + squares / variance), weight)

    def sample(self, out: Tensor, generator: torch.Generator) -> Tensor:
        noise = torch.empty_like(out).normal_(generator=generator)
        half = (self.df.detach() / 2).to(out.dtype)
        spread = torch._standard_gamma(half.expand_as(out).contiguous(), generator=generator)
        return out + noise * (self.variance * half / spread).sqrt()


class HuberLoss(RobustLoss):
    """The module behind `Huber`."""

    def __init__(self, threshold: float, scale: float | None) -> None:
        super().__init__(scale)
        self.threshold = float(threshold)
        k = self.threshold
        self.centre = math.sqrt(2 * math.pi) * math.erf(k / math.sqrt(2))
        self.tails = 2 / k * math.exp(-k * k / 2)

    def cost(self, out: Tensor, x: Tensor, weight: Tensor | None = None) -> Tensor:
        """(n,) nats."""
        out, x = ready(out, x, weight)
        scale, k = self.variance.to(x.dtype).sqrt(), self.threshold
        away = (x - out).abs() / scale
        # Up to the threshold all of it, beyond that a straight line: one formula, without a jump in its slope.
        near = away.clamp(max=k)
        constant = torch.log(scale) + math.log(self.centre + self.tails)
        return cells(x, weight) * constant + row_sums(near * (away - near / 2), weight)

    def weighted_squares(self, error: Tensor, weight: Tensor | None, variance: Tensor) -> Tensor:
        size = error.abs()
        return row_sums(size * torch.minimum(size, self.threshold * variance.sqrt()), weight)

    def outliers(self, out: Tensor, x: Tensor, weight: Tensor | None = None) -> Tensor:
        """Same shape as x: what of every cell is put down to an outlier; 0 for most, and where a cell is missing."""
        out, x = ready(out, x, weight)
        beyond = ((x - out).abs() - self.threshold * self.variance.to(x.dtype).sqrt()).clamp(min=0.0)
        return known(torch.sign(x - out) * beyond, weight)

    def sample(self, out: Tensor, generator: torch.Generator) -> Tensor:
        k = self.threshold
        drawn = [torch.rand(out.shape, generator=generator, dtype=torch.float64, device=out.device) for _ in range(2)]
        sign, which = 2 * drawn[0] - 1, drawn[1]
        near = math.sqrt(2) * torch.erfinv(sign * math.erf(k / math.sqrt(2)))
        far = k + torch.empty_like(which).exponential_(generator=generator) / k
        inside = which < self.centre / (self.centre + self.tails)
        away = torch.where(inside, near.clamp(-k, k), far * torch.sign(sign))
        return out + away.to(out.dtype) * self.variance.sqrt()
