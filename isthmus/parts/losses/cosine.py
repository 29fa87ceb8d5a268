"""Cosine similarity as a likelihood: the direction of a row matters, its length does not."""

from __future__ import annotations

import math

import numpy as np
import torch
from scipy import special
from torch import Tensor, nn

from isthmus.checks import is_real
from isthmus.errors import InputError
from isthmus.parts.losses.common import cells, counted_cells, follow, known, numbers_axis, ready, row_sums
from isthmus.parts.losses.scaled import LOG_TWO_PI
from isthmus.records import NOWHERE, Context, Site, Trace, part

TINY = 1e-12
"""Added to the squared length of an output: at 0 its direction then has a finite gradient."""


@part
class Cosine:
    """Cosine similarity: a von Mises-Fisher distribution of the rows' directions around the output's.

        cost = -kappa cos(x, out) + d/2 log(2 pi) + log I_v(kappa) - v log kappa,   v = d/2 - 1, d = the row's cells

    Parameters
    ----------
    concentration : kappa, > 0; None (default) learns it from the running mean r of the cosines, as
        r (d - r^2) / (1 - r^2), which is within 1 % of where the cost is least; r counts as at least 1/sqrt(d), the
        size of a cosine by chance: at 0 nothing would be left to learn from.

    Notes
    -----
    Only directions are modelled: the cost is a density on the sphere, whatever the rows' lengths. A reconstruction is
    the output's direction times the row's own length, where that is known, else of length 1. The direction of a row
    is taken after scaling; fit embeddings with ``scale="none"``. A row of zeros has no direction: its cosine counts
    as 0.

    References
    ----------
    Banerjee et al. 2005, "Clustering on the unit hypersphere using von Mises-Fisher distributions".

    Examples
    --------
    >>> loss = Cosine(concentration=2.0).build()
    >>> along, against = loss.cost(torch.ones(2, 3), torch.tensor([[4.0, 4.0, 4.0], [-1.0, -1.0, -1.0]]))
    >>> against - along
    tensor(4.)
    """

    concentration: float | None = None

    def __post_init__(self) -> None:
        if self.concentration is not None and not (is_real(self.concentration) and self.concentration > 0):
            raise InputError(f"Cosine: concentration must be > 0, or None to learn it; got {self.concentration!r}")

    def build(self, site: Site = NOWHERE) -> CosineLoss:
        if site.layout is not None and site.layout.features < 2:
            raise InputError("Cosine: rows must have at least 2 columns to have a direction; these have 1")
        return CosineLoss(self.concentration)


class CosineLoss(nn.Module):
    """The module behind `Cosine`; ``cosine`` is the running mean of the rows' cosines."""

    support = "real"
    on_sphere = True  # a density of directions: the scale of the rows has no part in it
    cosine: Tensor
    steps: Tensor

    def __init__(self, concentration: float | None) -> None:
        super().__init__()
        self.fixed = concentration
        self.register_buffer("cosine", torch.tensor(0.0))
        self.register_buffer("steps", torch.tensor(0.0))

    def width(self, features: int) -> int:
        return features

    def concentration(self, features: int) -> Tensor:
        """kappa, for rows of this many cells."""
        if self.fixed is not None:
            return self.cosine.new_tensor(self.fixed)
        # Not above 1 - 1e-6: float32 cannot tell such cosines from 1.
        r = self.cosine.clamp(features**-0.5, 1 - 1e-6)
        return r * (features - r * r) / (1 - r * r)

    def cosines(self, out: Tensor, x: Tensor, weight: Tensor | None) -> Tensor:
        """(n,) between -1 and 1; 0 for a row of zeros."""
        squares = row_sums(x.square(), weight)
        lengths = torch.where(squares > 0, squares, torch.ones_like(squares)).sqrt()
        return row_sums(out * x, weight) / (lengths * (row_sums(out.square(), weight) + TINY).sqrt())

    def cost(self, out: Tensor, x: Tensor, weight: Tensor | None = None) -> Tensor:
        """(n,) nats."""
        out, x = ready(out, x, weight)
        kappa = self.concentration(x[0].numel()).to(x.dtype)
        size = cells(x, weight)
        each = np.atleast_1d(size.detach().cpu().double().numpy() if isinstance(size, Tensor) else size)
        constant = torch.from_numpy(log_area(each, float(kappa))).to(x)
        return constant - kappa * self.cosines(out, x, weight)

    def mean(self, out: Tensor, context: Context | None = None) -> Tensor:
        """The output's direction times the row's length; 1 where ``context`` has none."""
        flat = out.flatten(numbers_axis(out, context) + (context is not None))
        unit = flat * torch.rsqrt(flat.square().sum(-1, keepdim=True) + TINY)
        if context is not None and context.total is not None:
            unit = unit * context.total[:, None]
        return unit.reshape(out.shape)

    def total(self, x: Tensor) -> Tensor:
        """(n,) the rows' lengths."""
        return x.flatten(1).norm(dim=1)

    def after_step(self, trace: Trace, terms: dict[str, Tensor]) -> None:
        """Follow the running mean of the cosines."""
        if self.fixed is not None or not counted_cells(trace):
            return
        x, weight, row_weight = trace.batch.visible(), trace.weight, trace.batch.row_weight
        outs = trace.out.to(x.dtype) if trace.code.draws else trace.out.to(x.dtype)[None]
        found = torch.stack([self.cosines(out, known(x, weight), weight) for out in outs]).mean(0)
        # Rows without a direction, or without a cell that counts, have nothing to say.
        mass = (row_sums(x.square(), weight) > 0).to(x.dtype) * (1.0 if row_weight is None else row_weight)
        follow(self.cosine, self.steps, (found * mass).sum() / mass.sum().clamp(min=TINY))

    def sample(self, out: Tensor, generator: torch.Generator) -> Tensor:
        """Unit vectors: a cosine drawn first, then what is at a right angle to the output (Wood 1994)."""
        # In float64: where little is left at a right angle, as in a plane, float32 would not make unit vectors.
        unit = self.mean(out.detach().double()).flatten(1)
        features = unit.shape[1]
        along = cosine_draws(len(out), features, float(self.concentration(features)), generator)[:, None]
        aside = torch.empty_like(unit).normal_(generator=generator)
        aside = aside - (aside * unit).sum(1, keepdim=True) * unit
        aside = aside / aside.norm(dim=1, keepdim=True)
        return (along * unit + (1 - along.square()).clamp(min=0.0).sqrt() * aside).reshape(out.shape).to(out.dtype)


def cosine_draws(n: int, features: int, kappa: float, generator: torch.Generator) -> Tensor:
    """(n,) float64 cosines between draws and their mean direction, by Wood's rejection: most are accepted."""
    most = features - 1
    b = most / (2 * kappa + math.sqrt(4 * kappa**2 + most**2))
    peak = (1 - b) / (1 + b)
    result = torch.empty(n, dtype=torch.float64, device=generator.device)
    wanted = torch.ones(n, dtype=torch.bool, device=generator.device)
    half = torch.full((2, n), most / 2, dtype=torch.float64, device=generator.device)
    while wanted.any():
        first, second = torch._standard_gamma(half, generator=generator)
        beta = first / (first + second)
        cosine = (1 - (1 + b) * beta) / (1 - (1 - b) * beta)
        gain = kappa * (cosine - peak) + most * torch.log((1 - peak * cosine) / (1 - peak**2))
        even = torch.rand(n, dtype=torch.float64, device=generator.device, generator=generator)
        taken = wanted & (gain >= torch.log(even))
        result[taken] = cosine[taken]
        wanted &= ~taken
    return result


def log_area(size: np.ndarray, kappa: float) -> np.ndarray:
    """The logarithm of the integral of exp(kappa cos) over the sphere, for rows of these sizes; 0 for empty rows."""
    order = np.maximum(size, 1e-3) / 2 - 1
    return np.where(size > 0, size / 2 * LOG_TWO_PI + log_bessel(order, kappa) - order * math.log(kappa), 0.0)


def log_bessel(order: np.ndarray, x: float) -> np.ndarray:
    """log I_order(x) of the modified Bessel function of the first kind, for orders from -1 and x > 0.

    Where SciPy's function is 0 in floating point, of high orders, the defining series is summed in logarithms: all
    of its terms are positive, and those that count lie around the greatest.
    """
    scaled = special.ive(order, x)
    result = np.log(np.where(scaled > 1e-290, scaled, 1.0)) + x
    for i in np.flatnonzero(~(scaled > 1e-290)):
        greatest = (math.sqrt(order[i] ** 2 + x * x) - order[i]) / 2
        k = np.arange(greatest + 20 * math.sqrt(greatest + 1) + 20)
        terms = (2 * k + order[i]) * math.log(x / 2) - special.gammaln(k + 1) - special.gammaln(k + order[i] + 1)
        result[i] = special.logsumexp(terms)
    return result
