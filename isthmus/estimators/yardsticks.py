"""How far a model's reconstructions are from the rows, beside those of what it must beat."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np
import torch
from torch import Tensor

from isthmus.composition import Composition
from isthmus.diagnostics.points import usual_values
from isthmus.pca import PrincipalComponents
from isthmus.records import Batch
from isthmus.training import Feed


def scaled_error(composition: Composition, batches: Iterable[Batch]) -> float:
    """Mean squared error per cell in scaled units."""

    def rebuilt(batch: Batch) -> Tensor:
        return composition.rebuild(composition.represent(batch), composition.context(batch))

    return mean_error(composition, rebuilt, batches)


@torch.no_grad()
def mean_error(composition: Composition, rebuilt: Callable[[Batch], Tensor], batches: Iterable[Batch]) -> float:
    """The mean over known cells of the errors of whatever rebuilds the rows."""
    total, cells = 0.0, 0.0
    for batch in batches:
        errors = composition.cell_errors(rebuilt(batch), batch.x)
        total += float((errors if batch.weight is None else errors * batch.weight).sum(dtype=torch.float64))
        cells += batch.x.numel() if batch.weight is None else float(batch.weight.sum())
    return total / max(cells, 1e-12)


def columns_error(composition: Composition, feed: Feed) -> float:
    """The error on the watched rows of a mixed table when every cell is rebuilt as its column's most usual value."""
    rows = ((batch.x, batch.weight) for batch in feed.batches(feed.train, feed.at_once))
    usual = usual_values(rows, feed.source.layout.columns or ())
    return mean_error(composition, lambda batch: usual.to(batch.x).expand_as(batch.x), feed.watched_batches())


def errors_of(pca: PrincipalComponents, feed: Feed) -> np.ndarray:
    """PCA's mean squared errors on the watched rows, with 0, 1, ... components."""
    pairs = ((batch.x, batch.weight) for batch in feed.watched_batches())
    if feed.source.weight(feed.watched[:1]) is None:
        return pca.errors(x for x, _ in pairs)
    return pca.masked_errors((x, weight) for x, weight in pairs if weight is not None)


def margin_spread(composition: Composition, pca: PrincipalComponents, size: int, feed: Feed) -> float:
    """Standard error of the mean difference between our error and PCA's on the held-out rows, row by row."""
    gaps = feed.source.weight(feed.held_out[:1]) is not None  # then PCA's error of a row is another figure
    if gaps or feed.source.layout.columns is not None or len(feed.held_out) < 2 or not 0 < size <= len(pca.components):
        return float("nan")
    differences = []
    with torch.no_grad():
        for batch in feed.watched_batches():
            out = composition.rebuild(composition.represent(batch), composition.context(batch))
            ours = (out - batch.x).square().flatten(1).mean(1)
            differences.append(ours.double().cpu().numpy() - pca.row_errors(batch.x, size))
    difference = np.concatenate(differences)
    return float(difference.std(ddof=1) / np.sqrt(len(difference)))
