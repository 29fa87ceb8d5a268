"""How far rows are from the nearest of some reference rows."""

from __future__ import annotations

import torch
from torch import Tensor

CELLS = 2**22
"""Distances that are held at once, of one block of rows to one block of reference rows."""

REFERENCE = 4096
"""Reference rows in a block."""


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


def apart(x: Tensor, reference: Tensor, at: Tensor) -> Tensor:
    """(n,) the distances of rows from the reference rows of these numbers."""
    blocks = zip(x.split(REFERENCE), at.split(REFERENCE), strict=True)
    return torch.cat([(some - reference[here]).norm(dim=1) for some, here in blocks])


def closest(x: Tensor, reference: Tensor, hidden: Tensor | None = None) -> Tensor:
    """(n,) int64, the numbers of the nearest reference rows, those of ``hidden``, one for each row, left out."""
    found = torch.zeros(len(x), dtype=torch.int64, device=x.device)
    centre = reference.mean(0)  # far from the origin the product has no digits left for small distances
    blocks = [block - centre for block in reference.split(REFERENCE)]
    halves = [block.square().sum(1) / 2 for block in blocks]
    size = max(1, CELLS // min(REFERENCE, len(reference)))
    for start in range(0, len(x), size):
        some = x[start : start + size] - centre
        best = x.new_full((len(some),), -torch.inf)
        for place, (block, half) in enumerate(zip(blocks, halves, strict=True)):
            # x r - |r|^2 / 2 is greatest where the distance is least.
            near = torch.addmm(half, some, block.T, beta=-1.0)
            if hidden is not None:
                hide(near, hidden[start : start + size] - place * REFERENCE)
            top, at = near.max(1)
            here = found[start : start + size]
            torch.where(top > best, at + place * REFERENCE, here, out=here)
            torch.maximum(best, top, out=best)
    return found


def hide(near: Tensor, at: Tensor) -> None:
    """Rule out, in place, that row i is nearest to row ``at[i]`` of this block, where it has such a row."""
    rows = torch.nonzero((at >= 0) & (at < near.shape[1]))[:, 0]
    near[rows, at[rows]] = -torch.inf
