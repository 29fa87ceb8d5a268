"""The unit sphere: its area, and a distribution on it that can be drawn from and whose entropy is known."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.nn import functional as F

SHIFT = 8
"""Steps of Gamma(x + 1) = x Gamma(x) before Stirling's series, which errs by less than 4e-12 from 8.5 on."""

SHORT = 1e-3
"""Vectors shorter than this have no direction of their own: they are taken for the first axis."""


def log_area(size: int) -> float:
    """Logarithm of the area of the unit sphere in R^size: log 2 pi for the circle, log 4 pi for the ball's surface.

    >>> round(math.exp(log_area(3)) / math.pi, 6)
    4.0
    """
    return math.log(2) + size / 2 * math.log(math.pi) - math.lgamma(size / 2)


def on_sphere(raw: Tensor) -> Tensor:
    """(..., size) -> the same directions at length 1.

    >>> on_sphere(torch.tensor([[3.0, 4.0], [0.0, 0.0]]))
    tensor([[0.6000, 0.8000],
            [1.0000, 0.0000]])
    """
    length = raw.square().sum(-1, keepdim=True).clamp(min=SHORT**2).sqrt()
    first = F.one_hot(torch.zeros((), dtype=torch.long, device=raw.device), raw.shape[-1]).to(raw.dtype)
    # The gradient of a direction is 1 / length: an input of zeros alone would give an infinite one.
    return torch.where(length > SHORT, raw / length, first)


def log_gamma_growth(a: Tensor, b: float) -> tuple[Tensor, Tensor]:
    """log Gamma(a + b) - log Gamma(a), and its derivative in a, for a >= 1/2 and b >= 1/2.

    Both logarithms are near a log a where a is large, and their difference in float32 would be noise of 0.01 nats at
    a = 10^4; so it is formed term by term. No special functions, which ONNX does not have.

    >>> log_gamma_growth(torch.tensor([2.0, 5.0]), 1.0)[0].exp()  # b = 1: a itself
    tensor([2.0000, 5.0000])
    """
    growth, slope = torch.zeros_like(a), torch.zeros_like(a)
    for step in range(SHIFT):
        growth = growth - torch.log1p(b / (a + step))
        slope = slope + b / ((a + step) * (a + step + b))
    low = a + SHIFT
    high = low + b
    # Stirling: log Gamma(x) = (x - 1/2) log x - x + 1/(12 x) - 1/(360 x^3) + 1/(1260 x^5) - 1/(1680 x^7)
    growth = growth + (low - 0.5) * torch.log1p(b / low) + b * high.log() - b
    slope = slope + torch.log1p(b / low) + b / (2 * low * high)
    for sign, x in ((1.0, high), (-1.0, low)):
        square = 1 / x.square()
        growth = growth + sign / x * (1 / 12 - square * (1 / 360 - square * (1 / 1260 - square / 1680)))
        slope = slope - sign * square * (1 / 12 - square * (1 / 120 - square * (1 / 252 - square / 240)))
    return growth, slope


@dataclass(frozen=True)
class PowerSpherical:
    """Directions around ``mean`` (n, size), of length 1, the closer the larger ``concentration`` (n,) >= 0 is.

        density(z) = C (1 + mean . z)^concentration,   with respect to the sphere's area; uniform at 0

    The cosine mean . z is 2 B - 1 with B ~ Beta((size - 1) / 2 + concentration, (size - 1) / 2), so that draws need no
    rejection, unlike the von Mises-Fisher distribution it stands for. ``mean`` is the direction that draws are around;
    their average points there, but is shorter.

    References
    ----------
    De Cao & Aziz 2020, The power spherical distribution.

    Examples
    --------
    >>> flat = PowerSpherical(torch.tensor([[1.0, 0.0]]), torch.zeros(1))
    >>> flat.divergence().abs().max() < 1e-6, flat.sample(4, torch.Generator()).shape
    (tensor(True), torch.Size([4, 1, 2]))
    """

    mean: Tensor
    concentration: Tensor

    @property
    def size(self) -> int:
        return self.mean.shape[-1]

    @property
    def half(self) -> float:
        """beta, the second parameter of the cosine's Beta distribution."""
        return (self.size - 1) / 2

    def sample(self, draws: int, generator: torch.Generator | None) -> Tensor:
        """Differentiable: in the concentration by the implicit gradient of Gamma draws."""
        alpha = (self.half + self.concentration).expand(draws, -1)
        # B = X / (X + Y) of two Gamma draws; 1 - cosine^2 = 4 B (1 - B) without the rounding near cosine = 1.
        x, y = (torch._standard_gamma(k, generator=generator) for k in (alpha, torch.full_like(alpha, self.half)))
        cosine, sine = (x - y) / (x + y), 2 * x.sqrt() * y.sqrt() / (x + y)
        around = torch.randn((*alpha.shape, self.size - 1), generator=generator, device=x.device, dtype=x.dtype)
        upright = torch.cat((cosine[..., None], sine[..., None] * F.normalize(around, dim=-1)), -1)
        return reflected(upright, self.mean)

    def log_prob(self, z: Tensor) -> Tensor:
        # (1 + mean . z) / 2 = |mean + z|^2 / 4 for unit vectors, which keeps its digits where z is opposite.
        near = ((self.mean + z).square().sum(-1) / 4).clamp(min=torch.finfo(z.dtype).tiny)
        return self.peak()[0] + self.concentration * near.log()

    def peak(self) -> tuple[Tensor, Tensor]:
        """(n,) the log density at ``mean``, and E log((1 + cosine) / 2)."""
        growth, slope = log_gamma_growth(self.half + self.concentration, self.half)
        return growth - (self.size - 1) * math.log(2) - self.half * math.log(math.pi), -slope

    def entropy(self) -> Tensor:
        peak, drop = self.peak()
        return -peak - self.concentration * drop

    def divergence(self) -> Tensor:
        """(n, 1): the divergence from the uniform distribution on the sphere, nats; it does not fall apart into
        units'."""
        return (log_area(self.size) - self.entropy())[:, None]

    def detached(self) -> PowerSpherical:
        return replace(self, mean=self.mean.detach(), concentration=self.concentration.detach())


def reflected(upright: Tensor, mean: Tensor) -> Tensor:
    """(..., size): what lies around the first axis as it lies around ``mean``: a Householder reflection.

    The reflection takes the first axis e to -s mean, s the sign of mean's first unit, as the normal mean + s e is
    never short; the other reflection's, mean - e, is where mean is e itself.
    """
    sign = torch.where(mean[..., :1] < 0, -1.0, 1.0).to(mean.dtype)
    normal = torch.cat((mean[..., :1] + sign, mean[..., 1:]), -1)
    scale = 2 * (upright * normal).sum(-1, keepdim=True) / normal.square().sum(-1, keepdim=True)
    return -sign * (upright - scale * normal)
