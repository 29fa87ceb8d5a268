"""Ways to choose columns, and what a choice is worth: what `Selector` is made of."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from sklearn.utils.validation import check_is_fitted

from isthmus.composition import Composition
from isthmus.data import Source
from isthmus.data.sources import spread_rows
from isthmus.errors import InputError
from isthmus.estimators.autoencoder import Autoencoder
from isthmus.estimators.settings import batch_size_for, epochs_for, whole
from isthmus.parts.bottlenecks.columns import foretelling
from isthmus.parts.bottlenecks.concrete import EVEN_COLUMNS, Choice
from isthmus.recipes import Parts
from isthmus.records import Batch, Layout

BENDS = {"linear": 0, "bent": 2}
"""Ways of choosing one column after the other, and the bends of the curves by which these foretell the others."""

COOLING = 0.75
"""The share of the epochs over which a concrete choice is made; in the others the decoder learns what was chosen."""

LOOKED_AT = 5_000
"""Rows that such a choice looks at."""


@dataclass(frozen=True)
class Candidate:
    """One choice of columns, and how well a decoder that was trained on it rebuilds held-out rows.

    ``error`` is the mean squared error per cell of all columns, in scaled units.
    """

    name: str
    columns: np.ndarray
    autoencoder: Autoencoder
    error: float


def ways_for(layout: Layout) -> tuple[str, ...]:
    """The ways of choosing that go with these rows."""
    if layout.columns is not None:
        return ("concrete",)
    return (*(way for way, bends in BENDS.items() if layout.features * (1 + bends) <= EVEN_COLUMNS), "concrete")


def check_choice(k: Any, method: str, layout: Layout) -> int:
    """k, if it can be chosen from these rows."""
    known = ("auto", *BENDS, "concrete")
    if method not in known:
        raise InputError(f"method must be {', '.join(map(repr, known[:-1]))} or {known[-1]!r}; got {method!r}")
    if layout.sequence:
        raise InputError(
            "X: columns are selected from rows whose columns mean the same in every row; in sequences and video they "
            "do not. Give a table or images"
        )
    k = whole("k", k, 1)
    if k > layout.features:
        raise InputError(f"k: there are {layout.features} columns to select from; {k} were asked for")
    if method != "auto" and method not in ways_for(layout):
        most = EVEN_COLUMNS // (1 + BENDS[method])
        raise InputError(
            f"method: {method!r} goes with at most {most:,} columns of numbers without gaps; use 'concrete' or 'auto'"
        )
    return k


def cooling_epochs(rows: int, epochs: Any, batch_size: Any) -> float:
    """How long a concrete choice cools, of the epochs that `Autoencoder` will take."""
    if epochs is None:
        epochs = epochs_for(rows, batch_size_for(rows) if batch_size is None else whole("batch_size", batch_size, 1))
    return COOLING * whole("epochs", epochs, 1)


def one_by_one(source: Source, k: int, scale: str, ways: list[str]) -> dict[str, np.ndarray]:
    """(k,) rising positions of the columns that foretell all others best, in scaled units, by each way."""
    if not ways:
        return {}
    rows = spread_rows(source.rows, LOOKED_AT)
    scaling = Autoencoder("linear", scale=scale)._scaling(source, rows, Parts())
    x = scaling.forward(source.take(rows)).flatten(1).double().numpy()
    return {way: np.sort(foretelling(x, k, BENDS[way])) for way in ways}


def error_of(model: Autoencoder) -> float:
    """The held-out error of a fit; that on its training rows where none were held out."""
    record: Any = model.record_
    return record.held_out_error if math.isfinite(record.held_out_error) else record.train_error


@torch.no_grad()
def worths(composition: Composition, batch: Batch, seed: int) -> np.ndarray:
    """(k,) how much the mean error of rebuilt cells rises when the rows swap what they hold in one selected column."""
    points, context = composition.represent(batch), composition.context(batch)
    cells = float(batch.x.numel() if batch.weight is None else batch.weight.sum())

    def error(points: torch.Tensor) -> float:
        errors = composition.cell_errors(composition.rebuild(points, context), batch.x)
        return float((errors if batch.weight is None else errors * batch.weight).sum(dtype=torch.float64)) / cells

    generator, least = torch.Generator().manual_seed(seed), error(points)
    worth = np.zeros(points.shape[1])
    for column in range(points.shape[1]):
        shuffled = points.clone()
        shuffled[:, column] = points[torch.randperm(len(points), generator=generator).to(points.device), column]
        worth[column] = error(shuffled) - least
    return worth


def chosen_columns(model: Autoencoder) -> np.ndarray:
    """(code_size,) positions of the columns that a fitted `concrete` autoencoder has chosen, in order of its code.

    >>> import isthmus as ist
    >>> X = ist.data.digits()[0]
    >>> model = ist.Autoencoder("concrete", code_size=5, epochs=1, random_state=0).fit(X)
    >>> len(set(chosen_columns(model).tolist()))
    5
    """
    check_is_fitted(model, "composition_")
    bottleneck = model.composition_.bottleneck
    if not isinstance(bottleneck, Choice):
        raise InputError("model: only a concrete autoencoder chooses columns; fit Autoencoder('concrete')")
    return bottleneck.chosen.cpu().numpy()


def filled(model: Autoencoder, X: Any, labels: list[Any], columns: np.ndarray) -> Any:
    """Rows of a mixed table, of which ``X`` holds some columns: the others are missing to the model, which rebuilds
    them."""
    every = model.form_.labels
    if hasattr(X, "with_columns"):
        import polars

        lacking = [polars.lit(None).alias(str(name)) for name in every or () if name not in labels]
        rebuilt = model.reconstruct(X.with_columns(lacking).select(every))
        return rebuilt.with_columns(X[name] for name in labels)
    import pandas as pd

    known = pd.DataFrame(X).set_axis(labels, axis=1)
    frame = known.reindex(columns=range(model.n_features_in_) if every is None else every)
    if not hasattr(X, "iloc"):
        rebuilt = model.reconstruct(frame.to_numpy())
        rebuilt[:, columns] = X
        return rebuilt
    rebuilt = model.reconstruct(frame)
    for label in labels:
        rebuilt[label] = known[label]
    return rebuilt
