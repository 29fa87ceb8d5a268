"""A mixture of normal distributions as prior, also one that hangs on what rows are given."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from isthmus.checks import check_whole
from isthmus.errors import InputError
from isthmus.parts.distributions.normal import log_scale_of, standard_log_prob
from isthmus.parts.priors.expectation import Normals, fitted_normals, lone_normal, spread_within, together
from isthmus.parts.priors.fitting import Given, Grown, Placed, one_seed, told
from isthmus.records import NOWHERE, Context, Site, part

MOST = 200_000_000
"""Numbers in the triangles of all components, at most."""

SPREAD = 0.5
"""Standard deviation of the first means of all components but the first."""

UNCHOSEN = 10
"""Components in a bottleneck where their number is left open: it can only be chosen afterwards."""

FEW = 5
"""A class with fewer rows than this for every unit has one component, which leans on the other classes' spread."""


@part
class Mixture:
    """Codes come from one of several normal distributions, each with its own share.

        p(z) = sum over k of share_k N(z; mean_k, L_k L_k^T)

    In a variational bottleneck it learns by the gradient, with independent units in each component (L_k diagonal);
    the first component begins as N(0, I), so one component begins as `Normal()`. Fitted to the codes of a trained kind
    it is found by expectation maximisation, with units that vary together.

    Parameters
    ----------
    components : k >= 1, of which ``fit`` uses at most one for every size + 1 rows. None: when fitted, the best of 1, 2,
        4, ... 128 by the Bayesian information criterion (on 10,000 rows, where there are more; it stops after two that
        are no better); in a bottleneck, 10.

    Notes
    -----
    Memory is components * size^2 numbers.

    Fitted to codes of rows that are given something, it is p(z | given): every label has a mixture of its own, of codes
    and quantities y together, (y, z), of which the quantities are then known:

        p(z | y) = sum over k of share_k(y) N(z | y; k),    share_k(y) in proportion to share_k N(y; mean_k, ..)

    Where nothing is given it is the mixture of all labels and quantities, each as frequent as among the rows of the
    fit; so it is for several labels that no row had together.

    References
    ----------
    Dilokthanakul et al. 2016, Deep unsupervised clustering with Gaussian mixture variational autoencoders; Ghosh et
    al. 2020, From variational to deterministic autoencoders (fitted afterwards); Schwarz 1978, Estimating the dimension
    of a model (the criterion).

    Examples
    --------
    >>> prior = Mixture(2).build(Site(code_size=3))
    >>> prior.fit(torch.randn(50, 3, generator=torch.Generator().manual_seed(0)), torch.Generator().manual_seed(0))
    >>> prior.log_prob(torch.zeros(5, 3)).shape, prior.sample(4, 3, torch.Generator()).shape
    (torch.Size([5]), torch.Size([4, 3]))
    """

    components: int | None = 10

    def __post_init__(self) -> None:
        if self.components is not None:
            check_whole("Mixture", components=self.components)

    def build(self, site: Site = NOWHERE) -> MixtureOfNormals:
        check_memory("Mixture", self.components or 1, site.code_size)
        return MixtureOfNormals(self.components, site)


def check_memory(kind: str, components: int, size: int) -> None:
    """Refuse components that cannot be held."""
    if components > room(size):
        raise InputError(
            f"{kind}: components={components:,} of codes of {size} numbers do not fit in memory; use at most "
            f"{room(size):,}"
        )


def room(units: int) -> int:
    """How many components of so many units can be held."""
    return MOST // max(1, units) ** 2


class MixtureOfNormals(Grown, Placed):
    """The module behind `Mixture`: ``means`` and ``log_scale`` (k, size), ``below`` (k, size, size), what the triangles
    hold below their diagonals, and ``log_shares`` (k,), up to a constant; a component that is not used has -inf.

    Fitted to rows that are given q quantities, all these have q units more, before the code's; ``labelled``
    (conditions,) says which conditions are labels', ``classes`` (c, labels) holds the labels of every class of rows,
    and ``owner`` (k,) the class of every component.
    """

    below: Tensor
    labelled: Any
    classes: Any
    owner: Any

    reads_given = True
    grows = ("means", "log_scale", "below", "log_shares")
    at_times = ("labelled", "classes", "owner")

    def __init__(self, components: int | None, site: Site) -> None:
        super().__init__("Mixture", site)
        self.wanted, components = components, components or max(1, min(UNCHOSEN, room(self.size)))
        others = SPREAD * torch.randn(components - 1, self.size, generator=site.source)
        means = torch.cat((torch.zeros(1, self.size), others))
        self.means = nn.Parameter(means)
        self.log_scale = nn.Parameter(torch.zeros(components, self.size))
        self.log_shares = nn.Parameter(torch.zeros(components))
        self.register_buffer("below", torch.zeros(components, self.size, self.size))
        for name in self.at_times:
            self.register_buffer(name, None)

    @property
    def quantities(self) -> int:
        """How many quantities stand before the code."""
        return self.means.shape[1] - self.size

    def triangles(self) -> tuple[Tensor, Tensor]:
        """The lower triangles (k, units, units), and the logarithms of their diagonals (k, units)."""
        log_scale = log_scale_of(self.log_scale)
        return self.below + torch.diag_embed(log_scale.exp()), log_scale

    def of_codes(self) -> tuple[Tensor, Tensor]:
        """The triangles of the codes alone, whatever the quantities, and the logarithms of their diagonals."""
        triangles, log_scale = self.triangles()
        if self.quantities:
            onto = triangles[:, self.quantities :]
            triangles = torch.linalg.cholesky(onto @ onto.mT)
            log_scale = triangles.diagonal(dim1=-2, dim2=-1).log()
        return triangles, log_scale

    def known(self, given: Tensor, triangles: Tensor, log_scale: Tensor) -> tuple[Tensor, Tensor]:
        """Of what rows are given (n, conditions): the logarithms of the components' shares in them (k, n), and the
        quantities as noise of each component (k, n, quantities)."""
        given, q = given.to(self.means), self.quantities
        hits = self.classes @ given[:, self.labelled].T > self.classes.sum(1, keepdim=True) - 0.5
        # Labels that no row had together are given the codes of all rows.
        own = (hits | ~hits.any(0))[self.owner]
        away = given[:, ~self.labelled] - self.means[:, None, :q]
        noise = torch.linalg.solve_triangular(triangles[:, :q, :q], away.mT, upper=False).mT
        likely = standard_log_prob(noise) - log_scale[:, :q].sum(-1, keepdim=True)
        shares = (self.log_shares[:, None] + likely).masked_fill(~own, -torch.inf)
        return torch.log_softmax(shares, 0), noise

    def components(self, n: int, given: Tensor | None) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """For n rows that are given something (n, conditions): the triangles (k, size, size), the logarithms of their
        diagonals (k, size), of the shares (k, n), and the means (k, n, size).

        Of (y, z) with the triangle [[A, 0], [B, C]], z given quantities y is normal around mean + B noise_y, with C.
        """
        q = self.quantities
        if given is None or self.labelled is None:
            shares, centres = torch.log_softmax(self.log_shares, 0)[:, None], self.means[:, None, q:]
            return *self.of_codes(), shares.expand(-1, n), centres.expand(-1, n, -1)
        triangles, log_scale = self.triangles()
        shares, noise = self.known(given, triangles, log_scale)
        centres = self.means[:, None, q:] + noise @ triangles[:, q:, :q].mT
        return triangles[:, q:, q:], log_scale[:, q:], shares, centres

    def density(self, x: Tensor, context: Context | None = None) -> Tensor:
        flat = x.reshape(-1, self.size)
        given = None if context is None or self.labelled is None else told(context.given, x)
        triangles, log_scale, log_shares, centres = self.components(len(flat), given)
        noise = torch.linalg.solve_triangular(triangles, (flat - centres).mT, upper=False).mT
        each = standard_log_prob(noise) - log_scale.sum(-1, keepdim=True)
        return torch.logsumexp(log_shares + each, 0).reshape(x.shape[:-1])

    def draw(self, n: int, generator: torch.Generator, context: Context | None = None) -> Tensor:
        given, q = None if context is None or self.labelled is None else context.given, self.quantities
        (triangles, log_scale), told_noise = self.triangles(), None
        if given is None:
            shares = torch.softmax(self.log_shares, 0).to(generator.device)
            which = torch.multinomial(shares, n, replacement=True, generator=generator)
        else:
            log_shares, told_noise = self.known(given, triangles, log_scale)
            which = torch.multinomial(log_shares.T.exp().to(generator.device), 1, generator=generator)[:, 0]
        which = which.to(self.means.device)
        noise = torch.randn(n, q + self.size, generator=generator, device=generator.device).to(self.means)
        if told_noise is not None:
            noise[:, :q] = told_noise[which, torch.arange(n, device=which.device)]
        z = self.means[which][:, q:]
        for component in which.unique().tolist():  # together they would need n triangles
            rows = which == component
            z[rows] += noise[rows] @ triangles[component, q:].T
        return z

    def learn(self, x: Tensor, generator: torch.Generator, given: Given | None = None) -> None:
        rows, seed = x.double().cpu().numpy(), one_seed(generator)
        if given is None:
            self.labelled = self.classes = self.owner = None
            self.keep(fitted_normals(rows, self.wanted, room(self.size), seed))
            return
        labelled, values, like = given.labelled.cpu(), given.values.double().cpu(), self.means
        classes, number = kinds_of(values[:, labelled])
        rows = np.concatenate((values[:, ~labelled].numpy(), rows), axis=1)
        places = [np.flatnonzero(number.numpy() == one) for one in range(len(classes))]
        within, most = spread_within(rows, places), max(1, room(rows.shape[1]) // len(places))
        found = [
            lone_normal(rows[place], within)
            if len(place) < FEW * (rows.shape[1] + 1)
            else fitted_normals(rows[place], self.wanted, most, seed)
            for place in places
        ]
        counts = [len(one.means) for one in found]
        owner = torch.arange(len(places)).repeat_interleave(torch.tensor(counts))
        self.labelled, self.owner = labelled.to(like.device), owner.to(like.device)
        self.classes = classes.to(like)
        self.keep(together(found, [len(place) / len(rows) for place in places]))

    def keep(self, found: Normals) -> None:
        """Take the place of the components there were; those that are asked for and not found have no share."""
        used, units = found.means.shape
        count = used if self.wanted is None or self.owner is not None else max(used, self.wanted)
        like = self.means.detach()
        means, log_scale, below = like.new_zeros(count, units), like.new_zeros(count, units), found.triangles.tril(-1)
        log_shares = like.new_full((count,), -torch.inf)
        means[:used], log_shares[:used] = found.means.to(like), found.log_shares.to(like)
        log_scale[:used] = found.triangles.diagonal(dim1=-2, dim2=-1).log().to(like)
        self.means, self.log_scale, self.log_shares = (nn.Parameter(one) for one in (means, log_scale, log_shares))
        self.below = torch.cat((below.to(like), like.new_zeros(count - used, units, units)))


def kinds_of(labels: Tensor) -> tuple[Tensor, Tensor]:
    """The different rows of ``labels`` (n, columns), and which of them each row is (n,); without columns all one."""
    if not labels.shape[1]:
        return labels[:1], torch.zeros(len(labels), dtype=torch.int64)
    return labels.unique(dim=0, return_inverse=True)
