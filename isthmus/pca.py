"""Principal components: the yardstick beside every autoencoder, and the start of linear paths."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

GRAM_FEATURES = 3000
"""Up to this many features the d x d second moments are summed over all rows; above, rows are sampled."""
SAMPLED_CELLS = 100_000_000
"""And so many cells of them, at most 2,000 rows."""


@dataclass(frozen=True)
class PrincipalComponents:
    """The best linear code of a set of rows.

    Attributes
    ----------
    mean : (features,) float64.
    components : (k, features) float64, orthonormal rows, by falling variance.
    variances : (k,) variance along each.
    """

    mean: np.ndarray
    components: np.ndarray
    variances: np.ndarray

    def errors(self, blocks: Iterable[Tensor]) -> np.ndarray:
        """Mean squared error per cell of the rows rebuilt from the first 0, 1, ..., k components: (k + 1,)."""
        total, rows = 0.0, 0
        explained = np.zeros(len(self.components))
        basis = torch.from_numpy(self.components.T.astype(np.float32)).contiguous()
        mean = torch.from_numpy(self.mean.astype(np.float32))
        for x in blocks:
            centred = x.flatten(1).float().cpu() - mean
            total += float(centred.square().sum(dtype=torch.float64))
            explained += (centred @ basis).square().sum(0, dtype=torch.float64).numpy()
            rows += len(x)
        left = total - np.concatenate([[0.0], np.cumsum(explained)])
        return np.maximum(left, 0.0) / (max(rows, 1) * self.mean.size)

    def masked_errors(self, blocks: Iterable[tuple[Tensor, Tensor]], most: int = 64) -> np.ndarray:
        """The same of rows x with missing cells, 0 in weight, for at most ``most`` components."""
        kept = self.components[:most]
        totals, cells = np.zeros(len(kept) + 1), 0.0
        mean, basis = torch.from_numpy(self.mean).float(), torch.from_numpy(kept).float()
        for x, weight in blocks:
            left, counts = x.flatten(1).float().cpu() - mean, weight.flatten(1).cpu()
            scores = left @ basis.T
            cells += float(counts.sum())
            for k in range(len(kept) + 1):
                totals[k] += float((left.square() * counts).sum(dtype=torch.float64))
                left = left - torch.outer(scores[:, k], basis[k]) if k < len(kept) else left
        return totals / max(cells, 1.0)

    def row_errors(self, x: Tensor, size: int) -> np.ndarray:
        """(n,) mean squared error per cell of each row rebuilt from ``size`` components."""
        centred = x.flatten(1).cpu().double() - torch.from_numpy(self.mean)
        basis = torch.from_numpy(self.components[:size])
        left = centred.square().sum(1) - (centred @ basis.T).square().sum(1)
        return (left.clamp(min=0) / self.mean.size).numpy()


def principal_components(blocks: Iterable[Tensor]) -> PrincipalComponents:
    """PCA of rows that come in blocks (n, *shape), exact by their second moments.

    Above `GRAM_FEATURES` features only the first rows are used, by a singular value decomposition.
    """
    rows = 0
    total: Tensor | None = None
    moments: Tensor | None = None
    kept: list[Tensor] = []
    for block in blocks:
        x = block.flatten(1).float().cpu()
        if x.shape[1] > GRAM_FEATURES:
            most = max(2, min(2000, SAMPLED_CELLS // x.shape[1]))
            kept.append(x[: most - sum(map(len, kept))])
            if sum(map(len, kept)) >= most:
                break
            continue
        # Scaled rows have means near 0, so second moments in float32 per block lose nothing that matters.
        total = x.sum(0, dtype=torch.float64) if total is None else total + x.sum(0, dtype=torch.float64)
        square = (x.T @ x).double()
        moments = square if moments is None else moments.add_(square)
        rows += len(x)
    if kept:
        x64 = torch.cat(kept).double()
        mean = x64.mean(0)
        _, singular, basis = torch.linalg.svd(x64 - mean, full_matrices=False)
        return PrincipalComponents(mean.numpy(), basis.numpy(), (singular.square() / len(x64)).numpy())
    if total is None or moments is None:
        raise ValueError("principal_components: no rows came")
    mean = total / rows
    variances, vectors = torch.linalg.eigh(moments / rows - torch.outer(mean, mean))
    keep = min(rows, len(mean))
    components = vectors.flip(1).T[:keep].contiguous()
    return PrincipalComponents(mean.numpy(), components.numpy(), variances.flip(0)[:keep].clamp(min=0).numpy())


def no_components(blocks: Iterable[Tensor]) -> PrincipalComponents:
    """The mean alone, of rows that come in blocks (n, *shape)."""
    rows, total = 0, torch.zeros(1, dtype=torch.float64)
    for block in blocks:
        total, rows = total + block.flatten(1).sum(0, dtype=torch.float64).cpu(), rows + len(block)
    return PrincipalComponents((total / max(rows, 1)).numpy(), np.zeros((0, len(total))), np.zeros(0))


def largest_angle(first: np.ndarray, second: np.ndarray) -> float:
    """The largest principal angle, in degrees, between the row spaces of two (k, features) matrices."""
    a = np.linalg.qr(first.T.astype(np.float64))[0]
    b = np.linalg.qr(second.T.astype(np.float64))[0]
    # The sine is accurate for small angles, where the cosine is not.
    return float(np.degrees(np.arcsin(np.clip(np.linalg.norm(b - a @ (a.T @ b), 2), 0.0, 1.0))))
