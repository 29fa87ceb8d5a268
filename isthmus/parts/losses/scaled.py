"""Squared and absolute error, with a scale that is learned as a running mean."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from isthmus.checks import is_real
from isthmus.errors import InputError
from isthmus.parts.losses.common import FLOOR, cells, counted_cells, follow, ready, row_sums
from isthmus.records import NOWHERE, Context, Site, Trace, part

LOG_TWO_PI = math.log(2 * math.pi)


@part
class Squared:
    """Squared error: a normal distribution around the output, one variance for all cells.

        cost = cells/2 log(2 pi v) + sum (out - x)^2 / (2 v)

    Parameters
    ----------
    variance : v in scaled units, > 0; None (default) learns it, as the running mean of the squared error,
        which is where the cost is least. A fixed variance of 1 on data of small spread makes every
        variational kind collapse.

    Examples
    --------
    Input (1, -1, 2, 3), output (1, 1, 2, 3): the mean squared error is 1.

    >>> x, out = torch.tensor([[1., -1., 2., 3.]]), torch.tensor([[1., 1., 2., 3.]])
    >>> loss = Squared(variance=1.0).build()
    >>> loss.errors(out, x, None) / 4
    tensor([1.])
    """

    variance: float | None = None

    def __post_init__(self) -> None:
        if self.variance is not None and not (is_real(self.variance) and self.variance > 0):
            raise InputError(f"Squared: variance must be > 0, or None to learn it; got {self.variance!r}")

    def build(self, site: Site = NOWHERE) -> ScaledLoss:
        return SquaredLoss(self.variance)


@part
class Absolute:
    """Absolute error: a Laplace distribution around the output, one scale b for all cells.

        cost = cells log(2 b) + sum |out - x| / b

    Parameters
    ----------
    scale : b in scaled units, > 0; None (default) learns it as the running mean of the absolute error.
    """

    scale: float | None = None

    def __post_init__(self) -> None:
        if self.scale is not None and not (is_real(self.scale) and self.scale > 0):
            raise InputError(f"Absolute: scale must be > 0, or None to learn it; got {self.scale!r}")

    def build(self, site: Site = NOWHERE) -> ScaledLoss:
        return AbsoluteLoss(self.scale)


class LearnedScale(nn.Module):
    """A loss of real numbers around the output, with one scale for all cells that is fixed or follows the data.

    ``variance`` is a buffer, learned without gradients as a running mean: that is where the cost is least, however
    fast the weights move.
    """

    support = "real"
    variance: Tensor
    steps: Tensor

    def __init__(self, fixed: float | None) -> None:
        super().__init__()
        self.learned = fixed is None
        self.register_buffer("variance", torch.tensor(1.0 if fixed is None else float(fixed)))
        self.register_buffer("steps", torch.tensor(0.0))

    def width(self, features: int) -> int:
        return features

    def mean(self, out: Tensor, context: Context | None = None) -> Tensor:
        return out


class ScaledLoss(LearnedScale):
    """A loss of the form  cells * log_scale(v) + errors / divisor(v),  whose best v is the mean error.

    Because both terms are known, the mean error, and with it the best v, follow from the mean cost: no
    second pass over the data is needed to ask what the cost would be at the best scale.
    """

    def errors(self, out: Tensor, x: Tensor, weight: Tensor | None) -> Tensor:
        raise NotImplementedError

    def log_scale(self, variance: Tensor) -> Tensor:
        raise NotImplementedError

    def divisor(self, variance: Tensor) -> Tensor:
        raise NotImplementedError

    def cost(self, out: Tensor, x: Tensor, weight: Tensor | None = None) -> Tensor:
        """(n,) nats."""
        out, x = ready(out, x, weight)
        variance = self.variance.to(x.dtype)
        return cells(x, weight) * self.log_scale(variance) + self.errors(out, x, weight) / self.divisor(variance)

    def mean_error(self, mean_cost: Tensor, mean_cells: float) -> Tensor:
        """The mean error per cell that belongs to a mean cost per row."""
        errors = (mean_cost - mean_cells * self.log_scale(self.variance)) * self.divisor(self.variance)
        return errors / mean_cells

    def best(self, mean_cost: Tensor, mean_cells: float) -> tuple[Tensor, Tensor]:
        """The best scale for rows whose mean cost is ``mean_cost``, and the mean cost they would then have."""
        if not self.learned:
            return self.variance, mean_cost
        error = self.mean_error(mean_cost, mean_cells)
        best = error.clamp(min=FLOOR)
        return best, mean_cells * (self.log_scale(best) + error / self.divisor(best))

    def after_step(self, trace: Trace, terms: dict[str, Tensor]) -> None:
        """Follow the running mean of the error; the first step jumps to it."""
        if not self.learned or not (mean_cells := counted_cells(trace) / len(trace.batch)):
            return
        error = self.mean_error(terms["loss"], mean_cells)
        follow(self.variance, self.steps, error.clamp(min=FLOOR))


class SquaredLoss(ScaledLoss):
    """The module behind `Squared`; ``variance`` is the normal distribution's."""

    def errors(self, out: Tensor, x: Tensor, weight: Tensor | None) -> Tensor:
        return row_sums(F.mse_loss(out, x, reduction="none"), weight)

    def log_scale(self, variance: Tensor) -> Tensor:
        return 0.5 * (torch.log(variance) + LOG_TWO_PI)

    def divisor(self, variance: Tensor) -> Tensor:
        return 2 * variance

    def sample(self, out: Tensor, generator: torch.Generator) -> Tensor:
        noise = torch.empty_like(out).normal_(generator=generator)
        return out + noise * self.variance.sqrt()


class AbsoluteLoss(ScaledLoss):
    """The module behind `Absolute`; ``variance`` holds the Laplace distribution's scale b."""

    def errors(self, out: Tensor, x: Tensor, weight: Tensor | None) -> Tensor:
        return row_sums(F.l1_loss(out, x, reduction="none"), weight)

    def log_scale(self, variance: Tensor) -> Tensor:
        return torch.log(2 * variance)

    def divisor(self, variance: Tensor) -> Tensor:
        return variance

    def sample(self, out: Tensor, generator: torch.Generator) -> Tensor:
        # The difference of two exponentials: the inverse of the distribution function gives infinity now and then.
        first, second = (torch.empty_like(out).exponential_(generator=generator) for _ in range(2))
        return out + self.variance * (first - second)
