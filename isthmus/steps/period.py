"""The rhythm of a series: its dominant period, and how long windows of it should be."""

from __future__ import annotations

import numpy as np

from isthmus.steps.channels import ROUNDING, columns_of, figure_of

LEAST_WINDOW = 16
"""Steps of the shortest window, also that of a series without a period."""

MOST_WINDOW = 1000
"""A longer period is not waited for: the weights of a window take its third power of time."""


def dominant_period(series: np.ndarray, least: int = 4, strength: float = 0.3) -> int | None:
    """The steps after which a series repeats itself, or None where it does not.

    The autocorrelation, without trend, is averaged over the channels by their number; the first peak beyond its first
    fall below 0 that comes within 10 % of the highest is the period. At least two periods must have been seen.

    Parameters
    ----------
    series : (steps,) or (steps, channels) numbers; NaN counts as the channel's mean.
    least : the shortest period, in steps.
    strength : the least autocorrelation of a period, in [0, 1]; it must also exceed 4 standard errors of noise's.

    Examples
    --------
    >>> dominant_period(np.sin(2 * np.pi * np.arange(200) / 24))
    24
    >>> dominant_period(np.random.default_rng(0).normal(size=200)) is None
    True
    """
    x = columns_of(series)
    steps = len(x)
    x = rhythm_of(x) if steps >= 2 * least + 2 else x[:, :0]
    if not x.shape[1]:
        return None
    padded = 1 << (2 * steps - 1).bit_length()
    power = np.square(np.abs(np.fft.rfft(x, padded, axis=0)))
    lags = np.fft.irfft(power, padded, axis=0)[: steps // 2 + 1]
    # The fewer pairs a lag has, the smaller its sum: divide by their number.
    likeness = (lags / lags[0]).mean(axis=1) * steps / (steps - np.arange(len(lags)))
    below = np.flatnonzero(likeness < 0)
    if not len(below):
        return None
    peaks = np.arange(max(int(below[0]), least), len(likeness) - 1)
    peaks = peaks[(likeness[peaks] >= likeness[peaks - 1]) & (likeness[peaks] >= likeness[peaks + 1])]
    peaks = peaks[likeness[peaks] > np.maximum(strength, 4 / np.sqrt(steps - peaks))]
    return int(peaks[likeness[peaks] >= 0.9 * likeness[peaks].max()][0]) if len(peaks) else None


def window_length(series: np.ndarray) -> int:
    """Steps of the windows of a series: whole periods, at least 16 steps; 16 where there is no period of at
    most 1,000 steps. Never more than half of the series.

    Examples
    --------
    >>> window_length(np.sin(2 * np.pi * np.arange(200) / 24)), window_length(np.zeros(200))
    (24, 16)
    """
    period = dominant_period(series)
    if period is None or period > MOST_WINDOW:
        return min(LEAST_WINDOW, len(series) // 2)
    return min(period * -(-LEAST_WINDOW // period), len(series) // 2)


def rhythm_of(x: np.ndarray) -> np.ndarray:
    """(steps, channels) without trend, of deviation 1, far values cut; channels with nothing else are left out."""
    size = np.abs(np.nan_to_num(x)).max(axis=0, initial=0.0)
    x = np.nan_to_num(x - figure_of(x, np.nanmean))
    x = x[:, x.std(axis=0) > ROUNDING * size]
    # A few far values would leave nothing of the rhythm of the others, unless they are all the rhythm there is.
    low, high = np.quantile(x, [0.01, 0.99], axis=0)
    x = np.where(high > low, np.clip(x, low, high), x)
    time, before = np.arange(len(x)) - (len(x) - 1) / 2, x.std(axis=0)
    x = x - x.mean(axis=0) - np.outer(time, time @ x / (time @ time))
    spread = x.std(axis=0)
    return x[:, spread > 1e-9 * before] / spread[spread > 1e-9 * before]
