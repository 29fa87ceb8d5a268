"""From errors of steps to surprises, and what is news among these."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from isthmus.steps.channels import ROUNDING

TAIL = 0.05
"""Share of the errors, from the top, that the exponential tail is fitted to; the rest is ranked."""

LIGHTEST = 0.2
"""No tail is believed lighter than a normal one, whose mean excess over its 5 % level is 0.19 of that level."""

RUNGS = 2048
"""At most so many errors are kept to rank others by, evenly spaced by rank."""

FAR = 20.0
"""Nats beyond which a surprise grows with its logarithm alone: nothing that was seen tells of such probabilities."""


@dataclass(frozen=True)
class Tail:
    """Minus the log of the probability of an error at least so large, by errors seen before.

    Below the level that 5 % of them reach it is their rank; above, the excess over the level is exponential.

    Attributes
    ----------
    rungs : (m,) errors seen, sorted, at most 2,048 of them.
    level : the error that 5 % of them reach.
    excess : the mean excess over the level of those that reach it, in the error's units.
    """

    rungs: np.ndarray
    level: float
    excess: float

    @classmethod
    def of(cls, errors: np.ndarray) -> Tail:
        """The tail of errors (n,) >= 0; NaN = none was made."""
        seen = np.sort(errors[~np.isnan(errors)])
        if not len(seen):
            return cls(np.zeros(1), 0.0, ROUNDING)
        top = seen[-max(int(TAIL * len(seen)), 1) :]
        level = float(top[0])
        excess = max(float((top - level).mean()), LIGHTEST * level, ROUNDING)
        if len(seen) > RUNGS:
            seen = seen[np.linspace(0, len(seen) - 1, RUNGS).round().astype(np.int64)]
        return cls(seen, level, excess)

    def surprise(self, errors: np.ndarray) -> np.ndarray:
        """Nats, at least 0; beyond 20 they grow with their logarithm alone. An error that is NaN surprises nobody.

        Examples
        --------
        >>> Tail.of(np.arange(100.0)).surprise(np.array([0.0, 50.0, 95.0, 95.0 + 19.0])).round(2)
        array([0.  , 0.68, 2.82, 3.82])
        """
        errors = np.where(np.isnan(errors), self.rungs[0], errors)
        count = len(self.rungs)
        above = count - np.searchsorted(self.rungs, np.minimum(errors, self.level), side="left")
        ranked = np.log((count + 1) / (above + 1))
        nats = ranked + np.maximum(errors - self.level, 0) / self.excess
        return np.where(nats > FAR, FAR * (1 + np.log(np.maximum(nats, FAR) / FAR)), nats)


def newest(surprises: np.ndarray, hold: int) -> np.ndarray:
    """Surprises that are news: 0 at a step that is not more surprising than all of the ``hold`` steps before it.

    What lasts is told once, and again only if it grows. (steps,) -> (steps,).

    Examples
    --------
    >>> newest(np.array([1.0, 5.0, 5.0, 2.0, 6.0, 0.0, 1.0, 2.0]), hold=2)
    array([1., 5., 0., 0., 6., 0., 0., 2.])
    """
    padded = np.concatenate((np.full(hold, -np.inf), surprises))
    before = np.lib.stride_tricks.sliding_window_view(padded, hold)[: len(surprises)].max(axis=1)
    return np.where(surprises > before, surprises, 0.0)


def recent(surprises: np.ndarray, steps: int) -> np.ndarray:
    """The mean surprise of each step and the ``steps`` - 1 before it, fewer at the start: what lasts stands out, if a
    little later. (steps, ...) -> the same shape.

    Examples
    --------
    >>> recent(np.array([4.0, 0.0, 0.0, 3.0]), steps=2)
    array([4. , 2. , 0. , 1.5])
    """
    total = np.concatenate((np.zeros((1, *surprises.shape[1:])), np.cumsum(surprises, axis=0)))
    stop = np.arange(1, len(surprises) + 1)
    start = np.maximum(stop - steps, 0)
    return (total[stop] - total[start]) / (stop - start).reshape(-1, *[1] * (surprises.ndim - 1))
