"""RecVAE's price of a code: how far it is from what the encoder of a while ago, and a standard normal one, expect."""

from __future__ import annotations

import copy
import math
from typing import Any

import torch
from torch import Tensor, nn

from isthmus.checks import is_real
from isthmus.errors import InputError
from isthmus.parts.distributions.normal import HALF_LOG_TWO_PI, DiagonalNormal, log_scale_of, precise
from isthmus.parts.penalties.common import check_weight
from isthmus.records import NOWHERE, Schedule, Site, Trace, part

WIDE = 5.0
"""Log standard deviation of the widest of the three normal distributions, which lets a code go where none was."""


@part
class Remembered:
    """Divergence of a row's code from a composite prior, in which its own code of a while ago has the largest share.

        weight * total of the row * (log q(z | x) - log p(z | x))
        p(z | x) = shares[0] N(0, 1) + shares[1] q_old(z | x) + shares[2] N(0, e^10)

    q_old is the encoder as it was when `RememberedPosterior.remember` was last called, shown the row without
    noise: what one round of training has found is not lost in the next. Put it beside a `Gaussian` bottleneck at rate
    0, for which it stands in.

    Parameters
    ----------
    weight : nats per nat and per unit of the row's total, >= 0.
    shares : of the standard normal, of the old posterior, and of the wide normal distribution; they sum to 1.

    References
    ----------
    Shenbin, Alekseev, Tutubalina, Malykh & Nikolenko 2020, "RecVAE: a new variational autoencoder for top-N
    recommendations with implicit feedback".

    Examples
    --------
    >>> standard = DiagonalNormal(torch.zeros(1, 2), torch.zeros(1, 2))
    >>> composite_log_prob(torch.zeros(1, 2), standard, (0.5, 0.5, 0.0)) == standard.log_prob(torch.zeros(1, 2))
    tensor([True])
    """

    weight: Schedule = 0.005
    shares: tuple[float, float, float] = (0.15, 0.75, 0.1)

    def __post_init__(self) -> None:
        check_weight("Remembered", self.weight)
        usable = len(self.shares) == 3 and all(is_real(share) and share >= 0 for share in self.shares)
        if not usable or abs(sum(self.shares) - 1) > 1e-6:
            raise InputError(f"Remembered: shares must be three numbers >= 0 that sum to 1; got {self.shares!r}")

    def build(self, site: Site = NOWHERE) -> RememberedPosterior:
        return RememberedPosterior(self)


class RememberedPosterior(nn.Module):
    """The module behind `Remembered`: a copy of the encoder, which learns nothing."""

    def __init__(self, remembered: Remembered) -> None:
        super().__init__()
        self.weight, self.shares = remembered.weight, remembered.shares
        self.old: nn.Module | None = None
        self.term = "Remembered"

    def joined(self, composition: Any) -> None:
        """Copy the encoder; refuse a bottleneck that draws from no diagonal normal distribution."""
        if getattr(getattr(composition.bottleneck, "gaussian", None), "posterior", None) != "diagonal":
            raise InputError("Remembered needs a Gaussian bottleneck with posterior='diagonal'")
        self.old = copy.deepcopy(composition.encoder).requires_grad_(False)

    def remember(self, composition: Any) -> None:
        """From now on the encoder as it is now is the old one."""
        assert self.old is not None
        self.old.load_state_dict(composition.encoder.state_dict())

    def __call__(self, trace: Trace) -> Tensor:
        """(n,) what each row pays, before the weight."""
        posterior, z = trace.code.posterior, trace.code.z
        with torch.no_grad():
            assert self.old is not None
            composition: Any = trace.composition
            view = composition.view(trace.batch)
            mean, raw = precise(self.old(view, composition.context(trace.batch))).chunk(2, dim=1)
        before = DiagonalNormal(mean, log_scale_of(raw))
        nats = posterior.log_prob(z) - composite_log_prob(z, before, self.shares)
        return trace.batch.visible().flatten(1).sum(1) * nats


def composite_log_prob(z: Tensor, before: DiagonalNormal, shares: tuple[float, float, float]) -> Tensor:
    """(n,) log density of codes (n, size) under the mixture, unit by unit, as the paper's program has it."""
    zero = torch.zeros_like(z)
    normals = (DiagonalNormal(zero, zero), before, DiagonalNormal(zero, zero + WIDE))
    parts = [math.log(share) + unit_log_prob(z, one) for share, one in zip(shares, normals, strict=True) if share > 0]
    return torch.logsumexp(torch.stack(parts), dim=0).sum(1)


def unit_log_prob(z: Tensor, normal: DiagonalNormal) -> Tensor:
    """(n, size) log density of every unit."""
    noise = (z - normal.mean) * (-normal.log_scale).exp()
    return -0.5 * noise.square() - normal.log_scale - HALF_LOG_TWO_PI
