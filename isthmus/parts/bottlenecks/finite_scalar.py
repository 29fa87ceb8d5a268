"""Finite scalar quantisation: every unit is rounded to one of a few levels, so that no book has to be learned."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from isthmus.checks import is_whole
from isthmus.errors import InputError
from isthmus.parts.bottlenecks.discrete import STRAIGHT_THROUGH, straight_through
from isthmus.parts.priors.alphabet import Alphabet
from isthmus.records import Code, Context, part


@part
class FiniteScalar:
    """Squash every unit to [-1, 1] and round it to the nearest of its levels, which lie evenly from -1 to 1.

        z = 2 round((L - 1) (tanh(h) + 1) / 2) / (L - 1) - 1,    cost = sum over units of log(L) nats

    The decoder's gradient is handed on past the rounding. Nothing can collapse: there is no book, and what is paid is
    the same for every row, so that it needs no weight.

    Parameters
    ----------
    levels : L >= 2 of every unit, or several that the units take by turns, such as ``(8, 5, 5)``.

    References
    ----------
    Mentzer et al. 2024, Finite scalar quantization: VQ-VAE made simple.

    Examples
    --------
    >>> code = FiniteScalar(3)(torch.tensor([[-9.0, 0.2, 9.0]]), Context(shape=(4,)))
    >>> code.z.tolist(), code.index.tolist()
    ([[-1.0, 0.0, 1.0]], [[0, 1, 2]])
    """

    levels: int | tuple[int, ...] = 8

    estimates_gradient = STRAIGHT_THROUGH

    def __post_init__(self) -> None:
        every = self.levels if isinstance(self.levels, (tuple, list)) else (self.levels,)
        if not every or not all(is_whole(level) and level >= 2 for level in every):
            raise InputError(f"FiniteScalar: levels must be whole numbers >= 2, 8 or (8, 5, 5); got {self.levels!r}")
        if isinstance(self.levels, list):
            object.__setattr__(self, "levels", tuple(self.levels))

    def width(self, code_size: int) -> int:
        """Numbers the encoder must emit for a code of ``code_size``."""
        return code_size

    def levels_of(self, units: int) -> list[int]:
        """The levels of every unit."""
        every = self.levels if isinstance(self.levels, tuple) else (self.levels,)
        return [every[unit % len(every)] for unit in range(units)]

    def __call__(self, hidden: Tensor, context: Context) -> Code:
        bounded = torch.tanh(hidden.flatten(1))
        levels = self.levels_of(bounded.shape[1])
        steps = self.rounded(bounded.detach(), levels)
        point = self.placed(steps, levels)
        cost = bounded.new_full((bounded.shape[0],), sum(math.log(level) for level in levels))
        return Code(z=straight_through(point, bounded), point=point, cost=cost, index=steps.long())

    def rounded(self, bounded: Tensor, levels: list[int]) -> Tensor:
        """The number of the nearest level, from 0, of values in [-1, 1]."""
        return torch.round((bounded + 1) / 2 * (bounded.new_tensor(levels) - 1))

    def placed(self, steps: Tensor, levels: list[int]) -> Tensor:
        """Where in [-1, 1] the levels lie."""
        return 2 * steps / (steps.new_tensor(levels) - 1) - 1

    def alphabet(self, code_size: int) -> Alphabet:
        """What the symbols stand for: where the levels lie."""
        levels = self.levels_of(len(self.levels) if isinstance(self.levels, tuple) else 1)
        steps = torch.arange(max(levels)).float()[:, None].expand(-1, len(levels))
        return Alphabet(self.placed(steps, levels).T[:, None, :, None], torch.tensor(levels)[:, None])

    def z_of(self, point: Tensor) -> Tensor:
        """The nearest levels of any point."""
        levels = self.levels_of(point.shape[1])
        return self.placed(self.rounded(point.clamp(-1, 1), levels), levels)
