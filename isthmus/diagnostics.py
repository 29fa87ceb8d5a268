"""How good is a trained composition? What is measured for the verdicts of `verdicts.py`."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

import numpy as np
import torch
from torch import Tensor

from isthmus import verdicts
from isthmus.composition import Composition
from isthmus.records import Batch, Layout
from isthmus.verdicts import COPIES_SHARE, DEAD_SHARE, EXACT, Diagnosis, FitRecord, Verdict

__all__ = ["Diagnosis", "FitRecord", "Verdict", "diagnose"]

ROWS = 5_000
"""The most rows that are looked at."""
CELLS = 8_000_000
"""The most cells that are looked at: what bounds the memory for large images."""
BATCH_CELLS = 1_000_000
"""Cells in one pass."""


def diagnose(
    composition: Composition,
    layout: Layout,
    x: Tensor,
    record: FitRecord,
    *,
    unit: np.ndarray | None = None,
    names: tuple[str, ...] | None = None,
    output_reach: tuple[float, float] | None = None,
) -> Diagnosis:
    """Judge a trained composition.

    The first three verdicts judge the fit, by the figures in ``record``, whatever ``x`` is. Where the held-out rows
    also chose the epoch whose weights were kept, their error flatters the fit a little. The other verdicts judge
    the composition on the rows given, ``x``.

    1. **PCA** (the fit): the squared error on held-out rows against that of PCA with the same code size: better
       below 0.98 times, about the same up to 1.02, worse above 1.10 times. Where the difference is less than 2 of
       its standard errors, or is of fewer than 30 held-out rows, the two cannot be told apart: a note. A code as
       wide as the data makes PCA exact, so nothing is compared.
    2. **memorising** (the fit): held-out error above 1.5 times the training error, by more than 1 % of the
       variance: a note, and bad above 3 times, or above 10 times where it still beats PCA on held-out rows.
    3. **underfitting** (the fit): held-out error above 90 % of that of predicting the mean though PCA gets below
       80 %, or above 1.10 times PCA's (a note, bad by more than 1 % of the variance); not where the training
       error is below half of it, which is memorising.
    4. **these rows** (the rows given): their error above 1.5 times the held-out error of the fit is a note, above
       3 times, by more than 1 % of the variance, bad: they differ from the training rows. Fewer than 30 rows
       get a note at most.
    5. **copying** (the rows given): rows whose columns were shuffled independently keep every column's values and
       lose all structure between columns. A composition that loses less than 10 % of their variance and rebuilds
       them with at most 3 times the error of real rows (or loses less than 5 %) copies its input: its code says
       nothing about structure. Where columns have no structure to begin with, a narrow code loses much of
       both, and is not flagged; one column alone is not judged. The error on uniform noise in the columns'
       ranges is given beside it.
    6. **dead units** (the rows given): code units whose variance over ``x`` is below 1e-4 of the units' mean
       variance.
    7. **output range** (the rows given): cells of ``x`` that the decoder's output cannot reach; bad above 1 %.

    Parameters
    ----------
    composition : trained; neither its weights nor its mode are changed.
    layout : of the rows.
    x : (n, *layout.shape) scaled rows, at least one; at most 5,000 of them are looked at.
    record : the figures of the fit.
    unit : (features,) what one scaled unit of each column is in the reported units; None = 1.
    names : a name per column, for sentences; None = numbers.
    output_reach : the lowest and highest value that the decoder can give, in scaled units; None = all.

    Returns
    -------
    Diagnosis
        Its figures: ``rmse`` (on ``x``, in reported units), ``scaled_rmse`` (on ``x``), ``explained_share``
        (of the variance of ``x``), ``held_out_error``, ``train_error``, ``mean_error``, ``pca_error`` (mean
        squared, scaled), ``pca_ratio``, ``shuffled_share`` and ``noise_share`` (error on structureless rows
        over their variance), ``dead_units``, ``unreachable_share``, ``parameters``.
    """
    x = sample_of(x, layout)
    codes, errors = evaluate(composition, layout, x)
    columns = errors.mean(0).double().cpu().numpy()
    variance = float(x.flatten(1).double().var(0, correction=0).mean())
    error = float(columns.mean())
    shares = structureless_shares(composition, layout, x, variance)
    dead = dead_units(codes)
    outside = unreachable(x, output_reach)
    reported = columns if unit is None else columns * np.square(np.asarray(unit, dtype=np.float64).reshape(-1))
    held_back = composition.corruption is not None or len(composition.penalties) > 0
    judged = (
        verdicts.pca_verdict(record),
        verdicts.memorising_verdict(record),
        verdicts.underfitting_verdict(record, held_back=held_back),
        verdicts.rows_verdict(record, error, len(x)),
        verdicts.copying_verdict(error, variance, *shares, size=codes.shape[1], features=layout.features),
        verdicts.dead_verdict(dead, codes.shape[1], len(x)),
        verdicts.range_verdict(outside, output_reach, names),
    )
    figures = {
        "rmse": math.sqrt(reported.mean()),
        "scaled_rmse": math.sqrt(error),
        "explained_share": 1 - error / variance if variance > 0 else float("nan"),
        "held_out_error": float(record.held_out_error),
        "train_error": float(record.train_error),
        "mean_error": float(record.mean_error),
        "pca_error": record.pca_error,
        "pca_ratio": record.pca_ratio,
        "shuffled_share": shares[0],
        "noise_share": shares[1],
        "dead_units": float(len(dead)),
        "unreachable_share": float(outside.mean()),
        "parameters": float(sum(weights.numel() for weights in composition.parameters())),
    }
    return Diagnosis(judged, figures)


def sample_of(x: Tensor, layout: Layout) -> Tensor:
    """At most `ROWS` rows and `CELLS` cells of ``x``, drawn with a fixed seed, in their order."""
    most = max(1, min(ROWS, CELLS // layout.features))
    if len(x) <= most:
        return x
    order = torch.randperm(len(x), generator=torch.Generator().manual_seed(0))
    return x[order[:most].sort().values.to(x.device)]


def batches(x: Tensor, layout: Layout) -> Iterator[Batch]:
    for part in x.split(max(1, BATCH_CELLS // layout.features)):
        yield Batch(part, layout)


def home(composition: Composition, x: Tensor) -> Callable[[Tensor], Tensor]:
    """A function that brings rows to where the composition's weights are."""
    weights = next((p for p in composition.parameters() if p.is_floating_point()), x)
    return lambda rows: rows.to(device=weights.device, dtype=weights.dtype)


@torch.no_grad()
def evaluate(composition: Composition, layout: Layout, x: Tensor) -> tuple[Tensor, Tensor]:
    """The codes (n, code_size) and the squared errors (n, features) of the rows."""
    bring = home(composition, x)
    codes, errors = [], []
    for batch in batches(x, layout):
        there = Batch(bring(batch.x), layout)
        code = composition.represent(there)
        out = composition.rebuild(code, composition.context(there))
        codes.append(code)
        errors.append((out - there.x).square().flatten(1))
    return torch.cat(codes), torch.cat(errors)


def structureless_shares(
    composition: Composition, layout: Layout, x: Tensor, variance: float
) -> tuple[float, float, float]:
    """What is lost of rows without structure: NaN where the rows given do not vary.

    The error on column-wise shuffled rows and on uniform noise, each over its variance, and the share of the
    varying columns that lose less than `COPIES_SHARE` of their variance when shuffled.
    """
    if len(x) < 2 or not variance > 0:
        return float("nan"), float("nan"), float("nan")
    # A generator of its own: neither the global state nor the result of a later call depends on this one.
    generator = torch.Generator().manual_seed(0)
    flat = x.flatten(1)
    order = torch.rand(flat.shape, generator=generator).argsort(0).to(x.device)
    shuffled = evaluate(composition, layout, flat.gather(0, order).reshape(x.shape))[1].double().mean(0).cpu()
    low, high = flat.amin(0), flat.amax(0)
    noise = low + (high - low) * torch.rand(flat.shape, generator=generator).to(x)
    noise_error = float(evaluate(composition, layout, noise.reshape(x.shape))[1].double().mean())
    noise_variance = float(noise.double().var(0, correction=0).mean())
    spread = flat.double().var(0, correction=0).cpu()
    varies = spread > EXACT * variance
    copied = (shuffled[varies] < COPIES_SHARE * spread[varies]).double().mean()
    return float(shuffled.mean()) / variance, noise_error / noise_variance, float(copied)


def dead_units(codes: Tensor) -> list[int]:
    """The code units that are the same for every row, or nearly so."""
    codes = codes.double()
    variance = codes.var(0, correction=0)
    # Beside the share of the mean, the rounding of a large constant, which has a tiny variance of its own.
    least = torch.maximum(DEAD_SHARE * variance.mean(), (1e-6 * codes.abs().amax(0)).square())
    return torch.nonzero(variance <= least).flatten().tolist()


def unreachable(x: Tensor, reach: tuple[float, float] | None) -> np.ndarray:
    """(features,): the share of each column's cells that the output cannot reach."""
    flat = x.flatten(1)
    if reach is None:
        return np.zeros(flat.shape[1])
    slack = 1e-6 * max([1.0, *(abs(end) for end in reach if math.isfinite(end))])
    outside = (flat < reach[0] - slack) | (flat > reach[1] + slack)
    return outside.double().mean(0).cpu().numpy()
