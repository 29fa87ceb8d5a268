"""Reconstruction losses: minus the log-likelihood of a row, in nats, constants included.

The contract (what `composition.py` asks of a loss):

    cost(out, x, weight) -> (n,)     nats per row, summed over features
    mean(out)                        the expected x
    sample(out, generator)           a draw of x
    width(features)                  numbers per row that the decoder must emit
    support                          "real", or "unit" for data in [0, 1]
    after_step(trace, terms), best(mean_cost, cells)     only where a scale is learned

What a user writes (`Squared()`) is a frozen part; where something is learned, ``build()`` makes the module.
"""

from __future__ import annotations

import torch
from torch import Tensor

from isthmus.errors import InputError


def row_sums(errors: Tensor, weight: Tensor | None) -> Tensor:
    """(n, ...) -> (n,): the sum over a row's cells, missing ones left out."""
    if weight is not None:
        # where, not a product: a missing cell may hold NaN.
        errors = torch.where(weight > 0, errors * weight, torch.zeros_like(errors))
    return errors.flatten(1).sum(1)


def check_shapes(out: Tensor, x: Tensor) -> None:
    """PyTorch would stretch one to the other's shape with no more than a warning."""
    if out.shape != x.shape:
        raise InputError(f"the decoder must give the shape of the rows, {tuple(x.shape)}; it gave {tuple(out.shape)}")


def cells(x: Tensor, weight: Tensor | None) -> Tensor | float:
    """How many cells each row has: a number, or (n,) where some are missing."""
    return float(x[0].numel()) if weight is None else weight.flatten(1).sum(1)
