"""Penalties judged by a network of their own, which learns to tell the codes from what they should be.

One optimiser trains both sides. A penalty adds up two terms, and what each may move is cut off from the other:

    the encoder's    reads the codes through the judge with the judge's weights held fixed,
    the judge's      reads the codes held fixed: its cross-entropy at telling which is which.

The judge's term is added with the value 0, so that what the history shows is the encoder's.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from isthmus.checks import is_whole
from isthmus.errors import InputError
from isthmus.parts.penalties.common import check_weight
from isthmus.parts.penalties.discrepancy import TowardsPrior, drawn, source_of
from isthmus.records import NOWHERE, Schedule, Site, Trace, part

TWO_SIDES = "the judge and the encoder follow gradients of different terms; neither is that of the value"
"""Why finite differences of the objective are not what is followed."""

ADVERSARY = "judge the fit by valid_cost: this penalty rises when the judge learns, and falls when it fails to"
"""Why the penalty's value does not say which epoch is the best."""


@part
class AdversarialPrior:
    """Codes that a judge cannot tell from draws of a prior.

        encoder:  weight * -log sigmoid D(z)
        judge:    weight * 1/2 (-log sigmoid D(p) - log sigmoid(-D(z))),   p drawn from the prior

    D(z) is the logarithm of the odds that z is a draw of the prior. Where the judge is at a loss the encoder's term is
    log 2 = 0.69 for every row; above that, codes still can be told.

    Parameters
    ----------
    weight : nats per row for one nat of the judge's surprise, >= 0. At 0 the judge does not learn either.
    hidden : widths of the judge's hidden layers.
    prior : as for `MMD`.

    References
    ----------
    Makhzani, Shlens, Jaitly, Goodfellow & Frey 2016, Adversarial autoencoders; the encoder's term is the
    non-saturating one of Goodfellow et al. 2014, Generative adversarial nets.
    """

    weight: Schedule = 2.0
    hidden: tuple[int, ...] = (64, 64)
    prior: Any = None

    couples_rows = "the judge learns from all rows' codes and the prior's draws"
    draws_noise = "codes are judged beside draws of the prior, made anew for each batch"
    estimates_gradient = TWO_SIDES
    adversary = ADVERSARY

    def __post_init__(self) -> None:
        check_weight("AdversarialPrior", self.weight)
        check_hidden("AdversarialPrior", self.hidden)

    def build(self, site: Site = NOWHERE) -> PriorContest:
        return PriorContest(self, site)


@part
class FactorTC:
    """Total correlation of the codes, by a judge that tells them from codes whose units are shuffled over the batch.

        encoder:  weight * D(z),   which is the total correlation in the mean where the judge is right
        judge:    weight * 1/2 (-log sigmoid D(z) - log sigmoid(-D(s))),   s: every unit from a row of its own

    D(z) is the logarithm of q(z) / prod_j q(z_j). Unlike `TotalCorrelation` this needs nothing but draws, so any
    bottleneck will do, and it takes n * size numbers of memory; but the judge has to be learnt.

    Parameters
    ----------
    weight : nats per row for one nat of total correlation, >= 0. At 0 the judge does not learn either.
    hidden : widths of the judge's hidden layers.

    References
    ----------
    Kim & Mnih 2018, Disentangling by factorising.
    """

    weight: Schedule = 3.0
    hidden: tuple[int, ...] = (64, 64)

    couples_rows = "the units of a code are shuffled over the rows of the batch"
    draws_noise = "the order in which units are shuffled is drawn for each batch"
    estimates_gradient = TWO_SIDES
    adversary = ADVERSARY

    def __post_init__(self) -> None:
        check_weight("FactorTC", self.weight)
        check_hidden("FactorTC", self.hidden)

    def build(self, site: Site = NOWHERE) -> ShuffleContest:
        return ShuffleContest(self, site)


class PriorContest(TowardsPrior):
    """The module behind `AdversarialPrior`."""

    estimates_gradient = TWO_SIDES
    adversary = ADVERSARY

    def __init__(self, penalty: AdversarialPrior, site: Site) -> None:
        super().__init__(penalty, site)
        self.judge = Judge(self.term, site, penalty.hidden)

    def forward(self, trace: Trace) -> Tensor:
        codes = drawn("code", trace)
        draws = self.draws_like(codes, source_of(trace))
        return F.softplus(-self.judge.fixed(codes)) + self.judge.lesson(draws, codes)


class ShuffleContest(nn.Module):
    """The module behind `FactorTC`."""

    term = "FactorTC"
    couples_rows = FactorTC.couples_rows
    draws_noise = FactorTC.draws_noise
    estimates_gradient = TWO_SIDES
    adversary = ADVERSARY

    def __init__(self, penalty: FactorTC, site: Site) -> None:
        super().__init__()
        self.weight = penalty.weight
        self.judge = Judge(self.term, site, penalty.hidden)

    def forward(self, trace: Trace) -> Tensor:
        codes = drawn("code", trace)
        return self.judge.fixed(codes) + self.judge.lesson(codes, shuffled(codes, source_of(trace)))


class Judge(nn.Module):
    """A small network that says, of each code, the logarithm of the odds that it is a genuine one."""

    def __init__(self, name: str, site: Site, hidden: tuple[int, ...]) -> None:
        super().__init__()
        if not site.code_size:
            raise InputError(
                f"{name}: the code's size is not known; in compose, write {name}().build(ist.Site(code_size=32))"
            )
        source, widths = site.source, (site.code_size, *hidden, 1)
        layers = [nn.utils.skip_init(nn.Linear, here, there) for here, there in pairwise(widths)]
        with torch.no_grad():
            for layer in layers:
                layer.weight.normal_(0, (2 / layer.in_features) ** 0.5, generator=source)
                layer.bias.zero_()
            # Undecided at first, so that the first steps of the encoder do not follow an arbitrary opinion.
            layers[-1].weight.mul_(0.1)
        self.hidden, self.last = nn.ModuleList(layers[:-1]), layers[-1]

    def forward(self, z: Tensor) -> Tensor:
        """(n, size) -> (n,)"""
        for layer in self.hidden:
            z = F.leaky_relu(layer(z), 0.2)
        return self.last(z)[:, 0]

    def fixed(self, z: Tensor) -> Tensor:
        """(n,) the same, with a gradient in z alone."""
        weights = {name: value.detach() for name, value in self.named_parameters()}
        return torch.func.functional_call(self, weights, (z,))

    def lesson(self, genuine: Tensor, others: Tensor) -> Tensor:
        """(n,) zeros whose gradient, in the judge's weights alone, is that of its cross-entropy."""
        right = F.softplus(-self(genuine.detach())) + F.softplus(self(others.detach()))
        return 0.5 * (right - right.detach())


def shuffled(codes: Tensor, source: torch.Generator) -> Tensor:
    """(n, size): every unit's values, over the rows in an order of its own, so that units are independent."""
    orders = torch.rand(codes.shape, generator=source, device=codes.device).argsort(0)
    return codes.gather(0, orders)


def check_hidden(name: str, hidden: tuple[int, ...]) -> None:
    if not isinstance(hidden, (tuple, list)) or not all(is_whole(width) and width >= 1 for width in hidden):
        raise InputError(f"{name}: hidden must be whole numbers >= 1, e.g. (64, 64); got {hidden!r}")
