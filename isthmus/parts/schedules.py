"""Schedules: a weight, rate or strength that changes with the fractional epoch; and strengths drawn from a range."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from isthmus.checks import is_real
from isthmus.errors import InputError
from isthmus.records import Pass, Schedule, part


@part
class Ramp:
    """Move from ``start`` to ``stop`` over ``epochs`` epochs, then stay.

    Parameters
    ----------
    start, stop : the value before and after.
    epochs : how long the change takes, > 0.
    shape : ``"linear"`` or ``"cosine"``.

    Examples
    --------
    >>> Ramp(0.0, 1.0, epochs=10)(2.5)
    0.25
    """

    start: float
    stop: float
    epochs: float
    shape: str = "linear"

    def __post_init__(self) -> None:
        if not (is_real(self.start) and is_real(self.stop)):
            raise InputError(f"Ramp: start and stop must be numbers; got {self.start!r} and {self.stop!r}")
        if not (is_real(self.epochs) and self.epochs > 0):
            raise InputError(f"Ramp: epochs must be > 0, got {self.epochs!r}")
        if self.shape not in ("linear", "cosine"):
            raise InputError(f"Ramp: shape must be 'linear' or 'cosine', got {self.shape!r}")

    def __call__(self, epoch: float) -> float:
        done = min(max(epoch / self.epochs, 0.0), 1.0)
        if self.shape == "cosine":
            done = 0.5 - 0.5 * math.cos(math.pi * done)
        return self.start + (self.stop - self.start) * done


def at(schedule: Schedule, epoch: float) -> float:
    """The schedule's value at ``epoch``; infinity asks for the final one."""
    return float(schedule(epoch)) if callable(schedule) else float(schedule)


def ends(schedule: object) -> float:
    """The epoch after which a schedule no longer changes (0 for a plain number)."""
    return float(getattr(schedule, "epochs", 0.0))


@part
class Between:
    """A strength that each row draws anew in every pass, evenly between ``low`` and ``high``.

    Parameters
    ----------
    low, high : 0 <= low <= high.
    log : draw the logarithm evenly, so that small strengths are as common as large ones; low must be > 0.

    Examples
    --------
    >>> import torch
    >>> drawn = Between(0.05, 2.0, log=True).draw(3, Pass(torch.Generator().manual_seed(0)), torch.zeros(1))
    >>> drawn.shape, bool((drawn >= 0.05).all())
    (torch.Size([3]), True)
    """

    low: float
    high: float
    log: bool = False

    def __post_init__(self) -> None:
        if not (is_real(self.low) and is_real(self.high) and 0 <= self.low <= self.high < math.inf):
            raise InputError(f"Between: low and high must be 0 <= low <= high; got {self.low!r} and {self.high!r}")
        if self.log and self.low == 0:
            raise InputError("Between: low must be > 0 where log=True; got 0: use log=False, or a low such as 0.01")

    def draw(self, rows: int, pass_: Pass, like: Tensor) -> Tensor:
        """(rows,) strengths, of the type and on the device of ``like``."""
        even = torch.rand(rows, generator=pass_.generator, device=like.device, dtype=like.dtype)
        if self.log:
            return self.low * (self.high / self.low) ** even
        return self.low + (self.high - self.low) * even


Strength = Schedule | Between
"""A number, a schedule, or a range."""


def bounds(strength: Strength) -> tuple[float, float]:
    """The least and the greatest value that a strength takes; NaN for what is no strength."""
    if isinstance(strength, Between):
        return strength.low, strength.high
    if callable(strength):
        ends = (at(strength, 0.0), at(strength, math.inf))
        return min(ends), max(ends)
    return (strength, strength) if is_real(strength) else (math.nan, math.nan)
