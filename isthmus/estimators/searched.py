"""What a search of settings tried, and what came of it."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from isthmus.checks import counted

SURE = 2.0
"""Standard errors, row by row, by which settings must be better than the usual ones to take their place."""


@dataclass(frozen=True)
class Trial:
    """One fit of a search.

    Attributes
    ----------
    settings : what was tried.
    cost : nats per held-out row, NaN where the fit failed.
    seconds : of the fit.
    costs : (held-out rows,) those that ``cost`` is the mean of.
    failed : why there is no cost, in words.
    """

    settings: dict[str, Any]
    cost: float
    seconds: float
    costs: np.ndarray | None = field(default=None, repr=False, compare=False)
    failed: str = ""


@dataclass(frozen=True)
class Search:
    """What was tried, the usual settings first, and what came of it.

    Attributes
    ----------
    trials : in the order of the fits.
    rows : held-out rows that all were judged by.
    seconds : of all fits.
    epochs : to which every fit was shortened, as there was no time for more; None = they were not.
    whole : where fits were shortened and other settings seemed better: the usual ones and those, at full length. What
        is best after a few epochs often is not in the end, so that these decide.
    """

    trials: tuple[Trial, ...]
    rows: int
    seconds: float
    epochs: int | None = None
    whole: tuple[Trial, Trial] | None = None

    @property
    def usual(self) -> Trial:
        return self.trials[0]

    @property
    def best(self) -> Trial:
        """The one of the least cost."""
        return min(self.trials, key=lambda trial: math.inf if math.isnan(trial.cost) else trial.cost)

    @property
    def found(self) -> bool:
        """Whether the best is better than the usual settings by more than chance (`SURE`) explains."""
        first, last = (self.usual, self.best) if self.whole is None else self.whole
        best, usual = last.costs, first.costs
        if best is None or usual is None or first is last:
            return False
        gain = usual - best
        return bool(gain.mean() > SURE * gain.std(ddof=1) / math.sqrt(len(gain)))

    @property
    def settings(self) -> dict[str, Any]:
        """What to fit with: empty where the usual settings are kept."""
        return self.best.settings if self.found else {}

    @property
    def sentence(self) -> str:
        """What was tried and found, in words."""
        short = f", each shortened to {counted(self.epochs, 'epoch')}" if self.epochs else ""
        said = f"{counted(len(self.trials), 'fit')} in {self.seconds:.0f} s{short}, judged by {self.rows:,} other rows"
        usual = f"{self.usual.cost:,.4g} nats per row"
        if len(self.trials) == 1:
            return f"{said}: there was time for the usual settings alone, which are kept"
        if self.whole is not None:
            first, last = (f"{trial.cost:,.4g}" for trial in self.whole)
            kept = "" if self.found else ", which is not better for sure: the usual settings are kept"
            said += f"; the best was {written(self.best.settings)}; at full length it has {last} nats per row, as it is"
            return f"{said} usually set {first}{kept}"
        if self.found:
            return f"{said}: {written(self.settings)}, {self.best.cost:,.4g} nats per row; as it is usually set {usual}"
        if self.best is self.usual:
            return f"{said}: none better than the usual settings ({usual}), which are kept"
        return (
            f"{said}: the best, {self.best.cost:,.4g} nats per row, is not better than the usual settings ({usual}) by "
            "more than two standard errors; those are kept"
        )


def written(settings: dict[str, Any]) -> str:
    """As they would be written in Python.

    >>> written({"learning_rate": 0.002, "hidden": (64, 32)})
    'learning_rate=0.002, hidden=(64, 32)'
    """
    return ", ".join(f"{name}={value!r}" for name, value in settings.items())
