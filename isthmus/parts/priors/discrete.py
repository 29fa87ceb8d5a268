"""What discrete codes are held to: fair bits, and classes that are equally likely."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from isthmus.parts.distributions.discrete import Bits, OneOfEach, classes_in
from isthmus.records import Context, part


@part
class FairBits:
    """Every bit of a code is 0 or 1, equally likely and independent.

    Examples
    --------
    >>> FairBits().log_prob(torch.zeros(1, 3)).exp().tolist()
    [0.125]
    """

    def log_prob(self, z: Tensor, context: Context | None = None) -> Tensor:
        """(..., size) -> (...,) nats."""
        return z.new_full(z.shape[:-1], -z.shape[-1] * math.log(2))

    def divergence(self, posterior: Bits) -> Tensor:
        return posterior.divergence()

    def sample(self, n: int, code_size: int, generator: torch.Generator) -> Tensor:
        return torch.randint(2, (n, code_size), generator=generator, device=generator.device).float()


@part
class UniformCategories:
    """One unit of every group of ``classes`` is 1, each equally likely; None = as `GumbelSoftmax` cuts a code.

    Examples
    --------
    >>> UniformCategories(4).log_prob(torch.zeros(1, 8)).exp().tolist()
    [0.0625]
    """

    classes: int | None = None

    def log_prob(self, z: Tensor, context: Context | None = None) -> Tensor:
        """(..., size) -> (...,) nats."""
        classes = classes_in(z.shape[-1], self.classes)
        return z.new_full(z.shape[:-1], -(z.shape[-1] // classes) * math.log(classes))

    def divergence(self, posterior: OneOfEach) -> Tensor:
        return posterior.divergence()

    def sample(self, n: int, code_size: int, generator: torch.Generator) -> Tensor:
        classes = classes_in(code_size, self.classes)
        even = OneOfEach(torch.zeros(n, code_size // classes, classes, device=generator.device))
        return even.sample(1, generator)[0]
