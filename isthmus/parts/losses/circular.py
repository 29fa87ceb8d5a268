"""Circular columns: shares of a turn, such as times of day, where 0.99 is next to 0.01."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from isthmus.parts.losses.blocks import Block
from isthmus.records import Column

TINY = 1e-12
"""Added to the squared length of an output: at 0 its direction then has a finite gradient."""

SHARPEST = 1e3
"""The greatest concentration, 7 minutes of a day: what a least variance is to numbers. Longer outputs count as so long,
or a column that is always midnight would gain without end."""


class Circular(Block):
    """Von Mises distributions: two outputs per column, whose direction is the mean and whose length kappa, up to
    `SHARPEST`, says how sharply it is known.

        nats = log I_0(kappa) - kappa cos(2 pi x - direction)

    per turn, not per radian: at kappa = 0 every time of day costs 0. kappa (1 - cos) is formed as a squared distance
    and log I_0(kappa) - kappa by a scaled function: both are small where kappa is large, their parts are not.
    """

    def __init__(self, columns: tuple[Column, ...]) -> None:
        super().__init__(columns, 2 * len(columns))

    def parts(self, out: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The mean direction's parts along 0 and along a quarter turn, times kappa, and kappa."""
        along, aside = out.unflatten(1, (self.count, 2)).unbind(2)
        length = (along.square() + aside.square() + TINY).sqrt()
        kappa = length.clamp(max=SHARPEST)
        return along * (kappa / length), aside * (kappa / length), kappa

    def nats(self, out: Tensor, x: Tensor) -> Tensor:
        along, aside, kappa = self.parts(out)
        angle = 2 * math.pi * x
        apart = (along - kappa * torch.cos(angle)).square() + (aside - kappa * torch.sin(angle)).square()
        return torch.log(torch.special.i0e(kappa)) + apart / (2 * kappa)

    def mean(self, out: Tensor) -> Tensor:
        """The direction, in [0, 1)."""
        along, aside, _ = self.parts(out)
        return in_turn(torch.atan2(aside, along) / (2 * math.pi))

    def sample(self, out: Tensor, generator: torch.Generator) -> Tensor:
        kappa = self.parts(out.double())[2].clamp(min=1e-4)
        return in_turn(self.mean(out.double()) + von_mises(kappa, generator) / (2 * math.pi)).to(out.dtype)

    def errors(self, rebuilt: Tensor, x: Tensor) -> Tensor:
        """Squared distances in half turns, the farthest that two directions can be apart."""
        apart = torch.remainder(rebuilt - x, 1.0)
        return (2 * torch.minimum(apart, 1 - apart)).square()


def in_turn(turns: Tensor) -> Tensor:
    """In [0, 1): the remainder of a number just below 0 is rounded to 1."""
    rest = torch.remainder(turns, 1.0)
    return torch.where(rest < 1.0, rest, torch.zeros_like(rest))


def von_mises(kappa: Tensor, generator: torch.Generator) -> Tensor:
    """Angles around 0 of these concentrations, by the rejection of Best & Fisher 1979: two of three are accepted."""
    tau = 1 + (1 + 4 * kappa.square()).sqrt()
    rho = (tau - (2 * tau).sqrt()) / (2 * kappa)
    r = (1 + rho.square()) / (2 * rho)
    angle, wanted = torch.zeros_like(kappa), torch.ones_like(kappa, dtype=torch.bool)
    while wanted.any():
        first, second, side = torch.rand((3, *kappa.shape), generator=generator, dtype=kappa.dtype, device=kappa.device)
        z = torch.cos(math.pi * first)
        cosine = (1 + r * z) / (r + z)
        c = kappa * (r - cosine)
        taken = wanted & (torch.log(c / second) + 1 - c >= 0)
        found = torch.sign(side - 0.5) * torch.acos(cosine.clamp(-1.0, 1.0))
        angle = torch.where(taken, found, angle)
        wanted &= ~taken
    return angle
