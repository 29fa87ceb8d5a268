"""The VAMP prior of a variational kind that is trained already: pseudo-inputs learned with the network as it is."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from isthmus.checks import check_whole
from isthmus.errors import InputError
from isthmus.parts.distributions.normal import DiagonalNormal, FullNormal
from isthmus.parts.priors.fitting import Pace, checked, climbed
from isthmus.parts.priors.mixture import MixtureOfNormals, check_memory
from isthmus.parts.priors.vamp import PseudoInputs, Vamp
from isthmus.records import NOWHERE, Batch, Site, part

PACE = Pace(steps=400, look=20, rate=1e-2)

REFUSED = "Vamp: the codes of this kind are not normal distributions, as those of 'vae' are; use 'mixture'"


@part
class Posteriors:
    """The mean of the posteriors of K pseudo-inputs, which were learned afterwards: what ``fit_prior("vamp")`` keeps.

    Once the network no longer changes, the posteriors of pseudo-inputs do not either: they are a mixture of K normal
    distributions, equally likely, and the network is not asked again.

    Parameters
    ----------
    components : K >= 1.

    References
    ----------
    Tomczak & Welling 2018, VAE with a VampPrior.

    Examples
    --------
    >>> prior = Posteriors(5).build(Site(code_size=3))
    >>> prior.log_prob(torch.zeros(4, 3)).shape
    torch.Size([4])
    """

    components: int = 500

    def __post_init__(self) -> None:
        check_whole("Posteriors", components=self.components)

    def build(self, site: Site = NOWHERE) -> MixtureOfNormals:
        check_memory("Vamp", self.components, site.code_size)
        return MixtureOfNormals(self.components, site)


def posteriors_of(composition: Any, inputs: PseudoInputs) -> DiagonalNormal | FullNormal:
    """Of all pseudo-inputs, or an error."""
    posteriors = inputs.posteriors()
    if not isinstance(posteriors, (DiagonalNormal, FullNormal)):
        raise InputError(REFUSED)
    return posteriors


def fit_vamp(vamp: Vamp, composition: Any, codes: Tensor, rows: Batch, generator: torch.Generator) -> MixtureOfNormals:
    """The prior of the codes (n, size), drawn one per row, of a trained composition.

    The pseudo-inputs begin at ``rows``, and are moved by Adam to raise the mean log density of the codes; the network
    is left as it is.

    Raises
    ------
    InputError : the composition's codes are not normal distributions.
    """
    if not hasattr(composition.bottleneck, "posterior"):
        raise InputError(REFUSED)
    size, device = codes.shape[1], rows.x.device
    inputs: Any = Vamp(vamp.components).build(Site(rows.layout, size, generator)).to(device, rows.x.dtype)
    inputs.joined(composition)
    inputs.to(device, rows.x.dtype)
    prior = Posteriors(vamp.components).build(Site(rows.layout, size, generator)).to(device)
    codes = checked(codes, size).to(device)
    with torch.no_grad():
        inputs.start(codes, rows)
        posteriors_of(composition, inputs)

    def density(some: Tensor, source: torch.Generator) -> Tensor:
        return inputs.log_prob(codes[some])

    climbed([inputs.inputs], density, len(codes), generator, PACE)
    with torch.no_grad():
        return kept(posteriors_of(composition, inputs), prior)


def kept(found: DiagonalNormal | FullNormal, prior: MixtureOfNormals) -> MixtureOfNormals:
    """The mixture whose components are the distributions ``found``, all equally likely."""
    log_scale = found.log_diagonal if isinstance(found, FullNormal) else found.log_scale
    prior.means, prior.log_scale = nn.Parameter(found.mean.to(prior.means)), nn.Parameter(log_scale.to(prior.means))
    prior.log_shares = nn.Parameter(torch.zeros_like(prior.means[:, 0]))
    if isinstance(found, FullNormal):
        prior.below = found.triangle.tril(-1).to(prior.means)
    return prior
