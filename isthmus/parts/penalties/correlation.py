"""Total correlation of a code by its posteriors: what its units, all rows together, say about one another."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from isthmus.errors import InputError
from isthmus.parts.distributions.normal import HALF_LOG_TWO_PI, DiagonalNormal
from isthmus.parts.penalties.common import check_weight
from isthmus.records import PARTS, Schedule, Trace, part

ABSENT = 1e-30
"""Share of a row whose weight is 0: small enough not to count, and its logarithm is a number."""


@part
class TotalCorrelation:
    """Divergence of all rows' codes q(z) from the product of their units' distributions.

        weight * KL( q(z) || prod_j q(z_j) ),   q(z) = 1/N sum over rows of q(z | x)

    It is 0 where units are independent over the data, so that each may stand for a factor of its own. Beside a
    variational bottleneck at rate 1, a weight of beta - 1 gives the cost of the paper: it is only this part of the
    code's price that beta makes dearer, not what the code says about the row.

    q(z) is estimated from the batch: the row's own posterior counts 1/N, the others of the batch share the rest. In
    the mean over batches that is q(z), and exactly so where the batch is the whole data set; its logarithm is too
    low in the mean for batches far smaller, more so for all units together than for one, so that the penalty may be
    negative. Its gradient is of use nonetheless.

    Parameters
    ----------
    weight : nats per nat of total correlation, >= 0.

    Raises
    ------
    InputError : the bottleneck's posterior is not a diagonal normal distribution.

    Notes
    -----
    Every code meets every posterior: a batch of n rows takes n * n * size numbers, 13 MB for 256 rows and 50 units.
    A batch of one row says nothing about others: its penalty is 0.

    References
    ----------
    Chen, Li, Grosse & Duvenaud 2018, Isolating sources of disentanglement in variational autoencoders.

    Examples
    --------
    >>> from isthmus.parts.distributions.normal import DiagonalNormal
    >>> spread = DiagonalNormal(torch.tensor([[0.0, 0.0], [9.0, 9.0]]), torch.zeros(2, 2))
    >>> total_correlation(spread.mean, spread)  # two places, said twice: one bit
    tensor([0.6931, 0.6931])
    """

    weight: Schedule = 3.0

    couples_rows = "a row's code is held against the codes of all rows of the batch"

    def __post_init__(self) -> None:
        check_weight("TotalCorrelation", self.weight)

    def check(self, composition: Any) -> None:
        """Refuse, before the first step, bottlenecks that are known to draw from no diagonal normal distribution."""
        bottleneck = composition.bottleneck
        gaussian = getattr(getattr(bottleneck, "inner", bottleneck), "gaussian", None)
        shape = getattr(gaussian, "posterior", "diagonal")
        # The rooms of one floor do not import each other, so parts are known by their descriptions.
        if type(bottleneck) is PARTS.get("Plain"):
            raise InputError(advice("Plain draws nothing"))
        if isinstance(shape, str) and shape != "diagonal":
            raise InputError(advice(f"its posterior is {shape!r}"))

    def __call__(self, trace: Trace) -> Tensor:
        code = trace.code
        if not isinstance(code.posterior, DiagonalNormal):
            found = "nothing" if code.posterior is None else type(code.posterior).__name__
            raise InputError(advice(f"this bottleneck draws from {found}"))
        z = code.z[0] if code.draws else code.z
        return total_correlation(z, code.posterior, trace.pass_.rows, trace.batch.row_weight)


def total_correlation(z: Tensor, posterior: DiagonalNormal, rows: int = 0, row_weight: Tensor | None = None) -> Tensor:
    """(n,) log q(z) - sum_j log q(z_j) of every code, nats; its mean is the total correlation.

    Parameters
    ----------
    z : (n, size) a draw of each row's code.
    posterior : of the same rows.
    rows : in the whole data set; 0 = the batch is all of it.
    row_weight : (n,) with mean 1 over the data set; None = all 1.
    """
    if len(z) < 2:
        return z.new_zeros(len(z))
    noise = (z[:, None] - posterior.mean) * (-posterior.log_scale).exp()
    units = -0.5 * noise.square() - posterior.log_scale - HALF_LOG_TWO_PI
    share = shares(len(z), rows, row_weight, z).log()
    together = torch.logsumexp(share + units.sum(2), 1)
    return together - torch.logsumexp(share[:, :, None] + units, 1).sum(1)


def shares(n: int, rows: int, row_weight: Tensor | None, like: Tensor) -> Tensor:
    """(n, n): how much the posterior of row j counts in the estimate of q at the code of row i; rows sum to 1."""
    weight = torch.ones(n, dtype=like.dtype, device=like.device) if row_weight is None else row_weight.to(like)
    weight = weight.clamp(min=ABSENT)
    total = torch.clamp(weight.sum(), min=float(rows))
    diagonal = torch.eye(n, dtype=torch.bool, device=like.device)
    own = (weight / total).clamp(max=1.0)
    # Over the others, as if they were all the rows that are not here as well.
    others = weight.expand(n, n).masked_fill(diagonal, 0.0)
    others = others / others.sum(1, keepdim=True) * (1 - own)[:, None]
    return torch.where(diagonal, own, others).clamp(min=ABSENT)


def advice(found: str) -> str:
    return (
        f"TotalCorrelation: needs a code drawn from a diagonal normal distribution, but {found}; use "
        "bottleneck=Gaussian(), or FactorTC, which asks for draws alone"
    )
