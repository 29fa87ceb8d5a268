"""Losses of cells that are truth values, or one of several categories."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from isthmus.errors import InputError
from isthmus.parts.losses.common import numbers_axis, ready, row_sums
from isthmus.records import Context, part


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
        out, x = ready(out, x, weight)
        return row_sums(F.binary_cross_entropy_with_logits(out, x, reduction="none"), weight)

    def mean(self, out: Tensor, context: Context | None = None) -> Tensor:
        return torch.sigmoid(out)

    def sample(self, out: Tensor, generator: torch.Generator) -> Tensor:
        return torch.bernoulli(torch.sigmoid(out), generator=generator)


@part
class Categorical:
    """Cross-entropy of cells that are one of several categories, written as whole numbers from 0 on.

        cost = sum -log softmax(out)[x]

    The decoder emits (n, classes, *shape): the logits of every cell's categories.

    Parameters
    ----------
    classes : how many categories a cell may be of, >= 2; every x is 0, 1, ..., classes - 1.
    ordered : True shows the encoder one number per cell, x spread over [-1, 1], from which its first layer must tell
        the categories apart: that serves a few of them, or ordered ones (grey levels). False (characters, words) has it
        look up a learned vector for each.

    Notes
    -----
    The mean of categories has no meaning, so `mean` gives the most probable one.

    Examples
    --------
    >>> Categorical(classes=5).cost(torch.zeros(1, 5, 2), torch.tensor([[4.0, 0.0]])) / torch.log(torch.tensor(5.0))
    tensor([2.])
    """

    classes: int
    ordered: bool = True

    support = "category"

    @property
    def embedded(self) -> bool:
        """Whether the network must look up a vector for each category."""
        return not self.ordered

    def __post_init__(self) -> None:
        if isinstance(self.classes, bool) or not isinstance(self.classes, int) or self.classes < 2:
            raise InputError(f"Categorical: classes must be a whole number >= 2; got {self.classes!r}")

    def width(self, features: int) -> int:
        return self.classes * features

    def view(self, x: Tensor) -> Tensor:
        """From -1 for category 0 to 1 for the last; as they are where they have no order."""
        return x if not self.ordered else x * (2.0 / (self.classes - 1)) - 1.0

    def cost(self, out: Tensor, x: Tensor, weight: Tensor | None = None) -> Tensor:
        """(n,) nats."""
        out, x = ready(out, x, weight, numbers=self.classes)
        return row_sums(F.cross_entropy(out, x.long(), reduction="none"), weight)

    def mean(self, out: Tensor, context: Context | None = None) -> Tensor:
        """The most probable category of every cell."""
        return out.argmax(numbers_axis(out, context)).to(out.dtype)

    def sample(self, out: Tensor, generator: torch.Generator) -> Tensor:
        shares = torch.softmax(out.detach(), dim=1).movedim(1, -1)
        drawn = torch.multinomial(shares.flatten(0, -2), 1, generator=generator)
        return drawn.reshape(shares.shape[:-1]).to(out.dtype)
