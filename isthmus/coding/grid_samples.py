"""Elements of grids drawn at random, with what is known of them when they are coded."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from isthmus.coding.contexts import ResidualContext, ValueContext
from isthmus.coding.grid import level_features, position_features
from isthmus.coding.number_kinds import Numbers
from isthmus.coding.passes import LEVELS, Plan, plan_of
from isthmus.coding.rounding import OPEN, by_network, closed
from isthmus.coding.tokens import Buckets

LEARNT = 2**26
"""Elements that are kept to learn from, 8 bytes each; of more, some."""

BLOCK = 2**17
"""Elements whose neighbours are looked up at a time."""

THINNED = 4
"""Of elements whose neighbours are all alike one in so many is kept, and counts as many times."""


Context = ValueContext | type[ResidualContext] | ResidualContext


@dataclass(frozen=True)
class Drawn:
    """Elements of one network.

    Attributes
    ----------
    around : (e, P) their neighbours.
    there : (e,) themselves.
    where : (e, F) where they are, as features.
    levels : (e,) of their steps.
    """

    around: np.ndarray
    there: np.ndarray
    where: np.ndarray
    levels: np.ndarray


@dataclass(frozen=True)
class Examples:
    """What a network learns from: features (e, F) and weights (e,) float32, buckets (e,) int64."""

    features: np.ndarray
    buckets: np.ndarray
    weights: np.ndarray


class Source:
    """Elements at random, with what is known of them.

    Attributes
    ----------
    true : (n, size), the elements.
    known : (n, size + 1), what is made of them and others are predicted from; the last column stands for nothing.
    numbers : what rounds the elements of each network.
    neighbours : (networks,) how many there are.
    """

    def __init__(
        self,
        ints: np.ndarray,
        plan: Plan,
        fixed: bool,
        generator: np.random.Generator,
        numbers: Sequence[Numbers] = OPEN,
    ) -> None:
        self.plan, self.generator, self.numbers = plan, generator, by_network(numbers, plan.order)
        self.true = ints.reshape(len(ints), -1)
        self.known = np.zeros((len(ints), plan.size + 1), dtype=np.int64)
        self.known[:, :-1] = self.true
        self.neighbours = np.array([len(around) for around in plan.order.offsets])
        self.where = position_features(plan.spatial) if fixed else None

    def part(self, most: int) -> Source:
        """Itself, or where there are many more elements about so many of them."""
        ints = fewer(self.true.reshape(-1, *self.plan.shape), self.generator, self.where is not None, most)
        if ints.size == self.true.size:
            return self
        numbers = self.numbers[: self.plan.channels]
        return Source(ints, plan_of(self.plan.order, ints.shape[1:]), self.where is not None, self.generator, numbers)

    def population(self, network: int, level: int | None = None) -> int:
        """How many elements a network is for, of one level or all."""
        return len(self.known) * sum(self.plan.steps[number].elements for number in self._steps(network, level))

    def _steps(self, network: int, level: int | None) -> list[int]:
        steps = self.plan.steps
        return [n for n, step in enumerate(steps) if step.network == network and (level is None or step.level == level)]

    def draw(self, context: Context, network: int, count: int, level: int | None = None) -> Drawn:
        """About ``count`` elements of a network, or all where there are no more."""
        population = self.population(network, level)
        parts = [self._drawn(context, number, count / population) for number in self._steps(network, level)]
        return Drawn(*(np.concatenate(part) for part in zip(*parts, strict=True)))

    def _drawn(self, context: Context, number: int, share: float) -> tuple[np.ndarray, ...]:
        step, rows = self.plan.steps[number], len(self.known)
        every = rows * step.elements
        if share >= 1:
            chosen = np.arange(every)
        else:
            chosen = np.sort(self.generator.integers(every, size=self.generator.binomial(every, share)))
        place, row = np.divmod(chosen, rows)
        distinct, back = np.unique(place, return_inverse=True)
        # Only the stretch of elements that was drawn from is looked up, block by block.
        neighbours = np.empty((len(distinct), int(self.neighbours[step.network])), dtype=np.int64)
        flat = np.empty(len(distinct), dtype=np.int64)
        spot = np.empty(len(distinct), dtype=np.int64)
        for start in range(0, step.elements, BLOCK):
            stop = min(start + BLOCK, step.elements)
            inside = slice(*np.searchsorted(distinct, [start, stop]))
            if inside.stop > inside.start:
                here = distinct[inside] - start
                neighbours[inside] = self.plan.neighbours(number, start, stop, nearest=context.nearest)[here]
                flat[inside] = step.flat(start, stop)[here]
                spot[inside] = np.ravel_multi_index(tuple(step.places(start, stop)[:, here]), self.plan.spatial)
        around = self.known[row[:, None], neighbours[back]]
        around[neighbours[back] == self.plan.size] = context.fill
        if self.where is None:
            where = np.broadcast_to(level_features(self.plan.order, step.level), (len(chosen), LEVELS - 1))
        else:
            where = self.where[spot][back]
        return around, self.true[row, flat[back]], where, np.full(len(chosen), step.level)

    def _rougher(self, drawn: Drawn) -> Drawn:
        """The same, and those of wide spacings once more as if they were of narrower ones.

        So a network has seen what data look like that are half as smooth; else it trusts in smoothness it cannot know.
        """
        wide = np.flatnonzero(drawn.levels)
        levels = drawn.levels[wide] - 1
        where = np.stack([level_features(self.plan.order, level) for level in range(LEVELS)])[levels]
        pairs = [(drawn.around, drawn.around[wide]), (drawn.there, drawn.there[wide]), (drawn.where, where)]
        return Drawn(*map(np.concatenate, [*pairs, (drawn.levels, levels)]))

    def examples(self, context: ValueContext | ResidualContext, buckets: Buckets, network: int, count: int) -> Examples:
        """About ``count`` elements, fewer where they are thinned, as the network reads them but for the scale."""
        drawn = self.draw(context, network, count)
        if closed(self.numbers) and self.where is None:
            drawn = self._rougher(drawn)
        blank = context.blank(drawn.around)
        kept = np.flatnonzero(~blank | (self.generator.random(len(blank)) < 1 / THINNED))
        around, there = drawn.around[kept], drawn.there[kept]
        where, levels = drawn.where[kept], drawn.levels[kept]
        width = len(context.limits(network)[0])
        features = np.empty((len(kept), width + where.shape[1]), dtype=np.float32)
        features[:, width:] = where
        expected = np.empty(len(kept), dtype=np.int64)
        for level in np.unique(levels):
            rows = np.flatnonzero(levels == level)
            features[rows, :width], expected[rows] = context.read(around[rows], network, int(level))
        weights = np.where(blank[kept], THINNED, 1).astype(np.float32)
        left = self.numbers[network].rounded(there, expected)[0]
        return Examples(features, buckets.split(left)[0], weights)


def fewer(ints: np.ndarray, generator: np.random.Generator, fixed: bool, most: int | None = None) -> np.ndarray:
    """Some rows where there are very many elements, or a stretch of a single grid."""
    ints, most = np.asarray(ints), LEARNT if most is None else min(most, LEARNT)
    if ints.size <= most or ints.ndim < 2:
        return ints
    rows = max(1, most // max(1, int(np.prod(ints.shape[1:]))))
    some = ints[np.sort(generator.choice(len(ints), min(rows, len(ints)), replace=False))]
    length = max(1, most // int(np.prod(some.shape[2:])))
    if fixed or some.shape[1] <= length:
        return some
    start = (some.shape[1] - length) // 2
    return some[:, start : start + length]
