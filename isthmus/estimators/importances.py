"""How much features depend on each column that goes into an encoder."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from isthmus.data import Source
from isthmus.data.sources import spread_rows
from isthmus.estimators.layers import Reader
from isthmus.records import Batch

ROWS, DRAWS = 1000, 8
"""Rows that are looked at, and random directions in the space of features for each of them."""

SWAPPED = 200
"""Rows that are looked at where columns are swapped one by one."""


def importances(model: Any, layer: str, source: Source) -> np.ndarray:
    """(features,) >= 0, sum 1: the share of each column in the variance of the features.

        importance_j  ~  variance_j * mean over rows of sum_u (d h_u / d x_j)^2

    h are the features. To first order this is the variance that they would have if column j alone varied, by its own
    variance.

    Parameters
    ----------
    model : a fitted `Autoencoder`.
    layer : what the features are.
    source : rows of the fit.

    Notes
    -----
    The sum over features is an expectation: for random signs v, (sum_u v_u d h_u / d x_j)^2 has it as its mean
    (Hutchinson 1990), so that a few passes back through the encoder give all columns at once. A column without a
    gradient (categories, codes that are numbers of codewords) is given the values of other rows instead; half the mean
    square of what that changes is the same where the encoder is linear.
    """
    model = copy.copy(model)
    model.composition_ = copy.deepcopy(model.composition_).cpu()
    reader = Reader(model.composition_, layer)
    rows = spread_rows(source.rows, ROWS)
    batch, found = model._batch(source, rows), None
    if source.layout.columns is None:
        found = by_gradient(reader, batch)
    if found is None or not float(found.sum()) > 0:
        few = model._batch(source, rows[:: max(1, len(rows) // SWAPPED)])
        found = by_swapping(reader, few)
    total = float(found.sum())
    return (found / total if total > 0 else torch.full_like(found, 1 / len(found))).numpy()


def by_gradient(features: Callable[[Batch], Tensor], batch: Batch) -> Tensor | None:
    """(columns,) float64, or None where no gradient reaches the columns."""
    x = batch.x.detach().clone().requires_grad_()
    with torch.enable_grad():
        out = features(replace(batch, x=x))
        if not out.requires_grad:
            return None
        generator, squares = torch.Generator().manual_seed(0), torch.zeros(x[0].numel(), dtype=torch.float64)
        for draw in range(DRAWS):
            signs = torch.randint(0, 2, out.shape, generator=generator, dtype=out.dtype) * 2 - 1
            (slope,) = torch.autograd.grad(out, x, signs, retain_graph=draw + 1 < DRAWS, allow_unused=True)
            if slope is None:
                return None
            squares += slope.flatten(1).double().square().mean(0)
    return squares / DRAWS * x.detach().flatten(1).double().var(0, correction=0)


def by_swapping(features: Callable[[Batch], Tensor], batch: Batch) -> Tensor:
    """(columns,) float64: half the mean square of what changes when a column's values come from other rows."""
    found = torch.zeros(batch.x[0].numel(), dtype=torch.float64)
    with torch.no_grad():
        usual = features(batch)
        for column in range(len(found)):
            for turn in (1, len(batch) // 2):
                other = features(with_turned(batch, column, turn))
                found[column] += 0.25 * (other - usual).double().square().sum(1).mean()
    return found


def with_turned(batch: Batch, column: int, turn: int) -> Batch:
    """The batch with one column moved on by ``turn`` rows; a gap is moved with it."""

    def turned(values: Tensor) -> Tensor:
        flat = values.flatten(1).clone()
        flat[:, column] = flat[:, column].roll(turn)
        return flat.reshape(values.shape)

    return replace(batch, x=turned(batch.x), weight=None if batch.weight is None else turned(batch.weight))
