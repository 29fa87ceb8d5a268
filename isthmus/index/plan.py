"""How many hash tables, over which bits, and how far a search in them pays: counted on rows that stand for queries."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil, comb, log2

import numpy as np

from isthmus.index.substrings import dealt, sample_of
from isthmus.index.tables import in_octets, parts_of
from isthmus.index.widening import CANDIDATE, LOOK_UP, STAGE

QUERIES = 64
"""Rows that stand for queries."""

STATISTICS, PAIRED = 16_384, 32_768
"""Rows that tell which bits go together, and rows that tell how many are in the buckets of a query."""

LEVELS = 6
"""Levels that are counted; a search that needs more of them does not pay."""

CHOICES = 5
"""Numbers of tables that are compared."""

SHARING = 8
"""Queries in one call that are many enough for what a stage costs to matter little to each."""

BUDGETS, LEEWAY = (0.0, 1 / 16, 1 / 8, 1 / 4, 1 / 2, 1.0), 0.05
"""Budgets that are compared, and what may be lost for a greater one, as shares of what a scan costs."""


@dataclass(frozen=True)
class Plan:
    """What to make, and how to search in it.

    Attributes
    ----------
    groups : the bits of each table.
    first : the level that the first stage of a search for the nearest goes to.
    alone : nanoseconds after which such a search goes on as a scan of all rows, for a query that bears the stages
        alone; 0 where it is to be a scan at once.
    together : the same for queries that are many enough to share them.
    cost : nanoseconds that a query is expected to take, alone and together on average.
    """

    groups: list[np.ndarray]
    first: int
    alone: float
    together: float
    cost: float

    def budget(self, queries: int) -> float:
        """The one for so many queries in one call."""
        return self.together if queries >= SHARING else self.alone


def planned(codes: np.ndarray, bits: int, queries: np.ndarray, kth: np.ndarray, scan: float) -> Plan:
    """The plan that costs least.

    Parameters
    ----------
    codes : (rows, words).
    bits : of a code.
    queries : (queries, words) codes that stand for queries.
    kth : (queries,) the distance of the last of the rows that each is to find.
    scan : nanoseconds that a scan of all rows takes for one query.
    """
    sample = sample_of(codes, STATISTICS)
    paired = sample_of(codes, PAIRED)
    used = sum(map(len, dealt(sample, bits, 1)))
    best = None
    for tables in numbers_of_tables(used, len(codes)):
        groups = dealt(sample, bits, tables)
        candidates = expected(queries, paired, groups) * (len(codes) / len(paired))
        first, stages, costs = costs_of([len(group) for group in groups], candidates, kth)
        alone, cost = best_budget(costs + STAGE * stages, scan)
        together, shared = best_budget(costs + STAGE * stages / SHARING, scan)
        plan = Plan(groups, first, alone, together, (cost + shared) / 2)
        best = plan if best is None or plan.cost < best.cost else best
    return best if best is not None else Plan([], 0, 0.0, 0.0, scan)


def best_budget(costs: np.ndarray, scan: float) -> tuple[float, float]:
    """The budget for queries of these (queries,) costs in the tables, and what a query takes with it, scans included.

    Other queries may be harder than these: of the budgets that are about as good the greatest finds more of them.
    """
    expected = [float(np.where(costs <= share * scan, costs, (1 + share) * scan).mean()) for share in BUDGETS]
    fine = [share for share, cost in zip(BUDGETS, expected, strict=True) if cost <= min(expected) + LEEWAY * scan]
    return max(fine) * scan, min(expected)


def numbers_of_tables(used: int, rows: int) -> list[int]:
    """A few numbers of tables: from as many buckets in each as there are rows to buckets of many rows.

    >>> numbers_of_tables(64, 1_000_000), numbers_of_tables(128, 10_000_000), numbers_of_tables(0, 10)
    ([4, 5, 6, 7, 9], [6, 7, 9, 11, 13], [])
    """
    if not used:
        return []
    fewest = ceil(used / min(max(log2(rows), 1), 25))
    return np.unique(np.linspace(fewest, min(2 * fewest + 1, used), CHOICES).astype(int)).tolist()


def expected(queries: np.ndarray, rows: np.ndarray, groups: list[np.ndarray]) -> np.ndarray:
    """(queries, tables, levels) of these rows that differ from a query in so many bits of a table's substring."""
    found = np.zeros((len(queries), len(groups), LEVELS))
    parts = parts_of(groups, rows.shape[1] * rows.itemsize)
    octets, asked = in_octets(rows), in_octets(queries)
    for table in range(len(groups)):
        keys, theirs = np.zeros(len(rows), np.int64), np.zeros(len(queries), np.int64)
        for octet in np.flatnonzero(parts[:, :, table].any(1)).tolist():
            keys |= parts[octet, :, table].take(octets[:, octet])
            theirs |= parts[octet, :, table].take(asked[:, octet])
        for query, key in enumerate(theirs):
            counts = np.bincount(np.bitwise_count(keys ^ key), minlength=LEVELS)
            found[query, table] = counts[:LEVELS]
    return found


def costs_of(lengths: list[int], candidates: np.ndarray, kth: np.ndarray) -> tuple[int, np.ndarray, np.ndarray]:
    """The level that the first stage goes to, and for each query its stages and the nanoseconds of what they look at.

    The first stage goes as far as costs no more than another stage would. A query whose last row is at distance d needs
    sum (f_t + 1) = d + 1, in the words of `isthmus.index.widening`. Where it needs too many levels, it takes for ever.
    """
    tables = len(lengths)
    levels = min(LEVELS, lengths[-1] + 1)
    ways = np.array([[comb(length, level) for level in range(levels)] for length in lengths])
    each = LOOK_UP * ways + CANDIDATE * candidates[:, :, :levels]
    whole = each.sum(1)
    first = int((np.median(whole.cumsum(1), axis=0) <= STAGE).sum()) - 1
    first = max(first, 0)
    # With unknown neighbours the first stage looks at all tables; after it the cheapest ones are enough at the end.
    full, rest = np.divmod(np.maximum(kth + 1, tables * (first + 1)), tables)
    costs = np.full(len(kth), np.inf)
    for query in np.flatnonzero(full + (rest > 0) <= levels):
        last = full[query]
        cost = whole[query, :last].sum()
        if rest[query]:
            look_ups = LOOK_UP * ways[:, last].sum()
            cost += look_ups + CANDIDATE * np.sort(candidates[query, :, last])[: rest[query]].sum()
        costs[query] = cost
    return first, full - first + (rest > 0), costs
