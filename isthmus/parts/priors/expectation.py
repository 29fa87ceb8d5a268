"""Normal distributions found by expectation maximisation, as many as the rows bear."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

if TYPE_CHECKING:
    from sklearn.mixture import GaussianMixture

REGULARISER = 1e-4
"""Added to every variance when fitted to codes of variance 1."""

ROUNDS = 1000
"""Steps of expectation maximisation, at most."""

LIMIT = 128
"""Components at most where their number is chosen."""

ROWS_TO_CHOOSE, COARSE = 10_000, 1e-2
"""Rows, drawn at random, on which the number of components is chosen, and the gain per round, in nats per row, at which
each of those fits ends. The components chosen are then fitted to all rows, from where the coarse fit left them."""

RISES = 2
"""Numbers of components in a row that are no better than the best so far, after which no more are tried."""


@dataclass(frozen=True)
class Normals:
    """``log_shares`` (k,), ``means`` (k, d), and the lower ``triangles`` (k, d, d) of the covariances, float64."""

    log_shares: Tensor
    means: Tensor
    triangles: Tensor


def together(every: list[Normals], shares: list[float]) -> Normals:
    """One mixture of all, each with its share."""
    log_shares = [one.log_shares + math.log(share) for one, share in zip(every, shares, strict=True)]
    means, triangles = [one.means for one in every], [one.triangles for one in every]
    return Normals(torch.cat(log_shares), torch.cat(means), torch.cat(triangles))


def fitted_normals(rows: np.ndarray, components: int | None, most: int, seed: int) -> Normals:
    """A mixture of so many normals fitted to ``rows`` (n, d), float64, or as many as the Bayesian information criterion
    likes best (None), in any case at most one for every d + 1 rows, every distinct row, and ``most``."""
    # Imported here: it takes as long as the rest of the parts together.
    from sklearn.mixture import GaussianMixture

    used = max(1, min(components or LIMIT, most, len(rows) // (rows.shape[1] + 1)))
    if used > 1:
        used = min(used, len(np.unique(rows.round(6), axis=0)))
    settings = {"reg_covar": REGULARISER, "max_iter": ROUNDS, "random_state": seed}
    if components is None and used > 1:
        near = least_bic(rows, used, seed)
        settings |= {"weights_init": near.weights_, "means_init": near.means_, "precisions_init": near.precisions_}
        used = len(near.means_)
    model = GaussianMixture(used, **settings).fit(rows if len(rows) > 1 else rows.repeat(2, axis=0))
    triangles = torch.linalg.cholesky(torch.from_numpy(model.covariances_))
    return Normals(torch.from_numpy(np.log(model.weights_)), torch.from_numpy(model.means_), triangles)


def least_bic(rows: np.ndarray, most: int, seed: int) -> GaussianMixture:
    """Of 1, 2, 4, 8 ... components the mixture of least  -2 log likelihood + parameters log(rows),  coarsely fitted.

    References
    ----------
    Schwarz 1978, Estimating the dimension of a model.
    """
    from sklearn.mixture import GaussianMixture

    if len(rows) > ROWS_TO_CHOOSE:
        rows = rows[np.random.default_rng(seed).permutation(len(rows))[:ROWS_TO_CHOOSE]]
        most = max(1, min(most, len(np.unique(rows.round(6), axis=0)), len(rows) // (rows.shape[1] + 1)))
    best, least, rises, components = None, math.inf, 0, 1
    while best is None or (components <= most and rises < RISES):
        model = GaussianMixture(components, tol=COARSE, reg_covar=REGULARISER, max_iter=ROUNDS, random_state=seed).fit(
            rows
        )
        found = model.bic(rows)
        rises = 0 if found < least else rises + 1
        if best is None or found < least:
            best, least = model, found
        components *= 2
    return best


def lone_normal(rows: np.ndarray, within: np.ndarray) -> Normals:
    """One normal for few rows (n, d): around their own mean, with a covariance between theirs and the one ``within``
    groups (d, d), which counts as d + 1 rows."""
    away, weight = rows - rows.mean(0), rows.shape[1] + 1
    covariance = (away.T @ away + weight * within) / (len(rows) + weight) + REGULARISER * np.eye(rows.shape[1])
    triangles = torch.linalg.cholesky(torch.from_numpy(covariance))[None]
    return Normals(torch.zeros(1, dtype=torch.float64), torch.from_numpy(rows.mean(0, keepdims=True)), triangles)


def spread_within(rows: np.ndarray, groups: list[np.ndarray]) -> np.ndarray:
    """(d, d): the covariance of rows around the means of their groups; of groups of one row each, that of all rows."""
    free = sum(len(group) - 1 for group in groups)
    if not free:
        return np.atleast_2d(np.cov(rows.T, bias=True))
    away = np.concatenate([rows[group] - rows[group].mean(0) for group in groups])
    return away.T @ away / free
