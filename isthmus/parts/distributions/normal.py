"""Normal distributions of one row's code: with independent units, and with units that vary together."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import torch
from torch import Tensor

HALF_LOG_TWO_PI = 0.5 * math.log(2 * math.pi)

NARROWEST, WIDEST = -9.0, 6.0
"""Ends of the logarithm of a standard deviation: beyond them float32 squares are useless, or draws explode."""


def log_scale_of(raw: Tensor) -> Tensor:
    """A network's output as the logarithm of a standard deviation, within its ends."""
    return raw.clamp(NARROWEST, WIDEST)


def precise(hidden: Tensor) -> Tensor:
    """(n, ...) -> (n, width), of float32 at least: on a GPU it may come in bfloat16, too coarse for logarithms."""
    return hidden.flatten(1).to(torch.promote_types(hidden.dtype, torch.float32))


def triangle_of(log_diagonal: Tensor, below: Tensor) -> Tensor:
    """Lower triangular matrices (n, size, size): from the logarithms of their diagonals (n, size), and what lies below,
    row by row, (n, size * (size - 1) / 2)."""
    triangle = torch.diag_embed(log_diagonal.exp())
    size = triangle.shape[-1]
    rows, columns = torch.tril_indices(size, size, -1, device=below.device)
    matrices = torch.arange(len(below), device=below.device)[:, None]
    return triangle.index_put((matrices, rows, columns), below)


def standard_log_prob(noise: Tensor) -> Tensor:
    """(..., size) -> (...,): log density of N(0, I)."""
    return (-0.5 * noise.square() - HALF_LOG_TWO_PI).sum(-1)


def noise_like(mean: Tensor, draws: int, generator: torch.Generator | None) -> Tensor:
    """(draws, *mean.shape) from N(0, 1)."""
    return torch.randn((draws, *mean.shape), generator=generator, device=mean.device, dtype=mean.dtype)


@dataclass(frozen=True)
class DiagonalNormal:
    """A normal distribution with independent units: ``mean`` and ``log_scale``, the log standard deviation, (n, size).

    Examples
    --------
    >>> standard = DiagonalNormal(torch.zeros(3, 2), torch.zeros(3, 2))
    >>> standard.divergence().tolist(), standard.sample(5, torch.Generator()).shape
    ([[0.0, 0.0], [0.0, 0.0], [0.0, 0.0]], torch.Size([5, 3, 2]))
    """

    mean: Tensor
    log_scale: Tensor

    def sample(self, draws: int, generator: torch.Generator | None) -> Tensor:
        return torch.addcmul(self.mean, noise_like(self.mean, draws, generator), self.log_scale.exp())

    def log_prob(self, z: Tensor) -> Tensor:
        return standard_log_prob((z - self.mean) * (-self.log_scale).exp()) - self.log_scale.sum(-1)

    def entropy(self) -> Tensor:
        return (self.log_scale + 0.5 + HALF_LOG_TWO_PI).sum(-1)

    def divergence(self) -> Tensor:
        """(n, size): the divergence from N(0, 1) of every unit, nats."""
        return 0.5 * (self.mean.square() + (2 * self.log_scale).exp() - 1) - self.log_scale

    def detached(self) -> DiagonalNormal:
        return replace(self, mean=self.mean.detach(), log_scale=self.log_scale.detach())


@dataclass(frozen=True)
class FullNormal:
    """A normal distribution whose units vary together: ``mean`` (n, size), and ``triangle`` (n, size, size), the lower
    triangular L with covariance L L^T, positive on its diagonal."""

    mean: Tensor
    triangle: Tensor

    @property
    def log_diagonal(self) -> Tensor:
        return self.triangle.diagonal(dim1=-2, dim2=-1).log()

    def sample(self, draws: int, generator: torch.Generator | None) -> Tensor:
        # Draws stand beside each other as columns, or every draw would copy all the triangles.
        noise = noise_like(self.mean, draws, generator).movedim(0, -1)
        return self.mean + (self.triangle @ noise).movedim(-1, 0)

    def log_prob(self, z: Tensor) -> Tensor:
        away = z - self.mean
        columns = away.reshape(-1, *self.mean.shape).movedim(0, -1)
        noise = torch.linalg.solve_triangular(self.triangle, columns, upper=False).movedim(-1, 0)
        return standard_log_prob(noise.reshape(away.shape)) - self.log_diagonal.sum(-1)

    def entropy(self) -> Tensor:
        return (self.log_diagonal + 0.5 + HALF_LOG_TWO_PI).sum(-1)

    def divergence(self) -> Tensor:
        """(n, 1): the divergence from N(0, I) of the whole code, nats; it does not fall apart into units'."""
        squares = self.mean.square().sum(-1) + self.triangle.square().sum((-2, -1))
        return (0.5 * (squares - self.mean.shape[-1]) - self.log_diagonal.sum(-1))[:, None]

    def detached(self) -> FullNormal:
        return replace(self, mean=self.mean.detach(), triangle=self.triangle.detach())
