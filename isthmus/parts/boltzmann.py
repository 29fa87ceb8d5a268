"""The restricted Boltzmann machine: a density of rows by one layer of hidden units.

    p(x, h) = exp(-energy(x, h)) / Z,     p(x) = exp(-F(x)) / Z   with the free energy F

Bernoulli units x in {0, 1}:          energy = -b.x - c.h - x.W h,         F = -b.x          - sum softplus(c + x W)
Gaussian units x, each of variance 1: energy = |x - b|^2/2 - c.h - x.W h,  F = |x - b|^2 / 2 - sum softplus(c + x W)

Hidden units are Bernoulli ones, or linear: Gaussian, each of variance 1, with |h|^2/2 - c.h in the energy, and then
-|c + x W|^2/2 instead of minus the sum in F. Those are for a code above Bernoulli units only: above Gaussian ones F
would fall without end.

Hinton 2002, "Training products of experts by minimizing contrastive divergence".
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from isthmus.records import Context

VISIBLE = ("bernoulli", "gaussian")


def drawn(heard: Tensor, gaussian: bool, generator: torch.Generator | None) -> Tensor:
    """Units drawn, given what they hear: 0 or 1 with the probability sigmoid(heard), or normal around it."""
    if gaussian:
        return heard + torch.empty_like(heard).normal_(generator=generator)
    return torch.bernoulli(torch.sigmoid(heard), generator=generator)


class BoltzmannMachine(nn.Module):
    """Weights between visible and hidden units, and a bias for each.

    Called as an encoder it gives what its hidden units hear, c + x W: (n, *shape) -> (n, units).

    Parameters
    ----------
    features, units : numbers of visible and of hidden units.
    visible : ``"bernoulli"`` or ``"gaussian"``.
    linear : whether the hidden units are Gaussian ones.
    generator : draws the first weights, small ones: normal with a standard deviation of 0.01.

    Examples
    --------
    >>> machine = BoltzmannMachine(4, 3, "bernoulli", torch.Generator().manual_seed(0))
    >>> machine.free_energy(torch.zeros(2, 4)).shape
    torch.Size([2])
    """

    takes_context = True

    def __init__(
        self, features: int, units: int, visible: str, generator: torch.Generator, linear: bool = False
    ) -> None:
        super().__init__()
        self.gaussian, self.linear = visible == "gaussian", linear
        self.weight = nn.Parameter(torch.empty(features, units).normal_(0, 0.01, generator=generator))
        self.visible_bias = nn.Parameter(torch.zeros(features))
        self.hidden_bias = nn.Parameter(torch.zeros(units))

    def forward(self, x: Tensor, context: Context) -> Tensor:
        return self.heard(x.flatten(1))

    def heard(self, x: Tensor) -> Tensor:
        """(n, units): logits (linear: means) of the hidden units, given the visible ones."""
        return torch.addmm(self.hidden_bias, x, self.weight)

    def told(self, hidden: Tensor) -> Tensor:
        """(n, features): logits (Gaussian: means) of the visible units, given the hidden ones."""
        return torch.addmm(self.visible_bias, hidden, self.weight.T)

    def free_energy(self, x: Tensor) -> Tensor:
        """(n,) nats: minus log p(x), but for the constant log Z."""
        if self.gaussian:
            outer = 0.5 * (x - self.visible_bias).square().sum(1)
        else:
            outer = -(x @ self.visible_bias)
        heard = self.heard(x)
        return outer - (0.5 * heard.square() if self.linear else F.softplus(heard)).sum(1)

    def gibbs(self, x: Tensor, steps: int, generator: torch.Generator | None) -> Tensor:
        """(n, features): rows drawn by ``steps`` rounds of hidden units given x, then x given hidden units."""
        with torch.no_grad():
            for _ in range(steps):
                hidden = drawn(self.heard(x), self.linear, generator)
                x = drawn(self.told(hidden), self.gaussian, generator)
        return x

    def contrast(self, x: Tensor, steps: int, generator: torch.Generator | None) -> Tensor:
        """(n,) nats: the free energy of the data minus that of what the machine makes of it in ``steps`` rounds.

        Its gradient is that of minus the log-likelihood, with the machine's own rows (which the exact one needs)
        replaced by draws that have not come far from the data: the shorter the chain, the more biased, and the less
        noisy.
        """
        return self.free_energy(x) - self.free_energy(self.gibbs(x, steps, generator))

    def start_from(self, x: Tensor) -> None:
        """Begin with biases under which, without any hidden unit, the rows have the means of ``x``: (n, features)."""
        mean = x.mean(0)
        with torch.no_grad():
            self.visible_bias.copy_(mean if self.gaussian else torch.logit(mean.clamp(0.01, 0.99)))


class Downwards(nn.Module):
    """A machine as decoder: (n, units) -> (n, *shape), logits (Gaussian: means) of the visible units."""

    takes_context = True

    def __init__(self, machine: BoltzmannMachine) -> None:
        super().__init__()
        self.machine = (machine,)  # in a tuple, so that its weights are not registered a second time

    def forward(self, z: Tensor, context: Context) -> Tensor:
        return self.machine[0].told(z).reshape(len(z), *context.shape)
