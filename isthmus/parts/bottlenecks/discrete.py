"""What discrete codes share: a gradient that passes the choice by."""

from __future__ import annotations

from torch import Tensor

STRAIGHT_THROUGH = "a choice has no gradient: that of what was chosen is handed on to what chose it"
"""Why discrete codes do not have the gradient that finite differences find."""


def straight_through(chosen: Tensor, smooth: Tensor) -> Tensor:
    """The value of ``chosen``, to the last bit, with the gradient of ``smooth`` (Bengio, Leonard & Courville 2013,
    Estimating or propagating gradients through stochastic neurons).

    >>> import torch
    >>> smooth = torch.tensor(0.3, requires_grad=True)
    >>> z = straight_through(torch.tensor(1.0), smooth)
    >>> z.item(), torch.autograd.grad(z, smooth)[0].item()
    (1.0, 1.0)
    """
    return chosen.detach() + (smooth - smooth.detach())
