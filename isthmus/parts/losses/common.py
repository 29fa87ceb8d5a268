"""Reconstruction losses: minus the log-likelihood of a row, in nats, constants included.

The contract (what `composition.py` asks of a loss):

    cost(out, x, weight) -> (n,)     nats per row, summed over features
    mean(out, context)               the expected x; ``context`` may hold the rows' totals
    sample(out, generator)           a draw of x
    width(features)                  numbers per row that the decoder must emit
    support                          "real", "unit" (within [0, 1]), "count" or "category": whole numbers, never scaled;
                                     "mixed": of every column what its kind says
    view(x)                          how the encoder is shown x, where that is not x itself
    total(x) -> (n,)                 what of a row its rebuilding may know, where the loss does not model it
    outliers(out, x, weight)         the part of x that is put down to outliers, where the loss has one
    after_step(trace, terms), best(mean_cost, cells)     only where a scale is learned

What a user writes (`Squared()`) is a frozen part; where something is learned, ``build(site)`` makes the module.
A cell's weight says how often the cell stands there; 0 = missing, and it may then hold anything, NaN included.
"""

from __future__ import annotations

import torch
from torch import Tensor

from isthmus.errors import InputError
from isthmus.records import Context, Trace

FLOOR = 1e-6
"""The least variance (in scaled units) a loss learns: the rounding of float32 data, about."""


def row_sums(errors: Tensor, weight: Tensor | None) -> Tensor:
    """(n, ...) -> (n,): the sum over a row's cells, missing ones left out."""
    if weight is not None:
        # where, not a product: a missing cell may hold NaN.
        errors = torch.where(weight > 0, errors * weight, torch.zeros_like(errors))
    return errors.flatten(1).sum(1)


def known(x: Tensor, weight: Tensor | None) -> Tensor:
    """``x`` with 0 for what is missing: the gradient of 0 * NaN is NaN, whatever `torch.where` picks afterwards."""
    return x if weight is None else torch.where(weight > 0, x, torch.zeros_like(x))


def check_shapes(out: Tensor, x: Tensor, numbers: int = 0) -> None:
    """PyTorch would stretch one to the other's shape with no more than a warning.

    ``numbers`` per cell add an axis after the rows': ``out`` must be (n, numbers, *shape).
    """
    wanted = (x.shape[0], *([numbers] if numbers else []), *x.shape[1:])
    if out.shape != wanted:
        what = f"{numbers} numbers per cell, {wanted}" if numbers else f"the shape of the rows, {wanted}"
        raise InputError(f"the decoder must give {what}; it gave {tuple(out.shape)}")


def ready(out: Tensor, x: Tensor, weight: Tensor | None, numbers: int = 0) -> tuple[Tensor, Tensor]:
    """Both as a cost needs them: of shapes that fit, ``x`` `known`, and of x's type.

    In x's type, not out's: on a GPU the output may come in bfloat16, too coarse for these sums.
    """
    check_shapes(out, x, numbers)
    return out.to(x.dtype), known(x, weight)


def cells(x: Tensor, weight: Tensor | None) -> Tensor | float:
    """How many cells each row has: a number, or (n,) where some are missing."""
    return float(x[0].numel()) if weight is None else weight.flatten(1).sum(1)


def counted_cells(trace: Trace) -> float:
    """Cells that the loss of this pass counts, each as often as its own and its row's weight say."""
    weight, row_weight = trace.weight, trace.batch.row_weight
    if weight is None:
        return trace.batch.layout.features * (len(trace.batch) if row_weight is None else float(row_weight.sum()))
    each = weight.flatten(1).sum(1)
    return float((each if row_weight is None else each * row_weight).sum())


def numbers_axis(out: Tensor, context: Context | None) -> int:
    """Where in ``out`` the numbers of one cell lie side by side: before the axes of a row."""
    return 1 if context is None else out.ndim - len(context.shape) - 1


def log_rising(start: Tensor, x: Tensor) -> Tensor:
    """log Gamma(start + x) - log Gamma(start) for start > 0 and x >= 0.

    From 20 on by Stirling's series, in which the large terms are subtracted by algebra: the difference of two
    logarithms of Gamma at 1e6 has an error of 1 in float32. The first term left out is below 2e-15.
    """
    small, large = start.clamp(max=20.0), start.clamp(min=20.0)
    direct = torch.lgamma(small + x) - torch.lgamma(small)
    whole = large + x
    series = (large - 0.5) * torch.log1p(x / large) + x * torch.log(whole) - x
    series = series + stirling_rest(whole) - stirling_rest(large)
    return torch.where(start < 20.0, direct, series)


def stirling_rest(z: Tensor) -> Tensor:
    """What Stirling's formula leaves out of log Gamma(z), for z >= 20."""
    square = 1 / (z * z)
    return (1 / 12 - square * (1 / 360 - square * (1 / 1260 - square / 1680))) / z


def follow(running: Tensor, steps: Tensor, found: Tensor) -> None:
    """Move a running mean (in place) towards what the last step found: all the way at first, later by 1/50."""
    steps += 1
    running.lerp_(found.to(running.dtype), (1.0 / steps).clamp(min=0.02))
