"""Walks among codes: steps that stay with the density of the codes, lines and arcs between two, and a path along it.

All of them are about a mixture of normal distributions of the codes, and in its own units: each unit shifted by its
mean and divided by its spread (`Placed`), so that distances mean the same in all.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from isthmus.parts.distributions.normal import standard_log_prob
from isthmus.parts.priors.mixture import MixtureOfNormals

NUMBERS = 2**24
"""Numbers at most that moving codes takes at once: each code its triangle, and its noise in all components."""

NEAR = 64
"""Components that a path is told of: those from which some point of the line most probably comes."""

PULL = 10.0
"""What a nat of density, in the mean along a path, is worth in squared length."""

WAVES, KNOTS, CLIMB, RATE = 8, 33, 100, 0.1
"""How many waves a path may bend in, the points at which density is looked at, the steps that bend it, and Adam's rate
at their beginning."""

NO_ARC = 1e-3
"""Directions nearer than this, in radians, or so near to opposite ones, have no arc between them."""


@dataclass(frozen=True)
class Ground:
    """A mixture as it is for rows that are all given the same, made for many looks at its density.

    Attributes
    ----------
    log_shares : (k,) of the components, less log sqrt det of their covariances.
    centres : (k, size) their means.
    whitening : (k, size, size) the inverses of their triangles.
    """

    log_shares: Tensor
    centres: Tensor
    whitening: Tensor

    @classmethod
    @torch.no_grad()
    def of(cls, prior: MixtureOfNormals, given: Tensor | None) -> Ground:
        """``given`` is (1, conditions), or None."""
        triangles, log_scale, log_shares, centres = prior.components(1, given)
        whitening = torch.linalg.inv(triangles)
        return cls((log_shares - log_scale.sum(-1, keepdim=True))[:, 0], centres[:, 0], whitening)

    def odds(self, x: Tensor) -> Tensor:
        """(k, m) log density of points (m, size) in each component, times its share; all together is the mixture's."""
        noise = (x - self.centres[:, None]) @ self.whitening.mT
        return self.log_shares[:, None] + standard_log_prob(noise)

    def around(self, points: Tensor) -> Ground:
        """The `NEAR` components that some of the points (m, size) most probably come from."""
        near = self.odds(points).log_softmax(0).amax(1).topk(min(NEAR, len(self.centres))).indices
        return Ground(self.log_shares[near], self.centres[near], self.whitening[near])


@dataclass(frozen=True)
class AtHome:
    """Codes as points of one component each,  x = centre + triangle noise,  in the mixture's units.

    Attributes
    ----------
    centre : (n, size) the component's mean.
    triangle : (n, size, size) the lower triangle of its covariance.
    noise : (n, size), N(0, I) where the code comes from the component.
    """

    centre: Tensor
    triangle: Tensor
    noise: Tensor

    def moved(self, noise: Tensor) -> Tensor:
        """(n, size) points of the same components with other noise."""
        return self.centre + (self.triangle @ noise[..., None])[..., 0]


def at_home(prior: MixtureOfNormals, x: Tensor, given: Tensor | None, generator: torch.Generator) -> AtHome:
    """A component for each of the points (n, size), drawn by how probable it is that the point comes from it.

    What rows are given (n, conditions) says which components there are, and of quantities where they lie.
    """
    triangles, log_scale, log_shares, centres = prior.components(len(x), given)
    noise = torch.linalg.solve_triangular(triangles, (x - centres).mT, upper=False).mT
    odds = log_shares + standard_log_prob(noise) - log_scale.sum(-1, keepdim=True)
    drawn = torch.multinomial(odds.softmax(0).T.to(generator.device), 1, generator=generator)[:, 0].to(x.device)
    row = torch.arange(len(x), device=x.device)
    return AtHome(centres[drawn, row], triangles[drawn], noise[drawn, row])


def some_at_once(prior: MixtureOfNormals) -> int:
    """How many codes may be taken home together."""
    return max(1, NUMBERS // (prior.size * max(prior.size, len(prior.means))))


@torch.no_grad()
def varied(
    prior: MixtureOfNormals, z: Tensor, spread: float, generator: torch.Generator, given: Tensor | None = None
) -> Tensor:
    """Codes (n, size) moved at random, each within a component k that it may come from:

        z' = m_k + sqrt(1 - s^2) (z - m_k) + s L_k e,    e ~ N(0, I)

    So a code that is drawn from the component stays drawn from it, whatever the spread s: at 0 it is the code itself,
    at 1 another draw.

    References
    ----------
    Cotter, Roberts, Stuart & White 2013, MCMC methods for functions (the preconditioned Crank-Nicolson step).
    """
    moved, some = [], some_at_once(prior)
    x = (z - prior.middle) / prior.spread
    for start in range(0, len(x), some):
        here = slice(start, start + some)
        home = at_home(prior, x[here], None if given is None else given[here], generator)
        fresh = torch.randn(home.noise.shape, generator=generator, device=generator.device).to(x)
        moved.append(home.moved(math.sqrt(1 - spread**2) * home.noise + spread * fresh))
    return prior.middle + prior.spread * torch.cat(moved)


def straight(a: Tensor, b: Tensor, steps: int) -> Tensor:
    """(steps, size) points evenly along the line from a to b, both (size,) and included.

    >>> straight(torch.zeros(1), torch.ones(1), 3)[:, 0]
    tensor([0.0000, 0.5000, 1.0000])
    """
    share = torch.linspace(0, 1, steps, device=a.device, dtype=a.dtype)[:, None]
    return (1 - share) * a + share * b


def spherical(a: Tensor, b: Tensor, steps: int) -> Tensor:
    """(steps, size) points from a to b, around 0: the direction turns evenly, and the length grows evenly.

    Codes of many units are about as far from their middle as each other, and a line between two passes nearer to it
    than any code is.

    References
    ----------
    White 2016, Sampling generative networks.

    Examples
    --------
    >>> spherical(torch.tensor([1.0, 0.0]), torch.tensor([0.0, 3.0]), 3)[1]
    tensor([1.4142, 1.4142])
    """
    lengths = a.norm(), b.norm()
    if min(lengths) == 0:
        return straight(a, b, steps)
    angle = torch.acos(((a / lengths[0]) @ (b / lengths[1])).clamp(-1, 1))
    if angle < NO_ARC or angle > math.pi - NO_ARC:
        return straight(a, b, steps)
    share = torch.linspace(0, 1, steps, device=a.device, dtype=a.dtype)[:, None]
    turned = ((1 - share) * angle).sin() * a / lengths[0] + (share * angle).sin() * b / lengths[1]
    return turned / angle.sin() * ((1 - share) * lengths[0] + share * lengths[1])


def along_density(prior: MixtureOfNormals, a: Tensor, b: Tensor, steps: int, given: Tensor | None = None) -> Tensor:
    """(steps, size) points evenly along a path from a to b, (size,) in the mixture's units, that is short and where
    codes are frequent:

        x(t) = (1 - t) a + t b + sum over j of c_j sin(pi j t) / j,    t from 0 to 1

    whose c_j (size,) are moved by Adam, from 0, to lessen  mean |x'(t)|^2 - PULL mean log p(x(t)).  The path is never
    worse than the line, with which it begins.

    Parameters
    ----------
    given : (1, conditions) what all points are given.
    """
    line = straight(a, b, KNOTS)
    ground = Ground.of(prior, given).around(line)
    bends = a.new_zeros(WAVES, prior.size).requires_grad_()
    optimiser = torch.optim.Adam([bends], lr=RATE)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, CLIMB)
    least, best = math.inf, bends.detach().clone()
    for _ in range(CLIMB):
        with torch.enable_grad():
            cost = toil(ground, line, bends)
            (slope,) = torch.autograd.grad(cost, [bends])
        if cost.detach().item() < least:
            least, best = cost.detach().item(), bends.detach().clone()
        bends.grad = slope
        optimiser.step()
        schedule.step()
    fine = straight(a, b, 4 * KNOTS)
    return evenly(torch.cat((a[None], (fine + waves(fine) @ best)[1:-1], b[None])), steps)


def toil(ground: Ground, line: Tensor, bends: Tensor) -> Tensor:
    """What `along_density` lessens, of a line (m, size) bent by (waves, size); the mean of |x'(t)|^2 is
    |b - a|^2 + pi^2 / 2 sum of |c_j|^2."""
    length = (line[-1] - line[0]).square().sum() + math.pi**2 / 2 * bends.square().sum()
    return length - PULL * ground.odds(line + waves(line) @ bends).logsumexp(0).mean()


def waves(line: Tensor) -> Tensor:
    """(m, WAVES) sin(pi j t) / j along a line of m points."""
    j = torch.arange(1, WAVES + 1, device=line.device, dtype=line.dtype)
    return torch.sin(math.pi * torch.linspace(0, 1, len(line), device=line.device, dtype=line.dtype)[:, None] * j) / j


def evenly(path: Tensor, steps: int) -> Tensor:
    """(steps, size) points at even distances along the polyline through (m, size) points, its ends included.

    >>> evenly(torch.tensor([[0.0], [1.0], [4.0]]), 5)[:, 0]
    tensor([0., 1., 2., 3., 4.])
    """
    far = torch.cat((path.new_zeros(1), path.diff(dim=0).norm(dim=1).cumsum(0)))
    if far[-1] == 0:
        return path[:1].expand(steps, -1)
    wanted = torch.linspace(0, 1, steps, device=path.device, dtype=path.dtype) * far[-1]
    after = torch.searchsorted(far, wanted).clamp(1, len(path) - 1)
    pieces = (far[after] - far[after - 1]).clamp(min=torch.finfo(path.dtype).tiny)
    share = ((wanted - far[after - 1]) / pieces)[:, None]
    made = path[after - 1] + share * (path[after] - path[after - 1])
    made[0], made[-1] = path[0], path[-1]
    return made
