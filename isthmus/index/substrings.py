"""Which bits of the codes index a hash table together, and how many tables there are."""

from __future__ import annotations

import numpy as np

from isthmus.index.bits import unpacked

SAMPLE = 16_384
"""Rows that tell what all rows are like."""

LEAST_ENTROPY = 0.01
"""Bits that are (nearly) the same in all rows, in bits of entropy, tell rows apart in no table."""


def sample_of(codes: np.ndarray, rows: int) -> np.ndarray:
    """(at most rows, words) codes from everywhere among the rows, the same ones each time."""
    return codes[np.linspace(0, len(codes) - 1, min(rows, len(codes))).astype(np.int64)]


def dealt(codes: np.ndarray, bits: int, tables: int) -> list[np.ndarray]:
    """The numbers of the bits of each table, dealt so that each table tells rows apart as well as it can.

    Bits that go together in all rows are one bit said twice: in one table they make its buckets no smaller, in two
    tables each does its work. So the bits are dealt in rounds, those of the greatest entropy first, and in each round
    every table takes one of them, the one that has the least to do with those it has.

    Parameters
    ----------
    codes : (rows, words), a sample.
    bits : of a code.
    tables : how many; 1 or more.

    Returns
    -------
    list
        Of (length,) int64 arrays, the longer ones first, the lengths equal but for one. Bits that are the same in all
        rows are in none.
    """
    columns = unpacked(codes, bits).astype(np.float32)
    share = columns.mean(0)
    entropy = -sum(p * np.log2(np.maximum(p, 1e-12)) for p in (share, 1 - share))
    order = np.argsort(-entropy, kind="stable")
    order = order[entropy[order] >= LEAST_ENTROPY]
    columns = (columns - share) / np.sqrt(np.maximum(share * (1 - share), 1e-12))
    together = np.square(columns.T @ columns / len(columns))
    groups: list[list[int]] = [[] for _ in range(min(tables, len(order)))]
    for first in range(0, len(order), tables):
        left = order[first : first + tables].tolist()
        for group in groups[: len(left)]:
            shared = [float(together[bit, group].sum()) for bit in left]
            group.append(left.pop(int(np.argmin(shared))))
    return [np.sort(group) for group in groups]
