"""How far rows are from the nearest of some reference rows."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from isthmus.errors import InputError

ROWS, REFERENCE = 256, 1024
"""Rows, and reference rows, that are compared at once: as many as a core keeps at hand."""

ROUNDING = 1e-5
"""Rows no farther apart than this share of their length are equal but for rounding."""


def nearest(x: Tensor, reference: Tensor, *, own: int | None = None) -> Tensor:
    """Euclidean distances to the nearest reference row.

    A product of matrices finds it, |x - r|^2 = |x|^2 + |r|^2 - 2 x r; its distance is then taken anew, as the
    difference of two large squares says nothing of rows that are nearly equal.

    Parameters
    ----------
    x : (n, features) float32.
    reference : (m, features) float32, m >= 1; with ``own``, m >= 2.
    own : x are the reference rows from this one on, and a row is not its own neighbour.

    Returns
    -------
    Tensor
        (n,) float32.

    Examples
    --------
    >>> points = torch.tensor([[0.0, 0.0], [3.0, 4.0], [3.0, 4.5]])
    >>> nearest(torch.tensor([[3.0, 4.0]]), points), nearest(points, points, own=0)
    (tensor([0.]), tensor([5.0000, 0.5000, 0.5000]))
    """
    hidden = None if own is None else torch.arange(own, own + len(x), device=x.device)
    return apart(x, reference, closest(x, reference, hidden))


def nearest_other(x: Tensor, reference: Tensor) -> Tensor:
    """The same of rows that may be reference rows themselves: one that is equal, but for rounding, is taken for the
    row itself, and the next nearest counts. So a reference row is as far off as `nearest` with ``own`` says.

    >>> points = torch.tensor([[0.0, 0.0], [3.0, 4.0], [3.0, 4.5]])
    >>> nearest_other(torch.tensor([[3.0, 4.0], [0.0, 1.0]]), points)
    tensor([0.5000, 1.0000])
    """
    found = closest(x, reference)
    distances = apart(x, reference, found)
    same = torch.nonzero(distances <= ROUNDING * x.norm(dim=1))[:, 0]
    if len(same):
        some = x[same]
        distances[same] = apart(some, reference, closest(some, reference, found[same]))
    return distances


def kth_distances(x: Tensor, reference: Tensor, k: int, *, own: int | None = None) -> Tensor:
    """Euclidean distances to the k-th nearest reference row; `nearest` is k = 1, and faster.

    Parameters
    ----------
    x, reference : (n, features) and (m, features), of one float type; reference rows that are equal count one by one.
    k : 1 <= k <= m; with ``own``, k < m.
    own : as in `nearest`.

    Returns
    -------
    Tensor
        (n,) of that type. Memory beside it grows with neither n nor m, but for a copy of the reference rows.

    Examples
    --------
    >>> points = torch.tensor([[0.0, 0.0], [3.0, 4.0], [3.0, 4.5]])
    >>> kth_distances(torch.tensor([[3.0, 4.0]]), points, 2), kth_distances(points, points, 2, own=0)
    (tensor([0.5000]), tensor([5.4083, 5.0000, 5.4083]))
    """
    centre = reference.mean(0)
    blocks = [(block, block.square().sum(1) / 2) for block in (reference - centre).split(REFERENCE)]
    found = torch.empty(len(x), dtype=torch.int64, device=x.device)
    for start in range(0, len(x), ROWS):
        some = x[start : start + ROWS] - centre
        hidden = None if own is None else torch.arange(start, start + len(some), device=x.device) + own
        tops, places = [], []
        for place, (block, half) in enumerate(blocks):
            top, at = near(some, block, half, hidden, place).topk(min(k, len(block)), dim=1)
            tops.append(top)
            places.append(at + place * REFERENCE)
        last = torch.cat(tops, 1).topk(k, dim=1).indices[:, -1:]
        found[start : start + ROWS] = torch.cat(places, 1).gather(1, last)[:, 0]
    return apart(x, reference, found)


def row_sets(least: int, **sets: Any) -> list[Tensor]:
    """Sets of rows (n, *shape) as (n, features) in float64, refused in words where they cannot be compared.

    The sets have to have as many features each, ``least`` rows, and finite numbers only.

    >>> [rows.shape for rows in row_sets(1, real=[[[1, 2], [3, 4]]], drawn=[[1.5, 2, 3, 4], [5, 6, 7, 8]])]
    [torch.Size([1, 4]), torch.Size([2, 4])]
    """
    ready: list[Tensor] = []
    for name, values in sets.items():
        try:
            rows = torch.from_numpy(np.array(values, dtype=np.float64))
        except (TypeError, ValueError) as error:
            raise InputError(f"{name} must be rows of numbers, all of one length; {error}") from None
        if rows.ndim < 2 or len(rows) < least or not rows[:1].numel():
            raise InputError(
                f"{name} must be (rows, features) with {least} rows or more; got shape {tuple(rows.shape)}"
            )
        rows = rows.flatten(1)
        if unusable := int((~rows.isfinite()).any(1).sum()):
            raise InputError(
                f"{name} must be finite numbers; {unusable:,} of its {len(rows):,} rows hold NaN or infinity: "
                "leave these out, or fill them in"
            )
        if ready and ready[0].shape[1] != rows.shape[1]:
            raise InputError(
                f"{' and '.join(sets)} must have the same features; {next(iter(sets))} has {ready[0].shape[1]:,}, "
                f"{name} {rows.shape[1]:,}"
            )
        ready.append(rows)
    return ready


def apart(x: Tensor, reference: Tensor, at: Tensor) -> Tensor:
    """(n,) the distances of rows from the reference rows of these numbers."""
    blocks = zip(x.split(REFERENCE), at.split(REFERENCE), strict=True)
    return torch.cat([(some - reference[here]).norm(dim=1) for some, here in blocks])


def closest(x: Tensor, reference: Tensor, hidden: Tensor | None = None) -> Tensor:
    """(n,) int64, the numbers of the nearest reference rows, those of ``hidden``, one for each row, left out.

    First which block of reference rows the nearest is in, by maxima alone, which are found three times as fast as where
    they are; then where in that block.
    """
    centre = reference.mean(0)  # far from the origin the product has no digits left for small distances
    blocks = [block - centre for block in reference.split(REFERENCE)]
    halves = [block.square().sum(1) / 2 for block in blocks]
    found = torch.empty(len(x), dtype=torch.int64, device=x.device)
    for start in range(0, len(x), ROWS):
        some = x[start : start + ROWS] - centre
        own = None if hidden is None else hidden[start : start + ROWS]
        pairs = enumerate(zip(blocks, halves, strict=True))
        tops = torch.stack([near(some, *pair, own, place).amax(1) for place, pair in pairs], 1)
        best = tops.argmax(1)
        for place in best.unique().tolist():
            rows = torch.nonzero(best == place)[:, 0]
            alone = near(some[rows], blocks[place], halves[place], None if own is None else own[rows], place)
            found[start + rows] = alone.argmax(1) + place * REFERENCE
    return found


def near(x: Tensor, block: Tensor, half: Tensor, hidden: Tensor | None, place: int) -> Tensor:
    """(n, block) x r - |r|^2 / 2, which is greatest where the distance is least; minus infinity for hidden rows."""
    found = torch.addmm(half, x, block.T, beta=-1.0)
    if hidden is not None:
        hide(found, hidden - place * REFERENCE)
    return found


def hide(found: Tensor, at: Tensor) -> None:
    """Rule out, in place, that row i is nearest to row ``at[i]`` of this block, where it has such a row."""
    rows = torch.nonzero((at >= 0) & (at < found.shape[1]))[:, 0]
    found[rows, at[rows]] = -torch.inf
