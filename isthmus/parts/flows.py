"""Invertible layers: codes bent into, or out of, a standard normal distribution."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from isthmus.parts.distributions import DiagonalNormal

WIDTH = 64
"""Hidden units of a coupling layer's network."""

STRETCH = 2.0
"""The most that one layer stretches a unit, as a logarithm: what keeps flows finite far from the data."""


class Coupling(nn.Module):
    """One layer: units in ``still`` stay, the others are stretched and shifted as the still ones (and what is
    ``beside``) say. It starts as the identity.

        y = x * exp(s(x_still)) + t(x_still)

    References: Dinh, Sohl-Dickstein & Bengio 2017, Density estimation using Real NVP.
    """

    still: Tensor

    def __init__(self, still: Tensor, beside: int, generator: torch.Generator, width: int = WIDTH) -> None:
        super().__init__()
        self.register_buffer("still", still)
        size = len(still)
        self.first = nn.utils.skip_init(nn.Linear, size + beside, width)
        self.second = nn.utils.skip_init(nn.Linear, width, 2 * size)
        bound = (6.0 / (size + beside)) ** 0.5
        with torch.no_grad():
            self.first.weight.uniform_(-bound, bound, generator=generator)
            self.first.bias.zero_()
            self.second.weight.zero_()
            self.second.bias.zero_()

    def parameters_of(self, x: Tensor, beside: Tensor | None) -> tuple[Tensor, Tensor]:
        seen = x * self.still.to(x.dtype)
        if beside is not None:
            seen = torch.cat((seen, beside.expand(*seen.shape[:-1], beside.shape[-1])), dim=-1)
        raw, shift = self.second(torch.nn.functional.silu(self.first(seen))).chunk(2, dim=-1)
        moving = 1 - self.still.to(raw.dtype)
        return STRETCH * torch.tanh(raw / STRETCH) * moving, shift * moving

    def forward(self, x: Tensor, beside: Tensor | None = None) -> tuple[Tensor, Tensor]:
        stretch, shift = self.parameters_of(x, beside)
        return x * stretch.exp() + shift, stretch.sum(-1)

    def inverse(self, y: Tensor, beside: Tensor | None = None) -> tuple[Tensor, Tensor]:
        # The still units are the same on both sides, so the parameters are too.
        stretch, shift = self.parameters_of(y, beside)
        return (y - shift) * (-stretch).exp(), -stretch.sum(-1)


class Couplings(nn.Module):
    """Coupling layers one after the other, in which the units stay and move by turns.

    ``forward`` and ``inverse`` take (..., size) and give it bent, with the logarithm of the volume's growth (...,).
    """

    def __init__(self, size: int, layers: int, beside: int, generator: torch.Generator, width: int = WIDTH) -> None:
        super().__init__()
        stills = []
        for number in range(layers):
            # Halves by turns; a lone unit never stays, or it would never move.
            still = (torch.arange(size) % 2 == number % 2).float() if size > 1 else torch.zeros(1)
            stills.append(still)
        self.layers = nn.ModuleList(Coupling(still, beside, generator, width) for still in stills)

    def forward(self, x: Tensor, beside: Tensor | None = None) -> tuple[Tensor, Tensor]:
        growth = x.new_zeros(x.shape[:-1])
        for layer in self.layers:
            x, more = layer.forward(x, beside)
            growth = growth + more
        return x, growth

    def inverse(self, y: Tensor, beside: Tensor | None = None) -> tuple[Tensor, Tensor]:
        growth = y.new_zeros(y.shape[:-1])
        for layer in reversed(self.layers):
            y, more = layer.inverse(y, beside)
            growth = growth + more
        return y, growth


@dataclass(frozen=True)
class FlowNormal:
    """A diagonal normal distribution bent by layers that read ``beside`` (n, k): a posterior of any shape.

    ``mean`` is where its middle is bent to.
    """

    base: DiagonalNormal
    flow: Couplings
    beside: Tensor

    @property
    def mean(self) -> Tensor:
        return self.flow(self.base.mean, self.beside)[0]

    def sample(self, draws: int, generator: torch.Generator | None) -> Tensor:
        return self.flow(self.base.sample(draws, generator), self.beside)[0]

    def log_prob(self, z: Tensor) -> Tensor:
        start, growth = self.flow.inverse(z, self.beside)
        return self.base.log_prob(start) + growth

    def entropy(self) -> Tensor:
        """Of the base: see `log_volume` for what the bending adds."""
        return self.base.entropy()

    def log_volume(self, z: Tensor) -> Tensor:
        """(n,) how much the layers stretch space where they end in z."""
        return -self.flow.inverse(z, self.beside)[1]
