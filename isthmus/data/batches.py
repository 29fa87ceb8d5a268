"""Rows in batches, in an order that is the same for the same seed and epoch."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from isthmus.data.sources import Source

BUFFER_BYTES = 128 * 2**20
"""Memory for the blocks among which rows are shuffled, where not every row is cheap to reach."""

BUFFER_BLOCKS = 8


def batches(
    source: Source,
    rows: np.ndarray | None,
    batch_size: int,
    *,
    seed: int | None,
    epoch: int = 0,
    skip: int = 0,
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield the rows of one epoch, ``batch_size`` at a time; the last batch may be smaller.

    Where any row is cheap to reach, one permutation of all rows is drawn. Otherwise blocks come in random
    order, a handful are held at a time (128 MB at most, or one block), and rows are shuffled among them.

    Parameters
    ----------
    source : where the rows come from.
    rows : the numbers of the rows to use, sorted, int64; None = all.
    batch_size : rows per batch, at least 1.
    seed : None = in order; otherwise the order follows from ``(seed, epoch)`` alone.
    epoch : number of the epoch, 0 or more.
    skip : batches to leave out at the start, without reading them.

    Yields
    ------
    raw : (m, *shape) in the data's own type; never write into it.
    row_ids : (m,) int64, the numbers of these rows.

    Examples
    --------
    >>> from isthmus.data.sources import ArraySource
    >>> source = ArraySource(np.arange(10.0).reshape(5, 2))
    >>> [ids.tolist() for _, ids in batches(source, None, 2, seed=None)]
    [[0, 1], [2, 3], [4]]
    """
    if rows is None:
        rows = np.arange(source.rows, dtype=np.int64)
    random = None if seed is None else np.random.default_rng([seed, epoch])
    if source.random_access:
        return _from_anywhere(source, rows, batch_size, random, skip)
    return _from_blocks(source, rows, batch_size, random, skip)


def _from_anywhere(
    source: Source, rows: np.ndarray, batch_size: int, random: np.random.Generator | None, skip: int
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    order = rows if random is None else random.permutation(rows)
    for start in range(skip * batch_size, len(order), batch_size):
        ids = order[start : start + batch_size]
        if random is None and ids[-1] - ids[0] == len(ids) - 1:
            yield source.read(int(ids[0]), int(ids[-1]) + 1), ids
        else:
            yield source.take(ids), ids


def _from_blocks(
    source: Source, rows: np.ndarray, batch_size: int, random: np.random.Generator | None, skip: int
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    to_skip = skip * batch_size
    held_raw, held_ids = None, np.empty(0, dtype=np.int64)
    for ids, order, parts in _groups(source, rows, random):
        if to_skip >= len(ids):
            to_skip -= len(ids)
            continue
        buffer = _read_group(source, ids, parts)
        order, to_skip = order[to_skip:], 0
        start = 0
        while start < len(order):
            stop = start + batch_size - len(held_ids)
            here = order[start:stop]
            raw, these = buffer[here], ids[here]
            if held_raw is not None:
                raw, these = np.concatenate([held_raw, raw]), np.concatenate([held_ids, these])
            if len(these) < batch_size:
                held_raw, held_ids = raw, these
            else:
                held_raw, held_ids = None, held_ids[:0]
                yield raw, these
            start = stop
        del buffer  # before the next group is read, so that one group at most is held
    if held_raw is not None:
        yield held_raw, held_ids


Part = tuple[int, int, int, int]
"""A block's start and stop in the source, and the start and stop of its rows within the group."""


def _groups(
    source: Source, rows: np.ndarray, random: np.random.Generator | None
) -> Iterator[tuple[np.ndarray, np.ndarray, list[Part]]]:
    """Yield the rows of a handful of blocks, the order to use them in, and where they lie. Reads nothing."""
    blocks = source.blocks if random is None else [source.blocks[i] for i in random.permutation(len(source.blocks))]
    room = max(1, BUFFER_BYTES // max(1, source.row_bytes))
    most = 1 if random is None else BUFFER_BLOCKS
    pieces: list[np.ndarray] = []
    parts: list[Part] = []
    count = 0
    for start, stop in blocks:
        first, last = np.searchsorted(rows, [start, stop])
        size = int(last - first)
        if not size:
            continue
        if pieces and (len(pieces) == most or count + size > room):
            yield np.concatenate(pieces), _order(count, random), parts
            pieces, parts, count = [], [], 0
        pieces.append(rows[first:last])
        parts.append((start, stop, count, count + size))
        count += size
    if pieces:
        yield np.concatenate(pieces), _order(count, random), parts


def _order(count: int, random: np.random.Generator | None) -> np.ndarray:
    return np.arange(count) if random is None else random.permutation(count)


def _read_group(source: Source, ids: np.ndarray, parts: list[Part]) -> np.ndarray:
    """The rows ``ids`` of a group of blocks, each block read once."""
    buffer: np.ndarray | None = None
    for start, stop, first, last in parts:
        block = source.read(start, stop)
        if buffer is None:
            buffer = np.empty((len(ids), *block.shape[1:]), dtype=block.dtype)
        if last - first == stop - start:
            buffer[first:last] = block
        else:
            np.take(block, ids[first:last] - start, axis=0, out=buffer[first:last], mode="clip")
        del block
    if buffer is None:
        raise ValueError("a group of blocks without rows")
    return buffer


MOST_HELD_OUT = 20_000
"""More rows than this judge a fit no better, and would only be missed in training."""


def split(source_rows: int, fraction: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Draw a held-out part: the numbers of the rows to train on, and of those held out, both sorted.

    Fewer than 10 rows are too few to hold any out: then all are for training. Never more than
    `MOST_HELD_OUT` are held out.

    Parameters
    ----------
    source_rows : rows there are.
    fraction : share to hold out, 0 <= fraction < 1; above 0, at least one row goes to each side.
    seed : the draw follows from it alone.

    Examples
    --------
    >>> train, held_out = split(20, 0.1, seed=0)
    >>> len(train), len(held_out)
    (18, 2)
    """
    every = np.arange(source_rows, dtype=np.int64)
    if fraction <= 0 or source_rows < 10:
        return every, every[:0]
    count = min(max(round(source_rows * fraction), 1), source_rows - 1, MOST_HELD_OUT)
    # The 1 tells this draw from the ones that `batches` makes from the same seed.
    held_out = np.random.default_rng([seed, 0, 1]).choice(source_rows, size=count, replace=False, shuffle=False)
    chosen = np.zeros(source_rows, dtype=bool)
    chosen[held_out] = True
    return every[~chosen], every[chosen]
