"""Invertible layers: codes bent into, or out of, a standard normal distribution.

A layer maps x to y with ``forward`` and back with ``inverse``; both take (..., size) and give the other side together
with the logarithm of the volume's growth on that way, (...,).
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from isthmus.parts.distributions.normal import DiagonalNormal

WIDTH = 64
"""Hidden units of a layer's network."""

STRETCH = 2.0
"""The most that one layer stretches a unit, as a logarithm: what keeps flows finite far from the data."""


def fresh_linear(inputs: int, outputs: int, generator: torch.Generator, gain: float = 1.0) -> nn.Linear:
    """A linear map with He's first weights times ``gain``, and biases of 0."""
    layer = nn.utils.skip_init(nn.Linear, inputs, outputs)
    bound = gain * math.sqrt(6.0 / inputs)
    with torch.no_grad():
        layer.weight.uniform_(-bound, bound, generator=generator)
        layer.bias.zero_()
    return layer


def within(raw: Tensor) -> Tensor:
    """A network's output as the logarithm of a stretch, at most `STRETCH` either way."""
    return STRETCH * torch.tanh(raw / STRETCH)


class Invertible(nn.Module):
    """A map with a way back."""

    def forward(self, x: Tensor, beside: Tensor | None = None) -> tuple[Tensor, Tensor]:
        raise NotImplementedError

    def inverse(self, y: Tensor, beside: Tensor | None = None) -> tuple[Tensor, Tensor]:
        raise NotImplementedError


class Coupling(Invertible):
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
        self.first = fresh_linear(size + beside, width, generator)
        self.second = fresh_linear(width, 2 * size, generator, gain=0.0)

    def parameters_of(self, x: Tensor, beside: Tensor | None) -> tuple[Tensor, Tensor]:
        seen = x * self.still.to(x.dtype)
        if beside is not None:
            seen = torch.cat((seen, beside.expand(*seen.shape[:-1], beside.shape[-1])), dim=-1)
        raw, shift = self.second(F.silu(self.first(seen))).to(x.dtype).chunk(2, dim=-1)
        moving = 1 - self.still.to(raw.dtype)
        return within(raw) * moving, shift * moving

    def forward(self, x: Tensor, beside: Tensor | None = None) -> tuple[Tensor, Tensor]:
        stretch, shift = self.parameters_of(x, beside)
        return x * stretch.exp() + shift, stretch.sum(-1)

    def inverse(self, y: Tensor, beside: Tensor | None = None) -> tuple[Tensor, Tensor]:
        # The still units are the same on both sides, so the parameters are too.
        stretch, shift = self.parameters_of(y, beside)
        return (y - shift) * (-stretch).exp(), -stretch.sum(-1)


class Autoregressive(Invertible):
    """One layer: every unit is stretched and shifted as those before it in ``order`` say. It starts as the identity.

        y_i = x_i * exp(s_i(y_before_i)) + t_i(y_before_i)

    One masked network gives s and t of all units, so the way back, which densities need, is one pass; the way forward,
    which draws need, is one pass per unit.

    Parameters
    ----------
    order : (size,) the place of every unit, 0 to size - 1.

    References: Germain et al. 2015, MADE: masked autoencoder for distribution estimation; Papamakarios, Pavlakou &
    Murray 2017, Masked autoregressive flow for density estimation.
    """

    order: Tensor
    first_mask: Tensor
    second_mask: Tensor

    def __init__(self, order: Tensor, generator: torch.Generator, width: int = WIDTH) -> None:
        super().__init__()
        size = len(order)
        width = max(width, 2 * size)
        # A hidden unit of degree d reads the units in places below d, and is read by those in places from d on.
        degree = torch.arange(width) * (size - 1) // width + 1
        reads = (order[None] < degree[:, None]).float()
        self.register_buffer("order", order)
        self.register_buffer("first_mask", reads)
        self.register_buffer("second_mask", (degree[None] <= order[:, None]).float().repeat(2, 1))
        self.first = fresh_linear(size, width, generator)
        self.second = fresh_linear(width, 2 * size, generator, gain=0.0)

    def parameters_of(self, y: Tensor) -> tuple[Tensor, Tensor]:
        hidden = F.silu(F.linear(y, self.first.weight * self.first_mask, self.first.bias))
        out = F.linear(hidden, self.second.weight * self.second_mask, self.second.bias)
        raw, shift = out.to(y.dtype).chunk(2, dim=-1)
        return within(raw), shift

    def forward(self, x: Tensor, beside: Tensor | None = None) -> tuple[Tensor, Tensor]:
        y, growth = torch.zeros_like(x), x.new_zeros(x.shape[:-1])
        for place in range(x.shape[-1]):
            stretch, shift = self.parameters_of(y)
            y = torch.where(self.order == place, x * stretch.exp() + shift, y)
            growth = stretch.sum(-1)  # in the last round every unit has read those before it
        return y, growth

    def inverse(self, y: Tensor, beside: Tensor | None = None) -> tuple[Tensor, Tensor]:
        stretch, shift = self.parameters_of(y)
        return (y - shift) * (-stretch).exp(), -stretch.sum(-1)


class Chain(Invertible):
    """Invertible layers, one after the other."""

    def __init__(self, layers: Iterable[Invertible]) -> None:
        super().__init__()
        self.layers = nn.ModuleList(layers)

    def forward(self, x: Tensor, beside: Tensor | None = None) -> tuple[Tensor, Tensor]:
        growth = x.new_zeros(x.shape[:-1])
        for layer in self.layers:
            x, more = layer(x, beside)
            growth = growth + more
        return x, growth

    def inverse(self, y: Tensor, beside: Tensor | None = None) -> tuple[Tensor, Tensor]:
        growth = y.new_zeros(y.shape[:-1])
        for layer in reversed(self.layers):
            y, more = cast(Invertible, layer).inverse(y, beside)
            growth = growth + more
        return y, growth


class Couplings(Chain):
    """Coupling layers, in which the units stay and move by turns."""

    def __init__(self, size: int, layers: int, beside: int, generator: torch.Generator, width: int = WIDTH) -> None:
        # Halves by turns; a lone unit never stays, or it would never move.
        halves = [
            (torch.arange(size) % 2 == number % 2).float() if size > 1 else torch.zeros(1) for number in range(layers)
        ]
        super().__init__(Coupling(still, beside, generator, width) for still in halves)


class Autoregressives(Chain):
    """Autoregressive layers, in which the units' order is turned round by turns."""

    def __init__(self, size: int, layers: int, generator: torch.Generator, width: int = WIDTH) -> None:
        order = torch.arange(size)
        turned = [order.flip(0) if number % 2 else order for number in range(layers)]
        super().__init__(Autoregressive(places, generator, width) for places in turned)


@dataclass(frozen=True)
class FlowNormal:
    """A diagonal normal distribution bent by layers that read ``beside`` (n, k): a posterior of any shape.

    ``mean`` is where its middle is bent to.
    """

    base: DiagonalNormal
    flow: Chain
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
