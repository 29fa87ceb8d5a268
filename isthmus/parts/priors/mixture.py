"""A mixture of normal distributions as prior."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from isthmus.checks import check_whole
from isthmus.errors import InputError
from isthmus.parts.distributions.normal import log_scale_of, standard_log_prob
from isthmus.parts.priors.fitting import Placed
from isthmus.records import NOWHERE, Context, Site, part

REGULARISER = 1e-4
"""Added to every variance when fitted to codes of variance 1."""

ROUNDS = 1000
"""Steps of expectation maximisation, at most."""

MOST = 200_000_000
"""Numbers in the triangles of all components, at most."""

SPREAD = 0.5
"""Standard deviation of the first means of all components but the first."""


@part
class Mixture:
    """Codes come from one of several normal distributions, each with its own share.

        p(z) = sum over k of share_k N(z; mean_k, L_k L_k^T)

    In a variational bottleneck it learns by the gradient, with independent units in each component (L_k diagonal);
    the first component begins as N(0, I), so one component begins as `Normal()`. Fitted to the codes of a trained kind
    it is found by expectation maximisation, with units that vary together.

    Parameters
    ----------
    components : k >= 1. ``fit`` uses at most one for every size + 1 rows.

    Notes
    -----
    Memory is components * size^2 numbers.

    References
    ----------
    Dilokthanakul et al. 2016, Deep unsupervised clustering with Gaussian mixture variational autoencoders; Ghosh et
    al. 2020, From variational to deterministic autoencoders (fitted afterwards).

    Examples
    --------
    >>> prior = Mixture(2).build(Site(code_size=3))
    >>> prior.fit(torch.randn(50, 3, generator=torch.Generator().manual_seed(0)), torch.Generator().manual_seed(0))
    >>> prior.log_prob(torch.zeros(5, 3)).shape, prior.sample(4, 3, torch.Generator()).shape
    (torch.Size([5]), torch.Size([4, 3]))
    """

    components: int = 10

    def __post_init__(self) -> None:
        check_whole("Mixture", components=self.components)

    def build(self, site: Site = NOWHERE) -> MixtureOfNormals:
        if self.components * max(1, site.code_size) ** 2 > MOST:
            raise InputError(
                f"Mixture: components={self.components:,} of codes of {site.code_size} numbers do not fit in memory; "
                f"use at most {MOST // max(1, site.code_size) ** 2:,}"
            )
        return MixtureOfNormals(self.components, site)


class MixtureOfNormals(Placed):
    """The module behind `Mixture`: ``means`` and ``log_scale`` (k, size), ``below`` (k, size, size), what the triangles
    hold below their diagonals, and ``log_shares`` (k,), up to a constant; a component that is not used has -inf."""

    below: Tensor

    def __init__(self, components: int, site: Site) -> None:
        super().__init__("Mixture", site)
        others = SPREAD * torch.randn(components - 1, self.size, generator=site.source)
        means = torch.cat((torch.zeros(1, self.size), others))
        self.means = nn.Parameter(means)
        self.log_scale = nn.Parameter(torch.zeros(components, self.size))
        self.log_shares = nn.Parameter(torch.zeros(components))
        self.register_buffer("below", torch.zeros(components, self.size, self.size))

    def triangles(self) -> tuple[Tensor, Tensor]:
        """The lower triangles (k, size, size), and the logarithms of their diagonals (k, size)."""
        log_scale = log_scale_of(self.log_scale)
        return self.below + torch.diag_embed(log_scale.exp()), log_scale

    def density(self, x: Tensor, context: Context | None = None) -> Tensor:
        triangles, log_scale = self.triangles()
        away = x.reshape(-1, self.size) - self.means[:, None]
        noise = torch.linalg.solve_triangular(triangles, away.mT, upper=False).mT
        each = standard_log_prob(noise) - log_scale.sum(-1, keepdim=True)
        log_shares = torch.log_softmax(self.log_shares, 0)
        return torch.logsumexp(log_shares[:, None] + each, 0).reshape(x.shape[:-1])

    def draw(self, n: int, generator: torch.Generator) -> Tensor:
        shares = torch.softmax(self.log_shares, 0).to(generator.device)
        which = torch.multinomial(shares, n, replacement=True, generator=generator).to(self.means.device)
        noise = torch.randn(n, self.size, generator=generator, device=generator.device).to(self.means)
        triangles, z = self.triangles()[0], self.means[which]
        for component in which.unique().tolist():  # together they would need n triangles
            rows = which == component
            z[rows] += noise[rows] @ triangles[component].T
        return z

    def learn(self, x: Tensor, generator: torch.Generator) -> None:
        # Imported here: it takes as long as the rest of the parts together.
        from sklearn.mixture import GaussianMixture

        rows = x.double().cpu().numpy()
        distinct = len(np.unique(rows.round(6), axis=0))
        used = max(1, min(len(self.means), distinct, len(rows) // (self.size + 1)))
        seed = int(torch.randint(2**31, (1,), generator=generator, device=generator.device))
        model = GaussianMixture(used, reg_covar=REGULARISER, max_iter=ROUNDS, random_state=seed)
        model.fit(rows if len(rows) > 1 else rows.repeat(2, axis=0))
        triangles = torch.linalg.cholesky(torch.from_numpy(model.covariances_))
        with torch.no_grad():
            self.means[:used] = torch.from_numpy(model.means_).to(self.means)
            self.log_scale[:used] = triangles.diagonal(dim1=-2, dim2=-1).log().to(self.log_scale)
            self.below[:used] = triangles.tril(-1).to(self.below)
            self.log_shares[:used] = torch.from_numpy(np.log(model.weights_)).to(self.log_shares)
            self.log_shares[used:] = -torch.inf
