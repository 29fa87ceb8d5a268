"""Categorical codes: groups of units, in each of which one is on."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from isthmus.checks import is_whole
from isthmus.errors import InputError
from isthmus.parts.bottlenecks.discrete import STRAIGHT_THROUGH, straight_through
from isthmus.parts.distributions.discrete import OneOfEach, classes_in
from isthmus.parts.priors.alphabet import Alphabet
from isthmus.parts.priors.discrete import UniformCategories
from isthmus.parts.schedules import Ramp, at, bounds
from isthmus.records import Code, Context, Schedule, part


@part
class GumbelSoftmax:
    """Cut the code into groups of classes, draw one class of each, and pay the divergence from equally likely ones.

        z = softmax((h + Gumbel noise) / temperature),    cost = sum over groups of log(classes) - entropy, nats

    In training z is relaxed as above, so that it has a gradient; outside of it one unit of every group is 1 and the
    others 0: a class drawn in passes that draw, else the likeliest. The lower the temperature, the nearer both are to
    each other, and the noisier the gradient.

    Parameters
    ----------
    classes : >= 2, of every group; it must divide the code's size. None (default): the largest divisor up to 10.
    temperature : > 0, a number or a schedule.

    References
    ----------
    Jang, Gu & Poole 2017, Categorical reparameterization with Gumbel-softmax; Maddison, Mnih & Teh 2017, The concrete
    distribution.

    Examples
    --------
    >>> import torch
    >>> code = GumbelSoftmax(classes=2)(torch.tensor([[1.0, 2.0, 0.5, 0.1]]), Context(shape=(4,)))
    >>> code.z.tolist(), code.index.tolist()
    ([[0.0, 1.0, 1.0, 0.0]], [[1, 0]])
    """

    classes: int | None = None
    temperature: Schedule = Ramp(1.0, 0.5, epochs=10)

    estimates_gradient = STRAIGHT_THROUGH

    def __post_init__(self) -> None:
        if self.classes is not None and not (is_whole(self.classes) and self.classes >= 2):
            raise InputError(f"GumbelSoftmax: classes must be a whole number >= 2, or None; got {self.classes!r}")
        low, high = bounds(self.temperature)
        if not 0 < low <= high < math.inf:
            raise InputError(f"GumbelSoftmax: temperature must be > 0, or a schedule; got {self.temperature!r}")

    @property
    def prior(self) -> UniformCategories:
        return UniformCategories(self.classes)

    def width(self, code_size: int) -> int:
        """Numbers the encoder must emit for a code of ``code_size``."""
        classes_in(code_size, self.classes)
        return code_size

    def __call__(self, hidden: Tensor, context: Context) -> Code:
        flat, pass_ = hidden.flatten(1), context.pass_
        classes = classes_in(flat.shape[1], self.classes)
        posterior = OneOfEach(flat.reshape(-1, flat.shape[1] // classes, classes))
        point = posterior.likeliest
        if pass_.generator is None:
            z = straight_through(point, posterior.mean)
        elif pass_.training:
            z = posterior.relaxed(at(self.temperature, pass_.epoch), pass_.generator)
        else:
            z = straight_through(posterior.sample(1, pass_.generator)[0], posterior.mean)
        index = posterior.logits.argmax(-1)
        return Code(z=z, point=point, cost=posterior.divergence().sum(1), index=index, posterior=posterior)

    def alphabet(self, code_size: int) -> Alphabet:
        """What the symbols stand for: one unit of a group."""
        return Alphabet(torch.eye(classes_in(code_size, self.classes))[None, None])

    def z_of(self, point: Tensor) -> Tensor:
        """The largest unit of every group of any point is 1, the others 0."""
        classes = classes_in(point.shape[1], self.classes)
        return OneOfEach(point.reshape(-1, point.shape[1] // classes, classes)).likeliest
