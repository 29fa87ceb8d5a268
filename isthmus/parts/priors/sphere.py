"""The uniform prior on the unit sphere."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from isthmus.errors import InputError
from isthmus.parts.distributions.spherical import PowerSpherical, log_area, on_sphere
from isthmus.records import Context, part


@part
class UniformSphere:
    """Codes of length 1, every direction alike: what `Spherical` codes are held to.

    Densities are with respect to the sphere's area, so they compare with those of `PowerSpherical`, and not with those
    of priors that fill all of space.

    Examples
    --------
    >>> prior = UniformSphere()
    >>> prior.sample(2, 3, torch.Generator()).norm(dim=1).round(decimals=4)
    tensor([1., 1.])
    >>> 1 / prior.log_prob(torch.tensor([[1.0, 0.0]])).exp()  # the circle's length
    tensor([6.2832])
    """

    def log_prob(self, z: Tensor, context: Context | None = None) -> Tensor:
        """(..., size) -> (...,) nats, the same for every z of length 1."""
        return z.new_full(z.shape[:-1], -log_area(z.shape[-1]))

    def divergence(self, posterior: Any) -> Tensor:
        """(n, 1) nats, in closed form."""
        if not isinstance(posterior, PowerSpherical):
            raise InputError(
                f"prior: UniformSphere() is for codes on the sphere, not for {type(posterior).__name__}; "
                "use bottleneck=Spherical(), or prior=Normal()"
            )
        return posterior.divergence()

    def sample(self, n: int, code_size: int, generator: torch.Generator) -> Tensor:
        return on_sphere(torch.randn(n, code_size, generator=generator, device=generator.device))
