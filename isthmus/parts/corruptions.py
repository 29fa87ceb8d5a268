"""Corruptions: what is done to a batch before the encoder sees it, in training only.

Every strength is a number or a schedule of the fractional epoch. Only numeric columns and cells that are
not missing are touched. Denoising autoencoders: Vincent et al. 2008, "Extracting and composing robust
features with denoising autoencoders".
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from isthmus.errors import InputError
from isthmus.parts.schedules import at
from isthmus.records import Batch, Pass, Schedule, Seen, part


def uniform(batch: Batch, pass_: Pass) -> Tensor:
    """Uniform numbers in [0, 1), one per cell."""
    return torch.rand(batch.x.shape, generator=pass_.generator, device=batch.x.device, dtype=batch.x.dtype)


def seen(batch: Batch, changed: Tensor, value: Tensor) -> Seen:
    """``value`` where ``changed``, on numeric columns."""
    if batch.layout.numeric is not None:
        changed = changed & torch.tensor(batch.layout.numeric, device=changed.device)
    return Seen(torch.where(changed, value, batch.x), changed)


def extremes(batch: Batch) -> tuple[Tensor, Tensor]:
    """The least and the greatest value of every column, missing cells left out."""
    if batch.weight is None:
        return batch.x.amin(0), batch.x.amax(0)
    gone = ~(batch.weight > 0)
    return batch.x.masked_fill(gone, math.inf).amin(0), batch.x.masked_fill(gone, -math.inf).amax(0)


def check_fraction(name: str, value: Schedule) -> None:
    if not callable(value) and not 0 <= value <= 1:
        raise InputError(f"{name}: fraction must be in [0, 1]; got {value!r}")


@part
class Mask:
    """Set a random ``fraction`` of the cells to 0, which is the column's mean where columns are standardised."""

    fraction: Schedule = 0.25

    def __post_init__(self) -> None:
        check_fraction("Mask", self.fraction)

    def __call__(self, batch: Batch, pass_: Pass) -> Seen:
        changed = uniform(batch, pass_) < at(self.fraction, pass_.epoch)
        return seen(batch, changed, torch.zeros_like(batch.x))


@part
class GaussianNoise:
    """Add normal noise of standard deviation ``std``, in scaled units (1 = the spread of the data)."""

    std: Schedule = 0.3

    def __post_init__(self) -> None:
        if not callable(self.std) and not self.std >= 0:
            raise InputError(f"GaussianNoise: std must be >= 0; got {self.std!r}")

    def __call__(self, batch: Batch, pass_: Pass) -> Seen:
        noise = torch.empty_like(batch.x).normal_(generator=pass_.generator)
        changed = torch.ones_like(batch.x, dtype=torch.bool)
        return seen(batch, changed, batch.x + at(self.std, pass_.epoch) * noise)


@part
class SaltPepper:
    """Set a random ``fraction`` of the cells to the least or the greatest value of their column in the batch."""

    fraction: Schedule = 0.1

    def __post_init__(self) -> None:
        check_fraction("SaltPepper", self.fraction)

    def __call__(self, batch: Batch, pass_: Pass) -> Seen:
        draw = uniform(batch, pass_)
        fraction = at(self.fraction, pass_.epoch)
        low, high = extremes(batch)
        return seen(batch, draw < fraction, torch.where(draw < fraction / 2, low, high))


@part
class RowSwap:
    """Replace a random ``fraction`` of the cells by the same column's value in another row of the batch.

    Every column keeps its own distribution, so nothing in a single cell gives the swap away: the noise
    that suits tables with columns of different kinds.
    """

    fraction: Schedule = 0.15

    def __post_init__(self) -> None:
        check_fraction("RowSwap", self.fraction)

    def __call__(self, batch: Batch, pass_: Pass) -> Seen:
        changed = uniform(batch, pass_) < at(self.fraction, pass_.epoch)
        shift = int(torch.randint(1, max(len(batch), 2), (), generator=pass_.generator, device=batch.x.device))
        if batch.weight is not None:  # a row that lacks the cell has nothing to lend
            changed = changed & (batch.weight > 0).roll(shift, dims=0)
        return seen(batch, changed, batch.visible().roll(shift, dims=0))
