"""Schedules: a weight, rate or strength that changes with the fractional epoch."""

from __future__ import annotations

import math

from isthmus.errors import InputError
from isthmus.records import Schedule, part


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
        if not self.epochs > 0:
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
