"""Losses of cells that are truth values, or one of several categories."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from isthmus.parts.losses.common import row_sums
from isthmus.records import part


@part
class Bernoulli:
    """Cross-entropy of cells in [0, 1]; the decoder's output is the logit of the mean.

        cost = sum -x log p - (1 - x) log (1 - p),   p = sigmoid(out)

    On grey cells the cost has a floor above 0: it is a likelihood only for cells that are 0 or 1.
    """

    @property
    def support(self) -> str:
        return "unit"

    def width(self, features: int) -> int:
        return features

    def cost(self, out: Tensor, x: Tensor, weight: Tensor | None = None) -> Tensor:
        return row_sums(F.binary_cross_entropy_with_logits(out, x, reduction="none"), weight)

    def mean(self, out: Tensor) -> Tensor:
        return torch.sigmoid(out)

    def sample(self, out: Tensor, generator: torch.Generator) -> Tensor:
        return torch.bernoulli(torch.sigmoid(out), generator=generator)
