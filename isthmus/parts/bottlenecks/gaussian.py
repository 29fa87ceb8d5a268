"""The variational bottleneck: a row's code is a normal distribution, which pays for what it says."""

from __future__ import annotations

import math
from typing import Any

from torch import Tensor, nn

from isthmus.checks import is_real
from isthmus.errors import InputError
from isthmus.parts.distributions.normal import DiagonalNormal, FullNormal, log_scale_of, precise, triangle_of
from isthmus.parts.flows import Couplings, FlowNormal
from isthmus.parts.priors.normal import Normal
from isthmus.records import NOWHERE, Batch, Code, Context, Site, built, part

POSTERIORS = ("diagonal", "full", "flow")

LAYERS = 4
"""Invertible layers of the posterior "flow"."""


@part
class Gaussian:
    """Draw the code from a normal distribution around the encoder's output, and pay its divergence from the prior.

        z ~ q(z | x),    cost = KL(q(z | x) || p(z)) nats

    In closed form for the standard normal prior and a posterior without a flow; else the entropy of q is exact (but
    for the flow's volume), and -log p(z) is that of the draw. Outside of passes that draw, z is the mean.

    Parameters
    ----------
    posterior : ``"diagonal"`` (independent units), ``"full"`` (units vary together: size * (size + 1) / 2 numbers more
        from the encoder, so for codes of some dozens at most), ``"flow"`` (a diagonal one bent by invertible layers
        that read the row).
    prior : what codes are held to: `Normal()`, or one that learns: `Mixture()`, `Vamp()`, `Flow()`, `TwoLevel()`.
    free_bits : nats per unit, >= 0, that cost nothing to save below: a unit whose divergence is smaller is charged
        this much anyway, so that it may as well say something. Needs the closed form and a diagonal posterior.

    References
    ----------
    Kingma & Welling 2014, Auto-encoding variational Bayes; Rezende & Mohamed 2015, Variational inference with
    normalizing flows; Kingma et al. 2016, Improved variational inference with inverse autoregressive flow (free bits).

    Examples
    --------
    >>> import torch
    >>> code = Gaussian().build(Site(code_size=2))(torch.zeros(1, 4), Context(shape=(4,)))
    >>> code.z.tolist(), code.cost.tolist()
    ([[0.0, 0.0]], [0.0])
    """

    posterior: str = "diagonal"
    prior: Any = Normal()
    free_bits: float = 0.0

    def __post_init__(self) -> None:
        if self.posterior not in POSTERIORS:
            raise InputError(f"Gaussian: posterior must be one of {', '.join(POSTERIORS)}; got {self.posterior!r}")
        if isinstance(self.prior, type) or not (hasattr(self.prior, "log_prob") or hasattr(self.prior, "build")):
            raise InputError(f"Gaussian: prior must be one such as Normal() or Mixture(10); got {self.prior!r}")
        if not (is_real(self.free_bits) and 0 <= self.free_bits < math.inf):
            raise InputError(f"Gaussian: free_bits must be >= 0 and finite; got {self.free_bits!r}")
        if self.free_bits and (self.posterior != "diagonal" or self.prior != Normal()):
            raise InputError("Gaussian: free_bits are counted by unit: use posterior='diagonal' and prior=Normal()")

    def build(self, site: Site = NOWHERE) -> GaussianCode:
        return GaussianCode(self, site)


class GaussianCode(nn.Module):
    """The module behind `Gaussian`."""

    def __init__(self, gaussian: Gaussian, site: Site) -> None:
        super().__init__()
        self.gaussian, self.prior = gaussian, built(gaussian.prior, site)
        if gaussian.posterior == "flow":
            self.flow = Couplings(site.code_size, LAYERS, beside=site.code_size, generator=site.source)

    def width(self, code_size: int) -> int:
        """Numbers the encoder must emit: means, log standard deviations, and what the posterior needs beside them."""
        more = {"diagonal": 0, "full": code_size * (code_size - 1) // 2, "flow": code_size}
        return 2 * code_size + more[self.gaussian.posterior]

    def posterior(self, hidden: Tensor) -> Any:
        """q(z | x) of an encoder's output (n, width)."""
        flat = precise(hidden)
        if self.gaussian.posterior == "diagonal":
            mean, raw = flat.chunk(2, dim=1)
            return DiagonalNormal(mean, log_scale_of(raw))
        if self.gaussian.posterior == "flow":
            mean, raw, beside = flat.chunk(3, dim=1)
            return FlowNormal(DiagonalNormal(mean, log_scale_of(raw)), self.flow, beside)
        # width = size (size + 3) / 2
        size = (math.isqrt(9 + 8 * flat.shape[1]) - 3) // 2
        mean, raw, below = flat[:, :size], flat[:, size : 2 * size], flat[:, 2 * size :]
        return FullNormal(mean, triangle_of(log_scale_of(raw), below))

    def forward(self, hidden: Tensor, context: Context) -> Code:
        posterior, pass_ = self.posterior(hidden), context.pass_
        z = posterior.mean if pass_.generator is None else posterior.sample(1, pass_.generator)[0]
        return Code(z=z, point=posterior.mean, cost=self.divergence(posterior, z, context), posterior=posterior)

    def divergence(self, posterior: Any, z: Tensor, context: Context) -> Tensor:
        """(n,) KL(q || p) in closed form, or with -log p of the draw."""
        units = self.prior.divergence(posterior) if hasattr(self.prior, "divergence") else None
        if units is None:
            volume = posterior.log_volume(z) if hasattr(posterior, "log_volume") else 0.0
            return -posterior.entropy() - volume - self.prior.log_prob(z, context)
        return (units.clamp(min=free) if (free := self.gaussian.free_bits) else units).sum(1)

    def start(self, hidden: Tensor, batch: Batch) -> None:
        if hasattr(self.prior, "start"):
            self.prior.start(self.posterior(hidden).mean, batch)

    def joined(self, composition: nn.Module) -> None:
        if hasattr(self.prior, "joined"):
            self.prior.joined(composition)
