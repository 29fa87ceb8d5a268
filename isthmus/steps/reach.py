"""What the steps before tell of a step where some are missing, and how much less than a whole window."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from isthmus.steps.rules import RIDGE, told_of

BLIND = 1e12
"""What leaves so many times the variance of a whole window's error tells nothing."""


@dataclass(frozen=True)
class Reach:
    """What the steps before tell of each step of one channel, and how much less than a whole window without gaps.

    A gap of a whole window or more is not told across: behind it the series begins anew.

    Attributes
    ----------
    weights : (window + 1, window) of the steps before, the oldest first: in line k where only k steps came before, and
        the model's own in the last.
    offset : added to what a whole window tells.
    before : (steps,) how many steps came before, since the series began, at most a window.
    spread : (steps,) >= 1, how much larger the error is expected to be than behind a whole window.
    """

    weights: np.ndarray
    offset: float
    before: np.ndarray
    spread: np.ndarray

    @classmethod
    def of(cls, gaps: np.ndarray, weights: np.ndarray, offset: float, products: np.ndarray, noise: float) -> Reach:
        """Where ``gaps`` (steps,) are unknown; ``noise`` is the mean square of what a whole window leaves untold, which
        the ``products`` (window + 1,), as `StepModel` keeps them, bound too."""
        window, steps = len(weights), np.arange(len(gaps))
        first, untold = shorter_rules(products)
        lines = np.vstack([first[:window], weights])
        begin, edges = np.zeros(len(gaps), dtype=np.int64), np.flatnonzero(np.diff(gaps, prepend=False, append=False))
        inner = gaps.copy()
        for left, right in edges.reshape(-1, 2).tolist():
            if right - left >= window:
                inner[left:right], begin[right:] = False, right
        before = np.minimum(steps - begin, window)
        least = min(untold[window], noise)
        base = np.clip(untold / least, 1.0, BLIND) if least > 0 else np.full(window + 1, BLIND)
        base[window] = 1.0
        variance = base[before]
        add_gaps(variance, np.flatnonzero(inner), lines, before)
        return cls(lines, float(offset), before, np.where(variance < BLIND, np.sqrt(variance), np.inf))

    def told(self, own: np.ndarray) -> np.ndarray:
        """(steps,): what is told of each step of a channel (steps,) whose gaps are filled."""
        window = self.weights.shape[1]
        out = told_of(own[:, None], self.weights[-1, :, None], np.array([self.offset]), 0)[:, 0]
        early = np.flatnonzero(self.before < window)
        padded = np.concatenate([np.zeros(window), np.nan_to_num(own)])
        for some in np.array_split(early, max(1, len(early) // 4096)):
            views = np.lib.stride_tricks.sliding_window_view(padded, window)[some]
            out[some] = np.einsum("sw,sw->s", views, self.weights[self.before[some]])
        return out

    def fill(self, own: np.ndarray, steps: np.ndarray) -> None:
        """Put what earlier steps tell in place of these ``steps`` of a channel (steps,)."""
        window = self.weights.shape[1]
        own[steps] = 0.0
        for step in steps.tolist():  # few, each told by those before it
            known = int(self.before[step])
            if known:
                line = self.weights[known, window - known :]
                own[step] = own[step - known : step] @ line + (self.offset if known == window else 0.0)


def shorter_rules(products: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(window + 1, window) weights by which 0, 1, .. window steps tell the next, the oldest first and 0 where there is
    no step, and (window + 1,) the mean squares that they leave untold: Durbin's recursion."""
    window = len(products) - 1
    lines, untold = np.zeros((window + 1, window)), np.zeros(window + 1)
    ridge, own = RIDGE * products[0], np.zeros(0)
    left = untold[0] = products[0]
    left = left + ridge
    for steps in range(1, window + 1 if left > 0 else 0):
        part = (products[steps] - own @ products[steps - 1 : 0 : -1]) / left
        own = np.append(own - part * own[::-1], part)
        left *= 1 - part * part
        lines[steps, window - steps :] = own[::-1]
        untold[steps] = max(left - ridge * (1 + own @ own), 0.0)
    return lines, untold


def add_gaps(variance: np.ndarray, gaps: np.ndarray, lines: np.ndarray, before: np.ndarray) -> None:
    """Add to the ``variance`` (steps,) of what is told what comes from filled ``gaps`` in its window, in place.

    Of filled steps the errors e have a covariance C; they come with the window's weights w into what is told of the
    next, whose error so has the variance 1 + w C w, in units of that behind a whole window, and, where that step is a
    gap itself, the covariance C w with theirs.
    """
    window, stops = lines.shape[1], [*gaps[1:].tolist(), len(variance) - 1][: len(gaps)]
    first, spread, shared = 0, np.zeros((0, 0)), np.zeros(0)  # the first gap in reach, C of it and later ones, and C w
    for number, (gap, stop) in enumerate(zip(gaps.tolist(), stops, strict=True)):
        known, spread = spread, np.empty((len(spread) + 1, len(spread) + 1))
        spread[:-1, :-1], spread[-1, :-1], spread[:-1, -1], spread[-1, -1] = known, shared, shared, variance[gap]
        later = np.arange(gap + 1, min(stop, gap + window) + 1)
        lags = later[:, None] - gaps[first : number + 1]
        came = before[later][:, None]
        weights = np.where(lags <= came, lines[came, window - np.minimum(lags, window)], 0.0)
        from_gaps = weights @ spread
        variance[later] += np.einsum("lg,lg->l", from_gaps, weights)
        beyond = number + 1 if stop > gap + window else int(np.searchsorted(gaps, stop - window))
        spread = spread[beyond - first :, beyond - first :]
        shared = from_gaps[-1:, beyond - first :].reshape(-1)
        first = beyond
