"""A flow as prior: a standard normal distribution, bent by invertible layers."""

from __future__ import annotations

import torch
from torch import Tensor

from isthmus.checks import check_whole
from isthmus.errors import InputError
from isthmus.parts.distributions.normal import standard_log_prob
from isthmus.parts.flows import Autoregressives, Chain, Couplings
from isthmus.parts.priors.fitting import Given, Placed, climb
from isthmus.records import NOWHERE, Context, Site, part

KINDS = ("coupling", "autoregressive")


@part
class Flow:
    """Codes are draws of N(0, I), bent by invertible layers that start as the identity.

        log p(z) = log N(u; 0, I) - log |dz / du|,    z = layers(u)

    It learns by the gradient in a variational bottleneck, or is fitted to the codes of a trained kind by maximum
    likelihood (Adam, a tenth of the codes held out, the weights that served those best kept).

    Parameters
    ----------
    layers : >= 1.
    kind : ``"coupling"``: half the units are bent as the others say, by turns; fast both ways.
        ``"autoregressive"``: every unit is bent as all those before it say; closer to the codes, and as many passes as
        units for a draw.

    References
    ----------
    Dinh, Sohl-Dickstein & Bengio 2017, Density estimation using Real NVP; Papamakarios, Pavlakou & Murray 2017, Masked
    autoregressive flow for density estimation.

    Examples
    --------
    >>> prior = Flow().build(Site(code_size=3))
    >>> prior.log_prob(torch.zeros(5, 3)).shape, prior.sample(4, 3, torch.Generator()).shape
    (torch.Size([5]), torch.Size([4, 3]))
    """

    layers: int = 6
    kind: str = "coupling"

    def __post_init__(self) -> None:
        check_whole("Flow", layers=self.layers)
        if self.kind not in KINDS:
            raise InputError(f"Flow: kind must be one of {', '.join(KINDS)}; got {self.kind!r}")

    def build(self, site: Site = NOWHERE) -> BentNormal:
        return BentNormal(self, site)


class BentNormal(Placed):
    """The module behind `Flow`."""

    def __init__(self, flow: Flow, site: Site) -> None:
        super().__init__("Flow", site)
        source = site.source
        self.layers: Chain = (
            Couplings(self.size, flow.layers, 0, source)
            if flow.kind == "coupling"
            else Autoregressives(self.size, flow.layers, source)
        )

    def density(self, x: Tensor, context: Context | None = None) -> Tensor:
        start, growth = self.layers.inverse(x)
        return standard_log_prob(start) + growth

    def draw(self, n: int, generator: torch.Generator, context: Context | None = None) -> Tensor:
        noise = torch.randn(n, self.size, generator=generator, device=generator.device).to(self.middle)
        return self.layers(noise)[0]

    def learn(self, x: Tensor, generator: torch.Generator, given: Given | None = None) -> None:
        climb(self, x, generator)
