"""Huber's loss for whole rows: a row that cannot be rebuilt is explained away as an outlier."""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
import torch
from scipy import special
from torch import Tensor

from isthmus.parts.losses.common import cells, known, ready, row_sums
from isthmus.parts.losses.robust import RobustLoss, check_positive
from isthmus.parts.losses.scaled import LOG_TWO_PI
from isthmus.records import NOWHERE, Site, part


@part
class GroupedHuber:
    """Squared error plus an outlier per row, at a price of k per scale of its length, minimised out in closed form.

        cost = log Z_d + d log s + min_o |e - o|^2 / (2 s^2) + k |o| / s,   e = x - out, d = the row's cells
             = log Z_d + d log s + (u^2 / 2 where u <= k, else k u - k^2 / 2),   u = |e| / s
        Z_d = (2 pi)^(d/2) P(d/2, k^2/2) + 2 pi^(d/2) Gamma(d) / (Gamma(d/2) k^d) exp(k^2/2) Q(d, k^2)

    with P and Q the regularised incomplete Gamma functions. ``outliers`` gives the minimising o: whole rows that
    cannot be rebuilt, shrunk towards 0 by k scales, and 0 for all others.

    Parameters
    ----------
    threshold : k, > 0; None (default) takes sqrt(d) + sqrt(2) for a row of d cells: the length of normal noise has a
        mean near sqrt(d) and a standard deviation near 1/sqrt(2), whatever d, so that about one clean row in 45
        lies beyond it.
    scale : s in scaled units, > 0; None (default) learns it.

    References
    ----------
    Zhou & Paffenroth 2017, "Anomaly detection with robust deep autoencoders" (their l2,1 norm over rows).

    Examples
    --------
    >>> loss = GroupedHuber(threshold=2.0, scale=1.0).build()
    >>> loss.outliers(torch.zeros(2, 2), torch.tensor([[1.0, 1.0], [6.0, 8.0]]))
    tensor([[0.0000, 0.0000],
            [4.8000, 6.4000]])
    """

    threshold: float | None = None
    scale: float | None = None

    def __post_init__(self) -> None:
        check_positive("GroupedHuber", threshold=self.threshold, scale=self.scale)

    def build(self, site: Site = NOWHERE) -> GroupedHuberLoss:
        return GroupedHuberLoss(self.threshold, self.scale)


class GroupedHuberLoss(RobustLoss):
    """The module behind `GroupedHuber`."""

    def __init__(self, threshold: float | None, scale: float | None) -> None:
        super().__init__(scale)
        self.fixed = threshold

    def size(self, x: Tensor, weight: Tensor | None) -> Tensor:
        """(n,) d, the cells of every row."""
        return torch.zeros_like(x.flatten(1)[:, 0]) + cells(x, weight)

    def threshold(self, size: Tensor) -> Tensor:
        """(n,) k for rows of these sizes."""
        return size.sqrt() + math.sqrt(2) if self.fixed is None else torch.full_like(size, self.fixed)

    def length(self, error: Tensor, weight: Tensor | None) -> Tensor:
        """(n,) the length of every row's error; at 0 the gradient is 0."""
        squares = row_sums(error.square(), weight)
        return torch.where(squares > 0, squares, torch.ones_like(squares)).sqrt() * (squares > 0)

    def cost(self, out: Tensor, x: Tensor, weight: Tensor | None = None) -> Tensor:
        """(n,) nats."""
        out, x = ready(out, x, weight)
        scale, size = self.variance.to(x.dtype).sqrt(), self.size(x, weight)
        away, k = self.length(x - out, weight) / scale, self.threshold(size)
        near = torch.minimum(away, k)
        if weight is None:
            constant: Tensor | float = log_normaliser(float(x[0].numel()), self.fixed)
        else:
            constant = size.new_tensor([log_normaliser(d, self.fixed) for d in size.tolist()])
        return size * torch.log(scale) + constant + near * (away - near / 2)

    def weighted_squares(self, error: Tensor, weight: Tensor | None, variance: Tensor) -> Tensor:
        length = self.length(error, weight)
        return length * torch.minimum(length, self.threshold(self.size(error, weight)) * variance.sqrt())

    def outliers(self, out: Tensor, x: Tensor, weight: Tensor | None = None) -> Tensor:
        """Same shape as x: what of every row is put down to an outlier; 0 for most, and where a cell is missing."""
        out, x = ready(out, x, weight)
        length = self.length(x - out, weight)
        most = self.threshold(self.size(x, weight)) * self.variance.to(x.dtype).sqrt()
        share = (1 - most / length.clamp(min=torch.finfo(x.dtype).tiny)).clamp(min=0.0)
        return known((x - out) * share.reshape(-1, *[1] * (x.ndim - 1)), weight)

    def sample(self, out: Tensor, generator: torch.Generator) -> Tensor:
        """A direction at random, and a length by the inverse of its distribution function."""
        even = torch.rand(len(out), generator=generator, dtype=torch.float64, device=out.device)
        length = torch.from_numpy(lengths(even.cpu().numpy(), float(out[0].numel()), self.fixed)).to(out)
        noise = torch.empty_like(out).normal_(generator=generator)
        noise = noise * (length / noise.flatten(1).norm(dim=1)).reshape(-1, *[1] * (out.ndim - 1))
        return out + noise * self.variance.sqrt()


def threshold_of(d: float, fixed: float | None) -> float:
    return math.sqrt(d) + math.sqrt(2) if fixed is None else fixed


def log_parts(d: float, k: float) -> tuple[float, float]:
    """The logarithms of the two terms of Z_d: within the threshold, and beyond it.

    P is 0 in floating point only where k is far below sqrt(d), Q only where it is far above: never both.
    """
    with np.errstate(divide="ignore"):
        within, beyond = np.log([special.gammainc(d / 2, k * k / 2), special.gammaincc(d, k * k)])
    tail = math.log(2) + d / 2 * math.log(math.pi) + special.gammaln(d) - special.gammaln(d / 2)
    return d / 2 * LOG_TWO_PI + within, tail - d * math.log(k) + k * k / 2 + beyond


@lru_cache(maxsize=4096)
def log_normaliser(d: float, fixed: float | None) -> float:
    """log Z_d, in float64; rows have few different sizes, so they are kept."""
    return float(np.logaddexp(*log_parts(d, threshold_of(d, fixed)))) if d > 0 else 0.0


def lengths(even: np.ndarray, d: float, fixed: float | None) -> np.ndarray:
    """Lengths |e| / s from uniform numbers in [0, 1)."""
    k = threshold_of(d, fixed)
    inside = math.exp(log_parts(d, k)[0] - log_normaliser(d, fixed))
    near = np.minimum(even / max(inside, 1e-300), 1.0) * special.gammainc(d / 2, k * k / 2)
    far = (1 - np.maximum(even - inside, 0.0) / max(1 - inside, 1e-300)) * special.gammaincc(d, k * k)
    within = even < inside
    result = np.empty_like(even)
    result[within] = np.sqrt(2 * special.gammaincinv(d / 2, near[within]))
    result[~within] = special.gammainccinv(d, far[~within]) / k
    return result
