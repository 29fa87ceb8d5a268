"""Corruptions: what is done to a batch before the encoder sees it, in training only.

Every strength is a number, a schedule of the fractional epoch (annealed), or a range from which each row draws
its own (`Between`). Cells that are missing stay so. In a mixed table noise is added to numeric columns alone, while
cells of any column are hidden, or swapped between rows. Denoising autoencoders: Vincent et al. 2008, "Extracting and
composing robust features with denoising autoencoders".
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from isthmus.checks import check_whole, is_real
from isthmus.errors import InputError
from isthmus.parts.schedules import Between, Strength, at, bounds
from isthmus.records import Batch, Pass, Seen, part


def check_fraction(name: str, fraction: Strength) -> None:
    low, high = bounds(fraction)
    if not (low >= 0 and high <= 1):
        raise InputError(f"{name}: fraction must be in [0, 1]; got {fraction!r}")


def check_not_all(name: str, fraction: Strength) -> None:
    check_fraction(name, fraction)
    if bounds(fraction)[1] == 1:
        raise InputError(
            f"{name}: fraction must be below 1: a mask of everything leaves nothing to rebuild a row from; "
            f"got {fraction!r}. Try 0.5"
        )


def check_ends(name: str, ends: tuple[float, float] | None) -> None:
    if ends is not None and not (len(ends) == 2 and all(map(is_real, ends)) and ends[0] < ends[1]):
        raise InputError(f"{name} must be (low, high), two numbers with low < high, or None; got {ends!r}")


@dataclass(frozen=True)
class Corruption:
    """What corruptions have in common.

    Parameters
    ----------
    tell : if True the encoder is told how strongly each row was corrupted, so that one network can serve all strengths;
        outside training it is told the least strength.
    kept_weight : weight, in the training loss, of the cells that were left as they were, in [0, 1]: 1 (default) counts
        all cells alike, 0 only the corrupted ones (Vincent et al. 2010, section 4.2, "emphasis").
    """

    tell: bool = field(default=False, kw_only=True)
    kept_weight: float = field(default=1.0, kw_only=True)

    any_column = False
    """Whether it changes cells of every column of a mixed table, or of numeric ones only."""

    def __post_init__(self) -> None:
        if not isinstance(self.tell, bool):
            raise InputError(f"{type(self).__name__}: tell must be True or False; got {self.tell!r}")
        if not (is_real(self.kept_weight) and 0 <= self.kept_weight <= 1):
            raise InputError(f"{type(self).__name__}: kept_weight must be in [0, 1]; got {self.kept_weight!r}")
        self.check()

    def check(self) -> None:
        raise NotImplementedError

    @property
    def strength(self) -> Strength:
        raise NotImplementedError

    @property
    def least(self) -> float:
        """What the encoder is told of rows that nobody corrupted."""
        return bounds(self.strength)[0]

    def levels(self, batch: Batch, pass_: Pass) -> Tensor:
        """(n, 1, ...): the strength of every row in this pass."""
        strength = self.strength
        if isinstance(strength, Between):
            drawn = strength.draw(len(batch), pass_, batch.x)
        else:
            drawn = batch.x.new_full((len(batch),), at(strength, pass_.epoch))
        return drawn.reshape(-1, *[1] * (batch.x.ndim - 1))

    def seen(self, batch: Batch, levels: Tensor, changed: Tensor, value: Tensor) -> Seen:
        """``value`` where ``changed``."""
        if batch.layout.numeric is not None and not self.any_column:
            changed = changed & torch.tensor(batch.layout.numeric, device=changed.device)
        weight = None
        if self.kept_weight < 1:
            weight = torch.where(changed, 1.0, self.kept_weight).to(batch.x.dtype)
        level = levels.flatten() if self.tell else None
        return Seen(torch.where(changed, value, batch.x), changed, level, weight)


def uniform(batch: Batch, pass_: Pass) -> Tensor:
    """Uniform numbers in [0, 1), one per cell."""
    return torch.rand(batch.x.shape, generator=pass_.generator, device=batch.x.device, dtype=batch.x.dtype)


def extremes(batch: Batch) -> tuple[Tensor, Tensor]:
    """The least and the greatest value of every column, missing cells left out."""
    if batch.weight is None:
        return batch.x.amin(0), batch.x.amax(0)
    gone = ~(batch.weight > 0)
    return batch.x.masked_fill(gone, math.inf).amin(0), batch.x.masked_fill(gone, -math.inf).amax(0)


@dataclass(frozen=True)
class OfCells(Corruption):
    """A corruption of a random ``fraction`` of the cells, in [0, 1]."""

    fraction: Strength = 0.25

    def check(self) -> None:
        check_fraction(type(self).__name__, self.fraction)

    @property
    def strength(self) -> Strength:
        return self.fraction


@part
class Mask(OfCells):
    """Set a random ``fraction`` of the cells to 0, which is the column's mean where columns are standardised.

    In a mixed table 0 may be a level's number: there the cells are hidden, and the encoder takes them for missing.
    """

    fraction: Strength = 0.25

    any_column = True

    def check(self) -> None:
        check_not_all("Mask", self.fraction)

    def __call__(self, batch: Batch, pass_: Pass) -> Seen:
        levels = self.levels(batch, pass_)
        seen = self.seen(batch, levels, uniform(batch, pass_) < levels, torch.zeros_like(batch.x))
        return seen if batch.layout.columns is None else replace(seen, hidden=seen.changed)


@part
class MaskPatches(OfCells):
    """Set square patches of an image to 0, a random ``fraction`` of them (He et al. 2022, "Masked autoencoders").

    Parameters
    ----------
    fraction : share of the patches.
    size : side of a patch in pixels, >= 1; patches at the right and lower edge are cut off.
    """

    fraction: Strength = 0.5
    size: int = 4

    def check(self) -> None:
        check_not_all("MaskPatches", self.fraction)
        if not isinstance(self.size, int) or self.size < 1:
            raise InputError(f"MaskPatches: size must be a whole number of pixels >= 1; got {self.size!r}")

    def __call__(self, batch: Batch, pass_: Pass) -> Seen:
        axes = batch.layout.axes
        if axes[:2] != ("height", "width"):
            raise InputError(f"MaskPatches: rows must be images; these have the axes {axes}. Use Mask for tables")
        levels = self.levels(batch, pass_)
        height, width = batch.layout.shape[:2]
        grid = (len(batch), -(-height // self.size), -(-width // self.size))
        draw = torch.rand(grid, generator=pass_.generator, device=batch.x.device, dtype=batch.x.dtype)
        hidden = (draw < levels.reshape(-1, 1, 1)).repeat_interleave(self.size, 1).repeat_interleave(self.size, 2)
        hidden = hidden[:, :height, :width].reshape(len(batch), height, width, *[1] * (len(axes) - 2))
        return self.seen(batch, levels, hidden.expand_as(batch.x), torch.zeros_like(batch.x))


@part
class SaltPepper(OfCells):
    """Set a random ``fraction`` of the cells to the least or the greatest value of their column in the batch.

    Parameters
    ----------
    fraction : share of the cells.
    ends : (low, high), what cells are set to instead, in scaled units: the ends of what a pixel can be.
    """

    fraction: Strength = 0.1
    ends: tuple[float, float] | None = None

    def check(self) -> None:
        super().check()
        check_ends("SaltPepper: ends", self.ends)

    def __call__(self, batch: Batch, pass_: Pass) -> Seen:
        levels, draw = self.levels(batch, pass_), uniform(batch, pass_)
        low, high = extremes(batch) if self.ends is None else map(batch.x.new_tensor, self.ends)
        return self.seen(batch, levels, draw < levels, torch.where(draw < levels / 2, low, high))


@part
class RowSwap(OfCells):
    """Replace a random ``fraction`` of the cells by the same column's value in another row of the batch.

    Every column keeps its own distribution, so nothing in a single cell gives the swap away: the noise
    that suits tables with columns of different kinds.
    """

    fraction: Strength = 0.15

    any_column = True

    def __call__(self, batch: Batch, pass_: Pass) -> Seen:
        levels = self.levels(batch, pass_)
        changed = uniform(batch, pass_) < levels
        shift = int(torch.randint(1, max(len(batch), 2), (), generator=pass_.generator, device=batch.x.device))
        if batch.weight is not None:  # a row that lacks the cell has nothing to lend
            changed = changed & (batch.weight > 0).roll(shift, dims=0)
        return self.seen(batch, levels, changed, batch.visible().roll(shift, dims=0))


@part
class GaussianNoise(Corruption):
    """Add normal noise of standard deviation ``std``, in scaled units (1 = the spread of the data).

    Parameters
    ----------
    std : of the noise.
    clip : (low, high), in scaled units: what lies beyond is brought back to these, as a camera does; None = it stays.
    """

    std: Strength = 0.3
    clip: tuple[float, float] | None = None

    def check(self) -> None:
        check_ends("GaussianNoise: clip", self.clip)
        low, high = bounds(self.std)
        if not (low >= 0 and high < math.inf):
            raise InputError(f"GaussianNoise: std must be >= 0 and finite; got {self.std!r}")

    @property
    def strength(self) -> Strength:
        return self.std

    def __call__(self, batch: Batch, pass_: Pass) -> Seen:
        levels = self.levels(batch, pass_)
        noisy = batch.x + levels * torch.empty_like(batch.x).normal_(generator=pass_.generator)
        noisy = noisy if self.clip is None else noisy.clamp(*self.clip)
        return self.seen(batch, levels, torch.ones_like(batch.x, dtype=torch.bool), noisy)


@part
class BlindSpot(OfCells):
    """Replace a random ``fraction`` of the places by one of their neighbours, and count only these in the loss.

    What stands in a place's stead tells nothing of the noise there, so a network learns to foretell the place from
    those around it. Where the noise of neighbours is independent and of mean 0, that is the clean value: a denoiser is
    learnt from noisy data alone.

    Parameters
    ----------
    fraction : share of the places; all channels of a place are replaced together.
    radius : a neighbour is at most so many places away along every axis, >= 1.

    References
    ----------
    Krull, Buchholz & Jug 2019, "Noise2Void: learning denoising from single noisy images".
    """

    fraction: Strength = 0.03
    radius: int = 2
    kept_weight: float = field(default=0.0, kw_only=True)

    def check(self) -> None:
        super().check()
        check_whole("BlindSpot", radius=self.radius)

    def __call__(self, batch: Batch, pass_: Pass) -> Seen:
        if batch.layout.axes == ("column",):
            raise InputError("BlindSpot: rows must be images, series or clips: a table's columns are not neighbours")
        grid, levels = batch.layout.grid, self.levels(batch, pass_)
        x = batch.x.reshape(len(batch), *grid, -1)
        draw = torch.rand(x.shape[:-1], generator=pass_.generator, device=x.device, dtype=x.dtype)
        changed = draw < levels.reshape(-1, *[1] * len(grid))
        row, *spots = changed.nonzero(as_tuple=True)
        value = x.clone()
        value[row, *spots] = x[row, *self.neighbours(spots, grid, pass_)]
        changed = changed[..., None].expand_as(x).reshape(batch.x.shape)
        return self.seen(batch, levels, changed, value.reshape(batch.x.shape))

    def neighbours(self, spots: list[Tensor], grid: tuple[int, ...], pass_: Pass) -> list[Tensor]:
        """A neighbour of every place, which is never the place itself where there is another along some axis."""
        # All offsets but that in the middle, which is 0 along every axis.
        side, device = 2 * self.radius + 1, spots[0].device
        middle = side ** len(grid) // 2
        draw = torch.randint(1, side ** len(grid), spots[0].shape, generator=pass_.generator, device=device)
        offset, found = (middle + draw) % side ** len(grid), []
        for spot, length in zip(spots, grid, strict=True):
            step, offset = offset % side - self.radius, offset // side
            # Beyond an edge: as far away on the other side.
            mirrored = torch.where((spot + step < 0) | (spot + step >= length), spot - step, spot + step)
            found.append(mirrored.clamp(0, length - 1))
        return found
