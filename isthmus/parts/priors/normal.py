"""The standard normal prior."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from isthmus.parts.distributions.normal import standard_log_prob
from isthmus.records import Context, part


@part
class Normal:
    """Every unit of a code is drawn from N(0, 1), independently: what a variational code is held to by default.

    Examples
    --------
    >>> prior = Normal()
    >>> prior.sample(2, 3, torch.Generator()).shape
    torch.Size([2, 3])
    """

    def log_prob(self, z: Tensor, context: Context | None = None) -> Tensor:
        """(..., size) -> (...,) nats."""
        return standard_log_prob(z)

    def divergence(self, posterior: Any) -> Tensor | None:
        """(n, units) nats in closed form, where the posterior has one."""
        return posterior.divergence() if hasattr(posterior, "divergence") else None

    def sample(self, n: int, code_size: int, generator: torch.Generator) -> Tensor:
        return torch.randn(n, code_size, generator=generator, device=generator.device)
