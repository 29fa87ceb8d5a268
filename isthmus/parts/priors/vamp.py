"""The VAMP prior: a mixture of the encoder's own posteriors of inputs that it learns."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn

from isthmus.checks import check_whole
from isthmus.errors import InputError
from isthmus.parts.distributions.normal import HALF_LOG_TWO_PI, DiagonalNormal
from isthmus.parts.priors.fitting import check_size
from isthmus.records import NOWHERE, Batch, Context, Site, part

NOISE = 0.01
"""Standard deviation of what sets apart pseudo-inputs that start at the same row, in scaled units."""


@part
class Vamp:
    """Codes come from where the encoder puts K inputs that are learned with it, the pseudo-inputs u.

        p(z) = 1/K sum over k of q(z | u_k)

    The best prior of a variational kind is the mean of its posteriors over all rows; this one is that mean over K
    rows, which are free to move. It is learned in the bottleneck; afterwards there is nothing for it to learn from.

    Parameters
    ----------
    components : K >= 1. They are encoded in every step, as that many rows more would be.

    Notes
    -----
    Pseudo-inputs are scaled rows as the encoder is shown them, begun at training rows. Where rows are given conditions,
    each keeps those of the row that it began at. Of mixed tables they are what the first layer reads of a row: between
    two levels of a category there is nothing to move along.

    References
    ----------
    Tomczak & Welling 2018, VAE with a VampPrior.

    Examples
    --------
    >>> from isthmus.recipes import vae
    >>> from isthmus.records import Layout
    >>> parts = vae(prior=Vamp(components=20)).parts()
    >>> model = parts.build(Layout((6,), ("column",)), 2, torch.Generator().manual_seed(0))
    >>> model.bottleneck.prior.log_prob(torch.zeros(5, 2)).shape
    torch.Size([5])
    """

    components: int = 500

    def __post_init__(self) -> None:
        check_whole("Vamp", components=self.components)

    def build(self, site: Site = NOWHERE) -> PseudoInputs:
        return PseudoInputs(self.components, site)


class PseudoInputs(nn.Module):
    """The module behind `Vamp`: ``inputs`` (K, *shape), or (K, width) behind the entry of an encoder that has one, and
    ``given`` (K, conditions) where the encoder reads some."""

    given: Tensor | None

    def __init__(self, components: int, site: Site) -> None:
        super().__init__()
        if site.layout is None or site.code_size < 1:
            raise InputError("Vamp: it is built with a composition, such as recipes.vae(prior=Vamp()), never by itself")
        self.layout, self.size = site.layout, site.code_size
        self.inputs = nn.Parameter(torch.randn(components, *site.layout.shape, generator=site.source))
        self.register_buffer("given", None)
        self.seed = int(torch.randint(2**62, (1,), generator=site.source)) if site.layout.columns else 0
        self.owner: tuple[Any, ...] = ()

    def joined(self, composition: Any) -> None:
        # In a tuple, so that the composition is not registered within itself.
        self.owner = (composition,)
        conditions = getattr(composition.encoder, "given_size", 0)
        if not hasattr(composition.bottleneck, "posterior"):
            raise InputError("Vamp: it needs a bottleneck with a posterior: Gaussian or ImportanceWeighted")
        if self.entry is not None:
            noise = torch.randn(len(self.inputs), self.entry.width, generator=torch.Generator().manual_seed(self.seed))
            self.inputs = nn.Parameter(noise)
        if conditions:
            self.given = self.inputs.new_zeros(len(self.inputs), conditions)

    def start(self, points: Tensor, batch: Batch) -> None:
        """Begin at training rows, as the encoder is shown them; again at the first ones, a little moved, where there
        are fewer rows than pseudo-inputs."""
        composition = self.composition()
        rows = composition.view(batch)
        if self.entry is not None:
            rows = self.entry(rows, composition.context(batch).known)
        place = torch.arange(len(self.inputs), device=rows.device)
        # The pseudo-inputs are still the noise that they were built with.
        moved = (place >= len(rows)).reshape(-1, *[1] * (rows.ndim - 1)) * NOISE * self.inputs
        self.inputs.copy_(rows[place % len(rows)] + moved)
        if self.given is not None and batch.given is not None:
            self.given.copy_(batch.given[place % len(rows)])

    def composition(self) -> Any:
        if not self.owner:
            raise InputError("Vamp: it belongs to a composition, such as recipes.vae(prior=Vamp()), and has none yet")
        return self.owner[0]

    @property
    def entry(self) -> Any:
        """What turns the rows of a mixed table into numbers, in encoders that begin with that; else None."""
        return getattr(self.composition().encoder, "entry", None) if self.layout.columns else None

    def posteriors(self, chosen: Tensor | None = None) -> Any:
        """q(z | u) of all pseudo-inputs, or of those chosen by number."""
        composition = self.composition()
        # Outside of training, whatever the pass: what the prior is must not hang on dropout, or on the batch.
        context = composition.context(Batch(self.inputs, self.layout, given=self.given))
        encoder = composition.encoder if self.entry is None else composition.encoder.entered
        hidden = encoder(self.inputs, context)
        return composition.bottleneck.posterior(hidden if chosen is None else hidden[chosen])

    def log_prob(self, z: Tensor, context: Context | None = None) -> Tensor:
        """(..., size) -> (...,) nats."""
        check_size(z.shape[-1], self.size)
        flat, posteriors = z.reshape(-1, self.size), self.posteriors()
        if isinstance(posteriors, DiagonalNormal):
            each = every_pair(flat, posteriors)
        else:
            each = posteriors.log_prob(flat[:, None].expand(-1, len(self.inputs), -1))
        return (torch.logsumexp(each, -1) - math.log(len(self.inputs))).reshape(z.shape[:-1]).to(z.dtype)

    def sample(self, n: int, code_size: int, generator: torch.Generator) -> Tensor:
        """(n, code_size): draws from posteriors picked at random."""
        check_size(code_size, self.size)
        where = self.inputs.device
        which = torch.randint(len(self.inputs), (n,), generator=generator, device=generator.device).to(where)
        if generator.device != where:
            seed = int(torch.randint(2**62, (1,), generator=generator, device=generator.device))
            generator = torch.Generator(where).manual_seed(seed)
        with torch.no_grad():
            return self.posteriors(which).sample(1, generator)[0]

    def fit(self, codes: Tensor, generator: torch.Generator) -> None:
        raise InputError(
            "Vamp: it is learned with the encoder, recipes.vae(prior=Vamp()); to codes fit Mixture() or Flow()"
        )


def every_pair(z: Tensor, normals: DiagonalNormal) -> Tensor:
    """(m, K): the log density of each of ``z`` (m, size) under each of K normal distributions.

        sum (z - mean)^2 / v = z^2 . 1/v - 2 z . mean/v + sum mean^2/v

    by matrix products, without an array of (m, K, size); in float64, because for small v large numbers cancel here.
    """
    z, mean, log_scale = z.double(), normals.mean.double(), normals.log_scale.double()
    narrowness = (-2 * log_scale).exp()
    constant = (mean.square() * narrowness).sum(-1) + 2 * (log_scale + HALF_LOG_TWO_PI).sum(-1)
    return z @ (mean * narrowness).T - 0.5 * (z.square() @ narrowness.T + constant)
