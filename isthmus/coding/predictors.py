"""Learning the linear predictions of a `ResidualContext`, and the buckets of what they leave."""

from __future__ import annotations

import numpy as np

from isthmus.coding.contexts import MOST_WEIGHT, POINT, ResidualContext, differences_of
from isthmus.coding.grid_samples import Source
from isthmus.coding.passes import LEVELS
from isthmus.coding.tokens import Residuals

ENOUGH = 20_000
"""Elements that a predictor is learnt from, for each turn and spacing."""

NOISE = 0.03
"""The square of a neighbour's rounding error, about, in squares of a width."""

REACH = 8
"""Residuals may be so many times as large as those seen before they escape."""


def predictors(source: Source) -> np.ndarray:
    """Weights for `ResidualContext`: (networks, `LEVELS`, most neighbours) int64.

    They make the sum of log(residual**2 + small) small, which is about what coding costs, by least squares with weights
    that follow the residuals.
    """
    found = np.zeros((len(source.neighbours), LEVELS, source.plan.order.most), dtype=np.int64)
    for network, count in enumerate(source.neighbours):
        for level in range(LEVELS):
            if source.population(network, level) >= 8 * count:
                drawn = source.draw(ResidualContext, network, ENOUGH, level)
                width = source.numbers[network].width
                found[network, level, :count] = predictor(drawn.around, drawn.there, width)
        # Coarse levels with few elements take the weights of the next finer one.
        for level in range(1, LEVELS):
            if source.population(network, level) < 8 * count:
                found[network, level] = found[network, level - 1]
    return found


def predictor(around: np.ndarray, there: np.ndarray, width: int = 1, rounds: int = 8) -> np.ndarray:
    """Weights of the neighbours' differences (e, P) for one turn and level: (P,) int64.

    Where elements are rounded by up to half a ``width``, weights that would add up such errors are held back.
    """
    differences, shift = differences_of(around)
    target = np.ldexp((there - around[:, 0]).astype(np.float64), -shift) / width
    differences /= width
    spread = np.abs(differences).mean(1)
    weight = 1 / (1 + spread) ** 2
    every, few = np.eye(differences.shape[1]), 1e-6 if width == 1 else 1e-9
    solved = np.zeros(differences.shape[1])
    for _ in range(rounds):
        weighted = differences * weight[:, None]
        gram = weighted.T @ differences
        ridge = few * (1e-9 + np.trace(gram)) + (NOISE * weight.sum() if width > 1 else 0)
        solved = np.linalg.solve(gram + ridge * every, weighted.T @ target)
        # A few neighbours that happen to fit exactly must not decide.
        weight = 1 / ((target - differences @ solved) ** 2 + 0.3 + (0.02 * spread) ** 2)
    solved[0] = 0
    most = 0.99 * MOST_WEIGHT / 2**POINT
    return np.rint(solved * 2**POINT / max(1, np.abs(solved).sum() / most)).astype(np.int64)


def residual_buckets(source: Source, context: ResidualContext) -> Residuals:
    """Buckets of what the predictions leave."""
    most = 0
    for network in range(len(source.neighbours)):
        for level in range(LEVELS):
            if source.population(network, level):
                drawn = source.draw(context, network, ENOUGH, level)
                expected = context.predicted(drawn.around, network, level)[0]
                left = source.numbers[network].rounded(drawn.there, expected)[0]
                most = max(most, int(np.quantile(np.abs(np.clip(left, -(2**60), 2**60)), 0.9999, method="higher")))
    reach = min(REACH * most, 2**60)
    return Residuals.of(min(8, max(reach, 1)), max(reach, 1), halvings=1)
