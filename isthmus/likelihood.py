"""How probable rows are under a composition with a prior, and what their codes cost and lose."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from isthmus.composition import Composition, over_draws, repeated
from isthmus.errors import InputError
from isthmus.records import Batch, Pass

CELLS_AT_ONCE = 2**22
"""Cells decoded together: the draws of many rows would fill the memory."""


@dataclass(frozen=True)
class Likelihood:
    """Estimates of log p(x), in nats and in the data's own units.

    Attributes
    ----------
    rows : (n,) float64, an estimate for every row; too low rather than too high, the less the more draws.
    spread : (n,) the standard error of each, from its draws; of little use where it is not well below 1.
    draws : how many per row.
    """

    rows: np.ndarray
    spread: np.ndarray
    draws: int

    @property
    def mean(self) -> float:
        return float(self.rows.mean())

    @property
    def standard_error(self) -> float:
        """Of the mean, were the rows drawn anew: their spread and that of the draws together."""
        return float(self.rows.std(ddof=1) / math.sqrt(len(self.rows))) if len(self.rows) > 1 else float("nan")

    def __repr__(self) -> str:
        return f"Likelihood({self.mean:.2f} +- {self.standard_error:.2f} nats per row, {self.draws} draws)"


@dataclass(frozen=True)
class RateDistortion:
    """What every row's code costs, ``rate`` (n,), and what is lost in rebuilding, ``distortion`` (n,): nats."""

    rate: np.ndarray
    distortion: np.ndarray

    def __repr__(self) -> str:
        return f"RateDistortion(rate {self.rate.mean():.2f}, distortion {self.distortion.mean():.2f} nats per row)"


def check_random(composition: Composition, prior: Any) -> None:
    """Refuse, in words, compositions that give no row a probability."""
    if prior is None or not hasattr(composition.bottleneck, "prior"):
        raise InputError(
            "log_likelihood: this kind draws no codes, so that no row has a probability under it; fit a variational "
            "kind, such as 'vae' or 'iwae'. score_samples ranks rows for every kind"
        )


@torch.no_grad()
def log_likelihood(
    composition: Composition, batch: Batch, draws: int, generator: torch.Generator, prior: Any
) -> tuple[Tensor, Tensor]:
    """(n,) estimates of log p(x), and (n,) their standard errors, by importance sampling:

        log 1/k sum over k draws z of q(z | x) of  p(x | z) p(z) / q(z | x)

    References
    ----------
    Burda, Grosse & Salakhutdinov 2016, Importance weighted autoencoders.
    """
    x, n = batch.visible(), len(batch)
    context = composition.context(batch, Pass(generator))
    code = composition.encode(batch, context)[1]
    posterior = code.posterior
    if not code.smooth:  # a density fitted to symbols, or to points of relaxed codes, is none of these codes
        prior = composition.prior
    some = max(1, CELLS_AT_ONCE // max(1, n * batch.layout.features))
    first = second = x.new_full((n,), -math.inf, dtype=torch.float64)
    for start in range(0, draws, some):
        count = min(some, draws - start)
        z = posterior.sample(count, generator)
        out = composition.decoder(z.flatten(0, 1), repeated(context, count))
        losses = composition.loss.cost(out, x.repeat(count, *[1] * (x.ndim - 1)), tiled(batch.weight, count))
        weights = (prior.log_prob(z, context) - posterior.log_prob(z) - losses.reshape(count, n)).double()
        first = torch.logaddexp(first, weights.logsumexp(0))
        second = torch.logaddexp(second, (2 * weights).logsumexp(0))
    # Of weights w, whose mean m is the estimate: var(m) / m^2 = (k sum w^2 / (sum w)^2 - 1) / (k - 1).
    spread = (math.log(draws) + second - 2 * first).expm1().clamp(min=0) / max(1, draws - 1)
    return first - math.log(draws), spread.sqrt() if draws > 1 else torch.full_like(spread, math.nan)


def tiled(weight: Tensor | None, count: int) -> Tensor | None:
    return None if weight is None else weight.repeat(count, *[1] * (weight.ndim - 1))


@torch.no_grad()
def rate_and_distortion(composition: Composition, batch: Batch, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """(n,) what the codes cost, at a rate of 1, and (n,) the reconstruction loss, of one pass that draws."""
    trace = composition.trace(batch, Pass(generator))
    losses, cost = composition.losses(trace), trace.code.cost
    if trace.code.draws:
        losses, cost = composition.over_draws(losses, trace), None if cost is None else over_draws(cost, trace.code)
    return (torch.zeros_like(losses) if cost is None else cost), losses
