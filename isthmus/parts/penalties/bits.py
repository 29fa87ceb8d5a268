"""Penalties that make the bits of a code say as much as they can: each on in half of the rows, no two alike."""

from __future__ import annotations

import math

from torch import Tensor

from isthmus.checks import is_real
from isthmus.errors import InputError
from isthmus.parts.penalties.common import check_weight
from isthmus.parts.penalties.discrepancy import drawn
from isthmus.parts.penalties.sparsity import EDGE
from isthmus.records import Schedule, Trace, part


@part
class Balance:
    """Half the squared mean of every bit over the batch, as -1 or 1: bits that are on in half of the rows cost nothing.

        weight * sum_j mean(s_j)^2 / 2,   s = -1 or 1

    which is, to second order, the nats that the bits fall short of log 2 each.

    Parameters
    ----------
    weight : nats per nat, >= 0.
    ends : the two values of a bit, (low, high): ``(-1, 1)`` for ``FiniteScalar(2)``, ``(0, 1)`` for `Binary`.

    References
    ----------
    Weiss, Torralba & Fergus 2008, Spectral hashing.
    """

    weight: Schedule = 1.0
    ends: tuple[float, float] = (-1.0, 1.0)

    couples_rows = "how often a bit is on is asked of all rows of the batch"

    def __post_init__(self) -> None:
        check_bits_penalty("Balance", self.weight, self.ends)

    def __call__(self, trace: Trace) -> Tensor:
        signs, share = signs_of(trace, self.ends)
        return (share @ signs).square().sum() / 2


@part
class Independence:
    """Half the squared covariance of every two bits over the batch, as -1 or 1: bits that repeat others cost.

        weight * sum_(j < k) cov(s_j, s_k)^2 / 2

    which is, to second order and for balanced bits, what they say of one another in nats. Chance alone makes it
    ``bits (bits - 1) / (4 n)`` in the mean for a batch of n rows.

    Parameters
    ----------
    weight, ends : as for `Balance`.

    References
    ----------
    As for `Balance`.
    """

    weight: Schedule = 1.0
    ends: tuple[float, float] = (-1.0, 1.0)

    couples_rows = "what bits say of one another is asked of all rows of the batch"

    def __post_init__(self) -> None:
        check_bits_penalty("Independence", self.weight, self.ends)

    def __call__(self, trace: Trace) -> Tensor:
        signs, share = signs_of(trace, self.ends)
        centred = signs - share @ signs
        covariance = (share[:, None] * centred).T @ centred
        return (covariance.square().sum() - covariance.diagonal().square().sum()) / 4


def signs_of(trace: Trace, ends: tuple[float, float]) -> tuple[Tensor, Tensor]:
    """(n, bits) what the decoder reads, as -1 and 1, with its gradient; and (n,) the rows' shares in a mean."""
    z, weight = drawn("code", trace), trace.batch.row_weight
    weight = z.new_ones(len(z)) if weight is None else weight.to(z)
    low, high = ends
    return (2 * z - (low + high)) / (high - low), weight / weight.sum().clamp(min=EDGE)


def check_bits_penalty(name: str, weight: Schedule, ends: tuple[float, float]) -> None:
    check_weight(name, weight)
    told = isinstance(ends, (tuple, list)) and len(ends) == 2 and all(map(is_real, ends))
    if not (told and -math.inf < ends[0] < ends[1] < math.inf):
        raise InputError(f"{name}: ends must be the two values of a bit, (-1, 1) or (0, 1); got {ends!r}")
