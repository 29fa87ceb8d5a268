"""Importance weighting: several draws of a code make a tighter bound of the likelihood."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn

from isthmus.checks import check_whole
from isthmus.errors import InputError
from isthmus.parts.bottlenecks.gaussian import Gaussian
from isthmus.records import NOWHERE, Batch, Code, Context, Site, built, part


@part
class ImportanceWeighted:
    """Draw k codes per row, and let the best of them count most.

        cost = -log( 1/k sum over draws of p(x | z) p(z) / q(z | x) )

    Each draw makes the bound of -log p(x) tighter in the mean, at the price of k decodings. Outside of passes that
    draw, the cost is that of the mean, as for one code.

    Parameters
    ----------
    draws : k >= 1.
    doubly : the doubly reparameterised gradient: the encoder's gradient without the part that is noise, which for many
        draws drowns the rest. Not for posterior="flow".
    gaussian : the distribution and the prior.

    References
    ----------
    Burda, Grosse & Salakhutdinov 2016, Importance weighted autoencoders; Tucker et al. 2019, Doubly reparameterized
    gradient estimators for Monte Carlo objectives.

    Examples
    --------
    >>> from isthmus.records import Pass
    >>> drawing = Context((4,), pass_=Pass(torch.Generator()))
    >>> code = ImportanceWeighted(5).build(Site(code_size=2))(torch.zeros(3, 4), drawing)
    >>> code.z.shape, code.cost.shape
    (torch.Size([5, 3, 2]), torch.Size([5, 3]))
    """

    draws: int = 5
    doubly: bool = False
    gaussian: Gaussian = Gaussian()

    def __post_init__(self) -> None:
        check_whole("ImportanceWeighted", draws=self.draws)
        if not isinstance(self.gaussian, Gaussian):
            raise InputError(f"ImportanceWeighted: gaussian must be a Gaussian(...); got {self.gaussian!r}")
        if self.gaussian.free_bits:
            raise InputError("ImportanceWeighted: free_bits have no place in it: leave them out")
        if self.doubly and self.gaussian.posterior == "flow":
            raise InputError("ImportanceWeighted: doubly=True needs posterior='diagonal' or 'full'")

    def build(self, site: Site = NOWHERE) -> WeightedDraws:
        return WeightedDraws(self, site)


class WeightedDraws(nn.Module):
    """The module behind `ImportanceWeighted`."""

    def __init__(self, weighted: ImportanceWeighted, site: Site) -> None:
        super().__init__()
        self.weighted, self.inner = weighted, built(weighted.gaussian, site)
        if weighted.doubly:
            self.estimates_gradient = "the encoder's gradient leaves out a term that is 0 in the mean"

    @property
    def prior(self) -> Any:
        return self.inner.prior

    def width(self, code_size: int) -> int:
        return self.inner.width(code_size)

    def posterior(self, hidden: Tensor) -> Any:
        """q(z | x) of an encoder's output (n, width)."""
        return self.inner.posterior(hidden)

    def forward(self, hidden: Tensor, context: Context) -> Code:
        if context.pass_.generator is None:
            return self.inner(hidden, context)
        posterior = self.posterior(hidden)
        z = posterior.sample(self.weighted.draws, context.pass_.generator)
        density = posterior.detached() if self.weighted.doubly else posterior
        cost = density.log_prob(z) - self.inner.prior.log_prob(z, context)
        return Code(z=z, point=posterior.mean, cost=cost, draws=self.weighted.draws, posterior=posterior)

    def combine(self, losses: Tensor, paid: Tensor, code: Code) -> Tensor:
        """(n,): minus the logarithm of the mean weight."""
        if not code.draws:
            return losses + paid
        log_weights = -(losses + paid)
        bound = torch.logsumexp(log_weights, 0) - math.log(code.draws)
        if self.weighted.doubly and code.z.requires_grad:
            # The gradient that reaches z is weighted by each draw's share once; squared is what takes the noise out.
            share = self.shares(losses, paid)[..., None]
            code.z.register_hook(lambda gradient: gradient * share)
        return -bound

    def shares(self, losses: Tensor, paid: Tensor) -> Tensor:
        """(draws, n): how much each draw counts for its row."""
        return torch.softmax(-(losses + paid).detach(), 0)

    def start(self, hidden: Tensor, batch: Batch) -> None:
        self.inner.start(hidden, batch)

    def joined(self, composition: nn.Module) -> None:
        self.inner.joined(composition)
