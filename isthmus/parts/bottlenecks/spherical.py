"""Codes on the unit sphere: a row's code is a direction, and how sure of it the encoder is."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional as F

from isthmus.errors import InputError
from isthmus.parts.distributions.spherical import PowerSpherical, on_sphere
from isthmus.parts.priors.sphere import UniformSphere
from isthmus.records import Code, Context, part

SURE = 2.0
"""Added before the softplus, so that codes are drawn at first at a cosine of about 0.8 to their direction."""


@part
class Spherical:
    """Draw the code from a power spherical distribution around a direction, and pay its divergence from the uniform.

        z ~ q(z | x) on the unit sphere of R^code_size,    cost = KL(q || uniform) nats, in closed form

    The uniform prior has no middle that codes are drawn to, as N(0, I) has, so that data that are directions, or go
    round in a ring, find room. Best for codes of up to some dozens of units: the sphere's area dwindles with more.
    Outside of passes that draw, z is the direction itself, which is also what ``transform`` returns.

    Raises
    ------
    InputError : a code of one unit: the sphere would be the two points -1 and 1.

    References
    ----------
    Davidson, Falorsi, De Cao, Kipf & Tomczak 2018, Hyperspherical variational auto-encoders; De Cao & Aziz 2020,
    The power spherical distribution.

    Examples
    --------
    >>> import torch
    >>> code = Spherical()(torch.tensor([[3.0, 4.0, 2.0]]), Context(shape=(4,)))
    >>> code.z, code.cost.shape
    (tensor([[0.6000, 0.8000]]), torch.Size([1]))
    """

    prior = UniformSphere()
    least = 2
    estimates_gradient = "the gradient of a Gamma draw is that of its distribution, not of the numbers a seed gives"

    def width(self, code_size: int) -> int:
        """Numbers the encoder must emit: a direction and, before a softplus, its concentration."""
        if code_size < 2:
            raise InputError(f"Spherical: code_size must be >= 2, for a sphere to exist; got {code_size}")
        return code_size + 1

    def posterior(self, hidden: Tensor) -> PowerSpherical:
        """q(z | x) of an encoder's output (n, width)."""
        flat = hidden.flatten(1)
        direction, raw = flat[:, :-1], flat[:, -1]
        # Draws stray from their direction by a squared length of about 2 size / concentration: in this unit, the
        # encoder's numbers mean the same whatever the size. Without it, digits cost 6 nats more after 30 epochs.
        return PowerSpherical(on_sphere(direction), 2 * direction.shape[1] * F.softplus(raw + SURE))

    def __call__(self, hidden: Tensor, context: Context) -> Code:
        posterior, pass_ = self.posterior(hidden), context.pass_
        # Without a generator nothing random is asked for: the direction stands for the draw.
        z = posterior.mean if pass_.generator is None else posterior.sample(1, pass_.generator)[0]
        cost = self.prior.divergence(posterior)[:, 0]
        return Code(z=z, point=posterior.mean, cost=cost, posterior=posterior)

    def z_of(self, point: Tensor) -> Tensor:
        """What the decoder reads for a code: its direction."""
        return on_sphere(point)
