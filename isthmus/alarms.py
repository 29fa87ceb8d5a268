"""From how odd rows look to how often they should raise an alarm: held-out scores, tail probabilities, false alarms.

Whatever makes the score, its values on rows that were held out of the fit say how often an ordinary row scores as high:
the only thing that a rate of alarms can be promised by (Vovk et al. 2005; Bates et al. 2023).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from isthmus.errors import FileFormatError

RESOLVED = 2.0
"""A rate is resolved by held-out rows of which, at that rate, so many alarm in the mean."""

KNOTS = 200
"""Points at most that a `Surprise` is kept by."""

TAIL = 0.1
"""The share of held-out rows, the oddest ones, that say how a figure's tail goes on beyond them."""

FEWEST = 5
"""Rows at least that a tail is told from."""

LEAST_SPREAD = 0.25
"""The least mean excess that a tail is taken to have: one that is told from few rows, or from figures that are bounded,
must not make a figure that is a little higher outweigh all others."""


@dataclass(frozen=True)
class HeldOut:
    """Scores of rows that the score was not made from, higher = odder.

    Parameters
    ----------
    scores : (m,) float64, ascending, m >= 1.

    Notes
    -----
    If a new row comes from where the held-out rows came from, each of the m + 1 places that its score may take among
    theirs is equally probable. So its p-value, (1 + how many of them score as high) / (m + 1), is at most r with a
    probability of at most r, whatever the score is: that is what bounds the rate of false alarms.

    References
    ----------
    Bates, Candès, Lei, Romano & Sesia 2023, "Testing for outliers with conformal p-values".

    Examples
    --------
    >>> held_out = HeldOut.of(np.arange(99.0))
    >>> held_out.p_values(np.array([-1.0, 50.0, 1000.0]))
    array([1.  , 0.5 , 0.01])
    >>> held_out.threshold(0.05), (held_out.p_values(np.array([94.0, 94.5])) <= 0.05).tolist()
    (94.0, [False, True])
    """

    scores: np.ndarray

    @classmethod
    def of(cls, scores: np.ndarray) -> HeldOut:
        return cls(np.sort(np.asarray(scores, dtype=np.float64)))

    def __len__(self) -> int:
        return len(self.scores)

    def p_values(self, scores: np.ndarray) -> np.ndarray:
        """(n,) in [1 / (m + 1), 1]: how probable so high a score is for an ordinary row; NaN of a score that is NaN."""
        scores = np.asarray(scores, dtype=np.float64)
        below = np.searchsorted(self.scores, scores, side="left")
        return np.where(np.isnan(scores), np.nan, (1 + len(self) - below) / (len(self) + 1))

    def threshold(self, rate: float) -> float:
        """The score above which a row's p-value is at most ``rate``, in (0, 1); of a rate that is too low for any row
        to reach, the highest score."""
        allowed = int(np.floor(rate * (len(self) + 1) * (1 + 1e-12))) - 1  # held-out scores that may be as high
        return float(self.scores[len(self) - 1 - min(max(allowed, 0), len(self) - 1)])

    def resolves(self, rate: float) -> bool:
        """Whether there are rows enough to tell this rate from a lower one."""
        return len(self) * rate >= RESOLVED


def discoveries(p_values: np.ndarray, rate: float) -> np.ndarray:
    """Which rows of a batch to call anomalies, so that in the mean at most ``rate`` of those called are ordinary.

    Benjamini and Hochberg's rule: the k rows of the least p-values, for the greatest k of which p <= rate k / n. With
    p-values from `HeldOut` it holds although they share their held-out rows (Bates et al. 2023, theorem 2).

    Parameters
    ----------
    p_values : (n,) in [0, 1]; NaN = nothing is known of the row, which is then no part of the batch.
    rate : share of false ones among those called, in (0, 1).

    Returns
    -------
    (n,) bool

    References
    ----------
    Benjamini & Hochberg 1995, "Controlling the false discovery rate".

    Examples
    --------
    >>> discoveries(np.array([0.01, 0.2, 0.03, 0.9]), 0.1)
    array([ True, False,  True, False])
    """
    ordered = np.sort(p_values[~np.isnan(p_values)])
    if not len(ordered):
        return np.zeros(len(p_values), dtype=bool)
    good = np.flatnonzero(ordered <= rate * np.arange(1, len(ordered) + 1) / len(ordered))
    return p_values <= (ordered[good[-1]] if len(good) else -1.0)


@dataclass(frozen=True)
class Surprise:
    """How odd a figure is, in nats: minus the log of the share of held-out rows whose figure is as high.

    So figures of different kinds can be added up (Fisher 1925). Beyond the oddest tenth the share falls exponentially,
    as fast as in that tenth: a row far beyond all that was held out is odder than one just beyond. For figures that are
    logarithms (of a distance, say) that is a tail that falls as a power (Hill 1975).

    Parameters
    ----------
    at : (k,) float64, figures, ascending.
    nats : (k,) float64, what they come to, ascending from 0 on.
    slope : nats per unit of the figure beyond the last.

    Examples
    --------
    >>> figures = np.random.default_rng(0).exponential(0.5, 100_000)  # a share of exp(-2 x) is above x
    >>> Surprise.fit(figures)(np.array([0.0, 0.5, 1.0, 10.0])).round(1)
    array([ 0.,  1.,  2., 20.])
    """

    at: np.ndarray
    nats: np.ndarray
    slope: float

    @classmethod
    def fit(cls, figures: np.ndarray, least_spread: float = LEAST_SPREAD) -> Surprise:
        """From the figures of held-out rows, (m,), m >= 1.

        ``least_spread`` is the least mean excess that the tail is taken to have; with the usual one, a figure that is
        higher by 1 is worth at most 4 nats more.
        """
        ordered = np.sort(np.asarray(figures, dtype=np.float64))
        rows = len(ordered)
        start = rows - min(rows, max(FEWEST, round(TAIL * rows)))
        ranks = np.unique(np.linspace(0, start, KNOTS).round().astype(int))
        at = np.unique(ordered[ranks])
        nats = np.log(rows) - np.log(rows - np.searchsorted(ordered, at, side="left"))
        return cls(at, nats, 1.0 / max(float(np.mean(ordered[start:] - ordered[start])), least_spread))

    def __call__(self, figures: np.ndarray) -> np.ndarray:
        """(n,) nats >= 0."""
        beyond = np.maximum(figures - self.at[-1], 0.0)
        return np.interp(figures, self.at, self.nats) + self.slope * beyond

    def state(self) -> np.ndarray:
        """(2 k + 1,) all of it, for a file."""
        return np.concatenate([self.at, self.nats, [self.slope]])

    @classmethod
    def restore(cls, state: np.ndarray) -> Surprise:
        """The inverse of `state`."""
        state = np.asarray(state, dtype=np.float64)
        if len(state) < 3 or not len(state) % 2 or not np.isfinite(state).all() or state[-1] <= 0:
            raise FileFormatError("the description of the held-out rows is damaged")
        at, nats = np.split(state[:-1], 2)
        if not ((np.diff(at) > 0).all() and (np.diff(nats) >= 0).all()):
            raise FileFormatError("the description of the held-out rows is damaged")
        return cls(at, nats, float(state[-1]))
