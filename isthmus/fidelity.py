"""Figures about drawn rows beside real ones, both as vectors: are they like the data (precision, density), do they
reach all of it (recall, coverage), and can a classifier tell them from it?

Pictures are best compared by features of a classifier (`judge.Judge.features`): pixels that lie near each other need
not look alike. Of every figure, that of real rows beside other real rows is what a perfect generator would have.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from isthmus import neighbours
from isthmus.checks import check_whole
from isthmus.errors import InputError
from isthmus.metrics import frechet_distance
from isthmus.neighbours import kth_distances, near, row_sets

SLACK = 1e-12
"""The share of a row's squared length by which a ball is widened: float64's rounding, so that equal rows are in it."""


@dataclass(frozen=True)
class Fidelity:
    """How alike drawn rows are to real ones; in brackets, what a perfect generator has.

    Attributes
    ----------
    distance : squared Fréchet distance, in squared units of the rows (about 0, and more with few rows).
    precision, recall : shares in 0..1 (that of real rows beside other real rows, which is below 1).
    density : >= 0 (1). coverage : in 0..1 (`expected_coverage`).
    two_sample : accuracy by which a classifier tells the two apart, in 0..1 (0.5).
    p_value : of an accuracy as high as that, were there no difference.
    """

    distance: float
    precision: float
    recall: float
    density: float
    coverage: float
    two_sample: float
    p_value: float

    def __str__(self) -> str:
        return (
            f"Fréchet {self.distance:.4g} | precision {self.precision:.3f} | recall {self.recall:.3f} | "
            f"density {self.density:.3f} | coverage {self.coverage:.3f} | "
            f"told apart {self.two_sample:.3f} (p = {self.p_value:.2g})"
        )


def fidelity(real: Any, drawn: Any, random_state: int = 0, k: int = 5) -> Fidelity:
    """All figures of this file at once; see there for what each means.

    Parameters
    ----------
    real, drawn : (n, features) and (m, features), k + 1 rows or more each; better as many drawn as real, that were
        not trained on. Time grows with n times m, memory with n + m: 10,000 rows of 128 features each take about
        13 seconds on one core.
    random_state : of the two-sample test.
    k : of the neighbours that a row's ball reaches to.

    Raises
    ------
    InputError : too few rows, NaN or infinity, features that differ.

    Examples
    --------
    >>> rows = np.random.default_rng(0).normal(size=(400, 3))
    >>> print(fidelity(rows[:200], rows[200:] + 100))
    Fréchet 2.999e+04 | precision 0.000 | recall 0.000 | density 0.000 | coverage 0.000 | told apart 1.000 (p = 6.2e-61)
    """
    first, second = ready(real, drawn, k)
    accuracy, chance = told_apart(first.numpy(), second.numpy(), random_state)
    distance = frechet_distance(first.numpy(), second.numpy())
    return Fidelity(distance, *shares(first, second, k), accuracy, chance)


def precision_recall(real: Any, drawn: Any, k: int = 5) -> tuple[float, float]:
    """The share of drawn rows that lie among the real ones, and of real rows that lie among the drawn ones.

    Every row has a ball that reaches to its k-th nearest row of the same set; a row of the other set lies among them
    where it is in one of these balls.

    Notes
    -----
    One real row far from all others has a ball large enough to let in poor drawn rows: `density_coverage` counts the
    balls. Both figures depend on k, the numbers of rows and the features: compare what was measured alike.

    References
    ----------
    Kynkäänniemi et al. 2019, Improved precision and recall metric for assessing generative models (with k = 3).

    Examples
    --------
    >>> line = np.arange(12.0)[:, None]
    >>> precision_recall(line, line[:6] + 0.1, k=1)  # half of the line was forgotten
    (1.0, 0.5833333333333334)
    """
    return shares(*ready(real, drawn, k), k)[:2]


def density_coverage(real: Any, drawn: Any, k: int = 5) -> tuple[float, float]:
    """In how many balls of real rows a drawn row lies, as a multiple of k; and the share of these balls that hold one.

    Density is 1 in the mean where both sets come of one distribution, whichever it is, and above 1 where drawn rows
    keep to where real ones are most crowded; coverage is then as `expected_coverage` says.

    References
    ----------
    Naeem et al. 2020, Reliable fidelity and diversity metrics for generative models.

    Examples
    --------
    >>> line = np.arange(12.0)[:, None]
    >>> density_coverage(line, line[:6] + 0.1, k=1)  # each in two balls; those of 0 to 6 hold one
    (2.0, 0.5833333333333334)
    """
    return shares(*ready(real, drawn, k), k)[2:]


def expected_coverage(real: int, drawn: int, k: int = 5) -> float:
    """The mean coverage where so many real and drawn rows come of one continuous distribution.

        1 - (n - 1) ... (n - k) / ((n + m - 1) ... (n + m - k))

    A ball holds no drawn row where the k nearest of all n + m - 1 other rows are real.

    Examples
    --------
    >>> round(expected_coverage(10_000, 10_000), 3), expected_coverage(2, 1, k=1)
    (0.969, 0.5)
    """
    steps = np.arange(1, k + 1)
    return float(1 - np.prod((real - steps) / (real + drawn - steps)))


def ready(real: Any, drawn: Any, k: int) -> tuple[Tensor, Tensor]:
    """Both sets in float64, with rows enough for k neighbours beside the row itself."""
    check_whole("fidelity", k=k)
    first, second = row_sets(k + 1, real=real, drawn=drawn)
    return first, second


def shares(real: Tensor, drawn: Tensor, k: int) -> tuple[float, float, float, float]:
    """Precision, recall, density and coverage, in one pass over blocks of all pairs of rows.

    In float64: in float32, squares of lengths that are large beside the radii would leave these no digits.
    """
    centre = real.mean(0)
    real, drawn = real - centre, drawn - centre
    real_balls, drawn_balls = balls(real, k), balls(drawn, k)
    lengths = real.square().sum(1, keepdim=True)
    halves = drawn.square().sum(1) / 2
    balls_around = torch.zeros(len(drawn), dtype=torch.int64)
    covered, recalled = (torch.zeros(len(real), dtype=torch.bool) for _ in range(2))
    for top in range(0, len(real), neighbours.ROWS):
        rows = slice(top, top + neighbours.ROWS)
        for left in range(0, len(drawn), neighbours.REFERENCE):
            columns = slice(left, left + neighbours.REFERENCE)
            # |x - r|^2 = |x|^2 - 2 (x r - |r|^2 / 2)
            squares = lengths[rows] - 2 * near(real[rows], drawn[columns], halves[columns], None, 0)
            inside = squares <= real_balls[rows, None]
            balls_around[columns] += inside.sum(0)
            covered[rows] |= inside.any(1)
            recalled[rows] |= (squares <= drawn_balls[columns]).any(1)
    return (
        float((balls_around > 0).double().mean()),
        float(recalled.double().mean()),
        float(balls_around.double().mean()) / k,
        float(covered.double().mean()),
    )


def balls(rows: Tensor, k: int) -> Tensor:
    """(n,) squared radii that reach to each row's k-th nearest other row."""
    return kth_distances(rows, rows, k, own=0).square() + SLACK * rows.square().sum(1)


def two_sample_accuracy(real: Any, drawn: Any, random_state: int = 0) -> tuple[float, float]:
    """How well a classifier tells drawn rows from real ones that it has not seen: 0.5 = not at all, 1 = always.

    Gradient-boosted trees are trained on one half of either set and judged on the other half.

    Parameters
    ----------
    real, drawn : (n, features) and (m, features), 4 rows or more each; of the larger set, as many rows as the smaller
        has are taken at random. Time grows with rows times features: 2 x 10,000 rows of 128 features take about 7
        seconds on one core. Trees look at one column at a time: give features, or tables, rather than pixels.
    random_state : of the halves and the trees.

    Returns
    -------
    (float, float)
        The accuracy, and the share of fair coins that would do as well (one-sided; the binomial law).

    References
    ----------
    Lopez-Paz & Oquab 2017, Revisiting classifier two-sample tests.

    Examples
    --------
    >>> rows = np.random.default_rng(0).normal(size=(400, 2))
    >>> two_sample_accuracy(rows[:200], rows[200:] + [9.0, 0.0])[0]
    1.0
    """
    first, second = row_sets(4, real=real, drawn=drawn)
    return told_apart(first.numpy(), second.numpy(), random_state)


def told_apart(
    real: np.ndarray, drawn: np.ndarray, random_state: int, categories: list[bool] | None = None
) -> tuple[float, float]:
    """`two_sample_accuracy` of arrays that may have NaN, a missing cell, and columns of ``categories``: whole numbers
    from 0 to 254, in no order."""
    from scipy.stats import binom
    from sklearn.ensemble import HistGradientBoostingClassifier

    size = min(len(real), len(drawn))
    if size < 4:
        raise InputError(f"a two-sample test needs 4 rows or more of either kind; got {len(real)} and {len(drawn)}")
    generator = np.random.default_rng(random_state)
    sets = [rows[generator.permutation(len(rows))[:size]] for rows in (real, drawn)]
    half = size // 2
    # Stopping early would hold out rows of its own, and ever other ones as sets grow beyond 10,000.
    trees = HistGradientBoostingClassifier(
        early_stopping=False, categorical_features=categories, random_state=int(generator.integers(2**31))
    )
    trees.fit(np.concatenate([rows[:half] for rows in sets]), np.repeat([0, 1], half))
    held = size - half
    right = int((trees.predict(np.concatenate([rows[half:] for rows in sets])) == np.repeat([0, 1], held)).sum())
    return right / (2 * held), float(binom.sf(right - 1, 2 * held, 0.5))
