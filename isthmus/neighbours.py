"""How far rows are from the nearest of some reference rows."""

from __future__ import annotations

import torch
from torch import Tensor

CELLS = 2**22
"""Distances that are held at once, of one block of rows to one block of reference rows."""

REFERENCE = 4096
"""Reference rows in a block."""


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
    if not len(x):
        return x.new_zeros(0)
    blocks = reference.split(REFERENCE)
    halves = [block.square().sum(1) / 2 for block in blocks]
    found = torch.zeros(len(x), dtype=torch.int64, device=x.device)
    size = max(1, CELLS // min(REFERENCE, len(reference)))
    for start in range(0, len(x), size):
        some = x[start : start + size]
        best = x.new_full((len(some),), -torch.inf)
        for place, (block, half) in enumerate(zip(blocks, halves, strict=True)):
            # x r - |r|^2 / 2 is greatest where the distance is least.
            near = torch.addmm(half, some, block.T, beta=-1.0)
            if own is not None:
                hide_own(near, own + start - place * REFERENCE)
            top, at = near.max(1)
            here = found[start : start + size]
            torch.where(top > best, at + place * REFERENCE, here, out=here)
            torch.maximum(best, top, out=best)
    return torch.cat([(x[s : s + size] - reference[found[s : s + size]]).norm(dim=1) for s in range(0, len(x), size)])


def hide_own(near: Tensor, offset: int) -> None:
    """Rule out, in place, that row i is nearest to reference row i + offset of this block."""
    rows, columns = near.shape
    first, last = max(0, -offset), min(rows, columns - offset)
    if first < last:
        here = torch.arange(first, last, device=near.device)
        near[here, here + offset] = -torch.inf
