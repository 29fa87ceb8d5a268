"""How surprising is each step of a series, seen from the steps before it alone: a linear autoencoder of windows.

A window of the last steps is rebuilt with its newest step hidden. Of all linear autoencoders with hidden cells the best
has a closed form: the conditional mean of the hidden step, whose weights solve one ridge regression for each channel.
The window spans the series' dominant period, so that the newest step is compared with the same hour of the day before.

A step's error, and its value's distance from the middle, are each turned into a tail probability by errors that were
made on steps not learnt from; the smaller of the two counts, and a step's surprise is minus its logarithm, in nats: a
surprise of s has a probability of about exp(-s) in ordinary data, whatever the series' units.

References: linear models of windows are hard to beat, Sarfraz et al., "Quo vadis, unsupervised time series anomaly
detection?", ICML 2024; windows of a period's size, Paparrizos et al., "TSB-UAD", VLDB 2022; exponential tails of
excesses over a high level, Siffer et al., "Anomaly detection in streams with extreme value theory", KDD 2017.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from isthmus.errors import InputError

LEAST_WINDOW = 16
"""Steps of the shortest window, also that of a series without a period."""
MOST_WINDOW = 1000
"""A longer period is not waited for: the weights of a window take its third power of time."""
RIDGE = 0.01
"""Added to the windows' second moments, as a share of their mean variance."""
TAIL = 0.05
"""Share of the errors, from the top, that the exponential tail is fitted to; the rest is ranked."""
LIGHTEST = 0.2
"""No tail is believed lighter than a normal one, whose mean excess over its 5 % level is 0.19 of that level."""
RUNGS = 2048
"""At most so many errors are kept to rank others by, evenly spaced by rank."""
ROUNDING = 1e-12
"""The least error that means anything, in standard deviations."""
FAR = 20.0
"""Nats beyond which a surprise grows with its logarithm alone: nothing that was seen tells of such probabilities."""
FEWEST = 64
"""Steps below which nothing can be learnt and calibrated."""


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
    x = _columns(series)
    steps = len(x)
    x = _rhythm(x) if steps >= 2 * least + 2 else x[:, :0]
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


@dataclass(frozen=True)
class StepModel:
    """A linear autoencoder of a series' windows, one for each channel, and the tails of its errors.

    Attributes
    ----------
    middle, scale : (channels,) median and standard deviation of the training steps; of a constant channel its size,
        or 1.
    weights : (window, channels) of the steps before the newest, the oldest first, on scaled values.
    offset : (channels,) added to what they tell.
    tails : for each channel that of the error, and that of the distance from the middle.
    """

    middle: np.ndarray
    scale: np.ndarray
    weights: np.ndarray
    offset: np.ndarray
    tails: tuple[tuple[Tail, Tail], ...]

    def surprise(self, series: np.ndarray, start: int = 0, seen: np.ndarray | None = None) -> np.ndarray:
        """Nats by which each step from ``start`` on surprises, by the steps before it: (steps, channels) -> (steps -
        start, channels). The first steps of all, which have no whole window before them, are judged by value alone.
        ``seen`` is what windows show, such as the series `mended`; None = the series."""
        errors = self.errors(series, start)
        if seen is not None:
            errors[0] = np.abs(
                self._scaled(series)[start:] - _told(self._scaled(seen), self.weights, self.offset, start)
            )
        return self._surprise(errors)

    def expected(self, series: np.ndarray, start: int = 0) -> np.ndarray:
        """(steps - start, channels): what each step was expected to be by the window before it, in the series' units;
        NaN for the first steps of all, which have no whole window before them."""
        return _told(self._scaled(series), self.weights, self.offset, start) * self.scale + self.middle

    def errors(self, series: np.ndarray, start: int = 0) -> np.ndarray:
        """(2, steps - start, channels): how far each step is from what the window before it tells, NaN where there is
        none, and from the middle, NaN where there is a gap; in standard deviations of the training steps."""
        return _errors(self._scaled(series), self.weights, self.offset, start)

    def mended(self, series: np.ndarray) -> np.ndarray:
        """(steps, channels): the series with what was expected in place of gaps, and of steps that surprise by more
        than 20 nats: in the windows of later steps a spike makes each of these look odd, as gaps do.

        A step is mended by earlier ones alone. At most a quarter of a window is mended for its surprise: after that,
        the series is taken for what it has become.

        Examples
        --------
        >>> wave = np.sin(2 * np.pi * np.arange(400) / 25) + 0.1 * np.random.default_rng(0).normal(size=400)
        >>> odd = wave.copy()
        >>> odd[306] = 50.0
        >>> model = fit_steps(wave[:200])
        >>> before, after = model.surprise(odd), model.surprise(odd, seen=model.mended(odd))
        >>> (before > 10).sum(), (after > 10).sum()
        (np.int64(24), np.int64(1))
        """
        x, window = self._scaled(series), len(self.weights)
        mended = np.isnan(x)
        for channel in range(x.shape[1]):
            own, told, tail = x[:, channel], mended[:, channel], self.tails[channel][0]
            weights, offset = self.weights[:, channel, None], self.offset[channel, None]
            for _ in range(window // 4 + 1):
                own[:window][told[:window]] = 0.0  # the middle: no whole window tells of these
                for step in window + np.flatnonzero(told[window:]):  # few, each told by those before it
                    own[step] = own[step - window : step] @ weights[:, 0] + offset[0]
                error = np.abs(own - _told(own[:, None], weights, offset, 0)[:, 0])
                far = np.flatnonzero((tail.surprise(error) > FAR) & ~told)
                # The first within a window's reach: those behind it may be odd because of it.
                first = far[np.diff(far, prepend=-window - 1) > window]
                if not len(first):
                    break
                told[first] = True
        return np.where(mended, x * self.scale + self.middle, _columns(series))

    def _scaled(self, series: np.ndarray) -> np.ndarray:
        x = _columns(series)
        if x.shape[1] != len(self.middle):
            raise InputError(f"series: has {x.shape[1]} channels; the model knows {len(self.middle)}")
        return (x - self.middle) / self.scale

    def _surprise(self, errors: np.ndarray) -> np.ndarray:
        pairs = [
            [tail.surprise(errors[kind, :, channel]) for kind, tail in enumerate(tails)]
            for channel, tails in enumerate(self.tails)
        ]
        # The smaller of two probabilities is below p with a probability of up to 2 p.
        return np.maximum(np.max(pairs, axis=1).T - np.log(2), 0.0)


def fit_steps(series: np.ndarray, window: int | None = None) -> StepModel:
    """A model of training steps. Its tails come from the second half of them, judged by a model of the first half.

    Parameters
    ----------
    series : (steps,) or (steps, channels) numbers, at least 64 steps; NaN marks a gap.
    window : steps that a window has before its newest; None = `window_length`. At most half of the steps.

    Raises
    ------
    InputError : fewer than 64 steps, or infinite values.

    Examples
    --------
    >>> wave = np.sin(2 * np.pi * np.arange(400) / 25) + 0.1 * np.random.default_rng(0).normal(size=400)
    >>> odd = wave.copy()
    >>> odd[306] = -odd[306]
    >>> model = fit_steps(wave[:200])
    >>> model.surprise(odd).argmax(), model.surprise(odd).shape
    (np.int64(306), (400, 1))
    """
    return _Learner(_columns(series), len(series), window).model()


def surprises(series: np.ndarray, first: int, window: int | None = None, growth: float = 1.1) -> np.ndarray:
    """Surprise of every step of a series by a model that goes on learning: (steps, channels), 0 for the first ones.

    The model of the ``first`` steps judges the next ones, is fitted again with these when the series has grown by
    ``growth``, and so on: no step is judged by a model that has seen it or a later one.

    Parameters
    ----------
    series : (steps,) or (steps, channels) numbers; NaN marks a gap.
    first : steps to learn from before the first is judged, at least 64; those are taken for mostly normal.
    window : steps of a window; None = `window_length` of the steps so far, chosen anew at every fit.
    growth : how much longer the series gets before the model is fitted again; above 1.
    """
    if not growth > 1:
        raise InputError(f"growth: must be above 1; got {growth!r}. Try 1.1")
    x = _columns(series)
    learner = _Learner(x, first, window)
    out = np.zeros(x.shape)
    bounds = [first]
    while bounds[-1] < len(x):
        bounds.append(min(len(x), int(bounds[-1] * growth) + 1))
    for start, stop in pairwise(bounds):
        model = learner.model()
        errors = model.errors(x[:stop], start)
        out[start:stop] = model._surprise(errors)
        learner.add(errors)
    return out


class _Learner:
    """What the models of a growing series share: the scale, and errors of steps not learnt from."""

    def __init__(self, series: np.ndarray, first: int, window: int | None) -> None:
        start = series[:first]
        if len(start) < FEWEST:
            raise InputError(f"series: a model of steps needs at least {FEWEST} steps to learn from; got {len(start)}")
        if np.isinf(series).any():
            raise InputError("series: must be finite or NaN (a gap); some values are infinite")
        if window is not None and not 1 <= window <= len(start) // 2:
            raise InputError(f"window: must be 1 to half of the {len(start)} steps to learn from; got {window!r}")
        self.window = window
        self.middle = _figure(start, np.nanmedian)
        spread = _figure(start, np.nanstd)
        size = np.abs(self.middle)
        self.scale = np.where(spread > ROUNDING * size, spread, np.where(size > 0, size, 1.0))
        self.x = (series - self.middle) / self.scale
        half = first // 2
        errors = _errors(self.x[:first], *self._rule(half), 0)
        errors[0, :half] = np.nan
        self.seen = [errors]
        self.steps = len(start)

    def _rule(self, steps: int) -> tuple[np.ndarray, np.ndarray]:
        x = self.x[:steps]
        return _rule(x, min(window_length(x) if self.window is None else self.window, steps // 2))

    def add(self, errors: np.ndarray) -> None:
        self.seen.append(errors)
        self.steps += errors.shape[1]

    def model(self) -> StepModel:
        errors = np.concatenate(self.seen, axis=1)
        tails = tuple((Tail.of(errors[0, :, one]), Tail.of(errors[1, :, one])) for one in range(errors.shape[2]))
        return StepModel(self.middle, self.scale, *self._rule(self.steps), tails)


def _columns(series: np.ndarray) -> np.ndarray:
    x = np.asarray(series, dtype=np.float64)
    if x.ndim not in (1, 2):
        raise InputError(f"series: must be (steps,) or (steps, channels); got the shape {x.shape}")
    return x.reshape(len(x), -1)


def _figure(x: np.ndarray, how: Callable[..., np.ndarray]) -> np.ndarray:
    """A figure of each channel without its gaps; 0 of a channel that has nothing else."""
    out = np.zeros(x.shape[1])
    some = ~np.isnan(x).all(axis=0)
    if some.any():
        out[some] = how(x[:, some], axis=0)
    return out


def _rhythm(x: np.ndarray) -> np.ndarray:
    """(steps, channels) without trend, of deviation 1, far values cut; channels with nothing else are left out."""
    size = np.abs(np.nan_to_num(x)).max(axis=0, initial=0.0)
    x = np.nan_to_num(x - _figure(x, np.nanmean))
    x = x[:, x.std(axis=0) > ROUNDING * size]
    # A few far values would leave nothing of the rhythm of the others, unless they are all the rhythm there is.
    low, high = np.quantile(x, [0.01, 0.99], axis=0)
    x = np.where(high > low, np.clip(x, low, high), x)
    time, before = np.arange(len(x)) - (len(x) - 1) / 2, x.std(axis=0)
    x = x - x.mean(axis=0) - np.outer(time, time @ x / (time @ time))
    spread = x.std(axis=0)
    return x[:, spread > 1e-9 * before] / spread[spread > 1e-9 * before]


def _windows(x: np.ndarray, window: int) -> np.ndarray:
    """(steps - window + 1, channels, window) views, without a copy; gaps count as the middle."""
    return np.lib.stride_tricks.sliding_window_view(np.nan_to_num(x), window, axis=0)


def _rule(x: np.ndarray, window: int) -> tuple[np.ndarray, np.ndarray]:
    """(window, channels) weights and (channels,) offsets: the ridge regression of each step on the window before it."""
    mean = np.nan_to_num(x).mean(axis=0)
    weights = np.zeros((window, x.shape[1]))
    views = _windows(x - mean, window + 1)
    for channel in range(x.shape[1]):
        moments = np.zeros((window + 1, window + 1))
        for start in range(0, len(views), 4096):
            block = np.ascontiguousarray(views[start : start + 4096, channel])
            moments += block.T @ block
        spread = np.trace(moments[:-1, :-1]) / window
        if spread > 0:
            ridge = RIDGE * spread * np.eye(window)
            weights[:, channel] = np.linalg.solve(moments[:-1, :-1] + ridge, moments[:-1, -1])
    return weights, mean * (1 - weights.sum(axis=0))


def _told(x: np.ndarray, weights: np.ndarray, offset: np.ndarray, start: int) -> np.ndarray:
    """(steps - start, channels): what the window before each step tells of it, NaN where there is no whole window."""
    window = len(weights)
    out = np.full((len(x) - start, x.shape[1]), np.nan)
    begin = max(start, window)
    if begin < len(x):
        out[begin - start :] = np.einsum("scw,wc->sc", _windows(x[begin - window : -1], window), weights) + offset
    return out


def _errors(x: np.ndarray, weights: np.ndarray, offset: np.ndarray, start: int) -> np.ndarray:
    """(2, steps - start, channels) of scaled values, as `StepModel.errors` says."""
    return np.abs(np.stack((x[start:] - _told(x, weights, offset, start), x[start:])))
