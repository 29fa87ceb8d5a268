"""Binary codes: every unit is 0 or 1, for search by Hamming distance."""

from __future__ import annotations

import torch
from torch import Tensor

from isthmus.parts.bottlenecks.discrete import STRAIGHT_THROUGH, straight_through
from isthmus.parts.distributions.discrete import Bits
from isthmus.parts.priors.alphabet import Alphabet
from isthmus.parts.priors.discrete import FairBits
from isthmus.records import Code, Context, part


@part
class Binary:
    """Draw every unit from {0, 1}, and pay its divergence from a fair bit.

        p = sigmoid(h),    z ~ Bernoulli(p),    cost = sum over units of log 2 + p log p + (1 - p) log(1 - p) nats

    In training and other passes that draw; else a unit is 1 where p > 1/2. The decoder's gradient is handed on to p as
    if it were z. Units that are drawn are noisy while they are unsure, so that those that matter become sure.

    References
    ----------
    Bengio, Leonard & Courville 2013, Estimating or propagating gradients through stochastic neurons; Mena & Nanculef
    2019, A binary variational autoencoder for hashing.

    Examples
    --------
    >>> import torch
    >>> code = Binary()(torch.tensor([[-4.0, 0.0, 0.1]]), Context(shape=(4,)))
    >>> code.z.tolist(), code.index.tolist()
    ([[0.0, 0.0, 1.0]], [[0, 0, 1]])
    """

    prior = FairBits()
    estimates_gradient = STRAIGHT_THROUGH

    def width(self, code_size: int) -> int:
        """Numbers the encoder must emit for a code of ``code_size``."""
        return code_size

    def __call__(self, hidden: Tensor, context: Context) -> Code:
        posterior, source = Bits(hidden.flatten(1)), context.pass_.generator
        point = posterior.likeliest
        chosen = point if source is None else posterior.sample(1, source)[0]
        return Code(
            z=straight_through(chosen, posterior.mean),
            point=point,
            cost=posterior.divergence().sum(1),
            index=point.long(),
            posterior=posterior,
        )

    def alphabet(self, code_size: int) -> Alphabet:
        """What the symbols stand for: 0 and 1."""
        return Alphabet(torch.tensor([0.0, 1.0]).reshape(1, 1, 2, 1))

    def z_of(self, point: Tensor) -> Tensor:
        """The nearest bits of any point."""
        return (point > 0.5).to(point.dtype)
