"""Whether drawn rows are copies of those that a generator was fitted to, judged by rows that it never met.

Rows that were held out come from where the training rows come from. So what was drawn by one who knows that place, and
has not learnt rows by heart, is as near to the ones as to the others.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from isthmus.checks import counted
from isthmus.neighbours import apart, closest, nearest, row_sets

TWINS = 0.001
"""The share of held-out rows that lie so near to a training row that a drawn one there is taken for its copy."""


@dataclass(frozen=True)
class Copies:
    """What tells of copies among drawn rows.

    Attributes
    ----------
    share : of the drawn rows, how many are nearer to a training row than to any of as many held-out rows; a tie counts
        half. One half where nothing was copied, 1 where all was.
    error : standard error of the share where nothing was copied.
    rows : (found,) the numbers of the drawn rows that are (nearly) equal to a training row, the nearest first.
    twins : (found,) the numbers of these training rows.
    reach : a drawn row nearer than this to a training row is (nearly) equal to it, in units of the rows.
    by_chance : how many such rows there are in the mean where nothing was copied, at most.
    """

    share: float
    error: float
    rows: np.ndarray
    twins: np.ndarray
    reach: float
    by_chance: float

    @property
    def copied(self) -> bool:
        """Whether the share is more than two standard errors above one half."""
        return self.share > 0.5 + 2 * self.error

    def __str__(self) -> str:
        return (
            f"nearer to a training row than to any held-out row: {self.share:.3f} of the drawn rows "
            f"(0.5 ± {self.error:.3f} where nothing was copied) | {counted(len(self.rows), 'row')} as good as equal to "
            f"a training row (by chance up to {self.by_chance:.1f})"
        )


def copies(drawn: Any, train: Any, held_out: Any, random_state: int = 0) -> Copies:
    """Which share of the drawn rows keeps nearer to training rows than to held-out ones, and which rows are copies.

    A drawn row is taken for a copy where it is nearer to a training row than all but `TWINS` of the held-out rows are
    to theirs, and no held-out row is as near to it: where rows are often equal (tables of few levels), none is.

    Parameters
    ----------
    drawn, train, held_out : (n, *shape) each, on one scale: pixels, features, or tables by `table_columns.vectors`.
        For the share, as many rows of the larger of train and held_out as the smaller has are taken at random; for
        copies all are looked at. Time grows with rows drawn times rows known, memory with their sum.
    random_state : of the rows that are taken.

    Raises
    ------
    InputError : NaN, infinity, no rows, features that differ.

    Notes
    -----
    Drawn rows that share their nearest row err together. So the standard error is that of dealing the known rows into
    training and held-out ones anew, which is exact but for ties: with c the numbers of drawn rows that each of the N
    known rows is the nearest to, std(c) sqrt(N) / (2 drawn rows). Where N is large, and no two rows share one, that is
    1 / (2 sqrt(drawn rows)), as of fair coins; where many rows are drawn beside few known ones, it does not go to 0.

    Held-out rows have to be a random part of the data: a test set that others wrote, on other days or with other pens,
    is farther from what was drawn, and makes a share that is above one half without any copy.

    A share of one half tells that nothing was copied, not that nothing can be learnt about who was in the training
    rows: see `membership`.

    References
    ----------
    Meehan, Chaudhuri & Dasgupta 2020, A non-parametric test to detect data-copying in generative models (who compare
    the distances to the training rows alone).

    Examples
    --------
    >>> rows = np.random.default_rng(0).normal(size=(600, 4))
    >>> honest, twins = (copies(drawn, rows[:200], rows[200:400]) for drawn in (rows[400:], rows[:200] + 1e-6))
    >>> honest.copied, twins.copied, twins.share, twins.rows.size
    (False, True, 1.0, 200)
    """
    generator = np.random.default_rng(random_state)
    made, *known = alike(drawn=drawn, train=train, held_out=held_out)
    size = min(map(len, known))
    orders = [torch.from_numpy(generator.permutation(len(rows))) for rows in known]
    (own, own_at), (others, others_at) = (
        found(made, rows[order[:size]]) for rows, order in zip(known, orders, strict=True)
    )
    score = (own < others).double() + (own == others).double() / 2
    crowds = [at[near].bincount(minlength=size) for at, near in ((own_at, own < others), (others_at, others < own))]
    error = float(torch.cat(crowds).double().std()) * (2 * size) ** 0.5 / (2 * len(made))

    near, twin = with_the_rest(made, known[0], orders[0], size, own, own_at)
    elsewhere, _ = with_the_rest(made, known[1], orders[1], size, others, others_at)
    among = nearest(known[1], known[0]).sort().values
    rank = int(TWINS * (len(among) - 1))
    reach = float(among[rank])
    by_chance = len(made) * (rank + 1) / (len(among) + 1)  # as one more held-out row would be
    caught = torch.nonzero((near < reach) & (near < elsewhere))[:, 0]
    caught = caught[near[caught].argsort(stable=True)]
    return Copies(
        float(score.mean()),
        error,
        caught.numpy(),
        twin[caught].numpy(),
        reach,
        by_chance,
    )


def membership(drawn: Any, train: Any, held_out: Any) -> tuple[float, float]:
    """How well one who has the drawn rows can tell who was in the training rows: the area under the ROC curve.

    Each known row is judged by the distance to its nearest drawn row: the nearer, the likelier it was trained on.

    Parameters
    ----------
    drawn, train, held_out : as for `copies`; all rows are taken.

    Returns
    -------
    (float, float)
        The area: 0.5 where it cannot be told, 1 where it always can; and its standard error where it cannot.

    References
    ----------
    Chen, Yu, Zhang & Fritz 2020, GAN-Leaks: a taxonomy of membership inference attacks against generative models (the
    attack that knows drawn rows alone).

    Examples
    --------
    >>> rows = np.random.default_rng(0).normal(size=(600, 4))
    >>> membership(rows[:200] + 1e-6, rows[:200], rows[200:400])[0]
    1.0
    """
    from scipy.stats import rankdata

    made, *known = alike(drawn=drawn, train=train, held_out=held_out)
    n, m = map(len, known)
    ranks = rankdata(np.concatenate([nearest(rows, made).numpy() for rows in known]))
    area = 1 - (ranks[:n].sum() / n - (n + 1) / 2) / m
    return float(area), float(np.sqrt((n + m + 1) / (12 * n * m)))


def alike(**sets: Any) -> list[Tensor]:
    """The sets in float32, about the middle of the first: far from it there are no digits left for small distances."""
    ready = row_sets(1, **sets)
    centre = ready[0].mean(0)
    return [(rows - centre).float() for rows in ready]


def found(x: Tensor, reference: Tensor) -> tuple[Tensor, Tensor]:
    """The distance to the nearest reference row, and its number."""
    at = closest(x, reference)
    return apart(x, reference, at), at


def with_the_rest(
    x: Tensor, known: Tensor, order: Tensor, size: int, near: Tensor, at: Tensor
) -> tuple[Tensor, Tensor]:
    """The same of all known rows, given that of the first ``size`` in this order."""
    at = order[at]
    if len(known) == size:
        return near, at
    far, there = found(x, known[order[size:]])
    return torch.minimum(near, far), torch.where(far < near, order[size:][there], at)
