"""The distribution of a class and the rest of a code, for a row and for all."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from isthmus.records import Context


@dataclass(frozen=True)
class ClassAndRestOf:
    """q(y, z | x): the classes' log probabilities (n, classes), and the distribution of the rest."""

    log_q: Tensor
    rest: Any

    @property
    def mean(self) -> Tensor:
        return torch.cat((self.log_q.exp(), self.rest.mean), dim=1)

    def sample(self, draws: int, generator: torch.Generator | None) -> Tensor:
        drawn = torch.multinomial(self.log_q.exp(), draws, replacement=True, generator=generator).T
        named = F.one_hot(drawn, self.log_q.shape[1]).to(self.log_q.dtype)
        return torch.cat((named, self.rest.sample(draws, generator)), dim=-1)

    def log_prob(self, z: Tensor) -> Tensor:
        classes = self.log_q.shape[1]
        return (z[..., :classes] * self.log_q).sum(-1) + self.rest.log_prob(z[..., classes:])

    def entropy(self) -> Tensor:
        return -(self.log_q.exp() * self.log_q).sum(1) + self.rest.entropy()


@dataclass(frozen=True)
class ClassAndRest:
    """The prior: every class is as probable as the others."""

    classes: int
    rest: Any

    def log_prob(self, z: Tensor, context: Context | None = None) -> Tensor:
        return self.rest.log_prob(z[..., self.classes :], context) - math.log(self.classes)

    def sample(self, n: int, code_size: int, generator: torch.Generator) -> Tensor:
        drawn = torch.randint(self.classes, (n,), generator=generator, device=generator.device)
        rest = self.rest.sample(n, code_size - self.classes, generator)
        return torch.cat((F.one_hot(drawn, self.classes).to(rest.dtype), rest), dim=1)
