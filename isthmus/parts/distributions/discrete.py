"""Distributions of one row's discrete code, by the contract of `distributions`: bits, and one unit of every group."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from isthmus.errors import InputError


def largest_divisor(size: int, most: int) -> int:
    """The largest number up to ``most`` that divides ``size``.

    >>> largest_divisor(32, 10), largest_divisor(12, 10), largest_divisor(13, 10)
    (8, 6, 1)
    """
    return next(number for number in range(min(most, size), 0, -1) if size % number == 0)


def classes_in(size: int, classes: int | None) -> int:
    """The classes of every group in a code of ``size``: as said, or the largest divisor of the size from 2 to 10, or
    else all of it.

    >>> classes_in(32, None), classes_in(13, None), classes_in(32, 4)
    (8, 13, 4)
    """
    if classes is None:
        found = largest_divisor(size, 10)
        classes = found if found > 1 else max(2, size)
    if size % classes:
        raise InputError(
            f"GumbelSoftmax: a code of {size} numbers cannot be cut into groups of {classes} classes; use a code_size "
            f"such as {classes * max(1, round(size / classes))}, or other classes"
        )
    return classes


@dataclass(frozen=True)
class Bits:
    """Independent bits, 0 or 1: ``logits`` (n, size), the logarithm of the odds of 1.

    Examples
    --------
    >>> fair = Bits(torch.zeros(3, 2))
    >>> fair.divergence()[0].tolist(), fair.sample(5, torch.Generator()).shape
    ([0.0, 0.0], torch.Size([5, 3, 2]))
    """

    logits: Tensor

    @property
    def mean(self) -> Tensor:
        return torch.sigmoid(self.logits)

    @property
    def likeliest(self) -> Tensor:
        return (self.logits > 0).to(self.logits.dtype)

    def sample(self, draws: int, generator: torch.Generator | None) -> Tensor:
        """(draws, n, size) of 0 and 1, without a gradient."""
        even = torch.rand(
            (draws, *self.logits.shape), generator=generator, device=self.logits.device, dtype=self.logits.dtype
        )
        return (even < self.mean).to(self.logits.dtype)

    def log_prob(self, z: Tensor) -> Tensor:
        return (z * self.logits - F.softplus(self.logits)).sum(-1)

    def entropies(self) -> Tensor:
        """(n, size) nats: -p log p - (1 - p) log(1 - p), which of logits l is softplus(l) - p l."""
        return F.softplus(self.logits) - self.mean * self.logits

    def entropy(self) -> Tensor:
        return self.entropies().sum(-1)

    def divergence(self) -> Tensor:
        """(n, size): the divergence from a fair bit, nats."""
        return math.log(2) - self.entropies()

    def detached(self) -> Bits:
        return Bits(self.logits.detach())


@dataclass(frozen=True)
class OneOfEach:
    """Independent groups, in each of which one unit is 1 and the others 0: ``logits`` (n, groups, classes).

    Codes are flat, (n, groups * classes).
    """

    logits: Tensor

    @property
    def log_shares(self) -> Tensor:
        return torch.log_softmax(self.logits, -1)

    @property
    def mean(self) -> Tensor:
        return torch.softmax(self.logits, -1).flatten(1)

    @property
    def likeliest(self) -> Tensor:
        return self.one_hot(self.logits.argmax(-1)).flatten(1)

    def one_hot(self, index: Tensor) -> Tensor:
        return F.one_hot(index, self.logits.shape[-1]).to(self.logits.dtype)

    def perturbed(self, draws: int, generator: torch.Generator | None) -> Tensor:
        """(draws, n, groups, classes): logits with Gumbel noise, the largest of which is a draw's class."""
        noise = torch.empty((draws, *self.logits.shape), device=self.logits.device, dtype=self.logits.dtype)
        return self.logits - noise.exponential_(generator=generator).clamp(min=torch.finfo(noise.dtype).tiny).log()

    def sample(self, draws: int, generator: torch.Generator | None) -> Tensor:
        """(draws, n, groups * classes) of 0 and 1, without a gradient."""
        return self.one_hot(self.perturbed(draws, generator).argmax(-1)).flatten(2)

    def relaxed(self, temperature: float, generator: torch.Generator | None) -> Tensor:
        """(n, groups * classes) within (0, 1), differentiable; the lower the temperature, the nearer to a draw."""
        return torch.softmax(self.perturbed(1, generator)[0] / temperature, -1).flatten(1)

    def log_prob(self, z: Tensor) -> Tensor:
        return (z * self.log_shares.flatten(1)).sum(-1)

    def entropies(self) -> Tensor:
        """(n, groups) nats."""
        return -(self.log_shares.exp() * self.log_shares).sum(-1)

    def entropy(self) -> Tensor:
        return self.entropies().sum(-1)

    def divergence(self) -> Tensor:
        """(n, groups): the divergence from equally likely classes, nats."""
        return math.log(self.logits.shape[-1]) - self.entropies()

    def detached(self) -> OneOfEach:
        return OneOfEach(self.logits.detach())
