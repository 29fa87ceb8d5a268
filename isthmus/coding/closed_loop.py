"""Predictors for a closed loop, which read what they themselves have made of the elements before.

A predictor is learnt from what is known when the one before it rounds; a few turns of that settle. Learnt from the
true values it would trust them too much, and add up the errors of many neighbours.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from isthmus.coding.contexts import ResidualContext
from isthmus.coding.grid import around_of, blocks, groups, unknown
from isthmus.coding.grid_samples import Source
from isthmus.coding.number_kinds import Numbers
from isthmus.coding.passes import Order, plan_of
from isthmus.coding.predictors import predictors
from isthmus.coding.rounding import closed

TURNS = 4
"""How often predictors are learnt from what the last ones made known."""

MOST = 2**55
"""What is left is told apart up to here."""

SETTLED = 2**20
"""Elements that the turns go through; more do not change the predictors."""


def fit_loop(source: Source) -> ResidualContext:
    """The predictors of a closed loop; what they make of the elements becomes what the source knows."""
    few, tried = source.part(SETTLED), []
    for _ in range(TURNS):
        context = ResidualContext(predictors(few), few.neighbours)
        few.known[:, :-1], bits = passed(few, context)
        tried.append((bits, context))
    context = min(tried, key=lambda one: one[0])[1]
    source.known[:, :-1] = passed(source, context)[0]
    return context


def foretold(ints: np.ndarray, judged: np.ndarray, order: Order, numbers: Sequence[Numbers]) -> tuple[float, Any]:
    """About the bits of grids (m, *grid) that are predicted as ``ints`` teach it, and what a loop makes of them.

    It tells which of two ways to round is better, and is quick; a network foretells all of them better than this.
    """
    generator = np.random.default_rng(0)
    source = Source(ints, plan_of(order, ints.shape[1:]), False, generator, numbers)
    if closed(numbers):
        context = fit_loop(source)
    else:
        context = ResidualContext(predictors(source), source.neighbours)
    moved, bits = passed(Source(judged, plan_of(order, judged.shape[1:]), False, generator, numbers), context)
    return bits, moved.reshape(judged.shape)


def passed(source: Source, context: ResidualContext) -> tuple[np.ndarray, float]:
    """What the predictors alone make of the source's elements (n, size), and about how many bits it takes.

    The bits are the entropy of what is left, by network, level and spread of the neighbours, and half a logarithm for
    each number that a table of frequencies would hold.
    """
    plan, moved = source.plan, np.empty_like(source.true)
    left: dict[tuple[int, int], list[np.ndarray]] = {}
    for rows in groups(len(moved), plan.size):
        known = unknown(plan, len(moved[rows]), context.fill)
        true = source.true[rows].T
        for number, start, stop in blocks(plan, known.shape[1]):
            step = plan.steps[number]
            flat = step.flat(start, stop)
            around = around_of(known, plan.neighbours(number, start, stop, nearest=context.nearest))
            expected, spread = context.predicted(around, step.network, step.level)
            rest, there = source.numbers[step.network].rounded(true[flat].ravel(), expected)
            known[flat] = there.reshape(len(flat), -1)
            left.setdefault((step.network, step.level), []).append(np.clip(rest, -MOST, MOST) << 7 | spread)
        moved[rows] = known[:-1].T
    return moved, sum(entropy(np.concatenate(parts)) for parts in left.values())


def entropy(pairs: np.ndarray) -> float:
    """Bits of whole numbers (e,) whose lowest seven bits are known."""

    def bits(counts: np.ndarray) -> float:
        return float(counts.sum() * np.log2(counts.sum()) - counts @ np.log2(counts))

    both, known = (np.unique(some, return_counts=True)[1] for some in (pairs, pairs & 127))
    return bits(both) - bits(known) + len(both) / 2 * float(np.log2(len(pairs)))
