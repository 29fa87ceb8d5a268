"""What kind of number a column holds: which likelihood and scale explain values that the choice has not seen.

Each candidate is a distribution fitted to one half of a sample and scored on the other, by the mean log probability of
small bins around the held-out values, the same for all candidates. Bins, not densities: at a value that many cells hold
(zeros, whole numbers, rounded figures) the density of a map through quantiles has no bound.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from scipy.special import gammaln, log_ndtr, stdtr

from isthmus.data.warps import Logarithms, Quantiles, fit_logarithm, fit_quantiles

SAMPLE = 10_000
"""Values that are looked at."""

FEWEST = 100
"""Fewer values than this tell too little of their distribution."""

MARGIN = 0.02
"""Nats per cell by which a candidate must be better than one that is plainer."""

UNEVEN = 1.0
"""Skewness and excess kurtosis below which a column is no case for a bent scale or heavy tails."""

CROWDED = 0.2
"""A value that this share of the cells holds is told of; Student's t would close in on it and forget the others."""

FLATTENED = 0.02
"""Student's t goes with the standard scale. Where its own is less than this share of that, outliers have made the
standard one so wide that all other cells would come out at about 0: it is no candidate."""

TINY = 1e-300
"""What stands for a probability too small for a number."""

FREEDOM = (1.0, 2.0, 3.0, 5.0, 10.0, 30.0)
"""Degrees of freedom that are tried, by `STUDENT_CELLS` values and as many steps as `STUDENT_STEPS`."""

STUDENT_CELLS = 1_000
STUDENT_STEPS = 12

WORDS = {
    ("count", "standard"): "as counts (negative binomial)",
    ("number", "log"): "after a logarithm",
    ("number", "quantile"): "after a map through its quantiles",
    ("heavy", "standard"): "under Student's t",
}
"""The candidates beside the normal distribution, of equals the one to prefer first."""

Map = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True)
class Marginal:
    """What a column of numbers is best taken for.

    Parameters
    ----------
    kind : ``"number"`` (normal, once scaled), ``"heavy"`` (Student's t) or ``"count"`` (negative binomial).
    scaling : ``"standard"``, ``"log"`` or ``"quantile"``.
    reason : why, in words, with the figures.
    """

    kind: str
    scaling: str
    reason: str


@dataclass(frozen=True)
class Cells:
    """Held-out values, each once, as the middles of bins.

    Parameters
    ----------
    values, counts : (m,) the distinct ones, and how many cells hold each.
    half : (m,) half the width of each one's bin.
    spread : what widths are measured in, so that scores have no unit.
    """

    values: np.ndarray
    counts: np.ndarray
    half: np.ndarray
    spread: float

    @classmethod
    def of(cls, held: np.ndarray, every: np.ndarray, whole: bool) -> Cells:
        """Bins of one whole number each; or else half-way to the next value in ``every``, those of repeated values no
        narrower than a hundredth of the spread: so much may an atom be worth, and no more."""
        distinct, often = np.unique(every, return_counts=True)
        values, counts = np.unique(held, return_counts=True)
        spread = float(np.subtract(*np.quantile(distinct, (0.75, 0.25))))
        if whole:
            return cls(values, counts, np.full(len(values), 0.5), spread)
        gaps = np.diff(distinct)
        half = np.minimum(np.append(gaps, np.inf), np.insert(gaps, 0, np.inf)) / 2
        half = np.maximum(half, np.where(often > 1, spread / 200, spread * 1e-6))
        return cls(values, counts, half[np.searchsorted(distinct, values)], spread)

    def score(self, onto: Map, log_density: Map, log_between: Callable[[np.ndarray, np.ndarray], np.ndarray]) -> float:
        """Mean log density of a distribution, averaged over each bin: that of ``onto(values)`` has this log density
        and this log probability between two points."""
        low, high = onto(self.values - self.half), onto(self.values + self.half)
        # A narrow bin's share is its middle's density times its width: the difference of two shares has no digits left.
        made = log_density((low + high) / 2) + np.log(np.maximum(high - low, TINY))
        wide = high - low > 1e-3
        made[wide] = log_between(low[wide], high[wide])
        return self.mean(made)

    def mean(self, log_shares: np.ndarray) -> float:
        """The mean over cells of the log probabilities of the bins, less the log of their widths in spreads."""
        return float((log_shares - np.log(2 * self.half / self.spread)) @ self.counts / self.counts.sum())


def best_marginal(values: np.ndarray, whole: bool, sample: int = SAMPLE) -> Marginal:
    """The likelihood and scaling that explain held-out values of a column best; the plain one unless clearly worse.

    A normal distribution stays where no other makes a cell likelier by more than `MARGIN`. Of others within that
    margin of the best, counts go first, then a logarithm, quantiles and Student's t. Columns that are neither skewed
    nor heavy-tailed keep their scale whatever their form: a uniform or two-humped column would be likelier through its
    quantiles, but a bend spoils its straight relations to other columns, and tames nothing.

    Parameters
    ----------
    values : (n,) raw numbers; those that are not finite are left out.
    whole : they are whole numbers. Only these can be counts, where they begin at 0 or 1
        and leave few numbers out.
    sample : how many values are looked at; 0 = none, and the plain one stays.

    Examples
    --------
    >>> incomes = np.exp(np.random.default_rng(0).normal(10, 1, 2000))
    >>> found = best_marginal(incomes, whole=False)
    >>> found.kind, found.scaling
    ('number', 'log')
    """
    if not sample:
        return Marginal("number", "standard", "one of too many columns to choose a likelihood for each")
    values = np.asarray(values, dtype=np.float64)
    values = values[np.isfinite(values)]
    generator = np.random.default_rng(0)
    if len(values) > sample:  # without putting back: a value drawn twice could be learnt and held out
        values = values[generator.choice(len(values), sample, replace=False, shuffle=False)]
    values = generator.permutation(values)
    learnt = values[::2]
    if len(values) < FEWEST or np.ptp(learnt) == 0:
        return Marginal("number", "standard", "too few different values to tell them from normal ones")
    cells = Cells.of(values[1::2], values, whole)
    scores = {("number", "standard"): cells.score(normal(learnt), *NORMAL)}
    if whole and values.min() in (0, 1) and fills_its_range(values):
        scores["count", "standard"] = counts_score(learnt, cells)
    nature = Nature.of(values)
    if nature.uneven:
        scores["number", "log"] = cells.score(logarithm(learnt), *NORMAL)
        scores["number", "quantile"] = cells.score(quantiles(learnt), *NORMAL)
        if nature.share < CROWDED:
            scores["heavy", "standard"] = student_score(learnt, cells)
    return chosen(scores, nature)


def fills_its_range(values: np.ndarray) -> bool:
    """Whether whole numbers are plausibly counts: most numbers in reach occur, which those of money and codes do not.

    >>> fills_its_range(np.array([0, 0, 1, 2, 4])), fills_its_range(np.array([0, 0, 0, 1902, 7688]))
    (True, False)
    """
    reach = np.quantile(values, 0.99) + 1
    return bool(len(np.unique(values[values < reach])) >= 0.1 * reach)


def chosen(scores: dict[tuple[str, str], float], nature: Nature) -> Marginal:
    """The plainest candidate that is as good as the best, and why."""
    plain = scores["number", "standard"]
    gains = {key: scores[key] - plain for key in WORDS if key in scores}
    most = max(gains.values(), default=0.0)
    if most <= MARGIN:
        told = f"no likelihood or scale but the normal one gains over {MARGIN} nats per cell"
        return Marginal("number", "standard", told if gains else "neither skewed nor heavy-tailed")
    key = next(key for key, gain in gains.items() if gain > MARGIN and gain >= most - MARGIN)
    gain = f"{gains[key]:.2f}" if gains[key] < 100 else "over 100"  # an outlier among the held-out values
    return Marginal(*key, f"{nature.words}: {gain} nats per cell more likely {WORDS[key]}")


@dataclass(frozen=True)
class Nature:
    """The form of a distribution at a glance.

    Parameters
    ----------
    skewness, tails : skewness and excess kurtosis, 0 of normal values.
    most, share : the most frequent value, and its share of the cells.
    """

    skewness: float
    tails: float
    most: float
    share: float

    @classmethod
    def of(cls, values: np.ndarray) -> Nature:
        """That of values which are not all equal."""
        away = (values - values.mean()) / values.std()
        distinct, counts = np.unique(values, return_counts=True)
        most = int(np.argmax(counts))
        moments = float((away**3).mean()), float((away**4).mean() - 3)
        return cls(*moments, float(distinct[most]), float(counts[most] / len(values)))

    @property
    def uneven(self) -> bool:
        """Whether it is skewed or heavy-tailed."""
        return max(abs(self.skewness), self.tails) >= UNEVEN

    @property
    def words(self) -> str:
        """What is most striking about the values."""
        if self.share >= CROWDED and self.uneven:
            return f"{self.share:.0%} of the values are {self.most:.6g}"
        if abs(self.skewness) >= UNEVEN:
            return f"skewed (skewness {self.skewness:.1f})"
        return "tails heavier than normal" if self.uneven else "whole numbers from 0 on"


# The candidates.


def log_normal_density(z: np.ndarray) -> np.ndarray:
    """Of the standard normal distribution."""
    return -0.5 * (z * z + np.log(2 * np.pi))


def log_normal_between(low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """Log probability of a standard normal number between two, exact in both tails."""
    # What lies above 0 is mirrored, since shares near 1 have no digits for the tail.
    low, high = np.where(low > 0, -high, low), np.where(low > 0, -low, high)
    upper = log_ndtr(high)
    return upper + np.log1p(-np.exp(log_ndtr(low) - upper))


NORMAL = (log_normal_density, log_normal_between)


def normal(learnt: np.ndarray) -> Map:
    """The map to mean 0 and standard deviation 1."""
    mean, deviation = learnt.mean(), learnt.std()
    return lambda values: (values - mean) / deviation


def logarithm(learnt: np.ndarray) -> Map:
    """The map of ``"log"``."""
    column = Logarithms(fit_logarithm(learnt)[None])
    return lambda values: column.forward(torch.from_numpy(values[:, None])).numpy()[:, 0]


def quantiles(learnt: np.ndarray) -> Map:
    """The map of ``"quantile"``."""
    at, to, begin, end, unit = fit_quantiles(learnt)
    column = Quantiles(at[None], to[None], begin[None], end[None], np.array([unit]))
    return lambda values: column.forward(torch.from_numpy(values[:, None])).numpy()[:, 0]


def student_score(learnt: np.ndarray, cells: Cells) -> float:
    """Of Student's t with the location, scale and degrees of freedom that are likeliest for the values learnt from.

    References
    ----------
    Lange, Little and Taylor, "Robust statistical modeling using the t distribution", 1989: the steps, in which a cell
    at z scales from the location has the weight (freedom + 1) / (freedom + z^2).
    """
    some = learnt[:STUDENT_CELLS]
    # At an atom the scale would go to 0, step by step: it is no less than the bins are wide.
    least, likeliest, best = float(np.median(cells.half)), -np.inf, (0.0, 1.0, 1.0)
    for freedom in FREEDOM:
        location = float(np.median(some))
        scale = max(float(np.median(np.abs(some - location))), least)
        for _ in range(STUDENT_STEPS):
            weight = (freedom + 1) / (freedom + ((some - location) / scale) ** 2)
            location = float(weight @ some / weight.sum())
            scale = max(float(np.sqrt(weight @ (some - location) ** 2 / len(some))), least)
        likely = float(log_student_density((some - location) / scale, freedom).mean() - np.log(scale))
        if likely > likeliest:
            likeliest, best = likely, (location, scale, freedom)
    location, scale, freedom = best
    if scale < FLATTENED * learnt.std():
        return -np.inf

    def between(low: np.ndarray, high: np.ndarray) -> np.ndarray:
        low, high = np.where(low > 0, -high, low), np.where(low > 0, -low, high)
        return np.log(np.maximum(stdtr(freedom, high) - stdtr(freedom, low), TINY))

    return cells.score(lambda x: (x - location) / scale, lambda z: log_student_density(z, freedom), between)


def log_student_density(z: np.ndarray, freedom: float) -> np.ndarray:
    """Of Student's t with location 0 and scale 1."""
    top = gammaln((freedom + 1) / 2) - gammaln(freedom / 2) - 0.5 * np.log(freedom * np.pi)
    return top - (freedom + 1) / 2 * np.log1p(z * z / freedom)


def counts_score(learnt: np.ndarray, cells: Cells) -> float:
    """Of the negative binomial distribution with the mean of the values learnt from and the likeliest dispersion."""
    mean, variance = learnt.mean(), learnt.var()
    # By moments variance = mean + mean^2 / size; without any excess of variance it is Poisson's, of infinite size.
    moment = mean**2 / max(variance - mean, 1e-4 * mean)
    values, counts = np.unique(learnt, return_counts=True)
    sizes = moment * 2.0 ** np.arange(-3, 6)
    likely = [log_negative_binomial(values, mean, size) @ counts for size in sizes]
    return cells.mean(log_negative_binomial(cells.values, mean, sizes[int(np.argmax(likely))]))


def log_negative_binomial(count: np.ndarray, mean: float, size: float) -> np.ndarray:
    """Log probability of counts with this mean and the variance mean + mean^2 / size."""
    ways = gammaln(count + size) - gammaln(size) - gammaln(count + 1)
    return ways - size * np.log1p(mean / size) + count * (np.log(mean) - np.log(size + mean))
