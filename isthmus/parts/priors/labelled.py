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


def some_classes(log_q: Tensor, known: Tensor, tries: int, generator: torch.Generator | None) -> tuple[Tensor, Tensor]:
    """``tries`` classes of every row, (tries, n), and their shares: sum shares f(class) is sum q f without bias.

    The most probable ones, and one drawn from the others that stands for them all. ``known`` (n,) is the number of
    the row's class, which comes first and has the whole share, or -1.
    """
    told = F.one_hot(known.clamp(min=0), log_q.shape[1]).bool() & (known >= 0)[:, None]
    order = log_q.detach().masked_fill(told, 1.0).argsort(dim=1, descending=True)
    tried, odds = order[:, :tries], torch.ones_like(log_q[:, :1])
    if tries < log_q.shape[1]:
        first = order[:, : tries - 1]
        others = log_q.detach().scatter(1, first, -math.inf).softmax(dim=1)
        drawn = torch.multinomial(others, 1, generator=generator)
        tried, odds = torch.cat((first, drawn), dim=1), others.gather(1, drawn)
    shares = log_q.gather(1, tried).exp()
    # The first has what is left to 1, which is its own q: so only differences between classes move q, not f itself.
    later = torch.cat((shares[:, 1:-1], shares[:, -1:] / odds), dim=1)
    shares = torch.cat((1 - later.sum(dim=1, keepdim=True), later), dim=1)
    alone = F.one_hot(torch.zeros_like(known), tries).to(shares.dtype)
    return tried.T, torch.where(known[:, None] >= 0, alone, shares).T
