"""Models of the steps of a series: of one that is there, and of one that grows."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from isthmus.errors import InputError
from isthmus.steps.channels import ROUNDING, columns_of, figure_of
from isthmus.steps.period import window_length
from isthmus.steps.reach import Reach
from isthmus.steps.rules import errors_of, products_of, rule_of, told_of
from isthmus.steps.tails import FAR, Tail

NORMAL_MEDIAN = 0.6745
"""Half of a normal distribution lies within so many standard deviations."""

FEWEST = 64
"""Steps below which nothing can be learnt and calibrated."""


@dataclass(frozen=True)
class StepModel:
    """A linear autoencoder of a series' windows, one for each channel, and the tails of its errors.

    Attributes
    ----------
    middle, scale : (channels,) median and standard deviation of the training steps; of a constant channel its size,
        or 1.
    weights : (window, channels) of the steps before the newest, the oldest first, on scaled values.
    offset : (channels,) added to what they tell.
    products : (window + 1, channels) the mean product of scaled values of so many steps apart, from 0 on.
    tails : for each channel that of the error, and that of the distance from the middle.
    """

    middle: np.ndarray
    scale: np.ndarray
    weights: np.ndarray
    offset: np.ndarray
    products: np.ndarray
    tails: tuple[tuple[Tail, Tail], ...]

    def surprise(self, series: np.ndarray, start: int = 0, seen: np.ndarray | None = None) -> np.ndarray:
        """Nats by which each step from ``start`` on surprises, by the steps before it: (steps, channels) -> (steps -
        start, channels). The first steps of all, which have no whole window before them, are judged by value alone, and
        gaps in windows count as the middle.

        ``seen`` is what windows show, the series `mended`: then the first steps are judged by those there are, and how
        much less these, and windows with gaps, tell is allowed for."""
        errors = self.errors(series, start)
        if seen is not None:
            x, shown = self._scaled(series), self._scaled(seen)
            for channel, reach in enumerate(self._reaches(np.isnan(x))):
                off = np.abs(x[:, channel] - reach.told(shown[:, channel])) / reach.spread
                errors[0, :, channel] = off[start:]
        return self._surprise(errors)

    def expected(self, series: np.ndarray, start: int = 0) -> np.ndarray:
        """(steps - start, channels): what each step was expected to be by the window before it, in the series' units;
        NaN for the first steps of all, which have no whole window before them."""
        return told_of(self._scaled(series), self.weights, self.offset, start) * self.scale + self.middle

    def errors(self, series: np.ndarray, start: int = 0) -> np.ndarray:
        """(2, steps - start, channels): how far each step is from what the window before it tells, NaN where there is
        none, and from the middle, NaN where there is a gap; in standard deviations of the training steps."""
        return errors_of(self._scaled(series), self.weights, self.offset, start)

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
        x = columns_of(series)
        gaps = np.isnan(self._scaled(series))
        made = [self._mended(x[:, channel], channel, reach) for channel, reach in enumerate(self._reaches(gaps))]
        return np.stack(made, axis=1)

    def judged(self, series: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(steps, channels) how much each step surprises, by windows that show the series `mended`, and what was
        expected there, in the series' units."""
        x, columns = self._scaled(series), columns_of(series)
        errors, told = np.abs(np.stack((x, x))), np.empty(x.shape)  # of windows, then of values, as `errors` has them
        for channel, reach in enumerate(self._reaches(np.isnan(x))):
            mended = self._mended(columns[:, channel], channel, reach)
            told[:, channel] = reach.told((mended - self.middle[channel]) / self.scale[channel])
            errors[0, :, channel] = np.abs(x[:, channel] - told[:, channel]) / reach.spread
        return self._surprise(errors), told * self.scale + self.middle

    def _mended(self, series: np.ndarray, channel: int, reach: Reach) -> np.ndarray:
        """(steps,) of one channel, in the series' units."""
        middle, scale, (tail, _) = self.middle[channel], self.scale[channel], self.tails[channel]
        own, window = (series - middle) / scale, len(self.weights)
        told = np.isnan(own)
        for _ in range(window // 4 + 1):
            reach.fill(own, np.flatnonzero(told))
            error = np.abs(own - reach.told(own)) / reach.spread
            far = np.flatnonzero((tail.surprise(error) > FAR) & ~told)
            # The first within a window's reach: those behind it may be odd because of it.
            first = far[np.diff(far, prepend=-window - 1) > window]
            if not len(first):
                break
            told[first] = True
        return np.where(told, own * scale + middle, series)

    def _reaches(self, gaps: np.ndarray) -> Iterator[Reach]:
        """What windows tell, channel by channel, where ``gaps`` (steps, channels) lie in them."""
        for channel, (tail, _) in enumerate(self.tails):
            # Far errors raise the mean, bounded ones the median: the less, the more cautious are the first steps.
            noise = min((np.median(tail.rungs) / NORMAL_MEDIAN) ** 2, np.square(tail.rungs).mean())
            yield Reach.of(
                gaps[:, channel], self.weights[:, channel], self.offset[channel], self.products[:, channel], noise
            )

    def _scaled(self, series: np.ndarray) -> np.ndarray:
        x = columns_of(series)
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
    return _Learner(columns_of(series), len(series), window).model()


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
    x = columns_of(series)
    learner = _Learner(x, first, window)
    out = np.zeros(x.shape)
    bounds = [first]
    while bounds[-1] < len(x):
        bounds.append(min(len(x), int(bounds[-1] * growth) + 1))
    for start, stop in pairwise(bounds):
        model = learner.model()
        errors = learner.errors(model, start, stop)
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
        self.middle = figure_of(start, np.nanmedian)
        spread = figure_of(start, np.nanstd)
        size = np.abs(self.middle)
        self.scale = np.where(spread > ROUNDING * size, spread, np.where(size > 0, size, 1.0))
        self.x = (series - self.middle) / self.scale
        self.gaps = np.isnan(self.x)
        half = first // 2
        errors = self._errors(self._rule(half), 0, first)
        errors[0, :half] = np.nan
        self.seen = [errors]
        self.steps = len(start)

    def _rule(self, steps: int) -> tuple[np.ndarray, np.ndarray]:
        x = self.x[:steps]
        return rule_of(x, min(window_length(x) if self.window is None else self.window, steps // 2))

    def _errors(self, rule: tuple[np.ndarray, np.ndarray], start: int, stop: int) -> np.ndarray:
        """What `StepModel.errors` gives of these steps; where there are gaps, as windows with gaps are judged later."""
        errors = errors_of(self.x[:stop], *rule, start)
        for channel in np.flatnonzero(self.gaps[:stop].any(axis=0)).tolist():
            own, gaps = self.x[:stop, channel].copy(), self.gaps[:stop, channel]
            weights, offset = rule[0][:, channel], float(rule[1][channel])
            products = products_of(own[:, None], len(weights))[:, 0]
            reach = Reach.of(gaps, weights, offset, products, np.inf)
            reach.fill(own, np.flatnonzero(gaps))
            off = np.abs(self.x[start:stop, channel] - reach.told(own)[start:]) / reach.spread[start:]
            errors[0, :, channel] = np.where(np.isnan(errors[0, :, channel]), np.nan, off)
        return errors

    def errors(self, model: StepModel, start: int, stop: int) -> np.ndarray:
        """(2, stop - start, channels) errors of the steps from ``start`` to ``stop``."""
        return self._errors((model.weights, model.offset), start, stop)

    def add(self, errors: np.ndarray) -> None:
        self.seen.append(errors)
        self.steps += errors.shape[1]

    def model(self) -> StepModel:
        errors = np.concatenate(self.seen, axis=1)
        tails = tuple((Tail.of(errors[0, :, one]), Tail.of(errors[1, :, one])) for one in range(errors.shape[2]))
        weights, offset = self._rule(self.steps)
        products = products_of(self.x[: self.steps], len(weights))
        return StepModel(self.middle, self.scale, weights, offset, products, tails)
