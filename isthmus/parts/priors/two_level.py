"""Codes of two levels: the prior of a code is itself a small variational autoencoder."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from isthmus.parts.distributions import DiagonalNormal, log_scale_of, precise
from isthmus.parts.flows import fresh_linear
from isthmus.parts.priors.fitting import Placed, check_whole, climb
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


def halves(values: Tensor) -> DiagonalNormal:
    """A network's output (n, 2 * size) as a normal distribution: means, then log standard deviations."""
    mean, raw = precise(values).chunk(2, dim=-1)
    return DiagonalNormal(mean, log_scale_of(raw))


class UpperCode(Placed):
    """The module behind `TwoLevel`."""

    def __init__(self, levels: TwoLevel, site: Site) -> None:
        super().__init__("TwoLevel", site)
        source, self.top = site.source, levels.top
        # Nearly N(0, I) at first: a prior that starts with opinions of its own would be paid for by every row.
        self.up = nn.ModuleList(
            (fresh_linear(self.size, levels.hidden, source), fresh_linear(levels.hidden, 2 * self.top, source, 0.1))
        )
        self.down = nn.ModuleList(
            (fresh_linear(self.top, levels.hidden, source), fresh_linear(levels.hidden, 2 * self.size, source, 0.1))
        )

    def above(self, x: Tensor) -> DiagonalNormal:
        """q(t | z) of codes (n, size) in their place."""
        first, second = self.up
        return halves(second(F.silu(first(x))))

    def below(self, t: Tensor) -> DiagonalNormal:
        """p(z | t) of upper codes (n, top)."""
        first, second = self.down
        return halves(second(F.silu(first(t))))

    def density(self, x: Tensor, context: Context | None = None) -> Tensor:
        flat = x.reshape(-1, self.size)
        above, generator = self.above(flat), None if context is None else context.pass_.generator
        t = above.mean if generator is None else above.sample(1, generator)[0]
        return (self.below(t).log_prob(flat) - above.divergence().sum(-1)).reshape(x.shape[:-1])

    def draw(self, n: int, generator: torch.Generator) -> Tensor:
        noise = torch.randn(n, self.top + self.size, generator=generator, device=generator.device).to(self.middle)
        below = self.below(noise[:, : self.top])
        return below.mean + noise[:, self.top :] * below.log_scale.exp()

    def learn(self, x: Tensor, generator: torch.Generator) -> None:
        climb(self, x, generator)
