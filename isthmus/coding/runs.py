"""Whole numbers cut into runs of 2**width neighbours that hold about as many of those seen each."""

from __future__ import annotations

import numpy as np

from isthmus.coding.checked import HIGHEST


def even_runs(seen: np.ndarray, before: np.ndarray, most: int) -> list[tuple[int, int]]:
    """At most ``most`` runs (start, width) over all values seen, of about equal weight.

    Values at both ends of int64 may need up to 64 of them, even where ``most`` is less.

    Parameters
    ----------
    seen : shape (D,), int64, ascending.
    before : shape (D + 1,): how often the values before each were seen; at the end the total.
    most : >= 2.
    """
    few, many = 0.0, float(before[-1])
    # A weight of all of them needs the fewest runs; the smallest weight that needs at most ``most`` is looked for.
    found = runs_of_weight(seen, before, many, 64 + 2 * most)
    for _ in range(24):
        weight = (few + many) / 2
        runs = runs_of_weight(seen, before, weight, most)
        if runs is None:
            few = weight
        else:
            found, many = runs, weight
    assert found is not None
    return found


def runs_of_weight(seen: np.ndarray, before: np.ndarray, weight: float, most: int) -> list[tuple[int, int]] | None:
    """Runs as long as their weight allows, one after the other; None if they are more than ``most``."""
    runs: list[tuple[int, int]] = []
    final, place, start = int(seen[-1]), 0, int(seen[0])
    while place < len(seen):
        if len(runs) == most:
            return None
        width = widest_run(seen, before, weight, place, start)
        # No wider than what is left.
        width = min(width, (final - start).bit_length())
        end = start + (1 << width)
        runs.append((start, width))
        if end > final:
            break
        place = int(np.searchsorted(seen, end))
        # A gap as wide as the run is left out; one that is narrower is likely to hold numbers not seen so far.
        start = int(seen[place]) if int(seen[place]) - end >= 1 << width else end
    return runs


def widest_run(seen: np.ndarray, before: np.ndarray, weight: float, place: int, start: int) -> int:
    """The largest width of a run from ``start`` whose weight is allowed, or 0; ``place`` is the next value seen."""
    least, beyond = 0, 64
    while beyond - least > 1:
        width = (least + beyond) // 2
        end = start + (1 << width)
        if end <= HIGHEST and before[np.searchsorted(seen, end)] - before[place] <= weight:
            least = width
        else:
            beyond = width
    return least
