"""Codes of two levels: the prior of a code is itself a small variational autoencoder."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from isthmus.checks import check_whole
from isthmus.parts.distributions.normal import DiagonalNormal, log_scale_of, precise
from isthmus.parts.flows import fresh_linear, within
from isthmus.parts.priors.fitting import Given, Placed, climb
from isthmus.records import NOWHERE, Context, Site, part


@part
class TwoLevel:
    """A code is drawn around what a smaller code above it says.

        t ~ N(0, I),    z | t ~ N(mean(t), scale(t)^2)
        log p(z) >= E over q(t | z) of log p(z | t) - KL(q(t | z) || N(0, I))

    ``log_prob`` is this bound: with one draw of t in passes that draw, at the mean of t in others. In a variational
    bottleneck that makes a variational autoencoder of two levels; fitted to the codes of a trained one, it is the
    second stage of Dai & Wipf.

    Parameters
    ----------
    top : numbers in the upper code t, >= 1; it may be wider than the code below.
    hidden : units of the one hidden layer each way, >= 1.

    References
    ----------
    Sonderby et al. 2016, Ladder variational autoencoders (codes of several levels); Dai & Wipf 2019, Diagnosing and
    enhancing VAE models.

    Examples
    --------
    >>> prior = TwoLevel(top=2).build(Site(code_size=3))
    >>> prior.log_prob(torch.zeros(5, 3)).shape, prior.sample(4, 3, torch.Generator()).shape
    (torch.Size([5]), torch.Size([4, 3]))
    """

    top: int = 8
    hidden: int = 64

    def __post_init__(self) -> None:
        check_whole("TwoLevel", top=self.top, hidden=self.hidden)

    def build(self, site: Site = NOWHERE) -> UpperCode:
        return UpperCode(self, site)


class UpperCode(Placed):
    """The module behind `TwoLevel`."""

    def __init__(self, levels: TwoLevel, site: Site) -> None:
        super().__init__("TwoLevel", site)
        source, self.top, hidden = site.source, levels.top, levels.hidden
        # Last layers of 0: it begins as N(0, I). A prior that began with views of its own on codes that do not say
        # anything yet would teach the encoder to say nothing.
        self.up = nn.ModuleList(
            (fresh_linear(self.size, hidden, source), fresh_linear(hidden, 2 * self.top, source, gain=0.0))
        )
        self.down = nn.ModuleList(
            (fresh_linear(self.top, hidden, source), fresh_linear(hidden, 2 * self.size, source, gain=0.0))
        )
        self.log_scale = nn.Parameter(torch.zeros(self.size))

    def above(self, x: Tensor) -> DiagonalNormal:
        """q(t | z) of codes (n, size) in their place."""
        first, second = self.up
        mean, raw = precise(second(F.silu(first(x)))).chunk(2, dim=-1)
        return DiagonalNormal(mean, log_scale_of(raw))

    def below(self, t: Tensor) -> DiagonalNormal:
        """p(z | t) of upper codes (n, top)."""
        first, second = self.down
        mean, raw = precise(second(F.silu(first(t)))).chunk(2, dim=-1)
        # What t says of the scale has ends, or a code far out is charged millions of nats.
        return DiagonalNormal(mean, log_scale_of(self.log_scale + within(raw)))

    def density(self, x: Tensor, context: Context | None = None) -> Tensor:
        flat = x.reshape(-1, self.size)
        above, generator = self.above(flat), None if context is None else context.pass_.generator
        t = above.mean if generator is None else above.sample(1, generator)[0]
        return (self.below(t).log_prob(flat) - above.divergence().sum(-1)).reshape(x.shape[:-1])

    def draw(self, n: int, generator: torch.Generator, context: Context | None = None) -> Tensor:
        noise = torch.randn(n, self.top + self.size, generator=generator, device=generator.device).to(self.middle)
        below = self.below(noise[:, : self.top])
        return below.mean + noise[:, self.top :] * below.log_scale.exp()

    def learn(self, x: Tensor, generator: torch.Generator, given: Given | None = None) -> None:
        climb(self, x, generator, times=2)  # it begins on a plateau: t says nothing, and nothing listens to it
