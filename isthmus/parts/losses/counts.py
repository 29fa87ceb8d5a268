"""Losses of counts: whole numbers >= 0, as they are found in clicks, words and gene expression.

The decoder gives the logarithm of a mean, and the encoder is shown log(1 + x): counts are never scaled.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from isthmus.errors import InputError
from isthmus.parts.losses.common import log_rising, numbers_axis, ready, row_sums
from isthmus.records import NOWHERE, Context, Layout, Site, part

LARGEST_LOG_MEAN = 30.0
"""Beyond a mean of e^30 = 1e13 means grow linearly with the decoder's output: see `log_mean`."""


def log_mean(out: Tensor) -> Tensor:
    """The log of the mean that an output stands for: the output itself, up to `LARGEST_LOG_MEAN`.

    Above that limit L it is L + log(1 + out - L), so that the mean is exp(L) (1 + out - L). Value and slope have no
    jump there, the cost stays an exact likelihood, and a wild output is still led back, which a cut would not do;
    exp(out) itself is infinite in float32 from 88.7 on, and its square, which optimisers take, from 44.4 on.
    """
    beyond = torch.log1p((out - LARGEST_LOG_MEAN).clamp(min=0.0))
    return out.clamp(max=LARGEST_LOG_MEAN) + beyond


class Counts:
    """What all losses of counts share."""

    support = "count"

    def width(self, features: int) -> int:
        return features

    def view(self, x: Tensor) -> Tensor:
        """log(1 + x): counts of any size reach the encoder as numbers of ordinary size (noise may be below 0)."""
        return torch.log1p(x.clamp(min=0.0))


@part
class Poisson(Counts):
    """Poisson distribution of counts; the decoder's output m is the log of the mean.

        cost = sum exp(m) - x m + log x!

    Its variance equals its mean. In float32 a cost is right to about 1e-7 x log(x) nats per cell.

    Examples
    --------
    >>> Poisson().cost(torch.zeros(1, 2), torch.tensor([[0.0, 1.0]]))
    tensor([2.])
    """

    def cost(self, out: Tensor, x: Tensor, weight: Tensor | None = None) -> Tensor:
        """(n,) nats."""
        out, x = ready(out, x, weight)
        log = log_mean(out)
        return row_sums(torch.exp(log) - x * log + torch.lgamma(x + 1), weight)

    def mean(self, out: Tensor, context: Context | None = None) -> Tensor:
        return torch.exp(log_mean(out))

    def sample(self, out: Tensor, generator: torch.Generator) -> Tensor:
        return torch.poisson(self.mean(out), generator=generator)


def features_of(name: str, features: int | None, layout: Layout | None) -> int:
    """How many features a dispersion is learned for."""
    found = layout.features if layout is not None else features
    if found is None:
        raise InputError(f"{name}: features must say how many columns there are, where there is no data to tell")
    if features not in (None, found):
        raise InputError(f"{name}: features must be the {found} of the data, or None; got {features!r}")
    return found


@part
class NegativeBinomial(Counts):
    """Negative binomial distribution of counts: variance mean + mean^2 / r; the output m is the log of the mean.

        cost = sum r log(1 + exp(m) / r) + x log(1 + r exp(-m)) - log(Gamma(x + r) / (Gamma(r) x!))

    Parameters
    ----------
    features : how many columns there are, for which an r each is learned; None (default) = as many as the data has.

    Notes
    -----
    r, the inverse dispersion, starts at 1 and stays within e^-15 and e^30; as r grows, this becomes `Poisson`.

    References
    ----------
    Eraslan et al. 2019, "Single-cell RNA-seq denoising using a deep count autoencoder".

    Examples
    --------
    >>> loss = NegativeBinomial(features=2).build()
    >>> loss.cost(torch.zeros(1, 2), torch.zeros(1, 2)) / torch.log(torch.tensor(2.0))
    tensor([2.], grad_fn=<DivBackward0>)
    """

    features: int | None = None

    def build(self, site: Site = NOWHERE) -> NegativeBinomialLoss:
        return NegativeBinomialLoss(features_of("NegativeBinomial", self.features, site.layout))


@part
class ZeroInflatedNegativeBinomial(Counts):
    """Negative binomial distribution of counts that also drop out: a cell is 0 with probability p, else as above.

        cost = sum -log(p [x = 0] + (1 - p) NB(x; exp(m), r))

    The decoder emits (n, 2, *shape): m, the log of the mean of what has not dropped out, and the logit of p.

    Parameters
    ----------
    features : as for `NegativeBinomial`.

    References
    ----------
    Eraslan et al. 2019, "Single-cell RNA-seq denoising using a deep count autoencoder"; Lopez et al. 2018, "Deep
    generative modeling for single-cell transcriptomics".

    Examples
    --------
    >>> loss = ZeroInflatedNegativeBinomial(features=2).build()
    >>> loss.mean(torch.zeros(1, 2, 2))
    tensor([[0.5000, 0.5000]])
    """

    features: int | None = None

    def build(self, site: Site = NOWHERE) -> ZeroInflatedLoss:
        return ZeroInflatedLoss(features_of("ZeroInflatedNegativeBinomial", self.features, site.layout))


class NegativeBinomialLoss(Counts, nn.Module):
    """The module behind `NegativeBinomial`; ``log_inverse_dispersion`` (features,) is log r."""

    def __init__(self, features: int) -> None:
        super().__init__()
        self.log_inverse_dispersion = nn.Parameter(torch.zeros(features))

    def log_r(self, shape: torch.Size) -> Tensor:
        """log r in the shape of a row, within bounds where float32 can follow."""
        return self.log_inverse_dispersion.clamp(-15.0, 30.0).reshape(shape)

    def nats(self, log: Tensor, x: Tensor) -> Tensor:
        """Minus the log-likelihood of every cell. log sigmoid keeps exp(log) out of it: no overflow, no cancelling."""
        log_r = self.log_r(x.shape[1:]).to(x.dtype)
        r = torch.exp(log_r)
        none = -r * F.logsigmoid(log_r - log)  # r log(1 + mean/r)
        return none - x * F.logsigmoid(log - log_r) - log_rising(r, x) + torch.lgamma(x + 1)

    def cost(self, out: Tensor, x: Tensor, weight: Tensor | None = None) -> Tensor:
        """(n,) nats."""
        out, x = ready(out, x, weight)
        return row_sums(self.nats(log_mean(out), x), weight)

    def mean(self, out: Tensor, context: Context | None = None) -> Tensor:
        return torch.exp(log_mean(out))

    def sample(self, out: Tensor, generator: torch.Generator) -> Tensor:
        return self.drawn(log_mean(out.detach()), generator)

    def drawn(self, log: Tensor, generator: torch.Generator) -> Tensor:
        """A Poisson draw whose mean is itself a draw of Gamma's distribution."""
        log_r = self.log_r(log.shape[1:]).detach().to(log.dtype).expand_as(log)
        spread = torch._standard_gamma(torch.exp(log_r).contiguous(), generator=generator)
        return torch.poisson(spread * torch.exp(log - log_r), generator=generator)


class ZeroInflatedLoss(NegativeBinomialLoss):
    """The module behind `ZeroInflatedNegativeBinomial`."""

    def width(self, features: int) -> int:
        return 2 * features

    def cost(self, out: Tensor, x: Tensor, weight: Tensor | None = None) -> Tensor:
        """(n,) nats."""
        out, x = ready(out, x, weight, numbers=2)
        log, logit = out.unbind(1)
        stays = self.nats(log_mean(log), x) - F.logsigmoid(-logit)
        either = -torch.logaddexp(F.logsigmoid(logit), -stays)
        return row_sums(torch.where(x == 0, either, stays), weight)

    def mean(self, out: Tensor, context: Context | None = None) -> Tensor:
        log, logit = out.unbind(numbers_axis(out, context))
        return torch.exp(log_mean(log)) * torch.sigmoid(-logit)

    def sample(self, out: Tensor, generator: torch.Generator) -> Tensor:
        log, logit = out.detach().unbind(1)
        stays = torch.bernoulli(torch.sigmoid(-logit), generator=generator)
        return stays * self.drawn(log_mean(log), generator)


@part
class Multinomial(Counts):
    """How a row's total is shared out among its cells; the decoder's outputs are the logits of the shares.

        cost = -log total! + sum log x! - x log softmax(out)

    The total itself is not modelled: a reconstruction hands it out again. A missing cell leaves the softmax: the
    cost is that of the visible cells given their own total. With weights, each of the counted events of a cell
    carries the cell's weight, so that doubling all weights doubles the cost.

    References
    ----------
    Liang et al. 2018, "Variational autoencoders for collaborative filtering".

    Examples
    --------
    >>> Multinomial().cost(torch.zeros(1, 4), torch.tensor([[0.0, 1.0, 0.0, 0.0]])).exp()
    tensor([4.])
    """

    def cost(self, out: Tensor, x: Tensor, weight: Tensor | None = None) -> Tensor:
        """(n,) nats."""
        out, x = ready(out, x, weight)
        if weight is not None:  # not minus infinity, of which a row of nothing but missing cells would make NaN
            out = torch.where(weight > 0, out, torch.full_like(out, -1e30))
        share = F.log_softmax(out.flatten(1), dim=1).reshape(x.shape)
        total = self.total(x)
        events = 1.0 if weight is None else row_sums(x, weight) / total.clamp(min=1.0)
        return row_sums(torch.lgamma(x + 1) - x * share, weight) - events * torch.lgamma(total + 1)

    def total(self, x: Tensor) -> Tensor:
        """(n,) the rows' sums."""
        return x.flatten(1).sum(1)

    def mean(self, out: Tensor, context: Context | None = None) -> Tensor:
        """The shares times the rows' totals; 1 where ``context`` has none."""
        share = torch.softmax(out.flatten(numbers_axis(out, context) + (context is not None)), dim=-1)
        if context is not None and context.total is not None:
            share = share * context.total[:, None]
        return share.reshape(out.shape)

    def sample(self, out: Tensor, generator: torch.Generator, context: Context | None = None) -> Tensor:
        """Rows of the totals in ``context``, else of one event each."""
        share = torch.softmax(out.detach().flatten(1), dim=1)
        total = share.new_ones(len(out)) if context is None or context.total is None else context.total
        most = max(int(total.max()), 1)
        events = torch.multinomial(share, most, replacement=True, generator=generator)
        counted = (torch.arange(most, device=out.device) < total[:, None]).to(out.dtype)
        return torch.zeros_like(share).scatter_add_(1, events, counted).reshape(out.shape)
